"""``pixi-build-cmake``: C and C++ projects, configured by CMake, built by Ninja, installed into the prefix.

Source: the reference's page "pixi-build-cmake". The build is the reference's but for what makes it the same
everywhere: the code is built in a copy, and libraries go into ``lib`` on every distribution. The variable
``CMAKE_BUILD_TYPE``, which a profile may set, says what is built where nothing else does.
"""

from __future__ import annotations

from smelt.source.backends.configuration import Configuration, configuration_of
from smelt.source.backends.interface import BackendRecipe
from smelt.source.backends.tables import PackageTables, about_of, identity_of, uses_v3
from smelt.source.model import MANIFESTS, RenderRequest
from smelt.source.variants import compiler_variants
from smelt.types import platform_family

NAME = "pixi-build-cmake"
VERSION = "1"

BUILD_FOLDER = "_smelt_build"
"""Below the copy of the source: a project may well have a folder ``build`` of its own."""

_KEYS = ("extra-args", "env", "debug-dir", "extra-input-globs", "compilers")
_EPOCH = "315532800"


class CmakeBackend:
    """The backend for CMake projects."""

    name = NAME
    version = VERSION

    def recipe(self, request: RenderRequest) -> BackendRecipe:
        """The recipe of a CMake project.

        Raises SourceError (no name or version, bad configuration), NotSupportedError (extra dependency groups).
        """
        configuration = configuration_of(request, NAME, _KEYS)
        tables = PackageTables.of(request)
        name, version = identity_of(request)
        compilers = configuration.texts("compilers")
        requirements = tables.recipe(build=("cmake", "ninja"), compilers=("cxx",) if compilers is None else compilers)
        package = request.package
        build: dict[str, object] = {
            "number": package.build_number or 0,
            "script": {
                "content": _script(request, configuration),
                "env": {"SOURCE_DATE_EPOCH": _EPOCH, **configuration.mapping("env")},
            },
        }
        if package.flags:
            build["flags"] = list(package.flags)
        warnings = ("`debug-dir` has no effect and may be removed",) if "debug-dir" in configuration.values else ()
        return BackendRecipe(
            recipe={
                "package": {"name": name, "version": version},
                # The copy that the build gets holds the files of the tree digest and no others.
                "source": [{"path": ".", "use_gitignore": False}],
                "build": build,
                "requirements": requirements,
                "about": about_of(request),
            },
            recipe_path=package.manifest_path,
            folder=request.checkout.folder,
            file_globs=(*MANIFESTS, *(configuration.texts("extra-input-globs") or ())),
            variants=compiler_variants(request.subdir),
            source_requirements=tables.sources(),
            build_tree=BUILD_FOLDER,
            v3=uses_v3(request, requirements),
            warnings=warnings,
        )


def _script(request: RenderRequest, configuration: Configuration) -> str:
    windows = platform_family(request.build_subdir) == "win"
    extra = configuration.texts("extra-args") or ()
    # As in the reference, later options win: `CMAKE_ARGS` of the toolchain, then ours, then those of the package.
    kind = "%CMAKE_BUILD_TYPE%" if windows else '"${CMAKE_BUILD_TYPE:-Release}"'
    options = [
        *([] if windows else ["-DCMAKE_INSTALL_LIBDIR=lib"]),
        "%CMAKE_ARGS%" if windows else "${CMAKE_ARGS:-}",
        "-GNinja",
        "-S .",
        f"-B {BUILD_FOLDER}",
        f"-DCMAKE_BUILD_TYPE={kind}",
        f'-DCMAKE_INSTALL_PREFIX="{"%LIBRARY_PREFIX%" if windows else "$PREFIX"}"',
        "-DCMAKE_EXPORT_COMPILE_COMMANDS=ON",
        "-DBUILD_SHARED_LIBS=ON",
        "%SMELT_PYTHON%" if windows else '${SMELT_PYTHON:+"$SMELT_PYTHON"}',
        *extra,
    ]
    build = f"cmake --build {BUILD_FOLDER} --target install"
    if windows:
        lines = [
            "ninja --version",
            "cmake --version",
            "if not defined CMAKE_BUILD_TYPE set CMAKE_BUILD_TYPE=Release",
            "set SMELT_PYTHON=",
            'if exist "%PYTHON%" set SMELT_PYTHON=-DPython_EXECUTABLE="%PYTHON%"',
            " ^\n    ".join(["cmake", *options]),
            "if errorlevel 1 exit 1",
            build,
            "if errorlevel 1 exit 1",
        ]
    else:
        lines = [
            "ninja --version",
            "cmake --version",
            # the variable is there whether or not there is a Python in the host environment
            "SMELT_PYTHON=",
            'if [ -x "${PYTHON:-}" ]; then SMELT_PYTHON="-DPython_EXECUTABLE=$PYTHON"; fi',
            " \\\n    ".join(["cmake", *options]),
            build,
        ]
    return "\n".join(lines) + "\n"
