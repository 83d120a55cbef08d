"""Formulas as one writes them down, which float32 has no right answer for; and the right answers.

The truth is computed in float64, by SciPy's functions that are made for it, from the same float32 arguments.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from scipy import special

import lazygrad as lg
from lazygrad import nn

WIDE = np.array([[-200.0, -30.0, -1e-3], [0.0, 50.0, 300.0]], "float32")
NEAR = np.array([[300.0, 301.0, 299.0], [-200.0, -201.0, -202.5]], "float32")
SMALL = np.array([[1e-30, -1e-10, 1e-5], [0.3, -1e-20, -0.5]], "float32")
HUGE = np.array([[1e-30, -1e-10, 1e-25], [3.0, -1e25, 1e30]], "float32")
BELOW = -np.array([[1e-30, 1e-10, 1e-5], [0.3, 20.0, 80.0]], "float32")
WEIGHTS = np.array([1.0, 2.0, -3.0], "float32")
TARGETS = np.array([[0.2, 0.3, 0.5], [0.1, 0.1, 0.8]], "float32")


class Formula(NamedTuple):
    """A formula as one writes it down; its value and the gradient of its sum, both true; and where it fails.

    ``fails`` says what of it is wrong if it is computed as it is written: its value, its gradient, or both.
    ``error`` bounds the error of value and gradient, in roundings of each element; ``floor`` that of the
    gradient besides, in roundings of its largest element.
    """

    name: str
    written: Callable[[Any], Any]
    value: Callable[[Any], Any]
    gradient: Callable[[Any], Any]
    x: Any = WIDE
    fails: str = "value gradient"
    error: float = 8
    floor: float = 0


def softmax(x: Any) -> Any:
    """eˣ / Σeˣ along the rows."""
    return special.softmax(x, axis=1)


def weighted(x: Any) -> Any:
    """Σ w·softmax."""
    return np.sum(softmax(x) * WEIGHTS, axis=1)


def weighted_gradient(x: Any) -> Any:
    """softmax·(w − Σ w·softmax)."""
    return softmax(x) * (WEIGHTS - weighted(x)[:, None])


def likelihood(x: Any) -> Any:
    """Σ t·log softmax."""
    return np.sum(TARGETS.astype("f8") * special.log_softmax(x, axis=1), axis=1)


def likelihood_gradient(x: Any) -> Any:
    """t − Σt·softmax."""
    targets = TARGETS.astype("f8")
    return targets - np.sum(targets, axis=1, keepdims=True) * softmax(x)


def quotient(x: Any) -> Any:
    """Softmax as one writes it down."""
    return lg.exp(x) / lg.sum(lg.exp(x), axis=1, keepdims=True)


def inverse(x: Any) -> Any:
    """The logistic function, written so that it does not overflow."""
    return 1 / (1 + lg.exp(-x))


def ratio(x: Any) -> Any:
    """The logistic function, written so that it does."""
    return lg.exp(x) / (1 + lg.exp(x))


def cross_entropy(p: Any) -> Any:
    """−t·log p − (1 − t)·log(1 − p)."""
    return -(0.25 * lg.log(p) + 0.75 * lg.log(1 - p))


def true_cross_entropy(x: Any) -> Any:
    """The same for p = σ(x)."""
    return -(0.25 * special.log_expit(x) + 0.75 * special.log_expit(-x))


def one_less_exp(x: Any) -> Any:
    """log(1 − eˣ)."""
    return np.where(x > -0.7, np.log(-np.expm1(x)), np.log1p(-np.exp(np.minimum(x, -0.1))))


SOFTPLUS = (lambda x: -special.log_expit(-x), special.expit)
LOG_SIGMOID = (special.log_expit, lambda x: special.expit(-x))
LOG_REST = (lambda x: special.log_expit(-x), lambda x: -special.expit(x))
SIGMOID = (special.expit, lambda x: special.expit(x) * special.expit(-x))
ENTROPY = (true_cross_entropy, lambda x: special.expit(x) - 0.25)
WEIGHTED = (weighted, weighted_gradient)
LIKELIHOOD = (likelihood, likelihood_gradient)
# e^(x − m) keeps as many digits as x − m has behind the point: some |x − m| roundings.
FAR = 256

FORMULAS = [
    Formula(
        "log sum exp",
        lambda x: lg.log(lg.sum(lg.exp(x), axis=1)),
        lambda x: special.logsumexp(x, axis=1),
        softmax,
        error=FAR,
    ),
    Formula(
        "log sum exp, columns, kept",
        lambda x: lg.log(lg.sum(lg.exp(x), axis=0, keepdims=True)),
        lambda x: special.logsumexp(x, axis=0, keepdims=True),
        lambda x: special.softmax(x, axis=0),
        error=FAR,
    ),
    Formula(
        "log sum exp, everything",
        lambda x: lg.log(lg.sum(lg.exp(x))),
        special.logsumexp,
        special.softmax,
        error=FAR,
    ),
    Formula(
        "minus log of a mean",
        lambda x: -lg.log(lg.mean(lg.exp(x), axis=1)),
        lambda x: np.log(3) - special.logsumexp(x, axis=1),
        lambda x: -softmax(x),
        error=FAR,
    ),
    Formula(
        "log of two exps",
        lambda x: lg.log(lg.exp(x) + lg.exp(-x)),
        lambda x: np.logaddexp(x, -x),
        np.tanh,
        floor=1,
    ),
    Formula(
        "log of three exps",
        lambda x: lg.log(lg.exp(x) + lg.exp(-x) + lg.exp(0.5 * x)),
        lambda x: special.logsumexp([x, -x, 0.5 * x], axis=0),
        lambda x: np.sum(special.softmax([x, -x, 0.5 * x], axis=0) * np.array([1, -1, 0.5])[:, None, None], axis=0),
        error=FAR,
        floor=2,
    ),
    Formula("softmax", lambda x: lg.sum(WEIGHTS * quotient(x), axis=1), *WEIGHTED, NEAR, floor=8),
    Formula(
        "softmax, axis put back by an index",
        lambda x: lg.sum(WEIGHTS * (lg.exp(x) / lg.sum(lg.exp(x), axis=1)[:, None]), axis=1),
        *WEIGHTED,
        NEAR,
        floor=8,
    ),
    Formula(
        "quotient of two sums",
        lambda x: lg.sum(WEIGHTS * lg.exp(x), axis=1) / lg.sum(lg.exp(x), axis=1),
        *WEIGHTED,
        NEAR,
        floor=8,
    ),
    Formula("log of a softmax", lambda x: lg.sum(TARGETS * lg.log(quotient(x)), axis=1), *LIKELIHOOD, floor=1),
    Formula("log nn.softmax", lambda x: lg.sum(TARGETS * lg.log(nn.softmax(x, 1)), axis=1), *LIKELIHOOD, floor=1),
    Formula("log nn.sigmoid", lambda x: lg.log(nn.sigmoid(x)), *LOG_SIGMOID),
    Formula("log 1/(1 + exp(-x))", lambda x: lg.log(inverse(x)), *LOG_SIGMOID),
    Formula("log exp(x)/(1 + exp(x))", lambda x: lg.log(ratio(x)), *LOG_SIGMOID),
    Formula("log(1 - nn.sigmoid)", lambda x: lg.log(1 - nn.sigmoid(x)), *LOG_REST, floor=1),
    Formula("log(1 - 1/(1 + exp(-x)))", lambda x: lg.log(1 - inverse(x)), *LOG_REST),
    Formula("log1p(-nn.sigmoid)", lambda x: lg.log1p(-nn.sigmoid(x)), *LOG_REST, floor=1),
    Formula("log(1 + exp)", lambda x: lg.log(1 + lg.exp(x)), *SOFTPLUS),
    Formula("log1p(exp)", lambda x: lg.log1p(lg.exp(x)), *SOFTPLUS),
    Formula("1/(1 + exp(-x))", inverse, *SIGMOID, fails="", floor=1),
    Formula("exp(x)/(1 + exp(x))", ratio, *SIGMOID, floor=1),
    Formula(
        "1 - nn.sigmoid",
        lambda x: 1 - nn.sigmoid(x),
        lambda x: special.expit(-x),
        lambda x: -special.expit(x) * special.expit(-x),
        fails="value",
        floor=1,
    ),
    Formula("cross entropy of nn.sigmoid", lambda x: cross_entropy(nn.sigmoid(x)), *ENTROPY),
    Formula("cross entropy of 1/(1 + exp(-x))", lambda x: cross_entropy(inverse(x)), *ENTROPY),
    Formula("cross entropy of exp(x)/(1 + exp(x))", lambda x: cross_entropy(ratio(x)), *ENTROPY),
    Formula("log exp", lambda x: lg.log(lg.exp(x)), lambda x: x, np.ones_like),
    Formula("root of x times x", lambda x: lg.sqrt(x * x), np.abs, np.sign, HUGE),
    Formula("root of a square", lambda x: lg.sqrt(lg.square(x)), np.abs, np.sign, HUGE),
    Formula("log(1 + x)", lambda x: lg.log(1 + x), np.log1p, lambda x: 1 / (1 + x), SMALL, "value"),
    Formula("log(1 - x)", lambda x: lg.log(1 - x), lambda x: np.log1p(-x), lambda x: -1 / (1 - x), SMALL, "value"),
    Formula("exp(x) - 1", lambda x: lg.exp(x) - 1, np.expm1, np.exp, SMALL, "value"),
    Formula("1 - exp(x)", lambda x: 1 - lg.exp(x), lambda x: -np.expm1(x), lambda x: -np.exp(x), SMALL, "value"),
    Formula(
        "log(1 - exp(x))",
        lambda x: lg.log(1 - lg.exp(x)),
        one_less_exp,
        lambda x: np.exp(x) / np.expm1(x),
        BELOW,
    ),
]
