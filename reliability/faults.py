"""Take away what atlasdb rests on, and read what it says: disk, permission, descriptors, files.

Run it as ``python reliability/faults.py [--sizes N]`` with the right to mount a tmpfs (as root, as
a rule; without it the disk's part is left out, and says so). It prints Markdown tables:

* a full disk: each operation in a home on a tmpfs that is full after N different amounts;
* a read-only disk: each operation, and each way to read;
* few file descriptors: each operation with 8, 12, … of them;
* files behind its back: each kind of file deleted, truncated, emptied or altered, or a folder
  instead; what ``atlasdb check`` says, and what the first use of the file says.

Demanded everywhere: an operation succeeds, or fails with one error of atlasdb's own that names what
is missing and leaves the home as it was, with nothing else in it; and it succeeds when the fault
has gone. A damaged file is found by ``check``; using it is an error or right, but for a file that
was altered without a change of its size.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np
import operations
import tifffile
from crashes import forked, in_child, looked_at
from machine import machine
from operations import NAME, OPERATIONS, Operation

import atlasdb
from atlasdb.errors import AtlasDBError

if TYPE_CHECKING:
    from collections.abc import Callable

BLOCK = 1 << 18
"""What DuckDB writes, and has a checksum of."""

DESCRIPTORS = (5, 6, 8, 10, 12, 14, 16, 20, 24, 28, 32, 48)

defects: list[str] = []


def attempt(operation: Operation, home: Path, inputs: Path) -> str:
    """Do an operation; return the error, empty if there is none."""
    try:
        operation.run(atlasdb.connect(home), inputs)
    except AtlasDBError as error:
        return str(error)
    return ""


def short(text: str, home: Path) -> str:
    """Return an error as it stands in a table."""
    words = text.replace(str(home), "HOME").replace("|", "\\|").splitlines()[0] if text else "-"
    return words if len(words) <= 120 else words[:117] + "…"


class Place:
    """Copies of the first home, and what each operation makes of them."""

    def __init__(self, folder: Path, names: list[str] | None) -> None:
        self.folder = folder
        self.operations = [o for o in OPERATIONS if not names or o.name in names]
        self.inputs = folder / "inputs"
        in_child(lambda: operations.write_inputs(self.inputs))
        in_child(lambda: operations.write_home(folder / "first", self.inputs))

    def first(self, operation: Operation, home: Path) -> None:
        """Make the home that an operation begins in."""
        shutil.rmtree(home, ignore_errors=True)
        shutil.copytree(self.folder / "first", home)
        in_child(lambda: operations.prepare(operation, home, self.inputs))

    def judge(
        self,
        operation: Operation,
        home: Path,
        before: object,
        fault: str,
        run: Callable[[], str],
        names: tuple[str, ...],
    ) -> str:
        """Run an operation under a fault, and demand that nothing came of it, or all."""
        status, error = forked(run)
        say = f"{operation.name}, {fault}: "
        if status:
            defects.append(f"{say}the process ended with status {status}")
            return "crashed"
        after = in_child(partial(looked_at, home))
        litter = in_child(partial(operations.litter_of, home))
        if error and after != before:
            defects.append(f"{say}failed and changed the home: {error}")
        if error and not any(name in error for name in names):
            defects.append(f"{say}the error does not name the fault: {error}")
        if litter:
            defects.append(f"{say}left {', '.join(litter)}")
        return str(error)


class Mounted:
    """A tmpfs of a size, while the block runs."""

    def __init__(self, folder: Path, size: int) -> None:
        self.folder, self.size = folder, size

    def __enter__(self) -> Self:
        self.folder.mkdir(exist_ok=True)
        words = ["mount", "-t", "tmpfs", "-o", f"size={self.size}", "none", str(self.folder)]
        subprocess.run(words, check=True, capture_output=True)
        return self

    def remount(self, options: str) -> None:
        """Change its size, or make it read-only."""
        subprocess.run(["mount", "-o", f"remount,{options}", str(self.folder)], check=True)

    def used(self) -> int:
        """Return how many bytes are in use."""
        return shutil.disk_usage(self.folder).used

    def __exit__(self, *_: object) -> None:
        subprocess.run(["umount", str(self.folder)], check=True)


def full_disk(place: Place, sizes: int) -> None:
    """Give each operation less and less room."""
    print("### A full disk\n")
    print("| operation | room that it needs | sizes tried | failed, home unchanged | says |")
    print("|---|---|---|---|---|")
    disk = place.folder / "disk"
    for operation in place.operations:
        with Mounted(disk, 1 << 30) as mounted:
            home = disk / "home"
            place.first(operation, home)
            before = in_child(partial(looked_at, home))
            said, failed, needed = "", 0, 0
            for step in range(sizes):
                room = step * step * (64 << 20) // (sizes * sizes)
                mounted.remount(f"size={mounted.used() + room + 4096 & ~4095}")
                error = place.judge(
                    operation,
                    home,
                    before,
                    f"{room:,} bytes free",
                    partial(attempt, operation, home, place.inputs),
                    ("No space left", "disk", "free"),
                )
                mounted.remount(f"size={1 << 30}")
                if not error:
                    needed = room
                    break
                failed, said = failed + 1, error
            else:
                error = in_child(partial(attempt, operation, home, place.inputs))
                if error:
                    defects.append(f"{operation.name}: with room again: {error}")
            print(
                f"| {operation.name} | < {needed / 1e6:.1f} MB | {failed + 1} | {failed} | "
                f"{short(said, home)} |",
                flush=True,
            )


def read_only(place: Place) -> None:
    """Mount the home read-only: writing is one error, reading goes on."""
    print("\n### A read-only home\n\n| operation | says |\n|---|---|")
    disk = place.folder / "disk"
    for operation in place.operations:
        with Mounted(disk, 1 << 30) as mounted:
            home = disk / "home"
            place.first(operation, home)
            mounted.remount("ro")
            before = in_child(partial(looked_at, home))
            error = place.judge(
                operation,
                home,
                before,
                "a read-only disk",
                partial(attempt, operation, home, place.inputs),
                ("Read-only file system", "read-only"),
            )
            if not error:
                defects.append(f"{operation.name} succeeded on a read-only disk")
            print(f"| {operation.name} | {short(error, home)} |", flush=True)
    with Mounted(disk, 1 << 30) as mounted:
        place.first(OPERATIONS[0], disk / "home")
        mounted.remount("ro")
        for what, use in USES.items():
            status, answer = forked(partial(used, use, disk / "home"))
            if status or answer[0] != "answers":
                defects.append(f"{what} on a read-only disk: {status}, {answer}")
            print(f"| {what} | {answer[0] if answer else 'crashes'} |", flush=True)


def descriptors(place: Place) -> None:
    """Allow few open files."""
    print("\n### Few file descriptors\n")
    print("| operation | fails with | succeeds with | says |\n|---|---|---|---|")

    def limited(count: int, work: Callable[[], str]) -> str:
        resource.setrlimit(resource.RLIMIT_NOFILE, (count, count))
        error = work()
        resource.setrlimit(resource.RLIMIT_NOFILE, (count, count))
        return error

    home = place.folder / "home"
    for operation in place.operations:
        place.first(operation, home)
        before = in_child(partial(looked_at, home))
        failed, said, enough = [], "", "more"
        for count in DESCRIPTORS:
            error = place.judge(
                operation,
                home,
                before,
                f"{count} descriptors",
                lambda: limited(count, lambda: attempt(operation, home, place.inputs)),  # noqa: B023
                ("Too many open files",),
            )
            if not error:
                enough = str(count)
                break
            failed.append(str(count))
            said = error
        print(
            f"| {operation.name} | {', '.join(failed)} | {enough} | {short(said, home)} |",
            flush=True,
        )


def _lookup(db: atlasdb.Database) -> object:
    points = np.random.default_rng(0).uniform(0, 200, (500, 3)) * (1, 0.3, 0.35)
    return int(db.voxels(f"{NAME}@1.0").structure_ids_at(points, outside=0).sum())


def _volume(kind: str) -> Callable[[atlasdb.Database], object]:
    def use(db: atlasdb.Database) -> object:
        atlas = db.atlas(f"{NAME}@1.0")
        volume = atlas.reference if kind == "reference" else atlas.mapped[kind]
        return int(np.asarray(volume).astype(np.int64).sum())

    return use


USES: dict[str, Callable[[atlasdb.Database], object]] = {
    "lookup": _lookup,
    "mask": lambda db: int(db.atlas(f"{NAME}@1.0").get_structure_mask(8).astype(bool).sum()),
    "annotation": _volume("annotation"),
    "reference": _volume("reference"),
    "mesh": lambda db: float(db.atlas(f"{NAME}@1.0").mesh_from_structure(8).points.sum()),
    "sql": lambda db: db.sql(f'SELECT count(*) AS n FROM "{NAME}@1.0".structure').to_pylist(),
    "cells": lambda db: db.sql(
        "SELECT count(*) AS n, sum(ap_um) AS s FROM cells.pilot"
    ).to_pylist(),
    "count": lambda db: db.query("cells_per_structure", cells="pilot").num_rows,
}
"""Ways to read a home."""

FILES = {
    "annotation.tiff": ("annotation", "volumes/small_rat_50um/1.0/*/annotation.tiff"),
    "annotation.ranks.tiff": ("lookup", "volumes/small_rat_50um/1.0/*/annotation.ranks.tiff"),
    "reference.tiff": ("reference", "volumes/small_rat_50um/1.0/*/reference.tiff"),
    "a mesh": ("mesh", "meshes/small_rat_50um/1.0/*/8.obj"),
    "a table of cells": ("cells", "cells/pilot/*/pilot.parquet"),
    "atlas.duckdb": ("sql", "atlas.duckdb"),
}


def _altered(path: Path) -> None:
    """Change a few bits of what the file is about, but not its size."""
    content = bytearray(path.read_bytes())
    if path.suffix == ".obj":
        content = content.replace(b"10", b"11", 1)
    elif path.suffix == ".tiff":
        with tifffile.TiffFile(path) as tiff:
            first = tiff.pages[0].dataoffsets[0]
        content[first + 20] ^= 0x01
    else:
        for place in range(20_000, len(content), BLOCK):
            content[place] ^= 0x01
    path.write_bytes(content)


def _folder_instead(path: Path) -> None:
    path.unlink()
    path.mkdir()


DAMAGE: dict[str, Callable[[Path], object]] = {
    "deleted": lambda path: path.unlink(),
    "emptied": lambda path: os.truncate(path, 0),
    "truncated": lambda path: os.truncate(path, path.stat().st_size * 2 // 3),
    "altered": _altered,
    "a folder instead": _folder_instead,
}


def used(use: Callable[[atlasdb.Database], object], home: Path) -> list[object]:
    """Return an answer, or the error."""
    try:
        return ["answers", use(atlasdb.connect(home))]
    except AtlasDBError as error:
        return ["says", str(error)]


def checked(home: Path) -> str:
    """Return what `atlasdb check` says first, empty if all is well."""
    try:
        results = atlasdb.connect(home).check(f"{NAME}@1.0")
    except AtlasDBError as error:
        return str(error)
    return next((f"{found.subject}: {found.problem}" for found in results if not found.ok), "")


def behind_its_back(place: Place) -> None:
    """Damage files, and see whether it is found and named."""
    print("\n### Files that were changed behind its back\n")
    print("| file | what happened | `atlasdb check` | its first use |\n|---|---|---|---|")
    home = place.folder / "home"
    for file, (use, pattern) in FILES.items():
        place.first(OPERATIONS[0], home)
        right = in_child(partial(used, USES[use], home))
        for what, damage in DAMAGE.items():
            place.first(OPERATIONS[0], home)
            (path,) = home.glob(pattern)
            damage(path)
            say = f"{file} {what}: "
            status, found = forked(partial(checked, home))
            if status or not found:
                defects.append(f"{say}check ended with {status} and found {found!r}")
            status, answer = forked(partial(used, USES[use], home))
            if status:
                defects.append(f"{say}use ended with status {status}")
                answer = ["says", "crashed"]
            wrong = answer[0] == "answers" and answer != right
            if wrong and what != "altered":
                defects.append(f"{say}another answer: {answer[1]} instead of {right[1]}")
            outcome = "the right answer" if answer == right else "another answer"
            said = outcome if answer[0] == "answers" else short(answer[1], home)
            print(f"| {file} | {what} | {short(found or '', home)} | {said} |", flush=True)


def may_mount(folder: Path) -> bool:
    """Whether this process may mount a small disk."""
    try:
        with Mounted(folder / "try", 1 << 20):
            return True
    except (OSError, subprocess.CalledProcessError):
        return False


def main() -> int:
    """Take things away, print, and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sizes", type=int, default=24, help="how full each disk may be, ways")
    parser.add_argument("--only", choices=["disk", "read-only", "descriptors", "files"])
    parser.add_argument("--operation", action="append", help="an operation; may be repeated")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        place = Place(Path(temporary), given.operation)
        mounts = may_mount(Path(temporary))
        if not mounts:
            print(
                "No disk can be mounted here: the parts of full and read-only disks are left out."
            )
        parts: dict[str, Callable[[], None]] = {
            "disk": lambda: full_disk(place, given.sizes) if mounts else None,
            "read-only": lambda: read_only(place) if mounts else None,
            "descriptors": lambda: descriptors(place),
            "files": lambda: behind_its_back(place),
        }
        for name, part in parts.items():
            if given.only in (None, name):
                part()
    print(f"\n{len(defects)} defects; {machine()}")
    for defect in defects:
        print(f"* {defect}")
    return bool(defects)


if __name__ == "__main__":
    sys.exit(main())
