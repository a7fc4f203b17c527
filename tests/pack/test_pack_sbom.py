"""A bill of materials in a pack."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pack_kit import members, packed, small_workspace, unpacked

from git_kit import GitRepository, needs_git
from smelt.api.workspace import Workspace
from smelt.errors import PackError
from smelt.pack.sbom import CYCLONEDX
from smelt.pack.spdx import SPDX
from spine_kit import Channel, manifest, package, posix, recipe, recipe_text, smelt

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
    assert "externalReferences" not in components["beta"]  # the channel is a folder of this machine
    needs = {each["ref"]: each.get("dependsOn", []) for each in found["dependencies"]}
    assert needs[components["beta"]["bom-ref"]] == [components["alpha"]["bom-ref"]]
    assert str(tmp_path) not in json.dumps(found)


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


def spdx(path: Path) -> dict[str, Any]:
    return json.loads(members(path)[SPDX])


@needs_git
def test_spdx_names_sources_and_what_they_were_built_with(tmp_path: Path) -> None:
    pytest.importorskip("spdx_tools")
    channel = Channel(tmp_path / "chan")
    channel.add("tool")
    channel.add("lib_x", depends=["tool"])
    repository = GitRepository(tmp_path / "repository")
    commit = repository.commit({"recipe.yaml": recipe_text("from-git", build=["tool"], run=["lib_x"])})
    package(tmp_path / "ws", "outer", host=["inner"], sources={"host": {"inner": "../inner"}})
    recipe(tmp_path / "ws", "inner")
    text = f'[dependencies]\nouter = {{ path = "outer" }}\nfrom-git = {{ git = "{repository.url}" }}\n'
    workspace = Workspace.load(manifest(tmp_path / "ws", [channel.index().url], text))
    workspace.lock()
    done = packed(workspace, tmp_path / "p.tar", sbom="spdx")
    found = spdx(tmp_path / "p.tar")
    assert found["spdxVersion"] == "SPDX-2.3"
    by_name = {each["name"]: each for each in found["packages"]}
    by_id = {each["SPDXID"]: each for each in found["packages"]}
    for item in done.content.packages:
        assert by_name[item.record.name]["checksums"][0] == {"algorithm": "SHA256", "checksumValue": item.file.sha256}
        assert by_name[item.record.name]["externalRefs"][0]["referenceLocator"].startswith("pkg:conda/")
    relations = {
        (by_id[each["spdxElementId"]]["name"], each["relationshipType"], by_id[each["relatedSpdxElement"]]["name"])
        for each in found["relationships"]
        if each["spdxElementId"] in by_id
    }
    assert ("tool", "BUILD_DEPENDENCY_OF", "from-git") in relations
    assert ("inner", "BUILD_DEPENDENCY_OF", "outer") in relations
    assert ("from-git", "GENERATED_FROM", "from-git (source)") in relations
    assert ("lib_x", "DEPENDS_ON", "tool") in relations
    assert ("test:default", "CONTAINS", "outer") in relations
    from spdx_tools.spdx.parser.parse_anything import parse_file
    from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document

    (tmp_path / SPDX).write_bytes(members(tmp_path / "p.tar")[SPDX])
    assert validate_full_spdx_document(parse_file(str(tmp_path / SPDX))) == []
    facts = by_name["from-git (source)"]["sourceInfo"]
    assert f"commit: {commit}" in facts
    assert "backend: pixi-build-rattler-build " in facts
    assert str(tmp_path) not in json.dumps(found)
    packed(workspace, tmp_path / "again.tar", sbom="spdx")
    assert (tmp_path / "again.tar").read_bytes() == (tmp_path / "p.tar").read_bytes()
    assert unpacked(tmp_path / "p.tar", tmp_path / "out").packages == len(done.content.packages)


def test_spdx_of_wheels_and_licences(ready: Workspace, tmp_path: Path) -> None:
    pytest.importorskip("spdx_tools")
    from dataclasses import replace

    from smelt.api.packing import PackOptions, pack_content
    from smelt.pack.model import SilentReporter
    from smelt.pack.spdx import spdx as make

    content = pack_content(ready, PackOptions(), tmp_path, SilentReporter())
    texts = {"tool": "MIT OR Apache-2.0", "wakes": "My Own Licence, see file", "python": "PSF-2.0"}
    changed = tuple(
        replace(item, record=replace(item.record, license=texts.get(item.record.name))) for item in content.packages
    )
    found = json.loads(make(replace(content, packages=changed)))
    by_name = {each["name"]: each for each in found["packages"]}
    assert by_name["tool"]["licenseDeclared"] == "MIT OR Apache-2.0"
    assert by_name["wakes"]["licenseDeclared"] == "NOASSERTION"
    assert by_name["wakes"]["licenseComments"] == "declared: My Own Licence, see file"
    assert by_name["app"]["externalRefs"][0]["referenceLocator"] == "pkg:pypi/app@1.0"
    assert by_name["app"]["downloadLocation"] == "NOASSERTION"


def test_scripts_bring_their_bill(ready: Workspace, tmp_path: Path) -> None:
    pytest.importorskip("spdx_tools")
    packed(ready, tmp_path / "e.sh", sbom="spdx")
    subprocess.run(["sh", tmp_path / "e.sh", "-q", "-o", tmp_path / "out"], check=True)
    found = json.loads((tmp_path / "out" / "env" / "share" / "smelt" / SPDX).read_text(encoding="utf-8"))
    assert found["name"] == "test:default"


def test_locations() -> None:
    from smelt.pack.provenance import download_location, public_location

    for text, public, download in (
        ("https://user:secret@host.example/a.conda", "https://host.example/a.conda", "https://host.example/a.conda"),
        ("git+https://host.example/a.git?tag=v1#abc", None, "git+https://host.example/a.git@abc"),
        ("git+file:///home/me/repository#abc", "", None),
        ("file:///home/me/a.whl", "", None),
        ("/home/me/a.whl", "", None),
        ("C:\\me\\a.whl", "", None),
        ("packages/mine", "packages/mine", None),
    ):
        if public is not None:
            assert (public_location(text) or "") == public
        assert download_location(text) == download


def test_spdx_without_the_library(small: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [each for each in sys.modules if each.partition(".")[0] == "spdx_tools"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "spdx_tools", None)
    with pytest.raises(PackError, match="needs the library `spdx-tools`"):
        packed(small, tmp_path / "pack.tar", sbom="spdx")
    assert not (tmp_path / "pack.tar").exists()
