"""Whatever stands in a manifest: a model or an explained error, never a traceback, in bounded time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from smelt.cli.errors import render
from smelt.cli.terminal import Terminal
from smelt.errors import SmeltError
from smelt.manifest.document import parse_document
from smelt.manifest.manifest import parse_manifest
from smelt.workspace.discovery import FoundManifest
from smelt.workspace.load import workspace_of

WORDS = [
    "workspace",
    "project",
    "package",
    "feature",
    "environments",
    "target",
    "tasks",
    "dependencies",
    "host-dependencies",
    "build-dependencies",
    "constraints",
    "pypi-dependencies",
    "pypi-options",
    "activation",
    "system-requirements",
    "dev",
    "exclude-newer",
    "tool",
    "smelt",
    "pixi",
    "channels",
    "platforms",
    "preview",
    "pixi-build",
    "name",
    "version",
    "build",
    "backend",
    "config",
    "profile",
    "matrix",
    "env",
    "scripts",
    "cmd",
    "args",
    "depends-on",
    "task",
    "arg",
    "default",
    "choices",
    "features",
    "solve-group",
    "no-default-feature",
    "linux-64",
    "osx-arm64",
    "win",
    "unix",
    "cuda",
    "path",
    "git",
    "url",
    "rev",
    "branch",
    "pypi",
    "workspace-x",
    "pin-compatible",
    "pin-subpackage",
    "run-dependencies",
    "run-exports",
    "weak",
    "if(unix)",
    "when",
    "all",
    "any",
    "extras",
    "flags",
    "channel",
    "priority",
    "build-variants",
    "build-variants-files",
    "conda-pypi-map",
    "default",
    "test",
    "python",
    ">=3.9",
    "1.0",
    "*",
    "==1",
    "x.x",
    "https://h.example/x",
    "./x",
    "optional-dependencies",
    "dependency-groups",
    "include-group",
    "requires-python",
    "requires-pixi",
    "index-url",
    "find-links",
    "libc",
    "family",
    "archspec",
    "driver",
    "arch",
    "__cuda",
    "linux-*",
    "a",
    "b",
]
KEYS = st.one_of(st.sampled_from(WORDS), st.text(max_size=3))
SCALARS = st.one_of(
    st.sampled_from(WORDS), st.booleans(), st.integers(-3, 2**70), st.floats(), st.text(max_size=4), st.dates()
)
TABLES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(KEYS, inner, max_size=5)),
    max_leaves=30,
)


def to_toml(value: object) -> str:
    """``value`` as TOML on one line."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return json.dumps(value).replace("\x7f", "\\u007f")
    if isinstance(value, float):
        return {"inf": "inf", "-inf": "-inf", "nan": "nan"}.get(repr(value), repr(value))
    if isinstance(value, list):
        return f"[{', '.join(to_toml(item) for item in cast('list[object]', value))}]"
    if isinstance(value, dict):
        items = cast("dict[str, object]", value).items()
        return f"{{{', '.join(f'{to_toml(key)} = {to_toml(item)}' for key, item in items)}}}"
    return str(value)


def load(text: str, name: str = "pixi.toml") -> None:
    """Load ``text``; every error must be one that can be shown."""
    try:
        document = parse_document(text, name)
        kind = "pyproject" if name == "pyproject.toml" else "pixi"
        parse_manifest(document, kind)
        workspace = workspace_of(FoundManifest(path=Path("/nowhere") / name, kind=kind, document=document))
    except SmeltError as error:
        assert render(error, Terminal(color="never"))
    else:
        for effective in workspace.effective.values():
            assert all(str(each.place) for each in effective.dependencies)


def surrogate_free(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.dictionaries(KEYS, TABLES, max_size=6), st.booleans())
def test_wrong_types_everywhere(data: dict[str, object], with_workspace: bool) -> None:
    head = '[workspace]\nchannels = []\nplatforms = ["linux-64", "osx-arm64"]\npreview = ["pixi-build"]\n'
    body = "".join(f"{to_toml(key)} = {to_toml(value)}\n" for key, value in data.items())
    text = body + (head if with_workspace and "workspace" not in data else "")
    if surrogate_free(text):
        load(text)
        load("[tool.pixi]\n" + body + head.replace("[workspace]", "[tool.pixi.workspace]"), "pyproject.toml")


@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.dictionaries(KEYS, TABLES, max_size=4), st.sampled_from(WORDS), st.sampled_from(WORDS))
def test_wrong_tables(data: dict[str, object], outer: str, inner: str) -> None:
    text = (
        '[workspace]\nchannels = []\nplatforms = ["linux-64"]\npreview = ["pixi-build"]\n'
        f'["{outer}"."{inner}"]\n' + "".join(f"{to_toml(key)} = {to_toml(value)}\n" for key, value in data.items())
    )
    if surrogate_free(text):
        load(text)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes(raw: bytes) -> None:
    try:
        parse_manifest(parse_document(raw, "pixi.toml"), "pixi")
    except SmeltError as error:
        assert render(error, Terminal(color="never"))


MANIFEST = """\
[workspace]
channels = ["a", { channel = "b", priority = 2 }]
platforms = ["linux-64", { platform = "linux-64", cuda = "12" }]
preview = ["pixi-build"]
[dependencies]
x = { path = ".", package = { build = { backend = { name = "b" } } } }
[feature.f.target.unix]
tasks = { t = { cmd = ["a"], depends-on = ["u"] } }
[environments]
e = { features = ["f"], solve-group = "g", dependencies = { y = "*" } }
[package]
name = "p"
[package.build]
backend = { name = "b", version = "1.*" }
[package.run-dependencies."if(unix)"]
z = { pin-compatible = true }
[tool.smelt.profile.p]
env = { CFLAGS = "-O0" }
"""


def test_cut_off_anywhere() -> None:
    for length in range(0, len(MANIFEST), 3):
        load(MANIFEST[:length])


def test_one_character_changed() -> None:
    for position in range(0, len(MANIFEST), 2):
        load(MANIFEST[:position] + "=" + MANIFEST[position + 1 :])


@pytest.mark.parametrize(
    "text",
    [
        "\ufeff" + MANIFEST,
        MANIFEST.replace("\n", "\r\n"),
        "x = " + "{ a = " * 300 + "1" + " }" * 300,
        "[" + ".".join(["a"] * 5000) + "]",
        f'[dependencies]\n"{"a" * 100_000}" = "*"\n',
        f'[dependencies]\na = "{">=1," * 20_000}<2"\n',
        f'[dependencies]\na = "{"(" * 5_000}1"\n',
        f'[package.run-dependencies."if({"(" * 5_000})"]\na = "*"\n',
        f'[pypi-dependencies]\na = "{">=1.2.3a1.dev1," * 2_000}"\n',
        "[feature]\n" + "".join(f"f{i} = {{}}\n" for i in range(2_000)),
    ],
    ids=range(10),
)
def test_hostile_texts(text: str) -> None:
    load(text)
    load('[workspace]\nchannels = []\nplatforms = ["linux-64"]\npreview = ["pixi-build"]\n' + text)
