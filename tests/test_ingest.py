"""The ingest as a whole: rows against loops over the source's voxels, findings, replacement."""

from __future__ import annotations

import itertools
import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from conftest import tree_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small import SHAPE, TETRAHEDRON, TREE, SmallAtlas, labels, structures

import atlasdb
from atlasdb.errors import AmbiguousAcronymError, StrictError, UnknownAtlasError
from atlasdb.findings import CODES
from atlasdb.space import Reorientation

ORIENTATIONS = [
    "".join(letters)
    for axes in itertools.permutations(("ap", "si", "rl"))
    for letters in itertools.product(*axes)
]


def findings(db: atlasdb.Database) -> list[tuple[str, int | None, str]]:
    """Return (code, structure_id, detail) of the one atlas in a database."""
    rows = db.sql("SELECT code, structure_id, detail FROM finding ORDER BY number").to_pylist()
    return [(row["code"], row["structure_id"], row["detail"]) for row in rows]


def codes(db: atlasdb.Database) -> set[str]:
    return {code for code, _, _ in findings(db)}


@st.composite
def small_atlases(draw: st.DrawFn) -> SmallAtlas:
    """Draw an atlas of any small shape, orientation, labels and hemispheres."""
    shape = draw(st.tuples(st.integers(1, 4), st.integers(1, 4), st.integers(2, 6)))
    seed = draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    ids = [0, 6, *(structure_id for structure_id, _, _ in TREE)]
    annotation = rng.choice(np.array(ids, dtype=np.uint64), size=shape)
    symmetric = draw(st.booleans())
    volumes: dict[str, Any] = {}
    if not symmetric:
        volumes["hemispheres"] = rng.integers(0, 3, size=shape).astype(np.uint8)
    return SmallAtlas(
        annotation=annotation,
        orientation=draw(st.sampled_from(ORIENTATIONS)),
        symmetric=symmetric,
        resolution_um=draw(st.sampled_from([(50.0, 20.0, 10.0), (7.5, 25.0, 100.0)])),
        volumes=volumes,
    )


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(small_atlases())
def test_rows_are_what_a_loop_over_the_source_gives(atlas: SmallAtlas) -> None:
    """Every extent, label, run and volume of a random atlas, turned to 'asr' the slow way."""
    folder = Path(tempfile.mkdtemp())
    try:
        db = atlasdb.connect(folder / "home")
        db.ingest(str(atlas.write(folder)))
        check_against_loops(db, atlas)
        assert all(result.ok for result in db.check(atlas.atlas_name))
    finally:
        shutil.rmtree(folder)


def check_against_loops(db: atlasdb.Database, atlas: SmallAtlas) -> None:
    turn = Reorientation.between(atlas.orientation)
    annotation = turn.volume(atlas.annotation).astype(object)
    edge = np.array(turn.permute(atlas.resolution_um))
    n = annotation.shape[2]
    if atlas.symmetric:
        left = np.broadcast_to(np.arange(n) >= n // 2, annotation.shape)
        right = ~left
    else:
        turned = turn.volume(atlas.volumes["hemispheres"])
        left, right = turned == 1, turned == 2
    extents = {
        (row["structure_id"], row["hemisphere"]): row
        for row in db.sql("FROM structure_extent").to_pylist()
    }
    assert len(extents) == 3 * len(atlas.structures)
    for entry in atlas.structures:
        own_id = entry["id"]
        below = {s["id"] for s in atlas.structures if own_id in s["structure_id_path"]}
        for side, where in (("both", True), ("left", left), ("right", right)):
            row = extents[own_id, side]
            inside = np.isin(annotation.astype(np.int64), list(below)) & where
            voxels = np.argwhere(inside)
            assert row["voxels"] == len(voxels)
            assert row["direct_voxels"] == np.count_nonzero((annotation == own_id) & where)
            assert row["volume_mm3"] == pytest.approx(len(voxels) * edge.prod() / 1e9, rel=1e-12)
            for axis, name in enumerate(("ap", "si", "rl")):
                found = [row[f"{kind}_{name}_um"] for kind in ("centroid", "bbox_min", "bbox_max")]
                if len(voxels) == 0:
                    assert found == [None, None, None]
                    continue
                along = voxels[:, axis]
                expected = [along.mean() + 0.5, along.min(), along.max() + 1]
                assert found == pytest.approx([value * edge[axis] for value in expected])
    rows = db.sql("SELECT value, structure_id, voxels FROM label ORDER BY value").to_pylist()
    values, counts = np.unique(annotation.astype(np.int64), return_counts=True)
    known = {entry["id"] for entry in atlas.structures}
    assert [(row["value"], row["voxels"]) for row in rows] == [
        (value, count) for value, count in zip(values, counts, strict=True) if value
    ]
    assert all((row["structure_id"] is None) == (row["value"] not in known) for row in rows)
    for kind in ("annotation", "reference"):
        row = db.sql("SELECT * FROM volume WHERE kind = ?", [kind]).to_pylist()[0]
        source = atlas.annotation if kind == "annotation" else None
        kept = tifffile.imread(db.home.folder / row["path"]).reshape(annotation.shape)
        if source is not None:
            np.testing.assert_array_equal(kept, turn.volume(source))
        else:
            plain = np.arange(atlas.annotation.size, dtype=np.uint16)
            np.testing.assert_array_equal(kept, turn.volume(plain.reshape(atlas.annotation.shape)))
    ranks = db.sql("SELECT rank, value FROM label").to_pylist()
    row = db.sql("SELECT * FROM volume WHERE kind = 'ranks'").to_pylist()[0]
    mapped = tifffile.memmap(db.home.folder / row["path"], mode="r").reshape(annotation.shape)
    value_of = {0: 0} | {row["rank"]: row["value"] for row in ranks}
    assert np.vectorize(value_of.get, otypes=[object])(mapped).tolist() == annotation.tolist()


def test_meshes_are_kept_and_counted(db: atlasdb.Database, tmp_path: Path) -> None:
    texts = {"997": TETRAHEDRON, "8": "# a quad\nv 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\nf 1 2 3 4\n"}
    db.ingest(str(SmallAtlas(meshes=texts).write(tmp_path)))
    rows = db.sql("FROM mesh ORDER BY structure_id").to_pylist()
    assert [(r["structure_id"], r["vertices"], r["triangles"]) for r in rows] == [
        (8, 4, 2),
        (997, 4, 4),
    ]
    for row in rows:
        text = texts[str(row["structure_id"])]
        assert (db.home.folder / row["path"]).read_text() == text
        assert row["bytes"] == len(text)


@pytest.mark.parametrize("orientation", ["asr", "lpi", "sal", "ria"])
def test_meshes_turn_with_the_volumes_and_look_outwards(
    db: atlasdb.Database, tmp_path: Path, orientation: str
) -> None:
    atlas = SmallAtlas(orientation=orientation, meshes={"997": TETRAHEDRON})
    db.ingest(str(atlas.write(tmp_path)))
    row = db.sql("FROM mesh").to_pylist()[0]
    lines = [line.split() for line in (db.home.folder / row["path"]).read_text().splitlines()]
    points = np.array([line[1:] for line in lines if line[0] == "v"], dtype=float)
    faces = np.array([line[1:] for line in lines if line[0] == "f"], dtype=int) - 1
    turn = Reorientation.between(orientation)
    source = np.array([[0, 0, 0], [10, 0, 0], [0, 10, 0], [0, 0, 10]], dtype=float)
    extent = np.multiply(atlas.annotation.shape, atlas.resolution_um).tolist()
    np.testing.assert_allclose(points, turn.points(source, extent))
    corners = points[faces]
    volume = (np.cross(corners[:, 0], corners[:, 1]) * corners[:, 2]).sum() / 6
    assert volume == pytest.approx(1000 / 6), "positive: the faces look outwards"


DUPLICATES = structures((*TREE, (15, "cm", 997)))


@pytest.mark.parametrize(
    ("atlas", "expected"),
    [
        (
            SmallAtlas(annotation=np.where(labels() == 12, 6, labels())),
            [
                ("label_without_structure", None, r"label 6 \(\d+ voxels\) has no structure"),
                ("structure_without_voxels", 12, "no voxel bears cm or a descendant"),
            ],
        ),
        (
            SmallAtlas(meshes={"997": TETRAHEDRON, "8": "v 0 0 0\n", "77": "", "x": ""}),
            [
                ("mesh_missing", 12, "cm has no mesh"),
                ("mesh_unreadable", 8, "8.obj has no faces, or cannot be parsed; left out"),
                ("mesh_without_structure", None, "77.obj belongs to no structure"),
                ("mesh_without_structure", None, "x.obj is no file named after an id"),
            ],
        ),
        (
            SmallAtlas(annotation=labels().astype(np.int32)),
            [("unexpected_dtype", None, "annotation is int32, not uint32")],
        ),
        (
            SmallAtlas(additional_references=["nissl", "lost"], volumes={"nissl": np.zeros((2, 2, 2), np.uint8)}),
            [
                ("volume_shape", None, r"nissl.tiff has shape \(2, 2, 2\), but metadata.json says \(4, 3, 7\); left"),
                ("volume_missing", None, "there is no lost"),
            ],
        ),
        (
            SmallAtlas(symmetric=False),
            [("hemispheres_missing", None, "there is no hemisphere volume; the midline is used")],
        ),
        (
            SmallAtlas(symmetric=False, volumes={"hemispheres": np.ones((2, 3, 7), np.uint8)}),
            [
                ("volume_shape", None, r"hemispheres.tiff has shape \(2, 3, 7\)"),
                ("hemispheres_missing", None, "hemispheres.tiff has shape"),
            ],
        ),
        (
            SmallAtlas(symmetric=False, volumes={"hemispheres": np.full(SHAPE, 3, np.uint16)}),
            [
                ("hemisphere_values", None, "has 3 in 84 voxels, taken as 0"),
                ("unexpected_dtype", None, "hemispheres is uint16, not uint8"),
            ],
        ),
        (
            SmallAtlas(volumes={"hemispheres": np.ones(SHAPE, np.uint8)}),
            [("hemispheres_disagree", None, "36 voxels of the hemisphere volume are not on their side")],
        ),
        (
            SmallAtlas(structures=structures((*((997, "brain", None),), *TREE[1:]))),
            [("root_name", 997, "the root's acronym is 'brain', not 'root'")],
        ),
        (
            SmallAtlas(structures=DUPLICATES),
            [
                ("duplicate_acronym", 12, "acronym 'cm' belongs to the structures 12, 15"),
                ("duplicate_acronym", 15, "acronym 'cm' belongs to the structures 12, 15"),
            ],
        ),
        (
            SmallAtlas(annotation=np.where(np.arange(7) < 3, 997, 0).astype(np.uint32) * np.ones((4, 3, 1), np.uint32)),
            [("asymmetric_labels", 997, "root has 0 voxels left, 36 right")],
        ),
        (SmallAtlas(orientation="lpi"), [("reoriented", None, "turned from 'lpi' to 'asr'")]),
    ],
)  # fmt: skip
def test_findings(
    db: atlasdb.Database, tmp_path: Path, atlas: SmallAtlas, expected: list[tuple[str, Any, str]]
) -> None:
    report = db.ingest(str(atlas.write(tmp_path)))
    found = findings(db)
    assert [(f.code, f.structure_id, f.detail) for f in report.findings] == found
    for code, structure_id, detail in expected:
        matching = [f for f in found if f[:2] == (code, structure_id)]
        assert any(__import__("re").search(detail, f[2]) for f in matching), (code, found)
    assert codes(db) <= CODES.keys()
    assert all(result.ok for result in db.check(atlas.atlas_name))


def test_a_folder_with_another_s_name_is_a_finding(db: atlasdb.Database, tmp_path: Path) -> None:
    other = SmallAtlas(version="1.1").write(tmp_path).rename(tmp_path / "big_rat_25um_v1.1")
    assert str(db.ingest(str(other)).atlas) == "small_rat_50um@1.1"
    assert "name_disagrees" in codes(db)


def test_symmetry_is_not_judged_by_the_middle_plane(db: atlasdb.Database, tmp_path: Path) -> None:
    annotation = np.zeros(SHAPE, dtype=np.uint32)
    annotation[..., 2:5] = 997  # one plane right, the middle one, one left
    db.ingest(str(SmallAtlas(annotation=annotation).write(tmp_path)))
    assert "asymmetric_labels" not in codes(db)


def test_hemispheres_left_out_of_a_symmetric_atlas(db: atlasdb.Database, tmp_path: Path) -> None:
    rule = np.where(np.arange(7) < 3, 2, 1).astype(np.uint8) * np.ones((4, 3, 1), np.uint8)
    db.ingest(str(SmallAtlas(volumes={"hemispheres": rule}).write(tmp_path)))
    assert "hemispheres_disagree" not in codes(db)
    assert db.sql("FROM volume WHERE kind = 'hemispheres'").num_rows == 0


def test_strict_refuses_warnings_and_changes_nothing(db: atlasdb.Database, tmp_path: Path) -> None:
    flawed = SmallAtlas(meshes={"997": TETRAHEDRON}).write(tmp_path)
    with pytest.raises(StrictError, match=r"has warnings .* mesh_missing \(6\)"):
        db.ingest(str(flawed), strict=True)
    assert not db.home.folder.exists()
    assert db.ingest("phantom_mouse_100um", strict=True).status == "ingested"


def test_an_acronym_of_several_structures_is_an_error_on_use(tmp_path: Path) -> None:
    from atlasdb.sources.package import read_structures

    folder = SmallAtlas(structures=DUPLICATES).write(tmp_path)
    table = read_structures(folder / "structures.json")
    with pytest.raises(AmbiguousAcronymError, match="'cm' belongs to several .* ids 12, 15"):
        table.rank_of("cm")
    assert table.rank_of("CM") == 3
    assert table.rank_of(15) == 8
    assert table.rank_of("10") == 7, "a text is an acronym, digits and all"
    with pytest.raises(atlasdb.UnknownStructureError, match="no structure 'Grey'.*mean grey"):
        table.rank_of("Grey")
    with pytest.raises(KeyError, match="no structure 10 in"):
        table.rank_of(10)


def test_ingesting_again_says_that_it_is_there(db: atlasdb.Database, tmp_path: Path) -> None:
    folder = SmallAtlas().write(tmp_path)
    assert db.ingest(str(folder)).status == "ingested"
    before = tree_of(db.home.folder)
    assert db.ingest(str(folder)).status == "present"
    assert tree_of(db.home.folder) == before


def test_force_replaces_rows_and_files_and_keeps_the_number(
    db: atlasdb.Database, tmp_path: Path
) -> None:
    db.ingest("phantom_mouse_100um")
    folder = SmallAtlas().write(tmp_path)
    db.ingest(str(folder))
    first = db.sql("FROM volume").to_pylist()
    number = db.sql("SELECT atlas_id('small_rat_50um') AS n").to_pylist()
    shutil.rmtree(folder)
    SmallAtlas(annotation=np.full((5, 3, 4), 12, dtype=np.uint32)).write(tmp_path)
    assert db.ingest(str(folder), force=True).status == "replaced"
    assert db.sql("SELECT atlas_id('small_rat_50um') AS n").to_pylist() == number
    found = db.sql("SELECT voxels, value FROM small_rat_50um.label").to_pylist()
    assert found == [{"voxels": 60, "value": 12}]
    second = db.sql("FROM volume").to_pylist()
    for row in first:
        kept = row in second
        assert kept == row["path"].startswith("volumes/phantom")
        assert (db.home.folder / row["path"]).exists() == kept
    assert all(r.ok for name in ("small_rat_50um", "phantom_mouse_100um") for r in db.check(name))


def test_versions_and_resolutions_side_by_side(full: atlasdb.Database) -> None:
    names = full.sql("SELECT name, version FROM atlas WHERE name LIKE 'small%'").to_pylist()
    assert len(names) == 4
    for schema, seed in (
        ("small_rat_50um", 1),
        ("small_rat_50um@1.10", 1),
        ("small_rat_50um@1.9", 2),
        ("small_rat_50um@1.2", 0),
        ("small_rat_100um", 9),
        ("small_rat_100um@1.0", 9),
    ):
        volume = labels(seed)
        rows = full.sql(f'SELECT value, voxels FROM "{schema}".label').to_pylist()
        assert {row["value"]: row["voxels"] for row in rows} == {
            int(value): np.count_nonzero(volume == value) for value in np.unique(volume) if value
        }
        one = full.sql(
            f'SELECT * FROM "{schema}".structure JOIN "{schema}".extent USING (structure_id)'
        )
        assert one.num_rows == 3 * len(TREE)
    assert full.sql("SELECT DISTINCT acronym FROM structure WHERE acronym ILIKE 'cm'").num_rows == 2


def test_removing_leaves_the_others(db: atlasdb.Database, tmp_path: Path) -> None:
    for version in ("1.9", "1.10"):
        db.ingest(str(SmallAtlas(version=version).write(tmp_path)))
    newest = db.sql("SELECT max(atlas_id) AS n FROM atlas").to_pylist()[0]["n"]
    assert str(db.remove("small_rat_50um")) == "small_rat_50um@1.10"
    assert db.sql("SELECT version FROM small_rat_50um.atlas").to_pylist() == [{"version": "1.9"}]
    assert not list(db.home.folder.glob("*/small_rat_50um/1.10"))
    with pytest.raises(UnknownAtlasError, match="there is small_rat_50um@1.9"):
        db.remove("small_rat_50um@1.10")
    with pytest.raises(UnknownAtlasError, match="did you mean small_rat_50um"):
        db.remove("small_rat_5um")
    assert str(db.remove("small_rat_50um")) == "small_rat_50um@1.9"
    assert db.sql("FROM structure").num_rows == db.sql("FROM annotation_run").num_rows == 0
    assert db.sql("FROM duckdb_schemas() WHERE schema_name LIKE 'small%'").num_rows == 0
    assert sorted(tree_of(db.home.folder)) == [".lock", "atlas.duckdb"]
    db.ingest(str(tmp_path / "small_rat_50um_v1.9"))
    again = db.sql("SELECT atlas_id AS n FROM atlas").to_pylist()[0]["n"]
    assert again > newest, "a removed atlas's number never returns"


def test_names_that_differ_by_case_alone(db: atlasdb.Database, tmp_path: Path) -> None:
    db.ingest(str(SmallAtlas().write(tmp_path / "a")))
    twin = SmallAtlas(name="Small_Rat").write(tmp_path / "b")
    with pytest.raises(atlasdb.PackageError, match="differs from small_rat_50um .* by case alone"):
        db.ingest(str(twin))


def test_names_that_look_like_sql(db: atlasdb.Database, tmp_path: Path) -> None:
    entries = structures(((1, "root", None), (2, "'; DROP TABLE atlas; --", 1), (3, '"', 1)))
    atlas = SmallAtlas(
        structures=entries,
        annotation=np.arange(84, dtype=np.uint32).reshape(SHAPE) % 4,
        metadata={"citation": "'); DELETE FROM atlas; --"},
    )
    home = atlasdb.connect(tmp_path / 'it\'s a "home"; --')
    home.ingest(str(atlas.write(tmp_path)))
    assert home.sql("SELECT acronym FROM structure ORDER BY rank").num_rows == 3
    assert all(result.ok for result in home.check("small_rat_50um"))


def test_the_source_s_metadata_are_kept_whole(db: atlasdb.Database, tmp_path: Path) -> None:
    db.ingest(str(SmallAtlas(metadata={"atlas_packager": "me", "x": [1]}).write(tmp_path)))
    extra = json.loads(db.sql("SELECT extra FROM atlas").to_pylist()[0]["extra"])
    assert extra["atlas_packager"] == "me"
    assert extra["x"] == [1]
    assert extra["name"] == "small_rat"


def test_more_than_65535_structures(db: atlasdb.Database, tmp_path: Path) -> None:
    n, first = 66_000, 10_000_000_000
    tree = ((first, "root", None), *((first + i, f"s{i}", first) for i in range(1, n)))
    annotation = np.arange(n, dtype=np.uint64).reshape(30, 22, 100) + first
    atlas = SmallAtlas(structures=structures(tree), annotation=annotation, meshes={"1": ""})
    db.ingest(str(atlas.write(tmp_path)))
    row = db.sql("FROM volume WHERE kind = 'ranks'").to_pylist()[0]
    assert row["dtype"] == "uint32"
    ranks = tifffile.memmap(db.home.folder / row["path"], mode="r")
    np.testing.assert_array_equal(ranks.reshape(-1), np.arange(1, n + 1))
    counts = db.sql(
        "SELECT (SELECT count(*) FROM structure) AS structures, "
        "(SELECT count(*) FROM structure_closure) AS closure, (SELECT max(rank) FROM label) AS r"
    ).to_pylist()
    assert counts == [{"structures": n, "closure": 2 * n - 1, "r": n}]
    assert all(result.ok for result in db.check("small_rat_50um"))


def test_label_values_that_are_not_the_ids(
    db: atlasdb.Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No TIFF package says so, but other formats do: a source hands over values of its own."""
    from dataclasses import replace

    from atlasdb.sources.package import FolderOrigin, TiffPackage, open_package

    values = np.array([10, 20, 30, 40, 50, 60, 70])  # by rank
    annotation = np.random.default_rng(0).choice([0, *values, 997], size=SHAPE).astype(np.uint32)

    def opened(self: FolderOrigin, *_: object) -> TiffPackage:
        from atlasdb.sources.base import Provenance

        package = open_package(self.folder, Provenance("test:", "test"))
        return replace(package, structures=replace(package.structures, label_values=values))

    monkeypatch.setattr(FolderOrigin, "open", opened)
    db.ingest(str(SmallAtlas(annotation=annotation).write(tmp_path)))
    rows = db.sql(
        "SELECT l.value, l.rank, s.rank AS structure_rank, e.direct_voxels, l.voxels "
        "FROM label AS l LEFT JOIN structure AS s USING (structure_id) "
        "LEFT JOIN structure_extent AS e ON e.structure_id = s.structure_id "
        "AND e.hemisphere = 'both' ORDER BY l.value"
    ).to_pylist()
    for row in rows[:-1]:
        assert row["rank"] == row["structure_rank"] == row["value"] // 10
        assert row["voxels"] == row["direct_voxels"] == np.count_nonzero(annotation == row["value"])
    assert (rows[-1]["value"], rows[-1]["rank"], rows[-1]["structure_rank"]) == (997, 8, None)
    assert all(result.ok for result in db.check("small_rat_50um"))
