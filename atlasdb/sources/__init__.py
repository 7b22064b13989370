"""Where atlases come from: a name, a folder, an archive or an address becomes an `Origin`.

The one idea: finding an atlas and reading it are two steps. `locate` only looks around and says
what it found; nothing large is read or downloaded before the ingest opens the origin.
"""

from __future__ import annotations

import configparser
import os
import tempfile
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from atlasdb.download import fetch, fetch_text
from atlasdb.errors import DownloadError, PackageError, SourceError, did_you_mean, one_line
from atlasdb.names import AtlasName, Version
from atlasdb.sources import phantom
from atlasdb.sources.archive import ArchiveOrigin
from atlasdb.sources.package import FolderOrigin

if TYPE_CHECKING:
    from collections.abc import Mapping

    from atlasdb.sources.base import Origin, Progress, SourceAtlas

GIN = "https://gin.g-node.org/brainglobe/atlases/raw/master/"
"""Where BrainGlobe publishes its TIFF packages."""

LISTING = "last_versions.conf"
CONFIGURATION = "bg_config.conf"
_ARCHIVES = (".tar.gz", ".tgz")


@dataclass(frozen=True)
class UrlOrigin:
    """An archive on a server.

    Attributes
    ----------
    url
        The archive's address.
    expected
        The name and version that it was found under, if it was asked for by name.
    downloads
        The folder where the archive lies meanwhile; the staging folder by default.
    """

    url: str
    expected: AtlasName | None = None
    downloads: Path | None = None

    @property
    def description(self) -> str:
        """The archive's address."""
        return self.url

    def open(self, staging: Path, progress: Progress) -> SourceAtlas:
        """Download the archive and open the package in it."""
        with tempfile.TemporaryDirectory(dir=self._folder(staging)) as folder:
            archive = fetch(self.url, Path(folder) / "download.tar.gz", progress=progress)
            return ArchiveOrigin(archive, self.url).open(staging, progress)

    def _folder(self, staging: Path) -> Path:
        """Return the folder for the archive, made if need be."""
        if self.downloads is None:
            return staging
        try:
            self.downloads.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SourceError(
                f"cannot download into {self.downloads}: {error.strerror or error}"
            ) from error
        return self.downloads


def locate(atlas: str, *, source: str | None = None, downloads: Path | None = None) -> Origin:
    """Find an atlas.

    Parameters
    ----------
    atlas
        A package's folder, a ``.tar.gz`` file, the http(s) address of one, or a name such as
        ``allen_mouse_100um`` or ``allen_mouse_100um@1.2``. A name is sought among the built-in
        phantoms; then in `source`, if there is one; else in BrainGlobe's own folder on this
        machine (``~/.brainglobe``), and last on BrainGlobe's server (`GIN`).
    source
        A mirror: a folder or an http(s) address with archives (or, in a folder, unpacked packages)
        and BrainGlobe's ``last_versions.conf``; ``gin`` for BrainGlobe's server. Only read for a
        name. By default what ``ATLASDB_SOURCE`` names.
    downloads
        Where an archive lies while it is downloaded; the ingest's own folder by default.

    Returns
    -------
    Origin
        Ready to be opened.

    Raises
    ------
    SourceError
        The atlas is not there.
    """
    if _is_url(atlas):
        return UrlOrigin(atlas, downloads=downloads)
    path = _path(atlas)
    if _is_file(path / "metadata.json"):
        return FolderOrigin(path)
    if _is_file(path):
        return ArchiveOrigin(path)
    name = named(atlas)
    if name is None:
        what = "holds no metadata.json" if _is_folder(path) else "does not exist"
        raise SourceError(f"{atlas}: expected a package's folder or .tar.gz file; it {what}")
    origin = _by_name(name, source or default_source())
    return replace(origin, downloads=downloads) if isinstance(origin, UrlOrigin) else origin


def default_source() -> str | None:
    """Return the source that the user's environment names in ``ATLASDB_SOURCE``."""
    return os.environ.get("ATLASDB_SOURCE") or None


def latest_versions(source: str | None = None, *, patient: bool = True) -> Mapping[str, Version]:
    """Return the latest version of each atlas that a source has.

    Parameters
    ----------
    source
        As for `locate`: a folder or an address; BrainGlobe's server by default.
    patient
        Wait for a slow server.

    Raises
    ------
    SourceError
        The source is not there, or gives no list of atlases.
    DownloadError
        The server cannot be reached.
    """
    source = source or default_source() or "gin"
    base = _server(source)
    if base is not None:
        return _listing(fetch_text(base + LISTING, patient=patient), base + LISTING)
    return _latest_in(_mirror(source))


def archive_address(name: AtlasName, source: str | None = None) -> str | None:
    """Return where a source has the archive of a version; None of one that it has not.

    Parameters
    ----------
    name
        With its version.
    source
        As for `latest_versions`.
    """
    source = source or default_source() or "gin"
    base = _server(source)
    if base is not None:
        return _archive_on(base, name)
    versions = _versions_in_folder(_path(source)).get(name.name, {})
    path = versions.get(name.version) if name.version else None
    return None if path is None else path.absolute().as_uri()


def versions_in(folder: Path, name: AtlasName) -> list[Version]:
    """Return the versions of an atlas that a folder has as packages or archives, lowest first."""
    return sorted(_versions_in_folder(folder).get(name.name, {}))


def is_built_in(name: AtlasName) -> bool:
    """Whether an atlas is one of the phantoms."""
    return phantom.origin(name) is not None


def _server(source: str) -> str | None:
    """Return the base address of a source that is a server, None of a folder."""
    address = GIN if source == "gin" else source
    return address.rstrip("/") + "/" if _is_url(address) else None


def _mirror(source: str) -> Path:
    """Return the folder that a source is."""
    folder = _path(source)
    if not _is_folder(folder):
        raise SourceError(f"the source {source} is neither a folder nor an http(s) address")
    return folder


def _latest_in(folder: Path) -> dict[str, Version]:
    """Return the highest version of each atlas in a folder of packages."""
    return {name: max(versions) for name, versions in _versions_in_folder(folder).items()}


def _archive_on(base: str, name: AtlasName) -> str:
    return f"{base}{name.name}_v{name.version}.tar.gz"


def named(atlas: str) -> AtlasName | None:
    """Return the name that `atlas` is, None if it is a path or an address."""
    if _is_url(atlas) or "/" in atlas or os.sep in atlas or atlas.endswith(_ARCHIVES):
        return None
    path = _path(atlas)
    if _is_file(path) or _is_file(path / "metadata.json"):
        return None
    return AtlasName.parse(atlas)


def _path(text: str) -> Path:
    """Return a path that a user typed, ``~`` and all."""
    try:
        return Path(text).expanduser()
    except RuntimeError as error:  # ~nobody
        raise SourceError(f"{text:.200}: {error}") from error


def _is_file(path: Path) -> bool:
    """Whether a file is there; a path that cannot even be asked for is an error by name."""
    try:
        return path.is_file()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise SourceError(f"cannot look at {str(path)!r:.200}: {reason}") from error


def _is_folder(path: Path) -> bool:
    """Whether a folder is there and can be listed."""
    try:
        return path.is_dir() and next(path.iterdir(), path) is not None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise SourceError(f"cannot look into {str(path)!r:.200}: {reason}") from error


def _by_name(name: AtlasName, source: str | None) -> Origin:
    """Find an atlas that was asked for by its name."""
    built_in = phantom.origin(name)
    if built_in is not None:
        return built_in
    if source is None:
        folder = brainglobe_folder()
        here = _in_folder(name, folder)
        try:
            return here if here is not None else _on_server(name, GIN)
        except DownloadError as error:
            raise DownloadError(f"{name} is not in {folder}, and {error}") from error
    base = _server(source)
    if base is not None:
        return _on_server(name, base)
    folder = _mirror(source)
    found = _in_folder(name, folder)
    if found is None:
        raise _not_there(name, str(folder), _latest_in(folder))
    return found


def brainglobe_folder() -> Path:
    """Return the folder where BrainGlobe's own tools keep atlases on this machine.

    It is what ``brainglobe_dir`` in BrainGlobe's bg_config.conf says (in ``$BRAINGLOBE_CONFIG_DIR``
    or ``~/.config/brainglobe``), else ``~/.brainglobe``.
    """
    config = Path(os.environ.get("BRAINGLOBE_CONFIG_DIR") or Path.home() / ".config/brainglobe")
    try:
        named = read_brainglobe_config(config).get("brainglobe_dir", "")
    except SourceError:
        named = ""
    return _path(named) if named else Path.home() / ".brainglobe"


def read_brainglobe_config(path: Path) -> dict[str, str]:
    """Return the folders that BrainGlobe's configuration names.

    Parameters
    ----------
    path
        ``bg_config.conf``, or the folder with it.

    Returns
    -------
    dict
        ``brainglobe_dir`` and ``interm_download_dir``, those that are there.

    Raises
    ------
    SourceError
        There is no such file, or it is no configuration.
    """
    parser = configparser.ConfigParser(interpolation=None)
    file = path
    try:
        path = path.expanduser()
        file = path / CONFIGURATION if path.is_dir() else path
        parser.read_string(file.read_text("utf-8"))
    except (configparser.Error, ValueError, RuntimeError, OSError) as error:
        raise SourceError(
            f"{file} cannot be read as BrainGlobe's configuration: {one_line(str(error))}"
        ) from error
    return dict(parser["default_dirs"]) if parser.has_section("default_dirs") else {}


def _in_folder(name: AtlasName, folder: Path) -> Origin | None:
    """Return the wanted, or the highest, version of an atlas in a folder of packages."""
    versions = _versions_in_folder(folder).get(name.name, {})
    if name.version is not None:
        versions = {name.version: versions[name.version]} if name.version in versions else {}
    if not versions:
        return None
    version = max(versions)
    expected = AtlasName(name.name, version)
    path = versions[version]
    return FolderOrigin(path, expected) if path.is_dir() else ArchiveOrigin(path, None, expected)


def _versions_in_folder(folder: Path) -> dict[str, dict[Version, Path]]:
    """Return the packages of a folder, by name and version; unpacked ones go first."""
    found: dict[str, dict[Version, Path]] = {}
    for path in sorted(folder.glob("*_v*")) if folder.is_dir() else []:
        ending = next((e for e in _ARCHIVES if path.name.endswith(e)), "")
        stem, _, version = path.name.removesuffix(ending).rpartition("_v")
        is_package = path.is_file() if ending else (path / "metadata.json").is_file()
        try:
            parsed = Version.parse(version)
        except PackageError:
            continue
        if is_package and (not ending or parsed not in found.get(stem, {})):
            found.setdefault(stem, {})[parsed] = path
    return found


def _on_server(name: AtlasName, base: str) -> Origin:
    """Return the wanted, or the latest, version of an atlas on a server."""
    version = name.version
    if version is None:
        try:
            text = fetch_text(base + LISTING)
        except DownloadError as error:
            raise DownloadError(
                f"{error}; if there is no way to that server, name a folder or another one "
                "as the source (--source, ATLASDB_SOURCE), or ingest a package's folder or .tar.gz "
                "file"
            ) from error
        listed = _listing(text, base + LISTING)
        if name.name not in listed:
            raise _not_there(name, base, listed)
        version = listed[name.name]
    found = AtlasName(name.name, version)
    return UrlOrigin(_archive_on(base, found), found)


def _listing(text: str, where: str) -> dict[str, Version]:
    """Parse BrainGlobe's last_versions.conf; an entry that is no version is passed over."""
    parser = configparser.ConfigParser(interpolation=None, default_section="")
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # names keep their case
    listed: dict[str, Version] = {}
    try:
        parser.read_string(text)
        for name, version in parser["atlases"].items():
            with suppress(PackageError):
                listed[name] = Version.parse(version)
    except (configparser.Error, KeyError) as error:
        page = "an HTML page" if text.lstrip().startswith("<") else "no list of atlases"
        raise SourceError(f"{where} is {page}: expected BrainGlobe's {LISTING}") from error
    if not listed and len(parser["atlases"]):
        raise SourceError(f"{where} is no list of atlases: expected BrainGlobe's {LISTING}")
    return listed


def _not_there(name: AtlasName, where: str, known: Mapping[str, Version]) -> SourceError:
    """Say that an atlas is not where it was sought."""
    if name.name in known:
        return SourceError(f"{name} is not in {where}; there is {name.name}@{known[name.name]}")
    return SourceError(f"{name} is not in {where}{did_you_mean(name.name, known)}")


def _is_url(text: str) -> bool:
    return text.startswith(("http://", "https://"))
