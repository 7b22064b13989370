"""Connections to a home's database: reading ones that block nobody, and the one that writes.

The one idea: a reader opens the file that bears the name now, read-only, and keeps it whole until
it closes; a writer works on a copy (`atlasdb.home`). Readers attach the file to an instance of
DuckDB of their own, since DuckDB would hand a process that still reads the old file the old one
again.
"""

from __future__ import annotations

import logging
import operator
import re
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, SupportsIndex

import duckdb

from atlasdb.errors import (
    AmbiguousAcronymError,
    HomeBusyError,
    HomeError,
    HomeNotFoundError,
    LookupFailedError,
    PackageError,
    SchemaVersionError,
    UnknownAtlasError,
    UnknownCellTableError,
    UnknownDepthError,
    UnknownStructureError,
    did_you_mean,
)
from atlasdb.home import Leases
from atlasdb.names import AtlasName
from atlasdb.queries import bundled, text_literal
from atlasdb.views import CELLS, cell_tables, cell_view, create_cell_views, has_atlases

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from sqlalchemy import Engine

    from atlasdb.home import Draft, Home

_REFUSALS = {
    "no atlas ": UnknownAtlasError,
    "no structure ": UnknownStructureError,
    "acronym ": AmbiguousAcronymError,
    "no depth ": UnknownDepthError,
}
"""How the messages of the macros in ``queries/schema`` begin, and what each means."""

STORAGE: dict[str, Any] = {"storage_compatibility_version": "v1.0.0"}
"""The oldest DuckDB for whose format homes are written, whatever a later one prefers."""

_LOG = logging.getLogger(__name__)

_ID_DIGITS = 18
"""A longer word of digits is read as an acronym: Python converts no number of thousands of them."""

_HOLDER = re.compile(r"Conflicting lock is held in (?P<program>.*?) \(PID (?P<pid>\d+)\)")


@dataclass(frozen=True)
class TypedWord:
    """A structure as somebody typed it: its acronym, its id, ``acronym:…`` or ``id:…``."""

    text: str


@contextmanager
def reading(
    home: Home, *, repairs: bool = True, threads: int | None = None
) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open a home's database for reading, as the default database of a connection.

    The first reader after a writer failed or was killed sweeps what that left, where it can.

    Parameters
    ----------
    home
        The home.
    repairs
        Whether the home may be written to: to sweep it, and, if it was moved, so that other
        programs find its cells.
    threads
        How many DuckDB begins with; by default as many as there are processors.

    Raises
    ------
    HomeNotFoundError
        There is no database in the home.
    HomeBusyError
        Another program has it open for writing; the message names the program.
    SchemaVersionError
        Its schema is older or newer; the message names the command to run.
    """
    if repairs and home.is_interrupted():
        sweep(home)
    with reading_any_schema(home, threads=threads) as connection:
        try:
            check_schema(connection, home)
            if repairs and is_moved(connection, home):
                with suppress(HomeError):  # where it can be written; this connection does without
                    relocate(home, timeout_s=0)
            yield connection
        except (duckdb.IOException, duckdb.FatalException, duckdb.SerializationException) as error:
            raise HomeError(
                f"{home.database} cannot be read: {str(error).splitlines()[0]}; it is damaged, or "
                "the disk is"
            ) from error


@contextmanager
def reading_any_schema(
    home: Home, *, threads: int | None = None
) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open a home's database for reading, whatever its schema."""
    connection = duckdb.connect(config={} if threads is None else {"threads": str(threads)})
    try:
        leases = attach(connection, home)
        yield connection
        del leases
    finally:
        connection.close()


def attach(connection: duckdb.DuckDBPyConnection, home: Home) -> list[Leases]:
    """Attach a home's database read-only under the name ``atlas`` and make it the default.

    Returns
    -------
    list of Leases
        What keeps the files of the tables of cells from being swept; to be held as long as the
        connection is.
    """
    if not home.has_database():
        raise HomeNotFoundError(
            f"there is no atlas database in {home.folder}: run `atlasdb ingest ATLAS` or "
            "`atlasdb demo`, or name another folder with --home or ATLASDB_HOME"
        )
    _LOG.debug("reading %s", home.database)
    try:
        connection.execute(f"ATTACH {text_literal(home.database)} AS atlas (READ_ONLY)")
        connection.execute("USE atlas")
        files = _cell_files(connection)
        _find_moved_cells(connection, home, files)
        return _leases_on(home, files)
    except duckdb.Error as error:
        raise opening_error(home, error) from error


def _find_moved_cells(
    connection: duckdb.DuckDBPyConnection, home: Home, files: Sequence[tuple[str, str]]
) -> None:
    """Let tables of cells be found in a home that was moved or copied.

    Their views name files by absolute paths. Where these are not of this home, views of the same
    names in memory come before them.
    """
    here = home.folder.resolve()
    if all(location == str(here) for _, location in files):
        return
    connection.execute(f"CREATE SCHEMA memory.{CELLS}")
    for table in cell_tables(connection):
        connection.execute(cell_view(table, here, f"memory.{CELLS}"))
    connection.execute(f"SET search_path = 'atlas.main,memory.{CELLS}'")


def _cell_files(connection: duckdb.DuckDBPyConnection) -> list[tuple[str, str]]:
    """Return the file of each registered table, and the home that its view reads."""
    try:  # without parameters: DuckDB would import pandas for one
        return connection.execute("SELECT path, location FROM main.cell_table").fetchall()
    except (duckdb.CatalogException, duckdb.BinderException):  # an older schema, or none
        return []


def cell_paths(connection: duckdb.DuckDBPyConnection, home: Home) -> list[Path]:
    """Return the files of the registered tables of cells, where a home is now."""
    folder = home.folder.resolve()
    return [folder / PurePosixPath(path) for path, _ in _cell_files(connection)]


def _leases_on(home: Home, files: Sequence[tuple[str, str]]) -> list[Leases]:
    """Return leases on the folders of files, those that are there."""
    leases = []
    for path, _ in files:
        with suppress(OSError):
            leases.append(Leases([(home.folder / PurePosixPath(path)).parent]))
    return leases


def is_moved(connection: duckdb.DuckDBPyConnection, home: Home) -> bool:
    """Whether a home with tables of cells is elsewhere than its views say."""
    here = str(home.folder.resolve())
    return any(location != here for _, location in _cell_files(connection))


def relocate(home: Home, *, timeout_s: float = 60.0) -> bool:
    """Make the views of tables of cells anew: they read the files where these are now.

    Returns
    -------
    bool
        Whether the home had been moved.

    Raises
    ------
    HomeError
        It cannot be written.
    """
    with reading_any_schema(home) as connection:
        check_schema(connection, home)
        moved = is_moved(connection, home)
    with writing(home, timeout_s=timeout_s) as connection:
        create_cell_views(connection)
    return moved


def opening_error(home: Home, error: duckdb.Error) -> HomeError:
    """Turn DuckDB's refusal to open a file into an error that says what to do."""
    text = str(error)
    holder = _HOLDER.search(text)
    if holder:
        return HomeBusyError(
            f"{home.database} is open for writing in {Path(holder['program']).name} "
            f"(process {holder['pid']}): close it there; atlasdb itself never holds it so"
        )
    if "Unique file handle conflict" in text:
        return HomeBusyError(
            f"{home.database} is open for writing in this very process: close that connection"
        )
    if "not a valid DuckDB database" in text:
        return HomeError(f"{home.database} is no DuckDB database; move it away to begin anew")
    return HomeError(f"cannot open {home.database}: {text.splitlines()[0]}")


@contextmanager
def writing(home: Home, *, timeout_s: float = 60.0) -> Iterator[duckdb.DuckDBPyConnection]:
    """Change a home's database in one transaction that readers see whole or not at all.

    A home without a database gets one.

    Raises
    ------
    HomeBusyError
        Another process writes the home, or another program its database.
    SchemaVersionError
        The schema is older or newer; the message names the command to run.
    HomeError
        The folder cannot be written.
    """
    with drafting(home, timeout_s=timeout_s) as draft:
        connection = open_draft(draft.path)
        try:
            check_schema(connection, home)
            connection.execute("BEGIN TRANSACTION")
            if is_moved(connection, home):
                create_cell_views(connection)
            yield connection
            draft.blob_folders = blob_folders(connection)
            connection.execute("COMMIT")
            connection.execute("CHECKPOINT")
        finally:
            connection.close()


@contextmanager
def drafting(home: Home, *, timeout_s: float = 60.0) -> Iterator[Draft]:
    """Open a draft of a home's database, which takes its place when the block ends without error.

    A home without a database gets a new one, of the newest schema. The errors are `writing`'s.
    """
    try:
        with no_other_writer(home) as guard, home.draft(timeout_s=timeout_s) as draft:
            guard()
            if draft.is_new:
                from atlasdb.migrate import upgrade_file  # alembic takes 0.5 s

                upgrade_file(draft.path)
            _LOG.debug("writing %s", draft.path)
            yield draft
        _LOG.debug("published as %s", home.database)
    except duckdb.Error as error:
        sweep(home)
        raise writing_error(home, error) from error
    except BaseException:
        # What was interrupted after the swap is published: only what no row names may go.
        sweep(home)
        raise


def open_draft(path: Path) -> duckdb.DuckDBPyConnection:
    """Open a draft to write it, so that any later DuckDB reads it."""
    return duckdb.connect(str(path), config=STORAGE)


def draft_engine(path: Path) -> Engine:
    """Return a SQLAlchemy engine on a draft, as `open_draft`."""
    from sqlalchemy import URL, create_engine  # SQLAlchemy takes 0.2 s
    from sqlalchemy.pool import NullPool

    return create_engine(
        URL.create("duckdb", database=str(path)),
        poolclass=NullPool,
        connect_args={"config": STORAGE},
    )


def writing_error(home: Home, error: duckdb.Error) -> HomeError:
    """Turn DuckDB's failure to write a draft into an error that says so."""
    reason = str(error).splitlines()[0]
    return HomeError(f"cannot write to the home {home.folder}: {reason}; nothing was changed")


@contextmanager
def no_other_writer(home: Home) -> Iterator[Callable[[], None]]:
    """Keep other programs from opening the database for writing until the block ends.

    Yields a function that takes the guard. It is called once the draft has been copied: closing
    any file of the database, as the copying does, drops this process's POSIX locks on it.
    """
    if home.has_database():  # name another writer before its unfinished changes are met
        with reading_any_schema(home):
            pass
    connection = duckdb.connect()

    def guard() -> None:
        if home.database.exists():
            attach(connection, home)

    try:
        yield guard
    finally:
        connection.close()


def sweep(home: Home) -> None:
    """Remove what failed or killed processes left in a home, if nobody is writing it."""

    def referenced() -> frozenset[str]:
        if not home.has_database():
            return frozenset()
        with reading(home) as connection:
            return blob_folders(connection)

    home.tidy(referenced)


def blob_folders(connection: duckdb.DuckDBPyConnection) -> frozenset[str]:
    """Return the folders, relative to the home, in which the database has files."""
    rows = connection.execute(
        "SELECT DISTINCT parse_dirpath(path) FROM "
        "(SELECT path FROM main.volume UNION ALL SELECT path FROM main.mesh "
        "UNION ALL SELECT path FROM main.cell_table)"
    ).fetchall()
    return frozenset(folder for (folder,) in rows)


def head() -> str:
    """Return the revision of the schema that this atlasdb works with."""
    return max(revisions())


def revisions() -> list[str]:
    """Return all revisions that this atlasdb knows: the numbers that the files begin with."""
    versions = bundled("migrations") / "versions"
    try:
        return sorted(path.name.partition("_")[0] for path in versions.glob("[0-9]*_*.py"))
    except OSError as error:
        raise HomeError(f"cannot look into {versions}: {error.strerror}") from error


def schema_revision(connection: duckdb.DuckDBPyConnection) -> str | None:
    """Return the revision of a database's schema, None where there is none."""
    known = connection.execute(
        "SELECT 1 FROM duckdb_tables() WHERE database_name = current_database() "
        "AND schema_name = 'main' AND table_name = 'alembic_version'"
    ).fetchall()
    rows = (
        connection.execute("SELECT version_num FROM main.alembic_version").fetchall()
        if known
        else []
    )
    return str(rows[0][0]) if rows else None


def has_older_schema(connection: duckdb.DuckDBPyConnection) -> bool:
    """Whether a database's schema is one that can be upgraded, none at all included."""
    found = schema_revision(connection)
    return found in revisions()[:-1] or (found is None and not has_atlases(connection))


def check_schema(connection: duckdb.DuckDBPyConnection, home: Home) -> None:
    """Refuse a database whose schema is not this version's, and name the command that helps."""
    found = schema_revision(connection)
    if found == head():
        return
    if has_older_schema(connection):
        raise SchemaVersionError(
            f"{home.database} has schema {found or 'none'}, older than this atlasdb's {head()}: "
            "run `atlasdb db upgrade`"
        )
    if found is None:
        raise SchemaVersionError(
            f"{home.database} has tables of atlases, but no revision of a schema: it is damaged, "
            "or was not made by atlasdb; move it away to begin anew"
        )
    raise SchemaVersionError(
        f"{home.database} has schema {found}, newer than this atlasdb's {head()}: "
        "run `pip install --upgrade atlasdb`"
    )


def find_atlas(connection: duckdb.DuckDBPyConnection, atlas: str) -> tuple[int, AtlasName]:
    """Return the number and the full name of an atlas in the database.

    Parameters
    ----------
    connection
        A reading or writing one.
    atlas
        ``NAME`` for its highest version, or ``NAME@VERSION``.

    Raises
    ------
    UnknownAtlasError
        It is not there; near names are suggested.
    """
    try:
        wanted = AtlasName.parse(atlas)
    except PackageError as error:
        raise UnknownAtlasError(str(error)) from error
    rows = connection.execute(
        "SELECT atlas_id, name, version FROM main.atlas ORDER BY version_major, version_minor"
    ).fetchall()
    named = [AtlasName.parse(f"{name}@{version}") for _, name, version in rows]
    for (atlas_id, *_), found in reversed(list(zip(rows, named, strict=True))):
        if found.name == wanted.name and wanted.version in (None, found.version):
            return atlas_id, found
    same = [str(found) for found in named if found.name == wanted.name]
    hint = (
        f"; there is {', '.join(same)}"
        if same
        else did_you_mean(wanted.name, [n.name for n in named])
    )
    raise UnknownAtlasError(f"no atlas {wanted} in this home{hint}; `atlasdb list` shows all")


def find_cells(connection: duckdb.DuckDBPyConnection, table: str) -> tuple[str, AtlasName]:
    """Return the name of a registered table of cells, and the atlas that it is pinned to.

    Parameters
    ----------
    connection
        A reading or writing one.
    table
        Its name, with or without ``cells.``, in whatever case.

    Raises
    ------
    UnknownCellTableError
        There is none of this name; near names are suggested.
    """
    bare = table.removeprefix(f"{CELLS}.")
    known = {row.name: row.atlas for row in cell_tables(connection)}
    for name, atlas in known.items():
        if name.lower() == bare.lower():
            return name, AtlasName.parse(atlas)
    raise UnknownCellTableError(
        f"no table cells.{bare}{did_you_mean(bare, known)}; `atlasdb cells list` shows all"
    )


def present(home: Home, name: AtlasName) -> AtlasName | None:
    """Return the full name of an atlas that the home has, None if it has none such."""
    try:
        with reading(home) as connection:
            return find_atlas(connection, str(name))[1]
    except (HomeNotFoundError, UnknownAtlasError):
        return None


def find_structure(
    connection: duckdb.DuckDBPyConnection, atlas: AtlasName, structure: str | int | TypedWord
) -> int:
    """Return the id of a structure of an atlas in the database.

    Parameters
    ----------
    connection
        A reading or writing one.
    atlas
        The atlas's full name.
    structure
        An acronym, exactly as the atlas writes it; an id, any integer; or a word that somebody
        typed, which may be either.

    Raises
    ------
    UnknownStructureError
        There is none; near acronyms are suggested.
    AmbiguousAcronymError
        Several structures have this acronym, or the word is one's acronym and another's id.
    TypeError
        It is neither a text nor an integer.
    """
    if isinstance(structure, TypedWord):
        return _find_typed(connection, atlas, structure.text)
    if isinstance(structure, bool) or not isinstance(structure, str | SupportsIndex):
        raise TypeError(f"a structure is an acronym or an integer id, not {structure!r}")
    key: str | int = structure if isinstance(structure, str) else operator.index(structure)
    if isinstance(key, int) and not -(2**63) <= key < 2**63:
        raise UnknownStructureError(f"no structure {key:#x} in {atlas}: ids have 64 bits")
    column = "acronym" if isinstance(key, str) else "structure_id"
    found = connection.execute(
        "SELECT s.structure_id FROM main.structure AS s "  # noqa: S608 (one of two names)
        "JOIN main.atlas AS a ON a.atlas_id = s.atlas_id "
        f"WHERE a.name = ? AND a.version = ? AND s.{column} = ? ORDER BY s.rank",
        [atlas.name, str(atlas.version), key],
    ).fetchall()
    if len(found) == 1:
        return int(found[0][0])
    if found:
        ids = ", ".join(str(structure_id) for (structure_id,) in found)
        raise AmbiguousAcronymError(
            f"acronym {key} belongs to several structures of {atlas}: ids {ids}; name one by its id"
        )
    raise UnknownStructureError(f"no structure {key} in {atlas}{_near(connection, atlas, key)}")


def _near(connection: duckdb.DuckDBPyConnection, atlas: AtlasName, key: str | int) -> str:
    """Return the end of a message: the acronyms most like one that is not there.

    It says what the macro `structure_of` says, but by a query that succeeds: error() would abort
    the transaction of a session.
    """
    if not isinstance(key, str):
        return ""
    (near,) = connection.execute(
        "SELECT array_to_string(arg_max(s.acronym, "
        "(jaro_winkler_similarity(lower(s.acronym), lower($key)), -s.rank), 3) FILTER "
        "(jaro_winkler_similarity(lower(s.acronym), lower($key)) > 0.8), ' or ') "
        "FROM main.structure AS s JOIN main.atlas AS a ON a.atlas_id = s.atlas_id "
        "WHERE a.name = $name AND a.version = $version",
        {"key": key, "name": atlas.name, "version": str(atlas.version)},
    ).fetchall()[0]
    hint = "; an id is a number, without quotes" if key.isascii() and key.isdigit() else ""
    return f"{hint}; did you mean {near}?" if near else hint


def _find_typed(connection: duckdb.DuckDBPyConnection, atlas: AtlasName, word: str) -> int:
    """Return the id of the structure that a typed word means."""
    rows = connection.execute(
        "SELECT s.structure_id, s.acronym FROM main.structure AS s "
        "JOIN main.atlas AS a ON a.atlas_id = s.atlas_id "
        "WHERE a.name = $name AND a.version = $version AND "
        "$word IN (acronym, concat('acronym:', acronym), concat('id:', structure_id), "
        "CAST(structure_id AS VARCHAR)) ORDER BY rank",
        {"name": atlas.name, "version": str(atlas.version), "word": word},
    ).fetchall()
    named = [acronym for _, acronym in rows]
    if len(rows) > 1 and len(set(named)) > 1:
        meanings = " or ".join(
            f"acronym:{acronym}" if acronym == word else f"id:{structure_id} ({acronym})"
            for structure_id, acronym in rows
        )
        raise AmbiguousAcronymError(
            f"{word} is a structure's acronym and another's id in {atlas}: write {meanings}"
        )
    if len(rows) == 1:
        return int(rows[0][0])
    bare = word.removeprefix("id:").removeprefix("acronym:")
    is_id = (
        bare.isascii()
        and bare.isdigit()
        and len(bare) <= _ID_DIGITS
        and not word.startswith("acronym:")
    )
    return find_structure(connection, atlas, int(bare) if is_id else bare)


def lookup_error(error: duckdb.Error) -> LookupFailedError | None:
    """Return the exception for what one of our macros refused by error(), if it was one."""
    message = str(error).removeprefix("Invalid Input Error: ")
    for start, kind in _REFUSALS.items():
        if isinstance(error, duckdb.InvalidInputException) and message.startswith(start):
            return kind(message)
    return None


def reading_engine(home: Home, *, any_schema: bool = False) -> Engine:
    """Return a SQLAlchemy engine whose every connection reads the home as it is then.

    Parameters
    ----------
    home
        The home.
    any_schema
        Open it whatever its schema.
    """
    from sqlalchemy import create_engine, event  # SQLAlchemy takes 0.2 s
    from sqlalchemy.pool import NullPool

    engine = create_engine("duckdb:///:memory:", poolclass=NullPool)

    def attach_home(connection: Any, record: Any) -> None:  # noqa: ANN401 (the dialect's)
        record.info["leases"] = attach(connection, home)
        if not any_schema:
            check_schema(connection, home)

    event.listen(engine, "connect", attach_home)
    return engine
