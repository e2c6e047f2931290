"""cffi recipe for libnftables."""

from cffi import FFI

ffibuilder = FFI()
ffibuilder.cdef(
    """
    struct nft_ctx;
    #define NFT_CTX_DEFAULT ...
    #define NFT_CTX_OUTPUT_STATELESS ...
    #define NFT_CTX_OUTPUT_JSON ...
    #define NFT_CTX_OUTPUT_NUMERIC_ALL ...
    #define NFT_CTX_OUTPUT_TERSE ...
    struct nft_ctx *nft_ctx_new(uint32_t flags);
    void nft_ctx_free(struct nft_ctx *ctx);
    void nft_ctx_set_dry_run(struct nft_ctx *ctx, bool dry);
    void nft_ctx_output_set_flags(struct nft_ctx *ctx, unsigned int flags);
    int nft_ctx_buffer_output(struct nft_ctx *ctx);
    const char *nft_ctx_get_output_buffer(struct nft_ctx *ctx);
    int nft_ctx_buffer_error(struct nft_ctx *ctx);
    const char *nft_ctx_get_error_buffer(struct nft_ctx *ctx);
    int nft_run_cmd_from_buffer(struct nft_ctx *nft, const char *buf);
    int nft_run_cmd_from_filename(struct nft_ctx *nft, const char *filename);
    """
)
ffibuilder.set_source("ctypes_ext._nftables", "#include <nftables/libnftables.h>", libraries=["nftables"])
