"""Questions about the hierarchy, as Python calls: each is one macro or one named query.

The one idea: the answer is computed in SQL, by what any client of the database can call too. Python
checks the names that it is given, says what is near to a wrong one, and hands over Arrow tables.
"""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

import duckdb

from atlasdb.database import (
    TypedWord,
    find_atlas,
    find_cells,
    find_structure,
    lookup_error,
    reading,
)
from atlasdb.errors import QueryError, UnknownDepthError, one_line
from atlasdb.queries import find_query

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pyarrow as pa

    from atlasdb.home import Home
    from atlasdb.names import AtlasName
    from atlasdb.queries import Parameter

Named = str | int | TypedWord
"""A structure: its acronym, its id, or a word that somebody typed."""

_LOG = logging.getLogger(__name__)

_AT_DEPTH = "FROM structures_at_depth($atlas, $depth, ragged := $ragged)"
_AT_DEPTH_UNDER = "FROM structures_at_depth($atlas, $depth, under := $under, ragged := $ragged)"


class StructureQueries:
    """The part of `atlasdb.Database` that asks about structures.

    Parameters
    ----------
    home
        Where the database is.

    Notes
    -----
    An atlas is ``NAME`` (its highest version) or ``NAME@VERSION``; a structure is an acronym or an
    id. Unknown ones raise `UnknownAtlasError` and `UnknownStructureError`, which suggest near
    names, and an acronym of several structures raises `AmbiguousAcronymError`. Tables of structures
    are in depth-first order and have the columns structure_id, acronym, name, parent_id, depth,
    rank and last_rank, where it says so with distance; the atlas's full name is in their schema's
    metadata, under ``atlas``.
    """

    def __init__(self, home: Home) -> None:
        self.home = home

    def structure(self, atlas: str, structure: Named) -> dict[str, Any]:
        """Return all that is known of a structure: its row of the view ``region``.

        Examples
        --------
        >>> import atlasdb, tempfile
        >>> db = atlasdb.connect(tempfile.mkdtemp())
        >>> _ = db.ingest("phantom_mouse_100um")
        >>> db.structure("phantom_mouse_100um", "VISp")["path_text"]
        'root > grey > CH > CTX > CTXpl > Isocortex > VIS > VISp'
        """
        sql = (
            "SELECT * FROM all_atlases.region "
            "WHERE atlas_id = atlas_id($atlas) AND structure_id = $structure"
        )
        row: dict[str, Any] = self._ask(sql, atlas, structure=structure).to_pylist()[0]
        return row

    def structure_ids(self, atlas: str, structures: Sequence[Named]) -> list[int]:
        """Return the ids of structures, in the order given."""
        with self._asking() as connection:
            return _structure_ids(connection, find_atlas(connection, atlas)[1], structures)

    def ancestors(self, atlas: str, structure: Named) -> pa.Table:
        """Return the ancestors of a structure, root first, with the distance above it."""
        return self._ask("FROM ancestors($atlas, $structure)", atlas, structure=structure)

    def descendants(self, atlas: str, structure: Named) -> pa.Table:
        """Return the descendants of a structure, depth-first, with the distance below it."""
        return self._ask("FROM descendants($atlas, $structure)", atlas, structure=structure)

    def subtree(self, atlas: str, structure: Named | None = None) -> pa.Table:
        """Return a structure and its descendants, depth-first, with the distance below it.

        Parameters
        ----------
        atlas
            ``NAME`` or ``NAME@VERSION``.
        structure
            The root by default.
        """
        return self.query("subtree", atlas=atlas, structure=structure)

    def tree(
        self, atlas: str, structure: Named | None = None, *, depth: int | None = None
    ) -> pa.Table:
        """Return a subtree down to a depth with the structures' colours, for drawing.

        Parameters
        ----------
        atlas
            ``NAME`` or ``NAME@VERSION``.
        structure
            The root by default.
        depth
            Steps from the atlas's root; the structure's own or more. All by default.

        Returns
        -------
        pyarrow.Table
            structure_id, acronym, name, parent_id, depth, rank, last_rank, red, green, blue.

        Raises
        ------
        UnknownDepthError
            The atlas is not so deep, or the structure is deeper.
        """
        whole = self.query("tree", atlas=atlas, structure=structure, depth=depth)
        if whole.num_rows == 0 and structure is not None:
            top = self.structure(atlas, structure)
            raise UnknownDepthError(
                f"{top['acronym']} has depth {top['depth']}, below depth {depth}: give its own or "
                "a greater one"
            )
        return whole

    def children(self, atlas: str, structure: Named) -> pa.Table:
        """Return the direct children of a structure, in the atlas's order."""
        return self._ask("FROM children($atlas, $structure)", atlas, structure=structure)

    def siblings(self, atlas: str, structure: Named) -> pa.Table:
        """Return the other children of a structure's parent, in the atlas's order."""
        return self._ask("FROM siblings($atlas, $structure)", atlas, structure=structure)

    def leaves(self, atlas: str, structure: Named) -> pa.Table:
        """Return the leaves of a structure, a leaf's being itself, with the distance below it."""
        return self._ask("FROM leaves($atlas, $structure)", atlas, structure=structure)

    def structures_at_depth(
        self,
        atlas: str,
        depth: int,
        *,
        under: Named | None = None,
        ragged: Literal["omit", "leaf"] = "omit",
    ) -> pa.Table:
        """Return the structures at a depth.

        Parameters
        ----------
        atlas
            ``NAME`` or ``NAME@VERSION``.
        depth
            Steps from the root, which has 0.
        under
            A structure within which; the whole atlas by default.
        ragged
            What of branches that end above the depth: 'leaf' takes in their leaf, 'omit' leaves
            them out.

        Raises
        ------
        UnknownDepthError
            The atlas is not so deep.
        """
        sql = _AT_DEPTH if under is None else _AT_DEPTH_UNDER
        named = {} if under is None else {"under": under}
        return self._ask(sql, atlas, depth=depth, ragged=ragged, **named)

    def ancestor_at_depth(self, atlas: str, structure: Named, depth: int) -> int:
        """Return the id of a structure's ancestor at a depth, its own if it ends above it.

        Raises
        ------
        UnknownDepthError
            The atlas is not so deep.
        """
        sql = "SELECT ancestor_at_depth($atlas, $structure, $depth)"
        return int(self._value(sql, atlas, structure=structure, depth=depth))

    def lowest_common_ancestor(self, atlas: str, structure: Named, other: Named) -> int:
        """Return the id of the deepest structure that contains two; it may be one of them."""
        sql = "SELECT lowest_common_ancestor($atlas, $structure, $other)"
        return int(self._value(sql, atlas, structure=structure, other=other))

    def is_descendant(self, atlas: str, structure: Named, ancestor: Named) -> bool:
        """Return whether a structure is below another; none is below itself."""
        sql = "SELECT is_descendant($atlas, $structure, $ancestor)"
        return bool(self._value(sql, atlas, structure=structure, ancestor=ancestor))

    def annotation_cut(self, atlas: str, depth: int) -> pa.Table:
        """Return the whole annotation cut at a depth, so that each voxel belongs to one row.

        Parameters
        ----------
        atlas
            ``NAME`` or ``NAME@VERSION``.
        depth
            Steps from the root.

        Returns
        -------
        pyarrow.Table
            structure_id, acronym, name, depth, rank, status, is_assigned, voxels, volume_mm3. A row
            for each structure at the depth, for each branch that ends above it, and for each
            structure above it whose own label voxels bear (``is_assigned`` is false); one for
            labels without a structure, one for the background.

        Raises
        ------
        UnknownDepthError
            The atlas is not so deep.
        """
        return self._ask("FROM annotation_cut($atlas, $depth)", atlas, depth=depth)

    def partition_check(self, atlas: str, structure: Named, parts: Sequence[Named]) -> pa.Table:
        """Return what keeps some structures from tiling a structure; no rows if they do.

        Parameters
        ----------
        atlas
            ``NAME`` or ``NAME@VERSION``.
        structure
            What is to be tiled.
        parts
            The structures that should tile it.

        Returns
        -------
        pyarrow.Table
            fault, structure_id, acronym, name, rank, within_id, voxels. The fault is 'outside' (a
            part that is not in the structure), 'overlap' (a part inside the part ``within_id``, or
            named twice), 'gap' (a subtree in no part) or 'unassigned' (voxels that bear the label
            of a structure above parts).
        """
        sql = "FROM partition_check($atlas, $structure, $parts)"
        return self._ask(sql, atlas, structure=structure, parts=parts)

    def search(self, text: str, *, atlas: str | None = None) -> pa.Table:
        """Return the structures whose acronym, name or id is like a text, best first.

        Parameters
        ----------
        text
            Case and accents do not matter; words may be cut short, in any order, and misspelt by
            a letter or two.
        atlas
            ``NAME`` or ``NAME@VERSION``; all by default.

        Returns
        -------
        pyarrow.Table
            atlas, structure_id, acronym, name, depth, score (1 is the very acronym).
        """
        with self._asking() as connection:
            name = "" if atlas is None else str(find_atlas(connection, atlas)[1])
            return connection.execute(
                "FROM search_structures($text, atlas := $atlas)", {"text": text, "atlas": name}
            ).to_arrow_table()

    def query(self, name: str, **parameters: object) -> pa.Table:
        """Run a named query; `atlasdb.queries.queries` and ``atlasdb query`` list them.

        Parameters
        ----------
        name
            Its name.
        **parameters
            Its parameters, by name; texts are converted to what each parameter is.

        Raises
        ------
        UnknownQueryError
            There is none of this name.
        QueryError
            A parameter is missing, unknown or no value of its kind, or DuckDB refuses the query.

        Examples
        --------
        >>> import atlasdb, tempfile
        >>> db = atlasdb.connect(tempfile.mkdtemp())
        >>> _ = db.ingest("phantom_mouse_100um")
        >>> db.query("largest_leaves", atlas="phantom_mouse_100um", limit=2)["acronym"].to_pylist()
        ['CP', 'HY']
        """
        query = find_query(name)
        parameters = {key: value for key, value in parameters.items() if value is not None}
        query.check_names(set(parameters))
        reads_files = any(p.kind in {"points", "cells"} for p in query.parameters)
        with self._asking(reads_files=reads_files) as connection:
            resolve = _Resolver(connection)
            values = {
                p.name: resolve(p, parameters.get(p.name, p.default or None))
                for p in sorted(query.parameters, key=lambda p: p.kind not in {"atlas", "cells"})
            }
            _LOG.debug("%s with %s", query.sql, values)
            found = connection.execute(query.sql, values).to_arrow_table()
            return _named(found, *resolve.atlases)

    def _ask(self, sql: str, atlas: str, **arguments: Any) -> pa.Table:  # noqa: ANN401 (any value)
        """Run a statement about an atlas whose structures are given as they were named."""
        with self._asking() as connection:
            _, name = find_atlas(connection, atlas)
            for argument in _STRUCTURES.intersection(arguments):
                arguments[argument] = find_structure(connection, name, arguments[argument])
            if "depth" in arguments:
                if arguments["depth"] is None:
                    raise UnknownDepthError(f"no depth None in {name}: depths are integers from 0")
                arguments["depth"] = _plain_number(arguments["depth"])
            if "parts" in arguments:
                arguments["parts"] = _structure_ids(connection, name, arguments["parts"])
            values = {"atlas": str(name), **arguments}
            _LOG.debug("%s with %s", sql, values)
            found = connection.execute(sql, values).to_arrow_table()
            return _named(found, name)

    def _value(self, sql: str, atlas: str, **arguments: Any) -> Any:  # noqa: ANN401 (any value)
        """Run a statement that gives one value."""
        return self._ask(sql, atlas, **arguments).column(0)[0].as_py()

    @contextmanager
    def _asking(self, *, reads_files: bool = False) -> Iterator[duckdb.DuckDBPyConnection]:
        """Open the database, and say what DuckDB refuses in our own words."""
        with reading(self.home) as connection:
            try:
                yield connection
            except duckdb.Error as error:
                of_the_file = (duckdb.OperationalError, duckdb.FatalException)
                if isinstance(error, of_the_file) and not reads_files:
                    raise  # `reading` explains it
                raise lookup_error(error) or QueryError(one_line(str(error))) from error


def _named(table: pa.Table, *atlases: AtlasName) -> pa.Table:
    """Return a table that says in its schema's metadata which atlas versions it is from."""
    return table.replace_schema_metadata({"atlas": " and ".join(map(str, atlases))})


_STRUCTURES = frozenset({"structure", "other", "ancestor", "under"})
"""Arguments that name one structure."""


def _structure_ids(
    connection: duckdb.DuckDBPyConnection, atlas: AtlasName, structures: Sequence[Named]
) -> list[int]:
    """Return the ids of several structures."""
    if isinstance(structures, str | bytes | TypedWord):
        structures = [structures]  # type: ignore[list-item]
    return [find_structure(connection, atlas, structure) for structure in structures]


def _plain_number(value: Any) -> Any:  # noqa: ANN401 (any value)
    """Return a number of numpy's, or any other, as one of Python's, which DuckDB knows."""
    return value.item() if hasattr(value, "item") else value


class _Resolver:
    """Turns what was given for a query's parameters into values; atlases come first."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection
        self.atlases: list[AtlasName] = []

    def __call__(self, parameter: Parameter, given: Any) -> Any:  # noqa: ANN401, PLR0911 (any value)
        if given is None:
            return None
        if parameter.kind == "atlas":
            self.atlases.append(find_atlas(self._connection, given)[1])
            return str(self.atlases[-1])
        if parameter.kind == "structure":
            return find_structure(self._connection, self.atlases[0], given)
        if parameter.kind == "structures":
            return _structure_ids(self._connection, self.atlases[0], given)
        if parameter.kind == "cells":
            name, atlas = find_cells(self._connection, str(given))
            self.atlases.append(atlas)
            return f"cells.{name}"
        if parameter.kind == "points":
            return str(given)
        return parameter.parse(given) if isinstance(given, str) else _plain_number(given)
