"""Node BullMQ and bull-board as the judges of the wire."""
