"""Random words in registers: on a CPU a block of Philox lies in two lanes of 64 bits, so that none is made twice.

Where elements follow one another from lane to lane, and the first begins a block, their words are those of whole
blocks, in order. Elsewhere every lane makes the block of its own element, and takes its word of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from lazygrad.engine.lanes.arithmetic import Arithmetic
from lazygrad.engine.lanes.registers import U64, Places, Register, scalar_type
from lazygrad.engine.lanes.writer import Writer
from lazygrad.philox import MULTIPLIERS, block_at, round_keys, rounds, word_at

__all__ = ["random_word"]


def random_word(xp: Any, place: Register, key: Register, run: Register, draw: int, dtype: np.dtype[Any]) -> Register:
    """The word of a draw at a place, or one a lane."""
    w = place.writer
    narrow = not (key.wide or run.wide)
    if isinstance(place, Places) and isinstance(w, Writer) and narrow and place.multiple % (16 // dtype.itemsize) == 0:
        return _blocks(w, place.first, key, run, draw, dtype)
    if place.name.isdigit():
        return _known(w, int(place.name), key, run, draw, dtype)
    return word_at(xp, place, key, run, draw, dtype)  # type: ignore[no-any-return]


def _known(w: Arithmetic, place: int, key: Register, run: Register, draw: int, dtype: np.dtype[Any]) -> Register:
    """The word at a place that is known: those of one block are of the same text, which is written once."""
    each = 16 // dtype.itemsize
    words = block_at(None, w.constant(place // each, U64), key, run, draw)
    word: Register = words[place % each * dtype.itemsize // 8]
    return (word >> 32 if dtype.itemsize == 4 and place % 2 else word).astype(dtype)


class _Vector:
    """As many numbers of 64 bits as make a register of words."""

    def __init__(self, writer: Writer, count: int, register: Register) -> None:
        self.writer, self.count, self.register = writer, count, register
        self.type = f"<{count} x i64>"

    def _with(self, what: str, other: _Vector | int) -> _Vector:
        if isinstance(other, int):
            name, operands = f"splat (i64 {other})", [self.register]
        else:
            name, operands = other.register.name, [self.register, other.register]
        text = f"{what} {self.type} {self.register.name}, {name}"
        return _Vector(self.writer, self.count, self.writer.instruction(text, U64, *operands, wide=True))

    def __and__(self, other: _Vector | int) -> _Vector:
        return self._with("and", other)

    def __or__(self, other: _Vector | int) -> _Vector:
        return self._with("or", other)

    def __xor__(self, other: _Vector | int) -> _Vector:
        return self._with("xor", other)

    def __add__(self, other: _Vector | int) -> _Vector:
        return self._with("add", other)

    def __mul__(self, other: _Vector | int) -> _Vector:
        return self._with("mul", other)

    def __rshift__(self, places: int) -> _Vector:
        return self._with("lshr", places)

    def __lshift__(self, places: int) -> _Vector:
        return self._with("shl", places)

    def shuffled(self, order: Sequence[int], what: str = "shufflevector") -> _Vector:
        """The lanes in another order."""
        listed = ", ".join(f"i32 {k}" for k in order)
        text = f"{what} {self.type} {self.register.name}, {self.type} poison, <{self.count} x i32> <{listed}>"
        return _Vector(self.writer, self.count, self.writer.instruction(text, U64, self.register, wide=True))

    @property
    def swapped(self) -> _Vector:
        """The two lanes of every block in the place of each other."""
        return self.shuffled([k ^ 1 for k in range(self.count)])


class _Vectors:
    """Makes vectors of numbers."""

    def __init__(self, writer: Writer, count: int) -> None:
        self.writer, self.count = writer, count
        self.type = f"<{count} x i64>"

    def constant(self, numbers: Callable[[int], int]) -> _Vector:
        """A number of each lane."""
        listed = ", ".join(f"i64 {numbers(k)}" for k in range(self.count))
        return _Vector(self.writer, self.count, Register(self.writer, f"<{listed}>", U64, True, 0))

    def alternating(self, a: Register, b: Register) -> _Vector:
        """``a`` in lanes of even number, ``b`` in the others."""
        first, other = self._inserted("poison", a, 0), b
        both = self._inserted(first.name, other, 1, first)
        return _Vector(self.writer, self.count, both).shuffled([k % 2 for k in range(self.count)])

    def _inserted(self, into: str, x: Register, lane: int, *operands: Register) -> Register:
        text = f"insertelement {self.type} {into}, i64 {x.name}, i64 {lane}"
        return self.writer.instruction(text, U64, *operands, x, wide=True)


def _blocks(w: Writer, first: Register, key: Register, run: Register, draw: int, dtype: np.dtype[Any]) -> Register:
    """The words of whole blocks, of which the first begins at place ``first``."""
    count = w.width * dtype.itemsize // 8
    make = _Vectors(w, count)
    zero = w.constant(0, U64)
    start = first >> (2 if dtype.itemsize == 4 else 1)
    even = make.alternating(start, run & 0xFFFFFFFF) + make.constant(lambda k: 0 if k % 2 else k // 2)
    odd = make.alternating(zero + draw, run >> 32)

    def keys() -> Iterator[_Vector]:
        for pair in round_keys(key):
            yield make.alternating(*pair)

    multipliers = make.constant(lambda k: MULTIPLIERS[k % 2])
    x, y = rounds(even, odd, multipliers, keys(), lambda vector: vector.swapped)
    words = (x & 0xFFFFFFFF) | (y << 32)
    if dtype.itemsize == 8:
        return words.register
    text = f"bitcast {words.type} {words.register.name} to <{w.width} x {scalar_type(dtype)}>"
    return w.instruction(text, dtype, words.register, wide=True)
