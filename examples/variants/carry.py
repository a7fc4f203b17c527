"""Carry an environment of the demo to a machine without a network, in every form of a pack, and use it there.

Run `demo.py` first. This takes its workspace, adds wheels from PyPI, and packs the default environment (Python, three
source packages of sdists, one of our own, numpy, the wheels). "There" is a process without any network interface, from
which the workspace and the caches are hidden, so only what was packed can be used. Linux only: it needs `unshare`.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tarfile
import time
from pathlib import Path

FORMS = {
    "tar": "environment.tar",
    "tar.zst": "environment.tar.zst",
    "directory": "environment",
    "sh": "environment.sh",
    "oci": "image",
    "oci-archive": "environment.oci.tar",
}
WHEELS = ("msgpack", "packaging")
CHECK = "import msgpack, packaging; print('wheels     ', msgpack.unpackb(msgpack.packb([packaging.__name__, 1])))"


def smelt(folder: Path, cache: Path, *arguments: object) -> None:
    """Run one smelt command."""
    words = [str(each) for each in arguments]
    print(f"$ smelt {' '.join(words)}", flush=True)
    environment = {**os.environ, "PIXI_CACHE_DIR": str(cache)}
    done = subprocess.run([sys.executable, "-m", "smelt", *words], cwd=folder, env=environment, check=False)
    if done.returncode != 0:
        raise SystemExit(f"`smelt {words[0]}` ended with {done.returncode}")


def make_workspace(root: Path) -> Path:
    """The demo's workspace with wheels; its source packages are in the store."""
    folder = root / "carry" / "workspace"
    shutil.rmtree(root / "carry", ignore_errors=True)
    shutil.copytree(root / "workspace", folder, ignore=shutil.ignore_patterns(".pixi", "channel"))
    manifest = folder / "pixi.toml"
    text = manifest.read_text(encoding="utf-8").replace('"./channel"', f'"{(root / "workspace" / "channel").as_uri()}"')
    wheels = "".join(f'{name} = "*"\n' for name in WHEELS)
    manifest.write_text(text.replace("[tasks]", f"[pypi-dependencies]\n{wheels}\n[tasks]", 1), encoding="utf-8")
    return folder


def spread(layout: Path, target: Path) -> None:
    """Put the layers of the image in a layout onto one another, as a container runtime does."""

    def read(described: dict[str, object]) -> dict[str, list[dict[str, object]]]:
        return json.loads((layout / "blobs" / str(described["digest"]).replace(":", "/")).read_bytes())

    manifest = read(json.loads((layout / "index.json").read_bytes())["manifests"][0])
    for layer in manifest["layers"]:
        with tarfile.open(layout / "blobs" / str(layer["digest"]).replace(":", "/")) as tar:
            tar.extractall(target, filter="tar")


def there(script: str, place: Path, hidden: list[Path]) -> str:
    """Run a shell script where there is no network and nothing of ``hidden``; what it prints."""
    lines = ["set -e", *(f"mount -t tmpfs none '{path}'" for path in hidden)]
    lines += ["grep -qv -e '|' -e ' lo:' /proc/net/dev && { echo 'there is a network'; exit 9; }", script]
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(place), "PIXI_CACHE_DIR": str(place / "cache")}
    done = subprocess.run(
        ["unshare", "--map-root-user", "--net", "--mount", "sh", "-c", "\n".join(lines)],
        cwd=place,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise SystemExit(f"{done.stdout}{done.stderr}\nthis failed there:\n{script}")
    return done.stdout


def use(form: str, pack: Path, place: Path, hidden: list[Path]) -> str:
    """Unpack one form there, and run the check with it."""
    (place / "wheels.py").write_text(CHECK, encoding="utf-8")
    check = "python check.py && python wheels.py"
    if form in ("oci", "oci-archive"):
        layout = pack
        if form == "oci-archive":
            layout = place / "layout"
            with tarfile.open(pack) as tar:
                tar.extractall(layout, filter="data")
        spread(layout, place / "root")
        start = "/opt/env/share/smelt/entrypoint" if (place / "root/opt/env/share/smelt/entrypoint").exists() else ""
        mount = f"mount -t tmpfs none /opt && mkdir /opt/env && mount --bind '{place}/root/opt/env' /opt/env"
        run = f"PATH=/opt/env/bin:$PATH CONDA_PREFIX=/opt/env {start} sh -c '{check}'"
        return there(f"{mount}\n{run}", place, hidden)
    unpack = f"sh '{pack}' -q" if form == "sh" else f"'{sys.executable}' -m smelt unpack '{pack}' 2>/dev/null"
    return there(f"{unpack}\n. ./activate.sh\n{check}", place, hidden)


def main() -> None:
    """Pack, carry, unpack, use."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, default=Path(".smelt-demo"), help="the folder of the demo")
    root: Path = parser.parse_args().folder.absolute()
    if not (root / "workspace" / "pixi.lock").is_file():
        raise SystemExit(f"there is no demo in {root}: run demo.py first")
    workspace = make_workspace(root)
    smelt(workspace, root / "cache", "lock")
    rows: list[str] = []
    expected = ""
    for form, name in FORMS.items():
        for number in ("first", "second"):  # twice, for the same bytes
            smelt(workspace, root / "cache", "pack", "--format", form, "-o", root / "carry" / number / name)
        subprocess.run(["diff", "-r", root / "carry/first" / name, root / "carry/second" / name], check=True)
        place = root / "carry" / "there" / form
        place.mkdir(parents=True)
        shutil.copy(workspace / "check.py", place)
        started = time.perf_counter()
        output = use(form, root / "carry" / "first" / name, place, [root / "workspace", root / "cache", workspace])
        seconds = time.perf_counter() - started
        lines = [line for line in output.splitlines() if not line.startswith("python ")]
        expected = expected or "\n".join(lines)
        if "\n".join(lines) != expected:
            raise SystemExit(f"{form} gives something else:\n{output}")
        pack = root / "carry" / "first" / name
        size = sum(path.stat().st_size for path in ([pack] if pack.is_file() else pack.rglob("*")) if path.is_file())
        rows.append(f"  {form:<12} {size / 1e6:7.1f} MB   unpacked and used in {seconds:5.1f} s, the same bytes twice")
    print(f"\nthere, in every form:\n{expected}\n")
    print("\n".join(rows))


if __name__ == "__main__":
    main()
