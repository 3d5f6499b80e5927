"""Cron: the table, its schedulers in Redis, and what becomes of their slots."""
