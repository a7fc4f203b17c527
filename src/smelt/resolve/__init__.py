"""From a workspace to a lock: which solves, in which order."""
