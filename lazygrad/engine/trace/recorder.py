"""Reading a kernel by running it: with ``xp`` a recorder, a kernel writes down the calls it makes.

Each call is of a function that writes its result into an array given to it, so that a step can be run
in memory that was laid out beforehand. A kernel that does anything a recorder does not know raises
:class:`NotRecorded`, and is then called as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, cast

import numpy as np

from lazygrad.engine.trace.tracing import NotTraced, Stand
from lazygrad.graph.casting import cast as cast_to
from lazygrad.graph.spec import Spec, broadcast, reduced_shape

__all__ = ["OUT", "Call", "NotRecorded", "Recorder", "Value"]

OUT = object()  # stands among the arguments of a call where its result is written


class NotRecorded(NotTraced):
    """The kernel does something that cannot be written down."""


class Call(NamedTuple):
    """One call: ``function(*arguments)``, where :data:`OUT` marks the place of the result."""

    name: str
    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    result: Value


class Value(Stand):
    """An array that will exist when the step runs."""

    def __init__(self, recorder: Recorder, spec: Spec, base: Value | None = None, is_zero: bool = False) -> None:
        self.recorder = recorder
        self.spec = spec
        self.base = base  # the value whose memory this one looks at in another dtype
        self.is_zero = is_zero  # a literal zero
        self.shape = spec.shape
        self.dtype = spec.dtype
        self.ndim = len(spec.shape)

    def astype(self, dtype: Any) -> Value:
        """A copy in another dtype."""
        spec = Spec(self.shape, np.dtype(dtype))
        return self.recorder.call("copyto", np.copyto, (OUT, self, "unsafe"), spec)

    def view(self, dtype: Any) -> Value:
        """The same memory in another dtype of the same size."""
        return Value(self.recorder, Spec(self.shape, np.dtype(dtype)), base=self if self.base is None else self.base)

    def __bool__(self) -> bool:
        raise NotRecorded("asks for a value")

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise NotRecorded("asks for an array")

    def __neg__(self) -> Value:
        return cast(Value, self.recorder.negative(self))


def _binary(name: str, swapped: bool = False) -> Callable[[Value, Any], Value]:
    def method(self: Value, other: Any) -> Value:
        f = getattr(self.recorder, name)
        return cast(Value, f(other, self) if swapped else f(self, other))

    return method


for _operator, _ufunc in {
    "add": "add",
    "sub": "subtract",
    "mul": "multiply",
    "truediv": "divide",
    "pow": "power",
    "lt": "less",
    "le": "less_equal",
    "gt": "greater",
    "ge": "greater_equal",
    "and": "logical_and",
    "or": "logical_or",
}.items():
    setattr(Value, f"__{_operator}__", _binary(_ufunc))
    setattr(Value, f"__r{_operator}__", _binary(_ufunc, swapped=True))


def _cast_into(out: Any, x: Any) -> None:
    out[...] = cast_to(x, out.dtype)


class Recorder:
    """The array namespace ``xp`` that writes calls down, over a namespace that computes."""

    def __init__(self, xp: Any) -> None:
        self._xp = xp
        self.calls: list[Call] = []

    def call(self, name: str, function: Callable[..., Any], arguments: tuple[Any, ...], spec: Spec) -> Value:
        """Write a call down; its result is a new value."""
        result = Value(self, spec)
        self.calls.append(Call(name, function, arguments, result))
        return result

    def __getattr__(self, name: str) -> Any:
        try:
            function = getattr(self._xp, name)
        except AttributeError:
            raise NotRecorded(f"xp.{name} is unknown") from None
        if not isinstance(function, np.ufunc) or function.nout != 1 or function.signature is not None:
            raise NotRecorded(f"xp.{name} cannot write into an array given to it")

        def ufunc(*operands: Any) -> Value:
            kinds = [o.dtype if isinstance(o, (Value, np.generic)) else type(o) for o in operands]
            *wanted, dtype = function.resolve_dtypes((*kinds, None))
            arguments = [
                o if isinstance(o, Value) else np.asarray(o, dtype=d) for o, d in zip(operands, wanted, strict=True)
            ]
            shape = broadcast([a.shape for a in arguments])
            return self.call(name, function, (*arguments, OUT), Spec(shape, dtype))

        return ufunc

    def cast(self, x: Value, dtype: Any) -> Value:
        """Floats as whole numbers."""
        return self.call("cast", _cast_into, (OUT, x), Spec(x.shape, np.dtype(dtype)))

    def abs(self, x: Value) -> Value:
        """NumPy's ``abs`` is its ufunc ``absolute``."""
        return cast(Value, self.absolute(x))

    def where(self, condition: Value, a: Any, b: Any) -> Value:
        """Choose bit by bit, b ^ ((a ^ b) & mask).

        NumPy's own ways of choosing branch on every element, and take three to seven times as long.
        """
        dtype = np.result_type(*[x.dtype if isinstance(x, Value) else x for x in (a, b)])
        a, b = (x if isinstance(x, Value) else np.asarray(x, dtype=dtype) for x in (a, b))
        whole = np.dtype(f"i{dtype.itemsize}")
        result = Value(self, Spec(broadcast([condition.shape, a.shape, b.shape]), dtype))
        a_bits, b_bits, bits = (self._bits(x, whole) for x in (a, b, result))
        if b.is_zero if isinstance(b, Value) else not b_bits.any():  # the bits times 1 or 0
            self.calls.append(Call("multiply", np.multiply, (a_bits, condition, OUT), bits))
            return result
        mask = self.call("copyto", np.copyto, (OUT, condition, "unsafe"), Spec(condition.shape, whole))
        self.calls.append(Call("negative", np.negative, (mask, OUT), mask))  # true is now all ones
        differing = self.call("bitwise_xor", np.bitwise_xor, (a_bits, b_bits, OUT), Spec(result.shape, whole))
        self.calls.append(Call("bitwise_and", np.bitwise_and, (differing, mask, OUT), differing))
        self.calls.append(Call("bitwise_xor", np.bitwise_xor, (differing, b_bits, OUT), bits))
        return result

    def _bits(self, x: Any, dtype: np.dtype[Any]) -> Any:
        """The same memory as whole numbers."""
        return Value(self, Spec(x.shape, dtype), base=x) if isinstance(x, Value) else x.view(dtype)

    def _reduce(self, ufunc: np.ufunc, x: Value, axis: Any, keepdims: bool, dtype: Any) -> Value:
        spec = Spec(reduced_shape(x.shape, axis, keepdims), np.dtype(dtype))
        axes = axis if isinstance(axis, tuple) or axis is None else (axis,)
        wide = None if spec.dtype == x.dtype or spec.dtype == np.bool_ else spec.dtype
        return self.call(f"{ufunc.__name__}_reduce", ufunc.reduce, (x, axes, wide, OUT, keepdims), spec)

    def sum(self, x: Value, axis: Any = None, keepdims: bool = False) -> Value:
        """Sum over axes."""
        return self._reduce(np.add, x, axis, keepdims, np.add.reduce(np.empty(0, x.dtype)).dtype)

    def prod(self, x: Value, axis: Any = None, keepdims: bool = False) -> Value:
        """Product over axes."""
        return self._reduce(np.multiply, x, axis, keepdims, np.multiply.reduce(np.empty(0, x.dtype)).dtype)

    def max(self, x: Value, axis: Any = None, keepdims: bool = False) -> Value:
        """Maximum over axes."""
        return self._reduce(np.maximum, x, axis, keepdims, x.dtype)

    def min(self, x: Value, axis: Any = None, keepdims: bool = False) -> Value:
        """Minimum over axes."""
        return self._reduce(np.minimum, x, axis, keepdims, x.dtype)

    def all(self, x: Value, axis: Any = None, keepdims: bool = False) -> Value:
        """Conjunction over axes."""
        return self._reduce(np.logical_and, x, axis, keepdims, np.bool_)

    def any(self, x: Value, axis: Any = None, keepdims: bool = False) -> Value:
        """Disjunction over axes."""
        return self._reduce(np.logical_or, x, axis, keepdims, np.bool_)

    def matmul(self, a: Value, b: Value) -> Value:
        """Matrix product."""
        spec = Spec(
            (*broadcast([a.shape[:-2], b.shape[:-2]]), a.shape[-2], b.shape[-1]), np.result_type(a.dtype, b.dtype)
        )
        return self.call("matmul", np.matmul, (a, b, OUT), spec)
