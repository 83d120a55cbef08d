"""What a model must keep to before it is read: its versions, its functions, and the types of its arrays."""

from __future__ import annotations

from typing import Any

from lazygrad.errors import ExportError, report
from lazygrad.graph.registry import here
from lazygrad.onnx.package import DOMAINS, dtype_of, graphs, held, kind_of

__all__ = ["MOST_NODES", "check_arrays", "check_functions", "check_opset"]

MOST_NODES = 10**6  # that the functions of a model write out


def check_opset(proto: Any, onnx: Any, oldest: int, newest: int) -> None:
    """Raise ValueError for versions that are not known, and for two of one domain."""
    if proto.ir_version > onnx.IR_VERSION:
        raise ValueError(
            f"it is of ir_version {proto.ir_version}, and the package onnx {onnx.__version__} knows them up to "
            f"{onnx.IR_VERSION}: there may be a newer package"
        )
    versions: dict[str, int] = {}
    for entry in proto.opset_import:
        domain = "" if entry.domain in DOMAINS else entry.domain
        if versions.setdefault(domain, entry.version) != entry.version:
            named = repr(domain) if domain else "the ops of ONNX"
            raise ValueError(f"it says two opsets of {named}, {versions[domain]} and {entry.version}")
    if not oldest <= versions.get("", oldest) <= newest:
        raise ValueError(
            f"it is of opset {versions['']}, and those from {oldest} to {newest} are known: "
            "onnx.version_converter makes one of another opset of it"
        )


def check_functions(proto: Any) -> None:
    """Raise ValueError if a function of the model calls itself, perhaps by way of others, or writes out too much."""
    keys = {_key(f.domain, f.name, f): f for f in proto.functions}
    called = {key: _calls(f) for key, f in keys.items()}
    counts: dict[Any, int] = {}
    while len(counts) < len(keys):
        before = len(counts)
        for key, calls in called.items():
            if key not in counts and all(call in counts for call in calls if call in keys):
                counts[key] = sum(counts.get(call, 1) for call in calls)
        if len(counts) == before:
            stuck = next(key for key in keys if key not in counts)
            raise ValueError(f"its function {stuck[1]!r:.60} calls itself")
    total = sum(counts.get(call, 1) for call in _calls(proto.graph))
    if keys and total > MOST_NODES:
        raise ValueError(f"its functions, written out, have more than {MOST_NODES:,} nodes")


def _key(domain: str, name: str, message: Any) -> tuple[str, str, str]:
    return domain, name, getattr(message, "overload", "")


def _calls(graph: Any) -> list[tuple[str, str, str]]:
    """What the nodes of a graph, or of a function, and of all graphs in it apply."""
    return [_key(node.domain, node.op_type, node) for g in graphs(graph) for node in g.node]


def check_arrays(proto: Any, onnx: Any) -> None:
    """Raise ExportError for arrays of a type that nothing here computes with.

    Numbers of few bits, as weights are stored in, are read into types of NumPy; that they are of few bits is not known
    then, so only what makes other numbers of them may take them.
    """
    roots = [graph for root in (proto.graph, *proto.functions) for graph in graphs(root)]
    kinds = {array.name: array.data_type for graph in roots for array in getattr(graph, "initializer", ())}
    odd = []
    for graph in roots:
        if getattr(graph, "sparse_initializer", None):
            odd += [f"{array.values.name}:  a sparse array" for array in graph.sparse_initializer]
        for node in graph.node if graph else ():
            for setting in node.attribute:
                if node.op_type == "Constant" and setting.name.startswith(("sparse", "value_string")):
                    odd.append(f"{node.output[0]}:  {'a sparse array' if setting.name[0] == 's' else 'STRING'}")
                elif setting.HasField("t"):
                    kinds[node.output[0] if node.output else node.name] = setting.t.data_type
    odd += [f"{name}:  {kind_of(kind, onnx)}" for name, kind in kinds.items() if held(kind, onnx) is None]
    small = {name: kind for name, kind in kinds.items() if dtype_of(kind, onnx) is None and held(kind, onnx)}
    for graph in roots:
        for node in graph.node:
            if node.op_type not in ("DequantizeLinear", "Cast", "Constant"):
                odd += [
                    f"{name}:  {kind_of(small[name], onnx)}, which {node.op_type} {node.name!r} takes"
                    for name in node.input
                    if name in small
                ]
    if odd:
        cure = "Tensors are of bool, whole numbers, float16, float32, float64; DequantizeLinear makes such of others."
        what = "cannot import the model: it has arrays that have no form here"
        raise ExportError(report(what, at=here(), facts=odd[:8], cure=cure))
