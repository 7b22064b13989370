"""Cells counted by rank and hemisphere: what every table of counts is made from.

The one idea: a count is an array over ranks, hemispheres and groups. It is a sum of the counts of
any parts, made by threads or machines in any order, and whatever is asked of it afterwards
(subtrees, cuts, densities) is arithmetic on it. No point is left out: those outside have a rank of
their own.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from atlasdb.cells.annotating import Tally, workers
from atlasdb.cells.groups import Groups
from atlasdb.cells.positions import Positions
from atlasdb.errors import PointsError, listing
from atlasdb.runs import LEFT
from atlasdb.space import first_left_index
from atlasdb.voxels import STATUSES
from atlasdb.voxels.points import GatherRanks, locate_columns, share_out

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from atlasdb.cells.columns import Coordinates
    from atlasdb.cells.pieces import Block, Piece
    from atlasdb.cells.reading import Points
    from atlasdb.sources.base import Progress
    from atlasdb.voxels import AtlasVoxels
    from atlasdb.voxels.points import Located

_SIDES = 3
"""0 neither, 1 left, 2 right."""

_MOST_ENTRIES = 1 << 24
"""Of a count's array: 134 MB."""

_DENSE = 1 << 16


@dataclass
class Counts:
    """How many points there are, by group, rank and hemisphere.

    Attributes
    ----------
    groups
        The groups.
    size
        The number of ranks of the atlas; rank `size` is outside.
    cells
        (groups or more, size + 1, 3) int64; the last axis is 0 neither, 1 left, 2 right.
    """

    groups: Groups
    size: int
    cells: NDArray[np.int64]
    _lock: Any = field(default_factory=threading.Lock, repr=False, compare=False)

    @classmethod
    def none(cls, by: pa.Schema, size: int) -> Counts:
        """Return a count of nothing.

        Parameters
        ----------
        by
            The columns that groups are made of.
        size
            The number of ranks.
        """
        entries = (size + 1) * _SIDES
        groups = Groups(by, max(_MOST_ENTRIES // entries, 1))
        return cls(groups, size, np.zeros((1, size + 1, _SIDES), dtype=np.int64))

    def add(self, keys: NDArray[Any], group: NDArray[np.int64] | None) -> None:
        """Count some points, from any thread.

        Parameters
        ----------
        keys
            (N,) rank * 3 + hemisphere.
        group
            (N,) numbers of groups; None for the only one.
        """
        entries = (self.size + 1) * _SIDES
        if group is not None:
            keys = keys + group * entries
        found: slice | NDArray[np.int64]
        if len(self.groups) * entries <= _DENSE:
            times = np.bincount(keys, minlength=len(self.groups) * entries)
            found = slice(times.size)
        else:
            found, times = np.unique(keys, return_counts=True)
        with self._lock:
            self._make_room()
            self.cells.reshape(-1)[found] += times

    def _make_room(self) -> None:
        """Let there be a row for every group."""
        missing = len(self.groups) - len(self.cells)
        if missing > 0:
            more = np.zeros((max(missing, len(self.cells)), *self.cells.shape[1:]), dtype=np.int64)
            self.cells = np.concatenate([self.cells, more])

    def merge(self, other: Counts) -> None:
        """Add the counts of other points, of the same atlas and by the same columns."""
        numbers = self.groups.add(other.groups.values)
        with self._lock:
            self._make_room()
            np.add.at(self.cells, numbers, other.by_group)

    @property
    def by_group(self) -> NDArray[np.int64]:
        """(groups, size + 1, 3) int64: the counts of the groups that there are."""
        self._make_room()
        return self.cells[: len(self.groups)]

    def tally(self, voxels: AtlasVoxels) -> Tally:
        """Return how many points have each status."""
        totals = np.zeros(len(STATUSES), dtype=np.int64)
        np.add.at(totals, voxels.rank_table.statuses, self.by_group.sum(axis=(0, 2)))
        return Tally(dict(zip(STATUSES, totals.tolist(), strict=True)))


@dataclass(frozen=True)
class Counter:
    """Counts the points of blocks.

    Attributes
    ----------
    voxels
        The atlas.
    coordinates
        Which columns of the blocks are coordinates.
    by
        The columns that groups are made of.
    """

    voxels: AtlasVoxels
    coordinates: Coordinates
    by: pa.Schema

    @property
    def columns(self) -> list[str]:
        """The columns that are needed, each once."""
        return list(dict.fromkeys([*self.coordinates.columns, *self.by.names]))

    def none(self) -> Counts:
        """Return a count of nothing."""
        return Counts.none(self.by, self.voxels.rank_table.size)

    def count(
        self, blocks: Iterable[Block], counts: Counts, *, threads: int | None
    ) -> Iterator[int]:
        """Add the points of some blocks to a count; yield the amount of each."""
        positions = Positions(self.coordinates, self.voxels.grid)
        sides, border = self._sides
        size = self.voxels.rank_table.size
        ranks = GatherRanks(self.voxels.ranks, size, [])
        narrow = np.min_scalar_type((size + 1) * _SIDES)  # four times as many at once as int64
        for block in blocks:
            group = counts.groups.numbers_of(block.rows)

            def add(located: Located, group: NDArray[np.int64] | None = group) -> None:
                key = ranks.codes(located).astype(narrow, copy=False) * narrow.type(_SIDES)
                if sides is None:
                    key += narrow.type(LEFT)
                    key += located.voxel[:, 2] < border
                else:
                    key += sides.take(located.index, mode="wrap")
                counts.add(key, None if group is None else group[located.rows])

            locate_columns(
                positions.columns(block),
                self.voxels.grid,
                add,
                unit=self.coordinates.unit,
                threads=threads,
            )
            yield block.amount

    @property
    def _sides(self) -> tuple[NDArray[np.uint8] | None, int]:
        """The hemisphere volume of an asymmetric atlas, or where the left begins."""
        hemispheres = self.voxels.hemispheres
        is_rule = hemispheres.strides[0] == 0
        return (
            None if is_rule else hemispheres.reshape(-1),
            first_left_index(self.voxels.grid.shape[2]),
        )


def by_schema(points: Points, by: Sequence[str]) -> pa.Schema:
    """Return the columns by which points are grouped.

    Raises
    ------
    PointsError
        A column that is not there, or is named twice.
    """
    names = points.schema.names
    missing = [name for name in by if name not in names]
    if missing:
        raise PointsError(
            f"{points.name} has no column {listing(missing)} to group by; it has {listing(names)}"
        )
    if len(set(by)) < len(by):
        raise PointsError(f"--by names a column twice: {listing(by)}")
    return pa.schema([points.schema.field(name) for name in by])


def count_pieces(
    pieces: Sequence[Piece],
    counter: Counter,
    *,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Counts:
    """Count the points of pieces.

    Parameters
    ----------
    pieces
        The pieces, in any order.
    counter
        What counts them.
    threads
        How many; one a processor by default.
    progress
        Told of the amounts.
    """
    takers, each = workers(len(pieces)) if threads is None else (threads, 1)
    told = threading.Lock()

    def work(numbers: Iterator[int]) -> Counts:
        counts = counter.none()
        for number in numbers:
            blocks = pieces[number].blocks(counter.columns)
            for amount in counter.count(blocks, counts, threads=each):
                if progress is not None:
                    with told:
                        progress.advance(amount)
        return counts

    total = counter.none()
    for counts in share_out(work, len(pieces), takers):
        total.merge(counts)
    return total
