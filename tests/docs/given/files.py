"""What docs/files.md takes for granted: an image; and a file `cat` in the table whose object is not there."""

from __future__ import annotations

from base64 import b64decode

FAILS = {"fileTransformImage", "filePlaceholderImage"}
SETTINGS = {"FILES_URL": "file://{folder}/store"}
JOBS_REGISTRY = "shop.jobs:registry"
ROWS = (
    """INSERT INTO service_file (id, key, name, content_type, size_bytes, created_at)
       VALUES ('cat', 'uploads/cat', 'cat.png', 'image/png', 1, '2026-01-01')""",
)
cat = b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==")
