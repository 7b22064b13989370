"""OME-Zarr 0.5: which level of a pyramid an atlas is, which objects that is, and their voxels.

The one idea: what the metadata say is checked before an object is asked for; the level is chosen by
its resolution. OME-Zarr gives positions of voxel *centres*: a level of twice the voxel size is
translated by half a voxel of the finest, and then both begin at the same corner, which is where
atlasdb counts microns from.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from atlasdb.errors import PackageError, ShapeError
from atlasdb.limits import current

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

ZARR_JSON = "zarr.json"

UNKNOWN = "?"
"""Stands for the start of an axis that has no orientation."""

_STARTS = {
    "anterior-to-posterior": "a",
    "posterior-to-anterior": "p",
    "superior-to-inferior": "s",
    "inferior-to-superior": "i",
    "right-to-left": "r",
    "left-to-right": "l",
}
_TYPES = frozenset(
    ["bool", "float16", "float32", "float64"]
    + [f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)]
)
_MALFORMED = (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError)
"""What reading metadata of another form raises."""

_AXES = 3
_UM = {
    "angstrom": 1e-4,
    "nanometer": 1e-3,
    "micrometer": 1.0,
    "millimeter": 1e3,
    "centimeter": 1e4,
    "meter": 1e6,
}
"""Microns in the units of length that OME-Zarr allows and an atlas may have."""

_RELATIVE = 1e-5
_OF_A_VOXEL = 1e-3
_MOST_CHUNKS = 1_000_000
_LARGEST_CHUNK = 1 << 30
_ANY_CHUNK = 1 << 26
_BEYOND = 8  # times what of a chunk is in the array
_BESIDE, _PART = 1 << 20, 1 << 20
_DEFLATE_RATIO, _ZSTD_RATIO = 1032, 1 << 17
_CODECS = frozenset({"bytes", "transpose", "zstd", "gzip", "blosc", "crc32c", "sharding_indexed"})
"""Codecs of zarr's own; others would be looked for among whatever is installed."""


@dataclass(frozen=True)
class Level:
    """One level of a pyramid.

    Attributes
    ----------
    path
        Where its array is, below the group.
    resolution_um
        Edge of a voxel along the three axes.
    corner_um
        Where its first voxel begins, measured from where the finest level's does.
    orientation
        Where the axes start, by their anatomical orientations; `UNKNOWN` for those without one.
    """

    path: str
    resolution_um: tuple[float, ...]
    corner_um: tuple[float, ...]
    orientation: str


def choose_level(group: object, resolution_um: Sequence[float], where: str) -> Level:
    """Return the level of a pyramid that has a resolution.

    Parameters
    ----------
    group
        The parsed ``zarr.json`` of an OME-Zarr 0.5 group.
    resolution_um
        Edge of a voxel along the three axes.
    where
        What an error calls the group.

    Raises
    ------
    PackageError
        The group is none, or no level or several have that resolution.

    Examples
    --------
    >>> axes = [{"name": n, "type": "space", "unit": "millimeter"} for n in "zyx"]
    >>> def level(path, mm, from_mm):
    ...     change = [{"type": "scale", "scale": [mm] * 3}]
    ...     change += [{"type": "translation", "translation": [from_mm] * 3}]
    ...     return {"path": path, "coordinateTransformations": change}
    >>> pyramid = {"axes": axes, "datasets": [level("s0", 0.025, 0), level("s1", 0.1, 0.0375)]}
    >>> group = {"attributes": {"ome": {"version": "0.5", "multiscales": [pyramid]}}}
    >>> choose_level(group, (100, 100, 100), "annotation").path
    's1'
    """
    try:
        pyramid = _pyramid(group)
        levels = [_level(pyramid, dataset) for dataset in pyramid["datasets"]]
        # A voxel's size tells which level is the finest.
        finest = min(levels, key=lambda level: math.prod(level.resolution_um))
    except _MALFORMED as error:
        raise PackageError(f"{where} is no OME-Zarr 0.5 image of three axes: {error!r}") from error
    fitting = [level for level in levels if _is_close(level.resolution_um, resolution_um)]
    if len(fitting) != 1:
        there = " and ".join(" × ".join(f"{r:g}" for r in level.resolution_um) for level in levels)
        wanted = " × ".join(f"{r:g}" for r in resolution_um)
        many = "no level" if not fitting else "several levels"
        raise PackageError(f"{where} has {many} of {wanted} µm; it has {there} µm")
    level = fitting[0]
    corner = [a - b for a, b in zip(level.corner_um, finest.corner_um, strict=True)]
    return Level(level.path, level.resolution_um, tuple(corner), level.orientation)


def is_displaced(level: Level) -> bool:
    """Whether a level begins elsewhere than the finest one, by more than rounding."""
    return any(
        abs(corner) > _OF_A_VOXEL * edge
        for corner, edge in zip(level.corner_um, level.resolution_um, strict=True)
    )


def _pyramid(group: Any) -> dict[str, Any]:  # noqa: ANN401 (whatever the file holds)
    """Return the one image of a group."""
    ome = group["attributes"]["ome"]
    if not str(ome["version"]).startswith("0.5"):
        raise ValueError(f"its version is {ome['version']!r:.40}")
    if len(ome["multiscales"]) != 1:
        raise ValueError(f"it has {len(ome['multiscales'])} images")
    pyramid: dict[str, Any] = ome["multiscales"][0]
    if len(pyramid["axes"]) != _AXES or any(axis["type"] != "space" for axis in pyramid["axes"]):
        raise ValueError("its axes are " + ", ".join(str(axis["name"]) for axis in pyramid["axes"]))
    return pyramid


def _level(pyramid: dict[str, Any], dataset: dict[str, Any]) -> Level:
    """Return a level; its corner is still where the pyramid's own coordinates put it."""
    axes = pyramid["axes"]
    units = [_UM[axis.get("unit", "millimeter")] for axis in axes]
    scale, offset = [1.0] * _AXES, [0.0] * _AXES
    changes = [*dataset["coordinateTransformations"], *pyramid.get("coordinateTransformations", [])]
    for change in changes:
        if change["type"] == "scale":
            by = _numbers(change["scale"])
            scale = [a * b for a, b in zip(scale, by, strict=True)]
            offset = [a * b for a, b in zip(offset, by, strict=True)]
        elif change["type"] == "translation":
            by = _numbers(change["translation"])
            offset = [a + b for a, b in zip(offset, by, strict=True)]
        elif change["type"] != "identity":
            raise ValueError(f"a transformation of type {change['type']!r:.40}")
    if min(scale) <= 0:
        raise ValueError(f"a scale of {scale}")
    resolution = tuple(s * unit for s, unit in zip(scale, units, strict=True))
    centre = [o * unit for o, unit in zip(offset, units, strict=True)]
    # Positions are of centres: the first corner lies half of the level's own voxel before.
    corner = tuple(c - r / 2 for c, r in zip(centre, resolution, strict=True))
    starts = [axis.get("orientation", {}).get("value") for axis in axes]
    orientation = "".join(UNKNOWN if start is None else _STARTS[start] for start in starts)
    return Level(str(dataset["path"]), resolution, corner, orientation)


def _numbers(values: Sequence[Any]) -> list[float]:
    numbers = [float(value) for value in values]
    if len(numbers) != _AXES or not all(map(math.isfinite, numbers)):
        raise ValueError(f"{values!r:.80} are not three numbers")
    return numbers


def _is_close(resolution_um: Sequence[float], wanted: Sequence[float]) -> bool:
    return all(
        math.isclose(a, b, rel_tol=_RELATIVE) for a, b in zip(resolution_um, wanted, strict=True)
    )


def chunk_keys(array: object, shape: tuple[int, ...], where: str) -> list[str]:
    """Return the objects that an array's voxels are in, those that may be left out included.

    Parameters
    ----------
    array
        The parsed ``zarr.json`` of the array.
    shape
        The shape that it must have.
    where
        What an error calls the array.

    Raises
    ------
    ShapeError
        It has another shape.
    PackageError
        It is no array of zarr 3, or one that no atlas would have.
    """
    try:
        return _chunk_keys(array, shape, where)
    except PackageError:
        raise
    except _MALFORMED as error:
        raise PackageError(f"{where} is no array of zarr 3: {error!r}") from error


def _chunk_keys(array: Any, shape: tuple[int, ...], where: str) -> list[str]:  # noqa: ANN401
    if array["zarr_format"] != 3 or array["node_type"] != "array":  # noqa: PLR2004 (zarr 3)
        raise ValueError("it is something else")
    if tuple(array["shape"]) != shape:
        raise ShapeError(f"{where} has shape {tuple(array['shape'])}, the manifest says {shape}")
    if array["data_type"] not in _TYPES:
        raise ValueError(f"its type is {array['data_type']!r:.40}")
    kind = np.dtype(array["data_type"])
    _check_codecs(array["codecs"])
    if array["fill_value"] != 0:
        raise PackageError(f"{where} is filled with {array['fill_value']!r:.40}, not with 0")
    if array["chunk_grid"]["name"] != "regular":
        raise ValueError("its chunks are irregular")
    edges = array["chunk_grid"]["configuration"]["chunk_shape"]
    if len(edges) != _AXES or any(type(edge) is not int or edge < 1 for edge in edges):
        raise ValueError(f"its chunks are {edges!r:.80}")
    counts = [-(-size // edge) for size, edge in zip(shape, edges, strict=True)]
    chunk = math.prod(edges) * kind.itemsize
    part = math.prod(map(min, edges, shape)) * kind.itemsize
    if (
        math.prod(counts) > _MOST_CHUNKS
        or chunk > _LARGEST_CHUNK
        or (chunk > _ANY_CHUNK and chunk > _BEYOND * part)
    ):
        raise PackageError(f"{where}: {math.prod(counts):,} chunks of {edges} are absurd")
    return [
        _key(array["chunk_key_encoding"], index) for index in itertools.product(*map(range, counts))
    ]


def _check_codecs(codecs: Sequence[Any]) -> None:
    """Refuse codecs that are not zarr's own."""
    for codec in codecs:
        if codec["name"] not in _CODECS:
            raise PackageError(f"the codec {codec['name']!r:.40} is none of {sorted(_CODECS)}")
        configuration = codec.get("configuration", {})
        for key in ("codecs", "index_codecs"):
            _check_codecs(configuration.get(key, []))


def _key(encoding: dict[str, Any], index: tuple[int, ...]) -> str:
    """Return a chunk's key below its array."""
    configuration = encoding.get("configuration", {})
    if encoding["name"] == "default":
        return str(configuration.get("separator", "/")).join(["c", *map(str, index)])
    if encoding["name"] == "v2":
        return str(configuration.get("separator", ".")).join(map(str, index))
    raise ValueError(f"its chunks are named by {encoding['name']!r:.40}")


def read_array(folder: Path, where: str) -> NDArray[Any]:
    """Read an array whose objects lie in a folder; those that are not there are 0.

    Raises
    ------
    PackageError
        One is damaged, or unpacks to far more than has room in the array.
    """
    import zarr  # 0.3 s, for this format only
    from zarr.storage import LocalStore

    try:
        with zarr.config.set(_bounded_codecs()):
            array = zarr.open_array(LocalStore(folder, read_only=True), mode="r", zarr_format=3)
            _refuse_absurd(array.nbytes, folder, where)
            return np.asarray(array[...])
    except PackageError:
        raise
    except Exception as error:
        raise PackageError(f"{where} cannot be read: {error!s:.200}") from error


def _refuse_absurd(size: int, folder: Path, where: str) -> None:
    """Refuse an array that is far larger than the objects that there are of it."""
    packed = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    if size > current().unpacked(packed):
        raise PackageError(
            f"{where} is absurdly large: {packed:,} bytes unpack to {size:,}; this ratio is "
            f"{current().over('ratio')}"
        )


@cache
def _bounded_codecs() -> dict[str, str]:
    """Register codecs that unpack no more than has room in a chunk; return what names them.

    zarr's own make whatever a chunk says that it is, a gigabyte from a few bytes.
    """
    from zarr.codecs import BloscCodec, GzipCodec, ZstdCodec
    from zarr.registry import register_codec

    def bounded(codec: Any) -> Any:  # noqa: ANN401 (a class of zarr's)
        class Bounded(codec):  # type: ignore[misc]
            async def _decode_single(self, chunk_bytes: Any, chunk_spec: Any) -> Any:  # noqa: ANN401
                room = math.prod(chunk_spec.shape) * chunk_spec.dtype.to_native_dtype().itemsize
                _refuse_bomb(codec.__name__, chunk_bytes.to_bytes(), 2 * room + _BESIDE)
                return await super()._decode_single(chunk_bytes, chunk_spec)

        Bounded.__qualname__ = f"Bounded{codec.__name__}"
        return Bounded

    named = {}
    for name, codec in (("blosc", BloscCodec), ("gzip", GzipCodec), ("zstd", ZstdCodec)):
        own = bounded(codec)
        register_codec(name, own)
        named[f"codecs.{name}"] = f"{own.__module__}.{own.__qualname__}"
    return named


def _refuse_bomb(codec: str, packed: bytes, most: int) -> None:
    """Refuse a chunk that unpacks to more than has room.

    Raises
    ------
    PackageError
        It does.
    """
    if codec == "BloscCodec":
        size = int.from_bytes(packed[4:8], "little")  # which is all that it unpacks to
    elif len(packed) * (_DEFLATE_RATIO if codec == "GzipCodec" else _ZSTD_RATIO) <= most:
        return
    else:
        import pyarrow as pa

        kind = codec.removesuffix("Codec").lower()
        size = 0
        with pa.CompressedInputStream(pa.BufferReader(packed), kind) as stream:
            while size <= most and (part := stream.read(_PART)):
                size += len(part)
    if size > most:
        raise PackageError(f"a chunk is a bomb: it unpacks to over {most:,} bytes")
