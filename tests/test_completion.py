"""The Tab key: what bash is given for real, what zsh and fish are told."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import atlasdb
from atlasdb.cli import VARIABLE, run

BASH = """
PATH=$2:$PATH
source <(atlasdb completion bash)
COMP_LINE=$1 COMP_POINT=${#COMP_LINE}
compopt() { printf '(%s)\\n' "$2"; }
_atlasdb_completion atlasdb
printf '%s\\n' "${COMPREPLY[@]}"
"""
ATLAS = "phantom_mouse_100um"


@pytest.fixture
def here(
    full: atlasdb.Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> atlasdb.Database:
    """The home that commands use when none is named."""
    monkeypatch.setenv("ATLASDB_HOME", str(full.home.folder))
    return full


def in_bash(line: str, *more: str) -> list[str]:
    """Return what the shell would offer after `line`."""
    if shutil.which("bash") is None:
        pytest.skip("there is no bash here")
    folder = str(Path(sys.executable).parent)
    done = subprocess.run(
        ["bash", "--norc", "-c", BASH, "bash", line, folder, *more],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert not done.stderr
    return [word for word in done.stdout.split("\n") if word]


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("atlasdb inf", ["plain,info"]),
        ("atlasdb info phantom_m", [f"plain,{ATLAS}"]),
        (f"atlasdb info {ATLAS}@", ["plain,1.0"]),  # bash breaks words at @ and =
        (f"atlasdb ancestors {ATLAS} VISp2", ["plain,VISp2/3"]),
        (f"atlasdb ancestors {ATLAS} visp2", ["plain,VISp2/3"]),
        (f"atlasdb ancestors {ATLAS} fib", ["plain,'fiber tracts'"]),
        (f"atlasdb ancestors {ATLAS} 'fib", ["plain,fiber tracts"]),
        (f"atlasdb structures {ATLAS} --under STRd", ["plain,STRd"]),
        (f"atlasdb cells count cells.csv --atlas {ATLAS} -s STRd", ["plain,STRd"]),
        ("atlasdb cells count cells.csv --atlas phantom_m", [f"plain,{ATLAS}"]),
        ("atlasdb ingest phantom_o", ["plain,phantom_odd_mouse_100um"]),
        ("atlasdb ingest ./some", ["file,./some"]),
        ("atlasdb query largest", ["plain,largest_leaves"]),
        ("atlasdb query children -p s", ["plain,structure="]),
        ("atlasdb query children -p atlas=phantom_m", [f"plain,{ATLAS}"]),
        (f"atlasdb query children -p atlas={ATLAS} -p structure=VISp2", ["plain,VISp2/3"]),
        (f"atlasdb volume {ATLAS} ref", ["plain,reference"]),
        ("atlasdb completion f", ["plain,fish"]),
        ("atlasdb --home nowhere info phantom", []),
        (f"atlasdb ancestors {ATLAS} nothing_like_it", []),
        ("atlasdb ancestors unknown V", []),
    ],
)
def test_what_is_offered(
    here: atlasdb.Database,
    line: str,
    offered: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv(VARIABLE, "bash_complete")
    monkeypatch.setenv("COMP_LINE", line)
    monkeypatch.setenv("COMP_POINT", str(len(line)))
    with pytest.raises(SystemExit):
        run([])
    assert [word for word in capsys.readouterr().out.split("\n") if word] == offered


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        (f"atlasdb info {ATLAS}@", ["1.0"]),
        (f"atlasdb ancestors {ATLAS} fib", ["'fiber tracts'"]),
        ("atlasdb ingest ./some", ["(default)"]),
        ("atlasdb query children -p s", ["(nospace)", "structure="]),
    ],
)
def test_bash(here: atlasdb.Database, line: str, offered: list[str]) -> None:
    assert in_bash(line) == offered


def test_the_cursor_may_be_inside_the_line(here: atlasdb.Database) -> None:
    assert in_bash("atlasdb info phantom_m")[0] == ATLAS
    inside = BASH.replace("COMP_POINT=${#COMP_LINE}", "COMP_POINT=22")
    done = subprocess.run(
        ["bash", "--norc", "-c", inside, "bash", "atlasdb info phantom_m --format csv",
         str(Path(sys.executable).parent)],
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    assert done.stdout.split() == [ATLAS]


def test_tables_of_cells(here: atlasdb.Database) -> None:
    assert in_bash("atlasdb cells remove ") == [
        name.removeprefix("cells.") for name in here.cell_tables()["name"].to_pylist()
    ]


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_are_told_what_words_mean(
    shell: str,
    here: atlasdb.Database,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["completion", shell]) == 0
    assert f"{VARIABLE}={shell}_complete" in capsys.readouterr().out
    monkeypatch.setenv(VARIABLE, f"{shell}_complete")
    begun = "VISp2" if shell == "fish" else "4"
    monkeypatch.setenv("COMP_WORDS", f"atlasdb ancestors {ATLAS} VISp2")
    monkeypatch.setenv("COMP_CWORD", begun if shell == "fish" else "3")
    with pytest.raises(SystemExit):
        run([])
    printed = capsys.readouterr().out
    assert "VISp2/3" in printed
    assert "layer 2/3" in printed
    assert os.environ["COMP_WORDS"]


def test_another_shell_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["completion", "tcsh"]) == 2
    assert "'bash', 'zsh', 'fish'" in capsys.readouterr().err
