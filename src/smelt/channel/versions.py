"""Versions and requirements of Python packages (PEP 440, PEP 508) in the words of conda."""

from __future__ import annotations

from packaging.specifiers import Specifier, SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version


def conda_name(name: str) -> str:
    """The conda package that stands for a Python distribution: its name, normalised (PEP 503)."""
    return canonicalize_name(name)


def conda_version(version: str) -> str:
    """A PEP 440 version as a conda version (CEP 33): its normal form.

    conda orders it in the same way, but for what is hardly ever mixed: ``1.0.dev1`` comes after ``1.0a1``, and
    suffixes count where they stand (``1.0a1`` is not ``1.0.0a1``, ``1.0.post1`` comes after ``1.0.1``).
    Raises InvalidVersion (a ValueError).
    """
    return str(Version(version))


def conda_spec(specifiers: SpecifierSet) -> str:
    """A PEP 440 specifier set as a conda version spec; empty for any version.

    ``<2`` does not admit ``2rc1`` in PEP 440, so it becomes ``<2a0``; ``~=1.4.2`` becomes ``>=1.4.2,1.4.*``.
    """
    parts: list[str] = []
    for specifier in sorted(specifiers, key=_order):
        parts.extend(_clauses(specifier))
    return ",".join(dict.fromkeys(parts))


def _order(specifier: Specifier) -> tuple[int, str, str]:
    operators = (">=", ">", "~=", "==", "===", "<", "<=", "!=")
    return operators.index(specifier.operator), specifier.operator, specifier.version


def _clauses(specifier: Specifier) -> list[str]:
    operator, text = specifier.operator, specifier.version
    if text.endswith(".*"):
        stem = str(Version(text.removesuffix(".*")))
        return [f"{stem}.*"] if operator == "==" else [f"!={stem}.*"]
    try:
        version = Version(text)
    except InvalidVersion:  # only `===` takes texts that are no versions
        return [f"=={text}"]
    if operator == "~=":
        stem = ".".join(str(number) for number in version.release[:-1])
        epoch = f"{version.epoch}!" if version.epoch else ""
        return [f">={version}", f"{epoch}{stem}.*"]
    if operator == "<" and not version.is_prerelease:
        return [f"<{_first_alpha(version)}"]
    if operator == "===":
        return [f"=={version}"]
    return [f"{operator}{version}"]


def _first_alpha(version: Version) -> str:
    """A bound below every pre-release of ``version``, however many zeros they are written with.

    Without its own zeros at the end, since conda puts ``2a1`` before ``2.0a0``, but not ``2.0a1`` before ``2a0``.
    """
    numbers = list(version.release)
    while len(numbers) > 1 and numbers[-1] == 0:
        numbers.pop()
    epoch = f"{version.epoch}!" if version.epoch else ""
    return f"{epoch}{'.'.join(str(number) for number in numbers)}a0"


def conda_dependency(name: str, spec: str) -> str:
    """A dependency as repodata states it: ``name spec``."""
    return f"{conda_name(name)} {spec}" if spec else conda_name(name)
