"""The recipe of `ctypes_ext._agree`: the comparison of two first-match programs, from the C core."""

from __future__ import annotations

from cffi import FFI

ffibuilder = FFI()
ffibuilder.cdef(
    """
    struct reef_agree_interval { uint8_t first[16]; uint8_t last[16]; };
    struct reef_agree_values { uint32_t start; uint32_t count; };
    struct reef_agree_row { uint32_t values[7]; uint32_t leaf; uint32_t does; uint32_t then; };
    struct reef_agree_program { const struct reef_agree_row *rows; size_t count; };
    struct reef_agree_space {
        const struct reef_agree_interval *intervals; size_t interval_count;
        const struct reef_agree_values *values; size_t values_count;
        struct reef_agree_interval whole[7];
    };
    struct reef_agree_cell { struct reef_agree_interval box[7]; uint32_t start; uint32_t counts[2]; };
    struct reef_agree_answer {
        struct reef_agree_cell *cells; size_t cell_room, cell_count;
        uint32_t *residue; size_t residue_room, residue_count;
        uint64_t budget;
        int complete;
    };
    int reef_agree(const struct reef_agree_space *space, const struct reef_agree_program *one,
                   const struct reef_agree_program *other, struct reef_agree_answer *answer);
    const char *reef_status_text(int status);
    """
)
ffibuilder.set_source("ctypes_ext._agree", '#include "reef/agree.h"\n#include "reef/status.h"\n')
