"""Files that the type checkers must take, and files that they must refuse, line by line."""
