"""Models that were written for some sizes become one for all, or it is said what stands in the way."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnx", reason="models are made by onnx")
pytest.importorskip("onnxruntime", reason="models are run by onnxruntime")

from onnx import TensorProto, checker, helper, numpy_helper

from lazygrad.export.onnx.forms import points
from lazygrad.export.onnx.opening import Axis, Fixed, lighten, opened

AT = points([4], {3})
AXES = [Axis("batch", "x", 0)]


def info(name: str, *shape: int) -> Any:
    """An array of floats that goes in or comes out."""
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def model(n: int, nodes: Sequence[Any], out: tuple[int, ...], **arrays: Any) -> Any:
    """A model of x[n, 3] that has arrays."""
    listed = [numpy_helper.from_array(np.asarray(array), name) for name, array in arrays.items()]
    graph = helper.make_graph(nodes, "g", [info("x", n, 3)], [info("y", *out)], listed)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


def node(kind: str, *names: str, line: str = "step.py:7", **settings: Any) -> Any:
    """A node; the last name is that of what it gives."""
    return helper.make_node(kind, names[:-1], names[-1:], doc_string=line, **settings)


def run(made: Any, x: Any) -> Any:
    """What onnxruntime gives, after onnx has checked the model."""
    import onnxruntime

    checker.check_model(made, full_check=True)
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(made.SerializeToString(), settings, providers=["CPUExecutionProvider"])
    return session.run(None, {"x": x})[0]


@pytest.mark.parametrize("n", [1, 2, 7, 64])
def test_shapes_and_numbers_are_computed_for_the_size_that_comes(n: int) -> None:
    """A row of sizes, one size, a mean's 1/n, an unbiased variance's 1/(n − 1) and a whole array of one number."""

    def write(n: int) -> Any:
        nodes = [
            node("Reshape", "x", "flat", "a"),
            node("Mul", "a", "mean", "b"),
            node("Add", "b", "more", "c"),
            node("Expand", "c", "whole", "d"),
            node("Mul", "d", "unbiased", "y"),
        ]
        return model(
            n,
            nodes,
            (2, 3 * n),
            flat=np.array([3 * n]),
            mean=np.float32(1 / n),
            more=np.full((2, 1), n + 0.0, np.float32),
            whole=np.array([2, 3 * n]),
            unbiased=np.float32([1 / (n - 1)]) if n > 1 else np.float32([np.inf]),
        )

    x = np.random.default_rng(0).standard_normal((n, 3)).astype(np.float32)
    made = opened([write(one) for (one,) in AT], AT, AXES)
    with np.errstate(divide="ignore"):
        expected = np.broadcast_to((x.reshape(-1) / n + n), (2, 3 * n)) * (np.float32(1) / np.float32(n - 1))
    np.testing.assert_allclose(run(made, x), expected, rtol=1e-6)  # three roundings of float32
    dims = [dim.dim_param or dim.dim_value for dim in made.graph.output[0].type.tensor_type.shape.dim]
    assert dims == [2, "3*batch"]


def test_a_body_of_a_loop_sees_what_is_computed_around_it() -> None:
    """Numbers of a graph within the graph are computed once, outside."""

    def write(n: int) -> Any:
        inner = helper.make_graph(
            [node("Expand", "x", "wide", "z"), node("Identity", "more", "again")],
            "turn",
            [helper.make_tensor_value_info("i", TensorProto.INT64, ()), helper.make_tensor_value_info("more", 9, ())],
            [helper.make_tensor_value_info("again", 9, ()), info("z", n, 3)],
            [numpy_helper.from_array(np.array([n, 3]), "wide")],
        )
        nodes = [node("Loop", "turns", "", "y", body=inner)]
        return model(n, nodes, (n - 1, n, 3), turns=np.array(n - 1))

    x = np.arange(21, dtype=np.float32).reshape(7, 3)
    made = opened([write(one) for (one,) in AT], AT, AXES)
    np.testing.assert_array_equal(run(made, x), np.stack([x] * 6))


def test_of_weights_that_all_models_have_there_is_one_copy() -> None:
    """The others forget theirs, and what differs is still seen."""
    weights = np.random.default_rng(0).standard_normal((3, 2000)).astype(np.float32)

    def write(n: int, wide: int = 2000) -> Any:
        return model(n, [node("MatMul", "x", "w", "y")], (n, 2000), w=weights[:, :wide])

    models = []
    for (n,) in AT:
        models.append(write(n))
        lighten(models)
    assert [len(one.graph.initializer[0].raw_data) for one in models] == [24000, 0, 0, 0]
    x = np.eye(3, dtype=np.float32)
    np.testing.assert_array_equal(run(opened(models, AT, AXES), x), weights)
    with pytest.raises(Fixed, match="the array w has another shape"):
        opened([write(n, 2000 if (n,) == AT[0] else 0) for (n,) in AT], AT, AXES)


REFUSED: dict[str, tuple[Callable[[int], Any], str]] = {
    "a setting of a node": (
        lambda n: model(n, [node("LeakyRelu", "x", "y", alpha=float(n))], (n, 3)),
        "alpha of LeakyRelu depends on a size, and cannot be computed",
    ),
    "other nodes": (
        lambda n: model(n, [node("Abs" if n % 2 else "Neg", "x", "y")], (n, 3)),
        "the step does other things for other sizes",
    ),
    "another number of nodes": (
        lambda n: model(n, [node("Abs", "x", "y")] * (1 + n % 2), (n, 3)),
        "the step does other things for other sizes",
    ),
    "an array of another shape": (
        lambda n: model(n, [node("Add", "x", "rows", "y")], (n, 3), rows=np.zeros((n, 1), np.float32)),
        "the array rows has another shape for other sizes",
    ),
    "a number without a form": (
        lambda n: model(n, [node("Mul", "x", "half", "y")], (n, 3), half=np.float32(n // 2)),
        "a number is no simple function of the sizes: it is ",
    ),
    "a size without a form": (
        lambda n: model(n, [node("Abs", "x", "y")], (n // 2, 3)),
        "a size of y is no sum of products of open sizes",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_open_is_said_with_its_line(name: str) -> None:
    """Settings, nodes and arrays that depend on a size; and numbers that are no function of it."""
    write, why = REFUSED[name]
    with pytest.raises(Fixed) as caught:
        opened([write(one) for (one,) in AT], AT, AXES)
    assert caught.value.why.startswith(why.split(":")[0])
    assert caught.value.at in ("step.py:7", "")
