"""Jobs: the lists of them, and the pages of one."""
