"""What formulas ask SciPy for, as the array namespace that writes has it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np

from lazygrad.define.kinds import Declared
from lazygrad.engine.trace.tracing import traced
from lazygrad.ops.special import _betaln

__all__ = ["Library", "is_pole", "is_whole", "sign_of"]


class Library:
    """What formulas ask SciPy for."""

    def __init__(self, xp: Any) -> None:
        self._xp = xp

    def __getattr__(self, name: str) -> Callable[..., Any]:
        found: Callable[..., Any] = getattr(self._xp, {"psi": "digamma"}.get(name, name))
        return found

    def beta(self, a: Any, b: Any) -> Any:
        """By its logarithm, which loses no digits where operands are positive, and SciPy's limits at the poles.

        At a pole of the one, and a whole number q as the other, it is (−1)^q·B(1 − a − b, q).
        """
        xp = self._xp
        positive = xp.logical_and(a > 0, b > 0)
        pole, rest = is_pole(xp, a), 1 - a - b
        whole = xp.where(pole, b, a)
        inside = xp.logical_and(rest > 0, xp.logical_and(is_whole(xp, whole), whole > 0))
        u, v = xp.where(positive, a, xp.where(inside, rest, 1)), xp.where(positive, b, xp.where(inside, whole, 1))
        value = xp.exp(traced(cast(Declared, _betaln), xp, [u, v], {}))
        sign = sign_of(xp, a) * sign_of(xp, b) * sign_of(xp, a + b)
        y = xp.where(positive, value, sign * xp.exp(xp.gammaln(a) + xp.gammaln(b) - xp.gammaln(a + b)))
        endless = xp.not_equal(xp.equal(a, np.inf), xp.equal(b, np.inf))
        y = xp.where(endless, xp.where(positive, 0, sign_of(xp, xp.minimum(a, b)) * np.inf), y)
        y = xp.where(xp.isnan(a + b) | xp.equal(xp.minimum(a, b), np.inf), np.nan, y)
        turn = xp.where(xp.equal(whole, 2 * xp.floor(0.5 * whole)), 1.0, -1.0)
        fits = xp.logical_and(is_whole(xp, whole), xp.logical_and(rest > 0, rest < 2.0**31))
        limit = xp.where(fits, turn * xp.where(inside, value, np.inf), np.inf)
        return xp.where(xp.logical_or(pole, is_pole(xp, b)), limit, y)


def sign_of(xp: Any, x: Any) -> Any:
    """Of Γ(x): it changes from one negative whole number to the next."""
    down = xp.floor(x)
    odd = xp.not_equal(down - 2 * xp.floor(0.5 * down), 0)
    return xp.where(xp.logical_and(x < 0, odd), -1.0, 1.0)


def is_whole(xp: Any, x: Any) -> Any:
    """Whether it is a whole number, or infinite."""
    return xp.equal(x, xp.floor(x))


def is_pole(xp: Any, x: Any) -> Any:
    """Whether Γ has a pole there."""
    return xp.logical_and(x <= 0, is_whole(xp, x))
