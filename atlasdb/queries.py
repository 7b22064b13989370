"""SQL that lives in files: where the files are, and the views and macros made from them.

The one idea: fixed SQL is read, named and commented in ``queries/``; nothing but a quoted schema
name and an integer is ever filled into it. Views and macros are no part of the migrations: they
are dropped before a migration and made again after it.
"""

from __future__ import annotations

import re
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    import duckdb

_PACKAGE = Path(__file__).parent


def bundled(name: str) -> Path:
    """Return the folder `name` ('queries' or 'migrations'), in the wheel or in the checkout."""
    inside = _PACKAGE / "_bundled" / name
    return inside if inside.is_dir() else _PACKAGE.parent / name


def quoted(identifier: str) -> str:
    """Return an SQL identifier in quotes.

    Examples
    --------
    >>> quoted('a"b')
    '"a""b"'
    """
    return '"' + identifier.replace('"', '""') + '"'


def text_literal(value: str | Path) -> str:
    """Return an SQL text in quotes, for the statements that take no parameters (ATTACH).

    Examples
    --------
    >>> text_literal("it's")
    "'it''s'"
    """
    return "'" + str(value).replace("'", "''") + "'"


def load(topic: str, name: str) -> str:
    """Return the statement called `name` of the file ``queries/TOPIC.sql``.

    Examples
    --------
    >>> load("catalog", "findings").split()[0]
    'SELECT'
    """
    text = (bundled("queries") / f"{topic}.sql").read_text("utf-8")
    statements = re.split(r"^-- name: (\w+)\n(?:-- .*\n)*", text, flags=re.MULTILINE)
    return dict(zip(statements[1::2], statements[2::2], strict=True))[name].strip()


def create_views(connection: duckdb.DuckDBPyConnection) -> None:
    """Make the macros and the views of all atlases, in the caller's transaction."""
    connection.execute((bundled("queries") / "schema" / "main.sql").read_text("utf-8"))
    names = connection.execute("SELECT DISTINCT name FROM main.atlas ORDER BY name").fetchall()
    for (name,) in names:
        create_atlas_views(connection, name)


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
    template = Template((bundled("queries") / "schema" / "atlas.sql").read_text("utf-8"))
    for schema, atlas_id in wanted.items():
        connection.execute(f"CREATE SCHEMA IF NOT EXISTS {quoted(schema)}")
        connection.execute(template.substitute(schema=quoted(schema), atlas_id=int(atlas_id)))


def drop_views(connection: duckdb.DuckDBPyConnection) -> None:
    """Drop all that `create_views` made, so that tables can be altered."""
    if has_atlases(connection):
        names = connection.execute("SELECT DISTINCT name FROM main.atlas").fetchall()
        for (name,) in names:
            drop_schemas(connection, _atlas_schemas(connection, name))
    for macro in _named((bundled("queries") / "schema" / "main.sql").read_text("utf-8")):
        connection.execute(f"DROP MACRO IF EXISTS main.{quoted(macro)}")


def drop_schemas(connection: duckdb.DuckDBPyConnection, schemas: Iterable[str]) -> None:
    """Drop schemas of views."""
    for schema in schemas:
        connection.execute(f"DROP SCHEMA {quoted(schema)} CASCADE")


def _named(sql: str) -> list[str]:
    """Return what the ``-- name:`` lines of a file name."""
    return re.findall(r"^-- name: (\w+)$", sql, re.MULTILINE)


def _atlas_schemas(connection: duckdb.DuckDBPyConnection, name: str) -> list[str]:
    """Return the schemas of an atlas: NAME, and NAME@VERSION of every version."""
    rows = connection.execute(
        "SELECT schema_name FROM duckdb_schemas() WHERE database_name = current_database() "
        "AND (schema_name = $name OR starts_with(schema_name, $name || '@'))",
        {"name": name},
    ).fetchall()
    return [schema for (schema,) in rows]


def has_atlases(connection: duckdb.DuckDBPyConnection) -> bool:
    """Whether the table of atlases exists (it does not before the first migration)."""
    rows = connection.execute(
        "SELECT 1 FROM duckdb_tables() WHERE database_name = current_database() "
        "AND schema_name = 'main' AND table_name = 'atlas'"
    ).fetchall()
    return bool(rows)
