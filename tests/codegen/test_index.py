"""Where elements lie: affine indices, views, and movements read off NumPy's own strides."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from native_steps import plan_of, whole

import lazygrad as lg
from lazygrad.define.kinds import Movement
from lazygrad.engine.lower.index import Affine, Index, View, contiguous, identity, placed, regrouped, viewed


def at(index: Index, counters: dict[int, int]) -> int:
    """The number that an index is."""
    return index.start + sum(step * counters[loop] for loop, step in index.terms)


def places(affine: Affine, source: tuple[int, ...], target: tuple[int, ...]) -> Any:
    """For every element of the result, the number of the element of the operand."""
    found = affine.of(identity(target, range(len(target))))
    steps = contiguous(source)
    return np.array(
        [
            sum(step * at(index, dict(enumerate(place))) for step, index in zip(steps, found, strict=True))
            for place in itertools.product(*map(range, target))
        ]
    ).reshape(target)


# Indices.


def test_indices_are_added() -> None:
    """Steps along the same loop become one."""
    one, two = Index(1, ((0, 2), (3, 1))), Index(4, ((0, 1), (2, 5)))
    assert Index(9, ((0, 4), (2, 10), (3, 1))) == one.plus(two, 2)


def test_a_step_of_zero_is_no_term() -> None:
    """So that equal indices are equal."""
    assert Index(0) == Index(1, ((0, 2),)).plus(Index(1, ((0, 2),)), -1)


def test_the_index_of_the_element_that_loops_stand_at_counts_axes_longer_than_one() -> None:
    """An axis of one element has no loop."""
    assert (Index(0, ((7, 1),)), Index(), Index(0, ((9, 1),))) == identity((2, 1, 3), (7, 8, 9))


@pytest.mark.parametrize("shape", [(), (3,), (2, 3), (4, 1, 2), (0, 3)], ids=str)
def test_steps_in_row_major_order_are_numpys(shape: tuple[int, ...]) -> None:
    """In elements."""
    expected = tuple(np.prod(shape[k + 1 :], dtype=int) for k in range(len(shape)))
    assert expected == contiguous(shape)


def test_a_view_places_an_element() -> None:
    """By its start and its steps."""
    view = View(0, 10, (5, -1), (3, 4))
    assert Index(10 + 2 * 5, ((1, -1),)) == view.place((Index(2), Index(0, ((1, 1),))))


@pytest.mark.parametrize(
    ("steps", "shape", "expected"),
    [((3, 1), (2, 3), True), ((1, 2), (2, 3), False), ((9, 1), (1, 3), True), ((-1,), (3,), False), ((), (), True)],
)
def test_a_view_is_contiguous_if_its_elements_lie_in_order(steps: Any, shape: Any, expected: bool) -> None:
    """Steps of axes of one element do not count."""
    assert expected == View(0, 5, steps, shape).is_contiguous


# Views.

MOVED = {
    "transposed": lambda x: x.T,
    "permuted": lambda x: lg.permute_dims(x, (2, 0, 1)),
    "a part": lambda x: x[1:, ::-1, 1:4:2],
    "a number": lambda x: x[1, :, -1],
    "new axes": lambda x: x[None, :, None, 1],
    "repeated": lambda x: lg.broadcast_to(x, (2, 3, 4, 5)),
    "flipped": lambda x: lg.flip(x, axis=(0, 2)),
}


@pytest.mark.parametrize("name", MOVED)
def test_an_element_of_a_view_is_that_of_numpy(name: str) -> None:
    """Of every view that the package has; each movement of the plan is looked at."""
    numbers = np.arange(60).reshape(3, 4, 5)
    plan = plan_of(lambda ctx, x: MOVED[name](x) * 1, numbers)
    arrays: dict[int, Any] = {}
    moves = 0
    for i, node in enumerate(plan.graph.nodes):
        if not node.inputs:
            arrays[i] = numbers
        elif isinstance(node.op, Movement) and node.op.view is not None:
            (j,) = node.inputs
            spec = plan.spec(j)
            arrays[i] = node.op.kernel(np, arrays[j], **node.params)
            own = np.arange(spec.size).reshape(spec.shape)
            expected = node.op.kernel(np, own, **node.params)
            assert node.op.view != "contiguous"
            found = viewed(node.op, spec.shape, node.params, node.key)
            assert expected.tolist() == places(found, spec.shape, plan.spec(i).shape).tolist()
            moves += 1
    assert moves


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ((2, 3), (2, 1, 3)),
        ((2, 3, 4), (6, 4)),
        ((2, 3, 4), (2, 12)),
        ((24,), (2, 3, 4)),
        ((6, 4), (2, 3, 4)),
        ((1, 5, 1), (5,)),
        ((5,), (1, 5, 1)),
        ((), (1, 1)),
        ((1, 1), ()),
        ((6, 4), (4, 6)),
        ((2, 3, 4, 5), (6, 20)),
        ((2, 3, 4, 5), (24, 5)),
        ((8, 9), (2, 4, 3, 3)),
        ((2, 1, 3), (2, 3, 1, 1)),
    ],
    ids=str,
)
def test_a_reshape_is_affine_where_every_axis_keeps_its_steps(source: Any, target: Any) -> None:
    """An axis of the result is one of the operand, or one of the operand is cut into several; else it is not affine."""
    numbers = np.arange(math.prod(source)).reshape(target)
    found = regrouped(source, target)
    if found is not None:
        assert numbers.tolist() == places(found, source, target).tolist()
    # Joined axes are no affine function of one counter, unless they are of one element.
    pairs = [n for n in source if n != 1], [n for n in target if n != 1]
    assert (found is None) == (not _refines(*pairs))


def _refines(source: list[int], target: list[int]) -> bool:
    """Whether every size of ``source`` is a product of sizes in a row of ``target``."""
    k = 0
    for size in source:
        product = 1
        while product < size and k < len(target):
            product *= target[k]
            k += 1
        if product != size:
            return False
    return k == len(target)


@pytest.mark.parametrize("seed", range(5))
def test_random_reshapes_are_right_or_not_affine(seed: int) -> None:
    """Shapes of the same size, with axes of one element among them."""
    rng = np.random.default_rng(seed)
    for _ in range(40):
        sizes = [int(n) for n in rng.choice([1, 2, 3, 4], rng.integers(1, 6))]
        one, two = [], []
        for shape in (one, two):
            rest = list(sizes)
            while rest:
                count = int(rng.integers(1, len(rest) + 1))
                shape.append(math.prod(rest[:count]))
                del rest[:count]
                if rng.random() < 0.3:
                    shape.append(1)
        found = regrouped(tuple(one), tuple(two))
        if found is not None:
            expected = np.arange(math.prod(one)).reshape(two)
            assert expected.tolist() == places(found, tuple(one), tuple(two)).tolist()


# Movements that are no views.


def placing(step: Any, *arrays: Any) -> tuple[Any, Any]:
    """The first movement of a step that is no view, and where its operands' elements go."""
    plan = plan_of(step, *arrays)
    for node in plan.graph.nodes:
        if isinstance(node.op, Movement) and node.op.view is None:
            shapes = tuple(plan.spec(j).shape for j in node.inputs)
            return node, placed(node.op, shapes, node.params, node.key)
    raise AssertionError("there is none")


@pytest.mark.parametrize("axis", [0, 1])
def test_the_places_of_joined_operands_are_affine(axis: int) -> None:
    """Where every element of the result is one of an operand's."""
    x, y = whole((2, 3)), whole((2, 3), seed=1)
    node, found = placing(lambda ctx, x, y: lg.concat([x, y], axis=axis), x, y)
    expected = np.concatenate([x, y], axis)
    result = np.full(expected.size, 99.0)
    for array, affine in zip((x, y), found, strict=True):
        (index,) = affine.of(identity(array.shape, range(array.ndim)))
        for place in np.ndindex(array.shape):
            result[at(index, dict(enumerate(place)))] = array[place]
    assert expected.ravel().tolist() == result.tolist()
    assert node.spec.shape == expected.shape  # type: ignore[union-attr]


def test_an_operand_without_elements_goes_nowhere() -> None:
    """It is no reason to call back."""
    _, found = placing(lambda ctx, x, y: lg.concat([x, y]), whole((0, 3)), whole((2, 3)))
    assert 2 == len(found)


def test_elements_that_are_repeated_have_no_place() -> None:
    """An element stands there twice: such a movement is called back, or written with views."""

    class Twice:
        """A kernel that repeats."""

        @staticmethod
        def kernel(xp: Any, x: Any) -> Any:
            return np.concatenate([x, x])

    assert placed(Twice, ((3,),), {}, "twice") is None  # type: ignore[arg-type]


def test_elements_in_no_order_are_not_affine() -> None:
    """The rule that the first ones suggest is checked on all."""

    class Mixed:
        """A kernel that moves elements by no rule."""

        @staticmethod
        def kernel(xp: Any, x: Any) -> Any:
            return x[[0, 1, 3, 2, 4]]

    assert placed(Mixed, ((5,),), {}, "mixed") is None  # type: ignore[arg-type]
