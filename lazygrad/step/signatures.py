"""What a compiled step is compiled for: the key of a call; the kinds of every argument, said where it matters."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from lazygrad.backends.base import Backend
from lazygrad.errors import TraceError, report
from lazygrad.graph.graph import freeze
from lazygrad.graph.registry import here, level
from lazygrad.graph.spec import Mismatch, Spec
from lazygrad.ops.source import numeric
from lazygrad.step.called import is_array
from lazygrad.trees import leaves, structure
from lazygrad.values.foreign import dtype_of, on_device
from lazygrad.values.rows import whole_rows

__all__ = ["MANY", "Signatures", "signature"]

PATHS = 256  # arguments, and leaves of arguments, of which kinds are remembered
MANY = 8  # kinds of one argument; with more, something is probably wrong


NOTHING: Mapping[str, str] = MappingProxyType({})


class Signatures:
    """The kinds of each argument that a step was compiled for."""

    def __init__(self, step: Callable[..., Any]) -> None:
        self._step = step
        self._seen: dict[str, dict[str, None]] = {}  # for every argument its kinds, in order
        self._warned = False

    def add(self, args: tuple[Any, ...], kwargs: dict[str, Any], read: Mapping[str, str] = NOTHING) -> None:
        """Note one more signature; warn once if an argument, or a value that the step reads, was of too many kinds."""
        kinds = {f"argument {name!r}": kind for name, kind in self._kinds(args, kwargs).items()}
        for name, kind in {**kinds, **{f"{name!r}, which it reads": kind for name, kind in read.items()}}.items():
            if len(self._seen) > PATHS:
                break
            seen = self._seen.setdefault(name, {})
            if len(seen) <= MANY:
                seen[kind] = None
            if len(seen) > MANY and not self._warned:
                self._warned = True
                listed = ", ".join(list(seen)[-3:])
                warnings.warn(
                    f"{getattr(self._step, '__name__', 'a step')} has been compiled for more than {MANY} kinds of "
                    f"{name}, lately {listed}. Every kind is compiled anew: pad or drop ragged batches, "
                    "pass numbers that change as arrays (np.asarray(x)), and keep what does not matter out of the "
                    "arguments.",
                    RuntimeWarning,
                    stacklevel=level(),
                )

    def explain(self, reason: BaseException, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Add to an error which arguments are not what the step was compiled for before."""
        for name, kind in self._kinds(args, kwargs).items():
            seen = list(self._seen.get(f"argument {name!r}", ()))
            if seen and kind not in seen:
                reason.add_note(f"argument {name!r} is {kind}; the step was compiled for {', '.join(seen[-3:])}")

    def _kinds(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, str]:
        """For every array or value among the arguments what the signature has of it."""
        found = {}
        for name, argument in {**dict(zip(self._names(len(args)), args, strict=False)), **kwargs}.items():
            for path, leaf in leaves(argument, name):
                if hasattr(leaf, "shape") and hasattr(leaf, "dtype"):
                    found[path] = str(Spec(tuple(leaf.shape), dtype_of(leaf)))
                else:
                    found[path] = f"{leaf!r:.40}"
        return found

    def _names(self, count: int) -> list[str]:
        """What the step calls its first ``count`` arguments after the context."""
        try:
            parameters = list(inspect.signature(self._step).parameters.values())[1:]
        except (TypeError, ValueError):
            parameters = []
        names = []
        for k in range(count):
            several = [p for p in parameters[: k + 1] if p.kind is p.VAR_POSITIONAL]
            if several:
                names.append(f"{several[0].name}[{k - parameters.index(several[0])}]")
            else:
                names.append(parameters[k].name if k < len(parameters) else f"argument {k}")
        return names


def signature(
    args: tuple[Any, ...], kwargs: dict[str, Any], feeds: dict[str, Any] | None, backend: Backend
) -> tuple[list[Any], Any]:
    """The arrays among the arguments, and the key of everything that a trace depends on."""
    arrays: list[Any] = []
    parts: list[Any] = [len(args)]
    for value in args:
        if type(value) is np.ndarray:
            arrays.append(value)
            parts.append((value.shape, value.dtype))
        else:
            _tree_signature(value, "", arrays, parts, backend)
    for name, value in kwargs.items():
        parts.append(name)
        _tree_signature(value, name, arrays, parts, backend)
    for name, array in (feeds or {}).items():
        parts.append((name, _shape(array)))
    return arrays, tuple(parts)


def _shape(array: Any) -> Any:
    try:
        return np.shape(array)
    except ValueError:  # ragged lists; the feed is refused later, by name
        return None


def _tree_signature(value: Any, name: str, arrays: list[Any], parts: list[Any], backend: Backend) -> None:
    parts.append(structure(value))
    for path, leaf in leaves(value, name):
        if is_array(leaf):
            count = whole_rows(leaf)
            if count is not None:
                leaf = np.asarray(leaf)
                parts.append(("rows", count))
            if on_device(leaf):
                leaf = backend.taken(leaf)
            elif type(leaf) is not np.ndarray:
                leaf = numeric(leaf, backend=backend)
            arrays.append(leaf)
            parts.append((path, leaf.shape, leaf.dtype))
            continue
        try:
            hash(key := (path, freeze(leaf)))
        except (TypeError, ValueError, Mismatch):
            cure = "Arguments that are not arrays are part of the signature, and must be hashable."
            what = f"cannot compile for an argument of type {type(leaf).__name__}"
            raise TraceError(report(what, at=here(), cure=cure)) from None
        parts.append(key)
