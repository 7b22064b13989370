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
    A table of counts that says for each structure how many cells are in it and in no row below
    (``direct_cells``) is shown so where it is not cut, so that no cell is counted in two colours;
    with a depth, so is what bears the label of a structure above it.
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
    """The rows of one side by rank: (n + 1,) numbers, and whether there is a row."""

    numbers: NDArray[np.float64]
    has_row: NDArray[np.bool_]

    @classmethod
    def none(cls, size: int) -> _Given:
        return cls(np.full(size, np.nan), np.zeros(size, dtype=np.bool_))

    def put(self, ranks: NDArray[np.int64], numbers: NDArray[np.float64]) -> None:
        self.numbers[ranks] = numbers
        self.has_row[ranks] = True


def _given(values: Values, side: int, table: RankTable) -> tuple[_Given, _Given]:
    """Return the rows that a side has: of subtrees, and of own labels only."""
    n = len(table.structures) + 1
    subtree, own = _Given.none(n), _Given.none(n)
    for of in (BOTH, side):  # a hemisphere's own row goes before one of both
        chosen = (values.sides == of) & ~values.is_direct
        subtree.put(values.ranks[chosen], values.numbers[chosen])
        if values.direct is not None:
            own.put(values.ranks[chosen], values.direct[chosen])
        chosen = (values.sides == of) & values.is_direct
        own.put(values.ranks[chosen], values.numbers[chosen])
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
        is_deeper = depth is not None and level > depth
        if subtree.has_row[rank] and not is_deeper:
            handed[rank], giver[rank] = subtree.numbers[rank], rank
        else:
            handed[rank], giver[rank] = handed[parent], giver[parent]
        numbers[rank], owner[rank] = handed[rank], giver[rank]
        is_cut = depth is not None and level >= depth
        if own.has_row[rank] and not is_cut:
            numbers[rank], owner[rank] = own.numbers[rank], rank
    return numbers, owner
