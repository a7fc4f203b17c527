"""Differences between locks."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from smelt.lock.diff import diff
from smelt.lock.model import Lock
from smelt.lock.reader import parse, read

TEMPLATE = """\
version: 7
platforms:
- name: linux-64
- name: osx-arm64
environments:
  default:
    channels:
    - url: https://channel.example/
    packages:
      linux-64:
{linux}
      osx-arm64:
{mac}
packages:
{packages}
"""


def lock(linux: dict[str, str], mac: dict[str, str]) -> Lock:
    """A lock with a package per name and version."""
    both: dict[str, list[str]] = {}
    for platform, packages in (("linux-64", linux), ("osx-arm64", mac)):
        both[platform] = [
            f"- conda: https://channel.example/{platform}/{n}-{v}-h0_0.conda" for n, v in packages.items()
        ]
    text = TEMPLATE.format(
        linux="\n".join("      " + line for line in both["linux-64"]),
        mac="\n".join("      " + line for line in both["osx-arm64"]),
        packages="\n".join(f"{line}\n  license: MIT\n  size: {len(line)}" for lines in both.values() for line in lines),
    )
    return parse(text, "pixi.lock")


OLD = lock({"a": "1", "b": "1", "c": "1"}, {"a": "1", "c": "1"})
NEW = lock({"a": "2.10", "b": "1", "d": "1"}, {"a": "2.10", "d": "1", "e": "5"})


def test_nothing_changed() -> None:
    assert not diff(OLD, OLD)
    assert diff(OLD, OLD).to_text() == ""
    assert diff(OLD, OLD).to_json() == {"version": 1, "environment": {}}


def test_json_form() -> None:
    found = diff(OLD, NEW).to_json(lambda environment, platform: {"d"} if platform == "linux-64" else set())
    url = "https://channel.example/linux-64/"
    assert json.loads(json.dumps(found))["environment"]["default"]["linux-64"] == [
        {
            "name": "a",
            "before": {"conda": f"{url}a-1-h0_0.conda", "size": 56},
            "after": {"conda": f"{url}a-2.10-h0_0.conda", "size": 59},
            "type": "conda",
        },
        {
            "name": "c",
            "before": {"conda": f"{url}c-1-h0_0.conda", "license": "MIT", "size": 56},
            "after": None,
            "type": "conda",
        },
        {
            "name": "d",
            "before": None,
            "after": {"conda": f"{url}d-1-h0_0.conda", "license": "MIT", "size": 56},
            "type": "conda",
            "explicit": True,
        },
    ]


def test_fields_that_went_away_are_null() -> None:
    reference = next(r for r in NEW.packages if r.value.endswith("linux-64/a-2.10-h0_0.conda"))
    new = replace(NEW, packages={**NEW.packages, reference: replace(NEW.packages[reference], license=None)})  # type: ignore[call-arg]
    change = diff(OLD, new).to_json()["environment"]["default"]["linux-64"][0]  # type: ignore[index]
    assert change["before"]["license"] == "MIT"
    assert change["after"]["license"] is None


def test_text_form() -> None:
    assert (
        diff(OLD, NEW).to_text()
        == """\
Environment: default
  ~ a  1 h0_0  ->  2.10 h0_0
  - c  1 h0_0
  + d  1 h0_0
Platform: default:osx-arm64
  + e  5 h0_0
"""
    )


def test_first_lock_and_removed_environment() -> None:
    first = diff(None, OLD)
    assert [change.sign for change in first.changes["default"]["linux-64"]] == ["+", "+", "+"]
    gone = diff(OLD, replace(OLD, environments={}))
    assert [change.sign for change in gone.changes["default"]["osx-arm64"]] == ["-", "-"]


def test_source_packages(v7: str, own_section: str) -> None:
    old = parse(v7 + own_section, "pixi.lock")
    new = parse((v7 + own_section).replace("own[1a2b3c4d]", "own[99999999]").replace("'1.10'", "'1.11'"), "pixi.lock")
    assert "~ own  1.10 h1234567_0 @ .  ->  1.11 h1234567_0 @ ." in diff(old, new).to_text()


def test_history_of_real_locks(corpus: Path) -> None:
    old = read(corpus / "lock-history" / "scipy__scipy" / "v6" / "pixi.lock")
    new = read(corpus / "scipy__scipy" / "pixi.lock")
    found = diff(old, new)
    assert found
    for environment, platforms in found.changes.items():
        for platform, changes in platforms.items():
            before = {p.name.lower() for p in old.packages_of(environment, platform) or ()}
            after = {p.name.lower() for p in new.packages_of(environment, platform) or ()}
            assert {c.name for c in changes if c.sign == "+"} <= after
            assert {c.name for c in changes if c.sign == "-"} <= before
            assert {c.name for c in changes if c.sign == "~"} <= before & after
    assert found.to_text().startswith("Environment: ")
    json.dumps(found.to_json())
