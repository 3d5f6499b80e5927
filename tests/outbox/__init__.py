"""The outbox, on both databases and a real Redis."""
