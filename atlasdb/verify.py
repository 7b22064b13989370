"""``atlasdb check``: whether what the database says is still what its files say.

The one idea: everything but the structures and the annotation is derived, so derive it again and
compare: ranks, runs, labels, extents and closure from the annotation file and the parents, files
by size and digest, meshes by their counts.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np
import pyarrow as pa

from atlasdb import rows
from atlasdb.cells.registering import verify_cells
from atlasdb.database import find_atlas, reading
from atlasdb.errors import AtlasDBError, BlobError
from atlasdb.filelock import lease
from atlasdb.hierarchy import Hierarchy
from atlasdb.ingest import TABLES
from atlasdb.meshes import MeshFile
from atlasdb.queries import quoted
from atlasdb.runs import find_extents, find_runs, rank_labels
from atlasdb.structures import StructureTable, label_values_of
from atlasdb.views import cell_tables
from atlasdb.volumes import Blob, check_blob, read_volume

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from atlasdb.home import Home
    from atlasdb.names import AtlasName

_ORDER = {
    "structure": ("rank",),
    "structure_closure": ("ancestor_id", "descendant_id"),
    "structure_extent": ("structure_id", "hemisphere"),
    "label": ("value",),
    "annotation_run": ("line", "start"),
}
_SOME_FILES = 5


class _DifferenceError(AtlasDBError):
    """What was checked is not what it should be."""


_PROBLEMS = (
    AtlasDBError,
    OSError,
    ValueError,
    KeyError,
    OverflowError,
    duckdb.Error,
    pa.ArrowException,
)
"""What checking altered rows and files can raise."""


@dataclass(frozen=True)
class CheckResult:
    """One thing that was checked.

    Attributes
    ----------
    subject
        What.
    problem
        What is wrong with it, empty if it is as it should be.
    """

    subject: str
    problem: str = ""

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problem


def check(home: Home, atlas: str) -> tuple[AtlasName, list[CheckResult]]:
    """Verify an atlas's files and rows against each other.

    Parameters
    ----------
    home
        The home.
    atlas
        ``NAME`` or ``NAME@VERSION``.

    Returns
    -------
    name, results
        The atlas's full name, and what was checked, in order.

    Raises
    ------
    UnknownAtlasError
        It is not there.
    """
    while True:
        with reading(home) as connection, ExitStack() as leases:
            atlas_id, name = find_atlas(connection, atlas)
            try:
                for folder in _folders(home, connection, atlas_id):
                    leases.enter_context(lease(folder))
            except FileNotFoundError:
                with reading(home) as newer:  # replaced meanwhile, or indeed gone?
                    if _folders(home, newer, atlas_id) != _folders(home, connection, atlas_id):
                        continue
            return name, list(_Checker(home, connection, atlas_id).results())


def _folders(home: Home, connection: duckdb.DuckDBPyConnection, atlas_id: int) -> list[Path]:
    """Return the folders in which an atlas has files."""
    rows = connection.execute(
        "SELECT DISTINCT parse_dirpath(path) AS folder FROM (SELECT atlas_id, path "
        "FROM main.volume UNION ALL SELECT atlas_id, path FROM main.mesh) "
        "WHERE atlas_id = ? ORDER BY folder",
        [atlas_id],
    ).fetchall()
    return [home.folder / folder for (folder,) in rows]


@dataclass(frozen=True)
class _Checker:
    """The checks of one atlas."""

    home: Home
    connection: duckdb.DuckDBPyConnection
    atlas_id: int

    def results(self) -> Iterator[CheckResult]:
        """Yield each check's result."""
        blobs = self._blobs()
        for blob in blobs.values():
            yield _attempt(f"{blob.kind} volume", lambda blob=blob: check_blob(blob, digest=True))  # type: ignore[misc]
        yield _attempt("mesh files", self._check_meshes)
        yield _attempt("references between tables", self._check_references)
        yield _attempt("table atlas", lambda: self._check_atlas(blobs))
        yield _attempt("label values", self._check_label_values)
        try:
            expected = self._derived(blobs)
        except _PROBLEMS as error:
            yield CheckResult("derived tables", f"cannot be derived again: {_reason(error)}")
            return
        for table, content in expected.items():
            yield _attempt(f"table {table}", lambda t=table, c=content: self._compare(t, c))  # type: ignore[misc]
        yield _attempt("ranks volume against the runs", lambda: self._check_ranks(blobs["ranks"]))
        for cells in cell_tables(self.connection, f"c.atlas_id = {self.atlas_id:d}"):
            yield _attempt(
                f"cells.{cells.name}",
                lambda name=cells.name: verify_cells(self.home, self.connection, name),  # type: ignore[misc]
            )

    def _rows(self, sql: str) -> list[tuple[Any, ...]]:
        return self.connection.execute(sql, [self.atlas_id]).fetchall()

    def _blobs(self) -> dict[str, Blob]:
        """Return the volumes' files by kind."""
        found = self._rows(
            "SELECT kind, path, dtype, shape_ap, shape_si, shape_rl, bytes, sha256 "
            "FROM main.volume WHERE atlas_id = ? ORDER BY path"
        )
        return {
            kind: Blob(kind, self.home.folder / path, dtype, (ap, si, rl), size, digest)
            for kind, path, dtype, ap, si, rl, size, digest in found
        }

    def _structures(self) -> StructureTable:
        """Build the structures from ids and parents alone."""
        found = self._rows(
            "SELECT structure_id, parent_id, acronym, name, label_value, red, green, blue "
            "FROM main.structure WHERE atlas_id = ? ORDER BY rank"
        )
        ids, parents, acronyms, names, values, *rgb = zip(*found, strict=True)
        return StructureTable(
            hierarchy=Hierarchy.from_parents(ids, parents),
            acronyms=acronyms,
            names=names,
            rgb=np.array(rgb, dtype=np.uint8).T,
            label_values=label_values_of(values),
        )

    def _derived(self, blobs: dict[str, Blob]) -> dict[str, pa.Table]:
        """Derive the tables again from the annotation file and the parents."""
        structures = self._structures()
        runs, labels = self._annotation(blobs, structures)
        extents = find_extents(runs, labels.run_rank, structures.hierarchy)
        resolution = self._rows(
            "SELECT resolution_ap_um, resolution_si_um, resolution_rl_um "
            "FROM main.atlas WHERE atlas_id = ?"
        )[0]
        return {
            "structure": rows.structure_rows(structures),
            "structure_closure": rows.closure_rows(structures),
            "structure_extent": rows.extent_rows(structures, extents, resolution),
            "label": rows.label_rows(labels),
            "annotation_run": rows.run_rows(runs, labels),
        }

    def _annotation(self, blobs: dict[str, Blob], structures: StructureTable) -> tuple[Any, Any]:
        """Read the annotation and rank it again."""
        volume = read_volume(blobs["annotation"].path, blobs["annotation"].shape)
        sides = blobs.get("hemispheres")
        runs = find_runs(volume, None if sides is None else read_volume(sides.path, sides.shape))
        return runs, rank_labels(runs, structures.hierarchy, structures.label_values)

    def _compare(self, table: str, expected: pa.Table) -> None:
        """Compare a table's rows with those derived again."""
        columns = ", ".join(map(quoted, expected.column_names))
        order = ", ".join(map(quoted, _ORDER[table]))
        found = self.connection.execute(
            f"SELECT {columns} FROM main.{quoted(table)} "  # noqa: S608 (our own names)
            f"WHERE atlas_id = ? ORDER BY {order}",
            [self.atlas_id],
        ).to_arrow_table()
        expected = expected.sort_by([(column, "ascending") for column in _ORDER[table]])
        if found.num_rows != expected.num_rows:
            raise _DifferenceError(f"{found.num_rows:,} rows instead of {expected.num_rows:,}")
        for column in expected.column_names:
            wanted = expected.column(column)
            if pa.types.is_dictionary(wanted.type):
                wanted = wanted.cast(pa.string())
            if not found.column(column).cast(wanted.type).equals(wanted):
                raise _DifferenceError(f"column {column} differs from what the annotation gives")

    def _check_ranks(self, blob: Blob) -> None:
        """Compare the rank volume with the runs in the database."""
        found: dict[str, Any] = self.connection.execute(
            "SELECT line, start, rank FROM main.annotation_run WHERE atlas_id = ? "
            "ORDER BY line, start",
            [self.atlas_id],
        ).fetchnumpy()
        first: NDArray[np.int64] = found["line"].astype(np.int64) * blob.shape[2] + found["start"]
        length = np.diff(first, append=int(np.prod(blob.shape)))
        volume = read_volume(blob.path, blob.shape).reshape(-1)
        for begin in range(0, first.size, 1 << 22):
            part = slice(begin, begin + (1 << 22))
            stop = int(first[part][-1] + length[part][-1])
            expected = np.repeat(found["rank"][part], length[part])
            if not np.array_equal(volume[int(first[part][0]) : stop], expected):
                raise _DifferenceError("its voxels differ from the runs in the database")

    def _check_atlas(self, blobs: dict[str, Blob]) -> None:
        """Compare the atlas's row with its structures and its annotation."""
        *shape, root_id = self._rows(
            "SELECT shape_ap, shape_si, shape_rl, root_id FROM main.atlas WHERE atlas_id = ?"
        )[0]
        if tuple(shape) != blobs["annotation"].shape:
            raise _DifferenceError(
                f"its shape is {shape}, the annotation's {blobs['annotation'].shape}"
            )
        roots = self._rows(
            "SELECT structure_id FROM main.structure WHERE atlas_id = ? AND parent_id IS NULL"
        )
        if roots != [(root_id,)]:
            raise _DifferenceError(f"its root_id is {root_id}, the structures' root {roots}")

    def _check_meshes(self) -> None:
        """Compare every mesh file with its row."""
        wrong = self._meshes_without_rows()
        for path, *known in self._rows(
            "SELECT path, bytes, vertices, triangles, sha256 FROM main.mesh WHERE atlas_id = ?"
        ):
            try:
                MeshFile(self.home.folder / path, *known).check()
            except BlobError as error:
                wrong.append(str(error))
        if wrong:
            more = f" and {len(wrong) - _SOME_FILES:,} more" if len(wrong) > _SOME_FILES else ""
            raise _DifferenceError("; ".join(wrong[:_SOME_FILES]) + more)

    def _meshes_without_rows(self) -> list[str]:
        """Name the files that stand beside the atlas's meshes, or would, and have no row."""
        named = {path for (path,) in self._rows("SELECT path FROM main.mesh WHERE atlas_id = ?")}
        volumes = self._rows("SELECT path FROM main.volume WHERE atlas_id = ? LIMIT 1")
        if not volumes:
            return []
        beside = Path(volumes[0][0].replace("volumes/", "meshes/", 1)).parent
        found = (self.home.folder / beside).glob("*.obj")
        files = (f"{beside.as_posix()}/{path.name}" for path in found)
        return sorted(f"{file} has no row" for file in files if file not in named)

    def _check_label_values(self) -> None:
        """Compare the values that structures state with the labels that occur."""
        shared = self._rows(
            "SELECT label_value, list(acronym ORDER BY rank) FROM main.structure "
            "WHERE atlas_id = ? AND label_value IS NOT NULL "
            "GROUP BY label_value HAVING count(*) > 1 OR label_value = 0"
        )
        if shared:
            value, acronyms = shared[0]
            raise _DifferenceError(f"{value} stands for {' and '.join(acronyms)}")
        wrong = self._rows(
            "SELECT l.value FROM main.label AS l LEFT JOIN main.structure AS s "
            "ON s.atlas_id = l.atlas_id AND s.label_value = l.value "
            "WHERE l.atlas_id = ? AND s.structure_id IS DISTINCT FROM l.structure_id"
        )
        if wrong:
            raise _DifferenceError(
                f"label {wrong[0][0]} is another structure's than the one whose value it is"
            )

    def _check_references(self) -> None:
        """Find rows that name a structure or an atlas that is not there."""
        for table in ("structure_closure", "structure_extent", "label", "mesh", "finding"):
            column = "descendant_id" if table == "structure_closure" else "structure_id"
            lost = self._rows(
                f"SELECT count(*) FROM main.{table} AS t "  # noqa: S608 (our own names)
                f"ANTI JOIN main.structure AS s ON s.atlas_id = t.atlas_id "
                f"AND s.structure_id = t.{column} "
                f"WHERE t.atlas_id = ? AND t.{column} IS NOT NULL"
            )[0][0]
            if lost:
                raise _DifferenceError(
                    f"{lost:,} rows of {table} name structures that are not there"
                )
        for table in TABLES:
            stray = self.connection.execute(
                f"SELECT count(*) FROM main.{table} "  # noqa: S608 (our own names)
                "WHERE atlas_id NOT IN (SELECT atlas_id FROM main.atlas)"
            ).fetchall()[0][0]
            if stray:
                raise _DifferenceError(f"{stray:,} rows of {table} belong to no atlas")


def _attempt(subject: str, work: Callable[[], object]) -> CheckResult:
    """Run a check and turn what it raises into its result."""
    try:
        work()
    except _PROBLEMS as error:
        return CheckResult(subject, _reason(error))
    return CheckResult(subject)


def _reason(error: BaseException) -> str:
    """Return one line; a missing key is a missing volume."""
    text = f"there is no {error} volume" if type(error) is KeyError else str(error)
    return text.splitlines()[0] if text else type(error).__name__
