"""BrainGlobe's front door: `BrainGlobeAtlas` and `show_atlases`, on the database.

The one idea: a script that says ``from atlasdb import BrainGlobeAtlas, show_atlases`` runs as it
did. What its arguments mean here is decided here; everything else is `atlasdb.atlas.Atlas`. What
fetches atlases, with requests and tifffile, is imported when an atlas is fetched or a server asked.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from atlasdb.atlas import Atlas
from atlasdb.atlas.opening import open_record
from atlasdb.database import present, reading
from atlasdb.errors import DownloadError, SourceError
from atlasdb.home import Home
from atlasdb.names import AtlasName, Version
from atlasdb.progress import Calling, progress_shown

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rich.table import Table

_TICK = "\N{HEAVY CHECK MARK}"
_VERSION = re.compile(r"\d+\.\d+")


class BrainGlobeAtlas(Atlas):
    """An atlas of the user's own database, which is ingested if it is not there.

    Parameters
    ----------
    atlas_name
        ``allen_mouse_100um``, or ``allen_mouse_100um@1.2`` for exactly that version.
    brainglobe_dir
        A folder of BrainGlobe's: its packages are used without a download, and the database is
        kept in it too, unless `home` names another place. By default packages are sought in
        ``~/.brainglobe`` (or what BrainGlobe's configuration names), and the database is in the
        user's data folder, or where ``ATLASDB_HOME`` says.
    interm_download_dir
        Where the archive lies while it is downloaded; in the database's folder by default.
    check_latest
        Ask BrainGlobe's server whether there is a newer version, and say so on stderr; nothing is
        said, and nothing fails, without a network.
    config_dir
        BrainGlobe's ``bg_config.conf``, or the folder with it: gives `brainglobe_dir` and
        `interm_download_dir` where they are not given.
    fn_update
        Called with the bytes done and the bytes in all while an archive is downloaded and unpacked.
    version
        ``"1.2"`` or ``(1, 2)``; the newest by default.
    home
        The database's folder.
    source
        Where the atlas is taken from if it is not there; see `atlasdb.sources.locate`.

    Raises
    ------
    SourceError
        It is not in the database and cannot be found or read; a ValueError.
    HomeError
        The database cannot be read or written; an OSError.

    Examples
    --------
    >>> import tempfile
    >>> atlas = BrainGlobeAtlas("phantom_mouse_100um", brainglobe_dir=tempfile.mkdtemp())
    >>> atlas.structure_from_coords((49, 41, 31), as_acronym=True)
    'CP'
    """

    fn_update: Callable[[int, int], object] | None = None
    _source: str | None = None
    _interm_download_dir: Path | None = None

    def __init__(
        self,
        atlas_name: str,
        brainglobe_dir: str | Path | None = None,
        interm_download_dir: str | Path | None = None,
        check_latest: bool = True,
        config_dir: str | Path | None = None,
        fn_update: Callable[[int, int], object] | None = None,
        version: str | tuple[int, int] | None = None,
        *,
        home: str | Path | None = None,
        source: str | None = None,
    ) -> None:
        name = _full_name(atlas_name, version)
        configured = {} if config_dir is None else _configured(Path(config_dir))
        packages = _folder("brainglobe_dir", brainglobe_dir or configured.get("brainglobe_dir"))
        downloads = _folder(
            "interm_download_dir", interm_download_dir or configured.get("interm_download_dir")
        )
        where = Home.resolve(home or packages)
        self.fn_update = fn_update
        self._interm_download_dir = downloads
        self._source = source
        if present(where, name) is None:
            _ingest(where, name, _source_of(name, packages, source), downloads, fn_update)
        super().__init__(open_record(where, str(name)))
        if check_latest:
            self.check_latest_version()

    @property
    def brainglobe_dir(self) -> Path:
        """The database's folder."""
        return self._record.home.folder

    @property
    def interm_download_dir(self) -> Path:
        """Where archives lie while they are downloaded."""
        return self._interm_download_dir or self.brainglobe_dir / "downloads"

    @property
    def remote_version(self) -> tuple[int, int] | None:
        """The latest version on the server, which is asked; None offline, or if it has none."""
        from atlasdb.sources import latest_versions

        try:
            latest = latest_versions(self._source, patient=False).get(self.atlas_name)
        except SourceError:
            return None
        return None if latest is None else (latest.major, latest.minor)

    @property
    def remote_url(self) -> str | None:
        """The address of the latest version's archive; None offline, or if there is none."""
        from atlasdb.sources import archive_address

        version = self.remote_version
        if version is None:
            return None
        return archive_address(AtlasName(self.atlas_name, Version(*version)), self._source)

    def check_latest_version(self, print_warning: bool = True) -> bool | None:
        """Return whether there is no later version on the server, None if that is not known.

        Parameters
        ----------
        print_warning
            Say on stderr that there is one, and the command that fetches it.
        """
        from atlasdb.sources import is_built_in

        if is_built_in(AtlasName(self.atlas_name)):
            return None
        latest = self.remote_version
        if latest is None:
            return None
        if latest <= self.local_version:
            return True
        if print_warning:
            newer = f"{self.atlas_name}@{Version(*latest)}"
            print(
                f"{self.atlas_name}@{self.version} is not the latest version: "
                f"`atlasdb ingest {newer}` fetches {newer}",
                file=sys.stderr,
            )
        return False


def show_atlases(
    show_local_path: bool = False,
    table_width: int = 88,
    *,
    home: str | Path | None = None,
    source: str | None = None,
) -> None:
    """Print the atlases in the database, and those that can be ingested.

    The columns are name, downloaded (in the database), updated (no later version is known), local
    version and latest version. Without a network it shows what is in the database, and says so.

    Parameters
    ----------
    show_local_path
        Add a column with the folder of the atlas's volumes.
    table_width
        The width of the table, in characters.
    home
        The database's folder; the user's own by default.
    source
        Where latest versions are asked for; BrainGlobe's server by default.
    """
    from rich.console import Console
    from rich.panel import Panel
    from rich.text import Text

    from atlasdb.sources import latest_versions

    place = Home.resolve(home)
    local = _local_atlases(place)
    latest: Mapping[str, Version] = {}
    note = f"Downloaded are those in the database {place.folder}."
    try:
        latest = latest_versions(source, patient=False)
    except SourceError as error:
        reason = "no answer" if isinstance(error, DownloadError) else "no list of atlases"
        note = f"Latest versions are not known: {reason} from the server. {note}"
    table = _table_of(local, latest, show_local_path=show_local_path)
    console = Console(width=max(table_width, 1), highlight=False)
    console.print(Panel.fit(table, title="Atlases"))
    console.print(Text(note), soft_wrap=True)


def _full_name(atlas_name: object, version: str | tuple[int, int] | None) -> AtlasName:
    """Return what is asked for by a name and perhaps a version."""
    if not isinstance(atlas_name, str):
        raise TypeError(
            f"Atlas name should be a string, not a {type(atlas_name).__name__}."  # as BrainGlobe
        )
    name = AtlasName.parse(atlas_name)
    if version is None:
        return name
    parts = version if isinstance(version, tuple) else ()
    wanted = Version(*parts) if parts else Version.parse(str(version).replace("_", "."))
    if name.version not in {None, wanted}:
        raise SourceError(f"asked for {name} and for version {wanted}: name one of them")
    return AtlasName(name.name, wanted)


def _configured(config: Path) -> dict[str, str]:
    """Return the folders that BrainGlobe's configuration names."""
    from atlasdb.sources import read_brainglobe_config

    return read_brainglobe_config(config)


def _folder(argument: str, folder: str | Path | None) -> Path | None:
    """Return a folder that an argument names."""
    if folder is None:
        return None
    if _VERSION.fullmatch(str(folder)):
        raise SourceError(f"{argument}={str(folder)!r} looks like a version: write version=…")
    return Path(folder).expanduser()


def _source_of(name: AtlasName, packages: Path | None, source: str | None) -> str | None:
    """Return where an atlas is taken from: a folder of BrainGlobe's that has it goes first."""
    from atlasdb.sources import folder_has

    if source is None and packages is not None and folder_has(packages, name):
        return str(packages)
    return source


def _ingest(
    home: Home,
    name: AtlasName,
    source: str | None,
    downloads: Path | None,
    tell: Callable[[int, int], object] | None,
) -> None:
    """Ingest an atlas and show how far it is."""
    from atlasdb.ingest import ingest

    with progress_shown() as shown:
        try:
            ingest(
                home,
                str(name),
                source=source,
                downloads=downloads,
                progress=shown if tell is None else Calling(shown, tell),
            )
        except SourceError as error:
            raise error from None  # not a hundred lines of urllib3's above the one that helps


def _local_atlases(home: Home) -> dict[str, list[tuple[Version, str]]]:
    """Return the versions of each atlas in a home, highest first, with their folders."""
    if not home.has_database():
        return {}
    with reading(home) as connection:
        rows = connection.execute(
            "SELECT a.name, a.version, parse_dirpath(v.path) FROM main.atlas AS a "
            "JOIN main.volume AS v ON v.atlas_id = a.atlas_id AND v.kind = 'annotation' "
            "ORDER BY a.name, a.version_major DESC, a.version_minor DESC"
        ).fetchall()
    atlases: dict[str, list[tuple[Version, str]]] = {}
    for name, version, folder in rows:
        path = str(home.folder / folder)
        atlases.setdefault(name, []).append((Version.parse(version), path))
    return atlases


def _table_of(
    local: Mapping[str, list[tuple[Version, str]]],
    latest: Mapping[str, Version],
    *,
    show_local_path: bool,
) -> Table:
    """Return the table of `show_atlases`: what is in the database first, each by name."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, header_style="bold", show_lines=True)
    table.add_column("Name", no_wrap=True)
    for title in ("Downloaded", "Updated", "Local version", "Latest version"):
        table.add_column(title, justify="center")
    if show_local_path:
        table.add_column("Local path", overflow="fold")
    for name in (*sorted(local), *sorted(latest.keys() - local.keys())):
        versions = local.get(name, [])
        newest = latest.get(name)
        current = "" if not versions or newest is None else _mark(versions[0][0] >= newest)
        cells: list[Any] = [
            name,
            _TICK if versions else "",
            current,
            ", ".join(str(version) for version, _ in versions),
            "" if newest is None else str(newest),
        ]
        if show_local_path:
            cells.append("\n".join(path for _, path in versions))
        table.add_row(*map(Text, cells))
    return table


def _mark(holds: bool) -> str:
    return _TICK if holds else "\N{MULTIPLICATION SIGN}"
