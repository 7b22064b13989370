"""Tracks against a traversal in rational numbers, where nothing rounds."""

from __future__ import annotations

import itertools
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from atlasdb.voxels.grid import Grid, triple
from atlasdb.voxels.tracks import track_segments

if TYPE_CHECKING:
    from numpy.typing import NDArray

SHAPE = (4, 3, 7)
EDGES = [(50.0, 20.0, 10.0), (100.0, 33.3, 0.1)]
OUTSIDE = -2
EVERY = np.arange(1, 85, dtype=np.uint16).reshape(SHAPE)
CODES = np.append(np.arange(85), OUTSIDE)
"""A code of its own for each voxel, so that no mistake hides in a merge."""

Piece = tuple[float, float, int]


def index_at(start: float, end: float, at: Fraction, edge: float) -> int:
    """Return an axis's index; where the line does not move it is that of floating point."""
    if start == end:
        return int(np.floor(start / edge))
    place = Fraction(start) + at * (Fraction(end) - Fraction(start))
    return int(place / Fraction(edge) // 1)


def exact_pieces(start: list[float], end: list[float], grid: Grid) -> list[Piece]:
    """Return (entry, exit, code) of every voxel along a line, by fractions, short ones and all."""
    cuts = {Fraction(0), Fraction(1)}
    for a, b, n, edge in zip(start, end, grid.shape, grid.resolution_um, strict=True):
        for k in range(n + 1) if a != b else ():
            at = (k * Fraction(edge) - Fraction(a)) / (Fraction(b) - Fraction(a))
            if 0 < at < 1:
                cuts.add(at)
    length = float(np.linalg.norm(np.subtract(end, start)))
    pieces = []
    for low, high in itertools.pairwise(sorted(cuts)):
        middle = (low + high) / 2
        index = tuple(
            index_at(a, b, middle, edge)
            for a, b, edge in zip(start, end, grid.resolution_um, strict=True)
        )
        inside = all(0 <= i < n for i, n in zip(index, grid.shape, strict=True))
        code = int(CODES[EVERY[index]]) if inside else OUTSIDE
        pieces.append((float(low) * length, float(high) * length, code))
    return pieces


def merged(pieces: list[Piece]) -> list[Piece]:
    """Join neighbours of the same code."""
    joined: list[Piece] = []
    for entry, leave, code in pieces:
        if joined and joined[-1][2] == code:
            joined[-1] = (joined[-1][0], leave, code)
        else:
            joined.append((entry, leave, code))
    return joined


@st.composite
def lines(draw: st.DrawFn) -> tuple[Grid, list[list[float]]]:
    """Draw a polyline whose coordinates often lie on faces, and often stay the same."""
    grid = Grid(SHAPE, draw(st.sampled_from(EDGES)))
    count = draw(st.integers(2, 4))
    vertices: list[list[float]] = [[] for _ in range(count)]
    for n, edge in zip(SHAPE, grid.resolution_um, strict=True):
        on_face = st.sampled_from([k * edge for k in range(-2, n + 3)])
        far = st.sampled_from([-40.0 * edge, 900.0 * edge])
        place = on_face | far | st.floats(-edge, (n + 1) * edge, allow_subnormal=False)
        value = draw(place)
        for vertex in vertices:
            wanted = value if draw(st.booleans()) else draw(place)
            # A move of less than a thousandth of a voxel is none: rounding would decide it.
            value = wanted if abs(wanted - value) > edge / 1000 else value
            vertex.append(value)
    return grid, vertices


@settings(max_examples=250, deadline=None)
@given(lines())
def test_pieces_are_those_of_rational_arithmetic(line: tuple[Grid, list[list[float]]]) -> None:
    grid, vertices = line
    expected: list[Piece] = []
    begin = 0.0
    for start, end in itertools.pairwise(vertices):
        if start != end:
            expected += [
                (begin + a, begin + b, code) for a, b, code in exact_pieces(start, end, grid)
            ]
        begin += float(np.linalg.norm(np.subtract(end, start)))
    assume(begin > 0)
    sizes = np.array([leave - entry for entry, leave, _ in expected]) / min(grid.resolution_um)
    # k * r in floating point is not k times r: such differences may be pieces to one, not both.
    assume(not ((sizes > 1e-11) & (sizes < 1e-6)).any())
    expected = merged([p for p, size in zip(expected, sizes, strict=True) if size >= 1e-6])
    found = track_segments(vertices, grid, EVERY, CODES)
    assert found.codes.tolist() == [code for *_, code in expected]
    near = 1e-8 * min(grid.resolution_um) + 1e-12 * begin
    np.testing.assert_allclose(found.entry_um, [p[0] for p in expected], rtol=0, atol=near)
    np.testing.assert_allclose(found.exit_um, [p[1] for p in expected], rtol=0, atol=near)
    np.testing.assert_array_equal(found.exit_um[:-1], found.entry_um[1:])
    assert found.exit_um[-1] == pytest.approx(begin, rel=1e-14)
    assert (found.exit_um > found.entry_um).all()
    assert found.entry_um[0] == 0.0


@settings(max_examples=100, deadline=None)
@given(lines())
def test_a_track_backwards_is_the_same_in_reverse(line: tuple[Grid, list[list[float]]]) -> None:
    """But where it lies in a face or ends on one, which belongs to the voxel after it both ways."""
    grid, vertices = line
    lengths = np.linalg.norm(np.diff(vertices, axis=0), axis=1)
    assume(lengths.sum() > 0)
    there = track_segments(vertices, grid, EVERY, CODES)
    back = track_segments(vertices[::-1], grid, EVERY, CODES)
    assert back.codes[::-1].tolist() == there.codes.tolist()
    near = 1e-8 * min(grid.resolution_um) + 1e-12 * float(lengths.sum())
    np.testing.assert_allclose(
        (there.exit_um[-1] - back.exit_um)[::-1], there.entry_um, rtol=0, atol=near
    )


@pytest.mark.parametrize("edge", [33.3, 0.1, 1 / 3, 25.0])
def test_a_line_that_does_not_move_on_an_axis_is_in_the_voxel_of_its_point(edge: float) -> None:
    """Also where k * r / r rounds to less than k: 3 * 33.3 is the case in point."""
    grid = Grid((40, 3, 2), (edge, 20.0, 10.0))
    ranks = np.arange(240, dtype=np.uint16).reshape(grid.shape)
    codes = np.append(np.arange(240), OUTSIDE)
    for k in range(40):
        for at in (np.nextafter(k * edge, -1), k * edge, np.nextafter(k * edge, 1e9)):
            found = track_segments([[at, 30.0, 0.0], [at, 30.0, 20.0]], grid, ranks, codes)
            (index, *_), *_ = grid.voxels_at([[at, 30.0, 0.0]]).tolist()
            expected = [ranks[index, 1, 0], ranks[index, 1, 1]] if index >= 0 else [OUTSIDE]
            assert found.codes.tolist() == expected, (k, at)


def test_a_track_along_the_far_face_is_outside_and_along_the_near_one_inside() -> None:
    grid = Grid(SHAPE, EDGES[0])
    for axis, extent in enumerate(grid.extent_um):
        start, end = np.full(3, 1.0), np.full(3, 1.0)
        other = (axis + 1) % 3
        end[other] = 9.0
        start[axis] = end[axis] = extent
        assert track_segments([start, end], grid, EVERY, CODES).codes.tolist() == [OUTSIDE]
        start[axis] = end[axis] = 0.0
        assert track_segments([start, end], grid, EVERY, CODES).codes.tolist() == [1]
        start[axis] = end[axis] = -1e-9
        assert track_segments([start, end], grid, EVERY, CODES).codes.tolist() == [OUTSIDE]


def test_a_line_that_hardly_slopes_leaves_its_row_once() -> None:
    """Over 70 µm it falls by a nanometre, half before a face and half after it."""
    grid = Grid(SHAPE, EDGES[0])
    found = track_segments([[50.0005, 5.0, 0.0], [49.9995, 5.0, 70.0]], grid, EVERY, CODES)
    expected: list[Any] = [*EVERY[1, 0, :4].tolist(), *EVERY[0, 0, 3:].tolist()]
    assert found.codes.tolist() == expected
    assert found.entry_um[4] == pytest.approx(35.0, abs=1e-6)


def test_a_volume_is_met_from_very_far_away() -> None:
    """A track is as long as it is; what is beyond the volume is one piece at either end."""
    grid = Grid(SHAPE, EDGES[0])
    found = track_segments([[25.0, 5.0, -1e12], [25.0, 5.0, 1e12]], grid, EVERY, CODES)
    assert found.codes.tolist() == [OUTSIDE, *EVERY[0, 0].tolist(), OUTSIDE]
    assert found.exit_um[-1] == 2e12
    np.testing.assert_allclose(found.entry_um[1:-1] - 1e12, np.arange(7) * 10.0, atol=1e-3)


def points_of(found: Any) -> NDArray[np.float64]:
    """Return the places where pieces begin, and where the last ends."""
    return np.concatenate([found.entry_point_um, found.exit_point_um[-1:]])


@settings(max_examples=100, deadline=None)
@given(lines())
def test_places_lie_on_the_track_at_their_distances(line: tuple[Grid, list[list[float]]]) -> None:
    grid, vertices = line
    found = track_segments(vertices, grid, EVERY, CODES)
    lengths = np.linalg.norm(np.diff(vertices, axis=0), axis=1)
    ends = np.concatenate([[0.0], np.cumsum(lengths)])
    at = np.append(found.entry_um, found.exit_um[-1])
    near = 1e-9 * (1.0 + ends[-1])
    for place, point in zip(at, points_of(found), strict=True):
        candidates = []
        for (start, end), begin, length in zip(
            itertools.pairwise(np.array(vertices)), ends, lengths, strict=False
        ):
            part = np.clip((place - begin) / length, 0, 1) if length else 0.0
            if begin - near <= place <= begin + length + near:
                candidates.append(float(np.abs(start + part * (end - start) - point).max()))
        assert min(candidates) <= near
    np.testing.assert_array_equal(found.exit_point_um[:-1], found.entry_point_um[1:])


def test_the_rank_volume_may_have_32_bits_and_codes_any_integers() -> None:
    grid = Grid((1, 1, 2), (10.0, 10.0, 10.0))
    ranks = np.array([[[70_000, 0]]], dtype=np.uint32)
    for dtype in ("int64", "int32", "int8"):
        codes = np.zeros(70_002, dtype=dtype)
        codes[70_000], codes[-1] = 5, -7
        found = track_segments([[5, 5, 0], [5, 5, 30]], grid, ranks, codes)
        assert found.codes.tolist() == [5, 0, -7]
        assert found.codes.dtype.name == dtype


@pytest.mark.parametrize("size", [1e-2, 1e-4, 1e-6])
def test_a_corner_cut_off_is_a_piece_however_small(size: float) -> None:
    """From one voxel to the one across the edge, by way of a third for a few picometres."""
    grid = Grid((2, 2, 1), (10.0, 10.0, 10.0))
    ranks = np.array([[[1], [2]], [[3], [4]]], dtype=np.uint16)
    found = track_segments(
        [[5.0, 5.0 + 10 * size, 5.0], [15.0, 15.0 + 10 * size, 5.0]],
        grid,
        ranks,
        np.append(np.arange(5), OUTSIDE),
    )
    assert found.codes.tolist() == [1, 2, 4]
    assert found.exit_um[1] - found.entry_um[1] == pytest.approx(10 * size * 2**0.5, rel=1e-6)


def test_through_corners_in_any_direction_no_other_voxel_is_crossed() -> None:
    """Places on three axes round apart; what lies between is no piece."""
    for edges in itertools.permutations((33.3, 0.1, 1 / 3)):
        grid = Grid((12, 12, 12), triple(edges))
        ranks = np.arange(1_728, dtype=np.uint16).reshape(grid.shape)
        codes = np.append(np.arange(1_728), OUTSIDE)
        for towards in itertools.product((1, -1), repeat=3):
            start = np.where(np.array(towards) > 0, -1.0, 13.0)
            vertices = np.array([start, start + 14.0 * np.array(towards)]) * edges
            found = track_segments(vertices, grid, ranks, codes)
            step = np.array(towards)
            first = np.where(step > 0, 0, 11)
            expected = [int(ranks[tuple(first + i * step)]) for i in range(12)]
            assert found.codes.tolist() == [OUTSIDE, *expected, OUTSIDE]


@pytest.mark.parametrize("edge", [33.3, 0.1, 1 / 3, 25.0])
@pytest.mark.parametrize("towards", [1, -1])
def test_a_track_that_begins_or_ends_by_a_face_keeps_its_length(edge: float, towards: int) -> None:
    """Where k * r and floor(p / r) disagree, places would come before 0 or after the end."""
    grid = Grid((40, 1, 1), (edge, 20.0, 10.0))
    ranks = np.arange(40, dtype=np.uint16).reshape(grid.shape)
    codes = np.append(np.arange(40), OUTSIDE)
    for k in range(2, 38):
        for at in (np.nextafter(k * edge, -1), k * edge, np.nextafter(k * edge, 1e9)):
            other = (k + 0.5 + towards) * edge
            for start, end in ((at, other), (other, at)):
                found = track_segments([[start, 5, 5], [end, 5, 5]], grid, ranks, codes)
                assert found.entry_um[0] == 0.0
                assert found.exit_um[-1] == abs(end - start)
                assert (found.exit_um > found.entry_um).all()
                long = found.exit_um - found.entry_um > 1e-9 * edge
                pair = [k, k + 1] if towards > 0 else [k - 1]
                assert sorted(found.codes[long].tolist()) == pair
                assert long.all()
