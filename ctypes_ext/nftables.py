"""libnftables as one small class: run a batch of commands, get its output or its refusal."""

from __future__ import annotations

from typing import Any

from ctypes_ext._nftables import ffi, lib


class NftablesError(Exception):
    """libnftables or the kernel refused a batch; nothing of it was applied. Holds the message as nft words it."""


class Nftables:
    """One libnftables context. Not thread-safe: one per thread.

    The netlink socket is opened in the network namespace of the moment.
    """

    def __init__(self) -> None:
        self._context = _context()

    def run(self, commands: str, *, dry_run: bool = False) -> str:
        """Run `commands` as one transaction and return what they print. With `dry_run` the kernel checks
        the whole batch and then forgets it. Raises `NftablesError`."""
        return self._run(lib.nft_run_cmd_from_buffer, commands, dry_run)

    def run_file(self, path: str, *, dry_run: bool = False) -> str:
        """As `run` for a file: slower to start, but a refusal says "path:line:columns"."""
        return self._run(lib.nft_run_cmd_from_filename, path, dry_run)

    def listing(self, command: str, *, json: bool = False, stateless: bool = True, terse: bool = False) -> str:
        """Output of a `list` command: nft syntax or JSON; `stateless` leaves counters out, `terse` set elements."""
        flags = lib.NFT_CTX_OUTPUT_NUMERIC_ALL
        flags |= lib.NFT_CTX_OUTPUT_JSON if json else 0
        flags |= lib.NFT_CTX_OUTPUT_STATELESS if stateless else 0
        flags |= lib.NFT_CTX_OUTPUT_TERSE if terse else 0
        lib.nft_ctx_output_set_flags(self._context, flags)
        return _result(self._context, lib.nft_run_cmd_from_buffer(self._context, command.encode()))

    def _run(self, command: Any, argument: str, dry_run: bool) -> str:
        # A context remembers what it sent as if it were in the kernel, so what is only tried, or refused, has one
        # of its own.
        context = _context() if dry_run else self._context
        lib.nft_ctx_set_dry_run(context, dry_run)
        lib.nft_ctx_output_set_flags(context, lib.NFT_CTX_OUTPUT_NUMERIC_ALL)
        try:
            return _result(context, command(context, argument.encode()))
        except NftablesError:
            self._context = _context()
            raise


def _context() -> Any:
    context = lib.nft_ctx_new(lib.NFT_CTX_DEFAULT)
    if context == ffi.NULL:
        raise NftablesError("libnftables gives no context: out of memory or no netlink socket")
    context = ffi.gc(context, lib.nft_ctx_free)
    if lib.nft_ctx_buffer_output(context) or lib.nft_ctx_buffer_error(context):
        raise NftablesError("libnftables gives no output buffer: out of memory")
    return context


def _result(context: Any, failed: int) -> str:
    output: str = ffi.string(lib.nft_ctx_get_output_buffer(context)).decode(errors="replace")
    error: str = ffi.string(lib.nft_ctx_get_error_buffer(context)).decode(errors="replace")
    if failed:
        raise NftablesError(error.strip() or "nft refused the batch without a word")
    return output
