"""What can be had, and later versions of what is there: lists, their memory, updates."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from components import SmallComponents
from conftest import NOBODY, tree_of
from servers import Bucket, Files
from small import SmallAtlas
from test_downloads import Told

import atlasdb
from atlasdb import BrainGlobeAtlas, show_atlases, sources
from atlasdb.cli import run
from atlasdb.errors import DownloadError, SourceError, UnknownAtlasError
from atlasdb.sources.listings import age_of, listings

NAME = "small_rat_50um"


def archives(folder: Path, *versions: str, name: str = "small_rat") -> Path:
    """Add archives to a mirror, and list the last one."""
    folder.mkdir(exist_ok=True)
    for version in versions:
        archive = SmallAtlas(name=name, version=version).archive(folder / f"{name}-{version}")
        archive.replace(folder / archive.name)
        shutil.rmtree(folder / f"{name}-{version}")
    conf = folder / "last_versions.conf"
    known = conf.read_text().splitlines()[1:] if conf.exists() else []
    listed = [line for line in known if not line.startswith(f"{name}_50um")]
    conf.write_text("\n".join(["[atlases]", *listed, f"{name}_50um = {versions[-1]}", ""]))
    return folder


class Printed(NamedTuple):
    """What a command printed."""

    out: str
    err: str


class Shell:
    """Runs commands in this process, on one home."""

    def __init__(self, db: atlasdb.Database, capsys: pytest.CaptureFixture[str]) -> None:
        self.db = db
        self._capsys = capsys

    def __call__(self, *words: str, status: int = 0) -> Printed:
        self._capsys.readouterr()
        found = run(["--home", str(self.db.home.folder), *words])
        printed = Printed(*self._capsys.readouterr())
        assert found == status, printed.err
        return printed


@pytest.fixture
def shell(db: atlasdb.Database, capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(db, capsys)


@pytest.fixture
def both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """BrainGlobe's two servers, on loopback."""
    gin = Files(archives(tmp_path / "gin", "1.2"))
    s3 = Bucket(SmallComponents().write(tmp_path / "s3"))
    SmallComponents(name="other_rat").write(tmp_path / "s3")
    with gin, s3:
        monkeypatch.setattr(sources, "GIN", gin.url)
        monkeypatch.setattr(sources, "S3", s3.url)
        yield gin, s3


def test_auto_takes_the_archive_where_there_is_one(db: atlasdb.Database, both: Any) -> None:
    gin, s3 = both
    told = Told()
    assert db.ingest(NAME, progress=told).origin == f"{gin.url}{NAME}_v1.2.tar.gz"
    assert told.notes == []
    assert str(db.ingest("other_rat_50um").atlas) == "other_rat_50um@3.0"
    assert str(db.ingest(f"{NAME}@3.0").atlas) == f"{NAME}@3.0"
    assert db.ingest(f"{NAME}@3.0", source="s3", force=True).origin.startswith(s3.url)
    with pytest.raises(
        SourceError,
        match=f"{NAME}@9.9 is not in .*brainglobe nor in gin nor in s3; there is {NAME}@3.0",
    ):
        db.ingest(f"{NAME}@9.9")
    with pytest.raises(SourceError, match="did you mean small_rat_50um"):
        db.ingest("small_ratt_50um")
    with pytest.raises(SourceError, match=f"{NAME}@3.0 is not in gin; there is {NAME}@1.2"):
        db.ingest(f"{NAME}@3.0", source="gin", force=True)


def test_auto_says_who_does_not_answer(
    db: atlasdb.Database, both: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = Told()
    monkeypatch.setattr(sources, "GIN", NOBODY)
    assert str(db.ingest(NAME, progress=told).atlas) == f"{NAME}@3.0"
    assert len(told.notes) == 1
    assert told.notes[0].startswith(f"{NAME} comes from s3, since {NOBODY}last_versions.conf: ")
    monkeypatch.setattr(sources, "S3", NOBODY + "s3/")
    with pytest.raises(DownloadError) as caught:
        db.ingest("other_rat_50um")
    text = str(caught.value)
    assert f"{NOBODY}last_versions.conf: " in text
    assert f"{NOBODY}s3/atlases/last_versions.conf: " in text
    assert "--source" in text
    assert "source=…" in text


def test_the_environment_names_the_source(
    db: atlasdb.Database, both: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ATLASDB_SOURCE", "s3")
    assert str(db.ingest(NAME).atlas) == f"{NAME}@3.0"
    assert str(db.ingest(NAME, source="gin", force=True).atlas) == f"{NAME}@1.2"
    monkeypatch.setenv("ATLASDB_SOURCE", "auto")
    assert db.ingest(f"{NAME}@1.2").status == "present"


def test_a_list_of_what_can_be_had(shell: Shell, both: Any, tmp_path: Path) -> None:
    gin, _ = both
    shell("ingest", NAME, "-q")
    own = tmp_path / "user" / ".brainglobe"
    SmallAtlas(name="own_rat", version="0.1").write(own)
    (own / "custom_atlases.conf").write_text("[atlases]\nfar_rat_5um = 2.1\n")
    printed = shell("list", "--remote", "--format", "json")
    rows = [{k: v for k, v in row.items() if k != "listed_at"} for row in json.loads(printed.out)]
    tiff, zarr = "brainglobe-tiff", "brainglobe-ome-zarr"

    def row(
        atlas: str, latest: str, place: str, form: str, here: Any = None, new: Any = None
    ) -> Any:
        return {
            "atlas": atlas,
            "latest": latest,
            "place": place,
            "format": form,
            "ingested": here,
            "is_current": new,
        }

    assert rows == [
        row("far_rat_5um", "2.1", str(own), tiff),
        row("other_rat_50um", "3.0", "s3", zarr),
        row("own_rat_50um", "0.1", str(own), tiff),
        row(NAME, "1.2", "gin", tiff, "1.2", True),
        row(NAME, "3.0", "s3", zarr, "1.2"),
    ]
    assert printed.err == ""
    archives(gin.folder, "1.10")
    rows = json.loads(shell("list", "--source", "gin", "--format", "json").out)
    assert [(row["latest"], row["is_current"]) for row in rows] == [("1.10", False)]
    table = shell("list", "--remote").out.splitlines()
    assert table[0].split() == [
        "atlas", "latest", "place", "format", "ingested", "is_current", "listed_at",
    ]  # fmt: skip


def test_a_list_is_remembered_with_its_date(
    shell: Shell,
    both: Any,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Offline it is still answered, and said how old the answer is."""
    gin, s3 = both
    shell("list", "--remote")
    capsys.readouterr()
    for path in (tmp_path / "user").rglob("listings/*.json"):
        content = json.loads(path.read_text())
        then = datetime.now(UTC) - timedelta(days=2, minutes=1)
        path.write_text(json.dumps(content | {"at": then.isoformat()}))
    before = {"gin": gin.folder, "s3": s3.folder}
    for folder in before.values():
        folder.rename(folder.with_name(f"{folder.name}-gone"))
    printed = shell("list", "--remote", "--format", "json")
    assert {row["atlas"] for row in json.loads(printed.out)} == {NAME, "other_rat_50um"}
    notes = printed.err.splitlines()
    assert [note.split(" (")[0] for note in notes] == [
        "note: gin is shown as it was 2 days ago",
        "note: s3 is shown as it was 2 days ago",
    ]
    assert notes[0].endswith("the server answers 404 Not Found")
    show_atlases(home=tmp_path / "none")
    shown = capsys.readouterr().out
    assert NAME in shown
    assert "gin is shown as it was 2 days ago" in shown
    monkeypatch.setattr(sources, "GIN", NOBODY + "new/")
    monkeypatch.setattr(sources, "S3", NOBODY + "newer/")
    failed = shell("list", "--remote", "--source", "gin", status=1)
    assert failed.err.startswith(f"error: {NOBODY}new/last_versions.conf: ")


def test_a_memory_that_is_damaged_or_cannot_be_written(
    both: Any, tmp_path: Path, db: atlasdb.Database
) -> None:
    first = db.available("gin").num_rows
    (kept,) = [p for p in (tmp_path / "user").rglob("listings/*.json") if "tiff" in p.name]
    for content in (b"", b"{}", b"[1]", b'{"location": 1}', b"\xff"):
        kept.write_bytes(content)
        assert db.available("gin").num_rows == first
    shutil.rmtree(kept.parent)
    kept.parent.write_text("a file")
    assert db.available("gin").num_rows == first


def test_a_script_asks_once_an_hour(both: Any, tmp_path: Path) -> None:
    gin, _ = both
    for _ in range(3):
        BrainGlobeAtlas(NAME)
    asked = [path for _, path, _ in gin.requests if path == "/last_versions.conf"]
    assert len(asked) == 2, "by the ingest, and once after it"
    assert BrainGlobeAtlas(NAME, check_latest=False).check_latest_version() is True
    assert len([p for _, p, _ in gin.requests if p == "/last_versions.conf"]) == 3


@pytest.mark.parametrize(
    ("ago", "words"),
    [(0, "a moment"), (-9, "a moment"), (60, "1 minute"), (7199, "1 hour"), (172800, "2 days")],
)
def test_ages_in_words(ago: int, words: str) -> None:
    assert age_of(datetime.now(UTC) - timedelta(seconds=ago, milliseconds=1)) == words


def test_an_update_comes_beside_the_old_version(shell: Shell, both: Any, tmp_path: Path) -> None:
    gin, _ = both
    db = shell.db
    archives(gin.folder, "1.2", name="big_rat")
    for name in (NAME, "big_rat_50um", "phantom_mouse_100um"):
        db.ingest(name)
    printed = shell("update", "-q")
    assert printed.out.splitlines() == [
        "big_rat_50um@1.2 is the latest version (gin)",
        f"{NAME}@1.2 is the latest version (gin)",
    ], "components are another format"
    archives(gin.folder, "1.3", "1.10")
    printed = shell("update", NAME, "-q")
    assert printed.out == f"ingested {NAME}@1.10 from gin, beside {NAME}@1.2\n"
    versions = [row["version"] for row in db.atlases().to_pylist() if row["name"] == NAME]
    assert sorted(versions) == ["1.10", "1.2"]
    assert shell("update", NAME, "-q").out == f"{NAME}@1.10 is the latest version (gin)\n"
    db.ingest(f"{NAME}@3.0")
    archives(gin.folder, "1.11")
    printed = shell("update", "-q", "--prune")
    assert printed.out.splitlines() == [
        "big_rat_50um@1.2 is the latest version (gin)",
        f"{NAME}@3.0 is the latest version (s3)",
        f"ingested {NAME}@1.11 from gin, beside {NAME}@1.10",
        f"removed {NAME}@1.10",
        f"removed {NAME}@1.2",
    ]
    left = {f"{row['name']}@{row['version']}" for row in db.atlases().to_pylist()}
    assert left == {"big_rat_50um@1.2", f"{NAME}@3.0", f"{NAME}@1.11", "phantom_mouse_100um@1.0"}
    assert all(result.ok for result in db.check(f"{NAME}@1.11"))


def test_an_update_leaves_out_what_the_ingest_left_out(db: atlasdb.Database, both: Any) -> None:
    gin, _ = both
    db.ingest(NAME, meshes=False)
    archives(gin.folder, "1.4")
    (report,) = db.update()
    assert (report.status, str(report.latest)) == ("updated", f"{NAME}@1.4")
    assert db.sql(f'SELECT left_out FROM "{NAME}@1.4".atlas').to_pylist() == [
        {"left_out": ["meshes"]}
    ]


def test_an_update_that_fails_keeps_everything(shell: Shell, both: Any) -> None:
    """The other atlases are updated all the same, and the exit status says that one was not."""
    gin, _ = both
    db = shell.db
    archives(gin.folder, "1.2", name="big_rat")
    for name in (NAME, "big_rat_50um"):
        db.ingest(name)
    archives(gin.folder, "1.4")
    archives(gin.folder, "1.4", name="big_rat")
    (gin.folder / "big_rat_50um_v1.4.tar.gz").write_bytes(b"\x1f\x8b nonsense")
    printed = shell("update", "--prune", "-q", status=1)
    assert printed.out.splitlines() == [
        f"ingested {NAME}@1.4 from gin, beside {NAME}@1.2",
        f"removed {NAME}@1.2",
    ]
    assert printed.err.startswith("error: big_rat_50um@1.2: big_rat_50um_v1.4.tar.gz is truncated")
    left = {f"{row['name']}@{row['version']}" for row in db.atlases().to_pylist()}
    assert left == {"big_rat_50um@1.2", f"{NAME}@1.4"}


def test_an_ingest_of_what_is_there_says_what_it_is_without(shell: Shell, both: Any) -> None:
    shell("ingest", NAME, "-q", "--no-meshes", "--no-reference")
    assert shell("ingest", NAME).out == (
        f"{NAME}@1.2 is already there, without meshes and references (--force replaces it)\n"
    )
    assert "7 meshes" in shell("ingest", NAME, "--force").out
    assert shell("ingest", NAME).out == f"{NAME}@1.2 is already there (--force replaces it)\n"


def test_an_update_keeps_to_its_place_and_format(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a mirror of both layouts, and in a folder that is called like BrainGlobe's server."""
    folder = SmallComponents(version="3.0").write(tmp_path / "gin")
    monkeypatch.chdir(tmp_path)
    db = atlasdb.connect(tmp_path / "home")
    db.ingest(NAME, source="./gin")
    SmallComponents(version="4.0").write(folder)
    archives(folder, "4.0")
    (report,) = db.update(source="./gin", prune=True)
    assert (report.status, str(report.latest)) == ("updated", f"{NAME}@4.0")
    assert db.sql("SELECT source_format FROM atlas").to_pylist() == [
        {"source_format": "brainglobe-ome-zarr"}
    ]
    archives(folder, "1.0")
    db.ingest(f"{NAME}@1.0", source="./gin")
    archives(folder, "4.0")
    reports = db.update(source="./gin", prune=True)
    assert [(r.status, r.detail) for r in reports] == [
        ("current", "gin"),
        ("failed", f"{NAME}@4.0 is there already, in another format"),
    ]
    assert sorted(row["version"] for row in db.atlases().to_pylist()) == ["1.0", "4.0"]


@pytest.mark.parametrize(
    "at", ["9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00", "2999-01-01T00:00:00+00:00"]
)
def test_a_memory_from_another_time_is_none(
    both: Any, tmp_path: Path, db: atlasdb.Database, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    gin, _ = both
    db.available("gin")
    (kept,) = [p for p in (tmp_path / "user").rglob("listings/*.json") if "tiff" in p.name]
    kept.write_text(json.dumps(json.loads(kept.read_text()) | {"at": at}))
    gin.folder.rename(tmp_path / "gone")
    with pytest.raises(DownloadError, match="404"):
        db.available("gin")


def test_a_digest_of_what_is_there_already(db: atlasdb.Database, both: Any) -> None:
    db.ingest(NAME)
    (row,) = db.sql("SELECT source_sha256 FROM atlas").to_pylist()
    assert db.ingest(NAME, sha256=row["source_sha256"]).status == "present"
    with pytest.raises(SourceError, match=f"already there, from .*{row['source_sha256']}, not 000"):
        db.ingest(NAME, sha256="0" * 64)


def test_a_custom_list_that_is_wrong(db: atlasdb.Database, tmp_path: Path) -> None:
    """Damaged, or of packages that are not there: those that are there are found all the same."""
    folder = tmp_path / "own"
    SmallAtlas(name="own_rat").write(folder)
    (folder / "custom_atlases.conf").write_text("[atlases]\nmine_10um = 1.0\n")
    with pytest.raises(SourceError) as caught:
        db.ingest("mine_10um", source=str(folder))
    assert "there is mine_10um" not in str(caught.value)
    (folder / "custom_atlases.conf").write_text("nonsense")
    assert db.available(str(folder))["atlas"].to_pylist() == ["own_rat_50um"]


def test_updates_of_nothing(shell: Shell, both: Any, tmp_path: Path) -> None:
    failed = shell("update", status=1)
    assert "there is no atlas database" in failed.err
    shell.db.ingest("phantom_mouse_100um")
    assert shell("update", "-q").out == "nothing here comes from a source\n"
    with pytest.raises(UnknownAtlasError, match="did you mean phantom_mouse_100um"):
        shell.db.update("phantom_mouse_10um")
    shell.db.ingest(str(SmallAtlas(name="own_rat").write(tmp_path)))
    assert shell("update", "-q").out == ("own_rat_50um@1.0 is offered by no place that was asked\n")
    with pytest.raises(SourceError, match="`atlasdb update own_rat_50um` seeks a later one"):
        shell.db.update("own_rat_50um@1.0")
    before = tree_of(shell.db.home.folder)
    with pytest.raises(DownloadError):
        shell.db.update(source=NOBODY)
    assert tree_of(shell.db.home.folder) == before


def test_a_folder_is_a_source_for_updates(db: atlasdb.Database, tmp_path: Path) -> None:
    mirror = archives(tmp_path / "mirror", "1.2")
    db.ingest(NAME, source=str(mirror))
    archives(mirror, "1.3")
    (report,) = db.update(source=str(mirror))
    assert (report.status, report.detail) == ("updated", str(mirror))


def test_a_mirror_in_both_layouts(tmp_path: Path) -> None:
    """One address or folder may hold archives and components."""
    folder = archives(tmp_path / "m", "1.2")
    SmallComponents(name="other_rat").write(folder)
    with Files(folder) as server:
        for number, source in enumerate((server.url, str(folder))):
            db = atlasdb.connect(tmp_path / str(number))
            assert str(db.ingest(NAME, source=source).atlas) == f"{NAME}@1.2"
            assert str(db.ingest("other_rat_50um", source=source).atlas) == "other_rat_50um@3.0"
            names = db.available(source)["atlas"].to_pylist()
            assert names == ["other_rat_50um", NAME]
        assert listings(server.url).notes() == []


def test_a_mirror_that_is_none(db: atlasdb.Database, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with Files(tmp_path / "empty") as server:
        with pytest.raises(DownloadError, match=r"last_versions.conf: the server answers 404"):
            db.ingest(NAME, source=server.url)
        with pytest.raises(DownloadError, match="404"):
            db.available(server.url)
    assert not db.home.folder.exists()
