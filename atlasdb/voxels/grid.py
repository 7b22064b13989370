"""The grid of an atlas's voxels: where each lies in space, and what points may be given in.

The one idea: everything spatial needs two triples, a shape and a resolution, in the order of the
array's axes. Voxel i covers [i * r, (i + 1) * r), so that its index is floor(point / r); the far
face, NaN and infinities are outside.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from atlasdb.errors import listing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

MICRONS_PER_UNIT = {"um": 1.0, "mm": 1_000.0, "m": 1_000_000.0}
"""Units of length that points may have; beside them there is 'voxel'."""

UNITS = (*MICRONS_PER_UNIT, "voxel")

AXES = 3


@dataclass(frozen=True)
class Grid:
    """A volume's voxels in space.

    Attributes
    ----------
    shape
        Number of voxels along the axes AP, SI, RL.
    resolution_um
        Edges of a voxel along the same axes, microns.
    """

    shape: tuple[int, int, int]
    resolution_um: tuple[float, float, float]

    def __str__(self) -> str:
        shape = " × ".join(map(str, self.shape))
        return f"{shape} voxels of {' × '.join(f'{edge:g}' for edge in self.resolution_um)} µm"

    @cached_property
    def extent_um(self) -> tuple[float, float, float]:
        """The volume's edges in microns; its near corner is the origin."""
        ap, si, rl = (n * r for n, r in zip(self.shape, self.resolution_um, strict=True))
        return ap, si, rl

    @property
    def size(self) -> int:
        """The number of voxels."""
        return self.shape[0] * self.shape[1] * self.shape[2]

    def points_um(self, points: ArrayLike, *, unit: str = "um") -> NDArray[np.float64]:
        """Return points as float64 microns.

        Parameters
        ----------
        points
            (N, 3) numbers along the axes AP, SI, RL.
        unit
            'um', 'mm', 'm' or 'voxel'; a voxel's index is its near corner, so that 2.5 is the
            centre of voxel 2.

        Raises
        ------
        ValueError
            Another unit or shape, or no real numbers.

        Examples
        --------
        >>> Grid((4, 3, 7), (50.0, 20.0, 10.0)).points_um([[1, 2, 3.5]], unit="voxel")
        array([[50., 40., 35.]])
        """
        given = checked_points(points).astype(np.float64)
        if checked_unit(unit) == "voxel":
            return given * self.resolution_um
        return given * MICRONS_PER_UNIT[unit]

    def voxels_at(self, points: ArrayLike, *, unit: str = "um") -> NDArray[np.int64]:
        """Return the indices of the voxels in which points lie.

        Parameters
        ----------
        points
            (N, 3) numbers along the axes AP, SI, RL.
        unit
            'um', 'mm', 'm' or 'voxel'.

        Returns
        -------
        ndarray of int64
            (N, 3); all three are -1 for a point outside the volume.

        Examples
        --------
        >>> Grid((4, 3, 7), (50.0, 20.0, 10.0)).voxels_at([[50, 59.9, 0], [-0.1, 0, 0]])
        array([[ 1,  2,  0],
               [-1, -1, -1]])
        """
        given = checked_points(points).astype(np.float64)
        with np.errstate(over="ignore"):
            if checked_unit(unit) != "voxel":
                given = given * MICRONS_PER_UNIT[unit] / self.resolution_um
        index = np.floor(given)
        in_axis: NDArray[np.bool_] = np.logical_and(index >= 0, index < self.shape)
        return np.where(in_axis.all(axis=1, keepdims=True), index, -1).astype(np.int64)

    def centres_um(self, voxels: ArrayLike) -> NDArray[np.float64]:
        """Return the centres of voxels in microns, (N, 3) float64.

        Examples
        --------
        >>> Grid((4, 3, 7), (50.0, 20.0, 10.0)).centres_um([[1, 2, 0]])
        array([[75., 50.,  5.]])
        """
        return (checked_points(voxels).astype(np.float64) + 0.5) * self.resolution_um


def checked_points(points: ArrayLike) -> NDArray[Any]:
    """Return points as an (N, 3) array of real numbers, of whatever type they have.

    What a masked array hides is NaN.

    Raises
    ------
    ValueError
        Another shape, or no real numbers.
    """
    if isinstance(points, np.ma.MaskedArray):
        points = np.ma.filled(points.astype(np.float64), np.nan)
    array = np.asarray(points)
    if array.ndim != 2 or array.shape[1] != AXES:  # noqa: PLR2004 (a table)
        hint = "; write [point] for one" if array.shape == (AXES,) else ""
        raise ValueError(f"points must have the shape (N, 3), found {array.shape}{hint}")
    if array.dtype.kind not in "iuf":
        raise ValueError(f"points must be real numbers, found {array.dtype.name}")
    return array


def checked_unit(unit: str) -> str:
    """Return a unit, or refuse it.

    Raises
    ------
    ValueError
        It is none of `UNITS`.
    """
    if unit not in UNITS:
        raise ValueError(f"no unit {unit!r}: points are in {listing(UNITS)}")
    return unit


def triple(values: Sequence[Any]) -> tuple[Any, Any, Any]:
    """Return three values as a tuple of three."""
    first, second, third = values
    return first, second, third
