"""Volumes and masks as image files, orientations, and the commands that write them."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile
from test_cli import Shell

import atlasdb
from atlasdb.meshes import read_mesh
from atlasdb.space import Reorientation

if TYPE_CHECKING:
    from numpy.typing import NDArray

ATLAS = "phantom_asymmetric_mouse_100um"
ANISOTROPIC = "phantom_anisotropic_mouse_200um"

ORIENTATIONS = [
    "".join(letters)
    for axes in itertools.permutations(("ap", "si", "rl"))
    for letters in itertools.product(*axes)
]


@pytest.fixture
def shell(full: atlasdb.Database, capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(full.home.folder, capsys)


def loaded(path: Path) -> NDArray[Any]:
    """Read an image with the library of its format."""
    if path.suffix == ".tif":
        return np.asarray(tifffile.imread(path))
    if path.suffix == ".npy":
        return np.asarray(np.load(path))
    if path.suffix == ".nrrd":
        import nrrd

        return np.asarray(nrrd.read(str(path))[0])
    import nibabel

    return np.asarray(nibabel.load(path).dataobj)  # type: ignore[attr-defined]


@pytest.mark.parametrize("ending", ["tif", "npy", "nrrd", "nii", "nii.gz"])
def test_masks_and_volumes_in_every_format(
    full: atlasdb.Database, shell: Shell, tmp_path: Path, ending: str
) -> None:
    voxels = full.voxels(ATLAS)
    file = tmp_path / f"image.{ending}"
    said = shell("mask", ATLAS, "CP", "VIS", "-o", str(file), "--hemisphere", "left")
    mask = voxels.mask(["CP", "VIS"], hemisphere="left")
    assert said == (
        f"wrote {file}: CP, VIS, left of {ATLAS}@1.0, {mask.sum():,} voxels, "
        f"{mask.sum() / 1000:.10g} mm³\n"
    )
    np.testing.assert_array_equal(loaded(file), mask.astype(np.uint8))
    shell("mask", ATLAS, "CH", "VIS", "-o", str(file), "--ids")
    np.testing.assert_array_equal(loaded(file), voxels.id_mask(["CH", "VIS"]))
    shell("mask", ATLAS, "CH", "-o", str(file), "--direct")
    np.testing.assert_array_equal(loaded(file), voxels.mask("CH", direct_only=True, dtype="u1"))
    for kind in ("annotation", "reference", "hemispheres", "ranks"):
        said = shell("volume", ATLAS, kind, "-o", str(file))
        assert said.startswith(f"wrote {file}: {kind} of {ATLAS}@1.0, ")
        found = loaded(file)
        np.testing.assert_array_equal(found, voxels.volume(kind))
        assert found.dtype == voxels.volume(kind).dtype
    shell("volume", ATLAS, "annotation", "--depth", "3", "-o", str(file))
    np.testing.assert_array_equal(loaded(file), voxels.annotation_cut(depth=3))


def test_the_size_of_voxels_is_in_the_tags(shell: Shell, tmp_path: Path) -> None:
    file = tmp_path / "image.tif"
    shell("volume", ANISOTROPIC, "annotation", "-o", str(file))
    with tifffile.TiffFile(file) as tiff:
        page = tiff.pages.first
        assert page.tags["ResolutionUnit"].value == tifffile.RESUNIT.CENTIMETER
        across, down = (np.divide(*page.tags[f"{axis}Resolution"].value) for axis in "XY")
        assert tiff.ome_metadata is not None
        assert 'PhysicalSizeZ="200.0"' in tiff.ome_metadata
    edges = {"down": 1e4 / down, "across": 1e4 / across}
    said = shell("volume", ANISOTROPIC, "annotation", "-o", str(file))
    assert said.endswith(f" voxels of 200 × {edges['down']:g} × {edges['across']:g} µm\n")
    assert edges["down"] != edges["across"]


@pytest.mark.parametrize("orientation", ["asr", "lpi", "RAS", "sla", "pir"])
def test_turned_images(
    full: atlasdb.Database, shell: Shell, tmp_path: Path, orientation: str
) -> None:
    voxels = full.voxels(ANISOTROPIC)
    turn = Reorientation.between("asr", orientation)
    file = tmp_path / "image.nii"
    for words, expected in (
        (["volume", ANISOTROPIC, "annotation"], voxels.volume("annotation")),
        (["volume", ANISOTROPIC, "hemispheres"], voxels.hemispheres),
        (
            ["mask", ANISOTROPIC, "CP", "--hemisphere", "right"],
            voxels.mask("CP", hemisphere="right"),
        ),
    ):
        shell(*words, "-o", str(file), "--orientation", orientation)
        np.testing.assert_array_equal(loaded(file), turn.volume(expected))
    import nibabel

    affine = nibabel.load(file).affine  # type: ignore[attr-defined]
    index = np.array([7, 5, 3])
    world = affine @ [*index, 1]
    point = voxels.points_from(
        [(index + 0.5) * voxels.grid_in(orientation).resolution_um], orientation
    )
    np.testing.assert_allclose(world[:3], -point[0][[2, 0, 1]] / 1000, rtol=1e-6)


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_points_volumes_and_meshes_turn_alike(full: atlasdb.Database, orientation: str) -> None:
    voxels = full.voxels(ANISOTROPIC)
    chance = np.random.default_rng(7)
    index = np.column_stack([chance.integers(0, n, 50) for n in voxels.grid.shape])
    points = (index + chance.uniform(0.01, 0.99, index.shape)) * voxels.grid.resolution_um
    turned = voxels.points_in(points, orientation)
    volume = voxels.volume_in(voxels.volume("annotation"), orientation)
    grid = voxels.grid_in(orientation)
    assert volume.shape == grid.shape
    there = volume[tuple(grid.voxels_at(turned).T)]
    np.testing.assert_array_equal(there, voxels.labels_at(points))
    np.testing.assert_allclose(voxels.points_from(turned, orientation), points)
    for unit, factor in (("mm", 1e-3), ("m", 1e-6)):
        found = voxels.points_in(points * factor, orientation, unit=unit)
        np.testing.assert_allclose(found, turned * factor)
    found = voxels.points_in(points / voxels.grid.resolution_um, orientation, unit="voxel")
    np.testing.assert_allclose(found, turned / grid.resolution_um)
    homogeneous = np.column_stack([points, np.ones(50)])
    moved = (voxels.transform_to(orientation) @ homogeneous.T).T[:, :3]
    np.testing.assert_allclose(moved, turned)
    path = full.sql(f"SELECT path FROM {ANISOTROPIC}.mesh LIMIT 1").to_pylist()[0]["path"]
    mesh = read_mesh(full.home.folder / path)
    other = voxels.mesh_in(mesh, orientation)
    np.testing.assert_allclose(other.vertices, voxels.points_in(mesh.vertices, orientation))

    def enclosed(vertices: NDArray[Any], triangles: NDArray[Any]) -> float:
        corners = vertices[triangles]
        return float(np.linalg.det(corners).sum() / 6)

    assert enclosed(mesh.vertices, mesh.triangles) == pytest.approx(
        enclosed(other.vertices, other.triangles)
    )


def test_wrong_images_are_refused(full: atlasdb.Database, shell: Shell, tmp_path: Path) -> None:
    file = tmp_path / "image.tif"
    for words, message, status in (
        (["volume", ATLAS, "anotation", "-o", str(file)], "did you mean annotation?", 1),
        (
            ["volume", ATLAS, "reference", "--depth", "3", "-o", str(file)],
            "the annotation alone",
            2,
        ),
        (["volume", ATLAS, "annotation", "--depth", "99", "-o", str(file)], "no depth 99", 1),
        (["volume", ATLAS, "annotation", "-o", "image.jpg"], "ends in one of .tif, .tiff", 2),
        (["volume", ATLAS, "annotation"], "Missing option '-o'", 2),
        (
            ["volume", ATLAS, "annotation", "-o", str(tmp_path / "no" / "a.tif")],
            "no such folder",
            1,
        ),
        (
            ["volume", ATLAS, "annotation", "-o", str(file), "--orientation", "axx"],
            "no orientation",
            2,
        ),
        (["mask", ATLAS, "CX", "-o", str(file)], "no structure CX in", 1),
        (["mask", ATLAS, "CP", "-o", str(tmp_path)], "ends in one of", 2),
        (["mask", ATLAS, "-o", str(file)], "Missing argument 'STRUCTURE…'", 2),
    ):
        assert message in shell(*words, status=status)
    assert list(tmp_path.iterdir()) == []
    voxels = full.voxels(ATLAS)
    with pytest.raises(ValueError, match=r"the volume has the shape \(2, 3, 4\), but"):
        voxels.volume_in(np.zeros((2, 3, 4)), "ras")


def test_the_atlas_s_own_volumes_are_not_overwritten(full: atlasdb.Database, shell: Shell) -> None:
    row = full.sql(f"FROM {ATLAS}.volume WHERE kind = 'ranks'").to_pylist()[0]
    file = full.home.folder / row["path"]
    before = file.read_bytes()
    for target in (file, file.with_name("mine.tif")):
        printed = shell("mask", ATLAS, "CP", "-o", str(target), status=1)
        assert "is the database's own: write elsewhere than in" in printed
        with pytest.raises(ValueError, match="among the atlas's own volumes: write it elsewhere"):
            full.voxels(ATLAS).write_mask(target, "CP")
    assert file.read_bytes() == before
    assert not file.with_name("mine.tif").exists()


def test_a_failed_image_leaves_the_old_one(full: atlasdb.Database, tmp_path: Path) -> None:
    file = tmp_path / "image.tif"
    file.write_bytes(b"old")
    with pytest.raises(atlasdb.UnknownStructureError):
        full.voxels(ATLAS).write_mask(file, "nope")
    with pytest.raises(atlasdb.UnknownDepthError):
        full.voxels(ATLAS).write_volume(file, "annotation", depth=99)
    assert file.read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["image.tif"]
