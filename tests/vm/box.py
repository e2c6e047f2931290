"""Inside the test machine: the gateway's daemons, with their state on the disk that outlives a power cut.

usage: box.py [ROW ...]      runs these rows of the process table (all but inspectd and namesd) until it is killed
"""

from __future__ import annotations

import sys
from pathlib import Path

from appliance.control.placement import here
from appliance.control.processes import PROCESSES, Identity, Instance, encode_instance, process
from appliance.control.supervisor import Supervisor

INSTANCE = Path("/run/reef-instance.json")
READY = Path("/run/reef-ready")
FIRST_NUMBER = 63000
PATIENCE = 240.0


def log(name: str, line: str) -> None:
    print(f"{name}: {line}", flush=True)


def main(names: list[str]) -> None:
    instance = Instance(
        name="test machine",
        run="/run/reef",
        state="/var/lib/reef",
        config="/run/reef-config",
        identities={row.name: Identity(FIRST_NUMBER + n, FIRST_NUMBER + n) for n, row in enumerate(PROCESSES)},
        operators=FIRST_NUMBER + 50,
    )
    INSTANCE.write_bytes(encode_instance(instance))
    instance.baselines.mkdir(parents=True)
    rows = [process(name) for name in names or ("keyd", "applyd", "policyd")]
    supervisor = Supervisor(instance, INSTANCE, rows, placement=here(), log=log)
    supervisor.start(PATIENCE)
    READY.touch()
    while True:
        supervisor.poll(1.0)


if __name__ == "__main__":
    main(sys.argv[1:])
