"""The Python that uv asks what wheels are good for.

uv takes version and platform from its options, and whether Python has the global interpreter lock (PEP 703) from the
interpreter that it is given. Where ours differs in that, it is given a virtual environment of ours that says otherwise;
nothing is built with it. Source: uv's ``get_interpreter_info``, the page "site" of Python.
"""

from __future__ import annotations

import os
import sys
import sysconfig
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from smelt.lock.pypi_platform import PypiPlatform
from smelt.solve.pypi_request import PypiSolveRequest


def fits_interpreter(platform: PypiPlatform) -> bool:
    """Whether the Python that runs us can build for that of ``platform``: minor version, and free-threaded or not."""
    return sys.version_info[:2] == platform.python_minor and _is_free_threaded() == platform.free_threaded


@contextmanager
def interpreter_for(request: PypiSolveRequest) -> Generator[Path]:
    """The interpreter to give to uv: that of the request, else one that has the right tags and may not build."""
    if request.interpreter is not None:
        yield request.interpreter
    elif _is_free_threaded() == request.platform.free_threaded:
        yield Path(sys.executable)
    else:
        with tempfile.TemporaryDirectory(prefix="smelt-python-") as name:
            yield _stand_in(Path(name), free_threaded=request.platform.free_threaded)


def _is_free_threaded() -> bool:
    return bool(sysconfig.get_config_var("Py_GIL_DISABLED"))


def _stand_in(folder: Path, *, free_threaded: bool) -> Path:
    import venv  # 10 ms that only free-threaded environments pay

    venv.EnvBuilder(with_pip=False, symlinks=os.name != "nt").create(folder)
    places = {"base": str(folder), "platbase": str(folder)}
    line = f"import sysconfig; sysconfig.get_config_vars()['Py_GIL_DISABLED'] = {int(free_threaded)}\n"
    (Path(sysconfig.get_path("purelib", "venv", places)) / "smelt.pth").write_text(line, encoding="utf-8")
    return Path(sysconfig.get_path("scripts", "venv", places)) / ("python.exe" if os.name == "nt" else "python")
