"""``atlasdb plot bars``: the structures with the highest values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from atlasdb.cli.completion import files
from atlasdb.cli.counts import structures_named
from atlasdb.cli.options import atlas_argument, home_option
from atlasdb.cli.pictures import (
    checked_form,
    conditions,
    cut_option,
    picture_options,
    structures_option,
    value_options,
    write_picture,
)

if TYPE_CHECKING:
    from atlasdb.api import Database


@click.command(name="bars", short_help="Draw the structures with the highest values.")
@atlas_argument
@click.option(
    "--values",
    metavar="FILE",
    shell_complete=files,
    help="What bars show, as of `atlasdb plot heatmap`. [default: the volumes in the atlas]",
)
@value_options
@click.option(
    "--by", metavar="COLUMN", help="The column with the samples: each is a point, bars the mean."
)
@cut_option("Compare the structures at this depth, and leaves above it")
@structures_option("Compare this structure")
@click.option(
    "--top",
    metavar="N",
    type=click.IntRange(1),
    default=20,
    show_default=True,
    help="How many structures are shown at most.",
)
@picture_options
@home_option
def command(
    db: Database,
    atlas: str,
    values: str | None,
    where: tuple[str, ...],
    structures: tuple[str, ...],
    output: str,
    dpi: float,
    **wanted: Any,  # noqa: ANN401 (the options that are handed on)
) -> None:
    """Draw the structures of ATLAS with the highest values as bars, left beside right.

    \b
    atlasdb cells count cells.csv --atlas allen_mouse_25um --by animal --depth 6 -o counts.csv
    atlasdb plot bars allen_mouse_25um --values counts.csv --by animal -o bars.png
    """  # noqa: D301 (click's mark for a block that is not rewrapped)
    from atlasdb.plots import plot_bars

    checked_form(output)
    voxels = db.voxels(atlas)
    picture = plot_bars(
        voxels,
        values,
        where=conditions(where),
        structures=structures_named(db, str(voxels.name), structures),
        **wanted,
    )
    write_picture(picture, output, dpi)
