"""What the settings say of the network, as one value that everything is given which reaches it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import cast

from smelt.config.settings import Settings
from smelt.errors import ConfigError
from smelt.text import toml_basic

DOWNLOADS = 50
"""How many requests are under way at the same time where no setting says otherwise; as the reference."""

TIMEOUT = 300
"""Seconds after which a request that brings nothing is given up; as the reference."""

_SHARED = ("tls-no-verify", "tls-root-certs", "proxy-config", "authentication-override-file", "mirrors")
_FORMATS = ("disable-zstd", "disable-bzip2", "disable-sharded")
_NOTHING: Mapping[str, Mapping[str, object]] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Repodata:
    """Which forms of an index are asked for."""

    zstd: bool = True
    bzip2: bool = True
    sharded: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """How the network is reached, if at all.

    ``offline``: only what is cached, and ``file://``. ``rattler``: TOML that rattler's own configuration understands
    (certificates, proxies, credentials, mirrors, buckets). ``per_channel``: the forms for addresses that begin so.
    ``solves`` None: one per core. ``insecure_hosts`` and ``keyring`` are for PyPI. ``timeout``: seconds.
    """

    offline: bool = False
    rattler: str = ""
    repodata: Repodata = field(default_factory=Repodata)
    per_channel: tuple[tuple[str, Repodata], ...] = ()
    downloads: int = DOWNLOADS
    solves: int | None = None
    timeout: int = TIMEOUT
    verify: bool = True
    system_certificates: bool = False
    insecure_hosts: tuple[str, ...] = ()
    keyring: str | None = None
    proxies: tuple[tuple[str, str], ...] = ()


def network_of(
    settings: Settings,
    buckets: Mapping[str, Mapping[str, object]] = _NOTHING,
    environment: Mapping[str, str] | None = None,
) -> Network:
    """What ``settings`` and the ``s3-options`` of a workspace (``buckets``, which go first) say.

    ``SMELT_HTTP_TIMEOUT`` (seconds) shortens or lengthens the patience. Raises ConfigError where it is no number.
    """
    environment = os.environ if environment is None else environment
    shared = {key: value for key in _SHARED if (value := settings.get(key)) is not None}
    if "proxy-config" in shared and any(environment.get(f"{kind}_proxy") for kind in ("http", "https")):
        del shared["proxy-config"]  # the variables go before the settings
    s3 = {**cast("Mapping[str, object]", settings.get("s3-options") or {}), **buckets}
    tables = {**shared, **({"s3-options": s3} if s3 else {})}
    repodata = cast("Mapping[str, object]", settings.get("repodata-config") or {})
    default = _forms(repodata, {})
    channels = {key: cast("Mapping[str, object]", each) for key, each in repodata.items() if isinstance(each, Mapping)}
    return Network(
        offline=settings.offline,
        rattler="".join(f"{key} = {_toml(value)}\n" for key, value in sorted(tables.items())),
        repodata=default,
        per_channel=tuple(
            (url, _forms(options, repodata)) for url, options in sorted(channels.items(), key=lambda item: item[0])
        ),
        downloads=cast("int | None", settings.get("concurrency", "downloads")) or DOWNLOADS,
        solves=cast("int | None", settings.get("concurrency", "solves")),
        timeout=_timeout(environment),
        verify=settings.get("tls-no-verify") is not True,
        system_certificates=settings.get("tls-root-certs") in ("system", "native", "all"),
        insecure_hosts=tuple(cast("Sequence[str]", settings.get("pypi-config", "allow-insecure-host") or ())),
        keyring=cast("str | None", settings.get("pypi-config", "keyring-provider")),
        proxies=tuple(sorted(settings.proxies.items())),
    )


def _forms(own: Mapping[str, object], general: Mapping[str, object]) -> Repodata:
    off = {key: own.get(key, general.get(key)) is True for key in _FORMATS}
    return Repodata(zstd=not off["disable-zstd"], bzip2=not off["disable-bzip2"], sharded=not off["disable-sharded"])


def _timeout(environment: Mapping[str, str]) -> int:
    text = environment.get("SMELT_HTTP_TIMEOUT", "")
    if not text:
        return TIMEOUT
    if not text.isdigit() or int(text) == 0:
        raise ConfigError(
            f"SMELT_HTTP_TIMEOUT is {text!r}: it must be a number of seconds, 1 or more", code="config-value"
        )
    return int(text)


def _toml(value: object) -> str:
    """A value on one line."""
    if isinstance(value, Mapping):
        items = cast("Mapping[str, object]", value).items()
        return "{ " + ", ".join(f"{toml_basic(key)} = {_toml(each)}" for key, each in items if each is not None) + " }"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_toml(each) for each in cast("Sequence[object]", value)) + "]"
    return toml_basic(value if isinstance(value, (str, bool, int, float)) else str(value))
