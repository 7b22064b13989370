"""Arrays to rows: what the ingest computed, as Arrow tables shaped like the database's.

The one idea: one function a table, columns named as in `atlasdb.models`, all but ``atlas_id``,
which the database gives.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from atlasdb.runs import HEMISPHERES, LEFT, NEITHER
from atlasdb.structures import NO_LABEL

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from atlasdb.findings import Finding
    from atlasdb.meshes import MeshFile
    from atlasdb.runs import Extents, RankedLabels, Runs
    from atlasdb.structures import StructureTable
    from atlasdb.volumes import Blob

_AXES = ("ap", "si", "rl")


def structure_rows(structures: StructureTable) -> pa.Table:
    """Return the rows of ``structure``, in rank order."""
    tree = structures.hierarchy
    is_root = tree.parent_rank == 0
    return pa.table(
        {
            "structure_id": tree.ids,
            "acronym": pa.array(structures.acronyms, pa.string()),
            "name": pa.array(structures.names, pa.string()),
            "parent_id": pa.array(tree.ids[tree.parent_rank - 1], mask=is_root),
            "depth": tree.depth,
            "rank": tree.rank,
            "last_rank": tree.last_rank,
            "red": structures.rgb[:, 0],
            "green": structures.rgb[:, 1],
            "blue": structures.rgb[:, 2],
            "path": _paths(structures),
            "label_value": pa.array(
                structures.label_values, mask=structures.label_values == NO_LABEL
            ),
        }
    )


def _paths(structures: StructureTable) -> pa.ListArray:
    """Return each structure's path: the acronyms from the root to itself."""
    closure = structures.hierarchy.closure()
    order = np.lexsort((-closure.distance, closure.descendant))
    lengths = structures.hierarchy.depth + 1
    return pa.ListArray.from_arrays(
        np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32),
        pa.array(structures.acronyms, pa.string()).take(pa.array(closure.ancestor[order] - 1)),
    )


def closure_rows(structures: StructureTable) -> pa.Table:
    """Return the rows of ``structure_closure``."""
    ids = structures.hierarchy.ids
    closure = structures.hierarchy.closure()
    return pa.table(
        {
            "ancestor_id": ids[closure.ancestor - 1],
            "descendant_id": ids[closure.descendant - 1],
            "distance": closure.distance,
        }
    )


def extent_rows(
    structures: StructureTable, extents: Extents, resolution_um: Sequence[float]
) -> pa.Table:
    """Return the rows of ``structure_extent``: each structure's 'both', 'left' and 'right'."""
    n = len(structures)
    edge = np.array(resolution_um)
    empty = (extents.voxels == 0).T.reshape(-1)

    def flat(values: NDArray[Any]) -> NDArray[Any]:
        return np.ascontiguousarray(np.swapaxes(values, 0, 1)).reshape(3 * n, *values.shape[2:])

    columns: dict[str, Any] = {
        "structure_id": np.repeat(structures.hierarchy.ids, 3),
        "hemisphere": pa.array(np.tile(np.array(HEMISPHERES), n)),
        "direct_voxels": flat(extents.direct_voxels),
        "voxels": flat(extents.voxels),
        "volume_mm3": flat(extents.voxels) * edge.prod() / 1e9,
    }
    positions = {
        "centroid": extents.centroid * edge,
        "bbox_min": extents.lowest * edge,
        "bbox_max": (extents.highest + 1) * edge,
    }
    for name, values in positions.items():
        for axis, letters in enumerate(_AXES):
            columns[f"{name}_{letters}_um"] = pa.array(flat(values)[:, axis], mask=empty)
    return pa.table(columns)


def label_rows(labels: RankedLabels) -> pa.Table:
    """Return the rows of ``label``."""
    return pa.table(
        {
            "value": labels.values,
            "rank": labels.rank,
            "structure_id": pa.array(labels.structure_id, mask=~labels.known),
            "voxels": labels.voxels,
        }
    )


def run_rows(runs: Runs, labels: RankedLabels) -> pa.Table:
    """Return the rows of ``annotation_run``, in voxel order."""
    sides = pa.array((runs.hemisphere - LEFT).astype(np.int8) % 2, mask=runs.hemisphere == NEITHER)
    return pa.table(
        {
            "line": runs.line,
            "start": runs.start,
            "rank": labels.run_rank,
            "hemisphere": pa.DictionaryArray.from_arrays(sides, ["left", "right"]),
        }
    )


def volume_rows(blobs: Sequence[Blob], folder: str) -> pa.Table:
    """Return the rows of ``volume`` for files in `folder`, relative to the home."""
    columns: dict[str, Any] = {
        "kind": [blob.kind for blob in blobs],
        "path": [f"{folder}/{blob.path.name}" for blob in blobs],
        "dtype": [blob.dtype for blob in blobs],
    }
    for axis, letters in enumerate(_AXES):
        columns[f"shape_{letters}"] = [blob.shape[axis] for blob in blobs]
    columns["bytes"] = [blob.bytes for blob in blobs]
    columns["sha256"] = [blob.sha256 for blob in blobs]
    return pa.table(columns)


def mesh_rows(meshes: Mapping[int, MeshFile], folder: str) -> pa.Table:
    """Return the rows of ``mesh`` for files in `folder`, relative to the home."""
    ids = sorted(meshes)
    return pa.table(
        {
            "structure_id": pa.array(ids, pa.int64()),
            "path": pa.array([f"{folder}/{structure_id}.obj" for structure_id in ids], pa.string()),
            "vertices": pa.array([meshes[i].vertices for i in ids], pa.int64()),
            "triangles": pa.array([meshes[i].triangles for i in ids], pa.int64()),
            "bytes": pa.array([meshes[i].bytes for i in ids], pa.int64()),
            "sha256": pa.array([meshes[i].sha256 for i in ids], pa.string()),
        }
    )


def finding_rows(findings: Sequence[Finding], first: int = 1) -> pa.Table:
    """Return the rows of ``finding``, numbered from `first`."""
    return pa.table(
        {
            "number": pa.array(range(first, first + len(findings)), pa.int64()),
            "code": pa.array([f.code for f in findings], pa.string()),
            "severity": pa.array([f.severity for f in findings], pa.string()),
            "structure_id": pa.array([f.structure_id for f in findings], pa.int64()),
            "detail": pa.array([f.detail for f in findings], pa.string()),
        }
    )
