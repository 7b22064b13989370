"""Packages that contradict themselves: one clear error each, and nothing changed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from small import SHAPE, SmallAtlas, labels, structure

import atlasdb
from atlasdb.errors import HierarchyError, PackageError

NOT_THERE = object()


def ingest_fails(db: atlasdb.Database, folder: Path, message: str) -> None:
    """Assert that the ingest raises one line that says `message`, and that no home is made."""
    with pytest.raises((PackageError, HierarchyError), match=message) as caught:
        db.ingest(str(folder))
    assert "\n" not in str(caught.value)
    assert not db.home.folder.exists()


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("name", NOT_THERE, "name must be a text; it is missing"),
        ("name", "../x", "'../x_50um' is no name for an atlas"),
        ("name", "x/y", "no name for an atlas"),
        ("version", "one", "'one' is no version: expected MAJOR.MINOR"),
        ("version", 1.2, "version must be a text; found 1.2"),
        ("shape", [4, 3], r"shape must be three positive integers; found \[4, 3\]"),
        ("shape", [4, 3, 0], "shape must be three positive integers"),
        ("shape", [2**30, 2**30, 2], "too large to be real"),
        ("resolution", [50, 20, -10], "resolution must be three positive numbers"),
        ("resolution", [50, 20, None], "resolution must be three positive numbers"),
        ("resolution", NOT_THERE, "it is missing"),
        ("orientation", "aaa", "orientation must be three letters .* found 'aaa'"),
        ("symmetric", "yes", "symmetric must be true or false, found 'yes'"),
        ("additional_references", "x", "must be a list of texts"),
        ("additional_references", ["../x"], "no name for an atlas"),
        ("additional_references", ["Annotation"], "cannot be named Annotation"),
        ("citation", None, "citation must be a text"),
        ("shape", [4, 3, 8], r"annotation.tiff has shape \(4, 3, 7\), .* says \(4, 3, 8\)"),
    ],
)
def test_metadata(db: atlasdb.Database, tmp_path: Path, key: str, value: Any, message: str) -> None:
    folder = SmallAtlas().write(tmp_path)
    metadata = json.loads((folder / "metadata.json").read_text())
    if value is NOT_THERE:
        del metadata[key]
    else:
        metadata[key] = value
    (folder / "metadata.json").write_text(json.dumps(metadata))
    ingest_fails(db, folder, message)


GOOD = [structure(1, "root", [1]), structure(2, "a", [1, 2])]


def changed(**changes: Any) -> list[dict[str, Any]]:
    """Return two structures of which the second is wrong."""
    entry = GOOD[1] | changes
    return [GOOD[0], {key: value for key, value in entry.items() if value is not NOT_THERE}]


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({}, "must be a list of objects"),
        ([1], "must be a list of objects"),
        ([], "there is no structure"),
        (changed(id=NOT_THERE), r"structure number 2 \(acronym 'a'\) has no 'id'"),
        (changed(id="2"), r"\(id '2', acronym 'a'\): id must be an integer, found '2'"),
        (changed(id=True), "id must be an integer, found True"),
        (changed(acronym=None), "acronym must be a text, found None"),
        (changed(name=NOT_THERE), "has no 'name'"),
        (changed(rgb_triplet=[1, 2]), "rgb_triplet must be three integers from 0 to 255"),
        (changed(rgb_triplet=[1, 2, 256]), "rgb_triplet must be three integers"),
        (changed(structure_id_path="/1/2/"), "structure_id_path must be a list of integers"),
        (changed(structure_id_path=NOT_THERE), "has no 'structure_id_path'"),
        (changed(structure_id_path=[1, 3]), "its path must run from the root to itself"),
        (changed(structure_id_path=[7, 2]), r"do not exist: 7 \(parent of 2\)"),
        (changed(structure_id_path=[2]), "one root .* found 1, 2"),
        (changed(id=1, structure_id_path=[1]), "more than once: 1"),
        (changed(id=0, structure_id_path=[1, 0]), "no structure can have the id 0"),
        (changed(parent_structure_id=9), "parent_structure_id 9 contradicts its path"),
    ],
)
def test_structures(db: atlasdb.Database, tmp_path: Path, entries: Any, message: str) -> None:
    folder = SmallAtlas(structures=GOOD).write(tmp_path)
    (folder / "structures.json").write_text(json.dumps(entries))
    ingest_fails(db, folder, message)


@pytest.mark.parametrize("name", ["metadata.json", "structures.json"])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "is missing|holds no metadata.json"),
        (b"", "no valid JSON"),
        (b"{", "no valid JSON"),
        (b"\xff\xfe\x00", "no valid JSON"),
        (b"[" * 100_000, "no valid JSON"),
        (b"null", "must be"),
    ],
)
def test_json_files(
    db: atlasdb.Database, tmp_path: Path, name: str, content: bytes | None, message: str
) -> None:
    folder = SmallAtlas().write(tmp_path)
    if content is None:
        (folder / name).unlink()
        with pytest.raises(atlasdb.SourceError, match=message):
            db.ingest(str(folder))
        assert not db.home.folder.exists()
        return
    (folder / name).write_bytes(content)
    ingest_fails(db, folder, message)


@pytest.mark.parametrize("kind", ["annotation", "reference"])
@pytest.mark.parametrize("content", [b"", b"II*\0", b"no TIFF at all", b"<!DOCTYPE html>"])
def test_damaged_volumes(db: atlasdb.Database, tmp_path: Path, kind: str, content: bytes) -> None:
    folder = SmallAtlas().write(tmp_path)
    (folder / f"{kind}.tiff").write_bytes(content)
    ingest_fails(db, folder, f"{kind}.tiff (is no readable TIFF file|holds no image)")


def test_truncations_of_a_volume_are_refused(db: atlasdb.Database, tmp_path: Path) -> None:
    folder = SmallAtlas().write(tmp_path)
    whole = (folder / "annotation.tiff").read_bytes()
    with tifffile.TiffFile(folder / "annotation.tiff") as tiff:
        end_of_voxels = (tiff.series[0].dataoffset or 0) + tiff.series[0].nbytes
    for size in range(8, end_of_voxels, 37):
        (folder / "annotation.tiff").write_bytes(whole[:size])
        ingest_fails(db, folder, "annotation.tiff")


@pytest.mark.parametrize("kind", ["annotation", "reference"])
def test_volumes_whose_shape_contradicts_the_metadata(
    db: atlasdb.Database, tmp_path: Path, kind: str
) -> None:
    volume = np.zeros((4, 7, 3), dtype=np.uint16)
    folder = SmallAtlas(volumes={kind: volume}).write(tmp_path)
    ingest_fails(db, folder, rf"{kind}.tiff has shape \(4, 7, 3\), but metadata.json says")


def test_a_missing_annotation(db: atlasdb.Database, tmp_path: Path) -> None:
    folder = SmallAtlas().write(tmp_path)
    (folder / "annotation.tiff").unlink()
    ingest_fails(db, folder, "the annotation is missing")


@pytest.mark.parametrize(
    ("volume", "message"),
    [
        (np.full(SHAPE, 0.5, dtype=np.float32), "must hold integers, found float32"),
        (np.full(SHAPE, np.nan, dtype=np.float64), "must hold integers, found float64"),
        (np.full(SHAPE, 2**63, dtype=np.uint64), "label values over"),
    ],
)
def test_annotations_that_are_no_labels(
    db: atlasdb.Database, tmp_path: Path, volume: Any, message: str
) -> None:
    ingest_fails(db, SmallAtlas(annotation=volume).write(tmp_path), message)


@pytest.mark.parametrize("dtype", ["uint8", "int16", "int32", "uint64", "int64", "float32"])
@pytest.mark.parametrize("how", ["plain", "compressed", "big-endian", "one page"])
def test_any_integer_annotation_in_any_tiff(
    db: atlasdb.Database, tmp_path: Path, dtype: str, how: str
) -> None:
    volume = (labels() % 100).astype(dtype)
    folder = SmallAtlas(annotation=volume).write(tmp_path)
    layouts: dict[str, dict[str, Any]] = {
        "plain": {},
        "compressed": {"compression": "zlib"},
        "big-endian": {"byteorder": ">"},
        "one page": {"volumetric": True, "tile": (16, 16, 16)},
    }
    tifffile.imwrite(folder / "annotation.tiff", volume, photometric="minisblack", **layouts[how])
    db.ingest(str(folder))
    row = db.sql("SELECT path FROM volume WHERE kind = 'annotation'").to_pylist()[0]
    kept = tifffile.imread(db.home.folder / row["path"])
    np.testing.assert_array_equal(kept, volume)
    assert kept.dtype == (np.int64 if dtype == "float32" else volume.dtype)


def test_structures_may_name_their_parents_instead_of_paths(
    db: atlasdb.Database, tmp_path: Path
) -> None:
    entries = []
    for entry in SmallAtlas().structures:
        path = entry.pop("structure_id_path")
        entries.append(entry | {"parent_structure_id": path[-2] if len(path) > 1 else None})
    db.ingest(str(SmallAtlas(structures=entries).write(tmp_path)))
    found = db.sql("SELECT acronym, depth, rank FROM structure ORDER BY rank").to_pylist()
    assert [(row["acronym"], row["depth"]) for row in found] == [
        ("root", 0),
        ("grey", 1),
        ("CM", 2),
        ("VISp2/3", 3),
        ("cm", 2),
        ("CUL4, 5", 1),
        ("10", 2),
    ]


@pytest.mark.parametrize("where", ["species", "extra", "acronym"])
def test_half_a_surrogate_pair_is_no_text(db: atlasdb.Database, tmp_path: Path, where: str) -> None:
    entries = changed(acronym="\ud800") if where == "acronym" else GOOD
    metadata = {} if where == "acronym" else {where: "\ud800"}
    ingest_fails(
        db, SmallAtlas(structures=entries, metadata=metadata).write(tmp_path), "no valid JSON"
    )


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e999", "1" + "0" * 400])
def test_numbers_that_are_no_lengths(db: atlasdb.Database, tmp_path: Path, number: str) -> None:
    folder = SmallAtlas().write(tmp_path)
    text = (folder / "metadata.json").read_text().replace("50.0", number)
    (folder / "metadata.json").write_text(text)
    ingest_fails(db, folder, "metadata.json")


def test_a_chain_that_would_fill_the_memory(db: atlasdb.Database, tmp_path: Path) -> None:
    entries = [
        {"id": n, "acronym": f"a{n}", "name": "", "rgb_triplet": [0, 0, 0]}
        | {"parent_structure_id": n - 1 if n > 1 else None}
        for n in range(1, 20_001)
    ]
    ingest_fails(db, SmallAtlas(structures=entries).write(tmp_path), "absurdly deep: 19,999 levels")


@pytest.mark.parametrize(
    "shape", [(1, 4, 5), (4, 1, 5), (4, 5, 1), (1, 1, 5), (1, 1, 1), (2, 3, 3)]
)
@pytest.mark.parametrize("how", ["described", "plain", "plane by plane"])
def test_axes_of_length_one_and_three(
    db: atlasdb.Database, tmp_path: Path, shape: tuple[int, int, int], how: str
) -> None:
    """TIFF writers drop axes of length 1, and take 3 for colours; no volume is lost by it."""
    annotation = np.resize(np.array([997, 8, 12], dtype=np.uint32), shape)
    sides = np.resize(np.array([1, 2, 2, 1, 0], dtype=np.uint8), shape)
    atlas = SmallAtlas(
        annotation=annotation,
        symmetric=False,
        volumes={"hemispheres": sides, "nissl": sides.astype(np.uint16)},
        additional_references=["nissl"],
    )
    folder = atlas.write(tmp_path)
    for path in folder.glob("*.tiff"):
        volume = tifffile.imread(path).reshape(shape)
        if how == "plain":
            tifffile.imwrite(path, volume, photometric="minisblack", metadata=None)
        elif how == "plane by plane":
            with tifffile.TiffWriter(path) as tiff:
                for plane in volume:
                    tiff.write(plane, photometric="minisblack", contiguous=False)
    db.ingest(str(folder))
    codes = {row["code"] for row in db.sql("FROM finding").to_pylist()}
    assert not codes & {"volume_shape", "hemispheres_missing"}
    row = db.sql(
        "SELECT voxels FROM structure_extent WHERE structure_id = 997 AND hemisphere = 'left'"
    ).to_pylist()[0]
    assert row["voxels"] == np.count_nonzero((annotation > 0) & (sides == 1))
    assert all(result.ok for result in db.check("small_rat_50um"))


@pytest.mark.parametrize(
    ("said", "found"), [([4, 1, 5], (1, 4, 5)), ([3, 4, 5], (1, 3, 4, 5)), ([4, 5, 1], (4, 1, 5))]
)
def test_the_same_sizes_in_another_order_are_another_shape(
    db: atlasdb.Database, tmp_path: Path, said: list[int], found: tuple[int, ...]
) -> None:
    volume = np.ones(found, dtype=np.uint32)
    folder = SmallAtlas(annotation=volume, metadata={"shape": said}).write(tmp_path)
    ingest_fails(db, folder, "annotation.tiff has shape .*, but metadata.json says")


def test_a_small_file_of_an_enormous_volume_is_not_read(
    db: atlasdb.Database, tmp_path: Path
) -> None:
    import psutil

    folder = SmallAtlas(symmetric=False).write(tmp_path)
    enormous = np.broadcast_to(np.uint8(0), (1, 30_000, 30_000))
    tifffile.imwrite(folder / "hemispheres.tiff", enormous, compression="zlib", tile=(4096, 4096))
    before = psutil.Process().memory_info().rss
    db.ingest(str(folder))
    assert psutil.Process().memory_info().rss - before < 400_000_000
    assert {"volume_shape", "hemispheres_missing"} <= {
        row["code"] for row in db.sql("FROM finding").to_pylist()
    }


def test_a_reference_of_no_numbers(db: atlasdb.Database, tmp_path: Path) -> None:
    folder = SmallAtlas(volumes={"reference": np.ones(SHAPE, np.complex64)}).write(tmp_path)
    ingest_fails(db, folder, "reference must hold numbers, found complex64")


def test_meshes_that_are_no_files_or_cannot_be_turned(db: atlasdb.Database, tmp_path: Path) -> None:
    import os

    folder = SmallAtlas(orientation="lpi").write(tmp_path)
    meshes = folder / "meshes"
    for name in ("8", "12", "13"):
        (meshes / f"{name}.obj").unlink()
    os.mkfifo(meshes / "8.obj")
    (meshes / "12.obj").mkdir()
    (meshes / "13.obj").write_text("v 0 0 0\nv 1 0 x\nv 0 1 0\nf 1 2 3\n")
    db.ingest(str(folder))
    rows = db.sql("SELECT code, structure_id, detail FROM finding WHERE code LIKE 'mesh%'")
    found = {(row["code"], row["structure_id"]) for row in rows.to_pylist()}
    assert found >= {("mesh_missing", 8), ("mesh_missing", 12), ("mesh_unreadable", 13)}
    details = rows["detail"].to_pylist()
    assert "8.obj is no file named after an id; left out" in details
    assert all(result.ok for result in db.check("small_rat_20um"))


def test_the_folder_s_resolution_counts_only_if_it_is_the_metadata_s(
    db: atlasdb.Database, tmp_path: Path
) -> None:
    right = SmallAtlas().write(tmp_path).rename(tmp_path / "small_rat_0.05mm_v1.0")
    assert str(db.ingest(str(right)).atlas) == "small_rat_0.05mm@1.0"
    assert db.sql("FROM finding WHERE code = 'name_disagrees'").num_rows == 0
    wrong = SmallAtlas().write(tmp_path).rename(tmp_path / "small_rat_999um_v1.0")
    assert str(db.ingest(str(wrong)).atlas) == "small_rat_50um@1.0"
    assert db.sql("FROM small_rat_50um.finding WHERE code = 'name_disagrees'").num_rows == 1
