"""Surfaces in memory: turned, cut at a plane, and joined.

The one idea: a surface is vertices and triangles, and every change of it is array arithmetic on
both; a cut makes each new vertex once, so that neighbouring triangles still share it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from atlasdb.space import Reorientation

_CORNERS = 3


@dataclass(frozen=True)
class Mesh:
    """A surface in memory.

    Attributes
    ----------
    vertices
        (V, 3) float64, microns, in the array's axis order from its corner.
    triangles
        (F, 3) int64, rows of `vertices`; the corners run counter-clockwise seen from outside.
    """

    vertices: NDArray[np.float64]
    triangles: NDArray[np.int64]


def turned_mesh(mesh: Mesh, turn: Reorientation, extent_um: Sequence[float]) -> Mesh:
    """Return a mesh in another orientation; faces keep looking outwards.

    Parameters
    ----------
    mesh
        Microns, in the source's axis order.
    turn
        The change of orientation.
    extent_um
        The extent of the source's volume along its own three axes.

    Examples
    --------
    >>> from atlasdb.space import Reorientation
    >>> mesh = Mesh(np.diag([10.0, 20.0, 30.0]), np.array([[0, 1, 2]]))
    >>> mirrored = turned_mesh(mesh, Reorientation.between("asl"), [50.0, 50.0, 50.0])
    >>> mirrored.vertices[:, 2], mirrored.triangles
    (array([50., 50., 20.]), array([[2, 1, 0]]))
    """
    vertices = turn.points(mesh.vertices, extent_um)
    # A mirror image of a surface looks inwards; the opposite winding turns it outwards again.
    triangles = mesh.triangles[:, ::-1] if turn.mirrors else mesh.triangles
    return Mesh(vertices, triangles.copy())


def half_mesh(mesh: Mesh, axis: int, plane_um: float, *, above: bool) -> Mesh:
    """Return the part of a mesh on one side of a plane across an axis, open where it was cut.

    Parameters
    ----------
    mesh
        Any surface, closed or not.
    axis
        0, 1 or 2.
    plane_um
        Where the plane meets the axis, microns.
    above
        Keep what lies at the plane or beyond it; else what lies before it.

    Returns
    -------
    Mesh
        Triangles that the plane crosses are cut, so that the areas of both parts sum to the whole.
        Vertices that are no longer used are left out; none if nothing lies there.

    Examples
    --------
    >>> mesh = Mesh(np.array([[0.0, 0, 0], [0, 0, 4], [0, 4, 0]]), np.array([[0, 1, 2]]))
    >>> half_mesh(mesh, 2, 1.0, above=True).vertices
    array([[0., 0., 4.],
           [0., 0., 1.],
           [0., 3., 1.]])
    """
    height = (mesh.vertices[:, axis] - plane_um) * (1.0 if above else -1.0)
    lowest, highest = (f(height[mesh.triangles], axis=1) for f in (np.min, np.max))
    whole = (lowest >= 0) & (above | (highest > 0))  # what lies in the plane belongs to one side
    vertices, cut = _cut_triangles(mesh, (lowest < 0) & (highest > 0), height)
    vertices[len(mesh.vertices) :, axis] = plane_um
    return _only_used(vertices, np.concatenate([mesh.triangles[whole], cut]))


def _cut_triangles(
    mesh: Mesh, crossed: NDArray[np.bool_], height: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the vertices with those on the cut after them, and the upper parts of triangles.

    Parameters
    ----------
    mesh
        The whole.
    crossed
        (F,) bool, the triangles with corners above and below 0.
    height
        (V,), above or below.
    """
    triangles = mesh.triangles[crossed]
    inside = (height >= 0)[triangles]
    # Turn each triangle so that the corner that is alone on its side comes first.
    alone = np.argmax(inside == (inside.sum(axis=1) == 1)[:, None], axis=1)
    turned = triangles[np.arange(len(triangles))[:, None], (alone[:, None] + np.arange(3)) % 3]
    first, second, third = turned.T
    ends = np.sort(np.concatenate([turned[:, [0, 1]], turned[:, [0, 2]]]), axis=1)
    edges, edge_of = np.unique(ends, axis=0, return_inverse=True)
    low, high = edges.T
    share = height[low] / (height[low] - height[high])
    points = mesh.vertices[low] + share[:, None] * (mesh.vertices[high] - mesh.vertices[low])
    # An edge that ends in the plane is cut at its end.
    number = len(height) + np.arange(len(edges))
    number = np.where(height[low] == 0, low, np.where(height[high] == 0, high, number))
    to_second, to_third = number[edge_of.reshape(2, -1)]
    is_tip = height[first] >= 0
    parts = [
        np.stack([first, to_second, to_third], axis=1)[is_tip],
        np.stack([to_second, second, third], axis=1)[~is_tip],
        np.stack([to_second, third, to_third], axis=1)[~is_tip],
    ]
    upper = np.concatenate(parts)
    is_line = (upper == np.roll(upper, 1, axis=1)).any(axis=1)
    return np.concatenate([mesh.vertices, points]), upper[~is_line]


def chosen_triangles(mesh: Mesh, chosen: NDArray[np.bool_]) -> Mesh:
    """Return a mesh of some of the triangles, (F,) bool, and of their vertices alone."""
    return _only_used(mesh.vertices, mesh.triangles[chosen])


def centres_of(mesh: Mesh) -> NDArray[np.float64]:
    """Return the centre of each triangle, (F, 3) microns."""
    centres: NDArray[np.float64] = mesh.vertices[mesh.triangles].mean(axis=1)
    return centres


def joined_mesh(meshes: Sequence[Mesh]) -> Mesh:
    """Return several meshes as one, in the order given.

    Examples
    --------
    >>> one = Mesh(np.eye(3), np.array([[0, 1, 2]]))
    >>> joined_mesh([one, one]).triangles
    array([[0, 1, 2],
           [3, 4, 5]])
    """
    starts = np.cumsum([0, *(len(mesh.vertices) for mesh in meshes)])
    return Mesh(
        np.concatenate([np.empty((0, 3)), *(mesh.vertices for mesh in meshes)]),
        np.concatenate(
            [
                np.empty((0, _CORNERS), np.int64),
                *(mesh.triangles + start for mesh, start in zip(meshes, starts, strict=False)),
            ]
        ),
    )


def _only_used(vertices: NDArray[np.float64], triangles: NDArray[np.int64]) -> Mesh:
    """Return a mesh of those vertices that its triangles have, in their order."""
    used, numbers = np.unique(triangles, return_inverse=True)
    return Mesh(vertices[used], numbers.reshape(-1, _CORNERS))
