"""The recipe of `ctypes_ext._ruleset`: the names and numbers of the rule image, as the C headers have them."""

from __future__ import annotations

import re
from pathlib import Path

from cffi import FFI

INCLUDE = Path(__file__).resolve().parents[1] / "dataplane" / "include" / "reef"

CDEF = """
typedef struct reef_number { const char *name; int64_t value; ...; } reef_number;
typedef struct reef_word { const char *name; unsigned way, flags; ...; } reef_word;
extern const reef_number reef_numbers[];
extern const reef_number reef_sizes[];
extern const reef_word reef_buffer_words[];
extern const reef_word reef_value_words[];
extern const char *const reef_op_words[];
extern const char *const reef_transform_words[];
extern const char *const reef_event_words[];
const char *reef_protocol_word(unsigned number, unsigned *transport);
const char *reef_protocol_event_word(unsigned number, unsigned event);
unsigned reef_protocol_number_by_name(const char *name);
int reef_rules_check_expression(const char *pattern, size_t length, uint32_t pcre_options, char *error,
                                size_t error_size, size_t *offset);
"""

SOURCE = """
#include <stdint.h>
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include "reef/protocol.h"
#include "reef/rules.h"

typedef struct reef_number { const char *name; int64_t value; } reef_number;
typedef struct reef_word { const char *name; unsigned way, flags; } reef_word;
static const reef_number reef_numbers[] = {
@NUMBERS@
    { NULL, 0 },
};
static const reef_number reef_sizes[] = {
@SIZES@
    { NULL, 0 },
};
static const reef_word reef_buffer_words[] = {
#define REEF_BUFFER(id, name, way, flags) { name, way, flags },
#include "reef/buffers.def"
#undef REEF_BUFFER
    { NULL, 0, 0 },
};
static const reef_word reef_value_words[] = {
#define REEF_VALUE(id, name, way) { name, way, 0 },
#include "reef/values.def"
#undef REEF_VALUE
    { NULL, 0, 0 },
};
static const char *const reef_op_words[] = {
#define REEF_OP(id) #id,
#include "reef/ops.def"
#undef REEF_OP
    NULL,
};
static const char *const reef_transform_words[] = {
#define REEF_TRANSFORM(id, name) name,
#include "reef/transforms.def"
#undef REEF_TRANSFORM
    NULL,
};
static const char *const reef_event_words[] = {
#define REEF_EVENT(id, name) name,
#include "reef/decode_events.def"
#undef REEF_EVENT
    NULL,
};

static const char *reef_protocol_word(unsigned number, unsigned *transport)
{
    const reef_protocol *protocol = reef_protocol_by_number(number);
    *transport = protocol == NULL ? 0 : protocol->transport;
    return protocol == NULL ? NULL : protocol->name;
}

static const char *reef_protocol_event_word(unsigned number, unsigned event)
{
    const reef_protocol *protocol = reef_protocol_by_number(number);
    return protocol == NULL || event >= protocol->events_count ? NULL : protocol->events[event];
}

static unsigned reef_protocol_number_by_name(const char *name)
{
    const reef_protocol *protocol = reef_protocol_by_name(name);
    return protocol == NULL ? 0 : reef_protocol_number(protocol);
}
"""

PCRE = ("CASELESS", "MULTILINE", "DOTALL", "EXTENDED", "ANCHORED", "DOLLAR_ENDONLY", "UNGREEDY")


def numbers() -> list[str]:
    """Every enumerator and number that rules.h and buffer.h name."""
    found: dict[str, None] = {}
    for header in ("rules.h", "buffer.h"):
        text = re.sub(r"/\*.*?\*/", "", (INCLUDE / header).read_text("utf-8"), flags=re.DOTALL)
        text = re.sub(r"^#define (REEF_IMAGE_\w+).*$", r"enum { \1 };", text, flags=re.MULTILINE)
        text = re.sub(r"^#.*$|^REEF_(OP|BUFFER|VALUE|TRANSFORM)\(.*$", "", text, flags=re.MULTILINE)
        for body in re.findall(r"enum\s*\w*\s*\{(.*?)\}", text, re.DOTALL):
            found |= dict.fromkeys(re.findall(r"\bREEF_[A-Z0-9_]+", body))
    return [*found]


def structs() -> list[str]:
    """The tables of the image."""
    text = (INCLUDE / "rules.h").read_text("utf-8")
    return re.findall(r"^typedef struct (\w+) \{", text, re.MULTILINE)


def source() -> str:
    rows = [f'    {{ "{name}", (int64_t){name} }},' for name in numbers()]
    rows += [f'    {{ "PCRE2_{name}", (int64_t)PCRE2_{name} }},' for name in PCRE]
    sizes = [f'    {{ "{name}", (int64_t)sizeof({name}) }},' for name in structs()]
    return SOURCE.replace("@NUMBERS@", "\n".join(rows)).replace("@SIZES@", "\n".join(sizes))


ffibuilder = FFI()
ffibuilder.cdef(CDEF)
ffibuilder.set_source("ctypes_ext._ruleset", source())
