"""Where acronyms stand in a plane: inside the region that they name, or nowhere.

The one idea: a text is a rectangle of pixels, and it fits where all of them belong to the region's
largest connected piece. Regions are disjoint, so that names which fit never overlap. Of the places
where the largest size that fits does, the one farthest from the border is taken, nearly: in the
middle of those that are as far.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

_AS_LARGE = 0.9
"""Pieces of this part of the largest one's size count as as large: the two of a symmetric pair."""

_AS_DEEP = 0.9
"""Places of this part of the deepest one's depth count as as deep: the middle of them is taken."""

POINT_MM = 25.4 / 72
"""Millimetres in a point, the unit of letters and lines."""


@dataclass(frozen=True)
class Name:
    """A name in its place.

    Attributes
    ----------
    code
        The region's.
    text
        What is written.
    row, column
        Its middle, in pixels from the plane's first corner (the middle of pixel 0 is 0.5).
    height, width
        The room that it takes, in pixels.
    size_pt
        The font's size.
    is_upright
        Whether it runs from below upwards, and not from left to right.
    """

    code: int
    text: str
    row: float
    column: float
    height: int
    width: int
    size_pt: float
    is_upright: bool


@dataclass(frozen=True)
class Lettering:
    """How texts are measured.

    Attributes
    ----------
    extent_of
        Gives a text's width, height and descent in units of the font's size.
    sizes_pt
        The sizes that may be used, largest first.
    scale
        Millimetres on paper for one of the atlas.
    margin
        The room that is left around a text, in units of the font's size.
    """

    extent_of: Callable[[str], tuple[float, float, float]]
    sizes_pt: Sequence[float]
    scale: float
    margin: float = 0.15

    def pixels(
        self, text: str, size_pt: float, spacing_mm: tuple[float, float], *, is_upright: bool
    ) -> tuple[int, int]:
        """Return how many rows and columns of pixels a text takes."""
        em_mm = size_pt * POINT_MM / self.scale
        width, height, _ = self.extent_of(text)
        high, wide = (height + 2 * self.margin) * em_mm, (width + 2 * self.margin) * em_mm
        if is_upright:
            high, wide = wide, high
        return math.ceil(high / spacing_mm[0]), math.ceil(wide / spacing_mm[1])


def place_names(
    codes: NDArray[Any],
    names: Mapping[int, str],
    spacing_mm: tuple[float, float],
    lettering: Lettering,
    *,
    is_mirrored: bool = False,
) -> list[Name]:
    """Return the names that fit into their regions, in the order of their codes.

    Parameters
    ----------
    codes
        (rows, columns) integers from 0; 0 is no region.
    names
        What regions are called, by code.
    spacing_mm
        Height and width of a pixel in the atlas.
    lettering
        How texts are measured.
    is_mirrored
        Whether columns are shown from right to left.

    Notes
    -----
    Of pieces that are as large as the largest to within a tenth (those of a symmetric pair are,
    nearly), the one that is farthest to the left in the picture is named, so that names do not
    change sides from one structure to the next.
    """
    from scipy.ndimage import find_objects, label

    present, dense = np.unique(codes, return_inverse=True)
    windows = find_objects(dense.reshape(codes.shape) + 1)
    placed = []
    for code, window in zip(present.tolist(), windows, strict=True):
        if code not in names:
            continue
        pieces, _ = label(codes[window] == code)
        piece = _largest(pieces, is_mirrored=is_mirrored)
        found = _place(pieces == piece, names[code], spacing_mm, lettering)
        if found is not None:
            (row, column), (height, width), size_pt, is_upright = found
            row += window[0].start
            column += window[1].start
            placed.append(Name(code, names[code], row, column, height, width, size_pt, is_upright))
    return placed


def _largest(pieces: NDArray[np.int32], *, is_mirrored: bool) -> int:
    """Return the number of the largest piece: the leftmost of those that are as large."""
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0
    candidates = np.flatnonzero(sizes >= sizes.max() * _AS_LARGE)
    if len(candidates) == 1:
        return int(candidates[0])
    weights = np.arange(pieces.shape[1])
    centres = [((pieces == c).sum(axis=0) @ weights) / sizes[c] for c in candidates.tolist()]
    return int(candidates[int(np.argmax(centres) if is_mirrored else np.argmin(centres))])


def _place(
    piece: NDArray[np.bool_], text: str, spacing_mm: tuple[float, float], lettering: Lettering
) -> tuple[tuple[float, float], tuple[int, int], float, bool] | None:
    """Return the middle of a text that fits, its pixels, its size and direction; None if none does.

    Upright texts are tried where no level one fits, so that layers of the cortex have names.
    """
    sums = np.zeros((piece.shape[0] + 1, piece.shape[1] + 1), dtype=np.int64)
    np.cumsum(np.cumsum(piece, axis=0), axis=1, out=sums[1:, 1:])
    for is_upright in (False, True):
        for size_pt in lettering.sizes_pt:
            pixels = lettering.pixels(text, size_pt, spacing_mm, is_upright=is_upright)
            where = _farthest(piece, sums, pixels, spacing_mm)
            if where is not None:
                return where, pixels, size_pt, is_upright
    return None


def _farthest(
    piece: NDArray[np.bool_],
    sums: NDArray[np.int64],
    pixels: tuple[int, int],
    spacing_mm: tuple[float, float],
) -> tuple[float, float] | None:
    """Return the middle of the rectangle in a piece that is farthest from the piece's border."""
    high, wide = pixels
    if high > piece.shape[0] or wide > piece.shape[1]:
        return None
    inside = sums[high:, wide:] - sums[:-high, wide:] - sums[high:, :-wide] + sums[:-high, :-wide]
    fits = inside == high * wide
    if not fits.any():
        return None
    from scipy.ndimage import distance_transform_edt

    depth = distance_transform_edt(np.pad(piece, 1), sampling=spacing_mm)[1:-1, 1:-1]
    middle = depth[(high - 1) // 2 :, (wide - 1) // 2 :][: fits.shape[0], : fits.shape[1]]
    deepest = np.argwhere(fits & (middle >= _AS_DEEP * middle[fits].max()))
    from_centre = ((deepest - deepest.mean(axis=0)) * spacing_mm) ** 2
    row, column = deepest[int(from_centre.sum(axis=1).argmin())].tolist()
    return row + high / 2, column + wide / 2
