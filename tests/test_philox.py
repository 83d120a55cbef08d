"""Philox: known answers, the same words from every reading, and streams that share nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import lazygrad as lg
from lazygrad.ops.streams import stream_of, turned
from lazygrad.philox import MASK, MULTIPLIERS, TURNS, Pair, round_keys, rounds, word_at, words

# Of the file kat_vectors of Random123 (Salmon et al. 2011), philox4x32 with ten rounds: counter, key, block.
KNOWN = [
    ("00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
]
U32, U64 = np.dtype(np.uint32), np.dtype(np.uint64)


def numbers(text: str) -> list[np.ndarray[Any, Any]]:
    """Words as numbers of 64 bits."""
    return [np.array([int(word, 16)], np.uint64) for word in text.split()]


@pytest.mark.parametrize(("counter", "key", "block"), KNOWN)
def test_known_answers(counter: str, key: str, block: str) -> None:
    """Those that the authors of the generator publish."""
    a, b, c, d = numbers(counter)
    low, high = numbers(key)
    even, odd = rounds(
        Pair(a, c), Pair(b, d), Pair(*MULTIPLIERS), round_keys(low | (high << 32)), lambda pair: pair.swapped
    )
    assert numbers(block) == [even.a & MASK, odd.a & MASK, even.b & MASK, odd.b & MASK]


@pytest.mark.parametrize("dtype", [U32, U64])
@pytest.mark.parametrize("size", [0, 1, 3, 4, 7, 4096, 40_001])
def test_a_word_is_a_function_of_its_place(dtype: Any, size: int) -> None:
    """Whether the whole draw is made, or one element."""
    stream = np.array([0x123456789ABCDEF0, (7 << 33) | 5], np.uint64)
    whole = words(np, stream, 3, (size,), dtype)
    one = word_at(np, np.arange(size, dtype=np.uint64), stream[0], stream[1], 3, dtype)
    assert whole.dtype == one.dtype == dtype
    np.testing.assert_array_equal(whole, one)


def test_a_block_is_made_of_counter_and_key_as_the_page_says() -> None:
    """The counter's words are the block, the draw, and the halves of the run."""
    a, b, c, d = (int(word[0]) for word in numbers(KNOWN[2][0]))
    low, high = (int(word[0]) for word in numbers(KNOWN[2][1]))
    stream = np.array([low | (high << 32), c | (d << 32)], np.uint64)
    place = np.arange(4 * a, 4 * a + 4, dtype=np.uint64)
    found = word_at(np, place, stream[0], stream[1], b, U32)
    assert [f"{word:08x}" for word in found] == KNOWN[2][2].split()


def test_streams_of_turns_are_blocks_of_the_stream_of_their_loop() -> None:
    """Of a draw that no draw has; turns of turns are their blocks again."""
    env = lg.VariableEnvironment(seed=11)

    def step(ctx: Any, turn: Any) -> Any:
        outer = stream_of(ctx.graph)
        inner = turned(outer, turn)
        return outer, inner, turned(inner, turn + 1)

    for call in (env.run, lambda step, turn: env.compile(step, wait=True)(turn)):
        for turn in (0, 1, 2**31, 2**32 - 2):
            outer, inner, innermost = call(step, np.int64(turn))
            for source, made, k in ((outer, inner, turn), (inner, innermost, turn + 1)):
                place = np.array([2 * k, 2 * k + 1], np.uint64)
                np.testing.assert_array_equal(made, word_at(np, place, source[0], source[1], TURNS, U64))


def looping(ctx: Any) -> Any:
    """Draws in turns, in turns of turns, in a condition, and in a choice."""
    r = ctx.random

    def inner(carry: Any, _: Any) -> Any:
        return carry, r.uniform(2, dtype="float64")

    def outer(carry: Any, _: Any) -> Any:
        return carry, (r.uniform(3, dtype="float64"), lg.scan(inner, 0.0, length=3)[1])

    _, (some, more) = lg.scan(outer, 0.0, length=4)
    walk = lg.while_loop(lambda c: c[0] + 0 * r.uniform(()) < 5, lambda c: (c[0] + 1, c[1] + r.normal(())), (0.0, 0.0))
    chosen = lg.cond(walk[1] > 0, lambda: r.uniform(2, dtype="float64"), lambda: r.uniform(2, dtype="float64"))
    return some, more, chosen, r.uniform(5, dtype="float64"), walk[1]


def test_every_turn_draws_afresh_and_the_same_in_every_reading() -> None:
    """In loops within loops; interpreted and native."""
    one, other = lg.VariableEnvironment(seed=1), lg.VariableEnvironment(seed=1)
    fast, seen = other.compile(looping, wait=True), []
    for _ in range(3):
        a, b = one.run(looping), fast()
        for x, y in zip(a[:4], b[:4], strict=True):
            np.testing.assert_array_equal(x, y)
        assert a[4] == pytest.approx(b[4])
        seen += [x.ravel() for x in a[:4]]
    every = np.concatenate(seen)
    assert len(np.unique(every)) == every.size


def test_the_gradient_of_a_loop_draws_what_the_loop_drew() -> None:
    """Dropout in turns, and in what is computed again, against differences of the same run."""
    x = np.linspace(-1, 1, 12).reshape(3, 4)
    w = np.random.default_rng(0).normal(size=(4, 4))

    def loss(ctx: Any, w: Any) -> Any:
        again: Any = lg.checkpoint(lambda h: lg.nn.dropout(lg.tanh(h @ w), 0.5))
        h, _ = lg.scan(lambda h, _: (again(lg.nn.dropout(lg.tanh(h @ w), 0.3)), None), lg.asarray(x), length=3)
        total = lg.sum(h * h)
        return total, lg.grad(total, [w])[0]

    def first(w: Any, way: str = "run") -> Any:
        env = lg.VariableEnvironment(seed=2, dtype="float64")
        return env.run(loss, w) if way == "run" else env.compile(loss, wait=True)(w)

    direction = np.random.default_rng(1).normal(size=w.shape)
    ahead, behind = (first(w + h * direction)[0] for h in (1e-6, -1e-6))
    for way in ("run", "compile"):
        assert np.sum(first(w, way)[1] * direction) == pytest.approx((ahead - behind) / 2e-6, rel=1e-6)


def drawn(seed: int, runs: int, draws: int) -> Any:
    """Words of a compiled step: by run, draw and element."""
    env = lg.VariableEnvironment(seed=seed)
    fast = env.compile(lambda ctx: [ctx.random.integers(256, -(2**31), 2**31) for _ in range(draws)], wait=True)
    return np.array([fast() for _ in range(runs)])


def test_no_number_returns_in_other_seeds_runs_or_draws() -> None:
    """A million words of 64 bits are all different, but for the run that is there twice."""
    env = lg.VariableEnvironment(seed=0)
    seen = [
        lg.VariableEnvironment(seed=seed).run(lambda ctx: [ctx.random.integers(1000, -(2**63), 2**63)])[0]
        for seed in range(100)
    ]
    fast = env.compile(lambda ctx: [ctx.random.integers(1000, -(2**63), 2**63) for _ in range(30)], wait=True)
    seen += [row for _ in range(30) for row in fast()]
    every = np.concatenate(seen)
    assert len(np.unique(every)) >= every.size - 1000


@pytest.mark.parametrize("axis", ["seeds", "runs", "draws", "elements"])
def test_neighbours_are_not_correlated(axis: str) -> None:
    """Numbers that differ in one part of the counter alone: within 5 standard deviations of no correlation."""
    found = np.array([drawn(seed, 16, 4) for seed in range(8)], np.float64) / 2.0**31
    place = ["seeds", "runs", "draws", "elements"].index(axis)
    a, b = (np.take(found, range(k, found.shape[place] - 1 + k), axis=place).ravel() for k in (0, 1))
    assert abs(np.mean(a * b)) * 3 * np.sqrt(a.size) < 5


@pytest.mark.parametrize("shape", [(64,), (3, 5), (33, 7), (128, 100), (1, 1), (5, 1, 16), (1000, 1)], ids=str)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_native_code_makes_the_words_that_numpy_makes(shape: Any, dtype: str) -> None:
    """Bit for bit, in every place: whole registers and parts, rows that begin amid a block, views of draws."""

    def step(ctx: Any) -> Any:
        r = ctx.random
        x, y, z = r.uniform(shape, dtype=dtype), r.normal(shape, dtype=dtype), r.exponential(shape, dtype=dtype)
        moved = r.uniform(shape, dtype=dtype).T, r.uniform(shape, dtype=dtype)[..., ::-1], r.uniform((9, *shape))[1::3]
        return x, y, z, *moved, lg.max(r.normal(shape, dtype=dtype), axis=-1), r.bernoulli(shape, 0.3)

    one, other = lg.VariableEnvironment(seed=5), lg.VariableEnvironment(seed=5)
    fast = other.compile(step, wait=True)
    for _ in range(3):
        for a, b in zip(one.run(step), fast(), strict=True):
            np.testing.assert_array_equal(a, b)
    assert fast.is_native
