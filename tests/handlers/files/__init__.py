"""Tests of the store and of the handlers that work with files."""
