"""Slabs: the cells that lie near planes, read from a table in one go.

The one idea: cells go by once, block by block, and only those near a plane are kept. None is lost
unsaid: how many there are, how many are near, and how many of these are not seen, is known.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

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
_MOST_SQUARES = 8_000_000
_MOST_KEPT = 5_000_000


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
class Squares:
    """Squares on a plane in which cells are counted.

    Attributes
    ----------
    side_um
        How wide they are.
    down_um, along_um
        Their edges, microns; the last ones end with the volume.
    """

    side_um: float
    down_um: NDArray[np.float64]
    along_um: NDArray[np.float64]

    @classmethod
    def of(cls, slabs: Slabs, side_um: float) -> Squares:
        """Return squares that cover the volume.

        Raises
        ------
        PictureError
            They are no squares, or too many.
        """
        grid, section = slabs.shown.voxels.grid, slabs.section
        sizes = [grid.extent_um[section.rows], grid.extent_um[section.columns]]
        if not 0 < side_um <= max(sizes):
            raise PictureError(
                f"squares are wider than 0 µm, and no wider than the atlas: {side_um:g}"
            )
        numbers = [math.ceil(size / side_um) for size in sizes]
        if math.prod(numbers) * len(slabs.reaches_um) > _MOST_SQUARES:
            raise PictureError(
                f"squares of {side_um:g} µm are {math.prod(numbers):,} on a plane: too many to be "
                "seen"
            )
        edges = [
            np.minimum(np.arange(number + 1) * side_um, size)
            for number, size in zip(numbers, sizes, strict=True)
        ]
        return cls(side_um, *edges)

    @property
    def areas_um2(self) -> NDArray[np.float64]:
        """(down, along) float64."""
        return np.outer(np.diff(self.down_um), np.diff(self.along_um))

    def count(self, down: NDArray[np.float64], along: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return how many points lie in each square, (down, along)."""
        return np.histogram2d(down, along, bins=[self.down_um, self.along_um])[0]


@dataclass(frozen=True)
class Found:
    """The cells of some slabs.

    Attributes
    ----------
    points_um
        Of each slab (N, 3); none where they were counted in squares.
    values
        Of each slab (N,), the column that colours them, as text; None without.
    counts
        Of each slab (down, along), the cells in each square; none where they were kept.
    total, near, beyond, unplaced
        How many cells there are in all, how many of them lie in a slab, how many of these lie
        beyond what is seen of the plane, and how many have no coordinates.
    """

    points_um: list[NDArray[np.float64]]
    values: list[NDArray[np.str_]] | None
    counts: list[NDArray[np.float64]]
    total: int
    near: int
    beyond: int
    unplaced: int

    def told(self, reach: str) -> str:
        """Return how many cells are seen, for people."""
        text = f"{self.near:,} of {self.total:,} cells, {reach}"
        if self.beyond:
            text += f"; {self.beyond:,} of these lie beyond the picture"
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
        farthest = max(
            max(plane.at_um - first, end - plane.at_um)
            for plane, (first, end) in zip(self.shown.planes, self.reaches_um, strict=True)
        )
        plane = "plane" if len(self.reaches_um) == 1 else "planes"
        return f"{farthest:g} µm from the {plane} at most"

    @property
    def section(self) -> Section:
        """Which way they are cut."""
        return self.shown.section

    def collect(self, points: Points, column: str | None, squares: Squares | None) -> Found:
        """Read a table once: keep what lies in the slabs, or count it in squares.

        Raises
        ------
        PointsError
            The table has no such column, or a coordinate is no number.
        PictureError
            More than five million cells are to be kept.
        """
        wanted = _wanted(points, column)
        positions = Positions(points.coordinates, self.shown.voxels.grid)
        slabs = [_Slab(self, number, squares) for number in range(len(self.reaches_um))]
        total = unplaced = near = beyond = 0
        for block in points.blocks(wanted):
            microns = positions.microns(positions(block))
            is_placed = np.logical_and.reduce(np.isfinite(microns), axis=1)
            total += len(microns)
            unplaced += int((~is_placed).sum())
            is_near = np.zeros(len(microns), dtype=np.bool_)
            for slab in slabs:
                rows = slab.take(microns, is_placed)
                if column is not None:
                    slab.values.append(_texts(block.rows.column(column).take(pa.array(rows))))
                is_near[rows] = True
            near += int(is_near.sum())
            beyond += int((is_near & ~self._is_seen(microns)).sum())
            if squares is None and sum(slab.kept for slab in slabs) > _MOST_KEPT:
                raise PictureError(
                    f"over {_MOST_KEPT:,} cells lie in the slab: too many to be drawn as points. "
                    f"Show a thinner one, or their density (color='{DENSITY}')"
                )
        return Found(
            [slab.points for slab in slabs],
            None if column is None else [slab.texts for slab in slabs],
            [slab.counts for slab in slabs if slab.counts is not None],
            total,
            near,
            beyond,
            unplaced,
        )

    def _is_seen(self, microns: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Return which points lie in what is seen of the planes."""
        top, bottom, left, right = self.shown.window_mm
        along, down = self.on_page(microns).T
        seen: NDArray[np.bool_] = (
            (along >= left) & (along < right) & (down >= top) & (down < bottom)
        )
        return seen

    def on_page(self, points_um: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return where points lie in the picture, (N, 2): along and down, mm."""
        return points_um[:, [self.section.columns, self.section.rows]] / 1e3

    def depths_um(self) -> list[float]:
        """Return how thick each slab is, as far as it is in the atlas's volume."""
        length = self.shown.voxels.grid.extent_um[self.section.axis]
        return [min(length, end) - max(0.0, first) for first, end in self.reaches_um]


class _Slab:
    """What is taken of one slab.

    Parameters
    ----------
    slabs
        All slabs.
    number
        Which of them it is.
    squares
        Where cells are counted; None to keep them.
    """

    def __init__(self, slabs: Slabs, number: int, squares: Squares | None) -> None:
        self._section = slabs.section
        self._first, self._end = slabs.reaches_um[number]
        self._length = slabs.shown.voxels.grid.extent_um[slabs.section.axis]
        self._squares = squares
        self._points: list[NDArray[np.float64]] = [np.empty((0, AXES))]
        self.values: list[NDArray[np.str_]] = [np.empty(0, np.str_)]
        self.kept = 0
        self.counts = None if squares is None else np.zeros(squares.areas_um2.shape)

    def take(self, microns: NDArray[np.float64], is_placed: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Keep or count the points of a block that lie in the slab; return their rows."""
        along = microns[:, self._section.axis]
        rows = np.flatnonzero(is_placed & (along >= self._first) & (along < self._end))
        found = microns[rows]
        if self._squares is None or self.counts is None:
            self._points.append(found)
            self.kept += len(found)
        else:
            # Densities are of the atlas's volume: what lies before or behind it is not in it.
            depth = found[:, self._section.axis]
            found = found[(depth >= 0) & (depth < self._length)]
            down, across = found[:, self._section.rows], found[:, self._section.columns]
            self.counts += self._squares.count(down, across)
        return rows

    @property
    def points(self) -> NDArray[np.float64]:
        """What was kept, (N, 3)."""
        return np.concatenate(self._points)

    @property
    def texts(self) -> NDArray[np.str_]:
        """The values of what was kept, (N,)."""
        return np.concatenate(self.values)


def _wanted(points: Points, column: str | None) -> list[str]:
    """Return the columns that are read."""
    if column is not None and column not in points.schema.names:
        known = [*points.schema.names, STRUCTURE, DENSITY]
        raise PointsError(
            f"{points.name} has no column {column!r}{did_you_mean(column, known)}; cells are "
            f"coloured by {STRUCTURE}, {DENSITY} or a column: "
            f"{listing(points.schema.names, limit=20)}"
        )
    return list(dict.fromkeys([*points.coordinates.columns, *([column] if column else [])]))


def _texts(column: Any) -> NDArray[np.str_]:  # noqa: ANN401 (an Arrow array)
    """Return a column as texts."""
    return np.array(
        ["none" if value is None else str(value) for value in column.to_pylist()], dtype=np.str_
    )
