"""Activation scripts that set the variables of a compiler, and their counterparts that put everything back."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from smelt.channel.folder import Edit
from smelt.channel.model import Addition, Package, PackageFile, PackageHead

_IN_BUILD = '"${CONDA_BUILD:-}" = "1"'


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What an activation sets. Values are shell words, expanded when the script runs.

    ``variables``: set to the value. ``flags``: the value is put before what is there, so what a user or a
    build gave beforehand comes last and wins. ``build_variables``, ``build_flags``: the same, only in package
    builds, where ``SRC_DIR``, ``PREFIX`` and ``BUILD_PREFIX`` are known. Values may use ``$_smelt_prefix`` (the
    prefix that is compiled for: the host environment in a build, else the activated one) and ``$_smelt_tools``
    (where the compiler's package is), in package builds ``$_smelt_output`` (the folder that all of the build is in).
    """

    variables: Mapping[str, str] = field(hash=False)
    flags: Mapping[str, Sequence[str]] = field(hash=False)
    build_flags: Mapping[str, Sequence[str]] = field(hash=False)
    build_variables: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}), hash=False)

    @property
    def names(self) -> list[str]:
        """Every variable that is touched."""
        return sorted({*self.variables, *self.flags, *self.build_flags, *self.build_variables})


def activate_script(package: str, settings: Settings) -> str:
    """A POSIX shell script for ``etc/conda/activate.d``."""
    mark = _mark(package)
    lines = [
        f"# sets the compiler variables of {package}",
        f'if [ {_IN_BUILD} ] && [ -n "${{PREFIX:-}}" ]; then',
        '  _smelt_prefix="$PREFIX"',
        '  _smelt_tools="${BUILD_PREFIX:-$PREFIX}"',
        "else",
        '  _smelt_prefix="$CONDA_PREFIX"',
        '  _smelt_tools="$CONDA_PREFIX"',
        "fi",
        # what rattler-build calls the output folder, with all that a build writes in it
        '_smelt_output="${SRC_DIR:-.}"',
        '_smelt_output="${_smelt_output%%/bld/rattler-build_*}"',
    ]
    for name in settings.names:
        # `+x` tells a variable that is empty from one that is not there
        lines.append(f'if [ -n "${{{name}+x}}" ]; then export {mark}_{name}="${name}"; fi')
    for name, value in sorted(settings.variables.items()):
        lines.append(f'export {name}="{value}"')
    for name, words in sorted(settings.flags.items()):
        lines.append(f'export {name}="{" ".join(words)}${{{name}:+ ${name}}}"')
    if settings.build_flags or settings.build_variables:
        lines.append(f"if [ {_IN_BUILD} ]; then")
        for name, value in sorted(settings.build_variables.items()):
            lines.append(f'  export {name}="{value}"')
        for name, words in sorted(settings.build_flags.items()):
            lines.append(f'  export {name}="{" ".join(words)}${{{name}:+ ${name}}}"')
        lines.append("fi")
    lines.append("unset _smelt_prefix _smelt_tools _smelt_output")
    return "\n".join(lines) + "\n"


def deactivate_script(package: str, settings: Settings) -> str:
    """The counterpart for ``etc/conda/deactivate.d``: every variable is as it was."""
    mark = _mark(package)
    lines = [f"# puts back what {package} set"]
    for name in settings.names:
        kept = f"{mark}_{name}"
        lines.append(f'if [ -n "${{{kept}+x}}" ]; then export {name}="${kept}"; unset {kept}; else unset {name}; fi')
    return "\n".join(lines) + "\n"


def _mark(package: str) -> str:
    return "_SMELT_" + re.sub(r"\W", "_", package).upper()


def add_scripts(
    edit: Edit,
    name: str,
    version: str,
    platform: str,
    depends: tuple[str, ...],
    settings: Settings,
    identity: Mapping[str, object],
) -> Addition:
    """Add a package that only activates a compiler."""
    activate, deactivate = activate_script(name, settings), deactivate_script(name, settings)
    head = PackageHead(
        name=name,
        version=version,
        build="",
        subdir=platform,
        depends=depends,
        summary=f"A compiler of the machine this channel was made on, for {platform}",
        identity={**identity, "scripts": [activate, deactivate]},
    )
    head = edit.build_string(head, "h")
    files = (
        PackageFile(path=f"etc/conda/activate.d/activate-{name}.sh", content=activate.encode()),
        PackageFile(path=f"etc/conda/deactivate.d/deactivate-{name}.sh", content=deactivate.encode()),
    )
    return edit.add(head, lambda _work: Package(head=head, entries=files))
