"""Neighbourhoods against a loop over all voxels, in numbers that floating point holds exactly."""

from __future__ import annotations

import itertools
import tracemalloc
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from atlasdb.voxels.grid import Grid
from atlasdb.voxels.neighbourhoods import sphere_composition

if TYPE_CHECKING:
    from numpy.typing import NDArray

SHAPE = (4, 3, 7)
GRID = Grid(SHAPE, (64.0, 32.0, 8.0))
"""Edges that are powers of two: centres, differences and squares of quarters are exact."""

CODES = np.array([0, 30, 20, 20, -1, -2])
OUTSIDE = -2

volumes = hnp.arrays(np.uint16, st.just(SHAPE), elements=st.integers(0, 4))
places = st.tuples(*[st.integers(-400, 1_200).map(lambda n: n / 4)] * 3)


def counted(point: Any, radius: float, ranks: NDArray[Any], grid: Grid) -> Counter[int]:
    """Return how many voxels of each code there are, one voxel after the other."""
    own = tuple(int(c // r) for c, r in zip(point, grid.resolution_um, strict=True))
    reach = [int(radius // r) + 1 for r in grid.resolution_um]
    found: Counter[int] = Counter()
    ranges = [range(i - n, i + n + 1) for i, n in zip(own, reach, strict=True)]
    for index in itertools.product(*ranges):
        square = 0.0
        for i, edge, c in zip(index, grid.resolution_um, point, strict=True):
            square += ((i + 0.5) * edge - c) ** 2
        if square <= radius**2 or index == own:
            inside = all(0 <= i < n for i, n in zip(index, grid.shape, strict=True))
            found[int(CODES[ranks[index]]) if inside else OUTSIDE] += 1
    return found


def per_point(found: Any, number: int) -> list[tuple[int, int]]:
    """Return (code, voxels) of a point, in the order of the rows."""
    mine = found.point == number
    return list(zip(found.codes[mine].tolist(), found.voxels[mine].tolist(), strict=True))


def in_order(counts: Counter[int]) -> list[tuple[int, int]]:
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


@settings(max_examples=80, deadline=None)
@given(volumes, st.lists(places, min_size=1, max_size=4), st.integers(0, 320))
def test_rows_are_those_of_a_loop(
    ranks: NDArray[Any], points: list[tuple[float, float, float]], quarters: int
) -> None:
    """Radii in quarters of a micron reach many centres exactly."""
    radius = quarters / 4
    found = sphere_composition(points, radius, GRID, ranks, CODES, threads=1)
    assert sorted(set(found.point.tolist())) == list(range(len(points)))
    assert (np.diff(found.point) >= 0).all()
    for number, point in enumerate(points):
        assert per_point(found, number) == in_order(counted(point, radius, ranks, GRID))


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_chunks_and_threads_change_nothing(monkeypatch: pytest.MonkeyPatch, threads: int) -> None:
    chance = np.random.default_rng(3)
    ranks = chance.integers(0, 5, SHAPE).astype(np.uint32)
    points = np.round(chance.uniform(-64, 256, (25, 3)) * 4) / 4
    monkeypatch.setattr("atlasdb.voxels.neighbourhoods._VOXELS", 3_000)
    found = sphere_composition(points, 70.0, GRID, ranks, CODES, threads=threads)
    for number, point in enumerate(points):
        assert per_point(found, number) == in_order(counted(point, 70.0, ranks, GRID))


def test_a_voxel_outside_is_counted_as_one() -> None:
    ranks = np.ones(SHAPE, np.uint16)
    points = [[-0.25, 16.0, 4.0], [256.0, 16.0, 4.0], [0.0, 0.0, 0.0], [-1e300, 0.0, 0.0]]
    found = sphere_composition(points, 0, GRID, ranks, CODES)
    assert found.point.tolist() == [0, 1, 2, 3]
    assert found.codes.tolist() == [OUTSIDE, OUTSIDE, 30, OUTSIDE]
    assert found.voxels.tolist() == [1, 1, 1, 1]


@pytest.mark.parametrize("far", [2.0**40, 2.0**60, 1e17, 1e300, 1.7e308])
def test_points_at_any_distance_have_as_many_voxels(far: float) -> None:
    ranks = np.ones(SHAPE, np.uint16)
    for sign in (-1.0, 1.0):
        found = sphere_composition([[sign * far, 5.0, 5.0]], 100.0, GRID, ranks, CODES)
        assert found.codes.tolist() == [OUTSIDE]
        volume = 4 / 3 * np.pi * 100.0**3 / (64 * 32 * 8)
        assert found.voxels[0] == pytest.approx(volume, rel=0.15)


def test_two_millimetres_at_25_micron_are_counted() -> None:
    """A point alone is more than a chunk; its voxels are those of the sphere's volume."""
    shape = (170, 30, 170)
    grid = Grid(shape, (25.0, 25.0, 25.0))
    ranks = np.ones(shape, np.uint16)
    ranks[85:] = 2
    found = sphere_composition([[2_125.0, 375.0, 2_125.0]], 2_000, grid, ranks, np.arange(4))
    counts = dict(zip(found.codes.tolist(), found.voxels.tolist(), strict=True))
    assert counts[1] == counts[2]
    slab = np.pi * 750.0 * (2_000.0**2 - 375.0**2 / 3)
    assert counts[1] + counts[2] == pytest.approx(slab / 25**3, rel=1e-3)
    assert sum(counts.values()) == pytest.approx(4 / 3 * np.pi * 80**3, rel=1e-3)


def test_a_point_that_is_no_place_is_one_voxel_outside_and_disturbs_none() -> None:
    ranks = np.arange(84, dtype=np.uint16).reshape(SHAPE) % 5
    good = [[32.0, 16.0, 4.0], [100.0, 50.0, 20.0]]
    points = [good[0], [np.nan, 1, 1], [1, np.inf, 1], [1, 1, -np.inf], good[1]]
    found = sphere_composition(points, 40.0, GRID, ranks, CODES)
    for number in (1, 2, 3):
        assert per_point(found, number) == [(OUTSIDE, 1)]
    for number, point in ((0, good[0]), (4, good[1])):
        assert per_point(found, number) == in_order(counted(point, 40.0, ranks, GRID))


@pytest.mark.parametrize("edges", [(25.0, 25.0, 25.0), (50.0, 20.0, 10.0), (100.0, 100.0, 100.0)])
def test_centres_at_exactly_the_radius_count_at_usual_resolutions(
    edges: tuple[float, float, float],
) -> None:
    """Whole microns are exact, parts of voxels are not: 27 µm is not 1.08 voxels of 25."""
    grid = Grid((9, 9, 9), edges)
    ranks = np.zeros(grid.shape, np.uint16)
    middle = grid.centres_um([[4, 4, 4]])[0]
    for axis, edge in enumerate(edges):
        for at in range(0, int(9 * edge), 3):
            point = middle.copy()
            point[axis] = at
            own = int(at // edge)
            radius = at - (own - 0.5) * edge  # reaches the centre of the voxel before
            found = sphere_composition([point], radius, grid, ranks, np.array([0, OUTSIDE]))
            expected = sum(counted(point, radius, ranks, grid).values())
            assert found.voxels.sum() == expected, (at, radius)


def test_many_points_and_kinds_need_memory_for_what_occurs_only() -> None:
    """20,000 points of 2,000 kinds would be a table of 320 MB."""
    ranks = np.ones(SHAPE, np.uint16)
    points = np.random.default_rng(1).uniform(0, (256, 96, 56), (20_000, 3))
    tracemalloc.start()
    found = sphere_composition(points, 0, GRID, ranks, np.arange(2_000), threads=1)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found.codes.tolist() == [1] * 20_000
    assert most < 200 << 20
