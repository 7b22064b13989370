"""Meshes in memory: reading them, and turning them so that they stay what they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_space import ORIENTATIONS

from atlasdb.errors import BlobError, PackageError
from atlasdb.meshes import Mesh, count_mesh, read_mesh, reorient_mesh, turned_mesh
from atlasdb.space import Reorientation

EXTENT_UM = [400.0, 600.0, 1100.0]
# A box of 100 x 60 x 30 µm, away from every plane of symmetry of its space.
BOX = """# quads and triangles, textures and a comment
o box
v 10 20 40
v 110 20 40
v 110 80 40
v 10 80 40
v 10 20 70
v 110 20 70
v 110 80 70
v 10 80 70
vt 0 0
vn 0 0 1
f 4/1/1 3/1/1 2/1/1 1/1/1
f 5 6 7 8
f 1 2 6 5
f 2//1 3//1 7//1 6//1
g another
f 3 4 8 7
f 4 1 5
f 4 5 8
"""
VOLUME_UM3 = 100 * 60 * 30


def enclosed(mesh: Mesh) -> float:
    """The volume inside, positive if faces look outwards (divergence theorem)."""
    a, b, c = (mesh.vertices[mesh.triangles[:, i]] for i in range(3))
    return float((np.cross(a, b) * c).sum() / 6)


@pytest.fixture
def box(tmp_path: Path) -> Path:
    path = tmp_path / "8.obj"
    path.write_text(BOX)
    return path


def test_a_mesh_is_read_as_triangles(box: Path) -> None:
    mesh = read_mesh(box)
    assert mesh.vertices.dtype == np.float64
    assert mesh.triangles.dtype == np.int64
    assert mesh.vertices[6].tolist() == [110, 80, 70]
    assert mesh.triangles[:4].tolist() == [[3, 2, 1], [3, 1, 0], [4, 5, 6], [4, 6, 7]]
    assert mesh.triangles[-1].tolist() == [3, 4, 7]
    assert (len(mesh.vertices), len(mesh.triangles)) == count_mesh(box) == (8, 12)
    assert enclosed(mesh) == pytest.approx(VOLUME_UM3)


def test_a_pentagon_is_fanned_and_colours_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "5.obj"
    path.write_text(
        "".join(f"v {x} {y} 5 1 0 0\n" for x, y in ((0, 0), (2, 0), (3, 1), (1, 3), (0, 2)))
        + "f 1 2 3 4 5\n"
    )
    mesh = read_mesh(path)
    assert mesh.triangles.tolist() == [[0, 1, 2], [0, 2, 3], [0, 3, 4]]
    assert mesh.vertices.shape == (5, 3)
    assert mesh.vertices[3].tolist() == [1, 3, 5]


@settings(deadline=None)
@given(source=st.sampled_from(ORIENTATIONS), target=st.sampled_from(ORIENTATIONS))
def test_a_turned_mesh_looks_outwards_and_keeps_its_place(source: str, target: str) -> None:
    corners = np.array([[10, 20, 30], [60, 20, 30], [10, 100, 30], [10, 20, 230]], dtype=float)
    faces = np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]])
    mesh = Mesh(corners, faces)
    before = corners.copy(), faces.copy()
    turn = Reorientation.between(source, target)
    turned = turned_mesh(mesh, turn, EXTENT_UM)
    assert enclosed(mesh) == pytest.approx(50 * 80 * 200 / 6)
    assert enclosed(turned) == pytest.approx(enclosed(mesh))
    np.testing.assert_allclose(turned.vertices, turn.points(corners, EXTENT_UM))
    back = turned_mesh(turned, turn.inverse, list(turn.permute(EXTENT_UM)))
    np.testing.assert_allclose(back.vertices, corners)
    np.testing.assert_array_equal(back.triangles, faces)
    turned.vertices[:] = turned.triangles[:] = -1
    np.testing.assert_array_equal(mesh.vertices, before[0])
    np.testing.assert_array_equal(mesh.triangles, before[1])


@pytest.mark.parametrize("source", ["lpi", "asl", "sal", "asr"])
def test_a_turned_file_holds_the_turned_mesh(box: Path, tmp_path: Path, source: str) -> None:
    turn = Reorientation.between(source)
    reorient_mesh(box, tmp_path / "turned.obj", turn, EXTENT_UM)
    written = read_mesh(tmp_path / "turned.obj")
    expected = turned_mesh(read_mesh(box), turn, EXTENT_UM)
    np.testing.assert_allclose(written.vertices, expected.vertices, atol=1e-6)
    np.testing.assert_array_equal(written.triangles, expected.triangles)
    assert enclosed(written) == pytest.approx(VOLUME_UM3)
    assert count_mesh(tmp_path / "turned.obj") == (8, 12)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "1.obj holds no faces"),
        ("v 0 0 0\nv 1 0 0\n", "holds no faces"),
        ("v 0 0 0\nv 1 0 0\nf 1 2\n", "holds no faces"),
        ("v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 4\n", "names vertex 4, but there are 1 to 3"),
        ("v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 0\n", "names vertex 0"),
        ("v 0 0 0\nv 1 0 0\nv 0 1 0\nf -3 -2 -1\n", "names vertex -3"),
        ("v 0 0 0\nv 1 0 0\nv 0 nan 0\nf 1 2 3\n", "not finite"),
        ("v 0 0\nv 1 0\nv 0 1\nf 1 2 3\n", "no points in space"),
        ("f 1 2 3\n", "no points in space"),
        ("v 0 0 0\nv 1 0\nv 0 1 0\nf 1 2 3\n", "no readable OBJ file"),
        ("v 0 0 zero\nf 1 1 1\n", "no readable OBJ file"),
        ("\0\xff\n", "holds no faces"),
    ],
)
def test_what_is_no_mesh_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "1.obj"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(PackageError, match=message):
        read_mesh(path)


def test_a_missing_mesh_is_missing(tmp_path: Path) -> None:
    with pytest.raises(BlobError, match=r"the mesh is missing: .*9\.obj"):
        read_mesh(tmp_path / "9.obj")
