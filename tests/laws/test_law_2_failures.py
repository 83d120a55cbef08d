"""Law 2. A step that fails, or is interrupted, at any line, has changed nothing."""

from __future__ import annotations

import dis
import functools
import itertools
import sys
from collections.abc import Callable
from types import CodeType
from typing import Any

import numpy as np
import pytest
from snapshots import snapshot
from ways import Injected, X, rich_env

import lazygrad as lg
from lazygrad.engine import runner as execute
from lazygrad.graph.graph import writing
from lazygrad.store.variables import Variable

pytestmark = pytest.mark.usefixtures("numpy_alone")  # what holds bit for bit, and kernels that are made to fail


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
    rooms = ("environment.py", "runner.py", "evaluator.py", "context.py", "compiled.py", "base.py")

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
    start, taken = snapshot(env), (dict(env._store.layers), dict(env._store.names))
    stop = 0
    while True:
        env, call = failing(kind)
        try:
            if not interrupted(stop, call):
                raise AssertionError("it has not failed")
        except Injected:
            break
        assert snapshot(env) == start
        assert (taken, ["w"], 1) == ((env._store.layers, env._store.names), [v.path for v in env], len(env))
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
