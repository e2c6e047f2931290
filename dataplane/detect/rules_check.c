/* rules_check: an image comes from disk or from another process. Every number in it that leads somewhere is held against what it
 * leads to, once; after that the matcher only follows them. */
#include <string.h>

#include "reef/status.h"
#include "rules_internal.h"

static bool text_fits(const reef_rules *rules, reef_text text)
{
    return text.at <= rules->header->text_bytes && text.length <= rules->header->text_bytes - text.at;
}

static bool span_fits(uint32_t first, uint32_t count, uint32_t size)
{
    return first <= size && count <= size - first;
}

static bool addresses_fit(const reef_rules *rules)
{
    const reef_image_header *header = rules->header;
    for (uint32_t i = 0; i < header->address_sets; i++) {
        const reef_address_set *set = &rules->address_set[i];
        if (!span_fits(set->range4, set->ranges4, header->ranges4) || !span_fits(set->range6, set->ranges6, header->ranges6))
            return false;
        for (uint32_t k = 0; k < set->ranges4; k++) {
            const reef_range4 *range = &rules->range4[set->range4 + k];
            if (range->first > range->last || (k > 0 && range->first <= range[-1].last))
                return false;
        }
        for (uint32_t k = 0; k < set->ranges6; k++) {
            const reef_range6 *range = &rules->range6[set->range6 + k];
            if (memcmp(range->first, range->last, 16) > 0 || (k > 0 && memcmp(range->first, range[-1].last, 16) <= 0))
                return false;
        }
    }
    for (uint32_t i = 0; i < header->port_sets; i++) {
        const reef_port_set *set = &rules->port_set[i];
        if (!span_fits(set->range, set->ranges, header->port_ranges))
            return false;
        for (uint32_t k = 0; k < set->ranges; k++) {
            const reef_port_range *range = &rules->port_range[set->range + k];
            if (range->first > range->last || (k > 0 && range->first <= range[-1].last))
                return false;
        }
    }
    return true;
}

static bool dataset_fits(const reef_rules *rules, const reef_dataset *set)
{
    if (!text_fits(rules, set->name) || !text_fits(rules, set->values) || set->type > 4)
        return false;
    uint32_t at = 0, extra = set->reputation ? 2 : 0;
    for (uint32_t i = 0; i < set->count; i++) {
        if (set->values.length - at < 2)
            return false;
        const char *value = rules->text + set->values.at + at;
        uint32_t length = (uint8_t)value[0] | (uint32_t)(uint8_t)value[1] << 8;
        if (set->values.length - at - 2 < length + extra)
            return false;
        at += 2 + length + extra;
    }
    return true;
}

static bool lists_fit(const reef_rules *rules)
{
    const reef_image_header *header = rules->header;
    for (uint32_t i = 0; i < header->names; i++)
        if (!text_fits(rules, rules->name[i].name) || rules->name[i].kind > REEF_NAME_HOSTBIT)
            return false;
    for (uint32_t i = 0; i < header->datasets; i++)
        if (!dataset_fits(rules, &rules->dataset[i]))
            return false;
    for (uint32_t i = 0; i < header->hash_lists; i++) {
        const reef_hash_list *list = &rules->hash_list[i];
        if (list->width == 0 || list->width > 64 || !text_fits(rules, list->digests) ||
            (uint64_t)list->width * list->count != list->digests.length)
            return false;
    }
    for (uint32_t i = 0; i < header->transforms; i++)
        if (rules->transform[i].kind >= REEF_TRANSFORM_COUNT || !text_fits(rules, rules->transform[i].argument))
            return false;
    return true;
}

/* Numbers of variables a condition reads or sets. */
static bool variables_fit(const reef_condition *condition, uint32_t variables)
{
    const int64_t operand[5] = {condition->a, condition->b, condition->c, condition->d, condition->e};
    for (unsigned i = 0; i < 5; i++)
        if (condition->flags & (REEF_C_A_VARIABLE << i) && (operand[i] < 0 || operand[i] >= variables) && condition->op != REEF_OP_FLOWINT)
            return false;
    if ((condition->op == REEF_OP_BYTE_EXTRACT || condition->op == REEF_OP_BYTE_MATH) && (condition->d < 0 || condition->d >= variables))
        return false;
    return true;
}

static bool index_fits(int64_t index, uint32_t count)
{
    return index >= 0 && index < count;
}

/* The names of a flowbits or xbits condition: one in `a`, or several as u32 each in its text. */
static bool names_fit(const reef_rules *rules, const reef_condition *condition)
{
    uint32_t names = rules->header->names;
    if (condition->text.length % 4 != 0)
        return false;
    if (condition->text.length == 0)
        return index_fits(condition->a, names);
    for (uint32_t i = 0; i < condition->text.length; i += 4) {
        uint32_t name;
        memcpy(&name, rules->text + condition->text.at + i, 4);
        if (name >= names)
            return false;
    }
    return true;
}

static bool operands_fit(const reef_rules *rules, const reef_condition *condition)
{
    const reef_image_header *header = rules->header;
    switch (condition->op) {
    case REEF_OP_CONTENT:
        if (condition->text.length == 0)
            return false;
        if (condition->flags & REEF_C_FAST_PATTERN_CHOP) {
            uint64_t at = (uint64_t)condition->d & UINT32_MAX, length = (uint64_t)condition->d >> 32;
            return length > 0 && at <= condition->text.length && length <= condition->text.length - at;
        }
        return true;
    case REEF_OP_DATASET:
    case REEF_OP_DATAREP:
        return index_fits(condition->a, header->datasets);
    case REEF_OP_HASH_LIST:
        return index_fits(condition->a, header->hash_lists);
    case REEF_OP_FLOWBITS:
    case REEF_OP_XBITS:
    case REEF_OP_HOSTBITS:
        return names_fit(rules, condition);
    case REEF_OP_FLOWINT:
        return index_fits(condition->a, header->names) &&
               (!(condition->flags & REEF_C_B_VARIABLE) || index_fits(condition->b, header->names));
    case REEF_OP_VALUE:
        return condition->base < REEF_VALUE_COUNT;
    case REEF_OP_GEOIP:
        return condition->text.length % 2 == 0;
    default:
        return true;
    }
}

static bool block_fits(const reef_rules *rules, const reef_block *block, uint32_t variables)
{
    if (block->buffer >= REEF_BUFFER_COUNT || !span_fits(block->condition, block->conditions, rules->header->conditions) ||
        !span_fits(block->transform, block->transforms, rules->header->transforms) || block->transforms > 8)
        return false;
    for (uint32_t i = 0; i < block->conditions; i++) {
        const reef_condition *condition = &rules->condition[block->condition + i];
        if (condition->op >= REEF_OP_COUNT || (condition->compare > REEF_MASKED && condition->op != REEF_OP_BYTE_MATH) || !text_fits(rules, condition->text) ||
            !operands_fit(rules, condition) || !variables_fit(condition, variables))
            return false;
    }
    return true;
}

static bool rule_fits(const reef_rules *rules, const reef_rule *rule)
{
    const reef_image_header *header = rules->header;
    if (!span_fits(rule->block, rule->blocks, header->blocks) || rule->blocks > 64 || rule->variables > 64 || rule->action > REEF_REJECT_BOTH)
        return false;
    if ((rule->source != 0 && rule->source >= header->address_sets) || (rule->destination != 0 && rule->destination >= header->address_sets) ||
        (rule->source_port != 0 && rule->source_port >= header->port_sets) ||
        (rule->destination_port != 0 && rule->destination_port >= header->port_sets))
        return false;
    const reef_text texts[] = {rule->file, rule->message, rule->category, rule->metadata, rule->references, rule->text};
    for (unsigned i = 0; i < sizeof texts / sizeof *texts; i++)
        if (!text_fits(rules, texts[i]))
            return false;
    for (uint32_t i = 0; i < rule->blocks; i++)
        if (!block_fits(rules, &rules->block[rule->block + i], rule->variables))
            return false;
    return true;
}

int rules_check(const reef_rules *rules)
{
    if (!addresses_fit(rules) || !lists_fit(rules))
        return REEF_FORMAT;
    for (uint32_t i = 0; i < rules->header->blocks; i++) /* also those that no rule has */
        if (!block_fits(rules, &rules->block[i], 64))
            return REEF_FORMAT;
    for (uint32_t i = 0; i < rules->header->rules; i++)
        if (!rule_fits(rules, &rules->rule[i]))
            return REEF_FORMAT;
    return REEF_OK;
}
