"""What a step costs a GPU, counted beside what the double of CuPy was asked for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from cupy_double import counts

import lazygrad as lg
from lazygrad.engine.table.counts import counted

pytest.importorskip("llvmlite", reason="llvmlite is not installed")


@pytest.fixture(autouse=True)
def device(double: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The double in place of CuPy."""
    monkeypatch.delenv("LAZYGRAD_NATIVE", raising=False)


def network(env: lg.VariableEnvironment) -> Any:
    """A step that trains a network with Adam."""
    layers = [lg.nn.Linear(env, 5, 8), lg.nn.Linear(env, 8, 3)]
    made = lg.optim.Adam(env, 0.01)

    def step(ctx: Any, x: Any, y: Any) -> Any:
        loss = lg.mean(lg.nn.cross_entropy(layers[1](lg.nn.relu(layers[0](x))), y))
        return loss, made.minimize(loss)

    return step


def test_launches_are_as_many_as_explain_says() -> None:
    """Those of an MLP's step with Adam are six at most, beside its five products."""
    env = lg.VariableEnvironment(seed=0, backend="cupy")
    step = env.compile(network(env), wait=True)
    x, y = np.ones((16, 5), np.float32), np.zeros(16, np.int64)
    step(x, y), step(x, y)
    before = counts["launches"]
    step(x, y)
    found = counted(step.plan.native().native)
    assert counts["launches"] - before == found.launches <= 6
    assert (5, {}) == (found.products, dict(found.calls))
    said = step.plan.explain()
    assert f"{found.launches} launches, 5 products, 0 calls back; {found.nbytes:,} bytes are read and written" in said
    assert ("launched together: " in said) == bool(step.plan.native().native.bundles)


def test_every_turn_of_a_loop_counts() -> None:
    """With its launches and its products."""
    env = lg.VariableEnvironment(backend="cupy")
    w = env.name("w").set(np.eye(30, dtype=np.float32))

    def step(ctx: Any, x: Any) -> Any:
        last, _ = lg.scan(lambda h, r: (lg.tanh(h @ w + r), None), lg.zeros((7, 30)), x)
        return last

    run = env.compile(step, wait=True)
    x = np.ones((6, 7, 30), np.float32)
    run(x), run(x)
    before = counts["launches"]
    run(x)
    found = counted(run.plan.native().native)
    assert counts["launches"] - before == found.launches
    assert 6 == found.products
