"""A step as native code beside the same plan on NumPy, for tests of what the generator writes."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

import lazygrad as lg
from lazygrad.engine.cpu.binding import Loaded
from lazygrad.engine.cpu.llvm import machine
from lazygrad.engine.lanes.target import Target
from lazygrad.engine.runner import interpret
from lazygrad.engine.table.lower import lowered
from lazygrad.engine.table.native import Instruction, Native, NumpyCall
from lazygrad.plan import Plan

__all__ = ["Case", "agree", "case", "plan_of", "random_floats", "script", "subsets", "traced", "whole"]

Step = Callable[..., Any]


def plan_of(step: Step, *arguments: Any, **variables: Any) -> Plan:
    """The plan of a step; no native code is made."""
    return traced(step, arguments, variables)[1]


def traced(
    step: Step, arguments: Any, variables: Any, env: lg.VariableEnvironment | None = None
) -> tuple[lg.VariableEnvironment, Plan, list[Any]]:
    """An environment with these variables, the plan of a step in it, and the arrays of its inputs."""
    env = lg.VariableEnvironment(seed=0) if env is None else env
    for name, array in variables.items():
        env.name(name).set(array)
    compiled = env.compile(step)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LAZYGRAD_NATIVE", "off")
        plan = compiled.prepare(*arguments)
    assert compiled._last is not None
    inputs = compiled._last.inputs([np.asarray(a) for a in arguments], None, env._store.backend)
    return env, plan, inputs


class Case(NamedTuple):
    """The native code of a step, and what it and NumPy give: values, then new values of variables by name."""

    native: Native
    loaded: Loaded
    found: list[Any]
    expected: list[Any]

    @property
    def chunks(self) -> int:
        """The most chunks that a kernel's work is cut into."""
        return max(step.chunks for step in self.native.program if isinstance(step, Instruction))

    @property
    def kernels(self) -> int:
        """How many kernels run."""
        return sum(isinstance(step, Instruction) for step in self.native.program)

    @property
    def calls(self) -> list[str]:
        """The ops that are called back on NumPy."""
        nodes = self.native.plan.graph.nodes
        return [nodes[step.node].op.name for step in self.native.program if isinstance(step, NumpyCall)]


def case(step: Step, *arguments: Any, width: int | None = None, target: Target | None = None, **variables: Any) -> Case:
    """Run a step natively and node by node. Memory that native code must write is full of rubbish before."""
    env, plan, inputs = traced(step, arguments, variables)
    native = lowered(plan, target or width or machine().width)
    loaded = Loaded(native, env._store.backend.xp)
    live = {name: env._store.find(name).live(0) for name in plan.variables}
    spare = {name: np.full_like(env._store.find(name).live(0), 77) for name in plan.updates}
    loaded.arena[:] = 0x55
    bound = dict(zip(sorted([*plan.placeholders.values(), *plan.constants]), inputs, strict=True))
    bound.update({i: live[name] for name, i in plan.variables.items()})
    with np.errstate(all="ignore"):
        reference = interpret(plan, env._store.backend, bound, env._store.drawing)
        found = loaded.bind(live, spare, env._store.drawing).step(*inputs)
    names = list(plan.updates)
    return Case(
        native,
        loaded,
        [*found, *(spare[name] for name in names)],
        [reference[i] for i in (*plan.values, *(plan.updates[name] for name in names))],
    )


def agree(this: Case, units: float = 0) -> None:
    """Check a case: bit for bit but for the sign of zero, or up to ``units`` roundings of the largest element."""
    for native, reference in zip(this.found, this.expected, strict=True):
        assert (reference.shape, reference.dtype) == (native.shape, native.dtype)
        if not units or reference.dtype.kind != "f":
            np.testing.assert_array_equal(native, reference)
            continue
        finite = np.isfinite(reference)
        scale = max(1.0, float(np.max(np.abs(reference[finite]), initial=0.0)))
        np.testing.assert_array_equal(native[~finite], reference[~finite])
        off = float(np.max(np.abs(native[finite].astype(np.float64) - reference[finite]), initial=0.0))
        assert off <= units * float(np.finfo(reference.dtype).eps) * scale, (off / scale, native, reference)


def whole(shape: Any, dtype: Any = np.float32, low: int = -4, high: int = 5, seed: int = 0) -> Any:
    """Small whole numbers, so that no order of summation rounds."""
    rng = np.random.default_rng(seed)
    if np.dtype(dtype) == np.bool_:
        return rng.random(shape) < 0.5
    if np.dtype(dtype).kind == "u":
        low = 0
    return rng.integers(low, high, shape).astype(dtype)


def random_floats(shape: Any, dtype: Any = np.float32, seed: int = 0) -> Any:
    """Numbers of the normal distribution."""
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def subsets(ndim: int) -> list[tuple[int, ...]]:
    """Every subset of the axes but the empty one."""
    return [axes for k in range(1, ndim + 1) for axes in itertools.combinations(range(ndim), k)]


def script(text: str, **variables: str) -> str:
    """What a program prints, run in a process of its own with warnings as errors."""
    kept = {k: v for k, v in os.environ.items() if k not in ("LAZYGRAD_NATIVE", "LAZYGRAD_CHECK", "LAZYGRAD_THREADS")}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", text],
        env={**kept, **variables},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert (0, "") == (done.returncode, done.stderr)
    return done.stdout
