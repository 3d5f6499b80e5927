"""What docs/users.md takes for granted: a user who is signed in. Her profile's site is not there."""

from __future__ import annotations

FAILS = {"verifyProfile"}
JOBS_REGISTRY = "shop.jobs:registry"
session_id = "s1"
ROWS = (
    """INSERT INTO service_user (id, email, email_verified_at, created_at)
       VALUES ('ada', 'ada@example.com', '2026-01-01', '2026-01-01')""",
    """INSERT INTO service_session (id, user_id, data, expires_at, created_at)
       VALUES ('s1', 'ada', '{}', '9999-01-01', '2026-01-01')""",
)
