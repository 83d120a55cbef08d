"""Rules: each fires on its examples, and does not change their value by more than it says."""

from __future__ import annotations

import inspect
import itertools
from typing import Any

import numpy as np
import pytest

import lazygrad as lg
from lazygrad.backends.numpy import NumpyBackend
from lazygrad.ops.source import placeholder
from lazygrad.rewrite import RULES, optimized, simplify, verify
from lazygrad.rewrite.rewriting import rewritten
from lazygrad.rewrite.rules import Rule, rule

Arrays = dict[str, np.ndarray]  # by the names of the parameters

EXAMPLES = [
    pytest.param(each, example, id=f"{each.name}-{k}") for each in RULES for k, example in enumerate(each.examples)
]
PLAIN = [np.array([[0.3, 0.5, 0.7], [0.2, 0.9, 0.4]]), np.array([[0.6, 0.1, 0.8], [0.5, 0.3, 0.7]])]
# Every pair of them meets somewhere when they are taken in every order.
SPECIAL = [
    np.array([[np.nan, np.inf, -np.inf], [0.0, -0.0, 1.5]]),
    np.array([[-0.0, 0.0, 1e-40], [3e38, -3e38, -1.0]]),
    np.array([[np.inf, -1e-40, 0.0], [-0.0, 2.5, np.nan]]),
]
WHOLE = [np.array([[0, 1, -1], [7, -(2**63), 2**63 - 1]]), np.array([[3, -4, 0], [1, 2, -1]])]
TRUTH = [np.array([[True, False, True], [False, False, True]]), np.array([[True, True, False], [False, True, False]])]


def arguments(each: Rule, example: Any, dtype: str) -> list[Arrays]:
    """Arrays for the parameters of an example, in several choices; see :class:`Rule` for their names."""
    floats = [a.astype(dtype) for a in (PLAIN if each.tolerance else SPECIAL)]
    return choices(example, {"n": WHOLE, "p": TRUTH, "q": TRUTH}, floats)


def choices(example: Any, kinds: dict[str, list[np.ndarray]], others: list[np.ndarray]) -> list[Arrays]:
    """Arrays for each parameter, in every combination."""
    names = list(inspect.signature(example).parameters)
    combined = itertools.product(*[kinds.get(name, others) for name in names])
    return [dict(zip(names, chosen, strict=True)) for chosen in combined]


def traced(example: Any, arrays: Arrays) -> lg.Graph:
    """The graph of an example."""
    return lg.VariableEnvironment(seed=0).trace(lambda ctx, **xs: example(**xs), **arrays)


def computed(graph: lg.Graph, arrays: Arrays) -> list[np.ndarray]:
    """The roots of a graph by NumPy, node by node, just as it is."""
    values: list[Any] = []
    with np.errstate(all="ignore"):
        for node in graph.nodes:
            if node.of(placeholder):
                values.append(arrays[node.params["name"]])
            else:
                values.append(
                    np.asarray(node.op.kernel(NumpyBackend.xp, *[values[i] for i in node.inputs], **node.params))
                )
    return [values[i] for i in graph.roots]


def assert_same_bits(expected: np.ndarray, actual: np.ndarray) -> None:
    """They are equal, zeros of one sign included; one NaN is as good as another."""
    assert (expected.shape, expected.dtype) == (actual.shape, actual.dtype)
    assert np.array_equal(expected, actual, equal_nan=expected.dtype.kind == "f"), (expected, actual)
    if expected.dtype.kind == "f":
        number = ~np.isnan(expected)
        assert np.array_equal(np.signbit(expected[number]), np.signbit(actual[number])), (expected, actual)


@pytest.mark.parametrize(("each", "example"), EXAMPLES)
def test_a_rule_fires_on_its_example(each: Rule, example: Any) -> None:
    """Alone, without another rule to prepare its ground."""
    graph = traced(example, arguments(each, example, "float32")[0])
    new = rewritten(graph, [each])
    verify(new, graph)
    assert new.rewrites[each.name] >= 1


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("each", "example"), EXAMPLES)
def test_a_rule_keeps_the_value_of_its_example(each: Rule, example: Any, dtype: str) -> None:
    """Alone and among all rules: every bit, or to the roundings that the rule allows itself."""
    for arrays in arguments(each, example, dtype):
        graph = traced(example, arrays)
        (expected,) = computed(graph, arrays)
        for new in (rewritten(graph, [each]), optimized(graph)):
            verify(new, graph)
            (actual,) = computed(new, arrays)
            if each.tolerance:
                assert (expected.shape, expected.dtype) == (actual.shape, actual.dtype)
                roundings = np.abs(expected - actual) / (np.finfo(dtype).eps * np.max(np.abs(expected)))
                assert np.max(roundings) <= each.tolerance
            else:
                assert_same_bits(expected, actual)


@pytest.mark.parametrize("each", RULES, ids=lambda each: each.name)
def test_a_rule_states_its_law(each: Rule) -> None:
    """One sentence or more, of which the first line can stand in a list."""
    first = each.law.strip().splitlines()[0]
    assert first[-1] in ".:;,"
    assert each.passed in ("fold", "simplify", "stabilise", "absorb", "share")


@pytest.mark.parametrize("each", RULES, ids=lambda each: each.name)
def test_only_a_rule_that_stabilises_or_absorbs_may_round_otherwise(each: Rule) -> None:
    """What is called simplifying keeps every bit."""
    assert (each.tolerance > 0) == (each.passed in ("stabilise", "absorb", "share"))


def test_a_rule_without_a_law_is_refused() -> None:
    """A function that does not say what it relies on is no rule."""

    def lawless(node: Any, x: lg.Tensor) -> lg.Tensor:
        return x

    with pytest.raises(lg.DefinitionError, match="rule 'lawless' has no docstring"):
        rule("simplify", lg.exp, example=lg.exp)(lawless)


def test_two_rules_of_one_name_are_refused() -> None:
    """What was done is counted by name."""

    def times_one(node: Any, x: lg.Tensor) -> lg.Tensor:
        """A law."""
        return x

    with pytest.raises(lg.DefinitionError, match="there is a rule 'times_one' already"):
        rule("simplify", lg.exp, example=lg.exp)(times_one)


# What looks like a law and is none.

ALMOST = {
    "x + 0": lambda x: x + 0.0,
    "0 + x": lambda x: 0.0 + x,
    "x - (-0)": lambda x: x - (-0.0),
    "0 - x": lambda x: 0.0 - x,
    "x * 0": lambda x: x * 0.0,
    "x - x": lambda x: x - x,
    "x / x": lambda x: x / x,
    "-(x - y)": lambda x, y: -(x - y),
    "x / 3": lambda x: x / 3.0,
    "x == x": lambda x: lg.equal(x, x),
    "float to int twice": lambda x: x.astype("float64").astype("int8"),
    "sum of one": lambda x: lg.sum(x[:, :1], axis=1),
    "sum of none": lambda x: lg.sum(x, axis=()),
    "turned rows": lambda x: x[:, ::-1],
    "y / x where x may be 0": lambda x, y: (y / x) * x,
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ALMOST)
def test_an_identity_that_fails_for_some_number_is_not_used(name: str, dtype: str) -> None:
    """NaN, infinities and zeros of both signs come out as they do without passes."""
    example = ALMOST[name]
    floats = [a.astype(dtype) for a in SPECIAL]
    if "int" in name:  # what a cast makes of a number out of range is undefined in C
        floats = [np.nan_to_num(a, nan=3, posinf=4, neginf=-4).clip(-100, 100).astype(dtype) for a in floats]
    for arrays in choices(example, {}, floats):
        graph = traced(example, arrays)
        (expected,), (actual,) = computed(graph, arrays), computed(optimized(graph), arrays)
        assert_same_bits(expected, actual)


# Many at once.

UNARY = [
    lg.negative,
    lg.abs,
    lg.square,
    lg.sqrt,
    lg.floor,
    lg.trunc,
    lg.sign,
    lambda x: x.astype("float64").astype("f4"),
]
NUMBERS = [0.0, -0.0, 1.0, -1.0, 2.0, -0.5, 3.0, 1e30]
PAIRS = [lg.add, lg.subtract, lg.multiply, lg.divide]


def random_step(seed: int) -> Any:
    """Thirty ops drawn from arithmetic, choices and movements, on what was made before."""

    def step(ctx: lg.Context, x: lg.Tensor, y: lg.Tensor, z: lg.Tensor) -> list[lg.Tensor]:
        rng = np.random.default_rng(seed)
        made = [x, y, z]
        for _ in range(30):
            a, b = (made[i] for i in rng.integers(0, len(made), 2))
            kind = rng.integers(7)
            if kind == 0:
                made.append(UNARY[rng.integers(len(UNARY))](a))
            elif kind == 1:
                made.append(PAIRS[rng.integers(4)](a, b))
            elif kind == 2:
                pair = (a, NUMBERS[rng.integers(len(NUMBERS))])
                made.append(PAIRS[rng.integers(4)](*pair[:: rng.choice([-1, 1])]))
            elif kind == 3:
                made.append(lg.where(lg.logical_not(lg.greater(a, 0)), a, b))
            elif kind == 4:
                made.append(lg.broadcast_to(a[:, :1], (2, 2)))
            elif kind == 5:
                made.append(lg.permute_dims(lg.reshape(a, (2, 2)), (1, 0)))
            else:
                made.append(lg.sum(a[None], axis=0) if rng.integers(2) else lg.full_like(a, NUMBERS[rng.integers(8)]))
        return made

    return step


@pytest.mark.parametrize("seed", range(100))
def test_simplifying_keeps_every_bit_of_a_random_step(seed: int) -> None:
    """Rules meet in every order, on NaN, infinities and zeros of both signs."""
    rng = np.random.default_rng(seed)
    values = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1.5, -2.0, 1e-40, 3e38], "float32")
    arrays = {name: rng.choice(values, (2, 2)) for name in "xyz"}
    graph = lg.VariableEnvironment().trace(random_step(seed), **arrays)
    new = simplify(graph)
    verify(new, graph)
    assert len(new.rewrites) > 3
    for expected, actual in zip(computed(graph, arrays), computed(new, arrays), strict=True):
        assert_same_bits(expected, actual)


@pytest.mark.parametrize("seed", range(20))
def test_one_walk_is_enough(seed: int) -> None:
    """A second one finds no rule to apply, nothing to merge and nothing to prune."""

    def step(ctx: lg.Context, **xs: lg.Tensor) -> list[lg.Tensor]:
        made = random_step(seed)(ctx, **xs)
        return [*made, *lg.grad(made[-1], list(xs.values()))]

    ones = np.ones((2, 2), "float32")
    once = optimized(lg.VariableEnvironment().trace(step, x=ones, y=ones, z=ones))
    twice = optimized(once)
    assert once.rewrites == twice.rewrites
    assert str(once) == str(twice)
