"""The manifest: TOML text to surface tables, with places."""
