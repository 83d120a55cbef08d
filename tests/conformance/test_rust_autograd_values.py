"""The value checks of the Rust crate autograd 2.0.0-rc3.

=====================================  ======  ==========================
file of the crate                      checks  here
=====================================  ======  ==========================
``tests/test_array_gen.rs``                 6  ``ARRAY_GEN``
``tests/test_binary_ops_eval.rs``           6  ``BINARY_OPS_EVAL``
``tests/test_tensor_ops_eval.rs``          14  ``TENSOR_OPS_EVAL``
``src/evaluation.rs`` (unit)                6  ``EVALUATION``
``src/ops/conv_ops`` (unit)                 3  ``CONV_OPS``
=====================================  ======  ==========================

Each test stands in its table under the name of the crate's; the last test counts them.

Where the check is not the crate's own:

- The crate draws outside the graph (``ArrayRng``); here a draw is a node, and what differs is two draws of
  one run, and two runs.
- Ends of slices that count from the back are NumPy's: the crate's ``-1``, ``-2``, ``-3`` include the
  element they name, and are ``:``, ``:-1``, ``:-2`` here.
- im2col is not an op here. Its check is made through a convolution with a filter for each element.
- max_pool2d does not return where its maxima were: the gradient shows it.

``setdiff1d`` is not offered, as the size of its result would depend on the numbers; ``lg.isin`` says for
each element whether it is in the other set.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import lazygrad as lg


def run(f: Callable[[Any], Any], dtype: str = "float64") -> Any:
    """The values of what ``f(ctx)`` returns, in a fresh environment of seed 0."""
    return lg.VariableEnvironment(seed=0, dtype=dtype).run(f)


# tests/test_array_gen.rs: how the numbers are drawn, and the ends between which they lie.
GLOROT = float(np.sqrt(6 / (3 + 2)))  # Glorot and Bengio 2010, eq. 16: both sizes; the crate counts only the first
ARRAY_GEN: dict[str, tuple[Callable[[Any], Any], tuple[int, ...], float, float]] = {
    "random_uniform": (lambda ctx: ctx.random.uniform((3,), 0.0, 1.0), (3,), 0.0, 1.0),
    "random_normal": (lambda ctx: ctx.random.normal((3,), 0.0, 1.0), (3,), -np.inf, np.inf),
    "standard_normal": (lambda ctx: ctx.random.normal((3,)), (3,), -np.inf, np.inf),
    "standard_uniform": (lambda ctx: ctx.random.uniform((3,)), (3,), 0.0, 1.0),
    "glorot_normal": (lambda ctx: ctx.random.normal((3, 2), 0.0, np.sqrt(2 / (3 + 2))), (3, 2), -np.inf, np.inf),
    "glorot_uniform": (lambda ctx: ctx.random.uniform((3, 2), -GLOROT, GLOROT), (3, 2), -GLOROT, GLOROT),
}


@pytest.mark.parametrize("name", ARRAY_GEN)
def test_draws_differ_from_each_other_and_from_run_to_run(name: str) -> None:
    """Two draws of one run and two runs of one draw have no number in common, and all lie in range."""
    draw, shape, low, high = ARRAY_GEN[name]
    env = lg.VariableEnvironment(seed=0)
    seen = [array for _ in range(2) for array in env.run(lambda ctx: [draw(ctx), draw(ctx)])]
    assert [shape] * 4 == [array.shape for array in seen]
    assert 4 * np.prod(shape) == len(np.unique(seen))
    assert all(np.all((low <= array) & (array < high)) for array in seen)


# The shapes and ranks of what makes arrays.
@pytest.mark.parametrize("shape", [(), (3,), (2, 0), (4, 3, 2)], ids=str)
@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda ctx, shape: lg.zeros(shape), 0.0),
        (lambda ctx, shape: lg.ones(shape), 1.0),
        (lambda ctx, shape: lg.full(shape, 2.5), 2.5),
        (lambda ctx, shape: ctx.constant(np.full(shape, 4.0)), 4.0),
        (lambda ctx, shape: ctx.random.uniform(shape), None),
        (lambda ctx, shape: ctx.random.normal(shape), None),
        (lambda ctx, shape: ctx.random.bernoulli(shape, 0.5), None),
        (lambda ctx, shape: ctx.random.exponential(shape, 2.0), None),
        (lambda ctx, shape: ctx.random.gamma(shape, 2.0, 0.5), None),
        (lambda ctx, shape: ctx.random.log_normal(shape, 0.0, 1.0), None),
    ],
    ids=[
        "zeros",
        "ones",
        "full",
        "constant",
        "uniform",
        "normal",
        "bernoulli",
        "exponential",
        "gamma",
        "log_normal",
    ],
)
def test_made_arrays_have_the_shape_and_rank_asked_for(make: Any, expected: Any, shape: tuple[int, ...]) -> None:
    """The tensor's shape, rank and size are known before it has a value, and are the array's."""
    known: list[Any] = []

    def step(ctx: Any) -> Any:
        x = make(ctx, shape)
        known.append((x.shape, x.ndim, x.size))
        return x

    array = run(step)
    assert [(shape, len(shape), int(np.prod(shape)))] == known
    assert shape == array.shape
    assert expected is None or np.all(array == expected)


# tests/test_binary_ops_eval.rs
BINARY_OPS_EVAL: dict[str, tuple[Callable[[Any], Any], Any]] = {
    "scalar_add": (lambda ctx: 3.0 + lg.ones(3) + 2.0, [6.0, 6.0, 6.0]),
    "scalar_sub": (lambda ctx: 3.0 - lg.ones(3) - 2.0, [0.0, 0.0, 0.0]),
    "scalar_mul": (lambda ctx: 3.0 * lg.ones(3) * 2.0, [6.0, 6.0, 6.0]),
    "scalar_div": (lambda ctx: 3.0 / lg.ones(3) / 2.0, [1.5, 1.5, 1.5]),
    "slice": (lambda ctx: lg.zeros((4, 4))[:, 0:2], np.zeros((4, 2))),
    "slice_negative": (
        lambda ctx: lg.concat([lg.zeros((4, 4))[:-1, :2], lg.zeros((4, 4))[:-2, :2]]),
        np.zeros((3 + 2, 2)),
    ),
}

TWO = np.array([[[1.0, 2.0], [3.0, 4.0]]] * 2)
SQUARE = np.array([[0.0, 1.0], [2.0, 3.0]])

# tests/test_tensor_ops_eval.rs
TENSOR_OPS_EVAL: dict[str, tuple[Callable[[Any], Any], Any]] = {
    "reduce_prod": (lambda ctx: lg.prod(ctx.constant([[1.0, 2.0], [3.0, 4.0], [0.5, 5.0]]), axis=(0, 1)), 60.0),
    "argmax": (lambda ctx: lg.argmax(ctx.constant([[3.0, 4.0], [5.0, 6.0]]), axis=-1), [1, 1]),
    "argmax2": (lambda ctx: lg.argmax(ctx.constant([84.0, 16.0, 0.04, 85.0, 16.0, 85.0]), axis=0), 3),
    "argmax_with_multi_max_args": (lambda ctx: lg.argmax(ctx.constant([1.0, 2.0, 3.0, 3.0]), axis=0), 2),
    "reduce_mean": (lambda ctx: lg.mean(ctx.constant([2.0, 3.0, 4.0]), axis=0), 3.0),
    "reduce_grad": (
        lambda ctx: lg.grad(lg.mean(x := ctx.constant([2.0, 3.0, 4.0]), axis=0), x),
        [1 / 3, 1 / 3, 1 / 3],
    ),
    "transpose_matmul_square": (
        lambda ctx: ctx.constant(SQUARE) @ lg.transpose(ctx.constant(SQUARE), (1, 0)),
        [[1.0, 3.0], [3.0, 13.0]],
    ),
    "transpose_matmul": (
        lambda ctx: lg.transpose(ctx.constant([[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]), (1, 0)) @ SQUARE,
        [[6.0, 9.0], [8.0, 13.0], [10.0, 17.0]],
    ),
    "test_mm": (lambda ctx: lg.ones((2, 5)) @ lg.ones((5, 1)), [[5.0], [5.0]]),
    "test_batch_matmul_normal": (
        lambda ctx: lg.ones((2, 3, 4, 2)) @ lg.ones((2, 3, 2, 3)),
        np.full((2, 3, 4, 3), 2.0),
    ),
    "test_batch_matmul_trans_not_square": (
        lambda ctx: ctx.constant(TWO) @ ctx.constant(TWO),
        [[[7.0, 10.0], [15.0, 22.0]]] * 2,
    ),
    "test_batch_matmul_trans_square_both": (
        lambda ctx: lg.transpose(ctx.constant(TWO), (0, 2, 1)) @ lg.transpose(ctx.constant(TWO), (0, 2, 1)),
        [[[7.0, 15.0], [10.0, 22.0]]] * 2,
    ),
    "test_batch_matmul_trans_square_lhs": (
        lambda ctx: lg.transpose(ctx.constant(TWO), (0, 2, 1)) @ ctx.constant(TWO),
        [[[10.0, 14.0], [14.0, 20.0]]] * 2,
    ),
    # The crate's fast path copied here; the numbers are those of the test before.
    "test_batch_matmul_with_copy": (
        lambda ctx: lg.matrix_transpose(ctx.constant(TWO)) @ ctx.constant(TWO),
        [[[10.0, 14.0], [14.0, 20.0]]] * 2,
    ),
}


@pytest.mark.parametrize("name", [*BINARY_OPS_EVAL, *(f"tensor_{name}" for name in TENSOR_OPS_EVAL)])
def test_value_is_the_one_that_the_crate_states(name: str) -> None:
    """Shape and numbers are equal, under run and, called three times, compiled."""
    of_tensor_ops = name.startswith("tensor_")
    f, expected = TENSOR_OPS_EVAL[name.removeprefix("tensor_")] if of_tensor_ops else BINARY_OPS_EVAL[name]
    expected = np.asarray(expected)
    env = lg.VariableEnvironment(dtype="float64")
    compiled = env.compile(f)
    for actual in (env.run(f), env.run(f), compiled(), compiled(), compiled()):
        assert expected.shape == np.shape(actual)
        np.testing.assert_allclose(actual, expected, rtol=1e-15)


# src/evaluation.rs
EVALUATION = (
    "test_eval",
    "test_eval2",
    "test_eval3",
    "test_variable_eval",
    "test_constant_eval",
    "test_placeholder_eval",
)


def test_eval_of_a_gradient_has_the_shape_of_its_placeholder() -> None:
    """The gradient of Σ squeeze(v) for a placeholder (3, 2, 1) is ones of its shape."""

    def step(ctx: Any) -> Any:
        v = ctx.placeholder("v", (3, 2, 1))
        z = lg.sum(lg.squeeze(v, 2), axis=(0, 1))
        return ctx.evaluator().extend(lg.grad(z, [v])).feed(v, np.ones((3, 2, 1))).run()

    (actual,) = run(step)
    np.testing.assert_array_equal(actual, np.ones((3, 2, 1)))


def test_eval2_of_a_tensor_by_itself() -> None:
    """``.eval()`` gives a tensor's value inside the step: sigmoid(1) = 0.7310585786…"""
    seen = []
    run(lambda ctx: seen.append(lg.nn.sigmoid(lg.ones((1, 1))).eval()) or lg.zeros(()))
    assert 0.7310585786300049 == pytest.approx(seen[0].item(), rel=1e-15)


def test_eval3_feeds_by_tensor_and_by_name() -> None:
    """One placeholder is fed by its tensor, the other by its name."""

    def step(ctx: Any) -> Any:
        a, b = ctx.placeholder("a", (3, 2, 1)), ctx.placeholder("b", (3, 2, 1))
        ones = np.ones((3, 2, 1))
        return ctx.evaluator().push(a + 2 * b).feed(a, ones).feed("b", ones).run()[0]

    np.testing.assert_array_equal(run(step), np.full((3, 2, 1), 3.0))


def test_variable_eval_gives_its_array() -> None:
    """A variable's value is what it was set to."""
    env = lg.VariableEnvironment(dtype="float64")
    env.name("v").set(np.array([0.0, -1.0, 2.0]))
    np.testing.assert_array_equal(env.run(lambda ctx: ctx.variable("v")), [0.0, -1.0, 2.0])


def test_constant_eval_gives_its_array() -> None:
    """A constant's value is the array it was made of, also when that has changed since."""
    array = np.array([0.0, -1.0, 2.0])

    def step(ctx: Any) -> Any:
        constant = ctx.constant(array)
        array[:] = 9.0
        return constant

    np.testing.assert_array_equal(run(step), [0.0, -1.0, 2.0])


def test_placeholder_eval_gives_what_was_fed() -> None:
    """A placeholder's value is its array, as a step's argument and by ``feeds``."""
    array = np.arange(6.0).reshape(3, 2, 1)
    env = lg.VariableEnvironment(dtype="float64")
    np.testing.assert_array_equal(env.run(lambda ctx, v: v, array), array)
    by_feeds = env.run(lambda ctx: ctx.placeholder("v", (-1, 2, 1)), feeds={"v": array})
    np.testing.assert_array_equal(by_feeds, array)


# src/ops/conv_ops
CONV_OPS = ("test_im2col", "test_deconv", "test_max_pool")


def test_im2col_a_filter_for_each_element_finds_the_crates_columns() -> None:
    """Image (2, 2, 3, 3) of 0…17, filter 2 × 2: the columns are the ones that the crate's test writes out."""
    image = np.tile(np.arange(18.0).reshape(1, 2, 3, 3), (2, 1, 1, 1))
    filters = np.eye(8).reshape(8, 2, 2, 2)  # one for each channel, row and column of the window
    columns = run(lambda ctx: lg.nn.conv2d(ctx.constant(image), filters))
    expected = [
        [0, 1, 3, 4, 1, 2, 4, 5, 3, 4, 6, 7, 4, 5, 7, 8],
        [9, 10, 12, 13, 10, 11, 13, 14, 12, 13, 15, 16, 13, 14, 16, 17],
    ]
    np.testing.assert_array_equal(columns.reshape(2, 2, 16), [expected, expected])


def test_deconv_is_the_transpose_of_conv() -> None:
    """⟨conv2d(x, w), y⟩ = ⟨x, conv2d_transpose(y, w)⟩; and ones give the overlap counts 1, 2, 4 times the channels."""
    rng = np.random.default_rng(0)
    x, y, w = rng.normal(size=(2, 3, 3, 3)), rng.normal(size=(2, 2, 2, 2)), rng.normal(size=(2, 3, 2, 2))
    forth, back = run(lambda ctx: [lg.nn.conv2d(ctx.constant(x), w), lg.nn.conv2d_transpose(ctx.constant(y), w)])
    assert (forth * y).sum() == pytest.approx((x * back).sum(), rel=1e-13)
    counts = run(lambda ctx: lg.nn.conv2d_transpose(lg.ones((2, 2, 2, 2)), np.ones((2, 3, 2, 2))))
    expected = 2.0 * np.array([[1, 2, 1], [2, 4, 2], [1, 2, 1]])
    np.testing.assert_array_equal(counts, np.broadcast_to(expected, (2, 3, 3, 3)))


def test_max_pool_finds_the_maxima_and_where_they_are() -> None:
    """The windows 2 × 2, stride 1, of 0 1 2 / 5 4 3 / 6 7 8 have maxima 5 4 7 8, at places 3 4 7 8."""
    image = np.array([0.0, 1.0, 2.0, 5.0, 4.0, 3.0, 6.0, 7.0, 8.0]).reshape(1, 1, 3, 3)

    def step(ctx: Any) -> Any:
        x = ctx.constant(image)
        y = lg.nn.max_pool2d(x, 2, stride=1)
        return y, lg.grad(y, x)

    maxima, places = run(step)
    np.testing.assert_array_equal(maxima.ravel(), [5.0, 4.0, 7.0, 8.0])
    np.testing.assert_array_equal(np.flatnonzero(places), [3, 4, 7, 8])


def test_every_value_check_of_the_crate_is_here() -> None:
    """The numbers of checks are those of the table above, and each of the unit tests stands under its name."""
    tables = (ARRAY_GEN, BINARY_OPS_EVAL, TENSOR_OPS_EVAL, EVALUATION, CONV_OPS)
    assert [6, 6, 14, 6, 3] == [len(table) for table in tables]
    assert all(any(name.startswith(f"{own}_") for name in globals()) for own in EVALUATION + CONV_OPS)
