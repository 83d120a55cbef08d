"""Spec: the shape and dtype of an array that does not exist yet, and the rules by which they combine."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, TypeAlias, cast

import numpy as np

__all__ = [
    "Axes",
    "Mismatch",
    "Shape",
    "Spec",
    "boolean",
    "broadcast",
    "chosen",
    "fits",
    "floating",
    "kept",
    "normalize_axes",
    "normalize_axis",
    "promoted",
    "reduced_shape",
    "sized",
]

Shape: TypeAlias = tuple[int, ...]
Axes: TypeAlias = "int | Sequence[int] | None"
Kind: TypeAlias = Any  # a np.dtype, or the Python type of a weak number: int, float
DtypeRule: TypeAlias = "Callable[[tuple[Kind, ...]], tuple[tuple[np.dtype[Any], ...], np.dtype[Any]]]"


class Mismatch(Exception):
    """Why specs do not fit, before it is known where the user said it."""


class Spec(NamedTuple):
    """Shape and dtype. ``str(spec)`` is the form that messages use: ``float32[64, 1]``."""

    shape: Shape
    dtype: np.dtype[Any]

    def __str__(self) -> str:
        return f"{self.dtype}{list(self.shape)}"

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of an array of this spec."""
        return self.size * self.dtype.itemsize


MOST_AXES = 64  # of an array of NumPy's
MOST_BYTES = 2**63 - 1


def fits(spec: Spec) -> Spec:
    """The spec, if NumPy has arrays of it; Mismatch where there are too many axes or bytes."""
    shape, dtype = spec
    if len(shape) > MOST_AXES:
        raise Mismatch(f"An array has at most {MOST_AXES} axes; this one would have {len(shape)}.")
    if math.prod(shape) * dtype.itemsize > MOST_BYTES or (0 in shape and not _fits_without_zeros(spec)):
        listed = ", ".join(map(str, shape))
        raise Mismatch(f"An array has at most 2⁶³ - 1 bytes; one of {dtype}[{listed}] would have more.")
    return spec


def _fits_without_zeros(spec: Spec) -> bool:
    """Whether the axes of an empty array are not too long together, which NumPy refuses too."""
    return math.prod(size for size in spec.shape if size) * spec.dtype.itemsize <= MOST_BYTES


def broadcast(shapes: Iterable[Shape]) -> Shape:
    """The shape that ``shapes`` broadcast to, by NumPy's rule."""
    shapes = list(shapes)
    first = shapes[0]
    if all(shape == first for shape in shapes):
        return first
    result: list[int] = []
    for back in range(1, max(map(len, shapes)) + 1):
        sizes = [shape[-back] for shape in shapes if len(shape) >= back]
        wide = [size for size in sizes if size != 1]
        if any(size != wide[0] for size in wide):
            which = "last axes" if back == 1 else f"axes {back} from the end"
            listed = " and ".join(str(size) for size in sizes)
            raise Mismatch(f"The {which} are {listed}; they must be equal, or one of them 1.")
        result.append(wide[0] if wide else 1)
    return tuple(reversed(result))


def normalize_axis(axis: Any, ndim: int) -> int:
    """``axis`` counted from the front."""
    try:
        index = axis.__index__()
    except AttributeError:
        raise Mismatch(f"An axis is a whole number, not {axis!r}.") from None
    if not -ndim <= index < ndim:
        raise Mismatch(f"Axis {index} does not exist: there are {ndim} axes.")
    return cast(int, index % ndim)


def normalize_axes(axis: Axes, ndim: int) -> tuple[int, ...]:
    """The axes counted from the front, in increasing order; ``None`` means all."""
    if axis is None:
        return tuple(range(ndim))
    axes = [normalize_axis(a, ndim) for a in (axis if isinstance(axis, (tuple, list)) else (axis,))]
    if len(set(axes)) != len(axes):
        raise Mismatch(f"An axis is named twice in {axis!r}.")
    return tuple(sorted(axes))


def reduced_shape(shape: Shape, axis: Axes, keepdims: bool) -> Shape:
    """The shape after a reduction over ``axis``."""
    axes = normalize_axes(axis, len(shape))
    if keepdims:
        return tuple(1 if i in axes else size for i, size in enumerate(shape))
    return tuple(size for i, size in enumerate(shape) if i not in axes)


def sized(shape: Any) -> Shape:
    """A shape given as an int or a sequence of ints, as a tuple of ints that are not negative."""
    sizes = shape if isinstance(shape, (tuple, list)) else (shape,)
    try:
        result = tuple(size.__index__() for size in sizes)
    except AttributeError:
        raise Mismatch(f"A shape is whole numbers, not {shape!r}.") from None
    if any(size < 0 for size in result):
        raise Mismatch(f"The sizes of a shape are not negative; this one is {result}.")
    return result


# Dtype rules: from the kinds of the operands (a dtype, or ``int`` / ``float`` for a weak Python
# number) to the dtype each operand is cast to, and the dtype of the result. Promotion is NumPy's
# own (NEP 50); where NumPy has a ufunc of that name, its loops decide.


def promoted(kinds: tuple[Kind, ...]) -> tuple[tuple[np.dtype[Any], ...], np.dtype[Any]]:
    """Operands and result share the promoted dtype."""
    weak = [kind(0) if isinstance(kind, type) else kind for kind in kinds]
    dtype = np.result_type(*weak)
    return (dtype,) * len(kinds), dtype


def kept(kinds: tuple[Kind, ...]) -> tuple[tuple[np.dtype[Any], ...], np.dtype[Any]]:
    """Every operand keeps its dtype; the result has the first one's."""
    operands = tuple([np.asarray(kind(0)).dtype if isinstance(kind, type) else kind for kind in kinds])
    return operands, operands[0]


def floating(kinds: tuple[Kind, ...]) -> tuple[tuple[np.dtype[Any], ...], np.dtype[Any]]:
    """As :func:`promoted`, but whole numbers and booleans become float64."""
    _, dtype = promoted(kinds)
    if not np.issubdtype(dtype, np.inexact):
        dtype = np.dtype(np.float64)
    return (dtype,) * len(kinds), dtype


def boolean(kinds: tuple[Kind, ...]) -> tuple[tuple[np.dtype[Any], ...], np.dtype[Any]]:
    """Operands are promoted, the result is bool."""
    operands, _ = promoted(kinds)
    return operands, np.dtype(np.bool_)


def chosen(kinds: tuple[Kind, ...]) -> tuple[tuple[np.dtype[Any], ...], np.dtype[Any]]:
    """The first operand is bool and chooses among the others, which are promoted."""
    operands, dtype = promoted(kinds[1:])
    return (np.dtype(np.bool_), *operands), dtype


def ufunc_rule(ufunc: np.ufunc) -> DtypeRule:
    """The rule by which a NumPy ufunc picks its loop."""

    def rule(kinds: tuple[Kind, ...]) -> tuple[tuple[np.dtype[Any], ...], np.dtype[Any]]:
        try:
            *operands, result = ufunc.resolve_dtypes((*kinds, None))
        except TypeError:
            raise Mismatch(f"NumPy's {ufunc.__name__} has no form for these dtypes.") from None
        return tuple(operands), result

    return rule
