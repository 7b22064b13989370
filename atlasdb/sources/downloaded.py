"""An archive on a server: downloaded into a part file that outlives interruptions, then unpacked.

The one idea: the gzip checksum, and a digest where one is known, are verified over the whole file,
however many connections it came through; a part that proves wrong is thrown away.
"""

from __future__ import annotations

import hashlib
import re
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from atlasdb.download import discard_part, fetch, held_part
from atlasdb.errors import ArchiveError, SourceError
from atlasdb.sources.archive import UNPACKED, ArchiveOrigin, what_is_wrong
from atlasdb.sources.base import EVERYTHING, Selection

if TYPE_CHECKING:
    from pathlib import Path

    from atlasdb.names import AtlasName
    from atlasdb.sources.base import Progress
    from atlasdb.sources.digests import Digest
    from atlasdb.sources.package import TiffPackage

_LONGEST = 100


@dataclass(frozen=True)
class UrlOrigin:
    """An archive on a server.

    Attributes
    ----------
    url
        The archive's address.
    expected
        The name and version that it was found under, if it was asked for by name.
    downloads
        The folder where the archive lies meanwhile; the staging folder by default.
    digest
        What somebody stated of it.
    """

    url: str
    expected: AtlasName | None = None
    downloads: Path | None = None
    digest: Digest | None = None

    @property
    def description(self) -> str:
        """The archive's address."""
        return self.url

    def open(
        self,
        staging: Path,
        progress: Progress,
        selection: Selection = EVERYTHING,
    ) -> TiffPackage:
        """Download the archive, verify it, and open the package in it.

        An archive that came in pieces and proves wrong is downloaded once more, whole.
        """
        path = self._part(self._folder(staging))
        with held_part(path, waiting=progress.note) as part:
            for is_last in (False, True):
                in_one_piece = fetch(self.url, part, progress=progress, refuse=_refuse)
                archive = ArchiveOrigin(path, self.url, self.expected, self.digest)
                try:
                    return archive.open(staging, progress, selection)
                except ArchiveError as error:
                    part.discard()
                    if in_one_piece or is_last:
                        raise
                    progress.note(f"{error}; it came in pieces, so it is downloaded anew")
                    shutil.rmtree(staging / UNPACKED, ignore_errors=True)
        raise AssertionError("the last attempt returns or raises")

    def clean_up(self) -> None:
        """Remove the part file."""
        if self.downloads is not None and self.downloads.is_dir():
            discard_part(self._part(self.downloads))

    def _part(self, folder: Path) -> Path:
        """Return the part file: called like the archive, and for this address alone."""
        called = re.sub(r"[^A-Za-z0-9_.-]+", "_", self.url.partition("?")[0].rpartition("/")[2])
        mark = hashlib.sha256(self.url.encode("utf-8", "replace")).hexdigest()[:8]
        return folder / f"{called[-_LONGEST:].lstrip('.') or 'archive'}.{mark}.part"

    def _folder(self, staging: Path) -> Path:
        """Return the folder for the archive, made if need be."""
        if self.downloads is None:
            return staging
        try:
            self.downloads.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SourceError(
                f"cannot download into {self.downloads}: {error.strerror or error}"
            ) from error
        return self.downloads


def _refuse(start: bytes) -> str:
    found = what_is_wrong(start)
    return f"the server sends no .tar.gz archive: {found}" if found else ""
