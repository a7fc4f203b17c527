"""What the environments of a workspace are made of while its packages are being worked on.

Two things differ from ``smelt build``, for packages whose source is a folder: their Python modules are shown where they
are (``smelt.build.editable``), and compilers go on with what they made before (``smelt.build.tree``). Neither is ever
kept under a build key, so what is built with, published, packed or verified is made from nothing, as always.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from smelt.api.build_options import BuildOptions
from smelt.api.build_selection import needed_by
from smelt.api.building import remember, run_builds, settle, store, trees_folder, work_folder
from smelt.api.reporter import Reporters
from smelt.build.editable import derive, find, is_editable
from smelt.build.model import Artifact, BuildNode
from smelt.build.store import Store
from smelt.build.tree import Trees
from smelt.build.work_folder import can_resume
from smelt.resolve.plan import BuildPlan
from smelt.types import digest_json


def builds_to_work_with(
    plan: BuildPlan, keys: Collection[str], options: BuildOptions, reporters: Reporters
) -> Mapping[str, Artifact]:
    """What stands for the builds ``keys`` (of ``plan``) in environments of the workspace, by build key.

    Nothing is built for a package whose modules are shown where nothing else of it changed. Raises what ``run_builds``
    raises, ArchiveError, CacheError.
    """
    artifacts = store(reporters.build.warning)
    editable = {node.key: node for node in plan.nodes if node.key in keys and is_editable(node)}
    found = {key: find(artifacts, node) for key, node in editable.items()}
    ready = {key: artifact for key, artifact in found.items() if artifact is not None}
    # a sandbox sees no folder in which a tree could be kept
    own_nodes = () if options.sandbox else _needed(plan, keys, ready)
    compiled = [node for node in own_nodes if node.key in keys and _leaves_tree(node)]
    outer = _outer(compiled, _needed(plan, keys, ready), artifacts)
    resumed = {
        node.key: replace(node, key=digest_json(["incremental", node.key]), content="", recorded=None) for node in outer
    }
    for key, node in list(resumed.items()):
        artifact = artifacts.lookup(node.key)
        if artifact is not None:
            ready[key] = artifact
        if artifact is not None or not can_resume(node, work_folder(), trees_folder()):
            del resumed[key]
    nodes = tuple(resumed.get(node.key, node) for node in _needed(plan, keys, ready))
    own = {node.key for node in resumed.values()}
    trees = Trees(root=trees_folder(), keep=frozenset({node.key for node in compiled} | own), resume=frozenset(own))
    built = dict(run_builds(replace(plan, nodes=nodes), replace(options, workspace=None), reporters, trees))
    for key, node in resumed.items():
        built[key] = built.pop(node.key)
    result = built | ready
    for key, node in editable.items():
        if found[key] is None:
            result[key] = derive(artifacts, node, result[key])
    if options.workspace is not None:
        remember(plan, options.workspace, result)
        settle(plan, options, reporters)
    return result


def _needed(plan: BuildPlan, keys: Collection[str], ready: Collection[str]) -> tuple[BuildNode, ...]:
    return needed_by(plan.nodes, [key for key in keys if key not in ready])


def _leaves_tree(node: BuildNode) -> bool:
    return node.variant.build_tree is not None and node.checkout.digest is None and node.checkout.folder.is_dir()


def _outer(compiled: Sequence[BuildNode], nodes: Sequence[BuildNode], artifacts: Store) -> list[BuildNode]:
    """Of ``compiled``, what has to be built, and for no other build: that one would have to know how it was made."""
    missing = [node for node in nodes if artifacts.lookup(node.key, tell=False) is None]
    inner = {key for node in missing for key in node.needs}
    due = {node.key for node in missing} - inner
    return [node for node in compiled if node.key in due and artifacts.same_files(node) is None]
