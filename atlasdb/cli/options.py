"""Options that several commands share, each defined once."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from atlasdb.api import Database

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

FORMATS = ("table", "csv", "json", "parquet")


def _database(ctx: click.Context, _parameter: click.Parameter, value: str | None) -> Database:
    """Turn ``--home``, given to the command or before it, into the database."""
    from atlasdb.api import connect  # duckdb and numpy, when a command runs

    return connect(value or ctx.find_root().obj)


home_option: Decorator = click.option(
    "--home",
    "db",
    metavar="FOLDER",
    callback=_database,
    help="The database's folder. [default: $ATLASDB_HOME, else your user data folder]",
)

format_option: Decorator = click.option(
    "--format",
    "form",
    type=click.Choice(FORMATS),
    help="How to print. [default: by the ending of -o, else table]",
)

output_option: Decorator = click.option(
    "-o", "--output", metavar="FILE", help="Write to FILE instead of the terminal."
)

quiet_option: Decorator = click.option("-q", "--quiet", is_flag=True, help="Show no progress.")

atlas_argument: Decorator = click.argument("atlas", metavar="ATLAS")
