"""rattler's client and gateway, and uv's variables, as the settings of the network want them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn
from urllib.parse import urlsplit

from smelt.config.network import Network, Repodata
from smelt.errors import ConfigError

if TYPE_CHECKING:
    from rattler import Client, Gateway
    from rattler.repo_data.gateway import SourceConfig

_RETRIES = 3
_WORTH_A_RETRY = 10
"""Who has less patience than so many seconds does not want to wait for another try."""

_CREDENTIALS = re.compile(r"(?<=://)[^/\s\"'`]+@")
_SIGNED = re.compile(r"\?[^\s\"'`)]*X-Amz-[^\s\"'`)]*", re.IGNORECASE)
_ADDRESS = re.compile(r"[A-Za-z][\w+.-]*:/+\S*|(?<![\w/])/\S+|\b[\w.-]+:\d+\b")
_TOKEN = re.compile(r"/t/[^/\s\"'`)]+")


def client(network: Network, *, timeout: int | None = None, headers: Mapping[str, str] | None = None) -> Client:
    """A client for ``network``; offline, one that refuses every request.

    ``timeout``: seconds that a whole request may take (default: as long as it needs). ``headers``: sent with every
    request, so such a client is for one host. Raises ConfigError where rattler cannot obey a setting (a file with
    credentials that is none, a proxy that is no address).
    """
    from rattler import Client
    from rattler.networking.middleware import AddHeadersMiddleware

    if network.offline:
        return Client([AddHeadersMiddleware(_refuse)])
    from rattler.config import Config

    retries = min(_RETRIES, network.timeout // _WORTH_A_RETRY)
    try:
        config = Config.from_toml(network.rattler)
        return Client.from_config(config, retries, headers=dict(headers) if headers else None, timeout=timeout)
    except Exception as error:
        raise ConfigError(
            "the network settings of the configuration cannot be obeyed",
            code="config-network",
            notes=[redacted(str(error))],
            help="`smelt config list` shows them; SSL_CERT_FILE and SSL_CERT_DIR count too",
        ) from error


def _refuse(host: str, path: str) -> NoReturn:
    raise RuntimeError(f"smelt is offline, and {host}{path} would be asked for")


def gateway(network: Network, cache: Path) -> Gateway:
    """A gateway that keeps package lists in ``cache``; offline, one that takes them as they are there."""
    from rattler import Gateway

    return Gateway(
        cache_dir=cache / "repodata",
        default_config=_source(network.repodata, network),
        per_channel_config={url: _source(forms, network) for url, forms in network.per_channel},
        max_concurrent_requests=network.downloads,
        client=client(network, timeout=network.timeout),
    )


def _source(forms: Repodata, network: Network) -> SourceConfig:
    from rattler.repo_data.gateway import SourceConfig

    return SourceConfig(
        zstd_enabled=forms.zstd,
        bz2_enabled=forms.bzip2,
        sharded_enabled=forms.sharded,
        cache_action="force-cache-only" if network.offline else "cache-or-fetch",
    )


def uv_variables(network: Network, addresses: Iterable[str] = ()) -> Mapping[str, str]:
    """What uv is told of the network. ``addresses``: of the indexes, which are not verified with ``tls-no-verify``."""
    found: dict[str, str] = dict(network.proxies)
    if network.offline:
        found["UV_OFFLINE"] = "1"
    if network.system_certificates:
        found["UV_SYSTEM_CERTS"] = "1"
    if network.keyring is not None:
        found["UV_KEYRING_PROVIDER"] = network.keyring
    hosts = list(network.insecure_hosts)
    if not network.verify:
        hosts += [host for address in addresses if (host := _host(address)) is not None]
    if hosts:
        found["UV_INSECURE_HOST"] = " ".join(dict.fromkeys(hosts))
    found["UV_CONCURRENT_DOWNLOADS"] = str(network.downloads)
    return found


def _host(address: str) -> str | None:
    parts = urlsplit(address)
    return parts.netloc.rpartition("@")[2] or None if parts.scheme in ("http", "https") else None


def without_addresses(text: str) -> str:
    """``text`` without addresses and paths, whose numbers and words say nothing of what went wrong."""
    return _ADDRESS.sub(" ", text)


def redacted(text: str) -> str:
    """``text`` without the users, passwords, tokens and signatures of the addresses in it."""
    return _SIGNED.sub("", _TOKEN.sub("/t/*****", _CREDENTIALS.sub("*****@", text)))
