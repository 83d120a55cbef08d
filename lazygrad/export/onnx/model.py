"""Writing a step as a model of ONNX: its plan as a graph, checked before there is a file."""

from __future__ import annotations

import os
import re
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from lazygrad.errors import BackendError, ExportError, report
from lazygrad.export.onnx import rules_regions, rules_sequences, rules_windows
from lazygrad.export.onnx.aside import is_large, set_aside, with_weights_given
from lazygrad.export.onnx.batches import Again, Batch, model_for
from lazygrad.export.onnx.needed import needed, read_within
from lazygrad.export.onnx.reading import write_graph, writer_of
from lazygrad.export.onnx.writer import Value, code_of
from lazygrad.export.source import Source, checked, own_version
from lazygrad.export.together import targets_of, write
from lazygrad.graph.registry import here

__all__ = ["OPSET", "export", "model_of"]

# Their rules are known once they are imported.
assert rules_regions
assert rules_sequences
assert rules_windows

OPSET = 18  # operators are written as they were then; later ones are the same but for their dtypes


def export(
    source: Source,
    again: Again,
    path: str | os.PathLike[str],
    opset: int = OPSET,
    batch: Batch = "auto",
    weights: str = "inside",
    lines: bool = True,
) -> list[Path]:
    """Write a step as a file of ONNX, and perhaps one of its weights: both, or none.

    Args:
        source: the step for some arguments.
        again: writes it for arrays of other shapes.
        path: of the file.
        opset: the number of the operators.
        batch: which sizes are open, as :func:`~lazygrad.export.onnx.batches.model_for` takes it.
        weights: ``"inside"`` the file, or in a ``"file"`` beside, whose name ends in ``.data``; models of more than
            2 GB have one anyway.
        lines: whether nodes say the lines of the user's program that they come from.

    Returns:
        The files.

    Raises:
        ExportError: something in the step has no form in ONNX, or a setting is another one.
        SaveError: a file cannot be written.
        BackendError: the package ``onnx`` is missing.
    """
    known_opset(opset)
    if weights not in ("inside", "file"):
        cure = "They are 'inside' the model, or in a 'file' beside it."
        raise ExportError(report(f"cannot export with weights={weights!r:.40}", at=here(), cure=cure))
    whole = os.fspath(path)
    targets = targets_of(whole, [""])
    model = model_for(source, again, lambda one: model_of(one, opset), batch)
    if not lines:
        _silent(model.graph)
    files: dict[Path, bytes] = {}
    if weights == "file" or is_large(model):
        targets = targets_of(whole, ["", ".data"])
        files[targets[".data"]] = set_aside(model, targets[".data"].name)
        examined(with_weights_given(model), source.name)
    else:
        examined(model, source.name)
    files[targets[""]] = model.SerializeToString()
    write(whole, files)
    return [Path(whole), *([Path(f"{whole}.data")] if len(files) > 1 else [])]


def _silent(graph: Any) -> None:
    """Take away what nodes say, in graphs within nodes too."""
    for node in graph.node:
        node.ClearField("doc_string")
        for attribute in node.attribute:
            if attribute.HasField("g"):
                _silent(attribute.g)


def known_opset(opset: Any) -> None:
    """Raise for a number of operators that is too old, or newer than the package ``onnx`` knows."""
    try:
        from onnx.defs import onnx_opset_version
    except ImportError as reason:
        cure = "pip install 'lazygrad[onnx]', or: pip install onnx"
        raise BackendError(report("cannot export to ONNX without the package onnx", at=here(), cure=cure)) from reason
    newest = onnx_opset_version()
    if not isinstance(opset, (int, np.integer)) or isinstance(opset, bool) or not OPSET <= opset <= newest:
        cure = f"Choose one from {OPSET} to {newest}, the newest that the package onnx here knows."
        raise ExportError(report(f"cannot export to ONNX with opset={opset!r:.40}", at=here(), cure=cure))


def model_of(source: Source, opset: int = OPSET) -> Any:
    """The model of a step, an ``onnx.ModelProto``, unchecked. Names follow from the order of nodes alone.

    Raises:
        ExportError: something in the step has no form in ONNX.
    """
    from onnx import helper, numpy_helper

    plan = checked(source).plan
    writer = writer_of(opset)
    given: dict[int, Value] = {}
    inputs = []
    for one in source.inputs:
        name = writer.fresh(_named(one.said))
        inputs.append(helper.make_tensor_value_info(name, code_of(one.spec.dtype), list(one.spec.shape)))
        if one.node is not None:
            given[one.node] = Value(writer, name, one.spec)
    outputs = [writer.fresh(_named(name)) for name in source.outputs]
    said = {i: name for name, i in plan.variables.items()}
    for i, array in source.arrays.items():
        given[i] = Value(writer, writer.constant(array, said.get(i, "constant")), plan.spec(i))
    values = write_graph(writer, plan.graph, given)
    infos = []
    asked = Counter(value.name for i in plan.values if isinstance(value := values[i], Value))
    for name, i in zip(outputs, plan.values, strict=True):
        value = values[i]
        assert isinstance(value, Value)
        if asked[value.name] > 1 or not _end(writer.nodes, value.name, name):
            writer.node("Identity", [value.name], [name])
        infos.append(helper.make_tensor_value_info(name, code_of(value.dtype), list(plan.spec(i).shape)))
    nodes = needed(writer.nodes, outputs)
    read = {name for node in nodes for name in node.input} | read_within(nodes)
    arrays = [numpy_helper.from_array(a, name) for name, a in writer.constants.items() if name in read]
    graph = helper.make_graph(nodes, _named(source.name), inputs, infos, arrays)
    return helper.make_model(
        graph,
        doc_string=f"The step {source.name}, written by lazygrad.",
        producer_name="lazygrad",
        producer_version=own_version(),
        opset_imports=[helper.make_opsetid("", opset)],
        ir_version=helper.find_min_ir_version_for([helper.make_opsetid("", opset)]),
    )


def _end(nodes: list[Any], name: str, output: str) -> bool:
    """Let a node give an output of the model, if nothing else reads what it gives."""
    made = next((node for node in nodes if list(node.output) == [name]), None)
    if made is None or name in read_within(nodes) or any(name in node.input for node in nodes):
        return False
    made.output[0] = output
    return True


def _named(said: str) -> str:
    """A name as runtimes take it."""
    return re.sub(r"\W+", "_", said).strip("_") or "y"


def examined(model: Any, name: str) -> Any:
    """The model, if it is one by ONNX' own checks: of every node, and of shapes and types of all that it computes."""
    from onnx import checker, shape_inference

    try:
        checker.check_model(model, full_check=True)
    except (checker.ValidationError, shape_inference.InferenceError) as reason:
        facts = [str(reason).strip().splitlines()[0][:200]]
        cure = "This is a fault of lazygrad, or of a kernel of your own: no file was written."
        raise ExportError(
            report(f"cannot export {name}: ONNX refuses the model", at=here(), facts=facts, cure=cure)
        ) from reason
    return model
