"""``atlasdb cells points``: positions in microns, for programs that draw them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import click

from atlasdb.cli.completion import structures
from atlasdb.cli.counts import own_file
from atlasdb.cli.options import (
    hemisphere_option,
    home_option,
    output_option,
    point_options,
    quiet_option,
)
from atlasdb.cli.output import saving
from atlasdb.cli.points import Columns, opened_points, refuse_input, shown
from atlasdb.cli.telling import say

if TYPE_CHECKING:
    from atlasdb.api import Database


@click.command(name="points", short_help="Write cells as points in microns.")
@point_options
@click.option(
    "-s",
    "--structure",
    "structures",
    multiple=True,
    metavar="STRUCTURE",
    shell_complete=structures,
    help="Only cells in this structure or below it. Repeat it for several.",
)
@hemisphere_option
@output_option
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
    structures: tuple[str, ...],
    hemisphere: Literal["left", "right"] | None,
    output: str | None,
    *,
    quiet: bool,
) -> None:
    """Write the cells of FILE as points in microns, for brainrender: an .npy file of (N, 3).

    Points are along AP, SI, RL, from anterior, superior and right. Cells without coordinates have
    no place in a picture: how many are left out is said.

    \b
    atlasdb cells points cells.csv --atlas allen_mouse_25um -s CA1 -o points.npy
    """  # noqa: D301 (click's mark for a block that is not rewrapped)
    import numpy as np

    from atlasdb.cells.joining import microns_of
    from atlasdb.cli.counts import structures_named

    file = own_file(output, "`atlasdb cells points`")
    points = opened_points(files, columns, unit, orientation, space)
    refuse_input(output, points)
    with shown(quiet=quiet) as progress:
        found, read = microns_of(
            points,
            db.voxels(atlas),
            structures=structures_named(db, atlas, structures),
            hemisphere=hemisphere,
            progress=progress,
        )
    with saving(str(file)) as stream:
        np.save(stream, found, allow_pickle=False)
    if not quiet:
        say(f"{len(found):,} of {read:,} cells ({points.coordinates})", err=True)
