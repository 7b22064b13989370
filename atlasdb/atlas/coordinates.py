"""The structure and the hemisphere at coordinates, as BrainGlobe's users ask for them.

The one idea: one point is answered from plain Python numbers and one element of the mapped ranks,
since scripts ask for a million of them one by one; arrays of points go to `atlasdb.voxels`.
"""

from __future__ import annotations

import operator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from atlasdb.errors import UnknownDepthError
from atlasdb.runs import LEFT, NEITHER, RIGHT
from atlasdb.voxels.ranks import refuse_unknown

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike, NDArray

    from atlasdb.atlas.opening import AtlasRecord
    from atlasdb.voxels import AtlasVoxels

_AXES = 3
_PLAIN = frozenset({int, float})
_EXPECTED = "coordinates are three numbers or an (N, 3) array of them"
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
        level = self._uncut if hierarchy_lev is None else self._level(hierarchy_lev)
        if triple is None:
            outside = self._record.data.table.size
            unit = "um" if microns else "voxel"
            ranks = self.voxels.ranks_at(coords, unit=unit, outside=outside)
            return level.texts(key_error_string)[ranks] if as_acronym else level.id_table[ranks]
        rank = self._rank_at(triple, microns)
        if as_acronym:
            acronym = level.acronyms[rank]
            return key_error_string if acronym is None else acronym
        return level.ids[rank]

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
        voxel = self._voxel_of(triple, microns)
        if voxel is None:
            return _OUTSIDE if as_string else np.uint8(NEITHER)
        side = self._sides[voxel]
        return _SIDES[int(side)] if as_string else side

    @cached_property
    def _sides(self) -> NDArray[np.uint8]:
        return self._record.data.hemispheres

    @cached_property
    def _voxel_of(self) -> Callable[[Triple, bool], tuple[int, int, int] | None]:
        """The function from a point to its voxel, None outside the volume; NaN is in none."""
        n_ap, n_si, n_rl = self._record.data.grid.shape
        edge_ap, edge_si, edge_rl = self._record.data.grid.resolution_um

        def voxel_of(triple: Triple, microns: bool) -> tuple[int, int, int] | None:
            ap, si, rl = triple
            if microns:
                try:  # in doubles, as for arrays of points
                    ap, si, rl = float(ap) / edge_ap, float(si) / edge_si, float(rl) / edge_rl
                except OverflowError:  # an integer beyond all doubles
                    return None
            if 0 <= ap < n_ap and 0 <= si < n_si and 0 <= rl < n_rl:
                return int(ap), int(si), int(rl)
            return None

        return voxel_of

    @cached_property
    def _rank_at(self) -> Callable[[Triple, bool], int]:
        """The function from a point to its rank, the code of what is outside there."""
        voxel_of, size = self._voxel_of, self._record.data.table.size
        item = self._record.data.ranks.item

        def rank_at(triple: Triple, microns: bool) -> int:
            voxel = voxel_of(triple, microns)
            if voxel is None:
                return size
            rank: int = item(voxel)
            if rank >= size:
                refuse_unknown(np.array([rank]), size)
            return rank

        return rank_at

    @cached_property
    def _uncut(self) -> _Level:
        """The structures themselves; ids are of the annotation's type where that holds them."""
        level = self._level_of(self._record.data.table.cut().rank)
        kind = np.dtype(self._record.data.blob("annotation").dtype)
        limits = np.iinfo(kind if kind.kind in "iu" else np.int64)
        numbers: list[Any] = [
            (kind.type if limits.min <= one <= limits.max and kind.kind in "iu" else np.int64)(one)
            for one in level.ids
        ]
        return replace(level, ids=numbers)

    @cached_property
    def _levels(self) -> dict[int, _Level]:
        return {}

    def _level(self, number: int) -> _Level:
        """Return what each rank is at a level of the hierarchy."""
        found = self._levels.get(number) if type(number) is int else None
        if found is None:
            try:
                level = None if isinstance(number, bool | np.bool_) else operator.index(number)
            except TypeError:
                level = None
            if level is None:
                raise UnknownDepthError(f"no level {number!r}: levels are integers")
            highest = -1 - self._record.data.table.structures.hierarchy.height  # all are the root
            level = max(level, highest)
            found = self._levels.get(level) or self._level_of(self._rank_at_level(level))
            self._levels[level] = found
        return found

    def _level_of(self, rank: NDArray[np.int64]) -> _Level:
        """Return what each rank is, if it becomes another one."""
        table = self._record.data.table
        named = table.is_structure[rank]
        acronyms = [
            acronym if is_one else None
            for acronym, is_one in zip(table.acronyms[rank].tolist(), named.tolist(), strict=True)
        ]
        return _Level(table.ids[rank], table.ids[rank].tolist(), acronyms)

    def _rank_at_level(self, level: int) -> NDArray[np.int64]:
        """Return the rank that each rank becomes at a level."""
        table = self._record.data.table
        if level >= 0:
            return table.cut(depth=level).rank
        rank = np.arange(table.size + 1)
        inner = rank[1 : len(table.structures) + 1]
        parents = table.structures.hierarchy.parent_rank
        for _ in range(min(-1 - int(level), table.structures.hierarchy.height)):
            inner[:] = np.maximum(parents[inner - 1], 1)  # the root stays the root
        return rank


@dataclass(frozen=True)
class _Level:
    """What each rank is where the atlas is cut, the last entry for what is outside.

    Attributes
    ----------
    id_table
        Ids as an array.
    ids
        Ids as scalars.
    acronyms
        None where there is no structure.
    """

    id_table: NDArray[np.int64]
    ids: list[Any]
    acronyms: list[str | None]

    def texts(self, elsewhere: Any) -> NDArray[Any]:  # noqa: ANN401 (a text, as a rule)
        """Return the acronyms as an array, with something else where there is no structure."""
        texts = [elsewhere if one is None else one for one in self.acronyms]
        return np.array(texts, dtype=np.str_ if isinstance(elsewhere, str) else object)


def _triple(coords: Any) -> Triple | None:  # noqa: ANN401 (whatever a user has)
    """Return coordinates as three plain numbers, None if they are no single point.

    Raises
    ------
    ValueError
        They are three things that are no numbers, or no array.
    """
    kind = type(coords)
    if (kind is tuple or kind is list) and len(coords) == _AXES:
        ap, si, rl = coords
        if type(ap) in _PLAIN and type(si) in _PLAIN and type(rl) in _PLAIN:
            return ap, si, rl
    if isinstance(coords, np.ma.MaskedArray):
        coords = np.ma.filled(coords.astype(np.float64), np.nan)
    try:
        array = np.asarray(coords)
    except ValueError as error:  # lists of several lengths
        raise ValueError(f"{_EXPECTED}: {error}") from error
    if array.shape in {(), (_AXES,)} and array.dtype.kind not in "biuf":
        if array.dtype.kind != "O" or not array.shape:
            raise ValueError(f"{_EXPECTED}, not {coords!r:.80}")
        return _numbers(array.tolist())
    return tuple(array.tolist()) if array.shape == (_AXES,) else None


def _numbers(values: list[Any]) -> Triple:
    """Return three objects as plain numbers: of a table's row with texts in it, for one."""
    try:
        if any(isinstance(value, str | bytes) for value in values):
            raise TypeError
        ap, si, rl = (value if type(value) in _PLAIN else float(value) for value in values)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"{_EXPECTED}, not {values!r:.80}") from None
    return ap, si, rl
