"""Cells counted and annotated: equal to a slow loop, to BrainGlobe, and to the number of rows."""

from __future__ import annotations

import warnings
from collections import Counter as Tallied
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from conftest import DATA
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import Oracle, many_points
from small import SmallAtlas, structure

import atlasdb
from atlasdb.cells import counting
from atlasdb.cells.annotating import FOUND_COLUMNS
from atlasdb.cells.reading import open_points
from atlasdb.cells.tables import COLUMNS, UNASSIGNED
from atlasdb.errors import PointsError, UnknownDepthError, UnknownStructureError

if TYPE_CHECKING:
    from numpy.typing import NDArray

MICRONS = ("ap_um", "si_um", "rl_um")
ATLASES = (
    "small_rat_50um@1.2",
    "small_rat_50um@1.10",  # with labels that no structure has
    "small_rat_100um",  # of fractional resolution
    "phantom_odd_mouse_100um",
    "phantom_asymmetric_mouse_100um",  # with voxels in neither hemisphere
)


def cells_of(points: NDArray[Any], seed: int = 0) -> pa.Table:
    """Return points as a table with samples, some of them missing."""
    chance = np.random.default_rng(seed)
    samples = chance.choice(["m1", "m2", "07"], len(points)).astype(object)
    samples[chance.random(len(points)) < 0.1] = None
    return pa.table(
        {
            "number": np.arange(len(points)),
            "sample": pa.array(samples.tolist()),
            "batch": pa.array(chance.integers(0, 3, len(points)), pa.int8()),
            **dict(zip(MICRONS, points.T, strict=True)),
        }
    )


@pytest.fixture(scope="module")
def expected(home: atlasdb.Database) -> dict[str, tuple[pa.Table, list[dict[str, Any]]]]:
    """Points in and around every atlas, and what a slow loop says of each."""
    found = {}
    for atlas in ATLASES:
        oracle = Oracle(home, atlas)
        points = many_points(oracle, 3_000, seed=7)
        found[atlas] = (cells_of(points), oracle(points))
    return found


@pytest.mark.parametrize("atlas", ATLASES)
def test_every_row_is_what_a_slow_loop_finds(
    home: atlasdb.Database, expected: dict[str, Any], tmp_path: Path, atlas: str
) -> None:
    cells, rows = expected[atlas]
    pq.write_table(cells, tmp_path / "cells.parquet", row_group_size=700)
    output = tmp_path / "annotated.parquet"
    counts = home.annotate_cells(
        tmp_path / "cells.parquet", atlas, output=output, depths=[1], path=True
    )
    found = pq.read_table(output)
    assert same(found.select(cells.column_names), cells), "other columns, and the order of rows"
    assert counts == {s: sum(r["status_at"] == s for r in rows) for s in counts}
    for name in FOUND_COLUMNS:
        assert found[name].to_pylist() == [row[f"{name}_at"] for row in rows], name
    paths = {
        s["structure_id"]: s["path"] for s in home.sql(f'FROM "{atlas}".structure').to_pylist()
    }
    ids = found["structure_id"].to_pylist()
    assert found["path"].to_pylist() == [paths.get(i) for i in ids]
    at_depth = [paths[i][:2][-1] if i in paths else None for i in ids]
    assert found["acronym_depth_1"].to_pylist() == at_depth
    assert found["structure_id_depth_1"].null_count == found["structure_id"].null_count
    assert (
        home.annotate_cells(cells, atlas).select(FOUND_COLUMNS).to_pylist()
        == found.select(FOUND_COLUMNS).to_pylist()
    )


def same(one: pa.Table, other: pa.Table) -> bool:
    """Whether tables are equal, NaN for NaN."""
    return bool(one.schema.equals(other.schema) and one.to_pandas().equals(other.to_pandas()))


def slow_counts(
    home: atlasdb.Database, atlas: str, rows: list[dict[str, Any]]
) -> dict[tuple[Any, ...], tuple[int, int]]:
    """Count by looping over cells and their ancestors: (cells, direct cells) by id and side."""
    closure = home.sql(f'FROM "{atlas}".closure').to_pylist()
    ancestors: dict[int, list[int]] = {}
    for pair in closure:
        ancestors.setdefault(pair["descendant_id"], []).append(pair["ancestor_id"])
    subtree: Tallied[Any] = Tallied()
    direct: Tallied[Any] = Tallied()
    for row in rows:
        key = (row["structure_id_at"], row["hemisphere_at"], row["status_at"])
        direct[key] += 1
        for ancestor in ancestors.get(key[0], [None]):
            subtree[(ancestor, *key[1:])] += 1
    return {key: (subtree[key], direct[key]) for key in subtree}


@pytest.mark.parametrize("atlas", ATLASES)
@pytest.mark.parametrize("threads", [1, 2])
def test_counts_are_a_slow_loops(
    home: atlasdb.Database,
    expected: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    atlas: str,
    threads: int,
) -> None:
    monkeypatch.setattr("atlasdb.cells.annotating.processors", lambda: threads)
    monkeypatch.setattr("atlasdb.cells.columnar._PIECE_ROWS", 500)
    cells, rows = expected[atlas]
    pq.write_table(cells, tmp_path / "cells.parquet", row_group_size=300)
    found = home.count_cells(tmp_path / "cells.parquet", atlas)
    assert found.column_names == list(COLUMNS[:9])
    wanted = slow_counts(home, atlas, rows)
    extents = {
        (e["structure_id"], e["hemisphere"]): e
        for e in home.sql(f'FROM "{atlas}".extent').to_pylist()
    }
    seen = set()
    for row in found.to_pylist():
        key = (row["structure_id"], row["hemisphere"], row["status"])
        assert (row["cells"], row["direct_cells"]) == wanted.get(key, (0, 0)), key
        seen.add(key)
        if row["hemisphere"] is not None:
            volume = extents[key[:2]]["volume_mm3"]
            assert row["atlas_volume_mm3"] == volume
            density = row["density_per_atlas_mm3"]
            assert density == (row["cells"] / volume if volume else None)
    assert set(wanted) <= seen
    assert pc.sum(found["direct_cells"]).as_py() == cells.num_rows
    structures = home.sql(f'SELECT count(*) FROM "{atlas}".structure').column(0)[0].as_py()
    sides = {row["hemisphere"] for row in found.to_pylist() if row["status"] == "inside"}
    assert {"left", "right"} <= sides
    assert found.num_rows == structures * len(sides) + 3, "zeros are rows too"
    both = home.count_cells(cells, atlas, hemispheres="together").to_pylist()
    for row in both[:-3]:
        every = [wanted.get((row["structure_id"], s, "inside"), (0, 0)) for s in (*sides, None)]
        distinct = dict(zip((*sides, None), every, strict=True))
        assert row["cells"] == sum(count for count, _ in distinct.values())
        assert row["atlas_volume_mm3"] == extents[row["structure_id"], "both"]["volume_mm3"]


SELECTIONS: tuple[dict[str, Any], ...] = (
    {},
    {"depth": 0},
    {"depth": 1},
    {"depth": 3},
    {"leaves": True},
    {"structures": ["root"]},
    {"structures": ["grey"]},
    {"structures": "CM"},
    {"structures": [8, "CM", "VISp2/3"]},
    {"structures": []},
)


@settings(max_examples=35, deadline=None)
@given(
    selection=st.sampled_from(SELECTIONS),
    by=st.lists(st.sampled_from(["sample", "batch", "number"]), unique=True, max_size=2),
    hemispheres=st.sampled_from(["separate", "together"]),
    atlas=st.sampled_from(ATLASES[:3]),
    seed=st.integers(0, 5),
    count=st.sampled_from([0, 1, 40, 300]),
)
def test_sums_reconcile_in_every_grouping(
    home: atlasdb.Database,
    selection: dict[str, Any],
    by: list[str],
    hemispheres: Any,
    atlas: str,
    seed: int,
    count: int,
) -> None:
    oracle = Oracle(home, atlas)
    cells = cells_of(many_points(oracle, max(count, 1), seed).astype(float)[:count], seed)
    rows = oracle(np.column_stack([cells[n].to_numpy() for n in MICRONS]))
    found = home.count_cells(cells, atlas, by=by, hemispheres=hemispheres, **selection)
    assert pc.sum(found["direct_cells"]).as_py() == (count or (None if by else 0))
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for row in found.to_pylist():
        groups.setdefault(tuple(row[name] for name in by), []).append(row)
    keys = list(zip(*(cells[name].to_pylist() for name in by), strict=True)) or [()] * count
    assert set(groups) == set(keys) | (set() if by else {()})
    for key, table in groups.items():
        mine = [row for row, k in zip(rows, keys, strict=True) if k == key]
        assert sum(row["direct_cells"] for row in table) == len(mine)
        for status in ("unlabelled", "background", "outside"):
            (row,) = (r for r in table if r["status"] == status)
            assert (
                row["cells"] == row["direct_cells"] == sum(r["status_at"] == status for r in mine)
            )
            assert row["atlas_volume_mm3"] is row["density_per_atlas_mm3"] is None
        if "depth" in selection or "leaves" in selection:
            assert sum(row["cells"] for row in table) == len(mine)
        for row in table:
            assert row["cells"] >= row["direct_cells"] >= 0
    wide = home.count_table(
        open_frame(cells), atlas, by=by, hemispheres=hemispheres, **selection
    ).matrix("direct_cells")
    totals = [sum(v for n, v in row.items() if n not in by) for row in wide.to_pylist()]
    assert sorted(totals) == sorted(Tallied(keys).values() or ([] if by else [0]))


def open_frame(cells: pa.Table) -> Any:
    from atlasdb.cells import frames
    from atlasdb.cells.columns import Stated

    return frames.read(cells, Stated()).points


def test_what_is_not_assigned_below_a_cut_is_kept_as_such(home: atlasdb.Database) -> None:
    """A label of a structure that is no leaf: it belongs to none of the leaves."""
    oracle = Oracle(home, "small_rat_50um@1.2")
    points = np.argwhere(oracle.annotation >= 0) * oracle.edge + oracle.edge / 2
    cells = pa.table(dict(zip(MICRONS, points.T, strict=True)))
    labels = Tallied(oracle.annotation.ravel().tolist())
    by_leaf = home.count_cells(cells, oracle.atlas, leaves=True, hemispheres="together").to_pylist()
    shown = {row["acronym"] or row["status"]: row for row in by_leaf}
    assert [row["acronym"] for row in by_leaf[:-3]] == [
        "root" + UNASSIGNED,
        "grey" + UNASSIGNED,
        "CM" + UNASSIGNED,
        "VISp2/3",
        "cm",
        "CUL4, 5" + UNASSIGNED,
        "10",
    ]
    assert shown["CM" + UNASSIGNED]["cells"] == labels[70_000]
    assert shown["CM" + UNASSIGNED]["structure_id"] == 70_000
    assert shown["VISp2/3"]["cells"] == 0
    assert shown["VISp2/3"]["density_per_atlas_mm3"] is None, "no volume, no density"
    assert shown["background"]["cells"] == labels[0]
    voxel = float(np.prod(oracle.edge)) / 1e9
    for acronym, label in (("CM" + UNASSIGNED, 70_000), ("cm", 12), ("10", 14)):
        assert shown[acronym]["atlas_volume_mm3"] == pytest.approx(labels[label] * voxel, rel=1e-12)
        assert shown[acronym]["density_per_atlas_mm3"] == pytest.approx(1 / voxel, rel=1e-12)
    at_depth = home.count_cells(cells, oracle.atlas, depth=2, hemispheres="together").to_pylist()
    assert [row["acronym"] for row in at_depth[:-3]] == [
        "root" + UNASSIGNED,
        "grey" + UNASSIGNED,
        "CM",
        "cm",
        "CUL4, 5" + UNASSIGNED,
        "10",
    ]
    chosen = home.count_cells(
        cells, oracle.atlas, structures=["grey", "CM"], hemispheres="together"
    ).to_pylist()
    assert [row["acronym"] for row in chosen[:-3]] == ["grey", "CM", None]
    assert chosen[0]["cells"] == labels[8] + labels[70_000] + labels[12]
    assert chosen[0]["direct_cells"] == labels[8] + labels[12], "what is not in CM"
    assert chosen[2]["name"] == "in none of these structures"
    assert chosen[2]["cells"] == labels[997] + labels[13] + labels[14]


def test_groups_keep_their_types_and_missing_values(home: atlasdb.Database) -> None:
    when = pa.array([0, 1, None, 0], pa.timestamp("ns"))
    cells = pa.table(
        {
            "id": ["007", "7", None, "007"],
            "size": pa.array([float("nan"), 1.5, None, float("nan")]),
            "when": when,
            "kind": pa.array(["a", None, "b", "a"]).dictionary_encode(),
            "flag": [True, False, None, True],
            **{name: [30.0, 30.0, 30.0, -1.0] for name in MICRONS},
        }
    )
    for name in ("id", "size", "when", "kind", "flag"):
        found = home.count_table(open_frame(cells), "small_rat_50um@1.2", by=[name]).matrix()
        kind = pa.string() if name == "kind" else cells.schema.field(name).type
        assert found.schema.field(name).type == kind
        assert found.num_rows == 3
        assert found["outside"].to_pylist().count(1) == 1
    with pytest.raises(PointsError, match="has no column x, y to group by; it has id"):
        home.count_cells(cells, "small_rat_50um@1.2", by=["x", "y"])
    with pytest.raises(PointsError, match="names a column twice"):
        home.count_cells(cells, "small_rat_50um@1.2", by=["id", "id"])
    lists = cells.append_column("tags", pa.array([[1], [2], [3], [4]]))
    with pytest.raises(PointsError, match="column tags holds list<.*>, which rows cannot be"):
        home.count_cells(lists, "small_rat_50um@1.2", by="tags")
    halves = cells.append_column("half", pa.array([1, 2, 3, 4], pa.float16()))
    with pytest.raises(PointsError, match="column half holds halffloat, which rows cannot be"):
        home.count_cells(halves, "small_rat_50um@1.2", by="half")
    named = cells.rename_columns(["status", *cells.column_names[1:]])
    with pytest.raises(PointsError, match="a column to group by is called status"):
        home.count_cells(named, "small_rat_50um@1.2", by="status")


def test_many_groups(home: atlasdb.Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sparse sums are the dense ones; too many groups are refused and not left out."""
    oracle = Oracle(home, "small_rat_50um@1.2")
    points = many_points(oracle, 2_000, 3)
    cells = cells_of(points)
    every = home.count_cells(cells, oracle.atlas, by="number")
    rows = every.filter(pc.greater(every["direct_cells"], 0)).to_pylist()
    assert [row["number"] for row in rows] == list(range(2_000))
    wanted = oracle(points)
    assert [row["structure_id"] for row in rows] == [row["structure_id_at"] for row in wanted]
    monkeypatch.setattr(counting, "_DENSE", 1)
    again = home.count_cells(cells, oracle.atlas, by="batch")
    monkeypatch.undo()
    assert again.equals(home.count_cells(cells, oracle.atlas, by="batch"))
    monkeypatch.setattr(counting, "_MOST_ENTRIES", 1000)
    with pytest.raises(PointsError, match=r"--by number makes more than \d+ groups"):
        home.count_cells(cells, oracle.atlas, by="number")


def test_unknown_names(home: atlasdb.Database) -> None:
    cells = cells_of(np.zeros((3, 3)))
    with pytest.raises(UnknownStructureError, match="did you mean CM"):
        home.count_cells(cells, "small_rat_50um@1.2", structures=["CMx"])
    with pytest.raises(UnknownDepthError, match="no depth 9: this atlas has the depths 0 to 3"):
        home.count_cells(cells, "small_rat_50um@1.2", depth=9)
    with pytest.raises(UnknownDepthError):
        home.annotate_cells(cells, "small_rat_50um@1.2", depths=[9])
    with pytest.raises(PointsError, match="choose one of depth, leaves and structures"):
        home.count_cells(cells, "small_rat_50um@1.2", depth=1, leaves=True)
    with pytest.raises(PointsError, match="hemispheres are 'separate' or 'together'"):
        home.count_cells(cells, "small_rat_50um@1.2", hemispheres="both")  # type: ignore[arg-type]
    taken = cells.rename_columns(["Acronym", *cells.column_names[1:]])
    with pytest.raises(PointsError, match="have a column Acronym already: rename it"):
        home.annotate_cells(taken, "small_rat_50um@1.2")


def test_acronyms_of_several_structures(tmp_path: Path) -> None:
    """Columns of a matrix are told apart by ids; a dictionary cannot be made."""
    tree = [(997, [997]), (1, [997, 1]), (2, [997, 2])]
    names = ["root", "twin", "twin"]
    entries = [structure(i, a, p) for (i, p), a in zip(tree, names, strict=True)]
    annotation = np.random.default_rng(2).choice(np.array([0, 997, 1, 2], np.uint32), (4, 3, 7))
    db = atlasdb.connect(tmp_path / "home")
    db.ingest(str(SmallAtlas(annotation=annotation, structures=entries).write(tmp_path)))
    points = np.argwhere(annotation >= 0)
    table = db.count_table(open_array(points), "small_rat_50um", hemispheres="together")
    assert table.matrix().column_names == [
        "root",
        "twin (id 1)",
        "twin (id 2)",
        "unlabelled",
        "background",
        "outside",
    ]
    with pytest.raises(PointsError, match="twin are acronyms of several structures each"):
        table.dictionaries()
    annotated = db.annotate_cells(points, "small_rat_50um", unit="voxel")
    assert set(annotated["acronym"]) == {"", "root", "twin"}


def open_array(points: NDArray[Any]) -> Any:
    from atlasdb.cells import frames
    from atlasdb.cells.columns import Stated

    return frames.read(points, Stated(unit="voxel")).points


def test_dictionaries_for_heatmaps(home: atlasdb.Database) -> None:
    cells = cells_of(many_points(Oracle(home, "small_rat_50um@1.2"), 400, 5))
    table = home.count_table(open_frame(cells), "small_rat_50um@1.2", leaves=True)
    (values,) = table.dictionaries().values()
    long = home.count_cells(cells, "small_rat_50um@1.2", leaves=True, hemispheres="together")
    wanted = {r["acronym"]: r["cells"] for r in long.to_pylist() if r["structure_id"]}
    assert values == {a: c for a, c in wanted.items() if not a.endswith(UNASSIGNED)}
    (densities,) = table.dictionaries("density_per_atlas_mm3").values()
    assert "VISp2/3" not in densities, "NULL is no number"
    with pytest.raises(PointsError, match="needs the volumes of a registered brain"):
        table.dictionaries("density_per_registered_mm3")
    with pytest.raises(PointsError, match="no value 'volume'"):
        table.matrix("volume")


# The same kind back


def found_rows(frame: Any) -> list[tuple[Any, ...]]:
    return [tuple(None if pd.isna(v) else v for v in row) for row in frame]


def test_pandas_frames_keep_their_index_and_types(home: atlasdb.Database) -> None:
    atlas = "small_rat_50um@1.10"
    table = cells_of(many_points(Oracle(home, atlas), 200, 1))
    frame = table.to_pandas()
    frame["kind"] = pd.Categorical(["b", "a"] * 100)
    frame["maybe"] = pd.array([1, None] * 100, dtype="Int64")
    frame["thing"] = [object() for _ in range(200)]
    frame.index = pd.Index(np.arange(200)[::-1] % 150, name="which")  # not unique
    found = home.annotate_cells(frame, atlas)
    assert isinstance(found, pd.DataFrame)
    pd.testing.assert_frame_equal(found[frame.columns], frame)
    assert found["structure_id"].dtype == "Int64", "no floats for ids"
    plain = home.annotate_cells(table, atlas).select(FOUND_COLUMNS).to_pylist()
    assert found_rows(found[list(FOUND_COLUMNS)].itertuples(index=False)) == [
        tuple(row.values()) for row in plain
    ]
    counted = home.count_cells(frame, atlas, by="kind")
    assert isinstance(counted, pd.DataFrame)
    assert counted["cells"].dtype == "int64"
    assert counted["structure_id"].dtype == "Int64"
    assert counted["direct_cells"].sum() == 200
    mixed = frame.assign(ap_um=[1.0, "x"] * 100)
    with pytest.raises(
        PointsError, match="column ap_um of the frame holds .*values of several types"
    ):
        home.annotate_cells(mixed, atlas)
    mixed = frame.assign(status_=[1, "1"] * 100)
    with pytest.raises(PointsError, match="column status_ holds .*values of several types"):
        home.count_cells(mixed, atlas, by="status_")  # as texts, 1 and "1" would be one group
    with pytest.raises(PointsError, match="have a column status already"):
        home.annotate_cells(mixed.rename(columns={"status_": "status"}), atlas)
    with pytest.raises(PointsError, match="has the columns 0, 1, 2"):
        home.annotate_cells(pd.DataFrame(np.zeros((2, 3))), atlas)
    numbered = home.annotate_cells(
        pd.DataFrame(np.zeros((2, 3))), atlas, columns=("0", "1", "2"), unit="um"
    )
    assert list(numbered.columns[:3]) == [0, 1, 2]


def test_other_kinds_come_back(home: atlasdb.Database) -> None:
    atlas = "small_rat_50um@1.10"
    points = many_points(Oracle(home, atlas), 300, 1)
    table = cells_of(points)
    plain = home.annotate_cells(table, atlas)
    assert isinstance(plain, pa.Table)
    counts = home.count_cells(table, atlas, by="sample")

    polars = pl.from_arrow(table)
    assert isinstance(polars, pl.DataFrame)
    annotated = home.annotate_cells(polars, atlas, path=True)
    assert isinstance(annotated, pl.DataFrame)
    assert same(annotated.drop("path").to_arrow().cast(plain.schema), plain)
    assert annotated.schema["path"] == pl.List(pl.String)
    counted = home.count_cells(polars, atlas, by="sample")
    assert isinstance(counted, pl.DataFrame)
    assert counted.to_dicts() == counts.to_pylist()
    with pytest.raises(PointsError, match="call collect"):
        home.count_cells(polars.lazy(), atlas)

    connection = duckdb.connect()
    relation = connection.from_arrow(table)
    annotated = home.annotate_cells(relation, atlas)
    assert isinstance(annotated, duckdb.DuckDBPyRelation)
    assert same(annotated.to_arrow_table(), plain.replace_schema_metadata())
    counted = home.count_cells(relation, atlas, by="sample")
    joined = counted.filter("cells > 0").join(relation, "sample", how="semi")  # one connection
    assert joined.count("*").fetchall()[0][0] > 0
    connection.close()

    array = home.annotate_cells(points, atlas, unit="um")
    assert isinstance(array, np.ndarray)
    assert array["structure_id"].tolist() == [i or 0 for i in plain["structure_id"].to_pylist()]
    assert array["acronym"].tolist() == [a or "" for a in plain["acronym"].to_pylist()]
    counted = home.count_cells(points, atlas, unit="um")
    assert counted["direct_cells"].sum() == 300
    assert np.isnan(counted["density_per_atlas_mm3"][-3:]).all()
    records = home.annotate_cells(array[["ap_um", "si_um", "rl_um"]], atlas)
    assert records.dtype == array.dtype
    masked = np.ma.masked_invalid(points)
    again = home.annotate_cells(masked, atlas, unit="um")
    assert again["status"].tolist() == array["status"].tolist()

    reader = home.count_cells(table.to_reader(), atlas)
    assert pc.sum(reader["direct_cells"]).as_py() == 300
    batch = table.to_batches()[0]
    assert same(home.annotate_cells(batch, atlas), plain)
    views = table.set_column(1, "sample", table["sample"].cast(pa.string_view()))
    assert home.count_cells(views, atlas, by="sample").equals(counts)
    for wrong, message in (
        (7, "not int"),
        (pd.Series([1, 2]), "Series is no table of points"),
        (relation, "the relation cannot be read: Connection Error"),
        (np.zeros((3, 2)), r"is \(N, 3\) real numbers or has named fields, found \(3, 2\)"),
        (points, "does not say what its coordinates"),
    ):
        with pytest.raises(PointsError, match=message):
            home.count_cells(wrong, atlas)


# The real tables


@pytest.mark.real
def test_direct_counts_are_brainglobes(
    real: atlasdb.Database, packages: Path, tmp_path: Path
) -> None:
    """Every cell of the real tables by BrainGlobe 2.3.1's per-point calls."""
    import tarfile

    with tarfile.open(packages / "allen_mouse_100um_v1.2.tar.gz") as archive:
        archive.extractall(tmp_path, filter="data")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the oracle's own imports
        from brainglobe_atlasapi.core import Atlas

        oracle = Atlas(tmp_path / "allen_mouse_100um_v1.2")
    names = ("brainrender_paper_cells_asr_um.csv", "cells_by_sample_um.csv.gz")
    for name, total in zip(names, (11_417, 41_417), strict=True):
        file = DATA / "cells" / name
        frame = pd.read_csv(file)
        columns = [c for c in frame.columns if c.endswith("_um")]
        theirs: Tallied[Any] = Tallied()
        for point in frame[columns].to_numpy():
            key: tuple[Any, Any] = (None, "outside")
            if np.isfinite(point).all() and (point >= 0).all():  # it would wrap, or truncate
                try:
                    structure_id = oracle.structure_from_coords(point, microns=True)
                    side = oracle.hemisphere_from_coords(point, microns=True, as_string=True)
                    key = (structure_id, side) if structure_id else (None, "background")
                except IndexError:
                    pass
            theirs[key] += 1
        found = real.count_cells(file, "allen_mouse_100um")
        ours = {
            (r["structure_id"], r["hemisphere"] if r["structure_id"] else r["status"]): r[
                "direct_cells"
            ]
            for r in found.to_pylist()
            if r["direct_cells"]
        }
        assert ours == dict(theirs)
        assert sum(ours.values()) == total


@pytest.mark.real
def test_figures_of_the_real_tables(real: atlasdb.Database) -> None:
    file = DATA / "cells" / "cells_by_sample_um.csv.gz"
    found = real.count_cells(file, "allen_mouse_100um", by=["animal", "condition"], depth=4)
    assert pc.sum(found["cells"]).as_py() == 41_417
    annotated = real.annotate_cells(file, "allen_mouse_100um")
    assert Tallied(annotated["status"].to_pylist()) == {
        "inside": 39_938,
        "background": 775,
        "outside": 704,
    }
    assert annotated["cell_id"][0].as_py() == "9007199254740993"
    assert annotated["cell_id"][1].as_py() == "00009007199254740994-1"
    ibl = DATA / "cells" / "ibl_neurons_asl_um.csv"
    with pytest.raises(PointsError, match="add --orientation asl"):
        real.annotate_cells(ibl, "allen_mouse_100um")
    mirrored = real.annotate_cells(ibl, "allen_mouse_100um", orientation="asl")
    plain = pd.read_csv(ibl)
    asr = plain.to_numpy() * [1, 1, -1] + [0, 0, 11_400]
    wanted = real.annotate_cells(asr, "allen_mouse_100um", unit="um")
    for name in ("structure_id", "status", "hemisphere"):
        ours = [v or ("" if name != "structure_id" else 0) for v in mirrored[name].to_pylist()]
        assert ours == wanted[name].tolist()
    assert Tallied(mirrored["status"].to_pylist())["inside"] == 110_239
    columns = tuple(plain.columns)
    with pytest.raises(PointsError, match="axis2_lr_um of .* counts from left by its name"):
        real.annotate_cells(ibl, "allen_mouse_100um", columns=columns)
    found = real.annotate_cells(ibl, "allen_mouse_100um", columns=columns, orientation="asr")
    assert found["structure_id"].to_pylist().count(997) == 1_093


@pytest.mark.real
def test_brainmappers_summary(real: atlasdb.Database, packages: Path, tmp_path: Path) -> None:
    """The same points by brainglobe-utils: equal for those inside; the others are told."""
    import tarfile

    with tarfile.open(packages / "allen_mouse_100um_v1.2.tar.gz") as archive:
        archive.extractall(tmp_path, filter="data")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the oracle's own
        from brainglobe_atlasapi.core import Atlas
        from brainglobe_utils.brainmapper.analysis import summarise_points_by_atlas_region

        oracle = Atlas(tmp_path / "allen_mouse_100um_v1.2")
        frame = pd.read_csv(DATA / "cells" / "brainrender_paper_cells_asr_um.csv").iloc[:, :3]
        voxels = np.floor(frame.to_numpy() / 100).astype(int)
        extents = real.sql(
            "SELECT s.name, e.hemisphere, e.direct_voxels * 0.001 AS mm3 "
            "FROM allen_mouse_100um.extent AS e JOIN allen_mouse_100um.structure AS s "
            "USING (structure_id) WHERE e.hemisphere <> 'both' AND e.direct_voxels > 0"
        ).to_pandas()
        chosen = sorted(set(extents["name"]))[:600]  # some regions are not in the file
        volumes = (
            extents[extents["name"].isin(chosen)].pivot_table(
                index="name", columns="hemisphere", values="mm3", fill_value=0.0
            )
            * 1.25
        )
        volumes = pd.DataFrame(
            {
                "structure_name": volumes.index,
                "left_volume_mm3": volumes["left"].to_numpy(),
                "right_volume_mm3": volumes["right"].to_numpy(),
                "total_volume_mm3": (volumes["left"] + volumes["right"]).to_numpy(),
            }
        )
        volumes.to_csv(tmp_path / "volumes.csv", index=False)
        all_points, theirs = summarise_points_by_atlas_region(
            voxels,
            voxels,
            oracle,
            tmp_path / "volumes.csv",
            points_list_output_filename=tmp_path / "all_points.csv",
        )
    table = real.count_table(
        open_points(tmp_path / "all_points.csv"),
        "allen_mouse_100um",
        volumes=tmp_path / "volumes.csv",
    )
    ours = table.brainmapper().to_pandas()
    assert set(theirs.columns) == set(ours.columns)
    last = ours.iloc[-3:].set_index("structure_name")["total_cells"]
    assert last.to_dict() == {"unlabelled": 0, "background": 0, "outside": 0}, "they drop those"
    assert len(all_points) == ours["total_cells"].sum()
    ours = ours.iloc[:-3].set_index("structure_name").sort_index()
    theirs = theirs.set_index("structure_name").sort_index()[ours.columns]
    with_cells = ours["total_cells"] > 0
    pd.testing.assert_frame_equal(
        ours[with_cells].astype(float).fillna(0.0),
        theirs.loc[ours.index[with_cells]].astype(float).replace(np.inf, 0.0).fillna(0.0),
    )
    assert set(ours.index) == set(theirs.index)
    every = real.count_table(
        open_points(DATA / "cells" / "brainrender_paper_cells_asr_um.csv"), "allen_mouse_100um"
    ).brainmapper()
    assert pc.sum(every["total_cells"]).as_py() == 11_417
    assert every["total_cells"].to_pylist()[-2] == 22


# Registered brains


def write_volumes(path: Path, rows: list[str], columns: str = "") -> Path:
    head = "structure_name,left_volume_mm3,right_volume_mm3,total_volume_mm3" + columns
    path.write_text("\n".join([head, *rows]) + "\n")
    return path


def test_volumes_of_registered_brains(home: atlasdb.Database, tmp_path: Path) -> None:
    """BrainGlobe's own fixture, summed up the hierarchy; each sample by its own brain."""
    atlas = "small_rat_50um@1.2"
    cells = cells_of(many_points(Oracle(home, atlas), 400, 5))
    file = write_volumes(
        tmp_path / "volumes.csv",
        ["the structure CM,.075,.065,.14", '"the structure cm",0.083,0.075,0.158'],
    )
    found = home.count_cells(cells, atlas, volumes=file)
    rows = {(r["acronym"], r["hemisphere"]): r for r in found.to_pylist()}
    assert rows["CM", "left"]["registered_volume_mm3"] == 0.075
    assert rows["grey", "left"]["registered_volume_mm3"] == pytest.approx(0.158)
    assert rows["grey", "right"]["density_per_registered_mm3"] == pytest.approx(
        rows["grey", "right"]["cells"] / 0.14
    )
    assert rows["10", "left"]["registered_volume_mm3"] == 0.0
    assert rows["10", "left"]["density_per_registered_mm3"] is None
    assert rows["10", "left"]["density_per_atlas_mm3"] is not None
    both = home.count_cells(cells, atlas, volumes=file, hemispheres="together", leaves=True)
    together = {r["acronym"]: r for r in both.to_pylist()}
    assert together["cm"]["registered_volume_mm3"] == 0.158
    assert together["CM" + UNASSIGNED]["registered_volume_mm3"] == 0.14
    each = write_volumes(
        tmp_path / "each.csv",
        [
            f"the structure cm,{n},0,{n},{s}"
            for n, s in ((1, "m1"), (2, "m2"), (3, "07"), (4, None))
        ],
        ",sample",
    )
    by_sample = home.count_cells(cells, atlas, by="sample", volumes=each, structures=["cm"])
    left = [r for r in by_sample.to_pylist() if r["acronym"] == "cm" and r["hemisphere"] == "left"]
    assert {r["sample"]: r["registered_volume_mm3"] for r in left} == {
        "m1": 1,
        "m2": 2,
        "07": 3,
        None: 4,
    }


def test_no_cells_make_no_groups(home: atlasdb.Database, tmp_path: Path) -> None:
    """Every table has its columns, and no rows."""
    cells, atlas = cells_of(np.zeros((3, 3))), "small_rat_50um@1.2"
    each = write_volumes(tmp_path / "each.csv", ["the structure cm,1,0,1,m1"], ",sample")
    for table, volumes in ((cells.slice(0, 0), each), (cells.slice(0, 0), None), (cells, None)):
        counted = home.count_table(open_frame(table), atlas, by=["sample"], volumes=volumes)
        summary = counted.brainmapper()
        assert summary.column_names[:2] == ["sample", "structure_name"]
        assert len(summary.column_names) == 10
        assert (summary.num_rows == 0) == (table.num_rows == 0)
        assert (counted.long().num_rows == 0) == (table.num_rows == 0)
        assert counted.matrix().num_rows == len(set(table["sample"].to_pylist()))


@pytest.mark.parametrize(
    ("rows", "columns", "message"),
    [
        (["CM,1,1,2"], "", r"volumes.csv, row 1: no structure is called 'CM'"),
        (["the structure CM,1,1,2"] * 2, "", "row 2: the structure CM is there twice"),
        (["the structure CM,1,x,2"], "", "row 1: 'x' is no volume in mm3"),
        (["the structure CM,1,-1,2"], "", "row 1: '-1' is no volume in mm3"),
        (["the structure CM,1,,2"], "", "row 1: '' is no volume in mm3"),
        (["the structure CM,2,2,2"], "", "left and right are more than the total, 2 mm3"),
        (["the structure CM,1,1,2,m1"], ",sample", "have none of sample (m2|07|None)"),
    ],
)
def test_volumes_that_cannot_be_used(
    home: atlasdb.Database, tmp_path: Path, rows: list[str], columns: str, message: str
) -> None:
    cells = cells_of(np.zeros((50, 3)))
    file = write_volumes(tmp_path / "volumes.csv", rows, columns)
    with pytest.raises(PointsError, match=message):
        home.count_cells(cells, "small_rat_50um@1.2", by="sample", volumes=file)


def test_files_that_are_no_volumes(home: atlasdb.Database, tmp_path: Path) -> None:
    cells = cells_of(np.zeros((5, 3)))
    (tmp_path / "volumes.csv").write_text("a,b\n1,2\n")
    with pytest.raises(PointsError, match="have no column structure_name, .*; they have a, b"):
        home.count_cells(cells, "small_rat_50um@1.2", volumes=tmp_path / "volumes.csv")
    with pytest.raises(PointsError, match="cannot be read: .*No such file"):
        home.count_cells(cells, "small_rat_50um@1.2", volumes=tmp_path / "none.csv")


def test_memory_does_not_grow_with_the_rows(
    home: atlasdb.Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Arrow's own pool, which holds what is read and written, peaks alike for ten times the rows."""
    peaks: list[int] = []
    monkeypatch.setattr("atlasdb.cells.columnar._PIECE_ROWS", 20_000)
    monkeypatch.setattr("atlasdb.cells.writing._GROUP_ROWS", 20_000)
    points = many_points(Oracle(home, "small_rat_50um@1.2"), 20_000, 3)
    table = pa.table(dict(zip(MICRONS, points.T, strict=True)))
    for copies in (10, 100):
        file = tmp_path / f"{copies}.parquet"
        with pq.ParquetWriter(file, table.schema) as writer:
            for _ in range(copies):
                writer.write_table(table)
        pool = pa.system_memory_pool()
        before = pa.default_memory_pool()
        pa.set_memory_pool(pool)
        try:
            start = pool.max_memory() or 0
            home.annotate_cells(file, "small_rat_50um@1.2", output=tmp_path / "out.parquet")
            home.count_cells(file, "small_rat_50um@1.2")
            peaks.append((pool.max_memory() or 0) - (start if not peaks else 0))
        finally:
            pa.set_memory_pool(before)
        assert pq.ParquetFile(tmp_path / "out.parquet").metadata.num_rows == copies * 20_000
    assert peaks[1] < 1.5 * peaks[0] + (1 << 20)
