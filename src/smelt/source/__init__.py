"""Sources and recipes: from a package definition to rendered variants."""
