"""From coordinates as a table has them to points along the axes of an atlas.

The one idea: a point is turned into 'asr' in its own unit, and nothing else of it changes, so that
voxels stay voxels. A flip takes a length p to n - p, and a whole voxel index i to n - 1 - i: both
name the mirrored place.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from atlasdb.errors import PointsError
from atlasdb.space import Reorientation
from atlasdb.voxels.grid import AXES, MICRONS_PER_UNIT

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from atlasdb.cells.columns import Coordinates
    from atlasdb.cells.pieces import Block
    from atlasdb.voxels.grid import Grid


@dataclass(frozen=True)
class Positions:
    """Reads points from blocks of a table.

    Attributes
    ----------
    coordinates
        Which columns they are, and what they mean.
    grid
        The atlas's voxels.
    """

    coordinates: Coordinates
    grid: Grid

    def __call__(self, block: Block) -> NDArray[np.float64]:
        """Return the points of a block.

        Returns
        -------
        ndarray of float64
            (N, 3), along AP, SI, RL from anterior, superior and right, in the table's own unit;
            NaN where a coordinate is NULL. Each column is contiguous in memory.

        Raises
        ------
        PointsError
            A coordinate that is no number; the message names file, column and row.
        """
        points = np.empty((AXES, block.rows.num_rows))
        for axis, values in enumerate(self.columns(block)):
            points[axis] = values
        return points.T

    def columns(self, block: Block) -> list[NDArray[np.float64]]:
        """Return the same as an array for each axis; not copied where that can be done without."""
        change = Reorientation.between(self.coordinates.orientation)
        found = []
        for axis, source in enumerate(change.axes):
            values = _read(block, self.coordinates.columns[source])
            found.append(self._flipped(values, axis) if change.flips[axis] else values)
        return found

    def _flipped(self, values: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
        """Return coordinates mirrored along an axis."""
        if self.coordinates.unit == "voxel":
            is_index = np.floor(values) == values
            return np.asarray(self.grid.shape[axis] - values - is_index)
        length = self.grid.extent_um[axis] / MICRONS_PER_UNIT[self.coordinates.unit]
        return length - values

    def microns(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return points in the table's unit as microns, (N, 3)."""
        return self.grid.points_um(points, unit=self.coordinates.unit)


def _read(block: Block, name: str) -> NDArray[np.float64]:
    """Return a column's numbers."""
    column = block.rows.column(name)
    if not column.null_count and column.type == pa.float64():
        return np.asarray(column.to_numpy())
    kind = column.type
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if not _is_numeric(kind) and not _is_text(kind):
        raise PointsError(
            f"column {name} of {block.file} holds {kind}, not numbers: name another with --columns"
        )
    try:
        # An integer beyond 2**53 is rounded: it is far outside in any case.
        number = _numbers(column, is_safe=_is_text(kind))
        return np.asarray(number.to_numpy(zero_copy_only=False))
    except pa.ArrowException as error:
        raise _no_number(block, name, column) from error


def _numbers(column: Any, *, is_safe: bool) -> Any:  # noqa: ANN401 (Arrow arrays)
    """Return a column as floats; of a dictionary, the values that occur, once each."""
    if not pa.types.is_dictionary(column.type):
        return column.cast(pa.float64(), safe=is_safe)
    index, place = np.unique(column.indices.drop_null().to_numpy(), return_inverse=True)
    values = column.dictionary.take(pa.array(index)).cast(pa.float64(), safe=is_safe)
    numbers = np.full(len(column), np.nan)
    numbers[column.indices.is_valid().to_numpy(zero_copy_only=False)] = values.to_numpy(
        zero_copy_only=False
    )[place]
    return pa.array(numbers)


def _is_numeric(kind: pa.DataType) -> bool:
    types = pa.types
    return bool(
        types.is_integer(kind)
        or types.is_floating(kind)
        or types.is_decimal(kind)
        or types.is_null(kind)
    )


def _is_text(kind: pa.DataType) -> bool:
    types = pa.types
    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind))


def _no_number(block: Block, name: str, column: Any) -> PointsError:  # noqa: ANN401 (an Arrow array)
    """Return an error that names the first value of a column that is no number."""
    for row, value in enumerate(column, start=block.first + 1):
        try:
            (value.value if pa.types.is_dictionary(value.type) else value).cast(pa.float64())
        except pa.ArrowException:
            shown = f"{value.as_py()!r:.100}"
            return PointsError(
                f"{block.file}, row {row:,}: column {name} holds {shown}, which is no number"
            )
    return PointsError(f"column {name} of {block.file} holds {column.type}, not numbers")
