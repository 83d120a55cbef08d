"""Ops that users declare: what their kernels are given and return, and what their rules say, is looked at.

A kernel of the user's gets arrays that it cannot change, as they may be a variable's, the caller's, or what other
nodes read. What its rules return is made shapes and dtypes, or is a DefinitionError that says what it was.
lazygrad's own ops go none of these ways: they cost nothing there.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lazygrad.errors import DefinitionError, Origin, report
from lazygrad.graph.registry import here
from lazygrad.graph.spec import Kind, Mismatch, Shape, sized

if TYPE_CHECKING:
    from lazygrad.graph.graph import Op

__all__ = ["declared_at", "dtypes_of", "guarded", "misdeclared", "shapes_of"]


def declared_at(op: Op) -> str:
    """Where the user declared an op."""
    code = getattr(getattr(op, "raw", None), "__code__", None)
    if code is None:
        return "<unknown>"
    origin = Origin(code, -1)
    return f"{origin.place.rpartition(':')[0]}:{code.co_firstlineno}"


def misdeclared(op: Op, what: str, seen: str, cure: str, *, at: Origin | None = None) -> DefinitionError:
    """The error that an op is declared wrongly: ``what`` is said of it, and ``seen`` shows it."""
    facts = [f"declared:  {declared_at(op)}", f"seen:      {seen}"]
    error = DefinitionError(report(f"op {op.name!r} {what}", at=at, facts=facts, cure=cure))
    error.told = (op, what, seen, cure)  # type: ignore[attr-defined]
    return error


def guarded(op: Op, kernel: Callable[..., Any]) -> Callable[..., Any]:
    """The kernel, given arrays that it cannot change, and returning plain ones."""

    @functools.wraps(kernel)
    def called(xp: Any, *operands: Any, **params: Any) -> Any:
        try:
            result = kernel(xp, *[_locked(x) if type(x) is np.ndarray else x for x in operands], **params)
        except (ValueError, TypeError) as reason:
            if "read-only" not in str(reason) and "WRITEABLE" not in str(reason):
                raise
            cure = "A kernel computes a new array: write y = x + 1 in place of x += 1, or copy the operand first."
            raise misdeclared(op, "changes its operand", f"{type(reason).__name__}: {reason}", cure) from reason
        if type(result) is np.ndarray:
            return result
        return _plain(op, result)

    return called


def _locked(x: Any) -> Any:
    """The same memory, as an array that cannot be made writeable again."""
    if not x.size or x.dtype.hasobject:
        locked = x.view()
        locked.flags.writeable = False
        return locked
    return np.asarray(memoryview(x).toreadonly())


def _plain(op: Op, result: Any) -> Any:
    """What a kernel returned, with plain arrays in place of matrices and the like."""
    if isinstance(result, np.ma.MaskedArray):
        cure = "Return a plain array: fill what is masked, as with y.filled(0)."
        raise misdeclared(op, "returns a masked array", f"a masked array of {result.dtype}", cure)
    if isinstance(result, np.ndarray):
        return np.asarray(result)
    if isinstance(result, (tuple, list)):
        return tuple(_plain(op, part) for part in result)
    return result


def shapes_of(op: Op, rule: Callable[..., Any], shapes: Sequence[Shape], params: dict[str, Any]) -> Any:
    """What the shape rule of an op says: a shape, or a list of them.

    Raises:
        DefinitionError: it fails, or what it says is no shape.
    """
    given = " and ".join(str(list(shape)) for shape in shapes)
    try:
        found = rule(*shapes, **params)
    except Mismatch:
        raise
    except Exception as reason:
        cure = "Say what does not fit by raising lazygrad.define.Mismatch with a sentence."
        seen = f"of {given} its rule raised {type(reason).__name__}: {reason}"
        raise misdeclared(op, "has a shape= rule that fails", seen, cure, at=here()) from reason
    try:
        if isinstance(found, list) and all(isinstance(shape, (tuple, list)) for shape in found):
            return [sized(shape) for shape in found]
        if not isinstance(found, (tuple, list)) or any(isinstance(size, (bool, np.bool_)) for size in found):
            raise Mismatch(f"A shape is a tuple of whole numbers, not {found!r}.")
        return sized(found)
    except Mismatch as reason:
        seen = f"of {given} its rule returned {found!r:.60}"
        raise misdeclared(op, "has a shape= rule that returns no shape", seen, str(reason), at=here()) from None


def dtypes_of(
    op: Op, kinds: Sequence[Kind], rule: Callable[[tuple[Kind, ...]], Any]
) -> tuple[tuple[np.dtype[Any], ...], np.dtype[Any]]:
    """What the dtype rule of an op says: a dtype for each operand, and the result's.

    Raises:
        DefinitionError: it fails, or says something else.
    """
    if not kinds:
        raise Mismatch("It needs an operand.")
    named = ", ".join(kind.__name__ if isinstance(kind, type) else str(kind) for kind in kinds)
    try:
        found = rule(tuple(kinds))
    except Mismatch:
        raise
    except Exception as reason:
        cure = "Say what does not fit by raising lazygrad.define.Mismatch with a sentence."
        seen = f"of ({named}) its rule raised {type(reason).__name__}: {reason}"
        raise misdeclared(op, "has a dtype= rule that fails", seen, cure, at=here()) from reason
    try:
        operands, result = found
        wanted = tuple([np.dtype(dtype) for dtype in operands])
        dtype = np.dtype(result)
    except (TypeError, ValueError):
        wanted, dtype = (), np.dtype(object)
    if len(wanted) == len(kinds) and all(d.kind in "biuf" for d in (*wanted, dtype)):
        return wanted, dtype
    seen = f"of ({named}) its rule returned {found!r:.60}"
    cure = "A dtype rule returns a tuple with the dtype of each operand, and the dtype of the result."
    raise misdeclared(op, "has a dtype= rule that returns no dtypes", seen, cure, at=here())
