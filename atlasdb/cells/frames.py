"""Tables of points as Python has them: Arrow, pandas, polars, numpy, DuckDB; and back.

The one idea: what is given is read as Arrow, and what is returned is of the same kind. An annotated
frame is the caller's own with columns added, so that its index, its order and the types of its
other columns cannot change.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import duckdb
import numpy as np
import pyarrow as pa

from atlasdb.cells.columns import find_coordinates, names_in
from atlasdb.cells.pieces import split
from atlasdb.cells.reading import Points, open_points
from atlasdb.errors import PointsError, one_line
from atlasdb.voxels.grid import AXES

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from atlasdb.cells.columns import Stated


class Given(Protocol):
    """Points as a caller gave them."""

    points: Points

    def annotated(self, added: pa.Table) -> Any:  # noqa: ANN401 (as what was given)
        """Return what was given with columns added."""

    def table(self, table: pa.Table) -> Any:  # noqa: ANN401 (as what was given)
        """Return a table as the same kind of thing."""


def read(cells: Any, stated: Stated) -> Given:  # noqa: ANN401, PLR0911 (many kinds)
    """Return points from whatever holds them.

    Parameters
    ----------
    cells
        A path, several, or what `atlasdb.cells.reading.open_points` takes; a pyarrow table, batch
        or reader; a pandas or polars frame; a numpy array, (N, 3) or with named fields; a DuckDB
        relation; or anything else that gives an Arrow stream.
    stated
        What is known of the coordinates.

    Raises
    ------
    PointsError
        It is none of these, or its coordinates cannot be told.
    """
    if isinstance(cells, str | Path):
        return _Arrow(open_points(cells, stated))
    if isinstance(cells, np.ndarray):
        return _Array(cells, stated)
    kind = type(cells).__module__.partition(".")[0]
    if kind == "pandas" and type(cells).__name__ == "DataFrame":
        return _Pandas(cells, stated)
    if kind == "polars" and type(cells).__name__ == "DataFrame":
        return _Polars(cells, stated)
    if kind == "polars" and type(cells).__name__ == "LazyFrame":
        raise PointsError("a LazyFrame holds no rows yet: call collect() on it")
    if type(cells).__name__ == "DuckDBPyRelation":
        return _Relation(cells, stated)
    if hasattr(cells, "__arrow_c_stream__") or hasattr(cells, "__arrow_c_array__"):
        return _Arrow(_in_memory(_arrow_table(cells), stated, "the table"))
    if isinstance(cells, Sequence) and all(isinstance(cell, str | Path) for cell in cells):
        return _Arrow(open_points(list(cells), stated))
    raise PointsError(
        f"points are a path, a pyarrow table, a pandas or polars frame, a numpy array or a DuckDB "
        f"relation, not {type(cells).__name__}"
    )


def _arrow_table(cells: Any) -> pa.Table:  # noqa: ANN401 (what gives Arrow)
    """Return what gives Arrow as a table."""
    if isinstance(cells, pa.Table):
        return cells
    if isinstance(cells, pa.RecordBatch):
        return pa.Table.from_batches([cells])
    try:
        return pa.table(cells)
    except pa.ArrowException as error:
        raise PointsError(f"{type(cells).__name__} is no table of points: {error}") from error


def _in_memory(table: pa.Table, stated: Stated, name: str) -> Points:
    """Return a table in memory as points."""
    coordinates = find_coordinates(table.column_names, stated, name)
    return Points(name, split(table, name), coordinates, table.schema)


class _Arrow:
    """Files, and Arrow tables."""

    def __init__(self, points: Points) -> None:
        self.points = points

    def annotated(self, added: pa.Table) -> pa.Table:
        """Return all columns of the points, and the added ones."""
        own = pa.Table.from_batches([block.rows for block in self.points.blocks()])
        for name in added.column_names:
            own = own.append_column(name, added[name])
        return own.replace_schema_metadata({**(own.schema.metadata or {}), **added.schema.metadata})

    def table(self, table: pa.Table) -> pa.Table:
        """Return a table."""
        return table


class _Relation:
    """A DuckDB relation."""

    def __init__(self, relation: Any, stated: Stated) -> None:  # noqa: ANN401 (duckdb's own)
        self._relation = relation
        try:
            self._own = relation.to_arrow_table()
        except duckdb.Error as error:
            raise PointsError(f"the relation cannot be read: {one_line(str(error))}") from error
        self.points = _in_memory(self._own, stated, "the relation")

    def annotated(self, added: pa.Table) -> Any:  # noqa: ANN401
        """Return a relation of the same connection."""
        own = self._own
        for name in added.column_names:
            own = own.append_column(name, added[name])
        return self.table(own)

    def table(self, table: pa.Table) -> Any:  # noqa: ANN401
        """Return a relation of the same connection."""
        atlasdb_cells = table  # DuckDB finds it by this name, in this function
        found = self._relation.query("atlasdb_given", "SELECT * FROM atlasdb_cells")
        del atlasdb_cells
        return found


class _Pandas:
    """A pandas frame."""

    def __init__(self, frame: pd.DataFrame, stated: Stated) -> None:
        self._frame = frame
        names = [str(name) for name in frame.columns]
        columns = [_column(frame.iloc[:, position]) for position in range(len(names))]
        self.points = _in_memory(pa.Table.from_arrays(columns, names), stated, "the frame")

    def annotated(self, added: pa.Table) -> pd.DataFrame:
        """Return the frame with its own index and columns, and the added ones."""
        new = self.table(added).set_axis(self._frame.index, axis=0)
        frame: pd.DataFrame = self._frame.copy(deep=False)
        for name in new.columns:
            frame[name] = new[name]
        return frame

    def table(self, table: pa.Table) -> pd.DataFrame:
        """Return a frame; ids that may be missing are Int64, and not floats."""
        import pandas as pd  # the caller has

        frame: pd.DataFrame = table.to_pandas(types_mapper={pa.int64(): pd.Int64Dtype()}.get)
        for name in frame.columns:
            if (
                frame[name].dtype == "Int64"
                and not frame[name].isna().any()
                and (not name.startswith("structure_id"))
            ):
                frame[name] = frame[name].astype("int64")
        return frame


_MIXED = pa.struct([("values of several types", pa.null())])
"""The type of a column that Arrow has none for: it can be neither read nor grouped by."""


def _column(series: pd.Series[Any]) -> Any:  # noqa: ANN401 (an Arrow array)
    """Return a column of a frame; one whose values Arrow does not hold together is only named."""
    try:
        return pa.Array.from_pandas(series)
    except pa.ArrowException:
        return pa.nulls(len(series), _MIXED)


class _Polars:
    """A polars frame."""

    def __init__(self, frame: Any, stated: Stated) -> None:  # noqa: ANN401 (polars' own)
        self._frame = frame
        self.points = _in_memory(frame.to_arrow(), stated, "the frame")

    def annotated(self, added: pa.Table) -> Any:  # noqa: ANN401
        """Return the frame with the added columns."""
        return self._frame.hstack(self.table(added))

    def table(self, table: pa.Table) -> Any:  # noqa: ANN401
        """Return a frame."""
        return sys.modules["polars"].from_arrow(table.replace_schema_metadata(None))


class _Array:
    """A numpy array: (N, 3) numbers, or one with named fields."""

    def __init__(self, array: NDArray[Any], stated: Stated) -> None:
        where = "the array"
        if array.dtype.names is not None and array.ndim == 1:
            columns = {name: pa.array(array[name]) for name in array.dtype.names}
            self.points = _in_memory(pa.table(columns), stated, where)
        elif array.ndim == 2 and array.shape[1] == AXES and array.dtype.kind in "iuf":  # noqa: PLR2004
            if stated.columns is not None:
                raise PointsError("an array of (N, 3) has no names to choose columns by")
            unit = stated.unit or stated.default_unit
            names = ("axis0", "axis1", "axis2") if unit is None else names_in(unit)
            filled = np.ma.filled(array.astype(np.float64), np.nan) if np.ma.isMA(array) else array
            wide = filled.astype(np.float64) if filled.dtype.itemsize not in {4, 8} else filled
            table = pa.table(
                {n: np.ascontiguousarray(c) for n, c in zip(names, wide.T, strict=True)}
            )
            self.points = _in_memory(table, replace(stated, columns=names), where)
        else:
            raise PointsError(
                f"an array of points is (N, 3) real numbers or has named fields, found "
                f"{array.shape} {array.dtype.name}"
            )

    def annotated(self, added: pa.Table) -> NDArray[Any]:
        """Return an array with named fields."""
        own = pa.Table.from_batches([block.rows for block in self.points.blocks()])
        for name in added.column_names:
            own = own.append_column(name, added[name])
        return self.table(own)

    def table(self, table: pa.Table) -> NDArray[Any]:
        """Return an array with named fields: 0 for no structure, '' for no text, NaN for none."""
        columns = {
            name: _values(column)
            for name, column in zip(table.column_names, table.columns, strict=True)
        }
        dtype = [(name, values.dtype) for name, values in columns.items()]
        found: NDArray[Any] = np.empty(table.num_rows, dtype=dtype)
        for name, values in columns.items():
            found[name] = values
        return found


def _values(column: pa.ChunkedArray) -> NDArray[Any]:
    """Return a column as an array without NULLs."""
    kind = column.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        texts = column.fill_null("").to_pylist()
        return np.array(texts, dtype=np.str_) if texts else np.array([], dtype="U1")
    if pa.types.is_integer(kind):
        return np.asarray(column.fill_null(0).to_numpy())
    if pa.types.is_floating(kind):
        return np.asarray(column.fill_null(np.nan).to_numpy())
    values = np.empty(len(column), dtype=object)
    values[:] = column.to_pylist()
    return values
