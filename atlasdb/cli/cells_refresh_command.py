"""``atlasdb cells refresh``: annotate a table again, after its atlas was replaced."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from atlasdb.cli.completion import cell_tables
from atlasdb.cli.options import home_option, quiet_option
from atlasdb.cli.points import shown
from atlasdb.cli.telling import say

if TYPE_CHECKING:
    from atlasdb.api import Database


@click.command(name="refresh")
@click.argument("name", metavar="NAME", shell_complete=cell_tables)
@quiet_option
@home_option
def command(db: Database, name: str, *, quiet: bool) -> None:
    """Annotate the table NAME again, with its atlas as it is now."""
    with shown(quiet=quiet) as progress:
        report = db.refresh_cells(name, progress=progress)
    say(f"cells.{report.name}: {report.tally} ({report.atlas})")
