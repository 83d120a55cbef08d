"""Small models, written node by node, and what onnxruntime makes of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lazygrad as lg

onnx = pytest.importorskip("onnx", reason="the package onnx is not installed")
helper = onnx.helper


def model_of(
    nodes: list[Any], inputs: dict[str, Any], outputs: dict[str, int], weights: dict[str, Any], opset: int = 17
) -> Any:
    """A model with inputs of float32 in the shapes that are given, and outputs of so many axes."""
    given = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape) for name, shape in inputs.items()]
    found = [helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, [None] * axes) for n, axes in outputs.items()]
    arrays = [onnx.numpy_helper.from_array(np.asarray(array), name) for name, array in weights.items()]
    graph = helper.make_graph(nodes, "graph", given, found, arrays)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8, producer_name="test")


def saved(proto: Any, folder: Path, name: str = "model.onnx") -> Path:
    """The model in a file."""
    onnx.save(proto, folder / name)
    return folder / name


def theirs(path: Path, **arrays: Any) -> list[Any]:
    """What onnxruntime makes of it."""
    runtime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return list(session.run(None, arrays))


def ours(model: Any, **arrays: Any) -> list[Any]:
    """What the layer makes of it."""
    found = model.env.run(lambda ctx, x: model(**x), arrays)
    return list(found) if isinstance(found, tuple) else [found]


def numbers(*shape: int, seed: int = 0) -> Any:
    """Numbers around 0, in float32."""
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def mlp() -> Any:
    """Two products with biases and a relu between them, in scopes; the number of rows is open."""
    weights = {"fc1.weight": numbers(8, 4), "fc1.bias": numbers(8, seed=1), "fc2.weight": numbers(3, 8, seed=2)}
    weights |= {"fc2.bias": numbers(3, seed=3)}
    nodes = [
        helper.make_node("Gemm", ["x", "fc1.weight", "fc1.bias"], ["a"], "/fc1/Gemm", transB=1),
        helper.make_node("Relu", ["a"], ["b"], "/act/Relu"),
        helper.make_node("Gemm", ["b", "fc2.weight", "fc2.bias"], ["y"], "/head/fc2/Gemm", transB=1),
    ]
    return model_of(nodes, {"x": ["rows", 4]}, {"y": 2}, weights)


def convolutional() -> Any:
    """Convolution, normalisation, pooling, and a shape that is worked out of the input's, as exporters write it."""
    weights: dict[str, Any] = {
        "conv.weight": numbers(4, 1, 3, 3),
        "norm.scale": numbers(4, seed=1),
        "norm.shift": numbers(4, seed=2),
        "norm.mean": numbers(4, seed=3),
        "norm.variance": np.abs(numbers(4, seed=4)) + 1,
        "fc.weight": numbers(64, 5, seed=5),
        "zero": np.array(0, np.int64),
        "rest": np.array([-1], np.int64),
        "first": np.array([0], np.int64),
    }
    norm = ["c", "norm.scale", "norm.shift", "norm.mean", "norm.variance"]
    nodes = [
        helper.make_node("Conv", ["x", "conv.weight"], ["c"], "/conv/Conv", auto_pad="SAME_UPPER"),
        helper.make_node("BatchNormalization", norm, ["n"], "/norm/BatchNormalization"),
        helper.make_node("Relu", ["n"], ["r"], "/Relu"),
        helper.make_node("MaxPool", ["r"], ["p"], "/pool/MaxPool", kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Shape", ["p"], ["s"], "/Shape"),
        helper.make_node("Gather", ["s", "zero"], ["rows"], "/Gather"),
        helper.make_node("Unsqueeze", ["rows", "first"], ["count"], "/Unsqueeze"),
        helper.make_node("Concat", ["count", "rest"], ["shape"], "/Concat", axis=0),
        helper.make_node("Reshape", ["p", "shape"], ["f"], "/Reshape"),
        helper.make_node("MatMul", ["f", "fc.weight"], ["l"], "/fc/MatMul"),
        helper.make_node("Softmax", ["l"], ["y"], "/Softmax"),
    ]
    return model_of(nodes, {"x": ["rows", 1, 8, 8]}, {"y": 2}, weights)


def imported(proto: Any, folder: Path, **settings: Any) -> Any:
    """The layer that a model becomes."""
    return lg.import_onnx(saved(proto, folder), **settings)
