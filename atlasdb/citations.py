"""How to cite an atlas: as text and as BibTeX, from what its source says.

The one idea: nothing is made up. The atlas is cited under its own name, version and address; the
publications that its citation names are recognised by their DOIs, and what cannot be recognised
stays in the text as the source wrote it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from atlasdb.names import AtlasName

CitationForm = Literal["text", "bibtex"]

_DOI = re.compile(r"10\.\d{4,9}/[^\s\"<>{}\\]+")
_ADDRESS = re.compile(r"(?:https?://)?(?:dx\.)?doi(?:\.org/|:)\s*(?=10\.)", re.IGNORECASE)
_YEAR = re.compile(r"\b(?:1[89]|20)\d\d\b")
_ET_AL = re.compile(r"[\s,]*\bet\s+al\b\.?[\s,]*$", re.IGNORECASE)
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
        What stands before the year, ``et al`` left out; empty if nothing does.
    year
        Empty if there is none.
    has_more_authors
        Whether ``et al`` stood there.
    """

    doi: str
    authors: str
    year: str
    has_more_authors: bool

    @property
    def key(self) -> str:
        """A BibTeX key: the first author and the year, or the DOI."""
        first = re.split(r"[,;&]|\band\b", self.authors)[0].split()
        name = "".join(c for c in (first[0] if first else "") if c.isalnum() and c.isascii())
        return f"{name}{self.year}" if name and self.year else re.sub(r"\W+", "_", self.doi)


def publications(citation: str) -> list[Publication]:
    """Return the publications in a citation, by their DOIs.

    Parameters
    ----------
    citation
        As in BrainGlobe's metadata: ``Wang et al 2020, https://doi.org/10.1016/j.cell.2020.04.007``,
        or several of them.

    Examples
    --------
    >>> found = publications("Wang et al 2020, https://doi.org/10.1016/j.cell.2020.04.007")
    >>> found[0].key, found[0].authors, found[0].doi
    ('Wang2020', 'Wang', '10.1016/j.cell.2020.04.007')
    """
    found = []
    begin = 0
    for match in _DOI.finditer(citation):
        doi = _trimmed(match[0])
        before = _ADDRESS.sub("", citation[begin : match.start()])
        begin = match.start() + len(doi)
        years = list(_YEAR.finditer(before))
        authors = before[: years[-1].start()] if years else ""
        authors = authors.strip(" \t\n.,;:()[]")
        bare = _ET_AL.sub("", authors).strip(" ,;")
        found.append(Publication(doi, bare, years[-1][0] if years else "", bare != authors))
    return found


def _trimmed(doi: str) -> str:
    """Return a DOI without the punctuation that a sentence puts after it."""
    while doi[-1] in ".,;:]'" or (doi[-1] == ")" and doi.count(")") > doi.count("(")):
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
    if form == "text":
        return "\n".join(_text(credit) for credit in credits_of)
    if form != "bibtex":
        raise ValueError(f"a citation is 'text' or 'bibtex', not {form!r}")
    entries: dict[str, str] = {}
    for key, body in (entry for credit in credits_of for entry in _entries(credit)):
        names = (key, *(f"{key}{letter}" for letter in "bcdefghijklmnopqrstuvwxyz"))
        entries.setdefault(next(n for n in names if entries.get(n, body) == body), body)
    return "\n\n".join(body.replace("KEY", key, 1) for key, body in entries.items())


def _text(credit: AtlasCredits) -> str:
    """Return the citation of one atlas as lines of text."""
    link = f" {credit.atlas_link}" if credit.atlas_link.strip() else ""
    lines = [f"{_described(credit)}.{link}"]
    if credit.citation.strip():
        lines.append(f"  {' '.join(credit.citation.split())}")
    if credit.packaged_by_brainglobe:
        lines.append(f"  Packaged by BrainGlobe: {_BRAINGLOBE_TEXT}")
    return "\n".join(lines)


def _described(credit: AtlasCredits) -> str:
    """Return an atlas's name, version, species and resolution."""
    edges = [f"{edge:g}" for edge in credit.resolution_um]
    resolution = edges[0] if len(set(edges)) == 1 else " × ".join(edges)
    return f"{credit.name.name}, version {credit.name.version} ({credit.species}, {resolution} µm)"


def _entries(credit: AtlasCredits) -> Iterator[tuple[str, str]]:
    """Yield the BibTeX entries for one atlas: their keys, and themselves with KEY in its place."""
    title = f"{credit.name.name}: brain atlas of {credit.species}"
    fields = {
        "title": f"{{{_tex(title)}}}",
        "version": _tex(str(credit.name.version)),
        "note": _tex(" ".join(credit.citation.split())),
    }
    if credit.atlas_link.startswith(("http://", "https://")):
        fields["url"] = re.sub(r"[\s{}\\]", "", credit.atlas_link)
    yield f"{credit.name.name}_v{credit.name.version}", _entry(fields)
    for publication in publications(credit.citation):
        authors = re.sub(r"\s*(?:;|&|\band\b)\s*", " and ", publication.authors)
        more = " and others" if publication.has_more_authors and authors else ""
        fields = {
            "author": _tex(authors) + more,
            "year": publication.year,
            "doi": publication.doi,
            "url": f"https://doi.org/{publication.doi}",
        }
        yield publication.key, _entry(fields)
    if credit.packaged_by_brainglobe:
        yield "Claudi2020", BRAINGLOBE


def _entry(fields: dict[str, str]) -> str:
    """Return one entry; fields without a value are left out."""
    lines = [f"  {name} = {{{value}}}," for name, value in fields.items() if value]
    return "\n".join(["@misc{KEY,", *lines, "}"])


def _tex(text: str) -> str:
    """Return a text as TeX reads it; what TeX cannot print is left out."""
    return "".join(_TEX.get(c, c) for c in text if c.isprintable())
