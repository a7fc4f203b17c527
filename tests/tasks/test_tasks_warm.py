"""The warm path: it starts exactly what the full way would, or declines."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from warm_kit import ENTRY, Place

from smelt.source.tree import tree_digest
from smelt.tasks import warm

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="a process cannot be replaced there")


@pytest.mark.parametrize(
    "argv",
    [
        ("show",),
        ("args",),
        ("args", "two"),
        ("args", "two", "--", "it's", "-x"),
        ("-e", "default", "show"),
        ("--environment=default", "show", "x"),
        ("clean",),
        ("echo",),
        ("yes",),
        ("no",),
        ("two",),
        ("stops",),
        ("chain",),
        ("broken-chain",),
        ("ends-badly",),
        ("--skip-deps", "two"),
        ("-x", "show-env"),
        ("--clean-env", "-e", "default", "--frozen", "show"),
        ("sub",),
        ("show-env", "direct", "$HOME"),
        ("echo a $OUTER",),
    ],
)
def test_the_same_as_the_full_way(argv: tuple[str, ...], place: Place) -> None:
    full = place.run("run", *argv)
    assert full.stderr.startswith("full, recorded\n")
    again = place.run("run", *argv)
    assert "full" not in again.stderr
    assert again.stderr == full.stderr.removeprefix("full, recorded\n")
    assert (again.returncode, again.stdout) == (full.returncode, full.stdout)
    if "show-env" in full.stderr and full.returncode == 0:
        words, cwd, environment = json.loads(again.stdout.splitlines()[-1])
        assert environment["INIT_CWD"] == str(place.root)
        assert environment["PWD"] == cwd
        assert isinstance(words, list)


@pytest.mark.parametrize("task", ["either", "one-by-one", "cached", "columns", "missing", "judged-later"])
def test_what_has_to_be_run_is_not_recorded(task: str, place: Place) -> None:
    assert place.run("run", task).stderr.startswith("full\n")
    assert place.records() == []


@pytest.mark.parametrize(
    "argv",
    [
        ("run", "-e", "default", "-n", "show"),
        ("run", "--jobs", "2", "show"),
        ("run", "--", "show"),
        ("run", "-e", "default", "-e", "default", "show"),
        ("run", "-e", "show"),
        ("run",),
        ("run", "-edefault", "show"),
        ("-q", "run", "show"),
        ("run", "--environment=", "show"),
        ("list",),
    ],
)
def test_other_options_go_the_full_way(argv: tuple[str, ...]) -> None:
    assert warm.command_line(list(argv)) is None


def test_processes_run_one_after_the_other(place: Place) -> None:
    for _ in range(3):
        place.run("run", "two")
    first, second = ((place.root / name).read_text().splitlines() for name in ("first", "sub/second"))
    assert [line.split()[0] for line in first] == ["1", "1", "1"]
    assert len(set(first)) == 1
    assert len(second) == 3 and len(set(second)) == 1  # the clean environment, warm or not
    done = place.run("run", "stops")
    assert (done.returncode, done.stdout) == (7, "")
    done = place.run("run", "stops")
    assert "full" not in done.stderr
    assert (done.returncode, done.stdout) == (7, "")


@pytest.mark.parametrize("task", ["show", "two", "chain", "makes"])
def test_nothing_is_imported(task: str, place: Place) -> None:
    """Beside what Python itself loads: the warm path, ``marshal``, and what every start of smelt goes through."""
    _with_inputs(place)
    for _ in range(2):
        place.run("run", task)
        place.age()
    place.run("run", task)
    names = [
        {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import time:")}
        for done in (
            subprocess.run(
                [sys.executable, "-X", "importtime", "-c", code, "run", task],
                capture_output=True,
                text=True,
                cwd=place.root,
                env=place.outer,
                check=False,
            )
            for code in ("pass", ENTRY.format(full=str(place.full)))
        )
    ]
    assert names[1] - names[0] <= {"smelt", "smelt.tasks", "smelt.tasks.warm", "marshal"}


SKIPPED = ["makes", "all-made"]


@pytest.mark.parametrize("task", SKIPPED)
def test_tasks_that_have_nothing_to_do(task: str, place: Place) -> None:
    _with_inputs(place)
    assert place.run("run", task).stderr.startswith("full\n")  # it has to run
    place.age()
    full = place.run("run", task)
    assert full.stderr.startswith("full, recorded\n")
    assert "can be skipped (cache hit)" in full.stderr
    again = place.run("run", task)
    assert again.stderr == full.stderr.removeprefix("full, recorded\n")
    assert again.returncode == 0
    assert (place.root / "sub/made.txt").read_text().count("\n") == 1


INPUT_CHANGES: dict[str, Callable[[Place], object]] = {
    "an input": lambda place: (place.root / "src/a/in.txt").write_text("2"),
    "an input touched": lambda place: os.utime(place.root / "src/a/in.txt"),
    "a new input": lambda place: (place.root / "src/a/new.txt").write_text("x"),
    "a new folder with an input": lambda place: (
        (place.root / "src/b").mkdir(),
        (place.root / "src/b/new.txt").write_text("x"),
    ),
    "an input gone": lambda place: (place.root / "src/in.txt").unlink(),
    "a link that leads somewhere now": lambda place: (place.root / "elsewhere").write_text("x"),
    "the output": lambda place: (place.root / "sub/made.txt").write_text("other"),
    "the output gone": lambda place: (place.root / "sub/made.txt").unlink(),
    "what is remembered": lambda place: [each.unlink() for each in (place.root / ".pixi/smelt/tasks").iterdir()],
}


@pytest.mark.parametrize("change", INPUT_CHANGES)
def test_every_change_of_inputs_and_outputs_is_seen(change: str, place: Place) -> None:
    _with_inputs(place)
    place.run("run", "makes")
    place.age()
    place.run("run", "makes")
    assert place.warm("run", "makes")
    INPUT_CHANGES[change](place)
    assert not place.warm("run", "makes")


def _with_inputs(place: Place) -> None:
    (place.root / "src/a").mkdir(parents=True)
    for name in ("src/in.txt", "src/a/in.txt"):
        (place.root / name).write_text("1")
    (place.root / "src/a/link.txt").symlink_to(place.root / "elsewhere")
    place.age()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1])
def test_signals_reach_processes_before_the_last(number: signal.Signals, place: Place) -> None:
    path = place.tools / "waits"
    path.write_text(
        f"#!{sys.executable}\nimport os, pathlib, signal, sys, time\n"
        "for n in (1, 2, 15, signal.SIGUSR1): signal.signal(n, lambda n, frame: (print('got', n), sys.exit(0)))\n"
        "pathlib.Path('ready').touch(); time.sleep(20 if os.environ.get('OUTER') else 0)\n"
    )
    path.chmod(0o755)
    manifest = place.root / "pixi.toml"
    manifest.write_text(
        manifest.read_text() + 'waits = "waits"\nafter = { cmd = "fail-with 9", depends-on = ["waits"] }\n'
    )
    place.age()
    place.outer["OUTER"] = ""
    assert place.run("run", "after").returncode == 9
    record = place.records()
    assert len(record) == 1
    place.outer["OUTER"] = "wait"
    place.outer["PATH"] = f"{place.tools}:{place.outer['PATH']}"
    probe = "import sys\nfrom smelt.tasks.warm import _Runner\nimport os\nr = _Runner()\n" + (
        "code = r.run(sys.argv[1], ['waits'], os.getcwd(), dict(os.environ))\nprint(code, r.stopped, flush=True)"
    )
    (place.root / "ready").unlink()
    with subprocess.Popen(
        [sys.executable, "-c", probe, str(path)],
        cwd=place.root,
        env=place.outer,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        deadline = time.monotonic() + 20
        while not (place.root / "ready").exists():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(number)
        out, _ = process.communicate(timeout=20)
    stopped = 0 if number == signal.SIGUSR1 else 128 + number
    assert out.splitlines() == [f"got {int(number)}", f"0 {stopped}"]


def _touch(path: str) -> Callable[[Place], object]:
    return lambda place: os.utime(place.root / path)


def _replace(path: str) -> Callable[[Place], object]:
    def change(place: Place) -> None:
        target = place.root / path
        copy = target.with_name("copy")
        copy.write_bytes(target.read_bytes())
        found = target.stat()
        os.utime(copy, ns=(found.st_atime_ns, found.st_mtime_ns))
        copy.replace(target)

    return change


def _write(path: str, text: str = "x") -> Callable[[Place], object]:
    def change(place: Place) -> None:
        (place.root / path).parent.mkdir(parents=True, exist_ok=True)
        (place.root / path).write_text(text)

    return change


CHANGES: dict[str, Callable[[Place], object]] = {
    "manifest touched": _touch("pixi.toml"),
    "manifest replaced by an equal one": _replace("pixi.toml"),
    "lock touched": _touch("pixi.lock"),
    "lock gone": lambda place: (place.root / "pixi.lock").unlink(),
    "prefix marker": _write(".pixi/envs/default/conda-meta/smelt", "2"),
    "prefix marker gone": lambda place: place.marker.unlink(),
    "configuration added": _write(".pixi/config.toml", ""),
    "mode of the manifest": lambda place: (place.root / "pixi.toml").chmod(0o600),
    "program gone": lambda place: (place.tools / "show-env").unlink(),
    "program not executable": lambda place: (place.tools / "show-env").chmod(0o644),
    "variable changed": lambda place: place.outer.update(OUTER="other"),
    "variable added": lambda place: place.outer.update(CONDA_PREFIX="/x"),
    "variable gone": lambda place: place.outer.pop("LANG"),
    "path changed": lambda place: place.outer.update(PATH=place.outer["PATH"] + ":/x"),
    "in a shell of another workspace": lambda place: place.outer.update(PIXI_IN_SHELL="1", PIXI_PROJECT_MANIFEST="/x"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_every_change_is_seen(change: str, place: Place) -> None:
    place.run("run", "show")
    assert place.warm("run", "show")
    CHANGES[change](place)
    assert not place.warm("run", "show")


def test_volatile_variables_pass_through(place: Place) -> None:
    place.run("run", "show")
    done = place.run("run", "show", SHLVL="7", COLUMNS="99", _="x")
    assert "full" not in done.stderr
    assert json.loads(done.stdout)[2]["COLUMNS"] == "99"


def test_other_words_folders_and_versions_are_other_records(place: Place) -> None:
    place.run("run", "show")
    assert not place.warm("run", "show", "x")
    assert not place.warm("run", "show", cwd=place.root / "sub")
    assert place.warm("run", "show", cwd=place.root / "sub")
    assert place.warm("run", "show")
    wanted = (str(place.root), "", "", "show")
    record = Path(warm.record_path(str(place.root), wanted))
    who, *rest = warm.decode(record.read_bytes()) or ()
    assert rest[0] == wanted
    for field, value in ((0, "smelt-warm-0"), (1, "0.0"), (2, 0), (3, "plan9"), (4, "/other")):
        other = [*who]
        other[field] = value
        record.write_bytes(warm.encode((tuple(other), *rest)))
        assert not place.warm("run", "show")  # and it is written anew
        assert place.warm("run", "show")


def test_a_workspace_in_between_is_found(place: Place) -> None:
    inner = place.root / "sub/inner"
    inner.mkdir()
    place.run("run", "show", cwd=inner)
    assert place.warm("run", "show", cwd=inner)
    _write("sub/pyproject.toml", "[project]\nname = 'x'\n")(place)
    assert not place.warm("run", "show", cwd=inner)
    place.age()
    place.run("run", "show", cwd=inner)
    assert place.warm("run", "show", cwd=inner)  # known now: a project that is no workspace
    _write("sub/pyproject.toml", "[project]\nname = 'y'\n")(place)
    assert not place.warm("run", "show", cwd=inner)


def test_a_record_is_only_for_its_own_workspace(place: Place, tmp_path: Path) -> None:
    place.run("run", "show")
    other = tmp_path / "other"
    (other / ".pixi/smelt").mkdir(parents=True)
    (other / "pixi.toml").write_text((place.root / "pixi.toml").read_text())
    (place.root / ".pixi/smelt/warm").rename(other / ".pixi/smelt/warm")
    assert not place.warm("run", "show", cwd=other)


def test_too_new_files_are_not_trusted(place: Place) -> None:
    soon = time.time() + 100  # as new as anything can be, also on a busy machine
    os.utime(place.root / "pixi.toml", (soon, soon))
    assert place.run("run", "show").stderr.startswith("full\n")


def test_hostile_records_are_ignored_and_rewritten(place: Place) -> None:
    place.run("run", "show")
    (record,) = place.records()
    good = record.read_bytes()
    body = good[17:]
    damaged = [b"", b"x", good[:-1], good[:200], good[:17], good + b"x", b"g" * 16 + b"\n" + body]
    damaged += [bytes([*good[:i], good[i] ^ 1, *good[i + 1 :]]) for i in range(0, len(good), 97)]
    damaged += [warm.encode(value) for value in ((), (1, 2), (None,) * 7, ("x",) * 7)]
    damaged.append(b"%016x\n" % warm.checksum(b"\xff\xfe") + b"\xff\xfe")
    probe = """
import sys
from pathlib import Path
from smelt.tasks.warm import try_warm
record, *samples = map(Path, sys.argv[1:])
for sample in samples:
    record.write_bytes(sample.read_bytes())
    try_warm(["run", "show"])
print("declined", len(samples))
"""
    samples: list[str] = []
    for index, data in enumerate(damaged):
        path = place.tools / f"sample{index}"
        path.write_bytes(data)
        samples.append(str(path))
    done = subprocess.run(
        [sys.executable, "-c", probe, str(record), *samples],
        cwd=place.root,
        env=place.outer,
        capture_output=True,
        text=True,
    )
    assert (done.stdout, done.stderr) == (f"declined {len(damaged)}\n", "")
    assert not place.warm("run", "show")
    assert place.warm("run", "show")


def test_source_trees(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "source"
    (source / "src").mkdir(parents=True)
    (source / "src/a.c").write_text("int a;\n")
    old = time.time() - 100
    for path in (source / "src/a.c", source / "src", source):
        os.utime(path, (old, old))
    monkeypatch.setenv("PIXI_CACHE_DIR", str(tmp_path / "cache"))
    place = Place(tmp_path, (str(tree_digest(source).index_path),))
    assert place.run("run", "show").stderr.startswith("full, recorded")
    assert place.warm("run", "show")
    (source / "src/new.c").write_text("int b;\n")
    assert not place.warm("run", "show")


def test_a_true_index_of_another_tree_declines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another command has looked at the tree since it changed, and nothing was built."""
    source = tmp_path / "source"
    source.mkdir()
    (source / "a.c").write_text("int a;\n")
    old = time.time() - 100
    for path in (source / "a.c", source):
        os.utime(path, (old, old))
    monkeypatch.setenv("PIXI_CACHE_DIR", str(tmp_path / "cache"))
    index = tree_digest(source).index_path
    place = Place(tmp_path, (str(index),))
    place.run("run", "show")
    assert place.warm("run", "show")
    (source / "a.c").write_text("int b;\n")
    os.utime(source / "a.c", (old + 1, old + 1))
    assert tree_digest(source).index_path == index
    assert not place.warm("run", "show")


def test_only_what_bare_python_has_is_imported(place: Place) -> None:
    """Beside smelt's own two modules nothing is loaded that ``python -c pass`` does not load."""
    place.run("run", "yes")
    probe = (
        "import sys; before = set(sys.modules); import os, marshal\n"
        "def leave(code): print('\\n'.join(sorted(set(sys.modules) - before)), flush=True); real(code)\n"
        "real = os._exit; os._exit = leave\n"
        "from smelt.tasks.warm import try_warm; try_warm(['run', 'yes']); print('declined')"
    )
    done = subprocess.run(
        [sys.executable, "-c", probe], cwd=place.root, env=place.outer, capture_output=True, text=True
    )
    assert done.stdout.split() == ["smelt", "smelt.tasks", "smelt.tasks.warm"]


def test_signals_have_their_default_meaning(place: Place) -> None:
    argv = ("run", "sh", "-c", "kill -PIPE $$; echo ignored")
    codes = [place.run(*argv).returncode for _ in range(2)]
    assert codes == [-13, -13]
    assert place.warm(*argv)


def test_many_records_do_not_pile_up(place: Place) -> None:
    from smelt.tasks import record

    folder = place.root / warm._FOLDER
    folder.mkdir(parents=True)
    for index in range(record._MOST_RECORDS):
        (folder / f"{index:016x}").write_text("")
    assert place.run("run", "yes").stderr.startswith("full, recorded")
    assert len(place.records()) == record._MOST_RECORDS // 2 + 1
    assert place.warm("run", "yes")


def test_a_program_that_cannot_be_started_leaves_everything_as_it_was(place: Place) -> None:
    place.run("run", "sub")
    (place.root / "pixi.toml").write_text((place.root / "pixi.toml").read_text())
    place.age()
    place.run("run", "sub")
    assert place.warm("run", "sub")
    (place.tools / "show-env").write_bytes(b"\x7fnot a program\0")
    done = place.run("run", "sub")
    assert "full" in done.stderr
    assert done.returncode != 0
    (place.tools / "show-env").write_text("echo by sh in $PWD\n")
    done = place.run("run", "sub")
    assert done.stdout.endswith(f"by sh in {place.root / 'sub'}\n")
