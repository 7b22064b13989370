"""What a caller's SQL may be: statements that read.

The one idea: DuckDB's own parser says what a text is before any of it runs, and only what is known
to be harmless runs. Opening the database read-only is not enough: ``COPY … TO``, ``ATTACH``,
settings and even functions (``enable_logging``) make files of their own.
"""

from __future__ import annotations

import json
import re
from contextlib import AbstractContextManager, contextmanager, nullcontext
from itertools import pairwise
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import duckdb

from atlasdb.errors import QueryError, one_line
from atlasdb.queries import text_literal

if TYPE_CHECKING:
    from collections.abc import Iterator

TIMEOUT_S = 30.0
"""How long a stranger's query may take by default."""

_READING = frozenset({"SELECT", "EXPLAIN", "SET", "VARIABLE_SET", "TRANSACTION"})
_TEMPORARY = frozenset(
    {"ALTER", "CREATE", "CREATE_FUNC", "DELETE", "DROP", "INSERT", "MERGE_INTO", "UPDATE"}
)
"""Statements that the atlas, which is attached read-only, refuses: what they make is in memory."""

_NAMES = {
    "LOAD": "INSTALL or LOAD (what DuckDB itself has installed is loaded when needed)",
    "CALL": "CALL or CHECKPOINT",
    "???": "this statement",
}
"""Kinds of statements that DuckDB names otherwise than SQL does."""

_SETTINGS = (
    "default_null_order",
    "default_order",
    "enable_progress_bar",
    "integer_division",
    "memory_limit",
    "preserve_insertion_order",
    "threads",
    "timezone",
)
"""What SET may change (and ``schema``, ``search_path``, variables): none of it names a file."""

_WRITING_FUNCTIONS = frozenset({"enable_logging", "enable_profiling"})
_EVALUATING_FUNCTIONS = frozenset({"json_execute_serialized_sql", "query"})

_EXPLAIN = re.compile(
    r"(?:\s|--[^\n]*\n|/\*.*?\*/)*EXPLAIN\b(?:\s+ANALYZE\b)?", re.IGNORECASE | re.DOTALL
)
_OPTIONS = re.compile(r"\s*\([^()]*\)")

_TABLE_FUNCTIONS = frozenset(
    {
        "duckdb_columns",
        "duckdb_constraints",
        "duckdb_functions",
        "duckdb_keywords",
        "duckdb_schemas",
        "duckdb_tables",
        "duckdb_types",
        "duckdb_views",
        "generate_series",
        "json_each",
        "json_tree",
        "pragma_table_info",
        "range",
        "repeat",
        "unnest",
    }
)
"""DuckDB's own that a stranger may call, beside the database's macros: they read no file."""


@contextmanager
def only_reading(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Let a connection write nothing but what large queries put aside, and that out of the way.

    Extensions are not installed, secrets not stored, Python's variables not found as tables.
    """
    aside: AbstractContextManager[str]
    try:
        aside = TemporaryDirectory(prefix="atlasdb-", ignore_cleanup_errors=True)
    except OSError:  # a machine on which nothing can be written
        aside = nullcontext("")
    with aside as folder:
        connection.execute(f"SET temp_directory = {text_literal(folder)}")
        connection.execute("SET autoinstall_known_extensions = false")
        connection.execute("SET allow_persistent_secrets = false")
        connection.execute("SET python_enable_replacements = false")
        connection.execute(f"SET allowed_configs = {list(_SETTINGS)}")
        connection.execute("SET lock_configuration = true")
        yield


def refuse_writing(connection: duckdb.DuckDBPyConnection, query: str) -> None:
    """Refuse a text with a statement that may write a file.

    Parameters
    ----------
    connection
        Any.
    query
        Statements, separated by semicolons.

    Raises
    ------
    QueryError
        It holds another statement, or a function that writes; or it is no SQL.
    """
    _refuse_unreadable(query)
    names = _called(query)
    for name in sorted(names & _WRITING_FUNCTIONS):
        raise QueryError(f"{name} is refused: it may write files, and SQL only reads here")
    for name in sorted(names & _EVALUATING_FUNCTIONS):
        raise QueryError(
            f"{name}() is refused: what it runs cannot be told beforehand, and SQL only reads here"
        )
    if "import" in query.lower():
        _refuse_import(query)
    kinds = [statement.type.name for statement in connection.extract_statements(query)]
    for kind in kinds:
        _refuse_kind(kind)
    if "EXPLAIN" in kinds:  # EXPLAIN ANALYZE runs what it explains
        if len(kinds) > 1:
            raise QueryError("EXPLAIN is a query of its own here: give it alone")
        _refuse_kind(_explained(connection, query))


def _refuse_import(query: str) -> None:
    """Refuse IMPORT DATABASE, whose files are read by parsing it, and whose content it then is."""
    with duckdb.connect(config={"enable_external_access": "false"}) as parser:
        try:
            parser.extract_statements(query)
        except duckdb.PermissionException as error:
            raise QueryError("IMPORT is refused: SQL only reads here") from error


def _refuse_unreadable(query: str) -> None:
    """Refuse what DuckDB would read up to its first NUL only, and what is no UTF-8."""
    query.encode()
    if "\0" in query:
        raise QueryError("the query holds a NUL, which no SQL does")


def _refuse_kind(kind: str) -> None:
    """Refuse a kind of statement that may write files."""
    if kind not in _READING | _TEMPORARY:
        raise QueryError(
            f"{_NAMES.get(kind, kind)} is refused: SQL only reads here; `atlasdb sql -o FILE` "
            "writes what a SELECT gives"
        )


def _explained(connection: duckdb.DuckDBPyConnection, query: str) -> str:
    """Return the kind of the statement that a query which begins with EXPLAIN explains."""
    start = _EXPLAIN.match(query)
    rest = query[start.end() :] if start else ""
    options = _OPTIONS.match(rest)
    for candidate in (rest, rest[options.end() :] if options else ""):
        try:
            found = connection.extract_statements(candidate)
        except duckdb.Error:
            continue
        if found:
            return found[-1].type.name
    raise QueryError("what this EXPLAIN explains cannot be told: write EXPLAIN ANALYZE SELECT …")


def _called(query: str) -> frozenset[str]:
    """Return the words that stand before a parenthesis, in lower case.

    Those of a comment there are among them, and those that no space of ASCII parts from a name.
    """
    text = query.encode().lower()
    tokens = [start for start, _ in duckdb.tokenize(query)]
    return frozenset(
        word.decode()
        for start, end in pairwise(tokens)
        if text[end : end + 1] == b"("
        for word in re.findall(rb"\w+", text[start:end])
    )


def refuse_strange(connection: duckdb.DuckDBPyConnection, query: str) -> None:
    """Refuse what a stranger's SQL has no business with: all but one SELECT on the home's tables.

    Parameters
    ----------
    connection
        A reading one.
    query
        The text.

    Raises
    ------
    QueryError
        It is another statement, or several; or it names a file or a function that reads files,
        settings or SQL texts.
    """
    _refuse_unreadable(query)
    found = json.loads(_first(connection, "SELECT json_serialize_sql($query)", {"query": query}))
    if found["error"] and found["error_type"] == "parser":
        raise QueryError(one_line(f"Parser Error: {found['error_message']}"))
    if found["error"] or len(found["statements"]) > 1:
        raise QueryError(
            "with --untrusted, SQL is one SELECT (a PIVOT names its values: ON … IN (…)), "
            "and nothing else"
        )
    if not found["statements"]:
        raise QueryError("the query holds no statement")
    tables = {
        (where.lower(), name.lower())
        for catalog, schema, name in connection.execute(
            "SELECT database_name, schema_name, table_name FROM duckdb_tables() UNION ALL "
            "SELECT database_name, schema_name, view_name FROM duckdb_views()"
        ).fetchall()
        for where in (schema, catalog)
    }
    macros = connection.execute(
        "SELECT DISTINCT function_name FROM duckdb_functions() "
        "WHERE database_name = 'atlas' AND function_type = 'table_macro'"
    ).fetchall()
    functions = _TABLE_FUNCTIONS.union(name for (name,) in macros)
    for node in _nodes(found["statements"]):
        if node.get("type") == "TABLE_FUNCTION":
            name = str(node["function"]["function_name"])
            if name.lower() not in functions:
                raise QueryError(f"the table function {name:.80} is refused with --untrusted")
        if node.get("type") == "BASE_TABLE":
            _refuse_file(node, tables)


def _refuse_file(node: dict[str, Any], tables: set[tuple[str, str]]) -> None:
    """Refuse the name of a table that DuckDB would take for a file's."""
    schema, name = str(node["schema_name"]), str(node["table_name"])
    # Without a schema it may be a CTE's; a file's has an ending.
    is_known = (schema.lower(), name.lower()) in tables if schema else "." not in name
    if not is_known:
        shown = ".".join(part for part in (schema, name) if part)
        raise QueryError(
            f"{shown:.80} is no table of this home; with --untrusted, SQL reads no files"
        )


def _first(connection: duckdb.DuckDBPyConnection, sql: str, values: dict[str, str]) -> str:
    """Return the one value that a statement gives."""
    return str(connection.execute(sql, values).fetchall()[0][0])


def _nodes(tree: Any) -> Iterator[dict[str, Any]]:  # noqa: ANN401 (JSON)
    """Yield every object in a parsed JSON text, however deep."""
    todo = [tree]
    while todo:
        node = todo.pop()
        if isinstance(node, dict):
            yield node
            todo.extend(node.values())
        elif isinstance(node, list):
            todo.extend(node)
