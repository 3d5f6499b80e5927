"""A `jobqueue` that starts at once: a process that has imported everything, and a program that asks it for a copy."""
