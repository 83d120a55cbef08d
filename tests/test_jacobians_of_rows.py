"""Jacobians and Hessians of each row of a batch, beside those of one row after another."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import lazygrad as lg
from lazygrad.trees import leaves, structure

RNG = np.random.default_rng(0)
W, V = RNG.normal(size=(3, 4)), RNG.normal(size=(4, 5))


def both(step: Callable[..., Any], *arrays: Any) -> Any:
    """What a step gives, run and compiled."""
    env = lg.VariableEnvironment(dtype="float64", seed=0)
    found, compiled = env.run(step, *arrays), env.compile(step, wait=True)
    compiled(*arrays)
    for (_, a), (_, b) in zip(leaves(found), leaves(compiled(*arrays)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-14)  # sums in another order
    return found


def narrow(x: Any) -> Any:
    """Fewer numbers a row than it is given."""
    return lg.stack([lg.sum(lg.tanh(x), axis=1), lg.prod(x, axis=1)], axis=1)


def wide(x: Any) -> Any:
    """More numbers a row than it is given."""
    return lg.exp(lg.tanh(x @ W) @ V)


def picture(x: Any) -> Any:
    """Rows with two axes, of rows with one."""
    return lg.reshape(lg.sin(x @ W), (-1, 2, 2)) * lg.sum(x, axis=1)[:, None, None]


def recurrent(x: Any) -> Any:
    """Through a loop over the numbers of a row."""
    last, each = lg.scan(lambda h, t: (lg.tanh(h + t), h * t), lg.zeros_like(x[:, 0]), x.T)
    return lg.concat([last[:, None], each.T], axis=1)


@pytest.mark.parametrize("f", [narrow, wide, picture, recurrent, lg.nn.softmax, lambda x: lg.sum(x * x, axis=1)])
def test_the_jacobian_of_each_row_is_that_of_the_row_alone(f: Callable[[Any], Any]) -> None:
    """Forwards and backwards, for rows of any shape; and of vmap for one example."""

    def step(ctx: lg.Context, x: Any) -> Any:
        alone = lg.stack([lg.squeeze(lg.jacobian(f(x[i : i + 1]), x)[:, ..., i, :], axis=0) for i in range(5)])
        mapped = lg.vmap(lambda row: lg.squeeze(lg.jacobian(f(row[None]), row), axis=0))(x)
        return lg.jacobian(f(x), x, batched=True), alone, mapped

    found, alone, mapped = both(step, RNG.normal(size=(5, 3)))
    assert found.shape == alone.shape
    np.testing.assert_allclose(alone, found, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(mapped, found, rtol=1e-12, atol=1e-14)


def test_it_is_a_part_of_the_whole_jacobian_whose_other_parts_are_zeros() -> None:
    """Where y[i] depends on x[i] alone, nothing is lost."""
    whole, found = both(
        lambda ctx, x: (lg.jacobian(wide(x), x), lg.jacobian(wide(x), x, batched=True)), RNG.normal(size=(4, 3))
    )
    for i in range(4):
        np.testing.assert_allclose(whole[i, :, i], found[i], rtol=1e-12)
        assert not whole[i][:, [j for j in range(4) if j != i]].any()


def test_a_formula_whose_jacobian_is_known() -> None:
    """Of y = A x, with another A for each row; of y = x², a diagonal."""
    a, x = RNG.normal(size=(6, 2, 3)), RNG.normal(size=(6, 3))

    def step(ctx: lg.Context, a: Any, x: Any) -> Any:
        return lg.jacobian(lg.squeeze(a @ x[:, :, None], axis=2), x, batched=True), lg.jacobian(x**2, x, batched=True)

    linear, squares = both(step, a, x)
    np.testing.assert_allclose(a, linear)
    np.testing.assert_allclose(2 * x[:, :, None] * np.eye(3), squares)


def test_several_are_nested_as_ys_and_within_as_xs() -> None:
    """Of other shapes; what a y does not depend on gets zeros."""
    x, z = RNG.normal(size=(4, 3)), RNG.normal(size=(4, 2, 2))

    def step(ctx: lg.Context, x: Any, z: Any) -> Any:
        ys = {"both": lg.sum(x, axis=1) * lg.sum(z, axis=(1, 2)), "one": lg.exp(x)}
        return lg.jacobian(ys, [x, {"z": z}], batched=True)

    found = both(step, x, z)
    assert structure({"both": [0, {"z": 0}], "one": [0, {"z": 0}]}) == structure(found)
    np.testing.assert_allclose(np.tile(z.sum((1, 2))[:, None], 3), found["both"][0])
    np.testing.assert_allclose(np.broadcast_to(x.sum(1)[:, None, None], (4, 2, 2)), found["both"][1]["z"])
    assert (4, 3, 2, 2) == found["one"][1]["z"].shape
    assert not found["one"][1]["z"].any()


def test_variables_that_have_a_row_for_each_example() -> None:
    """Such as a latent vector of each."""
    env = lg.VariableEnvironment(dtype="float64")
    codes = env.name("codes").set(RNG.normal(size=(4, 2)))
    found = env.run(lambda ctx: lg.jacobian(ctx.variable(codes) ** 3, codes, batched=True))
    np.testing.assert_allclose(3 * codes.value[:, :, None] ** 2 * np.eye(2), found)


def test_there_are_as_many_passes_as_a_row_has_elements() -> None:
    """Not as many as the batch has: the graph of a batch a hundred times as long is the same."""
    env = lg.VariableEnvironment()

    def nodes(n: int, f: Callable[[Any], Any]) -> int:
        return len(env.trace(lambda ctx, x: lg.jacobian(f(x), x, batched=True), np.ones((n, 3), "f4")).nodes)

    for f in (narrow, wide):
        assert nodes(2, f) == nodes(200, f)
    assert nodes(2, wide) < nodes(2, lambda x: wide(x)[:, :3]) * 1.5  # three passes, not five


@pytest.mark.parametrize("shapes", [((0, 3), (0, 2)), ((4, 0), (4, 2)), ((4, 3), (4, 0))])
def test_what_is_empty_has_an_empty_jacobian(shapes: Any) -> None:
    """No rows, or rows of nothing."""

    def step(ctx: lg.Context, x: Any) -> Any:
        y = lg.sum(x, axis=1, keepdims=True) * np.ones(shapes[1])
        return lg.jacobian(y, x, batched=True)

    assert (shapes[0][0], shapes[1][1], shapes[0][1]) == both(step, np.ones(shapes[0])).shape


def test_the_hessian_of_each_row() -> None:
    """Beside that of one row alone, and the formula; a number a row may have an axis."""
    a = RNG.normal(size=(3, 3))
    a, x = a + a.T, RNG.normal(size=(5, 3))

    def step(ctx: lg.Context, x: Any) -> Any:
        y = lg.sum((x @ a) * x, axis=1) / 2 + lg.sum(lg.exp(x), axis=1)
        alone = [lg.hessian(y[i], x)[i, :, i] for i in range(5)]
        return lg.hessian(y, x, batched=True), lg.hessian(y[:, None], x, batched=True), lg.stack(alone)

    found, again, alone = both(step, x)
    np.testing.assert_allclose(a + np.exp(x)[:, :, None] * np.eye(3), found, rtol=1e-12)
    np.testing.assert_array_equal(found, again)
    np.testing.assert_allclose(alone, found, rtol=1e-12)


def test_the_hessian_of_several_has_blocks() -> None:
    """Of a row of one and a row of another."""
    x, z = RNG.normal(size=(4, 3)), RNG.normal(size=(4, 2))

    def step(ctx: lg.Context, x: Any, z: Any) -> Any:
        y = lg.sum(x, axis=1) * lg.sum(z**2, axis=1)
        return lg.hessian(y, {"x": x, "z": z}, batched=True)

    found = both(step, x, z)
    np.testing.assert_allclose(np.broadcast_to(2 * z[:, None], (4, 3, 2)), found["x"]["z"])
    np.testing.assert_allclose(2 * x.sum(1)[:, None, None] * np.eye(2), found["z"]["z"])
    assert not found["x"]["x"].any()


def test_dropout_and_normalisation_within_a_row() -> None:
    """A mask is that of the value; LayerNorm, and BatchNorm once it is trained, leave rows alone."""
    env = lg.VariableEnvironment(dtype="float64", seed=1)
    layer, batch = lg.nn.LayerNorm(env, 3), lg.nn.BatchNorm(env, 3)

    def step(ctx: lg.Context, x: Any) -> Any:
        y = lg.nn.dropout(batch(layer(x)), 0.5, True)
        return lg.jacobian(y, x, batched=True), lg.jacobian(y, x)

    found, whole = env.run(step, RNG.normal(size=(4, 3)))
    np.testing.assert_allclose(np.stack([whole[i, :, i] for i in range(4)]), found, rtol=1e-12, atol=1e-14)


def test_float32_stays_float32() -> None:
    """A derivative has the dtype of what it is taken for."""
    env = lg.VariableEnvironment()
    for f in (narrow, lambda x: lg.concat([x, x], axis=1)):
        assert (
            np.float32 == env.run(lambda ctx, x, f=f: lg.jacobian(f(x), x, batched=True), np.ones((4, 3), "f4")).dtype
        )


def test_other_counts_of_rows_are_refused() -> None:
    """With all of them, and what the first axis is."""
    env = lg.VariableEnvironment()

    def step(ctx: lg.Context, x: Any) -> Any:
        return lg.jacobian(lg.tanh(x)[:2], x, batched=True)

    with pytest.raises(lg.SpecError) as raised:
        env.run(step, np.ones((4, 3), "f4"))
    first, line, facts = str(raised.value).split("\n\n")
    assert "cannot take the jacobian of each row" == first
    assert "return lg.jacobian(lg.tanh(x)[:2], x, batched=True)" in line
    assert "y:  float32[2, 3]" in facts
    assert "x:  float32[4, 3]   placeholder 'x'" in facts
    assert "With batched=True the first axis of every y and x is that of the examples, as many of each." in facts


@pytest.mark.parametrize(
    "wrong",
    [
        lambda x: lg.jacobian(lg.sum(x), x, batched=True),
        lambda x: lg.jacobian(x, [x, lg.sum(x)], batched=True),
        lambda x: lg.hessian(lg.sum(x), x, batched=True),
    ],
)
def test_what_has_no_rows_is_refused(wrong: Callable[[Any], Any]) -> None:
    """A single number is of no row."""
    with pytest.raises(lg.SpecError, match="of each row"):
        lg.VariableEnvironment().run(lambda ctx, x: wrong(x), np.ones((4, 3), "f4"))


def test_the_hessian_is_of_one_number_a_row() -> None:
    """As without batched of one number."""
    with pytest.raises(lg.GradientError, match=r"hessian of each row of float32\[4, 3\]\n(.|\n)*one number a row"):
        lg.VariableEnvironment().run(lambda ctx, x: lg.hessian(x, x, batched=True), np.ones((4, 3), "f4"))


def test_it_is_that_of_jax() -> None:
    """``vmap(jacrev(f))`` and ``vmap(hessian(f))``, as PyTorch has them too, of the same formula."""
    jax = pytest.importorskip("jax", reason="JAX is not installed")
    x = RNG.normal(size=(5, 3))

    def step(ctx: lg.Context, x: Any) -> Any:
        return lg.jacobian(wide(x), x, batched=True), lg.hessian(lg.sum(wide(x), axis=1), x, batched=True)

    def net(row: Any) -> Any:
        return jax.numpy.exp(jax.numpy.tanh(row @ W) @ V)

    found = both(step, x)
    with jax.enable_x64(True):
        jacobians = jax.vmap(jax.jacrev(net))(x)
        hessians = jax.vmap(jax.hessian(lambda row: net(row).sum()))(x)
    np.testing.assert_allclose(jacobians, found[0], rtol=1e-12)
    np.testing.assert_allclose(hessians, found[1], rtol=1e-11)
