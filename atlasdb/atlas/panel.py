"""An atlas's metadata as a panel for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.panel import Panel

_COLOUR = "#f59e42"


def metadata_panel(title: str, facts: Mapping[str, object]) -> Panel:
    """Return facts as a table in a panel.

    Parameters
    ----------
    title
        What they are about.
    facts
        Names and values; None leaves a line free.
    """
    from rich.panel import Panel
    from rich.table import Table
    from rich.text import Text

    table = Table(
        box=None, show_header=False, title=Text(_printable(title)), title_style=f"bold {_COLOUR}"
    )
    table.add_column(style="bold", justify="right", min_width=8)
    table.add_column(min_width=20, max_width=60, overflow="fold")
    for name, value in facts.items():
        if value is None:
            table.add_row("")
        else:
            table.add_row(Text(f"{name}:"), Text(_printable(str(value))))
    return Panel.fit(table, border_style=_COLOUR)


def _printable(text: str) -> str:
    """Return a text without characters that would steer a terminal."""
    return "".join(c if c.isprintable() else " " for c in text)
