"""Changes of a configuration file: only what is meant changes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
import tomli
from hypothesis import given
from hypothesis import strategies as st

from smelt.config.editing import extend_setting, set_setting
from smelt.config.keys import KEYS
from smelt.config.output import ordered, to_toml
from smelt.config.reading import parse_layer
from smelt.errors import ConfigError

FILE = Path("config.toml")
TEXT = """\
# my settings
default_channels = ["a"]  # for now

[shell]
change-ps1 = false  # ugly
"""


def test_set_keeps_the_rest() -> None:
    assert set_setting(TEXT, FILE, "shell.change-ps1", "true") == TEXT.replace("false  #", "true  #")
    text = set_setting(TEXT, FILE, "offline", "true")
    assert tomli.loads(text) == {**tomli.loads(TEXT), "offline": True}
    assert "# my settings" in text and "# ugly" in text


def test_an_old_spelling_is_changed_where_it_stands() -> None:
    assert set_setting(TEXT, FILE, "default-channels", '["b"]') == TEXT.replace('["a"]', '["b"]')


def test_unset() -> None:
    text = set_setting(TEXT, FILE, "shell.change-ps1", None)
    assert parse_layer(text, FILE).data == {"default-channels": ["a"]}
    assert set_setting(TEXT, FILE, "offline", None) == TEXT
    assert set_setting("offline = true\n[shell]\nchange-ps1 = true\n", FILE, "offline", None).startswith("[shell]")


def test_new_file() -> None:
    assert set_setting("", FILE, "shell.change-ps1", "false") == "[shell]\nchange-ps1 = false\n"


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("default-channels", '["a", "b"]', {"default-channels": ["a", "b"]}),
        ("concurrency.downloads", "7", {"concurrency": {"downloads": 7}}),
        ("detached-environments", "true", {"detached-environments": True}),
        (
            "detached-environments",
            str(Path("/envs").absolute()),
            {"detached-environments": str(Path("/envs").absolute())},
        ),
        ("run-post-link-scripts", "false", {"run-post-link-scripts": "false"}),
        ("run-post-link-scripts", "insecure", {"run-post-link-scripts": "insecure"}),
        (
            "mirrors",
            '{"https://a.example": ["https://b.example"]}',
            {"mirrors": {"https://a.example": ["https://b.example"]}},
        ),
        (
            "mirrors.https://a.example",
            '["https://b.example"]',
            {"mirrors": {"https://a.example": ["https://b.example"]}},
        ),
        ("shell", '{"change-ps1": false}', {"shell": {"change-ps1": False}}),
        (
            "s3-options.b",
            '{"endpoint-url": "https://s.example", "region": "r", "force-path-style": true}',
            {"s3-options": {"b": {"endpoint-url": "https://s.example", "region": "r", "force-path-style": True}}},
        ),
        ("tls-root-certs", "system", {"tls-root-certs": "system"}),
    ],
)
def test_set_values(name: str, value: str, expected: dict[str, object]) -> None:
    assert parse_layer(set_setting("", FILE, name, value), FILE).data == expected


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("offline", "maybe", "expected a boolean"),
        ("concurrency.solves", "many", "expected a whole number"),
        ("default-channels", "conda-forge", "expected a JSON array"),
        ("default-channels", "[1]", "expected a string"),
        ("shell", "true", "expected a JSON object"),
        ("shell", '{"change-ps1": 3}', "expected a boolean"),
        ("pinning-strategy", "x", "is none of"),
        ("cache.root", "relative", "absolute"),
        ("pypi-config.index-url", "x", "is not an address"),
        ("s3-options.b.region", "x", "is missing"),
        ("default-chanels", "[]", "there is no setting"),
        ("change-ps1", "true", "is deprecated"),
    ],
)
def test_refused(name: str, value: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        set_setting("", FILE, name, value)
    assert message in caught.value.message


def test_suggestion() -> None:
    with pytest.raises(ConfigError) as caught:
        set_setting("", FILE, "default-chanels", "[]")
    assert caught.value.help == "did you mean `default-channels`?"


def test_append_and_prepend() -> None:
    assert extend_setting(TEXT, FILE, "default-channels", "b", front=False) == TEXT.replace('["a"]', '["a", "b"]')
    assert extend_setting(TEXT, FILE, "default-channels", "b", front=True) == TEXT.replace('["a"]', '["b", "a"]')
    inherited = extend_setting("", FILE, "default-channels", "b", front=False, inherited=["conda-forge"])
    assert inherited == 'default-channels = ["conda-forge", "b"]\n'
    # lists that are put together anyway must not say the same twice
    name = "pypi-config.extra-index-urls"
    text = extend_setting("", FILE, name, "https://b.example", front=False, inherited=["https://a.example"])
    assert parse_layer(text, FILE).data == {"pypi-config": {"extra-index-urls": ["https://b.example"]}}


@pytest.mark.parametrize(("name", "value"), [("offline", "x"), ("shell", "x"), ("pypi-config.extra-index-urls", "x")])
def test_append_refused(name: str, value: str) -> None:
    with pytest.raises(ConfigError):
        extend_setting("", FILE, name, value, front=False)


def test_a_broken_file_is_not_changed() -> None:
    with pytest.raises(ConfigError, match="parse error"):
        set_setting("offline\n", FILE, "offline", "true")


def _flat(table: Mapping[str, object]) -> dict[str, object]:
    """Values by their dotted names."""
    found: dict[str, object] = {}
    for name, value in table.items():
        found |= (
            {f"{name}.{key}": each for key, each in _flat(value).items()} if isinstance(value, dict) else {name: value}
        )
    return found


BOOLEANS = [key.name for key in KEYS if key.kind == "boolean" and "<" not in key.name]


@given(st.lists(st.tuples(st.sampled_from(BOOLEANS), st.sampled_from(["true", "false", None])), max_size=8))
def test_edit_then_read(changes: list[tuple[str, str | None]]) -> None:
    """A file says after some changes what the changes said."""
    text = TEXT
    expected = {"shell.change-ps1": False}
    for name, value in changes:
        text = set_setting(text, FILE, name, value)
        expected.pop(name, None)
        if value is not None:
            expected[name] = value == "true"
    flat = _flat(parse_layer(text, FILE).data)
    assert flat.pop("default-channels") == ["a"]
    assert flat == expected
    assert text.startswith("# my settings\n")


def test_printed_settings_read_back() -> None:
    data = parse_layer(
        '[shell]\nchange-ps1 = false\n[mirrors]\n"https://a.example" = ["https://b.example", "https://c.example"]\n'
        "[repodata-config]\ndisable-zstd = true\n",
        FILE,
    ).data
    text = to_toml(ordered({**data, "default-channels": ["a", "b"], "offline": True}))
    assert text.startswith('default-channels = [\n    "a",\n    "b",\n]\noffline = true\n')
    assert tomli.loads(text) == {**data, "default-channels": ["a", "b"], "offline": True}
