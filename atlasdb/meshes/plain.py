"""Counting plain OBJ files by their bytes, several times faster than parsing them.

The one idea: whether a file is nothing but vertices of three decimal numbers and, after them,
triangles of vertices that are there, can be decided from where its spaces, line ends, dots and
signs are. Whatever is not so plain is left to the parser.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_FIRST_FACE = b"\nf "
_NEWLINE, _SPACE, _DOT, _MINUS, _ZERO = b"\n .-0"
_DIGITS = 10
_OTHERS = 5  # of a line: its letter, three spaces, its end
_AFTER_FIELDS = np.array([_SPACE, _SPACE, _SPACE, _NEWLINE], dtype=np.uint8)


class _Fields(NamedTuple):
    """Where the three fields of each line begin and end, (N, 3) each."""

    begin: NDArray[np.int64]
    end: NDArray[np.int64]


def count_plain(data: bytes) -> tuple[int, int] | None:
    r"""Return the numbers of vertices and triangles of a plain file, None if it is another.

    Parameters
    ----------
    data
        The file.

    Examples
    --------
    >>> count_plain(b"v 0 0 0\nv 1.5 0 0\nv 0 -1 0\nf 1 2 3\n")
    (3, 1)
    >>> count_plain(b"v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 4\n") is None
    True
    """
    if not data.endswith(b"\n"):
        data += b"\n"
    begin = data.find(_FIRST_FACE) + 1
    text = np.frombuffer(data, dtype=np.uint8)
    vertices = _fields(text[:begin], ord("v"))
    triangles = _fields(text[begin:], ord("f"))
    if vertices is None or triangles is None:
        return None
    if not _are_decimals(text[:begin], vertices):
        return None
    if not _are_numbers_to(text[begin:], triangles, len(vertices.begin)):
        return None
    return len(vertices.begin), len(triangles.begin)


def _fields(text: NDArray[np.uint8], kind: int) -> _Fields | None:
    """Return the fields of lines that are a letter and three of them, None if one is not."""
    found = np.flatnonzero(text <= _SPACE)
    if not found.size or found.size % _AFTER_FIELDS.size:
        return None
    separator = found.reshape(-1, _AFTER_FIELDS.size)
    fields = _Fields(separator[:, :-1] + 1, separator[:, 1:])
    letter = separator[:, 0] - 1
    is_plain = (
        (text[separator] == _AFTER_FIELDS).all()
        and letter[0] == 0
        and (letter[1:] == separator[:-1, -1] + 1).all()
        and (text[letter] == kind).all()
        and (fields.begin < fields.end).all()
    )
    return fields if is_plain else None


def _are_decimals(text: NDArray[np.uint8], fields: _Fields) -> bool:
    """Whether all fields are digits with a dot and a sign at most."""
    dot, minus = np.flatnonzero(text == _DOT), np.flatnonzero(text == _MINUS)
    if _digits(text) + dot.size + minus.size + _OTHERS * len(fields.begin) != text.size:
        return False
    signs = (text[minus - 1] == _SPACE).all() and (text[minus + 1] > _SPACE).all()
    dots = ((text[dot - 1] >= _ZERO) | (text[dot + 1] >= _ZERO)).all()
    return bool(signs and dots and _has_one_at_most(text, fields, dot))


def _has_one_at_most(text: NDArray[np.uint8], fields: _Fields, dot: NDArray[np.int64]) -> bool:
    """Whether no field has two dots."""
    if dot.size == fields.begin.size:  # one in each, as files are written
        each = dot.reshape(fields.begin.shape)
        if ((fields.begin <= each) & (each < fields.end)).all():
            return True
    marks = text[(text == _DOT) | (text <= _SPACE)]
    return not ((marks[1:] == _DOT) & (marks[:-1] == _DOT)).any()


def _digits(text: NDArray[np.uint8]) -> int:
    """Return how many bytes are digits; smaller ones wrap far above."""
    return int(np.count_nonzero((text - np.uint8(_ZERO)) < _DIGITS))


def _are_numbers_to(text: NDArray[np.uint8], fields: _Fields, largest: int) -> bool:
    """Whether all fields are numbers from 1 to another."""
    if _digits(text) + _OTHERS * len(fields.begin) != text.size:
        return False
    begin, length = fields.begin.reshape(-1), (fields.end - fields.begin).reshape(-1)
    digits = len(str(largest))
    if (text[begin] == _ZERO).any() or length.max(initial=0) > digits:
        return False
    longest = begin[length == digits]
    value = np.zeros(longest.size, dtype=np.int64)
    for place in range(digits):
        value = value * 10 + (text[longest + place] - _ZERO)
    return bool((value <= largest).all())
