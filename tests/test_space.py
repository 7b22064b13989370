"""Orientations, against brainglobe-space and by properties."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from brainglobe_space import AnatomicalSpace

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
