"""The Python façade: what the commands do, without a terminal."""
