"""The stand-ins of the wrong-variant case, and manifests that say the same in different ways."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from spine_kit import Channel, manifest, recipe

PYTHONS = ("3.10", "3.11", "3.12", "3.13", "3.14")
CUDAS = ("12.8", "12.9", "13.0")
MAJORS = ("12", "13")


def make_channel(folder: Path) -> Channel:
    """Pythons that export what real ones do; CUDA versions that export nothing."""
    channel = Channel(folder)
    for version in PYTHONS:
        tag = "cp" + version.replace(".", "")
        abi = f"python_abi {version}.* *_{tag}"
        channel.add("python", f"{version}.1", run_exports={"noarch": ["python"], "weak": [abi]})
        channel.add("python_abi", version, f"0_{tag}", constrains=[f"python {version}.*"])
    for version in CUDAS:
        channel.add("cuda-version", version, depends=["__cuda >=13"] if version == "13.0" else [])
    return channel.index()


def combinations() -> Iterator[tuple[str, str, str, str]]:
    """Feature of the Python, feature of CUDA, and their versions."""
    for version in PYTHONS:
        for major in MAJORS:
            yield f"py{version.replace('.', '')}", f"cu{major}", version, major


def features(*, bare: bool = False) -> str:
    """The features and the build variants. ``bare``: no environment asks for ``cuda-version`` itself."""
    lines = [
        "[workspace.build-variants]",
        f"python = {json.dumps([f'{version}.*' for version in PYTHONS])}",
        f"cuda-version = {json.dumps(['13.0', '12.9'] if bare else CUDAS)}",
        "[dependencies]",
        'mine = { path = "mine" }',
    ]
    for version in PYTHONS:
        lines += [f"[feature.py{version.replace('.', '')}.dependencies]", f'python = "{version}.*"']
    for major in MAJORS:
        lines += [f"[feature.cu{major}]", f'system-requirements = {{ cuda = "{major}" }}']
        if not bare:
            lines += [f"[feature.cu{major}.dependencies]", f'cuda-version = "{major}.*"']
    return "\n".join(lines) + "\n"


def environments(style: str) -> str:
    """The ten environments: ``written`` out, as a ``matrix``, or composed on ``demand``."""
    if style == "written":
        return "[environments]\n" + "".join(
            f'{python}-{cuda} = {{ features = ["{python}", "{cuda}"] }}\n' for python, cuda, _, _ in combinations()
        )
    if style == "matrix":
        pythons = [f"py{version.replace('.', '')}" for version in PYTHONS]
        return f"[tool.smelt.matrix.all]\npython = {json.dumps(pythons)}\ncuda = {json.dumps(['cu12', 'cu13'])}\n"
    return "[tool.smelt.on-demand]\n"


def joiner(style: str) -> str:
    """What stands between the features in the names of the environments."""
    return "+" if style == "demand" else "-"


def make_workspace(
    root: Path, style: str, *, run: bool = False, bare: bool = False, backend: str = "recipe"
) -> tuple[str, ...]:
    """A workspace with its channel; the names of its ten environments. ``run``: CUDA is a run requirement too."""
    channel = make_channel(root / "channel")
    script = ["mkdir -p $PREFIX/share", "cat $PREFIX/share/python.txt $PREFIX/share/cuda-version.txt > made-for.txt"]
    script += ["cp made-for.txt $PREFIX/share/mine.txt"]
    extra = ["cuda-version"] if run else []
    recipe(root, "mine", host=["python", "cuda-version"], run=["python", *extra], script=script)
    if backend == "table":
        lines = [
            "[package]",
            'name = "mine"',
            'version = "1.0"',
            "[package.build]",
            'backend = { name = "pixi-build-rattler-build", version = "*" }',
        ]
        (root / "mine" / "pixi.toml").write_text("\n".join(lines) + "\n", encoding="utf-8")
    manifest(root, [channel.url], features(bare=bare) + environments(style))
    return tuple(f"{python}{joiner(style)}{cuda}" for python, cuda, _, _ in combinations())
