"""What a graph computes, as it was written, in numbers of 700 digits that neither overflow nor become 0."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import mpmath as mp
import numpy as np

import lazygrad as lg

DIGITS = 700


def of_number(f: Callable[[Any], Any]) -> Any:
    """A function of real numbers, of each element; NaN for NaN, and where it has no real value."""

    def value(x: Any) -> Any:
        y = mp.nan if mp.isnan(x) else f(x)
        return mp.nan if mp.im(y) else mp.re(y)

    return np.frompyfunc(value, 1, 1)


def of_pair(f: Callable[[Any, Any], Any]) -> Any:
    """A function of pairs of real numbers; NaN if one is NaN."""
    return np.frompyfunc(lambda a, b: mp.nan if mp.isnan(a) or mp.isnan(b) else f(a, b), 2, 1)


@functools.cache  # the same few special numbers come again and again
def exp(x: Any) -> Any:
    """eˣ, which mpmath leaves open for −∞ and ∞."""
    return mp.exp(x) if mp.isfinite(x) else mp.inf if x > 0 else mp.mpf(0)


@functools.cache
def log(x: Any) -> Any:
    """log x; −∞ for 0."""
    return -mp.inf if x == 0 else mp.inf if x == mp.inf else mp.nan if x < 0 else mp.log(x)


def times(a: Any, b: Any) -> Any:
    """a·b; NaN for 0·∞."""
    return mp.nan if (mp.isinf(a) and b == 0) or (a == 0 and mp.isinf(b)) else a * b


def over(a: Any, b: Any) -> Any:
    """a / b, by IEEE 754."""
    if mp.isinf(b):
        return mp.nan if mp.isinf(a) else mp.mpf(0)
    return a / b if b else mp.nan if a == 0 else a * mp.inf


def strong(f: Callable[[Any, Any], Any]) -> Any:
    """A product or quotient in which zero times anything is zero."""
    return np.frompyfunc(lambda g, x: mp.mpf(0) if g == 0 else mp.nan if mp.isnan(g) or mp.isnan(x) else f(g, x), 2, 1)


def sigmoid(x: Any) -> Any:
    """1 / (1 + e⁻ˣ)."""
    return over(mp.mpf(1), 1 + exp(-x))


def tanh(x: Any) -> Any:
    """2σ(2x) − 1, with all digits of a small x."""
    return mp.tanh(x) if abs(x) < 1 else 2 * sigmoid(2 * x) - 1


ELEMENTWISE = {
    "logistic_slope": of_number(lambda x: sigmoid(x) * sigmoid(-x)),
    "tanh_slope": of_number(lambda x: 4 * sigmoid(2 * x) * sigmoid(-2 * x)),
    "abs": of_number(abs),
    "add": np.add,
    "astype": lambda x: x,  # between floats: nothing is rounded
    "divide": of_pair(over),
    "exp": of_number(exp),
    "expm1": of_number(lambda x: mp.expm1(x) if abs(x) < 1 else exp(x) - 1),
    "log": of_number(log),
    "log1p": of_number(lambda x: mp.log1p(x) if abs(x) < 1 else log(1 + x)),
    "logaddexp": of_pair(lambda a, b: log(exp(a) + exp(b))),
    "multiply": of_pair(times),
    "negative": np.negative,
    "reciprocal": of_number(lambda x: over(mp.mpf(1), x)),
    "sigmoid": of_number(sigmoid),
    "softplus": of_number(lambda x: log(1 + exp(x))),
    "sqrt": of_number(lambda x: mp.nan if x < 0 else mp.sqrt(x)),
    "square": of_number(lambda x: times(x, x)),
    "strong_divide": strong(over),
    "strong_multiply": strong(times),
    "subtract": np.subtract,
    "tanh": of_number(tanh),
}
number = np.frompyfunc(lambda x: mp.mpf(x if isinstance(x, mp.mpf) else float(x)), 1, 1)


def mean(x: Any, **axes: Any) -> Any:
    """The mean along axes."""
    total = np.sum(x, **axes)
    return total / mp.mpf(x.size // np.size(total))


def exactly(graph: lg.Graph, arrays: dict[str, Any]) -> list[Any]:
    """The roots of a graph for these arguments, as arrays of mpmath's numbers."""
    values: list[Any] = []
    with mp.workdps(DIGITS), np.errstate(all="ignore"):
        for node in graph.nodes:
            xs, name = [values[i] for i in node.inputs], node.op.name
            spec: Any = node.spec
            if name == "placeholder":
                value = number(arrays[node.params["name"]])
            elif name == "literal":
                value = number(node.params["value"])
            elif name in ("sum", "mean"):
                value = (np.sum if name == "sum" else mean)(xs[0], **node.params)
            elif name in ("reshape", "broadcast_to"):
                value = getattr(np, name)(xs[0], spec.shape)
            else:
                value = ELEMENTWISE[name](*xs)
            values.append(np.asarray(value, object))
    return [values[i] for i in graph.roots]
