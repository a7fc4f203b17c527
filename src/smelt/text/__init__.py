"""Places in text files, paths and numbers in messages, and suggestions for misspelt names."""

from smelt.text.counted import counted
from smelt.text.paths import shown_path
from smelt.text.place import Place, SourceText
from smelt.text.suggest import closest

__all__ = ["Place", "SourceText", "closest", "counted", "shown_path"]
