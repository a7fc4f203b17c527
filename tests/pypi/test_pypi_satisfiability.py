"""Reasons why PyPI packages of a lock do not fit; markers and tags."""

from __future__ import annotations

import platform as host
import sys
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.markers import default_environment
from packaging.tags import parse_tag, sys_tags
from packaging.version import Version

from smelt.lock.model import PypiPackage
from smelt.lock.purls import PypiIdentity, identities
from smelt.lock.pypi import LocalMetadata, PypiLocked, PypiWalk, build_problem, wheel_problem
from smelt.lock.pypi_platform import PypiPlatform
from smelt.lock.pypi_requirement import lower_bound_problem, self_expanded
from smelt.lock.pypi_source import parse_git
from smelt.manifest.pypi import PypiOptions, PypiRequirement
from smelt.solve.pypi_metadata import normal_requirement
from smelt.types import CondaRecord, GitReference, VirtualPackage, current_platform, default_virtual_packages

LINUX = PypiPlatform(python="3.12.1", subdir="linux-64", virtual_packages=default_virtual_packages("linux-64"))
INDEX = "https://index.example/simple"


def package(name: str, version: str | None = "1.0", *requires: str, location: str = "", **data: str) -> PypiPackage:
    location = location or f"https://files.example/{name}-{version}-py3-none-any.whl"
    return PypiPackage(
        location=location, name=name, version=version, data={"name": name, "requires_dist": list(requires), **data}
    )


def why(
    requirements: Sequence[PypiRequirement],
    *packages: PypiPackage,
    conda: dict[str, str] | None = None,
    options: PypiOptions | None = None,
    local: LocalMetadata | None = None,
    python: PypiPlatform | None = LINUX,
) -> str | None:
    provided = {name: (name, PypiIdentity(name, Version(version))) for name, version in (conda or {}).items()}
    locked = PypiLocked(
        packages=packages, conda=provided, indexes=(INDEX,), root="/ws", local=(lambda _: local) if local else None
    )
    walk = PypiWalk(locked, python, options or PypiOptions(), lambda _: None)
    problem = walk.requirements(requirements) or walk.left_over()
    return f"{problem.code}: {problem.reason}" if problem is not None else None


def want(name: str, version: str | None = None, **more: object) -> PypiRequirement:
    return PypiRequirement(name=name, version=version, **more)  # type: ignore[arg-type]


def test_reasons() -> None:
    a = package("a", "1.0", "b>=2", "c ; extra == 'more'", "d ; sys_platform == 'win32'")
    b = package("b", "2.1")
    assert why([want("a", ">=1")], a, b) is None
    assert "'>=2' does not match the locked version '1.0'" in (why([want("a", ">=2")], a, b) or "")
    assert "the requirement 'b>=2' could not be satisfied (required by 'a')" in (why([want("a")], a) or "")
    assert "c ; extra == 'more'" in (why([want("a", extras=("more",))], a, b) or "")
    assert why([want("a", extras=("more",))], a, b, package("c")) is None
    assert why([want("a")], a, b, package("c")) == (
        "superfluous: there are PyPI packages in the lock file that nothing requires: c"
    )
    assert why([want("a")], a, conda={"b": "2.5"}) is None
    assert "could not be satisfied" in (why([want("a")], a, conda={"b": "1.0"}) or "")
    assert "no `python` is locked" in (why([want("a")], a, b, python=None) or "")
    assert why([want("a", markers="sys_platform == 'win32'")]) is None
    override = PypiOptions(dependency_overrides={"b": want("b", "<2")})
    assert "pypi-version" in (why([want("a")], a, b, options=override) or "")
    assert why([want("a")], a, package("b", "1.0"), options=override) is None


def test_places() -> None:
    assert why([want("a", path="./x/../near")], package("a", None, location="./near")) is None
    assert why([want("a", path="/ws/near")], package("a", None, location="near")) is None
    assert "required is './far'" in (why([want("a", path="./far")], package("a", None, location="./near")) or "")
    assert "not from a path" in (why([want("a", path="./far")], package("a")) or "")
    direct = package("a", location="direct+https://files.example/a-1.0.zip")
    assert why([want("a", url="https://user:word@files.example/a-1.0.zip")], direct) is None
    assert "required is" in (why([want("a", url="https://files.example/a-2.0.zip")], direct) or "")
    assert "not from an address" in (why([want("a", url="https://files.example/a.zip")], package("a")) or "")
    provided = why([want("a", path="x")], conda={"a": "1"})
    assert provided is not None and "the conda package 'a' is installed" in provided


def test_git() -> None:
    commit = "0123456789abcdef0123456789abcdef01234567"
    where = f"git+https://code.example/a.git?subdirectory=py&branch=main#{commit}"
    locked = package("a", location=where)
    main = GitReference(branch="main")
    repository = "https://code.example/a"
    assert why([want("a", git=repository, reference=main, subdirectory="py")], locked) is None
    assert "subdirectory" in (why([want("a", git=repository, reference=main)], locked) or "")
    tag = GitReference(tag="v1")
    assert "locked at main" in (why([want("a", git=repository, reference=tag, subdirectory="py")], locked) or "")
    assert "the default branch" in (why([want("a", git=repository, subdirectory="py")], locked) or "")
    assert "repository" in (why([want("a", git="https://code.example/b", reference=main)], locked) or "")
    assert "not from a git" in (why([want("a", git=repository)], package("a")) or "")
    old = parse_git(f"git+https://code.example/a@{commit}")
    assert (old.commit, old.says_reference) == (commit, False)


def test_index_and_python() -> None:
    other = package("a", index="https://other.example/simple")
    assert "requires index https://index.example/simple but the lock file has https://other" in (
        why([want("a")], other) or ""
    )
    assert why([want("a", index="https://other.example/simple/")], other) is None
    assert "pypi-index" in (why([want("a", index="https://other.example/simple")], package("a")) or "")
    assert "requires Python >=3.13" in (why([want("a")], package("a", requires_python=">=3.13")) or "")
    assert why([want("a")], package("a", requires_python="<3.12")) is None  # upper bounds do not count


def test_local_metadata() -> None:
    locked = package("a", None, "b", location="./a")
    now = LocalMetadata(version="1.2", requires_dist=("b",), requires_python=None)
    b = package("b")
    assert why([want("a", ">=1")], locked, b, local=now) is None
    changed = LocalMetadata(version="1.2", requires_dist=("b", "c>1"), requires_python=None)
    assert "added: c>1" in (why([want("a")], locked, b, local=changed) or "")
    python = LocalMetadata(version="1.2", requires_dist=("b",), requires_python=">=3.9")
    assert "requires Python >=3.9, locked is any" in (why([want("a")], locked, b, local=python) or "")


def test_own_extras_can_be_written_in_two_ways() -> None:
    folded = ("pytest ; extra == 'test'", "a[test] ; extra == 'dev'", "x ; python_version < '3.9' and extra == 'test'")
    unfolded = (
        "pytest ; extra == 'test'",
        "pytest ; extra == 'dev'",
        'x ; python_full_version < "3.9" and extra == "test"',
        'x ; python_full_version < "3.9" and extra == "dev"',
    )
    assert self_expanded("a", folded) == self_expanded("a", unfolded)
    assert self_expanded("a", ("a[x] ; extra == 'y'", "a[y] ; extra == 'x'")) == frozenset()


def test_wheels_and_builds() -> None:
    new = package("n", location="https://files.example/n-1.0-cp312-cp312-manylinux_2_34_x86_64.whl")
    assert wheel_problem([new], LINUX) is not None
    newer = PypiPlatform(
        python="3.12.1", subdir="linux-64", virtual_packages=(VirtualPackage(name="__glibc", version="2.35"),)
    )
    assert wheel_problem([new], newer) is None
    musl = PypiPlatform(
        python="3.12.1", subdir="linux-64", virtual_packages=(VirtualPackage(name="__musl", version="1.2"),)
    )
    alpine = package("n", location="n-1.0-cp312-cp312-musllinux_1_1_x86_64.whl")
    assert wheel_problem([alpine], musl) is None
    assert wheel_problem([alpine], LINUX) is not None
    assert (
        wheel_problem(
            [package("n", location="n-1.0-cp38-abi3-win_amd64.whl")], PypiPlatform(python="3.12.1", subdir="win-64")
        )
        is None
    )
    free = PypiPlatform(python="3.13.0", subdir="linux-64", free_threaded=True)
    assert wheel_problem([package("n", location="n-1.0-cp313-cp313t-manylinux_2_17_x86_64.whl")], free) is None
    assert wheel_problem([package("n", location="n-1.0-cp38-abi3-manylinux_2_17_x86_64.whl")], free) is not None
    source = package("s", location="https://files.example/s-1.0.tar.gz")
    assert build_problem([source], PypiOptions(no_build="all"), []) is not None
    assert build_problem([source], PypiOptions(no_build=("t",)), []) is None
    near = package("near", None, location="./near")
    assert build_problem([near], PypiOptions(no_build="all"), [want("near", path="near", editable=True)]) is None


def test_wheels_that_are_not_to_be_used() -> None:
    every, some = PypiOptions(no_binary="all"), PypiOptions(no_binary=("a",))
    served, near = package("a"), package("a", location="./links/a-1.0-py3-none-any.whl")
    for options in (every, some):
        for wheel in (served, near):
            problem = build_problem([wheel], options, [want("a")])
            assert problem is not None and problem.code == "pypi-no-binary"
            assert "a wheel of the package 'a'" in problem.reason
        # a wheel that is asked for is meant
        address = "https://files.example/a-1.0-py3-none-any.whl"
        assert build_problem([package("a", location=f"direct+{address}")], options, [want("a", url=address)]) is None
        assert build_problem([near], options, [want("a", path="links/a-1.0-py3-none-any.whl")]) is None
        by = package("b", "1.0", f"a @ {address}", location="https://files.example/b-1.0.tar.gz")
        assert build_problem([by, served], options, [want("b")]) is None
        odd = package("b", "1.0", "a @@ nonsense", location="https://files.example/b-1.0.tar.gz")
        assert build_problem([odd, served], options, [want("b")]) is not None
        assert build_problem([package("a", location="https://files.example/a-1.0.tar.gz")], options, []) is None
        assert build_problem([package("a", location="git+https://git.example/a#0")], options, []) is None
    assert build_problem([package("c")], some, [want("c")]) is None


def test_this_machine() -> None:
    """Markers and tags are those that packaging finds for the Python that runs this."""
    if (
        current_platform() not in ("linux-64", "linux-aarch64", "osx-arm64", "win-64")
        or sys.implementation.name != "cpython"
    ):
        pytest.skip("no reference for this machine")
    version = ".".join(map(str, sys.version_info[:3]))
    virtual: tuple[VirtualPackage, ...] = ()
    if host.libc_ver()[0] == "glibc":
        virtual = (VirtualPackage(name="__glibc", version=host.libc_ver()[1]),)
    if sys.platform == "darwin":
        virtual = (VirtualPackage(name="__osx", version=host.mac_ver()[0]),)
    here = PypiPlatform(python=version, subdir=current_platform(), virtual_packages=virtual)
    expected = {key: value for key, value in default_environment().items() if key in here.environment()}
    found = here.environment()
    for key in ("platform_release", "platform_version"):
        expected.pop(key)
        found.pop(key)
    assert found == expected
    if sys.platform == "linux":
        assert set(here.tags()) == set(sys_tags())
    assert next(iter(parse_tag("py3-none-any"))) in here.tags()


def test_purls() -> None:
    def record(channel: str | None, *purls: str, said: bool = True) -> CondaRecord:
        return CondaRecord(
            name="conda-name",
            version="1.2",
            build="0",
            build_number=0,
            subdir="noarch",
            url="https://channel.example/a.conda",
            file_name="a.conda",
            channel=channel,
            purls=purls if said else None,
        )

    assert [i.name for i in identities(record(None, "pkg:pypi/A_b?source=x", "pkg:conda/c", "pkg:pypi/c@3"))] == [
        "a-b",
        "c",
    ]
    assert [str(i.version) for i in identities(record(None, "pkg:pypi/a", "pkg:pypi/c@3"))] == ["1.2", "3"]
    assert identities(record("https://channel.example/conda-forge/")) == ()
    assert [i.name for i in identities(record("https://channel.example/conda-forge/", said=False))] == ["conda-name"]
    assert identities(record("https://channel.example/other/", said=False)) == ()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("idna (<4,>=2.5)", "idna<4,>=2.5"),
        ("six (>=1.0.*)", "six>=1.0"),
        ("A.b_C[x,y] >= 1 ; extra=='z'", 'a-b-c[x,y]>=1 ; extra == "z"'),
        ("a >=1,", "a>=1"),
        ("a @ https://files.example/a.zip", "a @ https://files.example/a.zip"),
    ],
)
def test_old_forms_of_requirements(old: str, new: str) -> None:
    assert normal_requirement(old, "it") == new


@given(st.integers(0, 5), st.integers(0, 5), st.integers(0, 5), st.sampled_from([">=", ">", "~=", "=="]))
def test_lower_bounds(minor: int, least: int, most: int, operator: str) -> None:
    """Only what is too old is left out, whatever the upper bound."""
    specifiers = f"{operator}3.{least}.0,<3.{most},!=3.9.*"
    assert lower_bound_problem(specifiers, Version(f"3.{minor}.0")) == (minor < least)
