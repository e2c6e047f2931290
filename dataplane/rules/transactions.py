"""Keywords of the application layer: sticky buffers, numbers, events, transforms."""

from __future__ import annotations

import re
from collections.abc import Callable

from ctypes_ext.ruleset import BUFFERS, PROTOCOLS, TRANSFORMS, VALUES
from dataplane.rules import codes, contents, files
from dataplane.rules.draft import Condition, Draft, Transform
from dataplane.rules.header import apps_of
from dataplane.rules.problem import Refused
from dataplane.rules.values import encoded, number_test, pieces, quoted, unquoted, whole

Keyword = Callable[[Draft, str], None]

# The protocol that a buffer or number implies, by the first part of its name; what is not here is of several.
_PROTOCOL_OF = {
    "http": "http", "http2": "http2", "dns": "dns", "tls": "tls", "ssh": "ssh", "smtp": "smtp", "email": "smtp",
    "ftp": "ftp", "sip": "sip", "smb": "smb", "dcerpc": "dcerpc", "krb5": "krb5", "snmp": "snmp", "mqtt": "mqtt",
    "ike": "ike", "quic": "quic", "dnp3": "dnp3", "modbus": "modbus", "rfb": "rfb", "enip": "enip", "nfs": "nfs",
    "ftpdata": "ftp-data", "dhcp": "dhcp", "ntp": "ntp", "telnet": "telnet",
}  # fmt: skip
_EITHER_TLS = ("tls", "quic")


def implied(draft: Draft, name: str) -> None:
    """The rule is for the protocol that a buffer's or number's name begins with."""
    first = re.split(r"[._]", name, maxsplit=1)[0]
    if first.startswith(("ja3", "ja4")):
        apps = 0
        for member in _EITHER_TLS:
            apps |= apps_of(member)
        draft.require_any(apps, "tls")
        return
    protocol = _PROTOCOL_OF.get(first)
    if protocol is not None:
        draft.require(protocol)


# A body of HTTP is looked at as a file, decompressed.
_SAME = {"http.response_body": "file.data"}


def sticky(name: str) -> Keyword:
    """A buffer that what follows looks into."""
    word = BUFFERS[_SAME.get(name, name)]

    def keyword(draft: Draft, value: str) -> None:
        implied(draft, name)
        draft.enter(word)

    return keyword


def frame(draft: Draft, value: str) -> None:
    """A stretch of the conversation: TYPE of the rule's protocol, or PROTOCOL.TYPE."""
    text = unquoted(value).strip()
    first, _, rest = text.partition(".")
    named = {"http1": "http"}.get(first, first)
    spoken = [member for member, word in PROTOCOLS.items() if draft.apps >> word.number & 1]
    for protocol, kind in [(member, text) for member in spoken] + [(named, rest)]:
        word = BUFFERS.get(f"frame:{protocol}/{kind}")
        if word is not None:
            draft.require(protocol)
            draft.enter(word)
            return
    raise Refused(f"the frame {text!r} is not told by any parser of this engine", unsupported=True)


def modifier(name: str) -> Keyword:
    """The old form: the content before belongs to this buffer."""
    word = BUFFERS[_SAME.get(name, name)]

    def keyword(draft: Draft, value: str) -> None:
        implied(draft, name)
        contents.moved(draft, word)

    return keyword


def pkt_data(draft: Draft, value: str) -> None:
    draft.leave()


def uricontent(draft: Draft, value: str) -> None:
    text, negated = quoted(value, negation=True)
    if draft.active is not None:
        raise Refused("cannot stand with a sticky buffer")
    draft.require("http")
    contents.add(draft, draft.of(contents.URI), contents.pattern(text), codes.NEGATED if negated else 0)


def urilen(draft: Draft, value: str) -> None:
    words = pieces(value)
    if len(words) > 2 or (len(words) == 2 and words[1] not in ("norm", "raw")):
        raise Refused("must be a number or a comparison, and perhaps ,norm or ,raw")
    compare, a, b = number_test(words[0], 16, "the length")
    draft.require("http")
    word = BUFFERS["http.uri.raw" if words[1:] == ["raw"] else "http.uri"]
    draft.of(word).conditions.append(Condition(codes.BSIZE, a, b, compare=compare))


def within(name: str, nocase: bool = False, ends: bool = False, before: str = "") -> Keyword:
    """Old keywords that hold a text which a buffer must contain."""
    word = BUFFERS[name]

    def keyword(draft: Draft, value: str) -> None:
        text, negated = quoted(value, negation=True)
        implied(draft, name)
        draft.leave()
        flags = (codes.NEGATED if negated else 0) | (codes.NOCASE if nocase else 0) | (codes.ENDSWITH if ends else 0)
        contents.add(draft, draft.of(word), contents.pattern(before + text), flags)
        draft.previous = None

    return keyword


# --- numbers --------------------------------------------------------------------------------------------


def condition(draft: Draft, name: str, compare: int, a: int, b: int = 0, flags: int = 0) -> None:
    """A number of the transaction."""
    word = VALUES[name]
    implied(draft, name)
    draft.conditions.append(Condition(codes.VALUE, a, b, compare=compare, base=word.number, flags=flags))
    draft.state = True
    if word.way != codes.EITHER_WAY:
        draft.towards(word.way)


def number(name: str, bits: int, words: dict[str, int] | None = None) -> Keyword:
    """A number of the transaction, compared; `words` are names of numbers."""

    def keyword(draft: Draft, value: str) -> None:
        text = unquoted(value)
        if words is not None:
            negated = text[:1] == "!"
            known = words.get(text.lstrip("! ").lower())
            if known is not None:
                condition(draft, name, codes.NE if negated else codes.EQ, known)
                return
        condition(draft, name, *number_test(text, bits, name))

    return keyword


_HTTP2_SETTINGS = (
    "SETTINGS_HEADER_TABLE_SIZE", "SETTINGS_ENABLE_PUSH", "SETTINGS_MAX_CONCURRENT_STREAMS",
    "SETTINGS_INITIAL_WINDOW_SIZE", "SETTINGS_MAX_FRAME_SIZE", "SETTINGS_MAX_HEADER_LIST_SIZE",
)  # fmt: skip


def http2_settings(draft: Draft, value: str) -> None:
    """A setting of HTTP/2 that was sent: `SETTINGS_ENABLE_PUSH`; perhaps its value: `SETTINGS_MAX_FRAME_SIZE>99`."""
    text = unquoted(value)
    name = re.split(r"\W", text, maxsplit=1)[0].upper()
    if name not in _HTTP2_SETTINGS:
        raise Refused(f"{name or value} is no setting of HTTP/2; there are {', '.join(_HTTP2_SETTINGS)}")
    number = f"http2.setting.{_HTTP2_SETTINGS.index(name) + 1}"
    rest = text[len(name) :].strip()
    condition(draft, number, *(number_test(rest, 32, number) if rest else (codes.GE, 0, 0)))


def filesize(draft: Draft, value: str) -> None:
    condition(draft, "filesize", *files.sized(unquoted(value)))


_TLS_VERSIONS = {"1.0": 0x0301, "1.1": 0x0302, "1.2": 0x0303, "1.3": 0x0304}


def tls_version(draft: Draft, value: str) -> None:
    text = unquoted(value).strip()
    version = _TLS_VERSIONS.get(text)
    if version is None:
        version = whole(text, 0, 65535, "the version") if text[:2] in ("0x", "0X") else -1
    if version < 0:
        raise Refused(f"must be one of {', '.join(_TLS_VERSIONS)} or 0x…; not {value!r}")
    condition(draft, "tls.version", codes.EQ, version)


def flagged(name: str, bits: dict[str, int]) -> Keyword:
    """Flags that must be set, or with ! must not be: of the same message."""

    def keyword(draft: Draft, value: str) -> None:
        wanted = mask = 0
        for word in pieces(unquoted(value)):
            bit = bits.get(word.lstrip("! ").lower())
            if bit is None:
                raise Refused(f"{word!r} is not known here; {', '.join(bits)} are")
            mask |= bit
            wanted |= 0 if word[:1] == "!" else bit
        condition(draft, name, codes.MASKED, wanted, mask)

    return keyword


def yes_or_no(name: str) -> Keyword:
    """A number that is 1 or 0."""

    def keyword(draft: Draft, value: str) -> None:
        text = unquoted(value).strip().lower()
        if text not in ("yes", "true", "no", "false"):
            raise Refused("must be yes or no")
        condition(draft, name, codes.EQ, text in ("yes", "true"))

    return keyword


_ATTRIBUTES = {
    "alg_enc": 1, "alg_hash": 2, "alg_auth": 3, "alg_dh": 4, "sa_group_type": 5, "sa_life_type": 11,
    "sa_life_duration": 12, "alg_prf": 13, "sa_key_length": 14, "sa_field_size": 15,
}  # fmt: skip


def chosen_attribute(draft: Draft, value: str) -> None:
    """`NAME=NUMBER` of the transform that an IKE responder chose."""
    name, _, number_text = unquoted(value).partition("=")
    attribute = _ATTRIBUTES.get(name.strip().lower())
    if attribute is None:
        raise Refused(f"{name.strip()!r} is not known here; {', '.join(_ATTRIBUTES)} are")
    chosen = whole(number_text, 0, (1 << 32) - 1, name.strip())
    condition(draft, "ike.chosen_sa_attribute", codes.EQ, attribute << 32 | chosen)


# --- events and protocols ----------------------------------------------------------------------------------


def app_layer_event(draft: Draft, value: str) -> None:
    text = unquoted(value)
    protocol, dot, event = text.partition(".")
    if not dot:
        raise Refused(
            f"the event {text!r} of the application layer as a whole is not known to this engine", unsupported=True
        )
    draft.require(protocol.lower())
    numbers = [
        (member.number, member.events[event.lower()])
        for member in PROTOCOLS.values()
        if draft.apps >> member.number & 1 and event.lower() in member.events
    ]
    if not numbers:
        raise Refused(f"the protocol {protocol} has no event {event!r} in this engine", unsupported=True)
    draft.conditions.append(Condition(codes.APP_EVENT, *numbers[0]))
    draft.apps = 1 << numbers[0][0]
    draft.state = True


_MODES = {"final": 1, "original": 2, "to_server": 3, "to_client": 4, "either": 5, "toserver": 3, "toclient": 4}


def app_layer_protocol(draft: Draft, value: str) -> None:
    words = pieces(unquoted(value))
    flags = codes.NEGATED if words[0][:1] == "!" else 0
    name = words[0].lstrip("!").strip().lower()
    mode = 0
    if len(words) > 1:
        if len(words) > 2 or words[1] not in _MODES:
            raise Refused(f"after the protocol comes one of {', '.join(_MODES)}")
        mode = _MODES[words[1]]
    if draft.apps:
        raise Refused("the rule is for a protocol of the application layer already")
    apps = 1 if name == "failed" else apps_of(name)
    if not apps:
        raise Refused(f"the protocol {name} is not known to this engine", unsupported=True)
    draft.conditions.append(Condition(codes.APP_PROTOCOL, apps, base=mode, flags=flags))
    draft.flags |= codes.NEEDS_FLOW


# --- transforms ---------------------------------------------------------------------------------------------


def transform(name: str) -> Keyword:
    row = Transform(TRANSFORMS[name])

    def keyword(draft: Draft, value: str) -> None:
        _transform(draft, row)

    return keyword


def _transform(draft: Draft, row: Transform) -> None:
    if draft.active is None:
        raise Refused("a transform needs a sticky buffer before it")
    draft.pending.append(row)


def xor(draft: Draft, value: str) -> None:
    try:
        key = bytes.fromhex(unquoted(value))
    except ValueError:
        key = b""
    if not 1 <= len(key) <= 255:
        raise Refused("the key must be hex, 1 to 255 bytes")
    _transform(draft, Transform(TRANSFORMS["xor"], argument=key))


def pcrexform(draft: Draft, value: str) -> None:
    text, _ = quoted(value)
    _transform(draft, Transform(TRANSFORMS["pcrexform"], argument=encoded(text)))


_BASE64_MODES = {"rfc4648": 0, "rfc2045": 1, "strict": 2}


def from_base64(draft: Draft, value: str) -> None:
    count, offset, mode = 0, 0, 0
    for text in pieces(value) if value else []:
        word, _, argument = text.partition(" ")
        if word == "bytes":
            count = whole(argument, 1, 65535, "bytes")
        elif word == "offset":
            offset = whole(argument, 0, 65535, "offset")
        elif word == "mode" and argument.strip().lower() in _BASE64_MODES:
            mode = _BASE64_MODES[argument.strip().lower()]
        else:
            raise Refused(f"{text!r} is not known here; bytes, offset and mode are")
    _transform(draft, Transform(TRANSFORMS["from_base64"], count, offset << 8 | mode))
