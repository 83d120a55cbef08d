"""The gradient of a loss with respect to one variable, beside difference quotients, both in float64."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from lazygrad.plan import Plan
from lazygrad.searching.computed import Computed
from lazygrad.store.draws import Drawing

__all__ = ["Compared", "compared"]

STEPS = (1e-2, 1e-3, 1e-4, 1e-5, 1e-6)  # of differences, relative to the variable; one of them fits the formula
ELEMENTS = 12  # that are looked at one by one
ALLOWED = 1e-3  # of the larger of two slopes
ROUNDED = 1e-13  # of the loss, by which its differences may be off
ASIDE = 1e-3  # of the variable: how far from a kink the two are compared again


@dataclass(frozen=True)
class Compared:
    """The slope of a loss along a random direction, and along single elements of a variable, found in two ways.

    Attributes:
        loss: its value.
        gradient, differences: the slope along the direction.
        elements: the index of an element that differs most, with both slopes; None if the directions agree.
        agree: whether the two are the same number, to within a thousandth; where the loss has a kink, beside it.
    """

    loss: float
    gradient: float
    differences: float
    elements: tuple[tuple[int, ...], float, float] | None
    agree: bool

    @property
    def is_finite(self) -> bool:
        """Whether there is something to compare."""
        return bool(np.isfinite(self.loss) and np.isfinite(self.gradient))


def compared(plan: Plan, given: dict[int, Any], draw: Drawing, place: int) -> Compared:
    """Compare them.

    Args:
        plan: of which the first value is the loss, and the second its gradient.
        given: arrays of variables, placeholders and constants, by node.
        draw: what random numbers are drawn from: the same ones in every run.
        place: the node of the variable.
    """
    computed = Computed(plan, given, draw, wide=True).checked()
    x = computed.given[place]
    one = _Slopes(computed, place, x)
    if not x.size:
        return Compared(one.loss, 0.0, 0.0, None, True)
    rng = np.random.default_rng(0)
    direction = rng.standard_normal(x.shape)
    along = one.gradient_along(direction)
    if not np.isfinite(along) or not np.isfinite(one.loss):
        return Compared(one.loss, along, np.nan, None, False)
    quotient = one.quotient(direction)
    if one.agree(along, quotient):
        return Compared(one.loss, along, quotient, None, True)
    units = [_unit(x, int(number)) for number in rng.permutation(x.size)[:ELEMENTS]]
    slopes = [(one.gradient_along(unit), one.quotient(unit)) for unit in units]
    worst = max(range(len(units)), key=lambda k: abs(slopes[k][0] - slopes[k][1]))
    if one.has_kink(direction) or one.has_kink(units[worst]):
        beside = _Slopes(computed, place, x + ASIDE * one.scale * rng.standard_normal(x.shape))
        if beside.agree(beside.gradient_along(direction), beside.quotient(direction)):
            return Compared(one.loss, along, quotient, None, True)
    index = tuple(int(k) for k in np.argwhere(units[worst])[0]) if x.shape else ()
    return Compared(one.loss, along, quotient, (index, *slopes[worst]), False)


def _unit(x: Any, number: int) -> Any:
    """The direction of an element."""
    found = np.zeros(x.size)
    found[number] = 1.0
    return found.reshape(x.shape)


class _Slopes:
    """The loss around one value of the variable, and its gradient there."""

    def __init__(self, computed: Computed, place: int, x: Any) -> None:
        self.x, (self._loss, slope) = x, computed.plan.values
        self._at: Callable[[Any], float] = lambda y: float(computed.again({place: y}, self._loss))
        self.gradient = np.asarray(computed.again({place: x}, slope), np.float64)
        self.loss = self._at(x)
        self.scale = (float(np.sqrt(np.mean(np.square(x)))) if x.size else 0.0) or 1.0

    def gradient_along(self, direction: Any) -> float:
        """The slope that the gradient says."""
        return float(np.vdot(self.gradient, direction))

    def quotient(self, direction: Any) -> float:
        """The difference quotient that is nearest to that: each step errs by truncation, or by rounding."""
        found, expected = [], self.gradient_along(direction)
        for h in STEPS:
            ends = [self._at(self.x + s * h * self.scale * direction) for s in (1, -1, 0.5, -0.5)]
            one, half = (ends[0] - ends[1]) / (2 * h * self.scale), (ends[2] - ends[3]) / (h * self.scale)
            found.append((4 * half - one) / 3)
        return min(found, key=lambda value: abs(value - expected) if np.isfinite(value) else np.inf)

    def has_kink(self, direction: Any) -> bool:
        """Whether the loss has another slope on one side than on the other."""
        h = STEPS[-1] * self.scale
        ahead, behind = (self._at(self.x + s * h * direction) - self.loss for s in (1, -1))
        return not self.agree(ahead / h, -behind / h, h)

    def agree(self, a: float, b: float, h: float | None = None) -> bool:
        """Whether two slopes are the same, for all that differences over ``h`` can tell."""
        noise = ROUNDED * max(abs(self.loss), 1e-2) / (STEPS[0] * self.scale if h is None else h)
        return bool(abs(a - b) <= ALLOWED * max(abs(a), abs(b)) + noise)
