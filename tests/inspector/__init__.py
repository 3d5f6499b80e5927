"""Tests of the inspector: the one read-and-act API of every screen."""
