"""A function of tensors evaluated in both ways there are, run and compiled to native code, which must agree."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import lazygrad as lg

__all__ = ["raised", "slope", "value"]


def value(f: Callable[..., Any], *arrays: Any, rtol: float = 1e-6) -> Any:
    """What ``f`` gives, in a float64 environment; compiled it is the same to ``rtol``, shapes and dtypes included."""
    env = lg.VariableEnvironment(seed=0, dtype="float64")
    arrays = tuple(np.asarray(a) for a in arrays)

    def step(ctx: Any, *xs: Any) -> Any:
        return f(*xs)

    first = env.run(step, *arrays)
    fast = env.compile(step, wait=True)
    for again in (fast(*arrays), fast(*arrays)):
        for a, b in zip(_listed(first), _listed(again), strict=True):
            a, b = np.asarray(a), np.asarray(b)
            assert (a.shape, a.dtype) == (b.shape, b.dtype)
            np.testing.assert_allclose(b, a, rtol=rtol if a.dtype.kind == "f" else 0, atol=0)
    return first


def _listed(x: Any) -> list[Any]:
    return list(x) if isinstance(x, (tuple, list)) else [x]


def slope(f: Callable[..., Any], *arrays: Any, rtol: float = 1e-6) -> Any:
    """The gradient of the sum of ``f`` for its first array."""
    return value(lambda x, *others: lg.grad(f(x, *others), x), *arrays, rtol=rtol)


def raised(kind: type[Exception], f: Callable[..., Any], *arrays: Any) -> str:
    """The text of what ``f`` raises, of that kind, the same in both ways."""
    env = lg.VariableEnvironment(seed=0, dtype="float64")
    arrays = tuple(np.asarray(a) for a in arrays)
    texts = []
    for way in (env.run, lambda step, *a: env.compile(step, wait=True)(*a)):
        try:
            way(lambda ctx, *xs: f(*xs), *arrays)
        except kind as error:
            texts.append(str(error))
    assert len(texts) == 2, f"no {kind.__name__} was raised in {2 - len(texts)} of two ways"
    assert texts[0] == texts[1]
    return texts[0]
