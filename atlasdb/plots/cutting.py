"""Values cut at a depth: what lies deeper is in the row of its ancestor there, or is added up.

The one idea: nothing of a table is lost by a cut. A row below the depth is a part of its ancestor's
row where there is one; where there is none, values that add up are added up, and of others it is
known how many are not shown.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from atlasdb.plots.values import Values
    from atlasdb.voxels.ranks import RankTable


def cut_at(values: Values, table: RankTable, depth: int) -> tuple[Values, int]:
    """Return values at a depth and above, and how many rows below it are in none of them.

    Parameters
    ----------
    values
        Values of structures.
    table
        What ranks mean.
    depth
        Steps from the root.

    Raises
    ------
    UnknownDepthError
        No structure is so deep.
    """
    ancestor = table.cut(depth=table.checked_depth(depth)).rank[values.ranks]
    level = table.structures.hierarchy.depth[values.ranks - 1]
    is_below = (level > depth) | ((level == depth) & values.is_direct)
    rows = np.stack([values.contexts, values.sides, ancestor], axis=1)
    is_whole = ~is_below & ~values.is_direct
    has_whole = _is_among(rows, rows[is_whole])
    is_lost = is_below & ~has_whole
    kept = values.where(~is_below)
    if not values.is_additive:
        return kept, int(is_lost.sum())
    added = _added(values, rows, is_lost)
    return joined(kept, added), 0


def told_of_lost(lost: int, depth: int | None) -> str:
    """Return how many rows a cut leaves out, for a caption."""
    rows = "row" if lost == 1 else "rows"
    return f"; {lost} {rows} below depth {depth} not shown" if lost else ""


def _is_among(rows: NDArray[np.int64], known: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return which rows are equal to one of those known."""
    there = set(map(tuple, known.tolist()))
    return np.array([tuple(row) in there for row in rows.tolist()], dtype=np.bool_)


def _added(values: Values, rows: NDArray[np.int64], is_lost: NDArray[np.bool_]) -> Values:
    """Return a row for each ancestor that has none, with the sum of what lies below it.

    Of rows that contain each other only what is in none below counts, where the table says it, or
    else the outermost.
    """
    numbers = values.numbers if values.direct is None else values.direct
    is_summed = is_lost.copy()
    if values.direct is None:
        is_summed &= ~_is_inside_another(values, rows, is_lost)
    index = np.flatnonzero(is_summed)
    distinct, first, place = np.unique(rows[index], axis=0, return_index=True, return_inverse=True)
    sums = np.zeros(len(distinct))
    np.add.at(sums, place.ravel(), np.nan_to_num(numbers[index]))
    added = values.where(_mask(index[first], len(values.ranks)))
    order = np.argsort(index[first])
    return replace(
        added,
        ranks=distinct[order, 2],
        is_direct=np.zeros(len(distinct), dtype=np.bool_),
        numbers=sums[order],
        direct=None if values.direct is None else sums[order],
    )


def _is_inside_another(
    values: Values, rows: NDArray[np.int64], is_lost: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Return which rows lie in the subtree of another one that is lost, too."""
    last = values.structures.hierarchy.last_rank
    found = np.zeros(len(values.ranks), dtype=np.bool_)
    reached: dict[tuple[int, int], int] = {}
    order = np.lexsort([values.is_direct, values.ranks])
    for row in order[is_lost[order]].tolist():
        context = (int(rows[row, 0]), int(rows[row, 1]))
        rank = int(values.ranks[row])
        found[row] = rank <= reached.get(context, 0)
        if not found[row] and not values.is_direct[row]:
            reached[context] = int(last[rank - 1])
    return found


def _mask(index: NDArray[np.int64], size: int) -> NDArray[np.bool_]:
    mask = np.zeros(size, dtype=np.bool_)
    mask[index] = True
    return mask


def joined(first: Values, second: Values) -> Values:
    """Return the entries of both: of one table, with the same columns."""
    direct = None
    if first.direct is not None and second.direct is not None:
        direct = np.concatenate([first.direct, second.direct])
    return replace(
        first,
        ranks=np.concatenate([first.ranks, second.ranks]),
        is_direct=np.concatenate([first.is_direct, second.is_direct]),
        sides=np.concatenate([first.sides, second.sides]),
        groups=np.concatenate([first.groups, second.groups]),
        numbers=np.concatenate([first.numbers, second.numbers]),
        direct=direct,
        others={
            name: np.concatenate([texts, second.others[name]])
            for name, texts in first.others.items()
        },
    )
