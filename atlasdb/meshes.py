"""Meshes as OBJ files: counting what is in them, and turning them to another orientation.

The one idea: a mesh file stays as the source wrote it. Its counts come from counting bytes, which
is exact for the plain files that atlases have and a hundred times faster than parsing; any other
file is parsed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from atlasdb.errors import PackageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from atlasdb.space import Reorientation

_CORNERS = 3


class MeshCounts(NamedTuple):
    """How large a mesh is.

    Attributes
    ----------
    vertices
        Number of ``v`` lines.
    triangles
        Number of triangles, a face of k corners being k - 2 of them.
    """

    vertices: int
    triangles: int


def count_mesh(path: Path) -> MeshCounts:
    """Count the vertices and triangles of an OBJ file.

    Parameters
    ----------
    path
        The file.

    Returns
    -------
    MeshCounts
        Zeros for a file that holds no such lines.
    """
    data = np.fromfile(path, dtype=np.uint8)
    newline = np.flatnonzero(data == ord("\n"))
    starts = np.concatenate([[0], newline + 1])
    starts = starts[starts < data.size - 1]
    kind, following = data[starts], data[starts + 1]
    plain = following == ord(" ")
    vertices = int(np.count_nonzero(plain & (kind == ord("v"))))
    faces = int(np.count_nonzero(plain & (kind == ord("f"))))
    spaces = int(np.count_nonzero(data == ord(" ")))
    # Only plain lines, all told with three fields each: then all faces are triangles.
    if vertices + faces == starts.size and spaces == _CORNERS * (vertices + faces):
        return MeshCounts(vertices, faces)
    return _parsed_counts(path)


def _parsed_counts(path: Path) -> MeshCounts:
    """Count line by line, whatever else the file holds."""
    vertices = triangles = 0
    with path.open("rb") as file:
        for line in file:
            fields = line.split()
            if fields[:1] == [b"v"]:
                vertices += 1
            elif fields[:1] == [b"f"]:
                triangles += max(0, len(fields) - _CORNERS)
    return MeshCounts(vertices, triangles)


def reorient_mesh(
    source: Path, target: Path, turn: Reorientation, extent_um: Sequence[float]
) -> None:
    """Write a mesh in another orientation; faces keep looking outwards.

    Parameters
    ----------
    source
        An OBJ file, microns, in the source's axis order.
    target
        Where to.
    turn
        The change of orientation.
    extent_um
        The extent of the source's volume along its own three axes.

    Raises
    ------
    PackageError
        The file cannot be parsed.
    """
    import meshio  # takes 0.3 s and is rarely needed here

    try:
        mesh = meshio.read(source, file_format="obj")
    except Exception as error:
        raise PackageError(f"{source.name} is no readable OBJ file: {error}") from error
    points: NDArray[np.float64] = np.asarray(mesh.points, dtype=np.float64)
    faces = [np.asarray(block.data) + 1 for block in mesh.cells if block.data.shape[1] >= _CORNERS]
    with target.open("w", encoding="ascii") as file:
        np.savetxt(file, turn.points(points, extent_um), fmt="v %.6f %.6f %.6f")
        for block in faces:
            wound = block[:, ::-1] if turn.mirrors else block
            np.savetxt(file, wound, fmt="f" + " %d" * wound.shape[1])
