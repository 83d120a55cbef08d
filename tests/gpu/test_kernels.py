"""Kernels for threads of a GPU, run by an emulator: the bits of the CPU's code of 32 lanes, the numbers of NumPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from codegen.native_steps import plan_of, random_floats, whole
from gpu import emulator, ptx_text
from gpu.emulated import Emulated, emulated, module_of

import lazygrad as lg
from lazygrad.engine.cuda.entry import device_code
from lazygrad.engine.cuda.llvm import assembled, assembler, ptx
from lazygrad.engine.cuda.target import GPU
from lazygrad.engine.cuda.threads import WARP, Threads
from lazygrad.engine.lanes.registers import F32, Register
from lazygrad.engine.table.lower import lowered
from lazygrad.ops.halves import HALVES, _halved, _packed, _unpacked

pytest.importorskip("llvmlite", reason="llvmlite is not installed")

LABELS = np.arange(600) % 3
NOT_NUMBERS = np.float32([np.inf, -np.inf, np.nan, -0.0])

KERNELS: dict[str, tuple[Callable[..., Any], Any]] = {
    "halves": (
        lambda ctx, x: [(bits := _packed(_halved(x, to=to), to=to), _unpacked(bits, of=to)) for to in HALVES],
        np.concatenate([np.float32(2) ** np.linspace(-28, 17, 121, dtype=np.float32), NOT_NUMBERS]).reshape(5, 25),
    ),
    "maps": (lambda ctx, x: ((x + 1) * x, x > 0, lg.where(x > 0, x, -x)), whole((9, 30))),
    "folds": (lambda ctx, x: (lg.max(x, axis=1), lg.sum(x, axis=0), lg.sum(x)), whole((37, 50))),
    "products of rows": (lambda ctx, x: lg.prod(x, axis=-1), whole((5, 7))),
    "in chunks": (lambda ctx, x: (lg.sum(x), lg.sum(x, axis=0)), whole((600, 40))),
    "totals of chunks": (
        lambda ctx, x: (
            lg.max(x, axis=0),
            lg.sum(x[:, :3], axis=0),
            lg.min(x),
            lg.at(lg.ones((3, 9)))[LABELS].add(x[:, :9]),
        ),
        whole((600, 70)),
    ),
    "rooms": (lambda ctx, x: x * x - lg.sum(x * x, axis=1, keepdims=True), whole((30, 50))),
    "rows in lanes": (lambda ctx, x: x - lg.max(x, axis=1, keepdims=True), whole((200, 3))),
    "totals in rooms": (lambda ctx, x: x - lg.sum(x, axis=(1, 3), keepdims=True), whole((2, 3, 4, 40))),
    "places": (lambda ctx, x: (lg.argmax(x, axis=-1), lg.argmin(x, axis=-1)), whole((20, 7))),
    "segments": (lambda ctx, x: lg.at(lg.ones((3, 5)))[np.array([0, 2, -1, 0])].add(x), whole((4, 5))),
    "many segments": (lambda ctx, x: lg.at(lg.zeros((50, 5)))[np.array([0, 49, -1, 7])].add(x), whole((4, 5))),
    "indices": (lambda ctx, x: x[np.array([[0, -1], [2, 0]]), 1:], whole((4, 5))),
    "casts": (lambda ctx, x: (lg.astype(x * 1.5, "int32"), lg.astype(x, "bool"), lg.astype(x, "float64")), whole(9)),
    "whole numbers": (lambda ctx, x: (x // 3, x % 3, x * x, lg.sum(x)), whole((70,), np.int64)),
    "booleans": (lambda ctx, x: (lg.any(x, axis=0), lg.all(x, axis=1), ~x), whole((20, 40), np.bool_)),
    "doubles": (lambda ctx, x: (lg.sum(x, axis=1), lg.max(x)), whole((20, 40), np.float64)),
    "bytes": (lambda ctx, x: (x + x, lg.max(x, axis=1)), whole((9, 40), np.int8)),
}


def agree(this: Emulated, units: float = 0) -> None:
    """The bits of the host, and the numbers of NumPy up to ``units`` roundings of the largest."""
    for found, host, expected in zip(this.found, this.host, this.expected, strict=True):
        assert (expected.shape, expected.dtype) == (found.shape, found.dtype)
        assert host.tobytes() == found.tobytes()
        if not units or expected.dtype.kind != "f":
            np.testing.assert_array_equal(found, expected)
        else:
            scale = max(1.0, float(np.max(np.abs(expected), initial=0)))
            np.testing.assert_allclose(found, expected, rtol=0, atol=units * np.finfo(expected.dtype).eps * scale)


@pytest.mark.parametrize("name", KERNELS)
def test_every_kind_of_kernel_computes_the_same(name: str) -> None:
    """Of whole numbers, bit for bit as NumPy."""
    step, x = KERNELS[name]
    agree(emulated(step, x))


@pytest.mark.parametrize("name", ["folds", "totals in rooms", "rows in lanes", "many segments", "places"])
@pytest.mark.parametrize("seed", [0, 1])
def test_threads_may_run_in_any_order(name: str, seed: int) -> None:
    """Between the places where a warp meets; a few rows, as one thread after the other takes long."""
    step, x = KERNELS[name]
    agree(emulated(step, x[:4], seed=seed))


def test_what_chunks_have_totalled_is_combined_by_many_warps() -> None:
    """A warp for every 32 columns, or for each of fewer; a kernel that totals has not so many chunks as others."""
    x = np.zeros((100_000, 333), np.float32)
    plan = plan_of(lambda ctx, x: (lg.sum(x, axis=0), lg.sum(x[:, :3] * 2, axis=0)), x)
    chunks = [step.chunks for step in lowered(plan, GPU).program]
    assert {11, 3} < set(chunks)
    assert max(chunks) <= 4 * GPU.totals


FUNCTIONS = [lg.exp, lg.log, lg.sin, lg.tanh, lg.sqrt, lg.log1p, lg.erf, lg.atan, lg.cosh, lg.expm1, lg.gammaln]


SMALL: dict[str, Callable[..., Any]] = {
    "inverses": lambda ctx, a: lg.linalg.inv(a),
    "solutions": lambda ctx, a: lg.linalg.solve(a, lg.ones((40, 3, 1))),
    "factors": lambda ctx, a: lg.linalg.cholesky(a),
    "determinants": lambda ctx, a: lg.linalg.det(a),
    "eigenvalues": lambda ctx, a: lg.linalg.eigvalsh(a),
    "triangles": lambda ctx, a: lg.linalg.qr(a)[1],
}


@pytest.mark.parametrize("name", SMALL)
def test_small_matrices_are_written_out(name: str) -> None:
    """A matrix a thread; no library is called."""
    a = random_floats((40, 3, 3))
    this = emulated(SMALL[name], a @ a.swapaxes(1, 2) + 3 * np.eye(3, dtype=np.float32))
    assert ["Instruction"] == [type(step).__name__ for step in this.native.program]
    agree(this, units=256)


def test_random_numbers_are_made_where_they_are_read() -> None:
    """The words of the generator bit for bit; no number comes from the host."""
    this = emulated(lambda ctx: (ctx.random.uniform((50,)), ctx.random.normal((50,)), ctx.random.bernoulli((50,), 0.3)))
    assert {"Instruction"} == {type(step).__name__ for step in this.native.program}
    agree(this, units=8)


@pytest.mark.thinned(4)
@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda f: f.__name__)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_functions_give_the_bits_of_the_cpu(function: Any, dtype: Any) -> None:
    """They are written with the same primitives, and no product and sum is rounded together."""
    x = np.abs(random_floats((40,), dtype)) * np.logspace(-6, 4, 40).astype(dtype)
    x = np.minimum(x, 80) if function in (lg.exp, lg.cosh, lg.expm1) else x
    this = emulated(lambda ctx, x: function(x), x)
    assert this.host[0].tobytes() == this.found[0].tobytes()
    np.testing.assert_allclose(this.found[0], this.expected[0], rtol=8 * np.finfo(dtype).eps, atol=0)


@pytest.mark.thinned(4)
@pytest.mark.parametrize("architecture", ["sm_70", "sm_80", "sm_90"])
@pytest.mark.parametrize("name", KERNELS)
def test_every_kind_of_kernel_assembles_without_spills(name: str, architecture: str) -> None:
    """With at most 64 registers a thread; of fewer the assembler may lay a word aside, as it sees fit."""
    tool = assembler()
    if tool is None:
        pytest.skip("there is no ptxas: the wheel nvidia-cuda-nvcc-cu12 brings it")
    if architecture not in tool.architectures:
        pytest.skip(f"{tool.program} does not write for {architecture} any more")
    step, x = KERNELS[name]
    native = lowered(plan_of(step, x), GPU)
    if not module_of(native).launches:
        return
    code, usages = assembled(ptx(module_of(native).text, architecture), architecture)
    assert code[:4] == b"\x7fELF"
    assert usages.keys() == module_of(native).launches.keys()
    assert [] == [(key, usage) for key, usage in usages.items() if usage.registers > 64 or usage.spilled > 16]


def test_memory_is_global_and_what_does_not_change_is_read_as_such() -> None:
    """No load or store of a map goes by generic addresses."""
    native = lowered(plan_of(lambda ctx, x: x * 2, whole((300,))), GPU)
    text = ptx(module_of(native).text)
    code = [i.line for k in ptx_text.read(text).kernels.values() for i in k.code if i.name[0] in ("ld", "st")]
    assert [] == [line for line in code if line.startswith(("ld.b", "st.b"))]
    assert any(line.startswith("ld.global.nc") for line in code)


def test_without_meetings_some_order_of_threads_gives_wrong_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    """So the orders that are tried would show a meeting that is missing."""
    step, x = KERNELS["totals in rooms"]
    agree(emulated(step, x, seed=0))
    monkeypatch.setattr(Threads, "meet", lambda self: None)
    wrong = [emulated(step, x, seed=seed) for seed in range(4)]
    assert any(this.host[0].tobytes() != this.found[0].tobytes() for this in wrong)


def _room_then_read(w: Threads, x: Register, memory: Register) -> Register:
    """What one thread writes into a room, and all read."""
    room = w.room(WARP, F32)
    w.store(x, room, 0, wide=True)
    return w.load(room, 7, F32, fixed=False)


def _read_then_replaced(w: Threads, x: Register, memory: Register) -> Register:
    """A number that all read, and one thread replaces."""
    found = w.load(memory, 3, F32, fixed=False)
    w.store(found + 1, memory, 3)
    return found


def _room_used_again(w: Threads, x: Register, memory: Register) -> Register:
    """A room that is written again after all have read what one thread has written."""
    room = w.room(WARP, F32)
    w.store(x, room, 0, wide=True)
    found = w.load(room, 7, F32, fixed=False)
    w.store(x * 2, room, 0, wide=True)
    return found


def _raced(write: Callable[..., Register], meetings: int | None, seed: int) -> tuple[int, Any]:
    """How often the threads of a kernel meet, and what it leaves; without the meetings from a number on."""
    w, count = Threads(), 0

    def counted() -> None:
        nonlocal count
        count += 1
        if meetings is None or count <= meetings:
            Threads.meet(w)

    w.meet = counted  # type: ignore[method-assign]
    memory = w.argument(0)
    x = w.load(w.argument(1), 0, F32, wide=True)
    w.store(w.widened(write(w, x, memory)), w.argument(2), 0, wide=True)
    program = ptx_text.read(ptx(device_code({"k": w.body()}, dict(w.definitions)).text))
    given, result = np.arange(WARP, dtype=np.float32), np.zeros(WARP, np.float32)
    known, failed = emulator.Memory(), np.zeros(1, np.int64)
    row = np.array([known.add(a) for a in (given.copy(), given, result)], np.int64)
    emulator.run(program, "k", 1, WARP, [known.add(row), 1, known.add(failed)], known, seed)
    return count, result


@pytest.mark.parametrize("write", [_room_then_read, _read_then_replaced, _room_used_again])
def test_a_meeting_that_is_missing_shows(write: Callable[..., Register]) -> None:
    """Each of the three reasons to meet, planted by itself: without the last meeting some order gives wrong numbers."""
    right = np.full(WARP, 3 if write is _read_then_replaced else 7, np.float32)
    for seed in range(8):
        count, found = _raced(write, None, seed)
        np.testing.assert_array_equal(found, right)
    assert any((_raced(write, count - 1, seed)[1] != right).any() for seed in range(8))


def test_an_index_out_of_range_sets_the_word_that_ends_the_step() -> None:
    """As on the CPU, where the kernel's status does."""
    with pytest.raises(IndexError):
        emulated(lambda ctx, x, i: x[i], whole((4, 5)), np.array([0, 9]))


@pytest.mark.parametrize("shape", [(40, 3, 3), (5, 2, 2), (4, 4)])
def test_small_matrices_are_lanes(shape: Any) -> None:
    """One a thread, with loops that go on until no thread asks for another turn."""
    x = random_floats(shape, "float64") + 4 * np.eye(shape[-1])

    def step(ctx: Any, x: Any) -> Any:
        return lg.linalg.inv(x), lg.linalg.eigvalsh(x), lg.sum(lg.linalg.qr(x)[1] @ x)

    agree(emulated(step, x), units=500)


def test_rows_of_few_turns_are_cut_further_in() -> None:
    """A kernel over 2 × 2 × 64 × 900 rows has hundreds of chunks, and so has a fold over its first two axes."""
    x = whole((2, 2, 8, 60))

    def step(ctx: Any, x: Any) -> Any:
        return x[::-1] * 2 + x, lg.sum(x, axis=(0, 1)), lg.max(x, axis=0)

    agree(emulated(step, x))
    native = lowered(plan_of(step, np.zeros((2, 2, 64, 900), np.float32)), GPU)
    assert min(step.chunks for step in native.program) > 20
