"""Outlines of regions in a plane, exactly along the borders between voxels.

The one idea: every side of a pixel whose neighbour belongs to another region is an *edge*, walked
with its region on the right. The edge that follows it depends on three pixels only, so that the
successors of all edges are found at once; following them gives closed loops, each region's own.
Where three borders meet is a *junction*. Between junctions a border is a chain of edges that both
of its regions have, the other way round: it is drawn once, and smoothing that keeps the junctions
and looks at both neighbours alike moves it for both in the same way, without gaps.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    _Codes = NDArray[np.int64]

# The sides of a pixel, clockwise: top, right, bottom, left. Along each, the step to the next pixel
# and the step across it (rows, columns), and where the side begins, from the pixel's first corner.
_AHEAD = ((0, 1), (1, 0), (0, -1), (-1, 0))
_ACROSS = ((-1, 0), (0, 1), (1, 0), (0, -1))
_BEGIN = ((0, 0), (0, 1), (1, 1), (1, 0))

_JUNCTION = 3
_SHORT = 12  # edges: what encloses no more than nine pixels
_OUTSIDE = -1

# Taubin's smoothing (1995): a step that shrinks and one that swells, which together do neither.
_SHRINK, _SWELL = 0.5, -0.53


@dataclass(frozen=True)
class Outlines:
    """The borders in a plane of codes, as loops of edges.

    Attributes
    ----------
    vertices
        (E, 2) float64, where each edge begins: row and column of the corners of pixels, which are
        whole numbers if nothing was smoothed. Edges of a loop follow each other.
    first
        (L + 1,) int64, where loops begin, and the end.
    own, other
        (E,) int64, the code on the right of each edge and the one on its left; -1 beyond the plane.
    is_junction
        (E,) bool, whether three borders or more meet where the edge begins.
    """

    vertices: NDArray[np.float64]
    first: NDArray[np.int64]
    own: NDArray[np.int64]
    other: NDArray[np.int64]
    is_junction: NDArray[np.bool_]

    @cached_property
    def loop_codes(self) -> NDArray[np.int64]:
        """(L,) int64, the region of each loop."""
        return self.own[self.first[:-1]]

    def loops(self, code: int) -> list[NDArray[np.float64]]:
        """Return the loops of a region, each (k, 2): clockwise, around holes the other way."""
        return [
            self.vertices[self.first[number] : self.first[number + 1]]
            for number in np.flatnonzero(self.loop_codes == code)
        ]

    def lines(
        self,
        are_apart: Callable[[_Codes, _Codes], NDArray[np.bool_]] = np.not_equal,
    ) -> list[NDArray[np.float64]]:
        """Return every border once, as lines of (k, 2); closed ones end where they begin.

        Parameters
        ----------
        are_apart
            Whether there is a line between two codes; between all by default.
        """
        # The region with the higher code draws for both.
        is_drawn = (self.own > self.other) & are_apart(self.own, self.other)
        return list(self._lines(is_drawn))

    def _lines(self, is_drawn: NDArray[np.bool_]) -> Iterator[NDArray[np.float64]]:
        is_start = self.is_junction.copy()  # elsewhere the neighbour stays the same
        is_start[self.first[:-1]] = True
        starts = np.flatnonzero(is_start & is_drawn)
        every = np.append(np.flatnonzero(is_start), len(self.own))
        ends = every[np.searchsorted(every, starts, side="right")]
        loop = np.searchsorted(self.first, starts, side="right") - 1
        begin_of_loop, end_of_loop = self.first[loop], self.first[loop + 1]
        for start, end, begin, stop in zip(
            starts.tolist(),
            ends.tolist(),
            begin_of_loop.tolist(),
            end_of_loop.tolist(),
            strict=True,
        ):
            after = end if end < stop else begin
            yield np.concatenate([self.vertices[start:end], self.vertices[after : after + 1]])

    @property
    def _is_small(self) -> NDArray[np.bool_]:
        """(E,) bool, whether the loop is short and meets no third region: alike on both sides."""
        if not len(self.own):
            return np.zeros(0, dtype=np.bool_)
        lengths = np.diff(self.first)
        has_junction = np.logical_or.reduceat(self.is_junction, self.first[:-1])
        return np.repeat((lengths < _SHORT) & ~has_junction, lengths)

    def smoothed(self, steps: int = 6) -> Outlines:
        """Return the same borders without the stairs: junctions stay, and so do areas, nearly.

        Loops of a few pixels, which would be rounded away, stay as they are.

        Parameters
        ----------
        steps
            How often every vertex is drawn between its neighbours.
        """
        previous = np.arange(-1, len(self.own) - 1)
        following = np.arange(1, len(self.own) + 1)
        previous[self.first[:-1]] = self.first[1:] - 1
        following[self.first[1:] - 1] = self.first[:-1]
        is_pinned = self.is_junction | self._is_small
        moved = self.vertices
        for _ in range(steps):
            for weight in (_SHRINK, _SWELL):
                middle = (moved[previous] + moved[following]) / 2
                step = weight * (middle - moved)
                moved = np.where(is_pinned[:, None], self.vertices, moved + step)
        return Outlines(moved, self.first, self.own, self.other, self.is_junction)


def find_outlines(codes: NDArray[Any]) -> Outlines:
    """Find the borders of the regions in a plane.

    Parameters
    ----------
    codes
        (rows, columns) integers from 0; 0 is no region, and has no outline of its own.

    Returns
    -------
    Outlines
        Pixels belong together if they share a side. Where a region meets the edge of the plane it
        is closed there.

    Examples
    --------
    >>> outlines = find_outlines(np.array([[0, 5, 5], [0, 5, 7]]))
    >>> for line in outlines.lines():
    ...     print(*line.astype(int).tolist())
    [0, 1] [0, 2] [0, 3] [1, 3]
    [2, 2] [2, 1]
    [2, 1] [1, 1] [0, 1]
    [1, 3] [2, 3] [2, 2]
    [2, 2] [1, 2] [1, 3]
    >>> outlines.loops(7)[0].astype(int).tolist()
    [[1, 3], [2, 3], [2, 2], [1, 2]]
    """
    padded = np.full((codes.shape[0] + 2, codes.shape[1] + 2), _OUTSIDE, dtype=np.int64)
    padded[1:-1, 1:-1] = codes
    edges, other, following = _edges(padded)
    row, column = np.divmod(edges // 4, padded.shape[1])
    corners = np.stack([row, column], axis=1) + np.array(_BEGIN)[edges % 4]
    is_junction = _borders_at(padded)[corners[:, 0], corners[:, 1]] >= _JUNCTION
    order, first = _loops(following, is_junction)
    return Outlines(
        vertices=(corners[order] - 1).astype(np.float64),
        first=first,
        own=padded.ravel()[edges[order] // 4],
        other=other[order],
        is_junction=is_junction[order],
    )


def _edges(
    padded: NDArray[np.int64],
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return the edges as 4 · pixel + side, the code across each, and each one's successor."""
    flat, width = padded.ravel(), padded.shape[1]
    pixels = np.flatnonzero(flat > 0)
    found = []
    for side in range(4):
        across = flat[pixels + _step(_ACROSS[side], width)]
        is_edge = across != flat[pixels]
        found.append((pixels[is_edge] * 4 + side, across[is_edge]))
    edges, other = (np.concatenate(parts) for parts in zip(*found, strict=True))
    order = np.argsort(edges)
    edges, other = edges[order], other[order]
    return edges, other, np.searchsorted(edges, _successors(flat, width, edges))


def _successors(flat: NDArray[np.int64], width: int, edges: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the edge that follows each: a turn right, straight on, or a turn left."""
    pixel, side = edges // 4, edges % 4
    ahead = pixel + np.array([_step(step, width) for step in _AHEAD])[side]
    diagonal = ahead + np.array([_step(step, width) for step in _ACROSS])[side]
    goes_on = flat[ahead] == flat[pixel]
    turns_left = goes_on & (flat[diagonal] == flat[pixel])
    right = pixel * 4 + (side + 1) % 4
    straight = ahead * 4 + side
    left = diagonal * 4 + (side + 3) % 4
    return np.where(turns_left, left, np.where(goes_on, straight, right))


def _loops(
    following: NDArray[np.int64], is_junction: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return edges in the order in which they follow each other, and where loops begin.

    A loop begins at a junction if it has one.
    """
    successor = following.tolist()
    is_done = bytearray(len(successor))
    order: list[int] = []
    first = [0]
    for start in np.argsort(~is_junction, kind="stable").tolist():
        if is_done[start]:
            continue
        edge = start
        while not is_done[edge]:
            is_done[edge] = 1
            order.append(edge)
            edge = successor[edge]
        first.append(len(order))
    return np.array(order, dtype=np.int64), np.array(first, dtype=np.int64)


def _borders_at(padded: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return how many borders meet at the first corner of each pixel."""
    across_columns = np.zeros(padded.shape, dtype=np.int64)
    across_rows = np.zeros(padded.shape, dtype=np.int64)
    across_columns[:, 1:] = padded[:, 1:] != padded[:, :-1]
    across_rows[1:] = padded[1:] != padded[:-1]
    meeting = across_columns + across_rows
    meeting[1:] += across_columns[:-1]
    meeting[:, 1:] += across_rows[:, :-1]
    return meeting


def _step(step: tuple[int, int], width: int) -> int:
    """Return a step as an offset in a flattened plane."""
    return step[0] * width + step[1]
