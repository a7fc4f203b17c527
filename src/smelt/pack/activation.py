"""What packages want to happen when their environment is activated, read out of the packages.

Source: conda's ``etc/conda/activate.d`` and ``etc/conda/env_vars.d``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from smelt.errors import PackError
from smelt.pack.linked import Part
from smelt.pack.packagefile import read_members

_VARIABLES = "etc/conda/env_vars.d/"
_SCRIPTS = "etc/conda/activate.d/"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Activation:
    """Variables, and scripts for POSIX shells and for fish (paths in the prefix)."""

    variables: Mapping[str, str] = field(hash=False)
    scripts: tuple[str, ...]
    fish: tuple[str, ...]


def activation(parts: Iterable[Part]) -> Activation:
    """What the packages want, in the order in which it is applied. Raises PackError (``pack-package``), OSError."""
    scripts: list[str] = []
    texts: dict[str, bytes] = {}
    for part in parts:
        wanted = {old: new for old, new in part.files.items() if new.startswith(_VARIABLES) and new.endswith(".json")}
        if wanted and part.item.file.path is not None:
            found = read_members(part.item.file.path, wanted, info=False)
            texts |= {wanted[old]: data for old, data in found.items()}
        scripts += [new for new in part.files.values() if new.startswith(_SCRIPTS)]
    variables: dict[str, str] = {}
    for name, data in sorted(texts.items()):
        try:
            variables |= {str(key): str(value) for key, value in json.loads(data).items()}
        except (ValueError, AttributeError) as error:
            raise PackError(f"{name} is not readable ({error})", code="pack-package") from error
    bad = next((name for name in variables if not _NAME.fullmatch(name)), None)
    if bad is not None:
        raise PackError(f"{bad!r} cannot be the name of a variable", code="pack-package")
    return Activation(
        variables=variables,
        scripts=tuple(sorted(name for name in scripts if name.endswith(".sh"))),
        fish=tuple(sorted(name for name in scripts if name.endswith(".fish"))),
    )
