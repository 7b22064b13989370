"""Bars: the structures with the highest values, left beside right, with every sample as a point."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np

from atlasdb.cells.tables import UNASSIGNED
from atlasdb.errors import PictureError
from atlasdb.plots.legend import LINE_MM, Entry
from atlasdb.plots.looks import TALLEST_MM, PageWords, page_look
from atlasdb.plots.naming import POINT_MM
from atlasdb.plots.page import Page
from atlasdb.plots.picture import Picture
from atlasdb.plots.reading import read_values
from atlasdb.plots.slices import several, voxels_of
from atlasdb.plots.style import (
    LEFT_COLOUR,
    PALETTE,
    RIGHT_COLOUR,
    literal,
    need_matplotlib,
    own_settings,
    text_extent,
)
from atlasdb.plots.trees import volumes_mm3
from atlasdb.plots.values import AGGREGATES, BOTH, Values
from atlasdb.runs import LEFT, NEITHER, RIGHT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from atlasdb.atlas import Atlas
    from atlasdb.plots.looks import PageLook
    from atlasdb.plots.values import Aggregate
    from atlasdb.structures import StructureTable
    from atlasdb.voxels import AtlasVoxels
    from atlasdb.voxels.ranks import Structure

_HEAD, _FOOT, _EDGE, _SWATCH, _GAP = 9.0, 10.0, 3.0, 2.4, 1.4
_BAR_MM = 2.2
_SPREAD = 0.3
_SIDES = {
    LEFT: ("left", LEFT_COLOUR),
    RIGHT: ("right", RIGHT_COLOUR),
    BOTH: ("both hemispheres", PALETTE[2]),
    NEITHER: ("in neither hemisphere", PALETTE[7]),
}
"""Hemispheres in the order in which they are drawn, with their names and colours."""

Item = tuple[int, bool]
"""A structure's rank, and whether only its own label is meant."""


def plot_bars(
    atlas: Atlas | AtlasVoxels,
    values: Any = None,  # noqa: ANN401 (many kinds)
    *,
    depth: int | None = None,
    structures: Structure | Sequence[Structure] | None = None,
    top: int = 20,
    column: str | None = None,
    by: str | None = None,
    where: Mapping[str, object] | None = None,
    aggregate: Aggregate | None = None,
    label: str | None = None,
    **look: Unpack[PageWords],
) -> Picture:
    """Draw the structures with the highest values as bars, a hemisphere each.

    Parameters
    ----------
    atlas
        The atlas: `Database.atlas` or `Database.voxels`.
    values
        As of `plot_heatmap`; by default the volumes in the atlas, mm³.
    depth
        Compare the structures at that many steps from the root, and leaves of branches that end
        above.
    structures
        Compare these: acronyms or ids.
    top
        How many of them are shown at most, highest first.
    column, where
        As of `plot_heatmap`.
    by
        The column that names the samples: each is a point, bars are their mean.
    aggregate
        What bars are of samples ('mean', 'median' or 'sum'); without `by`, what is made of several
        rows of one structure.
    label
        What the axis says; by default what the values are, with their unit.
    **look
        ``dark`` (False), ``width_mm`` (120), ``title``.

    Returns
    -------
    Picture
        Rows of structures above the depth, 'X (unassigned)', have bars of their own.

    Raises
    ------
    PictureError
        Some structures contain others, and neither a depth nor structures are named.

    Examples
    --------
    >>> import atlasdb, tempfile
    >>> db = atlasdb.connect(tempfile.mkdtemp())
    >>> _ = db.ingest("phantom_mouse_100um")
    >>> plot_bars(db.atlas("phantom_mouse_100um"), depth=3, top=5).caption
    'volume (mm³) in 5 of 9 structures of phantom_mouse_100um@1.0'
    """
    need_matplotlib()
    voxels = voxels_of(atlas)
    if top < 1:
        raise PictureError(f"there is nothing to be seen of {top} structures")
    given = volumes_of(voxels) if values is None else None
    if given is None:
        given = read_values(values, voxels, column=column, by=by, where=where)
    if given.group_names == [""]:
        given = given.single(aggregate, way_out=", or show them as samples (by)")
    items = _items(given, voxels, depth, several(structures))
    chart = _Chart.of(given, items, aggregate, page_look(look), label or given.unit)
    shown = chart.highest(top)
    caption = (
        f"{label or given.unit} in {len(shown.items)} of {len(items)} "
        f"structure{'' if len(items) == 1 else 's'} of {voxels.name}"
    )
    if len(shown.samples) > 1:
        caption += f", {chart.fold} of {len(shown.samples)} samples"
    are_folded = aggregate is not None or len(shown.samples) > 1
    caption += given.told_of_nowhere(are_folded=are_folded)
    return Picture(shown.draw(str(voxels.name)), caption)


def volumes_of(voxels: AtlasVoxels) -> Values:
    """Return the volumes of structures as values, by hemisphere."""
    n = len(voxels.structures)
    _, left, right = volumes_mm3(voxels)
    return Values(
        source="the atlas",
        structures=voxels.structures,
        column="atlas_volume_mm3",
        ranks=np.tile(np.arange(1, n + 1), 2),
        is_direct=np.zeros(2 * n, dtype=np.bool_),
        sides=np.repeat([LEFT, RIGHT], n),
        groups=np.full(2 * n, ""),
        numbers=np.concatenate([left, right]),
        nowhere={},
        direct=None,
        others={},
    )


def _items(
    values: Values,
    voxels: AtlasVoxels,
    depth: int | None,
    structures: Sequence[Structure] | None,
) -> list[Item]:
    """Return the structures that are compared.

    Raises
    ------
    PictureError
        Some contain others, or there is none.
    """
    rows = dict.fromkeys(zip(values.ranks.tolist(), values.is_direct.tolist(), strict=True))
    if structures is not None:
        if depth is not None:
            raise PictureError("choose a depth or structures, not both")
        wanted = voxels.rank_table.ranks_of(list(structures)).tolist()
        items = [(rank, False) for rank in dict.fromkeys(wanted) if (rank, False) in rows]
        lost = [rank for rank in wanted if (rank, False) not in rows]
        if lost:
            acronym = values.structures.acronyms[lost[0] - 1]
            raise PictureError(f"{values.source} has no value of {acronym}")
        return items
    if depth is not None:
        return _at_depth(list(rows), voxels, voxels.rank_table.checked_depth(depth), values)
    _refuse_nested(values, list(rows))
    return list(rows)


def _at_depth(rows: list[Item], voxels: AtlasVoxels, depth: int, values: Values) -> list[Item]:
    """Return the rows at a depth, those of leaves above it, and unassigned ones above it."""
    hierarchy = voxels.structures.hierarchy
    items = []
    for rank, is_direct in rows:
        level = int(hierarchy.depth[rank - 1])
        is_leaf = int(hierarchy.last_rank[rank - 1]) == rank
        if level < depth and (is_direct or is_leaf):
            items.append((rank, is_direct))
        elif level == depth and not is_direct:
            items.append((rank, False))
    if not items:
        raise PictureError(f"{values.source} has no value of a structure at depth {depth}")
    return items


def _refuse_nested(values: Values, rows: list[Item]) -> None:
    """Refuse to compare wholes with their parts."""
    last = 0
    holder = 0
    for rank in sorted(rank for rank, is_direct in rows if not is_direct):
        if rank <= last:
            inner, outer = (values.structures.acronyms[r - 1] for r in (rank, holder))
            raise PictureError(
                f"{values.source} has values of {outer} and of {inner}, which is a part of it: "
                "choose a depth, or name the structures that are to be compared"
            )
        last, holder = int(values.structures.hierarchy.last_rank[rank - 1]), rank


@dataclass(frozen=True)
class _Chart:
    """Bars, ready to be drawn.

    Attributes
    ----------
    items
        The structures.
    sides
        The hemispheres.
    samples
        The groups.
    numbers
        (samples, items, sides), NaN where there is no value.
    fold
        What bars are of samples.
    """

    structures: StructureTable
    items: list[Item]
    sides: list[int]
    samples: list[str]
    numbers: NDArray[np.float64]
    fold: str
    look: PageLook
    label: str

    @classmethod
    def of(
        cls,
        values: Values,
        items: list[Item],
        aggregate: Aggregate | None,
        look: PageLook,
        label: str,
    ) -> _Chart:
        """Arrange values as bars."""
        index = {item: number for number, item in enumerate(items)}
        samples = values.group_names
        sides = [side for side in _SIDES if (values.sides == side).any()]
        numbers = np.full((len(samples), len(items), len(sides)), np.nan)
        for number, sample in enumerate(samples):
            of_sample = values.where(values.groups == sample).single(
                None if len(samples) > 1 else aggregate
            )
            for rank, is_direct, side, value in zip(
                of_sample.ranks.tolist(),
                of_sample.is_direct.tolist(),
                of_sample.sides.tolist(),
                of_sample.numbers.tolist(),
                strict=True,
            ):
                if (rank, is_direct) in index:
                    numbers[number, index[rank, is_direct], sides.index(side)] = value
        fold = aggregate or "mean"
        return cls(values.structures, items, sides, samples, numbers, fold, look, label)

    @property
    def heights(self) -> NDArray[np.float64]:
        """(items, sides) what the bars show."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # of nothing but missing values
            found: NDArray[np.float64] = AGGREGATES[self.fold](self.numbers, axis=0)
        found[np.isnan(self.numbers).all(axis=0)] = np.nan
        return found

    def highest(self, top: int) -> _Chart:
        """Return the chart of no more than so many structures, highest first."""
        totals = np.nansum(self.heights, axis=1)
        totals[np.isnan(self.heights).all(axis=1)] = -np.inf
        order = np.argsort(-totals, kind="stable")[:top]
        return _Chart(
            self.structures,
            [self.items[number] for number in order.tolist()],
            self.sides,
            self.samples,
            self.numbers[:, order],
            self.fold,
            self.look,
            self.label,
        )

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
            left = _EDGE + _SWATCH + 1 + min(widest, self.look.width_mm * 0.4) + 2
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
                color=_SIDES[side][1],
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
        low, high = np.nanmin(self.numbers), np.nanmax(self.numbers)
        reach = max(high, 0.0) - min(low, 0.0) or 1.0
        axes.set_xlim(min(low * 1.05, 0.0), max(high, 0.0) + 0.05 * reach)
        axes.axvline(0, color=theme.ink, linewidth=0.6)
        for name in ("top", "right", "left"):
            axes.spines[name].set_visible(False)
        axes.spines["bottom"].set_color(theme.ink)
        axes.set_facecolor(theme.page)
        axes.tick_params(colors=theme.ink, labelsize=theme.small_pt, width=0.5, length=2)
        axes.xaxis.get_offset_text().set(color=theme.ink, fontsize=theme.small_pt)
        axes.set_xlabel(literal(self._axis()), color=theme.ink, fontsize=theme.text_pt)

    def _axis(self) -> str:
        if len(self.samples) == 1:
            return self.label
        return f"{self.label} ({self.fold} of {len(self.samples)})"

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
        theme = self.look.theme
        along = left
        entries = [Entry(*_SIDES[side]) for side in self.sides] if len(self.sides) > 1 else []
        if len(self.samples) > 1:
            entries.append(Entry("a sample", theme.ink, marker="o"))
        for entry in entries:
            wide = entry.width(theme)
            entry.draw(page, _HEAD - 0.5, along, wide, theme)
            along += wide + 3
