"""The ``.conda`` container: reading its members, and writing them so that equal members give equal bytes."""

from smelt.archive.conda import ArchiveError, CondaArchive, Member, read_conda, write_conda

__all__ = ["ArchiveError", "CondaArchive", "Member", "read_conda", "write_conda"]
