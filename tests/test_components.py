"""Component-wise atlases: OME-Zarr, terminologies, Draco meshes; folders, servers and buckets."""

from __future__ import annotations

import json
import pickle
import struct
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from components import (
    TETRAHEDRON_FACES,
    TETRAHEDRON_UM,
    Level,
    SmallComponents,
    draco,
)
from conftest import tree_of
from hypothesis import given, settings
from hypothesis import strategies as st
from servers import Bucket, Files
from small import SHAPE, TREE, SmallAtlas, labels
from test_downloads import essence

import atlasdb
from atlasdb.cli import run
from atlasdb.errors import (
    BlobError,
    DownloadError,
    HierarchyError,
    LookupFailedError,
    NoMeshError,
    PackageError,
    SourceError,
)
from atlasdb.meshes.draco import MeshInfo, decode_mesh
from atlasdb.sources.components import read_terminology
from atlasdb.sources.digests import parse_sums, sha256_of
from atlasdb.sources.multiscale import choose_level, chunk_keys, is_displaced

NAME = "small_rat_50um"
ANISOTROPIC = (50.0, 20.0, 10.0)


def levels() -> list[Level]:
    """Return a pyramid of two levels that have nothing to do with each other but their corner."""
    return [
        Level(ANISOTROPIC, labels(1)),
        Level((100.0, 40.0, 20.0), labels(2)[:2, :2, :4], labels(2)[:2, :2, :4].astype(np.uint16)),
    ]


def codes(db: atlasdb.Database, atlas: str = NAME) -> set[str]:
    found = db.sql(f'SELECT DISTINCT code FROM "{atlas}".finding').to_pylist()
    return {row["code"] for row in found}


def test_an_atlas_is_the_same_from_either_format(tmp_path: Path) -> None:
    """Structures, labels, extents, volumes and meshes, whatever they came in."""
    tetrahedron = {i: (TETRAHEDRON_UM, TETRAHEDRON_FACES) for i, *_ in TREE}
    tiff = atlasdb.connect(tmp_path / "tiff")
    zarr = atlasdb.connect(tmp_path / "zarr")
    tiff.ingest(str(SmallAtlas(annotation=labels(3), version="3.0").write(tmp_path)))
    root = SmallComponents(levels=[Level(ANISOTROPIC, labels(3))], meshes=tetrahedron)
    report = zarr.ingest(NAME, source=str(root.write(tmp_path / "components")))
    assert str(report.atlas) == f"{NAME}@3.0"
    assert report.origin.endswith(f"atlases/{NAME}/3_0/manifest.json")
    one, other = essence(tiff, NAME), essence(zarr, NAME)
    assert [q for q in one if one[q] != other[q]] == [q for q in one if ".mesh " in q], (
        "all but the bytes of mesh files are equal"
    )
    a, b = tiff.atlas(NAME), zarr.atlas(NAME)
    for structure_id, *_ in TREE:
        ours, theirs = a.surface(structure_id), b.surface(structure_id)
        assert volume_of(theirs) == pytest.approx(volume_of(ours), rel=1e-3)
        assert volume_of(theirs) > 0, "faces look outwards"
        for point in ours.vertices:
            assert np.abs(theirs.vertices - point).max(axis=1).min() <= 10 / 65535
    kept = zarr.sql("SELECT source_format, source_sha256, left_out FROM atlas").to_pylist()
    assert kept == [
        {"source_format": "brainglobe-ome-zarr", "source_sha256": None, "left_out": None}
    ]
    assert all(result.ok for result in zarr.check(NAME))
    metadata = b.metadata
    assert metadata["additional_references"] == []
    assert metadata["annotation_set"]["name"] == "small_rat-annotation"


def volume_of(mesh: Any) -> float:
    """Return six times the volume that a closed surface encloses."""
    corners = mesh.vertices[mesh.triangles]
    return float(np.einsum("ij,ij->", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])))


@pytest.mark.parametrize("number", [0, 1])
def test_each_level_of_a_pyramid_is_an_atlas(
    db: atlasdb.Database, tmp_path: Path, number: int
) -> None:
    """Translated by half a voxel of the finest, as OME-Zarr has it, levels begin at one corner."""
    pyramid = SmallComponents(levels=levels())
    root = pyramid.write(tmp_path / "c")
    name, level = pyramid.atlas_name(number), pyramid.levels[number]
    db.ingest(name, source=str(root), strict=False)
    atlas = db.atlas(name)
    assert atlas.resolution == level.resolution_um
    assert np.array_equal(atlas.annotation, level.annotation)
    reference = atlas.reference.reshape(-1)
    wanted = np.arange(level.annotation.size) if level.template is None else level.template
    assert np.array_equal(reference, wanted.reshape(-1))
    assert "level_displaced" not in codes(db, name)
    for voxel in np.ndindex(level.annotation.shape):
        point = (np.array(voxel) + 0.5) * level.resolution_um
        assert atlas.voxels.labels_at([point])[0] == level.annotation[voxel]


def test_a_level_that_begins_elsewhere_is_told(db: atlasdb.Database, tmp_path: Path) -> None:
    """Without the half voxel, the coarser level's corner lies before the finest one's."""
    pyramid = SmallComponents(levels=levels(), translations_mm={1: [0.0, 0.0, 0.0]})
    report = db.ingest("small_rat_100um", source=str(pyramid.write(tmp_path / "c")))
    found = [f.detail for f in report.findings if f.code == "level_displaced"]
    assert len(found) == 2
    assert found[0] == (
        "annotation: the level begins at (-25, -10, -5) µm of the finest one, taken as (0, 0, 0)"
    )


@pytest.mark.parametrize("unit", ["millimeter", None])
def test_units(db: atlasdb.Database, tmp_path: Path, unit: str | None) -> None:
    root = SmallComponents(unit=unit).write(tmp_path / "c")
    assert db.ingest(NAME, source=str(root)).status == "ingested"


def test_another_unit_is_another_size(db: atlasdb.Database, tmp_path: Path) -> None:
    root = SmallComponents(unit="micrometer").write(tmp_path / "c")
    with pytest.raises(PackageError, match=r"has no level of 50 × 20 × 10 µm; it has 0.05 × 0.02"):
        db.ingest(NAME, source=str(root))
    assert not db.home.folder.exists()


def test_annotation_values_apart_from_identifiers(db: atlasdb.Database, tmp_path: Path) -> None:
    """Values that are other structures' ids, a structure without one, and ids over 32 bits."""
    values: dict[int, int | None] = {
        997: 8, 8: 997, 70_000: 5, 5_000_000_000: 12, 12: 4_000_000_000, 13: None, 14: 13
    }  # fmt: skip
    annotation = np.random.default_rng(0).choice(
        np.array([0, 8, 997, 5, 12, 4_000_000_000, 13, 77], dtype=np.uint32), SHAPE
    )
    id_of = {value: structure for structure, value in values.items() if value is not None}
    root = SmallComponents(levels=[Level(ANISOTROPIC, annotation)], annotation_values=values).write(
        tmp_path / "c"
    )
    db.ingest(NAME, source=str(root))
    atlas = db.atlas(NAME)
    assert np.array_equal(atlas.annotation, annotation), "labels are the file's own"
    for voxel in np.ndindex(SHAPE):
        label = int(annotation[voxel])
        assert atlas.structure_from_coords(voxel) == id_of.get(label, 0)
        point = ", ".join(str((v + 0.5) * r) for v, r in zip(voxel, ANISOTROPIC, strict=True))
    sql = f"SELECT structure_id_at('{NAME}', {point}) AS i, label_at('{NAME}', {point}) AS l"
    assert db.sql(sql).to_pylist() == [{"i": id_of.get(label), "l": label}]
    assert {i: atlas.structures[i]["annotation_value"] for i in values} == values
    for structure_id, value in values.items():
        direct = atlas.voxels.mask(structure_id, direct_only=True)
        assert np.array_equal(direct, annotation == value if value else np.zeros(SHAPE, bool))
    stored = db.sql(
        f'SELECT s.structure_id, s.label_value FROM main.structure AS s JOIN "{NAME}".atlas AS a '
        "ON true"
    ).to_pylist()
    assert {row["structure_id"]: row["label_value"] for row in stored} == values
    assert all(result.ok for result in db.check(NAME))


def test_a_value_without_voxels_may_be_another_s_id(db: atlasdb.Database, tmp_path: Path) -> None:
    """12 has the value 13 and no voxels; 13 has the value 12, and some."""
    annotation = np.full(SHAPE, 12, np.uint32)
    root = SmallComponents(
        levels=[Level(ANISOTROPIC, annotation)], annotation_values={12: 13, 13: 12}
    ).write(tmp_path / "c")
    db.ingest(NAME, source=str(root))
    atlas = db.atlas(NAME)
    assert atlas.structure_from_coords((0, 0, 0)) == 13
    assert atlas.structures[12]["annotation_value"] == 13
    assert not atlas.voxels.mask(12).any()
    assert all(result.ok for result in db.check(NAME))


@pytest.mark.parametrize(
    ("orientation", "axes", "refused"), [("lpi", "", False), ("asr", "asl", True)]
)
def test_orientations(
    db: atlasdb.Database, tmp_path: Path, orientation: str, axes: str, refused: bool
) -> None:
    """Any is turned, with its meshes; one that contradicts the manifest's is refused."""
    shape = (7, 4, 3) if orientation == "lpi" else SHAPE
    volume = np.random.default_rng(0).choice(np.array([0, 997, 8], np.uint32), shape)
    small = SmallComponents(
        levels=[Level((50.0, 20.0, 10.0), volume)], orientation=orientation, axes=axes
    )
    root = small.write(tmp_path / "c")
    manifest = next(root.glob("atlases/*/3_0/manifest.json"))
    if refused:
        with pytest.raises(PackageError, match="axes begin at 'asl', the manifest says 'asr'"):
            db.ingest(str(manifest))
        return
    # BrainGlobe names an atlas by its resolution along AP.
    manifest.parent.parent.rename(root / "atlases" / "small_rat_20um")
    db.ingest("small_rat_20um", source=str(root))
    atlas = db.atlas("small_rat_20um")
    assert np.array_equal(atlas.annotation, volume.transpose(1, 2, 0)[::-1, ::-1, ::-1])
    extent = np.array([4 * 20.0, 3 * 10.0, 7 * 50.0])
    turned = extent - TETRAHEDRON_UM[:, [1, 2, 0]]
    found = atlas.surface("grey")
    assert volume_of(found) > 0
    for point in turned:
        assert np.abs(found.vertices - point).max(axis=1).min() <= 1e-3


def test_hemispheres_and_additional_references(db: atlasdb.Database, tmp_path: Path) -> None:
    sides = np.random.default_rng(3).choice(np.array([1, 2], np.uint8), SHAPE)
    nissl = np.arange(np.prod(SHAPE), dtype=np.uint16)[::-1].reshape(SHAPE)
    small = SmallComponents(
        levels=[Level(ANISOTROPIC, labels(), hemispheres=sides)],
        symmetric=False,
        additional={"small_rat-nissl-template": nissl},
    )
    db.ingest(NAME, source=str(small.write(tmp_path / "c")))
    atlas = db.atlas(NAME)
    assert np.array_equal(atlas.hemispheres, sides)
    assert list(atlas.additional_references) == ["small_rat-nissl-template"]
    assert np.array_equal(atlas.additional_references["small_rat-nissl-template"], nissl)
    assert atlas.metadata["additional_references"] == ["small_rat-nissl-template"]


def test_the_ways_to_name_a_component_wise_atlas(tmp_path: Path) -> None:
    root = SmallComponents().write(tmp_path / "brainglobe-atlasapi")
    SmallComponents(version="3.10").write(root)
    manifest = root / f"atlases/{NAME}/3_0/manifest.json"
    with Files(root) as server:
        for number, (atlas, source, version) in enumerate(
            (
                (str(manifest), None, "3.0"),
                (str(manifest.parent), None, "3.0"),
                (f"{server.url}atlases/{NAME}/3_0/manifest.json", None, "3.0"),
                (NAME, str(root), "3.10"),
                (NAME, str(tmp_path), "3.10"),
                (f"{NAME}@3.0", server.url, "3.0"),
                (NAME, server.url.rstrip("/"), "3.10"),
            )
        ):
            db = atlasdb.connect(tmp_path / str(number))
            assert str(db.ingest(atlas, source=source).atlas) == f"{NAME}@{version}"
        with pytest.raises(SourceError, match=f"{NAME}@9.9 is not in .*; there is {NAME}@3.10"):
            db.ingest(f"{NAME}@9.9", source=server.url)


def test_what_is_shared_is_downloaded_once(db: atlasdb.Database, tmp_path: Path) -> None:
    """The other level of the same components costs its own voxels and nothing more."""
    with Bucket(SmallComponents(levels=levels()).write(tmp_path / "c"), page=7) as server:
        db.ingest("small_rat_100um", source=server.url)
        first = server.bodies()
        assert max(count for path, count in first.items() if path != "/") == 1
        assert not [path for path in first if "/s0/" in path], "the finest level is not needed"
        assert not [path for path in first if "annotations.ome.zarr" in path]
        db.ingest(NAME, source=server.url)
        second = server.bodies() - first
        shared = [p for p in second if "/mesh/" in p or "terminology" in p or "zarr.json" in p]
        assert [path for path in shared if "/s0/" not in path] == []
        assert [path for path in second if "/s0/" in path]
    kept = [name for name in tree_of(db.home.folder) if name.startswith("downloads/")]
    assert not [name for name in kept if "/c/" in name], "voxels are not kept"
    assert [name for name in kept if "/mesh/" in name]
    db.remove(NAME)
    assert any("mesh" in name for name in tree_of(db.home.folder) if name.startswith("downloads"))
    db.remove("small_rat_100um")
    assert not (db.home.folder / "downloads").exists(), "nothing uses them any more"


def test_a_bucket_that_is_part_of_the_path(db: atlasdb.Database, tmp_path: Path) -> None:
    """As other servers of objects have it, and with pages of a few objects."""
    root = SmallComponents().write(tmp_path / "c")
    with Bucket(root, "atlas/", page=3, name="laboratory/") as server:
        assert server.url.endswith("/laboratory/atlas/")
        db.ingest(NAME, source=server.url)
        listings = [path for _, path, status in server.requests if status == 200]
        assert listings.count("/laboratory/") > 5
        assert "chunks_unconfirmed" not in codes(db)


def test_a_bucket_that_lists_nothing_to_strangers(db: atlasdb.Database, tmp_path: Path) -> None:
    """It answers 403 for what is not there: meshes may be so, chunks never."""

    class Silent(Files):
        def send(self, request: Any, status: int, body: bytes, headers: Any = None) -> None:
            super().send(request, 403 if status == 404 else status, body, headers)

    meshes = {8: (TETRAHEDRON_UM, TETRAHEDRON_FACES)}
    root = SmallComponents(meshes=meshes).write(tmp_path / "c")
    with Silent(root) as server:
        report = db.ingest(NAME, source=server.url)
        assert report.meshes == 1
        assert codes(db) >= {"mesh_missing"}
        next(root.glob("annotation-sets/*/*/annotations_compressed.ome.zarr/s0/c/0/0/0")).unlink()
        with pytest.raises(DownloadError, match="c/0/0/0: the server answers 403"):
            db.ingest(NAME, source=server.url, force=True)


def test_lists_that_say_nothing_of_meshes(tmp_path: Path) -> None:
    """A mirror's digests may be of its archives only; a listing may be cut off."""
    root = SmallComponents().write(tmp_path / "c")
    (root / "SHA256SUMS").write_text("0" * 64 + "  allen_mouse_100um_v1.2.tar.gz\n")
    chunk = "annotation-sets/small_rat-annotation/3_0/annotations_compressed.ome.zarr/s0/c/0/0/0"
    (root / chunk).unlink()
    db = atlasdb.connect(tmp_path / "home")
    with Files(root) as server:
        assert db.ingest(NAME, source=server.url).meshes == 7
    assert "chunks_unconfirmed" in codes(db)

    class CutOff(Bucket):
        def _page(self, query: dict[str, str]) -> bytes:
            return super()._page(query).replace(b"NextContinuationToken", b"NextMarker")

    with CutOff(root, page=3) as server, pytest.raises(DownloadError, match="is cut off"):
        db.ingest(NAME, source=server.url, force=True)

    class OddlyEncoded(Files):
        def answer(self, request: Any) -> None:
            if "list-type" in request.path:
                body = b"<?xml version='1.0' encoding='foo'?><ListBucketResult/>"
                self.send(request, 200, body)
            else:
                super().answer(request)

    with OddlyEncoded(root) as server:
        assert db.ingest(NAME, source=server.url, force=True).meshes == 7


def test_meshes_of_an_atlas_that_was_replaced(db: atlasdb.Database, tmp_path: Path) -> None:
    """An object that was opened before takes none of the new one's."""
    root = SmallComponents().write(tmp_path / "c")
    db.ingest(NAME, source=str(root), meshes=False)
    opened = db.atlas(NAME)
    assert len(opened.surface("grey").vertices) == 4
    db.ingest(NAME, source=str(root), force=True)
    assert len(opened.surface("grey").vertices) == 4, "what it has it keeps"
    with pytest.raises(BlobError, match="was replaced since it was opened"):
        opened.surface("CM")


def test_meshes_of_a_source_that_changed(db: atlasdb.Database, tmp_path: Path) -> None:
    root = SmallComponents().write(tmp_path / "c")
    db.ingest(NAME, source=str(root), meshes=False)
    info = next(root.glob("annotation-sets/*/*/annotations.precomputed/mesh/info"))
    content = info.read_text()
    info.unlink()
    with pytest.raises(PackageError, match="mesh/info is missing"):
        db.fetch_meshes(NAME)
    info.write_text(content)
    manifest = root / f"atlases/{NAME}/3_0/manifest.json"
    before = manifest.read_text()
    manifest.write_text(before.replace('"asr"', '"pir"'))
    with pytest.raises(SourceError, match="is not the small_rat_50um@3.0 that was ingested any"):
        db.fetch_meshes(NAME)
    manifest.write_text(before)
    assert len(db.fetch_meshes(NAME)) == 7


def test_no_room_for_objects(
    db: atlasdb.Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = type("usage", (), {"free": 1000})
    monkeypatch.setattr("atlasdb.download.resumable.shutil.disk_usage", lambda _: usage)
    with (
        Bucket(SmallComponents().write(tmp_path / "c")) as server,
        pytest.raises(DownloadError, match="only 1,000 are free in"),
    ):
        db.ingest(NAME, source=server.url)
    assert not db.home.has_database()


def test_objects_that_were_altered_in_the_home_are_fetched_anew(
    db: atlasdb.Database, tmp_path: Path
) -> None:
    with Files(SmallComponents().write(tmp_path / "c")) as server:
        db.ingest(NAME, source=server.url)
        before = essence(db, NAME)
        (kept,) = db.home.folder.glob("downloads/components/*/objects/terminologies/*/*/*.csv")
        kept.write_text(kept.read_text().replace("grey", "gray"))
        db.ingest(NAME, source=server.url, force=True)
        assert essence(db, NAME) == before
        not_modified = [path for _, path, status in server.requests if status == 304]
        assert [path for path in not_modified if "/mesh/" in path], "what is as it was is not"


@pytest.mark.parametrize("victim", ["mesh/8", "c/0/0/0", "zarr.json", "terminology.csv"])
@pytest.mark.parametrize("is_bucket", [True, False])
def test_objects_that_are_not_what_was_stated(
    db: atlasdb.Database, tmp_path: Path, victim: str, is_bucket: bool
) -> None:
    """By a bucket's ETags, or a mirror's own list."""
    root = SmallComponents().write(tmp_path / "c")
    sums = [f"{sha256_of(p)}  {p.relative_to(root)}" for p in root.rglob("*") if p.is_file()]
    path = next(p for p in sorted(root.rglob("*")) if str(p).endswith(victim))
    original = path.read_bytes()
    server = Bucket(root) if is_bucket else Files(root)
    if not is_bucket:
        (root / "SHA256SUMS").write_text("\n".join(sums))
    with server:
        if is_bucket:
            listed = server._page  # type: ignore[attr-defined]
            page = {query: listed({"prefix": query}) for query in _prefixes(root)}
            server._page = lambda query: page.get(query["prefix"]) or listed(query)  # type: ignore[attr-defined]
        path.write_bytes(original[:-1] + bytes([original[-1] ^ 1]))
        with pytest.raises(DownloadError, match="has the (SHA-256|MD5) .*(damaged|changed)"):
            db.ingest(NAME, source=server.url)
        assert not db.home.has_database()
        path.write_bytes(original)
        assert db.ingest(NAME, source=server.url).status == "ingested"


def _prefixes(root: Path) -> list[str]:
    folders = {p.parent for p in root.rglob("*") if p.is_file()}
    return [
        f"atlas/{p.relative_to(root)}/"
        for f in folders
        for p in (f, *f.parents)
        if p != root and root in p.parents
    ]


def test_chunks_that_are_not_there(tmp_path: Path) -> None:
    """Zarr takes them for 0: known to be so, not known to be so, or none at all."""
    root = SmallComponents(levels=[Level(ANISOTROPIC, labels(4))]).write(tmp_path / "c")
    annotation = (
        root / "annotation-sets/small_rat-annotation/3_0/annotations_compressed.ome.zarr/s0"
    )
    (annotation / "c/0/0/0").unlink()
    wanted = labels(4)
    wanted[:2, :2, :3] = 0
    for kind, code in (
        ("folder", "chunks_unconfirmed"),
        ("plain", "chunks_unconfirmed"),
        ("bucket", "chunks_absent"),
    ):
        db = atlasdb.connect(tmp_path / kind)
        if kind == "folder":
            db.ingest(NAME, source=str(root))
        else:
            with Files(root) if kind == "plain" else Bucket(root) as server:
                db.ingest(NAME, source=server.url)
        assert code in codes(db)
        assert np.array_equal(db.atlas(NAME).annotation, wanted)
    with pytest.raises(atlasdb.StrictError, match="chunks_unconfirmed"):
        db.ingest(NAME, source=str(root), force=True, strict=True)
    for chunk in annotation.glob("c/*/*/*"):
        chunk.unlink()
    with pytest.raises(PackageError, match="none of its 12 chunks is there"):
        db.ingest(NAME, source=str(root), force=True)


def test_meshes_of_which_something_is_wrong(db: atlasdb.Database, tmp_path: Path) -> None:
    root = SmallComponents().write(tmp_path / "c")
    folder = root / "annotation-sets/small_rat-annotation/3_0/annotations.precomputed/mesh"
    (folder / "8").write_bytes((folder / "8").read_bytes()[:-3])
    (folder / "12").write_bytes(b"x" * (folder / "12").stat().st_size)
    (folder / "13.index").unlink()
    (folder / "14").unlink()
    (folder / "14.index").unlink()
    (folder / "4711").write_bytes(b"")
    for number, form in enumerate((Files, Bucket, None)):
        db = atlasdb.connect(tmp_path / f"home{number}")
        if form is None:
            report = db.ingest(NAME, source=str(root))
        else:
            with form(root) as server:
                report = db.ingest(NAME, source=server.url)
        found = {(f.code, f.structure_id) for f in report.findings if f.code.startswith("mesh")}
        assert {("mesh_unreadable", i) for i in (8, 12, 13)} <= found
        assert ("mesh_missing", 14) in found
        assert (("mesh_without_structure", None) in found) == (form is not Files)
        assert report.meshes == 3
        assert all(result.ok for result in db.check(NAME))


WRONG_CSV = {
    "x,y\n1,2\n": "has no column identifier",
    "": "has no column at all",
    "<html></html>": "no column .*HTML",
    "\xff\xfe": "no column",
}


def test_terminologies_that_are_wrong(tmp_path: Path) -> None:
    root = SmallComponents().write(tmp_path / "c")
    content = next(root.glob("terminologies/*/*/terminology.csv")).read_text()
    assert len(read_terminology(content.encode(), "t.csv")) == len(TREE)
    for text, message in WRONG_CSV.items():
        with pytest.raises(PackageError, match=message):
            read_terminology(text.encode("latin-1" if "\xff" not in text else "utf-8"), "t.csv")
    for before, after, message in (
        ("#E507FF", "E507FF", r"t.csv: line 2: a colour is like #BFDAE3, not 'E507FF'"),
        ("\n8,997,8", "\n8,997,997", "annotation_value 997 belongs to root and grey"),
        ("\n8,997,8", "\n8,997,0", "line 3: annotation_value 0: 0 is the background"),
        ("\n8,997,8", "\n8,13,8", "parent_structure_id 13 contradicts its path"),
        ("\n8,997,8", "\n8.5,997,8", "line 3: expected an integer of 64 bits, found '8.5'"),
        ("\n8,997,8", f"\n{2**64},997,8", "line 3: expected an integer of 64 bits"),
        ("[997, 8]", "[997, x]", "line 3: "),
        ("[997, 8]", "[" * 5000, "line 3: "),
        ("\n12,8,12", "\n8,8,12", "t.csv"),
    ):
        assert before in content
        with pytest.raises((PackageError, HierarchyError), match=message):
            read_terminology(content.replace(before, after, 1).encode(), "t.csv")
    assert read_terminology(content.replace("\n8,997,", "\n8,997.0,").encode(), "t.csv")


WRONG_GROUPS: tuple[tuple[Any, str], ...] = (
    ("attributes", "no OME-Zarr 0.5 image"),
    (["attributes", "ome", "version"], "its version is"),
    (["attributes", "ome", "multiscales"], "no OME-Zarr 0.5 image"),
)


def test_zarr_metadata_that_are_wrong(  # noqa: PLR0915 (one wrong thing a line)
    db: atlasdb.Database, tmp_path: Path
) -> None:
    root = SmallComponents().write(tmp_path / "c")
    group = root / "annotation-sets/small_rat-annotation/3_0/annotations_compressed.ome.zarr"

    def refused(path: Path, change: Any, message: str) -> None:
        original = path.read_text()
        content = json.loads(original)
        change(content)
        path.write_text(json.dumps(content))
        with pytest.raises(SourceError, match=message) as caught:
            db.ingest(NAME, source=str(root))
        assert len(str(caught.value)) < 700
        path.write_text(original)
        assert not db.home.folder.exists()

    ome = group / "zarr.json"
    refused(ome, lambda c: c.pop("attributes"), "no OME-Zarr 0.5 image of three axes")
    refused(ome, lambda c: c["attributes"]["ome"].update(version="0.4"), "version is '0.4'")

    def image(c: Any) -> Any:
        return c["attributes"]["ome"]["multiscales"][0]

    refused(ome, lambda c: image(c)["axes"].pop(), "its axes are z, y")
    refused(ome, lambda c: image(c)["axes"][0].update(unit="parsec"), "parsec")
    refused(ome, lambda c: image(c)["datasets"].append(image(c)["datasets"][0]), "several levels")
    refused(ome, lambda c: image(c)["datasets"].clear(), "no OME-Zarr|no level")

    def first(c: Any) -> Any:
        return image(c)["datasets"][0]

    refused(ome, lambda c: first(c).update(path="../../x"), "no path below")
    refused(ome, lambda c: first(c).update(path="/etc"), "no path below")

    def transform(c: Any) -> Any:
        return first(c)["coordinateTransformations"]

    refused(ome, lambda c: transform(c)[0].update(scale=[0, 0, 0]), "a scale of")
    refused(ome, lambda c: transform(c)[0].update(scale=[1e999, 1, 1]), "no valid JSON|three numb")
    refused(ome, lambda c: transform(c)[0].update(type="affine"), "of type 'affine'")
    huge = 10**400
    refused(ome, lambda c: transform(c)[0].update(scale=[huge, 1, 1]), "no OME-Zarr|no valid JSON")

    def orientation(c: Any, axis: int, value: Any) -> Any:
        image(c)["axes"][axis]["orientation"] = {"value": value}
        return image(c)["axes"]

    refused(ome, lambda c: orientation(c, 0, "apples"), "apples")
    refused(
        ome, lambda c: orientation(c, 0, "left-to-right")[1].pop("orientation"), "begin at 'l[?]r'"
    )
    array = group / "s0/zarr.json"
    refused(array, lambda c: c.update(data_type="i4,("), "its type is 'i4,")
    refused(array, lambda c: c.update(data_type=None), "its type is None")
    refused(array, lambda c: c.update(shape=[4, 3, 8]), r"shape \(4, 3, 8\), the manifest says")
    refused(array, lambda c: c.update(zarr_format=2), "no array of zarr 3")
    refused(array, lambda c: c.update(data_type="complex64"), "its type is 'complex64'")
    refused(array, lambda c: c.update(fill_value=5), "is filled with 5, not with 0")
    refused(array, lambda c: c["codecs"].append({"name": "evil"}), "the codec 'evil' is none of")

    def chunks(c: Any) -> Any:
        return c["chunk_grid"]["configuration"]

    refused(array, lambda c: chunks(c).update(chunk_shape=[0, 1, 1]), "its chunks are")
    refused(array, lambda c: chunks(c).update(chunk_shape=[10**6] * 3), "absurd")
    refused(array, lambda c: c["chunk_key_encoding"].update(name="odd"), "named by 'odd'")
    refused(array, lambda c: c["codecs"].pop(), "cannot be read")
    manifest = root / f"atlases/{NAME}/3_0/manifest.json"
    refused(manifest, lambda c: c.update(shape=[1, 2]), "shape must be three positive integers")
    refused(manifest, lambda c: c.update(name="other"), "asked for .* says that it is other_50um")
    refused(manifest, lambda c: c["terminology"].update(location="/../../etc"), "no path below")
    refused(manifest, lambda c: c.pop("annotation_set"), "no location for its annotation set")
    refused(manifest, lambda c: c["template"].update(location="/nowhere"), "zarr.json is missing")


def test_no_meshes_and_no_reference(db: atlasdb.Database, tmp_path: Path) -> None:
    """A small footprint, and meshes that come when they are wanted."""
    with Bucket(SmallComponents().write(tmp_path / "c")) as server:
        report = db.ingest(NAME, source=server.url, meshes=False, reference=False)
        assert not [p for p in server.bodies() if "/mesh/" in p or "/templates/" in p]
        assert report.meshes == 0
        found = [f.detail for f in report.findings if f.code == "parts_left_out"]
        assert sorted(found) == ["meshes were left out", "references were left out"]
        kept = db.sql("SELECT left_out FROM atlas").to_pylist()
        assert kept == [{"left_out": ["meshes", "references"]}]
        assert all(result.ok for result in db.check(NAME))
        atlas = db.atlas(NAME)
        with pytest.raises(LookupFailedError, match=f"`atlasdb ingest {NAME}@3.0 --force`"):
            _ = atlas.reference
        assert len(atlas.surface("grey").vertices) == 4
        assert atlas.meshfile_from_structure("grey").is_file()
        asked = [p for p in server.bodies() if "/mesh/" in p and not p.endswith("info")]
        assert sorted(p.rpartition("/")[2] for p in asked) == ["8", "8.index"]
        assert db.atlas(NAME).mesh_from_structure("grey").points.shape == (4, 3), "stays"
        assert db.fetch_meshes(NAME, ["grey", "CM"]) == [70_000]
        assert sorted(db.fetch_meshes(NAME)) == sorted({i for i, *_ in TREE} - {8, 70_000})
        assert db.fetch_meshes(NAME) == []
        kept = db.sql("SELECT left_out FROM atlas").to_pylist()
        assert kept == [{"left_out": ["references"]}]
        assert codes(db) >= {"parts_left_out"}
        assert all(result.ok for result in db.check(NAME))
    whole = atlasdb.connect(tmp_path / "whole")
    whole.ingest(NAME, source=str(tmp_path / "c"))
    query = f'SELECT structure_id, vertices, triangles, bytes FROM "{NAME}".mesh ORDER BY ALL'
    assert db.sql(query).to_pylist() == whole.sql(query).to_pylist()
    again = db.ingest(NAME, source=str(tmp_path / "c"), force=True)
    assert again.meshes == 7
    assert db.sql("SELECT left_out FROM atlas").to_pylist() == [{"left_out": None}]
    assert db.atlas(NAME).reference.shape == SHAPE


def test_meshes_fetched_later_from_what_gives_single_ones(
    db: atlasdb.Database, tmp_path: Path
) -> None:
    """Folders and phantoms do; an archive does not, and says what to do."""
    folder = SmallAtlas(orientation="lpi", annotation=labels().reshape(7, 4, 3)).write(tmp_path)
    db.ingest(str(folder), meshes=False)
    whole = atlasdb.connect(tmp_path / "whole")
    whole.ingest(str(folder))
    (name,) = whole.atlases()["name"].to_pylist()
    assert np.array_equal(db.atlas(name).surface(8).vertices, whole.atlas(name).surface(8).vertices)
    db.ingest("phantom_mouse_100um", meshes=False)
    assert len(db.fetch_meshes("phantom_mouse_100um")) == 45
    archive = SmallAtlas(name="big_rat").archive(tmp_path / "packed")
    db.ingest(str(archive), meshes=False)
    with pytest.raises(SourceError, match="`atlasdb ingest big_rat_50um@1.0 --force` gets them"):
        db.fetch_meshes("big_rat_50um")
    complete = db.ingest(str(archive), force=True)
    assert complete.meshes == 7


def test_the_command_fetches_the_meshes_that_it_writes(
    db: atlasdb.Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home, target = str(db.home.folder), tmp_path / "o.obj"
    with Bucket(SmallComponents().write(tmp_path / "c")) as server:
        db.ingest(NAME, source=server.url, meshes=False)
        opened = db.atlas(NAME)
        assert run(["--home", home, "mesh", NAME, "root", "cm", "-o", str(target)]) == 0
        assert "8 vertices, 8 triangles" in capsys.readouterr().out
        again = pickle.loads(pickle.dumps(opened))  # noqa: S301 (our own)
        assert len(again.surface("CM").vertices) == 4
        assert opened.structures["grey"]["mesh"].points.shape == (4, 3)
    assert run(["--home", home, "mesh", NAME, "10", "-o", str(tmp_path / "p.obj")]) == 1
    assert len(capsys.readouterr().err.splitlines()) == 1, "the server is gone"
    assert run(["--home", home, "mesh", NAME, "root", "-o", str(tmp_path / "p.obj")]) == 0


def test_a_mesh_that_is_moved_beyond_all_bounds() -> None:
    data, index = draco(TETRAHEDRON_UM, TETRAHEDRON_FACES)
    with pytest.raises(PackageError, match="not finite"):
        decode_mesh(data, index, MeshInfo(16, np.full((3, 4), 1e308)))


def test_meshes_of_another_atlas_are_not_taken(db: atlasdb.Database, tmp_path: Path) -> None:
    """At the place of the one that was ingested there may be another one now."""
    folder = SmallAtlas().write(tmp_path)
    db.ingest(str(folder), meshes=False)
    metadata = json.loads((folder / "metadata.json").read_text())
    (folder / "metadata.json").write_text(json.dumps(metadata | {"version": "1.1"}))
    with pytest.raises(SourceError, match=f"asked for {NAME}@1.0, but .* it is {NAME}@1.1"):
        db.fetch_meshes(NAME, [8])
    root = SmallComponents().write(tmp_path / "c")
    db.ingest(f"{NAME}@3.0", source=str(root), meshes=False)
    manifest = root / f"atlases/{NAME}/3_0/manifest.json"
    manifest.write_text(manifest.read_text().replace('"name": "small_rat"', '"name": "big_rat"'))
    with pytest.raises(SourceError, match="says that it is big_rat_50um@3.0"):
        db.fetch_meshes(f"{NAME}@3.0")


def test_two_that_fetch_meshes_at_once(db: atlasdb.Database, tmp_path: Path) -> None:
    with Bucket(SmallComponents().write(tmp_path / "c")) as server:
        db.ingest(NAME, source=server.url, meshes=False)
        with ThreadPoolExecutor(4) as pool:
            asked = [[8, 12], [12, 13], [8, 13, 14], None]
            got = list(pool.map(lambda ids: db.fetch_meshes(NAME, ids), asked))
        assert sorted(i for ids in got for i in ids) == sorted(i for i, *_ in TREE)
        assert all(result.ok for result in db.check(NAME))
        assert db.sql("SELECT left_out FROM atlas").to_pylist() == [{"left_out": None}]


def test_a_mesh_that_the_source_has_not_either(db: atlasdb.Database, tmp_path: Path) -> None:
    meshes = {8: (TETRAHEDRON_UM, TETRAHEDRON_FACES)}
    root = SmallComponents(meshes=meshes).write(tmp_path / "c")
    db.ingest(NAME, source=str(root), meshes=False)
    with pytest.raises(NoMeshError, match="CM .70000. has no mesh"):
        db.atlas(NAME).surface("CM")
    assert db.fetch_meshes(NAME) == [8]
    assert "mesh_missing" in codes(db)
    assert "parts_left_out" not in codes(db)


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_draco_meshes_with_several_fragments(data: st.DataObject) -> None:
    """Against the format's own words: integer positions in boxes, the finest level only."""
    import DracoPy

    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    count = data.draw(st.integers(1, 4))
    chunk = rng.uniform(1000, 5000, 3).astype(np.float32)
    origin = rng.uniform(0, 10_000, 3).astype(np.float32)
    shift = rng.uniform(0, 10, 3).astype(np.float32)
    places = rng.integers(0, 3, (count, 3)).astype(np.uint32)
    fragments, wanted = [], []
    for place in places:
        points = rng.integers(0, 65536, (5, 3))
        faces = np.array([[0, 1, 2], [1, 2, 3], [2, 3, 4]], np.uint32)
        fragments.append(DracoPy.encode(points.astype(np.uint32), faces, preserve_order=True))
        box = origin.astype(float) + shift + chunk.astype(float) * place
        wanted.append(box + points / 65535 * chunk)
    coarse = b"coarse level"
    index = struct.pack("<6fI2f", *chunk, *origin, 2, 1.0, 2.0)
    index += struct.pack("<6f2I", *shift, 0, 0, 0, count, 1)
    index += places.T.astype("<u4").tobytes() + struct.pack(f"<{count}I", *map(len, fragments))
    index += struct.pack("<3II", 0, 0, 0, len(coarse))
    matrix = rng.uniform(-1, 1, (3, 4))
    info = MeshInfo(16, matrix)
    mesh = decode_mesh(b"".join(fragments) + coarse, index, info)
    stored = np.concatenate(wanted) @ matrix[:, :3].T + matrix[:, 3]
    assert mesh.vertices == pytest.approx(stored[:, ::-1] / 1000, abs=1e-6)
    assert len(mesh.triangles) == 3 * count
    for cut in (index[:-1], index + b"....", index[:20]):
        with pytest.raises(PackageError, match="index"):
            decode_mesh(b"".join(fragments) + coarse, cut, info)
    with pytest.raises(PackageError, match=r"speaks of [\d,]+ bytes, and it has"):
        decode_mesh(b"".join(fragments), index, info)


def test_chunk_keys_of_other_layouts() -> None:
    array = {
        "zarr_format": 3,
        "node_type": "array",
        "shape": [4, 3, 7],
        "data_type": "uint32",
        "fill_value": 0,
        "codecs": [{"name": "bytes"}],
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [4, 2, 7]}},
        "chunk_key_encoding": {"name": "default"},
    }
    assert chunk_keys(array, (4, 3, 7), "x") == ["c/0/0/0", "c/0/1/0"]
    for encoding, keys in (
        ({"name": "default", "configuration": {"separator": "."}}, ["c.0.0.0", "c.0.1.0"]),
        ({"name": "v2"}, ["0.0.0", "0.1.0"]),
        ({"name": "v2", "configuration": {"separator": "/"}}, ["0/0/0", "0/1/0"]),
    ):
        assert chunk_keys(array | {"chunk_key_encoding": encoding}, (4, 3, 7), "x") == keys


def test_levels_by_all_transformations() -> None:
    """A level's own, then the image's; the corner is where the first voxel begins."""

    def dataset(path: str, *changes: dict[str, Any]) -> dict[str, Any]:
        return {"path": path, "coordinateTransformations": list(changes)}

    def scale(*by: float) -> dict[str, Any]:
        return {"type": "scale", "scale": list(by)}

    def translation(*by: float) -> dict[str, Any]:
        return {"type": "translation", "translation": list(by)}

    image = {
        "axes": [{"name": n, "type": "space", "unit": "micrometer"} for n in "zyx"],
        "datasets": [
            dataset("a", scale(1, 2, 3), translation(0, 0, 0)),
            dataset("b", scale(2, 4, 6), translation(0.5, 1, 1.5)),
            dataset("c", scale(4, 8, 12), translation(1.5, 3, 5.5)),
        ],
        "coordinateTransformations": [scale(10, 10, 10), translation(7, 7, 7)],
    }
    group = {"attributes": {"ome": {"version": "0.5", "multiscales": [image]}}}
    level = choose_level(group, (20, 40, 60), "x")
    assert (level.path, level.orientation) == ("b", "???")
    assert level.corner_um == pytest.approx((0, 0, 0))
    assert not is_displaced(level)
    displaced = choose_level(group, (40.0001, 80, 120), "x")
    assert displaced.path == "c"
    assert displaced.corner_um == pytest.approx((0, 0, 10))
    assert is_displaced(displaced)


def test_sums_as_tools_write_them() -> None:
    one, two = "a1" * 32, "B2" * 32
    text = f"{one}  x.tar.gz\n{two} *./y/z\nSHA256 (w) = {one}\nnonsense\n\n{one[:10]} short\n"
    assert parse_sums(text) == {"x.tar.gz": one, "y/z": two.lower(), "w": one}


@pytest.mark.real
def test_the_real_atlas_from_both_formats(
    real: atlasdb.Database, real_components: Path, tmp_path: Path
) -> None:
    """The annotation, and for the 837 shared ids structures, extents and meshes."""
    db = atlasdb.connect(tmp_path / "home")
    with Bucket(real_components) as server:
        report = db.ingest("allen_mouse_100um", source=server.url)
    assert (report.structures, report.meshes) == (837, 380)
    assert all(result.ok for result in db.check("allen_mouse_100um"))
    old, new = real.atlas("allen_mouse_100um"), db.atlas("allen_mouse_100um")
    for kind in ("annotation", "reference", "hemispheres"):
        one, other = getattr(old, kind), getattr(new, kind)
        assert one.dtype == other.dtype
        assert np.array_equal(one, other)
    ids = set(new.structures)
    assert {old.structures[i]["acronym"] for i in set(old.structures) - ids} == {"tspd", "c"}
    assert ids < set(old.structures)
    for query in (
        "SELECT structure_id, acronym, name, parent_id, path, depth, red, green, blue FROM {}.structure",
        "FROM {}.extent",
        "SELECT value, structure_id, voxels FROM {}.label",
    ):
        text = (
            query.format("allen_mouse_100um") + " WHERE structure_id NOT IN (SELECT unnest($lost))"
        )
        lost = {"lost": sorted(set(old.structures) - ids)}
        tables = [d.sql(text + " ORDER BY ALL", lost).to_pylist() for d in (real, db)]
        assert len(tables[0]) >= 669
        assert tables[0] == tables[1]
    compared = 0
    for structure_id in ids:
        if not (
            old.structures[structure_id]["mesh_filename"]
            and new.structures[structure_id]["mesh_filename"]
        ):
            continue
        compared += 1
        same_surface(old.surface(structure_id), new.surface(structure_id))
    assert compared == 380


def same_surface(exact: Any, quantised: Any) -> None:
    """Assert that two meshes are the same but for a quantisation by 16 bits of the largest extent."""
    from scipy.spatial import KDTree

    extent = np.ptp(exact.vertices, axis=0).max()
    # A quantum along each axis, and the rounding of nanometres to 32 bits.
    allowed = np.sqrt(3) * (extent / 65535 + 1e-3)
    used = exact.vertices[np.unique(exact.triangles)]
    assert KDTree(quantised.vertices).query(used)[0].max() <= allowed
    assert KDTree(used).query(quantised.vertices)[0].max() <= allowed
    assert len(exact.triangles) - 40 <= len(quantised.triangles) <= len(exact.triangles)
    size = np.abs(volume_of(exact))
    assert volume_of(quantised) == pytest.approx(volume_of(exact), abs=0.01 * size + allowed**3)
