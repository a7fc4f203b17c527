"""Files and folders that are never half-written, locks between processes, and where caches are."""

from smelt.fs.atomic import remove_tree, replace_folder, staging_folder, write_bytes, write_text
from smelt.fs.caches import cache_root, smelt_cache
from smelt.fs.locks import hold, hold_if_free, note_holder

__all__ = [
    "cache_root",
    "hold",
    "hold_if_free",
    "note_holder",
    "remove_tree",
    "replace_folder",
    "smelt_cache",
    "staging_folder",
    "write_bytes",
    "write_text",
]
