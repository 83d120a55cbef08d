"""Tables that the driver runs again and again, made by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("llvmlite", reason="llvmlite is not installed")

from lazygrad.engine.cpu import cache, driver
from lazygrad.engine.table.described import Carry, Description, Read, Setting

# ``step`` has the arguments x, c, d, y, and sets d to 3c + x and y to d - c. ``below`` has the arguments c, limit and
# flag, and says in the last whether the first is below the second. ``refuse`` fails if its one number is 7. ``spread``
# adds 1 to each number of its chunks.
KERNELS = """
define i64 @step(ptr %its, i64 %begin, i64 %end) {
  %p1 = getelementptr ptr, ptr %its, i64 1
  %p2 = getelementptr ptr, ptr %its, i64 2
  %p3 = getelementptr ptr, ptr %its, i64 3
  %xs = load ptr, ptr %its
  %cs = load ptr, ptr %p1
  %ds = load ptr, ptr %p2
  %ys = load ptr, ptr %p3
  %x = load i64, ptr %xs
  %c = load i64, ptr %cs
  %c3 = mul i64 %c, 3
  %d = add i64 %c3, %x
  %y = sub i64 %d, %c
  store i64 %d, ptr %ds
  store i64 %y, ptr %ys
  ret i64 0
}

define i64 @below(ptr %its, i64 %begin, i64 %end) {
  %p1 = getelementptr ptr, ptr %its, i64 1
  %p2 = getelementptr ptr, ptr %its, i64 2
  %cs = load ptr, ptr %its
  %ls = load ptr, ptr %p1
  %flags = load ptr, ptr %p2
  %c = load i64, ptr %cs
  %l = load i64, ptr %ls
  %less = icmp slt i64 %c, %l
  %byte = zext i1 %less to i8
  store i8 %byte, ptr %flags
  ret i64 0
}

define i64 @refuse(ptr %its, i64 %begin, i64 %end) {
  %xs = load ptr, ptr %its
  %x = load i64, ptr %xs
  %seven = icmp eq i64 %x, 7
  %status = zext i1 %seven to i64
  ret i64 %status
}

define i64 @spread(ptr %its, i64 %begin, i64 %end) {
entry:
  %numbers = load ptr, ptr %its
  br label %next
next:
  %i = phi i64 [ %begin, %entry ], [ %j, %next ]
  %place = getelementptr i64, ptr %numbers, i64 %i
  %old = load i64, ptr %place
  %new = add i64 %old, 1
  store i64 %new, ptr %place
  %j = add i64 %i, 1
  %more = icmp slt i64 %j, %end
  br i1 %more, label %next, label %done
done:
  ret i64 0
}
"""
NAMES = ["below", "refuse", "spread", "step"]


@pytest.fixture(autouse=True)
def _nothing_on_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAZYGRAD_CACHE", "off")


class Table:
    """Rows of kernels, each with addresses of its own; ``kept`` is what they work on."""

    def __init__(self, *rows: tuple[Any, int, int], kept: Any = None) -> None:
        self.code = cache.code(KERNELS, NAMES, {})
        self.block = np.zeros(max(sum(count for _, count, _ in rows), 1), np.int64)
        listed, begin = [], self.block.ctypes.data
        for kernel, count, chunks in rows:
            address = self.code.addresses[kernel] if isinstance(kernel, str) else kernel
            listed.append([address, begin, chunks, int(chunks > 1)])
            begin += 8 * count
        self.rows: NDArray[np.int64] = np.array(listed, np.int64).reshape(-1, driver.COLUMNS)
        self.kept = kept

    def place(self, number: int) -> int:
        """The address of an argument."""
        return int(self.block.ctypes.data) + 8 * number


def alone(description: Description, *arrays: NDArray[Any], name: str = "repeat") -> int:
    """What the driver returns for a table of one repeat, whose arguments are a description and arrays."""
    row = np.array([description.address, *(a.ctypes.data for a in arrays)], np.int64)
    table = np.array([[driver.repeat_address(name), row.ctypes.data, 1, 0]], np.int64)
    return driver.run(table)


def stepping(table: Table, turns: int, backwards: bool = False, **more: Any) -> Description:
    """The repeat of ``step``; its arrays are: initial value, final value, another place, xs, ys."""
    start, amount = (8 * (turns - 1), -8) if backwards else (0, 8)
    settings = [Setting(4, table.place(0), start, amount), Setting(5, table.place(3), start, amount)]
    reads = [Read(0, False, table.place(1), 0), Read(0, True, table.place(2), 0)]
    return Description(table.rows, turns, settings, [Carry(1, 2, 3, 8)], reads, backwards=backwards, **more)


def expected(initial: int, xs: NDArray[np.int64]) -> tuple[int, list[int]]:
    """The same in Python."""
    c, ys = initial, []
    for x in xs.tolist():
        d = 3 * c + x
        ys.append(d - c)
        c = d
    return c, ys


@pytest.mark.parametrize("turns", [0, 1, 2, 3, 8])
def test_a_carry_goes_from_turn_to_turn_and_arrays_are_gone_through(turns: int) -> None:
    """A repeat is a loop: the final carry lies where it belongs, for even and odd numbers of turns, and for none."""
    table = Table(("step", 4, 1))
    initial, final, other = (np.array([n]) for n in (5, -1, -1))
    xs, ys = np.arange(1, turns + 2), np.zeros(turns + 1, np.int64)
    assert alone(stepping(table, turns), initial, final, other, xs, ys) == 0
    c, listed = expected(5, xs[:turns])
    assert (final[0], ys.tolist()) == (c, [*listed, 0])
    assert initial[0] == 5


def test_a_repeat_goes_backwards() -> None:
    """Arrays that move by a negative amount are gone through from their end."""
    table = Table(("step", 4, 1))
    initial, final, other = (np.array([n]) for n in (5, -1, -1))
    xs, ys = np.array([4, 1, 3, 9]), np.zeros(4, np.int64)
    assert alone(stepping(table, 4, backwards=True), initial, final, other, xs, ys) == 0
    c, listed = expected(5, xs[::-1])
    assert (final[0], ys.tolist()) == (c, listed[::-1])


def test_a_carry_may_lie_in_one_place() -> None:
    """Where a kernel reads all of a carry before it writes, the second place is the first."""
    table = Table(("step", 4, 1))
    initial, final = np.array([2]), np.array([0])
    xs, ys = np.arange(5), np.zeros(5, np.int64)
    assert alone(stepping(table, 5), initial, final, final, xs, ys) == 0
    c, listed = expected(2, xs)
    assert (final[0], ys.tolist()) == (c, listed)


def test_a_repeat_runs_again_from_its_beginning() -> None:
    """Nothing of a run is left in the description: the next one begins anew."""
    table = Table(("step", 4, 1))
    description = stepping(table, 3)
    initial, final, other = (np.array([n]) for n in (5, -1, -1))
    xs, ys = np.array([1, 2, 3]), np.zeros(3, np.int64)
    found = []
    for _ in range(3):
        assert alone(description, initial, final, other, xs, ys) == 0
        found.append((int(final[0]), ys.tolist()))
    assert found == [expected(5, xs)] * 3


def test_repeats_stand_in_repeats() -> None:
    """The body of a repeat may hold one: rows of a matrix, and the elements of each."""
    inner = Table(("step", 4, 1))
    description = stepping(inner, 3)
    outer = Table((driver.repeat_address(), 6, 1), kept=inner)
    outer.block[0] = description.address
    settings = [Setting(4, outer.place(4), 0, 24), Setting(5, outer.place(5), 0, 24), Setting(6, outer.place(3), 0)]
    reads = [Read(0, False, outer.place(1), 0), Read(0, True, outer.place(2), 0)]
    whole = Description(outer.rows, 4, settings, [Carry(1, 2, 3, 8)], reads)
    initial, final, other, inside = (np.array([n]) for n in (5, -1, -1, -1))
    xs, ys = np.arange(12).reshape(4, 3), np.zeros((4, 3), np.int64)
    assert alone(whole, initial, final, other, xs, ys, inside) == 0
    c, listed = expected(5, xs.reshape(-1))
    assert (final[0], ys.reshape(-1).tolist()) == (c, listed)


def counting(table: Table, asked: Table, flag: NDArray[Any], most: int | None) -> Description:
    """The repeat of ``step`` while the carry is below a limit; arrays as for ``stepping``, then limit and count."""
    settings = [Setting(4, table.place(0), 0), Setting(5, table.place(3), 0), Setting(6, asked.place(1), 0)]
    asked.block[2] = flag.ctypes.data
    reads = [Read(0, False, table.place(1), 0), Read(0, True, table.place(2), 0), Read(0, False, asked.place(0), 0)]
    carries = [Carry(1, 2, 3, 8)]
    return Description(
        table.rows, most, settings, carries, reads, condition=asked.rows, flag=flag.ctypes.data, counted=7
    )


@pytest.mark.parametrize(("limit", "turns"), [(0, 0), (2, 1), (17, 3), (1000, 6)])
def test_a_condition_says_how_many_turns_there_are(limit: int, turns: int) -> None:
    """A condition is asked before every turn; the final carry lies where it belongs, however many there were."""
    table, asked, flag = Table(("step", 4, 1)), Table(("below", 3, 1)), np.zeros(1, np.bool_)
    initial, final, other = (np.array([n]) for n in (1, -1, -1))
    x, y, bound, count = (np.array([n]) for n in (1, 0, limit, -1))
    assert alone(counting(table, asked, flag, None), initial, final, other, x, y, bound, count) == 0
    c, _ = expected(1, np.ones(turns, np.int64))
    assert (final[0], count[0]) == (c, turns)


@pytest.mark.parametrize(("most", "status"), [(5, 1), (6, 0)])
def test_more_turns_than_allowed_are_a_failure(most: int, status: int) -> None:
    """A condition that still holds after the last turn that is allowed ends the table."""
    table, asked, flag = Table(("step", 4, 1)), Table(("below", 3, 1)), np.zeros(1, np.bool_)
    arrays = [np.array([n]) for n in (1, -1, -1, 1, 0, 1000, -1)]
    assert alone(counting(table, asked, flag, most), *arrays) == status


@pytest.mark.parametrize(("xs", "status"), [([1, 2, 7, 3], 1), ([1, 2, 6, 3], 0)])
def test_a_failure_in_a_turn_ends_the_table(xs: list[int], status: int) -> None:
    """A kernel that fails in some turn is the last that runs."""
    table = Table(("refuse", 1, 1))
    description = Description(table.rows, 4, [Setting(1, table.place(0), 0, 8)], [], [])
    assert alone(description, np.array(xs)) == status


@pytest.mark.parametrize("chosen", [True, False])
def test_one_of_two_bodies_is_run(chosen: bool) -> None:
    """A byte says which."""
    tables = [Table(("spread", 1, 1)) for _ in range(2)]
    both = [
        Description(table.rows, 1, [Setting(number, table.place(0), 0)], [], [])
        for number, table in enumerate(tables, 2)
    ]
    pair = np.array([one.address for one in both], np.int64)
    numbers = [np.zeros(1, np.int64) for _ in range(2)]
    byte = np.array([chosen])
    row = np.array([pair.ctypes.data, byte.ctypes.data, *(n.ctypes.data for n in numbers)], np.int64)
    assert driver.run(np.array([[driver.repeat_address("either"), row.ctypes.data, 1, 0]], np.int64)) == 0
    assert [int(n[0]) for n in numbers] == [int(chosen), int(not chosen)]


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_rows_of_a_body_are_shared(workers: int) -> None:
    """What a body's row does is done once a turn, with any number of threads."""
    if driver.hire(workers) < workers:
        pytest.skip("the system has no threads of POSIX")
    table = Table(("spread", 1, 1000), ("spread", 1, 1000))
    settings = [Setting(1, table.place(0), 0), Setting(1, table.place(1), 0)]
    numbers = np.zeros(1000, np.int64)
    assert alone(Description(table.rows, 300, settings, [], []), numbers) == 0
    assert np.array_equal(numbers, np.full(1000, 600))


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("turns", [0, 1, 3, 4])
def test_an_array_may_say_that_fewer_turns_are_made(turns: int, backwards: bool) -> None:
    """Then the first slices are gone through, in either order, and what is made of the others is zero."""
    table = Table(("step", 4, 1))
    whole = stepping(table, 4, backwards, limited=6, cleared=[(5, 32)])
    initial, final, other, said = (np.array([n]) for n in (5, -1, -1, turns))
    xs, ys = np.array([4, 1, 3, 9]), np.full(4, 77)
    assert alone(whole, initial, final, other, xs, ys, said) == 0
    order = -1 if backwards else 1
    c, listed = expected(5, xs[:turns][::order])
    assert (final[0], ys.tolist()) == (c, [*listed[::order], *[0] * (4 - turns)])
