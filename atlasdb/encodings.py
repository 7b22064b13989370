"""Small texts that people and their tools saved: decoded by their byte order mark.

The one idea: a list in UTF-16, as PowerShell writes it, is the list that it was.
"""

from __future__ import annotations

import codecs

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def decoded(content: bytes) -> str:
    r"""Return a text; bytes that are none become replacement characters.

    Examples
    --------
    >>> decoded("[atlases]".encode("utf-16")), decoded(b"\xef\xbb\xbf[atlases]")
    ('[atlases]', '[atlases]')
    """
    encoding = next((name for mark, name in _MARKS if content.startswith(mark)), "utf-8")
    return content.decode(encoding, errors="replace")
