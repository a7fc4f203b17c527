"""The main job of smelt on real input, from an empty folder.

1. A conda channel from what this machine has: its Pythons, its C and C++ compiler, and wheels.
2. A workspace with three sdists as source packages, in a plain and a sanitized environment and one per Python.
3. Locked, built, installed, used; used again with nothing to do; changed in one place; rebuilt bit for bit.

Everything goes into one folder (by default `.smelt-demo` in the current one). Run it again and nothing is built.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
WHEELS = (
    "pip",
    "setuptools",
    "setuptools-scm",
    "cppy",
    "meson",
    "meson-python",
    "ninja",
    "pybind11",
    "numpy>=2.2,<2.4",
)
PACKAGES = ("contourpy", "kiwisolver", "markupsafe", "overflow")

OVERFLOW = "import overflow; overflow.add(2**31 - 1, 1)"


class Demo:
    """Runs commands in the demo's folder and keeps what is told at the end."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.workspace = root / "workspace"
        self.environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith(("PIXI_", "CONDA_"))},
            "PIXI_CACHE_DIR": str(root / "cache"),
        }
        self.table: list[tuple[str, str]] = []

    def smelt(
        self,
        *arguments: str,
        cwd: Path | None = None,
        cache: Path | None = None,
        show: bool = True,
        errors: bool = False,
    ) -> str:
        """Run one smelt command, show it and what it prints, and give its standard output (or its errors)."""
        print(f"\n$ smelt {' '.join(arguments)}", flush=True)
        environment = self.environment | ({"PIXI_CACHE_DIR": str(cache)} if cache is not None else {})
        process = subprocess.run(
            [sys.executable, "-m", "smelt", *arguments],
            cwd=cwd or self.workspace,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE if errors else None,
            text=True,
            check=False,
        )
        if errors:
            print(process.stderr, end="", flush=True)
        if show and process.stdout:
            print(process.stdout, end="", flush=True)
        if process.returncode != 0:
            raise SystemExit(f"\nthe demo stopped: `smelt {' '.join(arguments)}` ended with {process.returncode}")
        return process.stderr if errors else process.stdout

    def timed(self, *arguments: str) -> tuple[str, float]:
        """The same, with the seconds that it took."""
        started = time.perf_counter()
        output = self.smelt(*arguments)
        return output, time.perf_counter() - started

    def note(self, what: str, result: str) -> None:
        """A row of the closing table."""
        self.table.append((what, result))


def headline(text: str) -> None:
    """A line between the parts."""
    print(f"\n\033[1m── {text} \033[0m" if sys.stdout.isatty() else f"\n── {text}", flush=True)


def make_channel(demo: Demo) -> list[str]:
    """The channel, and the minor versions of the Pythons in it."""
    channel = demo.workspace / "channel"
    demo.smelt("channel", "create", "workspace/channel", cwd=demo.root)
    demo.smelt("channel", "add-python", "workspace/channel", "--all", cwd=demo.root)
    demo.smelt("channel", "add-toolchain", "workspace/channel", cwd=demo.root)
    versions = {tuple(map(int, r["version"].split(".")[:2])) for r in records(channel) if r["name"] == "python"}
    # contourpy and numpy ask for Python 3.11
    minors = [f"{major}.{minor}" for major, minor in sorted(versions) if (major, minor) >= (3, 11)]
    pythons = [word for minor in minors for word in ("--python", minor)]
    demo.smelt("channel", "add-wheel", "workspace/channel", *WHEELS, *pythons, cwd=demo.root)
    demo.note("channel", f"{len(records(channel))} packages, Python {', '.join(minors)}")
    return minors


def records(channel: Path) -> list[dict[str, str]]:
    """Everything that the channel lists."""
    found: list[dict[str, str]] = []
    for file in sorted(channel.glob("*/repodata.json")):
        found += json.loads(file.read_text(encoding="utf-8"))["packages.conda"].values()
    return found


def make_workspace(demo: Demo, minors: list[str]) -> list[str]:
    """The example workspace, with an environment for each Python; the names of its environments."""
    for name in ("check.py", "packages"):
        source = HERE / name
        target = demo.workspace / name
        if source.is_dir():
            shutil.copytree(source, target, dirs_exist_ok=True)
        else:
            shutil.copy(source, target)
    text = (HERE / "pixi.toml").read_text(encoding="utf-8")
    platform = json.loads(demo.smelt("info", "--json", cwd=demo.root, show=False))["platform"]
    text = text.replace('platforms = ["linux-64"]', f'platforms = ["{platform}"]')
    main = minors[-1]
    versions = ", ".join(f'"{minor}.*"' for minor in reversed(minors))
    text = text.replace("[dependencies]", f"[workspace.build-variants]\npython = [{versions}]\n\n[dependencies]", 1)
    names = ["default", "ubsan"]
    features, environments = "", ""
    for minor in minors[:-1]:
        name = "py" + minor.replace(".", "")
        features += f'[feature.{name}.dependencies]\npython = "{minor}.*"\n\n'
        environments += f'{name} = ["{name}"]\n'
        names.append(name)
    text = text.replace("[feature.ubsan]\n", f'{features}[feature.ubsan.dependencies]\npython = "{main}.*"\n', 1)
    text = text.replace('ubsan = ["ubsan"]\n', f'ubsan = ["ubsan"]\n{environments}', 1)
    path = demo.workspace / "pixi.toml"
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")
    return names


def change_configuration(demo: Demo) -> None:
    """Change one package's configuration: exactly its variants are built again."""
    path = demo.workspace / "packages" / "markupsafe" / "pixi.toml"
    text = path.read_text(encoding="utf-8")
    changed = text.replace("-O2", "-O3")
    assert changed != text
    path.write_text(changed, encoding="utf-8")
    why = demo.smelt("build", "--why")
    affected = sorted({line.split()[0] for line in why.splitlines() if line.endswith("to be built")})
    built = demo.smelt("build")
    again = [line for line in built.splitlines() if line.startswith("built")]
    demo.note(
        "one setting changed",
        f"{len(again)} builds again, all of {', '.join(affected)}"
        if again
        else "both settings are in the store by now",
    )
    path.write_text(text, encoding="utf-8")


def rebuild_elsewhere(demo: Demo) -> None:
    """Build one package from nothing in another folder, with another cache: the bytes are the same."""
    first = digest(demo.smelt("build", "-e", "default", "-p", "markupsafe"))
    other = demo.root / "somewhere-else" / "with-a-longer-name"
    shutil.rmtree(other, ignore_errors=True)
    other.mkdir(parents=True)
    for name in ("pixi.toml", "pixi.lock", "check.py", "packages"):
        source = demo.workspace / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, other / name)
    (other / "channel").symlink_to(demo.workspace / "channel", target_is_directory=True)
    manifest = other / "pixi.toml"
    manifest.write_text(
        manifest.read_text(encoding="utf-8").replace('"./channel"', f'"{(demo.workspace / "channel").as_uri()}"'),
        encoding="utf-8",
    )
    second = digest(demo.smelt("build", "-e", "default", "-p", "markupsafe", cwd=other, cache=other / "cache"))
    if first != second:
        raise SystemExit(f"\nthe demo stopped: markupsafe is sha256:{first} here and sha256:{second} there")
    demo.note("rebuilt from nothing elsewhere", f"the same sha256:{first[:16]}…")
    shutil.rmtree(demo.root / "somewhere-else")


def digest(output: str) -> str:
    """The sha256 that `smelt build` printed for markupsafe."""
    found = re.search(r"markupsafe \S+ \S+\s+sha256:([0-9a-f]+)", output)
    assert found is not None, output
    return found[1]


def main() -> None:
    """Run the demo."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, default=Path(".smelt-demo"), help="where everything goes")
    folder: Path = parser.parse_args().folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    demo = Demo(folder)
    demo.workspace.mkdir(exist_ok=True)
    begun = time.perf_counter()

    headline("a channel from this machine")
    minors = make_channel(demo)
    headline("lock: every environment, down to build and host packages")
    names = make_workspace(demo, minors)
    demo.smelt("lock")
    headline("build: every variant once, as many at a time as there are cores")
    output, seconds = demo.timed("build")
    lines = output.splitlines()
    built = sum(line.startswith("built") for line in lines)
    demo.note("build", f"{built} of {len(lines)} packages built in {seconds:.0f} s, the others were in the store")
    headline("install and run")
    demo.smelt("install", "--all")
    for name in names:
        output = demo.smelt("run", "-e", name, "check")
        version = re.search(r"python\s+(\S+?),", output)
        demo.note(f"check in {name}", f"Python {version[1] if version else '?'}, all four packages gave their results")
    report = demo.smelt("run", "-e", "ubsan", "python", "-c", OVERFLOW, errors=True)
    found = re.search(r"\S+: runtime error: signed integer overflow", report)
    if found is None:
        raise SystemExit("\nthe demo stopped: the sanitizer said nothing of the overflow")
    demo.note("the sanitizer in ubsan", found[0])
    headline("again: nothing changed")
    _, seconds = demo.timed("install", "--all")
    demo.note("install again", f"nothing to do, {seconds * 1000:.0f} ms")
    _, seconds = demo.timed("run", "check")
    demo.note("run again", f"{seconds * 1000:.0f} ms, the check itself included")
    headline("change one setting of one package")
    change_configuration(demo)
    headline("the same package from nothing, in another folder")
    rebuild_elsewhere(demo)

    width = max(len(what) for what, _ in demo.table)
    headline(f"done in {time.perf_counter() - begun:.0f} s")
    for what, result in demo.table:
        print(f"  {what:<{width}}  {result}")


if __name__ == "__main__":
    main()
