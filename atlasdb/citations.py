"""How to cite an atlas: as text and as BibTeX, from what its source says.

The one idea: nothing is made up. The atlas is cited under its own name, version and address; the
publications that its citation names are recognised by their DOIs, and have authors and a year only
where these stand before the DOI as plainly as in ``Wang et al 2020``. Whatever else the source says
stays in the atlas's own entry as it was written.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Literal
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from atlasdb.names import AtlasName

CitationForm = Literal["text", "bibtex"]

_DOI_BEGIN = re.compile(r"10\.\d{4,9}/")
_DOI_END = re.compile(r"[\s\"{}\\“”‘’«»|^`]|https?:|doi:|10\.\d{4,9}/", re.IGNORECASE)
_ADDRESS = re.compile(r"(?:https?://)?(?:(?:dx\.)?doi\.org/|doi:\s*)$", re.IGNORECASE)
_YEAR = re.compile(r"(?P<authors>.*?)[\s,.;:]*(?P<year>\(\s*\d{4}\s*\)|(?<=[\s,])\d{4})$")
_ET_AL = re.compile(r"[\s,]+et\.?\s+al\b\.?$", re.IGNORECASE)
_AND = re.compile(r"(?:,?\s+and\s+|\s*,?\s*&\s*)", re.IGNORECASE)
_FIRST_YEAR, _LAST_YEAR = 1800, 2099
_WORD = r"(?:[^\W\d_][\w.'’-]*)"
_PARTICLES = frozenset(
    ["van", "von", "de", "der", "den", "da", "di", "la", "le", "el", "ter", "ten", "dos", "du"]
)
_INITIALS = re.compile(r"(?:[^\W\d_]\.?[\s-]?){1,4}")
_NAME = re.compile(rf"{_WORD}(?:\s+{_WORD}){{0,3}}")
_LINK_CHARACTERS = "%/:=&?~#+!$,;'@()*[]"
# BibTeX counts braces behind a backslash too.
_TEX = {
    "\\": r"\textbackslash{}",
    "{": r"\textbraceleft{}",
    "}": r"\textbraceright{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
} | {c: f"\\{c}" for c in "&%$#_"}

BRAINGLOBE = """@article{KEY,
  author = {Claudi, Federico and Petrucco, Luigi and Tyson, Adam L. and Branco, Tiago and \
Margrie, Troy W. and Portugues, Ruben},
  title = {{BrainGlobe Atlas API}: a common interface for neuroanatomical atlases},
  journal = {Journal of Open Source Software},
  volume = {5},
  number = {54},
  pages = {2668},
  year = {2020},
  doi = {10.21105/joss.02668},
}"""
"""BrainGlobe, who package and distribute the atlases, ask to be cited so."""

_BRAINGLOBE_TEXT = "Claudi et al. 2020, https://doi.org/10.21105/joss.02668"


@dataclass(frozen=True)
class AtlasCredits:
    """What an atlas's source says that a citation is made of.

    Attributes
    ----------
    name
        The full name.
    species, citation, atlas_link
        As the source writes them.
    resolution_um
        Edge of a voxel along AP, SI, RL.
    packaged_by_brainglobe
        Whether BrainGlobe's packagers are to be credited too.
    """

    name: AtlasName
    species: str
    citation: str
    atlas_link: str
    resolution_um: tuple[float, float, float]
    packaged_by_brainglobe: bool


@dataclass(frozen=True)
class Publication:
    """A publication that a citation names.

    Attributes
    ----------
    doi
        Its DOI.
    authors
        Each as it is written; none if they are not told plainly.
    year
        Empty if it is not told plainly.
    has_more_authors
        Whether ``et al`` stands after them.
    """

    doi: str
    authors: tuple[str, ...] = ()
    year: str = ""
    has_more_authors: bool = False

    @property
    def key(self) -> str:
        """A BibTeX key: the first author's name and the year, or the DOI."""
        first = self.authors[0].partition(",")[0].split() if self.authors else []
        name = "".join(c for c in "".join(first[-1:]) if c.isalnum() and c.isascii())
        if name and self.year:
            return f"{name}{self.year}"
        return re.sub(r"[^A-Za-z0-9]+", "_", self.doi).strip("_")


def publications(citation: str) -> list[Publication]:
    """Return the publications in a citation, by their DOIs.

    Parameters
    ----------
    citation
        As in BrainGlobe's metadata (``Wang et al 2020, https://doi.org/10.1016/…``), or several. A
        DOI within another address than doi.org's is none.

    Examples
    --------
    >>> found = publications("Wang et al 2020, https://doi.org/10.1016/j.cell.2020.04.007")
    >>> found[0].key, found[0].authors, found[0].doi
    ('Wang2020', ('Wang',), '10.1016/j.cell.2020.04.007')
    """
    found: list[Publication] = []
    end = 0
    while match := _DOI_BEGIN.search(citation, end):
        stop = _DOI_END.search(citation, match.end())
        doi = _trimmed(citation[match.start() : stop.start() if stop else None])
        before = citation[end : match.start()]
        end = match.start() + len(doi)
        address = before.rpartition(" ")[2].rpartition("\n")[2]
        if doi.endswith("/") or ("://" in address and not _ADDRESS.search(address)):
            continue
        # Where the DOI comes first, what stands before the next one may belong to either.
        said = _ADDRESS.sub("", before)
        if not found and not said.strip(" \t\n(["):
            return [Publication(doi), *(Publication(p.doi) for p in publications(citation[end:]))]
        found.append(_with_authors(doi, said))
    return found


def _with_authors(doi: str, before: str) -> Publication:
    """Return a publication with the authors and the year that the text before it plainly says."""
    text = " ".join(before.split()).strip(" .,;:([")
    text = re.sub(r"^[\s.,;:)\]]*(?:(?:and|see|&)\s+)?", "", text, flags=re.IGNORECASE)
    dated = _YEAR.fullmatch(text)
    if dated is None or not _FIRST_YEAR <= int(dated["year"].strip("() ")) <= _LAST_YEAR:
        return Publication(doi)
    year = dated["year"].strip("() ")
    written = dated["authors"].strip(" ,;:")
    bare = _ET_AL.sub("", written)
    authors = _authors(bare.strip(" ,"))
    if authors is None:  # a whole reference: its year is plain if it stands in parentheses
        return Publication(doi, year=year if "(" in dated["year"] else "")
    return Publication(doi, authors, year, bare != written)


def _authors(text: str) -> tuple[str, ...] | None:
    """Return the people whom a text lists, None if it may be something else."""
    people: list[str] = []
    for part in _AND.split(text):
        names = [name.strip() for name in part.split(",")]
        is_pair = len(names) == 2  # noqa: PLR2004 (two people, or a name turned round)
        if is_pair and _INITIALS.fullmatch(names[1]) and names[1].isupper():
            people.append(f"{names[0]}, {names[1]}")
        elif is_pair and _AND.search(text) is None:
            return None
        else:
            people += names
    return tuple(people) if people and all(map(_is_name, people)) else None


def _is_name(text: str) -> bool:
    """Whether a text can be a person's name: words that begin with capitals, and particles."""
    name = text.partition(",")[0]
    return bool(_NAME.fullmatch(name)) and all(
        word[0].isupper() or word in _PARTICLES for word in name.split()
    )


def _trimmed(doi: str) -> str:
    """Return a DOI without the punctuation that a sentence puts after it."""
    pairs = {")": "(", ">": "<", "]": "["}
    while doi[-1] in ".,;:'" or (
        doi[-1] in pairs and doi.count(doi[-1]) > doi.count(pairs[doi[-1]])
    ):
        doi = doi[:-1]
    return doi


def cite(credits_of: Sequence[AtlasCredits], form: CitationForm = "text") -> str:
    """Return how atlases are cited.

    Parameters
    ----------
    credits_of
        What their sources say.
    form
        'text', or 'bibtex': an entry for each atlas, and one for each publication.

    Raises
    ------
    ValueError
        Another form.

    Examples
    --------
    >>> from atlasdb.names import AtlasName
    >>> credit = AtlasCredits(AtlasName.parse("tiny_rat_50um@1.0"), "Rattus norvegicus",
    ...     "Doe 2020, https://doi.org/10.1000/1", "http://example.org", (50, 20, 10), False)
    >>> print(cite([credit]))
    tiny_rat_50um, version 1.0 (Rattus norvegicus, 50 × 20 × 10 µm). http://example.org
      Doe 2020, https://doi.org/10.1000/1
    """
    several = dict.fromkeys(credits_of)
    if form == "text":
        return "\n".join(_text(credit) for credit in several)
    if form != "bibtex":
        raise ValueError(f"a citation is 'text' or 'bibtex', not {form!r}")
    entries: dict[str, tuple[str, str]] = {}
    for identity, key, body in (entry for credit in several for entry in _entries(credit)):
        entries.setdefault(identity.lower(), (key, body))  # a publication once, by its DOI
    keys: set[str] = set()
    return "\n\n".join(body.replace("KEY", _free(key, keys), 1) for key, body in entries.values())


def _free(key: str, taken: set[str]) -> str:
    """Return a key that is not taken, whatever its case, and take it."""
    names = (key, *(f"{key}{letter}" for letter in "bcdefghijklmnopqrstuvwxyz"))
    free = next((name for name in names if name.lower() not in taken), None)
    free = free or next(f"{key}_{n}" for n in count(27) if f"{key}_{n}".lower() not in taken)
    taken.add(free.lower())
    return free


def _text(credit: AtlasCredits) -> str:
    """Return the citation of one atlas as lines of text."""
    link, citation = _one_line(credit.atlas_link), _one_line(credit.citation)
    lines = [f"{_described(credit)}.{f' {link}' if link else ''}"]
    if citation:
        lines.append(f"  {citation}")
    if credit.packaged_by_brainglobe:
        lines.append(f"  Packaged by BrainGlobe: {_BRAINGLOBE_TEXT}")
    return "\n".join(lines)


def _described(credit: AtlasCredits) -> str:
    """Return an atlas's name, version, species and resolution."""
    edges = [f"{edge:g}" for edge in credit.resolution_um]
    resolution = edges[0] if len(set(edges)) == 1 else " × ".join(edges)
    species = _one_line(credit.species)
    return f"{credit.name.name}, version {credit.name.version} ({species}, {resolution} µm)"


def _entries(credit: AtlasCredits) -> Iterator[tuple[str, str, str]]:
    """Yield BibTeX entries: what each is of, its key, and itself with KEY in the key's place."""
    name, link = f"{credit.name.name}_v{credit.name.version}", credit.atlas_link.strip()
    title = f"{credit.name.name}: brain atlas of {_one_line(credit.species)}"
    fields = {
        "title": f"{{{_tex(title)}}}",
        "version": _tex(str(credit.name.version)),
        "note": _tex(_one_line(credit.citation)),
    }
    if link.startswith(("http://", "https://")):
        fields["url"] = quote(link, safe=_LINK_CHARACTERS)
    yield name, name, _entry(fields)
    for publication in publications(credit.citation):
        more = ("others",) if publication.has_more_authors else ()
        fields = {
            "author": " and ".join((*map(_tex, publication.authors), *more)),
            "year": publication.year,
            "doi": publication.doi,
            "url": f"https://doi.org/{quote(publication.doi, safe=_LINK_CHARACTERS)}",
        }
        yield publication.doi, publication.key, _entry(fields)
    if credit.packaged_by_brainglobe:
        yield "10.21105/joss.02668", "Claudi2020", BRAINGLOBE


def _entry(fields: dict[str, str]) -> str:
    """Return one entry; fields without a value are left out."""
    lines = [f"  {name} = {{{value}}}," for name, value in fields.items() if value]
    return "\n".join(["@misc{KEY,", *lines, "}"])


def _one_line(text: str) -> str:
    """Return a text without line ends, and without characters that would steer a terminal."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def _tex(text: str) -> str:
    """Return a text as TeX reads it."""
    return "".join(_TEX.get(c, c) for c in text)
