"""Handlers: their pages, and the form that is made from a payload's type."""
