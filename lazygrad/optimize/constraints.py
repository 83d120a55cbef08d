"""Constraints that are compiled steps, as SciPy takes them: with their derivatives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from lazygrad.errors import DataError, GraphError, nearest, report
from lazygrad.graph.registry import here
from lazygrad.optimize.flat import residuals_of
from lazygrad.optimize.problem import Problem, Vector, posed
from lazygrad.step.compiled import Compiled

__all__ = ["constraints_of"]

KINDS = {"eq": 0.0, "ineq": np.inf}  # what it may be at most, where it is at least 0


def constraints_of(constraints: Sequence[Any], problem: Problem, method: Any) -> Any:
    """The constraints as SciPy takes them.

    What is no compiled step is SciPy's own business: a function of the vector.

    Raises:
        DataError: one is neither a dict with a type and a function, nor one of SciPy's objects.
        GraphError: a step is of another environment.
    """
    return [_converted(given, problem, method) for given in constraints] if constraints else ()


def _converted(given: Any, problem: Problem, method: Any) -> Any:
    from scipy.optimize import LinearConstraint, NonlinearConstraint

    if isinstance(given, LinearConstraint):
        return given
    if isinstance(given, NonlinearConstraint):
        if not isinstance(given.fun, Compiled):
            return given
        return _nonlinear(given.fun, (), given.lb, given.ub, problem, method, given.keep_feasible)
    if not isinstance(given, dict) or "fun" not in given or "type" not in given:
        cure = "Write {'type': 'ineq', 'fun': step} for step ≥ 0, 'eq' for step = 0, or scipy's NonlinearConstraint."
        raise DataError(report(f"cannot use {given!r:.60} as a constraint", at=here(), cure=cure))
    kind = given["type"]
    if kind not in KINDS:
        cure = nearest(str(kind), KINDS)
        raise DataError(report(f"there is no constraint of type {kind!r:.60}", at=here(), cure=cure))
    if not isinstance(given["fun"], Compiled):
        return given
    args = given.get("args", ())
    args = args if isinstance(args, tuple) else (args,)
    if method in ("trust-constr", "COBYQA"):
        return _nonlinear(given["fun"], args, 0.0, KINDS[kind], problem, method)
    functions = _Functions(given["fun"], args, problem)
    return {"type": kind, "fun": functions.value, "jac": functions.jacobian}


def _nonlinear(
    step: Compiled, args: tuple[Any, ...], low: Any, high: Any, problem: Problem, method: Any, feasible: Any = False
) -> Any:
    from scipy.optimize import NonlinearConstraint

    functions = _Functions(step, args, problem)
    second = {"hess": functions.curvature} if method == "trust-constr" else {}  # SciPy warns where it is not taken
    return NonlinearConstraint(functions.value, low, high, jac=functions.jacobian, keep_feasible=feasible, **second)


class _Functions:
    """A constraint and its derivatives, as functions of the vector."""

    def __init__(self, step: Compiled, args: tuple[Any, ...], problem: Problem) -> None:
        if step._env is not problem.env:
            cure = "Compile it for the environment whose variables are moved."
            raise GraphError(report("a constraint is a step of another environment", at=here(), cure=cure))
        own, arrays = posed(step, args, [v.path for v in problem.variables], "constrain by", residuals_of)
        self.value = own.residuals(arrays)
        self.jacobian = own.jacobian(arrays, self.value(problem.start()).size)
        self._product = own.curvature(arrays)
        self._size = own.size

    def curvature(self, x: Vector, u: Vector) -> Any:
        """Second derivatives of the product with ``u``."""
        from scipy.sparse.linalg import LinearOperator

        shape = (self._size, self._size)
        return LinearOperator(shape, matvec=lambda v: self._product(x, v, u), dtype=np.float64)
