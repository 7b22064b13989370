"""Exported images, read back with other tools: every voxel, its size and its place."""

from __future__ import annotations

import importlib
import itertools
import sys
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from test_space import ORIENTATIONS

from atlasdb import export
from atlasdb.errors import AtlasDBError
from atlasdb.export import DTYPES, FORMS, checked_form, ras_affine, write_image
from atlasdb.space import Reorientation
from atlasdb.volumes import read_volume
from atlasdb.voxels.grid import Grid

nibabel: Any = importlib.import_module("nibabel")
nrrd: Any = importlib.import_module("nrrd")

GRID = Grid((4, 3, 7), (50.0, 20.0, 12.5))
OPPOSITE = dict(zip("apsirl", "paislr", strict=True))


def voxels(dtype: str, shape: tuple[int, ...] = GRID.shape) -> NDArray[Any]:
    """Values that fill the type's range, no two planes alike."""
    rng = np.random.default_rng(5)
    kind = np.dtype(dtype)
    if kind.kind == "b":
        return rng.random(shape) < 0.4
    if kind.kind == "f":
        values = (rng.random(shape) * 1e6 - 3e5).astype(kind)
        values.flat[:3] = np.nan, np.inf, np.finfo(kind).tiny
        return values
    limits = np.iinfo(kind)
    values = rng.integers(limits.min, limits.max, shape, kind, endpoint=True)
    values.flat[:2] = limits.min, limits.max
    return values


def read_back(path: Path) -> NDArray[Any]:
    """The voxels as the format's usual reader gives them."""
    if path.name.endswith((".tif", ".tiff")):
        with tifffile.TiffFile(path) as tiff:
            assert len(tiff.series) == 1
            return np.asarray(tiff.asarray(squeeze=False))
    if path.name.endswith(".npy"):
        return np.asarray(np.load(path))
    if path.name.endswith(".nrrd"):
        return np.asarray(nrrd.read(str(path))[0])
    return np.asarray(nibabel.load(path).dataobj)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("form", FORMS)
def test_every_voxel_comes_back(tmp_path: Path, form: str, dtype: str) -> None:
    volume, path = voxels(dtype), tmp_path / f"image.{form}"
    write_image(path, volume, grid=GRID, dtype=dtype)
    found = read_back(path)
    assert found.dtype == (np.uint8 if dtype == "bool" and form != "npy" else np.dtype(dtype))
    np.testing.assert_array_equal(found.reshape(GRID.shape), volume)
    assert [child.name for child in tmp_path.iterdir()] == [path.name]


@settings(deadline=None, max_examples=150)
@given(
    shape=st.tuples(*(st.integers(1, 5) for _ in range(3))),
    form=st.sampled_from(FORMS),
    dtype=st.sampled_from(["uint8", "uint32", "int64"]),
)
def test_short_axes_and_axes_of_three_mean_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, shape: tuple[int, int, int], form: str, dtype: str
) -> None:
    path = tmp_path_factory.mktemp("shape") / f"image.{form}"
    volume = voxels(dtype, shape)
    write_image(path, volume, grid=Grid(shape, (50.0, 20.0, 12.5)), dtype=dtype)
    if form in {"tif", "tiff"}:
        np.testing.assert_array_equal(read_volume(path, shape), volume)
        with tifffile.TiffFile(path) as tiff:
            assert len(tiff.pages) == shape[0]
            kinds = {page.aspage().photometric for page in tiff.pages}
            assert kinds == {tifffile.PHOTOMETRIC.MINISBLACK}
            assert {page.shape for page in tiff.pages} == {shape[1:]}
    else:
        found = read_back(path)
        assert found.shape == shape
        np.testing.assert_array_equal(found, volume)


@pytest.mark.parametrize("form", FORMS)
def test_slabs_are_put_together_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    volume, path = voxels("int16"), tmp_path / f"image.{form}"
    write_image(path, volume, grid=GRID, dtype="int16")
    whole = path.read_bytes()
    for size in (1, 4 * 3 * 2 * 2, 4 * 3 * 2 * 3, 4 * 3 * 2 * 7):
        monkeypatch.setattr(export, "_SLAB_BYTES", size)
        write_image(path, volume, grid=GRID, dtype="int16")
        assert path.read_bytes() == whole


# TIFF


def physical_tags(path: Path) -> list[tuple[float, float]]:
    """Edges of every page's pixels in microns, from the tags alone."""
    with tifffile.TiffFile(path) as tiff:
        found = []
        for page in tiff.pages:
            tags = page.aspage().tags
            assert tags["ResolutionUnit"].value == 3, "centimetres"
            (across, per), (down, per_down) = (
                tags["XResolution"].value,
                tags["YResolution"].value,
            )
            found.append((10_000 * per_down / down, 10_000 * per / across))
        return found


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_imagej_learns_the_voxel_size(tmp_path: Path, dtype: str) -> None:
    path = tmp_path / "image.tif"
    text = "average, 12.5\nµm\nunit=inch \\u12"
    write_image(path, voxels(dtype), grid=GRID, dtype=dtype, description=text)
    assert physical_tags(path) == [(20, 12.5)] * 4
    with tifffile.TiffFile(path) as tiff:
        metadata = tiff.imagej_metadata
        assert metadata is not None
        assert tiff.is_imagej
        assert tiff.series[0].axes == "ZYX"
        assert not tiff.is_bigtiff
    known = {key: metadata[key] for key in ("spacing", "unit", "images", "slices", "orientation")}
    assert known == {
        "spacing": 50,
        "unit": "um",
        "images": 4,
        "slices": 4,
        "orientation": "asr",
    }
    assert metadata["description"] == "average, 12.5 um unit:inch /u12"


@pytest.mark.parametrize("dtype", ["bool", "uint32", "int8", "int16", "int32", "float64"])
def test_ome_learns_the_voxel_size(tmp_path: Path, dtype: str) -> None:
    path = tmp_path / "image.tif"
    kept = "uint8" if dtype == "bool" else dtype
    write_image(path, voxels(dtype), grid=GRID, dtype=dtype, description="a <b> & µ")
    assert physical_tags(path) == [(20, 12.5)] * 4
    with tifffile.TiffFile(path) as tiff:
        assert tiff.is_ome == (kept != "uint8")
        xml = tiff.ome_metadata
        assert tiff.series[0].axes == "ZYX"
    if kept == "uint8":
        return
    root = ET.fromstring(xml or "")  # noqa: S314 (our own)
    space = {"o": "http://www.openmicroscopy.org/Schemas/OME/2016-06"}
    pixels = root.find(".//o:Pixels", space)
    assert pixels is not None
    sizes = [float(pixels.attrib[f"PhysicalSize{axis}"]) for axis in "ZYX"]
    assert sizes == [50, 20, 12.5]
    assert {pixels.attrib[f"PhysicalSize{axis}Unit"] for axis in "ZYX"} == {"µm"}
    assert [int(pixels.attrib[f"Size{axis}"]) for axis in "ZYXCT"] == [4, 3, 7, 1, 1]
    names = {"float64": "double"}
    assert pixels.attrib["Type"] == names.get(dtype, dtype)
    assert root.findtext(".//o:Description", None, space) == "a <b> & µ orientation: asr"


@pytest.mark.parametrize("dtype", ["int64", "uint64"])
def test_what_neither_knows_is_in_tifffiles_own_metadata(tmp_path: Path, dtype: str) -> None:
    path = tmp_path / "image.tiff"
    write_image(path, voxels(dtype), grid=GRID, dtype=dtype, description="µ", orientation="PIR")
    assert physical_tags(path) == [(20, 12.5)] * 4
    with tifffile.TiffFile(path) as tiff:
        assert not tiff.is_ome
        assert not tiff.is_imagej
        metadata = (tiff.shaped_metadata or ())[0]
    assert metadata["spacing"] == 50
    assert metadata["unit"] == "um"
    assert metadata["shape"] == [4, 3, 7]
    assert (metadata["orientation"], metadata["description"]) == ("pir", "µ")


def test_a_large_tiff_is_a_bigtiff_and_compressed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, grid = tmp_path / "image.tif", Grid((6, 200, 300), (25.0, 10.0, 39.0))
    volume = np.zeros(grid.shape, np.uint16)
    volume[2, 100] = 7
    write_image(path, volume, grid=grid, dtype="uint16")
    with tifffile.TiffFile(path) as tiff:
        assert not tiff.is_bigtiff
        assert tiff.is_imagej
    assert path.stat().st_size < volume.nbytes / 20
    np.testing.assert_allclose(physical_tags(path), [(10, 39)] * 6, rtol=1e-6)
    monkeypatch.setattr(export, "_CLASSIC_TIFF_BYTES", volume.nbytes - 1)
    write_image(path, volume, grid=grid, dtype="uint16")
    with tifffile.TiffFile(path) as tiff:
        assert tiff.is_bigtiff
        assert tiff.is_ome
        np.testing.assert_array_equal(tiff.asarray(), volume)


# Images in space


def ras_mm(path: Path, index: tuple[int, int, int]) -> NDArray[np.float64]:
    """Where a reader puts a voxel's centre: right, anterior, superior, in mm."""
    if path.name.endswith(".nrrd"):
        header = nrrd.read_header(str(path))
        assert header["space"] == "left-posterior-superior"
        assert header["space units"] == ["mm"] * 3
        lps = header["space origin"] + np.asarray(index) @ header["space directions"]
        return np.asarray(lps * [-1, -1, 1])
    image = nibabel.load(path)
    assert image.header.get_xyzt_units()[0] == "mm"
    np.testing.assert_allclose(image.get_sform(), image.get_qform(), atol=1e-6)
    return np.asarray((image.affine @ [*index, 1])[:3])


IN_SPACE = ("nii", "nii.gz", "nrrd")


@pytest.mark.parametrize("form", IN_SPACE)
def test_a_known_voxel_stands_where_it_should(tmp_path: Path, form: str) -> None:
    path = tmp_path / f"image.{form}"
    write_image(path, voxels("uint16"), grid=GRID, dtype="uint16")
    # Centres, microns from the front, the top and the right: 25, 10, 6.25 and 125, 30, 43.75.
    np.testing.assert_allclose(ras_mm(path, (0, 0, 0)), [-0.00625, -0.025, -0.01], rtol=1e-6)
    np.testing.assert_allclose(ras_mm(path, (2, 1, 3)), [-0.04375, -0.125, -0.03], rtol=1e-6)


@pytest.mark.parametrize("orientation", ORIENTATIONS)
@pytest.mark.parametrize("form", ["nii", "nrrd"])
def test_a_voxel_has_one_place_whatever_the_orientation(
    tmp_path: Path, form: str, orientation: str
) -> None:
    turn = Reorientation.between("asr", orientation)
    volume = np.arange(84, dtype=np.int32).reshape(GRID.shape)
    turned = turn.volume(volume)
    grid = Grid(turned.shape, turn.permute(GRID.resolution_um))
    path = tmp_path / f"image.{form}"
    write_image(path, turned, grid=grid, dtype="int32", orientation=orientation)
    found = read_back(path)
    for index in np.ndindex(*found.shape):
        i, j, k = index
        ap, si, rl = np.unravel_index(int(found[index]), GRID.shape)
        expected = [-(rl + 0.5) * 0.0125, -(ap + 0.5) * 0.05, -(si + 0.5) * 0.02]
        np.testing.assert_allclose(ras_mm_cached(path, (i, j, k)), expected, atol=1e-7)
    if form == "nii":
        image = nibabel.load(path)
        axes = "".join(nibabel.aff2axcodes(image.affine)).lower()
        assert axes == "".join(OPPOSITE[letter] for letter in orientation)
        zooms = np.array(grid.resolution_um) / 1000
        np.testing.assert_allclose(image.header.get_zooms(), zooms, rtol=1e-6)
        if orientation == "lpi":
            np.testing.assert_array_equal(np.diag(image.affine)[:3] > 0, [True] * 3)


AFFINES: dict[Path, NDArray[np.float64]] = {}


def ras_mm_cached(path: Path, index: tuple[int, int, int]) -> NDArray[np.float64]:
    """As `ras_mm`, with the file read once."""
    if path not in AFFINES:
        columns = [ras_mm(path, (0, 0, 0))]
        columns += [ras_mm(path, unit) - columns[0] for unit in ((1, 0, 0), (0, 1, 0), (0, 0, 1))]
        AFFINES[path] = np.array(columns)
    origin, *axes = AFFINES[path]
    return np.asarray(origin + np.asarray(index) @ np.array(axes))


def test_the_affine_of_the_atlas() -> None:
    expected = np.array(
        [
            [0, 0, -0.0125, -0.00625],
            [-0.05, 0, 0, -0.025],
            [0, -0.02, 0, -0.01],
            [0, 0, 0, 1],
        ]
    )
    np.testing.assert_allclose(ras_affine(GRID), expected)
    assert not np.signbit(ras_affine(GRID)[ras_affine(GRID) == 0]).any()


def test_nifti_headers(tmp_path: Path) -> None:
    path, long = tmp_path / "image.nii", tmp_path / "long.nii.gz"
    write_image(path, voxels("int64"), grid=GRID, dtype="int64", description="µ" * 60)
    header = nibabel.load(path).header
    assert (header["sform_code"], header["qform_code"]) == (2, 2)
    with path.open("rb") as file:  # nibabel.load hides them
        raw = nibabel.Nifti1Header.from_fileobj(file)
    assert (float(raw["scl_slope"]), float(raw["scl_inter"])) == (1, 0)
    assert header["descrip"].item().decode() == "µ" * 39
    assert path.stat().st_size == 352 + 84 * 8
    grid = Grid((2, 3, 40_000), GRID.resolution_um)
    volume = voxels("uint8", grid.shape)
    write_image(long, volume, grid=grid, dtype="uint8")
    image = nibabel.load(long)
    assert isinstance(image, nibabel.Nifti2Image)
    np.testing.assert_array_equal(np.asarray(image.dataobj), volume)


def test_nrrd_header(tmp_path: Path) -> None:
    path = tmp_path / "image.nrrd"
    text = "annotation of\n10 µm ☺"
    write_image(path, voxels("uint32"), grid=GRID, dtype="uint32", description=text)
    header = nrrd.read_header(str(path))
    assert header["sizes"].tolist() == [4, 3, 7]
    assert header["type"] == "uint32"
    assert header["content"] == "annotation of 10 um ? orientation asr"
    assert header["kinds"] == ["domain"] * 3


# What is given, and what is refused


@pytest.mark.parametrize("form", FORMS)
def test_a_generator_is_consumed_once_even_if_it_reuses_its_array(
    tmp_path: Path, form: str
) -> None:
    volume = voxels("uint16")

    def planes() -> Iterator[NDArray[np.uint16]]:
        buffer = np.empty(GRID.shape[1:], np.uint16)
        for plane in volume:
            buffer[:] = plane
            yield buffer
        buffer[:] = 0

    source, path = planes(), tmp_path / f"image.{form}"
    write_image(path, source, grid=GRID, dtype="uint16")
    assert list(source) == []
    np.testing.assert_array_equal(read_back(path).reshape(GRID.shape), volume)


@pytest.mark.parametrize("form", FORMS)
def test_layout_and_byte_order_of_the_given_array_do_not_matter(tmp_path: Path, form: str) -> None:
    volume = voxels("uint32")
    paths = [tmp_path / f"{name}.{form}" for name in "abc"]
    write_image(paths[0], volume, grid=GRID, dtype="uint32")
    write_image(paths[1], np.asfortranarray(volume), grid=GRID, dtype=np.uint32)
    write_image(paths[2], volume.astype(">u4"), grid=GRID, dtype=">u4", form=form)
    assert len({path.read_bytes() for path in paths}) == 1


@pytest.mark.parametrize("form", FORMS)
def test_memory_stays_far_below_the_volume(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    grid = Grid((150, 90, 300), (10.0, 10.0, 10.0))  # 16 MB as uint32
    monkeypatch.setattr(export, "_SLAB_BYTES", 500_000)
    path = tmp_path / f"image.{form}"
    write_image(path, np.zeros(GRID.shape, np.uint32), grid=GRID, dtype="uint32")  # imports
    planes = (np.full(grid.shape[1:], i, np.uint32) for i in range(grid.shape[0]))
    tracemalloc.start()
    try:
        write_image(path, planes, grid=grid, dtype="uint32")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 4_000_000
    found = read_back(path).reshape(grid.shape)
    assert (found[:, 0, 0] == np.arange(150)).all()
    assert (found == found[:, :1, :1]).all()


def failing() -> Iterator[NDArray[np.uint16]]:
    yield voxels("uint16")[0]
    raise KeyboardInterrupt


WRONG: list[tuple[Any, type[BaseException], str]] = [
    (lambda: voxels("uint16")[:3], ValueError, "the planes end after 3 of 4"),
    (lambda: itertools.cycle(voxels("uint16")), ValueError, "more than 4 planes"),
    (lambda: voxels("uint16", (4, 7, 3)), ValueError, r"plane 0 has shape \(7, 3\)"),
    (lambda: [*voxels("uint16")[:3], voxels("int16")[3]], ValueError, "plane 3 is of int16"),
    (failing, KeyboardInterrupt, "^$"),
]


@pytest.mark.parametrize(("planes", "error", "message"), WRONG)
@pytest.mark.parametrize("form", FORMS)
def test_after_a_failure_the_old_file_stands_alone(
    tmp_path: Path, form: str, planes: Any, error: type[BaseException], message: str
) -> None:
    path = tmp_path / f"image.{form}"
    path.write_text("old")
    with pytest.raises(error, match=message):
        write_image(path, planes(), grid=GRID, dtype="uint16")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dtype": "float16"}, "voxels of float16 cannot be written: give bool, uint8"),
        ({"dtype": "complex64"}, "voxels of complex64"),
        ({"orientation": "ras3"}, "no orientation"),
        ({"form": "png"}, r"no image format 'png'; the formats are \.tif, .*\.nii\.gz$"),
        ({"grid": Grid((0, 3, 7), (1.0, 1.0, 1.0))}, "has no voxels"),
        ({"grid": Grid((4, 3, 7), (1.0, 0.0, 1.0))}, "no voxel size"),
        ({"grid": Grid((4, 3, 7), (1.0, float("nan"), 1.0))}, "no voxel size"),
    ],
)
def test_what_cannot_be_written_is_refused(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    arguments: dict[str, Any] = {"grid": GRID, "dtype": "uint16"} | changes
    with pytest.raises(ValueError, match=message):
        write_image(tmp_path / "image.tif", voxels("uint16"), **arguments)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["image.png", "image", "image.gz", "tif", "image.nii.bz2"])
def test_another_ending_names_those_there_are(name: str) -> None:
    with pytest.raises(ValueError, match=r"ends in one of \.tif, \.tiff, \.npy, \.nrrd, \.nii, "):
        checked_form(Path(name))


def test_forms() -> None:
    assert [checked_form(Path(f"a.b.{form.upper()}")) for form in FORMS] == list(FORMS)
    assert checked_form(Path("a.png"), "nrrd") == "nrrd"


def test_without_nibabel_the_message_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "nibabel", None)
    with pytest.raises(AtlasDBError, match=r"needs nibabel: pip install 'atlasdb\[images\]'"):
        write_image(tmp_path / "image.nii.gz", voxels("uint8"), grid=GRID, dtype="uint8")
    assert list(tmp_path.iterdir()) == []


def test_where_a_file_cannot_go(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no such folder"):
        write_image(tmp_path / "a" / "b.npy", voxels("uint8"), grid=GRID, dtype="uint8")
    (tmp_path / "c.npy").mkdir()
    with pytest.raises(OSError, match="regular file"):
        write_image(tmp_path / "c.npy", voxels("uint8"), grid=GRID, dtype="uint8")
    assert [child.name for child in tmp_path.iterdir()] == ["c.npy"]


def test_a_link_stays_and_permissions_too(tmp_path: Path) -> None:
    real, link = tmp_path / "real.npy", tmp_path / "link.npy"
    real.write_text("old")
    real.chmod(0o640)
    link.symlink_to(real)
    write_image(link, voxels("uint8"), grid=GRID, dtype="uint8")
    assert link.is_symlink()
    assert real.stat().st_mode & 0o777 == 0o640
    np.testing.assert_array_equal(np.load(real), voxels("uint8"))


def test_equal_volumes_give_equal_bytes_at_any_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import time

    for form, dtype in itertools.product(FORMS, ("uint16", "uint32", "int64")):
        first, second = tmp_path / f"first.{form}", tmp_path / f"another.{form}"
        write_image(first, voxels(dtype), grid=GRID, dtype=dtype)
        with monkeypatch.context() as later:
            later.setattr(time, "time", lambda: 2e9)
            write_image(second, voxels(dtype), grid=GRID, dtype=dtype)
        assert first.read_bytes() == second.read_bytes()
