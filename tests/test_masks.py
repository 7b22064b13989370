"""Masks, crops, lists, cuts, borders and surfaces against slow walks over the label volume."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from small import SHAPE, TREE, SmallAtlas, labels

import atlasdb
from atlasdb.errors import NoVoxelsError, UnknownDepthError, UnknownStructureError
from atlasdb.voxels import AtlasVoxels, boundaries, surface

if TYPE_CHECKING:
    from numpy.typing import NDArray

PARENTS = {structure_id: parent for structure_id, _, parent in TREE}
ACRONYMS = {structure_id: acronym for structure_id, acronym, _ in TREE}


def path(structure_id: int) -> list[int]:
    parent = PARENTS[structure_id]
    return [*(path(parent) if parent is not None else []), structure_id]


@pytest.fixture(scope="module")
def asymmetric(tmp_path_factory: pytest.TempPathFactory) -> atlasdb.Database:
    """An atlas with hemispheres of its own, neither among them, and labels without structures."""
    folder = tmp_path_factory.mktemp("masks")
    annotation = labels(4).astype(np.int64)
    annotation[annotation == 13] = 5_000_000_000
    annotation[0, 0, :2] = 77
    sides = np.random.default_rng(6).integers(0, 3, SHAPE).astype(np.uint8)
    atlas = SmallAtlas(annotation=annotation, symmetric=False, volumes={"hemispheres": sides})
    symmetric = SmallAtlas(version="1.3", annotation=labels(8))
    db = atlasdb.connect(folder / "home")
    for package in (atlas, symmetric):
        db.ingest(str(package.write(folder)))
    return db


ATLASES = ("small_rat_50um@1.0", "small_rat_50um@1.3")
CHOICES: list[Any] = [
    *PARENTS,
    "VISp2/3",
    ["CM", "cm"],
    [8, 12],
    ["10", "CM", 14],
    (13, 997),
    [],
    np.array([12, 13]),
]


def slow_mask(
    voxels: AtlasVoxels, named: Any, *, direct_only: bool, hemisphere: str | None
) -> NDArray[np.int64]:
    """Return the id of the deepest named structure at each voxel, 0 where none is."""
    ids = {acronym: i for i, acronym in ACRONYMS.items()}
    several = [named] if isinstance(named, str | int) else list(named)
    wanted = {ids[n] if isinstance(n, str) else int(n) for n in several}
    annotation = voxels.volume("annotation")
    sides = voxels.hemispheres
    found = np.zeros(SHAPE, np.int64)
    for index in np.ndindex(SHAPE):
        label = int(annotation[index])
        if label not in PARENTS:
            continue
        chain = [label] if direct_only else path(label)
        deepest = next((i for i in reversed(chain) if i in wanted), 0)
        side = {None: {0, 1, 2}, "left": {1}, "right": {2}}[hemisphere]
        found[index] = deepest if int(sides[index]) in side else 0
    return found


@pytest.mark.parametrize("atlas", ATLASES)
@pytest.mark.parametrize("hemisphere", [None, "left", "right"])
@pytest.mark.parametrize("direct_only", [False, True])
def test_masks_in_every_form(
    asymmetric: atlasdb.Database, atlas: str, hemisphere: Any, direct_only: bool
) -> None:
    voxels = asymmetric.voxels(atlas)
    for named in CHOICES:
        options: dict[str, Any] = {"direct_only": direct_only, "hemisphere": hemisphere}
        expected = slow_mask(voxels, named, **options)
        mask = voxels.mask(named, **options)
        assert mask.dtype == np.bool_
        np.testing.assert_array_equal(mask, expected > 0)
        for dtype in (np.uint8, np.int16, np.float32, "uint64"):
            numbers = voxels.mask(named, dtype=dtype, **options)
            assert numbers.dtype == dtype
            np.testing.assert_array_equal(numbers, (expected > 0).astype(dtype))
        ids = voxels.id_mask(named, **options)
        np.testing.assert_array_equal(ids, expected)
        big = isinstance(named, str | int) and named in (5_000_000_000, "VISp2/3")
        assert ids.dtype == (np.uint64 if big else np.uint32)
        np.testing.assert_array_equal(
            voxels.mask_voxels(named, **options), np.argwhere(expected > 0)
        )
        on_surface = [
            i for i in map(tuple, np.argwhere(expected > 0)) if is_surface(expected > 0, i)
        ]
        assert list(map(tuple, voxels.surface_voxels(named, **options))) == on_surface
        if not expected.any():
            with pytest.raises(NoVoxelsError):
                voxels.cropped_mask(named, **options)
            continue
        crop = voxels.cropped_mask(named, **options)
        whole = np.zeros(SHAPE, bool)
        whole[crop.window] = crop.mask
        np.testing.assert_array_equal(whole, expected > 0)
        for axis in range(3):
            others = tuple({0, 1, 2} - {axis})
            filled: NDArray[Any] = np.asarray(crop.mask.any(axis=others))
            assert filled[0], "the crop is as small as can be"
            assert filled[-1]


def is_surface(mask: NDArray[Any], index: tuple[int, ...]) -> bool:
    """Say whether a neighbour by a face is not in the mask, or is beyond it."""
    for axis, step in itertools.product(range(mask.ndim), (-1, 1)):
        near = list(index)
        near[axis] += step
        if not 0 <= near[axis] < mask.shape[axis] or not mask[tuple(near)]:
            return True
    return False


small_volumes = hnp.arrays(
    np.uint16, hnp.array_shapes(min_dims=1, max_dims=3, max_side=5), elements=st.integers(0, 2)
)


@settings(max_examples=100, deadline=None)
@given(small_volumes, st.sampled_from(["thick", "inner"]), st.data())
def test_boundaries_and_surfaces(codes: NDArray[Any], mode: Any, data: st.DataObject) -> None:
    axes = data.draw(st.sets(st.integers(0, codes.ndim - 1)))
    expected = np.zeros(codes.shape, bool)
    for index in np.ndindex(codes.shape):
        for axis, step in itertools.product(axes, (-1, 1)):
            near = list(index)
            near[axis] += step
            if 0 <= near[axis] < codes.shape[axis] and codes[tuple(near)] != codes[index]:
                expected[index] = mode == "thick" or codes[index] != 0
    np.testing.assert_array_equal(boundaries(codes, axes=sorted(axes), mode=mode), expected)
    mask = codes > 0
    surfaces = [bool(mask[i]) and is_surface(mask, i) for i in np.ndindex(codes.shape)]
    assert surface(mask).reshape(-1).tolist() == surfaces


@pytest.mark.parametrize("atlas", ATLASES)
def test_boundaries_of_an_atlas(asymmetric: atlasdb.Database, atlas: str) -> None:
    voxels = asymmetric.voxels(atlas)
    annotation = voxels.volume("annotation").astype(np.int64)
    np.testing.assert_array_equal(voxels.boundaries(), boundaries(annotation))
    for depth, structures in ((1, None), (None, ["grey", "CM"]), (None, "10")):
        ids = voxels.annotation_cut(depth=depth, structures=structures).astype(np.int64)
        if depth is not None:
            lost = ~np.isin(annotation, [0, *PARENTS])
            ids[lost] = -annotation[lost]  # labels without a structure have borders too
        mode: Any
        for mode in ("thick", "inner"):
            found = voxels.boundaries(depth=depth, structures=structures, mode=mode)
            np.testing.assert_array_equal(found, boundaries(ids, mode=mode))
    whole, plane = boundaries(annotation), boundaries(annotation[2])
    window = (slice(2, 3), slice(None), slice(None))
    np.testing.assert_array_equal(voxels.boundaries(window=window, axes=(1, 2))[0], plane)
    np.testing.assert_array_equal(voxels.boundaries(window=window), whole[window])
    window = (slice(1, -1), slice(-2, None), slice(3, 6))
    np.testing.assert_array_equal(voxels.boundaries(window=window), whole[window])
    empty = (slice(2, 2), slice(None), slice(None))
    assert voxels.boundaries(window=empty).shape == (0, *SHAPE[1:])
    with pytest.raises(ValueError, match="a window has no steps"):
        voxels.boundaries(window=(slice(None, None, 2), slice(None), slice(None)))
    with pytest.raises(ValueError, match="mode is 'thick' or 'inner', not 'outer'"):
        voxels.boundaries(mode="outer")  # type: ignore[arg-type]


def test_borders_of_slabs(full: atlasdb.Database) -> None:
    """A volume of several slabs has the same borders as the whole."""
    voxels = full.voxels("phantom_mouse_100um")
    whole = boundaries(np.asarray(voxels.ranks))
    assert whole.any()
    np.testing.assert_array_equal(voxels.boundaries(), whole)


@pytest.mark.parametrize("atlas", ATLASES)
def test_annotation_cuts(asymmetric: atlasdb.Database, atlas: str) -> None:
    voxels = asymmetric.voxels(atlas)
    annotation = voxels.volume("annotation")
    sides = voxels.hemispheres
    for depth in range(4):
        for hemisphere, wanted in ((None, {0, 1, 2}), ("left", {1}), ("right", {2})):
            expected = [
                path(label)[min(depth, len(path(label)) - 1)]
                if label in PARENTS and side in wanted
                else 0
                for label, side in zip(annotation.flat, sides.flat, strict=True)
            ]
            cut = voxels.annotation_cut(depth=depth, hemisphere=hemisphere)  # type: ignore[arg-type]
            assert cut.reshape(-1).tolist() == expected
    cut = voxels.annotation_cut(structures=["CM", "grey"])
    expected = [
        next((i for i in reversed(path(label)) if i in (70_000, 8)), 0) if label in PARENTS else 0
        for label in annotation.flat
    ]
    assert cut.reshape(-1).tolist() == expected
    with pytest.raises(UnknownDepthError):
        voxels.annotation_cut(depth=99)


@pytest.mark.parametrize(
    "atlas",
    [
        "phantom_mouse_100um",
        "phantom_anisotropic_mouse_200um",
        "phantom_asymmetric_mouse_100um",
        "phantom_odd_mouse_100um",
        "small_rat_50um@1.2",
        "small_rat_50um@1.10",
        "small_rat_100um",
    ],
)
def test_statistics_are_measured_alike(full: atlasdb.Database, atlas: str) -> None:
    voxels = full.voxels(atlas)
    stored, measured = voxels.statistics(), voxels.measured_statistics()
    assert stored.num_rows == 3 * len(voxels.structures)
    assert measured.equals(stored)
    rows = stored.to_pylist()
    for row in rows[:: max(1, len(rows) // 40)]:
        side = None if row["hemisphere"] == "both" else row["hemisphere"]
        assert voxels.mask(row["structure_id"], hemisphere=side).sum() == row["voxels"]
        index = voxels.mask_voxels(row["structure_id"], hemisphere=side)
        if len(index):
            centre = voxels.grid.centres_um(index).mean(axis=0)
            found = [row[f"centroid_{axis}_um"] for axis in ("ap", "si", "rl")]
            np.testing.assert_allclose(found, centre, rtol=1e-12)


@pytest.mark.real
def test_statistics_of_the_real_atlases(real: atlasdb.Database) -> None:
    for atlas in ("allen_mouse_100um", "example_mouse_100um"):
        voxels = real.voxels(atlas)
        assert voxels.measured_statistics().equals(voxels.statistics())


def test_wrong_masks_are_refused(asymmetric: atlasdb.Database) -> None:
    voxels = asymmetric.voxels("small_rat_50um")
    with pytest.raises(UnknownStructureError, match="no structure 'Cm'.*did you mean CM"):
        voxels.mask("Cm")
    with pytest.raises(ValueError, match="hemisphere is 'left' or 'right', not 'both'"):
        voxels.mask("CM", hemisphere="both")  # type: ignore[arg-type]
    for dtype in ("S1", "complex64", object):
        with pytest.raises(ValueError, match="a mask holds truth values or numbers"):
            voxels.mask("CM", dtype=dtype)
    assert voxels.mask([]).sum() == 0
    with pytest.raises(ValueError, match="hemisphere is 'left' or 'right', not 'Left'"):
        voxels.mask_voxels("CM", hemisphere="Left")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="a structure is an acronym or an integer id, not b'CM'"):
        voxels.mask(b"CM")
    once: Any = (acronym for acronym in ["CM", "cm"])
    assert len(voxels.mask_voxels(once)) == voxels.mask(["CM", "cm"]).sum() > 0
