"""Workspaces to measure, made in a temporary folder without a network."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from smelt.types import current_platform

SCRIPT = Path(sys.executable).with_name("smelt.exe" if sys.platform == "win32" else "smelt")


def command(*arguments: str) -> list[str]:
    """The ``smelt`` command of this Python."""
    return [str(SCRIPT), *arguments] if SCRIPT.exists() else [sys.executable, "-m", "smelt", *arguments]


@contextmanager
def environment(root: Path) -> Iterator[dict[str, str]]:
    """The variables for a process with a cache of its own below ``root``; in force here as well.

    Compiled modules are kept there too, so that what is measured does not depend on who ran which modules before.
    """
    before = dict(os.environ)
    for name in list(os.environ):
        if name.startswith(("PIXI_", "CONDA_")):
            del os.environ[name]
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ["PYTHONPYCACHEPREFIX"] = str(root / "pycache")
    os.environ["PIXI_CACHE_DIR"] = str(root / "cache")
    try:
        yield dict(os.environ)
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextmanager
def source_workspace(packages: int, files: int) -> Iterator[tuple[Path, dict[str, str]]]:
    """An installed workspace with so many source packages of so many files each, and the variables to use it with."""
    with tempfile.TemporaryDirectory(prefix="smelt-bench-") as name:
        root = Path(name).resolve()
        with environment(root) as variables:
            folder = root / "workspace"
            _write(folder, packages, files)
            subprocess.run(command("channel", "create", "channel"), cwd=folder, check=True, stdout=subprocess.DEVNULL)
            subprocess.run(command("install", "-q"), cwd=folder, env=variables, check=True, stdout=subprocess.DEVNULL)
            yield folder, variables


def _write(folder: Path, packages: int, files: int) -> None:
    names = [f"source-{number}" for number in range(packages)]
    dependencies = "\n".join(f'{name} = {{ path = "packages/{name}" }}' for name in names)
    folder.mkdir()
    (folder / "pixi.toml").write_text(
        f'[workspace]\nname = "bench"\nchannels = ["./channel"]\nplatforms = ["{current_platform()}"]\n'
        f'preview = ["pixi-build"]\n\n[dependencies]\n{dependencies}\n\n[tasks]\nnothing = "env true"\n',
        encoding="utf-8",
    )
    for number in range(packages):
        source_package(folder, number, files)


def source_package(folder: Path, number: int, files: int) -> str:
    """A source package of so many files in ``folder/packages``; its name."""
    name = f"source-{number}"
    package = folder / "packages" / name
    for each in range(files):
        path = package / "src" / f"part{each // 50}" / f"file{each}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{name} {each}\n" * 20, encoding="utf-8")
    (package / "pixi.toml").write_text(
        '[package.build]\nbackend = { name = "pixi-build-rattler-build", version = "*" }\n', encoding="utf-8"
    )
    (package / "recipe.yaml").write_text(
        f"package:\n  name: {name}\n  version: 1.0.0\nsource:\n  path: .\nbuild:\n  script:\n"
        f"    - mkdir -p $PREFIX/share\n    - cp src/part0/file0.txt $PREFIX/share/{name}.txt\n",
        encoding="utf-8",
    )
    return name
