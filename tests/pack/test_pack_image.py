"""Packs as container images: what is in them, what is reused, and what other programs make of them."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pack_kit import environment_files as files
from pack_kit import make_wheel, packed

from smelt.api.packing import PackOptions, pack, pack_content
from smelt.api.workspace import Workspace
from smelt.errors import PackError, UsageError
from smelt.pack.image import ImageOptions, reference, write_image
from smelt.pack.model import SilentReporter
from smelt.types import current_platform
from spine_kit import partial, smelt, tree

pytestmark = pytest.mark.skipif(
    not current_platform().startswith("linux-"), reason="images of this machine's environments are for Linux"
)


def blob(folder: Path, digest: str) -> Path:
    return folder / "blobs" / digest.replace(":", "/")


def read(folder: Path, described: dict[str, Any]) -> dict[str, Any]:
    return json.loads(blob(folder, described["digest"]).read_bytes())


def image(folder: Path, name: str = "default") -> tuple[dict[str, Any], dict[str, Any]]:
    """Manifest and configuration of an image."""
    found = {
        each["annotations"]["org.opencontainers.image.ref.name"]: each
        for each in json.loads((folder / "index.json").read_bytes())["manifests"]
    }
    manifest = read(folder, found[name])
    return manifest, read(folder, manifest["config"])


def spread(folder: Path, target: Path, name: str = "default") -> None:
    """Put the layers of an image onto one another, as a runtime does."""
    manifest, config = image(folder, name)
    for described, diff_id in zip(manifest["layers"], config["rootfs"]["diff_ids"], strict=True):
        data = blob(folder, described["digest"]).read_bytes()
        assert described["digest"] == f"sha256:{hashlib.sha256(data).hexdigest()}"
        assert described["size"] == len(data)
        plain = gzip.decompress(data)
        assert diff_id == f"sha256:{hashlib.sha256(plain).hexdigest()}"
        target.mkdir(parents=True, exist_ok=True)
        with tarfile.open(fileobj=io.BytesIO(plain)) as tar:
            for entry in tar:
                assert (entry.uid, entry.gid, entry.uname) == (0, 0, "")
                tar.extract(entry, target, filter="tar")


@pytest.fixture(scope="module")
def layout(ready: Workspace, shared: Path) -> Path:
    return packed(ready, shared / "image", format="oci", image=ImageOptions(prefix="/opt/a")).output or shared


def test_the_environment_in_it_is_the_one_that_is_unpacked(
    ready_python: Workspace, unpacked_ready: tuple[Path, dict[str, tuple[str, int]]], tmp_path: Path
) -> None:
    prefix, expected = unpacked_ready
    packed(ready_python, tmp_path / "image", format="oci", image=ImageOptions(prefix=str(prefix)))
    spread(tmp_path / "image", tmp_path / "root")
    (tmp_path / "root" / prefix.parent.relative_to("/")).rename(prefix.parent)
    assert files(prefix) == expected
    for command in ("tool-run", "app-run", "tool-script", "wakes", "wakes-link", "app-script", "mine"):
        subprocess.run([prefix / "bin" / command], check=True, capture_output=True)
    code = "import app, base, tool; print(app.version, base.version)"
    done = subprocess.run([prefix / "bin" / "python", "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "1.0 2.0\n"
    shutil.rmtree(prefix.parent)


def test_conda_records_are_those_that_rattler_reads(layout: Path, ready: Workspace, tmp_path: Path) -> None:
    from rattler import PrefixRecord

    spread(layout, tmp_path)
    prefix = tmp_path / "opt" / "a"
    records = [PrefixRecord.from_path(path) for path in (prefix / "conda-meta").glob("*.json")]
    assert {"python", "tool", "wakes", "mine"} <= {record.name.normalized for record in records}
    for record in records:
        for path in record.files:
            assert os.path.lexists(prefix / path)
    text = "".join(path.read_text(encoding="utf-8") for path in (prefix / "conda-meta").glob("*.json"))
    assert str(ready.model.root) not in text
    assert (prefix / "conda-meta" / "history").read_text(encoding="utf-8").startswith("==> ")


def test_what_a_container_runs(layout: Path, tmp_path: Path) -> None:
    _, config = image(layout)
    variables = dict(each.split("=", 1) for each in config["config"]["Env"])
    assert variables["PATH"].startswith("/opt/a/bin:/")
    assert variables["CONDA_PREFIX"] == "/opt/a"
    assert variables["WAKES"] == "it's $1 & more"
    assert config["config"]["Entrypoint"] == ["/opt/a/share/smelt/entrypoint"]
    assert config["os"] == "linux"
    packed_here = tmp_path / "here"
    spread(layout, packed_here)
    text = (packed_here / "opt/a/share/smelt/entrypoint").read_text(encoding="utf-8")
    assert '. "/opt/a/etc/conda/activate.d/wakes.sh"\nexec "$@"\n' in text


def test_equal_bytes_from_elsewhere_and_again(ready: Workspace, layout: Path, shared: Path, tmp_path: Path) -> None:
    shutil.copytree(ready.model.root, tmp_path / "ready", symlinks=True)
    other = Workspace.load(tmp_path / "ready" / "pixi.toml")
    packed(other, tmp_path / "image", format="oci", image=ImageOptions(prefix="/opt/a"))
    assert tree(tmp_path / "image") == tree(layout)
    for name in ("one", "two"):
        packed(ready, tmp_path / f"{name}.oci.tar")
    assert (tmp_path / "one.oci.tar").read_bytes() == (tmp_path / "two.oci.tar").read_bytes()


def test_a_changed_package_moves_little_and_environments_share(ready: Workspace, tmp_path: Path) -> None:
    shutil.copytree(ready.model.root, tmp_path / "ready", symlinks=True)
    workspace = Workspace.load(tmp_path / "ready" / "pixi.toml")
    target = tmp_path / "image"
    packed(workspace, target, format="oci")
    before = {path.name: path.stat().st_mtime_ns for path in (target / "blobs" / "sha256").iterdir()}
    first, _ = image(target)
    packed(workspace, target, format="oci", environment="lint")
    second, _ = image(target, "lint")
    shared = {each["digest"] for each in first["layers"]} & {each["digest"] for each in second["layers"]}
    assert len(shared) == len(first["layers"]) - 1  # all but what names the environment
    titles = [each["annotations"]["org.opencontainers.image.title"] for each in first["layers"]]
    assert titles[0] == "packages of all environments"
    recipe = tmp_path / "ready" / "mine" / "recipe.yaml"
    recipe.write_text(recipe.read_text(encoding="utf-8").replace("echo echo", "echo echo changed"), encoding="utf-8")
    workspace = Workspace.load(tmp_path / "ready" / "pixi.toml")
    packed(workspace, target, format="oci", mode="update")
    again, _ = image(target)
    changed = [each for each in again["layers"] if each["digest"].partition(":")[2] not in before]
    assert [each["annotations"]["org.opencontainers.image.title"] for each in changed] == ["mine 1.0 hb0f4dca_0"]
    for path in (target / "blobs" / "sha256").iterdir():
        assert before.get(path.name, path.stat().st_mtime_ns) == path.stat().st_mtime_ns
    old = next(e for e in first["layers"] if e["annotations"]["org.opencontainers.image.title"].startswith("mine"))
    assert blob(target, old["digest"]).exists()  # the image of the other environment still has it


def test_large_files_of_wheels_are_not_held_in_memory(
    ready: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import smelt.pack.linkedwheel as module

    packed(ready, tmp_path / "one", format="oci")
    monkeypatch.setattr(module, "_LARGE", 0)
    packed(ready, tmp_path / "two", format="oci")
    assert tree(tmp_path / "one") == tree(tmp_path / "two")


def test_a_damaged_wheel_is_not_packed(tmp_path: Path) -> None:
    from smelt.pack.linked import PythonLayout
    from smelt.pack.linkedwheel import wheel_entries

    path = make_wheel(tmp_path, "app", more={"app/large.txt": "x" * 100})
    data = path.read_bytes()
    at = data.index(b"x" * 100)
    layout = PythonLayout(version="3.12", executable="bin/python3.12", site_packages="lib/python3.12/site-packages")
    assert "lib/python3.12/site-packages/app/large.txt" in [entry.path for entry in wheel_entries(path, layout)]
    path.write_bytes(data[:at] + b"y" + data[at + 1 :])
    with pytest.raises(PackError, match="cannot be taken apart") as caught:
        list(wheel_entries(path, layout))
    assert caught.value.kind == "pack-package"


def test_a_damaged_layer_is_written_again(layout: Path, ready: Workspace, tmp_path: Path) -> None:
    target = tmp_path / "image"
    shutil.copytree(layout, target)
    good = tree(target)
    largest = max((target / "blobs" / "sha256").iterdir(), key=lambda path: path.stat().st_size)
    largest.write_bytes(b"\0" * largest.stat().st_size)
    (target / "blobs" / "sha256" / "left-over").write_bytes(b"old")
    (target / "blobs" / "sha256" / ".abc.1.part").write_bytes(b"old")
    packed(ready, target, format="oci", image=ImageOptions(prefix="/opt/a"))
    assert tree(target) == good


@pytest.mark.skipif(not (shutil.which("skopeo") and shutil.which("umoci")), reason="needs skopeo and umoci")
def test_skopeo_and_umoci_read_it(ready: Workspace, layout: Path, tmp_path: Path) -> None:
    def call(*arguments: object) -> str:
        done = subprocess.run([str(each) for each in arguments], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    found = json.loads(call("skopeo", "inspect", f"oci:{layout}:default"))
    assert found["Os"] == "linux"
    call("skopeo", "copy", "--insecure-policy", f"oci:{layout}:default", f"oci:{tmp_path / 'copy'}:again")
    call("skopeo", "copy", "--insecure-policy", f"oci:{layout}:default", f"docker-archive:{tmp_path / 'd.tar'}:a:b")
    packed(ready, tmp_path / "e.oci.tar")
    call("skopeo", "inspect", f"oci-archive:{tmp_path / 'e.oci.tar'}")
    call("skopeo", "inspect", f"docker-archive:{tmp_path / 'e.oci.tar'}")
    call("umoci", "unpack", "--rootless", "--image", f"{layout}:default", tmp_path / "bundle")
    (tmp_path / "mine").mkdir()
    spread(layout, tmp_path / "mine")
    assert files(tmp_path / "bundle" / "rootfs" / "opt" / "a") == files(tmp_path / "mine" / "opt" / "a")
    running = json.loads((tmp_path / "bundle" / "config.json").read_text(encoding="utf-8"))["process"]
    assert running["args"][0] == "/opt/a/share/smelt/entrypoint"


def base_image(folder: Path, **config: object) -> Path:
    """A layout with one small layer."""
    (folder / "blobs" / "sha256").mkdir(parents=True)

    def store(data: bytes, kind: str) -> dict[str, object]:
        digest = hashlib.sha256(data).hexdigest()
        (folder / "blobs" / "sha256" / digest).write_bytes(data)
        return {"mediaType": f"application/vnd.oci.image.{kind}", "digest": f"sha256:{digest}", "size": len(data)}

    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as tar:
        info = tarfile.TarInfo("etc/motd")
        info.size = 5
        tar.addfile(info, io.BytesIO(b"base\n"))
    diff_id = f"sha256:{hashlib.sha256(plain.getvalue()).hexdigest()}"
    machine = {"linux-64": "amd64", "linux-aarch64": "arm64"}[current_platform()]
    description = {
        "os": "linux",
        "architecture": machine,
        "config": {"Env": ["PATH=/base/bin", "LANG=C.UTF-8"], "Entrypoint": ["/old"], "User": "app"},
        "rootfs": {"type": "layers", "diff_ids": [diff_id]},
        **config,
    }
    layer = store(gzip.compress(plain.getvalue(), mtime=0), "layer.v1.tar+gzip")
    described = store(json.dumps(description).encode(), "config.v1+json")
    manifest = store(
        json.dumps({"schemaVersion": 2, "config": described, "layers": [layer]}).encode(), "manifest.v1+json"
    )
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [manifest]}), encoding="utf-8")
    (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}', encoding="utf-8")
    return folder


def test_onto_another_image(ready: Workspace, tmp_path: Path) -> None:
    base = base_image(tmp_path / "base")
    packed(ready, tmp_path / "image", format="oci", image=ImageOptions(base=base))
    spread(tmp_path / "image", tmp_path / "root")
    assert (tmp_path / "root" / "etc" / "motd").read_text(encoding="utf-8") == "base\n"
    assert (tmp_path / "root" / "opt" / "env" / "bin" / "python").exists()
    _, config = image(tmp_path / "image")
    assert "PATH=/opt/env/bin:/base/bin" in config["config"]["Env"]
    assert "LANG=C.UTF-8" in config["config"]["Env"]
    assert config["config"]["User"] == "app"
    assert config["config"]["Entrypoint"] == ["/opt/env/share/smelt/entrypoint"]
    with tarfile.open(tmp_path / "base.tar", "w") as tar:
        tar.add(base, arcname="")
    packed(ready, tmp_path / "again", format="oci", image=ImageOptions(base=tmp_path / "base.tar"))
    assert tree(tmp_path / "again") == tree(tmp_path / "image")


def test_images_that_cannot_be_beneath(ready: Workspace, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    other = base_image(tmp_path / "other", architecture="s390x")
    damaged = base_image(tmp_path / "damaged")
    for path in (damaged / "blobs" / "sha256").iterdir():
        path.write_bytes(path.read_bytes() + b" ")
    many = base_image(tmp_path / "many", rootfs={"type": "layers", "diff_ids": []})
    text = tmp_path / "text"
    text.write_text("no image", encoding="utf-8")
    for path, words in (
        (empty, "cannot be the image beneath"),
        (tmp_path / "nowhere", "cannot be the image beneath"),
        (other, "for linux/s390x, not for linux/"),
        (damaged, "is damaged"),
        (many, "do not fit"),
        (text, "cannot be the image beneath"),
    ):
        with pytest.raises(PackError, match=words) as caught:
            packed(ready, tmp_path / "image", format="oci", image=ImageOptions(base=path))
        assert caught.value.kind == "pack-image-base"
    assert not (tmp_path / "image").exists()
    assert partial(tmp_path) == []


def test_wrong_ways_to_ask(ready: Workspace, small: Workspace, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.txt").write_text("years", encoding="utf-8")
    with pytest.raises(PackError, match="it holds something else"):
        packed(small, mine, format="oci")
    damaged = tmp_path / "damaged"
    packed(small, damaged, format="oci")
    (damaged / "index.json").write_text("{", encoding="utf-8")
    with pytest.raises(PackError, match=r"its index\.json is damaged"):
        packed(small, damaged, format="oci")
    for prefix in ("opt/env", "/", "/opt/../etc", "/opt/my env", "/opt/env/"):
        with pytest.raises(UsageError, match="cannot be the place"):
            packed(small, tmp_path / "x", format="oci", image=ImageOptions(prefix=prefix))
    with pytest.raises(PackError, match="have room for"):
        packed(ready, tmp_path / "x", format="oci", image=ImageOptions(prefix="/opt/" + "x" * 300))
    content = pack_content(small, PackOptions(), tmp_path, SilentReporter())
    with pytest.raises(PackError, match="no container images for osx-arm64") as caught:
        write_image(replace(content, platform="osx-arm64"), tmp_path / "x", SilentReporter())
    assert caught.value.kind == "pack-image"
    with pytest.raises(UsageError, match="no container image"):
        packed(small, tmp_path / "x.tar", image=ImageOptions())
    with pytest.raises(PackError, match="cannot be written to a stream"):
        pack(small, PackOptions(output=io.BytesIO(), format="oci"))
    assert not (tmp_path / "x").exists()


def test_names_of_images() -> None:
    assert [reference(text) for text in ("py312", "My Work/space", "a__b", "..", "ü")] == [
        "py312",
        "my-work-space",
        "a-b",
        "environment",
        "environment",
    ]


def test_two_at_once_into_one_layout(ready: Workspace, tmp_path: Path, cache: Path) -> None:
    target = tmp_path / "image"
    for _ in range(3):
        running = [
            subprocess.Popen(
                [sys.executable, "-m", "smelt", "pack", "-o", f"oci:{target}", "-e", name],
                cwd=ready.model.root,
                stderr=subprocess.DEVNULL,
            )
            for name in ("default", "lint")
        ]
        assert [process.wait() for process in running] == [0, 0]
        for name in ("default", "lint"):
            spread(target, tmp_path / "root" / name, name)
        shutil.rmtree(target)
        shutil.rmtree(tmp_path / "root")


def test_named_as_skopeo_does(small: Workspace, tmp_path: Path) -> None:
    done = smelt(small.model.root, "pack", "-o", f"oci:{tmp_path / 'layout'}")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "layout" / "oci-layout").is_file()
    done = smelt(small.model.root, "pack", "-o", "oci:")
    assert "names no place" in done.stderr
    done = smelt(small.model.root, "pack", "-o", f"oci-archive:{tmp_path / 'i.tar'}", "--format", "tar")
    assert done.returncode == 2
    assert "cannot be used with another form" in done.stderr


def test_from_the_command_line(ready: Workspace, tmp_path: Path, cache: Path) -> None:
    done = smelt(ready.model.root, "pack", "-o", tmp_path / "i.oci.tar", "--image-prefix", "/env")
    assert done.returncode == 0, done.stderr
    assert "without a C library" in done.stderr
    with tarfile.open(tmp_path / "i.oci.tar") as tar:
        assert {"oci-layout", "index.json", "manifest.json"} <= set(tar.getnames())
        index = json.load(tar.extractfile("index.json"))  # type: ignore[arg-type]
        listed = json.load(tar.extractfile("manifest.json"))  # type: ignore[arg-type]
    assert index["manifests"][0]["annotations"] == {
        "io.containerd.image.name": "docker.io/library/test:default",
        "org.opencontainers.image.ref.name": "test:default",
    }
    assert listed[0]["RepoTags"] == ["test:default"]
    refused = smelt(tmp_path, "unpack", tmp_path / "i.oci.tar", "-o", tmp_path / "out")
    assert refused.returncode == 1
    assert "error[pack-form]" in refused.stderr
    assert "is a container image" in refused.stderr
    assert not (tmp_path / "out").exists()
