"""``python -m atlasdb``: the command line, where the installed command is not on the path."""

from __future__ import annotations

from atlasdb.cli import main

if __name__ == "__main__":
    main()
