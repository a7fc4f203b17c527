"""Channels in S3 buckets and OCI registries: small servers that speak as much of both as a channel needs."""

from __future__ import annotations

import hashlib
import hmac
import json
import shutil
from collections.abc import Generator
from pathlib import Path
from urllib.parse import parse_qsl, quote, urlsplit

import pytest
from network_kit import Handler, Server, config, content, fill, self_signed, serving

from spine_kit import manifest, smelt

KEY, SECRET, REGION = "AKIAEXAMPLE", "a/secret+key", "eu-west-9"


def signature(handler: Handler) -> str:
    """What the signature of a presigned address must be (AWS Signature Version 4, query parameters)."""
    parts = urlsplit(handler.path)
    values = dict(parse_qsl(parts.query, keep_blank_values=True))
    values.pop("X-Amz-Signature", None)
    day = values["X-Amz-Date"][:8]
    scope = f"{day}/{REGION}/s3/aws4_request"
    canonical = "\n".join(
        [
            handler.command,
            parts.path,
            "&".join(f"{quote(key, safe='')}={quote(values[key], safe='')}" for key in sorted(values)),
            f"host:{handler.headers['Host']}\n",
            values["X-Amz-SignedHeaders"],
            "UNSIGNED-PAYLOAD",
        ]
    )
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    text = "\n".join(["AWS4-HMAC-SHA256", values["X-Amz-Date"], scope, digest])
    key = f"AWS4{SECRET}".encode()
    for part in (day, REGION, "s3", "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


def signed(handler: Handler) -> None:
    """The file, if the address is signed with our key."""
    values = dict(parse_qsl(urlsplit(handler.path).query))
    credential = values.get("X-Amz-Credential", "")
    if not credential.startswith(f"{KEY}/") or values.get("X-Amz-Signature") != signature(handler):
        handler.send_error(403)
        return
    path = Path(handler.translate_path(handler.path))
    if path.is_file():
        content(path.read_bytes())(handler)
    else:
        handler.send_error(404)


@pytest.fixture
def bucket(tmp_path: Path) -> Generator[Server]:
    """A server with the bucket ``parcels``, in which ``stable`` is a channel."""
    with serving(tmp_path / "s3") as running:
        fill(running.folder / "parcels" / "stable")
        running.answers[""] = signed
        yield running


@pytest.mark.parametrize("where", ["manifest", "configuration"])
def test_a_bucket(where: str, bucket: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    options = f'endpoint-url = "{bucket.url}", region = "{REGION}", force-path-style = true'
    root = tmp_path / "ws"
    table = f"s3-options.parcels = {{ {options} }}\n" if where == "manifest" else ""
    manifest(root, ["s3://parcels/stable"], table + '[dependencies]\nbeta = "*"\n')
    if where == "configuration":
        config(root, f"[s3-options.parcels]\n{options.replace(', ', chr(10))}\n")
    auth = tmp_path / "credentials.json"
    text = {"S3Credentials": {"access_key_id": KEY, "secret_access_key": "wrong", "session_token": None}}
    auth.write_text(json.dumps({"s3://parcels": text}))
    refused = smelt(root, "lock", "--auth-file", str(auth))
    assert refused.returncode == 1
    assert "s3://parcels/stable" in refused.stderr
    assert "X-Amz-Signature" not in refused.stderr
    text["S3Credentials"]["secret_access_key"] = SECRET
    auth.write_text(json.dumps({"s3://parcels": text}))
    done = smelt(root, "install", "--auth-file", str(auth))
    assert done.returncode == 0, done.stderr
    assert (root / ".pixi/envs/default/share/beta.txt").is_file()
    assert "s3://parcels/stable/noarch/alpha-2.0-0.conda" in (root / "pixi.lock").read_text()


def registry(handler: Handler) -> None:
    """Manifests and blobs of a channel, as ``conda-oci-mirror`` lays them out."""
    path = urlsplit(handler.path).path
    if path == "/v2/":
        content(b"{}")(handler)
        return
    folder = handler.state.folder
    kind = "manifests" if "/manifests/" in path else "blobs"
    name, _, reference = path.removeprefix("/v2/").rpartition(f"/{kind}/")
    if kind == "blobs":
        digest = reference.removeprefix("sha256:")
        for file in folder.rglob("*"):
            if file.is_file() and hashlib.sha256(file.read_bytes()).hexdigest() == digest:
                content(file.read_bytes())(handler)
                return
        handler.send_error(404)
        return
    if name.endswith("/repodata.json"):
        files = {"application/vnd.conda.repodata.v1+json": folder / name}
    else:
        files = {"application/vnd.conda.package.v2": folder / f"{name}-{reference}.conda"}
    layers = [
        {"mediaType": media, "digest": f"sha256:{hashlib.sha256(file.read_bytes()).hexdigest()}", "size": 1}
        for media, file in files.items()
        if file.is_file()
    ]
    if not layers:
        handler.send_error(404)
        return
    content(json.dumps({"schemaVersion": 2, "config": layers[0], "layers": layers}).encode())(handler)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl to make a certificate")
def test_a_registry(tmp_path: Path) -> None:
    certificate = self_signed(tmp_path)
    try:
        with serving(tmp_path / "oci", certificate, port=443) as running:
            fill(running.folder / "stable")
            running.answers[""] = registry
            root = tmp_path / "ws"
            manifest(root, ["oci://127.0.0.1/stable"], '[dependencies]\nbeta = "*"\n')
            done = smelt(root, "install", "--tls-no-verify")
            assert done.returncode == 0, done.stderr
            assert (root / ".pixi/envs/default/share/beta.txt").is_file()
            assert "oci://127.0.0.1/stable/noarch/alpha-2.0-0.conda" in (root / "pixi.lock").read_text()
    except PermissionError:
        pytest.skip("a registry has no other port than 443, which may not be had here")
    except OSError as error:
        pytest.skip(f"a registry has no other port than 443: {error}")
