"""``atlasdb info``: all that is known of one atlas."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from atlasdb.cli.glance import depth_of_parts, glance
from atlasdb.cli.options import atlas_argument, format_option, home_option, output_option
from atlasdb.cli.output import write_table
from atlasdb.cli.telling import say
from atlasdb.errors import printable

if TYPE_CHECKING:
    import pyarrow as pa

    from atlasdb.api import Database


_TIMES = " \N{MULTIPLICATION SIGN} "


@click.command(name="info")
@atlas_argument
@format_option
@output_option
@home_option
def command(db: Database, atlas: str, form: str | None, output: str | None) -> None:
    """Show an atlas at a glance: its levels, its volumes, its metadata and its findings.

    ATLAS is NAME (the highest version in the database) or NAME@VERSION.
    """
    row, findings = db.info(atlas)
    if form is not None or output is not None:
        write_table(row, form, output)
        return
    levels = db.query("levels", atlas=atlas).to_pylist()
    cut = db.query("cut", atlas=atlas, depth=depth_of_parts(levels)).to_pylist()
    say(glance(row.to_pylist()[0], levels, cut) + "\n")
    _show(row)
    if findings.num_rows:
        say(f"\nfindings (all: atlasdb sql 'FROM \"{_full_name(row)}\".finding')")
        write_table(findings, "table", None)


def _full_name(row: pa.Table) -> str:
    values = row.to_pylist()[0]
    return f"{values['name']}@{values['version']}"


def _show(row: pa.Table) -> None:
    """Print a row as lines of a name and a value."""
    values = row.to_pylist()[0]
    width = max(map(len, values))
    for name, value in values.items():
        shown = (
            _TIMES.join(f"{part:g}" for part in value)
            if name in {"resolution_um", "shape"}
            else value
        )
        if isinstance(shown, list):
            shown = ", ".join(map(str, shown))
        elif isinstance(shown, int) and not isinstance(shown, bool):
            shown = f"{shown:,}"
        say(f"{name:<{width}}  {'' if shown is None else printable(str(shown))}")
