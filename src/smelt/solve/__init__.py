"""One solve at a time: requirements in, records out. Knows no workspace."""
