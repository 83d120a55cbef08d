"""Numbers of fewer bits than NumPy has: weights are stored in them, and computed with in what holds them all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx_models import helper, model_of, numbers, onnx, ours, saved, theirs

import lazygrad as lg

KINDS = (
    "INT4",
    "UINT4",
    "INT2",
    "UINT2",
    "FLOAT8E4M3FN",
    "FLOAT8E4M3FNUZ",
    "FLOAT8E5M2",
    "FLOAT8E5M2FNUZ",
    "FLOAT4E2M1",
)


def stored(kind: str, op: str, packed: bool) -> Any:
    """A product with a weight of 3 · 5 numbers of that type, of which an op makes floats; and the numbers."""
    rng = np.random.default_rng(0)
    values = rng.choice([0, 1] if kind.endswith("INT2") else [0, 1, 2, 3, 4, 6], 15)
    weight = helper.make_tensor("w", getattr(onnx.TensorProto, kind), [3, 5], values)
    if packed:
        dtype = helper.tensor_dtype_to_np_dtype(weight.data_type)
        weight = onnx.numpy_helper.from_array(values.reshape(3, 5).astype(np.float32).astype(dtype), "w")
    nodes = [
        helper.make_node("DequantizeLinear", ["w", "scale"], ["f"])
        if op == "DequantizeLinear"
        else helper.make_node("Cast", ["w"], ["f"], to=1),
        helper.make_node("MatMul", ["x", "f"], ["y"]),
    ]
    proto = model_of(nodes, {"x": [2, 3]}, {"y": 2}, {"scale": np.array(0.25, np.float32)}, opset=25)
    proto.graph.initializer.append(weight)
    proto.ir_version = 13
    return proto, values.reshape(3, 5)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("op", ["DequantizeLinear", "Cast"])
def test_weights_of_few_bits_are_read(kind: str, op: str, tmp_path: Path) -> None:
    """All numbers of them are in the type that holds them, in either layout of a file."""
    for packed in (False, True):
        proto, values = stored(kind, op, packed)
        model = lg.import_onnx(saved(proto, tmp_path))
        x = numbers(2, 3)
        scale = 0.25 if op == "DequantizeLinear" else 1
        np.testing.assert_allclose(ours(model, x=x)[0], x @ (values * scale).astype(np.float32), rtol=1e-5, atol=1e-6)


def test_weights_of_four_bits_are_those_of_onnxruntime(tmp_path: Path) -> None:
    """With a scale and a zero for each block of a column, as quantisers of language models write them."""
    rng = np.random.default_rng(0)
    quantised = [
        helper.make_tensor(name, onnx.TensorProto.UINT4, shape, rng.integers(0, 16, shape).ravel())
        for name, shape in (("w", (8, 3)), ("zero", (2, 3)))
    ]
    nodes = [
        helper.make_node("DequantizeLinear", ["w", "scale", "zero"], ["f"], axis=0, block_size=4),
        helper.make_node("MatMul", ["x", "f"], ["y"]),
    ]
    proto = model_of(nodes, {"x": [2, 8]}, {"y": 2}, {"scale": np.abs(numbers(2, 3))}, opset=21)
    proto.graph.initializer.extend(quantised)
    proto.ir_version = 10
    path, x = saved(proto, tmp_path), numbers(2, 8, seed=3)
    np.testing.assert_allclose(ours(lg.import_onnx(path), x=x)[0], theirs(path, x=x)[0], rtol=1e-5, atol=1e-5)


def test_what_would_need_the_few_bits_is_refused(tmp_path: Path) -> None:
    """A gather of them, or a zero to quantise by, which says the type of the result; each is named."""
    env = lg.VariableEnvironment()
    for node in (
        helper.make_node("Gather", ["w", "i"], ["y"], "g"),
        helper.make_node("QuantizeLinear", ["x", "s", "w"], ["y"], "q"),
    ):
        proto = model_of([node], {"x": [2]}, {"y": 1}, {"i": np.array([0]), "s": np.array(1, np.float32)}, opset=21)
        proto.graph.initializer.append(helper.make_tensor("w", onnx.TensorProto.INT4, [], [1]))
        proto.ir_version = 10
        with pytest.raises(lg.ExportError, match=f"w:  INT4, which {node.op_type} '{node.name}' takes"):
            lg.import_onnx(saved(proto, tmp_path), env)
    assert [] == list(env)


def test_bfloat16_is_computed_in_float32(tmp_path: Path) -> None:
    """Weights are read as what holds them, inputs are cast, and what the model gives is of float32."""
    weight = onnx.helper.make_tensor("w", onnx.TensorProto.BFLOAT16, [4, 2], numbers(4, 2).ravel())
    nodes = [
        helper.make_node("Cast", ["x"], ["b"], to=onnx.TensorProto.BFLOAT16),
        helper.make_node("MatMul", ["b", "w"], ["c"]),
    ]
    nodes.append(helper.make_node("Cast", ["c"], ["y"], to=1))
    proto = model_of(nodes, {"x": [3, 4]}, {"y": 2}, {}, opset=17)
    proto.graph.initializer.append(weight)
    model, x = lg.import_onnx(saved(proto, tmp_path), name="net"), numbers(3, 4, seed=1)
    assert np.float32 == model.env["net/w"].dtype
    np.testing.assert_allclose(model.env["net/w"], numbers(4, 2), rtol=2**-8)
    np.testing.assert_allclose(ours(model, x=x)[0], x @ model.env["net/w"], rtol=1e-5, atol=1e-6)
