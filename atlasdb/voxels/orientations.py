"""Volumes, points and meshes of an atlas in another orientation, and the transform between them.

The one idea: a home holds everything in 'asr'; what another program wants or gives is turned here,
all by the same change (`atlasdb.space.Reorientation`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from atlasdb.space import STANDARD, Reorientation
from atlasdb.voxels.grid import MICRONS_PER_UNIT, Grid, checked_points, checked_unit

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from atlasdb.meshes import Mesh
    from atlasdb.voxels.data import AtlasData


class Orientations:
    """The part of `atlasdb.voxels.AtlasVoxels` that turns things.

    Parameters
    ----------
    data
        The atlas's volumes.

    Notes
    -----
    An orientation is three letters, one an axis, that name the side at which the axis *starts*, as
    in BrainGlobe: 'asr' is anterior, superior, right. Neuroimaging's "RAS" names where axes point
    to, and is 'lpi' here.
    """

    def __init__(self, data: AtlasData) -> None:
        self._data = data

    def grid_in(self, orientation: str) -> Grid:
        """Return the shape and the resolution along the axes of another orientation."""
        turn, grid = Reorientation.between(STANDARD, orientation), self._data.grid
        return Grid(turn.permute(grid.shape), turn.permute(grid.resolution_um))

    def volume_in(self, volume: NDArray[Any], orientation: str) -> NDArray[Any]:
        """Return a view of one of the atlas's volumes in another orientation; nothing is copied.

        Raises
        ------
        ValueError
            The volume has another shape than the atlas, or the text is no orientation.
        """
        if volume.shape != self._data.grid.shape:
            raise ValueError(
                f"the volume has the shape {volume.shape}, but {self._data.name} has "
                f"{self._data.grid.shape}"
            )
        return Reorientation.between(STANDARD, orientation).volume(volume)

    def points_in(
        self, points: ArrayLike, orientation: str, *, unit: str = "um"
    ) -> NDArray[np.float64]:
        """Return points of the atlas in the coordinates of another orientation.

        Parameters
        ----------
        points
            (N, 3) along AP, SI, RL, from the corner of the volume.
        orientation
            The target.
        unit
            'um', 'mm', 'm', or 'voxel' for continuous coordinates in voxels, in which voxel i's
            centre is i + 0.5. Indices of voxels are not points: turn their centres.

        Returns
        -------
        ndarray of float64
            (N, 3) along the target's axes.

        Examples
        --------
        >>> import atlasdb, tempfile
        >>> db = atlasdb.connect(tempfile.mkdtemp())
        >>> _ = db.ingest("phantom_mouse_100um")
        >>> voxels = db.voxels("phantom_mouse_100um")
        >>> voxels.points_in([[1000, 2000, 3000]], "lpi")
        array([[ 8400., 12200.,  6000.]])
        """
        turn = Reorientation.between(STANDARD, orientation)
        return turn.points(checked_points(points).astype(np.float64), self._extent(unit))

    def points_from(
        self, points: ArrayLike, orientation: str, *, unit: str = "um"
    ) -> NDArray[np.float64]:
        """Return points given in another orientation along AP, SI, RL; the inverse of `points_in`.

        Allen's own tools, the ABC atlas and IBL count the last axis from the left: 'asl'.
        """
        there = Reorientation.between(STANDARD, orientation)
        extent = there.permute(self._extent(unit))
        return there.inverse.points(checked_points(points).astype(np.float64), extent)

    def transform_to(self, orientation: str, *, unit: str = "um") -> NDArray[np.float64]:
        """Return the affine matrix that does what `points_in` does, (4, 4) float64.

        ``matrix @ [ap, si, rl, 1]`` is the point in the target.
        """
        return Reorientation.between(STANDARD, orientation).matrix(self._extent(unit))

    def mesh_in(self, mesh: Mesh, orientation: str) -> Mesh:
        """Return a mesh of the atlas (microns) in another orientation, its faces still outwards."""
        from atlasdb.meshes import turned_mesh

        turn = Reorientation.between(STANDARD, orientation)
        return turned_mesh(mesh, turn, self._data.grid.extent_um)

    def _extent(self, unit: str) -> tuple[float, ...]:
        """Return the edges of the volume in a unit."""
        if checked_unit(unit) == "voxel":
            return self._data.grid.shape
        return tuple(edge / MICRONS_PER_UNIT[unit] for edge in self._data.grid.extent_um)
