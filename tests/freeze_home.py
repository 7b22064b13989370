"""Freeze a small home as the atlasdb at hand makes it: ``python tests/freeze_home.py FILE``.

A revision of the schema is frozen once, by the last commit that has it, into
``tests/homes/REVISION.tar.xz``; `test_frozen_homes` opens it with every later atlasdb. To freeze one
of an earlier commit, check that out elsewhere and put it first on the path::

    git worktree add /tmp/earlier COMMIT
    PYTHONPATH=/tmp/earlier python tests/freeze_home.py tests/homes/0004.tar.xz
"""

from __future__ import annotations

import io
import json
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
from small import SHAPE, SmallAtlas, labels, structure, structures

import atlasdb

POINTS = {
    name: np.random.default_rng(3 + axis).uniform(-10, size * r + 10, 60)
    for axis, (name, size, r) in enumerate(
        zip(("ap_um", "si_um", "rl_um"), SHAPE, (50.0, 20.0, 10.0), strict=True)
    )
}
"""The cells of the registered table."""


def atlases() -> list[SmallAtlas]:
    """Return what a frozen home holds."""
    strange = labels(5)
    strange[strange == 12] = 4_000_000_000
    sides = np.full(SHAPE, 2, np.uint8)
    sides[..., 3:] = 1
    sides[0, 0, 0] = 0
    return [
        SmallAtlas(version="1.9", annotation=labels(1)),
        SmallAtlas(version="1.10", annotation=strange),
        SmallAtlas(
            name="odd_rat",
            resolution_um=(33.3, 100.0, 0.5),
            annotation=labels(3),
            symmetric=False,
            structures=[*structures(), structure(15, "CM", [997, 13, 15])],
            volumes={"hemispheres": sides, "nissl": labels(4).astype(np.uint16)},
            additional_references=["nissl"],
        ),
    ]


def contents(database: Path) -> dict[str, dict[str, list[Any]]]:
    """Return every table's columns, in an order of their own."""
    with duckdb.connect(str(database), read_only=True) as connection:
        tables = connection.execute(
            "SELECT table_name FROM duckdb_tables() WHERE schema_name = 'main' ORDER BY 1"
        ).fetchall()
        found = {
            table: connection.execute(f"SELECT * FROM main.{table} ORDER BY ALL").to_arrow_table()
            for (table,) in tables
        }
    texts: dict[str, dict[str, list[Any]]] = json.loads(
        json.dumps({table: rows.to_pydict() for table, rows in found.items()}, default=str)
    )
    return texts


def main() -> None:
    """Make the home and pack it, with what its tables hold."""
    target = Path(sys.argv[1])
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        db = atlasdb.connect(folder / "home")
        for atlas in atlases():
            db.ingest(str(atlas.write(folder)))
        if hasattr(db, "add_cells"):
            db.add_cells("pilot", pa.table(POINTS), "small_rat_50um@1.9")
        answers = json.dumps(contents(folder / "home" / "atlas.duckdb")).encode()
        with tarfile.open(target, "w:xz", preset=9) as tar:
            tar.add(folder / "home", "home")
            entry = tarfile.TarInfo("contents.json")
            entry.size = len(answers)
            tar.addfile(entry, io.BytesIO(answers))


if __name__ == "__main__":
    main()
