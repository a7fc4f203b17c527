"""Editing a text says what editing the data says, and leaves everything else as it was."""

from __future__ import annotations

import copy
import random
import re
from collections.abc import Callable
from dataclasses import replace
from itertools import zip_longest
from typing import Any

import pytest
import tomli
from editing_kit import canonical, corpus_manifests, is_subsequence
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from smelt.errors import ErrorGroup, ManifestError
from smelt.manifest.edit.activation import add_scripts, remove_scripts, remove_variables, set_variables
from smelt.manifest.edit.channel import add_channels, remove_channels
from smelt.manifest.edit.dependency import add_dependency, remove_dependency
from smelt.manifest.edit.environment import add_environment, remove_environment, remove_feature
from smelt.manifest.edit.manifest import ManifestText
from smelt.manifest.edit.platform import add_platforms, read_entries, remove_platforms
from smelt.manifest.edit.properties import set_property
from smelt.manifest.edit.requirement import add_requirement, remove_requirement
from smelt.manifest.edit.scope import Scope
from smelt.manifest.edit.task import NewTask, add_task, remove_task
from smelt.manifest.edit.values import toml_key, toml_value
from smelt.manifest.manifest import parse_manifest
from smelt.manifest.platform import TomlPlatform
from smelt.manifest.pypi import PypiRequirement, parse_requirement
from smelt.types import CondaSpec

KEYS = ["dependencies", "python", "a", "b-c", "target", "linux-64", "x.y", "tasks", "é", "with space"]
SCALARS = st.one_of(
    st.integers(-(2**40), 2**40),
    st.booleans(),
    st.floats(allow_nan=False),
    st.text(max_size=12),
    st.sampled_from(["*", ">=1,<2", 'say "hi"', "it's", "C:\\x", "two\nlines", 'q"""q', "#no comment", ""]),
)
VALUES: st.SearchStrategy[Any] = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=3),
    max_leaves=6,
)
TABLES = st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=5)


class Writer:
    """Writes data as TOML in one of the many ways that it can be written."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.comments = 0

    def comment(self) -> str:
        self.comments += 1
        return f"# c{self.comments}"

    def filler(self) -> str:
        return self.random.choice(["", "", "", "\n", f"{self.comment()}\n", f"\n  {self.comment()}\n"])

    def inline(self, value: object, indent: str = "    ") -> str:
        chance = self.random.random()
        if isinstance(value, dict) and value:
            entries = [f"{toml_key(key)} = {self.inline(each, indent + '  ')}" for key, each in value.items()]
            return self.bracketed("{", entries, "}", indent, chance)
        if isinstance(value, list) and value:
            return self.bracketed("[", [self.inline(each, indent + "  ") for each in value], "]", indent, chance)
        return toml_value(value)

    def bracketed(self, opening: str, items: list[str], closing: str, indent: str, chance: float) -> str:
        comma = self.random.choice([",", ""])
        if chance < 0.4:
            space = self.random.choice(["", " "])
            return f"{opening}{space}{', '.join(items)}{comma}{space}{closing}"
        lines = [opening + self.random.choice(["", f" {self.comment()}"])]
        for index, item in enumerate(items):
            if self.random.random() < 0.2:
                lines.append(f"{indent}{self.comment()}")
            last = index == len(items) - 1
            mark = comma if last else ","
            behind = self.random.choice(["", f"  {self.comment()}"])
            if not last and self.random.random() < 0.2:
                lines[-1] += f"\n{indent}{item}{mark} "
                lines.append("\x00")  # the next item goes on the same line
                continue
            lines.append(f"{indent}{item}{mark}{behind}")
        text = "\n".join(lines).replace("\n\x00\n" + indent, "").replace("\n\x00\n", "\n")
        if self.random.random() < 0.2 and "#" not in text.rsplit("\n", 1)[-1]:
            return text + closing
        return f"{text}\n{indent[:-2]}{closing}"

    def table(self, data: dict[str, Any], path: tuple[str, ...], *, root: bool = True) -> str:
        lines: list[str] = []
        later: list[tuple[str, dict[str, Any]]] = []
        for key, value in data.items():
            if isinstance(value, dict) and self.random.random() < 0.6:
                later.append((key, value))
            elif isinstance(value, dict) and value and self.random.random() < 0.5:
                for inner, each in value.items():
                    dot = self.random.choice([".", " . "])
                    lines.append(f"{self.filler()}{toml_key(key)}{dot}{toml_key(inner)} = {self.inline(each)}\n")
            else:
                behind = self.random.choice(["", f" {self.comment()}"])
                lines.append(f"{self.filler()}{toml_key(key)} = {self.inline(value)}{behind}\n")
        text = "".join(lines)
        children = "".join(
            self.filler() + self.random.choice(["", "\n"]) + self.table(value, (*path, key), root=False)
            for key, value in later
        )
        if root:
            return text + children
        header = f"[{'.'.join(map(toml_key, path))}]{self.random.choice(['', f' {self.comment()}'])}\n"
        if not lines and later and self.random.random() < 0.5:
            return children  # only implied by the headers below it
        return header + text + children


@st.composite
def documents(draw: st.DrawFn) -> str:
    data = draw(TABLES)
    text = Writer(draw(st.integers(0, 10**6))).table(data, ())
    if draw(st.booleans()):
        text = text.rstrip("\n")
    if draw(st.integers(0, 4)) == 0:
        text = text.replace("\n", "\r\n")
    if draw(st.integers(0, 9)) == 0:
        text = "\ufeff" + text
    assert canonical(tomli.loads(text.removeprefix("\ufeff"))) == canonical(data) or "\n" in repr(data)
    return text


def paths_of(data: object, base: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = []
    if isinstance(data, dict):
        for key, value in data.items():
            found += [(*base, key), *paths_of(value, (*base, key))]
    return found


def manifest_of(text: str) -> ManifestText:
    return ManifestText.parse(text, "pixi", "pixi.toml")


def comments_of(text: str) -> list[str]:
    """Comments that ``Writer`` wrote: no string holds such a text."""
    return re.findall(r"# c\d+", text)


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(documents(), VALUES, st.data())
def test_set_on_generated_documents(text: str, value: object, draw: st.DataObject) -> None:
    manifest = manifest_of(text)
    known = paths_of(manifest.data)
    new = st.lists(st.sampled_from(KEYS), min_size=1, max_size=3).map(tuple)
    path = draw.draw(st.sampled_from(known) | new if known else new)
    above = [manifest.get(path[:depth]) for depth in range(1, len(path))]
    if any(each is not None and not isinstance(each, dict) for each in above):
        return
    expected = copy.deepcopy(manifest.data)
    table = expected
    for key in path[:-1]:
        table = table.setdefault(key, {})  # type: ignore[assignment]
    table[path[-1]] = value
    edited = manifest.set(path, value)
    assert canonical(edited.data) == canonical(tomli.loads(toml_document(expected)))
    if manifest.get(path) is None:
        assert is_subsequence(text, edited.text)
        assert comments_of(edited.text) == comments_of(text)
    if "\r\n" in text:
        assert "\n" not in edited.text.replace("\r\n", "")
    assert edited.set(path, value).text == edited.text


def toml_document(data: dict[str, Any]) -> str:
    return "\n".join(f"{toml_key(key)} = {toml_value(value)}" for key, value in data.items())


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(documents(), st.data())
def test_remove_on_generated_documents(text: str, draw: st.DataObject) -> None:
    manifest = manifest_of(text)
    known = paths_of(manifest.data)
    if not known:
        return
    path = draw.draw(st.sampled_from(known))
    edited = manifest.remove(path)
    assert edited.get(path) is None
    assert is_subsequence(edited.text, text)


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(documents(), SCALARS | st.dictionaries(st.sampled_from(KEYS), SCALARS, max_size=2), st.data())
def test_items_on_generated_documents(text: str, value: object, draw: st.DataObject) -> None:
    manifest = manifest_of(text)
    arrays = [path for path in paths_of(manifest.data) if isinstance(manifest.get(path), list)]
    if not arrays:
        return
    path = draw.draw(st.sampled_from(arrays))
    length = len(manifest.array(path))
    index = draw.draw(st.integers(0, length) | st.none())
    edited = manifest.insert(path, value, index)
    assert is_subsequence(text, edited.text)
    assert comments_of(edited.text) == comments_of(text)
    back = edited.pop(path, length if index is None else index)
    assert canonical(back.data) == canonical(manifest.data)
    assert comments_of(back.text) == comments_of(text)
    if length:
        at = draw.draw(st.integers(0, length - 1))
        assert is_subsequence(manifest.pop(path, at).text, text)
        replaced = manifest.replace(path, at, value)
        rest = iter(comments_of(text))
        assert all(comment in rest for comment in comments_of(replaced.text))


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=30), st.sampled_from(["", '"x"', "'x'"]), st.sampled_from(["\n", "\r\n"]))
def test_strings_round_trip(text: str, like: str, newline: str) -> None:
    written = toml_value(text, like, newline)
    assert tomli.loads(f"a = {written}{newline}") == {"a": text}


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=20))
def test_keys_round_trip(name: str) -> None:
    assert tomli.loads(f"{toml_key(name)} = 1") == {name: 1}


@pytest.mark.parametrize("seed", range(3))
def test_edits_of_real_manifests(seed: int) -> None:
    chance = random.Random(seed)
    for file in corpus_manifests():
        raw = file.read_bytes().decode("utf-8")
        kind = "pyproject" if file.name.endswith("pyproject.toml") else "pixi"
        try:
            manifest = ManifestText.parse(raw, kind, file.name)
        except ManifestError:  # the corpus has files that are not TOML on purpose
            continue
        known = paths_of(manifest.data)
        arrays = [path for path in known if isinstance(manifest.get(path), list)]
        for path in chance.sample(known, min(len(known), 3)):
            removed = manifest.remove(path)
            assert is_subsequence(removed.text, raw)
            assert manifest.set(path, "new value").get(path) == "new value"
        for path in chance.sample(arrays, min(len(arrays), 2)):
            if all(isinstance(each, str) for each in manifest.array(path)):
                assert is_subsequence(raw, manifest.insert(path, "new").text)
                assert is_subsequence(raw, manifest.insert(path, "new", 0).text)
        for new in (("dependencies", "new-package"), ("feature", "new", "target", "unix", "tasks", "go")):
            added = manifest.set(manifest.at(*new), "*")
            assert is_subsequence(raw, added.text)
            lines = iter(added.text.splitlines())
            touched = sum(line not in lines for line in raw.splitlines())
            assert touched <= 1  # an inline table that the entry went into


def new_requirement(text: str) -> PypiRequirement:
    found = parse_requirement(text, ())
    assert isinstance(found, PypiRequirement)
    return found


WINDOWS = TomlPlatform(name="win-arm64", subdir="win-arm64")
SCOPES = (Scope(), Scope(feature="new-one"), Scope(selector="linux"), Scope(feature="new-one", selector="win"))
Edit = Callable[[ManifestText], ManifestText]


def edits_of(scope: Scope) -> list[tuple[tuple[str, ...], Edit, Edit | None]]:
    """Edits of one scope: the keys below the scope that they may touch, the edit, and its inverse if it has one."""
    spec = CondaSpec(version=">=1")
    return [
        (
            ("dependencies",),
            lambda m: add_dependency(m, scope, "dependencies", "new-package", spec)[0],
            lambda m: remove_dependency(m, [scope], "dependencies", "New-Package"),
        ),
        (
            ("pypi-dependencies",),
            lambda m: add_requirement(m, scope, replace(new_requirement("new_package>=1"), editable=True))[0],
            lambda m: remove_requirement(m, [scope], "new-package"),
        ),
        (
            ("tasks",),
            lambda m: add_task(m, scope, "new-task", NewTask(cmd="run 'it'", cwd="x")),
            lambda m: remove_task(m, scope, "new-task"),
        ),
        (
            ("activation",),
            lambda m: set_variables(m, scope, {"NEW_ONE": "1"}),
            lambda m: remove_variables(m, scope, ["NEW_ONE"]),
        ),
        (("activation",), lambda m: add_scripts(m, scope, ["new.sh"]), lambda m: remove_scripts(m, scope, ["new.sh"])),
    ]


def without_empty(data: object) -> object:
    """``data`` without empty tables: what only headers imply."""
    if not isinstance(data, dict):
        return data
    inner = {key: without_empty(value) for key, value in data.items()}
    return {key: value for key, value in inner.items() if value != {}}


def check_edit(manifest: ManifestText, allowed: tuple[str | int, ...], edit: Edit, inverse: Edit | None) -> None:
    """Only what is below ``allowed`` may change, all bytes stay, and the inverse brings everything back."""
    edited = edit(manifest)
    assert edited.text != manifest.text
    assert is_subsequence(manifest.text, edited.text)
    mask = [copy.deepcopy(each.data) for each in (manifest, edited)]
    for data in mask:
        for key in allowed[:-1]:
            data = data.setdefault(key, {})  # type: ignore[index]
        data.pop(allowed[-1], None)
    assert without_empty(mask[0]) == without_empty(mask[1])
    parse_manifest(edited.document, edited.kind)
    if inverse is not None:
        back = inverse(edited)
        assert without_empty(back.data) == without_empty(manifest.data)
        assert is_subsequence(back.text, edited.text)


@pytest.mark.parametrize("scope", SCOPES, ids=str)
def test_changes_of_real_manifests_touch_nothing_else(scope: Scope) -> None:
    checked = 0
    for file in corpus_manifests():
        kind = "pyproject" if file.name.endswith("pyproject.toml") else "pixi"
        try:
            manifest = ManifestText.parse(file.read_bytes().decode("utf-8"), kind, file.name)
        except ManifestError:
            continue
        if not manifest.table(manifest.workspace).get("channels") or not manifest.has("workspace"):
            continue
        checked += 1
        for keys, edit, inverse in edits_of(scope):
            check_edit(manifest, scope.path(manifest, *keys), edit, inverse)
    assert checked > 60


def test_changes_of_real_workspaces_touch_nothing_else() -> None:
    for file in corpus_manifests():
        kind = "pyproject" if file.name.endswith("pyproject.toml") else "pixi"
        try:
            manifest = ManifestText.parse(file.read_bytes().decode("utf-8"), kind, file.name)
            platforms = read_entries(manifest) if manifest.has("workspace") else ()
        except (ManifestError, ErrorGroup):
            continue
        if not platforms:
            continue
        at = manifest.workspace
        check_edit(
            manifest,
            (*at, "channels"),
            lambda m: add_channels(m, Scope(), ["new-channel"], first=True),
            lambda m: remove_channels(m, Scope(), ["new-channel"]),
        )
        check_edit(
            manifest,
            (*at, "platforms"),
            lambda m: add_platforms(m, Scope(), [WINDOWS])[0],
            lambda m: remove_platforms(m, Scope(), ["win-arm64"]),
        )
        check_edit(
            manifest,
            manifest.at("environments"),
            lambda m: add_environment(m, "new-one", no_default_feature=True),
            lambda m: remove_environment(m, "new-one"),
        )
        for key in ("name", "version", "description"):
            edited = set_property(manifest, key, "9.9")
            assert sum(old != new for old, new in zip_longest(manifest.text.splitlines(), edited.text.splitlines()))
        for feature in manifest.table(manifest.at("feature")):
            removed = remove_feature(manifest, feature)
            assert removed.get(manifest.at("feature", feature)) is None
            assert is_subsequence(removed.text, manifest.text)
