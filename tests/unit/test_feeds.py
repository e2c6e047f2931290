"""Feeds of signatures: revisions, differences, trials, and what may not get in."""

from __future__ import annotations

import base64
import datetime
import hashlib
import http.server
import io
import os
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from appliance.policy.model import Feed
from crypto.selfsigned import self_signed, server_context
from dataplane.feedfetch import Failed, FeedError, Fetched, Order, digest_in, unpack
from dataplane.feeds import REMEMBERED, Trial, begin, difference, index, on_trial
from dataplane.feedstore import KEPT, FeedStore, FeedStoreError
from dataplane.feedupdate import FOLDER, Account, due, update

ROOT = Path(__file__).resolve().parents[2]
DAY = 86400


def rule(sid: int, rev: int = 1, action: str = "alert", message: str = "one") -> str:
    return f'{action} tcp any any -> any any (msg:"{message}"; content:"x{rev}"; sid:{sid}; rev:{rev};)\n'


def files(*rules: str) -> dict[str, bytes]:
    return {"own.rules": "".join(rules).encode()}


def archive(members: Mapping[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return packed.getvalue()


# --- values ---------------------------------------------------------------------------------------------------


def test_index_reads_what_a_rule_says_and_takes_the_higher_revision() -> None:
    found = index([rule(7, 2, "drop", 'a \\"b\\"') + "# " + rule(8), rule(7, 1)])
    assert list(found) == [(1, 7)]
    assert (found[1, 7].rev, found[1, 7].action, found[1, 7].message) == (2, "drop", 'a \\"b\\"')


def test_difference_tells_what_came_went_and_changed() -> None:
    old, new = index([rule(1) + rule(2) + rule(3)]), index([rule(2) + rule(3, 2) + rule(4)])
    found = difference(old, new)
    assert [one.sid for one in found.added] == [4]
    assert [one.sid for one in found.removed] == [1]
    assert [(one.before.rev, one.after.rev) for one in found.changed] == [(1, 2)]
    assert not difference(old, old)


def test_a_signature_is_on_trial_until_it_has_stood_for_the_days() -> None:
    trial = begin(Trial({}), index([rule(1) + rule(2)]), 0)
    assert on_trial(trial, 14, 14 * DAY - 1) == {(1, 1), (1, 2)}
    assert on_trial(trial, 14, 14 * DAY) == frozenset()
    assert on_trial(trial, 0, 0) == frozenset()
    trial = begin(trial, index([rule(1) + rule(2, 2) + rule(3)]), 14 * DAY)
    assert on_trial(trial, 14, 14 * DAY) == {(1, 2), (1, 3)}


def test_what_comes_back_with_an_older_revision_is_no_newcomer() -> None:
    trial = begin(Trial({}), index([rule(1)]), 0)
    trial = begin(trial, index([rule(1, 2)]), 20 * DAY)
    back = begin(trial, index([rule(1)]), 21 * DAY)
    assert on_trial(back, 14, 21 * DAY) == frozenset()
    for changes in range(REMEMBERED + 1):
        trial = begin(trial, index([rule(9, changes)]), 22 * DAY)
    assert on_trial(begin(trial, index([rule(1)]), 23 * DAY), 14, 23 * DAY) == {(1, 1)}


def test_a_clock_set_back_keeps_signatures_on_trial() -> None:
    trial = begin(Trial({}), index([rule(1)]), 100 * DAY)
    assert on_trial(trial, 14, 0) == {(1, 1)}


# --- the store ------------------------------------------------------------------------------------------------


def test_revisions_come_stand_and_go_back(tmp_path: Path) -> None:
    store = FeedStore(tmp_path)
    assert store.feeds() == []
    first = store.put("own", files(rule(1)), "test", 10)
    assert first is not None
    assert store.put("own", files(rule(1)), "test", 11) is None  # nothing new
    second = store.put("own", files(rule(1), rule(2)), "test", 12)
    assert second is not None and second.signatures == 2
    assert store.feeds() == ["own"]
    assert store.current("own") == second
    assert store.back("own", 13) == first
    assert store.current("own") == first
    folder = store.path("own")
    assert folder is not None and (folder / "own.rules").read_text() == rule(1)
    assert store.take("own", 2, 14) == second
    with pytest.raises(FeedStoreError, match=r"no revision 9; there are: 1, 2"):
        store.take("own", 9, 15)


def test_there_is_nothing_before_the_first_revision(tmp_path: Path) -> None:
    store = FeedStore(tmp_path)
    store.put("own", files(rule(1)), "test", 10)
    with pytest.raises(FeedStoreError, match="before"):
        store.back("own", 11)


def test_old_revisions_go_and_the_current_one_stays(tmp_path: Path) -> None:
    store = FeedStore(tmp_path)
    for number in range(1, KEPT + 4):
        store.put("own", files(rule(number)), "test", number)
    assert [one.serial for one in store.revisions("own")] == list(range(4, KEPT + 4))


def test_a_feed_is_forgotten_whole_and_may_come_again(tmp_path: Path) -> None:
    store = FeedStore(tmp_path)
    store.put("own", files(rule(1)), "test", 10)
    store.put("other", files(rule(2)), "test", 10)
    store.forget("own")
    assert store.kept() == store.feeds() == ["other"]
    assert store.current("own") is None and store.revisions("own") == []
    again = store.put("own", files(rule(3)), "test", 11)
    assert again is not None and again.serial == 1


def test_a_revision_cut_short_by_a_power_cut_counts_as_none(tmp_path: Path) -> None:
    store = FeedStore(tmp_path)
    store.put("own", files(rule(1)), "test", 10)
    left = tmp_path / "own" / "000002-0123456789ab"
    left.mkdir()
    (left / "own.rules").write_text("half")
    assert [one.serial for one in store.revisions("own")] == [1]
    second = store.put("own", files(rule(2)), "test", 11)
    assert second is not None and second.serial == 2
    assert not left.exists()


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".hidden"])
def test_a_name_leads_nowhere_else(tmp_path: Path, name: str) -> None:
    with pytest.raises(FeedStoreError):
        FeedStore(tmp_path / "feeds").put(name, files(rule(1)), "test", 1)
    assert list(tmp_path.rglob("*.rules")) == []


def test_a_feed_without_rules_is_refused_and_the_old_one_stays(tmp_path: Path) -> None:
    store = FeedStore(tmp_path)
    first = store.put("own", files(rule(1)), "test", 1)
    with pytest.raises(FeedStoreError, match="no rule"):
        store.put("own", {"own.rules": b"<html>sorry</html>"[:0]}, "test", 2)
    assert store.current("own") == first


# --- archives and digests -------------------------------------------------------------------------------------


def test_an_archive_gives_its_rule_files_and_no_folder() -> None:
    found = unpack("x.tar.gz", archive({"rules/a.rules": b"a", "rules/classification.config": b"c", "run.sh": b"#!"}))
    assert found == {"a.rules": b"a", "classification.config": b"c"}


def test_links_and_strange_names_in_an_archive_are_left_out() -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        link = tarfile.TarInfo("evil.rules")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/shadow"
        tar.addfile(link)
        plain = tarfile.TarInfo("../../etc/good.rules")
        plain.size = 1
        tar.addfile(plain, io.BytesIO(b"x"))
    assert unpack("x.tar", packed.getvalue()) == {"good.rules": b"x"}


@pytest.mark.parametrize(
    "content",
    [b"", b"<html>", b"\x1f\x8b\x08garbage", archive({"a.rules": b"x" * 9000})[:60]],
    # an archive has the time in it, and every process that runs tests must find the same names
    ids=["nothing", "a page", "no archive", "cut off"],
)
def test_what_is_no_archive_is_refused(content: bytes) -> None:
    with pytest.raises(FeedError):
        unpack("x.tar.gz", content)


def test_one_plain_rule_file_is_a_feed() -> None:
    assert unpack("csirt.rules", rule(1).encode()) == {"csirt.rules": rule(1).encode()}


def test_a_checksum_file_begins_with_its_digest() -> None:
    assert digest_in(b"D41D8CD98F00B204E9800998ECF8427E  a.tar.gz\n", "x") == "d41d8cd98f00b204e9800998ecf8427e"
    with pytest.raises(FeedError, match="begins with no digest"):
        digest_in(b"<html>", "x")


# --- over https ------------------------------------------------------------------------------------------------


class Site(http.server.ThreadingHTTPServer):
    pages: dict[str, bytes]


class _Pages(http.server.BaseHTTPRequestHandler):
    server: Site

    def do_GET(self) -> None:
        page = self.server.pages.get(self.path)
        if self.path.startswith("/to/"):
            self.send_response(302)
            self.send_header("Location", self.path[4:].replace("http_", "http://"))
            self.end_headers()
        elif page is None:
            self.send_error(404)
        else:
            self.send_response(200)
            cut = self.path.startswith("/cut")
            self.send_header("Content-Length", str(len(page) + (100 if cut else 0)))
            self.end_headers()
            self.wfile.write(page)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def site(tmp_path: Path) -> Iterator[tuple[Site, str, Path]]:
    """A web server with its own certificate: the server, its address, the file with what to trust."""
    key, certificate = self_signed(["127.0.0.1"], datetime.datetime.now(datetime.UTC))
    (tmp_path / "key.pem").write_bytes(key)
    (tmp_path / "cert.pem").write_bytes(certificate)
    server = Site(("127.0.0.1", 0), _Pages)
    server.pages = {}
    server.socket = server_context(tmp_path / "key.pem", tmp_path / "cert.pem").wrap_socket(
        server.socket, server_side=True
    )
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server, f"https://127.0.0.1:{server.server_port}", tmp_path / "cert.pem"
    server.shutdown()
    server.server_close()
    thread.join()


def fetched(order: Order, trusted: Path | None) -> Fetched | Failed:
    """As the product does it: in a program of its own."""
    environment = dict(os.environ)
    if trusted is not None:
        environment["SSL_CERT_FILE"] = str(trusted)
    done = subprocess.run(
        [sys.executable, "-m", "dataplane.feedfetch"],
        input=msgspec.json.encode(order),
        capture_output=True,
        check=True,
        cwd=ROOT,
        env=environment,
        timeout=50,
    )
    return msgspec.msgpack.decode(done.stdout, type=Fetched | Failed)


def test_a_feed_comes_over_https_with_its_checksum(site: tuple[Site, str, Path]) -> None:
    server, address, trusted = site
    packed = archive({"rules/a.rules": rule(1).encode()})
    server.pages = {
        "/x.tar.gz": packed,
        "/x.tar.gz.md5": hashlib.md5(packed, usedforsecurity=False).hexdigest().encode() + b"\n",
        "/wrong.sha256": b"0" * 64,
    }
    got = fetched(Order(f"{address}/x.tar.gz", checksum=f"{address}/x.tar.gz.md5"), trusted)
    assert isinstance(got, Fetched) and got.files == {"a.rules": rule(1).encode()}
    got = fetched(Order(f"{address}/to//x.tar.gz", sha256=hashlib.sha256(packed).hexdigest()), trusted)
    assert isinstance(got, Fetched) and got.sha256 == hashlib.sha256(packed).hexdigest()
    for order in (
        Order(f"{address}/x.tar.gz", checksum=f"{address}/wrong.sha256"),
        Order(f"{address}/x.tar.gz", sha256="0" * 64),
    ):
        got = fetched(order, trusted)
        assert isinstance(got, Failed) and ("digest" in got.reason or "SHA-256" in got.reason)


@pytest.mark.parametrize(
    ("path", "said"),
    [("/none.rules", "404"), ("/cut.rules", "broke off"), ("/to/http_127.0.0.1/x.rules", "no https address")],
)
def test_what_is_not_whole_or_leaves_https_is_refused(site: tuple[Site, str, Path], path: str, said: str) -> None:
    server, address, trusted = site
    server.pages = {"/cut.rules": rule(1).encode()}
    got = fetched(Order(f"{address}{path}"), trusted)
    assert isinstance(got, Failed) and said in got.reason


def test_a_server_nobody_vouches_for_is_refused(site: tuple[Site, str, Path]) -> None:
    server, address, _ = site
    server.pages = {"/x.rules": rule(1).encode()}
    got = fetched(Order(f"{address}/x.rules"), None)
    assert isinstance(got, Failed) and "certificate" in got.reason


def test_a_signed_feed_is_taken_from_the_holder_of_the_key_alone(
    site: tuple[Site, str, Path], tmp_path: Path
) -> None:
    server, address, trusted = site
    holder = Ed25519PrivateKey.generate()
    public = base64.b64encode(holder.public_key().public_bytes_raw()).decode()
    content = rule(1).encode()
    server.pages = {"/x.rules": content, "/x.rules.sig": base64.b64encode(holder.sign(content))}
    order = Order(f"{address}/x.rules", key=public)
    assert isinstance(fetched(order, trusted), Fetched)
    server.pages["/x.rules"] = content.replace(b"alert", b"pass")
    got = fetched(order, trusted)
    assert isinstance(got, Failed) and "signature" in got.reason


# --- updates --------------------------------------------------------------------------------------------------


def test_a_folder_of_the_gateway_is_a_feed(tmp_path: Path) -> None:
    rules = tmp_path / "rules"
    (rules / "own").mkdir(parents=True)
    (rules / "own" / "a.rules").write_text(rule(1))
    (rules / "own" / "notes.md").write_text("not a rule")
    store, feed = FeedStore(rules / FOLDER), Feed("own", file="own")
    first = update(store, feed, rules, Account(), 10)
    assert first.revision is not None and [one.sid for one in first.difference.added] == [1]
    assert update(store, feed, rules, Account(), 11).revision is None
    (rules / "own" / "a.rules").write_text(rule(1, 2))
    looked = update(store, feed, rules, Account(), 12, keep=False)
    assert looked.revision is None and len(looked.difference.changed) == 1
    assert store.current("own") == first.revision


def test_a_feed_reads_nothing_outside_the_folder_of_rules(tmp_path: Path) -> None:
    (tmp_path / "rules").mkdir()
    (tmp_path / "secret.rules").write_text(rule(1))
    store = FeedStore(tmp_path / "rules" / FOLDER)
    with pytest.raises(FeedError, match="does not lie in"):
        update(store, Feed("own", file="../secret.rules"), tmp_path / "rules", Account(), 1)
    assert store.feeds() == []


def test_an_address_that_fails_leaves_the_feed_as_it_was(tmp_path: Path) -> None:
    store = FeedStore(tmp_path / FOLDER)
    first = store.put("csirt", files(rule(1)), "test", 1)
    with pytest.raises(FeedError, match="feed csirt"):
        update(store, Feed("csirt", address="https://127.0.0.1:1/x.rules"), tmp_path, Account(), 2)
    assert store.current("csirt") == first


def test_feeds_are_due_after_their_hours_and_when_the_clock_was_set_back(tmp_path: Path) -> None:
    store, feed = FeedStore(tmp_path), Feed("own", file="own", refresh=24)
    assert due(store, [feed], 0) == [feed]
    store.put("own", files(rule(1)), "test", 100 * DAY)
    assert due(store, [feed], 101 * DAY - 1) == []
    assert due(store, [feed], 101 * DAY) == [feed]
    assert due(store, [feed], 99 * DAY) == [feed]
