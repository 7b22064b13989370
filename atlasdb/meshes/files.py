"""Meshes as files for other programs: OBJ, PLY, STL and VTK.

The one idea: meshio writes the formats; which structure each part belongs to is kept as far as a
format can: as objects in OBJ, as a value of each triangle in VTK, not in PLY and STL.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO, NamedTuple

import numpy as np

from atlasdb.meshes.surfaces import Mesh, joined_mesh
from atlasdb.wholefile import replacing

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

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
        Ends in ``.obj`` (an object for each structure, called as its acronym), ``.vtk`` (binary,
        with the ``structure_id`` of each triangle), ``.ply`` (binary), or ``.stl`` (binary, with
        coordinates of 32 bits).
    parts
        One or more.

    Raises
    ------
    ValueError
        Another ending.
    """
    ending = checked_ending(path)
    with replacing(path.resolve()) as file:
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
    first = 1
    for part in parts:
        name = "".join(c if c.isprintable() else "?" for c in part.acronym).strip() or "?"
        lines = [f"o {name}\n"]
        lines += ("v {} {} {}\n".format(*vertex) for vertex in part.mesh.vertices.tolist())
        faces = (part.mesh.triangles + first).tolist()
        lines += ("f {} {} {}\n".format(*corners) for corners in faces)
        file.write("".join(lines).encode())
        first += len(part.mesh.vertices)


def _write_joined(file: BinaryIO, ending: str, parts: Sequence[MeshPart]) -> None:
    """Write one surface through meshio."""
    import meshio

    joined = joined_mesh([part.mesh for part in parts])
    triangles = joined.triangles.astype(np.int32)  # PLY has no others, and STL none
    if ending == ".stl":
        meshio.stl.write(file, meshio.Mesh(joined.vertices, [("triangle", triangles)]), binary=True)
    elif ending == ".ply":
        meshio.ply.write(file, meshio.Mesh(joined.vertices, [("triangle", triangles)]), binary=True)
    else:
        ids = np.array([part.structure_id for part in parts], dtype=np.int64)
        sizes = [len(part.mesh.triangles) for part in parts]
        surface = meshio.Mesh(
            joined.vertices,
            [("triangle", joined.triangles)],
            cell_data={"structure_id": [np.repeat(ids, sizes)]},
        )
        meshio.vtk.write(file, surface, binary=True)
