"""What the ranks of a rank volume mean, and what they become when the atlas is cut.

The one idea: a rank volume holds 0 … n + k: background, n structures in depth-first order, k labels
that no structure has. Whatever is asked of a point or a voxel (an id, an acronym, a status, the
ancestor at a depth) is then a table with an entry for every rank, and an answer is one gather. All
tables have one entry more, the last, for what is outside the volume.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, SupportsIndex, TypeGuard

import numpy as np

from atlasdb.errors import BlobError, UnknownDepthError
from atlasdb.structures import NO_LABEL

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from atlasdb.structures import StructureTable

STATUSES = ("inside", "unlabelled", "background", "outside")
"""What a point can be; statuses in arrays are positions in this tuple."""

INSIDE, UNLABELLED, BACKGROUND, OUTSIDE = range(4)

_UNLABELLED_CODE, _OUTSIDE_CODE, _UNNAMED_CODE = -1, -2, -3

Structure = str | int
"""A structure: its acronym or its id."""


@dataclass(frozen=True)
class Cut:
    """What each rank becomes where an atlas is cut; entries as in `RankTable`.

    Attributes
    ----------
    rank
        (size + 1,) int64, the rank of the structure of the cut. Ranks that are no structure's stay
        as they are; 0 for structures that are in none of the cut's.
    is_assigned
        (size + 1,) bool, whether the rank lies in a structure of the cut. Otherwise it stands for
        itself: voxels with the label of a structure above the cut, and whatever is no structure.
    """

    rank: NDArray[np.int64]
    is_assigned: NDArray[np.bool_]


@dataclass(frozen=True)
class RankTable:
    """The ranks of one atlas: (size + 1,) arrays, entry ``rank`` for a rank, the last for outside.

    Attributes
    ----------
    structures
        The n structures, which have the ranks 1…n.
    orphans
        (k,) int64, the label values that no structure has, which have the ranks n + 1…n + k.
    """

    structures: StructureTable
    orphans: NDArray[np.int64]

    @property
    def size(self) -> int:
        """The number of ranks with the background's 0, and the code of what is outside."""
        return 1 + len(self.structures) + self.orphans.size

    @cached_property
    def ids(self) -> NDArray[np.int64]:
        """Structure ids; 0 where there is no structure."""
        return self._of_structures(self.structures.hierarchy.ids)

    @cached_property
    def labels(self) -> NDArray[np.int64]:
        """The annotation's own values; 0 in the background and outside."""
        values = self.structures.label_values
        labels = self._of_structures(np.where(values == NO_LABEL, 0, values))
        labels[len(self.structures) + 1 : self.size] = self.orphans
        return labels

    @cached_property
    def acronyms(self) -> NDArray[np.str_]:
        """Acronyms; empty where there is no structure."""
        return np.array(["", *self.structures.acronyms, *[""] * (self.orphans.size + 1)])

    @cached_property
    def statuses(self) -> NDArray[np.uint8]:
        """Positions in `STATUSES`."""
        statuses = np.full(self.size + 1, UNLABELLED, dtype=np.uint8)
        statuses[0], statuses[self.size] = BACKGROUND, OUTSIDE
        statuses[1 : len(self.structures) + 1] = INSIDE
        return statuses

    @property
    def is_structure(self) -> NDArray[np.bool_]:
        """Whether the rank is a structure's."""
        is_structure: NDArray[np.bool_] = self.statuses == INSIDE
        return is_structure

    def _of_structures(self, values: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return a table of values of structures, 0 elsewhere."""
        table = np.zeros(self.size + 1, dtype=np.int64)
        table[1 : len(self.structures) + 1] = values
        return table

    def ranks_of(self, structures: Structure | Sequence[Structure]) -> NDArray[np.int64]:
        """Return the ranks of one structure or of several, in the order given.

        Raises
        ------
        UnknownStructureError, AmbiguousAcronymError
            As `atlasdb.structures.StructureTable.rank_of`.
        TypeError
            What is neither an acronym nor an integer.
        """
        named: Iterable[object] = structures if _is_several(structures) else [structures]
        return np.array([self._rank_of(structure) for structure in named], dtype=np.int64)

    def _rank_of(self, structure: object) -> int:
        if isinstance(structure, bool | np.bool_) or not isinstance(structure, str | SupportsIndex):
            raise TypeError(f"a structure is an acronym or an integer id, not {structure!r}")
        if isinstance(structure, str):
            return self.structures.rank_of(structure)
        return self.structures.rank_of(operator.index(structure))

    def last_ranks(self, ranks: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the last rank in the subtree of each of some structures."""
        return self.structures.hierarchy.last_rank[ranks - 1]

    def cut(
        self,
        *,
        depth: int | None = None,
        structures: Structure | Sequence[Structure] | None = None,
    ) -> Cut:
        """Return what each rank becomes at a depth or in a set of structures.

        Parameters
        ----------
        depth
            Steps from the root. A structure below becomes its ancestor there, one above stays
            itself; it is assigned if it is a leaf.
        structures
            Acronyms or ids. A structure becomes the deepest of these that contains it, and 0 if
            none does.

        Raises
        ------
        UnknownDepthError
            No structure is so deep.
        ValueError
            Both a depth and structures.

        Examples
        --------
        >>> from atlasdb.hierarchy import Hierarchy
        >>> from atlasdb.structures import StructureTable
        >>> tree = Hierarchy.from_parents([997, 8, 567], [None, 997, 8])
        >>> names = ("root", "grey", "CH")
        >>> structures = StructureTable(tree, names, names, np.zeros((3, 3), np.uint8), tree.ids)
        >>> table = RankTable(structures, np.array([], dtype=np.int64))
        >>> table.acronyms[table.cut(depth=1).rank[table.ranks_of(["CH", "root"])]].tolist()
        ['grey', 'root']
        """
        if depth is not None and structures is not None:
            raise ValueError("cut at a depth or at structures, not at both")
        if depth is not None:
            return self._cut_at_depth(self.checked_depth(depth))
        if structures is not None:
            return self._cut_at_structures(self.ranks_of(structures))
        return Cut(np.arange(self.size + 1), self.is_structure)

    def checked_depth(self, depth: int) -> int:
        """Return a depth, or refuse it.

        Raises
        ------
        UnknownDepthError
            It is no integer from 0 to that of the deepest structure.
        """
        height = self.structures.hierarchy.height
        if depth not in range(height + 1):
            raise UnknownDepthError(f"no depth {depth}: this atlas has the depths 0 to {height}")
        return int(depth)

    def codes(self, cut: Cut) -> NDArray[np.int64]:
        """Return one number for everything that a cut tells apart, (size + 1,) int64.

        The rank of a structure of the cut, 0 for the background, and negative ones for labels that
        no structure has, what is outside, and structures that are in none of the cut's; `names_of`
        says what each is.
        """
        codes = np.where(cut.rank > 0, cut.rank, _UNNAMED_CODE)
        codes[~self.is_structure] = _UNLABELLED_CODE
        codes[0], codes[self.size] = 0, _OUTSIDE_CODE
        return codes

    def names_of(
        self, codes: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.str_], NDArray[np.uint8]]:
        """Return the structure ids (0 for none), acronyms and statuses that codes stand for."""
        rank = np.maximum(codes, 0)
        status = np.full(codes.shape, INSIDE, dtype=np.uint8)
        for code, value in (
            (0, BACKGROUND),
            (_UNLABELLED_CODE, UNLABELLED),
            (_OUTSIDE_CODE, OUTSIDE),
        ):
            status[codes == code] = value
        return self.ids[rank], self.acronyms[rank], status

    def _cut_at_depth(self, depth: int) -> Cut:
        hierarchy = self.structures.hierarchy
        rank = np.arange(self.size + 1)
        inner = rank[1 : len(hierarchy) + 1]
        deeper = np.flatnonzero(hierarchy.depth > depth)
        while deeper.size:
            inner[deeper] = hierarchy.parent_rank[inner[deeper] - 1]
            deeper = deeper[hierarchy.depth[inner[deeper] - 1] > depth]
        is_leaf = hierarchy.rank == hierarchy.last_rank
        is_assigned = self.is_structure
        is_assigned[1 : len(hierarchy) + 1] = (hierarchy.depth >= depth) | is_leaf
        return Cut(rank, is_assigned)

    def _cut_at_structures(self, ranks: NDArray[np.int64]) -> Cut:
        rank = np.arange(self.size + 1)
        rank[1 : len(self.structures) + 1] = 0
        ascending = np.sort(ranks)  # an ancestor comes before what it contains
        for first, last in zip(ascending, self.last_ranks(ascending), strict=True):
            rank[first : last + 1] = first
        return Cut(rank, self.is_structure & (rank > 0))


def refuse_unknown(ranks: NDArray[Any], size: int) -> None:
    """Refuse ranks that an atlas does not have, before a table is asked for them.

    Raises
    ------
    BlobError
        One is `size` or more.
    """
    if ranks.size and ranks.max() >= size:
        raise BlobError(
            f"the rank volume holds {ranks.max()}, but the atlas has no rank above {size - 1}: the "
            "file was altered"
        )


def _is_several(structures: object) -> TypeGuard[Iterable[object]]:
    """Whether these are several structures and not one."""
    return isinstance(structures, Iterable) and not isinstance(structures, str | bytes)
