"""Files that were made to harm: each is refused by name, or read in bounded memory."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from attacks import ATLAS, ATTACKS, SLOW, WAYS

import atlasdb
from atlasdb.cli import run


@pytest.mark.parametrize("way", WAYS)
def test_attacks(tmp_path: Path, way: str) -> None:
    """One process tries all that come by one way in, each in a child of its own."""
    home = tmp_path / "home"
    if way != "ingest":
        atlasdb.connect(home).ingest(ATLAS)
    script = Path(__file__).with_name("attacks.py")
    done = subprocess.run(
        [sys.executable, script, home, tmp_path, way], capture_output=True, text=True, check=True
    )
    outcomes = {said["name"]: said for said in map(json.loads, done.stdout.splitlines())}
    expected = [a for a in ATTACKS if a.way == way and a.name not in SLOW]
    assert list(outcomes) == [attack.name for attack in expected]
    wrong = [
        f"{attack.name}: {found['text']} ({found['peak_mb']:.0f} MB)"
        for attack in expected
        for found in [outcomes[attack.name]]
        if not re.search(attack.expected, found["text"], re.DOTALL)
        or found["text"].startswith(("KILLED", "TRACEBACK"))
        or found["peak_mb"] > attack.peak_mb
    ]
    assert not wrong, "\n".join(wrong)


def test_attacks_have_names_of_their_own() -> None:
    names = [attack.name for attack in ATTACKS]
    assert len(set(names)) == len(names)
    assert set(names) >= SLOW


def test_running_out_of_memory_is_said(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def exhausted(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr("atlasdb.cli.group.main", exhausted)
    assert run(["list"]) == 1
    assert capsys.readouterr().err == "error: there is not enough memory for this\n"
