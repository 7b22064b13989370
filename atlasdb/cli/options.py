"""Options that several commands share, each defined once."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from atlasdb.api import Database
    from atlasdb.database import TypedWord

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


def checked_text(value: str) -> str:
    """Return a word, and refuse one that is no UTF-8, which no database can look for."""
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise click.UsageError(f"{value!r} is no UTF-8 text") from error
    return value


def _structure(
    _ctx: click.Context, _parameter: click.Parameter, value: str | None
) -> TypedWord | None:
    """Mark a word as one that was typed: an acronym, or an id."""
    from atlasdb.database import TypedWord  # duckdb, when a command runs

    return None if value is None else TypedWord(checked_text(value))


structure_argument: Decorator = click.argument(
    "structure", metavar="STRUCTURE", callback=_structure
)

optional_structure_argument: Decorator = click.argument(
    "structure", metavar="[STRUCTURE]", required=False, callback=_structure
)

under_option: Decorator = click.option(
    "--under", metavar="STRUCTURE", callback=_structure, help="Within this structure only."
)

depth_option: Decorator = click.option(
    "--depth", type=int, metavar="N", help="Steps from the root, which has 0."
)

ragged_option: Decorator = click.option(
    "--ragged",
    type=click.Choice(["omit", "leaf"]),
    default="omit",
    show_default=True,
    help="Of branches that end above --depth, take their leaf or nothing.",
)
