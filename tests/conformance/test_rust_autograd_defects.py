"""The 21 suspected defects of the Rust crate autograd 2.0.0-rc3, each as tests that it is right here.

=====  ==========================================================  ==========================================
no.    in the crate (found by reading its source)                  here
=====  ==========================================================  ==========================================
01     gradients of products with transposed operands              every grid of them; the Hessian of ‖AB‖²
02     gradient of ``concat`` for its second and third operand     each of three, along each axis
03     gradient of ``tile``                                        along either axis and both
04     gradient of ``log_softmax`` assumes axis 1                  axes 0 and −1, in 2 and 3 dimensions
05     softmax cross entropy with more than one example            batch 5, one-hot and probabilities
06     sigmoid cross entropy: large logits, gradient for targets   x = ±100, float32; −x
07     ``softplus`` overflows                                      x = ±1000, float32
08     pooling with padding, windows that do not tile              5 × 5, windows of 2; pad 1; conv2d too
09     gradient of ``gather`` along −1, and of negative indices    both, and repeated indices
10     gradient of dropout in evaluation                           the identity (dropout is inverted here)
11     ``depends_on`` stops the gradient                           it passes
12     second derivatives of reductions with kept axes             Hessian of (Σx)² and others, both ways
13     gradient of ``prod`` where x is 0                           one zero and two, second derivatives too
14     ties of maxima get the whole cotangent each                 they share it: documented, and tested
15     division by an array of shape (1,)                          x / ones(1)
16     operands of different rank                                  (4, 3) and (3,), for + − × ÷ and **
17     gradient of a placeholder for itself                        is the seed
18     no second derivative of cross entropy with labels           diag(p) − p pᵀ
19     the same random numbers in every run                        the policy of seeds
20     shape of ``flatten`` before it is evaluated                 is that of its array
21     a variable is updated while others still read it            every order of variables, 2 and 3 layers
=====  ==========================================================  ==========================================
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import lazygrad as lg


def run(f: Callable[..., Any], *arrays: Any) -> Any:
    """The values of what ``f(*tensors)`` returns, the arrays as arguments of a step."""
    return lg.VariableEnvironment(seed=0, dtype="float64").run(lambda ctx, *xs: f(*xs), *arrays)


def numbers(*shape: int, seed: int = 0) -> Any:
    """Standard normal numbers."""
    return np.random.default_rng(seed).normal(size=shape)


# 01


def _product(a: Any, b: Any, turn_a: bool, turn_b: bool) -> Any:
    return (lg.matrix_transpose(a) if turn_a else a) @ (lg.matrix_transpose(b) if turn_b else b)


@pytest.mark.parametrize("batch", [(), (2,), (3, 2)], ids=str)
@pytest.mark.parametrize("turn_b", [False, True])
@pytest.mark.parametrize("turn_a", [False, True])
def test_defect_01_gradients_of_products_of_transposed_matrices(
    turn_a: bool, turn_b: bool, batch: tuple[int, ...], check_gradients: Any
) -> None:
    """Gradients of AB, AᵀB, ABᵀ and AᵀBᵀ, also in batches, are those of central differences."""
    a = numbers(*batch, *((4, 3) if turn_a else (3, 4)))
    b = numbers(*batch, *((2, 4) if turn_b else (4, 2)), seed=1)
    check_gradients(lambda a, b: _product(a, b, turn_a, turn_b), a, b)


@pytest.mark.parametrize("turn_b", [False, True])
@pytest.mark.parametrize("turn_a", [False, True])
def test_defect_01_hessian_of_the_squared_norm_of_a_product(turn_a: bool, turn_b: bool) -> None:
    """∂²‖AB‖² / ∂Aᵢⱼ∂Aₖₗ = 2 δᵢₖ (BBᵀ)ⱼₗ, whichever of A and B is written as a transpose."""
    a, b = numbers(2, 3), numbers(3, 4, seed=1)
    expected = 2 * np.einsum("ik,jl->ijkl", np.eye(2), b @ b.T)

    def second(a: Any, b: Any) -> Any:
        return lg.hessian(lg.sum(lg.square(_product(a, b, turn_a, turn_b))), a)

    hessian = run(second, a.T.copy() if turn_a else a, b.T.copy() if turn_b else b)
    expected = expected.transpose(1, 0, 3, 2) if turn_a else expected
    np.testing.assert_allclose(hessian, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("turn_b", [False, True])
@pytest.mark.parametrize("turn_a", [False, True])
def test_defect_01_mixed_second_derivatives_of_products(turn_a: bool, turn_b: bool, check_gradients: Any) -> None:
    """The gradient for A of ‖AB‖² has the right gradients for A and for B."""
    a, b = numbers(*((3, 2) if turn_a else (2, 3))), numbers(*((2, 3) if turn_b else (3, 2)), seed=1)
    check_gradients(lambda a, b: lg.grad(lg.sum(lg.square(_product(a, b, turn_a, turn_b))), a), a, b)


# 02


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_defect_02_gradient_of_each_operand_of_concat(axis: int) -> None:
    """Each of three operands of different sizes gets its own part of the cotangent."""
    sizes = [(n, 2) if axis == 0 else (2, n) for n in (1, 3, 2)]
    weights = numbers(*((6, 2) if axis == 0 else (2, 6)))
    found = run(lambda *xs: lg.grad(lg.sum(lg.concat(xs, axis=axis) * weights), list(xs)), *map(np.zeros, sizes))
    for expected, actual in zip(np.split(weights, [1, 4], axis=axis), found, strict=True):
        np.testing.assert_array_equal(actual, expected)


def test_defect_02_gradient_of_an_operand_that_stands_twice_in_concat() -> None:
    """An operand named at both ends gets the sum of both parts."""
    weights = numbers(5, 2)
    found = run(
        lambda x, y: lg.grad(lg.sum(lg.concat([x, y, x]) * weights), [x, y]), np.zeros((2, 2)), np.zeros((1, 2))
    )
    np.testing.assert_array_equal(found[0], weights[:2] + weights[3:])
    np.testing.assert_array_equal(found[1], weights[2:3])


# 03


@pytest.mark.parametrize("repetitions", [(4, 1), (1, 4), (4,), (2, 3), (2, 1, 4)], ids=str)
def test_defect_03_gradient_of_tile_is_the_sum_over_copies(repetitions: tuple[int, ...]) -> None:
    """Each element of a (3, 2) matrix gets the sum of the cotangents of its copies, and of no others."""
    x = numbers(3, 2)
    weights = numbers(*np.tile(x, repetitions).shape, seed=1)
    copies = np.tile(np.arange(6).reshape(3, 2), repetitions)
    value, found = run(lambda x: [y := lg.tile(x, repetitions), lg.grad(lg.sum(y * weights), x)], x)
    np.testing.assert_array_equal(value, np.tile(x, repetitions))
    np.testing.assert_allclose(
        found, np.bincount(copies.ravel(), weights.ravel()).reshape(3, 2), rtol=1e-13, atol=1e-14
    )


# 04


@pytest.mark.parametrize(
    ("shape", "axis"),
    [((4,), 0), ((3, 4), 0), ((3, 4), 1), ((3, 4), -1), ((2, 3, 4), 0), ((2, 3, 4), 1), ((2, 3, 4), -1)],
    ids=str,
)
def test_defect_04_gradient_of_log_softmax_along_any_axis(
    shape: tuple[int, ...], axis: int, check_gradients: Any
) -> None:
    """Gradients along each axis are those of central differences, and exp of it sums to 1 there."""
    x = numbers(*shape)
    check_gradients(lambda x: lg.nn.log_softmax(x, axis=axis), x)
    total = run(lambda x: lg.sum(lg.exp(lg.nn.log_softmax(x, axis=axis)), axis=axis), x)
    np.testing.assert_allclose(total, np.ones(total.shape), rtol=1e-14)


# 05


@pytest.mark.parametrize("targets", ["one-hot", "probabilities"])
def test_defect_05_softmax_cross_entropy_of_a_batch(targets: str, check_gradients: Any) -> None:
    """Five examples give five losses −Σ t log p; the gradient of each is its weight times p − t."""
    x = numbers(5, 3)
    t = np.eye(3)[[0, 2, 1, 1, 0]] if targets == "one-hot" else np.random.default_rng(1).dirichlet(np.ones(3), 5)
    p = np.exp(x) / np.exp(x).sum(axis=1, keepdims=True)
    weights = numbers(5, seed=2)
    losses, found = run(lambda x: [y := lg.nn.cross_entropy(x, t), lg.grad(y, x, weights)], x)
    assert (5,) == losses.shape
    np.testing.assert_allclose(losses, -(t * np.log(p)).sum(axis=1), rtol=1e-13)
    np.testing.assert_allclose(found, weights[:, None] * (p - t), rtol=1e-12, atol=1e-14)
    check_gradients(lg.nn.cross_entropy, x, t)


# 06


def test_defect_06_sigmoid_cross_entropy_of_large_logits() -> None:
    """At x = ±100 in float32 losses and gradients are finite and right, for both targets."""
    x = np.array([100.0, 100.0, -100.0, -100.0, 0.0], np.float32)
    t = np.array([0.0, 1.0, 0.0, 1.0, 1.0], np.float32)

    def step(x: Any, t: Any) -> Any:
        loss = lg.nn.binary_cross_entropy_with_logits(x, t)
        return [loss, *lg.grad(loss, [x, t])]

    losses, by_logits, by_targets = run(step, x, t)
    np.testing.assert_allclose(losses, np.array([100.0, 0.0, 0.0, 100.0, math.log(2)], np.float32), atol=1e-30)
    np.testing.assert_allclose(by_logits, np.array([1.0, 0.0, 0.0, -1.0, -0.5], np.float32), atol=1e-30)
    np.testing.assert_array_equal(by_targets, -x)


def test_defect_06_second_derivative_of_sigmoid_cross_entropy() -> None:
    """It is σ(1 − σ), 0 for large logits and ¼ at 0."""
    x = np.array([1000.0, -1000.0, 0.0])

    def step(x: Any) -> Any:
        return lg.grad(lg.grad(lg.nn.binary_cross_entropy_with_logits(x, np.ones(3)), x), x)

    np.testing.assert_allclose(run(step, x), [0.0, 0.0, 0.25], atol=1e-15)


# 07


def test_defect_07_softplus_of_large_numbers() -> None:
    """In float32 softplus(1000) = 1000 with derivative 1, softplus(−1000) = 0 with derivative 0."""
    x = np.array([1000.0, 100.0, 0.0, -100.0, -1000.0], np.float32)

    def step(x: Any) -> Any:
        y = lg.nn.softplus(x)
        slope = lg.grad(y, x)
        return y, slope, lg.grad(slope, x)

    values, slopes, curvatures = run(step, x)
    assert np.float32 == values.dtype
    np.testing.assert_allclose(values, [1000.0, 100.0, math.log(2), 0.0, 0.0], rtol=1e-7, atol=1e-40)
    np.testing.assert_allclose(slopes, [1.0, 1.0, 0.5, 0.0, 0.0], atol=1e-7)
    np.testing.assert_allclose(curvatures, [0.0, 0.0, 0.25, 0.0, 0.0], atol=1e-7)


# 08


def test_defect_08_pooling_where_windows_do_not_tile(check_gradients: Any) -> None:
    """Of a 5 × 5 image windows of 2, stride 2, leave the last row and column out: their gradient is 0."""
    image = np.random.default_rng(0).permutation(25.0 * np.arange(25)).reshape(1, 1, 5, 5)
    y, found = run(lambda x: [y := lg.nn.max_pool2d(x, 2, stride=2), lg.grad(y, x)], image)
    assert [(1, 1, 2, 2), (1, 1, 5, 5)] == [y.shape, found.shape]
    assert [0.0, 0.0, 4.0] == [found[..., 4, :].sum(), found[..., :, 4].sum(), found.sum()]
    np.testing.assert_array_equal(y[0, 0], image[0, 0, :4, :4].reshape(2, 2, 2, 2).max(axis=(1, 3)))
    check_gradients(lambda x: lg.nn.max_pool2d(x, 2, stride=2), image)


@pytest.mark.parametrize("stride", [1, 2, 3])
def test_defect_08_pooling_with_padding_never_chooses_the_padding(stride: int, check_gradients: Any) -> None:
    """With pad 1 the maxima of an image of negative numbers are negative, and gradients are right."""
    image = -1.0 - np.random.default_rng(0).permutation(25).reshape(1, 1, 5, 5)
    padded = np.pad(image, ((0, 0), (0, 0), (1, 1), (1, 1)), constant_values=-np.inf)
    places = range(0, 7 - 3 + 1, stride)
    expected = [[padded[0, 0, i : i + 3, j : j + 3].max() for j in places] for i in places]
    y = run(lambda x: lg.nn.max_pool2d(x, 3, stride=stride, padding=1), image)
    np.testing.assert_array_equal(y[0, 0], expected)
    check_gradients(lambda x: lg.nn.max_pool2d(x, 3, stride=stride, padding=1), image)


@pytest.mark.parametrize("padding", [0, 1])
@pytest.mark.parametrize(("size", "stride"), [(5, 2), (6, 4), (7, 3)])
def test_defect_08_convolution_where_windows_do_not_tile(
    size: int, stride: int, padding: int, check_gradients: Any
) -> None:
    """The input gradient of a convolution has the size of the input, also of rows that no window covers."""
    x, w = numbers(2, 2, size, size), numbers(3, 2, 2, 2, seed=1)
    check_gradients(lambda x, w: lg.nn.conv2d(x, w, stride=stride, padding=padding), x, w)


# 09


@pytest.mark.parametrize("axis", [0, 1, 2, -1, -2])
@pytest.mark.parametrize(
    "indices",
    [[1, 0], [-1, 0], [-1, -2, -1], [[0, 1, 1], [-1, 0, -2]]],
    ids=["plain", "negative", "repeated", "matrix"],
)
def test_defect_09_gradient_of_gather(axis: int, indices: Any, check_gradients: Any) -> None:
    """Along any axis, from either end, with indices from either end, an element named twice gets both cotangents."""
    x = numbers(3, 4, 2)
    y = run(lambda x: lg.take(x, np.array(indices), axis=axis), x)
    np.testing.assert_array_equal(y, np.take(x, indices, axis=axis))
    check_gradients(lambda x: lg.take(x, np.array(indices), axis=axis), x)


# 10


def test_defect_10_dropout_in_evaluation_is_the_identity_and_so_is_its_gradient() -> None:
    """Dropout is inverted here: kept numbers are divided by 1 − rate in training, so evaluation changes nothing."""
    x, weights = numbers(4, 5), numbers(4, 5, seed=1)
    y, found = run(lambda x: [y := lg.nn.dropout(x, 0.4, train=False), lg.grad(lg.sum(y * weights), x)], x)
    np.testing.assert_array_equal(y, x)
    np.testing.assert_array_equal(found, weights)


def test_defect_10_dropout_in_training_scales_what_it_keeps() -> None:
    """Value and gradient share one mask of 0 and 1 / (1 − rate), with the right share of zeros."""
    y, found = run(lambda x: [y := lg.nn.dropout(x, 0.25), lg.grad(y, x)], np.full((100, 100), 3.0))
    np.testing.assert_allclose(y, 3.0 * found, rtol=1e-15)
    np.testing.assert_allclose(np.unique(found), [0.0, 4 / 3], rtol=1e-15)
    assert 0.25 == pytest.approx(np.mean(found == 0), abs=4 * math.sqrt(0.25 * 0.75 / 10_000))


# 11


def test_defect_11_depends_on_passes_the_gradient(check_gradients: Any) -> None:
    """The gradient of a tensor that waits for another is its own, and nothing for what it waits for."""
    check_gradients(lambda x, y: lg.depends_on(lg.exp(x), [lg.sin(y)]) * y, numbers(3), numbers(3, seed=1))
    by_x, by_y = run(lambda x, y: lg.grad(lg.depends_on(3.0 * x, [y]), [x, y]), numbers(3), numbers(3))
    np.testing.assert_array_equal(by_x, np.full(3, 3.0))
    np.testing.assert_array_equal(by_y, np.zeros(3))


@pytest.mark.parametrize("calls", [1, 3])
def test_defect_11_depends_on_evaluates_the_others_first(calls: int) -> None:
    """What is waited for is evaluated although nothing needs its value, and before, in every call."""
    seen: list[str] = []
    env = lg.VariableEnvironment()

    @env.compile
    def step(ctx: Any, x: Any) -> Any:
        late = lg.exp(x)
        early = lg.sin(x).hook(lambda array: seen.append("early"))
        return lg.depends_on(late, [early]).hook(lambda array: seen.append("late"))

    for _ in range(calls):
        step(np.ones(3))
    assert ["early", "late"] * calls == seen


# 12


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("axis", [None, 0, 1, -1, (0, 1)], ids=str)
def test_defect_12_hessian_of_a_squared_sum(axis: Any, keepdims: bool) -> None:
    """The Hessian of Σ (Σ_axis x)² is 2 where two elements are summed together, else 0."""
    x = numbers(2, 3)
    together = np.ones((2, 3, 2, 3))
    if axis == 0:
        together = np.broadcast_to(np.eye(3)[None, :, None, :], together.shape)
    if axis in (1, -1):
        together = np.broadcast_to(np.eye(2)[:, None, :, None], together.shape)
    found = run(lambda x: lg.hessian(lg.sum(lg.square(lg.sum(x, axis=axis, keepdims=keepdims))), x), x)
    np.testing.assert_allclose(found, 2 * together, rtol=1e-14)


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("axis", [None, 0, 1])
@pytest.mark.parametrize("reduce", [lg.sum, lg.mean, lg.prod, lg.max, lg.min, lg.var, lg.std, lg.logsumexp])
def test_defect_12_second_derivatives_of_reductions(
    reduce: Any, axis: Any, keepdims: bool, check_gradients: Any
) -> None:
    """The gradient of a squared reduction has the right gradient, with kept axes and without."""
    check_gradients(lambda x: lg.grad(lg.sum(lg.square(reduce(x, axis=axis, keepdims=keepdims))), x), numbers(2, 3))


# 13


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ([2.0, 3.0, 4.0], [12.0, 8.0, 6.0]),
        ([0.0, 3.0, 4.0], [12.0, 0.0, 0.0]),
        ([2.0, 0.0, 4.0], [0.0, 8.0, 0.0]),
        ([0.0, 3.0, 0.0], [0.0, 0.0, 0.0]),
        ([0.0, 0.0, 0.0], [0.0, 0.0, 0.0]),
        ([5.0], [1.0]),
        ([0.0], [1.0]),
    ],
    ids=str,
)
def test_defect_13_gradient_of_a_product_with_zeros(row: list[float], expected: list[float]) -> None:
    """Each element's derivative is the product of the others, whatever it is itself."""
    np.testing.assert_array_equal(run(lambda x: lg.grad(lg.prod(x), x), np.array(row)), expected)


@pytest.mark.parametrize("row", [[2.0, 3.0, 4.0, 5.0], [0.0, 3.0, 4.0, 5.0], [0.0, 3.0, 0.0, 5.0], [0.0] * 4], ids=str)
def test_defect_13_hessian_of_a_product_with_zeros(row: list[float]) -> None:
    """The second derivative for two elements is the product of all others; for one element 0."""
    expected = [
        [0.0 if i == j else math.prod(v for k, v in enumerate(row) if k not in (i, j)) for j in range(4)]
        for i in range(4)
    ]
    np.testing.assert_array_equal(run(lambda x: lg.hessian(lg.prod(x), x), np.array(row)), expected)


@pytest.mark.parametrize("axis", [0, 1, (0, 2), None], ids=str)
def test_defect_13_gradient_of_products_along_axes_with_zeros(axis: Any, check_gradients: Any) -> None:
    """Along any axes, with a zero or two among the elements."""
    x = numbers(2, 3, 2)
    x[0, 1, 0] = x[1, 2, 1] = 0.0
    check_gradients(lambda x: lg.prod(x, axis=axis), x)


# 14


def test_defect_14_ties_of_maximum_and_minimum_share_the_cotangent() -> None:
    """The convention: where both operands are equal each gets half, so that maximum(x, x) has the gradient of x."""
    a, b = np.array([1.0, 2.0, 3.0]), np.array([2.0, 2.0, 2.0])
    of_max = run(lambda a, b: lg.grad(lg.maximum(a, b), [a, b]), a, b)
    of_min = run(lambda a, b: lg.grad(lg.minimum(a, b), [a, b]), a, b)
    np.testing.assert_array_equal(of_max, [[0.0, 0.5, 1.0], [1.0, 0.5, 0.0]])
    np.testing.assert_array_equal(of_min, [[1.0, 0.5, 0.0], [0.0, 0.5, 1.0]])
    for op in (lg.maximum, lg.minimum):
        np.testing.assert_array_equal(run(lambda x, op=op: lg.grad(op(x, x), x), a), np.ones(3))


def test_defect_14_ties_of_reductions_share_the_cotangent() -> None:
    """The convention: elements that tie for the extreme of a row share its cotangent equally."""
    x = np.array([[1.0, 3.0, 3.0, 0.0], [2.0, 2.0, 2.0, 2.0], [5.0, 4.0, 3.0, 3.0]])
    of_max = run(lambda x: lg.grad(lg.max(x, axis=1), x), x)
    of_min = run(lambda x: lg.grad(lg.min(x, axis=1), x), x)
    np.testing.assert_array_equal(of_max, [[0.0, 0.5, 0.5, 0.0], [0.25] * 4, [1.0, 0.0, 0.0, 0.0]])
    np.testing.assert_array_equal(of_min, [[0.0, 0.0, 0.0, 1.0], [0.25] * 4, [0.0, 0.0, 0.5, 0.5]])


def test_defect_14_ties_of_pooling_share_the_cotangent() -> None:
    """A window of four equal numbers gives each a quarter."""
    found = run(lambda x: lg.grad(lg.nn.max_pool2d(x, 2), x), np.ones((1, 1, 4, 4)))
    np.testing.assert_array_equal(found, np.full((1, 1, 4, 4), 0.25))


@pytest.mark.parametrize("function", [lg.maximum, lg.minimum, lg.max, lg.min, lg.nn.max_pool2d])
def test_defect_14_the_convention_is_documented(function: Any) -> None:
    """The docstring says what happens to equal elements."""
    words = ("tie", "equal")
    assert any(word in (function.__doc__ or "") for word in words)


# 15


@pytest.mark.parametrize("shape", [(1,), (1, 1), ()], ids=str)
def test_defect_15_division_by_an_array_of_one_element(shape: tuple[int, ...], check_gradients: Any) -> None:
    """x / ones(1) is x; both gradients have their operand's shape, whichever side the one element is on."""
    x = numbers(3)
    np.testing.assert_array_equal(run(lambda x, d: x / d, x, np.ones(shape)).ravel(), x)
    check_gradients(lambda x, d: x / d, x, np.full(shape, 1.5))
    check_gradients(lambda x, d: d / x, x, np.full(shape, 1.5))


# 16


@pytest.mark.parametrize("shapes", [((4, 3), (3,)), ((3,), (4, 3)), ((2, 4, 3), (4, 1)), ((3, 1), (1, 4))], ids=str)
@pytest.mark.parametrize("operator", ["add", "subtract", "multiply", "divide", "power", "maximum", "atan2"])
def test_defect_16_operands_of_different_rank(operator: str, shapes: Any, check_gradients: Any) -> None:
    """Operands broadcast as in NumPy, and each gradient is summed to its operand's shape."""
    a, b = (np.random.default_rng(i).uniform(0.5, 2.0, shape) for i, shape in enumerate(shapes))
    np_operator = getattr(np, {"atan2": "arctan2"}.get(operator, operator))
    np.testing.assert_allclose(run(getattr(lg, operator), a, b), np_operator(a, b), rtol=1e-14)
    check_gradients(getattr(lg, operator), a, b)


# 17


@pytest.mark.parametrize("kind", ["variable", "placeholder", "constant", "argument"])
def test_defect_17_gradient_of_a_tensor_for_itself_is_the_seed(kind: str) -> None:
    """grad(x, x, seed) is the seed, and ones without one; a second tensor gets zeros."""
    env = lg.VariableEnvironment(dtype="float64")
    env.name("v").set(numbers(2, 3))
    seed = numbers(2, 3, seed=1)

    def step(ctx: Any, argument: Any) -> Any:
        x = {
            "variable": lambda: ctx.variable("v"),
            "placeholder": lambda: ctx.placeholder("p", (2, 3)),
            "constant": lambda: ctx.constant(numbers(2, 3)),
            "argument": lambda: argument,
        }[kind]()
        other = ctx.constant(numbers(4))
        return lg.grad(x, x, seed), lg.grad(x, x), *lg.grad([x], [other, x], [seed])

    seeded, plain, of_other, of_itself = env.run(step, numbers(2, 3))
    np.testing.assert_array_equal(seeded, seed)
    np.testing.assert_array_equal(plain, np.ones((2, 3)))
    np.testing.assert_array_equal(of_other, np.zeros(4))
    np.testing.assert_array_equal(of_itself, seed)


# 18


def test_defect_18_hessian_of_cross_entropy_with_labels() -> None:
    """For one example it is diag(p) − p pᵀ; examples do not mix."""
    x = numbers(3, 4)
    p = np.exp(x) / np.exp(x).sum(axis=1, keepdims=True)
    expected = np.zeros((3, 4, 3, 4))
    for i in range(3):
        expected[i, :, i, :] = np.diag(p[i]) - np.outer(p[i], p[i])
    found = run(lambda x: lg.hessian(lg.sum(lg.nn.cross_entropy(x, np.array([2, 0, 3]))), x), x)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-14)


# 19


def _draws(env: lg.VariableEnvironment, runs: int) -> Any:
    return np.array([env.run(lambda ctx: ctx.random.normal(4)) for _ in range(runs)])


def test_defect_19_every_run_draws_fresh_numbers() -> None:
    """The policy of seeds: no number is drawn twice, in five runs of two draws."""
    env = lg.VariableEnvironment(seed=0, dtype="float64")
    seen = [env.run(lambda ctx: [ctx.random.normal(4), ctx.random.normal(4)]) for _ in range(5)]
    assert 5 * 2 * 4 == len(np.unique(seen))


def test_defect_19_the_same_seed_gives_the_same_numbers() -> None:
    """The policy of seeds: all runs of two environments of one seed agree bit for bit; of another seed they differ."""
    first, again, other = (_draws(lg.VariableEnvironment(seed=seed), 3) for seed in (7, 7, 8))
    np.testing.assert_array_equal(again, first)
    assert not np.any(other == first)


def test_defect_19_without_a_seed_numbers_differ() -> None:
    """The policy of seeds: environments without one draw different numbers."""
    assert not np.any(_draws(lg.VariableEnvironment(), 2) == _draws(lg.VariableEnvironment(), 2))


def test_defect_19_dropout_masks_differ_from_batch_to_batch() -> None:
    """The policy of seeds: a compiled network drops other elements at every call."""
    env = lg.VariableEnvironment(seed=0)
    step = env.compile(lambda ctx, x: lg.nn.dropout(x, 0.5))
    masks = {step(np.ones(64, np.float32)).tobytes() for _ in range(10)}
    assert 10 == len(masks)


def test_defect_19_the_random_state_is_saved(tmp_path: Any) -> None:
    """The policy of seeds: a loaded environment draws what the saved one draws next."""
    env = lg.VariableEnvironment(seed=3)
    _draws(env, 2)
    env.save(tmp_path / "state.json")
    np.testing.assert_array_equal(_draws(lg.VariableEnvironment.load(tmp_path / "state.json"), 3), _draws(env, 3))


# 20


@pytest.mark.parametrize("shape", [(), (1,), (2, 3), (2, 3, 4), (2, 0, 4)], ids=str)
def test_defect_20_shape_of_flatten_is_known_and_right(shape: tuple[int, ...]) -> None:
    """The shape before evaluation is that of the array, for the function and the method, also after a transpose."""
    known = []

    def step(x: Any) -> Any:
        flat = [lg.flatten(x), x.flatten(), lg.flatten(x.T)]
        known.extend(y.shape for y in flat)
        return flat

    arrays = run(step, np.arange(float(np.prod(shape))).reshape(shape))
    assert [(int(np.prod(shape)),)] * 3 == known == [array.shape for array in arrays]
    np.testing.assert_array_equal(arrays[0], np.arange(float(np.prod(shape))))


# 21


RATE = 0.1
SIZES = {2: (3, 4, 2), 3: (3, 4, 4, 2)}


def _network(layers: int) -> tuple[dict[str, Any], Any, Any]:
    rng = np.random.default_rng(0)
    parameters = {}
    for i, (rows, columns) in enumerate(itertools.pairwise(SIZES[layers])):
        parameters[f"w{i}"] = rng.normal(size=(rows, columns))
        parameters[f"b{i}"] = rng.normal(size=(1, columns))
    return parameters, rng.normal(size=(5, 3)), rng.normal(size=(5, 2))


def _updated_by_hand(parameters: dict[str, Any], x: Any, y: Any) -> tuple[float, dict[str, Any]]:
    """Loss before, and parameters after one step of all at once, by the chain rule on paper."""
    layers = len(parameters) // 2
    inputs, h = [], x
    for i in range(layers):
        inputs.append(h)
        z = h @ parameters[f"w{i}"] + parameters[f"b{i}"]
        h = np.tanh(z) if i < layers - 1 else z
    error = 2 * (h - y) / h.size
    loss = float(np.mean((h - y) ** 2))
    new = {}
    for i in reversed(range(layers)):
        new[f"w{i}"] = parameters[f"w{i}"] - RATE * inputs[i].T @ error
        new[f"b{i}"] = parameters[f"b{i}"] - RATE * error.sum(axis=0, keepdims=True)
        error = (error @ parameters[f"w{i}"].T) * (1 - inputs[i] ** 2)
    return loss, new


def _orders() -> list[tuple[int, tuple[str, ...]]]:
    """Every order of the four variables of two layers, and of the three matrices of three."""
    two = [(2, order) for order in itertools.permutations(["w0", "b0", "w1", "b1"])]
    biases = ("b0", "b1", "b2")
    return two + [(3, (*order, *biases)) for order in itertools.permutations(["w0", "w1", "w2"])]


@pytest.mark.parametrize("pushed", ["loss first", "update first", "one update each"])
@pytest.mark.parametrize(
    ("layers", "order"), _orders(), ids=lambda v: f"{v} layers" if isinstance(v, int) else "-".join(v)
)
def test_defect_21_an_update_is_simultaneous(layers: int, order: tuple[str, ...], pushed: str) -> None:
    """One step of a network equals the update of all variables at once, in every order of variables and pushes."""
    parameters, x, y = _network(layers)
    env = lg.VariableEnvironment(dtype="float64")
    for name in order:  # registered in this order, too
        env.name(name).set(parameters[name])
    sgd = lg.optim.SGD(env, RATE)

    def step(ctx: Any, x: Any, y: Any) -> Any:
        h = x
        for i in range(layers):
            z = h @ ctx.variable(f"w{i}") + ctx.variable(f"b{i}")
            h = lg.tanh(z) if i < layers - 1 else z
        loss = lg.mean(lg.square(h - y))
        variables = [ctx.variable(name) for name in order]
        gradients = lg.grad(loss, variables)
        if pushed == "one update each":
            rates = [ctx.assign(v, v - RATE * g) for v, g in zip(variables, gradients, strict=True)]
            return [*rates, loss]
        update = sgd.update(variables, gradients)
        return [loss, update] if pushed == "loss first" else [update, loss]

    fast = env.compile(step)
    for call in (lambda: env.run(step, x, y), lambda: fast(x, y), lambda: env.run(step, x, y), lambda: fast(x, y)):
        expected, parameters = _updated_by_hand(parameters, x, y)
        loss = next(value for value in call() if value is not None)
        assert expected == pytest.approx(float(loss), rel=1e-13)
        for name, array in parameters.items():
            np.testing.assert_allclose(env[name], array, rtol=1e-12, atol=1e-14, err_msg=name)


def test_defect_21_every_read_sees_the_value_before_the_update() -> None:
    """Views, norms and copies of a variable, pushed after its update, have the numbers from before."""
    before = numbers(3, 3)
    env = lg.VariableEnvironment(dtype="float64")
    env.name("w").set(before)
    sgd = lg.optim.SGD(env, 0.5)

    def step(ctx: Any) -> Any:
        w = ctx.variable("w")
        update = sgd.minimize(lg.sum(lg.square(w)))
        evaluator = ctx.evaluator().push(update)
        return evaluator.extend([w, w.reshape(9), w.T, w[1], lg.identity(w), lg.sum(lg.square(w))]).run()

    for w in (before, np.zeros((3, 3))):  # w − 0.5 · 2w = 0
        _, *read = env.run(step)
        expected = [w, w.reshape(9), w.T, w[1], w, np.sum(w**2)]
        for wanted, actual in zip(expected, read, strict=True):
            np.testing.assert_allclose(actual, wanted, rtol=1e-15)
    np.testing.assert_array_equal(env["w"], np.zeros((3, 3)))


def test_every_suspected_defect_has_a_test() -> None:
    """Each of the 21 numbers stands in the name of a test."""
    tested = {int(name.split("_")[2]) for name in globals() if name.startswith("test_defect_")}
    assert set(range(1, 22)) == tested
