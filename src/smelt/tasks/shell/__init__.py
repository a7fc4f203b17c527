"""The task shell: one small command language that behaves the same on every system."""
