"""Loops with random bodies, for tests of native code."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

import lazygrad as lg

__all__ = ["bodies", "halved", "looping"]

Step = Callable[..., Any]

SHAPES = [(), (3,), (2, 3)]
OPS = ["add", "subtract", "multiply", "maximum", "where", "matrix", "sum", "inner", "half", "sort", "search", "put"]


@st.composite
def bodies(draw: Any) -> Any:
    """A scan over whole numbers: how many carries and xs of which shapes, and the ops of the body."""
    carries = draw(st.lists(st.sampled_from(SHAPES), min_size=1, max_size=3))
    xs = draw(st.lists(st.sampled_from(SHAPES), min_size=0, max_size=2))
    ops = draw(st.lists(st.tuples(st.sampled_from(OPS), st.integers(0, 9), st.integers(0, 9)), max_size=6))
    return carries, xs, ops, draw(st.integers(1, 5)), draw(st.booleans())


def small(x: Any) -> Any:
    """Kept among small whole numbers, so that nothing rounds."""
    return lg.minimum(lg.maximum(x, -8), 8)


def applied(op: str, a: Any, b: Any, depth: int = 0) -> Any:
    """What an op makes of two tensors, of whole numbers again."""
    if op == "where":
        return lg.where(a > b, a, b * 2)
    if op == "matrix":
        whole = a + lg.zeros((2, 3))
        return lg.ones((2, 2)) @ whole if a.ndim < 2 else whole @ lg.ones((3, 3))
    if op == "sum":
        return lg.sum(a, axis=-1, keepdims=True) if a.ndim else a + b
    if op == "half":
        return lg.floor(a * 0.5)
    if op == "sort":
        return lg.sort(a, axis=0) - b if a.ndim else a - b
    if op == "search":
        return lg.searchsorted(lg.sort(lg.flatten(a)), b).astype(a.dtype)
    if op == "put":
        return a.at[..., [0, -1]].add(lg.max(b)) if a.ndim else a + b
    if op == "inner":
        return lg.scan(lambda c, _: (small(c + b), None), a + b, length=3)[0] if depth == 0 else a - b
    return getattr(lg, op)(a, b)


def looping(drawn: Any) -> Step:
    """The step of a random body."""
    carries, _, ops, turns, reverse = drawn

    def step(ctx: Any, outer: Any, *arrays: Any) -> Any:
        def body(c: Any, x: Any) -> Any:
            pool = [*c, *(x or ()), outer]
            for op, i, j in ops:
                pool.append(small(applied(op, pool[i % len(pool)], pool[j % len(pool)])))
            new = []
            for k, old in enumerate(c):
                value = pool[-1 - k % len(pool)]
                new.append(old + lg.sum(small(value)) if k % 2 else small(old + lg.min(value)))
            return tuple(new), pool[-1]

        init, over = arrays[: len(carries)], arrays[len(carries) :]
        return lg.scan(body, tuple(init), tuple(over) or None, length=turns, reverse=reverse)

    return step


def halved(c: Any, x: Any) -> tuple[Any, Any]:
    """A body whose numbers stay exact for a while."""
    new = c * 0.5 + x
    return new, new - c
