"""Places in text files, and suggestions for misspelt names."""

from smelt.text.place import Place, SourceText
from smelt.text.suggest import closest

__all__ = ["Place", "SourceText", "closest"]
