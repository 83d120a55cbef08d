"""Loops of random bodies agree with the loops written out: values, first and second derivatives."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lazygrad as lg

UNARY = [lg.sin, lg.tanh, lambda x: x * 0.5, lambda x: x + 1, lambda x: -x, lambda x: lg.exp(-lg.square(x))]
BINARY = [lg.add, lg.subtract, lg.multiply, lg.maximum, lambda a, b: lg.where(a < b, a, b * 0.5)]


class Move(NamedTuple):
    """One thing that a body does: a function of values that it has, by their numbers."""

    arity: int
    function: int
    operands: tuple[int, int]


class Program(NamedTuple):
    """A random body: what it does, and what it makes of that."""

    moves: list[Move]
    carries: list[int]
    ys: list[int]
    length: int
    reverse: bool
    inner: Program | None  # a loop in every turn


def moves() -> Any:
    """Lists of moves."""
    one = st.builds(
        Move, st.sampled_from([1, 2, 2, 3]), st.integers(0, 5), st.tuples(st.integers(0, 99), st.integers(0, 99))
    )
    return st.lists(one, min_size=1, max_size=5)


def programs(inner: Any) -> Any:
    """Random programs."""
    numbers = st.lists(st.integers(0, 99), min_size=0, max_size=2)
    some = st.lists(st.integers(0, 99), min_size=1, max_size=3)
    return st.builds(Program, moves(), some, numbers, st.integers(0, 4), st.booleans(), inner)


PROGRAMS = programs(st.one_of(st.none(), st.none(), programs(st.none())))


def unrolled(body: Any, init: Any, xs: Any = None, length: int | None = None, reverse: bool = False) -> Any:
    """The loop written out."""
    count = length if xs is None else xs.shape[0]
    carry, rows = init, {}
    turns = range(count)
    for turn in reversed(turns) if reverse else turns:
        carry, rows[turn] = body(carry, None if xs is None else xs[turn])
    if not count:
        return carry, [lg.zeros((0, 2), "float64")] * 2
    return carry, [lg.stack([rows[turn][k] for turn in turns]) for k in range(len(rows[0]))]


def run_moves(program: Program, pool: list[Any], w: Any) -> list[Any]:
    """What a body computes, after what it is given."""
    pool = list(pool)
    for move in program.moves:
        a, b = (pool[k % len(pool)] for k in move.operands)
        if move.arity == 1:
            pool.append(UNARY[move.function % len(UNARY)](a))
        elif move.arity == 2:
            pool.append(BINARY[move.function % len(BINARY)](a, b))
        else:
            pool.append(lg.tanh(a @ w) * 0.5)
    return pool


def looped(loop: Any, program: Program, pool: list[Any], xs: Any, w: Any) -> tuple[list[Any], list[Any]]:
    """The last carry and the ys of a program."""
    init = {"c": tuple(pool[k % len(pool)] for k in range(len(program.carries))), "n": 0}

    def body(carry: Any, x: Any) -> Any:
        own = [*carry["c"], x, *pool, carry["n"] * 0.1 + w[0]]
        own = run_moves(program, own, w)
        if program.inner is not None:
            last, more = looped(loop, program.inner, [own[-1], own[0]], xs[: program.inner.length], w)
            own += [*last, *[lg.sum(y, axis=0) for y in more]]
        after = tuple(own[-1 - k % len(own)] for k in program.carries)
        return {"c": after, "n": carry["n"] + 1}, [own[-1 - k % len(own)] for k in program.ys]

    carry, ys = loop(body, init, xs[: program.length], reverse=program.reverse)
    return list(carry["c"]), list(ys)[: len(program.ys)]


def made(loop: Any, program: Program, order: int) -> Any:
    """A step with a loop, a loss, and derivatives of it."""

    def step(ctx: Any, xs: Any, start: Any, w: Any) -> Any:
        last, ys = looped(loop, program, [start, start * 2], xs, w)
        values = [*last, *ys]
        loss = sum(lg.sum(lg.sin(value)) for value in values)
        wanted = [xs, start, w]
        grads = lg.grad(loss, wanted)
        pushed = lg.jvp(loss, wanted, [lg.cos(x) for x in wanted])
        if order == 2:
            return lg.grad(sum(lg.sum(lg.sin(g)) for g in grads) + pushed, wanted)
        return [*values, *grads, pushed]

    return step


def given_arrays() -> list[Any]:
    """Slices, a start and a matrix."""
    rng = np.random.default_rng(0)
    return [rng.normal(size=(4, 2)), rng.normal(size=2), rng.normal(size=(2, 2))]


def close(found: list[Any], expected: list[Any], exact: bool) -> None:
    """Equal; to rounding where sums are added in another order."""
    for a, b in zip(found, expected, strict=True):
        if exact:
            np.testing.assert_array_equal(a, b)
        else:
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-10)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(program=PROGRAMS)
def test_a_random_loop_is_the_loop_written_out(program: Program) -> None:
    """Its values bit for bit, its derivatives in both modes to rounding, in run; second ones too."""
    env = lg.VariableEnvironment(seed=0, dtype="float64")
    arrays = given_arrays()
    count = len(program.carries) + len(program.ys)
    expected, found = (env.run(made(loop, program, 1), *arrays) for loop in (unrolled, lg.scan))
    close(found[:count], expected[:count], exact=True)
    close(found[count:], expected[count:], exact=False)
    second, again = (env.run(made(loop, program, 2), *arrays) for loop in (unrolled, lg.scan))
    close(again, second, exact=False)


@pytest.mark.slow
@settings(max_examples=40, deadline=None, derandomize=True)
@given(program=PROGRAMS, order=st.sampled_from([1, 2]))
def test_a_random_loop_is_in_native_code_what_it_is_in_run(program: Program, order: int) -> None:
    """Compiled, and compiled with every run checked."""
    env = lg.VariableEnvironment(seed=0, dtype="float64")
    arrays = given_arrays()
    expected = env.run(made(lg.scan, program, order), *arrays)
    compiled = env.compile(made(lg.scan, program, order), wait=True)
    for _ in range(2):
        close(compiled(*arrays), expected, exact=False)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(program=PROGRAMS, own=st.sampled_from([(0, 0, 0), (0, None, None), (None, 0, None), (None, None, 0)]))
def test_a_random_loop_of_many_examples_is_that_of_each(program: Program, own: tuple[Any, ...]) -> None:
    """With its derivatives in the function of one example, and of that of many, as ``lg.vmap`` computes them."""
    env = lg.VariableEnvironment(seed=0, dtype="float64")
    examples = [
        [a + 0.1 * i if axis == 0 else a for a, axis in zip(given_arrays(), own, strict=True)] for i in range(2)
    ]
    arrays = [np.stack(xs) if axis == 0 else xs[0] for xs, axis in zip(zip(*examples, strict=True), own, strict=True)]
    single = made(lg.scan, program, 1)

    def step(ctx: Any, *xs: Any) -> Any:
        values = lg.vmap(lambda *one: single(ctx, *one), in_axes=own)(*xs)
        return values, lg.grad(sum(lg.sum(lg.sin(value)) for value in values), list(xs))

    def apart(ctx: Any, *xs: Any) -> Any:
        rows = [[x[i] if axis == 0 else x for x, axis in zip(xs, own, strict=True)] for i in range(2)]
        values = [lg.stack(list(found)) for found in zip(*[single(ctx, *one) for one in rows], strict=True)]
        return values, lg.grad(sum(lg.sum(lg.sin(value)) for value in values), list(xs))

    for found, expected in zip(env.run(step, *arrays), env.run(apart, *arrays), strict=True):
        close(found, expected, exact=False)
