"""The exceptions of atlasdb: one root, and each also the builtin that a caller would catch.

A message names the thing, what was expected, what was found, and what to do next::

    AtlasDBError
    ├── HierarchyError (ValueError)            the structures are not one tree
    ├── SourceError (ValueError)               an atlas cannot be taken from where it was sought
    │   ├── ArchiveError                       an archive is damaged, hostile or something else
    │   ├── PackageError                       a package's files are missing or disagree
    │   │   └── ShapeError                     a volume has another shape than its atlas
    │   ├── DownloadError                      a server did not give what was asked for
    │   └── StrictError                        the ingest check has warnings, and --strict was given
    ├── LookupFailedError (KeyError)
    │   ├── UnknownAtlasError                  no such atlas in this home
    │   ├── UnknownStructureError              no such structure in this atlas
    │   ├── AmbiguousAcronymError              several structures bear this acronym
    │   ├── UnknownDepthError                  no structure of this atlas is so deep
    │   │   └── UnknownLevelError (ValueError) no descendant of a structure is at that level
    │   ├── UnknownQueryError                  no such named query
    │   └── UnknownCellTableError              no such registered table of cells
    ├── OutsideError (ValueError)              points outside the volume, and no value for them
    ├── PointsError (ValueError)               a table of points that cannot be read as one
    ├── CellTableError (ValueError)            a table of cells cannot be registered by this name
    ├── PictureError (ValueError)              a picture cannot be drawn or written as asked
    ├── NoVoxelsError (ValueError)             a structure that has no voxels
    ├── NoMeshError (FileNotFoundError)        a structure that has no mesh, or none on that side
    ├── SchedulerError (RuntimeError)          a cluster cannot be worked on
    ├── MissingPackageError (ImportError)      an optional package is not installed
    ├── QueryError (ValueError)                a statement that DuckDB refuses
    ├── WriteError (ValueError)                changes of rows that contradict each other
    └── HomeError (OSError)                    the home cannot be read or written
        ├── HomeNotFoundError                  there is no database in it
        ├── HomeBusyError                      another program holds it
        ├── AtlasInUseError                    tables of cells were annotated with an atlas
        ├── SchemaVersionError                 its schema is older or newer than this atlasdb
        └── BlobError                          a volume or mesh is missing, truncated or altered
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


_ABSENT = frozenset({404, 410})


class AtlasDBError(Exception):
    """The root of every error that atlasdb raises on purpose."""

    def __str__(self) -> str:
        # KeyError would show the repr of its argument.
        return str(self.args[0]) if self.args else ""


class HierarchyError(AtlasDBError, ValueError):
    """The structures do not form one tree, or their paths contradict their parents."""


class SourceError(AtlasDBError, ValueError):
    """An atlas cannot be taken from where it was sought."""


class ArchiveError(SourceError):
    """An archive is truncated, corrupt, hostile, or no archive at all."""


class PackageError(SourceError):
    """The files of an atlas package are missing, malformed or contradict each other."""


class ShapeError(PackageError):
    """A volume has another shape than the metadata of its atlas say."""


class DownloadError(SourceError):
    """A server could not be reached, or did not give what was asked for.

    Parameters
    ----------
    message
        What happened, with the address.
    status
        The server's answer, such as 404; None if it gave none.
    """

    def __init__(self, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status

    @property
    def is_absence(self) -> bool:
        """Whether the server answered, and has no such thing."""
        return self.status in _ABSENT


class StrictError(SourceError):
    """The ingest check found warnings and the caller asked for none."""


class LookupFailedError(AtlasDBError, KeyError):
    """A name that was asked for is not there, or names several things."""


class UnknownAtlasError(LookupFailedError):
    """The home has no atlas of this name or version."""


class UnknownStructureError(LookupFailedError):
    """The atlas has no structure of this acronym or id."""


class AmbiguousAcronymError(LookupFailedError):
    """Several structures of the atlas bear this acronym; their ids tell them apart."""


class UnknownDepthError(LookupFailedError):
    """The atlas has no structures at this depth."""


class UnknownLevelError(UnknownDepthError, ValueError):
    """A structure has no descendants at this level of the hierarchy."""


class UnknownQueryError(LookupFailedError):
    """There is no named query of this name."""


class UnknownCellTableError(LookupFailedError):
    """The home has no registered table of cells of this name."""


class OutsideError(AtlasDBError, ValueError):
    """Points lie outside the volume, and the caller named no value for them."""


class PointsError(AtlasDBError, ValueError):
    """A table of points cannot be read, or what its columns mean cannot be told."""


class CellTableError(AtlasDBError, ValueError):
    """A table of cells cannot be registered by this name: it is none, or is taken."""


class PictureError(AtlasDBError, ValueError):
    """A picture cannot be drawn from these values, or written in this format."""


class NoVoxelsError(AtlasDBError, ValueError):
    """What was asked of a structure's voxels has no answer: it has none."""


class NoMeshError(AtlasDBError, FileNotFoundError):
    """A structure has no mesh in its atlas, or nothing of it lies on the side asked for."""


class SchedulerError(AtlasDBError, RuntimeError):
    """A Dask cluster cannot be reached, or its workers cannot do what is asked."""


class MissingPackageError(AtlasDBError, ImportError):
    """What was asked for needs a package that is not installed; the message names the extra."""


class QueryError(AtlasDBError, ValueError):
    """DuckDB refuses a statement."""


class WriteError(AtlasDBError, ValueError):
    """A writing session's changes are refused; the home is as it was."""


class HomeError(AtlasDBError, OSError):
    """The home folder cannot be read or written."""


class HomeNotFoundError(HomeError):
    """The folder holds no atlas database."""


class HomeBusyError(HomeError):
    """Another program holds the database or the home's lock."""


class AtlasInUseError(HomeError):
    """An atlas cannot be removed: tables of cells were annotated with it."""


class SchemaVersionError(HomeError):
    """The database's schema is older or newer than this version of atlasdb understands."""


class BlobError(HomeError):
    """A volume or mesh file is missing, truncated or altered."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ``"; did you mean VISp1 or VISp4?"`` for near misses of `word`, else ``""``.

    Parameters
    ----------
    word
        What was asked for.
    known
        What there is.

    Examples
    --------
    >>> did_you_mean("VISP1", ["VISp1", "CA1"])
    '; did you mean VISp1?'
    """
    by_folded: dict[str, str] = {}
    for name in known:
        by_folded.setdefault(name.casefold(), name)
    near = difflib.get_close_matches(word.casefold(), by_folded, n=3, cutoff=0.6)
    return f"; did you mean {' or '.join(by_folded[name] for name in near)}?" if near else ""


def listing(items: Iterable[object], *, limit: int = 5) -> str:
    """Return ``"1, 2, 3 and 4 more"``: the first `limit` items and the number of the others.

    Examples
    --------
    >>> listing(range(7), limit=3)
    '0, 1, 2 and 4 more'
    """
    texts = [str(item) for item in items]
    shown = ", ".join(texts[:limit])
    return shown if len(texts) <= limit else f"{shown} and {len(texts) - limit:,} more"


def one_line(message: str) -> str:
    r"""Fold a message of DuckDB's: what is wrong and what is near, without the drawn query.

    Examples
    --------
    >>> one_line("Parser Error: no\n\nLINE 1: x\n        ^")
    'Parser Error: no'
    """
    message = message.removeprefix("Invalid Input Error: ")  # as error() is announced
    lines = [line.strip() for line in message.splitlines()]
    kept = [line for line in lines if line and not line.startswith("LINE ") and line.strip("^ ")]
    return " ".join(kept)


def printable(text: str) -> str:
    r"""Return a text for a terminal: what is no visible character is escaped, newlines too.

    Examples
    --------
    >>> print(printable("\x1b]0;owned\x07 VISp 🧠"))
    \x1b]0;owned\x07 VISp 🧠
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
