"""Tables of values as people have them: counts, dictionaries, files and frames, all as columns.

The one idea: whatever it comes as, a table is names and columns of plain Python values; what they
mean is decided once, in `atlasdb.plots.values`.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from atlasdb.errors import PictureError, listing

if TYPE_CHECKING:
    from collections.abc import Callable

STRUCTURE, GROUP, VALUE = "structure", "group", "value"
"""What the columns of a dictionary are called."""

_MOST_BYTES = 512 * 1024 * 1024


@dataclass(frozen=True)
class Table:
    """Columns of equal length.

    Attributes
    ----------
    name
        What errors call the table.
    columns
        Names and values: None, texts or numbers.
    """

    name: str
    columns: dict[str, list[Any]]

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()), []))


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
        return _from_dictionary(source, "the values")
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
        if path.stat().st_size > _MOST_BYTES:
            raise PictureError(f"{path} is too large for a table of structures")
        table = _READERS[ending](path)
    except (OSError, UnicodeDecodeError, ValueError, csv.Error) as error:
        if isinstance(error, PictureError):
            raise
        reason = getattr(error, "strerror", None) or error
        raise PictureError(f"cannot read {path}: {reason}") from error
    if not len(table):
        raise PictureError(f"{path} holds no values")
    return table


def _from_text(path: Path, delimiter: str) -> Table:
    with path.open(newline="", encoding="utf-8-sig") as stream:
        lines = list(csv.reader(stream, delimiter=delimiter, strict=True))
    lines = [line for line in lines if line]
    if not lines:
        return Table(str(path), {})
    names, rows = lines[0], lines[1:]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise PictureError(f"{path} has several columns called {listing(sorted(twice))}")
    for number, row in enumerate(rows, start=2):
        if len(row) != len(names):
            raise PictureError(
                f"{path}, row {number}: {len(row)} values, but there are {len(names)} columns"
            )
    columns = {name: [row[position] or None for row in rows] for position, name in enumerate(names)}
    return Table(str(path), columns)


def _from_csv(path: Path) -> Table:
    return _from_text(path, ",")


def _from_tsv(path: Path) -> Table:
    return _from_text(path, "\t")


def _from_json(path: Path) -> Table:
    content = json.loads(path.read_text("utf-8"))
    if isinstance(content, dict):
        return _from_dictionary(content, str(path))
    if isinstance(content, list) and all(isinstance(row, dict) for row in content):
        names = list(dict.fromkeys(name for row in content for name in row))
        return Table(str(path), {name: [row.get(name) for row in content] for name in names})
    raise PictureError(f"{path} holds neither a dictionary of values nor a list of rows")


def _from_parquet(path: Path) -> Table:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return Table(str(path), pq.read_table(path, partitioning=None).to_pydict())
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
        return Table(name, {STRUCTURE: list(source), VALUE: list(source.values())})
    if not all(nested):
        raise PictureError(f"{name}: some values are dictionaries and some are not")
    rows = [(group, key, value) for group, of in source.items() for key, value in of.items()]
    groups, structures, values = ([row[position] for row in rows] for position in range(3))
    return Table(name, {GROUP: groups, STRUCTURE: structures, VALUE: values})


def _from_frame(source: Any) -> Table:  # noqa: ANN401 (many kinds)
    """Return a frame of any library that gives Arrow."""
    import pyarrow as pa

    try:
        if type(source).__module__.partition(".")[0] == "pandas":
            found = pa.Table.from_pandas(source, preserve_index=False)
        else:
            found = source if isinstance(source, pa.Table) else pa.table(source)
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise PictureError(
            f"values are a dictionary, a file, a table of counts or a frame, not "
            f"{type(source).__name__}"
        ) from error
    table = Table("the table", found.to_pydict())
    if not len(table):
        raise PictureError("the table holds no values")
    return table
