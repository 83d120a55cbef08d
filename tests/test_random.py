"""Draws at the ends of what can be drawn: bounds are kept, probabilities exact, ranges that are not finite refused."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import lazygrad as lg

MANY = 400_000


def drawn(step: Any, *arrays: Any, dtype: str = "float32", runs: int = 1) -> list[Any]:
    """What a step draws, run and compiled, each several times."""
    found = []
    for way in ("run", "compile"):
        env = lg.VariableEnvironment(seed=5, dtype=dtype)
        call = env.compile(step, wait=True) if way == "compile" else lambda *a, env=env: env.run(step, *a)
        found += [call(*arrays) for _ in range(runs)]
    return found


BOUNDS = [
    (1000.0, 1001.0),
    (-1.0, 1.0),
    (-10.0, 10.0),
    (0.0, 3.0),
    (2, 3),
    (16777214.0, 16777216.0),
    (-1001.0, -1000.0),
    (0.0, 1e-44),
    (1e-44, 1.2e-44),
    (-1.5e38, 1.5e38),
    (0.1, 0.3),
    (1e30, 2e30),
]


@pytest.mark.parametrize(("low", "high"), BOUNDS, ids=str)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_uniform_number_is_never_its_upper_bound(low, high, dtype):
    """Numbers as bounds: rounding stops before the upper one, and both ends are come near to."""
    first, end = np.asarray(low, dtype), np.asarray(high, dtype)
    for x in drawn(lambda ctx: ctx.random.uniform(MANY, low, high), dtype=dtype):
        assert x.dtype == dtype
        assert x.min() >= first
        assert x.max() < end
        near = (float(end) - float(first)) / 100 + float(np.spacing(end))
        assert x.min() <= float(first) + near
        assert x.max() >= float(end) - near


@pytest.mark.parametrize(("low", "high"), BOUNDS, ids=str)
def test_a_uniform_number_is_never_its_upper_bound_where_that_is_a_tensor(low, high):
    """One bound or both; and a range that goes downwards stops before its end as well."""
    a, b = np.asarray(low, "float32"), np.asarray(high, "float32")
    steps = [
        (lambda ctx, a, b: ctx.random.uniform(MANY, a, b), (a, b)),
        (lambda ctx, a: ctx.random.uniform(MANY, a, high), (a,)),
        (lambda ctx, b: ctx.random.uniform(MANY, low, b), (b,)),
    ]
    for step, arrays in steps:
        for x in drawn(step, *arrays):
            assert x.min() >= a
            assert x.max() < b
    for x in drawn(lambda ctx, a, b: ctx.random.uniform(MANY, b, a), a, b):
        assert x.max() <= b
        assert x.min() > a


def test_numbers_of_numpy_bound_draws_as_pythons_do():
    """The same numbers are drawn."""
    plain, numpy = drawn(
        lambda ctx: ctx.random.uniform(9, 1000, 1001.0)), drawn(
        lambda ctx: ctx.random.uniform(9, np.int64(1000), np.float64(1001))
    )  # fmt: skip
    np.testing.assert_array_equal(plain, numpy)


@pytest.mark.parametrize(
    ("low", "high", "dtype"),
    [
        (-3e38, 3e38, "float32"),
        (0.0, 1e39, "float32"),
        (-math.inf, 0.0, "float64"),
        (0.0, math.inf, "float32"),
        (math.nan, 1.0, "float64"),
        (-1e308, 1e308, "float64"),
        (0, 10**400, "float64"),
        (np.float64(-3e38), np.float64(3e38), "float32"),
    ],
    ids=str,
)
def test_a_range_that_is_not_finite_is_refused_where_it_is_written(low, high, dtype):
    """In the dtype that is drawn in."""
    env = lg.VariableEnvironment(seed=0, dtype=dtype)
    for way in (env.run, lambda step: env.compile(step, wait=True)()):
        with pytest.raises(lg.SpecError) as caught:
            way(lambda ctx: ctx.random.uniform(3, low, high))
        what, line, cure = str(caught.value).split("\n\n")
        assert what.startswith("cannot draw with ")
        assert "test_random.py" in line
        assert dtype in cure


def test_a_range_of_tensors_that_is_not_finite_draws_nan():
    """Nothing finite is made up of it; ranges beside it are drawn from."""
    low, high = np.array([-3e38, 0, 0, np.nan, 2], "float32"), np.array([3e38, np.inf, 1, 1, 3], "float32")
    for x in drawn(lambda ctx, a, b: ctx.random.uniform(5, a, b), low, high):
        assert np.isnan(x).tolist() == [True, True, False, True, False]


def test_the_gradient_of_a_uniform_number_is_the_part_of_each_bound():
    """1 − u and u, which sum to 1, at the last number before the bound too."""

    def step(ctx: Any, a: Any, b: Any) -> Any:
        x = ctx.random.uniform(MANY, a, b)
        return lg.grad(lg.sum(x), [a, b])

    for ga, gb in drawn(step, np.float64(1000), np.float64(1001), dtype="float64"):
        assert ga + gb == pytest.approx(MANY, rel=1e-12)
        assert gb == pytest.approx(MANY / 2, rel=0.01)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_rare_event_is_as_rare_as_was_said(dtype):
    """A probability of 10⁻⁸ in 2²⁷ draws: one or two; a grid of 2⁻²⁴ would give eight. And not once in 2⁻³⁰·2²⁴."""
    env = lg.VariableEnvironment(seed=3, dtype=dtype)
    fast = env.compile(lambda ctx: lg.sum(ctx.random.bernoulli(2**23, 1e-8)), wait=True)
    assert 0 <= sum(int(fast()) for _ in range(16)) <= 4
    certain = env.compile(lambda ctx, p: lg.sum(ctx.random.bernoulli(2**22, p)), wait=True)
    assert sum(int(certain(np.float64(1 - 1e-8))) for _ in range(4)) >= 2**24 - 3
    assert sum(int(certain(np.float32(1e-9))) for _ in range(4)) == 0


@pytest.mark.parametrize("p", [0.5, 0.25, 1 - 2.0**-24, 0.0, 1.0, 0.1, 1e-9, 0.9])
def test_a_probability_is_compared_with_as_many_digits_as_it_has(p):
    """Words of 32 bits are drawn where they are exact, words of 64 where they are not."""
    graph = lg.VariableEnvironment(dtype="float32").trace(lambda ctx: ctx.random.bernoulli(3, p))
    (words,) = (node.spec.dtype for node in graph.nodes if node.op.name == "words")
    assert words == (np.uint32 if (p * 2**32).is_integer() else np.uint64)


def test_a_probability_of_a_tensor_is_held_between_nothing_and_all():
    """Above 1 is 1; below 0 and NaN are 0."""
    for x in drawn(lambda ctx, p: ctx.random.bernoulli((100, 5), p), np.array([-1.0, 0.0, 1.0, 2.0, np.nan])):
        assert x.sum(axis=0).tolist() == [0, 0, 100, 100, 0]


def test_dropout_of_a_tiny_rate_drops_what_it_says():
    """A rate of 2⁻²⁵ is no multiple of 2⁻²⁴; of 2²⁷ elements four or so are dropped, and not none."""
    env = lg.VariableEnvironment(seed=2, dtype="float32")
    fast = env.compile(lambda ctx, x: lg.sum(lg.equal(lg.nn.dropout(x, 2.0**-25), 0)), wait=True)
    assert 1 <= sum(int(fast(np.ones(2**23, "float32"))) for _ in range(16)) <= 9


@pytest.mark.parametrize(
    ("draw", "shown"),
    [
        (lambda r: r.normal(3, mean=math.inf), "mean inf"),
        (lambda r: r.normal(3, std=math.inf), "std inf"),
        (lambda r: r.normal(3, mean=math.nan), "mean nan"),
        (lambda r: r.normal(3, std=1e39, dtype="float32"), "std 1e+39"),
        (lambda r: r.exponential(3, scale=math.inf), "scale inf"),
        (lambda r: r.log_normal(3, mean=-math.inf), "mean -inf"),
        (lambda r: r.gamma(3, math.inf), "alpha inf"),
        (lambda r: r.gamma(3, 1.0, scale=math.inf), "scale inf"),
        (lambda r: r.bernoulli(3, math.nan), "p nan"),
        (lambda r: r.integers(3, -(2**63) - 1, 0), f"low and high {(-(2**63) - 1, 0)!r}"),
        (lambda r: r.integers(3, 0, 2**63 + 1), f"low and high {(0, 2**63 + 1)!r}"),
    ],
    ids=lambda x: x if isinstance(x, str) else "",
)
def test_a_parameter_that_is_not_finite_is_refused(draw, shown):
    """With its name and number, at the user's line."""
    with pytest.raises(lg.SpecError, match=r"test_random\.py") as caught:
        lg.VariableEnvironment(seed=0).run(lambda ctx: draw(ctx.random))
    assert str(caught.value).startswith(f"cannot draw with {shown}\n")


def test_whole_numbers_are_drawn_from_all_of_int64():
    """Both ends are within reach, and half are negative."""
    for x in drawn(lambda ctx: ctx.random.integers(MANY, -(2**63), 2**63), dtype="float32"):
        assert x.dtype == np.int64
        assert x.min() < -(2**63) + 2**50
        assert x.max() > 2**63 - 2**50
        assert abs(np.mean(x < 0) - 0.5) < 0.01


def test_a_draw_is_the_same_however_its_bounds_are_given():
    """The numbers are those of the seed; clamping moves only what was rounded to the bound."""
    (plain, *_), (scaled, *_) = (
        drawn(lambda ctx: ctx.random.uniform(1000)),
        drawn(lambda ctx: ctx.random.uniform(1000, 0.0, 8.0)),
    )
    np.testing.assert_array_equal(plain * 8, scaled)
