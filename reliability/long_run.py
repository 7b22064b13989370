"""Ten thousand mixed operations in one process: memory and descriptors stay flat.

Run it as ``python reliability/long_run.py [--operations N] [--warm-up N] [--seed N]``. A seeded
mixture of what people do (SQL, named queries, lookups, masks, sessions, meshes, counts, pictures,
commands, errors, and now and then an ingest, a removal, a table of cells) runs in one process. The
first operations, each once and then the mixture, are the warm-up: until everything is imported and
the allocators and DuckDB's buffers have their size. From there it prints a Markdown table of the
memory, the descriptors, the threads and the maps of files after each tenth, and the growth by a
straight line through all of them. It ends with status 1 if descriptors, threads or maps grew, or
memory by more than 1 MB (``--growth``, in kB) in a thousand operations.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import gc
import io
import os
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import operations
import psutil
import pyarrow as pa
from machine import machine
from operations import NAME, PHANTOM
from small import SmallAtlas, labels

import atlasdb
from atlasdb.cli import run
from atlasdb.plots import plot_slice

if TYPE_CHECKING:
    from collections.abc import Callable


class Mixture:
    """The operations, on one home."""

    def __init__(self, folder: Path, chance: random.Random) -> None:
        self.folder, self.chance = folder, chance
        for number in range(3):
            SmallAtlas(annotation=labels(number)).write(folder / str(number))
        SmallAtlas(version="1.1", annotation=labels(8)).write(folder)
        operations.cells(folder / "cells.parquet", 1)
        self.db = atlasdb.connect(folder / "home")
        self.db.ingest(PHANTOM)
        self.db.ingest(str(folder / "0" / f"{NAME}_v1.0"))
        self.db.add_cells("pilot", str(folder / "cells.parquet"), PHANTOM, unit="um")
        self.points = np.random.default_rng(1).uniform(0, 8000, (20_000, 3))
        self.atlas = self.db.atlas(PHANTOM)
        self.acronyms = list(self.atlas.lookup_df["acronym"])
        self.output = io.StringIO()  # one: click keeps every stream that it has written to

    def structure(self) -> str:
        """Return one by chance."""
        return str(self.chance.choice(self.acronyms))

    def sql(self) -> None:
        """Ask SQL."""
        self.db.sql(
            f"SELECT acronym, volume_mm3 FROM {PHANTOM}.region WHERE acronym = ?",
            [self.structure()],
        )

    def sql_at(self) -> None:
        """Ask for the structures at points, in SQL."""
        self.db.sql(
            f"SELECT acronym_at('{PHANTOM}', ap_um, si_um, rl_um) FROM cells.pilot LIMIT 100"
        )

    def named(self) -> None:
        """Ask a named query."""
        self.db.query("cells_per_structure", cells="pilot")

    def descendants(self) -> None:
        """Ask the hierarchy."""
        self.db.descendants(PHANTOM, self.structure())

    def opened(self) -> None:
        """Open an atlas anew and look points up."""
        self.db.voxels(PHANTOM).structure_ids_at(self.points, outside=0)

    def point(self) -> None:
        """Look one point up in an open atlas."""
        self.atlas.structure_from_coords((4950, 4150, 3150), microns=True, as_acronym=True)

    def mask(self) -> None:
        """Make a mask."""
        self.atlas.get_structure_mask(self.structure())

    def mesh(self) -> None:
        """Read a mesh."""
        self.db.atlas(NAME).mesh_from_structure(8)

    def session(self) -> None:
        """Ask by the ORM."""
        from sqlalchemy import select

        from atlasdb.models import Structure

        with self.db.session(atlas=PHANTOM) as session:
            found = select(Structure).where(Structure.acronym == self.structure())
            len(session.scalars(found).one().descendants)

    def count(self) -> None:
        """Count cells in a file."""
        self.db.count_cells(str(self.folder / "cells.parquet"), PHANTOM, unit="um")

    def command(self) -> None:
        """Run a command in this process."""
        words = self.chance.choice(
            (["list"], ["info", PHANTOM], ["lookup", PHANTOM, "5000", "4000", "3000"])
        )
        self.output.seek(0)
        with contextlib.redirect_stdout(self.output):
            run(["--home", str(self.db.home.folder), *words])

    def fails(self) -> None:
        """Make a mistake."""
        mistakes: tuple[Callable[[], object], ...] = (
            lambda: self.db.atlas("phantom_mause_100um"),
            lambda: self.db.descendants(PHANTOM, "nope"),
            lambda: self.db.sql("SELECT nope"),
            lambda: self.db.ingest(str(self.folder)),
            lambda: self.db.count_cells(str(self.folder / "none.csv"), PHANTOM),
        )
        with contextlib.suppress(atlasdb.AtlasDBError):
            self.chance.choice(mistakes)()

    def picture(self) -> None:
        """Draw a plane."""
        plot_slice(self.atlas, "frontal", at_um=5000.0).save(self.folder / "slice.png")

    def check(self) -> None:
        """Verify an atlas."""
        if any(not result.ok for result in self.db.check(NAME)):
            raise AssertionError("an atlas does not pass its check")

    def replace(self) -> None:
        """Replace an atlas."""
        number = self.chance.randrange(3)
        self.db.ingest(str(self.folder / str(number) / f"{NAME}_v1.0"), force=True)

    def come_and_go(self) -> None:
        """Ingest a version and remove it."""
        self.db.ingest(str(self.folder / f"{NAME}_v1.1"))
        self.db.remove(f"{NAME}@1.1")

    def cells(self) -> None:
        """Replace a table of cells."""
        table = str(self.folder / "cells.parquet")
        self.db.add_cells("pilot", table, PHANTOM, unit="um", force=True)

    def weights(self) -> dict[Callable[[], None], int]:
        """Return how often each operation comes."""
        return {
            self.sql: 200, self.sql_at: 50, self.named: 60, self.descendants: 100,
            self.opened: 120, self.point: 100, self.mask: 60, self.mesh: 50, self.session: 60,
            self.count: 50, self.command: 40, self.fails: 70, self.picture: 6, self.check: 6,
            self.replace: 10, self.come_and_go: 8, self.cells: 10,
        }  # fmt: skip


def measured() -> tuple[int, int, int, int]:
    """Return memory in bytes, descriptors, threads and maps of files."""
    gc.collect()
    pa.default_memory_pool().release_unused()
    with contextlib.suppress(OSError, AttributeError):  # what is free is nobody's
        ctypes.CDLL(None).malloc_trim(0)
    process = psutil.Process()
    maps = sum(1 for line in Path("/proc/self/maps").read_text().splitlines() if ".tiff" in line)
    return process.memory_info().rss, process.num_fds(), process.num_threads(), maps


def main() -> int:
    """Run them, print, and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--operations", type=int, default=10_000)
    parser.add_argument("--warm-up", type=int, default=5_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--growth", type=float, default=1000, help="kB in a thousand operations")
    given = parser.parse_args()
    os.environ.setdefault("MPLBACKEND", "Agg")
    chance = random.Random(given.seed)  # noqa: S311 (a mixture, no secrets)
    print("| operations | seconds | resident | descriptors | threads | maps of volumes |")
    print("|---|---|---|---|---|---|")
    done: Counter[str] = Counter()
    samples = []
    with tempfile.TemporaryDirectory() as temporary:
        mixture = Mixture(Path(temporary), chance)
        weights = mixture.weights()
        warm = chance.choices(list(weights), list(weights.values()), k=given.warm_up)
        for operation in [*weights, *warm]:
            operation()
        begin = time.monotonic()
        for number in range(given.operations + 1):
            if number % max(1, given.operations // 20) == 0:
                samples.append((number, *measured()))
            if number % max(1, given.operations // 10) == 0:
                _, memory, files, threads, maps = samples[-1]
                print(
                    f"| {number:,} | {time.monotonic() - begin:,.0f} | {memory / 1e6:,.1f} MB | "
                    f"{files} | {threads} | {maps} |",
                    flush=True,
                )
            (operation,) = chance.choices(list(weights), list(weights.values()))
            operation()
            done[operation.__name__] += 1
        home = mixture.db.home.folder
        left = operations.problems_of(home) + operations.litter_of(home)
    found = np.array(samples, dtype=float)
    slope = np.polyfit(found[:, 0], found[:, 1], 1)[0] * 1000
    grew = [
        name
        for name, n in (("descriptors", 2), ("threads", 3), ("maps", 4))
        if found[-1, n] > found[0, n]
    ]
    print(f"\nMemory grows by {slope / 1e3:,.0f} kB in a thousand operations.")
    print(", ".join(f"{name} {count:,}" for name, count in done.most_common()))
    for problem in left + [f"{name} grew" for name in grew]:
        print(f"* {problem}")
    print(f"After {given.warm_up:,} operations of warm-up. Seed {given.seed}; {machine()}")
    return bool(left or grew or slope > 1000 * given.growth)


if __name__ == "__main__":
    sys.exit(main())
