"""Python scripts that say themselves what they need (PEP 723)."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smelt.errors import ManifestError
from smelt.manifest.script import Script, initialized
from spine_kit import Channel, environment, posix, smelt

BODY = """\
import json, os, sys
print(json.dumps({"argv": sys.argv, "prefix": sys.prefix, "manifest": os.environ["PIXI_PROJECT_MANIFEST"]}))
sys.exit(int(os.environ.get("CODE", "0")))
"""


class Place:
    """A folder with a script, outside of any workspace, and a cache of its own."""

    def __init__(self, folder: Path, channel: Path) -> None:
        self.cwd = folder / "here"
        self.cwd.mkdir()
        self.cache = folder / "cache"
        self.channel = channel
        self.script = self.cwd / "example.py"
        table = f'# [tool.pixi.workspace]\n# channels = ["{channel.as_uri()}"]\n'
        self.block = f"# /// script\n# dependencies = []\n#\n{table}# ///\n"
        self.script.write_text(self.block + BODY)

    def run(self, *arguments: str, code: int = 0, **env: str) -> subprocess.CompletedProcess[str]:
        done = smelt(self.cwd, *arguments, env={"PIXI_CACHE_DIR": str(self.cache), **env}, timeout=120)
        assert done.returncode == code, (done.returncode, done.stderr)
        assert "Traceback" not in done.stderr
        return done


@pytest.fixture
def place(tmp_path: Path, bare_channel: Path) -> Place:
    return Place(tmp_path, bare_channel)


@posix
def test_a_file_runs_in_its_own_environment(place: Place) -> None:
    (place.cwd / "pixi.toml").write_text("[workspace]\nthis = 'is of no matter'\n")
    told = json.loads(place.run("run", "--script", "example.py", "first", "--second").stdout)
    assert told["argv"] == [str(place.script), "first", "--second"]
    assert told["manifest"] == str(place.script)
    assert Path(told["prefix"]).is_relative_to(place.cache / "smelt" / "scripts")
    assert sorted(path.name for path in place.cwd.iterdir()) == ["example.py", "pixi.toml"]
    place.run("run", "-s", "example.py", code=7, CODE="7")
    marker = next((place.cache / "smelt" / "scripts").glob("*/envs/default/conda-meta/history"))
    before = marker.stat().st_mtime_ns
    place.script.write_text(place.script.read_text() + "# changed\n")
    place.run("run", "--script", "example.py")
    assert marker.stat().st_mtime_ns == before, "a changed program needs no other environment"


@contextmanager
def served(text: str) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = self.path == "/it"
            self.send_response(200 if found else 404)
            self.send_header("Content-Length", str(len(text.encode()) if found else 0))
            self.end_headers()
            if found:
                self.wfile.write(text.encode())

        def log_message(self, format: str, *args: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@posix
def test_a_script_from_an_address_and_from_standard_input(place: Place) -> None:
    with served(place.block + BODY) as base:
        told = json.loads(place.run("run", "--script", f"{base}/it", "x").stdout)
        assert told["argv"][1:] == ["x"]
        assert not Path(told["argv"][0]).exists(), "what was fetched is removed"
        missing = place.run("run", "--script", f"{base}/missing", code=1)
        assert "error[script-download]" in missing.stderr
        assert "server returned 404" in missing.stderr
        place.run("run", "--offline", "--script", f"{base}/it", code=1)

    def piped(text: str, *more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "smelt", "run", *more, "--script", "-", "y"],
            cwd=place.cwd,
            env=environment({"PIXI_CACHE_DIR": str(place.cache)}),
            input=text,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    told = json.loads(piped(place.block + BODY).stdout)
    assert told == {"argv": ["-c", "y"], "prefix": told["prefix"], "manifest": "<stdin>"}
    assert "stdin does not contain a PEP 723 metadata block" in piped(BODY).stderr
    assert "transient scripts cannot be run with `--locked`" in piped(place.block, "--locked").stderr


@posix
def test_the_lock_is_beside_it_on_request(place: Place) -> None:
    lock = place.cwd / "example.py.pixi.lock"
    place.run("lock", "--script", "example.py", "--dry-run")
    assert not lock.exists()
    refused = place.run("run", "--locked", "--script", "example.py", code=1)
    assert "no lock file exists for the script" in refused.stderr
    place.run("lock", "--script", "example.py")
    place.run("run", "--locked", "--script", "example.py")
    assert "python" in place.run("list", "--script", "example.py").stdout
    place.run("add", "--script", "example.py", "--no-install", "python_abi")
    place.run("lock", "--check", "--script", "example.py")


def test_add_and_remove_leave_the_rest_alone(tmp_path: Path) -> None:
    channel = Channel(tmp_path / "channel")
    channel.add("python", "3.12.1")
    channel.add("tool", "1.0")
    place = Place(tmp_path, channel.index().folder)
    original = place.script.read_bytes()
    place.run("add", "--script", "example.py", "--no-install", "tool")
    head = place.block.removesuffix("# ///\n")
    assert place.script.read_text() == f'{head}#\n# [tool.pixi.dependencies]\n# tool = "*"\n# ///\n{BODY}'
    place.run("remove", "--script", "example.py", "--no-install", "tool")
    assert "tool =" not in place.script.read_text()
    place.script.write_bytes(original.replace(b"\n", b"\r\n"))
    place.run("add", "--script", "example.py", "--no-install", "tool")
    assert b"\n" not in place.script.read_bytes().replace(b"\r\n", b"")
    before = place.script.read_bytes()
    place.run("add", "--script", "example.py", "--no-install", "no-such-package", code=1)
    assert place.script.read_bytes() == before
    assert sorted(path.name for path in place.cwd.iterdir()) == ["example.py"]


def test_mistakes_have_their_place_in_the_script(place: Place) -> None:
    place.script.write_text("#!/usr/bin/env python\n" + place.block.replace("channels", "chanels") + BODY)
    wrong = place.run("run", "--script", "example.py", code=1).stderr
    assert "example.py:6:3" in wrong
    assert '6 | # chanels = ["file:' in wrong
    assert "did you mean `channels`?" in wrong


def test_bad_input(place: Place) -> None:
    (place.cwd / "plain.py").write_text("print(1)\n")
    plain = place.run("run", "--script", "plain.py", code=1).stderr
    assert "plain.py does not contain a PEP 723 metadata block" in plain and "smelt init --script" in plain
    assert "its name does not end in `.py`" in place.run("run", "--script", "x.txt", code=1).stderr
    assert "could not find the script" in place.run("run", "--script", "absent.py", code=1).stderr
    refused = place.run("run", "-e", "x", "--script", "example.py", code=1).stderr
    assert "does not support --environment: a script has one implicit default run environment" in refused
    assert "does not support --feature" in place.run("add", "-s", "example.py", "-f", "x", "tool", code=1).stderr
    (place.cwd / "two.py").write_text(place.block * 2)
    assert "two.py has 2 blocks" in place.run("run", "--script", "two.py", code=1).stderr


def test_init(place: Place) -> None:
    path = place.cwd / "new" / "tool.py"
    path.parent.mkdir()
    path.write_text("#!/usr/bin/env python\nprint('hello')\n")
    place.run("init", "--script", "new/tool.py", "-c", "one", "-c", "two")
    assert path.read_text() == (
        '#!/usr/bin/env python\n#\n# /// script\n# requires-python = ">=3.11"\n# dependencies = []\n#\n'
        '# [tool.pixi.workspace]\n# channels = ["one", "two"]\n# ///\n\nprint(\'hello\')\n'
    )
    assert "already a PEP 723 script" in place.run("init", "--script", "new/tool.py", code=1).stderr
    place.run("init", "--script", "made.py")
    assert (place.cwd / "made.py").read_text().startswith("# /// script\n")


@given(st.text(alphabet="#/ \n\rab=[]\"'é", max_size=60), st.sampled_from(["\n", "\r\n"]))
def test_reading_and_writing_are_inverse(body: str, newline: str) -> None:
    text = initialized(body.replace("\r", "").replace("\n", newline), "x.py", ["c"]) if _free(body) else ""
    script = Script.parse(text, "x.py") if text else None
    if script is not None:
        assert script.text == (text.replace("\r\n", "\n").replace("\n", script.newline))
        assert script.with_pyproject(script.pyproject).text == script.text


def _free(body: str) -> bool:
    try:
        return Script.parse(body, "x.py") is None
    except ManifestError:
        return False
