"""Tables of points from files and streams, a batch at a time.

The one idea: coordinates become numbers, everything else stays as it is written, rows stay in order
and none is dropped. Which columns are coordinates, and in which unit, is found by name only where
the name leaves no doubt (``ap_um, si_um, rl_um``), and is otherwise for the caller to say.
"""

from __future__ import annotations

import csv
import re
import select
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

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
_LONGEST_LINE = 1 << 24
_LONGEST_ROW = 1 << 26


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
    is_common = array.dtype.kind in "iu" or array.dtype.itemsize in {4, 8}
    dtype = array.dtype.newbyteorder("=") if is_common else np.dtype(np.float64)

    def batches() -> Iterator[pa.RecordBatch]:
        for start in range(0, max(len(array), 1), BATCH_ROWS):
            part = array[start : start + BATCH_ROWS]
            values = [pa.array(part[:, axis].astype(dtype)) for axis in range(AXES)]
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
    line = _first_line(stream, name)
    separator = _separator(line)
    try:
        cells = line.split() if separator == " " else next(csv.reader([line], delimiter=separator))
    except csv.Error as error:
        raise PointsError(f"the first line of {name} cannot be read: {error}") from error
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
    types = {column: pa.float64() if column in chosen else pa.string() for column in header}
    blocks = _blocks(stream, b"" if has_names else line.encode() + b"\n", name)
    batches = _parsed(blocks, types, separator)
    return PointTable(_readable(batches, pa.schema(types), name), chosen, unit)


def _first_line(stream: BinaryIO, name: str) -> str:
    """Return the first line of a text, without its end."""
    first = stream.readline(_LONGEST_LINE)
    if len(first) == _LONGEST_LINE:
        raise PointsError(f"the first line of {name} is longer than {_LONGEST_LINE:,} bytes")
    try:
        line = first.decode("utf-8-sig").strip("\r\n")
    except UnicodeDecodeError as error:
        raise PointsError(f"{name} is no UTF-8 text") from error
    if not line.strip():
        raise PointsError(f"{name} is empty, or begins with an empty line")
    return line


def _blocks(stream: BinaryIO, rest: bytes, name: str) -> Iterator[bytes]:
    """Yield whole rows of text, some megabytes at a time, or what a slow pipe has given so far.

    They are read here and in this thread: a library that reads ahead would neither hear Ctrl-C nor
    let go of the stream.
    """
    while data := stream.read1(_BATCH_BYTES):  # type: ignore[attr-defined]
        rest += data
        if len(rest) < _BATCH_BYTES and _has_more(stream):
            continue
        end = _end_of_rows(rest)
        if end:
            yield rest[:end]
            rest = rest[end:]
        elif len(rest) > _LONGEST_ROW:
            raise PointsError(
                f"{name}: a row has over {_LONGEST_ROW:,} bytes; is a quote not closed?"
            )
    if rest:
        yield rest


def _has_more(stream: BinaryIO) -> bool:
    """Whether reading from a stream would not have to wait; so it seems of what is no file."""
    try:
        return bool(select.select([stream], [], [], 0)[0])
    except (OSError, ValueError):
        return True


def _end_of_rows(text: bytes) -> int:
    """Return where the last whole row ends: after a line's end that is in no quotes."""
    end = text.rfind(b"\n")
    while end >= 0 and text.count(b'"', 0, end) % 2:
        end = text.rfind(b"\n", 0, end)
    return end + 1


def _parsed(
    blocks: Iterator[bytes], types: dict[str, pa.DataType], separator: str
) -> Iterator[pa.RecordBatch]:
    """Yield blocks of text as tables."""
    from pyarrow import csv as pa_csv  # takes 20 ms

    for block in blocks:
        text = _respaced(block) if separator == " " else block
        if not text.strip():
            continue
        table = pa_csv.read_csv(
            pa.BufferReader(text),
            read_options=pa_csv.ReadOptions(
                use_threads=False, block_size=len(text) + 1, column_names=list(types)
            ),
            parse_options=pa_csv.ParseOptions(delimiter=separator, newlines_in_values=True),
            convert_options=pa_csv.ConvertOptions(column_types=types, strings_can_be_null=False),
        )
        yield from table.combine_chunks().to_batches()


def _respaced(text: bytes) -> bytes:
    """Return lines with one space wherever there are several, but in quotes."""
    lines = (line if b'"' in line else b" ".join(line.split()) for line in text.split(b"\n"))
    return b"\n".join(lines)


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
        units = {u for u in map(_unit_of, columns) if u}
        if len(units | ({unit} if unit else set())) > 1:
            raise PointsError(
                f"the columns {listing(columns)} say that they are in {listing(sorted(units))}"
                f"{f', not in {unit}' if unit else ''}: name three in one unit"
            )
        ap, si, rl = columns
        return (ap, si, rl), unit or (units.pop() if units else "um")
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


def _unit_of(column: str) -> str | None:
    """Return the unit in which a column's name ends."""
    ending = column.rpartition("_")[2]
    return ending if ending in UNITS else None


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
