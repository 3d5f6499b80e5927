"""The life of a payment channel: its table, each pattern's promise, and the command that plays it."""
