"""``atlasdb plot cells``: cells of a slab over the structures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import click

from atlasdb.cli.counts import structures_named
from atlasdb.cli.options import (
    atlas_argument,
    columns_option,
    counted_from_option,
    files_argument,
    home_option,
    space_option,
    stated_unit_option,
    voxels_option,
)
from atlasdb.cli.pictures import (
    checked_form,
    colour_options,
    cut_option,
    picture_options,
    plane_options,
    positions,
    structures_option,
    write_picture,
)
from atlasdb.cli.points import Columns, opened_points

if TYPE_CHECKING:
    from atlasdb.api import Database


@click.command(name="cells", short_help="Draw the cells of a slab over the structures.")
@atlas_argument
@files_argument
@columns_option
@stated_unit_option
@voxels_option
@counted_from_option
@space_option
@click.option(
    "--thickness",
    "thickness_um",
    metavar="MICRONS",
    type=float,
    help="The slab's, half of it before the plane. [default: 100; with --planes, slabs meet "
    "half-way]",
)
@click.option(
    "--color",
    metavar="structure|density|COLUMN",
    default="structure",
    show_default=True,
    help="What colours mean: the structure in which a cell is, cells per mm³ instead of points, or "
    "the values of a column, such as the sample.",
)
@click.option("--size", "size_pt", metavar="POINTS", type=float, help="The points' diameter.")
@click.option(
    "--bin",
    "bin_um",
    metavar="MICRONS",
    type=float,
    default=100.0,
    show_default=True,
    help="The side of the squares of --color density.",
)
@colour_options
@plane_options
@structures_option("Outline and name this structure only")
@cut_option("Show structures below this depth as their ancestor there")
@click.option(
    "--opacity",
    metavar="X",
    type=float,
    default=0.15,
    show_default=True,
    help="Of the structures' colours under the cells.",
)
@picture_options
@home_option
def command(
    db: Database,
    atlas: str,
    files: tuple[str, ...],
    columns: Columns | None,
    unit: str | None,
    orientation: str | None,
    space: Literal["atlas"] | None,
    *,
    structures: tuple[str, ...],
    at_um: tuple[float, ...],
    planes: int | None,
    output: str,
    dpi: float,
    **wanted: Any,  # noqa: ANN401 (the options that are handed on)
) -> None:
    """Draw the cells of FILE that lie near a plane of ATLAS.

    FILE is what `atlasdb cells` reads. Cells in no structure are hollow circles; how many cells
    there are, and how many of them are seen, is said.

    \b
    atlasdb plot cells allen_mouse_25um cells.csv --at 7000 --thickness 200 -o cells.png
    """  # noqa: D301 (click's mark for a block that is not rewrapped)
    from atlasdb.plots import plot_cells

    checked_form(output)
    points = opened_points(files, columns, unit, orientation, space)
    voxels = db.voxels(atlas)
    picture = plot_cells(
        voxels,
        points,
        structures=structures_named(db, str(voxels.name), structures),
        **positions(at_um, planes),
        **wanted,
    )
    write_picture(picture, output, dpi)
