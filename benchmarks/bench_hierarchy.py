"""How fast the hierarchy and coordinates are asked in SQL, beside BrainGlobe and beside arrays.

Run it as ``python benchmarks/bench_hierarchy.py ARCHIVE`` on allen_mouse_100um_v1.2.tar.gz.
It prints: the descendants of root, CTX and VISp as a list of acronyms by raw SQL, the macro, the
view, SQLAlchemy Core, the ORM and brainglobe-atlasapi, taking turns so that all meet the same
machine; ten million points through ``label_points`` at 25 µm beside a gather from the array; a
million through the scalar macro; and commands from the shell.
"""

from __future__ import annotations

import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import numpy as np
import sqlalchemy
import tifffile
from bench_ingest import large_package
from sqlalchemy import select
from sqlalchemy.orm import aliased

import atlasdb
from atlasdb.models import Structure, StructureClosure
from atlasdb.sources.archive import ArchiveOrigin
from atlasdb.sources.base import NoProgress

if TYPE_CHECKING:
    from collections.abc import Callable

ROUNDS, CALLS = 10, 10
POINTS = 10_000_000
ATLAS, LARGE = "allen_mouse_100um", "allen_mouse_25um"

CLOSURE = f"""
SELECT d.acronym FROM {ATLAS}.structure AS a
JOIN {ATLAS}.closure AS c ON c.ancestor_id = a.structure_id AND c.distance > 0
JOIN {ATLAS}.structure AS d ON d.structure_id = c.descendant_id
WHERE a.acronym = ? ORDER BY d.rank
"""
RANKS = f"""
SELECT d.acronym FROM {ATLAS}.structure AS a
JOIN {ATLAS}.structure AS d ON d.rank BETWEEN a.rank + 1 AND a.last_rank
WHERE a.acronym = ? ORDER BY d.rank
"""
TABLE = """
SELECT d.acronym FROM main.structure AS a
JOIN main.structure AS d
    ON d.atlas_id = a.atlas_id AND d.rank BETWEEN a.rank + 1 AND a.last_rank
WHERE a.atlas_id = atlas_number AND a.acronym = ? ORDER BY d.rank
"""
MACRO = f"SELECT acronym FROM descendants('{ATLAS}', ?)"


def descendants(db: atlasdb.Database, package: Path) -> None:
    """Print the latencies of all ways to descendants, which must agree."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from brainglobe_atlasapi.core import Atlas

        brainglobe = Atlas(package)
    raw = duckdb.connect(str(db.home.database), read_only=True)
    (atlas_id,) = raw.execute(f"SELECT atlas_id('{ATLAS}')").fetchall()[0]
    with db.session(atlas=ATLAS) as session:
        core = session.connection()
        above, below = aliased(Structure.__table__), aliased(Structure.__table__)
        closure = StructureClosure.__table__
        statement = (
            select(below.c.acronym)
            .join(
                closure,
                (closure.c.atlas_id == below.c.atlas_id)
                & (closure.c.descendant_id == below.c.structure_id)
                & (closure.c.distance > 0),
            )
            .join(
                above,
                (above.c.atlas_id == closure.c.atlas_id)
                & (above.c.structure_id == closure.c.ancestor_id),
            )
            .where(above.c.atlas_id == atlas_id, below.c.atlas_id == atlas_id)
            .where(above.c.acronym == sqlalchemy.bindparam("acronym"))
            .order_by(below.c.rank)
        )
        by_rank = (
            select(below.c.acronym)
            .join(
                above,
                (above.c.atlas_id == below.c.atlas_id)
                & below.c.rank.between(above.c.rank + 1, above.c.last_rank),
            )
            .where(above.c.atlas_id == atlas_id)
            .where(above.c.acronym == sqlalchemy.bindparam("acronym"))
            .order_by(below.c.rank)
        )
        higher = aliased(Structure)

        def orm(acronym: str) -> list[str]:
            session.expunge_all()
            query = select(Structure).join(higher, Structure.descends_from(higher))
            found = session.scalars(
                query.where(higher.acronym == acronym).order_by(Structure.rank)
            ).all()
            return [structure.acronym for structure in found]

        def relationship(acronym: str) -> list[str]:
            session.expunge_all()
            return [s.acronym for s in session.structure(acronym).descendants]

        def rows(sql: str) -> Callable[[str], list[str]]:
            return lambda acronym: [row[0] for row in raw.execute(sql, [acronym]).fetchall()]

        ways: dict[str, Callable[[str], list[str]]] = {
            "raw SQL, table, ranks": rows(TABLE.replace("atlas_number", str(atlas_id))),
            "raw SQL, views, ranks": rows(RANKS),
            "raw SQL, views, closure": rows(CLOSURE),
            "raw SQL, macro descendants()": rows(MACRO),
            "SQLAlchemy Core, ranks": lambda acronym: list(
                core.execute(by_rank, {"acronym": acronym}).scalars()
            ),
            "SQLAlchemy Core, closure": lambda acronym: list(
                core.execute(statement, {"acronym": acronym}).scalars()
            ),
            "ORM, descends_from": orm,
            "ORM, .descendants": relationship,
            "db.descendants (opens the file)": lambda acronym: db.descendants(ATLAS, acronym)[
                "acronym"
            ].to_pylist(),
            "brainglobe-atlasapi 2.3.1": brainglobe.get_structure_descendants,
        }
        for acronym in ("root", "CTX", "VISp"):
            expected = sorted(brainglobe.get_structure_descendants(acronym))
            seconds: dict[str, list[float]] = {name: [] for name in ways}
            for _ in range(ROUNDS):
                for name, ask in ways.items():
                    if sorted(ask(acronym)) != expected:
                        raise SystemExit(f"{name} is wrong: a benchmark of a lie is none")
                    for _ in range(CALLS):
                        begin = time.perf_counter()
                        ask(acronym)
                        seconds[name].append(time.perf_counter() - begin)
            print(f"descendants of {acronym} ({len(expected)}), median of {ROUNDS * CALLS}:")
            theirs = statistics.median(seconds["brainglobe-atlasapi 2.3.1"])
            for name, taken in seconds.items():
                median = statistics.median(taken)
                print(
                    f"  {name:<34} {median * 1e3:7.2f} ms   {median / theirs:6.2f} of BrainGlobe's"
                )
    raw.close()


def best(connection: duckdb.DuckDBPyConnection, sql: str, rounds: int = 3) -> float:
    """Return the least seconds that a statement takes."""
    seconds = []
    for _ in range(rounds):
        begin = time.perf_counter()
        connection.execute(sql).fetchall()
        seconds.append(time.perf_counter() - begin)
    return min(seconds)


def points(db: atlasdb.Database, folder: Path) -> None:
    """Print points through SQL at 25 µm, beside a gather from the rank volume."""
    file = folder / "points.parquet"
    raw = duckdb.connect(str(db.home.database), read_only=True)
    raw.execute(
        "COPY (SELECT i AS cell, random() * 13600 - 200 AS ap_um, random() * 8400 - 200 AS si_um, "
        f"random() * 11800 - 200 AS rl_um FROM range({POINTS}) AS t (i)) TO '{file}'"
    )
    labelled = f"label_points('{file}', '{LARGE}')"
    count = best(
        raw, f"SELECT structure_id, hemisphere, status, count(*) FROM {labelled} GROUP BY ALL"
    )
    write = best(raw, f"COPY (FROM {labelled}) TO '{folder / 'labelled.parquet'}'")
    copy = best(raw, f"COPY (FROM '{file}') TO '{folder / 'copied.parquet'}'")
    (total, inside) = raw.execute(
        f"SELECT count(*), count(structure_id) FROM {labelled}"
    ).fetchall()[0]
    table = raw.execute(f"SELECT ap_um, si_um, rl_um FROM '{file}'").fetchnumpy()
    path = db.sql(f"SELECT path FROM {LARGE}.volume WHERE kind = 'ranks'").to_pylist()[0]["path"]
    ranks = tifffile.memmap(db.home.folder / path, mode="r")
    seconds = []
    for _ in range(3):
        begin = time.perf_counter()
        index = [np.floor(np.ma.getdata(table[axis]) / 25) for axis in ("ap_um", "si_um", "rl_um")]
        ok = np.logical_and.reduce(
            [(i >= 0) & (i < n) for i, n in zip(index, ranks.shape, strict=True)]
        )
        linear = np.ravel_multi_index([i[ok].astype(np.int32) for i in index], ranks.shape)
        gathered = ranks.reshape(-1)[linear]
        seconds.append(time.perf_counter() - begin)
    if (total, inside) != (POINTS, int(np.count_nonzero(gathered))):
        raise SystemExit("the labels are wrong: a benchmark of a lie is none")
    print(f"{POINTS:,} points of a Parquet file at 25 µm, best of 3:")
    for name, taken in (
        ("label_points, counted by structure", count),
        ("label_points, written to Parquet", write),
        ("the file merely copied by DuckDB", copy),
        ("gather from the rank volume, numpy", min(seconds)),
    ):
        print(f"  {name:<36} {taken:6.2f} s   {POINTS / taken / 1e6:6.1f} M points/s")
    scalar = best(
        raw,
        f"SELECT count(structure_id_at('{LARGE}', ap_um, si_um, rl_um)) "
        f"FROM (FROM '{file}' LIMIT 1000000)",
    )
    print(f"  structure_id_at, correlated, 1 M     {scalar:6.2f} s   {1 / scalar:6.1f} M points/s")
    one = statistics.median(
        best(raw, f"SELECT structure_id_at('{LARGE}', 5000, 4000, 3000 + {n})", 1)
        for n in range(ROUNDS)
    )
    print(f"  structure_id_at, one point, median   {one * 1e3:6.2f} ms")
    raw.close()


def commands(db: atlasdb.Database) -> None:
    """Print what commands take from the shell, interpreter included."""
    environment = os.environ | {"ATLASDB_HOME": str(db.home.folder)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    program = str(Path(sys.executable).parent / "atlasdb")
    for words in (
        ["tree", ATLAS],
        ["descendants", ATLAS, "CTX"],
        ["structures", ATLAS, "--search", "primary visual"],
        ["query", "largest_leaves", "-p", f"atlas={ATLAS}"],
    ):
        seconds = []
        for _ in range(5):
            begin = time.perf_counter()
            subprocess.run([program, *words], env=environment, check=True, capture_output=True)
            seconds.append(time.perf_counter() - begin)
        print(f"  atlasdb {' '.join(words):<55} {min(seconds):5.2f} s")


def main() -> None:
    """Run all and print a table."""
    archive = Path(sys.argv[1]).resolve()
    folder = Path(tempfile.mkdtemp(prefix="bench-"))
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, "
        f"duckdb {duckdb.__version__}, SQLAlchemy {sqlalchemy.__version__}"
    )
    try:
        db = atlasdb.connect(folder / "home")
        for source in ("phantom_mouse_100um", str(archive), str(large_package(archive, folder))):
            db.ingest(source)
        unpacked = folder / "unpacked"
        unpacked.mkdir()
        package = ArchiveOrigin(archive).open(unpacked, NoProgress())
        descendants(db, package.folder)
        points(db, folder)
        print("from the shell, best of 5:")
        commands(db)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
