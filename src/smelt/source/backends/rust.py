"""``pixi-build-rust``: crates, installed into the prefix by ``cargo install``.

Source: the reference's page "pixi-build-rust". Differs from it in that the code is built in a copy, and that
only the package's own ``env`` (never the machine's environment) switches sccache on.
"""

from __future__ import annotations

from collections.abc import Sequence

from smelt.source.backends.cargo import Crate, read_crate
from smelt.source.backends.configuration import configuration_of
from smelt.source.backends.interface import BackendRecipe
from smelt.source.backends.tables import PackageTables, about_of, identity_of, uses_v3
from smelt.source.model import MANIFESTS, RenderRequest
from smelt.source.variants import compiler_variants
from smelt.types import platform_family

NAME = "pixi-build-rust"
VERSION = "1"

BUILD_FOLDER = "_smelt_build"

_KEYS = ("extra-args", "env", "debug-dir", "extra-input-globs", "ignore-cargo-manifest", "compilers", "binaries")
_EPOCH = "315532800"


class RustBackend:
    """The backend for crates."""

    name = NAME
    version = VERSION

    def recipe(self, request: RenderRequest) -> BackendRecipe:
        """The recipe of a crate.

        Raises SourceError (no name or version, a ``Cargo.toml`` that will not do, bad configuration) and
        NotSupportedError (metadata of a Cargo workspace in another folder, extra dependency groups).
        """
        configuration = configuration_of(request, NAME, _KEYS)
        ignored = configuration.boolean("ignore-cargo-manifest") or False
        crate = Crate() if ignored else read_crate(request.checkout.folder)
        name, version = identity_of(request, crate.name, crate.version)
        env = configuration.mapping("env")
        sccache = any(key.startswith("SCCACHE") for key in env)
        compilers = configuration.texts("compilers")
        tables = PackageTables.of(request)
        requirements = tables.recipe(
            build=("sccache",) if sccache else (), compilers=("rust", "c") if compilers is None else compilers
        )
        arguments = [*(configuration.texts("extra-args") or ())]
        arguments += [word for each in configuration.texts("binaries") or () for word in ("--bin", each)]
        package = request.package
        build: dict[str, object] = {
            "number": package.build_number or 0,
            "script": {
                "content": _script(request.build_subdir, arguments, sccache=sccache),
                "env": {"SOURCE_DATE_EPOCH": _EPOCH, **env},
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
                "about": about_of(
                    request,
                    homepage=crate.homepage,
                    license=crate.license,
                    license_file=[crate.license_file] if crate.license_file else None,
                    summary=crate.description,
                    description=crate.description,
                    documentation=crate.documentation,
                    repository=crate.repository,
                ),
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


def _script(build_subdir: str, arguments: Sequence[str], *, sccache: bool) -> str:
    """The build script. As in the reference, ``arguments`` are text of the shell."""
    windows = platform_family(build_subdir) == "win"
    words = " ".join(arguments)
    lines: list[str] = []
    if windows:
        tools = "%BUILD_PREFIX%\\Library\\bin\\"
        lines.append('if exist "%PREFIX%\\Library\\include\\openssl" set "OPENSSL_DIR=%PREFIX%"')
        lines += [f'set "{tool.upper()}={tools}{tool}"' for tool in ("cargo", "rustc", "rustdoc")]
        root = '"%PREFIX%"'
    else:
        tools = "$BUILD_PREFIX/bin/"
        lines.append('if [ -d "$PREFIX/include/openssl" ]; then export OPENSSL_DIR="$PREFIX"; fi')
        lines += [f'export {tool.upper()}="{tools}{tool}"' for tool in ("cargo", "rustc", "rustdoc")]
        root = '"$PREFIX"'
    if sccache:
        lines.append("set RUSTC_WRAPPER=sccache" if windows else "export RUSTC_WRAPPER=sccache")
    options = f"--locked --root {root} --path . --target-dir {BUILD_FOLDER} --no-track"
    lines.append(" ".join(filter(None, [f'"{tools}cargo" install', options, words, "--force"])))
    if windows:
        lines.append("if errorlevel 1 exit 1")
    if sccache:
        lines.append("sccache --show-stats")
    return "\n".join(lines) + "\n"
