"""Draws have the distributions that they say: by Kolmogorov and Smirnov, by χ², and by counts of the tails."""

from __future__ import annotations

import math
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest
from scipy import special, stats

import lazygrad as lg

FEW, MANY = 200_000, 10_000_000

# Of each draw how it is made, in a shape, and its distribution function.
CONTINUOUS: dict[str, tuple[Any, Any]] = {
    "uniform": (lambda r, n: r.uniform(n, -1.0, 3.0), stats.uniform(-1, 4).cdf),
    "normal": (lambda r, n: r.normal(n, 1.0, 2.0), stats.norm(1, 2).cdf),
    "exponential": (lambda r, n: r.exponential(n, 0.5), stats.expon(scale=0.5).cdf),
    "log_normal": (lambda r, n: r.log_normal(n, 0.5, 0.7), stats.lognorm(0.7, scale=math.exp(0.5)).cdf),
    "gamma of 0.05": (lambda r, n: r.gamma(n, 0.05), stats.gamma(0.05).cdf),
    "gamma of 0.7": (lambda r, n: r.gamma(n, 0.7, 3.0), stats.gamma(0.7, scale=3).cdf),
    "gamma of 1": (lambda r, n: r.gamma(n, 1.0), stats.gamma(1).cdf),
    "gamma of 40": (lambda r, n: r.gamma(n, 40.0), stats.gamma(40).cdf),
    "gamma of 10⁶": (lambda r, n: r.gamma(n, 1e6), stats.gamma(1e6).cdf),
    "beta of ½ and ½": (lambda r, n: r.beta(n, 0.5, 0.5), stats.beta(0.5, 0.5).cdf),
    "beta of 2 and 30": (lambda r, n: r.beta(n, 2.0, 30.0), stats.beta(2, 30).cdf),
    "dirichlet": (lambda r, n: r.dirichlet(n, [0.3, 2.0, 5.0])[:, 0], stats.beta(0.3, 7).cdf),
}
# Likewise, with the probability of each whole number from 0 on.
DISCRETE: dict[str, tuple[Any, Any]] = {
    "bernoulli": (lambda r, n: r.bernoulli(n, 0.3), [0.7, 0.3]),
    "integers": (lambda r, n: r.integers(n, 0, 37), np.full(37, 1 / 37)),
    "many integers": (lambda r, n: (r.integers(n, 0, 2**40 * 5) - 1) // 2**40, np.full(5, 0.2)),
    "poisson of 0.2": (lambda r, n: r.poisson(n, 0.2), stats.poisson(0.2).pmf(np.arange(30))),
    "poisson of 9.9": (lambda r, n: r.poisson(n, 9.9), stats.poisson(9.9).pmf(np.arange(80))),
    "poisson of 10": (lambda r, n: r.poisson(n, 10.0), stats.poisson(10).pmf(np.arange(80))),
    "poisson of 300": (lambda r, n: r.poisson(n, 300.0), stats.poisson(300).pmf(np.arange(700))),
    "categorical": (lambda r, n: r.categorical(n, [2, 0, 5, 1, 0, 2]), np.array([2, 0, 5, 1, 0, 2]) / 10),
    "categorical by logits": (lambda r, n: r.categorical(n, logits=np.log([2.0, 5.0, 3.0]) + 900), [0.2, 0.5, 0.3]),
    "choice": (lambda r, n: r.choice(n, np.arange(4) * 2, p=[1, 1, 2, 4]) // 2, [0.125, 0.125, 0.25, 0.5]),
    "permutation": (lambda r, n: r.integers(n // 5 * 5, 0, 1) + r.permutation(n // 5 * 5) % 5, np.full(5, 0.2)),
}
CALLED = ("permutation", "categorical", "choice")  # they sort, or add up probabilities
SIZES = [FEW, pytest.param(MANY, marks=pytest.mark.slow)]


def drawn(draw: Any, count: int, dtype: str = "float64") -> Any:
    """So many numbers of one run, by native code."""
    env = lg.VariableEnvironment(seed=20, dtype=dtype)
    return env.compile(lambda ctx: draw(ctx.random, count), wait=True)()


@pytest.mark.skipif(find_spec("llvmlite") is None, reason="llvmlite is not installed")
@pytest.mark.usefixtures("native")
@pytest.mark.parametrize("name", [*CONTINUOUS, *(name for name in DISCRETE if not name.startswith(CALLED))])
def test_a_draw_is_made_by_kernels(name: str) -> None:
    """Nothing is called back on NumPy but sorting and cumulative sums."""
    draw, _ = (CONTINUOUS | DISCRETE)[name]
    step = lg.VariableEnvironment(seed=20).compile(lambda ctx: draw(ctx.random, 100), wait=True)
    step()
    assert " 0 calls back to NumPy" in step.plan.explain()


@pytest.mark.parametrize("count", SIZES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", CONTINUOUS)
def test_a_draw_has_its_distribution_function(name: str, dtype: str, count: int) -> None:
    """As near as chance allows with a probability of 0.9998; float32 also by its grid of 2⁻²⁴."""
    draw, cdf = CONTINUOUS[name]
    x = np.sort(drawn(draw, count, dtype).astype(np.float64))
    # SciPy's function takes its time: of many numbers it is asked of some, between which no step is overlooked.
    every = count // FEW
    places, numbers = cdf(x[::every]), np.arange(0, count, every)
    distance = max(np.max((numbers + 1) / count - places), np.max(places - numbers / count)) + (every - 1) / count
    grid = 2.0**-24 if dtype == "float32" else 0
    assert x.size == count
    assert distance <= 2.15 / math.sqrt(count) + grid + (STEPS.get(name, 0) if dtype == "float32" else 0)


# What the distribution function takes in one step of float32, where that is much: before 0, before 1, at 10⁶.
STEPS = {"gamma of 0.05": 0.006, "beta of ½ and ½": 2e-4, "gamma of 10⁶": 3e-5}


@pytest.mark.parametrize("count", SIZES)
@pytest.mark.parametrize("name", DISCRETE)
def test_whole_numbers_are_as_likely_as_they_should_be(name: str, count: int) -> None:
    """By χ² of what is expected ten times or more, with a probability of 0.9998; none of probability 0 is drawn."""
    draw, p = DISCRETE[name]
    found = np.bincount(drawn(draw, count).astype(np.int64), minlength=len(p))
    expected = np.asarray(p) * found.sum()
    assert found.size == expected.size
    assert found[np.asarray(p) == 0].sum() == 0
    often = expected >= 10
    a, b = np.append(found[often], found[~often].sum()), np.append(expected[often], expected[~often].sum())
    a, b = a[b > 0], b[b > 0]
    assert np.sum((a - b) ** 2 / b) <= special.chdtri(max(len(a) - 1, 1), 2e-4)


@pytest.mark.parametrize("count", SIZES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("name", "tail"), [("normal", stats.norm().sf), ("exponential", stats.expon().sf)])
def test_tails_are_as_heavy_as_they_should_be(name: str, tail: Any, dtype: str, count: int) -> None:
    """Counts beyond places of ever smaller probability, within 4.5 standard deviations of a Poisson number."""
    x = drawn(lambda r, n: getattr(r, name)(n), count, dtype)
    for side in (x, -x) if name == "normal" else (x,):
        for beyond in (1.0, 2.0, 3.0, 3.5, 4.0, 4.5, 5.0):
            expected = count * tail(beyond)
            assert abs(np.count_nonzero(side > beyond) - expected) <= 4.5 * math.sqrt(expected) + 1


def test_normal_and_exponential_numbers_are_right_to_the_last_word() -> None:
    """At both ends of the words, and at random: the inverse of the distribution function, to 5·10⁻⁷ and 2·10⁻¹⁵."""
    from lazygrad.ops.variates import _exponential, _normal

    rng = np.random.default_rng(0)
    for dtype, bits, within in (("float32", 32, 5e-7), ("float64", 64, 2e-15)):
        word = np.dtype(f"u{bits // 8}")
        w = rng.integers(0, 2**bits, 20_000, dtype=word) >> rng.integers(0, bits - 1, 20_000).astype(word)
        w[:5] = 0, 1, 2 ** (bits - 1) - 1, 2 ** (bits - 1), 2**bits - 1
        z, x = (op.kernel(np, w, dtype=np.dtype(dtype)) for op in (_normal, _exponential))
        assert z.dtype == x.dtype == dtype
        below = (w & word.type(2 ** (bits - 1) - 1)).astype(np.longdouble)
        p = (below + 0.5) / np.longdouble(2) ** bits
        far = p < 0.4  # nearer, p itself is rounded
        expected = np.where(w >> word.type(bits - 1), 1, -1) * special.ndtri(p.astype(np.float64))
        np.testing.assert_allclose(z[far], expected[far], rtol=within)
        u = ((w >> word.type(1)).astype(np.longdouble) + 0.5) / np.longdouble(2) ** (bits - 1)
        np.testing.assert_allclose(x, -np.log1p(-u).astype(np.float64), rtol=within)


@pytest.mark.parametrize("alpha", [0.01, 0.3, 1.0, 4.0, 300.0])
def test_the_gradient_of_a_gamma_number_keeps_its_place(alpha: float) -> None:
    """P(α, z) stays: against differences of its inverse; of its logarithm where that is below all floats too."""
    env = lg.VariableEnvironment(seed=3, dtype="float64")

    def step(ctx: Any, a: Any) -> Any:
        z = ctx.random.gamma(20, a)
        return z, lg.jacobian(z, a)

    for call in (env.run, lambda step, a: env.compile(step, wait=True)(a)):
        z, slope = call(step, np.float64(alpha))
        h, p = 1e-5 * alpha, special.gammainc(alpha, z)
        expected = (special.gammaincinv(alpha + h, p) - special.gammaincinv(alpha - h, p)) / (2 * h)
        seen = (z > 1e-290) & (p < 1 - 1e-9)
        assert seen.sum() > 5
        np.testing.assert_allclose(slope[seen], expected[seen], rtol=1e-5)
        assert np.isfinite(slope).all()


def test_gradients_pass_to_the_parameters_of_beta_and_dirichlet() -> None:
    """Means of derivatives are derivatives of means: a/(a + b) of beta, αᵢ/Σα of Dirichlet, to 4 standard errors."""
    env, n = lg.VariableEnvironment(seed=4, dtype="float64"), 40_000

    def step(ctx: Any, a: Any, b: Any, alpha: Any) -> Any:
        x = lg.broadcast_to(a, (n,)), lg.broadcast_to(b, (n,)), lg.broadcast_to(alpha, (n, 3))
        beta = ctx.random.beta(n, x[0], x[1])
        first = ctx.random.dirichlet(n, x[2])[:, 0]
        return *lg.grad(lg.sum(beta), [x[0], x[1]]), lg.grad(lg.sum(first), x[2])

    da, db, dalpha = env.run(step, np.float64(2), np.float64(0.5), np.array([0.4, 1.0, 3.0]))
    for found, expected in (
        (da, 0.5 / 2.5**2),
        (db, -2 / 2.5**2),
        (dalpha[:, 0], 4 / 4.4**2),
        (dalpha[:, 1], -0.4 / 4.4**2),
    ):
        assert abs(found.mean() - expected) <= 4 * found.std() / math.sqrt(n)


def test_choosing_without_replacement_takes_each_once() -> None:
    """As likely among those that are left as was said: the second of two is distributed as after the first."""
    env = lg.VariableEnvironment(seed=6)
    p, n = np.array([0.5, 0.3, 0.2, 0.0]), 3000

    def step(ctx: Any) -> Any:
        def turn(carry: Any, _: Any) -> Any:
            return carry, (ctx.random.choice(2, 4, replace=False, p=p), ctx.random.choice(4, 4, replace=False))

        return lg.scan(turn, 0.0, length=n)[1]

    pairs, all_of_them = env.compile(step, wait=True)()
    np.testing.assert_array_equal(np.sort(all_of_them, axis=1), np.tile(np.arange(4), (n, 1)))
    for i in range(3):
        for j in range(3):
            expected = n * p[i] * p[j] / (1 - p[i]) if i != j else 0
            assert abs(np.count_nonzero((pairs == (i, j)).all(axis=1)) - expected) <= 4.5 * math.sqrt(expected)


def test_what_is_chosen_may_be_things() -> None:
    """Rows of an array, in any shape; whole numbers below a count."""
    env = lg.VariableEnvironment(seed=7)
    rows = np.arange(12.0).reshape(4, 3)
    some, numbers = env.run(lambda ctx: (ctx.random.choice((5, 2), rows), ctx.random.choice((), 3)))
    assert some.shape == (5, 2, 3)
    assert {tuple(row) for row in some.reshape(-1, 3)} <= {tuple(row) for row in rows}
    assert numbers.shape == ()


def test_parameters_may_be_tensors_at_the_ends_of_their_range() -> None:
    """Gamma of 0, infinity, NaN and less; rates of the same; logits of −∞."""
    env = lg.VariableEnvironment(seed=8, dtype="float64")
    a = np.array([0.0, np.inf, np.nan, -1.0, 1e-300])
    for call in (env.run, lambda step, a: env.compile(step, wait=True)(a)):
        z, k, which = call(
            lambda ctx, a: (
                ctx.random.gamma(5, a),
                ctx.random.poisson(5, a),
                ctx.random.categorical(100, logits=lg.log(lg.asarray([0.0, 1.0, 0.0]))),
            ),
            a,
        )
        np.testing.assert_array_equal(z, [0, np.inf, np.nan, np.nan, 0])
        np.testing.assert_array_equal(k[[0, 2, 3, 4]], 0)
        assert 2**61 < k[1] < 2**63 - 1
        assert which.tolist() == [1] * 100


@pytest.mark.parametrize(
    ("draw", "shown", "cure"),
    [
        (lambda r: r.beta(3, 0.0, 1.0), "a 0.0", "A shape parameter is more than 0."),
        (lambda r: r.beta(3, 1.0, -1), "b -1", "A shape parameter is more than 0."),
        (lambda r: r.poisson(3, -1.0), "rate -1.0", "A rate is a number from 0 to 2**62."),
        (lambda r: r.poisson(3, math.nan), "rate nan", "A rate is a number from 0 to 2**62."),
        (lambda r: r.dirichlet(3, 2.0), "alpha 2.0", "They stand along a last axis"),
        (lambda r: r.categorical(3), "p and logits (None, None)", "Give one of them."),
        (lambda r: r.categorical(3, [0.5, -0.5]), "p [0.5, -0.5]", "none is negative or NaN, and one is more than 0."),
        (lambda r: r.categorical(3, [0.0, 0.0]), "p [0.0, 0.0]", "none is negative or NaN, and one is more than 0."),
        (lambda r: r.categorical(3, logits=[math.nan]), "logits [nan]", "none is negative or NaN"),
        (lambda r: r.choice(3, 0), "a 0", "There is at least one thing."),
        (lambda r: r.choice(3, 5, p=[0.5, 0.5]), "p [0.5, 0.5]", "There is one for each of 5 things."),
        (lambda r: r.choice(6, 5, replace=False), "shape [6]", "Without replacement there are 5 to choose from."),
        (lambda r: r.choice(2, 2, replace=False, p=[1, 0]), "shape [2]", "Without replacement there are 1 to choose"),
    ],
    ids=lambda x: x if isinstance(x, str) else "",
)
def test_what_cannot_be_drawn_is_refused_where_it_is_written(draw: Any, shown: str, cure: str) -> None:
    """With the parameter, its value and what to do; and the next draw is as if nothing had been."""
    env, other = lg.VariableEnvironment(seed=0), lg.VariableEnvironment(seed=0)
    with pytest.raises(lg.SpecError, match=r"test_draws\.py") as caught:
        env.run(lambda ctx: draw(ctx.random))
    what, _, told = str(caught.value).split("\n\n")
    assert what == f"cannot draw with {shown}"
    assert cure in told
    step = lambda ctx: ctx.random.uniform(4)  # noqa: E731
    np.testing.assert_array_equal(env.run(step), other.run(step))
