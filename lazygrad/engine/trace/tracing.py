"""Tracing: an op's kernel is run on what stands for arrays, and writes down what it does."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NoReturn

from lazygrad.define.kinds import Declared

__all__ = ["NotTraced", "Stand", "heard", "traced"]

# What Python may do with an object beside asking for an attribute and whether it is another.
_OPERATIONS = (
    "add sub mul truediv floordiv mod divmod pow matmul and or xor lshift rshift neg pos abs invert lt le gt ge "
    "radd rsub rmul rtruediv rfloordiv rmod rdivmod rpow rmatmul rand ror rxor rlshift rrshift getitem setitem len "
    "iter contains bool int float complex index round call array"
)


class NotTraced(TypeError):
    """A kernel does something that cannot be written down: it is called as it is."""


class Stand:
    """What stands for an array: whatever a subclass does not write down raises :class:`NotTraced`."""

    __slots__ = ()
    __array_ufunc__: Any = None

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__"):  # Python and NumPy ask what there is
            raise AttributeError(name)
        raise NotTraced(f"asks for .{name} of what stands for an array")


def _refusing(name: str) -> Callable[..., NoReturn]:
    def refused(self: Stand, *_: Any, **__: Any) -> NoReturn:
        raise NotTraced(f"does __{name}__ with what stands for an array")

    return refused


for _name in _OPERATIONS.split():
    setattr(Stand, f"__{_name}__", _refusing(_name))


def traced(op: Declared, xp: Any, operands: Iterable[Any], params: dict[str, Any]) -> Any:
    """What the kernel of an op returns for what stands for its operands; see :func:`heard`."""
    return heard(op, lambda: op.kernel(xp, *operands, **params))


def heard(op: Declared, work: Callable[[], Any]) -> Any:
    """``work()``, in which only what cannot be traced is caught.

    Raises:
        NotTraced: it does something that cannot be written down. A kernel of the user's may say so by raising anything,
            as it knows nothing of tracing; one of lazygrad's own that raises something else is at fault.
    """
    try:
        return work()
    except NotTraced:
        raise
    except Exception as reason:
        if op.own:
            raise
        raise NotTraced(f"{type(reason).__name__}: {reason}") from reason
