"""PyPI requirements from the manifest into the lock file."""

from __future__ import annotations

import io
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from pypi_kit import PYTHON, Make, dynamic_project, metadata, project, sdist, served, simple_index, wheel

from git_kit import GitRepository
from smelt.api.workspace import Workspace
from smelt.errors import NotSupportedError, SmeltError, SolveError
from smelt.lock.model import Lock, PypiPackage
from smelt.lock.pypi_platform import PypiPlatform
from smelt.manifest.pypi import PypiOptions, PypiRequirement
from smelt.solve.pypi import InterpreterNeeded, choose
from smelt.solve.pypi_request import PypiSolveRequest
from smelt.types import CondaRecord
from spine_kit import OTHER, SUBDIR, Channel

CP = f"cp{sys.version_info[0]}{sys.version_info[1]}"


@pytest.fixture
def links(tmp_path: Path) -> Path:
    """``app`` 1 and 2 that need ``base`` 1 and 2; ``base`` 1.5 and 2.5."""
    folder = tmp_path / "ws" / "links"
    for version in ("1.0", "2.0"):
        wheel(folder, "app", version, [f"base>={version}", "extra-one; extra == 'more'"], extras=["more"])
    for version in ("1.5", "2.5"):
        wheel(folder, "base", version)
    wheel(folder, "extra-one", "0.1", ["base <3"])
    return folder


def pypi(lock: Lock, environment: str = "default", platform: str = SUBDIR) -> dict[str, PypiPackage]:
    packages = lock.packages_of(environment, platform)
    assert packages is not None
    return {package.name: package for package in packages if isinstance(package, PypiPackage)}


def versions(lock: Lock, environment: str = "default", platform: str = SUBDIR) -> dict[str, str | None]:
    return {name: package.version for name, package in pypi(lock, environment, platform).items()}


def locked(workspace: Workspace) -> Lock:
    """Lock anew, and see that the lock fits, stays, and is the same a second time."""
    workspace.model.lock_path.unlink(missing_ok=True)
    workspace.lock()
    again = Workspace.load(workspace.model.manifest_path)
    lock = again.read_lock()
    assert again.check(lock) == ()
    text = again.model.lock_path.read_text(encoding="utf-8")
    assert not again.lock().written
    again.model.lock_path.unlink()
    assert again.lock().written
    assert again.model.lock_path.read_text(encoding="utf-8") == text
    assert lock is not None
    return lock


def solve_error(workspace: Workspace) -> SolveError:
    with pytest.raises(SolveError) as caught:
        workspace.lock()
    return caught.value


def test_entries_are_those_of_the_reference(workspace: Make, links: Path) -> None:
    made = workspace('app = { version = "*", extras = ["more"] }')
    lock = locked(made)
    text = made.model.lock_path.read_text(encoding="utf-8")
    assert versions(lock) == {"app": "2.0", "base": "2.5", "extra-one": "0.1"}
    assert (
        "- pypi: ./links/app-2.0-py3-none-any.whl\n  name: app\n  version: '2.0'\n  sha256: "
        + pypi(lock)["app"].data["sha256"]  # type: ignore[operator]
        + "\n  requires_dist:\n  - base>=2.0\n  - extra-one ; extra == 'more'\n"
    ) in text
    assert "    find-links:\n    - path: links\n    packages:\n" in text
    assert f"      - pypi: {pypi(lock)['base'].location}\n" in text


def test_two_platforms(workspace: Make, links: Path) -> None:
    wheel(links, "native", tag=f"{CP}-{CP}-manylinux_2_17_x86_64")
    wheel(links, "native", tag=f"{CP}-{CP}-manylinux_2_28_x86_64")
    wheel(links, "native", tag=f"{CP}-{CP}-manylinux_2_40_x86_64")
    wheel(links, "native", tag=f"{CP}-{CP}-macosx_11_0_arm64")
    wheel(links, "native", tag="cp38-cp38-macosx_11_0_arm64")
    lock = locked(
        workspace(
            'native = "*"\nbase = { version = "*", env-markers = "sys_platform == \'darwin\'" }',
            platforms=("linux-64", "osx-arm64"),
        )
    )
    assert pypi(lock, platform="linux-64")["native"].location.endswith("manylinux_2_28_x86_64.whl")
    assert pypi(lock, platform="osx-arm64")["native"].location.endswith(f"{CP}-{CP}-macosx_11_0_arm64.whl")
    assert "base" not in pypi(lock, platform="linux-64")
    assert "base" in pypi(lock, platform="osx-arm64")


def test_virtual_packages_decide_which_wheels_fit(workspace: Make, links: Path) -> None:
    wheel(links, "native", tag=f"{CP}-{CP}-manylinux_2_17_x86_64")
    wheel(links, "native", tag=f"{CP}-{CP}-manylinux_2_28_x86_64")
    made = workspace('native = "*"', more='[system-requirements]\nlibc = "2.17"', platforms=("linux-64",))
    platform = made.model.platforms_of("default")[0].name
    assert pypi(locked(made), platform=platform)["native"].location.endswith("manylinux_2_17_x86_64.whl")


def test_locked_versions_stay(workspace: Make, links: Path) -> None:
    workspace('app = "<2"').lock()
    made = workspace('app = "*"')
    assert versions(made.lock().lock) == {"app": "1.0", "base": "2.5"}
    wheel(links, "base", "2.6")
    made = workspace('app = "*"\nextra-one = "*"')
    assert versions(made.lock().lock) == {"app": "1.0", "base": "2.5", "extra-one": "0.1"}
    assert versions(made.lock(unlock={"base"}).lock)["base"] == "2.6"
    assert versions(made.lock(unlock=None).lock)["app"] == "2.0"


def mapped(channel: Channel, **names: str) -> str:
    table = ", ".join(f'{name} = "{other}"' for name, other in names.items())
    return f'conda-pypi-map = {{ "{channel.url}" = {{ mapping = {{ {table} }} }} }}'


def test_conda_packages_count_as_installed(workspace: Make, links: Path, channel: Channel) -> None:
    channel.add("conda-base", "1.5", depends=["python"])
    channel.index()
    made = workspace(
        'app = "*"', conda='python = "*"\nconda-base = "*"', head=mapped(channel, **{"conda-base": "base"})
    )
    lock = locked(made)
    assert versions(lock) == {"app": "1.0"}  # app 2 needs base 2
    record = next(p for p in lock.packages.values() if isinstance(p, CondaRecord) and p.name == "conda-base")
    assert record.purls == ("pkg:pypi/base?source=project-defined-mapping",)


def test_conflict_between_the_worlds(workspace: Make, links: Path, channel: Channel) -> None:
    channel.add("conda-base", "1.5", depends=["python"])
    channel.index()
    head, conda = mapped(channel, **{"conda-base": "base"}), 'python = "*"\nconda-base = "*"'
    error = solve_error(workspace('app = ">=2"', conda=conda, head=head))
    assert error.kind == "pypi-conda-conflict"
    assert error.message == f"environment `default`, {SUBDIR}: the PyPI requirements cannot be solved"
    assert "installed by conda, so these versions cannot move: base 1.5" in error.notes
    assert "the environment depends on app>=2" in error.notes[0]
    assert [label.place.line for label in error.labels] == [13]
    error = solve_error(workspace('base = { path = "base" }', conda=conda, head=head))
    assert "a conda package provides base 1.5 already" in error.message
    assert solve_error(workspace('base = ">=2"', conda=conda, head=head)).kind == "pypi-conda-conflict"


def test_mapping_file_and_no_mapping(workspace: Make, links: Path, channel: Channel, tmp_path: Path) -> None:
    channel.add("conda-base", "1.5", depends=["python"])
    channel.index()
    conda = 'python = "*"\nconda-base = "*"'
    (tmp_path / "map.json").write_text('{"conda-base": ["base", "other"], "tool": null}', encoding="utf-8")
    head = f'conda-pypi-map = {{ "{channel.url}" = "../map.json" }}'
    assert "base" not in versions(locked(workspace('app = "*"', conda=conda, head=head)))
    assert versions(locked(workspace('app = "*"', conda=conda, head="conda-pypi-map = false")))["base"] == "2.5"
    (tmp_path / "map.json").write_text("[]", encoding="utf-8")
    (tmp_path / "ws" / "pixi.lock").unlink()
    with pytest.raises(SmeltError, match="makes no sense"):
        workspace('app = "*"', conda=conda, head=head).lock()
    (tmp_path / "map.json").unlink()
    with pytest.raises(SmeltError, match="cannot be read"):
        workspace('app = "*"', conda=conda, head=head).lock()


def test_nothing_is_asked_about_what_conda_provides(workspace: Make, tmp_path: Path, channel: Channel) -> None:
    channel.add("base", "1.5", depends=["python"])
    channel.index()
    folder = simple_index(tmp_path / "index", wheel(tmp_path / "w", "app", "1.0", ["base"]))
    with served(folder) as (url, asked):
        made = workspace(
            'app = "*"',
            conda='python = "*"\nbase = "*"',
            options=f'index-url = "{url}/simple"',
            head=mapped(channel, base="base"),
        )
        assert versions(made.lock().lock) == {"app": "1.0"}
        assert not any("/base/" in path for path in asked)


def test_indexes(workspace: Make, tmp_path: Path) -> None:
    first = simple_index(tmp_path / "one", wheel(tmp_path / "w", "app", "1.0", ["base"]), wheel(tmp_path / "w", "base"))
    second = simple_index(tmp_path / "two", wheel(tmp_path / "x", "base", "2.0"), wheel(tmp_path / "x", "only"))
    with served(first) as (one, _), served(second) as (two, _):
        options = f'index-url = "{one.replace("//", "//user:secret@")}/simple"'
        made = workspace(f'app = "*"\nbase = {{ version = "*", index = "{two}/simple" }}', options=options)
        lock = locked(made)
        assert versions(lock) == {"app": "1.0", "base": "2.0"}
        assert {name: package.data["index"] for name, package in pypi(lock).items()} == {
            "app": f"{one}/simple",
            "base": f"{two}/simple",
        }
        assert "secret" not in made.model.lock_path.read_text(encoding="utf-8")
        made = workspace('app = "*"\nbase = "*"', options=options)
        found = made.check(made.read_lock())
        assert [each.code for each in found] == ["pypi-index"]
        options = f'index-url = "{one}/simple"\nextra-index-urls = ["{two}/simple"]'
        made = workspace('app = "*"\nbase = "*"\nonly = "*"', options=options)
        assert [each.code for each in made.check(made.read_lock())] == ["pypi-indexes"]
        lock = locked(made)
        # the first index that has a package is the only one that is looked at
        assert versions(lock) == {"app": "1.0", "base": "2.0", "only": "1.0"}
        assert pypi(lock)["only"].data["index"] == f"{two}/simple"
        options += '\nindex-strategy = "unsafe-best-match"'
        assert versions(workspace('base = "*"', options=options).lock(unlock=None).lock) == {"base": "2.0"}


def test_find_links_by_address(workspace: Make, tmp_path: Path) -> None:
    folder = tmp_path / "flat"
    made = wheel(folder, "app", "1.0")
    (folder / "index.html").write_text(f'<a href="{made.name}">{made.name}</a>', encoding="utf-8")
    with served(folder) as (url, _):
        lock = locked(workspace('app = "*"', options=f'find-links = [{{ url = "{url}/" }}]'))
        assert pypi(lock)["app"].location == f"{url}/{made.name}"


def test_places(workspace: Make, tmp_path: Path, links: Path) -> None:
    """Path, git, url, wheel and sdist by path."""
    root = tmp_path / "ws"
    project(root / "near", "near", "1.0", ["base"], '[project.optional-dependencies]\nmore = ["extra-one"]')
    dynamic_project(tmp_path / "far", "far", "0.3", ["base >=2"])
    repository = project(tmp_path / "repository", "tracked", "2.0", ["base"])
    for command in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-q", "-m", "one"], ["tag", "v2"]):
        subprocess.run(
            ["git", "-c", "user.name=t", "-c", "user.email=t@t.example", *command], cwd=repository, check=True
        )
    commit = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=repository, check=True, capture_output=True, text=True
    ).stdout.strip()
    direct = wheel(tmp_path / "served", "direct", "1.0")
    local = wheel(root / "files", "local", "1.0")
    with served(tmp_path / "served") as (url, _):
        made = workspace(
            'near = { path = "near", extras = ["more"], editable = true }\nfar = { path = "../far" }\n'
            f'tracked = {{ git = "{repository.as_uri()}", tag = "v2" }}\n'
            f'direct = {{ url = "{url}/{direct.name}" }}\nlocal = {{ path = "files/{local.name}" }}'
        )
        lock = locked(made)
        found = {name: package.location for name, package in pypi(lock).items()}
        assert found == {
            "near": "./near",
            "far": "../far",
            "tracked": f"git+{repository.as_uri()}?tag=v2#{commit}",
            "direct": f"direct+{url}/{direct.name}",
            "local": f"./files/{local.name}",
            "base": "./links/base-2.5-py3-none-any.whl",
            "extra-one": "./links/extra_one-0.1-py3-none-any.whl",
        }
        assert versions(lock) == {
            "near": None,
            "far": None,
            "tracked": "2.0",
            "direct": "1.0",
            "local": "1.0",
            "base": "2.5",
            "extra-one": "0.1",
        }
        assert pypi(lock)["far"].data["requires_dist"] == ("base>=2",) or pypi(lock)["far"].data["requires_dist"] == [
            "base>=2"
        ]
        # the commit stays although the tag moves, until it is asked for
        (repository / "new").write_text("", encoding="utf-8")
        for command in (["add", "-A"], ["commit", "-q", "-m", "two"], ["tag", "-f", "v2"]):
            subprocess.run(
                ["git", "-c", "user.name=t", "-c", "user.email=t@t.example", *command],
                cwd=repository,
                check=True,
                capture_output=True,
            )
        made = workspace(
            f'tracked = {{ git = "{repository.as_uri()}", tag = "v2" }}\nbase = "<2"',
        )
        assert pypi(made.lock().lock)["tracked"].location.endswith(commit)
        assert not pypi(made.lock(unlock=None).lock)["tracked"].location.endswith(commit)
        made = workspace(f'tracked = {{ git = "{repository.as_uri()}", branch = "main" }}')
        assert "required is main" in made.check(made.read_lock())[0].reason


def test_local_project_that_changes(workspace: Make, tmp_path: Path, links: Path) -> None:
    folder = project(tmp_path / "ws" / "near", "near", "1.0", ["base"])
    made = workspace('near = { path = "near" }')
    locked(made)
    project(folder, "near", "1.1", ["base"])
    assert made.check(made.read_lock()) == ()  # the version of a folder is not locked
    project(folder, "near", "1.1", ["base", "extra-one"])
    (mismatch,) = made.check(made.read_lock())
    assert (mismatch.code, "added: extra-one" in mismatch.reason) == ("pypi-changed", True)
    assert "extra-one" in versions(locked(made))


def test_sdists_and_no_build(workspace: Make, tmp_path: Path, links: Path) -> None:
    sdist(links, dynamic_project(tmp_path / "source", "built", "1.0", ["base"]), "built")
    options = 'find-links = [{ path = "links" }]\nno-build = true'
    error = solve_error(workspace('built = "*"', options=options))
    assert error.kind == "pypi-unsatisfiable"
    assert "no usable wheels" in error.notes[0]


def test_overrides_strategy_prerelease(workspace: Make, links: Path) -> None:
    wheel(links, "base", "3.0a1")
    options = 'find-links = [{ path = "links" }]\n'
    override = options + '[pypi-options.dependency-overrides]\nbase = "==1.5"'
    assert versions(locked(workspace('app = ">=2"', options=override))) == {"app": "2.0", "base": "1.5"}
    allow = workspace('base = "*"', options=options + 'prerelease-mode = "allow"')
    assert versions(locked(allow)) == {"base": "3.0a1"}
    lowest = workspace('app = "*"', head='solve-strategy = "lowest"')
    assert versions(lowest.lock(unlock=None).lock) == {"app": "1.0", "base": "1.5"}


def test_solve_group(workspace: Make, links: Path, channel: Channel) -> None:
    channel.add("conda-base", "1.5", depends=["python"])
    channel.index()
    made = workspace(
        "",
        head=mapped(channel, **{"conda-base": "base"}),
        more='[feature.a.pypi-dependencies]\napp = "*"\n[feature.b.dependencies]\nconda-base = "*"\n'
        '[environments]\na = { features = ["a"], solve-group = "g" }\nb = { features = ["b"], solve-group = "g" }\n',
    )
    lock = locked(made)
    assert versions(lock, "a") == {"app": "1.0"}
    assert versions(lock, "b") == {}
    names = {p.name for p in lock.packages_of("a", SUBDIR) or () if isinstance(p, CondaRecord)}
    assert names == {"python", "conda-base"}


def test_users_mistakes(workspace: Make, links: Path, tmp_path: Path) -> None:
    error = solve_error(workspace('app = "*"', conda='tool = "*"'))
    assert error.kind == "pypi-no-python"
    assert "smelt add python" in (error.help or "")
    error = solve_error(workspace('app = { path = "nowhere" }'))
    assert error.kind == "pypi-path-missing"
    error = solve_error(workspace('app = ">9"'))
    assert error.kind == "pypi-unsatisfiable"
    assert "only app<=2.0 is available" in error.notes[0]
    assert error.labels
    project(tmp_path / "ws" / "one", "app")
    project(tmp_path / "ws" / "two", "app")
    more = (
        '[feature.e.pypi-dependencies]\napp = { path = "one" }\n[feature.f.pypi-dependencies]\n'
        'app = { path = "two" }\n[environments]\nf = ["e", "f"]\n'
    )
    error = solve_error(workspace("", more=more))
    assert error.kind == "pypi-two-sources"
    assert "traceback" not in str(error).lower()


def test_platforms_without_wheels(workspace: Make, links: Path, channel: Channel) -> None:
    channel.add("python", PYTHON, subdir="linux-ppc64le")
    channel.index()
    with pytest.raises(NotSupportedError, match="linux-ppc64le"):
        workspace('app = "*"', platforms=("linux-ppc64le",)).lock()


def test_only_foreign_wheels(workspace: Make, links: Path) -> None:
    wheel(links, "native", tag=f"{CP}-{CP}-win_amd64")
    error = solve_error(workspace('native = "*"', platforms=(OTHER,)))
    assert "no wheels with a matching platform tag" in error.notes[0]


def test_a_wrong_python_builds_nothing(workspace: Make, links: Path, tmp_path: Path, channel: Channel) -> None:
    sdist(links, dynamic_project(tmp_path / "source", "built", "1.0"), "built")
    request = PypiSolveRequest(
        requirements=(PypiRequirement(name="built"),),
        platform=PypiPlatform(python="3.99.0", subdir=SUBDIR),
        root=tmp_path,
        options=PypiOptions(find_links=(("path", str(links)),)),
    )
    with pytest.raises(InterpreterNeeded):
        choose(request)
    channel.add("python", "3.99.0", subdir=OTHER)
    channel.index()
    error = solve_error(workspace('built = "*"', platforms=(OTHER,)))
    assert error.kind == "pypi-no-interpreter"
    assert versions(workspace('app = "*"', platforms=(OTHER,)).lock().lock, platform=OTHER)["app"] == "2.0"


def test_static_metadata_need_no_interpreter(workspace: Make, tmp_path: Path, links: Path, channel: Channel) -> None:
    """For another Python than this one, on another platform: what a checkout or an sdist says of itself is enough."""
    other = "3.10.13" if not PYTHON.startswith("3.10.") else "3.11.7"
    channel.add("python", other, subdir=OTHER)
    channel.index()
    repository = GitRepository(tmp_path / "repository")
    project(repository.folder, "tracked", "2.0", ["base"])
    commit = repository.commit()
    minor = other.rpartition(".")[0]
    for form, name in (("2.2", "modern"), ("2.1", "aged")):
        folder = project(tmp_path / name, name, "1.0", ["base"])
        path = sdist(tmp_path / "ws" / "files", folder, name)
        with_metadata(path, metadata(name, "1.0", ["base>=1"], (), None, form))
    sources = f'tracked = {{ git = "{repository.url}", rev = "{commit}" }}\n'
    sources += 'modern = { path = "files/modern-1.0.tar.gz" }'
    made = workspace(sources, conda=f'python = "{minor}.*"', platforms=(OTHER,))
    found = pypi(locked(made), platform=OTHER)
    assert found.keys() == {"tracked", "modern", "base"}
    assert list(found["modern"].data["requires_dist"]) == ["base>=1"]
    assert list(found["tracked"].data["requires_dist"]) == ["base"]
    aged = workspace('aged = { path = "files/aged-1.0.tar.gz" }', conda=f'python = "{minor}.*"', platforms=(OTHER,))
    with pytest.raises(SolveError) as caught:
        aged.lock()
    assert caught.value.kind == "pypi-no-interpreter"


def with_metadata(path: Path, text: str) -> None:
    """Give an sdist other metadata."""
    with tarfile.open(path) as archive:
        files = [each for each in archive if each.isfile()]
        members = [(each, found.read()) for each in files if (found := archive.extractfile(each)) is not None]
    with tarfile.open(path, "w:gz") as archive:
        for member, data in members:
            content = text.encode() if member.name.endswith("/PKG-INFO") else data
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


@pytest.mark.parametrize("platform", [SUBDIR, OTHER])
def test_a_free_threaded_python(workspace: Make, channel: Channel, links: Path, platform: str) -> None:
    for subdir in (SUBDIR, OTHER):
        channel.add("python", "3.14.0", "0_cp314t", depends=["python_abi 3.14.* *_cp314t"], subdir=subdir)
        channel.add("python_abi", "3.14", "8_cp314t")
    channel.index()
    machine = {"linux-64": "manylinux_2_17_x86_64", "osx-arm64": "macosx_11_0_arm64"}[platform]
    for abi in ("cp314", "cp314t"):
        wheel(links, "native", tag=f"cp314-{abi}-{machine}")
    wheel(links, "stable", "2.0", tag=f"cp39-abi3-{machine}")
    wheel(links, "stable", "1.0")
    made = workspace('native = "*"\nstable = "*"', conda='python = "3.14.*"', platforms=[platform])
    lock = locked(made)
    assert pypi(lock, platform=platform)["native"].location == f"./links/native-1.0-cp314-cp314t-{machine}.whl"
    # the stable ABI of Python needs the lock
    assert versions(lock, platform=platform)["stable"] == "1.0"


def test_nothing_is_built_by_a_python_that_only_says_to_be_free_threaded(tmp_path: Path, links: Path) -> None:
    sdist(links, dynamic_project(tmp_path / "source", "built", "1.0"), "built")
    version = PYTHON if sys.version_info >= (3, 13) else "3.13.0"  # there are none before
    request = PypiSolveRequest(
        requirements=(PypiRequirement(name="built"),),
        platform=PypiPlatform(python=version, subdir=SUBDIR, free_threaded=True),
        root=tmp_path,
        options=PypiOptions(find_links=(("path", str(links)),)),
    )
    with pytest.raises(InterpreterNeeded):
        choose(request)
