/* What NFQUEUE's socket gives: one message with one packet. Nothing beyond its bytes is believed to be there. */
#include "fuzz.h"
#include "reef/nfqueue.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size > 0 ? size : 1); /* of its own, so that a byte read too far is seen */
    reef_queued queued;
    memcpy(copy, data, size);
    if (reef_nfqueue_read(copy, size, &queued)) {
        MUST(queued.captured <= size && queued.at <= size - queued.captured);
        MUST(queued.length >= queued.captured);
        unsigned sum = 0;
        for (uint32_t i = 0; i < queued.captured; i++)
            sum += copy[queued.at + i];
        MUST(sum <= queued.captured * 255u);
    }
    free(copy);
    return 0;
}
