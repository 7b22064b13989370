"""Any order of commands, at length: the property-based test of the home against its model.

Run it as ``python reliability/state_machine.py [--examples N] [--steps N]``. It runs
``tests/test_state_machine.py`` for longer than the tests do, and prints how often each command ran.
A difference from the model in plain Python ends it, with the commands that led there.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from pathlib import Path

from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test
from machine import machine

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from test_state_machine import Home


def main() -> int:
    """Run it and print what ran."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--examples", type=int, default=100)
    parser.add_argument("--steps", type=int, default=50)
    given = parser.parse_args()
    ran: Counter[str] = Counter()

    class Counted(Home):
        """The machine, counting."""

        def did(self, command: str) -> None:
            ran[command] += 1

    begin = time.monotonic()
    run_state_machine_as_test(
        Counted,
        settings=settings(
            max_examples=given.examples,
            stateful_step_count=given.steps,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.generate],
        ),
    )
    print("| " + " | ".join(name for name, _ in ran.most_common()) + " |")
    print("|" + "---|" * len(ran))
    print("| " + " | ".join(f"{count:,}" for _, count in ran.most_common()) + " |")
    print(
        f"\n{ran.total():,} commands in {given.examples:,} orders, "
        f"{time.monotonic() - begin:,.0f} s, no difference; {machine()}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
