"""Source packages in git repositories and archives: locked to a commit, and staying there."""

from __future__ import annotations

import hashlib
import io
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from resolve_kit import lock, names, problems, source, versions

from git_kit import GitRepository, needs_git
from smelt.errors import SmeltError, SourceError
from smelt.lock.model import BuildSource
from smelt.resolve.pins import SourcePins, inner_location, location_text
from smelt.types import GitReference, SourceLocation
from spine_kit import SUBDIR, Channel, manifest, package, posix, recipe, recipe_text, smelt

pytestmark = needs_git


@pytest.fixture
def origin(tmp_path: Path) -> GitRepository:
    """A repository with the packages ``mine`` (a recipe) and ``top``, which is built with ``base`` and runs with it."""
    made = GitRepository(tmp_path / "origin")
    recipe(made.folder, "mine", "1.0", run=["tool"])
    recipe(made.folder / "packages", "base", "1.1")
    package(
        made.folder / "packages",
        "top",
        "1.2",
        host=["base"],
        run=["base"],
        sources={"host": {"base": "../base"}, "run": {"base": "../base"}},
    )
    made.commit()
    return made


def write(root: Path, channel: Channel, **dependencies: str) -> Path:
    lines = [f"{name} = {{ {text} }}" for name, text in dependencies.items()]
    manifest(root, [channel.url], "[dependencies]\n" + "\n".join(lines) + "\n")
    return root


def test_a_recipe_in_a_repository(tmp_path: Path, channel: Channel, origin: GitRepository) -> None:
    commit = origin.git("rev-parse", "HEAD")
    root = write(tmp_path / "ws", channel, mine=f'git = "{origin.url}", branch = "main", subdirectory = "mine"')
    found = lock(root).lock
    mine = source(found, "mine")
    assert mine.location == f"git+{origin.url}?subdirectory=mine&branch=main#{commit}"
    assert (mine.version, mine.subdir, mine.source) == ("1.0", SUBDIR, None)
    assert versions(found) == {"mine": "1.0", "tool": "2.0"}
    assert problems(root) == []
    text = (root / "pixi.lock").read_text()
    assert f"- conda_source: mine[{mine.hash}] @ {mine.location}\n  version: '1.0'" in text.replace("1.0\n", "'1.0'\n")


def test_the_locked_commit_stays_until_it_is_updated(tmp_path: Path, channel: Channel, origin: GitRepository) -> None:
    first = origin.git("rev-parse", "HEAD")
    text = f'git = "{origin.url}", branch = "main", subdirectory = "mine"'
    root = write(tmp_path / "ws", channel, mine=text)
    before = lock(root).lock
    recipe(origin.folder, "mine", "2.0")
    second = origin.commit()
    assert problems(root) == []
    assert not lock(root).written
    # another requirement solves again, and the commit stays
    write(root, channel, mine=text, library='version = "<3"')
    again = lock(root).lock
    assert versions(again) == {"mine": "1.0", "tool": "2.0", "library": "2.0"}
    assert source(again, "mine") == source(before, "mine")
    assert source(lock(root, unlock=["library"]).lock, "mine").location.endswith(first)
    moved = lock(root, unlock=["mine"]).lock
    assert source(moved, "mine").location.endswith(second)
    assert versions(moved)["mine"] == "2.0"
    recipe(origin.folder, "mine", "3.0")
    third = origin.commit()
    assert source(lock(root, unlock=None).lock, "mine").location.endswith(third)


def test_another_reference_is_locked_anew(tmp_path: Path, channel: Channel, origin: GitRepository) -> None:
    first = origin.git("rev-parse", "HEAD")
    origin.git("tag", "v1")
    recipe(origin.folder, "mine", "2.0")
    second = origin.commit()
    root = tmp_path / "ws"
    at = f'git = "{origin.url}", subdirectory = "mine"'
    for text, expected, version in (
        (at, f"#{second}", "2.0"),
        (f'{at}, tag = "v1"', f"&tag=v1#{first}", "1.0"),
        (f'{at}, branch = "main"', f"&branch=main#{second}", "2.0"),
        (f'{at}, rev = "{first[:8]}"', f"&rev={first[:8]}#{first}", "1.0"),
        (f"{at}, lfs = false", f"&lfs=false#{second}", "2.0"),
    ):
        write(root, channel, mine=text)
        found = lock(root).lock
        assert source(found, "mine").location == f"git+{origin.url}?subdirectory=mine{expected}"
        assert versions(found)["mine"] == version
        assert problems(root) == []
        assert not lock(root).written


def test_packages_of_one_checkout_need_each_other(tmp_path: Path, channel: Channel, origin: GitRepository) -> None:
    root = write(tmp_path / "ws", channel, top=f'git = "{origin.url}", subdirectory = "packages/top"')
    commit = origin.git("rev-parse", "HEAD")
    found = lock(root).lock
    assert versions(found) == {"top": "1.2", "base": "1.1"}
    base = f"git+{origin.url}?subdirectory=packages%2Fbase#{commit}"
    assert source(found, "base").location == base
    assert names(found, source(found, "top").host_packages) == ["base"]
    assert source(found, "top").source_depends == {"base": SourceLocation(git=origin.url, subdirectory="packages/base")}
    assert problems(root) == []
    # named by the workspace too, it is the same package
    top = f'git = "{origin.url}", subdirectory = "packages/top"'
    write(root, channel, top=top, base=f'git = "{origin.url}", subdirectory = "packages/base"')
    recipe(origin.folder / "packages", "base", "5.0")
    moved = origin.commit()
    assert source(lock(root).lock, "base").location == base
    both = lock(root, unlock=["top"]).lock
    assert {source(both, name).location.rpartition("#")[2] for name in ("top", "base")} == {moved}
    assert versions(both) == {"top": "1.2", "base": "5.0"}


def test_one_environment_moves_and_the_other_stays(tmp_path: Path, channel: Channel, origin: GitRepository) -> None:
    root = tmp_path / "ws"
    text = (
        f'[feature.a.dependencies]\nmine = {{ git = "{origin.url}", subdirectory = "mine" }}\n'
        '[environments]\none = ["a"]\ntwo = ["a"]\n'
    )
    manifest(root, [channel.url], text)
    first = source(lock(root).lock, "mine", "one").location
    recipe(origin.folder, "mine", "2.0")
    origin.commit()
    result = smelt(root, "update", "-e", "two")
    assert result.returncode == 0, result.stderr
    assert problems(root) == []
    found = lock(root)
    assert not found.written
    assert source(found.lock, "mine", "one").location == first
    assert versions(found.lock, "two")["mine"] == "2.0"


def test_one_package_from_two_references(tmp_path: Path, channel: Channel, origin: GitRepository) -> None:
    origin.git("tag", "v1")
    at = f'git = "{origin.url}", subdirectory = "packages/'
    package(origin.folder, "user", run=["base"], sources={"run": {"base": "../packages/base"}})
    origin.commit()
    root = write(
        tmp_path / "ws", channel, user=f'git = "{origin.url}", subdirectory = "user"', base=f'{at}base", tag = "v1"'
    )
    with pytest.raises(SourceError) as caught:
        lock(root)
    assert caught.value.kind == "source-conflict"
    assert "subdirectory packages/base, tag v1" in caught.value.message


def test_credentials_do_not_reach_the_lock(tmp_path: Path, channel: Channel, monkeypatch: pytest.MonkeyPatch) -> None:
    """The repository is asked for with its credentials; git's own configuration leads to a folder."""
    made = GitRepository(tmp_path / "origin")
    recipe(made.folder, "base", "1.1")
    package(made.folder, "top", run=["base"], sources={"run": {"base": "../base"}})
    made.commit()
    config = tmp_path / "gitconfig"
    config.write_text(f'[url "{made.url}"]\n\tinsteadOf = https://git.example/x.git\n')
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    text = 'git = "https://user:s3cret@git.example/x.git", subdirectory = "top"'
    root = write(tmp_path / "ws", channel, top=text)
    lock(root)
    assert problems(root) == []
    written = (root / "pixi.lock").read_text()
    assert "git+https://git.example/x.git?subdirectory=top#" in written
    assert "s3cret" not in written


def test_a_path_that_leads_out_of_the_checkout(tmp_path: Path, channel: Channel, origin: GitRepository) -> None:
    recipe(tmp_path, "secret")
    for path in ("../../../secret", str(tmp_path / "secret"), "~/secret"):
        package(origin.folder, "bad", host=["secret"], sources={"host": {"secret": path}})
        origin.commit()
        root = write(tmp_path / "ws", channel, bad=f'git = "{origin.url}", subdirectory = "bad"')
        with pytest.raises(SourceError, match="leads out of"):
            lock(root, unlock=None)


def test_a_checkout_without_a_package(tmp_path: Path, channel: Channel, origin: GitRepository) -> None:
    root = write(tmp_path / "ws", channel, mine=f'git = "{origin.url}"')
    with pytest.raises(SmeltError, match="is not a package"):
        lock(root)
    write(root, channel, mine=f'git = "{origin.url}", branch = "mian", subdirectory = "mine"')
    with pytest.raises(SourceError, match="has no branch `mian`"):
        lock(root)


def test_a_package_inherits_from_the_workspace_that_it_is_in(
    tmp_path: Path, channel: Channel, origin: GitRepository
) -> None:
    manifest(origin.folder, [channel.url], 'version = "7.5"\n')
    path = package(origin.folder, "heir", "${{ version }}")
    recipe(origin.folder, "heir", "7.5")
    path.write_text(path.read_text().replace('version = "${{ version }}"', "version.workspace = true"))
    origin.commit()
    root = write(tmp_path / "ws", channel, heir=f'git = "{origin.url}", subdirectory = "heir"')
    assert versions(lock(root).lock) == {"heir": "7.5"}


def test_the_code_of_a_package_in_a_repository(tmp_path: Path, channel: Channel, origin: GitRepository) -> None:
    first = origin.commit({"code/hello.txt": "hello\n"})
    root = write(tmp_path / "ws", channel, app='path = "app"')
    path = package(root, "app", script=["cp hello.txt $PREFIX/"])
    path.write_text(path.read_text() + f'source = {{ git = "{origin.url}", subdirectory = "code" }}\n')
    expected = BuildSource(git=origin.url, rev=first, subdir="code")
    assert source(lock(root).lock, "app").source == expected
    assert source(lock(root).lock, "app").location == "app"
    second = origin.commit({"code/hello.txt": "hello again\n"})
    assert problems(root) == []
    assert source(lock(root, unlock=["tool"]).lock, "app").source == expected
    assert source(lock(root, unlock=["app"]).lock, "app").source == BuildSource(
        git=origin.url, rev=second, subdir="code"
    )


def test_an_inline_package_in_a_repository(tmp_path: Path, channel: Channel, origin: GitRepository) -> None:
    text = (
        f'git = "{origin.url}", subdirectory = "mine", '
        'package = { build = { backend = { name = "pixi-build-rattler-build", version = "*" } } }'
    )
    root = write(tmp_path / "ws", channel, mine=text)
    found = lock(root).lock
    commit = origin.git("rev-parse", "HEAD")
    assert source(found, "mine").location == f"git+{origin.url}?subdirectory=mine#{commit}"
    assert problems(root) == []


def tarball(path: Path, name: str, version: str) -> str:
    data = recipe_text(name, version).encode()
    with tarfile.open(path, "w:gz") as tar:
        for inner in ("", "sub/"):
            member = tarfile.TarInfo(f"{name}-{version}/{inner}recipe.yaml")
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_package_in_an_archive(tmp_path: Path, channel: Channel) -> None:
    archive = tmp_path / "mine.tar.gz"
    digest = tarball(archive, "mine", "1.0")
    root = write(tmp_path / "ws", channel, mine=f'url = "{archive.as_uri()}", subdirectory = "sub"')
    found = lock(root).lock
    mine = source(found, "mine")
    assert mine.location == f"archive+{archive.as_uri()}#sha256={digest}&subdirectory=sub"
    assert mine.version == "1.0"
    newer = tarball(archive, "mine", "2.0")
    assert problems(root) == []
    assert not lock(root).written
    assert versions(lock(root, unlock=["mine"]).lock) == {"mine": "2.0"}
    write(root, channel, mine=f'url = "{archive.as_uri()}", sha256 = "{newer}"')
    assert source(lock(root).lock, "mine").location == f"archive+{archive.as_uri()}#sha256={newer}"
    assert problems(root) == []
    write(root, channel, mine=f'url = "{archive.as_uri()}", sha256 = "{digest}"')
    assert versions(lock(root).lock) == {"mine": "1.0"}  # from the cache


@posix
@pytest.mark.build
def test_lock_build_install_and_move(tmp_path: Path, channel: Channel, origin: GitRepository) -> None:
    script = ["mkdir -p $PREFIX/bin", "cp hello $PREFIX/bin/hello"]
    recipe(origin.folder, "app", script=script, source={"path": "."}, run=["base"])
    path = package(origin.folder, "app", script=script, source={"path": "."}, run=["base"],
                   sources={"run": {"base": "../packages/base"}})  # fmt: skip
    assert path.exists()
    (origin.folder / "app/hello").write_text("#!/bin/sh\necho one\ncat $CONDA_PREFIX/share/base.txt\n")
    (origin.folder / "app/hello").chmod(0o755)
    origin.commit()
    root = write(tmp_path / "ws", channel, app=f'git = "{origin.url}", branch = "main", subdirectory = "app"')

    def run(*arguments: str) -> str:
        result = smelt(root, *arguments)
        assert result.returncode == 0, result.stderr
        return result.stdout

    run("install")
    assert run("run", "hello") == "one\nbase 1.1\n"
    origin.commit({"app/hello": "#!/bin/sh\necho two\n"})
    text = (root / "pixi.lock").read_text()
    assert run("run", "hello") == "one\nbase 1.1\n"
    # another machine, where nothing is in the cache yet, takes the locked commit too
    other = {"PIXI_CACHE_DIR": str(tmp_path / "another-cache")}
    assert smelt(root, "build", "--locked", env=other).returncode == 0
    assert (
        next((tmp_path / "another-cache/smelt/checkouts").rglob("hello")).read_text().startswith("#!/bin/sh\necho one")
    )
    away = origin.folder.rename(tmp_path / "away")
    run("install", "--locked")
    run("lock", "--check")
    refused = smelt(root, "update", "app")
    assert refused.returncode == 1
    assert "no git repository at" in refused.stderr
    assert (root / "pixi.lock").read_text() == text
    away.rename(origin.folder)
    run("update", "app")
    assert (root / "pixi.lock").read_text() != text
    run("install", "--locked")
    assert run("run", "hello") == "two\n"
    assert run("list", "--json").count("git+file://") >= 1


@posix
@pytest.mark.build
def test_code_from_a_repository_is_built(tmp_path: Path, channel: Channel, origin: GitRepository) -> None:
    """The definition is the workspace's; recipe and code are the repository's, or another folder of it."""
    script = ["mkdir -p $PREFIX/share", "cp hello.txt $PREFIX/share/"]
    text = recipe_text("app", "1.0", script=script, source={"path": "."})
    origin.commit({"code/recipe.yaml": text, "code/hello.txt": "hello\n"})
    root = write(tmp_path / "ws", channel, app='path = "app"', mine=f'git = "{origin.url}", subdirectory = "defined"')
    backend = 'backend = { name = "pixi-build-rattler-build", version = "*" }\n'
    config = '[package.build.config]\nrecipe = "recipe.yaml"\n'
    head = '[package]\nname = "NAME"\nversion = "1.0"\n[package.build]\n' + backend
    (root / "app").mkdir()
    (root / "app/pixi.toml").write_text(
        head.replace("NAME", "app")
        + f'source = {{ git = "{origin.url}", branch = "main", subdirectory = "code" }}\n'
        + config
    )
    origin.commit({"defined/pixi.toml": head.replace("NAME", "mine") + 'source = { path = "../mine" }\n' + config})
    result = smelt(root, "install")
    assert result.returncode == 0, result.stderr
    assert (root / ".pixi/envs/default/share/hello.txt").read_text() == "hello\n"
    assert (root / ".pixi/envs/default/share/mine.txt").read_text() == "mine 1.0\n"
    assert smelt(root, "lock", "--check").returncode == 0
    origin.folder.rename(tmp_path / "away")
    assert "nothing to build" in smelt(root, "build", "--why").stdout


NAMES = st.text("abcXYZ019-_./ ~*+&=#?é", min_size=1, max_size=12)


@given(
    subdirectory=NAMES | st.none(), kind=st.sampled_from(["branch", "tag", "rev", None]), name=NAMES, lfs=st.booleans()
)
def test_what_a_lock_says_of_a_place_is_found_again(
    subdirectory: str | None, kind: str | None, name: str, lfs: bool
) -> None:
    from smelt.lock.model import SourcePackage

    reference = GitReference(**{kind: name}) if kind is not None else None
    location = SourceLocation(
        git="https://git.example/x.git", reference=reference, subdirectory=subdirectory, lfs=lfs or None
    )
    pinned = BuildSource(
        git="https://git.example/x.git",
        rev="0" * 40,
        branch=name if kind == "branch" else None,
        tag=name if kind == "tag" else None,
        explicit_rev=True if kind == "rev" else None,
        subdir=subdirectory,
    )
    text = location_text(location, pinned)
    pins = SourcePins.of_packages([SourcePackage(name="x", hash="0" * 8, location=text)])
    assert pins.place(location, Path("/")) == pinned
    other = GitReference(branch=f"{name}x")
    assert pins.place(SourceLocation(git="https://git.example/x.git", reference=other), Path("/")) is None


@given(st.lists(st.sampled_from(["..", ".", "a", "b"]), min_size=1, max_size=6), st.sampled_from([None, "a", "a/b"]))
def test_paths_stay_in_the_checkout(parts: list[str], subdirectory: str | None) -> None:
    outer = SourceLocation(git="https://git.example/x.git", subdirectory=subdirectory)
    depth = len(Path(subdirectory or ".").parts)
    lowest = 0
    for part in parts:
        depth += {"..": -1, ".": 0}.get(part, 1)
        lowest = min(lowest, depth)
    try:
        found = inner_location(outer, SourceLocation(path="/".join(parts)), "x")
    except SourceError:
        assert lowest < 0
        return
    assert found.git == outer.git
    assert not (found.subdirectory or "").startswith(("..", "/"))
