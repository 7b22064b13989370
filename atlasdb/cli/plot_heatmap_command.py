"""``atlasdb plot heatmap``: values of structures as colours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from atlasdb.cli.completion import files
from atlasdb.cli.counts import structures_named
from atlasdb.cli.options import atlas_argument, home_option
from atlasdb.cli.pictures import (
    checked_form,
    colour_options,
    conditions,
    cut_option,
    picture_options,
    plane_options,
    positions,
    structures_option,
    value_options,
    write_picture,
)

if TYPE_CHECKING:
    from atlasdb.api import Database


@click.command(name="heatmap", short_help="Draw values of structures as colours.")
@atlas_argument
@click.option(
    "--values",
    metavar="FILE",
    shell_complete=files,
    required=True,
    help="What `atlasdb cells count` writes, or another table with a column for the structure "
    "(structure_id, acronym, …) and one for the value: .csv, .tsv, .parquet; or .json: "
    "{acronym: value}, or {group: {acronym: value}}.",
)
@value_options
@click.option("--by", metavar="COLUMN", help="The column with the groups of --left and --right.")
@click.option("--left", metavar="GROUP", help="The group that the left hemisphere shows.")
@click.option("--right", metavar="GROUP", help="The group that the right hemisphere shows.")
@colour_options
@plane_options
@structures_option("Choose the plane by this structure, or --zoom on it")
@cut_option("Show values below this depth as their ancestor's there")
@click.option(
    "--opacity",
    metavar="X",
    type=float,
    default=1.0,
    show_default=True,
    help="Of the colours over the reference.",
)
@picture_options
@home_option
def command(
    db: Database,
    atlas: str,
    values: str,
    where: tuple[str, ...],
    structures: tuple[str, ...],
    at_um: tuple[float, ...],
    planes: int | None,
    output: str,
    dpi: float,
    **wanted: Any,  # noqa: ANN401 (the options that are handed on)
) -> None:
    """Draw the values of structures as colours in a plane of ATLAS.

    A structure paints all below it, but for what has a value of its own. Structures without a value
    are grey and hatched. Rows with a hemisphere are painted on that one; --left and --right show
    one group on each.

    \b
    atlasdb cells count cells.csv --atlas allen_mouse_25um --depth 6 -o counts.csv
    atlasdb plot heatmap allen_mouse_25um --values counts.csv --at 7000 -o heatmap.png
    """  # noqa: D301 (click's mark for a block that is not rewrapped)
    from atlasdb.plots import plot_heatmap

    checked_form(output)
    voxels = db.voxels(atlas)
    picture = plot_heatmap(
        voxels,
        values,
        where=conditions(where),
        structures=structures_named(db, str(voxels.name), structures),
        **positions(at_um, planes),
        **wanted,
    )
    write_picture(picture, output, dpi)
