"""The real Allen atlas and its example: exact figures, and BrainGlobe's own reader beside ours."""

from __future__ import annotations

import json
import tarfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

import atlasdb

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def package(packages: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Allen package, unpacked by tarfile alone."""
    folder = tmp_path_factory.mktemp("unpacked")
    with tarfile.open(packages / "allen_mouse_100um_v1.2.tar.gz") as tar:
        tar.extractall(folder, filter="data")
    return folder / "allen_mouse_100um_v1.2"


@pytest.fixture(scope="module")
def annotation(package: Path) -> Any:
    return tifffile.imread(package / "annotation.tiff")


def volume(db: atlasdb.Database, atlas: str, kind: str) -> Any:
    path = db.sql(f"SELECT path FROM {atlas}.volume WHERE kind = ?", [kind]).to_pylist()[0]["path"]
    return (
        tifffile.memmap(db.home.folder / path, mode="r")
        if kind == "ranks"
        else tifffile.imread(db.home.folder / path)
    )


def test_figures_of_the_structures(real: atlasdb.Database) -> None:
    row = real.sql(
        "SELECT count(*) AS structures, max(depth) AS depth, sum(depth + 1) AS closure, "
        "count(*) FILTER (WHERE structure_id > 65535) AS large, max(structure_id) AS largest, "
        "count(DISTINCT acronym) AS acronyms, count(DISTINCT lower(acronym)) AS folded, "
        "count(*) FILTER (WHERE acronym LIKE '%/%') AS slashes "
        "FROM allen_mouse_100um.structure"
    ).to_pylist()[0]
    assert row == {
        "structures": 839,
        "depth": 9,
        "closure": 6189,
        "large": 81,
        "largest": 614454277,
        "acronyms": 839,
        "folded": 838,
        "slashes": 43,
    }
    assert real.sql("FROM allen_mouse_100um.closure").num_rows == 6189
    visp = real.sql("SELECT path FROM allen_mouse_100um.region WHERE acronym = 'VISp'").to_pylist()
    assert visp == [{"path": ["root", "grey", "CH", "CTX", "CTXpl", "Isocortex", "VIS", "VISp"]}]


def test_closure_is_what_the_paths_say(real: atlasdb.Database, package: Path) -> None:
    entries = json.loads((package / "structures.json").read_text())
    expected = {
        (ancestor, entry["id"], len(entry["structure_id_path"]) - 1 - number)
        for entry in entries
        for number, ancestor in enumerate(entry["structure_id_path"])
    }
    rows = real.sql("FROM allen_mouse_100um.closure").to_pylist()
    assert {(r["ancestor_id"], r["descendant_id"], r["distance"]) for r in rows} == expected
    ranges = real.sql(
        "SELECT a.structure_id AS ancestor_id, d.structure_id AS descendant_id "
        "FROM allen_mouse_100um.structure AS a JOIN allen_mouse_100um.structure AS d "
        "ON d.rank BETWEEN a.rank AND a.last_rank"
    ).to_pylist()
    assert {(r["ancestor_id"], r["descendant_id"]) for r in ranges} == {e[:2] for e in expected}


def test_figures_of_the_voxels(real: atlasdb.Database, annotation: Any) -> None:
    rows = real.sql("SELECT value, structure_id, voxels FROM allen_mouse_100um.label").to_pylist()
    assert len(rows) == 669
    assert all(row["structure_id"] == row["value"] for row in rows), "no orphan label"
    voxels = {row["value"]: row["voxels"] for row in rows}
    assert voxels[778] == 1565
    assert 385 not in voxels
    root = real.sql(
        "SELECT voxels, direct_voxels FROM allen_mouse_100um.extent "
        "WHERE structure_id = 997 AND hemisphere = 'both'"
    ).to_pylist()[0]
    assert root["voxels"] == np.count_nonzero(annotation) == 505_359
    assert root["voxels"] == sum(voxels.values())
    nonleaf = real.sql(
        "SELECT count(*) AS labels, sum(l.voxels) AS voxels FROM allen_mouse_100um.label AS l "
        "JOIN allen_mouse_100um.structure AS s USING (structure_id) WHERE s.last_rank > s.rank"
    ).to_pylist()[0]
    assert nonleaf == {"labels": 29, "voxels": 47_914}


def test_the_annotation_is_the_source_s_voxel_for_voxel(
    real: atlasdb.Database, annotation: Any
) -> None:
    kept = volume(real, "allen_mouse_100um", "annotation")
    assert kept.dtype == annotation.dtype == np.uint32
    np.testing.assert_array_equal(kept, annotation)


def test_the_reference_is_the_source_s(real: atlasdb.Database, package: Path) -> None:
    kept = volume(real, "allen_mouse_100um", "reference")
    np.testing.assert_array_equal(kept, tifffile.imread(package / "reference.tiff"))


def test_every_structure_s_extent_the_slow_way(
    real: atlasdb.Database, annotation: Any, package: Path
) -> None:
    """Counts, bounds and centroids of all 839 from the voxels' coordinates, one by one."""
    entries = json.loads((package / "structures.json").read_text())
    rows = {
        (row["structure_id"], row["hemisphere"]): row
        for row in real.sql("FROM allen_mouse_100um.extent").to_pylist()
    }
    assert len(rows) == 3 * 839
    coordinates = {
        label: np.argwhere(annotation == label) for label in np.unique(annotation) if label
    }
    for entry in entries:
        own = entry["id"]
        below = [e["id"] for e in entries if own in e["structure_id_path"]]
        inside = np.concatenate(
            [np.empty((0, 3), int), *(coordinates[i] for i in below if i in coordinates)]
        )
        direct = coordinates.get(own, np.empty((0, 3), int))
        for side in ("both", "left", "right"):
            keep, keep_direct = (
                np.full(len(c), True) if side == "both" else (c[:, 2] >= 57) == (side == "left")
                for c in (inside, direct)
            )
            row, voxels = rows[own, side], inside[keep]
            assert row["voxels"] == len(voxels)
            assert row["direct_voxels"] == np.count_nonzero(keep_direct)
            assert row["volume_mm3"] == pytest.approx(len(voxels) / 1000)
            for axis, name in enumerate(("ap", "si", "rl")):
                found = [row[f"{kind}_{name}_um"] for kind in ("centroid", "bbox_min", "bbox_max")]
                if not len(voxels):
                    assert found == [None] * 3
                    continue
                along = voxels[:, axis]
                expected = [along.mean() + 0.5, along.min(), along.max() + 1]
                assert found == pytest.approx([100 * value for value in expected])


def test_the_rank_volume_opens_mapped_and_answers(real: atlasdb.Database, annotation: Any) -> None:
    ranks = volume(real, "allen_mouse_100um", "ranks")
    assert isinstance(ranks, np.memmap)
    assert (ranks.dtype, ranks.shape) == (np.uint16, (132, 80, 114))
    for acronym in ("root", "Isocortex", "VISp", "VISp5", "CM", "cm", "tspd"):
        row = real.sql(
            "SELECT structure_id, rank, last_rank FROM allen_mouse_100um.structure "
            "WHERE acronym = ?",
            [acronym],
        ).to_pylist()[0]
        below = real.sql(
            "SELECT descendant_id FROM allen_mouse_100um.closure WHERE ancestor_id = ?",
            [row["structure_id"]],
        )["descendant_id"].to_numpy()
        mask = (ranks >= row["rank"]) & (ranks <= row["last_rank"])
        np.testing.assert_array_equal(mask, np.isin(annotation, below))


def test_findings_of_the_allen_atlas(real: atlasdb.Database) -> None:
    rows = real.sql(
        "SELECT code, count(*) AS n FROM allen_mouse_100um.finding GROUP BY code ORDER BY code"
    ).to_pylist()
    assert {row["code"]: row["n"] for row in rows} == {
        "asymmetric_labels": 74,
        "mesh_missing": 442,
        "structure_without_voxels": 2,
    }
    empty = real.sql(
        "SELECT acronym FROM allen_mouse_100um.finding JOIN allen_mouse_100um.structure "
        "USING (structure_id) WHERE code = 'structure_without_voxels' ORDER BY 1"
    ).to_pylist()
    assert empty == [{"acronym": "c"}, {"acronym": "tspd"}]


def test_meshes_of_the_allen_atlas(real: atlasdb.Database, package: Path) -> None:
    import meshio

    rows = {row["structure_id"]: row for row in real.sql("FROM allen_mouse_100um.mesh").to_pylist()}
    assert len(rows) == 397
    assert sum(row["vertices"] for row in rows.values()) == 1_015_443
    for structure_id in list(rows)[::60]:
        row = rows[structure_id]
        kept = (real.home.folder / row["path"]).read_bytes()
        assert kept == (package / "meshes" / f"{structure_id}.obj").read_bytes()
        mesh = meshio.read(real.home.folder / row["path"])
        assert len(mesh.points) == row["vertices"]
        assert sum(len(block.data) for block in mesh.cells) == row["triangles"]


def test_the_example_atlas_keeps_its_raw_labels(real: atlasdb.Database, annotation: Any) -> None:
    assert real.sql("FROM example_mouse_100um.structure").num_rows == 3
    rows = real.sql("SELECT * FROM example_mouse_100um.label ORDER BY value").to_pylist()
    assert len(rows) == 669
    orphans = [row for row in rows if row["structure_id"] is None]
    assert len(orphans) == 668
    assert sorted(row["rank"] for row in orphans) == list(range(4, 4 + 668))
    found = real.sql(
        "SELECT count(*) AS n FROM example_mouse_100um.finding "
        "WHERE code = 'label_without_structure'"
    ).to_pylist()
    assert found == [{"n": 668}]
    np.testing.assert_array_equal(volume(real, "example_mouse_100um", "annotation"), annotation)
    root = real.sql(
        "SELECT voxels FROM example_mouse_100um.extent "
        "WHERE structure_id = 997 AND hemisphere = 'both'"
    ).to_pylist()[0]["voxels"]
    assert root == np.count_nonzero(np.isin(annotation, [997, 8, 567]))
    ranks = volume(real, "example_mouse_100um", "ranks")
    value_of = np.zeros(700, dtype=np.int64)
    for row in rows:
        value_of[row["rank"]] = row["value"]
    np.testing.assert_array_equal(value_of[ranks], annotation)


@pytest.mark.parametrize("name", ["allen_mouse_100um", "example_mouse_100um"])
def test_the_real_atlases_pass_their_check(real: atlasdb.Database, name: str) -> None:
    assert [result for result in real.check(name) if not result.ok] == []


def test_two_atlases_with_the_same_ids_do_not_mix(real: atlasdb.Database) -> None:
    joined = real.sql(
        "SELECT count(*) AS n FROM example_mouse_100um.structure AS e "
        "JOIN example_mouse_100um.extent USING (structure_id) WHERE hemisphere = 'both'"
    ).to_pylist()
    assert joined == [{"n": 3}]


def test_brainglobe_reads_the_same(real: atlasdb.Database, package: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the oracle's own imports
        from brainglobe_atlasapi.core import Atlas

        oracle = Atlas(package)
    rows = real.sql(
        "SELECT r.*, l.value FROM allen_mouse_100um.region AS r "
        "LEFT JOIN allen_mouse_100um.label AS l USING (structure_id)"
    ).to_pylist()
    assert {row["structure_id"] for row in rows} == set(oracle.structures.keys())
    for row in rows[::7]:
        theirs = oracle.structures[row["structure_id"]]
        assert row["acronym"] == theirs["acronym"]
        assert row["name"] == theirs["name"]
        assert [row["red"], row["green"], row["blue"]] == theirs["rgb_triplet"]
        assert row["path"][:-1] == oracle.get_structure_ancestors(row["acronym"])
        found = real.descendants("allen_mouse_100um", row["acronym"])["acronym"].to_pylist()
        assert sorted(found) == sorted(oracle.get_structure_descendants(row["acronym"]))
    np.testing.assert_array_equal(
        volume(real, "allen_mouse_100um", "annotation"), oracle.annotation
    )
    left = oracle.hemispheres == oracle.left_hemisphere_value
    row = real.sql(
        "SELECT voxels FROM allen_mouse_100um.extent JOIN allen_mouse_100um.structure "
        "USING (structure_id) WHERE acronym = 'CP' AND hemisphere = 'left'"
    ).to_pylist()[0]
    mask = (oracle.get_structure_mask("CP") > 0) & left
    assert row["voxels"] == np.count_nonzero(mask)
