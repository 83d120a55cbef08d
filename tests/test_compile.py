"""Compiled steps: what is a signature, what is traced again, and that the numbers are those of run."""

from __future__ import annotations

import gc
import weakref
from collections import namedtuple
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from snapshots import snapshot

import lazygrad as lg
from lazygrad.step.compiled import MAX_BOUND

Pair = namedtuple("Pair", "a b")


@pytest.fixture
def env() -> lg.VariableEnvironment:
    """An environment with one variable."""
    env = lg.VariableEnvironment(seed=0)
    env.name("w").set(np.array([1.0, 2.0, 3.0], "float32"))
    return env


class Traced:
    """A step that counts how often it is traced, and returns what ``f`` makes of its arguments."""

    def __init__(self, f: Callable[..., Any]) -> None:
        self.f = f
        self.count = 0

    def __call__(self, ctx: lg.Context, *args: Any, **kwargs: Any) -> Any:
        self.count += 1
        return self.f(ctx, *args, **kwargs)


def test_a_step_is_traced_once_for_arguments_alike(env: lg.VariableEnvironment) -> None:
    """Other numbers in arrays of the same shapes and dtypes trace nothing."""
    step = Traced(lambda ctx, x, y: x * ctx.variable("w") + y["k"])
    fast = env.compile(step)
    for k in range(5):
        value = fast(np.full(3, k, "float32"), {"k": np.full(1, k, "float32")})
        assert value.tolist() == [k * 1.0 + k, k * 2.0 + k, k * 3.0 + k]
    assert step.count == 1


@pytest.mark.parametrize(
    ("one", "two"),
    [
        (np.ones(3), np.ones(2)),
        (np.ones((1, 3)), np.ones(3)),
        (np.ones(3), np.ones(3, "float32")),
        (np.ones(3), [1.0, 1.0, 1.0]),
        (1, 1.0),
        (1, True),
        (0.0, -0.0),
        (1, 2),
        ("a", "b"),
        (None, 0),
        (None, ()),
        ((), []),
        ([], {}),
        ((1, 2), [1, 2]),
        ([1], {0: 1}),
        ([1, [2]], [[1], 2]),
        (Pair(1, 2), (1, 2)),
        ({"a": 1}, {"b": 1}),
        ([np.ones(3)], (np.ones(3),)),
        ([np.ones(3)], {0: np.ones(3)}),
        (np.ones(3), [np.ones(3)]),
        (np.float32(1), 1.0),
        (slice(1), slice(2)),
        (np.dtype("int8"), np.dtype("int16")),
        (len, max),
    ],
    ids=lambda x: repr(x).replace("\n", ""),
)
def test_every_difference_in_an_argument_is_another_signature(env: lg.VariableEnvironment, one: Any, two: Any) -> None:
    """Shape, dtype, value and type of what is not an array, and the structure around it."""
    step = Traced(lambda ctx, x: ctx.variable("w"))
    fast = env.compile(step)
    for _ in range(2):
        fast(one)
        fast(two)
    assert step.count == 2


def test_an_absent_argument_is_not_an_empty_one(env: lg.VariableEnvironment) -> None:
    """Nor is an argument by name one by place."""
    step = Traced(lambda ctx, x=None, y=None: ctx.variable("w") * (1 if x is None else 2) * (1 if y is None else 3))
    fast = env.compile(step)
    calls: list[tuple[tuple[Any, ...], dict[str, Any], float]] = [
        ((), {}, 1.0),
        (([],), {}, 2.0),
        ((), {"x": []}, 2.0),
        ((), {"y": []}, 3.0),
        (([], []), {}, 6.0),
        (([],), {"y": []}, 6.0),
        ((None, []), {}, 3.0),
    ]
    for _ in range(2):
        for args, kwargs, expected in calls:
            assert fast(*args, **kwargs)[0] == expected
    assert step.count == len(calls)


def test_nan_is_a_value_like_any_other(env: lg.VariableEnvironment) -> None:
    """Though it is not equal to itself, it is traced once."""
    step = Traced(lambda ctx, x: ctx.variable("w") * x)
    fast = env.compile(step)
    for _ in range(3):
        assert np.isnan(fast(float("nan"))).all()
    assert step.count == 1


def test_python_numbers_are_part_of_the_signature(env: lg.VariableEnvironment) -> None:
    """Each value has a trace, which is used again."""
    step = Traced(lambda ctx, k: ctx.variable("w") * k)
    fast = env.compile(step)
    for k in (1, 2, 3, 2, 1):
        assert fast(k).tolist() == [k, 2 * k, 3 * k]
    assert step.count == 3


def test_the_least_recently_used_signature_is_forgotten_first(env: lg.VariableEnvironment) -> None:
    """64 are kept."""
    step = Traced(lambda ctx, k: ctx.variable("w") * k)
    fast = env.compile(step)
    for k in range(8):
        fast(k)
    with pytest.warns(RuntimeWarning, match=r"more than 8 kinds of argument 'args\[0\]', lately 6, 7, 8"):
        fast(8)
    for k in range(9, 64):
        fast(k)
    fast(0)
    assert step.count == 64
    fast(64)  # forgets 1, not 0
    assert step.count == 65
    fast(0)
    fast(2)
    assert step.count == 65
    fast(1)
    assert step.count == 66


def test_a_compiled_step_can_be_written_as_a_decorator(env: lg.VariableEnvironment) -> None:
    """Its name and docstring stay."""

    @env.compile
    def doubled(ctx: lg.Context, x: Any) -> Any:
        """Twice x."""
        return x * 2

    assert doubled(np.ones(2)).tolist() == [2.0, 2.0]
    assert (doubled.__name__, doubled.__doc__) == ("doubled", "Twice x.")
    assert repr(doubled) == "<Compiled doubled, 1 signatures>"


def training(env: lg.VariableEnvironment) -> Callable[..., Any]:
    """A step with much in it: two layers, draws, clipping, Adam with a schedule."""
    rng = np.random.default_rng(0)
    env.name("w0").set(rng.normal(size=(3, 8)).astype("float32") / 2)
    env.name("b0").set(np.zeros(8, "float32"))
    env.name("w1").set(rng.normal(size=(8, 1)).astype("float32") / 2)
    adam = lg.optim.Adam(env, lg.optim.schedules.WarmUp(3, lg.optim.schedules.Cosine(0.05, 30)))

    def step(ctx: lg.Context, x: Any, y: Any) -> Any:
        h = lg.tanh((x + 0.01 * ctx.random.normal((5, 3))) @ ctx.variable("w0") + ctx.variable("b0"))
        h = lg.where(ctx.random.bernoulli((5, 8), 0.9), h / 0.9, 0)
        loss = lg.mean(lg.square(h @ ctx.variable("w1") - y))
        names = [ctx.variable(n) for n in ("w0", "b0", "w1")]
        grads = lg.optim.clip_by_global_norm(lg.grad(loss, names), 1.0)
        return loss, adam.update(names, grads), lg.max(lg.abs(grads[0]))

    return step


def test_compile_and_run_train_alike() -> None:
    """Thirty steps: the same losses and the same weights, to rounding."""
    one, two = lg.VariableEnvironment(seed=3), lg.VariableEnvironment(seed=3)
    step, fast = training(one), two.compile(training(two))
    rng = np.random.default_rng(1)
    for _ in range(30):
        x, y = rng.normal(size=(5, 3)).astype("float32"), rng.normal(size=(5, 1)).astype("float32")
        a, b = one.run(step, x, y), fast(x, y)
        np.testing.assert_allclose(a[0], b[0], rtol=1e-6)
        np.testing.assert_allclose(a[2], b[2], rtol=1e-5)
    for v, w in zip(one, two, strict=True):
        assert v.path == w.path
        np.testing.assert_allclose(v.value, w.value, rtol=1e-5, atol=1e-7)
    assert one["adam/step"] == two["adam/step"] == 30


def test_compiled_and_run_steps_take_turns() -> None:
    """On one environment, in any order, with variables set in between."""
    env, control = lg.VariableEnvironment(seed=3), lg.VariableEnvironment(seed=3)
    step, other = training(env), training(control)
    fast, second = env.compile(step), env.compile(step)
    x, y = np.ones((5, 3), "float32"), np.ones((5, 1), "float32")
    for k in range(12):
        call = (lambda: env.run(step, x, y), lambda: fast(x, y), lambda: second(x, y))[k % 3]
        np.testing.assert_allclose(call()[0], control.run(other, x, y)[0], rtol=1e-5)
        if k % 4 == 3:
            env["w1"] = env["w1"] * 0.5
            control["w1"] = control["w1"] * 0.5


def test_tracing_has_no_effect_beside_the_run(env: lg.VariableEnvironment) -> None:
    """Compiling computes nothing; a trace that fails leaves nothing, and the next call tries again."""
    fail = True

    def step(ctx: lg.Context) -> Any:
        env.name("new").set(1.0)
        update = ctx.assign("w", ctx.variable("w") * 2)
        if fail:
            raise RuntimeError("not yet")
        return update

    before = snapshot(env)
    fast = env.compile(step)
    assert snapshot(env) == before
    for _ in range(2):
        with pytest.raises(RuntimeError, match="not yet"):
            fast()
        assert snapshot(env) == before
    fail = False
    fast()
    assert env["w"].tolist() == [2.0, 4.0, 6.0]


def test_a_new_trainable_variable_traces_again(env: lg.VariableEnvironment) -> None:
    """A step that takes all of them must see it."""
    step = Traced(lambda ctx: sum(lg.sum(v) for v in ctx.variables()))
    fast = env.compile(step)
    assert fast() == 6.0
    env.name("v").set(np.ones(2, "float32"))
    assert fast() == 8.0
    assert fast() == 8.0
    assert step.count == 2


def test_setting_a_variable_does_not_trace_again(env: lg.VariableEnvironment) -> None:
    """The new value is read."""
    step = Traced(lambda ctx: ctx.variable("w") * 2)
    fast = env.compile(step)
    for k in range(4):
        env["w"] = np.full(3, k)
        assert fast().tolist() == [2.0 * k] * 3
    assert step.count == 1


def test_restoring_is_seen_by_compiled_steps(env: lg.VariableEnvironment, tmp_path: Any) -> None:
    """Values and random state come from the file at the next call."""
    fast = env.compile(
        lambda ctx: (ctx.variable("w") * 1, ctx.random.normal(2), ctx.assign("w", ctx.variable("w") + 1))
    )
    fast()
    env.save(tmp_path / "env.json")
    first = fast()
    fast()
    env.restore(tmp_path / "env.json")
    again = fast()
    assert first[0].tolist() == again[0].tolist() == [2.0, 3.0, 4.0]
    assert first[1].tobytes() == again[1].tobytes()


def test_a_placeholder_is_fed_at_every_call(env: lg.VariableEnvironment) -> None:
    """By name, beside arguments."""
    step = Traced(lambda ctx, x: ctx.placeholder("scale", ()) * x)
    fast = env.compile(step)
    for k in range(3):
        assert fast(np.ones(2), feeds={"scale": k}).tolist() == [k, k]
    assert step.count == 1


def test_results_of_every_structure(env: lg.VariableEnvironment) -> None:
    """One tensor, one update, nested, the same tensor many times, numbers between."""
    w = [1.0, 2.0, 3.0]
    alone = env.compile(lambda ctx: ctx.variable("w"))
    update = env.compile(lambda ctx: ctx.assign("w", ctx.variable("w")))
    nested = env.compile(
        lambda ctx: (lambda t: {"a": [t, (t, 5)], "b": Pair(t, ctx.assign("w", t))})(ctx.variable("w") * 1)
    )
    for _ in range(3):
        assert alone().tolist() == w
        assert update() is None
        result = nested()
        assert result["a"][0].tolist() == result["a"][1][0].tolist() == result["b"].a.tolist() == w
        assert result["a"][1][1] == 5
        assert result["b"].b is None
        result["a"][0][...] = 0
        assert result["a"][1][0].tolist() == w


def test_the_plan_and_the_source_can_be_looked_at(env: lg.VariableEnvironment) -> None:
    """The plan in words, and the program with the user's lines."""
    fast = env.compile(lambda ctx, x: (lg.exp(x) * 2 + ctx.variable("w"), ctx.assign("w", ctx.variable("w") * 2)))
    fast(np.ones(3, "float32"))
    assert fast.plan.explain().splitlines()[0].endswith(" nodes, 1 values, 1 updates")
    source = fast.source()
    assert source.startswith("def step(")
    assert "exp(" in source
    assert "# tests" in source.replace("# /", "# tests/")
    assert compile(source, "source", "exec")


def test_an_environment_and_its_compiled_steps_can_be_forgotten() -> None:
    """Nothing global holds them."""
    env = lg.VariableEnvironment()
    env.name("w").set(np.ones(3))
    fast = env.compile(lambda ctx: ctx.assign("w", ctx.variable("w") + 1))
    for _ in range(3):
        fast()
        env.run(lambda ctx: ctx.variable("w"))
    gone = weakref.ref(env)
    del env, fast
    gc.collect()
    assert gone() is None


def test_many_compiled_steps_do_not_disturb_each_other(env: lg.VariableEnvironment) -> None:
    """Each has its own memory."""
    steps = [env.compile(lambda ctx, x, k=k: (lg.exp(x * k) + k) * 2) for k in range(5)]
    x = np.linspace(0, 1, 4)
    for _ in range(3):
        results = [step(x) for step in steps]
        for k, value in enumerate(results):
            np.testing.assert_allclose(value, (np.exp(x * k) + k) * 2, rtol=1e-15)


def test_an_op_of_several_results_may_return_views_of_its_operand() -> None:
    """What it returned is still right when the operand's memory has been used again."""

    @lg.define.opaque(shape=lambda x: [x[1:]] * x[0], vjp=lambda g, y, x: lg.stack(list(g), 0))
    def rows_of(xp, x):
        """The pieces along the first axis."""
        return tuple(x)

    env = lg.VariableEnvironment(seed=0)
    env.name("w").set(np.arange(12.0, dtype="float32").reshape(4, 3))

    def step(ctx, x):
        w = ctx.variable("w")
        state = lg.zeros((2, 3))
        for row in rows_of(lg.tanh(w / 9) + lg.sum(x)):
            state = lg.tanh(state * 0.5 + lg.exp(row * 0.1 - 3) @ (0.1 * lg.ones((3, 3))))
        loss = lg.sum(lg.square(state))
        return loss, lg.grad(loss, w)

    x = np.linspace(0, 0.1, 7, dtype="float32")
    for ours, wanted in zip(env.compile(step, wait=True)(x), env.run(step, x), strict=True):
        np.testing.assert_allclose(ours, wanted, rtol=1e-5)


def test_a_compiled_step_can_be_bound_to_settings() -> None:
    """The same step with a keyword argument given; asking twice gives the same one, so nothing is compiled again."""
    env = lg.VariableEnvironment()

    @env.compile
    def step(ctx, x, train):
        return lg.sum(x) if train else lg.max(x)

    x = np.arange(4.0)
    assert (6.0, 3.0) == (step.bound(train=True)(x), step.bound(train=False)(x))
    assert step.bound(train=True) is step.bound(train=True)
    assert step.bound(train=True) is not step.bound(train=1)
    assert "step" == step.bound(train=True).__name__


def test_steps_with_settings_that_were_not_asked_for_lately_go(env: lg.VariableEnvironment) -> None:
    """So that a setting that always changes does not keep a step for every value; one that is held stays the same."""
    compiled = env.compile(lambda ctx, x, *, k: x * k)
    held = compiled.bound(k=-1.0)
    kept = [weakref.ref(compiled.bound(k=float(k))) for k in range(MAX_BOUND + 20)]
    gc.collect()
    assert [False] * 20 + [True] * MAX_BOUND == [ref() is not None for ref in kept]
    assert held is compiled.bound(k=-1.0)
    x = np.ones(3, "float32")
    assert ([-1] * 3, [1] * 3) == (held(x).tolist(), compiled.bound(k=1.0)(x).tolist())


def test_a_step_that_was_prepared_changes_its_variables_at_every_call() -> None:
    """The first call after ``prepare`` goes by native code at once: it commits, and so do those after it."""
    env = lg.VariableEnvironment(seed=0)
    env.name("w").set(np.zeros(3, "float32"))
    step = env.compile(lambda ctx, x: (lg.sum(x), ctx.assign("w", ctx.variable("w") + x)))
    x = np.ones(3, "float32")
    step.prepare(x)
    seen = []
    for _ in range(5):
        step(x)
        seen.append(env["w"].tolist())
    assert [[float(k)] * 3 for k in range(1, 6)] == seen
