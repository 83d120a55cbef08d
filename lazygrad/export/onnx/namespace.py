"""The array namespace ``xp`` whose functions write nodes of ONNX: a kernel that is run with it writes itself down."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from lazygrad.engine.trace.tracing import NotTraced
from lazygrad.export.onnx.elements import ELEMENTS
from lazygrad.export.onnx.lanes import by_lanes
from lazygrad.export.onnx.matrices import Linalg, lu, solve_triangular
from lazygrad.export.onnx.special import SPECIAL
from lazygrad.export.onnx.whole import widened
from lazygrad.export.onnx.writer import Value, Writer, code_of, graph_of
from lazygrad.graph.casting import saturated, saturates
from lazygrad.graph.spec import Axes, Spec, broadcast, normalize_axes, reduced_shape

__all__ = ["Namespace"]

_TURN = (("turn", Spec((), np.dtype(np.int64))), ("condition", Spec((), np.dtype(np.bool_))))
LEAST = np.iinfo(np.int64).min
NATIVE = ("i4", "i8", "f4", "f8")


class Namespace:
    """Functions under NumPy's names, which take values and numbers and give values."""

    writes = True  # numbers there are none, but when what was written runs

    def __init__(self, writer: Writer) -> None:
        self.writer = writer
        self.linalg = Linalg(self)

    def __getattr__(self, name: str) -> Callable[..., Value]:
        if name.startswith("__"):
            raise AttributeError(name)
        write = ELEMENTS.get(name) or SPECIAL.get(name) or functools.partial(by_lanes, name)
        ufunc = getattr(np, name, None)

        def written(*operands: Any, **settings: Any) -> Value:
            if settings:
                raise NotTraced(f"{name} with {' and '.join(settings)} has no form in ONNX")
            if not isinstance(ufunc, np.ufunc):
                made: Value = write(self, *[self.value(x) for x in self._alike(operands)])
                return made
            kinds = [o.dtype if hasattr(o, "dtype") else type(o) for o in operands]
            *wanted, _ = ufunc.resolve_dtypes((*kinds, None))
            found: Value = write(self, *[self.value(x, d) for x, d in zip(operands, wanted, strict=True)])
            return found

        return written

    # Values, and casts.

    def value(self, x: Any, dtype: Any = None) -> Value:
        """A value as it is or cast, or a number as a value."""
        if isinstance(x, Value):
            return x if dtype is None else self.astype(x, dtype)
        array = np.asarray(x, dtype)
        return self.writer.array(array) if array.ndim else self.writer.number(array, array.dtype)

    def _alike(self, operands: Any) -> list[Any]:
        """The operands in the dtype that they are promoted to."""
        dtype = np.result_type(*[x.dtype if hasattr(x, "dtype") else x for x in operands])
        return [self.value(x, dtype) for x in operands]

    def astype(self, x: Value, dtype: Any) -> Value:
        """A cast of numbers that the dtype has: what becomes of others is open, see :meth:`cast`."""
        dtype = np.dtype(dtype)
        if dtype == x.dtype:
            return x
        if x.number is not None:
            return self.writer.number(np.asarray(x.number).astype(dtype), dtype)
        if dtype == np.bool_ and x.dtype.kind == "f":  # NaN is true
            return self.logical_not(self.equal(x, 0))
        return self.writer.made("Cast", x, dtype=dtype, to=code_of(dtype))

    def cast(self, x: Value, dtype: Any) -> Value:
        """A cast in which floats beyond the whole numbers of the dtype become the nearest."""
        dtype = np.dtype(dtype)
        return saturated(self, x, dtype) if saturates(x.dtype, dtype) else self.astype(x, dtype)

    def asarray(self, x: Any, dtype: Any = None) -> Value:
        """A number as a value."""
        return self.value(x, dtype)

    def zeros_like(self, x: Value) -> Value:
        """Zeros, where they broadcast."""
        return self.writer.number(0, x.dtype)

    def full_like(self, x: Value, value: Any) -> Value:
        """One number, where it broadcasts."""
        return self.writer.number(value, x.dtype)

    # Choices.

    def abs(self, x: Value) -> Value:
        """NumPy's ``abs`` is its ufunc ``absolute``."""
        return self.absolute(x)

    def where(self, condition: Value, a: Any, b: Any) -> Value:
        """A choice, element by element."""
        condition = self.value(condition, np.bool_)
        a, b = self._alike((a, b))
        if a.dtype == np.bool_:
            return self.logical_or(self.logical_and(condition, a), self.logical_and(~condition, b))
        wide = np.dtype(np.int64) if a.dtype == np.uint64 else widened(a.dtype)
        y = self.writer.made("Where", condition, self.astype(a, wide), self.astype(b, wide), dtype=wide)
        return self.astype(y, a.dtype)

    def checked(self, x: Value, wrong: Value, say: Any = None) -> Value:
        """``x``; a run fails where any of it is wrong, as an index then lies outside of what it looks into."""
        count = self.sum(self.astype(wrong, np.int64))
        return x + self.writer.made("Gather", self.writer.array([0], x.dtype), count, shape=(), dtype=x.dtype)

    def repeated(self, most: int, state: Any, turn: Any) -> tuple[list[Value], Value]:
        """A Loop, which goes on as long as an element wants another turn; those that do not stay as they are."""
        outer, inner = self.writer, self.writer.sub()
        shape = broadcast([x.shape for x in state])
        first = [self.broadcast_to(x, shape) for x in state]
        first.append(self.broadcast_to(outer.number(True, np.bool_), shape))
        before = [Value(inner, inner.fresh("state"), x.spec) for x in first]
        self.writer = inner  # the turn calls this namespace
        try:
            after, again = turn(before[:-1])
            going = before[-1]
            states = [self.where(going, x, old) for x, old in zip(after, before[:-1], strict=True)]
            states.append(self.logical_and(going, again))
            wanted = self.any(states[-1])
        finally:
            self.writer = outer
        number, condition = (Value(inner, inner.fresh(word), spec) for word, spec in _TURN)
        body = graph_of(inner, "turn", [number, condition, *before], [wanted, *states])
        given = [outer.constant(np.int64(most), "most"), outer.constant(np.bool_(True)), *[x.name for x in first]]
        names = outer.node("Loop", given, len(first), body=body)
        made = [Value(outer, name, x.spec) for name, x in zip(names, first, strict=True)]
        return made[:-1], made[-1]

    # Reductions.

    def reduced(self, kind: str, x: Value, axis: Axes, keepdims: bool, dtype: Any = None) -> Value:
        """A reduction over axes."""
        axes = normalize_axes(axis, x.ndim)
        shape = reduced_shape(x.shape, axes, keepdims)
        dtype = x.dtype if dtype is None else np.dtype(dtype)
        return self.writer.made(
            kind, x, self.writer.constant(np.array(axes, np.int64), "axes"), shape=shape, dtype=dtype,
            keepdims=int(keepdims), noop_with_empty_axes=1,
        )  # fmt: skip

    def sum(self, x: Value, axis: Axes = None, keepdims: bool = False) -> Value:
        """Sum; small whole numbers are added in the default integer."""
        return self._added("ReduceSum", np.add, x, axis, keepdims)

    def prod(self, x: Value, axis: Axes = None, keepdims: bool = False) -> Value:
        """Product."""
        return self._added("ReduceProd", np.multiply, x, axis, keepdims)

    def _added(self, kind: str, ufunc: Any, x: Value, axis: Axes, keepdims: bool) -> Value:
        dtype, inner = _of_many(ufunc, x.dtype)
        return self.astype(self.reduced(kind, self.astype(x, inner), axis, keepdims), dtype)

    def max(self, x: Value, axis: Axes = None, keepdims: bool = False) -> Value:
        """Maximum; NaN beside NaN."""
        return self._extreme("ReduceMax", x, axis, keepdims)

    def min(self, x: Value, axis: Axes = None, keepdims: bool = False) -> Value:
        """Minimum; NaN beside NaN."""
        return self._extreme("ReduceMin", x, axis, keepdims)

    def _extreme(self, kind: str, x: Value, axis: Axes, keepdims: bool) -> Value:
        found = self.reduced(kind, self.comparable(x), axis, keepdims)
        y = self.astype(found - LEAST if x.dtype == np.uint64 else found, x.dtype)
        if x.dtype.kind != "f":
            return y
        return self.where(self.any(self.isnan(x), axis, keepdims), math.nan, y)

    def comparable(self, x: Value) -> Value:
        """A value in a dtype of the same order for which there are reductions."""
        if x.dtype == np.uint64:  # modulo 2⁶⁴
            return self.astype(x, np.int64) + LEAST
        return self.astype(
            x, {"i2": "i4", "u2": "i4", "u4": "i8", "b1": "i4", "f2": "f4"}.get(x.dtype.str[1:], x.dtype)
        )

    def all(self, x: Value, axis: Axes = None, keepdims: bool = False) -> Value:
        """Conjunction."""
        return self.logical_not(self.any(self.logical_not(x), axis, keepdims))

    def any(self, x: Value, axis: Axes = None, keepdims: bool = False) -> Value:
        """Disjunction."""
        counted = self.astype(self.astype(x, np.bool_), np.int64)
        return self.astype(self.reduced("ReduceSum", counted, axis, keepdims), np.bool_)

    def argmax(self, x: Value, axis: int, keepdims: bool = False) -> Value:
        """Where the first of the largest elements stands, or the first that is NaN."""
        return self._found("ArgMax", x, axis, keepdims)

    def argmin(self, x: Value, axis: int, keepdims: bool = False) -> Value:
        """Where the first of the smallest elements stands, or the first that is NaN."""
        return self._found("ArgMin", x, axis, keepdims)

    def _found(self, kind: str, x: Value, axis: int, keepdims: bool) -> Value:
        settings = {"axis": axis, "keepdims": int(keepdims), "select_last_index": 0}
        shape = reduced_shape(x.shape, (axis,), keepdims)
        y = self.writer.made(kind, self.comparable(x), shape=shape, dtype=np.int64, **settings)
        if x.dtype.kind != "f":
            return y
        wrong = self.isnan(x)
        first = self.writer.made("ArgMax", self.astype(wrong, np.int32), shape=shape, dtype=np.int64, **settings)
        return self.where(self.any(wrong, (axis,), keepdims), first, y)

    # Arrays as a whole.

    def matmul(self, a: Value, b: Value) -> Value:
        """Product of matrices."""
        dtype = np.result_type(a.dtype, b.dtype)
        wide = dtype if dtype.str[1:] in NATIVE else np.dtype({"f2": "f4"}.get(dtype.str[1:], "i8"))
        if dtype == np.bool_:
            wide = np.dtype(np.int64)
        shape = (*broadcast([a.shape[:-2], b.shape[:-2]]), a.shape[-2], b.shape[-1])
        y = self.writer.made("MatMul", self.astype(a, wide), self.astype(b, wide), shape=shape, dtype=wide)
        return self.astype(y, dtype)

    def matmul_of_halves(self, a: Value, b: Value) -> Value:
        """The same."""
        return self.matmul(a, b)

    def solve_triangular(self, a: Value, b: Value, lower: bool, transposed: bool) -> Value:
        """A⁻¹·B or A⁻ᵀ·B, where one triangle of A is read."""
        return solve_triangular(self.writer, a, b, lower, transposed)

    def lu(self, a: Value) -> tuple[Value, Value, Value]:
        """P, L and U, for matrices that are not wider than tall."""
        return lu(self.writer, a)

    def reshape(self, x: Value, shape: Any) -> Value:
        """The same elements in another shape."""
        if tuple(shape) == x.shape:
            return x
        return self.writer.made("Reshape", x, self.writer.sizes(shape), shape=tuple(shape), allowzero=1)

    def transpose(self, x: Value, axes: Any) -> Value:
        """The axes in another order."""
        order = [int(axis) % x.ndim for axis in axes]
        if order == list(range(x.ndim)):
            return x
        return self.writer.made("Transpose", x, shape=tuple(x.shape[axis] for axis in order), perm=order)

    def broadcast_to(self, x: Value, shape: Any) -> Value:
        """Elements repeated along axes of size 1 and new ones."""
        if tuple(shape) == x.shape:
            return x
        if 0 in shape:  # runtimes expand to no elements only from none
            return self.nothing(shape, x.dtype)
        return self.writer.made("Expand", x, self.writer.sizes(shape), shape=tuple(shape))

    def nothing(self, shape: Any, dtype: Any) -> Value:
        """An array without elements."""
        made = self.writer.made("ConstantOfShape", self.writer.sizes(shape), shape=tuple(shape), dtype=np.float32)
        return self.astype(made, dtype)

    def broadcast_arrays(self, *xs: Value) -> list[Value]:
        """All in one shape."""
        shape = broadcast([x.shape for x in xs])
        return [self.broadcast_to(x, shape) for x in xs]

    def concatenate(self, xs: Any, axis: int) -> Value:
        """One after another."""
        total = sum(x.shape[axis] for x in xs)
        shape = tuple(total if i == axis else n for i, n in enumerate(xs[0].shape))
        return self.writer.made("Concat", *xs, shape=shape, axis=axis) if len(xs) > 1 else xs[0]

    def cumsum(self, x: Value, axis: int) -> Value:
        """Running sums."""
        dtype, inner = _of_many(np.add, x.dtype)
        place = self.writer.number(axis, np.int64)
        return self.astype(self.writer.made("CumSum", self.astype(x, inner), place, shape=x.shape), dtype)


def _of_many(ufunc: Any, dtype: Any) -> tuple[np.dtype[Any], np.dtype[Any]]:
    """The dtype of a sum or a product, and one in which runtimes compute it: all bits are kept, modulo 2⁶⁴."""
    found = ufunc.reduce(np.empty(0, dtype)).dtype
    return found, np.dtype({"f2": "f4", "u8": "i8"}.get(found.str[1:], found))
