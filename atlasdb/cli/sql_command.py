"""``atlasdb sql``: ask the database anything."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from atlasdb.cli.options import format_option, home_option, output_option
from atlasdb.cli.output import write_table
from atlasdb.errors import QueryError

if TYPE_CHECKING:
    from atlasdb.api import Database


def _stdin() -> str:
    """Return what stdin holds."""
    try:
        return sys.stdin.buffer.read().decode()
    except UnicodeDecodeError as error:
        raise QueryError(f"stdin is no UTF-8 text: {error}") from error


@click.command(name="sql")
@click.argument("query", metavar="QUERY")
@format_option
@output_option
@home_option
def command(db: Database, query: str, form: str | None, output: str | None) -> None:
    """Run SQL on the database, which is opened read-only. QUERY may be - for stdin.

    \b
    atlasdb sql "SELECT acronym, volume_mm3 FROM allen_mouse_100um.region ORDER BY 2 DESC LIMIT 5"
    """  # noqa: D301 (click's mark for a block that is not rewrapped)
    write_table(db.sql(_stdin() if query == "-" else query), form, output)
