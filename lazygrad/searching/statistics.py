"""What the values of arrays are like, in a few numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

__all__ = ["BINS", "statistics", "statistics_of"]

BINS = 16  # of a histogram


def statistics_of(arrays: Sequence[Any]) -> dict[int, dict[str, Any]]:
    """Those of every array that has some, by its number."""
    return {i: found for i, x in enumerate(arrays) if (found := statistics(x)) is not None}


def statistics(x: Any) -> dict[str, Any] | None:
    """How many elements an array has, and how many are NaN, infinite or 0; the range, mean and spread of the others.

    The histogram counts the finite ones in equal parts from the least to the greatest. Where none is finite, these
    numbers are None. Of arrays of complex numbers, and of several results, there are none at all.
    """
    if isinstance(x, (tuple, list)) or np.asarray(x).dtype.kind not in "biuf":
        return None
    given = np.asarray(x)
    y = given.astype(np.float64).ravel()
    finite = y[np.isfinite(y)]
    counts = {
        "nan": int(np.isnan(y).sum()),
        "inf": int(np.isinf(y).sum()),
        "zeros": int((y == 0).sum()),
        "size": y.size,
    }
    if not finite.size:
        return {"min": None, "max": None, "mean": None, "std": None, **counts, "histogram": [0] * BINS}
    scale = float(np.abs(finite).max()) or 1.0  # the squares of the largest numbers are infinite
    scaled = finite / scale
    low, high = float(scaled.min()), float(scaled.max())
    # np.histogram makes no parts of a range of a few roundings.
    parts = (scaled - low) / (high - low) * BINS if high > low else np.full(scaled.shape, BINS / 2)
    histogram = np.bincount(np.minimum(parts.astype(np.intp), BINS - 1), minlength=BINS)
    return {
        "min": float(finite.min()),
        "max": float(finite.max()),
        "mean": scale * float(scaled.mean()),
        "std": scale * float(scaled.std()),
        **counts,
        "histogram": [int(count) for count in histogram],
    }
