"""The folders that builds work in, and the trees that are kept of them."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from smelt.build.environment import output_folder
from smelt.build.model import BuildNode
from smelt.build.tree import has_tree, tree_key
from smelt.errors import BuildError
from smelt.fs import remove_tree
from smelt.types import digest_json


@contextmanager
def explained(node: BuildNode, folder: Path) -> Generator[None]:
    try:
        yield
    except OSError as error:
        raise BuildError(
            f"{node.label}: the work folder cannot be used: {error.strerror or error}",
            code="work-folder",
            notes=[str(error.filename or folder)],
            help="free some space, correct the permissions, or choose another cache (PIXI_CACHE_DIR)",
        ) from error


def lock_of(folder: Path) -> Path:
    """The lock of a work folder."""
    return folder.with_name(f"{folder.name}.lock")


def work_name(node: BuildNode) -> str:
    """The same for every build of a package and variant, so that paths in it are stable; short."""
    variant = node.variant
    digest = digest_json([variant.name, node.subdir, node.build_subdir, dict(variant.variant), variant.build])
    return f"{variant.name[:_NAME]}-{digest[:_DIGEST]}"


def can_resume(node: BuildNode, work_root: Path, trees: Path) -> bool:
    """Whether there is a tree that the build of ``node`` could go on with."""
    folder = work_root.resolve() / work_name(node)
    return has_tree(trees / folder.name, tree_key(node, output_folder_of(folder, node)))


def forget_tree(node: BuildNode, trees: Path) -> None:
    """Away with the tree of ``node``. Raises OSError."""
    remove_tree(trees / work_name(node))


_NAME, _DIGEST = 20, 8


def output_folder_of(folder: Path, node: BuildNode) -> Path:
    """The folder in the work ``folder`` of ``node`` below which all is that its build sees. Raises BuildError."""
    try:
        return output_folder(folder, node.variant.name)
    except ValueError as error:
        raise BuildError(
            f"the path of the work folder is {error} characters too long to build {node.variant.name} in it",
            code="path-too-long",
            notes=[str(folder)],
            help="use a cache with a shorter path (PIXI_CACHE_DIR)",
        ) from error
