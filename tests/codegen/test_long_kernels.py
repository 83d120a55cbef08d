"""Kernels have a bound on their instructions, and what is long is called: compiling takes time in proportion."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from native_steps import agree, case, plan_of, random_floats

sys.path.insert(0, str(Path(__file__).parent.parent.parent))

import lazygrad as lg
from benchmarks import references
from benchmarks.loops import Loop, Loops, loops
from lazygrad.engine.cpu.llvm import machine
from lazygrad.engine.lanes.functions import FUNCTIONS, OPERANDS, calls
from lazygrad.engine.lanes.registers import F32, F64, Register
from lazygrad.engine.lanes.target import Target, cpu
from lazygrad.engine.lanes.writer import Writer
from lazygrad.engine.lower import schedule, ways
from lazygrad.engine.table.lower import lowered
from lazygrad.engine.table.native import Native

pytest.importorskip("llvmlite", reason="llvmlite is not installed")

X = np.linspace(-3, 3, 1024, dtype=np.float32)
BOUND = Target.longest + 2 * ways.LONG  # what stands around the statements of a kernel is little beside it

SHORT = 80_000  # characters of a kernel that is almost long


def total(f: Callable[..., Any], x: Any, terms: int) -> Any:
    """f(x·k₁) + f(x·k₂) + …, with a number of its own for each term."""
    y = f(x * 0.5)
    for k in range(1, terms):
        y = y + f(x * (0.37 * k + 1.1))
    return y


def product(f: Callable[..., Any], x: Any, terms: int) -> Any:
    """The same as a product."""
    y = f(x * 0.5)
    for k in range(1, terms):
        y = y * (1.0 + f(x * (0.37 * k + 1.1)))
    return y


def balanced(f: Callable[..., Any], x: Any, terms: int) -> Any:
    """The same sum, by halves: no chain is deep."""
    parts = [f(x * (0.37 * k + 1.1)) for k in range(terms)]
    while len(parts) > 1:
        parts = [a + b for a, b in zip(parts[::2], parts[1::2])] + parts[len(parts) // 2 * 2 :]
    return parts[0]


def chain(f: Callable[..., Any], x: Any, terms: int) -> Any:
    """f(f(… · k) · k)."""
    for k in range(terms):
        x = f(x) * (1.0 + 0.001 * k)
    return x


def outputs(f: Callable[..., Any], x: Any, terms: int) -> Any:
    """Every term a value of its own."""
    return [f(x * (0.37 * k + 1.1)) for k in range(terms)]


def sums(f: Callable[..., Any], x: Any, terms: int) -> Any:
    """Every term summed by itself, of the same operand."""
    return [lg.sum(f(x * (0.37 * k + 1.1))) for k in range(terms)]


def gradient(f: Callable[..., Any], x: Any, terms: int) -> Any:
    """The derivative of a chain."""
    return lg.grad(lg.sum(chain(f, x, terms)), [x])


FORMS = (total, product, balanced, chain, outputs, sums, gradient)


def text_of(form: Callable[..., Any], f: Callable[..., Any], terms: int) -> Native:
    """The native code of a form of so many terms."""
    return lowered(plan_of(lambda ctx, x: form(f, x, terms), X), 8)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", ["sin", "exp"])
def test_a_kernel_has_a_bound_on_its_instructions(form: Callable[..., Any], name: str) -> None:
    """However many terms there are, and however they hang together."""
    native = text_of(form, getattr(lg, name), 300)
    assert max(body.count("\n") for body in native.functions.values()) <= BOUND


@pytest.mark.thinned(7)
@pytest.mark.parametrize("form", FORMS)
def test_text_grows_no_faster_than_the_program(form: Callable[..., Any]) -> None:
    """Twice the terms are at most twice the text, but for the last kernel, which may be short and call nothing."""
    small, large = (len(text_of(form, lg.sin, terms).text()) for terms in (300, 600))
    assert large <= 2.1 * small + SHORT


@pytest.mark.parametrize("form", [total, product, balanced, outputs])
def test_a_long_kernel_has_few_branches(form: Callable[..., Any]) -> None:
    """Large angles are seen to in a function that is called; LLVM takes the square of the branches of one function."""
    native = text_of(form, lg.sin, 300)
    assert max(len(re.findall(r"^then\.", body, re.M)) for body in native.functions.values()) <= 20


def test_a_long_function_stands_once_in_a_module() -> None:
    """However many kernels call it."""
    text = text_of(total, lg.sin, 300).text()
    assert 1 == len(re.findall(r"^define internal <8 x float> @sin_of_float32_wide", text, re.M))
    assert 300 == len(re.findall(r"call <8 x float> @sin_of_float32_wide", text))


def test_a_short_kernel_calls_no_function() -> None:
    """Written out, a function shares the registers of what is around it."""
    text = text_of(total, lg.sin, 4).text()
    assert "@sin_of_float32_wide" not in text


@pytest.mark.parametrize("form", FORMS)
def test_long_programs_compute_what_numpy_does(form: Callable[..., Any]) -> None:
    """In several kernels, through memory."""
    this = case(lambda ctx, x: form(lg.sin, x, 130), X[::64])
    assert this.kernels > 1
    agree(this, 1000)


def is_long(name: str, dtype: np.dtype[Any]) -> bool:
    """Whether a function is called in a long kernel."""
    writer = Writer(8)
    FUNCTIONS[name](*[Register(writer, f"%x{k}", dtype, True, 0) for k in range(OPERANDS[name])])
    return writer.count > calls.LONG


CALLED = [(name, dtype) for name in sorted(FUNCTIONS) for dtype in (F32, F64) if is_long(name, dtype)]


@pytest.fixture(scope="module")
def run() -> Loops:
    """Every function that may be called, narrow and wide, written out and called."""
    both = [Loop(name, dtype, wide) for name, dtype in CALLED for wide in (False, True)]
    return loops([*both, *(loop._replace(called=True) for loop in both)])


@pytest.mark.parametrize("wide", [False, True], ids=["narrow", "wide"])
@pytest.mark.parametrize(("name", "dtype"), CALLED)
def test_a_function_gives_the_same_bits_called_and_written_out(
    run: Loops, name: str, dtype: np.dtype[Any], wide: bool
) -> None:
    """For special values, and numbers of every size."""
    rng = np.random.default_rng(0)
    sizes = np.concatenate([rng.normal(size=997) * 10.0**e for e in (-300, -30, -3, -1, 0, 1, 2, 4, 8, 30, 300)])
    with np.errstate(over="ignore"):
        one = np.concatenate([sizes, [*references.SPECIAL]]).astype(dtype)
    xs = [one, rng.permutation(one)][: OPERANDS[name]]
    kind = np.dtype(f"u{dtype.itemsize}")
    written, called = (run(name, *xs, wide=wide, called=called) for called in (False, True))
    nan = np.isnan(written)
    np.testing.assert_array_equal(nan, np.isnan(called))
    np.testing.assert_array_equal(written.view(kind)[~nan], called.view(kind)[~nan])


@pytest.mark.parametrize("dtype", [F32, F64], ids=["float32", "float64"])
@pytest.mark.parametrize("name", ["sin", "gammaln"])
def test_a_kernel_gives_the_same_bits_with_and_without_calls(
    name: str, dtype: np.dtype[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Large angles among them, and a last turn in which not all lanes count."""
    x = np.concatenate([random_floats(1000, dtype), random_floats(13, dtype) * 1e9])
    found = []
    for length in (0, 10**9):
        monkeypatch.setattr(schedule, "LONG", length)
        found.append(case(lambda ctx, x: (total(getattr(lg, name), x, 5), lg.sum(getattr(lg, name)(x))), x).found)
    for called, written in zip(*found, strict=True):
        assert called.tobytes() == written.tobytes()


def test_the_body_of_a_long_loop_stands_there_once() -> None:
    """Also where the last turn is not whole: every turn asks then which lanes count."""
    odd, even = (
        lowered(plan_of(lambda ctx, x: total(lg.exp, x, 100), np.ones(size, "f4")), 8).text() for size in (1001, 1000)
    )
    assert "masked.store" in odd
    assert len(odd) < 1.1 * len(even)


@pytest.mark.parametrize("size", [3, 8, 37, 100_003])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_long_loop_gives_the_same_bits_as_with_a_turn_of_its_own_at_the_end(
    dtype: str, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also in chunks."""
    x = random_floats(size, dtype)
    found = []
    for masked in (True, False):
        with monkeypatch.context() as patch:
            patch.setattr(schedule, "LONG", 0)
            if not masked:
                patch.setattr(schedule, "takes_masks", lambda s: False)
            found.append(case(lambda ctx, x: (lg.exp(x), x * 2 + 1, lg.tanh(x) * x), x).found)
    assert [a.tobytes() for a in found[0]] == [b.tobytes() for b in found[1]]


SMALL = [(40, 4), (50, 3), (9, 4, 4), (4, 3, 2, 1), (2, 33), (4,)]


@pytest.mark.parametrize("shape", SMALL)
def test_short_loops_of_a_long_kernel_are_not_written_out(shape: tuple[int, ...]) -> None:
    """Nothing stands there four times, and again for every axis."""
    native = lowered(plan_of(lambda ctx, x: total(lg.exp, x, 150), np.ones(shape, "f4")), 8)
    assert max(body.count("\n") for body in native.functions.values()) <= BOUND


@pytest.mark.parametrize("shape", SMALL)
def test_short_loops_give_the_same_bits_written_out_and_not(shape: tuple[int, ...]) -> None:
    """Of maps and folds over any axes."""
    x, b = random_floats(shape), random_floats((shape[-1],), seed=1)

    def step(ctx: Any, x: Any, b: Any) -> Any:
        y = lg.tanh(x * b) + lg.exp(x)
        return y, lg.sum(y, axis=-1), lg.sum(y * x, axis=0), lg.max(x * b), lg.nn.softmax(y), lg.argmax(y, axis=-1)

    found = []
    for longest in (0, 10**9):
        target = replace(cpu(machine().width), longest=longest)
        found.append([value.tobytes() for value in case(step, x, b, target=target).found])
    assert found[0] == found[1]
