"""When a kernel is tried, on what and how often, and what that says of another shape or dtype."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from declared import WAYS, X, evaluated_in
from numpy.testing import assert_allclose, assert_array_equal

import lazygrad as lg
from lazygrad.define import elementwise, movement, source


def test_a_source_that_gives_other_numbers_at_every_call_is_refused(env: lg.VariableEnvironment) -> None:
    """It would be computed once natively, and at every run on NumPy."""

    @source()
    def noise(xp, *, shape, dtype):
        """Noise that no key gives."""
        return np.random.default_rng().normal(size=shape).astype(dtype)

    with pytest.raises(lg.DefinitionError, match="op 'noise' is declared pure, but its kernel gives other numbers"):
        env.run(lambda ctx: noise(shape=(3,), dtype="float64") + 1)


@pytest.mark.parametrize("way", WAYS)
def test_a_source_of_another_shape_than_asked_for_is_refused(way: str, env: lg.VariableEnvironment) -> None:
    """What never changes is computed once, and looked at then."""

    @source()
    def short(xp, *, shape, dtype):
        """Fewer than asked for."""
        return xp.zeros(max(0, shape[0] - 5), dtype)

    with pytest.raises(lg.DefinitionError, match=r"op 'short' declares float64\[30\], but its kernel returned"):
        evaluated_in(env, way, lambda ctx: short(shape=(30,), dtype="float64") + ctx.constant(np.ones(30)))


@pytest.mark.parametrize("view", ["always", "contiguous", None])
@pytest.mark.parametrize("way", WAYS)
def test_a_shape_rule_that_changes_its_mind_reads_nothing_beside_an_operand(view: Any, way: str) -> None:
    """What was seen of one shape says nothing of another."""
    sizes = iter([6, *[60_000_000] * 100])

    @movement(shape=lambda x: (next(sizes),), view=view)
    def fickle(xp, x):
        """Every second element."""
        return x[::2]

    env = lg.VariableEnvironment(dtype="float64")
    assert_array_equal(np.arange(6) * 2, env.run(lambda ctx, x: fickle(x), np.arange(12.0)))
    with pytest.raises(lg.DefinitionError, match="op 'fickle' declares"):
        evaluated_in(env, way, lambda ctx: lg.sum(fickle(ctx.constant(np.arange(12.0)))))


def test_a_kernel_that_raises_when_it_is_tried_is_not_judged(env: lg.VariableEnvironment) -> None:
    """It may be right about what it is tried on."""

    @elementwise()
    def careful(xp, x):
        """x, which is large."""
        if not isinstance(x, np.ndarray) or x.min() < 100:
            raise ValueError("too small")
        return x + 1

    assert_array_equal(X + 101, env.run(lambda ctx, x: careful(x), X + 100))
    with pytest.raises(ValueError, match="too small"):
        env.run(lambda ctx, x: careful(x), X)


def test_what_the_program_takes_for_another_dtype_is_called_as_it_is(env: lg.VariableEnvironment) -> None:
    """It is no fault of the kernel's."""

    @elementwise()
    def tenth(xp, x):
        """x / 10, in the dtype of x."""
        return x * np.asarray(0.1, x.dtype) if isinstance(x, np.ndarray) else x * np.float64(0.1)

    x = X.astype(np.float32)
    for _ in range(3):
        assert_allclose(x / 10, env.run(lambda ctx, x: tenth(x), x), rtol=1e-6)


def test_a_kernel_is_tried_once_for_its_settings_and_dtypes(env: lg.VariableEnvironment) -> None:
    """Not at every step, nor for every size."""
    calls: list[tuple[int, ...]] = []

    @elementwise()
    def noted(xp, x, *, by=1.0):
        """x + by."""
        calls.append(np.shape(x) if isinstance(x, np.ndarray) else ())
        return xp.add(x, by)

    env.run(lambda ctx, x: noted(x), np.ones(1000))
    tried = len(calls)
    env.run(lambda ctx, x: noted(x) * 2, np.ones(2000))
    assert tried + 1 == len(calls)
    assert 1000 not in {shape[0] for shape in calls[:-2] if shape}


def test_a_view_of_much_is_tried_without_memory(env: lg.VariableEnvironment) -> None:
    """On memory that is reserved, and never touched."""
    import tracemalloc

    @movement(shape=lambda x: (x[0] - 1, x[1]), view="always")
    def later(xp, x):
        """All but the first row."""
        return x[1:]

    x = np.zeros((2000, 5000), np.float32)
    step = env.compile(lambda ctx, x: lg.sum(later(x)))
    tracemalloc.start()
    step.prepare(x)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4e6


@pytest.mark.parametrize(
    "step",
    [
        lambda x: lg.concat([x, x]),
        lambda x: lg.stack([x, x, x], axis=1),
        lambda x: lg.roll(x, 3, axis=0),
        lambda x: lg.pad(x, 1),
        lambda x: lg.grad(lg.sum(x[5:-5] ** 2), [x])[0],
    ],
    ids=["concat", "stack", "roll", "pad", "slice"],
)
def test_joining_large_arrays_is_compiled_without_memory(step: Any, env: lg.VariableEnvironment) -> None:
    """Where elements go is asked of the op, not seen by moving as many."""
    import tracemalloc

    x = np.zeros((2000, 5000), np.float32)
    compiled = env.compile(lambda ctx, x: step(x))
    tracemalloc.start()
    compiled.prepare(x)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4e6
