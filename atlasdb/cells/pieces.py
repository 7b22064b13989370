"""Pieces of tables: what can be read by itself, in another thread or on another machine.

The one idea: a table of points is a sequence of pieces, and a piece gives its rows block by block,
in order. A block knows its file and its first row, so that whatever is wrong with a value can be
said with its place.
"""

from __future__ import annotations

import zlib
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol
from zipfile import BadZipFile

import pyarrow as pa

from atlasdb.errors import PointsError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

BLOCK_ROWS = 1 << 17


@dataclass(frozen=True)
class Block:
    """Some rows of a table.

    Attributes
    ----------
    rows
        The rows.
    file
        Where they are from.
    first
        How many rows of that file come before them.
    amount
        What reading them adds to the progress, in the piece's measure.
    """

    rows: pa.RecordBatch
    file: str
    first: int
    amount: int


class Piece(Protocol):
    """A part of a table."""

    @property
    def file(self) -> str:
        """Where it is from."""

    @property
    def schema(self) -> pa.Schema:
        """Its columns."""

    @property
    def rows(self) -> int | None:
        """How many rows it has; None if that is not known before."""

    @property
    def total(self) -> int | None:
        """How much there is to read: rows if their number is known, else bytes."""

    def blocks(self, columns: Sequence[str] | None = None) -> Iterator[Block]:
        """Yield its rows in order, one block at least; of some columns only, if they are named."""


@dataclass(frozen=True)
class File:
    """A file, here or in one of pyarrow's file systems.

    Attributes
    ----------
    path
        Its path in the file system.
    name
        What the caller calls it.
    system
        The file system; None for this machine's.
    """

    path: str
    name: str
    system: Any = field(default=None, hash=False)

    @contextmanager
    def opened(self) -> Iterator[BinaryIO]:
        """Open it for reading from the beginning; the stream can be sought."""
        with saying_which(self.name), self.open() as stream:
            yield stream

    def open(self) -> BinaryIO:
        """Return a stream, which the caller closes."""
        if self.system is None:
            return Path(self.path).open("rb")
        stream: BinaryIO = self.system.open_input_file(self.path)
        return stream

    @property
    def size(self) -> int | None:
        """How many bytes it has; None for a device or pipe."""
        if self.system is None:
            path = Path(self.path)
            return path.stat().st_size if path.is_file() else None
        size: int | None = self.system.get_file_info(self.path).size
        return size

    @property
    def state(self) -> tuple[str, int | None, int]:
        """What changes when the file does: its path, size, and time of change in ns."""
        if self.system is None:
            status = Path(self.path).stat()
            return str(Path(self.path).resolve()), status.st_size, status.st_mtime_ns
        info = self.system.get_file_info(self.path)
        return self.name, info.size, info.mtime_ns or 0

    @property
    def ending(self) -> str:
        """Its ending in lower case, with the one before it if it is compressed: '.csv.gz'."""
        suffixes = Path(self.path).suffixes
        last = suffixes[-1].lower() if suffixes else ""
        if last == ".gz" and len(suffixes) > 1:
            return suffixes[-2].lower() + last
        return last


@contextmanager
def saying_which(name: str) -> Iterator[None]:
    """Turn what libraries say of a file that they cannot read into an error with its name."""
    try:
        yield
    except PointsError:
        raise
    except (
        *(pa.ArrowException, OSError, EOFError, ValueError),
        *(zlib.error, BadZipFile, NotImplementedError),
    ) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise PointsError(f"{name} cannot be read: {reason}") from error


def named(schema: pa.Schema, name: str) -> pa.Schema:
    """Return a schema whose columns have names; files may hold bytes that are none.

    Raises
    ------
    PointsError
        One has none.
    """
    try:
        schema.names  # noqa: B018 (they are decoded here)
    except UnicodeDecodeError as error:
        raise PointsError(f"{name} has a column whose name is no UTF-8 text: {error}") from error
    return schema


@dataclass(frozen=True)
class TablePiece:
    """A table in memory.

    Attributes
    ----------
    table
        The table.
    file
        What it is called.
    first
        How many rows of the whole come before it.
    """

    table: pa.Table
    file: str
    first: int = 0

    @property
    def schema(self) -> pa.Schema:
        """Its columns."""
        return self.table.schema

    @property
    def rows(self) -> int:
        """How many."""
        return int(self.table.num_rows)

    @property
    def total(self) -> int:
        """Rows."""
        return self.rows

    def blocks(self, columns: Sequence[str] | None = None) -> Iterator[Block]:
        """Yield its rows."""
        table = self.table if columns is None else self.table.select(list(columns))
        yield from numbered(
            table.to_batches(max_chunksize=BLOCK_ROWS), table.schema, self.file, self.first
        )


def numbered(
    batches: Iterator[pa.RecordBatch] | Sequence[pa.RecordBatch],
    schema: pa.Schema,
    file: str,
    first: int = 0,
) -> Iterator[Block]:
    """Yield batches as blocks; an empty one if there is none.

    Parameters
    ----------
    batches
        The rows; what their reader raises is said with the file.
    schema
        Their columns.
    file
        Where they are from.
    first
        How many rows of the file come before.
    """
    is_empty = True
    with saying_which(file):
        for batch in batches:
            for start in range(0, max(batch.num_rows, 1), BLOCK_ROWS):
                part = batch.slice(start, BLOCK_ROWS)
                yield Block(part, file, first, part.num_rows)
                first += part.num_rows
                is_empty = False
    if is_empty:
        yield Block(empty(schema), file, first, 0)


def empty(schema: pa.Schema) -> pa.RecordBatch:
    """Return no rows of some columns."""
    return pa.RecordBatch.from_arrays([pa.array([], f.type) for f in schema], schema=schema)


def split(table: pa.Table, file: str, rows: int = 1 << 20) -> tuple[TablePiece, ...]:
    """Return a table in memory as pieces, which share its memory.

    Examples
    --------
    >>> [piece.rows for piece in split(pa.table({"a": range(5)}), "a table", rows=2)]
    [2, 2, 1]
    """
    starts = range(0, max(table.num_rows, 1), rows)
    return tuple(TablePiece(table.slice(start, rows), file, start) for start in starts)
