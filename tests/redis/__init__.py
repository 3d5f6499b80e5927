"""Tests of jobqueue.redis."""
