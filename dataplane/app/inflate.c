/* gzip and deflate that are as they should be go through ISA-L, several times as fast as zlib; everything else through zlib, whose
 * ways of failing are what is known of browsers: see `restart`. */
#include "inflate.h"

#include <brotli/decode.h>
#include <isa-l/igzip_lib.h>
#include <string.h>
#include <zlib.h>

enum { OUT_BYTES = 16384, RESTARTS_MAX = 3, GZIP_HEAD = 10 };

typedef enum engine { ENGINE_NONE, ENGINE_ZLIB, ENGINE_ISAL, ENGINE_BROTLI } engine;

struct reef_inflate {
    reef_memory *memory;
    reef_inflate *next;
    uint8_t coding;  /* reef_coding; changes when the other one is tried */
    uint8_t engine;
    uint8_t restarts;
    bool begun, over;
    bool bad;        /* what was decoded broke off: the next bytes begin anew */
    bool passes;     /* nothing can be decoded: bytes pass as they are */
    uint64_t given;
    z_stream zlib;
    struct inflate_state *isal;
    BrotliDecoderState *brotli;
};

typedef struct decoding {
    reef_inflate_sink sink;
    void *context;
    bool *failed;
    bool stopped;
} decoding;

static void decode(reef_inflate *layer, reef_view bytes, decoding *to);

/* --- memory of the libraries: they do not say how much they give back ---------------------------------- */

static void *get(void *memory, size_t size)
{
    size_t *piece = size > SIZE_MAX - 16 ? NULL : reef_memory_get_raw(memory, size + 16);
    if (piece == NULL)
        return NULL;
    *piece = size + 16;
    return (uint8_t *)piece + 16;
}

static void *get_many(void *memory, unsigned count, unsigned size)
{
    return get(memory, (size_t)count * size);
}

static void give(void *memory, void *data)
{
    if (data == NULL)
        return;
    size_t *piece = (size_t *)((uint8_t *)data - 16);
    reef_memory_give(memory, piece, *piece);
}

/* --- engines ------------------------------------------------------------------------------------------- */

reef_inflate *reef_inflate_new(reef_memory *memory, reef_coding coding)
{
    reef_inflate *layer = reef_memory_get(memory, sizeof *layer);
    if (layer == NULL)
        return NULL;
    layer->memory = memory;
    layer->coding = (uint8_t)coding;
    return layer;
}

void reef_inflate_append(reef_inflate *outermost, reef_inflate *next)
{
    while (outermost->next != NULL)
        outermost = outermost->next;
    outermost->next = next;
}

static void close_engine(reef_inflate *layer)
{
    if (layer->engine == ENGINE_ZLIB)
        (void)inflateEnd(&layer->zlib);
    if (layer->engine == ENGINE_ISAL)
        reef_memory_give(layer->memory, layer->isal, sizeof *layer->isal);
    if (layer->engine == ENGINE_BROTLI)
        BrotliDecoderDestroyInstance(layer->brotli);
    layer->engine = ENGINE_NONE;
}

void reef_inflate_free(reef_memory *memory, reef_inflate *layer)
{
    while (layer != NULL) {
        reef_inflate *next = layer->next;
        close_engine(layer);
        reef_memory_give(memory, layer, sizeof *layer);
        layer = next;
    }
}

static bool open_zlib(reef_inflate *layer)
{
    layer->zlib = (z_stream){.zalloc = get_many, .zfree = give, .opaque = layer->memory};
    if (inflateInit2(&layer->zlib, layer->coding == REEF_CODING_GZIP ? 15 + 32 : -15) != Z_OK)
        return false;
    layer->engine = ENGINE_ZLIB;
    return true;
}

static bool open_isal(reef_inflate *layer)
{
    layer->isal = reef_memory_get_raw(layer->memory, sizeof *layer->isal);
    if (layer->isal == NULL)
        return false;
    isal_inflate_init(layer->isal);
    layer->isal->crc_flag = ISAL_DEFLATE;
    layer->engine = ENGINE_ISAL;
    return true;
}

/* How many bytes of a plain head precede the deflated data; -1: not that plain. */
static int plain_head(const reef_inflate *layer, reef_view bytes)
{
    if (layer->coding == REEF_CODING_GZIP && bytes.length > GZIP_HEAD && memcmp(bytes.data, "\x1f\x8b\x08", 4) == 0)
        return GZIP_HEAD;
    return -1;
}

static bool open_engine(reef_inflate *layer, reef_view *bytes)
{
    layer->begun = true;
    if (layer->coding == REEF_CODING_BROTLI) {
        layer->brotli = BrotliDecoderCreateInstance(get, give, layer->memory);
        layer->engine = layer->brotli != NULL ? ENGINE_BROTLI : ENGINE_NONE;
        return layer->brotli != NULL;
    }
    int head = plain_head(layer, *bytes);
    if (head >= 0 && open_isal(layer)) {
        bytes->data += head;
        bytes->length -= (uint32_t)head;
        return true;
    }
    return open_zlib(layer);
}

/* --- bytes --------------------------------------------------------------------------------------------- */

static void put_out(reef_inflate *layer, const uint8_t *data, size_t length, decoding *to)
{
    if (length == 0 || to->stopped)
        return;
    layer->given += length;
    reef_view bytes = {data, (uint32_t)length};
    if (layer->next != NULL)
        decode(layer->next, bytes, to);
    else if (!to->sink(to->context, bytes))
        to->stopped = true;
}

static void pass(reef_inflate *layer, reef_view bytes, decoding *to)
{
    layer->passes = true;
    close_engine(layer);
    if (!to->stopped && !to->sink(to->context, bytes))
        to->stopped = true;
}

/* How much of a gzip head with extras is passed over when decoding begins anew. */
static uint32_t head_with_extras(reef_view bytes)
{
    if (bytes.length < 4 || bytes.data[0] != 0x1f || bytes.data[1] != 0x8b || bytes.data[3] == 0)
        return 0;
    uint32_t length = GZIP_HEAD;
    if (bytes.data[3] & (1 << 3 | 1 << 4)) {
        while (length < bytes.length && bytes.data[length] != 0)
            length++;
        length++;
    } else if (bytes.data[3] & 1 << 1) {
        length = 12;
    }
    return length > bytes.length ? 0 : length;
}

/* First the same coding once more, behind a head with extras; then the other one, both ways. */
static bool restart(reef_inflate *layer, reef_view bytes, uint32_t *skip)
{
    close_engine(layer);
    if (layer->restarts >= RESTARTS_MAX)
        return false;
    if (layer->restarts > 0)
        layer->coding = layer->coding == REEF_CODING_GZIP ? REEF_CODING_DEFLATE : REEF_CODING_GZIP;
    if (!open_zlib(layer))
        return false;
    *skip = head_with_extras(bytes);
    layer->restarts++;
    return true;
}

typedef enum outcome { OUTCOME_MORE, OUTCOME_END, OUTCOME_BROKEN } outcome;

static outcome run_zlib(reef_inflate *layer, reef_view bytes, decoding *to, bool *any)
{
    uint8_t out[OUT_BYTES];
    z_stream *zlib = &layer->zlib;
    zlib->next_in = (Bytef *)(uintptr_t)bytes.data;
    zlib->avail_in = bytes.length;
    *any = false;
    for (;;) {
        zlib->next_out = out;
        zlib->avail_out = sizeof out;
        int status = inflate(zlib, Z_NO_FLUSH);
        size_t length = sizeof out - zlib->avail_out;
        *any = *any || length > 0;
        put_out(layer, out, length, to);
        if (to->stopped || status == Z_STREAM_END)
            return OUTCOME_END;
        if (status != Z_OK && status != Z_BUF_ERROR)
            return OUTCOME_BROKEN;
        if (zlib->avail_out != 0)
            return OUTCOME_MORE;
    }
}

static outcome run_isal(reef_inflate *layer, reef_view bytes, decoding *to)
{
    uint8_t out[OUT_BYTES];
    struct inflate_state *isal = layer->isal;
    isal->next_in = (uint8_t *)(uintptr_t)bytes.data;
    isal->avail_in = bytes.length;
    for (;;) {
        isal->next_out = out;
        isal->avail_out = sizeof out;
        int status = isal_inflate(isal);
        put_out(layer, out, sizeof out - isal->avail_out, to);
        if (to->stopped || isal->block_state == ISAL_BLOCK_FINISH)
            return OUTCOME_END;
        if (status != ISAL_DECOMP_OK)
            return OUTCOME_BROKEN;
        if (isal->avail_out != 0)
            return OUTCOME_MORE;
    }
}

static outcome run_brotli(reef_inflate *layer, reef_view bytes, decoding *to)
{
    uint8_t out[OUT_BYTES];
    size_t in_left = bytes.length;
    const uint8_t *in = bytes.data;
    for (;;) {
        uint8_t *at = out;
        size_t out_left = sizeof out;
        BrotliDecoderResult result = BrotliDecoderDecompressStream(layer->brotli, &in_left, &in, &out_left, &at, NULL);
        put_out(layer, out, sizeof out - out_left, to);
        if (to->stopped || result == BROTLI_DECODER_RESULT_SUCCESS)
            return OUTCOME_END;
        if (result == BROTLI_DECODER_RESULT_ERROR)
            return OUTCOME_BROKEN;
        if (result == BROTLI_DECODER_RESULT_NEEDS_MORE_INPUT)
            return OUTCOME_MORE;
    }
}

/* zlib, over and over in the ways that `restart` knows. */
static void try_zlib(reef_inflate *layer, reef_view bytes, decoding *to)
{
    uint32_t skip = 0;
    for (;;) {
        if (layer->engine == ENGINE_ZLIB && !layer->bad) {
            bool any;
            uint64_t before = layer->given;
            outcome result = run_zlib(layer, (reef_view){bytes.data + skip, bytes.length - skip}, to, &any);
            layer->over = result == OUTCOME_END;
            if (result != OUTCOME_BROKEN)
                return;
            if (layer->restarts == 0 && (any || before > 0)) { /* what came out so far counts */
                *to->failed = true;
                layer->bad = true;
                return;
            }
        }
        *to->failed = true;
        layer->bad = false;
        if (!restart(layer, bytes, &skip)) {
            pass(layer, bytes, to);
            return;
        }
    }
}

static void decode(reef_inflate *layer, reef_view bytes, decoding *to)
{
    reef_view rest = bytes;
    if (layer->over || to->stopped)
        return;
    if (layer->passes || (!layer->begun && !open_engine(layer, &rest))) {
        pass(layer, bytes, to);
        return;
    }
    if (layer->engine == ENGINE_BROTLI) {
        outcome result = run_brotli(layer, rest, to);
        layer->over = result == OUTCOME_END;
        if (result != OUTCOME_BROKEN)
            return;
        if (layer->given == 0)
            pass(layer, bytes, to);
        layer->over = true;
        return;
    }
    if (layer->engine != ENGINE_ISAL) {
        try_zlib(layer, rest, to);
        return;
    }
    outcome result = run_isal(layer, rest, to);
    layer->over = result == OUTCOME_END;
    if (result != OUTCOME_BROKEN)
        return;
    close_engine(layer);
    if (layer->given > 0) {
        *to->failed = true;
        layer->bad = true;
    } else if (open_zlib(layer)) {
        try_zlib(layer, bytes, to);
    } else {
        pass(layer, bytes, to);
    }
}

void reef_inflate_bytes(reef_inflate *layer, reef_view bytes, reef_inflate_sink sink, void *context, bool *failed)
{
    decoding to = {.sink = sink, .context = context, .failed = failed};
    decode(layer, bytes, &to);
}
