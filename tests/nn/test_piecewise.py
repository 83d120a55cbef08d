"""Activations made of pieces, of halves, and of random numbers."""

import numpy as np
import pytest
import scipy.special as special

import lazygrad as lg
from lazygrad.testing import check_gradient

INF, NAN = np.inf, np.nan
nn = lg.nn


def run(f, *arrays, dtype="float64", seed=0):
    """The value of ``f``."""
    return lg.VariableEnvironment(dtype=dtype, seed=seed).run(lambda ctx, *xs: f(*xs), *arrays)


# Where the pieces meet: places, values and derivatives, as in the descriptions.
KINKS = {
    "celu": ([-INF, 0, 1e-9, INF], [-1, 0, 1e-9, INF], [0, 1, 1, 1]),
    "hard_sigmoid": ([-INF, -3, 0, 3, 4], [0, 0, 0.5, 1, 1], [0, 1 / 6, 1 / 6, 1 / 6, 0]),
    "hard_swish": ([-INF, -4, -3, 0, 3, 4, INF], [0, 0, 0, 0, 3, 4, INF], [0, 0, -0.5, 0.5, 1.5, 1, 1]),
    "hard_shrink": ([-INF, -0.6, -0.5, 0, 0.5, 0.6], [-INF, -0.6, 0, 0, 0, 0.6], [1, 1, 0, 0, 0, 1]),
    "soft_shrink": ([-INF, -0.75, -0.5, 0, 0.5, 0.75], [-INF, -0.25, 0, 0, 0, 0.25], [1, 1, 0, 0, 0, 1]),
    "tanh_shrink": ([-INF, 0, 1e-7, INF], [-INF, 0, 1e-21 / 3, INF], [1, 0, 1e-14, 1]),
    "sparse_plus": ([-INF, -1, 0, 1, 2, INF], [0, 0, 0.25, 1, 2, INF], [0, 0, 0.5, 1, 1, 1]),
    "sparse_sigmoid": ([-INF, -1, 0, 1, INF], [0, 0, 0.5, 1, 1], [0, 0.5, 0.5, 0.5, 0]),
    "squareplus": ([-1e9, 0, 1e200, INF], [1e-9, 1, 1e200, INF], [1e-18, 0.5, 1, 1]),
    "rrelu": ([-48, 0, 1], [-11, 0, 1], [11 / 48, 11 / 48, 1]),
}


@pytest.mark.parametrize("name", KINKS)
def test_values_and_derivatives_where_the_pieces_meet(name):
    """And far out, where nothing becomes NaN; NaN itself stays."""
    f, (x, y, slope) = getattr(nn, name), KINKS[name]
    x = np.array([*x, NAN], float)
    got = run(lambda x: (f(x), lg.grad(f(x), x)), x)
    np.testing.assert_allclose(got[0], [*y, NAN], rtol=1e-12)
    np.testing.assert_allclose(got[1][:-1], slope, rtol=1e-9)


def test_threshold_replaces_what_is_not_above():
    """The point itself belongs to what is replaced."""
    x = np.array([0.0, 0.5, 0.6, NAN])
    y, g = run(lambda x: (nn.threshold(x, 0.5, -1.0), lg.grad(nn.threshold(x, 0.5, -1.0), x)), x)
    np.testing.assert_array_equal(y, [-1, -1, 0.6, NAN])
    np.testing.assert_array_equal(g[:3], [0, 0, 1])


def test_the_settings_of_an_activation_can_be_learned():
    """They are tensors that broadcast."""
    x, a = np.array([[-2.0, 0.3], [1.7, -0.9]]), np.array([0.4, 1.3])
    check_gradient(nn.celu, x, a)
    check_gradient(nn.soft_shrink, x, a)
    check_gradient(nn.squareplus, x, a)


def test_glu_halves_any_axis():
    """One half is the value, the other the gate; an odd size is refused."""
    x = np.random.default_rng(0).normal(size=(4, 3))
    np.testing.assert_allclose(run(lambda x: nn.glu(x, axis=0), x), x[:2] * special.expit(x[2:]), rtol=1e-15)
    with pytest.raises(lg.SpecError) as caught:
        run(nn.glu, x)
    assert "cannot glu float64[4, 3]" in str(caught.value)
    assert "Axis -1 is halved: its size, 3, must be even." in str(caught.value)


def test_the_slopes_of_rrelu_are_drawn_in_training_only():
    """Each from the interval, and others in the next run."""
    x = -np.ones(1000)
    env = lg.VariableEnvironment(seed=0, dtype="float64")
    step = lambda ctx, x: nn.rrelu(x, 0.1, 0.3, train=True)  # noqa: E731
    first, second = env.run(step, x), env.run(step, x)
    assert (first != second).any()
    assert (first <= -0.1).all()
    assert (first >= -0.3).all()
    assert -first.mean() == pytest.approx(0.2, abs=0.01)
    with pytest.raises(lg.SpecError) as caught:
        run(lambda x: nn.rrelu(x, 0.5, 0.2), x)
    assert "upper is 0.2; it must be 0.5 or more, and at most 1." in str(caught.value)


def test_gumbel_softmax_draws_classes_with_their_probabilities():
    """The hard one is of zeros and ones; its derivative is that of the soft one."""
    p = np.array([0.1, 0.2, 0.7])
    logits = np.broadcast_to(np.log(p), (20000, 3))
    hard = run(lambda z: nn.gumbel_softmax(z, hard=True), logits)
    assert {0.0, 1.0} == set(np.unique(hard))
    np.testing.assert_allclose(hard.mean(axis=0), p, atol=0.01)

    def step(z):
        soft, weights = nn.gumbel_softmax(z, 0.5), np.array([1.0, 2.0, 4.0])
        return soft, lg.grad(lg.sum(soft * weights), z)

    y, g = run(step, logits[:5])
    np.testing.assert_allclose(y.sum(axis=1), 1)
    w = np.array([1.0, 2.0, 4.0])
    np.testing.assert_allclose(g, 2 * y * (w - (y * w).sum(axis=1, keepdims=True)), rtol=1e-10)
    weighted = lambda z: lg.sum(nn.gumbel_softmax(z, 0.5, hard=True) * w)  # noqa: E731
    np.testing.assert_allclose(run(lambda z: lg.grad(weighted(z), z), logits[:5]), g, rtol=1e-10)
