"""Migrations: from any schema to any other, by Alembic, on a copy of the home's database.

The one idea: whoever starts a migration (a new home, ``atlasdb db upgrade``, or plain ``alembic``
in a checkout) goes the same way: views and macros away, revisions, views and macros back, all in
one transaction on a draft that replaces the database only if the revision changed.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

import duckdb
from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from atlasdb.database import (
    blob_folders,
    draft_engine,
    head,
    no_other_writer,
    reading_engine,
    schema_revision,
    writing_error,
)
from atlasdb.queries import bundled
from atlasdb.views import create_views, drop_views

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from sqlalchemy import Connection, Engine

    from atlasdb.home import Home


_ALEMBIC = threading.Lock()
"""Alembic's `context` is one for the whole process: threads migrate one after the other."""


def upgrade_file(path: Path) -> None:
    """Bring a database file (a new one, as a rule) to the newest schema."""
    with _connected(path) as connection:
        _alembic(connection, command.upgrade, "head")


def upgrade(home: Home, revision: str = "head") -> tuple[str | None, str | None]:
    """Bring a home to the newest schema, or to `revision`.

    Returns
    -------
    before, after
        The revisions; equal where nothing had to be done.
    """
    with migrating(home) as (connection, before):
        _alembic(connection, command.upgrade, revision)
        return before, schema_revision(raw_connection(connection))


def downgrade(home: Home, revision: str) -> None:
    """Bring a home back to an older schema ('base' for none at all)."""
    with migrating(home) as (connection, _):
        _alembic(connection, command.downgrade, revision)


@contextmanager
def migrating(home: Home) -> Iterator[tuple[Connection, str | None]]:
    """Open a draft of the home's database for Alembic; publish it if the revision changed.

    Yields
    ------
    connection, revision
        A SQLAlchemy connection to the draft, and the revision that it begins with.
    """
    with no_other_writer(home) as guard, home.draft() as draft:
        guard()
        try:
            with _connected(draft.path) as connection:
                raw = raw_connection(connection)
                before = schema_revision(raw)
                yield connection, before
                after = schema_revision(raw)
                draft.discard = before == after
                if after is not None and not draft.discard:
                    draft.blob_folders = blob_folders(raw)
        except duckdb.Error as error:
            raise writing_error(home, error) from error


@contextmanager
def looking(home: Home) -> Iterator[Connection]:
    """Open a home's database for Alembic's commands that change nothing; none is an empty one."""
    engine = reading_engine(home, any_schema=True) if home.has_database() else _empty_engine()
    with engine.connect() as connection:
        yield connection


def _empty_engine() -> Engine:
    """Return an engine on an empty database in memory."""
    return create_engine("duckdb:///:memory:", poolclass=NullPool)


def rebuild_views(connection: Connection) -> None:
    """Make the views and macros again, if the schema is the newest (called by ``env.py``)."""
    raw = raw_connection(connection)
    if schema_revision(raw) == head():
        create_views(raw)


def remove_views(connection: Connection) -> None:
    """Drop the views and macros, so that tables can be altered (called by ``env.py``)."""
    drop_views(raw_connection(connection))


def raw_connection(connection: Connection) -> duckdb.DuckDBPyConnection:
    """Return the DuckDB connection, or what passes for one, below a SQLAlchemy connection."""
    return cast("duckdb.DuckDBPyConnection", connection.connection.driver_connection)


@contextmanager
def _connected(path: Path) -> Iterator[Connection]:
    """Open a database file by SQLAlchemy, and let go of it entirely in the end."""
    engine = draft_engine(path)
    try:
        with engine.connect() as connection:
            yield connection
    except DBAPIError as error:
        if isinstance(error.orig, duckdb.Error):
            raise error.orig from error
        raise
    finally:
        engine.dispose()


def _alembic(connection: Connection, run: Callable[..., Any], revision: str) -> None:
    """Run one of Alembic's commands on an open connection."""
    config = Config()
    config.set_main_option("script_location", str(bundled("migrations")).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    with _ALEMBIC:
        run(config, revision)
