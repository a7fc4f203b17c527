"""What smelt costs. ``python -m benchmarks [NAME …]`` runs all benchmarks, or the named ones, and prints a table.

Each benchmark is a module with ``measure() -> Iterator[Figure]`` that makes its own small workspace in a temporary
folder. Figures are medians; on a busy machine only ratios mean much.
"""
