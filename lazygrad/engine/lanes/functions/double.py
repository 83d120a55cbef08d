"""Numbers as unevaluated sums of two, for twice the digits.

Dekker, *A floating-point technique for extending the available precision*, Numerische Mathematik 18 (1971); Knuth, *The
Art of Computer Programming*, volume 2, section 4.2.2. Nothing here may be contracted: see :func:`core.exactly`.
"""

from __future__ import annotations

from typing import NamedTuple

from lazygrad.engine.lanes.registers import Register

__all__ = ["Double", "product", "quick_sum", "total"]


class Double(NamedTuple):
    """``high`` + ``low``, where ``low`` is at most half a unit in the last place of ``high``."""

    high: Register
    low: Register


def quick_sum(a: Register, b: Register) -> Double:
    """a + b exactly, for |a| ≥ |b| or a = 0."""
    high = a + b
    return Double(high, b - (high - a))


def total(a: Register, b: Register) -> Double:
    """a + b exactly."""
    high = a + b
    part = high - a
    return Double(high, (a - (high - part)) + (b - part))


def product(a: Double, b: Double) -> Double:
    """a·b to nearly twice the digits."""
    fma = a.high.writer.fma
    high = a.high * b.high
    return Double(high, fma(a.high, b.low, fma(a.low, b.high, fma(a.high, b.high, -high))))
