"""Write the C of one extension: `python -m ctypes_ext.emit NAME OUT.c`, as CMake calls it."""

from __future__ import annotations

import importlib
import sys


def main(argv: list[str]) -> int:
    """`argv` is (NAME, OUT): the stem of `ctypes_ext/NAME_build.py` and the C file to write."""
    if len(argv) != 2:
        print("usage: python -m ctypes_ext.emit NAME OUT.c", file=sys.stderr)
        return 2
    name, out = argv
    recipe = importlib.import_module(f"ctypes_ext.{name}_build")
    recipe.ffibuilder.emit_c_code(out)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
