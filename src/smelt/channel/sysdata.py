"""What ``sysconfig`` of a packaged interpreter answers: its prefix is a placeholder, its tools have plain names."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import cast

from smelt.channel.interpreter import Interpreter
from smelt.channel.model import PLACEHOLDER
from smelt.errors import ChannelError

_TOOL = re.compile(
    r"^(?:.*/)?(?:[A-Za-z0-9_.]+-)*?"
    r"(gcc-ar|gcc-nm|gcc-ranlib|llvm-ar|gcc|g\+\+|clang\+\+|clang|c\+\+|cc|cpp|ranlib|ar|nm|ld|strip|readelf)"
    r"(?:-[\d.]+)?$"
)
_TOOL_KEYS = frozenset(
    (
        "AR",
        "BLDSHARED",
        "CC",
        "CXX",
        "CPP",
        "LDCXXSHARED",
        "LDSHARED",
        "LINKCC",
        "MAINCC",
        "NM",
        "RANLIB",
        "READELF",
        "STRIP",
    )
)
# ``/usr`` as a prefix is a part of many paths that must stay; only these variables are about the prefix then
_FOLDER_KEYS = re.compile(
    r"^(prefix|exec_prefix|base|platbase|installed_base|installed_platbase|host_prefix|"
    r"(BIN|LIB|DESTLIB|BINLIB|INCLUDE|CONFINCLUDE|MAN|SCRIPT|DESTSHARED|DESTDIRS|MACHDESTLIB|DESTPATH)\w*|"
    r"TESTPATH|PYTHONPATH|datarootdir)$"
)

_QUESTION = "import importlib, json, sys; print(json.dumps(importlib.import_module(sys.argv[1]).build_time_vars))"


def rewrite(work: Path, interpreter: Interpreter) -> None:
    """Rewrite the data module in ``work``, where there is one (not on Windows).

    Raises ChannelError where the interpreter cannot tell its data.
    """
    target = f"{interpreter.stdlib}/{interpreter.data_module}.py"
    if not interpreter.data_module or not (work / target).is_file():
        return
    done = subprocess.run(
        [str(interpreter.executable), "-I", "-c", _QUESTION, interpreter.data_module],
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
        stdin=subprocess.DEVNULL,
    )
    if done.returncode != 0:
        raise ChannelError(f"{interpreter.executable} has no readable sysconfig data", notes=[done.stderr.strip()])
    variables = cast("dict[str, str | int]", json.loads(done.stdout))
    (work / target).write_text(render(variables, str(interpreter.prefix)), encoding="utf-8")


def render(variables: Mapping[str, str | int], prefix: str) -> str:
    """The text of the data module: one variable per line, sorted."""
    lines = ["# what sysconfig knows of this build; the prefix is filled in at installation", "build_time_vars = {"]
    for name in sorted(variables):
        value = variables[name]
        if isinstance(value, str):
            value = _plain_tool(value) if name in _TOOL_KEYS else value
            value = _relocate(name, value, prefix)
        lines.append(f"    {name!r}: {value!r},")
    return "\n".join([*lines, "}", ""])


def _plain_tool(value: str) -> str:
    """A command whose tool is called by its plain name: which compiler is used is for the environment to say."""
    try:
        words = shlex.split(value)
    except ValueError:
        return value
    if not words:
        return value
    if len(words) > 1 and re.search(r"(^|/)(ccache|sccache|distcc)$", words[0]):
        words = words[1:]
        value = value.split(None, 1)[1]
    found = _TOOL.match(words[0])
    if found is None:
        return value
    rest = value.split(None, 1)[1:]
    return " ".join([found[1], *rest])


def _relocate(name: str, value: str, prefix: str) -> str:
    if prefix.count("/") <= 1 or prefix == "/usr/local":
        if _FOLDER_KEYS.match(name) and (value == prefix or value.startswith(f"{prefix}/")):
            return PLACEHOLDER + value[len(prefix) :]
        return value
    return re.sub(re.escape(prefix) + r"(?![\w.-])", PLACEHOLDER, value)
