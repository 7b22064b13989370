"""Values of structures: which structure, which hemisphere, which group, and the number.

The one idea: values are arrays with an entry for each row of a table; what is chosen or folded of
them is arithmetic on these, and a value that is not there stays missing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from atlasdb.errors import LookupFailedError, PictureError, did_you_mean, listing
from atlasdb.plots.tables import GROUP

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
    "direct_cells": "cells",
    "density_per_atlas_mm3": "cells per mm³ of the atlas",
    "density_per_registered_mm3": "cells per mm³",
    "atlas_volume_mm3": "volume (mm³)",
    "registered_volume_mm3": "volume (mm³)",
}
ADDITIVE = frozenset({"cells", "direct_cells", "atlas_volume_mm3", "registered_volume_mm3"})
"""Columns whose values of parts sum to that of the whole."""


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
    ranks
        int64, the structures.
    is_direct
        bool, whether a value is of a structure's own label only, and not of what lies below.
    sides
        int64, `BOTH`, or the hemispheres of `atlasdb.runs`.
    groups
        The group of each entry, as text; empty texts without any.
    numbers
        float64, NaN where there is no value.
    nowhere
        The sum of what is in no structure, by group: outside, in the background, in unknown labels;
        where values add up.
    direct
        float64, the same for a structure's own label, where the table has it; else None.
    others
        The table's other columns, by name, as text: what tells repeated rows apart.
    """

    source: str
    structures: StructureTable
    column: str
    ranks: NDArray[np.int64]
    is_direct: NDArray[np.bool_]
    sides: NDArray[np.int64]
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
        return f"; {total:.10g} more in no structure{folded}" if total > 0 else ""

    def of_group(self, group: str) -> Values:
        """Return the entries of one group.

        Raises
        ------
        LookupFailedError
            There is none of this name.
        """
        if group not in self.group_names:
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

    def single(self, aggregate: Aggregate | None = None, *, way_out: str = "") -> Values:
        """Return one entry for each structure and hemisphere.

        Parameters
        ----------
        way_out
            What else the caller can do about repeated rows, for the error.
        aggregate
            What is made of several: 'mean', 'median' or 'sum' of those that are not missing. By
            default they are an error.

        Raises
        ------
        PictureError
            Several rows for one structure, and no word about them.
        """
        checked_aggregate(aggregate)
        keys = np.stack([self.ranks, self.is_direct, self.sides], axis=1)
        distinct, first, index, counts = np.unique(
            keys, axis=0, return_index=True, return_inverse=True, return_counts=True
        )
        if not (counts > 1).any():
            return self
        if aggregate is None:
            self._refuse_repeated(int(np.argmax(counts)), index.ravel(), counts, way_out)
        order = np.argsort(first)
        folded = self.where(np.isin(np.arange(len(index)), first))
        numbers = _folded(self.numbers, index.ravel(), len(distinct), str(aggregate))[order]
        direct = self.direct
        if direct is not None:
            direct = _folded(direct, index.ravel(), len(distinct), str(aggregate))[order]
        return replace(folded, numbers=numbers, direct=direct)

    def _refuse_repeated(
        self, worst: int, index: NDArray[np.int64], counts: NDArray[np.int64], way_out: str
    ) -> None:
        rows = np.flatnonzero(index == worst)
        differ = [name for name, texts in self.others.items() if len(set(texts[rows].tolist())) > 1]
        if len(set(self.groups[rows].tolist())) > 1:
            differ = [GROUP, *differ]
        told = f", which differ in {listing(differ)}" if differ else ""
        raise PictureError(
            f"{self.source} has {counts[worst]} rows for "
            f"{self.structures.acronyms[self.ranks[rows[0]] - 1]}{told}: choose some of them by a "
            "column's value (where), or say what is made of them (aggregate: mean, median or sum)"
            f"{way_out}"
        )


def _folded(
    numbers: NDArray[np.float64], index: NDArray[np.int64], size: int, aggregate: str
) -> NDArray[np.float64]:
    """Return the numbers of each group as one; those that are missing do not count."""
    found = np.full(size, np.nan)
    fold = AGGREGATES[aggregate]
    order = np.argsort(index, kind="stable")
    bounds = np.searchsorted(index[order], np.arange(size + 1))
    for group in range(size):
        given = numbers[order[bounds[group] : bounds[group + 1]]]
        given = given[~np.isnan(given)]
        if given.size:
            found[group] = fold(given)
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
