"""The bench: how fast this is beside its peers, measured in turn on one machine, and what bounds it.

Only `jobqueue bench` imports it. A peer runs as a program of its own, so none of them is loaded here.
"""
