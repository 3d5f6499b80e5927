"""`python -m jobqueue.cli` is `jobqueue`; the reloader starts its children so."""

from __future__ import annotations

from jobqueue.cli import main

if __name__ == "__main__":
    main()
