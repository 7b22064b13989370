"""Names of atlases: ``NAME`` is the highest version at hand, ``NAME@VERSION`` exactly one.

The one idea: a name becomes a folder and a DuckDB schema, so it is checked once, here, to be made
of letters, digits, ``_``, ``-`` and ``.`` only, and no device of Windows's; versions are compared
as integers (1.10 > 1.9).
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from atlasdb.errors import PackageError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,199}")
_VERSION = re.compile(r"(0|[1-9][0-9]{0,8})\.(0|[1-9][0-9]{0,8})")
_DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
_RESOLUTION = re.compile(r"_(\d+(\.\d+)?)(nm|um|mm)")
_UNITS_UM = {"nm": 1e-3, "um": 1.0, "mm": 1e3}


@dataclass(frozen=True, order=True)
class Version:
    """An atlas's version: ``MAJOR.MINOR``, ordered as integers.

    Examples
    --------
    >>> Version.parse("1.10") > Version.parse("1.9")
    True
    """

    major: int
    minor: int

    @classmethod
    def parse(cls, text: str) -> Version:
        """Return the version that `text` spells, or raise `PackageError`."""
        match = _VERSION.fullmatch(text)
        if match is None:
            raise PackageError(f"{text!r} is no version: expected MAJOR.MINOR, such as 1.2")
        return cls(int(match[1]), int(match[2]))

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}"


@dataclass(frozen=True)
class AtlasName:
    """What a user names: an atlas, and perhaps its version.

    Examples
    --------
    >>> AtlasName.parse("allen_mouse_100um@1.2")
    AtlasName(name='allen_mouse_100um', version=Version(major=1, minor=2))
    """

    name: str
    version: Version | None = None

    @classmethod
    def parse(cls, text: str) -> AtlasName:
        """Split ``NAME`` or ``NAME@VERSION``, or raise `PackageError`."""
        name, at, version = text.partition("@")
        return cls(checked_name(name), Version.parse(version) if at else None)

    def __str__(self) -> str:
        return self.name if self.version is None else f"{self.name}@{self.version}"


def checked_name(name: str) -> str:
    """Return `name` if it can be an atlas's, else raise `PackageError`.

    Examples
    --------
    >>> checked_name("allen_mouse_100um")
    'allen_mouse_100um'
    """
    if not _NAME.fullmatch(name) or ".." in name or name.endswith("."):
        raise PackageError(
            f"{name!r} is no name for an atlas: expected letters, digits, '_', '-' and '.', "
            "such as allen_mouse_100um"
        )
    if is_device(name):
        raise PackageError(f"{name!r} is no name for an atlas: Windows has no such folder")
    return name


def is_device(name: str) -> bool:
    """Whether a name is one of Windows's devices, which no file or folder there can be called.

    Examples
    --------
    >>> is_device("con"), is_device("NUL.tiff"), is_device("cone")
    (True, True, False)
    """
    return bool(_DEVICES.fullmatch(name))


def full_name(name: str, resolution_um: float, folder: str = "") -> str:
    """Return the name with its resolution, which metadata.json leaves out.

    Parameters
    ----------
    name
        The name that metadata.json gives, such as ``allen_mouse``.
    resolution_um
        The edge of a voxel from anterior to posterior.
    folder
        The package's folder, ``NAME_RESOLUTION_vVERSION``: its spelling of the same resolution
        (``8nm`` for 0.008) goes first.

    Examples
    --------
    >>> full_name("allen_mouse", 100.0), full_name("tiny", 0.008, "tiny_8nm_v1.0")
    ('allen_mouse_100um', 'tiny_8nm')
    """
    stem, found, _ = folder.rpartition("_v")
    spelt = _RESOLUTION.fullmatch(stem[len(name) :]) if found and stem.startswith(name) else None
    if spelt and math.isclose(float(spelt[1]) * _UNITS_UM[spelt[3]], resolution_um):
        return checked_name(stem)
    return checked_name(f"{name}_{resolution_um:.15g}um")
