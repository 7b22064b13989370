"""The named queries: each runs, its columns are kept, its figures are computed again."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tifffile
from small import SmallAtlas, labels, structure

import atlasdb
from atlasdb.queries import Query, parse_queries, queries

SNAPSHOT = Path(__file__).parent / "schema" / "queries.json"

GIVEN: dict[str, Any] = {
    "atlas": "small_rat_50um@1.2",
    "structure": "CM",
    "other": "cm",
    "ancestor": "grey",
    "depth": 1,
    "parts": ["CM", "cm"],
    "ap_um": 60,
    "si_um": 30,
    "rl_um": 15,
    "cells": "pilot",
    "by": "animal",
}

POINTS = (
    ((60.0, 30.0, 15.0),) * 3
    + ((-1.0, 30.0, 15.0), (np.nan, 30.0, 15.0), (0.0, 0.0, 0.0))
    + tuple((50.0 * i, 20.0 * j, 10.0 * k) for i in range(4) for j in range(3) for k in range(7))
)


@pytest.fixture(scope="module")
def points(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of points in and around the small atlas."""
    path = tmp_path_factory.mktemp("points") / "points.parquet"
    columns = zip(("ap_um", "si_um", "rl_um"), np.array(POINTS).T, strict=True)
    pq.write_table(pa.table(dict(columns)), path)
    return path


def arguments(query: Query, points: Path) -> dict[str, Any]:
    """Return values for a query's parameters."""
    given = GIVEN | {"points": points}
    if query.topic == "comparison":
        given["other"] = "small_rat_50um@1.10"
    return {p.name: given[p.name] for p in query.parameters if p.is_required}


def test_every_query_runs_and_its_columns_are_kept(full: atlasdb.Database, points: Path) -> None:
    """After a change of a query: ATLASDB_WRITE_SNAPSHOT=1 pytest tests/test_queries.py."""
    found = {}
    for query in queries():
        table = full.query(query.name, **arguments(query, points))
        found[query.name] = {field.name: str(field.type) for field in table.schema}
    text = json.dumps(found, indent=1) + "\n"
    if os.environ.get("ATLASDB_WRITE_SNAPSHOT"):
        SNAPSHOT.write_text(text)
    assert SNAPSHOT.read_text() == text


def test_every_query_and_parameter_is_explained() -> None:
    names = [query.name for query in queries()]
    assert len(set(names)) == len(names) >= 12
    for query in queries():
        assert query.description.endswith(".")
        assert all(parameter.description for parameter in query.parameters)
        assert set(query.sql.split()) & {"SELECT", "FROM"}
        for parameter in query.parameters:
            assert f"${parameter.name}" in query.sql, (query.name, parameter.name)


def test_a_parameter_that_is_declared_wrongly() -> None:
    with pytest.raises(ValueError, match="declares no parameter"):
        parse_queries("x", "-- name: n\n-- $limit whole: how many\nSELECT 1")


def rows(db: atlasdb.Database, name: str, **parameters: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = db.query(name, **parameters).to_pylist()
    return found


def region(db: atlasdb.Database, atlas: str) -> dict[str, dict[str, Any]]:
    """Return the rows of region by acronym."""
    return {row["acronym"]: row for row in db.sql(f'FROM "{atlas}".region').to_pylist()}


PHANTOM = "phantom_asymmetric_mouse_100um"


def test_figures_of_the_queries_on_volumes(full: atlasdb.Database) -> None:
    known = region(full, PHANTOM)
    leaves = sorted(
        (row for row in known.values() if row["is_leaf"]),
        key=lambda row: (-row["volume_mm3"], row["rank"]),
    )
    found = rows(full, "largest_leaves", atlas=PHANTOM, limit=4)
    assert [row["acronym"] for row in found] == [row["acronym"] for row in leaves[:4]]
    inside = rows(full, "largest_leaves", atlas=PHANTOM, structure="VIS", limit=100)
    assert {row["acronym"] for row in inside} == {
        a for a, row in known.items() if row["is_leaf"] and "VIS" in row["path"]
    }
    for row in rows(full, "fraction_of_parent", atlas=PHANTOM):
        parent = known[row["parent_acronym"]]
        assert row["fraction_of_parent"] == pytest.approx(row["volume_mm3"] / parent["volume_mm3"])
    sides = rows(full, "asymmetry", atlas=PHANTOM, least_voxels=1)
    assert len(sides) == sum(r["voxels_left"] + r["voxels_right"] > 0 for r in known.values())
    for row in sides:
        left, right = (known[row["acronym"]][f"voxels_{side}"] for side in ("left", "right"))
        assert row["asymmetry"] == pytest.approx((left - right) / (left + right))
        assert row["declared_symmetric"] is False
    sizes = [abs(row["asymmetry"]) for row in sides]
    assert sizes == sorted(sizes, reverse=True)
    levels = rows(full, "levels", atlas=PHANTOM)
    assert [row["depth"] for row in levels] == list(range(len(levels)))
    assert sum(row["structures"] for row in levels) == len(known)
    assert sum(row["leaves"] for row in levels) == len(leaves)


def test_children_sum_to_their_parent(full: atlasdb.Database) -> None:
    for atlas in (PHANTOM, "small_rat_50um"):
        for acronym, row in region(full, atlas).items():
            found = rows(full, "children", atlas=atlas, structure=acronym)
            if row["voxels"] and (not row["is_leaf"] or row["direct_voxels"]):
                assert sum(r["volume_mm3"] for r in found) == pytest.approx(row["volume_mm3"])
                assert sum(r["percent_of_parent"] for r in found) == pytest.approx(100)
            assert all(row["name"] for row in found)


def test_quality(real_like: atlasdb.Database) -> None:
    atlas = "small_rat_50um"
    assert [r["acronym"] for r in rows(real_like, "without_mesh", atlas=atlas)] == ["X", "X", "Y"]
    assert [r["acronym"] for r in rows(real_like, "without_voxels", atlas=atlas)] == ["Y"]
    strange = rows(real_like, "labels_without_structure", atlas=atlas)
    assert [(r["value"], r["voxels"]) for r in strange] == [(9, 3), (7, 1)]
    assert rows(real_like, "duplicate_acronyms", atlas=atlas) == [
        {"acronym": "X", "structures": 2, "structure_ids": [2, 3]}
    ]
    assert [r["acronym"] for r in rows(real_like, "unassigned", atlas=atlas)] == ["root"]


@pytest.fixture
def real_like(db: atlasdb.Database, tmp_path: Path) -> atlasdb.Database:
    """An atlas with all that real ones have wrong with them."""
    entries = [
        structure(1, "root", [1]),
        structure(2, "X", [1, 2]),
        structure(3, "X", [1, 3]),
        structure(4, "Y", [1, 4]),
    ]
    annotation = np.ones((4, 3, 7), dtype=np.uint32)
    annotation[1], annotation[2] = 2, 3
    annotation[3, 2, :3], annotation[3, 1, 1] = 9, 7
    annotation[3, 0] = 0
    mesh = "v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n"
    atlas = SmallAtlas(structures=entries, annotation=annotation, meshes={"1": mesh})
    db.ingest(str(atlas.write(tmp_path)))
    return db


def test_versions_compared(db: atlasdb.Database, tmp_path: Path) -> None:
    """A structure added, one removed, one moved, one renamed; voxels counted one by one."""
    old_tree = [
        structure(1, "root", [1]),
        structure(2, "A", [1, 2]),
        structure(3, "B", [1, 2, 3]),
        structure(4, "C", [1, 4]),
        structure(5, "D", [1, 5]),
    ]
    new_tree = [
        structure(1, "root", [1]),
        structure(2, "A2", [1, 2]),
        structure(4, "C", [1, 2, 4]),
        structure(5, "D", [1, 5]),
        structure(6, "E", [1, 6]),
    ]
    chance = np.random.default_rng(3)
    before, after = (chance.choice([0, 1, 2, 3, 4, 5, 6], size=(4, 3, 7)) for _ in range(2))
    before, after = before.astype(np.uint32), after.astype(np.uint32)
    db.ingest(
        str(SmallAtlas(version="1.9", structures=old_tree, annotation=before).write(tmp_path))
    )
    db.ingest(
        str(SmallAtlas(version="1.10", structures=new_tree, annotation=after).write(tmp_path))
    )
    pair = {"atlas": "small_rat_50um@1.9", "other": "small_rat_50um@1.10"}
    found = {r["structure_id"]: r["difference"] for r in rows(db, "structure_differences", **pair)}
    assert found == {2: "renamed", 3: "removed", 4: "moved", 6: "added"}
    changes: dict[tuple[int, int], int] = {}
    for old, new in zip(before.reshape(-1).tolist(), after.reshape(-1).tolist(), strict=True):
        if old != new:
            changes[old, new] = changes.get((old, new), 0) + 1
    voxels = rows(db, "voxel_differences", **pair)
    assert {(r["label_before"], r["label_after"]): r["voxels"] for r in voxels} == changes
    acronyms = {(r["label_after"], r["acronym_after"]) for r in voxels}
    assert {(0, None), (2, "A2"), (3, None), (6, "E")} <= acronyms
    assert [r["voxels"] for r in voxels] == sorted(changes.values(), reverse=True)
    assert rows(db, "voxel_differences", atlas=pair["atlas"], other=pair["atlas"]) == []
    for row in rows(db, "volume_differences", **pair):
        sizes = [region(db, name)[a]["volume_mm3"] for name, a in zip(
            pair.values(), [row["acronym"], {2: "A2"}.get(row["structure_id"], row["acronym"])],
            strict=True,
        )]  # fmt: skip
        assert row["difference_mm3"] == sizes[1] - sizes[0] != 0
    db.ingest("phantom_mouse_100um")
    with pytest.raises(atlasdb.QueryError, match="have other shapes or resolutions"):
        db.query("voxel_differences", atlas="small_rat_50um", other="phantom_mouse_100um")


def test_cells_are_all_counted(full: atlasdb.Database, points: Path) -> None:
    atlas = "small_rat_50um@1.2"
    found = rows(full, "cells_per_region", atlas=atlas, points=points)
    assert sum(row["direct_cells"] for row in found) == len(POINTS)
    path = full.sql(f"SELECT path FROM \"{atlas}\".volume WHERE kind = 'annotation'").to_pylist()
    annotation = tifffile.imread(full.home.folder / path[0]["path"])
    known = {row["structure_id"]: row for row in full.sql(f'FROM "{atlas}".region').to_pylist()}
    expected: dict[Any, int] = {"unlabelled": 0, "background": 0, "outside": 0}
    for point in POINTS:
        index = np.floor(np.array(point) / (50, 20, 10))
        if not bool(np.all((index >= 0) & (index < annotation.shape))):
            expected["outside"] += 1
            continue
        label = int(annotation[tuple(index.astype(int))])
        if label not in known:
            expected["background" if label == 0 else "unlabelled"] += 1
            continue
        for acronym in known[label]["path"]:
            expected[acronym] = expected.get(acronym, 0) + 1
    assert {row["acronym"] or row["status"]: row["cells"] for row in found} == expected
    for row in found[:-3]:
        assert row["cells"] == row["cells_left"] + row["cells_right"]
        volume = known[row["structure_id"]]["volume_mm3"]
        assert row["density_per_atlas_mm3"] == pytest.approx(row["cells"] / volume)
    assert [row["status"] for row in found[-3:]] == ["unlabelled", "outside", "background"]


@pytest.mark.parametrize(
    ("name", "parameters", "error", "message"),
    [
        ("largst_leaves", {}, "UnknownQueryError", "did you mean largest_leaves"),
        ("cut", {"depth": 1}, "QueryError", "query cut needs atlas (atlas: NAME or NAME@VERSION)"),
        ("cut", {"atlas": "small_rat_50um", "deep": 1}, "QueryError", "no parameter 'deep'; did you mean depth?; it takes atlas, depth"),
        ("cut", {"atlas": "small_rat_50um", "depth": "x"}, "QueryError", "$depth is integer, not 'x'"),
        ("cut", {"atlas": "small_rat_50um", "depth": 9}, "UnknownDepthError", "no depth 9"),
        ("cut", {"atlas": "small_rat_5um", "depth": 1}, "UnknownAtlasError", "did you mean small_rat_50um"),
        ("siblings", {"atlas": "small_rat_50um", "structure": "Grey"}, "UnknownStructureError", "did you mean grey?"),
        ("cells_per_region", {"atlas": "small_rat_50um", "points": "/no/such.parquet"}, "QueryError", "No files found"),
        ("atlases", {"atlas": "x"}, "QueryError", "it takes none"),
    ],
)  # fmt: skip
def test_wrong_names_and_values(
    full: atlasdb.Database, name: str, parameters: dict[str, Any], error: str, message: str
) -> None:
    with pytest.raises(getattr(atlasdb, error)) as raised:
        full.query(name, **parameters)
    assert message in str(raised.value)


def test_none_is_no_value(full: atlasdb.Database) -> None:
    """For a parameter that must be given it is none, for another its default."""
    with pytest.raises(atlasdb.QueryError, match="query cut needs depth"):
        full.query("cut", atlas="small_rat_50um", depth=None)
    with pytest.raises(atlasdb.UnknownDepthError, match="no depth None"):
        full.annotation_cut("small_rat_50um", None)  # type: ignore[arg-type]
    atlas = "phantom_mouse_100um"
    assert full.query("largest_leaves", atlas=atlas, limit=None).num_rows == 10


def test_texts_are_converted(full: atlasdb.Database) -> None:
    """As the command line gives them."""
    by_text = full.query("at", atlas="small_rat_50um", ap_um="60", si_um="30.0", rl_um="15")
    by_number = full.query("at", atlas="small_rat_50um", ap_um=60, si_um=30.0, rl_um=15)
    assert by_text.equals(by_number)
    assert by_text.schema.metadata == {b"atlas": b"small_rat_50um@1.10"}
    assert labels().shape == (4, 3, 7)
