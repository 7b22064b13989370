"""The hierarchy as parts of a whole: how large each structure is, and where it begins.

The one idea: structures are in depth-first order, so that each begins where the parts of its parent
before it end. A place between 0 and 1 and a level are all that a picture of a tree needs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from atlasdb.errors import PictureError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from atlasdb.plots.values import Values
    from atlasdb.structures import StructureTable
    from atlasdb.voxels import AtlasVoxels

_TOLERANCE = 1e-9


def volumes_mm3(voxels: AtlasVoxels) -> NDArray[np.float64]:
    """Return the volumes of structures, (3, n) mm³: of both hemispheres, the left, the right."""
    n = len(voxels.structures)
    found = voxels.statistics()["volume_mm3"].to_numpy().reshape(n, 3).T
    return np.asarray(found, dtype=np.float64)


def sizes_of(values: Values) -> NDArray[np.float64]:
    """Return each structure's size: its own row, or else the sum of its children's.

    Raises
    ------
    PictureError
        A column that does not add up, a negative value, or children that exceed their parent.
    """
    hierarchy = values.structures.hierarchy
    n = len(hierarchy)
    if values.is_known and not values.is_additive:
        raise PictureError(
            f"{values.column} of parts does not sum to that of the whole: a tree needs a column "
            "that adds up, such as cells"
        )
    if (values.numbers < 0).any():
        raise PictureError(f"{values.source} has negative values: they are no parts of a whole")
    own, direct = np.full(n, np.nan), np.zeros(n)
    for target, is_direct in ((own, False), (direct, True)):
        rows = (values.is_direct == is_direct) & ~np.isnan(values.numbers)
        index = values.ranks[rows] - 1
        sums = np.bincount(index, weights=values.numbers[rows], minlength=n)
        given = np.bincount(index, minlength=n) > 0
        target[given] = sums[given]
    sizes = np.zeros(n)
    of_children = np.zeros(n + 1)
    for rank in range(n, 0, -1):
        parts = of_children[rank] + direct[rank - 1]
        size = parts if np.isnan(own[rank - 1]) else own[rank - 1]
        if parts > size * (1 + _TOLERANCE) + _TOLERANCE:
            raise PictureError(
                f"{values.source}: the structures in {values.structures.acronyms[rank - 1]} sum to "
                f"{parts:g}, which is more than its own {size:g}: {values.column} does not add up"
            )
        sizes[rank - 1] = size
        of_children[hierarchy.parent_rank[rank - 1]] += size
    return sizes


@dataclass(frozen=True)
class Part:
    """A structure's place in a tree.

    Attributes
    ----------
    rank
        The structure.
    level
        Steps below the structure in the middle.
    first, last
        From where to where it reaches, as parts of the whole.
    """

    rank: int
    level: int
    first: float
    last: float


def parts_of(
    structures: StructureTable, sizes: NDArray[np.float64], top: int, depth: int | None
) -> Iterator[Part]:
    """Yield the structures that have a size, in depth-first order, as far as a depth."""
    hierarchy = structures.hierarchy
    whole = float(sizes[top - 1])
    if whole <= 0:
        return
    level_of_top = int(hierarchy.depth[top - 1])
    free = {top: 0.0}
    for rank in range(top, int(hierarchy.last_rank[top - 1]) + 1):
        level = int(hierarchy.depth[rank - 1]) - level_of_top
        parent = int(hierarchy.parent_rank[rank - 1])
        first = 0.0 if rank == top else free[parent]
        last = first + float(sizes[rank - 1]) / whole
        free[rank] = first
        if rank != top:
            free[parent] = last
        if last > first and (depth is None or level + level_of_top <= depth):
            yield Part(rank, level, first, last)
