"""Values painted over a hierarchy: what each rank shows in each hemisphere, and who gave it.

The one idea: a structure paints its whole subtree, except for what a structure below it paints.
Over ranks that is one pass from the root down, in which everyone looks at its parent.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from atlasdb.errors import PictureError
from atlasdb.plots.values import BOTH
from atlasdb.runs import LEFT, NEITHER, RIGHT

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from atlasdb.plots.values import Values
    from atlasdb.voxels.ranks import RankTable

HEMISPHERES = (NEITHER, LEFT, RIGHT)
"""The rows of painted tables, by the values of a hemisphere volume."""


@dataclass(frozen=True)
class Painted:
    """What ranks show; (3, size) arrays, rows as in `HEMISPHERES`.

    Attributes
    ----------
    numbers
        float64, NaN where there is no value.
    owner
        int64, the rank whose row gave it; 0 where none did. A row whose value is missing gives
        that: what lies below it does not ask its parent.
    """

    numbers: NDArray[np.float64]
    owner: NDArray[np.int64]


def paint(values: Values, table: RankTable, *, depth: int | None = None) -> Painted:
    """Paint values over an atlas.

    Parameters
    ----------
    values
        One entry for each structure and hemisphere.
    table
        What ranks mean.
    depth
        Steps from the root: what lies deeper shows what its ancestor there does.

    Raises
    ------
    PictureError
        Nothing is painted: all values are of structures below `depth`, or missing.

    Notes
    -----
    A table of counts that says how many cells are in a structure and in no row below it
    (``direct_cells``) is shown so where it is not cut, so that no cell is counted in two colours.
    At the depth of a cut, a structure shows all that is in it.
    """
    numbers = np.full((len(HEMISPHERES), table.size), np.nan)
    owner = np.zeros((len(HEMISPHERES), table.size), dtype=np.int64)
    for side in HEMISPHERES:
        given, own = _given(values, side, table)
        numbers[side], owner[side] = _inherited(given, own, table, depth)
    if np.isnan(numbers).all():
        told = "" if depth is None else f" at depth {depth} or above"
        raise PictureError(f"{values.source} has no value of a structure{told}")
    return Painted(numbers, owner)


@dataclass(frozen=True)
class _Given:
    """The rows of one side by rank: (n + 1,) arrays.

    Attributes
    ----------
    numbers
        The values.
    direct
        What is in the structure and in no row below it; the values again, where nobody says.
    has_row
        Whether there is a row.
    """

    numbers: NDArray[np.float64]
    direct: NDArray[np.float64]
    has_row: NDArray[np.bool_]

    @classmethod
    def none(cls, size: int) -> _Given:
        return cls(np.full(size, np.nan), np.full(size, np.nan), np.zeros(size, dtype=np.bool_))

    def put(self, values: Values, rows: NDArray[np.bool_]) -> None:
        ranks = values.ranks[rows]
        direct = values.numbers if values.direct is None else values.direct
        self.numbers[ranks], self.direct[ranks] = values.numbers[rows], direct[rows]
        self.has_row[ranks] = True


def _given(values: Values, side: int, table: RankTable) -> tuple[_Given, _Given]:
    """Return the rows that a side has: of subtrees, and of own labels only."""
    n = len(table.structures) + 1
    subtree, own = _Given.none(n), _Given.none(n)
    for of in (BOTH, side):  # a hemisphere's own row goes before one of both
        is_side = values.sides == of
        subtree.put(values, is_side & ~values.is_direct)
        own.put(values, is_side & values.is_direct)
    return subtree, own


def _inherited(
    subtree: _Given, own: _Given, table: RankTable, depth: int | None
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return what each rank shows and whose row it is, for one side."""
    hierarchy = table.structures.hierarchy
    numbers = np.full(table.size, np.nan)
    owner = np.zeros(table.size, dtype=np.int64)
    # What a structure passes on to its children.
    handed, giver = np.full(len(hierarchy) + 1, np.nan), np.zeros(len(hierarchy) + 1, np.int64)
    parents, depths = hierarchy.parent_rank.tolist(), hierarchy.depth.tolist()
    for rank, (parent, level) in enumerate(zip(parents, depths, strict=True), start=1):
        is_cut = depth is not None and level >= depth
        if subtree.has_row[rank] and (depth is None or level <= depth):
            handed[rank] = (subtree.numbers if is_cut else subtree.direct)[rank]
            giver[rank] = rank
        else:
            handed[rank], giver[rank] = handed[parent], giver[parent]
        numbers[rank], owner[rank] = handed[rank], giver[rank]
        if own.has_row[rank] and not is_cut:
            numbers[rank], owner[rank] = own.numbers[rank], rank
    return numbers, owner
