"""``atlasdb ancestors``: what contains a structure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from atlasdb.cli.options import (
    atlas_argument,
    depth_option,
    format_option,
    home_option,
    output_option,
    structure_argument,
)
from atlasdb.cli.output import write_table
from atlasdb.cli.rows import plain

if TYPE_CHECKING:
    from atlasdb.api import Database
    from atlasdb.database import TypedWord


@click.command(name="ancestors")
@atlas_argument
@structure_argument
@depth_option
@format_option
@output_option
@home_option
def command(
    db: Database,
    atlas: str,
    structure: TypedWord,
    depth: int | None,
    form: str | None,
    output: str | None,
) -> None:
    """Show the ancestors of a structure, root first; with --depth the one at that depth.

    STRUCTURE is an acronym or an id. A structure that ends above --depth is shown itself.
    """
    if depth is None:
        table = plain(db.ancestors(atlas, structure))
    else:
        table = db.query("ancestor_at_depth", atlas=atlas, structure=structure, depth=depth)
    write_table(table, form, output)
