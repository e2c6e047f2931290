/* The reader of capture files. */
#include "fuzz.h"
#include "reef/capture.h"
#include "reef/status.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size + (size == 0));
    memcpy(copy, data, size);
    reef_file *file;
    if (reef_file_memory(copy, size, &file) == REEF_OK) {
        reef_frame frames[7];
        size_t count;
        while (reef_file_next(file, frames, 7, &count) == REEF_OK)
            for (size_t i = 0; i < count; i++) {
                MUST(frames[i].data >= copy && frames[i].data + frames[i].captured <= copy + size);
                MUST(frames[i].captured <= frames[i].length && frames[i].captured <= REEF_FRAME_MAX);
            }
        reef_file_free(file);
    }
    free(copy);
    return 0;
}
