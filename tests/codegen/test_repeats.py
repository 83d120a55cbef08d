"""Loops in native code: what the driver repeats is what the interpreter computes turn by turn."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

pytest.importorskip("llvmlite", reason="llvmlite is not installed")

import lazygrad as lg
from lazygrad.engine.cpu import driver
from lazygrad.engine.lower import turns
from lazygrad.engine.table import lower
from lazygrad.engine.table.lower import lowered
from lazygrad.engine.table.native import Native, Repeat
from tests.codegen.native_steps import Case, agree, case, plan_of, script, whole
from tests.codegen.random_loops import bodies, halved, looping

Step = Callable[..., Any]


@pytest.fixture(autouse=True, scope="module")
def _nothing_in_registers() -> Iterator[None]:
    """Small loops are repeats too, which else are kernels of their own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lower, "small_loop", lambda *_: None)
        yield


def repeats(native: Native) -> list[Repeat]:
    """The repeats of a step, those in bodies too."""
    found: list[Repeat] = []
    for step in native.program:
        if isinstance(step, Repeat):
            found.append(step)
            for use in step.uses:
                found += repeats(use.native)
    return found


def native_case(step: Step, *arguments: Any, units: float = 0, count: int = 1, **variables: Any) -> Case:
    """A case without calls back, with so many repeats, in which native code and the interpreter agree."""
    this = case(step, *arguments, **variables)
    assert this.calls == []
    assert len(repeats(this.native)) == count
    agree(this, units)
    return this


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("turns", [1, 2, 3, 6])
def test_a_scan_is_a_repeat(turns: int, reverse: bool) -> None:
    """Carry and ys bit for bit, for even and odd numbers of turns, in both directions."""
    native_case(lambda ctx, c, x: lg.scan(halved, c, x, reverse=reverse), whole(3), whole((turns, 3)))


@pytest.mark.parametrize(
    "moved", [lambda x: lg.flip(x, axis=0), lambda x: x.T, lambda x: x[1:-1], lambda x: lg.broadcast_to(x[0], (7, 4))]
)
def test_views_are_gone_through_where_they_lie(moved: Any) -> None:
    """Backwards, by columns, from the middle, and the same slice in every turn."""

    def step(ctx: Any, x: Any) -> Any:
        over = moved(x)
        return lg.scan(halved, lg.zeros(over.shape[1:]), over)

    native_case(step, whole((5, 4)))


def test_a_scan_of_no_turns_gives_its_carry() -> None:
    """The final carry is the first one."""
    native_case(lambda ctx, x: lg.scan(lambda c, _: (c * 0.5, None), x, length=0), whole(3))


def test_carries_may_change_places() -> None:
    """A new carry that is another old one, or an x, is copied to where it belongs."""
    native_case(lambda ctx, a, b: lg.scan(lambda c, _: ((c[1], c[0] + c[1]), c[0]), (a, b), length=7), 1.0, 1.0)
    native_case(lambda ctx, x: lg.scan(lambda c, x: (x, c), lg.zeros(4), x), whole((6, 4)))
    native_case(lambda ctx, x: lg.scan(lambda c, x: (c, lg.ones(3)), lg.zeros(4), x), whole((6, 4)))


def test_whole_numbers_and_booleans_are_carried() -> None:
    """Carries of all native dtypes."""

    def step(ctx: Any, x: Any) -> Any:
        def body(c: Any, x: Any) -> Any:
            seen, count, small = c
            return (lg.logical_or(seen, x > 2), count + x, small + 1), seen

        return lg.scan(body, (lg.zeros(4, dtype=bool), lg.zeros(4, dtype="int64"), lg.zeros((), dtype="int8")), x)

    native_case(step, whole((9, 4), np.int64))


def test_a_body_may_update_variables() -> None:
    """The last values are written straight into the variables' other arrays."""

    def step(ctx: Any, x: Any) -> Any:
        def body(c: Any, x: Any) -> Any:
            v = ctx.variable("v")
            return c + v, (c, ctx.assign("v", v * 0.5 + x))

        c, (ys, update) = lg.scan(body, lg.zeros(2), x)
        return c, ys, update

    this = native_case(step, whole((5, 2)), v=whole(2))
    assert len(this.native.spares) == 1
    assert this.native.results.copied == ()


@pytest.mark.parametrize("start", [1.0, 100.0])
def test_a_while_loop_asks_its_condition_in_native_code(start: float) -> None:
    """As many turns as it says, none if it is false at once."""

    def step(ctx: Any, x: Any, most: Any) -> Any:
        return lg.while_loop(lambda c: lg.sum(c[0]) < most, lambda c: (c[0] * 2 + 1, c[1] + 1), (x, 0))

    native_case(step, np.full(3, start, np.float32), np.float32(90))


def test_a_number_of_turns_that_is_computed_is_a_while_loop() -> None:
    """fori_loop with bounds that are tensors."""
    native_case(lambda ctx, x, n: lg.fori_loop(0, n, lambda i, c: c * 2 + i, x), whole(3, np.float64), np.int64(5))
    native_case(lambda ctx, x: lg.fori_loop(2, 6, lambda i, c: c * 2 + i, x), whole(3, np.float64))


@pytest.mark.parametrize("sign", [1, -1])
def test_a_choice_is_made_in_native_code(sign: int) -> None:
    """One of two bodies runs."""
    native_case(
        lambda ctx, x, p: lg.cond(lg.sum(p) > 0, lambda x: (x * 2, x), lambda x: (x - 1, -x), x),
        whole(3),
        np.float32(sign),
    )


def test_loops_stand_in_loops() -> None:
    """A scan, a while_loop and a choice in the body of a scan."""

    def step(ctx: Any, x: Any, most: Any) -> Any:
        def body(c: Any, row: Any) -> Any:
            d, ys = lg.scan(halved, c, row)
            e = lg.while_loop(lambda e: e < most, lambda e: e + 1, d)
            return lg.cond(e > d, lambda: e - most, lambda: e), ys

        return lg.scan(body, lg.zeros(()), x)

    native_case(step, whole((3, 5)), np.float32(3), count=4)


@pytest.mark.parametrize("width", [4, 8, 16])
def test_derivatives_of_loops_are_repeats(width: int) -> None:
    """Recurrent networks, forwards and backwards, for all widths of registers."""

    def step(ctx: Any, x: Any, h: Any, w: Any) -> Any:
        def body(h: Any, x: Any) -> Any:
            h = lg.tanh(h @ w + x)
            return h, lg.sum(h * x)

        last, ys = lg.scan(body, h, x)
        loss = lg.sum(last**2) + lg.sum(ys)
        return [loss, *lg.grad(loss, [x, h, w])]

    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=shape) for shape in ((6, 8, 5), (8, 5), (5, 5))]
    this = case(step, *arrays, width=width)
    assert this.calls == []
    assert len(repeats(this.native)) >= 2
    agree(this, 50)


@pytest.mark.parametrize("most", [0.5, 3, 90])
def test_the_derivative_of_a_loop_with_a_condition_is_native(most: float) -> None:
    """It goes back over as many turns as there were, none at the least."""

    def step(ctx: Any, x: Any, most: Any) -> Any:
        last = lg.while_loop(lambda c: lg.max(c) < most, lambda c: c * 2 + 1, x, max_steps=9)
        loss = lg.sum(last * last)
        return loss, *lg.grad(loss, [x])

    this = case(step, np.ones(3, np.float32), np.float32(most))
    assert this.calls == []
    agree(this)


def test_what_is_recomputed_is_native() -> None:
    """checkpoint is a repeat of one turn."""

    def step(ctx: Any, x: Any) -> Any:
        loss = lg.sum(lg.checkpoint(lambda x: x * x * x)(x))
        return loss, *lg.grad(loss, [x])

    this = case(step, whole((3, 4)))
    assert this.calls == []
    agree(this)


def test_a_loop_that_must_call_back_is_called_back_and_says_why() -> None:
    """What has no native form in a body leaves the loop to the interpreter, named in the explanation."""

    def step(ctx: Any, x: Any) -> Any:
        return lg.scan(lambda c, x: (c + lg.convolve(x, lg.ones(1)), None), lg.zeros(4), x)

    env = lg.VariableEnvironment(seed=0)
    fast = env.compile(step, wait=True)
    x = whole((3, 4))
    for _ in range(3):
        np.testing.assert_array_equal(fast(x)[0], x.sum(0))
    assert "NumPy: scan (calls back convolve)" in fast.plan.explain()


def test_the_explanation_shows_bodies() -> None:
    """Below a loop stand its kernels, indented."""
    env = lg.VariableEnvironment(seed=0)
    fast = env.compile(lambda ctx, x: lg.scan(lambda c, x: (c @ x, None), lg.ones((2, 2)), x), wait=True)
    fast(np.ones((3, 2, 2), np.float32))
    lines = [line[:50].rstrip() for line in fast.plan.explain().splitlines()]
    at = lines.index("   0  scan, 3 turns")
    assert lines[at + 1 : at + 3] == ["        body", "   0      product 2 × 2 × 2"]


def test_memory_of_a_body_is_part_of_the_arena() -> None:
    """It is counted once, however many turns there are, and lies where nothing else does meanwhile."""

    def step(ctx: Any, c: Any, x: Any) -> Any:
        def body(c: Any, x: Any) -> Any:
            return (c @ c) @ x, None

        return lg.scan(body, c, x)[0]

    sizes = []
    for count in (2, 50):
        this = native_case(step, whole((16, 16)), whole((count, 16, 16), low=0, high=2), units=1)
        sizes.append(this.native.nbytes)
    assert sizes[0] == sizes[1]
    assert sizes[0] >= 2 * 16 * 16 * 4


def test_the_arena_of_a_checkpointed_loop_grows_as_the_root_of_its_turns() -> None:
    """Four times the turns need twice the memory; without checkpoint four times as much."""

    def body(c: Any, _: None) -> Any:
        return lg.sin(c) + c * c, None

    def arena(turns: int, f: Any) -> int:
        def step(ctx: Any, x: Any) -> Any:
            last, _ = lg.scan(f, x, length=turns)
            return lg.grad(lg.sum(last), [x])

        return lowered(plan_of(step, whole(500)), 8).nbytes

    kept, recomputed = ([arena(turns, f) for turns in (100, 400)] for f in (body, lg.checkpoint(body)))
    assert kept[1] > 3.5 * kept[0]
    assert recomputed[1] < 2.5 * recomputed[0]
    assert recomputed[1] < kept[1] / 5


def plus_row(c: Any, x: Any) -> Any:
    """Every element of a carry read where it lies."""
    return c * 0.5 + x, None


def turned_over(c: Any, x: Any) -> Any:
    """The carry read where other elements are written."""
    return c[::-1] * 0.5 + x, None


def read_before(c: Any, x: Any) -> Any:
    """The old carry read by the kernel that writes the new one, and not after."""
    return c * 0.5 + lg.sum(c) + x, None


def read_after(c: Any, x: Any) -> Any:
    """The old carry read when the new one has been written."""
    new = c * 0.5 + x
    return new, lg.sum(new) * c


def multiplied(c: Any, x: Any) -> Any:
    """A product, which reads all of the old carry for every element of the new one."""
    return (c @ lg.ones((3, 3))) * 0.5 + x, None


@pytest.mark.parametrize(
    ("body", "expected"),
    [(plus_row, True), (turned_over, False), (read_before, True), (read_after, False), (multiplied, True)],
)
def test_a_carry_is_written_over_itself_where_nothing_reads_it_after(body: Any, expected: bool) -> None:
    """Then there is one place for it, and no second one in the arena."""
    this = native_case(lambda ctx, c, x: lg.scan(body, c, x), whole((4, 3)), whole((5, 4, 3)), units=1)
    (loop,) = repeats(this.native)
    (carry,) = loop.carries
    assert (carry.final == carry.other) is expected


def test_carries_that_change_places_are_not_written_over() -> None:
    """Each becomes what the other was."""
    this = native_case(
        lambda ctx, a, b: lg.scan(lambda c, _: ((c[1], c[0]), None), (a, b), length=3), whole(4), whole(4)
    )
    (loop,) = repeats(this.native)
    assert not all(carry.final == carry.other for carry in loop.carries)


def test_the_text_does_not_depend_on_the_number_of_turns() -> None:
    """So compilation does not either."""
    texts = [
        case(lambda ctx, c, x: lg.scan(halved, c, x)[0], whole(3), whole((n, 3))).native.functions for n in (2, 500)
    ]
    few, many = (sorted(set(text) - {"take"}) for text in texts)
    assert few == many


def test_an_index_out_of_range_in_a_turn_is_told_as_on_numpy() -> None:
    """The kernel ends the step; the error says the turn, and nothing has changed."""
    env = lg.VariableEnvironment(seed=0)
    env.name("v").set(np.zeros(3, np.float32))

    def step(ctx: Any, table: Any, places: Any) -> Any:
        def body(c: Any, place: Any) -> Any:
            return c + lg.take(table, place, axis=0), None

        total, _ = lg.scan(body, lg.zeros(3), places)
        return total, ctx.assign("v", total)

    fast = env.compile(step, wait=True)
    table, places = whole((4, 3)), np.array([0, 3, 1, 2])
    for _ in range(3):
        fast(table, places)
    assert fast.plan.explain().count("NumPy:") == 0
    before = env["v"]
    with pytest.raises(IndexError) as caught:
        fast(table, np.array([0, 3, 9, 2]))
    assert any("in turn 2 of the scan" in note for note in caught.value.__notes__)
    np.testing.assert_array_equal(env["v"], before)


def test_a_step_with_a_loop_is_called_quickly() -> None:
    """Arrays are taken over in native code as without a loop, and a call visits as few files."""
    env = lg.VariableEnvironment(seed=0)
    fast = env.compile(lambda ctx, c, x: lg.scan(halved, c, x)[0], wait=True)
    c, x = whole(3), whole((4, 3))
    first = fast(c, x)
    for k in range(5):
        np.testing.assert_array_equal(fast(c, x), first)
        fast(c + k, x)
    seen: set[str] = set()

    def note(frame: Any, event: str, _: Any) -> None:
        if event == "call":
            seen.add(frame.f_code.co_filename)

    sys.setprofile(note)
    try:
        fast(c, x)
    finally:
        sys.setprofile(None)
    assert len([name for name in seen if f"{os.sep}lazygrad{os.sep}" in name]) <= 5


@pytest.mark.parametrize("in_registers", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_what_underflows_in_a_loop_of_float32_is_zero(
    dtype: str, in_registers: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it costs much and says little; in float64 it is kept, and after the loop all is as before."""
    if in_registers:
        monkeypatch.setattr(lower, "small_loop", turns.small_loop)
    info = np.finfo(dtype)
    env = lg.VariableEnvironment(seed=0, dtype=dtype)
    fast = env.compile(lambda ctx, x: lg.scan(lambda c, _: (c / 2, c), x, length=3), wait=True)
    x = np.array([info.tiny, 1], dtype)
    for _ in range(3):
        last, _ = fast(x)
    assert "NumPy:" not in fast.plan.explain()
    kept = dtype == "float64" or not driver.machine().triple.startswith("x86_64")
    assert last.tolist() == [float(info.tiny) / 8 if kept else 0, 0.125]
    assert x[0] / 2 > 0


ENDLESS = """
import os, signal, threading, time
import numpy as np
import lazygrad as lg
env = lg.VariableEnvironment(seed=0)
env.name("v").set(np.zeros(2000, "float32"))
def step(ctx, most):
    v = ctx.variable("v")
    def body(c):
        return lg.cos(c[None] @ lg.ones((2000, 5)) @ lg.zeros((5, 2000)))[0]
    last = lg.while_loop(lambda c: lg.max(c) < most, body, v)
    return ctx.assign("v", last)
fast = env.compile(step, wait=True)
for _ in range(3):
    fast(np.float32(0.5))
assert "NumPy:" not in fast.plan.explain()
before = env["v"]
threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
try:
    fast(np.float32(2))
except KeyboardInterrupt:
    print("interrupted", np.array_equal(env["v"], before))
fast(np.float32(0.5))
"""


def test_a_loop_that_never_ends_can_be_interrupted() -> None:
    """Ctrl-C comes between two turns, and the environment is as before."""
    assert script(ENDLESS, LAZYGRAD_NATIVE="wait") == "interrupted True\n"


def test_a_long_loop_is_left_for_native_code_that_is_ready() -> None:
    """A million turns are not interpreted to the end; the step takes place once, with the numbers of that run."""
    env = lg.VariableEnvironment(seed=0, dtype="float64")
    env.name("v").set(1.0)

    def step(ctx: Any, x: Any) -> Any:
        v = ctx.variable("v")
        last, _ = lg.scan(lambda c, _: (c * 0.999 + v, None), x, length=1_000_000)
        return last, ctx.random.uniform(()), ctx.assign("v", v + 1)

    fast = env.compile(step)
    last, drawn, _ = fast(np.zeros(3))
    assert fast.is_native
    np.testing.assert_allclose(last, 1000, rtol=1e-9)
    assert env["v"] == 2
    again = lg.VariableEnvironment(seed=0, dtype="float64")
    assert drawn == again.run(lambda ctx: ctx.random.uniform(()))


def test_a_loop_that_shows_values_is_not_left() -> None:
    """What it has shown cannot be taken back."""
    env = lg.VariableEnvironment(seed=0, dtype="float64")
    seen: list[float] = []

    def step(ctx: Any, x: Any) -> Any:
        def body(c: Any, _: None) -> Any:
            c = (c * 0.5).hook(lambda array: seen.append(float(array)))
            return c, None

        return lg.scan(body, x, length=3000)[0]

    env.compile(step)(np.float64(1))
    assert len(seen) == 3000


CHAOS = """
import numpy as np
import lazygrad as lg
env = lg.VariableEnvironment(seed=0)
fast = env.compile(lambda ctx, x: lg.scan(lambda c, _: (lg.sin(c * 3.1), None), x, length=300)[0], wait=True)
x = np.linspace(0.1, 0.9, 50, dtype="float32")
for _ in range(3):
    fast(x)
"""


def test_a_loop_that_magnifies_rounding_is_no_fault() -> None:
    """What rounding does is seen in the turns of a loop too, when native code is checked."""
    script(CHAOS, LAZYGRAD_CHECK="1", LAZYGRAD_NATIVE="wait")


# Random bodies.


@pytest.mark.thinned(10)
@settings(max_examples=40, deadline=None)
@given(bodies())
def test_random_bodies_are_repeated_as_they_are_interpreted(drawn: Any) -> None:
    """Whole numbers in float32, so that all orders of summation agree: bit for bit."""
    carries, xs, _, turns, _ = drawn
    arrays = [whole(shape, seed=k) for k, shape in enumerate(carries)]
    arrays += [whole((turns, *shape), seed=9 + k) for k, shape in enumerate(xs)]
    this = case(looping(drawn), whole((3,), seed=5), *arrays)
    assert this.calls == []
    agree(this)


PROGRAM = """
import numpy as np
import lazygrad as lg
env = lg.VariableEnvironment(seed=0)
rng = np.random.default_rng(0)
env.name("w").set(rng.normal(size=(300, 300)).astype("float32") * 0.05)
x = rng.normal(size=(6, 500, 300)).astype("float32")
def step(ctx, x):
    w = ctx.variable("w")
    last, ys = lg.scan(lambda h, x: ((h := lg.tanh(h @ w + x)), lg.sum(h, axis=-1)), lg.zeros((500, 300)), x)
    loss = lg.mean(last ** 2) + lg.mean(ys)
    return loss, lg.grad(loss, [w])[0]
fast = env.compile(step, wait=True)
fast(x), fast(x)
loss, grad = fast(x)
assert "NumPy:" not in fast.plan.explain(), fast.plan.explain()
print(loss.tobytes().hex(), hash(grad.tobytes()))
"""


def test_any_number_of_threads_gives_the_same_bits() -> None:
    """Rows of a turn are shared, and what they make does not depend on by how many."""
    found = {script(PROGRAM, LAZYGRAD_THREADS=n, LAZYGRAD_NATIVE="wait", PYTHONHASHSEED="0") for n in ("1", "2", "3")}
    assert len(found) == 1


def test_checked_runs_agree() -> None:
    """With LAZYGRAD_CHECK=1 every run is compared with the interpreter's."""
    script(PROGRAM, LAZYGRAD_CHECK="1", LAZYGRAD_NATIVE="wait")


@pytest.mark.parametrize("n", [3, 12])
def test_a_branch_that_is_not_taken_may_hold_what_fails(n: int) -> None:
    """Also where all of it is known before: nothing of it is computed, neither when code is loaded nor in a run."""

    def step(ctx: Any, x: Any) -> Any:
        x = lg.asarray(x)
        return lg.cond(x > 0, lambda: x * 2, lambda: x + lg.sum(lg.linalg.inv(lg.zeros((n, n)))))

    for mode in ("run", "compile"):
        env = lg.VariableEnvironment(dtype="float64")
        call = env.compile(step, wait=True) if mode == "compile" else lambda x, env=env: env.run(step, x)
        assert [4, 2] == [float(call(x)) for x in (2.0, 1.0)]
        with pytest.raises(np.linalg.LinAlgError, match="Singular matrix"):
            call(-1.0)
