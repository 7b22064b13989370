"""``atlasdb update``: later versions of the atlases in a home.

The one idea: an update is an ingest of a later version of the same format beside the old one; what
is old is removed only after that, and only if it was asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from atlasdb.catalogue import catalogue, is_from_a_source
from atlasdb.database import find_atlas, reading
from atlasdb.errors import AtlasDBError, AtlasInUseError, SourceError
from atlasdb.ingest import ingest, remove
from atlasdb.names import AtlasName
from atlasdb.sources.base import NoProgress, Selection

if TYPE_CHECKING:
    from atlasdb.catalogue import Catalogue, Ingested
    from atlasdb.home import Home
    from atlasdb.sources.base import Progress


@dataclass(frozen=True)
class UpdateReport:
    """What became of one atlas.

    Attributes
    ----------
    atlas
        Its newest version in the home before.
    status
        'updated'; 'current', there is no later version; 'not offered', no place that was asked has
        the atlas in its format; 'failed'.
    latest
        Its newest version in the home now.
    detail
        Where the version was found, or what went wrong.
    removed
        Older versions that were removed.
    kept
        Why older versions were not: tables of cells were annotated with them.
    """

    atlas: AtlasName
    status: Literal["updated", "current", "not offered", "failed"]
    latest: AtlasName
    detail: str = ""
    removed: tuple[AtlasName, ...] = ()
    kept: tuple[str, ...] = ()


def update(
    home: Home,
    atlas: str | None = None,
    *,
    source: str | None = None,
    prune: bool = False,
    strict: bool = False,
    progress: Progress | None = None,
) -> list[UpdateReport]:
    """Ingest the latest version of an atlas in a home, or of each, beside what is there.

    Versions are compared within a format: one that came as an archive is updated from archives.
    What its ingest left out is left out again.

    Parameters
    ----------
    home
        The home.
    atlas
        A name; all atlases in the home by default.
    source
        Where later versions are sought (see `atlasdb.sources.locate`).
    prune
        Remove older versions of the same format once the latest is there.
    strict
        Refuse an atlas about which the ingest check has warnings.
    progress
        Told of steps and bytes.

    Returns
    -------
    list of UpdateReport
        One for each atlas and format, by name. A failure of one does not keep the others.

    Raises
    ------
    UnknownAtlasError
        The atlas is not in the home.
    SourceError
        The source gives no list of atlases.
    """
    with reading(home) as connection:
        wanted = None if atlas is None else find_atlas(connection, atlas)[1].name
    if wanted is not None and atlas != wanted:
        raise SourceError(f"{atlas} is one version; `atlasdb update {wanted}` seeks a later one")
    offered = catalogue(home, source)
    if not offered.listings.found:
        raise offered.listings.failed[0][1]
    progress = progress or NoProgress()
    for note in offered.listings.notes():
        progress.note(note)
    reports = []
    for name, versions in sorted(offered.ingested.items()):
        if wanted in {None, name} and (wanted or is_from_a_source(name)):
            for form in dict.fromkeys(version.format for version in versions):
                fitting = [version for version in versions if version.format == form]
                reports.append(_update(home, offered, name, fitting, prune, strict, progress))
    return reports


def _update(
    home: Home,
    offered: Catalogue,
    name: str,
    here: list[Ingested],
    prune: bool,
    strict: bool,
    progress: Progress,
) -> UpdateReport:
    """Update one atlas in one format."""
    newest = AtlasName(name, here[0].version)
    offer = offered.latest(name, here[0].format)
    if offer is None:
        return UpdateReport(newest, "not offered", newest, _elsewhere(offered, name))
    latest = newest
    try:
        if offer.latest > here[0].version:
            latest = AtlasName(name, offer.latest)
            selection = Selection.without(here[0].left_out)
            report = ingest(
                home,
                str(latest),
                places=[offer.place],
                selection=selection,
                strict=strict,
                progress=progress,
            )
            if report.status == "present":
                raise SourceError(f"{latest} is there already, in another format")
        old = [AtlasName(name, atlas.version) for atlas in here]
        removed, kept = _prune(home, [a for a in old if prune and a != latest])
    except AtlasDBError as error:
        return UpdateReport(newest, "failed", newest, str(error))
    status: Literal["updated", "current"] = "current" if latest == newest else "updated"
    return UpdateReport(newest, status, latest, offer.place.name, removed, kept)


def _prune(home: Home, old: list[AtlasName]) -> tuple[tuple[AtlasName, ...], tuple[str, ...]]:
    """Remove versions; return those that were removed, and why others were not."""
    removed, kept = [], []
    for atlas in old:
        try:
            removed.append(remove(home, str(atlas)))
        except AtlasInUseError as error:
            kept.append(f"{atlas} is kept: {error}")
    return tuple(removed), tuple(kept)


def _elsewhere(offered: Catalogue, name: str) -> str:
    """Say in which other format an atlas is offered."""
    offer = offered.best().get(name)
    if offer is None:
        return ""
    return f"{offer.place.name} has {name}@{offer.latest} in the format {offer.place.format}"
