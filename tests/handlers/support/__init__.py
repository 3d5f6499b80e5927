"""What the tests of the handlers stand on."""
