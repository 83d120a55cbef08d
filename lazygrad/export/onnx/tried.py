"""Whether a model with open sizes does for some of them what the model does that is written for these alone."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["differ"]

WEIGHTS = 1 << 22  # bytes up to which models are tried,
INPUTS = 1 << 14  # and elements of their inputs: the reference implementation takes its time
FAR = 1e-3  # of the largest element: rounding in float16 is no difference


def differ(model: Any, alone: Any) -> bool:
    """Whether results differ, by the reference implementation in the package ``onnx``.

    Of a model that it cannot run, or not in a moment, or that takes none of the numbers made up here, nothing is said.

    Args:
        model: in which sizes are open.
        alone: written for some of them; its inputs say which.
    """
    shapes = [[dim.dim_value for dim in info.type.tensor_type.shape.dim] for info in alone.graph.input]
    heavy = sum(len(tensor.raw_data) for tensor in alone.graph.initializer) > WEIGHTS
    if heavy or sum(int(np.prod(shape)) for shape in shapes) > INPUTS:
        return False
    for largest in (1, 0):  # of whole numbers, which may be places
        given = _given(alone, shapes, largest)
        expected = _run(alone, given)
        if expected is not None:
            found = _run(model, given)
            return found is None or any(_apart(a, b) for a, b in zip(expected, found, strict=True))
    return False


def _given(model: Any, shapes: list[list[int]], largest: int) -> dict[str, Any]:
    from onnx.helper import tensor_dtype_to_np_dtype

    rng, given = np.random.default_rng(0), {}
    for info, shape in zip(model.graph.input, shapes, strict=True):
        dtype = tensor_dtype_to_np_dtype(info.type.tensor_type.elem_type)
        whole = rng.integers(0, largest, shape, endpoint=True)
        given[info.name] = np.asarray(rng.standard_normal(shape) if dtype.kind == "f" else whole).astype(dtype)
    return given


def _run(model: Any, given: dict[str, Any]) -> list[Any] | None:
    from onnx.reference import ReferenceEvaluator

    try:
        with np.errstate(all="ignore"):
            return [np.asarray(one) for one in ReferenceEvaluator(model).run(None, given)]
    except Exception:  # whatever it lacks, or does not take
        return None


def _apart(a: Any, b: Any) -> bool:
    if a.shape != b.shape or a.dtype != b.dtype:
        return True
    if a.dtype.kind != "f":
        return not np.array_equal(a, b)
    a, b = a.astype(np.float64), b.astype(np.float64)
    known = np.isfinite(a)
    if not np.array_equal(a[~known], b[~known], equal_nan=True):
        return True
    return bool(np.abs(a[known] - b[known]).max(initial=0.0) > FAR * np.abs(a[known]).max(initial=0.0))
