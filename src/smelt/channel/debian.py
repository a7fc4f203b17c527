"""Debian's and Ubuntu's interpreters: their changes to where packages go, undone in the copy.

Outside of virtual environments they look for packages in ``dist-packages``. In a prefix of its own, the
interpreter has to use ``site-packages``, as everywhere else.
"""

from __future__ import annotations

import re
from pathlib import Path

from smelt.channel.interpreter import Interpreter
from smelt.channel.model import PLACEHOLDER
from smelt.errors import ChannelError

_SCHEME = (
    re.compile(r"^(\s+prefix_scheme = )'posix_local'$", re.MULTILINE),
    r"\1'posix_prefix'",
)


_LEAD = "import os, site; site.addsitedir(os.path.join(os.path.dirname(os.__file__), 'site-packages'))\n"


def extra_files(interpreter: Interpreter) -> dict[str, Path]:
    """The header that Debian keeps apart for each architecture, in its usual place."""
    triplet = re.sub(r"^_sysconfigdata__", "", interpreter.data_module)
    folder = interpreter.include.removeprefix("include/")
    header = Path("/usr/include") / triplet / folder / "pyconfig.h"
    return {f"{interpreter.include}/pyconfig.h": header} if header.is_file() else {}


def is_unwanted(path: str) -> bool:
    """Files that make sense on the system only: its own start-up hook, links to its libraries."""
    return path.endswith("/sitecustomize.py") or bool(re.search(r"/config-[^/]*/[^/]*\.so$", path))


def undo(work: Path, interpreter: Interpreter) -> None:
    """Edit the copy below ``work``. Raises ChannelError where the text is not what was expected."""
    library = work / interpreter.stdlib
    package = library / "sysconfig" / "__init__.py"
    folder = library / "dist-packages"
    folder.mkdir()
    # `site` itself is frozen into the executable, so it looks here; this leads it on
    (folder / "site-packages.pth").write_text(_LEAD, encoding="utf-8")
    _edit(package if package.is_file() else library / "sysconfig.py", *_SCHEME)
    for script in (work / "bin").iterdir():
        data = script.read_bytes()
        if data.startswith(b"#!") and interpreter.executable.name.encode() in data.split(b"\n", 1)[0]:
            line = f"#!{PLACEHOLDER}/bin/{interpreter.executable.name}".encode()
            script.write_bytes(b"\n".join([line, data.split(b"\n", 1)[1]]))


def _edit(path: Path, pattern: re.Pattern[str], replacement: str) -> None:
    text, count = pattern.subn(replacement, path.read_text(encoding="utf-8"))
    if count != 1:
        raise ChannelError(
            f"this system's changes to Python's {path.name} are not known, so they cannot be undone",
            code="patched-python",
            help="use an interpreter of pyenv or uv, or one built from python.org's source",
        )
    path.write_text(text, encoding="utf-8")
