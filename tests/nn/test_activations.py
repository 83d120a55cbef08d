"""Activation functions."""

import numpy as np
import pytest
import scipy.special as special
from scipy.stats import norm

import lazygrad as lg
from lazygrad.testing import check_gradient, check_value


def normal(shape, seed=0):
    """Normal numbers, the same in every run; of another shape they are others."""
    shape = shape if isinstance(shape, tuple) else (shape,)
    return np.random.default_rng([seed, *shape]).normal(size=shape)


def reference_mish(x):
    """x·tanh(log(1 + eˣ))."""
    return x * np.tanh(np.logaddexp(0, x))


def reference_gelu_tanh(x):
    """The paper's approximation."""
    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


def reference_selu(x):
    """Equation 2 of the paper, with its λ and α."""
    return 1.0507009873554805 * np.where(x > 0, x, 1.6732632423543772 * np.expm1(x))


ACTIVATIONS = {
    "relu": (lg.nn.relu, lambda x: np.where(x > 0, x, 0)),
    "leaky_relu": (lg.nn.leaky_relu, lambda x: np.where(x > 0, x, 0.01 * x)),
    "leaky_relu with a slope": (lambda x: lg.nn.leaky_relu(x, 0.3), lambda x: np.where(x > 0, x, 0.3 * x)),
    "elu": (lg.nn.elu, lambda x: np.where(x > 0, x, np.expm1(x))),
    "elu with alpha": (lambda x: lg.nn.elu(x, 0.5), lambda x: np.where(x > 0, x, 0.5 * np.expm1(x))),
    "selu": (lg.nn.selu, reference_selu),
    "gelu": (lg.nn.gelu, lambda x: x * norm.cdf(x)),
    "gelu by tanh": (lambda x: lg.nn.gelu(x, approximate="tanh"), reference_gelu_tanh),
    "silu": (lg.nn.silu, lambda x: x * special.expit(x)),
    "sigmoid": (lg.nn.sigmoid, special.expit),
    "softplus": (lg.nn.softplus, lambda x: np.logaddexp(0, x)),
    "tanh": (lg.nn.tanh, np.tanh),
    "mish": (lg.nn.mish, reference_mish),
    "hard_tanh": (lg.nn.hard_tanh, lambda x: np.clip(x, -1, 1)),
    "relu6": (lg.nn.relu6, lambda x: np.clip(x, 0, 6)),
    "softsign": (lg.nn.softsign, lambda x: x / (1 + np.abs(x))),
    "log_sigmoid": (lg.nn.log_sigmoid, special.log_expit),
}
POINTS = np.array([-7.3, -2.5, -0.8, -0.1, 0.2, 0.9, 2.1, 6.7])


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_an_activation_equals_its_formula(name):
    """In float64, below and above 0."""
    f, reference = ACTIVATIONS[name]
    check_value(f, reference, POINTS.reshape(2, 4), ulps=4)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_an_activation_has_all_derivatives(name):
    """First and second, reverse and forward."""
    f, _ = ACTIVATIONS[name]
    check_gradient(f, POINTS)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_float32_stays_float32(gradient, name):
    """In the value and the gradient; the value is that of float64, rounded."""
    f, reference = ACTIVATIONS[name]
    x = POINTS.astype("float32")
    check_value(f, lambda x: reference(x.astype("float64")).astype("float32"), x, ulps=4)
    (g,) = gradient(f, x)
    assert np.float32 == g.dtype


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_large_arguments_neither_overflow_nor_give_nan(gradient, value, name, dtype):
    """At ±1000 every activation is where its formula tends to, and its slope is 0 or that of a line."""
    f, _ = ACTIVATIONS[name]
    x = np.array([-1000.0, 1000.0], dtype)
    y = value(f, x)
    (g,) = gradient(f, x)
    assert np.isfinite(y).all()
    assert np.isfinite(g).all()
    (second,) = gradient(lambda x: lg.grad(f(x), x), x)
    np.testing.assert_allclose(second, [0, 0], atol=1e-6)


def test_softplus_of_a_thousand_is_a_thousand(value, gradient):
    """Defect 7 of the Rust crate: ln(1 + eˣ) overflows above 88 in float32."""
    x = np.array([1000.0, 89, -1000], "float32")
    np.testing.assert_array_equal(np.array([1000, 89, 0], "float32"), value(lg.nn.softplus, x))
    (g,) = gradient(lg.nn.softplus, x)
    np.testing.assert_array_equal(np.array([1, 1, 0], "float32"), g)


def test_gelu_keeps_its_digits_far_in_the_left_tail(value):
    """1 + erf(x/√2) would be 0 there; references by arbitrary precision."""
    x = np.array([-10.0, -20.0])
    np.testing.assert_allclose(value(lg.nn.gelu, x), [-7.6198530241605260e-23, -5.5072482372124673e-88], rtol=1e-13)


def test_the_slope_of_relu_at_zero_is_zero(gradient):
    """One choice of many; the half-sum of both sides would move dead units."""
    (g,) = gradient(lg.nn.relu, np.array([0.0, -0.0]))
    np.testing.assert_array_equal([0, 0], g)


def test_relu_hides_what_it_stops(gradient):
    """An infinite cotangent of an element that is cut off becomes 0, not NaN."""
    (g,) = gradient(lambda x: np.inf * lg.nn.relu(x), np.array([-1.0]))
    np.testing.assert_array_equal([0], g)


def test_relu_is_one_node():
    """It needs no comparison with a constant of its own."""
    graph = lg.VariableEnvironment().trace(lambda ctx, x: lg.nn.relu(x), np.ones(3, "float32"))
    names = [node.op.name for node in graph.nodes]
    assert names == ["placeholder", "relu"]


def test_a_slope_can_be_learned():
    """A tensor in place of the number (PReLU, He et al. 2015)."""
    check_gradient(lambda x, slope: lg.nn.leaky_relu(x, slope), POINTS.reshape(4, 2), np.array([0.1, 0.3]))
    check_gradient(lambda x, alpha: lg.nn.elu(x, alpha), POINTS.reshape(4, 2), np.array([0.1, 0.3]))


def test_whole_numbers_become_float64(value):
    """As in NumPy's functions that are not whole."""
    y = value(lg.nn.sigmoid, np.array([0, 1]))
    assert np.float64 == y.dtype
    np.testing.assert_array_equal([0.0, 2.0], value(lg.nn.relu, np.array([-1, 2])))


def test_an_unknown_approximation_is_refused(refusal):
    """There is one."""
    assert refusal(lambda x: lg.nn.gelu(x, approximate="sigmoid"), np.ones(2)) == (
        "cannot gelu with approximate='sigmoid'\n\n"
        "    PLACE\n\n"
        "    approximate is 'tanh', or None for the exact function."
    )


# Softmax.


@pytest.mark.parametrize("axis", [0, 1, 2, -1, -3])
@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_softmax_equals_scipys_along_any_axis(name, axis):
    """Defect 4 of the Rust crate: its gradient knew axis 1 only."""
    f, reference = getattr(lg.nn, name), getattr(special, name)
    x = 3 * normal((2, 3, 4))
    check_value(lambda x: f(x, axis=axis), lambda x: reference(x, axis=axis), x, ulps=8)
    check_gradient(lambda x: f(x, axis=axis), x)


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_softmax_of_large_numbers_does_not_overflow(value, gradient, name):
    """Only differences count."""
    f, reference = getattr(lg.nn, name), getattr(special, name)
    x = np.array([[1e4, 1e4 - 1, -1e4], [0.0, -np.inf, 1.0]])
    np.testing.assert_allclose(value(f, x), reference(x, axis=-1), rtol=1e-14)
    if name == "softmax":
        (g,) = gradient(lambda x: lg.square(f(x)), x)
        p = special.softmax(x, axis=-1)
        np.testing.assert_allclose(g, p * (2 * p - 2 * np.sum(p * p, axis=-1, keepdims=True)), rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_softmax_of_float32_is_float32(value, gradient, name):
    """In the value and the gradient."""
    f = getattr(lg.nn, name)
    x = normal((2, 3)).astype("float32")
    assert np.float32 == value(f, x).dtype
    assert np.float32 == gradient(lambda x: lg.square(f(x)), x)[0].dtype


def test_an_axis_that_does_not_exist_is_refused(refusal):
    """Also that of a single number."""
    assert refusal(lambda x: lg.nn.softmax(x, axis=2), np.ones((2, 3), "float32")) == (
        "cannot softmax float32[2, 3]\n\n"
        "    PLACE\n\n"
        "    x:  float32[2, 3]   placeholder 'argument0'\n"
        "    Axis 2 does not exist: there are 2 axes."
    )
    message = refusal(lambda x: lg.nn.log_softmax(x), np.ones((), "float32"))
    assert message.endswith("    Axis -1 does not exist: there are 0 axes.")
