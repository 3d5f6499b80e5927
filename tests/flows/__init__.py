"""Flows: trees of jobs, stored as a whole and run from their leaves to their root."""
