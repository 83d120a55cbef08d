"""Kernels on the GPU, bit for bit what the CPU computes with 32 lanes.

Steps of every kind of kernel, the mathematical functions, small matrices, draws, optimizers, and random programs of the
tests. Those in which something is called back, as products are of cuBLAS, are held to rounding.
"""

from __future__ import annotations

import importlib
import random
import warnings
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from benchmarks.gpu.here import on_host

__all__ = ["compared"]


class Step(NamedTuple):
    """A step, its arguments, and its variables."""

    name: str
    step: Callable[..., Any]
    arguments: list[Any]
    variables: dict[str, Any]


def compared(few: bool) -> dict[str, Any]:
    """How many steps were bit for bit the same, and how many up to rounding; which were not, and why."""
    equal = near = 0
    wrong: list[str] = []
    for each in steps(few):
        try:
            exact = agrees(each)
        except Exception as reason:
            said = str(reason).strip().splitlines() or [""]
            wrong.append(f"{each.name}: {type(reason).__name__}: {said[0]}")
        else:
            equal, near = equal + exact, near + (not exact)
    return {"equal": equal, "near": near, "wrong": wrong}


def agrees(this: Step) -> bool:
    """Compare a step on both backends; whether it was bit for bit.

    Raises:
        AssertionError: it is not what it should be.
    """
    import lazygrad as lg
    from lazygrad.engine.agreement import disagreement
    from lazygrad.engine.cpu.binding import Loaded
    from lazygrad.engine.cuda.target import GPU
    from lazygrad.engine.table.lower import lowered
    from lazygrad.engine.table.native import Instruction

    host = importlib.import_module("gpu.emulated").HOST
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        there = environment(lg, this, "cupy")
        compiled = there.compile(this.step, wait=True)
        found = [on_host(array) for array in leaves(compiled(*this.arguments))]
        assert compiled.is_native, "it is not native"
        found += [on_host(variable.value) for variable in there]
        here = environment(lg, this, "numpy")
        traced = here.compile(this.step)
        plan = traced.prepare(*this.arguments)
        native = lowered(plan, GPU)
        exact = all(isinstance(step, Instruction) for step in native.program)
        if exact:
            run = int(there._store.drawing.stream[1])
            store, inputs = here._store, traced._last.inputs(this.arguments, None, here._store.backend)
            live = {name: store.find(name).live(0) for name in plan.variables}
            spare = {name: np.array(store.find(name).live(0)) for name in plan.updates}
            store.drawing.begin(store.draws, run)
            values = Loaded(lowered(plan, host), np).bind(live, spare, store.drawing).step(*inputs)
            expected = [*values, *(spare.get(v.path, v.value) for v in here)]
        else:
            expected = [*leaves(here.run(this.step, *this.arguments)), *(variable.value for variable in here)]
    assert len(found) == len(expected), f"{len(found)} arrays in place of {len(expected)}"
    for one, other in zip(found, expected, strict=True):
        if exact:
            assert without_nan(one).tobytes() == without_nan(other).tobytes(), "other bits"
        else:
            said = disagreement(one, other)
            assert said is None, said
    return exact


def environment(lg: Any, this: Step, backend: str) -> Any:
    """With the step's variables."""
    env = lg.VariableEnvironment(seed=0, backend=backend, dtype=str(this.variables.get("dtype", "float32")))
    for name, value in this.variables.items():
        if name != "dtype":
            env.name(name).set(value)
    return env


def leaves(result: Any) -> list[Any]:
    """The arrays of a result."""
    if isinstance(result, (tuple, list)):
        return [array for part in result for array in leaves(part)]
    return [] if result is None else [result]


def without_nan(array: Any) -> Any:
    """With one NaN for all: a GPU makes others than a CPU."""
    array = np.asarray(array)
    return np.where(np.isnan(array), np.array(np.nan, array.dtype), array) if array.dtype.kind == "f" else array


def steps(few: bool) -> Iterator[Step]:
    """What is tried; the programs of the tests, which lie beside the benchmarks."""
    import lazygrad as lg

    tests = importlib.import_module("gpu.test_kernels")
    for name, (step, x) in list(tests.KERNELS.items())[:: 4 if few else 1]:
        yield Step(name, step, [x], {})
    x = np.linspace(0.1, 20, 77)
    for function in tests.FUNCTIONS[:: 4 if few else 1]:
        for dtype in ("float32", "float64"):
            yield Step(f"{function.__name__} of {dtype}", lambda ctx, x, f=function: f(x), [x.astype(dtype)], {})
    a = np.random.default_rng(0).normal(size=(40, 3, 3)).astype(np.float32)
    for name, step in list(tests.SMALL.items())[:: 3 if few else 1]:
        yield Step(name, step, [a @ a.swapaxes(1, 2) + 3 * np.eye(3, dtype=np.float32)], {})
    yield Step("draws", lambda ctx: (ctx.random.normal((50,)), ctx.random.bernoulli((50,), 0.3)), [], {})
    rows = a.reshape(-1, 9)[:, :7]
    yield Step("a loop", lambda ctx, x: lg.scan(lambda h, row: (h * 0.5 + row, h), lg.zeros(7), x), [rows], {})
    for family, maker in (("exact", "programs"), ("wild", "wild_programs")):
        make = getattr(importlib.import_module(maker), f"{family}_program")
        for seed in range(2 if few else 60):
            yield program(family, seed, make(random.Random(seed)))


def program(family: str, seed: int, made: Any) -> Step:
    """A random program of the tests."""
    step = made.step()
    variables = {"abc"[k]: value for k, value in enumerate(made.variables)}
    return Step(f"{family} program {seed}", step, list(made.arguments), {"dtype": "float64", **variables})
