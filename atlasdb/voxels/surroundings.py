"""What surrounds points: the composition of a sphere, the distance to a border, the way of a probe.

The one idea: geometry is computed exactly and once (`neighbourhoods`, `distances`, `tracks`); here
its numbers get the names of structures, cut as the caller asks, and nothing is left out: what is
unlabelled, background or outside has rows of its own, so that all sums reconcile.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from atlasdb.voxels.masks import Masks
from atlasdb.voxels.points import GatherRanks, locate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    from atlasdb.voxels.ranks import Structure


@dataclass(frozen=True)
class Composition:
    """What is around points: a row for each point and structure, most voxels first.

    Attributes
    ----------
    point
        (M,) int64, the point's row.
    structure_ids
        (M,) int64; 0 where there is none.
    acronyms
        (M,) texts; empty where there is none.
    statuses
        (M,) uint8, positions in `atlasdb.voxels.STATUSES`.
    voxels
        (M,) int64, voxels whose centres lie within the radius.
    fraction
        (M,) float64, their part of all those of the point, which sum to 1.
    """

    point: NDArray[np.int64]
    structure_ids: NDArray[np.int64]
    acronyms: NDArray[np.str_]
    statuses: NDArray[np.uint8]
    voxels: NDArray[np.int64]
    fraction: NDArray[np.float64]


@dataclass(frozen=True)
class Track:
    """The structures along a track, in order; each begins where the one before it ends.

    Attributes
    ----------
    structure_ids
        (K,) int64; 0 where there is none.
    acronyms
        (K,) texts; empty where there is none.
    statuses
        (K,) uint8, positions in `atlasdb.voxels.STATUSES`.
    entry_um, exit_um
        (K,) float64, distances along the track from its beginning.
    entry_points_um, exit_points_um
        (K, 3) float64, where that is.
    """

    structure_ids: NDArray[np.int64]
    acronyms: NDArray[np.str_]
    statuses: NDArray[np.uint8]
    entry_um: NDArray[np.float64]
    exit_um: NDArray[np.float64]
    entry_points_um: NDArray[np.float64]
    exit_points_um: NDArray[np.float64]


class Surroundings(Masks):
    """The part of `atlasdb.voxels.AtlasVoxels` that is asked what surrounds points.

    Parameters
    ----------
    data
        The atlas's volumes.
    """

    def composition(
        self,
        points: ArrayLike,
        radius_um: float,
        *,
        unit: str = "um",
        depth: int | None = None,
        structures: Structure | Sequence[Structure] | None = None,
        threads: int | None = None,
    ) -> Composition:
        """Return which structures are within a radius of each point, and how much of each.

        Parameters
        ----------
        points
            (N, 3) along AP, SI, RL.
        radius_um
            Of a true sphere, whatever the voxels' edges: a voxel counts if its centre is no farther
            than that. The voxel in which the point lies always counts.
        unit
            What the points are in: 'um', 'mm', 'm' or 'voxel'.
        depth, structures
            Where the atlas is cut.
        threads
            How many; one a processor by default.

        Raises
        ------
        ValueError
            A radius that is negative or no number.

        Examples
        --------
        >>> import atlasdb, tempfile
        >>> db = atlasdb.connect(tempfile.mkdtemp())
        >>> _ = db.ingest("phantom_mouse_100um")
        >>> found = db.voxels("phantom_mouse_100um").composition([[4950, 4150, 3150]], 1000)
        >>> list(zip(found.acronyms.tolist(), found.voxels.tolist()))
        [('CP', 4036), ('root', 133)]
        """
        from atlasdb.voxels.neighbourhoods import sphere_composition

        data = self._data
        microns = data.grid.points_um(points, unit=unit)
        codes = data.table.codes(data.table.cut(depth=depth, structures=structures))
        found = sphere_composition(
            microns, radius_um, data.grid, data.ranks, codes, threads=threads
        )
        ids, acronyms, statuses = data.table.names_of(found.codes)
        total = np.bincount(found.point, weights=found.voxels, minlength=len(microns))
        fraction = found.voxels / total[found.point]
        return Composition(found.point, ids, acronyms, statuses, found.voxels, fraction)

    def distances_to_boundary(
        self,
        points: ArrayLike,
        structure: Structure | None = None,
        *,
        unit: str = "um",
        depth: int | None = None,
        direct_only: bool = False,
    ) -> NDArray[np.float64]:
        """Return the distance of each point to the nearest boundary of a structure, in microns.

        Parameters
        ----------
        points
            (N, 3) along AP, SI, RL.
        structure
            Its acronym or id; by default that of each point: the voxels of the same structure where
            the atlas is cut, or of the same label where it is not.
        unit
            What the points are in: 'um', 'mm', 'm' or 'voxel'.
        depth
            Where the atlas is cut, if no structure is named.
        direct_only
            The boundary of the named structure's own label, without its descendants'.

        Returns
        -------
        ndarray of float64
            (N,): positive inside the structure, negative outside it, exact to the faces of its
            voxels (which end it at the edge of the volume as well). NaN for NaN and infinite
            points and, where no structure is named, for points in none.

        Raises
        ------
        NoVoxelsError
            The structure has no voxels.

        Examples
        --------
        >>> import atlasdb, tempfile
        >>> db = atlasdb.connect(tempfile.mkdtemp())
        >>> _ = db.ingest("phantom_mouse_100um")
        >>> voxels = db.voxels("phantom_mouse_100um")
        >>> voxels.distances_to_boundary([[4950, 4150, 3150], [0, 0, 0]], "CP")
        array([  804.67384697, -5974.1108125 ])
        """
        data = self._data
        microns = data.grid.points_um(points, unit=unit)
        if structure is not None:
            if depth is not None:
                raise ValueError("cut at a depth, or name the structure, not both")
            return self._signed_distances(microns, points, unit, structure, direct_only)
        cut = data.table.cut(depth=depth)
        ranks = np.empty(len(microns), dtype=np.int64)
        inside = np.where(data.table.is_structure, cut.rank, 0)
        locate(
            points,
            data.grid,
            GatherRanks(data.ranks, data.table.size, [(inside, ranks)]),
            unit=unit,
        )
        distances = np.full(len(microns), np.nan)
        for rank in np.unique(ranks[ranks > 0]).tolist():
            mine = ranks == rank
            above = depth is None or data.table.structures.hierarchy.depth[rank - 1] < depth
            distances[mine] = self._distances(microns[mine], int(data.table.ids[rank]), bool(above))
        return distances

    def track(
        self,
        vertices: ArrayLike,
        *,
        unit: str = "um",
        depth: int | None = None,
        structures: Structure | Sequence[Structure] | None = None,
    ) -> Track:
        """Return the structures that a probe's track crosses, in order, with entry and exit.

        Parameters
        ----------
        vertices
            (M, 3) along AP, SI, RL: the track runs straight from each to the next; two for a probe.
        unit
            What they are in: 'um', 'mm', 'm' or 'voxel'.
        depth, structures
            Where the atlas is cut.

        Returns
        -------
        Track
            What is unlabelled, background or outside is part of it, so that the pieces make up the
            whole length.

        Raises
        ------
        ValueError
            Fewer than two vertices, or one that is not finite.

        Examples
        --------
        >>> import atlasdb, tempfile
        >>> db = atlasdb.connect(tempfile.mkdtemp())
        >>> _ = db.ingest("phantom_mouse_100um")
        >>> track = db.voxels("phantom_mouse_100um").track([[4950, 0, 3150], [4950, 8000, 3150]])
        >>> track.acronyms.tolist(), track.entry_um.tolist()
        (['', 'root', 'CP', 'root', ''], [0.0, 800.0, 3000.0, 5400.0, 7200.0])
        """
        from atlasdb.voxels.tracks import track_segments

        data = self._data
        codes = data.table.codes(data.table.cut(depth=depth, structures=structures))
        microns = data.grid.points_um(vertices, unit=unit)
        found = track_segments(microns, data.grid, data.ranks, codes)
        ids, acronyms, statuses = data.table.names_of(found.codes)
        return Track(
            ids,
            acronyms,
            statuses,
            found.entry_um,
            found.exit_um,
            found.entry_point_um,
            found.exit_point_um,
        )

    def _signed_distances(
        self,
        microns: NDArray[np.float64],
        points: ArrayLike,
        unit: str,
        structure: Structure,
        direct_only: bool,
    ) -> NDArray[np.float64]:
        """Return distances with the sign of where each point is."""
        data = self._data
        distances = self._distances(microns, structure, direct_only)
        inside = np.zeros(data.table.size + 1, dtype=np.bool_)
        (rank,) = data.table.ranks_of(structure)
        last = rank if direct_only else data.table.last_ranks(np.array([rank]))[0]
        inside[rank : last + 1] = True
        is_inside = np.empty(len(microns), dtype=np.bool_)
        sink = GatherRanks(data.ranks, data.table.size, [(inside, is_inside)])
        locate(points, data.grid, sink, unit=unit)
        return np.where(is_inside, distances, -distances)

    def _distances(
        self, microns: NDArray[np.float64], structure: Structure, direct_only: bool
    ) -> NDArray[np.float64]:
        """Return the unsigned distances to a structure's boundary."""
        from atlasdb.voxels.distances import boundary_distances, boundary_faces

        crop = self.cropped_mask(structure, direct_only=direct_only)
        faces = boundary_faces(crop.mask, crop.offset, self._data.grid)
        return boundary_distances(microns, faces)
