"""The recipe of `ctypes_ext._gate`: lists of prefixes, and the XDP gate that drops them, from the C core."""

from __future__ import annotations

from cffi import FFI

ffibuilder = FFI()
ffibuilder.cdef(
    """
    struct reef_prefix { uint8_t address[16]; uint8_t version; uint8_t length; };
    struct reef_prefix4 { uint32_t address; uint32_t length; };
    struct reef_prefix6 { uint64_t high; uint64_t low; uint32_t length; };
    struct reef_banlist_note { uint64_t line; int wide; };
    struct reef_banlist_report {
        uint64_t lines; uint64_t bad; uint64_t masked; uint64_t duplicates;
        uint32_t note_count; struct reef_banlist_note notes[16];
    };
    typedef struct reef_banlist reef_banlist;
    int reef_banlist_new(reef_banlist **out);
    void reef_banlist_free(reef_banlist *list);
    int reef_banlist_text(reef_banlist *list, const char *text, size_t length, struct reef_banlist_report *report);
    void reef_banlist_finish(reef_banlist *list, struct reef_banlist_report *report);
    size_t reef_banlist_count(const reef_banlist *list, int version);
    void reef_banlist_pack(const reef_banlist *list, int version, uint8_t *out);
    int reef_banlist_unpack(reef_banlist *list, int version, const uint8_t *packed, size_t length);

    typedef struct reef_bans reef_bans;
    int reef_bans_add(reef_bans *bans, uint32_t list, const struct reef_prefix *prefix);
    int reef_bans_remove(reef_bans *bans, uint32_t list, const struct reef_prefix *prefix);
    bool reef_bans_unsettled(reef_bans *bans);
    int reef_bans_replace(reef_bans *bans, uint32_t list, reef_banlist *entries);
    int reef_bans_settle(reef_bans *bans);
    size_t reef_bans_count(reef_bans *bans, uint32_t list);
    uint32_t reef_bans_find(reef_bans *bans, const struct reef_prefix *host);

    struct reef_gate_room { uint32_t hosts4; uint32_t hosts6; };
    struct reef_gate_limit { uint32_t rate; uint32_t burst; };
    struct reef_gate_way {
        bool malformed; bool martians; bool private_sources; bool examples;
        struct reef_gate_limit syn; struct reef_gate_limit udp; struct reef_gate_limit icmp;
        struct reef_gate_limit syn_total;
    };
    typedef enum { REEF_GATE_NOWHERE, REEF_GATE_NATIVE, REEF_GATE_GENERIC } reef_gate_mode;
    typedef struct { uint64_t packets; uint64_t bytes; } reef_gate_tally;
    typedef struct reef_gate reef_gate;
    int reef_gate_new(const char *pins, const struct reef_gate_room *room, reef_gate **out, char *words);
    void reef_gate_free(reef_gate *gate);
    reef_bans *reef_gate_bans(reef_gate *gate);
    uint64_t reef_gate_memory(const reef_gate *gate);
    int reef_gate_allow(reef_gate *gate, const struct reef_prefix *prefix, bool unlimited);
    int reef_gate_disallow(reef_gate *gate, const struct reef_prefix *prefix);
    int reef_gate_attach(reef_gate *gate, uint32_t interface, const struct reef_gate_way *way, bool generic,
                         reef_gate_mode *mode, char *words);
    int reef_gate_detach(reef_gate *gate, uint32_t interface);
    reef_gate_mode reef_gate_mode_at(reef_gate *gate, uint32_t interface);
    int reef_gate_detach_others(const char *pins, const uint32_t *interfaces, size_t count);
    int reef_gate_count_list(reef_gate *gate, uint32_t list, reef_gate_tally *out);
    int reef_gate_forget_list(reef_gate *gate, uint32_t list);
    int reef_gate_count_line(reef_gate *gate, uint32_t interface, uint32_t reason, reef_gate_tally *out);
    uint32_t reef_gate_reasons(void);
    const char *reef_gate_reason_name(uint32_t reason);
    int reef_gate_try(reef_gate *gate, uint32_t interface, const uint8_t *frame, size_t length, uint32_t repeat,
                      bool *passes, uint32_t *nanoseconds);
    """
)
ffibuilder.set_source("ctypes_ext._gate", '#include "reef/gate.h"\n#include "reef/status.h"\n')
