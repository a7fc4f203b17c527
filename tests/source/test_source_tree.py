"""The digest of a source tree: what changes it, what does not, and what it costs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from smelt.errors import SourceError
from smelt.source import stats, tree
from smelt.source.listing import expand_braces, list_tree
from smelt.source.tree import export_tree, tree_digest

UNIX = pytest.mark.skipif(os.name == "nt", reason="needs exec bits and symbolic links")
NAMES = st.text(st.sampled_from("abAB.-_ é"), min_size=1, max_size=6).filter(
    lambda name: name.strip(". ") != "" and name not in (".git", ".pixi") and not name.endswith((".pyc", " ", "."))
)
PATHS = st.lists(NAMES, min_size=1, max_size=3).map("/".join)
KINDS = st.sampled_from(["file", "executable", "link"] if os.name != "nt" else ["file"])
ENTRIES = st.dictionaries(PATHS, st.tuples(KINDS, st.binary(max_size=5)), min_size=1, max_size=6)
FAST = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def write(root: Path, entries: dict[str, tuple[str, bytes]]) -> dict[str, tuple[str, bytes]]:
    """Write what fits together (a name cannot be a file and a folder), and say what was written."""
    written: dict[str, tuple[str, bytes]] = {}
    for path, (kind, content) in entries.items():
        place = root / path
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            if place.exists() or place.is_symlink():
                continue
            if kind == "link":
                place.symlink_to("to-" + content.hex())
            else:
                place.write_bytes(content)
                place.chmod(0o755 if kind == "executable" else 0o644)
        except (FileExistsError, NotADirectoryError):
            continue
        written[path] = (kind, content)
    return written


@FAST
@given(ENTRIES, st.randoms(use_true_random=False))
def test_digest_depends_on_nothing_but_the_files(entries: dict[str, tuple[str, bytes]], random: object) -> None:
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as two:
        written = write(Path(one), entries)
        shuffled = sorted(written, key=lambda path: random.random())  # type: ignore[attr-defined]
        os.umask(previous := os.umask(0o077))
        os.umask(0o027)
        try:
            for path in shuffled:
                write(Path(two) / "deeper", {path: written[path]})
        finally:
            os.umask(previous)
        for path, (kind, _) in written.items():
            if kind != "link":
                os.utime(Path(two) / "deeper" / path, (1, 1))
        (Path(two) / "deeper" / "empty folder").mkdir(exist_ok=True)
        first, second = tree_digest(Path(one)), tree_digest(Path(two) / "deeper")
        assert first.digest == second.digest
        assert {file.path for file in first.files} == set(written)


@FAST
@given(ENTRIES, st.data())
def test_every_change_changes_the_digest_and_undoing_it_brings_it_back(
    entries: dict[str, tuple[str, bytes]], data: st.DataObject
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        written = write(root, entries)
        before = tree_digest(root).digest
        path = data.draw(st.sampled_from(sorted(written)))
        kind, content = written[path]
        place = root / path
        change = data.draw(
            st.sampled_from(["content", "kind", "name", "gone", "more"] if os.name != "nt" else ["gone"])
        )
        undo = {path: (kind, content)}
        if change == "content":
            place.unlink()
            write(root, {path: (kind, content + b"!")})
        elif change == "kind":
            place.unlink()
            write(root, {path: ("executable" if kind == "file" else "file", content)})
        elif change == "name":
            place.rename(place.with_name(place.name + "x"))
        elif change == "gone":
            place.unlink()
        else:
            (root / "one more").write_bytes(b"")
        assert tree_digest(root).digest != before
        (root / "one more").unlink(missing_ok=True)
        place.with_name(place.name + "x").unlink(missing_ok=True)
        place.unlink(missing_ok=True)
        write(root, undo)
        assert tree_digest(root).digest == before


def settle(root: Path) -> None:
    """Make everything older than an index that is made from now on."""
    old = time.time() - 100
    for folder, _, files in os.walk(root):
        for name in files:
            os.utime(Path(folder) / name, (old, old + 0.5), follow_symlinks=False)
        os.utime(folder, (old, old + 0.5))


def test_unchanged_says_true_only_where_nothing_changed(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/a.c").write_text("one")
    (tmp_path / "b.c").write_text("two")
    settle(tmp_path)
    found = tree_digest(tmp_path)
    index = stats.read(str(found.index_path))
    assert index is not None
    assert stats.unchanged(index)
    (tmp_path / "sub/a.c").write_text("eno")
    assert not stats.unchanged(index)


@pytest.mark.parametrize("change", ["new file", "new folder", "deleted", "touched", "chmod", "replaced", "folder gone"])
def test_unchanged_notices(tmp_path: Path, change: str) -> None:
    root = tmp_path / "tree"
    (root / "sub").mkdir(parents=True)
    (root / "sub/a.c").write_text("one")
    settle(root)
    index = stats.read(str(tree_digest(root).index_path))
    assert index is not None
    assert stats.unchanged(index)
    if change == "new file":
        (root / "sub/b.c").write_text("")
    elif change == "new folder":
        (root / "new").mkdir()
    elif change == "deleted":
        (root / "sub/a.c").unlink()
    elif change == "touched":
        os.utime(root / "sub/a.c")
    elif change == "chmod":
        (root / "sub/a.c").chmod(0o700 if os.name != "nt" else 0o400)
    elif change == "replaced":
        (tmp_path / "other").write_text("two")
        os.utime(tmp_path / "other", ns=(0, (root / "sub/a.c").stat().st_mtime_ns))
        (tmp_path / "other").replace(root / "sub/a.c")
    else:
        shutil.rmtree(root)
    assert not stats.unchanged(index)


def test_a_file_as_new_as_the_index_is_not_trusted(tmp_path: Path) -> None:
    file = tmp_path / "a.c"
    file.write_text("one")
    first = tree_digest(tmp_path)
    index = stats.read(str(first.index_path))
    assert index is not None
    assert not stats.unchanged(index)
    state = file.stat()
    # The same size and time, as an editor that is quick enough could do.
    file.write_text("two")
    os.utime(file, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert tree_digest(tmp_path).digest != first.digest


def test_only_changed_files_are_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(20):
        (tmp_path / f"{number}.c").write_text(str(number))
    settle(tmp_path)
    tree_digest(tmp_path)
    read: list[str] = []
    real = tree.hashlib.file_digest

    def counting(file: object, name: str) -> object:
        read.append(Path(file.name).name)  # type: ignore[attr-defined]
        return real(file, name)  # type: ignore[arg-type]

    monkeypatch.setattr(tree.hashlib, "file_digest", counting)
    (tmp_path / "7.c").write_text("seven")
    tree_digest(tmp_path)
    assert read == ["7.c"]


@pytest.mark.parametrize("damage", [b"", b"garbage", b"\xe9\x00"])
def test_a_damaged_index_is_made_again(tmp_path: Path, damage: bytes) -> None:
    (tmp_path / "a").write_text("x")
    found = tree_digest(tmp_path)
    found.index_path.write_bytes(damage)
    assert stats.read(str(found.index_path)) is None
    assert tree_digest(tmp_path) == found


def test_what_never_belongs_to_a_tree(tmp_path: Path) -> None:
    for name in (".pixi/envs/x", "__pycache__/m.pyc", "m.pyc", "a.py", ".hidden"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    assert [file.path for file in tree_digest(tmp_path).files] == [".hidden", "a.py"]
    assert [file.path for file in tree_digest(tmp_path, ["**/*"]).files] == [".hidden", "a.py"]


def test_one_file_is_a_tree_too(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("x")
    found = tree_digest(tmp_path / "a.txt")
    settle(tmp_path)
    assert tree_digest(tmp_path / "a.txt").digest == found.digest
    export_tree(tmp_path / "a.txt", found, tmp_path / "out")
    assert (tmp_path / "out/a.txt").read_text() == "x"


def test_globs(tmp_path: Path) -> None:
    for name in (".gitignore", "a.c", "b.h", "c.txt", "data/big.bin", "build/x.o", "build/keep.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    (tmp_path / ".gitignore").write_text("build/\n*.bin\n")

    def paths(*globs: str) -> set[str]:
        return {file.path for file in tree_digest(tmp_path, globs).files}

    assert paths() == {".gitignore", "a.c", "b.h", "c.txt"}
    assert paths("!*.{c,h}") == {".gitignore", "c.txt"}
    assert paths("data/**") == {".gitignore", "a.c", "b.h", "c.txt", "data/big.bin"}
    assert paths("!*", "build/*.txt") == {"build/keep.txt"}
    assert paths("!*", "&*.c", "&build/**") == {"a.c"}
    assert paths("build", "!*.o") == {".gitignore", "a.c", "b.h", "c.txt", "build/keep.txt"}
    assert expand_braces("**/*.{c,h{pp,}}") == ("**/*.c", "**/*.hpp", "**/*.h")


def git(folder: Path, *arguments: str) -> None:
    subprocess.run(
        ["git", "-c", "user.name=t", "-c", "user.email=t@t.example", "-c", "init.defaultBranch=main", *arguments],
        cwd=folder,
        check=True,
        capture_output=True,
    )


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    if shutil.which("git") is None:
        pytest.skip("needs git")
    root = tmp_path / "repository"
    (root / "package/src").mkdir(parents=True)
    (root / ".gitignore").write_text("*.log\n/package/dist/\n")
    (root / "package/.gitignore").write_text("!keep.log\nnested/out/\n")
    for name in ("src/a.c", "keep.log", "drop.log", "dist/x", "nested/out/y", "nested/in", "tracked.log"):
        (root / "package" / name).parent.mkdir(parents=True, exist_ok=True)
        (root / "package" / name).write_text(name)
    git(root, "init", "-q")
    git(root, "add", ".")
    git(root, "add", "-f", "package/tracked.log")
    git(root, "commit", "-q", "-m", "x")
    (root / "package/untracked.c").write_text("")
    return root


def test_in_a_repository_what_git_tracks_or_does_not_ignore_belongs(repository: Path) -> None:
    package = repository / "package"
    files = {file.path for file in tree_digest(package).files}
    assert files == {".gitignore", "keep.log", "nested/in", "src/a.c", "tracked.log", "untracked.c"}
    (package / "src/a.c").unlink()
    assert "src/a.c" not in {file.path for file in tree_digest(package).files}


@UNIX
def test_a_repository_in_a_folder_with_a_strange_name(repository: Path) -> None:
    """What Python takes for ends of lines is none for git."""
    strange = repository.rename(repository.parent / "a\u2028b\x85c\x0cd")
    files = {file.path for file in tree_digest(strange / "package").files}
    assert files == {".gitignore", "keep.log", "nested/in", "src/a.c", "tracked.log", "untracked.c"}


def test_a_tree_in_a_folder_that_its_repository_ignores_is_whole(repository: Path) -> None:
    (repository / ".gitignore").write_text("scratch/\n")
    inner = repository / "scratch" / "workspace"
    inner.mkdir(parents=True)
    (inner / "pyproject.toml").write_text("[project]\n")
    (inner / "left.log").write_text("")
    (inner / ".gitignore").write_text("*.log\n")
    assert [file.path for file in tree_digest(inner).files] == [".gitignore", "pyproject.toml"]


def test_without_git_the_ignore_files_say_the_same_but_for_what_is_tracked(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = repository / "package"
    with_git = {file.path for file in tree_digest(package).files}
    monkeypatch.setattr("smelt.source.listing.shutil.which", lambda name: None)
    assert set(list_tree(package).files) == with_git - {"tracked.log"}


def test_what_is_ignored_may_change_elsewhere(repository: Path) -> None:
    package = repository / "package"
    settle(repository)
    index = stats.read(str(tree_digest(package).index_path))
    assert index is not None
    assert stats.unchanged(index)
    (repository / ".git/info/exclude").write_text("untracked.c\n")
    assert not stats.unchanged(index)
    assert "untracked.c" not in {file.path for file in tree_digest(package).files}
    (repository / ".gitignore").write_text("*.c\n/package/dist/\n")
    assert "untracked.c" not in {file.path for file in tree_digest(package).files}
    (package / "dist/new").write_text("ignored")
    before = tree_digest(package).digest
    git(repository, "add", "-f", "package/dist/new")
    assert tree_digest(package).digest != before


def test_submodules_and_repositories_inside_belong(repository: Path) -> None:
    inner = repository / "package/vendor"
    inner.mkdir()
    (inner / "v.c").write_text("v")
    (inner / ".gitignore").write_text("*.tmp\n")
    (inner / "x.tmp").write_text("")
    git(inner, "init", "-q")
    files = {file.path for file in tree_digest(repository / "package").files}
    assert {"vendor/v.c", "vendor/.gitignore"} <= files
    assert "vendor/x.tmp" not in files
    assert not any(".git/" in path for path in files)


def test_the_repository_runs_nothing(repository: Path, tmp_path: Path) -> None:
    proof = tmp_path / "proof"
    hook = tmp_path / "hook.sh"
    hook.write_text(f"#!/bin/sh\ntouch {proof}\n")
    hook.chmod(0o755)
    git(repository, "config", "core.fsmonitor", str(hook))
    tree_digest(repository / "package")
    assert not proof.exists()


@UNIX
def test_export_copies_the_tree_and_nothing_else(tmp_path: Path) -> None:
    root = tmp_path / "tree"
    (root / "bin").mkdir(parents=True)
    (root / "bin/run").write_text("x")
    (root / "bin/run").chmod(0o700)
    (root / "link").symlink_to("bin/run")
    (root / ".gitignore").write_text("ignored\n")
    (root / "ignored").write_text("")
    settle(root)
    found = tree_digest(root)
    export_tree(root, found, tmp_path / "out")
    copied = tree_digest(tmp_path / "out")
    assert copied.digest == found.digest
    assert not (tmp_path / "out/ignored").exists()
    assert (tmp_path / "out/bin/run").stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "out/bin/run").stat().st_mtime_ns == (root / "bin/run").stat().st_mtime_ns
    (root / "bin/run").write_text("changed meanwhile")
    with pytest.raises(SourceError, match="changed while"):
        export_tree(root, found, tmp_path / "out2")


@UNIX
def test_pipes_are_passed_over_and_unreadable_files_are_errors(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "a").write_text("x")
    assert [file.path for file in tree_digest(tmp_path).files] == ["a"]
    if os.geteuid() != 0:
        (tmp_path / "a").chmod(0)
        with pytest.raises(SourceError, match="cannot read"):
            tree_digest(tmp_path)


def test_no_such_folder(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no source folder") as caught:
        tree_digest(tmp_path / "nowhere")
    assert caught.value.help


def test_the_warm_path_imports_nothing_heavy() -> None:
    heavy = ["typing", "dataclasses", "pathlib", "json", "hashlib", "re", "rattler", "pathspec", "filelock"]
    code = (
        f"import sys; sys.path[:0] = {sys.path!r}; import smelt.source.stats; "
        f"print([name for name in {heavy!r} if name in sys.modules])"
    )
    # Without site, which imports some of these itself where packages hook into it.
    done = subprocess.run([sys.executable, "-S", "-I", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
