"""Wheels: what is refused, what is asked of Python and platform, what becomes of the files."""

from __future__ import annotations

import json
import sys
import zipfile
from pathlib import Path

import pytest
from channel_support import record_row, run, states
from packaging.tags import Tag, parse_tag

from smelt.channel.conversion import Fit, convert, describe, fit, platforms_of
from smelt.channel.folder import create
from smelt.channel.model import PLACEHOLDER, PackageFile
from smelt.channel.targets import Target, dependencies, environment, reach
from smelt.channel.wheelfile import Metadata, parse_metadata, read_files, read_wheel
from smelt.channel.wheels import add_wheels
from smelt.errors import ChannelError, NotSupportedError, UsageError
from smelt.types import current_platform

LINUX = Target(python="3.12.1", platform="linux-64")


def metadata(*lines: str, name: str = "demo", python: str = "") -> Metadata:
    head = [f"Name: {name}", "Version: 1.0", *([f"Requires-Python: {python}"] if python else [])]
    return parse_metadata("\n".join([*head, *(f"Requires-Dist: {line}" for line in lines)]).encode(), name)


class TestReach:
    """Whom a package with these requirements is for."""

    def test_no_conditions(self) -> None:
        found = reach(metadata("a>=1", "b[x]", python=">=3.9"), {}, LINUX)
        assert (found.depends, found.python, found.guard, found.subdir) == (("a >=1", "b"), ">=3.9", None, None)

    def test_conditions_that_never_hold_change_nothing(self) -> None:
        found = reach(
            metadata("old; python_version < '3.8'", "pp; implementation_name == 'pypy'", python=">=3.9"), {}, LINUX
        )
        assert (found.depends, found.python) == ((), ">=3.9")

    @pytest.mark.parametrize(
        ("python", "depends", "spec"),
        [
            ("3.9.0", ("tomli",), ">=3.9,<3.11.0a0"),
            ("3.10.13", ("tomli",), ">=3.9,<3.11.0a0"),
            ("3.11.0", (), ">=3.11"),
            ("3.13.0", (), ">=3.11"),
        ],
    )
    def test_conditions_on_python_split_packages(self, python: str, depends: tuple[str, ...], spec: str) -> None:
        told = metadata("tomli; python_version < '3.11'", python=">=3.9")
        found = reach(told, {}, Target(python=python, platform="linux-64"))
        assert (found.depends, found.python) == (depends, spec)

    def test_conditions_on_patch_releases_bind_to_one_minor(self) -> None:
        found = reach(metadata("x; python_full_version < '3.12.1'"), {}, LINUX)
        assert (found.depends, found.python) == ((), ">=3.12,<3.13.0a0")

    @pytest.mark.parametrize(
        ("line", "platform", "guard", "subdir"),
        [
            ("colorama; sys_platform == 'win32'", "linux-64", "__unix", None),
            ("colorama; sys_platform == 'win32'", "osx-arm64", "__unix", None),
            ("colorama; sys_platform == 'win32'", "win-64", "__win", None),
            ("x; sys_platform == 'linux'", "linux-64", "__linux", None),
            ("x; platform_machine == 'x86_64'", "linux-64", None, "linux-64"),
            ("x; platform_machine == 'x86_64' and sys_platform == 'linux'", "win-64", "__win", None),
        ],
    )
    def test_conditions_on_platforms(self, line: str, platform: str, guard: str | None, subdir: str | None) -> None:
        found = reach(metadata(line), {}, Target(python="3.12.1", platform=platform))
        assert (found.guard, found.subdir) == (guard, subdir)

    def test_extras_of_dependencies_are_named_beside_them(self) -> None:
        web = metadata("h2; extra == 'http2'", "base", "socks[fast]; extra == 'proxy'", name="web")
        socks = metadata("speed; extra == 'fast'", name="socks")
        catalog = {"web": web, "socks": socks}
        values = environment("3.12.1", "linux-64")
        assert dependencies(metadata("web[http2]>=1"), catalog, values) == ("h2", "web >=1")
        assert dependencies(metadata("web[proxy]"), catalog, values) == ("socks", "speed", "web")
        assert dependencies(web, catalog, values, frozenset({"http2"})) == ("base", "h2")

    def test_extras_that_name_their_own_package(self) -> None:
        told = metadata("demo[a,b]; extra == 'all'", "x; extra == 'a'", "y; extra == 'b'")
        values = environment("3.12.1", "linux-64")
        assert dependencies(told, {"demo": told}, values, frozenset({"all"})) == ("x", "y")
        circle = metadata("demo[b]; extra == 'a'", "demo[a]; extra == 'b'", "x; extra == 'b'")
        assert dependencies(circle, {"demo": circle}, values, frozenset({"a"})) == ("x",)

    def test_a_python_that_is_not_admitted(self) -> None:
        with pytest.raises(ChannelError, match="needs Python"):
            reach(metadata(python=">=3.13"), {}, LINUX)


def glibc(version: str) -> tuple[str, ...]:
    return (f"__glibc >={version},<3.0.a0",)


@pytest.mark.parametrize(
    ("tag", "expected"),
    [
        ("py3-none-any", Fit(portable=True)),
        ("py2.py3-none-any", Fit(portable=True)),
        ("py313-none-any", None),
        ("cp312-cp312-manylinux_2_17_x86_64", Fit(abi="cp312", oldest=12, portable=False, guards=glibc("2.17"))),
        ("cp39-abi3-manylinux2014_x86_64.manylinux1_x86_64", Fit(oldest=9, portable=False, guards=glibc("2.5"))),
        ("cp312-cp312-linux_x86_64", Fit(abi="cp312", oldest=12, portable=False)),
        ("cp39-abi3-manylinux_2_28_x86_64", Fit(oldest=9, portable=False, guards=glibc("2.28"))),
        ("cp313-abi3-manylinux_2_28_x86_64", None),
        ("py3-none-manylinux_2_17_x86_64", Fit(portable=False, guards=glibc("2.17"))),
        ("cp312-cp312-musllinux_1_2_x86_64", None),
        ("cp312-cp312-manylinux_2_17_aarch64", None),
        ("cp312-cp312t-manylinux_2_17_x86_64", None),
        ("cp311-cp311-manylinux_2_17_x86_64", None),
        ("pp310-pypy310_pp73-manylinux_2_17_x86_64", None),
        ("cp312-cp312-win_amd64", None),
    ],
)  # fmt: skip
def test_tags(tag: str, expected: Fit | None) -> None:
    assert fit(frozenset(parse_tag(tag)), LINUX) == expected


def test_tags_of_other_platforms() -> None:
    mac = frozenset(parse_tag("cp312-cp312-macosx_11_0_arm64"))
    found = fit(mac, Target(python="3.12.1", platform="osx-arm64"))
    assert found is not None
    assert found.guards == ("__osx >=11.0",)
    assert platforms_of(mac) == ("osx-arm64",)
    assert platforms_of(frozenset(parse_tag("cp312-cp312-macosx_11_0_universal2"))) == ("osx-64", "osx-arm64")
    assert platforms_of(frozenset({Tag("py3", "none", "any")})) == ()


class TestHostile:
    """Wheels that are damaged or made to harm are refused, each with its reason."""

    @pytest.mark.parametrize("path", ["../evil.py", "/evil.py", "a/../../evil.py", "a\\..\\evil.py", "C:/evil.py"])
    def test_paths(self, make_wheel, path: str) -> None:
        with pytest.raises(ChannelError, match="not allowed"):
            read_wheel(make_wheel(files={path: b""}))

    def test_links(self, make_wheel) -> None:
        path = make_wheel()
        with zipfile.ZipFile(path, "a") as archive:
            link = zipfile.ZipInfo("demo/link")
            link.external_attr = 0o120777 << 16
            archive.writestr(link, "/etc/passwd")
        with pytest.raises(ChannelError, match="is a link"):
            read_wheel(path)

    def test_the_same_file_twice(self, make_wheel) -> None:
        path = make_wheel()
        with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(path, "a") as archive:
            archive.writestr("demo/__init__.py", b"VALUE = 13\n")
        with pytest.raises(ChannelError, match="twice"):
            read_wheel(path)

    def test_names_that_differ_in_case(self, make_wheel) -> None:
        with pytest.raises(ChannelError, match="case only"):
            read_wheel(make_wheel(files={"demo/a.py": b"", "demo/A.py": b""}))

    def test_bytes_before_the_archive(self, make_wheel) -> None:
        path = make_wheel()
        path.write_bytes(b"#!/bin/sh\n" + path.read_bytes())
        with pytest.raises(ChannelError, match="bytes before"):
            read_wheel(path)

    def test_files_that_record_does_not_list(self, make_wheel) -> None:
        path = make_wheel(files={"demo.py": b"", "extra.py": b""}, unrecorded=["extra.py"])
        with pytest.raises(ChannelError, match=r"no hash of `extra.py`"):
            read_wheel(path)

    def test_files_that_are_not_what_record_says(self, make_wheel, tmp_path: Path) -> None:
        path = make_wheel(files={"demo.py": b"good = 1\n"})
        other = tmp_path / path.name
        with zipfile.ZipFile(path) as source, zipfile.ZipFile(other, "w") as target:
            for info in source.infolist():
                target.writestr(info, b"good = 0\n" if info.filename == "demo.py" else source.read(info))
        wheel = read_wheel(other)
        with pytest.raises(ChannelError, match="not what RECORD says"):
            list(read_files(wheel))

    def test_another_distribution_inside(self, make_wheel, tmp_path: Path) -> None:
        path = make_wheel()
        renamed = path.rename(tmp_path / "other-1.0-py3-none-any.whl")
        with pytest.raises(ChannelError, match="it says that it is demo"):
            read_wheel(renamed)

    def test_two_dist_infos(self, make_wheel) -> None:
        with pytest.raises(ChannelError, match="several dist-info"):
            read_wheel(make_wheel(files={"other-1.0.dist-info/METADATA": b""}))

    @pytest.mark.parametrize("command", ["../../bin/sh = demo:f", "x = demo:f; import os", "x = os", "a/b = demo:f"])
    def test_entry_points(self, make_wheel, command: str) -> None:
        with pytest.raises(ChannelError, match="not allowed"):
            read_wheel(make_wheel(entry_points=f"[console_scripts]\n{command}\n"))

    @pytest.mark.parametrize(
        "path",
        [
            "demo-1.0.data/data/conda-meta/x.json",
            "demo-1.0.data/scripts/python",
            "demo-1.0.data/data/etc/conda/activate.d/x.sh",
        ],
    )
    def test_files_of_the_environment(self, make_wheel, tmp_path: Path, path: str) -> None:
        wheel = read_wheel(make_wheel(files={path: b"x"}))
        head = describe(wheel, LINUX, {})
        with pytest.raises(ChannelError, match="belongs to the environment"):
            convert(wheel, head, LINUX, tmp_path)

    def test_the_name_of_the_interpreter(self, make_wheel) -> None:
        with pytest.raises(ChannelError, match="place of the interpreter"):
            describe(read_wheel(make_wheel("python")), LINUX, {})

    def test_truncated(self, make_wheel) -> None:
        path = make_wheel()
        data = path.read_bytes()
        for cut in range(0, len(data), 37):
            path.write_bytes(data[:cut])
            with pytest.raises(ChannelError):
                read_wheel(path)

    def test_missing_and_misnamed(self, tmp_path: Path) -> None:
        with pytest.raises(ChannelError, match="there is no wheel"):
            read_wheel(tmp_path / "demo-1.0-py3-none-any.whl")
        with pytest.raises(ChannelError, match="not the name of a wheel"):
            read_wheel(tmp_path / "demo.whl")


FILES = {
    "demo/__init__.py": b"def main():\n    print('demo ran')\n    return 0\n",
    "demo-1.0.data/scripts/demo-script": b"#!python\nimport demo, sys\nprint(sys.prefix)\n",
    "demo-1.0.data/scripts/demo-shell": b"#!/bin/sh\necho shell\n",
    "demo-1.0.data/data/share/demo/data.txt": b"data\n",
    "demo-1.0.data/headers/demo.h": b"#define DEMO 1\n",
    "demo-1.0.data/purelib/demo_pure.py": b"",
    "demo-1.0.dist-info/licenses/LICENSE": b"do what you want\n",
    "demo-1.0.dist-info/direct_url.json": b"{}",
    "demo-1.0.dist-info/INSTALLER": b"pip\n",
}
ENTRY_POINTS = "[console_scripts]\ndemo = demo:main\n[gui_scripts]\nDemo.UI = demo:main [x]\n"


def test_where_files_of_a_compiled_wheel_go(make_wheel, tmp_path: Path) -> None:
    wheel = read_wheel(make_wheel(tag="cp312-cp312-linux_x86_64", files=FILES, entry_points=ENTRY_POINTS))
    head = describe(wheel, LINUX, {})
    assert (head.subdir, head.noarch, head.entry_points) == ("linux-64", None, ())
    assert head.build.startswith("py312h")
    assert set(head.depends) == {"python >=3.12,<3.13.0a0", "python_abi 3.12.* *_cp312"}
    made = convert(wheel, head, LINUX, tmp_path)
    entries = {entry.path: entry for entry in made.entries if isinstance(entry, PackageFile)}
    packages = "lib/python3.12/site-packages"
    assert set(entries) == {
        "bin/demo-script",
        "bin/demo-shell",
        "bin/demo",
        "bin/Demo.UI",
        "share/demo/data.txt",
        "include/python3.12/demo/demo.h",
        f"{packages}/demo/__init__.py",
        f"{packages}/demo_pure.py",
        *(
            f"{packages}/demo-1.0.dist-info/{n}"
            for n in ("METADATA", "WHEEL", "RECORD", "INSTALLER", "entry_points.txt")
        ),
        f"{packages}/demo-1.0.dist-info/licenses/LICENSE",
    }
    script = entries["bin/demo-script"]
    assert script.placeholder and script.executable
    assert bytes(script.content).startswith(f"#!{PLACEHOLDER}/bin/python\n".encode())  # type: ignore[arg-type]
    assert not entries["bin/demo-shell"].placeholder
    record = bytes(entries[f"{packages}/demo-1.0.dist-info/RECORD"].content).decode()  # type: ignore[arg-type]
    assert record_row("demo/__init__.py", FILES["demo/__init__.py"]) in record
    assert "../../../bin/demo-script,,\n" in record
    assert "../../../bin/demo,,\n" in record
    assert "direct_url" not in record
    assert dict(made.licenses) == {"LICENSE": b"do what you want\n"}


def test_wheels_work_in_an_environment_made_by_rattler(
    bare_channel: Path, make_wheel, install, long_prefix: Path, tmp_path: Path
) -> None:
    """Without the network: local wheels that need each other, installed beside the running Python."""
    import shutil

    channel = tmp_path / "channel"
    shutil.copytree(bare_channel, channel)
    lib = make_wheel("demolib", "2.0", files={"demolib.py": b"NAME = 'lib'\n"}, metadata="Requires-Python: >=3.9\n")
    short = f"cp{sys.version_info[0]}{sys.version_info[1]}"
    tag = {"linux": f"{short}-{short}-linux_x86_64"}.get(sys.platform)
    demo = make_wheel(files=FILES, entry_points=ENTRY_POINTS, metadata="Requires-Dist: demolib>=1,<3\n")
    wheels = [str(lib), str(demo)]
    if current_platform() == "linux-64":
        wheels.append(
            str(
                make_wheel(
                    "demoext",
                    tag=tag,
                    files={"demoext.py": b"def f(): print('ext')\n"},
                    entry_points="[console_scripts]\ndemoext = demoext:f\n",
                )
            )
        )
    first = add_wheels(channel, wheels)
    assert all(states(first).values())
    second = add_wheels(channel, wheels)
    assert not any(states(second).values())
    assert states(first).keys() == states(second).keys()
    for prefix in (tmp_path / "short", long_prefix):
        install(channel, ["demo", "python", *(["demoext"] if len(wheels) > 2 else [])], prefix)
        python = prefix / "bin" / "python"
        assert run([prefix / "bin" / "demo"]) == "demo ran"
        assert run([prefix / "bin" / "Demo.UI"]) == "demo ran"
        assert run([prefix / "bin" / "demo-shell"]) == "shell"
        # a shebang longer than the kernel takes is turned into `env python`, so the prefix must be on PATH
        assert run([prefix / "bin" / "demo-script"], PATH=f"{prefix}/bin:/usr/bin:/bin") == str(prefix)
        assert (prefix / "share/demo/data.txt").read_bytes() == b"data\n"
        told = (
            "import importlib.metadata as m; d = m.distribution('demo');"
            "print(d.read_text('INSTALLER').strip(), d.read_text('direct_url.json'), m.version('demolib'));"
            "print(all(f.locate().exists() for f in d.files))"
        )
        assert run([python, "-c", told]) == "conda None 2.0\nTrue"
        if len(wheels) > 2:
            assert run([prefix / "bin" / "demoext"]) == "ext"


def test_purls_and_noarch_metadata(make_wheel, channel: Path) -> None:
    wheel = make_wheel(
        metadata="License-Expression: MIT\nSummary: a demo\nRequires-Python: >=3.9,<4\nProject-URL: Homepage, https://demo.example\n"
    )
    [added] = add_wheels(channel, [str(wheel)], pythons=["3.12"], dependencies=False)
    assert added.subdir == "noarch"
    record = json.loads((channel / "noarch" / "repodata.json").read_text())["packages.conda"][added.path.name]
    assert record["depends"] == ["python >=3.9,<4a0"]
    assert record["purls"] == ["pkg:pypi/demo@1.0"]
    assert (record["license"], record["noarch"]) == ("MIT", "python")


def test_what_a_user_may_get_wrong(make_wheel, channel: Path) -> None:
    wheel = str(make_wheel())
    with pytest.raises(UsageError, match="no version of Python"):
        add_wheels(channel, [wheel], pythons=["abc"])
    with pytest.raises(NotSupportedError, match="linux-s390x"):
        add_wheels(channel, [wheel], platform="linux-s390x")
    with pytest.raises(UsageError, match="neither a wheel nor a requirement"):
        add_wheels(channel, ["not a requirement!"])
    with pytest.raises(ChannelError, match="cannot be resolved"):
        add_wheels(channel, [str(make_wheel("picky", metadata="Requires-Python: >=3.13\n"))], pythons=["3.12"])
    assert not list((channel / "noarch").glob("*.conda"))


def test_a_file_for_another_platform_and_python_chooses_both(make_wheel, channel: Path) -> None:
    wheel = make_wheel("macdemo", tag="cp313-cp313-macosx_11_0_arm64", files={"macdemo.py": b""})
    [added] = add_wheels(channel, [str(wheel)], dependencies=False)
    assert added.subdir == "osx-arm64"
    assert added.build.startswith("py313h")


def test_packages_that_serve_several_pythons_are_made_once(make_wheel, tmp_path: Path) -> None:
    channel = tmp_path / "c"
    create(channel)
    wheel = make_wheel(metadata="Requires-Dist: tomli; python_version < '3.11'\n")
    first = add_wheels(channel, [str(wheel)], pythons=["3.10", "3.12", "3.13"], dependencies=False)
    assert len(first) == 2
    again = add_wheels(channel, [str(wheel)], pythons=["3.13"], dependencies=False)
    assert [a.added for a in again] == [False]
