"""Findings: what is odd about an atlas, kept with it and never passed over in silence.

The one idea: a published atlas is ingested as it is, and every doubt about it becomes a row of the
table ``finding`` with a code that can be asked for in SQL. `CODES` lists them all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["warning", "info"]

CODES: dict[str, tuple[Severity, str]] = {
    "label_without_structure": ("warning", "a label value of the annotation has no structure"),
    "structure_without_voxels": ("warning", "no voxel bears the structure or a descendant"),
    "mesh_missing": ("warning", "the structure has no mesh file"),
    "mesh_unreadable": ("warning", "a mesh file has no vertices or no faces; left out"),
    "mesh_without_structure": ("warning", "a mesh file belongs to no structure; left out"),
    "unexpected_dtype": ("warning", "a volume's type is not the format's"),
    "volume_missing": ("warning", "a volume that the metadata promise is not there"),
    "volume_shape": ("warning", "an optional volume has another shape; left out"),
    "hemispheres_missing": ("warning", "declared asymmetric, without a hemisphere volume"),
    "hemisphere_values": ("warning", "the hemisphere volume has values beside 0, 1 and 2"),
    "hemispheres_disagree": ("warning", "declared symmetric, but its hemisphere volume is not"),
    "root_name": ("warning", "the root's acronym is not 'root'"),
    "duplicate_acronym": ("warning", "several structures bear the same acronym"),
    "asymmetric_labels": ("warning", "declared symmetric, but its sides differ by over 10 %"),
    "name_disagrees": ("warning", "the folder's name contradicts metadata.json"),
    "level_displaced": ("warning", "a pyramid's level begins elsewhere than its finest one"),
    "chunks_unconfirmed": (
        "warning",
        "chunks are not there, and nobody says that they need not be",
    ),
    "chunks_absent": ("info", "chunks are not there, as the source says: they hold 0 throughout"),
    "parts_left_out": ("info", "meshes or references were left out, as was asked for"),
    "reoriented": ("info", "the source has another orientation; turned to 'asr'"),
}
"""Each code's severity and meaning."""


@dataclass(frozen=True)
class Finding:
    """One observation of the ingest check.

    Attributes
    ----------
    code
        A key of `CODES`.
    detail
        A sentence with the figures.
    structure_id
        The structure that it is about, if it is about one.
    """

    code: str
    detail: str
    structure_id: int | None = None

    @property
    def severity(self) -> Severity:
        """'warning' (refused by ``--strict``) or 'info'."""
        return CODES[self.code][0]
