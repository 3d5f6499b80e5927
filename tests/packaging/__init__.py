"""The distribution: what is in the wheel and the sdist, and that it runs alone."""
