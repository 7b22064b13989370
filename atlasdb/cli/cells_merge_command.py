"""``atlasdb cells merge``: partial counts added up."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from atlasdb.cli.completion import atlases
from atlasdb.cli.counts import Report, report_options
from atlasdb.cli.options import files_argument, home_option
from atlasdb.cli.telling import say

if TYPE_CHECKING:
    from atlasdb.api import Database


@click.command(name="merge", short_help="Add up counts of shards.")
@files_argument
@click.option(
    "--atlas",
    metavar="ATLAS",
    shell_complete=atlases,
    help="The atlas. [default: the one that they name]",
)
@report_options
@home_option
def command(
    db: Database,
    files: tuple[str, ...],
    atlas: str | None,
    **report: Any,  # noqa: ANN401 (report_options)
) -> None:
    """Add up what `atlasdb cells count --partial` wrote for each shard of a table.

    Every shard is counted once: FILEs that count the same input are refused, and so are counts in
    another atlas.

    \b
    atlasdb cells merge part-*.counts -o counts.csv
    """  # noqa: D301 (click's mark for a block that is not rewrapped)
    from atlasdb.cells.joining import table_of
    from atlasdb.cells.partial import load, merge

    wanted = Report(**report)
    partials = [load(Path(file)) for file in files]
    voxels = db.voxels(atlas or partials[0].atlas)
    selection = wanted.selection(db, str(voxels.name))
    counts = merge(partials, voxels)
    table = table_of(counts, voxels, selection=selection, volumes=wanted.volumes)
    wanted.write(table)
    if not wanted.quiet:
        parts = f"{len(files):,} partial count{'' if len(files) == 1 else 's'}"
        say(f"{table.tally} ({voxels.name}; {parts})", err=True)
