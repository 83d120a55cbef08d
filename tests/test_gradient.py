"""Derivatives of every order and mode against closed forms, and what users may do to them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lazygrad as lg

RNG = np.random.default_rng(12)
A = RNG.normal(size=(3, 3))
X = RNG.normal(size=3)


def values(f: Callable[..., Any], *arrays: Any) -> Any:
    """What ``f`` of float64 tensors gives: run twice and compiled, the second time as programs, all the same."""
    env = lg.VariableEnvironment(dtype="float64")
    held = [np.asarray(a, "float64") for a in arrays]

    def step(ctx: lg.Context, *xs: Any) -> Any:
        return f(*xs)

    first = env.run(step, *held)
    fast = env.compile(step)
    for again in (env.run(step, *held), fast(*held), fast(*held)):
        for a, b in zip(flat(first), flat(again), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-13, atol=1e-13)
    return first


def flat(x: Any) -> list[Any]:
    """The arrays of a nested result."""
    return [leaf for part in x for leaf in flat(part)] if isinstance(x, (list, tuple)) else [x]


# Reverse mode, any order.


@pytest.mark.parametrize(
    ("order", "expected"), [(0, 16.0), (1, 32.0), (2, 48.0), (3, 48.0), (4, 24.0), (5, 0.0), (6, 0.0)]
)
def test_the_derivatives_of_the_fourth_power(order: int, expected: float) -> None:
    """Of x⁴ at 2, up to those that vanish."""

    def f(x: Any) -> Any:
        y = x**4
        for _ in range(order):
            y = lg.grad(y, x)
        return y

    np.testing.assert_allclose(values(f, 2.0), expected, rtol=1e-14, atol=0)


@pytest.mark.parametrize("order", range(6))
def test_the_derivatives_of_the_sine(order: int) -> None:
    """To fifth order, by reverse mode and by forward mode."""
    x = np.array([0.3, -1.2, 2.0])

    def backward(x: Any) -> Any:
        y = lg.sin(x)
        for _ in range(order):
            y = lg.grad(y, x)
        return y

    def forward(x: Any) -> Any:
        y = lg.sin(x)
        for _ in range(order):
            y = lg.jvp(y, x, lg.ones_like(x))
        return y

    expected = np.sin(x + order * math.pi / 2)
    np.testing.assert_allclose(values(backward, x), expected, rtol=1e-13)
    np.testing.assert_allclose(values(forward, x), expected, rtol=1e-13)


def test_the_gradient_of_a_quadratic_form() -> None:
    """(A + Aᵀ)·x."""
    g = values(lambda x, a: lg.grad(x @ a @ x, x), X, A)
    np.testing.assert_allclose(g, (A + A.T) @ X, rtol=1e-13)


def test_the_gradient_of_an_array_is_that_of_its_sum() -> None:
    """And of several ys, of the sum of their sums."""
    one, two = values(lambda x: (lg.grad(x**2, x), lg.grad([x**2, lg.sum(3 * x)], x)), X)
    np.testing.assert_allclose(one, 2 * X)
    np.testing.assert_allclose(two, 2 * X + 3)


def test_cotangents_to_start_from_make_it_a_product_with_the_jacobian() -> None:
    """grad_ys of the shape of y; a number where y is one; one for each y."""
    v = RNG.normal(size=3)
    g, scalar, both = values(
        lambda x, a, v: (
            lg.grad(a @ x, x, v),
            lg.grad(lg.sum(x**2), x, 5.0),
            lg.grad([a @ x, lg.sum(x)], x, [v, 2.0]),
        ),
        X,
        A,
        v,
    )
    np.testing.assert_allclose(g, A.T @ v, rtol=1e-13)
    np.testing.assert_allclose(scalar, 10 * X, rtol=1e-13)
    np.testing.assert_allclose(both, A.T @ v + 2, rtol=1e-13)


def test_a_list_of_xs_gives_a_list_and_a_tensor_a_tensor() -> None:
    """As it was asked; also tuples, and generators."""
    one, listed, tupled, made = values(
        lambda x, y: (
            lg.grad(lg.sum(x * y), x),
            lg.grad(lg.sum(x * y), [x, y]),
            lg.grad(lg.sum(x * y), (x,)),
            lg.grad(lg.sum(x * y), (t for t in (y, x))),
        ),
        X,
        2 * X,
    )
    np.testing.assert_array_equal(one, 2 * X)
    for got, expected in zip([*listed, *tupled, *made], [2 * X, X, 2 * X, X, 2 * X], strict=True):
        np.testing.assert_array_equal(got, expected)


def test_an_x_may_be_named_twice() -> None:
    """Each gets the whole gradient."""
    for got in values(lambda x: lg.grad(lg.sum(x**2), [x, x]), X):
        np.testing.assert_allclose(got, 2 * X)


def test_the_gradient_of_x_for_x_is_one() -> None:
    """Reverse, forward, and with a cotangent."""
    one, along, scaled = values(lambda x: (lg.grad(x, x), lg.jvp(x, x, 3 * x), lg.grad(x, x, 2 * x)), X)
    np.testing.assert_array_equal(one, np.ones(3))
    np.testing.assert_allclose(along, 3 * X)
    np.testing.assert_allclose(scaled, 2 * X)


def test_an_x_may_be_computed_from_another() -> None:
    """The gradient for an intermediate, and for what it came from, through it."""

    def f(x: Any) -> Any:
        h = x**2
        return lg.grad(lg.sum(h * h), [x, h])

    gx, gh = values(f, X)
    np.testing.assert_allclose(gh, 2 * X**2)
    np.testing.assert_allclose(gx, 4 * X**3)


def test_an_x_that_y_does_not_depend_on_gets_zeros() -> None:
    """Of its shape and dtype, in reverse and forward mode."""
    env = lg.VariableEnvironment()

    def step(ctx: lg.Context, x: Any, z: Any) -> Any:
        y = lg.sum(x * 2)
        late = lg.exp(y)
        return [*lg.grad(y, [z, late]), lg.jvp(y, z, lg.ones_like(z)), lg.jacobian(x, z), lg.hessian(y, x)]

    z = np.ones((2, 2), "float32")
    gz, glate, along, jacobian, hessian = env.run(step, np.ones(3), z)
    assert [(g.shape, str(g.dtype)) for g in (gz, glate, along)] == [
        ((2, 2), "float32"),
        ((), "float64"),
        ((), "float64"),
    ]
    assert jacobian.shape == (3, 2, 2)
    assert not any(np.any(g) for g in (gz, glate, along, jacobian, hessian))


def test_empty_lists_give_nothing() -> None:
    """The gradient of nothing is zeros, for nothing is nothing."""
    none, zeros, listed, along, nothing = values(
        lambda x: (lg.grad(x, []), lg.grad([], x), lg.grad([], [x]), lg.jvp(x, [], []), lg.jvp([], x, x)), X
    )
    assert none == nothing == []
    np.testing.assert_array_equal(zeros, np.zeros(3))
    np.testing.assert_array_equal(listed, [np.zeros(3)])
    np.testing.assert_array_equal(along, np.zeros(3))


def test_a_cotangent_is_summed_to_its_operand() -> None:
    """Where an operand was broadcast, along old and new axes."""
    ga, gb, gc = values(
        lambda a, b, c: lg.grad(lg.sum(lg.exp(a * b + c)), [a, b, c]), np.ones((2, 1)), np.ones((3, 1, 4)), np.zeros(())
    )
    assert (ga.shape, gb.shape, gc.shape) == ((2, 1), (3, 1, 4), ())
    np.testing.assert_allclose([ga[0, 0], gb[0, 0, 0], gc], np.array([12, 2, 24]) * math.e, rtol=1e-14)


def test_a_variable_read_twice_gets_the_sum() -> None:
    """Both uses are one tensor."""
    env = lg.VariableEnvironment(dtype="float64")
    env.name("w").set(X)

    def step(ctx: lg.Context) -> Any:
        return lg.grad(lg.sum(ctx.variable("w") * ctx.variable("w")), ctx.variable("w"))

    np.testing.assert_allclose(env.run(step), 2 * X)


def test_the_path_through_whole_numbers_is_cut() -> None:
    """What was cast to whole numbers is constant."""
    g = values(lambda x: lg.grad(lg.sum(x * x.astype("int64").astype("float64")), x), [1.5, -2.5])
    np.testing.assert_array_equal(g, [1.0, -2.0])


# Forward mode, Jacobians, Hessians.


def test_the_forward_derivative_is_the_jacobian_times_the_direction() -> None:
    """Of several ys and several xs at once."""
    v, w = RNG.normal(size=3), RNG.normal(size=(3, 3))
    y1, y2, alone = values(
        lambda x, a, v, w: (*lg.jvp([a @ x, lg.sum(x**3)], [x, a], [v, w]), lg.jvp(lg.sin(x), x, v)), X, A, v, w
    )
    np.testing.assert_allclose(y1, A @ v + w @ X, rtol=1e-13)
    np.testing.assert_allclose(y2, np.sum(3 * X**2 * v), rtol=1e-13)
    np.testing.assert_allclose(alone, np.cos(X) * v, rtol=1e-13)


def test_a_direction_for_an_x_named_twice_counts_twice() -> None:
    """The derivative is linear in all directions together."""
    got = values(lambda x: lg.jvp(x**2, [x, x], [lg.ones_like(x), 2 * lg.ones_like(x)]), X)
    np.testing.assert_allclose(got, 6 * X)


def test_the_jacobian_of_a_linear_map_is_its_matrix() -> None:
    """Tall and wide: by columns and by rows."""
    wide, tall = RNG.normal(size=(2, 3)), RNG.normal(size=(4, 3))
    got = values(lambda x, wide, tall: (lg.jacobian(wide @ x, x), lg.jacobian(tall @ x, x)), X, wide, tall)
    np.testing.assert_allclose(got[0], wide, rtol=1e-14)
    np.testing.assert_allclose(got[1], tall, rtol=1e-14)


@pytest.mark.parametrize(
    ("y", "x"),
    [((2, 2), (3,)), ((3,), (2, 2)), ((), (2, 3)), ((2, 3), ()), ((), ()), ((0,), (2,)), ((2,), (0,)), ((1,), (1,))],
)
def test_the_jacobian_has_the_axes_of_y_and_then_those_of_x(y: tuple[int, ...], x: tuple[int, ...]) -> None:
    """∂y[i]/∂x[j] of y = exp(W·x) for every shape."""
    n, m = math.prod(y), math.prod(x)
    w = RNG.normal(size=(n, m))
    at = RNG.normal(size=x)
    got = values(lambda x, w: lg.jacobian(lg.reshape(lg.exp(w @ lg.reshape(x, (m,))), y), x), at, w)
    expected = (np.exp(w @ at.reshape(m))[:, None] * w).reshape(y + x)
    assert got.shape == y + x
    np.testing.assert_allclose(got, expected, rtol=1e-13)


def test_the_hessian_of_a_quadratic_form_is_constant() -> None:
    """A + Aᵀ."""
    np.testing.assert_allclose(values(lambda x, a: lg.hessian(x @ a @ x, x), X, A), A + A.T, rtol=1e-13)


def test_the_hessian_of_the_rosenbrock_function() -> None:
    """(1−x)² + 100·(y−x²)² has [[1200x² − 400y + 2, −400x], [−400x, 200]]."""

    def f(p: Any) -> Any:
        return (1 - p[0]) ** 2 + 100 * (p[1] - p[0] ** 2) ** 2

    x, y = 0.7, -0.4
    expected = [[1200 * x * x - 400 * y + 2, -400 * x], [-400 * x, 200.0]]
    hessian, minimum = values(lambda p, m: (lg.hessian(f(p), p), lg.grad(f(m), m)), [x, y], [1.0, 1.0])
    np.testing.assert_allclose(hessian, expected, rtol=1e-13)
    np.testing.assert_array_equal(minimum, [0.0, 0.0])


def test_the_hessian_of_a_matrix_argument_has_four_axes() -> None:
    """Of Σ M³: 6·M on the diagonal."""
    m = RNG.normal(size=(2, 2))
    got = values(lambda m: lg.hessian(lg.sum(m**3), m), m)
    np.testing.assert_allclose(got.reshape(4, 4), np.diag(6 * m.ravel()), rtol=1e-13)


def test_the_hessian_vector_product_is_the_hessian_times_the_vector() -> None:
    """Without the matrix; for one x and for several."""
    v = RNG.normal(size=3)

    def f(x: Any) -> Any:
        return lg.sum(lg.sin(x) * lg.exp(x[::-1]))

    product, hessian, several = values(
        lambda x, v: (
            lg.hessian_vector_product(f(x), x, v),
            lg.hessian(f(x), x),
            lg.hessian_vector_product(lg.sum(x * x * v), [x, v], [v, x]),
        ),
        X,
        v,
    )
    np.testing.assert_allclose(product, hessian @ v, rtol=1e-12)
    np.testing.assert_allclose(several[0], 2 * v * v + 2 * X * X, rtol=1e-12)
    np.testing.assert_allclose(several[1], 2 * X * v, rtol=1e-12)


OPS: list[Callable[[Any, Any], Any]] = [
    lambda a, b: a * b,
    lambda a, b: a + 2 * b,
    lambda a, b: lg.sin(a) - b,
    lambda a, b: lg.tanh(a) / (2 + lg.cos(b)),
    lambda a, b: lg.broadcast_to(lg.sum(a), (3,)) * b,
    lambda a, b: a[::-1] + lg.exp(-b * b),
    lambda a, b: lg.cumulative_sum(a) * 0.3,
    lambda a, b: lg.where(a > b, a, b * b),
    lambda a, b: lg.concat([a[1:], b[:1]]),
    lambda a, b: lg.take(a, np.array([2, 2, 0])) * b,
]
Program = list[tuple[int, int, int]]


@settings(max_examples=60, deadline=None)
@given(
    program=st.lists(
        st.tuples(st.integers(0, len(OPS) - 1), st.integers(0, 50), st.integers(0, 50)), min_size=1, max_size=9
    ),
    seed=st.integers(0, 10_000),
)
def test_forward_and_reverse_mode_agree_on_random_graphs(program: Program, seed: int) -> None:
    """⟨w, J·v⟩ = ⟨Jᵀ·w, v⟩ for random graphs, points and directions."""
    rng = np.random.default_rng(seed)
    x, z, v, u, w = rng.normal(size=(5, 3))

    def f(x: Any, z: Any) -> Any:
        made = [x, z]
        for op, i, j in program:
            made.append(OPS[op](made[i % len(made)], made[j % len(made)]))
        return made[-1]

    def step(ctx: lg.Context, x: Any, z: Any, v: Any, u: Any, w: Any) -> Any:
        y = f(x, z)
        gx, gz = lg.grad(y, [x, z], w)
        return (
            lg.sum(w * lg.jvp(y, [x, z], [v, u])),
            lg.sum(gx * v) + lg.sum(gz * u),
            lg.sum(lg.abs(gx)) + lg.sum(lg.abs(gz)),
        )

    forward, reverse, scale = lg.VariableEnvironment(dtype="float64").run(step, x, z, v, u, w)
    np.testing.assert_allclose(forward, reverse, rtol=1e-10, atol=1e-12 * (1 + float(scale)))


# What users may do to derivatives.


def test_stop_gradient_holds_its_operand_constant() -> None:
    """In reverse and forward mode, and in second derivatives."""
    g, along, second = values(
        lambda x: (
            lg.grad(lg.sum(x * lg.stop_gradient(x)), x),
            lg.jvp(x * lg.stop_gradient(x), x, lg.ones_like(x)),
            lg.grad(lg.grad(lg.sum(x**2 * lg.stop_gradient(x)), x), x),
        ),
        X,
    )
    np.testing.assert_allclose(g, X)
    np.testing.assert_allclose(along, X)
    np.testing.assert_allclose(second, 2 * X)


def test_stop_gradient_hides_what_has_no_derivative() -> None:
    """An op without a derivative behind it is no error."""
    env = lg.VariableEnvironment(dtype="float64")

    def step(ctx: lg.Context, x: Any) -> Any:
        y = x * lg.stop_gradient(lg.zeta(1 + lg.exp(x), 2.0))
        z = x * lg.zeta(1 + lg.exp(lg.stop_gradient(x)), 2.0)
        return y / x, lg.grad(lg.sum(y), x), z / x, lg.grad(lg.sum(z), x), lg.jvp(z, x, lg.ones_like(x))

    y, gy, z, gz, tz = env.run(step, X)
    np.testing.assert_allclose(gy, y, rtol=1e-14)
    np.testing.assert_allclose(gz, z, rtol=1e-14)
    np.testing.assert_allclose(tz, z, rtol=1e-14)


def test_gradients_pass_through_hooks_shows_and_dependences(capsys: pytest.CaptureFixture[str]) -> None:
    """Unchanged; what is only waited for gets none."""
    env = lg.VariableEnvironment(dtype="float64")
    seen = []

    def step(ctx: lg.Context, x: Any, z: Any) -> Any:
        y = lg.depends_on(x.hook(lambda array: seen.append(array.copy())).show("x"), [z * 2]) ** 2
        return (*lg.grad(lg.sum(y), [x, z]), lg.jvp(y, [x, z], [lg.ones_like(x), lg.ones_like(z)]))

    gx, gz, along = env.run(step, X, np.ones(2))
    np.testing.assert_allclose(gx, 2 * X)
    np.testing.assert_allclose(along, 2 * X)
    np.testing.assert_array_equal(gz, np.zeros(2))
    np.testing.assert_array_equal(seen, [X])
    assert capsys.readouterr().out == f"x: {X}\n"


def test_a_custom_gradient_replaces_the_derivative() -> None:
    """In reverse mode, in forward mode, and beside other uses of the operand."""

    @lg.custom_gradient
    def straight_through(x: Any) -> Any:
        """Rounded, with the derivative of x."""
        return lg.round(x), lambda g: g

    y, g, along, both = values(
        lambda x: (
            straight_through(x),
            lg.grad(lg.sum(straight_through(x) * x), x),
            lg.jvp(straight_through(x), x, 3 * lg.ones_like(x)),
            lg.grad(lg.sum(lg.exp(straight_through(2 * x))), x),
        ),
        X,
    )
    np.testing.assert_array_equal(y, np.round(X))
    np.testing.assert_allclose(g, np.round(X) + X, rtol=1e-14)
    np.testing.assert_allclose(along, np.full(3, 3.0))
    np.testing.assert_allclose(both, 2 * np.exp(np.round(2 * X)), rtol=1e-14)
    assert (straight_through.__name__, straight_through.__doc__) == (
        "straight_through",
        "Rounded, with the derivative of x.",
    )


def test_a_custom_gradient_of_several_operands() -> None:
    """One cotangent each, ``None`` for zero, summed where an operand was broadcast; numbers may be operands."""

    @lg.custom_gradient
    def f(a: Any, b: Any, c: Any) -> Any:
        return a * b + c, lambda g: (g * 10, None, lg.broadcast_to(g, (2, 3)))

    ga, gb, gc = values(lambda a, b, c: lg.grad(lg.sum(f(a, b, c)), [a, b, c]), X, X, np.ones((2, 3)))
    np.testing.assert_array_equal(ga, np.full(3, 20.0))
    np.testing.assert_array_equal(gb, np.zeros(3))
    np.testing.assert_array_equal(gc, np.ones((2, 3)))
    np.testing.assert_array_equal(values(lambda a: lg.grad(f(a, 2.0, 1), a), X), np.full(3, 10.0))


def test_the_derivative_of_a_custom_gradient_is_that_of_its_formula() -> None:
    """Second order goes through what the rule wrote, which may use value and operands."""

    @lg.custom_gradient
    def cube(x: Any) -> Any:
        return x**3, lambda g: g * 5 * x**2  # not 3, so that it can be told from the real one

    first, second, third = values(
        lambda x: (
            lg.grad(cube(x), x),
            lg.grad(lg.grad(cube(x), x), x),
            lg.grad(lg.grad(lg.grad(cube(x), x), x), x),
        ),
        X,
    )
    np.testing.assert_allclose(first, 5 * X**2, rtol=1e-14)
    np.testing.assert_allclose(second, 10 * X, rtol=1e-14)
    np.testing.assert_allclose(third, np.full(3, 10.0), rtol=1e-14)


def test_a_custom_gradient_may_change_from_run_to_run() -> None:
    """What a rule closes over is read anew when the step is called anew."""
    env = lg.VariableEnvironment(dtype="float64")
    factor = 1.0
    use_custom = True

    def step(ctx: lg.Context, x: Any) -> Any:
        @lg.custom_gradient
        def scaled(x: Any) -> Any:
            return lg.sin(x), (lambda g: g * factor) if use_custom else (lambda g: g * lg.cos(x))

        before = lg.grad(lg.sum(x * x), x)
        return before, lg.grad(scaled(x), x), lg.grad(lg.sum(scaled(x) * x), x)

    for factor in (1.0, 1.0, 2.0, 2.0, 1.0, -3.0):
        before, got, product = env.run(step, X)
        np.testing.assert_allclose(before, 2 * X)
        np.testing.assert_array_equal(got, np.full(3, factor))
        np.testing.assert_allclose(product, factor * X + np.sin(X), rtol=1e-14)
    use_custom = False
    for _ in range(2):
        np.testing.assert_allclose(env.run(step, X)[1], np.cos(X))


def test_two_custom_gradients_of_one_shape_are_not_mixed_up() -> None:
    """Equal values with unlike rules, in one graph."""

    @lg.custom_gradient
    def one(x: Any) -> Any:
        return x * 2, lambda g: g

    @lg.custom_gradient
    def seven(x: Any) -> Any:
        return x * 2, lambda g: 7 * g

    a, b, both = values(
        lambda x: (lg.grad(one(x), x), lg.grad(seven(x), x), lg.grad(lg.sum(one(x) * 1.0 + seven(x)), x)), X
    )
    np.testing.assert_array_equal(a, np.ones(3))
    np.testing.assert_array_equal(b, np.full(3, 7.0))
    np.testing.assert_array_equal(both, np.full(3, 8.0))


def test_a_step_with_another_gradient_than_the_last_run_is_written_anew() -> None:
    """A graph of an earlier run is a help in writing, never an answer."""
    env = lg.VariableEnvironment(dtype="float64")

    def step(ctx: lg.Context, x: Any, which: int) -> Any:
        y, z = lg.sin(x), x**3
        return lg.grad([y, z][which], x), lg.grad([z, y][which], x)

    for which in (0, 0, 1, 0, 1, 1):
        got = env.run(step, X, which)
        expected = [np.cos(X), 3 * X**2]
        np.testing.assert_allclose(got, expected[::-1] if which else expected, rtol=1e-14)


def test_a_gradient_penalty_trains_through_a_gradient() -> None:
    """The gradient of the length of a gradient, in closed form: ∂/∂w of ½·|∂(½w²x²)/∂x|² = 2·w³·x²."""
    w, x = 1.5, 0.7
    got = values(
        lambda w, x: lg.grad(0.5 * lg.square(lg.grad(0.5 * lg.square(w * x), x)), w),
        w,
        x,
    )
    np.testing.assert_allclose(got, 2 * w**3 * x**2, rtol=1e-14)


def test_the_derivative_of_an_op_with_several_results() -> None:
    """Of one result alone, of both, and forward."""
    s = A @ A.T + 3 * np.eye(3)

    def f(a: Any) -> Any:
        lower = lg.linalg.cholesky(a)
        sign, logdet = lg.linalg.slogdet(a)
        return (
            lg.grad(logdet, a),
            lg.grad(lg.sum(lg.log(lg.diagonal(lower))) * 2, a),
            lg.jvp(logdet, a, lg.eye(3)),
            sign,
        )

    one, two, along, sign = values(f, s)
    np.testing.assert_allclose(one, np.linalg.inv(s).T, rtol=1e-11)
    np.testing.assert_allclose((two + two.T) / 2, np.linalg.inv(s), rtol=1e-11)
    np.testing.assert_allclose(along, np.trace(np.linalg.inv(s)), rtol=1e-11)
    assert sign == 1.0


def test_gradients_are_marked_as_such_in_the_graph() -> None:
    """For pictures: forward, gradient and update parts, at the lines they stem from."""
    env = lg.VariableEnvironment()
    env.name("w").set(np.ones(3, "float32"))
    sgd = lg.optim.SGD(env, 0.1)

    def step(ctx: lg.Context) -> Any:
        loss = lg.sum(lg.exp(ctx.variable("w")))
        return loss, sgd.minimize(loss)

    graph = env.trace(step)
    parts = [origin.part for origin in graph.origins]
    assert set(parts) == {"forward", "gradient", "update"}
    assert all(origin.code is step.__code__ for origin in graph.origins)
    ops = {(node.op.name, part) for node, part in zip(graph.nodes, parts, strict=True)}
    assert {("exp", "forward"), ("strong_multiply", "gradient"), ("assign", "update")} <= ops
