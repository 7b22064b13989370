"""Web servers on loopback: a good one, a bucket that lists its objects, and one full of trouble."""

from __future__ import annotations

import contextlib
import hashlib
import random
import re
import socket
import ssl
import struct
import threading
import time
from collections import Counter
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qs, quote, unquote, urlsplit
from xml.sax.saxutils import escape

_HTML = b"<!DOCTYPE html><html><body>We are sorry.</body></html>"


class Files:
    """Serves the files of a folder, with ranges, validators and conditions.

    Parameters
    ----------
    folder
        What is served.
    prefix
        What every path begins with.
    context
        For a server with a certificate.
    """

    def __init__(
        self, folder: Path, prefix: str = "", context: ssl.SSLContext | None = None
    ) -> None:
        self.folder = folder
        self._scheme = "http" if context is None else "https"
        self.prefix = prefix
        self.requests: list[tuple[str, str, int]] = []
        owner = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 10
            disable_nagle_algorithm = True  # else each answer waits 40 ms for the client

            def do_GET(self) -> None:
                with contextlib.suppress(ConnectionError, TimeoutError, socket.timeout):
                    owner.answer(self)

            def do_HEAD(self) -> None:
                self.do_GET()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        # Clients that go away are no errors of the server's.
        self._server.handle_error = lambda *_: None  # type: ignore[method-assign]
        if context is not None:
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.005,), daemon=True
        )

    @property
    def url(self) -> str:
        """The address of the folder."""
        return f"{self._scheme}://127.0.0.1:{self._server.server_address[1]}/{self.prefix}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def bodies(self) -> Counter[str]:
        """How often each path was answered with content."""
        return Counter(path for verb, path, status in self.requests if status in {200, 206})

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        """Answer one request."""
        content = self.content(request.path)
        if content is None:
            self.send(request, 404, b"not found")
            return
        etag = f'"{hashlib.md5(content, usedforsecurity=False).hexdigest()}"'
        self.send_file(
            request, content, {"ETag": etag, "Last-Modified": formatdate(0, usegmt=True)}
        )

    def content(self, path: str) -> bytes | None:
        """Return the file that a path names."""
        name = unquote(urlsplit(path).path).lstrip("/")
        if not name.startswith(self.prefix):
            return None
        file = self.folder / name[len(self.prefix) :]
        return file.read_bytes() if file.is_file() else None

    def send_file(
        self, request: BaseHTTPRequestHandler, content: bytes, headers: dict[str, str]
    ) -> None:
        """Send a file, or the part of it that is asked for."""
        asked = request.headers
        etag, modified = headers.get("ETag", ""), headers.get("Last-Modified", "")
        if etag and asked.get("If-None-Match") == etag:
            self.send(request, 304, b"", headers)
            return
        if (
            not asked.get("If-None-Match")
            and modified
            and asked.get("If-Modified-Since") == modified
        ):
            self.send(request, 304, b"", headers)
            return
        span = re.fullmatch(r"bytes=(\d+)-(\d*)", asked.get("Range", ""))
        condition = asked.get("If-Range")
        if span is None or (condition is not None and condition not in {etag, modified}):
            self.send(request, 200, content, headers)
            return
        first = int(span[1])
        last = min(int(span[2] or len(content) - 1), len(content) - 1)
        if first >= len(content):
            extra = {"Content-Range": f"bytes */{len(content)}"}
            self.send(request, 416, b"beyond", headers | extra)
            return
        extra = {"Content-Range": f"bytes {first}-{last}/{len(content)}"}
        self.send(request, 206, content[first : last + 1], headers | extra)

    def send(
        self,
        request: BaseHTTPRequestHandler,
        status: int,
        body: bytes,
        headers: dict[str, str] | None = None,
    ) -> None:
        """Send an answer and write it down."""
        self.requests.append((request.command, urlsplit(request.path).path, status))
        request.send_response(status)
        for name, value in ({"Content-Length": str(len(body))} | (headers or {})).items():
            request.send_header(name, value)
        request.end_headers()
        if request.command != "HEAD" and status != 304:
            request.wfile.write(body)


class Bucket(Files):
    """The same, and the listing of a bucket at the host's root.

    Parameters
    ----------
    folder
        What is served below `prefix`.
    prefix
        What every key begins with.
    page
        Objects in a page of the listing.
    name
        Of the bucket, for one that is the first part of the path; else it is the host.
    """

    def __init__(
        self, folder: Path, prefix: str = "atlas/", page: int = 1000, name: str = ""
    ) -> None:
        super().__init__(folder, name + prefix)
        self.page = page
        self.root = f"/{name}"

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        """Answer one request."""
        parts = urlsplit(request.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        if parts.path.rstrip("/") == self.root.rstrip("/") and query.get("list-type") == "2":
            self.send(request, 200, self._page(query), {"Content-Type": "application/xml"})
        else:
            super().answer(request)

    def _page(self, query: dict[str, str]) -> bytes:
        prefix = self.root[1:] + query.get("prefix", "")
        files = [p for p in self.folder.rglob("*") if p.is_file()]
        keys = sorted(self.prefix + p.relative_to(self.folder).as_posix() for p in files)
        keys = [key for key in keys if key.startswith(prefix)]
        after = unquote(query.get("continuation-token", ""))
        size = min(self.page, int(query.get("max-keys", 1000)))
        rest = [key for key in keys if key > after]
        lines = ['<?xml version="1.0" encoding="UTF-8"?>']
        lines += ['<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">']
        if query.get("encoding-type") == "url":
            lines += ["<EncodingType>url</EncodingType>"]
        for key in rest[:size]:
            content = (self.folder / key[len(self.prefix) :]).read_bytes()
            etag = hashlib.md5(content, usedforsecurity=False).hexdigest()
            own = key.removeprefix(self.root[1:])
            shown = quote(own) if query.get("encoding-type") == "url" else escape(own)
            lines += [f"<Contents><Key>{shown}</Key><ETag>&quot;{etag}&quot;</ETag>"]
            lines += [f"<Size>{len(content)}</Size></Contents>"]
        more = len(rest) > size
        lines += [f"<IsTruncated>{str(more).lower()}</IsTruncated>"]
        if more:
            lines += [f"<NextContinuationToken>{quote(rest[size - 1])}</NextContinuationToken>"]
        return "".join([*lines, "</ListBucketResult>"]).encode()


TROUBLES = (
    "cut",
    "stall",
    "longer",
    "shorter",
    "ignore_range",
    "busy",
    "other",
    "other_same_etag",
    "redirect",
    "redirect_loop",
    "html",
    "pointer",
    "no_validators",
    "weak_etag",
    "chunked_cut",
    "wrong_range",
)


class Troubled(Bucket):
    """A bucket that draws some trouble for an answer, by a seed.

    Parameters
    ----------
    folder, prefix
        As `Bucket`.
    seed
        Of the random numbers.
    troubles
        What may happen.
    share
        The share of answers to which something happens.
    at_most
        How often.
    stall_s
        How long a stall lasts, unless the client goes away before.
    """

    def __init__(
        self,
        folder: Path,
        seed: int,
        troubles: tuple[str, ...] = TROUBLES,
        *,
        prefix: str = "atlas/",
        share: float = 0.5,
        at_most: int = 1_000_000,
        stall_s: float = 3.0,
    ) -> None:
        super().__init__(folder, prefix)
        self._random = random.Random(seed)
        self._troubles = troubles
        self._share = share
        self._left = at_most
        self._stall_s = stall_s
        self._lock = threading.Lock()
        self.log: list[tuple[str, str]] = []

    def calm(self) -> None:
        """Let nothing happen any more."""
        self._left = 0

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        """Answer one request, or not."""
        with self._lock:
            number = self._random.random()
            happens = "again" not in request.path and number < self._share and self._left > 0
            trouble = self._random.choice(self._troubles) if happens else "fine"
            self._left -= happens
            self.log.append((request.path, trouble))
            at = self._random.random()
        content = self.content(request.path)
        if "loop=1" in request.path and content is not None:
            trouble = "redirect_loop"
        if trouble == "fine" or content is None:
            super().answer(request)
        else:
            getattr(self, f"_{trouble}")(request, content, at)

    def _headers(self, content: bytes) -> dict[str, str]:
        etag = hashlib.md5(content, usedforsecurity=False).hexdigest()
        return {"ETag": f'"{etag}"', "Last-Modified": formatdate(0, usegmt=True)}

    def _begin(self, request: BaseHTTPRequestHandler, content: bytes, length: int | None) -> bytes:
        """Send the head of an answer with a length of the caller's, and return the body."""
        body, status = content, 200
        extra: dict[str, str] = {}
        span = re.fullmatch(r"bytes=(\d+)-", request.headers.get("Range", ""))
        if span and int(span[1]) < len(content):
            body, status = content[int(span[1]) :], 206
            extra = {"Content-Range": f"bytes {span[1]}-{len(content) - 1}/{len(content)}"}
        self.requests.append((request.command, request.path, status))
        request.send_response(status)
        for name, value in (self._headers(content) | extra).items():
            request.send_header(name, value)
        if length is None:
            request.send_header("Transfer-Encoding", "chunked")
        else:
            request.send_header("Content-Length", str(len(body) + length))
        request.end_headers()
        return b"" if request.command == "HEAD" else body

    def _close(self, request: BaseHTTPRequestHandler, *, rudely: bool = False) -> None:
        request.close_connection = True
        with contextlib.suppress(OSError):
            request.wfile.flush()
            if rudely:
                linger = struct.pack("ii", 1, 0)
                request.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            request.connection.close()

    def _cut(self, request: Any, content: bytes, at: float) -> None:
        body = self._begin(request, content, 0)
        request.wfile.write(body[: int(at * len(body))])
        self._close(request, rudely=at > 0.5)

    def _stall(self, request: Any, content: bytes, at: float) -> None:
        body = self._begin(request, content, 0)
        request.wfile.write(body[: int(at * len(body))])
        request.wfile.flush()
        time.sleep(self._stall_s)
        self._close(request)

    def _longer(self, request: Any, content: bytes, at: float) -> None:
        request.wfile.write(self._begin(request, content, 1 + int(100 * at)))
        self._close(request)

    def _shorter(self, request: Any, content: bytes, at: float) -> None:
        shorter = max(1, int(len(content) * (1 - at)))
        self.send(request, 200, content[:shorter], self._headers(content))

    def _ignore_range(self, request: Any, content: bytes, at: float) -> None:
        self.send(request, 200, content, self._headers(content))

    def _busy(self, request: Any, content: bytes, at: float) -> None:
        status = 503 if at < 0.5 else random.Random(at).choice([500, 502, 504, 429])
        self.send(request, status, b"busy", {"Retry-After": "0"} if at < 0.3 else {})

    def _other(self, request: Any, content: bytes, at: float) -> None:
        other = self._another(content, at)
        self.send_file(request, other, self._headers(other))

    def _other_same_etag(self, request: Any, content: bytes, at: float) -> None:
        self.send_file(request, self._another(content, at), self._headers(content))

    def _another(self, content: bytes, at: float) -> bytes:
        """Return another file than the one that is asked for, of the same kind where there is one."""
        files = sorted(p for p in self.folder.rglob("*") if p.is_file())
        others = [data for data in (p.read_bytes() for p in files) if data != content]
        alike = [data for data in others if data[:2] == content[:2]]
        return (alike or others)[int(at * len(alike or others))]

    def _redirect(self, request: Any, content: bytes, at: float) -> None:
        host = "" if at < 0.5 else self.url[: -len(self.prefix) - 1]
        where = {"Location": f"{host}{urlsplit(request.path).path}?again=1"}
        self.send(request, 302 if at < 0.7 else 307, b"", where)

    def _redirect_loop(self, request: Any, content: bytes, at: float) -> None:
        self.send(request, 302, b"", {"Location": urlsplit(request.path).path + "?loop=1"})

    def _html(self, request: Any, content: bytes, at: float) -> None:
        self.send(request, 200, _HTML, {"Content-Type": "text/html"})

    def _pointer(self, request: Any, content: bytes, at: float) -> None:
        self.send(request, 200, b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n")

    def _no_validators(self, request: Any, content: bytes, at: float) -> None:
        self.send_file(request, content, {})

    def _weak_etag(self, request: Any, content: bytes, at: float) -> None:
        self.send_file(request, content, {"ETag": f"W/{self._headers(content)['ETag']}"})

    def _chunked_cut(self, request: Any, content: bytes, at: float) -> None:
        body = self._begin(request, content, None)
        part = body[: int(at * len(body))]
        if part:
            request.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
        self._close(request)

    def _wrong_range(self, request: Any, content: bytes, at: float) -> None:
        if "Range" not in request.headers:
            self.send_file(request, content, self._headers(content))
            return
        extra = {"Content-Range": f"bytes 1-{len(content) - 1}/{len(content)}"}
        self.send(request, 206, content[1:], self._headers(content) | extra)
