"""Macros over the hierarchy against slow loops: real structures, random trees, odd callers."""

from __future__ import annotations

import json
import random
import tarfile
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small import SmallAtlas, structure
from trees import ATLAS, Tree, TreeDatabase

import atlasdb
from atlasdb.models import Base

ALLEN = "allen_mouse_100um"

RECURSIVE = """
WITH RECURSIVE pairs AS (
    SELECT structure_id AS ancestor_id, structure_id AS descendant_id, 0 AS distance
    FROM main.structure WHERE atlas_id = atlas_id($atlas)
    UNION ALL
    SELECT p.ancestor_id, s.structure_id, p.distance + 1
    FROM pairs AS p
    JOIN main.structure AS s ON s.atlas_id = atlas_id($atlas) AND s.parent_id = p.descendant_id
)
SELECT ancestor_id, descendant_id, distance FROM pairs
"""
CLOSURE = """
SELECT ancestor_id, descendant_id, distance FROM main.structure_closure
WHERE atlas_id = atlas_id($atlas)
"""
RANKS = """
SELECT a.structure_id AS ancestor_id, d.structure_id AS descendant_id, d.depth - a.depth AS distance
FROM main.structure AS a
JOIN main.structure AS d ON d.atlas_id = a.atlas_id AND d.rank BETWEEN a.rank AND a.last_rank
WHERE a.atlas_id = atlas_id($atlas)
"""


@pytest.fixture(scope="module")
def trees(tmp_path_factory: pytest.TempPathFactory) -> TreeDatabase:
    return TreeDatabase(tmp_path_factory.mktemp("trees") / "trees.duckdb")


def random_tree(size: int, seed: int, deepen: float) -> Tree:
    """Return a random tree; the nearer `deepen` is to 1, the deeper."""
    chance = random.Random(seed)
    ids = chance.sample(range(1, 2**62), size)
    parents: list[int | None] = [None]
    for index in range(1, size):
        deep = chance.random() < deepen
        parents.append(ids[index - 1 if deep else chance.randrange(index)])
    return Tree(ids, parents, [chance.choice((0, 0, 1, 7)) for _ in ids])


small_trees = st.builds(
    random_tree, st.integers(1, 40), st.integers(0, 2**32), st.sampled_from([0, 0.5, 0.9])
)


def pairs(tree: Tree) -> list[tuple[int, int, int]]:
    """Return ancestor, descendant and distance, from every structure's path."""
    return sorted(
        (ancestor, node, distance)
        for node in tree.ids
        for distance, ancestor in enumerate(reversed(tree.path(node)))
    )


@pytest.mark.real
def test_closure_recursion_ranks_and_paths_agree_on_the_real_atlas(
    real: atlasdb.Database, packages: Path
) -> None:
    with tarfile.open(packages / f"{ALLEN}_v1.2.tar.gz") as tar:
        member = tar.extractfile(f"{ALLEN}_v1.2/structures.json")
        assert member is not None
        entries = json.load(member)
    assert len(entries) == 839
    paths = {entry["id"]: entry["structure_id_path"] for entry in entries}
    expected = sorted(
        (ancestor, node, distance)
        for node, path in paths.items()
        for distance, ancestor in enumerate(reversed(path))
    )
    for sql in (CLOSURE, RECURSIVE, RANKS):
        found = [tuple(row.values()) for row in real.sql(sql, {"atlas": ALLEN}).to_pylist()]
        assert sorted(found) == expected
    acronym = {entry["id"]: entry["acronym"] for entry in entries}
    for row in real.sql(f"SELECT structure_id, path FROM {ALLEN}.structure").to_pylist():
        assert row["path"] == [acronym[i] for i in paths[row["structure_id"]]]
    of_all = real.sql(
        "SELECT s.structure_id, list(a.structure_id ORDER BY a.rank) AS ancestors "
        f"FROM {ALLEN}.structure AS s LEFT JOIN LATERAL "
        f"(FROM ancestors('{ALLEN}', s.structure_id)) AS a ON true GROUP BY ALL"
    ).to_pylist()
    assert len(of_all) == 839
    for row in of_all:
        assert [i for i in row["ancestors"] if i is not None] == paths[row["structure_id"]][:-1]


@pytest.mark.real
def test_the_path_of_visp(real: atlasdb.Database) -> None:
    """As BrainGlobe, the Allen API and the atlas's own structure_id_path give it."""
    path = [997, 8, 567, 688, 695, 315, 669, 385]
    assert real.ancestors(ALLEN, "VISp")["structure_id"].to_pylist() == path[:-1]
    with real.session(atlas=ALLEN) as session:
        visp = session.structure("VISp")
        assert [*(s.structure_id for s in visp.ancestors), visp.structure_id] == path
    found = real.sql(
        f"SELECT list(ancestor_id ORDER BY distance DESC) AS path FROM {ALLEN}.closure "
        f"WHERE descendant_id = structure_id_of('{ALLEN}', 'VISp')"
    )
    assert found.to_pylist() == [{"path": path}]


@pytest.mark.parametrize(("size", "deepen"), [(10_000, 0.0), (3_000, 0.7), (400, 0.99)])
def test_closure_recursion_and_ranks_agree_on_large_trees(
    trees: TreeDatabase, size: int, deepen: float
) -> None:
    tree = random_tree(size, size, deepen)
    trees.load(tree)
    expected = pairs(tree)
    for sql in (CLOSURE, RECURSIVE, RANKS):
        assert sorted(trees.ask(sql)) == expected
    some = random.Random(size).sample(tree.ids, 20)
    for node in some:
        assert trees.column("FROM descendants($atlas, $s)", s=node) == tree.subtree(node)[1:]
        assert trees.column("FROM ancestors($atlas, $s)", s=node) == tree.path(node)[:-1]


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(small_trees, st.data())
def test_relatives_are_those_of_a_slow_walk(
    trees: TreeDatabase, tree: Tree, data: st.DataObject
) -> None:
    trees.load(tree)
    for sql in (CLOSURE, RECURSIVE, RANKS):
        assert sorted(trees.ask(sql)) == pairs(tree)
    node = data.draw(st.sampled_from(tree.ids))
    for given_as in (node, tree.acronym(node)):
        for macro, expected in (
            ("subtree", tree.subtree(node)),
            ("descendants", tree.subtree(node)[1:]),
            ("ancestors", tree.path(node)[:-1]),
            ("children", tree.children(node)),
            ("siblings", tree.siblings(node)),
            ("leaves", tree.leaves(node)),
        ):
            assert trees.column(f"FROM {macro}($atlas, $s)", s=given_as) == expected
    for macro, sign in (("subtree", 1), ("ancestors", -1)):
        rows = trees.ask(f"SELECT structure_id, distance FROM {macro}($atlas, $s)", s=node)
        assert dict(rows) == {i: sign * (tree.depth(i) - tree.depth(node)) for i, _ in rows}
    other = data.draw(st.sampled_from(tree.ids))
    common = [i for i in tree.path(node) if i in tree.path(other)]
    for first, second in ((node, other), (other, node)):
        assert trees.column(
            "SELECT lowest_common_ancestor($atlas, $a, $b)", a=first, b=tree.acronym(second)
        ) == [common[-1]]
    assert trees.column("SELECT is_descendant($atlas, $a, $b)", a=node, b=other) == [
        other in tree.path(node)[:-1]
    ]


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(small_trees, st.data())
def test_levels_of_ragged_trees(trees: TreeDatabase, tree: Tree, data: st.DataObject) -> None:
    trees.load(tree)
    depth = data.draw(st.integers(0, tree.height))
    node = data.draw(st.sampled_from(tree.ids))
    whole = tree.subtree(tree.root)
    at = [i for i in whole if tree.depth(i) == depth]
    ragged = [i for i in whole if i in at or (tree.depth(i) < depth and not tree.children(i))]
    call = "FROM structures_at_depth($atlas, $d{})"
    assert trees.column(call.format(""), d=depth) == at
    assert trees.column(call.format(", ragged := 'leaf'"), d=depth) == ragged
    below = set(tree.subtree(node))
    for extra, expected in (("", at), (", ragged := 'leaf'", ragged)):
        found = trees.column(call.format(f", under := $s{extra}"), d=depth, s=node)
        assert found == [i for i in expected if i in below]
    for i in tree.ids:
        assert trees.column("SELECT ancestor_at_depth($atlas, $s, $d)", s=i, d=depth) == [
            (tree.path(i)[: depth + 1])[-1]
        ]
    cut = trees.ask(
        "SELECT structure_id, status, is_assigned, voxels FROM annotation_cut($atlas, $d)", d=depth
    )
    expected_cut: dict[int | None, int] = dict.fromkeys(ragged, 0)
    for i in tree.ids:
        place = (tree.path(i)[: depth + 1])[-1]
        if place in expected_cut or tree.voxels_of[i]:
            expected_cut[place] = expected_cut.get(place, 0) + tree.voxels_of[i]
    assert {row[0]: row[3] for row in cut if row[1] == "inside"} == expected_cut
    assert {row[0] for row in cut if row[2]} == set(ragged)
    assert [row[1:] for row in cut[-2:]] == [("unlabelled", False, 0), ("background", False, 5)]
    assert sum(row[3] for row in cut) == sum(tree.direct_voxels) + 5


def faults(tree: Tree, whole: int, parts: list[int]) -> list[tuple[str, int, int | None]]:
    """Return what is wrong with a partition, by looking at every structure and every pair."""
    found: list[tuple[str, int, int | None]] = []
    inside = tree.subtree(whole)
    covered = {i for part in parts for i in tree.subtree(part)}
    above = {i for part in parts for i in tree.path(part)[:-1]}
    for i in inside:
        if i in covered:
            continue
        if i in above:
            found += [("unassigned", i, None)] if tree.voxels_of[i] else []
        elif i == whole or tree.parent_of[i] in above:
            found.append(("gap", i, None))
    for n, part in enumerate(parts):
        found += [("outside", part, None)] if part not in inside else []
        for m, other in enumerate(parts):
            if other in tree.path(part)[:-1] or (other == part and m < n):
                found.append(("overlap", part, other))
    return found


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(small_trees, st.data())
def test_partitions(trees: TreeDatabase, tree: Tree, data: st.DataObject) -> None:
    trees.load(tree)
    whole = data.draw(st.sampled_from(tree.ids))
    parts = data.draw(st.lists(st.sampled_from(tree.ids), max_size=6))
    rows = trees.ask(
        "SELECT fault, structure_id, within_id, voxels FROM partition_check($atlas, $s, $parts)",
        s=whole,
        parts=parts,
    )
    key = repr
    assert sorted((r[:3] for r in rows), key=key) == sorted(faults(tree, whole, parts), key=key)
    for fault, node, _, voxels in rows:
        assert voxels == (tree.voxels_of[node] if fault == "unassigned" else tree.voxels(node))
    if not any(row[0] in {"overlap", "outside"} for row in rows):
        missing = sum(row[3] for row in rows)
        assert sum(map(tree.voxels, parts)) + missing == tree.voxels(whole)


def test_a_level_with_its_leaves_tiles_the_atlas(trees: TreeDatabase) -> None:
    tree = random_tree(60, 4, 0.5)
    tree = Tree(tree.ids, tree.parents, [0 if tree.children(i) else 3 for i in tree.ids])
    trees.load(tree)
    for depth in range(tree.height + 1):
        parts = trees.column("FROM structures_at_depth($atlas, $d, ragged := 'leaf')", d=depth)
        assert trees.ask("FROM partition_check($atlas, $s, $p)", s=tree.root, p=parts) == []


def test_arguments_are_the_caller_s_columns_whatever_they_are_called(
    full: atlasdb.Database,
) -> None:
    """Names that the macros' tables and aliases bear too, unqualified and qualified."""
    expected = full.sql(
        "SELECT structure_id, parent_id, depth, acronym FROM phantom_mouse_100um.structure"
    ).to_pylist()
    parent = {row["structure_id"]: row["parent_id"] for row in expected}
    name_of = {row["structure_id"]: row["acronym"] for row in expected}

    def above(node: int, depth: int) -> int:
        path = [node]
        while parent[path[0]] is not None:
            path.insert(0, parent[path[0]])
        return path[: depth + 1][-1]

    below = {
        node: sum(node != i and above(i, r["depth"]) == node for i in parent)
        for node, r in zip(parent, expected, strict=True)
    }
    names = (
        ("atlas_id", "structure_id", "depth"),
        ("name", "acronym", "rank"),
        ("version", "ancestor_id", "distance"),
        ("_atlas", "_structure", "_depth"),
        ("_m_atlas", "_m_structure", "_m_depth"),
        ("_m_given", "_m_s", "_m_of"),
        ("atlas", "structure", "under"),
    )
    for as_text in (False, True):
        for atlas, key, depth in names:
            source = (
                f"SELECT 'phantom_mouse_100um' AS {atlas}, "
                f"{'acronym' if as_text else 'structure_id'} AS {key}, 2 AS {depth}, "
                "structure_id AS node FROM phantom_mouse_100um.structure"
            )
            for prefix in ("", "caller."):
                a, k, d = (f"{prefix}{column}" for column in (atlas, key, depth))
                rows = full.sql(
                    f"WITH caller AS ({source}) SELECT {prefix}node AS node, "
                    f"ancestor_at_depth({a}, {k}, {d}) AS above, "
                    f"structure_of({a}, {k}).acronym AS acronym, "
                    f"lowest_common_ancestor({a}, {k}, {k}) AS common, "
                    f"is_descendant({a}, {k}, 'root') AS is_below, "
                    f"(SELECT count(*) FROM descendants({a}, {k})) AS below FROM caller"
                ).to_pylist()
                assert len(rows) == len(expected)
                for row in rows:
                    node = row["node"]
                    assert row["above"] == above(node, 2)
                    assert row["acronym"] == name_of[node]
                    assert row["common"] == node
                    assert row["is_below"] == (parent[node] is not None)
                    assert row["below"] == below[node]


def test_several_values_are_refused_where_one_is_meant(full: atlasdb.Database) -> None:
    """unnest() and count(*) as arguments would be misunderstood; a subquery before them is right."""
    for call in (
        "acronym_of('small_rat_50um', unnest(['CM', 'cm']))",
        "atlas_id(unnest(['small_rat_50um', 'phantom_mouse_100um']))",
        "ancestor_at_depth('small_rat_50um', 'CM', unnest([1, 2]))",
        "structure_id_at('small_rat_50um', unnest([5, 6]), 4, 3)",
        "ancestor_at_depth('small_rat_50um', 'CM', count(*))",
    ):
        with pytest.raises(atlasdb.QueryError, match="UNNEST|Aggregate"):
            full.sql(f"SELECT {call} FROM range(2)")
    found = full.sql(
        "SELECT acronym_of('small_rat_50um', ancestor_at_depth('small_rat_50um', 'VISp2/3', n)) "
        "AS x FROM (SELECT count(*) AS n FROM range(2))"
    )
    assert found.to_pylist() == [{"x": "CM"}]


def test_a_temporary_table_never_stands_in_for_ours(full: atlasdb.Database) -> None:
    """DuckDB finds temporary tables and registered frames first; macros notice."""
    asked = (
        "SELECT count(*) FROM subtree('phantom_mouse_100um', 'CTX')",
        "SELECT acronym_at('phantom_mouse_100um', 5000, 4000, 3000)",
        "SELECT sum(voxels) FROM annotation_cut('phantom_mouse_100um', 3)",
        "SELECT count(*) FROM search_structures('CTX', atlas := 'phantom_mouse_100um')",
    )
    names = [table.name for table in Base.metadata.sorted_tables]
    assert len(names) == 10
    for name in names:
        for kind in ("TABLE", "VIEW"):
            with duckdb.connect(str(full.home.database), read_only=True) as connection:
                connection.execute(f"CREATE TEMP TABLE nothing AS FROM main.{name} LIMIT 0")
                connection.execute(f"CREATE TEMP {kind} {name} AS FROM nothing")
                for sql in asked:
                    with pytest.raises(duckdb.Error, match=f"called {name} hides"):
                        connection.execute(sql).fetchall()
                connection.execute(f"DROP {kind} temp.main.{name}")
                for sql in asked:
                    connection.execute(sql).fetchall()


def test_null_is_no_whole_and_no_part(full: atlasdb.Database) -> None:
    atlas = "'phantom_mouse_100um'"
    rows = full.sql(
        "SELECT v.s, count(*) AS n FROM (VALUES ('CTX'), (NULL)) AS v (s), "
        f"structures_at_depth({atlas}, 4, under := v.s) GROUP BY v.s"
    ).to_pylist()
    assert [row["s"] for row in rows] == ["CTX"]
    for arguments in ("NULL, ['CP']", "'CTX', NULL", "'CTX', ['CP', NULL]"):
        with pytest.raises(atlasdb.QueryError, match="NULL is neither"):
            full.sql(f"FROM partition_check({atlas}, {arguments})")
    with pytest.raises(atlasdb.QueryError, match="no atlas NULL"):
        full.sql("FROM search_structures('CTX', atlas := NULL)")


def test_every_atlas_at_once(full: atlasdb.Database) -> None:
    """Names, full names and numbers, from a column, in a home of versions and resolutions."""
    rows = full.sql(
        "SELECT a.atlas_id, a.root_id, structure_id_of(a.atlas_id, 'root') AS by_number, "
        "structure_id_of(concat(a.name, '@', a.version), 'root') AS by_name, "
        "(SELECT count(*) FROM subtree(a.atlas_id, a.root_id)) AS n, "
        "(SELECT count(*) FROM main.structure AS s WHERE s.atlas_id = a.atlas_id) AS expected "
        "FROM main.atlas AS a"
    ).to_pylist()
    assert len(rows) == 8
    for row in rows:
        assert row["by_number"] == row["by_name"] == row["root_id"]
        assert row["n"] == row["expected"]


@pytest.mark.parametrize(
    ("argument", "acronym"),
    [
        ("'10'", "10"),
        ("14", "10"),
        ("14::TINYINT", "10"),
        ("14::DOUBLE", "10"),
        ("14.0", "10"),
        ("14::HUGEINT", "10"),
        ("5000000000", "VISp2/3"),
        ("'CM'", "CM"),
        ("'cm'", "cm"),
        ("'cm'::ENUM('cm', 'CM')", "cm"),
        ("'CUL4, 5'", "CUL4, 5"),
        ("NULL", None),
        ("NULL::BIGINT", None),
    ],
)
def test_text_is_an_acronym_and_a_number_is_an_id(
    full: atlasdb.Database, argument: str, acronym: str | None
) -> None:
    sql = f"SELECT acronym_of('small_rat_50um', {argument}) AS found"
    assert full.sql(sql).to_pylist() == [{"found": acronym}]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("acronym_of('small_rat_50um', 'Gray')", "no structure Gray in small_rat_50um; did you mean grey?"),
        ("acronym_of('small_rat_50um', '14')", "no structure 14 in small_rat_50um; an id is a number, without quotes"),
        ("acronym_of('small_rat_50um', 10)", "no structure 10 in small_rat_50um"),
        ("acronym_of('small_rat_50um', 14.5)", "no structure 14.5 in small_rat_50um"),
        ("acronym_of('small_rat_50um', 'nan'::DOUBLE)", "no structure nan in small_rat_50um"),
        ("acronym_of('small_rat_50', 'CM')", "no atlas small_rat_50 in this database; nearest: small_rat_50um@"),
        ("acronym_of('small_rat_50um@3.0', 'CM')", "no atlas small_rat_50um@3.0 in this database; nearest: small_rat_50um@"),
        ("acronym_of(NULL, 'CM')", "no atlas NULL in this database"),
        ("acronym_of(99, 'CM')", "no atlas 99 in this database"),
        ("ancestor_at_depth('small_rat_50um', 'CM', 4)", "no depth 4 in small_rat_50um: the root has 0, the deepest structures 3"),
        ("ancestor_at_depth('small_rat_50um', 'CM', -1)", "no depth -1 in small_rat_50um"),
        ("ancestor_at_depth('small_rat_50um', 'CM', 1.5)", "no depth 1.5 in small_rat_50um"),
        ("is_descendant('small_rat_50um', 'CM', 'gray')", "no structure gray in small_rat_50um; did you mean grey?"),
        ("(SELECT count(*) FROM descendants('small_rat_50um', 'Grey'))", "no structure Grey .* did you mean grey?"),
        ("(SELECT count(*) FROM structures_at_depth('small_rat_50um', 9))", "no depth 9"),
        ("(SELECT count(*) FROM structures_at_depth('small_rat_50um', 1, under := 'Grey'))", "no structure Grey"),
        ("(SELECT count(*) FROM structures_at_depth('small_rat_50um', 1, ragged := 'x'))", "ragged is 'omit' or 'leaf', not x"),
        ("(SELECT count(*) FROM annotation_cut('small_rat_50um', 9))", "no depth 9"),
        ("(SELECT count(*) FROM partition_check('small_rat_50um', 'grey', ['CM', 'cn']))", "no structure cn"),
        ("(SELECT count(*) FROM search_structures('x', atlas := 'small'))", "no atlas small in this database"),
    ],
)  # fmt: skip
def test_unknown_names_are_errors_that_name_the_nearest(
    full: atlasdb.Database, call: str, message: str
) -> None:
    with pytest.raises(atlasdb.QueryError, match=message.replace("?", r"\?")):
        full.sql(f"SELECT {call}")


def test_an_acronym_of_several_structures(db: atlasdb.Database, tmp_path: Path) -> None:
    entries = [structure(1, "root", [1]), structure(2, "X", [1, 2]), structure(3, "X", [1, 3])]
    db.ingest(str(SmallAtlas(structures=entries).write(tmp_path)))
    message = "acronym X belongs to several structures of small_rat_50um.*: ids 2, 3; name one by"
    with pytest.raises(atlasdb.QueryError, match=message):
        db.sql("FROM descendants('small_rat_50um', 'X')")
    with pytest.raises(atlasdb.AmbiguousAcronymError, match=message):
        db.descendants("small_rat_50um", "X")
    with (
        db.session(atlas="small_rat_50um") as session,
        pytest.raises(atlasdb.AmbiguousAcronymError, match=message),
    ):
        session.structure("X")
    assert db.siblings("small_rat_50um", 2)["structure_id"].to_pylist() == [3]


@pytest.mark.parametrize("structure", [None, True, 3.5, b"CM", ["CM"]])
def test_what_is_no_structure_at_all(full: atlasdb.Database, structure: Any) -> None:
    for ask in (full.descendants, full.ancestors, full.structure):
        with pytest.raises(TypeError, match="an acronym or an integer id, not"):
            ask("small_rat_50um", structure)


def test_numbers_of_numpy(full: atlasdb.Database) -> None:
    found = full.structures_at_depth("small_rat_50um", np.int64(2), under=np.uint16(8))  # type: ignore[arg-type]
    assert found["acronym"].to_pylist() == ["CM", "cm"]
    assert full.ancestor_at_depth("small_rat_50um", np.int32(12), np.int8(1)) == 8  # type: ignore[arg-type]
    assert full.query("cut", atlas="small_rat_50um", depth=np.int16(1)).num_rows == 5
    with pytest.raises(atlasdb.UnknownDepthError, match="no depth 1.5"):
        full.structures_at_depth("small_rat_50um", 1.5)  # type: ignore[arg-type]


def test_search_ranks_the_exact_first_and_forgives(full: atlasdb.Database) -> None:
    def found(text: str, atlas: str = "phantom_mouse_100um") -> list[Any]:
        acronyms: list[Any] = full.search(text, atlas=atlas)["acronym"].to_pylist()
        return acronyms

    assert found("VISp")[0] == found("visp")[0] == found("385")[0] == "VISp"
    for text in (
        "primary visual",
        "Visual primary",
        "PRIMARY VISUAL AREA",
        "primry visul",
        "prim vis",
    ):
        assert found(text)[0] == "VISp", text
    assert found("zzzzzz") == found("") == found("   ") == []
    assert found("cm", "small_rat_50um")[:2] == ["cm", "CM"]
    assert found("CM", "small_rat_50um")[:2] == ["CM", "cm"]
    assert found("VISp2/3", "small_rat_50um")[0] == "VISp2/3"
    everywhere = full.search("root")
    exact = everywhere.filter(everywhere["score"].to_numpy() == 1)
    assert exact.num_rows == 8
    assert len(set(exact["atlas"].to_pylist())) == 8
    assert full.search("VISp", atlas="phantom_mouse_100um@1.0").schema.names == [
        "atlas",
        "structure_id",
        "acronym",
        "name",
        "depth",
        "score",
    ]


@pytest.mark.real
def test_search_in_the_real_atlas(real: atlasdb.Database) -> None:
    first = {
        "primary visual": "VISp",
        "primry visul aera": "VISp",
        "caudoputamen": "CP",
        "caudoputmen": "CP",
        "ammons horn": "CA",
        "ca1": "CA1",
        "672": "CP",
        "hipocampal formation": "HPF",
    }
    for text, acronym in first.items():
        assert real.search(text, atlas=ALLEN)["acronym"][0].as_py() == acronym, text
    assert {"HPF", "HIP"} <= set(real.search("hipocampus", atlas=ALLEN)["acronym"].to_pylist())


def test_the_file_answers_without_atlasdb(full: atlasdb.Database) -> None:
    """Plain DuckDB in a fresh process that cannot import atlasdb, and attached with USE."""
    import subprocess
    import sys

    script = f"""
import sys
sys.modules["atlasdb"] = None
import duckdb
path = {str(full.home.database)!r}
query = (
    "SELECT list(acronym ORDER BY rank) FROM ancestors('small_rat_50um', 5000000000), "
)
for opened in ("own", "attached"):
    connection = duckdb.connect(path, read_only=True) if opened == "own" else duckdb.connect()
    if opened == "attached":
        connection.execute(f"ATTACH '{{path}}' AS other (READ_ONLY)")
        connection.execute("USE other")
    print(connection.execute(
        "SELECT list(acronym ORDER BY rank) FROM ancestors('small_rat_50um', 5000000000)"
    ).fetchall())
    print(connection.execute("SELECT acronym_of('small_rat_50um@1.9', 14)").fetchall())
    print(connection.execute(
        "SELECT count(*) FROM all_atlases.leaf WHERE atlas = 'small_rat_50um@1.9'"
    ).fetchall())
    connection.close()
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    expected = ["[(['root', 'grey', 'CM'],)]", "[('10',)]", "[(3,)]"]
    assert done.stdout.splitlines() == expected * 2


def test_macros_of_the_caller_s_own_are_left_alone(full: atlasdb.Database, tmp_path: Path) -> None:
    """An upgrade drops our macros by name, and nothing else that a lab has put into the file."""
    import shutil

    from atlasdb.views import create_views, drop_views

    path = tmp_path / "own.duckdb"
    shutil.copyfile(full.home.database, path)
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE MACRO main.ours(x) AS x + 1")
        drop_views(connection)
        create_views(connection)
        assert connection.execute("SELECT ours(1)").fetchall() == [(2,)]


def test_trees_are_what_they_say() -> None:
    """The oracle itself, on a tree that can be checked by eye."""
    tree = Tree([1, 2, 3, 4], [None, 1, 1, 2], [5, 0, 2, 1])
    assert tree.subtree(1) == [1, 2, 4, 3]
    assert tree.path(4) == [1, 2, 4]
    assert tree.voxels(1) == 8
    assert faults(tree, 1, [2]) == [("unassigned", 1, None), ("gap", 3, None)]
    assert ATLAS == "tree_1um"
