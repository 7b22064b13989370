"""Volumes as image files that other tools open with the right voxel size and the right sides.

The one idea: a volume is written index by index of its axis 0, so that it need not fit into memory,
and every file says how large a voxel is. Formats that place an image in space have their world's
origin at the corner of the atlas where its 'asr' axes begin, whatever orientation is written: two
exports of one atlas overlay in a viewer.
"""

from __future__ import annotations

import errno
import gzip
import importlib
import json
import math
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO
from xml.sax.saxutils import escape

import numpy as np
import tifffile

from atlasdb.errors import MissingPackageError, listing
from atlasdb.space import STANDARD, Reorientation
from atlasdb.wholefile import replacing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from numpy.typing import ArrayLike, DTypeLike, NDArray

    from atlasdb.voxels.grid import Grid

DTYPES = (
    *("bool", "uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64"),
    *("float32", "float64"),
)
"""Types of voxels that can be written; none is ever converted, but truth values, which only .npy
has: the others hold 0 and 1 as uint8."""

_MICRONS_PER_MM = 1_000.0
_MICRONS_PER_CM = 10_000.0
_LEVEL = 6
_SLAB_BYTES = 64_000_000
# Beyond it, offsets of 32 bits may not do; the difference is room for directories.
_CLASSIC_TIFF_BYTES = 2**32 - 2**25
_IMAGEJ_DTYPES = ("uint8", "uint16", "float32")
# https://docs.openmicroscopy.org/ome-model/6.3.1/: 64-bit integers are missing.
_OME_DTYPES = {
    **{name: name for name in ("uint8", "uint16", "uint32", "int8", "int16", "int32")},
    "float32": "float",
    "float64": "double",
}
_NRRD_DTYPES = {"float32": "float", "float64": "double"}
# Directions of an 'asr' atlas' axes in worlds that point right, anterior, superior.
_ASR_TO_RAS = np.array([[0, 0, -1, 0], [-1, 0, 0, 0], [0, -1, 0, 0], [0, 0, 0, 1]], dtype=float)
_RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
_ALIGNED = 2
_LONGEST_NIFTI_1_AXIS = 2**15 - 1
_LONGEST_NIFTI_TEXT = 79


@dataclass(frozen=True)
class _Image:
    """What is written: all that a header needs to know."""

    grid: Grid
    orientation: str
    dtype: np.dtype[Any]
    description: str

    @property
    def bytes(self) -> int:
        return math.prod(self.grid.shape) * self.dtype.itemsize


def write_image(
    path: Path,
    planes: Iterable[ArrayLike],
    *,
    grid: Grid,
    orientation: str = STANDARD,
    dtype: DTypeLike,
    description: str = "",
    form: str | None = None,
) -> None:
    """Write a volume as an image file, whole or not at all; equal volumes give equal bytes.

    Parameters
    ----------
    path
        Where to; the folder exists. A file that stands there is replaced.
    planes
        The volume's 2-D planes, index by index of axis 0: a 3-D array, or an iterable, which is
        consumed once. Their dtype is `dtype`.
    grid
        Shape and voxel edges (microns) along the axes as they are written; the whole atlas.
    orientation
        Where the axes of the planes' volume start.
    dtype
        One of `DTYPES`.
    description
        One line of text for the header. NIfTI keeps 79 bytes of it, NRRD and ImageJ plain ASCII,
        .npy nothing.
    form
        The format: one of `FORMS`. By default the path's ending, ``.tif`` for example, says.

    Raises
    ------
    ValueError
        Another ending, dtype or orientation; planes of another number, shape or dtype.
    MissingPackageError
        NIfTI without nibabel.
    OSError
        The file cannot be written.

    Notes
    -----
    * TIFF: a deflated page for each index of axis 0; the voxel's size in the resolution tags
      (pixels per centimetre) and as ImageJ metadata (uint8, uint16, float32 under 4 GB), OME-XML
      (the other types, BigTIFF from 4 GB) or, for 64-bit integers, tifffile's own metadata. The
      sides are a text only. Programs that take ImageJ's ``unit`` for the unit of the resolution
      tags without reading ResolutionUnit see a voxel 10,000 times too small along the last two
      axes; ImageJ and Bio-Formats do not.
    * NIfTI and NRRD: millimetres, axes and origin as in `ras_affine`. Axis 0 varies fastest in
      these files, as in the Allen Institute's, so that nibabel and pynrrd return the axes in the
      order given here. The voxels pass through an unnamed file beside the destination, as large as
      the uncompressed volume, and 64 MB of memory or one pillar of axes 0 and 1.
    * ``.npy``: the array alone, no voxel size.

    Examples
    --------
    >>> import tempfile
    >>> from atlasdb.voxels.grid import Grid
    >>> volume = np.arange(24, dtype=np.uint16).reshape(2, 3, 4)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "reference.tif"
    ...     write_image(path, volume, grid=Grid((2, 3, 4), (50.0, 25.0, 10.0)), dtype="uint16")
    ...     bool((tifffile.imread(path) == volume).all())
    True
    """
    write = _WRITERS[checked_form(path, form)]
    kind = np.dtype(dtype)
    _check(grid, orientation, kind)
    stored = kind if write is _write_npy or kind != np.bool_ else np.dtype(np.uint8)
    image = _Image(grid, orientation.lower(), stored.newbyteorder("<"), description)
    checked = _checked(planes, kind, image)
    target = path.resolve()
    _check_target(target)
    with replacing(target) as file:
        write(file, image, checked)


def checked_form(path: Path, form: str | None = None) -> str:
    """Return the format that is asked for, or that a path's ending names.

    Raises
    ------
    ValueError
        It is none of `FORMS`.

    Examples
    --------
    >>> checked_form(Path("annotation.NII.gz"))
    'nii.gz'
    """
    if form in _WRITERS:
        return str(form)
    endings = listing((f".{name}" for name in FORMS), limit=len(FORMS))
    if form is not None:
        raise ValueError(f"no image format {form!r}; the formats are {endings}")
    for name in FORMS:
        if path.name.lower().endswith(f".{name}"):
            return name
    raise ValueError(f"{path.name}: an image's name ends in one of {endings}")


def ras_affine(grid: Grid, orientation: str = STANDARD) -> NDArray[np.float64]:
    """Return the affine matrix from voxel indices to millimetres right, anterior and superior.

    An index stands for its voxel's centre, as NIfTI and NRRD have it. The origin is the corner
    where the atlas' 'asr' axes begin, and the atlas lies on the left, posterior and inferior of it;
    a brain's middle is therefore not at 0.

    Parameters
    ----------
    grid
        Shape and voxel edges along the axes of `orientation`.
    orientation
        Where those axes start.

    Returns
    -------
    ndarray
        (4, 4) float64, for column vectors [i, j, k, 1].

    Examples
    --------
    >>> from atlasdb.voxels.grid import Grid
    >>> ras_affine(Grid((132, 80, 114), (100.0, 100.0, 100.0))) @ [10, 20, 30, 1]
    array([-3.05, -1.05, -2.05,  1.  ])
    """
    edges = np.asarray(grid.resolution_um, dtype=np.float64)
    microns = np.diag([*edges, 1.0])
    microns[:3, 3] = edges / 2
    matrix = _ASR_TO_RAS @ Reorientation.between(orientation).matrix(grid.extent_um) @ microns
    matrix[:3] /= _MICRONS_PER_MM
    # Adding 0 turns -0 into 0.
    return np.asarray(matrix + 0.0, dtype=np.float64)


def _check(grid: Grid, orientation: str, dtype: np.dtype[Any]) -> None:
    """Refuse what no file can hold, before one is begun."""
    Reorientation.between(orientation)
    if dtype.name not in DTYPES:
        raise ValueError(
            f"voxels of {dtype.name} cannot be written: give {listing(DTYPES, limit=len(DTYPES))}"
        )
    if min(grid.shape) < 1:
        raise ValueError(f"a volume of shape {tuple(grid.shape)} has no voxels")
    if not all(math.isfinite(edge) and edge > 0 for edge in grid.resolution_um):
        raise ValueError(f"{tuple(grid.resolution_um)} µm is no voxel size")


def _checked(
    planes: Iterable[ArrayLike], dtype: np.dtype[Any], image: _Image
) -> Iterator[NDArray[Any]]:
    """Yield exactly the planes that make up the image, as copies in C order of its dtype."""
    source, shape = iter(planes), image.grid.shape
    end = object()
    for index in range(shape[0]):
        given = next(source, end)
        if given is end:
            raise ValueError(f"the planes end after {index:,} of {shape[0]:,}")
        plane = np.asarray(given)
        if plane.shape != tuple(shape[1:]):
            raise ValueError(f"plane {index} has shape {plane.shape} instead of {shape[1:]}")
        if plane.dtype.newbyteorder("=") != dtype.newbyteorder("="):
            raise ValueError(f"plane {index} is of {plane.dtype.name} instead of {dtype.name}")
        # A copy, for a generator may use its array again, also when it is asked for one plane more.
        plane = np.array(plane, dtype=image.dtype, order="C")
        if index == shape[0] - 1 and next(source, end) is not end:
            raise ValueError(f"there are more than {shape[0]:,} planes")
        yield plane


def _check_target(target: Path) -> None:
    """Refuse a place where no file can be put."""
    if not target.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, "no such folder", str(target.parent))
    if target.exists() and not target.is_file():
        raise OSError(errno.EINVAL, "an image can only replace a regular file", str(target))


def _write_npy(file: BinaryIO, image: _Image, planes: Iterator[NDArray[Any]]) -> None:
    """Write numpy's own format, version 1.0."""
    header = {
        "descr": np.lib.format.dtype_to_descr(image.dtype),
        "fortran_order": False,
        "shape": tuple(map(int, image.grid.shape)),
    }
    np.lib.format.write_array_header_1_0(file, header)
    file.writelines(plane.data for plane in planes)


def _write_tiff(file: BinaryIO, image: _Image, planes: Iterator[NDArray[Any]]) -> None:
    """Write a page for each plane, on its own: an axis of length 1 or 3 then means nothing else."""
    is_big = image.bytes > _CLASSIC_TIFF_BYTES
    _, height, width = image.grid.resolution_um
    with tifffile.TiffWriter(file, bigtiff=is_big, byteorder="<", shaped=False) as tiff:
        for index, plane in enumerate(planes):
            tiff.write(
                plane,
                photometric="minisblack",
                compression="zlib",
                compressionargs={"level": _LEVEL},
                rowsperstrip=plane.shape[0],
                resolution=(_MICRONS_PER_CM / width, _MICRONS_PER_CM / height),
                resolutionunit="CENTIMETER",
                description=_tiff_text(image, is_big=is_big) if index == 0 else None,
                metadata=None,
                software="atlasdb" if index == 0 else False,
            )


def _tiff_text(image: _Image, *, is_big: bool) -> str:
    """Return the first page's description, from which programs learn what the pages are."""
    if image.dtype.name in _IMAGEJ_DTYPES and not is_big:
        return _imagej_text(image)
    if image.dtype.name in _OME_DTYPES:
        return _ome_text(image)
    return json.dumps(
        {
            "shape": [int(size) for size in image.grid.shape],
            "axes": "ZYX",
            "spacing": float(image.grid.resolution_um[0]),
            "unit": "um",
            "orientation": image.orientation,
            "description": image.description,
        }
    )


def _imagej_text(image: _Image) -> str:
    """Return ImageJ's lines, in which the distance of pages is that of voxels along axis 0."""
    pages = int(image.grid.shape[0])
    # ImageJ's parser stumbles over backslashes, tifffile's over a second "=" in a line.
    text = _plain(image.description).replace("\\", "/").replace("=", ":")
    lines = {
        "ImageJ": "1.11a",
        "images": pages,
        "slices": pages,
        "hyperstack": "true",
        "mode": "grayscale",
        "loop": "false",
        "spacing": float(image.grid.resolution_um[0]),
        "unit": "um",
        "orientation": image.orientation,
        **({"description": text} if text else {}),
    }
    return "".join(f"{key}={value}\n" for key, value in lines.items())


def _ome_text(image: _Image) -> str:
    """Return OME-XML without an identifier, which would make every file another one."""
    sizes = dict(zip("ZYX", map(int, image.grid.shape), strict=True))
    edges = dict(zip("ZYX", map(float, image.grid.resolution_um), strict=True))
    pixels = " ".join(
        f'Size{axis}="{sizes[axis]}" PhysicalSize{axis}="{edges[axis]!r}" '
        f'PhysicalSize{axis}Unit="µm"'
        for axis in "XYZ"
    )
    text = escape(" ".join(f"{image.description} orientation: {image.orientation}".split()))
    schema = "http://www.openmicroscopy.org/Schemas/OME/2016-06"
    xml = (
        '<?xml version="1.0" encoding="UTF-8"?>'
        f'<OME xmlns="{schema}" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
        f'xsi:schemaLocation="{schema} {schema}/ome.xsd" Creator="atlasdb">'
        f'<Image ID="Image:0" Name="atlas"><Description>{text}</Description>'
        f'<Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="{_OME_DTYPES[image.dtype.name]}" '
        f'SizeC="1" SizeT="1" {pixels} BigEndian="false">'
        '<Channel ID="Channel:0:0" SamplesPerPixel="1"/>'
        f'<TiffData IFD="0" PlaneCount="{sizes["Z"]}"/></Pixels></Image></OME>'
    )
    # A TIFF description is ASCII.
    return xml.encode("ascii", "xmlcharrefreplace").decode("ascii")


def _write_nrrd(file: BinaryIO, image: _Image, planes: Iterator[NDArray[Any]]) -> None:
    """Write an NRRD file (http://teem.sourceforge.net/nrrd/format.html).

    pynrrd would write the time of day into it, and needs the whole volume.
    """
    matrix = _RAS_TO_LPS @ ras_affine(image.grid, image.orientation) + 0.0
    fields = {
        "type": _NRRD_DTYPES.get(image.dtype.name, image.dtype.name),
        "dimension": 3,
        "space": "left-posterior-superior",
        "sizes": " ".join(str(int(size)) for size in image.grid.shape),
        "space directions": " ".join(_vector(matrix[:3, axis]) for axis in range(3)),
        "kinds": "domain domain domain",
        "endian": "little",
        "encoding": "gzip",
        "content": _plain(f"{image.description} orientation {image.orientation}"),
        "space units": '"mm" "mm" "mm"',
        "space origin": _vector(matrix[:3, 3]),
    }
    header = "".join(f"{key}: {value}\n" for key, value in fields.items())
    file.write(f"NRRD0005\n{header}\n".encode("ascii"))
    with _gzipped(file) as packed:
        _write_transposed(packed, image, planes, _folder_of(file))


def _vector(values: NDArray[np.float64]) -> str:
    """Return a vector as NRRD spells it, with the shortest digits that say it exactly."""
    return f"({','.join(repr(float(value)) for value in values)})"


def _write_nifti_gz(file: BinaryIO, image: _Image, planes: Iterator[NDArray[Any]]) -> None:
    """Write a compressed NIfTI file."""
    head = _nifti_header(image)
    with _gzipped(file) as packed:
        packed.write(head)
        _write_transposed(packed, image, planes, _folder_of(file))


def _write_nifti(file: BinaryIO, image: _Image, planes: Iterator[NDArray[Any]]) -> None:
    """Write a NIfTI file."""
    file.write(_nifti_header(image))
    _write_transposed(file, image, planes, _folder_of(file))


def _nifti_header(image: _Image) -> bytes:
    """Return all that precedes the voxels: NIfTI-1, or NIfTI-2 for an axis that needs it."""
    nibabel = _imported("nibabel")
    is_long = max(image.grid.shape) > _LONGEST_NIFTI_1_AXIS
    header = (nibabel.Nifti2Header if is_long else nibabel.Nifti1Header)(endianness="<")
    header.set_data_dtype(image.dtype)
    header.set_data_shape(image.grid.shape)
    matrix = ras_affine(image.grid, image.orientation)
    header.set_qform(matrix, code=_ALIGNED)
    header.set_sform(matrix, code=_ALIGNED)
    header.set_xyzt_units("mm")
    header.set_slope_inter(1, 0)
    text = " ".join(image.description.split()).encode()[:_LONGEST_NIFTI_TEXT]
    header["descrip"] = text.decode(errors="ignore").encode()
    # Four zeros say that no extension follows.
    head = header.binaryblock + bytes(4)
    header["vox_offset"] = math.ceil(len(head) / 16) * 16
    head = header.binaryblock + bytes(4)
    return bytes(head.ljust(int(header["vox_offset"]), b"\0"))


def _imported(module: str) -> Any:  # noqa: ANN401 (a module without types)
    """Return an optional package, or say how it is installed."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingPackageError(
            f"this image format needs {module}: pip install 'atlasdb[images]'"
        ) from error


def _gzipped(file: BinaryIO) -> gzip.GzipFile:
    """Return a compressing file that says neither its name nor the time."""
    return gzip.GzipFile(filename="", mode="wb", compresslevel=_LEVEL, fileobj=file, mtime=0)


def _folder_of(file: BinaryIO) -> Path:
    """Return the folder of an open file."""
    return Path(file.name).parent


def _write_transposed(
    file: BinaryIO | gzip.GzipFile, image: _Image, planes: Iterator[NDArray[Any]], folder: Path
) -> None:
    """Write the voxels with axis 0 varying fastest, from planes that arrive along axis 0.

    Slabs of axis 2 are gathered on disk, each in one piece, and turned one after the other.
    """
    rows, columns, depth = map(int, image.grid.shape)
    pillar = rows * columns * image.dtype.itemsize
    width = min(depth, max(1, _SLAB_BYTES // pillar))
    starts = range(0, depth, width)
    with tempfile.TemporaryFile(dir=folder) as scratch:
        for index, plane in enumerate(planes):
            for start in starts:
                piece = plane[:, start : start + width].tobytes()
                scratch.seek(start * pillar + index * len(piece))
                scratch.write(piece)
        scratch.seek(0)
        for start in starts:
            size = min(width, depth - start)
            slab = np.frombuffer(scratch.read(size * pillar), image.dtype)
            file.write(slab.reshape(rows, columns, size).transpose(2, 1, 0).tobytes())


def _plain(text: str) -> str:
    """Return a text as one line of ASCII."""
    return " ".join(text.replace("µ", "u").split()).encode("ascii", "replace").decode("ascii")


_WRITERS: dict[str, Callable[[BinaryIO, _Image, Iterator[NDArray[Any]]], None]] = {
    "tif": _write_tiff,
    "tiff": _write_tiff,
    "npy": _write_npy,
    "nrrd": _write_nrrd,
    "nii": _write_nifti,
    "nii.gz": _write_nifti_gz,
}

FORMS = tuple(_WRITERS)
"""Formats of images, each the ending of its files' names."""
