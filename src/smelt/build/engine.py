"""rattler-build itself, called for one frozen recipe. Source: py-rattler-build 0.73."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


class BuildFailed(Exception):
    """rattler-build gave up; the message is its own, the reason is in the log."""


def run_engine(
    recipe: dict[str, Any],
    *,
    recipe_folder: Path,
    variant: Mapping[str, str],
    subdir: str,
    build_subdir: str,
    revision3: bool,
    channels: Sequence[str],
    output: Path,
    progress: Any,
) -> Path:
    """Build ``recipe`` in ``output`` and give the package file.

    ``subdir``: the platform that it is for (that of the build, for what is noarch). Where that is another one than
    ``build_subdir``, both are in ``variant``, too: rattler-build takes the platforms of a build from there.
    ``revision3``: the recipe uses what only the third revision of repodata knows.
    ``progress`` has ``on_log(event)``, called with each line as it comes; nothing else of this interpreter runs
    meanwhile (rattler-build holds its lock). The prefixes stay for inspection. Raises BuildFailed.
    """
    import rattler_build
    from rattler_build import RenderConfig, Stage0Recipe, VariantConfig
    from rattler_build.tool_config import PlatformConfig, ToolConfiguration

    untyped: Any = rattler_build
    failure: type[Exception] = untyped.RattlerBuildError
    revision = untyped.RepodataRevision.V3 if revision3 else untyped.RepodataRevision.LEGACY
    # what is experimental was allowed or not when the recipe was rendered first
    platform = PlatformConfig(
        target_platform=subdir, build_platform=build_subdir, host_platform=subdir, experimental=True
    )
    stage0: Any = Stage0Recipe
    try:
        rendered = stage0.from_dict(recipe, recipe_dir=recipe_folder, repodata_revision=revision).render(
            VariantConfig({key: [value] for key, value in variant.items()}),
            RenderConfig(platform=platform, repodata_revision=revision),
        )
        result = rendered[0].run_build(
            tool_config=ToolConfiguration(
                keep_build=True,
                compression_threads=1,
                # the same name may be locked from different channels for build and host
                channel_priority="disabled",
            ),
            output_dir=output,
            channels=list(channels),
            progress_callback=progress,
            no_build_id=True,
            # read and written again right away: no time for compression
            package_format="conda:1",
            no_include_recipe=True,
        )
    except failure as error:
        raise BuildFailed(str(error).removeprefix("PyRattlerBuildError: ").strip()) from error
    packages: list[Path] = [Path(package) for package in result.packages]
    if len(packages) != 1:
        raise BuildFailed(f"one package was to be built, there are {len(packages)}")
    return packages[0]
