"""Solutions of differential equations by embedded Runge–Kutta methods that choose their steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from lazygrad.errors import SpecError, report
from lazygrad.graph.registry import here
from lazygrad.graph.tensor import Tensor
from lazygrad.integrate.arrival import arrived
from lazygrad.integrate.control import Tolerance, first_step, next_step
from lazygrad.integrate.state import Equation, Parts, moved, posed, summed
from lazygrad.integrate.tableaux import METHODS, Tableau
from lazygrad.ops.arithmetic import abs
from lazygrad.ops.choices import cond
from lazygrad.ops.comparison import clip, where
from lazygrad.ops.indexing import take
from lazygrad.ops.loops import scan
from lazygrad.ops.movement import astype, concat, expand_dims
from lazygrad.ops.passing import stop_gradient
from lazygrad.ops.sorting import searchsorted
from lazygrad.ops.source import full_like, zeros_like

__all__ = ["odeint"]


def odeint(
    f: Callable[[Any, Any], Any],
    y0: Any,
    t: Any,
    *,
    method: str = "dopri5",
    rtol: float | None = None,
    atol: float | None = None,
    first: float | None = None,
    max_steps: int = 1000,
) -> Any:
    """The solution of dy/dt = f(t, y) with steps that are as long as the tolerance allows.

    It is a loop of the graph: written once, differentiable in reverse and forward and in any order, in the state, in
    the times, and in all that ``f`` reads. The derivative is that of the method with the steps that were taken.
    Between the ends of steps the solution is a polynomial of fourth degree, so that many times cost no more steps.

    Args:
        f: ``f(t, y)`` gives dy/dt, nested as y and of its shapes. It may read tensors and variables from outside.
        y0: the state at ``t[0]``: a floating tensor, or several in tuples, lists and dicts.
        t: times, ``(T,)``, rising or falling; the first is that of ``y0``.
        method: ``"dopri5"``, of Dormand and Prince, or ``"tsit5"``, of Tsitouras.
        rtol, atol: a step is kept if its error is at most ``atol + rtol·|y|``, on the root of the mean square over
            all numbers of the state. If not given, ``rtol`` is 1e-6 (1e-4 below float64), ``atol`` a thousandth of it.
        first: the size of the first step; if not given it is found from the slope.
        max_steps: how many may be tried. Room for as many states is needed, and for a derivative several times that.

    Returns:
        The state at every time, nested as ``y0``, each with a leading axis of T; the first is ``y0``.

    Raises:
        SpecError: the slope does not fit the state, the times are no vector or go in no one direction, or a setting
            is no number that it can be.
        LoopError: when it is run: ``max_steps`` were tried, and the last time is not reached.
        DataError: when it is run: the steps became too small to change the time.

    Sources: J. R. Dormand and P. J. Prince (1980), J. Comput. Appl. Math. 6, p. 19; C. Tsitouras (2011), Comput. Math.
    Appl. 62, p. 770; for steps and dense output E. Hairer, S. P. Nørsett and G. Wanner (1993), Solving Ordinary
    Differential Equations I, §II.4–6.
    """
    equation = posed("odeint", f, y0, t)
    tableau, tolerance = _settings(equation, method, rtol, atol, first, max_steps)
    return equation.nested(_between(equation, _integrated(equation, tableau, tolerance, first, max_steps), max_steps))


def _integrated(
    equation: Equation, tableau: Tableau, tolerance: Tolerance, first: float | None, max_steps: int
) -> Integrated:
    """From the first time to the last, in at most ``max_steps`` steps."""
    begin, end = equation.times[0], stop_gradient(equation.times[-1])
    sign = where(end < stop_gradient(begin), full_like(end, -1), full_like(end, 1))
    slope = equation.slope(begin, equation.first)
    size = full_like(end, first) if first is not None else None
    if size is None:
        size = first_step(equation, begin, equation.first, slope, tolerance, sign)
    ready = sign * (end - stop_gradient(begin)) > 0
    one = full_like(astype(end, np.float64), 1)
    state = State(begin, equation.first, slope, size, one, ready & False, ready, ready & False)

    def turn(state: State, _: None) -> tuple[State, Taken]:
        def step() -> tuple[State, Taken]:
            return _tried(equation, tableau, tolerance, state, end, sign)

        def rest() -> tuple[State, Taken]:
            nothing = [zeros_like(x) for x in state.y]
            return state, Taken(state.t, zeros_like(end), state.y, state.slope, nothing)

        after: tuple[State, Taken] = cond(state.going, step, rest)
        return after

    last, taken = scan(turn, state, length=max_steps)
    return Integrated(sign, end, last, taken)


class State(NamedTuple):
    """What goes from a step to the next."""

    t: Tensor
    y: Parts
    slope: Parts
    size: Tensor  # of the next step, positive
    error: Tensor  # of the last step that was kept
    rejected: Tensor  # whether the last one that was tried was not kept
    going: Tensor  # whether the end is still ahead
    stuck: Tensor  # whether the step has become too small


class Taken(NamedTuple):
    """A step, for what lies in it; of size 0 where none was taken."""

    t: Tensor
    size: Tensor  # signed
    y: Parts
    slope: Parts
    bend: Parts  # what the polynomial of fourth degree has beside the values and slopes of its ends


class Integrated(NamedTuple):
    """All steps from the first time to the last."""

    sign: Tensor  # 1 where times rise, −1 where they fall
    end: Tensor
    last: State
    taken: Taken  # with a leading axis of max_steps


def _tried(
    equation: Equation, tableau: Tableau, tolerance: Tolerance, state: State, end: Tensor, sign: Tensor
) -> tuple[State, Taken]:
    """One step, kept if its error is small enough."""
    t = stop_gradient(state.t)
    ahead = abs(end - t)
    final = state.size >= ahead
    h = sign * where(final, ahead, state.size)
    y, slopes = _stages(equation, tableau, state, h)
    errors = [astype(h, x.dtype) * summed(tableau.errors, ks) for x, ks in zip(y, _each(slopes), strict=True)]
    error = tolerance.of(*[[stop_gradient(x) for x in parts] for parts in (errors, state.y, y)])
    good = error <= 1  # which NaN is not
    longer, shorter = next_step(state.size, error, state.error, state.rejected)
    size = where(good, longer, shorter)
    stuck = ~good & ~(shorter > 10 * np.finfo(t.dtype).eps * abs(t)) | ~(size > 0)
    bend = [astype(h, x.dtype) * summed(tableau.dense, ks) for x, ks in zip(y, _each(slopes), strict=True)]
    after = State(
        where(good, where(final, end, state.t + h), state.t),
        _chosen(good, y, state.y),
        _chosen(good, slopes[-1], state.slope),
        size,
        where(good, error, state.error),
        ~good,
        ~(good & final) & ~stuck,
        stuck,
    )
    return after, Taken(state.t, where(good, h, zeros_like(h)), state.y, state.slope, bend)


def _stages(equation: Equation, tableau: Tableau, state: State, h: Tensor) -> tuple[Parts, list[Parts]]:
    """The state at the end of a step, and its slopes, the last of which is there."""
    slopes = [state.slope]
    y = state.y
    for place, row in zip(tableau.places[1:], tableau.rows, strict=True):
        y = moved(state.y, h, row, slopes)
        slopes.append(equation.slope(state.t + place * h, y))
    return y, slopes


def _each(slopes: list[Parts]) -> list[tuple[Tensor, ...]]:
    """For each part of the state its slopes."""
    return list(zip(*slopes, strict=True))


def _chosen(condition: Tensor, new: Parts, old: Parts) -> Parts:
    return [where(condition, a, b) for a, b in zip(new, old, strict=True)]


def _between(equation: Equation, found: Integrated, max_steps: int) -> list[Tensor]:
    """The state at each time, from the step in which that lies."""
    times, (sign, end, last, taken) = equation.times, found
    ends = stop_gradient(concat([taken.t[1:], expand_dims(last.t, 0)]))
    step = clip(searchsorted(sign * ends, sign * stop_gradient(times)), 0, max_steps - 1)
    place = arrived(step, last.going, last.stuck, last.t, end, last.size, max_steps=max_steps)
    size = take(taken.size, place, axis=0)
    nowhere = size == 0  # the first time of all, where the first step that was tried was not kept
    part = where(nowhere, 0, (times - take(taken.t, place, axis=0)) / where(nowhere, 1, size))
    states = []
    for i, (y, slope, bend) in enumerate(zip(taken.y, taken.slope, taken.bend, strict=True)):
        wide = (..., *[None] * (y.ndim - 1))
        theta, h = astype(part, y.dtype)[wide], astype(size, y.dtype)[wide]
        y0, f0, q = (take(x, place, axis=0) for x in (y, slope, bend))
        y1, f1 = (_following(x, rest, place) for x, rest in ((y, last.y[i]), (slope, last.slope[i])))
        states.append(_dense(theta, h, y0, y1, f0, f1, q))
    return states


def _following(x: Tensor, rest: Tensor, place: Tensor) -> Tensor:
    """Of what stands at the beginning of every step, that at its end."""
    return take(concat([x[1:], expand_dims(rest, 0)]), place, axis=0)


def _dense(theta: Tensor, h: Tensor, y0: Tensor, y1: Tensor, f0: Tensor, f1: Tensor, q: Tensor) -> Tensor:
    """The polynomial with these values and slopes at 0 and 1, and q·θ²(1 − θ)² besides (Hairer et al., p. 192)."""
    rest, rise = 1 - theta, y1 - y0
    first = h * f0 - rise
    return y0 + theta * (rise + rest * (first + theta * (rise - h * f1 - first + rest * q)))


def _settings(
    equation: Equation, method: str, rtol: Any, atol: Any, first: Any, max_steps: Any
) -> tuple[Tableau, Tolerance]:
    """The method and the tolerance.

    Raises:
        SpecError: one of them is no value that it can have.
    """
    if method not in METHODS:
        cure = f"method is {' or '.join(map(repr, METHODS))}."
        raise SpecError(report(f"cannot odeint with method={method!r:.40}", at=here(), cure=cure))
    wide = all(y.dtype == np.float64 for y in equation.first)
    rtol = (1e-6 if wide else 1e-4) if rtol is None else rtol
    atol = rtol / 1000 if atol is None else atol
    for name, value, zero in (("rtol", rtol, True), ("atol", atol, True), ("first", first, False)):
        if value is None:
            continue
        number = isinstance(value, (int, float, np.number)) and not isinstance(value, bool) and np.isfinite(value)
        if not number or value < 0 or (not zero and value == 0):
            cure = f"It is a number{' that is not negative' if zero else ' greater than 0'}."
            raise SpecError(report(f"cannot odeint with {name}={value!r:.40}", at=here(), cure=cure))
    if isinstance(max_steps, bool) or not isinstance(max_steps, (int, np.integer)) or max_steps < 1:
        cure = "It is a whole number, 1 or more: so many steps may be tried."
        raise SpecError(report(f"cannot odeint with max_steps={max_steps!r:.40}", at=here(), cure=cure))
    if rtol == 0 and atol == 0:
        cure = "One of the two is greater than 0: no step has no error."
        raise SpecError(report("cannot odeint with rtol=0 and atol=0", at=here(), cure=cure))
    return METHODS[method], Tolerance(float(rtol), float(atol))
