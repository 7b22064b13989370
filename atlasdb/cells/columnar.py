"""Tables of points as Parquet and Arrow files.

The one idea: only the columns that are asked for are decoded, some row groups at a time, so that
threads and machines can share a file and none needs more memory for a larger one.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from atlasdb.cells.pieces import BLOCK_ROWS, Block, numbered, saying_which

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from atlasdb.cells.pieces import File

_PIECE_ROWS = 1 << 19
_BUFFER = 1 << 20


@dataclass(frozen=True)
class ParquetPiece:
    """Some row groups of a Parquet file.

    Attributes
    ----------
    source
        The file.
    groups
        The first row group, and the one after the last.
    first
        How many rows of the file come before.
    rows
        How many there are.
    """

    source: File
    groups: tuple[int, int]
    first: int
    rows: int

    @property
    def file(self) -> str:
        """Where it is from."""
        return self.source.name

    @property
    def schema(self) -> pa.Schema:
        """Its columns."""
        return parquet_schema(self.source)

    @property
    def total(self) -> int:
        """Rows."""
        return self.rows

    def blocks(self, columns: Sequence[str] | None = None) -> Iterator[Block]:
        """Yield its rows."""
        import pyarrow.parquet as pq  # takes 30 ms

        schema = self.schema
        if columns is not None:
            schema = pa.schema([schema.field(name) for name in columns])
        with self.source.opened() as stream:
            file = pq.ParquetFile(stream, metadata=_footer(self.source), buffer_size=_BUFFER)
            batches = file.iter_batches(
                BLOCK_ROWS,
                row_groups=range(*self.groups),
                columns=schema.names,
                use_threads=False,
            )
            # Parquet gives columns in the file's order, whatever order they are asked for in.
            ordered = (batch.select(schema.names) for batch in batches)
            yield from numbered(ordered, schema, self.file, self.first)


def parquet_pieces(source: File) -> tuple[ParquetPiece, ...]:
    """Return a Parquet file as pieces of some million rows.

    Raises
    ------
    PointsError
        It is no readable Parquet file.
    """
    footer = _footer(source)
    pieces: list[ParquetPiece] = []
    begin, first, rows = 0, 0, 0
    for group in range(footer.num_row_groups):
        rows += footer.row_group(group).num_rows
        if rows >= _PIECE_ROWS or group == footer.num_row_groups - 1:
            pieces.append(ParquetPiece(source, (begin, group + 1), first, rows))
            begin, first, rows = group + 1, first + rows, 0
    return tuple(pieces) or (ParquetPiece(source, (0, 0), 0, 0),)


def parquet_schema(source: File) -> pa.Schema:
    """Return the columns of a Parquet file."""
    return _schema(source, source.state)


def _footer(source: File) -> Any:  # noqa: ANN401 (pyarrow's FileMetaData)
    """Return the footer of a Parquet file, read once for all of its pieces."""
    with saying_which(source.name):
        return _read_footer(source, source.state)


@lru_cache(maxsize=1024)
def _read_footer(source: File, _state: object) -> Any:  # noqa: ANN401
    import pyarrow.parquet as pq  # takes 30 ms

    with source.opened() as stream:
        return pq.read_metadata(stream)


@lru_cache(maxsize=1024)
def _schema(source: File, _state: object) -> pa.Schema:
    return _footer(source).schema.to_arrow_schema()


@dataclass(frozen=True)
class ArrowPiece:
    """An Arrow (Feather) file.

    Attributes
    ----------
    source
        The file.
    """

    source: File

    @property
    def file(self) -> str:
        """Where it is from."""
        return self.source.name

    @cached_property
    def schema(self) -> pa.Schema:
        """Its columns."""
        with self.source.opened() as stream:
            return _batches_of(stream)[0]

    @property
    def rows(self) -> None:
        """Not known before."""
        return

    @property
    def total(self) -> int | None:
        """Bytes."""
        return self.source.size

    def blocks(self, columns: Sequence[str] | None = None) -> Iterator[Block]:
        """Yield its rows."""
        with self.source.opened() as stream:
            schema, batches = _batches_of(stream)
            if columns is not None:
                schema = pa.schema([schema.field(name) for name in columns])
            chosen = (batch.select(schema.names) for batch in batches)
            told = 0
            for block in numbered(chosen, schema, self.file):
                done = stream.tell()
                yield Block(block.rows, block.file, block.first, done - told)
                told = done


def _batches_of(stream: Any) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:  # noqa: ANN401
    """Return the columns and the rows of a file in Arrow's file or stream format."""
    magic = stream.read(6)
    stream.seek(0)
    if magic != b"ARROW1":
        reader = pa.ipc.open_stream(stream)
        return reader.schema, iter(reader)
    file = pa.ipc.open_file(stream)
    return file.schema, (file.get_batch(i) for i in range(file.num_record_batches))


@dataclass(frozen=True)
class WithConstants:
    """A piece with columns of one value each, which its path states (``sample=m06/``).

    Attributes
    ----------
    piece
        The piece.
    constants
        The values by column.
    """

    piece: Any
    constants: Mapping[str, str | None]

    @property
    def file(self) -> str:
        """Where it is from."""
        return str(self.piece.file)

    @property
    def schema(self) -> pa.Schema:
        """Its columns."""
        schema = self.piece.schema
        for name in self._added(schema):
            schema = schema.append(pa.field(name, pa.string()))
        return schema

    def _added(self, schema: pa.Schema) -> list[str]:
        """Return the columns that the file itself does not have."""
        return [name for name in self.constants if name not in schema.names]

    @property
    def rows(self) -> int | None:
        """How many."""
        rows: int | None = self.piece.rows
        return rows

    @property
    def total(self) -> int | None:
        """As the piece's."""
        total: int | None = self.piece.total
        return total

    def blocks(self, columns: Sequence[str] | None = None) -> Iterator[Block]:
        """Yield its rows."""
        added = self._added(self.piece.schema)
        own = None if columns is None else [name for name in columns if name not in added]
        names = self.schema.names if columns is None else list(columns)
        for block in self.piece.blocks(own):
            rows = block.rows
            for name in added:
                column = pa.repeat(pa.scalar(self.constants[name], pa.string()), rows.num_rows)
                rows = rows.append_column(name, column)
            yield Block(rows.select(names), block.file, block.first, block.amount)
