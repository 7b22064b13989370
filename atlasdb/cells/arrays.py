"""Tables of points in numpy's files: ``.npy`` and ``.npz``.

The one idea: an array of (N, 3) is three coordinates; an archive of arrays, or one array of
records, is a table with names. Files are read as they are needed, and nothing in them is ever
unpickled.
"""

from __future__ import annotations

import math
import zipfile
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from functools import cached_property
from tokenize import TokenError
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

import numpy as np
import pyarrow as pa

from atlasdb.cells.columns import find_coordinates, names_in, refuse_columns
from atlasdb.cells.pieces import BLOCK_ROWS, Block, empty, saying_which
from atlasdb.errors import PointsError
from atlasdb.limits import current
from atlasdb.voxels.grid import AXES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from atlasdb.cells.columns import Coordinates, Stated
    from atlasdb.cells.pieces import File

_MATRIX = 2
_MOST_BYTES = 1 << 26
_WIDER = 4  # characters of numpy's texts as Python has them


class _Header(NamedTuple):
    """What a ``.npy`` file says of its array."""

    shape: tuple[int, ...]
    fortran: bool
    dtype: np.dtype[Any]


@dataclass(frozen=True)
class ArrayPiece:
    """An array of (N, 3) numbers, an array of records, or an archive of columns.

    Attributes
    ----------
    source
        The file.
    stated
        What the caller says of its coordinates.
    """

    source: File
    stated: Stated

    @property
    def file(self) -> str:
        """Where it is from."""
        return self.source.name

    @cached_property
    def _members(self) -> dict[str, _Header]:
        """The arrays of the file by name; '' for the one of a ``.npy``."""
        with saying_which(self.file), ExitStack() as stack:
            headers = {
                name: _header(stream, self.file) for name, stream in self._streams(stack).items()
            }
        if not headers:
            raise PointsError(f"{self.file} holds no array")
        size = sum(math.prod(header.shape) * header.dtype.itemsize for header in headers.values())
        limits, packed = current(), self.source.size or 0
        if self.source.ending == ".npz" and size > limits.unpacked(packed):
            raise PointsError(
                f"{self.file} is absurdly large: {packed:,} bytes unpack to {size:,}; this ratio "
                f"is {limits.over('ratio')}"
            )
        return headers

    def _streams(self, stack: ExitStack) -> dict[str, BinaryIO]:
        """Open every array of the file."""
        raw = stack.enter_context(self.source.opened())
        if self.source.ending != ".npz":
            return {"": raw}
        try:
            archive = stack.enter_context(zipfile.ZipFile(raw))
        except zipfile.BadZipFile as error:
            raise PointsError(f"{self.file} is no readable .npz file: {error}") from error
        names = [name.removesuffix(".npy") for name in archive.namelist()]
        refuse_columns(len(names), self.file)
        if len(set(names)) < len(names):
            raise PointsError(f"{self.file} holds several arrays of one name")
        try:
            return {
                name: stack.enter_context(closing(archive.open(member)))  # type: ignore[misc]
                for name, member in zip(names, archive.infolist(), strict=True)
            }
        except (RuntimeError, zipfile.BadZipFile) as error:  # encrypted, or packed in another way
            raise PointsError(f"{self.file} is no readable .npz file: {error}") from error

    @cached_property
    def _matrix(self) -> str | None:
        """The name of the one array of (N, 3), None where there are columns."""
        members = self._members
        matrices = [name for name, header in members.items() if len(header.shape) == _MATRIX]
        if len(members) == 1 and not (next(iter(members.values())).dtype.names):
            (name,) = members
            shape = members[name].shape
            if len(shape) != _MATRIX or shape[1] != AXES:
                raise PointsError(f"{self.file} must hold an array of (N, 3), found {shape}")
            return name
        if matrices:
            raise PointsError(
                f"{self.file} holds the arrays {', '.join(members)}: leave one of (N, 3), or "
                "columns of one axis each"
            )
        return None

    @cached_property
    def coordinates(self) -> Coordinates:
        """Which columns are coordinates."""
        if self._matrix is None:
            return find_coordinates(self.schema.names, self.stated, self.file)
        if self.stated.columns is not None:
            raise PointsError(f"{self.file} is an array: its columns have no names to choose by")
        names = list(self.schema.names)
        return find_coordinates(names, replace(self.stated, columns=names), self.file)

    @cached_property
    def schema(self) -> pa.Schema:
        """Its columns."""
        if self._matrix is not None:
            dtype = _readable(self._members[self._matrix].dtype, self.file)
            unit = self.stated.unit or self.stated.default_unit
            names = ("axis0", "axis1", "axis2") if unit is None else names_in(unit)
            return pa.schema([(name, pa.from_numpy_dtype(dtype)) for name in names])
        fields = []
        for name, header in self._members.items():
            dtypes = header.dtype.fields
            columns = (
                {name: header.dtype} if dtypes is None else {n: d[0] for n, d in dtypes.items()}
            )
            fields += [(n, _arrow_type(d, n, self.file)) for n, d in columns.items()]
        return pa.schema(fields)

    @property
    def rows(self) -> int:
        """How many."""
        lengths = {header.shape[0] if header.shape else 0 for header in self._members.values()}
        if len(lengths) > 1 or any(len(h.shape) > _MATRIX for h in self._members.values()):
            raise PointsError(f"the arrays of {self.file} have different lengths or are no columns")
        return lengths.pop()

    @property
    def total(self) -> int:
        """Rows."""
        return self.rows

    def blocks(self, columns: Sequence[str] | None = None) -> Iterator[Block]:
        """Yield its rows."""
        rows, schema = self.rows, self.schema
        wanted = list(schema.names if columns is None else columns)
        width = sum(
            math.prod(h.shape[1:]) * h.dtype.itemsize * (_WIDER if h.dtype.kind in "US" else 1)
            for h in self._members.values()
        )
        size = max(min(BLOCK_ROWS, _MOST_BYTES // max(width, 1)), 1)
        with ExitStack() as stack, saying_which(self.file):
            readers = {
                name: _Reader(stream, self._members[name], self.file)
                for name, stream in self._streams(stack).items()
            }
            for first in range(0, rows, size):
                count = min(size, rows - first)
                parts = {name: reader.next(count) for name, reader in readers.items()}
                arrays = self._columns(parts)
                batch = pa.RecordBatch.from_arrays(
                    [_array(arrays[name], schema.field(name).type) for name in wanted],
                    schema=pa.schema([schema.field(name) for name in wanted]),
                )
                yield Block(batch, self.file, first, count)
            for reader in readers.values():
                reader.finish()
        if not rows:
            yield Block(empty(pa.schema([schema.field(n) for n in wanted])), self.file, 0, 0)

    def _columns(self, parts: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Return parts of arrays as columns by name."""
        if self._matrix is not None:
            return dict(zip(self.schema.names, parts[self._matrix].T, strict=True))
        columns = {}
        for name, part in parts.items():
            names = part.dtype.names
            columns.update({name: part} if names is None else {n: part[n] for n in names})
        return columns


class _Reader:
    """Reads rows of an array from a stream, one part after the other."""

    def __init__(self, stream: BinaryIO, header: _Header, file: str) -> None:
        self._header = _header(stream, file)
        if self._header != header:
            raise PointsError(f"{file} changed while it was read")
        self._stream = stream
        self._file = file
        self._row = 0
        self._whole = self._read_whole() if header.fortran and len(header.shape) > 1 else None

    def _read_whole(self) -> NDArray[Any]:
        """Read an array whose columns lie one after the other."""
        shape, _, dtype = self._header
        values = self._bytes(math.prod(shape) * dtype.itemsize)
        return np.frombuffer(values, dtype).reshape(shape, order="F")

    def next(self, count: int) -> NDArray[Any]:
        """Return the next rows."""
        shape, _, dtype = self._header
        start, self._row = self._row, self._row + count
        if self._whole is not None:
            return self._whole[start : self._row]
        shape = (count, *shape[1:])
        return np.frombuffer(self._bytes(math.prod(shape) * dtype.itemsize), dtype).reshape(shape)

    def finish(self) -> None:
        """Refuse what follows an array: rows that its header does not know."""
        if self._stream.read(1):
            raise PointsError(f"{self._file} goes on after its array of {self._header.shape}")

    def _bytes(self, size: int) -> bytes:
        """Read so many bytes."""
        parts, missing = [], size
        # In parts: a file that lies about its size must not have memory set aside for it.
        while missing and (data := self._stream.read(min(missing, _MOST_BYTES))):
            parts.append(data)
            missing -= len(data)
        if missing:
            raise PointsError(f"{self._file} is truncated: {missing:,} bytes are missing")
        return b"".join(parts) if len(parts) != 1 else parts[0]


def _header(stream: BinaryIO, file: str) -> _Header:
    """Read what a ``.npy`` file says of its array."""
    try:
        version = np.lib.format.read_magic(stream)
        read = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }.get(version)
        if read is None:
            raise PointsError(f"{file} has a .npy format that is not known: {version}")
        shape, fortran, dtype = read(stream)
    except PointsError:
        raise
    except (
        *(ValueError, TypeError, MemoryError, RecursionError),
        *(SyntaxError, TokenError),  # numpy evaluates what such a header says
    ) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise PointsError(f"{file} is no readable .npy file: {reason:.200}") from error
    if min(shape, default=0) < 0:
        raise PointsError(f"{file} is no readable .npy file: it says that its shape is {shape}")
    if dtype.hasobject:
        raise PointsError(f"{file} holds Python objects, which could run code: it is not read")
    return _Header(shape, fortran, dtype)


def _readable(dtype: np.dtype[Any], file: str) -> np.dtype[Any]:
    """Return the type that Arrow has for numbers of a type."""
    if dtype.kind not in "iuf":
        raise PointsError(f"{file} must hold real numbers, found {dtype.name}")
    is_common = dtype.kind in "iu" or dtype.itemsize in {4, 8}
    return dtype.newbyteorder("=") if is_common else np.dtype(np.float64)


def _arrow_type(dtype: np.dtype[Any], name: str, file: str) -> pa.DataType:
    """Return the type of a column of an array."""
    if dtype.kind in "US":
        return pa.string()
    if dtype.kind == "f":
        return pa.from_numpy_dtype(_readable(dtype, file))
    try:
        return pa.from_numpy_dtype(dtype.newbyteorder("="))
    except pa.ArrowNotImplementedError as error:
        raise PointsError(
            f"column {name} of {file} holds {dtype.name}, which is no column of a table"
        ) from error


def _array(values: NDArray[Any], kind: pa.DataType) -> pa.Array:
    """Return values as a column."""
    if pa.types.is_string(kind):
        return pa.array(values.astype(np.str_).tolist(), kind)
    return pa.array(np.ascontiguousarray(values, dtype=kind.to_pandas_dtype()), kind)
