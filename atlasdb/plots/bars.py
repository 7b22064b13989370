"""Bars: the structures with the highest values, left beside right, with every sample as a point."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np

from atlasdb.errors import PictureError
from atlasdb.plots.charts import BarChart, Item
from atlasdb.plots.cutting import cut_at, joined, told_of_lost
from atlasdb.plots.looks import PageWords, page_look
from atlasdb.plots.partition import volumes_mm3
from atlasdb.plots.picture import Picture
from atlasdb.plots.reading import read_values, refuse_without_values
from atlasdb.plots.slices import several, voxels_of
from atlasdb.plots.style import need_matplotlib
from atlasdb.plots.values import Values
from atlasdb.runs import LEFT, NEITHER, RIGHT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from atlasdb.atlas import Atlas
    from atlasdb.plots.values import Aggregate
    from atlasdb.voxels import AtlasVoxels
    from atlasdb.voxels.ranks import Structure


def plot_bars(
    atlas: Atlas | AtlasVoxels,
    values: Any = None,  # noqa: ANN401 (many kinds)
    *,
    depth: int | None = None,
    structures: Structure | Sequence[Structure] | None = None,
    top: int = 20,
    column: str | None = None,
    by: str | None = None,
    where: Mapping[str, object] | None = None,
    aggregate: Aggregate | None = None,
    label: str | None = None,
    **look: Unpack[PageWords],
) -> Picture:
    """Draw the structures with the highest values as bars, a hemisphere each.

    Parameters
    ----------
    atlas
        The atlas: `Database.atlas` or `Database.voxels`.
    values
        As of `plot_heatmap`; by default the volumes in the atlas, mm³.
    depth
        Compare the structures at that many steps from the root, and leaves of branches that end
        above. Counts below are added up where their ancestor has no row. By default all that the
        table has, or the leaves of the atlas.
    structures
        Compare these: acronyms or ids.
    top
        How many of them are shown at most, highest first.
    column, where
        As of `plot_heatmap`.
    by
        The column that names the samples: each is a point, bars are their mean.
    aggregate
        What bars are of samples ('mean', 'median' or 'sum'); without `by`, what is made of several
        rows of one structure.
    label
        What the axis says; by default what the values are, with their unit.
    **look
        ``dark`` (False), ``width_mm`` (120), ``title``.

    Returns
    -------
    Picture
        Rows of structures above the depth, 'X (unassigned)', have bars of their own.

    Raises
    ------
    PictureError
        Some structures contain others, and neither a depth nor structures are named; or the table
        cannot be understood.
    UnknownStructureError, UnknownDepthError
        There is no such thing.
    MissingPackageError
        matplotlib is not installed.

    Examples
    --------
    >>> import atlasdb, tempfile
    >>> db = atlasdb.connect(tempfile.mkdtemp())
    >>> _ = db.ingest("phantom_mouse_100um")
    >>> plot_bars(db.atlas("phantom_mouse_100um"), depth=3, top=5).caption
    'volume (mm³) in 5 of 9 structures of phantom_mouse_100um@1.0'
    """
    need_matplotlib()
    voxels = voxels_of(atlas)
    if top < 1:
        raise PictureError(f"there is nothing to be seen of {top} structures")
    if values is None:
        refuse_without_values(column=column, by=by, where=where, aggregate=aggregate)
        given = volumes_of(voxels)
    else:
        given = read_values(values, voxels, column=column, by=by, where=where)
    if given.group_names == [""]:
        given = given.single(aggregate, way_out=_SAMPLES)
    named = several(structures)
    given, items, lost = _chosen(given, voxels, depth, named, are_leaves=values is None)
    told = label or given.unit
    chart = BarChart.of(given, items, aggregate, look=page_look(look), label=told)
    shown = chart.highest(top)
    caption = (
        f"{told} in {len(shown.items)} of {len(items)} "
        f"structure{'' if len(items) == 1 else 's'} of {voxels.name}"
    )
    if shown.told:
        caption += f", {shown.told} samples"
    are_folded = aggregate is not None or len(shown.samples) > 1
    caption += told_of_lost(lost, depth) + given.told_of_nowhere(are_folded=are_folded)
    return Picture(shown.draw(str(voxels.name)), caption)


_SAMPLES = (
    ", show them as samples (by), or say what is made of them (aggregate: mean, median or sum)"
)


def volumes_of(voxels: AtlasVoxels) -> Values:
    """Return the volumes of structures as values, by hemisphere."""
    n = len(voxels.structures)
    both, left, right = volumes_mm3(voxels)
    neither = both - left - right
    sides = {LEFT: left, RIGHT: right}
    if (neither > _NOTHING_MM3).any():
        sides[NEITHER] = neither
    rows = n * len(sides)
    return Values(
        source="the atlas",
        structures=voxels.structures,
        column="atlas_volume_mm3",
        is_count=False,
        ranks=np.tile(np.arange(1, n + 1), len(sides)),
        is_direct=np.zeros(rows, dtype=np.bool_),
        sides=np.repeat(list(sides), n),
        by="",
        groups=np.full(rows, ""),
        numbers=np.concatenate(list(sides.values())),
        nowhere={},
        direct=None,
        others={},
    )


_NOTHING_MM3 = 1e-9


def _chosen(
    values: Values,
    voxels: AtlasVoxels,
    depth: int | None,
    structures: Sequence[Structure] | None,
    *,
    are_leaves: bool,
) -> tuple[Values, list[Item], int]:
    """Return values, the structures that are compared, and how many rows are not shown.

    Parameters
    ----------
    values, voxels, depth, structures
        As of `plot_bars`.
    are_leaves
        Whether, without a depth and structures, leaves are compared and not all that has a row.

    Raises
    ------
    PictureError
        Some contain others, or there is none.
    """
    if structures is not None:
        if depth is not None:
            raise PictureError("choose a depth or structures, not both")
        return values, _named(values, voxels, structures), 0
    if depth is not None:
        cut, lost = cut_at(_with_own_labels(values, depth), voxels.rank_table, depth)
        return cut, _at_depth(cut, depth), lost
    items = _rows_of(values)
    if are_leaves:
        hierarchy = voxels.structures.hierarchy
        items = [item for item in items if hierarchy.last_rank[item.rank - 1] == item.rank]
    _refuse_nested(values, items)
    return values, items, 0


def _rows_of(values: Values) -> list[Item]:
    """Return what there are values of."""
    rows = zip(values.ranks.tolist(), values.is_direct.tolist(), strict=True)
    return list(dict.fromkeys(Item(rank, is_direct) for rank, is_direct in rows))


def _named(values: Values, voxels: AtlasVoxels, structures: Sequence[Structure]) -> list[Item]:
    """Return structures that there must be values of."""
    there = set(_rows_of(values))
    ranks = voxels.rank_table.ranks_of(list(structures)).tolist()
    items = [Item(rank, False) for rank in dict.fromkeys(ranks)]
    for item in items:
        if item not in there:
            acronym = values.structures.acronyms[item.rank - 1]
            raise PictureError(f"{values.source} has no value of {acronym}")
    return items


def _with_own_labels(values: Values, depth: int) -> Values:
    """Return values with rows for what bears the labels of structures above a depth.

    A table of counts of all structures knows them; one that is cut has them as 'X (unassigned)'.
    """
    if values.direct is None:
        return values
    hierarchy = values.structures.hierarchy
    index = values.ranks - 1
    is_parent = hierarchy.last_rank[index] > values.ranks
    is_own = is_parent & (hierarchy.depth[index] < depth) & ~values.is_direct
    own = values.where(is_own & (values.direct > 0))
    if own.direct is None:
        return values
    return joined(values, replace(own, is_direct=np.ones_like(own.is_direct), numbers=own.direct))


def _at_depth(values: Values, depth: int) -> list[Item]:
    """Return the rows at a depth, those of leaves above it, and unassigned ones above it."""
    hierarchy = values.structures.hierarchy
    items = []
    for item in _rows_of(values):
        level = int(hierarchy.depth[item.rank - 1])
        is_leaf = int(hierarchy.last_rank[item.rank - 1]) == item.rank
        if level == depth or item.is_direct or is_leaf:
            items.append(item)
    if not items:
        raise PictureError(f"{values.source} has no value of a structure at depth {depth}")
    return items


def _refuse_nested(values: Values, items: list[Item]) -> None:
    """Refuse to compare wholes with their parts."""
    last = 0
    holder = 0
    for rank in sorted(rank for rank, is_direct in items if not is_direct):
        if rank <= last:
            inner, outer = (values.structures.acronyms[r - 1] for r in (rank, holder))
            raise PictureError(
                f"{values.source} has values of {outer} and of {inner}, which is a part of it: "
                "choose a depth, or name the structures that are to be compared"
            )
        last, holder = int(values.structures.hierarchy.last_rank[rank - 1]), rank
