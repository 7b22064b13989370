"""Meshes in memory: reading them, and turning them so that they stay what they are."""

from __future__ import annotations

import io
import os
import re
import tempfile
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_space import ORIENTATIONS

from atlasdb.errors import BlobError, PackageError
from atlasdb.meshes import (
    Mesh,
    centres_of,
    chosen_triangles,
    count_mesh,
    half_mesh,
    joined_mesh,
    read_mesh,
    reorient_mesh,
    turned_mesh,
)
from atlasdb.meshes.files import MeshPart, write_mesh
from atlasdb.meshes.plain import count_plain
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
        ("v 0 0 0\nv 1 0 0\nf 1 2\n", "line 3: a face of 2 corners"),
        ("v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 4\n", "names vertex 4, but there are 1 to 3"),
        ("v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 0\n", "names vertex 0"),
        ("v 0 0 0\nv 1 0 0\nv 0 1 0\nf -4 -2 -1\n", "names vertex 0"),
        ("v 0 0 0\nv 1 0 0\nv 0 nan 0\nf 1 2 3\n", "line 3: a vertex is three numbers"),
        ("v 0 0\nv 1 0\nv 0 1\nf 1 2 3\n", "line 1: a vertex is three numbers, not '0 0'"),
        ("f 1 2 3\n", "names vertex 1, but there are 1 to 0"),
        ("v 0 0 0\nv 1 0\nv 0 1 0\nf 1 2 3\n", "no readable OBJ file"),
        ("v 0 0 zero\nf 1 1 1\n", "no readable OBJ file"),
        ("\0\xff\n", "line 1: no statement of OBJ"),
        ("v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n\0\0\0", "line 5: no statement of OBJ"),
        ("v 0 0 0\nv 1 0 0\nv 0 4_5 0\nf 1 2 3\n", "line 3: a vertex is three numbers"),
        ("v 0 0 0\nv 1 0 0\nv 0 \u0664 0\nf 1 2 3\n", "line 3: a vertex is three numbers"),
        ("v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1_0 2 3\n", "line 4: a corner is the number"),
        ("v 0 0 0\nv 1 0 0\nv 0 1 0\nf 9999999999999999999 2 3\n", "line 4: a corner is"),
        ("v 0 0 0\nv 1 0 0\nv 0 1 0\nvv 9 9 9\nf 1 2 3\n", "line 4: no statement of OBJ: 'vv'"),
        ("v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\nfo 1 2 3\n", "no statement of OBJ: 'fo'"),
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


def area(mesh: Mesh) -> float:
    """The area of a surface."""
    a, b, c = (mesh.vertices[mesh.triangles[:, i]] for i in range(3))
    return float(np.linalg.norm(np.cross(b - a, c - a), axis=1).sum() / 2)


@pytest.fixture(scope="module")
def lumps() -> Mesh:
    """A closed surface of 160 triangles with many corners in round places."""
    from scipy.spatial import ConvexHull

    corners = np.random.default_rng(8).integers(0, 12, (400, 3)).astype(float)
    hull = ConvexHull(corners)
    used, numbers = np.unique(hull.simplices, return_inverse=True)
    outwards = np.einsum(
        "ij,ij->i",
        np.cross(
            corners[hull.simplices[:, 1]] - corners[hull.simplices[:, 0]],
            corners[hull.simplices[:, 2]] - corners[hull.simplices[:, 0]],
        ),
        hull.equations[:, :3],
    )
    triangles = numbers.reshape(-1, 3)
    triangles[outwards < 0] = triangles[outwards < 0][:, ::-1]
    return Mesh(corners[used], triangles)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("plane_um", [-1.0, 0.0, 3.0, 4.7, 5.5, 11.0, 12.0])
def test_a_cut_surface_sums_to_the_whole(lumps: Mesh, axis: int, plane_um: float) -> None:
    """Areas sum; vertices lie on the right side; the rim of both parts is the same closed curve."""
    above = half_mesh(lumps, axis, plane_um, above=True)
    below = half_mesh(lumps, axis, plane_um, above=False)
    assert area(above) + area(below) == pytest.approx(area(lumps), rel=1e-12)
    assert (above.vertices[:, axis] >= plane_um).all()
    assert (below.vertices[:, axis] <= plane_um).all()
    for part in (above, below):
        assert area(part) == 0 or (np.ptp(part.triangles, axis=1) > 0).all()
        assert np.array_equal(np.unique(part.triangles), np.arange(len(part.vertices)))
        rim = rim_of(part)
        # Every corner of the rim has one edge in and one out: it is closed.
        assert np.array_equal(np.sort(rim[:, 0]), np.sort(rim[:, 1]))
        assert (part.vertices[rim.reshape(-1), axis] == plane_um).all()
        # Closed by a cone to a point in the plane it encloses what its prisms do: faces look out.
        assert enclosed_with_rim(part, rim, axis, plane_um) >= 0
    together = sum(enclosed_with_rim(part, rim_of(part), axis, plane_um) for part in (above, below))
    assert together == pytest.approx(enclosed(lumps), rel=1e-12)


def rim_of(mesh: Mesh) -> np.ndarray:
    """The edges, with their direction, that one triangle has and no other."""
    edges = np.concatenate([mesh.triangles[:, [a, b]] for a, b in ((0, 1), (1, 2), (2, 0))])
    there = {tuple(edge) for edge in edges.tolist()}
    assert len(there) == len(edges)
    return np.array([e for e in edges.tolist() if (e[1], e[0]) not in there], dtype=int).reshape(
        -1, 2
    )


def enclosed_with_rim(mesh: Mesh, rim: np.ndarray, axis: int, plane_um: float) -> float:
    """The volume inside when the rim is closed by triangles to a point in its plane."""
    apex = np.full((1, 3), 2.0)
    apex[0, axis] = plane_um
    lids = np.column_stack([rim[:, ::-1], np.full(len(rim), len(mesh.vertices))])
    return enclosed(
        Mesh(np.concatenate([mesh.vertices, apex]), np.concatenate([mesh.triangles, lids]))
    )


def test_joined_and_chosen_surfaces(lumps: Mesh) -> None:
    several = joined_mesh([lumps, half_mesh(lumps, 0, 4.5, above=True), lumps])
    assert enclosed(several) > 2 * enclosed(lumps)
    chosen = np.zeros(len(several.triangles), dtype=bool)
    chosen[-len(lumps.triangles) :] = True
    again = chosen_triangles(several, chosen)
    assert np.array_equal(again.vertices, lumps.vertices)
    assert np.array_equal(again.triangles, lumps.triangles)
    assert np.array_equal(centres_of(again)[7], lumps.vertices[lumps.triangles[7]].mean(axis=0))
    assert len(joined_mesh([]).vertices) == 0


PLAIN = "v 1 2 3\nv 4.5 -5e-1 6\nv 7 8 +9.25\nf 1 2 3\n"


@pytest.mark.parametrize(
    "text",
    [
        PLAIN,
        PLAIN.replace("\n", "\r\n"),
        PLAIN.rstrip(),
        PLAIN.replace("f 1", "\nf 1").replace("v 7", "\n\nv 7"),
        PLAIN.replace("v 1 2", "v  1   2"),
        re.sub("(v .*)", r"\1 0.5 0.5 1", PLAIN),
        PLAIN.replace("v 1 2 3", "vn 1 2 3\nv 1 2 3"),
        PLAIN.replace("f 1 2 3", "f 1 2 3 1"),
        PLAIN.replace("f 1 2 3", "f 1 2 3 1\nf 2 3 1"),
        PLAIN.replace("f 1 2 3", "f 1/1 2/1 3/1"),
        PLAIN.replace("f 1 2 3", "f 1\t2 3 1"),
        PLAIN.replace("f 1 2 3", "f\t1 2 3"),
        PLAIN + "v 1 1 1\nf 2 3 4\n",
        PLAIN + "# f 3 2 1\n",
        PLAIN + "g a\nf 3 2 1\n",
        PLAIN.replace("v 1 2 3", "vn 0 0 1\nvt 0 0\no box\nv 1 2 3"),
        PLAIN.replace("4.5", ".45e1"),
    ],
)
def test_the_fast_way_reads_what_meshio_reads(text: str, tmp_path: Path) -> None:
    """Whatever is not plain goes the slow way; nothing is read as something else."""
    import meshio

    path = tmp_path / "a.obj"
    path.write_bytes(text.encode())
    wanted = meshio.obj.read(io.StringIO("".join(_kept(text))))
    mesh = read_mesh(path)
    assert np.array_equal(mesh.vertices, wanted.points[:, :3])
    fans = [
        [face[0], face[i], face[i + 1]]
        for block in wanted.cells
        for face in block.data.tolist()
        for i in range(1, len(face) - 1)
    ]
    assert mesh.triangles.tolist() == fans


def _kept(text: str) -> list[str]:
    """The lines that meshio can read: it refuses normals that are not as many as vertices."""
    return [line for line in text.splitlines(keepends=True) if not line.startswith(("vn", "vt"))]


@pytest.mark.parametrize(
    "text",
    [
        "\ufeff" + PLAIN,
        PLAIN.replace("f 1 2 3", "f -3 -2 -1"),
        PLAIN.replace("f 1 2 3", "f 1 2 3 # the face"),
        PLAIN.replace("f 1 2 3", "f 1 \\\n 2 3"),
        PLAIN.replace("f 1 2 3", "f 1//1 2//1 3//1"),
        PLAIN.replace("f 1 2 3", "usemtl skin\ns off\nf 1/1/1 2/1/1 3/1/1"),
        "v 1 2 3 1\nv 4.5 -5e-1 6\nv 7 8 +9.25 0.1 0.2 0.3\nf 1 2 3\n",
        PLAIN.replace("\n", "\r"),
    ],
)
def test_all_that_obj_allows_is_understood(text: str, tmp_path: Path) -> None:
    path = tmp_path / "a.obj"
    path.write_bytes(text.encode())
    mesh = read_mesh(path)
    assert mesh.vertices.tolist() == [[1, 2, 3], [4.5, -0.5, 6], [7, 8, 9.25]]
    assert mesh.triangles.tolist() == [[0, 1, 2]]
    assert count_mesh(path) == (3, 1)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no faces"),
        ("f 1 2 3\n", "holds|no points|names vertex|readable"),
        (PLAIN.replace("f 1 2 3", "f 1 2 4"), "names vertex 4"),
        (PLAIN.replace("f 1 2 3", "f 0 2 3"), "names vertex 0"),
        (PLAIN.replace("v 1 2 3", "v 1 2"), "readable"),
        (PLAIN.replace("v 1 2 3", "v 1 2 1e400"), "not finite"),
        (PLAIN.replace("v 1 2 3", "v 1 2 3.4.5"), "readable"),
        (PLAIN.replace("v 1 2 3", "v 1 2 nan"), "three numbers"),
    ],
)
def test_what_is_no_surface_is_refused(text: str, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "a.obj"
    path.write_text(text)
    with pytest.raises(PackageError, match=reason):
        read_mesh(path)


@settings(deadline=None, max_examples=200)
@given(
    st.lists(
        st.tuples(*[st.floats(allow_nan=False, allow_infinity=False)] * 3), min_size=3, max_size=9
    )
)
def test_coordinates_are_read_to_the_last_bit(vertices: list[tuple[float, float, float]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.obj"
        lines = [f"v {a!r} {b!r} {c!r}\n" for a, b, c in vertices]
        path.write_text("".join([*lines, "f 1 2 3\n"]))
        assert read_mesh(path).vertices.tolist() == [list(vertex) for vertex in vertices]


@pytest.mark.parametrize("ending", ["obj", "ply", "stl", "vtk"])
def test_files_for_other_programs(ending: str, lumps: Mesh, tmp_path: Path) -> None:
    """What another reader finds: the same surface, and which structure each part is."""
    import meshio

    half = half_mesh(lumps, 2, 4.7, above=True)
    parts = [MeshPart(672, "CP", lumps), MeshPart(5_000_000_000, "VISp2/3", half)]
    path = tmp_path / f"a.{ending.upper() if ending == 'ply' else ending}"
    write_mesh(path, parts)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    found = getattr(meshio, ending).read(path)
    triangles = np.concatenate([block.data for block in found.cells])
    both = joined_mesh([lumps, half])
    corners = found.points[triangles].astype(float)
    exact = both.vertices[both.triangles]
    assert np.array_equal(corners, exact.astype(np.float32) if ending == "stl" else exact)
    if ending == "obj":
        assert re.findall("^o .*", path.read_text(), re.MULTILINE) == ["o CP", "o VISp2/3"]
        assert read_mesh(path).triangles.tolist() == both.triangles.tolist()
    elif ending == "vtk":
        ids = found.cell_data["structure_id"][0]
        assert ids.tolist() == [672] * len(lumps.triangles) + [5_000_000_000] * len(half.triangles)


def test_structures_of_one_acronym_are_told_apart(lumps: Mesh, tmp_path: Path) -> None:
    parts = [MeshPart(1, "X", lumps), MeshPart(2, "X", lumps), MeshPart(3, "a\nf 1 1 1", lumps)]
    write_mesh(tmp_path / "a.obj", parts)
    names = re.findall("^o .*", (tmp_path / "a.obj").read_text(), re.MULTILINE)
    assert names == ["o X 1", "o X 2", "o a?f 1 1 1"]
    assert len(read_mesh(tmp_path / "a.obj").triangles) == 3 * len(lumps.triangles)
    with pytest.raises(ValueError, match="no structures, no mesh"):
        write_mesh(tmp_path / "b.obj", [])


def test_normals_in_stl(lumps: Mesh, tmp_path: Path) -> None:
    """Of length one and outwards; zeros for a triangle without area."""
    flat = Mesh(lumps.vertices, np.concatenate([lumps.triangles, [[0, 0, 1]]]))
    write_mesh(tmp_path / "a.stl", [MeshPart(1, "X", flat)])
    record = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("more", "<u2")])
    data = (tmp_path / "a.stl").read_bytes()
    triangles = np.frombuffer(data, record, offset=84)
    assert len(triangles) == int.from_bytes(data[80:84], "little") == len(flat.triangles)
    normals = triangles["normal"][:-1].astype(float)
    assert np.allclose(np.linalg.norm(normals, axis=1), 1)
    centre = lumps.vertices.mean(axis=0)
    outwards = triangles["corners"][:-1].mean(axis=1) - centre
    assert ((normals * outwards).sum(axis=1) > 0).all()
    assert not triangles["normal"][-1].any()
    huge = Mesh(lumps.vertices * 1e40, lumps.triangles)
    with pytest.raises(ValueError, match="too large for an STL file"):
        write_mesh(tmp_path / "b.stl", [MeshPart(1, "X", huge)])
    assert not (tmp_path / "b.stl").exists()


def test_a_pipe_is_written_into(lumps: Mesh, tmp_path: Path) -> None:
    pipe = tmp_path / "a.obj"
    os.mkfifo(pipe)
    found: list[str] = []
    reader = threading.Thread(target=lambda: found.append(pipe.read_text()))
    reader.start()
    write_mesh(pipe, [MeshPart(1, "X", lumps)])
    reader.join(10)
    assert found[0].startswith("o X\nv ")
    assert pipe.is_fifo()


def test_another_ending_is_refused_and_nothing_is_left(lumps: Mesh, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"a mesh ends in \.obj, \.ply, \.stl, \.vtk"):
        write_mesh(tmp_path / "a.fbx", [MeshPart(1, "CP", lumps)])
    assert not list(tmp_path.iterdir())


LARGER = "".join(f"v {n} {n / 4} -{n}.5\n" for n in range(11)) + "f 1 2 11\nf 10 9 8\n"


@settings(deadline=None, max_examples=1_500)
@given(
    st.sampled_from([PLAIN.replace("e-1", "").replace("+", ""), LARGER]),
    st.lists(
        st.tuples(st.integers(0, 300), st.integers(0, 2), st.sampled_from(" \n\r\t.-+e0189vf/#\0")),
        max_size=4,
    ),
)
def test_what_is_counted_by_bytes_is_what_is_read(
    text: str, changes: list[tuple[int, int, str]]
) -> None:
    """A file that is changed anywhere is counted as it is read, or not by its bytes at all."""
    for place, width, inserted in changes:
        begin = place % (len(text) + 1)
        text = text[:begin] + inserted + text[begin + width :]
    counted = count_plain(text.encode())
    if counted is None:
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.obj"
        path.write_text(text, newline="")
        mesh = read_mesh(path)
        assert (len(mesh.vertices), len(mesh.triangles)) == counted == count_mesh(path)


def test_plain_files_are_counted_by_their_bytes() -> None:
    """Otherwise the test before would say nothing."""
    assert count_plain(LARGER.encode()) == (11, 2)
    assert count_plain(LARGER.rstrip().encode()) == (11, 2)
    assert count_plain(b"v .5 -.5 5.\nv 0 00 0.0\nv 1 1 1\nf 3 2 1\n") == (3, 1)
    for other in ("f 1 2 12", "f 1 2 011", "f 0 1 2", "f 1 2 3 4", "f 1 2", "f 1 2 3 ", "v 1 2 3"):
        assert count_plain((LARGER + other).encode()) is None
    for vertex in (
        "v 1 2 3.4.5",
        "v 1 2 .",
        "v 1 2 -",
        "v 1 2 3-4",
        "v 1  2",
        "v 1 2 3 4",
        "v 1 2",
    ):
        assert count_plain(f"{vertex}\n{LARGER}".encode()) is None
    for data in (b"", b"\n", b"f 1 2 3\n", b"v 1 2 3\n", b"\nf 1 2 3\n"):
        assert count_plain(data) is None
