"""``atlasdb demo``: a tour on the built-in phantom, each command printed before it runs."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import click

from atlasdb.cli.options import home_option
from atlasdb.queries import load

if TYPE_CHECKING:
    from atlasdb.api import Database

ATLAS = "phantom_mouse_100um"


def _tour() -> list[tuple[str, list[str]]]:
    """Return the stations: why, and the words of the command."""
    return [
        ("An atlas made of boxes and ellipsoids is built in. Ingest it:", ["ingest", ATLAS]),
        ("What is in the database?", ["list"]),
        ("All that is known of one atlas:", ["info", ATLAS]),
        ("Its hierarchy, down to a depth:", ["tree", ATLAS, "--depth", "3"]),
        ("Where is the primary visual cortex?", ["structures", ATLAS, "--search", "primry visual"]),
        ("What contains it?", ["ancestors", ATLAS, "VISp"]),
        (
            "Named queries answer what is often asked (`atlasdb query` lists them):",
            ["query", "children", "-p", f"atlas={ATLAS}", "-p", "structure=VIS"],
        ),
        ("Every atlas has a schema of its own for SQL:", ["sql", _query("leaves")]),
        ("SQL knows what is at a coordinate, in microns:", ["sql", _query("point")]),
        ("Left against right, as CSV:", ["sql", _query("sides"), "--format", "csv"]),
        ("Is what the database says still what its files say?", ["check", ATLAS]),
    ]


def _query(name: str) -> str:
    """Return a query of the tour in one line."""
    return " ".join(load("tour", name).rstrip(";").split())


@click.command(name="demo")
@home_option
@click.pass_context
def command(ctx: click.Context, db: Database) -> None:
    """Ingest the built-in phantom and show what can be asked of an atlas."""
    from atlasdb.cli import run  # the group imports this module

    named = (
        ctx.find_root().params.get("home") is not None
        or ctx.get_parameter_source("db") is not click.core.ParameterSource.DEFAULT
    )
    where = f"--home {shlex.quote(str(db.home.folder))} " if named else ""
    for why, words in _tour():
        shown = " ".join(f'"{word}"' if " " in word else word for word in words)
        click.echo(f"\n# {why}\n$ atlasdb {where}{shown}")
        status = run(["--home", str(db.home.folder), *words])
        if status:
            ctx.exit(status)
    click.echo(
        f"\nThe database is {db.home.database}: any DuckDB client can open it.\n"
        "Next: atlasdb ingest allen_mouse_100um; atlasdb --help"
    )
