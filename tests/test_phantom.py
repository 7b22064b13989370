"""The phantom's voxels and meshes against the formulas of its solids."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import tree_of

import atlasdb
from atlasdb.sources.phantom import PHANTOMS, Phantom, Solid

EVERY = list(PHANTOMS.values())


def surface_um2(solid: Solid) -> float:
    """Return (a bound of) the area of a solid's surface."""
    a, b, c = solid.half
    if solid.shape == "box":
        return 8 * (a * b + b * c + a * c)
    p = 1.6075  # Knud Thomsen's formula, within 1.1 %
    mean = ((a * b) ** p + (a * c) ** p + (b * c) ** p) / 3
    return float(4.05 * math.pi * mean ** (1 / p))


def test_the_tree_is_real_deep_and_self_consistent() -> None:
    structures = PHANTOMS["phantom_mouse_100um"].structures
    assert 40 <= len(structures) <= 50
    assert max(len(s.path) - 1 for s in structures) == 8
    assert {"CM", "cm", "VISp2/3"} <= {s.acronym for s in structures}
    assert max(s.structure_id for s in structures) == 312782546


@pytest.mark.parametrize("phantom", EVERY, ids=lambda p: p.atlas_name)
def test_volumes_and_centroids_are_the_formulas(phantom: Phantom, full: atlasdb.Database) -> None:
    """Within the voxels that the surface can cut, and half a voxel."""
    edge = np.array(phantom.resolution_um)
    rows = full.sql(f"FROM {phantom.atlas_name}.region").to_pylist()
    by_id = {row["structure_id"]: row for row in rows}
    for structure in phantom.structures:
        row = by_id[structure.structure_id]
        # Half a voxel's diagonal to either side of the surface is where rounding happens.
        area = sum(surface_um2(s) for s in structure.solids)
        shell = float(area * np.linalg.norm(edge) / 2 / 1e9)
        assert row["volume_mm3"] == pytest.approx(structure.volume_mm3, abs=shell)
        found = [row[f"centroid_{axis}_um"] for axis in ("ap", "si", "rl")]
        assert np.abs(np.subtract(found, structure.centroid_um)).max() <= edge.max()


def test_boxes_on_the_grid_are_exact(full: atlasdb.Database) -> None:
    phantom = PHANTOMS["phantom_mouse_100um"]
    exact = 0
    rows = full.sql("FROM phantom_mouse_100um.region").to_pylist()
    by_id = {row["structure_id"]: row for row in rows}
    for structure in phantom.structures:
        faces = [
            c + d * h
            for s in structure.solids
            for c, h in zip(s.centre, s.half, strict=True)
            for d in (-1, 1)
        ]
        if any(s.shape != "box" for s in structure.solids) or any(f % 100 for f in faces):
            continue
        row = by_id[structure.structure_id]
        assert row["volume_mm3"] == pytest.approx(structure.volume_mm3, rel=1e-12)
        found = [row[f"centroid_{axis}_um"] for axis in ("ap", "si", "rl")]
        assert found == pytest.approx(list(structure.centroid_um))
        low = np.min([np.subtract(s.centre, s.half) for s in structure.solids], axis=0)
        high = np.max([np.add(s.centre, s.half) for s in structure.solids], axis=0)
        assert [row[f"bbox_min_{axis}_um"] for axis in ("ap", "si", "rl")] == pytest.approx(low)
        assert [row[f"bbox_max_{axis}_um"] for axis in ("ap", "si", "rl")] == pytest.approx(high)
        exact += 1
    assert exact >= 15


@pytest.mark.parametrize("phantom", EVERY, ids=lambda p: p.atlas_name)
def test_siblings_are_disjoint_and_children_inside(phantom: Phantom) -> None:
    """Each solid's voxels, painted alone, bear only its own subtree's labels."""
    annotation = phantom.annotation()
    everything = (
        slice(0, annotation.shape[0]),
        slice(0, annotation.shape[1]),
        slice(0, annotation.shape[2]),
    )
    centres = phantom._centres(everything)
    for structure in phantom.structures:
        below = [s.structure_id for s in phantom.structures if structure.structure_id in s.path]
        alone = np.zeros(annotation.shape, dtype=bool)
        for solid in structure.solids:
            alone |= solid.contains(centres)
        np.testing.assert_array_equal(alone, np.isin(annotation, below))


def test_meshes_lie_on_the_solids_and_enclose_them() -> None:
    for structure in PHANTOMS["phantom_mouse_100um"].structures:
        for solid in structure.solids:
            vertices, triangles = solid.mesh()
            assert (len(vertices), len(triangles)) == (
                (8, 12) if solid.shape == "box" else (266, 528)
            )
            relative = (vertices - solid.centre) / solid.half
            if solid.shape == "box":
                np.testing.assert_allclose(np.abs(relative), 1)
            else:
                np.testing.assert_allclose((relative**2).sum(axis=1), 1)
            corners = vertices[triangles]
            volume = (np.cross(corners[:, 0], corners[:, 1]) * corners[:, 2]).sum() / 6 / 1e9
            least = 1 if solid.shape == "box" else 0.93
            assert least * solid.volume_mm3 <= volume * (1 + 1e-9)
            assert volume <= solid.volume_mm3 * (1 + 1e-9)
            edges = np.sort(triangles[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), axis=1)
            assert (np.unique(edges, axis=0, return_counts=True)[1] == 2).all(), "closed"


def test_the_package_is_always_the_same(tmp_path: Path) -> None:
    phantom = PHANTOMS["phantom_odd_mouse_100um"]
    first, second = (phantom.write_package(tmp_path / name) for name in ("a", "b"))
    assert tree_of(first) == tree_of(second)


@pytest.mark.parametrize("name", PHANTOMS)
def test_a_phantom_has_no_findings(full: atlasdb.Database, name: str) -> None:
    assert full.sql(f"FROM {name}.finding").to_pylist() == []


def test_the_asymmetric_phantom_has_its_own_border(full: atlasdb.Database) -> None:
    rows = full.sql(
        "SELECT volume_mm3, volume_left_mm3, volume_right_mm3 "
        "FROM phantom_asymmetric_mouse_100um.region WHERE acronym = 'CP'"
    ).to_pylist()[0]
    assert rows["volume_left_mm3"] > 1.35 * rows["volume_right_mm3"]
    assert rows["volume_mm3"] == pytest.approx(rows["volume_left_mm3"] + rows["volume_right_mm3"])
    kinds = full.sql("SELECT kind FROM phantom_asymmetric_mouse_100um.volume").to_pylist()
    assert {"kind": "hemispheres"} in kinds


def test_another_orientation_of_the_phantom_is_the_same_atlas(
    full: atlasdb.Database, db: atlasdb.Database, tmp_path: Path
) -> None:
    turned = replace(PHANTOMS["phantom_anisotropic_mouse_200um"], orientation="lpi")
    folder = turned.write_package(tmp_path)
    assert folder.name == "phantom_anisotropic_mouse_200um_v1.0"
    # metadata.json gives 50 µm for its axis 0, but an atlas is named by its AP axis.
    assert db.ingest(str(folder)).atlas.name == "phantom_anisotropic_mouse_200um"
    for table in ("extent", "label", "structure"):
        query = f"FROM phantom_anisotropic_mouse_200um.{table} ORDER BY ALL"
        assert db.sql(query).equals(full.sql(query))
    for query in ("SELECT vertices, triangles FROM {}.mesh ORDER BY structure_id",):
        name = "phantom_anisotropic_mouse_200um"
        assert db.sql(query.format(name)).equals(full.sql(query.format(name)))
