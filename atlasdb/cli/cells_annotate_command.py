"""``atlasdb cells annotate``: what is at each cell, as columns."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from atlasdb.cli.options import (
    format_option,
    home_option,
    output_option,
    point_options,
    quiet_option,
    scheduler_option,
)
from atlasdb.cli.output import form_of, saving, write_batches
from atlasdb.cli.points import Columns, opened_points, refuse_input, shown, tell

if TYPE_CHECKING:
    from atlasdb.api import Database


@click.command(name="annotate", short_help="Add what is at each cell as columns.")
@point_options
@click.option(
    "--at-depth",
    "depths",
    type=int,
    multiple=True,
    metavar="N",
    help="Add the structure at that many steps from the root. Repeat it for several.",
)
@click.option("--path", is_flag=True, help="Add the acronyms from the root to the structure.")
@format_option
@output_option
@scheduler_option
@quiet_option
@home_option
def command(
    db: Database,
    files: tuple[str, ...],
    atlas: str,
    columns: Columns | None,
    unit: str | None,
    orientation: str | None,
    space: Literal["atlas"] | None,
    depths: tuple[int, ...],
    *,
    path: bool,
    form: str | None,
    output: str | None,
    scheduler: str | None,
    quiet: bool,
) -> None:
    """Add structure_id, acronym, hemisphere and status to the cells of FILE.

    All rows and columns are kept, in order. The status is inside, unlabelled (a label that no
    structure has), background or outside. Memory does not grow with the number of cells. With
    --scheduler, -o is a folder of Parquet files.

    \b
    atlasdb cells annotate cells.csv --atlas allen_mouse_100um -o annotated.parquet
    """  # noqa: D301 (click's mark for a block that is not rewrapped)
    from atlasdb.cells.annotating import Wanted
    from atlasdb.cells.joining import annotate_to, annotation_of

    points = opened_points(files, columns, unit, orientation, space)
    refuse_input(output, points)
    voxels = db.voxels(atlas)
    wanted = Wanted(depths=tuple(dict.fromkeys(depths)), path=path)
    is_parquet = (form or form_of(output)) == "parquet"
    with shown(quiet=quiet) as progress:
        if scheduler is not None:
            from atlasdb.cells.distributed import annotate_on  # Dask is an extra

            if output is None or form not in {None, "parquet"}:
                raise click.UsageError(
                    "--scheduler writes a folder of Parquet files: add -o FOLDER"
                )
            db.home.refuse_own(Path(output))
            tally = annotate_on(scheduler, points, voxels, Path(output), wanted, progress)
        elif is_parquet and output is not None:
            with saving(output) as file:
                tally = annotate_to(points, voxels, file, wanted=wanted, progress=progress)
        else:
            plain = Wanted(depths=wanted.depths, path=path, plain=True)
            # What is printed while it is read (a pipe) is not read ahead.
            annotation = annotation_of(points, voxels, wanted=plain, ahead=False, progress=progress)
            write_batches(annotation.batches, form, output)
            tally = annotation.tally
    tell(tally, voxels.name, points, quiet=quiet)
