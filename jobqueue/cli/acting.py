"""Acting: in whose name the commands act."""

from __future__ import annotations

import getpass
import os

from jobqueue.inspector import Actor


def person() -> Actor:
    """Whoever runs the command, as the operating system knows him: by name, or where it has none by number."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # a user id without an entry, as in many containers
        name = str(os.getuid())
    return Actor(name, "command line")
