"""Tables of points from files and streams, a batch at a time.

The one idea: coordinates become numbers, everything else stays as it is written, rows stay in order
and none is dropped. Which columns are coordinates, and in which unit, is found by name only where
the name leaves no doubt (``ap_um, si_um, rl_um``), and is otherwise for the caller to say.
"""

from __future__ import annotations

import csv
import io
import re
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
import pyarrow as pa

from atlasdb.errors import PointsError, listing
from atlasdb.voxels.grid import AXES, UNITS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

AXIS_NAMES = ("ap", "si", "rl")

BATCH_ROWS = 1 << 17
_BATCH_BYTES = 1 << 22
_LONGEST_LINE = 1 << 20
_SAMPLE = 5


@dataclass(frozen=True)
class PointTable:
    """A table of points that is read once, from the first row to the last.

    Attributes
    ----------
    batches
        Its rows, in order; all have the same columns.
    columns
        Which of them are the coordinates along the axes AP, SI, RL.
    unit
        What these are in: 'um', 'mm', 'm' or 'voxel'.
    """

    batches: Iterator[pa.RecordBatch]
    columns: tuple[str, str, str]
    unit: str

    def points_of(self, batch: pa.RecordBatch) -> NDArray[np.float64]:
        """Return the coordinates of a batch, (N, 3) float64; NaN where there is none.

        Raises
        ------
        PointsError
            A coordinate that is no number.
        """
        axes = []
        for name in self.columns:
            column = batch.column(name)
            try:
                if pa.types.is_boolean(column.type) or pa.types.is_temporal(column.type):
                    raise pa.ArrowInvalid(f"it holds {column.type}")
                axes.append(column.cast(pa.float64()).to_numpy(zero_copy_only=False))
            except pa.ArrowException as error:
                raise PointsError(f"column {name} holds no numbers: {error}") from error
        return np.column_stack(axes)


@contextmanager
def reading_points(
    source: str,
    *,
    stdin: BinaryIO | None = None,
    columns: Sequence[str] | None = None,
    unit: str | None = None,
) -> Iterator[PointTable]:
    """Open a table of points while the block runs.

    Parameters
    ----------
    source
        A ``.csv``, ``.tsv`` or ``.txt``, ``.parquet`` or ``.npy`` file, or '-' for text from
        `stdin`. Texts have their columns separated by tabs, commas, semicolons or spaces, with a
        line of names or, of three columns of numbers, without.
    stdin
        What '-' means.
    columns
        The names of the coordinates along AP, SI, RL; found by name by default.
    unit
        'um', 'mm', 'm' or 'voxel'; by default what the columns' names say, else 'um'.

    Yields
    ------
    PointTable
        Columns of text keep what is written in them; coordinates are float64.

    Raises
    ------
    PointsError
        The file cannot be read, or its coordinates cannot be told.
    """
    ending = Path(source).suffix.lower()
    with ExitStack() as files:
        if source == "-":
            if stdin is None:
                raise PointsError("there is no standard input to read points from")
            yield _from_text(stdin, "standard input", columns, unit)
        elif not Path(source).is_file():
            raise PointsError(f"there is no file {source}")
        elif ending == ".npy":
            yield _from_npy(Path(source), columns, unit)
        elif ending in {".parquet", ".pq"}:
            yield _from_parquet(files.enter_context(Path(source).open("rb")), source, columns, unit)
        elif ending in {".csv", ".tsv", ".txt"}:
            yield _from_text(files.enter_context(Path(source).open("rb")), source, columns, unit)
        else:
            raise PointsError(
                f"{source} is none of the tables that can be read: .csv, .tsv, .txt, .parquet, "
                ".npy; or - for text from standard input"
            )


def _from_npy(path: Path, columns: Sequence[str] | None, unit: str | None) -> PointTable:
    """Open an array of (N, 3) numbers, memory-mapped."""
    if columns is not None:
        raise PointsError(f"{path} is an array: its columns have no names to choose by")
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise PointsError(f"{path} is no readable .npy file: {error}") from error
    if not isinstance(array, np.ndarray) or array.ndim != 2 or array.shape[1] != AXES:  # noqa: PLR2004
        raise PointsError(f"{path} must hold an array of (N, 3), found {np.shape(array)}")
    if array.dtype.kind not in "iuf":
        raise PointsError(f"{path} must hold real numbers, found {array.dtype.name}")
    unit = unit or "um"
    names = _names_in(unit)

    def batches() -> Iterator[pa.RecordBatch]:
        for start in range(0, max(len(array), 1), BATCH_ROWS):
            part = array[start : start + BATCH_ROWS]
            values = [pa.array(np.ascontiguousarray(part[:, axis])) for axis in range(AXES)]
            yield pa.record_batch(values, names=list(names))

    return PointTable(batches(), names, unit)


def _from_parquet(
    stream: BinaryIO, name: str, columns: Sequence[str] | None, unit: str | None
) -> PointTable:
    """Open a Parquet file, a row group at a time."""
    import pyarrow.parquet as pq  # takes 30 ms

    try:
        file = pq.ParquetFile(stream)
    except (pa.ArrowException, OSError) as error:
        raise PointsError(f"{name} is no readable Parquet file: {error}") from error
    schema = file.schema_arrow
    chosen, unit = choose_columns(schema.names, columns, unit, name)
    return PointTable(_readable(file.iter_batches(BATCH_ROWS), schema, name), chosen, unit)


def _from_text(
    stream: BinaryIO, name: str, columns: Sequence[str] | None, unit: str | None
) -> PointTable:
    """Open text with separators, with or without a line of names."""
    from pyarrow import csv as pa_csv  # takes 20 ms

    first = stream.readline(_LONGEST_LINE)
    try:
        line = first.decode("utf-8-sig").strip("\r\n")
    except UnicodeDecodeError as error:
        raise PointsError(f"{name} is no UTF-8 text") from error
    if not line.strip():
        raise PointsError(f"{name} is empty, or begins with an empty line")
    separator = _separator(line)
    cells = line.split() if separator == " " else next(csv.reader([line], delimiter=separator))
    has_names = not all(map(_is_number, cells))
    if has_names:
        header = cells
        chosen, unit = choose_columns(header, columns, unit, name)
    else:
        if columns is not None or len(cells) != AXES:
            raise PointsError(
                f"the first line of {name} has {len(cells)} numbers and no names: give the columns "
                "names, or leave three, AP, SI and RL"
            )
        unit = unit or "um"
        chosen = _names_in(unit)
        header = list(chosen)
    rest: BinaryIO = io.BufferedReader(_Joined(b"" if has_names else line.encode() + b"\n", stream))
    if separator == " ":
        rest = io.BufferedReader(_Respaced(rest))
    types = {column: pa.float64() if column in chosen else pa.string() for column in header}
    try:
        batches = pa_csv.open_csv(
            rest,
            read_options=pa_csv.ReadOptions(block_size=_BATCH_BYTES, column_names=header),
            parse_options=pa_csv.ParseOptions(delimiter=separator, newlines_in_values=True),
            convert_options=pa_csv.ConvertOptions(column_types=types, strings_can_be_null=False),
        )
    except pa.ArrowInvalid as error:
        if "Empty CSV" not in str(error):
            raise PointsError(f"{name} cannot be read: {error}") from error
        batches = iter(())
    return PointTable(_readable(batches, pa.schema(types), name), chosen, unit)


def choose_columns(
    names: Sequence[str], columns: Sequence[str] | None, unit: str | None, where: str
) -> tuple[tuple[str, str, str], str]:
    """Return which columns are the coordinates, and their unit.

    Parameters
    ----------
    names
        The table's columns.
    columns, unit
        What the caller says of them, if anything.
    where
        The table, for messages.

    Raises
    ------
    PointsError
        There is none, or more than one possibility, or a column of this name is not there.

    Examples
    --------
    >>> choose_columns(["id", "ap_mm", "si_mm", "rl_mm"], None, None, "a table")
    (('ap_mm', 'si_mm', 'rl_mm'), 'mm')
    """
    twice = sorted({name for name in names if list(names).count(name) > 1})
    if twice:
        raise PointsError(f"{where} has several columns called {listing(twice)}: rename them")
    if columns is not None:
        missing = [name for name in columns if name not in names]
        if missing:
            raise PointsError(f"{where} has no column {listing(missing)}; it has {listing(names)}")
        if len(set(columns)) < AXES:
            raise PointsError(f"the coordinates are three columns, not {listing(columns)}")
        ap, si, rl = columns
        return (ap, si, rl), unit or _unit_of(columns) or "um"
    found = [
        (triple, of_unit)
        for of_unit in UNITS
        for triple in (_names_in(of_unit), _names_in(of_unit, numbered=True))
        if unit in {None, of_unit} and set(triple) <= set(names)
    ]
    if len(found) == 1:
        return found[0]
    if not found and set(AXIS_NAMES) <= set(names):
        return ("ap", "si", "rl"), unit or "um"
    several = " and in ".join(listing(triple) for triple, _ in found)
    reason = f"has coordinates in {several}" if found else f"has the columns {listing(names)}"
    raise PointsError(
        f"{where} {reason}: name those that count from anterior, from superior and from right with "
        "--columns AP SI RL, and their --unit (x, y and z mean other axes in every program)"
    )


def _names_in(unit: str, *, numbered: bool = False) -> tuple[str, str, str]:
    """Return what coordinates in a unit are called: ap_um, or axis0_ap_um."""
    prefixes = [f"axis{axis}_" if numbered else "" for axis in range(AXES)]
    ap, si, rl = (f"{p}{axis}_{unit}" for p, axis in zip(prefixes, AXIS_NAMES, strict=True))
    return ap, si, rl


def _unit_of(columns: Sequence[str]) -> str | None:
    """Return the unit that the names of columns end in, if they all do in the same."""
    endings = {name.rpartition("_")[2] for name in columns}
    return endings.pop() if len(endings) == 1 and endings <= set(UNITS) else None


def _separator(line: str) -> str:
    """Return what separates the columns of a line."""
    bare = re.sub('"[^"]*"', "", line)  # what is quoted separates nothing
    return max("\t,; ", key=lambda mark: (bare.count(mark) > 0, mark != " ", bare.count(mark)))


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _readable(
    batches: Iterator[pa.RecordBatch], schema: pa.Schema, name: str
) -> Iterator[pa.RecordBatch]:
    """Yield batches, an empty one if there is none, and say which table cannot be read."""
    try:
        batch = next(batches, pa.RecordBatch.from_pylist([], schema=schema))
        while batch is not None:
            yield batch
            batch = next(batches, None)
    except (pa.ArrowException, OSError) as error:
        raise PointsError(f"{name} cannot be read: {error}") from error


class _Joined(io.RawIOBase):
    """Some bytes, then a stream."""

    def __init__(self, first: bytes, stream: BinaryIO) -> None:
        self._first = first
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 (any buffer)
        data = self._first[: len(buffer)] or self._stream.read1(len(buffer))  # type: ignore[attr-defined]
        self._first = self._first[len(data) :] if self._first else b""
        buffer[: len(data)] = data
        return len(data)


class _Respaced(io.RawIOBase):
    """A stream's lines with one space wherever there are several."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 (any buffer)
        while not self._rest:
            line = self._stream.readline()
            if not line:
                return 0
            self._rest = b" ".join(line.split()) + b"\n" if line.strip() else b""
        data = self._rest[: len(buffer)]
        self._rest = self._rest[len(data) :]
        buffer[: len(data)] = data
        return len(data)
