"""Databases of bare trees: a hierarchy and its voxel counts, without volumes or files."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np
import pyarrow as pa

from atlasdb import migrate, rows
from atlasdb.hierarchy import Hierarchy
from atlasdb.structures import StructureTable
from atlasdb.views import create_views

if TYPE_CHECKING:
    from pathlib import Path

ATLAS = "tree_1um"


@dataclass
class Tree:
    """Structures with the slow, obvious answers to all that is asked of them.

    Children come after their parents; siblings keep the list's order.
    """

    ids: list[int]
    parents: list[int | None]
    direct_voxels: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.direct_voxels = self.direct_voxels or [0] * len(self.ids)
        self.parent_of = dict(zip(self.ids, self.parents, strict=True))
        self.voxels_of = dict(zip(self.ids, self.direct_voxels, strict=True))
        self._children: dict[int | None, list[int]] = {}
        for child, parent in self.parent_of.items():
            self._children.setdefault(parent, []).append(child)

    @property
    def root(self) -> int:
        return self._children[None][0]

    def path(self, node: int) -> list[int]:
        """Return the node's ancestors and itself, root first, by climbing."""
        path = [node]
        while (parent := self.parent_of[path[0]]) is not None:
            path.insert(0, parent)
        return path

    def depth(self, node: int) -> int:
        return len(self.path(node)) - 1

    @cached_property
    def height(self) -> int:
        return max(map(self.depth, self.ids))

    def children(self, node: int) -> list[int]:
        return self._children.get(node, [])

    def subtree(self, node: int) -> list[int]:
        """Return the node and its descendants, depth-first."""
        found, stack = [], [node]
        while stack:
            found.append(stack.pop())
            stack += reversed(self.children(found[-1]))
        return found

    def leaves(self, node: int) -> list[int]:
        return [i for i in self.subtree(node) if not self.children(i)]

    def siblings(self, node: int) -> list[int]:
        parent = self.parent_of[node]
        return [] if parent is None else [i for i in self.children(parent) if i != node]

    def voxels(self, node: int) -> int:
        return sum(self.voxels_of[i] for i in self.subtree(node))

    def acronym(self, node: int) -> str:
        return f"S{node}"

    @cached_property
    def table(self) -> StructureTable:
        hierarchy = Hierarchy.from_parents(self.ids, self.parents)
        ordered = hierarchy.ids.tolist()
        return StructureTable(
            hierarchy=hierarchy,
            acronyms=tuple(map(self.acronym, ordered)),
            names=tuple(f"structure {i}" for i in ordered),
            rgb=np.zeros((len(ordered), 3), dtype=np.uint8),
            label_values=hierarchy.ids,
        )


class TreeDatabase:
    """A database in one file in which trees take turns."""

    def __init__(self, path: Path) -> None:
        migrate.upgrade_file(path)
        self.connection = duckdb.connect(str(path))
        create_views(self.connection)

    def load(self, tree: Tree) -> None:
        """Put a tree in the place of the one before."""
        for table in ("atlas", "structure", "structure_closure", "structure_extent", "label"):
            self.connection.execute(f"TRUNCATE main.{table}")
        voxels = sum(tree.direct_voxels)
        self.connection.execute(
            "INSERT INTO main.atlas SELECT 1, $name, '1.0', 1, 0, '', '', '', 'asr', 'asr', true, "
            "1, 1, 1, $voxels + 5, 1, 1, $root, '', '', NULL, now()::TIMESTAMP, '', '{}', NULL",
            {"name": ATLAS, "voxels": voxels, "root": tree.root},
        )
        order = tree.table.hierarchy.ids.tolist()
        direct = np.array([tree.voxels_of[i] for i in order], dtype=np.int64)
        total = tree.table.hierarchy.subtree_sum(direct)
        extent: dict[str, Any] = {
            "structure_id": order,
            "hemisphere": pa.array(["both"] * len(order)),
            "direct_voxels": direct,
            "voxels": total,
            "volume_mm3": total / 1e9,
        }
        used = np.flatnonzero(direct)
        label: dict[str, Any] = {
            "value": np.array(order)[used],
            "rank": used + 1,
            "structure_id": np.array(order)[used],
            "voxels": direct[used],
        }
        tables = {
            "structure": rows.structure_rows(tree.table),
            "structure_closure": rows.closure_rows(tree.table),
            "structure_extent": pa.table(extent),
            "label": pa.table(label),
        }
        for table, content in tables.items():
            self.connection.register("_rows", content)
            self.connection.execute(
                f"INSERT INTO main.{table} BY NAME SELECT 1 AS atlas_id, * FROM _rows"
            )
            self.connection.unregister("_rows")

    def ask(self, sql: str, **parameters: object) -> list[tuple[Any, ...]]:
        """Run SQL in which ``$atlas`` is the tree's."""
        used = {name: value for name, value in parameters.items() if f"${name}" in sql}
        return self.connection.execute(sql, used | {"atlas": ATLAS}).fetchall()

    def column(self, sql: str, **parameters: object) -> list[Any]:
        """Run SQL and return its first column."""
        return [row[0] for row in self.ask(sql, **parameters)]
