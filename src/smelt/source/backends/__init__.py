"""Backends: how a package definition becomes a recipe."""
