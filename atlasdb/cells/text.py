"""Tables of points as text with separators, read block by block.

The one idea: coordinates become numbers, and everything else stays as it is written: an id such as
``007`` or one of twenty digits is a text, and only its owner could say otherwise.
"""

from __future__ import annotations

import csv
import gzip
import re
import select
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, BinaryIO, NamedTuple, cast

import numpy as np
import pyarrow as pa

from atlasdb.cells.columns import AXIS_NAMES, find_coordinates, names_in, refuse_columns
from atlasdb.cells.pieces import Block, empty, saying_which
from atlasdb.errors import PointsError
from atlasdb.limits import current
from atlasdb.voxels.grid import AXES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from atlasdb.cells.columns import Coordinates, Stated
    from atlasdb.cells.pieces import File

_BLOCK_BYTES = 1 << 22
_QUOTE, _LINE_END = b'"\n'


class _Form(NamedTuple):
    """What the first line of a text says."""

    names: tuple[str, ...]
    coordinates: Coordinates
    separator: str
    rest: bytes


@dataclass(frozen=True)
class TextPiece:
    """A text with separators: tabs, commas, semicolons or spaces.

    Attributes
    ----------
    source
        The file; None for a stream.
    file
        What it is called.
    stated
        What the caller says of its columns.
    stream
        A stream, which is read once.
    """

    source: File | None
    file: str
    stated: Stated
    stream: BinaryIO | None = None

    @cached_property
    def form(self) -> _Form:
        """The columns; the first line of a stream is read for it."""
        with ExitStack() as stack, saying_which(self.file):
            return _form(self._opened(stack)[0], self.file, self.stated)

    def _opened(self, stack: ExitStack) -> tuple[BinaryIO, BinaryIO | None]:
        """Return the text, unpacked if it is compressed, and the file that it is in."""
        if self.source is None:
            assert self.stream is not None  # noqa: S101 (one of the two is given)
            return self.stream, None
        raw = stack.enter_context(closing(self.source.open()))
        if not self.source.ending.endswith(".gz"):
            return raw, raw
        packed = gzip.GzipFile(fileobj=raw)
        return cast("BinaryIO", stack.enter_context(closing(packed))), raw

    @property
    def coordinates(self) -> Coordinates:
        """Which columns are coordinates."""
        return self.form.coordinates

    @property
    def schema(self) -> pa.Schema:
        """Its columns: coordinates are numbers, all else text."""
        numbers = self.form.coordinates.columns
        return pa.schema(
            [(n, pa.float64() if n in numbers else pa.string()) for n in self.form.names]
        )

    @property
    def rows(self) -> None:
        """Not known before."""
        return

    @property
    def total(self) -> int | None:
        """Bytes."""
        return None if self.source is None else self.source.size

    def blocks(self, columns: Sequence[str] | None = None) -> Iterator[Block]:
        """Yield its rows."""
        form, schema = self.form, self.schema
        first = 0
        with ExitStack() as stack, saying_which(self.file):
            stream, raw = self._opened(stack)
            if raw is not None:
                _skip_line(stream)
            told = 0
            for text in _texts(stream, form, self.file):
                batch = _parsed(text, schema, form, self.file, first)
                if columns is not None:
                    batch = batch.select(list(columns))
                done = told if raw is None else raw.tell()
                yield Block(batch, self.file, first, done - told)
                told = done
                first += batch.num_rows
        if not first:
            wanted = schema if columns is None else pa.schema([schema.field(c) for c in columns])
            yield Block(empty(wanted), self.file, 0, 0)


def _form(stream: BinaryIO, name: str, stated: Stated) -> _Form:
    """Read the first line, which may hold names or be the first row."""
    line = _first_line(stream, name)
    separator = _separator(line)
    refuse_columns(line.count(separator) + 1, name)
    try:
        cells = line.split() if separator == " " else next(csv.reader([line], delimiter=separator))
    except csv.Error as error:
        raise PointsError(f"the first line of {name} cannot be read: {error}") from error
    if not all(map(_is_number, cells)):
        # cellfinder's and pandas' tables begin with a column of row numbers that has no name.
        names = tuple(
            cell.strip() or (f"column_{number}" if number else "index")
            for number, cell in enumerate(cells)
        )
        return _Form(names, find_coordinates(names, stated, name), separator, b"")
    if stated.columns is not None or len(cells) != AXES:
        raise PointsError(
            f"the first line of {name} has {len(cells)} numbers and no names: give the columns "
            "names, or leave three, AP, SI and RL"
        )
    unit = stated.unit or stated.default_unit
    columns = AXIS_NAMES if unit is None else names_in(unit)
    # They are in the order of the orientation.
    coordinates = find_coordinates(columns, replace(stated, columns=columns), name)
    return _Form(coordinates.columns, coordinates, separator, line.encode() + b"\n")


def _first_line(stream: BinaryIO, name: str) -> str:
    """Return the first line of a text, without its end."""
    longest = current().row_bytes
    first = stream.readline(longest + 1)
    if len(first) > longest:
        raise PointsError(
            f"the first line of {name} has {len(first):,} bytes or more, "
            f"{current().over('row_bytes')}"
        )
    try:
        line = first.decode("utf-8-sig").strip("\r\n")
    except UnicodeDecodeError as error:
        raise PointsError(f"{name} is no UTF-8 text") from error
    if not line.strip():
        raise PointsError(f"{name} is empty, or begins with an empty line")
    return line


def _skip_line(stream: BinaryIO) -> None:
    """Go past the first line, which `_form` has read."""
    stream.readline(current().row_bytes + 1)


def _texts(stream: BinaryIO, form: _Form, name: str) -> Iterator[bytes]:
    """Yield whole rows of text, some megabytes at a time, or what a slow pipe has given so far.

    They are read here and in this thread: a library that reads ahead would neither hear Ctrl-C nor
    let go of the stream.
    """
    read = getattr(stream, "read1", None) or stream.read
    rest, row_bytes = form.rest, current().row_bytes
    while data := read(_BLOCK_BYTES):
        rest += data
        if len(rest) < _BLOCK_BYTES and _has_more(stream):
            continue
        end = end_of_rows(rest, form.separator).after
        if end:
            yield rest[:end]
            rest = rest[end:]
        elif len(rest) > row_bytes:
            raise PointsError(
                f"{name}: a row has {len(rest):,} bytes or more, {current().over('row_bytes')}; is "
                "a quote not closed?"
            )
    # Arrow takes all that follows such a quote for one value: whole rows would be gone.
    opened = end_of_rows(rest, form.separator).opened
    if opened is not None:
        start = rest[opened : opened + 40].decode(errors="replace")
        raise PointsError(
            f"{name}: the quote in {start!r} is never closed, so that all rows after it would be "
            "one value"
        )
    if rest:
        yield rest


def _has_more(stream: BinaryIO) -> bool:
    """Whether reading from a stream would not have to wait; so it seems of what is no file."""
    try:
        return bool(select.select([stream], [], [], 0)[0])
    except (OSError, ValueError, TypeError):
        return True


class _Rows(NamedTuple):
    """How far a text goes in whole rows.

    Attributes
    ----------
    after
        Where the last whole row ends.
    opened
        Where a quote stands that is not closed; None if all are.
    """

    after: int
    opened: int | None


def end_of_rows(text: bytes, separator: str) -> _Rows:
    r"""Return where the last whole row of a text ends: after a line's end that is in no quotes.

    As Arrow's parser has it: a quote opens a value only where one begins, a doubled one does not
    close it, and any other quote is a character.

    Examples
    --------
    >>> end_of_rows(b'a,"b\nc"\nd', ","), end_of_rows(b'5" x,b\n"', ",")
    (_Rows(after=8, opened=None), _Rows(after=7, opened=7))
    """
    if b'"' not in text:
        return _Rows(text.rfind(b"\n") + 1, None)
    array = np.frombuffer(text, np.uint8)
    quotes = np.flatnonzero(array == _QUOTE)
    opening = quotes[::2]  # if quotes do nothing else than to open, to close and to be doubled
    before = array[opening - 1]
    begins = np.isin(before, np.frombuffer(b"\r\n" + separator.encode(), np.uint8)) | (opening == 0)
    if not (begins | (before == _QUOTE)).all():
        return _end_of_odd_rows(text, separator)
    ends = np.flatnonzero(array == _LINE_END)
    whole = ends[np.searchsorted(quotes, ends) % 2 == 0]
    opened = int(opening[begins][-1]) if quotes.size % 2 else None
    return _Rows(int(whole[-1]) + 1 if whole.size else 0, opened)


def _end_of_odd_rows(text: bytes, separator: str) -> _Rows:
    """Return the same of a text in which quotes are characters too, value by value."""
    value = re.compile(
        rb"(?:\A|(?<=[\r\n" + re.escape(separator.encode()) + rb']))"[^"]*(?:""[^"]*)*("|\Z)'
    )
    after = position = 0
    for match in value.finditer(text):
        after = max(text.rfind(b"\n", position, match.start()) + 1, after)
        position = match.end()
        if not match[1]:
            return _Rows(after, match.start())
    return _Rows(max(text.rfind(b"\n", position) + 1, after), None)


def _parsed(text: bytes, schema: pa.Schema, form: _Form, file: str, first: int) -> pa.RecordBatch:
    """Return a block of text as rows.

    Raises
    ------
    PointsError
        A row has too few or too many columns, or a coordinate is no number; with file and row.
    """
    if form.separator == " ":
        text = _respaced(text)
    if not text.strip():
        return empty(schema)
    try:
        return _read_csv(text, schema, form.separator)
    except pa.ArrowInvalid as error:
        texts = pa.schema([(field.name, pa.string()) for field in schema])
        try:
            batch = _read_csv(text, texts, form.separator)
        except pa.ArrowInvalid:
            raise PointsError(_ragged(error, file, first)) from error
    for name in form.coordinates.columns:
        for row, value in enumerate(batch.column(name).to_pylist(), start=first + 1):
            if value and not _is_number(value) and value not in _NOTHING:
                raise PointsError(
                    f"{file}, row {row:,}: column {name} holds {value!r:.100}, which is no number"
                ) from None
    return _converted(batch, schema)  # numbers that Python reads and Arrow does not, such as +5


_NOTHING = frozenset({"", "NA", "N/A", "n/a", "NULL", "null", "#N/A", "<NA>", "None"})
"""What stands for a coordinate that is not there."""


def _converted(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """Return texts as the columns of a schema."""

    def number(value: str) -> float | None:
        return None if value in _NOTHING else float(value)

    columns = [
        batch.column(field.name)
        if field.type == pa.string()
        else pa.array(map(number, batch.column(field.name).to_pylist()), field.type)
        for field in schema
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _read_csv(text: bytes, schema: pa.Schema, separator: str) -> pa.RecordBatch:
    """Parse a block of text, in this thread."""
    from pyarrow import csv as pa_csv  # takes 20 ms

    table = pa_csv.read_csv(
        pa.BufferReader(text),
        read_options=pa_csv.ReadOptions(
            use_threads=False, block_size=len(text) + 1, column_names=schema.names
        ),
        parse_options=pa_csv.ParseOptions(delimiter=separator, newlines_in_values=True),
        convert_options=pa_csv.ConvertOptions(
            column_types=dict(zip(schema.names, schema.types, strict=True)),
            strings_can_be_null=False,
            null_values=[*_NOTHING, "nan", "NaN", "-nan", "-NaN"],
        ),
    )
    combined = table.combine_chunks().to_batches()
    return combined[0] if combined else empty(schema)


def _ragged(error: pa.ArrowInvalid, file: str, first: int) -> str:
    """Return what is wrong with a block that is no table, with the row in the whole file."""
    found = re.search(r"Row #(\d+): (.*)", str(error), re.DOTALL)
    if found:
        return f"{file}, row {first + int(found[1]):,} cannot be read: {' '.join(found[2].split())}"
    return f"{file} cannot be read: {' '.join(str(error).split())} (after row {first:,})"


def _respaced(text: bytes) -> bytes:
    """Return lines with one space wherever there are several, but in quotes."""
    lines = (line if b'"' in line else b" ".join(line.split()) for line in text.split(b"\n"))
    return b"\n".join(lines)


def _separator(line: str) -> str:
    """Return what separates the columns of a line."""
    bare = re.sub('"[^"]*"', "", line)  # what is quoted separates nothing
    return max("\t,; ", key=lambda mark: (bare.count(mark) > 0, mark != " ", bare.count(mark)))


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return "_" not in cell  # Python reads 1_000, nobody else does
