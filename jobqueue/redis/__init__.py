"""Redis: where it is, the connection to it, and a server for a machine that has none."""
