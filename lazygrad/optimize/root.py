"""Where residuals vanish, by SciPy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from lazygrad.errors import DataError, SpecError, nearest, report
from lazygrad.graph.registry import here
from lazygrad.optimize.flat import residuals_of
from lazygrad.optimize.least_squares import started
from lazygrad.optimize.problem import Vector, posed
from lazygrad.optimize.solving import Solving

__all__ = ["root"]

WITH_JACOBIAN = ("hybr", "lm")
METHODS = (
    *WITH_JACOBIAN,
    "broyden1",
    "broyden2",
    "anderson",
    "linearmixing",
    "diagbroyden",
    "excitingmixing",
    "krylov",
    "df-sane",
)


def root(
    step: Callable[..., Any],
    *args: Any,
    method: str = "hybr",
    variables: Any = None,
    tol: float | None = None,
    callback: Callable[..., Any] | None = None,
    options: Mapping[str, Any] | None = None,
    keep_best: bool = False,
) -> Any:
    """Move variables to where all numbers that a compiled step returns are zero, by ``scipy.optimize.root``.

    The step returns as many numbers as its variables have: one tensor, or several in tuples, lists and dicts. Their
    Jacobian is compiled with them.

    All or nothing: the variables are at the root if ``result.success``; else, or if anything raises, or an interrupt
    comes, they are as before.

    Args:
        step: ``env.compile(step)``.
        args: what the step takes after the context.
        method: the name of a method of ``scipy.optimize.root``; ``"hybr"`` and ``"lm"`` use the Jacobian.
        variables: as in :func:`minimize`.
        tol: the tolerance, as SciPy's.
        callback: called after each iteration, with the vector and the residuals, with the variables of the environment
            at that point; ``"hybr"`` and ``"lm"`` take none.
        options: the method's own.
        keep_best: whether an interrupt leaves the variables where the sum of squares was least so far.

    Returns:
        SciPy's ``OptimizeResult``; ``result.x`` has the variables in a row, ``result.variables`` by name.

    Raises:
        SpecError: there are more or fewer residuals than numbers to find.
        DataError, GraphError, GradientError: as :func:`minimize`.
    """
    from scipy.optimize import root as scipy_root

    if method not in METHODS:
        raise DataError(report(f"there is no method {method!r:.60}", at=here(), cure=nearest(str(method), METHODS)))
    if callback is not None and method in WITH_JACOBIAN:
        cure = f"These do: {', '.join(map(repr, METHODS[2:]))}."
        raise DataError(report(f"method {method!r} takes no callback", at=here(), cure=cure))
    problem, arrays = posed(step, args, variables, "find a root of", residuals_of)
    with Solving(problem, keep_best) as solving:
        residuals = problem.residuals(arrays)
        first = started(problem, arrays, residuals, solving.start)
        if first.size < problem.size or (first.size > problem.size and method != "lm"):
            listed = ", ".join(f"{v.path!r} {list(v.shape)}" for v in problem.variables[:6])
            facts = [f"residuals:  {first.size}", f"numbers:    {problem.size}, of {listed}"]
            cure = "Return one residual for each number; variables=[...] says which are sought."
            raise SpecError(
                report("there are not as many residuals as numbers to find", at=here(), facts=facts, cure=cure)
            )

        def noted(x: Vector) -> Vector:
            found = residuals(x)
            if keep_best:
                solving.note(float(found @ found), x)
            return found

        result = scipy_root(
            noted,
            solving.start,
            method=method,
            jac=problem.jacobian(arrays, first.size) if method in WITH_JACOBIAN else None,
            tol=tol,
            callback=solving.watched(callback),
            options=None if options is None else dict(options),
        )
        taken = bool(result.success) and bool(np.isfinite(result.x).all())
        return solving.finished(result, taken)
