"""``atlasdb structures``: the structures of an atlas, a level of it, or a search."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from atlasdb.cli.completion import atlases
from atlasdb.cli.options import (
    checked_text,
    depth_option,
    format_option,
    home_option,
    output_option,
    ragged_option,
    under_option,
)
from atlasdb.cli.output import write_table
from atlasdb.cli.rows import plain

if TYPE_CHECKING:
    from typing import Literal

    from atlasdb.api import Database
    from atlasdb.database import TypedWord


@click.command(name="structures")
@click.argument("atlas", metavar="ATLAS", required=False, shell_complete=atlases)
@click.option(
    "--search",
    metavar="TEXT",
    help="Acronyms, names and ids like TEXT, best first; without ATLAS, in all atlases.",
)
@depth_option
@ragged_option
@under_option
@format_option
@output_option
@home_option
def command(
    db: Database,
    atlas: str | None,
    search: str | None,
    depth: int | None,
    ragged: Literal["omit", "leaf"],
    under: TypedWord | None,
    form: str | None,
    output: str | None,
) -> None:
    """Show the structures of an atlas, depth-first, or find some of them.

    \b
    atlasdb structures allen_mouse_100um --search "primary visual"
    atlasdb structures allen_mouse_100um --under CTX --depth 6 --ragged leaf
    """  # noqa: D301 (click's mark for a block that is not rewrapped)
    if ragged != "omit" and depth is None:
        raise click.UsageError("--ragged goes with --depth")
    if search is not None:
        if depth is not None or under is not None:
            raise click.UsageError("--search goes with neither --depth nor --under")
        table = db.search(checked_text(search), atlas=atlas)
    elif atlas is None:
        raise click.UsageError("name an ATLAS, or --search TEXT in all of them")
    elif depth is not None:
        table = db.structures_at_depth(atlas, depth, under=under, ragged=ragged)
    else:
        table = db.subtree(atlas, under)
    write_table(plain(table), form, output)
