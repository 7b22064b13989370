"""Attacks by files: each is made in a folder, tried through a public way in, and measured.

The one idea: an attack is tried in a forked child of one process, so that neither a crash nor a
hang nor memory out of proportion is anybody else's, and what the kernel says of the child is what
is reported. As a script, ``attacks.py HOME FOLDER [WAY …]`` tries all attacks, or the quick ones
of some ways in, and prints a line of JSON for each.
"""

from __future__ import annotations

import gzip
import importlib
import io
import itertools
import json
import os
import resource
import shutil
import signal
import struct
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import tifffile
from components import SmallComponents
from small import SmallAtlas, structures

import atlasdb
from atlasdb.plots.reading import read_values

ATLAS = "phantom_mouse_100um"
MB = 1 << 20
MEMORY_MB = 6000  # of addresses, so that nothing harms the machine
SECONDS = 60
POINTS = ("ap_um", "si_um", "rl_um")

Make = Callable[[Path], Path]


@dataclass(frozen=True)
class Attack:
    """An attack.

    Attributes
    ----------
    name
        What it is, for people.
    way
        The way in: a key of `WAYS`.
    make
        Writes it into an empty folder, and returns what is given to the way in.
    expected
        What is searched for in the error's class and text; or in what came out, if it is no error.
    peak_mb
        Memory beyond the process's own that it may take. (A phantom's home and an ingest of
        nothing take 110 of them.)
    """

    name: str
    way: str
    make: Make
    expected: str
    peak_mb: int = 250


@dataclass(frozen=True)
class Outcome:
    """What came of an attack.

    Attributes
    ----------
    name
        The attack's.
    input_bytes
        The size of all of its files.
    text
        The error's class and text, or what came out, or how the child ended.
    peak_mb
        Memory beyond that of the process before.
    seconds
        How long it took.
    """

    name: str
    input_bytes: int
    text: str
    peak_mb: float
    seconds: float


def _ingest(given: Path, _home: Path) -> str:
    with tempfile.TemporaryDirectory() as folder:
        report = atlasdb.connect(Path(folder) / "home").ingest(str(given))
    meshes = "; ".join(f.detail for f in report.findings if f.code == "mesh_unreadable")
    return f"{report.structures} structures, {report.meshes} meshes; {meshes}"


def _cells(given: Path, home: Path) -> str:
    db = atlasdb.connect(home)
    stated: dict[str, Any] = {"unit": "um"} if given.suffix not in {".csv", ".gz"} else {}
    if given.suffix in {".xml", ".yml", ".points"}:
        stated["space"] = "atlas"
    counts = db.count_cells(str(given), ATLAS, **stated)
    output = given.with_name("annotated.parquet")
    annotated = db.annotate_cells(str(given), ATLAS, output=output, **stated)
    return f"{pc.sum(counts['direct_cells'])} counted, {sum(annotated.values())} annotated"


def _values(given: Path, home: Path) -> str:
    return f"{len(read_values(given, atlasdb.connect(home).voxels(ATLAS)).ranks)} values"


WAYS: dict[str, Callable[[Path, Path], str]] = {
    "ingest": _ingest,
    "cells": _cells,
    "values": _values,
}
"""The ways in: ``db.ingest``, ``db.count_cells`` and ``annotate_cells``, and a plot's values."""


def attempt(attack: Attack, home: Path, folder: Path) -> Outcome:
    """Make an attack in a folder, and try it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    given = Path(_in_child(lambda: str(attack.make(folder)), is_limited=False)[0])
    files = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    size = sum(path.stat().st_size for path in files)
    text, peak, seconds = _in_child(lambda: WAYS[attack.way](given, home), is_limited=True)
    return Outcome(attack.name, size, text.replace(f"{folder}/", ""), peak, seconds)


def _in_child(work: Callable[[], str], *, is_limited: bool) -> tuple[str, float, float]:
    """Return what some work says in a process of its own, its peak memory in MB, and seconds."""
    reading, writing = os.pipe()
    begin = time.monotonic()
    child = os.fork()
    if not child:
        os.close(reading)
        before = int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
        text = _said(work, is_limited=is_limited)
        os.write(writing, json.dumps([text[:2000], before]).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        said = pipe.read()
    _, status, usage = os.wait4(child, 0)
    seconds = time.monotonic() - begin
    if not said:
        number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
        name = signal.Signals(number).name if number else str(status)
        return f"KILLED by {name}", usage.ru_maxrss / 1024, seconds
    text, before = json.loads(said)
    return text, usage.ru_maxrss / 1024 - before / MB, seconds


def _said(work: Callable[[], str], *, is_limited: bool) -> str:
    """Return what some work returns, or the error that it raises."""
    if is_limited:
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_MB * MB, MEMORY_MB * MB))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(SECONDS)
    try:
        return work()
    except atlasdb.AtlasDBError as error:
        return f"{type(error).__name__}: {error}"
    except BaseException as error:  # noqa: BLE001 (whatever it is, it is a bug)
        return f"TRACEBACK {type(error).__name__}: {error}"


# What attacks are made of.


def _file(name: str, content: bytes | Callable[[], bytes]) -> Make:
    def make(folder: Path) -> Path:
        (folder / name).write_bytes(content if isinstance(content, bytes) else content())
        return folder / name

    return make


def _package(name: str, content: bytes | Callable[[], bytes], shape: Any = None) -> Make:
    """Return a package with one file replaced, and perhaps with another shape."""

    def make(folder: Path) -> Path:
        package = SmallAtlas().write(folder)
        (package / name).write_bytes(content if isinstance(content, bytes) else content())
        if shape is not None:
            path = package / "metadata.json"
            path.write_text(json.dumps(json.loads(path.read_text()) | {"shape": shape}))
        return package

    return make


def _components(change: Callable[[Path], None]) -> Make:
    """Return components with something changed, as their manifest."""

    def make(folder: Path) -> Path:
        root = SmallComponents(chunks=(4, 3, 7)).write(folder)
        change(root)
        return next(root.glob("atlases/*/*/manifest.json"))

    return make


def _array(root: Path) -> Path:
    return next(root.rglob("annotations_compressed.ome.zarr")) / "s0"


def _zstd(megabytes: int) -> bytes:
    return bytes(pa.Codec("zstd").compress(bytes(megabytes * MB), asbytes=True))


def _chunk(content: Callable[[], bytes], codec: dict[str, Any] | None = None) -> Make:
    """Return components whose annotation has this for a chunk."""

    def change(root: Path) -> None:
        path = _array(root) / "zarr.json"
        array = json.loads(path.read_text())
        if codec is not None:
            array["codecs"][1] = codec
        path.write_text(json.dumps(array))
        (_array(root) / "c/0/0/0").write_bytes(content())

    return _components(change)


def _zarr(**changes: Any) -> Make:
    def change(root: Path) -> None:
        path = _array(root) / "zarr.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return _components(change)


def _huge_zarr(root: Path) -> None:
    """Let all say that the volume has 10^11 voxels, of which one chunk is there."""
    edge = 1 << 12
    grid = {"name": "regular", "configuration": {"chunk_shape": [256, 256, 256]}}
    for path in root.rglob("zarr.json"):
        array = json.loads(path.read_text())
        if array["node_type"] == "array":
            path.write_text(json.dumps(array | {"shape": [edge] * 3, "chunk_grid": grid}))
    manifest = next(root.glob("atlases/*/*/manifest.json"))
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"shape": [edge] * 3}))


def _draco(header: bytes) -> Make:
    """Return components with a mesh whose header states something else."""

    def change(root: Path) -> None:
        mesh = next(root.rglob("annotations.precomputed/mesh/8"))
        mesh.write_bytes(header + mesh.read_bytes()[len(header) :])

    return _components(change)


def tiff(width: int, height: int, body: bytes = b"", *, after: int = 0, **tags: int) -> bytes:
    """Return a TIFF file of one page, most of whose tags are lies."""
    stated = {
        256: width, 257: height, 258: tags.get("bits", 32), 259: tags.get("compression", 1),
        262: tags.get("colours", 1), 273: tags.get("offset", 200), 277: tags.get("samples", 1),
        278: height, 279: tags.get("count", len(body)), 339: tags.get("kind", 1),
    }  # fmt: skip
    page = struct.pack("<H", len(stated))
    page += b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in stated.items())
    head = b"II*\0" + struct.pack("<I", 8) + page + struct.pack("<I", after)
    return head.ljust(200, b"\0") + body


def _described(text: str) -> Callable[[], bytes]:
    """Return a good annotation whose description says something else."""

    def make() -> bytes:
        file = io.BytesIO()
        volume = SmallAtlas().annotation
        tifffile.imwrite(file, volume, description=text, metadata=None, photometric="minisblack")
        return file.getvalue()

    return make


def _zeros(shape: tuple[int, int, int]) -> Callable[[], bytes]:
    """Return zeros of a shape, deflated."""

    def planes() -> Iterator[Any]:
        for _ in range(shape[0]):
            yield np.zeros(shape[1:], np.uint32)

    def make() -> bytes:
        file = io.BytesIO()
        kind: dict[str, Any] = {"photometric": "minisblack", "compression": "zlib"}
        tifffile.imwrite(file, planes(), shape=shape, dtype=np.uint32, **kind)
        return file.getvalue()

    return make


def _noise() -> bytes:
    """Return an annotation of which every voxel is a label of its own."""
    file = io.BytesIO()
    tifffile.imwrite(file, np.arange(1_200_000, dtype=np.uint32).reshape(100, 120, 100))
    return file.getvalue()


def _entities() -> str:
    names = "abcdefghi"
    nested = [f'<!ENTITY {b} "{f"&{a};" * 20}">' for a, b in itertools.pairwise(names)]
    image = (
        '<Image ID="Image:0" Name="&i;"><Pixels SizeX="7" SizeY="3" SizeZ="1000000000"/></Image>'
    )
    doctype = f'<!DOCTYPE OME [<!ENTITY a "{"a" * 40}">{"".join(nested)}]>'
    return f'<?xml version="1.0"?>{doctype}<OME xmlns="{_OME}">{image}</OME>'


_OME = "http://www.openmicroscopy.org/Schemas/OME/2016-06"
_OME_SIZE = (
    f'<?xml version="1.0"?><OME xmlns="{_OME}"><Image ID="Image:0"><Pixels DimensionOrder="XYZCT" '
    'Type="uint32" SizeX="7" SizeY="3" SizeZ="1000000000" SizeC="1" SizeT="1"><TiffData/></Pixels>'
    "</Image></OME>"
)


def _json(old: str, new: str) -> bytes:
    return json.dumps(structures()).replace(old, new).encode()


def _npy(descr: str, shape: str, body: bytes, *, fortran: bool = False) -> bytes:
    text = f"{{'descr': {descr}, 'fortran_order': {fortran}, 'shape': {shape}, }}\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode() + body


def _npz(**arrays: Any) -> Callable[[], bytes]:
    def make() -> bytes:
        file = io.BytesIO()
        np.savez_compressed(file, **arrays)
        return file.getvalue()

    return make


def _pickled() -> bytes:
    file = io.BytesIO()
    np.save(file, np.array([[{}] * 3], object), allow_pickle=True)
    return file.getvalue()


def _points(rows: int, **more: Any) -> Any:
    return pa.table({name: np.full(rows, 3000.0) for name in POINTS} | more)


def _parquet(table: Callable[[], Any], **options: Any) -> Make:
    def make(folder: Path) -> Path:
        pq.write_table(table(), folder / "c.parquet", compression="zstd", **options)
        return folder / "c.parquet"

    return make


def _repeated(rows: int, text: str) -> Any:
    """Return a column of one text in every row."""
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, np.int32)), pa.array([text]))


def _footer(rows: int) -> Make:
    """Return a Parquet file of 1000 rows that says that it has others."""

    def make(folder: Path) -> Path:
        path = folder / "c.parquet"
        table = pa.table({name: np.arange(1000.0) for name in POINTS})
        pq.write_table(table, path, compression="none", use_dictionary=False)
        whole = path.read_bytes()
        begin = len(whole) - 8 - int.from_bytes(whole[-8:-4], "little")
        varint = bytes([rows << 1 & 127 | 128, rows << 1 >> 7])
        path.write_bytes(whole[:begin] + whole[begin:].replace(b"\xd0\x0f", varint))
        return path

    return make


def _arrow(batch: Callable[[], Any], compression: str | None = None) -> Make:
    def make(folder: Path) -> Path:
        rows, path = batch(), folder / "c.arrow"
        options = pa.ipc.IpcWriteOptions(compression=compression)
        with pa.ipc.new_file(path, rows.schema, options=options) as file:
            file.write(rows)
        return path

    return make


def _wild(*, is_coordinate: bool, is_index: bool) -> Any:
    """Return rows of which one column points beyond its buffer."""
    offsets = pa.py_buffer(np.array([0, 2**31 - 256, 5], np.int32).tobytes())
    wild: Any = pa.StringArray.from_buffers(2, offsets, pa.py_buffer(b"hello"))
    if is_index:
        far = pa.array([2**30, 0], pa.int32())
        wild = pa.DictionaryArray.from_arrays(far, pa.array(["1", "2"]), safe=False)
    columns: dict[str, Any] = {name: pa.array([1.0, 2.0]) for name in POINTS}
    columns["ap_um" if is_coordinate else "note"] = wild
    return pa.RecordBatch.from_arrays(list(columns.values()), names=list(columns))


def _nulls(rows: int) -> Any:
    return pa.RecordBatch.from_arrays([pa.nulls(rows)] * 3, names=list(POINTS))


def _hdf(make_values: Callable[[Any, Path], Any]) -> Make:
    def make(folder: Path) -> Path:
        (folder / "secret").write_bytes(bytes(120))
        with h5py.File(folder / "other.h5", "w") as other:
            other["values"] = np.full((5, 3), 3000.0)
        with h5py.File(folder / "atlas.points", "w") as file:
            file["df/axis0"] = [0, 1, 2]
            make_values(file["df"], folder)
        return folder / "atlas.points"

    return make


def _virtual(df: Any, folder: Path) -> None:
    layout = h5py.VirtualLayout((5, 3), "f8")
    layout[:] = h5py.VirtualSource(str(folder / "other.h5"), "values", (5, 3))
    df.create_virtual_dataset("block0_values", layout)


def _link(link: Any) -> Make:
    return _hdf(lambda df, _: df.__setitem__("block0_values", link))


def _set(**options: Any) -> Make:
    return _hdf(lambda df, _: df.create_dataset("block0_values", **options))


MARKER = b"<Marker><MarkerX>3000</MarkerX><MarkerY>3000</MarkerY><MarkerZ>3000</MarkerZ></Marker>"
CELL = b"candidate_cells:\n- x: 3000\n  y: 3000\n  z: 3000\n  type: 2\n"


def _xml(body: bytes) -> bytes:
    begin = b"<CellCounter_Marker_File><Marker_Data><Marker_Type>"
    return begin + body + b"</Marker_Type></Marker_Data></CellCounter_Marker_File>"


def _csv(*rows: str, names: str = "note,ap_um,si_um,rl_um") -> Make:
    return _file("c.csv", "\n".join([names, *rows, ""]).encode())


def _gz(*parts: tuple[bytes, int]) -> Callable[[], bytes]:
    def make() -> bytes:
        return gzip.compress(b"".join(part * times for part, times in parts), 9)

    return make


A = Attack
HOLES = b"v 0 0 0\nv 0 1 0\nv 1 0 0\n"
OBJ = "7 structures, 7 meshes"
NO_MESH = "6 meshes; 8.obj has no faces, or cannot be parsed"
ATTACKS: tuple[Attack, ...] = (
    A(
        "TIFF: 10⁵ × 10⁵ × 10⁵",
        "ingest",
        _package("annotation.tiff", tiff(10**5, 10**5), [10**5] * 3),
        "too large to be real",
    ),
    A(
        "TIFF: 4 GB declared in 200 bytes",
        "ingest",
        _package("annotation.tiff", tiff(50_000, 20_000), [1, 20_000, 50_000]),
        "absurdly large: 200 bytes unpack to 4,000,000,000.*ratio=NUMBER",
    ),
    A(
        "TIFF: pages in a circle",
        "ingest",
        _package("annotation.tiff", tiff(7, 3, after=8)),
        "ShapeError: annotation.tiff has shape",
    ),
    A(
        "TIFF: 20,000 pages of nothing",
        "ingest",
        _package(
            "annotation.tiff",
            lambda: (
                b"II*\0"
                + struct.pack("<I", 8)
                + b"".join(
                    struct.pack("<HHHIII", 1, 256, 4, 1, 7, 8 + 18 * (n + 1)) for n in range(20_000)
                )
            ),
        ),
        "PackageError|ShapeError",
    ),
    A(
        "TIFF: strip beyond the file",
        "ingest",
        _package("annotation.tiff", tiff(7, 12, offset=10**9, count=336), [1, 12, 7]),
        "PackageError: annotation.tiff is no readable TIFF",
    ),
    A(
        "TIFF: RGB",
        "ingest",
        _package(
            "annotation.tiff", tiff(7, 12, bytes(252), bits=8, samples=3, colours=2), [1, 12, 7]
        ),
        "ShapeError",
    ),
    A(
        "TIFF: complex numbers",
        "ingest",
        _package("annotation.tiff", tiff(7, 12, bytes(672), bits=64, kind=6), [1, 12, 7]),
        "must hold integers, found complex64",
    ),
    A(
        "TIFF: 13 bits",
        "ingest",
        _package("annotation.tiff", tiff(7, 12, bytes(400), bits=13), [1, 12, 7]),
        "PackageError: annotation.tiff is no readable",
    ),
    A(
        "TIFF: JPEG",
        "ingest",
        _package("annotation.tiff", tiff(7, 12, bytes(84), bits=8, compression=7), [1, 12, 7]),
        "PackageError: annotation.tiff is compressed by",
    ),
    A(
        "TIFF: deflated 4 GB of zeros in the right shape",
        "ingest",
        _package("annotation.tiff", _zeros((1000, 1000, 1000)), [1000] * 3),
        "absurdly large.*unpack to 4,000,000,000",
    ),
    A(
        "TIFF: strip that unpacks to 256 MB in a page of 336 bytes",
        "ingest",
        _package(
            "annotation.tiff",
            lambda: tiff(7, 12, zlib.compress(bytes(256 * MB), 9), compression=8),
            [1, 12, 7],
        ),
        "holds a bomb",
    ),
    A(
        "TIFF: tile of 17 GB",
        "ingest",
        _package(
            "annotation.tiff",
            tiff(65_536, 65_536, zlib.compress(bytes(9999)), compression=8),
            [1, 65_536, 65_536],
        ),
        "absurdly large",
    ),
    A(
        "TIFF: description with entities in entities",
        "ingest",
        _package("annotation.tiff", _described(_entities())),
        OBJ,
    ),
    A(
        "TIFF: OME description of 10⁹ planes",
        "ingest",
        _package("annotation.tiff", _described(_OME_SIZE)),
        OBJ,
    ),
    A(
        "TIFF: 1.2 million labels",
        "ingest",
        _package("annotation.tiff", _noise, [100, 120, 100]),
        "different labels, over the limit of 1,000,000.*labels=NUMBER",
        300,
    ),
    A(
        "JSON: 100,000 deep",
        "ingest",
        _package("structures.json", b"[" * 100_000),
        "PackageError: structures.json is no valid JSON",
    ),
    A(
        "JSON: a million digits",
        "ingest",
        _package("structures.json", b"[" + b"9" * 10**6 + b"]"),
        "PackageError: structures.json is no valid JSON",
    ),
    A(
        "JSON: 100 MB of white space",
        "ingest",
        _package("structures.json", lambda: b" " * (100 * MB)),
        "over the limit of 67,108,864.*text_bytes=NUMBER",
    ),
    A(
        "JSON: 3 million empty lists",
        "ingest",
        _package("structures.json", lambda: b"[" + b"[]," * 3_000_000 + b"0]"),
        "must be a list of objects",
        350,
    ),
    A(
        "JSON: keys twice",
        "ingest",
        _package("structures.json", _json('"id": 997,', '"id": 5, "id": 997,')),
        "several of 'id'",
    ),
    A(
        "JSON: id of 30 digits",
        "ingest",
        _package("structures.json", _json("997", "9" * 30)),
        "HierarchyError: .* fit 64 bits",
    ),
    A(
        "JSON: NaN",
        "ingest",
        _package("structures.json", _json('"id": 997,', '"id": NaN,')),
        "NaN is no number",
    ),
    A(
        "OBJ: polygon of 200,000 corners",
        "ingest",
        _package("meshes/8.obj", HOLES + b"f" + b" 1" * 200_000),
        OBJ,
    ),
    A("OBJ: 1 MB of empty lines", "ingest", _package("meshes/8.obj", b"\n" * MB), NO_MESH),
    A("OBJ: index 10⁹", "ingest", _package("meshes/8.obj", HOLES + b"f 1 2 1000000000\n"), NO_MESH),
    A(
        "OBJ: index -10¹⁷",
        "ingest",
        _package("meshes/8.obj", HOLES + b"f 1 2 -100000000000000000\n"),
        NO_MESH,
    ),
    A(
        "OBJ: NaN",
        "ingest",
        _package("meshes/8.obj", b"v nan 0 0\n" + HOLES + b"f 1 2 3\n"),
        NO_MESH,
    ),
    A(
        "OBJ: 1e999",
        "ingest",
        _package("meshes/8.obj", b"v 1e999 0 0\n" + HOLES + b"f 1 2 3\n"),
        NO_MESH,
    ),
    A(
        "Draco: a cloud of points",
        "ingest",
        _draco(b"DRACO\x02\x03\0\x01\0\0\xff\xff\xff\x7f"),
        "mesh 8: it is no Draco mesh",
    ),
    A(
        "Draco: 2³¹ points in its header",
        "ingest",
        _draco(b"DRACO\x02\x02\x01\0\0\0\x04\xff\xff\xff\xff\x07"),
        "mesh 8: it says that it has 2,147,483,647 points",
    ),
    A(
        "Draco: 2³¹ faces in its header",
        "ingest",
        _draco(b"DRACO\x02\x02\x01\x01\0\0\0\x04\xff\xff\xff\xff\x07"),
        "mesh 8: it says that it has 2,147,483,647 points",
    ),
    A(
        "Draco: nothing but its header",
        "ingest",
        _draco(b"DRACO\x02\x02\x01\x01\0\0" + b"\xff" * 60),
        "mesh 8: its header ends too early",
    ),
    A(
        "zarr: chunks of 2⁴⁰ voxels",
        "ingest",
        _zarr(
            chunk_grid={"name": "regular", "configuration": {"chunk_shape": [1 << 20, 1 << 20, 1]}}
        ),
        "are absurd",
    ),
    A(
        "zarr: 275 GB, of which one chunk is there",
        "ingest",
        _components(_huge_zarr),
        "annotation is absurdly large: .*ratio=NUMBER",
    ),
    A(
        "zarr: zstd chunk that unpacks to 512 MB",
        "ingest",
        _chunk(lambda: _zstd(512)),
        "annotation cannot be read: a chunk is a bomb|a chunk is a bomb",
    ),
    A(
        "zarr: gzip chunk that unpacks to 128 MB",
        "ingest",
        _chunk(
            lambda: gzip.compress(bytes(128 * MB)), {"name": "gzip", "configuration": {"level": 5}}
        ),
        "a chunk is a bomb",
    ),
    A(
        "zarr: blosc chunk that says 2 GB",
        "ingest",
        _chunk(
            lambda: struct.pack("<4BIII", 2, 1, 0, 4, 2**31 - 1, 2**20, 100) + bytes(84),
            {
                "name": "blosc",
                "configuration": {
                    "cname": "zstd",
                    "clevel": 5,
                    "shuffle": "noshuffle",
                    "typesize": 4,
                    "blocksize": 0,
                },
            },
        ),
        "a chunk is a bomb",
    ),
    A(
        "zarr: pickles for a codec",
        "ingest",
        _zarr(codecs=[{"name": "numcodecs.pickle", "configuration": {}}]),
        "the codec 'numcodecs.pickle' is none of",
    ),
    A("zarr: texts for voxels", "ingest", _zarr(data_type="string"), "is no array of zarr 3"),
    A(
        "CSV: quote that is never closed",
        "cells",
        _csv("a,1,2,3", '"b,1,2,3', "c,1,2,3"),
        "PointsError: c.csv: the quote in .* is never closed",
    ),
    A(
        "CSV: quote in a value, 4 MB of rows",
        "cells",
        _file("c.csv", b'note,ap_um,si_um,rl_um\n5" x,1,2,3\n' + b"c,1,2,3\n" * 524_288),
        "524289 counted, 524289 annotated",
    ),
    A(
        "CSV: line of 70 MB",
        "cells",
        _file("c.csv", lambda: b"ap_um,si_um,rl_um\n" + b"1" * (70 * MB)),
        "over the limit of 67,108,864.*row_bytes=NUMBER",
    ),
    A(
        "CSV: a million columns",
        "cells",
        _file("c.csv", b"ap_um,si_um,rl_um" + b",a" * MB + b"\n"),
        "over the limit of 20,000.*columns=NUMBER",
    ),
    A("CSV: NUL for a number", "cells", _csv("a,1,2,3\0"), "row 1: column rl_um holds '3.x00'"),
    A(
        "CSV: UTF-16",
        "cells",
        _file("c.csv", "ap_um,si_um,rl_um\n1,2,3\n".encode("utf-16")),
        "is no UTF-8 text",
    ),
    A(
        "CSV: lines that end in CR",
        "cells",
        _file("c.csv", b"ap_um,si_um,rl_um\r1,2,3\r4,5,6\r"),
        "PointsError: the first line",
    ),
    A(
        "CSV: lines of all ends, a byte order mark",
        "cells",
        _file("c.csv", b"\xef\xbb\xbfap_um,si_um,rl_um\r\n1,2,3\n4,5,6\r7,8,9\r\n"),
        "3 counted, 3 annotated",
    ),
    A(
        "CSV: a row of too few",
        "cells",
        _csv("a,1,2,3", "1,2,3"),
        "row 2 cannot be read: Expected 4 columns, got 3",
    ),
    A(
        "CSV, gzipped: a million rows in 9 kB",
        "cells",
        _file("c.csv.gz", _gz((b"ap_um,si_um,rl_um\n", 1), (b"1,2,3\n", 1_000_000))),
        "1000000 counted, 1000000 annotated",
        300,
    ),
    A(
        "CSV, gzipped: line of 128 MB",
        "cells",
        _file("c.csv.gz", _gz((b"ap_um,si_um,rl_um\n", 1), (b"1", 128 * MB))),
        "over the limit of 67,108,864",
    ),
    A(
        "XML: text of 20 MB",
        "cells",
        _file("c.xml", _xml(b"<a>" + b"x" * (20 * MB) + b"</a>")),
        "a text of over 1,048,576",
    ),
    A(
        "XML: attribute of 20 MB",
        "cells",
        _file("c.xml", _xml(b"<a b='" + b"x" * (20 * MB) + b"'/>")),
        "a tag or a comment of over",
    ),
    A(
        "XML: a million deep",
        "cells",
        _file("c.xml", _xml(b"<a>" * 10**6)),
        "more than 32 elements within each other",
    ),
    A(
        "XML: entities in entities",
        "cells",
        _file("c.xml", _entities().encode()),
        "a document type with entities",
    ),
    A(
        "XML: infinite type",
        "cells",
        _file("c.xml", _xml(b"<Type>inf</Type>" + MARKER)),
        "the type inf is no whole number",
    ),
    A(
        "XML: two coordinates for one",
        "cells",
        _file("c.xml", _xml(MARKER.replace(b"<MarkerY>", b"<MarkerX>1</MarkerX><MarkerY>"))),
        "has several of MarkerX",
    ),
    A(
        "YAML: a million deep",
        "cells",
        _file("c.yml", b"candidate_cells: " + b"[" * 10**6),
        "over 32 levels within each other",
    ),
    A(
        "YAML: cell of a million values",
        "cells",
        _file("c.yml", CELL + b"  metadata: [" + b"1," * 10**6 + b"1]\n"),
        "a cell of over 100,000 values",
    ),
    A(
        "YAML: second document",
        "cells",
        _file("c.yml", CELL + b"---\n" + CELL),
        "holds several documents",
    ),
    A(
        "YAML: anchors",
        "cells",
        _file("c.yml", b"a: &a [1]\n" + CELL),
        "anchors, aliases and tags have no place",
    ),
    A(
        "YAML: tag of Python's",
        "cells",
        _file("c.yml", CELL + b"  m: !!python/object/apply:os.system [x]\n"),
        "anchors, aliases and tags have no place",
    ),
    A(
        "npy: pickles",
        "cells",
        _file("c.npy", _pickled),
        "holds Python objects, which could run code",
    ),
    A(
        "npy: 10¹² rows in 300 bytes",
        "cells",
        _file("c.npy", _npy("'<f8'", "(1000000000000, 3)", bytes(240))),
        "is truncated",
    ),
    A(
        "npy: header of 9,000 brackets",
        "cells",
        _file("c.npy", _npy("'<f8'", "(" * 9000, b"")),
        "is no readable .npy file",
    ),
    A(
        "npy: header of 9,000 signs",
        "cells",
        _file("c.npy", _npy("'<f8'", "-" * 9000 + "1", b"")),
        "is no readable .npy file",
    ),
    A(
        "npy: two arrays in one file",
        "cells",
        _file("c.npy", _npy("'<f8'", "(1, 3)", bytes(24)) * 2),
        "goes on after its array",
    ),
    A(
        "npz: texts of 1 MB in 90 kB",
        "cells",
        _file("c.npz", _npz(**dict.fromkeys(POINTS, np.ones(90)), note=np.zeros(90, "S1000000"))),
        "90 counted, 90 annotated",
        800,
    ),
    A(
        "Parquet: 5 million rows in 70 kB",
        "cells",
        _parquet(lambda: _points(5_000_000), row_group_size=1 << 30),
        "5000000 counted, 5000000 annotated",
    ),
    A(
        "Parquet: text of 1 MB in a million rows, in 17 kB",
        "cells",
        _parquet(lambda: _points(MB, note=_repeated(MB, "x" * MB)), store_schema=False),
        "absurdly large: .*ratio=NUMBER",
        450,
    ),
    A(
        "Parquet: coordinate of 1 MB in a million rows",
        "cells",
        _parquet(lambda: _points(MB).set_column(0, "ap_um", _repeated(MB, "0" * MB + "5"))),
        "1048576 counted",
        350,
    ),
    A(
        "Parquet: a footer that says 1500 rows of 1000",
        "cells",
        _footer(1500),
        "is damaged: it says that it has 1,500 rows",
    ),
    A(
        "Parquet: values of all kinds within each other",
        "cells",
        _parquet(lambda: _points(9, n=pa.array([[[[{"a": 1}]]]] * 9))),
        "9 counted, 9 annotated",
    ),
    A(
        "Arrow: offsets beyond the buffer",
        "cells",
        _arrow(lambda: _wild(is_coordinate=False, is_index=False)),
        "PointsError: c.arrow cannot be read: .* out of bounds",
    ),
    A(
        "Arrow: offsets beyond the buffer, a coordinate's",
        "cells",
        _arrow(lambda: _wild(is_coordinate=True, is_index=False)),
        "PointsError: c.arrow cannot be read: .* out of bounds",
    ),
    A(
        "Arrow: indices beyond the dictionary",
        "cells",
        _arrow(lambda: _wild(is_coordinate=False, is_index=True)),
        "PointsError: c.arrow cannot be read: .* out of bounds",
    ),
    A(
        "Arrow: 4 million NULL points in 600 bytes",
        "cells",
        _arrow(lambda: _nulls(4_000_000)),
        "4000000 counted, 4000000 annotated",
    ),
    A(
        "HDF5: link to another file",
        "cells",
        _link(h5py.ExternalLink("other.h5", "/values")),
        "is a link to elsewhere",
    ),
    A(
        "HDF5: links in a circle",
        "cells",
        _link(h5py.SoftLink("/df/block0_values")),
        "is a link to elsewhere",
    ),
    A(
        "HDF5: values in another file",
        "cells",
        _hdf(
            lambda df, folder: df.create_dataset(
                "block0_values", (5, 3), "f8", external=[(str(folder / "secret"), 0, 120)]
            )
        ),
        "lies in other files",
    ),
    A("HDF5: virtual values, of another file", "cells", _hdf(_virtual), "lies in other files"),
    A(
        "HDF5: 10¹² rows that were never written",
        "cells",
        _set(shape=(10**12, 3), dtype="f8", chunks=(1 << 16, 3)),
        "absurdly large: 0 bytes unpack to 24,000,000,000,000",
    ),
    A(
        "HDF5: a million columns",
        "cells",
        _set(shape=(10**6, 10**6), dtype="f8", chunks=(9, 9)),
        "is no table of brainmapper's",
    ),
    A(
        "HDF5: chunks of 4 GB",
        "cells",
        _set(shape=(5, 3), dtype="f8", maxshape=(None, 3), chunks=(178_956_969, 3)),
        "has chunks of 4,294,967,256 bytes.*row_bytes=NUMBER",
    ),
    A(
        "HDF5: group for values",
        "cells",
        _hdf(lambda df, _: df.create_group("block0_values")),
        "is no table of brainmapper's",
    ),
    A(
        "values: JSON 100,000 deep",
        "values",
        _file("v.json", b"[" * 100_000),
        "PictureError: cannot read",
    ),
    A(
        "values: JSON of 100,000 keys",
        "values",
        _file("v.json", json.dumps(dict.fromkeys(map(str, range(100_000)), 1)).encode()),
        "UnknownStructureError",
    ),
    A(
        "values: JSON of 20,000 rows, a name each",
        "values",
        _file("v.json", json.dumps([{str(n): 1} for n in range(20_000)]).encode()),
        "400,000,000 values, over the limit of 10,000,000.*values=NUMBER",
    ),
    A(
        "values: CSV of 200,000 columns",
        "values",
        _file("v.csv", b"a" + b",b" * 200_000 + b"\n"),
        "200,001 columns, over the limit of 20,000",
    ),
    A(
        "values: 30 million rows in 100 kB of Parquet",
        "values",
        _parquet(
            lambda: pa.table(
                {"structure": _repeated(30_000_000, "CP"), "value": np.ones(30_000_000)}
            )
        ),
        "60,000,000 values, over the limit of 10,000,000",
    ),
)


SLOW = frozenset(
    {
        "CSV, gzipped: line of 128 MB",
        "Draco: 2³¹ faces in its header",
        "Draco: a cloud of points",
        "Draco: nothing but its header",
        "JSON: 3 million empty lists",
        "OBJ: 1e999",
        "OBJ: NaN",
        "OBJ: index 10⁹",
        "OBJ: index -10¹⁷",
        "Parquet: coordinate of 1 MB in a million rows",
        "Parquet: text of 1 MB in a million rows, in 17 kB",
        "OBJ: 1 MB of empty lines",
        "Parquet: 5 million rows in 70 kB",
        "TIFF: description with entities in entities",
        "TIFF: OME description of 10⁹ planes",
        "npz: texts of 1 MB in 90 kB",
    }
)
"""Attacks that take a second, or are much like another: for ``reliability/hostile.py`` alone."""


def main(home: Path, folder: Path, ways: list[str]) -> None:
    """Try attacks, all or the quick ones of some ways in, and print what came of each."""
    for attack in ATTACKS:
        if not ways or (attack.way in ways and attack.name not in SLOW):
            print(json.dumps(asdict(attempt(attack, home, folder / "attack"))), flush=True)  # noqa: T201


if __name__ == "__main__":
    import logging

    for module in (  # what the children need is loaded once
        *("DracoPy", "duckdb", "yaml", "zarr", "pyarrow.csv", "pyarrow.fs", "xml.parsers.expat"),
        *("atlasdb.cell_queries", "atlasdb.ingest", "atlasdb.migrate", "atlasdb.voxels.opening"),
    ):
        importlib.import_module(module)
    logging.getLogger("tifffile").addHandler(logging.NullHandler())  # as the command line has it
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])
