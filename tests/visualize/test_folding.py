"""Folding: a step opens with a few boxes that its author would name so, and folded boxes never go in circles."""

from __future__ import annotations

import functools
import json
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from programs import exact_program, smooth_program
from steps import STEPS, Made, recurrent, shared_layer, thirty_layers, three_layers, transformer, without_layers

import lazygrad as lg
from lazygrad.graph.graph import Graph
from lazygrad.plan import Plan
from lazygrad.visualize import page
from lazygrad.visualize.drawing import drawn
from lazygrad.visualize.groups import Groups
from lazygrad.visualize.picture import Picture
from lazygrad.visualize.reading import pictured
from lazygrad.visualize.runs import MOST, shortened


@functools.cache
def graphs(make: Callable[[], Made]) -> list[Graph]:
    """What a step is as it is written, and after all passes."""
    env, step, args = make()
    graph = env.trace(step, *args)
    return [graph, Plan(graph, graph.roots).graph]


def traced(make: Callable[[], Made]) -> Picture:
    """The picture of a step as it is written."""
    return pictured(graphs(make)[0])


def top(picture: Picture, box: int = 0) -> list[str]:
    """What lies in a box, by name."""
    inner = [picture.boxes[k].name for k in picture.children(box)]
    nodes = [picture.nodes[i] for i in picture.content(box)]
    return sorted([*inner, *(node.name or node.op for node in nodes if not node.hidden)])


def path_of(picture: Picture, box: int) -> list[int]:
    """The boxes around something, from the root on."""
    found = [box]
    while picture.boxes[found[0]].parent >= 0:
        found.insert(0, picture.boxes[found[0]].parent)
    return found


def named(picture: Picture, name: str, part: str) -> int:
    """The number of the only box of that name in a part."""
    (found,) = [k for k, box in enumerate(picture.boxes) if (box.name, box.part) == (name, part)]
    return found


@pytest.mark.parametrize("make", STEPS, ids=lambda make: make.__name__)
def test_a_step_opens_with_five_to_fifteen_things(make: Callable[[], Made]) -> None:
    """Whether it has three layers or thirty, or none; as it is written, and as it runs."""
    for graph in graphs(make):
        assert 5 <= len(top(pictured(graph))) <= 15


def test_three_layers_are_what_their_author_would_say() -> None:
    """Arguments, layers and activations by name, the loss, the gradient, the update."""
    expected = ["fc1", "fc2", "fc3", "gradient", "h", "h", "loss", "update", "x", "y"]
    assert expected == top(traced(three_layers))


@pytest.mark.parametrize("make", STEPS, ids=lambda make: make.__name__)
def test_every_node_lies_in_exactly_one_box_and_boxes_are_a_tree(make: Callable[[], Made]) -> None:
    """Nodes of the graph stand at their own numbers; a box stands behind the one that it lies in."""
    for graph in graphs(make):
        picture = pictured(graph)
        assert [node.op.name.removeprefix("_") for node in graph.nodes] == [
            node.op for node in picture.nodes[: len(graph.nodes)]
        ]
        assert -1 == picture.boxes[0].parent
        assert all(0 <= box.parent < k for k, box in enumerate(picture.boxes) if k)
        assert sorted(i for k in range(len(picture.boxes)) for i in picture.content(k)) == list(
            range(len(picture.nodes))
        )
        for k, box in enumerate(picture.boxes):
            if k and box.kind != "loop":
                assert len(top(picture, k)) > 1 or box.kind == "part"


def in_order(picture: Picture) -> bool:
    """Whether, at every box, what lies in it can be put into an order, each folded."""
    homes = [[*path_of(picture, node.box), ("node", i)] for i, node in enumerate(picture.nodes)]
    arrows: dict[Any, dict[Any, set[Any]]] = {}
    for i, node in enumerate(picture.nodes):
        for j in node.inputs:
            depth = next(k for k, (a, b) in enumerate(zip(homes[i], homes[j])) if a != b)
            after = arrows.setdefault(homes[i][depth - 1], {})
            after.setdefault(homes[i][depth], set()).add(homes[j][depth])
    for before in arrows.values():
        left = dict(before)
        while left:
            ready = [x for x, needs in left.items() if not needs & left.keys()]
            if not ready:
                return False
            for x in ready:
                del left[x]
    return True


@pytest.mark.parametrize("make", STEPS, ids=lambda make: make.__name__)
def test_folded_boxes_never_go_in_circles(make: Callable[[], Made]) -> None:
    """As a step is written, and after all passes."""
    assert [True, True] == [in_order(pictured(graph)) for graph in graphs(make)]


@pytest.mark.thinned(3)
@pytest.mark.parametrize("seed", range(24))
def test_random_programs_are_folded(seed: int) -> None:
    """With their gradients, before passes and after them, into few boxes, without a circle; and drawn."""
    program = (exact_program if seed % 2 else smooth_program)(random.Random(seed))
    env = lg.VariableEnvironment(seed=0)
    for k, value in enumerate(program.variables):
        env.name("abc"[k]).set(value)
    written = program.step()

    def step(ctx: Any, *arguments: Any) -> Any:
        results, updates = written(ctx, *arguments)
        sums = [lg.sum(x) for x in results if x.dtype.kind == "f"]
        real = [x for x in arguments if x.dtype.kind == "f"]
        return results, updates, lg.grad(sum(sums), real) if sums and real else []

    graph = env.trace(step, *program.arguments)
    for one in (graph, Plan(graph, graph.roots).graph):
        picture = pictured(one)
        assert in_order(picture)
        assert len(top(picture)) <= MOST
        assert drawn(picture).startswith("digraph")
        assert page.written(picture).lower().startswith("<!doctype html>")


def test_a_layer_that_is_called_twice_is_two_boxes() -> None:
    """With the variables in the first; else folded boxes would go in a circle."""
    picture = traced(shared_layer)
    calls = [k for k, box in enumerate(picture.boxes) if (box.name, box.parent) == ("shared", 0)]
    assert [["add", "bias", "matmul", "weight"], ["add", "matmul"]] == [
        sorted(name.rpartition("/")[2] for name in top(picture, k)) for k in calls
    ]


def test_the_update_lies_by_layer_and_by_variable() -> None:
    """The moments of Adam with the variable that they are for; what is computed once for all, by itself."""
    picture = traced(three_layers)
    update = named(picture, "update", "update")
    assert ["fc1", "fc2", "fc3", "for all variables"] == top(picture, update)
    (fc1,) = [k for k in picture.children(update) if picture.boxes[k].name == "fc1"]
    assert ["bias", "weight"] == top(picture, fc1)
    for k in picture.children(fc1):
        name = f"fc1/{picture.boxes[k].name}"
        assigned = {picture.nodes[i].name for i in picture.content(k) if picture.nodes[i].shape == "assign"}
        assert {name, f"adam/{name}/m", f"adam/{name}/v"} == assigned


def test_layers_within_layers_are_boxes_within_boxes() -> None:
    """As their paths say."""
    picture = traced(transformer)
    block = named(picture, "block_2", "forward")
    assert {"attention", "attention_norm", "expand", "contract", "expand_norm"} <= set(top(picture, block))
    (attention,) = [k for k in picture.children(block) if picture.boxes[k].name == "attention"]
    assert {"query", "key", "value"} <= set(top(picture, attention))
    assert [0, block, attention] == path_of(picture, attention)


def test_thirty_layers_are_put_together() -> None:
    """In the forward part, the gradient and the update, and none of their boxes has more than one can take in."""
    picture = traced(thirty_layers)
    assert ["gradient", "h1 … h30", "loss", "out", "update", "x", "y"] == top(picture)
    assert "h1 … h30" in top(picture, named(picture, "update", "update"))
    assert all(len(picture.children(k)) <= MOST for k in range(len(picture.boxes)))
    layers = [box.name for box in picture.boxes if box.kind == "layer" and box.part == "forward"]
    assert [*(f"h{k}" for k in range(1, 31)), "out"] == layers


def test_variables_without_a_layer_lie_with_the_line_that_reads_them() -> None:
    """They would be most of what is seen first, otherwise."""
    picture = traced(without_layers)
    assert ["gradient", "guess", "h1", "h2", "loss", "update", "x", "y"] == top(picture)
    assert ["add", "b1", "h1", "matmul", "w1"] == top(picture, named(picture, "h1", "forward"))


def test_the_body_of_a_loop_is_a_box_within_that_of_its_node() -> None:
    """It says which node it is of, and what comes out; what is given to it are arguments, in a word."""
    graph = graphs(recurrent)[0]
    picture = pictured(graph)
    loops = [box for box in picture.boxes if box.kind == "loop"]
    nodes = [i for i, node in enumerate(graph.nodes) if node.op.name == "scan"]
    assert nodes == [box.node for box in loops]
    assert [picture.nodes[i].box for i in nodes] == [box.parent for box in loops]
    first = picture.boxes.index(loops[0])
    inside = [i for i, node in enumerate(picture.nodes) if first in path_of(picture, node.box)]
    assert min(inside) >= len(graph.nodes)
    assert set(loops[0].outputs) <= set(inside)
    assert {"carry", "x", "captured"} == {picture.nodes[i].op for i in inside if picture.nodes[i].shape == "argument"}


def test_what_stands_between_layers_of_a_namespace_lies_with_them() -> None:
    """An activation between them, which no layer wrote; so two networks are two boxes."""
    env = lg.VariableEnvironment(seed=0)
    gen, disc = (
        lg.nn.Sequential(lg.nn.Linear(env, 2, 8, name=f"{x}/a"), lg.nn.relu, lg.nn.Linear(env, 8, n, name=f"{x}/b"))
        for x, n in (("gen", 2), ("disc", 1))
    )

    def step(ctx: Any, real: Any) -> Any:
        z = ctx.random.normal((4, 2))
        fake = gen(z)
        right = disc(real)
        wrong = disc(fake)
        loss = lg.mean(lg.nn.softplus(-right)) + lg.mean(lg.nn.softplus(wrong))
        return loss, lg.grad(loss, disc.variables)

    picture = pictured(env.trace(step, np.ones((4, 2), "float32")))
    assert ["disc", "gen", "gradient", "loss", "real", "z"] == top(picture)
    assert ["a", "b", "relu"] == [name.rpartition("/")[2] for name in top(picture, named(picture, "gen", "forward"))]
    assert in_order(picture)


def test_layers_in_the_body_of_a_loop_are_boxes_in_it() -> None:
    """Within the layer that the loop is of, if one is; many are put together."""
    env = lg.VariableEnvironment(seed=0)
    layers = [lg.nn.Linear(env, 3, 3, name=f"cell{k}") for k in range(1, 21)]

    def step(ctx: Any, xs: Any) -> Any:
        def turn(h: Any, x: Any) -> Any:
            for layer in layers:
                h = lg.tanh(layer(h + x))
            return h, h

        return lg.scan(turn, lg.zeros((2, 3)), xs)[0]

    picture = pictured(env.trace(step, np.ones((5, 2, 3), "float32")))
    (loop,) = [k for k, box in enumerate(picture.boxes) if box.kind == "loop"]
    assert len(picture.children(loop)) <= MOST
    layers_in = [box.name for k, box in enumerate(picture.boxes) if loop in path_of(picture, k) and box.kind == "layer"]
    assert [f"cell{k}" for k in range(1, 21)] == layers_in


def test_operands_lie_where_the_user_wrote_them() -> None:
    """A layer says what goes in and what comes out, and every place is a line with its text."""
    picture = traced(three_layers)
    assert "Linear, float32[6, 20] → float32[6, 12]" == picture.boxes[named(picture, "fc1", "forward")].note
    (loss,) = [node for node in picture.nodes if node.name == "loss"]
    place = picture.places[loss.place]
    assert ("step", "loss = lg.mean(lg.nn.cross_entropy(logits, y))") == (place.inside, place.text)
    assert "steps.py:" in place.where
    assert (True, "divide", "float32[]", "·, 6") == (loss.root, loss.op, loss.spec, loss.text)


def test_numbers_are_hidden_and_settings_of_optimizers_are_quiet() -> None:
    """Both stand in the text of what uses them; the numbers lie in its box."""
    picture = traced(three_layers)
    hidden = [i for i, node in enumerate(picture.nodes) if node.hidden]
    assert hidden
    assert {"constant"} == {picture.nodes[i].shape for i in hidden}
    for i in hidden:
        assert picture.nodes[i].box in {node.box for node in picture.nodes if i in node.inputs}
    assert {"adam/beta1", "adam/beta2", "adam/learning_rate", "adam/eps"} >= {
        node.name for node in picture.nodes if node.quiet
    }


@pytest.mark.parametrize("make", STEPS, ids=lambda make: make.__name__)
def test_a_picture_is_json(make: Callable[[], Made]) -> None:
    """With the names that the page reads."""
    found = json.loads(json.dumps(traced(make).to_dict()))
    assert ["title", "facts", "boxes", "nodes", "places", "kernels", "laws", "opened"] == list(found)
    assert {"where", "in", "text"} == set(found["places"][0])
    assert {"name", "parent", "part", "kind", "note", "node", "outputs"} == set(found["boxes"][0])


def test_a_gradient_within_the_loss_is_a_part_of_its_own() -> None:
    """A penalty of a gradient lies between two of them, as nothing may be in a circle."""
    env = lg.VariableEnvironment(seed=0)
    env.name("w").set(np.ones((3, 3), "float32"))
    sgd = lg.optim.SGD(env, 0.1)

    def step(ctx: Any, x: Any) -> Any:
        loss = lg.sum(lg.tanh(x @ ctx.variable("w")))
        slope = lg.grad(loss, x)
        penalised = loss + lg.exp(lg.sum(lg.square(slope)))
        return penalised, sgd.minimize(penalised)

    picture = pictured(env.trace(step, np.ones((2, 3), "float32")))
    assert ["gradient", "gradient", "loss", "penalised", "update", "x"] == top(picture)


def test_a_line_without_text_or_name_is_called_by_its_ops() -> None:
    """As in programs that are typed in, and in functions without a name."""
    namespace: dict[str, Any] = {"lg": lg}
    exec("def step(ctx, x):\n    return lg.log(lg.exp(x) + lg.sin(x))", namespace)
    env = lg.VariableEnvironment(seed=0)
    assert ["exp, sin, add, log", "x"] == top(pictured(env.trace(namespace["step"], np.ones(2))))
    assert ["exp, sin, add", "x"] == top(pictured(env.trace(lambda ctx, x: lg.exp(x) + lg.sin(x), np.ones(2))))


def test_a_name_is_that_of_the_last_node_of_a_call_of_many_layers() -> None:
    """And not of the last of each layer."""
    env = lg.VariableEnvironment(seed=0)
    net = lg.nn.Sequential(lg.nn.Linear(env, 2, 3), lg.nn.relu, lg.nn.Linear(env, 3, 1))

    def step(ctx: Any, x: Any) -> Any:
        logits = net(x)
        return lg.exp(logits)

    found = pictured(env.trace(step, np.ones((4, 2), "float32")))
    assert [("add", "float32[4, 1]")] == [(node.op, node.spec) for node in found.nodes if node.name == "logits"]


def test_an_empty_graph_is_an_empty_root() -> None:
    """Nothing is in it, and nothing fails."""
    picture = pictured(Graph())
    assert (1, ()) == (len(picture.boxes), picture.nodes)


@given(st.data())
def test_groups_of_any_graph_can_be_put_in_order(data: Any) -> None:
    """Every node is in one group of its key; each group stands behind those that it depends on."""
    count = data.draw(st.integers(1, 30))
    inputs = [data.draw(st.lists(st.integers(0, i - 1), max_size=3)) if i else [] for i in range(count)]
    keys = [data.draw(st.integers(0, 4)) for _ in range(count)]
    takes = data.draw(st.booleans())
    groups = Groups(range(count), inputs, keys.__getitem__, lambda key: takes and key == 0, lambda key: key > 1)
    order = groups.ordered()
    assert [k for k, nodes in enumerate(groups.nodes) if nodes] == sorted(order)
    at = {k: place for place, k in enumerate(order)}
    for i in range(count):
        assert i in groups.nodes[groups.of[i]]
        assert keys[i] == groups.keys[groups.of[i]] or (takes and groups.keys[groups.of[i]] == 0)
        assert all(at[groups.of[j]] <= at[groups.of[i]] for j in inputs[i])


@given(st.lists(st.sampled_from(["h1", "relu", "loss", "x", "FIXED"]), max_size=80))
def test_rows_become_short_and_lose_nothing(row: list[str]) -> None:
    """What is fixed stays; all else is there in the same order, in runs that are short themselves."""

    def flat(items: Any) -> list[str]:
        return [name for item in items for name in (flat(item) if isinstance(item, tuple) else [item])]

    def weigh(item: Any) -> int:
        return len(flat([item]))

    def put(items: Any) -> Any:
        return tuple(shortened(items, str, weigh, lambda x: x == "FIXED", put))

    found = shortened(row, str, weigh, lambda x: x == "FIXED", put)
    assert row == flat(found)
    assert row.count("FIXED") == found.count("FIXED")
    if row.count("FIXED") < 7:
        assert len(found) <= MOST


@pytest.mark.parametrize(("count", "own"), [(2, True), (9, False)])
def test_arguments_stand_by_themselves_where_much_is_put_together(count: int, own: bool) -> None:
    """Few of them each; more than that as one box; and never in the box of what is called beside them."""
    env = lg.VariableEnvironment(seed=0)
    layers = [lg.nn.Linear(env, 3, 3, name=f"{'abcd'[k % 4]}{'xyz'[k % 3]}{k * k}") for k in range(40)]

    def step(ctx: Any, *given: Any) -> Any:
        total = sum(given)
        for layer in layers:
            total = lg.tanh(layer(total))
        return lg.sum(total)

    picture = pictured(env.trace(step, *[np.ones((2, 3), "float32")] * count))
    assert len(top(picture)) <= MOST
    found = [i for i, node in enumerate(picture.nodes) if node.shape == "argument"]
    boxes = {picture.nodes[i].box for i in found}
    if own:
        assert boxes == {0}
    else:
        (box,) = boxes
        assert picture.content(box) == found
        assert " … " in picture.boxes[box].name


def test_a_line_of_very_many_nodes_opens_with_few_parts() -> None:
    """A loop of Python's writes the same nodes again and again: portions of its turns, each a box, in order."""
    env = lg.VariableEnvironment(seed=0)

    def step(ctx: Any, x: Any) -> Any:
        for _ in range(700):
            x = lg.sin(x) + 1
        return x

    picture = pictured(env.trace(step, np.ones(3)))
    shown = [
        len(picture.children(b)) + sum(not picture.nodes[i].hidden for i in picture.content(b))
        for b in range(len(picture.boxes))
    ]
    assert max(shown) <= MOST
    (line,) = picture.children(0)
    assert picture.boxes[line].name == "x"
    assert len(picture.children(line)) > 5
    order = [node.box for node in picture.nodes if node.shape == "op"]
    assert order == sorted(order)


def test_in_the_body_of_a_loop_things_have_the_names_of_the_program() -> None:
    """What is captured has its name outside, in bodies within bodies too; what is computed that of its line."""
    env = lg.VariableEnvironment(seed=0)
    for name, size in (("a", 2), ("b", 3)):
        env.name(name).set(np.ones(size, "float32"))

    def step(ctx: Any, rows: Any) -> Any:
        a, b = ctx.variable("a"), ctx.variable("b")

        def turn(carry: Any, row: Any) -> Any:
            scaled = lg.cond(lg.sum(row) > 0, lambda: lg.tanh(row * lg.sum(b)), lambda: row)
            total = carry + lg.sum(scaled * a)
            return total, total

        last, every = lg.scan(turn, np.float32(0), rows)
        return last, every

    picture = pictured(env.trace(step, np.ones((4, 2), "float32")))
    inner = [node for node in picture.nodes if picture.boxes[node.box].kind == "loop"]
    names = {(node.op, node.name) for node in inner}
    assert {("carry", ""), ("x", "rows"), ("captured", "a"), ("captured", "b"), ("add", "total")} <= names
    assert {node.spec for node in inner if node.name == "b"} == {"float32[3]"}
    assert {node.spec for node in inner if node.name == "a"} == {"float32[2]"}
