"""Which group each row belongs to, by the values of some columns.

The one idea: values become small numbers once, block by block, and keep their types: a sample
called ``007`` stays a text, a missing value is a group of its own.
"""

from __future__ import annotations

import math
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from atlasdb.errors import PointsError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

Group = tuple[Any, ...]

_MOST_COMBINATIONS = 1 << 40


class Groups:
    """The groups met so far; several threads may add to them.

    Parameters
    ----------
    schema
        The columns that tell groups apart; none for a single group of all rows.
    most
        How many groups there may be.
    """

    def __init__(self, schema: pa.Schema, most: int) -> None:
        self.schema = pa.schema([(f.name, _value_type(f)) for f in schema])
        self._most = most
        self._numbers: dict[Group, int] = {} if len(schema) else {(): 0}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._numbers)

    @property
    def values(self) -> list[Group]:
        """The values of each group, by its number."""
        with self._lock:
            return list(self._numbers)

    def numbers_of(self, rows: pa.RecordBatch) -> NDArray[np.int64] | None:
        """Return the number of each row's group; None where there is only one group, number 0.

        Raises
        ------
        PointsError
            There are too many groups.
        """
        if not len(self.schema):
            return None
        combined = np.zeros(rows.num_rows, dtype=np.int64)
        values: list[list[Any]] = []
        size = 1
        for name in self.schema.names:
            index, distinct = _encoded(rows.column(name))
            size *= max(len(distinct), 1)
            if size > _MOST_COMBINATIONS:
                raise self._too_many()
            combined = combined * max(len(distinct), 1) + index
            values.append(distinct)
        present, local = np.unique(combined, return_inverse=True)
        parts = []
        rest = present
        for distinct in reversed(values):
            rest, index = np.divmod(rest, max(len(distinct), 1))
            parts.append([distinct[i] for i in index.tolist()])
        groups = list(zip(*reversed(parts), strict=True))
        return np.array(self.add(groups), dtype=np.int64)[local]

    def add(self, groups: Sequence[Group]) -> list[int]:
        """Return the numbers of groups, new ones for those that were not there."""
        with self._lock:
            numbers = []
            for group in groups:
                key = tuple(_key(value) for value in group)
                numbers.append(self._numbers.setdefault(key, len(self._numbers)))
            if len(self._numbers) > self._most:
                raise self._too_many()
            return numbers

    def table(self) -> pa.Table:
        """Return the groups as a table, by number."""
        columns = list(zip(*self.values, strict=True)) or [()] * len(self.schema)
        arrays = [pa.array(c, f.type) for c, f in zip(columns, self.schema, strict=True)]
        return pa.Table.from_arrays(arrays, schema=self.schema)

    def _too_many(self) -> PointsError:
        names = ", ".join(self.schema.names)
        return PointsError(
            f"--by {names} makes more than {self._most:,} groups, each with a row for every "
            "structure: group by fewer values, or annotate the cells and count them in SQL"
        )


def _value_type(field: pa.Field) -> pa.DataType:
    """Return the type of a column's values.

    Raises
    ------
    PointsError
        They cannot be told apart or put in order, such as lists.
    """
    kind = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
    if pa.types.is_string_view(kind):
        return pa.string()
    try:
        none = pa.array([], kind)
        pc.sort_indices(none.dictionary_encode().dictionary)
    except pa.ArrowException as error:
        raise PointsError(
            f"column {field.name} holds {kind}, which rows cannot be grouped by"
        ) from error
    return kind


def _encoded(column: Any) -> tuple[NDArray[np.int64], list[Any]]:  # noqa: ANN401 (an Arrow array)
    """Return a column as indices into its distinct values."""
    if pa.types.is_string_view(column.type):
        column = column.cast(pa.string())
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode(null_encoding="encode")
    distinct = column.dictionary.to_pylist()
    index = column.indices
    if index.null_count:
        index = index.cast(pa.int64()).fill_null(len(distinct))
        distinct = [*distinct, None]
    return index.to_numpy(zero_copy_only=False).astype(np.int64), distinct


def _key(value: Any) -> Any:  # noqa: ANN401 (whatever a column holds)
    """Return a value by which a group is found again: NaN is one."""
    return math.nan if isinstance(value, float) and math.isnan(value) else value
