"""Points in arrays against the label volume itself: every state, type, order, unit and cut."""

from __future__ import annotations

import shutil
import tracemalloc
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import Oracle, many_points
from small import SHAPE, TREE, SmallAtlas, labels

import atlasdb
from atlasdb.errors import (
    AmbiguousAcronymError,
    OutsideError,
    UnknownAtlasError,
    UnknownDepthError,
    UnknownStructureError,
)
from atlasdb.voxels import STATUSES, AtlasVoxels, Grid
from atlasdb.voxels.points import GatherRanks, locate

if TYPE_CHECKING:
    from numpy.typing import NDArray

SIDES = {None: 0, "left": 1, "right": 2}


SMALL = ("small_rat_50um@1.2", "small_rat_50um", "small_rat_100um")


def assert_agrees(voxels: AtlasVoxels, oracle: Oracle, points: NDArray[Any]) -> None:
    """Compare every kind of lookup with the oracle's answers."""
    expected = oracle(points.astype(np.float64))
    column = {key: [row[key] for row in expected] for key in expected[0]}
    status = np.array([STATUSES.index(s) for s in column["status_at"]])
    ids = np.array([i or 0 for i in column["structure_id_at"]])
    outside = status == STATUSES.index("outside")
    sides = np.array([SIDES[side] for side in column["hemisphere_at"]])
    found = voxels.lookup(points)
    np.testing.assert_array_equal(found.structure_ids, ids)
    np.testing.assert_array_equal(found.statuses, status)
    np.testing.assert_array_equal(found.hemispheres, sides)
    assert found.acronyms.tolist() == [a or "" for a in column["acronym_at"]]
    np.testing.assert_array_equal(found.labels, [label or 0 for label in column["label_at"]])
    assert found.counts == {s: column["status_at"].count(s) for s in STATUSES}

    at = voxels.structure_ids_at(points, outside=-7)
    np.testing.assert_array_equal(at, np.where(outside, -7, ids))
    assert voxels.acronyms_at(points, outside="nowhere at all").tolist() == [
        "nowhere at all" if out else acronym or ""
        for out, acronym in zip(outside, column["acronym_at"], strict=True)
    ]
    np.testing.assert_array_equal(voxels.statuses_at(points), status)
    np.testing.assert_array_equal(
        voxels.labels_at(points, outside=-1),
        [-1 if label is None else label for label in column["label_at"]],
    )
    np.testing.assert_array_equal(
        voxels.hemispheres_at(points, outside=9), np.where(outside, 9, sides)
    )
    table = voxels.rank_table
    ranks = voxels.ranks_at(points, outside=0)
    np.testing.assert_array_equal(table.ids[ranks], ids)
    np.testing.assert_array_equal(table.labels[ranks], [label or 0 for label in column["label_at"]])
    negative = voxels.ranks_at(points, outside=-1)
    np.testing.assert_array_equal(negative, np.where(outside, -1, ranks.astype(int)))
    index = voxels.voxels_at(points)
    assert (index[outside] == -1).all()
    everywhere = voxels.hemispheres_at(points, everywhere=True, outside=0)
    for triple, side in zip(index[~outside], everywhere[~outside], strict=True):
        assert side == oracle.sides[tuple(triple)]
    if outside.any():
        with pytest.raises(OutsideError, match=f"^{outside.sum():,} of {len(points):,} points"):
            voxels.structure_ids_at(points)
    else:
        np.testing.assert_array_equal(voxels.structure_ids_at(points), ids)


@pytest.mark.parametrize(
    ("atlas", "count"),
    [
        *((atlas, 5_000) for atlas in SMALL),
        ("phantom_odd_mouse_100um", 20_000),
        ("phantom_asymmetric_mouse_100um", 20_000),
    ],
)
def test_every_answer_is_what_the_volume_holds(
    home: atlasdb.Database, atlas: str, count: int
) -> None:
    oracle = Oracle(home, atlas)
    points = many_points(oracle, count, count + 1)
    assert_agrees(home.voxels(atlas), oracle, points)


@pytest.mark.real
def test_points_in_the_real_atlas(real: atlasdb.Database) -> None:
    for atlas in ("allen_mouse_100um", "example_mouse_100um"):
        oracle = Oracle(real, atlas)
        assert_agrees(real.voxels(atlas), oracle, many_points(oracle, 20_000, 5))


@pytest.mark.parametrize(
    "dtype", ["f8", "f4", ">f8", "f2", "i8", "i4", "i2", "i1", "u1", "u4", "u8", "longdouble"]
)
def test_types_and_orders_of_memory(home: atlasdb.Database, dtype: str, tmp_path: Path) -> None:
    oracle = Oracle(home, "small_rat_50um")
    voxels = home.voxels("small_rat_50um")
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        points = many_points(oracle, 700, 3).astype(dtype)
    expected = [row["structure_id_at"] or 0 for row in oracle(points.astype(np.float64))]
    assert len(set(expected)) > 3
    np.save(tmp_path / "points.npy", points)
    wide = np.zeros((len(points), 8), points.dtype)
    wide[:, 1:7:2] = points
    for form in (
        points,
        np.asfortranarray(points),
        points[::-1].copy()[::-1],
        points[:, ::-1].copy()[:, ::-1],
        wide[:, 1:7:2],
        np.load(tmp_path / "points.npy", mmap_mode="r"),
        points.tolist(),
    ):
        assert voxels.structure_ids_at(form, outside=0).tolist() == expected
    before = points.copy()
    voxels.lookup(points)
    np.testing.assert_array_equal(points, before)


@pytest.mark.parametrize("unit", ["um", "mm", "m", "voxel"])
@pytest.mark.parametrize("dtype", ["f8", "f4", "f2", "i4"])
def test_types_in_every_unit(home: atlasdb.Database, unit: str, dtype: str) -> None:
    """All is reckoned in float64: 0.3 of 32 bits, times 1000, is another voxel in 32 bits."""
    voxels = home.voxels("phantom_odd_mouse_100um")
    factor = {"um": 1.0, "mm": 1e-3, "m": 1e-6, "voxel": 0.01}[unit]
    chance = np.random.default_rng(8)
    faces = chance.integers(-2, 130, (20_000, 3)) * 100.0
    with np.errstate(over="ignore"):
        points = (faces * factor).astype(dtype)
    wide = points.astype(np.float64)
    place = (
        wide
        if unit == "voxel"
        else wide * (1 / factor if unit == "um" else {"mm": 1e3, "m": 1e6}[unit]) / 100.0
    )
    index = np.floor(place)
    inside = ((index >= 0) & (index < voxels.grid.shape)).all(axis=1, keepdims=True)
    expected = np.where(inside, index, -1)
    np.testing.assert_array_equal(voxels.voxels_at(points, unit=unit), expected)
    np.testing.assert_array_equal(voxels.grid.voxels_at(points, unit=unit), expected)
    np.testing.assert_array_equal(
        voxels.ranks_at(points, unit=unit, outside=0), voxels.ranks_at(wide, unit=unit, outside=0)
    )


@pytest.mark.parametrize("outside", [-(2**63), -1, 2**31, 2**32, 2**53 + 1, 2**63 - 1])
def test_any_number_stands_for_outside(home: atlasdb.Database, outside: int) -> None:
    voxels = home.voxels("small_rat_50um")
    points = [[1, 2, 3], [-1, 0, 0]]
    for found in (
        voxels.structure_ids_at(points, outside=outside),
        voxels.labels_at(points, outside=outside),
        voxels.ranks_at(points, outside=outside),
        voxels.ranks_at(points, depth=1, outside=outside),
        voxels.hemispheres_at(points, outside=outside, everywhere=True),
    ):
        assert found.dtype.kind in "iu"
        assert int(found[1]) == outside
        assert int(found[0]) != outside
    assert voxels.structure_ids_at(points, outside=outside).dtype == np.int64


def test_a_rank_that_the_atlas_has_not(home: atlasdb.Database, tmp_path: Path) -> None:
    """A volume altered without changing its size is found out where it is looked at."""
    shutil.copytree(home.home.folder, tmp_path / "copy")
    db = atlasdb.connect(tmp_path / "copy")
    row = db.sql("FROM small_rat_50um.volume WHERE kind = 'ranks'").to_pylist()[0]
    file = db.home.folder / row["path"]
    content = bytearray(file.read_bytes())
    size = 2 * int(np.prod(SHAPE))
    start = content.find(home.voxels("small_rat_50um").ranks.tobytes())
    content[start : start + size] = b"\xff" * size
    file.write_bytes(content)
    voxels = db.voxels("small_rat_50um")
    for ask in (
        lambda: voxels.structure_ids_at([[1, 2, 3]]),
        lambda: voxels.ranks_at([[1, 2, 3]]),
        lambda: voxels.lookup([[1, 2, 3]]),
        lambda: voxels.id_mask("CM"),
        lambda: voxels.annotation_cut(depth=1),
        lambda: voxels.write_volume(tmp_path / "a.tif", "annotation"),
        lambda: voxels.write_mask(tmp_path / "a.tif", "CM"),
    ):
        with pytest.raises(atlasdb.BlobError, match="holds 65535, but the atlas has no rank above"):
            ask()
    assert not (tmp_path / "a.tif").exists()


def test_units(home: atlasdb.Database) -> None:
    voxels = home.voxels("small_rat_100um")
    points = many_points(Oracle(home, "small_rat_100um"), 3_000, 9)
    expected = voxels.structure_ids_at(points, outside=-1)
    edge = np.array(voxels.grid.resolution_um)
    with np.errstate(invalid="ignore"):  # another unit rounds otherwise at faces
        away = np.abs(points / edge - np.round(points / edge)) > 1e-9
    keep = (away | ~np.isfinite(points)).all(axis=1)
    for unit, factor in (("mm", 1e3), ("m", 1e6), ("voxel", edge)):
        with np.errstate(over="ignore"):
            found = voxels.structure_ids_at(points / factor, unit=unit, outside=-1)
        np.testing.assert_array_equal(found[keep], expected[keep])
    every = np.argwhere(np.ones(SHAPE, bool))
    annotation = voxels.volume("annotation")
    np.testing.assert_array_equal(voxels.labels_at(every, unit="voxel"), annotation.reshape(-1))
    np.testing.assert_array_equal(voxels.voxels_at(every + 0.999, unit="voxel"), every)
    with pytest.raises(ValueError, match="no unit 'cm': points are in um, mm, m, voxel"):
        voxels.ranks_at(points, unit="cm")


edges = st.sampled_from([1.0, 10.0, 25.0, 33.3, 0.1, 1 / 3, 50.0, 39.0625])
grids = st.builds(Grid, st.tuples(*[st.integers(1, 600)] * 3), st.tuples(edges, edges, edges))


@settings(max_examples=200, deadline=None)
@given(grids, st.data())
def test_voxel_to_centre_to_voxel_and_faces(grid: Grid, data: st.DataObject) -> None:
    triple = np.array([data.draw(st.integers(0, n - 1)) for n in grid.shape])
    assert grid.voxels_at(grid.centres_um([triple])).tolist() == [triple.tolist()]
    assert grid.voxels_at([triple], unit="voxel").tolist() == [triple.tolist()]
    axis = data.draw(st.integers(0, 2))
    found: dict[int, int] = {}

    def keep(located: Any) -> None:
        found.update(enumerate(located.index.tolist(), start=located.rows.start))

    point = grid.centres_um([triple])[0]
    beyond = [point.copy() for _ in range(4)]
    beyond[0][axis], beyond[1][axis] = -1e-9, np.nan
    beyond[2][axis] = np.nextafter(grid.shape[axis] * grid.resolution_um[axis], np.inf) + 1e-6
    beyond[3][axis] = -grid.resolution_um[axis] / 2  # truncation, or an index of -1, would wrap
    outside = locate(np.array([point, *beyond]), grid, keep)
    assert (outside.count, outside.first) == (4, (1, 2, 3, 4))
    assert found[0] == np.ravel_multi_index(tuple(triple), grid.shape)


@settings(max_examples=200, deadline=None)
@given(grids, st.tuples(*[st.floats(allow_nan=True, allow_infinity=True)] * 3))
def test_any_floats(grid: Grid, point: tuple[float, float, float]) -> None:
    """The two ways to a voxel agree, and are floor(point / r) within the volume."""
    with np.errstate(over="ignore"):
        index = np.floor(np.array(point) / grid.resolution_um)
    inside = bool(np.all((index >= 0) & (index < grid.shape)))
    expected = index.astype(int).tolist() if inside else [-1, -1, -1]
    assert grid.voxels_at([point]).tolist() == [expected]
    linear = []
    outside = locate([point], grid, lambda located: linear.append(int(located.index[0])))
    assert outside.count == (not inside)
    assert linear == [np.ravel_multi_index(expected, grid.shape) if inside else 0]


@pytest.mark.parametrize("size", [0, 1, 1023, 65_536, 65_537, 3 * 65_536 + 1_029])
@pytest.mark.parametrize("threads", [1, 2, 5, None])
def test_blocks_and_threads(home: atlasdb.Database, size: int, threads: int | None) -> None:
    voxels = home.voxels("phantom_odd_mouse_100um")
    points = np.random.default_rng(size).uniform(-0.01, 1.01, (size, 3)) * voxels.grid.extent_um
    index = np.floor(points / voxels.grid.resolution_um).astype(int)
    inside = ((index >= 0) & (index < voxels.grid.shape)).all(axis=1)
    expected = np.full(size, -1)
    expected[inside] = voxels.ranks[tuple(index[inside].T)]
    np.testing.assert_array_equal(voxels.ranks_at(points, outside=-1, threads=threads), expected)
    found = voxels.lookup(points, threads=threads)
    np.testing.assert_array_equal(found.statuses == STATUSES.index("outside"), ~inside)
    if not inside.all():
        first = np.flatnonzero(~inside)[:5]
        with pytest.raises(OutsideError) as error:
            voxels.ranks_at(points, threads=threads)
        message = str(error.value)
        assert message.startswith(f"{(~inside).sum():,} of {size:,} points (um) are outside")
        for row in first:
            assert f"row {row}: {points[row].tolist()}" in message


def slow_cut(path: list[int], *, depth: int | None, ids: set[int] | None) -> int:
    """Return the structure that the last of a path becomes."""
    if depth is not None:
        return path[min(depth, len(path) - 1)]
    return next((i for i in reversed(path) if ids is None or i in ids), 0)


@pytest.mark.parametrize("depth", [0, 1, 2, 3, None])
def test_cuts(home: atlasdb.Database, depth: int | None) -> None:
    parents = {structure_id: parent for structure_id, _, parent in TREE}

    def path(structure_id: int) -> list[int]:
        parent = parents[structure_id]
        return [*(path(parent) if parent is not None else []), structure_id]

    for atlas in SMALL:
        voxels = home.voxels(atlas)
        points = many_points(Oracle(home, atlas), 2_000, 4)
        uncut = voxels.structure_ids_at(points, outside=0)
        sets: list[Any] = [None, ["grey", "CM"], [8, 14], "root", {12, 13}]
        for named in sets if depth is None else [None]:
            ids = (
                None
                if named is None
                else set(voxels.rank_table.ids[voxels.rank_table.ranks_of(named)])
            )
            expected = [slow_cut(path(i), depth=depth, ids=ids) if i else 0 for i in uncut.tolist()]
            options: dict[str, Any] = {"depth": depth, "structures": named}
            found = voxels.structure_ids_at(points, outside=0, **options)
            assert found.tolist() == expected
            looked = voxels.lookup(points, **options)
            assert looked.structure_ids.tolist() == expected
            np.testing.assert_array_equal(looked.statuses, voxels.statuses_at(points))
            acronyms = voxels.acronyms_at(points, outside="", **options)
            assert acronyms.tolist() == looked.acronyms.tolist()
            ranks = voxels.ranks_at(points, outside=0, **options)
            assert voxels.rank_table.ids[ranks].tolist() == expected
            for i, became, assigned in zip(
                uncut.tolist(), expected, looked.is_assigned, strict=True
            ):
                is_leaf = i not in parents.values()
                reached = depth is None or len(path(i)) > depth or is_leaf if i else False
                assert assigned == bool(became and reached)


def test_a_cut_agrees_with_the_macro(home: atlasdb.Database) -> None:
    for depth in range(4):
        table = home.annotation_cut("phantom_odd_mouse_100um", depth).to_pylist()
        voxels = home.voxels("phantom_odd_mouse_100um")
        every = np.argwhere(np.ones(voxels.grid.shape, bool))
        found = voxels.lookup(every, unit="voxel", depth=depth)
        ids, counts = np.unique(found.structure_ids, return_counts=True)
        expected = {row["structure_id"] or 0: row["voxels"] for row in table if row["voxels"]}
        assert dict(zip(ids.tolist(), counts.tolist(), strict=True)) == expected
        unassigned = sum(
            r["voxels"] for r in table if r["status"] == "inside" and not r["is_assigned"]
        )
        inside = found.statuses == 0
        assert np.count_nonzero(~found.is_assigned[inside]) == unassigned


def test_wrong_input_is_refused(home: atlasdb.Database) -> None:
    voxels = home.voxels("small_rat_50um")
    with pytest.raises(ValueError, match=r"shape \(N, 3\), found \(3,\); write \[point\] for one"):
        voxels.ranks_at([1, 2, 3])
    with pytest.raises(ValueError, match=r"shape \(N, 3\), found \(2, 2\)"):
        voxels.lookup(np.zeros((2, 2)))
    for wrong in ([["a", "b", "c"]], [[1j, 0, 0]], np.ones((2, 3), bool)):
        with pytest.raises(ValueError, match="points must be real numbers, found"):
            voxels.ranks_at(wrong)
    with pytest.raises(ValueError, match="threads must be at least 1, found 0"):
        voxels.ranks_at([[1, 2, 3]], threads=0)
    with pytest.raises(UnknownDepthError, match="no depth 4: this atlas has the depths 0 to 3"):
        voxels.ranks_at([[1, 2, 3]], depth=4)
    with pytest.raises(UnknownDepthError, match="no depth -1"):
        voxels.ranks_at([[1, 2, 3]], depth=-1)
    with pytest.raises(UnknownStructureError, match="no structure 'gray'.*did you mean grey"):
        voxels.ranks_at([[1, 2, 3]], structures=["gray"])
    with pytest.raises(UnknownStructureError, match="no structure 11"):
        voxels.ranks_at([[1, 2, 3]], structures=11)
    for structure in (1.5, True, None, b"CM"):
        with pytest.raises(TypeError, match="a structure is an acronym or an integer id"):
            voxels.ranks_at([[1, 2, 3]], structures=[structure])  # type: ignore[list-item]
    with pytest.raises(ValueError, match="at a depth or at structures, not at both"):
        voxels.ranks_at([[1, 2, 3]], depth=1, structures="CM")
    with pytest.raises(TypeError, match="outside must be an integer, found 'x'"):
        voxels.ranks_at([[1, 2, 3]], outside="x")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="outside must be an integer, found 'x'"):
        voxels.structure_ids_at([[1, 2, 3]], outside="x")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="outside must be a text, found 0"):
        voxels.acronyms_at([[1, 2, 3]], outside=0)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="outside must fit 64 bits"):
        voxels.structure_ids_at([[1, 2, 3]], outside=2**63)
    with pytest.raises(UnknownAtlasError, match="small_rat_50u"):
        home.voxels("small_rat_50u")


def test_what_is_masked_is_outside(home: atlasdb.Database) -> None:
    voxels = home.voxels("small_rat_50um")
    for dtype in (np.int64, np.float32):
        points = np.ma.masked_array(
            np.ones((2, 3), dtype), mask=[[False] * 3, [False, True, False]]
        )
        assert voxels.lookup(points).counts["outside"] == 1
        assert voxels.voxels_at(points).tolist() == [[0, 0, 0], [-1, -1, -1]]


def test_ambiguous_acronyms(tmp_path: Path) -> None:
    atlas = SmallAtlas()
    for entry in atlas.structures:
        if entry["acronym"] == "cm":
            entry["acronym"] = "CM"
    db = atlasdb.connect(tmp_path / "home")
    db.ingest(str(atlas.write(tmp_path)))
    voxels = db.voxels("small_rat_50um")
    with pytest.raises(AmbiguousAcronymError, match="ids 70000, 12"):
        voxels.mask("CM")
    assert voxels.mask(12).sum() + voxels.mask(70_000).sum() > 0


def test_as_many_ranks_as_16_bits_hold() -> None:
    """The code of what is outside needs a 17th bit then."""
    ranks = np.array([[[0, 65_535, 7]]], dtype=np.uint16)
    grid = Grid((1, 1, 3), (1.0, 1.0, 1.0))
    table = np.arange(65_537) * 3
    out = np.empty(5, np.int64)
    points = np.array([[0, 0, 0], [0, 0, 1], [0, 0, 2], [0, 0, 3], [0, np.nan, 0]])
    locate(points, grid, GatherRanks(ranks, 65_536, [(table, out)]))
    assert out.tolist() == [0, 3 * 65_535, 21, 3 * 65_536, 3 * 65_536]


@pytest.mark.parametrize("place", [0, 1_023, 2_047])
def test_one_point_outside_in_a_block(home: atlasdb.Database, place: int) -> None:
    """Whole blocks are tested by their extremes, which NaN and every side of the volume must be."""
    voxels = home.voxels("phantom_odd_mouse_100um")
    extent = voxels.grid.extent_um
    points = np.random.default_rng(2).random((2_048, 3)) * extent
    whole = voxels.ranks_at(points)
    for axis in range(3):
        for value in (np.nan, np.inf, -np.inf, -1e-9, -150.0, extent[axis], 1e300):
            strange = points.copy()
            strange[place, axis] = value
            with pytest.raises(OutsideError, match=rf"^1 of 2,048 .* row {place}: "):
                voxels.ranks_at(strange)
            expected = whole.copy()
            expected[place] = 7
            np.testing.assert_array_equal(voxels.ranks_at(strange, outside=7), expected)
        zero, negative = points.copy(), points.copy()
        zero[place, axis], negative[place, axis] = 0.0, -0.0
        np.testing.assert_array_equal(voxels.ranks_at(negative), voxels.ranks_at(zero))


def test_memory_does_not_grow_with_the_points(home: atlasdb.Database) -> None:
    voxels = home.voxels("phantom_odd_mouse_100um")

    def extra(size: int, threads: int) -> int:
        points = np.random.default_rng(1).random((size, 3), np.float32) * 9_000
        voxels.structure_ids_at(points[:10], outside=0)
        tracemalloc.start()
        found = voxels.structure_ids_at(points, outside=0, threads=threads)
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most - found.nbytes

    one_block = extra(500_000, 1)
    assert extra(4_000_000, 1) < one_block + 1_000_000
    # Whether two threads ever hold a block at the same time is the machine's business.
    assert extra(4_000_000, 2) < 2 * one_block + 1_000_000


def test_nothing_is_read_until_it_is_used(home: atlasdb.Database, tmp_path: Path) -> None:
    shutil.copytree(home.home.folder, tmp_path / "copy")
    db = atlasdb.connect(tmp_path / "copy")
    voxels = db.voxels("small_rat_50um")
    for path in (tmp_path / "copy").rglob("*.tiff"):
        path.unlink()
    assert voxels.structures.acronyms[0] == "root"
    assert voxels.rank_table.ranks_of("CM").tolist() == [3]
    with pytest.raises(atlasdb.BlobError, match="the ranks volume is missing"):
        voxels.ranks_at([[1, 2, 3]])


@pytest.mark.parametrize("kind", ["ranks", "annotation", "hemispheres", "reference"])
def test_changed_volumes_are_noticed(home: atlasdb.Database, tmp_path: Path, kind: str) -> None:
    shutil.copytree(home.home.folder, tmp_path / "copy")
    db = atlasdb.connect(tmp_path / "copy")
    atlas = "phantom_asymmetric_mouse_100um"
    path = {r["kind"]: r["path"] for r in db.sql(f"FROM {atlas}.volume").to_pylist()}[kind]
    file = db.home.folder / path
    whole = file.read_bytes()
    file.write_bytes(whole[:-1])
    with pytest.raises(atlasdb.BlobError, match=f"the {kind} volume .* has .* bytes instead of"):
        db.voxels(atlas).volume(kind)
    file.write_bytes(b"\0" * len(whole))
    with pytest.raises(atlasdb.BlobError, match=f"the {kind} volume .* was altered"):
        db.voxels(atlas).volume(kind)
    file.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    assert next(r.subject for r in db.check(atlas) if not r.ok) == f"{kind} volume"


def test_volumes_are_mapped_and_cannot_be_written(home: atlasdb.Database) -> None:
    voxels = home.voxels("phantom_asymmetric_mouse_100um")
    for volume in (voxels.ranks, voxels.hemispheres):
        assert isinstance(volume.base, np.memmap | np.ndarray)
        chain: Any = volume
        while isinstance(chain.base, np.ndarray):
            chain = chain.base
        assert isinstance(chain, np.memmap)
        with pytest.raises(ValueError, match="read-only"):
            volume[0, 0, 0] = 1
    odd = home.voxels("phantom_odd_mouse_100um").hemispheres
    assert odd.strides == (0, 0, 1), "one line stands for the volume"
    assert odd[3, 4].tolist() == [2] * (odd.shape[2] // 2) + [1] * (
        odd.shape[2] - odd.shape[2] // 2
    )
    with pytest.raises(ValueError, match="read-only"):
        odd[0, 0, 0] = 1
    with pytest.raises(KeyError, match="has no volume 'referense'; did you mean reference"):
        voxels.volume("referense")
    assert set(np.unique(voxels.hemispheres)) <= {0, 1, 2}


def test_an_open_atlas_stays_as_it_is(tmp_path: Path) -> None:
    db = atlasdb.connect(tmp_path / "home")
    package = SmallAtlas(annotation=labels(1)).write(tmp_path)
    db.ingest(str(package))
    unused, voxels = db.voxels("small_rat_50um"), db.voxels("small_rat_50um")
    every = np.argwhere(np.ones(SHAPE, bool))
    before = voxels.labels_at(every, unit="voxel")
    voxels.statistics()
    shutil.rmtree(package)
    db.ingest(str(SmallAtlas(annotation=labels(2)).write(tmp_path)), force=True)
    np.testing.assert_array_equal(unused.labels_at(every, unit="voxel"), before)
    assert voxels.measured_statistics().equals(voxels.statistics())
    with pytest.raises(atlasdb.HomeError, match="was replaced since it was opened: open it again"):
        unused.statistics()
    newer = db.voxels("small_rat_50um")
    assert (newer.labels_at(every, unit="voxel") != before).any()
    db.remove("small_rat_50um")
    np.testing.assert_array_equal(voxels.labels_at(every, unit="voxel"), before)
    assert newer.ranks.max() > 0
    with pytest.raises(UnknownAtlasError):
        newer.statistics()
    del unused, voxels, newer
    db.ingest("phantom_odd_mouse_100um")
    assert not (db.home.folder / "volumes" / "small_rat_50um").exists(), "swept when nobody reads"


@pytest.mark.real
def test_brainglobe_finds_the_same(real: atlasdb.Database, packages: Path, tmp_path: Path) -> None:
    """100,000 points inside, one by one, and every structure's mask."""
    import tarfile

    with tarfile.open(packages / "allen_mouse_100um_v1.2.tar.gz") as archive:
        archive.extractall(tmp_path, filter="data")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the oracle's own imports
        from brainglobe_atlasapi.core import Atlas

        oracle = Atlas(tmp_path / "allen_mouse_100um_v1.2")
        voxels = real.voxels("allen_mouse_100um")
        chance = np.random.default_rng(11)
        inside = np.argwhere(oracle.annotation > 0)
        chosen = inside[chance.integers(0, len(inside), 100_000)]
        points = (chosen + chance.random(chosen.shape)) * 100.0
        theirs = [oracle.structure_from_coords(p, microns=True) for p in points]
        np.testing.assert_array_equal(voxels.structure_ids_at(points), theirs)
        sides = [oracle.hemisphere_from_coords(p, microns=True) for p in points[::10]]
        np.testing.assert_array_equal(voxels.hemispheres_at(points[::10]), sides)
        level = [
            oracle.structure_from_coords(p, microns=True, as_acronym=True, hierarchy_lev=4)
            if len(oracle.structures[int(i)]["structure_id_path"]) > 4
            else None
            for p, i in zip(points[::50], theirs[::50], strict=True)
        ]
        ours = voxels.acronyms_at(points[::50], depth=4).tolist()
        assert [o for o, t in zip(ours, level, strict=True) if t] == [t for t in level if t]
        np.testing.assert_array_equal(voxels.hemispheres, oracle.hemispheres)
        np.testing.assert_array_equal(voxels.volume("annotation"), oracle.annotation)
        for structure_id in oracle.structures:
            mask = oracle.get_structure_mask(structure_id)
            np.testing.assert_array_equal(voxels.id_mask(structure_id), mask)
            np.testing.assert_array_equal(voxels.mask(structure_id, dtype=np.uint8), mask > 0)
