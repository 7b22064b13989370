"""One schema three times: models, migrations, and the snapshot that is committed."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from answers import every_view_answers
from small import SmallAtlas
from sqlalchemy import create_engine, func, select
from sqlalchemy.orm import aliased
from sqlalchemy.pool import NullPool

import atlasdb
from atlasdb import database, migrate, views
from atlasdb.errors import SchemaVersionError
from atlasdb.models import Atlas, Base, Label, Structure
from atlasdb.queries import bundled
from atlasdb.views import create_views

PROJECT = Path(__file__).parents[1]
SNAPSHOTS = Path(__file__).parent / "schema"


def described(path: Path) -> dict[str, Any]:
    """Return all that DuckDB says of a database's tables."""
    with duckdb.connect(str(path), read_only=True) as connection:

        def rows(query: str) -> list[list[Any]]:
            return [list(row) for row in connection.execute(query).fetchall()]

        mine = "NOT internal AND schema_name = 'main' AND table_name <> 'alembic_version'"
        constraints = rows(
            "SELECT table_name, constraint_type, constraint_text FROM duckdb_constraints() "
            "WHERE table_name <> 'alembic_version' ORDER BY ALL"
        )
        return {
            "tables": rows(
                f"SELECT table_name, comment FROM duckdb_tables() WHERE {mine} ORDER BY 1"
            ),
            "columns": rows(
                "SELECT table_name, column_name, data_type, is_nullable, column_default, comment "
                f"FROM duckdb_columns() WHERE {mine} ORDER BY table_name, column_index"
            ),
            "constraints": constraints,
            "sequences": rows("SELECT sequence_name FROM duckdb_sequences() ORDER BY 1"),
            "indexes": rows("SELECT sql FROM duckdb_indexes() ORDER BY 1"),
        }


@pytest.fixture
def migrated(tmp_path: Path) -> Path:
    path = tmp_path / "migrated.duckdb"
    migrate.upgrade_file(path)
    return path


def test_models_and_migrations_make_the_same_tables(tmp_path: Path, migrated: Path) -> None:
    modelled = tmp_path / "modelled.duckdb"
    engine = create_engine(f"duckdb:///{modelled}", poolclass=NullPool)
    Base.metadata.create_all(engine)
    engine.dispose()
    assert described(modelled) == described(migrated)


def test_the_snapshot_is_the_migrations(migrated: Path) -> None:
    """After a change of schema: ATLASDB_WRITE_SNAPSHOT=1 pytest tests/test_schema.py."""
    path = SNAPSHOTS / f"{database.head()}.json"
    found = json.dumps(described(migrated), indent=1) + "\n"
    if os.environ.get("ATLASDB_WRITE_SNAPSHOT"):
        path.write_text(found)
    assert path.read_text() == found


def test_every_table_and_column_is_explained(migrated: Path) -> None:
    description = described(migrated)
    assert all(comment for *_, comment in description["tables"] + description["columns"])


def test_revisions_are_numbered_in_order() -> None:
    config = Config()
    config.set_main_option("script_location", str(bundled("migrations")))
    config.set_main_option("path_separator", "os")
    script = ScriptDirectory.from_config(config)
    history = [revision.revision for revision in script.walk_revisions()][::-1]
    assert history == database.revisions()
    assert script.get_current_head() == database.head()


def test_revisions_never_import_the_project() -> None:
    for path in (PROJECT / "migrations" / "versions").glob("*.py"):
        assert not re.search(r"^\s*(from|import) atlasdb", path.read_text(), re.MULTILINE)


def contents(db: atlasdb.Database) -> dict[str, dict[str, list[Any]]]:
    """Return every table's columns, their rows in the order of the columns that never change."""
    with duckdb.connect(str(db.home.database), read_only=True) as connection:
        return {
            table: connection.execute(f"SELECT * FROM main.{table} ORDER BY ALL")
            .to_arrow_table()
            .to_pydict()
            for (table,) in connection.execute(
                "SELECT table_name FROM duckdb_tables() WHERE table_name <> 'alembic_version'"
            ).fetchall()
        }


def test_each_revision_goes_down_and_up_with_data_in_it(
    db: atlasdb.Database, tmp_path: Path
) -> None:
    """What a downgrade keeps is unchanged; after an upgrade all views and macros answer."""
    db.ingest(str(SmallAtlas().write(tmp_path)))
    before = contents(db)
    for revision in ["base", *database.revisions()][-2::-1]:
        migrate.downgrade(db.home, revision)
        kept = contents(db)
        for table, columns in kept.items():
            assert all(before[table][column] == columns[column] for column in columns)
        with pytest.raises(SchemaVersionError, match="run `atlasdb db upgrade`"):
            db.atlases()
        assert db.upgrade()[1] == database.head()
        before["mesh"]["sha256"] = [None] * 7  # nobody can say what they were
        if kept:
            assert contents(db) == before
            assert [result.problem for result in db.check("small_rat_50um") if not result.ok] == []
    db.ingest(str(tmp_path / "small_rat_50um_v1.0"))
    every_view_answers(db)


def test_views_change_with_a_revision_only() -> None:
    """A home made before a change of the views must be told from one made after it."""
    newest = next((PROJECT / "migrations" / "versions").glob(f"{database.head()}_*.py"))
    (recorded,) = re.findall(r'^VIEWS = "(\w+)"$', newest.read_text(), re.MULTILINE)
    assert recorded == views.digest(), (
        "queries/schema has changed: make a revision that records the new digest as VIEWS "
        "(or put it into the newest one, if that was never released)"
    )


def test_views_survive_a_migration(full: atlasdb.Database, tmp_path: Path) -> None:
    """Dropping and making all views, as every migration does, leaves the same views."""
    import shutil

    home = atlasdb.connect(tmp_path / "copy")
    shutil.copytree(full.home.folder, home.home.folder)
    assert home.relocate(), "the view of cells reads the copy's file from now on"
    queries = (
        # DuckDB writes the names after EXCLUDE in any order.
        (
            "SELECT schema_name, view_name, replace(sql, 'atlas_id, atlas)', 'atlas, atlas_id)') "
            "AS sql, comment FROM duckdb_views() ORDER BY ALL"
        ),
        "SELECT table_name, column_name, comment FROM duckdb_columns() ORDER BY ALL",
        (
            "SELECT function_name, function_type, comment FROM duckdb_functions() "
            "WHERE database_name = current_database() AND schema_name = 'main' ORDER BY ALL"
        ),
    )
    before = [home.sql(query).to_pylist() for query in queries]
    with database.writing(home.home) as connection:
        from atlasdb.views import drop_views

        drop_views(connection)
        assert connection.execute(
            "SELECT count(*) FROM duckdb_views() WHERE NOT internal"
        ).fetchall() == [(0,)]
        create_views(connection)
    for query, rows in zip(queries, before, strict=True):
        assert home.sql(query).to_pylist() == rows
    every_view_answers(home)


def test_label_values_of_a_home_that_had_none(db: atlasdb.Database, tmp_path: Path) -> None:
    """What occurs; else the id, unless that is another structure's value, or nobody's label."""
    db.ingest(str(SmallAtlas().write(tmp_path)))
    migrate.downgrade(db.home, "0002")
    lost = 5_000_000_000  # which has no voxels
    with duckdb.connect(str(db.home.database)) as connection:
        connection.execute("UPDATE label SET value = ? WHERE structure_id = 8", [lost])
        connection.execute("DELETE FROM label WHERE structure_id = 13")
        connection.execute("UPDATE label SET value = 14, structure_id = NULL WHERE value = 14")
    db.upgrade()
    found = db.sql("SELECT structure_id, label_value FROM structure").to_pylist()
    assert {row["structure_id"]: row["label_value"] for row in found} == {
        997: 997, 8: lost, 70_000: 70_000, lost: None, 12: 12, 13: 13, 14: None
    }  # fmt: skip


def test_a_newer_schema_is_refused_by_name(db: atlasdb.Database) -> None:
    db.ingest("phantom_mouse_100um")
    with duckdb.connect(str(db.home.database)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    for use in (
        db.atlases,
        db.upgrade,
        lambda: db.ingest("phantom_odd_mouse_100um"),
        lambda: db.remove("phantom_mouse_100um"),
    ):
        with pytest.raises(SchemaVersionError, match="9999, newer .*`pip install --upgrade"):
            use()
    assert db.schema_revisions() == ("9999", database.head())


def test_alembic_itself_works_from_the_checkout(db: atlasdb.Database) -> None:
    """``alembic upgrade head``, ``current``, ``history``, ``check`` on ATLASDB_HOME."""
    if not (PROJECT / "alembic.ini").is_file():
        pytest.skip("not a checkout: there is no alembic.ini beside the tests")

    def alembic(*words: str) -> str:
        environment = os.environ | {"ATLASDB_HOME": str(db.home.folder)}
        done = subprocess.run(
            [sys.executable, "-m", "alembic", *words],
            cwd=PROJECT,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout

    assert alembic("current") == ""
    assert not db.home.folder.exists(), "looking makes no home"
    alembic("upgrade", "head")
    assert alembic("current").split() == [database.head(), "(head)"]
    db.ingest("phantom_mouse_100um")
    assert "No new upgrade operations" in alembic("check")
    assert database.head() in alembic("history")
    alembic("downgrade", "base")
    with pytest.raises(SchemaVersionError, match="older"):
        db.atlases()
    alembic("upgrade", "head")
    assert db.atlases().num_rows == 0
    assert "CREATE TABLE structure" in alembic("upgrade", "head", "--sql")


def test_alembic_s_looking_needs_no_writing(db: atlasdb.Database, tmp_path: Path) -> None:
    """``current`` and ``check`` on a home that another process writes; one line where refused."""
    if not (PROJECT / "alembic.ini").is_file():
        pytest.skip("not a checkout: there is no alembic.ini beside the tests")
    db.ingest("phantom_mouse_100um")
    environment = os.environ | {"ATLASDB_HOME": str(db.home.folder)}

    def alembic(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "alembic", *words]
        return subprocess.run(
            command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False
        )

    before = db.home.database.read_bytes()
    with db.home.locked():
        assert alembic("current").stdout.split() == [database.head(), "(head)"]
        assert "No new upgrade operations" in alembic("check").stdout
    assert db.home.database.read_bytes() == before
    with duckdb.connect(str(db.home.database)) as held:
        held.execute("SELECT 1")
        done = alembic("upgrade", "head")
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    assert "is open for writing in" in done.stderr + done.stdout


def test_a_new_revision_gets_the_next_number(db: atlasdb.Database, tmp_path: Path) -> None:
    if not (PROJECT / "alembic.ini").is_file():
        pytest.skip("not a checkout: there is no alembic.ini beside the tests")
    import shutil

    shutil.copytree(PROJECT / "migrations", tmp_path / "migrations")
    shutil.copy(PROJECT / "alembic.ini", tmp_path)
    db.ingest("phantom_mouse_100um")
    subprocess.run(
        [sys.executable, "-m", "alembic", "revision", "-m", "more columns"],
        cwd=tmp_path,
        env=os.environ | {"ATLASDB_HOME": str(db.home.folder)},
        capture_output=True,
        check=True,
    )
    new = sorted(path.name for path in (tmp_path / "migrations" / "versions").glob("*.py"))
    assert new[-1] == f"{int(database.head()) + 1:04}_more_columns.py"


def test_a_database_that_atlasdb_did_not_make(db: atlasdb.Database) -> None:
    db.ingest("phantom_mouse_100um")
    with duckdb.connect(str(db.home.database)) as connection:
        connection.execute("DELETE FROM alembic_version")
    for use in (db.atlases, db.upgrade):
        with pytest.raises(SchemaVersionError, match="no revision of a schema"):
            use()


def test_sessions_are_scoped_to_one_atlas(full: atlasdb.Database) -> None:
    with full.session() as session:
        assert session.scalar(select(func.count()).select_from(Atlas)) == 8
    for atlas, version in (("small_rat_50um", "1.10"), ("small_rat_50um@1.2", "1.2")):
        with full.session(atlas=atlas) as session:
            assert session.scalars(select(Atlas)).one().version == version
            root = session.scalars(select(Structure).where(Structure.acronym == "root")).one()
            assert (root.rank, root.last_rank, root.parent_id) == (1, 7, None)
            parent = aliased(Structure)
            pairs = session.execute(
                select(Structure.acronym, parent.acronym).join(
                    parent, parent.structure_id == Structure.parent_id
                )
            ).all()
            assert len(pairs) == 6
            expected = full.sql(f'SELECT sum(voxels) AS n FROM "{atlas}".label').to_pylist()
            assert session.scalar(select(func.sum(Label.voxels))) == expected[0]["n"]
    with (
        pytest.raises(atlasdb.UnknownAtlasError, match="did you mean small_rat_50um"),
        full.session(atlas="small_rat_5um"),
    ):
        pass


def test_atlas_id_resolves_names_and_refuses_unknown_ones(full: atlasdb.Database) -> None:
    rows = full.sql(
        "SELECT a.name, a.version, atlas_id(a.name) AS newest, "
        "atlas_id(concat(a.name, '@', a.version)) AS own, a.atlas_id FROM atlas AS a"
    ).to_pylist()
    for row in rows:
        assert row["own"] == row["atlas_id"]
        if row["name"] != "small_rat_50um":
            assert row["newest"] == row["atlas_id"]
    newest = {row["newest"] for row in rows if row["name"] == "small_rat_50um"}
    assert newest == {row["own"] for row in rows if row["version"] == "1.10"}
    with pytest.raises(atlasdb.QueryError, match="no atlas nope in this database"):
        full.sql("SELECT atlas_id('nope')")


def test_any_duckdb_client_can_ask_the_file(full: atlasdb.Database) -> None:
    """A fresh process that cannot import atlasdb, by its own name and attached by another."""
    script = f"""
import sys
sys.modules["atlasdb"] = None
import duckdb
query = "SELECT path_text FROM {{}}phantom_mouse_100um.region WHERE acronym = 'VISp5'"
alone = duckdb.connect({str(full.home.database)!r}, read_only=True)
print(alone.execute(query.format("")).fetchall())
print(alone.execute("SELECT atlas_id('phantom_mouse_100um')").fetchall())
alone.close()
other = duckdb.connect()
other.execute("ATTACH '{full.home.database}' AS mine (READ_ONLY)")
print(other.execute(query.format("mine.")).fetchall())
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    path = "root > grey > CH > CTX > CTXpl > Isocortex > VIS > VISp > VISp5"
    assert done.stdout.splitlines() == [f"[('{path}',)]", "[(1,)]", f"[('{path}',)]"]
