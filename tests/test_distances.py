"""Distances to boundaries against a loop over all voxels' sides."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from atlasdb.errors import NoVoxelsError
from atlasdb.voxels.distances import Faces, boundary_distances, boundary_faces
from atlasdb.voxels.grid import Grid

if TYPE_CHECKING:
    from numpy.typing import NDArray

SHAPE = (4, 3, 7)
GRIDS = [Grid(SHAPE, edges) for edges in ((50.0, 20.0, 10.0), (100.0, 33.3, 0.1))]

Box = list[tuple[float, float]]

masks = hnp.arrays(np.bool_, st.tuples(st.integers(1, 4), st.integers(1, 3), st.integers(1, 7)))
offsets = st.tuples(*[st.integers(0, 3)] * 3)
places = st.tuples(*[st.floats(-2, 9) | st.integers(-1, 8).map(float)] * 3)


def sides(mask: NDArray[np.bool_], offset: tuple[int, int, int], grid: Grid) -> list[Box]:
    """Return (low, high) along each axis of every side between in and not in, one by one."""
    filled = {tuple(index) for index in np.argwhere(mask).tolist()}
    found = []
    for index in sorted(filled):
        for axis in range(3):
            for step in (-1, 1):
                other = tuple(i + step * (a == axis) for a, i in enumerate(index))
                if other in filled:
                    continue
                box = []
                for a, (i, o, edge) in enumerate(
                    zip(index, offset, grid.resolution_um, strict=True)
                ):
                    low, high = (i + o) * edge, (i + o + 1) * edge
                    if a == axis:
                        low = high = high if step > 0 else low
                    box.append((low, high))
                found.append(box)
    return found


def to_side(point: Any, box: Box) -> float:
    """Return the distance from a point to a rectangle."""
    return math.hypot(
        *(max(low - c, c - high, 0.0) for c, (low, high) in zip(point, box, strict=True))
    )


def boxes_of(faces: Faces) -> list[list[float]]:
    """Return faces as sorted lists of their low and high corners, rounded."""
    corners = np.hstack([faces.centres_um - faces.half_um, faces.centres_um + faces.half_um])
    return sorted(np.round(corners, 6).tolist())


@settings(max_examples=80, deadline=None)
@given(masks, offsets, st.sampled_from(GRIDS))
def test_faces_are_the_sides_each_once(
    mask: NDArray[np.bool_], offset: tuple[int, int, int], grid: Grid
) -> None:
    expected = [
        [low for low, _ in box] + [high for _, high in box] for box in sides(mask, offset, grid)
    ]
    found = boxes_of(boundary_faces(mask, offset, grid))
    assert len(found) == len(expected)
    if expected:
        np.testing.assert_allclose(found, sorted(np.round(expected, 6).tolist()), atol=2e-6)


@settings(max_examples=120, deadline=None)
@given(masks, offsets, st.sampled_from(GRIDS), st.lists(places, min_size=1, max_size=5))
def test_distances_are_to_the_nearest_side(
    mask: NDArray[np.bool_],
    offset: tuple[int, int, int],
    grid: Grid,
    voxels: list[tuple[float, float, float]],
) -> None:
    points = np.array(voxels) * grid.resolution_um
    faces = boundary_faces(mask, offset, grid)
    if not mask.any():
        with pytest.raises(NoVoxelsError):
            boundary_distances(points, faces)
        return
    expected = [min(to_side(p, box) for box in sides(mask, offset, grid)) for p in points]
    np.testing.assert_allclose(boundary_distances(points, faces), expected, rtol=1e-12, atol=1e-9)


def test_the_nearest_side_may_have_a_far_centre() -> None:
    """Long faces are near where their centres are not: those of the block have nearer ones."""
    grid = Grid((1, 60, 60), (10_000.0, 1.0, 1.0))
    mask = np.zeros(grid.shape, bool)
    mask[0, 10, 10] = True
    mask[0, 20:60, 20:60] = True
    faces = boundary_faces(mask, (0, 0, 0), grid)
    point = [9_990.0, 13.0, 10.5]
    assert boundary_distances([point], faces)[0] == pytest.approx(2.0)
    expected = min(to_side(point, box) for box in sides(mask, (0, 0, 0), grid))
    assert expected == pytest.approx(2.0)


def test_a_hole_has_a_boundary_and_the_edge_of_the_volume_is_one() -> None:
    grid = GRIDS[0]
    mask = np.ones((4, 3, 7), bool)
    mask[2, 1, 3] = False
    faces = boundary_faces(mask, (0, 0, 0), grid)
    points = [[125.0, 30.0, 35.0], [125.0, 30.0, 25.0], [1.0, 30.0, 35.0], [-3.0, 30.0, 35.0]]
    assert boundary_distances(points, faces).tolist() == [5.0, 5.0, 1.0, 3.0]


def test_places_that_are_none_are_nan_and_disturb_none() -> None:
    faces = boundary_faces(np.ones((1, 1, 1), bool), (1, 1, 1), GRIDS[0])
    points: list[list[float]] = [
        [np.nan, 0, 0],
        [75, 30, 15],
        [0, np.inf, 0],
        [75, 30, 26],
        [0, 0, -np.inf],
    ]
    found = boundary_distances(points, faces)
    assert np.isnan(found).tolist() == [True, False, True, False, True]
    assert found[[1, 3]].tolist() == [5.0, 6.0]
    assert boundary_distances(np.empty((0, 3)), faces).shape == (0,)


@pytest.mark.parametrize("far", [1e7, 1e17, 1e120, 1e160, 1e300, 1.7e308])
def test_points_however_far_have_a_distance(far: float) -> None:
    """Squares of such numbers are infinite; the distances are not."""
    mask = np.array([[[True, False, True]]])
    faces = boundary_faces(mask, (1, 1, 1), GRIDS[0])
    points = [[far, 30.0, 15.0], [75.0, -far, 15.0], [75.0, 30.0, far], [75.0, 30.0, 11.0]]
    expected = [min(to_side(p, box) for box in sides(mask, (1, 1, 1), GRIDS[0])) for p in points]
    np.testing.assert_allclose(boundary_distances(points, faces), expected, rtol=1e-15)


def test_in_the_middle_of_a_ball_many_faces_are_nearly_as_near() -> None:
    edge = 10.0
    grid = Grid((61, 61, 61), (edge, edge, edge))
    along = (np.arange(61) - 30.0) ** 2
    ball = along[:, None, None] + along[:, None] + along < 29.5**2
    faces = boundary_faces(ball, (0, 0, 0), grid)
    points = np.random.default_rng(5).uniform(285, 325, (20, 3))
    points[0] = 305.0
    found = boundary_distances(points, faces)
    for point, distance in zip(points, found, strict=True):
        beyond = np.abs(point - faces.centres_um) - faces.half_um
        expected = np.linalg.norm(np.maximum(beyond, 0), axis=1).min()
        assert distance == pytest.approx(expected, rel=1e-12)


def test_a_search_in_parts_finds_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    mask = np.random.default_rng(6).random(SHAPE) < 0.5
    faces = boundary_faces(mask, (0, 0, 0), GRIDS[0])
    points = np.random.default_rng(7).uniform(-60, 210, (300, 3))
    monkeypatch.setattr("atlasdb.voxels.distances._PAIRS", 16)
    expected = [min(to_side(p, box) for box in sides(mask, (0, 0, 0), GRIDS[0])) for p in points]
    np.testing.assert_allclose(boundary_distances(points, faces), expected, rtol=1e-12, atol=1e-9)
