"""Pins on other outputs of the same recipe: what they say once versions and build strings are known."""

from __future__ import annotations

from collections.abc import Mapping

from smelt.errors import SourceError


def subpackage_text(pin: Mapping[str, object], version: str, build: str) -> str:
    """The requirement that a ``pin_subpackage`` of a rendered recipe makes of ``version`` ``build``.

    Raises SourceError for a bound that cannot be applied. Source: rattler-build's page "Jinja", pins.
    """
    name = str(pin.get("name", "")).lower()
    if pin.get("exact"):
        return f"{name} =={version} {build}"
    bounds: list[str] = []
    lower, upper = pin.get("lower_bound"), pin.get("upper_bound")
    if lower is not None:
        bounds.append(f">={_lower(str(lower), version)}")
    if upper is not None:
        bounds.append(f"<{_upper(name, str(upper), version)}")
    text = f"{name} {','.join(bounds)}".strip()
    return f"{text} {pin['build']}" if pin.get("build") else text


def _segments(bound: str) -> int | None:
    """How many segments an expression such as ``x.x`` keeps; None for a plain version."""
    return bound.count("x") if not set(bound) - {"x", "."} else None


def _lower(bound: str, version: str) -> str:
    count = _segments(bound)
    if count is None:
        return bound
    from rattler import Version

    parsed = Version(version)
    return str(parsed.with_segments(0, min(count, parsed.segment_count)))


def _upper(name: str, bound: str, version: str) -> str:
    count = _segments(bound)
    if count is None:
        return bound
    from rattler import Version, exceptions

    parsed = Version(version)
    try:
        kept = parsed.with_segments(0, min(count, parsed.segment_count))
        return str(kept.bump_segment(count - 1).with_alpha().remove_local())
    except exceptions.VersionBumpError as error:
        raise SourceError(
            f"the pin on {name} cannot be applied to version {version}: {error}", code="invalid-pin"
        ) from error
