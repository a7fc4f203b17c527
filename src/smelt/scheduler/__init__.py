"""Where jobs run, and in which order."""
