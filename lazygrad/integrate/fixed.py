"""The classical Runge–Kutta method, with the steps that it is given."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lazygrad.errors import SpecError, report
from lazygrad.graph.registry import here
from lazygrad.graph.tensor import Tensor
from lazygrad.integrate.state import Equation, Parts, moved, posed
from lazygrad.ops.loops import scan
from lazygrad.ops.movement import astype, concat, expand_dims
from lazygrad.ops.source import arange

__all__ = ["rk4"]


def rk4(f: Callable[[Any, Any], Any], y0: Any, t: Any, *, steps: int = 1) -> Any:
    """The solution of dy/dt = f(t, y) by the classical Runge–Kutta method of fourth order, with fixed steps.

    For what is smooth, and where how fine the steps must be is known: halving them makes the error 16 times smaller.
    :func:`odeint` finds its steps itself. The solution is a loop of the graph, differentiable in any order, in the
    state, in the times, and in all that ``f`` reads.

    Args:
        f: ``f(t, y)`` gives dy/dt, nested as y and of its shapes. It may read tensors and variables from outside.
        y0: the state at ``t[0]``: a floating tensor, or several in tuples, lists and dicts.
        t: times, ``(T,)``, rising or falling; the first is that of ``y0``.
        steps: of equal size, from each time to the next.

    Returns:
        The state at every time, nested as ``y0``, each with a leading axis of T; the first is ``y0``.

    Raises:
        SpecError: the slope does not fit the state, or the times are no vector.

    Source: W. Kutta (1901), Beitrag zur näherungsweisen Integration totaler Differentialgleichungen, Zeitschrift für
    Mathematik und Physik 46, p. 443; Hairer, Nørsett and Wanner (1993), §II.1, table 1.2.
    """
    if isinstance(steps, bool) or not isinstance(steps, int) or steps < 1:
        cure = "It is a whole number, 1 or more: so many steps lie between a time and the next."
        raise SpecError(report(f"cannot rk4 with steps={steps!r:.40}", at=here(), cure=cure))
    equation = posed("rk4", f, y0, t)
    times = equation.times

    def interval(y: Parts, ends: Any) -> tuple[Parts, Parts]:
        begin, end = ends
        h = (end - begin) / steps
        if steps == 1:
            y = _step(equation, begin, y, h)
        else:
            places = arange(steps, dtype=times.dtype)
            y, _ = scan(lambda y, i: (_step(equation, begin + i * h, y, h), None), y, places)
        return y, y

    _, later = scan(interval, equation.first, (times[:-1], times[1:]))
    whole = [concat([expand_dims(first, 0), rest]) for first, rest in zip(equation.first, later, strict=True)]
    return equation.nested(whole)


def _step(equation: Equation, t: Tensor, y: Parts, h: Tensor) -> Parts:
    """One step of size h."""
    half = h / 2
    k1 = equation.slope(t, y)
    k2 = equation.slope(t + half, moved(y, half, [1.0], [k1]))
    k3 = equation.slope(t + half, moved(y, half, [1.0], [k2]))
    k4 = equation.slope(t + h, moved(y, h, [1.0], [k3]))
    return [
        one + astype(h / 6, one.dtype) * (a + 2 * b + 2 * c + d)
        for one, a, b, c, d in zip(y, k1, k2, k3, k4, strict=True)
    ]
