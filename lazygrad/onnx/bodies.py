"""Messages of the package as what is kept: graphs, and functions by which ONNX says an op in others."""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Iterable
from typing import Any

import numpy as np

from lazygrad.onnx.described import Body, Input, Node, cleaned
from lazygrad.onnx.package import DOMAINS, array_of, dtype_of, kind_of, package

__all__ = ["Reader", "function_of", "schema_of"]


def schema_of(onnx: Any, op: str, domain: str, opsets: dict[str, int]) -> Any:
    """What ONNX says of an op in a version; None if it has none such."""
    plain, opset = _version(domain, opsets)
    try:
        return onnx.defs.get_schema(op, opset, plain)
    except onnx.defs.SchemaError:
        return None


def _version(domain: str, opsets: dict[str, int]) -> tuple[str, int]:
    """A domain, by one name where it has two, and the version of its ops."""
    plain = "" if domain in DOMAINS else domain
    return plain, next((opsets[name] for name in (DOMAINS if plain == "" else (plain,)) if name in opsets), 1)


def _scope(node: Any) -> str:
    """The part of the model that a node is in, as its name says it, "/encoder/layer.0/MatMul".

    PyTorch's newer exporter says it beside the name, as a list: "", "encoder", "encoder.layer.0", "matmul".
    """
    words = node.name.split("/")[:-1]
    for entry in getattr(node, "metadata_props", ()):
        if entry.key == "pkg.torch.onnx.name_scopes":
            scopes = re.findall(r"'([^']*)'", entry.value)[:-1]
            words = [inner.removeprefix(f"{outer}.") if outer else inner for outer, inner in itertools.pairwise(scopes)]
    return "/".join(cleaned(word) for word in words if word.strip())


def _buffers(graph: Any) -> frozenset[str]:
    """The arrays that PyTorch's newer exporter says are no parameters: buffers, and what is made of these.

    Masks and windows among them: trained, a mask would let through what it hides.
    """
    said = next(
        (e.value for e in graph.metadata_props if e.key == "pkg.torch.export.ExportedProgram.graph_signature"), ""
    )
    learned = set(re.findall(r": PARAMETER target='([^']*)'", said))
    made = {
        value.name: learned.intersection(re.findall(r"'([^']*)'", entry.value))
        for value in graph.value_info
        for entry in value.metadata_props
        if said and entry.key == "pkg.onnxscript.optimizer.folded_from"
    }
    others = re.findall(r": (?:BUFFER|CONSTANT_TENSOR) target='([^']*)'", said)
    return frozenset(others) | {name for name, parameters in made.items() if not parameters}


class Reader:
    """What turns messages into what is kept."""

    def __init__(self, onnx: Any, opsets: dict[str, int]) -> None:
        self.onnx, self.opsets = onnx, opsets

    def body(self, graph: Any) -> Body:
        """A graph."""
        if graph.sparse_initializer:
            raise ValueError("it has sparse arrays, which are not here")
        arrays = {tensor.name: array_of(tensor, self.onnx) for tensor in graph.initializer}
        return Body(
            tuple(self.node(node, number) for number, node in enumerate(graph.node)),
            tuple(self.input(value) for value in graph.input),
            tuple(self.input(value) for value in graph.output),
            arrays,
            _buffers(graph),
        )

    def node(self, node: Any, number: int) -> Node:
        """A node, with the settings that it leaves out."""
        domain, opset = _version(node.domain, self.opsets)
        schema = schema_of(self.onnx, node.op_type, node.domain, self.opsets)  # None: an op of onnxruntime
        helper = self.onnx.helper
        settings = {
            name: self.setting(helper.get_attribute_value(attribute.default_value))
            for name, attribute in (schema.attributes.items() if schema else ())
            if attribute.default_value.type
        }
        settings |= {a.name: self.setting(helper.get_attribute_value(a)) for a in node.attribute}
        name = node.name or f"{node.op_type}_{number}"
        return Node(
            node.op_type,
            name,
            tuple(node.input),
            tuple(node.output),
            settings,
            domain,
            opset,
            schema.since_version if schema else 1,
            b"" if node.op_type == "Constant" else node.SerializeToString(),
            _scope(node),
        )

    def setting(self, value: Any) -> Any:
        """A setting as Python has it."""
        if isinstance(value, self.onnx.TensorProto):
            return array_of(value, self.onnx)
        if isinstance(value, self.onnx.GraphProto):
            return self.body(value)
        if isinstance(value, bytes):
            return value.decode(errors="replace")
        if isinstance(value, Iterable) and not isinstance(value, str):
            return tuple(self.setting(item) for item in value)
        return value

    def input(self, value: Any) -> Input:
        """An input, or an output."""
        kind = value.type
        if not kind.HasField("tensor_type"):
            return Input(value.name, None, None, str(kind.WhichOneof("value")).removesuffix("_type"))
        dtype = dtype_of(kind.tensor_type.elem_type, self.onnx)
        shape = None
        if kind.tensor_type.HasField("shape"):
            shape = tuple(
                dim.dim_value if dim.HasField("dim_value") and dim.dim_value >= 0 else dim.dim_param or None
                for dim in kind.tensor_type.shape.dim
            )
        return Input(value.name, dtype, shape, kind_of(kind.tensor_type.elem_type, self.onnx))

    def function(self, function: Any, node: Any, schema: Any) -> Body:
        """A function for the settings of one node."""
        given = {a.name: a for a in node.attribute}
        defaults = {name: a.default_value for name, a in schema.attributes.items() if a.default_value.type}
        for inner in function.node:
            kept = []
            for setting in inner.attribute:
                found = setting
                if setting.ref_attr_name:
                    found = given.get(setting.ref_attr_name, defaults.get(setting.ref_attr_name))
                    if found is None:
                        continue
                    found = type(setting).FromString(found.SerializeToString())
                    found.name = setting.name
                kept.append(type(setting).FromString(found.SerializeToString()))
            del inner.attribute[:]
            inner.attribute.extend(kept)
        made = {*function.input, *(name for inner in function.node for name in inner.output)}
        return Body(
            tuple(self.node(inner, number) for number, inner in enumerate(function.node)),
            tuple(Input(name, None, None) for name in function.input),
            tuple(Input(name if name in made else "", None, None) for name in function.output),
            {},
        )


@functools.lru_cache(1024)
def _function(proto: bytes, domain: str, opset: int, types: tuple[bytes, ...]) -> Body:
    onnx = package()
    node = onnx.NodeProto.FromString(proto)
    schema = onnx.defs.get_schema(node.op_type, opset, domain)
    if schema.has_function:
        version = max(v for v in schema.function_opset_versions if v <= opset)
        data = schema.get_function_with_opset_version(version)
    else:
        version = max(v for v in schema.context_dependent_function_opset_versions if v <= opset)
        data = schema.get_context_dependent_function_with_opset_version(version, proto, list(types))
    function = onnx.FunctionProto.FromString(data)
    opsets = {entry.domain: entry.version for entry in function.opset_import}
    if not any(name in opsets for name in DOMAINS):
        opsets[""] = onnx.defs.onnx_opset_version() if domain else opset
    return Reader(onnx, opsets).function(function, node, schema)


def function_of(node: Node, operands: Iterable[Any]) -> Body:
    """The nodes by which ONNX says one, for operands of these shapes and dtypes."""
    onnx = package()

    def type_of(value: Any) -> Any:
        if value is None:
            return onnx.TypeProto()
        if isinstance(value, list):
            return onnx.helper.make_sequence_type_proto(type_of(value[0] if value else np.float32(0)))
        kind = onnx.helper.np_dtype_to_tensor_dtype(np.dtype(value.dtype))
        return onnx.helper.make_tensor_type_proto(kind, value.shape)

    types = tuple(type_of(value).SerializeToString() for value in operands)
    return _function(node.proto, node.domain, node.opset, types)
