"""The exact distance from points to a structure's boundary.

The one idea: a structure of voxels is bounded by rectangles, the faces between a voxel that is in
it and one that is not. A tree of their centres (`scipy.spatial.cKDTree`) gives the few that can be
nearest, since no point of a face is farther from its centre than half its diagonal; to these the
distance is exact.
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

_PAIRS = 1 << 20
_FIRST_CANDIDATES = 16
_MORE = 8


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
        (N,) microns, 0 on a face; NaN for points that are NaN or infinite.

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
    from scipy.spatial import cKDTree  # takes 0.1 s and is rarely needed

    points = checked_points(points_um).astype(np.float64)
    if not len(faces.centres_um):
        raise NoVoxelsError("there is no boundary: the mask is empty")
    distances = np.full(len(points), np.nan)
    rest = np.flatnonzero(np.isfinite(points).all(axis=1))
    tree = cKDTree(faces.centres_um, balanced_tree=False)
    reach = float(np.linalg.norm(faces.half_um, axis=1).max())
    candidates = min(_FIRST_CANDIDATES, len(faces.centres_um))
    while rest.size:
        settled = []
        for start in range(0, rest.size, max(1, _PAIRS // candidates)):
            rows = rest[start : start + max(1, _PAIRS // candidates)]
            nearest, farthest = _nearest(points[rows], faces, tree, candidates)
            distances[rows] = nearest
            # A face that is no candidate has its centre beyond the farthest candidate's.
            settled.append(farthest - reach > nearest)
        if candidates == len(faces.centres_um):
            break
        rest = rest[~np.concatenate(settled)]
        candidates = min(candidates * _MORE, len(faces.centres_um))
    return distances


def _nearest(
    points: NDArray[np.float64],
    faces: Faces,
    tree: Any,  # noqa: ANN401 (a library without types)
    candidates: int,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the distance to the nearest of the faces with the nearest centres.

    And that to the centre of the last of these.
    """
    to_centre, face = tree.query(points, k=[*range(1, candidates + 1)], workers=-1)
    beyond = np.abs(points[:, None] - faces.centres_um[face]) - faces.half_um[face]
    np.maximum(beyond, 0, out=beyond)
    return np.linalg.norm(beyond, axis=2).min(axis=1), to_centre[:, -1]
