"""Archives of packages: a .tar.gz becomes a private folder, or one clear error and nothing.

The one idea: an archive is read once, as a stream, and trusted with nothing. Only the files that a
package consists of are written, under names of our own making; everything else in it is checked
and left. The gzip checksum is verified to the last byte.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import tarfile
import zlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, cast

from atlasdb.errors import ArchiveError, HomeError
from atlasdb.limits import Limits as Limits  # noqa: PLC0414 (by this name here too)
from atlasdb.limits import current
from atlasdb.sources.base import EVERYTHING, Progress, Provenance, Selection
from atlasdb.sources.digests import Digest, sha256_of
from atlasdb.sources.package import FORMAT, TiffPackage, open_package

if TYPE_CHECKING:
    from collections.abc import Iterator

    from atlasdb.names import AtlasName

UNPACKED = "unpacked"
"""The folder in the staging folder into which an archive is unpacked."""

_GZIP = b"\x1f\x8b"
_COPY = 1 << 18
_LARGEST_REST = 1 << 26
_LONGEST_NAME = 255
_EXTENDED = (b"L", b"K", b"x", b"g", b"X")
_FILES = re.compile(r"metadata\.json|structures\.json|[A-Za-z0-9_.-]+\.tiff|meshes/-?\d{1,19}\.obj")


@dataclass(frozen=True)
class ArchiveOrigin:
    """A .tar.gz of a package on this machine.

    Attributes
    ----------
    archive
        The file.
    url
        Where it was downloaded from; None for a file of the user's.
    expected
        The name and version that it was found under, if it was asked for by name.
    digest
        What somebody stated of it.
    """

    archive: Path
    url: str | None = None
    expected: AtlasName | None = None
    digest: Digest | None = None

    @property
    def description(self) -> str:
        """The archive's address."""
        return self.url or str(self.archive)

    def open(
        self,
        staging: Path,
        progress: Progress,
        selection: Selection = EVERYTHING,  # noqa: ARG002 (an archive is unpacked whole)
    ) -> TiffPackage:
        """Verify the archive, unpack it into `staging` and open the package."""
        if self.digest is not None:
            progress.step(f"verifying {self.archive.name}")
            self.digest.require(sha256_of(self.archive), self.description)
        target = staging / UNPACKED
        target.mkdir()
        name = self.description.rpartition("/")[2]
        folder, digest = unpack(self.archive, target, progress=progress, name=name)
        url = self.url or self.archive.absolute().as_uri()
        return open_package(folder, Provenance(url, FORMAT, digest), owns_files=True)

    def clean_up(self) -> None:
        """Leave everything: the archive is the user's."""


def unpack(
    archive: Path,
    target: Path,
    *,
    progress: Progress,
    limits: Limits | None = None,
    name: str = "",
) -> tuple[Path, str]:
    """Unpack a package's files and verify the archive to its last byte.

    Parameters
    ----------
    archive
        A gzip-compressed tar file with one folder at the top.
    target
        An empty folder.
    progress
        Told of the packed bytes read.
    limits
        What is absurdly large; by default what the environment states, else 64 GiB, 200,000
        members, and past 1 GiB 500 bytes unpacked for each byte packed.
    name
        What errors call the archive; by default its file's name.

    Returns
    -------
    folder, sha256
        The package in `target`, and the archive's digest in hexadecimal.

    Raises
    ------
    ArchiveError
        The file is empty, truncated, corrupt or no archive; it has links, devices, absolute paths,
        paths with ``..``, or a file twice; or it is absurdly large.
    """
    name = name or archive.name
    with archive.open("rb") as file:
        _check_magic(name, file)
        size = archive.stat().st_size
        progress.step(f"unpacking {name}", size)
        limits = limits or current()
        stream = _Inflating(file, progress, limits)
        try:
            top = _unpack_members(stream, target, limits)
            stream.finish()
        except ArchiveError:
            raise
        except (
            *(EOFError, tarfile.TarError, zlib.error),
            *(ValueError, IndexError, OverflowError),  # tarfile's own, of odd headers
        ) as error:
            raise ArchiveError(
                f"{name} is truncated or corrupt ({size:,} bytes): {error!s:.200}; get it again"
            ) from error
    return target / top, stream.digest.hexdigest()


class _Inflating:
    """The content of a gzip file, read once: counted, digested, its checksums verified."""

    def __init__(self, file: IO[bytes], progress: Progress, limits: Limits) -> None:
        self._file = file
        self._progress = progress
        self._limits = limits
        self._inflate = zlib.decompressobj(wbits=31)  # with gzip's header, checksum and length
        self._pending = b""
        self.digest = hashlib.sha256()
        self.packed = 0
        self.unpacked = 0

    def read(self, size: int) -> bytes:
        """Return up to `size` bytes, none at the end only."""
        while True:
            if self._inflate.eof and not self._next_member():
                return b""
            data = self._inflate.decompress(self._inflate.unconsumed_tail or self._more(), size)
            if data:
                self._count(len(data))
                return data

    def _count(self, size: int) -> None:
        """Count unpacked bytes and refuse what no real archive unpacks to."""
        self.unpacked += size
        if self.unpacked > self._limits.unpacked(self.packed):
            raise ArchiveError(
                f"the archive is absurdly large: {self.packed:,} bytes unpack to "
                f"{self.unpacked:,} and more; this ratio is {self._limits.over('ratio')}"
            )

    def finish(self) -> None:
        """Read what stands behind the tar file's end, the checksum above all."""
        rest = 0
        while data := self.read(_COPY):
            rest += len(data)
            if rest > _LARGEST_REST:
                raise ArchiveError("the archive is absurdly large behind its end")

    def _more(self) -> bytes:
        """Return the next packed bytes, which must be there."""
        packed, self._pending = self._pending or self._packed(), b""
        if not packed:
            raise EOFError("it ends before its data do")
        return packed

    def _packed(self) -> bytes:
        packed = self._file.read(_COPY)
        self.digest.update(packed)
        self.packed += len(packed)
        self._progress.advance(len(packed))
        return packed

    def _next_member(self) -> bool:
        """Begin a further gzip member, if there is one after zeros at most."""
        rest = self._inflate.unused_data.lstrip(b"\0")
        while not rest:
            packed = self._packed()
            if not packed:
                return False
            rest = packed.lstrip(b"\0")
        self._inflate = zlib.decompressobj(wbits=31)
        self._pending = rest
        return True


def what_is_wrong(start: bytes) -> str:
    """Say what is wrong with a file that begins so, if it should be a gzip archive.

    People meet error pages, and pointers to files, saved as archives.
    """
    if start[: len(_GZIP)] == _GZIP[: len(start)] and start:
        return ""
    if not start:
        return "the file is empty"
    if start.lstrip().startswith(b"<"):
        return "this is an HTML page, perhaps a server's error"
    if start.startswith(b"version https://git-lfs"):
        return "this is a git-lfs pointer, not the file itself"
    return f"it starts with {start[:8]!r}"


def _check_magic(name: str, file: IO[bytes]) -> None:
    """Refuse what is no gzip file, by its name."""
    found = what_is_wrong(file.read(64))
    file.seek(0)
    if found:
        raise ArchiveError(f"{name} is no .tar.gz archive: {found}")


def _unpack_members(stream: _Inflating, target: Path, limits: Limits) -> str:
    """Write the wanted members below `target` and return the name of the folder at the top."""
    tops: set[str] = set()
    written: set[str] = set()
    file = cast("IO[bytes]", stream)
    header = _header_type(limits)
    with tarfile.open(fileobj=file, mode="r|", bufsize=_COPY, tarinfo=header) as tar:
        for member in _checked_members(tar, target, limits):
            top, *rest = PurePosixPath(member.name).parts
            tops.add(top)
            if len(tops) > 1:
                raise ArchiveError(f"an archive must hold one folder, found {sorted(tops)}")
            name = "/".join(rest)
            if not member.isreg() or not _FILES.fullmatch(name):
                continue
            if name in written:
                raise ArchiveError(f"the archive holds {member.name!r} twice")
            written.add(name)
            path = target / top / name
            path.parent.mkdir(parents=True, exist_ok=True)
            source = tar.extractfile(member)
            if source is not None:
                with path.open("xb") as file:
                    shutil.copyfileobj(source, file, _COPY)
    if not tops:
        raise ArchiveError("the archive is empty")
    return tops.pop()


def _checked_members(
    tar: tarfile.TarFile, target: Path, limits: Limits
) -> Iterator[tarfile.TarInfo]:
    """Yield the members in order, each proved harmless before its bytes are read."""
    total = 0
    room = shutil.disk_usage(target).free
    for number, member in enumerate(tar, start=1):
        tar.members = []  # type: ignore[attr-defined]  # a stream needs no list of what is past
        _check_member(member)
        total += max(member.size, 0)
        if number > limits.members:
            raise ArchiveError(f"the archive has {number:,} members, {limits.over('members')}")
        if total > limits.bytes:
            raise ArchiveError(
                f"the archive is absurdly large: {member.name!r:.200} brings it to {total:,} "
                f"bytes, {limits.over('bytes')}"
            )
        if total > room:
            # Not the archive's fault, so that a download of it is kept.
            raise HomeError(
                f"the archive needs {total:,} bytes or more, and only {room:,} are free in "
                f"{target}: make room, or name another home"
            )
        parts = PurePosixPath(member.name).parts
        if parts and not parts[-1].startswith("._"):  # not "./", nor what macOS adds to files
            yield member


def _header_type(limits: Limits) -> type[tarfile.TarInfo]:
    """Return a header type that refuses extended headers too large to be read into memory."""

    class Header(tarfile.TarInfo):
        def _proc_member(self, tar: tarfile.TarFile) -> tarfile.TarInfo:
            if self.type in _EXTENDED and self.size > limits.header_bytes:
                raise ArchiveError(
                    f"the archive is absurdly large: it has a header of {self.size:,} bytes, "
                    f"{limits.over('header_bytes')}"
                )
            return super()._proc_member(tar)  # type: ignore[misc,no-any-return]

    return Header


def _check_member(member: tarfile.TarInfo) -> None:
    """Refuse all that is no plain file or folder inside the archive's own folder."""
    name = member.name
    path = PurePosixPath(name)
    if any(len(part.encode("utf-8", "replace")) > _LONGEST_NAME for part in path.parts[:1]):
        raise ArchiveError(f"the archive's folder has an absurdly long name: {name!r:.80}")
    if path.is_absolute() or ".." in path.parts or "\\" in name or ":" in name or "\0" in name:
        raise ArchiveError(f"the archive holds a path outside its folder: {name!r:.200}")
    if member.issym() or member.islnk():
        raise ArchiveError(f"the archive holds a link: {name!r:.200}")
    if not (member.isreg() or member.isdir()) or member.sparse is not None:
        raise ArchiveError(f"the archive holds a device or other special file: {name!r:.200}")
