"""`connect`: an atlas database in a folder, as one object.

The one idea: a `Database` holds a path and nothing else. Every call opens what it needs and lets
go of it, so that a notebook left open over night blocks nobody.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import duckdb

from atlasdb import database
from atlasdb.cell_queries import CellQueries
from atlasdb.errors import QueryError, one_line
from atlasdb.home import Home
from atlasdb.queries import load
from atlasdb.statements import TIMEOUT_S, only_reading, refuse_writing
from atlasdb.structure_queries import StructureQueries

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    import pyarrow as pa

    from atlasdb.atlas import Atlas
    from atlasdb.citations import CitationForm
    from atlasdb.ingest import IngestReport
    from atlasdb.names import AtlasName
    from atlasdb.session import AtlasSession
    from atlasdb.sources.base import Progress
    from atlasdb.updating import UpdateReport
    from atlasdb.verify import CheckResult
    from atlasdb.voxels import AtlasVoxels


def connect(home: str | Path | None = None) -> Database:
    """Return the atlas database in a folder; nothing is opened or made yet.

    Parameters
    ----------
    home
        The folder; by default what ``ATLASDB_HOME`` names, else the platform's data folder.

    Examples
    --------
    >>> import tempfile
    >>> db = connect(tempfile.mkdtemp())
    >>> str(db.ingest("phantom_mouse_100um").atlas)
    'phantom_mouse_100um@1.0'
    >>> db.sql("SELECT count(*) AS n FROM phantom_mouse_100um.structure").to_pylist()
    [{'n': 45}]
    """
    return Database(Home.resolve(home))


class Database(StructureQueries, CellQueries):
    """An atlas database.

    Parameters
    ----------
    home
        Where it is; see `connect`.
    """

    def __repr__(self) -> str:
        return f"<atlasdb.Database in {self.home.folder}>"

    def ingest(
        self,
        atlas: str,
        *,
        source: str | None = None,
        sha256: str | None = None,
        meshes: bool = True,
        reference: bool = True,
        force: bool = False,
        strict: bool = False,
        progress: Progress | None = None,
    ) -> IngestReport:
        """Put an atlas into the database; see `atlasdb.ingest.ingest`.

        Parameters
        ----------
        atlas, source, sha256, force, strict, progress
            See there.
        meshes
            Whether the meshes are wanted. `fetch_meshes` gets them later where the source gives
            single ones.
        reference
            Whether the reference and the additional references are wanted.
        """
        from atlasdb.ingest import ingest  # with tifffile and requests
        from atlasdb.sources.base import Selection

        return ingest(
            self.home,
            atlas,
            source=source,
            sha256=sha256,
            selection=Selection(meshes=meshes, references=reference),
            force=force,
            strict=strict,
            progress=progress,
        )

    def update(
        self,
        atlas: str | None = None,
        *,
        source: str | None = None,
        prune: bool = False,
        strict: bool = False,
        progress: Progress | None = None,
    ) -> list[UpdateReport]:
        """Ingest later versions beside those that are there; see `atlasdb.updating.update`."""
        from atlasdb.updating import update  # with tifffile and requests

        return update(
            self.home, atlas, source=source, prune=prune, strict=strict, progress=progress
        )

    def fetch_meshes(
        self,
        atlas: str,
        structures: Sequence[str | int] | None = None,
        *,
        progress: Progress | None = None,
    ) -> list[int]:
        """Get meshes that the ingest left out; see `atlasdb.mesh_fetching.fetch_meshes`.

        Parameters
        ----------
        atlas
            ``NAME`` or ``NAME@VERSION``.
        structures
            Acronyms or ids; all that have no mesh by default.
        progress
            Told of steps and bytes.

        Returns
        -------
        list of int
            The ids of the structures that have got a mesh.
        """
        from atlasdb.mesh_fetching import fetch_meshes  # with requests

        ids = None if structures is None else self.structure_ids(atlas, structures)
        return fetch_meshes(self.home, atlas, ids, progress=progress)

    def available(self, source: str | None = None) -> pa.Table:
        """Return the atlases that a source offers, beside those in the database.

        Parameters
        ----------
        source
            See `atlasdb.sources.locate`; by default BrainGlobe's servers, and its folder on this
            machine.

        Returns
        -------
        pyarrow.Table
            A row for each atlas and place: ``atlas``, ``latest`` (its last version there),
            ``place``, ``format``, ``ingested`` (the versions in the database), ``is_current``
            (whether the database has nothing older of that format; NULL if it has nothing of it),
            ``listed_at`` (UTC, when the place said so; NULL for a folder).

        Raises
        ------
        SourceError
            No place of the source can be asked, nor could be before.
        """
        from atlasdb.catalogue import catalogue, offer_rows  # with requests

        return offer_rows(catalogue(self.home, source))

    def remove(self, atlas: str) -> AtlasName:
        """Remove one version of an atlas with its files; see `atlasdb.ingest.remove`."""
        from atlasdb.ingest import remove  # with tifffile and requests

        return remove(self.home, atlas)

    def check(self, atlas: str) -> list[CheckResult]:
        """Verify an atlas's files and rows against each other; see `atlasdb.verify.check`."""
        from atlasdb.verify import check  # with tifffile

        return check(self.home, atlas)[1]

    def atlases(self) -> pa.Table:
        """Return a table with a row for each atlas version in the database."""
        return self.sql(load("catalog", "atlases"))

    def info(self, atlas: str) -> tuple[pa.Table, pa.Table]:
        """Return all that is known of an atlas, as one row, and its findings by kind.

        Parameters
        ----------
        atlas
            ``NAME`` or ``NAME@VERSION``.

        Raises
        ------
        UnknownAtlasError
            It is not there.
        """
        return self.query("atlas", atlas=atlas), self.query("findings", atlas=atlas)

    def atlas(self, atlas: str) -> Atlas:
        """Open an atlas as one object, by BrainGlobe's names: structures, arrays, meshes, points.

        Parameters
        ----------
        atlas
            ``NAME`` or ``NAME@VERSION``.

        Raises
        ------
        UnknownAtlasError
            It is not there.

        Examples
        --------
        >>> import tempfile
        >>> db = connect(tempfile.mkdtemp())
        >>> _ = db.ingest("phantom_mouse_100um")
        >>> atlas = db.atlas("phantom_mouse_100um")
        >>> atlas.structure_from_coords((4950, 4150, 3150), microns=True, as_acronym=True)
        'CP'
        """
        from atlasdb.atlas import open_atlas  # opened for itself

        return open_atlas(self.home, atlas)

    def cite(self, *atlases: str, form: CitationForm = "text") -> str:
        """Return how atlases are cited; see `atlasdb.citations.cite`.

        Parameters
        ----------
        *atlases
            ``NAME`` or ``NAME@VERSION``.
        form
            'text' or 'bibtex'.

        Raises
        ------
        UnknownAtlasError
            One is not there.
        """
        from atlasdb.atlas.opening import credits_of
        from atlasdb.citations import cite

        return cite([credits_of(self.home, atlas) for atlas in atlases], form)

    def voxels(self, atlas: str) -> AtlasVoxels:
        """Open an atlas's voxels: lookups, masks, surroundings and statistics for arrays.

        Parameters
        ----------
        atlas
            ``NAME`` or ``NAME@VERSION``.

        Raises
        ------
        UnknownAtlasError
            It is not there.

        Examples
        --------
        >>> import tempfile
        >>> db = connect(tempfile.mkdtemp())
        >>> _ = db.ingest("phantom_mouse_100um")
        >>> db.voxels("phantom_mouse_100um")
        <phantom_mouse_100um@1.0: 132 × 80 × 114 voxels of 100 × 100 × 100 µm>
        """
        from atlasdb.voxels import AtlasVoxels  # opened for itself
        from atlasdb.voxels.opening import open_atlas

        return AtlasVoxels(open_atlas(self.home, atlas))

    def schema_revisions(self) -> tuple[str | None, str]:
        """Return the revision of the database's schema, and the one that this atlasdb needs."""
        with database.reading_any_schema(self.home) as connection:
            return database.schema_revision(connection), database.head()

    def upgrade(self) -> tuple[str | None, str | None]:
        """Bring an older database to this atlasdb's schema; return the revisions before and after.

        Raises
        ------
        SchemaVersionError
            The schema is newer than this atlasdb.
        """
        from atlasdb.migrate import upgrade  # alembic takes 0.5 s

        with database.reading_any_schema(self.home) as connection:
            if not database.has_older_schema(connection):
                database.check_schema(connection, self.home)
                return database.head(), database.head()
        return upgrade(self.home)

    def sql(
        self,
        query: str,
        parameters: list[Any] | dict[str, Any] | None = None,
        *,
        untrusted: bool = False,
        timeout_s: float = TIMEOUT_S,
    ) -> pa.Table:
        """Run SQL that reads: the database, and whatever files it names.

        Nothing is written. ``COPY … TO``, ``EXPORT``, ``ATTACH``, ``INSTALL``, ``LOAD``,
        ``PREPARE``, ``CALL``, settings that name files and functions that open them for writing
        are refused; what ``CREATE`` makes is in memory and gone afterwards. Statements still read
        any file and address that you can, so run your own only.

        A stranger's (a web form's, a language model's) are for `untrusted`: one SELECT, which reads
        the home's tables, views and registered cells, and no other file, address, environment,
        setting, secret or variable of Python's. It runs in a process of its own that cannot write,
        and is stopped after `timeout_s`, and when it needs more than 1 GiB of memory in DuckDB or 4
        GiB in all (where the system bounds it: Linux) or gives more than 256 MiB of rows. It can
        learn the home's path.

        Parameters
        ----------
        query
            One statement, or several separated by semicolons; the last one's rows are returned.
        parameters
            Values for ``?`` (a list) or ``$name`` (a dict).
        untrusted
            Whether a stranger wrote the query.
        timeout_s
            After how many seconds an untrusted query is stopped; others never are.

        Returns
        -------
        pyarrow.Table
            The rows.

        Raises
        ------
        QueryError
            The statement is refused, by DuckDB or because it does not only read, or takes too much.

        Examples
        --------
        >>> import tempfile
        >>> db = connect(tempfile.mkdtemp())
        >>> _ = db.ingest("phantom_mouse_100um")
        >>> db.sql("SELECT count(*) AS n FROM structure", untrusted=True).to_pylist()
        [{'n': 45}]
        >>> db.sql("SELECT * FROM read_text('/etc/passwd')", untrusted=True)
        Traceback (most recent call last):
        atlasdb.errors.QueryError: the table function read_text is refused with --untrusted
        """
        if untrusted:
            from atlasdb.confined import ask  # subprocess

            return ask(self.home, query, parameters, timeout_s=timeout_s)
        with database.reading(self.home) as connection, only_reading(connection):
            try:
                refuse_writing(connection, query)
                result = connection.execute(query, parameters)
            except (duckdb.Error, UnicodeError) as error:
                raise QueryError(one_line(str(error))) from error
            if result is None:
                raise QueryError("the query holds no statement")
            try:
                return result.to_arrow_table()
            except duckdb.Error as error:
                raise QueryError(one_line(str(error))) from error

    def session(
        self, *, atlas: str | None = None, write: bool = False
    ) -> AbstractContextManager[AtlasSession]:
        """Open a SQLAlchemy session, scoped to one atlas version if one is named.

        Parameters
        ----------
        atlas
            ``NAME`` or ``NAME@VERSION``; then queries for models, aliased ones too, find that
            atlas's rows only. Plain tables (``annotation_run``, ``Model.__table__``) and texts
            are not scoped.
        write
            Open it for writing: the home takes its changes over, whole, when the block ends
            without error and the rows do not contradict each other.

        Examples
        --------
        >>> import tempfile
        >>> from sqlalchemy import select
        >>> from atlasdb.models import Structure
        >>> db = connect(tempfile.mkdtemp())
        >>> _ = db.ingest("phantom_mouse_100um")
        >>> with db.session(atlas="phantom_mouse_100um") as session:
        ...     visp = session.structure("VISp")
        ...     [s.acronym for s in visp.ancestors][-2:]
        ['Isocortex', 'VIS']
        """
        from atlasdb.session import reading_session, writing_session  # SQLAlchemy takes 0.2 s

        return (writing_session if write else reading_session)(self.home, atlas=atlas)
