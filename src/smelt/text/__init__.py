"""Places in text files, paths and numbers in messages, suggestions for misspelt names, and strings of TOML."""

from smelt.text.counted import counted
from smelt.text.paths import shown_path
from smelt.text.place import Place, SourceText
from smelt.text.suggest import closest
from smelt.text.toml import toml_basic

__all__ = ["Place", "SourceText", "closest", "counted", "shown_path", "toml_basic"]
