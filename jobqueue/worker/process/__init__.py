"""Process: handlers with `run_in="process"`, in children of the worker that they cannot take down with them."""
