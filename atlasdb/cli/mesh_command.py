"""``atlasdb mesh``: the meshes of structures, as a file for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from atlasdb.cli.completion import files
from atlasdb.cli.options import (
    atlas_argument,
    hemisphere_option,
    home_option,
    orientation_option,
    structures_argument,
)
from atlasdb.cli.telling import say

if TYPE_CHECKING:
    from atlasdb.api import Database
    from atlasdb.atlas.surfaces import Hemisphere
    from atlasdb.database import TypedWord


@click.command("mesh")
@atlas_argument
@structures_argument
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    shell_complete=files,
    required=True,
    type=click.Path(path_type=Path),
    help="The mesh: .obj, .ply, .stl or .vtk.",
)
@hemisphere_option
@orientation_option
@home_option
def command(
    atlas: str,
    structures: tuple[TypedWord, ...],
    output: Path,
    hemisphere: Hemisphere | None,
    orientation: str,
    db: Database,
) -> None:
    """Write the meshes of structures as one file, in microns along the atlas's axes.

    Several structures are objects of their own in .obj, and tell themselves apart by structure_id
    in .vtk. One hemisphere is cut at the midline, and open there.
    """
    from atlasdb.cli.output import cell, saying_why

    opened = db.atlas(atlas)
    named = db.structure_ids(str(opened.voxels.name), structures)
    with saying_why(output):
        vertices, triangles = opened.write_mesh(
            output, named, hemisphere=hemisphere, orientation=orientation
        )
    words = ", ".join(cell(word.text) for word in structures)
    side = f", {hemisphere}" if hemisphere else ""
    say(
        f"wrote {output}: {words}{side} of {opened.voxels.name}, {vertices:,} vertices, "
        f"{triangles:,} triangles"
    )
