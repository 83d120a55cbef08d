"""A compiled step becomes a model of ONNX that onnxruntime runs with our results; or it is refused, with no file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx_run
import pytest

import lazygrad as lg

onnx = pytest.importorskip("onnx", reason="models are written by onnx")
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


def test_a_step_with_updates_is_refused(tmp_path: Path) -> None:
    """It says so, and writes no file."""
    env, _ = mlp()
    step = env.compile(lambda ctx: ctx.assign("w", ctx.variable("w") * 2))
    with pytest.raises(lg.ExportError, match="it changes variable 'w'"):
        step.export(tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())
