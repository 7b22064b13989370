"""Sessions of the ORM: reading ones, and writing ones that change the home whole or not at all.

The one idea: a session can be scoped to one atlas version, and then every query for a model finds
that atlas's rows only, so that an acronym is unique again in a home that holds many atlases.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy import event, func, select, text
from sqlalchemy.exc import DBAPIError, PendingRollbackError
from sqlalchemy.orm import ORMExecuteState, Session, with_loader_criteria

from atlasdb.database import (
    blob_folders,
    check_schema,
    draft_engine,
    drafting,
    find_atlas,
    find_structure,
    open_draft,
    reading,
    reading_engine,
)
from atlasdb.errors import AtlasDBError, UnknownDepthError, UnknownStructureError, WriteError
from atlasdb.models import Base, Ragged, Structure
from atlasdb.names import AtlasName
from atlasdb.queries import bundled, parse_queries
from atlasdb.views import cell_tables, create_atlas_views, create_views

if TYPE_CHECKING:
    from collections.abc import Iterator

    import duckdb

    from atlasdb.home import Home


class AtlasSession(Session):
    """A SQLAlchemy session on a home, scoped to one atlas version if one was named.

    Attributes
    ----------
    atlas
        The full name of the atlas that it is scoped to, None for all.
    """

    atlas: AtlasName | None = None

    def scope_to(self, atlas: str) -> None:
        """Let every query for a model of `atlasdb.models` find one atlas's rows only.

        Plain tables (``annotation_run``, ``Model.__table__``) and texts are not scoped.

        Raises
        ------
        UnknownAtlasError
            The atlas is not there.
        """
        atlas_id, self.atlas = find_atlas(self.raw_connection(), atlas)

        # A function of the class, and not a plain expression, reaches aliases too.
        criteria = [
            with_loader_criteria(
                mapper.class_,
                lambda model: model.atlas_id == atlas_id,
                include_aliases=True,
                propagate_to_loaders=False,  # relationships join on the atlas themselves
            )
            for mapper in Base.registry.mappers
        ]

        def scope(state: ORMExecuteState) -> None:
            joins_itself = state.is_relationship_load or state.is_column_load
            if (state.is_select and not joins_itself) or state.is_update or state.is_delete:
                state.statement = state.statement.options(*criteria)
            if state.is_insert or state.is_update:
                given: Any = state.parameters or ()
                for row in [given] if isinstance(given, dict) else given:
                    self._refuse_other(row.get("atlas_id"), atlas_id)

        def guard(_session: Session, _context: object, _instances: object) -> None:
            for row in (*self.new, *self.dirty, *self.deleted):
                self._refuse_other(getattr(row, "atlas_id", None), atlas_id)

        event.listen(self, "do_orm_execute", scope)
        event.listen(self, "before_flush", guard)

    def structure(self, structure: str | int) -> Structure:
        """Return a structure of the session's atlas by its acronym or its id.

        Parameters
        ----------
        structure
            An acronym, exactly as the atlas writes it, or an id.

        Raises
        ------
        UnknownStructureError
            There is none; near acronyms are suggested.
        AmbiguousAcronymError
            Several structures have this acronym; their ids are listed.
        """
        if self.new or self.dirty or self.deleted:
            self.flush()  # the lookup does not go by the session
        structure_id = find_structure(self.raw_connection(), self._scope(), structure)
        return self.scalars(select(Structure).where(Structure.structure_id == structure_id)).one()

    def structures_at_depth(
        self, depth: int, *, under: str | int | Structure | None = None, ragged: Ragged = "omit"
    ) -> list[Structure]:
        """Return the structures at a depth of the session's atlas, depth-first.

        Parameters
        ----------
        depth
            Steps from the root.
        under
            A structure within which; the whole atlas by default.
        ragged
            'leaf' takes in the leaves of branches that end above the depth, 'omit' does not.

        Raises
        ------
        UnknownDepthError
            The atlas is not so deep.
        UnknownStructureError
            There is no such structure.
        """
        self._scope()
        deepest = self.scalar(select(func.max(Structure.depth)))
        found = select(Structure).where(Structure.at_depth(depth, ragged)).order_by(Structure.rank)
        if deepest is None or depth > deepest:
            raise UnknownDepthError(
                f"no depth {depth} in {self.atlas}: the root has 0, the deepest structures "
                f"{deepest}"
            )
        if under is not None:
            top = under if isinstance(under, Structure) else self.structure(under)
            if self.get(Structure, (top.atlas_id, top.structure_id)) is None:
                raise UnknownStructureError(f"{top} is no structure of {self.atlas}")
            found = found.where(Structure.rank.between(top.rank, top.last_rank))
        return list(self.scalars(found))

    def _refuse_other(self, given: int | None, own: int) -> None:
        """Refuse to write a row of another atlas than the session's."""
        if given is not None and given != own:
            raise WriteError(
                f"the session is scoped to {self.atlas} (atlas_id {own}): a row of atlas_id "
                f"{given} is not its to write"
            )

    def _scope(self) -> AtlasName:
        """Return the session's atlas, or ask for one."""
        if self.atlas is None:
            raise AtlasDBError("the session sees all atlases: name one, db.session(atlas=…)")
        return self.atlas

    def raw_connection(self) -> duckdb.DuckDBPyConnection:
        """Return the DuckDB connection below."""
        raw: Any = self.connection().connection.driver_connection
        return raw  # type: ignore[no-any-return]


@contextmanager
def reading_session(home: Home, *, atlas: str | None = None) -> Iterator[AtlasSession]:
    """Open a session that reads the home as it is now."""
    with AtlasSession(reading_engine(home)) as session:
        if atlas is not None:
            session.scope_to(atlas)
        yield session


@contextmanager
def writing_session(home: Home, *, atlas: str | None = None) -> Iterator[AtlasSession]:
    """Open a session whose changes the home takes over when the block ends without error.

    It works on a draft: readers see all of it or nothing, and ``commit()`` within the block keeps
    changes in the draft only. Before the draft is taken over, its rows are checked against each
    other.

    Raises
    ------
    WriteError
        A statement fails, or the rows contradict each other; nothing is changed.
    HomeNotFoundError
        There is no database: an ingest makes one, a session does not.
    HomeBusyError
        Another process writes the home, or another program its database.
    """
    with reading(home):
        pass
    with drafting(home) as draft:
        with open_draft(draft.path) as connection:
            names, files = _names(connection), _files(connection)
        engine = draft_engine(draft.path)
        closed = False

        def refuse(*_: object) -> None:
            if closed:
                raise WriteError("the writing session has ended: open another one")

        event.listen(engine, "do_connect", refuse)
        try:
            with AtlasSession(engine, expire_on_commit=False) as session:
                if atlas is not None:
                    session.scope_to(atlas)
                yield session
                session.flush()
                session.execute(text("SELECT 1"))  # an aborted transaction would commit nothing
                session.commit()
        except DBAPIError as error:
            raise WriteError(f"{str(error.orig).splitlines()[0]}; nothing was changed") from error
        except PendingRollbackError as error:
            raise WriteError(
                "a statement of the session failed and was not rolled back; nothing was changed"
            ) from error
        finally:
            closed = True
            engine.dispose()
        with open_draft(draft.path) as connection:
            check_schema(connection, home)
            check_rows(connection)
            _check_files(home, _files(connection) - files)
            connection.execute("BEGIN TRANSACTION")
            for name in sorted(names - _names(connection)):
                create_atlas_views(connection, name)
            create_views(connection)
            _mark_outdated(home, connection)
            draft.blob_folders = blob_folders(connection)
            connection.execute("COMMIT")
            connection.execute("CHECKPOINT")


def _mark_outdated(home: Home, connection: duckdb.DuckDBPyConnection) -> None:
    """Let no table of cells go on with structures that its atlas no longer has."""
    tables = cell_tables(connection)
    if tables:
        from atlasdb.cells.registering import mark_outdated  # it opens atlases, as few sessions do

        for atlas_id, atlas in sorted({(table.atlas_id, table.atlas) for table in tables}):
            mark_outdated(home, connection, atlas_id, AtlasName.parse(atlas))


def _check_files(home: Home, paths: set[str]) -> None:
    """Refuse rows that name files which are not there: the sweep would take those that are."""
    for path in sorted(paths):
        if not (home.folder / path).is_file():
            raise WriteError(f"there is no file {path} in the home; nothing was changed")


def _names(connection: duckdb.DuckDBPyConnection) -> set[str]:
    """Return the names of the atlases, whose schemas of views bear them."""
    return {name for (name,) in connection.execute("SELECT name FROM main.atlas").fetchall()}


def _files(connection: duckdb.DuckDBPyConnection) -> set[str]:
    """Return the files that the rows name, relative to the home."""
    rows = connection.execute(
        "SELECT path FROM main.volume UNION ALL SELECT path FROM main.mesh"
    ).fetchall()
    return {path for (path,) in rows}


def check_rows(connection: duckdb.DuckDBPyConnection) -> None:
    """Refuse rows that contradict each other, as ``queries/schema/integrity.sql`` finds them.

    Raises
    ------
    WriteError
        The message names the first rule that is broken, and by how many rows.
    """
    rules = (bundled("queries") / "schema" / "integrity.sql").read_text("utf-8")
    for rule in parse_queries("integrity", rules):
        broken, example = connection.execute(rule.sql).fetchall()[0]
        if broken:
            raise WriteError(
                f"{rule.description.rstrip('.')}: {broken:,} rows do not hold to it, such as "
                f"{example}; nothing was changed"
            )
