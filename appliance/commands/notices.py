"""`reef notices`: what owners are told of what is theirs."""

from __future__ import annotations

import argparse

from appliance.commands.failure import OK
from appliance.commands.gateway import Gateway
from appliance.commands.terminal import Terminal
from appliance.commands.words import local_time
from appliance.control.messages.notices import NoticeList, OwnNotices, SeeNotices


def listing(options: argparse.Namespace, terminal: Terminal) -> int:
    gateway = Gateway(options)
    found = gateway.ask(OwnNotices(options.everybody, options.limit), NoticeList)
    if options.seen and found.notices:
        gateway.ask(SeeNotices(found.notices[0].number), NoticeList)
    if terminal.json:
        terminal.data(found)
        return OK
    rows = [
        ("new" if one.number > found.seen else "", local_time(one.told), one.owner, one.subject, one.words)
        for one in found.notices
    ]
    terminal.table(("", "when", "owner", "what", "words"), rows, empty="there is nothing to tell")
    return OK
