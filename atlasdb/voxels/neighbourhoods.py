"""Neighbourhoods: which structures lie within a radius of points, and how much of each.

The one idea: a sphere's voxels are offsets from the voxel of its centre, and their squared distance
is a sum of one term an axis, so that many points are measured at once by adding three short tables.
Points and, for large spheres, planes of offsets are taken a few million voxels at a time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from atlasdb.voxels.grid import AXES, checked_points
from atlasdb.voxels.points import share_out

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import ArrayLike, NDArray

    from atlasdb.voxels.grid import Grid

    _Rows = tuple[NDArray[np.int64], NDArray[Any], NDArray[np.int64]]

_VOXELS = 1 << 21
_BINS = 1 << 22
_FAR_VOXELS = 1 << 31


@dataclass(frozen=True)
class SphereComposition:
    """What is around points: a row for each point and code that occurs there.

    Attributes
    ----------
    point
        (M,) int64, the point's row, ascending.
    codes
        (M,) what is there: the code with most voxels first, then the smaller one.
    voxels
        (M,) int64, how many voxels of it.
    """

    point: NDArray[np.int64]
    codes: NDArray[Any]
    voxels: NDArray[np.int64]


def sphere_composition(
    points_um: ArrayLike,
    radius_um: float,
    grid: Grid,
    ranks: NDArray[Any],
    codes: NDArray[Any],
    *,
    threads: int | None = None,
) -> SphereComposition:
    """Count the voxels of each code in a sphere around each point.

    Parameters
    ----------
    points_um
        (N, 3) microns along AP, SI, RL.
    radius_um
        A voxel counts if its centre is no farther from the point than this. The voxel in which the
        point lies always counts. Beyond the volume the grid is thought to go on, outside.
    grid
        The volume's voxels.
    ranks
        The rank volume.
    codes
        (size + 1,) what each rank is taken for; the last entry is for outside the volume.
    threads
        How many; one a processor by default.

    Returns
    -------
    SphereComposition
        One voxel outside for a point that is NaN or infinite.

    Raises
    ------
    ValueError
        A radius that is negative or not finite.

    Examples
    --------
    >>> from atlasdb.voxels.grid import Grid
    >>> ranks = np.array([[[1, 1, 2, 0]]], dtype=np.uint16)
    >>> grid = Grid((1, 1, 4), (50.0, 50.0, 10.0))
    >>> table = np.array([0, 1, 2, -2])
    >>> found = sphere_composition([[25, 25, 15]], 20, grid, ranks, table)
    >>> found.codes, found.voxels
    (array([ 1, -2,  0,  2]), array([2, 1, 1, 1]))
    """
    points = checked_points(points_um).astype(np.float64)
    if not (np.isfinite(radius_um) and radius_um >= 0):
        raise ValueError(f"a radius is a number from 0, found {radius_um}")
    kinds, kind_of_rank = np.unique(codes, return_inverse=True)
    sphere = _Sphere(radius_um, grid, ranks, kind_of_rank, kinds.size)
    chunk = max(1, min(_VOXELS // sphere.voxels, _BINS // kinds.size))

    def work(numbers: Iterator[int]) -> list[tuple[int, _Rows]]:
        # A table of all kinds is mostly zeros: only its rows may wait for the other chunks.
        return [
            (number, _rows(start, sphere.counts(points[start : start + chunk]), kinds))
            for number in numbers
            for start in [number * chunk]
        ]

    counted = [
        part for parts in share_out(work, -(-len(points) // chunk), threads) for part in parts
    ]
    rows = [part for _, part in sorted(counted, key=lambda c: c[0])]
    if not rows:
        return SphereComposition(np.empty(0, np.int64), codes[:0], np.empty(0, np.int64))
    point, found, voxels = map(np.concatenate, zip(*rows, strict=True))
    return SphereComposition(point, found, voxels)


def _rows(start: int, counts: NDArray[np.int64], kinds: NDArray[Any]) -> _Rows:
    """Return what occurs around each of some points, most voxels first."""
    point, kind = np.nonzero(counts)
    voxels = counts[point, kind]
    order = np.lexsort((kind, -voxels, point))
    return point[order] + start, kinds[kind[order]], voxels[order]


class _Sphere:
    """A sphere of one radius, to be put around points.

    Parameters
    ----------
    radius_um, grid, ranks
        As of `sphere_composition`.
    kind_of_rank
        (size + 1,) integers from 0, what each rank is counted as.
    kinds
        How many kinds there are.
    """

    def __init__(
        self,
        radius_um: float,
        grid: Grid,
        ranks: NDArray[Any],
        kind_of_rank: NDArray[np.int64],
        kinds: int,
    ) -> None:
        self._radius_um = radius_um
        self._grid = grid
        self._ranks = ranks.reshape(-1)
        self._kind_of_rank = kind_of_rank
        self._kinds = kinds
        reach = [int(np.ceil(radius_um / edge)) + 1 for edge in grid.resolution_um]
        self._offsets = [np.arange(-n, n + 1) for n in reach]

    @property
    def voxels(self) -> int:
        """The number of voxels of the box around the sphere."""
        return int(np.prod([offsets.size for offsets in self._offsets]))

    def counts(self, points: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return (N, kinds) int64, the voxels of each kind around each point."""
        finite: NDArray[np.bool_] = np.asarray(np.isfinite(points).all(axis=1))
        counts = np.zeros((len(points), self._kinds), dtype=np.int64)
        counts[~finite, self._kind_of_rank[-1]] = 1
        microns = np.where(finite[:, None], points, 0.0)
        with np.errstate(over="ignore"):
            place = np.clip(microns / self._grid.resolution_um, -1e300, 1e300)
        voxel = np.floor(place)
        # Far away, where microns are too coarse for distances, a voxel less far stands for it.
        seen = np.clip(voxel, -_FAR_VOXELS, _FAR_VOXELS)
        moved = (seen + (place - voxel)) * self._grid.resolution_um
        microns = np.where(seen == voxel, microns, moved)
        # From centres in microns, as parts of voxels round: 0.58 * 25 is less than 14.5.
        squares = [
            np.square((seen[:, axis, None] + offsets + 0.5) * edge - microns[:, axis, None])
            for axis, (offsets, edge) in enumerate(
                zip(self._offsets, self._grid.resolution_um, strict=True)
            )
        ]
        self._add_own(counts, squares, voxel, finite)
        reach = [offsets[-1] + 1 for offsets in self._offsets]
        near = np.clip(voxel, np.negative(reach), np.add(self._grid.shape, reach)).astype(np.int64)
        indices = [near[:, axis, None] + self._offsets[axis] for axis in range(AXES)]
        planes = max(1, _VOXELS // max(1, len(points) * squares[1].shape[1] * squares[2].shape[1]))
        for start in range(0, self._offsets[0].size, planes):
            part = slice(start, start + planes)
            self._add(
                counts,
                [squares[0][:, part], *squares[1:]],
                [indices[0][:, part], *indices[1:]],
                finite,
            )
        return counts

    def _add_own(
        self,
        counts: NDArray[np.int64],
        squares: list[NDArray[np.float64]],
        voxel: NDArray[np.float64],
        finite: NDArray[np.bool_],
    ) -> None:
        """Count the points' own voxels where the sphere is too small to reach their centres."""
        middle = [offsets.size // 2 for offsets in self._offsets]
        distance = np.sqrt(sum(s[:, m] for s, m in zip(squares, middle, strict=True)))
        rows = np.flatnonzero(finite & (distance > self._radius_um))
        inside = np.asarray(((voxel >= 0) & (voxel < self._grid.shape)).all(axis=1))[rows]
        kind = np.full(rows.size, self._kind_of_rank[-1])
        index = voxel[rows[inside]].astype(np.int64)
        linear = np.ravel_multi_index(tuple(index.T), self._grid.shape)
        kind[inside] = self._kind_of_rank[self._ranks[linear]]
        counts[rows, kind] += 1

    def _add(
        self,
        counts: NDArray[np.int64],
        squares: list[NDArray[np.float64]],
        indices: list[NDArray[np.int64]],
        finite: NDArray[np.bool_],
    ) -> None:
        """Count the voxels of some planes of the box whose centres are within the radius."""
        ap, si, rl = squares
        square = ap[:, :, None, None] + si[:, None, :, None] + rl[:, None, None, :]
        within = np.sqrt(square, out=square) <= self._radius_um
        within &= finite[:, None, None, None]
        hits = np.flatnonzero(within)
        box = within[0].size
        point, rest = np.divmod(hits, box)
        plane, rest = np.divmod(rest, within.shape[2] * within.shape[3])
        row, column = np.divmod(rest, within.shape[3])
        index = [
            along[point, offset]
            for along, offset in zip(indices, (plane, row, column), strict=True)
        ]
        inside = np.ones(hits.size, dtype=np.bool_)
        linear = np.zeros(hits.size, dtype=np.int64)
        for along, size in zip(index, self._grid.shape, strict=True):
            inside &= (along >= 0) & (along < size)
            linear = linear * size + along
        kind = self._kind_of_rank[self._ranks.take(linear * inside, mode="wrap")]
        kind = np.where(inside, kind, self._kind_of_rank[-1])
        found = np.bincount(point * self._kinds + kind, minlength=counts.size)
        counts += found.reshape(counts.shape)
