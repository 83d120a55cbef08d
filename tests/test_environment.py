"""Variables, namespaces, and running steps on an environment."""

from __future__ import annotations

from collections import OrderedDict, defaultdict, namedtuple
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import pytest
from snapshots import place, snapshot

import lazygrad as lg

Pair = namedtuple("Pair", "first second")


@pytest.fixture
def env() -> lg.VariableEnvironment:
    """Variables in nested namespaces, in an order that is not the alphabet's."""
    env = lg.VariableEnvironment(seed=0)
    env.name("w").set(np.ones((2, 3), "float32"))
    env.namespace("encoder").name("bias").set(np.zeros(2), trainable=False)
    env.namespace("encoder").namespace("layer1").name("w").set([1.0, 2.0])
    env.name("a").set(3)
    env.name("encoder/layer2/w").set(True)
    env.name("encoders").set(1.5)
    return env


# Variables and namespaces.


def test_a_variable_knows_all_about_itself(env: lg.VariableEnvironment) -> None:
    """Name, namespace, path, shape, dtype, whether it is trained, and a copy of its value."""
    v = env.namespace("encoder").namespace("layer9").name("v").set([[1, 2]], trainable=False)
    assert (v.name, v.namespace, v.path) == ("v", "encoder/layer9", "encoder/layer9/v")
    assert (v.shape, v.dtype, v.trainable) == ((1, 2), np.dtype("int64"), False)
    assert v.value.tolist() == [[1, 2]]
    assert repr(v) == "<Variable 'encoder/layer9/v' int64[1, 2], not trainable>"
    w = next(iter(env))
    assert (w.name, w.namespace, w.trainable) == ("w", "", True)
    assert repr(w) == "<Variable 'w' float32[2, 3]>"


def test_variables_are_listed_in_order_of_registration(env: lg.VariableEnvironment) -> None:
    """By the environment itself, which has a length and knows what it contains."""
    paths = ["w", "encoder/bias", "encoder/layer1/w", "a", "encoder/layer2/w", "encoders"]
    assert [v.path for v in env] == paths
    assert len(env) == 6
    assert all(path in env for path in paths)
    assert "layer1/w" not in env
    assert "encoder" not in env


def test_variables_may_be_registered_while_they_are_listed(env: lg.VariableEnvironment) -> None:
    """The list is that of the beginning."""
    for v in env:
        env.name(f"copy/{v.path}").set(v.value)
    assert len(env) == 12


def test_an_array_keeps_its_dtype_and_numbers_get_one(env: lg.VariableEnvironment) -> None:
    """Floats the environment's, whole numbers and booleans NumPy's."""
    assert [str(v.dtype) for v in env] == ["float32", "float64", "float32", "int64", "bool", "float32"]
    assert env.name("half").set(np.ones(2, "float16")).dtype == "float16"
    assert env.name("scalar").set(np.float64(2)).dtype == "float64"
    assert env.name("big-endian").set(np.ones(2, ">f8")).dtype == "float64"


def test_setting_keeps_shape_and_dtype(env: lg.VariableEnvironment) -> None:
    """Whatever is given is cast."""
    env["encoder/layer1/w"] = np.array([3, 4])
    assert env["encoder/layer1/w"].dtype == "float32"
    assert env["encoder/layer1/w"].tolist() == [3.0, 4.0]
    env["a"] = 7.9
    assert (env["a"].dtype, env["a"].tolist()) == (np.dtype("int64"), 7)


def test_an_array_that_is_not_contiguous_is_registered_as_it_is(env: lg.VariableEnvironment) -> None:
    """Transposed, strided, reversed, broadcast, read-only, empty."""
    base = np.arange(12.0).reshape(3, 4)
    frozen = base.copy()
    frozen.flags.writeable = False
    arrays = [
        base.T,
        base[::2, ::-1],
        np.broadcast_to(base[0], (2, 4)),
        frozen,
        np.empty((0, 3)),
        np.float64(3).reshape(()),
    ]
    for i, array in enumerate(arrays):
        env.name(f"v{i}").set(array)
        np.testing.assert_array_equal(env[f"v{i}"], array)
    total = env.run(lambda ctx: [ctx.assign(f"v{i}", ctx.variable(f"v{i}") + 1) for i in range(6)])
    assert total == [None] * 6
    for i, array in enumerate(arrays):
        np.testing.assert_array_equal(env[f"v{i}"], array + 1)


def test_the_namespaces_are_those_that_have_variables(env: lg.VariableEnvironment) -> None:
    """In order of their first one; the default one has the empty path."""
    assert [n.path for n in env.namespaces()] == ["", "encoder", "encoder/layer1", "encoder/layer2"]
    assert env.default_namespace().path == ""


def test_a_namespace_is_a_mapping_of_its_own_names_to_arrays(env: lg.VariableEnvironment) -> None:
    """Without the variables of namespaces within it."""
    default = env.default_namespace()
    assert isinstance(default, Mapping)
    assert list(default) == ["w", "a", "encoders"]
    assert len(default) == 3
    assert "a" in default
    assert "bias" not in default
    assert default.get("none", "instead") == "instead"
    encoder = env.namespace("encoder")
    assert {name: array.tolist() for name, array in encoder.items()} == {"bias": [0.0, 0.0]}
    assert encoder["layer1/w"].tolist() == [1.0, 2.0]
    assert [v.path for v in encoder.variables()] == ["encoder/bias"]
    assert repr(default) == "<Namespace '': w, a, encoders>"


def test_namespaces_nest(env: lg.VariableEnvironment) -> None:
    """A path with slashes is the same as one after the other."""
    one = env.namespace("encoder/layer1")
    two = env.namespace("encoder").namespace("layer1")
    assert one.path == two.path == "encoder/layer1"
    assert one["w"].tolist() == two["w"].tolist() == env["encoder/layer1/w"].tolist()
    two.name("deep/er").set(1.0)
    assert "encoder/layer1/deep/er" in env


def test_an_empty_namespace_may_be_held(env: lg.VariableEnvironment) -> None:
    """It fills later."""
    empty = env.namespace("later")
    assert (list(empty), repr(empty)) == ([], "<Namespace 'later': empty>")
    empty.name("v").set(1.0)
    assert list(empty) == ["v"]


def test_an_environment_shows_what_it_is(env: lg.VariableEnvironment) -> None:
    """How many variables, and where."""
    assert repr(env) == "<VariableEnvironment of 6 variables on numpy>"
    assert env.backend == "numpy"


# Running.


def test_a_result_has_the_structure_of_what_the_step_returned(env: lg.VariableEnvironment) -> None:
    """Nested tuples, named tuples, lists and dicts; None for update ops; anything else passes through."""
    marker = object()

    def step(ctx: lg.Context) -> Any:
        a = ctx.variable("a")
        return {
            "tensors": (a, [a + 1, {"deep": a * 2}]),
            "update": ctx.assign("a", a),
            7: Pair(a, (marker, "text", None, 2.5)),
            "empty": ((), [], {}),
        }

    for result in (env.run(step), env.run(step), env.compile(step)()):
        assert list(result) == ["tensors", "update", 7, "empty"]
        first, (second, deep) = result["tensors"]
        assert (first.tolist(), second.tolist(), deep["deep"].tolist()) == (3, 4, 6)
        assert result["update"] is None
        assert isinstance(result[7], Pair)
        assert result[7].first.tolist() == 3
        assert result[7].second == (marker, "text", None, 2.5)
        assert result["empty"] == ((), [], {})


def test_a_dict_of_another_class_keeps_its_class(env: lg.VariableEnvironment) -> None:
    """Ordered and default dicts."""

    def step(ctx: lg.Context) -> Any:
        d: Any = defaultdict(list)
        d["x"] = ctx.variable("a")
        return OrderedDict(b=ctx.variable("a"), a=1), d

    ordered, default = env.run(step)
    assert type(ordered) is OrderedDict
    assert list(ordered) == ["b", "a"]
    assert type(default) is defaultdict
    assert default["missing"] == []


def test_what_is_not_a_tensor_passes_through_alone(env: lg.VariableEnvironment) -> None:
    """A step may return just a number, or nothing if it evaluated."""
    assert env.run(lambda ctx: 5) == 5
    assert env.run(lambda ctx: float(ctx.evaluator().push(ctx.variable("a")).run()[0])) == 3.0

    def silent(ctx: lg.Context) -> None:
        ctx.variable("a").eval()

    assert env.run(silent) is None


def test_array_arguments_arrive_as_placeholders(env: lg.VariableEnvironment) -> None:
    """Positional and by name, nested, NumPy scalars too; others arrive as they are."""
    seen = {}

    def step(ctx: lg.Context, x: Any, batch: Any, flag: bool, *rest: Any, scale: float, y: Any, **more: Any) -> Any:
        seen.update(flag=flag, scale=scale, text=batch["text"], more=more["k"])
        assert all(isinstance(t, lg.Tensor) for t in (x, batch["pair"].first, rest[0], y, more["z"]))
        return (
            x,
            batch["pair"].first * 2,
            rest[0],
            y,
            more["z"],
            [str(t.graph.describe(t.index)) for t in (x, rest[0], y)],
        )

    args = (np.ones(2), {"pair": Pair(np.arange(2), 3), "text": "t"}, True, np.float32(4))
    kwargs = {"scale": 0.5, "y": np.zeros(1), "z": np.full(1, 9.0), "k": "word"}
    for call in (lambda: env.run(step, *args, **kwargs), lambda: env.compile(step)(*args, **kwargs)):
        x, doubled, rest, y, z, names = call()
        assert (x.tolist(), doubled.tolist(), rest.tolist(), y.tolist(), z.tolist()) == ([1, 1], [0, 2], 4, [0], [9])
        assert rest.dtype == "float32"
        assert seen == {"flag": True, "scale": 0.5, "text": "t", "more": "word"}
        assert names[0] == "placeholder 'x'"
        assert names[2] == "placeholder 'y'"


def test_two_arguments_of_one_name_are_kept_apart(env: lg.VariableEnvironment) -> None:
    """A positional-only parameter and a keyword may share theirs."""

    def named(ctx: lg.Context, x: Any, /, **more: Any) -> Any:
        return x, more["x"]

    def numbered(ctx: lg.Context, *xs: Any, **more: Any) -> Any:
        return xs[0], more["argument0"]

    for step, name in ((named, "x"), (numbered, "argument0")):
        for call in (partial(env.run, step), env.compile(step)):
            one, two = call(np.zeros(1), **{name: np.ones(1)})
            assert (one.tolist(), two.tolist()) == ([0.0], [1.0])


def test_what_converts_to_an_array_is_an_array_argument(env: lg.VariableEnvironment) -> None:
    """An object with ``__array__``, a memory view's array, big-endian and read-only arrays."""

    class Series:
        def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
            return np.array([1.0, 2.0])

    def step(ctx: lg.Context, x: Any) -> Any:
        return x * 2

    frozen = np.array([1.0, 2.0])
    frozen.flags.writeable = False
    strided = np.array([1.0, 0.0, 2.0, 0.0])[::2]
    for x in (Series(), np.array([1.0, 2.0], ">f8"), frozen, strided):
        for call in (partial(env.run, step), env.compile(step)):
            for _ in range(3):
                y = call(x)
                assert (y.tolist(), str(y.dtype)) == ([2.0, 4.0], "float64")


def test_a_step_may_be_anything_that_can_be_called(env: lg.VariableEnvironment) -> None:
    """A method, an object, a partial, a lambda."""

    class Model:
        def __init__(self, factor: float) -> None:
            self.factor = factor

        def loss(self, ctx: lg.Context, x: Any) -> Any:
            return x * self.factor

        def __call__(self, ctx: lg.Context, x: Any) -> Any:
            return x * self.factor

    x = np.ones(1)
    for factor in (2.0, 3.0):
        model = Model(factor)
        steps = [
            model.loss,
            model,
            partial(model.loss),
            partial(lambda ctx, y, k: k * y, k=factor),
            lambda ctx, y, k=factor: y * k,
        ]
        for step in steps:
            for call in (partial(env.run, step), env.compile(step)):
                for _ in range(3):
                    assert call(x).tolist() == [factor]


def test_a_step_written_differently_from_run_to_run_is_right_each_time(env: lg.VariableEnvironment) -> None:
    """Graphs of earlier runs are remembered; a step that branches in Python never gets the wrong one."""
    env.name("t").set(1.0)

    def step(ctx: lg.Context, x: Any, k: int) -> Any:
        t = ctx.variable("t")
        y = x + k if k % 2 else x - k
        for _ in range(k % 3):
            y = y * t
        if k % 5 == 0:
            y = lg.exp(y)
        return (y, lg.grad(lg.sum(y), t), y) if k % 4 else y

    for n in (1, 2, 1):
        x = np.full(n, 0.25, "float32")
        for k in (0, 1, 2, 5, 4, 1, 10, 3, 0, 1, 7, 15, 30):
            env["t"] = 1 + k / 64
            t = np.float32(1 + k / 64)
            y = (x + k if k % 2 else x - k) * t ** (k % 3)
            d = (x + k if k % 2 else x - k) * (k % 3) * t ** max(k % 3 - 1, 0)
            if k % 5 == 0:
                y = np.exp(y)
                d = d * y
            for _ in range(2):
                got = env.run(step, x, k)
                np.testing.assert_allclose(got[0] if k % 4 else got, y, rtol=1e-6)
                if k % 4:
                    np.testing.assert_allclose(got[1], np.sum(d), rtol=1e-5)


def test_a_step_may_run_another_step(env: lg.VariableEnvironment) -> None:
    """Within its own writing; each run is a transaction of its own."""

    def inner(ctx: lg.Context) -> Any:
        a = ctx.variable("a")
        return ctx.assign(a, a + 1), a

    def outer(ctx: lg.Context) -> Any:
        before = ctx.variable("a")
        _, seen = env.run(inner)
        return before, int(seen)

    value, seen = env.run(outer)
    assert seen == 3
    assert value.tolist() == 4  # evaluated when the outer step returned, after the inner run
    assert env["a"] == 4


def test_a_step_on_one_environment_may_run_a_step_on_another() -> None:
    """Each keeps its own."""
    one, two = lg.VariableEnvironment(), lg.VariableEnvironment()
    one.name("v").set(1.0)
    two.name("v").set(2.0)

    def outer(ctx: lg.Context) -> Any:
        y = ctx.variable("v") * 10
        return y + two.run(lambda other: other.variable("v") + lg.ones(()))

    for _ in range(3):
        assert one.run(outer).tolist() == 13.0


def test_variables_registered_in_a_step_stay_if_it_succeeds(env: lg.VariableEnvironment) -> None:
    """And can be used at once."""

    def step(ctx: lg.Context) -> Any:
        if "lazy/w" not in env:
            env.namespace("lazy").name("w").set(np.full(2, 2.0))
        return ctx.variable("lazy/w") * 3

    for call in (lambda: env.run(step), env.compile(step), lambda: env.run(step)):
        assert call().tolist() == [6.0, 6.0]
    assert env["lazy/w"].tolist() == [2.0, 2.0]


# Tracing.


def test_a_trace_computes_and_changes_nothing(env: lg.VariableEnvironment) -> None:
    """No draws, hooks, updates, or variables that the step registered."""
    adam = lg.optim.Adam(env)
    seen = []

    def step(ctx: lg.Context, x: Any) -> Any:
        env.name("new").set(1.0)
        y = (x * ctx.variable("w") + ctx.random.normal((2, 3))).hook(seen.append)
        return adam.minimize(lg.sum(y), ["w"]), y

    before = snapshot(env)
    graph = env.trace(step, np.ones((2, 3), "float32"))
    assert snapshot(env) == before
    assert seen == []
    assert len(graph.roots) == 5  # the step count, w and its two moments, and y
    env.run(step, np.ones((2, 3), "float32"))
    assert "new" in env


def test_a_trace_has_what_was_returned_as_roots(env: lg.VariableEnvironment) -> None:
    """And only what they need."""

    def step(ctx: lg.Context, x: Any) -> Any:
        lg.exp(ctx.variable("w"))
        y = x + ctx.variable("a")
        return {"y": y, "update": ctx.assign("a", 4)}

    graph = env.trace(step, np.ones(2))
    assert [graph.nodes[i].op.name for i in graph.roots] == ["add", "assign"]
    assert "exp" not in {node.op.name for node in graph.nodes}
    assert [node.op.name for node in graph.nodes] == ["placeholder", "variable", "astype", "add", "literal", "assign"]


def test_a_graph_prints_one_line_a_node(env: lg.VariableEnvironment) -> None:
    """Number, op, operands and settings, spec, and the user's line; roots are marked."""

    def step(ctx: lg.Context) -> Any:
        w = ctx.variable("w")
        return lg.sum(lg.exp(w) * 2, axis=1)

    def where(needle: str) -> str:
        return place(step, needle)

    assert (
        str(env.trace(step))
        == f""" %0 = variable(name=w)                    float32[2, 3]  {where("w =")}
 %1 = exp(%0)                             float32[2, 3]  {where("return")}
 %2 = literal(value=2.0)                  float32[]      {where("return")}
 %3 = multiply(%1, %2)                    float32[2, 3]  {where("return")}
*%4 = sum(%3, axis=(1,), keepdims=False)  float32[2]     {where("return")}"""
    )


def test_traced_arguments_may_be_fed_by_shape_only(env: lg.VariableEnvironment) -> None:
    """Feeds give the sizes that are open."""

    def step(ctx: lg.Context) -> Any:
        return ctx.placeholder("x", (-1, 3)) * 2

    graph = env.trace(step, feeds={"x": np.ones((5, 3))})
    assert graph.nodes[graph.roots[0]].spec.shape == (5, 3)  # type: ignore[union-attr]


def test_a_name_in_the_wrong_case_is_near() -> None:
    """Capitals do not hide what the user meant."""
    env = lg.VariableEnvironment()
    env.name("weight").set(np.zeros(2))
    env.name("other").set(np.zeros(2))
    with pytest.raises(lg.VariableError, match="Did you mean 'weight'"):
        env["Weight"]
