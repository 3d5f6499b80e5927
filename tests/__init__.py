"""Tests against the real thing: Redis, SQLite and PostgreSQL, Node's BullMQ, HTTP on 127.0.0.1."""
