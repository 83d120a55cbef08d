"""Least squares by MINPACK as directly as SciPy has it, and the last digits of a solution."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from lazygrad.optimize.problem import Vector

__all__ = ["levenberg_marquardt", "polish"]

STEPS = 4  # of a polish, at most
STATUS = {1: 2, 2: 3, 3: 4, 4: 1, 5: 0, 6: 2, 7: 3, 8: 1}  # what least_squares calls the endings of MINPACK


def levenberg_marquardt(
    residuals: Callable[[Vector], Vector],
    jacobian: Callable[[Vector], Vector],
    start: Vector,
    *,
    ftol: float,
    xtol: float,
    gtol: float,
    max_nfev: int,
) -> Any:
    """The result of ``least_squares(method="lm", x_scale="jac")``, at a third of its cost for small problems.

    J. J. Moré, "The Levenberg-Marquardt algorithm: implementation and theory", 1978.
    """
    from scipy.optimize import OptimizeResult, leastsq

    # leastsq asks for the shapes of both at the start before MINPACK does.
    x, _, info, message, ending = leastsq(
        residuals, start, Dfun=jacobian, full_output=True, ftol=ftol, xtol=xtol, gtol=gtol, maxfev=max_nfev
    )
    fun, J = info["fvec"], jacobian(x)
    grad = J.T @ fun
    status = STATUS.get(ending, -1)
    return OptimizeResult(
        x=x,
        cost=0.5 * float(fun @ fun),
        fun=fun,
        jac=J,
        grad=grad,
        optimality=float(np.abs(grad).max(initial=0.0)),
        nfev=info["nfev"],
        njev=info["njev"],
        status=status,
        message=message,
        success=status > 0,
    )


def polish(result: Any, residuals: Callable[[Vector], Vector], jacobian: Callable[[Vector], Vector]) -> None:
    """Let a result have the digits that the cost no longer shows: half of them are lost in its square.

    These are steps of Gauss and Newton, each no longer than half the one before, at which the cost stays what it is.
    """
    before = np.inf
    for _ in range(STEPS):
        scale = np.sqrt(np.einsum("ij,ij->j", result.jac, result.jac))
        if not np.isfinite(scale).all() or not scale.all():
            return
        step = np.linalg.lstsq(result.jac / scale, -result.fun)[0] / scale
        size = float(np.abs(step * scale).max())
        x = result.x + step
        fun = residuals(x)
        cost = 0.5 * float(fun @ fun)
        if not size < 0.5 * before or not cost <= result.cost * (1 + 1e-12):
            return
        result.x, result.fun, result.cost, result.jac = x, fun, cost, jacobian(x)
        result.grad = result.jac.T @ fun
        shrunk = 0.0 if size == 0 else min(1.0, size / before) if before < np.inf else 1.0
        if (shrunk * np.abs(step) <= 1e-11 * np.abs(x)).all():  # about what the next step would be
            return
        before = size
