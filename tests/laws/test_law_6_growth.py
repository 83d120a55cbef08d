"""Law 6. Nothing grows."""

from __future__ import annotations

import gc
import subprocess
import sys
import time
from typing import Any

import numpy as np
import pytest
from ways import Injected

import lazygrad as lg
from lazygrad.graph.graph import Graph

pytestmark = pytest.mark.usefixtures("numpy_alone")  # what holds bit for bit, and kernels that are made to fail


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


@pytest.mark.slow
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
