"""Counting points and annotating them, from opened tables to results.

The one idea: points go by once, block by block, whatever they come from. Nothing of them is
dropped, and what cannot be told of them is asked.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pyarrow as pa

from atlasdb.cells.annotating import Annotator, Tally, Wanted, annotate, workers
from atlasdb.cells.columns import find_coordinates
from atlasdb.cells.counting import Counter, by_schema, count_pieces
from atlasdb.cells.pieces import Block
from atlasdb.cells.positions import Positions
from atlasdb.cells.registered import read_volumes
from atlasdb.cells.tables import CountTable, Selection
from atlasdb.cells.writing import write_parquet
from atlasdb.errors import PointsError
from atlasdb.runs import LEFT, RIGHT
from atlasdb.sources.base import NoProgress

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import BinaryIO

    from numpy.typing import NDArray

    from atlasdb.cells.columns import Stated
    from atlasdb.cells.counting import Counts
    from atlasdb.cells.reading import Points
    from atlasdb.sources.base import Progress
    from atlasdb.voxels import AtlasVoxels
    from atlasdb.voxels.ranks import Structure

Engine = Any
"""A Dask client, or the address of a scheduler."""


def counts_of(
    points: Points,
    voxels: AtlasVoxels,
    *,
    by: Sequence[str] = (),
    scheduler: Engine | None = None,
    progress: Progress | None = None,
) -> Counts:
    """Count points by structure, hemisphere and group.

    Parameters
    ----------
    points
        The points.
    voxels
        The atlas.
    by
        Columns by whose values they are grouped.
    scheduler
        A Dask client, or a scheduler's address, to count on its workers.
    progress
        Told of rows or bytes.
    """
    progress = progress or NoProgress()
    counter = Counter(voxels, points.coordinates, by_schema(points, by))
    progress.step("counting", points.total, points.measure)
    if scheduler is None:
        return count_pieces(points.pieces, counter, progress=progress)
    from atlasdb.cells.distributed import count_on  # Dask is an extra

    return count_on(scheduler, points.pieces, counter, progress)


def count_table(
    points: Points,
    voxels: AtlasVoxels,
    *,
    by: Sequence[str] = (),
    selection: Selection | None = None,
    volumes: str | Path | None = None,
    scheduler: Engine | None = None,
    progress: Progress | None = None,
) -> CountTable:
    """Count points, ready to be made a table of.

    Parameters
    ----------
    points, voxels, by, scheduler, progress
        As of `counts_of`.
    selection
        Which rows are wanted.
    volumes
        The ``volumes.csv`` of a registered brain.
    """
    counts = counts_of(points, voxels, by=by, scheduler=scheduler, progress=progress)
    return table_of(counts, voxels, selection=selection, volumes=volumes)


def table_of(
    counts: Counts,
    voxels: AtlasVoxels,
    *,
    selection: Selection | None = None,
    volumes: str | Path | None = None,
) -> CountTable:
    """Return counts ready to be made a table of."""
    registered = None if volumes is None else read_volumes(Path(volumes), voxels, counts.groups)
    return CountTable(voxels, counts, selection or Selection(), registered)


@dataclass(frozen=True)
class Annotation:
    """An annotated table that is read once.

    Attributes
    ----------
    schema
        Its columns.
    batches
        Its rows, in order.
    tally
        Counts the rows as they go by.
    """

    schema: pa.Schema
    batches: Iterator[pa.RecordBatch]
    tally: Tally


def annotation_of(
    points: Points,
    voxels: AtlasVoxels,
    *,
    wanted: Wanted | None = None,
    ahead: bool = True,
    progress: Progress | None = None,
) -> Annotation:
    """Find what is at every point of a table.

    Parameters
    ----------
    points
        The table.
    voxels
        The atlas.
    wanted
        Which columns are added.
    ahead
        Whether threads may read ahead.
    progress
        Told of rows or bytes.
    """
    progress = progress or NoProgress()
    tally = Tally()
    threads, each = workers(len(points.pieces)) if ahead else (0, None)
    annotator = Annotator(voxels, points.coordinates, wanted or Wanted(), each)
    schema = schema_of(points, annotator)
    told = progress

    def batches() -> Iterator[pa.RecordBatch]:
        told.step("annotating", points.total, points.measure)
        for annotated in annotate(points, annotator, threads=threads):
            tally.add(annotated.counts)
            told.advance(annotated.amount)
            yield annotated.rows.cast(schema) if annotated.rows.schema != schema else annotated.rows

    return Annotation(schema, batches(), tally)


@dataclass(frozen=True)
class BatchAnnotator:
    """Annotates batches of points for any engine that has Arrow: batches in, batches out.

    It can be pickled: another process opens the same home. Spark takes it as it is
    (``DataFrame.mapInArrow``), as does whatever maps over `pyarrow.RecordBatch`.

    Attributes
    ----------
    voxels
        The atlas.
    stated
        What is known of the batches' coordinates.
    wanted
        Which columns are added.
    """

    voxels: AtlasVoxels
    stated: Stated
    wanted: Wanted

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Yield batches with what is at each point."""
        first = 0
        annotator: Annotator | None = None
        for batch in batches:
            if annotator is None:
                coordinates = find_coordinates(batch.schema.names, self.stated, "the table")
                annotator = Annotator(self.voxels, coordinates, self.wanted, 1)
            yield annotator(Block(batch, "the table", first, batch.num_rows)).rows
            first += batch.num_rows


def schema_of(points: Points, annotator: Annotator) -> pa.Schema:
    """Return the columns of an annotated table."""
    return annotator(Block(points.none(), points.name, 0, 0)).rows.schema


def annotate_to(
    points: Points,
    voxels: AtlasVoxels,
    file: BinaryIO,
    *,
    wanted: Wanted | None = None,
    progress: Progress | None = None,
) -> Tally:
    """Write an annotated table as Parquet.

    Parameters
    ----------
    points, voxels, wanted, progress
        As of `annotation_of`.
    file
        Where to.

    Returns
    -------
    Tally
        How many points have each status.
    """
    annotation = annotation_of(points, voxels, wanted=wanted, progress=progress)
    rows = write_parquet(annotation.batches, file, annotation.schema)
    if rows != annotation.tally.total:
        raise PointsError(f"{annotation.tally.total:,} rows were read and {rows:,} written")
    return annotation.tally


def added_columns(
    points: Points, voxels: AtlasVoxels, wanted: Wanted, progress: Progress | None = None
) -> pa.Table:
    """Return the columns that are added to a table, without its own.

    Parameters
    ----------
    points, voxels, wanted, progress
        As of `annotation_of`.
    """
    progress = progress or NoProgress()
    annotator = Annotator(voxels, points.coordinates, wanted)
    annotator.check(points.schema.names)
    columns = list(points.coordinates.columns)
    progress.step("annotating", points.total, points.measure)
    batches = []
    for block in points.blocks(columns):
        annotated = annotator(block)
        progress.advance(annotated.amount)
        batches.append(annotated.rows.select(list(annotator.added)))
    return pa.Table.from_batches(batches).replace_schema_metadata({"atlas": str(voxels.name)})


def microns_of(
    points: Points,
    voxels: AtlasVoxels,
    *,
    structures: Sequence[Structure] | None = None,
    hemisphere: Literal["left", "right"] | None = None,
    progress: Progress | None = None,
) -> tuple[NDArray[np.float64], int]:
    """Return points in microns along the atlas's axes, in order.

    Parameters
    ----------
    points, voxels, progress
        As of `annotation_of`.
    structures
        Only points in these or below them.
    hemisphere
        Only points on this side.

    Returns
    -------
    points_um
        (N, 3) float64; points without finite coordinates are left out.
    read
        How many points there were in all.
    """
    progress = progress or NoProgress()
    positions = Positions(points.coordinates, voxels.grid)
    voxels.rank_table.cut(structures=structures)  # refused before anything is read
    progress.step("reading", points.total, points.measure)
    found, read = [np.empty((0, 3))], 0
    for block in points.blocks(list(points.coordinates.columns)):
        given = positions(block)
        keep = np.isfinite(given).all(axis=1)
        if structures is not None or hemisphere is not None:
            at = voxels.lookup(given, unit=points.coordinates.unit, structures=structures)
            keep &= at.structure_ids != 0
            if hemisphere is not None:
                keep &= at.hemispheres == (LEFT if hemisphere == "left" else RIGHT)
        found.append(positions.microns(given[keep]))
        read += len(given)
        progress.advance(block.amount)
    return np.concatenate(found), read
