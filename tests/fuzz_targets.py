"""Every parser of this project as a function of bytes, for fuzzers.

The one idea: a target gives bytes to a parser as a command would, lets nothing but an `AtlasDBError`
pass for a refusal, and asserts of what is accepted whatever is easily said about it: that a second
way to read it says the same, or that it stays within bounds.
"""

from __future__ import annotations

import csv
import functools
import gzip
import io
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import duckdb
import numpy as np
import pyarrow as pa

import atlasdb
from atlasdb import citations, encodings, limits, statements, volumes
from atlasdb.cells import partial, text
from atlasdb.cells.columns import Stated, find_coordinates
from atlasdb.cells.reading import open_points
from atlasdb.errors import AtlasDBError, printable
from atlasdb.meshes import draco, obj
from atlasdb.meshes.plain import count_plain
from atlasdb.names import AtlasName, Version
from atlasdb.plots.reading import read_values
from atlasdb.queries import Parameter, parse_queries
from atlasdb.sources import archive, buckets, digests, multiscale, stated
from atlasdb.sources.base import NoProgress
from atlasdb.sources.components import read_terminology
from atlasdb.sources.objects import checked_key
from atlasdb.sources.package import read_structures
from atlasdb.sources.places import parse_listing
from atlasdb.space import Reorientation
from atlasdb.voxels import AtlasVoxels

ATLAS = "phantom_mouse_100um"
SHAPE = (2, 3, 4)
AXES = 3
LIMITS = "free_bytes=4000000 text_bytes=1000000 rows=1000000 values=100000 row_bytes=100000"
"""Low enough that small inputs meet them, and none takes much memory."""

Target = Callable[[bytes], None]
LONGEST_ERROR = 20_000
"""Errors are read by people."""

TARGETS: dict[str, Callable[[bytes], bool]] = {}
"""Each parser by its name: whether it accepts some bytes."""


def target(parse: Target) -> Target:
    """Register a parser, which raises an `AtlasDBError` to refuse."""

    @functools.wraps(parse)
    def accepts(content: bytes) -> bool:
        with limits.stated(LIMITS):
            try:
                parse(content)
            except AtlasDBError as refusal:
                error = refusal
            else:
                return True
        assert len(str(error)) < LONGEST_ERROR
        printable(str(error)).encode()
        return False

    TARGETS[parse.__name__] = accepts
    return parse


@functools.cache
def temporary() -> tempfile.TemporaryDirectory[str]:
    """Return a folder that goes with the process."""
    return tempfile.TemporaryDirectory(prefix="atlasdb-fuzz-")


def scratch() -> Path:
    """Return a folder of this process."""
    return Path(temporary().name)


def written(content: bytes, name: str) -> Path:
    path = scratch() / name
    path.write_bytes(content)
    return path


@functools.cache
def phantom() -> AtlasVoxels:
    """Return the phantom's voxels."""
    db = atlasdb.connect(scratch() / "home")
    db.ingest(ATLAS)
    return db.voxels(ATLAS)


def table(content: bytes, ending: str, said: Stated) -> list[pa.RecordBatch]:
    """Read a table of points to its end; its blocks say where they are."""
    points = open_points(str(written(content, f"table{ending}")), said)
    batches, rows = [], 0
    for block in points.blocks():
        assert block.first == rows
        assert block.rows.schema.names == points.schema.names
        rows += block.rows.num_rows
        batches.append(block.rows)
    assert points.rows in {None, rows}
    assert set(points.coordinates.columns) <= set(points.schema.names)
    return batches


# --- archives and what packages state


@target
def package_archive(content: bytes) -> None:
    """Only a package's own files, below the folder."""
    folder = scratch() / "unpacked"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    top, _ = archive.unpack(written(content, "a.tar.gz"), folder, progress=NoProgress())
    assert folder in top.parents
    for path in folder.rglob("*"):
        assert not path.is_symlink()
        assert path.is_dir() or path.is_file()


@target
def tar_archive(content: bytes) -> None:
    """The same of a tar file within the archive, whose checksum no fuzzer would guess."""
    package_archive(gzip.compress(content, 1))


@target
def package_metadata(content: bytes) -> None:
    found = stated.checked_metadata(stated.parsed_json(content, "metadata"), "metadata", "a_1um_v1")
    assert len(found.shape) == len(found.resolution_um) == AXES
    assert min(found.shape) > 0
    assert min(found.resolution_um) > 0
    json.dumps(found.raw, allow_nan=False).encode()
    Reorientation.between(found.orientation)


@target
def package_structures(content: bytes) -> None:
    found = read_structures(written(content, "structures.json"))
    tree(found, len(json.loads(content)))


@target
def terminology(content: bytes) -> None:
    found = read_terminology(content, "terminology.csv")
    rows = list(csv.reader(io.StringIO(content.decode("utf-8-sig"))))
    tree(found, sum(map(bool, rows)) - 1)


def tree(found: Any, size: int) -> None:
    """Assert that structures are a tree of some size, in rank order."""
    ranks, last = found.hierarchy.rank, found.hierarchy.last_rank
    assert len(found.acronyms) == len(ranks) == size
    assert ranks.tolist() == list(range(1, size + 1))
    assert (last >= ranks).all()
    assert last[0] == size
    pairs = int((last - ranks + 1).sum())
    assert len(found.hierarchy.closure().distance) == pairs


# --- lists of what there is


@target
def listing(content: bytes) -> None:
    for name, version in parse_listing(encodings.decoded(content), "a mirror").items():
        assert AtlasName.parse(f"{name}@{version}") == AtlasName(name, version)


@target
def bucket_page(content: bytes) -> None:
    page = buckets._parsed(content)
    if page is None:
        raise atlasdb.errors.SourceError("no listing")
    found = buckets.Bucket("http://127.0.0.1/", "atlas/")._objects(page)
    assert all(entry.bytes >= 0 and isinstance(entry.md5, str) for entry in found.values())


@target
def sums(content: bytes) -> None:
    for path, digest in digests.read_sums(content, "SHA256SUMS").items():
        assert path
        assert digests.Digest.parse(digest, "a list").sha256 == digest


@target
def object_key(content: bytes) -> None:
    base = scratch().resolve()
    key = checked_key(content.decode(errors="replace"))
    path = Path(os.path.normpath(base / key))
    assert base in path.parents
    assert path == base / key


@target
def atlas_name(content: bytes) -> None:
    text_ = content.decode(errors="surrogateescape")
    name = AtlasName.parse(text_)
    assert str(name) == text_
    assert name.name.isascii()
    folder = Path("home") / name.name / str(name.version)
    assert len(folder.parts) == 3
    if name.version is not None:
        assert Version.parse(str(name.version)) == name.version


# --- volumes


@target
def multiscale_group(content: bytes) -> None:
    group = stated.parsed_json(content, "zarr.json")
    level = multiscale.choose_level(group, (100, 50, 25), "annotation")
    assert np.isfinite(level.corner_um).all()
    assert np.allclose(level.resolution_um, (100, 50, 25), rtol=0.01)
    multiscale.is_displaced(level)


@target
def zarr_array(content: bytes) -> None:
    keys = multiscale.chunk_keys(stated.parsed_json(content, "zarr.json"), SHAPE, "annotation")
    assert len(keys) == len(set(keys)) >= 1
    for key in keys:
        checked_key(f"array/{key}")


@target
def zarr_chunk(content: bytes) -> None:
    """Of an array that says it is packed by what the first byte tells."""
    codec = ("gzip", "zstd", "blosc")[content[0] % 3] if content else "gzip"
    folder = scratch() / "array"
    (folder / "c/0/0").mkdir(parents=True, exist_ok=True)
    settings = {
        "gzip": {"level": 1},
        "zstd": {"level": 1, "checksum": False},
        "blosc": {
            "typesize": 1,
            "cname": "lz4",
            "clevel": 1,
            "shuffle": "noshuffle",
            "blocksize": 0,
        },
    }[codec]
    (folder / "zarr.json").write_text(
        json.dumps(
            {
                "zarr_format": 3, "node_type": "array", "shape": SHAPE, "data_type": "uint8",
                "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": SHAPE}},
                "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
                "fill_value": 0, "attributes": {},
                "codecs": [{"name": "bytes"}, {"name": codec, "configuration": settings}],
            }
        )
    )  # fmt: skip
    (folder / "c/0/0/0").write_bytes(content[1:])
    assert multiscale.read_array(folder, "annotation").shape == SHAPE


@target
def tiff_volume(content: bytes) -> None:
    path = written(content, "volume.tiff")
    mapped = volumes.map_contiguous(path, "uint16", SHAPE)
    if mapped is not None:
        assert mapped.shape == SHAPE
        again = volumes.read_contiguous(path, "uint16", SHAPE)
        assert again is not None
        assert np.array_equal(mapped, again)
    assert volumes.read_volume(path, SHAPE).shape == SHAPE


# --- meshes


@target
def obj_mesh(content: bytes) -> None:
    """Counted, parsed as two tables, and line by line, a mesh is the same."""
    path = written(content, "mesh.obj")
    counts = count_plain(content)
    mesh = obj.read_mesh(path)
    assert mesh.triangles.min() >= 0
    assert mesh.triangles.max() < len(mesh.vertices)
    found = (len(mesh.vertices), len(mesh.triangles))
    assert counts in {None, found}
    assert obj.count_mesh(path) == found
    plain = obj._plain_mesh(content)
    if plain is not None:
        slow = obj._any_mesh("mesh.obj", content)
        assert np.array_equal(plain.vertices, slow.vertices)
        assert np.array_equal(plain.triangles, slow.triangles)


@target
def draco_mesh(content: bytes) -> None:
    """Two bytes say how long the index is; then it, and the fragments."""
    size = int.from_bytes(content[:2], "little")
    info = draco.MeshInfo(16, np.eye(3, 4))
    index, data = content[2 : 2 + size], content[2 + size :]
    mesh = draco.decode_mesh(data, index, info)
    assert np.isfinite(mesh.vertices).all()


@target
def draco_info(content: bytes) -> None:
    info = draco.MeshInfo.parse(stated.parsed_json(content, "info"))
    assert info.transform.shape == (3, 4)
    assert np.isfinite(info.transform).all()


# --- tables of cells


@target
def cells_text(content: bytes) -> None:
    """A text read in blocks of a few bytes has the rows that it has when it is read at once."""
    said = Stated(default_unit="um")
    batches = table(content, ".csv", said)
    with patch.object(text, "_BLOCK_BYTES", 16):
        again = table(content, ".csv", said)
    assert pa.Table.from_batches(batches).to_pylist().__repr__() == (
        pa.Table.from_batches(again).to_pylist().__repr__()  # NaN differs from itself
    )
    if b'"' not in content and b"\r" not in content:
        first, *lines = content.decode("utf-8-sig").split("\n")
        has_names = all(name in first for name in ("ap_", "si_", "rl_")) or "x" in first
        rows = sum(batch.num_rows for batch in batches)
        assert rows == sum(bool(line.strip()) for line in lines) + (not has_names)


@target
def cells_rows(content: bytes) -> None:
    """The fast way to the ends of rows is the slow one."""
    for separator in ",\t":
        fast = text.end_of_rows(content, separator)
        slow = text._end_of_odd_rows(content, separator)
        assert fast == slow, (fast, slow)


@target
def cells_xml(content: bytes) -> None:
    table(content, ".xml", Stated(unit="voxel", space="atlas"))


@target
def cells_yaml(content: bytes) -> None:
    table(content, ".yml", Stated(unit="voxel", space="atlas"))


@target
def cells_npy(content: bytes) -> None:
    table(content, ".npy", Stated(unit="um"))


@target
def cells_npz(content: bytes) -> None:
    table(content, ".npz", Stated(unit="um"))


@target
def cells_parquet(content: bytes) -> None:
    table(content, ".parquet", Stated(unit="um"))


@target
def cells_arrow(content: bytes) -> None:
    table(content, ".arrow", Stated(unit="um"))


@target
def cells_hdf(content: bytes) -> None:
    table(content, ".points", Stated(unit="voxel", space="atlas"))


@target
def cells_columns(content: bytes) -> None:
    """Names of columns, a line each."""
    names = content.decode(errors="replace").split("\n")
    found = find_coordinates(names, Stated(default_unit="um"), "a table")
    assert len(set(found.columns)) == AXES
    assert set(found.columns) <= set(names)


@target
def cells_partial(content: bytes) -> None:
    partial.load(written(content, "shard.parquet"))


@target
def partial_said(content: bytes) -> None:
    """What a shard says of its counts."""
    import pyarrow.parquet as pq

    columns = {"_rank": [0, 2], "_hemisphere": [1, 0], "_cells": [3, 4]}
    shard = pa.table(columns).replace_schema_metadata({partial._MARK: content})
    path = scratch() / "said.parquet"
    pq.write_table(shard, path)
    assert partial.load(path).counts.by_group.sum() == 7


# --- values, queries and words


def values(content: bytes, ending: str) -> None:
    found = read_values(written(content, f"values{ending}"), phantom())
    assert len(found.ranks) == len(found.numbers)


@target
def values_csv(content: bytes) -> None:
    values(content, ".csv")


@target
def values_json(content: bytes) -> None:
    values(content, ".json")


@target
def citation(content: bytes) -> None:
    said = content.decode(errors="replace")
    for publication in citations.publications(said):
        assert publication.doi in said
        assert publication.key


@target
def sql_reading(content: bytes) -> None:
    """What may run is nothing but what DuckDB's own parser calls reading, or in memory."""
    query = content.decode(errors="surrogateescape")
    connection = parser()
    try:
        query.encode()
        statements.refuse_writing(connection, query)
        kinds = {statement.type.name for statement in connection.extract_statements(query)}
    except (duckdb.Error, UnicodeEncodeError) as error:
        raise atlasdb.errors.QueryError("no SQL") from error
    assert not kinds & {"COPY", "EXPORT", "ATTACH", "LOAD", "PREPARE", "EXECUTE", "COPY_DATABASE"}


@target
def sql_untrusted(content: bytes) -> None:
    query = content.decode(errors="surrogateescape")
    try:
        query.encode()
        statements.refuse_strange(parser(), query)
    except (duckdb.Error, UnicodeEncodeError) as error:
        raise atlasdb.errors.QueryError("no SQL") from error
    (statement,) = parser().extract_statements(query)
    assert statement.type.name == "SELECT"


@functools.cache
def parser() -> duckdb.DuckDBPyConnection:
    """Return a connection that statements are parsed by."""
    return duckdb.connect(config={"enable_external_access": "false"})


@target
def named_queries(content: bytes) -> None:
    """Our own files: whoever writes one meets a ValueError."""
    try:
        found = parse_queries("topic", content.decode(errors="replace"))
    except ValueError as error:
        raise atlasdb.errors.QueryError(str(error)) from error
    for query in found:
        assert query.name
        query.check_names({p.name for p in query.parameters})


@target
def query_parameter(content: bytes) -> None:
    word = content.decode(errors="replace")
    for kind in ("integer", "number", "text"):
        Parameter("p", kind, None, "").parse(word)


@target
def limit_words(content: bytes) -> None:
    with limits.stated(content.decode(errors="replace").replace("\0", "")):
        limits.current()


@target
def orientation(content: bytes) -> None:
    letters = content.decode(errors="replace")
    try:
        turn = Reorientation.between(letters)
    except ValueError as error:
        raise atlasdb.errors.PointsError(str(error)) from error
    there, back = turn.axes, turn.inverse.axes
    assert [there[axis] for axis in back] == list(range(AXES))
