"""What a kernel of whole arrays does, found by running it on stand-ins.

A reduction's kernel calls ``xp.sum`` or another fold, a product's ``xp.matmul``, indexing's takes elements or adds
to them. The stand-ins note that call. A kernel that does anything else has no native form, and is called back.
"""

from __future__ import annotations

from typing import Any, NamedTuple

__all__ = ["Folded", "Multiplied", "Scattered", "Taken", "read"]


class Folded(NamedTuple):
    """A reduction: ``sum prod max min all any argmax argmin`` over axes."""

    how: str


class Multiplied(NamedTuple):
    """A product of matrices."""


class Taken(NamedTuple):
    """Elements of operand 0 at ``pattern``, where operands stand for themselves."""

    pattern: tuple[Any, ...]


class Scattered(NamedTuple):
    """Operand 0 with operand ``values`` added at ``pattern``."""

    values: int
    pattern: tuple[Any, ...]


class Operand:
    """Stands for the operand of that number."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.added: Scattered | None = None

    def __getitem__(self, pattern: Any) -> Taken:
        return Taken(pattern)

    def copy(self) -> Operand:
        """Stands for a copy."""
        return Operand(self.number)


class _Added:
    def at(self, out: Operand, pattern: tuple[Any, ...], values: Operand) -> None:
        """Note an addition."""
        out.added = Scattered(values.number, pattern)


class _Reading:
    """The namespace ``xp`` of stand-ins."""

    add = _Added()

    def __getattr__(self, name: str) -> Any:
        if name not in ("sum", "prod", "max", "min", "all", "any", "argmax", "argmin"):
            raise AttributeError(name)
        return lambda x, axis, keepdims: Folded(name)

    def matmul(self, a: Operand, b: Operand) -> Multiplied:
        """A product."""
        return Multiplied()


_READING = _Reading()


def read(op: Any, operands: int, params: dict[str, Any]) -> Any:
    """What the kernel of ``op`` does, or None if it has no native form."""
    try:
        found = op.kernel(_READING, *map(Operand, range(operands)), **params)
    except Exception:  # whatever a kernel does with stand-ins that it was not made for
        return None
    if isinstance(found, Operand):
        return found.added
    return found if isinstance(found, (Folded, Multiplied, Taken)) else None
