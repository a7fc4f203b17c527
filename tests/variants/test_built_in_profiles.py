"""The profiles that need no declaration: what they say, and what programs built with them do."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from smelt.api.workspace import Workspace
from smelt.errors import ManifestError, NotSupportedError
from smelt.source.profile import with_profile
from smelt.workspace.load import load_workspace
from smelt.workspace.profiles import BUILT_IN
from spine_kit import SUBDIR, manifest, recipe

PROGRAM = """\
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
int main(int count, char **words) {
    const char *what = count > 1 ? words[1] : "";
    int number = 2147483600;
    for (int i = 0; strcmp(what, "overflow") == 0 && i < 100; i++) number += count;
    volatile char *memory = malloc(4);
    memory[0] = 'x';
    if (strcmp(what, "heap") == 0) memory[4 * count] = 'x';
    assert(strcmp(what, "assert") != 0);
    free((void *)memory);
    printf("%s done\\n", what);
    return number == 7;
}
"""
NAMES = ("debug", "asan", "ubsan", "tsan")


def tables(names: tuple[str, ...] = NAMES) -> str:
    lines = [f"[feature.{name}]" for name in names]
    lines += ["[environments]", *(f'{name} = ["{name}"]' for name in names), "[tool.smelt.feature]"]
    return "\n".join([*lines, *(f'{name}.profile = "{name}"' for name in names)]) + "\n"


def test_they_need_no_declaration(tmp_path: Path) -> None:
    path = manifest(tmp_path, [], tables())
    workspace = load_workspace(path)
    for name in NAMES:
        assert workspace.effective[name, SUBDIR].profile == BUILT_IN[name]
    assert workspace.effective["default", SUBDIR].profile is None
    assert dict(workspace.effective["ubsan", SUBDIR].profile.activation_env) == {  # type: ignore[union-attr]
        "UBSAN_OPTIONS": "print_stacktrace=1"
    }
    # only those that are in use belong to the workspace
    assert set(load_workspace(manifest(tmp_path, [], tables(("asan",)))).profiles) == {"asan"}


def test_a_declared_one_wins(tmp_path: Path) -> None:
    text = tables(("ubsan",)) + '[tool.smelt.profile.ubsan]\nenv = { CFLAGS = "-mine" }\n'
    workspace = load_workspace(manifest(tmp_path, [], text))
    profile = workspace.effective["ubsan", SUBDIR].profile
    assert profile is not None
    assert dict(profile.env) == {"CFLAGS": "-mine"}
    assert not profile.built_in


def test_an_unknown_one(tmp_path: Path) -> None:
    text = tables(("ubsan",)).replace('"ubsan"\n', '"usan"\n')
    with pytest.raises(ManifestError, match="there is no profile `usan`") as caught:
        load_workspace(manifest(tmp_path, [], text.replace('ubsan = ["ubsan"]', 'u = ["ubsan"]')))
    assert caught.value.help == "did you mean `ubsan`?"


def test_not_for_compilers_of_windows() -> None:
    script = {"build": {"script": {"content": "cl x.c"}}}
    with pytest.raises(NotSupportedError, match="options of GCC and Clang"):
        with_profile(script, BUILT_IN["asan"], "win-64", "mine")
    assert with_profile(script, BUILT_IN["asan"], "osx-arm64", "mine")["build"] != script["build"]


@pytest.mark.build
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="sanitizers as GCC and Clang have them on Linux")
def test_what_they_find(tmp_path: Path, bare_channel: Path) -> None:
    """One program, built four times: each build finds what it is for, and the plain one finds nothing."""
    recipe(
        tmp_path,
        "ask",
        build=["${{ compiler('c') }}"],
        script=["mkdir -p $PREFIX/bin", "$CC $CPPFLAGS $CFLAGS $LDFLAGS ask.c -o $PREFIX/bin/ask"],
        source={"path": "."},
    )
    (tmp_path / "ask" / "ask.c").write_text(PROGRAM)
    text = '[dependencies]\nask = { path = "ask" }\n' + tables(("debug", "asan", "ubsan"))
    workspace = Workspace.load(manifest(tmp_path, [bare_channel.as_uri()], text))
    environments = ("default", "debug", "asan", "ubsan")
    workspace.install(environments)
    assert len(workspace.plan(environments).nodes) == 4

    def run(environment: str, what: str) -> tuple[bool, str]:
        variables = dict(workspace.variables(environment, {"PATH": "/usr/bin:/bin"}))
        program = workspace.model.prefix(environment) / "bin" / "ask"
        done = subprocess.run([program, what], capture_output=True, text=True, check=False, env=variables)
        return done.returncode == 0, done.stdout + done.stderr

    for what in ("", "overflow", "assert"):
        assert run("default", what) == (True, f"{what} done\n")
    for environment in environments:
        assert run(environment, "") == (True, " done\n")
    assert "signed integer overflow" in run("ubsan", "overflow")[1]
    fine, said = run("asan", "heap")
    assert not fine
    assert "heap-buffer-overflow" in said
    fine, said = run("debug", "assert")
    assert not fine
    assert "Assertion" in said
