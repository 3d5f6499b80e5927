"""What the pages say is so: each documented block runs, each link leads somewhere, each name is known."""
