"""The hierarchy as a picture: each structure as large as its volume, or as what was counted in it.

The one idea: a sunburst bends the places of a partition round a circle, an icicle lays them down a
page.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Unpack

import numpy as np

from atlasdb.errors import NoVoxelsError, PictureError
from atlasdb.plots.looks import TALLEST_MM, NamedWords, named_look
from atlasdb.plots.naming import POINT_MM
from atlasdb.plots.page import Page
from atlasdb.plots.partition import parts_of, sizes_of, volumes_mm3
from atlasdb.plots.picture import Picture
from atlasdb.plots.reading import read_values, refuse_without_values
from atlasdb.plots.slices import voxels_of
from atlasdb.plots.style import ink_on, literal, need_matplotlib, own_settings, text_extent

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.axes import Axes

    from atlasdb.atlas import Atlas
    from atlasdb.plots.looks import NamedLook
    from atlasdb.plots.partition import Part
    from atlasdb.plots.values import Aggregate
    from atlasdb.structures import StructureTable
    from atlasdb.voxels import AtlasVoxels
    from atlasdb.voxels.ranks import Structure

Style = Literal["sunburst", "icicle"]

STYLES = ("sunburst", "icicle")

_HEAD = 9.0
_EDGE = 3.0
_MARGIN = 0.35
_LEVEL_MM = 2.5
_TALL = 1.2


def plot_tree(
    atlas: Atlas | AtlasVoxels,
    values: Any = None,  # noqa: ANN401 (many kinds)
    *,
    structure: Structure | None = None,
    depth: int | None = None,
    style: Style = "sunburst",
    column: str | None = None,
    where: Mapping[str, object] | None = None,
    aggregate: Aggregate | None = None,
    label: str | None = None,
    **look: Unpack[NamedWords],
) -> Picture:
    """Draw the hierarchy, in the atlas's colours, as parts of a whole.

    Parameters
    ----------
    atlas
        The atlas: `Database.atlas` or `Database.voxels`.
    values
        What structures are as large as: counts, as of `plot_heatmap`. Of a structure without a row
        it is the sum of its children's. By default the volume in the atlas, mm³.
    structure
        The structure in the middle; the root by default.
    depth
        Show structures as far as that many steps from the root; all by default.
    style
        'sunburst' (rings) or 'icicle' (columns, with more room for names).
    column, where, aggregate
        As of `plot_heatmap`.
    label
        What sizes are, in the heading.
    **look
        ``dark`` (False), ``width_mm`` (120), ``title``, ``names`` (True).

    Returns
    -------
    Picture
        Names are written where there is room. What belongs to a structure and to none of its
        children stays blank beside these.

    Raises
    ------
    PictureError
        Values that are negative, or no parts of a whole: children that sum to more than their
        parent; or a table that cannot be understood.
    UnknownStructureError, UnknownDepthError
        There is no such thing.
    NoVoxelsError
        The structure in the middle has no size.
    MissingPackageError
        matplotlib is not installed.

    Examples
    --------
    >>> import atlasdb, tempfile
    >>> db = atlasdb.connect(tempfile.mkdtemp())
    >>> _ = db.ingest("phantom_mouse_100um")
    >>> plot_tree(db.atlas("phantom_mouse_100um"), structure="CTX").caption
    'CTX of phantom_mouse_100um@1.0 by volume (mm³): 18 structures, 5.024 in all'
    """
    need_matplotlib()
    voxels = voxels_of(atlas)
    if style not in STYLES:
        raise PictureError(f"a tree is drawn as {' or '.join(STYLES)}, not {style!r}")
    rank = 1 if structure is None else int(voxels.rank_table.ranks_of(structure)[0])
    if depth is not None:
        voxels.rank_table.checked_depth(depth)
    if values is None:
        refuse_without_values(column=column, where=where, aggregate=aggregate)
        sizes, told, elsewhere = volumes_mm3(voxels)[0], "volume (mm³)", ""
    else:
        given = read_values(values, voxels, column=column, where=where).single(aggregate)
        sizes, told = sizes_of(given), given.unit
        elsewhere = given.told_of_nowhere(are_folded=aggregate is not None)
    parts = list(parts_of(voxels.structures, sizes, rank, depth))
    if not parts:
        acronym = voxels.structures.acronyms[rank - 1]
        raise NoVoxelsError(f"{acronym} of {voxels.name} has nothing to be shown by {told}")
    acronym = voxels.structures.acronyms[rank - 1]
    caption = (
        f"{acronym} of {voxels.name} by {label or told}: {len(parts)} "
        f"structure{'' if len(parts) == 1 else 's'}, {sizes[rank - 1]:.10g} in all{elsewhere}"
    )
    tree = _Tree(parts, voxels.structures, named_look(look), style)
    heading = f"{acronym} by {label or told}"
    return Picture(tree.draw(heading, str(voxels.name)), caption)


@dataclass(frozen=True)
class _Tree:
    """Parts, ready to be drawn.

    Attributes
    ----------
    parts
        The parts, in depth-first order.
    structures
        The atlas's structures.
    look
        How it looks.
    style
        One of `STYLES`.
    """

    parts: list[Part]
    structures: StructureTable
    look: NamedLook
    style: str

    def draw(self, heading: str, below: str) -> Any:  # noqa: ANN401 (matplotlib's)
        """Draw the tree on a page."""
        with own_settings():
            levels = 1 + max(part.level for part in self.parts)
            wide = self.look.width_mm - 2 * _EDGE
            if wide / levels < _LEVEL_MM:
                raise PictureError(
                    f"{levels} levels do not fit on {self.look.width_mm:g} mm: show fewer (depth)"
                )
            tallest = TALLEST_MM - _HEAD - _EDGE
            high = min(wide if self.style == "sunburst" else wide * _TALL, tallest)
            page = Page.new(self.look.width_mm, _HEAD + high + _EDGE, self.look.theme)
            page.heading(self.look.title or heading, below, _EDGE, self.look.theme)
            if self.style == "sunburst":
                wide = high
            axes = page.axes(_HEAD, (self.look.width_mm - wide) / 2, high, wide)
            axes.set_axis_off()
            axes.set_gid("tree")
            if self.style == "sunburst":
                axes.set(xlim=(-wide / 2, wide / 2), ylim=(-high / 2, high / 2))
                self._draw_rings(axes, wide / 2 / (levels - 0.5))
            else:
                axes.set(xlim=(0, wide), ylim=(high, 0))
                self._draw_columns(axes, wide / levels, high)
            return page.figure

    def _colour(self, part: Part) -> tuple[float, ...]:
        return tuple((self.structures.rgb[part.rank - 1] / 255).tolist())

    def _text(self, part: Part) -> str:
        return self.structures.acronyms[part.rank - 1]

    def _draw_rings(self, axes: Axes, thick: float) -> None:
        """Draw rings around a disc; angles go clockwise from the top, as on a clock."""
        from matplotlib.patches import Circle, Wedge

        edge = {"edgecolor": self.look.theme.page, "linewidth": 0.3}
        for part in self.parts:
            if part.level == 0:
                disc = Circle((0, 0), thick / 2, facecolor=self._colour(part), **edge)
                disc.set_gid(f"structure-{part.rank}")
                axes.add_artist(disc)
            else:
                outer = thick * (part.level + 0.5)
                wedge = Wedge(
                    (0, 0),
                    outer,
                    90 - 360 * part.last,
                    90 - 360 * part.first,
                    width=thick,
                    facecolor=self._colour(part),
                    **edge,
                )
                wedge.set_gid(f"structure-{part.rank}")
                axes.add_artist(wedge)
            if self.look.has_names:
                self._name_in_ring(axes, part, thick)

    def _name_in_ring(self, axes: Axes, part: Part, thick: float) -> None:
        """Write a name along its ring, or across it, if there is room."""
        inner = max(thick * (part.level - 0.5), 0.0)
        outer = thick * (part.level + 0.5)
        half = math.pi * (part.last - part.first)
        middle = math.pi / 2 - math.pi * (part.first + part.last)
        for size_pt in self.look.theme.name_sizes_pt:
            width, height, _ = text_extent(self._text(part))
            em = size_pt * POINT_MM
            wide, high = (width + 2 * _MARGIN) * em, (height + 2 * _MARGIN) * em
            if part.level == 0:
                if math.hypot(wide, high) <= 2 * outer:
                    self._write(axes, part, 0, 0, 0, size_pt)
                    return
                continue
            radius = _along(inner, outer, half, wide, high)
            turn = math.degrees(middle) - 90
            if radius is None:
                radius = _across(inner, outer, half, wide, high)
                turn = math.degrees(middle)
            if radius is not None:
                x, y = radius * math.cos(middle), radius * math.sin(middle)
                self._write(axes, part, x, y, _readable(turn), size_pt)
                return

    def _draw_columns(self, axes: Axes, wide: float, high: float) -> None:
        """Draw columns from left to right, the first of all at the top."""
        from matplotlib.patches import Rectangle

        for part in self.parts:
            left, top = part.level * wide, part.first * high
            tall = (part.last - part.first) * high
            box = Rectangle(
                (left, top),
                wide,
                tall,
                facecolor=self._colour(part),
                edgecolor=self.look.theme.page,
                linewidth=0.3,
            )
            box.set_gid(f"structure-{part.rank}")
            axes.add_artist(box)
            if self.look.has_names:
                self._name_in_box(axes, part, left + wide / 2, top + tall / 2, wide, tall)

    def _name_in_box(
        self, axes: Axes, part: Part, x: float, y: float, wide: float, tall: float
    ) -> None:
        width, height, _ = text_extent(self._text(part))
        for size_pt in self.look.theme.name_sizes_pt:
            em = size_pt * POINT_MM
            if (width + 2 * _MARGIN) * em <= wide and (height + _MARGIN) * em <= tall:
                self._write(axes, part, x, y, 0, size_pt)
                return

    def _write(
        self, axes: Axes, part: Part, x: float, y: float, turn: float, size_pt: float
    ) -> None:
        """Write a name with its ink in the middle of a place."""
        _, height, descent = text_extent(self._text(part))
        down = (height / 2 - descent) * size_pt * POINT_MM
        sign = 1 if axes.yaxis_inverted() else -1
        x += down * math.sin(math.radians(turn))
        y += sign * down * math.cos(math.radians(turn))
        axes.text(
            x,
            y,
            literal(self._text(part)),
            rotation=turn,
            rotation_mode="anchor",
            ha="center",
            va="baseline",
            fontsize=size_pt,
            color=ink_on(np.array(self._colour(part))),
            gid=f"name-{part.rank}",
        )


def _along(inner: float, outer: float, half: float, wide: float, high: float) -> float | None:
    """Return the radius at which a text that runs along a ring fits, None if it does not."""
    radius = (inner + math.sqrt(max(outer**2 - wide**2 / 4, 0.0))) / 2
    near = radius - high / 2
    fits = near >= inner and math.hypot(radius + high / 2, wide / 2) <= outer
    return radius if fits and near > 0 and math.atan2(wide / 2, near) <= half else None


def _across(inner: float, outer: float, half: float, wide: float, high: float) -> float | None:
    """Return the radius at which a text that runs outwards fits, None if it does not."""
    radius = (inner + math.sqrt(max(outer**2 - high**2 / 4, 0.0))) / 2
    near = radius - wide / 2
    fits = near >= inner and math.hypot(radius + wide / 2, high / 2) <= outer
    return radius if fits and near > 0 and math.atan2(high / 2, near) <= half else None


def _readable(turn: float) -> float:
    """Return a direction in which a text does not stand on its head.

    Examples
    --------
    >>> _readable(170.0), _readable(-100.0), _readable(30.0)
    (-10.0, 80.0, 30.0)
    """
    turn = (turn + 180) % 360 - 180
    if turn > 90:  # noqa: PLR2004 (degrees)
        return turn - 180
    return turn + 180 if turn <= -90 else turn  # noqa: PLR2004 (degrees)
