"""The lock file: model, reading, writing, satisfiability, differences."""
