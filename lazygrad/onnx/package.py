"""The package ``onnx``, and the arrays of NumPy in its messages."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from lazygrad.errors import BackendError, report
from lazygrad.graph.registry import here

__all__ = [
    "DOMAINS",
    "array_of",
    "bytes_of",
    "dtype_of",
    "graphs",
    "has_odd_text",
    "held",
    "kind_of",
    "package",
    "tensors",
]

DOMAINS = ("", "ai.onnx")  # both are of the ops of ONNX itself

_WHOLE = ["INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64"]
_KINDS = ["BOOL", *_WHOLE, "FLOAT16", "FLOAT", "DOUBLE"]

# What NumPy does not have, in what has all of its numbers. Only arrays of a file are of the small ones, see
# ``reading``, as nothing here rounds to them.
_SMALL: dict[str, tuple[Any, int]] = {
    "BFLOAT16": (np.float32, 16),
    "INT4": (np.int8, 4),
    "UINT4": (np.uint8, 4),
    "INT2": (np.int8, 2),
    "UINT2": (np.uint8, 2),
    "FLOAT8E4M3FN": (np.float32, 8),
    "FLOAT8E4M3FNUZ": (np.float32, 8),
    "FLOAT8E5M2": (np.float32, 8),
    "FLOAT8E5M2FNUZ": (np.float32, 8),
    "FLOAT4E2M1": (np.float32, 4),
}


def package() -> Any:
    """The package.

    Raises:
        BackendError: it is not installed.
    """
    try:
        import onnx
        import onnx.checker
        import onnx.inliner
        import onnx.numpy_helper
    except ImportError:
        cure = "Install it: pip install 'lazygrad[onnx]'."
        raise BackendError(report("cannot read ONNX: the package onnx is not there", at=here(), cure=cure)) from None
    return onnx


def dtype_of(kind: int, onnx: Any) -> np.dtype[Any] | None:
    """The dtype of NumPy for an element type, None where tensors have none such; bfloat16 is computed in float32."""
    if kind == onnx.TensorProto.BFLOAT16:
        return np.dtype(np.float32)
    known = {getattr(onnx.TensorProto, name) for name in _KINDS}
    return np.dtype(onnx.helper.tensor_dtype_to_np_dtype(kind)) if kind in known else None


def held(kind: int, onnx: Any) -> np.dtype[Any] | None:
    """The dtype of NumPy in which an array of a file is held: one that has all its numbers; None if there is none."""
    name = kind_of(kind, onnx)
    return np.dtype(_SMALL[name][0]) if name in _SMALL else dtype_of(kind, onnx)


def kind_of(kind: int, onnx: Any) -> str:
    """What an element type is called."""
    return str({number: name for name, number in onnx.TensorProto.DataType.items()}.get(kind, kind))


def _bits(kind: int, dtype: np.dtype[Any], onnx: Any) -> int:
    """How many bits an element has in a file, of a type that is held in this one."""
    return int(_SMALL.get(kind_of(kind, onnx), (None, 8 * dtype.itemsize))[1])


def bytes_of(tensor: Any, onnx: Any) -> int | None:
    """How many bytes a tensor has by its shape; None if it is of a type that is not read."""
    dtype = held(tensor.data_type, onnx)
    return None if dtype is None else -(-math.prod(tensor.dims) * _bits(tensor.data_type, dtype, onnx) // 8)


def array_of(tensor: Any, onnx: Any) -> Any:
    """The array of a tensor, whose bytes are those that its shape says.

    Raises:
        ValueError: they are not, or it has a dtype that tensors do not have.
    """
    name, dtype = tensor.name or "of a setting", held(tensor.data_type, onnx)
    if dtype is None:
        raise ValueError(f"array {name!r:.60} is of {kind_of(tensor.data_type, onnx)}, which is not here")
    if any(n < 0 for n in tensor.dims):
        raise ValueError(f"array {name!r:.60} has a negative size, {list(tensor.dims)}")
    wanted, found = math.prod(tensor.dims), _count(tensor, _bits(tensor.data_type, dtype, onnx), onnx)
    if wanted != found:
        raise ValueError(f"array {name!r:.60} has {found:g} elements, but its shape {list(tensor.dims)} has {wanted}")
    return np.array(onnx.numpy_helper.to_array(tensor)).astype(dtype, copy=False)


def _count(tensor: Any, bits: int, onnx: Any) -> float:
    """How many elements of so many bits its bytes are; where these share bytes, some of the last one may be filling."""
    each = 8 // bits if bits < 8 else 1
    if tensor.HasField("raw_data"):
        found = 8 * len(tensor.raw_data) / bits
    else:
        found = each * len(getattr(tensor, onnx.helper.tensor_dtype_to_field(tensor.data_type)))
    wanted = math.prod(tensor.dims)
    return wanted if 0 <= found - wanted < each else found


def has_odd_text(message: Any) -> bool:
    """Whether some text in a message is no UTF-8: it then comes as bytes, where all else expects text."""
    waiting = [message]
    while waiting:
        for field, found in waiting.pop().ListFields():
            values = found if hasattr(found, "extend") else [found]  # repeated, or one
            if field.type == field.TYPE_MESSAGE:
                waiting += values
            elif field.type == field.TYPE_STRING and any(isinstance(value, bytes) for value in values):
                return True
    return False


def graphs(graph: Any) -> Iterator[Any]:
    """A graph, or a function, and all graphs in the settings of its nodes."""
    waiting = [graph]
    while waiting:
        found = waiting.pop()
        yield found
        for node in found.node:
            for setting in node.attribute:
                waiting += [setting.g] if setting.HasField("g") else []
                waiting += setting.graphs


def tensors(model: Any) -> Iterator[Any]:
    """All tensors in a model: initializers, and those in settings."""
    for root in (model.graph, *model.functions):
        for graph in graphs(root):
            yield from getattr(graph, "initializer", ())
            for sparse in getattr(graph, "sparse_initializer", ()):
                yield from (sparse.values, sparse.indices)
            for node in graph.node:
                for setting in node.attribute:
                    yield from ([setting.t] if setting.HasField("t") else [])
                    yield from setting.tensors
