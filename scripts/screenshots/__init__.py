"""Screenshots: a shop with all kinds of jobs, and pictures of its board."""
