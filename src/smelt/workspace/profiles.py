"""The profiles that every workspace has without declaring them: ``debug``, ``asan``, ``ubsan``, ``tsan``.

They are for C, C++ and Fortran and for compilers that take the options of GCC and Clang. A declared profile of the
same name goes before one of these. Source: the GCC manual, "Instrumentation Options", and the pages of Clang's
sanitizers.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from smelt.workspace.model import Profile

_FRAMES = "-g -fno-omit-frame-pointer"


def _debug() -> Profile:
    # toolchains define NDEBUG in one of these or in the other, and build systems do not agree on their order
    flags = f"-Og {_FRAMES}"
    return Profile(
        name="debug",
        env={
            "CPPFLAGS": "-UNDEBUG",
            "CFLAGS": f"{flags} -UNDEBUG",
            "CXXFLAGS": f"{flags} -UNDEBUG",
            "FFLAGS": flags,
            "CMAKE_BUILD_TYPE": "Debug",
            "CARGO_PROFILE_RELEASE_DEBUG": "true",
            "CARGO_PROFILE_RELEASE_DEBUG_ASSERTIONS": "true",
        },
        built_in=True,
    )


def _sanitizer(name: str, kind: str, options: tuple[str, str] | None = None) -> Profile:
    """A sanitizer. ``options``: its variable and value, in force for what a build runs and in environments."""
    own = {options[0]: options[1]} if options is not None else {}
    flags = f"-fsanitize={kind} -O1 {_FRAMES}"
    return Profile(
        name=name,
        env={"CFLAGS": flags, "CXXFLAGS": flags, "FFLAGS": flags, "LDFLAGS": f"-fsanitize={kind}", **own},
        activation_env=own,
        built_in=True,
    )


BUILT_IN: Mapping[str, Profile] = MappingProxyType(
    {
        each.name: each
        for each in (
            _debug(),
            # CPython and many programs do not free everything at their end: that is no finding
            _sanitizer("asan", "address", ("ASAN_OPTIONS", "detect_leaks=0")),
            _sanitizer("ubsan", "undefined", ("UBSAN_OPTIONS", "print_stacktrace=1")),
            _sanitizer("tsan", "thread"),
        )
    }
)
"""The profiles by name."""
