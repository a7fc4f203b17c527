"""Removing environments."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest
from install_kit import assert_exact, make_package, request_for

from smelt.install.layout import activation_folder, lock_path
from smelt.install.prefix import install
from smelt.install.removal import remove_activation_caches, remove_environment, remove_everything


def quiet(message: str) -> None:
    raise AssertionError(message)


@pytest.fixture
def pixi(tmp_path: Path) -> Path:
    record = make_package(tmp_path / "channel", "tool")
    for environment in ("default", "test"):
        asyncio.run(install(request_for(tmp_path, record, environment=environment)))
    folder = tmp_path / ".pixi"
    activation_folder(folder).mkdir(parents=True)
    for environment in ("default", "test"):
        (activation_folder(folder) / f"{environment}.json").write_text("{}")
    (folder / "config.toml").write_text("")
    return folder


def test_one_environment(pixi: Path) -> None:
    size = asyncio.run(remove_environment(pixi, "test", quiet))
    assert size is not None and size > 0
    assert [path.name for path in (pixi / "envs").iterdir()] == ["default"]
    assert [path.name for path in activation_folder(pixi).iterdir()] == ["default.json"]
    assert asyncio.run(remove_environment(pixi, "test", quiet)) is None


def test_everything_and_back(tmp_path: Path, pixi: Path) -> None:
    (pixi / "envs/.default.abc.part/old").mkdir(parents=True)
    (pixi / "task-cache-v0").mkdir()
    removed = asyncio.run(remove_everything(pixi, quiet))
    assert {path.name for path, _ in removed} >= {"default", "test", "task-cache-v0", "activation"}
    assert {path.name for path in pixi.iterdir()} == {"config.toml", "smelt", ".gitignore", ".condapackageignore"}
    assert {path.name for path in (pixi / "smelt").iterdir()} == {"locks"}
    assert asyncio.run(remove_everything(pixi, quiet)) == []
    request = request_for(tmp_path, make_package(tmp_path / "channel", "tool"))
    asyncio.run(install(request))
    assert_exact(request)


def test_activation_caches(pixi: Path) -> None:
    assert remove_activation_caches(pixi, "test") == 2
    assert remove_activation_caches(pixi) == 2
    assert not activation_folder(pixi).exists()
    assert remove_activation_caches(pixi) == 0


def test_nothing_to_remove(tmp_path: Path) -> None:
    assert asyncio.run(remove_everything(tmp_path / ".pixi", quiet)) == []


def test_waits_for_whoever_installs(pixi: Path) -> None:
    lock = lock_path(pixi / "envs/test", "test", pixi)
    code = f"""
import asyncio, sys
from pathlib import Path
from smelt.install.locking import exclusive
async def main():
    async with exclusive(Path({str(lock)!r}), "installing environment 'test'"):
        print("held", flush=True)
        sys.stdin.read()
asyncio.run(main())
"""
    messages: list[str] = []
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdin is not None
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"

        async def remove() -> None:
            told = asyncio.Event()

            def hear(message: str) -> None:
                messages.append(message)
                told.set()

            task = asyncio.create_task(remove_environment(pixi, "test", hear))
            await told.wait()
            assert (pixi / "envs/test").exists()
            assert other.stdin is not None
            other.stdin.close()
            await task

        asyncio.run(remove())
    assert not (pixi / "envs/test").exists()
    assert len(messages) == 1
    assert "installing environment 'test'" in messages[0]
