"""Where builds run: a graph of jobs, and child processes that never outlive us."""
