"""Probe tracks: the ordered pieces in which a polyline crosses structures.

The one idea: along a straight line a voxel's index changes where the line meets a plane between
voxels, so that all such places are computed at once and sorted, and each voxel is found by counting
them. No point is ever tested between two places, where rounding could put it on the wrong side.
(Amanatides and Woo's traversal, 1987, for whole arrays.)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from atlasdb.voxels.grid import AXES, checked_points

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from atlasdb.voxels.grid import Grid

_SLIVER = 1e-9
"""Pieces shorter than this part of a voxel come from rounding at an edge or a corner."""


@dataclass(frozen=True)
class Segments:
    """The pieces of a track, in order; each begins where the one before it ends.

    Attributes
    ----------
    codes
        (K,) integers, what each piece is in; neighbours differ.
    entry_um, exit_um
        (K,) float64, distances along the track from its first vertex.
    entry_point_um, exit_point_um
        (K, 3) float64, where that is.
    """

    codes: NDArray[Any]
    entry_um: NDArray[np.float64]
    exit_um: NDArray[np.float64]
    entry_point_um: NDArray[np.float64]
    exit_point_um: NDArray[np.float64]


def track_segments(
    vertices_um: ArrayLike, grid: Grid, ranks: NDArray[Any], codes: NDArray[Any]
) -> Segments:
    """Return what a track runs through, from its first vertex to its last.

    Parameters
    ----------
    vertices_um
        (M, 3) microns along AP, SI, RL, two or more; the track runs straight between them.
    grid
        The volume's voxels.
    ranks
        The rank volume.
    codes
        (size + 1,) what each rank is taken for; the last entry is for outside the volume.

    Returns
    -------
    Segments
        The pieces outside the volume are among them, so that they make up the whole length. A
        track without length is one piece, what is at its first vertex.

    Raises
    ------
    ValueError
        Fewer than two vertices, or one that is not finite.

    Examples
    --------
    >>> from atlasdb.voxels.grid import Grid
    >>> ranks = np.array([[[1, 1, 2, 0]]], dtype=np.uint16)
    >>> grid = Grid((1, 1, 4), (10.0, 10.0, 10.0))
    >>> found = track_segments([[5, 5, -20], [5, 5, 35]], grid, ranks, np.array([0, 1, 2, -2]))
    >>> found.codes, found.entry_um, found.exit_um
    (array([-2,  1,  2,  0]), array([ 0., 20., 40., 50.]), array([20., 40., 50., 55.]))
    """
    vertices = checked_points(vertices_um).astype(np.float64)
    if len(vertices) < 2:  # noqa: PLR2004 (a line)
        raise ValueError(f"a track has two vertices or more, found {len(vertices)}")
    if not np.isfinite(vertices).all():
        row = int(np.flatnonzero(~np.isfinite(vertices).all(axis=1))[0])
        raise ValueError(f"a track's vertices are finite, found {vertices[row].tolist()}")
    lengths = np.linalg.norm(np.diff(vertices, axis=0), axis=1)
    if not np.isfinite(lengths).all():
        raise ValueError("a track's vertices are too far apart for its length to be a number")
    begins = np.concatenate([[0.0], np.cumsum(lengths)])
    pieces = [
        _straight(start, end, length, grid)
        for start, end, length in zip(vertices, vertices[1:], lengths, strict=False)
    ]
    entry = np.concatenate(
        [t * n + b for (t, _), n, b in zip(pieces, lengths, begins, strict=False)]
    )
    voxels = np.concatenate([voxel for _, voxel in pieces])
    points = np.concatenate(
        [
            start + t[:, None] * (end - start)
            for (t, _), start, end in zip(pieces, vertices, vertices[1:], strict=False)
        ]
    )
    entry, voxels, points = _without_empty(entry, voxels, points, begins[-1])
    points[0] = vertices[0]
    return _merged(_codes_of(voxels, grid, ranks, codes), entry, points, begins[-1], vertices[-1])


def _straight(
    start: NDArray[np.float64], end: NDArray[np.float64], length: float, grid: Grid
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return where a straight line enters voxels, in parts of its length, and which.

    An axis's index is -1 before the volume and its size beyond it: there is one voxel, however far
    the line goes.
    """
    shape = np.array(grid.shape)
    first = np.clip(np.floor(start / grid.resolution_um), -1, shape).astype(np.int64)
    last = np.clip(np.floor(end / grid.resolution_um), -1, shape).astype(np.int64)
    places, steps = [np.zeros(1)], [np.zeros((1, AXES), dtype=np.int64)]
    for axis in range(AXES):
        step = 1 if last[axis] > first[axis] else -1
        planes = np.arange(first[axis], last[axis], step) + (step > 0)
        along = (planes * grid.resolution_um[axis] - start[axis]) / (end[axis] - start[axis])
        places.append(np.clip(along, 0, 1))
        taken = np.zeros((planes.size, AXES), dtype=np.int64)
        taken[:, axis] = step
        steps.append(taken)
    place, taken = np.concatenate(places), np.concatenate(steps)
    order = np.argsort(place, kind="stable")
    voxels = first + np.cumsum(taken[order], axis=0)
    place = place[order]
    sliver = _SLIVER * min(grid.resolution_um)
    keep = np.diff(place, append=1.0) * length > sliver
    if not keep.any():
        keep[0] = True
    place, voxels = place[keep], voxels[keep]
    place[0] = 0.0
    return place, voxels


def _without_empty(
    entry: NDArray[np.float64],
    voxels: NDArray[np.int64],
    points: NDArray[np.float64],
    length: float,
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.float64]]:
    """Leave out pieces without length, as between vertices that are the same; keep one at least."""
    keep = np.diff(entry, append=length) > 0
    if not keep.any():
        keep[0] = True
    return entry[keep], voxels[keep], points[keep]


def _codes_of(
    voxels: NDArray[np.int64], grid: Grid, ranks: NDArray[Any], codes: NDArray[Any]
) -> NDArray[Any]:
    """Return what the voxels are taken for."""
    inside = ((voxels >= 0) & (voxels < grid.shape)).all(axis=1)
    found = np.full(len(voxels), codes[-1])
    found[inside] = codes[ranks[tuple(voxels[inside].T)]]
    return found


def _merged(
    codes: NDArray[Any],
    entry: NDArray[np.float64],
    points: NDArray[np.float64],
    length: float,
    last: NDArray[np.float64],
) -> Segments:
    """Join neighbours of the same code."""
    begins = np.flatnonzero(np.concatenate([[True], codes[1:] != codes[:-1]]))
    entry, points = entry[begins], points[begins]
    return Segments(
        codes=codes[begins],
        entry_um=entry,
        exit_um=np.append(entry[1:], length),
        entry_point_um=points,
        exit_point_um=np.concatenate([points[1:], last[None]]),
    )
