"""Requests become plans: names, environments, dependencies, arguments, templates."""

from __future__ import annotations

from pathlib import Path

import pytest
from tasks_kit import commands, plan, workspace

from smelt.errors import TaskError, UnknownNameError
from smelt.types import current_platform

ENVIRONMENTS = """
[tasks]
both = "echo default"
only = "echo only"
test = { cmd = "pytest", default-environment = "test" }
[feature.test.tasks]
both = "echo test"
extra = "echo extra"
shared = "echo shared"
[feature.other.tasks]
chosen = { cmd = "echo chosen", default-environment = "three" }
[environments]
test = ["test"]
two = ["other"]
three = ["other", "test"]
bare = { features = ["other"], no-default-feature = true }
"""


@pytest.mark.parametrize(
    ("words", "environment", "expected"),
    [
        (("only",), None, ("default", "echo only")),
        (("only",), "test", ("test", "echo only")),
        (("test",), None, ("test", "pytest")),
        (("test",), "two", ("two", "pytest")),
        (("chosen",), None, ("three", "echo chosen")),
        (("chosen",), "two", ("two", "echo chosen")),
        (("both",), "test", ("test", "echo test")),
        (("both",), "default", ("default", "echo default")),
        (("nothing", "x"), None, ("default", "'nothing' 'x'")),
        (("nothing", "x"), "bare", ("bare", "'nothing' 'x'")),
    ],
)
def test_where_a_task_runs(
    words: tuple[str, ...], environment: str | None, expected: tuple[str, str], tmp_path: Path
) -> None:
    assert commands(plan(workspace(tmp_path, ENVIRONMENTS), *words, environment=environment)) == [expected]


def test_ambiguity_is_an_error_that_lists_environments_or_a_question(tmp_path: Path) -> None:
    model = workspace(tmp_path, ENVIRONMENTS)
    with pytest.raises(TaskError, match="'both' is ambiguous") as caught:
        plan(model, "both")
    assert caught.value.notes == ("these environments provide the task 'both': default, test, two, three",)
    asked: list[object] = []

    def choose(name: str, environments: tuple[str, ...]) -> str:
        asked.append((name, environments))
        return "three"

    assert commands(plan(model, "both", choose=choose)) == [("three", "echo test")]
    assert asked == [("both", ("default", "test", "two", "three"))]
    with pytest.raises(TaskError, match="ambiguous"):
        plan(model, "extra")


def test_a_task_that_is_elsewhere_is_not_taken_for_a_command(tmp_path: Path) -> None:
    model = workspace(tmp_path, ENVIRONMENTS)
    with pytest.raises(TaskError, match="'extra' is not available in environment 'two'") as caught:
        plan(model, "extra", environment="two")
    assert "smelt run --environment test extra" in (caught.value.help or "")
    with pytest.raises(UnknownNameError, match="unknown environment 'tst'"):
        plan(model, "extra", environment="tst")
    assert commands(plan(model, "extra", environment="two", executable=True)) == [("two", "extra")]


def test_tasks_of_foreign_platforms_are_found(tmp_path: Path) -> None:
    text = """
[feature.riscv]
platforms = ["linux-riscv64"]
[feature.riscv.target.linux-riscv64.tasks]
flash = "echo flash"
[environments]
riscv = ["riscv"]
"""
    planned = plan(workspace(tmp_path, text), "flash")
    assert [(task.environment, task.platform) for task in planned.tasks] == [("riscv", "linux-riscv64")]


def test_platform_selects_the_target(tmp_path: Path) -> None:
    model = workspace(tmp_path, '[tasks]\na = "echo any"\n[target.linux-riscv64.tasks]\na = "echo riscv"\n')
    assert commands(plan(model, "a")) == [("default", "echo any")]
    assert commands(plan(model, "a", platform="linux-riscv64")) == [("default", "echo riscv")]


def test_dependencies_come_first_and_once(tmp_path: Path) -> None:
    text = """
[tasks]
a = "echo a"
b = { cmd = "echo b", depends-on = ["a"] }
c = { cmd = "echo c", depends-on = ["a", "b"] }
all = [{ task = "c" }, { task = "a" }, { task = "b" }]
"""
    model = workspace(tmp_path, text)
    assert [command for _, command in commands(plan(model, "all"))] == ["echo a", "echo b", "echo c"]
    assert [command for _, command in commands(plan(model, "c", skip_deps=True))] == ["echo c"]
    assert commands(plan(model, "all", skip_deps=True)) == []


def test_a_task_runs_once_for_each_environment_and_arguments(tmp_path: Path) -> None:
    text = """
[tasks]
a = { cmd = "echo {{ x }}", args = [{ arg = "x", default = "1" }] }
all = { depends-on = [
  { task = "a" }, { task = "a", args = ["1"] }, { task = "a", args = ["2"] }, { task = "a", args = [{ x = "2" }] },
  { task = "a", environment = "other" }, { task = "a", environment = "default" } ] }
[environments]
other = []
"""
    model = workspace(tmp_path, text)
    expected = [("default", "echo 1"), ("default", "echo 2"), ("other", "echo 1")]
    assert commands(plan(model, "all")) == expected
    # what a dependency says wins over the command line
    assert commands(plan(model, "all", environment="other"))[-1] == ("default", "echo 1")


def test_cycles_are_shown(tmp_path: Path) -> None:
    text = """
[tasks]
a = { cmd = "echo a", depends-on = ["b"] }
b = { cmd = "echo b", depends-on = ["c"] }
c = { cmd = "echo c", depends-on = ["b"] }
"""
    with pytest.raises(TaskError, match="circle") as caught:
        plan(workspace(tmp_path, text), "a")
    assert caught.value.notes == ("b (in default) → c (in default) → b (in default)",)
    assert caught.value.labels


@pytest.mark.parametrize(
    ("task", "reason"),
    [
        ('{ cmd = "x", depends-on = ["tets"] }', "could not find the task 'tets', which 'a' depends on"),
        ('{ cmd = "x", depends-on = [{ task = "test", environment = "no" }] }', "in environment 'no', which does not"),
        ('{ cmd = "x", depends-on = [{ task = "need" }] }', "no value provided for argument 'x' of task 'need'"),
        ('{ cmd = "x", depends-on = [{ task = "need", args = [{ y = "1" }] }] }', "named argument 'y' does not exist"),
        ('{ cmd = "x", depends-on = [{ task = "need", args = ["{{ y }}"] }] }', "failed to replace argument"),
        ('{ cmd = "echo {{ y }}" }', "failed to replace argument placeholders in the task 'a'"),
        ('{ cmd = "echo {{ y | upper }}" }', "failed to replace argument placeholders"),
        ('{ cmd = "echo {{ y" }', "failed to replace argument placeholders"),
    ],
)
def test_bad_tasks(task: str, reason: str, tmp_path: Path) -> None:
    text = f'[tasks]\ntest = "echo"\nneed = {{ cmd = "echo {{{{ x }}}}", args = ["x"] }}\na = {task}\n'
    with pytest.raises(TaskError) as caught:
        plan(workspace(tmp_path, text), "a")
    assert reason in caught.value.message


ARGUMENTS = """
[tasks]
greet = { cmd = "echo Hello, {{ name }}!", args = ["name"] }
build = { cmd = "echo {{ a }} {{ b }}", args = [{ arg = "a", default = "x" }, { arg = "b", default = "y" }] }
pick = { cmd = "echo {{ m }}", args = [{ arg = "m", default = "debug", choices = ["debug", "release"] }] }
free = "echo free:"
outer = { depends-on = [{ task = "greet", args = ["{{ who }}"] }], args = [{ arg = "who", default = "you" }] }
passing = { depends-on = [{ task = "free", args = ["p q", "r"] }] }
"""


@pytest.mark.parametrize(
    ("words", "command"),
    [
        (("greet", "John"), "echo Hello, John!"),
        (("build",), "echo x y"),
        (("build", "1"), "echo 1 y"),
        (("build", "1", "2"), "echo 1 2"),
        (("build", "1", "--", "--fast", "it's"), "echo 1 y --fast it's"),
        (("build", "--", "--fast"), "echo x y --fast"),
        (("pick", "release"), "echo release"),
        (("free", "a", "--", "b"), "echo free: a -- b"),
        (("free", "--", "a", "--", "b"), "echo free: a -- b"),
        (("outer",), "echo Hello, you!"),
        (("outer", "me"), "echo Hello, me!"),
        (("passing",), "echo free: p q r"),
        (("greet you",), "echo Hello, you!"),
    ],
)
def test_arguments(words: tuple[str, ...], command: str, tmp_path: Path) -> None:
    assert commands(plan(workspace(tmp_path, ARGUMENTS), *words)) == [("default", command)]


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("greet",), "no value provided for argument 'name' of task 'greet'"),
        (("greet", "a", "b"), "task 'greet' received more arguments than expected"),
        (("pick", "fast"), "got 'fast' for argument 'm' of task 'pick', choose from: debug, release"),
        ((), "nothing to run was given"),
        (("echo 'open",), "has an open quote"),
    ],
)
def test_bad_arguments(words: tuple[str, ...], reason: str, tmp_path: Path) -> None:
    with pytest.raises(TaskError) as caught:
        plan(workspace(tmp_path, ARGUMENTS), *words)
    assert reason in caught.value.message


def test_templates_know_the_workspace(tmp_path: Path) -> None:
    text = """
[tasks]
show = "echo {{ pixi.platform }} {{ pixi.environment.name }} {{ pixi.manifest_path }} {{ pixi.init_cwd }}"
os = "{% if pixi.is_win %}win{% elif pixi.is_unix %}unix{% endif %} {{ pixi.is_linux | lower }} {{ pixi.version }}"
filters = { cmd = "echo {{ n|title }} {{ n|upper|replace('O', '0') }} {{ n|split('w')|join('-') }}", args = ["n"] }
env = { cmd = "echo $B", env = { B = "{{ b }} '\\"$HOME\\"'" }, args = [{ arg = "b", default = "numpy" }] }
files = { cmd = "x", inputs = ["{{ pixi.init_cwd }}/a"], outputs = ["{{ pixi.environment.name }}.txt"] }
comment = "echo {# nothing #}ok"
"""
    model = workspace(tmp_path, text)
    here = tmp_path / "sub"
    show = commands(plan(model, "show", cwd=here))[0][1]
    assert show == f"echo {current_platform()} default {tmp_path / 'pixi.toml'} {here}"
    assert commands(plan(model, "os"))[0][1].split()[0] in ("win", "unix")
    assert commands(plan(model, "filters", "hello world"))[0][1] == "echo Hello World HELL0 W0RLD hello -orld"
    assert plan(model, "env").tasks[0].script == 'export "B=numpy \'\\"$HOME\\"\'"\necho $B'
    files = plan(model, "files", cwd=here).tasks[0]
    assert (files.inputs, files.outputs) == ((f"{here}/a",), ("default.txt",))
    assert commands(plan(model, "comment"))[0][1] == "echo ok"


def test_templates_are_kept_in_a_sandbox(tmp_path: Path) -> None:
    model = workspace(tmp_path, "[tasks]\na = \"{{ ''.__class__.__mro__ }}\"\n")
    with pytest.raises(TaskError, match="failed to replace"):
        plan(model, "a")


def test_commands_are_not_templates_unless_asked(tmp_path: Path) -> None:
    model = workspace(tmp_path, "")
    assert commands(plan(model, "echo", "{{ hello }}"))[0][1] == "'echo' '{{ hello }}'"
    planned = plan(model, "echo", "{{ pixi.environment.name }}", templated=True)
    assert planned.tasks[0].command == "'echo' 'default'"
    assert plan(model, "echo", "it's", cwd=tmp_path / "x").tasks[0].cwd == tmp_path / "x"


def test_one_word_may_be_a_script(tmp_path: Path) -> None:
    model = workspace(tmp_path, "")
    assert plan(model, "echo 'a b' && echo c").tasks[0].script == "echo a b && echo c"
    assert plan(model, "echo", "a && b").tasks[0].script == "'echo' 'a && b'"


def test_lists_are_quoted_where_needed(tmp_path: Path) -> None:
    text = """
[tasks]
a = { cmd = ["python", "-c", "print('x y')", "$HOME", "[z]", "", 'C:\\dir with\\'] }
"""
    script = plan(workspace(tmp_path, text), "a").tasks[0].script
    assert script == 'python -c "print(\'x y\')" $HOME "[z]" "" "C:\\dir with"\'\\\''


def test_cwd_and_clean_env(tmp_path: Path) -> None:
    model = workspace(tmp_path, '[tasks]\na = { cmd = "x", cwd = "sub/../scripts", clean-env = true }\n')
    task = plan(model, "a").tasks[0]
    assert (task.cwd, task.clean_env) == (tmp_path / "scripts", True)


def test_arguments_of_dependencies_by_place_and_by_name(tmp_path: Path) -> None:
    """Positional ones first, named ones in any order, defaults fill the gaps; what does not fit is said."""
    base = """
[tasks.base]
cmd = "echo {{ one }} {{ two }} {{ three }}"
args = ["one", { arg = "two", default = "2" }, { arg = "three", default = "3" }]
[tasks]
"""

    def command(arguments: str) -> str:
        model = workspace(tmp_path, f'{base}go = {{ depends-on = [{{ task = "base", args = {arguments} }}] }}\n')
        return plan(model, "go").tasks[0].command

    assert command('["a", { three = "c" }]') == "echo a 2 c"
    assert command('[{ two = "b" }, { one = "a" }]') == "echo a b 3"
    for arguments, message in (
        ('["a", { four = "d" }]', "'four' does not exist"),
        ('[{ two = "b" }, "a"]', "Positional argument 'a' found after named argument"),
        ('[{ two = "b" }]', "no value provided for argument 'one'"),
        ('["a", { one = "b" }]', "argument 'one' of task base is given twice"),
        ('["a", "b", "c", "d"]', "more arguments than expected: 'd'"),
    ):
        with pytest.raises(TaskError, match=message):
            command(arguments)


def test_words_begin_where_minijinja_says(tmp_path: Path) -> None:
    model = workspace(tmp_path, "[tasks.t]\ncmd = \"echo {{ x | title }}\"\nargs = ['x']\n")
    assert plan(model, "t", "'hELLO wORLD' a-b").tasks[0].command == "echo 'Hello World' A-B"
