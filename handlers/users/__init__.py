"""Users: what the handlers about users and their sessions stand on."""
