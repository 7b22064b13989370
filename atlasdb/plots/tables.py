"""Tables of values as people have them: counts, dictionaries, files and frames, all as columns.

The one idea: whatever it comes as, a table is names and columns of plain Python values; what they
mean is decided once, in `atlasdb.plots.values`.
"""

from __future__ import annotations

import csv
import json
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Any

from atlasdb.errors import PictureError, did_you_mean, listing
from atlasdb.limits import current

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pyarrow as pa

STRUCTURE, GROUP, VALUE = "structure", "group", "value"
"""What the columns of a dictionary are called."""

_MISSING = frozenset({"", "na", "n/a", "nan", "null", "none"})


@dataclass(frozen=True)
class Table:
    """Columns of equal length.

    Attributes
    ----------
    name
        What errors call the table.
    columns
        Names and values: None, texts or numbers.
    lines
        Where each row stands, for errors: from 1, in a text file with the line of names.
    """

    name: str
    columns: dict[str, list[Any]]
    lines: list[int]

    @classmethod
    def of(cls, name: str, columns: dict[str, list[Any]]) -> Table:
        """Return columns as a table whose rows are counted from 1."""
        return cls(name, columns, list(range(1, len(next(iter(columns.values()), [])) + 1)))

    def __len__(self) -> int:
        return len(self.lines)

    def taken(self, rows: Sequence[int]) -> Table:
        """Return some of the rows."""
        columns = {name: [values[row] for row in rows] for name, values in self.columns.items()}
        return replace(self, columns=columns, lines=[self.lines[row] for row in rows])

    def need(self, name: str) -> None:
        """Refuse a column that is not there.

        Raises
        ------
        PictureError
            There is none of this name.
        """
        if name not in self.columns:
            raise PictureError(
                f"{self.name} has no column {name!r}{did_you_mean(name, self.columns)}; it has "
                f"{listing(self.columns, limit=20)}"
            )


def is_missing(value: object) -> bool:
    """Say whether a value is none: NULL, NaN, pandas's NA, or a text that says so.

    Examples
    --------
    >>> [is_missing(value) for value in (None, "NA", "", 0, "0", float("nan"))]
    [True, True, True, False, False, True]
    """
    if isinstance(value, str):
        return value.strip().lower() in _MISSING
    if isinstance(value, Real):
        return math.isnan(float(value))
    return value is None or type(value).__name__ in {"NAType", "NaTType"}


def text_of(value: object) -> str:
    """Return a value as text; an id that a frame made a float of is a whole number again.

    Examples
    --------
    >>> text_of(385.0), text_of(None), text_of(" CP ")
    ('385', '', 'CP')
    """
    if not isinstance(value, str) and is_missing(value):
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip()


def tabulated(source: Any) -> Table:  # noqa: ANN401 (many kinds)
    """Return a table of values from whatever holds it.

    Parameters
    ----------
    source
        A dictionary ``{structure: value}`` or ``{group: {structure: value}}``; the path of a .csv,
        .tsv, .json (such a dictionary, or a list of objects) or .parquet file; a
        `atlasdb.cells.tables.CountTable`; a pyarrow table; a pandas or polars frame.

    Raises
    ------
    PictureError
        It is none of these, or cannot be read.
    """
    if isinstance(source, str | Path):
        return _from_file(Path(source))
    if isinstance(source, Mapping):
        return _from_dictionary(source, "the dictionary")
    if type(source).__name__ == "Series" and callable(getattr(source, "to_dict", None)):
        return _from_dictionary(source.to_dict(), "the series")
    if callable(getattr(source, "long", None)):
        source = source.long()
    return _from_frame(source)


def _from_file(path: Path) -> Table:
    ending = path.suffix.lower()
    if ending not in _READERS:
        raise PictureError(
            f"cannot tell what {path} is: values are in files that end in {listing(_READERS)}"
        )
    try:
        size = path.stat().st_size
        if size > current().text_bytes:
            raise PictureError(
                f"{path} is too large for a table of structures: {size:,} bytes, "
                f"{current().over('text_bytes')}"
            )
        table = _READERS[ending](path)
    except PictureError:
        raise
    except (OSError, ValueError, RecursionError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or error
        raise PictureError(f"cannot read {path}: {reason}") from error
    if not len(table):
        raise PictureError(f"{path} holds no values")
    return table


def _from_text(path: Path, delimiter: str) -> Table:
    with path.open(newline="", encoding="utf-8-sig") as stream:
        reader = csv.reader(stream, delimiter=delimiter, strict=True)
        found = [(reader.line_num, row) for row in reader if row]
    if not found:
        return Table.of(str(path), {})
    (_, names), *rows = found
    _refuse_many(len(rows), len(names), str(path))
    _refuse_twice(names, str(path))
    for line, row in rows:
        if len(row) != len(names):
            raise PictureError(
                f"{path}, line {line}: {len(row)} values, but there are {len(names)} columns"
            )
    columns = {
        name: [row[position] or None for _, row in rows] for position, name in enumerate(names)
    }
    return Table(str(path), columns, [line for line, _ in rows])


def _refuse_twice(names: Sequence[str], of: str) -> None:
    """Refuse names that are given more than once, of which one would be lost."""
    twice = sorted(name for name, times in Counter(names).items() if times > 1)
    if twice:
        raise PictureError(f"{of} has several columns called {listing(twice)}")


def _refuse_many(rows: int, columns: int, of: str) -> None:
    """Refuse more values than a table of structures has: as Python's they take much memory."""
    if columns > current().columns:
        raise PictureError(f"{of} has {columns:,} columns, {current().over('columns')}")
    if rows * columns > current().values:
        raise PictureError(f"{of} has {rows * columns:,} values, {current().over('values')}")


def _from_csv(path: Path) -> Table:
    return _from_text(path, ",")


def _from_tsv(path: Path) -> Table:
    return _from_text(path, "\t")


def _from_json(path: Path) -> Table:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        twice = sorted(n for n, times in Counter(name for name, _ in pairs).items() if times > 1)
        if twice:
            raise PictureError(f"{path} has several values called {listing(twice)}")
        return dict(pairs)

    content = json.loads(path.read_text("utf-8"), object_pairs_hook=once)
    if isinstance(content, dict):
        return _from_dictionary(content, str(path))
    if isinstance(content, list) and all(isinstance(row, dict) for row in content):
        names = list(dict.fromkeys(name for row in content for name in row))
        _refuse_many(len(content), len(names), str(path))
        return Table.of(str(path), {name: [row.get(name) for row in content] for name in names})
    raise PictureError(f"{path} holds neither a dictionary of values nor a list of rows")


def _from_parquet(path: Path) -> Table:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        footer = pq.read_metadata(path)
        _refuse_many(footer.num_rows, footer.num_columns, str(path))
        return _from_arrow(pq.read_table(path, partitioning=None), str(path))
    except pa.ArrowException as error:
        raise PictureError(f"cannot read {path}: {error}") from error


_READERS: dict[str, Callable[[Path], Table]] = {
    ".csv": _from_csv,
    ".tsv": _from_tsv,
    ".json": _from_json,
    ".parquet": _from_parquet,
}


def _from_dictionary(source: Mapping[Any, Any], name: str) -> Table:
    """Return a dictionary of values, or of dictionaries of values by group."""
    if not source:
        raise PictureError(f"{name}: there is no value in an empty dictionary")
    nested = [isinstance(value, Mapping) for value in source.values()]
    if not any(nested):
        return Table.of(name, {STRUCTURE: list(source), VALUE: list(source.values())})
    if not all(nested):
        raise PictureError(f"{name}: some values are dictionaries and some are not")
    rows = [(group, key, value) for group, of in source.items() for key, value in of.items()]
    groups, structures, values = ([row[position] for row in rows] for position in range(3))
    return Table.of(name, {GROUP: groups, STRUCTURE: structures, VALUE: values})


def _from_frame(source: Any) -> Table:  # noqa: ANN401 (many kinds)
    """Return a frame of any library that gives Arrow, or a numpy array with named fields."""
    import numpy as np
    import pyarrow as pa

    try:
        if isinstance(source, np.ndarray) and source.dtype.names:
            source = {name: source[name] for name in source.dtype.names}
        if type(source).__module__.partition(".")[0] == "pandas":
            if source.index.name is not None or source.index.nlevels > 1:
                source = source.reset_index()
            found = pa.Table.from_pandas(source, preserve_index=False)
        else:
            found = source if isinstance(source, pa.Table) else pa.table(source)
    except (pa.ArrowException, AttributeError, TypeError, ValueError) as error:
        raise PictureError(
            f"values are a dictionary, a file, a table of counts or a frame; "
            f"{type(source).__name__} cannot be read as one: {error}"
        ) from error
    table = _from_arrow(found, "the table")
    if not len(table):
        raise PictureError("the table holds no values")
    return table


def _from_arrow(found: pa.Table, name: str) -> Table:
    _refuse_twice(found.column_names, name)
    return Table.of(name, found.to_pydict())
