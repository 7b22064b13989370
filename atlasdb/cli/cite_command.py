"""``atlasdb cite``: how atlases are cited."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from atlasdb.cli.completion import atlases
from atlasdb.cli.options import home_option, output_option
from atlasdb.cli.output import write_text

if TYPE_CHECKING:
    from atlasdb.api import Database
    from atlasdb.citations import CitationForm


@click.command("cite")
@click.argument("atlases", metavar="ATLAS…", nargs=-1, required=True, shell_complete=atlases)
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "bibtex"]),
    help="How to print. [default: bibtex for -o FILE.bib, else text]",
)
@output_option
@home_option
def command(
    atlases: tuple[str, ...], form: CitationForm | None, output: str | None, db: Database
) -> None:
    """Show how to cite atlases: them, their publications, and who packaged them."""
    if form is None:
        form = "bibtex" if Path(output or "").suffix.lower() == ".bib" else "text"
    write_text(db.cite(*atlases, form=form) + "\n", output)
