"""Bounds of the variables, given for each number, or by the variables' names, and a start that lies within them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from lazygrad.errors import DataError, SpecError, VariableError, nearest, report
from lazygrad.graph.registry import here
from lazygrad.optimize.problem import Problem, Vector
from lazygrad.store.variables import Variable

__all__ = ["bounds_of", "check_start"]

Bounds = tuple[Vector, Vector]


def bounds_of(bounds: Any, problem: Problem, pairs: bool) -> Bounds | None:
    """The lower and the upper bounds of all numbers; ``None`` if there are none.

    Args:
        bounds: ``{name: (low, high)}``, where each is a number, an array of the variable's shape, or ``None`` for no
            bound; ``scipy.optimize.Bounds``; or as SciPy takes them for the vector of all variables.
        problem: whose variables they are.
        pairs: whether SciPy takes a list of pairs, or a pair of lists.

    Raises:
        SpecError: they are of another shape, or not numbers.
        DataError: a lower bound lies above the upper one.
        VariableError: a name is not that of a variable that is solved for.
    """
    if bounds is None:
        return None
    if isinstance(bounds, Mapping):
        low, high = _by_name(bounds, problem)
    elif hasattr(bounds, "lb") and hasattr(bounds, "ub"):
        low, high = _whole("lower", bounds.lb, problem), _whole("upper", bounds.ub, problem)
    elif pairs:
        low, high = _paired(bounds, problem)
    else:
        try:
            lower, upper = bounds
        except (TypeError, ValueError):
            raise _unusable(bounds, "Give (lower, upper), each a number or one number for each.") from None
        low, high = _whole("lower", lower, problem), _whole("upper", upper, problem)
    wrong = np.isnan(low) | np.isnan(high) | (low > high)
    if wrong.any():
        facts = [f"{where}:  from {a:g} to {b:g}" for where, a, b in _places(problem, wrong, low, high)]
        cure = "A lower bound is not above the upper one; None or an infinity is no bound."
        raise DataError(report("there is nothing between the bounds", at=here(), facts=facts, cure=cure))
    return low, high


def _by_name(bounds: Mapping[Any, Any], problem: Problem) -> Bounds:
    """Those given for some variables; the others have none."""
    low, high = np.full(problem.size, -np.inf), np.full(problem.size, np.inf)
    places = dict(zip([v.path for v in problem.variables], problem.shape.slices, strict=True))
    shapes = {v.path: v for v in problem.variables}
    for key, pair in bounds.items():
        path = key.path if isinstance(key, Variable) else key
        if path not in places:
            cure = nearest(str(path), places)
            raise VariableError(report(f"bounds of {path!r:.60}, which is not solved for", at=here(), cure=cure))
        try:
            lower, upper = pair
        except (TypeError, ValueError):
            raise _unusable(pair, f"Give a pair (low, high) for {path!r}.") from None
        for side, limit, none in ((low, lower, -np.inf), (high, upper, np.inf)):
            side[places[path]] = _like(limit, shapes[path], none)
    return low, high


def _like(limit: Any, v: Variable, none: float) -> Vector:
    array = _numbers(limit, none)
    try:
        return np.broadcast_to(array, v.shape).ravel()
    except ValueError:
        facts = [f"variable:  {v.spec}", f"bound:     {list(array.shape)}"]
        cure = f"A bound is one number, or has the shape of its variable, {list(v.shape)}."
        what = f"a bound of variable {v.path!r} is of another shape"
        raise SpecError(report(what, at=here(), facts=facts, cure=cure)) from None


def _whole(what: str, limits: Any, problem: Problem) -> Vector:
    array = _numbers(limits, -np.inf if what == "lower" else np.inf)
    if array.shape not in ((), (1,), (problem.size,)):
        raise _count(f"{what} bounds", array.shape, problem)
    return np.array(np.broadcast_to(array, (problem.size,)))


def _paired(bounds: Any, problem: Problem) -> Bounds:
    try:
        listed = [(a, b) for a, b in bounds]
    except (TypeError, ValueError):
        cure = "Give {name: (low, high)}, or a list of a pair (low, high) for each number."
        raise _unusable(bounds, cure) from None
    if len(listed) != problem.size:
        raise _count("pairs of bounds", (len(listed),), problem)
    return _numbers([a for a, _ in listed], -np.inf), _numbers([b for _, b in listed], np.inf)


def _numbers(limits: Any, none: float) -> Vector:
    given = [none if limit is None else limit for limit in limits] if isinstance(limits, (list, tuple)) else limits
    try:
        return np.asarray(none if given is None else given, dtype=np.float64)
    except (TypeError, ValueError):
        raise _unusable(limits, "A bound is a number, an array of numbers, or None.") from None


def _unusable(given: Any, cure: str) -> SpecError:
    return SpecError(report(f"cannot use {given!r:.60} as bounds", at=here(), cure=cure))


def _count(what: str, shape: tuple[int, ...], problem: Problem) -> SpecError:
    listed = [f"{v.path!r} {list(v.shape)}" for v in problem.variables]
    facts = [f"{what}:  {list(shape)}", f"variables:  {', '.join(listed[:6])}{', …' if len(listed) > 6 else ''}"]
    example = f"bounds={{{problem.variables[0].path!r}: (low, high)}}"
    cure = f"The variables have {problem.size} numbers; by name it is easier: {example}."
    return SpecError(report(f"there are not as many {what} as numbers", at=here(), facts=facts, cure=cure))


def check_start(x: Vector, bounds: Bounds | None, problem: Problem) -> None:
    """Raise DataError if the variables lie beyond their bounds."""
    if bounds is None:
        return
    low, high = bounds
    beyond = (x < low) | (x > high)
    if beyond.any():
        found = zip(_places(problem, beyond, low, high), x[beyond], strict=False)
        facts = [f"{where}:  {value:g}, to be from {a:g} to {b:g}" for (where, a, b), value in found]
        cure = "Set them to start within their bounds: env[name] = array."
        raise DataError(report("the start is not within the bounds", at=here(), facts=facts, cure=cure))


def _places(problem: Problem, which: Any, low: Vector, high: Vector) -> list[tuple[str, float, float]]:
    """What messages call some of the numbers, with their bounds; the first few."""
    found = []
    for v, where in zip(problem.variables, problem.shape.slices, strict=True):
        for k in np.flatnonzero(which[where]):
            index = ", ".join(str(int(i)) for i in np.unravel_index(k, v.shape)) if v.shape else ""
            name = f"variable {v.path!r}" + (f"[{index}]" if index else "")
            found.append((name, float(low[where][k]), float(high[where][k])))
    return found[:6]
