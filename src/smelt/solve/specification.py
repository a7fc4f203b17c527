"""Requirements as users type them: MatchSpec texts (CEP 29) as rattler reads them, leniently."""

from __future__ import annotations

import re
from typing import Any

from smelt.errors import UsageError
from smelt.types import CondaSpec, normalize_name

_BRACKET = re.compile(r'([A-Za-z][A-Za-z0-9_-]*)=(?:"((?:[^"\\]|\\.)*)"|\[([^\]]*)\])')
_DEFAULT_SERVER = "https://conda.anaconda.org/"
_ARCHIVE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://\S+(?:\.conda|\.tar\.bz2)(?:#\S*)?")


def parse_spec(text: str) -> tuple[str, CondaSpec]:
    """The name and the requirement of a MatchSpec text (``numpy>=1.22``, ``python=3.9``, ``a[build='*cuda*']``).

    ``python=3.9`` means ``3.9.*``, as on the command line of the reference. A channel of the default server is
    called by its name. Raises UsageError (``invalid-spec``).
    """
    from rattler import MatchSpec, exceptions

    spec: Any
    try:
        spec = MatchSpec(text.strip())
    except (
        exceptions.InvalidMatchSpecError,
        exceptions.InvalidVersionSpecError,
        exceptions.InvalidPackageNameError,
        exceptions.InvalidUrlError,
        exceptions.InvalidChannelError,
    ) as error:
        reason = str(error).partition("\nCaused by")[0]
        raise UsageError(f"`{text}` is not a requirement: {reason}", code="invalid-spec") from None
    written = str(spec)
    brackets = {key: value or items for key, value, items in _BRACKET.findall(written)}
    channel = spec.channel
    url = brackets.get("url") or (text.strip() if _ARCHIVE.fullmatch(text.strip()) else None)

    def items(key: str) -> tuple[str, ...]:
        return tuple(part.strip().strip("'\"") for part in brackets.get(key, "").split(",") if part.strip())

    def digest(value: Any) -> str | None:
        return bytes(value).hex() if value is not None else None

    return normalize_name(str(spec.name.normalized)), CondaSpec(
        version=_text(spec.version),
        build=_text(spec.build),
        build_number=_text(spec.build_number),
        file_name=_text(spec.file_name),
        channel=_channel(str(channel.base_url)) if channel is not None and url is None else None,
        subdir=_text(spec.subdir) if url is None else None,
        license=brackets.get("license"),
        license_family=brackets.get("license_family"),
        md5=digest(spec.md5),
        sha256=digest(spec.sha256),
        url=url,
        track_features=items("track_features"),
        flags=items("flags"),
        extras=tuple(spec.extras or ()),
        when=_text(spec.condition),
    )


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _channel(base: str) -> str:
    return (base.removeprefix(_DEFAULT_SERVER) if base.startswith(_DEFAULT_SERVER) else base).rstrip("/")
