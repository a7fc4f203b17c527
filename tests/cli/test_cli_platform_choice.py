"""Several platforms of one conda platform: each machine takes the one that it is."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from spine_kit import SUBDIR, Channel, manifest, smelt

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="CUDA is assumed of a Linux machine")


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    channel = Channel(tmp_path / "channel")
    channel.add("tool", "1.0")
    channel.add("gpu-tool", "1.0", depends=["__cuda >=13"])
    text = """
platforms = [{ name = "gpu", platform = "SUBDIR", cuda = "13" }, "SUBDIR"]
[dependencies]
tool = "*"
[target.gpu.dependencies]
gpu-tool = "*"
[tasks]
which = "echo plain"
[target.gpu.tasks]
which = "echo gpu"
""".replace("SUBDIR", SUBDIR)
    root = tmp_path / "ws"
    path = manifest(root, [channel.index().url], text)
    path.write_text(path.read_text().replace(f'platforms = ["{SUBDIR}"]\n', "", 1))
    return root


@pytest.mark.parametrize(("cuda", "name"), [("13.1", "gpu"), ("12.0", "plain"), ("", "plain")])
def test_install_run_and_list_agree(workspace: Path, cuda: str, name: str) -> None:
    env = {"CONDA_OVERRIDE_CUDA": cuda}
    ran = smelt(workspace, "run", "which", env=env)
    assert ran.stdout == f"{name}\n", ran.stderr
    listed = json.loads(smelt(workspace, "list", "--json", env=env).stdout)
    expected = {"tool", "gpu-tool"} if name == "gpu" else {"tool"}
    assert {row["name"] for row in listed} == expected
    installed = {path.name.rsplit("-", 2)[0] for path in (workspace / ".pixi/envs/default/conda-meta").glob("*.json")}
    assert installed == expected


def test_another_machine_takes_another(workspace: Path) -> None:
    """The record of one machine says nothing to another: the environment is made to fit, or refused."""
    meta = workspace / ".pixi/envs/default/conda-meta"
    for cuda, count in (("13.0", 2), ("", 1), ("13.0", 2)):
        done = smelt(workspace, "install", env={"CONDA_OVERRIDE_CUDA": cuda})
        assert done.returncode == 0, done.stderr
        assert len(list(meta.glob("*.json"))) == count
    refused = smelt(workspace, "run", "--as-is", "which", env={"CONDA_OVERRIDE_CUDA": "12"})
    assert refused.returncode == 1
    assert "error[machine-unsuitable]" in refused.stderr
    assert "CONDA_OVERRIDE_CUDA=13" in refused.stderr
