"""Downloads: the only module that opens a socket.

The one idea: bytes go to a temporary file in the folder where they belong and get their name only
when all have arrived; a server's answer is never taken for what was asked without a look.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import requests

from atlasdb.errors import DownloadError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from atlasdb.sources.base import Progress

_TIMEOUT_S = (10, 60)
_SHORT_TIMEOUT_S = (3, 5)
_PATIENCE_S = 8.0
_CHUNK = 1 << 18
_LARGEST_TEXT = 1 << 22
_DIGITS = 19


def fetch(url: str, target: Path, *, progress: Progress) -> Path:
    """Download `url` to the file `target`, or leave nothing.

    Parameters
    ----------
    url
        An http or https address.
    target
        Where to; its folder exists.
    progress
        Told of the bytes received.

    Returns
    -------
    Path
        `target`.

    Raises
    ------
    DownloadError
        The server cannot be reached, answers with an error, or sends another number of bytes than
        it announced.
    """
    part = target.with_name(target.name + ".part")
    try:
        with _answer(url) as response, part.open("wb") as file:
            announced = response.headers.get("Content-Length", "")
            total = int(announced) if announced.isdecimal() and len(announced) < _DIGITS else None
            progress.step(f"downloading {url}", total)
            # Undecoded: a .tar.gz is wanted as it is, whatever encoding the server says it has.
            for chunk in response.raw.stream(_CHUNK, decode_content=False):
                file.write(chunk)
                progress.advance(len(chunk))
            received = file.tell()
        if total is not None and received != total:
            raise DownloadError(
                f"{url}: the connection ended after {received:,} of {total:,} bytes; try again"
            )
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
    return target


def fetch_text(url: str, *, patient: bool = True) -> str:
    """Return a small text from a server.

    Parameters
    ----------
    url
        An http or https address.
    patient
        Wait for a slow server; else only for the seconds that somebody may wait who did not ask.

    Raises
    ------
    DownloadError
        The server cannot be reached, or answers with an error or with something large.
    """
    data = _small(url, _TIMEOUT_S) if patient else _soon(lambda: _small(url, _SHORT_TIMEOUT_S), url)
    if len(data) > _LARGEST_TEXT:
        raise DownloadError(f"{url}: expected a small text, got over {_LARGEST_TEXT:,} bytes")
    return data.decode("utf-8", errors="replace")


def _small(url: str, timeout_s: tuple[float, float]) -> bytes:
    """Return the first bytes of a server's answer, one more than are wanted at most."""
    with _answer(url, timeout_s) as response:
        data: bytes = response.raw.read(_LARGEST_TEXT + 1, decode_content=True)
    return data


def _soon(work: Callable[[], bytes], url: str) -> bytes:
    """Return what some work gives, or give up: a server may send a byte now and then, for ever."""
    found: list[bytes] = []
    failed: list[DownloadError] = []

    def run() -> None:
        try:
            found.append(work())
        except DownloadError as error:
            failed.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(_PATIENCE_S)
    if failed:
        raise failed[0]
    if not found:
        raise DownloadError(f"{url}: no whole answer within {_PATIENCE_S:g} s")
    return found[0]


@contextmanager
def _answer(url: str, timeout_s: tuple[float, float] = _TIMEOUT_S) -> Iterator[requests.Response]:
    """Open an address and turn everything that can go wrong on the way into one error."""
    # urllib3's errors reach us bare where the raw stream is read.
    from urllib3.exceptions import HTTPError  # imported by requests already

    try:
        urlsplit(url)
    except ValueError as error:
        raise DownloadError(f"{url:.200} is no address: {error}") from error
    try:
        with requests.get(
            url, stream=True, timeout=timeout_s, headers={"Accept-Encoding": "identity"}
        ) as response:
            if response.status_code != requests.codes.ok:
                raise DownloadError(
                    f"{url}: the server answers {response.status_code} {response.reason}"
                )
            yield response
    except (requests.RequestException, HTTPError, UnicodeError) as error:
        raise DownloadError(f"{url}: {_reason(error)}") from error


def _reason(error: BaseException) -> str:
    """Return the innermost sentence of a nested network error."""
    while error.__cause__ is not None or error.__context__ is not None:
        error = error.__cause__ or error.__context__ or error
    return str(error) or type(error).__name__
