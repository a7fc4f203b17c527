"""Requirements of a package table as the texts that recipes hold."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping

from smelt.types import CondaSpec
from smelt.workspace.package import Pin, Requirement

_VERSION_PART = re.compile(r"[^,|()]+")
_EXACT = re.compile(r"[0-9A-Za-z][^*=<>!~\s]*")


def requirement_text(name: str, requirement: Requirement) -> str:
    """One entry of a dependency table as one entry of a recipe: a strict MatchSpec, or a pin in Jinja.

    A requirement that allows anything is the bare name, which is what variant keys apply to; a source
    dependency never takes a variant (as in the reference), so it gets an explicit ``*``.
    """
    if isinstance(requirement, Pin):
        return _pin_text(requirement)
    spec = dataclasses.replace(requirement, version=strict_version(requirement.version))
    version = spec.version
    bare = CondaSpec(version=version, location=spec.location, inline_package=spec.inline_package)
    if spec == bare:
        if version is None:
            return f"{name} *" if spec.is_source else name
        return f"{name} {version}"
    if spec == dataclasses.replace(bare, build=spec.build):
        return f"{name} {version or '*'} {spec.build}"
    text = spec.matchspec(name)
    if version is None and text.startswith(f"{name}["):
        # Restricted in another way, so no bare requirement: it must not take a variant either.
        return f'{name}[version="*", {text[len(name) + 1 :]}'
    return text


def strict_version(text: str | None) -> str | None:
    """A version as the manifest writes it, as recipes must: ``1.0`` means ``==1.0``; None for any version."""
    if text is None or text.strip() in ("", "*"):
        return None

    def exact(found: re.Match[str]) -> str:
        part = found[0].strip()
        return f"=={part}" if _EXACT.fullmatch(part) else part

    return _VERSION_PART.sub(exact, text.strip())


def needs_v3(text: str) -> bool:
    """Whether a requirement uses what only version 3 of repodata can say (extras, flags, conditions)."""
    return any(f"{key}=" in text for key in ("extras", "flags", "when"))


def is_template(text: str) -> bool:
    """Whether the entry is for rattler-build's Jinja."""
    return "${{" in text


def requirement_name(item: str | Mapping[str, object]) -> str:
    """The package that a rendered requirement (text or pin) is about, lower case."""
    if isinstance(item, str):
        head = item.partition("[")[0]
        if "::" in head:
            head = head.rpartition("::")[2]
        return re.split(r"[\s=<>!~]", head.strip(), maxsplit=1)[0].lower()
    for pin in item.values():
        if isinstance(pin, Mapping):
            return str(pin.get("name", "")).lower()  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]
    return ""


def apply_variant(item: str | Mapping[str, object], variant: Mapping[str, str]) -> str | Mapping[str, object]:
    """A build or host requirement with the value that the variant gives its package.

    Only a bare name takes a value; a value of letters, digits and dots means "starts with".
    Source: ``apply_variant`` of rattler-build (page "Variant configuration").
    """
    if not isinstance(item, str) or re.fullmatch(r"[A-Za-z0-9_.-]+", item) is None:
        return item
    value = variant.get(re.sub(r"[-.]", "_", item.lower()))
    if value is None:
        return item
    plain = all(character.isalnum() or character == "." for character in value)
    return f"{item} {value}.*" if plain else f"{item} {value}"


def _pin_text(pin: Pin) -> str:
    function = "pin_compatible" if pin.kind == "compatible" else "pin_subpackage"
    arguments = [json.dumps(pin.name)]
    if pin.exact:
        arguments.append("exact=True")
    else:
        # A missing bound means "no bound", not the default of the Jinja function.
        arguments.append(f"lower_bound={_jinja(pin.lower_bound)}")
        arguments.append(f"upper_bound={_jinja(pin.upper_bound)}")
        if pin.build is not None:
            arguments.append(f"build={_jinja(pin.build)}")
    return f"${{{{ {function}({', '.join(arguments)}) }}}}"


def _jinja(value: str | None) -> str:
    return "None" if value is None else json.dumps(value)
