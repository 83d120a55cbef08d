"""Angles of any size, brought to within a quarter turn.

Payne & Hanek, *Radian reduction for trigonometric functions*, ACM SIGNUM Newsletter 18 (1983): of a = M·2ᵉ with a
whole M < 2⁵³, the turns a/2π modulo 1 depend only on the bits of 1/2π from position e on. Six words of 32 bits of
them, times M in whole numbers, give 128 bits of the turns. An angle in float64 comes no nearer to a multiple of π/2
than about 2⁻⁶¹, so 60 bits and more remain.

This is rare and long, so it is a function of its own beside the one that is written; lane by lane, as the code for
all lanes at once would take longer to compile than all else.
"""

from __future__ import annotations

import functools
import itertools

from lazygrad.engine.lanes.functions.core import PI, parts
from lazygrad.engine.lanes.registers import ADDRESS, F64, I64, Register
from lazygrad.engine.lanes.writer import Writer

__all__ = ["far"]

WORDS = 44
TABLE = "@one_over_turn"
LOW = 0xFFFFFFFF


@functools.cache
def _words() -> list[int]:
    """The bits of 1/2π in words of 32, after two words of zeros."""
    size = 32 * WORDS + 64

    def arctan_of_inverse(n: int) -> int:
        total, term, k = 0, (1 << size) // n, 1
        while term:
            total += term // k if k % 4 == 1 else -(term // k)
            term, k = term // (n * n), k + 2
        return total

    pi = 16 * arctan_of_inverse(5) - 4 * arctan_of_inverse(239)  # Machin, 1706
    bits = (1 << 2 * size) // (2 * pi) >> (size - 32 * (WORDS - 2))
    return [bits >> 32 * (WORDS - 1 - k) & LOW for k in range(WORDS)]


def _product(mantissa: Register, words: list[Register]) -> list[Register]:
    """The first words after the point of a whole number times a fraction given by its words."""
    low, high = mantissa & LOW, mantissa.writer.binary("lshr", mantissa, mantissa.writer.constant(32, I64))
    count = len(words)
    columns: list[list[Register]] = [[] for _ in range(count)]
    for k, word in enumerate(words):
        for place, factor in ((k, low), (k - 1, high)):
            if place >= 0:
                product = factor * word
                columns[place].append(product & LOW)
                if place >= 1:
                    columns[place - 1].append(_upper(product))
    found = []
    carry: Register | None = None
    for column in columns[::-1]:
        total = functools.reduce(lambda a, b: a + b, column)
        total = total if carry is None else total + carry
        carry = _upper(total)
        found.append(total & LOW)
    return found[::-1]


def _upper(x: Register) -> Register:
    return x.writer.binary("lshr", x, x.writer.like(32, x))


def _turns(a: Register) -> tuple[Register, Register]:
    """a/2π modulo 1, as two whole numbers: in units of 2⁻⁶⁴, and the rest in units of 2⁻¹²⁸."""
    writer = a.writer
    bits = a.bits()
    exponent = (bits >> 52) - (1023 + 52)
    mantissa = (bits & (2**52 - 1)) | 2**52
    place = exponent + 64
    first, shift = place >> 5, place & 31
    table = Register(writer, TABLE, ADDRESS, False, 0)
    gathered = [writer.load(table, first + k, I64) for k in range(7)]
    words = [writer.binary("lshr", (a << 32) | b, 32 - shift) & LOW for a, b in itertools.pairwise(gathered)]
    w = _product(mantissa, words)
    return (w[0] << 32) | w[1], (w[2] << 32) | w[3]


def _definition(name: str, doublings: int, quarter: bool) -> dict[str, str]:
    """The function ``name(place, count)`` and its table; see :func:`far`."""
    writer = Writer(1)
    writer.contract = False
    place, count = Register(writer, "%place", ADDRESS, False, 0), Register(writer, "%count", I64, False, 0)
    with writer.loop(0, count) as index:
        r, n = _reduced(writer.load(place, index, F64), doublings, quarter)
        writer.store(r, place, index)
        writer.store(n, place, index + count)
    listed = ", ".join(f"i64 {word}" for word in _words())
    return {
        TABLE: f"{TABLE} = internal constant [{WORDS} x i64] [{listed}]",
        **writer.definitions,
        name: f"define internal i64 {name}(ptr %place, i64 %count) noinline #0 {writer.body()}",
    }


def _reduced(a: Register, doublings: int, quarter: bool) -> tuple[Register, Register]:
    """The narrow form of :func:`far`."""
    writer = a.writer
    high, low = _turns(a)
    half = 1 << (63 - doublings)
    n = high if quarter else high + half
    high = high - half if quarter else high
    high = (high << doublings) | writer.binary("lshr", low, writer.like(64 - doublings, low))
    low = writer.binary("lshr", low << doublings, writer.like(1, low))
    # The fraction as a sum of two floats, then times a half or a quarter of a turn.
    large = high.astype(F64)
    small = (high - large.astype(I64)).astype(F64) + low.astype(F64) * 2.0**-63
    total = large + small
    small = (large - total) + small
    unit = [part * 2.0 ** (1 - doublings - 64) for part in parts(PI, F64, 2)]
    r = total * unit[0]
    r = r + (writer.fma(total, unit[0], -r) + writer.fma(total, unit[1], small * unit[0]))
    return r, writer.binary("lshr", n, writer.like(64 - doublings, n))


def far(a: Register, doublings: int, quarter: bool = False) -> tuple[Register, Register]:
    """A large positive finite float64 as (n + ½·[quarter])·π·2^(1 - doublings) + r, with n modulo 2^doublings.

    ``doublings`` is 1 for half turns and 2 for quarters of a turn. ``r`` is good to
    its last digit; ``n`` is int64. To be called where the writer is within a ``when``.
    """
    writer = a.writer
    name = f"@reduced_{doublings}{'q' if quarter else ''}"
    if name not in writer.definitions:
        writer.definitions.update(_definition(name, doublings, quarter))
    r, n = writer.alone(name, a, (F64, I64))
    return r, n
