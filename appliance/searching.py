"""What a word finds in a list of a million entries, newest first, a page at a time. Pure.

Entries stand in blocks in the order in which they came. The texts of a block are one string, made when somebody first
looks for a word there, so that a search is a few hundred calls of `str.find` and touches only the lines that hold the
word. How many of them one question looks at is bounded: then the page ends early, and says where to go on.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Generic, NamedTuple, TypeVar

_BITS = 12
_SIZE = 1 << _BITS  # entries of a block
MOST_LOOKED = 20_000  # lines that one question looks at

K = TypeVar("K", bound=Hashable)


class Found(NamedTuple, Generic[K]):
    """`after` is where the next page begins, 0 at the end; `total` how many there are, or if not `exact` at least."""

    keys: list[K]
    after: int
    total: int
    exact: bool = True


class _Block(Generic[K]):
    """Entries whose numbers begin with the same bits: `keys` by the others, None where there is none any more."""

    def __init__(self) -> None:
        self.keys: list[K | None] = []
        self.live = 0
        self.text: str | None = None
        self._begins: list[int] = []
        self._offsets: list[int] = []

    def put(self, offset: int, key: K) -> None:
        self.keys += [None] * (offset - len(self.keys))
        self.keys.append(key)
        self.live += 1
        self.text = None

    def drop(self, offset: int) -> None:
        self.keys[offset] = None
        self.live -= 1
        self.text = None

    def newest(self, below: int) -> Iterator[int]:
        """Offsets of what is there, the highest first."""
        return (at for at in range(min(below, len(self.keys)) - 1, -1, -1) if self.keys[at] is not None)

    def read(self, text_of: Callable[[K], str]) -> str:
        present = [(at, key) for at, key in enumerate(self.keys) if key is not None]
        lines = [_one_line(text_of(key)) for _, key in present]
        self._offsets = [at for at, _ in present]
        self._begins = []
        begin = 0
        for line in lines:
            self._begins.append(begin)
            begin += len(line) + 1
        self.text = "\n".join(lines)
        return self.text

    def holding(self, text: str, word: str) -> Iterator[tuple[int, str]]:
        """Offset and text of each line that holds a word, ascending."""
        at = text.find(word)
        while at >= 0:
            place = bisect_right(self._begins, at) - 1
            end = self._begins[place + 1] - 1 if place + 1 < len(self._begins) else len(text)
            yield self._offsets[place], text[self._begins[place] : end]
            at = text.find(word, end)


class Searched(Generic[K]):
    """Keys in the order in which they came. `text_of` says in what words a key is found; it is asked when needed."""

    def __init__(self, text_of: Callable[[K], str]) -> None:
        self._text_of = text_of
        self._blocks: dict[int, _Block[K]] = {}  # ascending, for numbers only grow
        self._numbers: dict[K, int] = {}
        self._next = 1
        self.looked = 0  # lines that searches looked at or read, since the beginning

    def __len__(self) -> int:
        return len(self._numbers)

    def put(self, key: K) -> None:
        """Behind all others, wherever it stood."""
        self.drop(key)
        number, self._next = self._next, self._next + 1
        self._numbers[key] = number
        self._blocks.setdefault(number >> _BITS, _Block()).put(number % _SIZE, key)

    def changed(self, key: K) -> None:
        """Its words are others now."""
        number = self._numbers.get(key)
        if number is not None:
            self._blocks[number >> _BITS].text = None

    def drop(self, key: K) -> None:
        """No more there, if it was."""
        number = self._numbers.pop(key, None)
        if number is None:
            return
        block = self._blocks[number >> _BITS]
        block.drop(number % _SIZE)
        if not block.live:
            del self._blocks[number >> _BITS]

    def replace(self, keys: Iterable[K]) -> None:
        """These and no others."""
        self._blocks.clear()
        self._numbers.clear()
        for key in keys:
            self.put(key)

    def warm(self, blocks: int = 4) -> bool:
        """Read texts before somebody asks for them: at most so many blocks. Whether something was left to read."""
        cold = list(islice((block for block in self._blocks.values() if block.text is None), blocks))
        for block in cold:
            block.read(self._text_of)
        return bool(cold)

    def find(self, words: Sequence[str], *, after: int = 0, limit: int, most: int = MOST_LOOKED) -> Found[K]:
        """Those that hold all of the words, newest first, behind the place `after` of the page before."""
        needles = sorted((_one_line(word) for word in words if word), key=len, reverse=True)
        return self._search(needles, after or self._next, limit, most) if needles else self._page(after, limit)

    def _page(self, after: int, limit: int) -> Found[K]:
        numbers = list(islice(self._downward(after or self._next), limit + 1))
        self.looked += len(numbers)
        goes_on = numbers[limit - 1] if 0 < limit < len(numbers) else 0
        return Found([self._key(number) for number in numbers[:limit]], goes_on, len(self))

    def _downward(self, after: int) -> Iterator[int]:
        for place, block in reversed(self._blocks.items()):
            first = place << _BITS
            if first < after:
                yield from (first + at for at in block.newest(after - first))

    def _key(self, number: int) -> K:
        key = self._blocks[number >> _BITS].keys[number % _SIZE]
        assert key is not None
        return key

    def _search(self, needles: list[str], after: int, limit: int, most: int) -> Found[K]:
        found: list[int] = []  # one more than the page
        looked = total = 0
        for place, block in reversed(self._blocks.items()):
            first = place << _BITS
            if first >= after:
                continue
            text = block.text
            if text is None:
                text = block.read(self._text_of)
                self.looked += block.live
            lines = [one for one in block.holding(text, needles[0]) if first + one[0] < after]
            looked += len(lines)
            held = [first + at for at, line in lines if all(word in line for word in needles[1:])]
            total += len(held)
            found += reversed(held)
            del found[limit + 1 :]
            if looked >= most:
                break
        else:
            place = 0
        self.looked += looked
        goes_on = found[limit - 1] if 0 < limit < len(found) else place << _BITS
        return Found([self._key(number) for number in found[:limit]], goes_on, total, exact=not place)


def _one_line(text: str) -> str:
    return text.replace("\n", " ").lower()
