"""What is wrong in a manifest is told all at once, each with its place and what to do."""

from __future__ import annotations

import pytest

from smelt.cli.errors import render
from smelt.cli.terminal import Terminal
from smelt.errors import ErrorGroup, ManifestError
from smelt.manifest.document import parse_document
from smelt.manifest.manifest import Kind, TomlManifest, parse_manifest

HEAD = """\
[workspace]
channels = ["conda-forge"]
platforms = ["linux-64"]
"""


def read(text: str, kind: Kind = "pixi") -> TomlManifest:
    return parse_manifest(parse_document(text, "pixi.toml" if kind == "pixi" else "pyproject.toml"), kind)


def mistakes(text: str, kind: Kind = "pixi") -> list[ManifestError]:
    return read(text, kind).problems.errors


def only(text: str) -> ManifestError:
    found = mistakes(text)
    assert len(found) == 1, [error.message for error in found]
    return found[0]


def at(error: ManifestError) -> tuple[int, int]:
    place = error.labels[0].place
    return place.line, place.column


# text after HEAD, line and column, words of the message, words of the help
CASES = [
    ("[dependenceis]\n", (4, 2), "`dependenceis` is not known here", "did you mean `dependencies`?"),
    ("[tool]\nx = 1\n[build-system]\n", (6, 2), "not known", "`[package.build]`"),
    ("[dependencies]\npython = 3.12\n", (5, 10), "expected a version or a table, found a float", '`python = "3.12"`'),
    ('[dependencies]\n"a b" = "*"\n', (5, 2), "not the name of a conda package", "letters"),
    ('[dependencies]\nnumpy = "*"\nNumPy = "*"\n', (6, 1), "given twice", ""),
    ('[dependencies]\nx = { version = "1", path = "." , git = "https://h.example/x" }\n', (5, 35), "only one of", ""),
    ('[dependencies]\nx = { path = ".", branch = "main" }\n', (5, 19), "`branch` only goes with `git`", ""),
    ('[dependencies]\nx = { git = "https://h.example/x", tag = "1", rev = "2" }\n', (5, 47), "only one of", ""),
    ('[dependencies]\nx = { path = "x.conda", version = "1" }\n', (5, 25), "cannot be used with `path`", ""),
    ('[dependencies]\nx = { path = ".", sha256 = "' + "0" * 64 + '" }\n', (5, 19), "cannot be used", ""),
    ('[dependencies]\nx = { url = "https://h.example/x.conda", sha256 = "ab" }\n', (5, 52), "sha256 digest", ""),
    ('[dependencies]\nx = { git = "git@h.example:me/x.git" }\n', (5, 14), "ssh://git@h.example/me/x.git", ""),
    ('[dependencies]\nx = { git = "https://h.example/x", subdirectory = "../y" }\n', (5, 52), "leads out", ""),
    ("[dependencies]\nx = {}\n", (5, 5), "says nothing", "a version"),
    ('[dependencies]\nx = { versoin = "1" }\n', (5, 7), "not known in `dependencies.x`", "`version`"),
    ('[dependencies]\nx = { pin-compatible = true }\n', (5, 7), "not allowed in this table", "run-dependencies"),
    ('[dependencies]\nx = { workspace = false }\n', (5, 19), "cannot be false", ""),
    ('[dependencies]\nx = { workspace = true, version = "1" }\n', (5, 25), "mutually exclusive with `workspace`", ""),
    ('[dependencies]\nx = { pypi = "markupsafe>=3" }\n', (5, 15), "`name==version`", ""),
    ('[dependencies]\nx = { version = "1", when = ["a"] }\n', (5, 29), "expected a string or a table", ""),
    ('[dependencies]\nx = { version = "1", when = { all = [] } }\n', (5, 37), "at least one", ""),
    ('[dependencies]\nx = { version = "1", when = "a[build=1]" }\n', (5, 30), "brackets", "package ="),
    ('[dependencies]\nx = { version = "1", build-number = "soon" }\n', (5, 38), "not a build number", ""),
    ('[dependencies]\nx = { version = "*", package.build.backend.name = "b" }\n', (5, 5), "needs a source", ""),
    ("[pypi-dependencies]\nrequests = \"2.0\"\n", (5, 13), "has no operator", ""),
    ('[pypi-dependencies]\nx = { git = "https://h.example/x", version = "==1" }\n', (5, 36), "cannot be used", ""),
    ('[pypi-dependencies]\nx = { path = ".", index = "https://i.example" }\n', (5, 19), "only one of", ""),
    ('[pypi-options]\nindex-strategy = "fastest"\n', (5, 19), "cannot be `fastest`", ""),
    ('[pypi-options]\nfind-links = ["x"]\n', (5, 16), "expected a table", "path ="),
    ('[pypi-options]\nno-build = "all"\n', (5, 13), "a boolean or an array", ""),
    ("[tasks]\nx = 1\n", (5, 5), "expected a string or a table", ""),
    ('[tasks]\nx = { cmd = "a", depend-on = "y" }\n', (5, 18), "not known", "`depends-on`"),
    ('[tasks]\nx = { depends-on = ["y"], cwd = "z" }\n', (5, 27), "not known", "needs a task with `cmd`"),
    ('[tasks]\nx = ["echo", "hi"]\n', (5, 7), "expected a table", "`cmd = [...]`"),
    ('[tasks]\nx = { cmd = "a", args = [{ arg = "one", default = "1" }, "two"] }\n', (5, 59), "default value", ""),
    ('[tasks]\nx = { cmd = "a", args = ["with-dash"] }\n', (5, 27), "minus", ""),
    ('[tasks]\nx = { cmd = "a", args = ["pixi"] }\n', (5, 27), "cannot be called `pixi`", ""),
    ('[tasks]\nx = { cmd = "a", args = [{ arg = "o", default = "c", choices = ["a"] }] }\n', (5, 50), "not one of", ""),
    ('[tasks]\nx = { cmd = "a", env = { A = 1 } }\n', (5, 30), "expected a string, found an integer", "quotes"),
    ('[activation]\nscripts = "a.sh"\n', (5, 12), "expected an array of strings", '["a.sh"]'),
    ("[activation.env]\nA = true\n", (5, 5), "expected a string, found a boolean", ""),
    ('[target."linux 64".tasks]\n', (4, 10), "cannot name a platform", ""),
    ('[target."if(unix)".tasks]\n', (4, 10), "conditions belong", ""),
    ("[feature.default.tasks]\n", (4, 10), "cannot be defined", "root"),
    ("[feature.x.run-dependencies]\n", (4, 12), "not known", "[package.run-dependencies]"),
    ('[feature.x]\nplatforms = ["linux-64", "linux-64"]\n', (5, 27), "given twice", ""),
    ('[feature.x]\nchannel-priority = "Strict"\n', (5, 21), "cannot be `Strict`", "did you mean `strict`?"),
    ("[environments]\nMy_Env = []\n", (5, 1), "cannot name an environment", ""),
    ("[environments]\nx = {}\n", (5, 5), "`features` is missing", "`features = []`"),
    ('[environments]\nx = "feature"\n', (5, 6), "expected an array of features", ""),
    ('[environments]\nx = { features = [], host-dependencies = {} }\n', (5, 22), "not known", "belongs to a feature"),
    ('[dev]\nx = { subdirectory = "y" }\n', (5, 5), "no source is given", ""),
    ('[dev]\nx = { path = ".", git = "https://h.example/x" }\n', (5, 19), "only one of", ""),
    ('[system-requirements]\nlibc = { family = "glibc" }\n', (5, 8), "`version` is missing", ""),
    ('[exclude-newer]\nnumpy = "soon"\n', (5, 10), "no cut-off", ""),
    ("[tool.smelt]\nprofiles = {}\n", (5, 1), "not known in `tool.smelt`", "`profile`"),
    ("[tool.smelt.profile.p]\nenv = { CFLAGS = 1 }\n", (5, 18), "expected a string", ""),
    ("[tool.smelt.profile.p]\npackages = \"all\"\n", (5, 13), "expected an array", ""),
    ("[tool.smelt.profile.p.config]\npixi-build-python = 1\n", (5, 21), "expected a table", ""),
    ("[tool.smelt]\nvariant-constraints = \"no\"\n", (5, 24), "expected a boolean", ""),
    ("[tool.smelt.matrix.m]\npython = []\n", (5, 10), "has no features", ""),
]  # fmt: skip


@pytest.mark.parametrize(("text", "place", "message", "help"), CASES, ids=[case[0][:40] for case in CASES])
def test_one_mistake(text: str, place: tuple[int, int], message: str, help: str) -> None:
    error = only(HEAD + text)
    assert message in error.message or any(message in label.message for label in error.labels)
    assert at(error) == place
    assert help in (error.help or "")
    assert error.kind.startswith("manifest-")


WORKSPACE_CASES = [
    ("platforms = []\n", (1, 1), "`channels` is missing"),
    ("channels = [1]\nplatforms = []\n", (2, 13), "expected a string or a table"),
    ('channels = ["a", "a"]\nplatforms = []\n', (2, 19), "given twice"),
    ('channels = [{ channel = "a", prority = 1 }]\n', (2, 30), "not known"),
    ('channels = [{ priority = 1 }]\n', (2, 13), "`channel` is missing"),
    ('channels = []\nplatforms = ["linux64"]\n', (3, 15), "not a conda platform"),
    ('channels = []\nplatforms = [{ name = "x" }]\n', (3, 24), "not a conda platform"),
    ("channels = []\nplatforms = [{}]\n", (3, 14), "needs `platform` or `name`"),
    ('channels = []\nplatforms = [{ name = "win", platform = "linux-64" }]\n', (3, 24), "family"),
    ('channels = []\nplatforms = [{ name = "a b", platform = "linux-64" }]\n', (3, 24), "cannot name"),
    ('channels = []\nplatforms = [{ name = "linux-64", cuda = "12" }]\n', (3, 14), "plain conda platform"),
    ('channels = []\nplatforms = [{ platform = "osx-64", macos = "13", osx = "14" }]\n', (3, 51), "means the same"),
    ('channels = []\nplatforms = [{ platform = "linux-64", cuda = { arch = "8" } }]\n', (3, 56), "needs `driver`"),
    ('channels = []\nplatforms = [{ platform = "linux-64", __cuda_arch = "8" }]\n', (3, 14), "needs `__cuda`"),
    ('channels = []\nplatforms = [{ platform = "linux-64", cuda = "1", __cuda = "2" }]\n', (3, 51), "declared twice"),
    ('channels = []\npreview = "pixi-build"\n', (3, 12), "expected a boolean or an array"),
    ('channels = []\nlicense = "MIT OR FOOBAR"\n', (3, 12), "not an SPDX"),
    ('channels = []\nhomepage = "example"\n', (3, 13), "not an address"),
    ('channels = []\nversion = "1..2"\n', (3, 12), "not a version"),
    ("channels = []\nversion = 1.0\n", (3, 11), "found a float"),
    ("channels = []\nexclude-newer = 2025-01-01\n", (3, 17), "found a date"),
    ('channels = []\nbuild-variants = { python = "3.12" }\n', (3, 30), "expected an array of strings"),
    ("channels = []\n[workspace.target.linux]\nx = 1\n", (4, 1), "not known"),
    ('channels = []\n[workspace.dependencies]\nx = { workspace = true }\n', (4, 7), "not supported"),
    ('channels = []\n[workspace.s3-options.b]\nregion = "r"\n', (3, 1), "is missing"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "place", "message"), WORKSPACE_CASES, ids=[case[0][:50] for case in WORKSPACE_CASES])
def test_one_mistake_in_the_workspace_table(text: str, place: tuple[int, int], message: str) -> None:
    error = mistakes(f"[workspace]\n{text}")[0]
    assert message in error.message
    assert at(error) == place


PACKAGE = '[package]\nname = "p"\nversion = "1"\n[package.build]\nbackend = { name = "b" }\n'
PACKAGE_CASES = [
    ("[package]\nname = 1\nbuild.backend.name = 'b'\n", (2, 8), "expected a string"),
    ("[package]\n", (1, 1), "`build` is missing"),
    ("[package.build]\n", (1, 1), "`backend` is missing"),
    ('[package]\nname = { workspace = false }\nbuild.backend.name = "b"\n', (2, 22), "cannot be false"),
    ("[package]\nname = { }\nbuild.backend.name = 'b'\n", (2, 8), "a value or `{ workspace = true }`"),
    (PACKAGE + "[package.run-dependencies.'if(']\nx = '*'\n", (6, 28), "is not a condition"),
    (PACKAGE + "[package.run-dependencies.'if()']\nx = '*'\n", (6, 28), "is not a condition"),
    (PACKAGE + "[package.build-dependencies]\nx = { pin-compatible = true }\n", (7, 7), "not allowed"),
    (PACKAGE + "[package.run-dependencies]\nx = { pin-compatible = { lower-bound = '!' } }\n", (7, 41), "neither"),
    (PACKAGE + "[package.run-dependencies]\nx = { pin-compatible = false }\n", (7, 24), "means nothing"),
    (PACKAGE + "[package.run-dependencies]\nx = { pin-compatible = true, version = '1' }\n", (7, 30), "combined"),
    (
        PACKAGE + "[package.run-dependencies]\nx = { pin-compatible = { exact = true, build = 'b' } }\n",
        (7, 40),
        "combined",
    ),
    (PACKAGE + "[package.run-exports.week]\nx = '*'\n", (6, 22), "not known"),
    (PACKAGE + "[package.target.'linux-*'.run-dependencies]\nx = '*'\n", (6, 18), "pattern"),
    (PACKAGE + "[package.build.target.x_y.config]\n", (6, 23), "cannot name"),
    (PACKAGE + "[package.extra-dependencies.'a b']\nx = '*'\n", (6, 30), "cannot name a group"),
    ("[package.build]\nbackend = { name = 'b', channels = [] }\n", (2, 36), "needs a channel"),
    ("[package.build]\nbackend = { name = 'b', path = '.' }\n", (2, 11), "from source"),
    ("[package.build]\nbackend.name = 'b'\nsource = { git = 'https://h.example/x', lfs = true }\n", (3, 41), "`lfs`"),
    ("[package.build]\nbackend.name = 'b'\nbuild-number = -1\n", (3, 16), "at least 0"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "place", "message"), PACKAGE_CASES, ids=[case[0][-50:] for case in PACKAGE_CASES])
def test_one_mistake_in_a_package(text: str, place: tuple[int, int], message: str) -> None:
    error = mistakes(text)[0]
    assert message in error.message
    assert at(error) == place


def test_all_mistakes_at_once() -> None:
    text = HEAD + '[dependencies]\na = 1\nb = "=>2"\n[tasks]\nc = { cnd = "x" }\n[feature.f]\nplatform = []\n'
    manifest = read(text)
    assert {at(error) for error in manifest.problems.errors} == {(5, 5), (6, 6), (8, 7), (10, 1)}
    with pytest.raises(ErrorGroup) as caught:
        manifest.problems.raise_errors()
    assert caught.value.message == "pixi.toml has 4 mistakes"
    shown = render(caught.value, Terminal(color="never"))
    assert '6 | b = "=>2"' in shown
    assert "did you mean `cmd`?" in shown


def test_how_an_error_looks() -> None:
    shown = render(only(HEAD + '[dependencies]\nnumpy = { versoin = "1" }\n'), Terminal(color="never"))
    assert shown.split("\n")[:6] == [
        "error[manifest-unknown-key]: `versoin` is not known in `dependencies.numpy`",
        "  --> pixi.toml:5:11",
        "   |",
        ' 5 | numpy = { versoin = "1" }',
        "   |           ^^^^^^^",
        "  help: did you mean `version`?",
    ]


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("[a\nb = 1\n", (1, 3), "expected `]`"),
        ("a = 1\na = 2\n", (2, 6), "defined twice"),
        ("[a]\n[a]\n", (2, 3), "defined twice"),
        ("a = [1\n", (2, 1), ""),
        ("a = 1 b = 2\n", (1, 7), "end of the line"),
        ('a = "\\q"\n', (1, 7), "backslash"),
        ("<<<<<<< HEAD\na = 1\n", (1, 1), "unfinished merge"),
        ("a = \x00\n", (1, 5), ""),
        ("a = truu\n", (1, 5), ""),
    ],
)
def test_syntax_errors_have_a_place(text: str, place: tuple[int, int], words: str) -> None:
    with pytest.raises(ManifestError) as caught:
        parse_document(text, "pixi.toml")
    error = caught.value
    assert error.kind == "manifest-syntax"
    assert error.labels[0].place.line == place[0]
    assert words in error.labels[0].message
    assert error.message == "pixi.toml is not valid TOML"


def test_text_that_is_not_utf8() -> None:
    with pytest.raises(ManifestError) as caught:
        parse_document(b'[workspace]\nname = "\xff"\n', "pixi.toml")
    assert caught.value.kind == "manifest-encoding"
    assert at(caught.value) == (2, 9)


def test_deep_nesting_and_big_numbers() -> None:
    with pytest.raises(ManifestError, match="nested too deeply"):
        parse_document("a = " + "[" * 5000, "pixi.toml")
    with pytest.raises(ManifestError, match="cannot be read"):
        parse_document("a = " + "9" * 5000, "pixi.toml")
    assert (
        "too big" in mistakes('[workspace]\nchannels = [{ channel = "a", priority = 99999999999999999999 }]')[0].message
    )


def test_toml_1_1() -> None:
    assert not mistakes(HEAD + '[dependencies]\npython = {\n  version = ">=3.12", # comment\n}\n')


def test_deprecated_names_give_warnings() -> None:
    text = (
        '[project]\nchannels = []\nplatforms = ["linux-64"]\n[host-dependencies]\n[build-dependencies]\n'
        '[system-requirements]\ncuda = "12"\n[tasks]\nx = { cmd = "a", depends_on = "y" }\n'
    )
    manifest = read(text)
    assert not manifest.problems.errors
    warnings = manifest.problems.warnings
    assert {str(warning) for warning in warnings} == {
        "`project` is deprecated",
        "`host-dependencies` is deprecated",
        "`build-dependencies` is deprecated",
        "`system-requirements` is deprecated",
        "`depends_on` is deprecated",
    }
    assert all(warning.labels for warning in warnings)
    assert manifest.workspace is not None


def test_pyproject() -> None:
    text = '[project]\nname = "x y"\n[tool.pixi.workspace]\nchannels = []\nplatform = []\n'
    assert [at(error) for error in mistakes(text, "pyproject")] == [(2, 9), (5, 1)]
    assert "no table `[tool.pixi]`" in mistakes('[project]\nname = "x"\n', "pyproject")[0].message


def test_dependency_groups_that_include_each_other() -> None:
    text = (
        '[dependency-groups]\na = [{ include-group = "b" }]\nb = [{ include-group = "a" }]\n'
        'c = [{ include-group = "z" }]\n'
        "[tool.pixi.workspace]\nchannels = []\n"
    )
    messages = [error.message for error in mistakes(text, "pyproject")]
    assert "dependency groups include each other: a → b → a" in messages
    assert "there is no dependency group `z`" in messages
