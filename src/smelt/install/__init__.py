"""From locked records to a prefix, and its activation."""
