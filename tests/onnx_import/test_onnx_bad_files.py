"""Files that are damaged, hostile or beyond what is known: an error that says it, and an environment as before."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx_models import helper, mlp, model_of, numbers, onnx, ours, saved

import lazygrad as lg


def refused(path: Path, kind: type[Exception], match: str) -> str:
    """What the error says; nothing is registered."""
    env = lg.VariableEnvironment(seed=0)
    lg.nn.Linear(env, 2, 2, name="before")
    names = [v.path for v in env]
    with pytest.raises(kind, match=match) as caught:
        lg.import_onnx(path, env, "net")
    assert names == [v.path for v in env]
    assert "test_onnx_bad_files.py" in str(caught.value)
    lg.nn.Linear(env, 2, 2, name="net")  # the name is free
    return str(caught.value)


def test_what_is_no_model_is_refused(tmp_path: Path) -> None:
    """A file that is missing, empty, of something else, a folder."""
    refused(tmp_path / "missing.onnx", lg.SaveError, "No such file")
    refused(tmp_path, lg.SaveError, "Is a directory")
    os.mkfifo(tmp_path / "pipe.onnx")
    refused(tmp_path / "pipe.onnx", lg.SaveError, "no file")
    for number, data in enumerate([b"", b"PK\3\4 something else", b"\0" * 100, os.urandom(1000)]):
        path = tmp_path / f"{number}.onnx"
        path.write_bytes(data)
        refused(path, lg.SaveError, "cannot read")


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "git lfs pull"),
        (b"PK\3\4\0\0", "ZIP archive"),
        (b"\x1f\x8b\x08\0", "gzip"),
        (b"<!DOCTYPE html>", "a page"),
        (b"\x89HDF\r\n", "HDF5"),
    ],
)
def test_what_is_there_in_place_of_a_model_is_said(data: bytes, what: str, tmp_path: Path) -> None:
    """As far as its first bytes tell."""
    (tmp_path / "model.onnx").write_bytes(data)
    refused(tmp_path / "model.onnx", lg.SaveError, what)


def test_versions_that_say_nothing_clear_are_refused(tmp_path: Path) -> None:
    """Two opsets of one domain, by either of its names, and a form newer than the package."""
    for domain in ("", "ai.onnx"):
        proto = mlp()
        proto.opset_import.append(helper.make_opsetid(domain, 18))
        refused(saved(proto, tmp_path), lg.SaveError, "two opsets of the ops of ONNX, 17 and 18")
    proto = mlp()
    proto.ir_version = 999
    refused(saved(proto, tmp_path), lg.SaveError, "ir_version 999.*newer package")


def test_a_model_that_gives_nothing_is_refused(tmp_path: Path) -> None:
    """It would be a layer without a value."""
    proto = mlp()
    del proto.graph.output[:]
    refused(saved(proto, tmp_path), lg.SaveError, "no outputs")


def test_a_file_that_is_cut_is_refused(tmp_path: Path) -> None:
    """Wherever it ends."""
    data = mlp().SerializeToString()
    for end in range(1, len(data) - 1, 23):
        path = tmp_path / "cut.onnx"
        path.write_bytes(data[:end])
        refused(path, lg.SaveError, "cannot read")


def test_bytes_that_are_turned_are_refused_or_give_a_model(tmp_path: Path) -> None:
    """Never another exception."""
    data, rng = bytearray(mlp().SerializeToString()), np.random.default_rng(0)
    for _ in range(60):
        turned = bytearray(data)
        for place in rng.integers(0, len(data), 3):
            turned[place] = int(rng.integers(0, 256))
        path = tmp_path / "turned.onnx"
        path.write_bytes(bytes(turned))
        with contextlib.suppress(lg.SaveError, lg.ExportError):
            lg.import_onnx(path)


def test_text_that_is_none_is_refused(tmp_path: Path) -> None:
    """The package gives it as bytes, where all else is text."""
    data = mlp().SerializeToString().replace(b"Relu", b"\xff\xfelu")
    path = tmp_path / "text.onnx"
    path.write_bytes(data)
    refused(path, lg.SaveError, "text that is none")


@pytest.mark.parametrize("opset", [1, 6, 29, 99])
def test_an_opset_that_is_not_known_is_refused(opset: int, tmp_path: Path) -> None:
    """Too old or too new; the error says which are known."""
    proto = mlp()
    proto.opset_import[0].version = opset
    refused(saved(proto, tmp_path), lg.SaveError, f"opset {opset}, and those from 7 to 28 are known")


def test_unknown_ops_are_named_all_at_once(tmp_path: Path) -> None:
    """With their domains, and the nodes."""
    nodes = [
        helper.make_node("Fancy", ["x"], ["a"], "first"),
        helper.make_node("Fancy", ["a"], ["b"], "second"),
        helper.make_node("Other", ["b"], ["y"], "third", domain="com.example"),
    ]
    proto = model_of(nodes, {"x": [2]}, {"y": 1}, {})
    proto.opset_import.append(helper.make_opsetid("com.example", 1))
    said = refused(saved(proto, tmp_path), lg.ExportError, "2 of its ops have no form here")
    assert "Fancy:  'first', 'second'" in said
    assert "com.example.Other:  'third'" in said


def test_a_model_of_another_domain_alone_is_refused_by_its_ops(tmp_path: Path) -> None:
    """As scikit-learn's are exported; with ops of ONNX, but no version of them, it is damaged."""
    nodes = [helper.make_node("CategoryMapper", ["x"], ["y"], "mapper", domain="ai.onnx.ml")]
    for made, kind, match in (
        (nodes, lg.ExportError, "ai.onnx.ml.CategoryMapper:  'mapper'"),
        ([helper.make_node("Relu", ["x"], ["y"])], lg.SaveError, "no opset"),
    ):
        proto = model_of(made, {"x": [2]}, {"y": 1}, {})
        proto.opset_import[0].domain, proto.opset_import[0].version = "ai.onnx.ml", 3
        refused(saved(proto, tmp_path), kind, match)


def relu(proto_change: Callable[[Any], None]) -> Any:
    """A model of one node, changed."""
    proto = model_of([helper.make_node("Relu", ["x"], ["y"])], {"x": [2]}, {"y": 1}, {"w": numbers(2, 3)})
    proto_change(proto)
    return proto


def test_arrays_whose_sizes_do_not_match_their_bytes_are_refused(tmp_path: Path) -> None:
    """Larger, smaller, negative, and so large that no memory would do: nothing is reserved for them."""
    for dims in ([2, 4], [1, 1], [-1, 6], [10**9, 10**9, 10**6], [0]):

        def change(proto: Any, dims: Any = dims) -> None:
            proto.graph.initializer[0].ClearField("dims")
            proto.graph.initializer[0].dims.extend(dims)

        refused(saved(relu(change), tmp_path), lg.SaveError, "cannot read")


def test_arrays_of_text_and_sparse_ones_are_refused(tmp_path: Path) -> None:
    """Tensors have no such dtype; the error names all of them, also where they are constants in nodes."""
    text = helper.make_tensor("w", onnx.TensorProto.STRING, [1], [b"text"])
    values, places = (onnx.numpy_helper.from_array(x, n) for x, n in ((numbers(1), "s"), (np.array([1]), "i")))
    sparse = helper.make_sparse_tensor(values, places, [3])
    refused(saved(relu(lambda p: p.graph.initializer[0].CopyFrom(text)), tmp_path), lg.ExportError, "w:  STRING")
    refused(saved(relu(lambda p: p.graph.sparse_initializer.append(sparse)), tmp_path), lg.ExportError, "s:  a sparse")
    for settings, said in (({"value_string": "a"}, "STRING"), ({"sparse_value": sparse}, "a sparse array")):
        node = helper.make_node("Constant", [], ["c"], **settings)
        refused(saved(relu(lambda p, n=node: p.graph.node.append(n)), tmp_path), lg.ExportError, f"c:  {said}")


def test_functions_that_write_out_too_much_are_refused(tmp_path: Path) -> None:
    """Forty that each call the next one twice are 2⁴⁰ nodes in a file of 4 KB."""
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
    proto = model_of([helper.make_node("F39", ["x"], ["y"], domain="own")], {"x": [2]}, {"y": 1}, {})
    proto.opset_import.append(opsets[1])
    for k in range(40):
        inner = f"F{k - 1}" if k else "Neg"
        calls = [helper.make_node(inner, [a], [b], domain="own" if k else "") for a, b in (("a", "m"), ("m", "b"))]
        proto.functions.append(helper.make_function("own", f"F{k}", ["a"], ["b"], calls, opsets))
    refused(saved(proto, tmp_path), lg.SaveError, "more than 1,000,000 nodes")


def test_axes_that_are_too_long_are_not_made_while_the_step_is_written(tmp_path: Path) -> None:
    """Neither by a resize or a mirror, whose places are worked out then, nor by a one-hot."""
    scales = np.array([1, 1e9], np.float32)
    model = lg.import_onnx(
        saved(
            model_of([helper.make_node("Resize", ["x", "", "s"], ["y"])], {"x": [1, 2]}, {"y": 2}, {"s": scales}),
            tmp_path,
        )
    )
    with pytest.raises(lg.ExportError, match="an axis of 2,000,000,000 is too long"):
        ours(model, x=numbers(1, 2))
    node = helper.make_node("Pad", ["x", "p"], ["y"], mode="reflect")
    model = lg.import_onnx(saved(model_of([node], {"x": [2]}, {"y": 1}, {"p": np.array([2**31, 0])}), tmp_path))
    with pytest.raises(lg.ExportError, match="an axis of 2,147,483,648 is too long"):
        ours(model, x=numbers(2))
    nodes = [helper.make_node("Cast", ["x"], ["i"], to=7), helper.make_node("OneHot", ["i", "d", "v"], ["y"])]
    weights = {"d": np.array(10**13), "v": np.array([0, 1], np.float32)}
    model = lg.import_onnx(saved(model_of(nodes, {"x": [2]}, {"y": 2}, weights), tmp_path))
    assert "10000000000000" in str(model.env.trace(lambda ctx, x: model(x), numbers(2)))


def test_a_graph_that_is_none_is_refused(tmp_path: Path) -> None:
    """A value that nothing makes, a cycle, an output twice, an op of too few operands."""
    relus = [helper.make_node("Relu", [a], [b]) for a, b in (("x", "a"), ("missing", "y"))]
    cycle = [helper.make_node("Add", ["x", "b"], ["a"]), helper.make_node("Relu", ["a"], ["b"])]
    twice = [helper.make_node("Relu", ["x"], ["y"]), helper.make_node("Abs", ["x"], ["y"])]
    few = [helper.make_node("Add", ["x"], ["y"])]
    for nodes, output in ((relus, "y"), (cycle, "a"), (twice, "y"), (few, "y")):
        refused(saved(model_of(nodes, {"x": [2]}, {output: 1}, {}), tmp_path), lg.SaveError, "checker")


def test_a_function_that_calls_itself_is_refused(tmp_path: Path) -> None:
    """It would never end."""
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
    body = [helper.make_node("Self", ["a"], ["b"], domain="own")]
    proto = model_of([helper.make_node("Self", ["x"], ["y"], domain="own")], {"x": [2]}, {"y": 1}, {})
    proto.opset_import.append(opsets[1])
    proto.functions.append(helper.make_function("own", "Self", ["a"], ["b"], body, opsets))
    refused(saved(proto, tmp_path), lg.SaveError, "'Self' calls itself")


def outside(folder: Path, location: str, **more: str) -> Path:
    """A model with a weight in another file."""
    proto = model_of([helper.make_node("MatMul", ["x", "w"], ["y"])], {"x": [1, 2]}, {"y": 2}, {"w": numbers(2, 3)})
    weight = proto.graph.initializer[0]
    weight.ClearField("raw_data")
    weight.data_location = onnx.TensorProto.EXTERNAL
    for key, value in {"location": location, **more}.items():
        weight.external_data.add(key=key, value=value)
    (folder / "model.onnx").write_bytes(proto.SerializeToString())
    return folder / "model.onnx"


def test_arrays_in_other_files_are_read_from_the_folder_of_the_model(tmp_path: Path) -> None:
    """Also from folders in it, and from a place in a file."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "w.bin").write_bytes(b"1234" + numbers(2, 3).tobytes() + b"5678")
    model = lg.import_onnx(outside(tmp_path, "in/w.bin", offset="4", length="24"))
    x = numbers(1, 2, seed=1)
    np.testing.assert_allclose(ours(model, x=x)[0], x @ numbers(2, 3), rtol=1e-6)


def test_arrays_outside_of_the_folder_are_refused(tmp_path: Path) -> None:
    """Above it, by an absolute path, by a link to a file or to a folder."""
    inner = tmp_path / "inner"
    inner.mkdir()
    (tmp_path / "secret").write_bytes(numbers(2, 3).tobytes())
    (inner / "link").symlink_to(tmp_path / "secret")
    (inner / "folder").symlink_to(tmp_path)
    for location in ("../secret", str(tmp_path / "secret"), "a/../../secret", "..\\secret", "C:\\secret", ""):
        refused(outside(inner, location), lg.SaveError, "outside of the folder")
    for location in ("link", "folder/secret"):
        refused(outside(inner, location), lg.SaveError, "which is a link")


def test_arrays_in_files_that_do_not_hold_them_are_refused(tmp_path: Path) -> None:
    """Missing, a folder, too short, from a place beyond the end, and with a length that is no number."""
    (tmp_path / "w.bin").write_bytes(numbers(2, 3).tobytes())
    (tmp_path / "folder").mkdir()
    refused(outside(tmp_path, "missing"), lg.SaveError, "which is not there")
    refused(outside(tmp_path, "folder"), lg.SaveError, "no plain file")
    for more in ({"length": "20"}, {"length": "100"}, {"offset": "4"}, {"offset": "-1"}, {"length": "1e9"}):
        refused(outside(tmp_path, "w.bin", **more), lg.SaveError, "cannot read")
    refused(outside(tmp_path, "w.bin", length=str(10**17)), lg.SaveError, "ends beyond the end")


def test_a_file_of_a_terabyte_beside_the_model_is_not_read(tmp_path: Path) -> None:
    """Its bytes are counted by the shape first; such a file has holes in place of bytes."""
    with open(tmp_path / "w.bin", "wb") as file:
        file.truncate(2**40)
    for more in ({}, {"length": str(2**40)}, {"length": str(2**39), "offset": "8"}):
        refused(outside(tmp_path, "w.bin", **more), lg.SaveError, r"and 24 by its shape \[2, 3\]")


def test_what_must_be_known_is_said(tmp_path: Path) -> None:
    """A shape that only the step computes; as an array beside the step it is known."""
    nodes = [
        helper.make_node("Cast", ["n"], ["shape"], to=7),
        helper.make_node("Reshape", ["x", "shape"], ["y"], "there"),
    ]
    model = lg.import_onnx(saved(model_of(nodes, {"x": [6], "n": [2]}, {"y": 2}, {}), tmp_path))
    x, shape = numbers(6), np.array([2, 3], "float32")
    with pytest.raises(lg.ExportError, match=r"cannot import Reshape 'there': its 'shape' is not known"):
        model.env.run(lambda ctx, x, n: model(x, n), x, shape)
    assert (2, 3) == model.env.run(lambda ctx, x: model(x, shape), x).shape


def test_a_large_array_of_one_number_is_not_made_while_the_step_is_written(tmp_path: Path) -> None:
    """A file of 200 bytes may ask for a terabyte: the error comes from the step, before any memory is taken."""
    shape = np.array([10**6, 10**6], np.int64)
    nodes = [helper.make_node("ConstantOfShape", ["shape"], ["a"]), helper.make_node("Add", ["a", "x"], ["y"])]
    model = lg.import_onnx(saved(model_of(nodes, {"x": [1]}, {"y": 2}, {"shape": shape}), tmp_path))
    graph = model.env.trace(lambda ctx, x: model(x), numbers(1))
    assert "1000000, 1000000" in str(graph)
