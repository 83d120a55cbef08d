"""What a step is given: variables, placeholders, constants, assignments, evaluators, draws, looking in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import lazygrad as lg


@pytest.fixture
def env() -> lg.VariableEnvironment:
    """Trainable and other variables, in nested namespaces."""
    env = lg.VariableEnvironment(seed=0)
    env.name("w").set(np.array([1.0, 2.0, 3.0], "float32"))
    env.name("frozen").set(np.zeros(1, "float32"), trainable=False)
    env.name("net/a").set(np.full(2, 2.0, "float32"))
    env.name("net/deep/b").set(np.full(3, 3.0, "float32"))
    env.name("net/deep/c").set(np.full(4, 4.0, "float32"), trainable=False)
    env.name("network").set(np.full(5, 5.0, "float32"))
    return env


# Variables.


def test_a_variable_is_read_by_path_or_by_itself(env: lg.VariableEnvironment) -> None:
    """Both give the same tensor, every time."""
    b = env.namespace("net/deep").variables()[0]

    def step(ctx: lg.Context) -> Any:
        one, two = ctx.variable("net/deep/b"), ctx.variable(b)
        assert one is two
        assert ctx.variable("net/deep/b") is one
        return one

    assert env.run(step).tolist() == [3.0, 3.0, 3.0]


SELECTED: list[tuple[dict[str, Any], list[int]]] = [
    ({}, [3, 2, 3, 5]),
    ({"trainable": None}, [3, 1, 2, 3, 4, 5]),
    ({"trainable": False}, [1, 4]),
    ({"namespace": ""}, [3, 5]),
    ({"namespace": "net"}, [2, 3]),
    ({"namespace": "net/deep"}, [3]),
    ({"namespace": "net/deep", "trainable": None}, [3, 4]),
    ({"namespace": "ne"}, []),
    ({"namespace": "none"}, []),
]


@pytest.mark.parametrize(("chosen", "sizes"), SELECTED, ids=[str(chosen) for chosen, _ in SELECTED])
def test_variables_are_chosen_by_namespace_and_trainability(
    env: lg.VariableEnvironment, chosen: dict[str, Any], sizes: list[int]
) -> None:
    """In order of registration; a namespace includes those within it, the default one is alone."""
    assert [v.size for v in env.run(lambda ctx: ctx.variables(**chosen))] == sizes


def test_an_assignment_names_its_variable_in_four_ways(env: lg.VariableEnvironment) -> None:
    """By path, variable, tensor, and a number is broadcast to nothing: shapes must be equal."""
    w = next(iter(env))
    for k, target in enumerate((lambda ctx: "w", lambda ctx: w, lambda ctx: ctx.variable("w"))):
        env.run(lambda ctx, target=target, k=k: ctx.assign(target(ctx), np.full(3, k)))
        assert env["w"].tolist() == [k, k, k]
    with pytest.raises(lg.SpecError):
        env.run(lambda ctx: ctx.assign("w", 0.0))


def test_updates_can_be_grouped(env: lg.VariableEnvironment) -> None:
    """One update op that makes several assignments."""

    def step(ctx: lg.Context) -> Any:
        both = lg.group(ctx.assign("w", ctx.variable("w") * 2), ctx.assign("frozen", [7.0]))
        assert repr(both) == "<Update of w, frozen>"
        return both

    assert env.run(step) is None
    assert (env["w"].tolist(), env["frozen"].tolist()) == ([2.0, 4.0, 6.0], [7.0])
    assert env.run(lambda ctx: lg.group()) is None


# Placeholders and constants.


def test_a_placeholder_is_fed_by_name(env: lg.VariableEnvironment) -> None:
    """Under run and compile; cast within its kind; a list will do."""

    def step(ctx: lg.Context) -> Any:
        x = ctx.placeholder("x", (2, 2))
        assert (x.shape, x.dtype) == ((2, 2), np.dtype("float32"))
        return x * 2

    for array in (np.ones((2, 2)), np.ones((2, 2), "float16"), [[1, 1], [1, 1]], np.ones((2, 2), "float32", order="F")):
        for call in (
            lambda array=array: env.run(step, feeds={"x": array}),
            lambda array=array: env.compile(step)(feeds={"x": array}),
        ):
            value = call()
            assert (value.tolist(), str(value.dtype)) == ([[2.0, 2.0], [2.0, 2.0]], "float32")


def test_a_size_of_minus_one_is_that_of_the_array(env: lg.VariableEnvironment) -> None:
    """Each call may have another; compile traces again for it."""
    traces = []

    def step(ctx: lg.Context) -> Any:
        x = ctx.placeholder("x", (-1, 2))
        traces.append(x.shape)
        return lg.sum(x, axis=0)

    fast = env.compile(step)
    for n in (1, 3, 1, 0):
        assert env.run(step, feeds={"x": np.ones((n, 2))}).tolist() == [n, n]
        assert fast(feeds={"x": np.ones((n, 2))}).tolist() == [n, n]
    assert traces == [(1, 2), (1, 2), (3, 2), (3, 2), (1, 2), (0, 2), (0, 2)]


def test_one_name_is_one_placeholder(env: lg.VariableEnvironment) -> None:
    """Asked for twice it is the same tensor."""

    def step(ctx: lg.Context) -> Any:
        assert ctx.placeholder("x", 3) is ctx.placeholder("x", (3,), "float32")
        return ctx.placeholder("x", 3)

    assert env.run(step, feeds={"x": [1, 2, 3]}).tolist() == [1.0, 2.0, 3.0]


def test_a_constant_is_a_copy(env: lg.VariableEnvironment) -> None:
    """Changing the array afterwards, within the step or between compiled calls, changes nothing."""
    array = np.ones(2)

    def step(ctx: lg.Context) -> Any:
        c = ctx.constant(array)
        array[...] = 5
        return c * 2

    fast = env.compile(step)
    assert fast().tolist() == [2.0, 2.0]
    for _ in range(3):
        assert fast().tolist() == [2.0, 2.0]


@pytest.mark.parametrize(
    ("value", "dtype"),
    [
        (True, "bool"),
        (3, "int64"),
        (0.5, "float32"),
        (np.float16(1), "float16"),
        (np.ones(1, "uint8"), "uint8"),
        ([1, 2], "int64"),
        ([0.5], "float32"),
        ([[True]], "bool"),
        ([], "float32"),
        (np.ones((0, 2)), "float64"),
    ],
)
def test_a_constant_has_the_dtype_of_what_it_is_made_of(env: lg.VariableEnvironment, value: Any, dtype: str) -> None:
    """Or the environment's where that has none."""
    got = env.run(lambda ctx: ctx.constant(value))
    assert got.dtype == dtype
    np.testing.assert_array_equal(got, value)


def test_a_constant_may_be_given_a_dtype(env: lg.VariableEnvironment) -> None:
    """Arrays, numbers and tensors are cast."""

    def step(ctx: lg.Context) -> Any:
        return [ctx.constant(v, "int32") for v in ([1.7], 2, 3.0, np.float64(4), ctx.variable("frozen"))]

    assert [(v.ravel().tolist(), str(v.dtype)) for v in env.run(step)] == [([k], "int32") for k in (1, 2, 3, 4, 0)]


def test_constants_of_other_values_are_right_at_every_run(env: lg.VariableEnvironment) -> None:
    """An array is beside the graph: the program of an earlier run takes the new one."""

    def step(ctx: lg.Context, k: int) -> Any:
        return ctx.constant(np.full(2, float(k))) + k, ctx.variable("w")[np.array([k % 3, 0])]

    for k in range(6):
        total, picked = env.run(step, k)
        assert total.tolist() == [2.0 * k] * 2
        assert picked.tolist() == [1.0 + k % 3, 1.0]


# Evaluators.


def test_an_evaluator_returns_one_entry_a_push_in_push_order(env: lg.VariableEnvironment) -> None:
    """None for an update op; pushing returns the evaluator."""

    def step(ctx: lg.Context) -> Any:
        w = ctx.variable("w")
        evaluator = ctx.evaluator()
        assert evaluator.push(w + 1) is evaluator
        assert evaluator.extend([ctx.assign("w", w * 2), w, w + 1]) is evaluator
        values = evaluator.push(lg.sum(w)).run()
        return [v if v is None else v.tolist() for v in values]

    assert env.run(step) == [[2.0, 3.0, 4.0], None, [1.0, 2.0, 3.0], [2.0, 3.0, 4.0], 6.0]


def test_an_evaluator_of_nothing_returns_nothing(env: lg.VariableEnvironment) -> None:
    """It may be asked."""
    assert env.run(lambda ctx: ctx.evaluator().run()) == []


def test_an_evaluator_may_run_again(env: lg.VariableEnvironment) -> None:
    """Each run is a transaction of its own, with fresh draws."""

    def step(ctx: lg.Context) -> Any:
        w = ctx.variable("w")
        evaluator = ctx.evaluator().push(ctx.assign("w", w + 1)).push(w).push(ctx.random.normal(2))
        return [evaluator.run()[1:] for _ in range(3)]

    runs = env.run(step)
    assert [w.tolist() for w, _ in runs] == [[1.0 + k, 2.0 + k, 3.0 + k] for k in range(3)]
    assert len({draw.tobytes() for _, draw in runs}) == 3


def test_an_evaluator_is_fed_by_name_or_placeholder(env: lg.VariableEnvironment) -> None:
    """Its feeds go before those of the run, and are its own."""

    def step(ctx: lg.Context) -> Any:
        x, y = ctx.placeholder("x", 2), ctx.placeholder("y", 2)
        one = ctx.evaluator().push(x + y).feed("x", [1, 1]).feed(y, [2, 2]).run()
        two = ctx.evaluator().push(x + y).feed("x", [5, 5]).run()
        three = ctx.evaluator().feed(x, np.zeros(2)).feed(x, np.ones(2)).push(x).run()
        return [v.tolist() for v in (*one, *two, *three)]

    assert env.run(step, feeds={"y": [10, 10]}) == [[3.0, 3.0], [15.0, 15.0], [1.0, 1.0]]


def test_an_argument_can_be_fed_another_array_in_an_evaluator(env: lg.VariableEnvironment) -> None:
    """It is a placeholder too."""

    def step(ctx: lg.Context, x: Any) -> Any:
        return ctx.evaluator().push(x * 2).feed(x, [3.0, 4.0]).run()[0].tolist(), x

    swapped, own = env.run(step, np.ones(2))
    assert swapped == [6.0, 8.0]
    assert own.tolist() == [1.0, 1.0]


def test_values_can_be_looked_at_while_writing(env: lg.VariableEnvironment) -> None:
    """``eval`` gives the value now; Python may branch on it."""

    def step(ctx: lg.Context) -> Any:
        total = lg.sum(ctx.variable("w"))
        return total * 2 if total.eval() > 5 else total

    assert env.run(step).tolist() == 12.0
    env["w"] = [0, 0, 0]
    assert env.run(step).tolist() == 0.0


# Looking in.


def test_a_hook_gets_the_value_at_every_evaluation(env: lg.VariableEnvironment) -> None:
    """A copy, which it may keep and change; the tensor passes through."""
    kept = []

    def hook(array: Any) -> None:
        kept.append(array)

    def step(ctx: lg.Context) -> Any:
        w = ctx.variable("w").hook(hook)
        return w * 2, ctx.assign("w", w + 1)

    fast = env.compile(step)
    for k, call in enumerate((lambda: env.run(step), lambda: env.run(step), fast, fast)):
        value, _ = call()
        assert value.tolist() == [2.0 + 2 * k, 4.0 + 2 * k, 6.0 + 2 * k]
        kept[-1] *= 100
    assert [array.tolist() for array in kept] == [[100.0 * (1 + k), 100.0 * (2 + k), 100.0 * (3 + k)] for k in range(4)]


def test_equal_hooks_on_one_tensor_are_both_called(env: lg.VariableEnvironment) -> None:
    """Nodes that do something are never merged."""
    seen: list[Any] = []

    def step(ctx: lg.Context) -> Any:
        w = ctx.variable("w")
        return w.hook(seen.append) + w.hook(seen.append)

    for n in (2, 4, 6):
        env.run(step)
        assert len(seen) == n


def test_a_changed_hook_is_the_one_that_is_called(env: lg.VariableEnvironment) -> None:
    """A new function at every run, as a lambda in the step is."""
    seen = []

    def step(ctx: lg.Context, k: int) -> Any:
        return ctx.variable("w").hook(lambda array: seen.append(k))

    for k in range(4):
        env.run(step, k)
    assert seen == [0, 1, 2, 3]


def test_show_prints_the_value_after_a_label(env: lg.VariableEnvironment, capsys: pytest.CaptureFixture[str]) -> None:
    """When it is evaluated; the tensor passes through."""

    def step(ctx: lg.Context) -> Any:
        return ctx.variable("w").show("w") * 1, ctx.variable("frozen").show()

    env.trace(step)
    assert capsys.readouterr().out == ""
    for call in (lambda: env.run(step), lambda: env.run(step), env.compile(step)):
        assert call()[0].tolist() == [1.0, 2.0, 3.0]
        assert capsys.readouterr().out == "w: [1. 2. 3.]\n[0.]\n"


def test_what_another_tensor_waits_for_is_evaluated_first(env: lg.VariableEnvironment) -> None:
    """``depends_on`` sets an order between things that are looked at."""
    order: list[str] = []

    def first(array: Any) -> None:
        order.append("first")

    def second(array: Any) -> None:
        order.append("second")

    def step(ctx: lg.Context) -> Any:
        w = ctx.variable("w")
        return lg.depends_on(w, [ctx.variable("frozen").hook(first)]).hook(second)

    for _ in range(3):
        assert env.run(step).tolist() == [1.0, 2.0, 3.0]
    assert order == ["first", "second"] * 3


# Tensors.


def test_a_variable_is_one_tensor_in_one_call_of_a_step(env: lg.VariableEnvironment) -> None:
    """However often it is asked for, and by whom, so that it can be a key; ``==`` compares elements."""

    def step(ctx: lg.Context) -> Any:
        w = ctx.variable("w")
        other = w + 0
        assert w is ctx.variable("w")
        assert w is ctx.variables()[0]
        assert hash(w) == hash(ctx.variable("w"))
        assert {w: "w", other: "other"}[ctx.variable("w")] == "w"
        return w == [1.0, 0.0, 3.0]

    assert env.run(step).tolist() == [True, False, True]


def test_a_tensor_knows_its_shape_and_dtype(env: lg.VariableEnvironment) -> None:
    """Without being computed."""

    def step(ctx: lg.Context, x: Any) -> Any:
        assert (x.shape, x.ndim, x.size, x.dtype) == ((2, 3, 4), 3, 24, np.dtype("float64"))
        assert (x.T.shape, x.mT.shape, len(x)) == ((4, 3, 2), (2, 4, 3), 2)
        assert [row.shape for row in x] == [(3, 4), (3, 4)]
        assert repr(x) == "<Tensor float64[2, 3, 4] placeholder 'x'>"
        _, second = x
        return x.T, x.mT, second, x.flatten(), x.reshape(-1, 4), x.sum(axis=1), x.max(), x.astype("int32")

    x = np.arange(24.0).reshape(2, 3, 4)
    expected = [x.T, x.transpose(0, 2, 1), x[1], x.ravel(), x.reshape(-1, 4), x.sum(axis=1), x.max(), x.astype("int32")]
    for got, right in zip(env.run(step, x), expected, strict=True):
        np.testing.assert_array_equal(got, right)


OPERATORS: list[Callable[[Any, Any], Any]] = [
    lambda a, b: a + b,
    lambda a, b: a - b,
    lambda a, b: a * b,
    lambda a, b: a / b,
    lambda a, b: a // b,
    lambda a, b: a % b,
    lambda a, b: a**b,
    lambda a, b: a @ b,
    lambda a, b: a < b,
    lambda a, b: a <= b,
    lambda a, b: a > b,
    lambda a, b: a >= b,
    lambda a, b: divmod(a, b)[0],
    lambda a, b: divmod(a, b)[1],
]
INTEGER_OPERATORS: list[Callable[[Any, Any], Any]] = [
    lambda a, b: a & b,
    lambda a, b: a | b,
    lambda a, b: a ^ b,
    lambda a, b: a << b,
    lambda a, b: a >> b,
]


def test_operators_are_numpys_whatever_stands_on_either_side(env: lg.VariableEnvironment) -> None:
    """Tensor and tensor, array, NumPy number, Python number."""
    a, b = np.array([1.5, 2.5, -3.0]), np.array([2.0, 4.0, 3.0])

    def step(ctx: lg.Context, x: Any, y: Any) -> Any:
        return [
            [f(x, y), f(x, b), f(a, y)]
            + ([f(x, 2.0), f(2.0, y), f(x, np.float64(3)), f(np.float64(3), y)] if f is not matmul else [])
            for f in OPERATORS
        ]

    matmul = OPERATORS[7]
    for f, got in zip(OPERATORS, env.run(step, a, b), strict=True):
        expected = [f(a, b)] * 3
        if f is not matmul:
            expected += [f(a, 2.0), f(2.0, b), f(a, np.float64(3)), f(np.float64(3), b)]
        with np.errstate(all="ignore"):
            for x, y in zip(got, expected, strict=True):
                np.testing.assert_array_equal(x, y)
                assert isinstance(x, np.ndarray)


def test_operators_on_whole_numbers_are_numpys(env: lg.VariableEnvironment) -> None:
    """And, or, exclusive or, shifts, inversion; sign and magnitude."""
    a, b = np.array([12, 7, -3]), np.array([1, 2, 3])

    def step(ctx: lg.Context, x: Any, y: Any) -> Any:
        return [[f(x, y), f(a, y), f(x, 2), f(2, y)] for f in INTEGER_OPERATORS], [~x, -x, +x, abs(x)]

    binary, unary = env.run(step, a, b)
    for f, got in zip(INTEGER_OPERATORS, binary, strict=True):
        for x, y in zip(got, [f(a, b), f(a, b), f(a, 2), f(2, b)], strict=True):
            np.testing.assert_array_equal(x, y)
    for x, y in zip(unary, [~a, -a, +a, abs(a)], strict=True):
        np.testing.assert_array_equal(x, y)


# Draws.


def test_draws_have_the_moments_of_their_distribution() -> None:
    """Mean and variance of 200,000 numbers, within five standard errors."""
    n = 200_000
    env = lg.VariableEnvironment(seed=1, dtype="float64")

    def step(ctx: lg.Context) -> Any:
        r = ctx.random
        return {
            "uniform": r.uniform(n, low=-1.0, high=3.0),
            "normal": r.normal(n, mean=2.0, std=3.0),
            "exponential": r.exponential(n, scale=2.0),
            "bernoulli": r.bernoulli(n, 0.3).astype("float64"),
            "gamma": r.gamma(n, 2.5, scale=2.0),
            "log_normal": r.log_normal(n, mean=0.0, std=0.5),
            "integers": r.integers(n, 0, 6).astype("float64"),
        }

    expected = {
        "uniform": (1.0, 16 / 12),
        "normal": (2.0, 9.0),
        "exponential": (2.0, 4.0),
        "bernoulli": (0.3, 0.21),
        "gamma": (5.0, 10.0),
        "log_normal": (np.exp(0.125), (np.exp(0.25) - 1) * np.exp(0.25)),
        "integers": (2.5, 35 / 12),
    }
    for name, x in env.run(step).items():
        mean, variance = expected[name]
        fourth = np.mean((x - x.mean()) ** 4)
        assert abs(x.mean() - mean) < 5 * np.sqrt(variance / n)
        assert abs(x.var() - variance) < 5 * np.sqrt((fourth - variance**2) / n)


def test_draws_stay_in_their_range() -> None:
    """Uniform numbers from low up to high, permutations of all numbers, whole numbers within their bounds."""
    env = lg.VariableEnvironment(seed=1)

    def step(ctx: lg.Context) -> Any:
        r = ctx.random
        return (
            r.uniform(10_000, low=2, high=3),
            r.permutation(100),
            r.integers(1000, -2, 2),
            r.bernoulli((50,), 0),
            r.bernoulli(50, 1),
        )

    uniform, permutation, integers, never, always = env.run(step)
    assert uniform.min() >= 2
    assert uniform.max() <= 3
    assert sorted(permutation) == list(range(100))
    assert permutation.tolist() != list(range(100))
    assert set(integers) == {-2, -1, 0, 1}
    assert not never.any()
    assert always.all()


def test_parameters_of_draws_may_be_tensors_with_gradients() -> None:
    """Location and scale pass the gradient on: the draw is a formula of them."""
    env = lg.VariableEnvironment(seed=1, dtype="float64")

    def step(ctx: lg.Context, m: Any, s: Any) -> Any:
        draws = [
            ctx.random.normal((2, 3), mean=m, std=s),
            ctx.random.uniform((2, 3), low=m, high=m + s),
            ctx.random.exponential((2, 3), scale=s) + m,
            ctx.random.gamma((2, 3), 2.0, scale=s) + m,
        ]
        return [(x, *lg.grad(lg.sum(x), [m, s])) for x in draws]

    m, s = np.array([1.0, 2.0, 3.0]), np.array([[2.0], [3.0]])
    for x, gm, gs in env.run(step, m, s):
        assert x.shape == (2, 3)
        np.testing.assert_allclose(gm, np.full(3, 2.0))
        np.testing.assert_allclose(gs, np.sum((x - m) / s, axis=1, keepdims=True), rtol=1e-12)


def test_draws_keep_the_dtype_of_the_environment() -> None:
    """Whatever the dtype of their parameters."""
    for dtype, other in (("float32", "float64"), ("float64", "float32")):
        env = lg.VariableEnvironment(seed=1, dtype=dtype)

        def step(ctx: lg.Context, p: Any) -> Any:
            r = ctx.random
            return (
                r.normal(2, mean=p, std=np.float64(2)),
                r.uniform(2, low=p, high=9),
                r.gamma(2, p),
                r.exponential(2, scale=p),
            )

        assert {str(x.dtype) for x in env.run(step, np.ones(2, other))} == {dtype}
        assert env.run(lambda ctx, name: ctx.random.normal(2, dtype=name), other).dtype == other


def test_draws_of_any_shape() -> None:
    """A size, a tuple, nothing, no elements."""
    env = lg.VariableEnvironment(seed=1)
    shapes: list[Any] = [3, (3,), [2, 3], (), (0, 2), np.int64(4)]

    def step(ctx: lg.Context) -> Any:
        return [(ctx.random.normal(s), ctx.random.gamma(s), ctx.random.integers(s, 0, 2)) for s in shapes]

    for got, shape in zip(env.run(step), [(3,), (3,), (2, 3), (), (0, 2), (4,)], strict=True):
        assert {x.shape for x in got} == {shape}
