"""Exported code gives the same bits as the compiled step: over the table of ops, loops, draws, and layers."""

from __future__ import annotations

import contextlib
import warnings
from typing import Any

import numpy as np
import pytest
from cases import CASES
from exported import bits, called, listed

import lazygrad as lg
from lazygrad.engine.lower.classify import decomposes

pytest.importorskip("llvmlite", reason="native code is made by llvmlite")


@pytest.mark.thinned(12)
@pytest.mark.parametrize("case", [case for case in CASES if case.domains], ids=str)
def test_an_exported_op_gives_the_bits_of_the_compiled_one(case: Any) -> None:
    """For every row of the table whose op is native."""
    arrays = [np.asarray(a) for a in case.sample(case.dtypes[0])]
    env = lg.VariableEnvironment(seed=0)
    step = env.compile(lambda ctx, *xs: case.call(*xs), wait=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        step(*arrays)
        expected = listed(step(*arrays))
    if "  NumPy: " in step.plan.explain() or decomposes(step.plan.graph):
        with contextlib.suppress(lg.ExportError):  # small matrices, and what is empty, have a form nevertheless
            assert bits(expected) == bits(called(step, *arrays)(*arrays))
    else:
        assert bits(expected) == bits(called(step, *arrays)(*arrays))


def scanned(ctx: Any, x: Any, start: Any) -> Any:
    """A scan, with its gradient."""
    last, ys = lg.scan(lambda c, row: (lg.tanh(c @ row), (c @ row)[0]), start, x)
    return {"last": last, "each": ys, "slope": lg.grad(lg.sum(ys), start)}


def whiled(ctx: Any, x: Any, start: Any) -> Any:
    """A loop whose turns are counted as they go."""
    count, found = lg.while_loop(lambda s: s[0] < 7, lambda s: (s[0] + 1, lg.tanh(s[1] @ x[0])), (0, start))
    return count, found


def chosen(ctx: Any, x: Any, start: Any) -> Any:
    """A choice and a loop in a loop."""

    def one(c: Any, row: Any) -> Any:
        new = lg.cond(lg.sum(row) > 0, lambda: c @ row, lambda: c - lg.exp(row) @ row)
        return lg.scan(lambda d, r: (d + lg.outer(r, r) @ d * 0.01, None), new, row)[0], lg.sum(new)

    return lg.scan(one, start, x)


@pytest.mark.parametrize("step", [scanned, whiled, chosen], ids=lambda step: step.__name__)
@pytest.mark.parametrize("n", [3, 17])
def test_loops_give_the_same_bits(step: Any, n: int) -> None:
    """Scans with their gradients, loops whose turns are counted as they go, choices, and loops in loops."""
    rng = np.random.default_rng(0)
    x, start = (0.3 * rng.standard_normal(s).astype(np.float32) for s in ((5, n, n), (n, n)))
    env = lg.VariableEnvironment(seed=0)
    compiled = env.compile(step, wait=True)
    compiled(x, start)
    expected = bits(listed(compiled(x, start)))
    exported = called(compiled, x, start)
    assert expected == bits(exported(x, start))
    assert expected == bits(exported(x, start, workspace=0)), "what the workspace holds before does not matter"


def test_the_loop_is_run_by_the_driver_that_goes_with_it() -> None:
    """A loop of matrices is a table that is run again and again, also in exported code."""
    env = lg.VariableEnvironment(seed=0)
    x, start = np.ones((5, 17, 17), np.float32), np.ones((17, 17), np.float32)
    source = env.compile(scanned)._source((x, start))
    from lazygrad.export.code import coded
    from lazygrad.export.targets import machine_of

    assert "call i64 @lazygrad.repeat(" in coded(source, machine_of("host"), "f").text


def test_draws_are_those_of_the_run_with_that_number() -> None:
    """The exported function is told the key and the number of the run, and draws what that run draws."""
    env = lg.VariableEnvironment(seed=4)
    step = env.compile(lambda ctx: (ctx.random.normal((300,)), ctx.random.uniform((2, 3))), wait=True)
    runs = [bits(step()) for _ in range(3)]
    exported = called(step)
    assert runs == [bits(exported(run=run)) for run in range(3)]


def test_layers_and_their_buffers_give_the_same_bits() -> None:
    """A convolutional network with normalisation and pools, as it predicts; its weights are part of the code."""
    env = lg.VariableEnvironment(seed=0)
    network = lg.nn.Sequential(
        lg.nn.Conv2d(env, 1, 4, 3, name="conv"), lg.nn.BatchNorm(env, 4, name="norm"), lg.nn.MaxPool2d(env, 2)
    )
    out = lg.nn.Linear(env, 4 * 5 * 5, 3, name="out")
    step = env.compile(lambda ctx, x: lg.nn.softmax(out(network(x, train=False).reshape((2, -1)))), wait=True)
    x = np.random.default_rng(0).random((2, 1, 12, 12), np.float32)
    step(x)
    expected = bits([step(x)])
    exported = called(step, x)
    env["out/bias"] = np.ones(3)
    assert expected == bits(exported(x)), "it has the numbers that the variables had when it was exported"


def test_averages_of_pools_are_those_of_numpy_but_for_the_order() -> None:
    """Sums of windows with gaps, padding and strides; in a step that also has constants, feeds and what is not read."""
    env = lg.VariableEnvironment(seed=0)
    weights = np.random.default_rng(1).random((3, 4, 5)).astype(np.float32)

    def pooled(ctx: Any, unused: Any, x: Any) -> Any:
        y = lg.nn.avg_pool2d(x, 3, stride=2, padding=1) * weights
        return y, lg.nn.max_pool2d(x, (2, 3), padding=1) * ctx.variable("w")

    env.name("w").set(2.0)
    step, x = env.compile(pooled, wait=True), np.random.default_rng(0).standard_normal((2, 3, 8, 9)).astype(np.float32)
    step(x, x)
    expected, found = step(x, x), called(step, x, x)(x, x)
    np.testing.assert_allclose(found[0], expected[0], rtol=3e-7, atol=1e-7)
    assert bits(found[1:]) == bits(expected[1:])


def test_values_that_are_nothing_but_arguments_numbers_and_each_other_come_out() -> None:
    """What no kernel computes is copied: an argument, a number, a variable, and the same value twice."""
    env = lg.VariableEnvironment(seed=0)
    env.name("w").set(np.arange(3000.0))

    def step(ctx: Any, x: Any, unused: Any) -> Any:
        y = lg.exp(x)
        return x, lg.full((3,), 7.0), ctx.variable("w"), y, y, y + 0, x[::-1], lg.zeros((0, 3))

    x, unused = np.random.default_rng(0).random(5000).astype(np.float32), np.ones(3)
    compiled = env.compile(step, wait=True)
    compiled(x, unused)
    exported = called(compiled, x, unused)
    assert bits(compiled(x, unused)) == bits(exported(x, unused))
    assert [one.name for one in exported.signature.inputs] == ["x", "unused"]
    assert [one.name for one in exported.signature.outputs] == [f"y{k}" for k in range(8)]


def test_outputs_have_the_names_of_where_they_stand() -> None:
    """In a tuple a number, in a dict its key; a single one is y."""
    env = lg.VariableEnvironment(seed=0)
    x = np.ones(2, np.float32)
    nested = env.compile(lambda ctx, x: ((x + 1, {"low": x - 1}), [x * 2, x * 3]))
    assert [one.name for one in called(nested, x).signature.outputs] == ["y_0_0", "y_0_1_low", "y_1_0", "y_1_1"]
    for single in (lambda ctx, x: x + 1, lambda ctx, x: (x + 1,)):
        assert [one.name for one in called(env.compile(single), x).signature.outputs] == ["y"]


def test_the_numbers_of_variables_are_copied_before_other_steps_go_on() -> None:
    """What is exported holds none of the environment's arrays, which later steps write into."""
    env = lg.VariableEnvironment(seed=0)
    w = env.name("w").set(np.ones(4, np.float32))
    source = env.compile(lambda ctx: ctx.variable(w) * 2)._source(())
    train = env.compile(lambda ctx: ctx.assign(w, ctx.variable(w) + 1), wait=True)
    for _ in range(4):
        train()
    assert [array.tolist() for array in source.arrays.values()] == [[1.0] * 4]


def test_arrays_need_no_more_alignment_than_their_type() -> None:
    """Inputs and outputs may begin at any multiple of their elements' size."""
    env = lg.VariableEnvironment(seed=0)
    step = env.compile(lambda ctx, x: lg.exp(x) @ x, wait=True)
    x = np.random.default_rng(0).random((40, 40)).astype(np.float32)
    step(x)
    exported = called(step, x)
    block = np.zeros(40 * 40 + 16, np.float32)
    start = (-block.ctypes.data // 4 + 1) % 16
    odd = block[start : start + 1600].reshape(40, 40)
    odd[...] = x
    assert odd.ctypes.data % 64 == 4
    assert bits([step(x)]) == bits(exported(odd))
