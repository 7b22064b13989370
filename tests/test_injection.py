"""Names and values that look like SQL, patterns, formulas or commands stay what they are."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from small import SHAPE, SmallAtlas, labels, structure

import atlasdb
from atlasdb.cli import run
from atlasdb.errors import (
    AtlasDBError,
    CellTableError,
    PackageError,
    UnknownCellTableError,
    UnknownStructureError,
)
from atlasdb.models import Structure
from atlasdb.names import checked_name
from atlasdb.sources.places import parse_listing

ATLAS = "small_rat_50um"

WILD = (
    "'; DROP TABLE structure; --",
    '"; DROP SCHEMA all_atlases CASCADE; --',
    "$acronym",
    "$1",
    "?",
    "{}",
    "{0.__class__}",
    "%s%n",
    "${atlas_id}",
    "$$",
    "\\",
    "\\'",
    "''",
    '"',
    "--",
    "/*",
    "*",
    "COLUMNS(*)",
    "NULL",
    "null ",
    "=1+1",
    "@SUM(A1)",
    "+1",
    "-1",
    "id:8",
    "acronym:grey",
    "Grey",
    "a\nb",
    "a\r\nb",
    "tab\tbed",
    " ",
    "\x1b]0;owned\x07",
    "\x1b[2J",
    "\x7f",
    "\x85",
    "\u202egnp.exe",
    "\u200b",
    "\u2028",
    "\ufeff",
    "é",
    "e\u0301",
    "ＶＩＳｐ",
    "🧠",
    "[bold red]x[/]",
    "a,b;c|d",
    "../../x",
    "/etc/passwd",
    "con",
    "x" * 10_000,
)
"""Texts, all different, that some layer could take for something else."""


@pytest.fixture(scope="module")
def wild(tmp_path_factory: pytest.TempPathFactory) -> atlasdb.Database:
    """An atlas with a wild acronym and name for each of its structures, and wild metadata."""
    folder = tmp_path_factory.mktemp("wild")
    entries = [structure(1, "root", [1]), structure(8, "grey", [1, 8])]
    entries += [
        structure(100 + number, text, [1, 8, 100 + number]) | {"name": text}
        for number, text in enumerate(WILD)
    ]
    values = np.resize(np.arange(100, 100 + len(WILD)), SHAPE).astype(np.uint32)
    metadata = {"citation": WILD[0], "species": "\x1b]0;owned\x07", "atlas_link": '"><script>'}
    database = atlasdb.connect(folder / 'it\'s a "home"; -- {%s}[a-z]*')
    atlas = SmallAtlas(structures=entries, annotation=values, metadata=metadata)
    database.ingest(str(atlas.write(folder)))
    return database


@pytest.fixture(scope="module")
def cells(wild: atlasdb.Database, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of cells with a wild name, whose columns and values are wild; registered as well."""
    chance = np.random.default_rng(3)
    columns = {
        name: chance.uniform(0, edge * size, 300)
        for name, edge, size in zip(
            ("ap_um", "si_um", "rl_um"), (50.0, 20.0, 10.0), SHAPE, strict=True
        )
    }
    values = np.resize(np.array(WILD, object), 300)
    folder = tmp_path_factory.mktemp("cells") / "day='1'" / "%s {} $1;--"
    folder.mkdir(parents=True)
    file = folder / '-o it\'s [a-z]* "q".parquet'
    own = {text: pa.array(values) for text in WILD if text != "Grey"}
    pq.write_table(pa.table(columns | own), file)
    wild.add_cells("wild", file, ATLAS)
    return file


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def test_acronyms_are_found_as_they_are(wild: atlasdb.Database) -> None:
    """By macros, views, named queries, the ORM, the voxels and the Atlas object."""
    rows = wild.sql(f"SELECT structure_id, acronym, name FROM {ATLAS}.region WHERE depth = 2")
    assert rows["acronym"].to_pylist() == rows["name"].to_pylist() == list(WILD)
    ids = dict(zip(WILD, rows["structure_id"].to_pylist(), strict=True))
    statement = (
        "SELECT s.t, acronym_of($atlas, structure_id_of($atlas, s.t)) AS again, "
        "is_descendant($atlas, s.t, 'grey') AS below "
        "FROM (SELECT unnest($texts) AS t) AS s"
    )
    found = wild.sql(statement, {"atlas": ATLAS, "texts": list(WILD)})
    assert found["t"].to_pylist() == found["again"].to_pylist()
    assert set(found["below"].to_pylist()) == {True}
    atlas = wild.atlas(ATLAS)
    voxels = wild.voxels(ATLAS)
    with wild.session(atlas=ATLAS) as session:
        for text in WILD:
            assert session.structure(text).structure_id == ids[text]
            assert atlas.structures[text]["id"] == ids[text]
            assert voxels.mask(text).any()
            assert wild.structure_ids(ATLAS, [text]) == [ids[text]]
        assert {s.acronym for s in session.query(Structure)} == {"root", "grey", *WILD}
    kept = wild.query("subtree", atlas=ATLAS, structure=WILD[0])
    assert kept["acronym"].to_pylist() == [WILD[0]]
    assert not [result for result in wild.check(ATLAS) if result.problem]


@pytest.mark.parametrize("text", ["'; DROP TABLE structure", "VISp\x1b[2J", "grеy", "GREY", "\0"])
def test_names_that_are_not_there(
    wild: atlasdb.Database, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises((UnknownStructureError, AtlasDBError)):
        wild.query("subtree", atlas=ATLAS, structure=text)
    assert run(["--home", str(wild.home.folder), "descendants", ATLAS, text]) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.removesuffix("\n").isprintable()


def plain(printed: str) -> bool:
    """Whether a terminal would only show a text."""
    return all(line.isprintable() for line in printed.split("\n"))


def test_every_command_shows_names_and_obeys_none(
    wild: atlasdb.Database,
    cells: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    escape, formula = "\x1b]0;owned\x07", "=1+1"
    (tmp_path / "-lead.csv").write_text("ap_um,si_um,rl_um,=x\n1,1,1,=1+1\n")
    fine = (
        ["list", "--source", str(tmp_path)],
        ["info", ATLAS],
        ["tree", ATLAS],
        ["structures", ATLAS],
        ["descendants", ATLAS, "grey"],
        ["ancestors", ATLAS, escape],
        ["ancestors", ATLAS, "'; DROP TABLE structure; --"],
        ["lookup", ATLAS, "--voxels", "1", "1", "3"],
        ["lookup", ATLAS, "--voxels", "1", "2", "3", "--format", "table"],
        ["query", "largest_leaves", "-p", f"atlas={ATLAS}", "-p", "structure=grey"],
        ["query", "subtree", "-p", f"atlas={ATLAS}", "-p", f"structure={formula}"],
        ["mask", ATLAS, escape, "-o", "mask.npy"],
        ["mesh", ATLAS, "'; DROP TABLE structure; --", "-o", "it's.obj"],
        ["check", ATLAS],
        ["cite", ATLAS],
        ["cells", "list"],
        ["cells", "count", str(cells), "--atlas", ATLAS],
        ["cells", "count", str(cells), "--atlas", ATLAS, "--by", escape, "--matrix"],
        ["cells", "count", str(cells), "--atlas", ATLAS, "--by", "'; DROP TABLE structure; --"],
        ["cells", "annotate", "./-lead.csv", "--atlas", ATLAS, "--format", "table"],
        ["sql", f"FROM {ATLAS}.region"],
        ["sql", "FROM cells.wild LIMIT 60"],
        ["sql", 'SELECT 1 AS "a\x1b[2Jb", [chr(27)] AS l, {"k": chr(27)} AS s, chr(27)::BLOB AS b'],
    )
    wrong = (
        ["sql", "SELECT error(chr(27) || '[2J')"],
        ["sql", "SELECT error(chr(27) || '[2J')", "--untrusted"],
        ["sql", 'SELECT "\x1b[2J"'],
        ["info", "\x1b[2J"],
        ["query", "\x1b[2J"],
        ["cells", "count", "\x1b[2J.csv", "--atlas", ATLAS],
        ["cells", "count", str(cells), "--atlas", ATLAS, "--by", "\x1b[3J"],
        ["cells", "add", "\x1b[2J", str(cells), "--atlas", ATLAS],
    )
    for words in (*fine, *wrong):
        status = run(["--home", str(wild.home.folder), *words])
        printed = capsys.readouterr()
        assert status == (words in wrong), (words, printed.err)
        assert plain(printed.out), words
        assert plain(printed.err), words
        assert "Traceback" not in printed.err, words


def test_a_terminal_is_told_nothing_either(wild: atlasdb.Database) -> None:
    """Where stdout is one, and tables are wrapped and trees coloured."""
    for words in (
        ["structures", ATLAS],
        ["tree", ATLAS],
        ["sql", 'SELECT 1 AS "\x1b]0;owned\x07"'],
    ):
        leader, follower = pty.openpty()
        process = subprocess.Popen(
            [sys.executable, "-m", "atlasdb", "--home", str(wild.home.folder), *words],
            stdout=follower,
            stderr=subprocess.DEVNULL,
            env=os.environ | {"PYTHONIOENCODING": "utf-8", "TERM": "xterm", "COLUMNS": "200"},
        )
        os.close(follower)
        shown = b""
        while True:
            try:
                chunk = os.read(leader, 65536)
            except OSError:
                break
            if not chunk:
                break
            shown += chunk
        os.close(leader)
        assert process.wait() == 0
        assert b"owned" in shown
        assert b"\x1b]" not in shown
        assert b"\x1b[2J" not in shown
        assert "\u202e".encode() not in shown


def test_files_keep_the_data(
    wild: atlasdb.Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """CSV, JSON and Parquet are for programs: nothing is escaped, no formula is disarmed."""
    base = ["--home", str(wild.home.folder), "structures", ATLAS]
    for ending in ("csv", "json", "parquet"):
        assert run([*base, "-o", str(tmp_path / f"all.{ending}")]) == 0
    text = (tmp_path / "all.csv").read_bytes().decode()
    of_csv = [row["acronym"] for row in csv.DictReader(io.StringIO(text, newline=""))]
    of_json = [row["acronym"] for row in json.loads((tmp_path / "all.json").read_text("utf-8"))]
    of_parquet = pq.read_table(tmp_path / "all.parquet")["acronym"].to_pylist()
    assert of_csv[2:] == of_json[2:] == of_parquet[2:] == list(WILD)
    assert not capsys.readouterr().err


def test_columns_and_values_of_cells(wild: atlasdb.Database, cells: Path, tmp_path: Path) -> None:
    """Registered, counted by, annotated and asked: each column has its own name and values."""
    stored = wild.sql("FROM cells.wild")
    own = [text for text in WILD if text != "Grey"]
    assert [name for name in stored.column_names if name in WILD] == own
    expected = pq.read_table(cells)
    for text in own:
        assert stored[text].to_pylist() == expected[text].to_pylist()
    one = wild.sql(f"SELECT count(DISTINCT {quoted(own[0])}) AS n FROM cells.wild")
    assert one["n"].to_pylist() == [len(WILD)]
    for text in (*own[:3], "*", "x" * 10_000, "\x1b[2J", "NULL", "a\nb"):
        counted = wild.count_cells(cells, ATLAS, by=[text], structures=["grey"])
        assert set(counted[text].to_pylist()) == set(WILD)
        assert sum(counted["cells"].to_pylist()) == 300
    wild.annotate_cells(cells, ATLAS, output=tmp_path / "out.parquet")
    written = pq.read_table(tmp_path / "out.parquet")
    assert [name for name in written.column_names if name in WILD] == own
    for name in ("'; DROP TABLE cell_table; --", 'wild"; DROP', "wild' OR 1=1", "ｗild", "wild\0"):
        with pytest.raises(UnknownCellTableError):
            wild.remove_cells(name)
    assert wild.cell_tables()["name"].to_pylist() == ["cells.wild"]
    refreshed = wild.refresh_cells("wild")
    assert refreshed.status == "replaced"
    assert wild.sql("FROM cells.wild").equals(stored)


@pytest.mark.parametrize(
    "value", ["'; DROP TABLE structure", "cells.wild; DROP", "/etc/passwd", "(SELECT 1)", "*", ""]
)
def test_parameters_of_named_queries(
    wild: atlasdb.Database, value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever is typed for a name or a file is a name or a file, and an error here."""
    for name, given in (
        ("cells_per_structure", {"points": value, "atlas": ATLAS}),
        ("largest_leaves", {"atlas": value}),
        ("largest_leaves", {"atlas": ATLAS, "structure": value + "!"}),
        ("largest_leaves", {"atlas": ATLAS, "limit": value}),
    ):
        words = [word for key, text in given.items() for word in ("-p", f"{key}={text}")]
        assert run(["--home", str(wild.home.folder), "query", name, *words]) in {1, 2}
        assert capsys.readouterr().err.count("\n") <= 3
    assert len(wild.query("subtree", atlas=ATLAS, structure="root")) == len(WILD) + 2


# Names that would become folders, schemas or files


HOSTILE = (
    "../x",
    "..",
    ".",
    "/abs",
    "a/b",
    "a\\b",
    "C:x",
    "a b",
    "a ",
    "a\n",
    "a\0",
    'a"b',
    "a'b",
    "a;b",
    "a$b",
    "-a",
    ".a",
    "~a",
    "é",
    "e\u0301",
    "ａ",
    "．．／x",
    "a\u200bb",
    "a\u202eb",
    "",
    "a" * 300,
)
DEVICES = ("con", "CON", "nul", "aux", "prn", "com1", "LPT9", "con.x", "Nul.tar")


@pytest.mark.parametrize("name", [*HOSTILE, *DEVICES, "a.", "a..b"])
def test_names_that_no_atlas_has(tmp_path: Path, db: atlasdb.Database, name: str) -> None:
    """Nor a further reference: its file has its name."""
    with pytest.raises(PackageError, match="is no name for an atlas"):
        checked_name(name)
    package = SmallAtlas(metadata={"additional_references": [name]}).write(tmp_path / "source")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(PackageError, match=r"metadata\.json"):
        db.ingest(str(package))
    assert [p for p in sorted(tmp_path.rglob("*")) if p not in before and p.is_file()] == []


@pytest.mark.parametrize("name", [*HOSTILE, "con.x", "a..b"])
def test_names_in_metadata(tmp_path: Path, db: atlasdb.Database, name: str) -> None:
    package = SmallAtlas(metadata={"name": name}).write(tmp_path / "source")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(PackageError, match=r"metadata\.json"):
        db.ingest(str(package))
    assert [p for p in sorted(tmp_path.rglob("*")) if p not in before and p.is_file()] == []


@pytest.mark.parametrize(
    "version", ["../1", "1/2", "1.2.3", "1.2 ", "1.2\n", "", "1", "-1.2", "1.٢x"]
)
def test_versions_in_metadata(tmp_path: Path, db: atlasdb.Database, version: str) -> None:
    package = SmallAtlas(metadata={"version": version}).write(tmp_path / "source")
    with pytest.raises(PackageError, match="is no version"):
        db.ingest(str(package))


@pytest.mark.parametrize("name", [*HOSTILE, "con", "NUL", "com1", "a.b", "a-b", "1a", "naïve"])
def test_names_that_no_table_of_cells_has(wild: atlasdb.Database, name: str) -> None:
    before = sorted(wild.home.folder.rglob("*"))
    points = pa.table({"ap_um": [1.0], "si_um": [1.0], "rl_um": [1.0]})
    with pytest.raises(CellTableError, match="can be no table"):
        wild.add_cells(name, points, ATLAS)
    assert sorted(wild.home.folder.rglob("*")) == before


SCHEMAS = ("main", "information_schema", "pg_catalog", "all_atlases", "cells", "temp", "system", "memory", "atlas")  # fmt: skip


@pytest.fixture(scope="module")
def reserved(tmp_path_factory: pytest.TempPathFactory) -> atlasdb.Database:
    """Atlases and tables of cells that are called like what DuckDB and we have already."""
    folder = tmp_path_factory.mktemp("reserved")
    database = atlasdb.connect(folder / "home")
    for number, name in enumerate(("main", "cells", "atlas")):
        database.ingest(str(SmallAtlas(name=name, annotation=labels(number)).write(folder)))
    points = pa.table({"ap_um": [1.0, 2.0], "si_um": [1.0, 2.0], "rl_um": [1.0, 2.0]})
    for name in ("main", "structure", "atlas", "cells", "select", "temp"):
        database.add_cells(name, points, "main_50um")
    return database


def test_reserved_words_are_names_like_others(reserved: atlasdb.Database) -> None:
    for name in ("main", "cells", "atlas"):
        found = reserved.sql(f"SELECT count(*) AS n FROM {name}_50um.structure")
        assert found["n"].to_pylist() == [7]
    for name in ("main", "structure", "atlas", "cells", '"select"', "temp"):
        assert reserved.sql(f"SELECT count(*) AS n FROM cells.{name}")["n"].to_pylist() == [2]
    assert reserved.sql("SELECT count(*) AS n FROM structure")["n"].to_pylist() == [21]
    assert reserved.sql("SELECT count(*) AS n FROM atlas")["n"].to_pylist() == [3]
    assert reserved.query("subtree", atlas="atlas_50um", structure="grey").num_rows
    for name in SCHEMAS:  # without a resolution, no atlas is called so
        with pytest.raises(AtlasDBError, match="no atlas"):
            reserved.info(name)


def test_case_makes_no_second_table(reserved: atlasdb.Database) -> None:
    """Nor a second folder, which a disk that minds no case could not hold."""
    points = pa.table({"ap_um": [1.0], "si_um": [1.0], "rl_um": [1.0]})
    with pytest.raises(CellTableError, match="is there already"):
        reserved.add_cells("Structure", points, "main_50um")
    added = reserved.add_cells("TEMP", points, "main_50um", force=True)
    assert added.status == "replaced"
    names = reserved.cell_tables()["name"].to_pylist()
    assert "cells.TEMP" in names
    assert "cells.temp" not in names
    assert reserved.sql("SELECT count(*) AS n FROM cells.temp")["n"].to_pylist() == [1]


@pytest.mark.parametrize(
    "names",
    [["nissl", "Nissl"], ["annotation"], ["Reference"], ["hemispheres"], ["Annotation.Ranks"]],
)
def test_references_that_would_be_one_file(
    tmp_path: Path, db: atlasdb.Database, names: list[str]
) -> None:
    volume = np.zeros(SHAPE, np.uint8)
    volumes = {name: volume for name in names if name != "annotation"}
    package = SmallAtlas(additional_references=names, volumes=volumes).write(tmp_path)
    with pytest.raises(PackageError, match="additional references cannot be named"):
        db.ingest(str(package))
    assert not db.home.has_database()


def test_mirrors_offer_no_names_that_are_none(tmp_path: Path, db: atlasdb.Database) -> None:
    """What a server or a folder lists is shown only if it could be an atlas."""
    names = [name for name in HOSTILE if name.strip() == name and name.isprintable() and name]
    lines = [f"{name} = 1.0" for name in (*names, "\x1b]0;owned\x07", "con", "small_rat_50um")]
    listed = parse_listing("[atlases]\n" + "\n".join(lines), "the list")
    assert list(listed) == ["small_rat_50um"]
    SmallAtlas().write(tmp_path / "mirror")
    for name in ("..x", "a b", "con", "é", "\x1b[2J", "-o"):
        folder = tmp_path / "mirror" / f"{name}_v1.0"
        folder.mkdir()
        (folder / "metadata.json").write_text("{}")
    offered = db.available(str(tmp_path / "mirror"))
    assert offered["atlas"].to_pylist() == ["small_rat_50um"]
