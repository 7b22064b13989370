"""README is run: every block of SQL, Python and shell gives what it says."""

from __future__ import annotations

import ast
import re
import shlex
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

import atlasdb
from atlasdb.cli import run
from atlasdb.queries import bundled, parse_queries

PROJECT = Path(__file__).parents[1]
README = (PROJECT / "README.md").read_text("utf-8")
CELLS = (PROJECT / "docs" / "cells.md").read_text("utf-8")

FEW_CELLS = """cell_id,animal,ap_um,si_um,rl_um
007,m1,4950,4150,3150
008,m1,4960,4150,3150
009,m1,9350,2350,3050
010,m2,4950,4150,8250
011,m2,9350,2350,3050
012,m2,-150,0,0
"""


def blocks(language: str, text: str = README) -> list[str]:
    """Return a page's blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def test_the_four_ways_to_descendants_agree(full: atlasdb.Database) -> None:
    statements = [s for s in blocks("sql")[0].split(";") if s.strip()]
    assert len(statements) == 4
    answers = [sorted(full.sql(s)["acronym"].to_pylist()) for s in statements]
    assert all(answer == answers[0] for answer in answers)
    assert len(answers[0]) == 7


def test_the_query_on_cells(
    full: atlasdb.Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    columns = {"ap_um": [4700.0, 4700.0, -1.0], "si_um": [2000.0] * 3, "rl_um": [3500.0] * 3}
    pq.write_table(pa.table(columns), "cells.parquet")
    found = full.sql(blocks("sql")[1]).to_pylist()
    assert [row["cells"] for row in found] == [2, 1]
    assert [row["acronym"] for row in found][1] is None


def test_every_macro_is_in_the_readme() -> None:
    folder = bundled("queries") / "schema"
    for file in ("hierarchy", "levels", "coordinates"):
        for macro in parse_queries(file, (folder / f"{file}.sql").read_text("utf-8")):
            if macro.name not in {"is_number", "checked_depth", "run_at", "top_level_of"}:
                assert f"`{macro.name}" in README, macro.name


def test_the_shell_s_ten_seconds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The seconds that the ingest took are the only thing that may differ."""
    monkeypatch.setenv("ATLASDB_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    Path("cells.csv").write_text(FEW_CELLS)
    shown = "".join(b for b in blocks("console") if "$ atlasdb" in b.replace("&& atlasdb", ""))
    stations = re.findall(r"^\$ atlasdb (.*)\n((?:[^$].*\n)+)", shown, re.MULTILINE)
    assert len(stations) == 7
    for command, expected in stations:
        assert run(shlex.split(command)) == 0
        printed = capsys.readouterr().out
        assert re.sub(r"[\d.]+ s$", "", printed.strip()) == re.sub(
            r"[\d.]+ s$", "", expected.strip()
        )


def test_python_s_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each block ends with an expression, and a comment that shows its value."""
    monkeypatch.setenv("ATLASDB_HOME", str(tmp_path / "home"))
    python = [*blocks("python"), *blocks("python", CELLS)]
    assert len(python) == 7
    for block in python:
        code, _, shown = block.rstrip().rpartition("\n# ")
        *statements, last = ast.parse(code).body
        assert isinstance(last, ast.Expr)
        names: dict[str, object] = {}
        exec(compile(ast.Module(statements, []), "README", "exec"), names)  # noqa: S102 (ours)
        found = eval(compile(ast.Expression(last.value), "README", "eval"), names)  # noqa: S307 (ours)
        assert found == ast.literal_eval(shown)


def test_the_join_with_registered_cells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    db = atlasdb.connect(tmp_path / "home")
    db.ingest("phantom_mouse_100um")
    (tmp_path / "cells.csv").write_text(FEW_CELLS)
    db.add_cells("pilot", tmp_path / "cells.csv", "phantom_mouse_100um")
    (statement,) = blocks("sql", CELLS)
    found = {row["acronym"]: row["cells"] for row in db.sql(statement).to_pylist()}
    assert (found["root"], found["CNU"], found["CP"], found["VISp5"]) == (5, 3, 3, 2)


def test_the_pages_name_every_command_and_query_of_cells() -> None:
    from atlasdb.cli.cells_command import SUBCOMMANDS

    for name in SUBCOMMANDS:
        assert re.search(rf"`atlasdb cells {name}|`{name} NAME`|cells {name}", CELLS), name
    for query in parse_queries("cells", (bundled("queries") / "cells.sql").read_text("utf-8")):
        assert query.name == "cells_per_region" or f"`{query.name}`" in CELLS


def test_the_commands_for_a_fresh_machine_are_there() -> None:
    for command in ("pip install . && atlasdb demo", "pip install -e '.[test]' && pytest"):
        assert f"$ {command}\n" in README


GALLERY = (PROJECT / "docs" / "gallery.md").read_text("utf-8")


def test_the_gallery(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every command prints what the page says, and draws the picture that it shows, nearly."""
    monkeypatch.setenv("ATLASDB_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    made, shown = blocks("python", GALLERY)
    exec(compile(made, "gallery", "exec"), {})  # noqa: S102 (ours)
    stations = re.findall(
        r"^\$ (.*)\n((?:[^$].*\n)*)", "".join(blocks("console", GALLERY)), re.MULTILINE
    )
    for command, expected in stations:
        words = shlex.split(command)
        if words[0] == "echo":
            Path(words[-1]).write_text(words[1])
        elif words[0] == "atlasdb":
            assert run(words[1:]) == 0, command
            printed = capsys.readouterr().out
            if words[1] == "plot":
                assert printed == expected
    exec(compile(shown, "gallery", "exec"), {})  # noqa: S102 (ours)
    assert {"slice.pdf", "heatmap.svg"} <= {path.name for path in tmp_path.iterdir()}
    pictures = re.findall(r"^!\[.*\]\(gallery/(.*)\)$", GALLERY, re.MULTILINE)
    assert sorted(pictures) == sorted(p.name for p in (PROJECT / "docs" / "gallery").iterdir())
    for name in pictures:
        assert_alike(PROJECT / "docs" / "gallery" / name, tmp_path / name)


def assert_alike(reference: Path, found: Path) -> None:
    """Compare pictures with some tolerance: another FreeType draws letters a little differently."""
    images = []
    for path in (reference, found):
        with Image.open(path) as image:
            images.append(np.asarray(image.convert("RGB")).astype(int))
    assert images[0].shape == images[1].shape, reference.name
    difference = np.abs(images[0] - images[1]).max(axis=2)
    assert difference.mean() < 2, reference.name
    assert (difference > 64).mean() < 0.01, reference.name
