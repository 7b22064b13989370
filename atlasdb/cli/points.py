"""Tables of points on the command line: opened as the options say, and told about."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from atlasdb.cli.telling import say

if TYPE_CHECKING:
    from atlasdb.cells.reading import Points
    from atlasdb.sources.base import Progress

Columns = tuple[str, str, str]


def opened_points(
    files: tuple[str, ...],
    columns: Columns | None,
    unit: str | None,
    orientation: str | None,
    space: Literal["atlas"] | None,
) -> Points:
    """Open a table of points as a command's options describe it."""
    from atlasdb.cells.columns import Stated
    from atlasdb.cells.reading import open_points

    stdin = None if sys.stdin is None else sys.stdin.buffer
    return open_points(files, Stated(columns, unit, orientation, space), stdin=stdin)


def refuse_input(output: str | None, points: Points) -> None:
    """Refuse to write over a table that is being read."""
    if output is not None and str(Path(output).resolve()) in {path for path, *_ in points.files}:
        raise click.UsageError(f"-o {output} is the table that is read: write elsewhere")


def tell(tally: Any, atlas: object, points: Points, *, quiet: bool) -> None:  # noqa: ANN401
    """Say how many points there were, of which status, and how they were understood."""
    if not quiet:
        say(f"{tally} ({atlas}; {points.coordinates})", err=True)


def shown(*, quiet: bool) -> AbstractContextManager[Progress | None]:
    """Show progress on stderr, unless it is a table's own place or none is wanted."""
    from atlasdb.progress import progress_shown

    is_for_people = sys.stderr is not None and sys.stderr.isatty()
    return progress_shown() if is_for_people and not quiet else nullcontext()
