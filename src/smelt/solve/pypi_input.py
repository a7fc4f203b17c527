"""A PyPI solve as uv reads it: a project, constraints, preferences, and options."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

from smelt.errors import NotSupportedError, SolveError
from smelt.fs import smelt_cache, write_bytes
from smelt.lock.model import PypiPackage
from smelt.lock.purls import PypiIdentity
from smelt.lock.pypi_platform import PypiPlatform
from smelt.lock.pypi_requirement import describe
from smelt.lock.pypi_source import git_problem, parse_git
from smelt.manifest.pypi import PypiOptions, PypiRequirement
from smelt.solve.pypi_request import PypiSolveRequest
from smelt.text import toml_basic
from smelt.types import GitReference, current_platform

PROJECT = "smelt-environment"
"""What the environment is called in uv's eyes."""
_MANYLINUX = (17, 28, *range(31, 41))
_TARGETS = {
    "osx-64": "x86_64-apple-darwin",
    "osx-arm64": "aarch64-apple-darwin",
    "win-64": "x86_64-pc-windows-msvc",
    "win-32": "i686-pc-windows-msvc",
    "win-arm64": "aarch64-pc-windows-msvc",
    "linux-riscv64": "riscv64-unknown-linux",
}


def project_text(request: PypiSolveRequest) -> str:
    """``pyproject.toml``: each requirement, and where it comes from. Raises SolveError for two places of one name."""
    sources: dict[str, dict[str, object]] = {}
    indexes: dict[str, str] = {}
    dependencies: list[str] = []
    for requirement in (*request.requirements, *request.options.dependency_overrides.values()):
        source = _source(requirement, request, indexes)
        if source is not None and sources.setdefault(requirement.name, source) != source:
            raise SolveError(
                f"`{requirement.name}` is required from two places: {_shown(sources[requirement.name])} and "
                f"{_shown(source)}",
                code="pypi-two-sources",
            )
    for requirement in request.requirements:
        dependencies.append(_plain(requirement))
    overrides = [_plain(each) for each in request.options.dependency_overrides.values()]
    lines = [
        "[project]",
        f"name = {toml_basic(PROJECT)}",
        'version = "0"',
        f"dependencies = {toml_basic(dependencies)}",
        "[tool.uv]",
        *([f"override-dependencies = {toml_basic(overrides)}"] if overrides else []),
    ]
    for url, name in indexes.items():
        lines += ["[[tool.uv.index]]", f"name = {toml_basic(name)}", f"url = {toml_basic(url)}", "explicit = true"]
    lines.append("[tool.uv.sources]")
    for name, source in sources.items():
        pairs = ", ".join(f"{key} = {toml_basic(value)}" for key, value in source.items())
        lines.append(f"{toml_basic(name)} = {{ {pairs} }}")
    return "\n".join(lines) + "\n"


def _plain(requirement: PypiRequirement) -> str:
    extras = f"[{','.join(requirement.extras)}]" if requirement.extras else ""
    return f"{requirement.name}{extras}{requirement.version or ''}"


def _source(
    requirement: PypiRequirement, request: PypiSolveRequest, indexes: dict[str, str]
) -> dict[str, object] | None:
    folder = {"subdirectory": requirement.subdirectory} if requirement.subdirectory else {}
    if requirement.path is not None:
        path = absolute(requirement.path, request.root)
        if not path.exists():
            raise SolveError(
                f"`{describe(requirement)}`: there is no {path}",
                code="pypi-path-missing",
                help="paths are relative to the folder of the manifest",
            )
        return {"path": str(path)}  # whether it is editable matters when it is installed
    if requirement.git is not None:
        reference = _pinned(requirement, request.locked) or requirement.reference or GitReference()
        pins = {key: value for key in ("branch", "tag", "rev") if (value := getattr(reference, key)) is not None}
        lfs = {"lfs": True} if requirement.lfs else {}
        return {"git": requirement.git.removeprefix("git+"), **pins, **folder, **lfs}
    if requirement.url is not None:
        return {"url": requirement.url, **folder}
    if requirement.index is not None:
        name = indexes.setdefault(requirement.index, f"smelt-index-{len(indexes)}")
        return {"index": name}
    return None


def _pinned(requirement: PypiRequirement, locked: Sequence[PypiPackage]) -> GitReference | None:
    """The locked commit, where it still is what is wanted: a branch or tag that moved does not move a lock."""
    for package in locked:
        if package.name == requirement.name and git_problem(package, requirement, direct=True) is None:
            commit = parse_git(package.location).commit
            return GitReference(rev=commit) if commit else None
    return None


def absolute(path: str, root: Path) -> Path:
    """A path of the manifest or the lock as an absolute one."""
    return Path(os.path.normpath(root / Path(path).expanduser()))


def stand_ins(installed: Sequence[PypiIdentity]) -> list[str]:
    """Constraints that hold each package at what conda provides, by wheels that are empty but for their metadata.

    So uv knows version and (no) requirements of what is installed already and asks no index for it.
    """
    folder = smelt_cache() / "pypi" / "conda"
    lines: list[str] = []
    for identity in installed:
        name = identity.name.replace("-", "_")
        path = folder / f"{name}-{identity.version}-py3-none-any.whl"
        if not path.exists():
            write_bytes(path, _empty_wheel(identity))
        lines.append(f"{identity.name} @ {path.as_uri()}")
    return lines


def _empty_wheel(identity: PypiIdentity) -> bytes:
    folder = f"{identity.name.replace('-', '_')}-{identity.version}.dist-info"
    files = {
        "METADATA": f"Metadata-Version: 2.1\nName: {identity.name}\nVersion: {identity.version}\n",
        "WHEEL": "Wheel-Version: 1.0\nGenerator: smelt\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        "RECORD": f"{folder}/METADATA,,\n{folder}/WHEEL,,\n{folder}/RECORD,,\n",
    }
    raw = BytesIO()
    with zipfile.ZipFile(raw, "w") as archive:
        for name, text in files.items():
            archive.writestr(zipfile.ZipInfo(f"{folder}/{name}"), text)
    return raw.getvalue()


def preferences_text(locked: Sequence[PypiPackage]) -> str:
    """A ``pylock.toml`` whose versions uv keeps where it can."""
    lines: list[str] = []
    for package in locked:
        if package.location.startswith("git+"):
            git = parse_git(package.location)
            reference = git.reference.branch or git.reference.tag or git.reference.rev
            vcs: dict[str, object] = {"type": "git", "url": git.git, "commit-id": git.commit}
            if reference is not None:
                vcs["requested-revision"] = reference
            if git.subdirectory is not None:
                vcs["subdirectory"] = git.subdirectory
            pairs = ", ".join(f"{key} = {toml_basic(value)}" for key, value in vcs.items())
            lines += ["[[packages]]", f"name = {toml_basic(package.name)}", f"vcs = {{ {pairs} }}"]
        elif not package.location.startswith("direct+") and package.version is not None:
            lines += ["[[packages]]", f"name = {toml_basic(package.name)}", f"version = {toml_basic(package.version)}"]
    head = ['lock-version = "1.0"', 'created-by = "smelt"', 'requires-python = ">=3"']
    return "\n".join([*head, *(lines or ["packages = []"])]) + "\n"


def option_arguments(request: PypiSolveRequest, interpreter: Path) -> list[str]:
    """The options of one solve. ``interpreter``: see ``smelt.solve.pypi_interpreter``.

    Raises NotSupportedError for a platform that uv does not know.
    """
    options = request.options
    arguments = ["--python-version", request.platform.python, *platform_arguments(request.platform)]
    arguments += ["--python", str(interpreter)]
    arguments += index_arguments(options, request.root)
    arguments += _selection("--only-binary", options.no_build)
    arguments += _selection("--no-binary", options.no_binary)
    arguments += isolation_arguments(options)
    if options.prerelease_mode is not None:
        arguments += ["--prerelease", options.prerelease_mode]
    if request.strategy != "highest":
        arguments += ["--resolution", request.strategy]
    if request.exclude_newer is not None:
        arguments += ["--exclude-newer", request.exclude_newer]
    for name, cutoff in request.package_cutoffs.items():
        arguments += ["--exclude-newer-package", f"{name}={cutoff}"]
    return arguments


def isolation_arguments(options: PypiOptions) -> list[str]:
    """Which packages are built in the environment itself."""
    if options.no_build_isolation == "all":
        return ["--no-build-isolation"]
    return _selection("--no-build-isolation-package", options.no_build_isolation)


def option_variables(options: PypiOptions) -> dict[str, str]:
    """What uv takes from variables alone; the user's own go before the manifest, as the reference has it."""
    name = "UV_SKIP_WHEEL_FILENAME_CHECK"
    if options.skip_wheel_filename_check is None or name in os.environ:
        return {}
    return {name: "1" if options.skip_wheel_filename_check else "0"}


def index_arguments(options: PypiOptions, root: Path) -> list[str]:
    """Where packages are looked for. With nothing but ``find-links`` no index is asked, as the reference has it."""
    arguments: list[str] = []
    if options.index_url is not None:
        arguments += ["--default-index", options.index_url]
    for url in options.extra_index_urls:
        arguments += ["--index", url]
    for kind, text in options.find_links:
        arguments += ["--find-links", text if kind == "url" else str(absolute(text, root))]
    if options.find_links and options.index_url is None and not options.extra_index_urls:
        arguments.append("--no-index")
    if options.index_strategy is not None:
        arguments += ["--index-strategy", options.index_strategy]
    return arguments


def index_addresses(options: PypiOptions) -> tuple[str, ...]:
    """The addresses of ``options`` that packages are looked for at."""
    links = (text for kind, text in options.find_links if kind == "url")
    return (*((options.index_url,) if options.index_url is not None else ()), *options.extra_index_urls, *links)


def platform_arguments(platform: PypiPlatform) -> list[str]:
    """``--python-platform``. Raises NotSupportedError."""
    target = _TARGETS.get(platform.subdir)
    if platform.subdir in ("linux-64", "linux-aarch64"):
        arch = "x86_64" if platform.subdir == "linux-64" else "aarch64"
        libc = platform.libc
        if libc.family == "musl":
            target = f"{arch}-unknown-linux-musl"
        else:
            known = [minor for minor in _MANYLINUX if (libc.major, libc.minor) >= (2, minor)]
            target = f"{arch}-manylinux_2_{known[-1]}" if known else None
    if target is not None:
        return ["--python-platform", target]
    if platform.subdir == current_platform():
        return []
    if platform.is_supported:
        libc = f" with {platform.libc.family} {platform.libc.major}.{platform.libc.minor}"
        raise NotSupportedError(
            f"uv knows no wheels for {platform.subdir}{libc if platform.subdir.startswith('linux') else ''}",
            code="pypi-platform",
            help="lock on a machine of that platform, or leave it out of `platforms`",
        )
    raise NotSupportedError(f"there are no PyPI packages for {platform.subdir}", code="pypi-platform")


def platform_environment(platform: PypiPlatform) -> dict[str, str]:
    """Variables that tell uv of the platform what its name does not."""
    if not platform.subdir.startswith("osx-"):
        return {}
    return {"MACOSX_DEPLOYMENT_TARGET": ".".join(map(str, platform.macos))}


def _selection(option: str, selection: str | tuple[str, ...]) -> list[str]:
    names = (":all:",) if selection == "all" else selection
    return [part for name in names for part in (option, name)]


def _shown(source: dict[str, object]) -> str:
    return ", ".join(f"{key} {value}" for key, value in source.items())
