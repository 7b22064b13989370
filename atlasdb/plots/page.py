"""Pages: places in millimetres from the upper left corner, and what every picture has on them.

The one idea: letters and lines have sizes on paper, and so everything else has one too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypedDict

from atlasdb.errors import PictureError, listing
from atlasdb.plots.naming import POINT_MM
from atlasdb.plots.style import LIGHT, MM, text_extent, theme_of
from atlasdb.plots.views import HATCH, HATCH_PT, literal

if TYPE_CHECKING:
    from collections.abc import Iterable

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from atlasdb.plots.style import Theme

COLUMN_MM, PAGE_MM, TALLEST_MM = 89.0, 183.0, 240.0
"""The widths of one column and of two in most journals, and the height of a page."""

LINE_MM = 3.4
"""From one line of a legend to the next."""

_WIDTHS_MM = (30.0, 1000.0)


@dataclass(frozen=True)
class PageLook:
    """How any picture looks.

    Attributes
    ----------
    theme
        Colours and sizes.
    width_mm
        The picture's width; its height follows, to 240 mm at most.
    title
        Its heading; by default what is seen.
    has_names
        Whether there are acronyms.
    """

    theme: Theme = LIGHT
    width_mm: float = 120.0
    title: str | None = None
    has_names: bool = True

    def __post_init__(self) -> None:
        low, high = _WIDTHS_MM
        if not low <= self.width_mm <= high:
            raise PictureError(
                f"a picture is {low:g} to {high:g} mm wide, not {self.width_mm:g}: a column of a "
                f"journal is {COLUMN_MM:g}, a page {PAGE_MM:g}"
            )


class PageWords(TypedDict, total=False):
    """The keywords by which functions take a `PageLook`."""

    dark: bool
    width_mm: float
    title: str | None
    names: bool


def page_look(words: PageWords) -> PageLook:
    """Return the look that keywords describe."""
    refuse_others(words, PageWords.__annotations__)
    return PageLook(
        theme=theme_of(dark=words.get("dark", False)),
        width_mm=words.get("width_mm", PageLook.width_mm),
        title=words.get("title"),
        has_names=words.get("names", True),
    )


def refuse_others(words: Iterable[str], known: Iterable[str]) -> None:
    """Refuse keywords that are none of those known."""
    unknown = set(words) - set(known)
    if unknown:
        raise TypeError(
            f"no keyword {listing(sorted(unknown))}: there are {listing(known, limit=20)}"
        )


@dataclass(frozen=True)
class Entry:
    """An entry of a legend.

    Attributes
    ----------
    text
        What it means.
    colour
        Its colour.
    marker
        A marker of matplotlib's; None for a patch.
    is_hatched, is_hollow
        How the patch or the marker is filled.
    """

    text: str
    colour: str
    marker: str | None = None
    is_hatched: bool = False
    is_hollow: bool = False


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
        """Write a text as large as asked, or as large as fits."""
        needed = text_extent(text)[0] * size_pt * POINT_MM
        self.text(down, along, text, size_pt * min(1.0, room / max(needed, 1e-9)), colour, align)

    def entry(self, down: float, along: float, width: float, entry: Entry, theme: Theme) -> None:
        """Draw an entry of a legend."""
        axes = self.axes(down, along, 2.4, 3.0)
        axes.set_axis_off()
        axes.set(xlim=(0, 3), ylim=(0, 2.4))
        if entry.marker is None:
            from matplotlib.patches import Rectangle

            axes.add_patch(
                Rectangle(
                    (0, 0),
                    3,
                    2.4,
                    facecolor=entry.colour,
                    edgecolor=theme.faint,
                    linewidth=0.3,
                    hatch=HATCH if entry.is_hatched else None,
                    hatch_linewidth=HATCH_PT,
                    clip_on=False,
                )
            )
        else:
            axes.plot(
                [1.5],
                [1.2],
                marker=entry.marker,
                markersize=4,
                markerfacecolor="none" if entry.is_hollow else entry.colour,
                markeredgecolor=entry.colour,
                markeredgewidth=0.6,
            )
        self.fitted(down + 2.0, along + 4.0, entry.text, theme.text_pt, theme.ink, width - 4.0)
