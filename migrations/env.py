"""Alembic's environment: on the connection it is given, else on the home ``ATLASDB_HOME`` names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alembic import context
from alembic.util import CommandError

from atlasdb.database import revisions
from atlasdb.errors import AtlasDBError
from atlasdb.home import Home
from atlasdb.migrate import looking, migrating, rebuild_views, remove_views
from atlasdb.models import Base

if TYPE_CHECKING:
    from collections.abc import Iterable

    from alembic.migration import MigrationContext
    from alembic.operations.ops import MigrationScript
    from sqlalchemy import Connection

CHANGING = {"upgrade", "downgrade", "stamp"}


def number(
    _context: MigrationContext,
    _revision: str | Iterable[str | None] | Iterable[str],
    directives: list[MigrationScript],
) -> None:
    """Give a new revision the next number, by which readers tell older from newer."""
    for directive in directives:
        directive.rev_id = f"{int(max(revisions(), default='0')) + 1:04}"


def run(connection: Connection) -> None:
    """Drop the views, run the revisions and make the views again, in one transaction."""
    context.configure(
        connection=connection, target_metadata=Base.metadata, process_revision_directives=number
    )
    with context.begin_transaction():
        remove_views(connection)
        context.run_migrations()
        rebuild_views(connection)


def look(connection: Connection) -> None:
    """Run a command that changes nothing, on a connection that cannot."""
    context.configure(
        connection=connection, target_metadata=Base.metadata, process_revision_directives=number
    )
    context.run_migrations()


def run_offline() -> None:
    """Print the statements (``--sql``)."""
    context.configure(dialect_name="duckdb", target_metadata=Base.metadata, literal_binds=True)
    with context.begin_transaction():
        context.run_migrations()


def command() -> str:
    """Return the name of the command that runs."""
    words = getattr(context.config.cmd_opts, "cmd", None)
    return words[0].__name__ if words else ""


given = context.config.attributes.get("connection")
if context.is_offline_mode():
    run_offline()
elif given is not None:
    run(given)
else:
    try:
        if command() in CHANGING:
            with migrating(Home.resolve()) as (opened, _):
                run(opened)
        else:
            with looking(Home.resolve()) as opened:
                look(opened)
    except AtlasDBError as error:
        raise CommandError(str(error)) from error
