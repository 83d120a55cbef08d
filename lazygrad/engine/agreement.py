"""How far native code may be from NumPy: rounding, and the order of sums.

Both round every operation, natively a product and a sum may be rounded once, sums are taken in another order,
and functions are correct to a few units in the last place. So results agree to a small part of the largest
element, unless the computation magnifies rounding itself, as a sum does whose terms cancel. How much it does is
seen by running it on NumPy once more, with the last bit of every result moved at random (Vignes 1993).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

__all__ = ["NUDGES", "TOLERANCE", "disagreement", "nudge"]

# Of the largest element.
TOLERANCE = {
    np.dtype(np.float16): 2.0**-9,
    np.dtype(np.float32): 2.0**-14,
    np.dtype(np.float64): 2.0**-40,
    np.dtype(np.longdouble): 2.0**-40,
}


NUDGES = 3  # runs in which last bits are moved
MAGNIFIED = 16.0  # times what these differ in


def disagreement(native: Any, reference: Any, nudged: Sequence[Any] = ()) -> str | None:
    """In what way an array is not what it should be, or None.

    Args:
        native: the array.
        reference: what NumPy gives.
        nudged: what NumPy gives when last bits are moved. Whole numbers and booleans must be equal but where
            these differ too.
    """
    if native.shape != reference.shape or native.dtype != reference.dtype:
        return f"{native.dtype}{list(native.shape)} in place of {reference.dtype}{list(reference.shape)}"
    with np.errstate(all="ignore"):
        wrong = _wrong(native, reference, nudged)
    return _first(native, reference, wrong) if wrong.any() else None


def _wrong(native: Any, reference: Any, nudged: Sequence[Any]) -> Any:
    allowed = TOLERANCE.get(reference.dtype)
    unsure = np.zeros(reference.shape, bool)
    for other in nudged:
        unsure |= ~_same(other, reference)
    if allowed is None:
        return (native != reference) & ~unsure
    finite = np.isfinite(reference)
    scale = float(np.max(np.abs(reference[finite]), initial=np.finfo(reference.dtype).tiny))
    room = allowed * scale
    for other in nudged:
        moved = np.abs(other[finite].astype(np.float64) - reference[finite])
        room = max(room, MAGNIFIED * float(np.max(moved[np.isfinite(moved)], initial=0.0)))
    apart = np.abs(native.astype(np.float64) - reference.astype(np.float64))
    return np.where(finite, ~(apart <= room), ~_same(native, reference) & ~(unsure & ~finite))


def _same(a: Any, b: Any) -> Any:
    return (a == b) | (np.isnan(a) & np.isnan(b)) if a.dtype.kind == "f" else a == b


def nudge(array: Any, rng: np.random.Generator) -> Any:
    """An array whose floats are moved by a bit or not at all, up or down."""
    if array.dtype.kind != "f":
        return array
    ends = np.array([-np.inf, np.inf, np.nan], array.dtype)[rng.integers(0, 3, array.shape)]
    return np.where(np.isnan(ends) | ~np.isfinite(array), array, np.nextafter(array, ends)).astype(array.dtype)


def _first(native: Any, reference: Any, wrong: Any) -> str:
    place = tuple(int(i) for i in np.argwhere(wrong)[0]) if wrong.ndim else ()
    return f"{native[place]!r} in place of {reference[place]!r} at {list(place)}, {int(wrong.sum())} elements in all"
