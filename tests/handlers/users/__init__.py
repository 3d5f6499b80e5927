"""The handlers about users, their sessions and their profiles."""
