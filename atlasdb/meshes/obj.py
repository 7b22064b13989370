"""Meshes as OBJ files: counting, reading and turning them.

The one idea: a mesh file stays as the source wrote it. Files as atlases have them (vertices of
three numbers, then triangles) are counted by their bytes and parsed by numpy as two tables, more
than ten times faster than line by line; any other file goes through meshio.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from atlasdb.errors import BlobError, PackageError
from atlasdb.meshes.surfaces import Mesh, turned_mesh

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from atlasdb.space import Reorientation

_CORNERS = 3
_SURFACE = (["v"], ["f"])
_FIRST_FACE = b"\nf "
_OF_VERTICES = b"v 0123456789.eE+-\r\n"
_OF_TRIANGLES = b"f 0123456789\r\n"


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
    if not path.is_file():
        raise BlobError(f"the mesh is missing: {path}")
    mesh = _plain_mesh(path.read_bytes())
    if mesh is None:
        mesh = _any_mesh(path)
    _check_mesh(path.name, mesh.vertices, mesh.triangles)
    # Beyond the third stand a weight or a colour.
    return Mesh(np.ascontiguousarray(mesh.vertices[:, :_CORNERS]), mesh.triangles)


def _plain_mesh(data: bytes) -> Mesh | None:
    """Parse vertices of three numbers followed by triangles, None if that is not all there is."""
    begin = data.find(_FIRST_FACE) + 1
    vertices, triangles = data[:begin], data[begin:]
    if vertices.translate(None, _OF_VERTICES) or triangles.translate(None, _OF_TRIANGLES):
        return None
    try:
        return Mesh(_lines(vertices, b"v", np.float64), _lines(triangles, b"f", np.int64) - 1)
    except ValueError:
        return None


def _lines(text: bytes, kind: bytes, dtype: type) -> NDArray[Any]:
    """Parse lines of a letter and three numbers as an (N, 3) array.

    Raises
    ------
    ValueError
        There is another line, or none.
    """
    # A table of records: numpy refuses lines with more or fewer fields than that.
    record = np.dtype([("kind", "S2"), ("values", dtype, (_CORNERS,))])
    if not text.strip():
        raise ValueError("no lines")
    table = np.loadtxt(io.BytesIO(text), dtype=record, comments=None, ndmin=1)
    if (table["kind"] != kind).any():
        raise ValueError("another line")
    return np.ascontiguousarray(table["values"])


def _any_mesh(path: Path) -> Mesh:
    """Parse whatever meshio can, faces of several sizes and groups included."""
    import meshio  # takes 0.1 s and is rarely needed here

    try:
        # Not meshio.read, which prints and leaves the program when a reader gives up.
        parsed = meshio.obj.read(_surface_lines(path))
        points = np.asarray(parsed.points, dtype=np.float64)
        faces = [np.asarray(block.data, dtype=np.int64) for block in parsed.cells]
    except Exception as error:
        raise PackageError(f"{path.name} is no readable OBJ file: {error}") from error
    return Mesh(points, np.concatenate([np.empty((0, _CORNERS), np.int64), *map(_fanned, faces)]))


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
