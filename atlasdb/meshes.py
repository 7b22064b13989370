"""Meshes as OBJ files: counting, reading, and turning them to another orientation.

The one idea: a mesh file stays as the source wrote it. Its counts come from counting bytes, which
is exact for the plain files that atlases have and a hundred times faster than parsing; any other
file is parsed.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from atlasdb.errors import BlobError, PackageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from atlasdb.space import Reorientation

_CORNERS = 3
_SURFACE = (["v"], ["f"])


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


def read_mesh(path: Path) -> Mesh:
    r"""Read an OBJ file as triangles.

    Parameters
    ----------
    path
        The file. A face of more corners becomes triangles that share its first corner; normals,
        textures and colours are left out.

    Raises
    ------
    BlobError
        There is no such file.
    PackageError
        The file cannot be parsed, holds no faces, or names vertices that it does not hold.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "quad.obj"
    ...     _ = path.write_text("v 0 0 0\nv 50 0 0\nv 50 50 0\nv 0 50 0\nf 1 2 3 4\n")
    ...     read_mesh(path).triangles
    array([[0, 1, 2],
           [0, 2, 3]])
    """
    import meshio  # takes 0.3 s and is rarely needed here

    if not path.is_file():
        raise BlobError(f"the mesh is missing: {path}")
    try:
        # Not meshio.read, which prints and leaves the program when a reader gives up.
        parsed = meshio.obj.read(_surface_lines(path))
        points = np.asarray(parsed.points, dtype=np.float64)
        faces = [np.asarray(block.data, dtype=np.int64) for block in parsed.cells]
    except Exception as error:
        raise PackageError(f"{path.name} is no readable OBJ file: {error}") from error
    triangles = np.concatenate([np.empty((0, _CORNERS), np.int64), *map(_fanned, faces)])
    _check_mesh(path.name, points, triangles)
    # Beyond the third stand a weight or a colour.
    return Mesh(np.ascontiguousarray(points[:, :_CORNERS]), triangles)


def _surface_lines(path: Path) -> io.StringIO:
    """Return the vertices and faces of an OBJ file alone.

    meshio refuses a file with another number of normals or texture points than of vertices, which
    OBJ allows.
    """
    with path.open(encoding="utf-8", errors="replace") as file:
        return io.StringIO("".join(line for line in file if line.split(None, 1)[:1] in _SURFACE))


def _fanned(faces: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return (F, k) faces as (F * (k - 2), 3) triangles that share the first corner of each."""
    corners = faces.shape[1]
    fans = [faces[:, [0, i, i + 1]] for i in range(1, corners - 1)]
    if not fans:
        return np.empty((0, _CORNERS), np.int64)
    return np.stack(fans, axis=1).reshape(-1, _CORNERS)


def _check_mesh(name: str, points: NDArray[np.float64], triangles: NDArray[np.int64]) -> None:
    """Refuse what is no surface in space."""
    if not triangles.size:
        raise PackageError(f"{name} holds no faces")
    if points.ndim != 2 or points.shape[1] < _CORNERS:  # noqa: PLR2004 (a table)
        raise PackageError(f"{name}: its vertices are no points in space")
    if not np.isfinite(points[:, :_CORNERS]).all():
        raise PackageError(f"{name}: a vertex is not finite")
    strangers = triangles[(triangles < 0) | (triangles >= len(points))]
    if strangers.size:
        raise PackageError(
            f"{name}: a face names vertex {strangers[0] + 1}, but there are 1 to {len(points):,}"
        )


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


def reorient_mesh(
    source: Path, target: Path, turn: Reorientation, extent_um: Sequence[float]
) -> None:
    """Write a mesh in another orientation, as triangles; faces keep looking outwards.

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
    BlobError, PackageError
        As `read_mesh`.
    """
    mesh = turned_mesh(read_mesh(source), turn, extent_um)
    with target.open("w", encoding="ascii") as file:
        np.savetxt(file, mesh.vertices, fmt="v %.6f %.6f %.6f")
        np.savetxt(file, mesh.triangles + 1, fmt="f %d %d %d")
