"""Queues: the overview, and the page of one."""
