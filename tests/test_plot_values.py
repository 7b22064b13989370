"""Values of structures: whatever they come in, which structure each belongs to, what it paints."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import atlasdb
from atlasdb.hierarchy import Hierarchy
from atlasdb.plots.painting import HEMISPHERES, Painted, paint
from atlasdb.plots.reading import read_values
from atlasdb.plots.values import BOTH, Values
from atlasdb.runs import LEFT, NEITHER, RIGHT
from atlasdb.structures import StructureTable
from atlasdb.voxels import AtlasVoxels
from atlasdb.voxels.ranks import RankTable

ATLAS = "phantom_mouse_100um"


@pytest.fixture(scope="module")
def voxels(full: atlasdb.Database) -> AtlasVoxels:
    return full.voxels(ATLAS)


def as_dict(values: Values) -> dict[str, float]:
    acronyms = values.structures.acronyms
    return {
        acronyms[rank - 1]: number
        for rank, number in zip(values.ranks.tolist(), values.numbers.tolist(), strict=True)
    }


GIVEN = {"CP": 2.5, "TH": 0.0, "VISp2/3": -1.0, "cm": 4.0}


def written(folder: Path) -> dict[str, Any]:
    """Return the same values in every form that they may have."""
    names, numbers = list(GIVEN), list(GIVEN.values())
    csv = folder / "values.csv"
    csv.write_text("structure,value\n" + "".join(f'"{n}",{v}\n' for n, v in GIVEN.items()))
    with_mark = folder / "marked.csv"
    with_mark.write_bytes(b"\xef\xbb\xbf" + csv.read_bytes())
    tsv = folder / "values.tsv"
    tsv.write_text(csv.read_text().replace('"', "").replace(",", "\t"))
    whole = folder / "values.json"
    whole.write_text(json.dumps(GIVEN))
    rows = folder / "rows.json"
    rows.write_text(json.dumps([{"acronym": n, "density": v} for n, v in GIVEN.items()]))
    table = pa.table({"acronym": names, "whatever": numbers})
    pq.write_table(table, folder / "values.parquet")
    return {
        "dictionary": GIVEN,
        "ids": {672: 2.5, 549: 0, 821: -1, 967: np.float32(4)},
        "ids as texts": {"672": 2.5, "549": 0, "821": "-1", "967": " 4 "},
        "csv": csv,
        "csv with a mark": with_mark,
        "tsv": str(tsv),
        "json": whole,
        "json rows": rows,
        "parquet": folder / "values.parquet",
        "arrow": table,
        "pandas": table.to_pandas(),
        "pandas ids": pd.DataFrame({"structure_id": [672.0, 549, 821, 967], "v": numbers}),
        "polars": pl.DataFrame({"region": names, "v": numbers}),
        "names": pa.table(
            {
                "name": [
                    "Caudoputamen",
                    "Thalamus",
                    "Primary visual area, layer 2/3",
                    "cranial nerves",
                ],
                "v": numbers,
            }
        ),
    }


def test_the_same_values_in_every_form(voxels: AtlasVoxels, tmp_path: Path) -> None:
    for kind, source in written(tmp_path).items():
        found = read_values(source, voxels)
        assert as_dict(found) == GIVEN, kind
        assert (found.sides == BOTH).all()
        assert not found.is_direct.any()


def test_what_is_missing_is_not_zero(voxels: AtlasVoxels, tmp_path: Path) -> None:
    path = tmp_path / "values.csv"
    path.write_text("acronym,mean\nCP,\nTH,0\nCTX,NA\nHY,nan\n")
    found = as_dict(read_values(path, voxels))
    assert found["TH"] == 0
    assert all(np.isnan(found[name]) for name in ("CP", "CTX", "HY"))
    given = read_values({"CP": None, "TH": 0, "HY": float("nan")}, voxels)
    assert np.isnan(given.numbers).tolist() == [True, False, True]


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        (
            "acronym,v\nCPP,1\nTH,2\n",
            atlasdb.UnknownStructureError,
            "1 structure that .* CPP .did you mean CP",
        ),
        ("acronym,v\nqq,1\nzz,2\n", atlasdb.UnknownStructureError, "2 structures that .*: qq; zz"),
        ("structure_id,v\n4711,1\n", atlasdb.UnknownStructureError, "does not have: 4711"),
        (
            "structure_id,acronym,v\n672,TH,1\n",
            atlasdb.UnknownStructureError,
            "calls structure 672 'TH' .acronym., .* 'CP'",
        ),
        ("acronym,a,b\nCP,1,2\n", atlasdb.PictureError, "which column .* there are a, b: name one"),
        ("acronym,a\nCP,much\n", atlasdb.PictureError, "no column holds numbers only"),
        (
            "acronym,cells\nCP,much\n",
            atlasdb.PictureError,
            "column cells: 'much' in row 2 is no finite number",
        ),
        ("acronym,cells\nCP,inf\n", atlasdb.PictureError, "'inf' in row 2 is no finite number"),
        ("animal,cells\nm1,2\n", atlasdb.PictureError, "does not say of which structures"),
        (
            "acronym,cells\nCP,1,2\n",
            atlasdb.PictureError,
            "line 2: 3 values, but there are 2 columns",
        ),
        ("acronym,acronym,v\nCP,CP,1\n", atlasdb.PictureError, "several columns called acronym"),
        ("acronym,cells\n", atlasdb.PictureError, "holds no values"),
        ("", atlasdb.PictureError, "holds no values"),
        (
            "acronym,status,cells\n,outside,2\n",
            atlasdb.PictureError,
            "no row that is of a structure",
        ),
        ("acronym,hemisphere,v\nCP,dexter,1\n", atlasdb.PictureError, "hemisphere 'dexter'"),
        ('acronym,v\n"CP,1\n', atlasdb.PictureError, "cannot read"),
    ],
)
def test_tables_that_cannot_be_understood(
    voxels: AtlasVoxels, tmp_path: Path, content: str, error: type[Exception], message: str
) -> None:
    path = tmp_path / "values.csv"
    path.write_text(content)
    with pytest.raises(error, match=message):
        read_values(path, voxels)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({}, "no value in an empty dictionary"),
        ({"CP": {"a": 1}, "TH": 2}, "some values are dictionaries and some are not"),
        (7, "values are a dictionary, a file, .* int cannot be read"),
        ("values.xlsx", "end in .csv, .tsv, .json, .parquet"),
        ("nothing.csv", "cannot read nothing.csv: No such file"),
        ({"CP": True}, "True in row 1 is no finite number"),
        ({"CP": float("inf")}, "inf in row 1 is no finite number"),
    ],
)
def test_sources_that_hold_no_values(voxels: AtlasVoxels, source: Any, message: str) -> None:
    with pytest.raises(atlasdb.PictureError, match=message):
        read_values(source, voxels)


@pytest.mark.parametrize(
    ("name", "content"), [("a.json", "[1]"), ("a.json", "{"), ("a.parquet", "x")]
)
def test_files_that_are_something_else(
    voxels: AtlasVoxels, tmp_path: Path, name: str, content: str
) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(atlasdb.PictureError, match="a\\.(json|parquet)"):
        read_values(tmp_path / name, voxels)


def counted(full: atlasdb.Database, **wanted: Any) -> pa.Table:
    """Count cells of two animals, some of them nowhere."""
    chance = np.random.default_rng(3)
    n = 3000
    cells = pa.table(
        {
            "ap_um": chance.uniform(-300, 13500, n),
            "si_um": chance.uniform(-300, 8300, n),
            "rl_um": chance.uniform(-300, 11700, n),
            "animal": chance.choice(["m1", "m2", "m3"], n),
        }
    )
    found: pa.Table = full.count_cells(cells, ATLAS, **wanted)
    return found


def test_counts_with_all_that_they_say(full: atlasdb.Database, voxels: AtlasVoxels) -> None:
    table = counted(full, depth=3)
    found = read_values(table, voxels)
    rows = table.to_pylist()
    inside = [row for row in rows if row["status"] == "inside"]
    assert len(found.ranks) == len(inside)
    assert found.column == "cells"
    assert found.unit == "cells"
    assert found.is_direct.tolist() == ["unassigned" in row["acronym"] for row in inside]
    assert found.sides.tolist() == [LEFT if r["hemisphere"] == "left" else RIGHT for r in inside]
    nowhere = sum(row["cells"] for row in rows if row["status"] != "inside")
    assert nowhere > 0
    assert found.nowhere == {"": nowhere}
    assert found.told_of_nowhere() == f"; {nowhere} more in no structure of the table"
    assert read_values(table, voxels, column="density_per_atlas_mm3").nowhere == {}


def test_groups_samples_and_conditions(full: atlasdb.Database, voxels: AtlasVoxels) -> None:
    table = counted(full, by="animal", depth=2, hemispheres="together")
    with pytest.raises(
        atlasdb.PictureError, match=r"has 3 rows for \w+, which differ in animal: .*\(where\)"
    ):
        read_values(table, voxels).single()
    m2 = read_values(table, voxels, where={"animal": "m2"}).single()
    mine = [
        r["cells"] for r in table.to_pylist() if r["animal"] == "m2" and r["status"] == "inside"
    ]
    assert m2.numbers.tolist() == mine
    grouped = read_values(table, voxels, by="animal")
    assert grouped.group_names == ["m1", "m2", "m3"]
    assert grouped.of_group("m2").numbers.tolist() == mine
    with pytest.raises(atlasdb.LookupFailedError, match="no group 'm4'; it has m1, m2, m3"):
        grouped.of_group("m4")
    with pytest.raises(atlasdb.PictureError, match="animal = m9; there are m1"):
        read_values(table, voxels, where={"animal": "m9"})
    with pytest.raises(atlasdb.PictureError, match="no column 'aminal'; did you mean animal"):
        read_values(table, voxels, by="aminal")
    for aggregate in ("mean", "median", "sum"):
        folded = read_values(table, voxels).single(aggregate)
        frame = table.to_pandas()
        expected = frame[frame.status == "inside"].groupby("acronym").cells.agg(aggregate)
        unmarked = {a.removesuffix(" (unassigned)"): v for a, v in expected.items()}
        assert as_dict(folded) == unmarked
    with pytest.raises(atlasdb.PictureError, match="mean, median, sum, not 'most'"):
        read_values(table, voxels).single("most")  # type: ignore[arg-type]


def test_dictionaries_of_groups(voxels: AtlasVoxels) -> None:
    found = read_values({"control": {"CP": 1}, "treated": {"CP": 2, "TH": 3}}, voxels)
    assert found.group_names == ["control", "treated"]
    assert as_dict(found.of_group("treated")) == {"CP": 2, "TH": 3}
    with pytest.raises(atlasdb.PictureError, match="differ in group"):
        found.single()


def test_what_is_missing_does_not_count(voxels: AtlasVoxels) -> None:
    found = read_values({"a": {"CP": 1, "TH": None}, "b": {"CP": None, "TH": None}}, voxels)
    folded = found.single("mean")
    assert as_dict(folded)["CP"] == 1
    assert np.isnan(as_dict(folded)["TH"])


def test_neither_hemisphere_is_a_side_of_its_own(full: atlasdb.Database) -> None:
    asymmetric = full.voxels("phantom_asymmetric_mouse_100um")
    table = pa.table(
        {
            "structure_id": [672, 672, 672, None],
            "hemisphere": ["left", "right", None, None],
            "status": ["inside", "inside", "inside", "outside"],
            "cells": [3, 4, 5, 6],
        }
    )
    found = read_values(table, asymmetric)
    assert found.sides.tolist() == [LEFT, RIGHT, NEITHER]
    assert found.nowhere == {"": 6}


# Painting, against a climb from each structure.


@st.composite
def trees(draw: st.DrawFn) -> Hierarchy:
    """Return a tree whose structures' ids are their positions in the list."""
    n = draw(st.integers(1, 12))
    parents = [draw(st.integers(0, child - 1)) for child in range(1, n)]
    return Hierarchy.from_parents(range(n), [None, *parents])


def table_of(hierarchy: Hierarchy) -> RankTable:
    names = tuple(f"S{i}" for i in hierarchy.ids.tolist())
    rgb = np.zeros((len(hierarchy), 3), np.uint8)
    structures = StructureTable(hierarchy, names, names, rgb, hierarchy.ids)
    return RankTable(structures, np.array([10**6], dtype=np.int64))


def oracle(
    rows: dict[tuple[int, bool, int], float], table: RankTable, depth: int | None
) -> Painted:
    """Paint rank by rank: climb until a structure has a row, its own side's first."""
    hierarchy = table.structures.hierarchy
    numbers = np.full((3, table.size), np.nan)
    owner = np.zeros((3, table.size), dtype=np.int64)
    for side in HEMISPHERES:
        for rank in range(1, len(hierarchy) + 1):
            level = int(hierarchy.depth[rank - 1])
            place, is_direct = rank, depth is None or level < depth
            while place:
                is_too_deep = depth is not None and hierarchy.depth[place - 1] > depth
                keys = [] if is_too_deep else [(place, False, side), (place, False, BOTH)]
                if is_direct and place == rank:
                    keys = [(place, True, side), (place, True, BOTH), *keys]
                key = next((key for key in keys if key in rows), None)
                if key is not None:
                    numbers[side, rank], owner[side, rank] = rows[key], place
                    break
                place = int(hierarchy.parent_rank[place - 1])
    return Painted(numbers, owner)


@given(trees(), st.data())
@settings(max_examples=60)
def test_painting_by_climbing(hierarchy: Hierarchy, data: st.DataObject) -> None:
    table = table_of(hierarchy)
    n = len(hierarchy)
    key = st.tuples(st.integers(1, n), st.booleans(), st.sampled_from([BOTH, *HEMISPHERES]))
    number = st.one_of(st.just(float("nan")), st.integers(-5, 5).map(float))
    rows = data.draw(st.dictionaries(key, number, min_size=1, max_size=12))
    depth = data.draw(st.one_of(st.none(), st.integers(0, hierarchy.height)))
    values = Values(
        source="these",
        structures=table.structures,
        column="value",
        is_count=False,
        ranks=np.array([k[0] for k in rows]),
        is_direct=np.array([k[1] for k in rows]),
        sides=np.array([k[2] for k in rows]),
        by="",
        groups=np.full(len(rows), ""),
        numbers=np.array(list(rows.values())),
        nowhere={},
        direct=None,
        others={},
    )
    expected = oracle(rows, table, depth)
    if np.isnan(expected.numbers).all():
        with pytest.raises(atlasdb.PictureError, match="these has no value of a structure"):
            paint(values, table, depth=depth)
        return
    found = paint(values, table, depth=depth)
    assert np.array_equal(found.numbers, expected.numbers, equal_nan=True)
    assert np.array_equal(found.owner, expected.owner)


@pytest.mark.parametrize("cut", [None, 3])
def test_counts_are_painted_so_that_no_cell_is_seen_twice(
    full: atlasdb.Database, voxels: AtlasVoxels, cut: int | None
) -> None:
    """Each region that is told apart shows the cells in it: they sum to all that are inside."""
    table = counted(full)
    painted = paint(read_values(table, voxels), voxels.rank_table, depth=cut)
    regions = voxels.rank_table.cut(depth=cut).rank[: voxels.rank_table.size]
    shown = {
        (side, int(regions[rank])): painted.numbers[side, rank]
        for side in (LEFT, RIGHT)
        for rank in range(1, len(voxels.structures) + 1)
        if regions[rank] == rank or cut is None
    }
    inside = sum(row["direct_cells"] for row in table.to_pylist() if row["status"] == "inside")
    assert sum(shown.values()) == inside > 0


def test_which_groups_are_meant(voxels: AtlasVoxels, tmp_path: Path) -> None:
    path = tmp_path / "values.csv"
    path.write_text("acronym,cells,condition\nCP,1,a\nCP,2,b\n")
    with pytest.raises(atlasdb.PictureError, match="which column of .* holds 'a'. name it"):
        read_values(path, voxels).of_group("a")
    with pytest.raises(atlasdb.PictureError, match="2 rows for CP, which differ in condition:"):
        read_values(path, voxels, by="condition").single()
    path.write_text("acronym,cells\nCP,1_000\n")
    with pytest.raises(atlasdb.PictureError, match="'1_000' in row 2 is no finite number"):
        read_values(path, voxels)


def test_a_row_s_number_is_no_structure(voxels: AtlasVoxels) -> None:
    """Ids 8, 22 and 33 are structures; beside a region, a column called id is nobody's."""
    table = {"id": [8, 22, 33], "region": ["CP", "TH", "CB"], "v": [1.0, 2, 3]}
    assert as_dict(read_values(pa.table(table), voxels)) == {"CP": 1, "TH": 2, "CB": 3}
    alone = {"id": [8, 22, 33], "v": [1.0, 2, 3]}
    assert list(as_dict(read_values(pa.table(alone), voxels))) == ["grey", "PTLp", "VISp6a"]


@pytest.mark.parametrize(
    "columns",
    [
        {"structure_id": [672], "region": ["TH"]},
        {"structure_id": [672], "name": ["Thalamus"]},
        {"acronym": ["CP"], "structure_name": ["Thalamus"]},
    ],
)
def test_names_that_contradict_each_other(voxels: AtlasVoxels, columns: dict[str, Any]) -> None:
    with pytest.raises(atlasdb.UnknownStructureError, match="its values are of another atlas"):
        read_values(pa.table(columns | {"v": [1.0]}), voxels)


def test_names_that_are_worded_otherwise(voxels: AtlasVoxels) -> None:
    table = {"structure_id": [672], "name": ["the caudoputamen"], "region": ["deep"], "v": [1.0]}
    assert as_dict(read_values(pa.table(table), voxels)) == {"CP": 1}


def test_groups_are_never_merged_unsaid(voxels: AtlasVoxels) -> None:
    groups = {"control": {"CH": 1}, "treated": {"CP": 2}}
    with pytest.raises(atlasdb.PictureError, match="has the groups control, treated: show one on"):
        read_values(groups, voxels).single()


def test_hemispheres_and_both_are_never_mixed(voxels: AtlasVoxels) -> None:
    table = {
        "acronym": ["CP", "CP", "TH"],
        "hemisphere": ["both", "left", "both"],
        "v": [3.0, 1, 2],
    }
    with pytest.raises(atlasdb.PictureError, match="has CP by hemisphere and for both together"):
        read_values(pa.table(table), voxels)
    only = read_values(pa.table(table), voxels, where={"hemisphere": "both"})
    assert as_dict(only) == {"CP": 3, "TH": 2}


def test_nothing_is_given_twice(voxels: AtlasVoxels, tmp_path: Path) -> None:
    path = tmp_path / "values.json"
    path.write_text('{"CP": 1, "CP": 2}')
    with pytest.raises(atlasdb.PictureError, match="several values called CP"):
        read_values(path, voxels)
    twice = pa.Table.from_arrays([pa.array(["CP"]), *[pa.array([1.0])] * 2], ["acronym", "v", "v"])
    with pytest.raises(atlasdb.PictureError, match="several columns called v"):
        read_values(twice, voxels)


def test_more_kinds_of_tables(full: atlasdb.Database, voxels: AtlasVoxels) -> None:
    points = np.array([[4950, 4150, 3150], [4950, 4150, 3150], [-1, 0, 0]])
    counted = full.count_cells(points, ATLAS, unit="um", structures=["CNU"])
    assert as_dict(read_values(counted, voxels))["CNU"] in {0, 2}
    assert as_dict(read_values(pd.Series(GIVEN), voxels)) == GIVEN
    frame = pd.DataFrame({"v": list(GIVEN.values())}, index=pd.Index(list(GIVEN), name="acronym"))
    assert as_dict(read_values(frame, voxels)) == GIVEN
    missing = pd.DataFrame({"acronym": ["CP", "TH"], "v": pd.array([pd.NA, 1], dtype="Int64")})
    assert np.isnan(as_dict(read_values(missing, voxels))["CP"])
    assert np.isnan(read_values({"CP": np.float32("nan"), "TH": pd.NA}, voxels).numbers).all()


def test_what_a_count_leaves_out_is_zero(full: atlasdb.Database, voxels: AtlasVoxels) -> None:
    table = counted(full, by="animal", depth=4, hemispheres="together")
    nonzero = table.filter(pa.compute.greater(table["cells"], 0))
    means = {}
    for name, rows in (("all", table), ("nonzero", nonzero)):
        means[name] = as_dict(read_values(rows, voxels).single("mean"))
    for acronym, mean in means["nonzero"].items():
        assert mean == means["all"][acronym]
    # So is a density; but a volume is there whether anything was counted in it or not.
    for column in ("density_per_atlas_mm3", "atlas_volume_mm3"):
        folded = {
            name: as_dict(read_values(rows, voxels, column=column).single("mean"))
            for name, rows in (("all", table), ("nonzero", nonzero))
        }
        for acronym, mean in folded["nonzero"].items():
            assert mean == pytest.approx(folded["all"][acronym])
    # A column that somebody has added is no group.
    added = table.append_column("note", pa.array([str(n) for n in range(table.num_rows)]))
    assert as_dict(read_values(added, voxels).single("mean")) == means["all"]
    # Of values that are no counts, only those that are there matter.
    found = read_values({"a": {"CP": 1, "TH": 3}, "b": {"CP": 2}}, voxels).single("mean")
    assert as_dict(found) == {"CP": 1.5, "TH": 3}


@pytest.mark.parametrize("depth", range(9))
def test_cuts_lose_nothing(full: atlasdb.Database, voxels: AtlasVoxels, depth: int) -> None:
    """Leaves, deeper cuts and whole tables give what a count at the depth does, row for row."""
    from atlasdb.plots.cutting import cut_at

    table = voxels.rank_table

    def cells_of(given: pa.Table) -> dict[tuple[Any, ...], float]:
        values, lost = cut_at(read_values(given, voxels, by="animal"), table, depth)
        assert lost == 0
        keys = zip(values.ranks, values.is_direct, values.sides, values.groups, strict=True)
        return {
            tuple(key): number
            for key, number in zip(keys, values.numbers, strict=True)
            if number > 0
        }

    expected = cells_of(counted(full, by="animal", depth=depth))
    for wanted in ({"leaves": True}, {"depth": 8}):
        assert cells_of(counted(full, by="animal", **wanted)) == expected
    whole = cells_of(counted(full, by="animal"))
    assert {key: n for key, n in whole.items() if key in expected and not key[1]} == {
        key: n for key, n in expected.items() if not key[1]
    }


def test_a_cut_tells_what_it_leaves_out(voxels: AtlasVoxels) -> None:
    from atlasdb.plots.cutting import cut_at

    values, lost = cut_at(read_values({"CP": 5, "TH": 7}, voxels), voxels.rank_table, 4)
    assert (as_dict(values), lost) == ({"TH": 7}, 1)
    values, lost = cut_at(read_values({"CP": 5, "STR": 7}, voxels), voxels.rank_table, 4)
    assert (as_dict(values), lost) == ({"STR": 7}, 0)


def test_nested_structures_of_a_count(full: atlasdb.Database, voxels: AtlasVoxels) -> None:
    """Where CP has a row of its own, the rest of CH shows the cells in CH without CP's."""
    table = counted(full, structures=["CH", "CP"], hemispheres="together")
    rows = {row["acronym"]: row for row in table.to_pylist() if row["acronym"]}
    painted = paint(read_values(table, voxels), voxels.rank_table)
    acronyms = ["", *voxels.structures.acronyms]
    shown = {a: painted.numbers[LEFT, rank] for rank, a in enumerate(acronyms) if a}
    assert shown["CP"] == rows["CP"]["cells"]
    for acronym in ("CH", "CTX", "VISp5", "STR", "PAL"):
        assert shown[acronym] == rows["CH"]["cells"] - rows["CP"]["cells"]


def test_brainmapper_s_summary(full: atlasdb.Database, voxels: AtlasVoxels, tmp_path: Path) -> None:
    """Its counts are of own labels: cut at a depth they are those of a count there."""
    from atlasdb.cells import frames
    from atlasdb.cells.columns import Stated
    from atlasdb.plots.cutting import cut_at

    chance = np.random.default_rng(3)
    points = chance.uniform(0, 1, (3000, 3)) * voxels.grid.extent_um
    opened = frames.read(points, Stated(None, "um", None, None)).points
    summary = full.count_table(opened, ATLAS).brainmapper()
    found = read_values(summary, voxels)
    assert found.is_direct.all()
    assert found.unit == "cells"
    rows = full.count_cells(points, ATLAS, unit="um", depth=3, hemispheres="together")
    values, lost = cut_at(found, voxels.rank_table, 3)
    assert lost == 0
    acronyms = voxels.structures.acronyms
    counts = {
        acronyms[rank - 1] + (" (unassigned)" if is_direct else ""): number
        for rank, is_direct, number in zip(
            values.ranks.tolist(), values.is_direct.tolist(), values.numbers.tolist(), strict=True
        )
        if number
    }
    leaves = {a.removesuffix(" (unassigned)"): n for a, n in counts.items()}
    expected = {
        row["acronym"].removesuffix(" (unassigned)"): row["cells"]
        for row in rows
        if row["status"] == "inside" and row["cells"]
    }
    assert leaves == expected
    assert sum(found.nowhere.values()) == sum(r["cells"] for r in rows if r["status"] != "inside")
