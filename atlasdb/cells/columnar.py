"""Tables of points as Parquet and Arrow files.

The one idea: only the columns that are asked for are decoded, some row groups at a time, so that
threads and machines can share a file and none needs more memory for a larger one.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from atlasdb.cells.columns import refuse_columns
from atlasdb.cells.pieces import BLOCK_ROWS, Block, named, numbered, saying_which
from atlasdb.errors import PointsError
from atlasdb.limits import current

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from atlasdb.cells.pieces import File

_PIECE_ROWS = 1 << 19
_BUFFER = 1 << 20
_BLOCK_BYTES = 1 << 24
_WIDTH = 8


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
        texts = [field.name for field in schema if _is_text(field.type)]
        rows = 0
        with self.source.opened() as stream:
            # Texts come as they are packed: one that a dictionary holds may stand in every row.
            file = pq.ParquetFile(
                stream,
                metadata=_footer(self.source),
                buffer_size=_BUFFER,
                read_dictionary=texts,
            )
            batches = file.iter_batches(
                max(min(BLOCK_ROWS, _BLOCK_BYTES // (_WIDTH * max(len(schema), 1))), 1),
                row_groups=range(*self.groups),
                columns=schema.names,
                use_threads=False,
            )
            # Parquet gives columns in the file's order, whatever order they are asked for in.
            ordered = (batch.select(schema.names) for batch in batches)
            unpacked = _unpacked(ordered, schema, self.source)
            for block in numbered(unpacked, schema, self.file, self.first):
                rows += block.rows.num_rows
                yield block
        if rows != self.rows:
            raise PointsError(
                f"{self.file} is damaged: it says that it has {self.rows:,} rows after row "
                f"{self.first:,}, and it has {rows:,}"
            )


def _is_text(kind: pa.DataType) -> bool:
    types = pa.types
    return bool(types.is_string(kind) or types.is_binary(kind))


def _unpacked(
    batches: Iterable[pa.RecordBatch], schema: pa.Schema, source: File
) -> Iterator[pa.RecordBatch]:
    """Yield rows with the types of a schema, as many at once as have room.

    Raises
    ------
    PointsError
        Their texts are absurdly long for the size of the file.
    """
    texts = [place for place, field in enumerate(schema) if _is_text(field.type)]
    size, most = 0, current().unpacked(source.size or 0)
    for batch in batches:
        lengths = [_longest(batch.column(place)) for place in texts]
        rows = max(_BLOCK_BYTES // max(sum(lengths), 1), 1)
        for first in range(0, max(batch.num_rows, 1), rows):
            columns = batch.slice(first, rows).columns
            for place in texts:
                columns[place] = columns[place].cast(schema.field(place).type)
                size += columns[place].nbytes
            if size > most:
                raise PointsError(
                    f"{source.name} is absurdly large: {source.size:,} bytes unpack to texts of "
                    f"{size:,} and more; this ratio is {current().over('ratio')}"
                )
            yield pa.RecordBatch.from_arrays(columns, schema=schema)


def _longest(column: Any) -> int:  # noqa: ANN401 (an Arrow array)
    """Return the length of the longest text in a column that is a dictionary."""
    return pc.max(pc.binary_length(column.dictionary)).as_py() or 0


def parquet_pieces(source: File) -> tuple[ParquetPiece, ...]:
    """Return a Parquet file as pieces of some million rows.

    Raises
    ------
    PointsError
        It is no readable Parquet file.
    """
    footer = _footer(source)
    refuse_columns(footer.num_columns, source.name)
    pieces: list[ParquetPiece] = []
    begin, first, rows = 0, 0, 0
    for group in range(footer.num_row_groups):
        rows += footer.row_group(group).num_rows
        if rows >= _PIECE_ROWS or group == footer.num_row_groups - 1:
            pieces.append(ParquetPiece(source, (begin, group + 1), first, rows))
            begin, first, rows = group + 1, first + rows, 0
    if first != footer.num_rows:
        raise PointsError(
            f"{source.name} is damaged: it says that it has {footer.num_rows:,} rows, and that its "
            f"row groups have {first:,}"
        )
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
    footer = _footer(source)
    with saying_which(source.name):
        return named(footer.schema.to_arrow_schema(), source.name)


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
            return named(_batches_of(stream)[0], self.file)

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
            chosen = (_sound(batch.select(schema.names)) for batch in batches)
            told = 0
            for block in numbered(chosen, schema, self.file):
                done = stream.tell()
                yield Block(block.rows, block.file, block.first, done - told)
                told = done


def _sound(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return rows whose offsets and indices are proved to stay within their buffers."""
    batch.validate(full=True)
    rows = current().rows
    if batch.num_rows > rows:
        raise PointsError(f"a batch has {batch.num_rows:,} rows, {current().over('rows')}")
    return batch


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
