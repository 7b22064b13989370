"""``atlasdb plot slice``: the structures of an atlas in a plane."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from atlasdb.cli.counts import structures_named
from atlasdb.cli.options import atlas_argument, home_option
from atlasdb.cli.pictures import (
    checked_form,
    cut_option,
    picture_options,
    plane_options,
    positions,
    structures_option,
    write_picture,
)

if TYPE_CHECKING:
    from atlasdb.api import Database


@click.command(name="slice", short_help="Draw the structures in a plane, or in many.")
@atlas_argument
@plane_options
@structures_option("Colour, outline and name this structure only")
@cut_option("Show structures below this depth as their ancestor there")
@click.option(
    "--opacity",
    metavar="X",
    type=float,
    default=0.5,
    show_default=True,
    help="Of the colours: 0 shows the reference alone, 1 the atlas's colours as they are.",
)
@picture_options
@home_option
def command(
    db: Database,
    atlas: str,
    structures: tuple[str, ...],
    at_um: tuple[float, ...],
    planes: int | None,
    output: str,
    dpi: float,
    **wanted: Any,  # noqa: ANN401 (plane_options and picture_options)
) -> None:
    """Draw the structures of ATLAS in a plane: the reference in grey, structures in their colours.

    Outlines run between voxels; acronyms stand inside the structures that they name, where there
    is room. With --structure, only these are coloured and named.

    \b
    atlasdb plot slice allen_mouse_25um --frontal --at 7000 -o slice.png
    atlasdb plot slice allen_mouse_25um --planes 12 --depth 5 --width 183 -o sheet.pdf
    """  # noqa: D301 (click's mark for a block that is not rewrapped)
    from atlasdb.plots import plot_slice

    checked_form(output)
    voxels = db.voxels(atlas)
    picture = plot_slice(
        voxels,
        structures=structures_named(db, str(voxels.name), structures),
        **positions(at_um, planes),
        **wanted,
    )
    write_picture(picture, output, dpi)
