"""Places where atlases are published: each lists what it has, and gives the origin of one.

The one idea: a place is one layout (archives, or components) in one folder or on one server. What a
user names as a source is one place or several, asked in order.
"""

from __future__ import annotations

import configparser
from abc import ABC, abstractmethod
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from atlasdb.download import exists, fetch_text
from atlasdb.encodings import decoded
from atlasdb.errors import DownloadError, PackageError, SourceError
from atlasdb.names import AtlasName, Version, checked_name
from atlasdb.sources.archive import ArchiveOrigin
from atlasdb.sources.components import ATLASES, ComponentsOrigin, folder_of, manifest_key
from atlasdb.sources.components import FORMAT as COMPONENTS
from atlasdb.sources.digests import SUMS, Digest, read_sums
from atlasdb.sources.downloaded import UrlOrigin
from atlasdb.sources.package import FORMAT as PACKAGES
from atlasdb.sources.package import FolderOrigin

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from atlasdb.sources.base import Origin

LISTING = "last_versions.conf"
"""What BrainGlobe's servers list their atlases in, each with its last version."""

CUSTOM = "custom_atlases.conf"
"""Where BrainGlobe's users list atlases of their own, beside their packages."""

ARCHIVES = (".tar.gz", ".tgz")


class Place(ABC):
    """A folder, or a server, with atlases in one layout."""

    @property
    @abstractmethod
    def name(self) -> str:
        """What people call it."""

    @property
    @abstractmethod
    def format(self) -> str:
        """The format of its atlases."""

    @property
    @abstractmethod
    def is_remote(self) -> bool:
        """Whether it is on a server."""

    @property
    @abstractmethod
    def location(self) -> str:
        """Its address, or its path."""

    @abstractmethod
    def latest(self, *, patient: bool = True) -> Mapping[str, Version]:
        """Return the last version of each of its atlases.

        Raises
        ------
        SourceError
            It gives no list.
        """

    @abstractmethod
    def find(self, name: AtlasName) -> Origin | None:
        """Return an atlas, the last version where none is named; None if it has none such.

        Raises
        ------
        SourceError
            It cannot be asked.
        """

    @abstractmethod
    def address(self, name: AtlasName) -> str | None:
        """Return where a version of an atlas is, without asking a server."""

    def _newest(self, name: AtlasName) -> AtlasName | None:
        """Return an atlas with its version, or with its last one where none is named."""
        version = name.version or self.latest().get(name.name)
        return None if version is None else AtlasName(name.name, version)


@dataclass(frozen=True)
class _Server(Place):
    """A place on a server.

    Attributes
    ----------
    base
        Its address, which ends in a slash.
    called
        What people call it; its address by default.
    """

    base: str
    called: str = ""

    @property
    def name(self) -> str:
        """Its short name, or its address."""
        return self.called or self.base

    @property
    def is_remote(self) -> bool:
        """It is."""
        return True

    @property
    def location(self) -> str:
        """Its address."""
        return self.base

    @property
    def _listing(self) -> str:
        return self.base + LISTING

    def latest(self, *, patient: bool = True) -> Mapping[str, Version]:
        """Return what the server's list says."""
        return parse_listing(fetch_text(self._listing, patient=patient), self._listing)


@dataclass(frozen=True)
class ServedPackages(_Server):
    """Archives of TIFF packages on a server, beside a list of their last versions."""

    @property
    def format(self) -> str:
        """TIFF packages."""
        return PACKAGES

    def find(self, name: AtlasName) -> Origin | None:
        """Return the archive; whether the server has a version that it does not list is asked."""
        found = self._newest(name)
        if found is None:
            return None
        url = self.address(found)
        if name.version is not None and not exists(url):
            return None
        return UrlOrigin(url, found, digest=self._digest(url))

    def address(self, name: AtlasName) -> str:
        """Return the address of an archive."""
        return f"{self.base}{name.name}_v{name.version}.tar.gz"

    def _digest(self, url: str) -> Digest | None:
        """Return what the server's own list states of an archive."""
        where = self.base + SUMS
        try:
            text = fetch_text(where)
        except DownloadError as error:
            if error.status is None:
                raise
            return None
        sha256 = read_sums(text.encode(), where).get(url[len(self.base) :])
        return None if sha256 is None else Digest(sha256, where)


@dataclass(frozen=True)
class ServedComponents(_Server):
    """Components on a server, laid out like BrainGlobe's bucket."""

    @property
    def format(self) -> str:
        """OME-Zarr components."""
        return COMPONENTS

    @property
    def _listing(self) -> str:
        return f"{self.base}{ATLASES}/{LISTING}"

    def find(self, name: AtlasName) -> Origin | None:
        """Return the atlas whose manifest is there."""
        found = self._newest(name)
        if found is None:
            return None
        if name.version is not None and not exists(self.address(found)):
            return None
        return ComponentsOrigin(self.base, found)

    def address(self, name: AtlasName) -> str:
        """Return the address of a manifest."""
        return self.base + manifest_key(name)


@dataclass(frozen=True)
class _Folder(Place):
    """A place in a folder.

    Attributes
    ----------
    folder
        The folder.
    """

    folder: Path

    @property
    def name(self) -> str:
        """Its path."""
        return str(self.folder)

    @property
    def is_remote(self) -> bool:
        """It is not."""
        return False

    @property
    def location(self) -> str:
        """Its path."""
        return str(self.folder)


@dataclass(frozen=True)
class FolderOfPackages(_Folder):
    """TIFF packages in a folder, packed or unpacked."""

    @property
    def format(self) -> str:
        """TIFF packages."""
        return PACKAGES

    def latest(self, *, patient: bool = True) -> Mapping[str, Version]:  # noqa: ARG002 (no server)
        """Return the highest version of each, and what BrainGlobe's user lists beside."""
        custom = self.folder / CUSTOM
        listed: Mapping[str, Version] = {}
        if custom.is_file():
            with suppress(OSError, SourceError):  # the packages are there all the same
                listed = parse_listing(decoded(custom.read_bytes()), str(custom))
        return dict(listed) | {name: max(found) for name, found in self.packages().items()}

    def find(self, name: AtlasName) -> Origin | None:
        """Return a package, unpacked if there is one, or else an archive."""
        versions = self.packages().get(name.name, {})
        version = name.version or max(versions, default=None)
        if version is None or version not in versions:
            return None
        found, path = AtlasName(name.name, version), versions[version]
        if path.is_dir():
            return FolderOrigin(path, found)
        return ArchiveOrigin(path, None, found, self._digest(path))

    def address(self, name: AtlasName) -> str | None:
        """Return a package's address on this machine."""
        path = self.packages().get(name.name, {}).get(name.version or Version(0, 0))
        return None if path is None else path.absolute().as_uri()

    def packages(self) -> dict[str, dict[Version, Path]]:
        """Return the packages by name and version; unpacked ones go first."""
        found: dict[str, dict[Version, Path]] = {}
        for path in sorted(self.folder.glob("*_v*")) if self.folder.is_dir() else []:
            ending = next((e for e in ARCHIVES if path.name.endswith(e)), "")
            stem, _, version = path.name.removesuffix(ending).rpartition("_v")
            is_package = path.is_file() if ending else (path / "metadata.json").is_file()
            try:
                stem, parsed = checked_name(stem), Version.parse(version)
            except PackageError:
                continue
            if is_package and (not ending or parsed not in found.get(stem, {})):
                found.setdefault(stem, {})[parsed] = path
        return found

    def _digest(self, path: Path) -> Digest | None:
        sums = self.folder / SUMS
        if not sums.is_file():
            return None
        sha256 = read_sums(sums.read_bytes(), str(sums)).get(path.name)
        return None if sha256 is None else Digest(sha256, str(sums))


@dataclass(frozen=True)
class FolderOfComponents(_Folder):
    """Components in a folder, laid out like BrainGlobe's bucket."""

    @property
    def format(self) -> str:
        """OME-Zarr components."""
        return COMPONENTS

    def latest(self, *, patient: bool = True) -> Mapping[str, Version]:  # noqa: ARG002 (no server)
        """Return the highest version of each that has a manifest."""
        return {name: max(versions) for name, versions in self._manifests().items()}

    def find(self, name: AtlasName) -> Origin | None:
        """Return the atlas whose manifest is there."""
        versions = self._manifests().get(name.name, [])
        version = name.version or max(versions, default=None)
        if version is None or version not in versions:
            return None
        return ComponentsOrigin(self.folder, AtlasName(name.name, version))

    def address(self, name: AtlasName) -> str | None:
        """Return a manifest's address on this machine."""
        path = self.folder / manifest_key(name)
        return path.absolute().as_uri() if path.is_file() else None

    def _manifests(self) -> dict[str, list[Version]]:
        found: dict[str, list[Version]] = {}
        for manifest in (self.folder / ATLASES).glob("*/*/manifest.json"):
            with suppress(PackageError):
                version = Version.parse(manifest.parent.name.replace("_", "."))
                name = checked_name(manifest.parent.parent.name)
                if manifest.parent.name == folder_of(version):
                    found.setdefault(name, []).append(version)
        return found


def parse_listing(text: str, where: str) -> dict[str, Version]:
    """Return the versions in BrainGlobe's last_versions.conf.

    An entry whose name is no atlas's, or whose version is none, is passed over.

    Parameters
    ----------
    text
        The file.
    where
        What an error calls it.

    Raises
    ------
    SourceError
        It is none.
    """
    parser = configparser.ConfigParser(interpolation=None, default_section="", strict=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # names keep their case
    listed: dict[str, Version] = {}
    try:
        parser.read_string(text)
        for name, version in parser["atlases"].items():
            with suppress(PackageError):
                listed[checked_name(name)] = Version.parse(version)
    except (configparser.Error, KeyError) as error:
        page = "an HTML page" if text.lstrip().startswith("<") else "no list of atlases"
        raise SourceError(f"{where} is {page}: expected BrainGlobe's {LISTING}") from error
    if not listed and len(parser["atlases"]):
        raise SourceError(f"{where} is no list of atlases: expected BrainGlobe's {LISTING}")
    return listed
