"""``atlasdb cells add``: keep a table of cells in the home, to be asked in SQL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import click

from atlasdb.cli.options import home_option, point_options, quiet_option
from atlasdb.cli.points import Columns, opened_points, shown, tell
from atlasdb.cli.telling import say

if TYPE_CHECKING:
    from atlasdb.api import Database


@click.command(name="add", short_help="Keep annotated cells as the view cells.NAME.")
@click.argument("name", metavar="NAME")
@point_options
@click.option(
    "--at-depth",
    "depths",
    type=int,
    multiple=True,
    metavar="N",
    help="Add the structure at that many steps from the root. Repeat it for several.",
)
@click.option("--path", is_flag=True, help="Add the acronyms from the root to the structure.")
@click.option("--force", is_flag=True, help="Replace the table of this name.")
@quiet_option
@home_option
def command(
    db: Database,
    name: str,
    files: tuple[str, ...],
    atlas: str,
    columns: Columns | None,
    unit: str | None,
    orientation: str | None,
    space: Literal["atlas"] | None,
    depths: tuple[int, ...],
    *,
    path: bool,
    force: bool,
    quiet: bool,
) -> None:
    """Annotate the cells of FILE into the home, as the view cells.NAME.

    It has all columns of FILE, ap_um, si_um and rl_um along the atlas's axes, structure_id,
    acronym, hemisphere and status, and atlas_id: the version of the atlas that it stays with.

    \b
    atlasdb cells add pilot cells.csv --atlas allen_mouse_100um
    atlasdb sql "SELECT acronym, count(*) FROM cells.pilot GROUP BY ALL ORDER BY 2 DESC"
    """  # noqa: D301 (click's mark for a block that is not rewrapped)
    from atlasdb.cells.annotating import Wanted
    from atlasdb.cells.registering import add_cells

    points = opened_points(files, columns, unit, orientation, space)
    wanted = Wanted(depths=tuple(dict.fromkeys(depths)), path=path)
    with shown(quiet=quiet) as progress:
        report = add_cells(
            db.home, name, points, atlas, wanted=wanted, force=force, progress=progress
        )
    say(f"{report.status} cells.{report.name}: {report.tally.total:,} cells in {report.atlas}")
    tell(report.tally, report.atlas, points, quiet=quiet)
