"""What changes a home: each operation with the home that it begins in, for crashes and faults.

The one idea: an operation is a function of a home that is deterministic but for names and times, so
that the state of the home before and after it is known, and any other state is a defect.
"""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import atlasdb
from atlasdb.database import blob_folders, reading_any_schema
from atlasdb.errors import AtlasDBError, QueryError
from atlasdb.migrate import downgrade

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from small import SmallAtlas, labels

if TYPE_CHECKING:
    from collections.abc import Callable

NAME = "small_rat_50um"
PHANTOM = "phantom_mouse_100um"
CELLS = 40_000

State = dict[str, Any]
"""What people can ask of a home: its atlases, their digests, its tables of cells."""


@dataclass(frozen=True)
class Operation:
    """Something that changes a home.

    Attributes
    ----------
    name
        What it is called.
    run
        Does it.
    done
        How the error begins that says it was done already; empty where doing it again succeeds.
    """

    name: str
    run: Callable[[atlasdb.Database, Path], object]
    done: str = ""


def cells(path: Path, seed: int) -> None:
    """Write a table of cells, some of them outside."""
    chance = np.random.default_rng(seed)
    table = {name: chance.uniform(-5, 205, CELLS) for name in ("ap_um", "si_um", "rl_um")}
    pq.write_table(pa.table(table), path)


def write_inputs(folder: Path) -> None:
    """Write what the operations take: packages, a mirror with an update, tables of cells."""
    (folder / "one").mkdir(parents=True)
    (folder / "other").mkdir()
    mirror = folder / "mirror"
    mirror.mkdir()
    SmallAtlas(version="1.0").write(folder / "one")
    SmallAtlas(version="1.0", annotation=labels(7)).write(folder / "other")
    later = SmallAtlas(version="1.1", annotation=labels(3)).archive(folder / "later")
    shutil.move(later, mirror / later.name)
    (mirror / "last_versions.conf").write_text(f"[atlases]\n{NAME} = 1.1\n")
    cells(folder / "cells.parquet", 1)
    cells(folder / "others.parquet", 2)


def write_home(home: Path, inputs: Path) -> None:
    """Make the home in which the operations begin."""
    db = atlasdb.connect(home)
    db.ingest("phantom_odd_mouse_100um", meshes=False)
    db.ingest(str(inputs / "one" / f"{NAME}_v1.0"))
    db.ingest(PHANTOM)
    db.add_cells("pilot", str(inputs / "cells.parquet"), f"{NAME}@1.0", unit="um")


def _update(db: atlasdb.Database, inputs: Path) -> None:
    (report,) = db.update(NAME, source=str(inputs / "mirror"))
    if report.status not in {"updated", "current"}:
        raise AtlasDBError(f"{report.status}: {report.detail}")


def _replace(db: atlasdb.Database, inputs: Path) -> None:
    db.ingest(str(inputs / "other" / f"{NAME}_v1.0"), force=True)


def _add(db: atlasdb.Database, inputs: Path) -> None:
    db.add_cells("more", str(inputs / "others.parquet"), NAME, unit="um")


def _replace_cells(db: atlasdb.Database, inputs: Path) -> None:
    db.add_cells("pilot", str(inputs / "others.parquet"), NAME, unit="um", force=True)


OPERATIONS = (
    Operation("ingest", lambda db, _: db.ingest("phantom_anisotropic_mouse_200um")),
    Operation(
        "ingest from an archive",
        lambda db, i: db.ingest(str(i / "mirror" / f"{NAME}_v1.1.tar.gz")),
    ),
    Operation("ingest --force", lambda db, _: db.ingest(PHANTOM, force=True)),
    Operation("ingest --force, other voxels", _replace),
    Operation("remove", lambda db, _: db.remove(PHANTOM), "no atlas "),
    Operation("update", _update),
    Operation("meshes left out", lambda db, _: db.fetch_meshes("phantom_odd_mouse_100um")),
    Operation("cells add", _add, "cells.more is there already"),
    Operation("cells add --force", _replace_cells),
    Operation("cells refresh", lambda db, _: db.refresh_cells("pilot")),
    Operation("cells remove", lambda db, _: db.remove_cells("pilot"), "no table "),
    Operation("db upgrade", lambda db, _: db.upgrade()),
    Operation("db relocate", lambda db, _: db.relocate()),
)


def prepare(operation: Operation, home: Path, inputs: Path) -> None:
    """Turn a copy of the first home into the one that an operation begins in."""
    db = atlasdb.connect(home)
    if operation.name == "db upgrade":
        downgrade(db.home, "0001")
    if operation.name == "cells refresh":
        _replace(db, inputs)


def state_of(home: Path) -> State:
    """Return what people can ask of a home, without names and times of ingests."""
    db = atlasdb.connect(home)
    if not db.home.has_database():
        return {}
    atlases = db.sql(
        "SELECT a.name, a.version, a.left_out, "
        "(SELECT list(v.kind || ' ' || v.sha256 ORDER BY v.kind) FROM main.volume AS v "
        " WHERE v.atlas_id = a.atlas_id) AS volumes, "
        "(SELECT count(*) FROM main.mesh AS m WHERE m.atlas_id = a.atlas_id) AS meshes, "
        "(SELECT count(*) FROM main.structure AS s WHERE s.atlas_id = a.atlas_id) AS structures "
        "FROM main.atlas AS a ORDER BY a.name, a.version"
    ).to_pylist()
    tables = db.cell_tables().select(["name", "atlas", "rows"]).to_pylist()
    counts = {t["name"]: _counted(db, t["name"]) for t in tables}
    return {"atlases": atlases, "tables": tables, "counts": counts}


def _counted(db: atlasdb.Database, table: str) -> object:
    """Return how many cells a table has and where, or why it says nothing."""
    try:
        return db.sql(f"SELECT count(*) AS n, sum(ap_um) AS s FROM {table}").to_pylist()
    except QueryError as error:
        return str(error)


def problems_of(home: Path) -> list[str]:
    """Return what `atlasdb check` finds in every atlas that a home lists."""
    db = atlasdb.connect(home)
    if not db.home.has_database():
        return []
    names = [f"{row['name']}@{row['version']}" for row in db.atlases().to_pylist()]
    return [
        f"{name}: {result.subject}: {result.problem}"
        for name in names
        for result in db.check(name)
        if not result.ok
    ]


def litter_of(home: Path) -> list[str]:
    """Return what lies in a home and belongs to nothing."""
    db = atlasdb.connect(home)
    named: frozenset[str] = frozenset()
    if db.home.has_database():
        with reading_any_schema(db.home) as connection:
            named = blob_folders(connection)
    found = {
        path.relative_to(home).as_posix()
        for pattern in ("volumes/*/*/*", "meshes/*/*/*", "cells/*/*")
        for path in home.glob(pattern)
    }
    expected = {".lock", "atlas.duckdb", *(path.partition("/")[0] for path in named)}
    return sorted(found - named) + sorted({path.name for path in home.iterdir()} - expected)
