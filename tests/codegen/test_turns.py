"""Small loops in native code: one kernel, whose turns carry registers, computes what the interpreter does."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from programs import exact_program

pytest.importorskip("llvmlite", reason="llvmlite is not installed")

import lazygrad as lg
from lazygrad.engine.emit.overlap import by_depth
from lazygrad.engine.lower.straight import LIMIT
from lazygrad.engine.lower.turns import SmallLoop
from lazygrad.engine.table.native import Repeat
from tests.codegen.native_steps import Case, agree, case, random_floats, script, whole
from tests.codegen.random_loops import bodies, halved, looping

Step = Callable[..., Any]


def in_registers(this: Case) -> list[SmallLoop]:
    """The loops that are kernels of their own."""
    return [entry for entry in this.native.entries if isinstance(entry, SmallLoop)]


def small_case(step: Step, *arguments: Any, units: float = 0, count: int = 1, **variables: Any) -> Case:
    """A case without calls back and repeats, with so many loops in registers, that agrees with the interpreter."""
    this = case(step, *arguments, **variables)
    assert this.calls == []
    assert not any(isinstance(entry, Repeat) for entry in this.native.program)
    assert len(in_registers(this)) == count
    agree(this, units)
    return this


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("turns", [1, 2, 3, 6])
def test_a_small_scan_is_one_kernel(turns: int, reverse: bool) -> None:
    """Carry and ys bit for bit, in both directions."""
    small_case(lambda ctx, c, x: lg.scan(halved, c, x, reverse=reverse), whole(3), whole((turns, 3)))


@pytest.mark.parametrize(
    "moved", [lambda x: lg.flip(x, axis=0), lambda x: x.T, lambda x: x[1:-1], lambda x: lg.broadcast_to(x[0], (7, 4))]
)
def test_views_are_gone_through_where_they_lie(moved: Any) -> None:
    """Backwards, by columns, from the middle, and the same slice in every turn."""

    def step(ctx: Any, x: Any) -> Any:
        over = moved(x)
        return lg.scan(halved, lg.zeros(over.shape[1:]), over)

    small_case(step, whole((5, 4)))


def test_carries_may_change_places() -> None:
    """A new carry is another old one, an x, or a constant."""
    small_case(lambda ctx, a, b: lg.scan(lambda c, _: ((c[1], c[0] + c[1]), c[0]), (a, b), length=7), 1.0, 1.0)
    small_case(lambda ctx, x: lg.scan(lambda c, x: (x, c), lg.zeros(4), x), whole((6, 4)))
    small_case(lambda ctx, x: lg.scan(lambda c, x: (lg.ones(4), c), lg.zeros(4), x), whole((6, 4)))


def test_whole_numbers_and_booleans_are_carried() -> None:
    """Carries of several native dtypes."""

    def step(ctx: Any, x: Any) -> Any:
        def body(c: Any, x: Any) -> Any:
            seen, count, small = c
            return (lg.logical_or(seen, x > 2), count + x, small + 1), seen

        return lg.scan(body, (lg.zeros(4, dtype=bool), lg.zeros(4, dtype="int64"), lg.zeros((), dtype="int8")), x)

    small_case(step, whole((9, 4), np.int64))


def test_a_small_body_may_update_variables() -> None:
    """The last values are written straight into the variables' other arrays."""

    def step(ctx: Any, x: Any) -> Any:
        def body(c: Any, x: Any) -> Any:
            v = ctx.variable("v")
            return c + v, (c, ctx.assign("v", v * 0.5 + x))

        c, (ys, update) = lg.scan(body, lg.zeros(2), x)
        return c, ys, update

    this = small_case(step, whole((5, 2)), v=whole(2))
    assert this.native.results.copied == ()


@pytest.mark.parametrize("start", [1.0, 100.0])
def test_a_small_while_loop_asks_its_condition_in_the_kernel(start: float) -> None:
    """As many turns as it says, none if it is false at once."""

    def step(ctx: Any, x: Any, most: Any) -> Any:
        return lg.while_loop(lambda c: lg.sum(c[0]) < most, lambda c: (c[0] * 2 + 1, c[1] + 1), (x, 0))

    small_case(step, np.full(3, start, np.float32), np.float32(90))


def test_more_turns_than_max_steps_end_the_step() -> None:
    """The error is the interpreter's, and the environment is as before; as many turns as allowed are none too many."""
    env = lg.VariableEnvironment(seed=0)
    env.name("v").set(np.float32(1))

    def step(ctx: Any, most: Any) -> Any:
        v = lg.while_loop(lambda c: c < most, lambda c: c * 2, ctx.variable("v"), max_steps=5)
        return v, ctx.assign("v", v)

    fast = env.compile(step, wait=True)
    assert fast(np.float32(32))[0] == 32
    env["v"] = np.float32(1)
    assert "in registers" in fast.plan.explain()
    with pytest.raises(lg.LoopError, match="max_steps=5"):
        fast(np.float32(33))
    assert env["v"] == 1


@pytest.mark.parametrize("turns", [0, 1, 4])
def test_the_derivative_of_a_while_loop_makes_as_many_turns_as_it_did(turns: int) -> None:
    """It is a scan of a number of turns that is computed; what is made of the others is zero."""

    def step(ctx: Any, x: Any, n: Any) -> Any:
        def body(c: Any) -> Any:
            return c[0] * c[0] * 0.5 + x, c[1] + 1

        y, _ = lg.while_loop(lambda c: c[1] < n, body, (x, 0), max_steps=6)
        return y, *lg.grad(lg.sum(y), [x])

    small_case(step, random_floats((2,), np.float64), np.int64(turns), count=3)


def test_a_loop_over_numbers_reads_tables() -> None:
    """fori_loop with elements that the counter names, of what is captured and of what is carried."""

    def step(ctx: Any, table: Any) -> Any:
        def body(i: Any, c: Any) -> Any:
            return c * 0.5 + table[i] - c[i % 2]

        return lg.fori_loop(0, 6, body, lg.zeros(2))

    small_case(step, whole(6))


@pytest.mark.parametrize(
    "body",
    [
        lambda c, i, x: c.at[i].set(x),
        lambda c, i, x: c.at[i].add(x[0]),
        lambda c, i, x: c.at[i, 1:].set(c[0, 0] + x[1:]),
        lambda c, i, x: c.at[:, i % 2].add(x),
        lambda c, i, x: c.at[1:, ::2].set(c[:2, :2] * 2 + x[0]),
        lambda c, i, x: c.at[1, None, -1].add(x[:1]),
        lambda c, i, x: c.at[lg.stack([i, i, -1]), lg.asarray([0, 0, 2])].add(x),
        lambda c, i, x: c.at[lg.stack([i, i, -1])].set(x * c),
    ],
)
def test_elements_are_written_where_indices_name_them(body: Any) -> None:
    """Set and added, of a place that is named twice too, in a loop whose body would else be called back."""

    def step(ctx: Any, places: Any, xs: Any) -> Any:
        return lg.scan(lambda c, x: (body(c, *x), lg.sum(c)), lg.zeros((3, 3)), (places, xs))

    small_case(step, np.array([0, 2, -1, 1, -3]), whole((5, 3)))


def test_elements_that_are_written_have_derivatives() -> None:
    """A recurrence that fills an array, in float64."""

    def step(ctx: Any, x: Any) -> Any:
        zero = lg.zeros(6, dtype="float64")
        y = lg.sum(lg.fori_loop(0, 6, lambda i, c: c.at[i].set(x[i] * 2 + c[i - 1] * c[i - 2]), zero) ** 2)
        return y, *lg.grad(y, [x])

    small_case(step, random_floats((6,), np.float64), units=16, count=2)


def test_a_place_that_is_not_there_is_told_as_on_numpy() -> None:
    """The error says the turn, and the environment is as before."""
    env = lg.VariableEnvironment(seed=0)
    env.name("v").set(np.zeros(3, np.float32))

    def step(ctx: Any, places: Any) -> Any:
        v = lg.scan(lambda c, i: (c.at[i].add(1), None), ctx.variable("v"), places)[0]
        return v, ctx.assign("v", v)

    fast = env.compile(step, wait=True)
    np.testing.assert_array_equal([1, 0, 2], fast(np.array([2, 0, -1]))[0])
    assert "in registers" in fast.plan.explain()
    with pytest.raises(IndexError) as caught:
        fast(np.array([2, 3, 0]))
    assert any("in turn 1 of the scan" in note for note in caught.value.__notes__)
    np.testing.assert_array_equal([1, 0, 2], env["v"])


@pytest.mark.parametrize("sign", [1, -1])
def test_a_small_choice_is_made_in_the_kernel(sign: int) -> None:
    """One of two bodies counts; the other one cannot fail."""

    def step(ctx: Any, x: Any, p: Any, i: Any) -> Any:
        def body(c: Any, x: Any) -> Any:
            return lg.cond(p * c > 0, lambda: (c + 1, x[0] * 2), lambda: (c + 2, x[i])), None

        return lg.scan(lambda c, x: (body(c, x)[0][0], body(c, x)[0][1]), lg.ones(()), x)

    this = small_case(step, whole((4, 2)), np.float32(sign), np.int64(1))
    assert in_registers(this)[0].operation.op.name == "scan"


def test_the_body_that_is_not_chosen_may_name_what_is_not_there() -> None:
    """An index out of range fails only where it is wanted."""
    env = lg.VariableEnvironment(seed=0)

    def step(ctx: Any, x: Any, i: Any) -> Any:
        return lg.scan(lambda c, p: (lg.cond(p > 0, lambda: c + x[i], lambda: c - 1), None), lg.zeros(()), x)[0]

    fast = env.compile(step, wait=True)
    assert fast(np.array([-1, -2], np.float32), np.int64(7)) == -2
    assert "in registers" in fast.plan.explain()
    with pytest.raises(IndexError):
        fast(np.array([-1, 2], np.float32), np.int64(7))


def test_loops_in_a_small_loop_are_of_its_kernel() -> None:
    """A scan over slices, one over what is computed, a while_loop and a choice, in the body of a scan."""

    def step(ctx: Any, x: Any, most: Any) -> Any:
        def body(c: Any, row: Any) -> Any:
            d, ys = lg.scan(halved, c, row)
            f, zs = lg.scan(halved, d, ys + 1, reverse=True)
            e = lg.while_loop(lambda e: e < most, lambda e: e + 1, f)
            return lg.cond(e > d, lambda: e - most, lambda: e), (ys, zs)

        return lg.scan(body, lg.zeros(()), x)

    small_case(step, whole((3, 5)), np.float32(3))


def test_linear_algebra_of_a_small_body_is_of_its_kernel() -> None:
    """A Kalman filter of two states, its likelihood and derivatives, to rounding."""

    def step(ctx: Any, ys: Any, f: Any, q: Any) -> Any:
        def body(c: Any, y: Any) -> Any:
            m, p, total = c
            m, p = f @ m, f @ p @ f.T + q * lg.eye(2, dtype="float64")
            s = p + lg.eye(2, dtype="float64")
            lower, v = lg.linalg.cholesky(s), y - m
            gain = lg.linalg.solve(s, p).T
            total = total - lg.sum(lg.log(lg.diagonal(lower))) - 0.5 * lg.sum(v * lg.linalg.solve(s, v))
            return (m + gain @ v, p - gain @ p, total), None

        zero = lg.zeros((), dtype="float64")
        loss = lg.scan(body, (lg.zeros(2, dtype="float64"), lg.eye(2, dtype="float64"), zero), ys)[0][2]
        return loss, *lg.grad(loss, [f, q])

    f = np.array([[1.0, 0.1], [0.0, 0.9]])
    small_case(step, random_floats((8, 2), np.float64), f, np.float64(0.3), units=1000, count=2)


def test_a_singular_matrix_in_a_turn_is_told_as_on_numpy() -> None:
    """The kernel ends the step, and the interpreter says in which turn."""
    env = lg.VariableEnvironment(seed=0)

    def step(ctx: Any, a: Any) -> Any:
        return lg.scan(lambda c, a: (lg.linalg.solve(a, c), None), lg.ones(2), a)[0]

    fast = env.compile(step, wait=True)
    a = np.stack([np.eye(2, dtype=np.float32) * (k + 1) for k in range(4)])
    np.testing.assert_allclose(fast(a), np.full(2, 1 / 24), rtol=1e-6)
    assert "in registers" in fast.plan.explain()
    a[2] = 1
    with pytest.raises(np.linalg.LinAlgError) as caught:
        fast(a)
    assert any("in turn 2 of the scan" in note for note in caught.value.__notes__)


def test_what_would_fill_lanes_is_a_repeat() -> None:
    """Of many numbers kernels make a turn in less time than it takes one after the other."""
    this = case(lambda ctx, c, x: lg.scan(halved, c, x), whole(200), whole((3, 200)))
    assert [] == in_registers(this)
    agree(this)


def test_a_long_body_is_a_repeat() -> None:
    """The time that LLVM takes for a kernel is bounded."""

    def step(ctx: Any, c: Any) -> Any:
        def body(c: Any, _: Any) -> Any:
            for _k in range(LIMIT // 3 + 1):
                c = c * 0.5 + 1
                c = c * c
            return c, None

        return lg.scan(body, c, length=2)[0]

    this = case(step, np.float64(0.5))
    assert [] == in_registers(this)
    agree(this, 100)


def test_the_explanation_says_that_it_is_in_registers() -> None:
    """A line in the table, and its operations below."""
    env = lg.VariableEnvironment(seed=0)
    fast = env.compile(lambda ctx, c, x: lg.scan(halved, c, x)[0], wait=True)
    fast(whole(3), whole((4, 3)))
    lines = fast.plan.explain().splitlines()
    assert any(line.startswith("   0  scan, 4 turns") and "in registers" in line for line in lines)
    (at,) = [k for k, line in enumerate(lines) if line.startswith("  scan, carries=1")]
    expected = """\
    body
      %0 = input 0, float32[3]
      %1 = input 1, float32[3]
      %2 = literal, float32[]
      %3 = multiply(%0, %2), float32[3]
      %4 = add(%3, %1), float32[3]
      gives %4"""
    assert expected.splitlines() == lines[at + 1 : at + 8]


def test_the_same_loop_is_written_once() -> None:
    """Two loops with equal bodies share the code of a kernel."""

    def step(ctx: Any, a: Any, b: Any, x: Any) -> Any:
        return lg.scan(halved, a, x)[0] + lg.scan(halved, b, x)[0]

    this = small_case(step, whole(3), whole(3, seed=1), whole((4, 3)), count=2)
    first, second = in_registers(this)
    assert first.key == second.key


def test_a_pendulum_and_its_derivative_agree_to_rounding() -> None:
    """RK4 of a pendulum: its path bit for bit but for the sine, its derivative to rounding."""

    def step(ctx: Any, y: Any, g: Any) -> Any:
        def slope(y: Any) -> Any:
            return lg.stack([y[1], -g * lg.sin(y[0])])

        def body(y: Any, _: Any) -> Any:
            k1 = slope(y)
            k2 = slope(y + 0.005 * k1)
            k3 = slope(y + 0.005 * k2)
            return y + 0.01 / 6 * (k1 + 2 * k2 + 2 * k3 + slope(y + 0.01 * k3)), y

        last, path = lg.scan(body, y, length=50)
        return path, *lg.grad(lg.sum(last * last), [y, g])

    small_case(step, np.array([0.5, 0.1]), np.float64(9.81), units=64, count=2)


def ladder(c: Any, x: Any) -> Any:
    """Levels each of which waits for the one below it, and for the one above it a turn before."""
    new = []
    for level, m in enumerate(c):
        above = c[level + 1] if level + 1 < len(c) else 0.0
        x = (m - x * 0.5) * (x + above) * 0.5
        x = x / (1.0 + x * x)
        new.append(m * 0.5 + x)
    return tuple(new), x


@pytest.mark.parametrize("reverse", [False, True])
def test_turns_that_hardly_wait_for_each_other_are_written_in_pairs(reverse: bool) -> None:
    """Two turns, sorted by when instructions can begin: bit for bit; of an odd number of turns there are no pairs."""

    def step(ctx: Any, c: Any, xs: Any) -> Any:
        return lg.scan(ladder, lg.unstack(c), xs, reverse=reverse)

    for turns, paired in ((6, True), (5, False), (2, True)):
        this = small_case(step, random_floats((9,), np.float64), random_floats((turns,), np.float64))
        assert [paired] == [loop.paired for loop in in_registers(this)]


def test_turns_that_wait_for_each_other_are_not() -> None:
    """A chain through all turns is not shortened by writing two of them."""

    def step(ctx: Any, c: Any, xs: Any) -> Any:
        return lg.scan(lambda c, x: (((c * x + 1) * c - x) * c, None), c, xs)[0]

    this = small_case(step, np.float64(0.3), random_floats((6,), np.float64))
    assert [False] == [loop.paired for loop in in_registers(this)]


def test_lines_are_sorted_by_when_they_can_begin() -> None:
    """A line stands behind those that it needs, and a chain that can begin before another one that must wait."""
    slow = ["  %a = fdiv double %x, %y", "  %b = fadd double %a, %x", "  store double %b, ptr %p, align 8"]
    quick = ["  %c = fmul double %x, %x", "  %d = call double @llvm.fma.f64(double %c, double %c, double %x)"]
    expected = [slow[0], quick[0], quick[1], slow[1], slow[2]]
    assert expected == by_depth([*slow, *quick])


# Random bodies.


@pytest.mark.thinned(10)
@settings(max_examples=40, deadline=None)
@given(bodies())
def test_random_small_bodies_compute_as_they_are_interpreted(drawn: Any) -> None:
    """Whole numbers in float32, so that all orders of summation agree: bit for bit."""
    carries, xs, _, turns, _ = drawn
    arrays = [whole(shape, seed=k) for k, shape in enumerate(carries)]
    arrays += [whole((turns, *shape), seed=9 + k) for k, shape in enumerate(xs)]
    this = case(looping(drawn), whole((3,), seed=5), *arrays)
    assert this.calls == []
    agree(this)


ROUNDING = ["add", "subtract", "multiply", "divide"]


@pytest.mark.thinned(10)
@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(ROUNDING), st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=12),
    st.sampled_from(["float64", "float32"]),
    st.booleans(),
)
def test_arithmetic_gives_the_bits_of_numpy(ops: Any, dtype: str, reverse: bool) -> None:
    """Sums, differences, products and quotients of real numbers, and their derivatives, for two carries and an x."""

    def step(ctx: Any, a: Any, b: Any, xs: Any) -> Any:
        def body(c: Any, x: Any) -> Any:
            pool = [*c, x]
            for op, i, j in ops:
                pool.append(getattr(lg, op)(pool[i % len(pool)], pool[j % len(pool)]))
            return (pool[-1], pool[len(pool) // 2]), pool[-1]

        (a, b), ys = lg.scan(body, (a, b), xs, reverse=reverse)
        return a, b, ys

    arrays = [np.random.default_rng(k).uniform(0.5, 2, n).astype(dtype) for k, n in enumerate((3, 3, (4, 3)))]
    this = case(step, *arrays)
    assert this.calls == []
    assert len(in_registers(this)) == 1
    for found, expected in zip(this.found, this.expected, strict=True):
        np.testing.assert_array_equal(found, expected)
        np.testing.assert_array_equal(np.signbit(found), np.signbit(expected))


@pytest.mark.thinned(10)
@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32))
def test_random_programs_are_bodies(seed: int) -> None:
    """A random program on whole numbers in every turn of a scan, in all dtypes: bit for bit."""
    program = exact_program(Random(seed))
    function = program.function()

    def step(ctx: Any, *xs: Any) -> Any:
        def body(c: Any, x: Any) -> Any:
            values = dict(zip(program.names, function(lg, *x), strict=True))
            return c + 1, [lg.asarray(values[name]) for name in program.outputs]

        return lg.scan(body, lg.zeros(()), xs)[1]

    with np.errstate(all="ignore"):
        agree(case(step, *[np.stack([x, x]) for x in program.inputs]))


PROGRAM = """
import numpy as np
import lazygrad as lg
env = lg.VariableEnvironment(seed=0)
env.name("w").set(np.full(3, 0.5))
def step(ctx, xs):
    w = ctx.variable("w")
    last, ys = lg.scan(lambda c, x: (lg.tanh(c * w + x), lg.sum(c * x)), lg.zeros(3, dtype="float64"), xs)
    loss = lg.sum(ys) + lg.sum(last)
    (g,) = lg.grad(loss, [w])
    return loss, ctx.assign("w", w - 0.01 * g)
fast = env.compile(step)
xs = np.random.default_rng(0).normal(size=(50, 3))
for _ in range(4):
    fast(xs)
assert "in registers" in fast.plan.explain()
"""


def test_checked_runs_agree() -> None:
    """With LAZYGRAD_CHECK=1 every run is compared with the interpreter's."""
    script(PROGRAM, LAZYGRAD_CHECK="1", LAZYGRAD_NATIVE="wait")
