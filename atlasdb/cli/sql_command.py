"""``atlasdb sql``: ask the database anything."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from atlasdb.cli.options import checked_text, format_option, home_option, output_option
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
@click.option(
    "--untrusted",
    is_flag=True,
    help="For SQL that a stranger wrote (a web form, a language model): one SELECT on the home's "
    "tables and registered cells. No other file, address, extension or setting; stopped after "
    "--timeout, 1 GiB of DuckDB's memory or 256 MiB of rows.",
)
@click.option(
    "--timeout",
    type=float,
    metavar="SECONDS",
    help="When an --untrusted query is stopped. [default: 30]",
)
@format_option
@output_option
@home_option
def command(
    db: Database,
    query: str,
    untrusted: bool,
    timeout: float | None,
    form: str | None,
    output: str | None,
) -> None:
    """Run SQL that reads. QUERY may be - for stdin.

    \b
    atlasdb sql "SELECT acronym, volume_mm3 FROM allen_mouse_100um.region ORDER BY 2 DESC LIMIT 5"

    Nothing is written, but for -o: COPY … TO, ATTACH, INSTALL and the like are refused. SQL reads
    every file that you can; for a stranger's, add --untrusted.
    """  # noqa: D301 (click's mark for a block that is not rewrapped)
    from atlasdb.statements import TIMEOUT_S  # duckdb, when the command runs

    if timeout is not None and not untrusted:
        raise click.UsageError("--timeout is for --untrusted")
    text = _stdin() if query == "-" else checked_text(query)
    limit = TIMEOUT_S if timeout is None else timeout
    write_table(db.sql(text, untrusted=untrusted, timeout_s=limit), form, output)
