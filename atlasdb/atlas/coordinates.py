"""The structure and the hemisphere at coordinates, as BrainGlobe's users ask for them.

The one idea: one point is answered from plain Python numbers and one element of the mapped ranks,
since scripts ask for a million of them one by one; arrays of points go to `atlasdb.voxels`.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from atlasdb.errors import UnknownDepthError
from atlasdb.runs import LEFT, NEITHER, RIGHT
from atlasdb.voxels.ranks import refuse_unknown

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from atlasdb.atlas.opening import AtlasRecord
    from atlasdb.voxels import AtlasVoxels

_AXES = 3
_NUMBERS = (int, float, np.integer, np.floating)
_SIDES = {LEFT: "left", RIGHT: "right", NEITHER: "neither"}
_OUTSIDE = "outside"

Triple = tuple[Any, Any, Any]


class Coordinates:
    """The part of `atlasdb.atlas.Atlas` that is asked about points.

    Parameters
    ----------
    record
        The atlas.

    Notes
    -----
    Coordinates are along the array's axes, AP, SI, RL: voxel indices, or microns from the corner
    of the array with ``microns=True``. Voxel i covers [i * r, (i + 1) * r) microns; fractions of
    voxel indices are rounded down. Negative ones, NaN and infinities are outside.
    """

    _record: AtlasRecord
    voxels: AtlasVoxels

    left_hemisphere_value = LEFT
    right_hemisphere_value = RIGHT

    def structure_from_coords(
        self,
        coords: ArrayLike,
        microns: bool = False,
        as_acronym: bool = False,
        hierarchy_lev: int | None = None,
        key_error_string: str = "Outside atlas",
    ) -> Any:  # noqa: ANN401 (follows the arguments)
        """Return the structure at a point, or at each of N points.

        Parameters
        ----------
        coords
            Three numbers, or an (N, 3) array: AP, SI, RL.
        microns
            Coordinates are microns; voxel indices by default.
        as_acronym
            Return acronyms and not ids.
        hierarchy_lev
            Return the ancestor at that many steps from the root (0); a structure that is not so
            deep stays itself. Negative levels count upwards from the structure: -1 is itself, -2
            its parent, and the root stays the root.
        key_error_string
            The acronym where no structure is.

        Returns
        -------
        int or str, or ndarray
            For one point an id, a numpy integer of the annotation's type (int with
            ``hierarchy_lev``), or a str. For N points (N,) int64 or (N,) texts. In the background,
            in labels that no structure has, and outside the volume 0, or ``key_error_string``:
            never an exception, and never another structure.

        Raises
        ------
        UnknownDepthError
            No structure of the atlas is so deep.
        ValueError
            Coordinates are no numbers, or neither three nor (N, 3).

        Examples
        --------
        >>> import atlasdb, tempfile
        >>> db = atlasdb.connect(tempfile.mkdtemp())
        >>> _ = db.ingest("phantom_mouse_100um")
        >>> atlas = db.atlas("phantom_mouse_100um")
        >>> atlas.structure_from_coords((4950, 4150, 3150), microns=True, as_acronym=True)
        'CP'
        >>> atlas.structure_from_coords([[49, 41, 31], [-1, 0, 0]], hierarchy_lev=2)
        array([567,   0])
        """
        triple = _triple(coords)
        if triple is None:
            ranks = self.voxels.ranks_at(
                coords,
                unit="um" if microns else "voxel",
                outside=self._record.data.table.size,
            )
            ids, acronyms, named = self._level(hierarchy_lev)
            if not as_acronym:
                return ids[ranks]
            texts = np.where(named, acronyms, np.array(key_error_string))
            return texts[ranks]
        rank = self._rank_at(triple, microns=microns)
        ids, acronyms, named = self._level(hierarchy_lev)
        if as_acronym:
            return str(acronyms[rank]) if named[rank] else key_error_string
        return self._native_ids[rank] if hierarchy_lev is None else int(ids[rank])

    def hemisphere_from_coords(
        self,
        coords: ArrayLike,
        microns: bool = False,
        as_string: bool = False,
    ) -> Any:  # noqa: ANN401 (follows the arguments)
        """Return the hemisphere of a point, or of each of N points.

        Parameters
        ----------
        coords
            Three numbers, or an (N, 3) array: AP, SI, RL.
        microns
            Coordinates are microns; voxel indices by default.
        as_string
            Return 'left' and 'right' and not 1 and 2.

        Returns
        -------
        int or str, or ndarray
            1 left, 2 right, a numpy.uint8, or (N,) of them; every voxel has a hemisphere, in the
            brain or not. Outside the volume 0, or 'outside'; 0 or 'neither' for a voxel to which an
            asymmetric atlas gives none.

        Examples
        --------
        >>> import atlasdb, tempfile
        >>> db = atlasdb.connect(tempfile.mkdtemp())
        >>> _ = db.ingest("phantom_mouse_100um")
        >>> db.atlas("phantom_mouse_100um").hemisphere_from_coords((49, 41, 31), as_string=True)
        'right'
        """
        triple = _triple(coords)
        if triple is None:
            outside = max(_SIDES) + 1
            sides = self.voxels.hemispheres_at(
                coords, unit="um" if microns else "voxel", everywhere=True, outside=outside
            )
            values = [_SIDES[value] for value in sorted(_SIDES)] if as_string else sorted(_SIDES)
            table = np.array([*values, _OUTSIDE if as_string else NEITHER])
            return table[sides] if as_string else table.astype(np.uint8)[sides]
        voxel = self._voxel_of(triple, microns=microns)
        if voxel is None:
            return _OUTSIDE if as_string else np.uint8(NEITHER)
        side = self._sides[voxel]
        return _SIDES[int(side)] if as_string else side

    @cached_property
    def _sides(self) -> NDArray[np.uint8]:
        return self._record.data.hemispheres

    @cached_property
    def _native_ids(self) -> list[np.integer[Any]]:
        """The id of each rank, of the annotation's type where that holds it."""
        kind = np.dtype(self._record.data.blob("annotation").dtype)
        limits = np.iinfo(kind if kind.kind in "iu" else np.int64)
        return [
            (kind.type if limits.min <= one <= limits.max and kind.kind in "iu" else np.int64)(one)
            for one in self._record.data.table.ids.tolist()
        ]

    @cached_property
    def _levels(self) -> dict[int | None, tuple[NDArray[Any], NDArray[Any], NDArray[Any]]]:
        return {}

    def _level(self, level: int | None) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        """Return the id and the acronym of each rank at a level, and whether it has any."""
        found = self._levels.get(level)
        if found is None:
            table = self._record.data.table
            rank = self._rank_at_level(level)
            found = table.ids[rank], table.acronyms[rank], table.is_structure[rank]
            self._levels[level] = found
        return found

    def _rank_at_level(self, level: int | None) -> NDArray[np.int64]:
        """Return the rank that each rank becomes at a level."""
        table = self._record.data.table
        if isinstance(level, bool | np.bool_):
            raise UnknownDepthError(f"no level {level}: levels are integers")
        if level is None or level >= 0:
            return table.cut(depth=level).rank
        rank = np.arange(table.size + 1)
        inner = rank[1 : len(table.structures) + 1]
        parents = table.structures.hierarchy.parent_rank
        for _ in range(min(-1 - int(level), table.structures.hierarchy.height)):
            inner[:] = np.maximum(parents[inner - 1], 1)  # the root stays the root
        return rank

    def _rank_at(self, triple: Triple, *, microns: bool) -> int:
        """Return the rank at a point, and the code of what is outside there."""
        voxel = self._voxel_of(triple, microns=microns)
        size = self._record.data.table.size
        if voxel is None:
            return size
        rank = self._record.data.ranks.item(voxel)
        if rank >= size:
            refuse_unknown(np.array([rank]), size)
        return int(rank)

    def _voxel_of(self, triple: Triple, *, microns: bool) -> tuple[int, int, int] | None:
        """Return the voxel of a point, None outside the volume; NaN is not in any."""
        grid = self._record.data.grid
        ap, si, rl = triple
        if microns:
            # In doubles, as for arrays of points.
            edges = grid.resolution_um
            try:
                ap, si, rl = float(ap) / edges[0], float(si) / edges[1], float(rl) / edges[2]
            except OverflowError:  # an integer beyond all doubles
                return None
        shape = grid.shape
        if 0 <= ap < shape[0] and 0 <= si < shape[1] and 0 <= rl < shape[2]:
            return int(ap), int(si), int(rl)
        return None


def _triple(coords: Any) -> Triple | None:  # noqa: ANN401 (whatever a user has)
    """Return coordinates as three numbers, None if they are no single point."""
    if not isinstance(coords, tuple | list):
        array = np.asarray(coords)
        if array.shape != (_AXES,) or array.dtype.kind not in "iuf":
            return None
        coords = array.tolist()
    if len(coords) != _AXES:
        return None
    ap, si, rl = coords
    if isinstance(ap, _NUMBERS) and isinstance(si, _NUMBERS) and isinstance(rl, _NUMBERS):
        return ap, si, rl
    return None
