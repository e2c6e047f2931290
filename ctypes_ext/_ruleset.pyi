"""The compiled module; what `lib` holds is declared in dataplane/include/reef/boxes.h."""

from typing import Any

ffi: Any
lib: Any
