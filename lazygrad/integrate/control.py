"""How long a step may be: the first one, and the one after a step whose error is known.

After Hairer, Nørsett and Wanner (1993), Solving Ordinary Differential Equations I, second edition: the norm and the
first step from §II.4. The controller looks at two errors: K. Gustafsson (1991), ACM Trans. Math. Softw. 17, p. 533.
All of it is for the size of steps alone, and is not differentiated: the derivative of a solution is that of the method
with the steps that were taken.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from lazygrad.graph.tensor import Tensor
from lazygrad.integrate.state import Equation, Parts, moved
from lazygrad.ops.arithmetic import abs, maximum, minimum, sqrt
from lazygrad.ops.comparison import isfinite, where
from lazygrad.ops.movement import astype
from lazygrad.ops.passing import stop_gradient
from lazygrad.ops.standard import sum

__all__ = ["Tolerance", "first_step", "next_step"]

ORDER = 5
SAFETY, MOST, LEAST = 0.9, 5.0, 0.2  # a step is at most five times the one before, and at least a fifth
# Gustafsson's controller, 0.7/k and 0.4/k. With half the BETA, as in DOPRI5, one step of van der Pol's equation at a
# tolerance of 1e-3 erred 53 times as much as it may; with these none of the problems of Hull et al. errs ten times.
EXPONENT, BETA = 0.7 / ORDER, 0.4 / ORDER
SMALL = 1e-4  # an error of the step before counts as no less


class Tolerance(NamedTuple):
    """How large the error of a step may be: ``atol + rtol·|y|`` in each number, on the root of the mean square."""

    rtol: float
    atol: float

    def of(self, errors: Sequence[Tensor], before: Parts, after: Parts) -> Tensor:
        """The error in units of what is allowed, float64."""
        total, count = None, 0
        for error, a, b in zip(errors, before, after, strict=True):
            scaled = error / (self.atol + self.rtol * maximum(abs(a), abs(b)))
            part = sum(astype(scaled * scaled, np.float64))
            total, count = part if total is None else total + part, count + error.size
        assert total is not None
        return sqrt(total / max(count, 1))


def first_step(equation: Equation, t: Tensor, y: Parts, slope: Parts, tolerance: Tolerance, sign: Tensor) -> Tensor:
    """The size of the first step, positive, by comparing the state, its slope, and the slope's change (p. 169)."""
    t, y, slope = stop_gradient(t), [stop_gradient(x) for x in y], [stop_gradient(k) for k in slope]
    d0, d1 = tolerance.of(y, y, y), tolerance.of(slope, y, y)
    tiny = (d0 < 1e-5) | (d1 < 1e-5)
    h0 = where(tiny, 1e-6, 0.01 * d0 / where(tiny, 1.0, d1))
    probe = astype(h0, t.dtype) * sign
    ahead = [stop_gradient(k) for k in equation.slope(t + probe, moved(y, probe, [1.0], [slope]))]
    d2 = tolerance.of([b - a for a, b in zip(slope, ahead, strict=True)], y, y) / h0
    largest = maximum(d1, d2)
    flat = largest <= 1e-15
    h1 = where(flat, maximum(1e-6, 1e-3 * h0), (0.01 / where(flat, 1.0, largest)) ** (1 / ORDER))
    return astype(minimum(100 * h0, h1), t.dtype)


def next_step(h: Tensor, error: Tensor, before: Tensor, rejected: Tensor) -> tuple[Tensor, Tensor]:
    """The size of the next step if this one is kept, and if it is not.

    Args:
        h: the size of this step.
        error: of this step, 1 being allowed.
        before: the error of the last one that was kept.
        rejected: whether the step that was tried before this one was not.
    """
    known = isfinite(error)
    grown = maximum(where(known, error, 1e10), 1e-10) ** EXPONENT
    kept = grown / maximum(before, SMALL) ** BETA
    shrink = minimum(maximum(kept / SAFETY, 1 / MOST), 1 / LEAST)
    shrink = where(rejected, maximum(shrink, 1.0), shrink)  # after one that was too long no longer one
    again = minimum(grown / SAFETY, 1 / LEAST)
    return h / astype(shrink, h.dtype), h / astype(again, h.dtype)
