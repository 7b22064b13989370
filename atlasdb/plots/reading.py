"""From rows to values: which structure, hemisphere and group each row of a table is of.

The one idea: every row becomes one entry with a rank, or is known to be of no structure. One that
the atlas does not have is an error. Whether a row means a structure with all below it or its own
label only, the table says itself ('X (unassigned)').
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from atlasdb.cells.tables import COLUMNS, UNASSIGNED
from atlasdb.errors import PictureError, UnknownStructureError, did_you_mean, listing
from atlasdb.plots.tables import GROUP, STRUCTURE, VALUE, tabulated
from atlasdb.plots.values import ADDITIVE, BOTH, Values
from atlasdb.runs import LEFT, NEITHER, RIGHT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from atlasdb.plots.tables import Table
    from atlasdb.structures import StructureTable
    from atlasdb.voxels import AtlasVoxels

# Where the structure of a row is looked for, in this order, and how its values are understood.
_STRUCTURE_COLUMNS = {
    "structure_id": "id",
    "id": "id",
    "acronym": "acronym",
    STRUCTURE: "word",
    "region": "word",
    "structure_name": "name",
    "name": "name",
}
_SIDES = {"left": LEFT, "right": RIGHT, "both": BOTH, "": BOTH}
_MISSING = {"", "na", "n/a", "nan", "null", "none"}
_MOST_NAMED = 5


def read_values(
    source: Any,  # noqa: ANN401 (many kinds)
    voxels: AtlasVoxels,
    *,
    column: str | None = None,
    by: str | None = None,
    where: Mapping[str, object] | None = None,
) -> Values:
    """Read values of structures from a table.

    Parameters
    ----------
    source
        See `atlasdb.plots.tables.tabulated`.
    voxels
        The atlas that the structures are of.
    column
        Which column holds the values; by default ``cells``, or the only one with numbers.
    by
        Which column holds the groups.
    where
        Take only rows with these values in these columns.

    Raises
    ------
    PictureError
        The table has no such column, or what it means cannot be told.
    UnknownStructureError
        It names structures that the atlas does not have.
    """
    table = _filtered(tabulated(source), where or {})
    if by is None and GROUP in table.columns and column is None and VALUE in table.columns:
        by = GROUP
    if by is not None:
        _need(table, by)
    ranks, is_direct, key = _ranks(table, voxels)
    taken = {key, by, *(where or {})} - {None}
    column = _value_column(table, column, {str(name) for name in taken})
    kept = ranks > 0
    others = {
        name: np.array([_text(v) for v in values], dtype=np.str_)[kept]
        for name, values in table.columns.items()
        if name not in {*taken, *COLUMNS, *_STRUCTURE_COLUMNS, column}
    }
    direct = None
    if column == "cells" and "direct_cells" in table.columns:
        direct = _numbers(table, "direct_cells")[kept]
    groups = [""] * len(table) if by is None else [_text(v) for v in table.columns[by]]
    numbers = _numbers(table, column)
    found = Values(
        source=table.name,
        structures=voxels.structures,
        column=column,
        ranks=ranks[kept],
        is_direct=is_direct[kept],
        sides=_sides(table)[kept],
        groups=np.array(groups, dtype=np.str_)[kept],
        numbers=numbers[kept],
        nowhere=_nowhere(groups, numbers, ~kept) if column in ADDITIVE else {},
        direct=direct,
        others=others,
    )
    if not found.ranks.size:
        raise PictureError(f"{table.name} has no row that is of a structure")
    return found


def _nowhere(
    groups: list[str], numbers: NDArray[np.float64], is_nowhere: NDArray[np.bool_]
) -> dict[str, float]:
    """Return the sums of rows that are of no structure, by group."""
    sums: dict[str, float] = {}
    for row in np.flatnonzero(is_nowhere & ~np.isnan(numbers)).tolist():
        sums[groups[row]] = sums.get(groups[row], 0.0) + float(numbers[row])
    return sums


def _filtered(table: Table, where: Mapping[str, object]) -> Table:
    """Return the rows that have some values."""
    rows = range(len(table))
    for name, value in where.items():
        _need(table, name)
        texts = table.columns[name]
        rows_left = [row for row in rows if _text(texts[row]) == _text(value)]
        if not rows_left:
            there = dict.fromkeys(_text(v) for v in texts)
            raise PictureError(
                f"no row of {table.name} has {name} = {_text(value)}"
                f"{did_you_mean(_text(value), there)}; there are {listing(there)}"
            )
        rows = rows_left  # type: ignore[assignment]
    return replace(table, columns={n: [v[row] for row in rows] for n, v in table.columns.items()})


def _need(table: Table, name: str) -> None:
    """Refuse a column that is not there."""
    if name not in table.columns:
        raise PictureError(
            f"{table.name} has no column {name!r}{did_you_mean(name, table.columns)}; it has "
            f"{listing(table.columns, limit=20)}"
        )


def _value_column(table: Table, column: str | None, taken: set[str]) -> str:
    """Return which column holds the values."""
    if column is not None:
        _need(table, column)
        return column
    for usual in ("cells", VALUE):
        if usual in table.columns and usual not in taken:
            return usual
    unlikely = {*taken, *_STRUCTURE_COLUMNS, "hemisphere", "status"}
    numeric = [
        name
        for name, values in table.columns.items()
        if name not in unlikely and name and all(_is_number(value) for value in values)
    ]
    if len(numeric) == 1:
        return numeric[0]
    found = f"there are {listing(numeric)}" if numeric else "no column holds numbers only"
    raise PictureError(f"which column of {table.name} holds the values? {found}: name one")


def _ranks(table: Table, voxels: AtlasVoxels) -> tuple[NDArray[np.int64], NDArray[np.bool_], str]:
    """Return each row's rank (0 for no structure), whether it is its own label, and the column."""
    key = next((name for name in _STRUCTURE_COLUMNS if name in table.columns), None)
    if key is None:
        raise PictureError(
            f"{table.name} does not say of which structures its values are: it needs a column "
            f"called {' or '.join(_STRUCTURE_COLUMNS)}; it has {listing(table.columns, limit=20)}"
        )
    structures = voxels.structures
    finder = _Finder(structures, _STRUCTURE_COLUMNS[key])
    ranks = np.zeros(len(table), dtype=np.int64)
    is_direct = np.zeros(len(table), dtype=np.bool_)
    acronyms = table.columns.get("acronym", [None] * len(table))
    statuses = table.columns.get("status", [None] * len(table))
    unknown: dict[str, None] = {}
    for row, (value, acronym, status) in enumerate(
        zip(table.columns[key], acronyms, statuses, strict=True)
    ):
        text = _text(value)
        is_direct[row] = UNASSIGNED in (
            text[-len(UNASSIGNED) :],
            _text(acronym)[-len(UNASSIGNED) :],
        )
        if not text or (status is not None and _text(status) not in {"", "inside"}):
            continue
        if is_of_none(text):
            continue
        ranks[row] = finder.rank_of(text.removesuffix(UNASSIGNED))
        if not ranks[row]:
            unknown[text] = None
        elif key != "acronym" and acronym:
            _refuse_other_atlas(table, structures, int(ranks[row]), text, _text(acronym), voxels)
    if unknown:
        raise UnknownStructureError(
            f"{table.name} has values of {len(unknown)} structure"
            f"{'' if len(unknown) == 1 else 's'} that {voxels.name} does not have: "
            + "; ".join(finder.hinted(text) for text in list(unknown)[:_MOST_NAMED])
            + (f"; and {len(unknown) - _MOST_NAMED} more" if len(unknown) > _MOST_NAMED else "")
        )
    return ranks, is_direct, key


def is_of_none(text: str) -> bool:
    """Say whether a row's name is one that tables of counts have for what is no structure."""
    return text in {"unlabelled", "background", "outside", "in none of these structures"}


def _refuse_other_atlas(
    table: Table,
    structures: StructureTable,
    rank: int,
    text: str,
    acronym: str,
    voxels: AtlasVoxels,
) -> None:
    """Refuse a table whose ids and acronyms belong together in another atlas only."""
    said = acronym.removesuffix(UNASSIGNED)
    here = structures.acronyms[rank - 1]
    if said != here:
        raise UnknownStructureError(
            f"{table.name} calls structure {text} {said!r}, which in {voxels.name} is {here!r}: "
            "its values are of another atlas"
        )


class _Finder:
    """Finds structures by what a column holds.

    Parameters
    ----------
    structures
        The atlas's.
    kind
        'id', 'acronym', 'name', or 'word': an acronym, or an id.
    """

    def __init__(self, structures: StructureTable, kind: str) -> None:
        self._kind = kind
        ids = {str(i): rank for rank, i in enumerate(structures.hierarchy.ids.tolist(), start=1)}
        names: dict[str, list[int]] = {}
        for rank, name in enumerate(structures.names, start=1):
            names.setdefault(name, []).append(rank)
        by_name = names if kind == "name" else structures.ranks_by_acronym
        self._names = {} if kind == "id" else by_name
        self._ids = ids if kind in {"id", "word"} else {}

    def rank_of(self, text: str) -> int:
        """Return a structure's rank, 0 if there is none.

        Raises
        ------
        PictureError
            Several structures have this name.
        """
        ranks = self._names.get(text, [])
        if len(ranks) > 1:
            raise PictureError(f"{text!r} is what several structures are called: name them by id")
        if ranks:
            return ranks[0]
        return self._ids.get(text.removesuffix(".0"), 0)

    def hinted(self, text: str) -> str:
        """Return an unknown name with near ones."""
        return f"{text}{did_you_mean(text, self._names)}".replace("; did", " (did").replace(
            "?", "?)"
        )


def _sides(table: Table) -> NDArray[np.int64]:
    """Return the hemispheres of rows."""
    if "hemisphere" not in table.columns:
        return np.full(len(table), BOTH)
    statuses = table.columns.get("status", [None] * len(table))
    sides = np.empty(len(table), dtype=np.int64)
    for row, (value, status) in enumerate(zip(table.columns["hemisphere"], statuses, strict=True)):
        text = _text(value).lower()
        if text not in _SIDES:
            raise PictureError(
                f"{table.name} has the hemisphere {value!r}: there are left, right and both"
            )
        # A count's row without a hemisphere is of voxels that are in neither.
        sides[row] = NEITHER if not text and _text(status) == "inside" else _SIDES[text]
    return sides


def _numbers(table: Table, column: str) -> NDArray[np.float64]:
    """Return a column as numbers, NaN where there is none."""
    found = np.empty(len(table))
    for row, value in enumerate(table.columns[column]):
        if not _is_number(value):
            raise PictureError(
                f"{table.name}, column {column}: {value!r} in row {row + 1} is no number"
            )
        found[row] = np.nan if _is_missing(value) else float(value)
    return found


def _is_missing(value: object) -> bool:
    if isinstance(value, str):
        return value.strip().lower() in _MISSING
    return value is None or (isinstance(value, float) and math.isnan(value))


def _is_number(value: object) -> bool:
    """Say whether a value is a finite number, or is missing."""
    if _is_missing(value):
        return True
    if isinstance(value, bool):
        return False
    try:
        return math.isfinite(float(value))  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return False


def _text(value: object) -> str:
    """Return a value as text: an id that a frame made a float of is a whole number again."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip()
