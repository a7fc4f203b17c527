"""Adding and removing tasks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from smelt.errors import ManifestError, UnknownNameError
from smelt.manifest.edit.manifest import ManifestText
from smelt.manifest.edit.scope import Scope
from smelt.manifest.task import TomlTaskArgument


@dataclass(frozen=True, slots=True, kw_only=True)
class NewTask:
    """A task to be written. ``cmd`` empty: an alias for ``depends_on``, whose entries are (task, arguments)."""

    cmd: str = ""
    depends_on: Sequence[tuple[str, Sequence[str]]] = ()
    arguments: Sequence[TomlTaskArgument] = ()
    cwd: str | None = None
    env: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    default_environment: str | None = None
    description: str | None = None
    clean_env: bool = False

    @property
    def is_alias(self) -> bool:
        """Whether it runs nothing of its own."""
        return not self.cmd.strip() and bool(self.depends_on)


def task_value(task: NewTask) -> object:
    """``task`` as an entry of a ``tasks`` table: the shortest form that says it."""
    dependencies = [
        {"task": name, "args": list(arguments)} if arguments else {"task": name} if task.is_alias else name
        for name, arguments in task.depends_on
    ]
    arguments = [
        {"arg": each.name}
        | ({"default": each.default} if each.default is not None else {})
        | ({"choices": list(each.choices)} if each.choices is not None else {})
        if each.default is not None or each.choices is not None
        else each.name
        for each in task.arguments
    ]
    if task.is_alias and not arguments and task.description is None:
        return dependencies
    found: dict[str, object] = {} if task.is_alias else {"cmd": task.cmd}
    if arguments:
        found["args"] = arguments
    if task.default_environment is not None and not task.is_alias:
        found["default-environment"] = task.default_environment
    if dependencies:
        found["depends-on"] = dependencies
    if not task.is_alias:
        if task.cwd is not None:
            found["cwd"] = task.cwd
        if task.env:
            found["env"] = dict(task.env)
        if task.clean_env:
            found["clean-env"] = True
    if task.description is not None:
        found["description"] = task.description
    return task.cmd if found.keys() == {"cmd"} else found


def add_task(manifest: ManifestText, scope: Scope, name: str, task: NewTask, *, replace: bool = False) -> ManifestText:
    """With the task ``name``. Raises ManifestError (``manifest-duplicate``) if there is one, unless ``replace``."""
    manifest = scope.prepare(manifest)
    path = scope.path(manifest, "tasks")
    if name in manifest.table(path) and not replace:
        raise ManifestError(
            f"the task `{name}` is already defined for {scope}",
            code="manifest-duplicate",
            help=f"`smelt task remove {name}` removes it",
        )
    return manifest.set((*path, name), task_value(task))


def remove_task(manifest: ManifestText, scope: Scope, name: str) -> ManifestText:
    """Without the task ``name``. Raises UnknownNameError (``unknown-task``) if there is none."""
    path = scope.path(manifest, "tasks")
    if name not in manifest.table(path):
        where = str(scope).replace("`", "'")
        raise UnknownNameError(f"the task '{name}' does not exist for {where}", code="unknown-task")
    return scope.settle(manifest.remove((*path, name)), path)
