"""What the settings and the stored credentials say of a bucket."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

import tomli

from smelt.config.network import Network
from smelt.errors import ConfigError
from smelt.fs.bucket import BucketOptions


def bucket_options(url: str, network: Network, environment: Mapping[str, str] | None = None) -> BucketOptions:
    """The bucket of ``s3://bucket/prefix``, reached as ``s3-options`` of the settings or the workspace say.

    Credentials are those of the environment (``AWS_ACCESS_KEY_ID`` …), else those stored for the bucket in the
    credentials file (rattler's, ``pixi auth login``). Raises ConfigError for a text that names no bucket.
    """
    environment = os.environ if environment is None else environment
    parts = urlsplit(url)
    if parts.scheme != "s3" or not parts.hostname or parts.query or parts.fragment or "@" in parts.netloc:
        raise ConfigError(
            f"`{parts._replace(netloc=parts.hostname or '').geturl()}` does not name a bucket",
            code="config-value",
            help="write `s3://BUCKET` or `s3://BUCKET/FOLDER`, without credentials",
        )
    settings = cast("Mapping[str, object]", tomli.loads(network.rattler))
    own = _table(_table(settings.get("s3-options")).get(parts.netloc))
    nothing: Mapping[str, object] = {}
    stored = nothing if environment.get("AWS_ACCESS_KEY_ID") else _stored(parts.netloc, settings, environment)
    endpoint = (
        _text(own, "endpoint-url") or environment.get("AWS_ENDPOINT_URL_S3") or environment.get("AWS_ENDPOINT_URL")
    )
    return BucketOptions(
        bucket=parts.netloc,
        prefix=parts.path.strip("/"),
        endpoint=endpoint,
        region=_text(own, "region") or environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION"),
        path_style=own.get("force-path-style") is True or (not own and endpoint is not None),
        access_key=_text(stored, "access_key_id"),
        secret_key=_text(stored, "secret_access_key"),
        session_token=_text(stored, "session_token"),
        timeout=network.timeout,
    )


def _stored(bucket: str, settings: Mapping[str, object], environment: Mapping[str, str]) -> Mapping[str, object]:
    """The credentials in rattler's file; empty where there are none."""
    override = _text(settings, "authentication-override-file") or environment.get("RATTLER_AUTH_FILE")
    path = Path(override).expanduser() if override else Path.home() / ".rattler" / "credentials.json"
    try:
        data = _table(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return {}
    for name in (f"s3://{bucket}", bucket):
        found = _table(_table(data.get(name)).get("S3Credentials"))
        if found:
            return found
    return {}


def _table(value: object) -> Mapping[str, object]:
    return cast("Mapping[str, object]", value) if isinstance(value, Mapping) else {}


def _text(table: Mapping[str, object], key: str) -> str | None:
    value = table.get(key)
    return value if isinstance(value, str) and value else None
