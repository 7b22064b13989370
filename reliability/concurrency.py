"""Read while others write: what readers see, and who waits for whom.

Run it as ``python reliability/concurrency.py [--seconds N]``. Readers (SQL, sessions, lookups in
mapped volumes, the command line) ask without pause, in processes of their own, first alone and then
while two writers replace, ingest and remove atlases and tables of cells. Each answer must be one
of a whole version of the atlas. Then writers alone and beside readers that keep connections,
sessions and volumes open; many readers of a home on a read-only disk; and a writer that waits for
another. It prints Markdown, and ends with status 1 if anything was refused, mixed up or late.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import operations
from crashes import in_child
from faults import Mounted, may_mount
from machine import machine
from operations import NAME, PHANTOM
from small import SmallAtlas, labels

import atlasdb
from atlasdb.database import reading, writing
from atlasdb.errors import HomeBusyError

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.queues import Queue

POINTS = np.random.default_rng(4).uniform(0, 1, (1000, 3)) * (200, 60, 70)
VERSIONS = 3
"""How many different atlases take turns under one name."""

defects: list[str] = []


def write_sources(folder: Path) -> None:
    """Write the atlases that take turns, and the home."""
    for number in range(VERSIONS):
        SmallAtlas(annotation=labels(number)).write(folder / str(number))
    SmallAtlas(version="1.1", annotation=labels(8)).write(folder)
    operations.cells(folder / "cells.parquet", 1)
    db = atlasdb.connect(folder / "home")
    db.ingest(package(folder, 0))
    db.ingest(PHANTOM)
    db.add_cells("pilot", str(folder / "cells.parquet"), PHANTOM, unit="um")


def package(folder: Path, number: int) -> str:
    """Return the package of one of the atlases that take turns."""
    return str(folder / str(number) / f"{NAME}_v1.0")


def by_sql(db: atlasdb.Database) -> str:
    """Ask three tables in one statement, and a table of cells."""
    (row,) = db.sql(
        f'SELECT (SELECT list(voxels ORDER BY value) FROM "{NAME}@1.0".label) AS labels, '
        f'(SELECT voxels FROM "{NAME}@1.0".extent WHERE structure_id = 997 '
        "AND hemisphere = 'both') AS whole, (SELECT count(*) FROM cells.pilot) AS cells"
    ).to_pylist()
    if sum(row["labels"]) != row["whole"] or row["cells"] != operations.CELLS:
        raise AssertionError(f"two states in one: {row}")
    return str(row["labels"])


def by_session(db: atlasdb.Database) -> str:
    """Ask twice in one session, which keeps one state."""
    from sqlalchemy import select

    from atlasdb.models import Label

    with db.session(atlas=f"{NAME}@1.0") as session:
        first = session.scalars(select(Label.voxels).order_by(Label.value)).all()
        again = session.scalars(select(Label.voxels).order_by(Label.value)).all()
    if first != again:
        raise AssertionError(f"two states in one session: {first}, {again}")
    return str(list(first))


def by_lookup(db: atlasdb.Database) -> str:
    """Look points up in a mapped volume, twice, in what was opened once."""
    voxels = db.voxels(f"{NAME}@1.0")
    first = voxels.structure_ids_at(POINTS, outside=0)
    if not np.array_equal(voxels.structure_ids_at(POINTS, outside=0), first):
        raise AssertionError("an opened volume changed")
    return str(int(first.astype(np.uint64).sum()))


def by_command(db: atlasdb.Database) -> str:
    """Run the command line in a process of its own."""
    points = ["75", "30", "35", "--format", "csv"]
    words = ["--home", str(db.home.folder), "lookup", f"{NAME}@1.0", *points]
    found = subprocess.run(
        [sys.executable, "-m", "atlasdb", *words], capture_output=True, text=True, check=False
    )
    if found.returncode:
        raise AssertionError(found.stderr)
    return found.stdout


READERS: dict[str, Callable[[atlasdb.Database], str]] = {
    "SQL": by_sql,
    "session": by_session,
    "lookup": by_lookup,
    "command line": by_command,
}


def read(home: Path, how: str, seconds: float, answers: Queue[Any]) -> None:
    """Ask without pause, and tell how long each answer took and what it was."""
    db = atlasdb.connect(home)
    seen: dict[str, int] = {}
    times, errors = [], []
    READERS[how](db)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        begin = time.monotonic()
        try:
            answer = READERS[how](db)
            seen[answer] = seen.get(answer, 0) + 1
        except Exception as error:  # noqa: BLE001 (whatever it is, it is a defect)
            errors.append(f"{type(error).__name__}: {error}")
        times.append(time.monotonic() - begin)
    answers.put((how, times, seen, errors))


def write(home: Path, folder: Path, kind: str, seconds: float, answers: Queue[Any]) -> None:
    """Write without pause, and tell how long each operation took."""
    db = atlasdb.connect(home)
    times, errors = [], []
    end = time.monotonic() + seconds
    number = 0
    while time.monotonic() < end or number % 4:  # a whole round: the next writer begins as this one
        number += 1
        begin = time.monotonic()
        try:
            if kind == "replaces":
                db.ingest(package(folder, number % VERSIONS), force=True)
            elif number % 4 == 1:
                db.ingest(str(folder / f"{NAME}_v1.1"))
            elif number % 4 == 2:
                db.remove(f"{NAME}@1.1")
            elif number % 4 == 3:
                db.add_cells("more", str(folder / "cells.parquet"), PHANTOM, unit="um")
            else:
                db.remove_cells("more")
        except Exception as error:  # noqa: BLE001 (whatever it is, it is a defect)
            errors.append(f"{type(error).__name__}: {error}")
        times.append(time.monotonic() - begin)
    answers.put((kind, times, {}, errors))


def expected(folder: Path) -> dict[str, set[str]]:
    """Return what each reader may answer: what it answers of each version alone."""
    found: dict[str, set[str]] = {how: set() for how in READERS}
    db = atlasdb.connect(folder / "home")
    for number in (*range(1, VERSIONS), 0):
        db.ingest(package(folder, number), force=True)
        for how, ask in READERS.items():
            found[how].add(ask(db))
    return found


def together(
    folder: Path, seconds: float, readers: list[str], writers: list[str]
) -> dict[str, tuple[list[float], dict[str, int]]]:
    """Run readers and writers at the same time."""
    context = multiprocessing.get_context("spawn")
    answers: Queue[Any] = context.Queue()
    home = folder / "home"
    work = [context.Process(target=read, args=(home, how, seconds, answers)) for how in readers]
    work += [
        context.Process(target=write, args=(home, folder, kind, seconds, answers))
        for kind in writers
    ]
    for process in work:
        process.start()
    found = {}
    for _ in work:
        who, times, seen, errors = answers.get(timeout=seconds + 300)
        found[who] = (times, seen)
        defects.extend(f"{who}: {error}" for error in errors)
    for process in work:
        process.join()
    return found


def milliseconds(times: list[float]) -> str:
    """Return a median, what 99 of 100 stay under, and the longest."""
    times = sorted(times)
    last = times[min(len(times) - 1, int(0.99 * len(times)))]
    return f"{1e3 * statistics.median(times):.0f} / {1e3 * last:.0f} / {1e3 * times[-1]:.0f}"


def readers_and_writers(folder: Path, seconds: float) -> None:
    """Compare readers alone with readers beside two writers."""
    allowed = in_child(lambda: {how: sorted(seen) for how, seen in expected(folder).items()})
    alone: dict[str, tuple[list[float], dict[str, int]]] = {}
    beside: dict[str, tuple[list[float], dict[str, int]]] = {}
    writes: dict[str, list[float]] = {"replaces": [], "adds and removes": []}
    for how in READERS:  # one by one, since there are but two processors
        alone |= together(folder, seconds, [how], [])
        found = together(folder, seconds, [how], list(writes))
        for kind in writes:
            writes[kind] += found.pop(kind)[0]
        beside |= found
    print("### Readers while two writers write\n")
    print(
        "Milliseconds are the median / the 99th percentile / the longest. Three processes share "
        f"{os.cpu_count()} processors.\n"
    )
    print("| reader | alone: ms | beside two writers: ms | answers | versions seen | defects |")
    print("|---|---|---|---|---|---|")
    for how, (times, seen) in beside.items():
        wrong = [answer for answer in seen if answer not in allowed[how]]
        defects.extend(f"{how} saw what no version is: {answer:.80}" for answer in wrong)
        mine = sum(defect.startswith(how) for defect in defects)
        print(
            f"| {how} | {milliseconds(alone[how][0])} | {milliseconds(times)} | {len(times):,} | "
            f"{len(seen)} of {len(allowed[how])} | {mine} |"
        )
    for kind, times in writes.items():
        print(f"| (the writer that {kind}) | | {milliseconds(times)} | {len(times):,} | | |")


def idle_readers(folder: Path, rounds: int) -> None:
    """Time a writer alone, and beside readers that hold everything open."""
    db = atlasdb.connect(folder / "home")

    def timed() -> list[float]:
        times = []
        for number in range(rounds):
            begin = time.monotonic()
            db.ingest(package(folder, number % VERSIONS), force=True)
            times.append(time.monotonic() - begin)
        return times

    timed()
    alone = timed()
    with reading(db.home) as held, db.session(atlas=f"{NAME}@1.0") as session:
        before = held.execute("SELECT count(*) FROM structure").fetchall()
        session.connection()
        voxels = db.voxels(f"{NAME}@1.0")
        first = voxels.structure_ids_at(POINTS, outside=0)
        beside = timed()
        if held.execute("SELECT count(*) FROM structure").fetchall() != before:
            defects.append("an open connection changed")
        if not np.array_equal(voxels.structure_ids_at(POINTS, outside=0), first):
            defects.append("an open volume changed")
    ratio = statistics.median(beside) / statistics.median(alone)
    print("\n### A writer beside readers that keep a connection, a session and a volume open\n")
    print("| writer alone: ms | beside them: ms | ratio of the medians |\n|---|---|---|")
    print(f"| {milliseconds(alone)} | {milliseconds(beside)} | {ratio:.2f} |")


def on_a_read_only_disk(folder: Path, count: int) -> None:
    """Let many processes read a home that nobody can write."""
    print(f"\n### {count} processes read a home on a read-only disk\n")
    if not may_mount(folder):
        print("No disk can be mounted here.")
        return
    disk = folder / "disk"
    with Mounted(disk, 1 << 28) as mounted:
        shutil.copytree(folder / "home", disk / "home")
        mounted.remount("ro")
        script = (
            "import sys, json; sys.path.insert(0, sys.argv[1]); import concurrency as c, atlasdb; "
            "db = atlasdb.connect(sys.argv[2]); "
            "print(json.dumps([c.READERS[h](db) for h in ('SQL', 'session', 'lookup')]))"
        )
        words = [sys.executable, "-c", script, str(Path(__file__).parent), str(disk / "home")]
        running = [
            subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            for _ in range(count)
        ]
        done = [process.communicate() for process in running]
    answers = {output for output, _ in done}
    failed = [
        errors for process, (_, errors) in zip(running, done, strict=True) if process.returncode
    ]
    defects.extend(f"on a read-only disk: {errors[-200:]}" for errors in failed)
    if len(answers) != 1:
        defects.append(f"{len(answers)} different answers on a read-only disk")
    same = "the same" if len(answers) == 1 and json.loads(answers.pop()) else "different"
    print(f"{count - len(failed)} answered by SQL, session and lookup, {same} answers.")


def waiting(folder: Path) -> None:
    """Let a writer wait for one that does not end."""
    db = atlasdb.connect(folder / "home")
    print("\n### A writer that waits for another\n")
    with db.home.locked():
        begin = time.monotonic()
        try:
            with writing(db.home, timeout_s=2):
                defects.append("two writers at the same time")
        except HomeBusyError as error:
            took = time.monotonic() - begin
            said = str(error).replace(str(folder), "…").replace(str(os.getpid()), "PID")
            print(f"With a bound of 2 s (60 s by default) it gave up after {took:.1f} s: “{said}”")
            if str(os.getpid()) not in str(error) or took > 3:
                defects.append(f"waited {took} s: {error}")
        db.atlases()  # a reader does not even wait


def main() -> int:
    """Read and write, print, and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=20, help="of each kind of reader")
    parser.add_argument("--processes", type=int, default=16, help="on a read-only disk")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        in_child(lambda: write_sources(folder))
        readers_and_writers(folder, given.seconds)
        idle_readers(folder, 15)
        on_a_read_only_disk(folder, given.processes)
        waiting(folder)
        problems = operations.problems_of(folder / "home") + operations.litter_of(folder / "home")
        defects.extend(f"in the end: {problem}" for problem in problems)
    print(f"\n{len(defects)} defects; {machine()}")
    for defect in defects[:50]:
        print(f"* {defect}")
    return bool(defects)


if __name__ == "__main__":
    sys.exit(main())
