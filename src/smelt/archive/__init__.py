"""The ``.conda`` container: reading its members, and writing them so that equal members give equal bytes."""

from smelt.archive.conda import ArchiveError, CondaArchive, Member, read_conda, write_conda
from smelt.archive.damage import DAMAGE, is_damage

__all__ = ["DAMAGE", "ArchiveError", "CondaArchive", "Member", "is_damage", "read_conda", "write_conda"]
