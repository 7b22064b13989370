"""``atlasdb cells remove``: take a table of cells out of the home."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from atlasdb.cli.completion import cell_tables
from atlasdb.cli.options import home_option
from atlasdb.cli.telling import say

if TYPE_CHECKING:
    from atlasdb.api import Database


@click.command(name="remove")
@click.argument("name", metavar="NAME", shell_complete=cell_tables)
@home_option
def command(db: Database, name: str) -> None:
    """Remove the table NAME; the file that it was read from stays."""
    say(f"removed cells.{db.remove_cells(name)}")
