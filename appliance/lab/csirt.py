"""The lab's CSIRT: reads what the ministry's gateway saw and warns it, with the OASIS client for TAXII.

`follow` is what it does by itself in `make run`: of who looks for a way to log in to the web site the gateway only
tells; this CSIRT takes that for an attack and says so, and the gateway blocks it. By hand, from the namespace of the
host `csirt`: `python -m appliance.lab.csirt alerts`, or `warn ADDRESS`.
"""

from __future__ import annotations

import argparse
import datetime
import os
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from requests.exceptions import RequestException
from taxii2client.common import TokenAuth
from taxii2client.exceptions import TAXIIServiceException
from taxii2client.v21 import Collection, Server, as_pages

from appliance.lab.netns import inside
from appliance.lab.registry import ROOT
from appliance.lab.topology import CSIRT_TOKEN, GATEWAY4
from appliance.lab.traffic import Attempt

CERTIFICATE = "gw/state/alertd/certificate.pem"  # in the lab's directory; what the operator of a site gives away
SUSPECT = "looks for a way to log in"
_BEGINNING = "2000-01-01T00:00:00Z"
_PAGE = 1000
_EVERY = 0.25  # seconds between two questions
_AGAIN = 2.0  # when there was no answer: the gateway restarts, or its policy knows no CSIRT
_PATIENCE = 10.0
_LASTS = datetime.timedelta(hours=1)
# requests believes these over what it is told, and the lab is its own world.
_ENVIRONMENT = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")


class CsirtError(Exception):
    """The gateway did not answer, or did not take what it was given; the text says why."""


class Sighting(NamedTuple):
    """An alert as it came: in words, whose packet it was ("" where that is nobody's), and when (seconds, UTC)."""

    words: str
    source: str
    time: float


class Csirt:
    """A consumer of the gateway. Raises `CsirtError`."""

    def __init__(self, certificate: Path, address: str = GATEWAY4, token: str = CSIRT_TOKEN) -> None:
        for name in _ENVIRONMENT:
            os.environ.pop(name, None)
        try:
            server = Server(f"https://{address}:8443/taxii2/", auth=TokenAuth(token), verify=str(certificate))
            self._collections: dict[str, Collection] = {one.alias: one for one in server.default.collections}
        except (RequestException, TAXIIServiceException, OSError) as error:
            raise CsirtError(str(error)) from error
        self._after = _BEGINNING
        self._last: frozenset[str] = frozenset()  # what came with the last answer
        self._addresses: dict[str, str] = {}  # by identifier: a later alert refers to one that came before
        self._sources: dict[str, str] = {}  # of network traffic

    def new(self) -> list[Sighting]:
        """Alerts that came since the last call, each once."""
        collection = self._collections["alerts"]
        try:
            listed = [one for page in as_pages(collection.get_manifest, _PAGE, added_after=self._after)
                      for one in page.get("objects", ())]  # fmt: skip
            if not listed:
                return []
            objects = {one["id"]: one for page in as_pages(collection.get_objects, _PAGE, added_after=self._after)
                       for one in page.get("objects", ())}  # fmt: skip
        except (RequestException, TAXIIServiceException) as error:
            raise CsirtError(str(error)) from error
        fresh = objects.keys() - self._last
        # What was added between the two questions comes again with the next answer.
        self._after, self._last = listed[-1]["date_added"], frozenset(objects)
        return list(self._sightings(objects, fresh))

    def _sightings(self, objects: dict[str, Any], fresh: set[str]) -> Iterator[Sighting]:
        for name, one in objects.items():
            if one["type"] in ("ipv4-addr", "ipv6-addr"):
                self._addresses[name] = one["value"]
            elif one["type"] == "network-traffic":
                self._sources[name] = one.get("src_ref", "")
        for name, one in objects.items():
            if one["type"] == "sighting" and name in fresh:
                moment = datetime.datetime.fromisoformat(one["first_seen"].replace("Z", "+00:00"))
                yield Sighting(one["description"], self._source(one, objects), moment.timestamp())

    def _source(self, one: Any, objects: dict[str, Any]) -> str:
        seen = [each for name in one.get("observed_data_refs", ()) for each in objects[name]["object_refs"]]
        ends = [self._sources[each] for each in seen if each in self._sources]
        return next((self._addresses.get(end, "") for end in ends), "")

    def sightings_of(self, identifier: str) -> int:
        """How often the gateway met what an indicator names."""
        collection = self._collections["sightings"]
        try:
            objects = [one for page in as_pages(collection.get_objects, _PAGE, type="sighting")
                       for one in page.get("objects", ())]  # fmt: skip
        except (RequestException, TAXIIServiceException) as error:
            raise CsirtError(str(error)) from error
        return sum(int(one["count"]) for one in objects if one["sighting_of_ref"] == identifier)

    def warn(self, address: str, why: str) -> str:
        """Post an indicator of an address; its identifier."""
        now = datetime.datetime.now(datetime.UTC)
        indicator = {
            "type": "indicator", "spec_version": "2.1", "id": f"indicator--{uuid.uuid4()}", "created": _stamp(now),
            "modified": _stamp(now), "valid_from": _stamp(now), "valid_until": _stamp(now + _LASTS),
            "name": why, "confidence": 90, "indicator_types": ["malicious-activity"],
            "pattern_type": "stix", "pattern": f"[ipv{6 if ':' in address else 4}-addr:value = '{address}']",
        }  # fmt: skip
        try:
            status = self._collections["indicators"].add_objects({"objects": [indicator]})
        except (RequestException, TAXIIServiceException) as error:
            raise CsirtError(str(error)) from error
        if status.failure_count:
            raise CsirtError(str(status.failures[0].get("message", "it was not taken")))
        return str(indicator["id"])


def _stamp(moment: datetime.datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


# --- by itself ------------------------------------------------------------------------------------------------------


def follow(host: str, namespace: Path, certificate: Path, tell: Callable[[Attempt], None]) -> None:
    """Read and warn until the process ends. The thread stays in the namespace of the host."""
    with inside(namespace):
        csirt: Csirt | None = None
        while True:
            try:
                csirt = csirt or Csirt(certificate)
                for one in csirt.new():
                    if SUSPECT in one.words and one.source:
                        for attempt in _handled(csirt, host, one):
                            tell(attempt)
            except CsirtError:
                time.sleep(_AGAIN)
            time.sleep(_EVERY)


def _handled(csirt: Csirt, host: str, one: Sighting) -> Iterator[Attempt]:
    late = f"{max(time.time() - one.time, 0):.2f} s after it fell"
    yield Attempt(host, f"an alert of {one.source}, read by TAXII", meant=True, reached=True, words=late, grave=True)
    identifier = csirt.warn(one.source, one.words)
    what = f"an indicator for {one.source}, posted by TAXII"
    yield Attempt(host, what, meant=True, reached=True, words=f"taken as {identifier[:19]}…", grave=True)


# --- by hand --------------------------------------------------------------------------------------------------------


def _connected(certificate: Path) -> Csirt:
    """The gateway listens a moment after its policy runs. Raises `CsirtError`."""
    until = time.monotonic() + _PATIENCE
    while True:
        try:
            return Csirt(certificate)
        except CsirtError:
            if time.monotonic() > until:
                raise
        time.sleep(_EVERY)


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="appliance.lab.csirt", description="What the lab's CSIRT does, by hand.")
    parser.add_argument("verb", choices=("alerts", "warn"), help="print the alerts, or warn of an address")
    parser.add_argument("address", nargs="?", default="", help="of whom to warn")
    parser.add_argument(
        "--lab", default=os.environ.get("REEF_LAB", "1"), help="the lab's id (default: $REEF_LAB, or 1)"
    )
    options = parser.parse_args(argv)
    if (options.verb == "warn") != bool(options.address):
        parser.error("`warn` needs an address, `alerts` takes none")
    try:
        csirt = _connected(ROOT / options.lab / CERTIFICATE)
        if options.verb == "warn":
            print(csirt.warn(options.address, "the lab's CSIRT was asked to warn of it"))
        else:
            for one in csirt.new():
                moment = datetime.datetime.fromtimestamp(one.time, datetime.UTC)
                print(f"{moment:%H:%M:%S.%f}Z  {one.source or '-':<15}  {one.words}")
    except CsirtError as error:
        print(f"csirt: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
