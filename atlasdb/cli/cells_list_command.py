"""``atlasdb cells list``: the tables of cells in the home."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from atlasdb.cli.options import format_option, home_option, output_option
from atlasdb.cli.output import write_table

if TYPE_CHECKING:
    from atlasdb.api import Database


@click.command(name="list", short_help="List the tables that are kept.")
@format_option
@output_option
@home_option
def command(db: Database, form: str | None, output: str | None) -> None:
    """List the tables of cells, with the atlas of each and the number of cells by status."""
    write_table(db.cell_tables(), form, output)
