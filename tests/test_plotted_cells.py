"""Cells over planes: each cell in its place, none lost unsaid; densities counted by hand."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pictures import axes_called, check_axes, check_texts, plane_axes

import atlasdb
from atlasdb.cells.columns import Stated
from atlasdb.cells.reading import open_points
from atlasdb.plots import Picture, plot_cells
from atlasdb.plots.sections import SECTIONS
from atlasdb.plots.style import PALETTE

ATLAS = "phantom_mouse_100um"


def many(n: int = 5000, seed: int = 1) -> pa.Table:
    chance = np.random.default_rng(seed)
    return pa.table(
        {
            "ap_um": chance.uniform(-500, 13_700, n),
            "si_um": chance.uniform(-500, 8_500, n),
            "rl_um": chance.uniform(-500, 11_900, n),
            "animal": chance.choice(["m1", "m2", "m3"], n),
            "score": chance.uniform(0, 1, n),
        }
    )


def points_of(table: pa.Table) -> np.ndarray:
    return np.column_stack([table[name].to_numpy() for name in ("ap_um", "si_um", "rl_um")])


def drawn(picture: Picture, kind: str, number: int = 0) -> np.ndarray:
    """Return where points are drawn, along and down, mm; rings are drawn twice."""
    axes = plane_axes(picture)[number]
    found = [c for c in axes.collections if c.get_gid() == kind]
    return np.asarray(found[0].get_offsets())


def in_order(points: np.ndarray) -> np.ndarray:
    return points[np.lexsort(points.T)]


@pytest.mark.parametrize("section", SECTIONS)
def test_cells_of_the_slab_and_no_others(full: atlasdb.Database, section: str) -> None:
    atlas = full.atlas(ATLAS)
    table = many()
    picture = plot_cells(atlas, table, section, at_um=4000, thickness_um=300)
    points = points_of(table)
    way = SECTIONS[section]
    along = points[:, way.axis]
    near = points[(along >= 3850) & (along < 4150)]
    place = near[:, [way.columns, way.rows]] / 1e3
    status = atlas.voxels.lookup(near).statuses
    inside = status == 0
    assert np.allclose(in_order(drawn(picture, "cells")), in_order(place[inside]))
    assert np.allclose(in_order(drawn(picture, "cells-elsewhere")), in_order(place[~inside]))
    (axes,) = plane_axes(picture)
    (x0, x1), (y1, y0) = axes.get_xlim(), axes.get_ylim()
    beyond = (place < (x0, y0)).any(axis=1) | (place >= (x1, y1)).any(axis=1)
    assert picture.caption.endswith(
        f"{len(near)} of 5,000 cells, 150 µm from the plane at most; "
        f"{beyond.sum()} of these lie beyond the picture"
    )
    check_texts(picture)
    check_axes(picture)


def test_the_slab_s_far_face_is_outside(full: atlasdb.Database) -> None:
    cells = np.array([[4950.0, 4000, 5000], [5050, 4000, 5000], [5049.99, 4000, 5000]])
    picture = plot_cells(full.voxels(ATLAS), cells, at_um=5000, unit="um")
    assert ": 2 of 3 cells, 50 µm" in picture.caption


def test_a_series_has_every_cell_once(full: atlasdb.Database) -> None:
    voxels = full.voxels(ATLAS)
    table = many()
    picture = plot_cells(voxels, table, planes=7, width_mm=183, names=False)
    shown = sum(
        len(drawn(picture, kind, number))
        for number in range(7)
        for kind in ("cells", "cells-elsewhere")
    )
    along = table["ap_um"].to_numpy()
    at = [
        float(str(axes.get_gid()).removeprefix("plane-")) * 100 + 50 for axes in plane_axes(picture)
    ]
    middles = [(a + b) / 2 for a, b in pairwise(at)]
    first, last = 2 * at[0] - middles[0], 2 * at[-1] - middles[-1]
    assert shown == ((along >= first) & (along < last)).sum()
    root = np.flatnonzero(voxels.mask("root").any(axis=(1, 2)))
    assert first <= root[0] * 100 + 100
    assert last >= root[-1] * 100
    check_axes(picture)


def test_cells_have_the_colour_of_their_structure(full: atlasdb.Database) -> None:
    atlas = full.atlas(ATLAS)
    table = many()
    depth = 3
    picture = plot_cells(atlas, table, at_um=6950, thickness_um=400, depth=depth)
    (axes,) = plane_axes(picture)
    (collection,) = [c for c in axes.collections if c.get_gid() == "cells"]
    places = np.asarray(collection.get_offsets())
    colours = np.asarray(collection.get_facecolors())[:, :3]  # type: ignore[attr-defined]
    points = points_of(table)
    for place, colour in zip(places, colours, strict=True):
        (index,) = np.flatnonzero(
            np.isclose(points[:, [2, 1]] / 1e3, place).all(axis=1)
            & (np.abs(points[:, 0] - 6950) <= 200)
        )
        found = atlas.structure_from_coords(tuple(points[index]), microns=True)
        path = atlas.structures[found]["structure_id_path"]
        rgb = atlas.structures[path[min(depth, len(path) - 1)]]["rgb_triplet"]
        assert np.allclose(colour * 255, rgb)
    assert len(places) > 30


def test_cells_by_sample(full: atlasdb.Database) -> None:
    table = many().append_column("batch", pa.array([None, "a"] * 2500))
    picture = plot_cells(full.voxels(ATLAS), table, at_um=5000, thickness_um=500, color="animal")
    texts = [text.get_text() for text in picture.figure.texts]
    assert {"m1", "m2", "m3", "in no structure"} <= set(texts)
    (collection,) = [c for c in plane_axes(picture)[0].collections if c.get_gid() == "cells"]
    from matplotlib.colors import to_rgb

    colours = {tuple(colour[:3]) for colour in np.asarray(collection.get_facecolor())}
    assert colours == {to_rgb(colour) for colour in PALETTE[:3]}
    by_batch = plot_cells(full.voxels(ATLAS), table, at_um=5000, color="batch")
    assert {"a", "none"} <= {text.get_text() for text in by_batch.figure.texts}
    with pytest.raises(atlasdb.PictureError, match="score has .* values, and 8 colours"):
        plot_cells(full.voxels(ATLAS), table, at_um=5000, thickness_um=900, color="score")
    with pytest.raises(atlasdb.PointsError, match="no column 'animl'; did you mean animal"):
        plot_cells(full.voxels(ATLAS), table, color="animl")


@pytest.mark.parametrize("section", SECTIONS)
def test_densities_by_hand(full: atlasdb.Database, section: str) -> None:
    """Cells of a square, over its volume; of a slab that is half outside, over half of that."""
    voxels = full.voxels("phantom_anisotropic_mouse_200um")
    way = SECTIONS[section]
    chance = np.random.default_rng(4)
    points = chance.uniform(0, 1, (4000, 3)) * voxels.grid.extent_um
    points[:, way.axis] *= 0.05
    at_um = 100.0
    picture = plot_cells(
        voxels, points, section, at_um=at_um, thickness_um=400, color="density", bin_um=500,
        unit="um",
    )  # fmt: skip
    (axes,) = plane_axes(picture)
    (image,) = [i for i in axes.images if i.get_gid() == "density"]
    shown: Any = image.get_array()
    near = points[points[:, way.axis] < 300]
    sizes = [voxels.grid.extent_um[axis] for axis in (way.rows, way.columns)]
    expected = np.zeros(shown.shape[:2])
    for point in near:
        row, column = int(point[way.rows] // 500), int(point[way.columns] // 500)
        down, along = (min(500, s - 500 * n) for s, n in zip(sizes, (row, column), strict=True))
        expected[row, column] += 1 / (300 * down * along / 1e9)
    assert np.array_equal(shown[..., 3] > 0, expected > 0)
    (bar,) = axes_called(picture, "colour-bar")
    assert bar.get_ylabel() == "cells per mm³"
    assert bar.get_ylim()[1] == pytest.approx(expected.max())
    from matplotlib import colormaps

    wanted = colormaps["viridis"](expected / expected.max())[..., :3]
    assert np.allclose(shown[..., :3][expected > 0], wanted[expected > 0], atol=0.01)


def test_no_cell_near(full: atlasdb.Database) -> None:
    for color in ("structure", "density"):
        picture = plot_cells(
            full.voxels(ATLAS), np.array([[1.0, 1, 1]]), at_um=9000, unit="um", color=color,
            log=True,
        )  # fmt: skip
        assert ": 0 of 1 cells" in picture.caption
        assert picture.to_bytes()


def test_cells_without_coordinates_are_told(full: atlasdb.Database) -> None:
    table = pa.table({"ap_um": [5000, None], "si_um": [4000, 1.0], "rl_um": [3000.0, 1.0]})
    picture = plot_cells(full.voxels(ATLAS), table, at_um=5000)
    assert picture.caption.endswith(
        "1 of 2 cells, 50 µm from the plane at most; 1 have no coordinates"
    )


def test_tables_in_other_coordinates(full: atlasdb.Database, tmp_path: Path) -> None:
    """From the left, in voxels, from a file that was opened before: the same places."""
    voxels = full.voxels(ATLAS)
    points = np.array([[4950.0, 4150, 3150], [5000.0, 4150, 9000]])
    own = drawn(plot_cells(voxels, points, at_um=5000, unit="um"), "cells")
    mirrored = points.copy()
    mirrored[:, 2] = 11400 - mirrored[:, 2]
    left = plot_cells(voxels, mirrored, at_um=5000, unit="um", orientation="asl")
    assert np.allclose(drawn(left, "cells"), own)
    in_mm = plot_cells(voxels, points / 1e3, at_um=5000, unit="mm")
    assert np.allclose(drawn(in_mm, "cells"), own)
    file = tmp_path / "cells.csv"
    file.write_text("a,b,c\n4950,4150,3150\n5000,4150,9000\n")
    opened = open_points([str(file)], Stated(("a", "b", "c"), "um", None, None))
    assert np.allclose(drawn(plot_cells(voxels, opened, at_um=5000), "cells"), own)


def test_slabs_that_overlap_have_no_cell_twice(full: atlasdb.Database) -> None:
    cells = np.array([[5005.0, 4150, 3150], [5000, 4150, 9000], [9000, 4150, 9000]])
    picture = plot_cells(full.voxels(ATLAS), cells, at_um=[5000, 5010], unit="um")
    assert ": 2 of 3 cells, 50 µm from the planes at most" in picture.caption


def test_hollow_cells_keep_their_sample_s_colour(full: atlasdb.Database) -> None:
    table = many().append_column("kind", pa.array(["a"] * 5000))
    picture = plot_cells(full.voxels(ATLAS), table, at_um=5000, color="kind")
    rings = [c for c in plane_axes(picture)[0].collections if c.get_gid() == "cells-elsewhere"]
    from matplotlib.colors import to_rgb

    assert {tuple(row[:3]) for row in np.asarray(rings[1].get_edgecolor())} == {to_rgb(PALETTE[0])}


def test_slabs_that_there_are_not(full: atlasdb.Database) -> None:
    for wanted, message in (
        ({"thickness_um": 0}, "thicker than 0 µm, not 0"),
        ({"color": "density", "bin_um": 0}, "wider than 0 µm"),
        ({"color": "density", "bin_um": 0.5}, "squares of 0.5 µm are .* too many"),
        ({"size_pt": -1}, "points are larger than 0, not -1"),
        ({"size_pt": 0}, "points are larger than 0, not 0"),
        ({"at_um": "middle"}, "a plane lies at a number of microns, not at 'middle'"),
        ({"structures": []}, "no structure is named"),
        ({"at_um": -4}, "no frontal plane at -4 µm"),
        ({"opacity": -1}, "opacity is from 0 to 1"),
    ):
        with pytest.raises(atlasdb.AtlasDBError, match=message):
            plot_cells(full.voxels(ATLAS), many(10), **wanted)


@pytest.mark.real
def test_real_cells_in_the_real_atlas(real: atlasdb.Database, packages: Path) -> None:
    file = packages.parent / "cells" / "brainrender_paper_cells_asr_um.csv"
    atlas = real.atlas("allen_mouse_100um")
    picture = plot_cells(atlas, file, at_um=7000, thickness_um=1000, depth=5)
    columns = np.genfromtxt(file, delimiter=",", skip_header=1, usecols=(0, 1, 2))
    near = columns[(columns[:, 0] >= 6500) & (columns[:, 0] < 7500)]
    assert f"{len(near):,} of 11,417 cells" in picture.caption
    shown = sum(len(drawn(picture, kind)) for kind in ("cells", "cells-elsewhere"))
    assert shown == len(near)
    check_axes(picture)
