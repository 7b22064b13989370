"""Which structure each row of a table is of.

The one idea: a table may name a structure in several ways, by id, acronym and name; one of them
finds it, and the others must not contradict it.
"""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral
from typing import TYPE_CHECKING

import numpy as np

from atlasdb.cells.tables import UNASSIGNED
from atlasdb.errors import PictureError, UnknownStructureError, did_you_mean, listing
from atlasdb.plots.tables import STRUCTURE, text_of
from atlasdb.voxels.ranks import INSIDE, STATUSES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from atlasdb.plots.tables import Table
    from atlasdb.structures import StructureTable
    from atlasdb.voxels import AtlasVoxels

STRUCTURE_COLUMNS = {
    "structure_id": "id",
    "acronym": "acronym",
    STRUCTURE: "word",
    "region": "word",
    "structure_name": "name",
    "name": "name",
    "id": "id",  # as often as not a row's number: only where there is nothing else
}
"""Where the structure of a row is looked for, in this order, and how its values are understood."""

_ELSEWHERE = frozenset({*STATUSES[1:], "in none of these structures"})
_NO_ID = ("0", "id")
"""What arrays, which have no NULL, have for no structure; no atlas has such an id."""

_MOST_NAMED = 5


@dataclass(frozen=True)
class RowRanks:
    """The structures of a table's rows.

    Attributes
    ----------
    ranks
        (rows,) int64, 0 for a row that is of no structure.
    is_direct
        (rows,) bool, whether a row is of a structure's own label only: 'X (unassigned)'.
    """

    ranks: NDArray[np.int64]
    is_direct: NDArray[np.bool_]


def find_ranks(table: Table, voxels: AtlasVoxels) -> RowRanks:
    """Return which structure each row of a table is of.

    Raises
    ------
    PictureError
        The table does not say, or says it in a way that several structures share.
    UnknownStructureError
        The atlas does not have a structure, or has another by this id.
    """
    columns = [name for name in STRUCTURE_COLUMNS if name in table.columns]
    if not columns:
        raise PictureError(
            f"{table.name} does not say of which structures its values are: it needs a column "
            f"called {' or '.join(STRUCTURE_COLUMNS)}; it has {listing(table.columns, limit=20)}"
        )
    key, *others = columns
    finder = _Finder(voxels.structures, STRUCTURE_COLUMNS[key])
    checks = [(name, _Finder(voxels.structures, STRUCTURE_COLUMNS[name])) for name in others]
    statuses = table.columns.get("status", [None] * len(table))
    ranks = np.zeros(len(table), dtype=np.int64)
    is_direct = np.zeros(len(table), dtype=np.bool_)
    unknown: dict[str, None] = {}
    for row, (value, status) in enumerate(zip(table.columns[key], statuses, strict=True)):
        text = text_of(value)
        if not text or text_of(status) not in {"", STATUSES[INSIDE]}:
            continue
        rank = finder.rank_of(value)
        if rank:
            ranks[row] = rank
            said = {name: table.columns[name][row] for name, _ in checks}
            is_direct[row] = any(map(_is_own_label, [text, *map(text_of, said.values())]))
            for name, check in checks:
                _refuse_contradiction(table, voxels, rank, text, (name, said[name]), check)
        elif text not in _ELSEWHERE and (text, STRUCTURE_COLUMNS[key]) != _NO_ID:
            unknown[text] = None
    if unknown:
        raise UnknownStructureError(_told_of_unknown(table, voxels, list(unknown), finder))
    return RowRanks(ranks, is_direct)


def _is_own_label(text: str) -> bool:
    """Say whether a row is of a structure's own label, as tables of counts write it."""
    return text.endswith(UNASSIGNED)


def _refuse_contradiction(
    table: Table,
    voxels: AtlasVoxels,
    rank: int,
    text: str,
    said: tuple[str, object],
    check: _Finder,
) -> None:
    """Refuse a table whose names of a structure belong together in another atlas only."""
    name, value = said
    other = text_of(value)
    is_row_number = name == "id"
    if not other or is_row_number:
        return
    found = check.rank_of(value)
    # Names may be worded otherwise, and a 'region' may be anything: only another structure's count.
    is_strict = STRUCTURE_COLUMNS[name] in {"id", "acronym"}
    if found == rank or (not found and not is_strict):
        return
    structures = voxels.structures
    here = structures.names if STRUCTURE_COLUMNS[name] == "name" else structures.acronyms
    raise UnknownStructureError(
        f"{table.name} calls structure {text} {other.removesuffix(UNASSIGNED)!r} ({name}), which "
        f"in {voxels.name} is {here[rank - 1]!r}: its values are of another atlas"
    )


def _told_of_unknown(table: Table, voxels: AtlasVoxels, unknown: list[str], finder: _Finder) -> str:
    """Return what is wrong, with near names."""
    plural = "" if len(unknown) == 1 else "s"
    told = "; ".join(finder.hinted(text) for text in unknown[:_MOST_NAMED])
    more = len(unknown) - _MOST_NAMED
    return (
        f"{table.name} has values of {len(unknown)} structure{plural} that {voxels.name} does not "
        f"have: {told}" + (f"; and {more} more" if more > 0 else "")
    )


class _Finder:
    """Finds structures by what a column holds.

    Parameters
    ----------
    structures
        The atlas's.
    kind
        'id', 'acronym', 'name', or 'word': an acronym, or an id (a number is an id first).
    """

    def __init__(self, structures: StructureTable, kind: str) -> None:
        ids = {str(i): rank for rank, i in enumerate(structures.hierarchy.ids.tolist(), start=1)}
        names: dict[str, list[int]] = {}
        for rank, name in enumerate(structures.names, start=1):
            names.setdefault(name, []).append(rank)
        by_name = names if kind == "name" else structures.ranks_by_acronym
        self._names = {} if kind == "id" else by_name
        self._ids = ids if kind in {"id", "word"} else {}

    def rank_of(self, value: object) -> int:
        """Return a structure's rank, 0 if there is none.

        Raises
        ------
        PictureError
            Several structures have this name.
        """
        text = text_of(value).removesuffix(UNASSIGNED)
        by_id = self._ids.get(text.removesuffix(".0"), 0)
        if by_id and isinstance(value, Integral):
            return by_id
        ranks = self._names.get(text, [])
        if len(ranks) > 1:
            raise PictureError(f"{text!r} is what several structures are called: name them by id")
        return ranks[0] if ranks else by_id

    def hinted(self, text: str) -> str:
        """Return an unknown name with near ones."""
        near = did_you_mean(text, self._names).removeprefix("; ")
        return f"{text} ({near})" if near else text
