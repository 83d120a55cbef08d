"""Every layer, activation and loss as a model, run by onnxruntime for any number of examples."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import numpy as np
import onnx_open
import onnx_run
import pytest
from onnx_rows import FUNCTIONS, LAYERS, REFUSED, Row, floats, of

import lazygrad as lg

pytest.importorskip("onnxruntime", reason="models are run by onnxruntime")

FIXED = ("conv2d", "conv2d_transpose", "embedding")  # of which an operand has no first axis for examples


def alone() -> dict[str, Row]:
    """The functions of ``lg.nn`` that can be called with one array, by their names."""
    found = {}
    for name, f in inspect.getmembers(lg.nn, lambda f: callable(f) and not isinstance(f, type)):
        first, *rest = inspect.signature(f).parameters.values()
        if first.name in ("x", "logits") and all(p.default is not p.empty for p in rest) and name[0] != "_":
            found[name] = Row(of(f), floats((5,)))
    return found


ROWS = {**alone(), **FUNCTIONS, **LAYERS}


def prepared(row: Row) -> tuple[Any, Any]:
    """An environment with other numbers in every variable, so that no 0 and no 1 hides a mistake; and a step."""
    env, rng = lg.VariableEnvironment(seed=0), np.random.default_rng(1)
    f = row.make(env)
    env.run(lambda ctx, *xs: f(*xs), *row.arrays(rng, 2))  # what is registered by the first call
    for v in env:
        noise = rng.standard_normal(v.shape).astype(np.float32)
        env[v.path] = np.abs(noise) + 0.5 if "variance" in v.path else 0.5 * noise
    return env, lambda ctx, *xs: f(*xs)


@pytest.mark.parametrize("name", [name for name in ROWS if name not in REFUSED])
def test_it_gives_what_the_step_gives_for_any_number_of_examples(name: str, tmp_path: Path) -> None:
    """Written for four examples, run for 1, 2, 7 and 64; float32 within 1e-5 of the largest."""
    row = ROWS[name]
    env, step = prepared(row)
    if name in FIXED:
        arrays = row.arrays(np.random.default_rng(0), 4)
        model = onnx_open.written(env.compile(step), tmp_path, *arrays, batch={"argument0": "batch"})
        for n in onnx_open.SIZES:
            arrays = row.arrays(np.random.default_rng(n), n)
            said = onnx_run.apart(onnx_run.listed(env.run(step, *arrays)), onnx_run.run_model(model, *arrays))
            assert not said
        return
    onnx_open.compare(env.compile(step), tmp_path, row.arrays, lambda *arrays: env.run(step, *arrays))


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_form_is_refused_by_name(name: str, tmp_path: Path) -> None:
    """It says which op, and no file is written. A row that exports has no place in the table."""
    row = ROWS[name]
    env, step = prepared(row)
    with pytest.raises(lg.ExportError, match=REFUSED[name]):
        env.compile(step).export(tmp_path / "model.onnx", *row.arrays(np.random.default_rng(0), 4))
    assert not list(tmp_path.iterdir())


TIMES = [
    "RNN",
    "LSTM in two directions",
    "GRU of two layers",
    "MultiHeadAttention, causal",
    "TransformerBlock, causal",
    "Conv2d",
    "MaxPool2d with strides",
]


@pytest.mark.parametrize("name", TIMES)
def test_the_length_of_sequences_is_open_too(name: str, tmp_path: Path) -> None:
    """And so are the rows of images: a model is written for one length, and run for others."""
    row, axis = ROWS[name], 2 if "2d" in name else 1
    env, step = prepared(row)
    (x,) = row.arrays(np.random.default_rng(0), 4)
    if "strides" in name:  # the number of windows is no multiple of the number of rows
        with pytest.raises(lg.ExportError, match="with the sizes 'batch' and 'time' open"):
            env.compile(step).export(tmp_path / "model.onnx", x, batch={"argument0": {0: "batch", axis: "time"}})
        return
    model = onnx_open.written(env.compile(step), tmp_path, x, batch={"argument0": {0: "batch", axis: "time"}})
    for n, time in [(1, 12), (3, 9), (2, 40)]:
        shape = (n, *x.shape[1:axis], time, *x.shape[axis + 1 :])
        given = np.random.default_rng(n).standard_normal(shape).astype(np.float32)
        said = onnx_run.apart(onnx_run.listed(env.run(step, given)), onnx_run.run_model(model, given))
        assert not said, (n, time, said)


LEARNING = ["Linear", "Conv2d", "BatchNorm of images", "LSTM", "LSTM of several lengths", "GRU of two layers"]


@pytest.mark.parametrize("name", LEARNING)
def test_gradients_of_layers_are_exported_for_any_number_of_examples(name: str, tmp_path: Path) -> None:
    """Those of the variables and of the input; where passes choose by size what is cheaper, one choice does for all."""
    row = ROWS[name]
    env, f = prepared(row)
    paths = [v.path for v in env if v.trainable]

    def step(ctx: Any, *xs: Any) -> Any:
        loss = sum(lg.mean(lg.square(y)) for y in onnx_run.listed(f(ctx, *xs)))
        return loss, lg.grad(loss, [*map(ctx.variable, paths), xs[0]])

    onnx_open.compare(env.compile(step), tmp_path, row.arrays, lambda *arrays: env.run(step, *arrays))


def test_every_layer_and_function_has_a_row() -> None:
    """A new one is tried too."""
    layers = {name for name, made in vars(lg.nn).items() if isinstance(made, type) and name != "Layer"}
    functions = {name for name, f in vars(lg.nn).items() if callable(f) and not isinstance(f, type) and name[0] != "_"}
    assert {name for name in layers if not any(row.split(" ")[0].strip(",") == name for row in LAYERS)} == set()
    assert functions - ROWS.keys() == set()


def test_a_batch_in_training_is_exported_where_nothing_is_drawn_or_kept(tmp_path: Path) -> None:
    """Normalisation by the batch: its mean and variance are those of the batch that comes."""
    env = lg.VariableEnvironment(seed=0)
    layer = lg.nn.BatchNorm(env, 4)
    model = onnx_open.compare(
        env.compile(lambda ctx, x: layer(x, train=True)),
        tmp_path,
        lambda rng, n: floats((4, 3, 3))(rng, n + 1),
        lambda x: env.run(lambda ctx, x: layer(x, train=True), x),
    )
    assert model.graph.output[0].type.tensor_type.shape.dim[0].dim_param == "batch"


def test_dropout_in_training_is_refused(tmp_path: Path) -> None:
    """It draws."""
    env = lg.VariableEnvironment(seed=0)
    layer = lg.nn.Dropout(env, 0.5)
    step = env.compile(lambda ctx, x: layer(x, train=True))
    with pytest.raises(lg.ExportError, match="random"):
        step.export(tmp_path / "model.onnx", np.ones((4, 5), np.float32))
