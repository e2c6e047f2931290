/* Rule images for tests, table by table: no compiler stands between the test and the matcher. */
#ifndef REEF_TEST_IMAGE_H
#define REEF_TEST_IMAGE_H

#include <string.h>

#include "check.h"
#include "reef/rules.h"

enum { IMAGE_RULES = 512, IMAGE_BLOCKS = 1024, IMAGE_CONDITIONS = 4096, IMAGE_TRANSFORMS = 32, IMAGE_SETS = 16, IMAGE_NAMES = 16, IMAGE_TEXT = 65536 };

typedef struct image {
    reef_image_header header;
    reef_rule rule[IMAGE_RULES];
    reef_block block[IMAGE_BLOCKS];
    reef_condition condition[IMAGE_CONDITIONS];
    reef_transform transform[IMAGE_TRANSFORMS];
    reef_address_set address_set[IMAGE_SETS];
    reef_range4 range4[IMAGE_SETS];
    reef_port_set port_set[IMAGE_SETS];
    reef_port_range port_range[IMAGE_SETS];
    reef_name name[IMAGE_NAMES];
    reef_dataset dataset[4];
    char text[IMAGE_TEXT];
} image;

static inline image *image_new(void)
{
    image *made = calloc(1, sizeof *made);
    CHECK(made != NULL);
    made->header = (reef_image_header){.magic = REEF_IMAGE_MAGIC, .version = REEF_IMAGE_VERSION};
    made->header.address_sets = made->header.port_sets = 1; /* number 0: any */
    reef_rules_engine_digest(made->header.engine);
    return made;
}

static inline reef_text image_text(image *made, const void *bytes, size_t length)
{
    reef_text text = {made->header.text_bytes, (uint32_t)length};
    CHECK(length <= IMAGE_TEXT - made->header.text_bytes);
    if (length > 0)
        memcpy(made->text + text.at, bytes, length);
    made->header.text_bytes += (uint32_t)length;
    return text;
}

/* A rule for UDP and TCP without anything else; its sid is its number from 1. */
static inline reef_rule *image_rule(image *made, uint32_t flags)
{
    CHECK(made->header.rules < IMAGE_RULES);
    reef_rule *rule = &made->rule[made->header.rules++];
    *rule = (reef_rule){.sid = made->header.rules, .gid = 1, .rev = 1, .flags = flags, .priority = 3, .block = made->header.blocks};
    rule->protocols[0] = 1ull << 6 | 1ull << 17;
    return rule;
}

static inline reef_block *image_block(image *made, unsigned buffer)
{
    CHECK(made->header.blocks < IMAGE_BLOCKS);
    made->rule[made->header.rules - 1].blocks++;
    reef_block *block = &made->block[made->header.blocks++];
    *block = (reef_block){.buffer = (uint16_t)buffer, .condition = made->header.conditions, .transform = made->header.transforms};
    return block;
}

static inline reef_condition *image_condition(image *made, unsigned op, uint32_t flags)
{
    CHECK(made->header.conditions < IMAGE_CONDITIONS);
    made->block[made->header.blocks - 1].conditions++;
    reef_condition *condition = &made->condition[made->header.conditions++];
    *condition = (reef_condition){.op = (uint16_t)op, .flags = flags};
    return condition;
}

static inline reef_condition *image_content(image *made, const char *bytes, size_t length, uint32_t flags)
{
    reef_condition *condition = image_condition(made, REEF_OP_CONTENT, flags);
    condition->text = image_text(made, bytes, length);
    return condition;
}

static inline void image_transform(image *made, unsigned kind, const void *argument, size_t length)
{
    made->block[made->header.blocks - 1].transforms++;
    made->transform[made->header.transforms++] = (reef_transform){.kind = kind, .argument = image_text(made, argument, length)};
}

static inline int64_t image_name(image *made, unsigned kind, const char *name)
{
    made->name[made->header.names] = (reef_name){.kind = kind, .name = image_text(made, name, strlen(name))};
    return made->header.names++;
}

static inline size_t image_put(uint8_t *out, size_t at, const void *table, size_t bytes)
{
    if (bytes > 0)
        memcpy(out + at, table, bytes);
    return (at + bytes + 7) & ~(size_t)7;
}

/* The image in one piece, to be freed; `image` goes. */
static inline uint8_t *image_whole(image *made, size_t *size)
{
    const reef_image_header *h = &made->header;
    uint8_t *out = calloc(1, sizeof *made + 256);
    CHECK(out != NULL);
    size_t at = image_put(out, 0, h, sizeof *h);
    at = image_put(out, at, made->rule, h->rules * sizeof *made->rule);
    at = image_put(out, at, made->block, h->blocks * sizeof *made->block);
    at = image_put(out, at, made->condition, h->conditions * sizeof *made->condition);
    at = image_put(out, at, made->transform, h->transforms * sizeof *made->transform);
    at = image_put(out, at, made->address_set, h->address_sets * sizeof *made->address_set);
    at = image_put(out, at, made->range4, h->ranges4 * sizeof *made->range4);
    at = image_put(out, at, made->port_set, h->port_sets * sizeof *made->port_set);
    at = image_put(out, at, made->port_range, h->port_ranges * sizeof *made->port_range);
    at = image_put(out, at, made->name, h->names * sizeof *made->name);
    at = image_put(out, at, made->dataset, h->datasets * sizeof *made->dataset);
    at = image_put(out, at, made->text, h->text_bytes);
    made->header.size = (uint32_t)at;
    memcpy(out, &made->header, sizeof made->header);
    free(made);
    *size = at;
    return out;
}

static inline reef_rules *image_rules(image *made)
{
    size_t size;
    reef_rules *rules;
    uint8_t *whole = image_whole(made, &size);
    CHECK_EQUAL(reef_rules_new(whole, size, NULL, 0, &rules), 0);
    free(whole);
    return rules;
}

#endif
