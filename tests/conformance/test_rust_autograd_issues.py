"""What users of the Rust crate autograd reported, and that it is right here.

======  ====================================================  ====================================================
rank    issue or pull request: what was reported              tested by
======  ====================================================  ====================================================
1       #44, #38: gradients of operands of different rank     defects 16; gradients ``scalar_tensor_*``
2       #56, #39, #32: a panic where nothing depends          ``test_unreachable_*``, ``test_siamese_*``, ``…_loop``
3       #62: gradient of a variable for itself                defects 17
4       #50: division by shape (1,)                           defects 15
5       #28: a crash of repeated convolutions                 ``test_repeated_convolutions_*``
6       #22, #21: BLAS chosen when built; LSTM panics         ``test_backend_*``; core ``test_example_lstm_lm_*``
7       #16: Adam's state is not updated                      ``test_state_of_adam_*``; core ``test_optimizer_*``
8       #45: where, updates, k-means, graphs that grow        ``test_where_*``, ``test_k_means_*``, ``test_graph_*``
9       #43: gamma functions, aᵇ, zero diagonal, all results  ``test_power_*``, ``test_zero_diagonal_*``, ``test_all_*``
10      #4, #46: argmax of ties                               ``test_argmax_*``; values ``argmax_with_multi_max_args``
11      #37: gradient of the square root                      ``test_slope_of_the_square_root_*``; gradients ``sqrt``
12      #29, #30: negative slices off by one                  ``test_slices_*``
13      #33: indexing is flat                                 ``test_indexing_*``
14      #42, #61: array types of other versions refused       ``test_anything_array_like_*``
15      #55: dropout in evaluation                            defects 10
16      #8: loss and update in one evaluation                 ``test_loss_and_update_*``; defects 21
17      #14: roadmap                                          nothing to test: a list of wishes
18      #27: examples fail                                    the examples are tests; core ``test_example_*``
19      #26, #63: unsound memory accesses                     nothing to test: there is none
20      #64, #57, #54: wrong documentation                    the documents are tests
–       #1, #3, #25, #34, #35: seeds, vector y, results       ``test_gradient_of_a_vector_*``, ``test_run_*``,
                                                              ``test_errors_*``; defects 19
======  ====================================================  ====================================================

"defects", "values", "gradients" and "core" are the files ``test_rust_autograd_….py`` beside this one.
"""

from __future__ import annotations

import array
import itertools
from typing import Any

import numpy as np
import pytest

import lazygrad as lg


def run(f: Any, *arrays: Any) -> Any:
    """The values of what ``f(*tensors)`` returns, the arrays as arguments of a step."""
    return lg.VariableEnvironment(seed=0, dtype="float64").run(lambda ctx, *xs: f(*xs), *arrays)


# 2: #56, #39, #32


def test_unreachable_variables_get_zeros() -> None:
    """A variable that the loss does not depend on, or only through a step function, gets zeros of its shape."""

    def step(a: Any, b: Any, c: Any) -> Any:
        return lg.grad(lg.sum(lg.exp(a)) + lg.sum(lg.floor(c)) + lg.sum(lg.stop_gradient(b)), [a, b, c])

    of_a, of_b, of_c = run(step, np.zeros((2, 2)), np.ones(3), np.ones((1, 4)))
    np.testing.assert_array_equal(of_a, np.ones((2, 2)))
    np.testing.assert_array_equal(of_b, np.zeros(3))
    np.testing.assert_array_equal(of_c, np.zeros((1, 4)))


def test_siamese_networks_add_the_gradients_of_shared_weights(check_gradients: Any) -> None:
    """Two inputs pass through the same weights; each use gives its part of the gradient."""
    rng = np.random.default_rng(0)
    left, right = rng.normal(size=(5, 3)), rng.normal(size=(5, 3))

    def distance(w: Any, b: Any) -> Any:
        one, two = (lg.tanh(lg.matmul(x, w) + b) for x in (left, right))
        return lg.sum(lg.square(one - two), axis=1)

    check_gradients(distance, rng.normal(size=(3, 4)), rng.normal(size=4))


def test_gradients_in_a_loop_go_on_as_they_began() -> None:
    """A thousand gradients in one graph, each of the one before, equal the closed form: x ← x − 0.1 · 2x."""

    def step(x: Any) -> Any:
        for _ in range(1000):
            x = x - 0.1 * lg.grad(lg.sum(lg.square(x)), x)
        return x

    np.testing.assert_allclose(run(step, np.ones(3)), np.full(3, 0.8**1000), rtol=1e-12)


# 5: #28


def test_repeated_convolutions_stay_right() -> None:
    """Sixty convolutions one after another, and their gradient: a filter that picks the centre changes nothing."""
    centre = np.zeros((1, 1, 3, 3))
    centre[0, 0, 1, 1] = 1.0
    image = np.random.default_rng(0).normal(size=(1, 1, 4, 4))

    def step(x: Any, w: Any) -> Any:
        y = x
        for _ in range(60):
            y = lg.nn.conv2d(y, w, padding=1)
        return y, lg.grad(y, x), lg.grad(y, w)[0, 0, 1, 1]

    y, of_x, of_centre = run(step, image, centre)
    np.testing.assert_array_equal(y, image)
    np.testing.assert_array_equal(of_x, np.ones((1, 1, 4, 4)))
    assert 60 * image.sum() == pytest.approx(float(of_centre), rel=1e-12)


# 6: #22, #21


def test_backend_is_chosen_when_the_environment_is_made() -> None:
    """NumPy is the default; an unknown name is an error that says which there are."""
    assert "numpy" == lg.VariableEnvironment().backend == lg.VariableEnvironment(backend="numpy").backend
    with pytest.raises(lg.BackendError, match="there is no backend 'mkl'"):
        lg.VariableEnvironment(backend="mkl")


# 7: #16


def test_state_of_adam_moves_at_every_update() -> None:
    """After each of three updates with gradient 2 the moments are 2(1 − β₁ᵗ) and 4(1 − β₂ᵗ), and the count is t."""
    env = lg.VariableEnvironment(dtype="float64")
    env.name("w").set(np.ones(2))
    adam = lg.optim.Adam(env, name="my_unique_adam")
    step = env.compile(lambda ctx: adam.minimize(2.0 * lg.sum(ctx.variable("w"))))
    for t in (1, 2, 3):
        step()
        assert t == adam.step_count
        np.testing.assert_allclose(env["my_unique_adam/w/m"], np.full(2, 2 * (1 - 0.9**t)), rtol=1e-12)
        np.testing.assert_allclose(env["my_unique_adam/w/v"], np.full(2, 4 * (1 - 0.999**t)), rtol=1e-12)


# 8: #45


def test_where_chooses_and_so_does_its_gradient() -> None:
    """where(x > 0, x², −x) has the slopes 2x and −1, and none for the condition."""
    x = np.array([-2.0, -1.0, 1.0, 2.0])
    y, slope = run(lambda x: [y := lg.where(x > 0, lg.square(x), -x), lg.grad(y, x)], x)
    np.testing.assert_array_equal(y, [2.0, 1.0, 1.0, 4.0])
    np.testing.assert_array_equal(slope, [-1.0, -1.0, 2.0, 4.0])


def test_k_means_by_assignment_finds_the_centres() -> None:
    """Lloyd's steps, with argmin and segment_sum and one assignment a step, find three separate clusters."""
    rng = np.random.default_rng(0)
    centres = np.array([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]])
    points = np.concatenate([c + rng.normal(size=(50, 2)) for c in centres])
    env = lg.VariableEnvironment(dtype="float64")
    env.name("centres").set(points[[0, 50, 100]])

    @env.compile
    def step(ctx: Any, points: Any) -> Any:
        c = ctx.variable("centres")
        distance = lg.sum(lg.square(lg.expand_dims(points, 1) - c), axis=-1)
        nearest = lg.argmin(distance, axis=1)
        counts = lg.segment_sum(lg.ones_like(points[:, :1]), nearest, 3)
        means = lg.segment_sum(points, nearest, 3) / counts
        return lg.sum(lg.min(distance, axis=1)), ctx.assign("centres", means)

    inertia = [float(step(points)[0]) for _ in range(5)]
    np.testing.assert_allclose(env["centres"], points.reshape(3, 50, 2).mean(axis=1), rtol=1e-12)
    assert all(later <= earlier for earlier, later in itertools.pairwise(inertia))
    assert inertia[-1] == inertia[-2]


def test_graph_does_not_grow_from_run_to_run() -> None:
    """Each of a hundred runs of a training step writes a graph of the same number of nodes."""
    env = lg.VariableEnvironment()
    env.name("w").set(np.ones(3, np.float32))
    adam = lg.optim.Adam(env)
    sizes = []

    def step(ctx: Any) -> Any:
        update = adam.minimize(lg.sum(lg.square(ctx.variable("w"))))
        sizes.append(len(ctx.graph))
        return update

    for _ in range(100):
        env.run(step)
    assert {sizes[0]} == set(sizes)


# 9: #43


def test_power_of_tensors_has_gradients_for_base_and_exponent(check_gradients: Any) -> None:
    """aᵇ for two tensors; and at a = 0 the slopes are 0, not NaN."""
    rng = np.random.default_rng(0)
    check_gradients(lg.power, rng.uniform(0.5, 2.0, (3, 2)), rng.normal(size=(3, 2)))
    of_base, of_exponent = run(lambda a, b: lg.grad(a**b, [a, b]), np.zeros(2), np.array([2.0, 3.0]))
    np.testing.assert_array_equal(of_base, np.zeros(2))
    np.testing.assert_array_equal(of_exponent, np.zeros(2))


def test_zero_diagonal_is_a_product_with_a_mask() -> None:
    """A matrix without its diagonal, and a gradient that is 0 there."""
    x = np.arange(9.0).reshape(3, 3)
    y, slope = run(lambda x: [y := x * (1 - lg.eye(3)), lg.grad(y, x)], x)
    np.testing.assert_array_equal(y, x - np.diag(np.diag(x)))
    np.testing.assert_array_equal(slope, 1 - np.eye(3))


def test_all_intermediate_results_can_be_asked_for() -> None:
    """Every tensor on the way can be returned beside the last, or given to a function when it is evaluated."""
    seen = []
    a, b, c = run(lambda x: [a := x + 1, b := lg.exp(a).hook(lambda v: seen.append(v.copy())), lg.sum(b)], np.zeros(3))
    np.testing.assert_array_equal(a, np.ones(3))
    np.testing.assert_array_equal(seen[0], b)
    assert b.sum() == pytest.approx(float(c), rel=1e-15)


# 10: #4, #46


@pytest.mark.parametrize("axis", [None, 0, 1, -1])
@pytest.mark.parametrize("find", ["argmax", "argmin"])
def test_argmax_and_argmin_of_ties_give_the_first(find: str, axis: int | None) -> None:
    """Along any axis the index is NumPy's, which is the first of those that tie."""
    x = np.array([[3.0, 1.0, 3.0, 1.0], [3.0, 3.0, 1.0, 1.0], [1.0, 3.0, 3.0, 1.0]])
    found = run(lambda x: getattr(lg, find)(x, axis=axis), x)
    np.testing.assert_array_equal(found, getattr(np, find)(x, axis=axis))


# 11: #37


def test_slope_of_the_square_root_is_half_its_inverse() -> None:
    """At 1, 4 and 16 it is ½, ¼ and ⅛."""
    np.testing.assert_array_equal(run(lambda x: lg.grad(lg.sqrt(x), x), np.array([1.0, 4.0, 16.0])), [0.5, 0.25, 0.125])


# 12: #29, #30


def test_slices_are_those_of_numpy() -> None:
    """Every slice of five elements with ends from −7 to 7 or none, and steps of ±1 and ±2, in value and gradient."""
    x = np.arange(5.0)
    ends = [None, *range(-7, 8)]
    slices = [slice(a, b, s) for a in ends for b in ends for s in (None, 1, 2, -1, -2)]
    found = run(lambda x: [[y := x[s], lg.grad(y, x)] for s in slices], x)
    for s, (value, slope) in zip(slices, found, strict=True):
        chosen = np.zeros(5)
        chosen[s] = 1.0
        np.testing.assert_array_equal(value, x[s], err_msg=str(s))
        np.testing.assert_array_equal(slope, chosen, err_msg=str(s))


# 13: #33


@pytest.mark.parametrize(
    "index", [(0, 0), (1, 2), (-1, -1), (0,), (-2,), (slice(None), 1), (Ellipsis, -1), (None, 1)], ids=str
)
def test_indexing_is_by_axis(index: Any) -> None:
    """x[i, j] is the element of row i and column j, as in NumPy; its gradient is 1 there."""
    x = np.arange(6.0).reshape(2, 3)
    value, slope = run(lambda x: [y := x[index], lg.grad(y, x)], x)
    chosen = np.zeros((2, 3))
    chosen[index] = 1.0
    np.testing.assert_array_equal(value, x[index])
    np.testing.assert_array_equal(slope, chosen)


@pytest.mark.parametrize("index", [2, (2, 0), (0, -4), (0, 0, 0)], ids=str)
def test_indexing_out_of_range_is_an_error(index: Any) -> None:
    """An index that does not exist is refused when it is written."""
    with pytest.raises(lg.SpecError):
        run(lambda x: x[index], np.zeros((2, 3)))


# 14: #42, #61


class Foreign:
    """An array of another library, known only by the protocol."""

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return np.array([1.0, 2.0, 3.0], dtype=dtype)


@pytest.mark.parametrize(
    "make",
    [
        lambda: [1.0, 2.0, 3.0],
        lambda: (1.0, 2.0, 3.0),
        lambda: np.array([1.0, 2.0, 3.0]),
        lambda: np.array([1, 2, 3]),
        lambda: np.array([1.0, 2.0, 3.0], ">f4"),
        lambda: np.arange(1.0, 7.0)[::2] * 0.5 + 0.5,
        lambda: np.asfortranarray([[1.0, 2.0, 3.0]])[0],
        lambda: array.array("d", [1.0, 2.0, 3.0]),
        lambda: memoryview(np.array([1.0, 2.0, 3.0])),
        lambda: [np.float32(1.0), np.float64(2.0), 3],
        lambda: np.ma.MaskedArray([1.0, 2.0, 3.0]).data,
        Foreign,
    ],
    ids=[
        "list",
        "tuple",
        "array",
        "ints",
        "big-endian",
        "strided",
        "fortran",
        "array.array",
        "memoryview",
        "scalars",
        "masked",
        "protocol",
    ],
)
def test_anything_array_like_is_accepted(make: Any) -> None:
    """As a constant, beside an operator, as a variable, a feed and a new value."""
    env = lg.VariableEnvironment(dtype="float64")
    env.name("v").set(make())

    def step(ctx: Any) -> Any:
        p = ctx.placeholder("p", (3,))
        constant = ctx.constant(make())
        fed = ctx.evaluator().push(p).feed(p, make()).run()[0]
        return constant, lg.add(lg.zeros(3), make()), ctx.variable("v"), ctx.constant(fed)

    for found in env.run(step):
        np.testing.assert_array_equal(found, [1.0, 2.0, 3.0])
    env["v"] = make()
    np.testing.assert_array_equal(env["v"], [1.0, 2.0, 3.0])


# 16: #8


@pytest.mark.parametrize("order", ["loss, update", "update, loss"])
def test_loss_and_update_come_from_one_evaluation(order: str) -> None:
    """The loss is that before the update, whichever is pushed first, and results are in push order."""
    env = lg.VariableEnvironment(dtype="float64")
    env.name("w").set(np.float64(3.0))
    sgd = lg.optim.SGD(env, 0.25)

    def step(ctx: Any) -> Any:
        loss = lg.square(ctx.variable("w"))
        pushed = {"loss": loss, "update": sgd.minimize(loss)}
        return ctx.evaluator().extend(pushed[name] for name in order.split(", ")).run()

    expected = {"loss": 9.0, "update": None}
    assert [expected[name] for name in order.split(", ")] == env.run(step)
    assert 1.5 == env["w"]


# the rest: #1, #3, #25, #34, #35


def test_gradient_of_a_vector_is_that_of_its_sum() -> None:
    """y need not be a scalar, and there may be several: their sums are added."""
    x = np.array([1.0, 2.0, 3.0])
    found = run(lambda x: [lg.grad(lg.square(x), x), lg.grad([lg.square(x), 3.0 * x], x)], x)
    np.testing.assert_array_equal(found[0], 2 * x)
    np.testing.assert_array_equal(found[1], 2 * x + 3)


def test_run_returns_what_the_step_returns() -> None:
    """Tensors become arrays, in the structure they were returned in; anything else passes through."""
    found = run(lambda x: {"double": 2 * x, "rest": [x + 1, "text", 7]}, np.float64(1.0))
    assert {"double": 2.0, "rest": [2.0, "text", 7]} == found


def test_errors_name_the_op_and_the_shapes() -> None:
    """A product of matrices that do not fit says which op, both shapes, which sizes clash, and the user's line."""
    with pytest.raises(lg.SpecError) as caught:
        run(lambda a, b: a @ b, np.zeros((2, 3)), np.zeros((4, 5)))
    message = str(caught.value)
    assert message.startswith("cannot matmul float64[2, 3] and float64[4, 5]")
    assert "lambda a, b: a @ b" in message
    assert "The left has 3 columns, the right 4 rows" in message
