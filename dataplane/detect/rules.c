/* rules: an image is copied, checked once and pointed into; what the matcher needs beyond it is worked out beside it. */
#include <nettle/sha2.h>
#include <stdlib.h>
#include <string.h>

#include "place.h"
#include "reef/decode.h"
#include "reef/status.h"
#include "reef/tx_file.h"
#include "rules_internal.h"

typedef struct table {
    const void **place;
    uint32_t count, size;
} table;

/* Points each table into the image; false: it is too short for them. */
static bool lay_out(reef_rules *rules, size_t size)
{
    const reef_image_header *header = rules->header;
    const table tables[] = {
        {(const void **)&rules->rule, header->rules, sizeof *rules->rule},
        {(const void **)&rules->block, header->blocks, sizeof *rules->block},
        {(const void **)&rules->condition, header->conditions, sizeof *rules->condition},
        {(const void **)&rules->transform, header->transforms, sizeof *rules->transform},
        {(const void **)&rules->address_set, header->address_sets, sizeof *rules->address_set},
        {(const void **)&rules->range4, header->ranges4, sizeof *rules->range4},
        {(const void **)&rules->range6, header->ranges6, sizeof *rules->range6},
        {(const void **)&rules->port_set, header->port_sets, sizeof *rules->port_set},
        {(const void **)&rules->port_range, header->port_ranges, sizeof *rules->port_range},
        {(const void **)&rules->name, header->names, sizeof *rules->name},
        {(const void **)&rules->dataset, header->datasets, sizeof *rules->dataset},
        {(const void **)&rules->hash_list, header->hash_lists, sizeof *rules->hash_list},
        {(const void **)&rules->text, header->text_bytes, 1},
    };
    uint64_t at = (sizeof *header + 7) & ~7ull;
    for (unsigned i = 0; i < sizeof tables / sizeof *tables; i++) {
        uint64_t bytes = (uint64_t)tables[i].count * tables[i].size;
        if (at > size || bytes > size - at)
            return false;
        *tables[i].place = rules->image + at;
        at = (at + bytes + 7) & ~7ull;
    }
    return true;
}

/* Which conditions a later one is relative to. */
static void link_block(const reef_rules *rules, const reef_block *block)
{
    int64_t anchor = -1;
    for (uint32_t i = 0; i < block->conditions; i++) {
        const reef_condition *condition = &rules->condition[block->condition + i];
        bool relative = condition->flags & REEF_C_RELATIVE;
        if (condition->op == REEF_OP_CONTENT)
            relative = condition->flags & (REEF_C_DISTANCE | REEF_C_WITHIN);
        if (relative && anchor >= 0)
            rules->next[block->condition + (uint32_t)anchor] |= COND_RELATIVE_NEXT;
        if (condition->op == REEF_OP_CONTENT || condition->op == REEF_OP_PCRE)
            anchor = i;
    }
    if (block->conditions > 0)
        rules->next[block->condition + block->conditions - 1u] |= COND_LAST;
}

static int work_out(reef_rules *rules)
{
    const reef_image_header *header = rules->header;
    rules->next = calloc(header->conditions + 1u, 1);
    rules->expression = calloc(header->conditions + 1u, sizeof *rules->expression);
    rules->transform_expression = calloc(header->transforms + 1u, sizeof *rules->transform_expression);
    if (rules->next == NULL || rules->expression == NULL || rules->transform_expression == NULL)
        return REEF_NOMEM;
    for (uint32_t i = 0; i < header->blocks; i++)
        link_block(rules, &rules->block[i]);
    int status = rules_rank(rules);
    return status == REEF_OK ? plan_new(rules, &rules->plan) : status;
}

int reef_rules_new(const uint8_t *image, size_t size, const uint8_t *prepared, size_t prepared_size, reef_rules **out)
{
    uint8_t digest[32];
    *out = NULL;
    if (size < sizeof(reef_image_header) || size > UINT32_MAX)
        return REEF_FORMAT;
    reef_rules *rules = calloc(1, sizeof *rules);
    if (rules == NULL)
        return REEF_NOMEM;
    rules->image = malloc(size + 8);
    int status = rules->image == NULL ? REEF_NOMEM : REEF_OK;
    if (status == REEF_OK) {
        memcpy(rules->image, image, size);
        rules->header = (const reef_image_header *)rules->image;
        reef_rules_engine_digest(digest);
        if (rules->header->magic != REEF_IMAGE_MAGIC || rules->header->version != REEF_IMAGE_VERSION || rules->header->size != size ||
            memcmp(rules->header->engine, digest, 32) != 0 || rules->header->rules > REEF_RULES_MAX || !lay_out(rules, size))
            status = REEF_FORMAT;
    }
    if (status == REEF_OK)
        status = rules_check(rules);
    if (status == REEF_OK)
        status = work_out(rules);
    (void)prepared;
    (void)prepared_size;
    if (status != REEF_OK) {
        reef_rules_free(rules);
        return status;
    }
    *out = rules;
    return REEF_OK;
}

void reef_rules_free(reef_rules *rules)
{
    if (rules == NULL)
        return;
    places_free(rules->places);
    plan_free(rules->plan);
    for (uint32_t i = 0; rules->expression != NULL && i < rules->header->conditions; i++)
        expression_free(atomic_load(&rules->expression[i]));
    for (uint32_t i = 0; rules->transform_expression != NULL && i < rules->header->transforms; i++)
        expression_free(atomic_load(&rules->transform_expression[i]));
    free(rules->expression);
    free(rules->transform_expression);
    free(rules->next);
    free(rules->ranked);
    free(rules->rank_of);
    free(rules->image);
    free(rules);
}

int reef_rules_places(reef_rules *rules, const char *path)
{
    place_file *places;
    int status = places_new(path, &places);
    if (status != REEF_OK)
        return status;
    places_free(rules->places);
    rules->places = places;
    return REEF_OK;
}

uint32_t reef_rules_count(const reef_rules *rules)
{
    return rules->header->rules;
}

const reef_rule *reef_rules_at(const reef_rules *rules, uint32_t index)
{
    return index < rules->header->rules ? &rules->rule[index] : NULL;
}

const char *reef_rules_text(const reef_rules *rules, reef_text text)
{
    return rules->text + text.at;
}

void reef_rules_wants(const reef_rules *rules, struct reef_file_wants *wants)
{
    for (uint32_t i = 0; i < rules->header->blocks; i++) {
        switch (rules->block[i].buffer) {
        case REEF_BUFFER_FILE_DATA: case REEF_BUFFER_HTTP_REQUEST_BODY: case REEF_BUFFER_HTTP_RESPONSE_BODY: wants->data = true; break;
        case REEF_BUFFER_FILE_MAGIC: wants->magic = true; break;
        case REEF_BUFFER_FILE_MD5: wants->md5 = true; break;
        case REEF_BUFFER_FILE_SHA1: wants->sha1 = true; break;
        case REEF_BUFFER_FILE_SHA256: wants->sha256 = true; break;
        default: break;
        }
    }
    for (uint32_t i = 0; i < rules->header->rules; i++)
        if (rules->rule[i].flags & REEF_RULE_FILESTORE)
            wants->store = true;
}

static void digest_text(struct sha256_ctx *sha, const char *text)
{
    sha256_update(sha, strlen(text) + 1, (const uint8_t *)text);
}

void reef_rules_engine_digest(uint8_t out[32])
{
    static const char *const fixed[] = {
#define REEF_BUFFER(id, name, way, flags) "b" #id,
#include "reef/buffers.def"
#undef REEF_BUFFER
#define REEF_VALUE(id, name, way) "v" #id,
#include "reef/values.def"
#undef REEF_VALUE
#define REEF_OP(id) "o" #id,
#include "reef/ops.def"
#undef REEF_OP
#define REEF_TRANSFORM(id, name) "t" #id,
#include "reef/transforms.def"
#undef REEF_TRANSFORM
    };
    struct sha256_ctx sha;
    sha256_init(&sha);
    for (unsigned i = 0; i < sizeof fixed / sizeof *fixed; i++)
        digest_text(&sha, fixed[i]);
    for (unsigned n = 1; n <= reef_protocols_count(); n++) {
        const reef_protocol *protocol = reef_protocol_by_number(n);
        digest_text(&sha, protocol->name);
        for (uint32_t i = 0; i < protocol->events_count; i++)
            digest_text(&sha, protocol->events[i]);
    }
    for (unsigned event = 0; event < REEF_EV_COUNT; event++)
        digest_text(&sha, reef_decode_event_name(event));
    sha256_digest(&sha, 32, out);
}

int reef_rules_prepared(const reef_rules *rules, uint8_t **data, size_t *size)
{
    (void)rules;
    *data = NULL;
    *size = 0;
    return REEF_OK;
}

void reef_rules_prepared_free(uint8_t *data)
{
    free(data);
}
