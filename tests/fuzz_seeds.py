"""Write the corpus that fuzzing begins with: ``python tests/fuzz_seeds.py [FOLDER]``.

A small valid input for each parser, and some that it refuses. What a fuzzer finds is put beside them
by hand, under a name that says what it is.
"""

from __future__ import annotations

import gzip
import io
import json
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import tifffile
from components import Level, SmallComponents, draco
from fuzz_targets import ATLAS, SHAPE, TARGETS
from small import TETRAHEDRON, SmallAtlas, structures

from atlasdb import volumes
from atlasdb.cells import partial
from atlasdb.cli import run

Seeds = dict[str, dict[str, bytes]]

CELLS = {"ap_um": [1.5, -2.0], "si_um": [3.0, 4.0], "rl_um": [5.0, 6e3]}
ANNOTATION = (np.arange(24).reshape(SHAPE) % 5 * 8).astype(np.uint16)


def of_packages(folder: Path) -> Seeds:
    """Return archives, and what packages and components state."""
    package = SmallAtlas(resolution_um=(100, 50, 25)).archive(folder)
    tree = folder / "components"
    SmallComponents(
        levels=[Level((100.0, 50.0, 25.0), ANNOTATION), Level((200.0, 100.0, 50.0), ANNOTATION[:1])]
    ).write(tree)
    tar = gzip.decompress(package.read_bytes())[:6144]
    unpacked = next((folder / "unpacked").iterdir())

    def found(pattern: str) -> bytes:
        return min(tree.rglob(pattern)).read_bytes()

    arrays = sorted(tree.rglob("annotations_compressed.ome.zarr/*/zarr.json"))
    return {
        "package_archive": {
            "package": package.read_bytes(),
            "truncated": package.read_bytes()[:-9],
        },
        "tar_archive": {"package": tar, "up": leading_up()},
        "package_metadata": {
            "package": (unpacked / "metadata.json").read_bytes(),
            "no_object": b"[]",
        },
        "package_structures": {
            "package": json.dumps(structures()[:3]).encode(),
            "two_roots": json.dumps([structures()[0], structures()[0] | {"id": 1}]).encode(),
        },
        "terminology": {"components": found("terminology.csv"), "columns": b"id,name\n1,x\n"},
        "multiscale_group": {
            "components": found("annotations_compressed.ome.zarr/zarr.json"),
            "none": b"{}",
        },
        "zarr_array": {"components": arrays[0].read_bytes(), "none": b"{}"},
        "zarr_chunk": {
            "gzip": b"\0" + gzip.compress(bytes(24), mtime=0),
            "none": b"\1",
        },
        "draco_info": {"components": found("info"), "none": b"{}"},
    }


def leading_up() -> bytes:
    """Return a tar file with a member that leads out of its folder."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as tar:
        tar.addfile(tarfile.TarInfo("a_1um_v1.0/../../x"))
    return content.getvalue()[:2048]


def of_volumes(folder: Path) -> Seeds:
    """Return TIFF files of several layouts, and meshes."""
    path = folder / "volume.tiff"
    written = {}
    layouts: dict[str, dict[str, Any]] = {
        "deflate": {"compression": "zlib"},
        "strips": {"rowsperstrip": 1},
        "tiles": {"tile": (16, 16)},
        "big_endian": {"byteorder": ">"},
        "bigtiff": {"bigtiff": True},
    }
    for name, options in layouts.items():
        tifffile.imwrite(path, ANNOTATION, photometric="minisblack", metadata=None, **options)
        written[name] = path.read_bytes()
    volumes.write_contiguous(path, [ANNOTATION.reshape(-1)], shape=SHAPE, kind="ranks")
    written["ours"] = path.read_bytes()
    written["other_shape"] = written["strips"].replace(b"\x04\0\0\0", b"\x05\0\0\0", 1)[:-40]
    corners = np.array([[0, 0, 0], [10, 0, 0], [0, 10, 0], [0, 0, 10]], dtype=np.float64)
    faces = np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]])
    data, index = draco(corners, faces)
    return {
        "tiff_volume": written,
        "obj_mesh": {
            "plain": TETRAHEDRON.encode(),
            "normals": b"# a\nv 0 0 0 1\nv 1 0 0\nv .5 1e0 -0\nvn 0 0 1\nvt 0 0\nf 1/1/1 2//1 -1\n",
            "quad": b"v 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\nf 1 2 \\\n3 4\n",
            "strangers": b"v 0 0 0\nf 1 2 3\n",
        },
        "draco_mesh": {
            "mesh": len(index).to_bytes(2, "little") + index + data,
            "nothing": b"\0\0",
        },
    }


def of_cells(folder: Path) -> Seeds:
    """Return tables of cells in all formats."""
    table = pa.table(CELLS)
    array = np.stack([np.array(column) for column in CELLS.values()], axis=-1)
    pq.write_table(table, folder / "t.parquet", compression="none")
    pq.write_table(table, folder / "packed.parquet", compression="zstd")
    pa.feather.write_feather(table, folder / "t.arrow", compression="uncompressed")
    pa.feather.write_feather(table, folder / "packed.arrow", compression="lz4")
    np.save(folder / "t.npy", array)
    np.save(folder / "fortran.npy", np.asfortranarray(array.astype(">f4")))
    columns: dict[str, Any] = {name: np.array(column) for name, column in CELLS.items()}
    np.savez(folder / "t.npz", **columns)
    np.savez_compressed(folder / "packed.npz", array)
    with h5py.File(folder / "t.points", "w", libver="latest") as file:  # as pandas writes them
        file["df/axis0"] = np.array([b"0", b"1", b"2"])
        file["df/block0_items"] = file["df/axis0"][:]
        file["df/axis1"] = [0]
        file["df/block0_values"] = [[1.0, 2.0, 3.0]]
    with h5py.File(folder / "plain.points", "w", libver="latest") as file:
        file["df/x"] = [1.0]
    marker = "<Marker><MarkerX>{}</MarkerX><MarkerY>2</MarkerY><MarkerZ>3</MarkerZ></Marker>"
    kind = (
        "<Marker_Type><Type>2</Type>" + marker.format(1) + marker.format("4.5") + "</Marker_Type>"
    )
    xml = f'<?xml version="1.0" encoding="UTF-8"?><CellCounter_Marker_File><Marker_Data>{kind}'
    home = ["--home", str(folder / "home")]
    (folder / "c.csv").write_text("ap_um,si_um,rl_um,animal\n4950,4150,3150,m1\n")
    shard = ["--partial", "-o", str(folder / "shard.parquet"), "--by", "animal"]
    run([*home, "ingest", ATLAS, "-q"])
    run([*home, "cells", "count", str(folder / "c.csv"), "--atlas", ATLAS, *shard])
    said = pq.read_schema(folder / "shard.parquet").metadata[partial._MARK]
    files = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    return {
        "cells_text": {
            "plain": b"ap_um,si_um,rl_um,id\n1,2,3,007\n-1.5,NA,1e3,\n",
            "quotes": b'ap_um;si_um;rl_um;note\r\n1;2;3;"a;""b""\nc"\r\n+4;5;6;5" x\r\n',
            "no_names": b"1 2 3\n4  5 6",
            "tabs": "\ufeff\tap_mm\tsi_mm\trl_mm\n0\t1\t2\t3\n".encode(),
            "open_quote": b'ap_um,si_um,rl_um,n\n1,2,3,"x\n4,5,6,y\n',
        },
        "cells_rows": {"quotes": b'a,"b\n""c"\nd\te"\n"f\r\n",\n"', "none": b"a,b\nc"},
        "cells_xml": {
            "markers": (xml + "</Marker_Data></CellCounter_Marker_File>").encode(),
            "doctype": b"<!DOCTYPE x [<!ENTITY e 'y'>]><x>&e;</x>",
        },
        "cells_yaml": {
            "cells": b"candidate_cells:\n- {x: 1, y: 2, z: 3, type: 2}\n- x: 4.5\n  y: 5\n  z: 6\n  type: 1\n",
            "anchors": b"candidate_cells:\n- &a {x: 1, y: 2, z: 3, type: 1}\n- *a\n",
        },
        "cells_npy": {"c": files["t.npy"], "fortran": files["fortran.npy"], "none": b"\x93NUMPY"},
        "cells_npz": {"columns": files["t.npz"], "packed": files["packed.npz"], "none": b"PK"},
        "cells_parquet": {
            "plain": files["t.parquet"], "packed": files["packed.parquet"], "none": b"PAR1",
        },
        "cells_arrow": {
            "plain": files["t.arrow"], "packed": files["packed.arrow"], "none": b"ARROW1",
        },
        "cells_hdf": {"pandas": files["t.points"], "no_table": files["plain.points"]},
        "cells_partial": {"shard": files["shard.parquet"], "no_shard": files["t.parquet"]},
        "partial_said": {"said": said.replace(b'"cells": 1', b'"cells": 7'), "none": b"{}"},
        "cells_columns": {"names": b"id\nap_um\nsi_um\nrl_um", "axes": b"x\ny\nz", "twice": b"x\nx"},
    }  # fmt: skip


def of_words() -> Seeds:
    """Return lists, names, SQL and other texts."""
    page = (
        b'<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><IsTruncated>false'
        b"</IsTruncated><EncodingType>url</EncodingType><Contents><Key>atlas/a%2Fb+c</Key><ETag>"
        b'"9a0364b9e99bb480dd25e1f0284c8555"</ETag><Size>7</Size></Contents></ListBucketResult>'
    )
    return {
        "listing": {"conf": b"[atlases]\nallen_mouse_25um = 1.2\nx = 1.10.1\n", "html": b"<html>"},
        "bucket_page": {"page": page, "error": b"<Error/>"},
        "sums": {
            "plain": b"ab" * 32 + b"  ./x.tar.gz\n" + b"SHA256 (y) = " + b"cd" * 32 + b"\n",
            "none": b"hello",
        },
        "object_key": {"key": b"atlases/x_25um/3_0/manifest.json", "up": b"a/../../b"},
        "atlas_name": {"version": b"allen_mouse_25um@1.2", "name": b"kim", "up": b"../x@1"},
        "values_csv": {
            "rows": b"acronym,hemisphere,cells,animal\nCP,left,3,m1\nCTX,both,4.5,m2\n",
            "strangers": b"acronym,cells\nnowhere,1\n",
        },
        "values_json": {"dictionary": b'{"CP": 3, "CTX": 4.5}', "list": b"[1, 2]"},
        "citation": {
            "two": b"Wang et al 2020, https://doi.org/10.1016/j.cell.2020.04.007; (Kim, Y. and Lee, "
            b"B. 2015) 10.1/a(b)c).",
        },
        "sql_reading": {
            "select": b"SELECT 1 AS a, 'x;y' FROM range(3) -- c\n; EXPLAIN",
            "explain": b"EXPLAIN ANALYZE SELECT $$a$$",
            "copy": b"/* x */ COPY (SELECT 1) TO 'x'",
        },
        "sql_untrusted": {
            "select": b"WITH a AS (SELECT 1) SELECT * FROM a, range(3)",
            "file": b"SELECT * FROM 'x.csv'",
        },
        "named_queries": {
            "one": b"-- name: n\n-- Rows.\n-- $limit integer = 3: how many\nFROM t;\n",
            "odd": b"-- name: n\n-- $limit\nFROM t",
        },
        "query_parameter": {"number": b"12", "word": b"x"},
        "limit_words": {"two": b"ratio=7, columns=9", "none": b"x=1"},
        "orientation": {"letters": b"lpi", "none": b"xyz"},
    }


def seeds() -> Seeds:
    """Return all seeds, by target and name."""
    with tempfile.TemporaryDirectory() as folder:
        parts = [Path(folder) / part for part in ("packages", "volumes", "cells")]
        for part in parts:
            part.mkdir()
        packages, images, cells = parts
        return of_packages(packages) | of_volumes(images) | of_cells(cells) | of_words()


def main() -> None:
    """Write them."""
    corpus = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "corpus"
    found = seeds()
    assert set(found) == set(TARGETS)
    for name, inputs in found.items():
        folder = corpus / name
        folder.mkdir(parents=True, exist_ok=True)
        for stem, content in inputs.items():
            (folder / stem).write_bytes(content)


if __name__ == "__main__":
    main()
