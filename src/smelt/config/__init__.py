"""The settings of this machine: ``config.toml`` files, what they mean together, and changes of them."""
