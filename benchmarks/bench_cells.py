"""How fast cells are counted and annotated, beside SQL, BrainGlobe, pandas and merely decoding.

Run it as ``python benchmarks/bench_cells.py ARCHIVE [MILLIONS …]`` on
allen_mouse_100um_v1.2.tar.gz; it needs ``pip install -e '.[bench]'``, 10 GB of disk and some
minutes. It makes tables of 10 and of 100 million points (or as many as are named), to a hundredth
of a micron, as `pyarrow` and pandas write them by default; and one of 10 million points to the last
bit, which no compression makes smaller, so that decoding is a copy. Each is counted and annotated
at 25 µm: every way in a process of its own, whose peak memory (file pages that it maps included) is
read from the kernel. The limit is the time that two threads take to decode the three columns.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from bench_ingest import large_package

import atlasdb

LARGE = "allen_mouse_25um"
ROUNDS = 3
ONE_BY_ONE = 100_000
EXTENT_UM = (13_200.0, 8_000.0, 11_400.0)

WAYS = {
    "decode, two threads": """
import itertools, pyarrow.parquet as pq
from concurrent.futures import ThreadPoolExecutor
numbers, groups = itertools.count(), pq.ParquetFile(file).num_row_groups
def work(_):
    opened, rows = pq.ParquetFile(file, buffer_size=1 << 20), 0
    while (group := next(numbers)) < groups:
        for batch in opened.iter_batches(1 << 17, row_groups=[group], use_threads=False):
            rows += batch.num_rows
    return rows
def run():
    global numbers
    numbers = itertools.count()
    with ThreadPoolExecutor(2) as pool:
        return sum(pool.map(work, range(2)))
""",
    "count": """
import pyarrow.compute as pc
def run():
    return pc.sum(db.count_cells(file, atlas)["direct_cells"]).as_py()
""",
    "annotate to Parquet": """
def run():
    return sum(db.annotate_cells(file, atlas, output=output).values())
""",
    "SQL macro label_points, grouped": """
def run():
    rows = db.sql(
        "SELECT sum(cells) FROM (SELECT structure_id, hemisphere, status, count(*) AS cells "
        f"FROM label_points('{file}', '{atlas}') GROUP BY ALL)"
    )
    return int(rows.column(0)[0].as_py())
""",
    "pandas: read, index the array, merge, group": """
import numpy as np, pandas as pd
def run():
    voxels = db.voxels(atlas)
    annotation = voxels.array("annotation")
    cells = pd.read_parquet(file)
    index = np.floor(cells.to_numpy() / voxels.grid.resolution_um).astype(int)
    cells["structure_id"] = annotation[tuple(index.T)].astype(np.int64)
    cells["hemisphere"] = np.where(index[:, 2] < annotation.shape[2] // 2, "right", "left")
    structures = db.sql(f"FROM {atlas}.structure").to_pandas()[["structure_id", "acronym"]]
    merged = cells.merge(structures, on="structure_id", how="left")
    return int(merged.groupby(["acronym", "hemisphere"], dropna=False).size().sum())
""",
    "Dask, two workers, started": """
from distributed import Client, LocalCluster
import pyarrow.compute as pc
cluster = LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None, memory_limit=0)
client = Client(cluster)
def run():
    counts = db.count_cells(file, atlas, scheduler=client)
    return pc.sum(counts["direct_cells"]).as_py()
""",
}
"""What is measured: the body of a script that defines `run`, which returns the number of cells."""

SCRIPT = """
import json, sys, time, warnings
warnings.simplefilter("ignore")
if __name__ == "__main__":
    home, atlas, file, output, rounds = sys.argv[1:]
    import atlasdb
    db = atlasdb.connect(home)
    db.voxels(atlas).ranks.reshape(-1)[::2048].sum()  # in the page cache, as for all
    {body}
    seconds = []
    for _ in range(int(rounds)):
        begin = time.perf_counter()
        found = run()
        seconds.append(time.perf_counter() - begin)
    peak = open("/proc/self/status").read().split("VmHWM:")[1].split()[0]
    print(json.dumps([min(seconds), int(peak) // 1000, found]))
    sys.stdout.flush()
    import os
    os._exit(0)  # clusters take seconds to say goodbye
"""


def measured(way: str, home: Path, file: Path, output: Path, rounds: int) -> tuple[float, int]:
    """Return the best seconds of some rounds, and the peak memory in MB, of one way."""
    body = WAYS[way].strip().replace("\n", "\n    ")
    script = output.with_name("way.py")
    script.write_text(SCRIPT.replace("{body}", body))
    command = [sys.executable, str(script), str(home), LARGE, str(file), str(output), str(rounds)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    seconds, peak, found = json.loads(done.stdout.splitlines()[-1])
    expected = pq.read_metadata(file).num_rows
    if found != expected:
        raise ValueError(f"{way} has lost cells: {found} of {expected}")
    return seconds, peak


def write_points(file: Path, count: int, digits: int | None) -> None:
    """Write points all over the volume, in no order: the worst for a gather."""
    chance = np.random.default_rng(0)
    schema = pa.schema([(name, pa.float64()) for name in ("ap_um", "si_um", "rl_um")])
    with pq.ParquetWriter(file, schema) as writer:
        for begin in range(0, count, 1 << 20):
            size = min(1 << 20, count - begin)
            axes = [chance.random(size) * extent for extent in EXTENT_UM]
            if digits is not None:
                # Below the far face: pandas' way would raise there.
                axes = [
                    np.minimum(axis.round(digits), extent - 0.01)
                    for axis, extent in zip(axes, EXTENT_UM, strict=True)
                ]
            writer.write_table(pa.table(axes, schema=schema))


def brainglobe(package: Path, home: Path) -> tuple[float, float]:
    """Return cells a second by brainglobe-utils' summary, and by ours of the same points."""
    import warnings

    warnings.simplefilter("ignore")
    from brainglobe_atlasapi.core import Atlas
    from brainglobe_utils.brainmapper.analysis import summarise_points_by_atlas_region

    oracle: Any = Atlas(package)
    chance = np.random.default_rng(1)
    points = (chance.random((ONE_BY_ONE, 3)) * oracle.annotation.shape).astype(int)
    with tempfile.TemporaryDirectory() as folder:
        volumes = Path(folder) / "volumes.csv"
        names = {s["name"] for s in oracle.structures.values()}
        rows = [f'"{name}",1,1,2' for name in sorted(names)]
        head = "structure_name,left_volume_mm3,right_volume_mm3,total_volume_mm3"
        volumes.write_text("\n".join([head, *rows]))
        begin = time.perf_counter()
        summarise_points_by_atlas_region(points, points, oracle, volumes)
        theirs = time.perf_counter() - begin
    db = atlasdb.connect(home)
    begin = time.perf_counter()
    db.count_cells(points, LARGE, unit="voxel")
    return ONE_BY_ONE / theirs, ONE_BY_ONE / (time.perf_counter() - begin)


def main(archive: Path, millions: list[int]) -> None:
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as scratch:
        folder = Path(scratch)
        package = large_package(archive, folder)
        home = folder / "home"
        atlasdb.connect(home).ingest(str(package))
        tables: list[tuple[int, int | None]] = [(number, 2) for number in millions]
        for number, digits in [*tables, (min(millions), None)]:
            file = folder / f"{number}.parquet"
            write_points(file, number * 1_000_000, digits)
            exact = "to 0.01 µm" if digits else "to the last bit"
            size = file.stat().st_size / 1e6
            print(f"\n{number} million points {exact}, {size:,.0f} MB of Parquet")
            limit = 0.0
            for way in WAYS:
                if way.startswith("pandas") and (number > 10 or digits is None):
                    continue
                rounds = ROUNDS if number <= 10 or way[:3] in {"dec", "cou"} else 1
                seconds, peak = measured(way, home, file, folder / "out.parquet", rounds)
                limit = limit or seconds
                print(
                    f"{way:45} {seconds:8.2f} s  {number / seconds:7.1f} M cells/s  "
                    f"{seconds / limit:6.2f} × decoding  {peak:6,} MB"
                )
            file.unlink()
        theirs, ours = brainglobe(package, home)
        print(f"\nbrainglobe-utils' summary, {ONE_BY_ONE:,} points: {theirs:,.0f} cells/s")
        print(f"extrapolated to 10 million: {1e7 / theirs:,.0f} s")
        print(f"count_cells of the same {ONE_BY_ONE:,} points: {ours:,.0f} cells/s")


if __name__ == "__main__":
    main(Path(sys.argv[1]), [int(word) for word in sys.argv[2:]] or [10, 100])
