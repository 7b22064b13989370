"""How fast atlases come from servers: beside ``curl``, and as components.

Run it as ``python benchmarks/bench_sources.py DATA`` with the folder of the real data (its
``packages`` and ``components``). It prints: the throughput of a download into a home's part file
beside ``curl -o`` from the same loopback server, alternating; the ingest of the Allen atlas from
its archive and from its components on loopback servers; and the latter from a server that answers
after 20 ms, which is what concurrent requests are for. Servers are processes of their own.
"""

from __future__ import annotations

import os
import platform
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import requests

import atlasdb
from atlasdb.download import discard_part, fetch, held_part
from atlasdb.sources.base import NoProgress

if TYPE_CHECKING:
    from collections.abc import Callable

ROUNDS = 5
SIZE = 400 << 20

SERVER = """
import os, socket, sys
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
size = os.path.getsize(sys.argv[1])
while True:
    connection, _ = listener.accept()
    connection.recv(65536)
    lines = ["HTTP/1.1 200 OK", f"Content-Length: {size}", 'ETag: "x"', "Connection: close"]
    connection.sendall("\\r\\n".join([*lines, "", ""]).encode())
    with open(sys.argv[1], "rb") as file:
        connection.sendfile(file)
    connection.close()
"""


LISTING = """
import sys, time
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from servers import Bucket, Files

class Distant(Bucket):
    def answer(self, request):
        time.sleep(0.02)
        super().answer(request)

kind, folder = {"near": Bucket, "far": Distant, "files": Files}[sys.argv[2]], Path(sys.argv[3])
with kind(folder) as server:
    print(server.url, flush=True)
    for _ in sys.stdin:
        print(len(server.requests), flush=True)
        server.requests.clear()
"""


class Serving:
    """A server of the tests in a process of its own."""

    def __init__(self, kind: str, folder: Path) -> None:
        tests = Path(__file__).parents[1] / "tests"
        command = [sys.executable, "-c", LISTING, str(tests), kind, str(folder)]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)
        self.url = self._line()

    def _line(self) -> str:
        assert self._process.stdout is not None  # noqa: S101 (it is a pipe)
        return self._process.stdout.readline().strip()

    def asked(self) -> int:
        """Return the number of requests since this was asked before."""
        assert self._process.stdin is not None  # noqa: S101 (it is a pipe)
        print(file=self._process.stdin, flush=True)
        return int(self._line())

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.communicate()


def timed(work: Callable[..., object], *arguments: object, **options: object) -> float:
    """Return the seconds that a call takes."""
    begin = time.perf_counter()
    work(*arguments, **options)
    return time.perf_counter() - begin


def beside_curl(folder: Path) -> None:
    """Print the throughput of a download beside curl's, of one large file."""
    served = folder / "large.tar.gz"
    with served.open("wb") as file:
        file.write(b"\x1f\x8b")
        for _ in range(SIZE >> 20):
            file.write(os.urandom(1 << 20))
    command = [sys.executable, "-c", SERVER, str(served)]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None  # noqa: S101 (it is a pipe)
    url = f"http://127.0.0.1:{server.stdout.readline().strip()}/large.tar.gz"
    part, target = folder / "large.part", folder / "curled"
    ours, theirs = [], []
    for _ in range(ROUNDS):
        discard_part(part)
        with held_part(part) as held:
            ours.append(timed(fetch, url, held, progress=NoProgress()))
        target.unlink(missing_ok=True)
        curl = ["curl", "-s", "-o", str(target), url]
        theirs.append(timed(subprocess.run, curl, check=True))
    server.kill()
    if part.stat().st_size != served.stat().st_size:
        raise SystemExit("the download is wrong: a benchmark of a lie is none")
    size = served.stat().st_size / 1e6
    mine, curls = size / statistics.median(ours), size / statistics.median(theirs)
    print(f"download of {size:.0f} MB, median of {ROUNDS}          {mine:6.0f} MB/s")
    print(f"curl -o, median of {ROUNDS}                       {curls:6.0f} MB/s")
    print(f"ratio (aim: at least 0.8)                 {mine / curls:6.2f}")
    for path in (served, part, target):
        path.unlink()


def ingests(data: Path, folder: Path) -> None:
    """Print the ingest of the Allen atlas from either format, from loopback servers."""
    archive = data / "components" / "allen_mouse_100um_v3.0.tar.gz"
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="data")
    db = atlasdb.connect(folder / "home")
    db.ingest("phantom_mouse_100um")
    name = "allen_mouse_100um"
    servers = {
        "archive, 21 MB": Serving("files", data / "packages"),
        "components, 6 MB": Serving("near", folder / "atlas"),
        "components, 20 ms away": Serving("far", folder / "atlas"),
    }
    taken: dict[str, list[float]] = {label: [] for label in servers}
    for _ in range(ROUNDS):
        for label, server in servers.items():
            taken[label].append(timed(db.ingest, name, source=server.url))
            db.remove(name)
    for label, server in servers.items():
        asked = server.asked() // ROUNDS
        line = f"ingest of {name} from its {label}, {asked} requests"
        print(f"{line:<78}{statistics.median(taken[label]):6.2f} s")
        server.close()
    print(f"785 requests of 20 ms one after the other would take {785 * 0.02:.1f} s")


def main() -> None:
    """Run all and print."""
    data = Path(sys.argv[1]).resolve()
    folder = Path(tempfile.mkdtemp(prefix="bench-"))
    curl = subprocess.run(["curl", "--version"], capture_output=True, text=True, check=True).stdout
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, "
        f"requests {requests.__version__}, {' '.join(curl.split()[:2])}"
    )
    try:
        beside_curl(folder)
        ingests(data, folder)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
