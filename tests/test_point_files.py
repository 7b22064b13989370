"""Tables of points from files of every kind: nothing lost, nothing guessed, errors with a place."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import threading
import warnings
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.feather as pa_feather
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from servers import Bucket

from atlasdb.cells.columns import Coordinates, Stated, find_coordinates
from atlasdb.cells.flow import in_order
from atlasdb.cells.pieces import BLOCK_ROWS, Block
from atlasdb.cells.positions import Positions
from atlasdb.cells.reading import Points, open_points
from atlasdb.cells.text import end_of_rows
from atlasdb.errors import PointsError
from atlasdb.voxels.grid import Grid

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

MICRONS = ("ap_um", "si_um", "rl_um")
GRID = Grid((4, 3, 7), (50.0, 20.0, 10.0))


def table_of(points: Points) -> pa.Table:
    return pa.Table.from_batches([block.rows for block in points.blocks()])


def positions_of(points: Points, grid: Grid = GRID) -> list[list[float]]:
    read = Positions(points.coordinates, grid)
    found: list[list[float]] = np.concatenate([read(b) for b in points.blocks()]).tolist()
    return found


def cells(rows: int = 10) -> pa.Table:
    """Return cells with ids of every kind, unique in each row."""
    chance = np.random.default_rng(rows)
    numbers = np.arange(rows)
    return pa.table(
        {
            "cell_id": [f"00{2**53 + n}" for n in range(rows)],
            "big": pa.array(numbers + 2**62),
            "sample": pa.array([["a", "b", None][n % 3] for n in range(rows)]).dictionary_encode(),
            "when": pa.array(numbers, pa.timestamp("ns", "UTC")),
            **{name: chance.uniform(-10, 210, rows).round(3) for name in MICRONS},
            "tags": pa.array([[n, n + 1] for n in range(rows)]),
        }
    )


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("a.parquet", lambda t, p: pq.write_table(t, p, row_group_size=3)),
        ("a.pq", pq.write_table),
        ("a.feather", lambda t, p: pa_feather.write_feather(t, str(p), chunksize=4)),
        ("a.arrow", lambda t, p: _write_ipc(t, p, pa.ipc.new_file)),
        ("a.ipc", lambda t, p: _write_ipc(t, p, pa.ipc.new_stream)),
    ],
)
def test_columns_keep_their_types_and_rows_their_order(
    tmp_path: Path, name: str, write: Callable[[pa.Table, Path], object]
) -> None:
    table = cells()
    write(table, tmp_path / name)
    points = open_points(tmp_path / name)
    assert points.coordinates == Coordinates(MICRONS, "um")
    found = table_of(points)
    assert found.schema.types == table.schema.types
    assert found.equals(table)
    some = pa.Table.from_batches([b.rows for b in points.blocks(["rl_um", "big"])])
    assert some.equals(table.select(["rl_um", "big"]))
    empty = table.slice(0, 0)
    write(empty, tmp_path / name)
    assert table_of(open_points(tmp_path / name)).equals(empty), "no rows are no error"


def _write_ipc(table: pa.Table, path: Path, new: Any) -> None:
    with new(str(path), table.schema) as writer:
        writer.write_table(table.combine_chunks(), max_chunksize=4)


@pytest.mark.parametrize("ending", [".csv", ".tsv", ".txt", ".csv.gz", ".tsv.gz"])
def test_texts_stay_as_they_are_written(tmp_path: Path, ending: str) -> None:
    mark = {".csv": ",", ".tsv": "\t", ".txt": ";"}[ending.removesuffix(".gz")]
    rows = [["007", "1e3", "1.5", "2", "-3", "NA"], ["9007199254740993", "", "", "nan", "+4", "x"]]
    names = ["cell_id", "note", *MICRONS, "last"]
    text = "\n".join(mark.join(row) for row in [names, *rows]) + "\n"
    file = tmp_path / f"cells{ending}"
    file.write_bytes(gzip.compress(text.encode()) if ending.endswith("gz") else text.encode())
    found = table_of(open_points(file)).to_pylist()
    assert [row["cell_id"] for row in found] == ["007", "9007199254740993"]
    assert [row["note"] for row in found] == ["1e3", ""]
    assert [row["last"] for row in found] == ["NA", "x"], "only coordinates may be missing"
    assert [found[0][name] for name in MICRONS] == [1.5, 2.0, -3.0]
    assert found[1]["ap_um"] is None
    assert found[1]["rl_um"] == 4.0


def test_names_of_columns_that_have_none(tmp_path: Path) -> None:
    file = tmp_path / "cells.csv"
    file.write_text(", ap_um ,si_um,rl_um,,\n0,1,2,3,a,b\n")
    points = open_points(file)
    assert points.schema.names == ["index", *MICRONS, "column_4", "column_5"]
    assert table_of(points)["column_5"].to_pylist() == ["b"]


def test_several_members_of_a_compressed_text(tmp_path: Path) -> None:
    """As `cat a.gz b.gz` makes them: a reader that stops at the first would lose cells."""
    file = tmp_path / "cells.csv.gz"
    parts = [b"ap_um,si_um,rl_um\n1,2,3\n", b"4,5,6\n"]
    file.write_bytes(b"".join(map(gzip.compress, parts)))
    assert table_of(open_points(file)).num_rows == 2
    file.write_bytes(file.read_bytes()[:-12])
    with pytest.raises(PointsError, match=r"cells.csv.gz cannot be read: .*(ended|CRC|stored)"):
        table_of(open_points(file))


def test_arrays(tmp_path: Path) -> None:
    points = np.random.default_rng(1).uniform(0, 100, (BLOCK_ROWS + 5, 3))
    for dtype in ("f4", ">f8", "f2", "i8", "u1", "longdouble"):
        for order in ("C", "F"):
            rows = points if dtype in {">f8", "f2"} else points[:99]
            given = np.array(rows.astype(dtype), order=order)
            np.save(tmp_path / "a.npy", given)
            np.savez(tmp_path / "a.npz", anything=given)
            np.savez_compressed(tmp_path / "b.npz", anything=given)
            for name in ("a.npy", "a.npz", "b.npz"):
                found = open_points(tmp_path / name, Stated(unit="mm"))
                assert found.coordinates.columns == ("ap_mm", "si_mm", "rl_mm")
                np.testing.assert_array_equal(positions_of(found), given.astype("f8"))
    columns = {"rl_um": points[:, 2], "ap_um": points[:, 0], "si_um": points[:, 1].astype("f4")}
    names = np.array([f"n{i}" for i in range(len(points))])
    np.savez(tmp_path / "c.npz", cell=names, **columns)  # type: ignore[arg-type]
    found = open_points(tmp_path / "c.npz")
    assert table_of(found)["cell"].to_pylist() == names.tolist()
    np.testing.assert_allclose(positions_of(found), points, rtol=1e-6)
    records = np.empty(4, [("id", "i8"), ("ap_um", "f8"), ("si_um", "f4"), ("rl_um", "f8")])
    for number, field in enumerate(("id", *MICRONS)):
        records[field] = np.arange(4) + number
    np.save(tmp_path / "d.npy", records)
    assert positions_of(open_points(tmp_path / "d.npy")) == [
        [n + 1, n + 2, n + 3] for n in range(4)
    ]
    np.save(tmp_path / "e.npy", np.empty((0, 3)))
    assert positions_of(open_points(tmp_path / "e.npy", Stated(unit="um"))) == []


def test_arrays_that_are_none(tmp_path: Path) -> None:
    file = tmp_path / "a.npy"
    np.save(file, np.zeros((2, 3)))
    with pytest.raises(PointsError, match="does not say what its coordinates axis0.* are in: add"):
        open_points(file)
    for array, message in (
        (np.zeros((3, 2)), r"must hold an array of \(N, 3\), found \(3, 2\)"),
        (np.zeros((2, 3), bool), "must hold real numbers, found bool"),
        (np.zeros((2, 3), complex), "must hold real numbers, found complex128"),
    ):
        np.save(file, array)
        with pytest.raises(PointsError, match=message):
            open_points(file, Stated(unit="um"))
    np.save(file, np.array([[{}, {}, {}]]), allow_pickle=True)
    with pytest.raises(PointsError, match="holds Python objects, which could run code"):
        open_points(file, Stated(unit="um"))
    np.save(file, np.zeros((1000, 3)))
    file.write_bytes(file.read_bytes()[:-8])
    with pytest.raises(PointsError, match="a.npy is truncated: 8 bytes are missing"):
        positions_of(open_points(file, Stated(unit="um")))
    file.write_bytes(b"\x93NUMPY\x09\x00")
    with pytest.raises(PointsError, match=r"has a .npy format that is not known: \(9, 0\)"):
        open_points(file, Stated(unit="um"))
    file.write_bytes(b"PK")
    with pytest.raises(PointsError, match=r"is no readable .npy file"):
        open_points(file, Stated(unit="um"))
    header = np.lib.format.header_data_from_array_1_0(np.zeros((2, 3)))
    for shape, fortran, message in (
        ((10**13, 3), False, "is truncated: "),
        ((10**13, 3), True, "is truncated: "),
        ((-1, 3), False, r"it says that its shape is \(-1, 3\)"),
    ):
        with file.open("wb") as stream:
            said = header | {"shape": shape, "fortran_order": fortran}
            np.lib.format.write_array_header_1_0(stream, said)
            stream.write(b"\0" * 48)
        with pytest.raises(PointsError, match=message):
            positions_of(open_points(file, Stated(unit="um")))
    archive = tmp_path / "b.npz"
    np.savez(archive, ap_um=np.zeros(3), si_um=np.zeros(3), rl_um=np.zeros(2))
    with pytest.raises(PointsError, match="the arrays of .*b.npz have different lengths"):
        _ = open_points(archive).rows
    np.savez(archive, a=np.zeros((3, 3)), b=np.zeros((3, 3)))
    with pytest.raises(PointsError, match="holds the arrays a, b: leave one"):
        open_points(archive, Stated(unit="um"))
    archive.write_bytes(b"PK")
    with pytest.raises(PointsError, match="is no readable .npz file"):
        open_points(archive, Stated(unit="um"))


MARKERS = """<?xml version="1.0" encoding="UTF-8"?>
<CellCounter_Marker_File>
  <Image_Properties><Image_Filename>placeholder.tif</Image_Filename></Image_Properties>
  <Marker_Data><Current_Type>1</Current_Type>
    <Marker_Type><Type>1</Type>
      <Marker><MarkerX>3</MarkerX><MarkerY>2</MarkerY><MarkerZ>1</MarkerZ></Marker>
    </Marker_Type>
    <Marker_Type><Type>2</Type>
      <Marker><MarkerX>6</MarkerX><MarkerY>1</MarkerY><MarkerZ>0</MarkerZ></Marker>
    </Marker_Type>
  </Marker_Data>
</CellCounter_Marker_File>
"""
IN_ATLAS = Stated(space="atlas", unit="voxel")


def test_cells_of_cellfinder(tmp_path: Path) -> None:
    """Written by its own functions: refused as raw, and read in reverse order if they are not."""
    from brainglobe_utils.cells.cells import Cell
    from brainglobe_utils.IO.cells import cells_to_csv, save_cells

    given = [
        Cell((3, 2, 1), Cell.UNKNOWN),
        Cell((6, 1, 2), Cell.CELL, metadata={"intensity": 7}),
    ]
    for name in ("cells.xml", "cells.yml", "cells.csv"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of its own functions
            if name.endswith("csv"):
                cells_to_csv(given, tmp_path / name)
            else:
                save_cells(given, str(tmp_path / name))
        with pytest.raises(PointsError, match=r"voxels of the raw sample.*--space atlas") as caught:
            open_points(tmp_path / name)
        assert name in str(caught.value)
    for name in ("cells.xml", "cells.yml"):
        points = open_points(tmp_path / name, IN_ATLAS)
        assert sorted(positions_of(points)) == [[1, 2, 3], [2, 1, 6]]
        rows = {row["type"]: row for row in table_of(points).to_pylist()}
        assert set(rows) == {1, 2}, "what is no cell is told from cells"
        assert points.measure == "bytes"
        with pytest.raises(PointsError, match="does not say what its coordinates .* are in"):
            open_points(tmp_path / name, Stated(space="atlas"))
    assert json.loads(rows[2]["metadata"]) == {"intensity": "7"}
    stated = Stated(columns=("z", "y", "x"), space="atlas", unit="voxel")
    assert sorted(positions_of(open_points(tmp_path / "cells.csv", stated))) == [
        [1, 2, 3],
        [2, 1, 6],
    ]
    with pytest.raises(
        PointsError, match="x, y, z of .* are, as it seems, voxels of the raw sample"
    ):
        open_points(tmp_path / "cells.csv", Stated(columns=("z", "y", "x"), unit="voxel"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            '<!DOCTYPE x [<!ENTITY a "b">]>\n' + MARKERS.partition("\n")[2],
            "line 1: a document type with entities",
        ),
        ("<html></html>", "it begins with <html>, not <CellCounter_Marker_File>"),
        (MARKERS.replace("<MarkerY>1</MarkerY>", ""), "row 2 (line 9) has no MarkerY"),
        (
            MARKERS.replace("<MarkerX>3<", "<MarkerX>three<"),
            "row 1 (line 6): MarkerX holds 'three'",
        ),
        (MARKERS[:300], "is no readable XML"),
        (MARKERS.replace("<Type>2</Type>", "<Type>two</Type>"), "Type holds 'two'"),
        ("", "is no readable XML: no element found"),
        ("<CellCounter_Marker_File>" + "<a>" * 40, "more than 32 elements within each other"),
    ],
)
def test_xml_that_is_refused(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "cells.xml"
    file.write_text(text)
    with pytest.raises(PointsError) as caught:
        table_of(open_points(file, IN_ATLAS))
    assert message in str(caught.value)
    assert "cells.xml" in str(caught.value)


def test_external_entities_are_never_read(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("42")
    file = tmp_path / "cells.xml"
    entity = f'<!DOCTYPE x [<!ENTITY s SYSTEM "{secret}">]>'
    file.write_text(entity + MARKERS.partition("\n")[2].replace(">3<", ">&s;<"))
    with pytest.raises(PointsError, match="entities"):
        table_of(open_points(file, IN_ATLAS))


CELLS_YAML = "CellCounter_Marker_File: true\ncandidate_cells:\n- {x: 1, y: 2, z: 3, type: 2}\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (CELLS_YAML.replace("x: 1", "x: one"), "row 1: x holds 'one', which is no number"),
        (CELLS_YAML.replace("x: 1, ", ""), "row 1 has no x"),
        (CELLS_YAML.replace("x: 1", "x: &a 1"), "line 3: anchors, aliases and tags"),
        (CELLS_YAML.replace("x: 1", "x: *a"), "line 3: anchors, aliases and tags"),
        (CELLS_YAML.replace("x: 1", "x: !!python/name:os.system 1"), "anchors, aliases and tags"),
        (CELLS_YAML.replace("- {", "- - {"), "row 1 is no cell"),
        ("a: 1\n", "it has no candidate_cells"),
        ("- 1\n", "it has no candidate_cells"),
        ("", "it has no candidate_cells"),
        ("candidate_cells: " + "[" * 5_000, "over 32 levels within each other"),
        (CELLS_YAML + "  x: [", "is no readable YAML"),
    ],
)
def test_yaml_that_is_refused(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "cells.yml"
    file.write_text(text)
    with pytest.raises(PointsError) as caught:
        table_of(open_points(file, IN_ATLAS))
    assert message in str(caught.value)
    assert "cells.yml" in str(caught.value)


def test_many_cells_of_cellfinder_in_blocks(tmp_path: Path) -> None:
    """More than a block: numbers, order and the bytes told add up."""
    count = BLOCK_ROWS + 3
    head, _, rest = MARKERS.partition("      <Marker>")
    tail = rest[rest.index("    </Marker_Type>") :]
    marker = "<Marker><MarkerX>{}</MarkerX><MarkerY>2</MarkerY><MarkerZ>1</MarkerZ></Marker>\n"
    file = tmp_path / "cells.xml"
    file.write_text(head + "".join(marker.format(n) for n in range(count)) + tail)
    blocks = list(open_points(file, IN_ATLAS).blocks(["MarkerX"]))
    assert [block.first for block in blocks] == [0, BLOCK_ROWS]
    found = pa.Table.from_batches([block.rows for block in blocks])["MarkerX"].to_pylist()
    assert found == [*range(count), 6]


def test_points_of_brainmapper(tmp_path: Path) -> None:
    """HDF5 as pandas writes it, by h5py: what is pickled in it is never read."""
    frame = pd.DataFrame(np.array([[1.0, 2.0, 3.0], [0.0, 1.0, 6.0]]))
    for name in ("atlas.points", "downsampled.points"):
        frame.to_hdf(tmp_path / name, key="df", mode="w")
    with pytest.raises(PointsError, match=r"does not say what its coordinates 0, 1, 2 are in"):
        open_points(tmp_path / "atlas.points")
    points = open_points(tmp_path / "atlas.points", Stated(unit="voxel"))
    assert positions_of(points) == [[1, 2, 3], [0, 1, 6]]
    assert points.rows == 2
    with pytest.raises(PointsError, match=r"downsampled.points are the sample's.*--space atlas"):
        open_points(tmp_path / "downsampled.points", Stated(unit="voxel"))
    assert open_points(tmp_path / "downsampled.points", IN_ATLAS).rows == 2
    (tmp_path / "c").mkdir()
    pd.DataFrame({"a": [1.0]}).to_hdf(tmp_path / "c" / "atlas.points", key="df")
    with pytest.raises(PointsError, match="has no 'df' with the columns 0, 1, 2"):
        _ = open_points(tmp_path / "c" / "atlas.points", Stated(unit="voxel")).rows
    (tmp_path / "c" / "atlas.points").write_bytes(b"\x89HDF\r\n\x1a\nnothing")
    with pytest.raises(PointsError, match="atlas.points cannot be read"):
        _ = open_points(tmp_path / "c" / "atlas.points", Stated(unit="voxel")).rows


ALL_POINTS = [f"coordinate_{space}_axis_{axis}" for space in ("raw", "atlas") for axis in range(3)]


@pytest.mark.parametrize(
    ("names", "stated", "expected"),
    [
        (["id", *MICRONS], {}, Coordinates(MICRONS, "um")),
        (["rl_mm", "si_mm", "ap_mm"], {}, Coordinates(("ap_mm", "si_mm", "rl_mm"), "mm")),
        (
            ["axis0_ap_um", "axis1_si_um", "axis2_rl_um"],
            {},
            Coordinates(("axis0_ap_um", "axis1_si_um", "axis2_rl_um"), "um"),
        ),
        (ALL_POINTS, {}, Coordinates(tuple(ALL_POINTS[3:]), "voxel")),  # type: ignore[arg-type]
        (["ap", "si", "rl"], {"unit": "m"}, Coordinates(("ap", "si", "rl"), "m")),
        (["ap", "si", "rl"], {"default_unit": "um"}, Coordinates(("ap", "si", "rl"), "um")),
        (
            ["x", "y", "z", "cell_label"],  # an ABC atlas's table
            {"columns": ("x", "y", "z"), "unit": "mm", "orientation": "ASL"},
            Coordinates(("x", "y", "z"), "mm", "asl"),
        ),
        (
            ["axis0_ap_um", "axis1_si_um", "axis2_lr_um"],
            {"orientation": "asl"},
            Coordinates(("axis0_ap_um", "axis1_si_um", "axis2_lr_um"), "um", "asl"),
        ),
        (
            ["lr_mm", "is_mm", "ap_mm"],
            {"orientation": "lia"},
            Coordinates(("lr_mm", "is_mm", "ap_mm"), "mm", "lia"),
        ),
        ([*MICRONS, "ap_mm", "si_mm", "rl_mm"], {"unit": "um"}, Coordinates(MICRONS, "um")),
        (
            [*MICRONS],
            {"orientation": "sar"},
            Coordinates(("si_um", "ap_um", "rl_um"), "um", "sar"),
        ),
        (["a_mm", "b_mm", "c_mm"], {"columns": ("a_mm", "b_mm", "c_mm")}, None),
    ],
)
def test_columns_whose_names_leave_no_doubt(
    names: list[str], stated: dict[str, Any], expected: Coordinates | None
) -> None:
    found = find_coordinates(names, Stated(**stated), "a table")
    assert found == (expected or Coordinates(("a_mm", "b_mm", "c_mm"), "mm"))


@pytest.mark.parametrize(
    ("names", "stated", "message"),
    [
        (["x", "y", "z"], {}, "x, y and z mean other axes in every program"),
        (["x", "y", "z", "type"], {}, "looks like a table of cellfinder's"),
        (["x", "y", "z", "type"], {"columns": ("z", "y", "x"), "unit": "um"}, "raw sample"),
        (["x", "y", "z"], {"columns": ("z", "y", "x"), "unit": "voxel"}, "raw sample"),
        (["x", "y", "z"], {"columns": ("x", "y", "z")}, "add --unit um|mm|m|voxel"),
        (ALL_POINTS[:3], {}, "coordinates of the raw sample only"),
        (ALL_POINTS, {"columns": ALL_POINTS[:3], "unit": "voxel"}, "are coordinates of the raw"),
        (["ap", "si", "rl"], {}, "does not say what its coordinates ap, si, rl are in"),
        (["ap_um", "si_um", "lr_um"], {}, "counts from the left .*: add --orientation asl"),
        ([*MICRONS, "ap_mm", "si_mm", "rl_mm"], {}, "has coordinates in ap_um.* and in ap_mm"),
        ([*MICRONS], {"unit": "mm"}, "has the columns ap_um, si_um, rl_um"),
        (["x", "y", "z"], {"orientation": "sar"}, "from superior, from anterior and from right"),
        ([*MICRONS, "ap_um"], {}, "has several columns called ap_um"),
        (["a"], {"columns": ("a", "b", "c")}, "has no column b, c; it has a"),
        (["AP_um", "si_um", "rl_um"], {}, "has the columns AP_um"),
    ],
)
def test_doubts_are_refused(names: list[str], stated: dict[str, Any], message: str) -> None:
    with pytest.raises(PointsError, match=message.replace("|", r"\|")):
        find_coordinates(names, Stated(**stated), "a table")


@pytest.mark.parametrize(
    ("stated", "message"),
    [
        ({"unit": "cm"}, "no unit 'cm': coordinates are in um, mm, m, voxel"),
        ({"orientation": "xyz"}, "'xyz' is no orientation: expected three letters"),
        ({"space": "raw"}, "no space 'raw'"),
        ({"columns": ("a", "b", "a")}, "the coordinates are three columns, not a, b, a"),
    ],
)
def test_statements_that_are_none(stated: dict[str, Any], message: str) -> None:
    with pytest.raises(PointsError, match=message):
        Stated(**stated)


@settings(max_examples=200, deadline=None)
@given(
    letters=st.permutations(["ap", "si", "rl"]).flatmap(
        lambda axes: st.tuples(*(st.sampled_from(list(axis)) for axis in axes))
    ),
    unit=st.sampled_from(["um", "mm", "m", "voxel"]),
    voxel=st.tuples(st.integers(0, 3), st.integers(0, 2), st.integers(0, 6)),
    within=st.tuples(*[st.floats(0.01, 0.99)] * 3) | st.just((0.0, 0.0, 0.0)),
)
def test_orientations_mirror(
    letters: tuple[str, ...],
    unit: str,
    voxel: tuple[int, int, int],
    within: tuple[float, float, float],
) -> None:
    """A voxel of a volume that is turned with its points stays the same voxel."""
    from atlasdb.space import Reorientation

    orientation = "".join(letters)
    if unit != "voxel" and 0.0 in within:
        within = (0.5, 0.5, 0.5)  # a point on a face belongs to the other voxel when mirrored
    number = np.arange(GRID.size).reshape(GRID.shape)
    turned = Reorientation.between("asr", orientation)
    there = turned.volume(number)
    index = Reorientation.between(orientation).inverse.axes
    where = [voxel[axis] for axis in index]
    flips = turned.flips
    where = [n - 1 - w if f else w for w, n, f in zip(where, there.shape, flips, strict=True)]
    assert there[tuple(where)] == number[voxel]
    edges = [GRID.resolution_um[axis] for axis in index]
    scale = {"um": 1.0, "mm": 1e3, "m": 1e6}.get(unit)
    point = [w + x for w, x in zip(where, within, strict=True)]
    if scale is not None:
        point = [p * edge / scale for p, edge in zip(point, edges, strict=True)]
    batch = pa.record_batch({name: [value] for name, value in zip("abc", point, strict=True)})
    read = Positions(Coordinates(("a", "b", "c"), unit, orientation), GRID)
    (found,) = read(Block(batch, "a table", 0, 1))
    assert GRID.voxels_at([found], unit=unit).tolist() == [list(voxel)]


def test_values_that_are_no_numbers(tmp_path: Path) -> None:
    """One error with file, column and row, whatever the file's kind and however long it is."""
    rows = 300_000
    file = tmp_path / "cells.csv"
    pa_csv.write_csv(pa.table({name: np.arange(rows) for name in MICRONS}), file)
    lines = file.read_text().splitlines()
    lines[250_001] = "1,two,3"
    file.write_text("\n".join(lines))
    with pytest.raises(PointsError, match=r"cells.csv, row 250,001: column si_um holds 'two'"):
        table_of(open_points(file))
    lines[250_001] = "1,2"
    file.write_text("\n".join(lines))
    with pytest.raises(PointsError, match=r"cells.csv, row 250,001 cannot be read: Expected 3 col"):
        table_of(open_points(file))
    texts = [str(n) for n in range(rows)]
    texts[250_000] = "1_000"
    table = pa.table({"ap_um": texts, "si_um": np.arange(rows), "rl_um": np.arange(rows)})
    pq.write_table(table, tmp_path / "cells.parquet", row_group_size=70_000)
    with pytest.raises(PointsError, match=r"parquet, row 250,001: column ap_um holds '1_000'"):
        positions_of(open_points(tmp_path / "cells.parquet"))
    for values, kind in (
        (pa.array([True]), "bool"),
        (pa.array([1], pa.timestamp("s")), "timestamp"),
        (pa.array([[1.0]]), "list"),
        (pa.array([b"1"]), "binary"),
    ):
        table = pa.table({"ap_um": values, "si_um": [1], "rl_um": [1]})
        pq.write_table(table, tmp_path / "cells.parquet")
        with pytest.raises(PointsError, match=f"column ap_um of .* holds {kind}.*, not numbers"):
            positions_of(open_points(tmp_path / "cells.parquet"))


@pytest.mark.parametrize(
    "values",
    [
        pa.array([1, None, 3], pa.int8()),
        pa.array([1, None, 2**63], pa.uint64()),
        pa.array([1.5, None, float("nan")], pa.float32()),
        pa.array([1.5, float("inf"), None], pa.float16()),
        pa.array(["1.5", None, "-2e1"]),
        pa.array(["1.5", None, "nan"], pa.large_string()),
        pa.array(["7", "7", None]).dictionary_encode(),
        pa.array([1, None, 2], pa.decimal128(9, 2)),
        pa.nulls(3),
    ],
    ids=lambda values: str(values.type).partition("<")[0],
)
def test_numbers_of_every_type(tmp_path: Path, values: Any) -> None:
    table = pa.table({"ap_um": values, "si_um": [0, 1, 2], "rl_um": [3.0, 4.0, 5.0]})
    file = tmp_path / "cells.arrow"
    _write_ipc(table, file, pa.ipc.new_file)
    found = np.array(positions_of(open_points(file)))
    plain = values.dictionary_decode() if pa.types.is_dictionary(values.type) else values
    wanted = [np.nan if v is None else float(v) for v in plain.to_pylist()]
    np.testing.assert_array_equal(found[:, 0], wanted)
    np.testing.assert_array_equal(found[:, 1:], [[0, 3], [1, 4], [2, 5]])


def shards(folder: Path) -> pa.Table:
    """Write shards with partitions; return all rows in the order of natural names."""
    table = cells(30)
    for number in range(3):
        inside = folder / f"animal=m{number:02}" / "day=a%20b"
        inside.mkdir(parents=True)
        for part in (2, 10):
            rows = table.slice(number * 10 + (0 if part == 2 else 5), 5)
            pq.write_table(rows, inside / f"part-{part}.parquet")
    (folder / "_SUCCESS").touch()
    (folder / "animal=m00" / ".part-2.parquet.crc").touch()
    return table


def test_folders_globs_and_partitions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "cells"
    table = shards(folder)
    for source in (folder, f"{folder}/**/*.parquet", f"{folder}/*/*/part-*.parquet"):
        points = open_points(str(source))
        found = table_of(points)
        assert found.select(table.column_names).equals(table), source
        assert found["animal"].to_pylist() == [f"m{n // 10:02}" for n in range(30)]
        assert set(found["day"].to_pylist()) == {"a b"}
        assert points.rows == 30
    one = open_points(folder / "animal=m01")
    assert "animal" not in one.schema.names, "only folders below the one that was named state"
    assert "day" in one.schema.names
    monkeypatch.chdir(tmp_path)
    several = open_points(["cells/animal=m02", "cells/animal=m00"])
    assert (
        table_of(several)["big"].to_pylist()
        == table["big"].to_pylist()[20:] + (table["big"].to_pylist()[:10])
    )
    below = tmp_path / "run=3" / "a[1]"
    shutil.copytree(folder, below / "cells")
    monkeypatch.chdir(below)
    for source in ("cells", "cells/**/*.parquet", "*/*/*/*.parquet"):
        points = open_points(source)
        assert table_of(points)["animal"].to_pylist() == [f"m{n // 10:02}" for n in range(30)]
        assert "run" not in points.schema.names, "only what is below what was named"
        assert all(Path(piece.piece.source.path).is_absolute() for piece in points.pieces), (  # type: ignore[attr-defined]
            "another machine has another working folder"
        )
    (folder / "animal=__HIVE_DEFAULT_PARTITION__" / "day=x").mkdir(parents=True)
    pq.write_table(table, folder / "animal=__HIVE_DEFAULT_PARTITION__" / "day=x" / "a.parquet")
    assert table_of(open_points(folder))["animal"].null_count == 30


def test_a_partition_that_the_files_have_themselves(tmp_path: Path) -> None:
    (tmp_path / "c" / "sample=x").mkdir(parents=True)
    table = cells(3)
    pq.write_table(table, tmp_path / "c" / "sample=x" / "a.parquet")
    assert table_of(open_points(tmp_path / "c")).equals(table)


def test_files_that_do_not_fit_each_other(tmp_path: Path) -> None:
    folder = tmp_path / "cells"
    folder.mkdir()
    table = cells(3)
    pq.write_table(table, folder / "a.parquet")
    pq.write_table(
        table.set_column(1, "big", table["big"].cast("float64", safe=False)), folder / "b.parquet"
    )
    with pytest.raises(
        PointsError, match=r"column big is int64 in .*a.parquet and double in .*b.p"
    ):
        open_points(folder)
    pq.write_table(table.drop_columns("big"), folder / "b.parquet")
    with pytest.raises(PointsError, match=r"column big is int64 in .*a.parquet and absent in"):
        open_points(folder)
    pq.write_table(table.append_column("new", table["big"]), folder / "b.parquet")
    with pytest.raises(PointsError, match=r"column new is absent in .*a.parquet and int64 in"):
        open_points(folder)
    pq.write_table(table.select(table.column_names[::-1]), folder / "b.parquet")
    assert table_of(open_points(folder)).equals(pa.concat_tables([table, table]))
    (folder / "c.csv").write_text("ap_um,si_um,rl_um\n")
    with pytest.raises(PointsError, match=r"holds tables of several kinds \(.csv, .parquet\)"):
        open_points(folder)
    (folder / "c.csv").rename(folder / "c.log")
    with pytest.raises(PointsError, match=r"holds c.log, which is none of the tables"):
        open_points(folder)
    for source, message in (
        (tmp_path / "none.csv", "there is no file .*none.csv"),
        (f"{tmp_path}/*.nope", "no file matches"),
        ("ftpx://a/b.csv", "is no address that pyarrow opens"),
    ):
        with pytest.raises(PointsError, match=message):
            open_points(source)
    (tmp_path / "empty").mkdir()
    with pytest.raises(PointsError, match="the folder .*empty holds no tables"):
        open_points(tmp_path / "empty")
    with pytest.raises(PointsError, match=r"a.parquet would be read twice"):
        open_points([folder / "a.parquet", f"{folder}/a.*"])
    with pytest.raises(PointsError, match="no table of points is named"):
        open_points([])


@pytest.mark.parametrize(("which", "rows"), [([7], 1500), ([7], 500), (range(8), 1500)])
def test_a_parquet_that_says_other_numbers_of_rows(
    tmp_path: Path, which: Sequence[int], rows: int
) -> None:
    """The footer says it of the file, of the row group and of each column, as a varint."""
    path = tmp_path / "cells.parquet"
    points = {name: np.arange(1000.0) for name in MICRONS}
    pq.write_table(pa.table(points), path, compression="none", use_dictionary=False)
    whole = path.read_bytes()
    begin = len(whole) - 8 - int.from_bytes(whole[-8:-4], "little")
    places = [n for n in range(begin, len(whole) - 8) if whole[n : n + 2] == b"\xd0\x0f"]
    altered = bytearray(whole)
    for place in which:
        at = places[place]
        altered[at : at + 2] = bytes([rows << 1 & 127 | 128, rows << 1 >> 7])
    path.write_bytes(altered)
    with pytest.raises(PointsError, match="is damaged: it says that it has 1,[05]00 rows"):
        list(open_points(path).blocks())


def test_arrays_that_are_more_or_less_than_they_say(tmp_path: Path) -> None:
    path = tmp_path / "cells.npy"
    stated = Stated(unit="um")
    np.save(path, np.ones((3, 3)))
    path.write_bytes(path.read_bytes() * 2)  # as two calls of np.save leave it
    with pytest.raises(PointsError, match=r"cells.npy goes on after its array of \(3, 3\)"):
        list(open_points(path, stated).blocks())
    for shape in ("-" * 5000 + "1", "(" * 5000):
        header = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}"
        start = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little")
        path.write_bytes(start + header.encode())
        with pytest.raises(PointsError, match="cells.npy is no readable .npy file"):
            open_points(path, stated)
    packed = tmp_path / "cells.npz"
    with zipfile.ZipFile(packed, "w") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the name that is there twice
        for _ in range(2):
            with archive.open("ap_um.npy", "w") as file:
                np.save(file, np.ones(3))
    with pytest.raises(PointsError, match="several arrays of one name"):
        open_points(packed)
    np.savez_compressed(packed, a=np.zeros((1 << 20, 3)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ATLASDB_LIMITS", "free_bytes=1000")
        with pytest.raises(PointsError, match="bytes unpack to 25,165,824; this ratio is over"):
            open_points(packed, stated)
    assert open_points(packed, stated).rows == 1 << 20


def test_points_that_lie_in_other_files(tmp_path: Path) -> None:
    """Links, external storage and virtual data sets would read what the user may, elsewhere."""
    (tmp_path / "secret").write_bytes(bytes(48))
    path = tmp_path / "atlas.points"
    with h5py.File(tmp_path / "other.h5", "w") as other:
        other["values"] = np.ones((2, 3))
    virtual = h5py.VirtualLayout((2, 3), "f8")
    virtual[:] = h5py.VirtualSource(str(tmp_path / "other.h5"), "values", (2, 3))
    external = [(str(tmp_path / "secret"), 0, 48)]
    attacks: tuple[tuple[Callable[[Any], Any], str], ...] = (
        (lambda df: df.create_dataset("block0_values", (2, 3), "f8", external=external), "lies in"),
        (lambda df: df.create_virtual_dataset("block0_values", virtual), "lies in other files"),
        (
            lambda df: df.__setitem__("block0_values", h5py.ExternalLink("other.h5", "/values")),
            "is a link to elsewhere",
        ),
        (
            lambda df: df.__setitem__("block0_values", h5py.SoftLink("/df/block0_values")),
            "is a link to elsewhere",
        ),
        (lambda df: df.create_group("block0_values"), "is no table of brainmapper's"),
        (lambda df: df.create_dataset("block0_values", (2, 3), "S9"), "is no table"),
        (
            lambda df: df.create_dataset("block0_values", (2, 10**9), "i1", chunks=(1, 9)),
            "no table",
        ),
        (
            lambda df: df.create_dataset("block0_values", (10**9, 3), "f8", chunks=(9, 3)),
            "absurdly large: 0 bytes unpack to 24,000,000,000",
        ),
        (
            lambda df: df.create_dataset(
                "block0_values", (9, 3), "f4", maxshape=(None, 3), chunks=(10**7, 3)
            ),
            "has chunks of 120,000,000 bytes, over the limit",
        ),
    )
    for make, message in attacks:
        with h5py.File(path, "w") as file:
            file["df/axis0"] = [0, 1, 2]
            make(file["df"])
        with pytest.raises(PointsError, match=message):
            _ = open_points(path, Stated(unit="voxel")).rows


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        (
            "c.xml",
            "<MarkerX>1</MarkerX>",
            "<MarkerX>1</MarkerX><MarkerX>2</MarkerX>",
            "several of M",
        ),
        ("c.xml", "<MarkerX>1</MarkerX>", "<MarkerX>1_0</MarkerX>", "'1_0', which is no number"),
        ("c.xml", "<Type>1</Type>", "<Type>inf</Type>", "the type inf is no whole number"),
        ("c.xml", "<Type>1</Type>", "<Type>1e300</Type>", "is no whole number of 32 bits"),
        ("c.xml", "<Type>1</Type>", "<a>" + "x" * (1 << 21) + "</a>", "a text of over 1,048,576"),
        (
            "c.xml",
            "<Type>1</Type>",
            "<a b='" + "x" * (1 << 22) + "'/>",
            "a tag or a comment of over",
        ),
        ("c.yml", "type: 1", "type: inf", "the type inf is no whole number"),
        ("c.yml", "x: 1", "x: 1_0", "'1_0', which is no number"),
        ("c.yml", "x: 1", "x: [1]", "which is no number"),
        ("c.yml", "x: 1", "x: 1\n  x: 2", "several of 'x'"),
        ("c.yml", "x: 1", "x: 1\n  m: [" + "1," * 200_000 + "]", "a cell of over 100,000 values"),
        ("c.yml", "x: 1", "x: 1\n  m: " + "1" * (1 << 21), "a text of over 1,048,576"),
        ("c.yml", "z: 3\n", "z: 3\n---\ncandidate_cells:\n", "holds several documents"),
    ],
)
def test_cellfinder_s_files_that_would_be_misread(
    tmp_path: Path, name: str, old: str, new: str, message: str
) -> None:
    marker = "<Marker><MarkerX>1</MarkerX><MarkerY>2</MarkerY><MarkerZ>3</MarkerZ></Marker>"
    whole = {
        "c.xml": "<CellCounter_Marker_File><Marker_Data><Marker_Type><Type>1</Type>"
        + marker * 2
        + "</Marker_Type></Marker_Data></CellCounter_Marker_File>",
        "c.yml": "candidate_cells:\n- x: 1\n  type: 1\n  y: 2\n  z: 3\n",
    }[name]
    stated = Stated(unit="um", space="atlas")
    path = tmp_path / name
    path.write_text(whole)
    assert len(positions_of(open_points(path, stated))) == (2 if name == "c.xml" else 1)
    path.write_text(whole.replace(old, new, 1))
    with pytest.raises(PointsError, match=message):
        list(open_points(path, stated).blocks())


@pytest.mark.parametrize("is_coordinate", [True, False])
@pytest.mark.parametrize("is_index", [True, False])
def test_arrow_files_are_not_read_beyond_their_buffers(
    tmp_path: Path, is_coordinate: bool, is_index: bool
) -> None:
    offsets = pa.py_buffer(np.array([0, 2**31 - 256, 5], np.int32).tobytes())
    wild: Any = pa.StringArray.from_buffers(2, offsets, pa.py_buffer(b"hello"))
    if is_index:
        far = pa.array([2**30, 0], pa.int32())
        wild = pa.DictionaryArray.from_arrays(far, pa.array(["1", "2"]), safe=False)
    columns: dict[str, Any] = {name: pa.array([1.0, 2.0]) for name in MICRONS} | {"note": wild}
    if is_coordinate:
        columns["ap_um"] = columns.pop("note")
    batch = pa.RecordBatch.from_arrays(list(columns.values()), names=list(columns))
    path = tmp_path / "cells.arrow"
    with pa.ipc.new_file(path, batch.schema) as file:
        file.write_batch(batch)
    with pytest.raises(PointsError, match="cells.arrow cannot be read: .* out of bounds"):
        positions_of(open_points(path))


@pytest.mark.parametrize("values", [["1", "x", None], ["1", "2.5", "1"], [1.5, None, 2.5]])
def test_dictionaries_of_coordinates(tmp_path: Path, values: list[Any]) -> None:
    column = pa.array(values).dictionary_encode()
    path = tmp_path / "cells.arrow"
    table = pa.table({"ap_um": column, "si_um": [1.0] * 3, "rl_um": [1.0] * 3})
    pa_feather.write_feather(table, path)
    if "x" in values:
        with pytest.raises(PointsError, match="row 2: column ap_um holds 'x', which is no number"):
            positions_of(open_points(path))
        return
    expected = [np.nan if value is None else float(value) for value in values]
    np.testing.assert_array_equal([p[0] for p in positions_of(open_points(path))], expected)


def test_long_texts_of_a_dictionary_come_in_small_blocks(tmp_path: Path) -> None:
    path = tmp_path / "cells.parquet"
    texts = pa.DictionaryArray.from_arrays(
        pa.array(np.arange(500) % 2), pa.array(["a" * (1 << 20), "b"])
    )
    points = {name: np.arange(500.0) for name in MICRONS} | {"note": texts}
    pq.write_table(pa.table(points), path, store_schema=False)
    blocks = list(open_points(path).blocks())
    assert max(block.rows.nbytes for block in blocks) < 1 << 25
    table = pa.Table.from_batches([block.rows for block in blocks])
    assert table["ap_um"].to_pylist() == list(range(500))
    assert [len(text) for text in table["note"].to_pylist()] == [1 << 20, 1] * 250


def test_a_truncated_parquet(tmp_path: Path) -> None:
    file = tmp_path / "cells.parquet"
    pq.write_table(cells(1000), file)
    whole = file.read_bytes()
    for size in (0, 3, len(whole) // 2, len(whole) - 1):
        file.write_bytes(whole[:size])
        with pytest.raises(PointsError, match=r"cells.parquet cannot be read"):
            table_of(open_points(file))
    file.write_bytes(whole[:100] + b"\0" * 900 + whole[1000:])
    with pytest.raises(PointsError, match=r"cells.parquet cannot be read"):
        table_of(open_points(file))


def test_a_file_that_changes_is_read_anew(tmp_path: Path) -> None:
    """Footers are remembered, but not those of what is there no longer."""
    file = tmp_path / "cells.parquet"
    for rows in (3, 4):
        pq.write_table(cells(rows), file)
        os.utime(file, ns=(rows, rows))
        assert table_of(open_points(file)).num_rows == rows


def test_files_on_a_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """S3 through pyarrow, from a bucket on loopback: a file, a folder and a glob."""
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    served = tmp_path / "served"
    table = shards(served / "cells")
    with Bucket(served, "", name="lab/") as server:
        host = server.url.removeprefix("http://").partition("/")[0]
        options = f"?endpoint_override={host}&scheme=http&region=here"

        def read(path: str) -> Points:
            return open_points(f"s3://anonymous@lab/{path}{options}")

        points = read("cells/animal=m01/day=a%2520b/part-10.parquet")
        assert table_of(points).equals(table.slice(15, 5))
        points = read("cells")
        assert table_of(points).select(table.column_names).equals(table)
        assert table_of(points)["animal"].to_pylist() == [f"m{n // 10:02}" for n in range(30)]
        assert read("cells/animal=m0[02]/*/*.parquet").rows == 20
        (served / "cells.csv.gz").write_bytes(gzip.compress(b"ap_um,si_um,rl_um\n1,2,3\n"))
        assert positions_of(read("cells.csv.gz")) == [[1, 2, 3]]
        np.save(served / "cells.npy", np.ones((4, 3)))
        (served / "cells.xml").write_text(MARKERS)
        source = f"s3://anonymous@lab/cells.npy{options}"
        assert len(positions_of(open_points(source, Stated(unit="um")))) == 4
        source = f"s3://anonymous@lab/cells.xml{options}"
        assert len(positions_of(open_points(source, IN_ATLAS))) == 2
        for missing in ("none.parquet", "none*.parquet"):
            with pytest.raises(PointsError, match=r"(there is no file|no file matches) s3://"):
                read(missing)


@given(
    pieces=st.lists(st.integers(0, 30), max_size=12),
    threads=st.integers(1, 5),
)
@settings(max_examples=60, deadline=None)
def test_results_come_in_order(pieces: list[int], threads: int) -> None:
    def work(size: int) -> Iterator[tuple[int, int]]:
        yield from ((size, n) for n in range(size))

    found = list(in_order(pieces, work, threads))
    assert found == [(size, n) for size in pieces for n in range(size)]


def test_an_error_in_a_thread_ends_all() -> None:
    before = threading.active_count()

    def work(number: int) -> Iterator[int]:
        yield number
        if number == 3:
            raise PointsError("row 3")

    with pytest.raises(PointsError, match="row 3"):
        list(in_order(range(100), work, threads=3))
    for number in in_order(range(100), work, threads=3):
        if number == 2:
            break  # whoever takes the results stops early
    for _ in range(100):
        if threading.active_count() <= before:
            return
        threading.Event().wait(0.05)
    raise AssertionError("threads go on")


@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        ('1,2,3,"b\n1,2,3,c\n1,2,3,d\n', '"b'),
        ('1,2,3,a\n1,2,"3\n1,2,3,c\n', '"3'),
        ('1,2,3,a\n1,2,3,"b ""c"""\n1,2,3,"d\n', '"d'),
        ('1,2,3,5" probe\n1,2,3,"d\n1,2,3,e\n', '"d'),
        ("1,2,3,a\n" * 600_000 + '1,2,3,"b\n' + "1,2,3,c\n" * 600_000, '"b'),
    ],
)
def test_a_quote_that_would_swallow_rows(tmp_path: Path, body: str, wrong: str) -> None:
    path = tmp_path / "cells.csv"
    path.write_text("ap_um,si_um,rl_um,note\n" + body)
    with pytest.raises(PointsError, match=f"the quote in '{wrong}.* is never closed"):
        list(open_points(path).blocks())


@pytest.mark.parametrize("row", ['5"" probe,1,2,3\n', '5" probe,1,2,3\n', '"a\nb",1,2,3\n'])
def test_quotes_lose_no_row_wherever_a_block_ends(tmp_path: Path, row: str) -> None:
    path = tmp_path / "cells.csv"
    path.write_text("note,ap_um,si_um,rl_um\n" + 'a" b,1,2,3\n' + row * 700_000)
    blocks = list(open_points(path).blocks())
    assert sum(block.rows.num_rows for block in blocks) == 700_001
    assert len(blocks) > 1
    assert blocks[-1].rows["note"][-1].as_py() == row.rpartition(",1,2")[0].strip('"')


def _rows_end(text: bytes) -> tuple[int, int | None]:
    """Return where the last whole row ends and an open quote stands, byte by byte."""
    after, place, is_start = 0, 0, True
    while place < len(text):
        if is_start and text[place] == ord('"'):
            opened, place = place, text.find(b'"', place + 1) + 1
            while place and text[place : place + 1] == b'"':
                place = text.find(b'"', place + 1) + 1
            if not place:
                return after, opened
            is_start = False
            continue
        is_start = text[place] in b",\n\r"
        place += 1
        after = place if text[place - 1] == ord("\n") else after
    return after, None


@given(st.lists(st.sampled_from(b'"",\na\r'), max_size=14).map(bytes))
@settings(max_examples=2000, deadline=None)
def test_rows_end_where_a_parser_ends_them(text: bytes) -> None:
    assert end_of_rows(text, ",") == _rows_end(text)
