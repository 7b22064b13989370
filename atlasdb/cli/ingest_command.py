"""``atlasdb ingest``: put an atlas into the database."""

from __future__ import annotations

import time
from contextlib import nullcontext
from typing import TYPE_CHECKING

import click

from atlasdb.cli.completion import sources
from atlasdb.cli.options import home_option, quiet_option, source_option
from atlasdb.cli.telling import say

if TYPE_CHECKING:
    from atlasdb.api import Database
    from atlasdb.ingest import IngestReport


@click.command(name="ingest")
@click.argument("atlas", metavar="ATLAS", shell_complete=sources)
@source_option
@click.option("--sha256", metavar="HEX", help="The archive's SHA-256, which it must have.")
@click.option("--no-meshes", is_flag=True, help="Leave the meshes out.")
@click.option("--no-reference", is_flag=True, help="Leave the reference volumes out.")
@click.option("--force", is_flag=True, help="Replace the same version if it is there.")
@click.option("--strict", is_flag=True, help="Refuse an atlas that has warnings.")
@quiet_option
@home_option
def command(
    db: Database,
    atlas: str,
    source: str | None,
    sha256: str | None,
    *,
    no_meshes: bool,
    no_reference: bool,
    force: bool,
    strict: bool,
    quiet: bool,
) -> None:
    """Put an atlas into the database.

    ATLAS is a name (allen_mouse_100um, or allen_mouse_100um@1.2), the folder or .tar.gz file of a
    BrainGlobe package, the manifest.json of a component-wise atlas, or the address of one.
    phantom_mouse_100um is built in.

    An interrupted download goes on from where it was when the same command is given again.
    """
    from atlasdb.progress import progress_shown

    begin = time.monotonic()
    with nullcontext() if quiet else progress_shown() as progress:
        report = db.ingest(
            atlas,
            source=source,
            sha256=sha256,
            meshes=not no_meshes,
            reference=not no_reference,
            force=force,
            strict=strict,
            progress=progress,
        )
    if report.status == "present":
        without = f", without {' and '.join(report.left_out)}" if report.left_out else ""
        say(f"{report.atlas} is already there{without} (--force replaces it)")
        return
    say(
        f"{report.status} {report.atlas} from {report.origin}: {report.structures:,} structures, "
        f"{report.meshes:,} meshes, {time.monotonic() - begin:.1f} s"
    )
    _show_findings(report)
    for table in report.outdated:
        say(
            f"cells.{table} was annotated with the atlas as it was before: "
            f"`atlasdb cells refresh {table}` annotates it again",
            err=True,
        )


def _show_findings(report: IngestReport) -> None:
    """Print the findings by kind, each with its first example."""
    by_code: dict[str, list[str]] = {}
    severity = {}
    for finding in report.findings:
        by_code.setdefault(finding.code, []).append(finding.detail)
        severity[finding.code] = finding.severity
    for code, details in by_code.items():
        more = f" … {len(details):,} in all" if len(details) > 1 else ""
        say(f"  {severity[code]} {code}: {details[0]}{more}")
    if by_code:
        say(f"  all of them: atlasdb sql 'FROM \"{report.atlas}\".finding'")
