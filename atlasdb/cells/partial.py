"""Partial counts: what one shard of a table adds, as a file, and the sum of many.

The one idea: a count is a sum, so that shards can be counted anywhere, in any order, without a
scheduler. A file says which atlas, which columns and which input it is of, so that nothing is added
that does not belong, nor anything twice.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from atlasdb.cells.counting import Counts
from atlasdb.cells.pieces import named, saying_which
from atlasdb.errors import PointsError, listing

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from atlasdb.voxels import AtlasVoxels

_MARK = b"atlasdb_partial_count"
_FORMAT = 1
_MOST_RANKS = 1 << 22

_OURS = ("_rank", "_hemisphere", "_cells")


@dataclass(frozen=True)
class Partial:
    """The counts of a shard.

    Attributes
    ----------
    counts
        The counts.
    files
        What was counted: path, size and time of change of every file.
    atlas
        The atlas's full name.
    fingerprint
        Its digest.
    name
        Where the partial count is from, for messages.
    """

    counts: Counts
    files: tuple[tuple[str, int | None, int], ...]
    atlas: str
    fingerprint: str
    name: str = ""

    def table(self) -> pa.Table:
        """Return it as a table, to be written as Parquet; `parse` reads it."""
        counts = self.counts
        by = counts.groups.table()
        taken = [name for name in by.column_names if name in _OURS]
        if taken:
            raise PointsError(f"a column to group by is called {listing(taken)}: rename it")
        group, rank, side = np.nonzero(counts.by_group)
        columns: dict[str, Any] = {n: by[n].take(pa.array(group)) for n in by.column_names}
        columns["_rank"] = pa.array(rank.astype(np.int64))
        columns["_hemisphere"] = pa.array(side.astype(np.int8))
        columns["_cells"] = pa.array(counts.by_group[group, rank, side])
        said = {
            "format": _FORMAT,
            "atlas": self.atlas,
            "fingerprint": self.fingerprint,
            "files": self.files,
            "size": counts.size,
            "cells": int(counts.by_group.sum()),
        }
        return pa.table(columns).replace_schema_metadata({_MARK: json.dumps(said)})


def load(path: Path) -> Partial:
    """Read a partial count.

    Raises
    ------
    PointsError
        It is none.
    """
    import pyarrow.parquet as pq  # takes 30 ms

    with saying_which(str(path)):
        # As one file: a folder `sample=m06` above it states nothing of its columns.
        table = pq.read_table(path, partitioning=None)
        named(table.schema, str(path))
    try:
        said = json.loads((table.schema.metadata or {}).get(_MARK, b"{}"))
    except ValueError:
        said = {}
    if not isinstance(said, dict) or said.get("format") != _FORMAT:
        raise PointsError(
            f"{path} is no partial count of this atlasdb: `atlasdb cells count --partial -o FILE` "
            "writes them"
        )
    names = [name for name in table.column_names if name not in _OURS]
    by = table.select(names)
    try:
        counts = Counts.none(by.schema.remove_metadata(), min(int(said["size"]), _MOST_RANKS))
        rank, side, cells = (table[name].to_numpy() for name in _OURS)
        for batch in by.combine_chunks().to_batches() or [None]:
            groups = None if batch is None else counts.groups.numbers_of(batch)
            numbers = np.zeros(len(rank), np.int64) if groups is None else groups
            np.add.at(counts.by_group, (numbers, rank, side), cells)
        files = tuple((str(name), size, changed) for name, size, changed in said["files"])
        partial = Partial(counts, files, said["atlas"], said["fingerprint"], str(path))
        is_whole = int(counts.by_group.sum()) == said["cells"] and min(cells, default=0) >= 0
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise PointsError(f"{path} was altered: it is no partial count any more") from error
    if not is_whole:
        raise PointsError(f"{path} was altered: its counts are not those that were written")
    return partial


def merge(partials: Sequence[Partial], voxels: AtlasVoxels) -> Counts:
    """Return the sum of partial counts.

    Raises
    ------
    PointsError
        One is of another atlas, groups otherwise, or counts what another has counted.
    """
    first = partials[0]
    total = Counts.none(first.counts.groups.schema, first.counts.size)
    counted: dict[str, str] = {}
    for partial in partials:
        if partial.fingerprint != voxels.fingerprint:
            raise PointsError(
                f"{partial.name} counts cells in {partial.atlas}, and not in the {voxels.name} "
                "that is in this home: ingest that one, or count the shard again"
            )
        if partial.counts.groups.schema != first.counts.groups.schema:
            raise PointsError(
                f"{partial.name} groups by {_by(partial)} and {first.name} by {_by(first)}: count "
                "all shards alike"
            )
        for file, _, _ in partial.files:
            if file in counted:
                raise PointsError(
                    f"{file} is counted in {counted[file]} and in {partial.name}: name each shard "
                    "once"
                )
            counted[file] = partial.name
        total.merge(partial.counts)
    return total


def _by(partial: Partial) -> str:
    fields = [f"{f.name} ({f.type})" for f in partial.counts.groups.schema]
    return listing(fields) if fields else "nothing"
