"""Meshes as neuroglancer's multi-resolution format keeps them: Draco, with an index beside.

The one idea: what is read is a `Mesh` like any other, in microns along the array's axes. The index
says how many bytes the fragments have, so that a file that was cut off is noticed.

The format: https://github.com/google/neuroglancer/blob/master/src/datasource/precomputed/meshes.md
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from atlasdb.errors import PackageError
from atlasdb.limits import current
from atlasdb.meshes.surfaces import Mesh

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

_NM_PER_UM = 1000.0
_AXES = 3
_MOST_LEVELS = 100
_MOST_FRAGMENTS = 1 << 20

_DRACO = b"DRACO\x02\x02"  # with the version of the stream: all that there are since 2017
_KIND, _METHOD, _COUNTS = 7, 8, 11
_OF_A_MESH, _EDGEBREAKER = b"\x01", b"\x01"
_LONGEST_VARINT = 5
_ANY_NUMBER = 1 << 20


@dataclass(frozen=True)
class MeshInfo:
    """What the ``info`` of a folder of meshes says.

    Attributes
    ----------
    quantisation_bits
        Of integer positions in a fragment.
    transform
        (3, 4), from stored positions to nanometres.
    """

    quantisation_bits: int
    transform: NDArray[np.float64]

    @classmethod
    def parse(cls, info: Any) -> MeshInfo:  # noqa: ANN401 (whatever the file holds)
        """Return what a parsed ``info`` says.

        Raises
        ------
        PackageError
            It is another format's.
        """
        try:
            if info["@type"] != "neuroglancer_multilod_draco":
                raise ValueError(f"its type is {info['@type']!r:.40}")
            bits = int(info["vertex_quantization_bits"])
            transform = np.array(info["transform"], dtype=np.float64).reshape(_AXES, 4)
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise PackageError(f"the meshes' info is none of neuroglancer's: {error!r}") from error
        if not np.isfinite(transform).all() or not 1 <= bits <= 32:  # noqa: PLR2004 (uint32)
            raise PackageError("the meshes' info holds an impossible transform or quantisation")
        return cls(bits, transform)


@dataclass(frozen=True)
class _Fragment:
    """A part of a mesh's finest level.

    Attributes
    ----------
    begin, end
        Where its bytes are.
    origin, extent
        (3,) the box in which integer positions are, in stored units.
    """

    begin: int
    end: int
    origin: NDArray[np.float64]
    extent: NDArray[np.float64]


def decode_mesh(data: bytes, index: bytes, info: MeshInfo) -> Mesh:
    """Return a mesh's finest level.

    Parameters
    ----------
    data
        The fragments, Draco.
    index
        The manifest beside them.
    info
        What the folder says of all its meshes.

    Returns
    -------
    Mesh
        Microns, (z, y, x) of the stored (x, y, z), which is the order of the array's axes;
        triangles look outwards as they did.

    Raises
    ------
    PackageError
        The two do not belong together, or hold no mesh.
    """
    vertices, triangles, offset = [], [], 0
    for fragment in _fragments(index, len(data)):
        points, faces = _decoded(data[fragment.begin : fragment.end])
        if points.dtype.kind in "iu":
            steps = (1 << info.quantisation_bits) - 1
            points = fragment.origin + points.astype(np.float64) / steps * fragment.extent
        vertices.append(points.astype(np.float64))
        triangles.append(faces.astype(np.int64) + offset)
        offset += len(points)
    if not offset:
        raise PackageError("the mesh has no vertices")
    with np.errstate(all="ignore"):
        stored = np.concatenate(vertices) @ info.transform[:, :_AXES].T + info.transform[:, _AXES]
    if not np.isfinite(stored).all():
        raise PackageError("a vertex is not finite")
    faces = np.concatenate(triangles)
    # Reversing the axes mirrors; so does a transform of negative determinant.
    if np.linalg.det(info.transform[:, :_AXES]) > 0:
        faces = faces[:, ::-1]
    return Mesh(np.ascontiguousarray(stored[:, ::-1]) / _NM_PER_UM, np.ascontiguousarray(faces))


def _decoded(fragment: bytes) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return a fragment's positions and triangles."""
    import DracoPy

    _refuse_absurd(fragment)
    try:
        mesh = DracoPy.decode(fragment)
        points, faces = np.asarray(mesh.points), np.asarray(mesh.faces)
    except Exception as error:
        raise PackageError(f"it is no Draco mesh: {error!s:.200}") from error
    if points.ndim != 2 or points.shape[1] != _AXES or faces.ndim != 2 or faces.shape[1] != _AXES:  # noqa: PLR2004
        raise PackageError("it is a Draco mesh without triangles in space")
    return points, faces


def _refuse_absurd(fragment: bytes) -> None:
    """Refuse a fragment that says it has far more than its bytes can hold, before it is decoded.

    Source of the header: https://google.github.io/draco/spec/#header
    """
    if fragment[: len(_DRACO)] != _DRACO or fragment[_KIND : _KIND + 1] != _OF_A_MESH:
        raise PackageError("it is no Draco mesh")
    at = _COUNTS + (fragment[_METHOD : _METHOD + 1] == _EDGEBREAKER)  # its kind of traversal
    for what in ("first", "second"):  # faces and points, or vertices and faces
        number, at = _varint(fragment, at)
        if number > _ANY_NUMBER + current().ratio * len(fragment):
            raise PackageError(
                f"it says that it has {number:,} points or faces in {len(fragment):,} bytes "
                f"({what} count): this ratio is {current().over('ratio')}"
            )


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """Return a number of seven bits a byte, and where it ends."""
    number = 0
    for place, byte in enumerate(data[at : at + _LONGEST_VARINT]):
        number |= (byte & 0x7F) << (7 * place)
        if byte < 0x80:  # noqa: PLR2004 (the last one)
            return number, at + place + 1
    raise PackageError("its header ends too early")


def _fragments(index: bytes, size: int) -> Iterator[_Fragment]:
    """Yield the fragments of the finest level, as the manifest lists them."""
    reader = _Reader(index)
    chunk, origin = reader.floats(_AXES), reader.floats(_AXES)
    levels = int(reader.integers(1)[0])
    if not 1 <= levels <= _MOST_LEVELS:
        raise PackageError(f"its index has {levels:,} levels of detail")
    reader.floats(levels)  # lod_scales, for those who draw
    shifts = reader.floats(_AXES * levels).reshape(levels, _AXES)
    counts = reader.integers(levels)
    if counts.sum() > _MOST_FRAGMENTS:
        raise PackageError(f"its index has {counts.sum():,} fragments")
    begin, finest = 0, []
    for level, count in enumerate(counts.tolist()):
        places = reader.integers(_AXES * count).reshape(_AXES, count).T
        for place, bytes_ in zip(places, reader.integers(count).tolist(), strict=True):
            if level == 0 and bytes_:
                corner = origin + shifts[0] + chunk * place
                finest.append(_Fragment(begin, begin + bytes_, corner, chunk))
            begin += bytes_
    if begin != size or reader.rest:
        raise PackageError(f"its index speaks of {begin:,} bytes, and it has {size:,}")
    yield from finest


class _Reader:
    """Reads little-endian numbers of 32 bits, one after the other."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def floats(self, count: int) -> NDArray[np.float64]:
        return self._read(count, "<f4").astype(np.float64)

    def integers(self, count: int) -> NDArray[np.int64]:
        return self._read(count, "<u4").astype(np.int64)

    def _read(self, count: int, kind: str) -> NDArray[Any]:
        if self._at + 4 * count > len(self._data):
            raise PackageError("its index ends too early")
        values = np.frombuffer(self._data, kind, count, self._at)
        self._at += 4 * count
        return values

    @property
    def rest(self) -> int:
        """How many bytes were not read."""
        return len(self._data) - self._at
