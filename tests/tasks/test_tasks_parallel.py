"""Tasks that run at the same time: order, labels, failures, signals."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tasks_kit import plan, workspace

from smelt.tasks.labels import labels
from smelt.workspace.model import Workspace

UNIX = sys.platform != "win32"
PROGRAM = f"""
import os, sys
from pathlib import Path
sys.path.insert(0, {str(Path(__file__).parent)!r})
from tasks_kit import plan
from smelt.tasks.cache import TaskCache
from smelt.tasks.run import run_plan
from smelt.workspace.load import load_workspace
model = load_workspace(Path(sys.argv[1]))
planned = plan(model, *sys.argv[3:], cwd=Path.cwd())
environments = {{name: os.environ for name in model.environments}}
sys.exit(run_plan(planned, environments, init_cwd=Path.cwd(), jobs=int(sys.argv[2]),
                  cache=TaskCache.of(model.root, dict.fromkeys(model.environments, "1")),
                  say=lambda text: print(text, file=sys.stderr, flush=True)))
"""
MEET = """
import pathlib, sys, time
mine, other = sys.argv[1:]
pathlib.Path(mine).touch()
end = time.monotonic() + 20
while not pathlib.Path(other).exists():
    if time.monotonic() > end: sys.exit("nobody came")
    time.sleep(0.01)
"""
PIECES = """
import sys, time
for number in range(200):
    for piece in (sys.argv[1], " ", str(number), "\\n"):
        sys.stdout.write(piece); sys.stdout.flush()
sys.stdout.write("end")
"""
WAIT = """
import os, sys, time
name = sys.argv[1]
open(name + ".pid", "w").write(str(os.getpid())); os.rename(name + ".pid", name)
time.sleep(30)
"""


def arguments(model: Workspace, jobs: int, *words: str) -> list[str]:
    return [sys.executable, "-c", PROGRAM, str(model.manifest_path), str(jobs), *words]


def variables() -> dict[str, str]:
    return {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}


def run(model: Workspace, jobs: int, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        arguments(model, jobs, *words),
        capture_output=True,
        text=True,
        cwd=model.root,
        timeout=60,
        env=variables(),
        check=False,
    )


def test_what_needs_what(tmp_path: Path) -> None:
    text = """
[tasks]
a = "echo a"
b = { cmd = "echo b", depends-on = ["a"] }
c = "echo c"
both = { depends-on = ["b", "c"] }
last = { cmd = "echo last", depends-on = ["both", "a"] }
"""
    planned = plan(workspace(tmp_path, text), "last")
    needs = {task.name: [planned.tasks[each].name for each in task.needs] for task in planned.tasks}
    assert needs == {"a": [], "b": ["a"], "c": [], "last": ["a", "b", "c"]}


def test_independent_tasks_meet_and_the_last_is_untouched(tmp_path: Path) -> None:
    (tmp_path / "meet.py").write_text(MEET)
    text = """
[tasks]
a = "python meet.py a b && echo met"
b = "python meet.py b a && echo met too"
last = { cmd = "echo last", depends-on = ["a", "b"] }
"""
    done = run(workspace(tmp_path, text), 2, "last")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert sorted(lines[:2]) == ["a    | met", "b    | met too"]
    assert lines[2:] == ["last"]
    assert "smelt task (last): echo last" in done.stderr


@pytest.mark.parametrize("jobs", [1, 2])
def test_no_more_than_allowed(jobs: int, tmp_path: Path) -> None:
    (tmp_path / "span.py").write_text(
        "import sys, time; start = time.time(); time.sleep(0.2); open(sys.argv[1], 'w').write(f'{start} {time.time()}')"
    )
    text = '[tasks]\nlast = { cmd = "echo last", depends-on = ["t0", "t1", "t2"] }\n'
    text += "".join(f't{n} = "python span.py t{n}"\n' for n in range(3))
    assert run(workspace(tmp_path, text), jobs, "last").returncode == 0
    spans = [[float(each) for each in (tmp_path / f"t{n}").read_text().split()] for n in range(3)]
    assert max(sum(a <= start < b for a, b in spans) for start, _ in spans) <= jobs


def test_lines_stay_whole(tmp_path: Path) -> None:
    (tmp_path / "pieces.py").write_text(PIECES)
    text = """
[tasks]
one = "python pieces.py 1"
three = "python pieces.py 3"
last = { cmd = "echo done", depends-on = ["one", "three"] }
"""
    lines = run(workspace(tmp_path, text), 3, "last").stdout.splitlines()
    for name, word in (("one  ", "1"), ("three", "3")):
        own = [line for line in lines if line.startswith(f"{name} | ")]
        assert own == [*(f"{name} | {word} {number}" for number in range(200)), f"{name} | end"]
    assert len(lines) == 403


def test_after_a_failure_nothing_new_is_started_and_what_runs_is_waited_for(tmp_path: Path) -> None:
    (tmp_path / "meet.py").write_text(MEET)
    text = """
[tasks]
slow = "python meet.py a b && sleep 0.3 && echo slow done"
bad = "python meet.py b a && exit 7"
after = { cmd = "echo after", depends-on = ["slow"] }
last = { cmd = "echo last", depends-on = ["after", "bad"] }
"""
    done = run(workspace(tmp_path, text), 4, "last")
    assert (done.returncode, done.stdout) == (7, "slow | slow done\n".replace("slow |", "slow  |"))
    assert "bad failed with exit code 7; waiting for slow" in done.stderr


def test_a_folder_that_is_missing_is_told_when_all_has_ended(tmp_path: Path) -> None:
    text = '[tasks]\na = "sleep 0.2 && echo a"\nb = { cmd = "x", cwd = "no" }\n'
    text += 'last = { cmd = "echo last", depends-on = ["a", "b"] }\n'
    done = run(workspace(tmp_path, text), 2, "last")
    assert done.stdout == "a    | a\n"
    assert "invalid working directory" in done.stderr


def test_cached_tasks_are_skipped(tmp_path: Path) -> None:
    (tmp_path / "in").write_text("1")
    text = """
[tasks]
a = { cmd = "echo a", inputs = ["in"] }
b = { cmd = "echo b", inputs = ["in"] }
last = { cmd = "echo last", depends-on = ["a", "b"] }
"""
    model = workspace(tmp_path, text)
    assert sorted(run(model, 2, "last").stdout.splitlines()) == ["a    | a", "b    | b", "last"]
    again = run(model, 2, "last")
    assert (again.stdout, again.stderr.count("cache hit")) == ("last\n", 2)


@pytest.mark.skipif(not UNIX, reason="no daemons like that on Windows")
def test_a_process_that_is_left_behind_holds_nothing_up(tmp_path: Path) -> None:
    text = "[tasks]\na = \"sh -c 'sleep 15 & echo $! > pid'\"\nb = 'echo b'\n"
    text += 'last = { cmd = "echo last", depends-on = ["a", "b"] }\n'
    started = time.monotonic()
    model = workspace(tmp_path, text)
    with (tmp_path / "out").open("wb") as out:
        code = subprocess.call(arguments(model, 2, "last"), stdout=out, cwd=tmp_path, env=variables(), timeout=60)
    assert code == 0
    assert time.monotonic() - started < 10
    os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)
    assert (tmp_path / "out").read_text().endswith("last\n")


@pytest.mark.skipif(not UNIX, reason="signals of Unix")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_reach_all_of_them(number: signal.Signals, tmp_path: Path) -> None:
    model = _two_that_wait(tmp_path)
    with subprocess.Popen(
        arguments(model, 2, "last"), cwd=tmp_path, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, env=variables()
    ) as process:
        pids = [_pid(tmp_path / name) for name in ("a", "b")]
        process.send_signal(number)
        out, _ = process.communicate(timeout=20)
    assert b"after" not in out and b"last" not in out
    assert process.returncode in (128 + number, 1)
    _all_gone(pids)


@pytest.mark.skipif(not UNIX, reason="needs a pseudo terminal")
def test_on_a_terminal(tmp_path: Path) -> None:
    """Programs see a terminal, and Ctrl-C ends all of them."""
    import pty

    text = "a = '''python -c \"import sys; print(sys.stdout.isatty(), sys.stdin.isatty())\"'''\n"
    text += "bar = '''python -c \"import sys; print('1%', '99%', '100%', sep=chr(13))\"'''\n"
    model = workspace(tmp_path, f'[tasks]\n{text}last = {{ cmd = "echo last", depends-on = ["a", "bar"] }}\n')
    output = _on_a_terminal(arguments(model, 2, "last"), tmp_path)[0]
    assert b"a    | True False\r\n" in output
    assert b"bar  | 100%\r\n" in output

    model = _two_that_wait(tmp_path)
    pid, master = pty.fork()
    if pid == 0:
        os.chdir(tmp_path)
        os.execve(sys.executable, arguments(model, 2, "last"), variables())
    pids = [_pid(tmp_path / name) for name in ("a", "b")]
    time.sleep(0.2)
    os.write(master, b"\x03")
    output = _drained(master)
    _, status = os.waitpid(pid, 0)
    os.close(master)
    assert os.waitstatus_to_exitcode(status) in (1, 130)
    assert b" | after" not in output
    _all_gone(pids)


def test_labels_tell_tasks_apart(tmp_path: Path) -> None:
    text = """
[tasks]
t = { cmd = "echo {{ x }}", args = ["x"] }
u = "echo u"
all = { depends-on = [{ task = "t", args = ["1"] }, { task = "t", args = ["2"] }, "u"] }
"""
    planned = plan(workspace(tmp_path, text), "all")
    assert labels(planned.tasks) == ("t (x = 1)", "t (x = 2)", "u        ")


def _two_that_wait(root: Path) -> Workspace:
    (root / "wait.py").write_text(WAIT)
    text = """
[tasks]
a = "python wait.py a ; echo after"
b = "python wait.py b && echo after"
last = { cmd = "echo last", depends-on = ["a", "b"] }
"""
    return workspace(root, text)


def _pid(path: Path) -> int:
    deadline = time.monotonic() + 20
    while not path.exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return int(path.read_text())


def _all_gone(pids: list[int]) -> None:
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def _on_a_terminal(argv: list[str], folder: Path) -> tuple[bytes, int]:
    import pty

    pid, master = pty.fork()
    if pid == 0:
        os.chdir(folder)
        os.execve(argv[0], argv, variables())
    output = _drained(master)
    _, status = os.waitpid(pid, 0)
    os.close(master)
    return output, os.waitstatus_to_exitcode(status)


def _drained(master: int) -> bytes:
    output = b""
    while True:
        try:
            chunk = os.read(master, 4096)
        except OSError:
            return output
        if not chunk:
            return output
        output += chunk
