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
from atlasdb.errors import (
    HomeError,
    HomeNotFoundError,
    SourceError,
    UnknownAtlasError,
)
from atlasdb.home import Home
from atlasdb.names import AtlasName, Version
from atlasdb.progress import Calling, Interrupted, progress_shown

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.table import Table

    from atlasdb.catalogue import Catalogue, Offer

_WIDEST = 10_000
_NARROWEST_PATH = 24
_FRESH_FOR_S = 3600.0
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
        Ask BrainGlobe's server, once an hour at most, whether there is a newer version, and say so
        on stderr; nothing is said, and nothing fails, without a network.
    config_dir
        BrainGlobe's ``bg_config.conf``, or the folder with it: gives `brainglobe_dir` and
        `interm_download_dir` where they are not given.
    fn_update
        Called with the bytes done and the bytes in all while an archive is downloaded, and again
        while it is unpacked; what it raises reaches the caller.
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
        if fn_update is not None and not callable(fn_update):
            raise TypeError(f"fn_update is a function of two numbers, not {fn_update!r}")
        configured = {} if config_dir is None else _configured(Path(config_dir))
        packages = _folder("brainglobe_dir", brainglobe_dir or configured.get("brainglobe_dir"))
        downloads = _folder(
            "interm_download_dir", interm_download_dir or configured.get("interm_download_dir")
        )
        where = Home.resolve(home or packages)
        if packages is not None and packages.exists() and not packages.is_dir():
            raise HomeError(f"brainglobe_dir={str(packages)!r} is a file: expected a folder")
        self.fn_update = fn_update
        self._interm_download_dir = downloads
        self._source = source
        try:
            record = open_record(where, str(name))
        except (HomeNotFoundError, UnknownAtlasError):
            try:
                _ingest(where, name, packages, source, downloads, fn_update)
            except HomeError as error:
                if home is not None or packages is None:
                    raise
                raise type(error)(
                    f"{error}; the database is kept in brainglobe_dir: home=… names another folder"
                ) from error
            record = open_record(where, str(name))
        super().__init__(record)
        if check_latest:
            self._check_latest(print_warning=True, fresh_for_s=_FRESH_FOR_S)

    def _state(self) -> dict[str, Any]:
        # A function may be one that cannot be sent.
        places = {"_source": self._source, "_interm_download_dir": self._interm_download_dir}
        return super()._state() | places

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
        """The latest version on the server, which is asked; None offline, or if it has none.

        Versions are those of this atlas's format: archives, or components.
        """
        offer = self._offer()
        return None if offer is None else (offer.latest.major, offer.latest.minor)

    @property
    def remote_url(self) -> str | None:
        """The address of the latest version's archive, or manifest; None if there is none."""
        offer = self._offer()
        if offer is None:
            return None
        return offer.place.address(AtlasName(self.atlas_name, offer.latest))

    def check_latest_version(self, print_warning: bool = True) -> bool | None:
        """Return whether there is no later version on the server, None if that is not known.

        Parameters
        ----------
        print_warning
            Say on stderr that there is one, and the command that fetches it.
        """
        return self._check_latest(print_warning, fresh_for_s=0.0)

    def _check_latest(self, print_warning: bool, fresh_for_s: float) -> bool | None:
        from atlasdb.sources import is_built_in

        if is_built_in(AtlasName(self.atlas_name)):
            return None
        offer = self._offer(fresh_for_s)
        if offer is None:
            return None
        if offer.latest <= Version(*self.local_version):
            return True
        if print_warning:
            newer = f"{self.atlas_name}@{offer.latest}"
            print(
                f"{self.atlas_name}@{self.version} is not the latest version: "
                f"`atlasdb ingest {newer}` fetches {newer}",
                file=sys.stderr,
            )
        return False

    def _offer(self, fresh_for_s: float = 0.0) -> Offer | None:
        """Return the latest version that is offered in this atlas's format."""
        from atlasdb.catalogue import catalogue  # with requests

        try:
            known = catalogue(
                self._record.home, self._source, patient=False, fresh_for_s=fresh_for_s
            )
        except (SourceError, HomeError):
            return None
        offer = known.latest(self.atlas_name, self._record.source_format)
        return None if offer is None or offer.is_stale else offer


def show_atlases(
    show_local_path: bool = False,
    table_width: int = 88,
    *,
    home: str | Path | None = None,
    source: str | None = None,
) -> None:
    """Print the atlases in the database, and those that can be ingested.

    The columns are name, downloaded (in the database), updated (no later version is known), local
    version and latest version: the one that an ingest by name takes. Offline it shows what the
    servers said the last time, and says how long ago that was.

    Parameters
    ----------
    show_local_path
        Add a column with the folder of the atlas's volumes.
    table_width
        The width of the table, in characters; more if its columns need more.
    home
        The database's folder; the user's own by default.
    source
        Where latest versions are asked for; see `atlasdb.sources.locate`.
    """
    from rich.console import Console
    from rich.measure import Measurement
    from rich.panel import Panel
    from rich.text import Text

    from atlasdb.catalogue import catalogue

    place = Home.resolve(home)
    known = catalogue(place, source, patient=False)
    table = _table_of(known, show_local_path=show_local_path)
    console = Console(width=int(table_width), highlight=False)
    panel = Panel.fit(table, title="Atlases")
    # Wider than asked for rather than without a column.
    least = Measurement.get(console, console.options.update(width=_WIDEST), panel).minimum
    console.width = max(int(table_width), least)
    console.print(panel)
    notes = [f"Downloaded are those in the database {place.folder}.", *known.listings.notes()]
    console.print(Text("\n".join(notes)), soft_wrap=True)


def _full_name(atlas_name: object, version: str | tuple[int, int] | None) -> AtlasName:
    """Return what is asked for by a name and perhaps a version."""
    if not isinstance(atlas_name, str):
        raise TypeError(
            f"Atlas name should be a string, not a {type(atlas_name).__name__}."  # as BrainGlobe
        )
    name = AtlasName.parse(atlas_name)
    if version is None:
        return name
    wanted = _version(version)
    if name.version not in {None, wanted}:
        raise SourceError(f"asked for {name} and for version {wanted}: name one of them")
    return AtlasName(name.name, wanted)


def _version(version: object) -> Version:
    """Return a version from a text or two ints; a float is neither, since 1.10 would be 1.1."""
    if isinstance(version, str):
        return Version.parse(version.replace("_", "."))
    if isinstance(version, tuple) and len(version) == 2 and all(type(n) is int for n in version):  # noqa: PLR2004 (major and minor)
        return Version(*version)
    raise TypeError(
        f"a version is a text such as '1.2', or two ints such as (1, 2), not {version!r}"
    )


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
    try:
        return Path(folder).expanduser().absolute()
    except RuntimeError as error:  # ~nobody
        raise SourceError(f"{argument}={str(folder)!r:.200}: {error}") from error


def _ingest(
    home: Home,
    name: AtlasName,
    packages: Path | None,
    source: str | None,
    downloads: Path | None,
    tell: Callable[[int, int], object] | None,
) -> None:
    """Ingest an atlas and show how far it is; a folder of BrainGlobe's that has it goes first."""
    from atlasdb.ingest import ingest
    from atlasdb.sources import versions_in

    there = versions_in(packages, name) if packages is not None and source is None else []
    if there and name.version in {None, *there}:
        source = str(packages)
    with progress_shown() as shown:
        try:
            ingest(
                home,
                str(name),
                source=source,
                downloads=downloads,
                progress=shown if tell is None else Calling(shown, tell),
            )
        except Interrupted as stopped:
            raise stopped.error from None
        except SourceError as error:
            # Not a hundred lines of urllib3's above the one that helps.
            if packages is None or source is not None:
                raise error from None
            has = f", which has {', '.join(map(str, there))}" if there else ""
            raise type(error)(f"{name} is not in {packages}{has}; {error}") from None


def _table_of(known: Catalogue, *, show_local_path: bool) -> Table:
    """Return the table of `show_atlases`: what is in the database first, each by name."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, header_style="bold", show_lines=True)
    table.add_column("Name", no_wrap=True)
    for title in ("Downloaded", "Updated", "Local version", "Latest version"):
        table.add_column(title, justify="center", no_wrap=title != "Local version")
    if show_local_path:
        table.add_column("Local path", overflow="fold", min_width=_NARROWEST_PATH)
    here, offered = known.ingested, known.best()
    for name in (*sorted(here), *sorted(offered.keys() - here.keys())):
        versions = here.get(name, [])
        offer = (known.latest(name, versions[0].format) if versions else None) or offered.get(name)
        current = "" if offer is None or offer.is_current is None else _mark(offer.is_current)
        cells: list[Any] = [
            name,
            _mark(True) if versions else "",
            current,
            ", ".join(str(atlas.version) for atlas in versions),
            "" if offer is None else str(offer.latest),
        ]
        if show_local_path:
            cells.append("\n".join(atlas.folder for atlas in versions))
        table.add_row(*map(Text, cells))
    return table


def _mark(holds: bool) -> str:
    """Return a tick or a cross, or words where stdout cannot show them."""
    if (sys.stdout.encoding or "").lower().startswith("utf"):
        return "\N{HEAVY CHECK MARK}" if holds else "\N{MULTIPLICATION SIGN}"
    return "yes" if holds else "no"
