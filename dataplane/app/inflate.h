/* inflate: coded bodies, layer by layer, as lenient as browsers are: a wrong name of the coding is tried the other way,
 * and what cannot be decoded passes as it is. */
#ifndef REEF_INFLATE_H
#define REEF_INFLATE_H

#include <stdbool.h>

#include "reef/memory.h"
#include "reef/view.h"

typedef enum reef_coding { REEF_CODING_GZIP, REEF_CODING_DEFLATE, REEF_CODING_BROTLI } reef_coding;

/* Decoded bytes; false: no more are wanted. */
typedef bool (*reef_inflate_sink)(void *context, reef_view bytes);

typedef struct reef_inflate reef_inflate;

/* `next`: the layer that decodes what this one gives, or NULL. NULL: no memory. */
reef_inflate *reef_inflate_new(reef_memory *memory, reef_coding coding);
void reef_inflate_append(reef_inflate *outermost, reef_inflate *next);
/* `failed` is set when something could not be decoded. */
void reef_inflate_bytes(reef_inflate *layer, reef_view bytes, reef_inflate_sink sink, void *context, bool *failed);
/* With the layers behind it. */
void reef_inflate_free(reef_memory *memory, reef_inflate *layer);

#endif
