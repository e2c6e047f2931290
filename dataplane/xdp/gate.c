/* Loads the program and its tables. */
#include "gate.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#include "reef/status.h"

/* The program, as clang compiled it: part of this object file. */
__asm__(".section .rodata\n"
        ".balign 16\n"
        "reef_gate_program:\n"
        ".incbin \"" REEF_GATE_PROGRAM "\"\n"
        "reef_gate_program_end:\n"
        ".byte 0\n"
        ".previous\n");
extern const char reef_gate_program[], reef_gate_program_end[];

enum { LIVE = 7, LINES_MIN = 256, CELLS_MIN = 4096, LINES_MAX = 1 << 24 };

static const char *const PINNED[] = {"lists", "reasons", "ways_in"};

static uint32_t power_of_two(uint64_t least, uint32_t smallest)
{
    uint64_t value = smallest;
    while (value < least && value < LINES_MAX)
        value *= 2;
    return (uint32_t)value;
}

static uint32_t half_full(uint32_t entries, uint32_t slots)
{
    uint64_t lines = (uint64_t)entries * 2 / slots + LINES_MIN;
    return (uint32_t)(lines < LINES_MAX ? lines : LINES_MAX);
}

/* Places are half full at most, where chains are short. */
static int set_fixed(struct reef_gate_fixed *fixed, const struct reef_gate_room *room)
{
    *fixed = (struct reef_gate_fixed){
        .lines4 = half_full(room->hosts4, REEF_GATE_SLOTS4),
        .lines6 = half_full(room->hosts6, REEF_GATE_SLOTS6),
        .cells6 = power_of_two(room->hosts6, CELLS_MIN),
    };
    uint64_t seeds[3];
    if (getrandom(seeds, sizeof seeds, 0) != (ssize_t)sizeof seeds)
        return REEF_SYSTEM;
    fixed->seed4 = seeds[0];
    fixed->seed6[0] = seeds[1];
    fixed->seed6[1] = seeds[2];
    return REEF_OK;
}

static struct bpf_map *map_named(const reef_gate *gate, const char *name)
{
    return bpf_object__find_map_by_name(gate->object, name);
}

static int set_sizes(reef_gate *gate)
{
    struct bpf_map *constants = map_named(gate, ".rodata");
    if (constants == NULL || bpf_map__value_size(constants) != sizeof gate->fixed)
        return -EINVAL;
    int status = bpf_map__set_initial_value(constants, &gate->fixed, sizeof gate->fixed);
    if (status == 0)
        status = bpf_map__set_max_entries(map_named(gate, "lines4"), 2 * gate->fixed.lines4);
    if (status == 0)
        status = bpf_map__set_max_entries(map_named(gate, "lines6"), 2 * gate->fixed.lines6);
    if (status == 0)
        status = bpf_map__set_max_entries(map_named(gate, "index6"), 2 * gate->fixed.cells6);
    if (status == 0)
        status = bpf_map__set_max_entries(map_named(gate, "deep6"), 2 * gate->fixed.cells6);
    return status;
}

/* A pinned map of an earlier release that looks otherwise is left behind. */
static void forget_unlike(const struct bpf_map *map, const char *path)
{
    struct bpf_map_info info = {0};
    uint32_t length = sizeof info;
    int fd = bpf_obj_get(path);
    if (fd < 0)
        return;
    if (bpf_obj_get_info_by_fd(fd, &info, &length) != 0 || info.type != bpf_map__type(map) ||
        info.key_size != bpf_map__key_size(map) || info.value_size != bpf_map__value_size(map) ||
        info.max_entries != bpf_map__max_entries(map) || info.map_flags != bpf_map__map_flags(map))
        unlink(path);
    close(fd);
}

static int set_pins(reef_gate *gate)
{
    for (size_t i = 0; i < sizeof PINNED / sizeof *PINNED; i++) {
        struct bpf_map *map = map_named(gate, PINNED[i]);
        char path[PATH_MAX + 32];
        snprintf(path, sizeof path, "%s/%s", gate->pins, PINNED[i]);
        forget_unlike(map, path);
        int status = bpf_map__set_pin_path(map, path);
        if (status != 0)
            return status;
    }
    return 0;
}

static int map_table(reef_gate *gate, struct reef_gate_mapping *mapping, const char *name)
{
    const struct bpf_map *map = map_named(gate, name);
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t length = (size_t)bpf_map__max_entries(map) * ((bpf_map__value_size(map) + 7) / 8 * 8);
    mapping->length = (length + page - 1) / page * page;
    mapping->at = mmap(NULL, mapping->length, PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(map), 0);
    if (mapping->at == MAP_FAILED) {
        mapping->at = NULL;
        return REEF_SYSTEM;
    }
    return REEF_OK;
}

static int map_tables(reef_gate *gate)
{
    static const char *const names[REEF_GATE_TABLES] = {"any4", "index4", "lines4", "any6", "index6", "deep6", "lines6", ".data.live"};
    for (int i = 0; i < REEF_GATE_TABLES; i++)
        if (map_table(gate, &gate->tables[i], names[i]) != REEF_OK)
            return REEF_SYSTEM;
    gate->live = gate->tables[LIVE].at;
    struct reef_bans_memory memory = {
        .fixed = &gate->fixed,
        .live = gate->live,
        .any4 = gate->tables[0].at,
        .index4 = gate->tables[1].at,
        .lines4 = gate->tables[2].at,
        .any6 = gate->tables[3].at,
        .index6 = gate->tables[4].at,
        .deep6 = gate->tables[5].at,
        .lines6 = gate->tables[6].at,
    };
    return reef_bans_new(&memory, &gate->bans);
}

static void take_descriptors(reef_gate *gate)
{
    gate->program = bpf_program__fd(bpf_object__find_program_by_name(gate->object, "reef_gate"));
    gate->ways_in = bpf_map__fd(map_named(gate, "ways_in"));
    gate->lists = bpf_map__fd(map_named(gate, "lists"));
    gate->reasons = bpf_map__fd(map_named(gate, "reasons"));
    gate->allow4 = bpf_map__fd(map_named(gate, "allow4"));
    gate->allow6 = bpf_map__fd(map_named(gate, "allow6"));
}

static int load(reef_gate *gate, char words[REEF_GATE_WORDS])
{
    struct bpf_object_open_opts options = {.sz = sizeof options, .object_name = "reef_gate"};
    size_t size = (size_t)((uintptr_t)reef_gate_program_end - (uintptr_t)reef_gate_program);
    gate->object = bpf_object__open_mem(reef_gate_program, size, &options);
    if (gate->object == NULL)
        return REEF_GATE_SAY(words, "the program of the gate cannot be read: %s", strerror(errno));
    int status = set_sizes(gate);
    if (status == 0)
        status = set_pins(gate);
    if (status == 0)
        status = bpf_object__load(gate->object);
    if (status != 0)
        return REEF_GATE_SAY(words, "this kernel does not take the program of the gate: %s", strerror(-status));
    take_descriptors(gate);
    if (map_tables(gate) != REEF_OK)
        return REEF_GATE_SAY(words, "the tables of the gate cannot be mapped: %s", strerror(errno));
    return REEF_OK;
}

/* What libbpf has to say goes nowhere: what matters is in `words`. */
static int silent(enum libbpf_print_level level, const char *format, va_list rest)
{
    (void)level;
    (void)format;
    (void)rest;
    return 0;
}

int reef_gate_new(const char *pins, const struct reef_gate_room *room, reef_gate **out, char words[REEF_GATE_WORDS])
{
    reef_gate *gate = calloc(1, sizeof *gate);
    *out = NULL;
    if (gate == NULL)
        return REEF_NOMEM;
    if (getenv("REEF_GATE_TELL") == NULL)
        libbpf_set_print(silent);
    snprintf(gate->pins, sizeof gate->pins, "%s", pins);
    gate->processors = libbpf_num_possible_cpus();
    int status = gate->processors > 0 ? set_fixed(&gate->fixed, room) : REEF_SYSTEM;
    if (status == REEF_OK)
        gate->counts = calloc((size_t)gate->processors, sizeof *gate->counts);
    if (status == REEF_OK && gate->counts == NULL)
        status = REEF_NOMEM;
    if (status == REEF_OK)
        status = load(gate, words);
    if (status != REEF_OK) {
        reef_gate_free(gate);
        return status;
    }
    *out = gate;
    return REEF_OK;
}

void reef_gate_free(reef_gate *gate)
{
    if (gate == NULL)
        return;
    reef_bans_free(gate->bans);
    for (int i = 0; i < REEF_GATE_TABLES; i++)
        if (gate->tables[i].at != NULL)
            munmap(gate->tables[i].at, gate->tables[i].length);
    bpf_object__close(gate->object);
    free(gate->counts);
    free(gate);
}

reef_bans *reef_gate_bans(reef_gate *gate)
{
    return gate->bans;
}

uint64_t reef_gate_memory(const reef_gate *gate)
{
    uint64_t sum = sizeof(struct reef_gate_ways) * REEF_GATE_FLOOD_SETS + sizeof(struct reef_gate_bytes) * REEF_GATE_SEEN_LINES;
    for (int i = 0; i < REEF_GATE_TABLES; i++)
        sum += gate->tables[i].length;
    return sum;
}

static int allow_key(const struct reef_prefix *prefix, struct reef_gate_allow6 *key)
{
    memcpy(key->address, prefix->address, sizeof key->address);
    key->length = prefix->length;
    return (prefix->version == 4 && prefix->length <= 32) || (prefix->version == 6 && prefix->length <= 128) ? REEF_OK
                                                                                                              : REEF_INVALID;
}

int reef_gate_allow(reef_gate *gate, const struct reef_prefix *prefix, bool unlimited)
{
    struct reef_gate_allow6 key; /* of IPv4, its beginning */
    uint8_t spared = REEF_GATE_NOT_BANNED | (unlimited ? REEF_GATE_NOT_LIMITED : 0u);
    if (allow_key(prefix, &key) != REEF_OK)
        return REEF_INVALID;
    int map = prefix->version == 4 ? gate->allow4 : gate->allow6;
    if (bpf_map_update_elem(map, &key, &spared, BPF_NOEXIST) == 0) {
        __atomic_fetch_add(&gate->live->allowed, 1, __ATOMIC_RELEASE);
        return REEF_OK;
    }
    if (errno == EEXIST && bpf_map_update_elem(map, &key, &spared, BPF_EXIST) == 0)
        return REEF_OK;
    return errno == ENOSPC ? REEF_FULL : REEF_SYSTEM;
}

int reef_gate_disallow(reef_gate *gate, const struct reef_prefix *prefix)
{
    struct reef_gate_allow6 key;
    if (allow_key(prefix, &key) != REEF_OK)
        return REEF_INVALID;
    if (bpf_map_delete_elem(prefix->version == 4 ? gate->allow4 : gate->allow6, &key) == 0) {
        __atomic_fetch_sub(&gate->live->allowed, 1, __ATOMIC_RELEASE);
        return REEF_OK;
    }
    return errno == ENOENT ? REEF_END : REEF_SYSTEM;
}
