"""What a user reads when something is wrong; what is left behind; with which exit code the command ends."""

from __future__ import annotations

import re
from pathlib import Path

from errors_kit import fails, golden

from spine_kit import OTHER, SUBDIR, Channel, manifest, posix, recipe, smelt

pytestmark = posix


# --- the manifest ------------------------------------------------------------------------------------------------


def test_an_unknown_key(root: Path, channel: Channel) -> None:
    manifest(root, [channel.url], '[tasks]\nx = { cmd = "a", depend-on = ["b"] }\n')
    golden(
        fails(root, "lock"),
        """\
error[manifest-unknown-key]: `depend-on` is not known in `tasks.x`
  --> pixi.toml:7:18
   |
 7 | x = { cmd = "a", depend-on = ["b"] }
   |                  ^^^^^^^^^
  help: did you mean `depends-on`?
        known here: {…}
""",
    )
    assert not (root / "pixi.lock").exists()
    assert not (root / ".pixi").exists()


def test_a_wrong_type_and_more(root: Path, channel: Channel) -> None:
    manifest(root, [channel.url], '[dependencies]\ntool = { version = "*", build = 3 }\n[dependencis]\nx = "1"\n')
    golden(
        fails(root, "install"),
        """\
error[manifest-type]: expected a string, found an integer
  --> pixi.toml:7:33
   |
 7 | tool = { version = "*", build = 3 }
   |                                 ^
  help: write it in quotes

error[manifest-unknown-key]: `dependencis` is not known here
  --> pixi.toml:8:2
   |
 8 | [dependencis]
   |  ^^^^^^^^^^^
  help: did you mean `dependencies`?
        known here: {…}

error: pixi.toml has 2 mistakes
""",
    )


def test_no_toml(root: Path, channel: Channel) -> None:
    manifest(root, [channel.url], '[dependencies]\ntool = "*\n')
    golden(
        fails(root, "run", "tool"),
        """\
error[manifest-syntax]: pixi.toml is not valid TOML
  --> pixi.toml:7:10
   |
 7 | tool = "*
   |          ^ {…}
""",
    )


def test_no_workspace(root: Path) -> None:
    root.mkdir()
    golden(
        fails(root, "install"),
        """\
error[manifest-not-found]: there is no workspace in {…} or above
  help: expected pixi.toml, or pyproject.toml with `[tool.pixi.workspace]`
""",
    )


# --- the command line --------------------------------------------------------------------------------------------


def test_usage(root: Path) -> None:
    root.mkdir()
    golden(
        fails(root, "instal", code=2),
        """\
error[usage]: there is no command `instal`
  help: did you mean `smelt install`?
""",
    )
    golden(
        fails(root, "install", "--lock", code=2),
        """\
error[usage]: unrecognized arguments: --lock
  help: `smelt install --help` lists what is accepted
""",
    )
    assert "cannot be used with" in fails(root, "install", "--locked", "--frozen", code=2)
    assert "`0` is not a whole number from 1" in fails(root, "build", "--jobs", "0", code=2)
    assert "there is no nowhere" in fails(root, "lock", "-m", "nowhere", code=2)


def test_an_unknown_environment(workspace: Path) -> None:
    golden(
        fails(workspace, "install", "-e", "tow"),
        """\
error[unknown-environment]: there is no environment `tow` in workspace `test`
  help: did you mean `two`?
""",
    )


def test_another_platform(root: Path, channel: Channel) -> None:
    other = "win-64" if SUBDIR != "win-64" else "linux-64"
    manifest(root, [channel.url], '[dependencies]\ntool = "*"\n', platforms=[other])
    golden(
        fails(root, "install"),
        f"""\
error[unsupported-platform]: environment `default` does not support this machine's platform, {SUBDIR}
  help: it supports {other}; add `{SUBDIR}` to `platforms` of the workspace or of its features
""",
    )


# --- solving -----------------------------------------------------------------------------------------------------


def test_unsatisfiable(root: Path, channel: Channel) -> None:
    channel.add("app", depends=["library <2"])
    channel.index()
    manifest(root, [channel.url], '[dependencies]\napp = "*"\nlibrary = ">=2"\n')
    golden(
        fails(root, "install"),
        f"""\
error[unsatisfiable]: environment `default` cannot be solved for {SUBDIR}
  --> pixi.toml:7:8
   |
 7 | app = "*"
   |        ^ required here
  --> pixi.toml:8:12
   |
 8 | library = ">=2"
   |            ^^^ required here
  note: app * cannot be installed because there are no viable options:
        └─ app 1.0 would require
           └─ library <2, for which no candidates were found.
  note: of library, the channels have 2.0, 1.0: none satisfies all that is required of it
""",
    )
    assert not (root / "pixi.lock").exists()
    assert not (root / ".pixi" / "envs").exists()


def test_a_name_that_no_channel_has(root: Path, channel: Channel) -> None:
    manifest(root, [channel.url], '[feature.x.dependencies]\ntol = "*"\n[environments]\nx = ["x"]\n')
    golden(
        fails(root, "lock"),
        f"""\
error[unsatisfiable]: environment `x` cannot be solved for {SUBDIR}
  --> pixi.toml:7:8
   |
 7 | tol = "*"
   |        ^ required here
  note: No candidates were found for tol *.
  note: no package is called `tol` for {SUBDIR} in {channel.url}/
  help: did you mean `tool`?
""",
    )


def test_what_the_machine_lacks(root: Path, channel: Channel) -> None:
    channel.add("gpu", depends=["__cuda >=13"])
    channel.index()
    manifest(root, [channel.url], '[dependencies]\ngpu = "*"\n')
    text = fails(root, "lock")
    assert "__cuda >=13, for which no candidates were found" in text
    assert f"note: virtual packages assumed for {SUBDIR}: __" in text
    suggested = f'{{ platform = "{SUBDIR}", cuda = "13" }}'
    assert f"say so in `platforms` of the workspace: `{suggested}`" in text
    written = (root / "pixi.toml").read_text(encoding="utf-8")
    written = written.replace(f'platforms = ["{SUBDIR}"]', f"platforms = [{suggested}]")
    (root / "pixi.toml").write_text(written, encoding="utf-8")
    assert smelt(root, "lock").returncode == 0


def test_what_is_there_for_another_platform(root: Path, channel: Channel) -> None:
    channel.add("here", subdir=SUBDIR)
    channel.index()
    manifest(root, [channel.url], '[dependencies]\nhere = "*"\n', (SUBDIR, OTHER))
    text = fails(root, "lock")
    assert f"error[unsatisfiable]: environment `default` cannot be solved for {OTHER}\n" in text
    assert f"it is there for {SUBDIR}: require it only where it is, as in `[target.{SUBDIR}.dependencies]`" in text


def test_constraints_are_pointed_at(root: Path, channel: Channel) -> None:
    channel.add("base", "3.0")
    channel.add("user", depends=["base >=3"])
    channel.index()
    manifest(root, [channel.url], '[dependencies]\nuser = "*"\n[constraints]\nbase = "<2"\n')
    text = fails(root, "lock")
    assert 'base = "<2"' in text and 'user = "*"' in text
    assert text.count("the constraint base <2 cannot be fulfilled") == 1


def test_a_channel_that_is_not_among_the_channels(root: Path, channel: Channel) -> None:
    channel.add("base", "3.0")
    channel.index()
    manifest(root, [channel.url], '[dependencies]\nbase = { version = "*", channel = "https://c.example/x" }\n')
    assert "`base` is to come from https://c.example/x, which is not among `channels`" in fails(root, "lock")


def test_a_missing_compiler(root: Path, channel: Channel) -> None:
    recipe(root, "mine", build=["${{ compiler('c') }}"])
    manifest(root, [channel.url], '[dependencies]\nmine = { path = "mine" }\n')
    text = fails(root, "install")
    assert text.startswith(f"error[no-variant]: environment `default` cannot be solved for {SUBDIR}\n")
    assert f"left out: mine (target_platform={SUBDIR}): cannot solve the requirements for {SUBDIR}" in text
    assert re.search(r"help: `\w+_[\w-]+` is a compiler: .* `smelt channel add-toolchain`", text)
    assert not (root / "pixi.lock").exists()


def test_an_old_lock_survives_what_cannot_be_solved(root: Path, channel: Channel) -> None:
    manifest(root, [channel.url], '[dependencies]\ntool = "*"\n')
    assert smelt(root, "install").returncode == 0
    before = (root / "pixi.lock").read_bytes()
    manifest(root, [channel.url], '[dependencies]\ntool = ">=9"\n')
    for command in ("lock", "install"):
        fails(root, command)
    assert (root / "pixi.lock").read_bytes() == before
    assert smelt(root, "run", "--frozen", "tool").stdout == "tool 2.0\n"


# --- builds ------------------------------------------------------------------------------------------------------


# --- the lock ----------------------------------------------------------------------------------------------------


# --- channels ----------------------------------------------------------------------------------------------------


# --- packages ----------------------------------------------------------------------------------------------------


# --- what the system refuses --------------------------------------------------------------------------------------
