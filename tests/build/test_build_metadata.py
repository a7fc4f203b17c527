"""Final metadata against what rattler-build writes into a package when it is left to itself."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from build_kit import SUBDIR, channel_records, plain_build, render

from smelt.build.metadata import finalize
from smelt.build.requirement import apply_pin, canonical
from smelt.errors import BuildError
from smelt.source.model import RenderedVariant
from smelt.types import CondaRecord, RunExports, spec_name

EXPORTERS = (
    """
package: {name: tool, version: 3.4.5}
build: {script: ["mkdir -p $PREFIX/share && touch $PREFIX/share/tool"]}
requirements:
  run_exports:
    strong: [libtool-run >=3.4, "libshared 1.*"]
    strong_constraints: ["toolbreaker <9"]
    weak: [tool-weak]
    noarch: [tool-noarch]
""",
    """
package: {name: libfoo, version: 1.2.3}
build: {script: ["mkdir -p $PREFIX/share && touch $PREFIX/share/libfoo"]}
requirements:
  run_exports:
    strong: [libfoo-strong]
    weak: ['${{ pin_subpackage("libfoo", upper_bound="x.x") }}', "libshared 1.*"]
    weak_constraints: [libfoo-old <0]
    strong_constraints: [libfoo-older <0]
    noarch: [libfoo-data]
""",
    """
package: {name: libbar, version: 9d}
build: {script: ["mkdir -p $PREFIX/share && touch $PREFIX/share/libbar"]}
requirements:
  run: [libfoo]
  run_exports: [libbar-implicit]
""",
    """
package: {name: libtool-run, version: 3.4.9}
build: {noarch: generic, script: ["mkdir -p $PREFIX/share && touch $PREFIX/share/libtool-run"]}
""",
    """
package: {name: libshared, version: 1.7}
build: {noarch: generic, script: ["mkdir -p $PREFIX/share && touch $PREFIX/share/libshared"]}
""",
)

CONSUMERS = {
    "everything": """
package: {name: app, version: 2.0.1}
build: {script: ["mkdir -p $PREFIX/share && touch $PREFIX/share/app"]}
requirements:
  build: [tool]
  host: [libfoo >=1, libbar]
  run: ['${{ pin_compatible("libfoo", lower_bound="x.x", upper_bound="x.x.x") }}', "numpy  >=1.21, <3", zlib, python]
  run_constraints: ['${{ pin_compatible("libbar") }}', "clash =2"]
  run_exports:
    weak: ['${{ pin_subpackage("app", exact=True) }}', '${{ pin_compatible("libfoo", upper_bound="x") }}']
    strong: [app-strong >=2]
""",
    "noarch": """
package: {name: app, version: 2.0.1}
build: {noarch: generic, script: ["mkdir -p $PREFIX/share && touch $PREFIX/share/app"]}
requirements:
  build: [tool]
  host: [libfoo, libbar]
  run: [zlib]
""",
    "ignored": """
package: {name: app, version: 2.0.1}
build: {script: ["mkdir -p $PREFIX/share && touch $PREFIX/share/app"]}
requirements:
  build: [tool]
  host: [libfoo, libbar]
  ignore_run_exports: {by_name: [libshared, libfoo-older], from_package: [libbar]}
""",
    "indirect": """
package: {name: app, version: 2.0.1}
build: {script: ["mkdir -p $PREFIX/share && touch $PREFIX/share/app"]}
requirements: {host: [libbar], run: ["libbar 9d.*", libbar]}
""",
    "alone": """
package: {name: app, version: 2.0.1}
build: {script: ["mkdir -p $PREFIX/share && touch $PREFIX/share/app"]}
""",
}


@pytest.fixture(scope="module")
def channel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exporters")
    for recipe in EXPORTERS:
        plain_build(recipe, folder)
    return folder


@pytest.mark.parametrize("name", list(CONSUMERS))
def test_metadata_is_what_rattler_build_writes(name: str, channel: Path, tmp_path: Path) -> None:
    """The oracle: rattler-build solves, applies run-exports and pins; we must say the same beforehand."""
    records = channel_records(channel / SUBDIR, channel / "noarch")
    recipe = CONSUMERS[name]
    variant = render(recipe, tmp_path)[0]
    environments = _environments(variant, records)
    final = finalize(variant, *environments, variant_constraints=False)
    info = plain_build(recipe, channel)
    index = info["info/index.json"]
    assert sorted(final.depends) == sorted(index["depends"])
    assert sorted(final.constrains) == sorted(index.get("constrains", []))
    assert final.run_exports.to_dict() == {
        key: value for key, value in info.get("info/run_exports.json", {}).items() if value
    }


def _environments(variant: RenderedVariant, records: dict[str, CondaRecord]) -> list[list[CondaRecord]]:
    """The closures of the requirements: what a solver finds where there is one of each package."""
    strong = {"libtool-run", "libshared"} if variant.build_requirements else set[str]()
    found: list[list[CondaRecord]] = []
    for requirements, extra in ((variant.build_requirements, set[str]()), (variant.host_requirements, strong)):
        names = {spec_name(item) for item in requirements if isinstance(item, str)} | extra
        pending = list(names)
        while pending:
            for spec in records[pending.pop()].depends:
                if spec_name(spec) not in names:
                    names.add(spec_name(spec))
                    pending.append(spec_name(spec))
        found.append([records[name] for name in sorted(names)])
    return found


def test_pins_as_rattler_build_applies_them() -> None:
    def pin(spec: str, **arguments: object) -> str:
        return apply_pin({"name": "p", **arguments}, spec, "h_0")

    assert pin("1.2.3", lower_bound="x.x.x.x.x.x", upper_bound="x") == "p >=1.2.3,<2.0a0"
    assert pin("9", lower_bound="x.x.x.x", upper_bound="x.x.x") == "p >=9,<9.0.1.0a0"
    assert pin("9d", upper_bound="x.x") == "p <9d.1.0a0"
    assert pin("9d", lower_bound="x", upper_bound="x") == "p >=9d,<10a"
    assert pin("1.0.2j", lower_bound="x.x.x", upper_bound="x.x.x") == "p >=1.0.2j,<1.0.3a"
    assert pin("5!1.2.3", lower_bound="x.x", upper_bound="x.x.x") == "p >=5!1.2,<5!1.2.4.0a0"
    assert pin("5!1.2.3+3.4", lower_bound="x.x", upper_bound="x.x.x") == "p >=5!1.2+3.4,<5!1.2.4.0a0"
    assert pin("1.2.3", lower_bound="1.2", upper_bound="1.2.5") == "p >=1.2,<1.2.5"
    assert pin("1.2.3", exact=True) == "p ==1.2.3 h_0"
    assert pin("1.2.3", lower_bound="x", build="foo*") == "p >=1 foo*"
    assert pin("1.2.3") == "p"


@pytest.mark.parametrize(
    "arguments", [{"exact": True, "build": "x*"}, {"lower_bound": "."}, {"upper_bound": ""}], ids=str
)
def test_pins_that_mean_nothing(arguments: dict[str, object]) -> None:
    with pytest.raises(BuildError, match="pin on p"):
        apply_pin({"name": "p", **arguments}, "1.2", "0")


def test_a_requirement_that_is_none() -> None:
    with pytest.raises(BuildError, match="not a valid requirement"):
        canonical("numpy >=>1")


def _record(name: str, version: str = "1.0", exports: RunExports | None = RunExports()) -> CondaRecord:  # noqa: B008
    return CondaRecord(
        name=name,
        version=version,
        build="0",
        build_number=0,
        subdir=SUBDIR,
        url=f"https://channel.example/{SUBDIR}/{name}-{version}-0.conda",
        file_name=f"{name}-{version}-0.conda",
        channel="https://channel.example/",
        run_exports=exports,
    )


CUDA = """
package: {name: app, version: "1"}
build: {script: ["true"], variant: {use_keys: [cuda-version, other]}}
requirements: {host: [cuda-version, exporter, other], run: [other]}
"""


def test_a_variant_constrains_what_it_was_built_against(tmp_path: Path) -> None:
    variants = {"cuda_version": ["12.8", "13.0"], "exporter": ["2"], "other": ["3"]}
    host = [_record("cuda-version", "12.8"), _record("exporter", "2", RunExports(weak=("exporter 2.*",)))]
    host.append(_record("other", "3"))
    found = render(CUDA, tmp_path, variants)
    assert len(found) == 2
    final = finalize(found[0], [], host)
    assert final.constrains == ("cuda-version 12.8.*",)
    assert finalize(found[1], [], host).constrains == ("cuda-version 13.0.*",)
    assert finalize(found[0], [], host, variant_constraints=False).constrains == ()
    assert set(final.depends) == {"other", "exporter 2.*"}


def test_unknown_run_exports_are_an_error_for_direct_dependencies_only(tmp_path: Path) -> None:
    variant = render(CONSUMERS["indirect"], tmp_path)[0]
    assert finalize(variant, [], [_record("libbar", "9d"), _record("libfoo", exports=None)]).depends
    with pytest.raises(BuildError, match="run-exports of libbar 9d 0 are not known"):
        finalize(variant, [], [_record("libbar", "9d", None)])


def test_a_pin_on_what_is_not_there(tmp_path: Path) -> None:
    variant = render(CONSUMERS["everything"], tmp_path)[0]
    with pytest.raises(BuildError, match="pins libfoo, which is in neither") as caught:
        finalize(variant, [], [])
    assert caught.value.help is not None and re.search("add libfoo to the host", caught.value.help)
