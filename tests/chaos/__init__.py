"""The chaos programs: their short forms hold, and their rules can fail."""
