"""The gradient checks of the Rust crate autograd 2.0.0-rc3.

=========================  ======  ===================================================
file of the crate          checks  here
=========================  ======  ===================================================
``test_binary_ops_grad``       25  ``SCALAR`` (15) and ``SCALAR_AND_VECTOR`` (10)
``test_tensor_ops_grad``       73  ``TENSOR_OPS``
=========================  ======  ===================================================

Each row has the name of the crate's test and its shapes. The crate allows an error of 1e-3 to 1e-2; here
it is 1e-6, against central differences in float64, for every operand, and with random weights as well.

Where the check is not the crate's own:

- ``acosh`` is drawn from its domain; the crate draws from [0, 0.2), where it is NaN and passes for that.
- ``concat`` is checked for both operands, ``wx_plus_b``, ``add`` and ``mul`` for all.
- ``get`` (flat indexing) is ``x.reshape(-1)[i]``; ``slice`` is NumPy's ``x[:, 0:2]``, as ends that count
  from the back do not include the last element here.
- Losses give one number an example, and labels are whole numbers.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import lazygrad as lg

# test_binary_ops_grad.rs, the checks of a scalar placeholder: the function, the order of the derivative,
# where it is taken (None: the placeholder is not needed, and must not be asked for), its value.
SCALAR: dict[str, tuple[Callable[[Any], Any], int, float | None, float]] = {
    "scalar_add": (lambda x: x + 2.0, 1, None, 1.0),
    "scalar_sub": (lambda x: x - 2.0, 1, None, 1.0),
    "scalar_mul": (lambda x: 3.0 * x, 1, None, 3.0),
    "scalar_div": (lambda x: x / 3.0, 1, None, 1.0 / 3.0),
    "scalar_div2": (lambda x: x / 3.0 / 4.0, 1, None, 1.0 / 3.0 / 4.0),
    "expr0": (lambda x: 3.0 * x, 1, None, 3.0),
    "expr1": (lambda x: 3.0 * x + 2.0, 1, None, 3.0),
    "expr2": (lambda x: 3.0 * x * x, 1, 3.0, 18.0),
    "expr3": (lambda x: 3.0 * x * x + 2.0, 1, 3.0, 18.0),
    "expr4": (lambda x: 3.0 * x * x + 2.0 * x + 1.0, 1, 3.0, 20.0),
    "differentiate_twice": (lambda x: x * x, 2, None, 2.0),
    "expr8": (lambda x: x * x * x * x, 3, 2.0, 48.0),
}
SCALAR_OWN_TESTS = ("expr5", "expr6", "expr7")  # they have two variables: below, each under its name


def derivative(y: Any, x: Any, order: int) -> Any:
    """The derivative of a scalar, ``order`` times over."""
    for _ in range(order):
        y = lg.grad(y, x)
    return y


@pytest.mark.parametrize("name", SCALAR)
def test_derivative_of_a_scalar_expression(name: str) -> None:
    """Derivatives of polynomials are exact, and need no array that they do not depend on."""
    f, order, at, expected = SCALAR[name]

    def step(ctx: Any) -> Any:
        x = ctx.placeholder("x", ())
        evaluator = ctx.evaluator().push(derivative(f(x), x, order))
        if at is not None:
            evaluator.feed(x, np.float64(at))
        return evaluator.run()[0]

    assert lg.VariableEnvironment(dtype="float64").run(step) == expected


def test_expr5_an_unrelated_placeholder_may_be_left_unfed() -> None:
    """d(3a² + 2a + b + 1)/da = 20 at a = 3, with no array for b."""

    def step(ctx: Any) -> Any:
        a, b = ctx.placeholder("a", ()), ctx.placeholder("b", ())
        slope = lg.grad(3.0 * a * a + 2.0 * a + b + 1.0, a)
        return ctx.evaluator().push(slope).feed(a, np.float64(3.0)).run()[0]

    assert lg.VariableEnvironment(dtype="float64").run(step) == 20.0


def test_expr6_a_placeholder_of_another_term_may_be_left_unfed() -> None:
    """d(3a² + 5v)/dv = 5 for a variable v, with no array for a."""
    env = lg.VariableEnvironment(dtype="float64")
    env.name("v").set(np.float64(0.0))

    def step(ctx: Any) -> Any:
        a, v = ctx.placeholder("a", ()), ctx.variable("v")
        return lg.grad(3.0 * a * a + 5.0 * v, v)

    assert env.run(step) == 5.0


def test_expr7_first_and_second_derivatives_of_two_placeholders() -> None:
    """z = 2a² + 3b: ∂z/∂b = 3, ∂z/∂a = 8 at a = 2, ∂²z/∂a² = 4."""

    def step(ctx: Any) -> Any:
        a, b = ctx.placeholder("a", ()), ctx.placeholder("b", ())
        z = 2.0 * a * a + 3.0 * b
        by_a, by_b = lg.grad(z, [a, b])
        unfed = ctx.evaluator().push(by_b).push(lg.grad(by_a, a)).run()
        return [*unfed, *ctx.evaluator().push(by_a).feed("a", np.float64(2.0)).run()]

    assert lg.VariableEnvironment(dtype="float64").run(step) == [3.0, 4.0, 8.0]


# test_binary_ops_grad.rs, the checks of a scalar variable beside a vector.
SCALAR_AND_VECTOR: dict[str, tuple[Callable[[Any, Any], Any], float, list[float]]] = {
    "scalar_tensor_add": (lambda v, x: x + v, 1.0, [1.0, 2.0, 3.0]),
    "scalar_tensor_add2": (lambda v, x: v + x, 1.0, [1.0, 2.0, 3.0]),
    "scalar_tensor_sub": (lambda v, x: x - v, 1.0, [1.0, 2.0, 3.0]),
    "scalar_tensor_sub2": (lambda v, x: v - x, 1.0, [1.0, 2.0, 3.0]),
    "scalar_tensor_mul": (lambda v, x: x * v, 1.0, [1.0, 2.0, 3.0]),
    "scalar_tensor_mul2": (lambda v, x: v * x, 1.0, [1.0, 2.0, 3.0]),
    "scalar_tensor_div": (lambda v, x: v / x, 1.0, [1.0, 2.0, 3.0]),
    "scalar_tensor_div2": (lambda v, x: x / v, 1.0, [1.0, 2.0, 3.0]),
    # The third derivative is checked, as the gradient of the second.
    "scalar_tensor_mul_g3": (lambda v, x: derivative(x * v * v * v, v, 2), 2.0, [3.0, 3.0, 3.0]),
    "scalar_tensor_div_g3": (lambda v, x: derivative(x / v / v / v, v, 2), 2.0, [3.0, 3.0, 3.0]),
}


@pytest.mark.parametrize("name", SCALAR_AND_VECTOR)
def test_gradient_of_a_scalar_beside_a_vector_is_a_scalar(name: str, check_gradients: Any) -> None:
    """The gradient has the shape of what it is taken for, and is right for both operands."""
    f, scalar, vector = SCALAR_AND_VECTOR[name]
    check_gradients(f, scalar, vector)


@pytest.mark.parametrize(
    ("f", "expected"),
    [(lambda v, x: x * v * v * v, 6.0 * 3 * 3), (lambda v, x: x / v / v / v, -60.0 * 3 * 3 / 2**6)],
    ids=["mul_g3", "div_g3"],
)
def test_third_derivative_for_a_scalar_has_its_closed_form(f: Any, expected: float) -> None:
    """(Σ x·v³)‴ = 6 Σ x and (Σ x/v³)‴ = −60 Σ x / v⁶, at v = 2 and x = [3, 3, 3]."""
    env = lg.VariableEnvironment(dtype="float64")
    env.name("v").set(np.float64(2.0))
    found = env.run(lambda ctx: derivative(f(ctx.variable("v"), np.full(3, 3.0)), ctx.variable("v"), 3))
    assert () == found.shape
    assert expected == pytest.approx(found, rel=1e-12)


Make = Callable[[np.random.Generator], Any]


def normal(*shape: int) -> Make:
    """Standard normal numbers."""
    return lambda rng: rng.normal(size=shape)


def uniform(low: float, high: float, *shape: int) -> Make:
    """Numbers from a range."""
    return lambda rng: rng.uniform(low, high, size=shape)


def exactly(values: Any) -> Make:
    """The numbers that the crate's test writes out."""
    return lambda rng: np.array(values)


def fixed(*shape: int) -> np.ndarray[Any, Any]:
    """Numbers that are held constant in a check."""
    return np.random.default_rng(7).normal(size=shape)


WORDS = np.array([[2, 3, 1], [0, 2, 0]])
FIRST_STATE = fixed(2, 3)


def last_loss_of_a_sentence(table: Any, w_out: Any, w_state: Any) -> Any:
    """A recurrent network reads two sentences word by word, guessing each; the loss of the last guess."""
    state: Any = FIRST_STATE
    for place in range(3):
        word = WORDS[:, place]
        loss = lg.nn.cross_entropy(lg.matmul(state, w_out), word)
        state = lg.tanh(lg.take(table, word, axis=0) + lg.matmul(state, w_state))
    return loss


# test_tensor_ops_grad.rs: the function, and how its arrays are made.
TENSOR_OPS: dict[str, tuple[Callable[..., Any], list[Make]]] = {
    "get": (lambda v: (2.0 * v).reshape(-1)[1], [exactly([1.0, 2.0, 3.0])]),
    "add_n": (lambda a, b, c: lg.add_n([a, b, c]), [exactly([1.0, 2.0, 3.0])] * 3),
    "clip": (lambda v: lg.clip(v, 1.5, 2.5), [exactly([1.0, 2.0, 3.0])]),
    "asinh": (lg.asinh, [uniform(0.0, 0.2, 3)]),
    "acosh": (lg.acosh, [uniform(1.1, 2.0, 3)]),
    "atanh": (lg.atanh, [uniform(0.0, 0.2, 3)]),
    "sinh": (lg.sinh, [uniform(0.0, 0.2, 3)]),
    "cosh": (lg.cosh, [uniform(0.0, 0.2, 3)]),
    "tanh": (lg.tanh, [uniform(0.0, 0.2, 3)]),
    "asin": (lg.asin, [uniform(0.0, 0.2, 3)]),
    "acos": (lg.acos, [uniform(0.0, 0.2, 3)]),
    "atan": (lg.atan, [uniform(0.0, 0.2, 3)]),
    "sin": (lg.sin, [uniform(0.0, 0.2, 3)]),
    "cos": (lg.cos, [uniform(0.0, 0.2, 3)]),
    "tan": (lg.tan, [uniform(0.0, 0.2, 3)]),
    "pow": (lambda v: lg.pow(v, 1.1), [uniform(0.9, 1.1, 3)]),
    "sqrt": (lg.sqrt, [uniform(0.9, 1.1, 3)]),
    "exp": (lg.exp, [uniform(0.9, 1.1, 3)]),
    "ln": (lg.log, [uniform(1.0, 1.1, 3)]),
    "expand_dims": (lambda v: lg.expand_dims(v, (0, 2)), [normal(3)]),
    "squeeze": (lambda v: lg.squeeze(v, (3, 1)), [normal(3, 1, 2, 1)]),
    "matmul": (lambda v: lg.matmul(fixed(4, 2), v), [normal(2, 3)]),
    "batch_matmul": (lambda v: lg.matmul(fixed(2, 4, 2), v), [normal(2, 2, 3)]),
    "implicit_broadcast": (lambda b: fixed(4, 3) + b, [normal(1, 3)]),
    "wx_plus_b": (lambda w, b: lg.matmul(fixed(4, 2), w) + b, [normal(2, 3), normal(1, 3)]),
    "reduce_min": (lambda v: lg.min(v, axis=1), [exactly([[0.0, 1.0], [3.0, 2.0]])]),
    "reduce_min_keep": (lambda v: lg.min(v, axis=1, keepdims=True), [exactly([[0.0, 1.0], [3.0, 2.0]])]),
    "reduce_max": (lambda v: lg.max(v, axis=1), [exactly([[0.0, 1.0], [3.0, 2.0]])]),
    "reduce_max_keep": (lambda v: lg.max(v, axis=1, keepdims=True), [exactly([[0.0, 1.0], [3.0, 2.0]])]),
    "reduce_mean": (lambda v: lg.mean(v, axis=1), [normal(3, 2, 2)]),
    "reduce_mean_keep": (lambda v: lg.mean(v, axis=1, keepdims=True), [normal(3, 2, 2)]),
    "reduce_sum": (lambda v: lg.sum(v, axis=1), [normal(3, 2, 2)]),
    "reduce_sum_keep": (lambda v: lg.sum(v, axis=1, keepdims=True), [normal(3, 2, 2)]),
    "reduce_prod": (lambda v: lg.prod(v, axis=1), [normal(3, 2, 2)]),
    "maximum": (lg.maximum, [exactly([1.0, 2.0, 3.0]), exactly([4.0, 5.0, 6.0])]),
    "minimum": (lg.minimum, [exactly([1.0, 2.0, 3.0]), exactly([4.0, 5.0, 6.0])]),
    "abs": (lg.abs, [exactly([1.0, 2.0, 3.0])]),
    "neg": (lg.negative, [normal(2, 3)]),
    "square": (lg.square, [normal(2, 3)]),
    "reciprocal": (lg.reciprocal, [uniform(1.0, 1.01, 2, 3)]),
    "lgamma": (lg.gammaln, [uniform(1.0, 1.01, 2, 3)]),
    "dropout": (lambda v: lg.nn.dropout(v, 0.001), [uniform(1.0, 1.01, 2, 3)]),
    "transpose": (lambda v: lg.transpose(v, (2, 3, 0, 1)), [normal(1, 2, 3, 4)]),
    "reshape_after_transpose": (lambda v: lg.transpose(v, (2, 1, 0)).reshape(4, 6), [normal(2, 3, 4)]),
    "transpose_then_reshape_then_mm": (
        lambda v, w: lg.transpose(v, (4, 2, 3, 0, 1)).reshape(15, 8) @ w,
        [normal(1, 2, 3, 4, 5), normal(8, 2)],
    ),
    "add": (lambda a, b: a + b, [normal(2, 2), normal(2, 2)]),
    "mul": (lambda a, b: a * b, [normal(2, 2), normal(2, 2)]),
    "sigmoid": (lambda v: lg.nn.sigmoid(v), [normal(2, 2)]),
    "elu": (lambda v: lg.nn.elu(v, 1.0), [normal(2, 2)]),
    "relu": (lambda v: lg.nn.relu(v), [exactly([0.2, 0.5])]),
    "softplus": (lambda v: lg.nn.softplus(v), [normal(2, 2)]),
    "logsumexp": (lambda v: lg.logsumexp(v, axis=1, keepdims=True), [normal(2, 3)]),
    "log_softmax": (lambda v: lg.nn.log_softmax(v, axis=1), [normal(1, 3)]),
    "softmax_cross_entropy": (
        lambda v: lg.nn.cross_entropy(v, np.array([[1.0, 0.0, 0.0]])),
        [normal(1, 3)],
    ),
    "sigmoid_cross_entropy": (
        lambda v: lg.nn.binary_cross_entropy_with_logits(v, fixed(1, 3)),
        [normal(1, 3)],
    ),
    "sparse_softmax_cross_entropy": (lambda v: lg.nn.cross_entropy(v, np.array([1, 0])), [normal(2, 3)]),
    "gather": (lambda v: lg.take(v, np.array([[5, 4, 3], [2, 1, 0]]), axis=2), [normal(5, 4, 8, 2)]),
    "concat": (lambda a, b: lg.concat([a, b], axis=1), [normal(1, 2), normal(1, 2)]),
    "slice": (lambda v: v[:, 0:2], [normal(4, 4)]),
    "split": (lambda v: lg.split(v, [2, 5], axis=1)[1], [normal(3, 7, 5)]),
    "flatten": (lg.flatten, [normal(4, 4)]),
    "reshape": (lambda v: lg.reshape(v, (4, 2, 2)), [normal(4, 4)]),
    "reshape_grad": (lambda v: lg.grad(lg.reshape(v, (4, 2, 2)), v), [normal(4, 4)]),
    "conv2d_transpose": (lambda x, w: lg.nn.conv2d_transpose(x, w), [normal(3, 2, 2, 2), normal(2, 3, 2, 2)]),
    "conv2d_transpose_filter_grad": (
        lambda x, w: lg.grad(lg.nn.conv2d_transpose(x, w), w),
        [normal(2, 2, 2, 2), normal(2, 3, 2, 2)],
    ),
    "conv2d_filter_grad": (
        lambda w: lg.grad(lg.nn.conv2d(fixed(2, 3, 5, 5), w), w),
        [normal(2, 3, 2, 2)],
    ),
    "conv2d_grad": (
        lambda gy: lg.grad(lg.nn.conv2d(x := lg.asarray(fixed(2, 3, 5, 5)), fixed(2, 3, 2, 2)), x, gy),
        [exactly(np.ones((2, 2, 4, 4)))],
    ),
    "conv2d_xw_grad": (
        lambda x: lg.grad(lg.nn.conv2d(x, w := lg.asarray(fixed(2, 3, 2, 2))), w),
        [normal(2, 3, 5, 5)],
    ),
    "conv2d": (
        lambda x, w: lg.nn.conv2d(x, w, padding=1, stride=2),
        [normal(2, 3, 5, 5), normal(2, 3, 3, 3)],
    ),
    "max_pool2d": (
        lambda x: lg.nn.max_pool2d(x.reshape(1, 1, 3, 3), 2, stride=1),
        [exactly(np.linspace(0.0, 1.0, 9))],
    ),
    "max_pool2d_grad": (
        lambda gy: lg.grad(
            lg.nn.max_pool2d(x := lg.asarray(np.linspace(0.0, 1.0, 36).reshape(2, 2, 3, 3)), 2, stride=1), x, gy
        ),
        [exactly(np.linspace(0.0, 1.0, 16).reshape(2, 2, 2, 2))],
    ),
    "tensordot": (lambda a: lg.tensordot(a, fixed(4, 3, 2), axes=([1, 0], [0, 1])), [normal(3, 4, 5)]),
    "primitive_back_propagation_through_time": (
        last_loss_of_a_sentence,
        [normal(5, 3), normal(3, 5), normal(3, 3)],
    ),
}


@pytest.mark.parametrize("name", TENSOR_OPS)
def test_gradient_equals_central_differences(name: str, check_gradients: Any) -> None:
    """The gradients of every operand are those of central differences, to 1e-6."""
    f, makes = TENSOR_OPS[name]
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    check_gradients(f, *[make(rng) for make in makes])


def test_every_gradient_check_of_the_crate_is_here() -> None:
    """The crate has 25 checks in test_binary_ops_grad.rs and 73 in test_tensor_ops_grad.rs."""
    assert 25 == len(SCALAR) + len(SCALAR_OWN_TESTS) + len(SCALAR_AND_VECTOR)
    assert all(any(name.startswith(f"test_{own}_") for name in globals()) for own in SCALAR_OWN_TESTS)
    assert 73 == len(TENSOR_OPS)
