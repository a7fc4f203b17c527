"""All files together: which there are, which goes before which, what variables and options say."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from smelt.config.files import ConfigSource, config_source, global_file, local_file, system_file, user_files
from smelt.config.reading import Layer
from smelt.config.settings import Settings, credentials_file, load_settings, merge
from smelt.errors import UsageError

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="folders of Linux")


@pytest.fixture
def machine(tmp_path: Path) -> dict[str, str]:
    """The environment of a user whose files are all below ``tmp_path``."""
    return {
        "HOME": str(tmp_path / "home"),
        "USERPROFILE": str(tmp_path / "home"),
        "PIXI_HOME": str(tmp_path / "pixi-home"),
        "XDG_CONFIG_HOME": str(tmp_path / "xdg"),
        "APPDATA": str(tmp_path / "appdata"),
    }


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


@linux
def test_where_files_are(tmp_path: Path) -> None:
    assert system_file() == Path("/etc/pixi/config.toml")
    assert user_files({"HOME": "/h"}) == (Path("/h/.config/pixi/config.toml"), Path("/h/.pixi/config.toml"))
    moved = {"HOME": "/h", "XDG_CONFIG_HOME": "/x", "PIXI_HOME": "/p"}
    assert user_files(moved) == (Path("/x/pixi/config.toml"), Path("/p/config.toml"))
    assert local_file(tmp_path) == tmp_path / ".pixi" / "config.toml"


def test_the_file_that_global_changes(machine: dict[str, str]) -> None:
    *others, home = user_files(machine)
    assert global_file(machine) == home
    write(others[-1], "")
    assert global_file(machine) == others[-1]


def test_priority(tmp_path: Path, machine: dict[str, str]) -> None:
    low, high = user_files(machine)[-2:]
    write(low, 'default-channels = ["low"]\npinning-strategy = "minor"\n[shell]\nchange-ps1 = false\n')
    write(high, 'default-channels = ["high"]\n[shell]\nforce-activate = true\n')
    local = write(local_file(tmp_path), "[shell]\nchange-ps1 = true\n")
    settings = load_settings(tmp_path, machine)
    assert settings.default_channels == ("high",)
    assert settings.pinning_strategy == "minor"
    assert settings.change_ps1
    assert settings.force_activate
    assert settings.files[:3] == (local, high, low)
    assert not load_settings(None, machine).change_ps1
    given = {"pinning-strategy": "no-pin"}
    assert load_settings(tmp_path, machine, given=given).pinning_strategy == "no-pin"


def test_what_is_put_together(tmp_path: Path) -> None:
    settings = merge(
        [
            Layer(
                data={
                    "default-channels": ["a"],
                    "pypi-config": {"extra-index-urls": ["https://a.example"], "index-url": "https://a.example"},
                    "mirrors": {"https://x.example": ["https://a.example"], "https://y.example": []},
                }
            ),
            Layer(
                data={
                    "default-channels": [],
                    "pypi-config": {"extra-index-urls": ["https://b.example"]},
                    "mirrors": {"https://x.example": ["https://b.example"]},
                }
            ),
        ]
    )
    assert settings.default_channels == ("a",)
    assert settings.pypi_extra_index_urls == ("https://a.example", "https://b.example")
    assert settings.pypi_index_url == "https://a.example"
    assert settings.get("mirrors") == {"https://x.example": ["https://b.example"], "https://y.example": []}


def test_sources(tmp_path: Path, machine: dict[str, str]) -> None:
    write(user_files(machine)[-1], "offline = true\n")
    write(local_file(tmp_path), "[shell]\nchange-ps1 = false\n")
    one = write(tmp_path / "one.toml", "tls-no-verify = true\n")
    none = load_settings(tmp_path, machine, ConfigSource(none=True))
    assert (none.offline, none.change_ps1) == (False, False)
    only = load_settings(tmp_path, machine, ConfigSource(file=one))
    assert (only.offline, only.get("tls-no-verify"), only.change_ps1) == (False, True, False)
    missing = load_settings(tmp_path, machine, ConfigSource(file=tmp_path / "none.toml"))
    assert [error.kind for error in missing.broken] == ["config-missing"]


def test_source_of_options_and_variables(tmp_path: Path) -> None:
    assert config_source({}) == ConfigSource()
    assert config_source({"PIXI_NO_CONFIG": "yes"}) == ConfigSource(none=True)
    assert config_source({"PIXI_NO_CONFIG": "0", "PIXI_CONFIG_FILE": "x"}) == ConfigSource(file=Path("x"))
    assert config_source({"PIXI_NO_CONFIG": "1"}, config_file=tmp_path) == ConfigSource(file=tmp_path)
    with pytest.raises(UsageError):
        config_source({}, no_config=True, config_file=tmp_path)


def test_variables(machine: dict[str, str]) -> None:
    machine |= {"PIXI_OFFLINE": "true", "PIXI_NO_HARD_LINKS": "1", "PIXI_NO_REF_LINKS": "no"}
    settings = load_settings(None, machine)
    assert settings.offline
    assert settings.refused_links == {"hard"}
    write(user_files(machine)[-1], "offline = true\n")
    assert not load_settings(None, machine | {"PIXI_OFFLINE": "false"}).offline


def test_a_broken_file_is_not_the_end(tmp_path: Path, machine: dict[str, str]) -> None:
    write(user_files(machine)[-1], "offline = 1\n")
    write(local_file(tmp_path), "[shell]\nchange-ps1 = false\n")
    settings = load_settings(tmp_path, machine)
    assert [error.kind for error in settings.broken] == ["config-value"]
    assert not settings.change_ps1


def test_what_nothing_says() -> None:
    settings = Settings()
    assert settings.default_channels == ("conda-forge",)
    assert settings.pinning_strategy == "semver"
    assert settings.change_ps1 and settings.source_completion_scripts
    assert not (settings.run_post_link_scripts or settings.offline or settings.force_activate)
    assert settings.refused_links == frozenset()
    assert settings.proxies == {}


def test_proxies() -> None:
    settings = merge(
        [Layer(data={"proxy-config": {"https": "http://p.example", "non-proxy-hosts": ["localhost", ".a.example"]}})]
    )
    assert settings.proxies == {"https_proxy": "http://p.example", "no_proxy": "localhost,.a.example"}


def test_credentials(tmp_path: Path) -> None:
    environment = {"HOME": str(tmp_path), "USERPROFILE": str(tmp_path)}
    assert credentials_file(Settings(), environment) == tmp_path / ".rattler" / "credentials.json"
    named = merge([Layer(data={"authentication-override-file": "/a.json"})])
    assert credentials_file(named, environment) == Path("/a.json")
    assert credentials_file(named, environment | {"RATTLER_AUTH_FILE": "/b.json"}) == Path("/b.json")
