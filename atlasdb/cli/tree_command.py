"""``atlasdb tree``: the hierarchy, drawn."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from atlasdb.cli.options import (
    atlas_argument,
    depth_option,
    format_option,
    home_option,
    optional_structure_argument,
    output_option,
)
from atlasdb.cli.output import cell, write_table, write_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa
    from rich.text import Text

    from atlasdb.api import Database
    from atlasdb.database import TypedWord

_BRANCH, _LAST, _PASS, _NONE = "├── ", "└── ", "│   ", "    "
_DOT = "●"


class _Line(NamedTuple):
    """A line of the drawing: branches, a structure, and how many structures are hidden below."""

    branches: str
    row: dict[str, Any]
    hidden: int

    @property
    def acronym(self) -> str:
        """The acronym, as it can be printed."""
        return cell(self.row["acronym"])

    @property
    def name(self) -> str:
        """The name, as it can be printed."""
        return cell(self.row["name"])

    def plain(self) -> str:
        """Return the line as plain text."""
        more = f"  (+{self.hidden:,})" if self.hidden else ""
        return f"{self.branches}{self.acronym}  {self.name}{more}"

    def coloured(self) -> Text:
        """Return the line with a dot in the structure's own colour."""
        from rich.text import Text

        red, green, blue = (self.row[name] for name in ("red", "green", "blue"))
        return Text.assemble(
            (self.branches, "dim"),
            (_DOT, f"rgb({red},{green},{blue})"),
            f" {self.acronym}  ",
            (self.name, "dim"),
            (f"  (+{self.hidden:,})" if self.hidden else "", "italic"),
        )


@click.command(name="tree")
@atlas_argument
@optional_structure_argument
@depth_option
@format_option
@output_option
@home_option
def command(
    db: Database,
    atlas: str,
    structure: TypedWord | None,
    depth: int | None,
    form: str | None,
    output: str | None,
) -> None:
    """Draw the hierarchy of an atlas or of one structure, down to a depth.

    STRUCTURE is an acronym or an id. On a terminal, structures have a dot in their own colours; a
    number in parentheses says how many structures are hidden below --depth.
    """
    table = db.tree(atlas, structure, depth=depth)
    if form not in {None, "table"} or (form is None and not _is_drawn(output)):
        write_table(table, form, output)
        return
    lines = list(_lines(table))
    title = table.schema.metadata[b"atlas"].decode()
    if output in {None, "-"} and _can_colour():
        from rich.console import Console

        console = Console(highlight=False)
        console.print(title, style="bold")
        for line in lines:
            console.print(line.coloured(), no_wrap=True, overflow="ellipsis")
    else:
        write_text("\n".join([title, *(line.plain() for line in lines)]) + "\n", output)


def _can_colour() -> bool:
    """Whether stdout is a terminal that can show the drawing's characters."""
    stdout = sys.stdout
    return stdout is not None and stdout.isatty() and stdout.encoding.lower().startswith("utf")


def _is_drawn(output: str | None) -> bool:
    """Whether a file's name asks for a drawing and not for a table."""
    from atlasdb.cli.output import form_of

    return form_of(output) == "table"


def _lines(table: pa.Table) -> Iterator[_Line]:
    """Return the lines of the drawing of structures in depth-first order."""
    rows = table.to_pylist()
    shown = {row["rank"] for row in rows}
    top = rows[0]["depth"]
    last_sibling = _last_siblings(rows)
    branches: list[str] = []
    for row in rows:
        level = row["depth"] - top
        del branches[max(level - 1, 0) :]
        is_last = row["structure_id"] in last_sibling
        own = (_LAST if is_last else _BRANCH) if level else ""
        hidden = row["last_rank"] - row["rank"] if row["rank"] + 1 not in shown else 0
        yield _Line("".join(branches) + own, row, hidden)
        if level:
            branches.append(_NONE if is_last else _PASS)


def _last_siblings(rows: list[dict[str, Any]]) -> set[int]:
    """Return the ids of those structures after which their parent has no other child."""
    last = {row["parent_id"]: row["structure_id"] for row in rows}
    return set(last.values())
