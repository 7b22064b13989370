"""What can be had: the atlases in a home beside those that a source offers.

The one idea: an atlas is current if its own format has no later version. (BrainGlobe's components
are version 3.0 of atlases that its archives have as 1.2: the same atlas, packed anew.)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from atlasdb.database import reading
from atlasdb.names import AtlasName, Version
from atlasdb.sources import is_built_in
from atlasdb.sources.listings import listings

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    import pyarrow as pa

    from atlasdb.home import Home
    from atlasdb.sources.listings import Listings
    from atlasdb.sources.places import Place


@dataclass(frozen=True)
class Ingested:
    """An atlas version in a home.

    Attributes
    ----------
    version
        The version.
    format
        Its source's format.
    folder
        The folder of its volumes.
    left_out
        What its ingest left out.
    """

    version: Version
    format: str
    folder: str
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True)
class Offer:
    """An atlas that a place has.

    Attributes
    ----------
    name
        The atlas's.
    latest
        Its last version there.
    place
        The place.
    listed_at
        When it was asked; None for a folder.
    is_current
        Whether the home has nothing older of this format; None if it has nothing of it.
    is_stale
        Whether the place does not answer now, and this is what it said before.
    """

    name: str
    latest: Version
    place: Place
    listed_at: datetime | None
    is_current: bool | None
    is_stale: bool = False


@dataclass(frozen=True)
class Catalogue:
    """What there is, and what can be had.

    Attributes
    ----------
    ingested
        The versions of each atlas in the home, highest first.
    offers
        What the source has, places in the order in which they are asked, each by name.
    listings
        What the places said, and which did not answer.
    """

    ingested: Mapping[str, list[Ingested]]
    offers: tuple[Offer, ...]
    listings: Listings

    def best(self) -> dict[str, Offer]:
        """Return for each name the offer that `atlasdb ingest NAME` takes: the first place's."""
        best: dict[str, Offer] = {}
        for offer in self.offers:
            best.setdefault(offer.name, offer)
        return best

    def latest(self, name: str, form: str) -> Offer | None:
        """Return the highest version that is offered of an atlas in a format."""
        fitting = [o for o in self.offers if o.name == name and o.place.format == form]
        return max(fitting, key=lambda offer: offer.latest, default=None)


def catalogue(
    home: Home, source: str | None = None, *, patient: bool = True, fresh_for_s: float = 0.0
) -> Catalogue:
    """Return what a home has beside what a source offers.

    Parameters
    ----------
    home
        The home; need not exist.
    source, patient, fresh_for_s
        See `atlasdb.sources.listings.listings`.

    Raises
    ------
    SourceError
        The source is neither a folder nor an address.
    """
    here = ingested_atlases(home)
    known = listings(source, patient=patient, fresh_for_s=fresh_for_s)
    offers = tuple(
        Offer(
            name,
            version,
            listing.place,
            listing.at,
            _is_current(here.get(name, []), version, listing.place.format),
            bool(listing.problem),
        )
        for listing in known.found
        for name, version in sorted(listing.versions.items())
    )
    return Catalogue(here, offers, known)


def offer_rows(known: Catalogue) -> pa.Table:
    """Return what is offered as a table, by name and in the order in which places are asked.

    Parameters
    ----------
    known
        See `catalogue`.

    Raises
    ------
    SourceError
        Nobody answered, nor did before.
    """
    import pyarrow as pa

    if not known.listings.found:
        raise known.listings.failed[0][1]
    offers = sorted(known.offers, key=lambda offer: offer.name)
    here = [", ".join(str(a.version) for a in known.ingested.get(o.name, [])) for o in offers]
    return pa.table(
        {
            "atlas": pa.array([o.name for o in offers], pa.string()),
            "latest": pa.array([str(o.latest) for o in offers], pa.string()),
            "place": pa.array([o.place.name for o in offers], pa.string()),
            "format": pa.array([o.place.format for o in offers], pa.string()),
            "ingested": pa.array([versions or None for versions in here], pa.string()),
            "is_current": pa.array([o.is_current for o in offers], pa.bool_()),
            "listed_at": pa.array(
                [o.listed_at and o.listed_at.replace(tzinfo=None) for o in offers],
                pa.timestamp("s"),
            ),
        }
    )


def ingested_atlases(home: Home) -> dict[str, list[Ingested]]:
    """Return the versions of each atlas in a home, highest first; none if there is no database."""
    if not home.has_database():
        return {}
    with reading(home) as connection:
        rows = connection.execute(
            "SELECT a.name, a.version, a.source_format, parse_dirpath(v.path), a.left_out "
            "FROM main.atlas AS a "
            "JOIN main.volume AS v ON v.atlas_id = a.atlas_id AND v.kind = 'annotation' "
            "ORDER BY a.name, a.version_major DESC, a.version_minor DESC"
        ).fetchall()
    atlases: dict[str, list[Ingested]] = {}
    for name, version, form, folder, left_out in rows:
        found = Ingested(
            Version.parse(version), form, str(home.folder / folder), tuple(left_out or ())
        )
        atlases.setdefault(name, []).append(found)
    return atlases


def _is_current(here: list[Ingested], latest: Version, form: str) -> bool | None:
    versions = [atlas.version for atlas in here if atlas.format == form]
    return max(versions) >= latest if versions else None


def is_from_a_source(name: str) -> bool:
    """Whether an atlas comes from a source, and is not built in."""
    return not is_built_in(AtlasName(name))
