"""The views and macros in a database, made from the files of ``queries/schema``.

The one idea: views and macros are no part of the migrations. They are dropped before a migration
and made again after it, in its transaction, and whatever the files say of them (their comments) is
stored with them, so that any client can show it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from string import Template
from typing import TYPE_CHECKING

import duckdb

from atlasdb.queries import bundled, parse_queries, quoted, text_literal

if TYPE_CHECKING:
    from collections.abc import Iterable

    from atlasdb.queries import Query

ALL = "all_atlases"
"""The schema of the views over all atlases. No atlas can be called so: names have a resolution."""

CELLS = "cells"
"""The schema of the registered tables of cells. No atlas can be called so either."""

_MACROS = ("hierarchy", "levels", "coordinates")
"""Files of macros, each resting on those before it."""

_TABLES = {"closure": "structure_closure", "extent": "structure_extent"}
"""Views that are named otherwise than their table."""


def digest() -> str:
    """Return a digest of all that the views and macros are made from."""
    import hashlib  # 3 ms, which readers do without

    texts = (_text(name) for name in (*_MACROS, ALL, "atlas", CELLS))
    return hashlib.sha256("".join(texts).encode()).hexdigest()


def create_views(connection: duckdb.DuckDBPyConnection) -> None:
    """Make the macros and the views of all atlases, in the caller's transaction."""
    for file in _MACROS:
        connection.execute(_text(file))
    _comment_macros(connection)
    connection.execute(f"CREATE SCHEMA IF NOT EXISTS {ALL}")
    connection.execute(_text(ALL))
    _comment_columns(connection)
    names = connection.execute("SELECT DISTINCT name FROM main.atlas ORDER BY name").fetchall()
    for (name,) in names:
        create_atlas_views(connection, name)
    create_cell_views(connection)


def create_cell_views(connection: duckdb.DuckDBPyConnection) -> None:
    """Make the views of the registered tables of cells, and note where the home is.

    They name their files by absolute paths, so that any client in any folder can ask them.
    """
    drop_schemas(connection, _existing(connection, [CELLS]))
    (path,) = connection.execute(
        "SELECT path FROM duckdb_databases() WHERE database_name = current_database()"
    ).fetchall()[0]
    home = Path(path).resolve().parent if path else None
    tables = cell_tables(connection)
    if not tables or home is None:
        return
    connection.execute("UPDATE main.cell_table SET location = ?", [str(home)])
    connection.execute(f"CREATE SCHEMA {CELLS}")
    for table in tables:
        connection.execute(cell_view(table, home, CELLS))


@dataclass(frozen=True)
class CellTableRow:
    """What a view of cells is made of."""

    name: str
    atlas: str
    atlas_id: int
    path: str
    source: str
    outdated: bool


def cell_tables(connection: duckdb.DuckDBPyConnection, where: str = "true") -> list[CellTableRow]:
    """Return the registered tables of cells that fulfil a condition of ours."""
    rows = connection.execute(
        "SELECT c.name, concat(a.name, '@', a.version), c.atlas_id, c.path, c.source, "  # noqa: S608
        "c.outdated "
        "FROM main.cell_table AS c JOIN main.atlas AS a ON a.atlas_id = c.atlas_id "
        f"WHERE {where} ORDER BY c.name"
    ).fetchall()
    return [CellTableRow(*row) for row in rows]


_FOUND = {
    "ap_um": "DOUBLE",
    "si_um": "DOUBLE",
    "rl_um": "DOUBLE",
    "structure_id": "BIGINT",
    "acronym": "VARCHAR",
    "hemisphere": "VARCHAR",
    "status": "VARCHAR",
}
"""The columns that every table of cells has, beside its own."""


def cell_view(table: CellTableRow, home: Path, schema: str) -> str:
    """Return the statements that make the view of a table of cells.

    Where its answers would be wrong, because the atlas was replaced, or there are none, because the
    file is gone or broken, the view is an error that says so.
    """
    file = home / PurePosixPath(table.path)
    columns = _columns_of(file) if file.is_file() else None
    if columns is None:
        reason = f"cannot be read: {file}" if file.is_file() else f"is missing: {file}"
        problem = (
            f"the file of cells.{table.name} {reason}; put it back and run `atlasdb db relocate`, "
            f"or add the table again with --force"
        )
        return _error_view(table, schema, problem, _FOUND)
    if table.outdated:
        problem = (
            f"cells.{table.name} was annotated with another {table.atlas} than the one that is "
            f"here now: `atlasdb cells refresh {table.name}` annotates it again"
        )
        return _error_view(table, schema, problem, columns)
    return Template(_text(CELLS)).substitute(
        view=f"{schema}.{quoted(table.name)}",
        atlas_id=table.atlas_id,
        file=text_literal(glob_escaped(str(file))),
        comment=_cell_comment(table),
    )


def _cell_comment(table: CellTableRow) -> str:
    return text_literal(f"cells of {table.source} in {table.atlas}")


def _columns_of(file: Path) -> dict[str, str] | None:
    """Return the columns of a Parquet file with their types; None if it cannot be read.

    It is asked by a connection of its own, whose failure spoils no transaction.
    """
    with duckdb.connect() as connection:
        try:
            rows = connection.execute(
                f"DESCRIBE FROM read_parquet({text_literal(glob_escaped(str(file)))}, "
                "hive_partitioning = false, filename = false)"
            ).fetchall()
        except duckdb.Error:
            return None
    return {name: kind for name, kind, *_ in rows}


def _error_view(table: CellTableRow, schema: str, problem: str, columns: dict[str, str]) -> str:
    """Return the statements that make a view which raises an error, whatever is asked of it.

    Every column is the error, so that no filter can be answered without it: conditions on a file
    could rule out all of its rows before any is looked at.
    """
    view = f"{schema}.{quoted(table.name)}"
    raised = f"error({text_literal(problem)})"
    shown = [f"CAST({raised} AS {kind}) AS {quoted(name)}" for name, kind in columns.items()]
    return (
        f"CREATE VIEW {view} AS SELECT CAST({raised} AS INTEGER) AS atlas_id, "  # noqa: S608
        f"{', '.join(shown)} "
        f"FROM (SELECT 1) AS _c WHERE CAST({raised} AS BOOLEAN);"
        f"COMMENT ON VIEW {view} IS {_cell_comment(table)}"
    )


def glob_escaped(path: str) -> str:
    """Return a path that DuckDB takes for itself and not for a pattern.

    Examples
    --------
    >>> glob_escaped("/a[1]/b*")
    '/a[[]1]/b[*]'
    """
    return re.sub(r"([\[*?])", r"[\1]", path)


def create_atlas_views(connection: duckdb.DuckDBPyConnection, name: str) -> None:
    """Make the schemas of an atlas: one for each version, and one for the newest.

    Schemas of versions that are no longer there are dropped.
    """
    versions = connection.execute(
        "SELECT version, atlas_id FROM main.atlas WHERE name = ? "
        "ORDER BY version_major, version_minor",
        [name],
    ).fetchall()
    wanted = {f"{name}@{version}": atlas_id for version, atlas_id in versions}
    if versions:
        wanted[name] = versions[-1][1]
    drop_schemas(connection, [s for s in _atlas_schemas(connection, name) if s not in wanted])
    statements = _atlas_statements(connection)
    for schema, atlas_id in wanted.items():
        connection.execute(f"CREATE SCHEMA IF NOT EXISTS {quoted(schema)}")
        connection.execute(statements.substitute(schema=quoted(schema), atlas_id=int(atlas_id)))


def drop_views(connection: duckdb.DuckDBPyConnection) -> None:
    """Drop all that `create_views` made, so that tables can be altered."""
    if has_atlases(connection):
        names = connection.execute("SELECT DISTINCT name FROM main.atlas").fetchall()
        for (name,) in names:
            drop_schemas(connection, _atlas_schemas(connection, name))
    drop_schemas(connection, _existing(connection, [ALL, CELLS]))
    for name, kind in _macros(connection):
        connection.execute(f"DROP {kind} main.{quoted(name)}")


def _existing(connection: duckdb.DuckDBPyConnection, schemas: list[str]) -> list[str]:
    """Return those schemas that are there."""
    rows = connection.execute(
        "SELECT schema_name FROM duckdb_schemas() WHERE database_name = current_database()"
    ).fetchall()
    there = {schema for (schema,) in rows}
    return [schema for schema in schemas if schema in there]


def drop_schemas(connection: duckdb.DuckDBPyConnection, schemas: Iterable[str]) -> None:
    """Drop schemas of views."""
    for schema in schemas:
        connection.execute(f"DROP SCHEMA {quoted(schema)} CASCADE")


def has_atlases(connection: duckdb.DuckDBPyConnection) -> bool:
    """Whether the table of atlases exists (it does not before the first migration)."""
    rows = connection.execute(
        "SELECT 1 FROM duckdb_tables() WHERE database_name = current_database() "
        "AND schema_name = 'main' AND table_name = 'atlas'"
    ).fetchall()
    return bool(rows)


def _text(name: str) -> str:
    """Return a file of ``queries/schema``, the guard filled in."""
    folder = bundled("queries") / "schema"
    guard = (folder / "guard.sql").read_text("utf-8")
    return (
        (folder / f"{name}.sql").read_text("utf-8").replace("${guard}", guard[guard.index("(\n") :])
    )


def _our_macros() -> list[Query]:
    """Return the macros that the files make, with their comments."""
    return [macro for file in _MACROS for macro in parse_queries(file, _text(file))]


def _macros(connection: duckdb.DuckDBPyConnection) -> list[tuple[str, str]]:
    """Return those of our macros that are there, and what each is called in DDL."""
    ours = [macro.name for macro in _our_macros()]
    found = connection.execute(
        "SELECT DISTINCT function_name, function_type FROM duckdb_functions() "
        "WHERE database_name = current_database() AND schema_name = 'main' AND NOT internal "
        "AND function_name IN (SELECT unnest($ours)) ORDER BY ALL",
        {"ours": ours},
    ).fetchall()
    return [(name, "MACRO TABLE" if kind == "table_macro" else "MACRO") for name, kind in found]


def _comment_macros(connection: duckdb.DuckDBPyConnection) -> None:
    """Store each macro's comment with it."""
    kinds = dict(_macros(connection))
    for macro in _our_macros():
        connection.execute(
            f"COMMENT ON {kinds[macro.name]} main.{quoted(macro.name)} "
            f"IS {text_literal(macro.description)}"
        )


def _comment_columns(connection: duckdb.DuckDBPyConnection) -> None:
    """Give the columns of the views over all atlases the comments of the tables' columns."""
    known = connection.execute(
        "SELECT table_name, column_name, comment FROM duckdb_columns() "
        "WHERE database_name = current_database() AND schema_name = 'main' "
        "AND comment IS NOT NULL ORDER BY table_name = 'structure', table_name"
    ).fetchall()
    by_column = {(table, column): comment for table, column, comment in known}
    anywhere = {column: comment for _, column, comment in known}
    given: dict[str, str] = {}
    for view, column, comment in _columns(connection):
        if comment is not None:
            given[column] = comment
            continue
        own = by_column.get((_TABLES.get(view, view), column))
        found = own or given.get(column) or anywhere[column]
        connection.execute(
            f"COMMENT ON COLUMN {ALL}.{quoted(view)}.{quoted(column)} IS {text_literal(found)}"
        )


def _columns(connection: duckdb.DuckDBPyConnection) -> list[tuple[str, str, str | None]]:
    """Return the columns of the views over all atlases, those with comments first."""
    return connection.execute(
        "SELECT table_name, column_name, comment FROM duckdb_columns() "
        "WHERE database_name = current_database() AND schema_name = $schema "
        "ORDER BY comment IS NULL, table_name, column_index",
        {"schema": ALL},
    ).fetchall()


def _atlas_statements(connection: duckdb.DuckDBPyConnection) -> Template:
    """Return the statements that make the views of one atlas, comments and all."""
    view_template = Template(_text("atlas"))
    views = connection.execute(
        "SELECT view_name, comment FROM duckdb_views() "
        "WHERE database_name = current_database() AND schema_name = $schema ORDER BY view_name",
        {"schema": ALL},
    ).fetchall()
    statements = []
    for view, comment in views:
        statements += [
            view_template.safe_substitute(view=quoted(view)),
            f"COMMENT ON VIEW ${{schema}}.{quoted(view)} IS {_escaped(comment)};",
        ]
    statements += [
        f"COMMENT ON COLUMN ${{schema}}.{quoted(view)}.{quoted(column)} IS {_escaped(comment)};"
        for view, column, comment in _columns(connection)
        if column not in {"atlas", "atlas_id"} and comment is not None
    ]
    return Template("\n".join(statements))


def _escaped(comment: str) -> str:
    """Return a comment as a literal in a template."""
    return text_literal(comment).replace("$", "$$")


def _atlas_schemas(connection: duckdb.DuckDBPyConnection, name: str) -> list[str]:
    """Return the schemas of an atlas: NAME, and NAME@VERSION of every version."""
    rows = connection.execute(
        "SELECT schema_name FROM duckdb_schemas() WHERE database_name = current_database() "
        "AND (schema_name = $name OR starts_with(schema_name, $name || '@'))",
        {"name": name},
    ).fetchall()
    return [schema for (schema,) in rows]
