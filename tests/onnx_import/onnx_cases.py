"""The tests of single nodes that the package ``onnx`` carries: models, inputs, and what they must give."""

from __future__ import annotations

import functools
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import lazygrad as lg
from lazygrad.onnx.ops import table
from lazygrad.onnx.package import DOMAINS

onnx = pytest.importorskip("onnx", reason="the package onnx is not installed")

# Tensors are of bool, whole numbers, float16, float32 and float64; bfloat16 is computed in float32.
WHOLE = {f"{sign}int{n}" for sign in ("", "u") for n in (8, 16, 32, 64)}
HELD = {"bool", *WHOLE, "float16", "float32", "float64", "bfloat16"}


# What is given as it is known, though it need not always be: the turns of loops and the conditions of branches, as what
# stacks, or gives sequences, needs a known one; and operands of functions that decide about shapes.
FOLDED = {
    "Loop": frozenset({0, 1}),
    "If": frozenset({0}),
    "AffineGrid": frozenset({1}),
    "CenterCropPad": frozenset({1}),
    "HannWindow": frozenset({0}),
    "HammingWindow": frozenset({0}),
    "BlackmanWindow": frozenset({0}),
}


@functools.cache
def cases() -> list[Any]:
    """All of them, which takes some seconds."""
    from onnx.backend.test import loader

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what their generators say about overflows that they mean
        found = sorted(loader.load_model_tests(kind="node"), key=lambda case: str(case.name))
    return [case if case.model is not None else _read(case) for case in found]


def _read(case: Any) -> Any:
    """A case of older packages, which lies in files."""
    folder = Path(case.model_dir)
    model = onnx.load(folder / "model.onnx")
    sets = []
    for each in sorted(folder.glob("test_data_set_*")):
        named = [(model.graph.input, "input"), (model.graph.output, "output")]
        sets.append([[_value(v, each / f"{what}_{k}.pb") for k, v in enumerate(values)] for values, what in named])
    return SimpleNamespace(name=case.name, model=model, data_sets=sets, rtol=case.rtol, atol=case.atol)


def _value(described: Any, file: Path) -> Any:
    if described.type.HasField("tensor_type"):
        return onnx.TensorProto.FromString(file.read_bytes())
    if described.type.HasField("sequence_type"):
        return onnx.numpy_helper.to_list(onnx.SequenceProto.FromString(file.read_bytes()))
    return onnx.numpy_helper.to_optional(onnx.OptionalProto.FromString(file.read_bytes()))


def nodes(graph: Any) -> list[Any]:
    """The nodes of a graph, and of those in it."""
    found = []
    for node in graph.node:
        found.append(node)
        for setting in node.attribute:
            found += nodes(setting.g) if setting.HasField("g") else []
    return found


def ops_of(case: Any) -> set[tuple[str, str]]:
    """The ops that a case needs, by domain and name."""
    own = {(f.domain, f.name) for f in case.model.functions}
    graphs = [case.model.graph, *case.model.functions]
    return {(node.domain, node.op_type) for graph in graphs for node in nodes(graph)} - own


def kinds_of(case: Any) -> set[str]:
    """The element types of its inputs, outputs and arrays, in NumPy's words where it has them."""
    named = {number: name for name, number in onnx.TensorProto.DataType.items()}
    found = {array.data_type for array in case.model.graph.initializer}
    for value in (*case.model.graph.input, *case.model.graph.output, *case.model.graph.value_info):
        kind = value.type
        while not kind.HasField("tensor_type"):
            if not (kind.HasField("sequence_type") or kind.HasField("optional_type")):
                return {"sparse"}
            kind = (kind.optional_type if kind.HasField("optional_type") else kind.sequence_type).elem_type
        found.add(kind.tensor_type.elem_type)
    for node in nodes(case.model.graph):
        for setting in node.attribute:
            found |= {setting.t.data_type} if setting.HasField("t") else set()
            found |= {setting.i} if setting.name in ("to", "dtype", "output_dtype") and setting.i else set()
    numpy = {"FLOAT": "float32", "DOUBLE": "float64"}
    return {numpy.get(named[number], named[number].lower()) for number in found}


def is_here(domain: str, name: str) -> bool:
    """Whether an op is in the table, or ONNX says it in others."""
    if (domain, name) in table.ops():
        return True
    schema = onnx.defs.get_schema(name, onnx.defs.onnx_opset_version(), domain)
    return bool(schema.has_function or schema.has_context_dependent_function)


def why_not(case: Any) -> str | None:
    """Why a case is none for us; None if it is one."""
    missing = sorted(name for domain, name in ops_of(case) if not is_here(domain, name))
    if missing:
        return f"there is no {missing[0]}"
    if any(entry.version < 7 and entry.domain in DOMAINS for entry in case.model.opset_import):
        return "its opset is below 7"
    odd = sorted(kinds_of(case) - HELD)
    return f"tensors are not of {odd[0]}" if odd else None


def check(case: Any, folder: Path) -> None:
    """Raise AssertionError unless the layer gives what the case wants, within its tolerances."""
    path = folder / "node.onnx"
    onnx.save(case.model, path)
    for inputs, outputs in case.data_sets:
        model = lg.import_onnx(path)
        named = {name: plain(array(value)) for name, value in zip(model.inputs, inputs, strict=True)}
        fed = {name: value for name, value in named.items() if name not in known(case)}
        kept = {name: value for name, value in named.items() if name not in fed}
        found = model.env.run(lambda ctx, fed, model=model, kept=kept: model(**fed, **kept), fed)
        same(list(found) if isinstance(found, tuple) else [found], [array(value) for value in outputs], case)


def known(case: Any) -> set[str]:
    """The inputs that must be known while the step is written: those that what a node asks for is computed of."""
    wanted: set[str] = set()
    for node in reversed(nodes(case.model.graph) * 2):  # twice, as what a branch gives is asked for outside of it
        form = table.ops().get((node.domain, node.op_type))
        asked = (
            FOLDED.get(node.op_type, frozenset())
            if form is None
            else form.known | FOLDED.get(node.op_type, frozenset())
        )
        wanted |= {name for place, name in enumerate(node.input) if place in asked}
        if wanted & set(node.output) and node.op_type not in ("Shape", "Size"):
            wanted |= set(node.input)
            wanted |= {value.name for setting in node.attribute for value in setting.g.output}
    return wanted


def array(value: Any) -> Any:
    """A value of a case; some are still messages."""
    if isinstance(value, onnx.TensorProto):
        return onnx.numpy_helper.to_array(value)
    return [array(each) for each in value] if isinstance(value, list) else value


def plain(value: Any) -> Any:
    """An array that NumPy has no dtype for, in float32."""
    return value.astype(np.float32) if getattr(value, "dtype", None) is not None and value.dtype.kind == "V" else value


def same(found: list[Any], wanted: list[Any], case: Any) -> None:
    """Raise AssertionError unless shapes, dtypes and numbers agree."""
    assert len(found) == len(wanted)
    for got, want in zip(found, wanted, strict=True):
        if isinstance(want, list):
            same(list(got), want, case)
            continue
        want, got = np.asarray(want), np.asarray(got)
        if want.dtype.kind == "V":  # bfloat16, of 8 bits: it was rounded every step
            assert (np.dtype(np.float32), want.shape) == (got.dtype, got.shape)
            np.testing.assert_allclose(got, want.astype(np.float32), rtol=2e-2, atol=2e-2)
            continue
        assert (want.dtype, want.shape) == (got.dtype, got.shape)
        if want.dtype == np.float16:  # some compute in float32 and round once, as we do, some round every step
            np.testing.assert_allclose(got, want, rtol=max(case.rtol, 2e-3), atol=max(case.atol, 2e-3))
            continue
        # What is wanted is rounded too: a 0 among large numbers may stand there as some last digits of these.
        finite = np.abs(want[np.isfinite(want)]).max(initial=0) if want.dtype.kind == "f" else 0
        np.testing.assert_allclose(got, want, rtol=case.rtol, atol=max(case.atol, 1e-7 * float(finite)))
