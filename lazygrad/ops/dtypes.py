"""What dtypes and shapes are and become: the array API's functions of that kind, with tensors in place of arrays.
Tensors are real, so the parts of a complex number are here too.

The dtypes themselves are NumPy's: ``lg.float32`` is ``np.float32``.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from lazygrad.define.kinds import tensor
from lazygrad.errors import SpecError, report
from lazygrad.graph.registry import function, here
from lazygrad.graph.spec import Mismatch, broadcast, sized
from lazygrad.graph.tensor import Tensor, TensorLike
from lazygrad.ops.source import zeros_like

__all__ = ["broadcast_shapes", "can_cast", "conj", "finfo", "iinfo", "imag", "isdtype", "real", "result_type"]


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


@function
def real(x: TensorLike) -> Tensor:
    """The real part: ``x``, as tensors are real."""
    return tensor(x)


@function
def imag(x: TensorLike) -> Tensor:
    """The imaginary part: zeros, as tensors are real."""
    return zeros_like(x)


@function
def conj(x: TensorLike) -> Tensor:
    """The complex conjugate: ``x``, as tensors are real."""
    return tensor(x)
