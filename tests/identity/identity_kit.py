"""A workspace of three packages, and single changes of it."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from smelt.api.workspace import Workspace
from smelt.build.model import BuildNode
from spine_kit import Channel

MANIFEST = """
[workspace]
name = "test"
channels = ["CHANNEL"]
platforms = ["SUBDIR"]
preview = ["pixi-build"]
build-variants-files = ["variants.yaml"]
[workspace.build-variants]
library = ["1.*"]
[tasks]
hello = "echo hello"
[dependencies]
a = { path = "a" }
b = { path = "b" }
c = { path = "c" }
[feature.tuned.dependencies]
c = { path = "c" }
[environments]
tuned = { features = ["tuned"], no-default-feature = true }
[tool.smelt.profile.fast]
env = { CFLAGS = "-O2" }
[tool.smelt.feature.tuned]
profile = "fast"
"""


PACKAGE = """
[package]
name = "NAME"
version = "1.0"
[package.build]
backend = { name = "pixi-build-BACKEND", version = "*" }
[package.build.config]
debug-dir = "here"
"""


RECIPE_A = """
context:
  summary: a package
package: {name: a, version: "1.0"}
source: {path: .}
build:
  number: 0
  script:
    content:
      - mkdir -p $PREFIX/share/a
      - cp data.txt tool.sh $PREFIX/share/a/
    env: {LEVEL: "1"}
requirements:
  build: [compiler]
  host: [library, flavour]
  run: [runner]
tests:
  - script: [test -f $PREFIX/share/a/data.txt]
about:
  summary: ${{ summary }}
  license: MIT
  license_file: LICENSE
"""


SWAPPED = ("summary: ${{ summary }}\n  license: MIT", "license: MIT\n  summary: ${{ summary }}")


RECIPE_B = """
package: {name: b, version: "1.0"}
source: {path: .}
build:
  script:
    - mkdir -p $PREFIX/share/b
    - cp $PREFIX/share/a/data.txt $PREFIX/share/b/
requirements: {host: [a]}
"""


PROJECT = """
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"
[project]
name = "c"
version = "1.0"
description = "a project"
"""


FILES = {
    "pixi.toml": MANIFEST,
    "variants.yaml": 'flavour: ["1.*"]\n',
    "README.md": "read me\n",
    "a/pixi.toml": PACKAGE.replace("NAME", "a").replace("BACKEND", "rattler-build"),
    "a/recipe.yaml": RECIPE_A,
    "a/data.txt": "data\n",
    "a/tool.sh": "#!/bin/sh\n",
    "a/docs/page.md": "page\n",
    "a/README.md": "a\n",
    "a/LICENSE": "do what you want\n",
    "a/.gitignore": "*.log\n",
    "b/pixi.toml": PACKAGE.replace("NAME", "b").replace("BACKEND", "rattler-build")
    + '[package.host-dependencies]\na = { path = "../a" }\n',
    "b/recipe.yaml": RECIPE_B,
    "c/pixi.toml": PACKAGE.replace("NAME", "c").replace("BACKEND", "python"),
    "c/pyproject.toml": PROJECT,
    "c/c.py": "value = 1\n",
    "c/.gitignore": "*.log\n",
    "c/ignored.log": "ignored\n",
}


Keys = Mapping[str, BuildNode]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A copy of the workspace. ``channel`` is shared by all copies until ``own_channel`` is called."""

    root: Path
    channel: Path
    patch: pytest.MonkeyPatch

    def path(self, name: str) -> Path:
        return self.root / name

    def edit(self, name: str, old: str, new: str) -> None:
        text = self.path(name).read_text(encoding="utf-8")
        assert old in text, name
        self.path(name).write_text(text.replace(old, new, 1), encoding="utf-8")

    def write(self, name: str, text: str) -> None:
        self.path(name).parent.mkdir(parents=True, exist_ok=True)
        self.path(name).write_text(text, encoding="utf-8")

    def own_channel(self) -> Channel:
        """A channel of this copy's own, with what the shared one holds."""
        folder = self.root.parent / "channel"
        shutil.copytree(self.channel, folder)
        for name in ("pixi.toml", "pixi.lock"):
            self.edit(name, self.channel.as_uri(), folder.as_uri())
            text = self.path(name).read_text(encoding="utf-8")
            self.path(name).write_text(text.replace(self.channel.as_uri(), folder.as_uri()), encoding="utf-8")
        return Channel(folder)

    def update(self) -> None:
        """``smelt update``: take what the channel offers today."""
        Workspace.load(self.root).lock(unlock=None)

    def git(self, *arguments: str) -> None:
        identity = ["-c", "user.name=me", "-c", "user.email=me@there.example", "-c", "init.defaultBranch=main"]
        subprocess.run(["git", *identity, *arguments], cwd=self.root, check=True, capture_output=True)

    def commit(self) -> None:
        self.git("init", "-q")
        self.git("add", "-A")
        self.git("commit", "-q", "-m", "first")

    def plan(self) -> dict[str, BuildNode]:
        found: dict[str, BuildNode] = {}
        for node in Workspace.load(self.root).plan().nodes:
            profile = node.variant.variant.get("smelt_profile")
            found[f"{node.variant.name}+{profile}" if profile else node.variant.name] = node
        return found


Change = Callable[[Case], object]


def edit(name: str, old: str, new: str) -> Change:
    return lambda case: case.edit(name, old, new)


def write(name: str, text: str) -> Change:
    return lambda case: case.write(name, text)


def append(name: str, text: str) -> Change:
    return lambda case: case.write(name, case.path(name).read_text(encoding="utf-8") + text)


def recipe(old: str, new: str) -> Change:
    return edit("a/recipe.yaml", old, new)


def config(name: str, text: str) -> Change:
    """One key of the backend's configuration, beside the one that is there."""
    return edit(f"{name}/pixi.toml", 'debug-dir = "here"\n', f'debug-dir = "here"\n{text}\n')


def manifest(old: str, new: str) -> Change:
    return edit("pixi.toml", old, new)


def variable(name: str, value: str) -> Change:
    return lambda case: case.patch.setenv(name, value)


def offered(*packages: tuple[str, str], update: bool = True, content: str = "another") -> Change:
    """The channel has packages that it had not, or another one of the same name, version and build."""

    def change(case: Case) -> None:
        channel = case.own_channel()
        for name, version in packages:
            channel.add(name, version, files={f"share/{name}.txt": content})
        channel.index()
        if update:
            case.update()

    return change


def swap_link(case: Case) -> None:
    case.path("a/link").unlink()
    case.path("a/link").symlink_to("tool.sh")


def link_to_file(case: Case) -> None:
    case.path("a/link").unlink()
    shutil.copyfile(case.path("a/data.txt"), case.path("a/link"))


def committed(then: Change = lambda case: None) -> Change:
    def change(case: Case) -> None:
        case.commit()
        then(case)

    return change


def another_branch(case: Case) -> None:
    case.git("checkout", "-q", "-b", "other")
    case.git("commit", "-q", "--allow-empty", "-m", "nothing")


def another_branch_and_back(case: Case) -> None:
    case.git("checkout", "-q", "-b", "other")
    case.write("a/data.txt", "other\n")
    case.git("commit", "-q", "-a", "-m", "data")
    case.git("checkout", "-q", "main")


def ignored_by_exclude(case: Case) -> None:
    case.write(".git/info/exclude", "/a/secret\n")
    case.write("a/secret", "untracked")


def unconstrained(case: Case) -> None:
    append("pixi.toml", "[tool.smelt]\nvariant-constraints = false\n")(case)
    case.update()


def another_home(case: Case) -> None:
    home = case.root.parent / "home"
    (home / ".config" / "pip").mkdir(parents=True)
    (home / ".config" / "pip" / "pip.conf").write_text("[global]\nverbose = 1\n")
    for name in ("HOME", "USERPROFILE"):
        case.patch.setenv(name, str(home))
    case.patch.delenv("XDG_CONFIG_HOME", raising=False)


def cloned(case: Case) -> None:
    case.commit()
    moved = case.root.with_name("elsewhere")
    case.root.rename(moved)
    subprocess.run(["git", "clone", "-q", str(moved), str(case.root)], check=True, capture_output=True)


def differences(old: Keys, new: Keys) -> set[str]:
    """Like the expectations of the table."""
    found: set[str] = set()
    for name, before in old.items():
        after = new.get(name)
        if after is None:
            found.add(f"{name}-")
        elif after.content != before.content:
            assert after.key != before.key
            found.add(f"{name}!")
        elif after.key != before.key:
            found.add(f"{name}~")
    return found
