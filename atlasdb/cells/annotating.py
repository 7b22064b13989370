"""What is at each point of a table, as columns beside those that it has.

The one idea: a batch in, the same rows in the same order out, so that memory does not grow with the
table.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pyarrow as pa

from atlasdb.errors import PointsError, listing
from atlasdb.voxels import STATUSES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from atlasdb.cells.reading import PointTable
    from atlasdb.voxels import AtlasVoxels

VOXEL_COLUMNS = ("voxel_ap", "voxel_si", "voxel_rl")
"""The voxel that was looked at; NULL outside the volume."""

ADDED_COLUMNS = (*VOXEL_COLUMNS, "structure_id", "acronym", "hemisphere", "status")


_SIDES = pa.array(["left", "right"])  # for 1 and 2
_STATUSES = pa.array(STATUSES)


@dataclass
class Tally:
    """How many points there were of each status."""

    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(STATUSES, 0))

    def add(self, counts: dict[str, int]) -> None:
        """Add those of a batch."""
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


def annotate(
    table: PointTable, voxels: AtlasVoxels, *, depth: int | None = None, tally: Tally
) -> Iterator[pa.RecordBatch]:
    """Yield a table's batches with what is at each point.

    Parameters
    ----------
    table
        The points.
    voxels
        The atlas.
    depth
        Cut the atlas at that many steps from the root.
    tally
        Counts the points as they go by.

    Yields
    ------
    pyarrow.RecordBatch
        All columns of the table, then `ADDED_COLUMNS`. structure_id, acronym and hemisphere are
        NULL where no structure is; the status is one of `atlasdb.voxels.STATUSES`. The atlas's full
        name is in the schema's metadata, under ``atlas``.

    Raises
    ------
    PointsError
        A coordinate that is no number, or a column that would be there twice.
    """
    acronyms = pa.array(voxels.structures.acronyms, pa.string())
    for batch in table.batches:
        _refuse_taken(batch.schema.names)
        points = table.points_of(batch)
        found = voxels.lookup(points, unit=table.unit, depth=depth)
        tally.add(found.counts)
        ids, ranks = found.structure_ids, found.cut.rank[found.ranks]
        none = ids == 0
        index = voxels.voxels_at(points, unit=table.unit)
        added = [
            *(pa.array(axis, mask=axis < 0) for axis in index.T),
            pa.array(ids, mask=none),
            acronyms.take(pa.array(ranks - 1, mask=none)),
            _SIDES.take(pa.array(found.hemispheres - 1, mask=found.hemispheres == 0)),
            _STATUSES.take(pa.array(found.statuses)),
        ]
        yield pa.RecordBatch.from_arrays(
            [*batch.columns, *added],
            names=[*batch.schema.names, *ADDED_COLUMNS],
            metadata={"atlas": str(voxels.name)},
        )


def _refuse_taken(names: list[str]) -> None:
    """Refuse a table that has a column of ours already."""
    taken = [name for name in names if name.lower() in ADDED_COLUMNS]
    if taken:
        raise PointsError(
            f"the points have a column {listing(taken)} already: rename it, or leave it out"
        )
