"""The writer: what it writes at which level, loops, memory and cells; compiled, and run."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from lazygrad.engine.cpu.llvm import compiled, load
from lazygrad.engine.lanes.registers import BOOL, F32, F64, I8, I32, I64, Register, literal, scalar_type
from lazygrad.engine.lanes.writer import Writer

pytest.importorskip("llvmlite", reason="llvmlite is not installed")

WIDTHS = pytest.mark.parametrize("width", [4, 8, 16])


def run(w: Writer, *arrays: Any, begin: int = 0, end: int = 0, status: Register | None = None) -> int:
    """Compile what was written, and call it with these arrays."""
    bits = 32 * w.width
    text = w.function("f", status) + "".join(f"{line}\n" for line in w.definitions.values())
    text += (
        f'attributes #0 = {{ nounwind "prefer-vector-width"="{bits}" "min-legal-vector-width"="{bits}" }}\n!0 = !{{}}\n'
    )
    code = load(compiled(text), ["f"], {})
    block = np.array([a.ctypes.data for a in arrays] or [0], np.int64)
    kind = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)
    return kind(code.addresses["f"])(block.ctypes.data, begin, end)


def lines(w: Writer) -> list[str]:
    """The instructions of the function."""
    return [line.strip() for line in w.body().splitlines()]


# Types and numbers.


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [(F32, "float"), (F64, "double"), (BOOL, "i1"), (I8, "i8"), (np.dtype("uint16"), "i16"), (np.dtype("f2"), "half")],
    ids=str,
)
def test_a_dtype_has_llvms_name(dtype: Any, expected: str) -> None:
    """Whole numbers have no sign there."""
    assert expected == scalar_type(dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("number", [0.0, -0.0, 1.0, 0.1, 1e-310, -1e-45, np.inf, -np.inf, np.nan, 3.4e38])
def test_a_float_is_written_by_its_bits(dtype: str, number: float) -> None:
    """The sign of zero, denormals, infinities and NaN are kept."""
    w = Writer(4)
    x = np.zeros(1, dtype)
    w.store(w.constant(number, np.dtype(dtype)), w.argument(0), 0)
    run(w, x)
    expected = np.array([number]).astype(dtype)
    np.testing.assert_array_equal(x, expected)
    assert np.signbit(expected[0]) == np.signbit(x[0])


@pytest.mark.parametrize("dtype", ["int8", "int32", "int64", "uint8", "uint64"])
def test_the_ends_of_whole_numbers_are_written(dtype: str) -> None:
    """Also those that no signed number can hold."""
    info = np.iinfo(dtype)
    w = Writer(4)
    x = np.ones(2, dtype)
    w.store(w.constant(info.min, np.dtype(dtype)), w.argument(0), 0)
    w.store(w.constant(info.max, np.dtype(dtype)), w.argument(0), 1)
    run(w, x)
    assert [info.min, info.max] == x.tolist()


def test_a_boolean_is_written_as_a_word() -> None:
    """Whatever it was given as."""
    assert ["true", "false", "true"] == [literal(x, BOOL) for x in (True, 0, np.float32(2))]


# Levels.


def test_what_does_not_change_in_a_loop_is_computed_before_it() -> None:
    """A product of arguments that is written within stands before the label of the loop."""
    w = Writer(4)
    x = w.load(w.argument(0), 0, F32)
    with w.loop(0, 10) as i:
        y = x * 3.0
        w.store(y, w.argument(1), i)
    text = lines(w)
    product = next(k for k, line in enumerate(text) if "fmul" in line)
    head = next(k for k, line in enumerate(text) if line.startswith("head."))
    assert product < head
    assert 0 == y.level


def test_what_depends_on_a_counter_is_computed_in_its_loop() -> None:
    """Of two nested ones, that of the outer counter is not computed again in the inner one."""
    w = Writer(4)
    with w.loop(0, 3) as i, w.loop(0, 4) as j:
        outer, inner = i * 8, i * 8 + j
        w.store(inner, w.argument(0), inner)
    assert (1, 2) == (outer.level, inner.level)


def test_an_instruction_is_written_once() -> None:
    """The same text at the same level is the same register."""
    w = Writer(4)
    x = w.load(w.argument(0), 0, F32)
    assert (x + 1.0).name == (x + 1.0).name
    assert (x + 1.0).name != (x + 2.0).name


def test_an_instruction_of_a_branch_is_not_known_after_it() -> None:
    """It may never have run."""
    w = Writer(4)
    x = w.load(w.argument(0), 0, F32)
    with w.when(x > 0.0):
        within = x + 1.0
    after = x + 1.0
    assert within.name != after.name


def test_what_a_branch_needs_is_computed_within_it() -> None:
    """Even if it depends on arguments alone: a load before the branch might read what is not there."""
    w = Writer(4)
    out = np.zeros(1, np.float32)
    flag = w.load(w.argument(0), 0, I64)
    with w.when(flag > 0):
        x = w.load(w.argument(1), 0, F32)
        w.store(x, w.argument(2), 0)
    assert 1 == x.level
    empty = np.zeros(0, np.float32)
    assert 0 == run(w, np.array([0]), empty, out)


def test_what_is_remembered_in_a_loop_is_forgotten_after_it() -> None:
    """Before that it is recalled, also from within a loop inside."""
    w = Writer(4)
    with w.loop(0, 3) as i:
        w.remember("i", i)
        with w.loop(0, 2):
            assert i is w.recall("i")
    assert w.recall("i") is None


def test_what_depends_on_no_loop_is_remembered_for_good() -> None:
    """Wherever the writer is when it is told."""
    w = Writer(4)
    x = w.load(w.argument(0), 0, F32)
    with w.loop(0, 3):
        w.remember("x", x)
    assert x is w.recall("x")


# Flow.


@WIDTHS
def test_loops_nest_and_follow_each_other(width: int) -> None:
    """Two after one another in a third, with other steps."""
    w = Writer(width)
    x = np.zeros((4, 6), np.int64)
    with w.loop(0, 4) as i:
        with w.loop(0, 6, 2) as j:
            w.store(i * 10 + j, w.argument(0), i * 6 + j)
        with w.loop(1, 7, 2) as j:
            w.store(-(i * 10 + j), w.argument(0), i * 6 + j)
    assert 0 == run(w, x)
    assert [[(-1) ** j * (10 * i + j) for j in range(6)] for i in range(4)] == x.tolist()


def test_a_loop_goes_from_the_begin_of_the_share_to_its_end() -> None:
    """Both are given at the call."""
    w = Writer(4)
    x = np.zeros(10, np.int64)
    with w.loop(w.begin, w.end) as i:
        w.store(i + 1, w.argument(0), i)
    run(w, x, begin=3, end=7)
    assert [0, 0, 0, 4, 5, 6, 7, 0, 0, 0] == x.tolist()


def test_a_loop_that_carries_values_has_its_last_ones() -> None:
    """Fibonacci's numbers, without a cell."""
    w = Writer(4)
    x = np.zeros(2, np.int64)
    with w.carrying(0, 10, 1, [("i64", "0"), ("i64", "1")]) as (_, values):
        one, two = (Register(w, name, I64, False, w.level) for name in values)
        values[:] = [two.name, (one + two).name]
    w.store(Register(w, values[0], I64, False, 0), w.argument(0), 0)
    w.store(Register(w, values[1], I64, False, 0), w.argument(0), 1)
    run(w, x)
    assert [55, 89] == x.tolist()


@pytest.mark.parametrize(("number", "expected"), [(5, [1, 0]), (-5, [0, 0]), (200, [1, 1])])
def test_branches_nest(number: int, expected: list[int]) -> None:
    """The inner one only within the outer one."""
    w = Writer(4)
    x = np.zeros(2, np.int64)
    one = w.load(w.argument(0), 0, I64)
    with w.when(one > 0):
        w.store(w.constant(1, I64), w.argument(1), 0)
        with w.when(one > 100):
            w.store(w.constant(1, I64), w.argument(1), 1)
    run(w, np.array([number]), x)
    assert expected == x.tolist()


def test_a_function_returns_its_status() -> None:
    """Or 0."""
    w = Writer(4)
    assert 7 == run(w, np.array([6]), status=w.load(w.argument(0), 0, I64) + 1)
    assert 0 == run(Writer(4))


# Cells.


@WIDTHS
def test_a_cell_holds_what_a_loop_comes_to(width: int) -> None:
    """In every lane its own total, folded after the loop in a fixed order."""
    w = Writer(width)
    x, y = np.arange(10 * width, dtype=np.float32), np.zeros(1, np.float32)
    total = w.cell(w.constant(0.0, F32, wide=True))
    with w.loop(0, 10 * width, width) as i:
        total.set(total.get() + w.load(w.argument(0), i, F32, wide=True))
    w.store(w.across("add", total.get()), w.argument(1), 0)
    run(w, x, y)
    assert float(x.sum()) == y[0]


def test_a_wide_cell_takes_a_narrow_number_into_every_lane() -> None:
    """As arithmetic does."""
    w = Writer(4)
    x = np.zeros(4, np.int32)
    cell = w.cell(w.constant(0, I32, wide=True))
    cell.set(w.constant(3, I32))
    w.store(cell.get(), w.argument(0), 0, wide=True)
    run(w, x)
    assert [3, 3, 3, 3] == x.tolist()


def test_a_flag_is_false_when_the_function_begins() -> None:
    """Though it is set in a loop that is run again."""
    w = Writer(4)
    x = np.zeros(3, np.bool_)
    with w.loop(0, 3) as i:
        flag = w.flag()
        w.store(flag.get(), w.argument(0), i)
        flag.set(w.constant(True, BOOL))
    run(w, x)
    assert [False, True, True] == x.tolist()


# Lanes and memory.


@WIDTHS
def test_lanes_are_counted_turned_taken_and_replaced(width: int) -> None:
    """A register of 0, 1, 2, … turned by one, with −1 in lane 2."""
    w = Writer(width)
    x, y = np.zeros(width, np.int64), np.zeros(1, np.int64)
    turned = w.turned(w.lanes(), 1)
    w.store(w.inserted(turned, w.constant(-1, I64), 2), w.argument(0), 0, wide=True)
    w.store(w.lane(turned, width - 1), w.argument(1), 0)
    run(w, x, y)
    expected = [*range(1, width), 0]
    expected[2] = -1
    assert (expected, [0]) == (x.tolist(), y.tolist())


@WIDTHS
@pytest.mark.parametrize("dtype", ["float32", "float64", "int8", "uint16", "bool"])
def test_a_mask_reads_and_writes_only_lanes_that_count(dtype: str, width: int) -> None:
    """The others are read as 0, and stay in memory as they were."""
    w = Writer(width)
    x, y = np.ones(width, dtype), np.ones(width, dtype)
    mask = w.first_lanes(3)
    w.store(w.load(w.argument(0), 0, np.dtype(dtype), wide=True, mask=mask), w.argument(1), 0, wide=True)
    run(w, x, y)
    assert [1, 1, 1] + [0] * (width - 3) == y.tolist()
    w = Writer(width)
    w.store(w.constant(0, np.dtype(dtype), wide=True), w.argument(0), 0, mask=w.first_lanes(3), wide=True)
    run(w, x)
    assert [0, 0, 0] + [1] * (width - 3) == x.tolist()


@WIDTHS
@pytest.mark.parametrize("dtype", ["float32", "float64", "int8", "bool"])
def test_elements_apart_are_gathered_and_scattered(dtype: str, width: int) -> None:
    """Every third one; a mask leaves some out."""
    w = Writer(width)
    x = (np.arange(3 * width) % 5).astype(dtype)
    y, z = np.zeros(3 * width, dtype), np.ones(width, dtype)
    place = w.lanes() * 3
    found = w.load(w.argument(0), place, np.dtype(dtype))
    w.store(found, w.argument(1), place)
    w.store(w.load(w.argument(0), place, np.dtype(dtype), mask=w.first_lanes(2)), w.argument(2), 0, wide=True)
    run(w, x, y, z)
    assert x[::3].tolist() == y[::3].tolist()
    assert [*x[:6:3].tolist(), *[0] * (width - 2)] == z.tolist()


def test_any_bit_pattern_of_a_boolean_holds_unless_it_is_zero() -> None:
    """NumPy may be given such arrays by a view."""
    w = Writer(4)
    x, y = np.array([0, 1, 2, 255], np.uint8), np.zeros(4, np.uint8)
    w.store(w.load(w.argument(0), 0, BOOL, wide=True), w.argument(1), 0, wide=True)
    run(w, x.view(np.bool_), y.view(np.bool_))
    assert [0, 1, 1, 1] == y.tolist()


def test_a_room_is_memory_of_the_functions_own() -> None:
    """What is written there is read again."""
    w = Writer(4)
    x = np.zeros(5, np.float64)
    room = w.room(5, F64)
    with w.loop(0, 5) as i:
        w.store(i.astype(F64) * 2.0, room, i)
    with w.loop(0, 5) as i:
        w.store(w.load(room, i, F64, fixed=False), w.argument(0), i)
    run(w, x)
    assert [0, 2, 4, 6, 8] == x.tolist()


# Registers.


def test_a_register_has_no_truth_value_while_code_is_written() -> None:
    """A kernel with an ``if`` on numbers has no native form."""
    x = Writer(4).argument(0)
    with pytest.raises(TypeError, match="no value while code is being written"):
        bool(x)


def test_registers_of_two_dtypes_do_not_meet() -> None:
    """Whoever writes them casts first."""
    w = Writer(4)
    with pytest.raises(TypeError, match="cannot add float32 and float64"):
        w.load(w.argument(0), 0, F32) + w.load(w.argument(0), 0, F64)


@pytest.mark.parametrize("compare", [lambda x: x == 0, lambda x: x != 0, lambda x: x == x], ids=["==", "!=", "=="])
def test_equality_of_registers_is_never_answered_by_identity(compare: Callable[[Register], Any]) -> None:
    """A kernel that writes ``x == 0`` means the numbers, as in NumPy: it is compared, or refused."""
    w = Writer(4)
    try:
        found = compare(w.load(w.argument(0), 0, F32))
    except TypeError:
        return
    assert isinstance(found, Register)


def test_bits_are_read_as_whole_numbers_and_back() -> None:
    """The sign of −0 is a bit."""
    w = Writer(4)
    x, y = np.zeros(1, np.int32), np.zeros(1, np.float32)
    bits = w.load(w.argument(0), 0, F32).bits()
    w.store(bits, w.argument(1), 0)
    w.store(bits.bits(F32), w.argument(2), 0)
    run(w, np.array([-0.0], np.float32), x, y)
    assert ([-(2**31)], True) == (x.tolist(), bool(np.signbit(y[0])))


@WIDTHS
def test_any_holds_if_a_lane_does(width: int) -> None:
    """Of wide conditions and narrow ones."""
    w = Writer(width)
    x, y = np.zeros(width, np.float32), np.zeros(2, np.bool_)
    x[-1] = 1
    wide = w.load(w.argument(0), 0, F32, wide=True)
    w.store(w.any(wide > 0.5), w.argument(1), 0)
    w.store(w.any(wide > 1.5), w.argument(1), 1)
    run(w, x, y)
    assert [True, False] == y.tolist()


def test_a_contracted_sum_of_products_may_be_forbidden() -> None:
    """Where rounding once would be wrong."""
    w = Writer(4)
    x = w.load(w.argument(0), 0, F32)
    assert any("fmul contract" in line for line in lines_of(w, x * 2.0))
    w = Writer(4)
    w.contract = False
    x = w.load(w.argument(0), 0, F32)
    assert not any("contract" in line for line in lines_of(w, x * 2.0))


def lines_of(w: Writer, result: Register) -> list[str]:
    """The instructions, with the result used."""
    w.store(result, w.argument(1), 0)
    return lines(w)
