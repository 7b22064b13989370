"""Legends: what colours mean, as a bar or as a list.

The one idea: a legend knows how much room it needs before anything is drawn.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from atlasdb.plots.naming import POINT_MM
from atlasdb.plots.page import fitted
from atlasdb.plots.style import HATCH, HATCH_PT, literal, text_extent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from atlasdb.plots.page import Page
    from atlasdb.plots.style import Theme

LINE_MM = 3.4
"""From one entry to the next."""

SWATCH_MM = (2.4, 3.0)
"""The height and the width of an entry's patch."""

_TEXT_MM, _MARGIN_MM = 4.0, 1.5
_BAR_MM, _BAR_ROOM_MM, _SHORTEST_MM, _LONGEST_MM, _GAP_MM = 2.6, 17.0, 12.0, 60.0, 3.0


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

    def width(self, theme: Theme) -> float:
        """Return the room that it takes, mm."""
        return _TEXT_MM + text_extent(self.text)[0] * theme.text_pt * POINT_MM + 1

    def draw(self, page: Page, down: float, along: float, width: float, theme: Theme) -> None:
        """Draw it with its upper left corner in a place, in some room, mm."""
        high, wide = SWATCH_MM
        axes = page.axes(down, along, high, wide)
        axes.set_axis_off()
        axes.set(xlim=(0, wide), ylim=(0, high))
        if self.marker is None:
            from matplotlib.patches import Rectangle

            patch = Rectangle((0, 0), wide, high, facecolor=self.colour, clip_on=False)
            patch.set(edgecolor=theme.faint, linewidth=0.3)
            if self.is_hatched:
                patch.set(hatch=HATCH, hatch_linewidth=HATCH_PT)
            axes.add_patch(patch)
        else:
            (point,) = axes.plot([wide / 2], [high / 2], marker=self.marker, markersize=4)
            point.set(markeredgecolor=self.colour, markeredgewidth=0.6)
            point.set_markerfacecolor("none" if self.is_hollow else self.colour)
        room = width - _TEXT_MM
        page.fitted(down + 2.0, along + _TEXT_MM, self.text, theme.text_pt, theme.ink, room)


@dataclass(frozen=True)
class Legend:
    """What the colours of a picture mean.

    Attributes
    ----------
    mappable
        What a colour bar is drawn of; None for none.
    label
        What the bar shows, with its unit.
    extend
        Which of its ends stand for values beyond it: matplotlib's 'neither', 'min', 'max', 'both'.
    entries
        What else there is.
    """

    mappable: Any = None
    label: str = ""
    extend: str = "neither"
    entries: Sequence[Entry] = ()

    def width(self, theme: Theme) -> float:
        """Return the room that it would take along, mm; 0 if there is nothing to be told."""
        bar = _BAR_ROOM_MM if self.mappable is not None else 0.0
        widest = max([bar, *(entry.width(theme) for entry in self.entries)])
        return widest + _MARGIN_MM if widest else 0.0

    @property
    def least_height(self) -> float:
        """The room that it needs down the page, mm."""
        bar = _SHORTEST_MM + _GAP_MM if self.mappable is not None else 0.0
        return bar + len(self.entries) * LINE_MM

    def draw(
        self, page: Page, down: float, along: float, room: tuple[float, float], theme: Theme
    ) -> None:
        """Draw it with its upper left corner in a place, in some room (down, along), mm."""
        if self.mappable is not None:
            free = room[0] - len(self.entries) * LINE_MM - _GAP_MM
            high = max(min(free, _LONGEST_MM), _SHORTEST_MM)
            self._draw_bar(page, down, along, high, theme)
            down += high + _GAP_MM
        for entry in self.entries:
            entry.draw(page, down, along, room[1] - _MARGIN_MM, theme)
            down += LINE_MM

    def _draw_bar(self, page: Page, down: float, along: float, high: float, theme: Theme) -> None:
        axes = page.axes(down, along, high, _BAR_MM)
        bar = page.figure.colorbar(self.mappable, cax=axes, extend=self.extend, extendfrac=0.04)
        axes.set_gid("colour-bar")
        bar.outline.set(edgecolor=theme.ink, linewidth=0.4)
        axes.tick_params(colors=theme.ink, labelsize=theme.small_pt, width=0.4, length=2)
        axes.yaxis.get_offset_text().set(color=theme.ink, fontsize=theme.small_pt)
        text, size_pt = fitted(self.label, theme.text_pt, high)
        bar.set_label(literal(text), color=theme.ink, fontsize=size_pt)
