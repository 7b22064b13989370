"""From a name to a package: this machine's BrainGlobe folder, mirrors, servers."""

from __future__ import annotations

import subprocess
import sys
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from conftest import serving, tree_of
from small import SmallAtlas

import atlasdb
from atlasdb import sources
from atlasdb.errors import DownloadError, SourceError

NAME = "small_rat_50um"


def mirror(folder: Path, *versions: str) -> Path:
    """Make a mirror: archives, and the listing of the last version."""
    folder.mkdir(exist_ok=True)
    for version in versions:
        archive = SmallAtlas(version=version).archive(folder / f"work-{version}")
        archive.replace(folder / archive.name)
    (folder / "last_versions.conf").write_text(f"[atlases]\n{NAME} = {versions[-1]}\n")
    return folder


def test_the_default_servers_are_brainglobe_s() -> None:
    """In a process of its own, since other tests are kept from them."""
    command = "from atlasdb.sources import *; print(*(p.location for p in places_of('auto')[1:]))"
    done = subprocess.run(
        [sys.executable, "-c", command], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == [
        "https://gin.g-node.org/brainglobe/atlases/raw/master/",
        "https://brainglobe.s3.us-west-2.amazonaws.com/atlas/",
    ]


def test_an_atlas_that_brainglobe_has_on_this_machine(db: atlasdb.Database, tmp_path: Path) -> None:
    folder = tmp_path / "user" / ".brainglobe"
    for version in ("1.9", "1.10"):
        SmallAtlas(version=version).write(folder)
    (folder / f"{NAME}_v2.0").mkdir()  # half removed: no metadata.json
    report = db.ingest(NAME)
    assert str(report.atlas) == f"{NAME}@1.10"
    assert report.origin == str(folder / f"{NAME}_v1.10")
    assert str(db.ingest(f"{NAME}@1.9").atlas) == f"{NAME}@1.9"
    assert (folder / f"{NAME}_v1.10" / "annotation.tiff").is_file(), "the user's own stay"


@pytest.mark.parametrize("by_variable", [True, False])
def test_brainglobe_s_own_settings_are_followed(
    db: atlasdb.Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by_variable: bool
) -> None:
    elsewhere = tmp_path / "elsewhere"
    SmallAtlas().write(elsewhere)
    config = tmp_path / "config" if by_variable else tmp_path / "user/.config/brainglobe"
    config.mkdir(parents=True)
    (config / "bg_config.conf").write_text(f"[default_dirs]\nbrainglobe_dir = {elsewhere}\n")
    if by_variable:
        monkeypatch.setenv("BRAINGLOBE_CONFIG_DIR", str(config))
    assert db.ingest(NAME).origin.startswith(str(elsewhere))


def test_a_folder_as_mirror(db: atlasdb.Database, tmp_path: Path) -> None:
    folder = mirror(tmp_path / "mirror", "1.2", "1.10")
    assert str(db.ingest(f"{NAME}@1.2", source=str(folder)).atlas) == f"{NAME}@1.2"
    assert db.ingest(NAME, source=str(folder)).status == "present", "any version will do"
    assert str(db.ingest(f"{NAME}@1.10", source=str(folder)).atlas) == f"{NAME}@1.10"
    with pytest.raises(SourceError, match=rf"{NAME}@3.0 is not in .*; there is {NAME}@1.10"):
        db.ingest(f"{NAME}@3.0", source=str(folder))
    with pytest.raises(SourceError, match=f"small_rat_5um is not in .*did you mean {NAME}"):
        db.ingest("small_rat_5um", source=str(folder))
    with pytest.raises(SourceError, match="neither a folder nor"):
        db.ingest("small_rat_5um", source=str(tmp_path / "none"))


def test_a_server_as_mirror(db: atlasdb.Database, server: tuple[str, Path]) -> None:
    url, folder = server
    mirror(folder, "1.2", "1.10")
    report = db.ingest(NAME, source=url.rstrip("/"))
    assert str(report.atlas) == f"{NAME}@1.10"
    assert report.origin == f"{url}{NAME}_v1.10.tar.gz"
    assert db.sql("SELECT source_url FROM atlas").to_pylist() == [{"source_url": report.origin}]
    assert str(db.ingest(f"{NAME}@1.2", source=url).atlas) == f"{NAME}@1.2"
    assert not list(db.home.folder.glob("downloads/*"))


def test_an_address_of_an_archive(db: atlasdb.Database, server: tuple[str, Path]) -> None:
    url, folder = server
    archive = SmallAtlas().archive(folder)
    assert db.ingest(url + archive.name).status == "ingested"


def test_brainglobe_s_server_is_asked_last(
    db: atlasdb.Database, server: tuple[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, folder = server
    mirror(folder, "1.2")
    monkeypatch.setattr(sources, "GIN", url)
    assert db.ingest(NAME).origin.startswith(url)
    assert db.ingest(NAME, source="gin", force=True).status == "replaced"


@pytest.mark.parametrize(
    ("listing", "message"),
    [
        ("<html>504</html>", "is an HTML page: expected BrainGlobe's last_versions.conf"),
        ("", "is no list of atlases"),
        ("[atlases]\nx = y\n", "is no list of atlases"),
        ("[atlases]\nsmall_rat_25um = 1.2\n", "is not in .*did you mean small_rat_25um"),
        (None, "the server answers 404"),
    ],
)
def test_mirrors_without_the_atlas(
    db: atlasdb.Database, server: tuple[str, Path], listing: str | None, message: str
) -> None:
    url, folder = server
    if listing is not None:
        (folder / "last_versions.conf").write_text(listing)
    with pytest.raises(SourceError, match=message):
        db.ingest(NAME, source=url)
    assert not db.home.folder.exists()


def test_an_unreachable_server(db: atlasdb.Database) -> None:
    with serving(BaseHTTPRequestHandler) as url:
        pass
    with pytest.raises(DownloadError, match=r"127\.0\.0\.1.*--source") as caught:
        db.ingest(NAME, source=url)
    assert "Traceback" not in str(caught.value)
    assert not db.home.folder.exists()


class _CutsTheConnection(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "100000")
        self.end_headers()
        self.wfile.write(b"\x1f\x8b" + b"x" * 500)

    def log_message(self, *_: object) -> None:
        pass


class _Encodes(BaseHTTPRequestHandler):
    content = b""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(self.content)))
        self.end_headers()
        self.wfile.write(self.content)

    def log_message(self, *_: object) -> None:
        pass


def test_a_connection_that_breaks(db: atlasdb.Database) -> None:
    with (
        serving(_CutsTheConnection) as url,
        pytest.raises(DownloadError, match="502 of 100,000 bytes|IncompleteRead|502 bytes read"),
    ):
        db.ingest(url + "x.tar.gz")
    assert all(".part" in name for name in tree_of(db.home.folder)), "only what can be gone on with"
    assert not db.home.has_database()


def test_a_server_that_calls_the_archive_s_own_compression_an_encoding(
    db: atlasdb.Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_Encodes, "content", SmallAtlas().archive(tmp_path).read_bytes())
    with serving(_Encodes) as url:
        assert db.ingest(url + "x.tar.gz").status == "ingested"


def test_another_atlas_under_the_name_that_was_asked_for(
    db: atlasdb.Database, tmp_path: Path
) -> None:
    folder = mirror(tmp_path / "mirror", "1.2")
    (folder / f"{NAME}_v1.2.tar.gz").rename(folder / "big_rat_50um_v1.2.tar.gz")
    with pytest.raises(SourceError, match="asked for big_rat_50um@1.2, .* that it is small_rat"):
        db.ingest("big_rat_50um", source=str(folder))
    assert not db.home.folder.exists()


@pytest.mark.parametrize(
    "atlas", ["", "../x", "a b", "x@1", "x@1.2.3", "@1.2", ".hidden", "a..b_10um"]
)
def test_what_can_be_no_atlas_s_name(db: atlasdb.Database, atlas: str) -> None:
    with pytest.raises(SourceError):
        db.ingest(atlas)
    assert not db.home.folder.exists()


def test_paths_that_lead_nowhere(db: atlasdb.Database, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="it does not exist"):
        db.ingest(str(tmp_path / "none.tar.gz"))
    with pytest.raises(SourceError, match=r"it holds no metadata\.json"):
        db.ingest(str(tmp_path))


@pytest.mark.parametrize(
    ("atlas", "message"),
    [
        ("http://[::1/x.tar.gz", "is no address|Invalid"),
        ("http://", "is no http or https address"),
        ("x" * 5000, "no name for an atlas|cannot look at"),
        ("/" + "x" * 5000, "cannot look at"),
        ("~nosuchuser/x", "nosuchuser"),
        ("a\0b", "no name|cannot look at"),
    ],
)
def test_addresses_and_paths_of_nothing(db: atlasdb.Database, atlas: str, message: str) -> None:
    with pytest.raises(SourceError, match=message) as caught:
        db.ingest(atlas)
    assert len(str(caught.value)) < 600
    assert not db.home.folder.exists()


@pytest.mark.parametrize("source", ["~nosuchuser/x", "/" + "x" * 5000])
def test_sources_of_nothing(db: atlasdb.Database, source: str) -> None:
    with pytest.raises(SourceError):
        db.ingest(NAME, source=source)


class _AnyPath(BaseHTTPRequestHandler):
    content = b""

    def do_GET(self) -> None:
        self.send_response(200)
        if self.path.startswith("/long"):
            self.send_header("Content-Length", "9" * 5000)
        self.end_headers()
        self.wfile.write(self.content)

    def log_message(self, *_: object) -> None:
        pass


@pytest.mark.parametrize(
    "path", [f"{NAME}_v1.0", "..", "%2e%2e", "x" * 300, "", "x%00y", "?x=/../y", "long"]
)
def test_addresses_whose_last_part_is_no_file_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.setattr(_AnyPath, "content", SmallAtlas().archive(tmp_path).read_bytes())
    with serving(_AnyPath) as url:
        assert atlasdb.connect(tmp_path / "home").ingest(url + path).status == "ingested"
