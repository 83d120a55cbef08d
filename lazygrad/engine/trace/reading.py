"""What a kernel of whole arrays does, found by running it on stand-ins.

A reduction's kernel calls ``xp.sum`` or another fold, a product's ``xp.matmul``, indexing's ``xp.elements`` or
``xp.added``, linear algebra's a function of ``xp.linalg``. The stand-ins note that call. A kernel that does anything
else has no native form, and is called back.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

from lazygrad.define.kinds import Declared
from lazygrad.engine.trace.calls import Unseen, calls_of, play
from lazygrad.engine.trace.tracing import NotTraced, Stand
from lazygrad.graph.graph import Node
from lazygrad.graph.spec import Spec

__all__ = [
    "Decomposed",
    "Folded",
    "Multiplied",
    "Scattered",
    "Gathered",
    "Searched",
    "Sorted",
    "Summed",
    "Windowed",
    "read",
]


class Folded(NamedTuple):
    """A reduction: ``sum prod max min all any argmax argmin`` over axes."""

    how: str


class Multiplied(NamedTuple):
    """A product of matrices."""


class Gathered(NamedTuple):
    """Elements of operand 0 at ``pattern``, where operands stand for themselves."""

    pattern: tuple[Any, ...]


class Scattered(NamedTuple):
    """Whole 0 with operand ``values`` added, or written, at ``pattern``."""

    values: int
    pattern: tuple[Any, ...]
    adds: bool

    def is_named(self, node: Node) -> bool:
        """Whether all but slices and new axes are index arrays of a node, or numbers if it has none."""
        count = len(node.inputs) - 2
        return not count or sum([not (part is None or isinstance(part, slice)) for part in self.pattern]) == count


class Windowed(NamedTuple):
    """What is made of windows of so many elements: their ``sum`` or ``max``, or they are laid ``back``."""

    how: str
    size: int

    @property
    def is_small(self) -> bool:
        """Whether lanes can be windows, as what all of them hold is little."""
        return self.size <= 48


class Decomposed(NamedTuple):
    """Linear algebra of whole matrices: a function of ``xp.linalg``, or ``solve_triangular``, of all operands in order.

    Attributes:
        what: its name.
        settings: what it is given beside them.
    """

    what: str
    settings: tuple[tuple[str, Any], ...]


class Sorted(NamedTuple):
    """The places that sort operand 0 along an axis; equal elements keep their order."""

    axis: int


class Summed(NamedTuple):
    """The sums of the elements of operand 0 up to and including each, along an axis."""

    axis: int


class Searched(NamedTuple):
    """Where among operand 0, in order, each element of operand 1 would stand: behind equal ones if ``right``."""

    right: bool


class Whole(Stand):
    """Stands for the operand of that number."""

    def __init__(self, number: int) -> None:
        self.number = number


# Functions of ``xp.linalg`` that take matrices and no settings.
PLAIN = ("cholesky", "cholesky_cotangent", "cholesky_inverse", "det", "eigh", "eigvalsh", "inv", "slogdet", "solve")


class _Decomposing:
    """The namespace ``xp.linalg`` of stand-ins."""

    def __init__(self) -> None:
        for name in PLAIN:
            setattr(self, name, functools.partial(_decomposed, name))

    def __getattr__(self, name: str) -> Any:
        raise NotTraced(f"xp.linalg.{name} has no native form")

    def qr(self, a: Whole, mode: str = "reduced") -> Decomposed | None:
        """Orthonormal and upper triangular factors."""
        return _decomposed("qr", a, mode=mode)

    def svd(self, a: Whole, full_matrices: bool = True, compute_uv: bool = True) -> Decomposed | None:
        """Singular values and vectors."""
        return _decomposed("svd", a, full_matrices=full_matrices, compute_uv=compute_uv)


def _decomposed(what: str, *operands: Whole, **settings: Any) -> Decomposed | None:
    in_order = [operand.number for operand in operands] == list(range(len(operands)))
    return Decomposed(what, tuple(settings.items())) if in_order else None


class _Reading:
    """The namespace ``xp`` of stand-ins."""

    def __init__(self, params: dict[str, Any]) -> None:
        self.params = params
        self.linalg = _Decomposing()

    def __getattr__(self, name: str) -> Any:
        if name not in ("sum", "prod", "max", "min", "all", "any", "argmax", "argmin"):
            raise NotTraced(f"xp.{name} of whole arrays has no native form")

        def folded(x: Whole, axis: Any, keepdims: Any) -> Folded | None:
            axes = self.params.get("axis", axis)
            same = axis in (axes, (axes,)) or (axis,) == axes
            same = same and bool(self.params.get("keepdims", keepdims)) == bool(keepdims)
            return Folded(name) if same and x.number == 0 else None

        return folded

    def matmul(self, a: Whole, b: Whole) -> Multiplied | None:
        """A product."""
        return Multiplied() if (a.number, b.number) == (0, 1) else None

    def solve_triangular(self, a: Whole, b: Whole, lower: bool, transposed: bool) -> Decomposed | None:
        """Triangular systems."""
        return _decomposed("solve_triangular", a, b, lower=lower, transposed=transposed)

    def elements(self, x: Whole, pattern: tuple[Any, ...]) -> Gathered | None:
        """Elements that are taken."""
        return Gathered(pattern) if x.number == 0 else None

    def added(self, x: Whole, pattern: tuple[Any, ...], values: Whole) -> Scattered | None:
        """An addition."""
        return Scattered(values.number, pattern, True) if x.number == 0 else None

    def windows_folded(self, how: str, x: Whole, places: Any) -> Windowed | None:
        """A number of every window."""
        return Windowed(how, len(places)) if x.number == 0 else None

    def windows_back(self, columns: Whole, shape: Any, places: Any) -> Windowed | None:
        """Windows added up."""
        return Windowed("back", len(places)) if columns.number == 0 else None

    def argsort(self, x: Whole, axis: int, kind: str) -> Sorted | None:
        """Places that sort."""
        return Sorted(axis) if x.number == 0 and kind == "stable" else None

    def cumsum(self, x: Whole, axis: int) -> Summed | None:
        """Running sums."""
        return Summed(axis) if x.number == 0 else None

    def searchsorted(self, edges: Whole, x: Whole, side: str) -> Searched | None:
        """Places among edges."""
        return Searched(side == "right") if (edges.number, x.number) == (0, 1) else None

    def placed(self, x: Whole, pattern: tuple[Any, ...], values: Whole) -> Scattered | None:
        """Elements that are written."""
        return Scattered(values.number, pattern, False) if x.number == 0 else None


_READ = (Decomposed, Folded, Multiplied, Scattered, Gathered, Searched, Sorted, Summed, Windowed)


def read(op: Declared, specs: Sequence[Spec], params: dict[str, Any], key: Any) -> Any:
    """What the kernel of ``op`` does, or None if it has no native form."""
    return _read(op, op.kernel, tuple(specs), Unseen(params), key)


@functools.lru_cache(maxsize=4096)
def _read(op: Declared, kernel: Any, specs: tuple[Spec, ...], params: Unseen, key: Any) -> Any:
    try:
        found = play(op, calls_of(op, specs, params, key), _Reading(params), map(Whole, range(len(specs))))
    except NotTraced:
        return None
    return found if isinstance(found, _READ) else None
