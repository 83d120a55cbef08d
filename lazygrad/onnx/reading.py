"""A file of the form ONNX as a model: everything that can be wrong with it is found here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lazygrad.errors import ExportError, SaveError, report
from lazygrad.graph.registry import here
from lazygrad.onnx.bodies import Reader, schema_of
from lazygrad.onnx.checks import check_arrays, check_functions, check_opset
from lazygrad.onnx.described import Input, Model
from lazygrad.onnx.external import take_in
from lazygrad.onnx.ops import table
from lazygrad.onnx.package import DOMAINS, bytes_of, graphs, has_odd_text, package, tensors

__all__ = ["MOST", "NEWEST", "OLDEST", "read"]

OLDEST, NEWEST = 7, 28  # of the opset: the ops of each version between have been looked at
MOST = 2**31  # bytes of a file, which protobuf can read

# What to do about ops that have no form here, by how their names begin; the first that fits is said.
CURES = {
    "com.microsoft.": "Import the model as it was before onnxruntime optimized or quantised it.",
    "": "Export the model with other ops, or without these nodes.",
}

# What is often there in place of a model, by its first bytes.
BEGINNINGS = {
    b"version https://git-lfs": "it is a pointer of Git LFS to the model: git lfs pull brings the model itself",
    b"PK\x03\x04": "it is a ZIP archive, as PyTorch's own files are: unpack it, or call torch.onnx.export",
    b"\x1f\x8b": "it is packed by gzip: unpack it",
    b"<": "it is a page or another text of a server, and not the model that was to be loaded from there",
    b"\x89HDF": "it is a file of the form HDF5, perhaps of Keras: tf2onnx makes a model of it",
}


def read(file: Path) -> Model:
    """The model in a file.

    Raises:
        SaveError: it cannot be read, or is damaged.
        ExportError: something in it has no form here.
        BackendError: the package is not installed.
    """
    onnx = package()
    try:
        if file.exists() and not file.is_dir() and not file.is_file():
            raise ValueError("it is a device or a pipe, and no file")
        if file.stat().st_size > MOST:
            raise ValueError(f"it has more than {MOST} bytes, the most that are read: keep large arrays beside it")
        proto = _parsed(file.read_bytes(), onnx)
        check_opset(proto, onnx, OLDEST, NEWEST)
        check_functions(proto)
        take_in(list(tensors(proto)), file.parent, lambda tensor: bytes_of(tensor, onnx))
        _name_domains(proto, onnx)
        _check_ops(proto, onnx, str(file))
        roots = (proto.graph, *proto.functions)
        plain = any(node.domain in DOMAINS for root in roots for graph in graphs(root) for node in graph.node)
        if plain and not any(entry.domain in DOMAINS for entry in proto.opset_import):
            raise ValueError("it says no opset of the ops of ONNX")
        _check(proto, onnx)
        check_arrays(proto, onnx)
        proto = onnx.inliner.inline_local_functions(proto) if proto.functions else proto
        opsets = {entry.domain: entry.version for entry in proto.opset_import}
        body = Reader(onnx, opsets).body(proto.graph)
        _check_inputs(body.inputs, str(file))
    except OSError as reason:
        raise SaveError(report(f"cannot read {str(file)!r}", at=here(), facts=[_said(reason)])) from None
    except ValueError as reason:
        if isinstance(reason, (SaveError, ExportError)):
            raise
        cure = "Export the model again, or copy the file again."
        raise SaveError(report(f"cannot read {str(file)!r}", at=here(), facts=[_said(reason)], cure=cure)) from None
    opset = next((opsets[domain] for domain in DOMAINS if domain in opsets), next(iter(opsets.values())))
    return Model(body, opset, " ".join([proto.producer_name, proto.producer_version]).strip(), str(file))


def _said(reason: Exception) -> str:
    text = reason.strerror if isinstance(reason, OSError) and reason.strerror else str(reason)
    line = " ".join(text.split())
    return line[:1].upper() + line[1:400].rstrip(".") + "."


def _parsed(data: bytes, onnx: Any) -> Any:
    from google.protobuf.message import DecodeError

    try:
        proto = onnx.load_model_from_string(data)
    except DecodeError:
        said = next((what for start, what in BEGINNINGS.items() if data.startswith(start)), "")
        raise ValueError(said or "it is no file of the form ONNX, or it is damaged, or cut off") from None
    if has_odd_text(proto):
        raise ValueError("it has text that is none, so it is damaged")
    if not proto.HasField("graph") or not proto.opset_import:
        raise ValueError("it is no file of the form ONNX: there is no graph, or no opset")
    if not proto.graph.output:
        raise ValueError("it has no outputs, so there is nothing to compute")
    return proto


def _name_domains(proto: Any, onnx: Any) -> None:
    """Give ops of onnxruntime their domain, where it writes them as if they were of ONNX."""
    opsets = {entry.domain: entry.version for entry in proto.opset_import}
    for root in (proto.graph, *proto.functions):
        for graph in graphs(root):
            for node in graph.node:
                own = (table.MICROSOFT, node.op_type) in table.ops()
                if own and node.domain in DOMAINS and schema_of(onnx, node.op_type, "", opsets) is None:
                    node.domain = table.MICROSOFT
                    if table.MICROSOFT not in opsets:
                        opsets[table.MICROSOFT] = 1
                        proto.opset_import.add(domain=table.MICROSOFT, version=1)


def _check_ops(proto: Any, onnx: Any, path: str) -> None:
    """Raise ExportError with all ops that have no form here, each with its nodes."""
    own = {(f.domain, f.name) for f in proto.functions}
    opsets = {entry.domain: entry.version for entry in proto.opset_import}
    missing: dict[str, list[str]] = {}
    for root in (proto.graph, *proto.functions):
        for graph in graphs(root):
            for node in graph.node:
                key = ("" if node.domain in DOMAINS else node.domain, node.op_type)
                if key not in own and not _has_form(key, opsets, onnx):
                    listed = missing.setdefault(f"{key[0]}{'.' if key[0] else ''}{key[1]}", [])
                    listed.append(node.name or (node.output[0] if node.output else ""))
    if missing:
        facts = [f"{op}:  {_listed(names)}" for op, names in sorted(missing.items())]
        cure = next((what for start, what in CURES.items() if any(op.startswith(start) for op in missing)), CURES[""])
        what = f"cannot import {path!r}: {len(missing)} of its ops have no form here"
        raise ExportError(report(what, at=here(), facts=facts, cure=cure))


def _has_form(key: tuple[str, str], opsets: dict[str, int], onnx: Any) -> bool:
    """Whether an op is in the table, or is said by others that are."""
    if key in table.ops():
        return True
    schema = schema_of(onnx, key[1], key[0], opsets)
    return schema is not None and (schema.has_function or schema.has_context_dependent_function)


def _check_inputs(inputs: tuple[Input, ...], path: str) -> None:
    """Raise ExportError for inputs of a type that tensors do not have."""
    wrong = [each for each in inputs if each.dtype is None and each.kind not in ("sequence", "optional")]
    if wrong:
        facts = [f"{each.name}:  {each.kind}" for each in wrong]
        cure = "Tensors are of bool, whole numbers, float16, float32 and float64: export the model in one of these."
        raise ExportError(
            report(f"cannot import {path!r}: its inputs have no form here", at=here(), facts=facts, cure=cure)
        )


def _listed(names: list[str]) -> str:
    shown = ", ".join(repr(name)[:80] for name in names[:4])
    return f"{shown}, and {len(names) - 4} more" if len(names) > 4 else shown


def _check(proto: Any, onnx: Any) -> None:
    """Raise ValueError for what the checker of the package finds, but for what every runtime lets pass.

    That are weights of old files that are no inputs too, and inputs and outputs that say nothing of their shape.
    """
    proto.ir_version = max(proto.ir_version, 4)
    values = [v.type.tensor_type for v in (*proto.graph.input, *proto.graph.output) if v.type.HasField("tensor_type")]
    silent = [kind for kind in values if not kind.HasField("shape")]
    for kind in silent:
        kind.shape.SetInParent()
    try:
        onnx.checker.check_model(proto)
    except (onnx.checker.ValidationError, ValueError, TypeError, RuntimeError) as reason:
        raise ValueError(f"the checker of ONNX says: {reason}") from None
    for kind in silent:
        kind.ClearField("shape")
