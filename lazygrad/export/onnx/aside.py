"""The weights of a model in a file beside it, as they must be where a model has more than 2 GB."""

from __future__ import annotations

from typing import Any

__all__ = ["MOST", "is_large", "set_aside", "with_weights_given"]

MOST = (1 << 31) - (1 << 24)  # bytes of a message of Protocol Buffers, less room for what is no weight
LEAST = 1024  # bytes of an array that is worth a place in the file
STEP = 64  # what the place of an array is a multiple of


def is_large(model: Any) -> bool:
    """Whether a model is too large for one file."""
    return sum(len(one.raw_data) for one in model.graph.initializer) > MOST


def set_aside(model: Any, file: str) -> bytes:
    """What is to be written into ``file``, a name without a folder; the model says where in it its arrays lie."""
    from onnx import TensorProto
    from onnx.external_data_helper import set_external_data

    pieces: list[bytes] = []
    place = 0
    for one in model.graph.initializer:
        data = one.raw_data
        if len(data) < LEAST:
            continue
        set_external_data(one, file, offset=place, length=len(data))
        one.data_location = TensorProto.EXTERNAL
        one.ClearField("raw_data")
        empty = -len(data) % STEP
        pieces += [data, bytes(empty)]
        place += len(data) + empty
    return b"".join(pieces)


def with_weights_given(model: Any) -> Any:
    """The model of which arrays that were set aside are inputs: so it can be checked while there is no file."""
    from onnx import ModelProto, TensorProto
    from onnx.helper import make_tensor_value_info

    other = ModelProto()
    other.CopyFrom(model)
    apart = [one for one in other.graph.initializer if one.data_location == TensorProto.EXTERNAL]
    other.graph.input.extend(make_tensor_value_info(one.name, one.data_type, list(one.dims)) for one in apart)
    for one in apart:
        other.graph.initializer.remove(one)
    return other
