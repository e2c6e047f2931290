/* A parser of the application layer: what it accepts, it must be able to write within the bound. The first
 * byte of the input chooses direction, port and whether the flow is known already. */
#ifndef REEF_FUZZ_APP_H
#define REEF_FUZZ_APP_H

#include "fuzz.h"
#include "reef/app.h"
#include "reef/event.h"

static inline int fuzz_app(const reef_app_protocol *protocol, const uint8_t *data, size_t size)
{
    if (size < 1 || size > 65535)
        return 0;
    uint8_t choice = data[0];
    uint8_t *copy = malloc(size); /* its exact size: a read past the end is seen */
    memcpy(copy, data + 1, size - 1);
    reef_app_input input = {.bytes = {copy, (uint32_t)(size - 1)},
                            .direction = choice & 1 ? REEF_TO_CLIENT : REEF_TO_SERVER,
                            .destination_port = choice & 2 ? 53 : 5300,
                            .known = choice & 4};
    reef_app_transaction transaction;
    reef_app_answer answer = protocol->parse(&input, &transaction);
    if (answer == REEF_APP_TRANSACTION || answer == REEF_APP_ENDED) {
        static char memory[REEF_EVENT_TEXT_MAX];
        reef_json text;
        reef_json_init(&text, memory, sizeof memory);
        protocol->write(&transaction, &text);
        MUST(!text.full);
    }
    free(copy);
    return 0;
}

#endif
