"""Source packages become artifacts."""
