"""The compiled module; what `lib` holds is declared in engine_cdef.h."""

from typing import Any

ffi: Any
lib: Any
