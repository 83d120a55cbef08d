"""What dtypes and shapes are and become: the array API's functions of that kind, with tensors in place of arrays.

The dtypes themselves are NumPy's: ``lg.float32`` is ``np.float32``.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from lazygrad.errors import SpecError, report
from lazygrad.graph.registry import function, here
from lazygrad.graph.spec import Mismatch, broadcast, sized
from lazygrad.graph.tensor import Tensor

__all__ = ["broadcast_shapes", "can_cast", "finfo", "iinfo", "isdtype", "result_type"]


def _plain(x: Any) -> Any:
    """A tensor's dtype; anything else as it is."""
    return x.dtype if isinstance(x, Tensor) else x


@function
def result_type(*arrays_and_dtypes: Any) -> np.dtype[Any]:
    """The dtype to which tensors, arrays, numbers and dtypes are promoted together; Python's numbers are weak."""
    return np.result_type(*[_plain(x) for x in arrays_and_dtypes])


@function
def can_cast(from_: Any, to: Any) -> bool:
    """Whether the tensor, or the dtype, ``from_`` may be cast to ``to`` by promotion, so that nothing is lost."""
    return np.can_cast(_plain(from_), to)


@function
def isdtype(dtype: Any, kind: Any) -> bool:
    """Whether a dtype is of a kind, or of one of several.

    A kind is ``"bool"``, ``"integral"``, ``"real floating"``, ``"numeric"``, or a dtype.
    """
    return np.isdtype(np.dtype(dtype), kind)


@function
def broadcast_shapes(*shapes: Any) -> tuple[int, ...]:
    """The shape that shapes broadcast to.

    Raises:
        SpecError: they do not.
    """
    try:
        return broadcast([sized(shape) for shape in shapes]) if shapes else ()
    except Mismatch as reason:
        listed = " and ".join(str(shape) for shape in shapes)
        raise SpecError(report(f"cannot broadcast {listed}", at=here(), cure=str(reason))) from None


@function
def finfo(type: Any) -> Any:
    """The limits of a dtype of floats, or of a tensor's: NumPy's, with ``bits``, ``eps``, ``max``, ``min``."""
    return np.finfo(_plain(type))


@function
def iinfo(type: Any) -> Any:
    """The limits of a dtype of whole numbers, or of a tensor's: NumPy's, with ``bits``, ``max``, ``min``."""
    return np.iinfo(_plain(type))
