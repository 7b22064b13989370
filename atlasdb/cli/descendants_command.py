"""``atlasdb descendants``: what a structure contains."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from atlasdb.cli.options import (
    atlas_argument,
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


@click.command(name="descendants")
@atlas_argument
@structure_argument
@click.option("--children", "only", flag_value="children", help="Its direct children only.")
@click.option("--leaves", "only", flag_value="leaves", help="Structures without children only.")
@click.option("--self", "only", flag_value="subtree", help="The structure itself as well.")
@format_option
@output_option
@home_option
def command(
    db: Database,
    atlas: str,
    structure: TypedWord,
    only: str | None,
    form: str | None,
    output: str | None,
) -> None:
    """Show the descendants of a structure, depth-first.

    STRUCTURE is an acronym or an id.
    """
    ask = {"children": db.children, "leaves": db.leaves, "subtree": db.subtree}
    write_table(plain(ask.get(only or "", db.descendants)(atlas, structure)), form, output)
