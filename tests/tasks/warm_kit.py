"""A workspace whose tasks are started with and without the full way."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from smelt.tasks import warm

TEXT = """
[workspace]
name = "w"
channels = []
platforms = []
[tasks]
show = "show-env"
args = { cmd = "show-env {{ x }} $MINE 'a b'", args = [{ arg = "x", default = "1" }], env = { MINE = "m $OUTER" } }
echo = "echo $OUTER"
yes = "true"
no = { cmd = "false", depends-on = ["echo"] }
chain = "write-file one $OUTER && MINE=2 write-file two && echo between && export MINE=3 && show-env"
broken-chain = "write-file one && fail-with 9 && show-env"
ends-badly = "true && false"
either = "fail-with 1 || show-env"
one-by-one = "write-file one; show-env"
cached = { cmd = "show-env", inputs = ["pixi.toml"] }
first = { cmd = "write-file first $MINE", env = { MINE = "1" } }
second = { cmd = "write-file second $MINE", env = { MINE = "2" }, cwd = "sub", clean-env = true }
two = { cmd = "show-env", depends-on = ["first", "second"] }
stops = { cmd = "show-env", depends-on = ["first", "fails"] }
fails = "fail-with 7"
makes = { cmd = "write-file sub/made.txt", inputs = ["src/**/*.txt"], outputs = ["sub/made.txt"] }
all-made = { cmd = "show-env", depends-on = ["makes"] }
judged-later = { depends-on = ["first", "makes"] }
sub = { cmd = "show-env", cwd = "sub", depends-on = ["echo"] }
clean = { cmd = "show-env", clean-env = true }
columns = "echo $COLUMNS"
missing = "no-such-program"
"""


SHOW = """#!{python}
import json, os, sys
print(json.dumps([sys.argv[1:], os.getcwd(), dict(os.environ)]))
"""


WRITE = """
import os, sys
with open(sys.argv[1], "a") as file:
    file.write(" ".join([*sys.argv[2:], str(len(os.environ))]) + "\\n")
"""


# The full way: what the command does, with a word on standard error, so that a test can tell.
FULL = """
import os, sys, time
from pathlib import Path
started = time.time_ns()
sys.path.insert(0, {kit!r})
from smelt.source.stats import stamp
files = {{path: stamp(path) for path in [{root!r} + "/pixi.toml", {root!r} + "/.pixi/envs/default/conda-meta/smelt"]}}
from tasks_kit import plan
from smelt.tasks.record import write_warm_record
from smelt.tasks.run import run_plan
from smelt.workspace.load import load_workspace
argv = sys.argv[1:]
parsed = __import__("smelt.tasks.warm", fromlist=["x"]).command_line(argv)
model = load_workspace(Path({root!r}))
flags = parsed[1].split()
planned = plan(
    model, *parsed[2:], environment=parsed[0] or None, cwd=Path.cwd(), skip_deps="--skip-deps" in flags,
    executable="-x" in flags,
)
outer = dict(os.environ)
inner = outer | {{"CONDA_PREFIX": "/p", "PATH": {tools!r} + ":" + outer.get("PATH", "")}}
clean = {{"HOME": outer["HOME"], "PATH": {tools!r}}}
from smelt.tasks.cache import TaskCache
cache = TaskCache.of(Path({root!r}), {{"default": Path({root!r} + "/.pixi/envs/default/conda-meta/smelt").read_text()}})
options = dict(init_cwd=Path.cwd(), clean_environments={{"default": clean}}, cache=cache)
if "--clean-env" in flags:
    inner = clean
recorded = write_warm_record(
    argv, planned, model, {{"default": inner}}, outer=outer, files=files, trees={trees!r}, started=started, **options
)
print("full, recorded" if recorded else "full", file=sys.stderr, flush=True)
sys.exit(run_plan(planned, {{"default": inner}}, say=lambda text: print(text, file=sys.stderr, flush=True), **options))
"""


ENTRY = """
import sys
if sys.argv[1:2] == ["run"]:
    from smelt.tasks.warm import try_warm
    try_warm(sys.argv[1:])
import runpy
sys.argv[0] = {full!r}
runpy.run_path({full!r}, run_name="__main__")
"""


class Place:
    """A workspace with a task or two, an environment of its own, and ``smelt`` as it is called there."""

    def __init__(self, root: Path, trees: tuple[str, ...] = ()) -> None:
        self.root = root / "ws"
        self.tools = root / "tools"
        self.marker = self.root / ".pixi/envs/default/conda-meta/smelt"
        for folder in (self.root / "sub", self.tools, self.marker.parent):
            folder.mkdir(parents=True)
        (self.root / "pixi.toml").write_text(TEXT.replace("platforms = []", f'platforms = ["{_platform()}"]'))
        (self.root / "pixi.lock").write_text("version: 7\n")
        self.marker.write_text("1")
        (self.tools / "show-env").write_text(SHOW.format(python=sys.executable))
        (self.tools / "write-file").write_text(f"#!{sys.executable}\n{WRITE}")
        (self.tools / "fail-with").write_text(f"#!{sys.executable}\nimport sys; sys.exit(int(sys.argv[1]))\n")
        for tool in self.tools.iterdir():
            tool.chmod(0o755)
        self.full = root / "full.py"
        values = {"kit": str(Path(__file__).parent), "root": str(self.root), "tools": str(self.tools)}
        self.full.write_text(FULL.format(**values, trees=list(trees)))
        self.outer = {"PATH": os.environ["PATH"], "HOME": str(root), "OUTER": "o", "LANG": "C.UTF-8"}
        self.age()

    def age(self) -> None:
        """Make every file and folder old enough to be trusted."""
        old = time.time() - 100
        for path in self.root.rglob("*"):
            if path.exists() and "smelt/warm" not in path.as_posix():
                os.utime(path, (old, old))

    def run(self, *argv: str, cwd: Path | None = None, **outer: str) -> subprocess.CompletedProcess[str]:
        """``smelt <argv>``."""
        return subprocess.run(
            [sys.executable, "-c", ENTRY.format(full=str(self.full)), *argv],
            capture_output=True,
            text=True,
            cwd=cwd or self.root,
            env=self.outer | outer,
            timeout=30,
        )

    def warm(self, *argv: str, cwd: Path | None = None, **outer: str) -> bool:
        """Whether the call did not need the full way."""
        return "full" not in self.run(*argv, cwd=cwd, **outer).stderr

    def records(self) -> list[Path]:
        return sorted((self.root / warm._FOLDER).glob("*"))


def _platform() -> str:
    from smelt.types import current_platform

    return current_platform()
