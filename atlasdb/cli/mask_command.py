"""``atlasdb mask``: where structures are, as an image file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from atlasdb.cli.options import (
    atlas_argument,
    hemisphere_option,
    home_option,
    image_option,
    orientation_option,
    structures_argument,
)
from atlasdb.cli.telling import say

if TYPE_CHECKING:
    from pathlib import Path

    from atlasdb.api import Database
    from atlasdb.database import TypedWord
    from atlasdb.voxels.masks import Hemisphere


@click.command("mask")
@atlas_argument
@structures_argument
@image_option
@hemisphere_option
@click.option("--direct", is_flag=True, help="Their own labels only, not their descendants'.")
@click.option("--ids", is_flag=True, help="Write the structures' ids and not 1.")
@orientation_option
@home_option
def command(
    atlas: str,
    structures: tuple[TypedWord, ...],
    output: Path,
    hemisphere: Hemisphere | None,
    direct: bool,
    ids: bool,
    orientation: str,
    db: Database,
) -> None:
    """Write where structures are as an image file: 1 in them, 0 elsewhere.

    A structure is where its label is, or a descendant's; several are written as one mask.
    """
    from atlasdb.cli.output import saying_why

    voxels = db.voxels(atlas)
    named = db.structure_ids(str(voxels.name), structures)
    with saying_why(output):
        count = voxels.write_mask(
            output,
            named,
            direct_only=direct,
            hemisphere=hemisphere,
            with_ids=ids,
            orientation=orientation,
        )
    ap, si, rl = voxels.grid.resolution_um
    words = ", ".join(word.text for word in structures)
    side = f", {hemisphere}" if hemisphere else ""
    volume = f"{count * ap * si * rl / 1e9:.10g} mm³"
    say(f"wrote {output}: {words}{side} of {voxels.name}, {count:,} voxels, {volume}")
