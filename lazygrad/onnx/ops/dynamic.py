"""What gives as many numbers as its operands say: there is a form for operands that are known alone."""

from __future__ import annotations

from typing import Any

import numpy as np

import lazygrad as lg
from lazygrad.errors import ExportError, report
from lazygrad.graph.registry import here
from lazygrad.onnx.ops.table import At, Known, op


def _beyond(at: At) -> ExportError:
    """An error that says that what is known could not be computed."""
    return ExportError(report(f"cannot import {at.node}: the package onnx cannot compute it", at=here()))


@op("NonZero")
def nonzero(at: At, x: Known) -> Any:
    """The places of what is not 0."""
    raise _beyond(at)


@op("Unique")
def unique(at: At, x: Known, *, axis: Any, sorted: Any) -> Any:
    """Each number once."""
    raise _beyond(at)


@op("Compress")
def compress(at: At, x: Any, condition: Known, *, axis: Any) -> Any:
    """The slices for which a condition holds."""
    places = np.flatnonzero(condition)
    return lg.take(x if axis is not None else lg.flatten(x), places, axis=0 if axis is None else axis)


@op("NonMaxSuppression")
def non_max_suppression(
    at: At,
    boxes: Known,
    scores: Known,
    most: Known = None,
    overlap: Known = None,
    least: Known = None,
    *,
    center_point_box: Any,
) -> Any:
    """The boxes that do not overlap better ones."""
    raise _beyond(at)
