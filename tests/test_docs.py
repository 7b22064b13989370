"""README is run: every block of SQL, Python and shell gives what it says."""

from __future__ import annotations

import ast
import re
import shlex
from pathlib import Path

import pytest

import atlasdb
from atlasdb.cli import run

README = (Path(__file__).parents[1] / "README.md").read_text("utf-8")


def blocks(language: str) -> list[str]:
    """Return README's blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def test_the_three_ways_to_descendants_agree(full: atlasdb.Database) -> None:
    statements = [s for block in blocks("sql") for s in block.split(";") if s.strip()]
    assert len(statements) == 3
    answers = [sorted(full.sql(s)["acronym"].to_pylist()) for s in statements]
    assert answers[0] == answers[1] == answers[2]
    assert len(answers[0]) == 7


def test_the_shell_s_ten_seconds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The seconds that the ingest took are the only thing that may differ."""
    monkeypatch.setenv("ATLASDB_HOME", str(tmp_path / "home"))
    block = next(b for b in blocks("console") if "$ atlasdb ingest" in b)
    stations = re.findall(r"^\$ atlasdb (.*)\n((?:[^$].*\n)+)", block, re.MULTILINE)
    assert len(stations) == 2
    for command, expected in stations:
        assert run(shlex.split(command)) == 0
        printed = capsys.readouterr().out
        assert re.sub(r"[\d.]+ s$", "", printed.strip()) == re.sub(
            r"[\d.]+ s$", "", expected.strip()
        )


def test_python_s_ten_seconds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATLASDB_HOME", str(tmp_path / "home"))
    (block,) = blocks("python")
    code, _, shown = block.rstrip().rpartition("\n# ")
    *statements, last = ast.parse(code).body
    assert isinstance(last, ast.Expr)
    names: dict[str, object] = {}
    exec(compile(ast.Module(statements, []), "README", "exec"), names)  # noqa: S102 (ours)
    found = eval(compile(ast.Expression(last.value), "README", "eval"), names)  # noqa: S307 (ours)
    assert found == ast.literal_eval(shown)


def test_the_commands_for_a_fresh_machine_are_there() -> None:
    for command in ("pip install . && atlasdb demo", "pip install -e '.[test]' && pytest"):
        assert f"$ {command}\n" in README
