"""Where the time and the memory of a step go."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lazygrad as lg
from lazygrad.profiling.limits import Limits, limits

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(32, 20)).astype("f4"), RNG.normal(size=(32, 4)).astype("f4")


def network(env: lg.VariableEnvironment) -> Any:
    """A step of a small network, compiled."""
    first, second = lg.nn.Linear(env, 20, 16, name="first"), lg.nn.Linear(env, 16, 4, name="second")
    adam = lg.optim.Adam(env, 0.01)

    @env.compile
    def step(ctx: Any, x: Any, y: Any) -> Any:
        hidden = lg.nn.relu(first(x))
        loss = lg.mean(lg.square(second(hidden) - y))
        return loss, adam.minimize(loss)

    return step


@pytest.fixture(params=["native", "NumPy"])
def profile(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    """That of the network, by native code and on NumPy."""
    if request.param == "native":
        pytest.importorskip("llvmlite", reason="native code needs llvmlite")
    else:
        monkeypatch.setenv("LAZYGRAD_NATIVE", "off")
    found = network(lg.VariableEnvironment(seed=0)).profile(X, Y, runs=3)
    assert request.param == found.how
    return found


def test_every_table_shares_the_same_time(profile: Any) -> None:
    """By kernel, by layer and by line: the shares are those of the whole, and no time is lost."""
    whole = sum(kernel.seconds for kernel in profile.kernels)
    assert whole > 0
    for by in ("kernel", "layer", "line"):
        rows = profile.rows(by)
        assert math.isclose(whole, sum(row.seconds for row in rows), rel_tol=1e-9)
        assert math.isclose(1.0, sum(row.share for row in rows), rel_tol=1e-9)
        assert math.isclose(sum(k.cost.flops for k in profile.kernels), sum(row.flops for row in rows), rel_tol=1e-9)


def test_layers_have_their_forward_gradient_and_update(profile: Any) -> None:
    """A gradient belongs to the layer that is differentiated, an update to the layer whose variable it changes."""
    names = {row.name for row in profile.rows("layer")}
    assert {f"{layer}{part}" for layer in ("first", "second") for part in ("", ", gradient", ", update")} <= names


def test_lines_are_the_users(profile: Any) -> None:
    """With their text."""
    lines = [row.name for row in profile.rows("line")]
    assert all("test_profile.py" in line for line in lines), lines
    assert any("hidden = lg.nn.relu(first(x))" in line for line in lines)
    assert any("adam.minimize(loss)" in line for line in lines)


def test_products_have_exact_operations_and_bytes(profile: Any) -> None:
    """Of 32 × 20 times 20 × 16: two operations for each of 32·20·16, and each array once."""
    products = [k.cost for k in profile.kernels if "product" in k.cost.what or "matmul" in k.cost.what]
    first = products[0]
    assert 2 * 32 * 20 * 16 == first.flops
    assert (4 * (32 * 20 + 20 * 16), 4 * 32 * 16) == (first.read, first.written)


def test_memory_at_the_peak_is_what_is_alive(profile: Any) -> None:
    """Its parts add up, and one of them is the result of the first product."""
    assert profile.peak == sum(nbytes for _, nbytes in profile.alive) > 0
    assert any("float32[32, 16]" in what or "float32[20, 16]" in what for what, _ in profile.alive)
    assert 0 <= profile.peak_at < len(profile.kernels)


def test_a_profile_changes_nothing() -> None:
    """Neither variables nor draws nor the count of steps, whatever the number of runs."""
    env = lg.VariableEnvironment(seed=0)
    step = network(env)
    step(X, Y)
    before, state = {v.path: v.value for v in env}, env._store.state
    step.profile(X, Y, runs=5)
    assert state == env._store.state
    for v in env:
        np.testing.assert_array_equal(before[v.path], v.value)
    again = network(lg.VariableEnvironment(seed=0))
    again(X, Y)
    np.testing.assert_array_equal(again(X, Y)[0], step(X, Y)[0])


def test_hooks_are_not_called(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """What shows a value hands it on, natively and on NumPy."""
    env = lg.VariableEnvironment(seed=0)
    for said in ("auto", "off"):
        monkeypatch.setenv("LAZYGRAD_NATIVE", said)
        env.compile(lambda ctx, x: lg.sum(lg.show(x * 2, "twice") + 1)).profile(X, runs=2)
    assert "" == capsys.readouterr().out


def test_draws_and_loops_are_profiled(monkeypatch: pytest.MonkeyPatch) -> None:
    """A loop is one kernel, whose body's lines share its time."""

    def step(ctx: Any, x: Any) -> Any:
        def body(c: Any, row: Any) -> Any:
            return lg.tanh(c @ row), None

        noise = ctx.random.normal((20, 20))
        return lg.scan(body, noise, lg.ones((5, 20, 20)))[0] + lg.sum(x)

    for said in ("auto", "off"):
        monkeypatch.setenv("LAZYGRAD_NATIVE", said)
        found = lg.VariableEnvironment(seed=0).compile(step).profile(X, runs=2)
        assert any("scan" in k.cost.what and k.cost.flops >= 5 * 2 * 20**3 for k in found.kernels)
        assert any("lg.tanh(c @ row)" in row.name for row in found.rows("line"))


def test_it_prints_as_tables(profile: Any) -> None:
    """The machine's limits, three tables, and the memory."""
    text = str(profile)
    for words in ("this machine:", "÷ limit", "kernel  ", "layer  ", "line  ", "memory:", "at the peak"):
        assert words in text


def test_it_prints_in_colours_on_a_terminal(profile: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """By rich, with the same rows; plainly where rich is missing."""
    pytest.importorskip("rich", reason="it draws the tables")
    plain = str(profile)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "200")
    drawn = str(profile)
    assert "\x1b[" in drawn
    assert all(row.name.strip()[:30] in drawn for row in profile.rows("layer"))
    monkeypatch.setitem(sys.modules, "rich.console", None)
    assert plain == str(profile)


def test_it_becomes_a_frame(profile: Any) -> None:
    """One row a layer, with the numbers of the table."""
    pytest.importorskip("pandas", reason="a frame needs pandas")
    frame = profile.to_frame("layer")
    assert len(profile.rows("layer")) == len(frame)
    assert math.isclose(1.0, frame["share"].sum(), rel_tol=1e-9)


def test_it_becomes_a_trace(profile: Any, tmp_path: Path) -> None:
    """An event a kernel, one after the other, with lines and layers."""
    path = profile.chrome_trace(tmp_path / "trace.json")
    events = [e for e in json.loads(path.read_text(encoding="utf-8"))["traceEvents"] if e["ph"] == "X"]
    assert len(profile.kernels) == len(events)
    assert all(a["ts"] + a["dur"] == pytest.approx(b["ts"]) for a, b in pairwise(events))
    assert any("test_profile.py" in line for e in events for line in e["args"]["lines"])


def test_a_trace_that_cannot_be_written_is_an_error(profile: Any, tmp_path: Path) -> None:
    """It names the path and why."""
    for path in (tmp_path / "nowhere" / "trace.json", tmp_path, "\0"):
        with pytest.raises(lg.SaveError, match="cannot write the trace to"):
            profile.chrome_trace(path)
    assert [] == list(tmp_path.iterdir())


@pytest.mark.parametrize("runs", [0, -1, 2.5, True, "many"])
def test_runs_are_a_whole_number(runs: Any) -> None:
    """At least one."""
    with pytest.raises(lg.SpecError, match="It is a whole number, 1 or more"):
        network(lg.VariableEnvironment(seed=0)).profile(X, Y, runs=runs)


def test_a_table_by_something_else_is_an_error(profile: Any) -> None:
    """It says what there is."""
    with pytest.raises(lg.SpecError, match=r"Did you mean 'layer'\?"):
        profile.rows("layers")


def test_the_limit_is_the_slower_of_moving_and_computing() -> None:
    """By where the bytes lie, and by the width of the floats."""
    machine = Limits(memory=1e9, cache=1e10, flops=1e9, wide=5e8)
    assert 1e-6 == machine.seconds(10_000, 0, False)
    assert 0.1 == machine.seconds(10**8, 0, False)
    assert 1e-3 == machine.seconds(10, 10**6, False)
    assert 2e-3 == machine.seconds(10, 10**6, True)


def test_layers_within_layers_are_told_apart() -> None:
    """The innermost one that wrote a node is its layer, also of a class of the user's."""

    class Block(lg.nn.Layer):
        """Of two layers."""

        def __init__(self, env: Any, name: str | None = None) -> None:
            super().__init__(env, name)
            self.a = self._part(lg.nn.Linear(self._namespace(), 20, 20, name="a"))

        def __call__(self, x: Any) -> Any:
            return lg.exp(self.a(x))

    env = lg.VariableEnvironment(seed=0)
    block = Block(env, name="block")
    graph = env.trace(lambda ctx, x: lg.sum(block(x)) + 1, X)
    layers = {node.op.name: origin.layer for node, origin in zip(graph.nodes, graph.origins, strict=True)}
    assert ("block/a", "block", "") == (layers["matmul"], layers["exp"], layers["sum"])


def test_a_program_that_never_profiles_imports_none_of_it() -> None:
    """What is off costs nothing."""
    program = "import sys, lazygrad; print(any('profiling' in name or 'clocked' in name for name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert "False" == done.stdout.strip()


def calls(step: Any) -> int:
    """How many functions a call of the step goes through, Python's and those in C."""
    count = 0

    def seen(frame: Any, event: str, argument: Any) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(seen)
    try:
        step(X, Y)
    finally:
        sys.setprofile(None)
    return count


@pytest.mark.parametrize("native", ["auto", "off"])
def test_a_step_goes_on_as_if_it_had_never_been_looked_at(native: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same native code is run by as many calls, before and after a profile, a search and a checked run."""
    monkeypatch.setenv("LAZYGRAD_NATIVE", native)
    env = lg.VariableEnvironment(seed=0)
    step = network(env)

    def state() -> Any:
        step(X, Y)
        step.wait()
        for _ in range(4):  # the code is put in place, on both sides of the variables
            step(X, Y)
        found = [calls(step), calls(step)]
        return found, step._last.native.loaded, step.source("llvm" if step.is_native else "python")

    before, loaded, source = state()
    step.profile(X, Y, runs=2)
    assert step.find("nan", X, Y) is None
    env.run(step.__wrapped__, X, Y, check="finite")
    assert (before, source) == state()[::2]
    assert loaded is step._last.native.loaded
    assert "clock" not in source


def test_the_machine_is_measured_once() -> None:
    """For the first profile of a process."""
    step = network(lg.VariableEnvironment(seed=0))
    first = step.profile(X, Y, runs=1).limits
    known = limits.cache_info().misses
    assert first == step.profile(X, Y, runs=1).limits
    assert known == limits.cache_info().misses
