"""A package of evidence from a control plane, checked with public tools only, and bent in every way."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import bagit
import pytest

from appliance.control.messages import gateway as messages
from appliance.control.messages.audit import AuditEntries, AuditLog
from appliance.events import record
from appliance.events.record import Event
from appliance.events.spool import Spool
from tests.netns.stand import Stand, as_user, policy, reef, rule, until

FLOW = 4711_0815
SERVER, CLIENT = "203.0.113.9", "10.20.0.11"
PACKETS = b"the bytes of a capture"
DIGEST = hashlib.sha256(PACKETS).hexdigest()
RULE = 'alert tcp any any -> any any (msg:"A test"; sid:4000001; rev:1;)'


def events() -> list[Event]:
    now = record.format_time(time.time())
    flow: dict[str, Any] = {
        "timestamp": now, "flow_id": FLOW, "src_ip": CLIENT, "dest_ip": SERVER, "src_port": 40000, "dest_port": 443,
        "proto": "TCP",
    }  # fmt: skip
    alert = {"action": "allowed", "gid": 1, "signature_id": 4000001, "rev": 1, "signature": "A test", "category": "",
             "severity": 1}  # fmt: skip
    kept = {"module": "evidence", "message": f"packets kept: {DIGEST}"}
    other = {**flow, "flow_id": 5, "src_ip": SERVER, "dest_ip": CLIENT}
    stranger = {**flow, "flow_id": 6, "src_ip": "198.51.100.1"}
    decided = record.metadata(record.Decision("reef", "R-1", "allow", "lan", "internet"))
    return [
        Event(event_type="flow", metadata=decided, flow={"state": "new"}, **flow),
        Event(event_type="alert", alert=alert, **flow),
        Event(event_type="engine", engine=kept, **flow),
        Event(event_type="http", http={"url": "/"}, **other),
        Event(event_type="http", http={"url": "/"}, **stranger),
    ]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Stand, Path, dict[str, Any]]]:
    """A stand at which an alert came under a policy, somebody banned its server, and evidence was made of it."""
    with Stand(("keyd", "applyd", "policyd", "recordd")) as stand:
        stand.apply(policy(rule("R-1")), reason="ticket 1")
        rules = stand.instance.rules
        rules.mkdir(parents=True, exist_ok=True)
        (rules / "own.rules").write_text(f"{RULE}\n")
        store = stand.instance.state_of("inspectd") / "evidence" / DIGEST[:2]
        store.mkdir(parents=True)
        (store / DIGEST).write_bytes(PACKETS)
        with as_user(stand.instance.identity("inspectd").uid, (stand.instance.operators,)):
            spool = Spool(stand.instance.events_of("inspectd"))
            for event in events():
                spool.append(record.encode(event), 1)
            spool.close()
        stand.ask(messages.Ban((SERVER,), 60, "the alert"), messages.BanList)
        until(
            lambda: stand.ask(AuditLog(words=SERVER), AuditEntries, to="recordd").entries,
            "the ban is in the trail",
            patience=30,
        )
        folder = tmp_path_factory.mktemp("court") / "package"
        told = reef(stand, "evidence", "make", "--alert", str(FLOW), "--out", str(folder))
        yield stand, folder, told


def test_the_package_holds_what_there_was(made: tuple[Stand, Path, dict[str, Any]]) -> None:
    _, folder, told = made
    assert (told["alerts"], told["events"], told["packets"], told["generation"]) == (1, 4, 1, 1)
    data = folder / "data"
    assert json.loads((data / "alerts.ndjson").read_text())["alert"]["signature_id"] == 4000001
    assert "198.51.100.1" not in (data / "events.ndjson").read_text()
    assert (data / "packets" / f"{DIGEST}.pcap").read_bytes() == PACKETS
    assert RULE in (data / "rules.txt").read_text()
    assert "R-1" in (data / "policy" / "generation-1.yaml").read_text()
    audit = [json.loads(path.read_text())["audit"] for path in (data / "audit").glob("*.json")]
    assert {"ban.add", "policy.apply"} <= {one["action"] for one in audit}
    assert told["audit"] == len(audit)


def test_who_made_it_is_in_the_trail(made: tuple[Stand, Path, dict[str, Any]]) -> None:
    stand, folder, _ = made
    sealed = hashlib.sha512((folder / "tagmanifest-sha512.txt").read_bytes()).hexdigest()
    until(
        lambda: stand.ask(AuditLog(action="evidence.make", words=sealed), AuditEntries, to="recordd").entries,
        "that evidence was made is in the trail",
        patience=30,
    )


def seal_holds(folder: Path, keys: Path) -> bool:
    """As the README of the package tells a stranger."""
    signer = (keys / "allowed_signers").read_text().split()[0]
    check = [
        *("ssh-keygen", "-Y", "verify", "-f", str(keys / "allowed_signers"), "-I", signer, "-n", "reef-evidence"),
        *("-s", str(folder / "tagmanifest-sha512.txt.sig")),
    ]
    sealed = (folder / "tagmanifest-sha512.txt").read_bytes()
    return subprocess.run(check, input=sealed, capture_output=True, check=False).returncode == 0


def digests_hold(folder: Path) -> bool:
    return all(
        subprocess.run(
            ["sha512sum", "--check", "--strict", "--quiet", name], cwd=folder, capture_output=True, check=False
        ).returncode
        == 0
        for name in ("tagmanifest-sha512.txt", "manifest-sha512.txt")
    )


def test_public_tools_alone_verify_it(made: tuple[Stand, Path, dict[str, Any]], tmp_path: Path) -> None:
    _, folder, _ = made
    bagit.Bag(str(folder)).validate()
    assert seal_holds(folder, folder / "data" / "keys")
    assert digests_hold(folder)
    bundle = folder / "data" / "policy" / "generation-1.bundle"
    message = tmp_path / "message"
    message.write_bytes(b"reef generation 1\0" + hashlib.sha256(bundle.read_bytes()).hexdigest().encode())
    keys = folder / "data" / "keys"
    check = [
        *("openssl", "pkeyutl", "-verify", "-pubin", "-inkey", str(keys / "generations.pem"), "-rawin"),
        *("-in", str(message), "-sigfile", str(bundle.with_suffix(".signature"))),
    ]
    assert subprocess.run(check, capture_output=True, check=False).returncode == 0


def test_the_commands_of_the_readme_are_those_that_work(made: tuple[Stand, Path, dict[str, Any]]) -> None:
    _, folder, _ = made
    text = (folder / "data" / "README.txt").read_text().replace("\\\n", " ")
    shown = [line.strip() for line in text.splitlines()]
    steps = [line for line in shown if line.startswith(("ssh-keygen -Y", "sha512sum", "(printf", "openssl pkeyutl"))]
    assert len(steps) == 4
    done = subprocess.run(["bash", "-ec", "\n".join(steps)], cwd=folder, capture_output=True, text=True, check=False)
    (folder / "message").unlink(missing_ok=True)
    assert done.returncode == 0, done.stderr + done.stdout


def test_our_own_check_agrees_and_asks_nobody(made: tuple[Stand, Path, dict[str, Any]], tmp_path: Path) -> None:
    stand, folder, told = made
    key = str(folder / "data" / "keys" / "records.vkey")
    found = reef(stand, "evidence", "verify", str(folder), "--key", key)
    assert (found["problems"], found["proofs"], found["identifier"]) == ([], told["audit"], str(FLOW))
    tar = tmp_path / "case.tar"
    reef(stand, "evidence", "make", "--alert", str(FLOW), "--out", str(tar))
    assert reef(stand, "evidence", "verify", str(tar))["problems"] == []


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


BENT: dict[str, tuple[Callable[[Path], object], str]] = {
    "the alert": (lambda folder: _flip(folder / "data/alerts.ndjson"), "data/alerts.ndjson was changed"),
    "the packets": (lambda folder: _flip(folder / f"data/packets/{DIGEST}.pcap"), "was changed"),
    "a file more": (lambda folder: (folder / "data/more").write_text("x"), "data/more is in no manifest"),
    "a file less": (lambda folder: (folder / "data/rules.txt").unlink(), "data/rules.txt is missing"),
    "the manifest": (lambda folder: _flip(folder / "manifest-sha512.txt"), "manifest-sha512.txt was changed"),
    "who made it": (lambda folder: _flip(folder / "bag-info.txt"), "bag-info.txt was changed"),
    "the seal": (lambda folder: (folder / "tagmanifest-sha512.txt.sig").unlink(), "it has no seal"),
}


@pytest.mark.parametrize("what", BENT)
def test_what_was_bent_is_named(made: tuple[Stand, Path, dict[str, Any]], tmp_path: Path, what: str) -> None:
    stand, folder, _ = made
    bend, words = BENT[what]
    copy = tmp_path / "package"
    shutil.copytree(folder, copy)
    bend(copy)
    found = reef(stand, "evidence", "verify", str(copy), ends=1)
    assert words in "; ".join(found["problems"])


def test_a_package_whose_digests_were_made_anew_has_no_seal_of_the_gateway(
    made: tuple[Stand, Path, dict[str, Any]], tmp_path: Path
) -> None:
    stand, folder, _ = made
    copy = tmp_path / "package"
    shutil.copytree(folder, copy)
    _flip(copy / "data" / "alerts.ndjson")
    for kind, names in (("manifest", None), ("tagmanifest", True)):
        for algorithm in ("sha256", "sha512"):
            path = copy / f"{kind}-{algorithm}.txt"
            listed = [line.split(maxsplit=1)[1] for line in path.read_text().splitlines()]
            assert names is None or "manifest-sha512.txt" in listed
            lines = (f"{hashlib.new(algorithm, (copy / name).read_bytes()).hexdigest()}  {name}\n" for name in listed)
            path.write_text("".join(lines))
    bagit.Bag(str(copy)).validate()
    assert not seal_holds(copy, folder / "data" / "keys")
    assert "the seal is not that of" in reef(stand, "evidence", "verify", str(copy), ends=1)["problems"][0]


def test_an_alert_of_the_gateway_itself_is_named_by_its_time(
    made: tuple[Stand, Path, dict[str, Any]], tmp_path: Path
) -> None:
    stand, _, _ = made
    alert = record.alert(record.UNREGISTERED_LINE, "Unregistered line", "eth9 carries traffic", seconds=time.time())
    with as_user(stand.instance.identity("namesd").uid, (stand.instance.operators,)):
        spool = Spool(stand.instance.events_of("namesd"))
        spool.append(record.encode(alert), 1)
        spool.close()
    told = reef(stand, "evidence", "make", "--alert", alert.timestamp, "--out", str(tmp_path / "own"))
    assert (told["alerts"], told["packets"]) == (1, 0)
    assert any(words.startswith("packets: none were kept") for words in told["missing"])
    assert reef(stand, "evidence", "verify", str(tmp_path / "own"))["problems"] == []


def test_an_alert_that_is_not_there_is_said(made: tuple[Stand, Path, dict[str, Any]], tmp_path: Path) -> None:
    stand, folder, _ = made
    error = reef(stand, "evidence", "make", "--alert", "99", "--out", str(tmp_path / "x"), ends=1)["error"]
    assert "no alert 99" in error["message"]
    again = reef(stand, "evidence", "make", "--alert", str(FLOW), "--out", str(folder), ends=5)["error"]
    assert "is there already" in again["message"]
