/* expression: PCRE2 with its compiler, made at first use and shared by the workers. */
#include <stdio.h>
#include <stdlib.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "reef/limits.h"
#include "reef/status.h"
#include "rules_internal.h"
#include "transform.h"

struct expression {
    pcre2_code *code; /* NULL: it cannot be compiled */
};

struct expression_scratch {
    pcre2_match_data *data;
    pcre2_match_context *context;
    pcre2_jit_stack *stack;
    int groups;
};

enum { GROUPS_MAX = 64 };

static pcre2_code *compile(const char *pattern, size_t length, uint32_t options, int *error, PCRE2_SIZE *offset)
{
    return pcre2_compile((PCRE2_SPTR)pattern, length, options, error, offset, NULL);
}

static const struct expression *expression_at(_Atomic(void *) *place, const char *text, uint32_t length, uint32_t options)
{
    struct expression *known = atomic_load_explicit(place, memory_order_acquire);
    if (known != NULL)
        return known->code != NULL ? known : NULL;
    struct expression *fresh = calloc(1, sizeof *fresh);
    if (fresh == NULL)
        return NULL;
    int error;
    PCRE2_SIZE offset;
    fresh->code = compile(text, length, options, &error, &offset);
    if (fresh->code != NULL)
        pcre2_jit_compile(fresh->code, PCRE2_JIT_COMPLETE); /* without it the slower way matches the same */
    void *none = NULL;
    if (!atomic_compare_exchange_strong(place, &none, fresh)) { /* another worker was faster */
        expression_free(fresh);
        fresh = none;
    }
    return fresh->code != NULL ? fresh : NULL;
}

const struct expression *rules_expression(const reef_rules *rules, uint32_t condition)
{
    const reef_condition *asked = &rules->condition[condition];
    return expression_at(&rules->expression[condition], rules->text + asked->text.at, asked->text.length, (uint32_t)asked->a);
}

const struct expression *rules_transform_expression(const reef_rules *rules, uint32_t transform)
{
    const reef_transform *asked = &rules->transform[transform];
    return expression_at(&rules->transform_expression[transform], rules->text + asked->argument.at, asked->argument.length, 0);
}

void expression_free(struct expression *expression)
{
    if (expression == NULL)
        return;
    pcre2_code_free(expression->code);
    free(expression);
}

int expression_scratch_new(struct expression_scratch **out)
{
    struct expression_scratch *scratch = calloc(1, sizeof *scratch);
    if (scratch == NULL)
        return REEF_NOMEM;
    scratch->data = pcre2_match_data_create(GROUPS_MAX, NULL);
    scratch->context = pcre2_match_context_create(NULL);
    scratch->stack = pcre2_jit_stack_create(32 << 10, 1 << 20, NULL);
    if (scratch->data == NULL || scratch->context == NULL || scratch->stack == NULL) {
        expression_scratch_free(scratch);
        return REEF_NOMEM;
    }
    pcre2_set_match_limit(scratch->context, REEF_EXPRESSION_STEPS_MAX);
    pcre2_set_depth_limit(scratch->context, REEF_EXPRESSION_DEPTH_MAX);
    pcre2_jit_stack_assign(scratch->context, NULL, scratch->stack);
    *out = scratch;
    return REEF_OK;
}

void expression_scratch_free(struct expression_scratch *scratch)
{
    if (scratch == NULL)
        return;
    pcre2_match_data_free(scratch->data);
    pcre2_match_context_free(scratch->context);
    pcre2_jit_stack_free(scratch->stack);
    free(scratch);
}

int expression_search(const struct expression *expression, struct expression_scratch *scratch, reef_view bytes, uint32_t start, uint32_t span[2])
{
    static const uint8_t nothing[1];
    const uint8_t *data = bytes.data != NULL ? bytes.data : nothing;
    int result = pcre2_match(expression->code, data, bytes.length, start, 0, scratch->data, scratch->context);
    scratch->groups = result == 0 ? GROUPS_MAX : result;
    if (result == PCRE2_ERROR_NOMATCH)
        return 0;
    if (result < 0)
        return -1;
    const PCRE2_SIZE *found = pcre2_get_ovector_pointer(scratch->data);
    span[0] = (uint32_t)found[0];
    span[1] = (uint32_t)found[1];
    return 1;
}

bool expression_group(const struct expression_scratch *scratch, unsigned group, uint32_t span[2])
{
    if (scratch->groups <= 0 || group >= (unsigned)scratch->groups)
        return false;
    const PCRE2_SIZE *found = pcre2_get_ovector_pointer(scratch->data);
    if (found[2 * group] == PCRE2_UNSET)
        return false;
    span[0] = (uint32_t)found[2 * group];
    span[1] = (uint32_t)found[2 * group + 1];
    return true;
}

int reef_rules_check_expression(const char *pattern, size_t length, uint32_t pcre_options, char *error, size_t error_size, size_t *offset)
{
    int code;
    PCRE2_SIZE at = 0;
    pcre2_code *compiled = compile(pattern, length, pcre_options, &code, &at);
    if (compiled != NULL) {
        pcre2_code_free(compiled);
        return REEF_OK;
    }
    *offset = at;
    if (error_size > 0) {
        PCRE2_UCHAR words[256];
        if (pcre2_get_error_message(code, words, sizeof words) < 0)
            words[0] = 0;
        snprintf(error, error_size, "%s", (const char *)words);
    }
    return REEF_INVALID;
}
