"""Trying a kernel: the arrays it is run on, and what it must return whatever its op declares."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from lazygrad.define.kinds import Declared
from lazygrad.engine.lower.index import Misdeclared
from lazygrad.errors import DefinitionError
from lazygrad.graph.graph import Node
from lazygrad.graph.spec import Spec

__all__ = ["SMALL", "Returned", "called", "fits", "marks", "same", "samples"]

SMALL = 4096  # elements; what has no more is run as large as it is


# Samples.


def samples(specs: Sequence[Spec], seed: int = 0) -> list[Any]:
    """Arrays of these specs: numbers near 1, or of both signs and any size."""
    rng = np.random.default_rng(seed)
    return [_sample(rng, spec, bool(seed)) for spec in specs]


def _sample(rng: np.random.Generator, spec: Spec, wide: bool) -> Any:
    if spec.dtype.kind == "b":
        return rng.integers(0, 2, spec.shape).astype(bool)
    if spec.dtype.kind in "iu":
        low = -9 if wide and spec.dtype.kind == "i" else 0 if wide else 1
        return rng.integers(low, 10, spec.shape).astype(spec.dtype)
    numbers = rng.normal(0, 3, spec.shape) if wide else rng.uniform(0.5, 1.5, spec.shape)
    return np.asarray(numbers).astype(spec.dtype)


def marks(specs: Sequence[Spec], rng: np.random.Generator) -> list[Any]:
    """Arrays of random numbers, none of which is 0 but of booleans."""
    found = []
    for spec in specs:
        room = 2 if spec.dtype.kind == "b" else 100 if spec.dtype.itemsize == 1 else 2000
        numbers = rng.integers(0 if room == 2 else 1, room, spec.shape)
        found.append(numbers.astype(spec.dtype))
    return found


def called(op: Declared, arrays: Sequence[Any], params: dict[str, Any]) -> Any:
    """What the kernel returns; None if it raises, which is for the run to show."""
    try:
        return op.kernel(np, *arrays, **params)
    except DefinitionError:
        raise
    except Exception:
        return None


def _parts(result: Any) -> list[Any]:
    """The arrays that a kernel returned."""
    listed = result if isinstance(result, (tuple, list)) else [result]
    return [np.asarray(part) for part in listed if isinstance(part, (np.ndarray, np.generic, float, int))]


# What every kind promises.


def same(op: Declared, arrays: Sequence[Any], params: dict[str, Any]) -> Any:
    """What the kernel returns, the same bits when it is called again; None if it raises."""
    first = called(op, arrays, params)
    if first is None:
        return None
    kept = [part.copy() for part in _parts(first)]
    again = called(op, [x.copy() for x in arrays], params)
    if again is None:
        return None
    for one, other in zip(kept, _parts(again), strict=False):
        if _differ(one, other):
            what = "is declared pure, but its kernel gives other numbers when it is called again"
            cure = "Draw with ctx.random, and pass it as an operand; for one with a state say opaque(..., pure=False)."
            raise Misdeclared(what, f"of the same operands {differing(other, one)}", cure)
    called(op, [np.flip(x).copy() for x in arrays], params)
    for one, now in zip(kept, _parts(first), strict=True):
        if _differ(one, now):
            what = "changes what it has returned before"
            seen = f"after another call its result was {differing(now, one)}"
            raise Misdeclared(what, seen, "Let its kernel make a new array in every call.")
    return first


def _differ(one: Any, other: Any) -> bool:
    """Whether two arrays differ in a bit."""
    return bool(one.dtype != other.dtype or one.shape != other.shape or one.tobytes() != other.tobytes())


def differing(now: Any, before: Any) -> str:
    """Two numbers that differ."""
    if now.shape != before.shape or now.dtype != before.dtype:
        return f"{Spec(now.shape, now.dtype)} beside the first {Spec(before.shape, before.dtype)}"
    place = next(p for p in np.ndindex(now.shape) if now[p].tobytes() != before[p].tobytes())
    return f"{now[place]} beside the first {before[place]}"


class Returned(Misdeclared):
    """A kernel returned another shape or dtype than declared: which."""


def fits(op: Declared, node: Node, specs: Sequence[Spec], wanted: Spec, result: Any) -> bool:
    """Whether a kernel returned what is declared; raises Misdeclared for another dtype or shape."""
    if not isinstance(result, (np.ndarray, np.generic, float, int)):
        return False  # the run says what it is
    found = Spec(np.shape(result), np.asarray(result).dtype)
    if found == wanted:
        return True
    if found.shape == wanted.shape:
        raise Returned(str(Spec(node.spec.shape, found.dtype)))  # type: ignore[union-attr]
    if sum(spec.size for spec in specs) <= SMALL:
        whole = np.asarray(called(op, samples(specs), node.params))
        if whole.shape != node.spec.shape:  # type: ignore[union-attr]
            raise Returned(str(Spec(whole.shape, whole.dtype)))
    cure = "Correct its shape or dtype rule, or declare it opaque, with shape=."
    raise Misdeclared("returns another shape than it declares", f"{found} in place of {wanted}", cure)
