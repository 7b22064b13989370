"""Pages: places in millimetres from the upper left corner, and what every picture has on them.

The one idea: letters and lines have sizes on paper, and so everything else has one too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from atlasdb.plots.naming import POINT_MM
from atlasdb.plots.style import MM, SMALLEST_PT, literal, text_extent

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from atlasdb.plots.style import Theme

_NEARLY = 1e-9


@dataclass(frozen=True)
class Page:
    """A figure whose places are millimetres from its upper left corner, down and along.

    Attributes
    ----------
    figure
        The figure.
    width, height
        Its size, mm.
    """

    figure: Figure
    width: float
    height: float

    @classmethod
    def new(cls, width: float, height: float, theme: Theme) -> Page:
        """Return an empty page."""
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        figure = Figure(figsize=(width * MM, height * MM), dpi=150, facecolor=theme.page)
        FigureCanvasAgg(figure)
        return cls(figure, width, height)

    def heading(self, title: str, below: str, edge: float, theme: Theme) -> None:
        """Write what is seen, and below it what it is of."""
        room = self.width - 2 * edge
        self.fitted(3.6, edge, title, theme.title_pt, theme.ink, room)
        self.fitted(6.6, edge, below, theme.small_pt, theme.faint, room)

    def axes(self, down: float, along: float, high: float, wide: float) -> Axes:
        """Return axes in a place."""
        bottom = 1 - (down + high) / self.height
        axes: Axes = self.figure.add_axes(
            (along / self.width, bottom, wide / self.width, high / self.height)
        )
        return axes

    def text(
        self, down: float, along: float, text: str, size_pt: float, colour: str, align: str
    ) -> None:
        """Write a text whose baseline lies in a place."""
        self.figure.text(
            along / self.width,
            1 - down / self.height,
            literal(text),
            fontsize=size_pt,
            color=colour,
            ha=align,
            va="baseline",
        )

    def fitted(
        self,
        down: float,
        along: float,
        text: str,
        size_pt: float,
        colour: str,
        room: float,
        align: str = "left",
    ) -> None:
        """Write a text as large as asked, or as fits; cut short if 5 points are too many."""
        shown, size_pt = fitted(text, size_pt, room)
        self.text(down, along, shown, size_pt, colour, align)


def fitted(text: str, size_pt: float, room: float) -> tuple[str, float]:
    """Return a text and the size in which it fits into some room, mm: 5 points at least."""
    needed = text_extent(text)[0] * size_pt * POINT_MM
    size_pt = max(SMALLEST_PT, size_pt * min(1.0, room / max(needed, 1e-9)))
    return shortened(text, room / (size_pt * POINT_MM)), size_pt


def shortened(text: str, room: float) -> str:
    """Return a text that fits into some room, in units of the font's size, or what fits of it.

    Examples
    --------
    >>> shortened("left: control", 20.0), shortened("left: control", 4.0)
    ('left: control', 'left: c…')
    """
    if text_extent(text)[0] <= room * (1 + _NEARLY):
        return text
    return next(
        (
            text[:end] + "…"
            for end in range(len(text) - 1, 0, -1)
            if text_extent(text[:end] + "…")[0] <= room
        ),
        "…",
    )
