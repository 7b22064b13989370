"""How fast the Atlas object is beside brainglobe-atlasapi 2.3.1, member by member.

Run it as ``python benchmarks/bench_atlas.py ARCHIVE`` on allen_mouse_100um_v1.2.tar.gz; it needs
``pip install -e '.[bench]'``. Both have the same package of 25 µm, (528, 320, 456), with the meshes
of the archive, and take turns; what they answer is compared. It prints medians and ratios, the
reading of the largest mesh beside meshio, and time and memory of a new process that looks at one
plane.
"""

from __future__ import annotations

import platform
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import meshio
import numpy as np
from bench_ingest import large_package

import atlasdb
from atlasdb.meshes import read_mesh

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Asked = Any  # an atlas of ours or of BrainGlobe's

LARGE = "allen_mouse_25um"
POINTS = 100_000
PEAK = "print(open('/proc/self/status').read().split('VmHWM:')[1].split()[0])"
PLANE = {
    "atlasdb": "import atlasdb; atlas = atlasdb.connect({home!r}).atlas('allen_mouse_25um');"
    "assert atlas.mapped['annotation'][264].max(); assert atlas.mapped['reference'][264].max();",
    "brainglobe-atlasapi": "import warnings; warnings.simplefilter('ignore');"
    "from brainglobe_atlasapi.core import Atlas; atlas = Atlas({package!r});"
    "assert atlas.annotation[264].max(); assert atlas.reference[264].max();",
}


def seconds(work: Callable[[], Any]) -> float:
    """Return how long something takes."""
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def beside(name: str, ours: Callable[[], Any], theirs: Callable[[], Any], rounds: int = 5) -> None:
    """Print the medians of both, taking turns, and how often ours fits into theirs."""
    found, wanted = ours(), theirs()
    if isinstance(found, np.ndarray):
        agree = np.array_equal(found, wanted)
    else:
        agree = not isinstance(found, list) or found == wanted
    if not agree:
        raise SystemExit(f"{name}: the answers differ")
    taken = [(seconds(ours), seconds(theirs)) for _ in range(rounds)]
    mine, other = (statistics.median(column) for column in zip(*taken, strict=True))
    print(f"| {name} | {mine * 1e3:,.2f} ms | {other * 1e3:,.2f} ms | ×{other / mine:,.1f} |")


def fresh(atlas: Asked, member: str) -> Callable[[], Any]:
    """Return what reads a volume anew, whoever keeps it."""

    def read() -> NDArray[Any]:
        if member in vars(atlas):  # kept by us; BrainGlobe keeps it under another name
            delattr(atlas, member)
        else:
            setattr(atlas, f"_{member}", None)
        array: NDArray[Any] = getattr(atlas, member)
        return array

    return read


def members(home: Path, package: Path) -> None:
    """Print the members of both."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of their imports
        from brainglobe_atlasapi.core import Atlas

        theirs = Atlas(package)
    db = atlasdb.connect(home)
    ours = db.atlas(LARGE)
    inside = np.argwhere(theirs.annotation > 0)
    chosen = np.random.default_rng(3).choice(len(inside), POINTS)
    triples = [tuple(map(int, triple)) for triple in inside[chosen]]
    microns = [tuple(25.0 * c + 12 for c in triple) for triple in triples]
    ids = list(ours.structures)

    def each(
        atlas: Asked, member: str, points: list[Any], **keywords: object
    ) -> Callable[[], list[Any]]:
        ask = getattr(atlas, member)
        return lambda: [ask(point, **keywords) for point in points]

    print(f"\n| {LARGE}, {POINTS:,} points one by one | atlasdb | brainglobe-atlasapi | |")
    print("|---|---|---|---|")
    structure = "structure_from_coords"
    um: dict[str, Any] = {"microns": True}
    deep = [
        point
        for point in microns  # BrainGlobe raises where a structure is not so deep
        if len(ours.structures[ours.structure_from_coords(point, **um)]["structure_id_path"]) > 2
    ]
    for label, member, points, keywords in (
        ("ids of voxels", structure, triples, {}),
        ("acronyms, microns", structure, microns, um | {"as_acronym": True}),
        ("at level 2, microns", structure, deep, um | {"hierarchy_lev": 2}),
        ("hemispheres of voxels", "hemisphere_from_coords", triples, {}),
    ):
        beside(
            label,
            each(ours, member, points, **keywords),
            each(theirs, member, points, **keywords),
            3,
        )
    array = np.array(microns)
    beside(
        "the same ids as one array",
        lambda: ours.structure_from_coords(array, microns=True).tolist(),
        each(theirs, "structure_from_coords", microns, microns=True),
        3,
    )
    for label, member in (
        ("descendants of all 839 structures", "get_structure_descendants"),
        ("ancestors of all", "get_structure_ancestors"),
    ):
        beside(label, each(ours, member, ids), each(theirs, member, ids), 3)
    print("\n| stacks and masks | atlasdb | brainglobe-atlasapi | |")
    print("|---|---|---|---|")
    for member in ("reference", "annotation", "hemispheres"):
        beside(f"`{member}`, read anew", fresh(ours, member), fresh(theirs, member))
    for name in ("root", "CTX", "VISp"):
        beside(
            f"mask of {name} with ids",
            partial(ours.get_structure_mask, name, with_ids=True),
            partial(theirs.get_structure_mask, name),
            1,
        )
    opening = partial(db.atlas, LARGE)
    beside("opening the atlas", lambda: opening().structures, lambda: Atlas(package).structures)


def meshes(home: Path) -> None:
    """Print how fast the largest mesh is read, whole and half."""
    atlas = atlasdb.connect(home).atlas(LARGE)
    path = atlas.root_meshfile()
    print(f"\n| the root's mesh, {path.stat().st_size / 1e6:.1f} MB | atlasdb | meshio | |")
    print("|---|---|---|---|")
    beside("read", lambda: read_mesh(path).vertices, lambda: meshio.obj.read(path).points)
    half = statistics.median(
        seconds(lambda: atlas.surface("root", hemisphere="left")) for _ in range(5)
    )
    print(f"| read and cut at the midline | {half * 1e3:,.2f} ms | | |")


def planes(home: Path, package: Path) -> None:
    """Print time and memory of new processes that look at one plane of two stacks."""
    print("\n| a new process looks at a plane of annotation and reference | s | peak MB |")
    print("|---|---|---|")
    for name, code in PLANE.items():
        command = [sys.executable, "-c", code.format(home=str(home), package=str(package)) + PEAK]
        taken, peaks = [], []
        for _ in range(5):
            begin = time.perf_counter()
            printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            taken.append(time.perf_counter() - begin)
            peaks.append(int(printed) / 1024)
        print(f"| {name} | {statistics.median(taken):.2f} | {statistics.median(peaks):.0f} |")


def main(archive: Path) -> None:
    print(f"Python {platform.python_version()}, numpy {np.__version__}, {platform.machine()}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        package = large_package(archive, folder)
        atlasdb.connect(folder / "home").ingest(str(package))
        members(folder / "home", package)
        meshes(folder / "home")
        planes(folder / "home", package)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
