"""What docs/admin-routes.md takes for granted: two jobs that were set aside on their way to Redis."""

from __future__ import annotations

_ROW = """
INSERT INTO job_outbox (key, prefix, queue, name, job_id, data, job, origin, created_at, last_error,
  set_aside_at)
VALUES ('{key}', 'bull', 'jobs', 'heartbeat', '{key}', '{{}}', '{{}}', 'overflow', '2026-01-01', 'refused',
  '2026-01-01')
"""
ROWS = tuple(_ROW.format(key=key) for key in ("one", "two"))
