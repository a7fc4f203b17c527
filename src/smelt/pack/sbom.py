"""A bill of materials of a pack: every package with where it is from, its licence and its hash.

It is made by ``cyclonedx-python-lib`` (the extra ``sbom``), which also checks it against its schema. Equal packs have
equal bills: nothing in it tells when or where it was made.
Source: CycloneDX 1.6; purl types ``conda`` and ``pypi``.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable
from datetime import UTC, datetime
from importlib import import_module
from types import SimpleNamespace
from typing import Any

from smelt import __version__
from smelt.errors import PackError
from smelt.lock.model import LockedPackage, PypiPackage, SourcePackage
from smelt.pack.model import CondaItem, PackContent, PackedFile, SourceOrigin, WheelItem
from smelt.pack.provenance import commit_of, public_location, wheel_licence
from smelt.types import CondaRecord, digest_json, spec_name

CYCLONEDX = "sbom.cdx.json"
FORMATS = ("cyclonedx", "spdx")
_NAMESPACE = uuid.UUID("4d5b3f0e-5d0a-5f0b-9a57-0c6a3a6a8b11")


def with_sbom(content: PackContent, form: str) -> PackContent:
    """``content`` with its bill of materials in ``form`` (one of ``FORMATS``) as a further file.

    Raises PackError: ``sbom-missing-library``, and ``sbom-invalid`` for a bill that its schema does not allow.
    """
    from dataclasses import replace

    from smelt.pack.spdx import SPDX, spdx

    assert form in FORMATS
    name, text = (CYCLONEDX, cyclonedx(content)) if form == "cyclonedx" else (SPDX, spdx(content))
    return replace(content, extra=(*content.extra, PackedFile.of(name, text.encode("utf-8"))))


def cyclonedx(content: PackContent) -> str:
    """The bill of materials of ``content`` as CycloneDX JSON. Raises PackError as ``with_sbom``."""
    writer = _library().JsonV1Dot6(_bom(content))
    data: dict[str, Any] = json.loads(writer.output_as_string())
    # the library writes lists in the order of sets, and a time of its own
    text = json.dumps(data, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    _check(text)
    return text


_HOMES = {
    "JsonV1Dot6": "cyclonedx.output.json",
    "Bom": "cyclonedx.model.bom",
    "BomMetaData": "cyclonedx.model.bom",
    "Component": "cyclonedx.model.component",
    "ComponentType": "cyclonedx.model.component",
    "ExternalReference": "cyclonedx.model",
    "ExternalReferenceType": "cyclonedx.model",
    "HashAlgorithm": "cyclonedx.model",
    "HashType": "cyclonedx.model",
    "JsonStrictValidator": "cyclonedx.validation.json",
    "LicenseFactory": "cyclonedx.contrib.license.factories",
    "MissingOptionalDependencyException": "cyclonedx.exception",
    "PackageURL": "packageurl",
    "Property": "cyclonedx.model",
    "SchemaVersion": "cyclonedx.schema",
    "XsUri": "cyclonedx.model",
}


def _library() -> Any:
    """The classes of the libraries by name; they say little of their types."""
    try:
        return SimpleNamespace(**{name: getattr(import_module(home), name) for name, home in _HOMES.items()})
    except ImportError as error:
        raise PackError(
            "a bill of materials needs the library `cyclonedx-python-lib`, which is not installed",
            code="sbom-missing-library",
            help='install smelt with it: `pip install "smelt[sbom]"`',
        ) from error


def _bom(content: PackContent) -> Any:
    lib = _library()

    root = lib.Component(
        name=f"{content.workspace}:{content.environment}",
        type=lib.ComponentType.PLATFORM,
        bom_ref="environment",
        properties=[lib.Property(name="smelt:platform", value=content.platform)],
    )
    tool = lib.Component(name="smelt", version=__version__, type=lib.ComponentType.APPLICATION, bom_ref="smelt")
    metadata = lib.BomMetaData(component=root, timestamp=datetime.fromtimestamp(0, tz=UTC))
    metadata.tools.components.add(tool)
    files = sorted((item.file.name, item.file.sha256) for item in (*content.packages, *content.wheels))
    serial = uuid.uuid5(_NAMESPACE, digest_json([content.workspace, content.environment, content.platform, files]))
    bom = lib.Bom(serial_number=serial, metadata=metadata)
    conda = {item.record.name: _conda(item) for item in content.packages}
    wheels = {item.name: _wheel(item) for item in content.wheels}
    for component in (*conda.values(), *wheels.values()):
        bom.components.add(component)
    bom.register_dependency(root, [*conda.values(), *wheels.values()])
    for item in content.packages:
        needed = {spec_name(spec) for spec in item.record.depends}
        bom.register_dependency(conda[item.record.name], [conda[name] for name in sorted(needed) if name in conda])
    return bom


def _conda(item: CondaItem) -> Any:
    lib = _library()

    record = item.record
    qualifiers = {"build": record.build, "subdir": record.subdir, "type": _kind(record.file_name)}
    channel = public_location(record.channel) if item.origin == "channel" else None
    if channel is not None:
        qualifiers["channel"] = channel
    component = lib.Component(
        name=record.name,
        version=record.version,
        type=lib.ComponentType.LIBRARY,
        purl=lib.PackageURL(type="conda", name=record.name, version=record.version, qualifiers=qualifiers),
        bom_ref=f"conda/{record.subdir}/{record.file_name}",
        hashes=[lib.HashType(alg=lib.HashAlgorithm.SHA_256, content=item.file.sha256)],
        licenses=_licences(record.license),
        properties=_properties({"smelt:origin": item.origin, "smelt:file": item.file.name}),
        external_references=_reference(public_location(record.url)) if item.origin == "channel" else (),
    )
    if item.source is not None:
        component.properties.update(_properties(_source(item.source)))
    return component


def _wheel(item: WheelItem) -> Any:
    lib = _library()

    location = public_location(item.location)
    return lib.Component(
        name=item.name,
        version=item.version,
        type=lib.ComponentType.LIBRARY,
        purl=lib.PackageURL(type="pypi", name=item.name, version=item.version),
        bom_ref=f"pypi/{item.file.name.rpartition('/')[2]}",
        hashes=[lib.HashType(alg=lib.HashAlgorithm.SHA_256, content=item.file.sha256)],
        licenses=_licences(wheel_licence(item.file.path)),
        properties=_properties({"smelt:origin": item.origin, "smelt:file": item.file.name}),
        external_references=_reference(location) if location is not None and "://" in location else (),
    )


def _source(origin: SourceOrigin) -> dict[str, str | None]:
    """How a source package came to be: its code, what built it, and what that was built with."""
    source = origin.package.source
    found: dict[str, str | None] = {
        "smelt:build-key": origin.key,
        "smelt:location": public_location(origin.package.location),
        "smelt:source-commit": commit_of(origin.package.location),
        "smelt:variant": ", ".join(f"{key}={value}" for key, value in sorted(origin.package.variants.items())) or None,
    }
    if source is not None:
        found |= {
            "smelt:source-git": public_location(source.git),
            "smelt:source-commit": source.rev or found["smelt:source-commit"],
            "smelt:source-url": public_location(source.url),
            "smelt:source-sha256": source.sha256,
        }
    if origin.locked is not None:
        found |= {
            "smelt:backend": f"{origin.locked.backend} {origin.locked.backend_version}",
            "smelt:source-pypi": origin.locked.pypi,
            "smelt:source-digest": origin.locked.source_digest,
        }
    found["smelt:build-packages"] = _names(origin.build)
    found["smelt:host-packages"] = _names(origin.host)
    return found


def _names(packages: Iterable[LockedPackage]) -> str | None:
    texts: list[str] = []
    for package in packages:
        if isinstance(package, CondaRecord):
            texts.append(f"{package.name}={package.version}={package.build}")
        elif isinstance(package, SourcePackage):
            texts.append(package.identifier)
        else:
            assert isinstance(package, PypiPackage)
            texts.append(f"{package.name}=={package.version}")
    return ", ".join(sorted(texts)) or None


def _properties(values: dict[str, str | None]) -> list[Any]:
    lib = _library()

    return [lib.Property(name=name, value=value) for name, value in values.items() if value]


def _reference(url: str | None) -> list[Any]:
    lib = _library()

    if url is None:
        return []
    return [lib.ExternalReference(type=lib.ExternalReferenceType.DISTRIBUTION, url=lib.XsUri(url))]


def _licences(text: str | None) -> list[Any]:
    lib = _library()

    return [lib.LicenseFactory().make_from_string(text)] if text else []


def _kind(file_name: str) -> str:
    return "conda" if file_name.endswith(".conda") else "tar.bz2"


def _check(text: str) -> None:
    lib = _library()

    try:
        problem = lib.JsonStrictValidator(lib.SchemaVersion.V1_6).validate_str(text)
    except lib.MissingOptionalDependencyException:  # the library without its own extra for validation
        return
    if problem is not None:
        raise PackError("the bill of materials is not valid", code="sbom-invalid", notes=[str(problem)[:2000]])
