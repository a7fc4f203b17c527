"""Archives, addresses and folders that no installation can do anything with."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from install_kit import SUBDIR, assert_exact, make_package, request_for, run

from smelt.errors import CacheError, ChannelError, InstallError, NotSupportedError
from smelt.install.state import is_current
from smelt.types import CondaRecord


class TestBadInput:
    def test_wrong_hash(self, tmp_path: Path, channel: Path) -> None:
        from dataclasses import replace

        record = replace(make_package(channel, "mine"), sha256="0" * 64)
        request = request_for(tmp_path, record)
        with pytest.raises(InstallError) as caught:
            run(request)
        assert caught.value.kind == "hash-mismatch"
        assert record.url in caught.value.notes
        assert not (tmp_path / "cache/pkgs/mine-1.0-0").exists()
        assert not (request.prefix / "conda-meta").exists()

    def test_archive_is_gone_and_the_environment_stays_as_it_was(
        self, tmp_path: Path, channel: Path, tools: tuple[CondaRecord, ...]
    ) -> None:
        before = request_for(tmp_path, *tools)
        run(before)
        record = make_package(channel, "mine")
        (channel / SUBDIR / record.file_name).unlink()
        with pytest.raises(InstallError) as caught:
            run(request_for(tmp_path, tools[1], record))
        assert caught.value.kind == "archive-missing"
        assert_exact(before)
        assert run(before).changed is False

    def test_archive_is_no_package(self, tmp_path: Path, channel: Path) -> None:
        from dataclasses import replace

        record = make_package(channel, "mine")
        path = channel / SUBDIR / record.file_name
        path.write_bytes(path.read_bytes()[:200])
        with pytest.raises(InstallError, match="cannot be unpacked"):
            run(request_for(tmp_path, replace(record, sha256=None, md5=None)))

    def test_archive_holds_another_package(self, tmp_path: Path, channel: Path) -> None:
        record = make_package(channel, "mine", index={"name": "theirs"})
        with pytest.raises(InstallError, match="holds another package"):
            run(request_for(tmp_path, record))

    @pytest.mark.parametrize("path", ["../../evil", "/etc/evil", "share/../../evil"])
    def test_paths_that_lead_out(self, tmp_path: Path, channel: Path, path: str) -> None:
        record = make_package(
            channel, "mine", files={"share/x": b"x"}, paths=[{"_path": path, "path_type": "hardlink"}]
        )
        with pytest.raises(InstallError) as caught:
            run(request_for(tmp_path, record))
        assert caught.value.kind == "hostile-package"

    def test_hostile_entry_point(self, tmp_path: Path, channel: Path) -> None:
        record = make_package(channel, "mine", noarch="python", entry_points=("../../evil = a:b",))
        with pytest.raises(InstallError) as caught:
            run(request_for(tmp_path, record))
        assert caught.value.kind == "hostile-package"

    def test_hostile_build_string(self, tmp_path: Path, channel: Path) -> None:
        from dataclasses import replace

        record = replace(make_package(channel, "mine"), build="../../0")
        with pytest.raises(InstallError) as caught:
            run(request_for(tmp_path, record))
        assert caught.value.kind == "hostile-package"

    def test_pure_python_without_python(self, tmp_path: Path, channel: Path) -> None:
        record = make_package(channel, "pure", noarch="python", files={"site-packages/pure.py": b""})
        request = request_for(tmp_path, record)
        with pytest.raises(InstallError) as caught:
            run(request)
        assert "python" in (caught.value.help or "")
        assert not is_current(request.prefix, request.digest)

    def test_no_server(self, tmp_path: Path, channel: Path) -> None:
        from dataclasses import replace

        url = "http://user:secret@127.0.0.1:9/channel/noarch/mine-1.0-0.conda"
        record = replace(make_package(channel, "mine"), url=url)
        with pytest.raises(ChannelError) as caught:
            run(request_for(tmp_path, record))
        assert caught.value.kind == "download-failed"
        assert "secret" not in "".join(caught.value.notes)

    def test_unknown_scheme(self, tmp_path: Path, channel: Path) -> None:
        from dataclasses import replace

        record = replace(make_package(channel, "mine"), url="gopher://host.example/mine-1.0-0.conda")
        with pytest.raises(NotSupportedError):
            run(request_for(tmp_path, record))

    def test_other_platform(self, tmp_path: Path, channel: Path) -> None:
        from dataclasses import replace

        record = replace(make_package(channel, "mine"), subdir="zos-z")
        with pytest.raises(InstallError, match="zos-z"):
            run(request_for(tmp_path, record))

    @pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="permissions do not bind this user")
    def test_read_only_prefix(self, tmp_path: Path, tools: tuple[CondaRecord, ...]) -> None:
        request = request_for(tmp_path, *tools)
        request.prefix.mkdir(parents=True)
        request.prefix.chmod(0o500)
        try:
            with pytest.raises(InstallError) as caught:
                run(request)
        finally:
            request.prefix.chmod(0o700)
        assert caught.value.kind == "not-writable"

    @pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="permissions do not bind this user")
    def test_read_only_cache(self, tmp_path: Path, tools: tuple[CondaRecord, ...]) -> None:
        request = request_for(tmp_path, *tools)
        (tmp_path / "cache").mkdir()
        (tmp_path / "cache").chmod(0o500)
        try:
            with pytest.raises(CacheError):
                run(request)
        finally:
            (tmp_path / "cache").chmod(0o700)
