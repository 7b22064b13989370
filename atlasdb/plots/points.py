"""Cells over planes: those of a slab as points, or how densely they lie."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, Unpack

import numpy as np

from atlasdb.cells import frames
from atlasdb.cells.columns import Stated
from atlasdb.cells.reading import Points
from atlasdb.errors import PictureError
from atlasdb.plots.legend import Entry, Legend
from atlasdb.plots.looks import LookWords, look_of
from atlasdb.plots.picture import Picture
from atlasdb.plots.regions import find_regions
from atlasdb.plots.scales import Scale
from atlasdb.plots.sheets import Sheet
from atlasdb.plots.slabs import DENSITY, STRUCTURE, Slabs, Squares, reaches
from atlasdb.plots.slices import read_planes, several, voxels_of
from atlasdb.plots.style import PALETTE, need_matplotlib
from atlasdb.voxels.ranks import INSIDE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from atlasdb.atlas import Atlas
    from atlasdb.plots.looks import Look
    from atlasdb.plots.regions import Regions
    from atlasdb.plots.slabs import Found
    from atlasdb.plots.slices import PlanePositions
    from atlasdb.plots.style import Theme
    from atlasdb.voxels import AtlasVoxels
    from atlasdb.voxels.ranks import Structure

_BIN_UM = 100.0
_FAINT = 0.15
_MOST_VALUES = len(PALETTE)
_RASTERED_FROM = 20_000


def plot_cells(
    atlas: Atlas | AtlasVoxels,
    cells: Any,  # noqa: ANN401 (many kinds)
    section: str = "frontal",
    *,
    at_um: PlanePositions = None,
    planes: int | None = None,
    thickness_um: float | None = None,
    color: str = STRUCTURE,
    columns: Sequence[str] | None = None,
    unit: str | None = None,
    orientation: str | None = None,
    space: Literal["atlas"] | None = None,
    structures: Structure | Sequence[Structure] | None = None,
    depth: int | None = None,
    zoom: bool = False,
    size_pt: float | None = None,
    bin_um: float = _BIN_UM,
    cmap: str | None = None,
    vmin: float | None = None,
    vmax: float | None = None,
    log: bool = False,
    opacity: float = _FAINT,
    reference: str | None = None,
    **look: Unpack[LookWords],
) -> Picture:
    """Draw the cells of a slab around one plane or several, over its structures.

    Parameters
    ----------
    atlas
        The atlas: `Database.atlas` or `Database.voxels`.
    cells, columns, unit, orientation, space
        A table of points in the atlas's space, as of `Database.count_cells`; or one that
        `atlasdb.cells.reading.open_points` has opened.
    section, at_um, planes, zoom, reference, **look
        As of `plot_slice`.
    thickness_um
        The slab's thickness, microns: cells from half of it before the plane to half behind. By
        default 100; slabs of a series (`planes`) meet half-way between its planes.
    color
        'structure' for the colour of the structure in which a cell is, 'density' for cells per mm³
        instead of points, or a column, such as the sample.
    structures, depth
        What is outlined and named under the cells, as of `plot_slice`. Cells elsewhere are shown
        as well, as hollow circles.
    size_pt
        The points' diameter; by default the smaller, the more there are.
    bin_um
        For 'density': the side of the squares in which cells are counted.
    cmap, vmin, vmax, log
        For 'density', as of `plot_heatmap`.
    opacity
        Of the structures' colours under the cells.

    Returns
    -------
    Picture
        The picture; its caption says how many cells there are and how many of them are seen.

    Raises
    ------
    PointsError
        The cells cannot be read.
    PictureError
        A column with more than 8 values, or a slab with more than 5 million cells as points.

    Examples
    --------
    >>> import atlasdb, numpy as np, tempfile
    >>> db = atlasdb.connect(tempfile.mkdtemp())
    >>> _ = db.ingest("phantom_mouse_100um")
    >>> cells = np.array([[4950, 4150, 3150], [4980, 4200, 3000], [9000, 100, 100]])
    >>> plot_cells(db.atlas("phantom_mouse_100um"), cells, at_um=5000, unit="um")
    <atlasdb.plots.Picture: frontal plane at AP 5 mm of phantom_mouse_100um@1.0: 2 of 3 cells, \
50 µm from the plane at most>
    """
    need_matplotlib()
    voxels = voxels_of(atlas)
    style = look_of(look)
    named = several(structures)
    regions = find_regions(voxels, structures=named, depth=depth)
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
    slabs = Slabs(shown, reaches(shown, thickness_um, planes))
    squares = Squares.of(slabs, bin_um) if color == DENSITY else None
    points = cells
    if not isinstance(cells, Points):
        points = frames.read(cells, Stated(columns, unit, orientation, space)).points
    found = slabs.collect(points, None if color in {STRUCTURE, DENSITY} else color, squares)
    rgba = regions.rgba(opacity)
    views = shown.views(regions, rgba)
    if squares is not None:
        densities = [
            counts / (squares.areas_um2 * depth_um / 1e9)
            for counts, depth_um in zip(found.counts, slabs.depths_um(), strict=True)
        ]
        scale = _scale(densities, cmap=cmap, vmin=vmin, vmax=vmax, log=log)
        drawers: list[Any] = [_Density(squares, density, scale) for density in densities]
        legend = Legend(scale.mappable, "cells per mm³", scale.extend)
    else:
        drawers, legend = _dots(slabs, found, regions, color, size_pt, style)
    views = [replace(view, draw_over=draw) for view, draw in zip(views, drawers, strict=True)]
    sheet = Sheet(voxels, views, style, shown.window_mm, legend)
    return Picture(sheet.draw(), shown.caption(found.told(slabs.told)))


def _scale(
    densities: list[NDArray[np.float64]],
    *,
    cmap: str | None,
    vmin: float | None,
    vmax: float | None,
    log: bool,
) -> Scale:
    """Return the scale of densities; squares without cells stay free, and do not matter to it."""
    every = np.concatenate([density.ravel() for density in densities])
    positive = every[every > 0]
    is_log = log and bool(positive.size)
    return Scale.of(positive if is_log else every, cmap=cmap, vmin=vmin, vmax=vmax, log=is_log)


@dataclass(frozen=True)
class _Density:
    """Draws how densely cells lie.

    Attributes
    ----------
    squares
        Where they were counted.
    density
        (down, along) cells per mm³.
    scale
        Its colours.
    """

    squares: Squares
    density: NDArray[np.float64]
    scale: Scale

    def __call__(self, axes: Axes) -> None:
        """Draw it on axes in mm."""
        rgba = self.scale.mappable.to_rgba(self.density)
        rgba[self.density == 0, 3] = 0
        rows, columns = self.density.shape
        side_mm = self.squares.side_um / 1e3  # the last squares reach beyond the volume
        axes.imshow(
            rgba,
            extent=(0, columns * side_mm, rows * side_mm, 0),
            interpolation="nearest",
            aspect="auto",
            zorder=1.5,
            gid="density",
        )


def _dots(
    slabs: Slabs,
    found: Found,
    regions: Regions,
    color: str,
    size_pt: float | None,
    look: Look,
) -> tuple[list[Any], Legend]:
    """Return what draws the points of each slab, and what their colours mean."""
    most = max(map(len, found.points_um))
    size = float(np.clip(120 / max(most, 1) ** 0.5, 0.6, 3.0)) if size_pt is None else size_pt
    if not 0 < size < np.inf:
        raise PictureError(f"points are larger than 0, not {size:g}")
    palette, entries = _palette(found, color)
    is_in_none = False
    drawers = []
    for number, points_um in enumerate(found.points_um):
        rgb, is_inside = _of_structures(slabs, regions, points_um)
        if found.values is not None:
            rgb = palette(found.values[number])
        is_in_none |= not is_inside.all()
        has_meaning = found.values is not None
        places = slabs.on_page(points_um)
        drawers.append(_Dots(places, rgb, is_inside, size, look.theme, has_meaning))
    if is_in_none:
        what = "in no structure" if regions.code[1:].all() else "elsewhere"
        entries.append(Entry(what, look.theme.ink, marker="o", is_hollow=True))
    return drawers, Legend(entries=entries)


def _palette(found: Found, color: str) -> tuple[Any, list[Entry]]:
    """Return what gives colours to values, and a legend of them."""
    if found.values is None:
        return None, []
    distinct = np.unique(np.concatenate(found.values)).tolist()
    if len(distinct) > _MOST_VALUES:
        raise PictureError(
            f"{color} has {len(distinct):,} values, and {_MOST_VALUES} colours can be told apart: "
            f"colour by another column, by {STRUCTURE} or by {DENSITY}"
        )
    from matplotlib.colors import to_rgb

    colours = dict(zip(distinct, PALETTE, strict=False))

    def palette(values: NDArray[np.str_]) -> NDArray[np.float64]:
        return np.array([to_rgb(colours[value]) for value in values.tolist()]).reshape(-1, 3)

    return palette, [Entry(value, colour, marker="o") for value, colour in colours.items()]


def _of_structures(
    slabs: Slabs, regions: Regions, points_um: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return the colour of the structure at each point, and whether there is one of those shown."""
    at = slabs.shown.voxels.lookup(points_um)
    is_inside = at.statuses == INSIDE
    code = np.zeros(len(points_um), dtype=np.int64)
    code[is_inside] = regions.code[at.ranks[is_inside]]
    return regions.rgb[code], is_inside & (code > 0)


@dataclass(frozen=True)
class _Dots:
    """Draws points: filled in structures, hollow elsewhere.

    Attributes
    ----------
    places
        (N, 2) along and down, mm.
    rgb
        (N, 3) their colours.
    is_inside
        (N,) whether they are filled.
    size_pt
        Their diameter.
    theme
        The page's looks.
    has_meaning
        Whether colours mean something of hollow points, too.
    """

    places: NDArray[np.float64]
    rgb: NDArray[np.float64]
    is_inside: NDArray[np.bool_]
    size_pt: float
    theme: Theme
    has_meaning: bool

    def __call__(self, axes: Axes) -> None:
        """Draw them on axes in mm."""
        shared: dict[str, Any] = {
            "s": self.size_pt**2,
            "zorder": 3,
            "rasterized": len(self.places) > _RASTERED_FROM,
        }
        x, y = self.places[self.is_inside].T
        rgb = self.rgb[self.is_inside]
        thin = min(0.25, self.size_pt / 5)
        axes.scatter(
            x, y, c=rgb, edgecolors=self.theme.line, linewidths=thin, gid="cells", **shared
        )
        x, y = self.places[~self.is_inside].T
        ring: Any = self.rgb[~self.is_inside] if self.has_meaning else self.theme.ink
        for colour, width in ((self.theme.page, 1.1), (ring, 0.5)):
            axes.scatter(
                x,
                y,
                facecolors="none",
                edgecolors=colour,
                linewidths=width,
                gid="cells-elsewhere",
                **shared,
            )
