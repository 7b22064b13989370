"""Runs, ranks and extents against loops over voxels."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from atlasdb.hierarchy import Hierarchy
from atlasdb.runs import (
    HEMISPHERES,
    Runs,
    find_extents,
    find_runs,
    rank_labels,
    rank_slabs,
)
from atlasdb.structures import NO_LABEL

IDS = [997, 8, 70_000, 5_000_000_000, 12, 13]
PARENTS: list[int | None] = [None, 997, 8, 70_000, 8, 997]
LABELS = [0, 997, 8, 70_000, 5_000_000_000, 12, 5, 6]  # 13 never occurs; 5 and 6 are orphans
TREE = Hierarchy.from_parents(IDS, PARENTS)

shapes = st.tuples(st.integers(1, 4), st.integers(1, 4), st.integers(1, 9))


@st.composite
def volumes(draw: st.DrawFn) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any] | None]:
    """Draw a label volume, and a hemisphere volume or none."""
    shape = draw(shapes)
    labels = draw(hnp.arrays(np.int64, shape, elements=st.sampled_from(LABELS)))
    sides = draw(st.none() | hnp.arrays(np.uint8, shape, elements=st.integers(0, 2)))
    return labels, sides


def side_of(sides: np.ndarray[Any, Any] | None, shape: tuple[int, ...], index: Any) -> int:
    """Return 1 left, 2 right, 0 neither of a voxel: the rule, or the volume."""
    if sides is not None:
        return int(sides[index])
    return 2 if index[2] < shape[2] // 2 else 1


@given(volumes())
def test_runs_are_the_volume(volume: tuple[Any, Any]) -> None:
    labels, sides = volume
    runs = find_runs(labels, sides)
    rebuilt = np.repeat(runs.values[runs.value_index], runs.length).reshape(labels.shape)
    np.testing.assert_array_equal(rebuilt, labels)
    side = np.repeat(runs.hemisphere, runs.length).reshape(labels.shape)
    for index in np.ndindex(*labels.shape):
        assert side[index] == side_of(sides, labels.shape, index)
    for run in range(len(runs)):
        assert runs.start[run] + runs.length[run] <= labels.shape[2]
        if run and runs.start[run]:
            changed = runs.value_index[run] != runs.value_index[run - 1]
            assert changed or runs.hemisphere[run] != runs.hemisphere[run - 1]
    assert runs.line.tolist() == sorted(runs.line.tolist())


@given(volumes())
def test_ranks_are_the_structures_and_orphans_come_after(volume: tuple[Any, Any]) -> None:
    labels, sides = volume
    runs = find_runs(labels, sides)
    ranked = rank_labels(runs, TREE, TREE.ids)
    orphans = sorted(set(np.unique(labels).tolist()) - {0, *IDS})
    expected = {0: 0} | {value: len(IDS) + 1 + n for n, value in enumerate(orphans)}
    expected |= {i: int(TREE.rank_of(i)) for i in IDS}
    ranks = np.concatenate(list(rank_slabs(runs, ranked.run_rank))).reshape(labels.shape)
    assert ranks.dtype == np.uint16
    assert ranks.tolist() == np.vectorize(expected.get, otypes=[int])(labels).tolist()
    for value, rank, known, voxels in zip(
        ranked.values, ranked.rank, ranked.known, ranked.voxels, strict=True
    ):
        assert rank == expected[int(value)]
        assert known == (value in IDS)
        assert voxels == np.count_nonzero(labels == value)


@given(volumes())
def test_extents_are_what_counting_voxels_gives(volume: tuple[Any, Any]) -> None:
    labels, sides = volume
    runs = find_runs(labels, sides)
    extents = find_extents(runs, rank_labels(runs, TREE, TREE.ids).run_rank, TREE)
    for rank in TREE.rank:
        below = set(TREE.ids[rank - 1 : TREE.last_rank[rank - 1]].tolist())
        for number, name in enumerate(HEMISPHERES):
            on_side = [
                index
                for index in np.ndindex(*labels.shape)
                if name == "both"
                or side_of(sides, labels.shape, index) == {"left": 1, "right": 2}[name]
            ]
            inside = np.array([i for i in on_side if int(labels[i]) in below])
            own = sum(int(labels[i]) == TREE.ids[rank - 1] for i in on_side)
            assert extents.direct_voxels[number, rank - 1] == own
            assert extents.voxels[number, rank - 1] == len(inside)
            if len(inside):
                centre = inside.mean(axis=0) + 0.5
                np.testing.assert_allclose(extents.centroid[number, rank - 1], centre)
                low, high = inside.min(axis=0), inside.max(axis=0)
                assert extents.lowest[number, rank - 1].tolist() == low.tolist()
                assert extents.highest[number, rank - 1].tolist() == high.tolist()
            else:
                assert np.isnan(extents.centroid[number, rank - 1]).all()


def test_many_slabs_and_chunks_give_what_one_gives(monkeypatch: Any) -> None:
    labels = np.random.default_rng(0).choice(LABELS, size=(11, 5, 13))
    sides = np.random.default_rng(1).integers(0, 3, size=labels.shape).astype(np.uint8)

    def everything() -> tuple[Runs, Any, Any, Any]:
        runs = find_runs(labels, sides)
        ranked = rank_labels(runs, TREE, TREE.ids)
        slabs = np.concatenate(list(rank_slabs(runs, ranked.run_rank)))
        return runs, ranked, find_extents(runs, ranked.run_rank, TREE), slabs

    one = everything()
    monkeypatch.setattr("atlasdb.runs._SLAB_VOXELS", 100)
    monkeypatch.setattr("atlasdb.runs._CHUNK_RUNS", 17)
    many = everything()
    for first, second in zip(one[:3], many[:3], strict=True):
        for name, value in vars(first).items():
            np.testing.assert_array_equal(value, getattr(second, name))
    np.testing.assert_array_equal(one[3], many[3])


def test_label_values_need_not_be_the_ids() -> None:
    values = TREE.rank * 10
    volume = np.array([[[10, 30, 30, 0, 997]]])
    ranked = rank_labels(find_runs(volume), TREE, values)
    assert ranked.rank.tolist() == [1, 3, 7]
    assert ranked.structure_id[ranked.known].tolist() == [997, 70_000]


def test_more_than_65535_structures_need_wider_ranks() -> None:
    n = 70_000
    tree = Hierarchy.from_parents(range(1, n + 1), [None, *([1] * (n - 1))])
    volume = np.arange(n, dtype=np.uint32).reshape(7, 100, 100)
    runs = find_runs(volume)
    ranked = rank_labels(runs, tree, tree.ids)
    assert ranked.run_rank.dtype == np.uint32
    np.testing.assert_array_equal(
        np.concatenate(list(rank_slabs(runs, ranked.run_rank))), volume.reshape(-1)
    )


def test_strided_views_are_read_right() -> None:
    labels = np.random.default_rng(0).choice(LABELS, size=(3, 5, 7))
    turned = labels.transpose(2, 0, 1)[::-1, :, ::-1]
    runs = find_runs(turned)
    rebuilt = np.repeat(runs.values[runs.value_index], runs.length).reshape(turned.shape)
    np.testing.assert_array_equal(rebuilt, turned)


def test_structures_without_a_value_are_nobody_s_labels() -> None:
    """Not even those of a volume that holds the number that stands for no value."""
    values = np.array([5, NO_LABEL, NO_LABEL, 7])
    tree = Hierarchy.from_parents([1, 2, 3, 4], [None, 1, 1, 1])
    volume = np.array([[[5, NO_LABEL, 7, 0, 2]]], dtype=np.int64)
    ranked = rank_labels(find_runs(volume), tree, values)
    assert ranked.values.tolist() == [NO_LABEL, 2, 5, 7]
    assert ranked.rank.tolist() == [5, 6, 1, 4]
    assert ranked.known.tolist() == [False, False, True, True]
