"""A workspace from a manifest, and requests to it."""

from __future__ import annotations

from pathlib import Path

from smelt.tasks.graph import plan_tasks
from smelt.tasks.model import TaskPlan, TaskRequest
from smelt.tasks.search import Choose, task_scope
from smelt.types import current_platform
from smelt.workspace.load import load_workspace
from smelt.workspace.model import Workspace

HEAD = f"""
[workspace]
name = "test"
channels = []
platforms = ["{current_platform()}", "linux-riscv64"]
"""


def workspace(root: Path, text: str) -> Workspace:
    """The workspace that ``text`` (without its head) means."""
    root.mkdir(parents=True, exist_ok=True)
    (root / "pixi.toml").write_text(HEAD + text)
    return load_workspace(root / "pixi.toml")


def plan(
    model: Workspace,
    *words: str,
    environment: str | None = None,
    platform: str | None = None,
    skip_deps: bool = False,
    executable: bool = False,
    templated: bool = False,
    cwd: Path | None = None,
    choose: Choose | None = None,
) -> TaskPlan:
    """The plan of ``smelt run [-e environment] words…``."""
    scope = task_scope(model, environment=environment, platform=platform, choose=choose)
    request = TaskRequest(
        words=words,
        init_cwd=cwd or model.root,
        environment=environment,
        platform=platform,
        skip_deps=skip_deps,
        executable=executable,
        templated=templated,
    )
    return plan_tasks(request, scope)


def commands(planned: TaskPlan) -> list[tuple[str, str]]:
    """(environment, command) of every step."""
    return [(task.environment, task.command) for task in planned.tasks]
