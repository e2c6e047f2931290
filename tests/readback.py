"""What the read-back tests share: the intent of a policy, as policyd has it from its bundle, and a recorded table.

`python -m tests.readback` (as root) records again what a kernel says of the small policy: after a change of what is
emitted for it.
"""

from __future__ import annotations

import zlib
from pathlib import Path

import msgspec

from appliance.control.applying.readings import unpack
from appliance.control.kernel.readback import snapshot
from appliance.policy.compiling.compile import Compiled, compile_policy, numbers
from appliance.policy.compiling.delta import delta
from appliance.policy.model import AddressSet, Policy, Range, Rule, ServiceEntry
from appliance.policy.readback.equivalence import Intent, intent_of
from appliance.policy.readback.kernel import Snapshot
from tests.policies import NOW, line_network, zones

RECORDED = Path(__file__).parent / "unit" / "readback" / "small.snapshot"
GENERATION = 5
GUEST, FAR = line_network("gst0", 4).first + 10, line_network("wan0", 4).first + 20
PORTS = (22, 80, 443, 8443, 9000)


def compiled_intent(policy: Policy, generation: int, queue: str = "") -> tuple[Compiled, Intent]:
    """The compiled policy and what is to run, on a kernel that queues in the way `queue`, or not at all."""
    compiled = compile_policy(policy, generation=generation, capabilities=frozenset({queue}), now=NOW)
    numbered = numbers([rule for rule in policy.rules if rule.enabled])
    intent = intent_of(policy, generation, numbered, NOW, frozenset({queue}))
    # What the settings of the host are is no matter of these tests, but of those that say so.
    return compiled, msgspec.structs.replace(intent, sysctls={})


def host_rule(number: int, port: int, action: str = "allow") -> Rule:
    return Rule(
        id=f"R-{number}",
        number=number,
        sources=("guest",),
        destinations=("internet",),
        source=AddressSet((Range(4, GUEST, GUEST),)),
        destination=AddressSet((Range(4, FAR, FAR),)),
        services=(ServiceEntry(6, ports=(port, port)),),
        action="deny" if action == "deny" else "allow",
    )


def small() -> tuple[Compiled, Intent]:
    """Five flows of one guest, each with a rule of its own; the last is denied."""
    rules = [host_rule(number + 1, port) for number, port in enumerate(PORTS[:-1])]
    rules.append(host_rule(len(PORTS), PORTS[-1], "deny"))
    return compiled_intent(Policy(site="small", zones=zones(), rules=tuple(rules)), GENERATION)


def recorded() -> Snapshot:
    """What Linux 6.18 and nft 1.0.6 made of the small policy."""
    return unpack(RECORDED.read_bytes())


def _record() -> None:
    from tests.netns.wire import Wire

    compiled, _ = small()
    with Wire(raw=False) as wire:
        wire.load(delta(None, compiled.ruleset))
        with wire.inside():
            found = snapshot()
    plain = msgspec.structs.replace(found, kernel="Linux", taken=float(NOW), links={})
    RECORDED.parent.mkdir(exist_ok=True)
    RECORDED.write_bytes(b"z" + zlib.compress(msgspec.msgpack.encode(plain), 9))


if __name__ == "__main__":
    _record()
