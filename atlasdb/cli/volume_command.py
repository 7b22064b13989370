"""``atlasdb volume``: a volume of an atlas, or its annotation cut at a depth, as an image file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from atlasdb.cli.completion import kinds
from atlasdb.cli.options import (
    atlas_argument,
    depth_option,
    home_option,
    image_option,
    orientation_option,
)
from atlasdb.cli.telling import say

if TYPE_CHECKING:
    from pathlib import Path

    from atlasdb.api import Database


@click.command("volume")
@atlas_argument
@click.argument("kind", metavar="KIND", shell_complete=kinds)
@image_option
@depth_option
@orientation_option
@home_option
def command(
    atlas: str, kind: str, output: Path, depth: int | None, orientation: str, db: Database
) -> None:
    """Write a volume as an image file for other programs.

    KIND is annotation, reference, hemispheres, ranks, or an additional reference's name. With
    --depth, the annotation holds the ids of the structures at that depth.
    """
    from atlasdb.cli.output import saying_why

    voxels = db.voxels(atlas)
    with saying_why(output):
        voxels.write_volume(output, kind, depth=depth, orientation=orientation)
    what = kind if depth is None else f"{kind} cut at depth {depth}"
    say(f"wrote {output}: {what} of {voxels.name}, {voxels.grid_in(orientation)}")
