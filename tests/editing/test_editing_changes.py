"""The pure edits: one change, one new text."""

from __future__ import annotations

import pytest
import tomli

from smelt.errors import ManifestError, NotSupportedError, UnknownNameError
from smelt.manifest.edit.activation import add_scripts, remove_scripts, remove_variables, set_variables
from smelt.manifest.edit.channel import add_channels, remove_channels, set_channels
from smelt.manifest.edit.dependency import add_dependency, dependency_scopes, remove_dependency
from smelt.manifest.edit.environment import add_environment, remove_environment, remove_feature
from smelt.manifest.edit.manifest import ManifestText
from smelt.manifest.edit.platform import PlatformChange, add_platforms, edit_platform, move_platform, remove_platforms
from smelt.manifest.edit.properties import add_preview, remove_preview, set_property, set_requires_pixi
from smelt.manifest.edit.requirement import add_requirement, remove_requirement
from smelt.manifest.edit.scope import Scope
from smelt.manifest.edit.task import NewTask, add_task, remove_task, task_value
from smelt.manifest.platform import TomlPlatform
from smelt.manifest.pypi import PypiRequirement, parse_requirement
from smelt.types import CondaSpec, GitReference, SourceLocation, VirtualPackage

HEAD = '[workspace]\nname = "x"\nchannels = ["conda-forge"]\nplatforms = ["linux-64"]\n'


def pixi(text: str = "") -> ManifestText:
    return ManifestText.parse(HEAD + text, "pixi", "pixi.toml")


def pyproject(text: str) -> ManifestText:
    return ManifestText.parse(text, "pyproject", "pyproject.toml")


def added(manifest: ManifestText, name: str, spec: CondaSpec, scope: Scope | None = None, **more: bool) -> ManifestText:
    return add_dependency(manifest, scope or Scope(), "dependencies", name, spec, **more)[0]


def test_a_dependency_goes_behind_the_last_one() -> None:
    manifest = pixi("\n[dependencies]\n# keep\na = '1' # one\n\n[tasks]\n")
    text = added(manifest, "b", CondaSpec(version=">=2,<3")).text
    assert text == HEAD + "\n[dependencies]\n# keep\na = '1' # one\nb = \">=2,<3\"\n\n[tasks]\n"


def test_an_entry_keeps_its_place_its_quotes_and_its_comment() -> None:
    manifest = pixi("\n[dependencies]\nB = '1' # one\na = \"*\"\n")
    text = added(manifest, "b", CondaSpec(version="2.*")).text
    assert text == HEAD + "\n[dependencies]\nB = '2.*' # one\na = \"*\"\n"


def test_a_bare_name_changes_nothing_that_is_there() -> None:
    manifest = pixi('\n[dependencies]\na = ">=1"\nb = { workspace = true }\nc.workspace = true\n')
    for name, outcome in (("a", "exists"), ("b", "inherited"), ("c", "inherited")):
        assert add_dependency(manifest, Scope(), "dependencies", name, CondaSpec()) == (manifest, outcome)
    assert added(manifest, "c", CondaSpec(version="==1")).get(("dependencies", "c")) == "==1"
    assert added(manifest, "a", CondaSpec(), overwrite=True).get(("dependencies", "a")) == "*"


def test_a_dependency_with_more_than_a_version() -> None:
    git = SourceLocation(git="https://git.example/a.git", reference=GitReference(tag="v1"), subdirectory="sub")
    manifest = added(pixi(), "a", CondaSpec(location=git))
    assert manifest.text == HEAD + (
        '\n[dependencies]\na = { git = "https://git.example/a.git", tag = "v1", subdirectory = "sub" }\n'
    )
    manifest = added(pixi(), "a", CondaSpec(version=">=1", build="*cuda*", channel="nvidia"))
    assert manifest.get(("dependencies", "a")) == {"version": ">=1", "build": "*cuda*", "channel": "nvidia"}


def test_tables_are_made_where_they_belong() -> None:
    manifest = pixi("\n[feature.a.tasks]\nx = 'y'\n\n[environments]\na = ['a']\n")
    text = added(manifest, "b", CondaSpec(version="1"), Scope(feature="a", selector="linux-64")).text
    middle = "[feature.a.tasks]\nx = 'y'\n\n[feature.a.target.linux-64.dependencies]\nb = \"1\"\n\n[environments]"
    assert middle in text
    text = added(manifest, "b", CondaSpec(version="1"), Scope(environment="a")).text
    assert "a = { features = ['a'], dependencies = { b = \"1\" } }".replace("['a']", '["a"]') in text


def test_inline_dotted_and_multiline_tables() -> None:
    manifest = pixi("\n[feature.a]\ndependencies = {\n    b = '1', # one\n    # two\n}\n")
    text = added(manifest, "c", CondaSpec(version="2"), Scope(feature="a")).text
    assert "{\n    b = '1', # one\n    # two\n    c = \"2\",\n}\n" in text
    manifest = pixi("\n[feature]\na.dependencies.b = '1' # one\n")
    text = added(manifest, "c", CondaSpec(version="2"), Scope(feature="a")).text
    assert "a.dependencies.b = '1' # one\na.dependencies.c = \"2\"\n" in text


def test_line_endings_and_mark_stay() -> None:
    raw = "\ufeff" + (HEAD + "\n[dependencies]\na = '1'\n").replace("\n", "\r\n")
    text = added(ManifestText.parse(raw, "pixi", "pixi.toml"), "b", CondaSpec(version="2")).text
    assert text == raw + 'b = "2"\r\n'


def test_removing_a_dependency() -> None:
    manifest = pixi("\n[dependencies]\n# first\na = '1' # gone\nb.version = '2'\nb.channel = 'c'\n")
    manifest = remove_dependency(manifest, [Scope()], "dependencies", "A")
    assert manifest.text == HEAD + "\n[dependencies]\n# first\nb.version = '2'\nb.channel = 'c'\n"
    assert remove_dependency(manifest, [Scope()], "dependencies", "b").text == HEAD + "\n[dependencies]\n# first\n"
    with pytest.raises(UnknownNameError, match="`x` is not among the dependencies"):
        remove_dependency(manifest, [Scope()], "dependencies", "x")


def test_where_a_dependency_is() -> None:
    manifest = pixi("\n[feature.f.target.win.dependencies]\na = '1'\n\n[environments.e.dependencies]\nA = '1'\n")
    assert dependency_scopes(manifest, ["dependencies"], "a") == [
        (Scope(feature="f", selector="win"), "dependencies"),
        (Scope(environment="e"), "dependencies"),
    ]


def test_an_environment_without_content_goes() -> None:
    manifest = pixi("\n[environments.e.dependencies]\na = '1'\n")
    assert remove_dependency(manifest, [Scope(environment="e")], "dependencies", "a").text == HEAD
    manifest = pixi("\n[environments]\ne = { no-default-feature = true, dependencies = { a = '1' } }\n")
    manifest = remove_dependency(manifest, [Scope(environment="e")], "dependencies", "a")
    assert manifest.get(("environments", "e")) == {"no-default-feature": True, "features": []}


def requirement(text: str) -> PypiRequirement:
    found = parse_requirement(text, ())
    assert isinstance(found, PypiRequirement)
    return found


def test_pypi_dependencies_of_a_pixi_manifest() -> None:
    manifest, _ = add_requirement(pixi(), Scope(), requirement("Requests[security]>=2,<3"))
    assert manifest.get(("pypi-dependencies", "requests")) == {"version": ">=2, <3", "extras": ["security"]}
    manifest, _ = add_requirement(manifest, Scope(), requirement("a @ git+https://git.example/a@abc#subdirectory=s"))
    assert manifest.get(("pypi-dependencies", "a")) == {
        "git": "https://git.example/a",
        "rev": "abc",
        "subdirectory": "s",
    }
    assert add_requirement(manifest, Scope(), requirement("REQUESTS"))[1] is False
    manifest = remove_requirement(manifest, [Scope()], "Requests")
    assert manifest.table(("pypi-dependencies",)).keys() == {"a"}


PROJECT = """\
[project]
name = "p"
dependencies = [
    "a>=1", # one
]

[dependency-groups]
test = ["pytest"]

[tool.pixi.workspace]
channels = []
platforms = ["linux-64"]
"""


def test_pypi_dependencies_of_a_python_project() -> None:
    manifest, _ = add_requirement(pyproject(PROJECT), Scope(), requirement("b[x]~=2.0"))
    assert manifest.text == PROJECT.replace("# one\n", '# one\n    "b[x]~=2.0",\n')
    manifest, _ = add_requirement(manifest, Scope(), requirement("A==2"))
    assert manifest.get(("project", "dependencies")) == ["a==2", "b[x]~=2.0"]
    manifest, _ = add_requirement(manifest, Scope(feature="test"), requirement("hypothesis"))
    assert manifest.get(("dependency-groups", "test")) == ["pytest", "hypothesis"]
    manifest, _ = add_requirement(manifest, Scope(), requirement("c @ file:///src/c"))
    assert manifest.array(("project", "dependencies"))[-1] == "c @ file:///src/c"
    manifest, _ = add_requirement(manifest, Scope(selector="linux-64"), requirement("d"))
    assert manifest.get(("tool", "pixi", "target", "linux-64", "pypi-dependencies")) == {"d": "*"}
    manifest = remove_requirement(manifest, [Scope()], "b")
    assert remove_requirement(manifest, [Scope(feature="test")], "PyTest").get(("dependency-groups", "test")) == [
        "hypothesis"
    ]


def test_tasks() -> None:
    assert task_value(NewTask(cmd='echo "a"')) == 'echo "a"'
    assert task_value(NewTask(depends_on=[("a", ()), ("b", ("1",))])) == [{"task": "a"}, {"task": "b", "args": ["1"]}]
    task = NewTask(cmd="x", depends_on=[("a", ())], cwd="sub", env={"A": "1"}, description="does x", clean_env=True)
    manifest = add_task(pixi(), Scope(feature="f", selector="unix"), "t", task)
    assert manifest.get(("feature", "f", "target", "unix", "tasks", "t")) == {
        "cmd": "x",
        "depends-on": ["a"],
        "cwd": "sub",
        "env": {"A": "1"},
        "clean-env": True,
        "description": "does x",
    }
    with pytest.raises(ManifestError, match="already defined"):
        add_task(manifest, Scope(feature="f", selector="unix"), "t", task)
    with pytest.raises(UnknownNameError):
        remove_task(manifest, Scope(), "t")


def test_a_task_with_quotes_is_easy_to_read() -> None:
    text = add_task(pixi(), Scope(), "t", NewTask(cmd='python -c "print(1)"')).text
    assert "t = 'python -c \"print(1)\"'\n" in text


def test_channels() -> None:
    manifest = add_channels(pixi(), Scope(), ["bioconda", "conda-forge"])
    assert manifest.get(("workspace", "channels")) == ["conda-forge", "bioconda"]
    manifest = add_channels(manifest, Scope(), ["nvidia"], first=True, priority=2)
    assert 'channels = [{ channel = "nvidia", priority = 2 }, "conda-forge", "bioconda"]' in manifest.text
    manifest = add_channels(manifest, Scope(), ["nvidia"])
    assert manifest.get(("workspace", "channels")) == ["conda-forge", "bioconda", "nvidia"]
    manifest = remove_channels(manifest, Scope(), ["bioconda"])
    assert set_channels(manifest, Scope(), ["a"]).get(("workspace", "channels")) == ["a"]
    with pytest.raises(UnknownNameError, match="has no channel `x`"):
        remove_channels(manifest, Scope(), ["x"])
    assert add_channels(manifest, Scope(feature="f"), ["c"]).get(("feature", "f", "channels")) == ["c"]


def test_environments_and_features() -> None:
    manifest = pixi("\n[feature.a]\n\n[feature.b]\n\n[environments]\nab = ['a', 'b']\nx = { features = ['a'] }\n")
    manifest = add_environment(manifest, "b", features=["b"])
    manifest = add_environment(manifest, "g", features=["a"], solve_group="s", no_default_feature=True)
    assert manifest.text.endswith('b = ["b"]\ng = { features = ["a"], solve-group = "s", no-default-feature = true }\n')
    with pytest.raises(ManifestError, match="already exists"):
        add_environment(manifest, "b")
    with pytest.raises(UnknownNameError, match="`c` is not defined"):
        add_environment(manifest, "c", features=["c"])
    manifest = remove_feature(manifest, "a")
    assert manifest.get(("environments",)) == {
        "ab": ["b"],
        "x": {"features": []},
        "b": ["b"],
        "g": {"solve-group": "s", "no-default-feature": True},
    }
    assert "[feature.a]" not in manifest.text
    assert remove_environment(manifest, "ab").table(("environments",)).keys() == {"x", "b", "g"}


def test_activation() -> None:
    scope = Scope(feature="f", selector="unix")
    manifest = add_scripts(pixi(), scope, ["a.sh", "b.sh", "a.sh"])
    manifest = add_scripts(manifest, scope, ["b.sh"], first=True)
    assert manifest.get(("feature", "f", "target", "unix", "activation", "scripts")) == ["b.sh", "a.sh"]
    assert remove_scripts(manifest, scope, ["a.sh", "b.sh"]).text == HEAD
    manifest = set_variables(pixi("\n[environments]\ne = []\n"), Scope(environment="e"), {"A": "1", "B": "a=b"})
    assert manifest.get(("environments", "e", "activation", "env")) == {"A": "1", "B": "a=b"}
    manifest = remove_variables(manifest, Scope(environment="e"), ["A", "B"])
    assert manifest.get(("environments", "e")) == {"features": []}
    with pytest.raises(UnknownNameError, match="no activation environment variables are defined"):
        remove_variables(manifest, Scope(environment="e"), ["A"])


def rich(name: str, *packages: tuple[str, str], subdir: str = "linux-64") -> TomlPlatform:
    declared = tuple(VirtualPackage(name=each, version=version) for each, version in packages)
    return TomlPlatform(name=name, subdir=subdir, declared=declared)


def test_platforms() -> None:
    manifest, changed = add_platforms(pixi(), Scope(), [rich("gpu", ("__cuda", "12"), ("__cuda_arch", "8.6"))])
    assert changed == {"gpu"}
    assert '{ name = "gpu", platform = "linux-64", cuda = { driver = "12", arch = "8.6" } }' in manifest.text
    with pytest.raises(ManifestError, match="already declared as `gpu`"):
        add_platforms(manifest, Scope(), [rich("other", ("__cuda", "12"), ("__cuda_arch", "8.6"))])
    manifest, _ = add_platforms(manifest, Scope(feature="f"), [rich("gpu")])
    assert manifest.get(("feature", "f", "platforms")) == ["gpu"]
    change = PlatformChange(upsert=[VirtualPackage(name="__glibc", version="2.40")], remove=["__cuda_arch"])
    manifest = edit_platform(manifest, "gpu", change)
    assert manifest.array(("workspace", "platforms"))[1] == {
        "name": "gpu",
        "platform": "linux-64",
        "cuda": "12",
        "glibc": "2.40",
    }
    manifest = move_platform(manifest, "gpu", top=True)
    assert [type(each) for each in manifest.array(("workspace", "platforms"))] == [dict, str]
    assert remove_platforms(manifest, Scope(), ["gpu"]).get(("workspace", "platforms")) == ["linux-64"]


def test_a_platform_without_a_name_of_its_own_is_renamed_everywhere() -> None:
    manifest = pixi('\n[feature.f]\nplatforms = ["linux-64"] # here too\n')
    change = PlatformChange(upsert=[VirtualPackage(name="__cuda", version="12")])
    manifest = edit_platform(manifest, "linux-64", change)
    assert 'platforms = [{ platform = "linux-64", cuda = "12" }]' in manifest.text
    assert 'platforms = ["linux-64-cuda-12"] # here too' in manifest.text


def test_platforms_and_system_requirements_do_not_mix() -> None:
    manifest = pixi('\n[system-requirements]\ncuda = "12"\n')
    with pytest.raises(NotSupportedError, match="cannot be combined"):
        add_platforms(manifest, Scope(), [rich("gpu", ("__cuda", "12"))])
    assert add_platforms(manifest, Scope(), [rich("win-64", subdir="win-64")])[1] == {"win-64"}


def test_properties() -> None:
    manifest = set_property(pixi(), "description", 'it\'s "new"')
    assert tomli.loads(manifest.text)["workspace"]["description"] == 'it\'s "new"'
    assert set_property(pyproject(PROJECT), "version", "2").get(("project", "version")) == "2"
    old = ManifestText.parse('[project]\nname = "x"\nchannels = []\nplatforms = []\n', "pixi", "pixi.toml")
    assert set_property(old, "name", "y").get(("project", "name")) == "y"
    manifest = set_requires_pixi(manifest, ">=0.40")
    assert set_requires_pixi(manifest, None).get(("workspace", "requires-pixi")) is None
    manifest = add_preview(pixi(), "pixi-build")
    assert add_preview(manifest, "pixi-build") is manifest
    assert remove_preview(manifest, "pixi-build").text == HEAD
    with pytest.raises(ManifestError, match="enables all previews"):
        remove_preview(pixi("preview = true\n"), "pixi-build")


def test_arrays_of_tables_are_not_mistaken() -> None:
    text = HEAD.replace('platforms = ["linux-64"]\n', "") + '\n[[workspace.platforms]]\nname = "linux-64"\n'
    manifest = ManifestText.parse(text, "pixi", "pixi.toml")
    with pytest.raises(ManifestError, match=r"written with `\[\[…\]\]` headers"):
        add_platforms(manifest, Scope(), [rich("win-64", subdir="win-64")])
    manifest, _ = add_platforms(manifest, Scope(), [rich("gpu", ("__cuda", "12"))])
    assert manifest.text.endswith('\n[[workspace.platforms]]\nname = "gpu"\nplatform = "linux-64"\ncuda = "12"\n')
    assert remove_platforms(manifest, Scope(), ["linux-64"]).text.count("[[") == 1


def test_what_is_no_table_is_not_edited() -> None:
    with pytest.raises(ManifestError, match="cannot be edited"):
        added(pixi("dependencies = 1\n").set(("dependencies",), 1), "a", CondaSpec())
