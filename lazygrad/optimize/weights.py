"""The data of a fit, and what they weigh."""

from __future__ import annotations

from typing import Any

import numpy as np

from lazygrad.errors import DataError, SpecError, report
from lazygrad.graph.registry import here
from lazygrad.ops.source import numeric
from lazygrad.optimize.problem import Vector
from lazygrad.step.called import is_array
from lazygrad.trees import leaves, rebuilt

__all__ = ["data_of", "places_of", "weights_of"]


def data_of(x: Any, y: Any, widened: bool) -> tuple[Any, Vector]:
    """The data as arrays, in float64.

    Args:
        x: an array, or nested ones.
        y: an array.
        widened: whether what is in ``x`` is to become float64 too.

    Raises:
        DataError: something in them is not finite, or there are none.
    """
    x = places_of(x, widened)
    for path, leaf in leaves(x, "x"):
        if is_array(leaf):
            _check_finite(path, leaf)
    y = np.asarray(numeric(y), dtype=np.float64)
    _check_finite("y", y)
    if not y.size:
        raise DataError(report("there are no data", at=here(), cure="Give at least as many data as parameters."))
    return x, y


def places_of(x: Any, widened: bool) -> Any:
    """The places of data as arrays; a number, or a list of numbers, becomes one."""
    if isinstance(x, (int, float, list)) and not any(is_array(leaf) for _, leaf in leaves(x)):
        x = np.asarray(numeric(x), dtype=np.float64)
    arrays = [numeric(leaf) if is_array(leaf) else leaf for _, leaf in leaves(x)]
    return rebuilt(x, [np.asarray(a, np.float64) if widened and is_array(a) else a for a in arrays])


def _check_finite(name: str, array: Any) -> None:
    bad = np.argwhere(~np.isfinite(array))
    if len(bad):
        index = ", ".join(map(str, bad[0]))
        facts = [f"{name}[{index}]:  {array[tuple(bad[0])]}", f"{len(bad)} of {array.size} in all"]
        cure = "Leave those data out: keep = np.isfinite(y); x[keep], y[keep]."
        raise DataError(report(f"{name} is not finite", at=here(), facts=facts, cure=cure))


def weights_of(sigma: Any, y: Vector) -> Vector | None:
    """What the residuals are divided by: of the shape of ``y``, or the lower triangle of a covariance matrix.

    Raises:
        SpecError: it is of another shape.
        DataError: it is not positive, or not positive definite.
    """
    if sigma is None:
        return None
    given = np.asarray(numeric(sigma), dtype=np.float64)
    if given.shape == (y.size, y.size) and given.shape != y.shape and y.ndim == 1:
        try:
            return np.asarray(np.linalg.cholesky(given))
        except np.linalg.LinAlgError:
            cure = "A covariance matrix is symmetric, with positive eigenvalues."
            raise DataError(report("sigma is not positive definite", at=here(), cure=cure)) from None
    if given.shape not in ((), (1,), y.shape):
        facts = [f"y:      {list(y.shape)}", f"sigma:  {list(given.shape)}"]
        cure = "Give one standard error for each datum, one for all, or their covariance matrix."
        raise SpecError(report("sigma is of another shape than y", at=here(), facts=facts, cure=cure))
    if not (given > 0).all() or not np.isfinite(given).all():
        cure = "A standard error is a positive number."
        raise DataError(report(f"sigma is not positive: {given.min():g} is its least", at=here(), cure=cure))
    return np.array(np.broadcast_to(given, y.shape))
