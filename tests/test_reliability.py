"""Kills and faults: the scripts of ``reliability/``, briefly."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[1] / "reliability"


def run(script: str, *words: str) -> list[str]:
    """Run a script, which must find nothing, and return the rows of its tables."""
    done = subprocess.run(
        [sys.executable, str(SCRIPTS / script), *words],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return [line for line in done.stdout.splitlines() if line.startswith("| ")]


@pytest.mark.parametrize(
    "operations",
    [
        ("ingest", "ingest from an archive", "ingest --force"),
        ("remove", "update", "meshes left out"),
        ("ingest --force, other voxels", "cells add", "cells add --force"),
        ("cells refresh", "cells remove", "db upgrade", "db relocate"),
    ],
)
def test_kills_at_random_moments(operations: tuple[str, ...]) -> None:
    """The old home or the new one, whole; the next command sweeps; the same one succeeds."""
    only = [word for operation in operations for word in ("--only", operation)]
    rows = run("crashes.py", "--kills", "1", "--steps", "0", *only)
    assert [row.split(" | ")[2] for row in rows[1:]] == ["1"] * len(operations)


def test_a_mixture_leaves_no_descriptors_threads_or_maps() -> None:
    """Whether memory stays flat takes ten thousand operations, and is not asked here."""
    rows = run("long_run.py", "--warm-up", "0", "--operations", "60", "--growth", "inf")
    assert len(rows) == 1 + 11


def test_few_file_descriptors() -> None:
    words = [w for name in ("ingest", "cells add") for w in ("--operation", name)]
    rows = run("faults.py", "--only", "descriptors", *words)
    assert len(rows) == 1 + 2


def test_files_changed_behind_its_back() -> None:
    """`atlasdb check` finds each and names it; what is read of it is right or an error."""
    rows = run("faults.py", "--only", "files")
    assert len(rows) == 1 + 30
    wrong = {row.split(" | ")[0] for row in rows if "another answer" in row}
    assert wrong == {"| annotation.ranks.tiff", "| reference.tiff", "| a table of cells"}
    assert sum("altered" in row for row in rows if "another answer" in row) == len(wrong)
