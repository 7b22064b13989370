"""Bar charts: structures from the highest down, a bar for each hemisphere, a point for each sample.

The one idea: a chart is an array of samples, structures and hemispheres; bars are what is made of
the samples, and what is missing is never a bar of nothing.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from atlasdb.cells.tables import UNASSIGNED
from atlasdb.errors import PictureError
from atlasdb.plots.legend import LINE_MM, Entry
from atlasdb.plots.looks import TALLEST_MM
from atlasdb.plots.naming import POINT_MM
from atlasdb.plots.page import Page, fitted
from atlasdb.plots.style import (
    LEFT_COLOUR,
    PALETTE,
    RIGHT_COLOUR,
    literal,
    own_settings,
    text_extent,
)
from atlasdb.plots.values import AGGREGATES, BOTH
from atlasdb.runs import LEFT, NEITHER, RIGHT

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from atlasdb.plots.looks import PageLook
    from atlasdb.plots.values import Aggregate, Values
    from atlasdb.structures import StructureTable

_HEAD, _FOOT, _EDGE, _SWATCH, _GAP = 9.0, 10.0, 3.0, 2.4, 1.4
_BAR_MM = 2.2
_SPREAD = 0.3
_MOST_OF_NAMES = 0.4
SIDES = {
    LEFT: ("left", LEFT_COLOUR),
    RIGHT: ("right", RIGHT_COLOUR),
    BOTH: ("both hemispheres", PALETTE[2]),
    NEITHER: ("in neither hemisphere", PALETTE[7]),
}
"""Hemispheres in the order in which they are drawn, with their names and colours."""


class Item(NamedTuple):
    """What a row of bars is of: a structure, or its own label only."""

    rank: int
    is_direct: bool


@dataclass(frozen=True)
class BarChart:
    """Bars, ready to be drawn.

    Attributes
    ----------
    structures
        The atlas's.
    items
        What the rows are of.
    sides
        The hemispheres.
    samples
        The groups.
    numbers
        (samples, items, sides), NaN where there is no value.
    fold
        What bars are of samples.
    look
        How it looks.
    label
        What the axis says.
    """

    structures: StructureTable
    items: list[Item]
    sides: list[int]
    samples: list[str]
    numbers: NDArray[np.float64]
    fold: Aggregate
    look: PageLook
    label: str

    @classmethod
    def of(
        cls,
        values: Values,
        items: list[Item],
        aggregate: Aggregate | None,
        *,
        look: PageLook,
        label: str,
    ) -> BarChart:
        """Arrange values as bars.

        Raises
        ------
        PictureError
            A sample has several rows for a structure, or nothing has a value.
        """
        index = {item: number for number, item in enumerate(items)}
        samples = values.group_names
        sides = [side for side in SIDES if (values.sides == side).any()]
        # A count leaves out rows that would say 0.
        absent = 0.0 if values.absent_is_zero else np.nan
        numbers = np.full((len(samples), len(items), len(sides)), absent)
        for number, sample in enumerate(samples):
            of_sample = values.where(values.groups == sample).single(way_out=_ONE_ROW)
            for rank, is_direct, side, value in zip(
                of_sample.ranks.tolist(),
                of_sample.is_direct.tolist(),
                of_sample.sides.tolist(),
                of_sample.numbers.tolist(),
                strict=True,
            ):
                if (rank, is_direct) in index:
                    numbers[number, index[Item(rank, is_direct)], sides.index(side)] = value
        if np.isnan(numbers).all():
            raise PictureError(f"{values.source} has no value of these structures")
        return cls(
            values.structures, items, sides, samples, numbers, aggregate or "mean", look, label
        )

    @property
    def heights(self) -> NDArray[np.float64]:
        """(items, sides) what the bars show."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # of nothing but missing values
            found: NDArray[np.float64] = AGGREGATES[self.fold](self.numbers, axis=0)
        found[np.isnan(self.numbers).all(axis=0)] = np.nan
        return found

    def highest(self, top: int) -> BarChart:
        """Return the chart of no more than so many structures, highest first."""
        totals = np.nansum(self.heights, axis=1)
        totals[np.isnan(self.heights).all(axis=1)] = -np.inf
        order = np.argsort(-totals, kind="stable")[:top]
        items = [self.items[number] for number in order.tolist()]
        return replace(self, items=items, numbers=self.numbers[:, order])

    @property
    def told(self) -> str:
        """What bars are of samples, for people."""
        if len(self.samples) == 1:
            return ""
        has_gaps = bool(np.isnan(self.numbers).any())
        return f"{self.fold} of {'up to ' if has_gaps else ''}{len(self.samples)}"

    def _names(self) -> list[str]:
        return [
            self.structures.acronyms[rank - 1] + (UNASSIGNED if is_direct else "")
            for rank, is_direct in self.items
        ]

    def draw(self, below: str) -> Any:  # noqa: ANN401 (matplotlib's)
        """Draw the bars on a page."""
        with own_settings():
            theme = self.look.theme
            row = len(self.sides) * _BAR_MM + _GAP
            legend = LINE_MM if len(self.sides) > 1 or len(self.samples) > 1 else 0.0
            head = _HEAD + legend + 1
            high = len(self.items) * row
            if head + high + _FOOT > TALLEST_MM:
                raise PictureError(
                    f"{len(self.items)} structures need {head + high + _FOOT:.0f} mm of a page of "
                    f"{TALLEST_MM:g}: show fewer (top)"
                )
            names = self._names()
            widest = max(text_extent(name)[0] for name in names) * theme.text_pt * POINT_MM
            left = _EDGE + _SWATCH + 1 + min(widest, self.look.width_mm * _MOST_OF_NAMES) + 2
            page = Page.new(self.look.width_mm, head + high + _FOOT, theme)
            page.heading(self.look.title or self._title(), below, _EDGE, theme)
            axes = page.axes(head, left, high, self.look.width_mm - left - 2 * _EDGE)
            self._draw_bars(axes, row)
            self._name_rows(page, names, head, row, left)
            if legend:
                self._draw_legend(page, left)
            return page.figure

    def _title(self) -> str:
        return f"{self.label[:1].upper()}{self.label[1:]}"

    def _draw_bars(self, axes: Axes, row: float) -> None:
        theme = self.look.theme
        heights = self.heights
        for side_number, side in enumerate(self.sides):
            offset = _GAP / 2 + (side_number + 0.5) * _BAR_MM
            places = np.arange(len(self.items)) * row + offset
            axes.barh(
                places,
                np.nan_to_num(heights[:, side_number]),
                height=_BAR_MM * 0.9,
                color=SIDES[side][1],
                linewidth=0,
                gid=f"bars-{side}",
            )
            self._mark_missing(axes, places, heights[:, side_number])
            if len(self.samples) > 1:
                spread = np.linspace(-_SPREAD, _SPREAD, len(self.samples)) * _BAR_MM
                for number, shift in enumerate(spread.tolist()):
                    axes.plot(
                        self.numbers[number, :, side_number],
                        places + shift,
                        linestyle="none",
                        marker="o",
                        markersize=2.2,
                        markerfacecolor=theme.ink,
                        markeredgecolor=theme.page,
                        markeredgewidth=0.3,
                        clip_on=False,
                        gid=f"sample-{number}",
                    )
        axes.set(ylim=(len(self.items) * row, 0), yticks=[])
        drawn = np.concatenate([self.numbers.ravel(), heights.ravel()])
        low, high = np.nanmin(drawn), np.nanmax(drawn)
        reach = max(high, 0.0) - min(low, 0.0) or 1.0
        axes.set_xlim(min(low * 1.05, 0.0), max(high, 0.0) + 0.05 * reach)
        axes.axvline(0, color=theme.ink, linewidth=0.6)
        for name in ("top", "right", "left"):
            axes.spines[name].set_visible(False)
        axes.spines["bottom"].set_color(theme.ink)
        axes.set_facecolor(theme.page)
        axes.tick_params(colors=theme.ink, labelsize=theme.small_pt, width=0.5, length=2)
        axes.xaxis.get_offset_text().set(color=theme.ink, fontsize=theme.small_pt)
        room = axes.get_position().width * self.look.width_mm + _EDGE
        text, size_pt = fitted(self._axis(), theme.text_pt, room)
        axes.set_xlabel(literal(text), color=theme.ink, fontsize=size_pt)

    def _axis(self) -> str:
        return f"{self.label} ({self.told})" if self.told else self.label

    def _mark_missing(self, axes: Axes, places: NDArray[Any], heights: NDArray[np.float64]) -> None:
        """Say where there is no value, which is not a bar of nothing."""
        for place in places[np.isnan(heights)].tolist():
            axes.text(
                0,
                place,
                " no value",
                fontsize=self.look.theme.small_pt - 1,
                color=self.look.theme.faint,
                va="center_baseline",
                gid="missing",
            )

    def _name_rows(
        self, page: Page, names: list[str], head: float, row: float, left: float
    ) -> None:
        """Write acronyms before the bars, each with its colour in the atlas."""
        from matplotlib.patches import Rectangle

        theme = self.look.theme
        axes = page.axes(head, _EDGE, len(names) * row, _SWATCH)
        axes.set_axis_off()
        axes.set_gid("swatches")
        axes.set(xlim=(0, 1), ylim=(len(names) * row, 0))
        for number, (name, (rank, _)) in enumerate(zip(names, self.items, strict=True)):
            middle = (number + 0.5) * row
            colour = tuple((self.structures.rgb[rank - 1] / 255).tolist())
            axes.add_patch(
                Rectangle(
                    (0, middle - 1.1),
                    1,
                    2.2,
                    facecolor=colour,
                    edgecolor=theme.faint,
                    linewidth=0.3,
                    clip_on=False,
                )
            )
            page.fitted(
                head + middle + theme.text_pt * POINT_MM * 0.36,
                _EDGE + _SWATCH + 1,
                name,
                theme.text_pt,
                theme.ink,
                left - _EDGE - _SWATCH - 2,
            )

    def _draw_legend(self, page: Page, left: float) -> None:
        """Write what colours mean over the bars, or from the page's edge if that is too narrow."""
        theme = self.look.theme
        entries = [Entry(*SIDES[side]) for side in self.sides] if len(self.sides) > 1 else []
        if len(self.samples) > 1:
            entries.append(Entry("a sample", theme.ink, marker="o"))
        widths = [entry.width(theme) for entry in entries]
        gap = _EDGE
        needed = sum(widths) + gap * (len(widths) - 1)
        along = left if left + needed <= page.width - _EDGE else _EDGE
        for entry, wide in zip(entries, widths, strict=True):
            entry.draw(page, _HEAD - 0.5, along, min(wide, page.width - along), theme)
            along += wide + gap


_ONE_ROW = "; a sample has one row for each structure and hemisphere"
