"""libnftables as one small class: run a batch of commands, get its output or its refusal."""

from __future__ import annotations

from ctypes_ext._nftables import ffi, lib


class NftablesError(Exception):
    """libnftables or the kernel refused a batch; nothing of it was applied. Holds the message as nft words it."""


class Nftables:
    """One libnftables context. Not thread-safe: one per thread.

    The first netlink socket is opened at the first command, in the network namespace of that moment.
    """

    def __init__(self) -> None:
        context = lib.nft_ctx_new(lib.NFT_CTX_DEFAULT)
        if context == ffi.NULL:
            raise NftablesError("libnftables gives no context: out of memory or no netlink socket")
        self._context = ffi.gc(context, lib.nft_ctx_free)
        if lib.nft_ctx_buffer_output(self._context) or lib.nft_ctx_buffer_error(self._context):
            raise NftablesError("libnftables gives no output buffer: out of memory")

    def run(self, commands: str, *, dry_run: bool = False) -> str:
        """Run `commands` as one transaction and return what they print. With `dry_run` the kernel checks
        the whole batch and then forgets it. Raises `NftablesError`."""
        return self._run(commands, lib.NFT_CTX_OUTPUT_NUMERIC_ALL, dry_run)

    def run_file(self, path: str, *, dry_run: bool = False) -> str:
        """As `run` for a file: slower to start, but a refusal says "path:line:columns"."""
        lib.nft_ctx_output_set_flags(self._context, lib.NFT_CTX_OUTPUT_NUMERIC_ALL)
        lib.nft_ctx_set_dry_run(self._context, dry_run)
        return self._result(lib.nft_run_cmd_from_filename(self._context, path.encode()))

    def listing(self, command: str, *, json: bool = False, stateless: bool = True, terse: bool = False) -> str:
        """Output of a `list` command: nft syntax or JSON; `stateless` leaves counters out, `terse` set elements."""
        flags = lib.NFT_CTX_OUTPUT_NUMERIC_ALL
        flags |= lib.NFT_CTX_OUTPUT_JSON if json else 0
        flags |= lib.NFT_CTX_OUTPUT_STATELESS if stateless else 0
        flags |= lib.NFT_CTX_OUTPUT_TERSE if terse else 0
        return self._run(command, flags, False)

    def _run(self, commands: str, flags: int, dry_run: bool) -> str:
        lib.nft_ctx_output_set_flags(self._context, flags)
        lib.nft_ctx_set_dry_run(self._context, dry_run)
        return self._result(lib.nft_run_cmd_from_buffer(self._context, commands.encode()))

    def _result(self, failed: int) -> str:
        output: str = ffi.string(lib.nft_ctx_get_output_buffer(self._context)).decode(errors="replace")
        error: str = ffi.string(lib.nft_ctx_get_error_buffer(self._context)).decode(errors="replace")
        if failed:
            raise NftablesError(error.strip() or "nft refused the batch without a word")
        return output
