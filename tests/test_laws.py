"""The seven laws of the contract, each by tests that fail when it is broken."""

from __future__ import annotations

import dis
import functools
import gc
import itertools
import subprocess
import sys
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from types import CodeType
from typing import Any

import numpy as np
import pytest
from snapshots import at, snapshot

import lazygrad as lg
from lazygrad import execute
from lazygrad.define import elementwise, opaque
from lazygrad.graph import Graph, writing
from lazygrad.tensor import Array
from lazygrad.variables import Variable

pytestmark = pytest.mark.usefixtures("numpy_alone")  # what holds bit for bit, and kernels that are made to fail
CALLS: list[str] = []


@opaque(shape=lambda x, label: x, vjp=lambda g, y, x: g, pure=False)
def counted(xp: Any, x: Array, *, label: str) -> Any:
    """The operand; writes down that it was computed."""
    CALLS.append(label)
    return x


@pytest.fixture
def env() -> lg.VariableEnvironment:
    """An environment with two small variables."""
    CALLS.clear()
    env = lg.VariableEnvironment(seed=7)
    env.name("w").set(np.array([1.0, 2.0, 3.0], "float32"))
    env.name("b").set(np.array([0.5, 0.5, 0.5], "float32"))
    return env


def four_ways(env: lg.VariableEnvironment, step: Callable[..., Any], *args: Any) -> Iterator[Any]:
    """The results of a step under run, run again as a program, compile, and compile again as a program."""
    yield env.run(step, *args)
    yield env.run(step, *args)
    fast = env.compile(step)
    yield fast(*args)
    yield fast(*args)


# Law 1. Lazy.


def test_a_graph_of_huge_tensors_is_written_without_memory(env: lg.VariableEnvironment) -> None:
    """Tensors of 10¹² elements, their gradient and their update cost as much to write as small ones."""

    def step(ctx: lg.Context) -> Any:
        n = 10**6
        x = lg.ones((n, n)) * ctx.constant(2.0)
        y = lg.exp(x @ lg.zeros((n, n), "float32")) + ctx.random.normal((n, n))
        z = lg.concat([lg.sort(y, axis=0), lg.cumulative_sum(x, axis=1)])[::2, 1:].T
        loss = lg.mean(lg.where(z > 0, z, -z)) + lg.sum(lg.eye(n) @ lg.linspace(0.0, 1.0, n))
        return loss, lg.grad(loss, [x]), lg.jvp(loss, x, lg.ones_like(x))

    env.trace(step)
    tracemalloc.start()
    graph = env.trace(step)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(graph.nodes) > 40
    assert peak < 3_000_000


def test_no_kernel_is_called_while_a_graph_is_written(env: lg.VariableEnvironment) -> None:
    """Writing, differentiating and tracing call no kernel; evaluating does."""
    seen: list[list[str]] = []

    def step(ctx: lg.Context) -> Any:
        y = lg.sum(counted(ctx.variable("w"), label="w"))
        lg.grad(y, ctx.variable("w"))
        seen.append(list(CALLS))
        return y

    env.trace(step)
    assert CALLS == []
    env.run(step)
    assert seen == [[], []]
    assert CALLS == ["w"]


def test_what_no_root_needs_is_not_computed(env: lg.VariableEnvironment) -> None:
    """A node beside the path to the roots is never computed, however the step is run."""

    def step(ctx: lg.Context) -> Any:
        beyond = lg.astype(lg.sum(ctx.variable("w")) * 0 + 999, "int64")
        lg.take(lg.flatten(ctx.variable("w")), beyond)  # an IndexError, if it were computed
        return counted(ctx.variable("b"), label="needed")

    for _ in four_ways(env, step):
        assert CALLS == ["needed"]
        CALLS.clear()


def test_a_node_that_several_roots_need_is_computed_once(env: lg.VariableEnvironment) -> None:
    """Values, a value asked for twice, gradient and update share what they have in common."""

    def step(ctx: lg.Context) -> Any:
        w = ctx.variable("w")
        y = counted(w, label="y")
        loss = lg.sum(y * y)
        return loss, y, y, lg.exp(y), lg.grad(loss, w), ctx.assign("w", y)

    for _ in four_ways(env, step):
        assert CALLS == ["y"]
        CALLS.clear()


def test_equal_nodes_are_computed_once(env: lg.VariableEnvironment, monkeypatch: pytest.MonkeyPatch) -> None:
    """Writing the same pure op of the same tensor twice costs one computation."""
    calls = []
    kernel = lg.exp.kernel  # type: ignore[attr-defined]
    monkeypatch.setattr(lg.exp, "kernel", lambda xp, x: calls.append(1) or kernel(xp, x))

    def step(ctx: lg.Context) -> Any:
        return lg.exp(ctx.variable("w")), lg.exp(ctx.variable("w"))

    env.run(step)
    assert calls == [1]


def test_a_placeholder_that_no_root_needs_may_stay_unfed(env: lg.VariableEnvironment) -> None:
    """Only what is evaluated must have an array."""

    def step(ctx: lg.Context) -> Any:
        x = ctx.placeholder("x", (3,))
        lg.exp(x)
        return ctx.variable("w")

    for value in four_ways(env, step):
        assert value.tolist() == [1.0, 2.0, 3.0]


def test_a_draw_that_no_root_needs_does_not_advance_the_random_state(env: lg.VariableEnvironment) -> None:
    """The random state counts the runs that draw."""

    def step(ctx: lg.Context) -> Any:
        ctx.random.normal(3)
        return ctx.variable("w")

    before = snapshot(env)
    for _ in four_ways(env, step):
        assert snapshot(env) == before


# Law 2. One step is one transaction.

DEPTHS = [2, 3]
RATE = 0.1


def weights(depth: int) -> dict[str, np.ndarray]:
    """The weights and biases of a small network, in float64."""
    rng = np.random.default_rng(depth)
    sizes = [3, 4, 2, 2][: depth + 1]
    made = {}
    for i, (n, m) in enumerate(itertools.pairwise(sizes)):
        made[f"w{i}"] = rng.normal(size=(n, m))
        if depth == 2:
            made[f"b{i}"] = rng.normal(size=m)
    return made


def by_hand(p: dict[str, np.ndarray], x: np.ndarray, t: np.ndarray) -> tuple[float, dict[str, np.ndarray]]:
    """Loss, and every weight after one step of SGD, computed backwards by hand from the old weights alone."""
    depth = sum(name.startswith("w") for name in p)
    layers = [x]
    for i in range(depth):
        z = layers[-1] @ p[f"w{i}"] + p.get(f"b{i}", 0.0)
        layers.append(np.tanh(z) if i < depth - 1 else z)
    loss = float(np.mean((layers[-1] - t) ** 2))
    new = {}
    d = 2 * (layers[-1] - t) / t.size
    for i in reversed(range(depth)):
        new[f"w{i}"] = p[f"w{i}"] - RATE * layers[i].T @ d
        if f"b{i}" in p:
            new[f"b{i}"] = p[f"b{i}"] - RATE * d.sum(axis=0)
        d = (d @ p[f"w{i}"].T) * (1 - layers[i] ** 2)
    return loss, new


def network_loss(ctx: lg.Context, x: lg.Tensor, t: lg.Tensor, depth: int) -> lg.Tensor:
    """The loss of the same network as a graph."""
    h = x
    for i in range(depth):
        h = h @ ctx.variable(f"w{i}")
        if depth == 2:
            h = h + ctx.variable(f"b{i}")
        if i < depth - 1:
            h = lg.tanh(h)
    return lg.mean(lg.square(h - t))


@pytest.mark.parametrize("depth", DEPTHS)
def test_one_step_of_sgd_is_the_simultaneous_update_for_every_order(depth: int) -> None:
    """Whatever the order of variables and of pushes, every update is computed from the old weights."""
    rng = np.random.default_rng(0)
    x, t = rng.normal(size=(5, 3)), rng.normal(size=(5, 2))
    start = weights(depth)
    loss, expected = by_hand(start, x, t)
    env = lg.VariableEnvironment(dtype="float64")
    for name, array in start.items():
        env.name(name).set(array)

    def step(ctx: lg.Context, x: Any, t: Any, variables: tuple[str, ...], pushes: tuple[int, ...]) -> Any:
        cost = network_loss(ctx, x, t, depth)
        read = [ctx.variable(name) for name in variables]
        grads = lg.grad(cost, read)
        updates = [ctx.assign(v, v - RATE * g) for v, g in zip(read, grads, strict=True)]
        asked = [cost, *read[:1], *updates]
        return [asked[i] for i in pushes]

    count = 2 + len(start)
    orders = list(itertools.permutations(start))
    pushes = list(itertools.permutations(range(count)))
    # Every order of variables with some order of pushes, and every order of pushes with some order of variables.
    some = pushes[:: max(1, len(pushes) // 24)]
    chosen = [(o, some[i % len(some)]) for i, o in enumerate(orders)] + [
        (orders[i % len(orders)], p) for i, p in enumerate(pushes)
    ]
    for order, push in chosen:
        ways = four_ways(env, step, x, t, order, push) if push in some else iter([env.run(step, x, t, order, push)])
        for values in ways:
            assert np.isclose(values[push.index(0)], loss, rtol=1e-13, atol=0)
            assert values[push.index(1)].tolist() == start[order[0]].tolist()
            for name, array in expected.items():
                np.testing.assert_allclose(env[name], array, rtol=1e-12, atol=1e-15)
                env[name] = start[name]


@pytest.mark.parametrize("depth", DEPTHS)
def test_an_optimizer_updates_simultaneously_for_every_order_of_variables(depth: int) -> None:
    """``SGD.update`` gives the hand-computed weights in every order, and so does ``minimize``."""
    rng = np.random.default_rng(1)
    x, t = rng.normal(size=(5, 3)), rng.normal(size=(5, 2))
    start = weights(depth)
    _, expected = by_hand(start, x, t)
    env = lg.VariableEnvironment(dtype="float64")
    for name, array in start.items():
        env.name(name).set(array)
    sgd = lg.optim.SGD(env, RATE)

    def step(ctx: lg.Context, x: Any, t: Any, variables: tuple[str, ...]) -> Any:
        cost = network_loss(ctx, x, t, depth)
        return sgd.minimize(cost, variables) if variables else sgd.minimize(cost)

    for order in [*itertools.permutations(start), ()]:
        for _ in four_ways(env, step, x, t, order):
            for name, array in expected.items():
                np.testing.assert_allclose(env[name], array, rtol=1e-12, atol=1e-15)
                env[name] = start[name]


def test_variables_can_be_exchanged(env: lg.VariableEnvironment) -> None:
    """Both reads of an exchange see the values from before the run."""

    def step(ctx: lg.Context) -> Any:
        return ctx.assign("w", ctx.variable("b")), ctx.assign("b", ctx.variable("w"))

    w, b = env["w"].tolist(), env["b"].tolist()
    for _ in four_ways(env, step):
        w, b = b, w
        assert (env["w"].tolist(), env["b"].tolist()) == (w, b)


def test_a_pushed_variable_has_the_value_from_before_the_run(env: lg.VariableEnvironment) -> None:
    """Neither the place of a push nor a view of the variable lets the new value be seen."""

    def step(ctx: lg.Context) -> Any:
        w = ctx.variable("w")
        update = ctx.assign(w, w + 1)
        return w, w[::-1], update, w, w.reshape(3, 1), lg.identity(w)

    for k, (first, reversed_, _, last, column, same) in enumerate(four_ways(env, step)):
        old = [1.0 + k, 2.0 + k, 3.0 + k]
        assert first.tolist() == last.tolist() == same.tolist() == old
        assert reversed_.tolist() == old[::-1]
        assert column.tolist() == [[v] for v in old]


def test_the_same_tensor_may_become_several_variables(env: lg.VariableEnvironment) -> None:
    """Two variables assigned one tensor, also through ops that hand it on, both get it at every run."""

    def step(ctx: lg.Context, x: Any) -> Any:
        v = x * 2
        return ctx.assign("b", v), ctx.assign("w", lg.stop_gradient(v)), v

    for k in range(4):
        *_, v = env.run(step, np.full(3, k, "float32"))
        assert v.tolist() == env["w"].tolist() == env["b"].tolist() == [2.0 * k] * 3


def test_an_evaluator_that_has_run_is_committed_though_the_step_raises_later(env: lg.VariableEnvironment) -> None:
    """Each evaluation is a transaction of its own."""

    def step(ctx: lg.Context) -> Any:
        w = ctx.variable("w")
        ctx.evaluator().push(ctx.assign(w, w + 1)).run()
        raise RuntimeError("after the evaluation")

    with pytest.raises(RuntimeError, match="after the evaluation"):
        env.run(step)
    assert env["w"].tolist() == [2.0, 3.0, 4.0]


def ignored(array: Any) -> None:
    """A hook that does nothing, and is the same in every run."""


def rich_step(env: lg.VariableEnvironment) -> Callable[..., Any]:
    """A step with all that a run may change: variables, optimizer state, draws, hooks, opaque kernels."""
    adam = lg.optim.Adam(env, learning_rate=0.1, name="adam")
    sgd = lg.optim.SGD(env, 0.1, momentum=0.9, name="sgd")

    def step(ctx: lg.Context, x: Any) -> Any:
        w, b = ctx.variable("w"), ctx.variable("b")
        noise = ctx.random.normal(3) + ctx.random.gamma(3, 2.0)
        y = counted(lg.exp(x * w) + b + noise, label="y").hook(ignored)
        loss = lg.sum(lg.sort(y)[1:]) + lg.sum(lg.take(y, np.array([0, 2])) * lg.max(y))
        gw, gb = lg.grad(loss, [w, b])
        return loss, adam.update([w], [gw]), sgd.update([b], [gb]), ctx.assign("seen", ctx.variable("seen") + 1)

    return step


def rich_env(runs: int = 1) -> tuple[lg.VariableEnvironment, Callable[..., Any]]:
    """An environment in which :func:`rich_step` can run, after some runs; the first makes all optimizer state."""
    env = lg.VariableEnvironment(seed=3)
    env.name("w").set(np.array([0.1, 0.2, 0.3], "float32"))
    env.name("b").set(np.array([0.5, 0.5, 0.5], "float32"))
    env.name("seen").set(np.zeros((), "int64"), trainable=False)
    step = rich_step(env)
    for _ in range(runs):
        env.run(step, X)
    return env, step


X = np.array([1.0, -1.0, 0.5], "float32")


class Injected(Exception):
    """Raised by a test, nowhere else."""


@pytest.mark.parametrize("kind", [Injected, KeyboardInterrupt])
def test_an_exception_in_any_kernel_leaves_the_environment_as_it_was(
    kind: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Node by node: the k-th call of a kernel raises, for every k; then the step runs as if nothing had been."""
    monkeypatch.setenv("LAZYGRAD_NATIVE", "off")  # the kernels that raise are those of NumPy
    env, step = rich_env()
    control, control_step = rich_env()
    count = itertools.count()
    stop = 0

    def wrapped(kernel: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            if next(count) == stop:
                raise kind("injected")
            return kernel(*args, **kwargs)

        return call

    monkeypatch.setattr(execute, "MAX_PROGRAM", 0)  # always node by node
    for op in {node.op for node in env.trace(step, X).nodes}:
        monkeypatch.setattr(op, "kernel", wrapped(op.kernel))
    before = snapshot(env)
    while True:
        count = itertools.count()
        try:
            result = env.run(step, X)
        except kind:
            assert snapshot(env) == before
            stop += 1
        else:
            break
    assert stop > 40
    monkeypatch.undo()
    monkeypatch.setattr(execute, "MAX_PROGRAM", 0)
    assert result[0].tobytes() == control.run(control_step, X)[0].tobytes()
    assert snapshot(env) == snapshot(control)


@pytest.mark.parametrize("kind", [Injected, KeyboardInterrupt])
@pytest.mark.parametrize("compiled", [False, True])
def test_an_exception_at_any_line_of_a_program_leaves_the_environment_as_it_was(
    kind: type[BaseException], compiled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The k-th line of the generated step raises, for every k; then the step runs as if nothing had been."""
    monkeypatch.setenv("LAZYGRAD_NATIVE", "off")  # native code has no lines
    runs = []
    for _ in range(2):
        env, step = rich_env()
        call: Callable[..., Any] = env.compile(step) if compiled else lambda x, e=env, s=step: e.run(s, x)
        call(X)
        call(X)  # from now on a program
        runs.append((env, call))
    (env, call), (control, control_call) = runs
    before = snapshot(env)

    def stopped(stop: int) -> bool:
        seen = itertools.count()

        def line(frame: Any, event: str, arg: Any) -> Any:
            if event == "line" and next(seen) == stop:
                raise kind("injected")
            return line

        def enter(frame: Any, event: str, arg: Any) -> Any:
            return line if frame.f_code.co_filename.startswith("<lazygrad step") else None

        found = sys.gettrace()
        sys.settrace(enter)
        try:
            call(X)
        except kind:
            return True
        finally:
            sys.settrace(found)
        return False

    stop = 0
    while stopped(stop):
        assert snapshot(env) == before
        stop += 1
    assert stop > 40
    control_call(X)
    assert snapshot(env) == snapshot(control)


@pytest.mark.parametrize("stop", range(6))
def test_an_exception_while_updates_are_written_leaves_the_environment_as_it_was(
    stop: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """New values are written beside the old ones, so that half of them written changes nothing."""
    env, step = rich_env()
    count = itertools.count()

    class Fragile(np.ndarray):
        def __setitem__(self, index: Any, value: Any) -> None:
            self.view(np.ndarray)[index] = value
            if next(count) == stop:
                raise Injected

    spare = Variable.spare
    monkeypatch.setattr(execute, "MAX_PROGRAM", 0)
    monkeypatch.setattr(Variable, "spare", lambda self, parity: spare(self, parity).view(Fragile))
    before = snapshot(env)
    with pytest.raises(Injected):
        env.run(step, X)
    assert snapshot(env) == before


def interrupted(stop: int, call: Callable[[], Any]) -> bool:
    """Whether ``call`` was interrupted at the ``stop``-th line of the package's outer rooms, else it ran through.

    Python delivers an interrupt at calls only, so lines without one are not counted.
    """
    seen = itertools.count()
    rooms = ("environment.py", "execute.py", "evaluator.py", "context.py", "compiled.py", "base.py")

    def line(frame: Any, event: str, arg: Any) -> Any:
        if event == "line" and frame.f_lineno in calling(frame.f_code) and next(seen) == stop:
            raise KeyboardInterrupt
        return line

    def enter(frame: Any, event: str, arg: Any) -> Any:
        name = frame.f_code.co_filename
        return line if "lazygrad" in name and name.endswith(rooms) else None

    found = sys.gettrace()
    sys.settrace(enter)
    try:
        call()
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(found)
    return False


@functools.cache
def calling(code: CodeType) -> frozenset[int]:
    """The lines of a function that call something."""
    found, line = set(), 0
    for instruction in dis.get_instructions(code):
        line = instruction.starts_line if type(instruction.starts_line) is int else line
        if sys.version_info >= (3, 13):
            line = instruction.line_number or line
        if instruction.opname.startswith("CALL"):
            found.add(line)
    return frozenset(found)


def small_env(runs: int) -> tuple[lg.VariableEnvironment, Callable[..., Any]]:
    """An environment after some runs of a step that draws, and whose first run makes the state of its optimizer."""
    env = lg.VariableEnvironment(seed=3)
    env.name("w").set(np.array([0.1, 0.2, 0.3], "float32"))
    sgd = lg.optim.SGD(env, 0.1, momentum=0.9)

    def step(ctx: lg.Context, x: Any) -> Any:
        return sgd.minimize(lg.sum(lg.square(ctx.variable("w") * x + ctx.random.normal(3))))

    for _ in range(runs):
        env.run(step, X)
    return env, step


@pytest.mark.parametrize("runs_before", [0, 1, 2], ids=["first", "second", "program"])
def test_an_interrupt_at_any_line_of_the_package_leaves_a_whole_state(runs_before: int) -> None:
    """The state is that from before the run or from after it, nothing between; and all goes on as if nothing was."""
    control, control_step = small_env(runs_before)
    start = snapshot(control)
    control.run(control_step, X)
    done = snapshot(control)
    stop = 0
    while True:
        env, step = small_env(runs_before)
        if not interrupted(stop, lambda env=env, step=step: env.run(step, X)):  # type: ignore[misc]
            break
        assert snapshot(env) in (start, done)
        assert writing.graphs == []
        if snapshot(env) == start:
            env.run(step, X)
        assert snapshot(env) == done
        stop += 1
    assert stop > 50


def failing(kind: str) -> tuple[lg.VariableEnvironment, Callable[[], Any]]:
    """An environment, and something that registers variables in it and then fails."""
    env = lg.VariableEnvironment(seed=3)
    env.name("w").set(np.ones(3, "float32"))

    def step(ctx: lg.Context) -> Any:
        env.name("new").set([1.0])
        lg.optim.SGD(env, 0.1, momentum=0.9).minimize(lg.sum(ctx.variable("w")))
        raise Injected

    def optimizer() -> None:
        class Broken(lg.optim.SGD):
            def _state_variable(self, name: str, initial: Any) -> Any:
                if name == "momentum":
                    raise Injected
                return super()._state_variable(name, initial)

        Broken(env, 0.1, momentum=0.9)

    calls: dict[str, Callable[[], Any]] = {
        "run": lambda: env.run(step),
        "compile": env.compile(step),
        "trace": lambda: env.trace(step),
        "optimizer": optimizer,
        "layer": lambda: Pair(env),
    }
    return env, calls[kind]


class Pair(lg.nn.Layer):
    """A layer of which the second part cannot be made."""

    def __init__(self, env: Any, name: str | None = None) -> None:
        super().__init__(env, name)
        self._part(lg.nn.Linear(self._namespace(), 3, 4))
        raise Injected


@pytest.mark.parametrize("kind", ["run", "compile", "trace", "layer", "optimizer"])
def test_an_interrupt_in_the_clean_up_of_a_failure_leaves_nothing_behind(kind: str) -> None:
    """Nor do names stay taken: all can be done again under the same names."""
    env, _ = failing(kind)
    start, taken = snapshot(env), (dict(env._layers), dict(env._names_taken))
    stop = 0
    while True:
        env, call = failing(kind)
        try:
            if not interrupted(stop, call):
                raise AssertionError("it has not failed")
        except Injected:
            break
        assert snapshot(env) == start
        assert (taken, ["w"], 1) == ((env._layers, env._names_taken), [v.path for v in env], len(env))
        assert writing.graphs == []
        env.name("new").set([1.0])
        assert env.run(lambda ctx: lg.sum(ctx.variable("new") * ctx.variable("w"))) == 3
        stop += 1
    assert snapshot(env) == start
    assert stop > 20


def test_a_failing_feed_leaves_the_environment_as_it_was(env: lg.VariableEnvironment) -> None:
    """A missing, a misshapen and an unknown feed stop the run before anything changes."""
    adam = lg.optim.Adam(env)

    def step(ctx: lg.Context) -> Any:
        x = ctx.placeholder("x", (3,)) + ctx.random.normal(3)
        return adam.minimize(lg.sum(x * ctx.variable("w")))

    before = snapshot(env)
    for feeds in ({}, {"x": np.ones(4)}, {"y": np.ones(3)}, {"x": np.ones(3), "y": np.ones(3)}):
        for call in (env.run, lambda s, feeds: env.compile(s)(feeds=feeds)):
            with pytest.raises(lg.FeedError):
                call(step, feeds=feeds)
            assert snapshot(env) == before


def test_a_failing_hook_leaves_the_environment_as_it_was(env: lg.VariableEnvironment) -> None:
    """A hook is part of the transaction, under run and as a program."""
    fail = False

    def hook(array: Any) -> None:
        if fail:
            raise Injected

    def step(ctx: lg.Context) -> Any:
        w = ctx.variable("w")
        return ctx.assign("b", w * 2), ctx.assign(w, (w + ctx.random.normal(3)).hook(hook))

    fast = env.compile(step)
    for call in (lambda: env.run(step), fast):
        for _ in range(3):
            fail = True
            before = snapshot(env)
            with pytest.raises(Injected):
                call()
            assert snapshot(env) == before
            fail = False
            call()
            assert snapshot(env) != before


@pytest.mark.parametrize("how", ["run", "compile", "trace"])
def test_variables_that_a_failed_step_registered_are_gone(env: lg.VariableEnvironment, how: str) -> None:
    """New variables, optimizer state among them, are part of the transaction."""
    adam = lg.optim.Adam(env)

    def step(ctx: lg.Context) -> Any:
        env.namespace("new").name("v").set([1.0])
        adam.minimize(lg.sum(ctx.variable("w") * ctx.variable("new/v")))
        raise Injected

    before = snapshot(env)
    with pytest.raises(Injected):
        env.compile(step)() if how == "compile" else getattr(env, how)(step)
    assert snapshot(env) == before


def test_variables_registered_around_a_nested_trace_are_gone_if_the_step_fails(env: lg.VariableEnvironment) -> None:
    """Tracing another step inside a step does not make half a step permanent."""

    def step(ctx: lg.Context) -> Any:
        env.name("v").set([1.0])
        env.trace(lambda other: other.variable("w") + 1)
        raise Injected

    before = snapshot(env)
    with pytest.raises(Injected):
        env.run(step)
    assert snapshot(env) == before


# Law 3. Same seed, same numbers; what is returned is the user's.


def draws(ctx: lg.Context) -> list[lg.Tensor]:
    """One draw of every kind."""
    r = ctx.random
    return [
        r.uniform((2, 3), low=-1.0, high=2.0),
        r.normal((5,), mean=1.0, std=2.0),
        r.bernoulli((9,), p=0.3),
        r.exponential((2,), scale=3.0),
        r.gamma((3,), 2.5, scale=0.5),
        r.log_normal((3,), mean=0.1, std=0.2),
        r.permutation(7),
        r.integers((4,), 0, 100),
        r.normal((2,), dtype="float64"),
    ]


def as_bytes(arrays: Any) -> list[bytes]:
    """The bits of several arrays."""
    return [a.tobytes() for a in arrays]


def test_the_same_seed_gives_the_same_numbers_in_two_environments() -> None:
    """Bit for bit, run after run."""
    one, two = lg.VariableEnvironment(seed=11), lg.VariableEnvironment(seed=11)
    for _ in range(4):
        assert as_bytes(one.run(draws)) == as_bytes(two.run(draws))


def test_another_seed_gives_other_numbers() -> None:
    """And an environment without a seed has one of its own."""
    seeded = [lg.VariableEnvironment(seed=seed) for seed in (0, 1, None, None)]
    assert len({as_bytes(env.run(draws))[1] for env in seeded}) == 4


def test_every_run_draws_fresh_numbers() -> None:
    """No draw of one run is a draw of another, nor two draws of one run alike."""

    def step(ctx: lg.Context) -> Any:
        return ctx.random.normal(4), ctx.random.normal(4)

    env = lg.VariableEnvironment(seed=0)
    seen = {a.tobytes() for _ in range(5) for a in env.run(step)}
    assert len(seen) == 10


def test_run_and_compile_draw_the_same_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bit for bit, interpreted and as programs. Native code draws the same, but rounds what is made of a draw."""
    monkeypatch.setenv("LAZYGRAD_NATIVE", "off")
    one, two = lg.VariableEnvironment(seed=5), lg.VariableEnvironment(seed=5)
    fast = two.compile(draws)
    for _ in range(4):
        assert as_bytes(one.run(draws)) == as_bytes(fast())


def test_a_draw_does_not_depend_on_what_else_is_evaluated() -> None:
    """The numbers of a draw are its own, in whatever order and company it is evaluated."""
    whole = lg.VariableEnvironment(seed=9).run(draws)
    for order in ([8, 3, 0], [1], [5, 4], list(range(9))[::-1]):
        env = lg.VariableEnvironment(seed=9)
        some = env.run(lambda ctx, made=draws, order=order: (lambda all_: [all_[i] for i in order])(made(ctx)))
        assert as_bytes(some) == [whole[i].tobytes() for i in order]


PROCESS = """
import numpy as np, lazygrad as lg
env = lg.VariableEnvironment(seed=21)
env.name("w").set(np.linspace(-1, 1, 300, dtype="float32").reshape(20, 15))
adam = lg.optim.Adam(env, 0.1)
def step(ctx):
    x = ctx.random.normal((30, 20))
    loss = lg.mean(lg.square(lg.tanh(x @ ctx.variable("w"))))
    return loss, adam.minimize(loss)
for _ in range(5):
    loss, _ = env.run(step)
print(np.asarray(loss).tobytes().hex(), env["w"].tobytes().hex(), env["adam/w/m"].tobytes().hex())
"""


def test_the_same_seed_gives_the_same_numbers_in_two_processes() -> None:
    """Training for some steps ends in the same bits, whatever Python's hash seed."""
    found = [
        subprocess.run(
            [sys.executable, "-c", PROCESS], capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": seed}
        ).stdout
        for seed in ("1", "2")
    ]
    assert len(found[0]) > 1000
    assert found[0] == found[1]


def everything(ctx: lg.Context, x: Any) -> list[Any]:
    """Values of every kind that could share memory: read, fed, constant, literal, view, broadcast, computed."""
    w = ctx.variable("w")
    big = lg.exp(w * x)
    return [
        w,
        x,
        ctx.constant(CONSTANT),
        ctx.constant(2.5),
        lg.ones(3),
        w[::-1],
        x.T,
        x[1:],
        big,
        big[:2],
        big.reshape(3, 1),
        lg.broadcast_to(w, (2, 3)),
        lg.sum(big),
        lg.stop_gradient(w),
        lg.identity(x),
        ctx.random.normal(3),
        lg.sort(x),
        x.hook(ignored),
    ]


CONSTANT = np.array([4.0, 5.0, 6.0], "float32")


def test_what_runs_return_is_never_changed_by_later_runs(env: lg.VariableEnvironment) -> None:
    """The results of five runs each way keep their numbers while others run and the environment changes."""
    fast = env.compile(everything)
    kept = []
    for k in range(5):
        for call in (lambda x: env.run(everything, x), fast):
            values = call(np.full(3, k, "float32"))
            kept.append((values, [np.array(v) for v in values]))
            env["w"] = env["w"] + 1
    for values, copies in kept:
        for value, copy in zip(values, copies, strict=True):
            np.testing.assert_array_equal(value, copy)


def test_writing_into_what_a_run_returned_changes_nothing(env: lg.VariableEnvironment) -> None:
    """Neither the environment, nor constants, nor what was fed, nor any other or later result."""
    fast = env.compile(everything)
    for call in (lambda x: env.run(everything, x), fast):
        for _ in range(3):
            x = np.array([1.0, 2.0, 3.0], "float32")
            expected = [np.array(v) for v in call(x)][:15]
            values = call(x)
            for i, value in enumerate(values):
                assert isinstance(value, np.ndarray)
                value[...] = -7
                for j in range(i + 1, 15):
                    np.testing.assert_array_equal(values[j], expected[j])
            assert env["w"].tolist() == x.tolist() == [1.0, 2.0, 3.0]
            assert CONSTANT.tolist() == [4.0, 5.0, 6.0]
            for value, right in zip(call(x), expected, strict=False):
                np.testing.assert_array_equal(value, right)


def test_writing_into_what_was_fed_changes_no_result(env: lg.VariableEnvironment) -> None:
    """Returned placeholders, and variables assigned from them, are copies."""

    def step(ctx: lg.Context, x: Any) -> Any:
        return x, x[:2], ctx.assign("b", x)

    for call in (lambda x: env.run(step, x), env.compile(step)):
        for _ in range(3):
            x = np.array([1.0, 2.0, 3.0], "float32")
            whole, part, _ = call(x)
            x[...] = 9
            assert whole.tolist() == env["b"].tolist() == [1.0, 2.0, 3.0]
            assert part.tolist() == [1.0, 2.0]


def test_reading_a_variable_gives_a_copy(env: lg.VariableEnvironment) -> None:
    """From the environment, from a namespace, and from the variable itself."""
    (w, _) = env
    for copy in (env["w"], env.default_namespace()["w"], w.value):
        copy[...] = 0
    assert env["w"].tolist() == [1.0, 2.0, 3.0]


def test_a_variable_keeps_nothing_of_the_array_it_was_set_from() -> None:
    """Registering and setting copy."""
    env = lg.VariableEnvironment()
    array = np.ones(3)
    env.name("w").set(array)
    array[...] = 2
    assert env["w"].tolist() == [1.0, 1.0, 1.0]
    env["w"] = array
    array[...] = 3
    assert env["w"].tolist() == [2.0, 2.0, 2.0]


def test_the_type_of_a_result_is_an_array_at_every_run(env: lg.VariableEnvironment) -> None:
    """A scalar comes as a 0-d array, the first time and later, under run and compile."""

    def step(ctx: lg.Context) -> Any:
        return lg.sum(ctx.variable("w"))

    assert [type(value) for value in four_ways(env, step)] == [np.ndarray] * 4


def test_threads_that_share_an_environment_wait_for_each_other() -> None:
    """No increment is lost among four threads, some under run and some under compile, that meet in every run."""
    env = lg.VariableEnvironment()
    env.name("n").set(np.zeros((), "int64"), trainable=False)

    def slow(array: Any) -> None:
        time.sleep(1e-3)

    def step(ctx: lg.Context) -> Any:
        n = ctx.variable("n").hook(slow)
        return ctx.assign("n", n + 1), n

    fast = env.compile(step)
    seen: list[int] = []
    failures: list[BaseException] = []

    def work(call: Callable[[], Any]) -> None:
        try:
            for _ in range(10):
                seen.append(int(call()[1]))
        except BaseException as reason:
            failures.append(reason)

    threads = [threading.Thread(target=work, args=(call,)) for call in (lambda: env.run(step), fast) * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert sorted(seen) == list(range(40))
    assert env["n"] == 40


# Law 4. NumPy's dtypes.

NUMPY = tuple(int(part) for part in np.__version__.split(".")[:2])
DTYPES = ["bool", "int8", "uint8", "int32", "int64", "uint64", "float16", "float32", "float64"]
NUMBERS = [True, 2, 0.5, np.float32(0.5), np.float64(0.5), np.int8(2), np.int64(2), np.bool_(True)]
OPERATIONS: dict[str, tuple[Callable[[Any, Any], Any], Callable[[Any, Any], Any]]] = {
    "+": (lambda a, b: a + b, lambda a, b: a + b),
    "-": (lambda a, b: a - b, lambda a, b: a - b),
    "*": (lambda a, b: a * b, lambda a, b: a * b),
    "/": (lambda a, b: a / b, lambda a, b: a / b),
    "//": (lambda a, b: a // b, lambda a, b: a // b),
    "%": (lambda a, b: a % b, lambda a, b: a % b),
    "**": (lambda a, b: a**b, lambda a, b: a**b),
    "<": (lambda a, b: a < b, lambda a, b: a < b),
    ">=": (lambda a, b: a >= b, lambda a, b: a >= b),
    "equal": (lambda a, b: lg.equal(a, b), lambda a, b: np.equal(a, b)),
    "maximum": (lambda a, b: lg.maximum(a, b), lambda a, b: np.maximum(a, b)),
    "where": (lambda a, b: lg.where(a > 0, a, b), lambda a, b: np.where(a > 0, a, b)),
}


def same_as_numpy(env: lg.VariableEnvironment, name: str, a: Any, b: Any) -> None:
    """Value and dtype of an operation are NumPy's, or both refuse it; the dtype is known beforehand."""
    ours, numpys = OPERATIONS[name]
    declared = []

    def step(ctx: lg.Context, a: Any, b: Any) -> Any:
        y = ours(a, b)
        declared.append(y.dtype)
        return y

    try:
        with np.errstate(all="ignore"):
            expected = np.asarray(numpys(a, b))
    except TypeError:
        with pytest.raises(lg.SpecError):
            env.run(step, a, b)
        return
    found = env.run(step, a, b)
    if name == "**" and NUMPY < (2, 2) and isinstance(b, (np.integer, np.floating)):
        expected = np.power(a, np.full(np.shape(a), b))  # some powers were computed in the dtype of the base alone
    assert expected.dtype == found.dtype == declared[0]
    np.testing.assert_array_equal(expected, found)


@pytest.mark.parametrize("name", OPERATIONS)
def test_two_arrays_promote_as_in_numpy(name: str) -> None:
    """Every pair of dtypes, in both orders."""
    env = lg.VariableEnvironment()
    for a, b in itertools.product(DTYPES, DTYPES):
        same_as_numpy(env, name, np.array([1, 0, 3]).astype(a), np.array([1, 1, 2]).astype(b))


@pytest.mark.parametrize("name", OPERATIONS)
def test_numbers_promote_as_in_numpy(name: str) -> None:
    """Python numbers are weak, NumPy's are not; on either side."""
    env = lg.VariableEnvironment()
    for dtype, number in itertools.product(DTYPES, NUMBERS):
        array = np.array([1, 0, 3]).astype(dtype)
        same_as_numpy(env, name, array, number)
        if name != "where":
            same_as_numpy(env, name, number, np.array([1, 2, 3]).astype(dtype))


def test_a_comparison_takes_python_numbers_beyond_the_range_of_the_dtype() -> None:
    """As NumPy's comparisons do, alone among its functions."""
    env = lg.VariableEnvironment()
    for number in (-1, 300, -(2**40), 2**70):
        for name in ("<", ">=", "equal"):
            same_as_numpy(env, name, np.array([0, 7, 255], "uint8"), number)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_a_gradient_has_the_dtype_of_what_it_is_taken_for(dtype: str) -> None:
    """Also where the loss, or another operand, has another dtype."""
    env = lg.VariableEnvironment()

    def step(ctx: lg.Context, x: Any, other: Any) -> Any:
        losses = [lg.sum(x * other), lg.sum((x.astype("float64") * other).astype("float32")), lg.mean(x**2) * other[0]]
        return [lg.grad(loss, [x, other]) for loss in losses]

    for wide in ("float16", "float32", "float64"):
        for gx, gother in env.run(step, np.ones(3, dtype), np.ones(3, wide)):
            assert (gx.dtype, gother.dtype) == (np.dtype(dtype), np.dtype(wide))


@elementwise(vjp=lambda g, y, x: g * np.float64(2))
def doubled(xp: Any, x: Array) -> Any:
    """Twice x; its derivative is written carelessly, in double precision."""
    return x + x


def test_a_gradient_keeps_its_dtype_through_a_careless_rule() -> None:
    """The engine casts what a rule gives to the dtype of its operand."""
    env = lg.VariableEnvironment()
    g = env.run(lambda ctx, x: lg.grad(lg.sum(doubled(doubled(x))), x), np.ones(2, "float32"))
    assert (g.dtype, g.tolist()) == (np.dtype("float32"), [4.0, 4.0])


@pytest.mark.parametrize("dtype", ["bool", "int8", "int64", "float16", "float32", "float64"])
def test_assigning_casts_to_the_dtype_of_the_variable(dtype: str) -> None:
    """By an update, under run and compile, and by setting."""
    env = lg.VariableEnvironment()
    env.name("v").set(np.zeros(3, dtype))

    def step(ctx: lg.Context, x: Any) -> Any:
        return ctx.assign("v", x)

    x = np.array([1.5, -2.5, 0.0])
    for _ in four_ways(env, step, x):
        assert env["v"].dtype == dtype
        np.testing.assert_array_equal(env["v"], x.astype(dtype))
        env["v"] = [7.25, 0.0, 1.0]
        np.testing.assert_array_equal(env["v"], np.array([7.25, 0.0, 1.0]).astype(dtype))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_dtype_of_the_environment_is_for_what_has_none(dtype: str) -> None:
    """Draws, placeholders, made arrays and Python floats get it; arrays and whole numbers keep theirs."""
    env = lg.VariableEnvironment(dtype=dtype)
    other = "float64" if dtype == "float32" else "float32"
    found = {}

    def step(ctx: lg.Context) -> Any:
        found["draw"] = ctx.random.normal(3)
        found["placeholder"] = ctx.placeholder("x", 3)
        found["number"] = ctx.constant(0.5)
        found["list"] = ctx.constant([0.5, 1.5])
        found["zeros"] = lg.zeros(3)
        assert {t.dtype for t in found.values()} == {np.dtype(dtype)}
        assert ctx.constant(np.ones(3, other)).dtype == other
        assert ctx.constant(3).dtype == "int64"
        return found["draw"]

    env.run(step)
    assert env.name("list").set([0.5]).dtype == dtype
    assert env.name("array").set(np.ones(3, other)).dtype == other
    assert env.name("whole").set([1, 2]).dtype == "int64"


# Law 5. Errors come where the mistake is.


def test_a_mismatch_is_raised_when_the_op_is_written_and_names_the_line(env: lg.VariableEnvironment) -> None:
    """Before anything is evaluated, with the line, and with where both operands come from."""

    def step(ctx: lg.Context) -> Any:
        wide = lg.ones((2, 4))
        counted(ctx.variable("w"), label="evaluated").eval()
        return ctx.variable("w") + wide

    with pytest.raises(lg.SpecError) as caught:
        env.run(step)
    made = at(step, "lg.ones").rsplit("  ", 1)[1].removesuffix(", in step")
    assert (
        str(caught.value)
        == f"""cannot add float32[3] and float32[2, 4]

{at(step, "+ wide")}

    left:   float32[3]      variable 'w'
    right:  float32[2, 4]   full, {made}
    The last axes are 3 and 4; they must be equal, or one of them 1."""
    )
    assert CALLS == ["evaluated"]


def test_an_exception_of_a_kernel_says_which_line_wrote_it(env: lg.VariableEnvironment) -> None:
    """What can only be known when evaluating carries a note, under run and as a program."""

    def step(ctx: lg.Context, i: Any) -> Any:
        return lg.take(ctx.variable("w"), i)

    expected = f"while evaluating gather(float32[3], int64[1]), {at(step, 'lg.take').strip()}"
    fast = env.compile(step)
    for call in (lambda i: env.run(step, i), fast):
        for i in (0, 1, 5):
            if i < 5:
                call(np.array([i]))
            else:
                with pytest.raises(IndexError) as caught:
                    call(np.array([i]))
                assert [expected] == caught.value.__notes__


# Law 6. Nothing grows.

GROWTH = """
import resource, sys
import numpy as np, lazygrad as lg
env = lg.VariableEnvironment(seed=0)
env.name("w").set(np.ones((4, 4), "float32"))
adam = lg.optim.Adam(env, 1e-3)
def used():
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
def train(ctx, x):
    loss = lg.mean(lg.square(lg.tanh(x @ ctx.variable("w")) + ctx.random.normal((1, 4))))
    return loss, adam.minimize(loss)
"""
SAME = """
x = np.ones((8, 4), "float32")
for _ in range(1000): env.run(train, x)
before = used()
for _ in range(20_000): env.run(train, x)
print(used() - before)
"""
SHAPES = """
for n in range(1, 200): env.run(train, np.ones((n, 4), "float32"))
before = used()
for n in range(1, 800): env.run(train, np.ones((n % 199 + 1, 4), "float32"))
print(used() - before)
"""
FUNCTIONS = """
def fresh(k):
    space = {}
    exec(f"def step(ctx, x):\\n    w = ctx.variable('w')\\n    return lg.sum(x @ w) + {k}", {"lg": lg}, space)
    return space["step"]
x = np.ones((8, 4), "float32")
for k in range(500): env.run(fresh(k), x)
before = used()
for k in range(4000): env.run(fresh(k), x)
print(used() - before)
"""
SIGNATURES = """
import os
os.environ["LAZYGRAD_NATIVE"] = "off"  # what LLVM needs is measured in tests/codegen
fast = env.compile(train)
for n in range(1, 300): fast(np.ones((n, 4), "float32"))
before = used()
for n in range(1, 900): fast(np.ones((n % 299 + 1, 4), "float32"))
print(used() - before)
"""


EXACT = """
import gc, tracemalloc
x = np.ones((8, 4), "float32")
tracemalloc.start()
for _ in range(2): # the first collection empties lists of Python's own, which fill again
    for _ in range(2000): env.run(train, x)
    gc.collect()
before = tracemalloc.get_traced_memory()[0]
for _ in range(1000): env.run(train, x)
gc.collect()
print(tracemalloc.get_traced_memory()[0] - before)
"""


def printed(program: str) -> int:
    """The number that a program prints, run by itself, as a peak of memory is that of a whole process."""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return int(done.stdout)


@pytest.mark.slow
def test_not_one_object_is_left_behind_by_a_run() -> None:
    """The smallest object takes 16 bytes; a thousand runs leave fewer than six thousand, of things remembered."""
    assert printed(GROWTH.replace("import resource, sys", "") + EXACT) < 6_000


@pytest.mark.thinned(4)
@pytest.mark.skipif(sys.platform == "win32", reason="the module resource, which measures, exists on Unix only")
@pytest.mark.parametrize("what", [SAME, SHAPES, FUNCTIONS, SIGNATURES], ids=["same", "shapes", "functions", "compile"])
def test_memory_stays_where_it_was(what: str) -> None:
    """After a warm-up, thousands of runs of a step, of other shapes, of ever new functions, need no more memory."""
    assert printed(GROWTH + what) < 2_000_000


def test_no_graph_outlives_its_run(env: lg.VariableEnvironment) -> None:
    """Without the garbage collector, runs leave no graphs behind: they form no cycles."""
    adam = lg.optim.Adam(env)

    def step(ctx: lg.Context, x: Any) -> Any:
        loss = lg.sum(ctx.variable("w") * x)
        ctx.evaluator().push(loss).run()
        return loss, adam.minimize(loss)

    def failing(ctx: lg.Context) -> Any:
        lg.grad(lg.sum(ctx.variable("w")), ctx.variable("w"))
        raise Injected

    def graphs() -> int:
        return sum(isinstance(x, Graph) for x in gc.get_objects())

    def some() -> None:
        for n in (3, 1):
            env.run(step, np.ones(n, "float32"))
        with pytest.raises(Injected):
            env.run(failing)

    for _ in range(5):
        some()
    gc.collect()
    before = graphs()
    gc.disable()
    try:
        for _ in range(20):
            some()
        assert graphs() <= before + 2  # those of the last exception
    finally:
        gc.enable()


def chain(ctx: lg.Context, x: Any, n: int) -> Any:
    """A chain of ``n`` ops with its gradient."""
    y = x
    for _ in range(n // 2):
        y = lg.tanh(y) + 0.5
    return y, lg.grad(y, x)


def chain_by_hand(x: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """The same in NumPy."""
    y, d = x, np.ones_like(x)
    for _ in range(n // 2):
        h = np.tanh(y)
        y, d = h + 0.5, d * (1 - h * h)
    return y, d


@pytest.mark.thinned(2)
@pytest.mark.parametrize("n", [10_000, 30_000])
def test_a_long_chain_is_differentiated_and_run_without_recursion(n: int) -> None:
    """Far more ops than Python's recursion limit, with the right value and gradient, twice."""
    env = lg.VariableEnvironment(dtype="float64")
    x = np.array([0.3, -0.2])
    expected = chain_by_hand(x, n)
    for _ in range(2):
        for value, right in zip(env.run(chain, x, n), expected, strict=True):
            np.testing.assert_allclose(value, right, rtol=1e-9, atol=1e-300)


@pytest.mark.slow
def test_time_grows_in_proportion_to_the_number_of_ops() -> None:
    """Four times the ops take about four times as long to write and differentiate; sixteen would be quadratic."""
    env = lg.VariableEnvironment(dtype="float64")
    x = np.array([0.3, -0.2])

    def seconds(n: int) -> float:
        best = np.inf
        for _ in range(3):
            start = time.perf_counter()
            env.trace(chain, x, n)
            best = min(best, time.perf_counter() - start)
        return best

    seconds(1000)
    assert seconds(16_000) / seconds(4_000) < 8


def test_depth_does_not_limit_nested_derivatives() -> None:
    """Forward over reverse of a chain deeper than the recursion limit."""
    env = lg.VariableEnvironment(dtype="float64")

    def step(ctx: lg.Context, x: Any) -> Any:
        y = x
        for _ in range(3000):
            y = y * 1.0001
        return lg.hessian_vector_product(lg.square(y), x, x), y

    hv, y = env.run(step, np.array(2.0))
    np.testing.assert_allclose(hv, 2 * (y / 2) ** 2 * 2, rtol=1e-9)


# Law 7. Saving loses nothing. More in test_serialize.py.


def test_a_saved_environment_goes_on_where_it_was(tmp_path: Any) -> None:
    """Variables, optimizer state and random state come back to the bit, and training goes on the same."""
    env, step = rich_env()
    env.save(tmp_path / "env.json")
    loaded = lg.VariableEnvironment.load(tmp_path / "env.json")
    again = rich_step(loaded)
    assert snapshot(loaded) == snapshot(env)
    for _ in range(3):
        assert env.run(step, X)[0].tobytes() == loaded.run(again, X)[0].tobytes()
    assert snapshot(loaded) == snapshot(env)


# Law 8. Zero times anything. More in test_zero_cotangents.py, test_dtypes.py, test_rewrite_operands.py.


def test_what_is_not_chosen_and_what_is_small_or_half_or_nan_gives_the_right_number(
    env: lg.VariableEnvironment,
) -> None:
    """Zero cotangents give zeros, halves are added in float32, small whole numbers do not wrap, NaN arrives."""

    def step(ctx: lg.Context, x: lg.Tensor) -> Any:
        masked = lg.grad(lg.sum(lg.where(x > 0, lg.log(x), 0)), x)
        half = lg.mean(np.full(10, 40000, "float16"))
        small = lg.nn.softmax(np.array([1, 2, 3], "uint8"))
        return masked, half, small, lg.median(lg.where(x > 0, x, np.nan))

    x = np.array([0.0, -1.0, 2.0])
    exponentials = np.exp([1.0, 2.0, 3.0])
    for masked, half, small, middle in (env.run(step, x), env.compile(step, wait=True)(x)):
        assert [0.0, 0.0, 0.5] == masked.tolist()
        assert half == 40000
        np.testing.assert_allclose(small, exponentials / np.sum(exponentials), rtol=1e-15)
        assert np.isnan(middle)
