"""What the tests of resolve, api and cli share: channels, source packages and workspaces, tiny and real."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from smelt.archive import CondaArchive, Member, write_conda
from smelt.channel.index import write_index
from smelt.types import current_platform

SUBDIR = current_platform()
OTHER = "osx-arm64" if SUBDIR.startswith("linux") else "linux-64"
"""A platform that this machine is not."""

posix = pytest.mark.skipif(os.name != "posix", reason="the build scripts are for a POSIX shell")

Table = Mapping[str, object]


class Channel:
    """A conda channel in a folder; ``index`` makes what was added known."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "noarch").mkdir(parents=True, exist_ok=True)

    @property
    def url(self) -> str:
        """Its base URL."""
        return self.folder.as_uri()

    def add(
        self,
        name: str,
        version: str = "1.0",
        build: str = "0",
        *,
        depends: Sequence[str] = (),
        constrains: Sequence[str] = (),
        files: Mapping[str, str] | None = None,
        run_exports: Mapping[str, Sequence[str]] | None = None,
        extra_depends: Mapping[str, Sequence[str]] | None = None,
        subdir: str = "noarch",
    ) -> Path:
        """A package that holds ``share/<name>.txt`` (or ``files``; those in ``bin`` can be run)."""
        files = {f"share/{name}.txt": f"{name} {version}\n"} if files is None else files
        members = tuple(
            Member(name=path, data=text.encode(), executable=path.startswith("bin/")) for path, text in files.items()
        )
        index: dict[str, object] = {
            "name": name,
            "version": version,
            "build": build,
            "build_number": 0,
            "subdir": subdir,
            "depends": list(depends),
            "constrains": list(constrains),
            "timestamp": 1_700_000_000_000,
        }
        if extra_depends:
            index["extra_depends"] = {key: list(value) for key, value in extra_depends.items()}
        if subdir == "noarch":
            index["noarch"] = "generic"
        info = {
            "info/index.json": index,
            "info/paths.json": {
                "paths_version": 1,
                "paths": [
                    {
                        "_path": member.name,
                        "path_type": "hardlink",
                        "sha256": hashlib.sha256(member.data).hexdigest(),
                        "size_in_bytes": len(member.data),
                    }
                    for member in members
                ],
            },
            "info/about.json": {},
        }
        if run_exports:
            info["info/run_exports.json"] = {key: list(value) for key, value in run_exports.items()}
        path = self.folder / subdir / f"{name}-{version}-{build}.conda"
        path.parent.mkdir(parents=True, exist_ok=True)
        archive = CondaArchive(
            files=members,
            info=tuple(Member(name=each, data=json.dumps(data).encode()) for each, data in info.items()),
        )
        write_conda(path, archive, mtime=1_700_000_000, level=1)
        return path

    def index(self) -> Channel:
        """Write the index."""
        write_index(self.folder)
        return self


def recipe_text(
    name: str,
    version: str = "1.0",
    *,
    build: Sequence[object] = (),
    host: Sequence[object] = (),
    run: Sequence[object] = (),
    script: Sequence[str] | None = None,
    **more: Table,
) -> str:
    """A recipe (JSON is YAML). ``more``: further tables, ``build`` ones under ``build_table``."""
    if script is None:
        script = ["mkdir -p $PREFIX/share", f"echo {name} {version} > $PREFIX/share/{name}.txt"]
    requirements = {"build": list(build), "host": list(host), "run": list(run), **more.pop("requirements", {})}
    return json.dumps(
        {
            "package": {"name": name, "version": version},
            "build": {"script": list(script), **more.pop("build_table", {})},
            "requirements": requirements,
            **more,
        },
        indent=1,
    )


def recipe(folder: Path, name: str, version: str = "1.0", **parts: object) -> Path:
    """A source package that is a recipe alone, in ``folder/<name>``."""
    path = folder / name / "recipe.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(recipe_text(name, version, **parts), encoding="utf-8")  # type: ignore[arg-type]
    return path


def package(
    folder: Path,
    name: str,
    version: str = "1.0",
    *,
    sources: Mapping[str, Mapping[str, str]] | None = None,
    **parts: object,
) -> Path:
    """A source package with a ``[package]`` table beside its recipe, in ``folder/<name>``.

    ``sources``: kind (``build``, ``host``, ``run``) → name → path of source packages that the recipe requires.
    """
    recipe(folder, name, version, **parts)
    lines = [
        "[package]",
        f'name = "{name}"',
        f'version = "{version}"',
        "[package.build]",
        'backend = { name = "pixi-build-rattler-build", version = "*" }',
    ]
    for kind, named in (sources or {}).items():
        lines.append(f"[package.{kind}-dependencies]")
        lines += [f'{each} = {{ path = "{path}" }}' for each, path in named.items()]
    path = folder / name / "pixi.toml"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def manifest(root: Path, channels: Sequence[str], text: str, platforms: Sequence[str] = (SUBDIR,)) -> Path:
    """Write ``pixi.toml``: ``text`` after its ``[workspace]`` table (and its further keys before the first table)."""
    root.mkdir(parents=True, exist_ok=True)
    head = (
        "[workspace]\n"
        'name = "test"\n'
        f"channels = {json.dumps(list(channels))}\n"
        f"platforms = {json.dumps(list(platforms))}\n"
        'preview = ["pixi-build"]\n'
    )
    path = root / "pixi.toml"
    path.write_text(head + text, encoding="utf-8")
    return path


def smelt(
    root: Path,
    *arguments: str,
    env: Mapping[str, str] | None = None,
    timeout: float = 60,
) -> subprocess.CompletedProcess[str]:
    """``python -m smelt`` in ``root``."""
    return subprocess.run(
        [sys.executable, "-m", "smelt", *arguments],
        cwd=root,
        env=environment(env),
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
        stdin=subprocess.DEVNULL,
    )


def environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """The variables of this process, without those that would change what smelt prints or finds."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PIXI_", "CONDA_", "SMELT_")) or k in _OURS}
    return {**kept, "NO_COLOR": "1", "COLUMNS": "200", **(more or {})}


_OURS = ("PIXI_CACHE_DIR",)


def tree(root: Path) -> dict[str, str]:
    """What lies below ``root``: path → digest of content (links: their target)."""
    found: dict[str, str] = {}
    for folder, names, files in os.walk(root):
        for name in (*files, *(each for each in names if (Path(folder) / each).is_symlink())):
            path = Path(folder) / name
            relative = path.relative_to(root).as_posix()
            found[relative] = (
                f"-> {path.readlink()}" if path.is_symlink() else hashlib.sha256(path.read_bytes()).hexdigest()
            )
    return found


def partial(root: Path) -> list[str]:
    """Files and folders that were only half written."""
    return [
        path.relative_to(root).as_posix()
        for path in root.rglob("*")
        if path.name.endswith((".part", ".gone", ".tmp")) or ".part." in path.name
    ]
