"""What the places of a source have to offer: asked for now, or remembered from the last time.

The one idea: a list of versions is kept with its date, in the user's cache folder, so that offline
the question is still answered and the answer says how old it is.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from atlasdb.download import in_threads
from atlasdb.errors import DownloadError, PackageError, SourceError
from atlasdb.names import Version
from atlasdb.sources import places_of
from atlasdb.sources.objects import slug
from atlasdb.wholefile import writing

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from atlasdb.sources.places import Place


_FORBIDDEN = 403
_DAMAGED = (
    OSError,
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    OverflowError,
    RecursionError,
    PackageError,
)
"""What reading a damaged file can raise."""


@dataclass(frozen=True)
class Listing:
    """The last versions of a place's atlases.

    Attributes
    ----------
    place
        The place.
    versions
        By name.
    at
        When it was asked; None for a folder, which is looked into.
    problem
        Why this is what it said then and not what it says now; empty if it is new.
    """

    place: Place
    versions: Mapping[str, Version]
    at: datetime | None = None
    problem: str = ""


@dataclass(frozen=True)
class Listings:
    """What all places of a source have to offer.

    Attributes
    ----------
    found
        Those that are known, in the order in which the places are asked.
    failed
        The others, and why.
    """

    found: tuple[Listing, ...]
    failed: tuple[tuple[Place, SourceError], ...]

    def notes(self) -> list[str]:
        """Return sentences on what is not as it should be."""
        old = [
            f"{listing.place.name} is shown as it was {age_of(listing.at)} ago "
            f"({listing.at:%Y-%m-%d %H:%M} UTC), since it gives no list now: {listing.problem}"
            for listing in self.found
            if listing.problem and listing.at is not None
        ]
        unknown = [f"What {place.name} has is not known: {error}" for place, error in self.failed]
        return old + unknown


def listings(
    source: str | None = None, *, patient: bool = True, fresh_for_s: float = 0.0
) -> Listings:
    """Return what the places of a source have to offer; servers are asked at the same time.

    Parameters
    ----------
    source
        As for `atlasdb.sources.locate`.
    patient
        Wait for slow servers.
    fresh_for_s
        For how long what a server said need not be asked again, seconds.

    Raises
    ------
    SourceError
        The source is neither a folder nor an address.
    """
    places = places_of(source)

    def attempt(place: Place) -> Listing | SourceError:
        try:
            return _listing(place, patient=patient, fresh_for_s=fresh_for_s)
        except SourceError as error:
            return error

    answers = dict(in_threads(attempt, places, len(places)))
    results = [(place, answers[place]) for place in places]
    found = [result for _, result in results if isinstance(result, Listing)]
    failed = [(place, result) for place, result in results if isinstance(result, SourceError)]
    return Listings(tuple(found), tuple(_without_layouts(found, failed)))


def remembered(source: str | None = None) -> set[str]:
    """Return the names of the atlases that a source had when it was last asked; none is asked now.

    Parameters
    ----------
    source
        As for `atlasdb.sources.locate`.

    Raises
    ------
    SourceError
        The source is neither a folder nor an address.
    """
    names: set[str] = set()
    for place in places_of(source):
        known = _remembered(place) if place.is_remote else Listing(place, place.latest())
        names.update(known.versions if known else ())
    return names


def age_of(at: datetime) -> str:
    """Return how long ago something was, in words."""
    seconds = max(0, int((datetime.now(UTC) - at).total_seconds()))
    for unit, size in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if seconds >= size:
            count = seconds // size
            return f"{count:,} {unit}{'s' if count > 1 else ''}"
    return "a moment"


def _without_layouts(
    found: Sequence[Listing], failed: Sequence[tuple[Place, SourceError]]
) -> list[tuple[Place, SourceError]]:
    """Leave out the layout that a mirror does not have, and the same failure of one server."""
    kept: dict[str, tuple[Place, SourceError]] = {}
    known = {listing.place.location for listing in found}
    for place, error in failed:
        says_nothing = isinstance(error, DownloadError) and (
            error.is_absence or error.status in {None, _FORBIDDEN}
        )
        if not (says_nothing and place.location in known):
            kept.setdefault(place.location, (place, error))
    return list(kept.values())


def _listing(place: Place, *, patient: bool, fresh_for_s: float) -> Listing:
    """Return what a place has to offer."""
    if not place.is_remote:
        return Listing(place, place.latest())
    kept = _remembered(place)
    now = datetime.now(UTC).replace(microsecond=0)
    if kept is not None and kept.at is not None:
        age = now - kept.at
        if timedelta(0) <= age < timedelta(seconds=fresh_for_s):
            return kept
    try:
        versions = place.latest(patient=patient)
    except SourceError as error:
        if kept is None:
            raise
        return Listing(place, kept.versions, kept.at, str(error))
    _remember(place, versions, now)
    return Listing(place, versions, now)


def _file(place: Place) -> Path:
    """Return where a server's list is kept."""
    import platformdirs

    folder = platformdirs.user_cache_path("atlasdb", appauthor=False)
    return folder / "listings" / f"{slug(place.location)}-{place.format}.json"


def _remember(place: Place, versions: Mapping[str, Version], at: datetime) -> None:
    """Keep a server's list, if that can be."""
    content = {
        "location": place.location,
        "at": at.isoformat(),
        "versions": {name: str(version) for name, version in versions.items()},
    }
    with suppress(OSError):
        path = _file(place)
        path.parent.mkdir(parents=True, exist_ok=True)
        with writing(path) as file:
            file.write(json.dumps(content, indent=1).encode())


def _remembered(place: Place) -> Listing | None:
    """Return a server's list as it was the last time."""
    try:
        content = json.loads(_file(place).read_text("utf-8"))
        if content["location"] != place.location:
            return None
        versions = {str(n): Version.parse(str(v)) for n, v in content["versions"].items()}
        at = datetime.fromisoformat(content["at"]).astimezone(UTC)
        if at > datetime.now(UTC) + timedelta(minutes=1):
            return None
    except _DAMAGED:
        return None
    return Listing(place, versions, at)
