"""Printing: tables for people and files for programs, and progress on the way.

The one idea: commands hand over an Arrow table; here alone it becomes text.
"""

from __future__ import annotations

import math
import re
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

import click

from atlasdb.cli.options import FORMATS, HOME
from atlasdb.errors import AtlasDBError, printable
from atlasdb.wholefile import writing

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa

_GAP = "   "
_NULL = "NULL"
_MOST_WRAPPED = 1_000
_LONGEST_KEY = 40


def write_table(table: pa.Table, form: str | None, output: str | None) -> None:
    """Print a table, or write it to a file that appears whole or not at all.

    Parameters
    ----------
    table
        The rows.
    form
        One of `FORMATS`; None for the one that the file's ending names, else 'table'.
    output
        The file; None for stdout.
    """
    output = None if output == "-" else output
    if output == "":
        raise click.UsageError("-o needs the name of a file")
    form = form or form_of(output)
    if form == "parquet" and output is None:
        raise click.UsageError("--format parquet needs a file: add -o FILE")
    table = _distinct(table)
    if output is None:
        click.echo(_text(table, form), nl=False)
    else:
        _save(_content(table, form), output)


def write_text(text: str, output: str | None) -> None:
    """Print a text, or write it to a file that appears whole or not at all."""
    if output == "":
        raise click.UsageError("-o needs the name of a file")
    if output in {None, "-"}:
        click.echo(text, nl=False)
    else:
        _save(text.encode(), str(output))


def write_batches(batches: Iterator[pa.RecordBatch], form: str | None, output: str | None) -> None:
    """Print the rows of a table as they come, or write them to a file that appears whole.

    Parameters
    ----------
    batches
        The rows, with the same columns in each; one at least.
    form
        One of `FORMATS`; None for the one that the file's ending names, else 'table' on a terminal
        and 'csv' elsewhere. 'table' collects all rows first, to align them.
    output
        The file; None for stdout.
    """
    import pyarrow as pa  # imported by whoever made the batches

    output = None if output == "-" else output
    if form is None:
        form = _form_of_rows(output)
    if form == "table":
        write_table(pa.Table.from_batches(batches), form, output)
    elif form == "parquet":
        _write_parquet(batches, output)
    elif output is None:
        for text in _texts(batches, form):
            click.echo(text, nl=False)
    else:
        with saving(output) as file:
            for text in _texts(batches, form):
                file.write(text)


def _form_of_rows(output: str | None) -> str:
    """Return the format of rows that nobody named one for."""
    if output is None:
        return "table" if sys.stdout.isatty() else "csv"
    ending = Path(output).suffix
    if ending and form_of(output) == "table":
        raise click.UsageError(f"{output} does not say in which format: add --format csv, say")
    return form_of(output) if ending else "csv"


def _write_parquet(batches: Iterator[pa.RecordBatch], output: str | None) -> None:
    """Write rows to a Parquet file as they come."""
    import pyarrow.parquet as pq  # takes 30 ms

    if output is None:
        raise click.UsageError("--format parquet needs a file: add -o FILE")
    first = next(batches)
    with saving(output) as file, pq.ParquetWriter(file, first.schema) as writer:
        writer.write_batch(first)
        for batch in batches:
            writer.write_batch(batch)


def _texts(batches: Iterator[pa.RecordBatch], form: str) -> Iterator[bytes]:
    """Yield CSV with one line of names, or one JSON array."""
    import pyarrow as pa  # imported by whoever made the batches

    is_first = True
    for batch in batches:
        if not is_first and not batch.num_rows:
            continue
        text = _content(pa.Table.from_batches([batch]), form, has_names=is_first)
        if form == "csv":
            yield text
        else:
            yield b"[" if is_first else b",\n"
            yield text.strip().removeprefix(b"[").removesuffix(b"]").strip()
        is_first = False
    if form == "json":
        yield b"]\n"


def _save(content: bytes, output: str) -> None:
    """Write a file, or say why not."""
    with saving(output) as file:
        file.write(content)


@contextmanager
def saving(output: str) -> Iterator[BinaryIO]:
    """Give a file to write to, which has its name when the block ends; or say why not."""
    _refuse_own(Path(output))
    target = Path(output).resolve()
    try:
        with writing(target) as file:
            yield file
    except OSError as error:
        if isinstance(error, AtlasDBError):
            raise
        raise AtlasDBError(f"cannot write {output}: {error.strerror or error}") from error


@contextmanager
def saying_why(output: Path) -> Iterator[None]:
    """Turn what keeps an image or a mesh from being written into errors for people."""
    _refuse_own(output)
    try:
        yield
    except AtlasDBError:
        raise
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    except OSError as error:
        raise AtlasDBError(f"cannot write {output}: {error.strerror or error}") from error


def _refuse_own(output: Path) -> None:
    """Refuse to write over what the home of the command at hand keeps."""
    context = click.get_current_context(silent=True)
    home = context.meta.get(HOME) if context else None
    if home is not None:
        home.refuse_own(output)


def _distinct(table: pa.Table) -> pa.Table:
    """Return the table with columns of the same name told apart: a, a_1.

    Names that differ by case alone are the same to DuckDB, which writes the files.
    """
    names: dict[str, str] = {}
    for name in table.column_names:
        number, distinct = 0, name
        while distinct.lower() in names:
            number += 1
            distinct = f"{name}_{number}"
        names[distinct.lower()] = distinct
    renamed = table.rename_columns(list(names.values()))
    return renamed.replace_schema_metadata(table.schema.metadata)


def form_of(output: str | None) -> str:
    """Return the format that a file's ending names, else 'table'."""
    ending = Path(output or "").suffix.removeprefix(".").lower()
    return ending if ending in FORMATS else "table"


def _text(table: pa.Table, form: str) -> str:
    """Return a table as text."""
    return _drawn(table) if form == "table" else _content(table, form).decode()


def _content(table: pa.Table, form: str, *, has_names: bool = True) -> bytes:
    """Return a file's content; DuckDB knows how to spell nested values in every format."""
    if form == "table":
        return _drawn(table).encode()
    import duckdb  # only for these formats
    import pyarrow as pa  # imported by whoever made the table

    from atlasdb.queries import text_literal

    options = {"csv": f"FORMAT csv, HEADER {has_names}", "json": "FORMAT json, ARRAY true"}
    if form == "json":
        columns = map(_without_nan, table.columns)
        table = pa.table(list(columns), schema=table.schema)
    with tempfile.TemporaryDirectory() as folder, duckdb.connect() as connection:
        path = Path(folder) / "table"
        try:
            connection.register("_table", table)
            connection.execute(
                f"COPY _table TO {text_literal(path)} ({options.get(form, 'FORMAT parquet')})"
            )
        except duckdb.Error as error:
            raise AtlasDBError(f"cannot write {form}: {str(error).splitlines()[0]}") from error
        return path.read_bytes()


def _without_nan(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column with NULL for NaN and infinities, nested ones too: JSON has neither."""
    import pyarrow as pa  # imported by whoever made the table

    if not re.search("float|double", str(column.type)):
        return column
    return pa.chunked_array([[_finite(value) for value in column.to_pylist()]], type=column.type)


def _finite(value: Any) -> Any:  # noqa: ANN401 (whatever a cell holds)
    """Return a value with None for every float in it that is no number."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, list | tuple):
        return type(value)(map(_finite, value))
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    return value


def _drawn(table: pa.Table) -> str:
    """Return a table drawn for people: numbers to the right, NULL told from an empty text."""
    import pyarrow as pa  # imported by whoever made the table

    is_number = [
        pa.types.is_integer(field.type)
        or pa.types.is_floating(field.type)
        or pa.types.is_decimal(field.type)
        for field in table.schema
    ]
    columns = [map(cell, column.to_pylist()) for column in table.columns]
    cells = [list(row) for row in zip(*columns, strict=True)]
    # On a terminal, cells are wrapped; elsewhere, and where that would take long, never.
    wraps = sys.stdout is not None and sys.stdout.isatty() and len(cells) <= _MOST_WRAPPED
    draw = _wrapped if wraps else _aligned
    names = list(map(printable, table.column_names))
    origin = (table.schema.metadata or {}).get(b"atlas", b"").decode()
    source = f", {origin}" if origin else ""
    count = f"({table.num_rows:,} row{'' if table.num_rows == 1 else 's'}{source})"
    return "\n".join([*draw(names, cells, is_number), count]) + "\n"


def _aligned(names: list[str], cells: list[list[str]], is_number: list[bool]) -> list[str]:
    """Return the lines of a table, each row in one."""
    widths = [max(map(len, column)) for column in zip(names, *cells, strict=True)]
    lines = [
        _GAP.join(
            text.rjust(width) if right else text.ljust(width)
            for text, width, right in zip(row, widths, is_number, strict=True)
        ).rstrip()
        for row in (names, *cells)
    ]
    rule = "─" * (sum(widths) + len(_GAP) * (len(widths) - 1))
    return [lines[0], rule, *lines[1:]]


def _wrapped(names: list[str], cells: list[list[str]], is_number: list[bool]) -> list[str]:
    """Return the lines of a table that is no wider than the terminal."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    drawn = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for index, (name, right) in enumerate(zip(names, is_number, strict=True)):
        justify: Literal["left", "right"] = "right" if right else "left"
        is_key = index == 0 and max(len(row[0]) for row in cells or [names]) <= _LONGEST_KEY
        drawn.add_column(Text(name), justify=justify, overflow="fold", no_wrap=is_key)
    for row in cells:
        drawn.add_row(*(Text(text, style="dim" if text == _NULL else "") for text in row))
    console = Console()
    with console.capture() as capture:
        console.print(drawn)
    return [line.rstrip() for line in capture.get().splitlines()]


def cell(value: object) -> str:
    """Return a value as people read it."""
    if value is None:
        return _NULL
    if isinstance(value, float):
        return f"{value:.10g}"
    if isinstance(value, list):
        return ", ".join(map(cell, value))
    return printable(str(value))
