"""Slabs: the cells that lie near planes, read from a table in one go.

The one idea: cells go by once, block by block, and only those near a plane are kept. None is lost
unsaid: how many there are, how many are near, and how many of these are not seen, is known.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from atlasdb.cells.positions import Positions
from atlasdb.errors import PictureError, PointsError, did_you_mean, listing
from atlasdb.voxels.grid import AXES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from atlasdb.cells.reading import Points
    from atlasdb.plots.sections import Section
    from atlasdb.plots.slices import Planes

STRUCTURE, DENSITY = "structure", "density"
"""What colours of cells may mean, beside the values of a column."""

_THICKNESS_UM = 100.0


def reaches(
    shown: Planes, thickness_um: float | None, planes: int | None
) -> list[tuple[float, float]]:
    """Return from where to where each slab goes, microns; its far face is outside.

    Slabs of a series meet half-way between its planes, so that no cell is in two or in none.
    """
    at = [plane.at_um for plane in shown.planes]
    if thickness_um is not None and not 0 < thickness_um < np.inf:
        raise PictureError(f"a slab is thicker than 0 µm, not {thickness_um:g}")
    if thickness_um is None and planes is not None and len(set(at)) == len(at) > 1:
        middles = [(a + b) / 2 for a, b in pairwise(at)]
        borders = [2 * at[0] - middles[0], *middles, 2 * at[-1] - middles[-1]]
        return list(pairwise(borders))
    edge = shown.voxels.grid.resolution_um[shown.section.axis]
    half = (max(edge, _THICKNESS_UM) if thickness_um is None else thickness_um) / 2
    return [(position - half, position + half) for position in at]


@dataclass(frozen=True)
class Found:
    """The cells of some slabs.

    Attributes
    ----------
    points_um
        Of each slab (N, 3).
    values
        Of each slab (N,), the column that colours them, as text; None without.
    total
        How many cells there are in all.
    unplaced
        How many of them have no coordinates.
    """

    points_um: list[NDArray[np.float64]]
    values: list[NDArray[np.str_]] | None
    total: int
    unplaced: int

    def told(self, reach: str, beyond: int) -> str:
        """Return how many cells are seen, for people."""
        near = sum(map(len, self.points_um))
        text = f"{near:,} of {self.total:,} cells, {reach}"
        if beyond:
            text += f"; {beyond:,} of these lie beyond the picture"
        return f"{text}; {self.unplaced:,} have no coordinates" if self.unplaced else text


@dataclass(frozen=True)
class Slabs:
    """Slabs around planes.

    Attributes
    ----------
    shown
        The planes.
    reaches_um
        From where to where each goes along the section's axis; the far face is outside.
    """

    shown: Planes
    reaches_um: list[tuple[float, float]]

    @property
    def told(self) -> str:
        """How near to the planes cells are that are seen, for people."""
        thickest = max(end - first for first, end in self.reaches_um)
        plane = "plane" if len(self.reaches_um) == 1 else "planes"
        return f"{thickest / 2:g} µm from the {plane} at most"

    @property
    def section(self) -> Section:
        """Which way they are cut."""
        return self.shown.section

    def collect(self, points: Points, column: str | None) -> Found:
        """Read a table once and keep what lies in the slabs."""
        wanted = list(dict.fromkeys([*points.coordinates.columns, *([column] if column else [])]))
        if column is not None and column not in points.schema.names:
            raise PointsError(
                f"{points.name} has no column {column!r}"
                f"{did_you_mean(column, [*points.schema.names, STRUCTURE, DENSITY])}; cells are "
                f"coloured by {STRUCTURE}, {DENSITY} or a column: "
                f"{listing(points.schema.names, limit=20)}"
            )
        positions = Positions(points.coordinates, self.shown.voxels.grid)
        kept: list[list[NDArray[np.float64]]] = [[] for _ in self.shown.planes]
        values: list[list[NDArray[np.str_]]] = [[] for _ in self.shown.planes]
        total = unplaced = 0
        for block in points.blocks(wanted):
            microns = positions.microns(positions(block))
            total += len(microns)
            unplaced += int((~np.isfinite(microns).all(axis=1)).sum())
            texts = None if column is None else _texts(block.rows.column(column))
            for number, is_near in enumerate(self._near(microns)):
                kept[number].append(microns[is_near])
                if texts is not None:
                    values[number].append(texts[is_near])
        return Found(
            [np.concatenate([np.empty((0, AXES)), *parts]) for parts in kept],
            None
            if column is None
            else [np.concatenate([np.empty(0, np.str_), *parts]) for parts in values],
            total,
            unplaced,
        )

    def _near(self, microns: NDArray[np.float64]) -> list[NDArray[np.bool_]]:
        """Return which points lie in each slab."""
        along = microns[:, self.section.axis]
        is_placed = np.isfinite(microns).all(axis=1)
        return [is_placed & (along >= first) & (along < end) for first, end in self.reaches_um]

    def on_page(self, points_um: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return where points lie in the picture, (N, 2): along and down, mm."""
        return points_um[:, [self.section.columns, self.section.rows]] / 1e3

    def beyond(self, found: Found, window_mm: tuple[float, float, float, float]) -> int:
        """Return how many of the cells lie outside what is seen of the planes."""
        top, bottom, left, right = window_mm
        count = 0
        for points_um in found.points_um:
            along, down = self.on_page(points_um).T
            is_seen = (along >= left) & (along < right) & (down >= top) & (down < bottom)
            count += int((~is_seen).sum())
        return count

    def volumes_mm3(self, bin_um: float) -> list[float]:
        """Return the volume over one square of each slab, as far as it is in the atlas's volume."""
        length = self.shown.voxels.grid.extent_um[self.section.axis]
        return [
            (min(length, end) - max(0.0, first)) * bin_um**2 / 1e9 for first, end in self.reaches_um
        ]


def _texts(column: Any) -> NDArray[np.str_]:  # noqa: ANN401 (an Arrow array)
    """Return a column as texts."""
    return np.array(
        ["none" if value is None else str(value) for value in column.to_pylist()], dtype=np.str_
    )
