"""The meshes of an atlas's structures: read, cut to a hemisphere, written for other programs.

The one idea: a file in the home has the size and the counts that it was ingested with, or is an
error; all that is made of a mesh is made of the arrays in it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np

from atlasdb.atlas.opening import read_meshes
from atlasdb.errors import NoMeshError
from atlasdb.home import Leases
from atlasdb.meshes import centres_of, chosen_triangles, half_mesh
from atlasdb.runs import LEFT, NEITHER, RIGHT
from atlasdb.space import STANDARD, first_left_index
from atlasdb.voxels.borders import surface

if TYPE_CHECKING:
    from collections.abc import Iterable

    import meshio
    from numpy.typing import NDArray

    from atlasdb.atlas.entries import AnyStructure, StructuresDict
    from atlasdb.atlas.opening import AtlasRecord
    from atlasdb.meshes import Mesh, MeshFile
    from atlasdb.voxels import AtlasVoxels
    from atlasdb.voxels.grid import Grid

Hemisphere = Literal["left", "right"]
Several = list[Any] | tuple[Any, ...]
"""A list or tuple of structures, by acronym or id."""

_RL = 2


class Surfaces:
    """The part of `atlasdb.atlas.Atlas` that is asked for meshes.

    Parameters
    ----------
    record
        The atlas.

    Notes
    -----
    Coordinates are microns in the array's axis order (AP, SI, RL) from its corner: voxel 0 begins
    at 0. Faces look outwards. Many atlases have no mesh for some structures.
    """

    _record: AtlasRecord
    voxels: AtlasVoxels
    structures: StructuresDict
    _fetched: tuple[Leases, ...] = ()

    @overload
    def mesh_from_structure(
        self, structure: AnyStructure, *, hemisphere: Hemisphere | None = None
    ) -> meshio.Mesh: ...

    @overload
    def mesh_from_structure(
        self, structure: Several, *, hemisphere: Hemisphere | None = None
    ) -> list[meshio.Mesh]: ...

    def mesh_from_structure(
        self,
        structure: AnyStructure | Several,
        *,
        hemisphere: Hemisphere | None = None,
    ) -> meshio.Mesh | list[meshio.Mesh]:
        """Return the mesh of a structure, or of each of a list.

        Parameters
        ----------
        structure
            An acronym or id, or a list or tuple of them.
        hemisphere
            'left' or 'right': the part of the mesh on that side (see `half_surface`).

        Returns
        -------
        meshio.Mesh or list of meshio.Mesh
            ``points`` (V, 3) float64, microns; one block of cells 'triangle', (F, 3) int64. A whole
            mesh is read once and kept: it is the one of ``structures[structure]["mesh"]``.

        Raises
        ------
        NoMeshError
            The structure has no mesh, or nothing of it lies on that side.
        BlobError
            The file is missing or was altered.

        Examples
        --------
        >>> import atlasdb, tempfile
        >>> db = atlasdb.connect(tempfile.mkdtemp())
        >>> _ = db.ingest("phantom_mouse_100um")
        >>> mesh = db.atlas("phantom_mouse_100um").mesh_from_structure("CP", hemisphere="left")
        >>> mesh.points.shape, mesh.points[:, 2].min() >= 5700
        ((266, 3), np.True_)
        """
        if isinstance(structure, list | tuple):
            return [self.mesh_from_structure(one, hemisphere=hemisphere) for one in structure]
        entry = self.structures[structure]
        if hemisphere is None:
            mesh: meshio.Mesh = entry["mesh"]
            return mesh
        return _as_meshio(self.surface(entry["id"], hemisphere=hemisphere))

    @overload
    def meshfile_from_structure(self, structure: AnyStructure) -> Path: ...

    @overload
    def meshfile_from_structure(self, structure: Several) -> list[Path]: ...

    def meshfile_from_structure(self, structure: AnyStructure | Several) -> Path | list[Path]:
        """Return the OBJ file of a structure's mesh, or of each of a list.

        Raises
        ------
        NoMeshError
            The structure has no mesh.
        BlobError
            The file is missing or was altered.
        """
        if isinstance(structure, list | tuple):
            return [self.meshfile_from_structure(one) for one in structure]
        return self._mesh_file(self.structures.id_of(structure)).path

    def root_mesh(self) -> meshio.Mesh:
        """Return the mesh of the root, as `mesh_from_structure`."""
        return self.mesh_from_structure(self._root_id)

    def root_meshfile(self) -> Path:
        """Return the OBJ file of the root's mesh, as `meshfile_from_structure`."""
        return self.meshfile_from_structure(self._root_id)

    def surface(
        self,
        structure: AnyStructure,
        *,
        hemisphere: Hemisphere | None = None,
        orientation: str = STANDARD,
    ) -> Mesh:
        """Return the mesh of a structure as plain arrays.

        Parameters
        ----------
        structure
            An acronym or id.
        hemisphere
            'left' or 'right'. In a symmetric atlas the mesh is cut at the plane between the
            hemispheres' voxels, and open there; in an asymmetric one it keeps the triangles whose
            centre lies in a voxel of that hemisphere, or is nearest to one if its own voxel has no
            hemisphere. Both halves make the whole.
        orientation
            Where the axes start, as in `atlasdb.voxels.AtlasVoxels.mesh_in`.

        Raises
        ------
        NoMeshError
            The structure has no mesh, or nothing of it lies on that side.
        BlobError
            The file is missing or was altered.
        """
        structure_id = self.structures.id_of(structure)
        mesh = self._mesh_file(structure_id).read()
        if hemisphere is not None:
            mesh = self._half(mesh, hemisphere)
            if not len(mesh.triangles):
                raise NoMeshError(
                    f"nothing of the mesh of {self.structures[structure_id]['acronym']} lies in "
                    f"the {hemisphere} hemisphere of {self.voxels.name}"
                )
        return self.voxels.mesh_in(mesh, orientation)

    def write_mesh(
        self,
        path: str | Path,
        structures: AnyStructure | Several,
        *,
        hemisphere: Hemisphere | None = None,
        orientation: str = STANDARD,
    ) -> tuple[int, int]:
        """Write the mesh of a structure, or of several, as one file for other programs.

        Parameters
        ----------
        path
            Ends in ``.obj``, ``.ply``, ``.stl`` or ``.vtk``; see `atlasdb.meshes.files.write_mesh`.
        structures
            One or a list.
        hemisphere, orientation
            As `surface`.

        Returns
        -------
        tuple of int
            The number of vertices and of triangles written.

        Raises
        ------
        NoMeshError
            A structure has no mesh; nothing is written.
        ValueError
            Another ending, or a path among the atlas's own files.
        """
        from atlasdb.meshes.files import MeshPart, checked_ending, write_mesh

        path = Path(path)
        checked_ending(path)
        several: Several = structures if isinstance(structures, list | tuple) else [structures]
        self._record.home.refuse_own(path)
        ids = dict.fromkeys(self.structures.id_of(one) for one in several)
        self._fetch(ids)
        parts = [
            MeshPart(
                structure_id,
                self.structures[structure_id]["acronym"],
                self.surface(structure_id, hemisphere=hemisphere, orientation=orientation),
            )
            for structure_id in ids
        ]
        write_mesh(path, parts)
        return sum(len(p.mesh.vertices) for p in parts), sum(len(p.mesh.triangles) for p in parts)

    @property
    def _root_id(self) -> int:
        return self._record.data.table.structures.hierarchy.root_id

    def _mesh_file(self, structure_id: int) -> MeshFile:
        """Return a mesh's file, and make sure that it is as large as the one that was ingested."""
        mesh = self._record.meshes.get(structure_id)
        if mesh is None and "meshes" in self._record.data.left_out:
            self._fetch([structure_id])
            mesh = self._record.meshes.get(structure_id)
        if mesh is None:
            raise NoMeshError(
                f"{self.structures[structure_id]['acronym']} ({structure_id}) has no mesh in "
                f"{self.voxels.name}, which has meshes for {len(self._record.meshes):,} of "
                f"{len(self.structures):,} structures"
            )
        mesh.check_size()
        return mesh

    def _fetch(self, structure_ids: Iterable[int]) -> None:
        """Get meshes that the ingest left out."""
        # The other way round in the layers: what fetches is above what reads.
        from atlasdb.mesh_fetching import fetch_meshes

        record = self._record
        missing = [i for i in structure_ids if i not in record.meshes]
        if "meshes" not in record.data.left_out or not missing:
            return
        read_meshes(record.home, record.data, ())  # it is still the one that was opened
        fetch_meshes(record.home, str(record.data.name), missing)
        newer = read_meshes(record.home, record.data, missing)
        record.meshes.update(newer)
        self._fetched = (*self._fetched, Leases({mesh.path.parent for mesh in newer.values()}))

    def _read_mesh(self, structure_id: int) -> meshio.Mesh:
        """Read a whole mesh for `structures`."""
        return _as_meshio(self.surface(structure_id))

    def _half(self, mesh: Mesh, hemisphere: Hemisphere) -> Mesh:
        """Return the part of a mesh in one hemisphere."""
        if hemisphere not in {"left", "right"}:
            raise ValueError(f"hemisphere is 'left' or 'right', not {hemisphere!r}")
        data = self._record.data
        if data.sides is None:
            plane = first_left_index(data.grid.shape[_RL]) * data.grid.resolution_um[_RL]
            return half_mesh(mesh, _RL, plane, above=hemisphere == "left")
        sides = sides_of_points(data.sides, centres_of(mesh) / data.grid.resolution_um, data.grid)
        return chosen_triangles(mesh, sides == (LEFT if hemisphere == "left" else RIGHT))


def sides_of_points(
    sides: NDArray[np.uint8], points: NDArray[np.float64], grid: Grid
) -> NDArray[np.uint8]:
    """Return the hemisphere of each point: its voxel's, or that of the nearest voxel that has one.

    Parameters
    ----------
    sides
        A hemisphere volume: 1 left, 2 right, 0 neither.
    points
        (N, 3) voxels, continuous; inside the volume or not.
    grid
        What distances are measured in.

    Returns
    -------
    ndarray of uint8
        (N,) 1 or 2; 0 only if no voxel of the volume has a hemisphere.
    """
    last = np.array(sides.shape) - 1
    index = np.floor(points).astype(np.int64)
    found: NDArray[np.uint8] = sides[tuple(np.clip(index, 0, last).T)]
    found[((index < 0) | (index > last)).any(axis=1)] = NEITHER
    lost = np.flatnonzero(found == NEITHER)
    rim = np.argwhere(surface(np.asarray(sides) != NEITHER)) if lost.size else np.empty((0, 3))
    if not rim.size:
        return found
    from scipy.spatial import KDTree  # with scipy, only where hemispheres are a file's

    edges = np.array(grid.resolution_um)
    _, nearest = KDTree((rim + 0.5) * edges).query(points[lost] * edges)
    found[lost] = sides[tuple(rim[nearest].T)]
    return found


def _as_meshio(mesh: Mesh) -> meshio.Mesh:
    """Return a mesh as meshio's readers give one."""
    import meshio

    return meshio.Mesh(mesh.vertices, [("triangle", mesh.triangles)])
