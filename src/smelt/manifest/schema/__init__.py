"""The JSON schema of manifests, found by asking the readers what they accept. Nothing imports this at run time."""
