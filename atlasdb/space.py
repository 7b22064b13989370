"""Orientations: which anatomical side every axis of an array starts at, and how to turn an array.

The one idea: an orientation is three letters, one an axis, naming the side at index 0 ("asr":
anterior, superior, right), so that a change of orientation is a permutation of axes and a set of
flips, and the same change serves volumes, points and meshes. Convention: brainglobe-space, whose
letters name where an axis *starts* (not, as in neuroimaging's "RAS", where it points).

`brainglobe_space.AnatomicalSpace` (1.0.3) agrees, and atlasdb does without it. What to know when
comparing: its `transformation_matrix_to` and `map_points_to` reckon in the unit of its `shape`,
voxels as a rule, and equal `Reorientation.matrix` and `Reorientation.points` with that shape as the
extent; with a `resolution` on both spaces they go from the source's voxels to the target's, and
`map_stack_to` resamples. Points are continuous (a flip takes p to n - p, where `map_stack_to` takes
index i to n - 1 - i): an index handed over as a point lands one voxel off, its centre i + 0.5 does
not. Offsets are added after a flip with the sign that they had before it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

STANDARD = "asr"
"""The orientation of everything in a home: anterior→posterior, superior→inferior, right→left."""

_SIDES = {"a": "p", "p": "a", "s": "i", "i": "s", "r": "l", "l": "r"}


def is_orientation(text: str) -> bool:
    """Say whether `text` names one side of each of the three anatomical axes.

    Examples
    --------
    >>> is_orientation("asr"), is_orientation("LPI"), is_orientation("aps")
    (True, True, False)
    """
    letters = text.lower()
    pairs = {min(letter, _SIDES[letter]) for letter in letters if letter in _SIDES}
    return len(letters) == len(pairs) == 3  # noqa: PLR2004 (three axes)


@dataclass(frozen=True)
class Reorientation:
    """The change of one orientation into another: a permutation of axes, then flips.

    Attributes
    ----------
    axes
        Which axis of the source becomes axis 0, 1, 2.
    flips
        Whether axis 0, 1, 2 of the result runs the other way.
    """

    axes: tuple[int, int, int]
    flips: tuple[bool, bool, bool]

    @classmethod
    def between(cls, source: str, target: str = STANDARD) -> Reorientation:
        """Return the change from orientation `source` to `target`.

        Raises
        ------
        ValueError
            A text that is no orientation.

        Examples
        --------
        >>> Reorientation.between("lpi")
        Reorientation(axes=(1, 2, 0), flips=(True, True, True))
        """
        for text in (source, target):
            if not is_orientation(text):
                raise ValueError(
                    f"{text!r} is no orientation: expected three letters such as 'asr'"
                )
        start, goal = source.lower(), target.lower()
        axes = [next(i for i, s in enumerate(start) if s in (g, _SIDES[g])) for g in goal]
        flips = [start[axis] != g for axis, g in zip(axes, goal, strict=True)]
        return cls((axes[0], axes[1], axes[2]), (flips[0], flips[1], flips[2]))

    @property
    def is_identity(self) -> bool:
        """Whether nothing changes."""
        return self.axes == (0, 1, 2) and not any(self.flips)

    @property
    def mirrors(self) -> bool:
        """Whether the change turns a right hand into a left one (faces then change winding)."""
        permutation_sign = np.linalg.det(np.eye(3)[list(self.axes)])
        return bool((permutation_sign < 0) != (sum(self.flips) % 2 == 1))

    @property
    def inverse(self) -> Reorientation:
        """The change back.

        Examples
        --------
        >>> Reorientation.between("lpi").inverse == Reorientation.between("asr", "lpi")
        True
        """
        back = {axis: (i, self.flips[i]) for i, axis in enumerate(self.axes)}
        (i, flip_0), (j, flip_1), (k, flip_2) = back[0], back[1], back[2]
        return Reorientation((i, j, k), (flip_0, flip_1, flip_2))

    def permute(self, values: Sequence[Any]) -> tuple[Any, Any, Any]:
        """Return a triple of one value an axis (a shape, a resolution) in the new order."""
        return values[self.axes[0]], values[self.axes[1]], values[self.axes[2]]

    def volume(self, volume: NDArray[Any]) -> NDArray[Any]:
        """Return a view of a (3-D) volume in the new orientation; nothing is copied.

        Examples
        --------
        >>> Reorientation.between("lpi").volume(np.zeros((2, 3, 4))).shape
        (3, 4, 2)
        """
        turned = volume.transpose(self.axes)
        return turned[tuple(slice(None, None, -1 if flip else None) for flip in self.flips)]

    def points(self, points: NDArray[np.float64], extent: Sequence[float]) -> NDArray[np.float64]:
        """Return (N, 3) points in the new orientation.

        Parameters
        ----------
        points
            (N, 3) float64 in the source's axis order, origin at its array's corner.
        extent
            The length of the source's three axes, in the points' unit.
        """
        turned = points[:, self.axes].copy()
        lengths = self.permute(extent)
        for axis, flip in enumerate(self.flips):
            if flip:
                turned[:, axis] = lengths[axis] - turned[:, axis]
        return turned

    def matrix(self, extent: Sequence[float]) -> NDArray[np.float64]:
        """Return the change of points as an affine matrix, for tools that take one.

        It acts on column vectors: ``matrix @ [p0, p1, p2, 1]`` is the point in the target, and
        ``points @ matrix[:3, :3].T + matrix[:3, 3]`` is `points` for (N, 3) points.

        Parameters
        ----------
        extent
            The length of the source's three axes, in the points' unit: microns for points in
            microns, the shape for points in voxels (whose centres are at i + 0.5).

        Returns
        -------
        ndarray
            (4, 4) float64.

        Examples
        --------
        >>> Reorientation.between("asl").matrix([13200, 8000, 11400])
        array([[ 1.00e+00,  0.00e+00,  0.00e+00,  0.00e+00],
               [ 0.00e+00,  1.00e+00,  0.00e+00,  0.00e+00],
               [ 0.00e+00,  0.00e+00, -1.00e+00,  1.14e+04],
               [ 0.00e+00,  0.00e+00,  0.00e+00,  1.00e+00]])
        """
        matrix = np.zeros((4, 4))
        matrix[3, 3] = 1
        for row, (axis, flip) in enumerate(zip(self.axes, self.flips, strict=True)):
            matrix[row, axis] = -1 if flip else 1
            matrix[row, 3] = extent[axis] if flip else 0
        return matrix


def first_left_index(size: int) -> int:
    """Return the index along an 'asr' volume's last axis at which the left hemisphere begins.

    Lower indices are right; the middle plane of an odd axis is left. (BrainGlobe's own rule rounds
    to even, so that the middle plane changes sides with the size; atlasdb fixes it.)

    Examples
    --------
    >>> first_left_index(114), first_left_index(115)
    (57, 57)
    """
    return size // 2
