"""``atlasdb plot tree``: the hierarchy as parts of a whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from atlasdb.cli.completion import files
from atlasdb.cli.options import (
    atlas_argument,
    home_option,
    optional_structure_argument,
)
from atlasdb.cli.pictures import (
    checked_form,
    conditions,
    cut_option,
    picture_options,
    value_options,
    write_picture,
)

if TYPE_CHECKING:
    from atlasdb.api import Database
    from atlasdb.database import TypedWord


@click.command(name="tree", short_help="Draw the hierarchy by volume or by counts.")
@atlas_argument
@optional_structure_argument
@cut_option("Show structures as far as this depth")
@click.option("--icicle", "style", flag_value="icicle", help="Columns, with room for names.")
@click.option(
    "--sunburst", "style", flag_value="sunburst", default="sunburst", help="Rings. [default]"
)
@click.option(
    "--values",
    metavar="FILE",
    shell_complete=files,
    help="What structures are as large as, as of `atlasdb plot heatmap`. [default: their volumes]",
)
@value_options
@click.option("--no-names", "names", flag_value=False, default=True, help="No acronyms.")
@picture_options
@home_option
def command(
    db: Database,
    atlas: str,
    structure: TypedWord | None,
    values: str | None,
    where: tuple[str, ...],
    output: str,
    dpi: float,
    **wanted: Any,  # noqa: ANN401 (the options that are handed on)
) -> None:
    """Draw the hierarchy of ATLAS, or of one STRUCTURE, with each part as large as its volume.

    \b
    atlasdb plot tree allen_mouse_25um --width 183 -o tree.pdf
    atlasdb plot tree allen_mouse_25um TH --icicle -o thalamus.png
    """  # noqa: D301 (click's mark for a block that is not rewrapped)
    from atlasdb.plots import plot_tree

    checked_form(output)
    voxels = db.voxels(atlas)
    named = [] if structure is None else db.structure_ids(str(voxels.name), [structure])
    picture = plot_tree(
        voxels,
        values,
        structure=named[0] if named else None,
        where=conditions(where),
        **wanted,
    )
    write_picture(picture, output, dpi)
