"""What the tests stand on: servers of their own, and a way to wait for what will be true."""
