"""What the settings, the stored credentials and the environment say of a bucket."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from smelt.config.buckets import bucket_options
from smelt.config.network import Network
from smelt.errors import ConfigError

OPTIONS = (
    's3-options = { "parcels" = { "endpoint-url" = "https://s3.example", '
    '"region" = "eu", "force-path-style" = true } }\n'
)


def test_options_of_the_settings(tmp_path: Path) -> None:
    auth = tmp_path / "credentials.json"
    found = {"access_key_id": "key", "secret_access_key": "s3cret", "session_token": None}
    auth.write_text(json.dumps({"s3://parcels": {"S3Credentials": found}}))
    environment = {"RATTLER_AUTH_FILE": str(auth), "AWS_ENDPOINT_URL": "https://other.example", "AWS_REGION": "us"}
    options = bucket_options("s3://parcels/a/b/", Network(rattler=OPTIONS), environment)
    assert (options.bucket, options.prefix, options.url) == ("parcels", "a/b", "s3://parcels/a/b")
    assert (options.endpoint, options.region, options.path_style) == ("https://s3.example", "eu", True)
    assert (options.access_key, options.secret_key, options.session_token) == ("key", "s3cret", None)
    assert "s3cret" not in repr(options)
    # the environment's own credentials go first, and are left to it
    assert (
        bucket_options("s3://parcels", Network(rattler=OPTIONS), {**environment, "AWS_ACCESS_KEY_ID": "x"}).access_key
        is None
    )


def test_options_of_the_environment(tmp_path: Path) -> None:
    environment = {"RATTLER_AUTH_FILE": str(tmp_path / "none"), "AWS_ENDPOINT_URL": "https://other.example"}
    options = bucket_options("s3://parcels", Network(rattler=OPTIONS.replace("parcels", "others")), environment)
    assert (options.endpoint, options.path_style, options.region) == ("https://other.example", True, None)
    plain = bucket_options("s3://parcels", Network(), {"RATTLER_AUTH_FILE": str(tmp_path / "none")})
    assert (plain.endpoint, plain.path_style) == (None, False)


@pytest.mark.parametrize(
    "text", ["s3://", "s3:///x", "https://bucket/x", "s3://user:s3cret@bucket/x", "s3://bucket/x?y=1"]
)
def test_what_names_no_bucket(text: str) -> None:
    with pytest.raises(ConfigError, match="does not name a bucket") as caught:
        bucket_options(text, Network(), {})
    assert "s3cret" not in caught.value.message
