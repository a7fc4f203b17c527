"""The model of a workspace: features, environments, platforms, tasks, variants, packages."""
