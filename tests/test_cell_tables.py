"""Registered tables of cells: right from any client, in any folder, whatever becomes of the atlas."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from conftest import tree_of
from oracles import Oracle, many_points
from small import SmallAtlas, labels
from sqlalchemy import select, text

import atlasdb
from atlasdb.errors import (
    AtlasInUseError,
    BlobError,
    CellTableError,
    HomeError,
    PointsError,
    QueryError,
    UnknownCellTableError,
)
from atlasdb.models import CellTable

ATLAS = "small_rat_50um"
MICRONS = ("ap_um", "si_um", "rl_um")


def cells(db: atlasdb.Database, atlas: str = f"{ATLAS}@1.2", count: int = 300) -> pa.Table:
    points = many_points(Oracle(db, atlas), count, seed=4)
    samples = ["m1", "m2", "m3"] * (count // 3)
    columns = dict(zip(MICRONS, points.T, strict=True))
    return pa.table({"id": [f"0{n}" for n in range(count)], "animal": samples, **columns})


def ingest(db: atlasdb.Database, folder: Path, seed: int = 1, **options: Any) -> None:
    """Ingest the small atlas; another seed is another annotation."""
    source = folder / f"{seed}-{options.get('version', '1.2')}"
    atlas = SmallAtlas(version=options.get("version", "1.2"), annotation=labels(seed))
    if not source.exists():
        atlas.write(source)
    db.ingest(str(source / atlas.folder_name), force=options.get("force", False))


@pytest.fixture
def pilot(db: atlasdb.Database, tmp_path: Path) -> atlasdb.Database:
    """A home with two versions and two resolutions of an atlas, and one table of cells."""
    ingest(db, tmp_path)
    ingest(db, tmp_path, seed=2, version="1.10")
    coarse = SmallAtlas(resolution_um=(100.0, 40.0, 20.0), annotation=labels(9))
    db.ingest(str(coarse.write(tmp_path / "coarse")))
    db.add_cells("pilot", cells(db), f"{ATLAS}@1.2")
    return db


def statuses(db: atlasdb.Database, table: str = "cells.pilot") -> dict[str, int]:
    rows = db.sql(f"SELECT status, count(*) AS n FROM {table} GROUP BY ALL").to_pylist()
    return {row["status"]: row["n"] for row in rows}


def test_a_table_joins_with_its_own_atlas(pilot: atlasdb.Database) -> None:
    """Three atlases in the home have the same ids."""
    oracle = Oracle(pilot, f"{ATLAS}@1.2")
    given = cells(pilot)
    rows = oracle(np.column_stack([given[name].to_numpy() for name in MICRONS]))
    found = pilot.sql("FROM cells.pilot ORDER BY id").to_pylist()
    rows = [
        row
        for _, row in sorted(zip(given["id"].to_pylist(), rows, strict=True), key=lambda p: p[0])
    ]
    for name in ("structure_id", "acronym", "hemisphere", "status"):
        assert [row[name] for row in found] == [row[f"{name}_at"] for row in rows]
    joined = pilot.sql(
        "SELECT s.acronym, count(*) AS n FROM cells.pilot AS c "
        f'JOIN "{ATLAS}@1.2".closure AS x ON x.descendant_id = c.structure_id '
        f'JOIN "{ATLAS}@1.2".structure AS s ON s.structure_id = x.ancestor_id GROUP BY ALL'
    ).to_pylist()
    by_number = pilot.sql(
        "SELECT s.acronym, count(*) AS n FROM cells.pilot AS c "
        "JOIN main.structure_closure AS x ON x.atlas_id = c.atlas_id "
        "AND x.descendant_id = c.structure_id "
        "JOIN main.structure AS s ON s.atlas_id = x.atlas_id AND s.structure_id = x.ancestor_id "
        "GROUP BY ALL"
    ).to_pylist()
    counted = pilot.count_cells(given, f"{ATLAS}@1.2", hemispheres="together").to_pylist()
    wanted = {row["acronym"]: row["cells"] for row in counted if row["acronym"] and row["cells"]}
    assert {r["acronym"]: r["n"] for r in joined} == wanted
    assert {r["acronym"]: r["n"] for r in by_number} == wanted


def test_what_is_stored_is_what_sql_finds(pilot: atlasdb.Database) -> None:
    """The points in the table give, by the macros, the structures in the table."""
    differing = pilot.sql(
        "SELECT count(*) FROM cells.pilot AS c "
        f"WHERE structure_id_at('{ATLAS}@1.2', c.ap_um, c.si_um, c.rl_um) "
        "IS DISTINCT FROM c.structure_id"
    )
    assert differing.column(0).to_pylist() == [0]


def test_other_coordinates_become_microns(pilot: atlasdb.Database) -> None:
    given = cells(pilot).to_pandas()
    extent = pilot.voxels(f"{ATLAS}@1.2").grid.extent_um
    mirrored = pd.DataFrame(
        {
            "x": given["ap_um"] / 1000,
            "y": given["si_um"] / 1000,
            "z": (extent[2] - given["rl_um"]) / 1000,
            "acronym_by_hand": "?",
        }
    )
    pilot.add_cells(
        "abc",
        mirrored,
        f"{ATLAS}@1.2",
        columns=("x", "y", "z"),
        unit="mm",
        orientation="asl",
        depths=[1],
        path=True,
    )
    found = pilot.sql("FROM cells.abc")
    assert found.column_names == [
        "atlas_id",
        "x",
        "y",
        "z",
        "acronym_by_hand",
        *MICRONS,
        "structure_id",
        "acronym",
        "hemisphere",
        "status",
        "structure_id_depth_1",
        "acronym_depth_1",
        "path",
    ]
    for name in MICRONS:
        np.testing.assert_allclose(
            found[name].to_numpy(), given[name].to_numpy(), atol=1e-9, rtol=1e-9
        )
    (row,) = (r for r in pilot.cell_tables().to_pylist() if r["name"] == "cells.abc")
    assert (row["unit"], row["orientation"], row["rows"]) == ("mm", "asl", 300)
    with pilot.session() as session:
        table = session.scalars(select(CellTable).where(CellTable.name == "abc")).one()
        assert table.columns == {"ap_um": "x", "si_um": "y", "rl_um": "z"}
        assert session.execute(text("SELECT count(*) FROM cells.abc")).scalar() == 300


def test_any_client_in_any_folder(
    pilot: atlasdb.Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = statuses(pilot)
    monkeypatch.chdir("/")
    script = (
        "import duckdb, sys; c = duckdb.connect(sys.argv[1], read_only=True); "
        "print(sorted(c.execute('SELECT status, count(*) FROM cells.pilot GROUP BY ALL').fetchall()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(pilot.home.database)],
        capture_output=True,
        text=True,
        check=True,
        cwd="/",
    )
    assert done.stdout.strip() == str(sorted(wanted.items()))
    with duckdb.connect() as other:  # attached under another name, too
        other.execute(f"ATTACH '{pilot.home.database}' AS mine (READ_ONLY)")
        rows = other.execute(
            "SELECT status, count(*) FROM mine.cells.pilot GROUP BY ALL"
        ).fetchall()
        assert dict(rows) == wanted


ODD = ("plain", "it's", "a [1] b*", "sample=m1", "höhle ü", "sp ace")


@pytest.mark.parametrize("name", ODD)
def test_homes_with_odd_names(pilot: atlasdb.Database, tmp_path: Path, name: str) -> None:
    wanted = statuses(pilot)
    target = tmp_path / name / "home"
    target.parent.mkdir()
    shutil.move(pilot.home.folder, target)
    moved = atlasdb.connect(target)
    assert statuses(moved) == wanted
    assert "sample" not in moved.sql("FROM cells.pilot").column_names, "no column of the folder"
    with duckdb.connect(str(moved.home.database), read_only=True) as other:
        rows = other.execute("SELECT status, count(*) FROM cells.pilot GROUP BY ALL").fetchall()
    assert dict(rows) == wanted, "repaired for all by the first who read it"
    moved.add_cells("more", cells(moved), f"{ATLAS}@1.2")
    assert statuses(moved, "cells.more") == wanted


def test_a_copy_never_reads_the_original(pilot: atlasdb.Database, tmp_path: Path) -> None:
    copy = atlasdb.connect(tmp_path / "copy")
    shutil.copytree(pilot.home.folder, copy.home.folder)
    pilot.add_cells("pilot", cells(pilot, count=30), f"{ATLAS}@1.2", force=True)
    assert sum(statuses(pilot).values()) == 30
    assert sum(statuses(copy).values()) == 300
    assert copy.relocate() is False, "it was repaired when it was read"
    with duckdb.connect(str(copy.home.database), read_only=True) as other:
        assert other.execute("SELECT count(*) FROM cells.pilot").fetchall() == [(300,)]
    with pilot.session() as session:
        assert session.execute(text("SELECT count(*) FROM cells.pilot")).scalar() == 30


def test_a_moved_home_that_cannot_be_written(
    pilot: atlasdb.Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own connections find the files; nothing is written."""
    wanted = statuses(pilot)
    copy = atlasdb.connect(tmp_path / "copy")
    shutil.copytree(pilot.home.folder, copy.home.folder)
    pilot.remove_cells("pilot")  # the original's files are no help
    before = tree_of(copy.home.folder)

    def refuse(*_: object, **__: object) -> None:
        raise HomeError("read-only")

    monkeypatch.setattr("atlasdb.database.relocate", refuse)  # as on a read-only mount
    assert statuses(copy) == wanted
    rows = copy.query("cells_per_structure", cells="pilot").to_pylist()
    assert sum(row["direct_cells"] for row in rows) == 300
    with copy.session(atlas=f"{ATLAS}@1.2") as session:
        assert session.execute(text("SELECT count(*) FROM cells.pilot")).scalar() == 300
    assert tree_of(copy.home.folder) == before
    monkeypatch.undo()
    link = tmp_path / "link"
    link.symlink_to(copy.home.folder)
    assert statuses(atlasdb.connect(link)) == wanted
    assert statuses(copy) == wanted


def test_an_atlas_that_answers_otherwise(pilot: atlasdb.Database, tmp_path: Path) -> None:
    """The table is an error until it is annotated again; never old structures."""
    ingest(pilot, tmp_path, force=True)
    assert sum(statuses(pilot).values()) == 300, "the same annotation changes nothing"
    source = tmp_path / "7-1.2"
    folder = SmallAtlas(version="1.2", annotation=labels(7)).write(source)
    assert pilot.ingest(str(folder), force=True).outdated == ("pilot",)
    with pytest.raises(QueryError, match="annotated with another small_rat_50um@1.2 .* refresh"):
        pilot.sql("SELECT count(*) FROM cells.pilot")
    with pytest.raises(QueryError, match="atlasdb cells refresh pilot"):
        pilot.query("top_structures", cells="pilot")
    for question in (  # what statistics of the file could answer without a row being read
        "SELECT count(*) FROM cells.pilot WHERE acronym = 'renamed'",
        "SELECT count(*) FROM cells.pilot WHERE structure_id = 99999 AND status = 'unlabelled'",
        "SELECT count(*) FROM cells.pilot WHERE ap_um > 1e9",
        "SELECT count(*) FROM cells.pilot WHERE list_contains(['renamed'], acronym)",
        "SELECT count(*) FROM cells.pilot WHERE animal IN ('x', 'y')",
        (
            f"FROM {ATLAS}.structure LEFT JOIN cells.pilot AS c USING (structure_id) "
            "WHERE c.acronym = 'VISp2/3'"
        ),
        f"FROM cells.pilot AS c JOIN {ATLAS}.structure AS s USING (acronym) WHERE s.acronym = 'CM'",
        "SELECT 1 FROM cells.pilot",
        "SELECT DISTINCT status FROM cells.pilot LIMIT 1",
    ):
        with pytest.raises(QueryError, match="atlasdb cells refresh pilot"):
            pilot.sql(question)
    assert pilot.cell_tables()["outdated"].to_pylist() == [True]
    report = pilot.refresh_cells("PILOT")
    assert report.tally.total == 300
    given = cells(pilot)
    fresh = pilot.annotate_cells(given, f"{ATLAS}@1.2")
    found = pilot.sql("SELECT * EXCLUDE (atlas_id) FROM cells.pilot")
    assert found.column_names == fresh.column_names
    key = [("id", "ascending")]
    pd.testing.assert_frame_equal(found.sort_by(key).to_pandas(), fresh.sort_by(key).to_pandas())
    ingest(pilot, tmp_path, seed=1, force=True)
    pilot.add_cells("pilot", given, f"{ATLAS}@1.2", force=True)
    ingest(pilot, tmp_path, seed=7, force=True)
    ingest(pilot, tmp_path, seed=1, force=True)
    assert sum(statuses(pilot).values()) == 300, "back again, and right again"


def test_an_atlas_with_tables_stays(pilot: atlasdb.Database) -> None:
    before = tree_of(pilot.home.folder)
    with pytest.raises(
        AtlasInUseError, match=r"cells.pilot is annotated with small_rat_50um@1.2: rem"
    ):
        pilot.remove(f"{ATLAS}@1.2")
    assert tree_of(pilot.home.folder) == before
    pilot.remove(f"{ATLAS}@1.10")
    assert sum(statuses(pilot).values()) == 300
    assert pilot.remove_cells("cells.Pilot") == "pilot"
    assert not (pilot.home.folder / "cells").exists()
    pilot.remove(f"{ATLAS}@1.2")
    with pytest.raises(UnknownCellTableError, match=r"no table cells.pilot; `atlasdb cells list`"):
        pilot.remove_cells("pilot")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("", "'' can be no table"),
        ("1a", "can be no table: expected letters, digits and _"),
        ("../x", "can be no table"),
        ("a b", "can be no table"),
        ('a"b', "can be no table"),
        ("ä", "can be no table"),
        ("PILOT", "cells.pilot is there already; --force replaces it"),
    ],
)
def test_names_that_are_refused(pilot: atlasdb.Database, name: str, message: str) -> None:
    before = tree_of(pilot.home.folder)
    with pytest.raises(CellTableError, match=message):
        pilot.add_cells(name, cells(pilot), ATLAS)
    assert tree_of(pilot.home.folder) == before


def test_columns_that_would_be_there_twice(pilot: atlasdb.Database) -> None:
    before = tree_of(pilot.home.folder)
    for name, message in (
        ("Atlas_ID", "adds a column atlas_id"),
        ("STATUS", "have a column STATUS already"),
        ("ANIMAL", "the columns ANIMAL, animal .* differ by case alone"),
    ):
        twin = cells(pilot).append_column(name, pa.array(range(300)))
        with pytest.raises(PointsError, match=message):
            pilot.add_cells("twin", twin, ATLAS)
    other = cells(pilot).rename_columns(["id", "animal", "a", "b", "c"])
    other = other.append_column("ap_um", pa.array(range(300)))
    with pytest.raises(PointsError, match="have a column ap_um already"):
        pilot.add_cells("twin", other, ATLAS, columns=("a", "b", "c"), unit="um")
    assert tree_of(pilot.home.folder) == before, "nothing half done"


def test_a_failure_on_the_way_leaves_nothing(pilot: atlasdb.Database, tmp_path: Path) -> None:
    file = tmp_path / "cells.csv"
    file.write_text("ap_um,si_um,rl_um\n" + "1,2,3\n" * 200_000 + "1,2,x\n")
    before = tree_of(pilot.home.folder)
    with pytest.raises(PointsError, match=r"cells.csv, row 200,001: column rl_um holds 'x'"):
        pilot.add_cells("pilot", file, ATLAS, force=True)
    assert tree_of(pilot.home.folder) == before


def test_files_that_were_lost_or_altered(pilot: atlasdb.Database, tmp_path: Path) -> None:
    (path,) = pilot.sql("SELECT path FROM cell_table").column(0).to_pylist()
    file = pilot.home.folder / path

    def check() -> list[str]:
        return [f"{r.subject}: {r.problem}" for r in pilot.check(f"{ATLAS}@1.2") if not r.ok]

    assert check() == []
    whole = file.read_bytes()
    file.write_bytes(whole[:100] + b"\0" + whole[101:])
    assert "cells.pilot" in check()[0]
    file.write_bytes(whole[:-1])
    assert "cells.pilot" in check()[0]
    with pytest.raises(BlobError, match="the file of cells.pilot was altered"):
        pilot.refresh_cells("pilot")  # which would take what is left of it for the whole
    other = cells(pilot)
    for number, broken in enumerate((whole[:-1], b"", None)):
        if broken is None:
            file.unlink()
        else:
            file.write_bytes(broken)
        assert "cells.pilot" in check()[0]
        # A lost file keeps nobody from going on.
        pilot.add_cells(f"other{number}", other, ATLAS)
        assert sum(statuses(pilot, f"cells.other{number}").values()) == 300
        for question in ("SELECT count(*) FROM cells.pilot", "SELECT status FROM cells.pilot"):
            reason = "is missing" if broken is None else "cannot be read"
            with pytest.raises(QueryError, match=f"the file of cells.pilot {reason}"):
                pilot.sql(question)
    file.write_bytes(whole)
    pilot.relocate()
    assert sum(statuses(pilot).values()) == 300, "put back, and found again"
    file.write_bytes(b"")
    moved = atlasdb.connect(tmp_path / "moved")
    shutil.move(pilot.home.folder, moved.home.folder)
    assert moved.atlases().num_rows == 3
    assert moved.remove_cells("pilot") == "pilot"


def test_readers_keep_what_they_have(pilot: atlasdb.Database) -> None:
    """A session that is open while the table is replaced reads the old one to its end."""
    with pilot.session() as session:
        count = text("SELECT count(*) FROM cells.pilot")
        assert session.execute(count).scalar() == 300
        pilot.add_cells("pilot", cells(pilot, count=30), f"{ATLAS}@1.2", force=True)
        assert session.execute(count).scalar() == 300
        pilot.remove_cells("pilot")
        assert session.execute(count).scalar() == 300
    with pytest.raises(QueryError, match="pilot"):
        pilot.sql("FROM cells.pilot")


def test_named_queries_agree_with_counts(pilot: atlasdb.Database) -> None:
    given, atlas = cells(pilot), f"{ATLAS}@1.2"
    both = pilot.count_cells(given, atlas, hemispheres="together").to_pylist()
    wanted = {row["structure_id"]: row for row in both if row["structure_id"] is not None}
    rows = pilot.query("cells_per_structure", cells="pilot").to_pylist()
    assert sum(row["direct_cells"] for row in rows) == 300
    for row in rows[:-3]:
        assert row["cells"] == wanted[row["structure_id"]]["cells"]
        assert row["cells_left"] + row["cells_right"] == row["cells"]
    rows = pilot.query("cell_densities", cells="cells.pilot").to_pylist()
    assert {r["structure_id"]: (r["cells"], r["density_per_atlas_mm3"]) for r in rows} == {
        i: (r["cells"], r["density_per_atlas_mm3"]) for i, r in wanted.items()
    }
    under = pilot.query("cell_densities", cells="pilot", under="grey")["acronym"].to_pylist()
    assert under == ["grey", "CM", "VISp2/3", "cm"]
    rows = pilot.query("cells_per_sample", cells="pilot", by="animal").to_pylist()
    assert sum(row["direct_cells"] for row in rows) == 300
    by = pilot.count_cells(given, atlas, by="animal", hemispheres="together").to_pylist()
    per_sample = {
        (r["animal"], r["structure_id"], r["status"]): r["cells"] for r in by if r["cells"]
    }
    assert {(r["sample"], r["structure_id"], r["status"]): r["cells"] for r in rows} == per_sample
    (first, *_) = pilot.query("top_structures", cells="pilot", limit=3).to_pylist()
    assert first["cells"] == max(r["direct_cells"] for r in wanted.values())
    assert first["share"] == pytest.approx(first["cells"] / 300)
    inside = pilot.query("cells_of_structure", cells="pilot", structure="grey")
    assert inside.num_rows == wanted[8]["cells"]
    assert set(given.column_names) < set(inside.column_names)
    with pytest.raises(UnknownCellTableError, match="did you mean pilot"):
        pilot.query("top_structures", cells="piolt")
    with pytest.raises(QueryError, match="nope"):
        pilot.query("cells_per_sample", cells="pilot", by="nope")


def test_tables_of_an_older_schema(pilot: atlasdb.Database) -> None:
    """What a schema before does not know of a table makes it one to be annotated again."""
    from atlasdb.migrate import downgrade

    downgrade(pilot.home, "0003")
    with pytest.raises(HomeError, match="has schema 0003, older than .* `atlasdb db upgrade`"):
        pilot.cell_tables()
    pilot.upgrade()
    (row,) = pilot.cell_tables().to_pylist()
    assert (row["name"], row["rows"], row["outdated"]) == ("cells.pilot", 300, True)
    with pytest.raises(QueryError, match="annotated with another"):
        pilot.sql("FROM cells.pilot")
    with pytest.raises(CellTableError, match="of an older schema, .* add it again with --force"):
        pilot.refresh_cells("pilot")
    pilot.add_cells("pilot", cells(pilot), f"{ATLAS}@1.2", force=True)
    assert sum(statuses(pilot).values()) == 300
    assert all(result.ok for result in pilot.check(f"{ATLAS}@1.2"))


@pytest.mark.parametrize("unit", ["um", "mm", "m", "voxel"])
def test_refreshing_changes_nothing_else(
    pilot: atlasdb.Database, tmp_path: Path, unit: str
) -> None:
    """A table's own columns stay, whatever they are called, and so do the cells' voxels."""
    odd = SmallAtlas(name="odd_rat", resolution_um=(8.3, 20.1, 10.7), annotation=labels(3))
    pilot.ingest(str(odd.write(tmp_path / "odd")))
    voxels = np.argwhere(labels(3) >= 0)
    edges = np.array([8.3, 20.1, 10.7])
    scale = {"um": 1.0, "mm": 1e3, "m": 1e6}.get(unit)
    points = voxels if scale is None else (voxels + 0.5) * edges / scale
    names = [f"{axis}_{unit}" for axis in ("ap", "si", "rl")]
    table = pa.table(
        {
            "path": [f"img/{n}.tif" for n in range(len(points))],
            "structure_id_depth_2": np.arange(len(points)),
            **dict(zip(names, points.T, strict=True)),
        }
    )
    pilot.add_cells("odd", table, "odd_rat_8.3um", depths=[1])
    before = pilot.sql("FROM cells.odd")
    assert before["structure_id"].to_pylist() == [
        s or None for s in pilot.voxels("odd_rat_8.3um").structure_ids_at(voxels, unit="voxel")
    ]
    (row,) = pilot.sql(
        "SELECT * EXCLUDE (path, added_at, sha256) FROM cell_table WHERE name = 'odd'"
    ).to_pylist()
    pilot.refresh_cells("odd")
    assert pilot.sql("FROM cells.odd").equals(before)
    (again,) = pilot.sql(
        "SELECT * EXCLUDE (path, added_at, sha256) FROM cell_table WHERE name = 'odd'"
    ).to_pylist()
    assert again == row
    assert all(result.ok for result in pilot.check("odd_rat_8.3um"))


def test_a_session_that_changes_an_atlas(pilot: atlasdb.Database) -> None:
    """Its tables of cells do not go on with the structures that were."""
    with pilot.session(write=True) as session:
        session.execute(
            text(
                "UPDATE structure SET acronym = 'CMX', path = list_transform(path, "
                "lambda a: CASE WHEN a = 'CM' THEN 'CMX' ELSE a END) "
                "WHERE structure_id = 70000 AND atlas_id = (SELECT atlas_id FROM cell_table)"
            )
        )
        session.execute(
            text(
                "UPDATE structure SET path = list_transform(path, "
                "lambda a: CASE WHEN a = 'CM' THEN 'CMX' ELSE a END) "
                "WHERE atlas_id = (SELECT atlas_id FROM cell_table)"
            )
        )
    with pytest.raises(QueryError, match="atlasdb cells refresh pilot"):
        pilot.sql("FROM cells.pilot")
    pilot.refresh_cells("pilot")
    assert "CMX" in pilot.sql("FROM cells.pilot")["acronym"].to_pylist()
