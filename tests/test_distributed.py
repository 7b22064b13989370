"""Shards counted apart: on a Dask cluster, workers lost on the way, and without any scheduler."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from oracles import Oracle, many_points
from small import SmallAtlas, labels
from test_cli import Shell
from test_counting import MICRONS, cells_of, same

import atlasdb
from atlasdb.cells import distributed
from atlasdb.cells.joining import counts_of
from atlasdb.cells.partial import Partial, load, merge
from atlasdb.cells.reading import open_points
from atlasdb.errors import BlobError, PointsError, SchedulerError

if TYPE_CHECKING:
    from collections.abc import Iterator

ATLAS = "small_rat_50um@1.10"


@pytest.fixture(scope="module")
def shards(home: atlasdb.Database, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 8 files of cells."""
    folder = tmp_path_factory.mktemp("shards") / "cells"
    folder.mkdir()
    for number in range(8):
        points = many_points(Oracle(home, ATLAS), 500, seed=number)
        pq.write_table(cells_of(points, number), folder / f"part-{number}.parquet")
    return folder


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    """A client of two worker processes."""
    from distributed import Client, LocalCluster

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its own dashboard and port
        with (
            LocalCluster(  # type: ignore[no-untyped-call]
                n_workers=2,
                threads_per_worker=1,
                dashboard_address=None,
                host="127.0.0.1",
                memory_limit=0,
            ) as cluster,
            Client(cluster) as client,  # type: ignore[no-untyped-call]
        ):
            yield client


pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore:.*:DeprecationWarning")


def test_a_cluster_finds_the_same(
    home: atlasdb.Database, shards: Path, client: Any, tmp_path: Path
) -> None:
    wanted = home.count_cells(shards, ATLAS, by="sample")
    assert home.count_cells(shards, ATLAS, by="sample", scheduler=client).equals(wanted)
    address = client.scheduler.address
    assert home.count_cells(shards, ATLAS, by="sample", scheduler=address).equals(wanted)
    output = tmp_path / "annotated"
    counts = home.annotate_cells(shards, ATLAS, output=output, depths=[1], scheduler=client)
    plain = home.annotate_cells(shards, ATLAS, depths=[1])
    assert sum(counts.values()) == plain.num_rows == 4_000
    assert len(list(output.iterdir())) == 8
    found = pq.read_table(output)
    assert same(found.cast(plain.schema), plain), "the files are in the order of the rows"
    with pytest.raises(SchedulerError, match="annotated is there already"):
        home.annotate_cells(shards, ATLAS, output=output, scheduler=client)
    frame = home.count_cells(plain.select(MICRONS).to_pandas(), ATLAS, scheduler=client)
    assert frame["direct_cells"].sum() == 4_000, "tables in memory are sent"


def test_workers_that_do_not_see_the_home(
    home: atlasdb.Database, shards: Path, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = home.count_cells(shards, ATLAS)

    def blind(_: object) -> bool:
        return False

    monkeypatch.setattr(distributed, "_sees", blind)
    client.run(distributed._opened.clear)
    assert home.count_cells(shards, ATLAS, scheduler=client).equals(wanted)
    asymmetric = "phantom_asymmetric_mouse_100um"
    wanted = home.count_cells(shards, asymmetric)
    assert home.count_cells(shards, asymmetric, scheduler=client).equals(wanted)
    client.run(distributed._opened.clear)


def test_a_worker_that_is_killed(
    home: atlasdb.Database, shards: Path, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its shards are counted again, once."""
    wanted = home.count_cells(shards, ATLAS, by="sample")
    run = distributed._run
    mark = shards.parent / "killed"

    def deadly(task: Any, sent: Any) -> Any:
        if "part-5" in str(task.pieces[0].file) and not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(0.05)
        return run(task, sent)

    monkeypatch.setattr(distributed, "_run", deadly)
    found = home.count_cells(shards, ATLAS, by="sample", scheduler=client)
    assert mark.exists()
    assert found.equals(wanted)


def test_errors_of_workers(home: atlasdb.Database, client: Any, tmp_path: Path) -> None:
    """They are the ones that a single process gives, and nothing is left of the output."""
    folder = tmp_path / "cells"
    folder.mkdir()
    for number, value in enumerate(("1", "2", "x")):
        table = pa.table({"ap_um": ["1", value], "si_um": [1, 2], "rl_um": [1, 2]})
        pq.write_table(table, folder / f"{number}.parquet")
    with pytest.raises(PointsError, match=r"2.parquet, row 2: column ap_um holds 'x'"):
        home.count_cells(folder, ATLAS, scheduler=client)
    with pytest.raises(PointsError, match=r"2.parquet, row 2: column ap_um holds 'x'"):
        home.annotate_cells(folder, ATLAS, output=tmp_path / "out", scheduler=client)
    assert [p.name for p in tmp_path.iterdir()] == ["cells"]


def test_schedulers_that_are_none(
    home: atlasdb.Database, shards: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(distributed, "_TIMEOUT_S", 0.2)
    for scheduler, message in (
        ("tcp://127.0.0.1:9", "no Dask scheduler answers at tcp://127.0.0.1:9"),
        ("nope://x", "no Dask scheduler answers at nope://x"),
        ("bogus", "no Dask scheduler answers at bogus"),
        ("", "no Dask scheduler answers at"),
        (7, "a scheduler is a Dask client or an address, not int"),
    ):
        with pytest.raises(SchedulerError, match=message):
            home.count_cells(shards, ATLAS, scheduler=scheduler)


def test_a_scheduler_by_its_address(
    home: atlasdb.Database, shards: Path, client: Any, tmp_path: Path
) -> None:
    """As a person uses it: a process that has no client of its own."""
    command = [sys.executable, "-m", "atlasdb", "--home", str(home.home.folder), "cells"]
    words = ["--atlas", ATLAS, "--scheduler", client.scheduler.address]
    output = tmp_path / "counts.parquet"
    subprocess.run([*command, "count", str(shards), *words, "-o", str(output)], check=True)
    assert pq.read_table(output).equals(home.count_cells(shards, ATLAS))
    folder = tmp_path / "annotated"
    subprocess.run([*command, "annotate", str(shards), *words, "-o", str(folder)], check=True)
    assert pq.read_table(folder).num_rows == 4_000
    for problem, message in (
        ([*command, "annotate", str(shards), *words, "-o", str(folder)], b"is there already"),
        ([*command, "count", "-", *words], b"standard input cannot be shared out"),
    ):
        cells = b"ap_um,si_um,rl_um\n1,2,3\n"
        done = subprocess.run(problem, input=cells, capture_output=True, check=False)
        assert done.returncode == 1
        assert done.stderr.startswith(b"error: ")
        assert done.stderr.count(b"\n") == 1
        assert message in done.stderr


def test_atlases_are_sent_to_other_processes(db: atlasdb.Database, tmp_path: Path) -> None:
    source = SmallAtlas(annotation=labels(1)).write(tmp_path)
    db.ingest(str(source))
    voxels = db.voxels("small_rat_50um")
    points = np.argwhere(voxels.ranks >= 0)
    wanted = voxels.structure_ids_at(points, unit="voxel")
    seen, sent = pickle.dumps(voxels), pickle.dumps(voxels.carried())
    for found in map(pickle.loads, (seen, sent)):
        np.testing.assert_array_equal(found.structure_ids_at(points, unit="voxel"), wanted)
        assert found.statistics().equals(voxels.statistics())
        assert found.fingerprint == voxels.fingerprint
        with pytest.raises(ValueError, match="read-only"):
            found.ranks[0, 0, 0] = 1
    db.ingest(str(SmallAtlas(annotation=labels(2)).write(tmp_path / "other")), force=True)
    with pytest.raises(BlobError, match="was replaced since it was opened"):
        pickle.loads(seen)  # noqa: S301 (our own)
    again = pickle.loads(sent)  # noqa: S301
    np.testing.assert_array_equal(again.structure_ids_at(points, unit="voxel"), wanted)


# Without a scheduler


def test_partial_counts_of_a_slurm_array(
    home: atlasdb.Database, shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shell = Shell(home.home.folder, capsys)
    parts = []
    for file in sorted(shards.iterdir()):
        part = tmp_path / f"{file.stem}.counts"
        words = ["--atlas", ATLAS, "--by", "sample,batch", "--partial", "-o", str(part), "-q"]
        shell("cells", "count", str(file), *words)
        parts.append(str(part))
    whole = tmp_path / "whole.parquet"
    words = ["--atlas", ATLAS, "--by", "sample,batch", "-o", str(whole)]
    shell("cells", "count", str(shards), *words)
    merged = tmp_path / "merged.parquet"
    shell("cells", "merge", *reversed(parts), "-o", str(merged))
    assert pq.read_table(merged).equals(pq.read_table(whole))
    shell("cells", "merge", *parts, "--depth", "1", "--together", "-o", str(merged))
    assert pc.sum(pq.read_table(merged)["cells"]).as_py() == 4_000
    printed = shell("cells", "merge", parts[0], parts[1], parts[0], status=1)
    assert "part-0.parquet is counted in" in printed
    assert "name each shard once" in printed
    other = tmp_path / "other.counts"
    words = ["--atlas", ATLAS, "--partial", "-o", str(other)]
    shell("cells", "count", str(shards / "part-7.parquet"), *words)
    assert "groups by nothing" in shell("cells", "merge", *parts[:2], str(other), status=1)
    printed = shell("cells", "merge", *parts, "--atlas", "small_rat_50um@1.2", status=1)
    assert f"counts cells in {ATLAS}, and not in the small_rat_50um@1.2" in printed
    pq.write_table(pa.table({"a": [1]}), other)
    assert "is no partial count" in shell("cells", "merge", str(other), status=1)
    table = pq.read_table(parts[0])
    pq.write_table(table.slice(1), other)  # its metadata are those of the whole
    assert "was altered: its counts are not those" in shell("cells", "merge", str(other), status=1)
    pq.write_table(table.drop_columns("_rank"), other)
    assert "was altered" in shell("cells", "merge", str(other), status=1)
    pq.write_table(table.replace_schema_metadata({"atlasdb_partial_count": "{"}), other)
    assert "is no partial count" in shell("cells", "merge", str(other), status=1)
    other.write_bytes(b"PAR1")
    assert "other.counts cannot be read" in shell("cells", "merge", str(other), status=1)
    words = ["--atlas", ATLAS, "--partial"]
    printed = shell("cells", "count", str(shards), *words, status=2)
    assert "--partial needs a file: add -o FILE" in printed


def test_partial_counts_are_kept_exactly(
    home: atlasdb.Database, shards: Path, tmp_path: Path
) -> None:
    voxels = home.voxels(ATLAS)
    for by in ([], ["sample"], ["number", "batch"]):
        partials = []
        for file in sorted(shards.iterdir())[:3]:
            points = open_points(file)
            counts = counts_of(points, voxels, by=by)
            partial = Partial(counts, points.files, ATLAS, voxels.fingerprint)
            target = tmp_path / "sample=x" / file.name  # the folder's name says nothing
            target.parent.mkdir(exist_ok=True)
            pq.write_table(partial.table(), target)
            read = load(target)
            assert read.files == points.files
            assert read.counts.groups.schema == counts.groups.schema
            partials.append(read)
        total = merge(partials, voxels)
        assert total.tally(voxels).total == 1_500
        direct = counts_of(open_points(sorted(shards.iterdir())[:3]), voxels, by=by)
        ours = dict(zip(total.groups.values, total.by_group.tolist(), strict=True))
        assert ours == dict(zip(direct.groups.values, direct.by_group.tolist(), strict=True))


def test_the_annotating_function_for_other_engines(home: atlasdb.Database, shards: Path) -> None:
    """Batches in, batches out: what Spark's mapInArrow takes."""
    batches = pq.read_table(shards).to_batches(max_chunksize=333)
    function = pickle.loads(pickle.dumps(home.annotator(ATLAS)))  # noqa: S301
    found = pa.Table.from_batches(function(iter(batches)))
    assert same(found, home.annotate_cells(pa.Table.from_batches(batches), ATLAS))


def test_spark(home: atlasdb.Database, shards: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The example of docs/many-machines.md, on a local Spark."""
    pytest.importorskip(
        "pyspark", reason="pyspark (450 MB, and Java) is not among the tests' needs"
    )
    from pyspark.sql import SparkSession

    monkeypatch.setenv("SPARK_LOCAL_IP", "127.0.0.1")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        spark = (
            SparkSession.builder.master("local[2]")
            .config("spark.ui.enabled", "false")
            .getOrCreate()
        )
        cells = spark.read.parquet(str(shards))
        annotate = home.annotator(ATLAS)
        schema = (
            "number long, sample string, batch byte, ap_um double, si_um double, rl_um double, "
        )
        schema += "structure_id long, acronym string, hemisphere string, status string"
        found = cells.mapInArrow(annotate, schema).groupBy("status").count().toPandas()
        spark.stop()
    wanted = home.annotate_cells(shards, ATLAS)["status"].value_counts().to_pylist()
    assert dict(found.itertuples(index=False)) == {row["values"]: row["counts"] for row in wanted}
