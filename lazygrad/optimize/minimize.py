"""The minimum of a loss over variables, by the methods of SciPy."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from lazygrad.errors import DataError, Origin, report
from lazygrad.graph.registry import here
from lazygrad.optimize.blame import not_finite
from lazygrad.optimize.bounds import bounds_of, check_start
from lazygrad.optimize.constraints import constraints_of
from lazygrad.optimize.flat import loss_of
from lazygrad.optimize.methods import Method, method_of
from lazygrad.optimize.problem import Problem, Vector, posed
from lazygrad.optimize.solving import Solving

__all__ = ["minimize"]


def minimize(
    step: Callable[..., Any],
    *args: Any,
    method: str | Callable[..., Any] | None = "L-BFGS-B",
    variables: Any = None,
    bounds: Any = None,
    constraints: Any = (),
    tol: float | None = None,
    callback: Callable[..., Any] | None = None,
    options: Mapping[str, Any] | None = None,
    keep_best: bool = False,
) -> Any:
    """Move variables to where a compiled step's loss is least, by ``scipy.optimize.minimize``.

    The step returns the loss, one number. Its gradient, and for the methods that take them its second derivatives, are
    compiled with it, as functions of the vector of all variables in a row. They are computed in the dtypes of the
    variables, and handed to SciPy in float64::

        @env.compile
        def loss(ctx, x, y):
            return lg.mean(lg.square(x @ ctx.variable("w") - y))

        result = lg.optimize.minimize(loss, x, y)

    All or nothing: when it returns, the variables are at ``result.x``, whether or not SciPy calls it a success, unless
    that is not finite. If anything raises, or an interrupt comes, they are as before.

    Args:
        step: ``env.compile(step)``; it returns the loss and nothing else, and draws no random numbers.
        args: what the step takes after the context; keywords are given for good, ``step.bound(train=False)``.
        method: the name of a method of ``scipy.optimize.minimize``; ``None`` to choose as SciPy does; or a function, as
            SciPy takes it.
        variables: those to move: variables or names, in any nesting, such as ``network.variables``; without it all
            that are trainable and that the step reads. One that is not trainable is moved if it is named.
        bounds: ``{name: (low, high)}``, each a number, an array of the variable's shape, or ``None``; a list of a pair
            for each number; or ``scipy.optimize.Bounds``.
        constraints: ``{"type": "eq" or "ineq", "fun": f, "args": (...)}`` or ``scipy.optimize.NonlinearConstraint``
            with a compiled step ``f``, whose derivatives are then compiled too; or whatever SciPy takes, as functions
            of the vector. One, or a list.
        tol: the tolerance, as SciPy's.
        callback: called after each iteration, with the variables of the environment at that point; a function of
            ``intermediate_result``, or of the vector. It may raise ``StopIteration`` where SciPy's may.
        options: the method's own, such as ``{"maxiter": 100}``.
        keep_best: whether an interrupt leaves the variables at the best point so far. It is raised all the same.

    Returns:
        SciPy's ``OptimizeResult``; ``result.x`` has the variables in a row, ``result.variables`` by name.

    Raises:
        DataError: the method is unknown, or does not take what is given; the start lies beyond the bounds, or the loss
            is not finite there (the message names the variables); or no variable is left.
        SpecError: the loss is not a single number, or the bounds are of another shape.
        GraphError: the step is not compiled, returns an update, or draws.
        GradientError: the loss has no derivative that the method needs.
    """
    from scipy.optimize import Bounds
    from scipy.optimize import minimize as scipy_minimize

    listed = list(constraints) if isinstance(constraints, (list, tuple)) else [constraints]
    chosen = method_of(method, bounds is not None, bool(listed))
    if keep_best and listed:
        cure = "Of two points the one with the smaller loss may break a constraint. Leave keep_best out."
        raise DataError(report("cannot keep the best point under constraints", at=here(), cure=cure))
    problem, arrays = posed(step, args, variables, "minimize", loss_of)
    limits = bounds_of(bounds, problem, pairs=True)
    with Solving(problem, keep_best) as solving:
        check_start(solving.start, limits, problem)
        derivatives, at = _derivatives(chosen, problem, arrays), here()
        result = scipy_minimize(
            _objective(chosen, problem, arrays, solving, at),
            solving.start,
            method=chosen.name,
            bounds=None if limits is None else Bounds(*limits),
            constraints=constraints_of(listed, problem, chosen.name),
            tol=tol,
            callback=solving.watched(callback),
            options=None if options is None else dict(options),
            **derivatives,
        )
        return solving.finished(result, taken=bool(np.isfinite(result.fun)))


def _objective(
    method: Method, problem: Problem, arrays: Sequence[Any], solving: Solving, at: Origin
) -> Callable[[Vector], Any]:
    """The loss, and its gradient if the method takes it; the first value must be finite."""
    both = problem.value_and_gradient(arrays) if method.gradient else None
    alone = problem.value(arrays) if both is None else None
    checked = False

    def objective(x: Vector) -> Any:
        nonlocal checked
        found: Any
        if both is None:
            assert alone is not None
            value = found = alone(x)
        else:
            loss, gradient = both(x)
            value = float(loss)
            found = value, gradient
        if not checked:
            checked = True
            if not np.isfinite(value):
                raise not_finite(problem, arrays, x, "loss", value, loss_of, at)
        if solving.keep_best:
            solving.note(value, x)
        return found

    return objective


def _derivatives(method: Method, problem: Problem, arrays: Sequence[Any]) -> dict[str, Any]:
    """What SciPy is given beside the loss."""
    given: dict[str, Any] = {"jac": True} if method.gradient else {}
    if method.hessian == "product":
        given["hessp"] = problem.hessian_product(arrays)
    elif method.hessian == "matrix":
        given["hess"] = problem.hessian(arrays)
    return given
