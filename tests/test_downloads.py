"""Downloads over bad connections: every one ends in a correct atlas, or in one clear error."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import shutil
import signal
import ssl
import subprocess
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from http.server import SimpleHTTPRequestHandler
from pathlib import Path
from typing import Any

import duckdb
import pytest
import trustme
from components import TETRAHEDRON_FACES, TETRAHEDRON_UM, Level, SmallComponents
from conftest import NOBODY, serving, tree_of
from servers import TROUBLES, Files, Troubled
from small import RESOLUTION_UM, SmallAtlas, labels

import atlasdb
from atlasdb import download
from atlasdb.download import connections
from atlasdb.errors import ArchiveError, DownloadError, HomeError, SourceError
from atlasdb.sources.base import NoProgress
from atlasdb.sources.downloaded import UrlOrigin

NAME = "small_rat_50um"


class Told(NoProgress):
    """Remembers what it is told."""

    def __init__(self) -> None:
        self.steps: list[tuple[str, int | None]] = []
        self.notes: list[str] = []
        self.done = 0

    def step(self, label: str, total: int | None = None, measure: str = "bytes") -> None:
        self.steps.append((label, total))
        self.done = 0

    def advance(self, amount: int) -> None:
        self.done += amount

    def note(self, text: str) -> None:
        self.notes.append(text)


def essence(db: atlasdb.Database, atlas: str) -> dict[str, Any]:
    """Return all that an atlas is, but for numbers and folders that every ingest has of its own."""
    queries = [
        f'SELECT * FROM "{atlas}".{table} ORDER BY ALL'
        for table in ("structure", "closure", "extent", "label", "annotation_run", "finding")
    ]
    queries += [f'SELECT kind, dtype, bytes, sha256 FROM "{atlas}".volume ORDER BY kind']
    queries += [f'SELECT * EXCLUDE (path) FROM "{atlas}".mesh ORDER BY ALL']
    with duckdb.connect(str(db.home.database), read_only=True) as connection:
        return {query: connection.execute(query).fetchall() for query in queries}


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A mirror with two archives, some kilobytes that do not compress."""
    folder = tmp_path_factory.mktemp("archives")
    for name, seed in ((NAME[:9], 0), ("small_dog", 1)):
        noise = labels(seed)
        atlas = SmallAtlas(name=name, annotation=noise, metadata={"noise": os.urandom(9000).hex()})
        archive = atlas.archive(folder / name)
        archive.replace(folder / archive.name)
    listing = f"[atlases]\n{NAME} = 1.0\nsmall_dog_50um = 1.0\n"
    (folder / "last_versions.conf").write_text(listing)
    return folder


@pytest.fixture(scope="module")
def components(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Components of two atlases."""
    folder = tmp_path_factory.mktemp("components")
    for name, seed in ((NAME[:9], 0), ("small_dog", 1)):
        levels = [Level(RESOLUTION_UM, labels(seed))]
        mesh = {8 + seed: (TETRAHEDRON_UM, TETRAHEDRON_FACES)}
        SmallComponents(name=name, levels=levels, chunks=(4, 2, 7), meshes=mesh).write(folder)
    return folder


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with another atlas in it."""
    db = atlasdb.connect(tmp_path_factory.mktemp("begun") / "home")
    db.ingest(str(SmallAtlas(name="first_rat").write(tmp_path_factory.mktemp("first"))))
    return db.home.folder


@pytest.fixture(scope="module")
def expected(
    archives: Path, components: Path, begun: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    """What a trouble-free ingest gives, from either."""
    found = {}
    for kind, source in (("archives", archives), ("components", components)):
        home = tmp_path_factory.mktemp(kind) / "home"
        shutil.copytree(begun, home)
        db = atlasdb.connect(home)
        db.ingest(NAME, source=str(source))
        found[kind] = essence(db, NAME)
    return found


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, attempts in (("PATIENT", 6), ("SMALL", 4)):
        patience = connections.Patience(0.5, 0.15, attempts, delay_s=0.002)
        monkeypatch.setattr(connections, name, patience)


TRIALS = 25


@pytest.mark.parametrize(
    ("kind", "round_"),
    [(kind, number) for kind in ("archives", "components") for number in range(2)],
)
def test_a_server_full_of_trouble(
    kind: str,
    round_: int,
    request: pytest.FixtureRequest,
    expected: dict[str, Any],
    begun: Path,
    tmp_path: Path,
    impatient: None,
) -> None:
    """225 trials in all; what fails leaves the home as it was, and goes on when all is well."""
    folder: Path = request.getfixturevalue(kind)
    outcomes: Counter[str] = Counter()
    for seed in range(round_ * TRIALS, (round_ + 1) * TRIALS):
        home = tmp_path / str(seed)
        shutil.copytree(begun, home)
        db = atlasdb.connect(home)
        before = tree_of(home)
        share = (0.15, 0.5, 0.9)[seed % 3]
        only = TROUBLES[seed % len(TROUBLES)]
        # Half of the trials meet all troubles, half one time and again.
        troubles = TROUBLES if seed % 2 else (only,)
        prefix = "atlas/" if kind == "components" else ""
        with Troubled(folder, seed, troubles, prefix=prefix, share=share, stall_s=0.25) as server:
            try:
                report = db.ingest(NAME, source=server.url)
            except SourceError as error:
                outcomes["error"] += 1
                assert len(str(error).splitlines()) == 1  # noqa: PT017 (either end is right)
                after = tree_of(home)
                kept = {name for name in after if name.startswith("downloads/")}
                assert not [name for name in kept if "staging" in name or ".lock" in name]
                assert {n: b for n, b in after.items() if n not in kept and n != ".lock"} == {
                    n: b for n, b in before.items() if n != ".lock"
                }
                server.calm()
                report = db.ingest(NAME, source=server.url)
            else:
                outcomes["ingested"] += 1
            assert report.status == "ingested", server.log
            assert essence(db, NAME) == expected[kind], server.log
            assert not list(home.glob("downloads/*.part*"))
        shutil.rmtree(home)
    assert outcomes["ingested"] >= TRIALS // 4, "most troubles pass"


def archive_of(folder: Path, **atlas: Any) -> Path:
    """Write an archive with some kilobytes that do not compress."""
    noise = {"noise": os.urandom(200_000).hex()}
    return SmallAtlas(metadata=noise, **atlas).archive(folder)


class Cuts(Files):
    """Sends only so many bytes of each answer, and says how many there would be."""

    def __init__(self, folder: Path, sent: int, **headers: str) -> None:
        super().__init__(folder)
        self.sent = sent
        self.headers = headers
        self.asked: list[dict[str, str]] = []

    def send_file(self, request: Any, content: bytes, headers: dict[str, str]) -> None:
        self.asked.append(dict(request.headers))
        if request.command == "HEAD":
            super().send_file(request, content, headers | self.headers)
            return
        span = request.headers.get("Range", "bytes=0-")
        first = int(span[6:-1])
        part = content[first : first + self.sent]
        request.send_response(206 if first else 200)
        for name, value in (headers | self.headers).items():
            if value:
                request.send_header(name, value)
        if first:
            request.send_header("Content-Range", f"bytes {first}-{len(content) - 1}/{len(content)}")
        request.send_header("Content-Length", str(len(content) - first))
        request.end_headers()
        request.wfile.write(part)
        request.close_connection = True


def test_a_download_goes_on_from_where_it_was(db: atlasdb.Database, tmp_path: Path) -> None:
    """In one command over many connections; no byte is asked for twice."""
    archive = archive_of(tmp_path / "served")
    size = archive.stat().st_size
    told = Told()
    with Cuts(archive.parent, size // 5) as server:
        report = db.ingest(server.url + archive.name, progress=told)
        etag = f'"{hashlib.md5(archive.read_bytes(), usedforsecurity=False).hexdigest()}"'
        ranges = [asked.get("Range") for asked in server.asked]
        assert ranges == [None, *(f"bytes={n * (size // 5)}-" for n in range(1, 6))][: len(ranges)]
        assert len(ranges) >= 5
        assert all(asked.get("If-Range") == etag for asked in server.asked[1:])
    assert report.status == "ingested"
    assert len(told.notes) == len(ranges) - 1
    assert "trying again after" in told.notes[0]
    assert not (db.home.folder / "downloads").exists()


def test_a_part_is_gone_on_with_by_the_next_command(
    db: atlasdb.Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "PATIENT", connections.Patience(2, 2, 1))
    archive = archive_of(tmp_path / "served")
    size = archive.stat().st_size
    with Cuts(archive.parent, size - 1000) as server:
        with pytest.raises(DownloadError, match=f"{size - 1000:,} bytes are kept, and the same"):
            db.ingest(server.url + archive.name)
        (part,) = db.home.folder.glob("downloads/*.part")
        assert part.read_bytes() == archive.read_bytes()[: size - 1000]
        assert not db.home.has_database()
        assert db.ingest(server.url + archive.name).status == "ingested"
        assert [asked.get("Range") for asked in server.asked] == [None, f"bytes={size - 1000}-"]


@pytest.mark.parametrize("is_noticed", [True, False])
def test_another_file_at_the_same_address_is_not_mixed_with_the_part(
    db: atlasdb.Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_noticed: bool
) -> None:
    """By its ETag; without one, by the archive's own checksum, and then all is fetched anew."""
    monkeypatch.setattr(connections, "PATIENT", connections.Patience(2, 2, 1))
    archive = archive_of(tmp_path / "served")
    newer = archive_of(tmp_path / "newer", annotation=labels(7))
    size = max(archive.stat().st_size, newer.stat().st_size)
    for path in (archive, newer):  # of one length, which zeros at the end do not harm
        path.write_bytes(path.read_bytes().ljust(size, b"\0"))
    nothing = {} if is_noticed else {"ETag": "", "Last-Modified": ""}
    with Cuts(archive.parent, size // 2, **nothing) as server:
        url = server.url + archive.name
        with pytest.raises(DownloadError):
            db.ingest(url)
        newer.replace(archive)
        server.sent = size * 2
        told = Told()
        monkeypatch.setattr(connections, "PATIENT", connections.Patience(2, 2, 3, 0.01))
        assert db.ingest(url, progress=told).status == "ingested"
        assert (db.atlas(NAME).annotation == labels(7)).all()
        assert bool([note for note in told.notes if "it came in pieces" in note]) != is_noticed


def test_a_whole_part_is_not_downloaded_again(db: atlasdb.Database, tmp_path: Path) -> None:
    """What was interrupted after the download begins with the unpacking."""
    archive = archive_of(tmp_path / "served")

    class Stops(Told):
        def step(self, label: str, total: int | None = None, measure: str = "bytes") -> None:
            super().step(label, total)
            if label.startswith("writing"):
                raise KeyboardInterrupt

    with Files(archive.parent) as server:
        url = server.url + archive.name
        with pytest.raises(KeyboardInterrupt):
            db.ingest(url, progress=Stops())
        assert not db.home.has_database()
        told = Told()
        assert db.ingest(url, progress=told).status == "ingested"
        assert server.bodies()[f"/{archive.name}"] == 1
        assert told.steps[0][0].startswith("downloaded before: ")


def test_digests(db: atlasdb.Database, tmp_path: Path) -> None:
    """--sha256, a mirror's list, an earlier download."""
    archive = archive_of(tmp_path / "served")
    right = hashlib.sha256(archive.read_bytes()).hexdigest()
    wrong = "0" * 64
    listing = archive.parent / "last_versions.conf"
    listing.write_text(f"[atlases]\n{NAME} = 1.0\n")
    sums = archive.parent / "SHA256SUMS"
    with Files(archive.parent) as server:
        url = server.url + archive.name
        for source in (url, str(archive)):
            with pytest.raises(ArchiveError, match=f"--sha256 says {wrong}: .* --sha256 {right}"):
                db.ingest(source, sha256=wrong)
            assert not db.home.folder.exists()
        with pytest.raises(SourceError, match="64 hexadecimal digits, not 'abc'"):
            db.ingest(url, sha256="abc")
        with pytest.raises(SourceError, match="a SHA-256 is an archive's"):
            db.ingest("phantom_mouse_100um", sha256=right)
        sums.write_text(f"{wrong}  {archive.name}\n")
        for place in (server.url, str(archive.parent)):
            with pytest.raises(ArchiveError, match=f"SHA256SUMS says {wrong}"):
                db.ingest(NAME, source=place)
            assert not db.home.folder.exists()
        assert db.ingest(NAME, source=server.url, sha256=f"SHA256:{right.upper()}").status
        sums.write_text(f"{right}  {archive.name}\n")
        assert db.ingest(NAME, source=server.url, force=True).status == "replaced"
        sums.unlink()
        newer = archive_of(tmp_path / "newer")
        newer.replace(archive)
        found = hashlib.sha256(archive.read_bytes()).hexdigest()
        before = tree_of(db.home.folder)
        with pytest.raises(ArchiveError, match=f"an earlier download from there says {right}"):
            db.ingest(NAME, source=server.url, force=True)
        assert tree_of(db.home.folder) == before
        assert db.ingest(NAME, source=server.url, sha256=found, force=True).status == "replaced"


def test_what_is_no_archive_is_told_at_once(db: atlasdb.Database, tmp_path: Path) -> None:
    served = tmp_path / "served"
    served.mkdir()
    for content, message in (
        (b"<html>" + b"x" * 10_000_000, "this is an HTML page, perhaps a server's error"),
        (b"version https://git-lfs.github.com/spec/v1\n", "a git-lfs pointer, not the file"),
        (b"", "the file is empty"),
        (b"PK\3\4", "it starts with b'PK"),
    ):
        (served / "x.tar.gz").write_bytes(content)
        with Files(served) as server, pytest.raises(SourceError, match=message):
            db.ingest(server.url + "x.tar.gz")
        assert not db.home.folder.exists()


def test_no_room_on_the_disk(
    db: atlasdb.Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = archive_of(tmp_path / "served")
    usage = type("usage", (), {"free": 1000})
    monkeypatch.setattr("atlasdb.download.resumable.shutil.disk_usage", lambda _: usage)
    with (
        Files(archive.parent) as server,
        pytest.raises(DownloadError, match=r"bytes are to come, and only 1,000 are free in .*home"),
    ):
        db.ingest(server.url + archive.name)
    assert not db.home.folder.exists()


def test_redirects_and_retry_after(db: atlasdb.Database, tmp_path: Path) -> None:
    archive = archive_of(tmp_path / "served")

    class Moves(Files):
        def answer(self, request: Any) -> None:
            if request.path.startswith("/old"):
                self.send(request, 301, b"", {"Location": f"/{archive.name}"})
            elif request.path.startswith("/busy"):
                self.send(request, 503, b"", {"Retry-After": "3600"})
            elif request.path.startswith("/away"):
                self.send(request, 302, b"", {"Location": "file:///etc/passwd"})
            else:
                super().answer(request)

    with Moves(archive.parent) as server:
        assert db.ingest(server.url + "old.tar.gz").status == "ingested"
        with pytest.raises(DownloadError, match=r"503 .* and asks to wait 3,600 s$"):
            db.ingest(server.url + "busy.tar.gz")
        with pytest.raises(DownloadError, match="away.tar.gz: redirected to 'file:"):
            db.ingest(server.url + "away.tar.gz")
        with pytest.raises(DownloadError, match="answers 404 Not Found"):
            db.ingest(server.url + "none.tar.gz")


def test_proxies_are_requests_own(
    db: atlasdb.Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = archive_of(tmp_path / "served")

    class Proxy(Files):
        def content(self, path: str) -> bytes | None:
            assert path.startswith("http://atlases.invalid/")
            return super().content(path.removeprefix("http://atlases.invalid"))

    with Proxy(archive.parent) as server:
        monkeypatch.setenv("http_proxy", server.url)
        assert db.ingest(f"http://atlases.invalid/{archive.name}").status == "ingested"


def atlasdb_process(*words: str, home: Path) -> subprocess.Popen[str]:
    command = shutil.which("atlasdb", path=str(Path(sys.executable).parent))
    assert command is not None
    return subprocess.Popen(
        [command, *words],
        env=os.environ | {"ATLASDB_HOME": str(home)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


class Slow(Files):
    """Waits in the middle of a file until it may go on."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.is_waiting = threading.Event()
        self.may_go_on = threading.Event()

    def send(self, request: Any, status: int, body: bytes, headers: Any = None) -> None:
        if request.command == "HEAD" or len(body) < 1000:
            super().send(request, status, body, headers)
            return
        self.requests.append((request.command, request.path, status))
        request.send_response(status)
        for name, value in ({"Content-Length": str(len(body))} | headers).items():
            request.send_header(name, value)
        request.end_headers()
        request.wfile.write(body[: len(body) // 2])
        request.wfile.flush()
        self.is_waiting.set()
        self.may_go_on.wait(20)
        request.wfile.write(body[len(body) // 2 :])


def test_ctrl_c_leaves_a_part_that_is_gone_on_with(tmp_path: Path) -> None:
    archive = archive_of(tmp_path / "served")
    home = tmp_path / "home"
    with Slow(archive.parent) as server:
        words = ("ingest", server.url + archive.name)
        process = atlasdb_process(*words, home=home)
        assert server.is_waiting.wait(20)
        (part,) = _waited_for(home, "downloads/*.part")
        while not part.stat().st_size:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=20)
        server.may_go_on.set()
        assert process.returncode == 130
        assert errors.splitlines()[-1] == "error: interrupted"
        assert sorted(tree_of(home)) == [f"downloads/{part.name}", f"downloads/{part.name}.json"]
        again = atlasdb_process(*words, home=home)
        printed, errors = again.communicate(timeout=30)
        assert again.returncode == 0, errors
        assert printed.startswith(f"ingested {NAME}@1.0 from {server.url}")
        assert [status for *_, status in server.requests] == [200, 206]
    assert not (home / "downloads").exists()
    assert all(result.ok for result in atlasdb.connect(home).check(NAME))


def _waited_for(home: Path, pattern: str) -> list[Path]:
    for _ in range(2000):
        found = list(home.glob(pattern))
        if found:
            return found
        time.sleep(0.01)
    raise AssertionError(f"no {pattern} in {home}")


def test_two_processes_that_ingest_the_same_atlas_at_once(tmp_path: Path) -> None:
    """One works; the other says for whom it waits, and then finds the atlas there."""
    archive = archive_of(tmp_path / "served")
    (archive.parent / "last_versions.conf").write_text(f"[atlases]\n{NAME} = 1.0\n")
    home = tmp_path / "home"
    with Slow(archive.parent) as server:
        words = ("ingest", NAME, "--source", server.url)
        first = atlasdb_process(*words, home=home)
        assert server.is_waiting.wait(20)
        second = atlasdb_process(*words, home=home)
        assert second.stderr is not None
        waiting = second.stderr.readline()
        assert waiting == (f"{NAME}@1.0 is being ingested by process {first.pid}; waiting for it\n")
        server.may_go_on.set()
        printed, errors = first.communicate(timeout=30)
        assert (first.returncode, printed.split(" from")[0]) == (0, f"ingested {NAME}@1.0"), errors
        printed, errors = second.communicate(timeout=30)
        assert (second.returncode, printed) == (
            0,
            f"{NAME}@1.0 is already there (--force replaces it)\n",
        ), errors
        assert server.bodies()[f"/{archive.name}"] == 1
    assert not (home / "downloads").exists()


def test_quiet_is_silent_and_a_log_has_plain_lines(tmp_path: Path) -> None:
    archive = archive_of(tmp_path / "served")
    size = archive.stat().st_size
    with Files(archive.parent) as server:
        url = server.url + archive.name
        quiet = atlasdb_process("ingest", url, "-q", home=tmp_path / "quiet")
        assert quiet.communicate()[1] == ""
        log = atlasdb_process("ingest", url, home=tmp_path / "log")
        assert log.communicate()[1].splitlines() == [
            f"downloading {url} ({size:,} bytes)",
            f"unpacking {archive.name} ({size:,} bytes)",
            "volumes and meshes",
            "writing the database",
        ]


def test_lines_of_a_log_come_now_and_then(capsys: pytest.CaptureFixture[str]) -> None:
    from atlasdb.progress import _Lines

    lines = _Lines(every_s=0.0)
    lines.step("downloading", 200)
    lines.advance(50)
    lines.step("fetching")
    lines.advance(7)
    lines.note("a note")
    printed = capsys.readouterr().err.splitlines()
    assert printed[0] == "downloading (200 bytes)"
    assert printed[1].startswith("  50 bytes of 200 (25%), ")
    assert printed[3].startswith("  7 bytes, ")
    assert printed[4] == "a note"


def test_a_server_that_has_neither_etags_nor_ranges(db: atlasdb.Database, tmp_path: Path) -> None:
    """Python's own, as a laboratory may use it."""
    root = SmallComponents().write(tmp_path / "c")
    handler = functools.partial(_Plain, directory=str(root))
    with serving(handler) as url:
        assert db.ingest(NAME, source=url).status == "ingested"
        before = essence(db, NAME)
        db.ingest(NAME, source=url, force=True)
        assert essence(db, NAME) == before


class _Plain(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


def test_nobody_listens() -> None:
    for work in (
        lambda: download.fetch_text(NOBODY),
        lambda: download.exists(NOBODY),
        lambda: connections.Connections(patience=connections.SMALL).get(NOBODY),
    ):
        with pytest.raises(DownloadError, match=r"refused; tried 3 times"):
            work()


def test_certificates_are_verified_and_bundles_are_requests_own(
    db: atlasdb.Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = archive_of(tmp_path / "served")
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with Files(archive.parent, context=context) as server:
        url = server.url + archive.name
        assert url.startswith("https://")
        with pytest.raises(DownloadError, match="certificate verify failed"):
            db.ingest(url)
        bundle = tmp_path / "bundle.pem"
        authority.cert_pem.write_to_path(str(bundle))
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(bundle))
        assert db.ingest(url).status == "ingested"
    with Files(archive.parent) as plain:

        class Down(Files):
            def answer(self, request: Any) -> None:
                self.send(request, 302, b"", {"Location": plain.url + archive.name})

        unsafe = Down(archive.parent, context=context)
        with unsafe, pytest.raises(DownloadError, match="redirects from https to http://"):
            db.ingest(unsafe.url + archive.name, force=True)


class Gate(Files):
    """Lets nobody have a file until it may go on."""

    def __init__(self, folder: Path, path: str) -> None:
        super().__init__(folder)
        self.path = path
        self.is_waiting = threading.Event()
        self.may_go_on = threading.Event()

    def answer(self, request: Any) -> None:
        if request.path.endswith(self.path):
            self.is_waiting.set()
            self.may_go_on.wait(20)
        super().answer(request)


def test_one_archive_by_its_name_and_by_its_address_at_once(
    db: atlasdb.Database, tmp_path: Path
) -> None:
    """They share a part, one after the other, and neither takes it from the other."""
    archive = archive_of(tmp_path / "served")
    (archive.parent / "last_versions.conf").write_text(f"[atlases]\n{NAME} = 1.0\n")
    with Gate(archive.parent, ".tar.gz") as server, ThreadPoolExecutor(2) as pool:
        first = pool.submit(db.ingest, NAME, source=server.url)
        assert server.is_waiting.wait(20)
        told = Told()
        second = pool.submit(db.ingest, server.url + archive.name, progress=told)
        while not told.notes:
            time.sleep(0.01)
        assert "another process downloads to" in told.notes[0]
        server.may_go_on.set()
        assert sorted((first.result().status, second.result().status)) == ["ingested", "present"]
    assert not (db.home.folder / "downloads").exists()


def test_components_while_the_last_of_others_is_removed(
    db: atlasdb.Database, tmp_path: Path
) -> None:
    root = SmallComponents().write(tmp_path / "c")
    SmallComponents(name="small_dog").write(root)
    chunk = "templates/small_dog-template/3_0/template.ome.zarr/s0/c/1/1/1"
    with Gate(root, chunk) as server, ThreadPoolExecutor(2) as pool:
        db.ingest(NAME, source=server.url)
        begun = pool.submit(db.ingest, "small_dog_50um", source=server.url)
        assert server.is_waiting.wait(20)
        db.remove(NAME)
        db.ingest(NAME, source=server.url)
        server.may_go_on.set()
        assert begun.result().status == "ingested"
    assert all(result.ok for result in db.check("small_dog_50um"))


def test_what_a_server_withdrew_is_not_taken_from_an_interrupted_ingest(
    db: atlasdb.Database, tmp_path: Path
) -> None:
    root = SmallComponents(levels=[Level(RESOLUTION_UM, labels(4))]).write(tmp_path / "c")
    template = root / "templates/small_rat-template/3_0/template.ome.zarr/zarr.json"
    kept = template.read_bytes()
    template.unlink()
    annotation = root / "annotation-sets/small_rat-annotation/3_0"
    chunk = annotation / "annotations_compressed.ome.zarr/s0/c/0/0/0"

    class Forbids(Files):
        def answer(self, request: Any) -> None:
            if request.path.endswith("template.ome.zarr/zarr.json") and not template.exists():
                self.send(request, 403, b"")
            else:
                super().answer(request)

    with Forbids(root) as server:
        with pytest.raises(DownloadError, match="403"):
            db.ingest(NAME, source=server.url)
        chunk.unlink()
        template.write_bytes(kept)
        report = db.ingest(NAME, source=server.url)
    assert "chunks_unconfirmed" in {finding.code for finding in report.findings}
    assert not db.atlas(NAME).annotation[:2, :2, :3].any()


def test_a_full_disk_while_unpacking_keeps_the_download(
    db: atlasdb.Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = archive_of(tmp_path / "served")
    real = shutil.disk_usage

    def usage(path: Path) -> Any:
        is_staging = path.name == "unpacked"
        return type("usage", (), {"free": 1000}) if is_staging else real(path)

    with Files(archive.parent) as server:
        with monkeypatch.context() as patch:
            patch.setattr("shutil.disk_usage", usage)
            with pytest.raises(HomeError, match="only 1,000 are free in .*make room"):
                db.ingest(server.url + archive.name)
        assert db.ingest(server.url + archive.name).status == "ingested"
        assert server.bodies()[f"/{archive.name}"] == 1
        assert not (db.home.folder / "downloads").exists()


def test_a_refusal_of_warnings_keeps_the_download(db: atlasdb.Database, tmp_path: Path) -> None:
    archive = archive_of(tmp_path / "served")
    with Files(archive.parent) as server:
        with pytest.raises(atlasdb.StrictError):
            db.ingest(server.url + archive.name, strict=True)
        assert db.ingest(server.url + archive.name).status == "ingested"
        assert server.bodies()[f"/{archive.name}"] == 1


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be"])
def test_lists_of_digests_in_the_encodings_that_tools_write(
    db: atlasdb.Database, tmp_path: Path, encoding: str
) -> None:
    archive = archive_of(tmp_path / "served")
    conf = f"[atlases]\n{NAME} = 1.0\n{NAME} = 1.0\n"
    (archive.parent / "last_versions.conf").write_bytes(b"\xef\xbb\xbf" + conf.encode())
    mark = "\ufeff" if encoding == "utf-16-be" else ""
    sums = archive.parent / "SHA256SUMS"
    sums.write_bytes(f"{mark}{'0' * 64}  {archive.name}\n".encode(encoding))
    for source in (str(archive.parent), None):
        with Files(archive.parent) as server, pytest.raises(ArchiveError, match="SHA256SUMS says"):
            db.ingest(NAME, source=source or server.url)
    sums.write_text("nonsense\n")
    with Files(archive.parent) as server, pytest.raises(SourceError, match="no list as sha256sum"):
        db.ingest(NAME, source=server.url)


def test_redirects_of_all_kinds(db: atlasdb.Database, tmp_path: Path) -> None:
    archive = archive_of(tmp_path / "served")

    class Odd(Files):
        def answer(self, request: Any) -> None:
            where = {
                "/large": f"/{archive.name}",
                "/loop": "/loop",
                "/broken": "http://[::1/",
                "/secret": f"http://user:word@127.0.0.1/{archive.name}",
            }.get(request.path)
            if where is None:
                super().answer(request)
                return
            request.send_response(302)
            request.send_header("Location", where)
            request.send_header("Content-Length", str(10**12))
            request.end_headers()
            request.wfile.write(b"x" * 1000)

    with Odd(archive.parent) as server:
        assert db.ingest(server.url + "large").status == "ingested", "its body is not read"
        for path, message in (
            ("loop", "redirects time and again"),
            ("broken", r"redirected to 'http://\[::1/'"),
            ("secret", "holds a user's name or password"),
        ):
            with pytest.raises(DownloadError, match=message) as caught:
                db.ingest(server.url + path, force=True)
            assert "word@" not in str(caught.value).replace("'http://user:word@127", "")


def test_addresses_with_passwords_and_other_oddities(db: atlasdb.Database, tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match=r"127.0.0.1 holds a user's .*netrc") as caught:
        db.ingest("http://user:secret@127.0.0.1/x.tar.gz")
    assert "secret" not in str(caught.value)
    with pytest.raises(SourceError, match="holds a user's name or password"):
        db.ingest(NAME, source="https://user:secret@127.0.0.1/")
    with pytest.raises(SourceError, match="without [?] and #"):
        db.ingest(NAME, source=NOBODY + "?token=1")
    with pytest.raises(DownloadError, match="is no http or https address"):
        db.ingest("http://127.0.0.1/a\nb.tar.gz")
    archive = archive_of(tmp_path / "served")
    (archive.parent / "last_versions.conf").write_text(f"[atlases]\n{NAME} = 1.0\n")
    with Files(archive.parent) as server:
        upper = server.url.replace("http", "HTTP")
        assert db.ingest(f"{upper}{archive.name}?version=1").status == "ingested"
        assert db.ingest(NAME, source=upper + "last_versions.conf", force=True).status == "replaced"


@pytest.mark.parametrize(
    "wait", ["3", "Wed, 21 Oct 2015 07:28:00 GMT", "Wed, 21 Oct 99999 07:28:00 GMT", "x"]
)
def test_what_retry_after_can_say(wait: str) -> None:
    from requests import Response

    response = Response()
    response.headers["Retry-After"] = wait
    assert connections._asked_wait_s(response) == (3 if wait == "3" else 0)


@pytest.mark.parametrize(
    "said",
    [
        {"etag": 5}, {"etag": "a\nb"}, {"etag": "€"}, {"total": "9"}, {"total": 1}, {"complete": 1},
        {"complete": True}, {"modified": None}, {"more": 1}, [], "[" * 100_000,
    ],
)  # fmt: skip
def test_what_was_remembered_of_a_part_may_be_damaged(
    db: atlasdb.Database, tmp_path: Path, said: Any
) -> None:
    """Then it begins anew, at once."""
    archive = archive_of(tmp_path / "served")
    with Slow(archive.parent) as server:
        server.may_go_on.set()
        url = server.url + archive.name
        part = UrlOrigin(url)._part(db.home.downloads)
        part.parent.mkdir(parents=True)
        part.write_bytes(archive.read_bytes()[:5000])
        known = {"url": url, "etag": "", "modified": "", "total": None, "complete": False}
        text = said if isinstance(said, str) else json.dumps(known | said if said else said)
        part.with_name(part.name + ".json").write_text(text)
        assert db.ingest(url).status == "ingested"
        assert [status for *_, status in server.requests] == [200]


class Stalls(Files):
    """Never answers."""

    def answer(self, request: Any) -> None:
        time.sleep(15)


@pytest.mark.parametrize("words", [("list", "--remote"), ("ingest", NAME), ("update",)])
def test_ctrl_c_while_a_server_is_silent(
    tmp_path: Path, words: tuple[str, ...], begun: Path
) -> None:
    shutil.copytree(begun, tmp_path / "home")
    (tmp_path / "served").mkdir()
    with Stalls(tmp_path / "served") as server:
        process = atlasdb_process(*words, "--source", server.url, home=tmp_path / "home")
        time.sleep(2.0)
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        begin = time.monotonic()
        _, errors = process.communicate(timeout=14)
        assert time.monotonic() - begin < 5
        assert (process.returncode, errors.splitlines()[-1]) == (130, "error: interrupted")


def test_a_list_that_trickles_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Trickles(Files):
        def answer(self, request: Any) -> None:
            request.send_response(200)
            request.end_headers()
            for _ in range(200):
                request.wfile.write(b"x")
                time.sleep(0.02)

    monkeypatch.setattr(connections, "SMALL", connections.Patience(1, 1, 1, whole_s=0.2))
    with Trickles(tmp_path) as server:
        begin = time.monotonic()
        with pytest.raises(DownloadError, match=r"no whole answer within 0.2 s"):
            download.fetch_text(server.url + "x")
        assert time.monotonic() - begin < 3
