"""Random small atlases: any tree, any labels, orphans, odd axes, asymmetric; against slow loops."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from atlasdb.hierarchy import Hierarchy
from atlasdb.names import AtlasName
from atlasdb.rows import extent_rows
from atlasdb.runs import find_extents, find_runs, rank_labels
from atlasdb.structures import StructureTable
from atlasdb.voxels import STATUSES, AtlasVoxels, Grid, RankTable
from atlasdb.voxels.data import AtlasData

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass
class RandomAtlas:
    """An atlas in memory, with what it was made of."""

    voxels: AtlasVoxels
    annotation: NDArray[np.int64]
    sides: NDArray[np.uint8]
    parents: dict[int, int | None]

    def path(self, structure_id: int) -> list[int]:
        parent = self.parents[structure_id]
        return [*(self.path(parent) if parent is not None else []), structure_id]

    def cut(self, label: int, depth: int | None, named: set[int] | None) -> int:
        """Return the structure of a label where the atlas is cut, 0 if there is none."""
        if label not in self.parents:
            return 0
        path = self.path(label)
        if depth is not None:
            return path[min(depth, len(path) - 1)]
        return next((i for i in reversed(path) if named is None or i in named), 0)


@st.composite
def atlases(draw: st.DrawFn) -> RandomAtlas:
    """Draw a tree, labels that it has and has not, and hemispheres by file or by rule."""
    ids = draw(st.lists(st.integers(1, 9_000_000_000), min_size=1, max_size=9, unique=True))
    parents: dict[int, int | None] = {ids[0]: None}
    for number, structure_id in enumerate(ids[1:], start=1):
        parents[structure_id] = ids[draw(st.integers(0, number - 1))]
    shape = draw(st.tuples(*[st.integers(1, 5)] * 3))
    strangers = draw(
        st.lists(st.integers(1, 9_000_000_000).filter(lambda i: i not in ids), max_size=2)
    )
    values = np.array([0, *ids, *strangers])
    chance = np.random.default_rng(draw(st.integers(0, 10_000)))
    annotation = chance.choice(values, size=shape)
    grid = Grid(shape, draw(st.tuples(*[st.sampled_from([10.0, 33.3, 0.1, 25.0, 1 / 3])] * 3)))
    hierarchy = Hierarchy.from_parents(list(parents), list(parents.values()))
    names = tuple(f"S{structure_id}" for structure_id in hierarchy.ids.tolist())
    structures = StructureTable(
        hierarchy, names, names, np.zeros((len(ids), 3), np.uint8), hierarchy.ids
    )
    by_file = chance.integers(0, 3, shape).astype(np.uint8) if draw(st.booleans()) else None
    runs = find_runs(annotation, by_file)
    labels = rank_labels(runs, hierarchy, hierarchy.ids)
    extents = find_extents(runs, labels.run_rank, hierarchy)
    data = AtlasData(
        name=AtlasName.parse("random_1um@1.0"),
        grid=grid,
        table=RankTable(structures, labels.values[~labels.known]),
        blobs={},
        symmetric=by_file is None,
        read_statistics=lambda: extent_rows(structures, extents, grid.resolution_um),
    )
    ranks = np.repeat(labels.run_rank, runs.length).reshape(shape)
    vars(data).update(ranks=ranks, sides=by_file)
    sides = by_file
    if sides is None:
        sides = np.full(shape, 1, np.uint8)
        sides[..., : shape[2] // 2] = 2
    return RandomAtlas(AtlasVoxels(data), annotation, sides, parents)


@settings(max_examples=150, deadline=None)
@given(atlases(), st.data())
def test_points(atlas: RandomAtlas, data: st.DataObject) -> None:
    voxels, grid = atlas.voxels, atlas.voxels.grid
    chance = np.random.default_rng(data.draw(st.integers(0, 10_000)))
    points = chance.uniform(-0.3, 1.3, (60, 3)) * grid.extent_um
    faces = chance.integers(-1, 7, (40, 3)) * np.array(grid.resolution_um)
    odd = np.array([[np.nan, 0, 0], [0, np.inf, 0], [0, 0, -np.inf], [-0.0, 0, 0], [1e300, 0, 0]])
    points = np.concatenate([points, faces, odd])
    depth = data.draw(st.none() | st.integers(0, voxels.structures.hierarchy.height))
    named = None
    if depth is None and data.draw(st.booleans()):
        named = set(data.draw(st.lists(st.sampled_from(list(atlas.parents)))))
    found = voxels.lookup(points, depth=depth, structures=None if named is None else list(named))
    at = voxels.structure_ids_at(
        points, depth=depth, structures=None if named is None else list(named), outside=-1
    )
    everywhere = voxels.hemispheres_at(points, everywhere=True, outside=7)
    for row, point in enumerate(points):
        index = np.floor(point / grid.resolution_um)
        if not ((index >= 0) & (index < grid.shape)).all():
            assert STATUSES[found.statuses[row]] == "outside"
            assert (at[row], everywhere[row]) == (-1, 7)
            assert (found.structure_ids[row], found.labels[row], found.hemispheres[row]) == (
                0,
                0,
                0,
            )
            continue
        triple = tuple(index.astype(int))
        label = int(atlas.annotation[triple])
        known = label in atlas.parents
        status = "inside" if known else "unlabelled" if label else "background"
        assert STATUSES[found.statuses[row]] == status
        assert found.labels[row] == label
        assert at[row] == found.structure_ids[row] == atlas.cut(label, depth, named)
        assert everywhere[row] == atlas.sides[triple]
        assert found.hemispheres[row] == (atlas.sides[triple] if known else 0)


@settings(max_examples=100, deadline=None)
@given(atlases(), st.data())
def test_masks(atlas: RandomAtlas, data: st.DataObject) -> None:
    voxels = atlas.voxels
    named = data.draw(st.lists(st.sampled_from(list(atlas.parents)), min_size=1, max_size=3))
    hemisphere: Any = data.draw(st.sampled_from([None, "left", "right"]))
    wanted = {None: (0, 1, 2), "left": (1,), "right": (2,)}[hemisphere]
    expected = np.array(
        [
            atlas.cut(int(label), None, set(named)) if side in wanted else 0
            for label, side in zip(atlas.annotation.flat, atlas.sides.flat, strict=True)
        ]
    ).reshape(atlas.annotation.shape)
    np.testing.assert_array_equal(voxels.id_mask(named, hemisphere=hemisphere), expected)
    np.testing.assert_array_equal(voxels.mask(named, hemisphere=hemisphere), expected > 0)
    index = voxels.mask_voxels(named, hemisphere=hemisphere)
    np.testing.assert_array_equal(index, np.argwhere(expected > 0))
    assert voxels.measured_statistics().equals(voxels.statistics())
    np.testing.assert_array_equal(
        voxels.lookup(voxels.grid.centres_um(np.argwhere(expected >= 0))).labels,
        atlas.annotation.reshape(-1),
    )
