"""What kernels mean, NumPy and native code: one number, three ways to come to it."""

from __future__ import annotations

import random
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from native_steps import case, traced, whole
from programs import exact_program, smooth_program

import lazygrad as lg
from lazygrad.define.kinds import Declared, item
from lazygrad.engine.lower import meaning
from lazygrad.engine.lower.kernels import Kernel, Spare
from lazygrad.engine.table.lower import lowered
from lazygrad.graph.spec import Spec

pytest.importorskip("llvmlite", reason="llvmlite is not installed")

ANY = [pytest.param(seed, marks=[pytest.mark.slow] if seed >= 8 else [], id=str(seed)) for seed in range(60)]
Step = Callable[..., Any]


def meant(step: Step, *arguments: Any, **variables: Any) -> list[Any]:
    """Values, then new values of variables, as the descriptions of a step's kernels mean them."""
    env, plan, inputs = traced(step, arguments, variables)
    xp, native, nodes = env._store.backend.xp, lowered(plan, 8), plan.graph.nodes
    ways, copied = native.ways, dict(native.results.copied)
    memory: dict[Any, Any] = {
        Spare(name): np.zeros(plan.spec(i).size, plan.spec(i).dtype) for name, i in native.results.copied
    }
    given = dict(zip(sorted([*plan.placeholders.values(), *plan.constants]), inputs, strict=True))
    given |= {i: env._store.find(name).live(0) for name, i in plan.variables.items()}
    for i, node in enumerate(nodes):
        if plan.static[i] and i not in given:
            given[i] = node.op.kernel(xp, *[given[j] for j in node.inputs], **node.params)
    for i, node in enumerate(nodes):
        if isinstance(node.spec, Spec):
            memory[i] = (
                np.array(given[i], order="C").ravel()
                if i in given
                else np.full(node.spec.size, 77).astype(node.spec.dtype)
            )

    def seen(j: int) -> Any:
        """The array of a node that is a view of memory."""
        spec = nodes[j].spec
        if ways.way[j] == "number":
            return np.full(spec.shape, nodes[j].params["value"], spec.dtype)
        if not isinstance(spec, Spec):
            return memory[j]
        view = ways.view(j)
        steps = [step * spec.dtype.itemsize for step in view.steps]
        return np.lib.stride_tricks.as_strided(memory[view.buffer][view.start :], view.shape, steps).copy()

    def called(i: int) -> Any:
        """What the kernel of a node returns that is called as it is."""
        node = nodes[i]
        if node.op is item:
            return memory[node.inputs[0]][node.params["index"]]
        operands = [seen(j) for j in node.inputs]
        is_random = isinstance(node.op, Declared) and node.op.random
        return node.op.kernel(env._store.drawing(node.params["draw"]) if is_random else xp, *operands, **node.params)

    for entry in native.entries:
        if isinstance(entry, Kernel):
            meaning.run(entry, memory, xp)
        else:
            made = called(entry.node)
            memory[entry.node] = made if isinstance(made, (tuple, list)) else np.array(made, order="C").ravel()
    found = [seen(i) for i in plan.values]
    for name, i in plan.updates.items():
        found.append(memory[Spare(name)].reshape(plan.spec(i).shape) if name in copied else seen(i))
    return found


def all_agree(step: Step, *arguments: Any, exact: bool = True, **variables: Any) -> None:
    """Check that NumPy, meaning and native code give the same; NaN is NaN, and both zeros are zero."""
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        this = case(step, *arguments, **variables)
        found = meant(step, *arguments, **variables)
    for numpys, natives, means in zip(this.expected, this.found, found, strict=True):
        assert (numpys.shape, numpys.dtype) == (means.shape, means.dtype)
        if exact:
            np.testing.assert_array_equal(means, numpys)
            np.testing.assert_array_equal(means, natives)
        else:
            np.testing.assert_allclose(means, numpys, rtol=1e-9, atol=1e-9)
            np.testing.assert_allclose(means, natives, rtol=1e-9, atol=1e-9)


def program(made: Any) -> tuple[Step, dict[str, Any]]:
    """A random program as a step, and its variables."""
    return made.step(), {"abc"[k]: value for k, value in enumerate(made.variables)}


@pytest.mark.parametrize("seed", ANY)
def test_an_exact_program_means_what_it_computes(seed: int) -> None:
    """Small whole numbers, of which no order of summation rounds."""
    made = exact_program(random.Random(seed))
    step, variables = program(made)
    all_agree(step, *made.arguments, **variables)


@pytest.mark.parametrize("seed", ANY)
def test_a_smooth_program_means_what_it_computes(seed: int) -> None:
    """Real numbers, with the gradient."""
    made = smooth_program(random.Random(seed))
    function = made.function()

    def step(ctx: Any, *xs: Any) -> Any:
        values = dict(zip(made.names, function(lg, *xs), strict=True))
        outputs = [values[name] for name in made.outputs]
        return outputs, lg.grad(lg.add_n([lg.sum(lg.sin(y)) for y in outputs]), list(xs))

    all_agree(step, *made.arguments, exact=False)


KERNELS: dict[str, tuple[Step, Any]] = {
    "a map": (lambda ctx, x: (x + 1) * x, whole((4, 5))),
    "a fold of a row": (lambda ctx, x: lg.max(x, axis=1), whole((4, 5))),
    "a fold over the rows": (lambda ctx, x: (lg.sum(x, axis=0), lg.sum(x)), whole((70, 50))),
    "what a row needs later": (
        lambda ctx, x: lg.square(x) - lg.sum(lg.square(x), axis=1, keepdims=True),
        whole((70, 50)),
    ),
    "places": (lambda ctx, x: (lg.argmax(x, axis=-1), lg.argmin(x, axis=-1)), np.array([[2.0, 2, 1], [1, np.nan, 0]])),
    "a sum by segments": (lambda ctx, x: lg.at(lg.ones((3, 5)))[np.array([0, 2, -1, 0])].add(x), whole((4, 5))),
    "elements that are named": (lambda ctx, x: x[np.array([[0, -1], [2, 0]]), 1:], whole((4, 5))),
    "what is split": (lambda ctx, x: lg.sum(lg.reshape(x * 2, (2, 5, 2)), axis=1), whole((4, 5))),
    "parts of one": (lambda ctx, x: lg.concat([x, x.T * 2], axis=1), whole((4, 4))),
}


@pytest.mark.parametrize("name", KERNELS)
def test_every_kind_of_kernel_means_what_it_computes(name: str) -> None:
    """One of each kind."""
    step, x = KERNELS[name]
    all_agree(step, x)


def test_an_index_out_of_range_means_that_the_step_fails() -> None:
    """Where native code refuses, the meaning says which index it is."""
    with pytest.raises(IndexError, match="7 is out of range for 4"):
        meant(lambda ctx, x, i: x[i], whole((4, 5)), np.array([0, 7]))


def test_a_kernel_is_printed_as_what_it_computes_and_how() -> None:
    """A line a statement, and a line an element of it."""
    plan = traced(lambda ctx, x: lg.max(x * 2 + 1, axis=1), [whole((40, 30))], {})[1]
    (kernel,) = lowered(plan, 8).entries
    assert (
        str(kernel)
        == """40 rows, n5 in memory
  n5, float32, over 40 × 30: max of %4 over i1
      %0 = n0[i0, i1]
      %1 = 2.0
      %2 = multiply(%0, %1)
      %3 = 1.0
      %4 = add(%2, %3)"""
    )


def test_a_plan_explains_how_its_nodes_exist_and_what_its_kernels_compute() -> None:
    """After the table."""
    env = lg.VariableEnvironment(seed=0)
    fast = env.compile(lambda ctx, x: lg.max(x * 2 + 1, axis=1), wait=True)
    fast(whole((40, 30)))
    text = fast.plan.explain()
    assert "ways of nodes: 1 leaf, 2 number, 2 lazy, 1 fold; 0 of the lazy ones are stored" in text
    assert "max of %4 over i1" in text


def test_a_kernel_that_reads_another_row_has_no_meaning() -> None:
    """Fusion that joined what may not be joined would be found out: the other row is not there."""
    x = whole((40, 30))
    plan = traced(lambda ctx, x: (y := lg.exp(x)) + y[::-1], [x], {})[1]
    first, second = lowered(plan, 8).entries
    joined = Kernel(1, (*first.statements, *second.statements), second.stored)
    sizes = {read.node for s in joined.statements for read in s.reads} | second.stored
    memory = {node: np.zeros(plan.spec(node).size, plan.spec(node).dtype) for node in sizes}
    with pytest.raises(KeyError):
        meaning.run(joined, memory, np)
