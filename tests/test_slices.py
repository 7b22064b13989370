"""Slices: where the pixels of outlines, colours and names lie, against the volumes themselves."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pictures import (
    axes_called,
    check_axes,
    check_texts,
    image_of,
    lines_of,
    names_in,
    pixels_of,
    plane_axes,
)
from scipy.ndimage import label
from small import SmallAtlas, labels

import atlasdb
from atlasdb.plots import Picture, plot_slice
from atlasdb.plots.sections import SECTIONS
from atlasdb.plots.style import DARK, LIGHT

ATLASES = (
    "phantom_mouse_100um",
    "phantom_anisotropic_mouse_200um",
    "phantom_asymmetric_mouse_100um",
    "phantom_odd_mouse_100um",
    "small_rat_50um@1.2",
)


def plane_of(atlas: atlasdb.Atlas, section: str, kind: str, at_um: float) -> np.ndarray:
    """Return a plane of a stack as a picture shows it: by plain indexing."""
    way = SECTIONS[section]
    index = int(at_um // atlas.resolution[way.axis])
    plane: np.ndarray = np.take(np.asarray(atlas.mapped[kind][:]), index, axis=way.axis)
    return plane.T if section == "sagittal" else plane


@pytest.mark.parametrize("section", SECTIONS)
@pytest.mark.parametrize("name", ATLASES)
def test_outlines_are_where_labels_change(full: atlasdb.Database, name: str, section: str) -> None:
    atlas = full.atlas(name)
    at_um = atlas.shape_um[SECTIONS[section].axis] * 0.45
    picture = plot_slice(atlas, section, at_um=at_um)
    (axes,) = plane_axes(picture)
    labels_seen = plane_of(atlas, section, "annotation", at_um)
    high, wide = (
        atlas.resolution[axis] / 1e3 for axis in (SECTIONS[section].rows, SECTIONS[section].columns)
    )
    drawn: Counter[tuple[int, int, int]] = Counter()
    for line in lines_of(axes):
        corners = np.rint(line / (wide, high)).astype(int)
        assert np.allclose(corners * (wide, high), line)
        for (x0, y0), (x1, y1) in pairwise(corners.tolist()):
            drawn[min(x0, x1), min(y0, y1), abs(x1 - x0)] += 1
    expected: Counter[tuple[int, int, int]] = Counter()
    padded = np.pad(labels_seen.astype(np.int64), 1)
    for y, x in np.argwhere(padded[1:, 1:-1] != padded[:-1, 1:-1]).tolist():
        expected[x, y, 1] += 1
    for y, x in np.argwhere(padded[1:-1, 1:] != padded[1:-1, :-1]).tolist():
        expected[x, y, 0] += 1
    assert drawn == expected


@pytest.mark.parametrize("section", SECTIONS)
@pytest.mark.parametrize("name", ATLASES)
def test_colours_are_the_table_s(full: atlasdb.Database, name: str, section: str) -> None:
    atlas = full.atlas(name)
    at_um = atlas.shape_um[SECTIONS[section].axis] * 0.4
    depth = 2
    picture = plot_slice(atlas, section, at_um=at_um, depth=depth, opacity=1, names=False)
    shown = image_of(plane_axes(picture)[0])
    ids = plane_of(atlas, section, "annotation", at_um)
    grey = plane_of(atlas, section, "reference", at_um)
    for structure_id in np.unique(ids).tolist():
        where = ids == structure_id
        if structure_id == 0:
            assert (shown[where] == 255).all()
            continue
        path = atlas.structures[structure_id]["structure_id_path"]
        if len(path) == 1:  # the root's own voxels are not coloured
            assert (shown[where] == shown[where][:, :1]).all()
            order = np.argsort(grey[where], kind="stable")
            assert (np.diff(shown[where][order, 0].astype(int)) >= 0).all()
        else:
            cut = path[min(depth, len(path) - 1)]
            assert (shown[where] == atlas.structures[cut]["rgb_triplet"]).all()


def test_opacity_mixes_colour_and_reference(full: atlasdb.Database) -> None:
    voxels = full.voxels("phantom_mouse_100um")
    none, half, whole = (
        image_of(plane_axes(plot_slice(voxels, at_um=5000, opacity=opacity))[0]).astype(float)
        for opacity in (0, 0.5, 1)
    )
    assert (none == none[..., :1]).all()
    assert np.abs(half - (none + whole) / 2).max() <= 1
    flat = image_of(plane_axes(plot_slice(voxels, at_um=5000, opacity=0, reference="none"))[0])
    inside = voxels.ranks[50] > 0
    assert (flat[inside] == round(0.85 * 255)).all()
    nissl = image_of(plane_axes(plot_slice(voxels, at_um=5000, opacity=0, reference="nissl"))[0])
    assert not np.array_equal(nissl, none)


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("section", SECTIONS)
@pytest.mark.parametrize("name", ATLASES)
def test_shapes_on_the_page_are_those_in_the_brain(
    full: atlasdb.Database, name: str, section: str, dark: bool
) -> None:
    """A millimetre of the atlas has one length, down and along, and the scale bar has its own."""
    atlas = full.atlas(name)
    picture = plot_slice(atlas, section, dark=dark, width_mm=89)
    (axes,) = plane_axes(picture)
    page_mm = np.array(picture.figure.get_size_inches()) * 25.4
    assert page_mm[0] == pytest.approx(89)
    box = axes.get_position()
    seen = [abs(np.ptp(axes.get_xlim())), abs(np.ptp(axes.get_ylim()))]
    along = box.width * page_mm[0] / seen[0]
    down = box.height * page_mm[1] / seen[1]
    assert along == pytest.approx(down)
    (bar,) = axes_called(picture, "scale-bar")
    text = next(
        t.get_text()
        for t in picture.figure.texts
        if t.get_text().endswith(("mm", "µm")) and "plane" not in t.get_text()
    )
    number, unit = text.split()
    length_mm = float(number) * (1 if unit == "mm" else 1e-3)
    assert bar.get_position().width * page_mm[0] == pytest.approx(length_mm * along)
    assert 0.08 < length_mm / seen[0] <= 0.26
    assert axes.get_ylim()[0] > axes.get_ylim()[1]
    (shown,) = axes.images
    way = SECTIONS[section]
    rows, columns = (atlas.shape[way.rows], atlas.shape[way.columns])
    assert image_of(axes).shape == (rows, columns, 3)
    height, width = (atlas.shape_um[axis] / 1e3 for axis in (way.rows, way.columns))
    assert list(shown.get_extent()) == pytest.approx([0, width, height, 0])


@pytest.mark.parametrize("orientation", ["asr", "lpi", "ras", "pil", "sra"])
def test_atlases_of_any_orientation(db: atlasdb.Database, tmp_path: Path, orientation: str) -> None:
    """Whatever axes a package has, pictures show the same brain in the same millimetres."""
    from atlasdb.space import Reorientation

    turn = Reorientation.between("asr", orientation)
    annotation = labels(3).repeat(2, 0).repeat(3, 1).repeat(2, 2)
    lengths = {"a": 50.0, "s": 20.0, "r": 10.0} | {"p": 50.0, "i": 20.0, "l": 10.0}
    package = SmallAtlas(
        annotation=np.ascontiguousarray(turn.volume(annotation)),
        resolution_um=(lengths[orientation[0]], lengths[orientation[1]], lengths[orientation[2]]),
        orientation=orientation,
    )
    name = db.ingest(str(package.write(tmp_path))).atlas
    atlas = db.atlas(str(name))
    for section, way in SECTIONS.items():
        at_um = atlas.shape_um[way.axis] * 0.6
        picture = plot_slice(atlas, section, at_um=at_um, opacity=1, depth=1, names=False)
        (axes,) = plane_axes(picture)
        box, page = axes.get_position(), picture.figure.get_size_inches()
        seen = np.ptp(axes.get_xlim()) / np.ptp(axes.get_ylim())
        assert box.width * page[0] / (box.height * page[1]) == pytest.approx(seen)
        index = int(at_um // atlas.resolution[way.axis])
        expected = np.take(annotation, index, axis=way.axis)
        ids = expected.T if section == "sagittal" else expected
        shown = image_of(axes)
        for structure_id in set(np.unique(ids).tolist()) - {0, 997}:
            path = atlas.structures[structure_id]["structure_id_path"]
            rgb = atlas.structures[path[1]]["rgb_triplet"]
            assert (shown[ids == structure_id] == rgb).all()


def letters_around(picture: Picture) -> dict[str, str]:
    """Return the letters left of, right of, above and below the first plane."""
    box = plane_axes(picture)[0].get_position()
    found = {}
    for text in picture.figure.texts:
        if text.get_text() in {"A", "P", "S", "I", "R", "L"} and text.get_fontsize() == 7:
            x, y = text.get_position()
            side = (
                "left"
                if x < box.x0
                else "right"
                if x > box.x1
                else "above"
                if y > box.y1
                else "below"
            )
            found[side] = text.get_text()
    return found


@pytest.mark.parametrize(
    ("section", "mirrored", "letters"),
    [
        ("frontal", False, "RLSI"),
        ("frontal", True, "LRSI"),
        ("horizontal", False, "RLAP"),
        ("horizontal", True, "LRAP"),
        ("sagittal", False, "APSI"),
        ("sagittal", True, "PASI"),
    ],
)
def test_the_letters_tell_where_sides_are(
    full: atlasdb.Database, section: str, mirrored: bool, letters: str
) -> None:
    picture = plot_slice(full.voxels("phantom_mouse_100um"), section, mirrored=mirrored)
    sides = ("left", "right", "above", "below")
    assert letters_around(picture) == dict(zip(sides, letters, strict=True))


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("section", ["frontal", "horizontal"])
def test_left_is_where_the_hemispheres_put_it(
    full: atlasdb.Database, section: str, mirrored: bool
) -> None:
    """The left caudoputamen of this phantom is the larger one, and lies at the letter L."""
    atlas = full.atlas("phantom_asymmetric_mouse_100um")
    at_um = {"frontal": 5000, "horizontal": 4200}[section]
    picture = plot_slice(
        atlas, section, at_um=at_um, structures=["CP"], opacity=1, reference="none",
        mirrored=mirrored, outlines=False, names=False,
    )  # fmt: skip
    page = pixels_of(picture)
    box = plane_axes(picture)[0].get_position()
    rows, columns, _ = page.shape
    plane = page[int((1 - box.y1) * rows) : int((1 - box.y0) * rows)]
    plane = plane[:, int(box.x0 * columns) : int(box.x1 * columns)]
    is_cp = (plane == atlas.structures["CP"]["rgb_triplet"]).all(axis=2)
    halves = np.array_split(is_cp.sum(axis=0), 2)
    at_left, at_right = (int(half.sum()) for half in halves)
    ids = plane_of(atlas, section, "annotation", at_um)
    sides = plane_of(atlas, section, "hemispheres", at_um)
    left, right = (((ids == 672) & (sides == side)).sum() for side in (1, 2))
    assert left > right * 1.1
    letter = letters_around(picture)["left"]
    assert (at_left > at_right * 1.1) == (letter == "L")
    assert (at_left * 1.1 < at_right) == (letter == "R")


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("section", SECTIONS)
@pytest.mark.parametrize("name", ["phantom_mouse_100um", "phantom_anisotropic_mouse_200um"])
def test_names_lie_inside_what_they_name(
    full: atlasdb.Database, name: str, section: str, mirrored: bool
) -> None:
    """Every pixel under a name's ink is of its structure, in one of its largest pieces."""
    atlas = full.atlas(name)
    at_um = {"frontal": 7300, "horizontal": 4100, "sagittal": 3200}[section]
    picture = plot_slice(atlas, section, at_um=at_um, depth=6, mirrored=mirrored, width_mm=183)
    (axes,) = plane_axes(picture)
    regions = plot_regions(atlas, section, at_um, 6)
    check_names(picture, atlas, section, regions)
    assert len(names_in(axes)) >= 4
    check_texts(picture)
    check_axes(picture)


def plot_regions(atlas: atlasdb.Atlas, section: str, at_um: float, depth: int) -> np.ndarray:
    """Return the acronyms in a plane, cut at a depth."""
    ids = plane_of(atlas, section, "annotation", at_um)
    shown = {0: ""}
    for structure_id in np.unique(ids).tolist():
        if structure_id:
            path = atlas.structures[structure_id]["structure_id_path"]
            shown[structure_id] = atlas.structures[path[min(depth, len(path) - 1)]]["acronym"]
    found: np.ndarray = np.vectorize(shown.get)(ids)
    return found


def check_names(picture: Picture, atlas: atlasdb.Atlas, section: str, regions: np.ndarray) -> None:
    figure = picture.figure
    (axes,) = plane_axes(picture)
    renderer = figure.canvas.get_renderer()  # type: ignore[attr-defined]
    figure.draw(renderer)
    way = SECTIONS[section]
    spacing = (atlas.resolution[way.columns] / 1e3, atlas.resolution[way.rows] / 1e3)
    for acronym, text in names_in(axes).items():
        box = text.get_window_extent(renderer)
        corners = axes.transData.inverted().transform([(box.x0, box.y0), (box.x1, box.y1)])
        (x0, y0), (x1, y1) = np.sort(corners, axis=0) / spacing
        under = regions[
            int(y0 + 0.4) : int(np.ceil(y1 - 0.4)), int(x0 + 0.4) : int(np.ceil(x1 - 0.4))
        ]
        assert (under == acronym).all(), acronym
        pieces, _ = label(regions == acronym)
        sizes = np.bincount(pieces.ravel())[1:]
        piece = pieces[int((y0 + y1) / 2), int((x0 + x1) / 2)]
        assert sizes[piece - 1] >= 0.9 * sizes.max(), acronym


@pytest.mark.real
@pytest.mark.parametrize("section", SECTIONS)
def test_the_real_atlas(real: atlasdb.Database, section: str) -> None:
    """Names inside, nothing cut off or overlapping, in planes all through the brain."""
    atlas = real.atlas("allen_mouse_100um")
    way = SECTIONS[section]
    for part in (0.3, 0.45, 0.6):
        at_um = atlas.shape_um[way.axis] * part
        picture = plot_slice(atlas, section, at_um=at_um, depth=6)
        check_names(picture, atlas, section, plot_regions(atlas, section, at_um, 6))
        check_texts(picture)
        check_axes(picture)
        assert len(names_in(plane_axes(picture)[0])) > 10


@pytest.mark.real
def test_every_label_of_the_real_atlas_has_its_colour(real: atlasdb.Database) -> None:
    atlas = real.atlas("allen_mouse_100um")
    picture = plot_slice(atlas, at_um=7000, opacity=1, names=False)
    shown = image_of(plane_axes(picture)[0])
    ids = plane_of(atlas, "frontal", "annotation", 7000)
    for structure_id in np.unique(ids).tolist():
        if structure_id not in {0, 997}:
            rgb = atlas.structures[structure_id]["rgb_triplet"]
            assert (shown[ids == structure_id] == rgb).all()
    seen = len(set(np.unique(ids).tolist()) - {0, 997})
    assert picture.caption.endswith(f": {seen} structures")


@pytest.mark.real
def test_an_atlas_most_of_whose_labels_have_no_structure(real: atlasdb.Database) -> None:
    picture = plot_slice(real.voxels("example_mouse_100um"), at_um=7000)
    check_texts(picture)
    assert ": 0 structures" in picture.caption


@pytest.mark.parametrize("planes", [2, 5, 12])
@pytest.mark.parametrize("width_mm", [89.0, 183.0])
def test_sheets(full: atlasdb.Database, planes: int, width_mm: float) -> None:
    voxels = full.voxels("phantom_mouse_100um")
    picture = plot_slice(voxels, "horizontal", planes=planes, depth=5, width_mm=width_mm)
    shown = plane_axes(picture)
    assert len(shown) == planes
    check_axes(picture)
    check_texts(picture)
    page_mm = np.array(picture.figure.get_size_inches()) * 25.4
    assert page_mm[1] <= 240 + 1e-6
    sizes = {(round(a.get_position().width, 9), round(a.get_position().height, 9)) for a in shown}
    assert len(sizes) == 1
    places = [(-round(a.get_position().y1, 9), a.get_position().x0) for a in shown]
    assert places == sorted(places)
    texts = [text.get_text() for text in picture.figure.texts]
    assert sum(text.startswith("SI ") and text.endswith(" mm") for text in texts) == planes


def test_too_many_planes_for_a_page(full: atlasdb.Database) -> None:
    with pytest.raises(atlasdb.PictureError, match=r"60 planes do not fit on .* mm: show fewer"):
        plot_slice(full.voxels("phantom_mouse_100um"), "sagittal", planes=60, width_mm=40)


def test_zooming_shows_the_structures_and_little_else(full: atlasdb.Database) -> None:
    atlas = full.atlas("phantom_mouse_100um")
    picture = plot_slice(atlas, structures=["CP", "VL"], zoom=True)
    (axes,) = plane_axes(picture)
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    cp = atlas.get_structure_mask("CP")
    vl = atlas.get_structure_mask("VL")
    _, rows, columns = np.nonzero(cp | vl)
    assert left <= columns.min() / 10 <= left + 1
    assert right - 1.2 <= (columns.max() + 1) / 10 <= right
    assert top <= rows.min() / 10 <= top + 1
    assert bottom - 1.2 <= (rows.max() + 1) / 10 <= bottom
    check_texts(picture)
    check_names(picture, atlas, "frontal", plot_regions(atlas, "frontal", 4950, 9))
    with pytest.raises(atlasdb.PictureError, match="zoom on what"):
        plot_slice(atlas, zoom=True)


def test_smoothed_outlines_stay_near(full: atlasdb.Database) -> None:
    voxels = full.voxels("phantom_mouse_100um")
    sharp, smooth = (
        plot_slice(voxels, at_um=5000, smooth=smooth, names=False) for smooth in (False, True)
    )
    difference = pixels_of(sharp).astype(int) - pixels_of(smooth)
    assert (np.abs(difference).max(axis=2) > 60).mean() < 0.03
    ends = [np.concatenate(lines_of(plane_axes(p)[0])) for p in (sharp, smooth)]
    assert np.abs(ends[0] - ends[1]).max() < 0.1


@pytest.mark.parametrize("theme", [LIGHT, DARK])
def test_pages_are_light_or_dark(full: atlasdb.Database, theme: object) -> None:
    page = pixels_of(plot_slice(full.voxels("phantom_mouse_100um"), dark=theme is DARK))
    assert (page[0, 0] == (0 if theme is DARK else 255)).all()
    assert (page[5, 5] == page[0, 0]).all()


def test_the_inset_shows_where_the_plane_lies(full: atlasdb.Database) -> None:
    picture = plot_slice(full.voxels("phantom_mouse_100um"), at_um=[4000, 9000])
    (inset,) = axes_called(picture, "inset")
    lines = [line for line in inset.lines if line.get_color() == "#D55E00"]
    assert [float(np.asarray(line.get_ydata())[0]) for line in lines] == [4.0, 9.0]
    outline = np.concatenate(
        [np.column_stack(line.get_data()) for line in inset.lines if line not in lines]
    )
    root = np.argwhere(full.atlas("phantom_mouse_100um").get_structure_mask("root")[:, 40])
    assert outline.min(axis=0) == pytest.approx(root.min(axis=0)[::-1] / 10)
    assert outline.max(axis=0) == pytest.approx((root.max(axis=0)[::-1] + 1) / 10)
    assert not axes_called(plot_slice(full.voxels("phantom_mouse_100um"), inset=False), "inset")


FORMS = ("png", "svg", "pdf")
AGAIN = """
import sys, atlasdb
from atlasdb.plots import plot_slice
picture = plot_slice(atlasdb.connect(sys.argv[1]).voxels("phantom_mouse_100um"), planes=2)
for form in ("png", "svg", "pdf"):
    picture.save(f"{sys.argv[2]}/again.{form}")
"""


def test_the_same_picture_is_the_same_file(full: atlasdb.Database, tmp_path: Path) -> None:
    """In another process, on another day, with other settings of the user's."""
    picture = plot_slice(full.voxels("phantom_mouse_100um"), planes=2)
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    (folder / "matplotlibrc").write_text(
        "font.size: 30\nfigure.facecolor: red\nlines.linewidth: 9\n"
    )
    subprocess.run(
        [sys.executable, "-c", AGAIN, str(full.home.folder), str(folder)], check=True, cwd=folder
    )
    for form in FORMS:
        file = tmp_path / f"picture.{form}"
        picture.save(file)
        assert file.read_bytes() == picture.to_bytes(form)
        assert (folder / f"again.{form}").read_bytes() == file.read_bytes(), form


def test_files_are_what_they_say(full: atlasdb.Database, tmp_path: Path) -> None:
    picture = plot_slice(full.voxels("phantom_mouse_100um"), width_mm=89)
    for form, start in zip(FORMS, (b"\x89PNG", b"<?xml", b"%PDF"), strict=True):
        assert picture.to_bytes(form).startswith(start)
    assert pixels_of(picture, dpi=300).shape[1] == round(89 / 25.4 * 300)
    folder = tmp_path / "pictures"
    folder.mkdir()
    for wrong in ("picture.jpg", "picture", "png"):
        with pytest.raises(atlasdb.PictureError, match=r"pictures end in .png, .svg, .pdf"):
            picture.save(folder / wrong)
    assert not list(folder.iterdir())
    with pytest.raises(atlasdb.PictureError, match="written as png, svg, pdf, not as 'jpg'"):
        picture.to_bytes("jpg")
    with pytest.raises(atlasdb.PictureError, match="9999 dots per inch"):
        picture.to_bytes("png", dpi=9999)


def test_texts_that_mean_something_to_matplotlib(db: atlasdb.Database, tmp_path: Path) -> None:
    atlas = SmallAtlas(annotation=labels(1).repeat(5, 1).repeat(5, 2), resolution_um=(50, 20, 20))
    for entry, acronym in zip(
        atlas.structures, ("$x", "a_b", "$m^2$", "\\d", "<>&", "%s", "π"), strict=True
    ):
        entry["acronym"] = acronym
    db.ingest(str(atlas.write(tmp_path)))
    picture = plot_slice(db.voxels("small_rat_50um"), title="100 $ of $x_1$", width_mm=183)
    for form in FORMS:
        assert picture.to_bytes(form)
    texts = {text.get_text() for text in picture.figure.texts}
    assert r"100 \$ of \$x\_1\$".replace(r"\_", "_") in texts


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({"opacity": 1.5}, "opacity is from 0 to 1, not 1.5"),
        ({"width_mm": 5}, "a picture is 30 to 1000 mm wide, not 5"),
        ({"reference": "nisl"}, "has no volume 'nisl'; did you mean nissl"),
        ({"section": "coronal"}, "no section 'coronal'.*frontal, horizontal, sagittal"),
        (
            {"at_um": 20000},
            "no frontal plane at 20000 µm: phantom_mouse_100um@1.0 goes from 0 to 13200",
        ),
        ({"structures": "CPU"}, "no structure 'CPU' in this atlas; did you mean CP"),
        ({"depth": 99}, "no depth 99: this atlas has the depths 0 to 8"),
    ],
)
def test_what_cannot_be_drawn(
    full: atlasdb.Database, wanted: dict[str, object], message: str
) -> None:
    with pytest.raises(atlasdb.AtlasDBError, match=message):
        plot_slice(full.voxels("phantom_mouse_100um"), **wanted)  # type: ignore[arg-type]


def test_structures_as_numpy_has_them(full: atlasdb.Database) -> None:
    voxels = full.voxels("phantom_mouse_100um")
    given: tuple[Any, ...] = (672, np.int64(672), np.array([672]), "CP", ("CP",))
    for structures in given:
        picture = plot_slice(voxels, structures=structures, at_um=5000)
        assert picture.caption.endswith(": 1 structure, 1 of them named")


def test_the_root_is_shown_where_it_is_asked_for(full: atlasdb.Database) -> None:
    voxels = full.voxels("phantom_mouse_100um")
    asked: tuple[dict[str, Any], ...] = ({"depth": 0}, {"structures": "root"})
    for wanted in asked:
        picture = plot_slice(voxels, at_um=5000, **wanted)
        assert list(names_in(plane_axes(picture)[0])) == ["root"]


def test_an_atlas_that_is_none() -> None:
    with pytest.raises(
        TypeError, match=r"what db.atlas\(name\) or db.voxels\(name\) opens, not str"
    ):
        plot_slice("phantom_mouse_100um")  # type: ignore[arg-type]


def test_keywords_that_there_are_not(full: atlasdb.Database) -> None:
    with pytest.raises(TypeError, match="no keyword darkk: there are"):
        plot_slice(full.voxels("phantom_mouse_100um"), darkk=True)  # type: ignore[call-arg]


def test_notebooks_show_pictures_and_atlases(full: atlasdb.Database) -> None:
    atlas = full.atlas("phantom_mouse_100um")
    picture = plot_slice(atlas)
    assert picture._repr_png_().startswith(b"\x89PNG")
    html = atlas._repr_html_()
    assert "phantom_mouse (v1.0)" in html
    assert 'src="data:image/png;base64,' in html
    assert "<script" not in html


def test_an_atlas_without_a_reference(db: atlasdb.Database) -> None:
    db.ingest("phantom_mouse_100um", reference=False)
    shown = image_of(plane_axes(plot_slice(db.voxels("phantom_mouse_100um"), opacity=0))[0])
    assert sorted(np.unique(shown).tolist()) == [217, 255]
    with pytest.raises(atlasdb.LookupFailedError, match="no volume 'reference'.*left out"):
        plot_slice(db.voxels("phantom_mouse_100um"), reference="reference")


WITHOUT = """
import sys
sys.modules["matplotlib"] = None
import atlasdb
from atlasdb.plots import plot_slice
atlas = atlasdb.connect(sys.argv[1]).atlas("phantom_mouse_100um")
assert "<img" not in atlas._repr_html_() and "phantom" in atlas._repr_html_()
try:
    plot_slice(atlas)
except atlasdb.MissingPackageError as error:
    print(error)
"""


COMMAND = """
import sys
sys.modules["matplotlib"] = None
from atlasdb.cli import run
sys.exit(run(sys.argv[1:]))
"""


def test_the_command_without_matplotlib(full: atlasdb.Database, tmp_path: Path) -> None:
    words = ["plot", "slice", "phantom_mouse_100um", "-o", str(tmp_path / "a.png")]
    done = subprocess.run(
        [sys.executable, "-c", COMMAND, "--home", str(full.home.folder), *words],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert done.stderr == (
        "error: pictures need matplotlib, which is not installed: pip install 'atlasdb[plots]'\n"
    )


def test_without_matplotlib(full: atlasdb.Database) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, str(full.home.folder)],
        check=True,
        capture_output=True,
        text=True,
    )
    assert "pip install 'atlasdb[plots]'" in done.stdout
