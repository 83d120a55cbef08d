"""In which way each node is computed: lazily, into memory, by a product, or on NumPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from native_steps import plan_of, whole

import lazygrad as lg
from lazygrad.define import Array, elementwise
from lazygrad.engine.lower.index import contiguous
from lazygrad.engine.lower.ways import DEEP, Ways
from lazygrad.engine.trace.reading import Folded, Gathered, Multiplied, Scattered, read
from lazygrad.graph.spec import Spec

X = whole((4, 5))


def ways_of(step: Callable[..., Any], *arguments: Any, **variables: Any) -> Ways:
    """The ways of a step's plan."""
    return Ways(plan_of(step, *arguments, **variables))


def found(ways: Ways) -> dict[str, str]:
    """The way of each op, with a star where its result is stored."""
    return {
        node.op.name: ways.way[i] + ("*" if i in ways.stored else "")
        for i, node in enumerate(ways.nodes)
        if node.inputs
    }


@pytest.mark.parametrize(
    ("step", "name", "expected"),
    [
        (lambda ctx, x: lg.sum(x * 2), "multiply", "lazy"),
        (lambda ctx, x: x * 2, "multiply", "lazy*"),
        (lambda ctx, x: lg.sum(x, axis=0), "sum", "fold*"),
        (lambda ctx, x: lg.argmax(x, axis=1), "_argmax", "fold*"),
        (lambda ctx, x: lg.argmax(x, axis=0), "_argmax", "callback"),
        (lambda ctx, x: lg.prod(x > 0), "prod", "callback"),
        (lambda ctx, x: lg.sum(x > 0), "sum", "fold*"),
        (lambda ctx, x: x @ x.T, "matmul", "product*"),
        (lambda ctx, x: (x > 0) @ (x > 0).T, "matmul", "callback"),
        (lambda ctx, x: lg.concat([x, x * 2]), "concat", "copies*"),
        (lambda ctx, x: lg.cumulative_sum(x, axis=0), "cumulative_sum", "order*"),
        (lambda ctx, x: lg.i0(x), "i0", "callback"),
        (lambda ctx, x: lg.linalg.svd(x)[1], "svdvals", "callback"),
        (lambda ctx, x: ctx.random.normal((4, 5)) + x, "normal", "lazy"),
        (lambda ctx, x: lg.hook(x, print) + 1, "hook", "callback"),
        (lambda ctx, x: (x + 1).astype("float16"), "astype", "callback"),
        (lambda ctx, x: lg.sum(x.T), "permute_dims", "lazy"),
        (lambda ctx, x: lg.sum(x[:0]), "sum", "callback"),
    ],
)
def test_a_node_goes_its_way(step: Callable[..., Any], name: str, expected: str) -> None:
    """A star says that its result lies in memory."""
    ways = ways_of(step, X)
    every = {node.op.name.strip("_"): i for i, node in enumerate(ways.nodes)}
    if name.strip("_") not in every:
        pytest.fail(f"{name} is not among {sorted(every)}")
    i = every[name.strip("_")]
    assert expected == ways.way[i] + ("*" if i in ways.stored else "")


def test_elements_named_by_indices_are_read_where_they_are_wanted() -> None:
    """Nothing is stored but their sum."""
    ways = ways_of(lambda ctx, x, i: lg.sum(x[i], axis=0), X, np.array([1, 2]))
    assert {"gather": "lazy", "sum": "fold*"} == {k.strip("_"): v for k, v in found(ways).items()}


def test_rows_are_added_to_segments_natively() -> None:
    """For other patterns of indices, and for what is written, there is a kernel that puts element after element."""
    i = np.array([1, 2, 1, 0])
    ways = ways_of(lambda ctx, x, i: lg.segment_sum(x, i, 3), X, i)
    assert "scatter*" in found(ways).values()
    ways = ways_of(lambda ctx, x, i: lg.at(x)[:, i].add(1.0), X, i)
    assert "put*" in found(ways).values()


def test_what_is_dear_and_read_twice_is_stored() -> None:
    """What is cheap is computed again."""
    dear = ways_of(lambda ctx, x: (lg.sum(lg.exp(x), axis=0), lg.sum(lg.exp(x), axis=1)), X)
    assert "lazy*" == found(dear)["exp"]
    cheap = ways_of(lambda ctx, x: (lg.sum(x * 2, axis=0), lg.sum(x * 2, axis=1)), X)
    assert "lazy" == found(cheap)["multiply"]


def test_what_is_computed_again_along_an_axis_is_stored() -> None:
    """Unless it is cheap, or one number."""
    ways = ways_of(lambda ctx, x, y: lg.sum(lg.exp(y)[:, None] * x), X, whole(4))
    assert [4, 1] == [ways.spec(i).size for i in sorted(ways.stored)]


def test_a_chain_is_stored_from_time_to_time() -> None:
    """As it is written by recursion."""

    def step(ctx: Any, x: Any) -> Any:
        for k in range(3 * DEEP):
            x = lg.minimum(x + 1, 5 + k)
        return x

    ways = ways_of(step, X)
    assert 3 <= len(ways.stored) <= 3 * DEEP // 10


def test_a_view_of_an_argument_is_a_view_of_its_memory() -> None:
    """Through slices and transposes one after another."""
    ways = ways_of(lambda ctx, x: x[1:, ::2].T @ x[1:, ::2], X)
    (product,) = [i for i, way in enumerate(ways.way) if way == "product"]
    views = [ways.view(j) for j in ways.nodes[product].inputs]
    assert [("leaf", 5)] * 2 == [(ways.way[v.buffer], v.start) for v in views if v is not None]
    assert {(3, 3), (2, 5), (5, 2)} >= {v.steps for v in views if v is not None}


def test_what_a_product_reads_lies_in_memory() -> None:
    """Its operands are stored if they are computed."""
    ways = ways_of(lambda ctx, x: (x + 1) @ (x * 2).T, X)
    assert {"lazy*"} == {v for k, v in found(ways).items() if k in ("add", "multiply")}


def test_a_product_with_a_number_over_and_over_is_computed_all_the_same() -> None:
    """As the gradient of a sum of products is; the number lies nowhere unless it is put there."""
    ways = ways_of(lambda ctx, x, w: lg.grad(lg.sum(x @ w), [w]), X, whole((5, 3)))
    for i, way in enumerate(ways.way):
        if way == "product":
            assert None not in [ways.view(j) for j in ways.nodes[i].inputs]


def test_a_reshape_that_joins_axes_reads_its_operand_in_order() -> None:
    """What is transposed before is stored for it."""
    ways = ways_of(lambda ctx, x: lg.sum(lg.reshape(x.T, (-1,)) * lg.arange(20)), X)
    (i,) = [i for i, node in enumerate(ways.nodes) if ways.is_split(i)]
    view = ways.split(i)
    assert (0, contiguous((20,)), (20,)) == (view.start, view.steps, view.shape)
    assert view.buffer in ways.stored


# Kernels of the user's own.


@elementwise()
def _branching(xp: Any, x: Array) -> Any:
    """|x|, by a branch on numbers."""
    return x if (x > 0).all() else xp.abs(x)


@elementwise()
def _calling_numpy(xp: Any, x: Array) -> Any:
    """A function that the namespace has not."""
    return np.exp(x)


@elementwise()
def _shaped(xp: Any, x: Array) -> Any:
    """A kernel that looks at the shape."""
    return x * 2 if np.ndim(x) else x + x


@elementwise()
def _by_index(xp: Any, x: Array) -> Any:
    """A kernel that wants an array."""
    out = x.copy()
    out[x < 0] = 0
    return out


@elementwise()
def _raising(xp: Any, x: Array) -> Any:
    """A kernel that refuses what is no array, in its own way."""
    if not isinstance(x, np.ndarray):
        raise ValueError("give me an array")
    return x * 2


@pytest.mark.parametrize("op", [_branching, _calling_numpy, _shaped, _by_index, _raising], ids=lambda op: op.name)
def test_a_kernel_that_wants_an_array_is_called_back(op: Any) -> None:
    """Whatever it does with registers."""
    ways = ways_of(lambda ctx, x: op(x) + 1, X)
    assert "callback" == found(ways)[op.name]


@elementwise()
def _twice(xp: Any, x: Array) -> Any:
    """2·x, with functions of the namespace."""
    return xp.add(x, x)


def test_a_users_kernel_of_functions_of_the_namespace_is_lazy() -> None:
    """A user's own op looks exactly like ours."""
    assert "lazy" == found(ways_of(lambda ctx, x: lg.sum(_twice(x)), X))["twice"]


# Reading kernels of whole arrays.


@pytest.mark.parametrize(
    ("kernel", "expected"),
    [
        (lambda xp, x: xp.sum(x, axis=0, keepdims=False), Folded("sum")),
        (lambda xp, x: xp.argmin(x, axis=0, keepdims=True), Folded("argmin")),
        (lambda xp, x, y: xp.matmul(x, y), Multiplied()),
        (lambda xp, x, i: type(x[i, :]) is Gathered, None),
        (lambda xp, x: xp.median(x), None),
        (lambda xp, x: xp.sum(x, 0), None),
        (lambda xp, x: x + 1, None),
        (lambda xp, x: x, None),
        (lambda xp, x: 1 / 0, None),
    ],
)
def test_a_kernel_is_read_by_the_call_it_makes(kernel: Callable[..., Any], expected: Any) -> None:
    """Any other one is not understood."""

    class Op:
        """What has a kernel, of the user's."""

        own = False

    Op.kernel = staticmethod(kernel)  # type: ignore[attr-defined]
    specs = [Spec((2, 2), np.dtype("float32"))] * (kernel.__code__.co_argcount - 1)
    assert expected == read(Op, specs, {}, None)  # type: ignore[arg-type]


def test_a_kernel_that_takes_or_adds_is_read_with_its_pattern() -> None:
    """Operands stand for themselves in it."""

    class Take:
        """Elements at an index."""

        @staticmethod
        def kernel(xp: Any, x: Any, i: Any) -> Any:
            return xp.elements(x, (i, slice(1, None)))

    class Add:
        """Additions at an index."""

        @staticmethod
        def kernel(xp: Any, x: Any, y: Any, i: Any) -> Any:
            return xp.added(x, (i,), y)

    spec = Spec((2, 2), np.dtype("float32"))
    taken, added = read(Take, [spec] * 2, {}, None), read(Add, [spec] * 3, {}, None)  # type: ignore[arg-type]
    assert isinstance(taken, Gathered)
    assert slice(1, None) == taken.pattern[1]
    assert isinstance(added, Scattered)
    assert (1, 1) == (added.values, len(added.pattern))
