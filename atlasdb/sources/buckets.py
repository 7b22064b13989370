"""What an S3 bucket lists: its objects below a prefix, with their sizes and ETags.

The one idea: a listing tells what is not there from what was not found, which a 404 does not, and
gives each object's digest before it is asked for. Servers that list nothing are servers all the
same: `find_bucket` gives None for them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote_plus, urlsplit
from xml.etree import ElementTree as ET

from atlasdb.errors import DownloadError

if TYPE_CHECKING:
    from atlasdb.download import Connections

_LARGEST_PAGE = 1 << 24
_MOST_PAGES = 10_000
_MD5 = re.compile(r"[0-9a-f]{32}")
_SIZE = re.compile(r"[0-9]{1,18}")


@dataclass(frozen=True)
class Listed:
    """An object as a bucket lists it.

    Attributes
    ----------
    bytes
        Its size.
    etag
        Its ETag, quotes and all.
    """

    bytes: int
    etag: str

    @property
    def md5(self) -> str:
        """The object's MD5, which the ETag of one that was uploaded in one part is; else empty."""
        bare = self.etag.strip('"').lower()
        return bare if _MD5.fullmatch(bare) else ""


@dataclass(frozen=True)
class Bucket:
    """A bucket, and where in it the atlases are.

    Attributes
    ----------
    address
        The bucket's own.
    prefix
        What all keys of atlases begin with, such as ``atlas/``.
    """

    address: str
    prefix: str

    def list(self, connections: Connections, folder: str) -> dict[str, Listed]:
        """Return all objects below a folder, by their keys without the bucket's prefix.

        Parameters
        ----------
        connections
            To the server.
        folder
            Ends in a slash.

        Raises
        ------
        DownloadError
            The bucket gives no listing, or one that never ends.
        """
        found: dict[str, Listed] = {}
        token = ""
        for _ in range(_MOST_PAGES):
            page = self._page(connections, folder, token)
            found |= self._objects(page)
            if (page.findtext("{*}IsTruncated") or "").strip().lower() != "true":
                return found
            before, token = token, page.findtext("{*}NextContinuationToken") or ""
            if token in {"", before}:
                raise DownloadError(
                    f"{self.address}: the listing of {folder} is cut off, and does not say how to "
                    "go on"
                )
        raise DownloadError(f"{self.address}: the listing of {folder} never ends")

    def _page(self, connections: Connections, folder: str, token: str) -> ET.Element:
        """Return a page of the listing."""
        url = f"{self.address}?list-type=2&encoding-type=url&prefix={quote(self.prefix + folder)}"
        if token:
            url += f"&continuation-token={quote(token, safe='')}"
        answer = connections.get(url, at_most=_LARGEST_PAGE)
        page = None if answer is None else _parsed(answer.content)
        if page is None:
            raise DownloadError(f"{url}: expected a bucket's listing, found something else")
        return page

    def _objects(self, page: ET.Element) -> dict[str, Listed]:
        """Return the objects of a page."""
        found = {}
        for entry in page.iterfind("{*}Contents"):
            key = (entry.findtext("{*}Key") or "").strip()
            if page.findtext("{*}EncodingType") == "url":
                key = unquote_plus(key)
            size = (entry.findtext("{*}Size") or "").strip()
            if not _SIZE.fullmatch(size):  # what is left out here would count as not there
                raise DownloadError(f"{self.address}: its listing has {key!r:.200} without a size")
            if key.startswith(self.prefix):
                etag = entry.findtext("{*}ETag") or ""
                found[key[len(self.prefix) :]] = Listed(int(size), etag)
        return found


def find_bucket(connections: Connections, base: str) -> Bucket | None:
    """Return the bucket that an address is in, None if it is in none that lists its objects.

    Parameters
    ----------
    connections
        To the server.
    base
        Ends in a slash. The bucket is the host itself, or the first part of the path.

    Raises
    ------
    DownloadError
        The server does not answer.
    """
    host = "{0.scheme}://{0.netloc}/".format(urlsplit(base))
    path = base[len(host) :]
    first, slash, rest = path.partition("/")
    candidates = [Bucket(host, path), *([Bucket(f"{host}{first}/", rest)] if slash else [])]
    for bucket in candidates:
        url = f"{bucket.address}?list-type=2&max-keys=1&prefix={quote(bucket.prefix)}"
        try:
            answer = connections.get(url, at_most=_LARGEST_PAGE)
        except DownloadError as error:
            if error.status is None:
                raise
            continue
        page = None if answer is None else _parsed(answer.content)
        if page is not None and page.find("{*}Contents") is not None:
            return bucket
    return None


class _WithoutEntities(ET.TreeBuilder):
    """Builds trees, but of no document that declares a type: a listing declares none."""

    def doctype(self, *_: object) -> None:
        raise ValueError("a document type")


def _parsed(content: bytes) -> ET.Element | None:
    """Parse a bucket's answer, None if it is no listing."""
    try:
        root = ET.fromstring(content, ET.XMLParser(target=_WithoutEntities()))  # noqa: S314
    except (ET.ParseError, LookupError, ValueError):  # or in an encoding that is none
        return None
    return root if root.tag.rpartition("}")[2] == "ListBucketResult" else None
