"""Programs that a test starts in a process of their own, because it must be able to die."""
