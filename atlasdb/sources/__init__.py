"""Where atlases come from: a name, a folder, an archive or an address becomes an `Origin`.

The one idea: finding an atlas and reading it are two steps. `locate` only looks around and says
what it found; nothing large is read or downloaded before the ingest opens the origin.
"""

from __future__ import annotations

import configparser
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from atlasdb.download import check_address
from atlasdb.errors import DownloadError, SourceError, did_you_mean, one_line
from atlasdb.names import AtlasName, Version
from atlasdb.sources import phantom
from atlasdb.sources.archive import ArchiveOrigin
from atlasdb.sources.base import NoProgress
from atlasdb.sources.components import ATLASES, ComponentsOrigin, folder_of
from atlasdb.sources.digests import Digest
from atlasdb.sources.downloaded import UrlOrigin
from atlasdb.sources.package import FolderOrigin
from atlasdb.sources.places import (
    ARCHIVES,
    LISTING,
    FolderOfComponents,
    FolderOfPackages,
    ServedComponents,
    ServedPackages,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from atlasdb.sources.base import Origin, Progress
    from atlasdb.sources.places import Place

GIN = "https://gin.g-node.org/brainglobe/atlases/raw/master/"
"""Where BrainGlobe publishes its TIFF packages."""

S3 = "https://brainglobe.s3.us-west-2.amazonaws.com/atlas/"
"""Where BrainGlobe publishes its component-wise atlases."""

CONFIGURATION = "bg_config.conf"
_MANIFEST = "manifest.json"
_BRAINGLOBE_3 = "brainglobe-atlasapi"
_FORBIDDEN = 403


def locate(
    atlas: str,
    *,
    source: str | None = None,
    places: Sequence[Place] | None = None,
    downloads: Path | None = None,
    shared: Path | None = None,
    sha256: str | None = None,
    earlier: Callable[[str], str | None] = lambda url: None,  # noqa: ARG005 (nothing is known)
    progress: Progress | None = None,
) -> Origin:
    """Find an atlas.

    Parameters
    ----------
    atlas
        A package's folder, a ``.tar.gz`` file, the http(s) address of one, the ``manifest.json`` of
        a component-wise atlas (or its folder, or its address), or a name such as
        ``allen_mouse_100um`` or ``allen_mouse_100um@1.2``. A name is sought among the built-in
        phantoms, then in `source`.
    source
        ``gin`` or ``s3`` for BrainGlobe's servers; a mirror, which is a folder or an http(s)
        address laid out like either of them (or, a folder, with unpacked packages); or ``auto``:
        BrainGlobe's own folder on this machine (``~/.brainglobe``), then ``gin``, then ``s3``. Only
        read for a name. By default what ``ATLASDB_SOURCE`` names, else ``auto``.
    places
        Where a name is sought, instead of in `source`.
    downloads
        Where an archive lies while it is downloaded; the ingest's own folder by default.
    shared
        Where components are kept, shared ones for the next atlas too; by default as `downloads`.
    sha256
        The archive's digest, in hexadecimal, if it is known.
    earlier
        Gives the digest of an archive that came from an address before, None if none did.
    progress
        Told of places that do not answer.

    Returns
    -------
    Origin
        Ready to be opened.

    Raises
    ------
    SourceError
        The atlas is not there.
    """
    origin = _located(atlas, source, places, progress or NoProgress())
    if isinstance(origin, UrlOrigin):
        origin = replace(origin, downloads=downloads)
    elif isinstance(origin, ComponentsOrigin):
        origin = replace(origin, downloads=shared or downloads)
    if sha256 is not None:
        if not isinstance(origin, UrlOrigin | ArchiveOrigin):
            raise SourceError(f"a SHA-256 is an archive's; {origin.description} is none")
        return replace(origin, digest=Digest.parse(sha256, "--sha256"))
    if isinstance(origin, UrlOrigin) and origin.digest is None:
        known = earlier(origin.url)
        if known is not None:
            return replace(origin, digest=Digest(known, "an earlier download from there"))
    return origin


def _located(
    atlas: str, source: str | None, places: Sequence[Place] | None, progress: Progress
) -> Origin:
    """Find an atlas, wherever its files may lie meanwhile."""
    if _is_url(atlas):
        return _at_address(atlas)
    path = _path(atlas)
    if _is_file(path / "metadata.json"):
        return FolderOrigin(path)
    if path.name == _MANIFEST and _is_file(path):
        return _of_manifest(path)
    if _is_file(path / _MANIFEST):
        return _of_manifest(path / _MANIFEST)
    if _is_file(path):
        return ArchiveOrigin(path)
    name = named(atlas)
    if name is None:
        what = "holds no metadata.json" if _is_folder(path) else "does not exist"
        raise SourceError(f"{atlas}: expected a package's folder or .tar.gz file; it {what}")
    return phantom.origin(name) or _seek(name, places or places_of(source), progress)


def _at_address(url: str) -> Origin:
    """Return the archive, or the manifest, at an address."""
    check_address(url)
    if not url.partition("?")[0].endswith("/" + _MANIFEST):
        return UrlOrigin(url)
    url = url.partition("?")[0]
    base, found, rest = url.rpartition(f"/{ATLASES}/")
    name, _, version = rest.removesuffix("/" + _MANIFEST).partition("/")
    if not found:
        raise SourceError(f"{url}: a manifest is expected at …/{ATLASES}/NAME/VERSION/{_MANIFEST}")
    return ComponentsOrigin(base + "/", AtlasName.parse(f"{name}@{version.replace('_', '.')}"))


def _of_manifest(manifest: Path) -> Origin:
    """Return the component-wise atlas that a manifest on this machine describes."""
    version, name, atlases = manifest.absolute().parents[:3]
    if atlases.name != ATLASES:
        raise SourceError(f"{manifest} is expected in …/{ATLASES}/NAME/VERSION/")
    found = AtlasName.parse(f"{name.name}@{version.name.replace('_', '.')}")
    if folder_of(found.version) != version.name:
        raise SourceError(f"{manifest}: its folder is called {version.name}, not {found.version}")
    return ComponentsOrigin(atlases.parent, found)


def default_source() -> str | None:
    """Return the source that the user's environment names in ``ATLASDB_SOURCE``."""
    return os.environ.get("ATLASDB_SOURCE") or None


def places_of(source: str | None = None) -> list[Place]:
    """Return the places that a source is, in the order in which they are asked.

    Parameters
    ----------
    source
        As for `locate`.

    Raises
    ------
    SourceError
        It is neither a folder nor an address.
    """
    source = source or default_source() or "auto"
    gin, s3 = ServedPackages(GIN, "gin"), ServedComponents(S3, "s3")
    if source == "auto":
        return [FolderOfPackages(brainglobe_folder()), gin, s3]
    if source in {"gin", "s3"}:
        return [gin if source == "gin" else s3]
    if _is_url(source):
        check_address(source)
        if "?" in source or "#" in source:
            raise SourceError(f"{source}: a mirror's address ends in a path, without ? and #")
        base = source.removesuffix(LISTING).rstrip("/") + "/"
        return [ServedPackages(base), ServedComponents(base)]
    folder = _path(source)
    if not _is_folder(folder):
        raise SourceError(
            f"the source {source} is neither a folder nor an http(s) address, nor auto, gin or s3"
        )
    components = [folder / below for below in ("", _BRAINGLOBE_3)]
    return [
        FolderOfPackages(folder),
        *(FolderOfComponents(below) for below in components if _is_folder(below / ATLASES)),
    ]


def versions_in(folder: Path, name: AtlasName) -> list[Version]:
    """Return the versions of an atlas that a folder has as packages or archives, lowest first."""
    return sorted(FolderOfPackages(folder).packages().get(name.name, {}))


def is_built_in(name: AtlasName) -> bool:
    """Whether an atlas is one of the phantoms."""
    return phantom.origin(name) is not None


def built_in() -> list[str]:
    """Return the names of the phantoms."""
    return list(phantom.PHANTOMS)


def named(atlas: str) -> AtlasName | None:
    """Return the name that `atlas` is, None if it is a path or an address."""
    if _is_url(atlas) or "/" in atlas or os.sep in atlas or atlas.endswith(ARCHIVES):
        return None
    path = _path(atlas)
    if _is_file(path) or _is_file(path / "metadata.json") or _is_file(path / _MANIFEST):
        return None
    return AtlasName.parse(atlas)


def _seek(name: AtlasName, places: Sequence[Place], progress: Progress) -> Origin:
    """Return an atlas from the first place that has it."""
    without: list[Place] = []
    failed: list[tuple[Place, SourceError]] = []
    for place in places:
        if place.location in {p.location for p, error in failed if not _is_answer(error)}:
            continue  # the same server, in another layout
        try:
            origin = place.find(name)
        except SourceError as error:
            failed.append((place, error))
            continue
        if origin is not None:
            for other, reason in failed:
                if other.location != place.location:
                    progress.note(f"{name} comes from {place.name}, since {reason}")
            return origin
        without.append(place)
    raise _not_found(name, without, failed)


def _is_answer(error: SourceError) -> bool:
    """Whether a server answered, if only with an error."""
    return not isinstance(error, DownloadError) or error.status is not None


def _not_found(
    name: AtlasName, without: Sequence[Place], failed: Sequence[tuple[Place, SourceError]]
) -> SourceError:
    """Say where an atlas is not, and who did not answer."""
    problems = _telling(without, failed)
    text = f"{name} is not in " + " nor in ".join(dict.fromkeys(p.name for p in without))
    if not problems:
        return SourceError(f"{text}{_hint(name, without)}")
    reasons = "; ".join(
        str(error) if place.name in str(error) else f"{place.name}: {error}"
        for place, error in problems
    )
    text = f"{text}, and {reasons}" if without else reasons
    if not any(isinstance(error, DownloadError) for _, error in problems):
        return SourceError(text)
    return DownloadError(
        f"{text}; if there is no way to a server, name a folder or another one as the source "
        "(--source, source=…, ATLASDB_SOURCE), or ingest a package's folder or .tar.gz file"
    )


def _telling(
    without: Sequence[Place], failed: Sequence[tuple[Place, SourceError]]
) -> list[tuple[Place, SourceError]]:
    """Leave out the layout that a mirror does not have, if it answers in the other one."""
    answered = {place.location for place in without}
    kept: dict[str, tuple[Place, SourceError]] = {}
    for place, error in sorted(failed, key=lambda pair: _is_absence(pair[1])):
        if not (_is_absence(error) and place.location in answered):
            kept.setdefault(place.location, (place, error))
    return list(kept.values())


def _is_absence(error: SourceError) -> bool:
    # Buckets that list nothing to strangers say 403 for what is not there.
    return isinstance(error, DownloadError) and (error.is_absence or error.status == _FORBIDDEN)


def _hint(name: AtlasName, places: Sequence[Place]) -> str:
    """Return the end of a message: what there is instead."""
    known: dict[str, Version] = {}
    for place in places:
        try:
            latest = place.latest().items()
            there = {n: v for n, v in latest if place.is_remote or place.find(AtlasName(n, v))}
            known |= {n: v for n, v in there.items() if v >= known.get(n, v)}
        except SourceError:
            continue
    if name.name in known:
        return f"; there is {name.name}@{known[name.name]}"
    return did_you_mean(name.name, known)


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


def brainglobe_folder() -> Path:
    """Return the folder where BrainGlobe's own tools keep atlases on this machine.

    It is what ``brainglobe_dir`` in BrainGlobe's bg_config.conf says (in ``$BRAINGLOBE_CONFIG_DIR``
    or ``~/.config/brainglobe``), else ``~/.brainglobe``.
    """
    config = Path(os.environ.get("BRAINGLOBE_CONFIG_DIR") or Path.home() / ".config/brainglobe")
    try:
        folder = read_brainglobe_config(config).get("brainglobe_dir", "")
    except SourceError:
        folder = ""
    return _path(folder) if folder else Path.home() / ".brainglobe"


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


def _is_url(text: str) -> bool:
    return text[:8].lower().startswith(("http://", "https://"))
