"""Git sources: references become commits, commits become folders, and nothing of a stranger's runs."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from git_kit import GitRepository, needs_git
from smelt.errors import SourceError
from smelt.lock.model import BuildSource
from smelt.source.fetch import checkout, pin
from smelt.source.git import resolve_commit
from smelt.source.git_command import Repository, failure, repository, run_git
from smelt.types import GitReference, SourceLocation

pytestmark = needs_git


@pytest.fixture
def origin(tmp_path: Path) -> GitRepository:
    made = GitRepository(tmp_path / "origin")
    made.commit({"a.txt": "one\n", "packages/inner/b.txt": "inner\n"})
    return made


def source(made: GitRepository, subdirectory: str | None = None, **reference: str) -> SourceLocation:
    return SourceLocation(git=made.url, reference=GitReference(**reference), subdirectory=subdirectory)


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir()}


def test_the_default_branch(origin: GitRepository, tmp_path: Path) -> None:
    pinned = pin(SourceLocation(git=origin.url), tmp_path)
    assert pinned == BuildSource(git=origin.url, rev=origin.git("rev-parse", "HEAD"))
    found = checkout(pinned, tmp_path)
    assert files(found.folder) == {"a.txt", "packages/inner/b.txt"}
    assert found.digest == pinned.rev


def test_branch_tag_and_rev(origin: GitRepository, tmp_path: Path) -> None:
    first = origin.git("rev-parse", "HEAD")
    origin.git("tag", "light")
    origin.git("tag", "-a", "v1.0", "-m", "with a message")
    origin.git("switch", "--quiet", "-c", "feature/x")
    second = origin.commit({"a.txt": "two\n"})
    origin.git("switch", "--quiet", "main")
    assert pin(source(origin, branch="feature/x"), tmp_path) == BuildSource(
        git=origin.url, rev=second, branch="feature/x"
    )
    assert pin(source(origin, tag="v1.0"), tmp_path) == BuildSource(git=origin.url, rev=first, tag="v1.0")
    assert pin(source(origin, tag="light"), tmp_path).rev == first
    for rev in (second, second[:9], second.upper(), "feature/x"):
        pinned = pin(source(origin, rev=rev), tmp_path)
        assert pinned == BuildSource(git=origin.url, rev=second, explicit_rev=True)
    assert pin(source(origin, rev="v1.0"), tmp_path).rev == first
    assert (checkout(pinned, tmp_path).folder / "a.txt").read_text() == "two\n"


def test_plain_paths_and_other_spellings(origin: GitRepository, tmp_path: Path) -> None:
    commit = origin.git("rev-parse", "HEAD")
    for text in ("origin", str(origin.folder), f"git+{origin.url}"):
        assert pin(SourceLocation(git=text), tmp_path) == BuildSource(git=origin.url, rev=commit)
    assert repository("git@host.example:group/x.git", tmp_path).address == "ssh://git@host.example/group/x.git"


def test_a_subdirectory(origin: GitRepository, tmp_path: Path) -> None:
    pinned = pin(source(origin, "packages/inner", branch="main"), tmp_path)
    assert files(checkout(pinned, tmp_path).folder) == {"b.txt"}
    missing = pin(source(origin, "packages/other"), tmp_path)
    with pytest.raises(SourceError, match="no folder `packages/other`"):
        checkout(missing, tmp_path)


@pytest.mark.skipif(os.name == "nt", reason="symbolic links")
def test_a_subdirectory_does_not_lead_outside(origin: GitRepository, tmp_path: Path) -> None:
    (origin.folder / "out").symlink_to(tmp_path)
    origin.commit()
    with pytest.raises(SourceError, match="outside"):
        checkout(pin(source(origin, "out"), tmp_path), tmp_path)


def test_what_is_in_the_cache_needs_no_repository(origin: GitRepository, tmp_path: Path) -> None:
    commit = origin.git("rev-parse", "HEAD")
    pinned = pin(source(origin, rev=commit), tmp_path)
    folder = checkout(pinned, tmp_path).folder
    origin.folder.rename(tmp_path / "gone")
    assert pin(source(origin, rev=commit), tmp_path) == pinned
    assert checkout(pinned, tmp_path).folder == folder
    (folder / "a.txt").write_text("changed by somebody\n")
    (folder / "more.txt").write_text("x")
    again = checkout(pinned, tmp_path).folder
    assert files(again) == {"a.txt", "packages/inner/b.txt"}
    assert (again / "a.txt").read_text() == "one\n"
    with pytest.raises(SourceError) as caught:
        pin(source(origin, branch="main"), tmp_path)
    assert caught.value.kind == "git-repository"
    with pytest.raises(SourceError):
        checkout(BuildSource(git=origin.url, rev="0" * 40), tmp_path)


def test_a_commit_that_no_branch_has_any_more(origin: GitRepository, tmp_path: Path) -> None:
    lost = origin.commit({"a.txt": "lost\n"})
    origin.git("reset", "--quiet", "--hard", "HEAD~1")
    assert (checkout(BuildSource(git=origin.url, rev=lost), tmp_path).folder / "a.txt").read_text() == "lost\n"
    with pytest.raises(SourceError, match="has no commit") as caught:
        checkout(BuildSource(git=origin.url, rev="1" * 40), tmp_path)
    assert caught.value.kind == "git-reference"
    assert "smelt update" in (caught.value.help or "")


def test_an_old_commit_by_its_first_digits_after_a_shallow_fetch(origin: GitRepository, tmp_path: Path) -> None:
    first = origin.git("rev-parse", "HEAD")
    for number in range(3):
        origin.commit({"a.txt": f"{number}\n"})
    checkout(pin(source(origin), tmp_path), tmp_path)
    assert pin(source(origin, rev=first[:10]), tmp_path).rev == first


@pytest.mark.parametrize(
    ("reference", "help"),
    [
        ({"branch": "mian"}, "did you mean `main`?"),
        ({"tag": "v1.O"}, "did you mean `v1.0`?"),
        ({"branch": "quite-different"}, "there are `main`"),
        ({"rev": "deadbeef"}, "write the commit in full"),
        ({"rev": "v1.O"}, "did you mean `v1.0`?"),
    ],
)
def test_references_that_are_not_there(
    origin: GitRepository, tmp_path: Path, reference: dict[str, str], help: str
) -> None:
    origin.git("tag", "v1.0")
    with pytest.raises(SourceError) as caught:
        pin(source(origin, **reference), tmp_path)
    assert caught.value.kind == "git-reference"
    assert caught.value.help == help


def test_an_empty_repository(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no default branch"):
        pin(SourceLocation(git=GitRepository(tmp_path / "empty").url), tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        "--upload-pack=touch x",
        "-x",
        "git+--upload-pack=x",
        "ext::sh -c touch% x",
        "fd::17",
        "ssh://-oProxyCommand=touch/x",
        "ssh://-x@host.example/x",
        "gopher://host.example/x",
        "https:///x",
        "https://host.example/\nx",
        "https://[host.example/x",
        "",
    ],
)
def test_hostile_addresses(text: str, tmp_path: Path) -> None:
    with pytest.raises(SourceError) as caught:
        pin(SourceLocation(git=text), tmp_path)
    assert caught.value.kind == "git-address"
    assert "\n" not in caught.value.message


@pytest.mark.parametrize("kind", ["branch", "tag", "rev"])
@pytest.mark.parametrize(
    "name", ["--upload-pack=x", "-x", "a b", "a..b", "a:b", "a^{}", "*", "a~1", "@{u}", "x.lock", "/a", "a\nb"]
)
def test_hostile_references(origin: GitRepository, tmp_path: Path, kind: str, name: str) -> None:
    with pytest.raises(SourceError, match="cannot be the name") as caught:
        pin(source(origin, **{kind: name}), tmp_path)
    assert "\n" not in caught.value.message


@given(name=st.text(min_size=1, max_size=12))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_taken_for_a_reference_git_takes_too(name: str, tmp_path: Path) -> None:
    from smelt.source import git

    try:
        git._checked(name, "branch")
    except SourceError:
        return
    try:
        name.encode()
    except UnicodeEncodeError:
        return
    assert subprocess.run(["git", "check-ref-format", f"refs/heads/{name}"], check=False).returncode == 0


def test_commits_of_a_lock_are_commits(origin: GitRepository, tmp_path: Path) -> None:
    for rev in ("main", "--help", "HEAD", "abc123", ""):
        with pytest.raises(SourceError, match="not a full git commit"):
            checkout(BuildSource(git=origin.url, rev=rev), tmp_path)


def test_a_repository_that_cannot_be_reached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "HTTPS_PROXY", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(SourceError) as caught:
        pin(SourceLocation(git="http://user:s3cret@127.0.0.1:9/x.git"), tmp_path)
    assert caught.value.kind == "git-network"
    assert caught.value.notes
    assert "s3cret" not in str((caught.value.message, caught.value.notes, caught.value.help))
    with pytest.raises(SourceError) as caught:
        pin(SourceLocation(git=(tmp_path / "nothing").as_uri()), tmp_path)
    assert caught.value.kind == "git-repository"


def test_credentials_are_given_to_git_and_never_written_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = repository("https://user:s3cret@Host.example/x.git", tmp_path)
    assert place.address == "https://host.example/x.git"
    assert "s3cret" not in repr(place)
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "user.name")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "somebody")
    listed = run_git("config", "--list", repository=place).stdout.decode()
    assert "url.https://user:s3cret@host.example/.insteadof=https://host.example/" in listed
    assert "user.name=somebody" in listed
    said = failure(place, subprocess.CompletedProcess([], 128, b"", b"fatal: https://user:s3cret@host.example/x: 403"))
    assert "s3cret" not in str(said.notes)
    assert repository("ssh://git:s3cret@host.example/x", tmp_path).address == "ssh://git@host.example/x"


def test_a_repository_may_be_called_as_an_error_is(tmp_path: Path) -> None:
    for name in ("openssl_", "permission denied", "early eof"):
        with pytest.raises(SourceError) as caught:
            pin(SourceLocation(git=str(tmp_path / name)), tmp_path)
        assert caught.value.kind == "git-repository", caught.value.notes


def test_no_git(origin: GitRepository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SourceError) as caught:
        pin(source(origin), tmp_path)
    assert caught.value.kind == "git-missing"


def test_submodules(origin: GitRepository, tmp_path: Path) -> None:
    deepest = GitRepository(tmp_path / "deepest")
    deepest.commit({"deep.txt": "deep\n"})
    library = GitRepository(tmp_path / "library")
    library.commit({"library.txt": "library\n"})
    library.git("submodule", "--quiet", "add", deepest.url, "third/deepest")
    library.commit()
    origin.git("submodule", "--quiet", "add", "../library", "third_party/library")
    pinned = pin(source(origin, branch="main"), tmp_path)
    assert "third_party/library/library.txt" not in files(checkout(pinned, tmp_path).folder)
    origin.commit()
    pinned = pin(source(origin, branch="main"), tmp_path)
    library.commit({"library.txt": "newer\n"})
    folder = checkout(pinned, tmp_path).folder
    assert files(folder) == {
        ".gitmodules",
        "a.txt",
        "packages/inner/b.txt",
        "third_party/library/.gitmodules",
        "third_party/library/library.txt",
        "third_party/library/third/deepest/deep.txt",
    }
    assert (folder / "third_party/library/library.txt").read_text() == "library\n"
    for each in (origin, library, deepest):
        each.folder.rename(each.folder.with_name(f"{each.folder.name}-gone"))
    (folder / "a.txt").unlink()
    assert "a.txt" in files(checkout(pinned, tmp_path).folder)


def test_a_submodule_that_cannot_be_had(origin: GitRepository, tmp_path: Path) -> None:
    library = GitRepository(tmp_path / "library")
    library.commit({"library.txt": "library\n"})
    origin.git("submodule", "--quiet", "add", library.url, "library")
    origin.commit()
    library.folder.rename(tmp_path / "gone")
    pinned = pin(source(origin), tmp_path)
    with pytest.raises(SourceError, match="the submodule `library` of") as caught:
        checkout(pinned, tmp_path)
    assert caught.value.kind == "git-repository"
    origin.commit({".gitmodules": ""})
    with pytest.raises(SourceError, match="does not say where its submodule") as caught:
        checkout(pin(source(origin), tmp_path), tmp_path)
    assert caught.value.kind == "git-submodule"
    text = '[submodule "library"]\npath = library\nurl = --upload-pack=touch x\n'
    origin.commit({".gitmodules": text})
    with pytest.raises(SourceError) as caught:
        checkout(pin(source(origin), tmp_path), tmp_path)
    assert caught.value.kind == "git-address"
    origin.commit({".gitmodules": text + "update = none\n"})
    assert "a.txt" in files(checkout(pin(source(origin), tmp_path), tmp_path).folder)


def test_hooks_filters_and_settings_of_strangers_do_not_run(
    origin: GitRepository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = tmp_path / "ran"
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    for name in ("post-checkout", "post-index-change", "reference-transaction", "post-merge"):
        (hooks / name).write_text(f"#!/bin/sh\ntouch '{ran}'\n")
        (hooks / name).chmod(0o755)
    own = tmp_path / "gitconfig"
    own.write_text(f"[core]\n\thooksPath = {hooks.as_posix()}\n\tautocrlf = true\n[init]\n\ttemplateDir = {hooks}\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(own))
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "index"))
    folder = checkout(pin(SourceLocation(git=origin.url), tmp_path), tmp_path).folder
    assert (folder / "a.txt").read_bytes() == b"one\n"
    assert not ran.exists()
    assert not (tmp_path / "index").exists()


@pytest.mark.skipif(os.name == "nt", reason="exec bits and symbolic links")
def test_exec_bits_and_links_are_kept(origin: GitRepository, tmp_path: Path) -> None:
    (origin.folder / "run.sh").write_text("#!/bin/sh\n")
    (origin.folder / "run.sh").chmod(0o755)
    (origin.folder / "link").symlink_to("a.txt")
    origin.commit()
    folder = checkout(pin(SourceLocation(git=origin.url), tmp_path), tmp_path).folder
    assert (folder / "run.sh").stat().st_mode & 0o100
    assert (folder / "link").readlink() == Path("a.txt")


def test_git_lfs_is_asked_for_and_not_there(
    origin: GitRepository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pointer = "version https://git-lfs.example/spec/v1\noid sha256:" + "0" * 64 + "\nsize 3\n"
    origin.commit({"big.bin": pointer, ".gitattributes": "*.bin filter=lfs diff=lfs merge=lfs -text\n"})
    own = tmp_path / "gitconfig"
    own.write_text('[filter "lfs"]\n\tsmudge = false\n\tprocess = false\n\trequired = true\n')
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(own))
    pinned = pin(SourceLocation(git=origin.url), tmp_path)
    assert (checkout(pinned, tmp_path).folder / "big.bin").read_text() == pointer
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "git").symlink_to(
        str(next(Path(p) / "git" for p in os.environ["PATH"].split(os.pathsep) if (Path(p) / "git").exists()))
    )
    monkeypatch.setenv("PATH", str(tools))
    with pytest.raises(SourceError) as caught:
        checkout(pinned, tmp_path, SourceLocation(git=origin.url, lfs=True))
    assert caught.value.kind == "git-lfs"


def test_two_processes_at_once(origin: GitRepository, tmp_path: Path) -> None:
    for number in range(5):
        origin.commit({"a.txt": f"{number}\n"})
    script = (
        "import sys\nfrom pathlib import Path\n"
        "from smelt.source.fetch import checkout, pin\nfrom smelt.types import SourceLocation\n"
        "print(checkout(pin(SourceLocation(git=sys.argv[1]), Path('.')), Path('.')).folder)\n"
    )
    running = [
        subprocess.Popen([sys.executable, "-c", script, origin.url], stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    answers = {each.communicate()[0] for each in running}
    assert len(answers) == 1
    assert all(each.returncode == 0 for each in running)
    assert re.search(r"checkouts", answers.pop())


def test_a_mirror_that_a_killed_process_left_locked(origin: GitRepository, tmp_path: Path, own_cache: Path) -> None:
    checkout(pin(SourceLocation(git=origin.url), tmp_path), tmp_path)
    mirror = next(path.parent for path in (own_cache / "smelt/git").rglob("HEAD"))
    (mirror / "shallow.lock").touch()
    (mirror / "refs/smelt").mkdir(parents=True, exist_ok=True)
    commit = origin.commit({"a.txt": "two\n"})
    (mirror / f"refs/smelt/{commit}.lock").touch()
    assert (checkout(pin(SourceLocation(git=origin.url), tmp_path), tmp_path).folder / "a.txt").read_text() == "two\n"


def test_the_commit_of_the_default_branch_is_not_that_of_a_branch_called_head(origin: GitRepository) -> None:
    first = origin.git("rev-parse", "HEAD")
    origin.git("switch", "--quiet", "-c", "x/HEAD")
    second = origin.commit({"a.txt": "two\n"})
    origin.git("switch", "--quiet", "main")
    place = Repository(address=origin.url)
    assert resolve_commit(place, None) == first
    assert resolve_commit(place, GitReference(branch="x/HEAD")) == second


@pytest.mark.skipif(shutil.which("git-lfs") is None, reason="needs git-lfs")
def test_files_of_git_lfs(origin: GitRepository, tmp_path: Path) -> None:
    inner = GitRepository(tmp_path / "inner")
    for each in (inner, origin):
        each.git("lfs", "install", "--local")
        each.git("lfs", "track", "*.bin")
        each.commit({"data/big.bin": f"real content of {each.folder.name}\n"})
    assert origin.git("show", "HEAD:data/big.bin").startswith("version https://git-lfs")
    origin.git("submodule", "--quiet", "add", "../inner", "inner")
    origin.commit()
    location = SourceLocation(git=origin.url, lfs=True)
    pinned = pin(location, tmp_path)
    without = checkout(pinned, tmp_path)
    assert (without.folder / "data/big.bin").read_text().startswith("version https://git-lfs")
    found = checkout(pinned, tmp_path, location)
    assert (found.folder / "data/big.bin").read_text() == "real content of origin\n"
    assert (found.folder / "inner/data/big.bin").read_text() == "real content of inner\n"
    assert found.digest != without.digest
    shutil.rmtree(origin.folder / ".git/lfs/objects")
    (found.folder / "a.txt").unlink()
    assert (checkout(pinned, tmp_path, location).folder / "data/big.bin").read_text() == "real content of origin\n"
    lost = origin.commit({"data/big.bin": "lost\n"})
    shutil.rmtree(origin.folder / ".git/lfs/objects")
    with pytest.raises(SourceError) as caught:
        checkout(BuildSource(git=origin.url, rev=lost), tmp_path, location)
    assert caught.value.kind == "git-lfs"
