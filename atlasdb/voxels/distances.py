"""The exact distance from points to a structure's boundary.

The one idea: a structure of voxels is bounded by rectangles, the faces between a voxel that is in
it and one that is not. A rectangle is a flat box, and a box around several is no farther than any
of them: boxes in boxes are searched from the outermost, and what is farther than a face already
found is left aside. A tree of the faces' centres (`scipy.spatial.cKDTree`) gives each point a near
face to begin with, and its order puts neighbours into the same box.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from atlasdb.errors import NoVoxelsError
from atlasdb.voxels.grid import AXES, checked_points

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    from atlasdb.voxels.grid import Grid

_PAIRS = 1 << 17
_FIRST_CANDIDATES = 4
_BRANCHES = 8

_FAR_UM = 1e100
"""Farther away all faces are at one distance in float64, and its square may be infinite."""


@dataclass(frozen=True)
class Faces:
    """Rectangles between voxels.

    Attributes
    ----------
    centres_um
        (F, 3) float64, their centres in microns.
    half_um
        (F, 3) float64, half their edges along each axis; 0 along the one that they face.
    """

    centres_um: NDArray[np.float64]
    half_um: NDArray[np.float64]


def boundary_faces(mask: NDArray[np.bool_], offset: Sequence[int], grid: Grid) -> Faces:
    """Return the faces that bound a mask; at the edge of the volume it ends as well.

    Parameters
    ----------
    mask
        (a, b, c) bool; nothing beyond it belongs to it.
    offset
        The index in the whole volume of its first voxel.
    grid
        The volume's voxels.

    Examples
    --------
    >>> from atlasdb.voxels.grid import Grid
    >>> faces = boundary_faces(np.ones((1, 1, 2), bool), (0, 0, 0), Grid((4, 3, 7), (50, 20, 10)))
    >>> len(faces.centres_um), faces.centres_um[0], faces.half_um[0]
    (10, array([ 0., 10.,  5.]), array([ 0., 10.,  5.]))
    """
    padded = np.pad(mask, 1)
    edges = np.asarray(grid.resolution_um, dtype=np.float64)
    centres, halves = [], []
    for axis in range(AXES):
        along = np.moveaxis(padded, axis, 0)
        differs = np.moveaxis(along[1:] != along[:-1], 0, axis)
        index = np.argwhere(differs).astype(np.float64)
        shift = np.full(AXES, -0.5)  # the middle of a voxel, and one less for the padding
        shift[axis] = 0.0  # between padded voxels i and i + 1 is the near face of voxel i
        centres.append((index + shift + offset) * edges)
        half = edges / 2
        half[axis] = 0.0
        halves.append(np.broadcast_to(half, index.shape))
    return Faces(np.concatenate(centres), np.concatenate(halves))


def boundary_distances(points_um: ArrayLike, faces: Faces) -> NDArray[np.float64]:
    """Return the distance of each point to the nearest face.

    Parameters
    ----------
    points_um
        (N, 3) microns along AP, SI, RL.
    faces
        At least one.

    Returns
    -------
    ndarray of float64
        (N,) microns, 0 on a face; NaN for points that are NaN or infinite. Infinite only if the
        distance itself is beyond all numbers.

    Raises
    ------
    NoVoxelsError
        There is no face.

    Examples
    --------
    >>> from atlasdb.voxels.grid import Grid
    >>> faces = boundary_faces(np.ones((1, 1, 2), bool), (0, 0, 0), Grid((4, 3, 7), (50, 20, 10)))
    >>> boundary_distances([[25, 10, 14], [25, 10, 30], [53, 24, 10]], faces)
    array([ 6., 10.,  5.])
    """
    points = checked_points(points_um).astype(np.float64)
    if not len(faces.centres_um):
        raise NoVoxelsError("there is no boundary: the mask is empty")
    low = (faces.centres_um - faces.half_um).min(axis=0)
    high = (faces.centres_um + faces.half_um).max(axis=0)
    distances = np.full(len(points), np.nan)
    finite = np.isfinite(points).all(axis=1)
    beyond = _beyond(points[finite], low, high)
    distances[finite] = np.hypot(np.hypot(beyond[:, 0], beyond[:, 1]), beyond[:, 2])
    near = np.flatnonzero(distances < _FAR_UM)
    if near.size:
        boxes = _Boxes(faces)
        # The first face is sought from the nearest place of the box around all of them, since from
        # a point far away a tree sees no difference.
        squares = boxes.nearest_squares(points[near], np.clip(points[near], low, high))
        distances[near] = np.sqrt(squares)
    return distances


def _beyond(
    points: NDArray[np.float64], low: NDArray[np.float64], high: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return how far points are from boxes along each axis, 0 where they are between the sides."""
    return np.maximum(np.maximum(low - points, points - high), 0)


class _Boxes:
    """Faces in boxes of eight, those in boxes of eight, and so on up to one around all.

    Parameters
    ----------
    faces
        At least one.
    """

    def __init__(self, faces: Faces) -> None:
        from scipy.spatial import cKDTree  # takes 0.1 s and is rarely needed

        self._tree: Any = cKDTree(faces.centres_um, balanced_tree=False)
        centres, half = faces.centres_um[self._tree.indices], faces.half_um[self._tree.indices]
        # An axis after the other: what is picked at random then lies closer together.
        self._levels = [(np.array((centres - half).T), np.array((centres + half).T))]
        self._place = np.empty(len(centres), dtype=np.int64)
        self._place[self._tree.indices] = np.arange(len(centres))
        while self._levels[-1][0].shape[1] > 1:
            low, high = self._levels[-1]
            starts = np.arange(0, low.shape[1], _BRANCHES)
            self._levels.append(
                (np.minimum.reduceat(low, starts, 1), np.maximum.reduceat(high, starts, 1))
            )

    def nearest_squares(
        self, points: NDArray[np.float64], seeds: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return (N,) the squared distance from each point to the nearest face.

        Parameters
        ----------
        points
            (N, 3) microns.
        seeds
            (N, 3) microns, near the face from which each point's search begins.
        """
        found = np.empty(len(points))
        for start in range(0, len(points), _PAIRS // _BRANCHES):
            part = slice(start, start + _PAIRS // _BRANCHES)
            found[part] = self._nearest_squares(points[part], seeds[part])
        return found

    def _nearest_squares(
        self, points: NDArray[np.float64], seeds: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return the squares for so many points as memory has room for."""
        candidates = min(_FIRST_CANDIDATES, len(self._place))
        _, face = self._tree.query(seeds, k=[*range(1, candidates + 1)], workers=-1)
        rows = np.repeat(np.arange(len(points)), candidates)
        squares = self._squares(0, points, rows, self._place[face.reshape(-1)])
        best: NDArray[np.float64] = squares.reshape(-1, candidates).min(axis=1)
        top = len(self._levels) - 1
        rows = np.arange(len(points))
        waiting = [(top, rows, np.zeros_like(rows))]
        while waiting:
            level, rows, nodes = waiting.pop()
            squares = self._squares(level, points, rows, nodes)
            # The same sums, of sides no farther: in float64 too, no face in a box is nearer.
            closer = squares < best[rows]
            rows, nodes, squares = rows[closer], nodes[closer], squares[closer]
            if level == 0:
                np.minimum.at(best, rows, squares)
            elif rows.size:
                waiting += self._within(level, rows, nodes)
        return best

    def _within(
        self, level: int, rows: NDArray[np.int64], nodes: NDArray[np.int64]
    ) -> list[tuple[int, NDArray[np.int64], NDArray[np.int64]]]:
        """Return the boxes in some boxes with the points they are for, a number of them at a time.

        Taken from the end of a list, they are gone through in depth, so that few ever wait.
        """
        branches = (nodes[:, None] * _BRANCHES + np.arange(_BRANCHES)).reshape(-1)
        rows = np.repeat(rows, _BRANCHES)
        exist = branches < self._levels[level - 1][0].shape[1]
        branches, rows = branches[exist], rows[exist]
        starts = range(0, rows.size, _PAIRS)
        return [(level - 1, rows[i : i + _PAIRS], branches[i : i + _PAIRS]) for i in starts]

    def _squares(
        self,
        level: int,
        points: NDArray[np.float64],
        rows: NDArray[np.int64],
        nodes: NDArray[np.int64],
    ) -> NDArray[np.float64]:
        """Return the squared distances of pairs of a point and a box of a level."""
        low, high = self._levels[level]
        squares: NDArray[np.float64] = np.zeros(rows.size)
        for axis in range(AXES):
            at = points[:, axis][rows]
            beyond = np.maximum(low[axis][nodes] - at, at - high[axis][nodes])
            squares += np.square(np.maximum(beyond, 0, out=beyond), out=beyond)
        return squares
