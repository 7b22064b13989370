"""How fast points and masks are, beside the limit of memory, plain numpy, voxcell and BrainGlobe.

Run it as ``python benchmarks/bench_voxels.py ARCHIVE`` on allen_mouse_100um_v1.2.tar.gz; it needs
``pip install -e '.[bench]'``, 12 GB of disk and some minutes. It prints: ten million points at
25 µm, taking turns so that all meet the same machine, as rates and as ratios to two threads of
``np.take`` on indices that are there already; masks beside a copy of the rank volume; and one point
looked up by a new process in a volume of the size of 10 µm, (1320, 800, 1140).
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
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import voxcell
from bench_ingest import large_package

import atlasdb

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from atlasdb.voxels import AtlasVoxels

POINTS = 10_000_000
ONE_BY_ONE = 20_000
ROUNDS = 9
LARGE = "allen_mouse_25um"
HUGE = "allen_mouse_10um"

COLD = """
import atlasdb, sys
voxels = atlasdb.connect(sys.argv[1]).voxels(sys.argv[2])
assert voxels.acronyms_at([[5000, 4000, 3000]]).tolist() == ["CP"]
# ru_maxrss would begin with the parent's: the kernel keeps it across exec.
print(open("/proc/self/status").read().split("VmHWM:")[1].split()[0])
"""


def turns(ways: dict[str, Callable[[], Any]], rounds: int = ROUNDS) -> dict[str, float]:
    """Return the median seconds of each, all taking turns."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, work in ways.items():
            begin = time.perf_counter()
            work()
            seconds[name].append(time.perf_counter() - begin)
    return {name: statistics.median(taken) for name, taken in seconds.items()}


def plain(points: NDArray[Any], ranks: NDArray[Any], edge: float) -> NDArray[Any]:
    """Look points up as one would write it with numpy."""
    index = np.floor(points / edge)
    inside = ((index >= 0) & (index < ranks.shape)).all(axis=1)
    found = np.zeros(len(points), ranks.dtype)
    found[inside] = ranks[tuple(index[inside].astype(np.int64).T)]
    return found


def points(voxels: AtlasVoxels, package: Path) -> None:
    """Print points at 25 µm."""
    ranks = voxels.ranks
    flat = ranks.reshape(-1)
    edge = voxels.grid.resolution_um[0]
    chance = np.random.default_rng(1)
    within = chance.random((POINTS, 3)) * voxels.grid.extent_um
    around = (chance.random((POINTS, 3)) * 1.2 - 0.1) * voxels.grid.extent_um
    index = np.ravel_multi_index(tuple((within // edge).astype(np.int64).T), ranks.shape)
    halves = [slice(0, POINTS // 2), slice(POINTS // 2, POINTS)]
    out = np.empty(POINTS, ranks.dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of their imports
        from brainglobe_atlasapi.core import Atlas

        brainglobe = Atlas(package)
        brainglobe.structure_from_coords([0, 0, 0])
    theirs = voxcell.VoxelData(np.asarray(ranks), (edge, edge, edge))
    with ThreadPoolExecutor(2) as pool:
        ways: dict[str, Callable[[], Any]] = {
            "the limit: np.take on indices, 2 threads": lambda: list(
                pool.map(lambda part: np.take(flat, index[part], out=out[part]), halves)
            ),
            "ranks_at, float64, all inside": lambda: voxels.ranks_at(within),
            "structure_ids_at, float64, all inside": lambda: voxels.structure_ids_at(within),
            "structure_ids_at, cut at depth 5": lambda: voxels.structure_ids_at(within, depth=5),
            "lookup (all that is known), all inside": lambda: voxels.lookup(within),
            "ranks_at, 42 % outside": lambda: voxels.ranks_at(around, outside=0),
            "ranks_at, float32": lambda: voxels.ranks_at(single),
            "ranks_at, float64, Fortran order": lambda: voxels.ranks_at(fortran),
            "ranks_at, one thread": lambda: voxels.ranks_at(within, threads=1),
        }
        single, fortran = within.astype(np.float32), np.asfortranarray(within)
        taken = turns(ways)
        slow = turns(
            {
                "plain numpy, one thread": lambda: plain(within, ranks, edge),
                "voxcell 3.1 VoxelData.lookup": lambda: theirs.lookup(within),
            },
            3,
        )
    some = within[:ONE_BY_ONE]
    begin = time.perf_counter()
    one_by_one = [brainglobe.structure_from_coords(p, microns=True) for p in some]
    slow["brainglobe-atlasapi 2.3.1, point by point"] = (
        (time.perf_counter() - begin) * POINTS / ONE_BY_ONE
    )
    expected = flat[index]
    same = (
        np.array_equal(voxels.ranks_at(within), expected)
        and np.array_equal(theirs.lookup(within), expected)
        and np.array_equal(plain(within, ranks, edge), expected)
        and voxels.structure_ids_at(some).tolist() == [int(i) for i in one_by_one]
        and np.array_equal(voxels.ranks_at(around, outside=0), plain(around, ranks, edge))
    )
    if not same:
        raise SystemExit("the answers differ: a benchmark of a lie is none")
    limit = next(iter(taken.values()))
    print(f"{POINTS:,} points at 25 µm {ranks.shape}, median of {ROUNDS} turns:")
    for name, seconds in (taken | slow).items():
        rate = POINTS / seconds / 1e6
        part = limit / seconds
        print(f"  {name:<42} {seconds * 1e3:9.1f} ms {rate:8.2f} M/s {part:9.4f} of the limit")


def masks(voxels: AtlasVoxels) -> None:
    """Print masks beside a copy of the rank volume."""
    ranks = np.asarray(voxels.ranks)
    copied = np.empty_like(ranks)
    ways: dict[str, Callable[[], Any]] = {
        "a copy of the rank volume, new memory": ranks.copy,
        "the same into memory that is there": lambda: np.copyto(copied, ranks),
        "mask of root": lambda: voxels.mask("root"),
        "mask of CTX": lambda: voxels.mask("CTX"),
        "mask of VISp": lambda: voxels.mask("VISp"),
        "mask of VISp, left": lambda: voxels.mask("VISp", hemisphere="left"),
        "mask of VISp, VISl and CA1": lambda: voxels.mask(["VISp", "VISl", "CA1"]),
        "mask of CTX, 0 and 1 as uint32": lambda: voxels.mask("CTX", dtype=np.uint32),
        "id_mask of CTX (uint32)": lambda: voxels.id_mask("CTX"),
        "annotation cut at depth 5 (uint32)": lambda: voxels.annotation_cut(depth=5),
        "cropped_mask of CTX": lambda: voxels.cropped_mask("CTX"),
        "surface_voxels of CTX": lambda: voxels.surface_voxels("CTX"),
        "boundaries of the whole volume": voxels.boundaries,
    }
    taken = turns(ways, 5)
    copy = next(iter(taken.values()))
    print("masks at 25 µm, median of 5 turns:")
    for name, seconds in taken.items():
        print(f"  {name:<42} {seconds * 1e3:9.1f} ms {seconds / copy:8.2f} copies")
    every = voxels.structures.acronyms
    ask: dict[str, Callable[[], Any]] = {a: lambda a=a: voxels.mask(a) for a in every}  # type: ignore[misc]
    each = turns(ask, 3).values()
    print(
        f"  each of all {len(every)} structures, median of 3: from {min(each) / copy:.2f} to "
        f"{max(each) / copy:.2f} copies"
    )
    first = int(voxels.rank_table.ranks_of("CTX")[0])
    last = int(voxels.structures.hierarchy.last_rank[first - 1])
    annotation = voxels.volume("annotation")
    begin = time.perf_counter()
    found = np.isin(annotation, voxels.rank_table.ids[first : last + 1])
    taken["np.isin"] = time.perf_counter() - begin
    print(
        f"  {'np.isin of CTX on the label volume':<42} {taken['np.isin'] * 1e3:9.1f} ms "
        f"{taken['np.isin'] / copy:8.2f} copies"
    )
    if not np.array_equal(found, voxels.mask("CTX")):
        raise SystemExit("the masks differ: a benchmark of a lie is none")


def surroundings(voxels: AtlasVoxels) -> None:
    """Print neighbourhoods, distances and tracks."""
    chance = np.random.default_rng(2)
    inside = voxels.mask_voxels("root")
    some = voxels.grid.centres_um(inside[chance.integers(0, len(inside), 10_000)])
    track = [[5_000, 0, 3_000], [6_500, 7_000, 4_500]]
    ways: dict[str, Callable[[], Any]] = {
        "composition within 100 µm, 10,000 points": lambda: voxels.composition(some, 100),
        "composition within 500 µm, 100 points": lambda: voxels.composition(some[:100], 500),
        "distance to CTX's boundary, 10,000 points": lambda: voxels.distances_to_boundary(
            some, "CTX"
        ),
        "a track of 7.3 mm": lambda: voxels.track(track),
    }
    print("surroundings at 25 µm, median of 3 turns:")
    for name, seconds in turns(ways, 3).items():
        print(f"  {name:<42} {seconds * 1e3:9.1f} ms")


def cold(db: atlasdb.Database) -> None:
    """Print one point, asked by new processes of a volume of the size of 10 µm."""
    environment = os.environ | {"ATLASDB_HOME": str(db.home.folder)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    program = str(Path(sys.executable).parent / "atlasdb")
    in_python = [sys.executable, "-c", COLD, str(db.home.folder), HUGE]
    print(f"one point in {db.voxels(HUGE)!r}, a new process each time, median of 15:")
    seconds: dict[str, list[float]] = {}
    memory = ""
    for _ in range(15):
        for name, words in (
            ("python -c pass", [sys.executable, "-c", "pass"]),
            ("import numpy, duckdb", [sys.executable, "-c", "import numpy, duckdb"]),
            ("Python: connect, open, look up", in_python),
            ("atlasdb lookup", [program, "lookup", HUGE, "5000", "4000", "3000"]),
        ):
            begin = time.perf_counter()
            done = subprocess.run(
                words, env=environment, check=True, capture_output=True, text=True
            )
            seconds.setdefault(name, []).append(time.perf_counter() - begin)
            memory = done.stdout.strip() if words is in_python else memory
    for name, taken in seconds.items():
        print(f"  {name:<42} {statistics.median(taken):9.3f} s")
    print(f"  resident memory of the Python process       {int(memory) / 1024:8.0f} MB")


def main() -> None:
    """Run all and print tables."""
    archive = Path(sys.argv[1]).resolve()
    folder = Path(tempfile.mkdtemp(prefix="bench-"))
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, "
        f"numpy {np.__version__}"
    )
    try:
        db = atlasdb.connect(folder / "home")
        package = large_package(archive, folder)
        db.ingest(str(package))
        voxels = db.voxels(LARGE)
        points(voxels, package)
        masks(voxels)
        surroundings(voxels)
        shutil.rmtree(package)
        huge = large_package(archive, folder, times=10)
        db.ingest(str(huge))
        shutil.rmtree(huge)
        cold(db)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
