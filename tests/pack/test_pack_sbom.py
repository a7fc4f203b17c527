"""A bill of materials in a pack."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from pack_kit import members, packed, small_workspace, unpacked

from smelt.errors import PackError
from smelt.pack.sbom import CYCLONEDX
from spine_kit import posix, smelt

pytestmark = posix


def bill(path: Path) -> dict[str, Any]:
    return json.loads(members(path)[CYCLONEDX])


def test_every_package_with_its_hash_and_how_it_was_built(tmp_path: Path) -> None:
    pytest.importorskip("cyclonedx")
    workspace = small_workspace(tmp_path)
    done = packed(workspace, tmp_path / "pack.tar", sbom="cyclonedx")
    found = bill(tmp_path / "pack.tar")
    assert found["bomFormat"] == "CycloneDX"
    components = {each["name"]: each for each in found["components"]}
    assert set(components) == {item.record.name for item in done.content.packages}
    for item in done.content.packages:
        assert components[item.record.name]["hashes"] == [{"alg": "SHA-256", "content": item.file.sha256}]
    outer = {each["name"]: each["value"] for each in components["outer"]["properties"]}
    assert outer["smelt:origin"] == "source"
    assert outer["smelt:host-packages"].startswith("inner")
    assert outer["smelt:backend"].startswith("pixi-build-rattler-build ")
    assert len(outer["smelt:build-key"]) == 64
    assert components["beta"]["purl"].startswith("pkg:conda/beta@2.0?")
    assert components["beta"]["externalReferences"][0]["url"].endswith(".conda")
    needs = {each["ref"]: each.get("dependsOn", []) for each in found["dependencies"]}
    assert needs[components["beta"]["bom-ref"]] == [components["alpha"]["bom-ref"]]
    assert str(tmp_path / "ws") not in json.dumps(found)


def test_equal_packs_have_equal_bills_and_are_unpacked_as_ever(tmp_path: Path) -> None:
    pytest.importorskip("cyclonedx")
    workspace = small_workspace(tmp_path)
    packed(workspace, tmp_path / "one.tar", sbom="cyclonedx")
    packed(workspace, tmp_path / "two.tar", sbom="cyclonedx")
    assert (tmp_path / "one.tar").read_bytes() == (tmp_path / "two.tar").read_bytes()
    unpacked(tmp_path / "one.tar", tmp_path / "out")
    assert (tmp_path / "out" / "env" / "conda-meta").is_dir()


def test_without_the_library_or_with_another_form(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace = small_workspace(tmp_path)
    for name in [each for each in sys.modules if each.partition(".")[0] == "cyclonedx"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "cyclonedx", None)
    with pytest.raises(PackError, match="needs the library"):
        packed(workspace, tmp_path / "pack.tar", sbom="cyclonedx")
    assert not (tmp_path / "pack.tar").exists()
    other = smelt(tmp_path / "ws", "pack", "--sbom", "excel")
    assert other.returncode == 2
    assert "invalid choice: 'excel'" in other.stderr
