"""FIRST's Traffic Light Protocol 2.0: who may be told, as an order and in the words of the standard."""

from __future__ import annotations

from enum import IntEnum


class Tlp(IntEnum):
    """From the widest sharing to the narrowest; a greater one is stricter."""

    CLEAR = 0
    GREEN = 1
    AMBER = 2
    AMBER_STRICT = 3
    RED = 4

    @property
    def word(self) -> str:
        """As policies and events say it: "amber+strict"."""
        return _WORDS[self]

    @property
    def label(self) -> str:
        """As the standard says it: "TLP:AMBER+STRICT"."""
        return f"TLP:{_WORDS[self].upper()}"


_WORDS = ("clear", "green", "amber", "amber+strict", "red")
_FOUND = {word: Tlp(number) for number, word in enumerate(_WORDS)} | {"white": Tlp.CLEAR}  # TLP 1.0 said white


def parse(text: str) -> Tlp:
    """`amber+strict` or `TLP:AMBER+STRICT`, in any case. Raises ValueError."""
    found = _FOUND.get(text.strip().lower().removeprefix("tlp:"))
    if found is None:
        raise ValueError(f"`{text}` is no label of TLP 2.0; write {', '.join(_WORDS)}")
    return found
