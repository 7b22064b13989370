"""From tables to values: the structure, the hemisphere, the group and the number of each row.

The one idea: every row becomes one entry, or is known to be of no structure; nothing of a table is
left out without being counted, and what it does not say is asked.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from atlasdb.cells.tables import COLUMNS
from atlasdb.errors import PictureError, did_you_mean, listing
from atlasdb.plots.finding import STRUCTURE_COLUMNS, find_ranks
from atlasdb.plots.tables import GROUP, STRUCTURE, VALUE, is_missing, tabulated, text_of
from atlasdb.plots.values import ADDITIVE, BOTH, Values
from atlasdb.runs import LEFT, NEITHER, RIGHT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from atlasdb.plots.tables import Table
    from atlasdb.voxels import AtlasVoxels

_SUMMARY = frozenset({"structure_name", "left_cell_count", "right_cell_count", "total_cells"})
_SIDES = {"left": LEFT, "right": RIGHT, "both": BOTH, "": BOTH}


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
        Which column holds the values; by default ``cells``, of brainmapper's ``summary.csv``
        ``total_cells``, or the only one with numbers.
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
    if by is None and {GROUP, STRUCTURE, VALUE} == set(table.columns):  # a dictionary of groups
        by = GROUP
    if by is not None:
        table.need(by)
    found = find_ranks(table, voxels)
    taken = {str(name) for name in ({by, *(where or {})} - {None})}
    column = _value_column(table, column, taken)
    kept = found.ranks > 0
    kept_apart = [name for name in _group_columns(table) if name not in {*taken, column}]
    others = {
        name: np.array([text_of(v) for v in table.columns[name]], dtype=np.str_)[kept]
        for name in kept_apart
    }
    direct = None
    if column == "cells" and "direct_cells" in table.columns:
        direct = _numbers(table, "direct_cells")[kept]
    groups = [""] * len(table) if by is None else [text_of(v) for v in table.columns[by]]
    numbers = _numbers(table, column)
    values = Values(
        source=table.name,
        structures=voxels.structures,
        column=column,
        is_count=_is_count(table),
        ranks=found.ranks[kept],
        is_direct=(found.is_direct | _is_summary(table))[kept],
        sides=_sides(table)[kept],
        by=by or "",
        groups=np.array(groups, dtype=np.str_)[kept],
        numbers=numbers[kept],
        nowhere=_nowhere(groups, numbers, ~kept) if column in ADDITIVE else {},
        direct=direct,
        others=others,
    )
    if not values.ranks.size:
        raise PictureError(f"{table.name} has no row that is of a structure")
    _refuse_both_and_one(values)
    return values


def _is_count(table: Table) -> bool:
    """Say whether a table is one that ``atlasdb cells count`` makes."""
    return {"cells", "direct_cells"} <= set(table.columns)


def _group_columns(table: Table) -> list[str]:
    """Return the columns that may tell repeated rows apart.

    Of counts and summaries those that stand before what was counted, which are the groups; what
    somebody has added behind is nothing that was counted by.
    """
    names = list(table.columns)
    own = {*COLUMNS, *STRUCTURE_COLUMNS, *_SUMMARY}
    if _is_count(table) or _is_summary(table):
        names = names[: min(names.index(name) for name in names if name in own)]
    return [name for name in names if name not in own]


def _is_summary(table: Table) -> bool:
    """Say whether a table is brainmapper's summary, whose rows are of structures' own labels."""
    return set(table.columns) >= _SUMMARY


def refuse_without_values(**wanted: object) -> None:
    """Refuse what is asked of a table where there is none.

    Raises
    ------
    PictureError
        Something is asked.
    """
    given = [name for name, value in wanted.items() if value]
    if given:
        raise PictureError(f"{listing(given)} is asked of values, and there are none")


def _refuse_both_and_one(values: Values) -> None:
    """Refuse tables that have a structure's hemispheres and both of them together."""
    both = set(values.ranks[values.sides == BOTH].tolist())
    twice = both & set(values.ranks[values.sides != BOTH].tolist())
    if twice:
        acronyms = [values.structures.acronyms[rank - 1] for rank in sorted(twice)]
        raise PictureError(
            f"{values.source} has {listing(acronyms)} by hemisphere and for both together: choose "
            "one of these (where: hemisphere)"
        )


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
    for name, value in where.items():
        table.need(name)
        wanted = text_of(value)
        texts = [text_of(each) for each in table.columns[name]]
        rows = [row for row, text in enumerate(texts) if text == wanted]
        if not rows:
            there = dict.fromkeys(texts)
            raise PictureError(
                f"no row of {table.name} has {name} = {wanted}{did_you_mean(wanted, there)}; there "
                f"are {listing(there)}"
            )
        table = table.taken(rows)
    return table


def _value_column(table: Table, column: str | None, taken: set[str]) -> str:
    """Return which column holds the values."""
    if column is not None:
        table.need(column)
        if column in STRUCTURE_COLUMNS:
            raise PictureError(f"column {column} of {table.name} names structures: it is no value")
        return column
    for usual in ("cells", VALUE, *(["total_cells"] if _is_summary(table) else [])):
        if usual in table.columns and usual not in taken:
            return usual
    unlikely = {*taken, *STRUCTURE_COLUMNS, "hemisphere", "status"}
    numeric = [
        name
        for name, values in table.columns.items()
        if name not in unlikely
        and name
        and all(map(_is_number, values))
        and not all(map(is_missing, values))
    ]
    if len(numeric) == 1:
        return numeric[0]
    found = f"there are {listing(numeric)}" if numeric else "no column holds numbers only"
    raise PictureError(f"which column of {table.name} holds the values? {found}: name one")


def _sides(table: Table) -> NDArray[np.int64]:
    """Return the hemispheres of rows."""
    if "hemisphere" not in table.columns:
        return np.full(len(table), BOTH)
    statuses = table.columns.get("status", [None] * len(table))
    sides = np.empty(len(table), dtype=np.int64)
    for row, (value, status) in enumerate(zip(table.columns["hemisphere"], statuses, strict=True)):
        text = text_of(value).lower()
        if text not in _SIDES:
            raise PictureError(
                f"{table.name} has the hemisphere {value!r}: there are left, right and both"
            )
        # A count's row without a hemisphere is of voxels that are in neither.
        sides[row] = NEITHER if not text and text_of(status) == "inside" else _SIDES[text]
    return sides


def _numbers(table: Table, column: str) -> NDArray[np.float64]:
    """Return a column as numbers, NaN where there is none."""
    found = np.empty(len(table))
    for row, value in enumerate(table.columns[column]):
        if not _is_number(value):
            raise PictureError(
                f"{table.name}, column {column}: {value!r} in row {table.lines[row]} is no "
                "finite number"
            )
        found[row] = np.nan if is_missing(value) else float(value)
    return found


def _is_number(value: object) -> bool:
    """Say whether a value is a finite number, or is missing."""
    if is_missing(value):
        return True
    if isinstance(value, bool) or "_" in str(value):  # which Python takes for a separator
        return False
    try:
        return math.isfinite(float(value))  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return False
