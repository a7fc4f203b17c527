"""Publishing: every variant of the packages of a workspace, built and delivered to a folder or channel."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, cast

from smelt.api.build_options import BuildOptions, for_workspace
from smelt.api.building import run_builds
from smelt.api.platforms import environment_named
from smelt.api.publish_set import Member, check_alone, check_closed, in_order, member, opted_in
from smelt.build.model import Artifact, BuildNode
from smelt.errors import ManifestError, SmeltError, UnknownNameError
from smelt.manifest.document import read_document
from smelt.resolve.groups import virtual_packages_of
from smelt.resolve.model import Context, SourceRequirement
from smelt.resolve.packages import PackageLoader
from smelt.resolve.publication import Publication, solve_variants, with_variants
from smelt.resolve.workspace import context_of
from smelt.text import shown_path
from smelt.types import current_platform
from smelt.workspace.discovery import MANIFESTS
from smelt.workspace.load import RECIPES
from smelt.workspace.package import Package
from smelt.workspace.variant import read_variant_file

if TYPE_CHECKING:
    from smelt.api.publish_target import Delivered, Existing, Target
    from smelt.api.workspace import Workspace


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishOptions:
    """What to publish, and how it is built.

    ``path``: this package alone (a folder, a manifest or a recipe), whether or not it wants to be published; None: all
    that want to, or the package in the working folder where none does. ``platform``: conda subdir that is built for,
    ``build_platform``: the one that is built on (both this machine's by default).
    ``environment``: whose channels, profile and variants count. ``variants``: values of variant keys
    in the place of the workspace's; ``variant_files``: files with more of them, the last one first.
    ``build_number`` and ``build_string_prefix`` in the place of the packages' own.
    """

    path: Path | None = None
    platform: str | None = None
    build_platform: str | None = None
    environment: str = "default"
    variants: Mapping[str, Sequence[str]] = field(default_factory=lambda: MappingProxyType({}))
    variant_files: tuple[Path, ...] = ()
    build_number: int | None = None
    build_string_prefix: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishPlan:
    """``publication``: the builds. ``packages``: how many packages were chosen; ``fallback``: none wanted to be
    published, so it is the one in the working folder. ``circle``: names that need each other, so that no order is
    right. ``unused``: variant keys (or ``key=value``) that were asked for and that nothing uses.
    """

    publication: Publication
    packages: int
    fallback: bool
    circle: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()

    @property
    def nodes(self) -> tuple[BuildNode, ...]:
        """What is published, each after what it needs."""
        by_key = {node.key: node for node in self.publication.plan.nodes}
        return tuple(by_key[key] for key in self.publication.keys)


def plan_publication(
    workspace: Workspace, options: PublishOptions, fallback: Callable[[], None] | None = None
) -> PublishPlan:
    """Find, check and solve what is to be published; nothing is built, and the lock file stays as it is.

    ``fallback`` is called where no package wants to be published. Raises ManifestError, SourceError (``publish-set``),
    SolveError, UnknownNameError and what loading, rendering and solving raise.
    """
    context = _context(workspace, options)
    lock = workspace.read_lock()
    chosen: frozenset[Path] = frozenset()

    def amend(_: SourceRequirement, package: Package) -> Package:
        if package.root.resolve() not in chosen:
            return package
        number, prefix = options.build_number, options.build_string_prefix
        return replace(
            package,
            build_number=package.build_number if number is None else number,
            build_string_prefix=package.build_string_prefix if prefix is None else prefix,
        )

    loader = PackageLoader(workspace.model, lock, network=workspace.network, tools=workspace.tools, amend=amend)
    paths = [path.parent for path in opted_in(workspace.model.root)] if options.path is None else []
    alone = options.path
    if options.path is None and not paths:
        if fallback is not None:
            fallback()
        alone = Path()
    if alone is not None:
        paths = [_package_at(alone)]
    chosen = frozenset((path if path.is_dir() else path.parent).resolve() for path in paths)
    members = [member(path, loader, context) for path in paths]
    members = [each for each in members if each.outputs]
    if not members:
        raise UnknownNameError(
            f"no package produces outputs for platform {context.subdir}",
            code="unknown-package",
            help="their recipes skip it, or `--variant` leaves nothing over",
        )
    if alone is not None:
        check_alone(members[0], loader)
    else:
        check_closed(members, loader, context)
    order, circle = in_order(members)
    owner = {output.name: each for each in members for output in each.outputs}
    requirements = [replace(owner[name].requirement, name=name) for name in order]
    network = workspace.network
    told = workspace.reporters.resolve
    told.solving("publish", context.subdir)
    try:
        publication = asyncio.run(solve_variants(requirements, loader, context, lock, network))
    except SmeltError:
        told.failed("publish", context.subdir)
        raise
    told.solved("publish", context.subdir, len(publication.keys))
    return PublishPlan(
        publication=publication,
        packages=len(members),
        fallback=options.path is None and alone is not None,
        circle=circle,
        unused=_unused(members, options.variants),
    )


def build_publication(
    workspace: Workspace, plan: PublishPlan, options: BuildOptions | None = None
) -> tuple[Artifact, ...]:
    """Build what of ``plan`` is not in the store; what is to be published, each after what it needs.

    Raises BuildError, also for what is to be built on a platform that this machine does not run.
    """
    # no environment needs what is published
    options = replace(for_workspace(options or BuildOptions(), workspace), kept=None)
    artifacts = run_builds(plan.publication.plan, options, workspace.reporters)
    found: dict[str, Artifact] = {}
    for key in plan.publication.keys:
        found.setdefault(f"{artifacts[key].record.subdir}/{artifacts[key].path.name}", artifacts[key])
    return tuple(found.values())


def publish(
    workspace: Workspace,
    target: Target,
    options: PublishOptions | None = None,
    *,
    existing: Existing = "skip",
    build: BuildOptions | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> tuple[Delivered, ...]:
    """Plan, build and deliver (``smelt.api.publish_target`` has the targets).

    ``say`` hears of packages that are left as they are. Raises what planning, building and delivering raise.
    """
    target.check()
    plan = plan_publication(workspace, options or PublishOptions())
    return target.deliver(build_publication(workspace, plan, build), existing, say)


def _context(workspace: Workspace, options: PublishOptions) -> Context:
    model = workspace.model
    environment = environment_named(model, options.environment)
    wanted = options.platform or current_platform()
    platforms = [p for p in model.platforms_of(environment) if wanted in (p.name, p.subdir)]
    if not platforms:
        listed = ", ".join(p.name for p in model.platforms_of(environment)) or "none"
        raise UnknownNameError(
            f"platform '{wanted}' is not part of environment '{environment}'",
            code="unknown-platform",
            help=f"it has {listed}; `smelt workspace platform add {wanted}` adds it",
        )
    context = context_of(model, (model.effective[environment, platforms[0].name],))
    builder = options.build_platform or current_platform()
    if builder == context.subdir:
        context = replace(context, build_subdir=None, build_virtual_packages=())
    else:
        virtual = virtual_packages_of(model, builder)
        context = replace(context, build_subdir=builder, build_virtual_packages=virtual)
    files = [read_variant_file(path, context.subdir) for path in options.variant_files]
    declared = _declared(model.manifest_path) if files else frozenset[str]()
    return with_variants(context, options.variants, files, declared)


def _declared(manifest: Path) -> frozenset[str]:
    """The variant keys that the manifest itself gives values to."""
    tables: object = read_document(manifest).data
    for key in ("tool", "pixi") if manifest.name == "pyproject.toml" else ():
        tables = _table(tables).get(key)
    workspace = _table(_table(tables).get("workspace") or _table(tables).get("project"))
    found = set(_table(workspace.get("build-variants")))
    for target in _table(workspace.get("target")).values():
        found |= set(_table(_table(target).get("build-variants")))
    return frozenset(found)


def _table(value: object) -> Mapping[str, object]:
    return cast("Mapping[str, object]", value) if isinstance(value, Mapping) else {}


def _package_at(path: Path) -> Path:
    """The folder of a package, or its recipe where that is named. Raises ManifestError for what is no package."""
    absolute = path.absolute()
    names = (*MANIFESTS, *RECIPES)
    if absolute.is_dir():
        if any((absolute / name).is_file() for name in names):
            return absolute.resolve()
        raise ManifestError(
            f"'{shown_path(path)}' does not contain a supported build manifest",
            code="manifest-not-a-package",
            help=f"expected one of {', '.join(names)}",
        )
    if not absolute.exists():
        raise ManifestError(f"there is no {shown_path(path)}", code="manifest-missing")
    if absolute.name in MANIFESTS:
        return absolute.parent.resolve()
    if absolute.name in ("recipe.yaml", "recipe.yml"):
        return absolute.resolve()
    raise ManifestError(
        f"the build manifest file '{shown_path(path)}' is not a supported format",
        code="manifest-not-a-package",
        help=f"supported are {', '.join((*MANIFESTS, 'recipe.yaml', 'recipe.yml'))}",
    )


def _unused(members: Sequence[Member], variants: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """Which of the variant keys and values that were asked for no output has."""
    used: dict[str, set[str]] = {}
    for output in (output for each in members for output in each.outputs):
        for key, value in output.variant.items():
            used.setdefault(_folded(key), set()).add(value)
    found: list[str] = []
    for key, values in variants.items():
        known = used.get(_folded(key))
        found += [key] if known is None else [f"{key}={value}" for value in values if value not in known]
    return tuple(found)


def _folded(key: str) -> str:
    return key.replace("-", "_").replace(".", "_")
