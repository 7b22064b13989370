"""``atlasdb db``: the schema of the database."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from atlasdb.cli.options import home_option
from atlasdb.cli.telling import say

if TYPE_CHECKING:
    from atlasdb.api import Database


@click.group(name="db")
def command() -> None:
    """Show or upgrade the schema of the database."""


@command.command()
@home_option
def current(db: Database) -> None:
    """Print the schema's revision, and whether this atlasdb works with it."""
    found, needed = db.schema_revisions()
    if found == needed:
        say(f"{found} (current)")
    else:
        say(f"{found or 'none'} (this atlasdb works with {needed})")


@command.command()
@home_option
def upgrade(db: Database) -> None:
    """Bring an older database to this atlasdb's schema; nothing is lost."""
    before, after = db.upgrade()
    if before == after:
        say(f"the schema is current: {after}")
    else:
        say(f"upgraded from {before or 'none'} to {after}")


@command.command()
@home_option
def relocate(db: Database) -> None:
    """Let the tables of cells be found in a home that was moved, by any client of DuckDB."""
    moved = db.relocate()
    folder = db.home.folder.resolve()
    say(f"tables of cells are read from {folder}{'' if moved else ', as before'}")
