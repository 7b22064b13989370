"""What is at each point of a table, as columns beside those that it has.

The one idea: a block in, the same rows in the same order out. Every column that is added is a table
over the atlas's ranks, in Arrow, that the ranks at the points are taken from.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from atlasdb.cells.columns import Coordinates, names_in
from atlasdb.cells.flow import in_order
from atlasdb.cells.positions import Positions
from atlasdb.errors import PointsError, listing
from atlasdb.voxels import STATUSES
from atlasdb.voxels.points import processors

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from atlasdb.cells.pieces import Block, Piece
    from atlasdb.cells.reading import Points
    from atlasdb.voxels import AtlasVoxels

VOXEL_COLUMNS = ("voxel_ap", "voxel_si", "voxel_rl")
"""The voxel that was looked at; NULL outside the volume."""

FOUND_COLUMNS = ("structure_id", "acronym", "hemisphere", "status")
"""What every annotated table has."""

ADDED_COLUMNS = (*VOXEL_COLUMNS, *FOUND_COLUMNS)

MICRONS = names_in("um")


@dataclass
class Tally:
    """How many points there were of each status."""

    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(STATUSES, 0))

    def add(self, counts: dict[str, int]) -> None:
        """Add those of a block."""
        for status, count in counts.items():
            self.counts[status] += count

    @property
    def total(self) -> int:
        """The number of points."""
        return sum(self.counts.values())

    def __str__(self) -> str:
        parts = ", ".join(f"{count:,} {status}" for status, count in self.counts.items() if count)
        points = f"{self.total:,} point{'' if self.total == 1 else 's'}"
        return f"{points}: {parts}" if parts else points


@dataclass(frozen=True)
class Wanted:
    """Which columns are added beside `FOUND_COLUMNS`.

    Attributes
    ----------
    cut
        Give the structure at that many steps from the root instead of the label's own.
    depths
        Give the structures there too, as ``structure_id_depth_3`` and ``acronym_depth_3``.
    path
        Give the acronyms from the root to the structure, as a list.
    voxels
        Give the voxel that was looked at.
    microns
        Give the point along the atlas's axes as ``ap_um``, ``si_um``, ``rl_um``.
    plain
        Give texts as texts, not as Arrow's dictionaries.
    """

    cut: int | None = None
    depths: tuple[int, ...] = ()
    path: bool = False
    voxels: bool = False
    microns: bool = False
    plain: bool = False


@dataclass(frozen=True)
class Annotated:
    """Some rows of a table with what is at each.

    Attributes
    ----------
    rows
        The rows.
    counts
        How many have each status.
    amount
        As the block's.
    """

    rows: pa.RecordBatch
    counts: dict[str, int]
    amount: int


@dataclass(frozen=True)
class Annotator:
    """Adds columns to blocks of points.

    Attributes
    ----------
    voxels
        The atlas.
    coordinates
        Which columns of the blocks are coordinates.
    wanted
        Which columns are added.
    threads
        How many look up at once; all processors by default.
    """

    voxels: AtlasVoxels
    coordinates: Coordinates
    wanted: Wanted = field(default_factory=Wanted)
    threads: int | None = None

    def __call__(self, block: Block) -> Annotated:
        """Return the rows of a block with all its columns, and then the added ones.

        Structure ids, acronyms and hemispheres are NULL where no structure is; the status is one of
        `atlasdb.voxels.STATUSES`. The atlas's full name is in the schema's metadata, under
        ``atlas``.

        Raises
        ------
        PointsError
            A coordinate that is no number, or a column that would be there twice.
        """
        rows = block.rows
        self.check(rows.schema.names)
        points = self._positions(block)
        unit = self.coordinates.unit
        found = self.voxels.lookup(points, unit=unit, threads=self.threads)
        ranks, sides = pa.array(found.ranks), pa.array(found.hemispheres)
        added: list[Any] = []
        if self.wanted.voxels:
            index = self.voxels.voxels_at(points, unit=unit)
            added += [pa.array(axis, mask=axis < 0) for axis in index.T]
        if self.wanted.microns:
            added += self._microns(rows, points)
        tables = self._tables
        added += [tables[0].take(ranks), tables[1].take(ranks), _SIDES.take(sides)]
        added += [table.take(ranks) for table in tables[2:]]
        if self.wanted.plain:
            added = [_plain(column) for column in added]
        kept = [name for name in rows.schema.names if name not in self._replaced(rows.schema.names)]
        batch = pa.RecordBatch.from_arrays(
            [*(rows.column(name) for name in kept), *added],
            names=[*kept, *self.added],
            metadata={**(rows.schema.metadata or {}), b"atlas": str(self.voxels.name).encode()},
        )
        return Annotated(batch, found.counts, block.amount)

    @property
    def added(self) -> tuple[str, ...]:
        """The names of the columns that are added."""
        wanted = self.wanted
        return (
            *(VOXEL_COLUMNS if wanted.voxels else ()),
            *(MICRONS if wanted.microns else ()),
            *FOUND_COLUMNS,
            *(
                name
                for d in wanted.depths
                for name in (f"structure_id_depth_{d}", f"acronym_depth_{d}")
            ),
            *(("path",) if wanted.path else ()),
        )

    def check(self, names: Sequence[str]) -> None:
        """Refuse a table that has a column of ours already.

        Raises
        ------
        PointsError
            It has.
        """
        ours = {name.lower() for name in self.added}
        taken = [n for n in names if n.lower() in ours and n not in self._replaced(names)]
        if taken:
            raise PointsError(
                f"the points have a column {listing(taken)} already: rename it, or leave it out"
            )

    def _replaced(self, names: Sequence[str]) -> tuple[str, ...]:
        """Return which columns give way: coordinates that become microns of the same names."""
        if not self.wanted.microns:
            return ()
        is_same = self.coordinates == Coordinates(MICRONS, "um")
        return tuple(name for name in names if is_same and name in MICRONS)

    def _microns(self, rows: pa.RecordBatch, points: NDArray[np.float64]) -> list[pa.Array]:
        """Return points as three columns; NULL where a coordinate was NULL."""
        if self._replaced(rows.schema.names):
            kept = [rows.column(name) for name in MICRONS]
            if all(column.type == pa.float64() for column in kept):
                return kept
        microns = self._positions.microns(points)
        return [pa.array(np.ascontiguousarray(axis), mask=np.isnan(axis)) for axis in microns.T]

    @cached_property
    def _positions(self) -> Positions:
        return Positions(self.coordinates, self.voxels.grid)

    @cached_property
    def _tables(self) -> list[Any]:
        """Columns with an entry for every rank: structure, acronym, status, depths, path.

        The hemisphere, which is no matter of the rank, stands third among the added columns.
        """
        table, wanted = self.voxels.rank_table, self.wanted
        cut = table.cut(depth=wanted.cut).rank
        statuses = pa.DictionaryArray.from_arrays(
            pa.array(table.statuses.astype(np.int8)), pa.array(STATUSES)
        )
        tables = [self._ids(cut), self._acronyms(cut), statuses]
        for depth in wanted.depths:
            at_depth = table.cut(depth=depth).rank
            tables += [self._ids(at_depth), self._acronyms(at_depth)]
        if wanted.path:
            tables.append(self._paths(cut))
        return tables

    def _ids(self, cut: NDArray[np.int64]) -> pa.Array:
        """Return the structure's id for every rank."""
        table = self.voxels.rank_table
        return pa.array(table.ids[cut], mask=~table.is_structure)

    def _acronyms(self, cut: NDArray[np.int64]) -> pa.Array:
        """Return the structure's acronym for every rank; acronyms need not be unique."""
        table = self.voxels.rank_table
        distinct, index = np.unique(table.acronyms, return_inverse=True)
        narrow = index.astype(np.int16 if distinct.size < 1 << 15 else np.int32)[cut]
        return pa.DictionaryArray.from_arrays(
            pa.array(narrow, mask=~table.is_structure), pa.array(distinct.tolist(), pa.string())
        )

    def _paths(self, cut: NDArray[np.int64]) -> pa.Array:
        """Return the acronyms from the root for every rank."""
        table, structures = self.voxels.rank_table, self.voxels.structures
        paths: list[list[str] | None] = [None]
        for acronym, parent in zip(
            structures.acronyms, structures.hierarchy.parent_rank.tolist(), strict=True
        ):
            paths.append([*(paths[parent] or []), acronym])
        found = [
            paths[rank] if is_one else None
            for rank, is_one in zip(cut.tolist(), table.is_structure.tolist(), strict=True)
        ]
        return pa.array(found, pa.list_(pa.string()))


_SIDES = pa.DictionaryArray.from_arrays(
    pa.array([None, 0, 1], pa.int8()), pa.array(["left", "right"])
)
"""For 0, 1 and 2."""


def _plain(column: Any) -> Any:  # noqa: ANN401 (an Arrow array)
    """Return a column with texts as texts."""
    return column.cast(pa.string()) if pa.types.is_dictionary(column.type) else column


def annotate(points: Points, annotator: Annotator, *, threads: int = 0) -> Iterator[Annotated]:
    """Yield a table's blocks with what is at each point, in order.

    Parameters
    ----------
    points
        The table.
    annotator
        What adds the columns.
    threads
        How many pieces are read and looked up ahead of the caller; none with 0, so that nothing is
        read before it is asked for.
    """
    annotator.check(points.schema.names)
    if not threads:
        yield from map(annotator, points.blocks())
        return
    threads = min(threads, len(points.pieces))

    def work(piece: Piece) -> Iterator[Annotated]:
        return map(annotator, piece.blocks(points.schema.names))

    yield from in_order(points.pieces, work, threads=threads)


def workers(pieces: int) -> tuple[int, int | None]:
    """Return how many threads take pieces, and how many each may use for its points.

    Examples
    --------
    >>> workers(1)[1] is None
    True
    """
    number = min(processors(), pieces)
    return max(number, 1), 1 if number > 1 else None
