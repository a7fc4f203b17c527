"""What the settings say of the network has effect on package lists, packages and builds. Real servers on loopback."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from network_kit import Server, config, content, credentials, fill, self_signed, serving

from spine_kit import Channel, manifest, posix, recipe, smelt


def installed(root: Path) -> bool:
    """Whether ``beta`` and what it needs are in the default environment."""
    return all((root / f".pixi/envs/default/share/{name}.txt").is_file() for name in ("alpha", "beta"))


def test_a_mirror_takes_the_place_of_a_channel(tmp_path: Path, server: Server) -> None:
    root = tmp_path / "mirrored"
    manifest(root, ["https://channel.example/things"], '[dependencies]\nbeta = "*"\n')
    config(root, f'[mirrors]\n"https://channel.example/things" = ["{server.url}"]\n')
    done = smelt(root, "install")
    assert done.returncode == 0, done.stderr
    assert installed(root)
    lock = (root / "pixi.lock").read_text()
    assert "https://channel.example/things/noarch/alpha-2.0-0.conda" in lock
    assert server.url not in lock


def test_the_next_mirror_where_one_is_broken(tmp_path: Path, server: Server) -> None:
    root = tmp_path / "mirrored"
    manifest(root, ["https://channel.example/things"], '[dependencies]\nbeta = "*"\n')
    with serving(tmp_path / "empty") as broken:
        broken.authorization = "nobody has this"
        config(root, f'[mirrors]\n"https://channel.example/things" = ["{broken.url}", "{server.url}"]\n')
        done = smelt(root, "install")
    # rattler goes on to the next mirror after server errors, not after a refusal
    assert done.returncode == 1
    assert "401" in done.stderr


@pytest.mark.parametrize("kind", ["basic", "bearer", "conda-token"])
def test_credentials(kind: str, workspace: Path, server: Server, tmp_path: Path) -> None:
    path = tmp_path / "credentials.json"
    if kind == "basic":
        server.wants_basic("me", "s3cret")
        path.write_text(json.dumps({"127.0.0.1": {"BasicHTTP": {"username": "me", "password": "s3cret"}}}))
    elif kind == "bearer":
        server.wants_bearer("s3cret")
        path.write_text(json.dumps({"127.0.0.1": {"BearerToken": "s3cret"}}))
    else:
        server.wants_conda_token("s3cret")
        path.write_text(json.dumps({"127.0.0.1": {"CondaToken": "s3cret"}}))
    refused = smelt(workspace, "lock")
    assert refused.returncode == 1
    assert "it wants credentials" in refused.stderr
    for how in ("RATTLER_AUTH_FILE", "--auth-file", "authentication-override-file"):
        shutil.rmtree(tmp_path / "cache", ignore_errors=True)
        shutil.rmtree(workspace / ".pixi", ignore_errors=True)
        (workspace / "pixi.lock").unlink(missing_ok=True)
        env, options = None, list[str]()
        if how == "RATTLER_AUTH_FILE":
            env = {how: str(path)}
        elif how == "--auth-file":
            options = [how, str(path)]
        else:
            config(workspace, f"{how} = {json.dumps(str(path))}\n")
        done = smelt(workspace, "install", *options, env=env)
        assert done.returncode == 0, done.stderr
        assert installed(workspace)
        assert "s3cret" not in done.stderr + (workspace / "pixi.lock").read_text()


@posix
def test_a_build_takes_packages_from_a_channel_that_wants_credentials(
    workspace: Path, server: Server, tmp_path: Path
) -> None:
    recipe(workspace, "made", host=["beta"], script=["test -f $PREFIX/share/beta.txt", "mkdir -p $PREFIX/share"])
    manifest(workspace, [server.url], '[dependencies]\nmade = { path = "made" }\n')
    server.wants_bearer("s3cret")
    path = credentials(tmp_path / "credentials.json", "127.0.0.1", "BearerToken", token="s3cret")
    done = smelt(workspace, "install", "--auth-file", str(path))
    assert done.returncode == 0, done.stderr


def test_credentials_in_an_address_are_not_shown(tmp_path: Path, server: Server) -> None:
    root = tmp_path / "secret"
    manifest(root, [f"http://me:hush@{server.host}"], '[dependencies]\nbeta = "*"\n')
    server.wants_basic("me", "other")
    done = smelt(root, "lock")
    assert done.returncode == 1
    assert "hush" not in done.stderr
    server.wants_basic("me", "hush")
    for command in (["install", "-v"], ["info"], ["list"], ["search", "beta"], ["workspace", "channel", "list"]):
        done = smelt(root, *command)
        assert done.returncode == 0, done.stderr
        assert "hush" not in done.stdout + done.stderr, command


def test_a_broken_file_with_credentials(workspace: Path, tmp_path: Path) -> None:
    path = tmp_path / "credentials.json"
    path.write_text("{ not json")
    done = smelt(workspace, "lock", "--auth-file", str(path))
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl to make a certificate")
def test_certificates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate = self_signed(tmp_path)
    with serving(tmp_path / "served", certificate) as server:
        fill(server.folder)
        root = tmp_path / "ws"
        manifest(root, [server.url], '[dependencies]\nbeta = "*"\n')
        monkeypatch.delenv("SSL_CERT_FILE", raising=False)
        monkeypatch.delenv("SSL_CERT_DIR", raising=False)
        refused = smelt(root, "lock")
        assert refused.returncode == 1
        assert "certificate" in refused.stderr
        assert "tls-root-certs" in refused.stderr
        # where the system's roots are asked for, this variable names them
        trusted = smelt(root, "lock", "--tls-root-certs", "system", env={"SSL_CERT_FILE": str(certificate)})
        assert trusted.returncode == 0, trusted.stderr
        done = smelt(root, "install", "--tls-no-verify")
        assert done.returncode == 0, done.stderr
        assert installed(root)


def test_a_proxy(tmp_path: Path, server: Server) -> None:
    root = tmp_path / "ws"
    manifest(root, ["http://channel.example/"], '[dependencies]\nbeta = "*"\n')
    config(root, f'[proxy-config]\nhttp = "{server.url}"\n')
    smelt(root, "lock")
    # a proxy is asked for whole addresses
    assert any(path.startswith("http://channel.example/") for path in server.asked)


def shard(folder: Path) -> None:
    """Write the sharded form of an index, and nothing else."""
    import asyncio

    from rattler.index import index_fs

    asyncio.run(index_fs(folder, write_zst=False, write_shards=True))


def test_shards(tmp_path: Path) -> None:
    with serving(tmp_path / "served") as server:
        channel = Channel(server.folder)
        channel.add("alpha")
        channel.add("beta", depends=["alpha"])
        shard(server.folder)
        root = tmp_path / "ws"
        manifest(root, [server.url], '[dependencies]\nbeta = "*"\n')
        assert smelt(root, "lock").returncode == 0
        locked = (root / "pixi.lock").read_bytes()
        assert any("/shards/" in path for path in server.asked)
        (root / "pixi.lock").unlink()
        shutil.rmtree(tmp_path / "cache")
        server.asked.clear()
        config(root, f'[repodata-config."{server.url}"]\ndisable-sharded = true\n')
        assert smelt(root, "lock").returncode == 0
        assert not any("shards" in path for path in server.asked)
        assert (root / "pixi.lock").read_bytes() == locked


def test_shards_offline(tmp_path: Path) -> None:
    with serving(tmp_path / "served") as server:
        channel = Channel(server.folder)
        channel.add("alpha")
        channel.add("beta", depends=["alpha"])
        channel.add("other")
        shard(server.folder)
        root = tmp_path / "ws"
        path = manifest(root, [server.url], '[dependencies]\nbeta = "*"\n')
        assert smelt(root, "install").returncode == 0
        locked = (root / "pixi.lock").read_bytes()
        (root / "pixi.lock").unlink()
        server.asked.clear()
        done = smelt(root, "lock", "--offline")
        assert done.returncode == 0, done.stderr
        assert (root / "pixi.lock").read_bytes() == locked
        path.write_text(path.read_text() + 'other = "*"\n')  # whose shard was never asked for
        done = smelt(root, "lock", "--offline")
        assert done.returncode == 1
        assert "other" in done.stderr and "offline" in done.stderr
        assert server.asked == []


@pytest.mark.parametrize("form", ["zstd", "bzip2"])
def test_forms_of_repodata(form: str, workspace: Path, server: Server) -> None:
    end = {"zstd": ".json.zst", "bzip2": ".json.bz2"}[form]
    config(workspace, f"[repodata-config]\ndisable-{form} = true\n")
    assert smelt(workspace, "lock").returncode == 0
    assert not any(path.endswith(end) for path in server.asked)


def test_downloads_at_the_same_time(tmp_path: Path) -> None:
    import threading

    busy, most, lock = 0, 0, threading.Lock()

    def counted(handler: object) -> None:
        nonlocal busy, most
        with lock:
            busy += 1
            most = max(most, busy)
        threading.Event().wait(0.05)
        with lock:
            busy -= 1
        data = Path(handler.translate_path(handler.path)).read_bytes()  # type: ignore[attr-defined]
        content(data)(handler)  # type: ignore[arg-type]

    with serving(tmp_path / "served") as server:
        channel = Channel(server.folder)
        names = [f"p{number}" for number in range(8)]
        for name in names:
            channel.add(name)
        channel.index()
        root = tmp_path / "ws"
        manifest(root, [server.url], "[dependencies]\n" + "".join(f'{name} = "*"\n' for name in names))
        assert smelt(root, "lock").returncode == 0
        server.answers[".conda"] = counted
        assert smelt(root, "install", "--concurrent-downloads", "2").returncode == 0
    assert 1 <= most <= 2


def test_bad_values(workspace: Path) -> None:
    done = smelt(workspace, "lock", env={"SMELT_HTTP_TIMEOUT": "soon"})
    assert done.returncode != 0
    assert "SMELT_HTTP_TIMEOUT" in done.stderr
    assert "number of seconds" in done.stderr
