"""Steps exported to ONNX, checked, and run by onnxruntime."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest

from lazygrad.export.onnx.model import OPSET, examined, model_of
from lazygrad.step.compiled import Compiled

__all__ = ["apart", "listed", "run", "run_model"]

pytest.importorskip("onnx", reason="models are written by onnx")
onnxruntime = pytest.importorskip("onnxruntime", reason="models are run by onnxruntime")

# How far floats may be from ours, of the largest element: float64 loses a few digits where a formula stands in for a
# function that a runtime lacks, halves are rounded in between by one and not by the other.
FAR = {"float64": 1e-12, "float32": 1e-5, "float16": 2e-3}


@functools.cache
def _options() -> Any:
    onnxruntime.set_default_logger_severity(4)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return options


def run_model(model: Any, *arrays: Any) -> list[Any]:
    """What onnxruntime makes of arrays, with one thread."""
    session = onnxruntime.InferenceSession(model.SerializeToString(), _options(), providers=["CPUExecutionProvider"])
    return session.run(None, {one.name: np.asarray(a) for one, a in zip(session.get_inputs(), arrays, strict=True)})  # type: ignore[no-any-return]


def run(step: Compiled, *arrays: Any, opset: int = OPSET) -> list[Any]:
    """What a compiled step gives when it is exported, checked, and run by onnxruntime."""
    return run_model(examined(model_of(step._source(arrays), opset), "a step"), *arrays)


def listed(result: Any) -> list[Any]:
    """The arrays that a step returned."""
    if isinstance(result, dict):
        return [one for value in result.values() for one in listed(value)]
    return [one for value in result for one in listed(value)] if isinstance(result, (tuple, list)) else [result]


def apart(expected: Any, found: Any) -> list[str]:
    """Where two lists of arrays differ, in words; whole numbers and booleans, NaN and infinities must be the same."""
    said = []
    for k, (a, b) in enumerate(zip(map(np.asarray, expected), found, strict=True)):
        if (a.shape, a.dtype) != (b.shape, b.dtype):
            said.append(f"{k}: {a.dtype}{list(a.shape)} and {b.dtype}{list(b.shape)}")
        elif a.dtype.kind != "f":
            if not np.array_equal(a, b):
                said.append(f"{k}: {a.ravel()[:5]} and {b.ravel()[:5]}")
        else:
            finite = np.isfinite(a)
            largest = np.abs(a[finite]).max(initial=0.0)
            with np.errstate(invalid="ignore"):
                error = np.abs(a[finite].astype(np.float64) - b[finite]).max(initial=0.0)
            if not np.array_equal(a[~finite], b[~finite], equal_nan=True) or not error <= FAR[str(a.dtype)] * largest:
                said.append(f"{k}: {error} of {largest}")
    return said
