"""Native code on arrays: how a step's table is run, whole or by chunks."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from native_steps import agree, case, plan_of, random_floats, whole

import lazygrad as lg
from lazygrad.engine.cpu.binding import Loaded
from lazygrad.engine.table.lower import lowered
from lazygrad.engine.table.native import Instruction

pytest.importorskip("llvmlite", reason="llvmlite is not installed")


def bits(values: list[Any]) -> list[bytes]:
    """What must be the same."""
    return [np.asarray(v).tobytes() for v in values]


def run_by_chunks(loaded: Loaded, live: Any, inputs: list[Any], order: Callable[[int], Any]) -> list[Any]:
    """Run a step's kernels one by one, and every chunk in a call of its own, in this order."""
    bound = loaded.bind(live, {}, lambda draw: None)
    bound.step(*inputs)  # fills in the addresses of what is given
    loaded.arena[:] = 0x55
    kind = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)
    begin = bound.block.ctypes.data
    for step in loaded.native.program:
        assert isinstance(step, Instruction)
        function = kind(loaded.addresses[step.name])
        if step.chunks == 1:
            function(begin, 0, 1)
        else:
            for first, last in order(step.chunks):
                function(begin, first, last)
        begin += 8 * len(step.arguments)
    return [bound.arrays[loaded.native.key(i)].copy() for i in loaded.native.plan.values]


ORDERS: dict[str, Callable[[int], Any]] = {
    "one by one": lambda n: [(k, k + 1) for k in range(n)],
    "from the last": lambda n: [(k, k + 1) for k in reversed(range(n))],
    "odd ones first": lambda n: [(k, k + 1) for k in [*range(1, n, 2), *range(0, n, 2)]],
    "in two shares": lambda n: [(n // 2, n), (0, n // 2)],
    "at once": lambda n: [(0, n)],
}


def sums(ctx: Any, x: Any, y: Any, z: Any, i: Any) -> Any:
    """Totals of every kind, small enough to lie in the arena."""
    return (
        lg.sum(x),
        lg.prod(1 + x * 1e-5),
        lg.sum(y, axis=0),
        lg.max(y * 2, axis=0),
        lg.segment_sum(y, i, 30),
        lg.segment_sum(y, i % 3, 3),
        lg.sum(lg.nn.softmax(z) * z, axis=0),
        lg.logsumexp(x),
        lg.any(x > 4),
    )


@pytest.fixture(scope="module")
def totals() -> tuple[Loaded, list[Any]]:
    """Native code of them, with arguments."""
    rng = np.random.default_rng(0)
    inputs = [
        random_floats(200_001),
        random_floats((50_001, 5)),
        random_floats((900, 203)),
        rng.integers(0, 30, 50_001),
    ]
    native = lowered(plan_of(sums, *inputs), 8)
    return Loaded(native, np), inputs


@pytest.mark.parametrize("name", ORDERS)
def test_how_chunks_are_shared_out_changes_no_bit(totals: tuple[Loaded, list[Any]], name: str) -> None:
    """In any order, alone or together; rounding is the same as the chunks are."""
    loaded, inputs = totals
    assert max(s.chunks for s in loaded.native.program if isinstance(s, Instruction)) > 2
    expected = loaded.bind({}, {}, lambda draw: None).step(*inputs)
    assert bits(expected) == bits(run_by_chunks(loaded, {}, inputs, ORDERS[name]))


def test_a_step_gives_the_same_bits_again(totals: tuple[Loaded, list[Any]]) -> None:
    """Whatever the arena held before."""
    loaded, inputs = totals
    bound = loaded.bind({}, {}, lambda draw: None)
    expected = bits(bound.step(*inputs))
    for rubbish in (0, 0x55, 0xFF):
        loaded.arena[:] = rubbish
        assert expected == bits(bound.step(*inputs))


@pytest.mark.parametrize("width", [4, 8, 16])
def test_memory_beside_the_arrays_is_not_touched(width: int) -> None:
    """Nothing is written before or after a result, nor read into it."""
    x = whole(41)
    this = case(lambda ctx, x: (x * 2, lg.sum(x), x[::-1] + 1), x, width=width)
    agree(this)
    native = this.native
    loaded = Loaded(native, np)
    bound = loaded.bind({}, {}, lambda draw: None)
    used = np.zeros(loaded.arena.size, bool)
    for buffer in native.buffers.values():
        used[buffer.offset : buffer.offset + buffer.spec.nbytes] = True
    room = np.full(41 + 64, np.nan, np.float32)
    room[32:73] = x
    loaded.arena[:] = 0x55
    found = bound.step(room[32:73])
    assert bits(this.expected) == bits(found)
    assert (loaded.arena[~used] == 0x55).all()


def test_what_no_input_changes_is_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """And lies still between runs."""
    plan = plan_of(lambda ctx, x: lg.cumulative_sum(lg.arange(6), axis=0) * x, whole(6))
    loaded = Loaded(lowered(plan, 8), np)
    statics = [a for a in loaded.statics.values() if getattr(a, "shape", None) == (6,)]
    assert [0, 1, 3, 6, 10, 15] in [a.tolist() for a in statics]


def test_a_step_with_a_call_back_has_no_shortest_way() -> None:
    """Nor one whose result is large, or an argument."""
    steps: list[Callable[..., Any]] = [
        lambda ctx, x: lg.convolve(x, x),
        lambda ctx, x: lg.broadcast_to(x[:1], (5000,)) * 2,
        lambda ctx, x: (x, x * 2),
        lambda ctx, x: lg.full((3,), 2.0),
    ]
    for step in steps:
        loaded = Loaded(lowered(plan_of(step, whole(6)), 8), np)
        assert loaded.bind({}, {}, lambda draw: None).quick([0] * len(loaded.native.inputs)) is None


def test_the_shortest_way_keeps_arrays_that_are_the_same_in_every_call() -> None:
    """As those that a step closes over."""
    array = whole(6, seed=3)
    loaded = Loaded(lowered(plan_of(lambda ctx, x: x * 2 + array, whole(6)), 8), np)
    native = loaded.native
    sources: list[Any] = [0 if i in native.plan.placeholders.values() else array.copy() for i in native.inputs]
    quick = loaded.bind({}, {}, lambda draw: None).quick(sources)
    assert quick is not None
    sources.clear()
    for k in range(3):
        (found,) = quick([whole(6) * k]) or [None]
        assert (whole(6) * k * 2 + array).tolist() == found.tolist()
