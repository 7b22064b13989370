"""Volumes as TIFF blobs: reading what a source holds, writing what a home keeps.

The one idea: any tool opens the files. The annotation, which ranks stand for, is compressed page by
page; ranks, hemispheres and references are uncompressed and contiguous, so that `tifffile.memmap`
opens them at once, a plane is read without the rest, and processes share their pages.
"""

from __future__ import annotations

import errno
import math
import os
import struct
import zlib
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from atlasdb.errors import BlobError, PackageError, ShapeError
from atlasdb.limits import current

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    import tifffile
    from numpy.typing import NDArray

_AXES = {"axes": "ZYX"}
_HEAD_BYTES = 4096
_MACHINE = {errno.EACCES, errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EPERM}
"""Errors that say nothing of a file's content."""
_DEFLATE = frozenset({8, 32946})
_COMPRESSIONS = frozenset({1, 5, 32773}) | _DEFLATE  # beside: none, LZW, PackBits
_DEFLATE_RATIO = 1032
_ANY_PART, _PART = 1 << 26, 1 << 20
_NOTHING_OF_VENDORS: dict[str, Any] = dict.fromkeys(
    (
        f"is_{kind}"
        for kind in (
            *("avs", "bif", "eer", "fluoview", "lsm", "mdgel", "mmstack", "ndpi", "ndtiff", "nih"),
            *("ome", "philips", "qpi", "scanimage", "scn", "sis", "stk", "svs"),
        )
    ),
    False,
)
"""Descriptions of microscopes', which name other files, or sizes for which nothing vouches."""

_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _STRIP_OFFSETS = 256, 257, 258, 259, 273


@dataclass(frozen=True)
class Blob:
    """A volume's file as the database remembers it.

    Attributes
    ----------
    kind
        'annotation', 'ranks', 'reference', 'hemispheres', or an additional reference's name.
    path
        The file.
    dtype
        numpy's name of the voxels' type.
    shape
        The volume's shape.
    bytes
        The file's size.
    sha256
        The file's digest, in hexadecimal.
    """

    kind: str
    path: Path
    dtype: str
    shape: tuple[int, int, int]
    bytes: int
    sha256: str


def read_volume(path: Path, shape: tuple[int, int, int]) -> NDArray[Any]:
    """Read a 3-D volume from a TIFF file of any page layout.

    Parameters
    ----------
    path
        The file. An uncompressed, contiguous one is memory-mapped, any other is read whole.
    shape
        The shape that it must have, checked before a voxel is read; the file may leave out axes
        of length 1, as TIFF writers do.

    Returns
    -------
    ndarray
        3-D, of the file's type.

    Raises
    ------
    PackageError
        An empty, damaged or foreign file.
    ShapeError
        Another shape.
    OSError
        The file may be right, but cannot be opened or read.
    """
    import tifffile  # 15 ms, which a lookup does without

    try:
        with _plain(tifffile.TiffFile)(path, _multifile=False) as tiff:
            if len(tiff.pages) == 0:  # counts them: going through a cycle would never end
                raise PackageError(f"{path.name} holds no image: {path.stat().st_size:,} bytes")
            return _series_of_shape(tiff, path, shape)
    except PackageError:
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno in _MACHINE:
            raise
        raise PackageError(
            f"{path.name} is no readable TIFF file ({path.stat().st_size:,} bytes): {error!s:.200}"
        ) from error


@cache
def _plain(kind: type[tifffile.TiffFile]) -> type[tifffile.TiffFile]:
    """Return tifffile's reader without what it knows of vendors, in all of its versions."""
    return type(kind.__name__, (kind,), _NOTHING_OF_VENDORS)


def _series_of_shape(
    tiff: tifffile.TiffFile, path: Path, shape: tuple[int, int, int]
) -> NDArray[Any]:
    """Return the image of that shape; a stack may also have been written plane by plane."""
    squeezed = tuple(size for size in shape if size != 1)
    wanted = {tuple(shape), squeezed}
    for series in tiff.series:
        if tuple(series.shape) in wanted:
            _refuse_absurd(path, [series])
            if series.dataoffset is not None and tiff.byteorder == "<":
                return np.memmap(path, np.dtype(series.dtype), "r", series.dataoffset, shape)
            return np.asarray(series.asarray()).reshape(shape)
    planes = [series for series in tiff.series if tuple(series.shape) == tuple(shape[1:])]
    if len(planes) == len(tiff.series) == shape[0]:
        _refuse_absurd(path, planes)
        return np.stack([plane.asarray() for plane in planes])
    found = tuple(tiff.series[0].shape)
    raise ShapeError(f"{path.name} has shape {found}, but metadata.json says {tuple(shape)}")


def _refuse_absurd(path: Path, images: Sequence[tifffile.TiffPageSeries]) -> None:
    """Refuse images that unpack to far more than is there, all together or in a part of a page."""
    limits, packed = current(), path.stat().st_size
    size = sum(image.nbytes for image in images)
    if size > limits.unpacked(packed):
        raise PackageError(
            f"{path.name} is absurdly large: {packed:,} bytes unpack to {size:,}; this ratio is "
            f"{limits.over('ratio')}"
        )
    for page in (page for image in images for page in image.pages if page is not None):
        keyframe: Any = page.keyframe
        if int(keyframe.compression) not in _COMPRESSIONS:
            raise PackageError(f"{path.name} is compressed by {keyframe.compression!s}")
        if int(keyframe.compression) in _DEFLATE:
            _refuse_bomb(path, page, math.prod(keyframe.chunks) * keyframe.dtype.itemsize)


def _refuse_bomb(path: Path, page: tifffile.TiffPage | tifffile.TiffFrame, room: int) -> None:
    """Refuse a part of a page that unpacks to more than has room in the page."""
    most = max(2 * room, _ANY_PART)
    large = [n for n, size in enumerate(page.databytecounts) if size * _DEFLATE_RATIO > most]
    with path.open("rb") as file:
        for number in large:
            file.seek(page.dataoffsets[number])
            unpack, rest, size = zlib.decompressobj(), file.read(page.databytecounts[number]), 0
            while rest and not unpack.eof and size <= most:
                size += len(unpack.decompress(rest, _PART))
                rest = unpack.unconsumed_tail
            if size > most:
                raise PackageError(
                    f"{path.name} holds a bomb: a part of a page unpacks to over {most:,} bytes, "
                    f"and {room:,} have room in it"
                )


def write_volume(path: Path, volume: NDArray[Any], *, kind: str) -> Blob:
    """Write a volume compressed (deflate, lossless), a page for each index of axis 0.

    Parameters
    ----------
    path
        Where to; the folder exists.
    volume
        3-D.
    kind
        The volume's role in its atlas.
    """
    import tifffile

    tifffile.imwrite(
        path,
        np.ascontiguousarray(volume),
        photometric="minisblack",
        compression="zlib",
        compressionargs={"level": 1},
        metadata=_AXES,
        rowsperstrip=volume.shape[1],
    )
    return _described(path, kind, volume.dtype, volume.shape)


def write_contiguous(
    path: Path, slabs: Iterable[NDArray[Any]], *, shape: tuple[int, int, int], kind: str
) -> Blob:
    """Write an uncompressed, memory-mappable volume from its voxels in order.

    Parameters
    ----------
    path
        Where to; the folder exists.
    slabs
        1-D arrays of one dtype that make up the volume, one after the other.
    shape
        The volume's shape.
    kind
        The volume's role in its atlas.

    Notes
    -----
    The voxels are written, not stored through a map: a full disk is then an error that can be
    reported, and not a bus error that kills the process.
    """
    import tifffile

    slabs = iter(slabs)
    first = next(slabs)
    tifffile.imwrite(path, shape=shape, dtype=first.dtype, photometric="minisblack", metadata=_AXES)
    with tifffile.TiffFile(path) as tiff:
        offset = tiff.series[0].dataoffset
        size = tiff.series[0].nbytes
    if offset is None:
        raise BlobError(f"{path}: the pages of the {kind} volume are not contiguous")
    with path.open("r+b") as file:
        file.seek(offset)
        written = file.write(first.data)
        for slab in slabs:
            written += file.write(slab.data)
    if written != size:
        raise BlobError(f"{path}: {written:,} bytes of voxels instead of {size:,}")
    return _described(path, kind, first.dtype, shape)


def write_mapped(path: Path, volume: NDArray[Any], *, kind: str) -> Blob:
    """Write a volume uncompressed and memory-mappable, whatever its layout in memory.

    Parameters
    ----------
    path
        Where to; the folder exists.
    volume
        3-D.
    kind
        The volume's role in its atlas.
    """
    if volume.dtype.kind == "b":  # TIFF packs bits, which cannot be mapped
        return write_volume(path, volume, kind=kind)
    dtype = volume.dtype.newbyteorder("<")
    slabs = (np.ascontiguousarray(plane, dtype=dtype).reshape(-1) for plane in volume)
    ap, si, rl = volume.shape
    return write_contiguous(path, slabs, shape=(ap, si, rl), kind=kind)


def map_contiguous(path: Path, dtype: str, shape: tuple[int, int, int]) -> NDArray[Any] | None:
    """Map a volume that `write_contiguous` wrote, or return None if the file is not as that writes.

    Only the head of the file is read, so that opening a volume takes no time.

    Parameters
    ----------
    path
        The file.
    dtype
        numpy's name of the voxels' type.
    shape
        The volume's shape.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "ranks.tiff"
    ...     volume = np.arange(24, dtype=np.uint16).reshape(2, 3, 4)
    ...     _ = write_contiguous(path, [volume.reshape(-1)], shape=(2, 3, 4), kind="ranks")
    ...     mapped = map_contiguous(path, "uint16", (2, 3, 4))
    >>> bool((mapped == volume).all())
    True
    """
    voxel = np.dtype(dtype).newbyteorder("<")
    offset = _contiguous_offset(path, voxel, shape)
    return None if offset is None else np.memmap(path, voxel, "r", offset, shape)


def read_contiguous(path: Path, dtype: str, shape: tuple[int, int, int]) -> NDArray[Any] | None:
    """Read a volume that `write_contiguous` wrote, or return None as `map_contiguous`.

    Reading is faster than copying what is mapped, page by page.
    """
    voxel = np.dtype(dtype).newbyteorder("<")
    offset = _contiguous_offset(path, voxel, shape)
    if offset is None:
        return None
    return np.fromfile(path, voxel, math.prod(shape), offset=offset).reshape(shape)


def _contiguous_offset(path: Path, voxel: np.dtype[Any], shape: tuple[int, int, int]) -> int | None:
    """Return where the voxels of an uncompressed volume begin, None if it is no such file."""
    with path.open("rb") as file:
        tags = _first_tags(file.read(_HEAD_BYTES))
    expected = {
        _WIDTH: shape[2],
        _HEIGHT: shape[1],
        _BITS: 8 * voxel.itemsize,
        _COMPRESSION: 1,
    }
    offset = tags.get(_STRIP_OFFSETS)
    if offset is None or any(tags.get(tag) != value for tag, value in expected.items()):
        return None
    if offset + math.prod(shape) * voxel.itemsize > path.stat().st_size:
        return None
    return offset


def _first_tags(head: bytes) -> dict[int, int]:
    """Return the tags of one value of a little-endian TIFF or BigTIFF file's first page."""
    if head[:4] == b"II*\0":
        start, number, entry = "<4xI", "<H", "<HHII"
    elif head[:4] == b"II+\0":
        start, number, entry = "<8xQ", "<Q", "<HHQQ"
    else:
        return {}
    try:
        (position,) = struct.unpack_from(start, head)
        (entries,) = struct.unpack_from(number, head, position)
        position += struct.calcsize(number)
        size = struct.calcsize(entry)
        fields = [struct.unpack_from(entry, head, position + n * size) for n in range(entries)]
    except (struct.error, OverflowError):
        return {}
    return {tag: value for tag, _, count, value in fields if count == 1}


def check_blob(blob: Blob, *, digest: bool = False) -> None:
    """Verify a blob's size, and on request its digest.

    Raises
    ------
    BlobError
        The file is missing, truncated or altered.
    """
    if not blob.path.is_file():
        raise BlobError(f"the {blob.kind} volume is missing: {blob.path}")
    size = blob.path.stat().st_size
    if size != blob.bytes:
        raise BlobError(
            f"the {blob.kind} volume {blob.path} has {size:,} bytes instead of {blob.bytes:,}"
        )
    if digest and sha256_of(blob.path) != blob.sha256:
        raise BlobError(f"the {blob.kind} volume {blob.path} was altered: its SHA-256 differs")


def sha256_of(path: Path) -> str:
    """Return a file's SHA-256 in hexadecimal."""
    import hashlib  # 3 ms, which readers do without

    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _described(path: Path, kind: str, dtype: np.dtype[Any], shape: tuple[int, ...]) -> Blob:
    """Make the file durable and describe it."""
    import hashlib

    with path.open("rb") as file:
        os.fsync(file.fileno())
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    extent = (int(shape[0]), int(shape[1]), int(shape[2]))
    return Blob(kind, path, np.dtype(dtype).name, extent, path.stat().st_size, digest)
