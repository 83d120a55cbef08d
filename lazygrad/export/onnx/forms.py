"""How a number depends on sizes that are open: found from its values for some of them, and checked with others.

A whole number is a polynomial of degree one in each size, such as ``n·time`` or ``3·n + 1``. A real one is a power of
each, times a constant, as the 1/n of a mean is, or has such a form in n − 1, as an unbiased variance has.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

__all__ = ["Form", "Point", "Power", "Whole", "fitted", "points", "real", "whole"]

Point: TypeAlias = tuple[int, ...]  # a size for each open axis
FARTHER = 2  # beyond the corners, at which forms are checked


@dataclass(frozen=True)
class Whole:
    """Σ coefficient·∏ sizes, over sets of open axes; the empty set has the constant."""

    terms: tuple[tuple[tuple[int, ...], int], ...]

    def __call__(self, point: Point) -> int:
        """The number for these sizes."""
        return sum(factor * math.prod(point[i] for i in which) for which, factor in self.terms)

    def said(self, names: Sequence[str]) -> str:
        """The form in words, such as ``4*batch + 1``; a name alone where it is that size."""
        parts = []
        for which, factor in sorted(self.terms, key=lambda term: -len(term[0])):
            product = "*".join(names[i] for i in which)
            parts.append(str(factor) if not which else product if factor == 1 else f"{factor}*{product}")
        return " + ".join(parts) or "0"


@dataclass(frozen=True)
class Power:
    """``factor · ∏ (size − less)^power``."""

    factor: float
    powers: tuple[float, ...]
    less: int = 0

    def __call__(self, point: Point) -> float:
        """The number for these sizes."""
        return self.factor * math.prod(math.pow(n - self.less, p) for n, p in zip(point, self.powers, strict=True))


Form: TypeAlias = Whole | Power


def points(begin: Sequence[int], taken: set[int], near: bool = False) -> list[Point]:
    """Sizes for which a step is written: first the corners of a cube of side 1, then some farther away.

    No size is among those that are ``taken``, nor is another open axis's: so that no two sizes are equal by chance. Nor
    is it a power of two, or next to one (n − 1 is what a variance is divided by), by which other things are done:
    dividing by one is multiplying, to the last bit.

    Args:
        begin: for each open axis a size that it may have; all others are larger.
        taken: sizes that occur in the step.
        near: whether all are to be near each other; if not, the last is about twice the others.
    """
    used, lowest = set(taken), []
    for size in begin:
        p = max(size, 3) + 1
        while used & set(_steps(p, near)) or any(map(_near_power, _steps(p, near))):
            p += 1
        used |= set(_steps(p, near))
        lowest.append(p)
    corners = [
        tuple(p + one for p, one in zip(lowest, ones, strict=True))
        for ones in itertools.product((0, 1), repeat=len(lowest))
    ]
    return corners + [tuple(_steps(p, near)[2 + k] for p in lowest) for k in range(FARTHER)]


def _near_power(size: int) -> bool:
    return any(near & (near - 1) == 0 for near in (size - 1, size, size + 1))


def _steps(p: int, near: bool) -> tuple[int, ...]:
    return p, p + 1, p + 3, p + 6 if near else 2 * p + 5


def whole(values: Sequence[int], at: Sequence[Point]) -> Whole | None:
    """The polynomial that has these values at :func:`points`; None if there is none."""
    axes = len(at[0])
    found = Whole(tuple((which, factor) for which, factor in _terms(values[: 2**axes], at[0], 0) if factor))
    return found if all(found(point) == value for point, value in zip(at, values, strict=True)) else None


def _terms(values: Sequence[int], lowest: Point, axis: int) -> Iterator[tuple[tuple[int, ...], int]]:
    """What the values at the corners say, one axis after the other: f(p + 1) − f(p) is the slope."""
    if axis == len(lowest):
        yield (), int(values[0])
        return
    half = len(values) // 2
    low, high = (dict(_terms(part, lowest, axis + 1)) for part in (values[:half], values[half:]))
    for which, begun in low.items():
        slope = high[which] - begun
        yield which, begun - slope * lowest[axis]
        yield (axis, *which), slope


def real(values: Sequence[float], at: Sequence[Point], rounding: float) -> Power | None:
    """The power of sizes that has these values at :func:`points`, to a few roundings; None if there is none.

    Args:
        values, at: numbers, and the sizes for which they are found.
        rounding: relative, of the numbers' dtype.
    """
    if not all(map(math.isfinite, values)) or 0 in values:
        return None
    axes = len(at[0])
    for less in (0, 1):
        powers = []
        for axis in range(axes):
            step = 2 ** (axes - 1 - axis)  # the corner that differs along this axis
            ratio = values[step] / values[0]
            slope = math.log(ratio) / math.log((at[step][axis] - less) / (at[0][axis] - less)) if ratio > 0 else 0.0
            powers.append(round(2 * slope) / 2)
        unit = Power(1.0, tuple(powers), less)
        exact = values[-1] / unit(at[-1])
        for factor in (float(f"{exact:.5g}"), exact):
            found = Power(factor, tuple(powers), less)
            if all(abs(found(p) - v) <= 4 * rounding * abs(v) for p, v in zip(at, values, strict=True)):
                return found
    return None


def fitted(values: Sequence[Any], at: Sequence[Point]) -> list[Form] | None:
    """A form for every element of arrays that are alike in shape and dtype, in order; None if one has none."""
    dtype, found = values[0].dtype, []
    for column in zip(*[value.ravel().tolist() for value in values], strict=True):
        form: Form | None
        if dtype.kind in "iu":
            form = whole(column, at)
        elif len({repr(number) for number in column}) == 1:  # −0 is another number than 0, and NaN the same
            form = Power(float(column[0]), (0.0,) * len(at[0]))
        elif dtype.kind != "f":
            form = None
        else:
            counts = all(number.is_integer() for number in column)
            form = whole([int(number) for number in column], at) if counts else None
            form = form or real(column, at, float(np.finfo(dtype).eps))
        if form is None:
            return None
        found.append(form)
    return found
