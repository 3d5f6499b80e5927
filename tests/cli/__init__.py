"""The command line, run as a person runs it: real processes in a folder of their own."""
