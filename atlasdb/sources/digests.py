"""Digests that somebody stated of a file, and whether the file has them.

The one idea: a digest is kept with who stated it, since an error has to say whom to ask.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from atlasdb.encodings import decoded
from atlasdb.errors import ArchiveError, SourceError

if TYPE_CHECKING:
    from pathlib import Path

SUMS = "SHA256SUMS"
"""A mirror's own list: the output of ``sha256sum`` for its files, by their paths in the mirror."""

_HEX = re.compile(r"[0-9a-f]{64}")
_LINE = re.compile(r"\\?([0-9A-Fa-f]{64}) [ *](?:\./)?(.+)")
_TAGGED = re.compile(r"SHA256 \((?:\./)?(.+)\) = ([0-9A-Fa-f]{64})")


@dataclass(frozen=True)
class Digest:
    """A SHA-256 that was stated of a file.

    Attributes
    ----------
    sha256
        64 hexadecimal digits, in lower case.
    stated_by
        Who did, for people.
    """

    sha256: str
    stated_by: str

    @classmethod
    def parse(cls, text: str, stated_by: str) -> Digest:
        """Return the digest that a text spells.

        Raises
        ------
        SourceError
            It spells none.
        """
        spelt = text.strip().lower().removeprefix("sha256:")
        if not _HEX.fullmatch(spelt):
            raise SourceError(
                f"{stated_by}: a SHA-256 is 64 hexadecimal digits, not {text.strip()!r:.80}"
            )
        return cls(spelt, stated_by)

    def require(self, found: str, name: str) -> None:
        """Refuse a file that has another digest.

        Raises
        ------
        ArchiveError
            It has.
        """
        if found != self.sha256:
            raise ArchiveError(
                f"{name} has the SHA-256 {found}, but {self.stated_by} says {self.sha256}: it is "
                f"damaged, or another file; if you trust it, --sha256 {found} takes it"
            )


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_sums(content: bytes, where: str) -> dict[str, str]:
    """Return the digests of a list, by path; a page in the place of a list is none.

    Raises
    ------
    SourceError
        It is something else.
    """
    text = decoded(content)
    digests = parse_sums(text)
    if not digests and text.strip() and not text.lstrip().startswith("<"):
        raise SourceError(
            f"{where} is no list as sha256sum writes it: it starts with {text[:40]!r}"
        )
    return digests


def parse_sums(text: str) -> dict[str, str]:
    """Return the digests of a list as ``sha256sum`` writes it, by path.

    Examples
    --------
    >>> parse_sums("ab" * 32 + "  x.tar.gz")["x.tar.gz"][:6]
    'ababab'
    """
    digests: dict[str, str] = {}
    for line in text.splitlines():
        plain, tagged = _LINE.fullmatch(line), _TAGGED.fullmatch(line)
        if plain is not None:
            digests[plain[2]] = plain[1].lower()
        elif tagged is not None:
            digests[tagged[1]] = tagged[2].lower()
    return digests
