"""``smelt publish``: what is chosen, in which order, and where it goes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from s3_kit import s3_server
from smelt.api.publish_target import LocalChannel, target_of
from smelt.api.publishing import PublishOptions, publish
from smelt.api.workspace import Workspace
from smelt.archive import read_conda
from smelt.config.network import Network
from smelt.errors import NotSupportedError, UsageError
from smelt.types import sha256_file
from spine_kit import OTHER, SUBDIR, Channel, environment, manifest, package, partial, posix, recipe, smelt

pytestmark = [pytest.mark.build, posix]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIXI_CACHE_DIR", str(tmp_path / "cache"))
    for name in ("PIXI_IN_SHELL", "PIXI_PROJECT_MANIFEST"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """``app`` needs ``lib`` to run, ``lib`` is built with ``zbase`` in two variants; ``other`` is not published."""
    channel = Channel(tmp_path / "channel")
    for version in ("1.0", "2.0"):
        channel.add("tool", version)
    channel.index()
    root = tmp_path / "ws"
    script = ["mkdir -p $PREFIX/share", "cat $PREFIX/share/*.txt > $PREFIX/share/lib.out"]
    package(root, "zbase")
    package(root, "lib", host=["tool", "zbase"], sources={"host": {"zbase": "../zbase"}}, script=script)
    package(root, "app", run=["lib"], sources={"run": {"lib": "../lib"}})
    package(root, "other")
    for name in ("zbase", "lib", "app"):
        opt_in(root / name)
    manifest(root, [channel.url], '[workspace.build-variants]\ntool = ["1.*", "2.*"]\n')
    return root


def opt_in(folder: Path) -> None:
    """Have the package in ``folder`` published."""
    path = folder / "pixi.toml"
    path.write_text(path.read_text().replace("[package]\n", "[package]\npublish = true\n"))


def names(folder: Path) -> list[str]:
    return sorted(path.name.rsplit("-", 2)[0] for path in folder.rglob("*.conda"))


def listed(stderr: str, head: str) -> list[str]:
    lines = stderr.split("\n")
    start = next(index for index, line in enumerate(lines) if line.startswith(head))
    found = []
    for line in lines[start + 1 :]:
        if not line.startswith("  - "):
            break
        found.append(line.split()[1])
    return found


def test_all_that_want_to_in_order_and_every_variant(root: Path) -> None:
    dry = smelt(root, "publish", "--target-dir", "dist", "--dry-run")
    assert dry.returncode == 0, dry.stderr
    assert listed(dry.stderr, "Would build 4 package(s)") == ["zbase", "lib", "lib", "app"]
    assert "(tool: 1.*)" in dry.stderr and "(tool: 2.*)" in dry.stderr
    assert not (root / "dist").exists()
    done = smelt(root / "lib", "publish", "--target-dir", str(root / "dist"))
    assert done.returncode == 0, done.stderr
    assert "Publishing 3 workspace packages" in done.stderr
    assert names(root / "dist") == ["app", "lib", "lib", "zbase"]
    order = [name.split("-")[0] for name in listed(done.stderr, "Successfully published 4")]
    assert order == ["zbase", "lib", "lib", "app"]
    assert not (root / "pixi.lock").exists()
    assert not partial(root)


def test_what_is_there_is_skipped_refused_or_replaced(root: Path) -> None:
    assert smelt(root, "publish", "--target-dir", "dist", "--path", "other").returncode == 0
    [path] = (root / "dist").glob("other*.conda")
    first = path.read_bytes()
    again = smelt(root, "publish", "--target-dir", "dist", "--path", "other")
    assert again.returncode == 0
    assert f"Skipping '{path.name}' (already exists)" in again.stderr
    path.write_bytes(b"something else")
    told = smelt(root, "publish", "--target-dir", "dist", "--path", "other")
    assert told.returncode == 0
    assert "already exists with another content" in told.stderr
    refused = smelt(root, "publish", "--target-dir", "dist", "--path", "other", "--no-skip-existing")
    assert refused.returncode == 1
    assert "error[package-exists]" in refused.stderr and "--force" in refused.stderr
    assert path.read_bytes() == b"something else"
    forced = smelt(root, "publish", "--target-dir", "dist", "--path", "other", "--force")
    assert forced.returncode == 0
    assert "already exists" not in forced.stderr
    assert path.read_bytes() == first


@pytest.mark.parametrize("as_url", [True, False])
def test_a_local_channel_is_indexed_and_can_be_installed_from(root: Path, tmp_path: Path, as_url: bool) -> None:
    target = tmp_path / "published"
    done = smelt(root, "publish", "--to", target.as_uri() if as_url else str(target))
    assert done.returncode == 0, done.stderr
    consumer = tmp_path / "consumer"
    manifest(consumer, [target.as_uri(), (tmp_path / "channel").as_uri()], '[dependencies]\napp = "*"\ntool = "1.*"\n')
    installed = smelt(consumer, "install")
    assert installed.returncode == 0, installed.stderr
    assert (consumer / ".pixi/envs/default/share/lib.out").read_text() == "tool 1.0\nzbase 1.0\n"


def test_two_at_once(root: Path, tmp_path: Path) -> None:
    """Both are in the index in the end, whoever wrote it last."""
    (tmp_path / "there" / SUBDIR).mkdir(parents=True)
    (tmp_path / "there" / SUBDIR / ".other-1.0-hb0f4dca_0.conda.1.part").write_text("half")
    os.utime(tmp_path / "there" / SUBDIR / ".other-1.0-hb0f4dca_0.conda.1.part", (1, 1))
    publishers = [
        subprocess.Popen(
            [sys.executable, "-m", "smelt", "publish", "--to", str(tmp_path / "there"), "--path", name],
            cwd=root,
            env=environment(),
            stderr=subprocess.PIPE,
            text=True,
        )
        for name in ("zbase", "other")
    ]
    for each in publishers:
        _, errors = each.communicate(timeout=60)
        assert each.returncode == 0, errors
    repodata = json.loads((tmp_path / "there" / SUBDIR / "repodata.json").read_text())
    assert {name.split("-")[0] for name in repodata["packages.conda"]} == {"zbase", "other"}
    assert not partial(tmp_path / "there")


def test_a_replaced_package_is_described_anew(root: Path, tmp_path: Path) -> None:
    target = tmp_path / "published"
    assert smelt(root, "publish", "--to", str(target), "--path", "other").returncode == 0
    recipe(root, "other", script=["mkdir -p $PREFIX/share", "echo changed > $PREFIX/share/other.txt"])
    assert smelt(root, "publish", "--to", str(target), "--path", "other", "--force").returncode == 0
    [path] = (target / SUBDIR).glob("other*.conda")
    repodata = json.loads((target / SUBDIR / "repodata.json").read_text())
    assert repodata["packages.conda"][path.name]["sha256"] == sha256_file(path)


def test_variants_files_numbers_and_prefixes(root: Path) -> None:
    one = smelt(root, "publish", "--path", "lib", "--target-dir", "one", "--variant", "tool=2.*")
    assert one.returncode == 0, one.stderr
    assert names(root / "one") == ["lib"]
    typo = smelt(root, "publish", "--path", "lib", "--dry-run", "--variant", "tol=2.*")
    assert "variant key 'tol' was not used" in typo.stderr
    (root / "more.yaml").write_text("tool: ['1.*']\nunit: [a, b]\n")
    (root / "pixi.toml").write_text((root / "pixi.toml").read_text().split("[workspace.build-variants]")[0])
    file = smelt(root, "publish", "--path", "lib", "--target-dir", "two", "-m", "more.yaml", "--build-number", "7")
    assert file.returncode == 0, file.stderr
    [path] = (root / "two").glob("*.conda")
    assert path.name.endswith("_7.conda")
    prefixed = smelt(root, "publish", "--path", "lib", "--dry-run", "-m", "more.yaml", "--build-string-prefix", "mine")
    assert "[mine_h" in prefixed.stderr


def test_the_profile_of_an_environment(root: Path) -> None:
    text = (root / "pixi.toml").read_text()
    more = '[feature.loud]\n[environments]\nloud = ["loud"]\n[tool.smelt.profile.loud]\nenv = { VOICE = "loud" }\n'
    (root / "pixi.toml").write_text(text + more + '[tool.smelt.feature.loud]\nprofile = "loud"\n')
    recipe(root, "other", script=["mkdir -p $PREFIX/share", "echo ${VOICE:-quiet} > $PREFIX/share/x"])
    plain = smelt(root, "publish", "--path", "other", "--target-dir", "dist")
    assert plain.returncode == 0, plain.stderr
    done = smelt(root, "publish", "--path", "other", "--target-dir", "dist", "-e", "loud")
    assert done.returncode == 0, done.stderr
    voices = {m.data for path in (root / "dist").iterdir() for m in read_conda(path).files}
    assert voices == {b"quiet\n", b"loud\n"}


def test_a_package_alone_must_be_whole(root: Path) -> None:
    refused = smelt(root, "publish", "--path", "app", "--target-dir", "dist")
    assert refused.returncode == 1
    assert "error[publish-set]" in refused.stderr
    assert "source run dependencies (lib)" in refused.stderr
    here = smelt(root / "other", "publish", "--path", ".", "--target-dir", "dist")
    assert here.returncode == 0, here.stderr
    assert names(root / "other" / "dist") == ["other"]


def test_the_set_must_be_closed(root: Path, tmp_path: Path) -> None:
    (root / "lib/pixi.toml").write_text((root / "lib/pixi.toml").read_text().replace("publish = true\n", ""))
    refused = smelt(root, "publish", "--dry-run")
    assert refused.returncode == 1
    assert "package 'app' depends on 'lib', which is not part of the publish set" in refused.stderr
    shutil.copytree(root / "other", tmp_path / "outside")
    package(root, "app", run=["outside"], sources={"run": {"outside": "../../outside"}})
    recipe(tmp_path, "outside")
    opt_in(root / "app")
    refused = smelt(root, "publish", "--dry-run")
    assert refused.returncode == 1
    assert "which lives outside the workspace" in refused.stderr


def test_what_is_ignored_or_of_another_workspace_stays(root: Path) -> None:
    shutil.rmtree(root / "app")
    for name in ("ignored", ".hidden"):
        package(root, name)
        opt_in(root / name)
    package(root / "nested", "inner")
    opt_in(root / "nested" / "inner")
    manifest(root / "nested", [], "")
    (root / ".gitignore").write_text("ignored/\n")
    dry = smelt(root, "publish", "--dry-run")
    assert dry.returncode == 0, dry.stderr
    assert set(listed(dry.stderr, "Would build")) == {"lib", "zbase"}


def test_nobody_wants_to(root: Path) -> None:
    for name in ("zbase", "lib", "app"):
        shutil.rmtree(root / name)
    done = smelt(root / "other", "publish")
    assert done.returncode == 0, done.stderr
    assert "publishing the package at the current directory" in done.stderr
    assert names(root / "other") == ["other"]
    refused = smelt(root, "publish")
    assert refused.returncode == 1
    assert "error[manifest-not-a-package]" in refused.stderr


def test_bad_input(root: Path, tmp_path: Path) -> None:
    (root / "lib/pixi.toml").write_text(
        (root / "lib/pixi.toml").read_text().replace("publish = true", 'publish = "yes"')
    )
    for arguments, said in (
        ((), "must be a boolean"),
        (("--path", "nowhere"), "there is no nowhere"),
        (("--path", "pixi.lock"), "there is no pixi.lock"),
        (("--path", "other", "--target-platform", OTHER), "is not part of environment 'default'"),
        (("--path", "other", "--build-platform", OTHER), "runs no programs of it"),
        (("--path", "other", "--package-format", "tar-bz2"), "error[not-supported]"),
        (("--path", "other", "--force", "--no-skip-existing"), "contradict"),
        (("--path", "other", "--to", "ftp://host.example/c"), "unsupported URL scheme `ftp`"),
        (("--path", "other", "--to", "https://host.example/c"), "does not tell which upload protocol"),
        (
            ("--path", "other", "--to", "https://me:secret@host.example/c"),
            "*****@host.example/c` does not tell",
        ),
        (("--path", "other", "--to", "prefix://me:secret@host.example"), "names no place"),
        (("--path", "other", "--to", "quetz://me:secret@host.example/c", "--offline"), "error[offline]"),
        (("--path", "other", "--to", "prefix://host.example"), "names no place"),
        (("--path", "other", "--to", "cloudsmith://owner/a/b"), "names no place"),
        (("--path", "other", "--to", "s3://"), "does not name a bucket"),
        (("--path", "other", "--to", "s3://key:secret@bucket/x"), "does not name a bucket"),
        (("--path", "other", "--target-dir", "pixi.toml"), "is a file"),
        (("--path", "other", "--to", "other"), "is no channel"),
        (("--path", "other", "--to", "quetz://host.example/c", "--offline"), "error[offline]"),
        (("--path", "other", "--variant", "tool"), "is not `key=value`"),
    ):
        done = smelt(root, "publish", *arguments)
        assert done.returncode in (1, 2), arguments
        assert said in done.stderr, (arguments, done.stderr)
        assert "Traceback" not in done.stderr
        assert "secret" not in done.stderr, arguments


def test_a_variant_that_cannot_be_built(root: Path) -> None:
    refused = smelt(root, "publish", "--path", "lib", "--variant", "tool=1.*,3.*")
    assert refused.returncode == 1
    assert "error[no-variant]" in refused.stderr
    assert "1 of 2 variants cannot be built" in refused.stderr and "tool=3.*" in refused.stderr


def test_a_failing_build_publishes_nothing(root: Path) -> None:
    recipe(root, "zbase", script=["exit 3"])
    refused = smelt(root, "publish", "--target-dir", "dist")
    assert refused.returncode == 1
    assert "error[build-failed]" in refused.stderr
    assert not list((root / "dist").glob("*"))


def test_from_python(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root)
    workspace = Workspace.load(root)
    there = LocalChannel(folder=tmp_path / "there", label="there")
    first = publish(workspace, there, PublishOptions(path=Path("lib"), variants={"tool": ["1.*"]}))
    assert [(each.artifact.record.name, each.skipped) for each in first] == [("lib", False)]
    said: list[str] = []
    again = publish(workspace, there, PublishOptions(path=Path("lib")), say=said.append)
    assert [each.skipped for each in again] == [True, False] and len(said) == 1


def test_for_another_platform(root: Path) -> None:
    text = (root / "pixi.toml").read_text().replace(f'platforms = ["{SUBDIR}"]', f'platforms = ["{SUBDIR}", "{OTHER}"]')
    (root / "pixi.toml").write_text(text)
    dry = smelt(root, "publish", "--dry-run", "--target-platform", OTHER)
    assert dry.returncode == 0, dry.stderr
    assert f"({OTHER})" in dry.stderr
    done = smelt(root, "publish", "--target-platform", OTHER, "--target-dir", "dist")
    assert done.returncode == 0, done.stderr
    packages = [read_conda(path).info for path in (root / "dist").glob("*.conda")]
    indexes = [json.loads(member.data) for info in packages for member in info if member.name == "info/index.json"]
    assert {index["subdir"] for index in indexes} == {OTHER}


def test_servers_are_told_from_addresses() -> None:
    network = Network()
    for text, protocol in (
        ("https://prefix.dev/c", "prefix"),
        ("https://anaconda.org/me/dev", "anaconda"),
        ("quetz://host.example/c", "quetz"),
        ("artifactory://host.example/c", "artifactory"),
        ("cloudsmith://owner/repo", "cloudsmith"),
    ):
        target = target_of(text, network)
        target.check()
        assert getattr(target, "protocol") == protocol  # noqa: B009
    with pytest.raises(NotSupportedError):
        target_of("quetz://host.example/c", network, attestation=True).check()
    with pytest.raises(UsageError):
        target_of("https://anaconda.org/a/b/c", network).check()


def test_a_server_that_is_not_there(root: Path) -> None:
    refused = smelt(
        root, "publish", "--path", "other", "--to", "quetz://127.0.0.1:9/c", env={"QUETZ_API_KEY": "s3cret"}
    )
    assert refused.returncode == 1
    assert "error[upload-failed]" in refused.stderr
    assert "s3cret" not in refused.stderr and "Traceback" not in refused.stderr


def test_a_bucket(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with s3_server(monkeypatch) as bucket:
        done = smelt(root, "publish", "--to", "s3://parcels/stable")
        assert done.returncode == 0, done.stderr
        repodata = json.loads(bucket.read(f"stable/{SUBDIR}/repodata.json") or b"")
        assert {name.split("-")[0] for name in repodata["packages.conda"]} == {"app", "lib", "zbase"}
        again = smelt(root, "publish", "--to", "s3://parcels/stable", "--path", "zbase")
        assert again.returncode == 0, again.stderr
        assert "(already exists)" in again.stderr
        refused = smelt(root, "publish", "--to", "s3://parcels/stable", "--path", "zbase", "--no-skip-existing")
        assert refused.returncode == 1
        assert "error[package-exists]" in refused.stderr
        recipe(root, "zbase", script=["mkdir -p $PREFIX/share", "echo new > $PREFIX/share/zbase.txt"])
        forced = smelt(root, "publish", "--to", "s3://parcels/stable", "--path", "zbase", "--force")
        assert forced.returncode == 0, forced.stderr
        after = json.loads(bucket.read(f"stable/{SUBDIR}/repodata.json") or b"")
        [name] = [name for name in after["packages.conda"] if name.startswith("zbase")]
        assert after["packages.conda"][name]["sha256"] != repodata["packages.conda"][name]["sha256"]
        missing = smelt(root, "publish", "--to", "s3://elsewhere/stable", "--path", "zbase")
        assert missing.returncode == 1
        assert "Traceback" not in missing.stderr
