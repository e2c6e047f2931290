"""Every keyword of the language, one line each: what reads it, how its value is, what docs/rules.md says."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from ctypes_ext.ruleset import BUFFERS, TRANSFORMS, VALUES
from dataplane.rules import about, byteops, contents, dcerpc, expressions, files, flows, packets, transactions
from dataplane.rules.draft import Draft
from dataplane.rules.problem import Refused

Reader = Callable[[Draft, str], None]
NEEDED, OPTIONAL, NONE = "needed", "optional", "none"


class Keyword(NamedTuple):
    """How a keyword is read."""

    read: Reader
    value: str  # NEEDED, OPTIONAL or NONE
    group: str  # the heading it stands under in docs/rules.md
    remark: str = ""  # how it differs from Suricata, and why
    supported: bool = True

    @property
    def state(self) -> str:
        """supported, differs (from Suricata, as the remark says) or unsupported."""
        if not self.supported:
            return "unsupported"
        return "differs" if self.remark else "supported"


def _nothing(draft: Draft, value: str) -> None:
    """Read by the compiler itself, or without effect."""


def _refused(reason: str) -> Reader:
    def read(draft: Draft, value: str) -> None:
        raise Refused(reason, unsupported=True)

    return read


def _about() -> dict[str, Keyword]:
    group = "About the rule"
    return {
        "msg": Keyword(about.message, NEEDED, group),
        "sid": Keyword(about.sid, NEEDED, group),
        "gid": Keyword(about.gid, NEEDED, group),
        "rev": Keyword(about.rev, NEEDED, group),
        "priority": Keyword(about.priority, NEEDED, group),
        "classtype": Keyword(_nothing, NEEDED, group),
        "reference": Keyword(_nothing, NEEDED, group),
        "metadata": Keyword(about.metadata, NEEDED, group),
        "target": Keyword(about.target, NEEDED, group),
        "noalert": Keyword(about.noalert, NONE, group),
        "alert": Keyword(about.alert, NONE, group),
        "prefilter": Keyword(about.prefilter, NONE, group),
        "requires": Keyword(
            _nothing, NEEDED, group, "versions are compared with 7.0.10; no feature of the other program is there"
        ),
    }


def _contents() -> dict[str, Keyword]:
    group = "Payload and buffers"
    return {
        "content": Keyword(contents.content, NEEDED, group),
        "nocase": Keyword(contents.nocase, NONE, group),
        "rawbytes": Keyword(contents.rawbytes, NONE, group),
        "depth": Keyword(contents.depth, NEEDED, group),
        "offset": Keyword(contents.offset, NEEDED, group),
        "distance": Keyword(contents.distance, NEEDED, group),
        "within": Keyword(contents.within, NEEDED, group),
        "startswith": Keyword(contents.startswith, NONE, group),
        "endswith": Keyword(contents.endswith, NONE, group),
        "fast_pattern": Keyword(contents.fast_pattern, OPTIONAL, group),
        "replace": Keyword(contents.replace, NEEDED, group, "traffic is not changed", supported=False),
        "pcre": Keyword(expressions.pcre, NEEDED, group),
        "isdataat": Keyword(byteops.isdataat, NEEDED, group),
        "bsize": Keyword(byteops.bsize, NEEDED, group),
        "dsize": Keyword(packets.dsize, NEEDED, group),
        "byte_test": Keyword(byteops.byte_test, NEEDED, group),
        "byte_jump": Keyword(byteops.byte_jump, NEEDED, group),
        "byte_extract": Keyword(byteops.byte_extract, NEEDED, group),
        "byte_math": Keyword(byteops.byte_math, NEEDED, group),
        "base64_decode": Keyword(byteops.base64_decode, OPTIONAL, group),
        "base64_data": Keyword(byteops.base64_data, NONE, group),
        "asn1": Keyword(byteops.asn1, NEEDED, group),
        "rpc": Keyword(packets.rpc, NEEDED, group),
        "pkt_data": Keyword(transactions.pkt_data, NONE, group),
    }


def _packets() -> dict[str, Keyword]:
    group = "Headers of packets"
    compared, equal = packets.compared, packets.equal
    flags = Keyword(packets.tcp_flags, NEEDED, group)
    mss = Keyword(compared("TCP_MSS", 16, "the MSS"), NEEDED, group)
    ack = Keyword(equal("TCP_ACK", 32, "the number"), NEEDED, group)
    seq = Keyword(equal("TCP_SEQUENCE", 32, "the number"), NEEDED, group)
    window = Keyword(packets.tcp_window, NEEDED, group)
    return {
        "ttl": Keyword(compared("TTL", 8, "the TTL"), NEEDED, group),
        "tos": Keyword(equal("TOS", 8, "the TOS"), NEEDED, group),
        "id": Keyword(equal("IP_ID", 16, "the id"), NEEDED, group),
        "ip_proto": Keyword(packets.ip_proto, NEEDED, group),
        "ipopts": Keyword(packets.ipopts, NEEDED, group),
        "sameip": Keyword(packets.sameip, NONE, group),
        "fragbits": Keyword(packets.fragbits, NEEDED, group),
        "fragoffset": Keyword(packets.fragoffset, NEEDED, group),
        "geoip": Keyword(packets.geoip, NEEDED, group),
        "flags": flags, "tcp.flags": flags,
        "seq": seq, "tcp.seq": seq,
        "ack": ack, "tcp.ack": ack,
        "window": window, "tcp.window": window,
        "tcp.mss": mss,
        "tcp.wscale": Keyword(compared("TCP_WSCALE", 8, "the scale"), NEEDED, group),
        "itype": Keyword(compared("ICMP_TYPE", 8, "the type"), NEEDED, group),
        "icode": Keyword(compared("ICMP_CODE", 8, "the code"), NEEDED, group),
        "icmp_id": Keyword(equal("ICMP_ID", 16, "the id"), NEEDED, group),
        "icmp_seq": Keyword(equal("ICMP_SEQ", 16, "the number"), NEEDED, group),
        "icmpv6.mtu": Keyword(compared("ICMPV6_MTU", 32, "the MTU"), NEEDED, group),
        "ipv4-csum": Keyword(packets.checksum(4, 4), NEEDED, group),
        "tcpv4-csum": Keyword(packets.checksum(6, 4), NEEDED, group),
        "tcpv6-csum": Keyword(packets.checksum(6, 6), NEEDED, group),
        "udpv4-csum": Keyword(packets.checksum(17, 4), NEEDED, group),
        "udpv6-csum": Keyword(packets.checksum(17, 6), NEEDED, group),
        "icmpv4-csum": Keyword(packets.checksum(1, 4), NEEDED, group),
        "icmpv6-csum": Keyword(packets.checksum(58, 6), NEEDED, group),
        "decode-event": Keyword(packets.decode_event, NEEDED, group),
        "stream-event": Keyword(packets.stream_event, NEEDED, group),
    }  # fmt: skip


def _flows() -> dict[str, Keyword]:
    group = "Flows, state and rates"
    number = flows.flow_number
    return {
        "flow": Keyword(flows.flow, NEEDED, group),
        "flowbits": Keyword(flows.flowbits, NEEDED, group),
        "flowint": Keyword(flows.flowint, NEEDED, group),
        "xbits": Keyword(flows.xbits, NEEDED, group),
        "hostbits": Keyword(flows.hostbits, NEEDED, group),
        "stream_size": Keyword(flows.stream_size, NEEDED, group),
        "threshold": Keyword(flows.threshold, NEEDED, group),
        "detection_filter": Keyword(flows.detection_filter, NEEDED, group),
        "tag": Keyword(flows.tag, NEEDED, group),
        "bypass": Keyword(flows.bypass, NONE, group),
        "flow.age": Keyword(number("FLOW_AGE", 32, "the age"), NEEDED, group),
        "flow.pkts_toserver": Keyword(number("FLOW_PKTS", 32, "the packets"), NEEDED, group),
        "flow.pkts_toclient": Keyword(number("FLOW_PKTS", 32, "the packets", 1), NEEDED, group),
        "flow.bytes_toserver": Keyword(number("FLOW_BYTES", 63, "the bytes"), NEEDED, group),
        "flow.bytes_toclient": Keyword(number("FLOW_BYTES", 63, "the bytes", 1), NEEDED, group),
    }


# Content modifiers of old, and the buffers they mean.
MODIFIERS = {
    "http_uri": "http.uri", "http_raw_uri": "http.uri.raw", "http_header": "http.header",
    "http_raw_header": "http.header.raw", "http_method": "http.method", "http_cookie": "http.cookie",
    "http_host": "http.host", "http_raw_host": "http.host.raw", "http_user_agent": "http.user_agent",
    "http_client_body": "http.request_body", "http_server_body": "http.response_body",
    "http_stat_code": "http.stat_code", "http_stat_msg": "http.stat_msg",
}  # fmt: skip

# Other names of sticky buffers.
ALIASES = {
    "http_header_names": "http.header_names", "http_accept": "http.accept", "http_accept_enc": "http.accept_enc",
    "http_accept_lang": "http.accept_lang", "http_connection": "http.connection",
    "http_content_type": "http.content_type", "http_content_len": "http.content_len",
    "http_protocol": "http.protocol", "http_referer": "http.referer", "http_start": "http.start",
    "http_request_line": "http.request_line", "http_response_line": "http.response_line", "file_data": "file.data",
    "dns_query": "dns.query", "tls_sni": "tls.sni", "tls_cert_subject": "tls.cert_subject",
    "tls_cert_issuer": "tls.cert_issuer", "tls_cert_serial": "tls.cert_serial",
    "tls_cert_fingerprint": "tls.cert_fingerprint", "ja3_hash": "ja3.hash", "ja3_string": "ja3.string",
    "ssh_proto": "ssh.proto", "ssh_software": "ssh.software", "smb_named_pipe": "smb.named_pipe",
    "smb_share": "smb.share", "dce_stub_data": "dcerpc.stub_data", "dnp3_data": "dnp3.data",
    "krb5_cname": "krb5.cname", "krb5_sname": "krb5.sname",
}  # fmt: skip


_OF_OURS = {"http.url": "not in Suricata: the host without its port, in small letters, and `http.uri` behind it"}


def _buffers() -> dict[str, Keyword]:
    group = "Buffers"
    own = {"", "payload", "base64_data", "filemd5", "filesha1", "filesha256", "dcerpc.iface"}
    found = {
        name: Keyword(transactions.sticky(name), NONE, group, _OF_OURS.get(name, ""))
        for name in BUFFERS
        if name not in own and name[:6] != "frame:"
    }
    for digest in ("md5", "sha1", "sha256"):
        remark = f"not in Suricata: the bytes of the digest, for `dataset`; `file{digest}` asks lists in files"
        found[f"file.{digest}"] = Keyword(transactions.sticky(f"file{digest}"), NONE, group, remark)
    for alias, name in ALIASES.items():
        if name in BUFFERS:
            found[alias] = Keyword(transactions.sticky(name), NONE, group)
    for alias, name in MODIFIERS.items():
        if name in BUFFERS:
            found[alias] = Keyword(transactions.modifier(name), NONE, group)
    return found


def _transforms() -> dict[str, Keyword]:
    group = "Transforms"
    found = {name: Keyword(transactions.transform(name), NONE, group) for name in TRANSFORMS}
    found["xor"] = Keyword(transactions.xor, NEEDED, group)
    found["pcrexform"] = Keyword(transactions.pcrexform, NEEDED, group)
    found["from_base64"] = Keyword(transactions.from_base64, OPTIONAL, group)
    return found


def _transactions() -> dict[str, Keyword]:
    group = "Application layer"
    return {
        "uricontent": Keyword(transactions.uricontent, NEEDED, group),
        "urilen": Keyword(transactions.urilen, NEEDED, group),
        "ftpbounce": Keyword(packets.ftpbounce, NONE, group),
        "app-layer-event": Keyword(transactions.app_layer_event, NEEDED, group),
        "app-layer-protocol": Keyword(transactions.app_layer_protocol, NEEDED, group),
        "tls.version": Keyword(transactions.tls_version, NEEDED, group),
        "dcerpc.iface": Keyword(dcerpc.iface, NEEDED, group),
        "dce_iface": Keyword(dcerpc.iface, NEEDED, group),
        "dcerpc.opnum": Keyword(dcerpc.opnum, NEEDED, group, "one operation or one range"),
        "dce_opnum": Keyword(dcerpc.opnum, NEEDED, group, "one operation or one range"),
        "tls.subject": Keyword(transactions.within("tls.cert_subject"), NEEDED, group),
        "tls.issuerdn": Keyword(transactions.within("tls.cert_issuer"), NEEDED, group),
        "tls.fingerprint": Keyword(transactions.within("tls.cert_fingerprint", nocase=True), NEEDED, group),
    }


_MQTT_FLAGS = {"retain": 1, "dup": 8}
_MQTT_CONNECT_FLAGS = {
    "clean_session": 0x02, "will": 0x04, "will_retain": 0x20, "password": 0x40, "username": 0x80,
}  # fmt: skip


def _values() -> dict[str, Keyword]:
    """Numbers of transactions: what the parsers say they know is a keyword."""
    group = "Numbers of transactions"
    return {name: Keyword(transactions.number(name, 32, WORDS.get(name)), NEEDED, group) for name in VALUES} | {
        "mqtt.flags": Keyword(transactions.flagged("mqtt.flags", _MQTT_FLAGS), NEEDED, group),
        "mqtt.connect.flags": Keyword(transactions.flagged("mqtt.connect.flags", _MQTT_CONNECT_FLAGS), NEEDED, group),
        "mqtt.connack.session_present": Keyword(
            transactions.yes_or_no("mqtt.connack.session_present"), NEEDED, group
        ),
        "ike.chosen_sa_attribute": Keyword(transactions.chosen_attribute, NEEDED, group),
        "http2.settings": Keyword(transactions.http2_settings, NEEDED, group),
    }


def _files() -> dict[str, Keyword]:
    group = "Files and lists"
    within = transactions.within
    kept = "changes are kept while the engine runs; nothing is written back to the file"
    return {
        "filename": Keyword(within("file.name", nocase=True), NEEDED, group),
        "fileext": Keyword(within("file.name", nocase=True, ends=True, before="."), NEEDED, group),
        "filemagic": Keyword(within("file.magic", nocase=True), NEEDED, group),
        "filesize": Keyword(transactions.filesize, NEEDED, group),
        "filemd5": Keyword(files.digests("filemd5", 16), NEEDED, group),
        "filesha1": Keyword(files.digests("filesha1", 20), NEEDED, group),
        "filesha256": Keyword(files.digests("filesha256", 32), NEEDED, group),
        "filestore": Keyword(files.filestore, OPTIONAL, group),
        "dataset": Keyword(files.dataset, NEEDED, group, kept),
        "datarep": Keyword(files.datarep, NEEDED, group),
    }


def _never() -> dict[str, Keyword]:
    group = "Not supported"
    script = _refused("scripts in rules are not run: what a script decides cannot be bounded")
    return {
        "lua": Keyword(script, NEEDED, group, "scripts are not run", supported=False),
        "frame": Keyword(
            transactions.frame,
            NEEDED,
            "Application layer",
            "up to 128 KiB of each are kept: HTTP/1, SIP, SMB, Telnet, TLS",
        ),
        "iprep": Keyword(
            _refused("reputations of addresses are not built: use datarep or address groups"),
            NEEDED,
            group,
            "not built",
            supported=False,
        ),
        "luajit": Keyword(script, NEEDED, group, "scripts are not run", supported=False),
    }


# Names of numbers.
WORDS: dict[str, dict[str, int]] = {
    "ftpdata_command": {"retr": 1, "stor": 2},
    "http2.frametype": {
        name: number
        for number, name in enumerate(
            (
                "data", "headers", "priority", "rststream", "settings", "pushpromise", "ping", "goaway",
                "windowupdate", "continuation",
            )
        )
    },
    "http2.errorcode": {
        name: number
        for number, name in enumerate(
            (
                "no_error", "protocol_error", "internal_error", "flow_control_error", "settings_timeout",
                "stream_closed", "frame_size_error", "refused_stream", "cancel", "compression_error", "connect_error",
                "enhance_your_calm", "inadequate_security", "http_1_1_required",
            )
        )
    },
    "mqtt.type": {
        name: number
        for number, name in enumerate(
            (
                "unassigned", "connect", "connack", "publish", "puback", "pubrec", "pubrel", "pubcomp", "subscribe",
                "suback", "unsubscribe", "unsuback", "pingreq", "pingresp", "disconnect", "auth",
            )
        )
    },
}  # fmt: skip

KEYWORDS: dict[str, Keyword] = (
    _values()
    | _about()
    | _contents()
    | _packets()
    | _flows()
    | _buffers()
    | _transforms()
    | _transactions()
    | _files()
    | _never()
)
