"""``atlasdb lookup`` as a person uses it: one point, files of every kind, pipes, and mistakes."""

from __future__ import annotations

import io
import json
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest
from test_cli import Shell

import atlasdb
from atlasdb.cells.annotating import ADDED_COLUMNS
from atlasdb.cells.reading import open_points
from atlasdb.errors import PointsError

if TYPE_CHECKING:
    from numpy.typing import NDArray

ATLAS = "phantom_mouse_100um"


@pytest.fixture
def shell(full: atlasdb.Database, capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(full.home.folder, capsys)


def test_one_point(shell: Shell) -> None:
    lines = shell("lookup", ATLAS, "4950", "4150", "3150").splitlines()
    assert lines[0] == "4950 4150 3150 µm = voxel 49 41 31"
    assert lines[1].split() == ["structure_id", "acronym", "name", "hemisphere", "status", "label"]
    assert lines[3].split() == ["672", "CP", "Caudoputamen", "right", "inside", "672"]
    assert lines[4] == "(1 row, phantom_mouse_100um@1.0)"


@pytest.mark.parametrize(
    ("words", "echo", "status"),
    [
        (["50", "40", "30"], "50 40 30 µm = voxel 0 0 0", "background"),
        (["-150", "4000", "3000"], "-150 4000 3000 µm = outside the volume", "outside"),
        (["-1.5e2", "-.5", "-0"], "-1.5e2 -.5 -0 µm = outside the volume", "outside"),
        (["nan", "-inf", "-nan"], "nan -inf -nan µm = outside the volume", "outside"),
        (["-0.0", "0", "0"], "-0.0 0 0 µm = voxel 0 0 0", "background"),
        (["4.95", "4.15", "3.15", "--unit", "mm"], "4.95 4.15 3.15 mm = voxel 49 41 31", "inside"),
        (["--unit", "voxel", "49", "41", "31"], "49 41 31 in voxels = voxel 49 41 31", "inside"),
        (["49", "41", "31.9", "--voxels"], "49 41 31.9 in voxels = voxel 49 41 31", "inside"),
        (["13200", "0", "0"], "13200 0 0 µm = outside the volume", "outside"),
    ],
)
def test_numbers_of_every_form(shell: Shell, words: list[str], echo: str, status: str) -> None:
    lines = shell("lookup", ATLAS, *words).splitlines()
    assert lines[0] == echo
    assert status in lines[3].split()
    assert ("NULL" in lines[3]) == (status != "inside")


def test_one_point_for_programs(shell: Shell, tmp_path: Path) -> None:
    words = ["lookup", ATLAS, "4950", "4150", "3150", "--depth", "3", "--format", "json"]
    assert json.loads(shell(*words)) == [
        {
            "ap_um": 4950.0,
            "si_um": 4150.0,
            "rl_um": 3150.0,
            "voxel_ap": 49,
            "voxel_si": 41,
            "voxel_rl": 31,
            "structure_id": 623,
            "acronym": "CNU",
            "name": "Cerebral nuclei",
            "hemisphere": "right",
            "status": "inside",
            "label": 672,
        }
    ]
    file = tmp_path / "point.parquet"
    shell("lookup", ATLAS, "-1", "2", "3", "--voxels", "-o", str(file))
    (row,) = pq.read_table(file).to_pylist()
    assert (row["ap_voxel"], row["voxel_ap"], row["acronym"], row["status"]) == (
        -1.0,
        None,
        None,
        "outside",
    )
    echoed = shell("lookup", ATLAS, "1", "2", "3", "-o", str(tmp_path / "point.txt"))
    assert echoed == "", "the file holds the table, stderr the echo"


def points_of(atlas: str, db: atlasdb.Database, count: int = 500) -> NDArray[np.float64]:
    points = np.random.default_rng(3).uniform(-0.1, 1.1, (count, 3))
    return np.round(points * db.voxels(atlas).grid.extent_um, 3)


@pytest.fixture(scope="module")
def expected(full: atlasdb.Database) -> list[dict[str, Any]]:
    """What SQL says of the points: another way altogether."""
    columns = dict(zip(("ap_um", "si_um", "rl_um"), points_of(ATLAS, full).T, strict=True))
    table = pa.table({"number": np.arange(500), **columns})
    calls = ", ".join(
        f"{name}_at('{ATLAS}', ap_um, si_um, rl_um) AS {name}"
        for name in ("structure_id", "acronym", "hemisphere", "status")
    )
    import duckdb

    with duckdb.connect(str(full.home.database), read_only=True) as connection:
        connection.register("given", table)
        connection.execute("CREATE TEMP TABLE points AS FROM given")
        rows: list[dict[str, Any]] = (
            connection.execute(f"SELECT number, {calls} FROM points ORDER BY number")
            .to_arrow_table()
            .to_pylist()
        )
    assert {row["status"] for row in rows} == {"inside", "background", "outside"}
    return rows


def written(points: NDArray[np.float64], path: Path) -> Path:
    """Write points in the form that the path's ending names."""
    names = ["ap_um", "si_um", "rl_um"]
    text = [f"00{n}" for n in range(len(points))]
    table = pa.table({"id": text, **dict(zip(names, points.T, strict=True)), "note, odd": text})
    if path.suffix == ".npy":
        np.save(path, points)
    elif path.suffix == ".parquet":
        pq.write_table(table, path, row_group_size=77)
    else:
        mark = {".tsv": "\t", ".csv": ",", ".txt": ";"}[path.suffix]
        pa_csv.write_csv(table, path, pa_csv.WriteOptions(delimiter=mark))
    return path


@pytest.mark.parametrize("ending", ["csv", "tsv", "txt", "parquet", "npy"])
@pytest.mark.parametrize("form", ["csv", "json", "parquet", "table"])
def test_tables_keep_every_row_and_column(
    full: atlasdb.Database,
    shell: Shell,
    tmp_path: Path,
    expected: list[dict[str, Any]],
    ending: str,
    form: str,
) -> None:
    points = points_of(ATLAS, full)
    file = written(points, tmp_path / f"points.{ending}")
    target = tmp_path / f"found.{form}"
    shell("lookup", ATLAS, str(file), "-o", str(target), "--format", form)
    if form == "table":
        assert target.read_text().count("outside") == sum(
            row["status"] == "outside" for row in expected
        )
        assert target.read_text().endswith("\n(500 rows, phantom_mouse_100um@1.0)\n")
        return
    if form == "parquet":
        table = pq.read_table(target)
        assert table.schema.metadata[b"atlas"] == b"phantom_mouse_100um@1.0"
        found = table.to_pylist()
    elif form == "json":
        found = json.loads(target.read_text())
    else:
        found = pa_csv.read_csv(
            target,
            convert_options=pa_csv.ConvertOptions(
                column_types={"id": pa.string(), "note, odd": pa.string()}, strings_can_be_null=True
            ),
        ).to_pylist()
    others = [] if ending == "npy" else ["id", "note, odd"]
    assert set(found[0]) == {"ap_um", "si_um", "rl_um", *others, *ADDED_COLUMNS}
    for number, (row, wanted) in enumerate(zip(found, expected, strict=True)):
        for name in ("structure_id", "acronym", "hemisphere", "status"):
            assert row[name] == wanted[name]
        assert [row["ap_um"], row["si_um"], row["rl_um"]] == points[number].tolist()
        if others:
            assert row["id"] == row["note, odd"] == f"00{number}", "ids are texts, zeros and all"


def test_standard_input(
    full: atlasdb.Database, shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    def piped(content: bytes, *options: str) -> list[dict[str, Any]]:
        class Standard:
            buffer = io.BufferedReader(io.BytesIO(content))

        monkeypatch.setattr(sys, "stdin", Standard)
        found: list[dict[str, Any]] = json.loads(
            shell("lookup", ATLAS, "-", "--format", "json", *options)
        )
        return found

    for content in (
        b"4950 4150 3150\n  -1   2 \t3 \n",
        b"4950,4150,3150\n-1,2,3\n",
        b"4950\t4150\t3150\r\n-1\t2\t3",
        b"\xef\xbb\xbfap_um,si_um,rl_um\n4950,4150,3150\n\n-1,2,3\n",
        b"ap_um si_um rl_um\n4950 4150 3150\n-1 2 3\n",
        b'"ap_um";"si_um";"rl_um"\n4950;"4150";3150\n-1;2;3\n',
    ):
        found = piped(content)
        assert [row["acronym"] for row in found] == ["CP", None], content
        assert [row["status"] for row in found] == ["inside", "outside"]
    (row,) = piped(b"id,ap_mm,si_mm,rl_mm\nx,4.95,4.15,3.15\n")
    assert (row["id"], row["acronym"]) == ("x", "CP")
    (row,) = piped(b"x,y,z,ap_um\n3.15,4.15,4.95,no\n", "--columns", "z", "y", "x", "--unit", "mm")
    assert (row["acronym"], row["ap_um"]) == ("CP", "no")
    (row,) = piped(b"49 41 31\n", "--voxels")
    assert (row["ap_voxel"], row["acronym"]) == (49.0, "CP")
    (row,) = piped(b"axis0_ap_um,axis1_si_um,axis2_rl_um\n4950,4150,3150\n")
    assert row["acronym"] == "CP"
    (row,) = piped(b"ap_um,si_um,rl_um\n4950,,3150\n")
    assert row["status"] == "outside", "a row without a coordinate is told, not dropped"
    assert piped(b"ap_um,si_um,rl_um\n") == []


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        (b"", [], "standard input is empty"),
        (b"\xff\xfe1\n", [], "is no UTF-8 text"),
        (b"x,y,z\n1,2,3\n", [], "has the columns x, y, z: name those that count from anterior"),
        (b"1,2\n", [], "the first line of standard input has 2 numbers and no names"),
        (b"ap_um,si_um,rl_um\r1,2,3\r", [], "the first line of standard input cannot be read"),
        (
            b"ap_um,si_um,rl_um\n1,2,a\n",
            [],
            "standard input, row 1: column rl_um holds 'a', which is no number",
        ),
        (b"ap_um,si_um,rl_um\n1,2\n", [], "cannot be read: .*Expected 3 columns, got 2"),
        (b"ap_um,si_um,rl_um,acronym\n1,2,3,x\n", [], "have a column acronym already"),
        (b"ap_um,ap_um,si_um,rl_um\n1,2,3,4\n", [], "has several columns called ap_um"),
        (b"ap_um,si_um,rl_um,ap_mm,si_mm,rl_mm\n", [], "has coordinates in ap_um, .* and in ap_mm"),
        (b"ap_um,si_um,rl_um\n1,2,3\n", ["--unit", "mm"], "has the columns ap_um, si_um, rl_um"),
        (
            b"a,b,c\n1,2,3\n",
            ["--columns", "a", "b", "a"],
            "the coordinates are three columns, not a, b, a",
        ),
        (b"a,b,c\n1,2,3\n", ["--columns", "a", "b", "d"], "has no column d; it has a, b, c"),
    ],
)
def test_tables_that_cannot_be_told(
    shell: Shell,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    content: bytes,
    options: list[str],
    message: str,
) -> None:
    class Standard:
        buffer = io.BufferedReader(io.BytesIO(content))

    monkeypatch.setattr(sys, "stdin", Standard)
    target = tmp_path / "found.csv"
    printed = shell("lookup", ATLAS, "-", "-o", str(target), *options, status=1)
    assert printed.startswith("error: ")
    assert printed.count("\n") == 1
    import re

    assert re.search(message, printed), printed
    assert list(tmp_path.iterdir()) == [], "nothing half done is left"


def test_files_that_cannot_be_read(shell: Shell, tmp_path: Path) -> None:
    for name, content, message in (
        ("a.parquet", b"PAR", "a.parquet cannot be read: Parquet file size is 3 bytes"),
        ("a.npy", b"\x93NUM", "is no readable .npy file"),
        ("a.bin", b"<a/>", "is none of the tables that can be read: .csv, .tsv"),
    ):
        (tmp_path / name).write_bytes(content)
        assert message in shell("lookup", ATLAS, str(tmp_path / name), status=1)
    assert "there is no file nope.csv" in shell("lookup", ATLAS, "nope.csv", status=1)
    np.save(tmp_path / "b.npy", np.zeros((3, 2)))
    assert "must hold an array of (N, 3), found (3, 2)" in shell(
        "lookup", ATLAS, str(tmp_path / "b.npy"), status=1
    )
    np.save(tmp_path / "c.npy", np.array([[{}, {}, {}]]), allow_pickle=True)
    assert "holds Python objects, which could run code: it is not read" in shell(
        "lookup", ATLAS, str(tmp_path / "c.npy"), status=1
    )
    np.save(tmp_path / "d.npy", np.zeros((3, 3), bool))
    assert "must hold real numbers, found bool" in shell(
        "lookup", ATLAS, str(tmp_path / "d.npy"), status=1
    )
    times = pa.table({"ap_um": pa.array([1], pa.timestamp("s")), "si_um": [1], "rl_um": [2]})
    pq.write_table(times, tmp_path / "e.parquet")
    assert "column ap_um of " in shell("lookup", ATLAS, str(tmp_path / "e.parquet"), status=1)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["1", "2"], "give three numbers or one file, not 2 words"),
        (["1", "2", "3", "4"], "give three numbers or one file, not 4 words"),
        (["1", "2", "x"], "'x' is no number: a point is three numbers, AP SI RL"),
        (["1", "2", "3", "--unt", "mm"], "No such option: --unt"),
        (["1", "2", "-x"], "No such option: -x"),
        (["1", "2", "3", "--unit", "cm"], "'cm' is not one of 'um', 'mm', 'm', 'voxel'"),
        (["1", "2", "3", "--columns", "a", "b", "c"], "--columns is for files of points"),
        ([], "Missing argument 'AP SI RL | FILE | -'"),
    ],
)
def test_wrong_usage(shell: Shell, words: list[str], message: str) -> None:
    said = shell("lookup", ATLAS, *words, status=2)
    assert message in said.replace("option '", "option: ")  # click before and after 8.3


def test_wrong_names(shell: Shell) -> None:
    assert "did you mean phantom_mouse_100um" in shell(
        "lookup", "phantom_mouse", "1", "2", "3", status=1
    )
    printed = shell("lookup", ATLAS, "1", "2", "3", "--depth", "99", status=1)
    assert "no depth 99" in printed


def piping(full: atlasdb.Database) -> subprocess.Popen[bytes]:
    """Start a lookup of what is piped into it."""
    command = [sys.executable, "-m", "atlasdb", "--home", str(full.home.folder), "lookup", ATLAS]
    return subprocess.Popen(
        [*command, "-", "-q"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
    )


def test_a_pipe_is_answered_as_it_comes(full: atlasdb.Database) -> None:
    """What came first is printed before the last is there, and memory does not grow with it."""
    with piping(full) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"ap_um,si_um,rl_um\n4950,4150,3150\n")
        first = b""
        while first.count(b"\n") < 2:
            first += process.stdout.read(1 << 16)
        assert first.startswith(b"ap_um,si_um,rl_um,voxel_ap")
        assert b",CP,right,inside\n" in first
        parts: list[bytes] = []
        reader = threading.Thread(target=lambda out=process.stdout: parts.append(out.readall()))
        reader.start()
        for _ in range(120):
            process.stdin.write(b"4950.0001,4150.0001,3150.0001\n" * 4_000)  # 14 MB in all
        process.stdin.write(b"-1,-1,-1\n")
        process.stdin.close()
        reader.join(60)
        (rest,) = parts
    assert process.returncode == 0
    assert (first + rest).count(b"\n") == 2 + 120 * 4_000 + 1
    assert rest.endswith(b",outside\n")


def test_an_interrupted_pipe(full: atlasdb.Database) -> None:
    with piping(full) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdin.write(b"ap_um,si_um,rl_um\n4950,4150,3150\n")
        assert process.stdout.read(10)
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130
        assert process.stderr.read().endswith(b"error: interrupted\n")


def test_a_row_too_many_ends_the_command_at_once(full: atlasdb.Database, tmp_path: Path) -> None:
    """Nothing reads ahead that would have to be waited for."""
    file = tmp_path / "ragged.csv"
    file.write_text("ap_um,si_um,rl_um\n5000,4000,3000,7\n" + "1,2,3\n" * 1_000_000)
    command = [sys.executable, "-m", "atlasdb", "--home", str(full.home.folder), "lookup", ATLAS]
    for _ in range(3):
        done = subprocess.run(
            [*command, str(file)], capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 1
        assert done.stderr.startswith("error: ")
        assert done.stderr.count("\n") == 1
        assert "Expected 3 columns, got 4" in done.stderr


def test_rows_across_blocks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Quoted line ends, and blocks that end anywhere."""
    rows = [f'"a ""{n}""\nb",{n},2.5,3' for n in range(200)]
    file = tmp_path / "points.csv"
    file.write_text("note,ap_um,si_um,rl_um\r\n" + "\r\n".join(rows), newline="")
    for size in (7, 64, 1 << 20):
        monkeypatch.setattr("atlasdb.cells.text._BLOCK_BYTES", size)
        blocks = open_points(str(file)).blocks()
        found = pa.Table.from_batches(block.rows for block in blocks).to_pylist()
        assert [row["note"] for row in found] == [f'a "{n}"\nb' for n in range(200)]
        assert [row["ap_um"] for row in found] == list(range(200))
    file.write_text('note,ap_um,si_um,rl_um\n"open,1,2,3\n' + "x,1,2,3\n" * 100)
    monkeypatch.setattr("atlasdb.cells.text._BLOCK_BYTES", 64)
    monkeypatch.setenv("ATLASDB_LIMITS", "row_bytes=256")
    with pytest.raises(PointsError, match="over the limit of 256 .*; is a quote not closed"):
        list(open_points(str(file)).blocks())


@pytest.mark.parametrize("dtype", [">f8", "f2", "longdouble", ">i4", "u1", "i8"])
def test_arrays_of_every_type(shell: Shell, tmp_path: Path, dtype: str) -> None:
    np.save(tmp_path / "points.npy", np.array([[49, 41, 31], [1, 2, 3]], dtype, order="F"))
    found = json.loads(
        shell("lookup", ATLAS, str(tmp_path / "points.npy"), "--voxels", "--format", "json")
    )
    assert [row["acronym"] for row in found] == ["CP", None]


def test_names_with_line_ends_and_several_batches(
    full: atlasdb.Database, shell: Shell, tmp_path: Path
) -> None:
    points = np.tile([[4950.0, 4150.0, 3150.0]], (140_000, 1))
    columns = dict(zip(("ap_um", "si_um", "rl_um"), points.T, strict=True))
    pq.write_table(pa.table({"na\nme": np.arange(140_000), **columns}), tmp_path / "a.parquet")
    shell("lookup", ATLAS, str(tmp_path / "a.parquet"), "-o", str(tmp_path / "a.csv"))
    found = pa_csv.read_csv(
        tmp_path / "a.csv", parse_options=pa_csv.ParseOptions(newlines_in_values=True)
    )
    assert found["na\nme"].to_pylist() == list(range(140_000))


def test_a_format_that_a_file_does_not_name(shell: Shell, tmp_path: Path) -> None:
    np.save(tmp_path / "points.npy", np.zeros((2, 3)))
    printed = shell("lookup", ATLAS, str(tmp_path / "points.npy"), "-o", "out.tsv", status=2)
    assert "out.tsv does not say in which format: add --format csv" in printed
