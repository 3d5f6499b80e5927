"""The worker on a real Redis: each known trap, crashes, outages, shutdown, and the life of one job."""
