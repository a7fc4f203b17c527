"""A real S3 server."""

from __future__ import annotations

import logging
import urllib.request
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import pytest

from smelt.fs.bucket import Bucket, BucketOptions

KEY, SECRET, REGION = "test-key", "test-secret", "us-east-1"


@contextmanager
def s3_server(monkeypatch: pytest.MonkeyPatch, name: str = "parcels") -> Generator[Bucket]:
    """moto's S3 server with the empty bucket ``name``; the environment has its address and credentials."""
    pytest.importorskip("obstore", reason="the extra `s3` is not installed")
    pytest.importorskip("flask", reason="moto[server] is not installed")
    server: Any = pytest.importorskip("moto.server", reason="moto[server] is not installed")
    boto3: Any = pytest.importorskip("boto3", reason="moto[server] is not installed")
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    running = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    try:
        host, port = running.get_host_and_port()
        url = f"http://{host}:{port}"
        for variable, value in (
            ("AWS_ACCESS_KEY_ID", KEY),
            ("AWS_SECRET_ACCESS_KEY", SECRET),
            ("AWS_REGION", REGION),
            ("AWS_ENDPOINT_URL", url),
        ):
            monkeypatch.setenv(variable, value)
        for variable in ("AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_DEFAULT_REGION"):
            monkeypatch.delenv(variable, raising=False)
        # what it serves is kept in the process, for all servers of it
        urllib.request.urlopen(urllib.request.Request(f"{url}/moto-api/reset", method="POST"), timeout=10).close()
        boto3.client("s3", endpoint_url=url, region_name=REGION).create_bucket(Bucket=name)
        yield Bucket(BucketOptions(bucket=name, endpoint=url, region=REGION, path_style=True))
    finally:
        running.stop()
