"""A backend that an installed package brings."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from source_packages import request as source_request

from smelt.errors import SourceError
from smelt.source.render import render
from spine_kit import manifest, posix, smelt

MODULE = """\
from smelt.source.backends.interface import BackendRecipe

class Shell:
    name = "shell"
    version = "7"

    def recipe(self, request):
        script = "\\n".join(request.package.config["commands"])
        recipe = {
            "package": {"name": request.package.name, "version": request.package.version},
            "build": {"script": {"content": script}},
        }
        return BackendRecipe(
            recipe=recipe, recipe_path=request.package.manifest_path, folder=request.checkout.folder
        )

backend = Shell()
"""


def bring(site: Path, module: str, name: str = "shell_backend_for_test") -> Path:
    """An installed Python package in ``site`` that brings the backend ``shell``."""
    information = site / f"{name}-1.0.dist-info"
    information.mkdir(parents=True)
    (site / f"{name}.py").write_text(module)
    (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text(f"[smelt.backends]\nshell = {name}:backend\n")
    return site / f"{name}.py"


def test_backends_by_entry_point(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bring(tmp_path / "site", MODULE)
    monkeypatch.setattr(sys, "path", [str(tmp_path / "site"), *sys.path])
    config = {"commands": ["make", "make install"]}
    (variant,) = render(source_request(tmp_path, backend="shell", name="demo", version="1", config=config))
    assert (variant.name, variant.backend, variant.backend_version) == ("demo", "shell", "7")
    assert variant.recipe["build"]["script"] == {"content": "make\nmake install"}


@pytest.mark.parametrize(
    ("module", "problem"),
    [
        ("import nothing_of_that_name", "1.0) cannot be loaded: ModuleNotFoundError"),
        ("", "cannot be loaded: AttributeError"),
        ("backend = None", "has no text `name`"),
        (MODULE.replace('"7"', "7"), "has no text `version`"),
        (MODULE.replace("Shell()", "Shell"), "is no object with a method `recipe`"),
        (MODULE.replace('config["commands"]', 'config["orders"]'), "`shell` 7 failed: KeyError: 'orders'"),
        (MODULE.replace("return BackendRecipe", "return dict"), "`shell` 7 gave a dict, no BackendRecipe"),
    ],
)
def test_backends_that_cannot_be_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str, problem: str
) -> None:
    name = f"shell_of_{tmp_path.name}"  # modules are loaded once
    bring(tmp_path / "site", module, name)
    monkeypatch.setattr(sys, "path", [str(tmp_path / "site"), *sys.path])
    config = {"commands": ["make"]}
    with pytest.raises(SourceError) as caught:
        render(source_request(tmp_path, backend="shell", name="demo", version="1", config=config))
    assert caught.value.kind == "backend-plugin"
    assert problem in caught.value.message


@posix
@pytest.mark.build
def test_another_version_is_another_backend(tmp_path: Path) -> None:
    module = bring(tmp_path / "site", MODULE)
    root = tmp_path / "ws"
    manifest(root, [], '[dependencies]\ndemo = { path = "demo" }\n')
    (root / "demo").mkdir()
    (root / "demo" / "pixi.toml").write_text(
        '[package]\nname = "demo"\nversion = "1"\n[package.build]\nbackend = { name = "shell", version = "*" }\n'
        '[package.build.config]\ncommands = ["mkdir $PREFIX/share", "echo hello > $PREFIX/share/demo.txt"]\n'
    )
    variables = {"PYTHONPATH": str(tmp_path / "site"), "PIXI_CACHE_DIR": str(tmp_path / "cache")}
    done = smelt(root, "install", env=variables)
    assert done.returncode == 0, done.stderr
    assert (root / ".pixi" / "envs" / "default" / "share" / "demo.txt").read_text() == "hello\n"
    assert "backend_version: '7'" in (root / "pixi.lock").read_text()
    assert smelt(root, "install", "--locked", env=variables).returncode == 0
    # of another length: Python tells its cached modules by size and whole seconds
    module.write_text(MODULE.replace('"7"', '"8.0"'))
    done = smelt(root, "install", "--locked", env=variables)
    assert done.returncode != 0
    assert "lock-outdated" in done.stderr
    assert smelt(root, "install", env=variables).returncode == 0
    assert "backend_version: '8.0'" in (root / "pixi.lock").read_text()
