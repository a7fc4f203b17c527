"""A locked environment as one file, and back."""
