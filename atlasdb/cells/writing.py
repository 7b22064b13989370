"""Annotated tables as Parquet, written as they come.

The one idea: a row group is what memory holds, and no more. Texts with few values are written as
dictionaries, numbers as they are: trying to find repetitions among coordinates takes most of the
time and gains nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, BinaryIO

import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_GROUP_ROWS = 1 << 20
_GROUP_BYTES = 1 << 26


def write_parquet(batches: Iterable[pa.RecordBatch], file: BinaryIO, schema: pa.Schema) -> int:
    """Write rows to a Parquet file.

    Parameters
    ----------
    batches
        The rows, in order.
    file
        Where to.
    schema
        Their columns.

    Returns
    -------
    int
        How many there were.
    """
    import pyarrow.parquet as pq  # takes 30 ms

    rows = 0
    with pq.ParquetWriter(
        file,
        schema,
        compression="zstd",
        compression_level=1,
        use_dictionary=[path for field in schema for path in _repetitive(field)],
    ) as writer:
        for table in _grouped(batches, schema):
            writer.write_table(table, row_group_size=_GROUP_ROWS)
            rows += table.num_rows
    return rows


def _grouped(batches: Iterable[pa.RecordBatch], schema: pa.Schema) -> Iterator[pa.Table]:
    """Yield batches as tables of a row group each."""
    waiting: list[pa.RecordBatch] = []
    rows = size = 0
    for batch in batches:
        waiting.append(batch)
        rows += batch.num_rows
        size += batch.nbytes
        if rows >= _GROUP_ROWS or size >= _GROUP_BYTES:
            yield pa.Table.from_batches(waiting, schema)
            waiting, rows, size = [], 0, 0
    if rows:
        yield pa.Table.from_batches(waiting, schema)


def _repetitive(field: pa.Field) -> list[str]:
    """Return the paths of a column that repetitions are sought in."""
    kind: Any = field.type
    if field.name.startswith("structure_id") or pa.types.is_dictionary(kind):
        return [field.name]
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_boolean(kind):
        return [field.name]
    if pa.types.is_list(kind):
        return [f"{field.name}.list.element"]
    return []
