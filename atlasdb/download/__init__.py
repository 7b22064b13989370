"""Downloads: the only package that opens a socket.

The one idea: a server's answer is never taken for what was asked without a look. What passes
(a 503, a reset, a stall) is tried again; what does not (a 404, an error page) is one clear error;
and bytes get their name only when all have arrived.
"""

from __future__ import annotations

from atlasdb.download.connections import (
    Answer,
    Connections,
    Patience,
    check_address,
    exists,
    fetch_text,
    first_patience,
    in_threads,
)
from atlasdb.download.resumable import Part, discard_part, fetch, held_part, require_room

__all__ = [
    "Answer",
    "Connections",
    "Part",
    "Patience",
    "check_address",
    "discard_part",
    "exists",
    "fetch",
    "fetch_text",
    "first_patience",
    "held_part",
    "in_threads",
    "require_room",
]
