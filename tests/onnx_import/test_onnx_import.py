"""Models in the form ONNX are layers: they compute what onnxruntime computes, and can be trained as others can."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx_models import convolutional, helper, imported, mlp, model_of, numbers, ours, saved, theirs

import lazygrad as lg
from lazygrad.onnx.ops import table

# Both compute in float32, and add in another order.
CLOSE = {"rtol": 1e-5, "atol": 1e-6}


@pytest.mark.parametrize("rows", [1, 5])
@pytest.mark.parametrize(("proto", "shape"), [(mlp, (4,)), (convolutional, (1, 8, 8))])
def test_a_model_gives_what_onnxruntime_gives(proto: Any, shape: Any, rows: int, tmp_path: Path) -> None:
    """For any number of rows, where the file leaves that open."""
    path, x = saved(proto(), tmp_path), numbers(rows, *shape, seed=9)
    model = lg.import_onnx(path)
    for a, b in zip(theirs(path, x=x), ours(model, x=x), strict=True):
        np.testing.assert_allclose(b, a, **CLOSE)
    compiled = model.env.compile(lambda ctx, x: model(x), wait=True)
    np.testing.assert_allclose(compiled(x), theirs(path, x=x)[0], **CLOSE)


def test_weights_are_variables_by_their_names(tmp_path: Path) -> None:
    """Floats with an axis are trained, but for running statistics; whole numbers are constants of the model."""
    model = imported(convolutional(), tmp_path, name="net")
    learned = ["conv.weight", "norm.scale", "norm.shift", "fc.weight"]
    assert [f"net/{name}" for name in learned] == [v.path for v in model.variables if v.trainable]
    assert ["net/norm.mean", "net/norm.variance"] == [v.path for v in model.variables if not v.trainable]
    np.testing.assert_array_equal(model.env["net/conv.weight"], numbers(4, 1, 3, 3))


def test_shapes_are_worked_out_while_the_step_is_written(tmp_path: Path) -> None:
    """The nodes that exporters write for them leave nothing in the graph."""
    model = imported(convolutional(), tmp_path)
    graph = model.env.trace(lambda ctx, x: model(x), numbers(2, 1, 8, 8))
    written = str(graph)
    assert "gather" not in written
    assert "concat" not in written


def test_nodes_are_those_of_the_part_of_the_model_that_they_are_in(tmp_path: Path) -> None:
    """The names of nodes say it, as exporters write them; pages fold by it."""
    model = imported(mlp(), tmp_path, name="net")
    graph = model.env.trace(lambda ctx, x: model(x), numbers(2, 4))
    layers = {origin.layer for origin in graph.origins}
    assert {"net/fc1", "net/act", "net/head/fc2"} <= layers


def test_files_that_say_less_are_read_as_runtimes_read_them(tmp_path: Path) -> None:
    """Inputs and outputs without shapes, and weights of an old form that are no inputs."""
    proto = mlp()
    for described in (*proto.graph.input, *proto.graph.output):
        described.type.tensor_type.ClearField("shape")
    proto.ir_version, proto.opset_import[0].version = 3, 9
    path = saved(proto, tmp_path)
    model = lg.import_onnx(path)
    assert "x float32[…]" in str(model)
    np.testing.assert_allclose(ours(model, x=numbers(2, 4))[0], theirs(path, x=numbers(2, 4))[0], **CLOSE)


def test_an_error_names_the_node(tmp_path: Path) -> None:
    """Beside the user's line and the operands."""
    nodes = [helper.make_node("MatMul", ["x", "w"], ["y"], "/deep/MatMul")]
    model = imported(model_of(nodes, {"x": [None, None]}, {"y": 2}, {"w": numbers(4, 2)}), tmp_path)
    with pytest.raises(lg.SpecError, match=r"It is of MatMul '/deep/MatMul' in the model") as caught:
        ours(model, x=numbers(2, 3))
    assert "test_onnx_import.py" in str(caught.value) or "onnx_models.py" in str(caught.value)


def test_a_gradient_agrees_with_differences(tmp_path: Path) -> None:
    """Of a weight of the convolution, in a random direction."""
    model = imported(convolutional(), tmp_path, name="net")
    env, x, way = model.env, numbers(3, 1, 8, 8, seed=7), numbers(4, 1, 3, 3, seed=8)

    def loss(ctx: Any, x: Any, moved: Any) -> Any:
        return lg.sum(lg.square(model(x)) * np.arange(1, 6, dtype="float32"))

    def slope(ctx: Any, x: Any) -> Any:
        return lg.sum(lg.grad(loss(ctx, x, 0), [ctx.variable("net/conv.weight")])[0] * way)

    before, h = env["net/conv.weight"], 1e-2
    found = env.run(slope, x)
    values = []
    for sign in (1, -1):
        env["net/conv.weight"] = before + sign * h * way
        values.append(env.run(loss, x, 0))
    # A difference of float32 values around 20, divided by 0.02: about 1e-4 of rounding, and h² of the third derivative.
    np.testing.assert_allclose(found, (values[0] - values[1]) / (2 * h), rtol=2e-2, atol=2e-3)


def test_a_model_is_trained_on(tmp_path: Path) -> None:
    """By lg.fit, as any other layer; what is frozen stays."""
    model = imported(mlp(), tmp_path, name="net")
    env = model.env
    x, y = numbers(64, 4), numbers(64, 3, seed=5)
    adam = lg.optim.Adam(env, 0.01)
    frozen = next(v for v in model.variables if v.name == "fc1.bias")
    frozen.trainable = False

    @env.compile
    def step(ctx: Any, x: Any, y: Any) -> Any:
        loss = lg.mean(lg.square(model(x) - y))
        return loss, adam.minimize(loss)

    before = env.to_dict()
    history = lg.fit(step, (x, y), epochs=15, batch_size=16, seed=0)
    losses = history["loss"]
    assert losses[-1] < 0.8 * losses[0]
    changed = [v.name for v in model.variables if not np.array_equal(before[v.path], env[v.path])]
    assert ["fc1.weight", "fc2.weight", "fc2.bias"] == changed
    model.trainable = False
    assert [] == [v for v in model.variables if v.trainable]


def test_a_model_is_exported_again(tmp_path: Path) -> None:
    """With the numbers that it has then, as part of a step; and comes back."""
    model = imported(convolutional(), tmp_path, name="net")
    model.env["net/fc.weight"] = numbers(64, 5, seed=11)
    x = numbers(3, 1, 8, 8, seed=7)
    predict = model.env.compile(lambda ctx, x: lg.log(model(x)))
    (file,) = predict.export(tmp_path / "again.onnx", x)
    wanted = predict(x)
    np.testing.assert_allclose(theirs(file, **{lg.import_onnx(file).inputs[0]: x})[0], wanted, **CLOSE)
    np.testing.assert_allclose(ours(lg.import_onnx(file), **{lg.import_onnx(file).inputs[0]: x})[0], wanted, **CLOSE)


def test_a_model_can_be_pickled(tmp_path: Path) -> None:
    """With its environment; and it no longer needs the file."""
    model, x = imported(convolutional(), tmp_path), numbers(2, 1, 8, 8)
    wanted = ours(model, x=x)[0]
    (tmp_path / "model.onnx").unlink()
    np.testing.assert_array_equal(wanted, ours(pickle.loads(pickle.dumps(model)), x=x)[0])


def test_a_model_can_be_imported_frozen(tmp_path: Path) -> None:
    """For features that are used and not changed."""
    assert not imported(mlp(), tmp_path, trainable=False).trainable


def test_a_model_goes_on_with_what_was_saved(tmp_path: Path) -> None:
    """Weights that are in the environment are taken, in place of those in the file."""
    model = imported(mlp(), tmp_path, name="net")
    model.env["net/fc1.bias"] = np.zeros(8)
    model.env.save(str(tmp_path / "env.json"))
    again = lg.import_onnx(tmp_path / "model.onnx", lg.VariableEnvironment.load(str(tmp_path / "env.json")), "net")
    x = numbers(2, 4)
    np.testing.assert_array_equal(ours(model, x=x)[0], ours(again, x=x)[0])
    other = copy.deepcopy(model)
    np.testing.assert_array_equal(ours(model, x=x)[0], ours(other, x=x)[0])


def test_inputs_are_given_by_position_or_by_name(tmp_path: Path) -> None:
    """What is missing, unknown or given twice is said; an output is a tensor, several are a tuple."""
    nodes = [helper.make_node("Sub", ["a", "b"], ["y"]), helper.make_node("Add", ["a", "b"], ["z"])]
    model = imported(model_of(nodes, {"a": [2], "b": [2]}, {"y": 1, "z": 1}, {}), tmp_path)
    a, b = numbers(2), numbers(2, seed=1)
    y, z = model.env.run(lambda ctx, a, b: model(b=b, a=a), a, b)
    np.testing.assert_array_equal(a - b, y)
    np.testing.assert_array_equal(a + b, z)
    calls: list[Any] = [lambda a, b: model(a), lambda a, b: model(a, b, c=a), lambda a, b: model(a, b, b=b)]
    for call in [*calls, lambda a, b: model(a, b, a)]:
        with pytest.raises(lg.FeedError):
            model.env.run(lambda ctx, a, b, call=call: call(a, b), a, b)


def test_an_input_of_another_shape_or_kind_is_refused(tmp_path: Path) -> None:
    """With what the file says of it; float64 is cast to its float32."""
    model = imported(mlp(), tmp_path)
    for wrong in (numbers(2, 5), numbers(4), np.ones((2, 4), int)):
        with pytest.raises(lg.SpecError, match=r"'x' does not fit") as caught:
            ours(model, x=wrong)
        assert "x float32[rows, 4]" in str(caught.value)
    assert np.float32 == ours(model, x=numbers(2, 4).astype(np.float64))[0].dtype


def test_no_rows_give_no_rows(tmp_path: Path) -> None:
    """Also where a row is flattened by a −1, which then is not to be found by counting."""
    model = imported(convolutional(), tmp_path)
    assert (0, 5) == ours(model, x=numbers(0, 1, 8, 8))[0].shape


def test_a_model_says_what_it_is(tmp_path: Path) -> None:
    """Printed: inputs, outputs, variables, nodes, opset."""
    model = imported(mlp(), tmp_path)
    expected = """<OnnxModel 'onnx_model' of 'model.onnx'>
inputs:     x float32[rows, 4]
outputs:    y float32[?, ?]
variables:  4, with 67 numbers
nodes:      3: 2 Gemm, 1 Relu
opset:      17, written by test"""
    assert expected == str(model)
    assert "<OnnxModel 'onnx_model' of 'model.onnx'>" == repr(model)


def test_names_become_legal_and_stay_different(tmp_path: Path) -> None:
    """A slash divides namespaces; what no name can have is replaced."""
    weights = {"/a//b ": numbers(2), "a/b": numbers(2, seed=1), "\n": numbers(2, seed=2), "c d": numbers(2, seed=3)}
    nodes = [helper.make_node("Sum", ["x", *weights], ["y"])]
    model = imported(model_of(nodes, {"x": [2]}, {"y": 1}, weights), tmp_path, name="m")
    assert ["m/a/b", "m/a/b_1", "m/_", "m/c_d"] == [v.path for v in model.variables]
    np.testing.assert_allclose(
        ours(model, x=numbers(2, seed=4))[0], numbers(2, seed=4) + sum(weights.values()), rtol=1e-6
    )


def test_functions_in_a_model_are_written_out(tmp_path: Path) -> None:
    """Those that it declares, which may call one another."""
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
    twice = helper.make_function("own", "Twice", ["a"], ["b"], [helper.make_node("Add", ["a", "a"], ["b"])], opsets[:1])
    calls = [
        helper.make_node("Twice", ["a"], ["m"], domain="own"),
        helper.make_node("Twice", ["m"], ["b"], domain="own"),
    ]
    four = helper.make_function("own", "FourTimes", ["a"], ["b"], calls, opsets)
    proto = model_of([helper.make_node("FourTimes", ["x"], ["y"], domain="own")], {"x": [2]}, {"y": 1}, {})
    proto.opset_import.append(opsets[1])
    proto.functions.extend([twice, four])
    np.testing.assert_array_equal(4 * numbers(2), ours(imported(proto, tmp_path), x=numbers(2))[0])


def test_a_model_of_another_environment_is_refused(tmp_path: Path) -> None:
    """As any layer is."""
    model = imported(mlp(), tmp_path)
    with pytest.raises(lg.GraphError, match="belongs to another environment"):
        lg.VariableEnvironment().run(lambda ctx, x: model(x), numbers(2, 4))


def test_importing_lazygrad_does_not_import_onnx() -> None:
    """Only those who read such a file need it."""
    program = "import sys, lazygrad; print('onnx' in sys.modules, 'lazygrad.onnx.ops.table' in sys.modules)"
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "False False\n" == finished.stdout


def test_without_the_package_the_cure_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command that installs it."""
    path = saved(mlp(), tmp_path)
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(lg.BackendError, match=r"pip install 'lazygrad\[onnx\]'"):
        lg.import_onnx(path)


def test_every_op_and_its_settings_are_those_of_onnx() -> None:
    """A name that is written wrongly would never be asked for."""
    import onnx

    schemas: dict[Any, set[str]] = {}
    for schema in onnx.defs.get_all_schemas_with_history():
        schemas.setdefault((schema.domain, schema.name), set()).update(schema.attributes)
    ours = {key: form for key, form in table.ops().items() if key[0] != table.MICROSOFT}
    assert [] == [key for key in ours if key not in schemas]
    assert {} == {key: form.settings - schemas[key] for key, form in ours.items() if form.settings - schemas[key]}
