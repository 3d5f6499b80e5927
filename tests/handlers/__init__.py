"""Tests of the handlers, against real receivers and both databases."""
