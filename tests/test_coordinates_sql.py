"""Coordinates in SQL against the label volume itself: every state, every axis, many points."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import Oracle, many_points

import atlasdb

if TYPE_CHECKING:
    from numpy.typing import NDArray

MACROS = ("structure_id_at", "acronym_at", "hemisphere_at", "label_at", "status_at")


def table_of(points: NDArray[Any]) -> pa.Table:
    """Return points as a table; a third of the NaN become NULL."""
    columns = {}
    for axis, values in zip(("ap_um", "si_um", "rl_um"), points.T, strict=True):
        null = np.isnan(values) & (np.arange(values.size) % 3 == 0)
        columns[axis] = pa.array(values, mask=null)
    return pa.table({"id": np.arange(len(points)), **columns})


def asked(db: atlasdb.Database, points: pa.Table, sql: str) -> list[dict[str, Any]]:
    """Run SQL on the home's file with a table ``points`` beside it, ordered by id."""
    with duckdb.connect(str(db.home.database), read_only=True) as connection:
        connection.register("given", points)
        connection.execute("CREATE TEMP TABLE points AS FROM given")
        found = connection.execute(f"FROM ({sql}) ORDER BY id").to_arrow_table()
        rows: list[dict[str, Any]] = found.to_pylist()
        return rows


SMALL = ("small_rat_50um@1.2", "small_rat_50um", "small_rat_100um")


@pytest.mark.parametrize(
    ("atlas", "count"),
    [
        *((atlas, 20_000) for atlas in SMALL),
        ("phantom_odd_mouse_100um", 120_000),
        ("phantom_asymmetric_mouse_100um", 120_000),
    ],
)
def test_all_forms_give_what_the_volume_holds(
    home: atlasdb.Database, atlas: str, count: int
) -> None:
    oracle = Oracle(home, atlas)
    points = many_points(oracle, count, count)
    table = table_of(points)
    expected = oracle(points)
    states = {row["status_at"] for row in expected}
    assert states >= {"inside", "background", "outside"}
    assert ("unlabelled" in states) == (atlas == "small_rat_50um")

    calls = ", ".join(f"{m}('{atlas}', p.ap_um, p.si_um, p.rl_um) AS {m}" for m in MACROS)
    found = asked(home, table, f"SELECT p.id, {calls} FROM points AS p")
    assert [row.pop("id") for row in found] == list(range(count))
    assert found == expected

    renamed = asked(
        home,
        table,
        "SELECT id, structure_id AS structure_id_at, acronym AS acronym_at, "
        "hemisphere AS hemisphere_at, status AS status_at "
        f"FROM label_points('points', '{atlas}')",
    )
    assert [row.pop("id") for row in renamed] == list(range(count))
    for row in expected:
        row.pop("label_at")
    assert renamed == expected


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(SMALL),
    st.tuples(*[st.one_of(st.floats(-200, 500), st.floats(allow_nan=True))] * 3),
)
def test_one_point(home: atlasdb.Database, atlas: str, point: tuple[float, float, float]) -> None:
    (expected,) = Oracle(home, atlas)(np.array([point]))
    calls = ", ".join(f"{m}($atlas, $ap, $si, $rl) AS {m}" for m in MACROS)
    ap, si, rl = point
    values = {"atlas": atlas, "ap": ap, "si": si, "rl": rl}
    assert home.sql(f"SELECT {calls}", values).to_pylist() == [expected]


def test_faces_of_voxels_and_of_the_volume(home: atlasdb.Database) -> None:
    """Voxel i begins at i * r and ends before (i + 1) * r; the far face is outside."""
    oracle = Oracle(home, "small_rat_50um@1.2")
    far = oracle.edge * oracle.shape
    for axis in range(3):
        for at, inside in ((0.0, True), (-0.0, True), (far[axis], False), (-1e-12, False)):
            point = np.zeros(3)
            point[axis] = at
            sql = "SELECT status_at('small_rat_50um@1.2', ?, ?, ?) <> 'outside' AS inside"
            assert home.sql(sql, point.tolist()).to_pylist() == [{"inside": inside}]
        below = np.zeros(3)
        below[axis] = np.nextafter(far[axis], 0)
        (expected,) = oracle(below[None])
        sql = "SELECT label_at('small_rat_50um@1.2', ?, ?, ?) AS label"
        assert home.sql(sql, below.tolist()).to_pylist() == [{"label": expected["label_at"]}]


def test_types_of_coordinates(home: atlasdb.Database) -> None:
    oracle = Oracle(home, "small_rat_50um@1.2")
    (expected,) = oracle(np.array([[60.0, 30.0, 15.0]]))
    for kind in ("TINYINT", "INTEGER", "HUGEINT", "REAL", "DOUBLE", "DECIMAL(9, 3)", "VARCHAR"):
        points = ", ".join(f"CAST({value} AS {kind})" for value in (60, 30, 15))
        sql = f"SELECT label_at('small_rat_50um@1.2', {points}) AS label"
        assert home.sql(sql).to_pylist() == [{"label": expected["label_at"]}]


def test_points_whose_columns_are_called_like_ours(home: atlasdb.Database) -> None:
    """Every name that the macros use themselves, and an atlas in every row."""
    oracles = {atlas: Oracle(home, atlas) for atlas in SMALL}
    chance = np.random.default_rng(7)
    points = many_points(oracles[SMALL[0]], 3_000, 8)
    atlases = [SMALL[i] for i in chance.integers(0, 3, len(points))]
    names = [
        "rank",
        "line",
        "start",
        "atlas_id",
        "shape_ap",
        "shape_rl",
        "resolution_ap_um",
        "value",
        "version",
        "name",
        "voxels",
        "_atlas",
        "_points",
        "_ap_um",
        "_m_run",
        "_m_at",
        "_m_index",
        "_m_row",
        "_m_number",
        "_m_voxel",
        "_m_first",
        "_m_callers_row",
    ]
    table = table_of(points).append_column("atlas", pa.array(atlases))
    for number, name in enumerate(names):
        table = table.append_column(name, pa.array(np.full(len(points), number)))
    expected = [oracles[a](p[None])[0] for a, p in zip(atlases, points, strict=True)]
    for prefix in ("", "points."):
        arguments = ", ".join(f"{prefix}{c}" for c in ("atlas", "ap_um", "si_um", "rl_um"))
        calls = ", ".join(f"{m}({arguments}) AS {m}" for m in MACROS)
        found = asked(home, table, f"SELECT id, {calls} FROM points")
        assert [row.pop("id") for row in found] == list(range(len(points)))
        assert found == expected

    kept = table
    (atlas, oracle), *_ = oracles.items()
    found = asked(home, kept, f"FROM label_points('points', '{atlas}')")
    assert [row["structure_id"] for row in found] == [
        row["structure_id_at"] for row in oracle(points)
    ]
    same = [{name: row[name] for name in kept.column_names} for row in found]
    assert repr(same) == repr(kept.to_pylist()), "every column is kept as it was"


def test_the_atlas_of_label_points_is_the_caller_s_column(home: atlasdb.Database) -> None:
    """Called as columns of our own tables are: the version that it names, and no other."""
    table = table_of(many_points(Oracle(home, SMALL[0]), 500, 4))
    own = asked(home, table, "FROM label_points('points', 'small_rat_50um@1.2')")
    for name in ("name", "version", "atlas_id", "_atlas", "_m_atlas"):
        found = asked(
            home,
            table,
            f"SELECT p.* FROM (SELECT 'small_rat_50um@1.2' AS {name}) AS t, "
            f"LATERAL (FROM label_points('points', {name})) AS p",
        )
        assert repr(found) == repr(own)


def test_points_of_which_duckdb_knows_no_number(home: atlasdb.Database) -> None:
    """An Arrow table is taken for one row: a nested loop over all runs must not be the plan."""
    points = table_of(many_points(Oracle(home, "phantom_odd_mouse_100um"), 50, 4))
    with duckdb.connect(str(home.home.database), read_only=True) as connection:
        connection.register("arrow_points", points)
        connection.execute(
            "CREATE TEMP VIEW few AS SELECT i * 1.0 AS ap_um, 1.0 AS si_um, 2.0 AS rl_um "
            "FROM (SELECT unnest(range(20)) AS i)"
        )
        for source in ("arrow_points", "few"):
            plan = connection.execute(
                f"EXPLAIN FROM label_points('{source}', 'phantom_odd_mouse_100um')"
            ).fetchall()[0][1]
            assert "ASOF_JOIN" in plan
            assert "NESTED_LOOP" not in plan


@pytest.mark.parametrize("name", ["structure_id", "Acronym", "hemisphere", "STATUS"])
def test_points_that_have_a_structure_already(home: atlasdb.Database, name: str) -> None:
    table = table_of(np.zeros((3, 3))).append_column(name, pa.array([1, 2, 3]))
    with pytest.raises(duckdb.Error, match="rename or leave out the columns of these names"):
        asked(home, table, "FROM label_points('points', 'small_rat_50um')")


def test_points_whose_nested_values_have_such_names(home: atlasdb.Database) -> None:
    """Only columns are looked at, and of an empty table too."""
    points = table_of(np.zeros((3, 3)))
    nested = points.append_column("more", pa.array([{"status": 1, "at": {"acronym": "x"}}] * 3))
    assert len(asked(home, nested, "FROM label_points('points', 'small_rat_50um')")) == 3
    taken = points.slice(0, 0).append_column("status", pa.array([], pa.string()))
    with pytest.raises(duckdb.Error, match="rename or leave out"):
        asked(home, taken, "FROM label_points('points', 'small_rat_50um')")


def test_points_from_files_tables_and_views(home: atlasdb.Database, tmp_path: Path) -> None:
    oracle = Oracle(home, "small_rat_50um")
    points = many_points(oracle, 5_000, 3)
    table = table_of(points)
    expected = [row["structure_id_at"] for row in oracle(points)]
    for number in range(2):
        pq.write_table(table.slice(number * 2_500, 2_500), tmp_path / f"part {number}.parquet")
    with duckdb.connect() as connection:
        connection.register("given", table)
        connection.execute(f"COPY given TO '{tmp_path}/all.csv'")
    for source in ("part *.parquet", "all.csv"):
        found = home.sql(
            "SELECT id, structure_id FROM label_points(?, 'small_rat_50um') ORDER BY id",
            [str(tmp_path / source)],
        )
        assert found["structure_id"].to_pylist() == expected, source
    views = "WITH seen AS (SELECT * FROM points WHERE id % 2 = 0)"
    found_half = asked(home, table, f"{views} FROM label_points('seen', 'small_rat_50um')")
    assert [row["structure_id"] for row in found_half] == expected[::2]
    twice = asked(
        home,
        table,
        "SELECT a.id, a.structure_id AS one, b.structure_id AS two "
        "FROM label_points('points', 'small_rat_50um') AS a "
        "JOIN label_points('points', 'small_rat_50um@1.2') AS b USING (id)",
    )
    assert [row["one"] for row in twice] == expected
    other = Oracle(home, "small_rat_50um@1.2")(points)
    assert [row["two"] for row in twice] == [row["structure_id_at"] for row in other]
    empty = asked(home, table.slice(0, 0), "FROM label_points('points', 'small_rat_50um')")
    assert empty == []


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("label_points('points', 'small')", "no atlas small in this database"),
        ("label_points('nothing', 'small_rat_50um')", "nothing does not exist"),
        ("label_points('/no/such.parquet', 'small_rat_50um')", "No files found"),
        ("label_points('main.atlas', 'small_rat_50um')", "ap_um"),
    ],
)
def test_points_that_cannot_be_read(home: atlasdb.Database, call: str, message: str) -> None:
    with pytest.raises(duckdb.Error, match=message):
        asked(home, table_of(np.zeros((2, 3))), f"SELECT *, 1 AS id FROM {call}")


@pytest.mark.real
def test_points_in_the_real_atlas(real: atlasdb.Database) -> None:
    oracle = Oracle(real, "allen_mouse_100um")
    points = many_points(oracle, 120_000, 1)
    table = table_of(points)
    expected = oracle(points)
    calls = ", ".join(f"{m}('allen_mouse_100um', ap_um, si_um, rl_um) AS {m}" for m in MACROS)
    found = asked(real, table, f"SELECT id, {calls} FROM points")
    assert [row.pop("id") for row in found] == list(range(len(points)))
    assert found == expected
    labelled = asked(real, table, "FROM label_points('points', 'allen_mouse_100um')")
    assert [row["structure_id"] for row in labelled] == [r["structure_id_at"] for r in expected]
    assert [row["status"] for row in labelled] == [r["status_at"] for r in expected]


@pytest.mark.real
def test_labels_without_structures_are_told_apart(real: atlasdb.Database) -> None:
    """example_mouse_100um has 3 structures and 668 labels that none of them has."""
    oracle = Oracle(real, "example_mouse_100um")
    points = many_points(oracle, 20_000, 2)
    expected = oracle(points)
    assert sum(row["status_at"] == "unlabelled" for row in expected) > 1_000
    found = asked(
        real,
        table_of(points),
        "SELECT id, status, structure_id, label_at('example_mouse_100um', ap_um, si_um, rl_um) "
        "AS label FROM label_points('points', 'example_mouse_100um')",
    )
    for row, wanted in zip(found, expected, strict=True):
        assert (row["status"], row["structure_id"], row["label"]) == (
            wanted["status_at"],
            wanted["structure_id_at"],
            wanted["label_at"],
        )
