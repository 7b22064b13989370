"""Any order of commands: the home against a model in plain Python, step by step."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from small import RESOLUTION_UM, SHAPE, TREE, SmallAtlas, labels

import atlasdb
from atlasdb.errors import (
    AtlasInUseError,
    CellTableError,
    QueryError,
    UnknownAtlasError,
    UnknownCellTableError,
)

NAME = "small_rat_50um"
OFFERED = "1.9"
"""The version that the mirror has."""

versions = st.sampled_from(["1.2", "1.9", "1.10"])
seeds = st.integers(0, 2)
tables = st.sampled_from(["one", "two"])
PARENTS = {structure_id: parent for structure_id, _, parent in TREE}


@dataclass
class Cells:
    """A registered table, as the model has it."""

    version: str
    points: Any
    seed: int  # of the annotation that it was annotated with


def number(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


def found_at(seed: int, points: Any) -> list[int | None]:
    """Return the structure at each point by a loop, None in the background and outside."""
    volume = labels(seed)
    found: list[int | None] = []
    for point in points:
        index = [int(np.floor(x / r)) for x, r in zip(point, RESOLUTION_UM, strict=True)]
        inside = all(0 <= i < n for i, n in zip(index, SHAPE, strict=True))
        found.append((int(volume[tuple(index)]) or None) if inside else None)
    return found


def counted(found: list[int | None]) -> dict[int, int]:
    """Return how many points are in each structure or below it, by climbing."""
    counts: dict[int, int] = {}
    for structure_id in found:
        above = structure_id
        while above is not None:
            counts[above] = counts.get(above, 0) + 1
            above = PARENTS[above]
    return counts


class Home(RuleBasedStateMachine):
    """Ingests, removals, updates, tables of cells, moves of the home, and questions."""

    @initialize()
    def begin(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.db = atlasdb.connect(self.folder / "home")
        self.atlases: dict[str, int] = {}
        self.cells: dict[str, Cells] = {}
        mirror = self.folder / "mirror"
        archive = SmallAtlas(version=OFFERED, annotation=labels(1)).archive(self.folder / "made")
        mirror.mkdir()
        archive.replace(mirror / archive.name)
        (mirror / "last_versions.conf").write_text(f"[atlases]\n{NAME} = {OFFERED}\n")

    def package(self, version: str, seed: int) -> str:
        parent = self.folder / str(seed)
        folder = parent / f"{NAME}_v{version}"
        if not folder.exists():
            SmallAtlas(version=version, annotation=labels(seed)).write(parent)
        return str(folder)

    def newest(self) -> str:
        return max(self.atlases, key=number)

    def outdated(self, table: str) -> bool:
        cells = self.cells[table]
        return self.atlases[cells.version] != cells.seed

    def did(self, command: str) -> None:
        """For whoever counts commands."""

    @rule(version=versions, seed=seeds, force=st.booleans())
    def ingest(self, version: str, seed: int, force: bool) -> None:
        self.did("ingest")
        report = self.db.ingest(self.package(version, seed), force=force)
        was_there = version in self.atlases
        assert report.status == (
            "ingested" if not was_there else "replaced" if force else "present"
        )
        if force or not was_there:
            self.atlases[version] = seed
        if report.status == "replaced":
            mine = {name for name, cells in self.cells.items() if cells.version == version}
            assert set(report.outdated) == {name for name in mine if self.outdated(name)}

    @rule(version=versions)
    def remove(self, version: str) -> None:
        self.did("remove")
        pinned = [name for name, cells in self.cells.items() if cells.version == version]
        if version not in self.atlases:
            with pytest.raises((UnknownAtlasError, atlasdb.HomeNotFoundError)):
                self.db.remove(f"{NAME}@{version}")
        elif pinned:
            with pytest.raises(AtlasInUseError, match=f"cells.{pinned[0]}|cells.{pinned[-1]}"):
                self.db.remove(f"{NAME}@{version}")
        else:
            self.db.remove(f"{NAME}@{version}")
            del self.atlases[version]

    @precondition(lambda self: self.atlases)
    @rule(prune=st.booleans())
    def update(self, prune: bool) -> None:
        self.did("update")
        (report,) = self.db.update(NAME, source=str(self.folder / "mirror"), prune=prune)
        newest = self.newest()
        later = number(OFFERED) > number(newest)
        assert report.status == ("updated" if later else "current")
        if later:
            self.atlases[OFFERED] = 1
        kept = {cells.version for cells in self.cells.values()} | {self.newest()}
        if prune:
            self.atlases = {v: seed for v, seed in self.atlases.items() if v in kept}

    @precondition(lambda self: self.atlases)
    @rule(table=tables, count=st.integers(0, 40), seed=seeds, force=st.booleans())
    def add_cells(self, table: str, count: int, seed: int, force: bool) -> None:
        self.did("add cells")
        points = np.random.default_rng(seed).uniform(-20, 220, (count, 3)) * (1, 0.3, 0.35)
        given = pa.table(dict(zip(("ap_um", "si_um", "rl_um"), points.T, strict=True)))
        if table in self.cells and not force:
            with pytest.raises(CellTableError, match=f"cells.{table} is there already"):
                self.db.add_cells(table.upper(), given, NAME)
            return
        done = self.db.add_cells(table, given, NAME, force=force)
        assert done.tally.total == count
        version = self.newest()
        self.cells[table] = Cells(version, points, self.atlases[version])

    @rule(table=tables)
    def refresh_cells(self, table: str) -> None:
        self.did("refresh cells")
        if table not in self.cells:
            with pytest.raises((UnknownCellTableError, atlasdb.HomeNotFoundError)):
                self.db.refresh_cells(table)
            return
        self.db.refresh_cells(table)
        self.cells[table].seed = self.atlases[self.cells[table].version]

    @rule(table=tables)
    def remove_cells(self, table: str) -> None:
        self.did("remove cells")
        if self.cells.pop(table, None) is None:
            with pytest.raises((UnknownCellTableError, atlasdb.HomeNotFoundError)):
                self.db.remove_cells(table)
        else:
            assert self.db.remove_cells(table) == table

    @precondition(lambda self: self.atlases)
    @rule(copies=st.booleans())
    def move(self, copies: bool) -> None:
        self.did("move")
        old, new = self.db.home.folder, Path(tempfile.mkdtemp(dir=self.folder)) / "home"
        if copies:
            shutil.copytree(old, new)
        else:
            old.rename(new)
        self.db = atlasdb.connect(new)

    @precondition(lambda self: self.atlases)
    @rule(version=versions, seed=seeds)
    def look_up(self, version: str, seed: int) -> None:
        self.did("look up")
        version = version if version in self.atlases else self.newest()
        points = np.random.default_rng(seed).uniform(-20, 220, (30, 3)) * (1, 0.3, 0.35)
        expected = found_at(self.atlases[version], points)
        arrays = self.db.voxels(f"{NAME}@{version}").structure_ids_at(points, outside=0)
        assert arrays.tolist() == [i or 0 for i in expected]
        for point, structure_id in zip(points[:3], expected, strict=False):
            (row,) = self.db.sql(
                f"SELECT structure_id_at('{NAME}@{version}', {', '.join(map(str, point))}) AS i"
            ).to_pylist()
            assert row["i"] == structure_id

    @precondition(lambda self: self.cells)
    @rule(table=tables)
    def ask_cells(self, table: str) -> None:
        self.did("ask cells")
        table = table if table in self.cells else next(iter(self.cells))
        cells = self.cells[table]
        if self.outdated(table):
            with pytest.raises(QueryError, match=f"atlasdb cells refresh {table}"):
                self.db.sql(f"SELECT count(*) FROM cells.{table}")
            return
        found = found_at(cells.seed, cells.points)
        rows = self.db.sql(f"SELECT structure_id FROM cells.{table}").to_pylist()
        assert [row["structure_id"] for row in rows] == found
        counts = self.db.sql(
            f"SELECT c.ancestor_id AS id, count(*) AS n FROM cells.{table} AS t "
            "JOIN main.structure_closure AS c ON c.atlas_id = t.atlas_id "
            "AND c.descendant_id = t.structure_id GROUP BY ALL"
        ).to_pylist()
        assert {row["id"]: row["n"] for row in counts} == counted(found)

    @precondition(lambda self: self.atlases)
    @rule()
    def check(self) -> None:
        self.did("check")
        outdated = [name for name in self.cells if self.outdated(name)]
        for version in self.atlases:
            mine = {f"cells.{n}" for n in outdated if self.cells[n].version == version}
            results = self.db.check(f"{NAME}@{version}")
            assert {result.subject for result in results if not result.ok} == mine

    @invariant()
    def lists(self) -> None:
        if not self.db.home.has_database():
            assert self.atlases == {}
            return
        listed = {row["version"] for row in self.db.atlases().to_pylist()}
        assert listed == set(self.atlases)
        named = {row["name"].removeprefix("cells.") for row in self.db.cell_tables().to_pylist()}
        assert named == set(self.cells)
        if self.atlases:
            volume = labels(self.atlases[self.newest()])
            values, counts = np.unique(volume[volume > 0], return_counts=True)
            rows = self.db.sql(f"SELECT value, voxels FROM {NAME}.label ORDER BY value").to_pylist()
            assert [row["value"] for row in rows] == values.tolist()
            assert [row["voxels"] for row in rows] == counts.tolist()

    def teardown(self) -> None:
        folder = getattr(self, "folder", None)
        if folder is None:
            return
        home = self.db.home.folder
        if self.db.home.has_database():
            blobs = {p.relative_to(home).as_posix() for p in home.glob("volumes/*/*/*")}
            rows = self.db.sql("SELECT DISTINCT parse_dirpath(path) AS p FROM main.volume")
            assert blobs == {row["p"] for row in rows.to_pylist()}
            assert not (home / "downloads").exists()
        shutil.rmtree(folder)


def test_any_order_of_commands() -> None:
    run_state_machine_as_test(
        Home,
        settings=settings(
            max_examples=6,
            stateful_step_count=16,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.explicit, Phase.generate],  # shrinking takes minutes; steps are printed
        ),
    )
