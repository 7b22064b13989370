"""Heatmaps: values of structures as colours, on one plane or on many."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np

from atlasdb.errors import PictureError
from atlasdb.plots.cutting import cut_at, told_of_lost
from atlasdb.plots.legend import Entry, Legend
from atlasdb.plots.looks import LookWords, look_of
from atlasdb.plots.painting import HEMISPHERES, Painted, paint
from atlasdb.plots.picture import Picture
from atlasdb.plots.reading import read_values
from atlasdb.plots.regions import checked_opacity
from atlasdb.plots.scales import Scale
from atlasdb.plots.sheets import Sheet
from atlasdb.plots.slices import read_planes, several, voxels_of
from atlasdb.plots.style import need_matplotlib
from atlasdb.plots.values import BOTH
from atlasdb.plots.views import View
from atlasdb.runs import LEFT, RIGHT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from atlasdb.atlas import Atlas
    from atlasdb.plots.looks import Look
    from atlasdb.plots.slices import PlanePositions, Planes
    from atlasdb.plots.style import Theme
    from atlasdb.plots.values import Aggregate, Values
    from atlasdb.voxels import AtlasVoxels
    from atlasdb.voxels.ranks import RankTable, Structure


def plot_heatmap(
    atlas: Atlas | AtlasVoxels,
    values: Any,  # noqa: ANN401 (many kinds)
    section: str = "frontal",
    *,
    at_um: PlanePositions = None,
    planes: int | None = None,
    structures: Structure | Sequence[Structure] | None = None,
    zoom: bool = False,
    column: str | None = None,
    by: str | None = None,
    left: str | None = None,
    right: str | None = None,
    where: Mapping[str, object] | None = None,
    aggregate: Aggregate | None = None,
    depth: int | None = None,
    cmap: str | None = None,
    vmin: float | None = None,
    vmax: float | None = None,
    log: bool = False,
    label: str | None = None,
    opacity: float = 1.0,
    reference: str | None = None,
    **look: Unpack[LookWords],
) -> Picture:
    """Draw values of structures as colours, in one plane or several.

    Parameters
    ----------
    atlas
        The atlas: `Database.atlas` or `Database.voxels`.
    values
        A dictionary ``{acronym or id: number}``, or of several, ``{group: {…: number}}``; what
        `Database.count_cells` or ``atlasdb cells count`` gives; a frame, or the path of a .csv,
        .tsv, .json or .parquet file. Rows with a ``hemisphere`` are painted on that one.
    section, at_um, planes, structures, zoom, reference, **look
        As of `plot_slice`; `structures` choose the planes and the part that is zoomed on.
    column
        Which column holds the values; by default ``cells``, or the only one with numbers.
    by, left, right
        One group on each hemisphere: the values of column `by` (not needed for dictionaries) that
        are painted on the left and on the right. Each shows the values of both hemispheres: counts
        are added, others must be of both.
    where
        Take only rows with these values in these columns.
    aggregate
        What is made of several rows of one structure, such as those of several samples: 'mean',
        'median' or 'sum'. By default they are an error.
    depth
        Steps from the root: deeper structures show what their ancestor there does. Counts below
        the depth are added up where their ancestor has no row; how many other rows are left out, is
        said.
    cmap
        A colour map of matplotlib's; by default viridis, or PuOr where values have both signs.
    vmin, vmax
        The values of its ends; by default it reaches from 0 to the value farthest from it. Where
        values have both signs, 0 is in the middle, unless both ends are named.
    log
        Whether colours go by the logarithm; zeros are then told apart.
    label
        What the colour bar says; by default what the values are, with their unit.
    opacity
        Of the colours over the reference; under 1 they are no longer those of the bar.

    Returns
    -------
    Picture
        The picture. Structures without a value are grey and hatched, and so told from those with 0.

    Raises
    ------
    UnknownStructureError, UnknownDepthError
        There are values of structures that the atlas does not have, or there is no such depth.
    LookupFailedError
        There is no such section, group, colour map or reference.
    PictureError
        What the values mean cannot be told, or nothing can be drawn of them.
    OutsideError
        A plane outside the volume.
    MissingPackageError
        matplotlib is not installed.

    Notes
    -----
    A structure paints all below it, except for what has a row of its own, be its value missing.

    Examples
    --------
    >>> import atlasdb, tempfile
    >>> db = atlasdb.connect(tempfile.mkdtemp())
    >>> _ = db.ingest("phantom_mouse_100um")
    >>> values = {"CH": 2.5, "CP": 7.0, "TH": 0.0}
    >>> plot_heatmap(db.atlas("phantom_mouse_100um"), values, at_um=5500)
    <atlasdb.plots.Picture: frontal plane at AP 5.5 mm of phantom_mouse_100um@1.0: value, 0 to 7>
    """
    need_matplotlib()
    voxels = voxels_of(atlas)
    style = look_of(look)
    given = read_values(values, voxels, column=column, by=by, where=where)
    lost = 0
    if depth is not None:
        given, lost = cut_at(given, voxels.rank_table, depth)
    painted = _painted(given, voxels.rank_table, left, right, aggregate, depth)
    scale = Scale.of(_seen(painted, voxels), cmap=cmap, vmin=vmin, vmax=vmax, log=log)
    named = several(structures)
    shown = read_planes(
        voxels,
        section,
        at_um=at_um,
        planes=planes,
        structures=named,
        zoom=zoom,
        reference=reference,
        flat=style.theme.flat,
    )
    halves = None if left is None and right is None else (left or "no value", right or "no value")
    views = _Colouring(painted, scale, opacity, style).views(shown)
    legend = _legend(scale, views, label or given.unit, style.theme)
    sheet = Sheet(voxels, views, style, shown.window_mm, legend, halves, line=style.theme.faint)
    told = f"{label or given.unit}, {scale.told}{told_of_lost(lost, depth)}"
    groups = [group for group in (left, right) if group is not None]
    return Picture(
        sheet.draw(),
        shown.caption(told + given.told_of_nowhere(*groups, are_folded=aggregate is not None)),
    )


def _painted(
    values: Values,
    table: RankTable,
    left: str | None,
    right: str | None,
    aggregate: Aggregate | None,
    depth: int | None,
) -> Painted:
    """Paint one group on both hemispheres, or one on each."""
    if left is None and right is None:
        return paint(values.single(aggregate), table, depth=depth)
    parts = [
        (side, paint(_together(values.of_group(group), aggregate), table, depth=depth))
        for side, group in ((LEFT, left), (RIGHT, right))
        if group is not None
    ]
    numbers = np.full((len(HEMISPHERES), table.size), np.nan)
    owner = np.zeros((len(HEMISPHERES), table.size), dtype=np.int64)
    for side, painted in parts:
        numbers[side], owner[side] = painted.numbers[side], painted.owner[side]
    return Painted(numbers, owner)


def _together(values: Values, aggregate: Aggregate | None) -> Values:
    """Return a group's values of both hemispheres, which one of them is to show.

    Raises
    ------
    PictureError
        They are by hemisphere, and cannot be added.
    """
    single = values.single(aggregate)
    if (single.sides == BOTH).all():
        return single
    if not values.is_additive or aggregate == "median":
        raise PictureError(
            f"{values.source} has {values.column} by hemisphere, and one hemisphere is to show "
            "both: count with both together (--together)"
        )
    return replace(single, sides=np.full_like(single.sides, BOTH)).single("sum")


def _seen(painted: Painted, voxels: AtlasVoxels) -> NDArray[np.float64]:
    """Return the values that voxels somewhere in the atlas show."""
    n = len(voxels.structures)
    own = voxels.statistics()["direct_voxels"].to_numpy().reshape(n, 3)[:, 0] > 0
    numbers = painted.numbers[:, 1 : n + 1][:, own]
    found = numbers[~np.isnan(numbers)]
    every = painted.numbers[~np.isnan(painted.numbers)]
    return found if found.size else every


@dataclass(frozen=True)
class _Colouring:
    """What is painted, as views.

    Attributes
    ----------
    painted
        The values by hemisphere and rank.
    scale
        Their colours.
    opacity
        Of the colours.
    look
        How it looks.
    """

    painted: Painted
    scale: Scale
    opacity: float
    look: Look

    @property
    def are_apart(self) -> bool:
        """Whether the hemispheres show different things, and so have a border between them."""
        left, right = self.painted.numbers[LEFT], self.painted.numbers[RIGHT]
        return not np.array_equal(left, right, equal_nan=True)

    def views(self, shown: Planes) -> list[View]:
        """Return planes as they are drawn; keys are ranks and hemispheres."""
        table = shown.voxels.rank_table
        size = table.size
        is_missing = np.isnan(self.painted.numbers)
        rgb = self.scale.colours(self.painted.numbers, self.look.theme)
        alpha = np.full((*is_missing.shape, 1), checked_opacity(self.opacity))
        rgba = np.concatenate([rgb, alpha], axis=-1).reshape(-1, 4)
        # Of what nobody owns, the border is drawn as of one region.
        codes = np.where(self.painted.owner > 0, self.painted.owner, size)
        if self.are_apart:
            codes = codes + np.arange(len(HEMISPHERES))[:, None] * (size + 1)
        names = self._names(table, codes)
        flat = codes.ravel()
        views = []
        for plane, grey in zip(shown.planes, shown.greys, strict=True):
            keys = plane.ranks + plane.sides.astype(np.int64) * size
            present = set(np.unique(flat[keys[plane.ranks > 0]]).tolist())
            view = View.of(
                plane,
                grey,
                keys,
                rgba=rgba,
                codes=flat,
                names=self._once(names, present),
                is_hatched=is_missing.ravel(),
            )
            views.append(view)
        return views

    def _names(self, table: RankTable, codes: NDArray[np.int64]) -> dict[int, str]:
        """Return what regions with a value are called."""
        acronyms = table.structures.acronyms
        has_name = (self.painted.owner > 0) & ~np.isnan(self.painted.numbers)
        return {
            int(code): acronyms[owner - 1]
            for code, owner in zip(
                codes[has_name].tolist(), self.painted.owner[has_name].tolist(), strict=True
            )
        }

    def _once(self, names: dict[int, str], present: set[int]) -> dict[int, str]:
        """Return names of regions that are seen, each once: on the picture's left if it can be."""
        if not self.are_apart:
            return names
        size = self.painted.owner.shape[1] + 1
        first = LEFT if self.look.is_mirrored else RIGHT
        order = sorted(names.keys() & present, key=lambda code: (code // size != first, code))
        once: dict[str, int] = {}
        for code in order:
            once.setdefault(names[code], code)
        return {code: name for name, code in once.items()}


def _legend(scale: Scale, views: Sequence[View], label: str, theme: Theme) -> Legend:
    """Return what the colours mean."""
    entries = []
    if scale.is_log and scale.has_zeros:
        entries.append(Entry("0", theme.page))
    if any(view.is_hatched[view.keys].any() for view in views):
        entries.append(Entry("no value", theme.missing, is_hatched=True))
    return Legend(scale.mappable, label, scale.extend, entries)
