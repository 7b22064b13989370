"""A label volume as runs: labels to ranks, and every structure's counts, centroid and bounds.

The one idea: labels are piecewise constant, so work on runs along the last axis and not on voxels
(77 M voxels at 25 µm are 3 M runs). A run never crosses the end of a line nor the border of the
hemispheres. All sums are of integers below 2**53, so that the float64 accumulators of `bincount`
hold them exactly and the figures do not depend on any order of summation.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from atlasdb.space import first_left_index
from atlasdb.structures import NO_LABEL

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from atlasdb.hierarchy import Hierarchy

LEFT, RIGHT, NEITHER = 1, 2, 0
"""Hemisphere values in arrays, as in BrainGlobe's hemispheres.tiff."""

HEMISPHERES = ("both", "left", "right")
"""The hemispheres of extents, in the order of their arrays' first axis."""

_SLAB_VOXELS = 1 << 22
_CHUNK_RUNS = 1 << 22


@dataclass(frozen=True)
class Runs:
    """A 3-D label volume as runs of equal label and hemisphere, in the order of its voxels.

    Attributes
    ----------
    shape
        The volume's shape.
    first
        (m,) int64, linear (C order) index of each run's first voxel.
    values
        (k,) int64, the label values that occur, ascending.
    value_index
        (m,) integers, each run's position in `values`.
    hemisphere
        (m,) uint8: 1 left, 2 right, 0 neither.
    """

    shape: tuple[int, int, int]
    first: NDArray[np.int64]
    values: NDArray[np.int64]
    value_index: NDArray[np.int64]
    hemisphere: NDArray[np.uint8]

    def __len__(self) -> int:
        return self.first.size

    @property
    def line(self) -> NDArray[np.int64]:
        """(m,) int64, linear index of the row along the last axis that holds the run."""
        return self.first // self.shape[2]

    @property
    def start(self) -> NDArray[np.int32]:
        """(m,) int32, index along the last axis of the run's first voxel."""
        return (self.first % self.shape[2]).astype(np.int32)

    @property
    def length(self) -> NDArray[np.int64]:
        """(m,) int64, number of voxels."""
        return np.diff(self.first, append=int(np.prod(self.shape)))

    def voxels_per_value(self) -> NDArray[np.int64]:
        """Return (k,) int64, the number of voxels that bear each of `values`."""
        counts = np.bincount(self.value_index, weights=self.length, minlength=self.values.size)
        return counts.astype(np.int64)


def find_runs(annotation: NDArray[Any], hemispheres: NDArray[np.uint8] | None = None) -> Runs:
    """Return the runs of a label volume.

    Parameters
    ----------
    annotation
        3-D array of integers in 'asr' orientation; memory-mapped and strided ones are read a slab
        at a time.
    hemispheres
        Volume of the same shape with 1 (left), 2 (right) or 0 (neither); None for the rule of a
        symmetric atlas (`atlasdb.space.first_left_index`).

    Returns
    -------
    Runs
        In voxel order; background (label 0) included.

    Examples
    --------
    >>> runs = find_runs(np.array([[[7, 7, 7, 0]]]))
    >>> runs.start, runs.length, runs.hemisphere
    (array([0, 2, 3], dtype=int32), array([2, 1, 1]), array([2, 1, 1], dtype=uint8))
    """
    shape = (annotation.shape[0], annotation.shape[1], annotation.shape[2])
    slabs = list(pairwise(slab_bounds(shape)))

    def of_slab(bounds: tuple[int, int]) -> tuple[NDArray[Any], ...]:
        part = slice(*bounds)
        sides = None if hemispheres is None else np.ascontiguousarray(hemispheres[part])
        first, values, hemisphere = _slab_runs(np.ascontiguousarray(annotation[part]), sides)
        return first + bounds[0] * shape[1] * shape[2], values, hemisphere

    from concurrent.futures import ThreadPoolExecutor  # 5 ms, which reading constants does without

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = list(pool.map(of_slab, slabs))
    first, run_values, hemisphere = map(np.concatenate, zip(*found, strict=True))
    values, value_index = np.unique(run_values, return_inverse=True)
    return Runs(shape, first, values.astype(np.int64), value_index, hemisphere)


def slab_bounds(shape: tuple[int, int, int]) -> list[int]:
    """Return the indices along axis 0 that cut a volume into slabs of some four million voxels."""
    thickness = max(1, _SLAB_VOXELS // max(1, shape[1] * shape[2]))
    return [*range(0, shape[0], thickness), shape[0]]


def _slab_runs(
    labels: NDArray[Any], sides: NDArray[np.uint8] | None
) -> tuple[NDArray[np.int64], NDArray[Any], NDArray[np.uint8]]:
    """Return the first voxel, label and hemisphere of every run of a slab."""
    begins = np.empty(labels.shape, dtype=bool)
    begins[..., 0] = True
    np.not_equal(labels[..., 1:], labels[..., :-1], out=begins[..., 1:])
    if sides is None:
        border = first_left_index(labels.shape[2])
        begins[..., border] = True
        first = np.flatnonzero(begins)
        hemisphere = np.where(first % labels.shape[2] < border, RIGHT, LEFT).astype(np.uint8)
    else:
        begins[..., 1:] |= sides[..., 1:] != sides[..., :-1]
        first = np.flatnonzero(begins)
        hemisphere = sides.reshape(-1)[first]
    return first, labels.reshape(-1)[first], hemisphere


@dataclass(frozen=True)
class RankedLabels:
    """The label values of an annotation and the ranks that they get.

    Attributes
    ----------
    values
        (k,) int64, the label values that occur, ascending, without the background's 0.
    rank
        (k,) int64: the structure's rank; from n + 1 on for values that no structure has.
    structure_id
        (k,) int64, meaningful where `known`.
    known
        (k,) bool, whether a structure has the value.
    voxels
        (k,) int64.
    run_rank
        (m,) uint16, or uint32 past 65,535 ranks: the rank of every run, 0 for background.
    """

    values: NDArray[np.int64]
    rank: NDArray[np.int64]
    structure_id: NDArray[np.int64]
    known: NDArray[np.bool_]
    voxels: NDArray[np.int64]
    run_rank: NDArray[Any]


def rank_labels(runs: Runs, hierarchy: Hierarchy, label_values: NDArray[np.int64]) -> RankedLabels:
    """Give every label value that occurs its rank.

    Parameters
    ----------
    runs
        The annotation.
    hierarchy
        The structures.
    label_values
        (n,) int64, the value that stands for each structure, in rank order; distinct but for
        `atlasdb.structures.NO_LABEL`, none 0.

    Examples
    --------
    >>> from atlasdb.hierarchy import Hierarchy
    >>> tree = Hierarchy.from_parents([997, 8], [None, 997])
    >>> rank_labels(find_runs(np.array([[[8, 8, 5, 0]]])), tree, tree.ids).rank
    array([3, 2])
    """
    order = np.argsort(label_values)
    position = np.searchsorted(label_values, runs.values, sorter=order)
    candidate = order[np.minimum(position, len(hierarchy) - 1)]
    known = (label_values[candidate] == runs.values) & (runs.values != NO_LABEL)
    is_label = runs.values != 0
    orphan = is_label & ~known
    rank = np.where(known, candidate + 1, 0)
    rank[orphan] = len(hierarchy) + 1 + np.arange(orphan.sum())
    highest = max(len(hierarchy), int(rank.max(initial=0)))
    dtype = np.uint16 if highest <= np.iinfo(np.uint16).max else np.uint32
    return RankedLabels(
        values=runs.values[is_label],
        rank=rank[is_label],
        structure_id=hierarchy.ids[candidate][is_label],
        known=known[is_label],
        voxels=runs.voxels_per_value()[is_label],
        run_rank=rank.astype(dtype)[runs.value_index],
    )


def rank_slabs(runs: Runs, run_rank: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """Yield the rank volume slab by slab, each a 1-D array in voxel order."""
    bounds = np.array(slab_bounds(runs.shape)) * (runs.shape[1] * runs.shape[2])
    cuts = np.searchsorted(runs.first, bounds)
    for (begin, end), limit in zip(pairwise(cuts), bounds[1:], strict=True):
        length = np.diff(runs.first[begin:end], append=limit)
        yield np.repeat(run_rank[begin:end], length)


@dataclass(frozen=True)
class Extents:
    """Where the structures are: (3, n) arrays, hemispheres as in `HEMISPHERES`, ranks 1…n.

    Attributes
    ----------
    direct_voxels
        (3, n) int64, voxels that bear the structure's own label.
    voxels
        (3, n) int64, voxels of the whole subtree.
    centroid
        (3, n, 3) float64, mean position of the subtree's voxel centres, in voxels (voxel i covers
        [i, i + 1), so that its centre is i + 0.5); NaN where there is no voxel.
    lowest, highest
        (3, n, 3) int64, the subtree's first and last voxel index along each axis; meaningless
        where there is no voxel.
    """

    direct_voxels: NDArray[np.int64]
    voxels: NDArray[np.int64]
    centroid: NDArray[np.float64]
    lowest: NDArray[np.int64]
    highest: NDArray[np.int64]


def find_extents(runs: Runs, run_rank: NDArray[Any], hierarchy: Hierarchy) -> Extents:
    """Return every structure's voxel counts, centroid and bounds, by hemisphere.

    Parameters
    ----------
    runs
        The annotation.
    run_rank
        (m,) the rank of each run (`RankedLabels.run_rank`).
    hierarchy
        The structures.

    Examples
    --------
    >>> from atlasdb.hierarchy import Hierarchy
    >>> tree = Hierarchy.from_parents([997, 8], [None, 997])
    >>> runs = find_runs(np.array([[[8, 8, 997, 0]]]))
    >>> extents = find_extents(runs, rank_labels(runs, tree, tree.ids).run_rank, tree)
    >>> extents.voxels[0], extents.centroid[0, 0]
    (array([3, 2]), array([0.5, 0.5, 1.5]))
    """
    count, total, lowest, highest = _direct_sums(runs, run_rank, len(hierarchy))
    direct, sums = _with_both(count), np.stack([_with_both(axis) for axis in total], axis=-1)
    voxels = hierarchy.subtree_sum(direct)
    sums = np.stack([hierarchy.subtree_sum(sums[..., axis]) for axis in range(3)], axis=-1)
    with np.errstate(invalid="ignore"):
        centroid = sums / voxels[..., None] + 0.5
    minimum = hierarchy.subtree_minimum
    low = [[minimum(side) for side in (axis.min(0), axis[LEFT], axis[RIGHT])] for axis in lowest]
    high = [
        [-minimum(-side) for side in (axis.max(0), axis[LEFT], axis[RIGHT])] for axis in highest
    ]
    return Extents(
        direct_voxels=direct,
        voxels=voxels,
        centroid=centroid,
        lowest=np.moveaxis(np.array(low), 0, -1),
        highest=np.moveaxis(np.array(high), 0, -1),
    )


def _with_both(by_value: NDArray[np.int64]) -> NDArray[np.int64]:
    """Turn rows by hemisphere value (neither, left, right) into (both, left, right)."""
    return np.stack([by_value.sum(0), by_value[LEFT], by_value[RIGHT]])


def _direct_sums(
    runs: Runs, run_rank: NDArray[Any], n: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return counts (3, n), index sums, lowest and highest indices (3 axes, 3, n) of own labels.

    The axis of length 3 before n is the hemisphere value: neither, left, right.
    """
    bins = 3 * (n + 1)
    count = np.zeros(bins, dtype=np.int64)
    total = np.zeros((3, bins), dtype=np.int64)
    lowest = np.full((3, bins), np.iinfo(np.int64).max)
    highest = np.full((3, bins), -1, dtype=np.int64)
    length = runs.length
    for begin in range(0, len(runs), _CHUNK_RUNS):
        part = slice(begin, begin + _CHUNK_RUNS)
        rank = run_rank[part].astype(np.int64)
        inside = np.flatnonzero((rank > 0) & (rank <= n))
        key = runs.hemisphere[part][inside].astype(np.int64) * (n + 1) + rank[inside]
        voxels = length[part][inside]
        line, start = np.divmod(runs.first[part][inside], runs.shape[2])
        index_0, index_1 = np.divmod(line, runs.shape[1])
        count += _sum_by(key, voxels, bins)
        for axis, index in enumerate((index_0, index_1)):
            total[axis] += _sum_by(key, index * voxels, bins)
            np.minimum.at(lowest[axis], key, index)
            np.maximum.at(highest[axis], key, index)
        last = start + voxels - 1
        total[2] += _sum_by(key, (start + last) * voxels // 2, bins)
        np.minimum.at(lowest[2], key, start)
        np.maximum.at(highest[2], key, last)
    by_rank = (3, 3, n + 1)
    return (
        count.reshape(3, n + 1)[:, 1:],
        total.reshape(by_rank)[..., 1:],
        lowest.reshape(by_rank)[..., 1:],
        highest.reshape(by_rank)[..., 1:],
    )


def _sum_by(key: NDArray[np.int64], values: NDArray[np.int64], bins: int) -> NDArray[np.int64]:
    """Return the exact sum of integer `values` for each key."""
    return np.bincount(key, weights=values, minlength=bins).astype(np.int64)
