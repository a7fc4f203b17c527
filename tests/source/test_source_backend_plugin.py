"""A backend that an installed package brings."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from source_packages import request

from smelt.source.render import render

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


def test_backends_by_entry_point(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = tmp_path / "site"
    information = site / "shell_backend-1.0.dist-info"
    information.mkdir(parents=True)
    (site / "shell_backend_for_test.py").write_text(MODULE)
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: shell-backend\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text("[smelt.backends]\nshell = shell_backend_for_test:backend\n")
    monkeypatch.setattr(sys, "path", [str(site), *sys.path])
    config = {"commands": ["make", "make install"]}
    (variant,) = render(request(tmp_path, backend="shell", name="demo", version="1", config=config))
    assert (variant.name, variant.backend, variant.backend_version) == ("demo", "shell", "7")
    assert variant.recipe["build"]["script"] == {"content": "make\nmake install"}
