"""A compiled step becomes a model of ONNX that onnxruntime runs with our results; or it is refused, with no file."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx_run
import pytest

import lazygrad as lg

onnx = pytest.importorskip("onnx", reason="models are written by onnx")
NEWEST = 23  # of the operators that onnxruntime has had since 1.22
IMAGES = np.random.default_rng(0).normal(size=(5, 784)).astype(np.float32)


def mlp() -> Any:
    """A network of two layers, and its environment."""
    env, rng = lg.VariableEnvironment(seed=0), np.random.default_rng(0)
    env.name("w").set(rng.normal(size=(784, 128)).astype(np.float32) * 0.05)
    env.name("v").set(rng.normal(size=(128, 10)).astype(np.float32) * 0.1)

    @env.compile
    def predict(ctx: Any, image: Any) -> Any:
        return lg.nn.softmax(lg.nn.relu(image @ ctx.variable("w")) @ ctx.variable("v"))

    return env, predict


def test_a_network_is_run_by_onnxruntime_with_our_results(tmp_path: Path) -> None:
    """The file is read again, and has the names of the step."""
    _, predict = mlp()
    (file,) = predict.export(tmp_path / "model.onnx", IMAGES)
    model = onnx.load(file)
    assert [one.name for one in model.graph.input] == ["image"]
    assert [one.name for one in model.graph.output] == ["y"]
    assert {one.name for one in model.graph.initializer} >= {"w", "v"}
    assert model.producer_name == "lazygrad"
    assert not onnx_run.apart([predict(IMAGES)], onnx_run.run_model(model, IMAGES))


def test_nodes_say_the_line_of_the_user(tmp_path: Path) -> None:
    """As their doc string, with the text of the line."""
    _, predict = mlp()
    (file,) = predict.export(tmp_path / "model.onnx", IMAGES)
    said = [node.doc_string for node in onnx.load(file).graph.node if node.op_type == "Relu"]
    assert len(said) == 1
    assert "test_onnx_model.py:" in said[0]
    assert "lg.nn.relu(image" in said[0]


def test_lines_can_be_left_out(tmp_path: Path) -> None:
    """Of nodes in the bodies of loops too: then nothing of the program is in the file."""
    step = lg.VariableEnvironment().compile(lambda ctx, x: lg.fori_loop(0, 3, lambda i, c: lg.sin(c) * x, x))
    (file,) = step.export(tmp_path / "model.onnx", np.ones(3, np.float32), lines=False)
    assert b"test_onnx_model" not in file.read_bytes()
    (file,) = step.export(tmp_path / "model.onnx", np.ones(3, np.float32))
    assert b"test_onnx_model" in file.read_bytes()


def test_a_step_with_updates_is_refused(tmp_path: Path) -> None:
    """It says so, and writes no file."""
    env, _ = mlp()
    step = env.compile(lambda ctx: ctx.assign("w", ctx.variable("w") * 2))
    with pytest.raises(lg.ExportError, match="it changes variable 'w'"):
        step.export(tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


def test_the_numbers_are_those_of_the_moment(tmp_path: Path) -> None:
    """What is trained later does not reach the file, and the export changes no variable."""
    env, predict = mlp()
    (file,) = predict.export(tmp_path / "model.onnx", IMAGES)
    expected = predict(IMAGES)
    env["w"] = np.zeros((784, 128), np.float32)
    assert not onnx_run.apart([expected], onnx_run.run_model(onnx.load(file), IMAGES))


def test_the_file_is_hardly_larger_than_its_weights(tmp_path: Path) -> None:
    """406,528 bytes of them; the rest are nodes with their lines."""
    _, predict = mlp()
    (file,) = predict.export(tmp_path / "model.onnx", IMAGES)
    assert 0 < file.stat().st_size - 4 * (784 * 128 + 128 * 10) < 8_000


def test_weights_lie_in_a_file_beside_if_wanted(tmp_path: Path) -> None:
    """The model names it without a folder, and onnxruntime finds it there."""
    onnxruntime = pytest.importorskip("onnxruntime", reason="models are run by onnxruntime")
    _, predict = mlp()
    files = predict.export(tmp_path / "model.onnx", IMAGES, weights="file")
    assert [file.name for file in files] == ["model.onnx", "model.onnx.data"]
    assert files[0].stat().st_size < 10_000
    onnx.checker.check_model(str(files[0]), full_check=True)
    (found,) = onnxruntime.InferenceSession(str(files[0])).run(None, {"image": IMAGES})
    assert not onnx_run.apart([predict(IMAGES)], [found])


def test_a_model_of_more_than_two_gigabytes_has_such_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Here of more than 100,000 bytes: a message of Protocol Buffers cannot be longer than 2 GB."""
    monkeypatch.setattr("lazygrad.export.onnx.aside.MOST", 100_000)
    _, predict = mlp()
    assert len(predict.export(tmp_path / "model.onnx", IMAGES)) == 2


def test_both_files_are_written_or_none(tmp_path: Path) -> None:
    """If one of them cannot be written the other stays as it was."""
    _, predict = mlp()
    predict.export(tmp_path / "model.onnx", IMAGES)
    before = (tmp_path / "model.onnx").read_bytes()
    (tmp_path / "model.onnx.data").mkdir()
    with pytest.raises(lg.SaveError, match="cannot export to"):
        predict.export(tmp_path / "model.onnx", IMAGES, weights="file")
    assert (tmp_path / "model.onnx").read_bytes() == before


def test_a_folder_that_does_not_exist_is_named(tmp_path: Path) -> None:
    """As a SaveError, before anything is written."""
    _, predict = mlp()
    with pytest.raises(lg.SaveError, match="No file was written"):
        predict.export(tmp_path / "nowhere" / "model.onnx", IMAGES)


@pytest.mark.parametrize("opset", [0, 17, 10_000, True, "18", 18.0])
def test_an_opset_that_is_too_old_or_unknown_is_refused(opset: Any, tmp_path: Path) -> None:
    """The message says which there are."""
    _, predict = mlp()
    with pytest.raises(lg.ExportError, match="Choose one from 18 to"):
        predict.export(tmp_path / "model.onnx", IMAGES, opset=opset)
    assert not list(tmp_path.iterdir())


def test_without_the_package_the_message_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is an extra."""
    _, predict = mlp()
    for name in [name for name in sys.modules if name.split(".")[0] == "onnx"]:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(lg.BackendError, match="pip install"):
        predict.export(tmp_path / "model.onnx", IMAGES)
    assert not list(tmp_path.iterdir())


def test_a_wrong_setting_of_weights_is_named(tmp_path: Path) -> None:
    """With those that there are."""
    _, predict = mlp()
    with pytest.raises(lg.ExportError, match="'inside' the model, or in a 'file'"):
        predict.export(tmp_path / "model.onnx", IMAGES, weights="outside")


@lg.define.opaque(shape=lambda x: x, vjp=None)
def _of_python(xp: Any, x: Any) -> Any:
    """What no reading understands."""
    return x if float(x.sum()) > 0 else -x


@lg.define.elementwise(vjp=lambda g, y, x: g)
def _swept(xp: Any, x: Any) -> Any:
    """A user's own op: its kernel is a formula."""
    return xp.where(x > 0, xp.expm1(x), xp.sqrt(xp.abs(x))) + 0.5 * x


@lg.define.opaque(shape=lambda x: x, vjp=None)
def _with_settings(xp: Any, x: Any) -> Any:
    """A function that has a form, and a setting that has none."""
    return xp.add(x, xp.eye(x.shape[0], dtype=x.dtype)[0])


REFUSED = {
    "a setting": (lambda ctx, x: _with_settings(x), "cannot export _with_settings", "eye with dtype"),
    "draws": (lambda ctx, x: x + ctx.random.normal(x.shape), "cannot export normal", "random numbers"),
    "hook": (lambda ctx, x: lg.hook(x, print), "cannot export hook", "beside computing"),
    "own": (lambda ctx, x: _of_python(x), "cannot export _of_python", "no form there"),
    "linalg": (
        lambda ctx, x: lg.linalg.svd(lg.eye(9)[:, :3] + x[0]).U,
        "cannot export svd_full",
        "full_matrices=False",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_form_is_refused_with_its_line(name: str, tmp_path: Path) -> None:
    """And why; no file is written, and one that was there stays."""
    step, what, why = REFUSED[name]
    (tmp_path / "model.onnx").write_bytes(b"before")
    with pytest.raises(lg.ExportError, match=what) as caught:
        lg.VariableEnvironment(seed=0).compile(step).export(tmp_path / "model.onnx", np.ones(3, np.float32))
    assert why in str(caught.value)
    assert "test_onnx_model.py:" in str(caught.value)
    assert [(file.name, file.read_bytes()) for file in tmp_path.iterdir()] == [("model.onnx", b"before")]


STEPS = {
    "own op": lambda ctx, x: _swept(x),
    "gradient": lambda ctx, x: lg.grad(lg.sum(lg.nn.gelu(x) * lg.tanh(x)), [x])[0],
    "second derivative": lambda ctx, x: lg.grad(lg.sum(lg.grad(lg.sum(lg.exp(lg.sin(x))), [x])[0] ** 2), [x])[0],
    "value and slope": lambda ctx, x: [
        lg.tanh(x),
        lg.nn.sigmoid(x),
        *lg.grad(lg.sum(lg.tanh(x) * lg.nn.sigmoid(x)), [x]),
    ],
    "hessian": lambda ctx, x: lg.hessian(lg.sum(lg.nn.softplus(x) ** 3), x),
    "argument as it is": lambda ctx, x: [x, x, {"a": x + 1, "b": x}],
    "a number": lambda ctx, x: lg.full((), 3.0),
    "normalised": lambda ctx, x: (x - lg.mean(x)) / lg.std(x),
    "parts": lambda ctx, x: [x[1:], x[::-1], x[-1], x[None, ::2], x.at[1:].set(0.0), x.at[::2].add(2.0), lg.flip(x)],
    "cut": lambda ctx, x: lg.grad(lg.sum(x[::-2] ** 2), [x])[0],
    "matrix": lambda ctx, x: lg.linalg.solve(lg.eye(3) + lg.outer(x, x), x),
    "determinant": lambda ctx, x: lg.linalg.det(lg.eye(6) + lg.outer(lg.concat([x, x]), lg.concat([x, x]))),
    "sorted": lambda ctx, x: [lg.sort(x, descending=True), *lg.top_k(x, 2), lg.median(x)],
    "whole": lambda ctx, x: (x * 10).astype("int8") // 3,
}


@pytest.mark.parametrize("opset", [18, "newest"])
@pytest.mark.parametrize("name", STEPS)
def test_a_step_gives_our_results(name: str, opset: Any) -> None:
    """Steps of many kinds, also by the newest operators that are known."""
    x = np.array([0.5, -1.25, 2.0], np.float32)
    step = lg.VariableEnvironment(seed=0).compile(STEPS[name])
    number = min(onnx.defs.onnx_opset_version(), NEWEST) if opset == "newest" else opset
    assert not onnx_run.apart(onnx_run.listed(step(x)), onnx_run.run(step, x, opset=number))


def test_inputs_and_outputs_have_the_names_of_the_step(tmp_path: Path) -> None:
    """What nothing reads stays an input; what lies in a dict is named after its place."""
    step = lg.VariableEnvironment().compile(lambda ctx, left, right, mask: {"sum": left + 1, "both": [left, mask]})
    x = np.ones((2, 3), np.float32)
    (file,) = step.export(tmp_path / "model.onnx", x, np.arange(4), np.array([True, False]), batch=None)
    graph = onnx.load(file).graph
    assert [one.name for one in graph.input] == ["left", "right", "mask"]
    assert [one.name for one in graph.output] == ["sum", "both_0", "both_1"]
    assert [tuple(d.dim_value for d in one.type.tensor_type.shape.dim) for one in graph.input] == [(2, 3), (4,), (2,)]


def test_a_convolution_is_one_node(tmp_path: Path) -> None:
    """Padding, strides, gaps and groups are its settings; its transpose is one node too."""

    def step(ctx: Any, x: Any, w: Any) -> Any:
        y = lg.nn.conv2d(x, w, stride=2, padding=1, groups=2)
        return lg.nn.conv2d_transpose(y, w, stride=2, padding=1, groups=2)

    rng = np.random.default_rng(0)
    x, w = (rng.normal(size=shape).astype(np.float32) for shape in ((2, 4, 9, 8), (4, 2, 3, 3)))
    compiled = lg.VariableEnvironment().compile(step)
    (file,) = compiled.export(tmp_path / "model.onnx", x, w, batch=None)
    model = onnx.load(file)
    kinds = [node.op_type for node in model.graph.node]
    assert [kinds.count(kind) for kind in ("Conv", "ConvTranspose", "Gather", "MatMul", "Pad")] == [1, 1, 0, 0, 0]
    assert not onnx_run.apart([compiled(x, w)], onnx_run.run_model(model, x, w))


def test_the_bias_of_a_convolution_is_its_third_operand(tmp_path: Path) -> None:
    """Given as it is, or computed before."""
    rng = np.random.default_rng(0)
    shapes = ((2, 3, 9, 8), (4, 3, 3, 3), (4,))
    x, w, b = (rng.normal(size=shape).astype(np.float32) for shape in shapes)
    step = lg.VariableEnvironment().compile(lambda ctx, x, w, b: [lg.nn.conv2d(x, w, bias) for bias in (b, 2 * b)])
    (file,) = step.export(tmp_path / "model.onnx", x, w, b, batch=None)
    model = onnx.load(file)
    assert [len(node.input) for node in model.graph.node if node.op_type == "Conv"] == [3, 3]
    assert not any(node.op_type == "Add" for node in model.graph.node)
    assert not onnx_run.apart(step(x, w, b), onnx_run.run_model(model, x, w, b))


def test_softmax_is_one_node_behind_the_largest_that_is_taken_away(tmp_path: Path) -> None:
    """And its logarithm is another; the outputs are the nodes' own."""
    x = np.array([[1, 2, 3], [0, 0, 1]], np.float32)
    step = lg.VariableEnvironment().compile(lambda ctx, x: [lg.nn.softmax(x), lg.nn.log_softmax(x + 1)])
    (file,) = step.export(tmp_path / "model.onnx", x)
    kinds = [node.op_type for node in onnx.load(file).graph.node]
    assert [kinds.count(kind) for kind in ("Softmax", "LogSoftmax", "Exp", "Log", "Identity")] == [1, 1, 0, 0, 0]


@pytest.mark.parametrize("precision", ["mixed", "mixed-bfloat16"])
def test_a_step_in_mixed_precision_rounds_there_too(precision: str) -> None:
    """Operands of products are cast to 16 bits and back, so that results are the step's, and not those of float32."""
    env = lg.VariableEnvironment(seed=0)
    layer = lg.nn.Linear(env, 64, 64, name="layer")
    step = env.compile(lambda ctx, x: layer(x), precision=precision)
    x = IMAGES[:, :64]
    assert not onnx_run.apart([step(x)], onnx_run.run(step, x))
    assert onnx_run.apart([env.run(lambda ctx, x: layer(x), x)], onnx_run.run(step, x))
