"""The first platform with virtual packages takes the place of ``system-requirements``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from editing_kit import corpus_manifests

from smelt.api.migration import without_system_requirements
from smelt.errors import ErrorGroup, ManifestError, NotSupportedError
from smelt.manifest.edit.manifest import ManifestText
from smelt.manifest.edit.platform import has_system_requirements
from smelt.workspace.discovery import FoundManifest
from smelt.workspace.load import workspace_of
from smelt.workspace.model import Workspace

Run = Callable[..., tuple[int, str, str]]

HEAD = """\
[workspace]
name = "old"
channels = []
platforms = [
  "linux-64", # the cluster
  "osx-arm64",
]
"""


def meaning(manifest: ManifestText) -> Workspace:
    path = Path("/nowhere") / ("pyproject.toml" if manifest.kind == "pyproject" else "pixi.toml")
    return workspace_of(FoundManifest(path=path, kind=manifest.kind, document=manifest.document))


def migrated(text: str) -> tuple[ManifestText, ManifestText]:
    before = ManifestText.parse(text, "pixi", "pixi.toml")
    after = without_system_requirements(before, meaning(before))
    assert not has_system_requirements(after)
    return before, after


def platforms(model: Workspace) -> dict[str, dict[str, frozenset[object]]]:
    return {
        name: {p.name: frozenset(p.virtual_packages) for p in model.platforms_of(name)} for name in model.environments
    }


def without_platforms(data: object) -> object:
    if isinstance(data, dict):
        kept = {key: without_platforms(value) for key, value in data.items()}
        return {key: kept[key] for key in kept if key not in ("platforms", "system-requirements") and kept[key] != {}}
    return data


def check(before: ManifestText, after: ManifestText) -> None:
    """Every environment has what it had; more only where it has no limit."""
    old, new = platforms(meaning(before)), platforms(meaning(after))
    for name, found in old.items():
        assert found.items() <= new[name].items(), name


def test_of_the_workspace() -> None:
    before, after = migrated(HEAD + '\n[system-requirements]\ncuda = "12"\nmacos = "14"\n\n[tasks]\na = "b"\n')
    assert after.text == HEAD.replace('"linux-64"', '{ platform = "linux-64", cuda = "12" }').replace(
        '"osx-arm64"', '{ platform = "osx-arm64", macos = "14" }'
    ) + ('\n[tasks]\na = "b"\n')
    check(before, after)


def test_of_a_feature() -> None:
    text = HEAD + (
        '\n[feature.gpu]\nplatforms = ["linux-64"]\nsystem-requirements = { cuda = "13" } # new\n'
        '\n[environments]\ngpu = ["gpu"]\nplain = []\n'
    )
    before, after = migrated(text)
    assert '"linux-64", # the cluster' in after.text
    assert '{ platform = "linux-64", cuda = "13" }' in after.text
    assert after.get(("feature", "gpu")) == {"platforms": ["linux-64-cuda-13"]}
    check(before, after)


def test_of_several_at_once() -> None:
    text = HEAD + (
        '\n[system-requirements]\nlibc = "2.31"\n'
        '\n[feature.a]\nsystem-requirements.cuda = "12"\n[feature.b.system-requirements]\nlinux = "5.10"\n'
        '[feature.c]\nplatforms = ["linux-64"]\n'
        '\n[environments]\nab = ["a", "b"]\na = ["a"]\nc = ["c"]\n'
        'own = { features = ["b"], platforms = ["linux-64"], no-default-feature = true }\n'
    )
    before, after = migrated(text)
    check(before, after)
    new = platforms(meaning(after))
    assert list(new["c"]) == ["linux-64-glibc-2-31"]
    assert list(new["own"]) == ["linux-64-linux-5-10"]


def test_what_says_of_no_platform_what_it_is() -> None:
    with pytest.raises(NotSupportedError, match="feature `lost` has `system-requirements` and is in no environment"):
        migrated(HEAD + '[feature.lost.system-requirements]\ncuda = "12"\n')


def test_real_workspaces() -> None:
    checked = 0
    for file in corpus_manifests():
        kind = "pyproject" if file.name.endswith("pyproject.toml") else "pixi"
        try:
            before = ManifestText.parse(file.read_bytes().decode("utf-8"), kind, file.name)
            if not has_system_requirements(before):
                continue
            model = meaning(before)
        except (ManifestError, ErrorGroup):
            continue
        after = without_system_requirements(before, model)
        check(before, after)
        assert without_platforms(after.data) == without_platforms(before.data)
        checked += 1
    assert checked > 3


def test_by_the_commands(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "pixi.toml"
    path.write_text(HEAD + '[system-requirements]\ncuda = "12"\n', encoding="utf-8")
    assert run("workspace", "platform", "add", "win-64", "--no-install")[0] == 0
    assert "[system-requirements]" in path.read_text(encoding="utf-8")
    code, _, err = run("workspace", "platform", "add", "gpu=linux-64", "--cuda", "13", "--no-install")
    assert (code, "`system-requirements` become virtual packages" in err) == (0, True), err
    text = path.read_text(encoding="utf-8")
    assert "system-requirements" not in text
    assert '{ platform = "linux-64", cuda = "12" }, # the cluster' in text
    path.write_text(HEAD + '[system-requirements]\ncuda = "12"\n', encoding="utf-8")
    assert run("workspace", "platform", "edit", "linux-64-cuda-12", "--cuda", "12.5", "--no-install")[0] == 0
    assert '{ platform = "linux-64", cuda = "12.5" }' in path.read_text(encoding="utf-8")
    path.write_text(HEAD + '[feature.lost.system-requirements]\ncuda = "12"\n', encoding="utf-8")
    before = path.read_bytes()
    code, _, err = run("workspace", "platform", "add", "gpu=linux-64", "--cuda", "13", "--no-install")
    assert (code, "is in no environment" in err) == (1, True), err
    assert path.read_bytes() == before
