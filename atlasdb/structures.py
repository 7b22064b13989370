"""The structures of one atlas: their hierarchy, and what each is called.

The one idea: everything is kept in rank order, so that a structure is one integer for the arrays
and an acronym or an id for people; `StructureTable.rank_of` goes from the one to the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from atlasdb.errors import AmbiguousAcronymError, UnknownStructureError, did_you_mean, listing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from atlasdb.hierarchy import Hierarchy

NO_LABEL = -(2**63)
"""Stands for no value in `StructureTable.label_values`: no annotation holds it (`runs`)."""


def label_values_of(values: Sequence[int | None]) -> NDArray[np.int64]:
    """Return label values as `StructureTable` has them, of values that may be None.

    Examples
    --------
    >>> label_values_of([997, None]).tolist() == [997, NO_LABEL]
    True
    """
    return np.array([NO_LABEL if value is None else value for value in values], dtype=np.int64)


@dataclass(frozen=True)
class StructureTable:
    """An atlas's structures; entry ``rank - 1`` of everything is a structure.

    Attributes
    ----------
    hierarchy
        Ids, ranks, depths, parents.
    acronyms, names
        n texts. Acronyms are case-sensitive (CM and cm are both real) and not always unique.
    rgb
        (n, 3) uint8, the atlas's own colours.
    label_values
        (n,) int64, the value that stands for the structure in the annotation, usually its id;
        `NO_LABEL` if none does.
    """

    hierarchy: Hierarchy
    acronyms: tuple[str, ...]
    names: tuple[str, ...]
    rgb: NDArray[np.uint8]
    label_values: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.hierarchy)

    @cached_property
    def ranks_by_acronym(self) -> dict[str, list[int]]:
        """The ranks that bear each acronym: one, but for an atlas with duplicates."""
        ranks: dict[str, list[int]] = {}
        for rank, acronym in enumerate(self.acronyms, start=1):
            ranks.setdefault(acronym, []).append(rank)
        return ranks

    def ids_of(self, ranks: list[int]) -> list[int]:
        """Return the ids of structures given by rank."""
        return [int(self.hierarchy.ids[rank - 1]) for rank in ranks]

    def rank_of(self, structure: str | int) -> int:
        """Return the rank of a structure given by its acronym or its id.

        Parameters
        ----------
        structure
            An acronym, exactly as the atlas writes it, or an integer id.

        Raises
        ------
        UnknownStructureError
            There is none; near acronyms are suggested.
        AmbiguousAcronymError
            Several structures have this acronym; their ids are listed.
        """
        if isinstance(structure, str):
            ranks = self.ranks_by_acronym.get(structure, [])
            if len(ranks) > 1:
                raise AmbiguousAcronymError(
                    f"acronym {structure!r} belongs to several structures: "
                    f"ids {listing(self.ids_of(ranks))}; name one by its id"
                )
            hint = did_you_mean(structure, self.ranks_by_acronym)
        else:
            ranks = [rank for rank in [int(self.hierarchy.rank_of(structure))] if rank]
            hint = ""
        if not ranks:
            raise UnknownStructureError(f"no structure {structure!r} in this atlas{hint}")
        return ranks[0]
