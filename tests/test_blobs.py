"""TIFF and OBJ files: what is written can be read, by us and by others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import meshio
import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from atlasdb.errors import BlobError
from atlasdb.meshes import count_mesh
from atlasdb.volumes import Blob, check_blob, read_volume, write_contiguous, write_volume

arrays = hnp.arrays(
    st.sampled_from([np.uint8, np.uint16, np.uint32, np.int64]),
    st.tuples(st.integers(1, 5), st.integers(1, 5), st.integers(1, 5)),
)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(arrays)
def test_volumes_of_any_shape_survive(tmp_path_factory: Any, volume: Any) -> None:
    """Axes of length 1, 3 and 4 included, which readers take for colours or squeeze."""
    folder = tmp_path_factory.mktemp("blobs")
    kept = write_volume(folder / "a.tiff", volume, kind="annotation")
    slabs = [part.reshape(-1) for part in np.array_split(volume, 2) if part.size]
    mapped = write_contiguous(folder / "r.tiff", slabs, shape=volume.shape, kind="ranks")
    for blob in (kept, mapped):
        assert (blob.dtype, blob.shape) == (volume.dtype.name, volume.shape)
        np.testing.assert_array_equal(read_volume(blob.path, volume.shape), volume)
        assert tifffile.imread(blob.path).size == volume.size
        check_blob(blob, digest=True)
    direct = tifffile.memmap(mapped.path, mode="r")
    np.testing.assert_array_equal(direct.reshape(volume.shape), volume)
    assert isinstance(read_volume(mapped.path, volume.shape), np.memmap)


def test_blobs_that_changed_are_noticed(tmp_path: Path) -> None:
    volume = np.arange(24, dtype=np.uint16).reshape(2, 3, 4)
    blob = write_volume(tmp_path / "a.tiff", volume, kind="annotation")
    content = bytearray(blob.path.read_bytes())
    content[-1] ^= 1
    blob.path.write_bytes(content)
    check_blob(blob)
    with pytest.raises(BlobError, match="was altered: its SHA-256 differs"):
        check_blob(blob, digest=True)
    blob.path.write_bytes(content[:-1])
    with pytest.raises(BlobError, match=f"{len(content) - 1:,} bytes instead of {len(content):,}"):
        check_blob(blob)
    blob.path.unlink()
    with pytest.raises(BlobError, match="the annotation volume is missing"):
        check_blob(blob)


def test_too_few_voxels_are_an_error(tmp_path: Path) -> None:
    slabs = [np.zeros(5, dtype=np.uint16)]
    with pytest.raises(BlobError, match="10 bytes of voxels instead of 48"):
        write_contiguous(tmp_path / "r.tiff", slabs, shape=(2, 3, 4), kind="ranks")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n", (3, 1)),
        ("v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3", (3, 1)),
        ("v 0 0 0\r\nv 1 0 0\r\nv 0 1 0\r\nf 1 2 3\r\n", (3, 1)),
        ("# a comment\no name\nv  0 0 0\nv 1 0 0 1.0\nv 0 1 0\nvn 0 0 1\nf 1//1 2//1 3//1\n", (3, 1)),
        ("v 0 0 0\nv 1 0 0\nv 0 1 0\nv 1 1 0\nf 1 2 4 3\n", (4, 2)),
        ("v 0 0 0\nv 1 0 0\nv 0 1 0\nv 1 1 0\ng f v\nf 1 2 4 3 # f 1 2 3\nvn 0 0 1\n", (4, 2)),
        ("v 1\t2 3\nv 1\t0 0\nv 0 1 0\nv 1 1 1\nf 1 2 3 4\nf 1 2 3 4\n", (4, 4)),
    ],
)  # fmt: skip
def test_counts_of_obj_files(tmp_path: Path, text: str, expected: tuple[int, int]) -> None:
    path = tmp_path / "1.obj"
    path.write_bytes(text.encode())
    assert count_mesh(path) == expected


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.integers(3, 30), st.integers(1, 30), st.integers(0, 99))
def test_counts_are_those_of_meshio(tmp_path_factory: Any, v: int, t: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    mesh = meshio.Mesh(rng.normal(size=(v, 3)), [("triangle", rng.integers(0, v, size=(t, 3)))])
    path = tmp_path_factory.mktemp("mesh") / "1.obj"
    meshio.write(path, mesh)
    assert count_mesh(path) == (v, t)


def test_a_blob_is_a_value() -> None:
    blob = Blob("ranks", Path("x"), "uint16", (1, 2, 3), 4, "00")
    assert blob == Blob("ranks", Path("x"), "uint16", (1, 2, 3), 4, "00")
