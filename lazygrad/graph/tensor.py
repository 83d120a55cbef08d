"""Tensor: a node as its user holds it, with NumPy's operators."""

from __future__ import annotations

import functools
import numbers
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias

import numpy as np

from lazygrad.errors import GraphError, Origin, SpecError, TraceError, report
from lazygrad.graph.registry import functions, here
from lazygrad.graph.spec import Shape, Spec
from lazygrad.names import advice, instead

if TYPE_CHECKING:
    from lazygrad.graph.graph import Graph

__all__ = ["Array", "Tensor", "TensorLike", "checked_dtype", "operator", "swapped"]

# What a kernel computes with. At the public door the same argument is a Tensor, or anything that
# NumPy takes for an array.
Array: TypeAlias = Any

# What a public function takes for a tensor: one, a number, or anything that NumPy takes for an array.
TensorLike: TypeAlias = "Tensor | np.ndarray[Any, Any] | np.generic | float | Sequence[Any]"


# What to do where Python asks for a value.
LATER = "Return the tensor from the step and use the array it gives, or call .eval() inside env.run."

# Methods of ufuncs that are functions of the language.
REDUCED = {
    "np.add.reduce": "It is lg.sum.",
    "np.multiply.reduce": "It is lg.prod.",
    "np.maximum.reduce": "It is lg.max.",
    "np.minimum.reduce": "It is lg.min.",
    "np.add.accumulate": "It is lg.cumulative_sum.",
    "np.multiply.accumulate": "It is lg.cumulative_prod.",
    "np.multiply.outer": "It is lg.outer.",
    "np.add.at": "Write x = x.at[index].add(value).",
}


def checked_dtype(dtype: Any) -> np.dtype[Any]:
    """A dtype that tensors can have; raises SpecError at the user's line for any other."""
    try:
        found: np.dtype[Any] = np.dtype(dtype)
    except TypeError:
        found = np.dtype(object)
    if found.kind not in "biuf":
        cure = "A dtype is one of NumPy's real or boolean ones, such as 'float32' or 'int64'."
        raise SpecError(report(f"cannot use {dtype!r} as a dtype", at=here(), cure=cure))
    return found


@functools.cache
def _ufuncs() -> dict[np.ufunc, str]:
    """NumPy's ufuncs that are functions of the language, under any of NumPy's names for them."""
    named = {name: getattr(np, name, None) for name in functions.whole()}
    return {ufunc: name for name, ufunc in named.items() if isinstance(ufunc, np.ufunc)}


def operator(name: str) -> Callable[[Any, Any], Tensor]:
    """The operator that calls the function ``name``, which is looked up when it is used."""

    def method(self: Any, other: Any) -> Tensor:
        return functions[name](self, other)

    return method


def _is_operand(x: Any) -> bool:
    """Whether ``x`` has elements to compare with: anything else, such as None or a name, is no tensor."""
    if isinstance(x, (Tensor, numbers.Number, np.ndarray, np.generic, list, tuple)):
        return True
    return not isinstance(x, type) and hasattr(x, "__array__")


def swapped(name: str) -> Callable[[Any, Any], Tensor]:
    """As :func:`operator`, for the operand on the right."""

    def method(self: Any, other: Any) -> Tensor:
        return functions[name](other, self)

    return method


class Tensor:
    """A node as its user holds it: lazy, immutable, with NumPy's operators.

    ``==`` and ``!=`` compare elements, as :func:`lazygrad.equal` does. Whether two names stand for one tensor is
    asked with ``is``; a tensor is hashed by what it is, not by its elements.
    """

    __slots__ = ("graph", "index", "spec")

    def __init__(self, graph: Graph, index: int, spec: Spec) -> None:
        self.graph = graph
        self.index = index
        self.spec = spec

    @property
    def shape(self) -> Shape:
        """Sizes of the axes."""
        return self.spec.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """NumPy dtype of the elements."""
        return self.spec.dtype

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.spec.shape)

    @property
    def size(self) -> int:
        """Number of elements."""
        return self.spec.size

    @property
    def T(self) -> Tensor:
        """The tensor with its axes in reverse order."""
        return functions["permute_dims"](self, tuple(range(self.ndim))[::-1])

    @property
    def mT(self) -> Tensor:
        """The tensor with its last two axes exchanged."""
        return functions["matrix_transpose"](self)

    @property
    def at(self) -> Any:
        """``x.at[index].set(value)`` and ``x.at[index].add(value)``: a new tensor, changed there."""
        return functions["at"](self)

    @property
    def origin(self) -> Origin:
        """Where the user wrote it."""
        return self.graph.origins[self.index]

    def eval(self) -> Any:
        """The value, now. Inside ``env.run`` only; raises :class:`TraceError` while tracing."""
        self.graph.check_open("evaluate")
        return self.graph.context.evaluator().push(self).run()[0]

    def show(self, label: str = "") -> Tensor:
        """The same tensor; prints its value, after ``label``, in every run, also if nothing uses the result."""
        return functions["show"](self, label)

    def hook(self, f: Callable[[Any], Any]) -> Tensor:
        """The same tensor; calls ``f(array)``, a copy of its value, in every run, also if nothing uses the result."""
        return functions["hook"](self, f)

    def astype(self, dtype: Any, *, copy: bool = True) -> Tensor:
        """The tensor cast to ``dtype``; ``copy`` says nothing, as a tensor never changes."""
        return functions["astype"](self, dtype, copy=copy)

    def reshape(self, *shape: Any) -> Tensor:
        """The tensor in another shape; one size may be -1."""
        sizes = shape[0] if len(shape) == 1 and isinstance(shape[0], (tuple, list)) else shape
        return functions["reshape"](self, tuple(sizes))

    def flatten(self) -> Tensor:
        """The tensor with one axis."""
        return self.reshape(-1)

    def sum(self, axis: Any = None, keepdims: bool = False, *, dtype: Any = None) -> Tensor:
        """Sum over ``axis``, in ``dtype`` if it is given."""
        return functions["sum"](self, axis=axis, dtype=dtype, keepdims=keepdims)

    def mean(self, axis: Any = None, keepdims: bool = False) -> Tensor:
        """Arithmetic mean over ``axis``."""
        return functions["mean"](self, axis=axis, keepdims=keepdims)

    def max(self, axis: Any = None, keepdims: bool = False) -> Tensor:
        """Largest element over ``axis``."""
        return functions["max"](self, axis=axis, keepdims=keepdims)

    def min(self, axis: Any = None, keepdims: bool = False) -> Tensor:
        """Smallest element over ``axis``."""
        return functions["min"](self, axis=axis, keepdims=keepdims)

    def __eq__(self, other: Any) -> Tensor:  # type: ignore[override]
        return functions["equal"](self, other) if _is_operand(other) else NotImplemented

    def __ne__(self, other: Any) -> Tensor:  # type: ignore[override]
        return functions["not_equal"](self, other) if _is_operand(other) else NotImplemented

    __hash__ = object.__hash__

    def __repr__(self) -> str:
        return f"<Tensor {self.spec} {self.graph.describe(self.index)}>"

    def __len__(self) -> int:
        if not self.shape:
            raise SpecError(report(f"cannot take the length of {self.spec}", at=here(), cure="It has no axes."))
        return self.shape[0]

    def __iter__(self) -> Iterator[Tensor]:
        return (self[i] for i in range(len(self)))

    def __getitem__(self, index: Any) -> Tensor:
        return functions["getitem"](self, index)

    def __setitem__(self, index: Any, value: Any) -> NoReturn:
        raise GraphError(
            report(
                f"cannot assign into {self.spec}: a tensor never changes",
                at=here(),
                facts=[f"tensor:  {self.spec}   {self.graph.describe(self.index)}"],
                cure="Write x = x.at[index].set(value) instead, or x.at[index].add(value) to add.",
            )
        )

    def _no_value(self, kind: str, instead: str) -> NoReturn:
        raise TraceError(
            report(
                f"cannot turn {self.spec} into {kind}: it has no value while the graph is being written",
                at=here(),
                facts=[f"tensor:  {self.spec}   {self.graph.describe(self.index)}"],
                cure=instead,
            )
        )

    def __bool__(self) -> NoReturn:
        self._no_value("a bool", "Write lg.where(condition, a, b) instead of if, or return it and look at the array.")

    def __float__(self) -> NoReturn:
        self._no_value("a float", f"{LATER} In place of a function of math take lazygrad's, such as lg.sin(x).")

    def __int__(self) -> NoReturn:
        self._no_value("an int", f"{LATER} A cast in the graph is x.astype(int).")

    def __round__(self, digits: int | None = None) -> NoReturn:
        self._no_value("a rounded number", f"{LATER} Rounding in the graph is lg.round(x).")

    def __floor__(self) -> NoReturn:
        self._no_value("an int", f"{LATER} In the graph it is lg.floor(x).")

    def __ceil__(self) -> NoReturn:
        self._no_value("an int", f"{LATER} In the graph it is lg.ceil(x).")

    def __trunc__(self) -> NoReturn:
        self._no_value("an int", f"{LATER} In the graph it is lg.trunc(x).")

    def __format__(self, how: str) -> str:
        if how:
            self._no_value(f"text of the form {how!r}", f"{LATER} x.show(label) prints it in every run.")
        return str(self)

    def __getattr__(self, name: str) -> Any:
        # Only for names that there are not. Python and NumPy ask for many that begin with an underscore.
        if name.startswith("_") or name in Tensor.__slots__:
            raise AttributeError(f"'Tensor' object has no attribute {name!r}")
        raise AttributeError(report(f"a tensor has no {name!r}", at=here(), cure=instead(name)))

    def __index__(self) -> NoReturn:
        self._no_value("an index", "Use lg.take(x, indices), or x[indices] with this tensor as the index.")

    def __complex__(self) -> NoReturn:
        self._no_value("a complex", LATER)

    def __array__(self, dtype: Any = None, copy: Any = None) -> NoReturn:
        self._no_value("a NumPy array", "Use lazygrad's function (lg.*) in place of NumPy's, or return the tensor.")

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        # So ``array + tensor`` arrives here as np.add. A ufunc is the function of that name, lazily.
        if ufunc is np.divmod and method == "__call__" and not kwargs:
            return functions["floor_divide"](*inputs), functions["remainder"](*inputs)
        name = _ufuncs().get(ufunc)
        if name is None or method != "__call__" or kwargs:
            used = f"np.{ufunc.__name__}" + ("" if method == "__call__" else f".{method}")
            alike = REDUCED.get(used) or (advice(ufunc.__name__) if method == "__call__" else "")
            self._no_value(f"an argument of {used}", alike or "Use a function of lazygrad (lg.*) in place of NumPy's.")
        return functions[name](*inputs)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> NoReturn:
        used = f"{function.__module__}.{function.__name__}".replace("numpy", "np", 1)
        cure = instead(function.__name__) or "Use a function of lazygrad (lg.*) in place of NumPy's."
        self._no_value(f"an argument of {used}", cure)

    def __neg__(self) -> Tensor:
        return functions["negative"](self)

    def __pos__(self) -> Tensor:
        return self

    def __abs__(self) -> Tensor:
        return functions["abs"](self)

    def __invert__(self) -> Tensor:
        return functions["bitwise_invert"](self)

    def __divmod__(self, other: Any) -> tuple[Tensor, Tensor]:
        return self // other, self % other

    def __rdivmod__(self, other: Any) -> tuple[Tensor, Tensor]:
        return other // self, other % self

    __add__ = operator("add")
    __radd__ = swapped("add")
    __sub__ = operator("subtract")
    __rsub__ = swapped("subtract")
    __mul__ = operator("multiply")
    __rmul__ = swapped("multiply")
    __truediv__ = operator("divide")
    __rtruediv__ = swapped("divide")
    __floordiv__ = operator("floor_divide")
    __rfloordiv__ = swapped("floor_divide")
    __mod__ = operator("remainder")
    __rmod__ = swapped("remainder")
    __pow__ = operator("pow")
    __rpow__ = swapped("pow")
    __matmul__ = operator("matmul")
    __rmatmul__ = swapped("matmul")
    __and__ = operator("bitwise_and")
    __rand__ = swapped("bitwise_and")
    __or__ = operator("bitwise_or")
    __ror__ = swapped("bitwise_or")
    __xor__ = operator("bitwise_xor")
    __rxor__ = swapped("bitwise_xor")
    __lshift__ = operator("bitwise_left_shift")
    __rlshift__ = swapped("bitwise_left_shift")
    __rshift__ = operator("bitwise_right_shift")
    __rrshift__ = swapped("bitwise_right_shift")
    __lt__ = operator("less")
    __le__ = operator("less_equal")
    __gt__ = operator("greater")
    __ge__ = operator("greater_equal")
