"""A DNS server for tests, run as a process: answers from a JSON file that is read again for each question.

Arguments: address, port, file. The file maps names to {"A": [...], "AAAA": [...], "ttl": n, "rcode": "NXDOMAIN"}.
"""

from __future__ import annotations

import json
import socket
import socketserver
import struct
import sys
import threading
from pathlib import Path

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset


def answer(wire: bytes, table: Path, room: int) -> bytes:
    query = dns.message.from_wire(wire)
    reply = dns.message.make_response(query)
    question = query.question[0]
    entry = json.loads(table.read_text()).get(question.name.to_text(omit_final_dot=True).lower())
    if entry is None:
        reply.set_rcode(dns.rcode.NXDOMAIN)
    elif "rcode" in entry:
        reply.set_rcode(dns.rcode.from_text(entry["rcode"]))
    else:
        records = entry.get(dns.rdatatype.to_text(question.rdtype), [])
        if records:
            reply.answer.append(
                dns.rrset.from_text_list(question.name, entry.get("ttl", 60), "IN", question.rdtype, records)
            )
    data = reply.to_wire(max_size=65535)
    if len(data) > room:
        reply.answer.clear()
        reply.flags |= dns.flags.TC
        data = reply.to_wire()
    return data


class OverUdp(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        wire, sender = self.request
        sender.sendto(answer(wire, TABLE, 1232), self.client_address)


class OverTcp(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        while head := self.rfile.read(2):
            data = answer(self.rfile.read(struct.unpack("!H", head)[0]), TABLE, 65535)
            self.wfile.write(struct.pack("!H", len(data)) + data)


class TcpServer(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    address_family = socket.AF_INET


if __name__ == "__main__":
    TABLE = Path(sys.argv[3])
    where = (sys.argv[1], int(sys.argv[2]))
    udp, tcp = socketserver.ThreadingUDPServer(where, OverUdp), TcpServer(where, OverTcp)
    threading.Thread(target=tcp.serve_forever, daemon=True).start()
    print("ready", flush=True)
    udp.serve_forever()
