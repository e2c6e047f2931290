"""Alerts on live traffic: a gateway's taps with rules, and rules that change while it runs."""

from __future__ import annotations

import os
import signal
from hashlib import sha256
from pathlib import Path
from typing import Any

from appliance.commands.health import from_rules
from appliance.events.record import Event
from appliance.events.view import Selection, past
from appliance.lab.site import POLICIES, Lab
from tests.netns.conftest import reef_says, until


def alerts(lab: Lab, sid: int) -> list[Event]:
    found = past(lab.gateway.instance.events, Selection(types=("alert",)))
    return [event for event in found if event.alert and event.alert["signature_id"] == sid]


def notices(lab: Lab) -> list[str]:
    found = past(lab.gateway.instance.events, Selection(types=("engine",)))
    return [str(event.engine["message"]) for event in found if event.engine]


def loaded(lab: Lab) -> int:
    return sum(words.startswith("rules loaded") for words in notices(lab))


def test_a_rule_alerts_on_a_tap_and_the_connection_goes_on(lab: Lab) -> None:
    until(lambda: loaded(lab), "the rules are loaded", lab=lab)

    def fetched() -> list[Event]:
        page = lab.run("lan1", "curl", "-4", "-sS", "http://www.example.org/setup.exe")
        assert page.returncode == 0, page.stderr
        return alerts(lab, 9870001)

    until(fetched, "the rule alerts", lab=lab)
    alert = alerts(lab, 9870001)[0]
    assert alert.alert is not None
    assert alert.alert["action"] == "allowed"
    assert alert.alert["severity"] == 1
    assert alert.decision.source == "lan"
    assert alert.in_iface == "lan0"
    assert alert.http is not None
    assert alert.http["url"] == "/setup.exe"
    assert alert.app_proto == "http"


def test_compiling_rules_takes_no_time_from_packets(lab: Lab) -> None:
    """Of all threads of inspectd only the one that compiles is nicer than the kernel's default."""
    until(lambda: loaded(lab), "the rules are loaded", lab=lab)
    pid = lab.gateway.pid("inspectd")
    nice = {}
    for task in Path(f"/proc/{pid}/task").iterdir():
        fields = (task / "stat").read_text().rpartition(")")[2].split()
        nice[int(task.name)] = int(fields[16])
    compiling = [thread for thread, value in nice.items() if value == 5]
    assert len(compiling) == 1 and compiling != [pid]
    assert {value for thread, value in nice.items() if thread not in compiling} == {-10}


def test_rules_change_while_flows_go_on(lab: Lab) -> None:
    until(lambda: loaded(lab), "the rules are loaded", lab=lab)
    before = loaded(lab)
    (lab.gateway.instance.rules / "more.rules").write_text(
        'alert icmp any any -> any any (msg:"a ping"; itype:8; sid:9871001; rev:1;)\n'
        'alert tcp any any -> any any (msg:"not ours"; no_such_keyword:1; sid:9871002; rev:1;)\n'
    )
    until(lambda: loaded(lab) > before, "the new rules are loaded", lab=lab)
    until(lambda: any("no_such_keyword" in words for words in notices(lab)), "a refused rule is said", lab=lab)

    said = from_rules(lab.gateway.instance.events, lab.gateway.instance.rules)
    assert [finding.what.split(" of ")[0] for finding in said] == ["1"], "reef doctor tells of the refused one"

    def pinged() -> list[Event]:
        lab.run("lan1", "ping", "-4", "-c", "1", "-W", "1", "10.20.0.1")
        return alerts(lab, 9871001)

    until(pinged, "the new rule alerts", lab=lab)
    first = lab.gateway.pid("inspectd")
    (lab.gateway.instance.rules / "more.rules").unlink()
    until(lambda: loaded(lab) > before + 1, "the rule is gone again", lab=lab)
    assert lab.gateway.pid("inspectd") == first


def keep(lab: Lab, settings: str) -> None:
    text = POLICIES["gw"].read_text(encoding="utf-8")
    assert "\nsettings:\n" in text
    lab.gateway.apply(text.replace("\nsettings:\n", f"\nsettings:\n{settings}"), "what the taps keep")


def kept(lab: Lab, store: str) -> list[Path]:
    folder = lab.gateway.instance.state_of("inspectd") / store
    return sorted(path for path in folder.glob("[0-9a-f][0-9a-f]/*") if path.is_file())


def listed(lab: Lab, store: str) -> list[dict[str, Any]]:
    """What `reef ips` says is kept."""
    kept: list[dict[str, Any]] = reef_says(lab, "ips", store)["kept"]
    return kept


def packed(lab: Lab, flow: int, folder: Path) -> None:
    """The alert, its packets and its file make a package for a court, with the policy that was in force."""
    made = reef_says(lab, "evidence", "make", "--alert", str(flow), "--out", str(folder))
    assert (made["alerts"] > 0, made["packets"], made["files"] > 0) == (True, 1, True), made
    assert "keep_evidence" in (folder / "data" / "policy" / f"generation-{made['generation']}.yaml").read_text()
    assert "sid:9872001" in (folder / "data" / "rules.txt").read_text()
    [packets] = (folder / "data" / "packets").iterdir()
    assert b"/kept-all.exe" in packets.read_bytes()
    assert reef_says(lab, "evidence", "verify", str(folder))["problems"] == []


def test_files_and_packets_are_kept_only_as_the_policy_says(lab: Lab, tmp_path: Path) -> None:
    """The rules are regular expressions, too, where no memory may become executable."""
    (lab.gateway.instance.rules / "kept.rules").write_text(
        'alert http any any -> any any (msg:"a setup"; flow:to_server; '
        'pcre:"/\\/kept-[a-z]+\\.(exe|msi)$/U"; sid:9872001;)\n'
    )
    before = loaded(lab)
    until(lambda: loaded(lab) > before, "the rules are loaded", lab=lab)

    def fetched(name: str) -> list[Event]:
        page = lab.run("lan1", "curl", "-4", "-sS", f"http://www.example.org/{name}")
        assert page.returncode == 0, page.stderr
        return [one for one in alerts(lab, 9872001) if one.http and one.http["url"] == f"/{name}"]

    until(lambda: fetched("kept-nothing.exe"), "the expression matches", lab=lab)
    assert not kept(lab, "files")
    assert not kept(lab, "evidence")

    keep(lab, "  keep_files: all\n  keep_evidence: yes\n")
    until(lambda: any("files: all" in words for words in notices(lab)), "the taps follow", lab=lab)
    until(lambda: fetched("kept-all.exe") and kept(lab, "files"), "a file is kept", lab=lab)
    for path in kept(lab, "files"):
        assert sha256(path.read_bytes()).hexdigest() == path.name
        assert path.stat().st_mode & 0o077 == 0

    folder = lab.gateway.instance.state_of("inspectd") / "evidence"
    until(lambda: list((folder / "tmp").iterdir()), "the packets of the connection are written down", lab=lab)
    os.kill(lab.gateway.pid("inspectd"), signal.SIGTERM)  # every connection ends for it
    until(lambda: kept(lab, "evidence"), "and kept", lab=lab)
    assert b"/kept-all.exe" in kept(lab, "evidence")[0].read_bytes()
    until(lambda: listed(lab, "evidence")[0]["flows"], "the log says of which connection", lab=lab)
    assert "1:9872001 a setup" in listed(lab, "evidence")[0]["flows"][0]["alerts"]
    until(lambda: any(one["flows"] for one in listed(lab, "files")), "and which file came in it", lab=lab)
    packed(lab, listed(lab, "evidence")[0]["flows"][0]["flow"], tmp_path / "case")
    until(
        lambda: notices(lab).count("kept of traffic: files: all; packets: of connections with alerts") > 1,
        "it is back",
        lab=lab,
    )

    keep(lab, "  keep_files: none\n")
    until(lambda: "files: none" in notices(lab)[-1], "the taps follow again", lab=lab)
