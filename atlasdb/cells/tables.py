"""Counts as tables: per structure and hemisphere, with subtrees, volumes and densities.

The one idea: every table accounts for every point. Its column ``direct_cells`` holds the points
that belong to the row's structure and to no row below it; with the rows for labels without
structure, the background and outside, and those for structures above a cut ('X (unassigned)'), it
always sums to the number of points. ``cells`` holds those of the whole subtree.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from atlasdb.errors import PointsError, listing
from atlasdb.runs import LEFT, RIGHT
from atlasdb.voxels.ranks import BACKGROUND, OUTSIDE, STATUSES, UNLABELLED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from atlasdb.cells.annotating import Tally
    from atlasdb.cells.counting import Counts
    from atlasdb.cells.groups import Group
    from atlasdb.voxels import AtlasVoxels
    from atlasdb.voxels.ranks import Structure

Hemispheres = Literal["separate", "together"]

COLUMNS = (
    "structure_id",
    "acronym",
    "name",
    "hemisphere",
    "status",
    "cells",
    "direct_cells",
    "atlas_volume_mm3",
    "density_per_atlas_mm3",
    "registered_volume_mm3",
    "density_per_registered_mm3",
)
"""The columns of a table of counts; the last two only where registered volumes are given."""

VALUES = ("cells", "direct_cells", "density_per_atlas_mm3", "density_per_registered_mm3")
"""What a matrix or a dictionary can hold."""

UNASSIGNED = " (unassigned)"

_MOST_ROWS = 20_000_000
_NEITHER = 0
_SIDE_NAMES = {_NEITHER: None, LEFT: "left", RIGHT: "right"}


@dataclass(frozen=True)
class Selection:
    """Which rows a table of counts has.

    Attributes
    ----------
    depth
        The structures at that many steps from the root, and leaves above.
    leaves
        The structures without children.
    structures
        These structures; all by default.
    hemispheres
        'separate' for a row for each, 'together' for one of both.
    """

    depth: int | None = None
    leaves: bool = False
    structures: Sequence[Structure] | None = None
    hemispheres: Hemispheres = "separate"

    def __post_init__(self) -> None:
        given = (self.depth is not None) + self.leaves + (self.structures is not None)
        if given > 1:
            raise PointsError("choose one of depth, leaves and structures")
        if self.hemispheres not in {"separate", "together"}:
            raise PointsError(f"hemispheres are 'separate' or 'together', not {self.hemispheres!r}")


class _Row(NamedTuple):
    """A structure's row."""

    rank: int
    is_assigned: bool


@dataclass(frozen=True)
class CountTable:
    """What was counted, ready to be written in any form.

    Attributes
    ----------
    voxels
        The atlas.
    counts
        The counts.
    selection
        Which rows are wanted.
    registered
        The volumes of registered brains: (n, 3) mm3 of each structure's own label (neither, left,
        right), NaN where none is given; by group, or for all.
    """

    voxels: AtlasVoxels
    counts: Counts
    selection: Selection
    registered: Sequence[NDArray[np.float64]] | None = None

    @property
    def tally(self) -> Tally:
        """How many points have each status."""
        return self.counts.tally(self.voxels)

    def long(self, *, nonzero: bool = False) -> pa.Table:
        """Return a row for each group, structure and hemisphere.

        Parameters
        ----------
        nonzero
            Leave out rows without cells.

        Returns
        -------
        pyarrow.Table
            The columns of the groups, then `COLUMNS`. After the structures, in depth-first order,
            come ``unlabelled``, ``background`` and ``outside``.
        """
        by = self.counts.groups.table()
        taken = [name for name in by.column_names if name.lower() in COLUMNS]
        if taken:
            raise PointsError(
                f"a column to group by is called {listing(taken)}, as one of the counts: rename it"
            )
        keys, cells, direct, volume, registered = self._arrays()
        groups, rows = cells.shape
        if groups * rows > _MOST_ROWS:
            raise PointsError(
                f"{groups:,} groups of {rows:,} rows are more than {_MOST_ROWS:,}: group by fewer "
                "values, or cut at a depth"
            )
        order = _order(by)
        repeated = pa.array(np.repeat(order, rows))
        columns = {name: by[name].take(repeated) for name in by.column_names}
        tiled = pa.array(np.tile(np.arange(rows), groups))
        columns |= {name: keys[name].take(tiled) for name in COLUMNS[:5]}
        columns["cells"] = pa.array(cells[order].ravel())
        columns["direct_cells"] = pa.array(direct[order].ravel())
        given = [("atlas", np.broadcast_to(volume, cells.shape))]
        if registered is not None:
            given.append(("registered", np.broadcast_to(registered, cells.shape)))
        for of, values in given:
            columns[f"{of}_volume_mm3"] = _nullable(values[order].ravel())
            columns[f"density_per_{of}_mm3"] = _density(cells[order].ravel(), values[order].ravel())
        table = pa.table(columns).replace_schema_metadata({"atlas": str(self.voxels.name)})
        if nonzero:
            table = table.filter(pa.array((cells[order] > 0).ravel()))
        return table

    def matrix(self, value: str = "cells") -> pa.Table:
        """Return a row for each group and a column for each structure and hemisphere.

        Parameters
        ----------
        value
            One of `VALUES`.

        Returns
        -------
        pyarrow.Table
            The columns of the groups; then ``VISp left``, ``VISp right``, … (``VISp`` where the
            hemispheres are together), an acronym of several structures with its id; then
            ``unlabelled``, ``background`` and ``outside``.
        """
        by = self.counts.groups.table()
        keys = self._arrays()[0]
        values = self._values(value)
        order = _order(by)
        names = _column_names(keys)
        taken = [name for name in by.column_names if name in names]
        if taken:
            raise PointsError(f"a column to group by is called {listing(taken)}, as a structure is")
        columns = {name: by[name].take(pa.array(order)) for name in by.column_names}
        for position, name in enumerate(names):
            column = values[order, position]
            columns[name] = _nullable(column) if column.dtype.kind == "f" else pa.array(column)
        return pa.table(columns).replace_schema_metadata({"atlas": str(self.voxels.name)})

    def dictionaries(self, value: str = "cells") -> dict[Group, dict[str, float]]:
        """Return ``{acronym: value}`` for every group, as brainglobe-heatmap takes it.

        Structures whose value is NULL (a density without volume) are left out, and so is what is no
        structure; hemispheres are together.
        """
        together = Selection(
            self.selection.depth, self.selection.leaves, self.selection.structures, "together"
        )
        table = CountTable(self.voxels, self.counts, together, self.registered)
        keys = table._arrays()[0]
        values = table._values(value)
        ids = keys["structure_id"].to_pylist()
        assigned = [
            position
            for position, (structure_id, acronym) in enumerate(
                zip(ids, keys["acronym"].to_pylist(), strict=True)
            )
            if structure_id is not None and not acronym.endswith(UNASSIGNED)
        ]
        acronyms = [keys["acronym"][position].as_py() for position in assigned]
        twice = sorted({a for a in acronyms if acronyms.count(a) > 1})
        if twice:
            raise PointsError(
                f"{listing(twice)} are acronyms of several structures each, which a dictionary "
                "cannot tell apart: name structures by their ids"
            )
        groups = self.counts.groups.values
        return {
            groups[group]: {
                acronym: values[group, position].item()
                for acronym, position in zip(acronyms, assigned, strict=True)
                if not np.isnan(values[group, position])
            }
            for group in _order(self.counts.groups.table()).tolist()
        }

    def brainmapper(self) -> pa.Table:
        """Return the columns of brainmapper's ``summary.csv``.

        Cells are counted at their own label, by the structure's name; a structure has a row if it
        has volume (in the registered brain, where one is given) or cells. Beyond brainmapper, which
        drops them, the last rows are the cells that are in no structure.
        """
        by = self.counts.groups.table()
        n = len(self.voxels.structures)
        own = self._own_voxels() * np.prod(self.voxels.grid.resolution_um) / 1e9
        volumes = np.stack(self.registered) if self.registered is not None else own[None]
        names, name_of = np.unique(np.array(self.voxels.structures.names), return_inverse=True)
        cells = _by_name(self.counts.by_group[:, 1 : n + 1], name_of, names.size)
        known = _by_name(~np.isnan(volumes), name_of, names.size).sum(axis=-1)
        volumes = _by_name(np.nan_to_num(volumes), name_of, names.size)
        is_given = (volumes.sum(axis=-1) if self.registered is None else known) > 0
        outsiders = self._outsiders(self.counts.by_group)
        parts = []
        for group in _order(by).tolist():
            of_brain = group if len(volumes) > 1 else 0
            kept = np.flatnonzero(is_given[of_brain] | (cells[group].sum(axis=-1) > 0))
            part = _summary(
                names[kept], cells[group][kept], volumes[of_brain][kept], outsiders[group]
            )
            index = pa.array([group] * part.num_rows, pa.int64())
            columns = {name: by[name].take(index) for name in by.column_names}
            parts.append(
                pa.table(columns | dict(zip(part.column_names, part.columns, strict=True)))
            )
        return pa.concat_tables(parts) if parts else _no_summary(by)

    def _values(self, value: str) -> NDArray[Any]:
        """Return one of `VALUES`, (groups, rows); NaN for NULL."""
        if value not in VALUES:
            raise PointsError(f"no value {value!r}: there are {listing(VALUES)}")
        _, cells, direct, volume, registered = self._arrays()
        if value == "cells":
            return cells
        if value == "direct_cells":
            return direct
        volumes = volume if value == "density_per_atlas_mm3" else registered
        if volumes is None:
            raise PointsError(f"{value} needs the volumes of a registered brain")
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(volumes > 0, cells / volumes, np.nan)

    def _arrays(self) -> tuple[pa.Table, NDArray[Any], NDArray[Any], NDArray[Any], Any]:
        """Return the rows' names, and (groups, rows) cells, direct cells and volumes."""
        rows = self._rows()
        ranks = np.array([row.rank for row in rows], dtype=np.int64)
        is_assigned = np.array([row.is_assigned for row in rows], dtype=np.bool_)
        sides = self._sides()
        by_rank = self.counts.by_group
        subtree = self._subtrees(by_rank, ranks, is_assigned)
        direct = self._directs(by_rank, subtree, ranks)
        voxels = self._voxels(ranks, is_assigned)
        registered = self._registered(ranks, is_assigned)
        elsewhere = self._elsewhere(by_rank)
        if elsewhere is not None:
            subtree = np.concatenate([subtree, elsewhere], axis=1)
            direct = np.concatenate([direct, elsewhere], axis=1)
        outsiders = self._outsiders(by_rank)
        names = self._names(rows, sides, has_elsewhere=elsewhere is not None)

        def folded(values: NDArray[Any]) -> NDArray[Any]:
            """Take the hemispheres that there are, or their sum."""
            if self.selection.hemispheres == "together":
                return np.asarray(values.sum(axis=-1))
            rows = values.shape[-2] * len(sides)
            return values[..., sides].reshape(*values.shape[:-2], rows)

        cells = np.concatenate([folded(subtree), outsiders], axis=1)
        directs = np.concatenate([folded(direct), outsiders], axis=1)
        volumes = folded(voxels) * np.prod(self.voxels.grid.resolution_um) / 1e9
        # What is no structure has no volume.
        nowhere = np.full(cells.shape[1] - volumes.size, np.nan)
        volumes = np.concatenate([volumes, nowhere])
        if registered is not None:
            wide = np.broadcast_to(nowhere, (len(registered), nowhere.size))
            registered = np.concatenate([folded(registered), wide], axis=1)
        return names, cells, directs, volumes, registered

    def _rows(self) -> list[_Row]:
        """Return the structures' rows, in depth-first order."""
        table, selection = self.voxels.rank_table, self.selection
        n = len(table.structures)
        hierarchy = table.structures.hierarchy
        ranks = np.arange(1, n + 1)
        if selection.structures is not None:
            named = np.unique(table.ranks_of(list(selection.structures)))
            return [_Row(int(rank), True) for rank in named]
        if selection.depth is not None:
            cut = table.cut(depth=selection.depth)
            is_row = cut.rank[1 : n + 1] == ranks
            is_assigned = cut.is_assigned[1 : n + 1]
        elif selection.leaves:
            is_row = np.ones(n, dtype=np.bool_)
            is_assigned = hierarchy.rank == hierarchy.last_rank
        else:
            return [_Row(rank, True) for rank in ranks.tolist()]
        # A structure above the cut has a row where its own label is, or cells are.
        own = self._own_voxels().sum(axis=1) > 0
        own |= self.counts.by_group[:, 1 : n + 1].sum(axis=(0, 2)) > 0
        kept = is_row & (is_assigned | own)
        return [_Row(rank, bool(is_assigned[rank - 1])) for rank in ranks[kept].tolist()]

    def _sides(self) -> list[int]:
        """Return which hemispheres have rows: left, right, and neither where something is in it."""
        n = len(self.voxels.structures)
        neither = self._own_voxels()[:, _NEITHER].any()
        neither |= bool(self.counts.by_group[:, 1 : n + 1, _NEITHER].any())
        return [LEFT, RIGHT, *([_NEITHER] if neither else [])]

    def _subtrees(
        self, by_rank: NDArray[np.int64], ranks: NDArray[np.int64], is_assigned: NDArray[np.bool_]
    ) -> NDArray[np.int64]:
        """Return the cells of each row's subtree, (groups, rows, 3); own ones if unassigned."""
        last = np.where(is_assigned, self.voxels.rank_table.last_ranks(ranks), ranks)
        return _sums(by_rank, axis=1, ranks=ranks, last=last)

    def _directs(
        self, by_rank: NDArray[np.int64], subtree: NDArray[np.int64], ranks: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """Return the cells that belong to each row and to none below it, (groups, rows, 3)."""
        selection = self.selection
        if selection.depth is not None or selection.leaves:
            return subtree
        if selection.structures is None:
            return by_rank[:, ranks]
        table = self.voxels.rank_table
        owner = table.cut(structures=[int(table.ids[rank]) for rank in ranks]).rank
        direct = np.zeros_like(by_rank)
        n = len(table.structures)
        for of_group, found in zip(direct, by_rank, strict=True):
            np.add.at(of_group, owner[1 : n + 1], found[1 : n + 1])
        return direct[:, ranks]

    def _elsewhere(self, by_rank: NDArray[np.int64]) -> NDArray[np.int64] | None:
        """Return the cells in structures that are in none of those chosen, (groups, 1, 3)."""
        if self.selection.structures is None:
            return None
        table = self.voxels.rank_table
        owner = table.cut(structures=list(self.selection.structures)).rank
        n = len(table.structures)
        is_elsewhere = owner[1 : n + 1] == 0
        found: NDArray[np.int64] = by_rank[:, 1 : n + 1][:, is_elsewhere].sum(axis=1, keepdims=True)
        return found

    def _outsiders(self, by_rank: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the cells that are in no structure, (groups, 3): by status."""
        statuses = self.voxels.rank_table.statuses
        by_rank = by_rank.sum(axis=2)
        found = [
            by_rank[:, statuses == status].sum(axis=1)
            for status in (UNLABELLED, BACKGROUND, OUTSIDE)
        ]
        return np.stack(found, axis=1)

    def _own_voxels(self) -> NDArray[np.int64]:
        """Return the voxels of each structure's own label, (n, 3): neither, left, right."""
        n = len(self.voxels.structures)
        statistics = self.voxels.statistics()
        both, left, right = statistics["direct_voxels"].to_numpy().reshape(n, 3).T
        return np.stack([both - left - right, left, right], axis=1)

    def _voxels(
        self, ranks: NDArray[np.int64], is_assigned: NDArray[np.bool_]
    ) -> NDArray[np.int64]:
        """Return the voxels of rows in the atlas, (rows, 3)."""
        own = self._own_voxels()
        last = np.where(is_assigned, self.voxels.rank_table.last_ranks(ranks), ranks)
        padded = np.concatenate([np.zeros((1, 3), np.int64), own])
        return np.asarray(_sums(padded[None], axis=1, ranks=ranks, last=last)[0])

    def _registered(
        self, ranks: NDArray[np.int64], is_assigned: NDArray[np.bool_]
    ) -> NDArray[np.float64] | None:
        """Return the registered brains' volumes of rows, (groups or 1, rows, 3) mm3."""
        if self.registered is None:
            return None
        last = np.where(is_assigned, self.voxels.rank_table.last_ranks(ranks), ranks)
        own = np.stack(self.registered)
        padded = np.concatenate([np.zeros((len(own), 1, 3)), np.nan_to_num(own)], axis=1)
        parts = [padded[:, a : b + 1].sum(axis=1) for a, b in zip(ranks, last, strict=True)]
        return np.stack(parts, axis=1)

    def _names(
        self, rows: Sequence[_Row], sides: Sequence[int], *, has_elsewhere: bool
    ) -> pa.Table:
        """Return what rows are called: the first five of `COLUMNS`."""
        structures = self.voxels.structures
        together = self.selection.hemispheres == "together"
        hemispheres = ["both"] if together else [_SIDE_NAMES[side] for side in sides]
        found: list[tuple[int | None, str | None, str | None, str | None, str]] = []
        for row in rows:
            acronym, name = structures.acronyms[row.rank - 1], structures.names[row.rank - 1]
            mark = "" if row.is_assigned else UNASSIGNED
            structure_id = int(structures.hierarchy.ids[row.rank - 1])
            found += [
                (structure_id, acronym + mark, name + mark, hemisphere, STATUSES[0])
                for hemisphere in hemispheres
            ]
        if has_elsewhere:
            found += [
                (None, None, "in none of these structures", hemisphere, STATUSES[0])
                for hemisphere in hemispheres
            ]
        found += [(None, None, None, None, STATUSES[s]) for s in (UNLABELLED, BACKGROUND, OUTSIDE)]
        columns = list(zip(*found, strict=True))
        types = (pa.int64(), *[pa.string()] * 4)
        return pa.table(
            {n: pa.array(c, t) for n, c, t in zip(COLUMNS, columns, types, strict=False)}
        )


def _summary(
    names: NDArray[np.str_],
    cells: NDArray[np.int64],
    volumes: NDArray[np.float64],
    outsiders: NDArray[np.int64],
) -> pa.Table:
    """Return brainmapper's columns for structures, (n, 3), and then for cells in none."""
    statuses = [STATUSES[s] for s in (UNLABELLED, BACKGROUND, OUTSIDE)]

    def column(values: NDArray[Any]) -> pa.Array:
        return _padded(pa.array(np.ascontiguousarray(values)), len(statuses))

    left, right = cells[:, LEFT], cells[:, RIGHT]
    left_mm3, right_mm3 = volumes[:, LEFT], volumes[:, RIGHT]
    return pa.table(
        {
            "structure_name": pa.array([*names.tolist(), *statuses], pa.string()),
            "left_cell_count": column(left),
            "right_cell_count": column(right),
            "total_cells": pa.array(np.concatenate([cells.sum(axis=1), outsiders])),
            "left_volume_mm3": column(left_mm3),
            "right_volume_mm3": column(right_mm3),
            "total_volume_mm3": column(volumes.sum(axis=1)),
            "left_cells_per_mm3": _padded(_density(left, left_mm3), len(statuses)),
            "right_cells_per_mm3": _padded(_density(right, right_mm3), len(statuses)),
        }
    )


def _no_summary(by: pa.Table) -> pa.Table:
    """Return brainmapper's columns of no groups."""
    nothing = np.zeros((0, 3))
    columns = _summary(
        np.empty(0, np.str_), nothing.astype(np.int64), nothing, np.zeros(3, np.int64)
    )
    named = dict(zip(columns.column_names, columns.slice(0, 0).columns, strict=True))
    return pa.table({name: by[name] for name in by.column_names} | named)


def _by_name(values: NDArray[Any], name_of: NDArray[np.int64], names: int) -> NDArray[Any]:
    """Return sums of (groups, structures, 3) over structures of the same name."""
    kind = np.int64 if values.dtype.kind == "b" else values.dtype
    sums = np.zeros((len(values), names, values.shape[2]), dtype=kind)
    for total, found in zip(sums, values, strict=True):
        np.add.at(total, name_of, found)
    return sums


def _padded(column: pa.Array, more: int) -> pa.Array:
    """Return a column with NULLs after it."""
    return pa.concat_arrays([column, pa.nulls(more, column.type)])


def _sums(
    values: NDArray[Any], *, axis: int, ranks: NDArray[np.int64], last: NDArray[np.int64]
) -> NDArray[Any]:
    """Return sums over ranges of ranks: differences of one cumulative sum."""
    total = np.cumsum(values, axis=axis)
    return np.asarray(total.take(last, axis=axis) - total.take(ranks - 1, axis=axis))


def _order(by: pa.Table) -> NDArray[np.int64]:
    """Return the order of groups by their values, those without one last."""
    if not by.num_columns:
        return np.arange(1)
    keys = [(name, "ascending") for name in by.column_names]
    found: NDArray[np.int64] = pc.sort_indices(by, sort_keys=keys).to_numpy().astype(np.int64)
    return found


def _nullable(values: NDArray[np.float64]) -> pa.Array:
    """Return numbers with NULL for NaN."""
    return pa.array(values, mask=np.isnan(values))


def _density(cells: NDArray[np.int64], volumes: NDArray[np.float64]) -> pa.Array:
    """Return cells per volume; NULL where there is no volume."""
    has_volume = np.nan_to_num(volumes) > 0
    with np.errstate(divide="ignore", invalid="ignore"):
        return pa.array(cells / volumes, mask=~has_volume)


def _column_names(keys: pa.Table) -> list[str]:
    """Return what the columns of a matrix are called."""
    rows = keys.to_pylist()
    ids: dict[str, set[int]] = {}
    for row in rows:
        if row["acronym"] is not None:
            ids.setdefault(row["acronym"], set()).add(row["structure_id"])
    names = []
    for row in rows:
        acronym = row["acronym"] or ("elsewhere" if row["name"] else row["status"])
        if len(ids.get(row["acronym"], ())) > 1:
            acronym = f"{acronym} (id {row['structure_id']})"
        side = row["hemisphere"]
        is_side = side in {"left", "right"}
        is_neither = side is None and row["status"] == STATUSES[0]
        names.append(
            f"{acronym} {side}" if is_side else f"{acronym} neither" if is_neither else acronym
        )
    return names
