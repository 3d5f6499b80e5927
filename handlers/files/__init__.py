"""Files: the store that objects lie in, and what the handlers about files share."""
