"""Chaos: programs that break what runs the jobs, and show what holds all the same."""
