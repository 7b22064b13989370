"""``atlasdb cells count``: cells per structure and hemisphere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import click

from atlasdb.cli.counts import Report, own_file, report_options
from atlasdb.cli.options import home_option, point_options, scheduler_option
from atlasdb.cli.output import saving
from atlasdb.cli.points import Columns, opened_points, refuse_input, shown, tell

if TYPE_CHECKING:
    from atlasdb.api import Database
    from atlasdb.cells.reading import Points


@click.command(name="count", short_help="Count cells per structure and hemisphere.")
@point_options
@click.option(
    "--by",
    multiple=True,
    metavar="COLUMN,…",
    help="Count by the values of these columns too, such as the sample.",
)
@report_options
@click.option(
    "--partial",
    is_flag=True,
    help="Write what `atlasdb cells merge` adds up: for shards that are counted apart.",
)
@scheduler_option
@home_option
def command(
    db: Database,
    files: tuple[str, ...],
    atlas: str,
    columns: Columns | None,
    unit: str | None,
    orientation: str | None,
    space: Literal["atlas"] | None,
    by: tuple[str, ...],
    *,
    partial: bool,
    scheduler: str | None,
    **report: Any,  # noqa: ANN401 (report_options)
) -> None:
    """Count the cells of FILE in every structure, by hemisphere.

    A row for each structure and hemisphere, also without cells: cells with those of all structures
    below, direct_cells without, the atlas's volume and the density in it. Cells in labels that no
    structure has, in the background and outside the volume have rows of their own, so that
    direct_cells sums to the rows of FILE.

    \b
    atlasdb cells count cells.csv --atlas allen_mouse_100um --by sample --depth 5
    """  # noqa: D301 (click's mark for a block that is not rewrapped)
    wanted = Report(**report)
    points = opened_points(files, columns, unit, orientation, space)
    refuse_input(wanted.output, points)
    groups = _columns(by, points)
    if partial:
        _write_partial(db, points, atlas, groups, wanted, scheduler)
        return
    selection = wanted.selection(db, atlas)
    with shown(quiet=wanted.quiet) as progress:
        table = db.count_table(
            points,
            atlas,
            by=groups,
            depth=selection.depth,
            leaves=selection.leaves,
            structures=selection.structures,
            hemispheres=selection.hemispheres,
            volumes=wanted.volumes,
            scheduler=scheduler,
            progress=progress,
        )
    wanted.write(table)
    tell(table.tally, table.voxels.name, points, quiet=wanted.quiet)


def _columns(by: tuple[str, ...], points: Points) -> list[str]:
    """Return the columns that --by names: each a whole word, or several with commas between."""
    names: list[str] = []
    for word in by:
        names += [word] if word in points.schema.names else word.split(",")
    return names


def _write_partial(
    db: Database,
    points: Points,
    atlas: str,
    by: list[str],
    wanted: Report,
    scheduler: str | None,
) -> None:
    """Write a partial count."""
    import pyarrow.parquet as pq

    from atlasdb.cells.joining import counts_of
    from atlasdb.cells.partial import Partial

    file = own_file(wanted.output, "--partial")
    if not points.files:
        raise click.UsageError(
            "--partial needs files: what comes from standard input could be counted twice unnoticed"
        )
    voxels = db.voxels(atlas)
    with shown(quiet=wanted.quiet) as progress:
        counts = counts_of(points, voxels, by=by, scheduler=scheduler, progress=progress)
    found = Partial(counts, points.files, str(voxels.name), voxels.fingerprint)
    with saving(str(file)) as stream:
        pq.write_table(found.table(), stream)
    tell(counts.tally(voxels), voxels.name, points, quiet=wanted.quiet)
