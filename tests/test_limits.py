"""The limits of what strangers made: named in errors, raised by one variable."""

from __future__ import annotations

from pathlib import Path

import pytest

import atlasdb
from atlasdb.cli import run
from atlasdb.errors import AtlasDBError
from atlasdb.limits import Limits, current


def test_the_environment_raises_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    assert current() == Limits()
    monkeypatch.setenv("ATLASDB_LIMITS", "ratio=7, columns=9")
    assert current() == Limits(ratio=7, columns=9)
    monkeypatch.delenv("ATLASDB_LIMITS")
    assert current() == Limits()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ration=7", "no limit is called 'ration'; did you mean ratio"),
        ("ratio", "ratio is a whole number, not ''"),
        ("ratio=-1", "ratio is a whole number, not '-1'"),
        ("ratio=1e3", "ratio is a whole number, not '1e3'"),
        ("ratio=" + "9" * 99, "ratio is a whole number"),
    ],
)
def test_limits_that_are_none(monkeypatch: pytest.MonkeyPatch, text: str, message: str) -> None:
    monkeypatch.setenv("ATLASDB_LIMITS", text)
    with pytest.raises(AtlasDBError, match=message):
        current()


def test_the_command_line_raises_limits_for_one_command(
    db: atlasdb.Database,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    db.ingest("phantom_mouse_100um")
    cells = tmp_path / "cells.csv"
    cells.write_text("ap_um,si_um,rl_um,animal\n4950,4150,3150,m1\n")
    count = ["cells", "count", str(cells), "--atlas", "phantom_mouse_100um", "--nonzero"]
    words = ["--home", str(db.home.folder)]
    monkeypatch.setenv("ATLASDB_LIMITS", "columns=3")
    assert run([*words, *count]) == 1
    assert 'ATLASDB_LIMITS="columns=NUMBER"' in capsys.readouterr().err
    assert run([*words, "--limits", "columns=4", *count]) == 0
    assert "CP" in capsys.readouterr().out
    assert current().columns == 3, "as before the command"
    assert run([*words, "--limits", "columns=many", *count]) == 1
    assert capsys.readouterr().err.startswith("error: --limits or ATLASDB_LIMITS: columns is")
