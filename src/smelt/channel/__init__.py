"""Local conda channels made from what is at hand."""
