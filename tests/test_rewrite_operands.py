"""Rules on operands of every dtype: what wraps, what has no sign, NaN, infinities, both zeros, the tiny and the huge.

Each example of each rule is tried on every pair of such numbers in every pair of dtypes, alone and among all rules.
A rule that keeps every bit keeps it here; the others, which are nearer to the true number, are measured beside
that number, computed by mpmath from the graph as it was written.
"""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Iterator
from typing import Any

import mpmath as mp
import numpy as np
import pytest
from exact import DIGITS, exactly
from test_rewrite_rules import Arrays, assert_same_bits, computed, traced

import lazygrad as lg
from lazygrad.ops.elementary import log
from lazygrad.rewrite import RULES, optimized, share, stabilise, verify
from lazygrad.rewrite.rewriting import rewritten
from lazygrad.rewrite.rules import Rule

EXACT = [
    pytest.param(each, example, id=f"{each.name}-{k}")
    for each in RULES
    if not each.tolerance
    for k, example in enumerate(each.examples)
]
DTYPES = ["bool", "uint8", "int8", "uint16", "int32", "uint32", "int64", "uint64", "float16", "float32", "float64"]


def numbers(dtype: str) -> list[Any]:
    """What is special in a dtype, and what is not."""
    kind = np.dtype(dtype).kind
    if kind == "b":
        return [False, True]
    if kind in "iu":
        info = np.iinfo(dtype)
        return [0, 1, 7, info.max, info.max - 1, info.min, info.min // 2, max(info.min, -3), info.max // 2 + 1]
    floats = np.finfo(dtype)
    tiny = float(floats.smallest_subnormal)
    return [np.nan, np.inf, -np.inf, 0.0, -0.0, tiny, -3 * tiny, float(floats.tiny), float(floats.max), -2.5, 0.1]


def operand_choices(example: Any, limit: int) -> Iterator[dict[str, str]]:
    """A dtype for each parameter of an example: every pair of the first two, whatever the parameters are called."""
    names = list(inspect.signature(example).parameters)
    for dtypes in itertools.product(DTYPES, repeat=min(len(names), limit)):
        yield dict(zip(names, itertools.cycle(dtypes)))


def batches(dtypes: dict[str, str]) -> Iterator[Arrays]:
    """Arrays of shape (2, 3) in which each pair of numbers of the first two parameters meets."""
    values = [numbers(dtype) for dtype in dtypes.values()]
    met = list(itertools.product(*values[:2]))
    for start in range(0, len(met), 6):
        rows = [met[k % len(met)] for k in range(start, start + 6)]
        columns = [*zip(*rows, strict=True)]
        columns += [tuple(third[(start + k) % len(third)] for k in range(6)) for third in values[2:]]
        yield {
            name: np.array(column, dtype).reshape(2, 3)
            for (name, dtype), column in zip(dtypes.items(), columns, strict=True)
        }


@pytest.mark.parametrize(("each", "example"), EXACT)
def test_a_rule_that_keeps_every_bit_keeps_it_in_every_dtype(each: Rule, example: Any) -> None:
    """On every pair of numbers and dtypes for which NumPy has the ops of the example."""
    tried = 0
    for dtypes in operand_choices(example, 2):
        graph = None
        for arrays in batches(dtypes):
            if graph is None:
                try:
                    graph = traced(example, arrays)
                except (TypeError, ValueError):  # NumPy has no such op for this dtype
                    break
                new = [rewritten(graph, [each]), optimized(graph)]
                for one in new:
                    verify(one, graph)
            (expected,) = computed(graph, arrays)
            for one in new:
                try:
                    assert_same_bits(expected, computed(one, arrays)[0])
                except AssertionError as error:
                    raise AssertionError(f"{dtypes} {arrays} {one} {error}") from None
            tried += 1
    assert tried


# Rules that round otherwise: beside the true number.

ROUGH = [
    pytest.param(each, example, id=f"{each.name}-{k}")
    for each in RULES
    if each.passed in ("stabilise", "share")
    for k, example in enumerate(each.examples)
]
PASSES = {"stabilise": stabilise, "share": share}
HUGE = mp.mpf("1e400")  # what an infinite operand is the limit of


def wide(dtype: str) -> list[float]:
    """Special numbers, and such whose exponentials just do and just do not overflow."""
    floats = np.finfo(dtype)
    most = float(np.log(floats.max))
    special = [np.nan, np.inf, -np.inf, 0.0, -0.0, float(floats.smallest_subnormal), -float(floats.max)]
    return [*special, 0.9 * most, -0.9 * most, 2 * most, -2 * most, 1.5, -0.3]


def shuffled(example: Any, dtype: str) -> Iterator[Arrays]:
    """Arrays of shape (2, 3) in which each pair of special numbers meets, each time beside other pairs."""
    names = list(inspect.signature(example).parameters)
    met = np.array(list(itertools.product(wide(dtype), repeat=2)))
    np.random.default_rng(0).shuffle(met)
    for start in range(0, len(met) - 5, 6):
        rows = met[start : start + 6]
        columns = [rows[:, k] if k < 2 else np.roll(rows[:, 0], k) for k in range(len(names))]
        yield {name: column.astype(dtype).reshape(2, 3) for name, column in zip(names, columns, strict=True)}


def as_limits(array: Any) -> Any:
    """The numbers, with a huge one in place of each infinite one."""
    return np.where(np.isinf(array), np.where(array > 0, HUGE, -HUGE), array.astype(object))


def is_as_exact(each: Rule, arrays: Arrays, before: Any, after: Any, true: Any, limit: Any) -> bool:
    """Whether a number after rewriting is what it was, or as near to the true one as the rule promises, or nearer.

    Where infinities of the operands made NaN of it as it was written, it may be the limit for huge operands.
    """
    if before == after or (np.isnan(before) and np.isnan(after)):
        return True
    true = limit if mp.isnan(true) else true
    if np.isnan(after) or mp.isnan(true):
        return False
    floats = np.finfo(before.dtype)
    finite = [abs(x) for array in arrays.values() for x in array.ravel().tolist() if np.isfinite(x)]
    if mp.isinf(true) and max(finite, default=0) > DIGITS * np.log(10):
        return True  # log(1 − p) of a p that has more digits
    if np.isinf(after) or mp.isinf(true):
        return bool(true * np.sign(after) > floats.max) and abs(float(after)) >= floats.max
    # e^(x − m) keeps as many digits as x − m has behind the point, and x − log Σeˣ as many as x has.
    size = min(max(finite, default=1), 2000)
    scale = max(abs(true), 1) if log in each.ops else abs(true)
    allowed = (each.tolerance + size) * float(floats.eps) * scale + 2 * float(floats.smallest_subnormal)
    return bool(
        abs(float(after) - true) <= max(allowed, 4 * abs(float(before) - true) if np.isfinite(before) else mp.inf)
    )


@pytest.mark.thinned(3)
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize(("each", "example"), ROUGH)
def test_a_rule_that_rounds_otherwise_loses_no_nan_no_infinity_and_no_digit(
    each: Rule, example: Any, dtype: str
) -> None:
    """NaN stays NaN and an infinity is none that was made up; what is finite is as exact as the rule says."""
    graph = None
    for arrays in shuffled(example, dtype):
        if graph is None:
            graph = traced(example, arrays)
            new = [PASSES[each.passed](graph), optimized(graph)]
        (before,), (true,) = computed(graph, arrays), exactly(graph, arrays)
        (limit,) = exactly(graph, {name: as_limits(a) for name, a in arrays.items()})
        for one in new:
            (after,) = computed(one, arrays)
            assert (before.shape, before.dtype) == (after.shape, after.dtype)
            for k in np.ndindex(before.shape):
                numbers = (before[k], after[k], true[k], limit[k])
                assert is_as_exact(each, arrays, *numbers), (k, numbers, arrays)


FAR_APART = {
    "weighted sum": lambda x, y: lg.sum(y * lg.exp(x), axis=1) / lg.sum(lg.exp(x), axis=1),
    "gradient of a weighted log sum": lambda x, y: (y / lg.sum(lg.exp(x), axis=1, keepdims=True)) * lg.exp(x),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", FAR_APART)
@pytest.mark.parametrize("weight", ["largest", "infinite", "minus infinite"])
def test_a_weight_reaches_the_result_where_the_shifted_exponential_is_0(name: str, dtype: str, weight: str) -> None:
    """In float32 e^±80 are numbers, and e^(x − m) is 0 for x − m = −160; y·e^(x − m) is not."""
    floats = np.finfo(dtype)
    far = 0.9 * float(np.log(floats.max))
    y = {"largest": float(floats.max), "infinite": np.inf, "minus infinite": -np.inf}[weight]
    x = np.array([[-far, far, 0], [1, far, -far]], dtype)
    weights = np.array([[y, 0, 0], [-1.5, 0, y]], dtype)
    graph = traced(FAR_APART[name], {"x": x, "y": weights})
    (before,), (after,) = computed(graph, {"x": x, "y": weights}), computed(optimized(graph), {"x": x, "y": weights})
    assert np.array_equal(np.isinf(before), np.isinf(after))
    finite = np.isfinite(before)
    assert np.allclose(before[finite], after[finite], rtol=4 * far * floats.eps, atol=0)
