"""The bench: its statistics, its pages, and small real runs. No test asserts a speed."""
