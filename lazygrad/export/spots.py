"""Addresses that are known only when exported code runs: where something begins, and how many bytes further on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Image", "Spot", "Word"]


@dataclass(frozen=True)
class Spot:
    """A spot in memory: so many bytes after what LLVM's text calls ``base``."""

    base: str
    offset: int = 0

    def __add__(self, nbytes: int) -> Spot:
        return Spot(self.base, self.offset + nbytes)


Word = int | Spot


class Image:
    """Bytes that every call copies into its workspace before it enters the addresses in them.

    Args:
        base: what LLVM's text calls the address of the copy.
        pointer: bytes of an address.

    Attributes:
        data: the bytes, with zeros where addresses go.
        fixes: for each address where it goes, and what it is.
    """

    def __init__(self, base: str, pointer: int) -> None:
        self.base, self.pointer = base, pointer
        self.data = bytearray()
        self.fixes: list[tuple[int, Spot]] = []

    def words(self, words: Sequence[Word]) -> Spot:
        """Append numbers of 64 bits; an address takes the low end of one. Where they begin."""
        return self._append(words, 8)

    def addresses(self, spots: Sequence[Word]) -> Spot:
        """Append a row of addresses. Where it begins."""
        return self._append(spots, self.pointer)

    def _append(self, words: Sequence[Word], size: int) -> Spot:
        self.data += bytes(-len(self.data) % 8)
        begin = len(self.data)
        for word in words:
            if isinstance(word, Spot):
                self.fixes.append((len(self.data), word))
                word = 0
            self.data += word.to_bytes(size, "little", signed=True)
        return Spot(self.base, begin)
