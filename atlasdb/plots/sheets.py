"""Sheets: one plane or many on a page, with all that tells a reader where and how large they are.

The one idea: everything is placed in millimetres before anything is drawn, so that a millimetre of
the atlas has the same length on every plane, letters have the size that they are given, and nothing
is cut off or lies on something else.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from atlasdb.errors import PictureError
from atlasdb.plots.naming import POINT_MM
from atlasdb.plots.outlines import find_outlines
from atlasdb.plots.page import (
    LINE_MM,
    TALLEST_MM,
    Entry,
    Page,
    PageLook,
    PageWords,
    refuse_others,
)
from atlasdb.plots.sections import SECTIONS, SIDES
from atlasdb.plots.style import PALETTE, own_settings, text_extent, theme_of
from atlasdb.plots.views import Drawing, literal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.figure import Figure

    from atlasdb.plots.sections import Section
    from atlasdb.plots.views import View
    from atlasdb.voxels import AtlasVoxels

_EDGE, _TITLE, _STRIP, _GAP, _HEADING, _KEY = 6.0, 10.5, 14.0, 4.0, 4.0, 17.0
_MOST_KEY_SHARE = 0.4


@dataclass(frozen=True)
class Look(PageLook):
    """How a picture of planes looks; every function that draws planes takes these.

    Attributes
    ----------
    has_outlines, has_inset
        Whether there are outlines, and the small picture of where the planes lie.
    is_smooth
        Whether the stairs of voxels are smoothed.
    is_mirrored
        Whether columns run from right to left.
    """

    has_outlines: bool = True
    has_inset: bool = True
    is_smooth: bool = False
    is_mirrored: bool = False


class LookWords(PageWords, total=False):
    """The keywords by which functions take a `Look`."""

    outlines: bool
    inset: bool
    smooth: bool
    mirrored: bool


def look_of(words: LookWords) -> Look:
    """Return the look that keywords describe."""
    refuse_others(words, LookWords.__annotations__)
    return Look(
        theme=theme_of(dark=words.get("dark", False)),
        width_mm=words.get("width_mm", Look.width_mm),
        title=words.get("title"),
        has_names=words.get("names", True),
        has_outlines=words.get("outlines", True),
        has_inset=words.get("inset", True),
        is_smooth=words.get("smooth", False),
        is_mirrored=words.get("mirrored", False),
    )


@dataclass(frozen=True)
class Key:
    """What colours mean.

    Attributes
    ----------
    mappable
        What a colour bar is drawn of; None for none.
    label
        What the bar shows, with its unit.
    entries
        A legend's entries.
    halves
        What the left and the right hemisphere show, if that differs.
    """

    mappable: Any = None
    label: str = ""
    extend: str = "neither"
    entries: Sequence[Entry] = ()
    halves: tuple[str, str] | None = None

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to be told."""
        return self.mappable is None and not self.entries


@dataclass(frozen=True)
class _Layout:
    """Where everything is, mm from the page's upper left corner."""

    width: float
    height: float
    panel: tuple[float, float]
    """Height and width of a plane."""
    corners: list[tuple[float, float]]
    """The upper left corner of each plane: down, along."""
    key: tuple[float, float]
    """Where the key begins and its width."""
    scale: float
    """Millimetres on paper for one of the atlas."""


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
    key
        What colours mean.
    line
        The colour of outlines; by default the theme's.
    named
        The codes of the regions whose names found a place, once drawn.
    """

    voxels: AtlasVoxels
    views: Sequence[View]
    look: Look
    window_mm: tuple[float, float, float, float]
    key: Key = field(default_factory=Key)
    line: str | None = None
    named: set[int] = field(default_factory=set)

    @property
    def _section(self) -> Section:
        return self.views[0].plane.section

    def draw(self) -> Figure:
        """Draw the page."""
        with own_settings():
            layout = self._layout()
            page = Page.new(layout.width, layout.height, self.look.theme)
            self._draw_planes(page, layout)
            self._draw_title(page, layout)
            self._draw_scale_bar(page, layout)
            if self.look.has_inset:
                self._draw_inset(page, layout)
            self._draw_key(page, layout)
            return page.figure

    # Where things are.

    def _layout(self) -> _Layout:
        top, bottom, left, right = self.window_mm
        shape = (bottom - top) / (right - left)
        key = 0.0 if self.key.is_empty else self._key_width()
        width = self.look.width_mm - 2 * _EDGE - key
        number = len(self.views)
        heading = 0.0 if number == 1 else _HEADING
        halves = LINE_MM if self.key.halves else 0.0
        room = TALLEST_MM - _TITLE - halves - _STRIP - _EDGE
        columns, panel_width = _best_columns(number, width, room, shape, heading)
        rows = -(-number // columns)
        panel = (panel_width * shape, panel_width)
        used = columns * panel_width + (columns - 1) * _GAP
        first = _EDGE + (width - used) / 2
        corners = [
            (
                _TITLE + halves + heading + row * (panel[0] + heading + _GAP),
                first + column * (panel_width + _GAP),
            )
            for row in range(rows)
            for column in range(columns)
        ][:number]
        height = corners[-1][0] + panel[0] + _EDGE + _STRIP
        return _Layout(
            width=self.look.width_mm,
            height=height,
            panel=panel,
            corners=corners,
            key=(_EDGE + width + _EDGE, key),
            scale=panel_width / (right - left),
        )

    def _key_width(self) -> float:
        """Return the room for the key: as its texts need, within limits."""
        theme = self.look.theme
        texts = [text_extent(e.text)[0] * theme.text_pt * POINT_MM + 5 for e in self.key.entries]
        needed = max([_KEY if self.key.mappable else 0.0, *texts])
        return min(needed, self.look.width_mm * _MOST_KEY_SHARE)

    # What is drawn.

    def _draw_planes(self, page: Page, layout: _Layout) -> None:
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
        for number, (view, (down, along)) in enumerate(
            zip(self.views, layout.corners, strict=True)
        ):
            axes = page.axes(down, along, *layout.panel)
            axes.set_gid(f"plane-{view.plane.index}")
            self.named |= {name.code for name in drawing.draw(view, axes)}
            if len(self.views) > 1:
                middle = along + layout.panel[1] / 2
                page.text(
                    down - 1,
                    middle,
                    view.plane.position,
                    self.look.theme.small_pt,
                    self.look.theme.ink,
                    "center",
                )
            if number == 0:
                self._draw_directions(page, layout)

    def _draw_directions(self, page: Page, layout: _Layout) -> None:
        """Write at the first plane's sides where they lie."""
        down, along = layout.corners[0]
        height, width = layout.panel
        theme, section = self.look.theme, self._section
        first, last = SIDES[section.columns]
        if self.look.is_mirrored:
            first, last = last, first
        start, end = SIDES[section.rows]
        half = theme.text_pt * POINT_MM * 0.36
        # In a sheet the gap between planes is all the room there is.
        away = 2.0
        for text, at_down, at_along in (
            (first, down + height / 2 + half, along - away),
            (last, down + height / 2 + half, along + width + away),
        ):
            page.text(at_down, at_along, text, theme.text_pt, theme.ink, "center")
        if len(self.views) == 1 and not self.key.halves:
            page.text(down - 0.8, along + width / 2, start, theme.text_pt, theme.ink, "center")
        else:
            page.text(down + 2 * half, along - away, start, theme.text_pt, theme.ink, "center")
        if len(self.views) == 1:
            page.text(
                down + height + 2 * half + 0.8,
                along + width / 2,
                end,
                theme.text_pt,
                theme.ink,
                "center",
            )
        else:
            page.text(down + height, along - away, end, theme.text_pt, theme.ink, "center")

    def _draw_title(self, page: Page, layout: _Layout) -> None:
        theme = self.look.theme
        planes = self.views
        where = planes[0].plane.position
        if len(planes) > 1:
            where = where.replace(" mm", f" to {planes[-1].plane.at_mm} mm")
        kind = f"{self._section.name.capitalize()} plane{'s' if len(planes) > 1 else ''}"
        title = self.look.title or f"{kind} at {where}"
        below = f"{where}, {self.voxels.name}" if self.look.title else str(self.voxels.name)
        page.heading(title, below, _EDGE, theme)
        if self.key.halves:
            self._draw_halves(page, layout)

    def _draw_halves(self, page: Page, layout: _Layout) -> None:
        """Write over the first plane what its hemispheres show."""
        down, along = layout.corners[0]
        width = layout.panel[1]
        left, right = self.key.halves or ("", "")
        texts = [f"left: {left}", f"right: {right}"]
        if not self.look.is_mirrored:
            texts.reverse()
        down -= 1.2 if len(self.views) == 1 else _HEADING
        if self._section.columns != 2:  # noqa: PLR2004 (RL: both hemispheres are seen)
            texts = [", ".join(reversed(texts))]
        for number, text in enumerate(texts):
            middle = along + width * (2 * number + 1) / (2 * len(texts))
            theme = self.look.theme
            page.fitted(
                down, middle, text, theme.text_pt, theme.ink, width / len(texts) - 1, "center"
            )

    def _draw_scale_bar(self, page: Page, layout: _Layout) -> None:
        theme = self.look.theme
        seen = self.window_mm[3] - self.window_mm[2]
        length = _round_length(seen / 4)
        down = layout.height - 4.0
        axes = page.axes(down - 0.5, _EDGE, 1.0, length * layout.scale)
        axes.set_axis_off()
        axes.set_gid("scale-bar")
        axes.axhspan(0, 1, facecolor=theme.ink, linewidth=0)
        axes.set_ylim(0, 1)
        text = f"{length:g} mm" if length >= 1 else f"{length * 1e3:g} µm"
        page.text(down - 1.6, _EDGE, text, theme.text_pt, theme.ink, "left")

    def _draw_inset(self, page: Page, layout: _Layout) -> None:
        """Draw where the planes lie, as lines over a plane that crosses them."""
        theme, section = self.look.theme, self._section
        other, outline = self._crossing()
        height, width = other.extent_mm(self.voxels.grid)
        high = _STRIP - 4.0
        wide = high * width / height
        # Beside the letter below the plane, and not under it.
        along = layout.corners[0][1] + self._columns(layout) - wide
        axes = page.axes(layout.height - high - 2.0, along, high, wide)
        axes.set_axis_off()
        axes.set_gid("inset")
        axes.set_xlim((width, 0) if self.look.is_mirrored and other.columns == 2 else (0, width))  # noqa: PLR2004 (RL)
        axes.set_ylim(height, 0)
        for line in outline:
            axes.plot(line[:, 1], line[:, 0], color=theme.faint, linewidth=0.5)
        width_pt = 0.8 if len(self.views) == 1 else 0.4
        draw = axes.axhline if other.rows == section.axis else axes.axvline
        for view in self.views:
            draw(view.plane.at_um / 1e3, color=PALETTE[3], linewidth=width_pt)
        start, end = SIDES[section.axis]
        ink = (theme.small_pt - 1, theme.faint)
        if other.rows == section.axis:
            page.text(layout.height - high - 0.4, along - 1.6, start, *ink, "center")
            page.text(layout.height - 2.0, along - 1.6, end, *ink, "center")
        else:
            page.text(layout.height - 2.0 - high / 2, along - 1.6, start, *ink, "center")
            page.text(layout.height - 2.0 - high / 2, along + wide + 1.4, end, *ink, "center")

    def _columns(self, layout: _Layout) -> float:
        """Return how far the planes reach, along."""
        return max(along for _, along in layout.corners) + layout.panel[1] - layout.corners[0][1]

    def _crossing(self) -> tuple[Section, list[Any]]:
        """Return a section that the planes cross, and the atlas's outline in its middle, mm.

        One that lies together in the file: a sagittal plane would read all of it.
        """
        other = SECTIONS["frontal" if self._section.name == "horizontal" else "horizontal"]
        grid = self.voxels.grid
        plane = other.of(self.voxels.ranks, grid.shape[other.axis] // 2)
        lines = find_outlines(np.asarray(plane > 0).astype(np.int64)).lines()
        spacing = (grid.resolution_um[other.rows] / 1e3, grid.resolution_um[other.columns] / 1e3)
        return other, [line * spacing for line in lines]

    def _draw_key(self, page: Page, layout: _Layout) -> None:
        if self.key.is_empty:
            return
        theme = self.look.theme
        along, width = layout.key
        down = layout.corners[0][0]
        room = layout.corners[-1][0] + layout.panel[0] - down
        legend = len(self.key.entries) * LINE_MM
        if self.key.mappable is not None:
            high = max(min(room - legend - 3, 60.0), 12.0)
            axes = page.axes(down, along, high, 2.6)
            bar = page.figure.colorbar(
                self.key.mappable, cax=axes, extend=self.key.extend, extendfrac=0.04
            )
            axes.set_gid("colour-bar")
            bar.outline.set(edgecolor=theme.ink, linewidth=0.4)
            axes.tick_params(colors=theme.ink, labelsize=theme.small_pt, width=0.4, length=2)
            axes.yaxis.get_offset_text().set(color=theme.ink, fontsize=theme.small_pt)
            bar.set_label(literal(self.key.label), color=theme.ink, fontsize=theme.text_pt)
            down += high + 3
        for entry in self.key.entries:
            page.entry(down, along, width, entry, theme)
            down += LINE_MM


def _best_columns(
    number: int, width: float, room: float, shape: float, heading: float
) -> tuple[int, float]:
    """Return the number of columns in which planes are largest, and how wide they are then."""
    best = (1, 0.0)
    for columns in range(1, number + 1):
        rows = -(-number // columns)
        by_width = (width - (columns - 1) * _GAP) / columns
        by_height = (room - (rows - 1) * _GAP - rows * heading) / rows / shape
        fits = min(by_width, by_height)
        if fits > best[1] * (1 + 1e-9):
            best = (columns, fits)
    if best[1] < _SMALLEST_MM:
        raise PictureError(
            f"{number} planes do not fit on {width:.0f} × {room:.0f} mm: show fewer, or make the "
            "picture wider"
        )
    return best


_SMALLEST_MM = 8.0


def _round_length(length: float) -> float:
    """Return the largest 1, 2 or 5 times a power of ten that is no longer.

    Examples
    --------
    >>> [_round_length(x) for x in (3.3, 0.7, 20)]
    [2.0, 0.5, 20.0]
    """
    power = 10.0 ** math.floor(math.log10(length) + 1e-9)
    return next(float(f"{m * power:g}") for m in (5, 2, 1) if m * power <= length * (1 + 1e-9))
