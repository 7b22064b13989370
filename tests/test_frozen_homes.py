"""Homes as each schema's atlasdb left them, opened by this one."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest
from answers import every_view_answers
from freeze_home import POINTS, atlases, contents
from sqlalchemy import update

import atlasdb
from atlasdb import database
from atlasdb.errors import SchemaVersionError
from atlasdb.models import Structure

if TYPE_CHECKING:
    from numpy.typing import NDArray

HOMES = Path(__file__).parent / "homes"
REVISIONS = database.revisions()
ATLASES = ["odd_rat_33.3um", "small_rat_50um@1.9", "small_rat_50um@1.10"]
DERIVED = ["annotation_run", "label", "structure", "structure_closure", "structure_extent"]
"""The tables that follow from an atlas's files, and from nothing else."""


def thaw(revision: str, folder: Path) -> dict[str, dict[str, list[Any]]]:
    """Unpack a frozen home below `folder`; return what its tables held."""
    with tarfile.open(HOMES / f"{revision}.tar.xz") as tar:
        tar.extractall(folder, filter="data")
    texts: dict[str, dict[str, list[Any]]] = json.loads((folder / "contents.json").read_text())
    return texts


def points() -> NDArray[np.float64]:
    return np.stack(list(POINTS.values()), axis=-1)


def storage_version(db: atlasdb.Database) -> int:
    """Read the number of a DuckDB file's format; DuckDB 1.0 and 1.1 wrote 64."""
    start = db.home.database.read_bytes()[:20]
    assert start[8:12] == b"DUCK"
    return int.from_bytes(start[12:20], "little")


def assert_kept(
    held: dict[str, dict[str, list[Any]]], now: dict[str, dict[str, list[Any]]]
) -> None:
    """Compare what tables held with what they hold, but for the home's place, which is mended."""
    for table, columns in held.items():
        columns.pop("location", None)
        for column, values in columns.items():
            assert now[table][column] == values, (table, column)


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> atlasdb.Database:
    """Return a home of today with what the frozen ones hold."""
    folder = tmp_path_factory.mktemp("fresh")
    db = atlasdb.connect(folder / "home")
    for atlas in atlases():
        db.ingest(str(atlas.write(folder)))
    return db


def test_each_schema_has_a_frozen_home() -> None:
    """A revision that is released without one: see ``tests/freeze_home.py``."""
    assert sorted(path.name for path in HOMES.iterdir()) == [f"{n}.tar.xz" for n in REVISIONS]


@pytest.mark.parametrize("revision", REVISIONS)
def test_a_home_of_each_schema_opens_after_an_upgrade(
    revision: str, tmp_path: Path, fresh: atlasdb.Database
) -> None:
    held = thaw(revision, tmp_path)
    db = atlasdb.connect(tmp_path / "home")
    assert held.pop("alembic_version") == {"version_num": [revision]}
    if revision != database.head():
        for use in (db.atlases, lambda: db.atlas("odd_rat_33.3um"), lambda: db.remove(ATLASES[0])):
            with pytest.raises(SchemaVersionError, match="run `atlasdb db upgrade`"):
                use()
    assert db.upgrade() == (revision, database.head())

    if revision < "0004":
        del held["cell_table"]  # had other columns, and no rows
    now = contents(db.home.database)
    assert_kept(held, now)
    other = contents(fresh.home.database)
    for table in DERIVED:
        assert now[table] == other[table], table

    for name in ATLASES:
        assert [f.problem for f in db.check(name) if not f.ok] == []
        old, new = db.atlas(name), fresh.atlas(name)
        assert np.array_equal(old.annotation, new.annotation)
        assert np.array_equal(old.hemispheres, new.hemispheres)
        assert np.array_equal(old.reference, new.reference)
        for question in (old.structure_from_coords, old.hemisphere_from_coords):
            answer = question(points(), microns=True)
            assert np.array_equal(answer, getattr(new, question.__name__)(points(), microns=True))
        assert np.array_equal(old.root_mesh().points, new.root_mesh().points)
    every_view_answers(db)
    if revision >= "0004":
        assert db.sql("FROM cells.pilot").num_rows == 60


@pytest.mark.parametrize("revision", REVISIONS)
def test_an_upgraded_home_is_written_as_any_other(revision: str, tmp_path: Path) -> None:
    thaw(revision, tmp_path)
    db = atlasdb.connect(tmp_path / "home")
    db.upgrade()
    tables = [
        table for table in contents(db.home.database) if table != "cell_table"
    ]  # has the place
    before = contents(db.home.database)
    package = str(atlases()[0].write(tmp_path))
    db.ingest(package)  # it is there
    after = contents(db.home.database)
    assert all(after[table] == before[table] for table in tables)
    db.ingest(package, force=True)
    db.add_cells("more", pa.table(POINTS), "odd_rat_33.3um")
    db.remove("small_rat_50um@1.10")
    if revision >= "0004":
        db.refresh_cells("pilot")
    names = db.cell_tables()["name"].to_pylist()
    assert names == ["cells.more", "cells.pilot"][: 1 + (revision >= "0004")]
    for atlas in ATLASES[:2]:
        assert [f.problem for f in db.check(atlas) if not f.ok] == []
    assert db.sql("FROM cells.more").num_rows == 60


def test_homes_are_stored_as_duckdb_1_0_stored_them(tmp_path: Path) -> None:
    """Made anew, upgraded, and by a session."""
    made = atlasdb.connect(tmp_path / "made")
    made.ingest("phantom_mouse_100um")
    assert storage_version(made) == 64
    thaw(REVISIONS[0], tmp_path)
    db = atlasdb.connect(tmp_path / "home")
    db.upgrade()
    assert storage_version(db) == 64
    with db.session(write=True) as session:
        session.execute(update(Structure).values(red=1))
    assert storage_version(db) == 64
    assert db.sql("SELECT DISTINCT red FROM structure").to_pylist() == [{"red": 1}]
