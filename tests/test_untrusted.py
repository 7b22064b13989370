"""``atlasdb sql`` cannot write, and a stranger's SQL sees the home's tables and no more."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import pytest
from conftest import serving, tree_of

import atlasdb
from atlasdb import confined
from atlasdb.cli import run
from atlasdb.database import reading
from atlasdb.errors import HomeNotFoundError, QueryError
from atlasdb.queries import queries
from atlasdb.statements import TIMEOUT_S, refuse_strange, refuse_writing

if TYPE_CHECKING:
    from collections.abc import Iterator

ATLAS = "small_rat_50um"


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder and the user's own, which must stay as they are."""
    folder = tmp_path / "desk"
    folder.mkdir()
    (folder / "cells.csv").write_text("a\n1\n2\n")
    (folder / "exported").mkdir()
    (folder / "exported" / "schema.sql").write_text(
        "FROM enable_logging(storage = 'file', storage_config = {'path': 'out'}); SELECT 1;"
    )
    (folder / "exported" / "load.sql").write_text("SELECT 2;")
    duckdb.sql("SELECT 7 AS seven").write_parquet(str(folder / "seven.parquet"))
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HOME", str(folder))
    return folder


def stamps(folder: Path) -> dict[Path, tuple[int, int]]:
    """Return the size and the time of every file below a folder."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path: (path.stat().st_size, path.stat().st_mtime_ns) for path in files}


WRITING = {
    "copy": "COPY (SELECT 1) TO 'out.csv'",
    "copy after another": "SELECT 1; COPY (SELECT 1) TO 'out.csv'",
    "copy after a comment": "/* SELECT */ copy (SELECT 1) TO 'out.csv' -- SELECT",
    "partitioned": "COPY (SELECT 1 AS a, 2 AS b) TO 'out' (FORMAT parquet, PARTITION_BY a)",
    "into a table": "CREATE TEMP TABLE t (a INT); COPY t FROM 'cells.csv'",
    "explained": "EXPLAIN ANALYZE COPY (SELECT 1) TO 'out.csv'",
    "explained with options": "EXPLAIN (ANALYZE) COPY (SELECT 1) TO 'out.csv'",
    "explained in JSON": "EXPLAIN (ANALYZE, FORMAT json) COPY (SELECT 1) TO 'out.csv'",
    "explained oddly": "EXPLAIN/**/ANALYZE COPY (SELECT 1) TO 'out.csv'",
    "explained after nested comments": "/* /* */ */ EXPLAIN ANALYZE COPY (SELECT 1) TO 'out.csv'",
    "prepared": "PREPARE p AS COPY (SELECT 1) TO 'out.csv'; EXECUTE p",
    "export": "EXPORT DATABASE 'out'",
    "attach": "ATTACH 'out.duckdb'",
    "attach and create": "ATTACH 'out.duckdb' AS o; CREATE TABLE o.t AS SELECT 1",
    "copied database": "ATTACH 'out.duckdb' AS o; COPY FROM DATABASE atlas TO o",
    "queries logged": "SET log_query_path = 'out.log'; SELECT 1",
    "profile": "SET profiling_output = 'out.json'; PRAGMA enable_profiling = 'json'; SELECT 1",
    "pragma": "PRAGMA enable_profiling; SELECT 1",
    "profile by function": "FROM enable_profiling(save_location = 'o.json', format = 'json'); FROM atlas",
    "log by call": "CALL enable_logging(storage = 'file', storage_config = {'path': 'out'}); SELECT 1",
    "log by function": "FROM system.main.\"Enable_Logging\" (storage = 'file', "
    "storage_config = {'path': 'out'}); SELECT 1",
    "log by text": "FROM query('FROM enable_' || 'logging(storage = ''file'', "
    "storage_config = {''path'': ''out''})'); SELECT 1",
    "log by view": "CREATE TEMP VIEW é AS FROM enable_logging(storage = 'file', "
    "storage_config = {'path': 'out'}); FROM é; SELECT 1",
    "log by a name with other spaces": "FROM\u2003enable_logging\u00a0(storage = 'file', "
    "storage_config = {'path': 'out'}); SELECT 1",
    "log by a name with comments": "FROM enable_logging /* /* */ */ -- (\n (storage = 'file', "
    "storage_config = {'path': 'out'}); SELECT 1",
    "import with a comment": "IMPORT /* a */ DATABASE 'exported'",
    "import": "PRAGMA import_database('exported')",
    "import as SQL has it": "IMPORT DATABASE 'exported'",
    "explained after another": "PIVOT cells.pilot ON animal; EXPLAIN ANALYZE COPY (SELECT 1) TO 'o'",
    "executed": "EXPLAIN ANALYZE EXECUTE p",
    "secret": "CREATE PERSISTENT SECRET s (TYPE http, bearer_token 'x')",
    "secret elsewhere": "SET secret_directory = 'out'; CREATE PERSISTENT SECRET s (TYPE http)",
    "spilling here": "SET temp_directory = 'out'; SELECT 1",
    "install": "INSTALL httpfs",
    "install from": "INSTALL nothing FROM community",
    "install when needed": "FROM 'http://127.0.0.1:9/x.parquet'",
    "load": "LOAD httpfs",
    "extensions elsewhere": "SET extension_directory = 'out'; SELECT 1",
    "extensions": "UPDATE EXTENSIONS",
    "checkpoint": "CHECKPOINT atlas",
    "detach": "USE memory; DETACH atlas; ATTACH 'out.duckdb' AS atlas",
    "unlock": "SET lock_configuration = false; SET log_query_path = 'out.log'; SELECT 1",
    "vacuum": "VACUUM",
    "delete": "DELETE FROM atlas",
    "insert": "INSERT INTO label SELECT * FROM label",
    "drop": "DROP SCHEMA all_atlases CASCADE",
    "alter": "ALTER TABLE structure ADD COLUMN x INT",
    "comment": "COMMENT ON TABLE structure IS 'mine'",
    "NUL": "SELECT 1\0; COPY (SELECT 1) TO 'out.csv'",
}


@pytest.mark.parametrize("statement", WRITING.values(), ids=WRITING)
def test_sql_cannot_write(full: atlasdb.Database, desk: Path, statement: str) -> None:
    before = stamps(full.home.folder), tree_of(desk)
    with pytest.raises(QueryError) as caught:
        full.sql(statement)
    assert len(str(caught.value).splitlines()) == 1
    assert len(str(caught.value)) < 500
    assert (stamps(full.home.folder), tree_of(desk)) == before


def test_these_statements_do_write_without_us(desk: Path) -> None:
    """Else the test above proves nothing: the ways out are real ones."""
    for name in ("copy", "attach", "queries logged", "log by text", "secret", "explained in JSON"):
        before = tree_of(desk)
        with duckdb.connect() as connection:
            connection.execute(WRITING[name].replace("out.csv", f"{len(before)}.csv"))
        assert tree_of(desk) != before, name


READING = {
    "SELECT seven FROM 'seven.parquet'": 7,
    "SELECT sum(a) FROM read_csv('cells.csv')": 3,
    "SELECT count(*) FROM glob('*.csv')": 1,
    "EXPLAIN SELECT 1": None,
    "-- why\nEXPLAIN ANALYZE (SELECT 1)": None,
    "EXPLAIN (FORMAT json) SELECT 1": None,
    "SET threads = 1; SET TimeZone = 'Asia/Tokyo'; SELECT current_setting('TimeZone')": "Asia/Tokyo",
    "SET VARIABLE a = 3; SELECT getvariable('a')": 3,
    "USE memory; SELECT count(*) > 0 FROM atlas.main.structure": True,
    "CREATE TEMP TABLE t AS SELECT 4 AS a; INSERT INTO t VALUES (5); SELECT sum(a) FROM t": 9,
    "CREATE TEMP MACRO twice(x) AS 2 * x; SELECT twice(21)": 42,
    "SELECT query FROM (SELECT 'copy' AS query)": "copy",
    "SELECT 'import database' AS import": "import database",
    "WITH copy AS (SELECT 1 AS attach) SELECT attach FROM copy": 1,
    "BEGIN; SELECT 1; COMMIT; SELECT 2": 2,
    "DESCRIBE cells.pilot": "atlas_id",
    "PRAGMA table_info('structure')": 0,
}


@pytest.mark.parametrize("statement", READING)
def test_sql_reads_as_ever(full: atlasdb.Database, desk: Path, statement: str) -> None:
    before = tree_of(desk)
    found = full.sql(statement)
    assert found.num_rows
    if READING[statement] is not None:
        assert found.column(0)[0].as_py() == READING[statement]
    assert tree_of(desk) == before


def test_a_pivot_finds_its_values(full: atlasdb.Database) -> None:
    rows = full.sql("PIVOT cells.pilot ON animal USING count(*) GROUP BY status").to_pylist()
    assert {"status", "m1", "m2"} == set(rows[0])
    rows = full.sql("FROM (PIVOT cells.pilot ON animal USING count(*) GROUP BY status)").to_pylist()
    assert sum(row["m1"] + row["m2"] for row in rows) == 200


def test_named_queries_can_be_pasted() -> None:
    """All of ``queries/`` passes the fence, whatever its parameters."""
    with duckdb.connect() as connection:
        for query in queries():
            refuse_writing(connection, query.sql)


def test_large_queries_spill_elsewhere(full: atlasdb.Database, desk: Path) -> None:
    before = tree_of(desk)
    found = full.sql(
        "SET memory_limit = '60MB'; SET threads = 1; "
        "SELECT count(*) AS n, max(f) AS f FROM (SELECT row_number() OVER (ORDER BY m) AS n, "
        "(SELECT count(*) FROM duckdb_temporary_files()) AS f "
        "FROM (SELECT md5(range::VARCHAR) AS m FROM range(1_500_000)))"
    )
    assert found["n"].to_pylist() == [1_500_000]
    assert tree_of(desk) == before
    assert not (desk / ".tmp").exists()


def test_nothing_needs_to_be_put_aside(
    full: atlasdb.Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a machine without any folder for temporary files, small queries run."""
    monkeypatch.setattr(tempfile, "tempdir", "/nowhere")
    assert full.sql("SELECT 1 AS a")["a"].to_pylist() == [1]


def test_python_s_variables_are_no_tables(full: atlasdb.Database) -> None:
    import pyarrow as pa

    secret = pa.table({"password": ["x"]})
    for untrusted in (False, True):
        for name in ("secret", "parameters", "connection"):
            with pytest.raises(QueryError, match="does not exist"):
                full.sql(f"FROM {name}", untrusted=untrusted)
    assert secret.num_rows == 1


# A stranger's SQL


@pytest.fixture(scope="module")
def parts(full: atlasdb.Database) -> dict[str, str]:
    """What statements below name: the home, its database, the file of a table of cells."""
    (cells,) = full.home.folder.glob("cells/pilot/*/pilot.parquet")
    return {"home": str(full.home.folder), "db": str(full.home.database), "cells": str(cells)}


@pytest.fixture(scope="module")
def fenced(full: atlasdb.Database) -> Iterator[duckdb.DuckDBPyConnection]:
    """The connection that the child has, here."""
    with reading(full.home, repairs=False) as connection:
        confined._confine(connection, full.home)
        yield connection


STRANGE = (
    "FROM read_text('/etc/passwd')",
    "SELECT * FROM READ_BLOB('{db}')",
    "FROM system.main.\"read_blob\"('{db}')",
    "FROM '{db}'",
    "FROM '{cells}'",
    "FROM 'file://{cells}'",
    "FROM read_parquet('{cells}')",
    "FROM parquet_scan('{cells}')",
    "FROM parquet_metadata('{cells}')",
    "FROM parquet_kv_metadata('{cells}')",
    "FROM read_csv('{home}/*')",
    "FROM sniff_csv('{db}')",
    "FROM glob('/**')",
    "FROM read_duckdb('{db}', table_name = 'atlas')",
    "FROM read_json('/etc/passwd')",
    "FROM atlas.duckdb",
    "FROM cells.csv",
    "FROM seven.parquet",
    "DESCRIBE '{cells}'",
    "DESCRIBE TABLE 'seven.parquet'",
    "SUMMARIZE 'cells.csv'",
    "SHOW 'seven.parquet'",
    "SELECT (SELECT content FROM read_text('/etc/passwd'))",
    "WITH a AS MATERIALIZED (FROM read_text('/etc/passwd')) SELECT 1",
    "WITH RECURSIVE a AS (SELECT '' AS c UNION ALL SELECT content FROM read_text('/x'), a) FROM a",
    "SELECT 1 LIMIT (SELECT count(*) FROM glob('*'))",
    "SELECT 1 ORDER BY (SELECT count(*) FROM glob('*'))",
    "SELECT sum(1) FILTER ((SELECT count(*) FROM glob('*')) > 0)",
    "SELECT sum(1) OVER (ORDER BY (SELECT count(*) FROM glob('*')))",
    "SELECT list_transform([1], lambda x: (SELECT count(*) FROM glob('*')))",
    "SELECT CASE WHEN EXISTS (FROM glob('*')) THEN 1 END",
    "SELECT 1 IN (SELECT 1 FROM glob('*'))",
    "SELECT 1 UNION ALL SELECT count(*) FROM glob('*')",
    "FROM structure JOIN glob('*') ON (true)",
    "FROM structure, LATERAL (FROM glob('*'))",
    "SELECT 1 HAVING (SELECT count(*) FROM glob('*')) > 0",
    "SELECT 1 QUALIFY (SELECT count(*) FROM glob('*')) > 0",
    "SELECT 1 GROUP BY (SELECT count(*) FROM glob('*'))",
    "VALUES ((SELECT count(*) FROM glob('*')))",
    "PIVOT (FROM glob('*')) ON file IN ('a')",
    "UNPIVOT (FROM glob('*')) ON file",
    "FROM query('SELECT 1')",
    "FROM query_table('seven.parquet')",
    "FROM query_table(['structure'])",
    "FROM json_execute_serialized_sql(json_serialize_sql('SELECT 1'))",
    "FROM histogram('seven.parquet', seven)",
    "FROM enable_logging()",
    "FROM enable_profiling()",
    "FROM duckdb_secrets()",
    "FROM which_secret('s3://x', 's3')",
    "FROM duckdb_settings()",
    "FROM duckdb_logs()",
    "FROM duckdb_extensions()",
    "FROM duckdb_external_file_cache()",
    "FROM checkpoint()",
    "FROM pandas_scan(12345)",
    "FROM arrow_scan(1, 2, 3)",
    "FROM python_map_function()",
    "FROM nowhere.nothing",
    "SELECT 1; SELECT 2",
    "EXPLAIN SELECT 1",
    "EXPLAIN ANALYZE COPY (SELECT 1) TO 'out.csv'",
    "SET threads = 8",
    "RESET lock_configuration",
    "SET VARIABLE a = 1",
    "USE memory",
    "PRAGMA table_info('structure')",
    "CREATE TEMP TABLE t AS SELECT 1",
    "CREATE SECRET s (TYPE http)",
    "PIVOT cells.pilot ON animal",
    "CALL pragma_version()",
    "LOAD httpfs",
    "",
    ";",
    "-- nothing",
    "SELECT '",
    "SELECT 1\0",
    "SELECT " + "(" * 50_000,
    "SELECT " + "abs(" * 5_000 + "1" + ")" * 5_000,
    "SELECT " + "-" * 1 + " 1" + " + 1" * 20_000,
)
"""Refused, though DuckDB would parse most of them and run many."""


@pytest.mark.parametrize("number", range(len(STRANGE)))
def test_strangers_are_refused_before_anything_runs(
    fenced: duckdb.DuckDBPyConnection, parts: dict[str, str], number: int
) -> None:
    statement = STRANGE[number]
    for name, value in parts.items():
        statement = statement.replace("{" + name + "}", value)
    with pytest.raises(QueryError) as caught:
        refuse_strange(fenced, statement)
    assert len(str(caught.value)) < 300
    assert len(str(caught.value).splitlines()) == 1


def test_the_second_fence_holds_without_the_first(
    fenced: duckdb.DuckDBPyConnection, parts: dict[str, str], desk: Path
) -> None:
    """DuckDB itself opens no other file or address, installs nothing and keeps its settings."""
    asked = []

    class Spy(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

        do_HEAD = do_GET  # noqa: N815 (the base class's)

    with serving(Spy) as url:
        for statement in (
            "FROM '/etc/passwd'",
            "FROM memory.main.structure",
            "FROM read_text('/etc/passwd')",
            "FROM read_csv('cells.csv')",
            "FROM 'seven.parquet'",
            "FROM glob('/*')",
            f"FROM read_blob('{parts['home']}/*')",
            f"FROM read_blob('{parts['home']}/volumes/../.lock')",
            f"FROM read_blob('{Path(parts['cells']).parent}/../../../.lock')",
            f"FROM label_points('{desk}/cells.csv', '{ATLAS}')",
            f"FROM read_csv('{url}x.csv')",
            f"FROM '{url}x.parquet'",
            "COPY (SELECT 1) TO 'out.csv'",
            f"COPY (SELECT 1) TO '{parts['home']}/out.csv'",
            "ATTACH 'out.duckdb'",
            "EXPORT DATABASE 'out'",
            "INSTALL httpfs",
            "LOAD httpfs",
            "CREATE PERSISTENT SECRET s (TYPE http)",
            "SET enable_external_access = true",
            "SET allowed_paths = ['/etc/passwd']",
            "SET memory_limit = '100GB'",
            "SET temp_directory = '.'",
        ):
            before = tree_of(desk), sorted(Path(parts["home"]).iterdir())
            with pytest.raises(duckdb.Error):
                fenced.execute(statement)
            assert (tree_of(desk), sorted(Path(parts["home"]).iterdir())) == before
    assert asked == []


FAMILIAR = (
    "SELECT acronym FROM {atlas}.region ORDER BY rank LIMIT 3",
    'SELECT acronym FROM "{atlas}@1.2".region ORDER BY rank LIMIT 3',
    "SELECT count(*) FROM atlas.main.structure",
    "SELECT count(*) FROM atlas.{atlas}.region",
    "SELECT structure_id FROM all_atlases.structure ORDER BY ALL",
    "SELECT acronym, hemisphere, count(*) FROM cells.pilot GROUP BY ALL ORDER BY ALL",
    'SELECT p.animal, r.acronym FROM cells.pilot p JOIN "{atlas}@1.2".region r USING (structure_id) ORDER BY ALL',
    "SELECT acronym FROM descendants('{atlas}', 'grey') ORDER BY ALL",
    "SELECT structure_id_at('{atlas}', 10, 10, 10)",
    "WITH RECURSIVE a AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM a WHERE i < 9) FROM a ORDER BY i",
    "PIVOT cells.pilot ON animal IN ('m1', 'm2') USING count(*) GROUP BY status ORDER BY ALL",
    "DESCRIBE cells.pilot",
    "SHOW ALL TABLES",
    "SELECT unnest(path) FROM structure ORDER BY ALL LIMIT 4",
    "SELECT s.acronym, part FROM structure s, unnest(s.path) AS u(part) ORDER BY ALL LIMIT 4",
    "SELECT range FROM range(3) ORDER BY ALL",
    "SELECT column_name FROM duckdb_columns() ORDER BY ALL LIMIT 3",
    "SELECT table_name FROM information_schema.tables ORDER BY ALL LIMIT 3",
)


@pytest.mark.parametrize("statement", FAMILIAR)
def test_strangers_may_ask_the_home(
    full: atlasdb.Database, fenced: duckdb.DuckDBPyConnection, statement: str
) -> None:
    statement = statement.format(atlas=ATLAS)
    refuse_strange(fenced, statement)
    assert fenced.execute(statement).to_arrow_table().equals(full.sql(statement))


def test_the_whole_way(full: atlasdb.Database, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    statement = "SELECT animal, status, count(*) AS n FROM cells.pilot GROUP BY ALL ORDER BY ALL"
    assert full.sql(statement, untrusted=True).equals(full.sql(statement))
    assert full.sql("SELECT $n + 1 AS n", {"n": 41}, untrusted=True)["n"].to_pylist() == [42]
    assert full.sql("SELECT ? AS t", ["'; DROP"], untrusted=True)["t"].to_pylist() == ["'; DROP"]
    printed = []
    for options in ([], ["--untrusted"], ["--untrusted", "--timeout", "20"]):
        words = ["--home", str(full.home.folder), "sql", statement, *options]
        assert run(words) == 0
        printed.append(capfdbinary.readouterr().out)
    assert printed[0] == printed[1] == printed[2] != b""


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["SELECT 1", "--timeout", "3"], 2, "--timeout is for --untrusted"),
        (["SELECT 1", "--untrusted", "--timeout", "0"], 1, "cannot be stopped after 0"),
        (["SELECT 1", "--untrusted", "--timeout", "nan"], 1, "cannot be stopped after nan"),
        (["SELECT 1", "--untrusted", "--timeout", "1e300"], 1, "cannot be stopped after 1e+300"),
        (["SELECT 1", "--untrusted", "--timeout", "-1"], 1, "cannot be stopped after -1"),
        (["FROM read_text('/etc/passwd')", "--untrusted"], 1, "read_text is refused"),
        (["SELECT error('a\nb')", "--untrusted"], 1, "error: a b\n"),
        (["FROM descendants('nowhere', 'x')", "--untrusted"], 1, "no atlas "),
    ],
)
def test_refusals_on_the_command_line(
    full: atlasdb.Database,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    status: int,
    said: str,
) -> None:
    assert run(["--home", str(full.home.folder), "sql", *words]) == status
    printed = capsys.readouterr()
    assert said in printed.err
    assert not printed.out
    assert "Traceback" not in printed.err


def test_the_help_states_the_default(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["sql", "--help"]) == 0
    assert f"[default: {TIMEOUT_S:g}]" in " ".join(capsys.readouterr().out.split())


@pytest.mark.skipif(sys.platform != "linux", reason="bounds the address space on Linux only")
@pytest.mark.parametrize(
    ("statement", "said"),
    [
        (
            "SELECT count(*) FROM range(1_000_000_000) a, range(1_000_000_000) b WHERE a.range % 7 = b.range % 5",
            "longer than 1 s",
        ),
        ("SELECT sleep_ms(100_000)", "longer than 1 s"),
        ("SELECT levenshtein(repeat('x', 200_000), repeat('y', 200_000))", "longer than 1 s"),
        ("SELECT length(repeat('x', 4_000_000_000))", "(?i)memory"),
        ("SELECT len(range(2_000_000_000))", "(?i)memory|longer than 1 s"),
        ("SELECT len(list(range)) FROM range(2_000_000_000)", "(?i)memory|longer than 1 s"),
        (
            "SELECT repeat('x', 1_000_000) FROM range(1_000_000)",
            "(?i)memory|256 MiB|longer than 1 s",
        ),
        ("SELECT range, range + 1 FROM range(100_000_000)", "256 MiB|longer than 1 s"),
    ],
)
def test_what_a_query_takes_is_bounded(full: atlasdb.Database, statement: str, said: str) -> None:
    start = time.monotonic()
    with pytest.raises(QueryError, match=said) as caught:
        full.sql(statement, untrusted=True, timeout_s=1.0)
    assert time.monotonic() - start < 20
    assert len(str(caught.value).splitlines()) == 1


def test_the_caller_can_break_off(full: atlasdb.Database) -> None:
    """Ctrl-C ends the child too."""
    words = ["--home", str(full.home.folder), "sql", "SELECT sleep_ms(50_000)", "--untrusted"]
    process = subprocess.Popen(
        [sys.executable, "-c", f"from atlasdb.cli import main; main({words!r})"],
        stderr=subprocess.PIPE,
        text=True,
    )
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    if not children.exists():
        process.kill()
        pytest.skip("this system does not list a process's children")
    deadline = time.monotonic() + 30
    while not children.read_text().split() and time.monotonic() < deadline:
        time.sleep(0.02)
    (child,) = children.read_text().split()
    process.send_signal(2)
    _, said = process.communicate(timeout=30)
    assert (process.returncode, said.strip()) == (130, "error: interrupted")
    while Path(f"/proc/{child}/stat").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not Path(f"/proc/{child}/stat").exists()


def test_a_moved_home_is_asked_where_it_is(full: atlasdb.Database, tmp_path: Path) -> None:
    """A copy's cells are its own; on a read-only mount too, since a stranger's SQL mends nothing."""
    statement = "SELECT count(*) AS n FROM cells.pilot"
    for name in ("it's", "a[1]*b{x}%s $1 é́😀", "hive=\npart"):
        copy = tmp_path / name
        shutil.copytree(full.home.folder, copy)
        before = tree_of(copy)
        db = atlasdb.connect(copy)
        assert db.sql(statement, untrusted=True)["n"].to_pylist() == [200], name
        assert tree_of(copy) == before
        (file,) = copy.glob("cells/pilot/*/pilot.parquet")
        file.unlink()
        with pytest.raises(QueryError, match="is missing"):
            db.sql("SELECT ap_um FROM cells.pilot", untrusted=True)


def test_errors_of_the_home_stay_what_they_are(tmp_path: Path) -> None:
    with pytest.raises(HomeNotFoundError, match="there is no atlas database"):
        atlasdb.connect(tmp_path / "none").sql("SELECT 1", untrusted=True)
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("query", ["SELECT 1 AS a, 2 AS a", "SELECT ''", "SELECT 1 WHERE false"])
def test_odd_texts_and_columns(full: atlasdb.Database, query: str) -> None:
    assert full.sql(query, untrusted=True).equals(full.sql(query))


def test_no_utf_8_is_no_sql(full: atlasdb.Database) -> None:
    for untrusted in (False, True):
        with pytest.raises(QueryError, match="surrogates not allowed"):
            full.sql("SELECT '\ud800'", untrusted=untrusted)


def test_parameters_must_be_plain(full: atlasdb.Database) -> None:
    with pytest.raises(QueryError, match="no plain value"):
        full.sql("SELECT ?", [threading.Lock()], untrusted=True)


def test_the_child_minds_nobody_s_settings(
    full: atlasdb.Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither the working folder nor PYTHONSTARTUP and the like can put code into it."""
    (tmp_path / "pickle.py").write_text("raise SystemExit('hijacked')")
    (tmp_path / "sitecustomize.py").write_text("raise SystemExit('hijacked')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(
        "PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    )
    assert full.sql("SELECT 1 AS a", untrusted=True)["a"].to_pylist() == [1]
