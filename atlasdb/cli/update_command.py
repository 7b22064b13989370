"""``atlasdb update``: later versions of the atlases in the database."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING

import click

from atlasdb.cli.completion import atlases
from atlasdb.cli.options import home_option, quiet_option, source_option
from atlasdb.cli.telling import say

if TYPE_CHECKING:
    from atlasdb.api import Database
    from atlasdb.updating import UpdateReport


@click.command(name="update")
@click.argument("atlas", metavar="[ATLAS]", required=False, shell_complete=atlases)
@source_option
@click.option("--prune", is_flag=True, help="Then remove the older versions.")
@click.option("--strict", is_flag=True, help="Refuse an atlas that has warnings.")
@quiet_option
@home_option
@click.pass_context
def command(
    ctx: click.Context,
    db: Database,
    atlas: str | None,
    source: str | None,
    *,
    prune: bool,
    strict: bool,
    quiet: bool,
) -> None:
    """Fetch the latest version of ATLAS, or of every atlas, beside the one that is there.

    An atlas that came as an archive is updated from archives, one of components from components.
    """
    from atlasdb.progress import progress_shown

    with nullcontext() if quiet else progress_shown() as progress:
        reports = db.update(atlas, source=source, prune=prune, strict=strict, progress=progress)
    for report in reports:
        say(_told(report), err=report.status == "failed")
        for old in report.removed:
            say(f"removed {old}")
        for reason in report.kept:
            say(reason, err=True)
    if not reports:
        say("nothing here comes from a source")
    if any(report.status == "failed" for report in reports):
        ctx.exit(1)


def _told(report: UpdateReport) -> str:
    """Say what became of one atlas."""
    if report.status == "updated":
        return f"ingested {report.latest} from {report.detail}, beside {report.atlas}"
    if report.status == "current":
        return f"{report.atlas} is the latest version ({report.detail})"
    if report.status == "failed":
        return f"error: {report.atlas}: {report.detail}"
    elsewhere = f"; {report.detail}" if report.detail else ""
    return f"{report.atlas} is offered by no place that was asked{elsewhere}"
