"""Meshes: OBJ files, surfaces in memory, and files for other programs."""

from __future__ import annotations

from atlasdb.meshes.blobs import MeshFile
from atlasdb.meshes.obj import MeshCounts, count_mesh, obj_text, read_mesh, reorient_mesh
from atlasdb.meshes.surfaces import (
    Mesh,
    centres_of,
    chosen_triangles,
    half_mesh,
    joined_mesh,
    turned_mesh,
)

__all__ = [
    "Mesh",
    "MeshCounts",
    "MeshFile",
    "centres_of",
    "chosen_triangles",
    "count_mesh",
    "half_mesh",
    "joined_mesh",
    "obj_text",
    "read_mesh",
    "reorient_mesh",
    "turned_mesh",
]
