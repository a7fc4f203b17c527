"""MatchSpec texts and pins, as rattler-build writes them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from smelt.errors import BuildError


@lru_cache(maxsize=4096)
def canonical(text: str) -> str:
    """The one text form of a requirement: what rattler prints for it. Raises BuildError (``invalid-spec``)."""
    from rattler import MatchSpec, exceptions

    try:
        return str(MatchSpec(text, strict=False))
    except (
        exceptions.InvalidMatchSpecError,
        exceptions.InvalidVersionSpecError,
        exceptions.InvalidPackageNameError,
    ) as error:
        raise BuildError(f"`{text}` is not a valid requirement: {error}", code="invalid-spec") from error


def pin_of(item: Mapping[str, object]) -> tuple[str, Mapping[str, object]]:
    """The kind (``pin_compatible``, ``pin_subpackage``) and the arguments of a pin.

    Raises BuildError (``invalid-pin``).
    """
    for kind in ("pin_compatible", "pin_subpackage"):
        arguments = item.get(kind)
        if isinstance(arguments, Mapping) and isinstance(arguments.get("name"), str):  # pyright: ignore[reportUnknownMemberType]
            return kind, arguments  # pyright: ignore[reportUnknownVariableType]
    raise BuildError(f"a requirement that is neither text nor a pin: {dict(item)!r}", code="invalid-pin")


def apply_pin(arguments: Mapping[str, object], version: str, build: str) -> str:
    """What a pin says of the package ``version`` ``build``.

    ``lower_bound`` and ``upper_bound`` are either expressions (``x.x``: that many segments) or versions;
    ``exact`` names version and build. A pin that leaves both out has none of them (rendering has filled in
    the defaults). Raises BuildError (``invalid-pin``). Source: rattler-build's page "Jinja functions", pins.
    """
    name = str(arguments["name"]).lower()
    wanted_build = arguments.get("build")
    if arguments.get("exact"):
        if wanted_build is not None:
            raise BuildError(f"the pin on {name} is exact and names a build too", code="invalid-pin")
        return canonical(f"{name} =={version} {build}")
    bounds: list[str] = []
    lower, upper = arguments.get("lower_bound"), arguments.get("upper_bound")
    if lower is not None:
        bounds.append(f">={_lower(str(lower), version, name)}")
    if upper is not None:
        bounds.append(f"<{_upper(str(upper), version, name)}")
    text = f"{name} {','.join(bounds)}".strip()
    return canonical(f"{text} {wanted_build}" if wanted_build is not None else text)


def _is_expression(bound: str) -> bool:
    return not set(bound) - {"x", "."}


def _segments(bound: str, name: str) -> int:
    count = bound.count("x")
    if count == 0:
        raise BuildError(f"the pin on {name} has an empty bound", code="invalid-pin", help="write at least `x`")
    return count


def _lower(bound: str, version: str, name: str) -> str:
    if not _is_expression(bound):
        return bound
    from rattler import Version

    parsed = Version(version)
    return str(parsed.with_segments(0, min(_segments(bound, name), parsed.segment_count)))


def _upper(bound: str, version: str, name: str) -> str:
    if not _is_expression(bound):
        return bound
    from rattler import Version, exceptions

    count = _segments(bound, name)
    parsed = Version(version)
    try:
        kept = parsed.with_segments(0, min(count, parsed.segment_count))
        return str(kept.bump_segment(count - 1).with_alpha().remove_local())
    except exceptions.VersionBumpError as error:
        raise BuildError(
            f"the pin on {name} cannot be applied to version {version}: {error}", code="invalid-pin"
        ) from error
