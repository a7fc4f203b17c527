"""One configuration file: names of today, unknown keys, wrong values."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smelt.config.keys import KEYS, key_at, parse_dotted
from smelt.config.reading import parse_layer, read_layer
from smelt.errors import ConfigError, ErrorGroup, SmeltError

FILE = Path("/etc/pixi/config.toml")


def test_values_and_tables() -> None:
    layer = parse_layer(
        """
default-channels = ["conda-forge", "https://channels.example/x"]
detached-environments = true
[repodata-config]
disable-zstd = true
[repodata-config."https://channels.example"]
disable-sharded = false
[mirrors]
"https://channels.example/x" = ["https://mirror.example/x"]
[s3-options.bucket]
endpoint-url = "https://s3.example"
region = "eu"
force-path-style = true
""",
        FILE,
    )
    assert layer.warnings == ()
    assert layer.data == {
        "default-channels": ["conda-forge", "https://channels.example/x"],
        "detached-environments": True,
        "repodata-config": {"disable-zstd": True, "https://channels.example": {"disable-sharded": False}},
        "mirrors": {"https://channels.example/x": ["https://mirror.example/x"]},
        "s3-options": {"bucket": {"endpoint-url": "https://s3.example", "region": "eu", "force-path-style": True}},
    }


def test_old_spellings() -> None:
    layer = parse_layer(
        'default_channels = ["x"]\ntls_no_verify = true\nchange_ps1 = false\n'
        '[repodata_config]\ndisable_bzip2 = true\n[repodata_config."https://c.example"]\ndisable_zstd = true\n',
        FILE,
    )
    assert layer.data == {
        "default-channels": ["x"],
        "tls-no-verify": True,
        "shell": {"change-ps1": False},
        "repodata-config": {"disable-bzip2": True, "https://c.example": {"disable-zstd": True}},
    }
    assert layer.warnings == (f"`change_ps1` in {FILE} is deprecated: write `shell.change-ps1` instead",)


def test_unknown_keys_are_ignored_and_told() -> None:
    layer = parse_layer("invalid-key = true\ndefault-chanels = []\n[shell]\nchange-ps2 = true\n", FILE)
    assert layer.data == {}
    (warning,) = layer.warnings
    assert warning.startswith(f"Ignoring 'invalid-key, default-chanels, shell.change-ps2' in {FILE}")
    assert "`default-channels` for `default-chanels`" in warning
    assert "`shell.change-ps1` for `shell.change-ps2`" in warning


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("offline = 1\n", 1, "`offline`: expected a boolean"),
        ("default-channels = 'x'\n", 1, "expected an array"),
        ("\n[pypi-config]\nextra-index-urls = ['https://i.example', 'x']\n", 3, "`x` is not an address"),
        ("pinning-strategy = 'high'\n", 1, "`high` is none of `semver`"),
        ("[cache]\nroot = 'relative'\n", 2, "must be an absolute path"),
        ("detached-environments = 'relative'\n", 1, "must be an absolute path"),
        ("shell = true\n", 1, "expected a table"),
        ("[concurrency]\nsolves = 0\n", 2, "expected a whole number from 1"),
        ("tool-platform = 'linux-65'\n", 1, "is not a conda platform"),
        ("[s3-options.b]\nregion = 'x'\n", 1, "`endpoint-url`, `force-path-style` of the bucket `b` is missing"),
        ("tls-no-verify = true\ntls_no_verify = true\n", 2, "means the same as"),
    ],
)
def test_wrong_values(text: str, line: int, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_layer(text, FILE)
    assert message in caught.value.message
    assert caught.value.kind == "config-value"
    assert [label.place.line for label in caught.value.labels] == [line]


def test_all_mistakes_at_once() -> None:
    with pytest.raises(ErrorGroup) as caught:
        parse_layer("offline = 1\ntls-no-verify = 'x'\n", FILE)
    assert len(caught.value.errors) == 2


def test_syntax() -> None:
    with pytest.raises(ConfigError, match=f"parse error in {FILE}") as caught:
        parse_layer("offline\n", FILE)
    assert caught.value.kind == "config-syntax"


def test_files(tmp_path: Path) -> None:
    assert read_layer(tmp_path / "none.toml") is None
    assert read_layer(tmp_path / "none" / "x" / "none.toml") is None
    with pytest.raises(ConfigError, match="cannot read"):
        read_layer(tmp_path)


def test_home_is_expanded() -> None:
    layer = parse_layer("[cache]\nroot = '~/cache'\n", FILE)
    assert layer.data == {"cache": {"root": str(Path.home() / "cache")}}


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key.name)
def test_every_key_is_found_by_its_dotted_name(key: object) -> None:
    from smelt.config.keys import Key

    assert isinstance(key, Key)
    name = "https://c.example/x" if key.path[0] in ("mirrors", "repodata-config") else "bucket"
    path = tuple(name if part == "*" else part for part in key.path)
    assert parse_dotted(".".join(path)) == path
    assert key_at(path) is key


@pytest.mark.parametrize("name", ["", "x", "shell.", "shell.x", "s3-options.a.b", "mirrors.x", "repodata-config.x"])
def test_no_such_key(name: str) -> None:
    assert parse_dotted(name) is None


@given(st.text(max_size=80))
def test_hostile_texts(text: str) -> None:
    with contextlib.suppress(SmeltError):
        parse_layer(text, FILE)


@given(
    st.dictionaries(
        st.sampled_from([key.path[0] for key in KEYS] + ["x"]),
        st.recursive(
            st.one_of(st.booleans(), st.integers(), st.text(max_size=5)),
            lambda inner: st.one_of(
                st.lists(inner, max_size=2), st.dictionaries(st.sampled_from(["root", "http", "x"]), inner, max_size=2)
            ),
            max_leaves=4,
        ),
        max_size=3,
    )
)
def test_hostile_types(data: dict[str, object]) -> None:
    from smelt.manifest.edit.values import toml_key, toml_value

    text = "".join(f"{toml_key(name)} = {toml_value(value)}\n" for name, value in data.items())
    with contextlib.suppress(SmeltError):
        parse_layer(text, FILE)
