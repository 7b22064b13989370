"""Citations: what is recognised, what is kept as it is written, and BibTeX that is BibTeX."""

from __future__ import annotations

import dataclasses
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

import atlasdb
from atlasdb.citations import AtlasCredits, cite, publications
from atlasdb.names import AtlasName


def credit(
    citation: str, *, name: str = "tiny_rat_50um@1.0", brainglobe: bool = False
) -> AtlasCredits:
    return AtlasCredits(
        AtlasName.parse(name), "Rattus norvegicus", citation, "http://example.org/a_b",
        (50.0, 20.0, 10.0), brainglobe,
    )  # fmt: skip


Found = tuple[str, tuple[str, ...], str, str, bool]


@pytest.mark.parametrize(
    ("citation", "found"),
    [
        # As atlases of BrainGlobe's write them.
        ("Wang et al 2020, https://doi.org/10.1016/j.cell.2020.04.007",
         [("Wang2020", ("Wang",), "2020", "10.1016/j.cell.2020.04.007", True)]),
        ("Lazcano, I. et al. 2021, https://doi.org/10.1038/s41598-021-89357-3",
         [("Lazcano2021", ("Lazcano, I.",), "2021", "10.1038/s41598-021-89357-3", True)]),
        ("Qu et al., 2022, http://dx.doi.org/10.1038/s41; Kim and Lee (2015). DOI:10.1016/j.celrep.",
         [("Qu2022", ("Qu",), "2022", "10.1038/s41", True),
          ("Kim2015", ("Kim", "Lee"), "2015", "10.1016/j.celrep", False)]),
        ("Chon et al. 2019, https://doi.org/10.1000/q and Kim 2015, https://doi.org/10.1000/r",
         [("Chon2019", ("Chon",), "2019", "10.1000/q", True),
          ("Kim2015", ("Kim",), "2015", "10.1000/r", False)]),
        ("van der Berg et al., 2014 (https://doi.org/10.1016/S0896-6273(02)00569-X).",
         [("Berg2014", ("van der Berg",), "2014", "10.1016/S0896-6273(02)00569-X", True)]),
        ("Papp, Leergaard, Calabrese & Bjaalie 2014, doi:10.1000/d",
         [("Papp2014", ("Papp", "Leergaard", "Calabrese", "Bjaalie"), "2014", "10.1000/d", False)]),
        ("Mary\u00a0Smith\n2020 10.1000/w", [("Smith2020", ("Mary Smith",), "2020", "10.1000/w", False)]),
        # Whose authors or year are not told plainly.
        ("Gerald Moore, doi: 10.1000/182.", [("10_1000_182", (), "", "10.1000/182", False)]),
        ("10.1000/x (Wang 2020), 10.1000/y (Kim 2021)",
         [("10_1000_x", (), "", "10.1000/x", False), ("10_1000_y", (), "", "10.1000/y", False)]),
        ("Smith J (2018) J Neurosci 38:1947-1960. doi: 10.1523/J.1234-17",
         [("10_1523_J_1234_17", (), "", "10.1523/J.1234-17", False)]),
        ("Barrière, D.A. et al. Brain templates and atlases. Nat Commun 10, 5699 (2019). 10.1038/s4",
         [("10_1038_s4", (), "2019", "10.1038/s4", False)]),
        ("Wang et al. (Cell, 2020) 10.1000/a", [("10_1000_a", (), "", "10.1000/a", False)]),
        ("published May 2020, 10.1000/b", [("10_1000_b", (), "", "10.1000/b", False)]),
        ("Wang, Ding 2020 10.1000/z", [("10_1000_z", (), "", "10.1000/z", False)]),
        ("Smith and 2020 10.1000/t", [("10_1000_t", (), "", "10.1000/t", False)]),
        ("Wang 9999, 10.1000/t", [("10_1000_t", (), "", "10.1000/t", False)]),
        # Where a DOI begins and ends.
        ("https://doi.org/10.1000/a,https://doi.org/10.1000/b;10.1000/c",
         [(f"10_1000_{c}", (), "", f"10.1000/{c}", False) for c in "abc"]),
        ("X 2000 10.1002/(SICI)1096-9861(19990101)403:1<1::AID-CNE1>3.0.CO;2-X.",
         [("X2000", ("X",), "2000", "10.1002/(SICI)1096-9861(19990101)403:1<1::AID-CNE1>3.0.CO;2-X",
           False)]),
        ("https://www.biorxiv.org/content/10.1101/2024.03.06.583722v1.full.pdf", []),
        ("(“10.1000/xyz”), 10.1000/), 10.1000", [("10_1000_xyz", (), "", "10.1000/xyz", False)]),
        ("unpublished", []),
        ("", []),
    ],
)  # fmt: skip
def test_publications_are_recognised_by_their_dois(citation: str, found: list[Found]) -> None:
    assert [
        (p.key, p.authors, p.year, p.doi, p.has_more_authors) for p in publications(citation)
    ] == found


def fields(entry: str) -> dict[str, str]:
    """Parse one entry strictly: a key, and fields whose braces balance."""
    head = re.match(r"@(misc|article)\{([^\s,{}\\]+),\n", entry)
    assert head, entry
    parsed = {"type": head[1], "key": head[2]}
    body = entry[head.end() :]
    while not body.startswith("}"):
        name = re.match(r"  ([a-z]+) = ", body)
        assert name, body
        depth = end = 0
        rest = body[name.end() :]
        while depth or not end:
            depth += {"{": 1, "}": -1}.get(rest[end], 0)
            end += 1
        parsed[name[1]] = rest[1 : end - 1]
        assert rest[end : end + 2] == ",\n"
        body = rest[end + 2 :]
    assert body == "}"
    return parsed


def entries(bibtex: str) -> list[dict[str, str]]:
    return [fields(entry) for entry in bibtex.split("\n\n")]


def test_an_atlas_a_publication_and_its_packagers() -> None:
    atlas, paper, brainglobe = entries(
        cite([credit("Wang et al 2020, https://doi.org/10.1016/j_b", brainglobe=True)], "bibtex")
    )
    assert atlas == {
        "type": "misc",
        "key": "tiny_rat_50um_v1.0",
        "title": r"{tiny\_rat\_50um: brain atlas of Rattus norvegicus}",
        "version": "1.0",
        "note": r"Wang et al 2020, https://doi.org/10.1016/j\_b",
        "url": "http://example.org/a_b",
    }
    assert paper == {
        "type": "misc",
        "key": "Wang2020",
        "author": "Wang and others",
        "year": "2020",
        "doi": "10.1016/j_b",
        "url": "https://doi.org/10.1016/j_b",
    }
    assert brainglobe["doi"] == "10.21105/joss.02668"


def test_text() -> None:
    assert cite([credit("Wang\n et al 2020", brainglobe=True), credit(" ")]) == (
        "tiny_rat_50um, version 1.0 (Rattus norvegicus, 50 × 20 × 10 µm). http://example.org/a_b\n"
        "  Wang et al 2020\n"
        "  Packaged by BrainGlobe: Claudi et al. 2020, https://doi.org/10.21105/joss.02668\n"
        "tiny_rat_50um, version 1.0 (Rattus norvegicus, 50 × 20 × 10 µm). http://example.org/a_b"
    )
    with pytest.raises(ValueError, match="'text' or 'bibtex', not 'ris'"):
        cite([], "ris")  # type: ignore[arg-type]


def test_what_is_the_same_is_cited_once_and_keys_stay_unique() -> None:
    listed = [
        credit(text, name=name, brainglobe=True)
        for text, name in (
            ("Wang et al 2020, https://doi.org/10.1016/a", "a_rat_1um@1.0"),
            ("Wang et al 2020, https://doi.org/10.1016/b", "b_rat_1um@1.0"),
            ("Q. Wang et al. (2020), https://doi.org/10.1016/A", "c_rat_1um@1.0"),
            ("WANG 2020, https://doi.org/10.1016/c", "d_rat_1um@1.0"),
        )
    ]
    keys = [entry["key"] for entry in entries(cite([*listed, listed[0]], "bibtex"))]
    assert keys == [
        "a_rat_1um_v1.0", "Wang2020", "Claudi2020", "b_rat_1um_v1.0", "Wang2020b", "c_rat_1um_v1.0",
        "d_rat_1um_v1.0", "WANG2020c",
    ]  # fmt: skip
    assert cite([listed[0], listed[0]]) == cite([listed[0]])
    many = credit(" ".join(f"Wang 2020 https://doi.org/10.1000/{n}" for n in range(60)))
    keys = [entry["key"] for entry in entries(cite([many], "bibtex"))]
    assert len({key.lower() for key in keys}) == 61
    assert keys[-1] == "Wang2020_60"


def test_addresses_stay_what_they_are() -> None:
    odd = dataclasses.replace(credit("x\x1b[31my"), atlas_link=" http://e.org/{id}/a b%20\\c_d\n")
    (entry,) = entries(cite([odd], "bibtex"))
    assert entry["url"] == "http://e.org/%7Bid%7D/a%20b%20%5Cc_d"
    assert entry["note"] == "x {[}31my".replace("{[}", "[")
    assert cite([odd]).splitlines() == [
        "tiny_rat_50um, version 1.0 (Rattus norvegicus, 50 × 20 × 10 µm). http://e.org/{id}/a b%20\\c_d",
        "  x [31my",
    ]


@given(st.text(max_size=60), st.integers(0, 3))
def test_any_citation_gives_entries_that_parse(text: str, dois: int) -> None:
    citation = text + "".join(
        f" {text} 19{n}0 https://doi.org/10.1000/{n}{text}" for n in range(dois)
    )
    found = entries(cite([credit(citation, brainglobe=True)], "bibtex"))
    assert len({entry["key"].lower() for entry in found}) == len(found)
    for entry in found[1:-1]:
        people = entry.get("author", "X").split(" and ")
        assert all(person.strip() and person.count(",") < 2 for person in people)
    assert cite([credit(citation)]).count("\n") <= 1


def test_of_atlases_in_a_database(full: atlasdb.Database) -> None:
    text = full.cite("small_rat_50um@1.2", "phantom_mouse_100um")
    assert text.splitlines() == [
        "small_rat_50um, version 1.2 (Rattus norvegicus, 50 × 20 × 10 µm). http://localhost",
        "  Someone 2020, doi:10.1/x",
        "  Packaged by BrainGlobe: Claudi et al. 2020, https://doi.org/10.21105/joss.02668",
        "phantom_mouse_100um, version 1.0 (Mus musculus, 100 µm). built into atlasdb",
        "  unpublished: a phantom made of boxes and ellipsoids",
    ]
    atlas = full.atlas("small_rat_50um@1.2")
    assert atlas.citation == full.cite("small_rat_50um@1.2")
    assert atlas.bibtex == full.cite("small_rat_50um@1.2", form="bibtex")
    assert [e["key"] for e in entries(atlas.bibtex)] == ["small_rat_50um_v1.2", "Claudi2020"]
    with pytest.raises(atlasdb.UnknownAtlasError):
        full.cite("small_rat_50um", "nope_1um")
