"""Orientations, against brainglobe-space and by properties."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from brainglobe_space import AnatomicalSpace
from hypothesis import given, settings
from hypothesis import strategies as st

from atlasdb.space import Reorientation, first_left_index, is_orientation

ORIENTATIONS = [
    "".join(letters)
    for axes in itertools.permutations(("ap", "si", "rl"))
    for letters in itertools.product(*axes)
]
SHAPE, RESOLUTION = (3, 4, 5), (10.0, 25.0, 40.0)


@pytest.mark.parametrize("source", ORIENTATIONS)
def test_volumes_and_points_turn_as_brainglobe_space_turns_them(source: str) -> None:
    turn = Reorientation.between(source)
    volume = np.arange(np.prod(SHAPE)).reshape(SHAPE)
    space = AnatomicalSpace(source, shape=SHAPE, resolution=RESOLUTION)
    np.testing.assert_array_equal(turn.volume(volume), space.map_stack_to("asr", volume))
    extent = np.multiply(SHAPE, RESOLUTION)
    points = np.random.default_rng(1).uniform(0, 1, (6, 3)) * extent
    target = AnatomicalSpace("asr", shape=turn.permute(SHAPE), resolution=turn.permute(RESOLUTION))
    expected = space.map_points_to(target, points / RESOLUTION) * target.resolution
    np.testing.assert_allclose(turn.points(points, extent.tolist()), expected)


@pytest.mark.parametrize("source", ORIENTATIONS)
def test_a_voxel_and_the_point_in_it_stay_together(source: str) -> None:
    turn = Reorientation.between(source)
    volume = np.arange(np.prod(SHAPE)).reshape(SHAPE)
    extent = np.multiply(SHAPE, RESOLUTION).tolist()
    turned, resolution = turn.volume(volume), np.array(turn.permute(RESOLUTION))
    for index in np.ndindex(*SHAPE):
        point = ((np.array(index) + 0.5) * RESOLUTION)[None]
        moved = np.floor(turn.points(point, extent)[0] / resolution).astype(int)
        assert turned[tuple(moved)] == volume[index]


@pytest.mark.parametrize("source", ORIENTATIONS)
def test_mirrors_says_whether_handedness_changes(source: str) -> None:
    turn = Reorientation.between(source)
    basis = turn.points(np.vstack([np.zeros(3), np.eye(3)]), [2.0, 2.0, 2.0])
    sign = np.linalg.det(basis[1:] - basis[0])
    assert turn.mirrors == (sign < 0)
    assert turn.is_identity == (source == "asr")


@pytest.mark.parametrize("text", ["", "as", "asrr", "aps", "xyz", "ass"])
def test_what_is_no_orientation_is_refused(text: str) -> None:
    assert not is_orientation(text)
    with pytest.raises(ValueError, match="no orientation"):
        Reorientation.between(text)


def test_the_middle_plane_of_an_odd_axis_is_left() -> None:
    assert [first_left_index(n) for n in (1, 2, 3, 113, 114, 115)] == [0, 1, 1, 56, 57, 57]


sizes = st.tuples(*(st.integers(1, 6) for _ in range(3)))
edges = st.tuples(*(st.sampled_from([10.0, 25.0, 39.0, 200.0]) for _ in range(3)))
orientations = st.sampled_from(ORIENTATIONS)


@settings(deadline=None, max_examples=300)
@given(source=orientations, target=orientations, shape=sizes, resolution=edges)
def test_any_change_is_that_of_brainglobe_space(
    source: str,
    target: str,
    shape: tuple[int, int, int],
    resolution: tuple[float, float, float],
) -> None:
    turn = Reorientation.between(source, target)
    volume = np.arange(np.prod(shape)).reshape(shape)
    space = AnatomicalSpace(source, shape=shape, resolution=resolution)
    goal = AnatomicalSpace(target, turn.permute(shape), turn.permute(resolution))
    np.testing.assert_array_equal(turn.volume(volume), space.map_stack_to(goal, volume))
    # Their unit is the voxel where spaces have resolutions, else that of the shape.
    np.testing.assert_array_equal(turn.matrix(shape), space.transformation_matrix_to(goal))
    extent = np.multiply(shape, resolution).tolist()
    microns = AnatomicalSpace(source, shape=extent)
    np.testing.assert_array_equal(turn.matrix(extent), microns.transformation_matrix_to(target))
    points = np.random.default_rng(3).uniform(-1, 2, (5, 3)) * extent
    moved = turn.points(points, extent)
    np.testing.assert_allclose(moved, microns.map_points_to(target, points), atol=1e-9)
    matrix = turn.matrix(extent)
    columns = np.vstack([points.T, np.ones(5)])
    np.testing.assert_allclose((matrix @ columns)[:3].T, moved, atol=1e-9)
    np.testing.assert_allclose(points @ matrix[:3, :3].T + matrix[:3, 3], moved, atol=1e-9)


@given(source=orientations, target=orientations, shape=sizes)
def test_the_inverse_brings_everything_back(
    source: str, target: str, shape: tuple[int, int, int]
) -> None:
    turn = Reorientation.between(source, target)
    assert turn.inverse == Reorientation.between(target, source)
    volume = np.arange(np.prod(shape)).reshape(shape)
    np.testing.assert_array_equal(turn.inverse.volume(turn.volume(volume)), volume)
    product = turn.inverse.matrix(turn.permute(shape)) @ turn.matrix(shape)
    np.testing.assert_array_equal(product, np.eye(4))


def test_a_matrix_known_by_hand() -> None:
    # 'lpi' holds rl, ap, si backwards; the point is 10 from the left, 20 from behind, 30 from below.
    matrix = Reorientation.between("lpi").matrix([1000, 2000, 3000])
    assert (matrix @ [10, 20, 30, 1]).tolist() == [1980, 2970, 990, 1]


def test_an_index_taken_for_a_point_is_one_voxel_off_in_brainglobe_space() -> None:
    space = AnatomicalSpace("asr", shape=(4, 3, 7))
    flipped = space.map_stack_to("asl", np.arange(7) * np.ones((4, 3, 1)))
    assert flipped[0, 0, 4] == 2
    assert space.map_points_to("asl", [[0, 0, 2]])[0, 2] == 5
    assert np.floor(space.map_points_to("asl", [[0, 0, 2.5]])[0, 2]) == 4
