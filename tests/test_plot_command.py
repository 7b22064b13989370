"""``atlasdb plot`` as a person types it."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image
from test_plotted_cells import many

import atlasdb
from atlasdb.cli import run

ATLAS = "phantom_mouse_100um"


class Typed:
    """Runs commands in an empty folder, on a home that is not written to."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, command: str, *more: str) -> tuple[int, str, str]:
        status = run([*command.split(), *more])
        out, err = self._capsys.readouterr()
        return status, out, err

    def refused(self, command: str, *more: str) -> str:
        """Return the last line of an error; nothing is left behind."""
        before = sorted(Path.cwd().iterdir())
        status, out, err = self(command, *more)
        assert status in {1, 2}
        assert out == ""
        assert sorted(Path.cwd().iterdir()) == before
        assert "Traceback" not in err
        return err.strip().splitlines()[-1]


@pytest.fixture
def typed(
    full: atlasdb.Database,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Typed:
    monkeypatch.setenv("ATLASDB_HOME", str(full.home.folder))
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return Typed(capsys)


def write_cells() -> None:
    import pyarrow.csv as pc

    pc.write_csv(many(), "cells.csv")


def test_a_slice(typed: Typed) -> None:
    status, out, err = typed(f"plot slice {ATLAS} --frontal --at 7000 -o slice.png")
    assert (status, err) == (0, "")
    assert out == (
        "wrote slice.png: frontal plane at AP 7 mm of phantom_mouse_100um@1.0: "
        "9 structures, 7 of them named\n"
    )
    with Image.open("slice.png") as image:
        assert image.width == round(120 / 25.4 * 300)


def test_slices_with_all_that_can_be_asked(typed: Typed) -> None:
    words = (
        "--sagittal --planes 3 --depth 5 --opacity 0.3 --reference nissl --no-outlines --no-names "
        "--no-inset --smooth --mirror --dark --width 89 --dpi 100 --title Phantom -o all.svg"
    )
    status, out, _ = typed(f"plot slice {ATLAS} {words}")
    assert status == 0
    assert out.startswith("wrote all.svg: 3 sagittal planes from RL ")
    assert Path("all.svg").read_text("utf-8").startswith("<?xml")
    assert typed(f"plot slice {ATLAS} -s CP -s 549 --zoom --at 6200 -o zoom.pdf")[0] == 0
    assert Path("zoom.pdf").read_bytes().startswith(b"%PDF")
    assert typed(f"plot slice {ATLAS} --at 4000 --at 9000.5 -o two.png")[0] == 0


def test_from_counting_to_pictures(typed: Typed) -> None:
    write_cells()
    assert (
        typed(f"cells count cells.csv --atlas {ATLAS} --by animal --depth 4 -o counts.csv")[0] == 0
    )
    status, out, _ = typed(
        f"plot heatmap {ATLAS} --values counts.csv --where animal=m1 --at 7000 --log -o a.png"
    )
    assert status == 0
    assert "cells, 0 to " in out
    assert " more in no structure of the table" in out
    assert typed(
        f"plot heatmap {ATLAS} --values counts.csv --by animal --left m1 --right m2 -o b.png"
    )[0] == 0  # fmt: skip
    assert typed(
        f"plot heatmap {ATLAS} --values counts.csv --aggregate mean --column density_per_atlas_mm3 "
        "--cmap magma --vmin 1 --vmax 40 --label dense --planes 4 -o c.png"
    )[0] == 0  # fmt: skip
    status, out, _ = typed(f"plot bars {ATLAS} --values counts.csv --by animal --top 5 -o d.png")
    assert status == 0
    assert "cells in 5 of " in out
    assert ", mean of 3 samples; " in out
    typed(f"cells count cells.csv --atlas {ATLAS} --together -o all.parquet")
    assert typed(f"plot tree {ATLAS} CTX --values all.parquet --depth 4 -o e.png")[0] == 0
    typed(f"cells count cells.csv --atlas {ATLAS} --depth 4 --format heatmap -o values.json")
    status, out, _ = typed(f"plot heatmap {ATLAS} --values values.json --horizontal -o f.png")
    assert status == 0
    typed(f"cells count cells.csv --atlas {ATLAS} --by animal --depth 4 --format heatmap -o g.json")
    assert typed(f"plot heatmap {ATLAS} --values g.json --left m1 --right m3 -o g.png")[0] == 0


def test_cells(typed: Typed) -> None:
    write_cells()
    status, out, err = typed(f"plot cells {ATLAS} cells.csv --at 5000 --thickness 300 -o cells.png")
    assert (status, err) == (0, "")
    assert " of 5,000 cells, 150 µm from the plane at most" in out
    for words in (
        "--color animal --size 1.5",
        "--color density --bin 200 --planes 3 --cmap cividis",
        "--sagittal -s CP --depth 6 --opacity 0.4",
        "--columns ap_um si_um rl_um --unit um --orientation asl",
    ):
        assert typed(f"plot cells {ATLAS} cells.csv {words} -o more.png")[0] == 0
    Path("mixed.csv").write_text("x,y,z\n5000,4000,3000\n")
    assert "--columns" in typed.refused(f"plot cells {ATLAS} mixed.csv -o mixed.png")
    assert "nothing.csv" in typed.refused(f"plot cells {ATLAS} nothing.csv -o mixed.png")


def test_trees_and_bars_of_volumes(typed: Typed) -> None:
    status, out, _ = typed(f"plot tree {ATLAS} --icicle --no-names -o tree.svg")
    assert status == 0
    assert out.startswith("wrote tree.svg: root of phantom_mouse_100um@1.0 by volume (mm³): 45 ")
    assert typed(f"plot tree {ATLAS} 688 -o tree.png")[0] == 0
    assert typed(f"plot bars {ATLAS} --depth 3 -o bars.png")[0] == 0
    assert typed(f"plot bars {ATLAS} -s CP -s TH -s 512 -o bars.png")[0] == 0


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (f"plot slice {ATLAS} --at 13200 -o a.png", "error: no frontal plane at 13200 µm: phantom_mouse_100um@1.0 goes from 0 to 13200 µm along AP (the far face is outside)"),
        (f"plot slice {ATLAS} --at -1 -o a.png", "error: no frontal plane at -1 µm: phantom_mouse_100um@1.0 goes from 0 to 13200 µm along AP (the far face is outside)"),
        (f"plot slice {ATLAS} -s CTXX -o a.png", "error: no structure CTXX in phantom_mouse_100um@1.0; did you mean CTX"),
        (f"plot slice {ATLAS} -o a.jpg", "error: cannot tell how to write a.jpg: pictures end in .png, .svg, .pdf"),
        (f"plot slice {ATLAS}", "Error: Missing option '-o' / '--output'."),
        (f"plot slice {ATLAS} --at 1 --planes 2 -o a.png", "Error: choose --at or --planes, not both"),
        (f"plot slice {ATLAS} --planes 0 -o a.png", "Error: Invalid value for '--planes': 0 is not in the range x>=1."),
        (f"plot slice {ATLAS} --zoom -o a.png", "error: zoom on what? name the structures that are to be seen"),
        (f"plot slice {ATLAS} --reference nisl -o a.png", "error: phantom_mouse_100um@1.0 has no volume 'nisl'; did you mean nissl?; it has annotation, nissl, ranks, reference"),
        (f"plot slice {ATLAS} --width 3 -o a.png", "error: a picture is 30 to 1000 mm wide, not 3: a column of a journal is 89, a page 183"),
        (f"plot slice {ATLAS} -o nowhere/a.png", "error: cannot write nowhere/a.png: No such file or directory"),
        ("plot slice phantom_mouse_50um -o a.png", "error: no atlas phantom_mouse_50um"),
        ("plot slise x", "Error: no command 'slise'; did you mean slice?"),
        (f"plot heatmap {ATLAS} -o a.png", "Error: Missing option '--values'."),
        (f"plot heatmap {ATLAS} --values a.csv -o a.png", "error: cannot read a.csv: No such file or directory"),
        (f"plot heatmap {ATLAS} --values a.csv --where animal -o a.png", "Error: --where animal: expected COLUMN=VALUE"),
        (f"plot tree {ATLAS} --column cells -o a.png", "error: column is asked of values, and there are none"),
        (f"plot bars {ATLAS} --by animal -o a.png", "error: by is asked of values, and there are none"),
    ],
)  # fmt: skip
def test_errors_are_one_line(typed: Typed, command: str, message: str) -> None:
    found = typed.refused(command)
    assert found.startswith(message)


def test_values_of_unknown_structures(typed: Typed) -> None:
    Path("values.csv").write_text("acronym,cells\nCTX,3\nVISP1,2\nqqq,1\n")
    found = typed.refused(f"plot heatmap {ATLAS} --values values.csv -o a.png")
    assert found == (
        "error: values.csv has values of 2 structures that phantom_mouse_100um@1.0 does not have: "
        "VISP1 (did you mean VISp1 or VISp or VISp5?); qqq"
    ) or found.startswith(
        "error: values.csv has values of 2 structures that phantom_mouse_100um@1.0"
    )
    assert "VISP1 (did you mean VISp1" in found


def test_a_picture_is_never_written_into_the_home(typed: Typed, full: atlasdb.Database) -> None:
    file = full.home.folder / "atlas.duckdb"
    assert "pictures end in" in typed.refused(f"plot slice {ATLAS} -o {file}")
    inside = full.home.folder / "volumes" / "a.png"
    assert "a.png" in typed.refused(f"plot slice {ATLAS} -o {inside}")
    assert not inside.exists()


def test_help_is_there_for_every_picture(typed: Typed) -> None:
    _, listed, _ = typed("plot --help")
    from atlasdb.cli.plot_command import SUBCOMMANDS

    for name in SUBCOMMANDS:
        assert f"  {name} " in listed
        status, out, _ = typed(f"plot {name} --help")
        assert status == 0
        assert "-o, --output FILE" in out
        assert "atlasdb plot " in out
