"""The one tracing of an op's kernel: the calls that it makes, in order, of which all else is a reading.

The kernel is run once on what stands for its operands, and every function of ``xp`` and every operator is written down.
Played on NumPy's recorder the calls are the program of a step; on stand-ins for whole arrays they say what the op is;
on registers they are the code of its elements, and how many instructions that is, its cost.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from types import FunctionType
from typing import Any, NamedTuple

import numpy as np

from lazygrad.define.kinds import Declared, Elementwise
from lazygrad.engine.trace.tracing import NotTraced, Stand, heard
from lazygrad.graph.spec import Spec, broadcast

__all__ = ["Performed", "Trace", "Unseen", "calls_of", "play"]

# What may stand among the operands of a call, beside what is traced.
PLAIN = (
    bool, int, float, str, slice, type, type(None), type(...), np.generic, np.dtype, np.ndarray, FunctionType, partial,
)  # fmt: skip


METHODS = ("astype", "view")  # of an array, with the dtype of the result


class Ref(NamedTuple):
    """The value of that number: first the operands, then what each call returned."""

    number: int


class Performed(NamedTuple):
    """A call of a function with operands and settings, in which :class:`Ref` stands for what is traced.

    Attributes:
        function: ``"exp"`` or ``"linalg.inv"`` of the namespace, a method of the first operand; or an operator.
    """

    function: str | Callable[..., Any]
    operands: tuple[Any, ...]
    settings: tuple[tuple[str, Any], ...]


class Trace(NamedTuple):
    """What a kernel was seen to do: its calls, and what it returned."""

    made: tuple[Performed, ...]
    result: Any

    def on(self, xp: Any, operands: Iterable[Any]) -> Any:
        """What the calls give with the functions of a namespace, for operands."""
        values = list(operands)
        for function, given, settings in self.made:
            listed = [partial(x.on, xp) if type(x) is Trace else _filled(x, values) for x in given]
            if settings:
                values.append(_found(function, xp, listed)(*listed, **{k: _filled(x, values) for k, x in settings}))
            else:
                values.append(_found(function, xp, listed)(*listed))
        return _filled(self.result, values)


def _found(function: str | Callable[..., Any], xp: Any, listed: list[Any]) -> Callable[..., Any]:
    if not isinstance(function, str):
        return function
    if function in METHODS:
        return getattr(listed.pop(0), function)  # type: ignore[no-any-return]
    for name in function.split("."):
        xp = getattr(xp, name)
    return xp  # type: ignore[no-any-return]


def _filled(x: Any, values: Sequence[Any]) -> Any:
    """An operand with values in place of references."""
    if type(x) is Ref:
        return values[x.number]
    if type(x) is tuple:
        return tuple([_filled(part, values) for part in x])
    return [_filled(part, values) for part in x] if type(x) is list else x


class Symbol(Stand):
    """Stands for an operand, or for what a call returns; it knows its dtype, and its shape if that was given."""

    def __init__(self, tracer: _Tracer, number: int, spec: Spec | None = None) -> None:
        self._tracer, self._number, self._spec = tracer, number, spec

    @property
    def dtype(self) -> np.dtype[Any]:
        """As NumPy's functions would make it."""
        return self._tracer.dtype(self._number)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of an operand; of elements there is none."""
        return self._tracer.shape(self._number)

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    def astype(self, dtype: Any) -> Symbol:
        """A copy in another dtype."""
        return self._tracer.write("astype", (self, np.dtype(dtype)), {})

    def view(self, dtype: Any) -> Symbol:
        """The same bits in another dtype."""
        return self._tracer.write("view", (self, np.dtype(dtype)), {})


def _operator(name: str, swapped: bool) -> Callable[..., Symbol]:
    function = getattr(operator, name)

    def method(self: Symbol, *other: Any) -> Symbol:
        return self._tracer.write(function, (*other, self) if swapped else (self, *other), {})

    return method


def _compared(self: Symbol, other: Any) -> Any:
    raise NotTraced("compares by == or != what stands for an array: xp.equal does that")


setattr(Symbol, "__eq__", _compared)  # noqa: B010
setattr(Symbol, "__ne__", _compared)  # noqa: B010
setattr(Symbol, "__hash__", object.__hash__)  # noqa: B010
for _name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "and_", "or_", "xor", "lshift", "rshift"):
    setattr(Symbol, f"__{_name.strip('_')}__", _operator(_name, False))
    setattr(Symbol, f"__r{_name.strip('_')}__", _operator(_name, True))
for _name in ("lt", "le", "gt", "ge", "neg", "invert"):
    setattr(Symbol, f"__{_name}__", _operator(_name, False))


def _part(found: tuple[list[Any], Any], k: int) -> Any:
    """What a loop over elements leaves: number ``k`` of its state, or whether more was wanted."""
    state, again = found
    return state[k] if k < len(state) else again


class _Function:
    """A function of the namespace. It is no operand, as it belongs to the tracing."""

    def __init__(self, tracer: _Tracer, name: str) -> None:
        self._tracer, self._name = tracer, name

    def __call__(self, *operands: Any, **settings: Any) -> Symbol:
        return self._tracer.now().write(self._name, operands, settings)


class _Xp:
    """The namespace ``xp``, or one within it, that writes calls down."""

    def __init__(self, tracer: _Tracer, path: str = "") -> None:
        self._tracer, self._path = tracer, path

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if name == "linalg":
            return _Xp(self._tracer, "linalg.")
        if name == "repeated":
            return self._tracer.repeated
        return _Function(self._tracer, self._path + name)


class _Tracer:
    """The calls of a kernel that is being traced."""

    def __init__(self, specs: Sequence[Spec], elements: bool) -> None:
        self._specs = list(specs)
        self._elements = elements  # of which no shape is known
        self._made: list[Performed] = []
        self._turn: _Tracer | None = None  # of a loop whose turn is being traced

    def now(self) -> _Tracer:
        """The one that writes what is called now."""
        return self if self._turn is None else self._turn

    def repeated(self, most: int, state: list[Symbol], turn: Callable[..., Any]) -> tuple[list[Symbol], Symbol]:
        """Write down a loop over elements; its turn is traced once, and reads nothing but the state."""
        if self._turn is not None:
            raise NotTraced("repeats in a turn")
        specs = [Spec((), x.dtype) for x in state]
        inner = self._turn = _Tracer(specs, self._elements)
        try:
            made = inner.finished(turn([Symbol(inner, k) for k in range(len(state))]))
        finally:
            self._turn = None
        self._made.append(Performed("repeated", (most, self._plain(list(state)), made), ()))
        loop = Symbol(self, len(self._specs) + len(self._made) - 1)
        parts = [self.write(_part, (loop, k), {}) for k in range(len(state) + 1)]
        return parts[:-1], parts[-1]

    def write(self, function: str | Callable[..., Any], operands: tuple[Any, ...], settings: dict[str, Any]) -> Symbol:
        """Write a call down; what stands for what it returns."""
        given = tuple([self._plain(x) for x in operands])
        named = tuple([(name, self._plain(x)) for name, x in settings.items()])
        self._made.append(Performed(function, given, named))
        return Symbol(self, len(self._specs) + len(self._made) - 1)

    def _plain(self, x: Any) -> Any:
        """An operand as it is written down."""
        if type(x) is Symbol:
            if x._tracer is not self:
                raise NotTraced("reads in a turn what is no part of the state, or the other way round")
            return Ref(x._number)
        if type(x) in (tuple, list):
            return type(x)([self._plain(part) for part in x])
        if not isinstance(x, PLAIN):
            raise NotTraced(f"gives {type(x).__name__} to a function of xp")
        return x

    def dtype(self, number: int) -> np.dtype[Any]:
        """That of a value: NumPy computes with one element of each operand."""
        if number < len(self._specs):
            return self._specs[number].dtype
        call = self._made[number - len(self._specs)]
        if call.function in METHODS:
            return call.operands[1]  # type: ignore[no-any-return]
        if call.function is _part:
            return self._part_dtype(*call.operands)
        if isinstance(call.function, str) and "." in call.function:
            raise NotTraced("asks for the dtype of what linear algebra returns")
        return _computed(call, self.dtype)

    def _part_dtype(self, loop: Ref, k: int) -> np.dtype[Any]:
        """That of what a loop leaves: the state keeps its dtypes."""
        state = self._made[loop.number - len(self._specs)].operands[1]
        return self.dtype(state[k].number) if k < len(state) else np.dtype(np.bool_)

    def shape(self, number: int) -> tuple[int, ...]:
        """That of a value of whole arrays."""
        if self._elements:
            raise NotTraced("asks for the shape of elements")
        if number < len(self._specs):
            return self._specs[number].shape
        call = self._made[number - len(self._specs)]
        if (
            isinstance(call.function, str)
            and call.function not in METHODS
            and not hasattr(_ufunc(call.function), "nin")
        ):
            raise NotTraced(f"asks for the shape of what xp.{call.function} returns")
        return broadcast([self.shape(x.number) for x in call.operands if type(x) is Ref])

    def finished(self, result: Any) -> Trace:
        """All calls, with what the kernel returned."""
        return Trace(tuple(self._made), self._plain(result))


def _ufunc(name: str) -> Any:
    return getattr(np, name, None)


def _computed(call: Performed, dtype: Callable[[int], np.dtype[Any]]) -> np.dtype[Any]:
    """The dtype of what a call returns, as NumPy says of one element."""
    ones = [np.ones((), dtype(x.number)) if type(x) is Ref else x for x in call.operands]
    function = _ufunc(call.function) if isinstance(call.function, str) else call.function
    if function is None:  # a function of floats that NumPy has not
        return np.result_type(*[x.dtype if isinstance(x, np.ndarray) else x for x in ones])
    try:
        with np.errstate(all="ignore"):
            return np.asarray(function(*ones)).dtype
    except (TypeError, ValueError) as reason:
        raise NotTraced(str(reason)) from None


class Unseen(dict[str, Any]):
    """Settings that take no part in a cache's key, which has their frozen form."""

    def __hash__(self) -> int:  # type: ignore[override]
        return 0

    def __eq__(self, other: object) -> bool:
        return True


def calls_of(op: Declared, specs: Sequence[Spec], params: dict[str, Any], key: Any) -> Trace:
    """What the kernel of an op does with operands of these specs; of an elementwise one, their dtypes.

    Raises:
        NotTraced: something that cannot be written down.
    """
    elements = isinstance(op, Elementwise)
    found = _traced(
        op, op.kernel, tuple([Spec((), s.dtype) for s in specs]) if elements else tuple(specs), Unseen(params), key
    )
    if isinstance(found, NotTraced):
        raise NotTraced(*found.args)
    return found


@functools.lru_cache(maxsize=4096)
def _traced(
    op: Declared, kernel: Callable[..., Any], specs: tuple[Spec, ...], params: Unseen, key: Any
) -> Trace | NotTraced:
    tracer = _Tracer(specs, isinstance(op, Elementwise))
    operands = [Symbol(tracer, number) for number in range(len(specs))]
    try:
        return tracer.finished(heard(op, lambda: kernel(_Xp(tracer), *operands, **params)))
    except NotTraced as reason:
        return reason


def play(op: Declared, calls: Trace, xp: Any, operands: Iterable[Any]) -> Any:
    """What the calls of an op's kernel give with the functions of a namespace of stand-ins.

    Raises:
        NotTraced: a function has no form there.
    """
    return heard(op, lambda: calls.on(xp, operands))
