"""Mathematical functions of registers: special values, errors, and their place in a loop."""

from __future__ import annotations

import ctypes
import itertools
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent.parent.parent))

from benchmarks import references
from benchmarks.loops import ATTRIBUTES, Loop, Loops, loops
from lazygrad.engine.cpu.llvm import compiled, load, machine
from lazygrad.engine.lanes.functions import FUNCTIONS, OPERANDS
from lazygrad.engine.lanes.registers import F32, F64
from lazygrad.engine.lanes.writer import Writer

NAMES = sorted(FUNCTIONS)
IN_NUMPY = [name for name in NAMES if hasattr(np, name)]
DTYPES = pytest.mark.parametrize("dtype", [F32, F64], ids=["float32", "float64"])
WIDTHS = pytest.mark.parametrize("wide", [False, True], ids=["narrow", "wide"])
EVERY = pytest.mark.parametrize("name", NAMES)
ULP = {F32: 2.0, F64: 4.0}


@pytest.fixture(scope="module")
def run() -> Loops:
    """Every function, of both dtypes, narrow and wide, in one module."""
    return loops([Loop(name, dtype, wide) for name in NAMES for dtype in (F32, F64) for wide in (False, True)])


def special(name: str, dtype: np.dtype[Any]) -> list[np.ndarray[Any, Any]]:
    """All combinations of special numbers, the least denormal and the greatest ones among them."""
    info = np.finfo(dtype)
    ends = [sign * end for sign in (1, -1) for end in (info.max, info.tiny, info.smallest_subnormal)]
    rows = list(itertools.product([*references.SPECIAL, *map(float, ends)], repeat=OPERANDS[name]))
    return [np.array(column).astype(dtype) for column in zip(*rows)]


def kinds(x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """NaN, the infinities and the zeros with their signs; 9 for all other numbers."""
    signed = np.where(np.signbit(x), -1, 1)
    return np.select([np.isnan(x), np.isinf(x), x == 0], [0, signed, 2 * signed], 9)


@EVERY
@DTYPES
@WIDTHS
def test_special_values_are_those_of_numpy(run: Loops, name: str, dtype: np.dtype[Any], wide: bool) -> None:
    """NaN, infinities and zeros with their signs come where NumPy has them; other results lie within the error."""
    xs = special(name, dtype)
    with np.errstate(all="ignore"):
        wanted = references.reference(name)(*[x.astype(F64) for x in xs])
        if name == "erfinv":
            wanted = np.copysign(wanted, xs[0])  # SciPy loses the sign of zero
        if name == "gammaln":  # SciPy overflows for denormal numbers
            small = (np.abs(xs[0]) < 1e-300) & (xs[0] != 0)
            wanted = np.where(small, -np.log(np.abs(xs[0], dtype=F64)), wanted)
        rounded = wanted.astype(dtype)
    got = run(name, *xs, wide=wide)
    off = np.nan_to_num(references.errors(name, got, wanted, *xs), posinf=0)
    unlike = kinds(got) != kinds(rounded)
    # The last bit may decide between the greatest number and infinity, and between the least one and zero.
    with np.errstate(all="ignore"):
        edge = (np.abs(wanted) > float(np.finfo(dtype).max) * 0.999999) & np.isfinite(wanted)
        edge |= (np.abs(wanted) <= 2 * float(np.finfo(dtype).smallest_subnormal)) & (wanted != 0)
    assert [] == [(*[x[i] for x in xs], got[i], rounded[i]) for i in np.flatnonzero(unlike & ~edge)]
    assert off.max() <= 8 if dtype == F64 else off.max() <= ULP[F32]  # NumPy's float64 has errors too


@EVERY
@pytest.mark.parametrize("bits", [True, False], ids=["random bits", "dense"])
def test_float32_is_within_2_ulp(run: Loops, name: str, bits: bool) -> None:
    """Random bit patterns, and dense samples where the formula changes, against NumPy's float64."""
    count = OPERANDS[name]
    if bits:
        xs = [references.random_bits(F32, 30_000, seed=operand) for operand in range(count)]
    else:
        xs = references.dense(name, F32, 30_000, count)
    with np.errstate(all="ignore"):
        wanted = references.reference(name)(*[x.astype(F64) for x in xs])
    off = references.errors(name, run(name, *xs), wanted, *xs)
    assert (name, float(off.max())) <= (name, ULP[F32])


@EVERY
def test_float64_is_within_4_ulp_of_mpmath(run: Loops, name: str) -> None:
    """Samples of the whole range and dense ones against forty digits."""
    pytest.importorskip("mpmath", reason="exact values come from mpmath")
    xs = references.dense(name, F64, 1_200, OPERANDS[name])
    off = references.errors(name, run(name, *xs), references.exact(name, *xs), *xs)
    assert (name, float(off.max())) <= (name, ULP[F64])


@pytest.mark.parametrize("name", IN_NUMPY)
def test_float64_is_within_4_ulp_of_extended_precision(run: Loops, name: str) -> None:
    """Tens of thousands of samples against NumPy's long double."""
    if np.finfo(np.longdouble).nmant < 63:
        pytest.skip("long double has no more digits than float64 on this platform")
    xs = references.dense(name, F64, 30_000, OPERANDS[name])
    with np.errstate(all="ignore"):
        wanted = references.reference(name)(*[x.astype(np.longdouble) for x in xs])
    off = references.errors(name, run(name, *xs), wanted, *xs)
    assert (name, float(off.max())) <= (name, ULP[F64])


@EVERY
@DTYPES
def test_narrow_and_wide_results_are_the_same_bits(run: Loops, name: str, dtype: np.dtype[Any]) -> None:
    """How many lanes there are makes no difference, nor does the lane."""
    xs = references.dense(name, dtype, 3_001, OPERANDS[name])
    np.testing.assert_array_equal(run(name, *xs, wide=False), run(name, *xs, wide=True), strict=True)


@EVERY
@DTYPES
@WIDTHS
def test_a_result_has_the_dtype_and_width_of_its_operands(name: str, dtype: np.dtype[Any], wide: bool) -> None:
    """Also where float32 is computed as float64."""
    writer = Writer(8)
    y = FUNCTIONS[name](*[writer.load(writer.argument(k), 0, dtype, wide=wide) for k in range(OPERANDS[name])])
    assert (dtype, wide) == (y.dtype, y.wide)


@EVERY
def test_contraction_is_left_as_it_was(name: str) -> None:
    """A function forbids it only to itself."""
    writer = Writer(8)
    FUNCTIONS[name](*[writer.load(writer.argument(k), 0, F32) for k in range(OPERANDS[name])])
    assert writer.contract is True


@EVERY
def test_only_instructions_are_called(name: str) -> None:
    """Of LLVM's functions only those that machines have instructions for; of the platform's libraries none."""
    allowed = ("fma", "sqrt", "fabs", "copysign", "rint", "vector.reduce.or", "fptosi.sat")
    writer = Writer(8)
    FUNCTIONS[name](*[writer.load(writer.argument(k), 0, F32, wide=True) for k in range(OPERANDS[name])])
    declared = [called for called, text in writer.definitions.items() if text.startswith("declare")]
    assert [] == [called for called in declared if not called.startswith(tuple(f"@llvm.{one}." for one in allowed))]


def test_a_hot_function_does_not_depend_on_its_loop() -> None:
    """What is the same in every round is computed before the loop."""
    writer = Writer(8)
    with writer.loop(writer.begin, writer.end):
        x = writer.load(writer.argument(0), 0, F32)
        assert 0 == FUNCTIONS["tanh"](FUNCTIONS["log1p"](FUNCTIONS["exp"](x))).level


def test_the_reduction_of_large_angles_is_written_once() -> None:
    """Sine after sine calls one function."""
    writer = Writer(8)
    x = writer.load(writer.argument(0), 0, F32)
    FUNCTIONS["sin"](FUNCTIONS["sin"](x) * 1e9)
    assert 1 == sum(text.startswith("define") for text in writer.definitions.values())


def test_angles_large_and_small_stand_side_by_side() -> None:
    """A sine of a sine, and of what is known before the loop, in lanes that need different reductions."""
    writer = Writer(machine().width)
    shift = FUNCTIONS["sin"](writer.load(writer.argument(2), 0, F64))
    with writer.loop(writer.begin, writer.end, writer.width) as index:
        x = writer.load(writer.argument(0), index, F64, wide=True)
        constant = FUNCTIONS["cos"](writer.load(writer.argument(2), 0, F64))
        y = FUNCTIONS["sin"](FUNCTIONS["sin"](x) * 1e12 + shift) + constant
        writer.store(y, writer.argument(1), index)
    text = "\n".join([writer.function("angles"), *writer.definitions.values()])
    code = load(compiled(text + ATTRIBUTES.format(32 * writer.width)), ["angles"], {})
    x = np.random.default_rng(0).uniform(-3, 3, 64) * 10.0 ** np.arange(64)
    y, far = np.empty_like(x), np.array([1e22])
    arguments = np.array([array.ctypes.data for array in (x, y, far)])
    call = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)(code.addresses["angles"])
    call(arguments.ctypes.data, 0, x.size)
    np.testing.assert_allclose(y, np.sin(np.sin(x) * 1e12 + np.sin(far)) + np.cos(far), rtol=0, atol=1e-3)
