"""``atlasdb list``: the atlases in the database, and those that can be had."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from atlasdb.cli.options import format_option, home_option, output_option, source_option
from atlasdb.cli.output import write_table
from atlasdb.cli.telling import say

if TYPE_CHECKING:
    from atlasdb.api import Database


@click.command(name="list")
@click.option("--remote", is_flag=True, help="Show what can be ingested, from where.")
@source_option
@format_option
@output_option
@home_option
def command(
    db: Database, source: str | None, form: str | None, output: str | None, *, remote: bool
) -> None:
    """Show the atlases in the database, a row for each version.

    With --remote, or --source: what servers and folders offer, a row for each atlas and place.
    Offline it is what they said the last time.
    """
    if not (remote or source):
        write_table(db.atlases(), form, output)
        return
    from atlasdb.catalogue import catalogue, offer_rows  # with requests

    known = catalogue(db.home, source)
    write_table(offer_rows(known), form, output)
    for note in known.listings.notes():
        say(f"note: {note}", err=True)
