"""A link as a picture that telephones read: a QR code (ISO/IEC 18004) as one path of SVG. Pure.

Drawn as a path it needs no style and no image of its own, so the strictest Content-Security-Policy shows it.
"""

from __future__ import annotations

import msgspec
import segno

_QUIET = 4  # modules of white around it, as the standard wants


class Picture(msgspec.Struct, frozen=True):
    """`path` is the `d` of what is dark, in a square of `size` by `size`; everything else of it is light."""

    size: int
    path: str


def picture(link: str) -> Picture:
    """Raises `ValueError` for what is too long for one."""
    matrix = segno.make_qr(link, error="m").matrix
    size = len(matrix) + 2 * _QUIET
    runs = [
        f"M{first + _QUIET} {line + _QUIET}h{length}v1h-{length}z"
        for line, modules in enumerate(matrix)
        for first, length in _dark(modules)
    ]
    return Picture(size, "".join(runs))


def _dark(modules: bytearray) -> list[tuple[int, int]]:
    """(first, how many) of each run of dark modules."""
    found: list[tuple[int, int]] = []
    for place, module in enumerate(modules):
        if not module:
            continue
        if found and sum(found[-1]) == place:
            found[-1] = (found[-1][0], found[-1][1] + 1)
        else:
            found.append((place, 1))
    return found
