"""Loops, branches and functions in models; and what is drawn, is large, or is of an old version."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx_models import helper, imported, model_of, numbers, onnx, ours, saved, theirs

import lazygrad as lg

BOOL, FLOAT, INT = onnx.TensorProto.BOOL, onnx.TensorProto.FLOAT, onnx.TensorProto.INT64
CLOSE = {"rtol": 1e-5, "atol": 1e-6}


def value(name: str, kind: int = FLOAT, shape: Any = (2,)) -> Any:
    """An input or an output of a body."""
    return helper.make_tensor_value_info(name, kind, shape)


def looped(count: int | None, weight: bool = True, stacked: bool = True, until: float | None = None) -> Any:
    """A loop that doubles and adds a weight, as often as ``count`` says, or as long as the first number is small."""
    nodes = [
        helper.make_node("Add", ["v", "v"], ["twice"]),
        helper.make_node("Add", ["twice", "w"], ["next"], "/inner/Add"),
    ]
    if until is None:
        nodes.append(helper.make_node("Identity", ["goes_in"], ["goes"]))
    else:
        most = onnx.numpy_helper.from_array(np.array(until, np.float32))
        nodes.append(helper.make_node("Constant", [], ["most"], value=most))
        nodes.append(helper.make_node("ReduceSum", ["next"], ["size"], keepdims=0))
        nodes.append(helper.make_node("Less", ["size", "most"], ["goes"]))
    outputs = [value("goes", BOOL, ()), value("next")]
    if stacked:
        nodes.append(helper.make_node("Identity", ["next"], ["row"]))
        outputs.append(value("row"))
    arrays = [onnx.numpy_helper.from_array(numbers(2, seed=5), "w")] if weight else []
    inputs = [value("i", INT, ()), value("goes_in", BOOL, ()), value("v")]
    body = helper.make_graph(nodes, "body", inputs, outputs, arrays)
    weights: dict[str, Any] = {} if weight else {"w": numbers(2, seed=5)}
    if count is not None:
        weights["count"] = np.array(count, np.int64)
    given = ["count" if count is not None else "", "", "x"]
    loop = helper.make_node("Loop", given, ["y", "rows"] if stacked else ["y"], "loop", body=body)
    return model_of([loop], {"x": [2]}, {"y": 1, "rows": 2} if stacked else {"y": 1}, weights)


@pytest.mark.parametrize("count", [1, 3, 20])
def test_a_loop_gives_what_onnxruntime_gives(count: int, tmp_path: Path) -> None:
    """Few turns are written one after another, many as a scan; a gradient goes through both."""
    path, x = saved(looped(count), tmp_path), numbers(2)
    model = lg.import_onnx(path, name="m")
    for a, b in zip(theirs(path, x=x), ours(model, x=x), strict=True):
        np.testing.assert_allclose(b, a, **CLOSE)
    slope = model.env.run(lambda ctx, x: lg.grad(lg.sum(model(x)[0]), [x])[0], x)
    np.testing.assert_allclose(slope, np.full(2, 2.0**count), rtol=1e-6)


def test_a_loop_with_a_condition_is_run_until_it_fails(tmp_path: Path) -> None:
    """How many turns there are, only the numbers say."""
    path = saved(looped(None, stacked=False, until=100.0), tmp_path)
    model = lg.import_onnx(path)
    for x in (np.array([1, 2], np.float32), np.array([30, 1], np.float32)):
        np.testing.assert_allclose(ours(model, x=x)[0], theirs(path, x=x)[0], **CLOSE)


def test_what_a_loop_of_unknown_length_stacks_is_refused(tmp_path: Path) -> None:
    """Its shape would only be known when it is run."""
    model = imported(looped(None, until=100.0), tmp_path)
    with pytest.raises(lg.ExportError, match="Loop 'loop': it stacks what its turns give"):
        ours(model, x=numbers(2))


def test_weights_in_bodies_are_variables(tmp_path: Path) -> None:
    """By the place where they are; they are trained as others are."""
    model = imported(looped(3), tmp_path, name="m")
    assert ["m/loop/body/w"] == [v.path for v in model.variables]
    found = model.env.run(lambda ctx, x: lg.grad(lg.sum(model(x)[0]), model.variables)[0], numbers(2))
    np.testing.assert_allclose(found, np.full(2, 7.0), rtol=1e-6)  # 1 + 2 + 4


def branched() -> Any:
    """x + w where the condition holds, else x·w, with weights of one name in both branches."""
    branches = {}
    for op, seed in (("Add", 1), ("Mul", 2)):
        arrays = [onnx.numpy_helper.from_array(numbers(2, seed=seed), "w")]
        node = helper.make_node(op, ["x", "w"], ["z"])
        branches[op] = helper.make_graph([node], op, [], [value("z")], arrays)
    choice = helper.make_node("If", ["c"], ["y"], "choice", then_branch=branches["Add"], else_branch=branches["Mul"])
    proto = model_of([choice], {"x": [2]}, {"y": 1}, {})
    proto.graph.input.append(value("c", BOOL, ()))
    return proto


def test_a_branch_is_chosen_when_it_is_run_or_while_it_is_written(tmp_path: Path) -> None:
    """By a tensor, or by an array beside the step: then the other one leaves nothing in the graph."""
    model, x = imported(branched(), tmp_path, name="m"), numbers(2)
    assert {"m/choice/then_branch/w", "m/choice/else_branch/w"} == {v.path for v in model.variables}
    for chosen, expected in ((True, x + numbers(2, seed=1)), (False, x * numbers(2, seed=2))):
        np.testing.assert_allclose(ours(model, x=x, c=np.array(chosen))[0], expected, rtol=1e-6)
        known = model.env.run(lambda ctx, x, chosen=chosen: model(x, np.array(chosen)), x)
        np.testing.assert_allclose(known, expected, rtol=1e-6)
    graph = model.env.trace(lambda ctx, x: model(x, np.array(True)), x)
    assert "multiply" not in str(graph)


def test_a_branch_that_does_not_fit_is_said_with_what_to_do(tmp_path: Path) -> None:
    """A model of two sampling rates has a branch for each; where what decides is known, one is written."""
    branches = {}
    for key, rows in (("then_branch", 4), ("else_branch", 5)):
        weight = onnx.numpy_helper.from_array(numbers(rows, 2), "w")
        node = helper.make_node("MatMul", ["x", "w"], ["out"])
        branches[key] = helper.make_graph([node], key, [], [value("out", FLOAT, [None, None])], [weight])
    node = helper.make_node("If", ["short"], ["y"], "rate", **branches)
    proto = model_of([node], {"x": [None, None]}, {"y": 2}, {})
    proto.graph.input.append(value("short", BOOL, ()))
    model, x = imported(proto, tmp_path), numbers(1, 4)
    with pytest.raises(lg.SpecError, match=r"Both branches of If 'rate' are written") as caught:
        model.env.run(lambda ctx, x, short: model(x, short), x, np.array(True))
    assert "given as an array beside the step" in str(caught.value)
    found = model.env.run(lambda ctx, x: model(x, np.array(True)), x)
    np.testing.assert_allclose(found, x @ numbers(4, 2), rtol=1e-5)


def test_weights_of_one_name_in_bodies_within_bodies_stay_apart(tmp_path: Path) -> None:
    """Where nodes have no names, as some exporters write them."""
    outer = {}
    for k in range(2):
        arrays = [[onnx.numpy_helper.from_array(numbers(2, seed=2 * k + j), "w")] for j in range(2)]
        inner = [
            helper.make_graph([helper.make_node("Add", ["x", "w"], ["z"])], f"inner{j}", [], [value("z")], arrays[j])
            for j in range(2)
        ]
        node = helper.make_node("If", ["d"], ["y"], then_branch=inner[0], else_branch=inner[1])
        outer[k] = helper.make_graph([node], f"outer{k}", [], [value("y")])
    choice = helper.make_node("If", ["c"], ["y"], then_branch=outer[0], else_branch=outer[1])
    proto = model_of([choice], {"x": [2]}, {"y": 1}, {})
    proto.graph.input.extend([value("c", BOOL, ()), value("d", BOOL, ())])
    path, x = saved(proto, tmp_path), numbers(2, seed=9)
    model = lg.import_onnx(path)
    assert len(model.variables) == 4
    for c in (True, False):
        for d in (True, False):
            arrays = {"x": x, "c": np.array(c), "d": np.array(d)}
            np.testing.assert_allclose(ours(model, **arrays)[0], theirs(path, **arrays)[0], rtol=1e-6)


def test_a_scan_is_one_of_ours(tmp_path: Path) -> None:
    """Backwards along an axis, with what it gives stacked."""
    nodes = [helper.make_node("Add", ["s", "r"], ["t"]), helper.make_node("Mul", ["t", "r"], ["o"])]
    body = helper.make_graph(nodes, "body", [value("s"), value("r")], [value("t"), value("o")])
    settings = {"num_scan_inputs": 1, "scan_input_axes": [1], "scan_input_directions": [1]}
    scan = helper.make_node("Scan", ["x", "rows"], ["y", "ys"], body=body, **settings)
    path = saved(model_of([scan], {"x": [2], "rows": [2, 7]}, {"y": 1, "ys": 2}, {}), tmp_path)
    arrays = {"x": numbers(2), "rows": numbers(2, 7, seed=1)}
    for a, b in zip(theirs(path, **arrays), ours(lg.import_onnx(path), **arrays), strict=True):
        np.testing.assert_allclose(b, a, **CLOSE)


@pytest.mark.parametrize("kind", ["RNN", "GRU", "LSTM"])
def test_the_gradient_of_a_recurrent_layer_agrees_with_differences(kind: str, tmp_path: Path) -> None:
    """Of its weights, with lengths that differ, in both directions."""
    gates = {"RNN": 1, "GRU": 3, "LSTM": 4}[kind]
    weights: dict[str, Any] = {"w": numbers(2, gates * 3, 2), "r": numbers(2, gates * 3, 3, seed=1)}
    weights |= {"b": numbers(2, 2 * gates * 3, seed=2), "lengths": np.array([5, 3], np.int32)}
    node = helper.make_node(kind, ["x", *weights], ["y"], direction="bidirectional", hidden_size=3)
    model = imported(model_of([node], {"x": [5, 2, 2]}, {"y": 4}, weights), tmp_path, name="m")
    env, x, way = model.env, numbers(5, 2, 2, seed=3), numbers(2, gates * 3, 3, seed=4)

    def loss(ctx: Any, x: Any) -> Any:
        return lg.sum(lg.square(model(x)))

    found = env.run(lambda ctx, x: lg.sum(lg.grad(loss(ctx, x), [ctx.variable("m/r")])[0] * way), x)
    before, h, values = env["m/r"], 1e-2, []
    for sign in (1, -1):
        env["m/r"] = before + sign * h * way
        values.append(float(env.run(loss, x)))
    # Float32 sums of about 10, divided by 0.02, and h² of the third derivative.
    np.testing.assert_allclose(found, (values[0] - values[1]) / (2 * h), rtol=2e-2, atol=2e-3)


def test_shapes_are_worked_out_by_the_rules_of_the_version_of_the_file(tmp_path: Path) -> None:
    """In version 11 axes are settings, and not operands; in version 9 so are the ends of slices."""
    nodes = [
        helper.make_node("Shape", ["x"], ["shape"]),
        helper.make_node("Slice", ["shape"], ["first"], starts=[0], ends=[1], axes=[0]),
        helper.make_node("Squeeze", ["first"], ["n"], axes=[0]),
        helper.make_node("Unsqueeze", ["n"], ["again"], axes=[0]),
        helper.make_node("Concat", ["again", "rest"], ["wanted"], axis=0),
        helper.make_node("Reshape", ["x", "wanted"], ["y"]),
    ]
    path = saved(model_of(nodes, {"x": ["n", 2, 3]}, {"y": 2}, {"rest": np.array([-1])}, opset=9), tmp_path)
    x = numbers(4, 2, 3)
    np.testing.assert_array_equal(theirs(path, x=x)[0], ours(lg.import_onnx(path), x=x)[0])


def test_arrays_that_are_too_large_to_be_known_are_nodes(tmp_path: Path) -> None:
    """Beyond 65,536 elements, with the same numbers."""
    weights: dict[str, Any] = {"big": np.array([300, 400], np.int64), "start": np.array(0, np.int64)}
    weights |= {"stop": np.array(120_000, np.int64), "step": np.array(1, np.int64), "twice": np.array([1, 2], np.int64)}
    weights |= {"half": np.array([300, 200], np.int64)}
    seven = onnx.numpy_helper.from_array(np.array([7], np.float32))
    nodes = [
        helper.make_node("ConstantOfShape", ["big"], ["a"], value=seven),
        helper.make_node("Range", ["start", "stop", "step"], ["whole"]),
        helper.make_node("Cast", ["whole"], ["floats"], to=FLOAT),
        helper.make_node("Reshape", ["floats", "big"], ["b"]),
        helper.make_node("ConstantOfShape", ["half"], ["c"], value=seven),
        helper.make_node("Tile", ["c", "twice"], ["d"]),
        helper.make_node("Sum", ["a", "b", "d", "x"], ["y"]),
    ]
    path = saved(model_of(nodes, {"x": [1]}, {"y": 2}, weights), tmp_path)
    np.testing.assert_array_equal(theirs(path, x=numbers(1))[0], ours(lg.import_onnx(path), x=numbers(1))[0])


def test_drawn_numbers_follow_the_seed_of_the_environment(tmp_path: Path) -> None:
    """Others at every run, the same for the same seed; with the moments that the model asks for."""
    nodes = [
        helper.make_node("RandomNormal", [], ["a"], mean=3.0, scale=0.5, shape=[20_000]),
        helper.make_node("RandomUniformLike", ["a"], ["b"], low=1.0, high=2.0),
        helper.make_node("Add", ["a", "x"], ["c"]),
    ]
    path = saved(model_of(nodes, {"x": [1]}, {"c": 1, "b": 1}, {}), tmp_path)
    models = [lg.import_onnx(path, lg.VariableEnvironment(seed=1)) for _ in range(2)]
    zero = np.zeros(1, np.float32)
    first, second = ours(models[0], x=zero), ours(models[0], x=zero)
    assert not np.array_equal(first[0], second[0])
    np.testing.assert_array_equal(first[0], ours(models[1], x=zero)[0])
    # Five standard errors of 20,000 numbers.
    assert abs(first[0].mean() - 3) < 0.02
    assert abs(first[0].std() - 0.5) < 0.02
    assert 1 <= first[1].min() <= first[1].max() < 2


def test_classes_are_drawn_by_their_probabilities(tmp_path: Path) -> None:
    """Which are the softmax of rows of logits."""
    logits = np.log(np.array([[0.7, 0.2, 0.1], [0.1, 0.1, 0.8]], np.float32))
    node = helper.make_node("Multinomial", ["x"], ["y"], sample_size=20_000, dtype=INT)
    proto = model_of([node], {"x": [2, 3]}, {"y": 2}, {})
    proto.graph.output[0].type.tensor_type.elem_type = INT
    found = ours(lg.import_onnx(saved(proto, tmp_path), lg.VariableEnvironment(seed=0)), x=logits)[0]
    shares = np.stack([(found == k).mean(axis=1) for k in range(3)], axis=1)
    np.testing.assert_allclose(shares, np.exp(logits), atol=0.015)  # four standard errors


def test_a_channel_is_pooled_by_its_length(tmp_path: Path) -> None:
    """GlobalLpPool, of which ONNX has no case."""
    node = helper.make_node("GlobalLpPool", ["x"], ["y"], p=3)
    path, x = saved(model_of([node], {"x": [2, 3, 4, 5]}, {"y": 4}, {}), tmp_path), numbers(2, 3, 4, 5)
    np.testing.assert_allclose(ours(lg.import_onnx(path), x=x)[0], theirs(path, x=x)[0], **CLOSE)


def test_bytes_that_stand_for_floats_are_constants(tmp_path: Path) -> None:
    """And so are their scales: what is quantised is used and not trained, what is not is."""
    weights: dict[str, Any] = {"q": np.arange(-6, 6, dtype=np.int8).reshape(3, 4), "zero": np.zeros(4, np.int8)}
    weights |= {"scale": np.array([0.5, 0.25, 1, 2], np.float32), "bias": numbers(4)}
    nodes = [
        helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["w"], axis=1),
        helper.make_node("Gemm", ["x", "w", "bias"], ["y"]),
    ]
    path = saved(model_of(nodes, {"x": ["n", 3]}, {"y": 2}, weights), tmp_path)
    model, x = lg.import_onnx(path, name="m"), numbers(2, 3, seed=1)
    # By the formula: onnxruntime rounds x to bytes for this product too.
    expected = x @ (weights["q"] * weights["scale"]) + weights["bias"]
    np.testing.assert_allclose(ours(model, x=x)[0], expected, **CLOSE)
    assert ["m/bias"] == [v.path for v in model.variables]


def test_parts_of_newer_exporters_are_layers_too(tmp_path: Path) -> None:
    """PyTorch writes beside a node which modules it is of."""
    node = helper.make_node("Relu", ["x"], ["y"], "node_relu")
    said = "['', 'encoder', 'encoder.layers.0', 'relu']"
    node.metadata_props.add(key="pkg.torch.onnx.name_scopes", value=said)
    model = imported(model_of([node], {"x": [2]}, {"y": 1}, {}), tmp_path, name="m")
    layers = {origin.layer for origin in model.env.trace(lambda ctx, x: model(x), numbers(2)).origins}
    assert "m/encoder/layers.0" in layers


def test_settings_that_fit_nothing_are_an_error_of_ours(tmp_path: Path) -> None:
    """Which the checker of ONNX does not see: it names the node."""
    nodes = [helper.make_node("DepthToSpace", ["x"], ["y"], "there", blocksize=0)]
    model = imported(model_of(nodes, {"x": [1, 4, 2, 2]}, {"y": 4}, {}), tmp_path)
    with pytest.raises(lg.SpecError, match="DepthToSpace 'there'"):
        ours(model, x=numbers(1, 4, 2, 2))
