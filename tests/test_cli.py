"""The command line as a person uses it: words in, text and exit status out."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import logging
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from conftest import tree_of
from small import TETRAHEDRON, SmallAtlas, structure
from sqlalchemy import select

import atlasdb
from atlasdb.cli import COMMANDS, run
from atlasdb.database import head
from atlasdb.models import Structure
from atlasdb.queries import queries


class Shell:
    """Runs commands in this process, on one home."""

    def __init__(self, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.home = home
        self._capsys = capsys

    def __call__(self, *words: str, status: int = 0) -> str:
        """Run a command, assert its exit status, and return what it printed."""
        found = run(["--home", str(self.home), *words])
        printed = self._capsys.readouterr()
        assert found == status, printed.err
        if status:
            assert "Traceback" not in printed.err
            return printed.err
        return printed.out


@pytest.fixture
def shell(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(tmp_path / "home", capsys)


@pytest.fixture
def full_shell(full: atlasdb.Database, capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(full.home.folder, capsys)


def test_ingest_says_what_it_did_and_found(shell: Shell, tmp_path: Path) -> None:
    folder = SmallAtlas(meshes={"997": TETRAHEDRON}).write(tmp_path)
    lines = shell("ingest", str(folder)).splitlines()
    assert re.fullmatch(
        rf"ingested small_rat_50um@1.0 from {folder}: 7 structures, 1 meshes, [\d.]+ s", lines[0]
    )
    assert "  warning mesh_missing: grey has no mesh … 6 in all" in lines
    assert lines[-1] == "  all of them: atlasdb sql 'FROM \"small_rat_50um@1.0\".finding'"
    assert shell("ingest", str(folder)) == (
        "small_rat_50um@1.0 is already there (--force replaces it)\n"
    )
    assert shell("ingest", "small_rat_50um").startswith("small_rat_50um@1.0 is already there")
    assert shell("ingest", str(folder), "--force", "-q").startswith("replaced small_rat_50um@1.0")
    refused = shell("ingest", str(folder), "--force", "--strict", "-q", status=1)
    assert refused.startswith("error: small_rat_50um@1.0 has warnings and --strict was given: ")


def test_list(shell: Shell, full_shell: Shell) -> None:
    printed = full_shell("list")
    assert [
        line.split()[1] for line in printed.splitlines() if line.startswith("small_rat_50")
    ] == [
        "1.10",
        "1.9",
        "1.2",
    ]
    assert printed.endswith("(8 rows)\n")
    rows = json.loads(full_shell("list", "--format", "json"))
    assert {row["name"] for row in rows} >= {"phantom_odd_mouse_100um", "small_rat_100um"}
    assert shell("list", status=1).startswith("error: there is no atlas database in ")


def test_an_atlas_at_a_glance(full_shell: Shell) -> None:
    """The bars are as long as the numbers say, and the parts are the whole."""
    printed = full_shell("info", "phantom_mouse_100um").splitlines()
    assert printed[0] == "phantom_mouse_100um@1.0: 45 structures of Mus musculus"
    assert printed[1] == "551.6 mm³ in 551,624 voxels of 100 × 100 × 100 µm"
    levels = [line.split() for line in printed[4:13]]
    assert [int(level[1]) for level in levels] == [1, 3, 7, 5, 7, 6, 5, 3, 8]
    assert [len(level[2]) for level in levels] == [3 * int(level[1]) for level in levels]
    assert [float(level[3]) for level in levels][:3] == [100.0, 7.3, 7.3]
    parts = printed[15 : printed.index("", 15)]
    assert parts[0].startswith("root (unassigned)")
    shares = [float(line.partition(" %")[0].split()[-1]) for line in parts]
    assert sum(shares) == pytest.approx(100, abs=0.1 * len(shares))
    lengths = [line.count("█") for line in parts]
    assert lengths == [int(round(8 * 24 * share / 100) / 8) for share in shares]
    flat = full_shell("info", "small_rat_50um")
    assert "the volume at depth" in flat


def test_info(full_shell: Shell) -> None:
    printed = full_shell("info", "phantom_anisotropic_mouse_200um")
    told = printed[printed.index("\nname ") :].strip()
    pairs = dict(re.split(r"\s{2,}", line, maxsplit=1) for line in told.splitlines())
    assert pairs["resolution_um"] == "200 × 100 × 50"
    assert pairs["shape"] == "66 × 80 × 228"
    assert pairs["depth"] == "8"
    assert pairs["volumes"] == "ranks, annotation, nissl, reference"
    assert "findings (all: atlasdb sql" in full_shell("info", "small_rat_50um@1.9")
    row = json.loads(full_shell("info", "small_rat_50um", "--format", "json"))[0]
    assert row["version"] == "1.10"
    assert row["resolution_um"] == [50, 20, 10]
    error = full_shell("info", "small_rat_51um", status=1)
    assert error == (
        "error: no atlas small_rat_51um in this home; did you mean small_rat_50um or "
        "small_rat_100um?; `atlasdb list` shows all\n"
    )


QUERY = (
    "SELECT acronym, path, volume_mm3, NULL AS nothing FROM phantom_mouse_100um.region "
    "WHERE acronym IN ('VISp2/3', 'root') ORDER BY rank"
)


def test_sql_in_every_format(full_shell: Shell, tmp_path: Path) -> None:
    table = full_shell("sql", QUERY).splitlines()
    assert table[0].split() == ["acronym", "path", "volume_mm3", "nothing"]
    assert table[2].split() == ["root", "root", "551.624", "NULL"]
    assert table[-1] == "(2 rows)"
    rows = list(csv.DictReader(io.StringIO(full_shell("sql", QUERY, "--format", "csv"))))
    assert rows[1]["acronym"] == "VISp2/3"
    assert rows[1]["nothing"] == ""
    found = json.loads(full_shell("sql", QUERY, "--format", "json"))
    assert found[1]["path"][-2:] == ["VISp", "VISp2/3"]
    assert found[1]["nothing"] is None
    target = tmp_path / "out.parquet"
    assert full_shell("sql", QUERY, "-o", str(target)) == ""
    assert pq.read_table(target).column("path").to_pylist()[0] == ["root"]
    for ending in ("csv", "json", "txt"):
        full_shell("sql", QUERY, "-o", str(tmp_path / f"out.{ending}"))
    assert json.loads((tmp_path / "out.json").read_text()) == found
    assert (tmp_path / "out.txt").read_text().splitlines() == table
    assert "needs a file" in full_shell("sql", QUERY, "--format", "parquet", status=2)
    assert full_shell("sql", QUERY, "-o", str(tmp_path / "no" / "x.csv"), status=1).startswith(
        "error: cannot write"
    )
    assert sorted(path.suffix for path in tmp_path.glob("out.*")) == [
        ".csv",
        ".json",
        ".parquet",
        ".txt",
    ]


def test_output_goes_where_it_is_told(full_shell: Shell, tmp_path: Path) -> None:
    """Links are followed, modes kept, pipes and devices written into, and - is stdout."""
    target, link, pipe = tmp_path / "real.csv", tmp_path / "link.csv", tmp_path / "pipe"
    target.write_text("old")
    target.chmod(0o600)
    link.symlink_to(target)
    full_shell("sql", "SELECT 1 AS a", "-o", str(link))
    assert link.is_symlink()
    assert target.read_text() == "a\n1\n"
    assert target.stat().st_mode & 0o777 == 0o600
    os.mkfifo(pipe)
    reader = subprocess.Popen(["cat", str(pipe)], stdout=subprocess.PIPE, text=True)
    full_shell("sql", "SELECT 1 AS a", "-o", str(pipe), "--format", "csv")
    assert reader.communicate()[0] == "a\n1\n"
    assert pipe.is_fifo()
    umask = os.umask(0o077)
    full_shell("sql", "SELECT 1 AS a", "-o", str(tmp_path / "new.json"))
    os.umask(umask)
    assert (tmp_path / "new.json").stat().st_mode & 0o777 == 0o600
    assert full_shell("sql", "SELECT 1 AS a", "-o", "-", "--format", "csv") == "a\n1\n"
    assert "needs the name" in full_shell("sql", "SELECT 1", "-o", "", status=2)
    full_shell("sql", "SELECT 1 AS a", "-o", str(tmp_path), status=1)
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_columns_of_one_name_are_told_apart(full_shell: Shell, tmp_path: Path) -> None:
    query = 'SELECT 1 AS a, 2 AS a, 3 AS a_1, 4 AS "A", 5 AS "É", 6 AS "é"'
    names = ["a", "a_1", "a_1_1", "A_2", "É", "é_1"]
    values = [1, 2, 3, 4, 5, 6]
    assert full_shell("sql", query).split()[:6] == names
    rows = list(csv.reader(io.StringIO(full_shell("sql", query, "--format", "csv"))))
    assert rows == [names, [str(value) for value in values]]
    assert json.loads(full_shell("sql", query, "--format", "json")) == [
        dict(zip(names, values, strict=True))
    ]
    full_shell("sql", query, "-o", str(tmp_path / "x.parquet"))
    table = pq.read_table(tmp_path / "x.parquet")
    assert table.to_pylist() == [dict(zip(names, values, strict=True))]


def test_json_has_no_nan(full_shell: Shell) -> None:
    query = (
        "SELECT 'nan'::DOUBLE AS a, 'inf'::FLOAT AS b, 1.5::DOUBLE AS c, [1, 'nan'::DOUBLE] AS d, "
        "{'x': '-inf'::DOUBLE, 'y': 'text'} AS e, MAP {'k': 'nan'::FLOAT} AS f, NULL::DOUBLE[] AS g"
    )
    printed = full_shell("sql", query, "--format", "json")
    assert json.loads(printed) == [
        {"a": None, "b": None, "c": 1.5, "d": [1, None], "e": {"x": None, "y": "text"}}
        | {"f": {"k": None}, "g": None}
    ]


def test_cells_stay_in_their_row(full_shell: Shell) -> None:
    printed = full_shell("sql", "SELECT concat('a', chr(10), chr(27), '[31m') AS a, '' AS b")
    assert printed.splitlines()[2] == r"a\n\x1b[31m"


@pytest.mark.parametrize("query", ["", " ; ", "-- a comment"])
def test_queries_without_a_statement(full_shell: Shell, query: str) -> None:
    error = full_shell("sql", "--", query, status=1)
    assert error == "error: the query holds no statement\n"


def test_stdin_that_is_no_text(full: atlasdb.Database) -> None:
    command = [sys.executable, "-c", "from atlasdb.cli import main; main(['sql', '-'])"]
    done = subprocess.run(
        command,
        input=b"SELECT \xff",
        env=os.environ | {"ATLASDB_HOME": str(full.home.folder)},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith(b"error: stdin is no UTF-8 text")


def test_a_narrow_terminal_loses_nothing(full: atlasdb.Database) -> None:
    leader, follower = pty.openpty()
    command = shutil.which("atlasdb", path=str(Path(sys.executable).parent))
    assert command is not None
    process = subprocess.Popen(
        [command, "list"],
        env=os.environ | {"ATLASDB_HOME": str(full.home.folder), "TERM": "xterm", "COLUMNS": "80"},
        stdout=follower,
    )
    os.close(follower)
    shown = b""
    with contextlib.suppress(OSError):
        while chunk := os.read(leader, 4096):
            shown += chunk
    os.close(leader)
    process.wait()
    text = re.sub(r"\x1b\[[\d;]*m", "", shown.decode())
    assert "phantom_anisotropic_mouse_200um" in text
    assert "…" not in text
    assert max(map(len, text.splitlines())) <= 80


def test_sql_from_stdin(full_shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    stdin = io.TextIOWrapper(io.BytesIO(b"SELECT 40 + 2 AS answer"))
    monkeypatch.setattr(sys, "stdin", stdin)
    assert full_shell("sql", "-", "--format", "csv") == "answer\n42\n"


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM atlas",
        "CREATE TABLE atlas.main.mine (i INT)",
        "DROP VIEW phantom_mouse_100um.region",
        "UPDATE structure SET acronym = 'x'",
        "CREATE OR REPLACE MACRO atlas_id(x) AS 1",
    ],
)
def test_sql_cannot_change_the_database(
    full_shell: Shell, full: atlasdb.Database, statement: str
) -> None:
    before = full.home.database.read_bytes()
    full_shell("sql", statement, status=1)
    assert full.home.database.read_bytes() == before


def test_sql_errors_are_duckdb_s_in_one_line(full_shell: Shell) -> None:
    error = full_shell("sql", "SELECT nope\nFROM phantom_mouse_100um.region", status=1)
    assert len(error.splitlines()) == 1
    assert error.startswith('error: Binder Error: Referenced column "nope" not found')
    assert "Candidate bindings" in error
    error = full_shell("sql", "FROM phantom_mouse_100um.regoin", status=1)
    assert 'Did you mean "phantom_mouse_100um.region' in error or "region" in error


def test_check_finds_what_is_wrong(shell: Shell, tmp_path: Path) -> None:
    shell("ingest", str(SmallAtlas().write(tmp_path)))
    printed = shell("check", "small_rat_50um")
    assert printed.splitlines()[-1] == "small_rat_50um: 13 checks passed"
    assert all(line.startswith("ok  ") for line in printed.splitlines()[:-1])
    folder = next(shell.home.glob("volumes/*/*/*"))
    annotation, ranks = folder / "annotation.tiff", folder / "annotation.ranks.tiff"
    meshes = next(shell.home.glob("meshes/*/*/*"))
    (meshes / "8.obj").unlink()
    (meshes / "997.obj").write_text("v 0 0 0\n")
    content = bytearray(ranks.read_bytes())
    content[-1] ^= 1
    ranks.write_bytes(content)
    annotation.write_bytes(annotation.read_bytes()[:-20])
    (folder / "reference.tiff").unlink()
    found = run(["--home", str(shell.home), "check", "small_rat_50um"])
    printed = shell._capsys.readouterr().out
    assert found == 1
    problems = [line for line in printed.splitlines() if line.startswith("PROBLEM")]
    for text in (
        "annotation volume .* bytes instead of",
        "ranks volume .*was altered: its SHA-256 differs",
        "reference volume is missing",
        r"mesh files.*the mesh is missing: .*8\.obj; .*997\.obj has 8 bytes instead of",
    ):
        assert any(re.search(text, line) for line in problems), (text, problems)
    shell("ingest", str(tmp_path / "small_rat_50um_v1.0"), "--force")
    shell("check", "small_rat_50um")


@pytest.mark.parametrize(
    ("statement", "subject"),
    [
        ("UPDATE structure SET last_rank = last_rank + 1 WHERE rank = 2", "table structure"),
        ("DELETE FROM structure_closure WHERE distance = 3", "table structure_closure"),
        (
            "UPDATE structure_extent SET voxels = voxels + 1 WHERE structure_id = 8",
            "table structure_extent",
        ),
        ("UPDATE label SET voxels = 1 WHERE value = 8", "table label"),
        ("DELETE FROM annotation_run WHERE line = 2", "table annotation_run"),
        ("UPDATE structure SET label_value = 12 WHERE acronym = 'VISp2/3'", "label values"),
        ("UPDATE structure SET label_value = 4711 WHERE acronym = 'cm'", "label values"),
        ("UPDATE structure SET label_value = 0 WHERE acronym = 'cm'", "label values"),
        ("UPDATE annotation_run SET rank = 3 WHERE line = 2", "ranks volume against the runs"),
        ("UPDATE mesh SET structure_id = 4444 WHERE structure_id = 8", "references between tables"),
        (
            "INSERT INTO label SELECT 77, value, rank, structure_id, voxels FROM label",
            "references between tables",
        ),
    ],
)
def test_check_finds_rows_that_were_altered(
    shell: Shell, tmp_path: Path, statement: str, subject: str
) -> None:
    import duckdb

    shell("ingest", str(SmallAtlas().write(tmp_path)))
    with duckdb.connect(str(shell.home / "atlas.duckdb")) as connection:
        connection.execute(statement)
    found = run(["--home", str(shell.home), "check", "small_rat_50um"])
    assert found == 1
    assert f"PROBLEM  {subject}: " in shell._capsys.readouterr().out


def test_remove(shell: Shell, tmp_path: Path) -> None:
    shell("ingest", str(SmallAtlas().write(tmp_path)))
    assert shell("remove", "small_rat_50um") == "removed small_rat_50um@1.0\n"
    assert shell("list").endswith("(0 rows)\n")


def test_a_command_leaves_nothing_with_the_loggers(shell: Shell) -> None:
    """A program that runs commands in its own process does not grow by each."""
    shell("--version")
    handlers = [list(logging.getLogger(name).handlers) for name in ("sqlalchemy", "tifffile")]
    shell("--version")
    assert handlers == [logging.getLogger(name).handlers for name in ("sqlalchemy", "tifffile")]


def test_db_commands(shell: Shell) -> None:
    shell("db", "current", status=1)
    shell("ingest", "phantom_mouse_100um", "-q")
    assert shell("db", "current") == f"{head()} (current)\n"
    assert shell("db", "upgrade") == f"the schema is current: {head()}\n"
    from atlasdb.home import Home
    from atlasdb.migrate import downgrade

    downgrade(Home(shell.home), "base")
    assert shell("list", status=1).endswith("run `atlasdb db upgrade`\n")
    assert shell("ingest", "phantom_odd_mouse_100um", status=1).endswith(
        "run `atlasdb db upgrade`\n"
    )
    assert shell("db", "current") == f"none (this atlasdb works with {head()})\n"
    assert shell("db", "upgrade") == f"upgraded from none to {head()}\n"


def test_demo_prints_each_command_that_it_runs(shell: Shell) -> None:
    printed = shell("demo")
    commands = re.findall(r"^\$ atlasdb --home \S+ (\w+)", printed, re.MULTILINE)
    assert commands == (
        "ingest list info tree structures ancestors query sql sql sql check".split()  # noqa: SIM905
    )
    texts = ("45 structures", "Caudoputamen", "root > grey", "14 checks passed", "│   ├── CH  Cer")
    for text in texts:
        assert text in printed
    assert f"$ atlasdb --home {shell.home} list" in printed, "as it can be typed"
    assert "is already there" in shell("demo"), "it can be given again"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(shell: Shell, command: str) -> None:
    assert shell(command, "--help") == shell(command, "-h")
    assert f"Usage: atlasdb {command}" in shell(command, "-h")
    assert command in shell("--help")


def test_wrong_usage(shell: Shell) -> None:
    assert "no command 'removee'; did you mean remove?" in shell("removee", status=2)
    assert "Missing argument 'ATLAS'" in shell("ingest", status=2)
    assert "No such option" in shell("list", "--nope", status=2)
    assert shell("--version").startswith("atlasdb 0.")


def atlasdb_process(*words: str, home: Path, **environment: str) -> subprocess.Popen[str]:
    """Start the installed command."""
    command = shutil.which("atlasdb", path=str(Path(sys.executable).parent))
    assert command is not None
    return subprocess.Popen(
        [command, *words],
        env=os.environ | {"ATLASDB_HOME": str(home)} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_the_installed_command(full: atlasdb.Database) -> None:
    process = atlasdb_process("sql", "SELECT 1 AS one", home=full.home.folder)
    output, errors = process.communicate()
    assert (process.returncode, errors) == (0, "")
    assert output == "one\n───\n  1\n(1 row)\n"


def test_help_imports_nothing_heavy() -> None:
    script = (
        "import sys; from atlasdb.cli import run; run(['--help'])\n"
        "heavy = 'numpy duckdb pandas pyarrow sqlalchemy alembic tifffile meshio requests rich'\n"
        "print('HEAVY', [name for name in heavy.split() if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.endswith("HEAVY []\n")


def test_plain_reads_import_neither_sqlalchemy_nor_alembic(full: atlasdb.Database) -> None:
    words = [
        ["info", "phantom_mouse_100um"],
        ["tree", "phantom_mouse_100um"],
        ["structures", "phantom_mouse_100um"],
        ["descendants", "phantom_mouse_100um", "CTX"],
        ["query", "levels", "-p", "atlas=phantom_mouse_100um"],
    ]
    script = (
        "import sys; from atlasdb.cli import run\n"
        f"[run(['--home', {str(full.home.folder)!r}, *words]) for words in {words}]\n"
        "print('HEAVY', [n for n in ('sqlalchemy', 'alembic', 'meshio') if n in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.endswith("HEAVY []\n")


def test_a_pipe_that_closes(full: atlasdb.Database) -> None:
    query = "SELECT * FROM annotation_run LIMIT 20000"
    process = atlasdb_process("sql", query, home=full.home.folder)
    assert process.stdout is not None
    assert process.stdout.readline().startswith("atlas_id")
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == ""
    process.stderr.close()
    process.wait()


def test_a_damaged_volume_is_one_line(tmp_path: Path) -> None:
    """What tifffile logs of it stays off the terminal."""
    folder = SmallAtlas().write(tmp_path)
    content = (folder / "annotation.tiff").read_bytes()
    (folder / "annotation.tiff").write_bytes(content[:200])
    process = atlasdb_process("ingest", str(folder), "-q", home=tmp_path / "home")
    output, errors = process.communicate()
    assert (process.returncode, output, len(errors.splitlines())) == (1, "", 1)
    assert errors.startswith("error: annotation.tiff")


@pytest.mark.parametrize("wait", [0.0, 0.1, 0.3, 0.6])
def test_an_interrupted_ingest(tmp_path: Path, wait: float) -> None:
    """Ctrl-C: the shell's exit status, a last line that says so, and the home old or new."""
    home = tmp_path / "home"
    process = atlasdb_process("ingest", "phantom_mouse_100um", home=home)
    assert process.stderr is not None
    assert process.stderr.readline() == "making phantom_mouse_100um\n"
    time.sleep(wait)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate()
    assert process.returncode in {0, 130}
    if process.returncode:
        assert errors.splitlines()[-1] == "error: interrupted"
    if home.exists():
        names = {path.name for path in home.iterdir()}
        assert names <= {".lock", "atlas.duckdb", "volumes", "meshes"}
    again = atlasdb_process("ingest", "phantom_mouse_100um", home=home)
    again.communicate()
    assert again.returncode == 0
    assert all(result.ok for result in atlasdb.connect(home).check("phantom_mouse_100um"))


@pytest.mark.real
def test_progress_on_a_terminal_and_in_a_log(packages: Path, tmp_path: Path) -> None:
    words = ("ingest", str(packages / "example_mouse_100um_v1.2.tar.gz"))
    _, errors = atlasdb_process(*words, home=tmp_path / "log").communicate()
    assert errors.splitlines() == [
        "unpacking example_mouse_100um_v1.2.tar.gz (7,071,564 bytes)",
        "volumes and meshes",
        "writing the database",
    ]
    leader, follower = pty.openpty()
    command = shutil.which("atlasdb", path=str(Path(sys.executable).parent))
    assert command is not None
    process = subprocess.Popen(
        [command, *words],
        env=os.environ | {"ATLASDB_HOME": str(tmp_path / "tty"), "TERM": "xterm", "COLUMNS": "120"},
        stdout=subprocess.PIPE,
        stderr=follower,
    )
    os.close(follower)
    shown = b""
    while True:
        try:
            chunk = os.read(leader, 4096)
        except OSError:
            break
        if not chunk:
            break
        shown += chunk
    os.close(leader)
    process.communicate()
    assert process.returncode == 0
    text = shown.decode()
    assert "unpacking" in text
    assert re.search(r"[\d.]+/7\.1 MB", text)


TREE = """\
small_rat_50um@1.10
root  the structure root
├── grey  the structure grey
│   ├── CM  the structure CM
│   │   └── VISp2/3  the structure VISp2/3
│   └── cm  the structure cm
└── CUL4, 5  the structure CUL4, 5
    └── 10  the structure 10
"""


def test_tree_is_drawn(full_shell: Shell, tmp_path: Path) -> None:
    assert full_shell("tree", "small_rat_50um") == TREE
    assert full_shell("tree", "small_rat_50um", "--depth", "1") == (
        "small_rat_50um@1.10\n"
        "root  the structure root\n"
        "├── grey  the structure grey  (+3)\n"
        "└── CUL4, 5  the structure CUL4, 5  (+1)\n"
    )
    assert full_shell("tree", "small_rat_50um@1.2", "CM").splitlines() == [
        "small_rat_50um@1.2",
        "CM  the structure CM",
        "└── VISp2/3  the structure VISp2/3",
    ]
    assert full_shell("tree", "small_rat_50um", "-o", str(tmp_path / "tree.txt")) == ""
    assert (tmp_path / "tree.txt").read_text() == TREE
    rows = json.loads(full_shell("tree", "small_rat_50um", "cm", "--format", "json"))
    assert rows[0]["acronym"] == "cm"
    assert [rows[0][name] for name in ("red", "green", "blue")] == [12, 7, 255]
    full_shell("tree", "small_rat_50um", "-o", str(tmp_path / "tree.csv"))
    assert (tmp_path / "tree.csv").read_text().startswith("structure_id,acronym,name,parent_id")
    assert full_shell("tree", "small_rat_50um", "CM", "--depth", "1", status=1) == (
        "error: CM has depth 2, below depth 1: give its own or a greater one\n"
    )
    assert full_shell("tree", "small_rat_50um", "--depth", "4", status=1) == (
        "error: no depth 4 in small_rat_50um@1.10: the root has 0, the deepest structures 3\n"
    )


def on_a_terminal(*words: str, **environment: str) -> str:
    """Run the installed command on a terminal of its own and return what it shows."""
    command = shutil.which("atlasdb", path=str(Path(sys.executable).parent))
    assert command is not None
    main, side = pty.openpty()
    with subprocess.Popen(
        [command, *words], stdout=side, stderr=side, env=os.environ | environment
    ) as process:
        os.close(side)
        shown = b""
        with contextlib.suppress(OSError):
            while piece := os.read(main, 4096):
                shown += piece
        process.wait()
    os.close(main)
    return shown.decode()


def test_tree_on_a_terminal_has_the_structures_colours(full: atlasdb.Database) -> None:
    home = str(full.home.folder)
    settings = {"ATLASDB_HOME": home, "TERM": "xterm-256color", "COLORTERM": "truecolor"}
    shown = on_a_terminal("tree", "small_rat_50um", COLUMNS="80", **settings)
    assert "\x1b[38;2;12;7;255m●" in shown
    plain = re.sub(r"\x1b\[[\d;]*m", "", shown).replace("\r\n", "\n")
    assert plain.replace("● ", "") == TREE
    grey = on_a_terminal("tree", "small_rat_50um", COLUMNS="80", NO_COLOR="1", **settings)
    assert "38;2" not in grey


def test_tree_on_a_narrow_terminal_and_with_strange_names(
    full: atlasdb.Database, shell: Shell, tmp_path: Path
) -> None:
    shown = on_a_terminal(
        "tree", "small_rat_50um", COLUMNS="24", TERM="xterm", ATLASDB_HOME=str(full.home.folder)
    )
    plain = re.sub(r"\x1b\[[\d;]*m", "", shown).splitlines()
    assert len(plain) == len(TREE.splitlines()), "a line stays a line"
    entries = [structure(1, "root", [1]), structure(2, "A", [1, 2]) | {"name": "a\x1b[31m\nb"}]
    shell("ingest", str(SmallAtlas(structures=entries).write(tmp_path)), "-q")
    assert shell("tree", "small_rat_50um").splitlines()[-1] == "└── A  a\\x1b[31m\\nb"


def test_relatives_on_the_command_line(full_shell: Shell) -> None:
    assert full_shell("ancestors", "small_rat_50um", "VISp2/3") == (
        "structure_id   acronym   name                 depth   distance\n"
        "──────────────────────────────────────────────────────────────\n"
        "         997   root      the structure root       0          3\n"
        "           8   grey      the structure grey       1          2\n"
        "       70000   CM        the structure CM         2          1\n"
        "(3 rows, small_rat_50um@1.10)\n"
    )

    def acronyms(*words: str) -> list[str]:
        printed = full_shell(*words, "--format", "json")
        return [row["acronym"] for row in json.loads(printed)]

    assert acronyms("ancestors", "small_rat_50um", "5000000000", "--depth", "1") == ["grey"]
    assert acronyms("descendants", "small_rat_50um", "8") == ["CM", "VISp2/3", "cm"]
    assert acronyms("descendants", "small_rat_50um", "grey", "--children") == ["CM", "cm"]
    assert acronyms("descendants", "small_rat_50um", "grey", "--leaves") == ["VISp2/3", "cm"]
    assert acronyms("descendants", "small_rat_50um", "grey", "--self")[0] == "grey"
    assert acronyms("descendants", "small_rat_50um", "CUL4, 5") == ["10"]
    assert acronyms("descendants", "small_rat_50um", "10", "--self") == ["10"]
    assert acronyms("descendants", "small_rat_50um", "id:14", "--self") == ["10"]
    assert acronyms("descendants", "small_rat_50um", "acronym:10", "--self") == ["10"]
    assert len(acronyms("structures", "small_rat_50um")) == 7
    assert acronyms("structures", "small_rat_50um", "--depth", "2") == ["CM", "cm", "10"]
    assert acronyms("structures", "small_rat_50um", "--depth", "3") == ["VISp2/3"]
    assert acronyms("structures", "small_rat_50um", "--depth", "3", "--ragged", "leaf") == [
        "VISp2/3",
        "cm",
        "10",
    ]
    assert acronyms("structures", "small_rat_50um", "--under", "grey", "--depth", "2") == [
        "CM",
        "cm",
    ]
    assert acronyms("structures", "small_rat_50um", "--search", "visp23")[0] == "VISp2/3"
    assert len(acronyms("structures", "--search", "root")) == 8


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("ancestors", "small_rat_50um", "Grey"), "error: no structure Grey in small_rat_50um@1.10; did you mean grey?\n"),
        (("ancestors", "small_rat_50um", "123"), "error: no structure 123 in small_rat_50um@1.10\n"),
        (("ancestors", "small_rat_50um", "id:10"), "error: no structure 10 in small_rat_50um@1.10\n"),
        (("ancestors", "small_rat_50um", "acronym:14"), "error: no structure 14 in small_rat_50um@1.10; an id is a number"),
        (("ancestors", "small_rat_50um", "9" * 5000), "error: no structure 999"),
        (("descendants", "small_rat", "CM"), "error: no atlas small_rat in this home; did you mean small_rat_50um"),
        (("structures", "small_rat_50um", "--depth", "9"), "error: no depth 9 in small_rat_50um@1.10: the root has 0"),
        (("structures", "small_rat_50um", "--depth", "-1"), "error: no depth -1 in small_rat_50um@1.10"),
        (("query", "largst_leaves"), "error: no query 'largst_leaves'; did you mean largest_leaves"),
        (("query", "cut", "-p", "atlas=small_rat_50um"), "error: query cut needs depth (integer: steps from the root)\n"),
    ],
)  # fmt: skip
def test_unknown_names_on_the_command_line(
    full_shell: Shell, words: tuple[str, ...], message: str
) -> None:
    printed = full_shell(*words, status=1)
    assert printed.startswith(message)
    assert printed.count("\n") == 1


@pytest.mark.parametrize(
    "words",
    [
        ("structures",),
        ("structures", "small_rat_50um", "--search", "x", "--depth", "1"),
        ("query", "cut", "-p", "atlas"),
        ("query", "cut", "-p", "depth=1", "-p", "depth=2"),
        ("query", "-p", "atlas=x"),
        ("tree", "small_rat_50um", "--depth", "x"),
        ("tree", "small_rat_50um", "a\udcff"),
        ("structures", "small_rat_50um", "--search", "a\udcff"),
        ("query", "cut", "-p", "atlas=a\udcff"),
        ("structures", "small_rat_50um", "--ragged", "leaf"),
    ],
)
def test_wrong_usage_of_questions(full_shell: Shell, words: tuple[str, ...]) -> None:
    assert full_shell(*words, status=2).startswith("Usage: atlasdb ")


def test_a_word_that_is_an_acronym_and_another_s_id(shell: Shell, tmp_path: Path) -> None:
    entries = [structure(1, "root", [1]), structure(10, "A", [1, 10]), structure(14, "10", [1, 14])]
    shell("ingest", str(SmallAtlas(structures=entries).write(tmp_path)), "-q")
    assert shell("ancestors", "small_rat_50um", "10", status=1) == (
        "error: 10 is a structure's acronym and another's id in small_rat_50um@1.0: write id:10 (A) "
        "or acronym:10\n"
    )
    for word, expected in (("id:10", "A"), ("acronym:10", "10"), ("14", "10"), ("A", "A")):
        printed = shell("descendants", "small_rat_50um", word, "--self", "--format", "csv")
        assert printed.splitlines()[1].split(",")[1] == expected


def test_query_lists_shows_and_runs(full_shell: Shell, tmp_path: Path) -> None:
    listed = full_shell("query")
    for query in queries():
        assert f"  {query.name}\n" in listed
        for parameter in query.parameters:
            assert f"-p {parameter.name}={parameter.kind}" in listed
    table = json.loads(full_shell("query", "--format", "json"))
    assert [row["name"] for row in table] == [query.name for query in queries()]
    assert "FROM annotation_cut($atlas, $depth)" in full_shell("query", "cut", "--show")
    printed = full_shell(
        "query", "partition", "-p", "atlas=small_rat_50um", "-p", "structure=grey",
        "-p", "parts=CM", "-p", "parts=12", "--format", "json",
    )  # fmt: skip
    assert [row["fault"] for row in json.loads(printed)] == ["unassigned"]
    target = tmp_path / "cut.parquet"
    full_shell(
        "query", "cut", "-p", "atlas=small_rat_50um", "-p", "depth=1", "-o", str(target)
    )  # fmt: skip
    assert sum(pq.read_table(target)["voxels"].to_pylist()) == 4 * 3 * 7
    at = full_shell("query", "at", "-p", "atlas=small_rat_50um", "-p", "ap_um=-1", "-p", "si_um=0",
                    "-p", "rl_um=0", "--format", "csv")  # fmt: skip
    assert at == "status,structure_id,acronym,hemisphere,label\noutside,,,,\n"


def test_all_forms_give_the_same(full: atlasdb.Database, full_shell: Shell) -> None:
    """SQL, Python, the ORM and the command line, for every structure of an atlas."""
    atlas = "phantom_mouse_100um"
    words = {"descendants": (), "children": ("--children",), "leaves": ("--leaves",)}
    with full.session(atlas=atlas) as session:
        for number, top in enumerate(session.scalars(select(Structure))):
            for verb in ("ancestors", "descendants", "children", "leaves"):
                by_sql = full.sql(f"FROM {verb}('{atlas}', ?)", [top.acronym])
                expected = by_sql["acronym"].to_pylist()
                assert [s.acronym for s in getattr(top, verb)] == expected
                assert (
                    getattr(full, verb)(atlas, top.structure_id)["acronym"].to_pylist() == expected
                )
                if number % 5 == 0:
                    command = ("ancestors",) if verb == "ancestors" else ("descendants",)
                    printed = full_shell(
                        *command, atlas, top.acronym, *words.get(verb, ()), "--format", "json"
                    )
                    assert [row["acronym"] for row in json.loads(printed)] == expected


def test_a_mesh_is_written(full_shell: Shell, tmp_path: Path) -> None:
    path = tmp_path / "a.ply"
    printed = full_shell("mesh", "phantom_mouse_100um", "CP", "385", "-o", str(path))
    assert re.fullmatch(
        rf"wrote {path}: CP, 385 of phantom_mouse_100um@1.0, [\d,]+ vertices, [\d,]+ triangles\n",
        printed,
    )
    half = full_shell("mesh", "phantom_mouse_100um", "672", "--hemisphere", "left", "-o", str(path))
    assert half == (
        f"wrote {path}: 672, left of phantom_mouse_100um@1.0, 266 vertices, 528 triangles\n"
    )
    assert path.read_bytes().startswith(b"ply\nformat binary_little_endian")
    assert [p.name for p in tmp_path.iterdir()] == ["a.ply"]


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["small_rat_50um", "root", "-o", "a.fbx"], 2, "a mesh ends in .obj, .ply, .stl, .vtk"),
        (["small_rat_50um", "root"], 2, "Missing option '-o'"),
        (["small_rat_50um", "roof", "-o", "a.obj"], 1, "no structure roof in small_rat_50um@1.10"),
        (["small_rat_50um", "-o", "a.obj"], 2, "Missing argument 'STRUCTURE"),
        (["small_rat_50um", "root", "-o", "none/a.obj"], 1, "cannot write none/a.obj: No such file"),
        (["small_rat_50um", "root", "-o", "a.obj", "--orientation", "abc"], 2, "'abc'"),
        (["small_rat_50um", "root", "-o", "a.obj", "--hemisphere", "both"], 2, "'left', 'right'"),
        (["small_rat_50um", "root", "--hemisphere", "left", "-o", "a.obj"], 1,
         "error: nothing of the mesh of root lies in the left hemisphere of small_rat_50um@1.10"),
    ],
)  # fmt: skip
def test_a_mesh_that_cannot_be_written(
    words: list[str],
    status: int,
    message: str,
    full_shell: Shell,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert message in full_shell("mesh", *words, status=status)
    assert not [p for p in tmp_path.iterdir() if p.name.startswith(("a.", ".a"))]


def test_one_structure_without_a_mesh_and_nothing_is_written(shell: Shell, tmp_path: Path) -> None:
    shell("ingest", str(SmallAtlas(meshes={"997": TETRAHEDRON}).write(tmp_path)), "-q")
    error = shell("mesh", "small_rat_50um", "root", "cm", "-o", str(tmp_path / "a.obj"), status=1)
    assert error == (
        "error: cm (12) has no mesh in small_rat_50um@1.0, which has meshes for 1 of 7 structures\n"
    )
    assert not (tmp_path / "a.obj").exists()


def test_atlases_are_cited(full_shell: Shell, tmp_path: Path) -> None:
    printed = full_shell("cite", "small_rat_50um@1.2", "phantom_mouse_100um")
    assert printed.startswith("small_rat_50um, version 1.2 (Rattus norvegicus, 50 × 20 × 10 µm)")
    assert len(printed.splitlines()) == 5
    path = tmp_path / "refs.bib"
    assert full_shell("cite", "small_rat_50um", "-o", str(path)) == ""
    assert path.read_text() == full_shell("cite", "small_rat_50um", "--format", "bibtex")
    assert path.read_text().startswith("@misc{small_rat_50um_v1.10,\n")
    assert "no atlas nope" in full_shell("cite", "nope", status=1)
    assert "Missing argument" in full_shell("cite", status=2)


def test_nothing_of_the_home_is_overwritten(shell: Shell, tmp_path: Path) -> None:
    """Whatever command writes, and whatever it is told to overwrite."""
    shell("ingest", "phantom_mouse_100um", "-q")
    home = tmp_path / "home"
    before = tree_of(home)
    volume = next(home.glob("volumes/*/*/*/reference.tiff"))
    mesh = next(home.glob("meshes/*/*/*/672.obj"))
    atlas = "phantom_mouse_100um"
    for words in (
        ["cite", atlas, "-o", str(home / "atlas.duckdb")],
        ["tree", atlas, "-o", str(home / ".lock")],
        ["sql", "SELECT 1", "--format", "csv", "-o", str(mesh)],
        ["structures", atlas, "--format", "parquet", "-o", str(home / "atlas.duckdb.wal")],
        ["mesh", atlas, "CP", "-o", str(mesh)],
        ["mask", atlas, "CP", "-o", str(volume)],
        ["volume", atlas, "ranks", "-o", str(home / "volumes" / "new.tif")],
        ["lookup", atlas, "1", "2", "3", "--format", "csv", "-o", str(home / "downloads" / "x")],
    ):
        assert "is the database's own: write elsewhere than in" in shell(*words, status=1)
    assert tree_of(home) == before
    shell("cite", atlas, "-o", str(home / "refs.bib"))  # a project's folder may be the home too
    assert (home / "refs.bib").exists()
