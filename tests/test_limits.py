"""Shapes that NumPy has no arrays of are refused where they are said, by everything that makes shapes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import lazygrad as lg

LONG = 2**40  # elements; an array of LONG × LONG has more than there are addresses
HUGE = 2**70
ONES = (1,) * 65


def long(x: Any, size: int = LONG) -> Any:
    """A number over and over."""
    return lg.broadcast_to(x[:1], (size,))


BYTES: dict[str, Callable[[Any, Any], Any]] = {
    "zeros": lambda ctx, x: lg.zeros((LONG, LONG)),
    "more than any integer": lambda ctx, x: lg.ones(HUGE),
    "empty": lambda ctx, x: lg.zeros((0, LONG, LONG)),
    "full": lambda ctx, x: lg.full((LONG, LONG), 2),
    "eye": lambda ctx, x: lg.eye(LONG),
    "arange": lambda ctx, x: lg.arange(2**65),
    "linspace": lambda ctx, x: lg.linspace(0, 1, HUGE),
    "placeholder": lambda ctx, x: ctx.placeholder("p", (LONG, LONG)),
    "normal": lambda ctx, x: ctx.random.normal((LONG, LONG)),
    "broadcast_to": lambda ctx, x: lg.broadcast_to(x, (LONG, LONG, 3)),
    "pad": lambda ctx, x: lg.pad(x, 2**61),
    "repeat": lambda ctx, x: lg.repeat(x, 2**62),
    "tile": lambda ctx, x: lg.tile(x, (LONG, LONG)),
    "concat": lambda ctx, x: lg.concat([long(x, 2**60)] * 9),
    "stack": lambda ctx, x: lg.stack([long(x, 2**60)] * 9),
    "meshgrid": lambda ctx, x: lg.meshgrid(*[x] * 50)[0],
    "outer": lambda ctx, x: long(x)[:, None] * long(x),
    "where": lambda ctx, x: lg.where(long(x)[:, None] > 0, long(x), 0),
    "matmul": lambda ctx, x: long(x)[:, None] @ long(x)[None],
    "einsum": lambda ctx, x: lg.einsum("i,j->ij", long(x), long(x)),
    "astype": lambda ctx, x: lg.broadcast_to(ctx.constant(np.ones(1, "int8")), (2**62,)).astype("float64"),
    "segment_sum": lambda ctx, x: lg.segment_sum(x, np.array([0, 1, 2]), HUGE),
}
AXES: dict[str, Callable[[Any, Any], Any]] = {
    "zeros": lambda ctx, x: lg.zeros(ONES),
    "uniform": lambda ctx, x: ctx.random.uniform(ONES),
    "placeholder": lambda ctx, x: ctx.placeholder("p", ONES),
    "reshape": lambda ctx, x: lg.reshape(x, (*ONES, 3)),
    "expand_dims": lambda ctx, x: lg.expand_dims(x, tuple(range(64))),
    "None": lambda ctx, x: x[(None,) * 64],
    "broadcast_to": lambda ctx, x: lg.broadcast_to(x, (*ONES, 3)),
    "stack": lambda ctx, x: lg.stack([lg.reshape(x, (*ONES[2:], 3))]),
    "meshgrid": lambda ctx, x: lg.meshgrid(*[x[:1]] * 65)[0],
}


@pytest.mark.parametrize("name", BYTES)
def test_an_array_with_more_bytes_than_there_are_addresses_is_refused(name: str) -> None:
    """At the user's line, before anything is computed."""
    env = lg.VariableEnvironment()
    with pytest.raises(lg.SpecError, match="An array has at most 2⁶³ - 1 bytes; one of") as caught:
        env.run(BYTES[name], np.ones(3, "float32"))
    assert "test_limits.py" in str(caught.value)


@pytest.mark.parametrize("name", AXES)
def test_an_array_with_more_axes_than_numpy_has_is_refused(name: str) -> None:
    """Likewise."""
    env = lg.VariableEnvironment()
    with pytest.raises(lg.SpecError, match="An array has at most 64 axes; this one would have 6") as caught:
        env.run(AXES[name], np.ones(3, "float32"))
    assert "test_limits.py" in str(caught.value)


def test_what_is_too_large_is_told_in_four_parts() -> None:
    """What failed, where, and why."""
    env = lg.VariableEnvironment()
    with pytest.raises(lg.SpecError) as caught:
        env.run(lambda ctx: lg.zeros((LONG, 3, LONG)))
    head, place, body = str(caught.value).split("\n\n")
    assert head == f"cannot full with value=np.float32(0.0), shape=({LONG}, 3, {LONG}), dtype=dtype('float32')"
    assert place.startswith("    env.run(lambda ctx: lg.zeros((LONG, 3, LONG)))")
    assert body == f"    An array has at most 2⁶³ - 1 bytes; one of float32[{LONG}, 3, {LONG}] would have more."


def test_as_many_axes_as_numpy_has_are_computed_with() -> None:
    """64 are allowed."""
    got = lg.VariableEnvironment().run(lambda ctx, x: lg.reshape(x, ONES[1:]) + 1, np.ones(1, "float32"))
    assert (1,) * 64 == got.shape


def test_a_layer_that_is_too_large_is_refused() -> None:
    """And registers nothing."""
    env = lg.VariableEnvironment()
    with pytest.raises(lg.SpecError, match="cannot make variable 'linear/weight'"):
        lg.nn.Linear(env, LONG, LONG)
    assert 0 == len(env)


@pytest.mark.parametrize(("start", "stop"), [(0, float("inf")), (0, 10**400), (float("nan"), 1)])
def test_an_arange_without_end_is_refused(start: Any, stop: Any) -> None:
    """There is no number of steps."""
    with pytest.raises(lg.SpecError, match="cannot make arange"):
        lg.VariableEnvironment().run(lambda ctx: lg.arange(start, stop, 0.5))
