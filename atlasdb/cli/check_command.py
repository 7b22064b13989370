"""``atlasdb check``: verify an atlas's files and rows against each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from atlasdb.cli.options import atlas_argument, home_option
from atlasdb.cli.telling import say

if TYPE_CHECKING:
    from atlasdb.api import Database


@click.command(name="check")
@atlas_argument
@home_option
@click.pass_context
def command(ctx: click.Context, db: Database, atlas: str) -> None:
    """Verify an atlas: files by size and digest, tables by deriving them again.

    ATLAS is NAME (the highest version in the database) or NAME@VERSION. The exit status is 1 if
    anything is wrong.
    """
    results = db.check(atlas)
    for result in results:
        say(
            f"ok       {result.subject}"
            if result.ok
            else f"PROBLEM  {result.subject}: {result.problem}"
        )
    problems = sum(not result.ok for result in results)
    if problems:
        of_cells = all(result.ok or result.subject.startswith("cells.") for result in results)
        advice = (
            "; `atlasdb ingest ATLAS --force` makes the atlas anew from its source"
            if not of_cells
            else ": the atlas itself is as it was"
        )
        say(f"error: {problems} of {len(results)} checks failed{advice}", err=True)
        ctx.exit(1)
    say(f"{atlas}: {len(results)} checks passed")
