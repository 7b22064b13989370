"""Tracks, neighbourhoods and distances against slow and independent geometry."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import atlasdb
from atlasdb.errors import NoVoxelsError
from atlasdb.voxels import STATUSES, Grid
from atlasdb.voxels.distances import boundary_distances, boundary_faces
from atlasdb.voxels.neighbourhoods import sphere_composition
from atlasdb.voxels.tracks import track_segments

if TYPE_CHECKING:
    from numpy.typing import NDArray

SHAPE = (4, 3, 7)
EDGES = [(50.0, 20.0, 10.0), (100.0, 33.3, 0.1), (1 / 3, 25.0, 7.0)]
CODES = np.array([0, 1, 2, 3, -1, -2])
OUTSIDE = -2

volumes = hnp.arrays(np.uint16, st.just(SHAPE), elements=st.integers(0, 4))
grids = st.sampled_from([Grid(SHAPE, edges) for edges in EDGES])


def coordinates(size: int, edge: float) -> st.SearchStrategy[float]:
    """Places in and around a volume, often exactly on faces."""
    on_face = st.integers(-1, size + 1).map(lambda k: k * edge)
    return st.one_of(on_face, st.floats(-edge, (size + 1) * edge, allow_subnormal=False))


@st.composite
def grids_and_points(draw: st.DrawFn, least: int, most: int) -> tuple[Grid, NDArray[np.float64]]:
    grid = draw(grids)
    point = st.tuples(*[coordinates(n, r) for n, r in zip(SHAPE, grid.resolution_um, strict=True)])
    return grid, np.array(draw(st.lists(point, min_size=least, max_size=most)))


def code_at(point: NDArray[Any], grid: Grid, ranks: NDArray[Any]) -> int:
    index = np.floor(point / grid.resolution_um)
    if not ((index >= 0) & (index < grid.shape)).all():
        return OUTSIDE
    return int(CODES[ranks[tuple(index.astype(int))]])


@settings(max_examples=300, deadline=None)
@given(volumes, grids_and_points(2, 4))
@example(
    np.zeros(SHAPE, np.uint16), (Grid(SHAPE, EDGES[0]), np.array([[0.0, 0, 0], [0, 0, -1e-196]]))
)
@example(np.ones(SHAPE, np.uint16), (Grid(SHAPE, EDGES[0]), np.array([[50.0, 5, 5], [0.0, 5, 5]])))
def test_tracks(ranks: NDArray[Any], given: tuple[Grid, NDArray[np.float64]]) -> None:
    """Every place along the track, but those on faces, is in the piece that names what is there."""
    grid, vertices = given
    found = track_segments(vertices, grid, ranks, CODES)
    length = np.linalg.norm(np.diff(vertices, axis=0), axis=1).sum()
    assert found.entry_um[0] == 0
    assert found.exit_um[-1] == pytest.approx(length)
    np.testing.assert_array_equal(found.exit_um[:-1], found.entry_um[1:])
    np.testing.assert_array_equal(found.exit_point_um[:-1], found.entry_point_um[1:])
    np.testing.assert_array_equal(found.entry_point_um[0], vertices[0])
    np.testing.assert_array_equal(found.exit_point_um[-1], vertices[-1])
    assert (found.codes[1:] != found.codes[:-1]).all()
    if length == 0:
        assert found.codes.tolist() == [code_at(vertices[0], grid, ranks)]
        return
    assert (found.exit_um > found.entry_um).all()
    at = 0.0
    for start, end in itertools.pairwise(vertices):
        span = float(np.linalg.norm(end - start))
        for part in np.linspace(0, 1, 61)[1:-1] if span > 0 else ():
            point = start + part * (end - start)
            place = point / grid.resolution_um
            moving = end != start
            if (np.abs(place - np.round(place))[moving] < 1e-6).any():
                continue  # on a face, or beside one by rounding
            piece = int(np.searchsorted(found.exit_um, at + part * span))
            near = np.abs(found.entry_um - (at + part * span)).min()
            if near > 1e-6 * min(grid.resolution_um):
                assert found.codes[piece] == code_at(np.where(moving, point, start), grid, ranks)
        at += span
    for place, point in zip(found.entry_um, found.entry_point_um, strict=True):
        travelled = 0.0
        for start, end in itertools.pairwise(vertices):
            span = float(np.linalg.norm(end - start))
            if place <= travelled + span and span > 0:
                expected = start + (place - travelled) / span * (end - start)
                np.testing.assert_allclose(point, expected, atol=1e-6 * max(1.0, span))
                break
            travelled += span


def line(ranks: NDArray[Any], *vertices: Any) -> list[tuple[int, float, float]]:
    """Return the pieces of a track through voxels of (50, 20, 10) µm."""
    found = track_segments(np.array(vertices), Grid(SHAPE, EDGES[0]), ranks, CODES)
    return list(
        zip(found.codes.tolist(), found.entry_um.tolist(), found.exit_um.tolist(), strict=True)
    )


def test_tracks_along_faces_edges_and_corners() -> None:
    ranks = np.zeros(SHAPE, np.uint16)
    ranks[0], ranks[1], ranks[2] = 1, 2, 3
    assert line(ranks, [50, 20, 0], [50, 20, 70]) == [(2, 0, 70)], "in a face: the voxel after it"
    assert line(ranks, [0, 0, 0], [0, 0, 0]) == [(1, 0, 0)]
    assert line(ranks, [-10, 0, 0], [-10, 0, 0]) == [(OUTSIDE, 0, 0)]
    assert line(ranks, [50, 5, 5], [0, 5, 5]) == [(1, 0, 50)], "begins on a face, and turns back"
    assert line(ranks, [0, 5, 5], [50, 5, 5]) == [(1, 0, 50)], "ends on a face"
    assert line(ranks, [-100, 5, 5], [1_000, 5, 5]) == [
        (OUTSIDE, 0, 100),
        (1, 100, 150),
        (2, 150, 200),
        (3, 200, 250),
        (0, 250, 300),
        (OUTSIDE, 300, 1_100),
    ]
    assert [code for code, *_ in line(ranks, [1e9, 5, 5], [-1e9, 5, 5])] == [-2, 0, 3, 2, 1, -2]
    there_and_back = line(ranks, [25, 5, 5], [75, 5, 5], [75, 5, 5], [25, 5, 5])
    assert there_and_back == [(1, 0, 25), (2, 25, 75), (1, 75, 100)]
    diagonal = np.zeros((2, 2, 2), np.uint16)
    diagonal[0, 0, 0], diagonal[1, 1, 1] = 1, 2
    for edge in (10.0, 33.3, 0.1, 1 / 3):
        found = track_segments(
            [[0.0, 0.0, 0.0], [2 * edge] * 3], Grid((2, 2, 2), (edge,) * 3), diagonal, np.arange(4)
        )
        assert found.codes.tolist() == [1, 2], "through the corner: no other voxel is crossed"


@pytest.mark.parametrize(
    ("vertices", "message"),
    [
        ([[0, 0, 0]], "a track has two vertices or more, found 1"),
        ([[0, 0, 0], [0, np.nan, 0]], r"vertices are finite, found \[0.0, nan, 0.0\]"),
        ([[0, 0, 0], [np.inf, 0, 0]], "vertices are finite"),
        ([[-1e308, 0, 0], [1e308, 0, 0]], "too far apart"),
        ([0, 0, 0], r"points must have the shape \(N, 3\)"),
    ],
)
def test_tracks_that_are_none(vertices: Any, message: str) -> None:
    with (
        np.errstate(over="ignore"),
        pytest.raises(ValueError, match=message),
    ):
        track_segments(vertices, Grid(SHAPE, EDGES[0]), np.zeros(SHAPE, np.uint16), CODES)


@settings(max_examples=150, deadline=None)
@given(volumes, grids_and_points(1, 6), st.floats(0, 3), st.integers(1, 3))
def test_compositions(
    ranks: NDArray[Any],
    given: tuple[Grid, NDArray[np.float64]],
    times: float,
    threads: int,
) -> None:
    grid, points = given
    edges = np.array(grid.resolution_um)
    radius = times * float(np.sort(edges)[1])
    assume(all(radius / edge < 12 for edge in edges))
    found = sphere_composition(points, radius, grid, ranks, CODES, threads=threads)
    order = list(zip(found.point, -found.voxels, found.codes, strict=True))
    assert order == sorted(order)
    for number, point in enumerate(points):
        own = np.floor(point / edges).astype(int)
        reach = [int(radius / edge) + 2 for edge in edges]
        expected: dict[int, int] = {}
        for shift in itertools.product(*[range(-n, n + 1) for n in reach]):
            index = own + shift
            distance = float(np.linalg.norm((index + 0.5) * edges - point))
            assume(abs(distance - radius) > 1e-9 or shift == (0, 0, 0))
            if distance > radius and shift != (0, 0, 0):
                continue
            inside = ((index >= 0) & (index < SHAPE)).all()
            code = int(CODES[ranks[tuple(index)]]) if inside else OUTSIDE
            expected[code] = expected.get(code, 0) + 1
        mine = found.point == number
        assert (
            dict(zip(found.codes[mine].tolist(), found.voxels[mine].tolist(), strict=True))
            == expected
        )


def test_a_sphere_of_exactly_some_voxels() -> None:
    """A centre at exactly the radius counts; the sphere is round in microns, not in voxels."""
    grid = Grid((9, 8, 13), (50.0, 25.0, 10.0))
    ranks = np.ones(grid.shape, np.uint16)
    centre = grid.centres_um([[4, 4, 6]])
    for radius, expected in ((0.0, 1), (9.99, 1), (10.0, 3), (20.0, 5), (25.0, 7), (50.0, 33)):
        found = sphere_composition(centre, radius, grid, ranks, CODES)
        slow = [
            index
            for index in np.ndindex(grid.shape)
            if np.linalg.norm(grid.centres_um([index]) - centre) <= radius
        ]
        assert found.voxels.tolist() == [len(slow)]
        assert len(slow) == expected
    corner = sphere_composition([[0.0, 0.0, 0.0]], 0, grid, ranks, CODES)
    assert (corner.codes.tolist(), corner.voxels.tolist()) == ([1], [1]), "its own voxel counts"


def test_compositions_of_strange_points() -> None:
    grid = Grid(SHAPE, EDGES[0])
    ranks = np.ones(SHAPE, np.uint16)
    points: list[list[float]] = [
        [np.nan, 0, 0],
        [np.inf, 5, 5],
        [1e300, 5, 5],
        [-1e300, -1e300, 1e300],
        [25, 10, 5],
    ]
    found = sphere_composition(points, 60.0, grid, ranks, CODES)
    assert found.codes[found.point < 4].tolist() == [OUTSIDE] * 4
    assert found.voxels[found.point < 2].tolist() == [1, 1]
    assert (found.voxels[(found.point >= 2) & (found.point < 4)] > 50).all()
    assert set(found.codes[found.point == 4].tolist()) == {1, OUTSIDE}
    nothing = sphere_composition(np.empty((0, 3)), 60.0, grid, ranks, CODES)
    assert len(nothing.point) == len(nothing.codes) == len(nothing.voxels) == 0
    for radius in (-1.0, np.nan, np.inf):
        with pytest.raises(ValueError, match="a radius is a number from 0, found"):
            sphere_composition(points, radius, grid, ranks, CODES)


def test_large_spheres_are_counted_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    grid = Grid(SHAPE, EDGES[0])
    ranks = np.random.default_rng(1).integers(0, 5, SHAPE).astype(np.uint16)
    points = np.random.default_rng(2).uniform(-50, 200, (40, 3))
    whole = sphere_composition(points, 77.0, grid, ranks, CODES)
    monkeypatch.setattr("atlasdb.voxels.neighbourhoods._VOXELS", 100)
    parts = sphere_composition(points, 77.0, grid, ranks, CODES)
    for name in ("point", "codes", "voxels"):
        np.testing.assert_array_equal(getattr(whole, name), getattr(parts, name))


masks = hnp.arrays(np.bool_, st.tuples(*[st.integers(1, 4)] * 3))


def to_box(point: NDArray[Any], index: tuple[int, ...], edges: NDArray[Any]) -> float:
    """Return the distance of a point to a voxel."""
    low = np.array(index) * edges
    return float(np.linalg.norm(np.maximum(np.maximum(low - point, point - low - edges), 0)))


@settings(max_examples=150, deadline=None)
@given(masks, grids_and_points(1, 5), st.tuples(*[st.integers(0, 3)] * 3))
def test_distances(
    mask: NDArray[np.bool_], given: tuple[Grid, NDArray[np.float64]], offset: tuple[int, int, int]
) -> None:
    """The way out of a mask is to the nearest voxel not in it, the way in to the nearest in it."""
    grid, points = given
    edges = np.array(grid.resolution_um)
    if not mask.any():
        with pytest.raises(NoVoxelsError, match="no boundary"):
            boundary_distances(points, boundary_faces(mask, offset, grid))
        return
    found = boundary_distances(points, boundary_faces(mask, offset, grid))
    filled = {tuple(i) for i in (np.argwhere(mask) + offset).tolist()}
    around = set(
        itertools.product(
            *[range(o - 1, o + n + 1) for o, n in zip(offset, mask.shape, strict=True)]
        )
    )
    for point, distance in zip(points, found, strict=True):
        own = tuple(np.floor(point / edges).astype(int).tolist())
        others = (around - filled) if own in filled else filled
        expected = min(to_box(point, index, edges) for index in others)
        assert distance == pytest.approx(expected, abs=1e-9 * edges.max())


def test_distances_beyond_the_first_candidates() -> None:
    """Before a wall, and in the middle of a ball, a great many faces are nearly as near."""
    grid = Grid((40, 30, 50), (10.0, 15.0, 12.0))
    centre = np.array([200.0, 225.0, 300.0])
    every = np.argwhere(np.ones(grid.shape, bool))
    ball = (np.linalg.norm(grid.centres_um(every) - centre, axis=1) < 180).reshape(grid.shape)
    points = np.array(
        [centre, centre + 1, [-5_000, 225, 300], [200, 225, 9e4], [0, 0, 0], [np.nan, 0, 0]]
    )
    wall = np.ones((2, 30, 50), bool)
    edges = np.array(grid.resolution_um)
    for mask, offset in ((ball, (0, 0, 0)), (wall, (7, 0, 0))):
        faces = boundary_faces(mask, offset, grid)
        found = boundary_distances(points, faces)
        assert np.isnan(found[-1])
        filled = {tuple(i) for i in (np.argwhere(mask) + offset).tolist()}
        empty = {tuple(i) for i in np.argwhere(~np.pad(mask, 1)) + offset - 1}
        for point, distance in zip(points[:-1], found, strict=False):
            own = tuple(np.floor(point / edges).astype(int).tolist())
            others = np.array(sorted(empty if own in filled else filled))
            low = others * edges
            beyond = np.maximum(np.maximum(low - point, point - low - edges), 0)
            assert distance == pytest.approx(np.linalg.norm(beyond, axis=1).min())


ATLAS = "phantom_anisotropic_mouse_200um"


def test_surroundings_are_named(full: atlasdb.Database) -> None:
    voxels = full.voxels(ATLAS)
    inside = voxels.grid.centres_um(voxels.mask_voxels("VISp"))[::40]
    points = np.concatenate([inside, [[-100.0, 0, 0], [1.0, 1.0, 1.0], [np.nan, 0, 0]]])
    for options in ({}, {"depth": 3}, {"structures": ["CTX", "VIS"]}):
        found = voxels.composition(points, 350.0, **options)
        assert set(found.point.tolist()) == set(range(len(points)))
        sums = np.bincount(found.point, weights=found.fraction)
        np.testing.assert_allclose(sums, 1.0)
        wide = voxels.composition(points / 1000, 350.0, unit="mm", **options)
        assert wide.voxels.sum() == found.voxels.sum()
        reach = 8
        for number in range(0, len(points) - 1, 3):
            own = np.floor(points[number] / voxels.grid.resolution_um)
            shifts = np.array(list(itertools.product(range(-reach, reach + 1), repeat=3)))
            centres = (own + shifts + 0.5) * voxels.grid.resolution_um
            near = np.linalg.norm(centres - points[number], axis=1) <= 350.0
            near |= (shifts == 0).all(axis=1)
            looked = voxels.lookup(centres[near], **options)
            expected: dict[tuple[str, str], int] = {}
            for acronym, status in zip(looked.acronyms, looked.statuses, strict=True):
                key = (str(acronym), STATUSES[status])
                expected[key] = expected.get(key, 0) + 1
            mine = found.point == number
            keys = zip(found.acronyms[mine].tolist(), found.statuses[mine], strict=True)
            named = {
                (a, STATUSES[s]): int(n) for (a, s), n in zip(keys, found.voxels[mine], strict=True)
            }
            assert named == expected
    ids = dict(zip(voxels.structures.acronyms, voxels.structures.hierarchy.ids, strict=True))
    for acronym, structure_id in zip(found.acronyms, found.structure_ids, strict=True):
        assert structure_id == (ids[str(acronym)] if acronym else 0)


def test_distances_to_structures(full: atlasdb.Database) -> None:
    voxels = full.voxels(ATLAS)
    chance = np.random.default_rng(4)
    ctx_voxels = voxels.mask_voxels("CTX")
    near = voxels.grid.centres_um(ctx_voxels[chance.integers(0, len(ctx_voxels), 300)])
    points = near + chance.uniform(-600, 600, (300, 3))
    found = voxels.distances_to_boundary(points, "CTX")
    crop = voxels.cropped_mask("CTX")
    unsigned = boundary_distances(points, boundary_faces(crop.mask, crop.offset, voxels.grid))
    np.testing.assert_array_equal(np.abs(found), unsigned)
    ctx = voxels.lookup(points, structures="CTX").structure_ids > 0
    np.testing.assert_array_equal(found > 0, ctx)
    assert ctx.any()
    assert not ctx.all()
    in_voxels = voxels.distances_to_boundary(
        points / voxels.grid.resolution_um, "CTX", unit="voxel"
    )
    np.testing.assert_allclose(in_voxels, found, atol=1e-6)
    label = voxels.distances_to_boundary(points)
    looked = voxels.lookup(points)
    np.testing.assert_array_equal(np.isnan(label), looked.structure_ids == 0)
    for depth in (None, 2):
        own = voxels.distances_to_boundary(points, depth=depth)
        cut = (
            voxels.annotation_cut(depth=depth) if depth is not None else voxels.volume("annotation")
        )
        ids = voxels.lookup(points, depth=depth).structure_ids
        for row in range(0, 300, 7):
            if ids[row]:
                faces = boundary_faces(cut == ids[row], (0, 0, 0), voxels.grid)
                assert own[row] == pytest.approx(
                    boundary_distances(points[row : row + 1], faces)[0]
                )
    with pytest.raises(ValueError, match="cut at a depth, or name the structure"):
        voxels.distances_to_boundary(points, "CTX", depth=3)
    assert np.isnan(voxels.distances_to_boundary([[np.nan, 0, 0]], "CTX")).all()


def test_a_structure_without_voxels_has_no_boundary(full: atlasdb.Database) -> None:
    voxels = full.voxels("small_rat_50um@1.2")
    with pytest.raises(NoVoxelsError, match="VISp2/3 has no voxels in small_rat_50um@1.2"):
        voxels.distances_to_boundary([[1, 2, 3]], "VISp2/3")


@pytest.mark.real
def test_a_probe_in_the_real_atlas(real: atlasdb.Database) -> None:
    """A probe through cortex, hippocampus and thalamus, beside lookups every 3 µm."""
    voxels = real.voxels("allen_mouse_100um")
    vertices = np.array([[7_350.0, -200.0, 3_450.0], [7_000.0, 5_000.0, 4_200.0]])
    for depth in (None, 5):
        track = voxels.track(vertices, depth=depth)
        assert track.statuses[0] == STATUSES.index("outside")
        length = float(np.linalg.norm(vertices[1] - vertices[0]))
        assert track.exit_um[-1] == pytest.approx(length)
        at = np.arange(1.5, length, 3.0)
        points = vertices[0] + at[:, None] / length * (vertices[1] - vertices[0])
        looked = voxels.lookup(points, depth=depth)
        piece = np.searchsorted(track.exit_um, at)
        np.testing.assert_array_equal(track.structure_ids[piece], looked.structure_ids)
        np.testing.assert_array_equal(track.statuses[piece], looked.statuses)
        assert track.acronyms[piece].tolist() == looked.acronyms.tolist()
    assert len({*track.acronyms.tolist()}) > 5
