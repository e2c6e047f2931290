#include "reef/body.h"

#include <string.h>

enum { FIRST_CAPACITY = 2048 };

/* Offset behind the last byte that is held or was looked at. */
static uint64_t seen(const reef_body *body)
{
    return body->at + body->length;
}

static bool at_limit(const reef_body *body, const reef_body_limits *limits)
{
    return limits->limit != 0 && seen(body) >= limits->limit;
}

static bool has_window(const reef_body *body, const reef_body_limits *limits)
{
    uint64_t end = seen(body), fresh = end - body->inspected;
    if (fresh == 0)
        return false;
    if (body->ended || body->lost || at_limit(body, limits))
        return true;
    return body->inspected == 0 ? end >= limits->minimal : fresh >= limits->window;
}

/* Grows in large steps, as each is a copy, but not beyond what will be looked at. */
static bool make_room(reef_body *body, reef_memory *memory, const reef_body_limits *limits, uint32_t more)
{
    if (more <= body->capacity - body->length)
        return true;
    uint64_t wanted = (uint64_t)body->length + more, capacity = body->capacity != 0 ? body->capacity : FIRST_CAPACITY;
    while (capacity < wanted)
        capacity *= 4;
    if (limits->limit != 0 && capacity > limits->limit)
        capacity = limits->limit > wanted ? limits->limit : wanted;
    if (capacity > UINT32_MAX)
        return false;
    uint8_t *fresh = reef_memory_resize(memory, body->data, body->capacity, (size_t)capacity);
    if (fresh == NULL)
        return false;
    body->data = fresh;
    body->capacity = (uint32_t)capacity;
    return true;
}

/* `data` NULL: zeros. */
static bool add(reef_body *body, reef_memory *memory, const reef_body_limits *limits, const uint8_t *data, uint32_t length)
{
    body->size += length;
    if (body->lost || length == 0 || at_limit(body, limits))
        return false;
    uint32_t take = length;
    if (limits->limit != 0 && take > limits->limit - seen(body))
        take = (uint32_t)(limits->limit - seen(body));
    if (!make_room(body, memory, limits, take)) {
        body->lost = true;
        return has_window(body, limits);
    }
    if (data != NULL)
        memcpy(body->data + body->length, data, take);
    else
        memset(body->data + body->length, 0, take);
    body->length += take;
    return has_window(body, limits);
}

bool reef_body_add(reef_body *body, reef_memory *memory, const reef_body_limits *limits, reef_view bytes)
{
    return add(body, memory, limits, bytes.data, bytes.length);
}

bool reef_body_gap(reef_body *body, reef_memory *memory, const reef_body_limits *limits, uint32_t missing)
{
    if (limits->limit == 0 && missing > limits->window) { /* nothing bounds the zeros: what follows is not looked at */
        body->size += missing;
        body->lost = true;
        return has_window(body, limits);
    }
    return add(body, memory, limits, NULL, missing);
}

bool reef_body_end(reef_body *body, const reef_body_limits *limits)
{
    body->ended = true;
    return has_window(body, limits);
}

bool reef_body_window(const reef_body *body, const reef_body_limits *limits, reef_buffer *out)
{
    if (body->length == 0 || (body->inspected == 0 && !has_window(body, limits)))
        return false;
    uint64_t from = body->at;
    if (has_window(body, limits) && body->inspected > body->at + limits->window / 4)
        from = body->inspected - limits->window / 4;
    uint32_t skip = (uint32_t)(from - body->at);
    *out = (reef_buffer){.bytes = {body->data + skip, body->length - skip}, .offset = from, .end = body->ended};
    return true;
}

void reef_body_inspected(reef_body *body, reef_memory *memory, const reef_body_limits *limits)
{
    if (!has_window(body, limits))
        return;
    body->inspected = seen(body);
    if (body->ended && body->at == 0)
        return; /* whole: kept until the transaction goes, for rules that wait for something else */
    uint32_t keep = body->ended || body->lost || at_limit(body, limits) ? 0 : limits->window / 4;
    if (keep >= body->length)
        return;
    body->at += body->length - keep;
    memmove(body->data, body->data + body->length - keep, keep);
    body->length = keep;
    if (keep == 0) {
        reef_memory_give(memory, body->data, body->capacity);
        body->data = NULL;
        body->capacity = 0;
    }
}

void reef_body_free(reef_body *body, reef_memory *memory)
{
    reef_memory_give(memory, body->data, body->capacity);
    *body = (reef_body){0};
}
