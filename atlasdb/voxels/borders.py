"""Where neighbouring voxels differ: borders for overlays, and the surface of a mask.

The one idea: a volume is compared with itself moved by one voxel along each axis.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


def boundaries(
    codes: NDArray[Any],
    *,
    axes: Sequence[int] | None = None,
    mode: Literal["thick", "inner"] = "thick",
) -> NDArray[np.bool_]:
    """Return where neighbouring voxels differ, as an overlay draws it.

    Parameters
    ----------
    codes
        Array of any shape: ranks, labels, ids or a mask; a plane of a volume, say.
    axes
        Along which to compare; all by default.
    mode
        'thick' marks the voxels on both sides of a border, 'inner' leaves out those that are 0, so
        that a structure's border with the background lies in the structure.

    Returns
    -------
    ndarray of bool
        The same shape. The edge of the array is no border.

    Examples
    --------
    >>> boundaries(np.array([0, 0, 7, 7, 7, 0]), mode="inner").astype(int)
    array([0, 0, 1, 0, 1, 0])
    """
    if mode not in {"thick", "inner"}:
        raise ValueError(f"mode is 'thick' or 'inner', not {mode!r}")
    found = np.zeros(codes.shape, dtype=np.bool_)
    for axis in range(codes.ndim) if axes is None else axes:
        along, borders = np.moveaxis(codes, axis, 0), np.moveaxis(found, axis, 0)
        differs = along[1:] != along[:-1]
        borders[1:] |= differs
        borders[:-1] |= differs
    if mode == "inner":
        found &= codes != 0
    return found


def surface(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the voxels of a mask that share a face with a voxel not in it.

    Parameters
    ----------
    mask
        bool; beyond its edge nothing is in it.

    Examples
    --------
    >>> surface(np.ones(5, dtype=bool)).astype(int)
    array([1, 0, 0, 0, 1])
    """
    inner = mask.copy()
    for axis in range(mask.ndim):
        along, kept = np.moveaxis(mask, axis, 0), np.moveaxis(inner, axis, 0)
        kept[1:] &= along[:-1]
        kept[:-1] &= along[1:]
        kept[0] = kept[-1] = False
    return mask & ~inner
