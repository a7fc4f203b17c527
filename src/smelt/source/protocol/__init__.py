"""Build backends that are programs of their own: the pixi-build protocol (JSON-RPC over standard input and output)."""
