"""Plans: what runs, what dies, what never changes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import lazygrad as lg
from lazygrad.plan import Plan


def planned(step: Any, *arrays: Any) -> Plan:
    """The plan of a step."""
    graph = lg.VariableEnvironment(seed=0).trace(step, *arrays)
    return Plan(graph, graph.roots)


def test_every_value_dies_at_its_last_use() -> None:
    """An array is given up as soon as nothing after needs it; what is returned is kept."""
    plan = planned(lambda ctx, x: lg.exp(lg.sin(lg.cos(x))), np.ones(3))
    assert [(), (0,), (1,), (2,)] == plan.dying


def test_what_depends_on_numbers_alone_is_static() -> None:
    """A table made of literals is computed once, not in every run."""
    plan = planned(lambda ctx, x: x + lg.sqrt(lg.arange(3, dtype="float64")), np.ones(3))
    static = {node.op.name: bool(plan.static[i]) for i, node in enumerate(plan.graph.nodes)}
    assert {"placeholder": False, "arange": True, "sqrt": True, "add": False} == static


def test_draws_are_not_static() -> None:
    """Random numbers change from run to run."""
    plan = planned(lambda ctx: ctx.random.normal(3) * 2)
    assert 0 == plan.static[0]
    assert plan.draws


def test_assigning_a_variable_twice_is_an_error() -> None:
    """One run gives a variable one new value."""
    env = lg.VariableEnvironment()
    env.name("w").set(np.zeros(2))
    with pytest.raises(lg.GraphError, match="variable 'w' is assigned twice in one run"):
        env.run(lambda ctx: (ctx.assign("w", np.ones(2)), ctx.assign("w", np.zeros(2))))
    assert np.array_equal(np.zeros(2), env["w"])


def test_explain_counts_nodes_and_bytes() -> None:
    """The plan in words names its ops and the bytes they make."""
    text = planned(lambda ctx, x: lg.exp(x) + 1, np.ones((10, 10), "f4")).explain()
    assert "4 nodes, 1 values, 0 updates" in text
    assert "exp" in text
    assert "400 bytes" in text


def test_explain_says_of_every_op_what_it_is() -> None:
    """Also of those that only passes and derivatives write."""

    def step(ctx: Any, x: Any) -> Any:
        def body(c: Any, row: Any) -> Any:
            return lg.tanh(c / row), None

        loss = lg.sum(lg.scan(body, x[0], x)[0])
        return loss, lg.grad(loss, x)

    lines = planned(step, np.ones((3, 3), "f4")).explain().splitlines()
    rows = [line.partition(" bytes  ") for line in lines[1 : lines.index("passes")]]
    assert all(said for _, _, said in rows), rows
    assert any(said.startswith("A body once for every slice") for _, _, said in rows)


def test_every_pass_is_explained_in_a_sentence() -> None:
    """Beside its name stands the law by which it changed the graph."""

    def step(ctx: Any, x: Any) -> Any:
        return lg.log(lg.exp(x)) + lg.sqrt(x * x) + lg.sqrt(x * x)

    text = planned(step, np.ones((3, 3), "f4")).explain()
    assert "log_of_exp                  log eˣ = x; eˣ overflows for x above 88 in float32" in text
    assert "merge                       Equal nodes are computed once." in text
    rows = text[text.index("passes\n") :].splitlines()[1:]
    assert all(len(row.split("  ")) > 2 and row.rstrip()[-1] in ".;:," for row in rows), rows


def test_kernels_say_whose_lines_they_compute() -> None:
    """With the layer, the part of the step and the ops."""
    pytest.importorskip("llvmlite", reason="native code needs llvmlite")
    env = lg.VariableEnvironment(seed=0)
    layer, sgd = lg.nn.Linear(env, 3, 2, name="dense"), lg.optim.SGD(env, 0.1)

    def step(ctx: Any, x: Any) -> Any:
        loss = lg.mean(lg.square(layer(x)))
        return loss, sgd.minimize(loss)

    text = env.compile(step).prepare(np.ones((4, 3), "f4")).explain()
    told = text[text.index("what each computes of the program") : text.index("ways of nodes")].splitlines()[1:]
    assert any("(dense):  loss = lg.mean(lg.square(layer(x)))   by matmul" in line for line in told), told
    assert any(line[6:].startswith("the gradient of ") and "(dense)" in line for line in told), told
    assert any(line[6:].startswith("the update in ") and "sgd.minimize(loss)" in line for line in told), told
