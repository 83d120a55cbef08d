"""What of the arrays in a file is learned: weights wherever an exporter puts them, and not its masks and tables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from onnx_models import convolutional, helper, imported, mlp, model_of, numbers, onnx, ours, saved, theirs

import lazygrad as lg


def in_nodes(proto: Any) -> Any:
    """The model with its arrays in ``Constant`` nodes, as paddle2onnx and spox write it."""
    made = [helper.make_node("Constant", [], [array.name], value=array) for array in proto.graph.initializer]
    nodes = [*made, *proto.graph.node]
    del proto.graph.initializer[:], proto.graph.node[:]
    proto.graph.node.extend(nodes)
    return proto


def trained(model: Any) -> list[str]:
    """The names of what is trained."""
    return [variable.name for variable in model.variables if variable.trainable]


def test_weights_in_constant_nodes_are_variables(tmp_path: Path) -> None:
    """In a file that has none elsewhere; statistics are kept beside them, and numbers and axes stay constants."""
    plain = imported(convolutional(), tmp_path, name="net")
    path = saved(in_nodes(convolutional()), tmp_path)
    model = lg.import_onnx(path, name="net")
    assert sorted(v.path for v in plain.variables) == sorted(v.path for v in model.variables)
    assert sorted(trained(plain)) == sorted(trained(model))
    x = numbers(2, 1, 8, 8)
    np.testing.assert_allclose(ours(model, x=x)[0], theirs(path, x=x)[0], rtol=1e-5, atol=1e-6)


def test_arrays_in_constant_nodes_beside_weights_stay_constants(tmp_path: Path) -> None:
    """PyTorch puts masks and limits there."""
    proto = mlp()
    proto.graph.node.append(helper.make_node("Constant", [], ["mask"], value=onnx.numpy_helper.from_array(numbers(3))))
    proto.graph.node.append(helper.make_node("Add", ["y", "mask"], ["z"]))
    proto.graph.output[0].name = "z"
    assert ["fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias"] == trained(imported(proto, tmp_path))


def test_a_model_without_products_has_nothing_to_learn(tmp_path: Path) -> None:
    """Mean and scale of a picture are no weights because no layer has any."""
    proto = in_nodes(
        model_of([helper.make_node("Sub", ["x", "mean"], ["y"])], {"x": [3]}, {"y": 1}, {"mean": numbers(3)})
    )
    assert [] == imported(proto, tmp_path).variables


def test_weights_in_constant_nodes_of_branches_are_variables(tmp_path: Path) -> None:
    """Under the place where they are, as those of initializers there."""
    branches = {}
    for name, seed in (("then_branch", 1), ("else_branch", 2)):
        nodes = [
            helper.make_node("Constant", [], ["w"], value=onnx.numpy_helper.from_array(numbers(4, 2, seed=seed))),
            helper.make_node("MatMul", ["x", "w"], [name]),
        ]
        value = helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [None, None])
        branches[name] = helper.make_graph(nodes, name, [], [value])
    nodes = [helper.make_node("ReduceSum", ["x"], ["s"], keepdims=0), helper.make_node("Cast", ["s"], ["c"], to=9)]
    nodes.append(helper.make_node("If", ["c"], ["y"], "choice", **branches))
    model = imported(model_of(nodes, {"x": [1, 4]}, {"y": 2}, {}), tmp_path)
    assert ["choice/else_branch/w", "choice/then_branch/w"] == sorted(v.path.partition("/")[2] for v in model.variables)
    x = numbers(1, 4)
    np.testing.assert_allclose(ours(model, x=x)[0], x @ numbers(4, 2, seed=1), rtol=1e-5)


def test_buffers_of_pytorch_are_not_trained(tmp_path: Path) -> None:
    """Its newer exporter says what is a parameter, and of what it has made the other arrays."""
    arrays = {"fc.weight": numbers(3, 3), "table": numbers(3, seed=1), "val_1": numbers(3, seed=2), "val_2": numbers(3)}
    nodes = [helper.make_node("MatMul", ["x", "fc.weight"], ["a"])]
    nodes += [
        helper.make_node("Add", [a, b], [c])
        for a, b, c in (("a", "table", "b"), ("b", "val_1", "c"), ("c", "val_2", "y"))
    ]
    proto = model_of(nodes, {"x": [1, 3]}, {"y": 2}, arrays)
    proto.ir_version = 10
    signature = "p_fc_weight: PARAMETER target='fc.weight'\np_b: PARAMETER target='fc.bias'\nb_t: BUFFER target='table'"
    proto.graph.metadata_props.add(key="pkg.torch.export.ExportedProgram.graph_signature", value=signature)
    for name, made in (("val_1", "['arange', 'val_0']"), ("val_2", "['fc.bias']")):
        value = helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [3])
        value.metadata_props.add(key="pkg.onnxscript.optimizer.folded_from", value=made)
        proto.graph.value_info.append(value)
    model = imported(proto, tmp_path)
    assert {"fc.weight", "val_2"} == set(trained(model))
    assert {"fc.weight", "table", "val_1", "val_2"} == {v.name for v in model.variables}
