"""How fast a slice is drawn, beside brainglobe-heatmap's figure of the same plane.

Run it as ``python benchmarks/bench_plots.py ARCHIVE [PYTHON]`` on allen_mouse_100um_v1.2.tar.gz; it
needs ``pip install -e '.[bench]'``. PYTHON is the interpreter of another environment, with
``pip install brainglobe-heatmap 'brainglobe-atlasapi<2.4'``; without it its rows are left out.

The plane is frontal, at 7 mm, of 25 µm. Ours has all structures of the plane, outlines, acronyms,
the reference, and is written as PNG of 300 dpi; the limit is matplotlib writing the same plane as a
bare image of the same size. brainglobe-heatmap draws those structures that have a mesh, with
acronyms, into a figure of the same size.
"""

from __future__ import annotations

import json
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from bench_ingest import large_package

import atlasdb

if TYPE_CHECKING:
    from collections.abc import Callable

    from atlasdb.plots.sections import Plane
    from atlasdb.voxels import AtlasVoxels

LARGE = "allen_mouse_25um"
AT_UM = 7000.0
ROUNDS = 7

FRESH = """
import sys, time
begin = time.perf_counter()
import atlasdb, matplotlib.figure, matplotlib.backends.backend_agg, scipy.ndimage
from atlasdb.plots import plot_slice
imported = time.perf_counter()
voxels = atlasdb.connect(sys.argv[1]).voxels(sys.argv[2])
plot_slice(voxels, "frontal", at_um=float(sys.argv[3])).save(sys.argv[4])
print(imported - begin, time.perf_counter() - imported)
"""

PEER = """
import json, os, sys, time, warnings
warnings.simplefilter("ignore")
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
begin = time.perf_counter()
import matplotlib
matplotlib.use("Agg")
import matplotlib.pyplot as plt
import brainglobe_heatmap
import brainglobe_atlasapi.bg_atlas as api
from brainrender import settings
settings.OFFSCREEN, settings.INTERACTIVE = True, False
folder, name, at, rounds = sys.argv[1], sys.argv[2], float(sys.argv[3]), int(sys.argv[4])
start = api.BrainGlobeAtlas.__init__
def from_folder(self, *args, **kwargs):
    start(self, *args, **kwargs | {"brainglobe_dir": folder, "check_latest": False})
api.BrainGlobeAtlas.__init__ = from_folder
values = json.load(sys.stdin)
print(time.perf_counter() - begin)
for _ in range(rounds):
    begin = time.perf_counter()
    heatmap = brainglobe_heatmap.Heatmap(
        values, position=at, orientation="frontal", format="2D", atlas_name=name,
        check_latest=False, annotate_regions=True,
    )
    figure, axes = plt.subplots(figsize=(120 / 25.4, 105 / 25.4))
    heatmap.plot_subplot(figure, axes)
    figure.savefig(os.devnull, format="png", dpi=300)
    print(time.perf_counter() - begin)
    plt.close(figure)
"""


def median(work: Callable[[], Any]) -> float:
    """Return how long something takes, once it has run."""
    work()
    taken = []
    for _ in range(ROUNDS):
        begin = time.perf_counter()
        work()
        taken.append(time.perf_counter() - begin)
    return statistics.median(taken)


def bare(voxels: AtlasVoxels) -> float:
    """Return how long matplotlib takes for the plane as an image and nothing else."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    plane = voxels.volume("reference")[int(AT_UM / 25)]

    def draw() -> None:
        figure = Figure(figsize=(120 / 25.4, 105 / 25.4))
        FigureCanvasAgg(figure)
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set_axis_off()
        axes.imshow(plane, cmap="gray", interpolation="nearest")
        figure.savefig(BytesIO(), format="png", dpi=300)

    return median(draw)


def parts(voxels: AtlasVoxels) -> dict[str, float]:
    """Return how long the parts of a slice take."""
    from atlasdb.plots.naming import Lettering, place_names
    from atlasdb.plots.outlines import find_outlines
    from atlasdb.plots.regions import find_regions
    from atlasdb.plots.sections import SECTIONS, read_plane
    from atlasdb.plots.style import LIGHT, text_extent

    grey = voxels.volume("reference")

    def read() -> Plane:
        return read_plane(voxels, SECTIONS["frontal"], AT_UM, reference=grey)

    plane = read()
    regions = find_regions(voxels)
    codes = regions.code[plane.ranks]
    lettering = Lettering(text_extent, LIGHT.name_sizes_pt, 10.0)
    return {
        "reading the plane": median(read),
        "outlines": median(lambda: find_outlines(codes).lines()),
        "places for names": median(
            lambda: place_names(codes, regions.names, plane.spacing_mm, lettering)
        ),
    }


def ours(home: Path) -> float:
    """Print how long our slice takes, and what of it; return its median."""
    from atlasdb.plots import plot_slice, plot_tree

    voxels = atlasdb.connect(home).voxels(LARGE)

    def draw() -> None:
        plot_slice(voxels, "frontal", at_um=AT_UM).to_bytes("png")

    whole, limit = median(draw), bare(voxels)
    picture = plot_slice(voxels, "frontal", at_um=AT_UM)
    print(f"\n{picture.caption}\n\n| what | ms | |\n|---|---|---|")
    print(f"| one frontal slice as PNG | {whole * 1e3:.0f} | aim: under 500 |")
    for name, taken in parts(voxels).items():
        print(f"| of it {name} | {taken * 1e3:.1f} | |")
    print(f"| the bare plane by matplotlib | {limit * 1e3:.0f} | ×{whole / limit:.1f} |")
    for name, work in {
        "a smoothed slice": lambda: plot_slice(voxels, at_um=AT_UM, smooth=True).to_bytes("png"),
        "a sagittal slice": lambda: plot_slice(voxels, "sagittal", at_um=4000).to_bytes("png"),
        "a sheet of 12 planes": lambda: plot_slice(voxels, planes=12, depth=6).to_bytes("png"),
        "a sunburst of all structures": lambda: plot_tree(voxels).to_bytes("png"),
    }.items():
        print(f"| {name} | {median(work) * 1e3:.0f} | |")
    return whole


def fresh(home: Path, folder: Path) -> None:
    """Print how long the first slice of a process takes."""
    command = [sys.executable, "-c", FRESH, str(home), LARGE, str(AT_UM), str(folder / "a.png")]
    runs = []
    for _ in range(5):
        printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        runs.append([float(word) for word in printed.split()])
    imported, drawn = (statistics.median(column) for column in zip(*runs, strict=True))
    print(f"| a new process: its imports | {imported * 1e3:.0f} | |")
    print(f"| then opening the atlas and its first slice | {drawn * 1e3:.0f} | aim: under 500 |")


def theirs(home: Path, folder: Path, python: str, our_time: float) -> None:
    """Print how long brainglobe-heatmap takes for the structures that have meshes."""
    db = atlasdb.connect(home)
    voxels = db.voxels(LARGE)
    present = np.unique(voxels.ranks[int(AT_UM / 25)]).tolist()
    meshes = set(db.sql(f"SELECT structure_id FROM {LARGE}.mesh")["structure_id"].to_pylist())
    ids, acronyms = voxels.rank_table.ids, voxels.structures.acronyms
    values = {acronyms[r - 1]: float(r % 17) for r in present if r > 1 and int(ids[r]) in meshes}
    command = [python, "-c", PEER, str(folder), LARGE, str(AT_UM), str(ROUNDS)]
    printed = subprocess.run(
        command, check=True, capture_output=True, text=True, input=json.dumps(values)
    ).stdout
    imported, *taken = (float(line) for line in printed.split())
    median_s = statistics.median(taken)
    print(f"| brainglobe-heatmap: its imports | {imported * 1e3:.0f} | |")
    print(
        f"| its figure of {len(values)} of the {len(present)} structures | {median_s * 1e3:.0f} | "
        f"×{median_s / our_time:.1f} |"
    )


def main(archive: Path, python: str | None) -> None:
    import matplotlib as mpl

    print(f"Python {platform.python_version()}, matplotlib {mpl.__version__}, {platform.machine()}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        package = large_package(archive, folder)
        atlasdb.connect(folder / "home").ingest(str(package))
        whole = ours(folder / "home")
        fresh(folder / "home", folder)
        if python is not None:
            theirs(folder / "home", package.parent, python, whole)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else None)
