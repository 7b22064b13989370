"""Points to what is there: ids, acronyms, ranks, labels, hemispheres, statuses, for arrays.

The one idea: every answer is a table over ranks, so that a lookup is one pass over the points, the
same one for all of them (`atlasdb.voxels.points`). Methods are called as in SQL, in the plural.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from atlasdb.voxels.grid import checked_points
from atlasdb.voxels.points import CopyRanks, GatherRanks, OutsidePoints, TakeSides, locate
from atlasdb.voxels.ranks import OUTSIDE, STATUSES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import ArrayLike, NDArray

    from atlasdb.voxels.data import AtlasData
    from atlasdb.voxels.points import Located
    from atlasdb.voxels.ranks import Cut, RankTable, Structure


@dataclass(frozen=True)
class Lookup:
    """What is at each of N points; nothing is lost, whatever a point is.

    Attributes
    ----------
    ranks
        (N,) unsigned integers: 0 in the background, 1…n in structures, above in labels that no
        structure has, and the table's `size` outside the volume.
    hemispheres
        (N,) uint8: 1 left, 2 right, 0 where no structure is, as ``hemisphere_at`` in SQL.
    table
        What the ranks mean.
    cut
        What they become where the atlas is cut.
    """

    ranks: NDArray[Any]
    hemispheres: NDArray[np.uint8]
    table: RankTable
    cut: Cut

    def __len__(self) -> int:
        return self.ranks.size

    @property
    def structure_ids(self) -> NDArray[np.int64]:
        """(N,) int64: the structure of the cut; 0 where there is none."""
        found: NDArray[np.int64] = self.table.ids[self.cut.rank][self.ranks]
        return found

    @property
    def acronyms(self) -> NDArray[np.str_]:
        """(N,) texts: the structure of the cut; empty where there is none."""
        found: NDArray[np.str_] = self.table.acronyms[self.cut.rank][self.ranks]
        return found

    @property
    def is_assigned(self) -> NDArray[np.bool_]:
        """(N,) bool: in a structure of the cut, and not in a label above it, nor in none."""
        found: NDArray[np.bool_] = self.cut.is_assigned[self.ranks]
        return found

    @property
    def labels(self) -> NDArray[np.int64]:
        """(N,) int64: the annotation's own value, uncut; 0 in the background and outside."""
        found: NDArray[np.int64] = self.table.labels[self.ranks]
        return found

    @property
    def statuses(self) -> NDArray[np.uint8]:
        """(N,) uint8: positions in `STATUSES`."""
        found: NDArray[np.uint8] = self.table.statuses[self.ranks]
        return found

    @property
    def counts(self) -> dict[str, int]:
        """The number of points of each status; they sum to N."""
        counts = np.bincount(self.statuses, minlength=len(STATUSES)).tolist()
        return dict(zip(STATUSES, counts, strict=True))


class PointLookups:
    """The part of `atlasdb.voxels.AtlasVoxels` that is asked about points.

    Parameters
    ----------
    data
        The atlas's volumes.

    Notes
    -----
    All take ``points``, an (N, 3) array of floats or integers along the axes AP, SI, RL in any
    memory order, and return (N,) arrays in the same order. ``unit`` is 'um', 'mm', 'm' or 'voxel'.
    Voxel i covers [i * r, (i + 1) * r); the far face, NaN and infinities are outside.

    ``outside`` is the value that points outside the volume get. Without one they are an error,
    `OutsideError`, with their number and the first of them: only the caller knows what such a point
    means. The background and labels without a structure are 0 (empty, of acronyms).

    ``depth`` cuts the atlas at that many steps from the root: a structure below stands for its
    ancestor there, one above for itself. ``structures`` cuts it at a set of structures: each point
    belongs to the deepest that contains it, and to none (0) if none does. ``threads`` is by default
    the number of processors; memory beside input and output does not grow with N.
    """

    def __init__(self, data: AtlasData) -> None:
        self._data = data

    def structure_ids_at(
        self,
        points: ArrayLike,
        *,
        unit: str = "um",
        depth: int | None = None,
        structures: Structure | Sequence[Structure] | None = None,
        outside: int | None = None,
        threads: int | None = None,
    ) -> NDArray[np.int64]:
        """Return the id of the structure at each point, (N,) int64; 0 where there is none.

        Examples
        --------
        >>> import atlasdb, tempfile
        >>> db = atlasdb.connect(tempfile.mkdtemp())
        >>> _ = db.ingest("phantom_mouse_100um")
        >>> voxels = db.voxels("phantom_mouse_100um")
        >>> voxels.structure_ids_at([[4950, 4150, 3150], [-1, 0, 0]], outside=-1)
        array([672,  -1])
        """
        table = self._table.ids[self._table.cut(depth=depth, structures=structures).rank]
        return self._gathered(points, table, outside, unit, threads)

    def acronyms_at(
        self,
        points: ArrayLike,
        *,
        unit: str = "um",
        depth: int | None = None,
        structures: Structure | Sequence[Structure] | None = None,
        outside: str | None = None,
        threads: int | None = None,
    ) -> NDArray[np.str_]:
        """Return the acronym of the structure at each point, (N,) texts; empty where there is none.

        Examples
        --------
        >>> import atlasdb, tempfile
        >>> db = atlasdb.connect(tempfile.mkdtemp())
        >>> _ = db.ingest("phantom_mouse_100um")
        >>> voxels = db.voxels("phantom_mouse_100um")
        >>> voxels.acronyms_at([[4950, 4150, 3150], [-1, 0, 0]], depth=3, outside="?").tolist()
        ['CNU', '?']
        """
        table = self._table.acronyms[self._table.cut(depth=depth, structures=structures).rank]
        return self._gathered(points, table, outside, unit, threads)

    def ranks_at(
        self,
        points: ArrayLike,
        *,
        unit: str = "um",
        depth: int | None = None,
        structures: Structure | Sequence[Structure] | None = None,
        outside: int | None = None,
        threads: int | None = None,
    ) -> NDArray[Any]:
        """Return the depth-first rank of the structure at each point, (N,) integers.

        0 is the background; labels that no structure has are above the number of structures. The
        type is the rank volume's, or a wider one if `outside` needs it.
        """
        if depth is None and structures is None:
            ranks = self._data.ranks
            fill = 0 if outside is None else outside
            out = np.empty(len(checked_points(points)), _dtype_for(ranks.dtype, fill))
            return self._filled(
                points, out, CopyRanks(ranks, self._table.size, out, fill), outside, unit, threads
            )
        table = self._table.cut(depth=depth, structures=structures).rank
        return self._gathered(points, table, outside, unit, threads)

    def labels_at(
        self,
        points: ArrayLike,
        *,
        unit: str = "um",
        outside: int | None = None,
        threads: int | None = None,
    ) -> NDArray[np.int64]:
        """Return the annotation's own value at each point, (N,) int64; 0 is the background."""
        return self._gathered(points, self._table.labels, outside, unit, threads)

    def statuses_at(
        self, points: ArrayLike, *, unit: str = "um", threads: int | None = None
    ) -> NDArray[np.uint8]:
        """Return what each point is, (N,) uint8: a position in `atlasdb.voxels.STATUSES`."""
        return self._gathered(points, self._table.statuses, OUTSIDE, unit, threads)

    def hemispheres_at(
        self,
        points: ArrayLike,
        *,
        unit: str = "um",
        everywhere: bool = False,
        outside: int | None = None,
        threads: int | None = None,
    ) -> NDArray[np.uint8]:
        """Return the hemisphere of each point, (N,): 1 left, 2 right, 0 neither.

        Parameters
        ----------
        points, unit, outside, threads
            As for all.
        everywhere
            Give the hemisphere of every voxel, as BrainGlobe does. By default it is 0 where no
            structure is, as ``hemisphere_at`` in SQL is NULL there.

        Returns
        -------
        ndarray
            uint8, or a wider type if `outside` needs it.
        """
        fill = 0 if outside is None else outside
        dtype = _dtype_for(np.dtype(np.uint8), fill)
        out: NDArray[Any] = np.empty(len(checked_points(points)), dtype)
        sides = TakeSides(self._data.sides, self._data.grid, out, fill)
        sink = sides if everywhere else self._of_structures(sides, out, fill)
        return self._filled(points, out, sink, outside, unit, threads)

    def voxels_at(self, points: ArrayLike, *, unit: str = "um") -> NDArray[np.int64]:
        """Return the index of the voxel of each point, (N, 3) int64; three times -1 outside."""
        array = checked_points(points)
        found = np.empty(array.shape, dtype=np.int64)

        def sink(located: Located) -> None:
            out = found[located.rows]
            np.copyto(out, located.voxel, casting="unsafe")
            if located.inside is not None:
                out[~located.inside] = -1

        locate(array, self._data.grid, sink, unit=unit)
        return found

    def lookup(
        self,
        points: ArrayLike,
        *,
        unit: str = "um",
        depth: int | None = None,
        structures: Structure | Sequence[Structure] | None = None,
        threads: int | None = None,
    ) -> Lookup:
        """Return all that is known of each point, from one pass over them.

        Points outside are no error here: their status says it.

        Examples
        --------
        >>> import atlasdb, tempfile
        >>> db = atlasdb.connect(tempfile.mkdtemp())
        >>> _ = db.ingest("phantom_mouse_100um")
        >>> found = db.voxels("phantom_mouse_100um").lookup([[4950, 4150, 3150], [-1, 0, 0]])
        >>> found.acronyms.tolist(), found.counts["outside"]
        (['CP', ''], 1)
        """
        array = checked_points(points)
        cut = self._table.cut(depth=depth, structures=structures)
        dtype = np.promote_types(self._data.ranks.dtype, np.min_scalar_type(self._table.size))
        ranks: NDArray[Any] = np.empty(len(array), dtype)
        sides = np.empty(len(array), np.uint8)
        look_up = GatherRanks(self._data.ranks, self._table.size, [])
        take_sides = TakeSides(self._data.sides, self._data.grid, sides, 0)
        is_structure = self._table.is_structure

        def sink(located: Located) -> None:
            take_sides(located)
            codes = look_up.codes(located)
            ranks[located.rows] = codes
            np.multiply(sides[located.rows], is_structure[codes], out=sides[located.rows])

        locate(array, self._data.grid, sink, unit=unit, threads=threads)
        return Lookup(ranks, sides, self._table, cut)

    @property
    def _table(self) -> RankTable:
        return self._data.table

    def _gathered(
        self,
        points: ArrayLike,
        table: NDArray[Any],
        outside: float | str | None,
        unit: str,
        threads: int | None,
    ) -> NDArray[Any]:
        """Return a table's entry for the rank at each point, and `outside` for those outside."""
        if outside is not None:
            table = table.astype(_dtype_for(table.dtype, outside))
            table[-1] = outside
        out = np.empty(len(checked_points(points)), table.dtype)
        sink = GatherRanks(self._data.ranks, self._table.size, [(table, out)])
        return self._filled(points, out, sink, outside, unit, threads)

    def _filled(
        self,
        points: ArrayLike,
        out: NDArray[Any],
        sink: Callable[[Located], None],
        outside: object,
        unit: str,
        threads: int | None,
    ) -> NDArray[Any]:
        """Run a lookup; refuse points outside unless the caller has a value for them."""
        array = checked_points(points)
        found: OutsidePoints = locate(array, self._data.grid, sink, unit=unit, threads=threads)
        if outside is None:
            found.refuse(array, self._where, unit)
        return out

    @property
    def _where(self) -> str:
        """The atlas and its extent, for messages."""
        extent = " × ".join(f"{edge:,g}" for edge in self._data.grid.extent_um)
        return f"{self._data.name} ({extent} µm)"

    def _of_structures(
        self, sides: TakeSides, out: NDArray[Any], fill: int
    ) -> Callable[[Located], None]:
        """Return a sink that leaves hemispheres only where structures are."""
        is_structure = self._table.is_structure
        ranks = GatherRanks(self._data.ranks, self._table.size, [])

        def sink(located: Located) -> None:
            sides(located)
            codes = ranks.codes(located)
            keep = is_structure[codes]
            if fill and located.inside is not None:
                keep |= ~located.inside
            np.multiply(out[located.rows], keep, out=out[located.rows])

        return sink


def _dtype_for(values: np.dtype[Any], outside: object) -> np.dtype[Any]:
    """Return the type that holds some values and what stands for outside.

    Raises
    ------
    TypeError
        A number among texts, or anything but an integer among numbers.
    ValueError
        An integer of more than 64 bits.
    """
    if values.kind == "U":
        if not isinstance(outside, str):
            raise TypeError(f"outside must be a text, found {outside!r}")
        return np.result_type(values, np.array(outside).dtype)
    if isinstance(outside, bool | np.bool_) or not isinstance(outside, int | np.integer):
        raise TypeError(f"outside must be an integer, found {outside!r}")
    if not -(2**63) <= outside < 2**63:
        raise ValueError(f"outside must fit 64 bits, found {outside}")
    limits = np.iinfo(values)
    if limits.min <= outside <= limits.max:
        return values
    # int64 holds all that outside may be; with uint64 numpy would take a float.
    return np.result_type(values, min(np.min_scalar_type(int(outside)), np.dtype(np.int64)))
