"""Masks: where a structure is, as volumes, crops and lists of voxels, and the borders between them.

The one idea: a subtree is a range of ranks, so that the mask of any structure, however high, is one
unsigned comparison, ``ranks - first < count``. Masks are made slab by slab in the cache and by all
processors; crops take the bounds that ingest measured.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from atlasdb.errors import NoVoxelsError, listing
from atlasdb.runs import HEMISPHERES, LEFT, RIGHT
from atlasdb.voxels.borders import boundaries, surface
from atlasdb.voxels.grid import triple
from atlasdb.voxels.points import share_out
from atlasdb.voxels.ranks import refuse_unknown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import DTypeLike, NDArray

    from atlasdb.voxels.data import AtlasData
    from atlasdb.voxels.ranks import RankTable, Structure

Hemisphere = Literal["left", "right"]

_CACHED_VOXELS = 1 << 18
_BORDER_VOXELS = 1 << 21  # many planes: those beside a slab are looked at twice
_SIDES = {"left": LEFT, "right": RIGHT}


@dataclass(frozen=True)
class CroppedMask:
    """A mask cut to the bounds of what is in it.

    Attributes
    ----------
    mask
        (a, b, c) bool.
    offset
        The index in the whole volume of its first voxel.
    """

    mask: NDArray[np.bool_]
    offset: tuple[int, int, int]

    @property
    def window(self) -> tuple[slice, slice, slice]:
        """The part of the whole volume that it covers."""
        ap, si, rl = (
            slice(first, first + size)
            for first, size in zip(self.offset, self.mask.shape, strict=True)
        )
        return ap, si, rl


Range = tuple[int, int]
"""The first rank of a subtree and the number of its ranks."""


def ranges_of(table: RankTable, ranks: NDArray[np.int64], *, direct_only: bool) -> list[Range]:
    """Return the rank ranges that some structures cover: ascending, disjoint, not adjacent.

    Parameters
    ----------
    table
        What ranks mean.
    ranks
        The structures'.
    direct_only
        Take their own labels only, and not their descendants'.
    """
    first = np.unique(ranks)
    last = first if direct_only else table.last_ranks(first)
    ranges: list[Range] = []
    for begin, end in zip(first.tolist(), last.tolist(), strict=True):
        if ranges and begin <= sum(ranges[-1]):
            start, count = ranges[-1]
            ranges[-1] = (start, max(count, end + 1 - start))
        else:
            ranges.append((begin, end + 1 - begin))
    return ranges


def write_mask(ranks: NDArray[Any], ranges: Sequence[Range], out: NDArray[np.bool_]) -> None:
    """Write whether each rank lies in one of some ranges.

    Parameters
    ----------
    ranks
        Unsigned integers.
    ranges
        Rank ranges.
    out
        bool, of the same shape.
    """
    if len(ranges) == 1:
        _write_range(ranks, ranges[0], out)
        return
    out[...] = False
    for each in ranges:
        np.logical_or(out, _write_range(ranks, each, np.empty_like(out)), out=out)


def _write_range(ranks: NDArray[Any], wanted: Range, out: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Write whether each rank lies in a range: below its begin, unsigned numbers wrap far above."""
    first, count = wanted
    number = ranks.dtype.type
    np.less(ranks - number(first), number(count), out=out)
    return out


def in_slabs(shape: Sequence[int], voxels: int, work: Callable[[slice], object]) -> None:
    """Call `work` with parts of axis 0 of some so many voxels, on all processors."""
    thickness = max(1, voxels // max(1, int(np.prod(shape[1:]))))

    def of_thread(numbers: Iterator[int]) -> None:
        for number in numbers:
            work(slice(number * thickness, (number + 1) * thickness))

    share_out(of_thread, -(-shape[0] // thickness), None)


class Masks:
    """The part of `atlasdb.voxels.AtlasVoxels` that is asked where structures are.

    Parameters
    ----------
    data
        The atlas's volumes.

    Notes
    -----
    ``structures`` is one acronym or id, or several; a structure is where its own label or a
    descendant's is, with ``direct_only`` where its own label is. ``hemisphere`` keeps to 'left' or
    'right'. Labels that no structure has are in no structure, not even the root. A structure
    without voxels has an empty mask.
    """

    def __init__(self, data: AtlasData) -> None:
        self._data = data

    def mask(
        self,
        structures: Structure | Sequence[Structure],
        *,
        direct_only: bool = False,
        hemisphere: Hemisphere | None = None,
        dtype: DTypeLike = np.bool_,
    ) -> NDArray[Any]:
        """Return where structures are, a volume of True and False, or of 1 and 0.

        Parameters
        ----------
        structures, direct_only, hemisphere
            See above.
        dtype
            Of the result: bool, or any type of numbers.

        Examples
        --------
        >>> import atlasdb, tempfile
        >>> db = atlasdb.connect(tempfile.mkdtemp())
        >>> _ = db.ingest("phantom_mouse_100um")
        >>> voxels = db.voxels("phantom_mouse_100um")
        >>> int(voxels.mask(["CP", "VIS"], hemisphere="left").sum())
        7432
        """
        if np.dtype(dtype).kind not in "biuf":
            raise ValueError(f"a mask holds truth values or numbers, not {np.dtype(dtype)}")
        table = self._data.table
        ranges = ranges_of(table, table.ranks_of(structures), direct_only=direct_only)
        sides = self._sides_of(hemisphere)
        ranks = self._data.ranks
        mask = np.empty(ranks.shape, np.dtype(dtype))
        as_bool = mask.view(np.bool_) if mask.itemsize == 1 else None  # the same bytes, 1 and 0

        def fill(part: slice) -> None:
            out = np.empty(ranks[part].shape, np.bool_) if as_bool is None else as_bool[part]
            write_mask(ranks[part], ranges, out)
            if sides is not None:
                np.logical_and(out, sides[0][part] == sides[1], out=out)
            if as_bool is None:
                mask[part] = out

        in_slabs(ranks.shape, _CACHED_VOXELS, fill)
        return mask

    def id_mask(
        self,
        structures: Structure | Sequence[Structure],
        *,
        direct_only: bool = False,
        hemisphere: Hemisphere | None = None,
    ) -> NDArray[Any]:
        """Return a volume with the id of each structure where it is, and 0 elsewhere.

        Where one of several contains another, the deeper one's id is there. The type is the
        smallest unsigned one, of 32 bits or more, that holds the ids.
        """
        return self._painted(self.mask_ids(structures, direct_only=direct_only), hemisphere)

    def mask_ids(
        self, structures: Structure | Sequence[Structure], *, direct_only: bool = False
    ) -> NDArray[Any]:
        """Return the id that each rank has in `id_mask`, (size + 1,) integers."""
        table = self._data.table
        ranks = np.unique(table.ranks_of(structures))
        ids = np.zeros(table.size + 1, dtype=np.int64)
        last = ranks if direct_only else table.last_ranks(ranks)
        for first, end in zip(ranks, last, strict=True):
            ids[first : end + 1] = table.ids[first]
        return ids.astype(_dtype_of_ids(ids))

    def annotation(self) -> NDArray[Any]:
        """Return the annotation, the source's own label values; 0 is the background.

        Made from the ranks by all processors, which is several times faster than unpacking the
        file, and equal to it (``atlasdb check`` compares them).

        Returns
        -------
        ndarray
            (AP, SI, RL), of the file's type; a new one, the caller's own.
        """
        return self._painted(self.label_values(), None)

    def label_values(self) -> NDArray[Any]:
        """Return the label that each rank has in the annotation, (size + 1,) of the file's type."""
        return self._data.table.labels.astype(self._data.blob("annotation").dtype)

    def annotation_cut(
        self,
        *,
        depth: int | None = None,
        structures: Structure | Sequence[Structure] | None = None,
        hemisphere: Hemisphere | None = None,
    ) -> NDArray[Any]:
        """Return the annotation cut at a depth or at structures: ids, 0 where there is none.

        A voxel holds the id of its structure's ancestor at the depth; structures above it keep
        theirs. Cut at structures, it holds the id of the deepest of them that contains it. Labels
        that no structure has are 0 as the background is; `labels_at` and the annotation have them.

        Returns
        -------
        ndarray
            The smallest unsigned type, of 32 bits or more, that holds the ids.
        """
        return self._painted(self.cut_ids(depth=depth, structures=structures), hemisphere)

    def cut_ids(
        self,
        *,
        depth: int | None = None,
        structures: Structure | Sequence[Structure] | None = None,
    ) -> NDArray[Any]:
        """Return the id that each rank has where the annotation is cut, (size + 1,) integers."""
        table = self._data.table
        ids = table.ids[table.cut(depth=depth, structures=structures).rank]
        return ids.astype(_dtype_of_ids(ids))

    def _painted(self, ids: NDArray[Any], hemisphere: Hemisphere | None) -> NDArray[Any]:
        """Return a volume of the ids that ranks have."""
        sides = self._sides_of(hemisphere)
        ranks = self._data.ranks
        volume = np.empty(ranks.shape, ids.dtype)

        def fill(part: slice) -> None:
            refuse_unknown(ranks[part], ids.size - 1)
            ids.take(ranks[part], out=volume[part], mode="wrap")
            if sides is not None:
                np.multiply(volume[part], sides[0][part] == sides[1], out=volume[part])

        in_slabs(ranks.shape, _CACHED_VOXELS, fill)
        return volume

    def cropped_mask(
        self,
        structures: Structure | Sequence[Structure],
        *,
        direct_only: bool = False,
        hemisphere: Hemisphere | None = None,
    ) -> CroppedMask:
        """Return where structures are, cut to the bounds of what is found.

        Raises
        ------
        NoVoxelsError
            There is nothing to cut to.
        """
        table = self._data.table
        named = table.ranks_of(structures)
        ranges = ranges_of(table, named, direct_only=direct_only)
        sides = self._sides_of(hemisphere)
        acronyms = listing(table.acronyms[named]) or "no structure"
        where = f"{f'the {hemisphere} of ' if hemisphere else ''}{self._data.name}"
        outer = self._bounds(named, hemisphere)
        if outer is None:
            raise NoVoxelsError(f"{acronyms} has no voxels in {where}")
        found = np.empty(self._data.ranks[outer].shape, np.bool_)
        write_mask(self._data.ranks[outer], ranges, found)
        if sides is not None:
            found &= sides[0][outer] == sides[1]
        first = tuple(part.start for part in outer)
        if direct_only:  # ingest measured the bounds of subtrees
            inner = _bounds_of(found)
            if inner is None:
                raise NoVoxelsError(f"no voxel bears the label of {acronyms} in {where}")
            first = tuple(a.start + b.start for a, b in zip(outer, inner, strict=True))
            found = np.ascontiguousarray(found[inner])
        return CroppedMask(found, triple(first))

    def mask_voxels(
        self,
        structures: Structure | Sequence[Structure],
        *,
        direct_only: bool = False,
        hemisphere: Hemisphere | None = None,
    ) -> NDArray[np.int64]:
        """Return the indices of the voxels of structures, (M, 3) int64 in the volume's order."""
        return self._listed(structures, direct_only, hemisphere, lambda mask: mask)

    def surface_voxels(
        self,
        structures: Structure | Sequence[Structure],
        *,
        direct_only: bool = False,
        hemisphere: Hemisphere | None = None,
    ) -> NDArray[np.int64]:
        """Return the indices of those voxels that share a face with one not in the structures.

        Returns
        -------
        ndarray of int64
            (M, 3) in the volume's order. Voxels at the edge of the volume, or (of one hemisphere)
            at the midline, are among them.
        """
        return self._listed(structures, direct_only, hemisphere, surface)

    def boundaries(
        self,
        *,
        depth: int | None = None,
        structures: Structure | Sequence[Structure] | None = None,
        axes: Sequence[int] | None = None,
        mode: Literal["thick", "inner"] = "thick",
        window: tuple[slice, slice, slice] = (slice(None), slice(None), slice(None)),
    ) -> NDArray[np.bool_]:
        """Return where structures meet, for overlays; see the function `boundaries`.

        Parameters
        ----------
        depth, structures
            Where the atlas is cut; labels without a structure are bordered as well, unless it is
            cut at structures.
        axes
            Along which neighbours are compared: of a plane, its two.
        mode
            'thick' or 'inner'.
        window
            The part of the volume that is wanted; read alone. Neighbours beyond it are compared
            with as well.

        Returns
        -------
        ndarray of bool
            The window's shape.
        """
        cut = self._data.table.cut(depth=depth, structures=structures)
        table = (cut.rank if structures is None else cut.rank * cut.is_assigned).astype(
            self._data.ranks.dtype
        )
        bounds = [
            part.indices(size)[:2] for part, size in zip(window, self._data.grid.shape, strict=True)
        ]
        if any(part.step not in {None, 1} for part in window):
            raise ValueError("a window has no steps")
        found = np.empty([max(0, last - first) for first, last in bounds], dtype=np.bool_)

        def fill(part: slice) -> None:
            first, last = part.indices(len(found))[:2]
            inner = [(bounds[0][0] + first, bounds[0][0] + last), *bounds[1:]]
            wide = tuple(slice(max(0, begin - 1), end + 1) for begin, end in inner)
            borders = boundaries(table.take(self._data.ranks[wide]), axes=axes, mode=mode)
            found[part] = borders[
                tuple(
                    slice(begin - around.start, end - around.start)
                    for (begin, end), around in zip(inner, wide, strict=True)
                )
            ]

        if found.size:
            in_slabs(found.shape, _BORDER_VOXELS, fill)
        return found

    def _listed(
        self,
        structures: Structure | Sequence[Structure],
        direct_only: bool,
        hemisphere: Hemisphere | None,
        chosen: Callable[[NDArray[np.bool_]], NDArray[np.bool_]],
    ) -> NDArray[np.int64]:
        """Return the voxels of a crop that are chosen."""
        try:
            crop = self.cropped_mask(structures, direct_only=direct_only, hemisphere=hemisphere)
        except NoVoxelsError:
            return np.empty((0, 3), dtype=np.int64)
        return np.argwhere(chosen(crop.mask)) + crop.offset

    def _bounds(
        self, ranks: NDArray[np.int64], hemisphere: Hemisphere | None
    ) -> tuple[slice, slice, slice] | None:
        """Return the bounds of structures as ingest measured them, None if they have no voxels."""
        bounds = self._data.bounds
        index = ranks - 1
        side = HEMISPHERES.index(hemisphere or "both")
        index = index[bounds.voxels[side, index] > 0]
        if not index.size:
            return None
        first = bounds.first[side, index].min(axis=0).tolist()
        end = bounds.end[side, index].max(axis=0).tolist()
        ap, si, rl = (slice(a, b) for a, b in zip(first, end, strict=True))
        return ap, si, rl

    def _sides_of(self, hemisphere: Hemisphere | None) -> tuple[NDArray[np.uint8], int] | None:
        """Return the hemisphere volume and the value that is wanted in it."""
        if hemisphere is None:
            return None
        if hemisphere not in _SIDES:
            raise ValueError(f"hemisphere is 'left' or 'right', not {hemisphere!r}")
        return self._data.hemispheres, _SIDES[hemisphere]


def _dtype_of_ids(ids: NDArray[Any]) -> type[np.generic]:
    """Return the type of volumes that hold ids."""
    if ids.min(initial=0) < 0:
        return np.int64
    return np.uint32 if ids.max(initial=0) <= np.iinfo(np.uint32).max else np.uint64


def _bounds_of(mask: NDArray[np.bool_]) -> tuple[slice, slice, slice] | None:
    """Return the bounds of what is in a mask, None if nothing is."""
    bounds = []
    for axis in range(mask.ndim):
        others = tuple(other for other in range(mask.ndim) if other != axis)
        found = np.flatnonzero(mask.any(axis=others))
        if not found.size:
            return None
        bounds.append(slice(int(found[0]), int(found[-1]) + 1))
    return bounds[0], bounds[1], bounds[2]
