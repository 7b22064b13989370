"""Parents to ranks: the tree of structures as arrays.

The one idea: number the structures 1…n in depth-first order, siblings in the order in which the
source lists them. Every subtree is then the contiguous range ``rank … last_rank``, and all that is
asked of a hierarchy (descendants, depth, closure, subtree sums) is array arithmetic on ranks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from atlasdb.errors import HierarchyError, listing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray


_MOST_PAIRS = 50_000_000


class Closure(NamedTuple):
    """All pairs of an ancestor and a descendant, each structure paired with itself too.

    Attributes
    ----------
    ancestor, descendant
        Ranks, int64, ordered by ancestor and then by descendant.
    distance
        Steps from ancestor to descendant, int64; 0 for a structure and itself.
    """

    ancestor: NDArray[np.int64]
    descendant: NDArray[np.int64]
    distance: NDArray[np.int64]


@dataclass(frozen=True)
class Hierarchy:
    """A tree of structures in depth-first order; entry ``rank - 1`` of every array is a structure.

    Build one with `from_parents` or `from_paths`.

    Attributes
    ----------
    ids
        (n,) int64, the structures' ids.
    source_index
        (n,) int64, each structure's position in the source's list.
    parent_rank
        (n,) int64, the parent's rank; 0 for the root.
    depth
        (n,) int64, steps from the root, which has 0.
    last_rank
        (n,) int64, the highest rank in the structure's subtree (its own, for a leaf).
    """

    ids: NDArray[np.int64]
    source_index: NDArray[np.int64]
    parent_rank: NDArray[np.int64]
    depth: NDArray[np.int64]
    last_rank: NDArray[np.int64]

    def __len__(self) -> int:
        return self.ids.size

    @property
    def rank(self) -> NDArray[np.int64]:
        """(n,) int64: 1…n."""
        return np.arange(1, len(self) + 1, dtype=np.int64)

    @property
    def root_id(self) -> int:
        """The id of the structure that contains all others."""
        return int(self.ids[0])

    @property
    def height(self) -> int:
        """The depth of the deepest structure."""
        return int(self.depth.max())

    def rank_of(self, ids: ArrayLike) -> NDArray[np.int64]:
        """Return the rank of each id, 0 where no structure has it.

        Parameters
        ----------
        ids
            Ids, integers of any shape.

        Returns
        -------
        ndarray of int64
            Ranks, of the same shape.

        Examples
        --------
        >>> Hierarchy.from_parents([997, 8, 567], [None, 997, 8]).rank_of([567, 1, 997])
        array([3, 0, 1])
        """
        wanted = np.asarray(ids, dtype=np.int64)
        order = np.argsort(self.ids)
        position = np.searchsorted(self.ids, wanted, sorter=order)
        candidate = order[np.minimum(position, len(self) - 1)]
        return np.where(self.ids[candidate] == wanted, candidate + 1, 0)

    def closure(self) -> Closure:
        """Return every (ancestor, descendant, distance), Σ(depth + 1) rows.

        Examples
        --------
        >>> Hierarchy.from_parents([997, 8], [None, 997]).closure().distance
        array([0, 1, 0])
        """
        ancestor = descendant = self.rank
        pairs = []
        for distance in range(self.height + 1):
            pairs.append((ancestor, descendant, np.full(ancestor.size, distance)))
            above = self.parent_rank[ancestor - 1]
            ancestor, descendant = above[above > 0], descendant[above > 0]
        ancestors, descendants, distances = map(np.concatenate, zip(*pairs, strict=True))
        order = np.lexsort((descendants, ancestors))
        return Closure(ancestors[order], descendants[order], distances[order])

    def subtree_sum(self, values: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return, for each structure, the sum of `values` over its subtree.

        Parameters
        ----------
        values
            (..., n) int64, one value a structure in rank order along the last axis.

        Returns
        -------
        ndarray of int64
            (..., n), the same order.

        Examples
        --------
        >>> Hierarchy.from_parents([997, 8], [None, 997]).subtree_sum(np.array([1, 10]))
        array([11, 10])
        """
        total = np.cumsum(values, axis=-1)
        total = np.concatenate([np.zeros_like(total[..., :1]), total], axis=-1)
        return total[..., self.last_rank] - total[..., self.rank - 1]

    def subtree_minimum(self, values: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return, for each structure, the smallest of `values` in its subtree.

        Parameters
        ----------
        values
            (n,) int64, one value a structure in rank order.

        Returns
        -------
        ndarray of int64
            (n,), the same order.

        Examples
        --------
        >>> Hierarchy.from_parents([997, 8], [None, 997]).subtree_minimum(np.array([7, 3]))
        array([3, 3])
        """
        lowest = values.copy()
        by_depth = np.argsort(self.depth, kind="stable")
        bounds = np.searchsorted(self.depth[by_depth], np.arange(self.height + 2))
        for depth in range(self.height, 0, -1):
            level = by_depth[bounds[depth] : bounds[depth + 1]]
            np.minimum.at(lowest, self.parent_rank[level] - 1, lowest[level])
        return lowest

    @classmethod
    def from_parents(cls, ids: Sequence[int], parent_ids: Sequence[int | None]) -> Hierarchy:
        """Rank structures that name their parents.

        Parameters
        ----------
        ids
            n ids, in the source's order; any that fit 64 bits.
        parent_ids
            n parents' ids, None for the root.

        Raises
        ------
        HierarchyError
            An id twice or over 64 bits, a parent that does not exist, no root or several, a cycle.

        Examples
        --------
        >>> tree = Hierarchy.from_parents([997, 8, 512, 567], [None, 997, 8, 8])
        >>> tree.ids, tree.last_rank, tree.depth
        (array([997,   8, 512, 567]), array([4, 4, 3, 4]), array([0, 1, 2, 2]))
        """
        id_array = _checked_ids(ids)
        parent = _parent_positions(id_array, parent_ids)
        levels = _levels(id_array, parent)
        return _ranked(id_array, parent, levels)

    @classmethod
    def from_paths(cls, ids: Sequence[int], paths: Sequence[Sequence[int]]) -> Hierarchy:
        """Rank structures that name their path from the root to themselves.

        Parameters
        ----------
        ids
            n ids, in the source's order.
        paths
            n paths, each a list of ids from the root to the structure, itself included.

        Raises
        ------
        HierarchyError
            As `from_parents`; also a path that does not end in its structure, or that is not its
            parent's path with the structure's id added.

        Examples
        --------
        >>> Hierarchy.from_paths([997, 8], [[997], [997, 8]]).depth
        array([0, 1])
        """
        tree = cls.from_parents(
            ids, [_parent_in_path(i, p) for i, p in zip(ids, paths, strict=True)]
        )
        path_of = {i: list(path) for i, path in zip(ids, paths, strict=True)}
        for structure_id, path in path_of.items():
            expected = [*(path_of[path[-2]] if len(path) > 1 else []), structure_id]
            if path != expected:
                raise HierarchyError(
                    f"structure {structure_id}: its path {path} contradicts the path of its "
                    f"parent; expected {expected}"
                )
        return tree


def _checked_ids(ids: Sequence[int]) -> NDArray[np.int64]:
    """Return the ids as int64, or say which are twice, too large, or that there are none."""
    if len(ids) == 0:
        raise HierarchyError("there is no structure; an atlas needs at least a root")
    try:
        array = np.array(ids, dtype=np.int64)
    except OverflowError as error:
        large = [i for i in ids if not -(2**63) <= i < 2**63]
        raise HierarchyError(f"structure ids must fit 64 bits, found {listing(large)}") from error
    values, counts = np.unique(array, return_counts=True)
    if (counts > 1).any():
        twice = values[counts > 1].tolist()
        raise HierarchyError(
            f"structure ids must be unique; given more than once: {listing(twice)}"
        )
    return array


def _parent_positions(
    ids: NDArray[np.int64], parent_ids: Sequence[int | None]
) -> NDArray[np.int64]:
    """Return each parent's position in `ids`, -1 for the one root."""
    position = {structure_id: index for index, structure_id in enumerate(ids.tolist())}
    roots = [i for i, parent in zip(position, parent_ids, strict=True) if parent is None]
    missing = [
        f"{parent} (parent of {i})"
        for i, parent in zip(position, parent_ids, strict=True)
        if parent is not None and parent not in position
    ]
    if missing:
        raise HierarchyError(f"parents that do not exist: {listing(missing)}")
    if len(roots) > 1:
        raise HierarchyError(f"there must be one root (no parent), found {listing(roots)}")
    if not roots:
        raise HierarchyError("there is no root: every structure has a parent, so they form a cycle")
    return np.array([-1 if p is None else position[p] for p in parent_ids], dtype=np.int64)


def _levels(ids: NDArray[np.int64], parent: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Return the positions of the structures level by level, the root's first.

    Within a level, siblings stand together in source order. A structure that the root does not
    reach is on a cycle or below one.
    """
    children = np.argsort(parent, kind="stable")
    first = np.searchsorted(parent[children], np.arange(-1, ids.size + 1))
    levels = [children[: first[1]]]
    while levels[-1].size:
        begin, end = first[levels[-1] + 1], first[levels[-1] + 2]
        count = end - begin
        offset = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
        levels.append(children[np.repeat(begin, count) + offset])
    levels.pop()
    reached = np.concatenate(levels)
    if reached.size < ids.size:
        lost = np.setdiff1d(np.arange(ids.size), reached)
        raise HierarchyError(
            f"the structures form a cycle: the root does not reach {listing(ids[lost].tolist())}"
        )
    return levels


def _ranked(
    ids: NDArray[np.int64], parent: NDArray[np.int64], levels: list[NDArray[np.int64]]
) -> Hierarchy:
    """Return the structures depth-first: sizes from the leaves up, ranks from the root down."""
    size = np.ones(ids.size, dtype=np.int64)
    for level in levels[:0:-1]:
        np.add.at(size, parent[level], size[level])
    rank = np.ones(ids.size, dtype=np.int64)
    depth = np.zeros(ids.size, dtype=np.int64)
    for number, level in enumerate(levels[1:], start=1):
        before = np.cumsum(size[level]) - size[level]
        new_family = np.concatenate([[True], parent[level][1:] != parent[level][:-1]])
        family_start = before[np.flatnonzero(new_family)[np.cumsum(new_family) - 1]]
        rank[level] = rank[parent[level]] + 1 + before - family_start
        depth[level] = number
    order = np.argsort(rank)
    parent_rank = np.where(parent < 0, 0, rank[parent])
    rows = int((depth + 1).sum())
    if rows > _MOST_PAIRS:
        raise HierarchyError(
            f"the structures are absurdly deep: {len(levels) - 1:,} levels make {rows:,} pairs of "
            f"an ancestor and a descendant, over {_MOST_PAIRS:,}"
        )
    return Hierarchy(
        ids=ids[order],
        source_index=order,
        parent_rank=parent_rank[order],
        depth=depth[order],
        last_rank=(rank + size - 1)[order],
    )


def _parent_in_path(structure_id: int, path: Sequence[int]) -> int | None:
    """Return the last but one id of a path that must end in its own structure."""
    if not path or path[-1] != structure_id:
        raise HierarchyError(
            f"structure {structure_id}: its path must run from the root to itself, "
            f"found {list(path)}"
        )
    return path[-2] if len(path) > 1 else None
