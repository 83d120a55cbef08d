"""Curves through data, with the errors of their parameters."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from lazygrad.errors import DataError, report
from lazygrad.graph.registry import here, level
from lazygrad.optimize.bounds import bounds_of, check_start
from lazygrad.optimize.curve import Curve, covariance_of
from lazygrad.optimize.flat import residuals_of
from lazygrad.optimize.least_squares import check_count, check_methods, started
from lazygrad.optimize.marquardt import levenberg_marquardt, polish
from lazygrad.optimize.model import model_of
from lazygrad.optimize.problem import Problem, Vector, posed
from lazygrad.optimize.solving import Solving
from lazygrad.optimize.weights import data_of, weights_of

__all__ = ["curve_fit"]

TIGHT = 1e-15  # tolerances: the certified values of NIST's data sets need them
PATIENCE = 1000  # evaluations for each parameter; its hardest ones take 300
LOST = 1e-8  # by less of their size the residuals change when a parameter doubles


def curve_fit(
    f: Callable[..., Any],
    x: Any,
    y: Any,
    p0: Any = None,
    sigma: Any = None,
    absolute_sigma: bool = False,
    *,
    bounds: Any = None,
    method: str | None = None,
    loss: str | Callable[..., Any] = "linear",
    variables: Any = None,
    **options: Any,
) -> Curve:
    """Fit a curve to data by least squares, and say how well its parameters are known.

    ``f(x, *parameters)`` is an ordinary function, written with ``lg``'s functions and operators; it is compiled in
    float64, with its derivatives::

        def decay(x, amplitude, rate):
            return amplitude * lg.exp(-rate * x)

        fit = lg.optimize.curve_fit(decay, x, y, p0=[1.0, 0.5])
        print(fit)  # each parameter with its standard error
        popt, pcov = fit

    Or it is a compiled step ``f(ctx, x)``, whose parameters are the variables that it reads: they are left at the
    solution, or as they were if anything raises.

    Args:
        f: the curve.
        x: where the data were taken: an array, or several in a tuple, a list or a dict, as ``f`` takes it. Of a plain
            function they are cast to float64.
        y: the data, of the shape of what ``f`` returns.
        p0: where the parameters start: a number or an array for each, in a list or by name in a dict; ones, if not
            given, as in SciPy. Of a compiled step by name; if not given, where its variables are.
        sigma: the standard errors of the data, one for all or of the shape of ``y``; or their covariance matrix.
        absolute_sigma: whether ``sigma`` is in the units of the data; if not, only its ratios count, and its size is
            taken from the residuals.
        bounds: as in :func:`least_squares`.
        method: as in :func:`least_squares`. If not given, ``"trf"`` where there are bounds or a robust loss; else
            ``"lm"``, and ``"trf"`` from the same start where that gets lost on a plain.
        loss: as in :func:`least_squares`.
        variables: those of a compiled step, as in :func:`minimize`.
        options: as in :func:`least_squares`.

    Returns:
        The pair of parameters and covariances, with more in :class:`Curve`.

    Raises:
        SpecError: ``y``, ``sigma`` or bounds are of another shape.
        DataError: the data are not finite, ``p0`` does not fit the parameters, ``sigma`` is not positive, the curve is
            not finite at the start (the message names the parameters), or no optimum was found.
        GraphError, GradientError: as :func:`minimize`.
    """
    from scipy.optimize import OptimizeWarning

    model = model_of(f, p0, variables)
    with model.env._store.lock:
        data, y = data_of(x, y, widened=model.plain)
        weights = weights_of(sigma, y)
        problem, arrays = posed(model.residuals, (data, y, weights), model.paths, "fit", residuals_of)
        with Solving(problem, keep_best=False) as solving:
            start = model.start(solving.start, problem)
            limits = bounds_of(bounds, problem, pairs=False)
            chosen = method or ("lm" if limits is None and loss == "linear" and y.size >= problem.size else "trf")
            check_methods(chosen, loss, bounds, None)
            check_start(start, limits, problem)
            if chosen == "lm":
                check_count(y.size, problem)
            result = _solved(problem, arrays, start, method=chosen, bounds=limits, loss=loss, **options)
            if method is None and chosen == "lm" and _is_lost(result, start):
                other = _solved(problem, arrays, start, method="trf", bounds=None, loss=loss, **options)
                result = min(result, other, key=lambda found: (not found.success, found.cost))
            if not result.success:
                raise _no_optimum(result)
            covariance = covariance_of(np.asarray(result.jac), result.cost, absolute_sigma)
            if covariance is None:
                said = "the data do not determine the parameters: their covariance is infinite"
                warnings.warn(said, OptimizeWarning, stacklevel=level())
                covariance = np.full((problem.size, problem.size), np.inf)
            solving.finished(result, taken=not model.plain)
            return Curve(problem, model, result, covariance)


def _solved(problem: Problem, arrays: Any, start: Vector, method: str, bounds: Any, loss: Any, **options: Any) -> Any:
    """SciPy's result."""
    from scipy.optimize import least_squares

    residuals = problem.residuals(arrays)
    first = started(problem, arrays, residuals, start)
    jacobian = problem.jacobian(arrays, first.size)
    given = {"ftol": TIGHT, "xtol": TIGHT, "gtol": TIGHT, "max_nfev": PATIENCE * problem.size, **options}
    if method == "lm" and not given.keys() - {"ftol", "xtol", "gtol", "max_nfev"}:
        result = levenberg_marquardt(residuals, jacobian, start, **given)
    else:
        limits = (-np.inf, np.inf) if bounds is None else bounds
        given = {"x_scale": "jac", **given}
        result = least_squares(residuals, start, jac=jacobian, bounds=limits, method=method, loss=loss, **given)
    result.success = bool(result.success and np.isfinite(result.cost))
    if bounds is None and loss == "linear" and result.success:
        polish(result, residuals, jacobian)
    return result


def _is_lost(result: Any, start: Vector) -> bool:
    """Whether the search has not ended, or where the residuals no longer tell of a parameter: a plain far away."""
    felt = np.linalg.norm(result.jac, axis=0) * np.maximum(np.abs(result.x), np.abs(start))
    return not result.success or bool((felt < LOST * np.linalg.norm(result.fun)).any())


def _no_optimum(result: Any) -> DataError:
    facts = [f"SciPy says:  {' '.join(result.message.split())}"]
    cure = "Start nearer to the solution with p0=, give bounds=, or more evaluations with max_nfev=."
    return DataError(report("curve_fit found no optimum", at=here(), facts=facts, cure=cure))
