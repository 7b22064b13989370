"""The corpus of every parser, and variations of it; ``reliability/fuzz.py`` goes on for longer."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from fuzz_targets import TARGETS
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Callable

CORPUS = Path(__file__).parent / "corpus"
NEVER_REFUSE = {"cells_rows", "citation"}


def inputs(name: str) -> list[bytes]:
    """Return a parser's corpus."""
    return [path.read_bytes() for path in sorted((CORPUS / name).iterdir())]


def test_each_parser_has_a_corpus() -> None:
    assert {folder.name for folder in CORPUS.iterdir()} == set(TARGETS)


@pytest.mark.parametrize("name", TARGETS)
def test_corpus(name: str) -> None:
    """Some inputs are accepted and some refused: else a target would try nothing."""
    accepted = {TARGETS[name](content) for content in inputs(name)}
    assert accepted == ({True} if name in NEVER_REFUSE else {True, False})


@st.composite
def variations(draw: Callable[..., int], corpus: list[bytes]) -> bytes:
    """Draw an input with bytes changed, left out, doubled, or taken from another."""
    index = st.integers(0, len(corpus) - 1)
    content = bytearray(corpus[draw(index)])
    for _ in range(draw(st.integers(1, 4))):
        at, length = draw(st.integers(0, len(content))), draw(st.integers(1, 40))
        other = corpus[draw(index)]
        start = draw(st.integers(0, len(other)))
        change = draw(st.integers(0, 4))
        if change == 0:
            content[at : at + 1] = bytes([draw(st.integers(0, 255))])
        elif change == 1:
            del content[at : at + length]
        elif change == 2:
            content[at:at] = content[at : at + length]
        elif change == 3:
            content[at : at + length] = other[start : start + length]
        else:
            content[at : at + 4] = draw(st.sampled_from((0, 1, 2**31 - 1, 2**32 - 1))).to_bytes(
                4, "little"
            )
    return bytes(content)


@pytest.mark.parametrize("name", TARGETS)
def test_variations_of_the_corpus(name: str) -> None:
    """Whatever it is, it is accepted or refused, and what is accepted holds together."""

    @settings(
        max_examples=150,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(variations(inputs(name)))
    def vary(content: bytes) -> None:
        TARGETS[name](content)

    vary()
