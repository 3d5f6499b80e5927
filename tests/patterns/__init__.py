"""Singleton and superseding jobs, on real workers."""
