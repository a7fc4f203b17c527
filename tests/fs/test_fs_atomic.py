"""Files and folders that are never half-written, and locks between processes."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from smelt.fs import hold, remove_tree, replace_folder, staging_folder, write_bytes, write_text


def test_a_file_is_replaced_and_keeps_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "file"
    write_text(path, "one")
    path.chmod(0o640)
    write_text(path, "two\r\n")
    assert path.read_bytes() == b"two\r\n"
    assert path.stat().st_mode & 0o777 == 0o640
    assert [each.name for each in path.parent.iterdir()] == ["file"]


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.mkdir()
    with pytest.raises(OSError):
        write_bytes(path, b"x")
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


@pytest.mark.skipif(sys.platform == "win32", reason="a process that is no more cannot be told there")
def test_what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    path = tmp_path / "file"
    code = (
        "import os, signal, tempfile, sys\n"
        "from pathlib import Path\n"
        "from smelt.fs import atomic\n"
        "atomic.os.fsync = lambda descriptor: os.kill(os.getpid(), signal.SIGKILL)\n"
        "atomic.write_bytes(Path(sys.argv[1]), b'half')\n"
    )
    assert subprocess.run([sys.executable, "-c", code, str(path)], check=False).returncode == -9
    (left,) = tmp_path.iterdir()
    assert left.name.endswith(".part")
    other = tmp_path / ".file.elsewhere.1.x.part"  # of another machine that shares the folder
    other.touch()
    write_text(path, "whole")
    assert sorted(tmp_path.iterdir()) == [other, path]


@pytest.mark.skipif(sys.platform == "win32", reason="modes of POSIX")
def test_a_new_file_has_the_mode_that_any_program_would_give_it(tmp_path: Path) -> None:
    code = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from smelt.fs import write_bytes\n"
        "os.umask(0o027)\n"
        "def never(mask): raise AssertionError('other threads make files meanwhile')\n"
        "os.umask = never\n"
        "write_bytes(Path(sys.argv[1]), b'')\n"
    )
    path = tmp_path / "file"
    subprocess.run([sys.executable, "-c", code, str(path)], check=True)
    assert path.stat().st_mode & 0o777 == 0o640


def test_a_folder_that_cannot_take_the_place_of_another_leaves_it(
    tmp_path: Path,
) -> None:
    target = tmp_path / "target"
    target.mkdir()
    (target / "file").write_text("one")
    with pytest.raises(OSError):
        replace_folder(tmp_path / "nowhere", target)
    assert (target / "file").read_text() == "one"
    assert [each.name for each in tmp_path.iterdir()] == ["target"]


def test_a_folder_is_put_in_place_of_another(tmp_path: Path) -> None:
    target = tmp_path / "target"
    for text in ("one", "two"):
        with staging_folder(target) as staging:
            (staging / "file").write_text(text)
            replace_folder(staging, target)
    assert (target / "file").read_text() == "two"
    with pytest.raises(ValueError), staging_folder(target) as staging:
        (staging / "file").write_text("three")
        raise ValueError
    assert [each.name for each in tmp_path.iterdir()] == ["target"]
    (target / "locked").mkdir()
    (target / "locked" / "file").touch()
    (target / "locked").chmod(0o500)
    remove_tree(target)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="links of Unix")
def test_a_link_in_the_place_of_a_lock_is_not_followed(tmp_path: Path) -> None:
    """Somebody else may have made the workspace, with links to files of the user."""
    precious = tmp_path / "precious"
    precious.write_text("mine")
    for name in ("lock", "lock.holder"):
        (tmp_path / name).symlink_to(precious)
        with pytest.raises(OSError), hold(tmp_path / "lock", "anything"):
            pass
        (tmp_path / name).unlink(missing_ok=True)
        assert precious.read_text() == "mine"


def test_who_waits_is_told_for_whom(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    code = (
        "import sys\nfrom pathlib import Path\nfrom smelt.fs import hold\n"
        "with hold(Path(sys.argv[1]), 'doing something'):\n    print('held', flush=True)\n    sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(lock)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None and other.stdin is not None
        assert other.stdout.readline() == "held\n"
        messages: list[str] = []
        freed = threading.Event()

        def waiting(message: str) -> None:
            messages.append(message)
            freed.set()
            other.stdin.close()

        with hold(lock, "waiting", waiting):
            assert freed.is_set()
        assert messages == [f"waiting for process {other.pid}, doing something ({lock})"]


@pytest.mark.skipif(sys.platform == "win32", reason="pipes of Unix")
def test_a_pipe_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    got: list[bytes] = []
    reader = threading.Thread(target=lambda: got.append(path.read_bytes()))
    reader.start()
    write_bytes(path, b"content")
    reader.join()
    assert got == [b"content"]
    assert stat.S_ISFIFO(path.stat().st_mode)
