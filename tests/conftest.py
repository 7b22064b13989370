"""Fixtures: homes with atlases in them, the real data, a server on loopback."""

from __future__ import annotations

import functools
import os
import signal
import tarfile
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pytest

import atlasdb
from atlasdb import sources
from atlasdb.download import connections

if TYPE_CHECKING:
    from collections.abc import Iterator

DATA = Path(
    os.environ.get("ATLASDB_TEST_DATA") or Path(__file__).parents[2] / "shared" / "data"
).resolve()


# A shell ignores Ctrl-C for what it starts in the background, and so would the commands under test.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _private_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep every test away from the user's own home, atlases and settings."""
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    for name in ("HOME", "SOURCE", "LIMITS"):
        monkeypatch.delenv(f"ATLASDB_{name}", raising=False)
    for name in ("BRAINGLOBE_CONFIG_DIR", "XDG_DATA_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)


NOBODY = "http://127.0.0.1:9/"
"""Where no server listens."""


@pytest.fixture(autouse=True)
def _no_other_address(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep every test away from real servers, and from waiting long for those of its own."""
    monkeypatch.setattr(sources, "GIN", NOBODY + "gin/")
    monkeypatch.setattr(sources, "S3", NOBODY + "s3/")
    for patience, read_s, attempts in (("PATIENT", 2, 6), ("SMALL", 2, 3), ("HASTY", 2, 1)):
        quick = connections.Patience(2, read_s, attempts, delay_s=0.01)
        monkeypatch.setattr(connections, patience, quick)


@pytest.fixture
def db(tmp_path: Path) -> atlasdb.Database:
    """A database in a folder that does not exist yet."""
    return atlasdb.connect(tmp_path / "home")


@pytest.fixture(scope="session")
def packages() -> Path:
    """The folder of the real packages, which is a mirror."""
    folder = DATA / "packages"
    if not folder.is_dir():
        pytest.skip(f"the real atlases are not in {folder}; ATLASDB_TEST_DATA names their folder")
    return folder


@pytest.fixture(scope="session")
def real_components(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The real Allen atlas as components, laid out like the public bucket's ``atlas/``."""
    archive = DATA / "components" / "allen_mouse_100um_v3.0.tar.gz"
    if not archive.is_file():
        pytest.skip(f"the real components are not in {archive}; ATLASDB_TEST_DATA names the data")
    folder = tmp_path_factory.mktemp("components")
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="data")
    return folder / "atlas"


@pytest.fixture(scope="session")
def full(tmp_path_factory: pytest.TempPathFactory) -> atlasdb.Database:
    """The phantoms, two versions and two resolutions of a small atlas, and cells; read only."""
    from small import SmallAtlas, labels

    database = atlasdb.connect(tmp_path_factory.mktemp("full") / "home")
    sources = tmp_path_factory.mktemp("sources")
    for phantom in (
        "phantom_mouse_100um",
        "phantom_anisotropic_mouse_200um",
        "phantom_asymmetric_mouse_100um",
        "phantom_odd_mouse_100um",
    ):
        database.ingest(phantom)
    for number, version in enumerate(("1.2", "1.10", "1.9")):
        atlas = SmallAtlas(version=version, annotation=labels(number))
        database.ingest(str(atlas.write(sources)))
    coarse = SmallAtlas(resolution_um=(100.0, 40.0, 20.0), annotation=labels(9))
    database.ingest(str(coarse.write(sources)))
    chance = np.random.default_rng(8)
    cells = {name: chance.uniform(-10, 210, 200) for name in ("ap_um", "si_um", "rl_um")}
    cells["animal"] = chance.choice(["m1", "m2"], 200)
    database.add_cells("pilot", pa.table(cells), "small_rat_50um@1.2")
    return database


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> atlasdb.Database:
    """Two resolutions, two versions, labels without structures, an odd and an asymmetric atlas.

    For questions about points; read only.
    """
    from small import SmallAtlas, labels

    folder = tmp_path_factory.mktemp("points")
    database = atlasdb.connect(folder / "home")
    strange = labels(5)
    strange[strange == 12] = 4_000_000_000
    for atlas in (
        SmallAtlas(version="1.2", annotation=labels(1)),
        SmallAtlas(version="1.10", annotation=strange),
        SmallAtlas(resolution_um=(100.0, 33.3, 0.1), annotation=labels(3)),
    ):
        database.ingest(str(atlas.write(folder)))
    for phantom in ("phantom_odd_mouse_100um", "phantom_asymmetric_mouse_100um"):
        database.ingest(phantom)
    return database


@pytest.fixture(scope="session")
def real(packages: Path, tmp_path_factory: pytest.TempPathFactory) -> atlasdb.Database:
    """A home with the real Allen atlas, its example sibling and the phantom; read only."""
    database = atlasdb.connect(tmp_path_factory.mktemp("real") / "home")
    database.ingest("phantom_mouse_100um")
    for name in ("allen_mouse_100um", "example_mouse_100um"):
        database.ingest(name, source=str(packages))
    return database


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base class's name)
        pass


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A web server on loopback: its address and the folder that it serves."""
    folder = tmp_path / "served"
    folder.mkdir()
    with serving(functools.partial(_Quiet, directory=str(folder))) as url:
        yield url, folder


class serving:  # noqa: N801 (used as a function)
    """Serve with a handler on loopback while the block runs; gives the address."""

    def __init__(self, handler: object) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)  # type: ignore[arg-type]
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> str:
        self._thread.start()
        return f"http://127.0.0.1:{self._server.server_address[1]}/"

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def tree_of(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder with its content, lock and all."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
