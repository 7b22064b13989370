"""Outlines: every border between pixels, once, closed round each region; smoothed without gaps."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from atlasdb.plots.outlines import Outlines, find_outlines

PLANES = hnp.arrays(
    np.int64,
    st.tuples(st.integers(1, 7), st.integers(1, 9)),
    elements=st.integers(0, 3),
)

Edge = tuple[tuple[int, int], tuple[int, int]]


def edges_of(line: NDArray[Any]) -> list[Edge]:
    """Return the steps of a line, each with its lower end first."""
    corners = [tuple(map(int, corner)) for corner in line.tolist()]
    return [tuple(sorted(pair)) for pair in pairwise(corners)]  # type: ignore[misc]


def borders_of(codes: NDArray[Any]) -> Counter[Edge]:
    """Return the borders between pixels, one by one: what is to be drawn."""
    rows, columns = codes.shape

    def code(row: int, column: int) -> int:
        inside = 0 <= row < rows and 0 <= column < columns
        return int(codes[row, column]) if inside else 0

    found: Counter[Edge] = Counter()
    for row in range(rows + 1):
        for column in range(columns + 1):
            if code(row, column) != code(row - 1, column):
                found[(row, column), (row, column + 1)] += 1
            if code(row, column) != code(row, column - 1):
                found[(row, column), (row + 1, column)] += 1
    return found


@given(PLANES)
def test_every_border_is_drawn_once(codes: NDArray[np.int64]) -> None:
    drawn: Counter[Edge] = Counter()
    for line in find_outlines(codes).lines():
        drawn.update(edges_of(line))
    assert drawn == borders_of(codes)


@given(PLANES)
def test_lines_between_some_codes_only(codes: NDArray[np.int64]) -> None:
    """Codes 2 and 3 are one region here: what is drawn are the borders of that."""
    drawn: Counter[Edge] = Counter()
    merged = np.array([0, 1, 2, 2, 0])
    for line in find_outlines(codes).lines(lambda a, b: merged[a] != merged[b]):
        drawn.update(edges_of(line))
    assert drawn == borders_of(merged[codes])


def area(loop: NDArray[np.float64]) -> float:
    """Return the area on the right of a loop: positive round a region, negative round a hole."""
    row, column = loop.T
    return float((column * np.roll(row, -1) - np.roll(column, -1) * row).sum() / 2)


@given(PLANES)
def test_loops_enclose_as_much_as_there_are_pixels(codes: NDArray[np.int64]) -> None:
    outlines = find_outlines(codes)
    for code in range(1, 4):
        enclosed = sum(area(loop) for loop in outlines.loops(code))
        assert enclosed == (codes == code).sum()
    assert not outlines.loops(0)


def test_a_hole_is_a_loop_the_other_way_round() -> None:
    codes = np.ones((3, 3), dtype=np.int64)
    codes[1, 1] = 0
    assert sorted(area(loop) for loop in find_outlines(codes).loops(1)) == [-1.0, 9.0]


def test_pixels_that_share_a_corner_are_apart() -> None:
    codes = np.array([[5, 0], [0, 5]])
    assert [area(loop) for loop in find_outlines(codes).loops(5)] == [1.0, 1.0]


def test_nothing_at_all() -> None:
    outlines = find_outlines(np.zeros((3, 2), dtype=np.int64))
    assert outlines.lines() == []
    assert outlines.smoothed().lines() == []


@given(PLANES)
@settings(max_examples=50)
def test_smoothing_leaves_no_gap(codes: NDArray[np.int64]) -> None:
    """Whatever sides a corner belongs to, it is moved to one place; junctions are not moved."""
    sharp = find_outlines(codes)
    smooth = sharp.smoothed()
    moved: dict[tuple[float, ...], NDArray[np.float64]] = {}
    for corner, place in zip(sharp.vertices, smooth.vertices, strict=True):
        first = moved.setdefault(tuple(corner), place)
        assert np.allclose(first, place, atol=1e-12)
    assert np.array_equal(sharp.vertices[sharp.is_junction], smooth.vertices[sharp.is_junction])


def disc() -> Outlines:
    rows, columns = np.mgrid[:60, :80]
    return find_outlines(((rows - 30) ** 2 + (columns - 40) ** 2 < 400).astype(np.int64))


def test_smoothing_rounds_without_shrinking() -> None:
    (sharp,), (smooth,) = disc().loops(1), disc().smoothed().loops(1)
    assert abs(area(smooth) / area(sharp) - 1) < 0.01
    radius = np.sqrt(area(sharp) / np.pi)
    lengths = [np.hypot(*(np.roll(loop, -1, axis=0) - loop).T).sum() for loop in (sharp, smooth)]
    assert lengths[0] > 1.2 * 2 * np.pi * radius
    assert lengths[1] < 1.04 * 2 * np.pi * radius


def test_smoothing_moves_no_further_than_a_pixel() -> None:
    assert np.abs(disc().smoothed().vertices - disc().vertices).max() < 1


@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_small_regions_are_not_rounded_away(size: int) -> None:
    codes = np.zeros((9, 11), dtype=np.int64)
    codes[2 : 2 + size, 3 : 3 + size] = 1
    (smooth,) = find_outlines(codes).smoothed().loops(1)
    assert area(smooth) > 0.85 * size**2
