"""Inside the test machine: one generation after the other; says which confirms were answered.

usage: applies.py ROUNDS PROGRESS      PROGRESS holds, one per line: confirmed N | left N
Generations with an even number of rules are confirmed, the others taken back while they wait for it.
"""

from __future__ import annotations

import sys
from pathlib import Path

from appliance.control.ipc import call
from appliance.control.messages.gateway import Applied, Apply, Confirm, Confirmed, Rollback
from appliance.control.processes import load_instance
from tests.vm.box import INSTANCE
from tests.vm.site import POLICY, rule


def main(rounds: int, progress: Path) -> None:
    policyd = load_instance(INSTANCE).socket("policyd")
    base = 0
    for count in range(1, rounds + 1):
        text = POLICY + "".join(rule(f"R-{number}", "staff", 1000 + number) for number in range(count))
        request = Apply(text=text, base=base, reason=f"{count} rules", confirm_within=300)
        applied = call(policyd, request, Applied)
        if count % 2 == 0:
            base = call(policyd, Confirm(), Confirmed).generation
            word = "confirmed"
        else:
            call(policyd, Rollback(), Applied)
            word = "left"
        with progress.open("a") as file:
            file.write(f"{word} {applied.generation}\n")


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
