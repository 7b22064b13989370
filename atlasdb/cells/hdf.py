"""brainmapper's ``.points``: a table in HDF5 as pandas writes it.

The one idea: only the numbers are read, by h5py. pandas's own reader unpickles what it finds.

Source of the format: brainmapper writes ``points/atlas.points`` (voxels of the atlas) and
``points/downsampled.points`` (voxels of the sample at the atlas's resolution) by
``DataFrame.to_hdf(key="df")`` with the columns 0, 1, 2 in the order of the array.
"""

from __future__ import annotations

import math
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from atlasdb.cells.columns import find_coordinates
from atlasdb.cells.pieces import BLOCK_ROWS, Block, empty, saying_which
from atlasdb.errors import MissingPackageError, PointsError
from atlasdb.limits import current
from atlasdb.voxels.grid import AXES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from atlasdb.cells.columns import Coordinates, Stated
    from atlasdb.cells.pieces import File

_OF_THE_ATLAS = "atlas.points"
_COLUMNS = ("0", "1", "2")


@dataclass(frozen=True)
class HdfPiece:
    """A table of three columns in HDF5.

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
    def coordinates(self) -> Coordinates:
        """Which columns are coordinates."""
        if self.stated.space != "atlas" and PurePosixPath(self.file).name != _OF_THE_ATLAS:
            raise PointsError(
                f"{self.file} does not say which space its points are in (downsampled.points are "
                f"the sample's): take {_OF_THE_ATLAS}, or say --space atlas if they are the atlas's"
            )
        stated = replace(self.stated, columns=self.stated.columns or _COLUMNS, default_unit=None)
        return find_coordinates(self.schema.names, stated, self.file)

    @property
    def schema(self) -> pa.Schema:
        """Its columns."""
        return pa.schema([(name, pa.float64()) for name in _COLUMNS])

    @cached_property
    def rows(self) -> int:
        """How many."""
        with ExitStack() as stack, saying_which(self.file):
            return int(self._values(stack).shape[0])

    @property
    def total(self) -> int:
        """Rows."""
        return self.rows

    def _values(self, stack: ExitStack) -> Any:  # noqa: ANN401 (h5py's data set)
        """Open the block of numbers."""
        try:
            import h5py  # an extra
        except ImportError as error:
            raise MissingPackageError(
                "HDF5 needs the package h5py: pip install 'atlasdb[hdf]'"
            ) from error
        file = stack.enter_context(h5py.File(stack.enter_context(self.source.opened()), "r"))
        try:
            names, values = (self._own(file, name, h5py) for name in ("axis0", "block0_values"))
            is_table = (
                names.shape == (AXES,)
                and np.asarray(names).astype(str).tolist() == list(_COLUMNS)
                and values.ndim == 2  # noqa: PLR2004
                and values.shape[1] == AXES
                and values.dtype.kind in "iuf"
            )
        except (AttributeError, KeyError, RuntimeError, TypeError):
            is_table = False
        if not is_table:
            raise PointsError(
                f"{self.file} is no table of brainmapper's: it has no 'df' with the columns 0, 1, 2"
            )
        self._refuse_absurd(values)
        return values

    def _own(self, file: Any, name: str, h5py: Any) -> Any:  # noqa: ANN401 (h5py's own)
        """Return a data set, which must be wholly in this file."""
        for path in ("df", f"df/{name}"):
            if not isinstance(file.get(path, getlink=True), h5py.HardLink):
                raise PointsError(f"{self.file}: {path} is a link to elsewhere, or is not there")
        found = file[f"df/{name}"]
        if found.external or found.is_virtual:
            raise PointsError(f"{self.file}: df/{name} lies in other files, which are not read")
        return found

    def _refuse_absurd(self, values: Any) -> None:  # noqa: ANN401 (h5py's data set)
        """Refuse what unpacks to far more than is there."""
        limits, stored = current(), values.id.get_storage_size()
        if values.nbytes > limits.unpacked(stored):
            raise PointsError(
                f"{self.file} is absurdly large: {stored:,} bytes unpack to {values.nbytes:,}; "
                f"this ratio is {limits.over('ratio')}"
            )
        chunk = math.prod(values.chunks or (0,)) * values.dtype.itemsize
        if chunk > limits.row_bytes:
            raise PointsError(
                f"{self.file} has chunks of {chunk:,} bytes, {limits.over('row_bytes')}"
            )

    def blocks(self, columns: Sequence[str] | None = None) -> Iterator[Block]:
        """Yield its rows."""
        names = list(_COLUMNS if columns is None else columns)
        with ExitStack() as stack, saying_which(self.file):
            values = self._values(stack)
            for first in range(0, len(values), BLOCK_ROWS):
                part = np.asarray(values[first : first + BLOCK_ROWS], dtype=np.float64)
                arrays = [pa.array(part[:, int(name)]) for name in names]
                batch = pa.RecordBatch.from_arrays(arrays, names=names)
                yield Block(batch, self.file, first, len(part))
        if not self.rows:
            yield Block(empty(pa.schema([(n, pa.float64()) for n in names])), self.file, 0, 0)
