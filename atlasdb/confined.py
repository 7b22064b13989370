"""A stranger's SQL: run in a process of its own, which can read the home's tables and no more.

The one idea: no setting of DuckDB's bounds what a query takes (a single call such as
``repeat('x', 4000000000)`` heeds neither its memory limit nor an interrupt), but the operating
system bounds a process. So the query runs in a child that cannot write, cannot grow and is killed
when its time is up; the rows come back as Arrow, which is only data.
"""

from __future__ import annotations

import io
import json
import os
import pickle
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from atlasdb import errors
from atlasdb.database import cell_paths, reading
from atlasdb.errors import AtlasDBError, QueryError, one_line
from atlasdb.home import Home
from atlasdb.queries import text_literal
from atlasdb.statements import TIMEOUT_S, refuse_strange
from atlasdb.views import glob_escaped

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

_MIB = 1 << 20
_MEMORY = 1024 * _MIB
"""What DuckDB may use, which it reports as such."""
_ADDRESS_SPACE = 4096 * _MIB
"""What the process may use at all, beside what its libraries have reserved before."""
_RESULT = 256 * _MIB
_THREADS = 2
_DAY_S = 86_400
_START_S = 60.0
"""How long the process may take beside the query: to begin, and to open the database."""

_CHILD = (
    "import pickle, sys; sys.path[:], job = pickle.load(sys.stdin.buffer); "
    "from atlasdb.confined import serve; serve(job)"
)


def ask(
    home: Home,
    query: str,
    parameters: Sequence[Any] | dict[str, Any] | None = None,
    *,
    timeout_s: float = TIMEOUT_S,
) -> pa.Table:
    """Run a stranger's SELECT.

    Parameters
    ----------
    home
        The home.
    query
        One SELECT.
    parameters
        Values for ``?`` or ``$name``: numbers, texts, dates and lists of these.
    timeout_s
        After how many seconds it is stopped.

    Returns
    -------
    pyarrow.Table
        The rows, 256 MiB of them at most.

    Raises
    ------
    QueryError
        The query is refused, or takes more time or memory than it may.
    """
    if not 0 < timeout_s <= _DAY_S:  # NaN is not either
        raise QueryError(f"a query cannot be stopped after {timeout_s} s: give up to {_DAY_S:,}")
    try:
        query.encode()
        job = pickle.dumps((sys.path, (str(home.folder), query, parameters, timeout_s)))
    except UnicodeError as error:
        raise QueryError(str(error)) from error
    except (pickle.PicklingError, TypeError, AttributeError) as error:
        raise QueryError(f"a parameter is no plain value: {error}") from error
    try:
        done = subprocess.run(  # noqa: S603 (our own text; the query goes by stdin)
            [sys.executable, "-I", "-c", _CHILD],
            input=job,
            capture_output=True,
            timeout=timeout_s + _START_S,
            env=os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
            start_new_session=True,  # Ctrl-C is for us, who then end it
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise _late(timeout_s) from error
    if done.returncode < 0 and done.returncode == -getattr(signal, "SIGALRM", 0):
        raise _late(timeout_s)
    if done.returncode > 0:
        reason = done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        raise QueryError(f"the query's process failed: {reason:.300}")
    return _answer(done.stdout)


def _late(timeout_s: float) -> QueryError:
    return QueryError(
        f"the query was stopped: it takes longer than {timeout_s:g} s, which --timeout sets"
    )


def _answer(output: bytes) -> pa.Table:
    """Return the rows that the child wrote, or raise what it says."""
    import pyarrow as pa  # 30 ms

    header, _, rows = output.partition(b"\n")
    if not header:
        raise QueryError(
            f"the query was stopped: it needs more than the {_ADDRESS_SPACE // _MIB:,} MiB of "
            "memory that it may have"
        )
    said = json.loads(header)
    if "error" in said:
        raise getattr(errors, said["error"])(said["message"])
    return pa.ipc.open_stream(rows).read_all()


def serve(job: tuple[str, str, Any, float]) -> None:
    """Answer one query as the child, on stdout."""
    import pyarrow  # noqa: F401, ICN001 (before memory is counted)

    folder, query, parameters, timeout_s = job
    _limit_process()
    try:
        rows = _rows(Home(Path(folder)), query, parameters, timeout_s)
        header: dict[str, str] = {}
    except AtlasDBError as error:
        header, rows = {"error": type(error).__name__, "message": str(error)}, b""
    except (MemoryError, RecursionError):
        header, rows = {"error": "QueryError", "message": "the query needs too much memory"}, b""
    sys.stdout.buffer.write(json.dumps(header).encode() + b"\n" + rows)
    sys.stdout.buffer.flush()
    os._exit(0)  # what is still running in DuckDB's threads is of no interest


def _limit_process() -> None:
    """Take from this process what it does not need; where there are no such limits, nothing."""
    try:
        import resource  # POSIX
    except ImportError:
        return
    for kind, most in (
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_AS, _reserved() + _ADDRESS_SPACE),
    ):
        try:
            resource.setrlimit(kind, (most, most))
        except (ValueError, OSError):  # macOS bounds no address space
            continue


def _reserved() -> int:
    """Return the bytes of address space that this process has, where the system says so."""
    try:
        pages = int(Path("/proc/self/statm").read_text("ascii").split()[0])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def _rows(home: Home, query: str, parameters: Any, timeout_s: float) -> bytes:  # noqa: ANN401
    """Return the rows of a query as an Arrow stream."""
    import pyarrow as pa  # 30 ms

    with reading(home, repairs=False, threads=_THREADS) as connection:
        _confine(connection, home)
        if hasattr(signal, "setitimer"):
            signal.setitimer(signal.ITIMER_REAL, timeout_s)
        try:
            refuse_strange(connection, query)
            reader = connection.execute(query, parameters).to_arrow_reader(2048)
            stream = io.BytesIO()
            with pa.ipc.new_stream(stream, reader.schema) as writer:
                for batch in reader:
                    writer.write_batch(batch)
                    if stream.tell() > _RESULT:
                        raise QueryError(
                            f"the query was stopped: its rows have more than {_RESULT // _MIB} MiB"
                        )
        except (duckdb.Error, UnicodeError, pa.ArrowException) as error:
            raise QueryError(one_line(str(error))) from error
        return stream.getvalue()


def _confine(connection: duckdb.DuckDBPyConnection, home: Home) -> None:
    """Shut a connection in: what it may still read is the files of the registered cells."""
    files = [str(path) for path in cell_paths(connection, home)]
    allowed = ", ".join(text_literal(form) for f in files for form in {f, glob_escaped(f)})
    for setting, value in (
        ("autoload_known_extensions", "false"),
        ("autoinstall_known_extensions", "false"),
        ("allow_community_extensions", "false"),
        ("allow_persistent_secrets", "false"),
        ("python_enable_replacements", "false"),
        ("enable_progress_bar", "false"),
        ("temp_directory", "''"),
        ("memory_limit", f"'{_MEMORY // _MIB}MiB'"),
        ("allowed_paths", f"[{allowed}]"),
        ("enable_external_access", "false"),
        ("lock_configuration", "true"),
    ):
        connection.execute(f"SET {setting} = {value}")
