"""Tasks: from their definitions to processes."""
