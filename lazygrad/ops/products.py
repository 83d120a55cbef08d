"""Products of matrices and of arrays: matmul, tensordot, einsum and their kin."""

from __future__ import annotations

import math
import string
from collections.abc import Sequence
from typing import Any

import numpy as np

from lazygrad.define import opaque
from lazygrad.define.kinds import tensors
from lazygrad.define.precision import in_floats
from lazygrad.errors import SpecError, report
from lazygrad.graph.casting import working
from lazygrad.graph.registry import function, here
from lazygrad.graph.spec import Mismatch, Shape, broadcast, normalize_axis
from lazygrad.graph.tensor import Array, Tensor, TensorLike
from lazygrad.ops.indexing import diagonal
from lazygrad.ops.movement import (
    astype,
    broadcast_to,
    expand_dims,
    moveaxis,
    permute_dims,
    reshape,
    roll,
    squeeze,
    swapaxes,
)
from lazygrad.ops.reduction import sum, sum_to

__all__ = [
    "cross",
    "dot",
    "einsum",
    "inner",
    "kron",
    "matmul",
    "matvec",
    "outer",
    "tensordot",
    "vdot",
    "vecdot",
    "vecmat",
]


def batches(a: Shape, b: Shape) -> Shape:
    """What the axes before the last two broadcast to."""
    try:
        return broadcast([a[:-2], b[:-2]])
    except Mismatch:
        raise Mismatch(
            f"The axes before the last two are {list(a[:-2])} and {list(b[:-2])}, which do not broadcast: "
            "counted from the end, sizes must be equal, or one of them 1."
        ) from None


def _multiplied(a: Shape, b: Shape) -> Shape:
    if len(a) < 2 or len(b) < 2:
        raise Mismatch("Both need two axes or more.")
    if a[-1] != b[-2]:
        raise Mismatch(f"The left has {a[-1]} columns, the right {b[-2]} rows; they must be as many.")
    return (*batches(a, b), a[-2], b[-1])


def _pull_right(g: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """The cotangent of the right factor, aᵀ·g; where it is shared by a batch, all rows of the batch are one matrix."""
    if b.ndim == 2 and a.ndim > 2 and a.size and g.size:
        a, g = reshape(a, (-1, a.shape[-1])), reshape(g, (-1, g.shape[-1]))
    return sum_to(_matmul(swapaxes(a, -1, -2), g), b.shape)


@opaque(
    shape=_multiplied,
    vjp=(
        lambda g, y, a, b: sum_to(_matmul(g, swapaxes(b, -1, -2)), a.shape),
        lambda g, y, a, b: _pull_right(g, a, b),
    ),
    jvp=(lambda t, y, a, b: _matmul(t, b), lambda t, y, a, b: _matmul(a, t)),
    recorded=True,
    adds=True,
)
def _matmul(xp: Any, a: Array, b: Array) -> Any:
    """Matrix product of the last two axes."""
    return xp.matmul(a, b)


@function
def matmul(a: TensorLike, b: TensorLike) -> Tensor:
    """Matrix product, ``a @ b``, by NumPy's rules.

    Axes before the last two broadcast. A vector on the left is a row, on the right a column, and that
    axis is left out of the result.

    Raises:
        SpecError: an operand has no axes, or the inner sizes differ.
    """
    a, b = tensors(a, b)
    if not a.ndim or not b.ndim:
        facts = [f"left:   {a.spec}   {a.graph.describe(a.index)}", f"right:  {b.spec}   {b.graph.describe(b.index)}"]
        cure = "A product of matrices needs axes: write * to scale by a number."
        raise SpecError(report(f"cannot matmul {a.spec} and {b.spec}", at=here(), facts=facts, cure=cure))
    row, column = a.ndim == 1, b.ndim == 1
    if not row and not column:
        return _matmul(a, b)
    y = _matmul(expand_dims(a, 0) if row else a, expand_dims(b, 1) if column else b)
    return squeeze(y, tuple(axis for axis, gone in ((-2, row), (-1, column)) if gone))


@function
def dot(a: TensorLike, b: TensorLike) -> Tensor:
    """NumPy's ``dot``: the sum of products over the last axis of ``a`` and the last but one of ``b``."""
    a, b = tensors(a, b)
    if not a.ndim or not b.ndim:
        return a * b
    return tensordot(a, b, axes=([a.ndim - 1], [max(b.ndim - 2, 0)]))


@function
@in_floats("a", "b", whole=False)
def vecdot(a: TensorLike, b: TensorLike, *, axis: int = -1) -> Tensor:
    """Sum of products along ``axis``, which has one size in both; other axes broadcast.

    Raises:
        SpecError: the sizes along ``axis`` differ, or the other axes do not broadcast.
    """
    a, b = tensors(a, b)
    left, right = moveaxis(a, axis, -1), moveaxis(b, axis, -1)
    if left.shape[-1] != right.shape[-1]:
        cure = f"Axis {axis} has sizes {left.shape[-1]} and {right.shape[-1]}; they must be equal."
        raise SpecError(report(f"cannot vecdot {a.spec} and {b.spec}", at=here(), cure=cure))
    products = left * right
    return astype(sum(products, axis=-1), products.dtype)


@function
def inner(a: TensorLike, b: TensorLike) -> Tensor:
    """Sum of products over the last axes."""
    a, b = tensors(a, b)
    return a * b if not a.ndim or not b.ndim else tensordot(a, b, axes=([a.ndim - 1], [b.ndim - 1]))


@function
def matvec(a: TensorLike, x: TensorLike) -> Tensor:
    """Matrices times vectors, ``(…, m, n)`` and ``(…, n)``: axes in front broadcast, of the vectors too."""
    a, x = tensors(a, x)
    return squeeze(_matmul(a, expand_dims(x, -1)), -1)


@function
def vecmat(x: TensorLike, a: TensorLike) -> Tensor:
    """Vectors times matrices, ``(…, m)`` and ``(…, m, n)``: axes in front broadcast, of the vectors too."""
    x, a = tensors(x, a)
    return squeeze(_matmul(expand_dims(x, -2), a), -2)


@function
def vdot(a: TensorLike, b: TensorLike) -> Tensor:
    """Sum of products of all elements of both, flattened, of which there are as many."""
    return vecdot(reshape(a, (-1,)), reshape(b, (-1,)))


@function
def outer(a: TensorLike, b: TensorLike) -> Tensor:
    """Every element of ``a`` times every element of ``b``: ``(n,)`` and ``(m,)`` give ``(n, m)``."""
    a, b = tensors(a, b)
    return reshape(a, (a.size, 1)) * reshape(b, (1, b.size))


@function
def kron(a: TensorLike, b: TensorLike) -> Tensor:
    """Kronecker product: every element of ``a`` times the whole of ``b``, in place of that element.

    The sizes of the result are the products of theirs; the one with fewer axes gets axes of size 1 in front.
    """
    a, b = tensors(a, b)
    count = max(a.ndim, b.ndim)
    outside, inside = (1,) * (count - a.ndim) + a.shape, (1,) * (count - b.ndim) + b.shape
    blocks = reshape(a, tuple(n for size in outside for n in (size, 1)))
    block = reshape(b, tuple(n for size in inside for n in (1, size)))
    return reshape(blocks * block, tuple(m * n for m, n in zip(outside, inside, strict=True)))


@function
@in_floats("a", "b", whole=False)
def cross(a: TensorLike, b: TensorLike, *, axis: int = -1) -> Tensor:
    """Cross product of vectors of three along ``axis``; other axes broadcast.

    Raises:
        SpecError: the size along ``axis`` is not 3 in both, or the other axes do not broadcast.
    """
    a, b = tensors(a, b)
    left, right = moveaxis(a, axis, -1), moveaxis(b, axis, -1)
    if left.shape[-1] != 3 or right.shape[-1] != 3:
        cure = f"Axis {axis} has sizes {left.shape[-1]} and {right.shape[-1]}; both must be 3."
        raise SpecError(report(f"cannot cross {a.spec} and {b.spec}", at=here(), cure=cure))
    # Element i has the next and the one after it, in the cycle 0, 1, 2.
    y = roll(left, -1, -1) * roll(right, -2, -1) - roll(left, -2, -1) * roll(right, -1, -1)
    return moveaxis(y, -1, axis)


@function
def tensordot(a: TensorLike, b: TensorLike, *, axes: Any = 2) -> Tensor:
    """Sum of products over ``axes``: a number of last axes of ``a`` and first of ``b``, or two lists of axes."""
    a, b = tensors(a, b)
    try:
        if isinstance(axes, (int, np.integer)):
            if not 0 <= axes <= min(a.ndim, b.ndim):
                raise Mismatch(f"axes={axes} is more axes than there are.")
            left, right = list(range(a.ndim - axes, a.ndim)), list(range(axes))
        else:
            left, right = ([normalize_axis(x, t.ndim) for x in _list(xs)] for t, xs in zip((a, b), axes, strict=True))
        if [a.shape[i] for i in left] != [b.shape[i] for i in right]:
            raise Mismatch(f"The sizes along axes {left} and {right} must be equal.")
    except Mismatch as reason:
        what = f"cannot tensordot {a.spec} and {b.spec}"
        raise SpecError(report(what, at=here(), cure=str(reason))) from None
    rows = [i for i in range(a.ndim) if i not in left]
    columns = [i for i in range(b.ndim) if i not in right]
    shared = math.prod(a.shape[i] for i in left)
    m, n = math.prod(a.shape[i] for i in rows), math.prod(b.shape[i] for i in columns)
    flat_a = reshape(permute_dims(a, (*rows, *left)), (m, shared))
    flat_b = reshape(permute_dims(b, (*right, *columns)), (shared, n))
    return reshape(_matmul(flat_a, flat_b), (*(a.shape[i] for i in rows), *(b.shape[i] for i in columns)))


def _list(axes: Any) -> Sequence[Any]:
    return axes if isinstance(axes, (tuple, list)) else [axes]


@function
def einsum(subscripts: Any, *operands: Any, optimize: Any = False) -> Tensor:
    """Sum of products in Einstein's notation, as NumPy's: ``einsum("ij,jk->ik", a, b)``.

    In place of letters there may be lists of whole numbers, one behind each operand and perhaps one for the result:
    ``einsum(a, [0, 1], b, [1, 2], [0, 2])``. Operands are taken two at a time, from left to right; with ``optimize``
    (True, ``"greedy"``, ``"optimal"``) in the order that NumPy finds to be cheaper. Each pair is one batched matrix
    product.

    Raises:
        SpecError: the subscripts do not fit the operands.
    """
    if not isinstance(subscripts, str):
        subscripts, operands = _lettered((subscripts, *operands))
    given = tensors(*operands)
    try:
        inputs, output = _subscripts(subscripts, given)
        sizes: dict[str, int] = {}
        for letters, x in zip(inputs, given, strict=True):
            for letter, size in _sizes(letters, x).items():
                if sizes.setdefault(letter, size) != size and 1 not in (sizes[letter], size):
                    raise Mismatch(f"Letter {letter!r} has sizes {sizes[letter]} and {size}.")
                sizes[letter] = _joint(sizes[letter], size)
    except Mismatch as reason:
        specs = " and ".join(str(t.spec) for t in given)
        raise SpecError(report(f"cannot einsum {subscripts!r} of {specs}", at=here(), cure=str(reason))) from None
    wide = [x.astype(working(x.dtype)) if x.dtype.kind == "f" else x for x in given]
    terms = [_diagonals(x, letters) for x, letters in zip(wide, inputs, strict=True)]
    for places in _path(subscripts, given, optimize):
        chosen, terms = [terms[i] for i in places], [t for i, t in enumerate(terms) if i not in places]
        while len(chosen) > 1:
            (a, left), (b, right), *rest = chosen
            later = set(output).union(*(letters for _, letters in [*rest, *terms]))
            chosen = [_pair(a, left, b, right, later), *rest]
        terms.append(chosen[0])
    x, letters = terms[0]
    gone = tuple(i for i, letter in enumerate(letters) if letter not in output)
    x, letters = (sum(x, axis=gone) if gone else x), [letter for letter in letters if letter in output]
    x = permute_dims(x, tuple(letters.index(letter) for letter in output))
    # Small whole numbers are added up in wider ones, halves in float32; the result has the dtype of the operands.
    x = astype(x, np.result_type(*(t.dtype for t in given)))
    return broadcast_to(x, tuple(sizes[letter] for letter in output))


def _joint(m: int, n: int) -> int:
    """The size that two sizes broadcast to."""
    return 0 if 0 in (m, n) else max(m, n)


def _sizes(letters: list[str], x: Tensor) -> dict[str, int]:
    """The size of every letter of one operand."""
    sizes: dict[str, int] = {}
    for letter, size in zip(letters, x.shape, strict=True):
        if sizes.setdefault(letter, size) != size:
            raise Mismatch(
                f"Letter {letter!r} stands twice in one operand, for axes of {sizes[letter]} and {size}: "
                "a diagonal needs equal sizes."
            )
    return sizes


def _subscripts(text: str, tensors: Sequence[Tensor]) -> tuple[list[list[str]], list[str]]:
    """The letters of every operand and of the result; ``...`` becomes capital Greek letters."""
    left, arrow, right = text.replace(" ", "").partition("->")
    parts = left.split(",")
    if len(parts) != len(tensors):
        raise Mismatch(f"{len(parts)} operands are named, {len(tensors)} given.")
    inputs: list[list[str]] = []
    longest: list[str] = []
    for part, x in zip(parts, tensors, strict=True):
        named = part.replace("...", "")
        extra = x.ndim - len(named)
        plain = not named or (named.isalpha() and named.isascii())
        if extra < 0 or (extra and "..." not in part) or part.count("...") > 1 or not plain:
            raise Mismatch(f"{part!r} does not name the {x.ndim} axes of {x.spec}.")
        rest = [chr(ord("Α") + 20 - i) for i in range(extra)][::-1]
        longest = max(longest, rest, key=len)
        before, dots, after = part.partition("...")
        inputs.append([*before, *(rest if dots else []), *after])
    if arrow:
        before, dots, after = right.partition("...")
        if longest and not dots:
            raise Mismatch(f"'...' stands for {len(longest)} axes; the result must say with '...' where they go.")
        output = [*before, *(longest if dots else []), *after]
    else:
        every = [letter for letters in inputs for letter in letters]
        output = longest + sorted(c for c in set(every) if every.count(c) == 1 and c not in longest)
    unknown = set(output) - {letter for letters in inputs for letter in letters}
    if unknown or len(set(output)) != len(output):
        raise Mismatch("The result names a letter twice, or one that no operand has.")
    return inputs, output


def _path(subscripts: str, given: Sequence[Tensor], optimize: Any) -> list[tuple[int, ...]]:
    """Which terms are taken together, one group after the other; what comes of a group is the last term then."""
    if not optimize or len(given) < 3:
        return [tuple(range(len(given)))]
    shapes = [np.broadcast_to(0.0, x.shape) for x in given]  # one number each, however large
    path, _ = np.einsum_path(subscripts, *shapes, optimize=optimize)
    return [tuple(sorted(places)) for places in path[1:]]


LETTERS = string.ascii_lowercase + string.ascii_uppercase


def _lettered(given: tuple[Any, ...]) -> tuple[str, tuple[Any, ...]]:
    """Operands that are each followed by a list of axes, as a text of letters and the operands."""

    def text(axes: Any) -> str:
        try:
            if isinstance(axes, Tensor):
                raise TypeError
            return "".join("..." if axis is Ellipsis else LETTERS[axis] for axis in axes)
        except (IndexError, TypeError):
            cure = "Behind each operand stands a list of its axes, whole numbers from 0 to 51 or '...'."
            raise SpecError(report(f"cannot einsum with axes {axes!r:.60}", at=here(), cure=cure)) from None

    count = len(given) // 2
    left = ",".join(text(axes) for axes in given[1 : 2 * count : 2])
    right = "".join("->" + text(axes) for axes in given[2 * count :])
    return left + right, given[: 2 * count : 2]


def _diagonals(x: Tensor, letters: list[str]) -> tuple[Tensor, list[str]]:
    """A letter that stands twice in one operand takes its diagonal."""
    for letter in dict.fromkeys(letters):
        while letters.count(letter) > 1:
            i = letters.index(letter)
            j = letters.index(letter, i + 1)
            x = diagonal(moveaxis(x, (i, j), (-2, -1)))
            letters = [c for k, c in enumerate(letters) if k not in (i, j)] + [letter]
    return x, letters


def _pair(a: Tensor, left: list[str], b: Tensor, right: list[str], later: set[str]) -> tuple[Tensor, list[str]]:
    """The product of two operands, summed over the letters that nothing later names."""
    a, left = _summed(a, left, later | set(right))
    b, right = _summed(b, right, later | set(left))
    both = [c for c in left if c in right]
    batch, shared = [c for c in both if c in later], [c for c in both if c not in later]
    rows, columns = [c for c in left if c not in both], [c for c in right if c not in both]
    size = {c: _joint(a.shape[left.index(c)], b.shape[right.index(c)]) for c in both}

    def laid(x: Tensor, letters: list[str], *groups: list[str]) -> Tensor:
        wide = broadcast_to(x, tuple(size.get(c, n) for c, n in zip(letters, x.shape, strict=True)))
        order = [c for group in groups for c in group]
        moved = permute_dims(wide, tuple(letters.index(c) for c in order))
        of = dict(zip(letters, wide.shape, strict=True))
        return reshape(moved, (*(of[c] for c in batch), *(math.prod(of[c] for c in g) for g in groups[1:])))

    y = _matmul(laid(a, left, batch, rows, shared), laid(b, right, batch, shared, columns))
    of = {**dict(zip(left, a.shape, strict=True)), **dict(zip(right, b.shape, strict=True)), **size}
    letters = [*batch, *rows, *columns]
    return reshape(y, tuple(of[c] for c in letters)), letters


def _summed(x: Tensor, letters: list[str], needed: set[str]) -> tuple[Tensor, list[str]]:
    gone = tuple(i for i, c in enumerate(letters) if c not in needed)
    return (sum(x, axis=gone) if gone else x), [c for c in letters if c in needed]
