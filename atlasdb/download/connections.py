"""Connections to servers: kept alive, tried again, and every failure one kind of error.

The one idea: a failure either passes or it does not. `Tries` waits after those that may pass,
longer each time, and counts how often nothing was gained; the others are raised at once.
"""

from __future__ import annotations

import email.utils
import queue
import random
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self, TypeVar, cast
from urllib.parse import urljoin, urlsplit

import requests
from requests.adapters import HTTPAdapter

from atlasdb.encodings import decoded
from atlasdb.errors import DownloadError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

Item = TypeVar("Item")
Result = TypeVar("Result")

_CHUNK = 1 << 16
_LARGEST_TEXT = 1 << 22
_LARGEST_OBJECT = 1 << 30
_LONGEST_WAIT_S = 60.0
_PATIENCE_S = 8.0
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MOST_REDIRECTS = 20
_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
_DIGITS = 19


@dataclass(frozen=True)
class Patience:
    """How long a server is waited for.

    Attributes
    ----------
    connect_s, read_s
        Seconds until a connection stands, and between two of its bytes.
    attempts
        How often in a row something is tried without gaining a byte.
    delay_s
        Seconds before the second attempt; twice as many before each further one.
    whole_s
        Seconds until a small thing is there whole, None for any number.
    """

    connect_s: float = 10.0
    read_s: float = 60.0
    attempts: int = 6
    delay_s: float = 0.5
    whole_s: float | None = None


PATIENT = Patience()
"""For what somebody wants and waits for."""

SMALL = Patience(read_s=30, attempts=3, whole_s=60)
"""For what comes before: lists, and whether something is there."""

HASTY = Patience(connect_s=3, read_s=5, attempts=1)
"""For what nobody asked for."""


class PassingError(Exception):
    """A failure that may not happen again.

    Parameters
    ----------
    reason
        What happened.
    wait_s
        For how long the server asks to be left alone.
    """

    def __init__(self, reason: str, wait_s: float = 0.0) -> None:
        super().__init__(reason)
        self.wait_s = wait_s


class Tries:
    """Decides after each failure whether there is another attempt, and waits for it.

    Parameters
    ----------
    patience
        How long.
    stopping
        Ends all waiting when it is set.
    """

    def __init__(self, patience: Patience, stopping: threading.Event) -> None:
        self._patience = patience
        self._stopping = stopping
        self._failures = 0

    def gained(self) -> None:
        """Begin to count anew: something was gained."""
        self._failures = 0

    def wait(self, url: str, error: PassingError) -> float:
        """Wait before the next attempt, and return for how many seconds.

        Raises
        ------
        DownloadError
            There was the last one.
        """
        self._failures += 1
        if self._failures >= self._patience.attempts or error.wait_s > _LONGEST_WAIT_S:
            tried = f"; tried {self._failures} times" if self._failures > 1 else ""
            asked = f" and asks to wait {error.wait_s:,.0f} s" if error.wait_s else ""
            raise DownloadError(f"{url}: {error}{asked}{tried}") from error
        delay = self._patience.delay_s * 2.0 ** (self._failures - 1)
        # Not all clients at the same moment.
        delay = max(error.wait_s, min(delay, _LONGEST_WAIT_S) * random.uniform(0.5, 1))  # noqa: S311
        if self._stopping.wait(delay):
            raise DownloadError(f"{url}: stopped") from error
        return delay


@dataclass(frozen=True)
class Answer:
    """A small thing that a server gave.

    Attributes
    ----------
    content
        Its bytes, undecoded.
    etag, modified
        The server's name for these very bytes, and their date; empty if it gives none.
    encryption
        What a bucket says of how it keeps the thing, which decides what its ETag is.
    """

    content: bytes
    etag: str
    modified: str
    encryption: str


class Connections:
    """Connections that are kept alive and shared by threads; closed at the end of the block.

    Proxies and certificates are found as `requests` finds them: ``HTTPS_PROXY``, ``NO_PROXY``,
    ``REQUESTS_CA_BUNDLE``.

    Parameters
    ----------
    at_once
        How many at most to one server.
    patience
        How long servers are waited for.
    """

    def __init__(self, at_once: int = 1, patience: Patience | None = None) -> None:
        self.at_once = at_once
        self.patience = patience or PATIENT
        self.stopping = threading.Event()
        self._session = _Session()
        adapter = HTTPAdapter(pool_maxsize=at_once, pool_block=True)
        self._session.mount("http://", adapter)
        self._session.mount("https://", adapter)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        self._session.close()

    def get(
        self, url: str, *, etag: str = "", modified: str = "", at_most: int = _LARGEST_OBJECT
    ) -> Answer | None:
        """Return a thing that fits into memory.

        Parameters
        ----------
        url
            An http or https address.
        etag, modified
            Of a copy at hand: then None is returned if the server's is the same.
        at_most
            How many bytes it may have.

        Raises
        ------
        DownloadError
            The server cannot be reached, or answers with an error or with something larger;
            ``status`` says which error.
        """
        headers = {"If-None-Match": etag} if etag else {}
        if modified and not etag:
            headers = {"If-Modified-Since": modified}
        tries = Tries(self.patience, self.stopping)
        while True:
            try:
                return self._got(url, headers, at_most)
            except PassingError as error:
                tries.wait(url, error)

    def _got(self, url: str, headers: dict[str, str], at_most: int) -> Answer | None:
        with self.answer(url, headers) as response:
            if response.status_code == requests.codes.not_modified and headers:
                return None
            require_ok(url, response)
            content = bytearray()
            whole_s = self.patience.whole_s
            end = None if whole_s is None else time.monotonic() + whole_s
            # What is there, rather than a full buffer: a byte now and then is soon noticed.
            while chunk := response.raw.read1(_CHUNK, decode_content=True):
                content += chunk
                if len(content) > at_most:
                    raise DownloadError(f"{url}: expected at most {at_most:,} bytes, got more")
                if end is not None and time.monotonic() > end:
                    raise DownloadError(f"{url}: no whole answer within {whole_s:g} s")
            return Answer(
                bytes(content),
                response.headers.get("ETag", ""),
                response.headers.get("Last-Modified", ""),
                response.headers.get("x-amz-server-side-encryption", ""),
            )

    @contextmanager
    def answer(self, url: str, headers: dict[str, str]) -> Iterator[requests.Response]:
        """Open an address, and turn everything that can go wrong on the way into two errors.

        Raises
        ------
        PassingError
            It may go better next time.
        DownloadError
            It will not.
        """
        # urllib3's errors reach us bare where the raw stream is read.
        from urllib3.exceptions import HTTPError, LocationParseError

        check_address(url)
        try:
            with self._followed(url, {"Accept-Encoding": "identity"} | headers) as response:
                if response.status_code in _PASSING:
                    raise PassingError(_status(response), _asked_wait_s(response))
                yield response
        except (
            requests.exceptions.SSLError,
            requests.exceptions.InvalidURL,
            requests.exceptions.InvalidSchema,
            requests.exceptions.InvalidProxyURL,
            LocationParseError,
            UnicodeError,
        ) as error:
            raise DownloadError(f"{url}: {_reason(error)}") from error
        except (requests.RequestException, HTTPError) as error:
            raise PassingError(_reason(error)) from error

    def _followed(self, url: str, headers: dict[str, str]) -> requests.Response:
        """Return a server's answer, or that of the address that it redirects to."""
        timeout = (self.patience.connect_s, self.patience.read_s)
        address = url
        for _ in range(_MOST_REDIRECTS):
            response = self._session.get(address, stream=True, timeout=timeout, headers=headers)
            where = response.headers.get("Location")
            if response.status_code not in _REDIRECTS or where is None:
                return response
            response.close()  # without its body, which may be of any length
            try:
                further = urljoin(response.url, where)
                check_address(further)
            except (ValueError, DownloadError) as error:
                raise DownloadError(f"{url}: redirected to {where!r:.200}: {error}") from error
            if address.startswith("https:") and not further.startswith("https:"):
                raise DownloadError(f"{url}: the server redirects from https to {further:.200}")
            address = further
        raise DownloadError(f"{url}: the server redirects time and again")


class _Session(requests.Session):
    """A session that leaves redirects to us: requests reads their bodies into memory."""

    def get_redirect_target(self, resp: requests.Response) -> str | None:  # noqa: ARG002
        return None


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

    def small() -> bytes:
        with Connections(patience=SMALL if patient else HASTY) as connections:
            answer = connections.get(url, at_most=_LARGEST_TEXT)
        return answer.content if answer else b""

    return decoded(small() if patient else _soon(small, url))


def first_patience() -> Patience:
    """Return how long a server is waited for that was not heard of yet."""
    return SMALL


def exists(url: str) -> bool:
    """Return whether a server has something, without downloading it.

    Parameters
    ----------
    url
        An http or https address.

    Raises
    ------
    DownloadError
        The server cannot be reached, or does not say.
    """
    with Connections(patience=SMALL) as connections:
        tries = Tries(connections.patience, connections.stopping)
        while True:
            try:
                return _exists(connections, url)
            except PassingError as error:
                tries.wait(url, error)


def _exists(connections: Connections, url: str) -> bool:
    # Its first byte is asked for, since some servers answer HEAD with 404 or 405.
    with connections.answer(url, {"Range": "bytes=0-0"}) as response:
        if response.status_code in {requests.codes.not_found, requests.codes.gone}:
            return False
        nothing_there = requests.codes.requested_range_not_satisfiable
        require_ok(url, response, requests.codes.partial_content, nothing_there)
        return True


def in_threads(
    work: Callable[[Item], Result],
    items: Sequence[Item],
    at_once: int,
    stopping: threading.Event | None = None,
) -> Iterator[tuple[Item, Result]]:
    """Yield each item with what some work gives for it, in the order in which they are done.

    The threads are not waited for if the caller is interrupted, or one of them fails: a server may
    keep them for minutes.

    Parameters
    ----------
    work
        What is done.
    items
        For what.
    at_once
        By how many threads.
    stopping
        Is set in the end.
    """
    todo: queue.SimpleQueue[Item] = queue.SimpleQueue()
    done: queue.SimpleQueue[tuple[Item, Result | None, BaseException | None]] = queue.SimpleQueue()
    stopping = stopping or threading.Event()
    for item in items:
        todo.put(item)

    def run() -> None:
        while not stopping.is_set():
            try:
                item = todo.get_nowait()
            except queue.Empty:
                return
            try:
                done.put((item, work(item), None))
            except BaseException as error:  # noqa: BLE001 (raised where the results are waited for)
                done.put((item, None, error))

    try:
        for _ in range(min(at_once, len(items))):
            threading.Thread(target=run, daemon=True).start()
        for _ in items:
            item, result, error = done.get()
            if error is not None:
                raise error
            yield item, cast("Result", result)
    finally:
        stopping.set()


def require_ok(url: str, response: requests.Response, *others: int) -> None:
    """Refuse an answer that is none.

    Raises
    ------
    DownloadError
        It is an error.
    """
    if response.status_code not in {requests.codes.ok, *others}:
        raise DownloadError(
            f"{url}: the server answers {_status(response)}", status=response.status_code
        )


def announced_bytes(response: requests.Response) -> int | None:
    """Return how many bytes a server says that it sends."""
    text = response.headers.get("Content-Length", "")
    return int(text) if text.isdecimal() and len(text) < _DIGITS else None


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


def check_address(url: str) -> None:
    """Refuse what is no http or https address, or holds a password.

    Raises
    ------
    DownloadError
        It is none.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise DownloadError(f"{url!r:.200} is no address: {error}") from error
    if parts.scheme not in {"http", "https"} or not host or not url.isprintable() or " " in url:
        raise DownloadError(f"{url!r:.200} is no http or https address")
    if parts.username is not None or parts.password is not None:
        raise DownloadError(
            f"the address of {host} holds a user's name or password, which would be stored and "
            "shown: put them into ~/.netrc"
        )


def _status(response: requests.Response) -> str:
    return f"{response.status_code} {response.reason or ''}".strip()


def _asked_wait_s(response: requests.Response) -> float:
    """Return for how long a server asks to be left alone."""
    text = response.headers.get("Retry-After", "")
    if text.isdecimal() and len(text) < _DIGITS:
        return float(text)
    try:
        date = email.utils.parsedate_tz(text)
        return 0.0 if date is None else max(0.0, email.utils.mktime_tz(date) - time.time())
    except (ValueError, OverflowError):
        return 0.0


def _reason(error: Any) -> str:  # noqa: ANN401 (whatever was raised)
    """Return the innermost sentence of a nested network error."""
    while error.__cause__ is not None or error.__context__ is not None:
        error = error.__cause__ or error.__context__ or error
    return str(error) or type(error).__name__
