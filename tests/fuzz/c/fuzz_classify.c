/* A lowered policy of any words: it is refused, or it answers. */
#include "fuzz.h"
#include "reef/classify.h"
#include "reef/status.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    /* Words of one byte reach further than words of eight; a byte of 255 stands for the next eight. */
    uint64_t *words = malloc((size + 1) * sizeof *words);
    size_t count = 0;
    for (size_t i = 0; i < size; i++) {
        if (data[i] == 255 && size - i > 8) {
            memcpy(&words[count++], data + i + 1, 8);
            i += 8;
        } else {
            words[count++] = data[i];
        }
    }
    reef_policy *policy;
    if (reef_policy_new(words, count, &policy) == REEF_OK) {
        static const uint8_t address[2][16] = {{10, 0, 0, 1}, {0x20, 0x01, 0x0d, 0xb8}};
        for (uint32_t pair = 0; pair < 16; pair++) {
            reef_question question = {.from = (int32_t)(pair / 4) - 1, .to = (int32_t)(pair % 4) - 1, .port = 443};
            question.version = pair % 2 ? 6 : 4;
            question.protocol = pair % 3 ? 6 : 132;
            question.source = reef_policy_place(policy, question.version, address[pair % 2]);
            question.destination = question.source;
            reef_answer answer;
            int status = reef_policy_translate(policy, &question, &answer);
            MUST(status == REEF_OK || status == REEF_NOMEM);
            status = reef_policy_decide(policy, &question, &answer);
            MUST(status == REEF_OK || status == REEF_NOMEM);
            MUST(answer.rule >= REEF_BY_DEFAULT);
            if (answer.rule >= 0)
                reef_policy_evidence(policy, answer.rule, &question);
            reef_differing differing;
            reef_policy_differ(policy, policy, question.from, question.to, &differing);
            MUST(differing.same);
        }
        MUST(reef_policy_same_frame(policy, policy));
        reef_policy_free(policy);
    }
    free(words);
    return 0;
}
