"""Tables of points: from paths, addresses and streams to pieces that can be read in any order.

The one idea: several files are one table only if they have the same columns of the same types, and
all of a folder is read or none of it: what is left out without a word would be missing cells.
"""

from __future__ import annotations

import glob
import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, BinaryIO
from urllib.parse import unquote, urlsplit

import pyarrow as pa

from atlasdb.cells.arrays import ArrayPiece
from atlasdb.cells.cellfinder import XmlPiece, YamlPiece
from atlasdb.cells.columnar import ArrowPiece, ParquetPiece, WithConstants, parquet_pieces
from atlasdb.cells.columns import NOTHING_STATED, find_coordinates
from atlasdb.cells.hdf import HdfPiece
from atlasdb.cells.pieces import File, empty, saying_which
from atlasdb.cells.text import TextPiece
from atlasdb.errors import PointsError, listing

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from atlasdb.cells.columns import Coordinates, Stated
    from atlasdb.cells.pieces import Block, Piece

_TEXT = frozenset({".csv", ".tsv", ".txt", ".csv.gz", ".tsv.gz", ".txt.gz"})
_PARQUET = frozenset({".parquet", ".pq"})
_ARROW = frozenset({".arrow", ".feather", ".ipc", ".arrows"})
_ARRAYS = frozenset({".npy", ".npz"})
_XML, _YAML, _HDF = frozenset({".xml"}), frozenset({".yml", ".yaml"}), frozenset({".points"})
_KINDS = (_TEXT, _PARQUET, _ARROW, _ARRAYS, _XML, _YAML, _HDF)
_READABLE = (
    ".csv, .tsv, .txt (also .gz), .parquet, .feather, .arrow, .npy, .npz, cellfinder's .xml and "
    ".yml, .points"
)
_HIVE = re.compile(r"([^=/]+)=([^/]*)")
_HIVE_NULL = "__HIVE_DEFAULT_PARTITION__"


@dataclass(frozen=True)
class Points:
    """A table of points.

    Attributes
    ----------
    name
        What it is called in messages.
    pieces
        Its parts, in order.
    coordinates
        Which columns are coordinates.
    schema
        All of its columns.
    files
        What it was read from: path, size and time of change.
    """

    name: str
    pieces: tuple[Piece, ...]
    coordinates: Coordinates
    schema: pa.Schema
    files: tuple[tuple[str, int | None, int], ...] = ()

    @property
    def rows(self) -> int | None:
        """How many; None if that is not known before they are read."""
        rows = [piece.rows for piece in self.pieces]
        return None if None in rows else sum(rows)  # type: ignore[arg-type]

    @property
    def total(self) -> int | None:
        """How much there is to read, in `measure`; None if that is not known."""
        totals = [piece.total for piece in self.pieces]
        return None if None in totals else sum(totals)  # type: ignore[arg-type]

    @property
    def measure(self) -> str:
        """What `total` and `Block.amount` count: 'rows', or 'bytes' where rows are not known."""
        return "bytes" if self.rows is None else "rows"

    def blocks(self, columns: Sequence[str] | None = None) -> Iterator[Block]:
        """Yield all rows in order, of all columns or of some."""
        for piece in self.pieces:
            yield from piece.blocks(self.schema.names if columns is None else columns)

    def none(self) -> pa.RecordBatch:
        """Return no rows, with all columns."""
        return empty(self.schema)


def open_points(
    sources: Sequence[str | Path] | str | Path,
    stated: Stated = NOTHING_STATED,
    *,
    stdin: BinaryIO | None = None,
) -> Points:
    """Open a table of points.

    Parameters
    ----------
    sources
        A file, a folder, a glob, an address that pyarrow's file systems open (``s3://``,
        ``gs://``), '-' for text from `stdin`; or several, which are one table. Texts have their
        columns separated by tabs, commas, semicolons or spaces, with a line of names or, of three
        columns of numbers, without. Folders may have partitions (``sample=m06/``), which become
        columns of text.
    stated
        What is known of its coordinates.
    stdin
        What '-' means.

    Returns
    -------
    Points
        Nothing but headers has been read.

    Raises
    ------
    PointsError
        A file is not there or cannot be read, files do not fit each other, or the coordinates
        cannot be told.
    """
    given = [sources] if isinstance(sources, str | Path) else list(sources)
    if not given:
        raise PointsError("no table of points is named")
    name = str(given[0]) if len(given) == 1 else f"{given[0]} and {len(given) - 1:,} more"
    if [str(source) for source in given] == ["-"]:
        if stdin is None:
            raise PointsError("there is no standard input to read points from")
        piece = TextPiece(None, "standard input", stated, stdin)
        return Points(piece.file, (piece,), piece.coordinates, piece.schema)
    files = [found for source in given for found in _files(str(source))]
    states = _states([file for file, _ in files])
    by_file = [_pieces(file, constants, stated) for file, constants in files]
    schema = _common_schema([pieces[0] for pieces in by_file])
    pieces = tuple(piece for pieces in by_file for piece in pieces)
    coordinates = _coordinates(pieces[0], schema, stated)
    return Points(name, pieces, coordinates, schema, states)


def _states(files: Sequence[File]) -> tuple[tuple[str, int | None, int], ...]:
    """Return what tells files apart; refuse one that is there twice."""
    states: dict[tuple[str, int | None, int], str] = {}
    for file in files:
        with saying_which(file.name):
            state = file.state
        if state in states:
            raise PointsError(f"{file.name} would be read twice: name every file once")
        states[state] = file.name
    return tuple(states)


def _coordinates(piece: Piece, schema: pa.Schema, stated: Stated) -> Coordinates:
    """Return which columns are coordinates, as the file's kind has it."""
    inner: Any = piece.piece if isinstance(piece, WithConstants) else piece
    if isinstance(inner, ParquetPiece | ArrowPiece):
        return find_coordinates(schema.names, stated, inner.file)
    coordinates: Coordinates = inner.coordinates
    return coordinates


def _pieces(file: File, constants: Mapping[str, str | None], stated: Stated) -> tuple[Piece, ...]:
    """Return the pieces of a file."""
    pieces: tuple[Piece, ...]
    if file.ending in _TEXT:
        pieces = (TextPiece(file, file.name, stated),)
    elif file.ending in _PARQUET:
        pieces = parquet_pieces(file)
    elif file.ending in _ARROW:
        pieces = (ArrowPiece(file),)
    elif file.ending in _ARRAYS:
        pieces = (ArrayPiece(file, stated),)
    elif file.ending in _XML:
        pieces = (XmlPiece(file, stated),)
    elif file.ending in _YAML:
        pieces = (YamlPiece(file, stated),)
    elif file.ending in _HDF:
        pieces = (HdfPiece(file, stated),)
    else:
        raise PointsError(
            f"{file.name} is none of the tables that can be read: {_READABLE}; or - for text from "
            "standard input"
        )
    if not constants:
        return pieces
    return tuple(WithConstants(piece, constants) for piece in pieces)


def _common_schema(firsts: Sequence[Piece]) -> pa.Schema:
    """Return the columns that all files have, alike."""
    schema = firsts[0].schema
    types = {field.name: field.type for field in schema}
    for piece in firsts[1:]:
        found = {field.name: field.type for field in piece.schema}
        for name in [*types, *found]:
            if types.get(name) != found.get(name):
                raise PointsError(
                    f"column {name} is {_described(types.get(name))} in {firsts[0].file} and "
                    f"{_described(found.get(name))} in {piece.file}: files that are read as one "
                    "table need the same columns of the same types"
                )
    return schema


def _described(kind: pa.DataType | None) -> str:
    return "absent" if kind is None else str(kind)


def _files(source: str) -> list[tuple[File, dict[str, str | None]]]:
    """Return the files that a path, a glob, a folder or an address means, with their partitions."""
    system, path = _located(source)
    if system is None:
        found = _local_files(path, source)
    else:
        with saying_which(source):
            found = _remote_files(system, path, source)
    kinds = {kind for file in found for kind in _KINDS if file.ending in kind}
    if len(kinds) > 1:
        raise PointsError(
            f"{source} holds tables of several kinds ({listing(sorted({f.ending for f in found}))})"
            f": name those of one, with a glob such as {source.rstrip('/')}/*{found[0].ending}"
        )
    # Names of this machine's files are as the source has them; their paths are absolute.
    return [(f, _partitions(f.name if system is None else f.path, path)) for f in found]


def _located(source: str) -> tuple[Any, str]:
    """Return the file system of an address and the path in it; None for this machine's."""
    if not re.match(r"[A-Za-z][A-Za-z0-9+.-]+://", source):
        return None, str(Path(source).expanduser())
    from pyarrow import fs  # takes 20 ms

    if urlsplit(source).password is not None:
        raise PointsError(
            "an address with a password would be stored and shown: give it to the file system in "
            "its own way, such as AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY or ~/.aws"
        )
    place, mark, options = source.partition("?")
    wild = place.replace("[", "%5B").replace("]", "%5D").replace(" ", "%20")
    try:
        system, path = fs.FileSystem.from_uri(wild + mark + options)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise PointsError(
            f"{source} is no address that pyarrow opens: {' '.join(str(error).split())}"
        ) from error
    return (None, path) if isinstance(system, fs.LocalFileSystem) else (system, path)


def _local_files(path: str, source: str) -> list[File]:
    """Return the files of this machine that a path means."""
    here = Path(path)
    if here.is_dir():
        below = [p for p in here.rglob("*") if not p.is_dir()]
        return _of_folder([(p.relative_to(here).parts, str(p)) for p in below], source, None)
    if here.exists():
        return [File(str(here.absolute()), source)]
    matched = [p for p in glob.glob(path, recursive=True) if not Path(p).is_dir()]  # noqa: PTH207 (absolute ones too)
    if not matched:
        is_glob = glob.has_magic(path)
        raise PointsError(f"no file matches {source}" if is_glob else f"there is no file {source}")
    return [File(str(Path(p).absolute()), p) for p in sorted(matched, key=_natural)]


def _remote_files(system: Any, path: str, source: str) -> list[File]:  # noqa: ANN401 (pyarrow's)
    """Return the files of another file system that a path means."""
    from pyarrow import fs  # imported before

    info = system.get_file_info(path)
    if info.type == fs.FileType.File:
        return [File(path, source, system)]
    is_glob = glob.has_magic(path) and info.type == fs.FileType.NotFound
    base = str(PurePosixPath(*_before_magic(path))) if is_glob else path
    selector = fs.FileSelector(base, recursive=True, allow_not_found=True)
    below = [i.path for i in system.get_file_info(selector) if i.type == fs.FileType.File]
    if is_glob:
        matched = [p for p in below if _matches(p, path)]
        if not matched:
            raise PointsError(f"no file matches {source}")
        return [File(p, _address(source, p), system) for p in sorted(matched, key=_natural)]
    if not below:
        raise PointsError(f"there is no file {source}")
    parts = [(PurePosixPath(p).relative_to(base).parts, p) for p in below]
    return _of_folder(parts, source, system)


def _before_magic(path: str) -> list[str]:
    """Return the parts of a path before the first that has a wildcard."""
    parts: list[str] = []
    for part in PurePosixPath(path).parts:
        if glob.has_magic(part):
            break
        parts.append(part)
    return parts


def _matches(path: str, pattern: str) -> bool:
    """Whether a path fits a glob, in which '*' stays within a folder."""
    parts, wanted = path.split("/"), pattern.split("/")
    if "**" in wanted:
        return fnmatchcase(path, pattern.replace("**/", "*"))
    return len(parts) == len(wanted) and all(map(fnmatchcase, parts, wanted))


def _of_folder(
    below: Sequence[tuple[tuple[str, ...], str]],
    source: str,
    system: Any,  # noqa: ANN401 (pyarrow's)
) -> list[File]:
    """Return the tables of a folder; refuse one that holds anything else."""
    shown = [
        (parts, path) for parts, path in below if not any(part[0] in "._" for part in parts)
    ]  # hidden ones, and what engines leave beside their shards: _SUCCESS, .crc
    if not shown:
        raise PointsError(f"the folder {source} holds no tables")
    files = []
    for _, path in sorted(shown, key=lambda found: _natural(found[1])):
        if system is None:
            file = File(str(Path(path).absolute()), path)
        else:
            file = File(path, _address(source, path), system)
        if not any(file.ending in kind for kind in _KINDS):
            raise PointsError(
                f"the folder {source} holds {PurePosixPath(path).name}, which is none of the "
                f"tables that can be read ({_READABLE}): name the tables with a glob"
            )
        files.append(file)
    return files


def _address(source: str, path: str) -> str:
    """Return what a file of another file system is called."""
    scheme, _, rest = source.partition("://")
    query = rest.partition("?")[2]
    return f"{scheme}://{path}{'?' if query else ''}{query}"


def _natural(path: str) -> list[tuple[str, int]]:
    """Return what sorts part-10 after part-9."""
    return [(text, int(digits or 0)) for text, digits in re.findall(r"(\D*)(\d{0,18})", path)]


def _partitions(path: str, named: str) -> dict[str, str | None]:
    """Return what the folders below the one that was named state: ``sample=m06``, as in Hive."""
    base = _before_magic(named)
    found = {}
    for part in PurePosixPath(path).parts[len(base) : -1]:
        match = _HIVE.fullmatch(part)
        if match:
            value = unquote(match[2])
            found[unquote(match[1])] = None if value == _HIVE_NULL else value
    return found
