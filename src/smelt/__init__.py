"""smelt: a workspace manager that makes packages built from source first-class."""

__version__ = "0.1.0"
