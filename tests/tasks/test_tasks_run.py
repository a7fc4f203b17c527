"""Plans become processes: environment, folder, exit codes, signals, the cache."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tasks_kit import plan, workspace

from smelt.errors import TaskError
from smelt.tasks.cache import TaskCache
from smelt.tasks.patterns import matching_files
from smelt.tasks.run import run_plan
from smelt.workspace.model import Workspace

UNIX = sys.platform != "win32"
PROGRAM = f"""
import os, sys
from pathlib import Path
sys.path.insert(0, {str(Path(__file__).parent)!r})
from tasks_kit import plan
from smelt.tasks.run import run_plan
from smelt.workspace.load import load_workspace
model = load_workspace(Path(sys.argv[1]))
planned = plan(model, *sys.argv[2:], cwd=Path.cwd())
environments = {{name: os.environ for name in model.environments}}
print(os.getpid(), file=sys.stderr, flush=True)
sys.exit(run_plan(planned, environments, init_cwd=Path.cwd(), say=lambda text: print(text, file=sys.stderr)))
"""


def smelt(model: Workspace, *words: str, **options: object) -> subprocess.CompletedProcess[str]:
    """Run in a process of its own."""
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, str(model.manifest_path), *words],
        capture_output=True,
        text=True,
        cwd=model.root,
        timeout=60,
        env={**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"},
        **options,  # type: ignore[arg-type]
    )


def test_environment_folder_and_what_is_said(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    text = """
[tasks]
first = { cmd = "echo $PWD", cwd = "sub", description = "where" }
[tasks.second]
cmd = "python -c 'import os; print(os.environ[\\"X\\"], os.environ[\\"INIT_CWD\\"])'"
env = { X = "a $Y" }
depends-on = ["first"]
[environments]
other = []
"""
    model = workspace(tmp_path, text)
    os.environ["Y"] = "y"
    try:
        done = smelt(model, "second")
    finally:
        del os.environ["Y"]
    assert done.stdout.splitlines() == [str(tmp_path / "sub"), f"a y {tmp_path}"]
    said = done.stderr.splitlines()[1:]
    assert said[:2] == ["smelt task (first in default): echo $PWD: (where)", ""]
    assert said[2].startswith("smelt task (second in default): python -c")


def test_a_failure_ends_the_plan_with_its_code(tmp_path: Path) -> None:
    text = (
        '[tasks]\na = "exit 7"\nb = { cmd = "echo b", depends-on = ["a"] }\nc = "python -c \'raise SystemExit(9)\'"\n'
    )
    model = workspace(tmp_path, text)
    done = smelt(model, "b")
    assert (done.returncode, done.stdout) == (7, "")
    assert smelt(model, "c").returncode == 9
    assert smelt(model, "no-such-command").returncode == 127


def test_arguments_reach_the_program_as_they_are(tmp_path: Path) -> None:
    model = workspace(tmp_path, "[tasks]\nshow = \"python -c 'import sys; print(sys.argv[1:])'\"\n")
    arguments = ["it's", 'say "x"', "a  b", "C:\\dir\\", "$HOME", "*", "--", "", "a;b", "line\nend"]
    expected = f"{arguments}\n"
    assert smelt(model, "show", *arguments).stdout == expected
    direct = smelt(model, "python", "-c", "import sys; print(sys.argv[1:])", *arguments)
    assert direct.stdout == expected


def test_all_is_parsed_before_anything_runs(tmp_path: Path) -> None:
    text = "[tasks]\na = \"echo a\"\nb = { cmd = \"echo 'open\", depends-on = ['a'] }\nc = { cmd = 'x', cwd = 'no' }\n"
    model = workspace(tmp_path, text)
    said: list[str] = []
    with pytest.raises(TaskError, match="the task 'b' cannot be understood: expected a closing single quote"):
        run_plan(plan(model, "b"), {}, init_cwd=tmp_path, say=said.append)
    assert said == []
    with pytest.raises(TaskError, match="invalid working directory"):
        run_plan(plan(model, "c"), {"default": {}}, init_cwd=tmp_path, say=said.append)


def test_dry_run_and_lazy_environments(tmp_path: Path) -> None:
    class Never(dict[str, dict[str, str]]):
        def __missing__(self, key: str) -> dict[str, str]:
            raise AssertionError(key)

    model = workspace(tmp_path, '[tasks]\na = "echo a"\n')
    said: list[str] = []
    assert run_plan(plan(model, "a"), Never(), init_cwd=tmp_path, say=said.append, dry_run=True) == 0
    assert said == ["smelt task (a): echo a"]


@pytest.mark.skipif(not UNIX, reason="no exec on Windows")
def test_the_last_command_is_this_process(tmp_path: Path) -> None:
    model = workspace(tmp_path, "[tasks]\npid = \"python -c 'import os; print(os.getpid())'\"\n")
    done = smelt(model, "pid")
    assert done.stdout.strip() == done.stderr.splitlines()[0]


SLEEPER = """
import signal, sys, time
signal.signal(signal.SIGINT, lambda *a: (print("got", flush=True), sys.exit(12)))
open("ready", "w").close()
time.sleep(30)
"""


@pytest.mark.skipif(not UNIX, reason="signals of Unix")
@pytest.mark.parametrize("ending", ["", " ; echo after", " | cat", " && echo after"])
def test_signals_reach_the_child(ending: str, tmp_path: Path) -> None:
    (tmp_path / "sleeper.py").write_text(SLEEPER)
    model = workspace(tmp_path, f'[tasks]\nstart = "python sleeper.py{ending}"\n')
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(model.manifest_path), "start"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        env=environment,
        text=True,
    ) as process:
        _wait_for(tmp_path / "ready", process)
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=20)
    assert out == "got\n"
    assert process.returncode == {"": 12, " ; echo after": 130, " | cat": 0, " && echo after": 12}[ending]


@pytest.mark.skipif(not UNIX, reason="signals of Unix")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("command", ["python child.py", "python child.py ; echo after", "sleep 1 & python child.py"])
def test_no_orphans(number: signal.Signals, command: str, tmp_path: Path) -> None:
    (tmp_path / "child.py").write_text(
        "import os, time; open('pid', 'w').write(str(os.getpid())); open('ready', 'w').close(); time.sleep(30)"
    )
    model = workspace(tmp_path, f'[tasks]\nstart = "{command}"\n')
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(model.manifest_path), "start"],
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        env=environment,
    ) as process:
        _wait_for(tmp_path / "ready", process)
        process.send_signal(number)
        out, _ = process.communicate(timeout=20)
    assert out == b""
    assert process.returncode in (-number, 128 + number)
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


@pytest.mark.skipif(not UNIX, reason="needs a pseudo terminal")
def test_interrupt_from_a_terminal_ends_built_ins_and_lists(tmp_path: Path) -> None:
    import pty

    model = workspace(
        tmp_path, '[tasks]\nwait = "echo ready ; sleep 30 ; echo after"\nread = "echo ready ; cat | cat"\n'
    )
    for task in ("wait", "read"):
        pid, master = pty.fork()
        if pid == 0:
            os.chdir(tmp_path)
            os.execv(sys.executable, [sys.executable, "-c", PROGRAM, str(model.manifest_path), task])
        output = b""
        while b"ready\r\n" not in output:
            output += os.read(master, 1000)
        time.sleep(0.2)
        os.write(master, b"\x03")
        _, status = os.waitpid(pid, 0)
        os.close(master)
        assert os.waitstatus_to_exitcode(status) == 130


def _wait_for(path: Path, process: subprocess.Popen[object]) -> None:  # type: ignore[type-arg]
    deadline = time.monotonic() + 20
    while not path.exists():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)


# the cache


def run_cached(model: Workspace, *words: str, digest: str = "1") -> tuple[int, str]:
    said: list[str] = []
    cache = TaskCache.of(model.root, {"default": digest})
    code = run_plan(
        plan(model, *words),
        {"default": dict(os.environ)},
        init_cwd=model.root,
        say=said.append,
        cache=cache,
        replace=False,
    )
    return code, "\n".join(said)


CACHED = """
[tasks.copy]
cmd = "cp {{ f }} {{ f }}.out"
inputs = ["{{ f }}"]
outputs = ["{{ f }}.out"]
args = [{ arg = "f", default = "in" }]
"""


def test_a_task_is_skipped_until_something_changes(tmp_path: Path) -> None:
    model = workspace(tmp_path, CACHED)
    (tmp_path / "in").write_text("1")
    (tmp_path / "other").write_text("1")
    assert "cache hit" not in run_cached(model, "copy")[1]
    assert "Task 'copy' with args f = in can be skipped (cache hit)" in run_cached(model, "copy")[1]
    assert "cache hit" not in run_cached(model, "copy", "other")[1]
    assert "cache hit" in run_cached(model, "copy", "other")[1]
    (tmp_path / "in").write_text("2")
    assert "cache hit" not in run_cached(model, "copy")[1]
    assert (tmp_path / "in.out").read_text() == "2"
    assert "cache hit" in run_cached(model, "copy")[1]
    (tmp_path / "in.out").unlink()
    assert "cache hit" not in run_cached(model, "copy")[1]
    assert "cache hit" not in run_cached(model, "copy", digest="2")[1]
    model = workspace(tmp_path, CACHED.replace("cp {{", "cp -r {{"))
    assert "cache hit" not in run_cached(model, "copy", digest="2")[1]


def test_a_change_of_equal_size_is_seen(tmp_path: Path) -> None:
    model = workspace(tmp_path, CACHED)
    for text in "1234":
        (tmp_path / "in").write_text(text)
        assert "cache hit" not in run_cached(model, "copy")[1]
        assert (tmp_path / "in.out").read_text() == text


@pytest.mark.parametrize("kind", ["input", "output"])
def test_patterns_without_files_are_told_and_not_remembered(kind: str, tmp_path: Path) -> None:
    model = workspace(tmp_path, f'[tasks]\na = {{ cmd = "true", {kind}s = ["none.txt"] }}\n')
    for _ in range(2):
        said = run_cached(model, "a")[1]
        assert f"No files matched the {kind} globs for task 'a': none.txt" in said
        assert "cache hit" not in said


def test_a_damaged_or_failed_entry_is_none(tmp_path: Path) -> None:
    model = workspace(tmp_path, CACHED + '[tasks.bad]\n cmd = "false"\ninputs = ["in"]\n')
    (tmp_path / "in").write_text("1")
    assert run_cached(model, "bad")[0] == 1
    assert not (tmp_path / ".pixi/smelt/tasks").exists()
    run_cached(model, "copy")
    (entry,) = (tmp_path / ".pixi/smelt/tasks").iterdir()
    good = entry.read_text()
    for damaged in ("", "{", "[]", '{"format": 1}', good[:-20], json.dumps({**json.loads(good), "files": {"x": 1}})):
        entry.write_text(damaged)
        assert run_cached(model, "copy")[0] == 0


def test_patterns(tmp_path: Path) -> None:
    names = ["a.py", "b.txt", "src/a.py", "src/deep/a.py", "src/build.rs", ".hidden/a.py", "src/.x.py", "out dir/f"]
    for name in [*(f"ws/{name}" for name in names), "beside/a.py"]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    root = tmp_path / "ws"

    def found(*patterns: str) -> list[str]:
        return [os.path.relpath(path, root).replace(os.sep, "/") for path in matching_files(root, patterns)]

    assert found("a.py") == ["a.py"]
    assert found("*.py") == ["a.py", "src/a.py", "src/deep/a.py"]
    assert found("src/*.py") == ["src/a.py"]
    assert found("src/**/*.py") == ["src/a.py", "src/deep/a.py"]
    assert found("src") == found("src/") == ["src/a.py", "src/build.rs", "src/deep/a.py"]
    assert found("src", "!**/build.rs") == ["src/a.py", "src/deep/a.py"]
    assert found("*.py", "!a.py") == ["src/a.py", "src/deep/a.py"]
    assert found("*.{py,txt}", "!src") == ["a.py", "b.txt"]
    assert found("../beside/*.py") == ["../beside/a.py"]
    assert found(f"{root}/src/*.py") == ["src/a.py"]
    assert found(".hidden/*") == [".hidden/a.py"]
    assert found("out dir/f") == ["out dir/f"]
    assert found("**") == ["a.py", "b.txt", "out dir/f", "src/a.py", "src/build.rs", "src/deep/a.py"]
    assert found("missing", "!a.py") == []
    assert found() == []
