"""The limits of what strangers made: named in errors, raised by one variable."""

from __future__ import annotations

import pytest

from atlasdb.errors import AtlasDBError
from atlasdb.limits import Limits, current


def test_the_environment_raises_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    assert current() == Limits()
    monkeypatch.setenv("ATLASDB_LIMITS", "ratio=7, columns=9")
    assert current() == Limits(ratio=7, columns=9)
    monkeypatch.delenv("ATLASDB_LIMITS")
    assert current() == Limits()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ration=7", "no limit is called 'ration'; did you mean ratio"),
        ("ratio", "ratio is a whole number, not ''"),
        ("ratio=-1", "ratio is a whole number, not '-1'"),
        ("ratio=1e3", "ratio is a whole number, not '1e3'"),
        ("ratio=" + "9" * 99, "ratio is a whole number"),
    ],
)
def test_limits_that_are_none(monkeypatch: pytest.MonkeyPatch, text: str, message: str) -> None:
    monkeypatch.setenv("ATLASDB_LIMITS", text)
    with pytest.raises(AtlasDBError, match=message):
        current()
