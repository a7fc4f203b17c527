"""A bill of materials as SPDX 2.3, made and checked by ``spdx-tools`` (the extra ``sbom``).

Besides what is in the pack it names the source of every source package (commit, archive, digest), and the packages that
it was built with. Equal packs have equal bills. Source: SPDX 2.3; purl types ``conda`` and ``pypi``.
"""

from __future__ import annotations

import hashlib
import json
import re
import uuid
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from importlib import import_module
from io import StringIO
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

from smelt import __version__
from smelt.errors import PackError
from smelt.lock.model import LockedPackage, PypiPackage, SourcePackage
from smelt.pack.model import CondaItem, PackContent, SourceOrigin, WheelItem
from smelt.pack.provenance import commit_of, download_location, public_location, wheel_licence
from smelt.types import CondaRecord, digest_json, spec_name

SPDX = "sbom.spdx.json"
_NAMESPACE = uuid.UUID("7d3c6c0e-1f5e-5b8e-8e55-2b7a3ad6f0d2")
_ROOT = "SPDXRef-environment"


def spdx(content: PackContent) -> str:
    """The bill of materials of ``content`` as SPDX JSON.

    Raises PackError: ``sbom-missing-library``, and ``sbom-invalid`` for a bill that the library does not accept.
    """
    lib = _library()
    document = _Bill(lib, content).document()
    problems = lib.validate(document, "SPDX-2.3")
    if problems:
        notes = [str(problem.validation_message) for problem in problems[:5]]
        raise PackError("the bill of materials is not valid", code="sbom-invalid", notes=notes)
    stream = StringIO()
    lib.write(document, stream, validate=False, drop_duplicates=False)
    return json.dumps(json.loads(stream.getvalue()), indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def _library() -> Any:
    """What is used of the library; it says little of its types."""
    try:
        model = import_module("spdx_tools.spdx.model")
        names = "Actor ActorType Checksum ChecksumAlgorithm CreationInfo Document ExternalPackageRef "
        names += "ExternalPackageRefCategory Package PackagePurpose Relationship RelationshipType SpdxNoAssertion"
        return SimpleNamespace(
            **{name: getattr(model, name) for name in names.split()},
            validate=import_module("spdx_tools.spdx.validation.document_validator").validate_full_spdx_document,
            write=import_module("spdx_tools.spdx.writer.json.json_writer").write_document_to_stream,
            licensing=import_module("spdx_tools.common.spdx_licensing").spdx_licensing,
            ExpressionError=import_module("license_expression").ExpressionError,
        )
    except ImportError as error:
        raise PackError(
            "a bill of materials in SPDX needs the library `spdx-tools`, which is not installed",
            code="sbom-missing-library",
            help='install smelt with it: `pip install "smelt[sbom]"`',
        ) from error


class _Bill:
    """Collects packages and relationships by what they are, so that each is there once."""

    def __init__(self, lib: Any, content: PackContent) -> None:
        self._lib = lib
        self._content = content
        self._packages: dict[str, Any] = {}
        self._relationships: dict[tuple[str, str, str, str | None], Any] = {}

    def document(self) -> Any:
        lib, content = self._lib, self._content
        title = f"{content.workspace}:{content.environment}"
        self._add(_ROOT, title, None, purpose="OPERATING_SYSTEM", comment=f"an environment for {content.platform}")
        self._relate("SPDXRef-DOCUMENT", "DESCRIBES", _ROOT)
        names = {item.record.name: _conda_id(item.record) for item in content.packages}
        for item in content.packages:
            self._conda(item)
            for name in sorted({spec_name(spec) for spec in item.record.depends} & names.keys()):
                self._relate(names[item.record.name], "DEPENDS_ON", names[name])
        for wheel in content.wheels:
            self._wheel(wheel)
        for item in content.packages:
            if item.source is not None:
                self._source(item, item.source)
        files = sorted((item.file.name, item.file.sha256) for item in (*content.packages, *content.wheels))
        serial = uuid.uuid5(_NAMESPACE, digest_json([title, content.platform, files]))
        information = lib.CreationInfo(
            spdx_version="SPDX-2.3",
            spdx_id="SPDXRef-DOCUMENT",
            name=title,
            document_namespace=f"urn:uuid:{serial}",
            creators=[lib.Actor(lib.ActorType.TOOL, f"smelt-{__version__}")],
            created=datetime.fromtimestamp(0, tz=UTC).replace(tzinfo=None),
        )
        return lib.Document(
            information,
            packages=[self._packages[key] for key in sorted(self._packages)],
            relationships=[self._relationships[key] for key in sorted(self._relationships, key=str)],
        )

    def _conda(self, item: CondaItem) -> None:
        identity = _conda_id(item.record)
        self._record(identity, item.record, item.file.sha256, public=item.origin == "channel", file_name=item.file.name)
        self._relate(_ROOT, "CONTAINS", identity)

    def _record(self, identity: str, record: CondaRecord, sha256: str | None, *, public: bool, file_name: str) -> None:
        known = public and not record.url.startswith("file:")
        kind = "conda" if record.file_name.endswith(".conda") else "tar.bz2"
        qualifiers = {"build": record.build, "subdir": record.subdir, "type": kind}
        if known and record.channel is not None:
            qualifiers["channel"] = public_location(record.channel) or ""
        self._add(
            identity,
            record.name,
            public_location(record.url) if known else None,
            version=record.version,
            file_name=file_name,
            sha256=sha256,
            md5=record.md5,
            licence=record.license,
            purl=_purl("conda", record.name, record.version, qualifiers),
        )

    def _wheel(self, item: WheelItem) -> None:
        identity = _id("pypi", item.file.name.rpartition("/")[2])
        self._add(
            identity,
            item.name,
            download_location(item.location),
            version=item.version,
            file_name=item.file.name,
            sha256=item.file.sha256,
            licence=wheel_licence(item.file.path),
            purl=_purl("pypi", item.name, item.version, {}),
            comment="built from source for this pack" if item.origin == "built" else None,
        )
        self._relate(_ROOT, "CONTAINS", identity)

    def _source(self, item: CondaItem, origin: SourceOrigin) -> None:
        """Where a source package is from, what made its recipe, and what it was built with."""
        package = _conda_id(item.record)
        source, locked = origin.package.source, origin.locked
        location = download_location(origin.package.location)
        digest = None
        if source is not None and source.git is not None:
            location = download_location(f"git+{source.git}" + (f"#{source.rev}" if source.rev else ""))
        elif source is not None and source.url is not None:
            location, digest = download_location(source.url), source.sha256
        facts = {
            "build key": origin.key,
            "definition": public_location(origin.package.location),
            "commit": source.rev if source is not None and source.rev else commit_of(origin.package.location),
            "variant": ", ".join(f"{key}={value}" for key, value in sorted(origin.package.variants.items())),
            "backend": f"{locked.backend} {locked.backend_version}" if locked is not None else None,
            "sdist": locked.pypi if locked is not None else None,
            "digest of the source": locked.source_digest if locked is not None else None,
        }
        identity = _id("source", origin.key)
        purl = None
        if locked is not None and locked.pypi is not None:
            name, _, version = locked.pypi.partition("==")
            purl = _purl("pypi", name, version, {})
        self._add(
            identity,
            f"{item.record.name} (source)",
            location,
            version=item.record.version,
            sha256=digest,
            licence=item.record.license,
            purpose="SOURCE",
            purl=purl,
            source_info="\n".join(f"{key}: {value}" for key, value in facts.items() if value),
        )
        self._relate(package, "GENERATED_FROM", identity)
        for kind, packages in (("build", origin.build), ("host", origin.host)):
            for needed in packages:
                self._relate(self._used(needed), "BUILD_DEPENDENCY_OF", package, f"{kind} environment")

    def _used(self, package: LockedPackage) -> str:
        """A package that something was built with, which need not be in the pack."""
        if isinstance(package, CondaRecord):
            identity = _conda_id(package)
            if identity not in self._packages:
                name = f"{package.subdir}/{package.file_name}"
                self._record(identity, package, package.sha256, public=True, file_name=name)
            return identity
        if isinstance(package, SourcePackage):
            for item in self._content.packages:
                if item.source is not None and item.source.package == package:
                    return _conda_id(item.record)
            identity = _id("built", package.identifier)
            location = download_location(package.location)
            self._add(identity, package.name, location, version=package.version, licence=package.license)
            return identity
        assert isinstance(package, PypiPackage)
        identity = _id("pypi-used", package.location)
        self._add(identity, package.name, download_location(package.location), version=package.version)
        return identity

    def _add(
        self,
        identity: str,
        name: str,
        location: str | None,
        *,
        version: str | None = None,
        file_name: str | None = None,
        sha256: str | None = None,
        md5: str | None = None,
        licence: str | None = None,
        purl: str | None = None,
        purpose: str = "LIBRARY",
        comment: str | None = None,
        source_info: str | None = None,
    ) -> None:
        lib = self._lib
        if identity in self._packages:
            return
        nothing = lib.SpdxNoAssertion()
        declared = self._licence(licence)
        sums = {"SHA256": sha256, "MD5": md5}
        self._packages[identity] = lib.Package(
            spdx_id=identity,
            name=name,
            version=version,
            download_location=location or nothing,
            file_name=file_name,
            files_analyzed=False,
            checksums=[lib.Checksum(lib.ChecksumAlgorithm[kind], each) for kind, each in sums.items() if each],
            license_concluded=nothing,
            license_declared=declared if declared is not None else nothing,
            license_comment=f"declared: {licence}" if licence and declared is None else None,
            copyright_text=nothing,
            comment=comment,
            source_info=source_info or None,
            external_references=[lib.ExternalPackageRef(lib.ExternalPackageRefCategory.PACKAGE_MANAGER, "purl", purl)]
            if purl is not None
            else [],
            primary_package_purpose=lib.PackagePurpose[purpose],
        )

    def _licence(self, text: str | None) -> Any | None:
        """What SPDX makes of a licence; None for what is no expression of licences that it knows."""
        if not text:
            return None
        try:
            return self._lib.licensing.parse(text, validate=True)
        except self._lib.ExpressionError:
            return None

    def _relate(self, first: str, kind: str, second: str, comment: str | None = None) -> None:
        lib = self._lib
        self._relationships[first, kind, second, comment] = lib.Relationship(
            first, lib.RelationshipType[kind], second, comment=comment
        )


def _id(kind: str, text: str) -> str:
    """An identifier of letters, digits, ``.`` and ``-`` that is unique for ``text``."""
    readable = re.sub(r"[^A-Za-z0-9.-]+", "-", text)[:80].strip("-.")
    return f"SPDXRef-{kind}-{readable}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def _conda_id(record: CondaRecord) -> str:
    return _id("conda", f"{record.subdir}/{record.file_name}")


def _purl(kind: str, name: str, version: str, qualifiers: Mapping[str, str]) -> str:
    more: Iterable[str] = (f"{key}={quote(value, safe=':/.')}" for key, value in sorted(qualifiers.items()) if value)
    text = f"pkg:{kind}/{quote(name, safe='')}@{quote(version, safe='')}"
    return "?".join(part for part in (text, "&".join(more)) if part)
