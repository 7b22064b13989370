"""Named SQL: the statements of ``queries/``, each with its comment and its parameters.

The one idea: fixed SQL lives in files, where anybody can read and copy it. A statement begins with
``-- name: NAME``; the comment lines that follow explain it, and those that begin with ``$`` declare
its parameters, as in ``-- $limit integer = 10: how many rows``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast, get_args

from atlasdb.errors import QueryError, UnknownQueryError, did_you_mean, listing

Kind = Literal["atlas", "structure", "structures", "integer", "number", "text", "points", "cells"]
"""What a parameter can be: 'structures' is a list, 'points' a table's name or a file's path,
'cells' a registered table, which says its atlas itself."""

_STATEMENT = re.compile(r"^-- name: (\w+)\n((?:--.*\n)*)", re.MULTILINE)
_PARAMETER = re.compile(r"\$(\w+) (\w+)(?: = (.*?))?: (.*)")
_TOUR = "tour"

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


@dataclass(frozen=True)
class Parameter:
    """A parameter of a named query.

    Attributes
    ----------
    name
        Without the ``$``.
    kind
        What it is.
    default
        As text; None if it must be given, empty if it may be left out (NULL).
    description
        A phrase.
    """

    name: str
    kind: Kind
    default: str | None
    description: str

    @property
    def is_required(self) -> bool:
        """Whether it must be given."""
        return self.default is None

    def parse(self, text: str) -> str | int | float:
        """Return the value that a text spells, for the kinds that need no database.

        Raises
        ------
        QueryError
            It spells no such value.
        """
        try:
            if self.kind == "integer":
                return int(text)
            return float(text) if self.kind == "number" else text
        except ValueError as error:
            raise QueryError(f"${self.name} is {self.kind}, not {text!r}") from error


@dataclass(frozen=True)
class Query:
    """A named query.

    Attributes
    ----------
    name
        Unique among all topics.
    topic
        The file that it stands in, without ``.sql``.
    description
        Its comment.
    parameters
        In order.
    sql
        One statement, with ``$name`` for parameters.
    """

    name: str
    topic: str
    description: str
    parameters: tuple[Parameter, ...]
    sql: str

    def check_names(self, given: set[str]) -> None:
        """Refuse parameters that the query does not have, and ask for those that are missing.

        Raises
        ------
        QueryError
            The message names them.
        """
        known = [parameter.name for parameter in self.parameters]
        for name in sorted(given.difference(known)):
            takes = f"takes {listing(known, limit=9)}" if known else "takes none"
            raise QueryError(
                f"query {self.name} has no parameter {name!r}{did_you_mean(name, known)}; "
                f"it {takes}"
            )
        missing = [p for p in self.parameters if p.is_required and p.name not in given]
        if missing:
            wanted = "; ".join(f"{p.name} ({p.kind}: {p.description})" for p in missing)
            raise QueryError(f"query {self.name} needs {wanted}")


def parse_queries(topic: str, text: str) -> list[Query]:
    r"""Return the named statements of a file's text.

    Examples
    --------
    >>> text = "-- name: n\n-- Rows.\n-- $limit integer = 3: how many\nFROM t"
    >>> (query,) = parse_queries("demo", text)
    >>> query.description, query.parameters[0].kind, query.parameters[0].default, query.sql
    ('Rows.', 'integer', '3', 'FROM t')
    """
    starts = list(_STATEMENT.finditer(text))
    ends = [start.start() for start in starts[1:]] + [len(text)]
    found = []
    for start, end in zip(starts, ends, strict=True):
        lines = [line.removeprefix("--").strip() for line in start[2].splitlines()]
        declared = [line for line in lines if line.startswith("$")]
        found.append(
            Query(
                name=start[1],
                topic=topic,
                description=" ".join(line for line in lines if not line.startswith("$")),
                parameters=tuple(map(_parameter, declared)),
                sql=text[start.end() : end].strip().rstrip(";"),
            )
        )
    return found


def _parameter(line: str) -> Parameter:
    """Return the parameter that a comment line declares."""
    match = _PARAMETER.fullmatch(line)
    if match is None or match[2] not in get_args(Kind):
        raise ValueError(f"{line!r} declares no parameter")
    default = None if match[3] is None else match[3].removeprefix("NULL")
    return Parameter(match[1], cast("Kind", match[2]), default, match[4])


def queries() -> list[Query]:
    """Return all named queries, by topic and then as their files order them."""
    files = sorted(bundled("queries").glob("*.sql"))
    return [
        query
        for file in files
        if file.stem != _TOUR
        for query in parse_queries(file.stem, file.read_text("utf-8"))
    ]


def find_query(name: str) -> Query:
    """Return a named query.

    Raises
    ------
    UnknownQueryError
        There is none of this name; near names are suggested.
    """
    known = {query.name: query for query in queries()}
    if name not in known:
        raise UnknownQueryError(
            f"no query {name!r}{did_you_mean(name, known)}; `atlasdb query` lists all"
        )
    return known[name]


def load(topic: str, name: str) -> str:
    """Return the statement called `name` of the file ``queries/TOPIC.sql``.

    Examples
    --------
    >>> load("catalog", "atlases").split()[0]
    'SELECT'
    """
    text = (bundled("queries") / f"{topic}.sql").read_text("utf-8")
    return {query.name: query.sql for query in parse_queries(topic, text)}[name]
