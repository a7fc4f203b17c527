"""Which PyPI packages a conda package counts as.

Source: the reference's page "Conda & PyPI"; the package URL specification.
"""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from packaging.version import InvalidVersion, Version

from smelt.manifest.pypi import normalize_pypi_name, pypi_name_problem
from smelt.types import CondaRecord, spec_name


class PypiIdentity(NamedTuple):
    """A PyPI name (normalised) and version."""

    name: str
    version: Version


def identities(record: CondaRecord) -> tuple[PypiIdentity, ...]:
    """The PyPI packages that ``record`` counts as.

    Its package URLs tell; a record of conda-forge without any (not even an empty list) counts as the package of its
    own name. A version that PyPI does not know the like of counts as nothing.
    """
    if record.purls is None:
        name = record.name if is_conda_forge(record.channel) else None
        found = [(name, None)] if name is not None else []
    else:
        found = [named for purl in record.purls if (named := _parse(purl)) is not None]
    identified: list[PypiIdentity] = []
    for name, version in found:
        if pypi_name_problem(name) is not None:
            continue
        try:
            identified.append(PypiIdentity(normalize_pypi_name(name), Version(version or record.version)))
        except InvalidVersion:
            continue
    return tuple(identified)


def is_conda_forge(channel: str | None) -> bool:
    """Whether a channel is conda-forge or a mirror of it, by the path of its address."""
    return channel is not None and urlsplit(channel).path.startswith("/conda-forge")


def is_python_package(record: CondaRecord) -> bool:
    """Whether ``record`` may hold a Python package: it needs Python."""
    return record.noarch == "python" or any(spec_name(spec) in ("python", "python_abi") for spec in record.depends)


def _parse(purl: str) -> tuple[str, str | None] | None:
    """Name and version of ``pkg:pypi/name@version?source=…``; None for a package URL of another kind."""
    head, _, rest = purl.partition("/")
    if head.lower() != "pkg:pypi":
        return None
    rest = rest.partition("#")[0].partition("?")[0]
    name, _, version = rest.partition("@")
    return unquote(name.rpartition("/")[2]), unquote(version) or None
