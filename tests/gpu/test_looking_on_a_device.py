"""What a step tells of itself where its variables lie on a device, on CuPy's double."""

from __future__ import annotations

import sys
from typing import Any

import cupy_double
import numpy as np
import pytest

import lazygrad as lg

pytest.importorskip("llvmlite", reason="llvmlite is not installed")


@pytest.fixture(autouse=True)
def device(monkeypatch: pytest.MonkeyPatch) -> None:
    """The double in place of CuPy."""
    for name, module in cupy_double.modules().items():
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.delenv("LAZYGRAD_NATIVE", raising=False)


def root(ctx: Any, x: Any) -> Any:
    """A loss that is finite at 0, where its derivative is not."""
    w = ctx.variable("w")
    loss = lg.sum(lg.sqrt(w * x))
    return loss, ctx.assign("w", w - 0.1 * lg.grad(loss, w))


@pytest.fixture
def env() -> lg.VariableEnvironment:
    """With a variable of which one number is 0, on the device."""
    made = lg.VariableEnvironment(seed=0, backend="cupy")
    made.name("w").set(np.array([0.0, 1.0, 4.0], "f4"))
    return made


def test_what_is_not_finite_is_found_on_the_host(env: lg.VariableEnvironment) -> None:
    """Before the update and after it, as the numbers of before lie on the device still."""
    step = env.compile(root, wait=True)
    x = np.ones((4, 3), "f4")
    for _ in range(2):
        finding = step.find("finite", x)
        assert finding is not None
        assert ("gradient", "loss = lg.sum(lg.sqrt(w * x))") == (finding.part, finding.origin.text)
        step(x)


def test_a_checked_run_commits_or_raises(env: lg.VariableEnvironment) -> None:
    """It is computed on the host, and what it gives lies on the device."""
    with pytest.raises(lg.FiniteError):
        env.run(root, np.ones((4, 3), "f4"), check="finite")
    env["w"] = np.array([1.0, 1.0, 4.0], "f4")
    loss, _ = env.run(root, np.ones((4, 3), "f4"), check="finite")
    assert "cupy" == type(loss).__module__.partition("_")[0].partition(".")[0]
    assert 16.0 == float(loss)
    np.testing.assert_allclose(env._store.backend.to_numpy(env["w"]), [0.8, 0.8, 3.9], rtol=1e-6)


def test_a_profile_goes_node_by_node(env: lg.VariableEnvironment) -> None:
    """And says so; nothing is changed."""
    env["w"] = np.array([1.0, 1.0, 4.0], "f4")
    profile = env.compile(root, wait=True).profile(np.ones((4, 3), "f4"), runs=2)
    assert "cupy, node by node" == profile.how
    assert any(kernel.cost.what == "sqrt" for kernel in profile.kernels)
    np.testing.assert_array_equal(env._store.backend.to_numpy(env["w"]), [1.0, 1.0, 4.0])


def test_a_plan_says_whose_lines_its_kernels_compute(env: lg.VariableEnvironment) -> None:
    """Those of a GPU too."""
    text = env.compile(root).prepare(np.ones((4, 3), "f4")).explain()
    assert "loss = lg.sum(lg.sqrt(w * x))" in text[text.index("what each computes of the program") :]
