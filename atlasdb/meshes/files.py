"""Meshes as files for other programs: OBJ, PLY, STL and VTK.

The one idea: meshio writes the formats; which structure each part belongs to is kept as far as a
format can: as objects in OBJ, as a value of each triangle in VTK, not in PLY and STL.
"""

from __future__ import annotations

import io
import re
from collections import Counter
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

import numpy as np

from atlasdb.meshes.obj import obj_lines
from atlasdb.meshes.surfaces import Mesh, joined_mesh
from atlasdb.wholefile import writing

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

ENDINGS = (".obj", ".ply", ".stl", ".vtk")
"""What a mesh's file can end in."""


class MeshPart(NamedTuple):
    """The mesh of one structure.

    Attributes
    ----------
    structure_id
        Its id.
    acronym
        Its acronym.
    mesh
        Microns.
    """

    structure_id: int
    acronym: str
    mesh: Mesh


def write_mesh(path: Path, parts: Sequence[MeshPart]) -> None:
    """Write the meshes of structures as one file, which appears whole or not at all.

    Parameters
    ----------
    path
        Ends in ``.obj`` (an object for each structure, called as its acronym, with its id where
        several have the same), ``.vtk`` (binary,
        with the ``structure_id`` of each triangle), ``.ply`` (binary), or ``.stl`` (binary, with
        coordinates of 32 bits).
    parts
        One or more.

    Raises
    ------
    ValueError
        Another ending, no parts, or coordinates beyond 32 bits in an STL file.
    """
    ending = checked_ending(path)
    if not parts:
        raise ValueError(f"{path}: no structures, no mesh")
    with writing(path.resolve()) as file:
        if ending == ".obj":
            _write_obj(file, parts)
        else:
            _write_joined(file, ending, parts)


def checked_ending(path: Path) -> str:
    """Return the ending of a mesh's file, in small letters.

    Raises
    ------
    ValueError
        It is none of `ENDINGS`.
    """
    ending = path.suffix.lower()
    if ending not in ENDINGS:
        raise ValueError(f"{path}: a mesh ends in {', '.join(ENDINGS)}")
    return ending


def _write_obj(file: BinaryIO, parts: Sequence[MeshPart]) -> None:
    """Write an object for each structure; meshio would write one, with the time in it."""
    times = Counter(part.acronym for part in parts)
    first = 1
    for part in parts:
        name = part.acronym if times[part.acronym] == 1 else f"{part.acronym} {part.structure_id}"
        name = "".join(c if c.isprintable() else "?" for c in name).strip() or "?"
        file.write("".join([f"o {name}\n", *obj_lines(part.mesh, first)]).encode())
        first += len(part.mesh.vertices)


def _write_joined(file: BinaryIO, ending: str, parts: Sequence[MeshPart]) -> None:
    """Write one surface through meshio."""
    import meshio

    joined = joined_mesh([part.mesh for part in parts])
    triangles = joined.triangles.astype(np.int32)  # PLY has no others, and STL none
    if ending == ".stl":
        surface = meshio.Mesh(
            _single(joined.vertices),
            [("triangle", triangles)],
            cell_data={"facet_normals": [_normals(joined)]},
        )
        meshio.stl.write(file, surface, binary=True)
    elif ending == ".ply":
        whole = io.BytesIO()
        meshio.ply.write(whole, meshio.Mesh(joined.vertices, [("triangle", triangles)]))
        # Not the time: the same mesh gives the same file.
        file.write(re.sub(rb"\ncomment [^\n]*", b"", whole.getvalue(), count=1))
    else:
        ids = np.array([part.structure_id for part in parts], dtype=np.int64)
        sizes = [len(part.mesh.triangles) for part in parts]
        surface = meshio.Mesh(
            joined.vertices,
            [("triangle", joined.triangles)],
            cell_data={"structure_id": [np.repeat(ids, sizes)]},
        )
        meshio.vtk.write(file, surface, binary=True)


def _single(vertices: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return coordinates in 32 bits, as STL has them."""
    if vertices.size and np.abs(vertices).max() > np.finfo(np.float32).max:
        raise ValueError("a coordinate is too large for an STL file, whose numbers have 32 bits")
    return vertices.astype(np.float32)


def _normals(mesh: Mesh) -> NDArray[np.float64]:
    """Return the normal of each triangle, (F, 3); zeros for one without area."""
    a, b, c = (mesh.vertices[mesh.triangles[:, n]] for n in range(3))
    normals = np.cross(b - a, c - a)
    length = np.linalg.norm(normals, axis=1, keepdims=True)
    units: NDArray[np.float64] = np.zeros_like(normals)
    np.divide(normals, length, out=units, where=length > 0)
    return units
