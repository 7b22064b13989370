"""``atlasdb cells`` as a person uses it: files in, tables out, and one line for every mistake."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest
from conftest import DATA, tree_of
from oracles import Oracle, many_points
from test_cli import Shell
from test_counting import MICRONS, cells_of

import atlasdb
from atlasdb.cli.cells_command import SUBCOMMANDS

ATLAS = "small_rat_50um@1.2"


@pytest.fixture
def shell(home: atlasdb.Database, capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(home.home.folder, capsys)


@pytest.fixture
def cells(home: atlasdb.Database, tmp_path: Path) -> str:
    """A CSV file of 120 cells."""
    table = cells_of(many_points(Oracle(home, ATLAS), 120, 2))
    pa_csv.write_csv(table, tmp_path / "cells.csv")
    return str(tmp_path / "cells.csv")


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_counts_in_every_form(
    home: atlasdb.Database, shell: Shell, cells: str, tmp_path: Path
) -> None:
    wanted = home.count_cells(cells, ATLAS)
    words = ["cells", "count", cells, "--atlas", ATLAS]
    drawn = shell(*words).splitlines()
    assert drawn[0].split() == [
        "structure_id",
        "acronym",
        "name",
        "hemisphere",
        "status",
        "cells",
        "direct_cells",
        "atlas_volume_mm3",
        "density_per_atlas_mm3",
    ]
    assert drawn[-1] == f"({wanted.num_rows} rows, {ATLAS})"
    assert json.loads(shell(*words, "--format", "json")) == wanted.to_pylist()
    found = rows_of(shell(*words, "--format", "csv"))
    assert [row["cells"] for row in found] == [str(n) for n in wanted["cells"].to_pylist()]
    shell(*words, "-o", str(tmp_path / "counts.parquet"))
    assert pq.read_table(tmp_path / "counts.parquet").to_pylist() == wanted.to_pylist()
    some = rows_of(shell(*words, "--nonzero", "--format", "csv"))
    assert all(int(row["cells"]) for row in some)
    assert sum(int(row["direct_cells"]) for row in some) == 120
    values = json.loads(shell(*words, "--format", "heatmap", "-s", "grey", "-s", "12"))
    both = home.count_cells(cells, ATLAS, structures=["grey", "cm"], hemispheres="together")
    assert values == dict(zip(("grey", "cm"), both["cells"].to_pylist(), strict=False))
    by = [*words, "--by", "sample", "--together", "--depth", "1"]
    by_sample = json.loads(shell(*by, "--format", "heatmap"))
    assert set(by_sample) == {"m1", "m2", "07", ""}
    matrix = rows_of(shell(*by, "--matrix", "--format", "csv"))
    assert [row["sample"] for row in matrix] == ["", "07", "m1", "m2"]
    assert {row["sample"]: int(row["grey"]) for row in matrix} == {
        key: values["grey"] for key, values in by_sample.items()
    }
    summary = rows_of(shell(*words, "--brainmapper", "--format", "csv"))
    assert list(summary[0]) == [
        "structure_name",
        "left_cell_count",
        "right_cell_count",
        "total_cells",
        "left_volume_mm3",
        "right_volume_mm3",
        "total_volume_mm3",
        "left_cells_per_mm3",
        "right_cells_per_mm3",
    ]
    assert sum(int(row["total_cells"]) for row in summary) == 120


def test_what_was_understood_is_said(shell: Shell, cells: str, home: atlasdb.Database) -> None:
    from atlasdb.cli import run

    assert (
        run(["--home", str(shell.home), "cells", "count", cells, "--atlas", "small_rat_50um@1.2"])
        == 0
    )
    counts = home.annotate_cells(cells, ATLAS)["status"].to_pylist()
    told = shell._capsys.readouterr().err
    assert told.startswith("120 points: ")
    assert f"{counts.count('outside')} outside" in told
    assert told.endswith(
        "(small_rat_50um@1.2; ap_um, si_um, rl_um in µm from anterior, superior, right)\n"
    )


def test_several_columns_to_group_by(shell: Shell, cells: str) -> None:
    for words in (["--by", "sample,batch"], ["--by", "sample", "--by", "batch"]):
        found = rows_of(shell("cells", "count", cells, "--atlas", ATLAS, *words, "--format", "csv"))
        assert list(found[0])[:2] == ["sample", "batch"]
    table = pa_csv.read_csv(cells)
    odd = table.rename_columns(["number", "a,b", *table.column_names[2:]])
    pq.write_table(odd, Path(cells).with_suffix(".parquet"))
    words = [str(Path(cells).with_suffix(".parquet")), "--atlas", ATLAS, "--by", "a,b"]
    assert "a,b" in rows_of(shell("cells", "count", *words, "--format", "csv"))[0]


@pytest.mark.parametrize("ending", ["parquet", "csv", "json"])
def test_annotating_keeps_rows_and_columns(
    home: atlasdb.Database, shell: Shell, cells: str, tmp_path: Path, ending: str
) -> None:
    output = tmp_path / f"out.{ending}"
    words = ["cells", "annotate", cells, "--atlas", ATLAS, "--at-depth", "1", "--at-depth", "2"]
    shell(*words, "-o", str(output))
    wanted = home.annotate_cells(cells, ATLAS, depths=[1, 2])
    if ending == "parquet":
        assert pq.read_table(output).cast(wanted.schema).to_pandas().equals(wanted.to_pandas())
        return
    text = output.read_text()
    found: list[dict[str, Any]] = json.loads(text) if ending == "json" else rows_of(text)
    assert list(found[0]) == wanted.column_names
    for name in ("number", "acronym", "status", "acronym_depth_1", "structure_id_depth_2"):
        ours = [row[name] for row in found]
        theirs = wanted[name].to_pylist()
        if ending == "csv":
            theirs = ["" if value is None else str(value) for value in theirs]
        assert ours == theirs
    if ending == "csv":
        printed = shell(*words, "--format", "csv")
        assert printed == text
        assert printed == shell(*words), "CSV where stdout is no terminal"


def test_several_files_and_standard_input(
    home: atlasdb.Database, shell: Shell, cells: str, tmp_path: Path
) -> None:
    twice = tmp_path / "more.csv"
    twice.write_text(Path(cells).read_text())
    found = rows_of(shell("cells", "count", cells, str(twice), "--atlas", ATLAS, "--format", "csv"))
    assert sum(int(row["direct_cells"]) for row in found) == 240
    command = [sys.executable, "-m", "atlasdb", "--home", str(shell.home), "cells", "count", "-"]
    done = subprocess.run(
        [*command, "--atlas", ATLAS, "--format", "csv", "--by", "batch"],
        input=Path(cells).read_bytes(),
        capture_output=True,
        check=True,
    )
    found = rows_of(done.stdout.decode())
    assert sum(int(row["direct_cells"]) for row in found) == 120
    assert b"120 points" in done.stderr


def test_points_for_brainrender(home: atlasdb.Database, shell: Shell, tmp_path: Path) -> None:
    given = np.array([[0.03, 0.03, 0.04], [0.1, 0.02, 0.01], [np.nan, 0, 0], [9, 9, 9]])
    table = pa.table(dict(zip(("x", "y", "z"), given.T, strict=True)))
    pq.write_table(table, tmp_path / "cells.parquet")
    words = ["cells", "points", str(tmp_path / "cells.parquet"), "--atlas", ATLAS]
    words += ["--columns", "x", "y", "z", "--unit", "mm", "-o", str(tmp_path / "points.npy")]
    shell(*words)
    np.testing.assert_allclose(np.load(tmp_path / "points.npy"), given[[0, 1, 3]] * 1000)
    shell(*words, "--orientation", "asl")
    mirrored = given[[0, 1, 3]] * [1000, 1000, -1000] + [0, 0, 70]
    np.testing.assert_allclose(np.load(tmp_path / "points.npy"), mirrored)
    shell(*words, "-s", "root", "--hemisphere", "right")
    found = np.load(tmp_path / "points.npy")
    ids = home.voxels(ATLAS).structure_ids_at(found)
    assert len(found) == 0 or ((ids > 0).all() and (found[:, 2] < 30).all())
    assert "needs a file: add -o FILE" in shell(*words[:-2], status=2)


def test_tables_in_the_home(shell: Shell, db: atlasdb.Database, cells: str, tmp_path: Path) -> None:
    db.ingest("phantom_mouse_100um")
    shell = Shell(db.home.folder, shell._capsys)
    printed = shell("cells", "add", "pilot", cells, "--atlas", "phantom_mouse_100um", "--path")
    assert printed == "added cells.pilot: 120 cells in phantom_mouse_100um@1.0\n"
    assert "cells.pilot is there already; --force replaces it" in shell(
        "cells", "add", "pilot", cells, "--atlas", "phantom_mouse_100um", status=1
    )
    printed = shell("cells", "add", "pilot", cells, "--atlas", "phantom_mouse_100um", "--force")
    assert printed.startswith("replaced cells.pilot")
    (row,) = json.loads(shell("cells", "list", "--format", "json"))
    assert (row["name"], row["atlas"], row["rows"]) == (
        "cells.pilot",
        "phantom_mouse_100um@1.0",
        120,
    )
    (row,) = json.loads(shell("sql", "SELECT count(*) AS n FROM cells.pilot", "--format", "json"))
    assert row == {"n": 120}
    for name in ("cells_per_structure", "cell_densities", "top_structures"):
        assert shell("query", name, "-p", "cells=pilot")
    assert shell("query", "cells_per_sample", "-p", "cells=pilot", "-p", "by=sample")
    shell("query", "cells_of_structure", "-p", "cells=pilot", "-p", "structure=root")
    assert "annotated with phantom_mouse_100um@1.0" in shell(
        "remove", "phantom_mouse_100um", status=1
    )
    assert shell("cells", "refresh", "pilot").startswith("cells.pilot: 120 points")
    assert "tables of cells are read from" in shell("db", "relocate")
    assert "did you mean pilot?" in shell("cells", "remove", "pilto", status=1)
    assert shell("cells", "remove", "pilot") == "removed cells.pilot\n"
    assert "(0 rows)" in shell("cells", "list")
    assert Path(cells).exists(), "the file that it was read from stays"


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["count", "CELLS"], 2, "Missing option '--atlas'"),
        (["count", "--atlas", ATLAS], 2, "Missing argument 'FILE…'"),
        (["count", "CELLS", "--atlas", "nope"], 1, "no atlas nope in this home"),
        (["count", "none.csv", "--atlas", ATLAS], 1, "there is no file none.csv"),
        (["count", "CELLS", "--atlas", ATLAS, "--unit", "cm"], 2, "'cm' is not one of"),
        (["count", "CELLS", "--atlas", ATLAS, "--unit", "mm"], 1, "has the columns number, sample"),
        (
            ["count", "CELLS", "--atlas", ATLAS, "--orientation", "xyz"],
            1,
            "'xyz' is no orientation",
        ),
        (
            ["count", "CELLS", "--atlas", ATLAS, "--depth", "1", "--leaves"],
            2,
            "choose one of --dep",
        ),
        (["count", "CELLS", "--atlas", ATLAS, "--depth", "99"], 1, "no depth 99: this atlas has"),
        (
            ["count", "CELLS", "--atlas", ATLAS, "-s", "VISp"],
            1,
            "no structure VISp in small_rat_50um",
        ),
        (["count", "CELLS", "--atlas", ATLAS, "--by", "smaple"], 1, "no column smaple to group by"),
        (
            ["count", "CELLS", "--atlas", ATLAS, "--matrix", "--brainmapper"],
            2,
            "choose one of --mat",
        ),
        (["count", "CELLS", "--atlas", ATLAS, "--matrix", "--nonzero"], 2, "--nonzero is for"),
        (["count", "CELLS", "--atlas", ATLAS, "--value", "direct_cells"], 2, "--value is for"),
        (["count", "CELLS", "--atlas", ATLAS, "--brainmapper", "--leaves"], 2, "rows of its own"),
        (
            [
                "count",
                "CELLS",
                "--atlas",
                ATLAS,
                "--matrix",
                "--value",
                "density_per_registered_mm3",
            ],
            2,
            "needs --volumes",
        ),
        (
            ["count", "CELLS", "--atlas", ATLAS, "--volumes", "none.csv"],
            1,
            "none.csv cannot be read",
        ),
        (["count", "CELLS", "CELLS", "--atlas", ATLAS], 1, "would be read twice"),
        (["annotate", "CELLS", "--atlas", ATLAS, "-o", "CELLS"], 2, "is the table that is read"),
        (["annotate", "CELLS", "--atlas", ATLAS, "--at-depth", "9"], 1, "no depth 9"),
        (["annotate", "CELLS", "--atlas", ATLAS, "-o", "/nowhere/a.parquet"], 1, "cannot write"),
        (["annotate", "CELLS", "--atlas", ATLAS, "--scheduler", "x"], 2, "add -o FOLDER"),
        (["merge", "none.counts"], 1, "none.counts cannot be read"),
        (["conut"], 2, "no command 'conut'; did you mean count?"),
        (["add", "a b", "CELLS", "--atlas", ATLAS], 1, "'a b' can be no table"),
    ],
)
def test_mistakes(
    shell: Shell,
    cells: str,
    tmp_path: Path,
    words: list[str],
    status: int,
    message: str,
) -> None:
    before, inputs = tree_of(shell.home), tree_of(tmp_path)
    printed = shell("cells", *(cells if w == "CELLS" else w for w in words), status=status)
    assert message in printed
    if status == 1:
        assert printed.startswith("error: ")
        assert printed.count("\n") == 1
    assert tree_of(shell.home) == before
    assert tree_of(tmp_path) == inputs, "nothing half done"


def test_no_output_goes_into_the_home(shell: Shell, cells: str) -> None:
    for target in ("atlas.duckdb", "cells/x.parquet", "volumes/x.parquet"):
        words = ["cells", "annotate", cells, "--atlas", ATLAS, "--format", "parquet"]
        printed = shell(*words, "-o", str(shell.home / target), status=1)
        assert "is the database's own" in printed


def test_every_command_has_its_help(shell: Shell) -> None:
    listed = shell("cells", "--help")
    for name in SUBCOMMANDS:
        assert f"\n  {name} " in listed
        assert "Usage: atlasdb cells" in shell("cells", name, "--help")


def test_a_bar_with_rows_and_rate(shell: Shell, home: atlasdb.Database, tmp_path: Path) -> None:
    """On a terminal, while a large file is counted; nothing of it where stderr is a file."""
    points = np.tile(many_points(Oracle(home, ATLAS), 10_000, 2), (400, 1))
    pq.write_table(pa.table(dict(zip(MICRONS, points.T, strict=True))), tmp_path / "a.parquet")
    command = [sys.executable, "-m", "atlasdb", "--home", str(shell.home), "cells", "annotate"]
    command += [str(tmp_path / "a.parquet"), "--atlas", ATLAS, "-o", str(tmp_path / "b.parquet")]
    ours, theirs = pty.openpty()
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "120"}
    process = subprocess.Popen(command, stderr=theirs, stdout=subprocess.DEVNULL, env=environment)
    os.close(theirs)
    shown = b""
    while True:
        try:
            part = os.read(ours, 65_536)
        except OSError:
            break
        if not part:
            break
        shown += part
    os.close(ours)
    assert process.wait(60) == 0
    assert b"annotating" in shown
    assert b"/4,000,000 rows" in shown
    assert b"rows/s" in shown
    assert b"4,000,000 points" in shown


@pytest.mark.real
def test_the_real_tables(real: atlasdb.Database, capsys: pytest.CaptureFixture[str]) -> None:
    shell = Shell(real.home.folder, capsys)
    file = str(DATA / "cells" / "ibl_neurons_asl_um.csv")
    printed = shell("cells", "count", file, "--atlas", "allen_mouse_100um", status=1)
    assert "counts from the left" in printed
    assert "add --orientation asl" in printed
    words = ["--atlas", "allen_mouse_100um", "--orientation", "asl", "--depth", "3", "--together"]
    found = rows_of(shell("cells", "count", file, *words, "--format", "csv"))
    assert sum(int(row["cells"]) for row in found) == 112_005
    sampled = str(DATA / "cells" / "cells_by_sample_um.csv.gz")
    words = ["--atlas", "allen_mouse_100um", "--by", "animal", "--matrix", "--leaves"]
    found = rows_of(shell("cells", "count", sampled, *words, "--format", "csv"))
    assert sum(int(n) for row in found for k, n in row.items() if k != "animal") == 41_417
