"""What is done with the blocks of each language; one that is not named here is an error."""

from __future__ import annotations

from typing import Final

CODE: Final = {"python": "python", "py": "python", "javascript": "node", "js": "node", "mjs": "node"}
"""Runs: all of a page in one test, in order, Python's in one namespace."""
TERMINAL: Final = frozenset({"console", "sh", "bash", "shell"})
"""Typed into one bash, all of a page in one test."""
DATA: Final = frozenset({"json", "toml", "yaml", "yml", "ini", "env", "sql"})
"""Read by whoever is meant to read it, each block by itself."""
SHOWN: Final = frozenset({"text", "mermaid"})
"""Output, tables and diagrams: for people."""
