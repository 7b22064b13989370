"""A large file from a server, in a part file that survives whatever ends the download.

The one idea: beside the part lies what the server said of it (its ETag or date, its length). Only
bytes of the very same thing are ever added to it; where that cannot be known for sure, the caller
verifies the whole, and throws the part away if it is wrong.
"""

from __future__ import annotations

import json
import re
import shutil
import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import IO, TYPE_CHECKING, Any

from atlasdb.download.connections import (
    Connections,
    PassingError,
    Patience,
    Tries,
    announced_bytes,
    require_ok,
)
from atlasdb.errors import DownloadError
from atlasdb.filelock import is_same, lock_exclusive

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import requests

    from atlasdb.sources.base import Progress

_CHUNK = 1 << 20
_SNIFFED = 512
_ROOM = 1 << 24
_LOOKED = 1 << 26
_POLL_S = 0.05
_PARTIAL, _NOT_MODIFIED, _UNSATISFIABLE = 206, 304, 416
_RANGE = re.compile(r"bytes (\d{1,18})-\d{1,18}/(\d{1,18}|\*)")
_RANGE_OF_NONE = re.compile(r"bytes \*/(\d{1,18})")


@dataclass(frozen=True)
class _Said:
    """What a server said of the thing that a part is the beginning of.

    Attributes
    ----------
    url
        Its address.
    etag, modified
        The server's name for these very bytes, and their date; empty if it gave none.
    total
        Their number, None if it did not say.
    complete
        Whether the part is the whole.
    """

    url: str
    etag: str = ""
    modified: str = ""
    total: int | None = None
    complete: bool = False

    @property
    def validator(self) -> str:
        """What tells this from another thing at the same address: a strong ETag, or the date."""
        is_strong = self.etag and not self.etag.startswith("W/")
        return self.etag if is_strong else self.modified

    def same_as(self, other: _Said) -> bool:
        """Whether nothing that two answers say tells them apart."""
        pairs = ((self.etag, other.etag), (self.modified, other.modified))
        totals = (self.total, other.total)
        return all(a == b for a, b in pairs if a and b) and (None in totals or len({*totals}) == 1)


class _AnewError(Exception):
    """The part cannot be gone on with: begin anew."""


@dataclass(frozen=True)
class Part:
    """A part file that this process holds; see `held_part`.

    Attributes
    ----------
    path
        Where it is.
    file
        Opened for appending.
    """

    path: Path
    file: IO[bytes]

    def discard(self) -> None:
        """Throw away what there is of it."""
        self.file.truncate(0)
        _beside(self.path).unlink(missing_ok=True)


@contextmanager
def held_part(
    path: Path, *, timeout_s: float = 3600.0, waiting: Callable[[str], object] = str
) -> Iterator[Part]:
    """Hold a part file, for one process and thread at a time; it stays if there is a byte in it.

    Parameters
    ----------
    path
        The part.
    timeout_s
        How long another process is waited for.
    waiting
        Told once, in a sentence, that another one is waited for.

    Raises
    ------
    DownloadError
        Another process holds it for longer.
    """
    deadline, told = time.monotonic() + timeout_s, False
    while True:
        with path.open("ab") as file:
            if lock_exclusive(file.fileno()):
                if not is_same(path, file.fileno()):
                    continue
                try:
                    yield Part(path, file)
                finally:
                    if not file.seek(0, 2):
                        _remove(path)
                return
        if time.monotonic() > deadline:
            raise DownloadError(f"another process downloads to {path}; waited {timeout_s:g} s")
        if not told:
            waiting(f"another process downloads to {path}; waiting for it")
            told = True
        time.sleep(_POLL_S)


def discard_part(path: Path) -> None:
    """Remove a part, and what was said of it, unless another process holds it."""
    if not path.is_file():
        return
    with path.open("ab") as file:
        if lock_exclusive(file.fileno()):
            _remove(path)


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)
    _beside(path).unlink(missing_ok=True)


def fetch(
    url: str,
    part: Part,
    *,
    progress: Progress,
    refuse: Callable[[bytes], str] = lambda start: "",  # noqa: ARG005 (what any file begins with)
    patience: Patience | None = None,
) -> bool:
    """Download `url` to a part file, going on with what is there of it already.

    Parameters
    ----------
    url
        An http or https address.
    part
        Where to. What the server said of it is kept beside it, as ``PART.json``; both stay if the
        download is interrupted, and the next call goes on from there.
    progress
        Told of the bytes received, and of failures that were overcome.
    refuse
        Is given the first bytes, and says what is wrong with them, if anything is; then nothing
        is kept.
    patience
        How long the server is waited for.

    Returns
    -------
    bool
        Whether it came in one piece. Otherwise only a digest or a checksum can tell whether the
        pieces belong together, if the server gives its files neither an ETag nor a date.

    Raises
    ------
    DownloadError
        The server cannot be reached, answers with an error, or sends something else than it
        announced, time and again; or the disk has no room.
    """
    with Connections(patience=patience) as connections:
        return _Download(url, part, connections, progress, refuse).run()


def require_room(url: str, missing: int, folder: Path) -> None:
    """Refuse a download for which the disk has no room, before it begins.

    Parameters
    ----------
    url
        Its address.
    missing
        How many bytes are to come.
    folder
        Where they are to be.

    Raises
    ------
    DownloadError
        There is no room.
    """
    free = shutil.disk_usage(folder).free
    if missing + _ROOM > free:
        raise DownloadError(
            f"{url}: {missing:,} bytes are to come, and only {free:,} are free in {folder}: make "
            "room, or name another home"
        )


def _beside(part: Path) -> Path:
    return part.with_name(part.name + ".json")


class _Download:
    """One download, in as many attempts as it takes."""

    def __init__(
        self,
        url: str,
        part: Part,
        connections: Connections,
        progress: Progress,
        refuse: Callable[[bytes], str],
    ) -> None:
        self._url = url
        self._part = part.path
        self._file = part.file
        self._connections = connections
        self._progress = progress
        self._refuse = refuse
        self._said = self._remembered()
        self._most = 0
        self._in_one_piece = True

    def run(self) -> bool:
        """Go on until the part is whole, and return whether it came in one piece."""
        tries = Tries(self._connections.patience, self._connections.stopping)
        while True:
            try:
                self._attempt()
            except PassingError as error:
                have = self._file.tell()
                if have > self._most:  # begun anew, it must get further than before
                    self._most = have
                    tries.gained()
                self._wait(tries, error, have)
            except _AnewError as error:
                self._forget()
                tries.wait(self._url, PassingError(str(error)))
            else:
                return self._in_one_piece

    def _wait(self, tries: Tries, error: PassingError, have: int) -> None:
        """Wait for the next attempt, and say that there was a failure."""
        try:
            waited = tries.wait(self._url, error)
        except DownloadError as last:
            kept = f"; {have:,} bytes are kept, and the same again goes on from there"
            raise DownloadError(f"{last}{kept if have else ''}") from error
        self._progress.note(
            f"{self._url}: {error}; trying again after {waited:.1f} s, from byte {have:,}"
        )

    def _attempt(self) -> None:
        """Ask for what is missing, and write it."""
        have = self._file.seek(0, 2)
        with self._connections.answer(self._url, self._asked(have)) as response:
            status = response.status_code
            said = self._understood(response)
            if self._said.complete and status == _NOT_MODIFIED:
                self._progress.step(f"downloaded before: {self._url}", have)
                self._progress.advance(have)
                self._in_one_piece = False
                return
            if status == _UNSATISFIABLE and have:
                self._check_whole(response, said, have)
                self._in_one_piece = False
                return
            if status == _PARTIAL and have:
                self._check_rest(response, said, have)
                self._in_one_piece = False
            else:
                require_ok(self._url, response)
                self._begin(said)
                have = 0
                self._in_one_piece = True
            self._receive(response, have)
        if self._said.total not in (None, self._file.tell()):
            raise PassingError(
                f"the connection ended after {self._file.tell():,} of {self._said.total:,} bytes"
            )
        self._finish()

    def _asked(self, have: int) -> dict[str, str]:
        """Return the conditions of the next request."""
        said = self._said
        if said.complete:
            by_etag = {"If-None-Match": said.etag} if said.etag else {}
            return by_etag or {"If-Modified-Since": said.modified}
        if not have:
            return {}
        # Without a validator the caller's own check decides.
        condition = {"If-Range": said.validator} if said.validator else {}
        return {"Range": f"bytes={have}-"} | condition

    def _understood(self, response: requests.Response) -> _Said:
        """Return what an answer says of the whole."""
        headers = response.headers
        total = announced_bytes(response)
        if response.status_code == _PARTIAL:
            found = _RANGE.fullmatch(headers.get("Content-Range", ""))
            total = int(found[2]) if found and found[2] != "*" else None
        return _Said(self._url, headers.get("ETag", ""), headers.get("Last-Modified", ""), total)

    def _check_rest(self, response: requests.Response, said: _Said, have: int) -> None:
        """Make sure that an answer goes on where the part ends."""
        found = _RANGE.fullmatch(response.headers.get("Content-Range", ""))
        if found is None or int(found[1]) != have:
            raise _AnewError("the server sends another part than it was asked for")
        if not self._said.same_as(said):
            raise _AnewError("the server has another file there now")

    def _check_whole(self, response: requests.Response, said: _Said, have: int) -> None:
        """Take a part for the whole if nothing is left to be sent."""
        found = _RANGE_OF_NONE.fullmatch(response.headers.get("Content-Range", ""))
        said = _Said(said.url, said.etag, said.modified)  # the length is the error page's
        if found is None or int(found[1]) != have or not self._said.same_as(said):
            raise _AnewError("the server has a shorter file there now")
        self._finish()

    def _begin(self, said: _Said) -> None:
        """Begin the part, with what is said of the whole."""
        self._file.truncate(0)
        self._remember(said)

    def _receive(self, response: requests.Response, have: int) -> None:
        """Write the bytes of an answer, undecoded: a .tar.gz is wanted as it is."""
        require_room(self._url, (self._said.total or have) - have, self._part.parent)
        looked = have
        self._progress.step(f"downloading {self._url}", self._said.total)
        if have:
            self._progress.advance(have)
        # What is there, rather than a full buffer: an interrupted part is as large as can be.
        while chunk := response.raw.read1(_CHUNK, decode_content=False):
            if have < _SNIFFED:
                self._sniff(have, chunk)
            self._file.write(chunk)
            have += len(chunk)
            self._progress.advance(len(chunk))
            if have - looked > _LOOKED and self._said.total is None:
                require_room(self._url, 0, self._part.parent)
                looked = have

    def _sniff(self, have: int, chunk: bytes) -> None:
        """Look at the first bytes: error pages come with status 200 too."""
        self._file.flush()
        before = self._part.read_bytes()[:_SNIFFED] if have else b""
        problem = self._refuse(before + chunk[: _SNIFFED - have])
        if problem:
            self._forget()
            raise DownloadError(f"{self._url}: {problem}")

    def _finish(self) -> None:
        self._file.flush()
        said = asdict(self._said) | {"total": self._file.tell(), "complete": True}
        # Without a validator nobody could say later whether it is still the same.
        self._remember(_Said(**said) if self._said.validator else self._said)

    def _forget(self) -> None:
        """Throw away what there is of the part."""
        self._file.truncate(0)
        self._said = _Said(self._url)
        _beside(self._part).unlink(missing_ok=True)

    def _remember(self, said: _Said) -> None:
        self._said = said
        _beside(self._part).write_text(json.dumps(asdict(said)), "utf-8")

    def _remembered(self) -> _Said:
        """Return what was said of the part, which is emptied if that is not known."""
        size = self._file.seek(0, 2)
        try:
            said = _Said(**json.loads(_beside(self._part).read_text("utf-8")))
        except (OSError, ValueError, TypeError, RecursionError):
            said = _Said("")
        if said.url != self._url or not _fits(said, size):
            self._file.truncate(0)
            return _Said(self._url)
        return said


def _fits(said: Any, size: int) -> bool:  # noqa: ANN401 (a file may hold anything)
    """Whether what was remembered is well-formed, and can be of a part of that size."""
    texts = (said.etag, said.modified)
    if not all(isinstance(text, str) and text.isascii() and text.isprintable() for text in texts):
        return False
    if type(said.complete) is not bool or type(said.total) not in {int, type(None)}:
        return False
    if said.complete:
        return size == said.total and bool(said.validator)
    return said.total is None or size <= said.total
