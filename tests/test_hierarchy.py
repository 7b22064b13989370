"""Ranks, depths and closure against the obvious: recursion over lists of children."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atlasdb.errors import HierarchyError
from atlasdb.hierarchy import Hierarchy


@st.composite
def trees(draw: st.DrawFn, largest: int = 60) -> tuple[list[int], list[int | None]]:
    """Draw ids in any order, each with a parent, of one tree."""
    n = draw(st.integers(1, largest))
    ids = draw(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=n, max_size=n, unique=True))
    parents: list[int | None] = [None]
    parents += [ids[draw(st.integers(0, index - 1))] for index in range(1, n)]
    order = draw(st.permutations(range(n)))
    return [ids[i] for i in order], [parents[i] for i in order]


def walk(ids: list[int], parents: list[int | None]) -> list[tuple[int, int]]:
    """Return (id, depth) depth-first, siblings in list order: the slow oracle."""

    def visit(node: int, depth: int) -> list[tuple[int, int]]:
        below = [i for i, parent in zip(ids, parents, strict=True) if parent == node]
        return [(node, depth), *(pair for child in below for pair in visit(child, depth + 1))]

    root = next(i for i, parent in zip(ids, parents, strict=True) if parent is None)
    return visit(root, 0)


def ancestors(node: int, parent_of: dict[int, int | None]) -> list[int]:
    """Return the node and its ancestors, upwards."""
    parent = parent_of[node]
    return [node] if parent is None else [node, *ancestors(parent, parent_of)]


@given(trees())
def test_ranks_follow_a_depth_first_walk(tree: tuple[list[int], list[int | None]]) -> None:
    found = Hierarchy.from_parents(*tree)
    assert list(zip(found.ids.tolist(), found.depth.tolist(), strict=True)) == walk(*tree)
    assert [tree[0][i] for i in found.source_index] == found.ids.tolist()


@given(trees())
def test_closure_is_every_ancestor_with_its_distance(
    tree: tuple[list[int], list[int | None]],
) -> None:
    found = Hierarchy.from_parents(*tree)
    parent_of = dict(zip(*tree, strict=True))
    expected = {
        (ancestor, node, distance)
        for node in tree[0]
        for distance, ancestor in enumerate(ancestors(node, parent_of))
    }
    closure = found.closure()
    rows = zip(
        found.ids[closure.ancestor - 1].tolist(),
        found.ids[closure.descendant - 1].tolist(),
        closure.distance.tolist(),
        strict=True,
    )
    assert set(rows) == expected
    assert closure.ancestor.size == len(expected) == int((found.depth + 1).sum())


@given(trees(), st.randoms(use_true_random=False))
def test_subtrees_are_rank_ranges(
    tree: tuple[list[int], list[int | None]], rng: random.Random
) -> None:
    found = Hierarchy.from_parents(*tree)
    parent_of = dict(zip(*tree, strict=True))
    values = np.array([rng.randrange(-99, 99) for _ in tree[0]])
    total, lowest = found.subtree_sum(values), found.subtree_minimum(values)
    for rank, node in enumerate(found.ids.tolist(), start=1):
        inside = [node in ancestors(other, parent_of) for other in found.ids.tolist()]
        expected = [rank <= other <= found.last_rank[rank - 1] for other in found.rank]
        assert inside == expected
        assert total[rank - 1] == values[inside].sum()
        assert lowest[rank - 1] == values[inside].min()


@given(trees())
def test_paths_give_the_same_tree(tree: tuple[list[int], list[int | None]]) -> None:
    parent_of = dict(zip(*tree, strict=True))
    paths = [ancestors(node, parent_of)[::-1] for node in tree[0]]
    by_paths, by_parents = Hierarchy.from_paths(tree[0], paths), Hierarchy.from_parents(*tree)
    for name in ("ids", "parent_rank", "depth", "last_rank", "source_index"):
        np.testing.assert_array_equal(getattr(by_paths, name), getattr(by_parents, name))


@given(trees(), st.integers(-(2**63), 2**63 - 1))
def test_rank_of_an_id_and_of_none(tree: tuple[list[int], list[int | None]], other: int) -> None:
    found = Hierarchy.from_parents(*tree)
    assert found.rank_of(found.ids).tolist() == found.rank.tolist()
    expected = found.ids.tolist().index(other) + 1 if other in tree[0] else 0
    assert int(found.rank_of(other)) == expected


@settings(max_examples=3, deadline=None)
@given(st.integers(0, 99))
def test_large_and_deep_trees(seed: int) -> None:
    rng = random.Random(seed)
    wide = [None, *(rng.randrange(index) for index in range(1, 70_000))]
    found = Hierarchy.from_parents(range(70_000), wide)
    assert found.last_rank[0] == 70_000
    chain = Hierarchy.from_parents(range(3_000), [None, *range(2_999)])
    assert chain.height == 2_999
    assert chain.closure().ancestor.size == 3_000 * 3_001 // 2


@pytest.mark.parametrize(
    ("ids", "parents", "message"),
    [
        ([], [], "no structure"),
        ([1, 2, 1], [None, 1, 1], "more than once: 1"),
        ([1, 2], [None, 3], r"do not exist: 3 \(parent of 2\)"),
        ([1, 2], [None, None], "one root .* found 1, 2"),
        ([1, 2], [2, 1], "no root"),
        ([1, 2, 3, 4], [None, 4, 2, 3], "does not reach 2, 3, 4"),
        ([1, 2], [None, 2], "does not reach 2"),
        ([1, 2**63], [None, 1], f"64 bits, found {2**63}"),
    ],
)
def test_what_is_no_tree_is_refused(
    ids: list[int], parents: list[int | None], message: str
) -> None:
    with pytest.raises(HierarchyError, match=message):
        Hierarchy.from_parents(ids, parents)


@pytest.mark.parametrize(
    ("paths", "message"),
    [
        ([[1], [1, 3]], r"structure 2: its path must run .* found \[1, 3\]"),
        ([[1], []], r"structure 2: .* found \[\]"),
        ([[1], [1, 2], [2, 3]], r"structure 3: its path \[2, 3\] .* expected \[1, 2, 3\]"),
        ([[1], [1, 2], [1, 9, 2, 3]], "expected \\[1, 2, 3\\]"),
    ],
)
def test_paths_that_contradict_the_parents_are_refused(
    paths: list[list[int]], message: str
) -> None:
    with pytest.raises(HierarchyError, match=message):
        Hierarchy.from_paths(range(1, len(paths) + 1), paths)
