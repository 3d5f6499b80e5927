"""The board in a real browser, as a person uses it."""
