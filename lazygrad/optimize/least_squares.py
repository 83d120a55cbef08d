"""The least sum of squares of residuals over variables, with bounds and robust losses, by SciPy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from lazygrad.errors import DataError, SpecError, nearest, report
from lazygrad.graph.registry import here
from lazygrad.graph.tensor import Tensor
from lazygrad.optimize.blame import not_finite
from lazygrad.optimize.bounds import bounds_of, check_start
from lazygrad.optimize.flat import residuals_of
from lazygrad.optimize.problem import Problem, Vector, posed
from lazygrad.optimize.solving import Solving
from lazygrad.optimize.sparsity import sparse_jacobian

__all__ = ["check_count", "check_methods", "least_squares", "several", "started"]

METHODS = ("trf", "dogbox", "lm")
LOSSES = ("linear", "soft_l1", "huber", "cauchy", "arctan")


def least_squares(
    step: Callable[..., Any],
    *args: Any,
    method: str = "trf",
    variables: Any = None,
    bounds: Any = None,
    loss: str | Callable[..., Any] = "linear",
    f_scale: float = 1.0,
    jac_sparsity: Any = None,
    callback: Callable[..., Any] | None = None,
    keep_best: bool = False,
    **options: Any,
) -> Any:
    """Move variables to where half the sum of squares of a compiled step's residuals is least.

    The step returns the residuals: one tensor of any shape, or several in tuples, lists and dicts. Their Jacobian is
    compiled with them. It is computed by ``scipy.optimize.least_squares``::

        @env.compile
        def residuals(ctx, x, y):
            return ctx.variable("a") * lg.exp(-ctx.variable("b") * x) - y

        result = lg.optimize.least_squares(residuals, x, y, bounds={"b": (0, None)}, loss="soft_l1")

    All or nothing, as :func:`minimize`.

    Args:
        step: ``env.compile(step)``; it returns the residuals and nothing else.
        args: what the step takes after the context.
        method: ``"trf"``, ``"dogbox"``, or without bounds ``"lm"``, Levenberg and Marquardt's of MINPACK.
        variables: as in :func:`minimize`.
        bounds: ``{name: (low, high)}`` as in :func:`minimize`; a pair of lower and upper bounds for the vector; or
            ``scipy.optimize.Bounds``.
        loss: ``"linear"``, or what makes outliers weigh less: ``"soft_l1"``, ``"huber"``, ``"cauchy"``, ``"arctan"``;
            or a function, as SciPy takes it.
        f_scale: the residual from which on it is an outlier.
        jac_sparsity: a matrix, sparse or not, that is zero where the Jacobian is: then it is computed from few
            products, and kept sparse. With ``tr_solver="lsmr"`` and without it, no Jacobian is ever formed: only its
            products are computed.
        callback: as in :func:`minimize`; SciPy 1.16 and later.
        keep_best: as in :func:`minimize`.
        options: SciPy's others: ``ftol``, ``xtol``, ``gtol``, ``x_scale``, ``max_nfev``, ``tr_solver``,
            ``tr_options``, ``verbose``.

    Returns:
        SciPy's ``OptimizeResult``: ``x``, ``cost``, ``fun``, ``jac`` and others, and ``result.variables`` by name.

    Raises:
        SpecError: the residuals are a single number without axes, or bounds or ``jac_sparsity`` of another shape.
        DataError, GraphError, GradientError: as :func:`minimize`.
    """
    from scipy.optimize import least_squares as scipy_least_squares

    check_methods(method, loss, bounds, jac_sparsity)
    problem, arrays = posed(step, args, variables, "fit", several)
    limits = bounds_of(bounds, problem, pairs=False)
    given = dict(options) if callback is None else {**options, "callback": None}
    with Solving(problem, keep_best) as solving:
        check_start(solving.start, limits, problem)
        residuals = problem.residuals(arrays)
        first = started(problem, arrays, residuals, solving.start)
        if method == "lm":
            check_count(first.size, problem)
        if callback is not None:
            given["callback"] = solving.watched(callback)
        jacobian = _jacobian(problem, arrays, first.size, jac_sparsity, options.get("tr_solver"))

        def derivative(x: Vector) -> Any:
            solving.keep(x)  # it is taken where a step has made the cost smaller
            return jacobian(x)

        result = scipy_least_squares(
            residuals,
            solving.start,
            jac=derivative,
            bounds=(-np.inf, np.inf) if limits is None else limits,
            method=method,
            loss=loss,
            f_scale=f_scale,
            **given,
        )
        return solving.finished(result, taken=True)


def check_methods(method: Any, loss: Any, bounds: Any, sparsity: Any) -> None:
    """Raise DataError if there is no such method or loss, or the method does not take what is given."""
    for what, given, known in (("method", method, METHODS), ("loss", loss, LOSSES)):
        if given not in known and not (what == "loss" and callable(given)):
            raise DataError(report(f"there is no {what} {given!r:.60}", at=here(), cure=nearest(str(given), known)))
    if method == "lm":
        facts = [(bounds, "bounds"), (sparsity, "sparse Jacobian")]
        listed = [what for thing, what in facts if thing is not None] + ["robust loss"] * (loss != "linear")
        if listed:
            what = f"method 'lm' takes no {' and no '.join(listed)}"
            raise DataError(report(what, at=here(), cure="Use method='trf' or 'dogbox'."))


def check_count(count: int, problem: Problem) -> None:
    """Raise DataError if there are fewer residuals than numbers to find."""
    if count < problem.size:
        facts = [f"residuals:  {count}", f"numbers:    {problem.size}"]
        cure = "Use method='trf', or fewer variables."
        what = "method 'lm' needs as many residuals as there are numbers to find"
        raise DataError(report(what, at=here(), facts=facts, cure=cure))


def several(result: Any) -> Tensor:
    """The residuals that a step returned, in a row.

    Raises:
        SpecError: it is one number without axes.
    """
    if isinstance(result, Tensor) and result.ndim == 0:
        facts = [f"returned:  {result.spec}   {result.graph.describe(result.index)}"]
        cure = "Return a residual for each datum, such as model(x) - y; one number is for lg.optimize.minimize."
        raise SpecError(report("the residuals are a single number", at=here(), facts=facts, cure=cure))
    return residuals_of(result)


def started(problem: Problem, arrays: Sequence[Any], residuals: Callable[[Vector], Vector], x: Vector) -> Vector:
    """The residuals at the start; raises DataError if they are not finite."""
    first = residuals(x)
    if not np.isfinite(first).all():
        raise not_finite(problem, arrays, x, "residual", first, residuals_of, here())
    return first


def _jacobian(
    problem: Problem, arrays: Sequence[Any], count: int, sparsity: Any, solver: Any
) -> Callable[[Vector], Any]:
    if sparsity is not None:
        return sparse_jacobian(sparsity, count, problem.size, problem.forward(arrays))
    if solver != "lsmr":
        return problem.jacobian(arrays, count)
    from scipy.sparse.linalg import LinearOperator

    along, back = problem.forward(arrays), problem.backward(arrays)

    def products(x: Vector) -> Any:
        x = x.copy()
        shape = (count, problem.size)
        return LinearOperator(shape, matvec=lambda v: along(x, v), rmatvec=lambda u: back(x, u), dtype=np.float64)

    return products
