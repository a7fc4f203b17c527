"""What C and C++ compilers are called with, on every machine and in every prefix alike."""

from __future__ import annotations

from collections.abc import Mapping

from smelt.channel.activation import Settings
from smelt.types import platform_family

_INCLUDE = "-isystem $_smelt_prefix/include"
_SOURCE_NAME = "/usr/local/src/conda/${PKG_NAME:-package}-${PKG_VERSION:-0}"
PREFIX_MAPS = (
    # the last that fits wins: this one is for temporary files and the like
    "-ffile-prefix-map=$_smelt_output=/usr/local/src/conda-output",
    f"-ffile-prefix-map=${{SRC_DIR:-.}}={_SOURCE_NAME}",
    "-ffile-prefix-map=$_smelt_prefix=/usr/local/src/conda-prefix",
    "-ffile-prefix-map=$_smelt_tools=/usr/local/src/conda-build-prefix",
)
"""Folders that differ from build to build do not get into what is compiled."""


def cxx_settings(path: str) -> Settings:
    """The settings of a C++ compiler, beside those of the C compiler it goes with."""
    return Settings(variables={"CXX": path}, flags={"CXXFLAGS": compile_flags()}, build_flags={"CXXFLAGS": PREFIX_MAPS})


def compile_flags() -> tuple[str, ...]:
    """What every C and C++ file is compiled with."""
    return ("-O2", "-fPIC", _INCLUDE)


def base_settings(variables: Mapping[str, str], target: str, platform: str, build: str | None = None) -> Settings:
    """The settings of a C compiler, which carries what all languages share: linker flags and the like.

    ``build``: the compiler's word for the machine that it runs on, where it does not compile for that.
    """
    cmake = [
        "-DCMAKE_BUILD_TYPE=Release",
        "-DCMAKE_INSTALL_LIBDIR=lib",
        *(f"-DCMAKE_{name}={variables[name]}" for name in ("AR", "RANLIB", "NM", "STRIP") if name in variables),
        *([] if build is None else [f"-DCMAKE_SYSTEM_NAME=Linux -DCMAKE_SYSTEM_PROCESSOR={target.partition('-')[0]}"]),
    ]
    build = build or target
    return Settings(
        variables={**variables, "CONDA_TOOLCHAIN_HOST": target, "CONDA_TOOLCHAIN_BUILD": build},
        flags={
            "CFLAGS": compile_flags(),
            "CPPFLAGS": ("-DNDEBUG", _INCLUDE),
            "LDFLAGS": linker_flags(platform),
            "CMAKE_ARGS": cmake,
            "MESON_ARGS": ("-Dbuildtype=release", "-Dlibdir=lib"),
        },
        build_flags={
            "CFLAGS": PREFIX_MAPS,
            "CMAKE_ARGS": ("-DCMAKE_INSTALL_PREFIX=$_smelt_prefix",),
            "MESON_ARGS": ("--prefix=$_smelt_prefix",),
        },
        # HOST and BUILD not in shells: zsh has a HOST of its own. The path as a variable, because as an argument it
        # would take the place of what scikit-build-core adds to it.
        build_variables={"HOST": target, "BUILD": build, "CMAKE_PREFIX_PATH": "$_smelt_prefix"},
    )


def linker_flags(platform: str) -> tuple[str, ...]:
    """Flags of the linker for a platform; nothing in them differs from one build to the next but the prefix."""
    shared = ("-Wl,-rpath,$_smelt_prefix/lib", "-L$_smelt_prefix/lib")
    if platform_family(platform) == "osx":
        return ("-Wl,-headerpad_max_install_names", "-Wl,-dead_strip_dylibs", *shared)
    return ("-Wl,--as-needed", "-Wl,-z,relro", "-Wl,-z,now", "-Wl,--build-id=none", *shared)
