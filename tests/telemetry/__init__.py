"""Telemetry: events, lines of the log, traces, metrics and error trackers, with real collectors at the other end."""
