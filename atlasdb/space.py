"""Orientations: which anatomical side every axis of an array starts at, and how to turn an array.

The one idea: an orientation is three letters, one an axis, naming the side at index 0 ("asr":
anterior, superior, right), so that a change of orientation is a permutation of axes and a set of
flips, and the same change serves volumes, points and meshes. Convention: brainglobe-space, whose
letters name where an axis *starts* (not, as in neuroimaging's "RAS", where it points).
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
