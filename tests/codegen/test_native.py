"""The table of a plan: its kernels, buffers and lifetimes, and the text of its module."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from native_steps import agree, case, plan_of, random_floats, whole

import lazygrad as lg
from lazygrad.engine.cpu.llvm import compiled
from lazygrad.engine.table.lower import lowered
from lazygrad.engine.table.native import Instruction, NumpyCall

pytest.importorskip("llvmlite", reason="llvmlite is not installed")

X = whole((40, 30))


def layers(ctx: Any, x: Any) -> Any:
    """A dozen products, each read once."""
    y = x
    for _ in range(12):
        y = lg.maximum(y @ lg.permute_dims(x, (1, 0)) @ x * 1e-3, 0)
    return lg.sum(y)


@pytest.mark.parametrize("width", [4, 8, 16])
def test_buffers_that_live_at_once_do_not_overlap(width: int) -> None:
    """Neither with what an entry writes nor with what a later one reads."""
    native = lowered(plan_of(layers, X), width)
    buffers = list(native.buffers.values())
    assert len(buffers) > 12
    for k, a in enumerate(buffers):
        assert 0 <= a.offset
        assert a.offset + a.nbytes <= native.nbytes
        for b in buffers[:k]:
            apart = a.last < b.first or b.last < a.first
            assert apart or a.offset + a.nbytes <= b.offset or b.offset + b.nbytes <= a.offset


def test_a_buffer_is_used_again_when_its_last_reader_is_done() -> None:
    """A dozen layers need no more than two."""
    native = lowered(plan_of(layers, X), 8)
    assert native.nbytes < sum(b.nbytes for b in native.buffers.values()) // 3


def test_kernels_alike_are_one_function() -> None:
    """Named by their text."""
    native = lowered(plan_of(layers, X), 8)
    instructions = [step for step in native.program if isinstance(step, Instruction)]
    assert len(instructions) > 3 * len(native.functions)
    assert {step.name for step in instructions} <= set(native.functions)


def test_the_same_plan_has_the_same_text() -> None:
    """So that the code of yesterday is found in the cache."""
    assert lowered(plan_of(layers, X), 8).text() == lowered(plan_of(layers, X), 8).text()


def test_no_address_stands_in_the_text() -> None:
    """Nor a number of a variable or an argument."""
    step = lambda ctx, x: (x * ctx.variable("w") + lg.arange(30), ctx.assign("w", ctx.variable("w") + 1))  # noqa: E731
    one = lowered(plan_of(step, X, w=np.ones(30)), 8).text()
    two = lowered(plan_of(step, X + 1, w=np.zeros(30)), 8).text()
    assert one == two
    assert not re.search(r"inttoptr", one)


@pytest.mark.parametrize("width", [4, 8, 16])
def test_a_module_is_taken_by_llvm_whatever_its_width(width: int) -> None:
    """Its functions all have attributes, and what they call is declared once."""
    text = lowered(plan_of(lambda ctx, x: (lg.nn.softmax(x), lg.sum(lg.erf(x)), lg.argmax(x, axis=1)), X), width).text()
    assert compiled(text)
    declared = re.findall(r"^declare [^@]*(@[^(]*)", text, re.M)
    assert len(declared) == len(set(declared))


def test_large_values_are_computed_where_they_are_returned() -> None:
    """A small one is copied out of the arena."""
    native = lowered(plan_of(lambda ctx, x: (x + 1, lg.sum(x, axis=0)), whole((100, 100))), 8)
    (output,) = native.outputs
    assert (100, 100) == native.ways.spec(output).shape
    assert native.nbytes < 1024


def test_a_new_value_is_computed_where_the_variable_takes_it_from() -> None:
    """And copied for a second variable that takes the same."""
    step = lambda ctx, x: (ctx.assign("v", (y := x * 2 + 1)), ctx.assign("w", y), y)  # noqa: E731
    this = case(step, X, v=X, w=X)
    agree(this)
    assert 1 == len(this.native.spares)
    assert 0 == this.native.nbytes


def test_what_is_called_back_stands_between_the_kernels() -> None:
    """In the order of the plan."""
    native = lowered(plan_of(lambda ctx, x: lg.i0(lg.exp(x)) * 2, X), 8)
    assert [Instruction, NumpyCall, Instruction] == [type(step) for step in native.program]


def test_hooks_are_called_in_the_order_they_were_written() -> None:
    """Though nothing depends on it."""
    seen: list[int] = []

    def step(ctx: Any, x: Any) -> Any:
        return [lg.sum(lg.hook(x[k], lambda a, k=k: seen.append(k))) for k in range(5)]

    agree(case(step, X))
    assert [0, 1, 2, 3, 4] * 2 == seen


def test_results_of_an_op_with_several_are_taken_apart() -> None:
    """As of a decomposition."""
    x = random_floats((12, 10), "float64")
    this = case(lambda ctx, x: (lg.linalg.qr(x)[1] * 2, lg.linalg.svd(x, full_matrices=False)[1] + 1), x)
    agree(this, units=16)
    assert {"qr", "svd"} <= {name.strip("_") for name in this.calls}


@pytest.mark.parametrize("kind", ["transposed", "reversed", "a part", "numbers"])
def test_what_is_called_back_reads_views_where_they_lie(kind: str) -> None:
    """Of arguments, of computed arrays and of numbers."""
    views = {
        "transposed": lambda x: x.T,
        "reversed": lambda x: x[::-1, ::-2],
        "a part": lambda x: x[3:7, 5],
        "numbers": lambda x: lg.full((4, 4), 2.0),
    }

    def step(ctx: Any, x: Any) -> Any:
        y = lg.exp(x * 0.1)
        return lg.cumulative_sum(views[kind](x), axis=0), lg.cumulative_sum(views[kind](y), axis=0)

    agree(case(step, X), units=8)


@pytest.mark.parametrize("width", [4, 8, 16])
def test_draws_are_the_same_however_they_are_computed(width: int) -> None:
    """They are called back with the generator of their number."""
    step = lambda ctx, x: (x + ctx.random.normal(x.shape), lg.sum(ctx.random.uniform(7) < 0.5))  # noqa: E731
    agree(case(step, X, width=width))
