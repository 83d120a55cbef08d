"""Philox 4×32-10: random words that are a pure function of a key and a counter, so that each is made where it is read.

The generator is that of Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3" (SC 2011, section
3.3): ten rounds, in each of which two of the counter's four words of 32 bits are multiplied, and mixed with the others
and with the key. Known answers are in the file ``kat_vectors`` of Random123.

A *stream* is two words of 64 bits: the key, and the number of the run. A block of four words of 32 bits is made of a
stream, the number of a draw in the step, and the number of the block in the draw. Element *i* of a draw of uint32 is
word *i* mod 4 of block ⌊*i*/4⌋; one of uint64 is two words, the lower half first.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, TypeVar

import numpy as np

__all__ = [
    "MASK",
    "MULTIPLIERS",
    "ROUNDS",
    "TURNS",
    "WEYL",
    "Pair",
    "block_at",
    "rounds",
    "round_keys",
    "word_at",
    "words",
]

MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)  # section 3.3, as are the two below
WEYL = (0x9E3779B9, 0xBB67AE85)  # by which the halves of the key grow from round to round
ROUNDS = 10
MASK = 0xFFFFFFFF
TURNS = MASK  # the number of a draw that no draw has: its blocks are the streams of the turns of a loop
BLOCKS = 4096  # made at once by NumPy, so that they stay in the nearest cache

T = TypeVar("T")


class Pair(NamedTuple):
    """Two numbers, arrays or registers, with which is computed as with one."""

    a: Any
    b: Any

    def __and__(self, other: Any) -> Pair:
        return Pair(self.a & other, self.b & other)

    def __xor__(self, other: Any) -> Pair:
        return Pair(self.a ^ other.a, self.b ^ other.b)

    def __rshift__(self, places: int) -> Pair:
        return Pair(self.a >> places, self.b >> places)

    def __mul__(self, other: Any) -> Pair:
        return Pair(self.a * other.a, self.b * other.b)

    @property
    def swapped(self) -> Pair:
        """The second before the first."""
        return Pair(self.b, self.a)


def rounds(
    even: T,
    odd: T,
    multipliers: T,
    keys: Iterable[T],
    swapped: Callable[[T], T],
    mask: Any = MASK,
    half: Any = 32,
) -> tuple[T, T]:
    """All rounds, on words of 32 bits in numbers of 64; the upper halves of what is returned mean nothing.

    Args:
        even: the words 0 and 2 of counters, next to each other.
        odd: the words 1 and 3.
        multipliers: of each of the two.
        keys: for every round the halves of the key, for the first and the second of the two.
        swapped: puts the second of two in the place of the first.
        mask, half: 2³² − 1 and 32, as numbers that the namespace computes with quickly.
    """
    x: Any = even
    y: Any = odd
    for key in keys:
        product: Any = swapped((x & mask) * multipliers)
        x, y = (product >> half) ^ y ^ key, product
    return x, y


def round_keys(key: Any) -> Iterable[Pair]:
    """The halves of a key of 64 bits, for every round."""
    low, high = key & MASK, key >> 32
    for _ in range(ROUNDS):
        yield Pair(low, high)
        low, high = (low + WEYL[0]) & MASK, (high + WEYL[1]) & MASK


def word_at(xp: Any, place: Any, key: Any, run: Any, draw: int, dtype: np.dtype[Any]) -> Any:
    """The element of a draw that is at ``place``; all are numbers of uint64, or arrays of such, or registers.

    Where ``draw`` is :data:`TURNS`, ``place`` 2·k and 2·k + 1 are the words of the stream of turn *k*.
    """
    short = dtype.itemsize == 4
    block, which = (place >> 2, place & 3) if short else (place >> 1, place & 1)
    first, second = block_at(xp, block, key, run, draw)
    if not short:
        return xp.where(which == 0, first, second)
    both = xp.where(which < 2, first, second)
    return xp.where((which & 1) == 0, both & MASK, both >> 32).astype(dtype)


def block_at(xp: Any, block: Any, key: Any, run: Any, draw: int) -> tuple[Any, Any]:
    """Both words of 64 bits of blocks with these numbers."""
    even, odd = rounds(
        Pair(block, run & MASK), Pair((run & 0) + draw, run >> 32), Pair(*MULTIPLIERS), round_keys(key), _swapped
    )
    first, second = ((x & MASK) | (y << 32) for x, y in zip(even, odd, strict=True))
    return first, second


def _swapped(pair: Pair) -> Pair:
    return pair.swapped


def words(xp: Any, stream: Any, draw: int, shape: tuple[int, ...], dtype: np.dtype[Any], first: int = 0) -> Any:
    """The elements of a draw from number ``first`` on, as an array of uint32 or uint64."""
    size = int(np.prod(shape, dtype=np.int64))
    block, skipped = divmod(first * dtype.itemsize, 16)  # of the first block some elements may come before
    skipped //= dtype.itemsize
    count = -(-(size + skipped) * dtype.itemsize // 16)
    multipliers, weyl, mask, half = _tables(xp)
    head, odd = xp.empty((2, 2), np.uint64), xp.empty((2, 1), np.uint64)
    head[0], head[1] = stream & mask, stream >> half  # (halves, (key, run))
    keys = (head[:, :1] + weyl) & mask
    odd[0], odd[1] = draw, head[1, 1]
    made = xp.empty((count, 2), np.uint64)
    for begin in range(0, count, BLOCKS):
        end = min(begin + BLOCKS, count)
        even = xp.empty((2, end - begin), np.uint64)
        even[0] = xp.arange(block + begin, block + end, dtype=np.uint64)
        even[1] = head[0, 1]
        x, y = rounds(even, odd, multipliers, keys, _reversed, mask, half)
        made[begin:end] = ((x & mask) | (y << half)).T
    return made.reshape(-1).view(dtype)[skipped : skipped + size].reshape(shape)


def _reversed(x: Any) -> Any:
    return x[::-1]


@functools.cache
def _tables(xp: Any) -> tuple[Any, ...]:
    """The multipliers, what is added to the key in every round, and two numbers as arrays, which is quicker."""
    weyl = np.array([[[WEYL[0] * k], [WEYL[1] * k]] for k in range(ROUNDS)], np.uint64)
    numbers = np.array(MULTIPLIERS, np.uint64)[:, None], weyl, np.array(MASK, np.uint64), np.array(32, np.uint64)
    return tuple([xp.asarray(number) for number in numbers])
