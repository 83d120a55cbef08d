"""What a fusable kernel may call: every function, for every dtype, beside NumPy's; all in one module."""

from __future__ import annotations

import ctypes
import itertools
import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from lazygrad.engine.cpu.llvm import compiled, load, machine
from lazygrad.engine.lanes.registers import BOOL, F32, F64, I32, I64, Register
from lazygrad.engine.lanes.scalar import NotNative, Scalars
from lazygrad.engine.lanes.writer import Writer

pytest.importorskip("llvmlite", reason="llvmlite is not installed")

FLOATS = ["float32", "float64"]
SIGNED = ["int8", "int16", "int32", "int64"]
UNSIGNED = ["uint8", "uint16", "uint32", "uint64"]
WHOLE = [*SIGNED, *UNSIGNED]
NUMBERS = [*FLOATS, *WHOLE]
EVERY = [*NUMBERS, "bool"]

# Which dtypes each function takes. NumPy has more forms of some; an op casts before it calls these.
ONE: dict[str, list[str]] = {
    **dict.fromkeys(("negative", "sign"), NUMBERS),
    **dict.fromkeys(("abs", "absolute", "isnan", "isinf", "isfinite", "logical_not"), EVERY),
    "square": NUMBERS,
    "invert": [*WHOLE, "bool"],
    **dict.fromkeys(("floor", "ceil", "trunc", "rint"), NUMBERS),
    **dict.fromkeys(("sqrt", "reciprocal", "signbit", "fabs"), FLOATS),
}
TWO: dict[str, list[str]] = {
    **dict.fromkeys(("add", "multiply", "maximum", "minimum"), EVERY),
    "subtract": NUMBERS,
    "divide": EVERY,
    **dict.fromkeys(("equal", "not_equal", "less", "less_equal", "greater", "greater_equal"), EVERY),
    **dict.fromkeys(("logical_and", "logical_or", "logical_xor"), EVERY),
    **{name: [*WHOLE, "bool"] for name in ("bitwise_and", "bitwise_or", "bitwise_xor")},
    **dict.fromkeys(("floor_divide", "remainder", "left_shift", "right_shift"), WHOLE),
    "copysign": FLOATS,
}
THREE = {"where": EVERY}
CALLS = [(name, dtype) for table in (ONE, TWO, THREE) for name, dtypes in table.items() for dtype in dtypes]
CASTS = list(itertools.product(EVERY, EVERY))
MIXED = [("float32", "int8"), ("int32", "float32"), ("uint8", "int8"), ("int64", "uint64"), ("bool", "float64")]
SIGNS = [pair for signed in SIGNED for pair in ((signed, "uint64"), ("uint64", signed))]  # NumPy has no wider dtype
PAIRS = list(dict.fromkeys([*MIXED, *SIGNS]))
COMPARED = {
    **{"equal": operator.eq, "not_equal": operator.ne, "less": operator.lt, "less_equal": operator.le},
    **{"greater": operator.gt, "greater_equal": operator.ge},
}


def ends(dtype: str) -> Any:
    """Numbers where something may go wrong: the ends, their neighbours, zeros, halves, and what is not finite."""
    if dtype == "bool":
        return np.array([False, True, True, False, True])
    if dtype in FLOATS:
        info = np.finfo(dtype)
        some = [0.0, 0.5, 1.0, 1.5, 2.5, 3.0, 1e6 + 0.5, info.max, info.tiny, info.smallest_subnormal, np.inf]
        return np.array([*some, *(-x for x in some), np.nan], dtype)
    limits = np.iinfo(dtype)
    low = [limits.min, limits.min + 1, limits.max, limits.max - 1, 0, 1, 2, 3, 7, 8, 31, 32, 63, 64, 100]
    return np.array(low + ([-1, -2, -3, -7] if limits.min else [200]), dtype)


def pairs(one: str, two: str | None = None) -> tuple[Any, Any]:
    """Every number beside every other."""
    a, b = np.meshgrid(ends(one), ends(two or one))
    return np.ascontiguousarray(a).ravel(), np.ascontiguousarray(b).ravel()


class Loops:
    """Functions over arrays, each computed in wide registers and in narrow ones."""

    def __init__(self) -> None:
        self.width = machine().width
        self.lines: list[str] = []
        self.beside: dict[str, str] = {}
        self.dtypes: dict[str, Any] = {}

    def write(self, name: str, dtypes: list[str], made: Callable[[Scalars, list[Register]], Register]) -> None:
        """Add a function of the arrays ``dtypes``; it writes the wide results, and as many narrow ones after them."""
        w = Writer(self.width)
        scalars = Scalars(w, lambda wrong: None)
        for wide in (True, False):
            left = w.end - ((w.end & (self.width - 1)) if wide else 0)
            with w.loop(0, left, self.width if wide else 1) as i:
                xs = [w.load(w.argument(k), i, np.dtype(d), wide=wide) for k, d in enumerate(dtypes)]
                y = made(scalars, xs)
                self.dtypes[name] = y.dtype
                w.store(y, w.argument(len(dtypes)), i if wide else i + w.end, wide=wide)
        self.lines.append(w.function(name))
        self.beside.update(w.definitions)

    def load(self) -> None:
        """Compile all of them."""
        bits = 32 * self.width
        attributes = f'"prefer-vector-width"="{bits}" "min-legal-vector-width"="{bits}"'
        tail = f"attributes #0 = {{ nounwind {attributes} }}\n!0 = !{{}}\n"
        text = "\n".join([*self.lines, *self.beside.values(), tail])
        self.code = load(compiled(text), list(self.dtypes), {})

    def __call__(self, name: str, *xs: Any) -> tuple[Any, Any]:
        """What ``name`` gives, wide and narrow. Arrays are filled up to whole registers by their own numbers."""
        count = len(xs[0])
        padded = [np.resize(x, -(-count // self.width) * self.width) for x in xs]
        out = np.full(2 * len(padded[0]), 1, self.dtypes[name])
        arguments = np.array([x.ctypes.data for x in (*padded, out)], np.int64)
        call = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)
        call(self.code.addresses[name])(arguments.ctypes.data, 0, len(padded[0]))
        return out[:count], out[len(padded[0]) :][:count]


@pytest.fixture(scope="module")
def run() -> Loops:
    """Every function of every dtype."""
    loops = Loops()
    for name, dtype in CALLS:
        count = 1 if name in ONE else 2
        operands = ["bool", dtype, dtype] if name == "where" else [dtype] * count
        loops.write(f"{name}_{dtype}", operands, lambda xp, xs, name=name: getattr(xp, name)(*xs))
    for one, two in CASTS:
        loops.write(f"{one}_to_{two}", [one], lambda xp, xs, two=two: xs[0].astype(two))
    for one, two in MIXED:
        loops.write(f"add_{one}_{two}", [one, two], lambda xp, xs: xp.add(*xs))
    for one, two in PAIRS:
        for name in COMPARED:
            loops.write(f"{name}_{one}_{two}", [one, two], lambda xp, xs, name=name: getattr(xp, name)(*xs))
    loops.load()
    return loops


def same(expected: Any, results: tuple[Any, Any], signs: bool = False) -> None:
    """Wide and narrow results are the expected ones bit for bit, but that NaN is NaN; ``signs``: also of zeros."""
    for actual in results:
        np.testing.assert_array_equal(actual, expected)
        assert expected.dtype == actual.dtype
        if signs and expected.dtype.kind == "f":
            known = ~np.isnan(expected)
            assert np.signbit(expected[known]).tolist() == np.signbit(actual[known]).tolist()


@pytest.mark.parametrize(("name", "dtype"), [c for c in CALLS if c[0] in ONE])
def test_a_function_of_one_operand_is_numpys(run: Loops, name: str, dtype: str) -> None:
    """At the ends of the dtype too: whole numbers wrap, NaN stays."""
    x = ends(dtype)
    with np.errstate(all="ignore"):  # NumPy makes floats of some whole numbers that are rounded; ops leave them
        rounds = name in ("floor", "ceil", "trunc", "rint") and dtype in WHOLE
        expected = x if rounds else getattr(np, name)(x)
    same(expected, run(f"{name}_{dtype}", x), signs=name != "sign")


@pytest.mark.parametrize(("name", "dtype"), [c for c in CALLS if c[0] in TWO])
def test_a_function_of_two_operands_is_numpys(run: Loops, name: str, dtype: str) -> None:
    """For every pair: division by zero, the least number by −1, signs of remainders, shifts beyond the width, NaN."""
    x, y = pairs(dtype)
    with np.errstate(all="ignore"):
        expected = getattr(np, name)(x, y)
    same(expected, run(f"{name}_{dtype}", x, y), signs=name not in ("maximum", "minimum"))


@pytest.mark.parametrize("dtype", EVERY)
def test_a_choice_is_numpys(run: Loops, dtype: str) -> None:
    """NaN, infinities and signs of zero come through unchanged."""
    x, y = pairs(dtype)
    condition = np.arange(len(x)) % 3 == 0
    same(np.where(condition, x, y), run(f"where_{dtype}", condition, x, y), signs=True)


@pytest.mark.parametrize(("one", "two"), MIXED)
def test_operands_of_two_dtypes_are_promoted_as_numpy_does(run: Loops, one: str, two: str) -> None:
    """Also a signed and an unsigned number, which meet in a wider one."""
    x, y = pairs(one, two)
    with np.errstate(all="ignore"):
        same(np.add(x, y), run(f"add_{one}_{two}", x, y))


@pytest.mark.parametrize("name", COMPARED)
@pytest.mark.parametrize(("one", "two"), PAIRS)
def test_numbers_of_two_dtypes_are_compared_as_numpy_does(run: Loops, one: str, two: str, name: str) -> None:
    """Whole numbers with and without a sign exactly: 2⁶³ − 1 is less than 2⁶³, though both are one float64."""
    x, y = pairs(one, two)
    if (one, two) in SIGNS:  # Python's own numbers are exact
        compare = getattr(
            operator, {"equal": "eq", "not_equal": "ne"}.get(name, name[0] + ("e" if "_" in name else "t"))
        )
        expected = np.array([compare(int(a), int(b)) for a, b in zip(x, y, strict=True)])
    else:
        expected = getattr(np, name)(x, y)
    same(expected, run(f"{name}_{one}_{two}", x, y))


@pytest.mark.parametrize(("one", "two"), [c for c in CASTS if c[0] not in FLOATS or c[1] in (*FLOATS, "bool")])
def test_a_cast_is_numpys(run: Loops, one: str, two: str) -> None:
    """Whole numbers wrap, what is not zero holds, and floats are rounded to nearest."""
    x = ends(one)
    with np.errstate(all="ignore"):
        same(x.astype(two), run(f"{one}_to_{two}", x), signs=True)


@pytest.mark.parametrize(("one", "two"), [c for c in CASTS if c[0] in FLOATS and c[1] in WHOLE])
def test_a_float_is_cast_to_the_nearest_whole_number_towards_zero(run: Loops, one: str, two: str) -> None:
    """Beyond the range, where C leaves it open, to its end; NaN to the least."""
    x = ends(one)
    limits = np.iinfo(two)
    expected = []
    for number in map(float, x):
        if np.isnan(number):
            expected.append(limits.min)
        elif np.isinf(number):
            expected.append(limits.max if number > 0 else limits.min)
        else:
            expected.append(max(limits.min, min(limits.max, int(number))))
    same(np.array(expected, two), run(f"{one}_to_{two}", x))


# Beyond what is computed.


@pytest.fixture
def xp() -> Scalars:
    """The namespace with a writer of its own."""
    return Scalars(Writer(8), lambda wrong: None)


def register(xp: Scalars, dtype: Any, wide: bool = True) -> Register:
    """A number that is read from memory."""
    return xp.writer.load(xp.writer.argument(0), 0, np.dtype(dtype), wide=wide)


def test_a_function_that_is_not_there_has_no_native_form(xp: Scalars) -> None:
    """The message names it."""
    with pytest.raises(NotNative, match=r"xp.cumsum has no native form"):
        xp.cumsum(register(xp, F32))


@pytest.mark.parametrize("name", ["sqrt", "reciprocal", "copysign", "signbit", "exp", "tanh"])
def test_a_function_of_floats_alone_refuses_whole_numbers(xp: Scalars, name: str) -> None:
    """NumPy casts them, and the op declares how."""
    operands = [register(xp, I64)] * (2 if name == "copysign" else 1)
    with pytest.raises(NotNative, match=f"xp.{name} of int64 has no native form"):
        getattr(xp, name)(*operands)


@pytest.mark.parametrize("name", ["floor_divide", "remainder"])
@pytest.mark.parametrize("dtype", ["float32", "bool"])
def test_division_with_remainder_is_of_whole_numbers_alone(xp: Scalars, name: str, dtype: str) -> None:
    """Of floats and booleans NumPy has rules of its own."""
    with pytest.raises(NotNative, match=f"xp.{name} of {dtype} has no native form"):
        getattr(xp, name)(register(xp, dtype), register(xp, dtype))


def test_float16_has_no_native_form(xp: Scalars) -> None:
    """As processors compute it only in part."""
    with pytest.raises(NotNative, match="float16 has no native form"):
        xp.add(register(xp, "float16"), register(xp, "float16"))


@pytest.mark.parametrize(
    ("dtype", "number", "expected"),
    [(F32, 1, F32), (F32, 0.5, F32), (I32, 1, I32), (I32, 0.5, F64), (BOOL, 1, I64), (F32, np.float64(1), F64)],
    ids=str,
)
def test_a_number_beside_a_register_is_promoted_as_numpy_does(
    xp: Scalars, dtype: Any, number: Any, expected: Any
) -> None:
    """Python's are weak, NumPy's are not."""
    assert expected == xp.add(register(xp, dtype), number).dtype
    assert expected == xp.multiply(number, register(xp, dtype)).dtype


@pytest.mark.parametrize("dtype", EVERY)
def test_a_comparison_holds_or_not(xp: Scalars, dtype: str) -> None:
    """Its result is bool."""
    assert BOOL == xp.less(register(xp, dtype), register(xp, dtype)).dtype


def test_a_wide_operand_makes_the_result_wide(xp: Scalars) -> None:
    """On either side, and a narrow condition chooses between wide numbers."""
    wide, narrow = register(xp, F32), register(xp, F32, wide=False)
    assert xp.add(wide, narrow).wide
    assert xp.add(narrow, wide).wide
    assert not xp.add(narrow, narrow).wide
    assert xp.where(narrow > 0, wide, 0.0).wide
    assert xp.where(wide > 0, narrow, 0.0).wide


def test_the_condition_of_a_failure_is_handed_over() -> None:
    """With the number, which goes on unchanged."""
    seen: list[Register] = []
    xp = Scalars(Writer(4), seen.append)
    x = register(xp, I64)
    wrong = x < 0
    assert x is xp.checked(x, wrong, "it is negative")
    assert [wrong] == seen
