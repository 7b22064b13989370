"""What is at points, by indexing the annotation file: the obvious slow way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import tifffile

if TYPE_CHECKING:
    from numpy.typing import NDArray

    import atlasdb


class Oracle:
    """The answers of one atlas by indexing its annotation file, a point at a time in spirit."""

    def __init__(self, db: atlasdb.Database, atlas: str) -> None:
        self.atlas = atlas
        row = db.sql(f'FROM "{atlas}".atlas').to_pylist()[0]
        self.edge = np.array([row[f"resolution_{axis}_um"] for axis in ("ap", "si", "rl")])
        self.shape = np.array([row[f"shape_{axis}"] for axis in ("ap", "si", "rl")])
        paths = {r["kind"]: r["path"] for r in db.sql(f'FROM "{atlas}".volume').to_pylist()}
        self.annotation = tifffile.imread(db.home.folder / paths["annotation"])
        sides = np.full(self.shape, 1)
        sides[:, :, : self.shape[2] // 2] = 2
        if "hemispheres" in paths and not row["symmetric"]:
            sides = tifffile.imread(db.home.folder / paths["hemispheres"])
        self.sides = sides
        structures = db.sql(f'FROM "{atlas}".structure').to_pylist()
        self.acronyms = {s["structure_id"]: s["acronym"] for s in structures}

    def __call__(self, points: NDArray[Any]) -> list[dict[str, Any]]:
        """Return the answers for (N, 3) points in microns; NaN stands for NULL too."""
        found = []
        for point in points:
            index = np.floor(point / self.edge)
            if not bool(np.all((index >= 0) & (index < self.shape))):
                found.append(self._row(None, None, None, "outside"))
                continue
            i, j, k = index.astype(int)
            label, side = int(self.annotation[i, j, k]), int(self.sides[i, j, k])
            hemisphere = {1: "left", 2: "right"}.get(side)
            if label in self.acronyms:
                found.append(self._row(label, label, hemisphere, "inside"))
            else:
                found.append(self._row(None, label, None, "unlabelled" if label else "background"))
        return found

    def _row(
        self, structure_id: int | None, label: int | None, hemisphere: str | None, status: str
    ) -> dict[str, Any]:
        return {
            "structure_id_at": structure_id,
            "acronym_at": None if structure_id is None else self.acronyms[structure_id],
            "hemisphere_at": hemisphere,
            "label_at": label,
            "status_at": status,
        }


def many_points(oracle: Oracle, count: int, seed: int) -> NDArray[Any]:
    """Return points in and around a volume, on faces of voxels, NaN and infinite."""
    chance = np.random.default_rng(seed)
    size = oracle.edge * oracle.shape
    points: NDArray[Any] = chance.uniform(-0.2, 1.2, (count, 3)) * size
    on_faces = chance.integers(0, 4, count) == 0
    points[on_faces] = (np.round(points / oracle.edge) * oracle.edge)[on_faces]
    odd = chance.integers(0, count, (6, max(count // 200, 1)))
    for rows, value in zip(odd, (np.nan, np.inf, -np.inf, -0.0, -1e-9, 1e300), strict=True):
        points[rows, chance.integers(0, 3, rows.size)] = value
    return points
