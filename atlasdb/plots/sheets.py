"""Sheets: one plane or many on a page, with all that tells a reader where and how large they are.

The one idea: what is drawn beside the planes (directions, a scale bar, the small map of where they
lie) follows from the same coordinates as they do.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from atlasdb.plots.drawing import Drawing
from atlasdb.plots.layout import EDGE_MM, HEADING_MM, STRIP_MM, lay_out
from atlasdb.plots.legend import LINE_MM, Legend
from atlasdb.plots.naming import POINT_MM
from atlasdb.plots.outlines import find_outlines
from atlasdb.plots.page import Page
from atlasdb.plots.sections import SECTIONS, SIDES
from atlasdb.plots.style import PALETTE, own_settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from atlasdb.plots.layout import Layout
    from atlasdb.plots.looks import Look
    from atlasdb.plots.sections import Section
    from atlasdb.plots.views import View
    from atlasdb.voxels import AtlasVoxels

_RL = 2
_CAPITAL = 0.36  # half the height of a capital letter, in units of its size
_MARK = PALETTE[3]


@dataclass
class Sheet:
    """A page with planes.

    Attributes
    ----------
    voxels
        The atlas.
    views
        The planes, all of one section.
    look
        How they look.
    window_mm
        What is seen of each plane: first row and its end, first column and its end.
    legend
        What colours mean.
    halves
        What the left and the right hemisphere show, if that differs.
    line
        The colour of outlines; by default the theme's.
    named
        The codes of the regions whose names found a place, once drawn.
    """

    voxels: AtlasVoxels
    views: Sequence[View]
    look: Look
    window_mm: tuple[float, float, float, float]
    legend: Legend = field(default_factory=Legend)
    halves: tuple[str, str] | None = None
    line: str | None = None
    named: set[int] = field(default_factory=set)

    @property
    def _section(self) -> Section:
        return self.views[0].plane.section

    def draw(self) -> Figure:
        """Draw the page.

        Raises
        ------
        PictureError
            There is no room for so many planes.
        """
        with own_settings():
            theme = self.look.theme
            top, bottom, left, right = self.window_mm
            layout = lay_out(
                len(self.views),
                (bottom - top, right - left),
                self.look.width_mm,
                legend=(self.legend.least_height, self.legend.width(theme)),
                line=LINE_MM if self.halves else 0.0,
            )
            page = Page.new(layout.width, layout.height, theme)
            self._draw_planes(page, layout)
            self._draw_title(page)
            self._draw_directions(page, layout)
            self._draw_scale_bar(page, layout)
            if self.halves:
                self._draw_halves(page, layout, self.halves)
            if self.look.has_inset:
                self._draw_inset(page, layout)
            along, wide = layout.legend
            room = (layout.bottom - layout.top, wide)
            self.legend.draw(page, layout.top, along, room, theme)
            return page.figure

    def _draw_planes(self, page: Page, layout: Layout) -> None:
        drawing = Drawing(
            theme=self.look.theme,
            scale=layout.scale,
            window_mm=self.window_mm,
            is_mirrored=self.look.is_mirrored,
            has_outlines=self.look.has_outlines,
            has_names=self.look.has_names,
            is_smooth=self.look.is_smooth,
            line=self.line,
        )
        for view, (down, along) in zip(self.views, layout.corners, strict=True):
            axes = page.axes(down, along, *layout.plane)
            axes.set_gid(f"plane-{view.plane.index}")
            self.named |= {name.code for name in drawing.draw(view, axes)}
            if len(self.views) > 1:
                middle = along + layout.plane[1] / 2
                theme = self.look.theme
                page.text(
                    down - 1, middle, view.plane.position, theme.small_pt, theme.ink, "center"
                )

    def _draw_directions(self, page: Page, layout: Layout) -> None:
        """Write at the first plane's sides where they lie: above and below it if it is alone."""
        theme, section = self.look.theme, self._section
        left, right = SIDES[section.columns]
        if self.look.is_mirrored:
            left, right = right, left
        above, below = SIDES[section.rows]
        high, wide = layout.plane
        half = theme.text_pt * POINT_MM * _CAPITAL
        middle, away = layout.top + high / 2 + half, 2.0
        places = {left: (middle, -away), right: (middle, wide + away)}
        is_alone = len(self.views) == 1
        has_room = is_alone and not self.halves
        places[above] = (layout.top - 0.8, wide / 2) if has_room else (layout.top + 2 * half, -away)
        bottom = layout.top + high
        places[below] = (bottom + 2 * half + 0.8, wide / 2) if is_alone else (bottom, -away)
        for letter, (down, along) in places.items():
            page.text(down, layout.left + along, letter, theme.text_pt, theme.ink, "center")

    def _draw_title(self, page: Page) -> None:
        first, last = self.views[0].plane, self.views[-1].plane
        where, plane = first.position, "plane"
        if len(self.views) > 1:
            where, plane = where.replace(" mm", f" to {last.at_mm} mm"), "planes"
        title = self.look.title or f"{self._section.name.capitalize()} {plane} at {where}"
        below = f"{where}, {self.voxels.name}" if self.look.title else str(self.voxels.name)
        page.heading(title, below, EDGE_MM, self.look.theme)

    def _draw_halves(self, page: Page, layout: Layout, halves: tuple[str, str]) -> None:
        """Write over the first plane what its hemispheres show."""
        theme = self.look.theme
        texts = [f"left: {halves[0]}", f"right: {halves[1]}"]
        if not self.look.is_mirrored:
            texts.reverse()
        if self._section.columns != _RL:  # one hemisphere is seen
            texts = [", ".join(sorted(texts))]
        down = layout.top - (1.2 if len(self.views) == 1 else HEADING_MM)
        part = layout.plane[1] / len(texts)
        for number, text in enumerate(texts):
            middle = layout.left + part * (number + 0.5)
            page.fitted(down, middle, text, theme.text_pt, theme.ink, part - 1, "center")

    def _draw_scale_bar(self, page: Page, layout: Layout) -> None:
        theme = self.look.theme
        length = _round_length((self.window_mm[3] - self.window_mm[2]) / 4)
        down = layout.height - 4.0
        axes = page.axes(down - 0.5, EDGE_MM, 1.0, length * layout.scale)
        axes.set_axis_off()
        axes.set_gid("scale-bar")
        axes.axhspan(0, 1, facecolor=theme.ink, linewidth=0)
        axes.set_ylim(0, 1)
        text = f"{length:g} mm" if length >= 1 else f"{length * 1e3:g} µm"
        page.text(down - 1.6, EDGE_MM, text, theme.text_pt, theme.ink, "left")

    def _draw_inset(self, page: Page, layout: Layout) -> None:
        """Draw where the planes lie, as lines over a plane that crosses them."""
        theme, section = self.look.theme, self._section
        other, outline = self._crossing()
        height, width = other.extent_mm(self.voxels.grid)
        high = STRIP_MM - 4.0
        wide = high * width / height
        down, along = layout.height - high - 2.0, layout.right - wide
        axes = page.axes(down, along, high, wide)
        axes.set_axis_off()
        axes.set_gid("inset")
        is_mirrored = self.look.is_mirrored and other.columns == section.columns
        axes.set_xlim((width, 0) if is_mirrored else (0, width))
        axes.set_ylim(height, 0)
        for line in outline:
            axes.plot(line[:, 1], line[:, 0], color=theme.faint, linewidth=0.5)
        is_row = other.rows == section.axis
        draw = axes.axhline if is_row else axes.axvline
        for view in self.views:
            draw(
                view.plane.at_um / 1e3,
                color=_MARK,
                linewidth=max(0.8 / len(self.views) ** 0.5, 0.15),
            )
        middle = down + high / 2 + theme.small_pt * POINT_MM * _CAPITAL
        places = (
            ((down + 1.6, along - 1.6), (down + high, along - 1.6))
            if is_row
            else ((middle, along - 1.6), (middle, along + wide + 1.4))
        )
        for letter, (at_down, at_along) in zip(SIDES[section.axis], places, strict=True):
            page.text(at_down, at_along, letter, theme.small_pt - 1, theme.faint, "center")

    def _crossing(self) -> tuple[Section, list[NDArray[np.float64]]]:
        """Return a section that the planes cross, and the atlas's outline in its middle, mm.

        Its lines are whole in the file: a sagittal plane would touch every line of it.
        """
        other = SECTIONS["frontal" if self._section.name == "horizontal" else "horizontal"]
        grid = self.voxels.grid
        plane = other.of(self.voxels.ranks, grid.shape[other.axis] // 2)
        lines = find_outlines(np.asarray(plane > 0).astype(np.int64)).lines()
        spacing = (grid.resolution_um[other.rows] / 1e3, grid.resolution_um[other.columns] / 1e3)
        return other, [line * spacing for line in lines]


def _round_length(length: float) -> float:
    """Return the largest 1, 2 or 5 times a power of ten that is no longer.

    Examples
    --------
    >>> [_round_length(x) for x in (3.3, 0.7, 20)]
    [2.0, 0.5, 20.0]
    """
    power = 10.0 ** math.floor(math.log10(length) + 1e-9)
    return next(float(f"{m * power:g}") for m in (5, 2, 1) if m * power <= length * (1 + 1e-9))
