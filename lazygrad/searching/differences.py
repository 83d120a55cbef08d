"""The gradient of a loss with respect to one variable, beside difference quotients, both in float64."""

from __future__ import annotations

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


@dataclass(frozen=True)
class Compared:
    """The slope of a loss along a random direction, and along single elements of a variable, found in two ways.

    Attributes:
        gradient, differences: the slope along the direction.
        elements: the index of an element that differs most, with both slopes; None if the directions agree.
    """

    gradient: float
    differences: float
    elements: tuple[tuple[int, ...], float, float] | None

    @property
    def agree(self) -> bool:
        """Whether the two are the same number, to within a thousandth."""
        return _close(self.gradient, self.differences)


def _close(a: float, b: float) -> bool:
    return bool(abs(a - b) <= ALLOWED * max(abs(a), abs(b)) + 1e-9) or bool(np.isnan(a) and np.isnan(b))


def compared(plan: Plan, given: dict[int, Any], draw: Drawing, place: int) -> Compared:
    """Compare them.

    Args:
        plan: of which the first value is the loss, and the second its gradient.
        given: arrays of variables, placeholders and constants, by node.
        draw: what random numbers are drawn from: the same ones in every run.
        place: the node of the variable.
    """
    wide = {i: _widened(x) for i, x in given.items()}
    computed = Computed(plan, wide, draw, widened=_widened).checked()
    loss, gradient = plan.values[0], np.asarray(computed.arrays[plan.values[1]], np.float64)
    x = wide[place]
    scale = float(np.sqrt(np.mean(np.square(x)))) or 1.0

    def slope(direction: Any, expected: float) -> float:
        """The quotient that is nearest to what is expected: each step errs by truncation, or by rounding."""
        found = []
        for h in STEPS:
            ends = [float(computed.again({place: x + s * h * scale * direction}, loss)) for s in (1, -1, 0.5, -0.5)]
            one, half = (ends[0] - ends[1]) / (2 * h * scale), (ends[2] - ends[3]) / (h * scale)
            found.append((4 * half - one) / 3)
        return min(found, key=lambda value: abs(value - expected) if np.isfinite(value) else np.inf)

    rng = np.random.default_rng(0)
    direction = rng.standard_normal(x.shape)
    along = float(np.vdot(gradient, direction))
    quotient = slope(direction, along)
    if _close(along, quotient):
        return Compared(along, quotient, None)
    chosen = rng.permutation(x.size)[:ELEMENTS]
    worst: tuple[tuple[int, ...], float, float] | None = None
    for number in chosen:
        unit = np.zeros(x.size)
        unit[number] = 1.0
        own = float(gradient.reshape(-1)[number])
        other = slope(unit.reshape(x.shape), own)
        if worst is None or abs(own - other) > abs(worst[1] - worst[2]):
            index = tuple(int(k) for k in np.unravel_index(int(number), x.shape)) if x.shape else ()
            worst = index, own, other
    return Compared(along, quotient, worst)


def _widened(x: Any) -> Any:
    """Floats as float64."""
    x = np.asarray(x)
    return x.astype(np.float64) if x.dtype.kind == "f" and x.dtype != np.float64 else x
