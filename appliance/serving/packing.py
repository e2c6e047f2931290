"""What a client prefers, and bytes as it takes them. Pure."""

from __future__ import annotations

import zlib

import zstandard


def preferences(header: str, most: int = 32) -> list[tuple[str, dict[str, str], float]]:
    """An Accept or Accept-Encoding header: values in small letters, their parameters, how much they are wanted."""
    found = []
    for part in header.split(",")[:most]:
        value, *parameters = (word.strip().lower() for word in part.split(";"))
        named = dict(_pair(word) for word in parameters if word)
        try:
            quality = min(1.0, max(0.0, float(named.pop("q", "1"))))
        except ValueError:
            quality = 0.0
        if value:
            found.append((value, named, quality))
    return found


def _pair(word: str) -> tuple[str, str]:
    name, _, value = word.partition("=")
    return name.strip(), value.strip().strip('"')


def encoding(header: str) -> str:
    """What to pack with: "zstd", "gzip" or "" for nothing."""
    wanted = {value: quality for value, _, quality in preferences(header)}
    usable = {one: wanted.get(one, 0.0) for one in ("zstd", "gzip")}
    best = max(usable, key=lambda one: usable[one])
    return best if usable[best] > 0 and usable[best] >= wanted.get("identity", 0.0) else ""


def packed(data: bytes, how: str) -> bytes:
    if how == "zstd":
        return zstandard.ZstdCompressor(level=3).compress(data)
    if how == "gzip":
        packer = zlib.compressobj(1, zlib.DEFLATED, 31)
        return packer.compress(data) + packer.flush()
    return data
