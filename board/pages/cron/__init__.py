"""Cron: the pages of the cron jobs."""
