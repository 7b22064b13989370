"""What a plane shows: which structures are told apart, in which colours, under which names.

The one idea: as with everything that is asked of ranks, it is a table with an entry for each: the
rank of the region that it is shown as. A plane of regions is one gather, its colours another.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from atlasdb.errors import NoVoxelsError, PictureError, listing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from atlasdb.voxels import AtlasVoxels
    from atlasdb.voxels.ranks import RankTable, Structure

_ROOT_RANK = 1


@dataclass(frozen=True)
class Regions:
    """The regions that a picture tells apart; arrays have an entry for each rank, 0 … n + k.

    Attributes
    ----------
    code
        int64, the rank of the region that a rank is shown as; 0 for none. Labels that no structure
        has are regions of their own, which are outlined but neither coloured nor named.
    is_coloured
        bool, by code: whether the region is coloured and named.
    rgb
        (…, 3) float64 from 0 to 1, by code: the atlas's colours.
    names
        The acronyms of those that are named, by code.
    """

    code: NDArray[np.int64]
    is_coloured: NDArray[np.bool_]
    rgb: NDArray[np.float64]
    names: dict[int, str]

    def rgba(self, opacity: float) -> NDArray[np.float64]:
        """Return the colours with an opacity, (…, 4) by code; what is not coloured has 0."""
        alpha = np.where(self.is_coloured, checked_opacity(opacity), 0.0)
        return np.concatenate([self.rgb, alpha[:, None]], axis=1)


def checked_opacity(opacity: float) -> float:
    """Return an opacity, or refuse it.

    Raises
    ------
    PictureError
        It is not from 0 to 1.
    """
    if not 0 <= opacity <= 1:
        raise PictureError(f"opacity is from 0 to 1, not {opacity:g}")
    return opacity


def find_regions(
    voxels: AtlasVoxels,
    *,
    structures: Sequence[Structure] | None = None,
    depth: int | None = None,
) -> Regions:
    """Return the regions of an atlas cut at a depth, or of some structures.

    Parameters
    ----------
    voxels
        The atlas.
    structures
        Only these: acronyms or ids. Where one contains another, each voxel is of the deepest.
    depth
        Steps from the root: structures below it are shown as their ancestor there, of chosen
        structures only as far up as these.

    Raises
    ------
    UnknownStructureError, AmbiguousAcronymError, UnknownDepthError
        There is no such structure or depth.
    NoVoxelsError
        None of the structures has a voxel.

    Notes
    -----
    The root is neither coloured nor named unless it is asked for (by name, or by the depth 0): what
    bears its label is assigned to nothing below it.
    """
    table = voxels.rank_table
    code = table.cut(depth=depth).rank[: table.size].copy()
    is_coloured = table.is_structure[: table.size].copy()
    if structures is None:
        is_coloured[_ROOT_RANK] = depth == 0
    else:
        code = _within(table, code, structures, depth)
        _refuse_empty(voxels, structures)
    return Regions(code, is_coloured, colours_of(table), names_of(table, is_coloured))


def colours_of(table: RankTable) -> NDArray[np.float64]:
    """Return the atlas's colours by rank, (size, 3) from 0 to 1; black for what is no structure."""
    rgb = np.zeros((table.size, 3))
    rgb[1 : len(table.structures) + 1] = table.structures.rgb / 255
    return rgb


def names_of(table: RankTable, is_named: NDArray[np.bool_]) -> dict[int, str]:
    """Return the acronyms of structures by rank."""
    return {
        rank: acronym
        for rank, acronym in enumerate(table.structures.acronyms, start=1)
        if is_named[rank] and acronym.strip()
    }


def _within(
    table: RankTable, cut: NDArray[Any], structures: Sequence[Structure], depth: int | None
) -> NDArray[np.int64]:
    """Return codes of what lies in some structures: themselves, or cut at a depth below them."""
    chosen = table.cut(structures=list(structures)).rank[: table.size]
    is_inside = table.is_structure[: table.size] & (chosen > 0)
    if depth is None:
        return np.where(is_inside, chosen, 0)
    of_structure = np.concatenate([[0], table.structures.hierarchy.depth])
    chosen_depth = of_structure[np.where(is_inside, chosen, 0)]
    return np.where(is_inside, np.where(chosen_depth >= depth, chosen, cut), 0)


def _refuse_empty(voxels: AtlasVoxels, structures: Sequence[Structure]) -> None:
    """Refuse structures that no voxel shows.

    Raises
    ------
    NoVoxelsError
        None of them has one.
    """
    ranks = voxels.rank_table.ranks_of(list(structures))
    if not (voxels.bounds.voxels[0, ranks - 1] > 0).any():
        raise NoVoxelsError(f"{listing(structures)} of {voxels.name} has no voxels to be shown")


def blended(
    rgb: NDArray[np.float64],
    opacity: NDArray[np.float64],
    grey: NDArray[np.float64],
    page: NDArray[np.float64],
    is_labelled: NDArray[np.bool_],
) -> NDArray[np.uint8]:
    """Return colours laid over grey, on a page.

    Parameters
    ----------
    rgb
        (rows, columns, 3) from 0 to 1.
    opacity
        (rows, columns) from 0, where only the grey is seen, to 1, where only the colour is.
    grey
        (rows, columns) from 0 to 1.
    page
        (3,) the colour where nothing is.
    is_labelled
        (rows, columns) where the annotation has a label: elsewhere the page is seen.

    Returns
    -------
    ndarray of uint8
        (rows, columns, 3).

    Examples
    --------
    >>> one = np.ones((1, 1))
    >>> blended(one[..., None] * [1, 0, 0], one / 2, one, np.zeros(3), one > 0).tolist()
    [[[255, 128, 128]]]
    """
    over = opacity[..., None]
    mixed = rgb * over + grey[..., None] * (1 - over)
    mixed = np.where(is_labelled[..., None], mixed, page)
    return np.rint(mixed * 255).astype(np.uint8)


def grey_levels(
    greys: Sequence[NDArray[Any] | None], labelled: Sequence[NDArray[np.bool_]], flat: float
) -> list[NDArray[np.float64]]:
    """Return reference planes as 0 to 1, all by the same range.

    Parameters
    ----------
    greys
        (rows, columns) values; None for a plane without a reference.
    labelled
        Where the annotation has labels: the range is taken there, from the lowest value to the
        99.5th percentile, so that a few bright voxels do not darken all others.
    flat
        The level where there is no reference.
    """
    inside = [
        np.asarray(grey[mask], dtype=np.float64)
        for grey, mask in zip(greys, labelled, strict=True)
        if grey is not None
    ]
    values = np.concatenate(inside) if inside else np.empty(0)
    values = values[np.isfinite(values)]
    low, high = (values.min(), np.percentile(values, 99.5)) if values.size else (0.0, 0.0)
    found = []
    for grey, mask in zip(greys, labelled, strict=True):
        if grey is None or not high > low:
            found.append(np.full(mask.shape, flat))
        else:
            given = np.nan_to_num(np.asarray(grey, dtype=np.float64), nan=float(low))
            found.append(np.clip((given - low) / (high - low), 0, 1))
    return found
