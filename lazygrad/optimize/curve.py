"""A fitted curve: its parameters, how well they are known, and its values elsewhere."""

from __future__ import annotations

from typing import Any

import numpy as np

from lazygrad.optimize.flat import residuals_of
from lazygrad.optimize.model import Model
from lazygrad.optimize.problem import Problem, Vector, posed
from lazygrad.optimize.weights import places_of

__all__ = ["Curve", "covariance_of"]


class Curve(tuple[Vector, Vector]):
    """The pair ``(x, covariance)`` of SciPy's ``curve_fit``, with the same by name, and the curve as a function.

    Attributes:
        x: the parameters in a row.
        covariance: of the parameters, of shape [n, n]; infinite where the data do not tell.
        values: for each parameter an array of its shape.
        errors: for each parameter its standard errors, of the same shape.
        result: SciPy's ``OptimizeResult`` of the least squares.
    """

    x: Vector
    covariance: Vector
    values: dict[str, Any]
    errors: dict[str, Any]
    result: Any

    def __new__(cls, problem: Problem, model: Model, result: Any, covariance: Vector) -> Curve:  # noqa: D102 - curve_fit makes it
        made = super().__new__(cls, (result.x, covariance))
        made.x, made.covariance, made.result = result.x, covariance, result
        made._problem, made._model = problem, model
        made.values = problem.named(made.x)
        spread = np.sqrt(np.diag(covariance))
        made.errors = {k: e.astype(np.float64) for k, e in problem.named(spread).items()}
        return made

    _problem: Problem
    _model: Model

    def __getnewargs__(self) -> tuple[Any, ...]:
        return self._problem, self._model, self.result, self.covariance

    def __call__(self, x: Any) -> Vector:
        """The curve at ``x``, given as it was for the fit."""
        own, arrays = self._at(x)
        values = own.residuals(arrays)(self.x)
        return np.reshape(values, own.returned)

    def error(self, x: Any) -> Vector:
        """The standard error of the curve at ``x``, which comes from those of the parameters, to first order."""
        own, arrays = self._at(x)
        count = int(np.prod(own.returned))
        J = own.jacobian(arrays, count)(self.x)
        return np.reshape(np.sqrt(np.einsum("ij,jk,ik->i", J, self.covariance, J)), own.returned)

    def _at(self, x: Any) -> tuple[Problem, list[Any]]:
        paths = [v.path for v in self._problem.variables]
        return posed(self._model.curve, (places_of(x, self._model.plain),), paths, "evaluate", residuals_of)

    def __repr__(self) -> str:
        return "\n".join(
            f"{name} = {_plus_minus(float(self.values[name]), float(self.errors[name]))}"
            if self.values[name].ndim == 0
            else f"{name} = {self.values[name]} ± {self.errors[name]}"
            for name in self.values
        )


def _plus_minus(value: float, error: float) -> str:
    """The value and its error, with two digits of the error."""
    if not np.isfinite(error) or error == 0:
        return f"{value:.6g} ± {error:g}"
    digits = 1 - int(np.floor(np.log10(error)))
    if not -3 < digits < 7:
        digits = int(np.floor(np.log10(max(abs(value), error)))) - int(np.floor(np.log10(error))) + 1
        return f"{value:.{max(digits, 1)}e} ± {error:.1e}"
    return f"{value:.{max(digits, 0)}f} ± {error:.{max(digits, 0)}f}"


def covariance_of(jacobian: Vector, cost: float, absolute: bool) -> Vector | None:
    """The covariance of the parameters of a least-squares fit; ``None`` if the data do not determine it.

    It is (JᵀJ)⁻¹, by the singular values of J; times the residual variance, unless the errors of the data are known.

    Args:
        jacobian: of the weighted residuals, at the solution.
        cost: half their sum of squares.
        absolute: whether the errors of the data are known.
    """
    count, size = jacobian.shape
    if count < size or not np.isfinite(jacobian).all():
        return None
    scale = np.linalg.norm(jacobian, axis=0)  # parameters of any unit: those of columns of one length are as well known
    if not scale.all():
        return None
    _, s, VT = np.linalg.svd(jacobian / scale, full_matrices=False)
    if s[-1] <= np.finfo(np.float64).eps * max(count, size) * s[0]:
        return None
    if not absolute and count == size:
        return None
    root = VT.T / s / scale[:, None]
    found: Vector = root @ root.T
    return found if absolute else found * (2 * cost / (count - size))
