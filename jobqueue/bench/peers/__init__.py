"""The programs that are measured, one for each peer, each run in a process and an environment of its own.

A program takes its task as one JSON argument and prints one JSON line. Those of peers that are not installed beside
jobqueue are run by their path, so they share nothing but `measuring`, which needs only the standard library.
"""
