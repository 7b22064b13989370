"""Meshes as OBJ files: reading, counting and turning them.

The one idea: a mesh file stays as the source wrote it. Files as atlases have them (vertices of
three numbers, then triangles) are parsed by numpy as two tables, more than ten times faster than
line by line; any other file is parsed line by line, and what is not understood is an error, since a
vertex left out shifts all that come after it.
"""

from __future__ import annotations

import io
import itertools
import re
from array import array
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from atlasdb.errors import BlobError, PackageError
from atlasdb.limits import current
from atlasdb.meshes.plain import count_plain
from atlasdb.meshes.surfaces import Mesh, turned_mesh

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from atlasdb.space import Reorientation

_CORNERS = 3
_FIRST_FACE = b"\nf "
_OF_VERTICES = b"v 0123456789.eE+-\r\n"
_OF_TRIANGLES = b"f 0123456789\r\n"
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
_CORNER = re.compile(r"(-?\d{1,18})(?:/(?:-?\d+)?){0,2}", re.ASCII)
_WORD = re.compile(r"\S+")
_LONG = 4096
_MOST_FIELDS = 7  # of a vertex: x, y, z, and w or r, g, b
_PASSED_OVER = frozenset(
    [
        "vn",
        "vt",
        "vp",
        "g",
        "o",
        "s",
        "usemtl",
        "mtllib",
        "l",
        "p",
        "lod",
        "bevel",
        "c_interp",
        "d_interp",
        "shadow_obj",
        "trace_obj",
    ]
)
"""Statements of OBJ that say nothing of a surface's shape."""


class MeshCounts(NamedTuple):
    """How large a mesh is.

    Attributes
    ----------
    vertices
        Number of vertices.
    triangles
        Number of triangles, a face of k corners being k - 2 of them.
    """

    vertices: int
    triangles: int


def count_mesh(path: Path) -> MeshCounts:
    """Count the vertices and triangles of an OBJ file, as `read_mesh` reads it.

    Raises
    ------
    BlobError, PackageError
        As `read_mesh`.
    """
    counts = count_plain(_content(path)) if path.is_file() else None
    if counts is not None:
        return MeshCounts(*counts)
    mesh = read_mesh(path)
    return MeshCounts(len(mesh.vertices), len(mesh.triangles))


def read_mesh(path: Path) -> Mesh:
    r"""Read an OBJ file as triangles.

    Parameters
    ----------
    path
        The file. A face of more corners becomes triangles that share its first corner; negative
        numbers in faces count back from the last vertex; normals, textures and colours are left
        out.

    Raises
    ------
    BlobError
        There is no such file.
    PackageError
        Something in the file is no OBJ, it holds no faces, or names vertices that it does not
        hold.

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
    data = _content(path)
    mesh = _plain_mesh(data)
    if mesh is None:
        mesh = _any_mesh(path.name, data)
    _check_mesh(path.name, mesh)
    return mesh


def _content(path: Path) -> bytes:
    """Return a file's bytes, unless it is larger than meshes are."""
    size = path.stat().st_size
    if size > current().mesh_bytes:
        raise PackageError(
            f"{path.name} is too large to be real: {size:,} bytes, {current().over('mesh_bytes')}"
        )
    return path.read_bytes()


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


def _any_mesh(name: str, data: bytes) -> Mesh:
    """Parse an OBJ file line by line.

    Raises
    ------
    PackageError
        A line is none of OBJ's; the message names it.
    """
    vertices, triangles = array("d"), array("q")  # lists of tuples take fifty times the file
    for number, (kind, fields) in _statements(data):
        try:
            if kind == "v":
                vertices.extend(_vertex(fields))
            elif kind == "f":
                corners = array(
                    "q", (_corner(field, len(vertices) // _CORNERS) for field in fields)
                )
                if len(corners) < _CORNERS:
                    raise ValueError(f"a face of {len(corners)} corners")
                if len(corners) == _CORNERS:
                    triangles.extend(corners)
                    continue
                for second, third in itertools.pairwise(corners[1:]):
                    triangles.extend((corners[0], second, third))
            elif kind not in _PASSED_OVER:
                raise ValueError(f"no statement of OBJ: {kind!r:.40}")
        except ValueError as error:
            raise PackageError(f"{name} is no readable OBJ file: line {number}: {error}") from error
    return Mesh(
        np.array(vertices, dtype=np.float64).reshape(-1, _CORNERS),
        np.array(triangles, dtype=np.int64).reshape(-1, _CORNERS),
    )


def _statements(data: bytes) -> Iterator[tuple[int, tuple[str, Iterator[str]]]]:
    """Yield the number, the first word and the others of each line that says something."""
    lines = io.TextIOWrapper(io.BytesIO(data), "utf-8-sig", errors="replace")
    for number, line in enumerate(_whole_lines(lines), start=1):
        text = line.partition("#")[0]
        # A polygon may have millions of corners: words take thirty times the line.
        words = iter(text.split()) if len(text) < _LONG else (w[0] for w in _WORD.finditer(text))
        kind = next(words, None)
        if kind is not None:
            yield number, (kind, words)


def _whole_lines(lines: Iterable[str]) -> Iterator[str]:
    """Yield lines; one that ends in a backslash goes on in the next."""
    begun = []
    for line in lines:
        if line.endswith("\\\n"):
            begun.append(line[:-2])
        else:
            yield " ".join([*begun, line]) if begun else line
            begun = []
    if begun:
        yield " ".join(begun)


def _vertex(words: Iterator[str]) -> list[float]:
    """Return a vertex's three coordinates; beyond them stand a weight or a colour."""
    fields = list(itertools.islice(words, _MOST_FIELDS))
    if len(fields) < _CORNERS or not all(map(_NUMBER.fullmatch, fields)):
        raise ValueError(f"a vertex is three numbers, not {' '.join(fields)!r:.80}")
    return [float(field) for field in fields[:_CORNERS]]


def _corner(field: str, vertices: int) -> int:
    """Return the vertex that a corner of a face names, from 0."""
    named = _CORNER.fullmatch(field)
    if named is None:
        raise ValueError(f"a corner is the number of a vertex, not {field!r:.40}")
    number = int(named[1])
    return number - 1 if number >= 0 else vertices + number


def _check_mesh(name: str, mesh: Mesh) -> None:
    """Refuse what is no surface in space."""
    if not mesh.triangles.size:
        raise PackageError(f"{name} holds no faces")
    if not np.isfinite(mesh.vertices).all():
        raise PackageError(f"{name}: a vertex is not finite")
    strangers = mesh.triangles[(mesh.triangles < 0) | (mesh.triangles >= len(mesh.vertices))]
    if strangers.size:
        raise PackageError(
            f"{name}: a face names vertex {strangers[0] + 1}, but there are 1 to "
            f"{len(mesh.vertices):,}"
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
        file.writelines(obj_lines(mesh))


def obj_text(mesh: Mesh) -> str:
    """Return a mesh as the text of an OBJ file; numbers are read back to the last bit."""
    vertices = "v %r %r %r\n" * len(mesh.vertices) % tuple(mesh.vertices.ravel().tolist())
    return vertices + "f %d %d %d\n" * len(mesh.triangles) % tuple(
        (mesh.triangles + 1).ravel().tolist()
    )


def obj_lines(mesh: Mesh, first: int = 1) -> Iterator[str]:
    """Yield the lines of a mesh in an OBJ file; numbers are read back to the last bit.

    Parameters
    ----------
    mesh
        The mesh.
    first
        The number of its first vertex in the file.
    """
    yield from ("v {} {} {}\n".format(*vertex) for vertex in mesh.vertices.tolist())
    yield from ("f {} {} {}\n".format(*face) for face in (mesh.triangles + first).tolist())
