/* flow_names: what output tells of a flow's state. */
#include "match_internal.h"

uint32_t reef_match_flow_names(const reef_matcher *matcher, const reef_flow *flow, unsigned kind, reef_flow_name *names,
                               uint32_t max)
{
    const flow_state *state = flow->match;
    uint32_t count = 0;
    if (state == NULL)
        return 0;
    for (uint32_t word = 0; word < state->bit_words; word++) {
        for (uint64_t bits = state->bits[word]; bits != 0 && count < max; bits &= bits - 1) {
            uint32_t slot = 64 * word + (uint32_t)__builtin_ctzll(bits), kind_of;
            reef_view name = slots_name(matcher->slots, slot, &kind_of);
            if (kind_of != kind)
                continue;
            names[count++] = (reef_flow_name){.name = (const char *)name.data,
                                              .length = name.length,
                                              .value = slot < state->numbers ? state->number[slot] : 0};
        }
    }
    return count;
}

bool reef_match_alerted(const reef_flow *flow)
{
    const flow_state *state = flow->match;
    return state != NULL && state->alerted;
}
