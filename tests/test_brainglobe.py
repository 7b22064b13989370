"""BrainGlobe's front door: what its arguments mean here, the table of atlases, and progress."""

from __future__ import annotations

import copy
import multiprocessing
import os
import re
import shutil
import subprocess
import sys
import time
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from conftest import serving, tree_of
from small import SmallAtlas, labels

import atlasdb
from atlasdb import (
    BrainGlobeAtlas,
    DownloadError,
    HomeError,
    PackageError,
    SourceError,
    UnknownAtlasError,
    show_atlases,
)
from atlasdb.download import connections
from atlasdb.progress import Calling, progress_shown
from atlasdb.sources.base import NoProgress

NAME = "small_rat_50um"


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of archives in two versions, which is the user's source; and the user's home."""
    folder = tmp_path / "mirror"
    folder.mkdir()
    for number, version in enumerate(("1.2", "1.10")):
        atlas = SmallAtlas(version=version, annotation=labels(number))
        shutil.move(atlas.archive(tmp_path / version), folder)
    monkeypatch.setenv("ATLASDB_SOURCE", str(folder))
    monkeypatch.setenv("ATLASDB_HOME", str(tmp_path / "own"))
    return folder


def serve(mirror: Path, served: Path) -> None:
    """Put the mirror on the server."""
    for archive in mirror.iterdir():
        shutil.copy(archive, served)
    (served / "last_versions.conf").write_text(f"[atlases]\n{NAME} = 1.10\nother_1um = 0.3\n")


def test_the_user_s_own_home_by_default(
    mirror: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An atlas is ingested with progress on stderr, once, and then opened in silence."""
    atlas = BrainGlobeAtlas(NAME)
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.splitlines()[0].startswith("unpacking small_rat_50um_v1.10.tar.gz (")
    assert (atlas.atlas_name, atlas.local_version) == (NAME, (1, 10))
    assert atlas.local_full_name == "small_rat_50um_v1.10"
    assert atlas.brainglobe_dir == tmp_path / "own"
    assert atlas.interm_download_dir == tmp_path / "own" / "downloads"
    shutil.rmtree(mirror)
    again = BrainGlobeAtlas(NAME)
    assert capsys.readouterr() == ("", "")
    assert again.get_structure_ancestors("VISp2/3") == ["root", "grey", "CM"]
    assert [str(row["name"]) for row in atlasdb.connect().atlases().to_pylist()] == [NAME]


def test_the_platform_s_folder_without_any_setting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    atlas = BrainGlobeAtlas("phantom_mouse_100um")
    assert atlas.brainglobe_dir.is_relative_to(tmp_path)
    assert atlas.check_latest_version() is None  # nobody is asked about a phantom


@pytest.mark.parametrize("version", ["1.2", (1, 2), "1_2"])
def test_a_version_of_several(version: Any, mirror: Path) -> None:
    newest = BrainGlobeAtlas(NAME, check_latest=False)
    pinned = BrainGlobeAtlas(NAME, version=version)
    assert (newest.version, pinned.version) == ("1.10", "1.2")
    assert BrainGlobeAtlas(f"{NAME}@1.2", version=version).version == "1.2"
    assert BrainGlobeAtlas(NAME).version == "1.10"
    assert not (pinned.annotation == newest.annotation).all()


@pytest.mark.parametrize(
    ("name", "arguments", "error", "message"),
    [
        (5, {}, TypeError, r"Atlas name should be a string, not a int\."),
        ("../x", {}, PackageError, r"'\.\./x' is no name for an atlas"),
        (f"{NAME}@1.2", {"version": "1.10"}, SourceError, "asked for .*@1.2 and for version 1.10"),
        (NAME, {"version": 1.1}, TypeError, "a version is a text such as '1.2', or two ints"),
        (NAME, {"version": (1, 0, 0)}, TypeError, r"not \(1, 0, 0\)"),
        (NAME, {"version": ("1", "0")}, TypeError, "two ints"),
        (NAME, {"fn_update": 5}, TypeError, "fn_update is a function of two numbers, not 5"),
        (NAME, {"brainglobe_dir": "~nobody_x/y"}, SourceError, "brainglobe_dir='~nobody_x/y'"),
        (NAME, {"brainglobe_dir": __file__}, HomeError, "is a file: expected a folder"),
        (NAME, {"config_dir": "a\0b"}, SourceError, "cannot be read as BrainGlobe's configuration"),
        (NAME, {"version": "1"}, PackageError, "'1' is no version: expected MAJOR.MINOR"),
        (NAME, {"version": "1.3"}, SourceError, "@1.3 is not in .*; there is .*@1.10"),
        (NAME, {"brainglobe_dir": "1.2"}, SourceError, "'1.2' looks like a version: write version="),
        ("small_rat_5um", {}, SourceError, "small_rat_5um is not in .*did you mean small_rat_50um"),
        (NAME, {"config_dir": "nowhere"}, SourceError, "nowhere cannot be read as BrainGlobe's"),
        (NAME, {"source": "http://127.0.0.1:9/"}, DownloadError, "127.0.0.1:9"),
        (NAME, {"interm_download_dir": "/dev/null/x", "source": "http://127.0.0.1:9/"},
         SourceError, "127.0.0.1:9"),
    ],
)  # fmt: skip
def test_what_cannot_be(
    name: Any,
    arguments: dict[str, Any],
    error: type[Exception],
    message: str,
    mirror: Path,
    tmp_path: Path,
) -> None:
    with pytest.raises(error, match=message):
        BrainGlobeAtlas(name, **arguments)
    assert not (tmp_path / "own").exists()


def test_brainglobe_s_folder_is_source_and_home(mirror: Path, tmp_path: Path) -> None:
    """Its packages go before the server's, and the database lies beside them."""
    folder = tmp_path / "brainglobe"
    package = SmallAtlas(version="3.0", annotation=labels(7)).write(folder)
    before = tree_of(package)
    atlas = BrainGlobeAtlas(NAME, brainglobe_dir=folder)
    assert atlas.version == "3.0"
    assert atlas.brainglobe_dir == folder
    assert (folder / "atlas.duckdb").exists()
    assert tree_of(package) == before
    assert not (tmp_path / "own").exists()
    # What it does not have comes from the source; a home named otherwise goes before it.
    assert BrainGlobeAtlas(NAME, brainglobe_dir=folder, version="1.2").version == "1.2"
    elsewhere = BrainGlobeAtlas(NAME, str(folder), home=tmp_path / "third")
    assert (elsewhere.version, elsewhere.brainglobe_dir) == ("3.0", tmp_path / "third")


@pytest.mark.parametrize("is_folder", [True, False])
def test_brainglobe_s_configuration(
    is_folder: bool, mirror: Path, tmp_path: Path, server: tuple[str, Path]
) -> None:
    url, served = server
    serve(mirror, served)
    config = tmp_path / "bg_config.conf"
    config.write_text(
        f"[default_dirs]\nbrainglobe_dir = {tmp_path / 'bg'}\ninterm_download_dir = {tmp_path / 'i'}\n"
    )
    path = tmp_path if is_folder else str(config)
    atlas = BrainGlobeAtlas(NAME, config_dir=path, source=url, check_latest=False)
    assert atlas.brainglobe_dir == tmp_path / "bg"
    assert atlas.interm_download_dir == tmp_path / "i"
    assert not list((tmp_path / "i").iterdir())
    given = BrainGlobeAtlas(NAME, tmp_path / "given", config_dir=path, source=url)
    assert given.brainglobe_dir == tmp_path / "given"


def test_the_archive_lies_where_it_is_told(
    mirror: Path, tmp_path: Path, server: tuple[str, Path]
) -> None:
    url, served = server
    serve(mirror, served)
    folder = tmp_path / "a" / "b"
    seen: list[str] = []
    told: list[tuple[int, int]] = []

    def tell(done: int, total: int) -> None:
        told.append((done, total))
        seen.extend(path.name for path in folder.rglob("*.tar.gz*"))

    atlas = BrainGlobeAtlas(NAME, interm_download_dir=folder, fn_update=tell, source=url)
    assert atlas.fn_update is tell
    assert any(re.fullmatch(rf"{NAME}_v1\.10\.tar\.gz\.\w+\.part", name) for name in seen)
    size = (mirror / f"{NAME}_v1.10.tar.gz").stat().st_size
    assert (size, size) in told
    assert all(0 < done <= total for done, total in told)
    assert not list(folder.iterdir())
    assert atlas.remote_url == f"{url}{NAME}_v1.10.tar.gz"
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(SourceError, match=f"cannot download into {file}: File exists"):
        BrainGlobeAtlas(NAME, tmp_path / "new", file, source=url)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    "error", [KeyboardInterrupt(), OSError(28, "mine"), UnicodeError("mine"), ValueError("mine")]
)
@pytest.mark.parametrize("is_download", [True, False])
def test_what_the_caller_raises_reaches_the_caller(
    error: BaseException,
    is_download: bool,
    mirror: Path,
    tmp_path: Path,
    server: tuple[str, Path],
) -> None:
    url, served = server
    serve(mirror, served)

    def stop(_done: int, _total: int) -> None:
        raise error

    with pytest.raises(type(error)) as raised:
        BrainGlobeAtlas(NAME, fn_update=stop, source=url if is_download else None)
    assert raised.value is error
    left = tree_of(tmp_path / "own") if is_download else {}
    assert all(".part" in name for name in left), "what a next download goes on from"
    assert is_download or not (tmp_path / "own").exists()


def test_a_folder_of_brainglobe_s_that_lacks_it_is_named(
    mirror: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "gin"  # which is also what BrainGlobe's server is called
    SmallAtlas(version="3.0").write(folder)
    monkeypatch.setenv("ATLASDB_SOURCE", "http://127.0.0.1:9/")
    with pytest.raises(DownloadError, match=f"@9.9 is not in {folder}, which has 3.0; http://127"):
        BrainGlobeAtlas(NAME, brainglobe_dir=folder, version="9.9")
    with pytest.raises(DownloadError, match=f"other_1um is not in {folder}; http://127"):
        BrainGlobeAtlas("other_1um", brainglobe_dir=folder)
    monkeypatch.chdir(tmp_path)
    assert BrainGlobeAtlas(NAME, brainglobe_dir="gin", check_latest=False).version == "3.0"


def test_a_folder_of_brainglobe_s_that_cannot_be_written(mirror: Path, tmp_path: Path) -> None:
    folder = tmp_path / "shared"
    SmallAtlas(version="3.0").write(folder)
    (folder / "downloads").touch()  # as good as read-only, for whoever may write everywhere
    with pytest.raises(HomeError, match=r"brainglobe_dir: home=… names another folder"):
        BrainGlobeAtlas(NAME, brainglobe_dir=folder)
    elsewhere = BrainGlobeAtlas(NAME, brainglobe_dir=folder, home=tmp_path / "mine")
    assert elsewhere.version == "3.0"


def test_a_home_that_cannot_be_written(mirror: Path, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(HomeError, match="file"):
        BrainGlobeAtlas(NAME, file)


def open_it(_number: int) -> str:
    return BrainGlobeAtlas(NAME, check_latest=False).version


def test_two_processes_ingest_the_same_atlas(mirror: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        assert pool.map(open_it, range(2), chunksize=1) == ["1.10", "1.10"]
    rows = atlasdb.connect().sql("SELECT count(*) AS n FROM main.atlas").to_pylist()
    assert rows == [{"n": 1}]


class _Silent(BaseHTTPRequestHandler):
    """A server that takes a request and never answers."""

    def do_GET(self) -> None:
        time.sleep(20)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base class's name)
        pass


class _Slow(_Silent):
    """A server that answers a byte at a time, so that no read ever takes too long."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        for _ in range(40):
            self.wfile.write(b"#")
            self.wfile.flush()
            time.sleep(0.05)


def test_a_server_that_trickles_is_not_waited_for(
    mirror: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    atlas = BrainGlobeAtlas(NAME, check_latest=False)
    monkeypatch.setattr("atlasdb.download.connections._PATIENCE_S", 0.2)
    with serving(_Slow) as url:
        monkeypatch.setenv("ATLASDB_SOURCE", url)
        begin = time.monotonic()
        assert atlas.check_latest_version() is None
        assert time.monotonic() - begin < 1.5


def test_a_server_that_is_silent_is_not_waited_for(
    mirror: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    BrainGlobeAtlas(NAME)
    hasty = connections.Patience(0.2, 0.2, attempts=1)
    monkeypatch.setattr(connections, "HASTY", hasty)
    capsys.readouterr()
    with serving(_Silent) as url:
        monkeypatch.setenv("ATLASDB_SOURCE", url)
        begin = time.monotonic()
        assert BrainGlobeAtlas(NAME).remote_version is None
        show_atlases()
        assert time.monotonic() - begin < 10
    assert re.search(f"What {url} has is not known: .*timed out", capsys.readouterr().out)


def shown(capsys: pytest.CaptureFixture[str], **arguments: Any) -> list[list[str]]:
    """The cells of the table that `show_atlases` prints, and its last line."""
    capsys.readouterr()
    show_atlases(**arguments)
    printed = capsys.readouterr()
    assert printed.err == ""
    *table, last = printed.out.splitlines()
    assert table[0].startswith("╭")
    return [line.strip("│ ").split() for line in table[2:-1]] + [[last]]


def test_the_table_of_atlases(
    mirror: Path,
    tmp_path: Path,
    server: tuple[str, Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    url, served = server
    serve(mirror, served)
    monkeypatch.setenv("ATLASDB_SOURCE", url)
    own = tmp_path / "own"
    note = [f"Downloaded are those in the database {own}."]
    assert shown(capsys) == [["other_1um", "0.3"], [NAME, "1.10"], note]
    BrainGlobeAtlas(NAME, version="1.2", check_latest=False)
    BrainGlobeAtlas("phantom_mouse_100um")
    assert shown(capsys) == [
        ["phantom_mouse_100um", "✔", "1.0"],
        [NAME, "✔", "×", "1.2", "1.10"],
        ["other_1um", "0.3"],
        note,
    ]
    atlas = BrainGlobeAtlas(NAME, version="1.10", check_latest=False)
    rows = shown(capsys, show_local_path=True, table_width=300)
    assert rows[1][:6] == [NAME, "✔", "✔", "1.10,", "1.2", "1.10"]
    assert rows[1][6] == str(atlas.root_dir)
    monkeypatch.setenv("ATLASDB_SOURCE", "http://127.0.0.1:9/")
    rows = shown(capsys)
    assert rows[1] == [NAME, "✔", "1.10,", "1.2"]
    assert rows[-1][0].startswith("What http://127.0.0.1:9/ has is not known: ")
    (served / "last_versions.conf").write_text(
        f"[DEFAULT]\nx_1um = 1.0\n[atlases]\n{NAME} = 2.0\nodd_1um = 2"
    )
    assert ["odd_1um"] not in (rows := shown(capsys, source=url))
    assert rows[1] == [NAME, "✔", "×", "1.10,", "1.2", "2.0"]
    assert len(rows) == 3
    (served / "last_versions.conf").write_text("<html>")
    rows = shown(capsys, source=url)
    assert rows[1] == [NAME, "✔", "×", "1.10,", "1.2", "2.0"], "as it was"
    assert re.search(
        rf"{url} is shown as it was a moment ago \(.* UTC\), since .*an HTML page", rows[-1][0]
    )
    assert shown(capsys, source=str(mirror), home=tmp_path / "none")[0] == [NAME, "1.10"]
    capsys.readouterr()
    for width in (1, 20, 40, 88.5):
        show_atlases(table_width=width)  # type: ignore[arg-type]
        printed = capsys.readouterr().out
        for word in ("Name", "Downloaded", "Updated", "Local", "Latest version", NAME):
            assert word in printed


def test_the_table_in_ascii(mirror: Path, tmp_path: Path) -> None:
    BrainGlobeAtlas(NAME)
    done = subprocess.run(
        [sys.executable, "-c", "import atlasdb; atlasdb.show_atlases()"],
        capture_output=True, check=True, env={**os.environ, "PYTHONIOENCODING": "ascii"},
    )  # fmt: skip
    row = next(line for line in done.stdout.decode("ascii").splitlines() if NAME in line)
    assert row.strip("| ").split() == [NAME, "yes", "yes", "1.10", "1.10"]


def test_an_unknown_source_for_the_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SourceError, match="none is neither a folder nor an"):
        show_atlases(source=str(tmp_path / "none"), home=tmp_path)
    assert capsys.readouterr().out == ""


def test_the_same_object_from_a_database(db: atlasdb.Database) -> None:
    db.ingest("phantom_mouse_100um")
    atlas = db.atlas("phantom_mouse_100um")
    assert isinstance(atlas, atlasdb.Atlas)
    assert not isinstance(atlas, BrainGlobeAtlas)
    with pytest.raises(UnknownAtlasError, match="did you mean phantom_mouse_100um"):
        db.atlas("phantom_mouse_10um")


def test_it_is_pickled_as_what_it_is(mirror: Path) -> None:
    import pickle

    atlas = BrainGlobeAtlas(NAME, fn_update=lambda *_: None, source=str(mirror))
    atlas.metadata["species"] = "changed"
    assert copy.deepcopy(atlas).fn_update is atlas.fn_update
    again = pickle.loads(pickle.dumps(atlas))  # noqa: S301 (ours)
    assert type(again) is BrainGlobeAtlas
    assert again.brainglobe_dir == atlas.brainglobe_dir
    assert again.species == "changed"
    assert again.fn_update is None
    assert again._source == str(mirror)
    assert (again.structures.tree.show(stdout=False)) == atlas.hierarchy.show(stdout=False)


def test_progress_is_told_of_what_is_measured() -> None:
    told: list[tuple[int, int]] = []
    progress = Calling(NoProgress(), lambda done, total: told.append((done, total)))
    progress.step("a", 10)
    progress.advance(4)
    progress.advance(6)
    progress.step("b")
    progress.advance(3)
    progress.step("c", 2)
    progress.advance(1)
    assert told == [(4, 10), (10, 10), (1, 2)]


def test_progress_without_a_stderr(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As under pythonw and some GUIs."""
    monkeypatch.setattr(sys, "stderr", None)
    with progress_shown() as progress:
        progress.step("a", 5)
        progress.advance(5)
    assert capsys.readouterr().out == ""


def test_the_environment_names_the_source(mirror: Path, db: atlasdb.Database) -> None:
    assert str(db.ingest(NAME).atlas) == f"{NAME}@1.10"
    os.environ["ATLASDB_SOURCE"] = "http://127.0.0.1:9/"
    with pytest.raises(DownloadError):
        db.ingest("other_1um")
    assert db.ingest(f"{NAME}@1.2", source=str(mirror)).status == "ingested"
