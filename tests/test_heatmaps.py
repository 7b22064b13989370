"""Heatmaps: each pixel's colour is that of the value which a slow loop finds for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from matplotlib import colormaps
from matplotlib.colors import LogNorm, Normalize, to_rgb
from matplotlib.path import Path as Shape
from pictures import axes_called, check_axes, check_texts, image_of, names_in, plane_axes
from test_slices import plane_of

import atlasdb
from atlasdb.plots import Picture, plot_heatmap
from atlasdb.plots.scales import Scale
from atlasdb.plots.style import DARK, LIGHT

ATLAS = "phantom_mouse_100um"
VALUES = {"CH": 2.5, "CP": 7.0, "TH": 0.0, "VIS": None}


def painted(
    atlas: atlasdb.Atlas, values: dict[int, dict[str, Any]], section: str, at_um: float
) -> np.ndarray:
    """Return the value of every pixel by climbing: NaN for none, -1 for no label at all.

    ``values`` are by hemisphere, 1 left and 2 right.
    """
    ids = plane_of(atlas, section, "annotation", at_um)
    sides = plane_of(atlas, section, "hemispheres", at_um)
    found = np.full(ids.shape, np.nan)
    for place in np.ndindex(ids.shape):
        if ids[place] == 0:
            found[place] = -1
            continue
        path = atlas.structures[int(ids[place])]["structure_id_path"]
        acronyms = [atlas.structures[i]["acronym"] for i in path]
        of_side = values.get(int(sides[place]), {})
        own = next((a for a in reversed(acronyms) if a in of_side), None)
        if own is not None and of_side[own] is not None:
            found[place] = of_side[own]
    return found


def check_colours(
    picture: Picture, expected: np.ndarray, norm: Any, cmap: str = "viridis", theme: Any = LIGHT
) -> None:
    shown = image_of(plane_axes(picture)[0])
    for value in np.unique(expected[~np.isnan(expected)]).tolist():
        colour = to_rgb(theme.page) if value == -1 else colormaps[cmap](norm(value))[:3]
        assert np.abs(shown[expected == value] - np.array(colour) * 255).max() <= 1, value
    missing = np.array(to_rgb(theme.missing)) * 255
    if np.isnan(expected).any():
        assert np.abs(shown[np.isnan(expected)] - missing).max() <= 1


@pytest.mark.parametrize("section", ["frontal", "horizontal", "sagittal"])
@pytest.mark.parametrize(
    "name", [ATLAS, "phantom_anisotropic_mouse_200um", "phantom_odd_mouse_100um"]
)
def test_parents_paint_what_has_no_value_of_its_own(
    full: atlasdb.Database, name: str, section: str
) -> None:
    atlas = full.atlas(name)
    at_um = {"frontal": 6250, "horizontal": 4100, "sagittal": 3200}[section]
    picture = plot_heatmap(atlas, VALUES, section, at_um=at_um)
    expected = painted(atlas, {1: VALUES, 2: VALUES}, section, at_um)
    assert len(np.unique(expected[~np.isnan(expected)])) > 2
    check_colours(picture, expected, Normalize(0, 7))
    check_texts(picture)
    check_axes(picture)
    texts = [text.get_text() for text in picture.figure.texts]
    assert "no value" in texts
    (bar,) = axes_called(picture, "colour-bar")
    assert bar.get_ylabel() == "value"


def test_missing_is_hatched_and_zero_is_not(full: atlasdb.Database) -> None:
    atlas = full.atlas(ATLAS)
    picture = plot_heatmap(atlas, {"root": 1.0, "CP": None, "TH": 0.0}, at_um=5500)
    (hatched,) = [patch for patch in plane_axes(picture)[0].patches if patch.get_hatch()]
    inside = hatched.get_path()
    ids = plane_of(atlas, "frontal", "annotation", 5500)
    centres = (np.argwhere(np.ones(ids.shape))[:, ::-1] + 0.5) / 10
    # Loops around holes run the other way: counted by their direction.
    winding = np.zeros(len(centres), dtype=int)
    for polygon in inside.to_polygons():
        x, y = np.asarray(polygon).T
        sign = np.sign((x[:-1] * y[1:] - x[1:] * y[:-1]).sum())
        winding += int(sign) * Shape(polygon).contains_points(centres)
    assert np.array_equal(np.abs(winding) > 0, (ids == 672).ravel())
    assert not [
        p
        for p in plane_axes(plot_heatmap(atlas, {"root": 0.0}, at_um=5500))[0].patches
        if p.get_hatch()
    ]


@pytest.mark.parametrize("mirrored", [False, True])
def test_one_group_on_each_hemisphere(full: atlasdb.Database, mirrored: bool) -> None:
    atlas = full.atlas("phantom_asymmetric_mouse_100um")
    groups = {"control": {"grey": 1.0, "CP": 2.0}, "treated": {"grey": 3.0, "CP": 9.0}}
    picture = plot_heatmap(
        atlas, groups, at_um=5500, left="control", right="treated", mirrored=mirrored
    )
    by_side = {1: groups["control"], 2: groups["treated"]}
    expected = painted(atlas, by_side, "frontal", 5500)
    check_colours(picture, expected, Normalize(0, 9))
    check_texts(picture)
    box = plane_axes(picture)[0].get_position()
    middle = (box.x0 + box.x1) / 2
    for text in picture.figure.texts:
        if text.get_text() == "left: control":
            assert (text.get_position()[0] < middle) == mirrored
        if text.get_text() == "right: treated":
            assert (text.get_position()[0] > middle) == mirrored
    one = plot_heatmap(atlas, groups, at_um=5500, right="treated")
    check_colours(one, painted(atlas, {2: groups["treated"]}, "frontal", 5500), Normalize(0, 9))
    with pytest.raises(atlasdb.LookupFailedError, match="no group 'tretaed'; did you mean treated"):
        plot_heatmap(atlas, groups, at_um=5500, left="tretaed")
    with pytest.raises(atlasdb.PictureError, match="2 rows for grey, which differ in group"):
        plot_heatmap(atlas, groups, at_um=5500)


def cells() -> pa.Table:
    chance = np.random.default_rng(5)
    n = 4000
    return pa.table(
        {
            "ap_um": chance.uniform(0, 13200, n),
            "si_um": chance.uniform(0, 8000, n),
            "rl_um": chance.uniform(0, 11400, n) ** 1.2 % 11400,
            "animal": chance.choice(["m1", "m2", "m3", "m4"], n),
        }
    )


def test_counts_by_hemisphere(full: atlasdb.Database) -> None:
    """Of a table of all structures, each region shows the cells in it, on its own side."""
    atlas = full.atlas(ATLAS)
    table = full.count_cells(cells(), ATLAS)
    picture = plot_heatmap(atlas, table, at_um=6950)
    rows = [row for row in table.to_pylist() if row["status"] == "inside"]
    sides = {"left": 1, "right": 2}
    by_side: dict[int, dict[str, Any]] = {1: {}, 2: {}}
    for row in rows:
        by_side[sides[row["hemisphere"]]][row["acronym"]] = row["direct_cells"]
    expected = painted(atlas, by_side, "frontal", 6950)
    seen = [v for side in by_side.values() for v in side.values()]
    check_colours(picture, expected, Normalize(0, max(seen)))
    nowhere = sum(row["cells"] for row in table.to_pylist() if row["status"] != "inside")
    assert picture.caption.endswith(f"; {nowhere} more in no structure of the table")
    assert axes_called(picture, "colour-bar")[0].get_ylabel() == "cells"


def test_conditions_are_means_of_both_hemispheres(full: atlasdb.Database) -> None:
    atlas = full.atlas(ATLAS)
    table = cells().append_column(
        "condition",
        pa.array(["a" if m in {"m1", "m2"} else "b" for m in cells()["animal"].to_pylist()]),
    )
    counts = full.count_cells(table, ATLAS, by=["condition", "animal"], depth=3)
    picture = plot_heatmap(
        atlas, counts, at_um=6950, by="condition", left="a", right="b", aggregate="mean"
    )
    frame = counts.to_pandas()
    frame = frame[(frame.status == "inside") & ~frame.acronym.fillna("").str.contains("unass")]
    sums = frame.groupby(["condition", "animal", "acronym"]).cells.sum()
    means = sums.groupby(["condition", "acronym"]).mean()
    by_side: dict[int, dict[str, Any]] = {1: dict(means["a"]), 2: dict(means["b"])}
    direct = counts.to_pandas()
    direct = direct[direct.acronym.fillna("").str.contains("unass")]
    own = direct.groupby(["condition", "animal", "acronym"]).cells.sum()
    own = own.groupby(["condition", "acronym"]).mean()
    expected = painted(atlas, by_side, "frontal", 6950)
    ids = plane_of(atlas, "frontal", "annotation", 6950)
    sides = plane_of(atlas, "frontal", "hemispheres", 6950)
    for condition, side in (("a", 1), ("b", 2)):
        for acronym, value in dict(own[condition]).items():
            structure_id = atlas.structures[acronym.removesuffix(" (unassigned)")]["id"]
            expected[(ids == structure_id) & (sides == side)] = value
    highest = max(means.max(), own.max())
    check_colours(picture, expected, Normalize(0, highest))
    with pytest.raises(atlasdb.PictureError, match="by hemisphere, .* count with both together"):
        plot_heatmap(
            atlas, counts, by="condition", left="a", column="density_per_atlas_mm3",
            aggregate="mean",
        )  # fmt: skip


def test_densities_have_their_unit(full: atlasdb.Database) -> None:
    counts = full.count_cells(cells(), ATLAS, depth=3, hemispheres="together")
    picture = plot_heatmap(full.voxels(ATLAS), counts, column="density_per_atlas_mm3")
    (bar,) = axes_called(picture, "colour-bar")
    assert bar.get_ylabel() == "cells per mm³ of the atlas"
    labelled = plot_heatmap(full.voxels(ATLAS), {"CP": 1}, label="c-Fos (cells per mm³)")
    assert axes_called(labelled, "colour-bar")[0].get_ylabel() == "c-Fos (cells per mm³)"


def test_scales() -> None:
    def scale(*numbers: float, **wanted: Any) -> Scale:
        return Scale.of(np.array(numbers), **wanted)

    assert (scale(3, 9).vmin, scale(3, 9).vmax) == (0, 9)
    assert (scale(-3, 9).vmin, scale(-3, 9).vmax) == (-9, 9)
    assert scale(-3, 9).cmap.name == "PuOr_r"
    assert (scale(-9, -3).vmin, scale(-9, -3).vmax) == (-9, 0)
    assert (scale(0, 0).vmin, scale(0, 0).vmax) == (0, 1)
    assert scale(3, 9).extend == "neither"
    assert scale(3, 9, vmin=4).extend == "min"
    assert scale(3, 9, vmax=8).extend == "max"
    assert scale(3, 9, vmin=4, vmax=8).extend == "both"
    # One limit of a diverging scale is both, so that 0 stays in the middle.
    assert (scale(-3, 5, vmin=-2).vmin, scale(-3, 5, vmin=-2).vmax) == (-2, 2)
    assert (scale(-3, 5, vmax=4).vmin, scale(-3, 5, vmax=4).vmax) == (-4, 4)
    assert (scale(-3, 5, vmin=-1, vmax=4).vmin, scale(-3, 5, vmin=-1, vmax=4).vmax) == (-1, 4)
    assert scale(0, 1e-3, 5, log=True, vmin=1).extend == "min"
    logarithmic = scale(0, 2, 50, log=True)
    assert (logarithmic.vmin, logarithmic.vmax, logarithmic.extend) == (2, 50, "neither")
    assert logarithmic.has_zeros
    for wanted, message in (
        ({"vmin": 5.0, "vmax": 5.0}, "lower to a higher value, not 5 to 5"),
        ({"vmax": -1.0}, "not 0 to -1"),
        ({"log": True, "vmin": 0.0}, "begins above 0"),
        ({"vmax": float("inf")}, "ends at a finite value, not at inf"),
        ({"cmap": "virids"}, "no colour map 'virids'; did you mean viridis"),
    ):
        with pytest.raises(atlasdb.AtlasDBError, match=message):
            scale(3, 9, **wanted)
    for numbers in ((-1, 5), (0, 0)):
        with pytest.raises(atlasdb.PictureError, match="no logarithms"):
            scale(*numbers, log=True)


@pytest.mark.parametrize("theme", [LIGHT, DARK])
def test_logarithms_tell_zero_from_the_lowest(full: atlasdb.Database, theme: Any) -> None:
    atlas = full.atlas(ATLAS)
    values = {"grey": 1.0, "CP": 0.0, "TH": 100.0}
    picture = plot_heatmap(atlas, values, at_um=6000, log=True, dark=theme is DARK)
    shown = image_of(plane_axes(picture)[0])
    expected = painted(atlas, {1: values, 2: values}, "frontal", 6000)
    assert (shown[expected == 0] == np.array(to_rgb(theme.page)) * 255).all()
    expected[expected == 0] = -1
    check_colours(picture, expected, LogNorm(1, 100), theme=theme)
    texts = [text.get_text() for text in picture.figure.texts]
    assert "0" in texts
    check_texts(picture)


def test_names_are_those_of_painted_structures(full: atlasdb.Database) -> None:
    picture = plot_heatmap(full.voxels(ATLAS), VALUES, at_um=6000)
    assert set(names_in(plane_axes(picture)[0])) <= {"CH", "CP", "TH"}
    assert "CP" in names_in(plane_axes(picture)[0])
    groups = {"a": {"CP": 1.0}, "b": {"CP": 2.0}}
    halves = plot_heatmap(full.voxels(ATLAS), groups, at_um=5000, left="a", right="b")
    named = names_in(plane_axes(halves)[0])
    assert list(named) == ["CP"]
    assert named["CP"].get_position()[0] < 5.7


def test_names_are_where_there_is_room_for_them(full: atlasdb.Database) -> None:
    """In a sagittal plane of either side, and where only one side has a value."""
    groups = {"a": {"CP": 1.0, "TH": 2.0}, "b": {"CP": 2.0, "TH": 1.0}}
    for at_um in (3200, 8200):
        picture = plot_heatmap(
            full.voxels(ATLAS), groups, "sagittal", at_um=at_um, left="a", right="b"
        )
        assert "CP" in names_in(plane_axes(picture)[0])
    one = plot_heatmap(full.voxels(ATLAS), groups, at_um=5000, left="a")
    named = names_in(plane_axes(one)[0])
    assert list(named) == ["CP"]
    assert named["CP"].get_position()[0] > 5.7


def test_long_labels_stay_on_the_page(full: atlasdb.Database) -> None:
    long = "mean difference of the densities of two groups of animals (cells per mm³)"
    for width_mm in (45.0, 60.0, 89.0):
        picture = plot_heatmap(full.voxels(ATLAS), VALUES, label=long, width_mm=width_mm)
        check_texts(picture)
        groups = {"the first of the two groups": {"CP": 1.0}, "b": {"CP": 2.0}}
        halves = plot_heatmap(
            full.voxels(ATLAS), groups, left="the first of the two groups", right="b",
            width_mm=width_mm,
        )  # fmt: skip
        check_texts(halves)
        sizes = [float(text.get_fontsize()) for text in halves.figure.texts]
        assert min(sizes) >= 5


def test_a_sheet_shares_its_scale(full: atlasdb.Database) -> None:
    picture = plot_heatmap(full.voxels(ATLAS), VALUES, planes=6, width_mm=183, title="Six planes")
    assert len(plane_axes(picture)) == 6
    assert len(axes_called(picture, "colour-bar")) == 1
    check_texts(picture)
    check_axes(picture)


def test_values_below_the_depth_are_not_made_up(full: atlasdb.Database) -> None:
    with pytest.raises(atlasdb.PictureError, match="no value of a structure at depth 2 or above"):
        plot_heatmap(full.voxels(ATLAS), {"CP": 1.0}, depth=2)
    with pytest.raises(atlasdb.UnknownDepthError, match="no depth 99"):
        plot_heatmap(full.voxels(ATLAS), {"CP": 1.0}, depth=99)
    told = plot_heatmap(full.voxels(ATLAS), {"CP": 1.0, "TH": 2.0}, depth=4).caption
    assert told.endswith("; 1 row below depth 4 not shown")
    with pytest.raises(atlasdb.PictureError, match="no value of a structure"):
        plot_heatmap(full.voxels(ATLAS), {"CP": None})


@pytest.mark.real
def test_the_real_atlas(real: atlasdb.Database, packages: Path) -> None:
    """The cells of two samples in the real atlas: colours as a loop finds them, texts in place."""
    atlas = real.atlas("allen_mouse_100um")
    file = packages.parent / "cells" / "cells_by_sample_um.csv.gz"
    counts = real.count_cells(file, "allen_mouse_100um", depth=5)
    picture = plot_heatmap(atlas, counts, at_um=7000, width_mm=89)
    sides = {"left": 1, "right": 2}
    by_side: dict[int, dict[str, Any]] = {1: {}, 2: {}}
    own: dict[int, dict[int, float]] = {1: {}, 2: {}}
    for row in counts.to_pylist():
        if row["status"] == "inside" and "unassigned" in row["acronym"]:
            own[sides[row["hemisphere"]]][row["structure_id"]] = row["cells"]
        elif row["status"] == "inside":
            by_side[sides[row["hemisphere"]]][row["acronym"]] = row["cells"]
    expected = painted(atlas, by_side, "frontal", 7000)
    ids = plane_of(atlas, "frontal", "annotation", 7000)
    side_of = plane_of(atlas, "frontal", "hemispheres", 7000)
    for side, values in own.items():
        for structure_id, value in values.items():
            expected[(ids == structure_id) & (side_of == side)] = value
    highest = max(row["cells"] for row in counts.to_pylist() if row["status"] == "inside")
    check_colours(picture, expected, Normalize(0, highest))
    check_texts(picture)
    check_axes(picture)
