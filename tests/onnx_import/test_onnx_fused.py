"""Ops of onnxruntime's own, which its optimizer and its quantisers write, give what it gives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx_models import helper, mlp, model_of, numbers, onnx, ours, saved, theirs

import lazygrad as lg
from lazygrad.onnx.ops import table

MICROSOFT = "com.microsoft"
CLOSE = {"rtol": 2e-5, "atol": 2e-6}
FLOAT = onnx.TensorProto.FLOAT


def model(
    op: str, operands: dict[str, Any], axes: int = 2, domain: str = MICROSOFT, inputs: Any = (), **settings: Any
) -> Any:
    """A model of one such node; ``inputs`` name the operands that are none of the file's."""
    node = helper.make_node(
        op, [n if operands[n] is not None else "" for n in operands], ["y"], "node", domain, **settings
    )
    given = {name: list(operands[name].shape) for name in inputs}
    kept = {n: a for n, a in operands.items() if n not in given and a is not None}
    if domain:
        node.domain = domain
    proto = model_of([node], given, {"y": axes}, kept, opset=14)
    proto.opset_import.append(helper.make_opsetid(MICROSOFT, 1))
    return proto


def check(proto: Any, folder: Path, close: Any = CLOSE, **arrays: Any) -> Any:
    """The layer gives what onnxruntime gives."""
    path = saved(proto, folder)
    layer = lg.import_onnx(path)
    for found, wanted in zip(ours(layer, **arrays), theirs(path, **arrays), strict=True):
        assert (wanted.shape, wanted.dtype) == (found.shape, found.dtype)
        np.testing.assert_allclose(found, wanted, **close)
    return layer


X, W = numbers(3, 4), numbers(4, 5, seed=1)
SUM = {"x": numbers(2, 3, 4), "s": numbers(2, 3, 4, seed=1), "g": numbers(4)}
IMAGE, FILTERS = numbers(2, 3, 6, 6), numbers(4, 3, 3, 3, seed=1)

FLOATS: list[tuple[str, dict[str, Any], int, dict[str, Any]]] = [
    ("Gelu", {"x": X}, 2, {}),
    ("QuickGelu", {"x": X}, 2, {}),
    ("QuickGelu", {"x": X}, 2, {"alpha": 1.0}),
    ("FastGelu", {"x": X}, 2, {}),
    ("FastGelu", {"x": X, "b": numbers(4, seed=2)}, 2, {}),
    ("BiasGelu", {"x": X, "b": numbers(4, seed=2)}, 2, {}),
    ("FusedMatMul", {"x": X, "w": W}, 2, {"alpha": 0.5}),
    ("FusedMatMul", {"x": X, "w": W.T.copy()}, 2, {"transB": 1}),
    ("FusedMatMul", {"x": numbers(2, 4, 3), "w": W}, 3, {"transA": 1}),
    ("FusedMatMul", {"x": numbers(3, 2, 4), "w": numbers(2, 4, 5)}, 3, {"transBatchA": 1}),
    (
        "FusedMatMul",
        {"x": numbers(4, 2, 3), "w": numbers(5, 2, 4)},
        3,
        {"transBatchA": 1, "transA": 1, "transBatchB": 1, "transB": 1},
    ),
    ("FusedGemm", {"x": X, "w": W, "b": numbers(5)}, 2, {"activation": "Relu", "alpha": 0.5, "beta": 2.0}),
    (
        "FusedGemm",
        {"x": X, "w": W.T.copy(), "b": numbers(5)},
        2,
        {"activation": "LeakyRelu", "activation_alpha": 0.2, "transB": 1},
    ),
    ("FusedConv", {"x": IMAGE, "w": FILTERS}, 4, {"activation": "Relu", "pads": [1, 1, 1, 1]}),
    (
        "FusedConv",
        {"x": IMAGE, "w": FILTERS, "b": numbers(4)},
        4,
        {"activation": "Clip", "activation_params": [-0.5, 0.5]},
    ),
    (
        "FusedConv",
        {"x": IMAGE, "w": FILTERS, "b": numbers(4)},
        4,
        {"activation": "HardSigmoid", "activation_params": [0.3, 0.4], "strides": [2, 2]},
    ),
    ("FusedConv", {"x": IMAGE, "w": FILTERS, "b": None, "z": numbers(2, 4, 4, 4)}, 4, {"activation": "Tanh"}),
    ("SkipLayerNormalization", {**SUM, "b": numbers(4, seed=2)}, 3, {"epsilon": 1e-5}),
    ("SkipLayerNormalization", {**SUM, "b": None, "c": numbers(4)}, 3, {}),
    ("SkipSimplifiedLayerNormalization", SUM, 3, {}),
]


@pytest.mark.parametrize(("op", "operands", "axes", "settings"), FLOATS)
def test_what_the_optimizer_fuses(op: str, operands: Any, axes: int, settings: Any, tmp_path: Path) -> None:
    """Activations, products and normalisations with what stood beside them; in float32."""
    check(model(op, operands, axes, inputs=["x"], **settings), tmp_path, x=operands["x"])


def test_normalisations_are_read_in_opsets_that_do_not_have_them(tmp_path: Path) -> None:
    """Onnxruntime writes them as if they were ONNX's; elsewhere they have its domain."""
    x = numbers(2, 3, 4)
    for op, more in (("LayerNormalization", {"b": numbers(4, seed=2)}), ("SimplifiedLayerNormalization", {})):
        check(model(op, {"x": x, "g": numbers(4, seed=1), **more}, 3, domain="", inputs=["x"]), tmp_path, x=x)


def test_the_sum_that_is_normalised_is_given_too(tmp_path: Path) -> None:
    """It is the residual of what follows; mean and spread are refused."""
    proto = model("SkipLayerNormalization", SUM, 3, inputs=["x"])
    proto.graph.node[0].output.extend(["", "", "sum"])
    proto.graph.output.append(helper.make_tensor_value_info("sum", FLOAT, [None] * 3))
    check(proto, tmp_path, x=SUM["x"])
    proto.graph.node[0].output[1] = "mean"
    with pytest.raises(lg.ExportError, match="only what it normalises is known"):
        ours(lg.import_onnx(saved(proto, tmp_path)), x=SUM["x"])


def quantised(*shape: int, seed: int, dtype: Any = np.uint8) -> Any:
    """Bytes."""
    limits = np.iinfo(dtype)
    return np.random.default_rng(seed).integers(limits.min, limits.max + 1, shape).astype(dtype)


def scale(number: float, zero: int, name: str, dtype: Any = np.uint8) -> dict[str, Any]:
    """A scale and a zero, as operands."""
    return {f"{name}_scale": np.array(number, np.float32), f"{name}_zero": np.array(zero, dtype)}


A = {"a": quantised(3, 4, seed=0), **scale(0.02, 120, "a")}
B = {"b": quantised(3, 4, seed=1), **scale(0.03, 130, "b")}
BYTES: list[tuple[str, dict[str, Any], int, dict[str, Any]]] = [
    ("QLinearAdd", {**A, **B, **scale(0.05, 128, "y")}, 2, {}),
    ("QLinearMul", {**A, **B, **scale(0.05, 128, "y")}, 2, {}),
    ("QLinearSigmoid", {**A, **scale(1 / 256, 0, "y")}, 2, {}),
    ("QLinearLeakyRelu", {**A, **scale(0.02, 100, "y")}, 2, {"alpha": 0.1}),
    ("QLinearSoftmax", {**A, **scale(1 / 256, 0, "y")}, 2, {"opset": 13}),
    ("QLinearSoftmax", {**A, **scale(1 / 256, 0, "y")}, 2, {"opset": 11, "axis": 0}),
    ("QLinearConcat", {**scale(0.03, 128, "y"), **A, **B}, 2, {"axis": 1}),
    (
        "QLinearGlobalAveragePool",
        {"a": quantised(2, 3, 4, 4, seed=0), **scale(0.02, 120, "a"), **scale(0.01, 128, "y")},
        4,
        {},
    ),
]


@pytest.mark.parametrize(("op", "operands", "axes", "settings"), BYTES)
def test_what_the_quantiser_writes(op: str, operands: Any, axes: int, settings: Any, tmp_path: Path) -> None:
    """In bytes: they may be the next ones, as onnxruntime rounds in between."""
    proto = model(op, operands, axes, **settings)
    proto.graph.input.append(helper.make_tensor_value_info("a", onnx.TensorProto.UINT8, operands["a"].shape))
    proto.graph.initializer.remove(next(i for i in proto.graph.initializer if i.name == "a"))
    proto.graph.output[0].type.tensor_type.elem_type = onnx.TensorProto.UINT8
    path = saved(proto, tmp_path)
    (found,), (wanted,) = ours(lg.import_onnx(path), a=operands["a"]), theirs(path, a=operands["a"])
    assert (wanted.shape, wanted.dtype) == (found.shape, found.dtype)
    apart = np.abs(found.astype(int) - wanted.astype(int))
    assert apart.max() <= 1
    assert np.mean(apart) <= 0.1
    assert wanted.std() > 1 or op == "QLinearSoftmax"


@pytest.mark.parametrize("kind", [np.uint8, np.int8])
def test_products_of_floats_and_bytes(kind: Any, tmp_path: Path) -> None:
    """The floats become bytes for them."""
    weight = {"b": quantised(4, 5, seed=1, dtype=kind), **scale(0.03, 3, "b", kind), "bias": numbers(5)}
    check(model("DynamicQuantizeMatMul", {"x": X, **weight}, inputs=["x"]), tmp_path, x=X)


@pytest.mark.parametrize("given", [False, True])
def test_products_with_weights_of_four_bits(given: bool, tmp_path: Path) -> None:
    """Two in a byte, the low one first, with a scale for each block of a row, and a zero of 8 or of its own."""
    blocks, rows, block = 3, 5, 16
    weight = {"b": quantised(rows, blocks, block // 2, seed=1), "scales": np.abs(numbers(rows * blocks)) + 0.1}
    if given:
        weight["zeros"] = quantised(rows * 2, seed=2)
    settings = {"K": blocks * block, "N": rows, "bits": 4, "block_size": block}
    x = numbers(2, blocks * block)
    layer = check(
        model("MatMulNBits", {"x": x, **weight}, inputs=["x"], **settings), tmp_path, {"rtol": 1e-4, "atol": 1e-3}, x=x
    )
    assert [] == layer.variables


def test_a_recurrent_layer_with_weights_of_bytes(tmp_path: Path) -> None:
    """Its inputs stay floats here, and onnxruntime rounds them to bytes: they differ by about one in 256."""
    onnxruntime = pytest.importorskip("onnxruntime.quantization", reason="onnxruntime is not installed")
    weights = {"w": numbers(1, 12, 4, seed=1), "r": numbers(1, 12, 3, seed=2), "b": numbers(1, 24, seed=3)}
    node = helper.make_node("LSTM", ["x", "w", "r", "b"], ["y"], "lstm", hidden_size=3)
    path = saved(model_of([node], {"x": [5, 2, 4]}, {"y": 4}, weights), tmp_path, "plain.onnx")
    onnxruntime.quantize_dynamic(path, tmp_path / "bytes.onnx")
    x = numbers(5, 2, 4)
    assert "DynamicQuantizeLSTM" in {n.op_type for n in onnx.load(tmp_path / "bytes.onnx").graph.node}
    found = ours(lg.import_onnx(tmp_path / "bytes.onnx"), x=x)[0]
    np.testing.assert_allclose(found, theirs(tmp_path / "bytes.onnx", x=x)[0], rtol=0, atol=0.05)
    np.testing.assert_allclose(found, theirs(path, x=x)[0], rtol=0, atol=0.05)


def test_a_model_that_was_optimized_is_trained_on(tmp_path: Path) -> None:
    """As onnxruntime saves it: the weights in its own ops are variables."""
    runtime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    options = runtime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "fast.onnx")
    options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.log_severity_level = 3
    path = saved(mlp(), tmp_path)
    runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    assert "FusedGemm" in {n.op_type for n in onnx.load(tmp_path / "fast.onnx").graph.node}
    layer, x = lg.import_onnx(tmp_path / "fast.onnx"), numbers(6, 4)
    np.testing.assert_allclose(ours(layer, x=x)[0], theirs(path, x=x)[0], **CLOSE)
    adam = lg.optim.Adam(layer.env, 0.05)

    def step(ctx: Any, x: Any) -> Any:
        loss = lg.mean(lg.square(layer(x) - 1))
        return loss, adam.minimize(loss)

    losses = [float(layer.env.run(step, x)[0]) for _ in range(10)]
    assert losses[-1] < losses[0]
    assert 4 == len([v for v in layer.variables if v.trainable])


def test_an_activation_and_an_op_that_are_not_known_are_named(tmp_path: Path) -> None:
    """With what to do about it."""
    layer = lg.import_onnx(saved(model("FusedGemm", {"x": X, "w": W}, inputs=["x"], activation="Erf"), tmp_path))
    with pytest.raises(lg.ExportError, match="there is no activation 'Erf'"):
        ours(layer, x=X)
    with pytest.raises(lg.ExportError, match=r"com.microsoft.GridSample:  'node'\n.*before onnxruntime") as caught:
        lg.import_onnx(saved(model("GridSample", {"x": X, "w": W}, inputs=["x"]), tmp_path))
    assert "com.microsoft" in str(caught.value)


def test_settings_and_their_defaults_are_those_of_onnxruntime() -> None:
    """A name that is written wrongly would never be asked for."""
    state = pytest.importorskip("onnxruntime.capi._pybind_state", reason="onnxruntime is not installed")
    if not hasattr(state, "get_all_operator_schema"):
        pytest.skip("this version of onnxruntime does not tell")
    every = [s for s in state.get_all_operator_schema() if s.domain == MICROSOFT or s.name.startswith("Simplified")]
    schemas = {(MICROSOFT, schema.name): schema for schema in every}
    ours = {key: form for key, form in table.ops().items() if key[0] == MICROSOFT and key[1] != "LayerNormalization"}
    assert len(ours) >= 20
    for key, form in ours.items():
        assert form.settings == set(schemas[key].attributes), key
        assert form.variadic or len(form.operands) == len(schemas[key].inputs), key
        for name, attribute in schemas[key].attributes.items():
            said = onnx.AttributeProto.FromString(attribute._default_value)
            if said.type:
                value = helper.get_attribute_value(said)
                wanted = value.decode() if isinstance(value, bytes) else value
                assert wanted == (
                    pytest.approx(form.defaults[name]) if said.type == said.FLOAT else form.defaults[name]
                )
