"""Values of structures: which structure, which hemisphere, which group, and the number.

The one idea: values are arrays with an entry for each row of a table; what is chosen or folded of
them is arithmetic on these, and a value that is not there stays missing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from atlasdb.errors import LookupFailedError, PictureError, did_you_mean, listing

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from atlasdb.structures import StructureTable

Aggregate = Literal["mean", "median", "sum"]

BOTH = -1
"""The side of an entry that is of both hemispheres; else those of `atlasdb.runs`."""

AGGREGATES: dict[str, Callable[..., Any]] = {
    "mean": np.nanmean,
    "median": np.nanmedian,
    "sum": np.nansum,
}
"""What may be made of several values; those that are missing do not count."""

_UNITS = {
    "cells": "cells",
    "total_cells": "cells",
    "left_cell_count": "cells in the left hemisphere",
    "right_cell_count": "cells in the right hemisphere",
    "direct_cells": "cells",
    "density_per_atlas_mm3": "cells per mm³ of the atlas",
    "density_per_registered_mm3": "cells per mm³",
    "atlas_volume_mm3": "volume (mm³)",
    "registered_volume_mm3": "volume (mm³)",
}
ADDITIVE = frozenset(
    {
        "cells",
        "direct_cells",
        "total_cells",
        "left_cell_count",
        "right_cell_count",
        "atlas_volume_mm3",
        "registered_volume_mm3",
    }
)
"""Columns whose values of parts sum to that of the whole."""

_COUNTED = frozenset(
    {"cells", "direct_cells", "density_per_atlas_mm3", "density_per_registered_mm3"}
)


@dataclass(frozen=True)
class Values:
    """Values of structures; arrays have an entry for each row that is of a structure.

    Attributes
    ----------
    source
        What the table is called.
    structures
        The atlas's structures.
    column
        What the values are called there.
    is_count
        Whether the table is one of counts, in which a row that is left out says 0.
    ranks
        int64, the structures.
    is_direct
        bool, whether a value is of a structure's own label only, and not of what lies below.
    sides
        int64, `BOTH`, or the hemispheres of `atlasdb.runs`.
    by
        The column that holds groups; empty without any.
    groups
        The group of each entry, as text; empty texts without any.
    numbers
        float64, NaN where there is no value.
    nowhere
        The sum of what is in no structure, by group: outside, in the background, in unknown labels;
        where values add up.
    direct
        float64, what is in a row's structure and in no row below it, where the table says so; else
        None.
    others
        The table's other columns, by name, as text: what tells repeated rows apart.
    """

    source: str
    structures: StructureTable
    column: str
    is_count: bool
    ranks: NDArray[np.int64]
    is_direct: NDArray[np.bool_]
    sides: NDArray[np.int64]
    by: str
    groups: NDArray[np.str_]
    numbers: NDArray[np.float64]
    nowhere: Mapping[str, float]
    direct: NDArray[np.float64] | None
    others: Mapping[str, NDArray[np.str_]]

    @property
    def unit(self) -> str:
        """What the values are, for people."""
        return _UNITS.get(self.column, self.column)

    @property
    def group_names(self) -> list[str]:
        """The groups, in the order in which they come."""
        return list(dict.fromkeys(self.groups.tolist()))

    @property
    def is_known(self) -> bool:
        """Whether the column is one of atlasdb's own, so that it is known what it means."""
        return self.column in _UNITS

    @property
    def absent_is_zero(self) -> bool:
        """Whether a row that the table leaves out says that nothing was counted."""
        return self.is_count and self.column in _COUNTED

    @property
    def is_additive(self) -> bool:
        """Whether the values of parts sum to that of the whole."""
        return self.column in ADDITIVE

    def told_of_nowhere(self, *groups: str, are_folded: bool = False) -> str:
        """Return how much no structure shows, for a caption.

        Parameters
        ----------
        *groups
            Of these; by default of all.
        are_folded
            Whether what is shown is made of several rows, as this sum is not.
        """
        total = sum(n for group, n in self.nowhere.items() if not groups or group in groups)
        folded = ", all rows together" if are_folded else ""
        return f"; {total:.10g} more in no structure of the table{folded}" if total > 0 else ""

    def of_group(self, group: str) -> Values:
        """Return the entries of one group.

        Raises
        ------
        LookupFailedError
            There is none of this name.
        PictureError
            There are no groups at all.
        """
        if group not in self.group_names:
            if not self.by:
                raise PictureError(f"which column of {self.source} holds {group!r}? name it (by)")
            raise LookupFailedError(
                f"{self.source} has no group {group!r}{did_you_mean(group, self.group_names)}; it "
                f"has {listing(self.group_names)}"
            )
        return self.where(self.groups == group)

    def where(self, is_kept: NDArray[np.bool_]) -> Values:
        """Return some of the entries."""
        return replace(
            self,
            ranks=self.ranks[is_kept],
            is_direct=self.is_direct[is_kept],
            sides=self.sides[is_kept],
            groups=self.groups[is_kept],
            numbers=self.numbers[is_kept],
            direct=None if self.direct is None else self.direct[is_kept],
            others={name: texts[is_kept] for name, texts in self.others.items()},
        )

    @property
    def contexts(self) -> NDArray[np.int64]:
        """int64, what tells repeated rows apart (groups and other columns), as numbers from 0."""
        texts = [self.groups, *self.others.values()]
        numbers = [np.unique(column, return_inverse=True)[1] for column in texts]
        rows = np.stack(numbers, axis=1)
        return np.unique(rows, axis=0, return_inverse=True)[1].ravel().astype(np.int64)

    def single(self, aggregate: Aggregate | None = None, *, way_out: str | None = None) -> Values:
        """Return one entry for each structure and hemisphere.

        Parameters
        ----------
        aggregate
            What is made of several: 'mean', 'median' or 'sum' of those that are not missing. By
            default they are an error. Rows that a table of counts leaves out count as 0.
        way_out
            What the caller can do about repeated rows, for the error.

        Raises
        ------
        PictureError
            Several rows for one structure, or several groups, and no word about them.
        """
        checked_aggregate(aggregate)
        keys = np.stack([self.ranks, self.is_direct, self.sides], axis=1)
        distinct, first, index, counts = np.unique(
            keys, axis=0, return_index=True, return_inverse=True, return_counts=True
        )
        index = index.ravel()
        if aggregate is None:
            if (counts > 1).any():
                self._refuse_repeated(int(np.argmax(counts)), index, counts, way_out)
            if len(self.group_names) > 1:
                raise PictureError(
                    f"{self.source} has the groups {listing(self.group_names)}: show one on each "
                    f"hemisphere (left, right){way_out or _FOLD}"
                )
            return self
        size = len(distinct)
        rows = len(np.unique(self.contexts)) if self.absent_is_zero else 0
        order = np.argsort(first)
        folded = self.where(np.isin(np.arange(len(index)), first))
        numbers = _folded(self.numbers, index, size, aggregate, rows)[order]
        direct = self.direct
        if direct is not None:
            direct = _folded(direct, index, size, aggregate, rows)[order]
        groups = np.full(len(order), "", dtype=self.groups.dtype)
        others = {name: np.full(len(order), "") for name in self.others}
        return replace(folded, numbers=numbers, direct=direct, groups=groups, others=others)

    def _refuse_repeated(
        self, worst: int, index: NDArray[np.int64], counts: NDArray[np.int64], way_out: str | None
    ) -> None:
        rows = np.flatnonzero(index == worst)
        differ = [name for name, texts in self.others.items() if len(set(texts[rows].tolist())) > 1]
        if len(set(self.groups[rows].tolist())) > 1:
            differ = [self.by, *differ]
        told = f", which differ in {listing(differ)}" if differ else ""
        raise PictureError(
            f"{self.source} has {counts[worst]} rows for "
            f"{self.structures.acronyms[self.ranks[rows[0]] - 1]}{told}: choose some of them by a "
            f"column's value (where){way_out or _FOLD}"
        )


_FOLD = ", or say what is made of them (aggregate: mean, median or sum)"


def _folded(
    numbers: NDArray[np.float64],
    index: NDArray[np.int64],
    size: int,
    aggregate: Aggregate,
    rows: int,
) -> NDArray[np.float64]:
    """Return the numbers of each place as one; those that are missing do not count.

    Parameters
    ----------
    rows
        How many there should be at each place: as many zeros are added as are left out.
    """
    found = np.full(size, np.nan)
    fold = AGGREGATES[aggregate]
    order = np.argsort(index, kind="stable")
    bounds = np.searchsorted(index[order], np.arange(size + 1))
    for place in range(size):
        given = numbers[order[bounds[place] : bounds[place + 1]]]
        given = np.concatenate([given, np.zeros(max(rows - len(given), 0))])
        given = given[~np.isnan(given)]
        if given.size:
            found[place] = fold(given)
    return found


def checked_aggregate(aggregate: str | None) -> None:
    """Refuse what nobody can make of several values.

    Raises
    ------
    PictureError
        It is none of `AGGREGATES`.
    """
    if aggregate is not None and aggregate not in AGGREGATES:
        raise PictureError(f"several values become their {listing(AGGREGATES)}, not {aggregate!r}")
