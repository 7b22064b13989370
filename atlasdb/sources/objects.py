"""The objects of a component-wise atlas, below a folder or an address: found, fetched, verified.

The one idea: whoever reads an atlas names keys and gets files. Objects of a server are kept in the
home until the ingest has ended, shared ones for the next atlas too, each with its digest and the
server's ETag: nothing is downloaded twice, and nothing is used that is not what was downloaded.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import time
from abc import ABC, abstractmethod
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote

from atlasdb.download import Connections, first_patience, in_threads, require_room
from atlasdb.errors import ArchiveError, DownloadError, PackageError, SourceError
from atlasdb.filelock import lease, lock_exclusive
from atlasdb.sources.base import NoProgress
from atlasdb.sources.buckets import Listed, find_bucket
from atlasdb.sources.digests import SUMS, Digest, read_sums, sha256_of
from atlasdb.sources.stated import refuse_large
from atlasdb.wholefile import replacing

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from pathlib import Path

    from atlasdb.download import Answer
    from atlasdb.sources.base import Progress
    from atlasdb.sources.buckets import Bucket

_AT_ONCE = 16
_POLL_S = 0.01
_FORBIDDEN = 403
_INDEX = "index.json"
_OBJECTS = "objects"
_LARGEST_SMALL = 1 << 28
_LONGEST_KEY = 1000
_NO_MD5 = ("aws:kms", "aws:kms:dsse")
_PARTS = re.compile(r"[^/\\:\0-\x1f]+(?:/[^/\\:\0-\x1f]+)*")


def checked_key(key: str) -> str:
    """Return a key that can be a path below a folder.

    Raises
    ------
    PackageError
        It cannot: it is absolute, or leads outside.
    """
    if (
        len(key) > _LONGEST_KEY
        or not _PARTS.fullmatch(key)
        or any(part in {".", ".."} for part in key.split("/"))
    ):
        raise PackageError(f"{key!r:.200} is no path below an atlas's folder")
    return key


class Objects(ABC):
    """The objects below a folder or an address, by their keys."""

    @property
    @abstractmethod
    def address(self) -> str:
        """The folder or address, as a URL that ends in a slash."""

    @abstractmethod
    def bring(
        self,
        keys: Iterable[str],
        progress: Progress,
        label: str = "",
        *,
        optional: bool = False,
    ) -> dict[str, Path]:
        """Return files with the objects, those that are there.

        Parameters
        ----------
        keys
            What is wanted.
        progress
            Told of the bytes.
        label
            What the step is called; by default it is none of its own, and nothing is told.
        optional
            Whether an atlas is whole without them: buckets that list nothing to strangers answer
            403 for what is not there.

        Raises
        ------
        SourceError
            One is there and cannot be had, or is not what it should be.
        """

    @abstractmethod
    def survey(self, folder: str) -> None:
        """Learn what there is below a folder, as far as anybody says.

        Parameters
        ----------
        folder
            Without a slash at its end.
        """

    @abstractmethod
    def names(self, folder: str) -> frozenset[str] | None:
        """Return the names of the objects in a folder, None if nobody can say.

        Parameters
        ----------
        folder
            Without a slash at its end.
        """

    @property
    @abstractmethod
    def is_sure_of_absence(self) -> bool:
        """Whether what is not found is known not to be there."""

    @abstractmethod
    def drop(self, keys: Iterable[str]) -> None:
        """Forget objects that no other atlas needs."""

    def read(self, key: str, progress: Progress) -> bytes:
        """Return a small object.

        Raises
        ------
        PackageError
            It is not there, or absurdly large.
        """
        path = self.bring([key], progress).get(key)
        if path is None:
            raise PackageError(f"{self.address}{key} is missing")
        refuse_large(path.stat().st_size, f"{self.address}{key}")
        return path.read_bytes()


@dataclass(frozen=True)
class FolderObjects(Objects):
    """Objects that are files of the user's, used in place.

    Attributes
    ----------
    folder
        The folder.
    sums
        Digests by key, from the folder's own list.
    """

    folder: Path
    sums: Mapping[str, str]

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Return the objects of a folder."""
        path = folder / SUMS
        return cls(folder, read_sums(path.read_bytes(), str(path)) if path.is_file() else {})

    @property
    def address(self) -> str:
        """The folder as a URL."""
        return self.folder.absolute().as_uri() + "/"

    @property
    def is_sure_of_absence(self) -> bool:
        """Never: BrainGlobe's own tools leave folders half downloaded."""
        return False

    def bring(
        self,
        keys: Iterable[str],
        progress: Progress,
        label: str = "",
        *,
        optional: bool = False,  # noqa: ARG002 (a file is there or not)
    ) -> dict[str, Path]:
        """Return the files themselves."""
        if label:
            progress.step(label)
        found = {}
        for key in keys:
            path = self.folder / checked_key(key)
            if path.is_file():
                if key in self.sums:
                    _require(self.sums[key], sha256_of(path), key, self.folder / SUMS)
                found[key] = path
            elif key in self.sums:
                raise PackageError(f"{path} is missing, though {SUMS} names it")
        return found

    def survey(self, folder: str) -> None:
        """Do nothing: files are looked at when they are wanted."""

    def drop(self, keys: Iterable[str]) -> None:
        """Do nothing: the files are the user's."""

    def names(self, folder: str) -> frozenset[str]:
        """Return the names of the files."""
        path = self.folder / checked_key(folder)
        files = path.iterdir() if path.is_dir() else ()
        return frozenset(file.name for file in files if file.is_file())


@dataclass(frozen=True)
class _Kept:
    """What is known of an object that was downloaded."""

    bytes: int
    sha256: str
    etag: str
    modified: str


class ServerObjects(Objects):
    """Objects on a server, kept in a folder once they are downloaded.

    Use it in a ``with`` block, which closes the connections and writes down what is kept.

    Parameters
    ----------
    base
        The address, which ends in a slash.
    folder
        Where they are kept; made when it is needed.
    """

    def __init__(self, base: str, folder: Path) -> None:
        self._base = base
        self._folder = folder
        self._connections = Connections(_AT_ONCE)
        self._bucket: Bucket | None = None
        self._listed: dict[str, dict[str, Listed]] = {}
        self._sums: dict[str, str] = {}
        self._kept: dict[str, _Kept] = {}
        self._fresh: dict[str, Path | None] = {}
        self._optional: set[str] = set()
        self._lease = ExitStack()
        self._is_leased = False

    def __enter__(self) -> Self:
        self._kept = _read_index(self._folder)
        return self

    def __exit__(self, *_: object) -> None:
        self._connections.__exit__()
        with suppress(OSError):
            _merge_index(
                self._folder, {k: self._kept[k] for k, path in self._fresh.items() if path}
            )
        self._lease.close()
        for folder in (self._folder / _OBJECTS, self._folder, self._folder.parent):
            with suppress(OSError):  # not empty, as a rule
                folder.rmdir()

    def prepare(self) -> None:
        """Ask the server what it says of its objects: a listing, digests.

        Raises
        ------
        DownloadError
            It does not answer.
        """
        with Connections(patience=first_patience()) as first:
            self._bucket = find_bucket(first, self._base)
            try:
                answer = first.get(self._base + SUMS, at_most=_LARGEST_SMALL)
            except DownloadError as error:
                if error.status is None:
                    raise
            else:
                self._sums = read_sums(answer.content, self._base + SUMS) if answer else {}

    @property
    def address(self) -> str:
        """The address."""
        return self._base

    @property
    def is_sure_of_absence(self) -> bool:
        """Whether the server lists what it has; digests may be of some files only."""
        return self._bucket is not None

    def survey(self, folder: str) -> None:
        """Ask for the bucket's listing of a folder, once."""
        prefix = checked_key(folder) + "/"
        if self._bucket is not None and self._listing(prefix) is None:
            self._listed[prefix] = self._bucket.list(self._connections, prefix)

    def names(self, folder: str) -> frozenset[str] | None:
        """Return the names that the server's listing, or its digests, give."""
        prefix = checked_key(folder) + "/"
        self.survey(folder)
        listing = self._listing(prefix)
        known: Collection[str] = self._sums if listing is None else listing
        below = [key[len(prefix) :] for key in known if key.startswith(prefix)]
        if listing is None and not below:  # a list of other files says nothing of these
            return None
        return frozenset(name for name in below if "/" not in name)

    def bring(
        self,
        keys: Iterable[str],
        progress: Progress,
        label: str = "",
        *,
        optional: bool = False,
    ) -> dict[str, Path]:
        """Download what is not there yet, many objects at once."""
        wanted = [checked_key(key) for key in dict.fromkeys(keys)]
        if optional:
            self._optional.update(wanted)
        missing = [key for key in wanted if key not in self._fresh and self._may_be_there(key)]
        sizes = [self._size(key) for key in missing]
        total = None if None in sizes else sum(size or 0 for size in sizes)
        if label:
            progress.step(label, total)
        if missing:
            self._make_folder()
            require_room(self._base, total or 0, self._folder)
            self._fetch_all(missing, progress if label else NoProgress())
        return {key: path for key in wanted if (path := self._fresh.get(key)) is not None}

    def drop(self, keys: Iterable[str]) -> None:
        """Remove objects that no other atlas needs; they are fetched anew if one does."""
        for key in keys:
            self._fresh.pop(key, None)
            self._path(key).unlink(missing_ok=True)

    def _make_folder(self) -> None:
        """Make the folder, and keep it from being removed while this object is in use."""
        while not self._is_leased:
            (self._folder / _OBJECTS).mkdir(parents=True, exist_ok=True)
            with suppress(FileNotFoundError):  # removed between the two steps: again
                self._lease.enter_context(lease(self._folder.parent))
                self._is_leased = True

    def _fetch_all(self, keys: list[str], progress: Progress) -> None:
        """Fetch objects by several threads; the first error ends all."""
        try:
            for key, (path, size) in in_threads(self._fetched, keys, _AT_ONCE):
                self._fresh[key] = path
                progress.advance(size)
        except BaseException:
            self._connections.stopping.set()  # whoever waits to try again
            raise

    def _fetched(self, key: str) -> tuple[Path | None, int]:
        """Return the file of an object and its size; None if the server has none such."""
        path, kept = self._path(key), self._usable(key)
        listed = self._listed_object(key)
        if kept is not None and listed is not None:
            if kept.etag == listed.etag:
                return path, kept.bytes
            kept = None  # the listing knows of another one
        url = self._base + quote(key)
        try:
            etag, modified = (kept.etag, kept.modified) if kept else ("", "")
            answer = self._connections.get(url, etag=etag, modified=modified)
        except DownloadError as error:
            is_hidden = error.status == _FORBIDDEN and key in self._optional
            if not (error.is_absence or is_hidden):
                raise
            if listed is not None or key in self._sums:
                raise DownloadError(f"{error}, though it lists it; try again") from error
            path.unlink(missing_ok=True)  # what was there before is withdrawn
            return None, 0
        if answer is None:
            return path, kept.bytes if kept else 0
        sha256 = hashlib.sha256(answer.content).hexdigest()
        self._verify(key, url, answer, sha256)
        self._write(path, answer.content)
        self._kept[key] = _Kept(len(answer.content), sha256, answer.etag, answer.modified)
        return path, len(answer.content)

    def _verify(self, key: str, url: str, answer: Answer, sha256: str) -> None:
        """Refuse an object that is not what the server says of it elsewhere."""
        content, listed = answer.content, self._listed_object(key)
        if self._bucket is not None and listed is None:
            listed = Listed(len(content), answer.etag)
        if content.lstrip()[:9].lower() in {b"<!doctype", b"<html>"}:
            raise DownloadError(f"{url}: the server sends an HTML page, perhaps an error")
        if content.startswith(b"version https://git-lfs"):
            raise DownloadError(f"{url}: this is a git-lfs pointer, not the file itself")
        if key in self._sums:
            _require(self._sums[key], sha256, url, self._base + SUMS)
        if listed is None:
            return
        changed = "it was damaged on the way, or changed meanwhile; try again"
        if len(content) != listed.bytes:
            raise DownloadError(
                f"{url} has {len(content):,} bytes, but is listed with {listed.bytes:,}: {changed}"
            )
        md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
        if listed.md5 and answer.encryption not in _NO_MD5 and md5 != listed.md5:
            raise DownloadError(
                f"{url} has the MD5 {md5}, but is listed with {listed.md5}: {changed}"
            )

    def _write(self, path: Path, content: bytes) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{secrets.token_hex(6)}.part")
        try:
            draft.write_bytes(content)
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)

    def _usable(self, key: str) -> _Kept | None:
        """Return what is known of a copy at hand, if it is still what was downloaded."""
        kept, path = self._kept.get(key), self._path(key)
        if kept is None or not (kept.etag or kept.modified) or not path.is_file():
            return None
        is_whole = path.stat().st_size == kept.bytes and sha256_of(path) == kept.sha256
        stated = self._sums.get(key, kept.sha256)
        return kept if is_whole and stated == kept.sha256 else None

    def _path(self, key: str) -> Path:
        return self._folder / _OBJECTS / key

    def _may_be_there(self, key: str) -> bool:
        """Whether it is worth asking for an object."""
        listing = self._listing(key)
        return listing is None or key in listing

    def _size(self, key: str) -> int | None:
        listed = self._listed_object(key)
        return None if listed is None else listed.bytes

    def _listed_object(self, key: str) -> Listed | None:
        return (self._listing(key) or {}).get(key)

    def _listing(self, key: str) -> dict[str, Listed] | None:
        """Return the listing that an object or a folder is in, None if none was asked for."""
        for prefix, listing in self._listed.items():
            if key.startswith(prefix):
                return listing
        return None


def _require(wanted: str, found: str, name: str, stated_by: object) -> None:
    try:
        Digest(wanted, str(stated_by)).require(found, name)
    except ArchiveError as error:
        raise DownloadError(str(error).partition("; if you")[0]) from error


def _read_index(folder: Path) -> dict[str, _Kept]:
    """Return what is known of the objects in a folder."""
    try:
        entries = json.loads((folder / _INDEX).read_text("utf-8"))
        kept = {str(key): _Kept(**entry) for key, entry in entries.items()}
        return {key: entry for key, entry in kept.items() if _is_sound(entry)}
    except (OSError, ValueError, TypeError, AttributeError, RecursionError):
        return {}


def _is_sound(kept: Any) -> bool:  # noqa: ANN401 (a file may hold anything)
    """Whether an entry of an index is what was written."""
    texts = (kept.sha256, kept.etag, kept.modified)
    return type(kept.bytes) is int and all(
        isinstance(text, str) and text.isascii() and text.isprintable() for text in texts
    )


def _merge_index(folder: Path, kept: dict[str, _Kept]) -> None:
    """Add to what is known of a folder's objects; other processes may do so too."""
    if not kept:
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        while not lock_exclusive(descriptor):
            time.sleep(_POLL_S)
        entries = {key: asdict(entry) for key, entry in (_read_index(folder) | kept).items()}
        with replacing(folder / _INDEX) as file:
            file.write(json.dumps(entries).encode())
    finally:
        os.close(descriptor)


def slug(base: str) -> str:
    """Return a name for a folder that belongs to an address.

    Raises
    ------
    SourceError
        It is no address.
    """
    host = re.sub(r"[^A-Za-z0-9.-]+", "_", base.partition("://")[2].partition("/")[0])
    if not host:
        raise SourceError(f"{base!r:.200} is no address")
    return f"{host[:80]}-{hashlib.sha256(base.encode('utf-8', 'replace')).hexdigest()[:8]}"
