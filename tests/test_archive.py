"""Archives: damaged, hostile or something else, each refused and nothing left behind."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import random
import tarfile
import zlib
from pathlib import Path
from typing import Any

import pytest
from small import SmallAtlas

import atlasdb
from atlasdb.errors import ArchiveError
from atlasdb.limits import Limits
from atlasdb.sources.archive import unpack
from atlasdb.sources.base import NoProgress


def ingest_fails(db: atlasdb.Database, archive: Path, message: str) -> None:
    with pytest.raises(ArchiveError, match=message) as caught:
        db.ingest(str(archive))
    assert len(str(caught.value).splitlines()) == 1
    assert not db.home.folder.exists()


def pack(path: Path, *members: tarfile.TarInfo | tuple[str, bytes]) -> Path:
    """Write an archive of the members, each a header or a name with its content."""
    with tarfile.open(path, "w:gz") as tar:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                tar.addfile(member, io.BytesIO(b"\0" * member.size))
            else:
                info = tarfile.TarInfo(member[0])
                info.size = len(member[1])
                tar.addfile(info, io.BytesIO(member[1]))
    return path


def header(name: str, kind: bytes = tarfile.REGTYPE, link: str = "", size: int = 0) -> Any:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, link, size
    return info


def test_an_archive_gives_what_its_folder_gives(tmp_path: Path) -> None:
    archive = SmallAtlas().archive(tmp_path)
    packed, unpacked = (atlasdb.connect(tmp_path / name) for name in ("a", "b"))
    packed.ingest(str(archive))
    unpacked.ingest(str(tmp_path / "unpacked" / SmallAtlas().folder_name))
    for table in ("structure", "structure_extent", "label", "annotation_run", "finding"):
        query = f"FROM {table} ORDER BY ALL"
        assert packed.sql(query).equals(unpacked.sql(query))
    row = packed.sql("SELECT source_url, source_sha256 FROM atlas").to_pylist()[0]
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    assert row == {"source_url": archive.as_uri(), "source_sha256": digest}


def test_truncations_are_refused(db: atlasdb.Database, tmp_path: Path) -> None:
    archive = SmallAtlas().archive(tmp_path)
    whole = archive.read_bytes()
    for size in [*range(2, len(whole), 97), len(whole) - 1]:
        archive.write_bytes(whole[:size])
        ingest_fails(db, archive, rf"{archive.name} is truncated or corrupt")


def test_altered_bytes_are_noticed(db: atlasdb.Database, tmp_path: Path) -> None:
    archive = SmallAtlas().archive(tmp_path)
    whole = archive.read_bytes()
    rng = random.Random(0)
    for _ in range(60):
        broken = bytearray(whole)
        # Not the gzip header's ten bytes and name: time, system and name mean nothing.
        place = rng.randrange(60, len(whole))
        broken[place] ^= 1 << rng.randrange(8)
        archive.write_bytes(broken)
        with contextlib.suppress(OSError, EOFError, zlib.error):
            if gzip.decompress(broken) == gzip.decompress(whole):
                continue  # a bit that fills up deflate's last byte
        with pytest.raises(atlasdb.SourceError):
            db.ingest(str(archive))
        assert not db.home.folder.exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no .tar.gz archive: the file is empty"),
        (b"<!DOCTYPE html><html>504</html>", "this is an HTML page"),
        (b"\n  <html>", "this is an HTML page"),
        (b"version https://git-lfs.github.com/spec/v1\n", "a git-lfs pointer"),
        (b"PK\x03\x04", "it starts with b'PK"),
        (gzip.compress(b"", mtime=0), "the archive is empty|truncated or corrupt"),
        (gzip.compress(b"not a tar file" * 999, mtime=0), "truncated or corrupt"),
    ],
)
def test_what_is_no_archive(
    db: atlasdb.Database, tmp_path: Path, content: bytes, message: str
) -> None:
    archive = tmp_path / "x.tar.gz"
    archive.write_bytes(content)
    ingest_fails(db, archive, message)


@pytest.mark.parametrize(
    ("member", "message"),
    [
        (("/etc/x", b""), "a path outside its folder: '/etc/x'"),
        (("../x", b""), "a path outside its folder"),
        (("a/../../x", b""), "a path outside its folder"),
        (("a\\..\\x", b""), "a path outside its folder"),
        (("C:x", b""), "a path outside its folder"),
        (header("a/annotation.tiff", tarfile.SYMTYPE, "/etc/passwd"), "holds a link"),
        (header("a/metadata.json", tarfile.LNKTYPE, "a/x"), "holds a link"),
        (header("a/x", tarfile.CHRTYPE), "a device or other special file"),
        (header("a/x", tarfile.BLKTYPE), "a device or other special file"),
        (header("a/x", tarfile.FIFOTYPE), "a device or other special file"),
        (("b/x", b""), r"must hold one folder, found \['a', 'b'\]"),
        (("a/metadata.json", b"{}"), "holds 'a/metadata.json' twice"),
    ],
)
def test_hostile_members(db: atlasdb.Database, tmp_path: Path, member: Any, message: str) -> None:
    archive = pack(tmp_path / "x.tar.gz", ("a/metadata.json", b"{}"), member)
    ingest_fails(db, archive, message)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.tar.gz"]


def test_a_member_of_absurd_size(db: atlasdb.Database, tmp_path: Path) -> None:
    archive = tmp_path / "x.tar.gz"
    archive.write_bytes(gzip.compress(header("a/annotation.tiff", size=1 << 42).tobuf()))
    ingest_fails(db, archive, "absurdly large: 'a/annotation.tiff' brings it to 4,398,046,511,104")


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        (Limits(members=3), "4 members, over the limit of 3 .*members=NUMBER"),
        (Limits(bytes=100), "absurdly large: .* over the limit of 100 .*bytes=NUMBER"),
        (Limits(ratio=1, free_bytes=0), "absurdly large: .* unpack to .*ratio=NUMBER"),
    ],
)
def test_limits(tmp_path: Path, limits: Limits, message: str) -> None:
    archive = SmallAtlas().archive(tmp_path)
    target = tmp_path / "target"
    target.mkdir()
    with pytest.raises(ArchiveError, match=message):
        unpack(archive, target, progress=NoProgress(), limits=limits)


def test_only_a_package_s_files_are_written(tmp_path: Path) -> None:
    archive = pack(
        tmp_path / "x.tar.gz",
        header("./", tarfile.DIRTYPE),
        ("./a/metadata.json", b"{}"),
        ("./a/structures.csv", b"x"),
        ("./a/run.sh", b"x"),
        ("./a/meshes/1.obj", b"v"),
        ("./a/meshes/1.obj.exe", b"x"),
        ("./a/meshes/deeper/1.obj", b"x"),
    )
    target = tmp_path / "target"
    target.mkdir()
    folder, _ = unpack(archive, target, progress=NoProgress())
    files = sorted(p.relative_to(target).as_posix() for p in target.rglob("*") if p.is_file())
    assert folder == target / "a"
    assert files == ["a/meshes/1.obj", "a/metadata.json"]


def test_several_gzip_members_and_padding_are_one_archive(tmp_path: Path) -> None:
    archive = SmallAtlas().archive(tmp_path)
    content = gzip.decompress(archive.read_bytes())
    half = len(content) // 2
    archive.write_bytes(gzip.compress(content[:half]) + gzip.compress(content[half:]) + b"\0" * 512)
    assert atlasdb.connect(tmp_path / "home").ingest(str(archive)).status == "ingested"


def test_a_large_first_member_is_no_bomb(tmp_path: Path) -> None:
    """The ratio is that of bytes read, not of a header's promise before them."""
    content = random.Random(0).randbytes(600_000)
    archive = pack(
        tmp_path / "x.tar.gz", ("a/annotation.tiff", content), ("a/metadata.json", b"{}")
    )
    target = tmp_path / "target"
    target.mkdir()
    limits = Limits(ratio=2, free_bytes=0)
    folder, _ = unpack(archive, target, progress=NoProgress(), limits=limits)
    assert (folder / "annotation.tiff").read_bytes() == content


def test_a_bomb_behind_the_end(tmp_path: Path) -> None:
    archive = SmallAtlas().archive(tmp_path)
    rest = gzip.compress(b"\0" * (1 << 27))
    archive.write_bytes(archive.read_bytes() + rest)
    target = tmp_path / "target"
    target.mkdir()
    with pytest.raises(ArchiveError, match="absurdly large"):
        unpack(archive, target, progress=NoProgress())


@pytest.mark.parametrize("kind", [tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE, tarfile.XGLTYPE])
def test_a_bomb_in_a_header(db: atlasdb.Database, tmp_path: Path, kind: bytes) -> None:
    archive = tmp_path / "x.tar.gz"
    content = header("././@LongLink", kind, size=1 << 28).tobuf() + b"x" * 4096
    archive.write_bytes(gzip.compress(content))
    ingest_fails(db, archive, "a header of 268,435,456 bytes")


@pytest.mark.parametrize("key", ["GNU.sparse.map", "GNU.sparse.realsize", "size"])
def test_nonsense_in_extended_headers(db: atlasdb.Database, tmp_path: Path, key: str) -> None:
    info = tarfile.TarInfo("a/metadata.json")
    info.pax_headers = {key: "a,b", "GNU.sparse.name": "x"}
    archive = tmp_path / "x.tar.gz"
    with tarfile.open(archive, "w:gz", format=tarfile.PAX_FORMAT) as tar:
        tar.addfile(info)
    with pytest.raises(atlasdb.SourceError):
        db.ingest(str(archive))
    assert not db.home.folder.exists()


def test_what_macos_adds_is_passed_over(tmp_path: Path) -> None:
    archive = pack(tmp_path / "x.tar.gz", ("._a", b"x"), ("a/metadata.json", b"{}"), ("a/._x", b""))
    target = tmp_path / "target"
    target.mkdir()
    assert unpack(archive, target, progress=NoProgress())[0] == target / "a"


def test_what_is_passed_over_counts_all_the_same(tmp_path: Path) -> None:
    members = [(f"a/._b{number}", b"x" * 1000) for number in range(50)]
    archive = pack(tmp_path / "x.tar.gz", *members)
    target = tmp_path / "target"
    target.mkdir()
    for limits in (Limits(members=10), Limits(bytes=10_000)):
        with pytest.raises(ArchiveError, match="over the limit of 10"):
            unpack(archive, target, progress=NoProgress(), limits=limits)


def test_a_name_that_no_file_system_takes(db: atlasdb.Database, tmp_path: Path) -> None:
    archive = pack(tmp_path / "x.tar.gz", ("a" * 300 + "/metadata.json", b"{}"))
    ingest_fails(db, archive, "absurdly long name")
