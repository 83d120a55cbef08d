"""Derivatives with respect to variables, lists of them, and nested structures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import lazygrad as lg
from lazygrad.trees import leaves, structure

U, V = np.array([1.0, 2.0]), np.array([[0.5, -1.0, 3.0]])


def made() -> tuple[lg.VariableEnvironment, lg.Variable, lg.Variable]:
    """Two variables."""
    env = lg.VariableEnvironment(dtype="float64")
    return env, env.name("u").set(U), env.name("v").set(V)


def loss(ctx: lg.Context) -> lg.Tensor:
    """Σ uᵢ² · Σ vⱼ³."""
    return lg.sum(ctx.variable("u") ** 2) * lg.sum(ctx.variable("v") ** 3)


def both(env: lg.VariableEnvironment, step: Callable[..., Any]) -> Any:
    """What a step gives, run and compiled."""
    found = env.run(step)
    for (_, a), (_, b) in zip(leaves(found), leaves(env.compile(step)()), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-13)
    return found


@pytest.mark.parametrize("kind", ["variable", "list", "tuple", "dict", "iterator"])
def test_a_gradient_is_nested_as_what_it_is_taken_for(kind: str) -> None:
    """Variables and tensors alike, in any nesting."""
    env, u, v = made()
    du, dv = 2 * U * (V**3).sum(), 3 * V**2 * (U**2).sum()
    trees: dict[str, tuple[Callable[[lg.Context], Any], Any]] = {
        "variable": (lambda ctx: u, du),
        "list": (lambda ctx: [u, v], [du, dv]),
        "tuple": (lambda ctx: (ctx.variable(v), u), (dv, du)),
        "dict": (lambda ctx: {"b": [v], "a": (u, {"x": ctx.variable("v")})}, {"b": [dv], "a": (du, {"x": dv})}),
        "iterator": (lambda ctx: iter([u, v]), [du, dv]),
    }
    tree, expected = trees[kind]
    found = both(env, lambda ctx: lg.grad(loss(ctx), tree(ctx)))
    assert structure(expected) == structure(found)
    for (_, a), (_, b) in zip(leaves(expected), leaves(found), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-13)


def test_a_jacobian_has_a_part_for_each_value_and_each_variable() -> None:
    """Nested as the values, and within each as the variables; forwards and backwards."""
    env, u, v = made()

    def step(ctx: lg.Context) -> Any:
        a, b = ctx.variable(u), ctx.variable(v)
        y = {"wide": lg.concat([a * lg.sum(b)] * 4), "one": lg.sum(a) * b[0, 0]}
        return lg.jacobian(y, [u, {"v": v}]), lg.jacobian(y["one"], u)

    found, alone = both(env, step)
    assert structure({"wide": [0, {"v": 0}], "one": [0, {"v": 0}]}) == structure(found)
    np.testing.assert_allclose(np.tile(np.eye(2) * V.sum(), (4, 1)), found["wide"][0])
    np.testing.assert_allclose(np.tile(U, 4)[:, None, None] * np.ones((8, 1, 3)), found["wide"][1]["v"])
    np.testing.assert_allclose([0.5, 0.5], found["one"][0])
    np.testing.assert_allclose([[3.0, 0.0, 0.0]], found["one"][1]["v"])
    np.testing.assert_allclose([0.5, 0.5], alone)


def test_a_hessian_has_a_block_for_each_two_variables() -> None:
    """Of the shapes of both; and its product with a direction is the same."""
    env, u, v = made()
    directions = {"a": np.array([1.0, -1.0]), "b": np.array([[2.0, 0.0, 1.0]])}

    def step(ctx: lg.Context) -> Any:
        xs, turned = {"a": u, "b": v}, {"b": directions["b"], "a": directions["a"]}
        return lg.hessian(loss(ctx), xs), lg.hessian_vector_product(loss(ctx), xs, turned)

    h, product = both(env, step)
    np.testing.assert_allclose(2 * np.eye(2) * (V**3).sum(), h["a"]["a"])
    np.testing.assert_allclose(2 * U[:, None, None] * 3 * V**2, h["a"]["b"])
    np.testing.assert_allclose(np.moveaxis(h["a"]["b"], 0, -1), h["b"]["a"])
    np.testing.assert_allclose(6 * np.diag(V[0]) * (U**2).sum(), h["b"]["b"][0, :, 0, :])
    for i, shape in (("a", 1), ("b", 2)):
        blocks = [np.tensordot(h[i][j], d, axes=d.ndim) for j, d in directions.items()]
        np.testing.assert_allclose(sum(blocks), product[i])
        assert shape == product[i].ndim


def test_directional_derivatives_take_variables() -> None:
    """Forward mode, with directions nested as the variables are."""
    env, u, v = made()
    found = both(env, lambda ctx: lg.jvp((loss(ctx),), [u, [v]], [U, [V]]))
    assert isinstance(found, tuple)
    np.testing.assert_allclose(5 * (U**2).sum() * (V**3).sum(), found[0])


def test_dicts_that_belong_together_have_the_same_keys() -> None:
    """They are not matched by their order."""
    env, u, v = made()

    def step(ctx: lg.Context) -> Any:
        return lg.hessian_vector_product(loss(ctx), {"a": u, "b": v}, {"a": U, "c": V})

    with pytest.raises(lg.SpecError) as refused:
        env.run(step)
    lines = str(refused.value).splitlines()
    assert "two dicts that belong together have other keys" == lines[0]
    assert ["    keys:   'a', 'b'", "    given:  'a', 'c'", "    Give one for each, under the same keys."] == lines[-3:]
